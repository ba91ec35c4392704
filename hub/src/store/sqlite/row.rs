//! From rows to the protocol's types, and the one guard that every request about a room passes.

use protocol::frame::{Entry, RoomRow};
use protocol::id::{Digest, RoomId, Signature};
use protocol::key::{AgentId, UserId};
use protocol::signed::Signed;
use protocol::statement::{LogPoint, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::store::StoreError;

/// A room that the caller is in.
#[derive(Debug)]
pub(super) struct RoomHere {
    /// Its row number.
    pub(super) no: i64,
    /// Who owns it.
    pub(super) owner: UserId,
    /// Where the kept log begins.
    pub(super) base: LogPoint,
    /// Where it ends.
    pub(super) end: LogPoint,
}

/// Returns the room if `agent` is in it at `now`. What is not there and what is not the agent's answers the same.
///
/// A seat of the owner is in a room by its seat statement alone, as `protocol::room` says.
pub(super) fn room_of(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    room: RoomId,
) -> Result<RoomHere, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT room.no, room.owner, room.base_seq, room.base_log, room.end_seq, room.end_log
         FROM room JOIN seat ON seat.user = room.owner
         WHERE room.id = ?1 AND seat.agent = ?2 AND seat.expires > ?3",
    )?;
    let found = query.query_row((room.as_bytes(), agent.as_bytes(), now), |row| {
        Ok(RoomHere {
            no: row.get(0)?,
            owner: UserId::from_bytes(row.get(1)?),
            base: point(row, 2)?,
            end: point(row, 4)?,
        })
    });
    found.optional()?.ok_or(StoreError::NotFound)
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

/// Reads an entry from the columns seq, author, bytes, sig, body.
pub(super) fn entry(row: &Row<'_>, bodies: bool) -> rusqlite::Result<Entry> {
    let body = if bodies { row.get(4)? } else { None };
    Ok(Entry::message(row.get(0)?, statement(row, 1)?, body))
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
