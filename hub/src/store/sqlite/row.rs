//! From rows to the protocol's types, and the one guard that every request about a room passes.

use protocol::frame::{Entry, RoomRow};
use protocol::id::{Digest, RoomId, Signature};
use protocol::key::{AgentId, UserId};
use protocol::signed::Signed;
use protocol::statement::{LogPoint, Role, RoomKind, UnixMillis};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::de::DeserializeOwned;

use crate::store::StoreError;

/// A room of this hub.
#[derive(Debug)]
pub(super) struct Room {
    /// Its row number.
    pub(super) no: i64,
    /// Its id.
    pub(super) id: RoomId,
    /// What kind it is.
    pub(super) kind: RoomKind,
    /// Who owns it.
    pub(super) owner: UserId,
    /// Where the log begins: of what is kept or, behind the guard, of what the caller may read.
    pub(super) base: LogPoint,
    /// Where it ends.
    pub(super) end: LogPoint,
    /// Whether it takes no more entries.
    pub(super) is_closed: bool,
}

/// A room that the caller is in.
#[derive(Debug)]
pub(super) struct Inside {
    /// The room.
    pub(super) room: Room,
    /// What the caller is in it.
    pub(super) role: Role,
    /// The entry above which the caller may read; 0 for all of the history.
    pub(super) floor: u64,
}

/// Returns the room if `agent` is in it at `now`. What is not there and what is not the agent's answers the same.
pub(super) fn room_of(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    room: RoomId,
) -> Result<Inside, StoreError> {
    let mut room = find_room(db, room)?.ok_or(StoreError::NotFound)?;
    let mut query = db.prepare_cached(
        "SELECT owner, floor, floor_log FROM insider WHERE room = ?1 AND agent = ?2 AND until > ?3
         ORDER BY owner DESC LIMIT 1",
    )?;
    let found = query
        .query_row((room.no, agent.as_bytes(), now), |row| {
            let role = if row.get(0)? { Role::Owner } else { Role::Member };
            Ok((role, point(row, 1)?))
        })
        .optional()?;
    let (role, floor) = found.ok_or(StoreError::NotFound)?;
    if floor.seq > room.base.seq {
        room.base = floor;
    }
    Ok(Inside { room, role, floor: floor.seq })
}

/// Returns the room, whoever asks: for what a signature authorises, or a session key.
pub(super) fn find_room(db: &Connection, room: RoomId) -> Result<Option<Room>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT no, kind, owner, base_seq, base_log, end_seq, end_log, closed IS NOT NULL FROM room WHERE id = ?1",
    )?;
    let found = query.query_row((room.as_bytes(),), |row| {
        Ok(Room {
            no: row.get(0)?,
            id: room,
            kind: if row.get_ref(1)?.as_str()? == HOME { RoomKind::Home } else { RoomKind::Session },
            owner: UserId::from_bytes(row.get(2)?),
            base: point(row, 3)?,
            end: point(row, 5)?,
            is_closed: row.get(7)?,
        })
    });
    Ok(found.optional()?)
}

impl Inside {
    /// Returns the room if the caller is a seat of its owner.
    pub(super) fn owned(self) -> Result<Room, StoreError> {
        if self.role == Role::Owner { Ok(self.room) } else { Err(StoreError::NotOwner) }
    }
}

/// Returns how a kind of room is written in its row.
pub(super) fn kind_text(kind: RoomKind) -> &'static str {
    match kind {
        RoomKind::Home => HOME,
        RoomKind::Session => "session",
        RoomKind::Service => unreachable!("the service opens homes and sessions only"),
    }
}

/// Reads a point of a log from two columns.
pub(super) fn point(row: &Row<'_>, first: usize) -> rusqlite::Result<LogPoint> {
    Ok(LogPoint { seq: row.get(first)?, log: Digest::from_bytes(row.get(first + 1)?) })
}

/// Reads a statement from three columns: signer, bytes, signature.
pub(super) fn statement<S: protocol::signed::Statement>(
    row: &Row<'_>,
    first: usize,
) -> rusqlite::Result<Signed<S>> {
    let by = protocol::key::PublicKey::from_bytes(row.get(first)?);
    Ok(Signed::from_parts(by, row.get(first + 1)?, Signature::from_bytes(row.get(first + 2)?)))
}

/// Reads what was written as JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// Reads an entry from the columns seq, author, bytes, sig, body, kind.
pub(super) fn entry(row: &Row<'_>, bodies: bool) -> rusqlite::Result<Entry> {
    let seq = row.get(0)?;
    if row.get_ref(5)?.as_str()? == "membership" {
        return Ok(Entry::membership(seq, statement(row, 1)?));
    }
    let body = if bodies { row.get(4)? } else { None };
    Ok(Entry::message(seq, statement(row, 1)?, body))
}

/// Reads a room from the columns id, owner, bytes, sig, `end_seq`, `end_log`.
pub(super) fn room(row: &Row<'_>) -> rusqlite::Result<RoomRow> {
    Ok(RoomRow {
        room: RoomId::from_bytes(row.get(0)?),
        genesis: statement(row, 1)?,
        end: point(row, 4)?,
        cursor: None,
        pending: None,
    })
}

const HOME: &str = "home";
