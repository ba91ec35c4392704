//! Logins, rooms and cursors.

use protocol::frame::{RoomList, RoomRow};
use protocol::id::RoomId;
use protocol::key::{AgentId, HubId};
use protocol::limits::{READERS_MAX, SEAT_MILLIS_MAX};
use protocol::room::room_id;
use protocol::signed::Verified;
use protocol::statement::{Genesis, LogPoint, Seat, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _};

use super::row::{self, Inside};
use crate::limits::{CLOSED_ROOM_COUNTS_MS, USERS_PER_AGENT_MAX};
use crate::store::StoreError;

/// Ties the database to `hub` on first use, and says whether it is tied to it.
pub(super) fn belongs_to(db: &Connection, hub: HubId) -> Result<bool, StoreError> {
    db.execute("INSERT OR IGNORE INTO hub (only, key) VALUES (1, ?1)", (hub.as_bytes(),))?;
    let key: [u8; 32] = db.query_row("SELECT key FROM hub", (), |row| row.get(0))?;
    Ok(key == *hub.as_bytes())
}

/// Says whether this very word of a user is the one that is kept.
pub(super) fn knows_seat(db: &Connection, seat: &Verified<Seat>) -> Result<bool, StoreError> {
    let (user, bytes, _) = seat.parts();
    let mut query = db.prepare_cached("SELECT 1 FROM seat WHERE agent = ?1 AND user = ?2 AND bytes = ?3")?;
    Ok(query.exists((seat.statement().seat.as_bytes(), user.as_bytes(), bytes))?)
}

/// Keeps the newest word of a user on one of its seats.
pub(super) fn note_seat(db: &Connection, seat: &Verified<Seat>) -> Result<(), StoreError> {
    let (user, bytes, sig) = seat.parts();
    let statement = seat.statement();
    let agent = statement.seat;
    // The newest counts even if it ends sooner: so a user takes the word back.
    db.prepare_cached(
        "INSERT INTO seat (agent, user, issued, expires, bytes, sig) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (agent, user) DO UPDATE
         SET issued = excluded.issued, expires = excluded.expires, bytes = excluded.bytes, sig = excluded.sig
         WHERE excluded.issued > seat.issued",
    )?
    .execute((
        agent.as_bytes(),
        user.as_bytes(),
        statement.issued,
        statement.expires,
        bytes,
        sig.as_bytes(),
    ))?;
    // First who owns rooms here: were a word forgotten that has ended the seat, an older one would bring the seat back.
    db.prepare_cached(
        "DELETE FROM seat WHERE agent = ?1 AND user NOT IN (SELECT user FROM seat WHERE agent = ?1
             ORDER BY EXISTS (SELECT 1 FROM room WHERE room.owner = seat.user) DESC, user = ?2 DESC, issued DESC LIMIT ?3)",
    )?
    .execute((agent.as_bytes(), user.as_bytes(), USERS_PER_AGENT_MAX))?;
    let is_kept = db
        .prepare_cached("SELECT 1 FROM seat WHERE agent = ?1 AND user = ?2")?
        .exists((agent.as_bytes(), user.as_bytes()))?;
    if is_kept { Ok(()) } else { Err(StoreError::TooManyUsers) }
}

/// Drops words on seats of users without a room, once no older word could hold any more; and those of a time that has not come,
/// which would never be old.
pub(super) fn expire_seats(db: &Connection, now: UnixMillis, batch_rows: u64) -> Result<usize, StoreError> {
    let mut delete = db.prepare_cached(
        "DELETE FROM seat WHERE (agent, user) IN (SELECT agent, user FROM seat WHERE (issued <= ?1 OR issued > ?3)
             AND NOT EXISTS (SELECT 1 FROM room WHERE room.owner = seat.user) LIMIT ?2)",
    )?;
    let (past, future) = (now.saturating_sub(SEAT_MILLIS_MAX), now.saturating_add(SEAT_MILLIS_MAX));
    Ok(delete.execute((past, batch_rows, future))?)
}

/// Opens the room, unless it is open.
pub(super) fn open(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    genesis: &Verified<Genesis>,
    rooms_max: u64,
) -> Result<(RoomRow, bool), StoreError> {
    let (owner, bytes, sig) = genesis.parts();
    let room = room_id(genesis);
    let is_own_seat = db
        .prepare_cached("SELECT 1 FROM seat WHERE agent = ?1 AND user = ?2 AND expires > ?3")?
        .exists((agent.as_bytes(), owner.as_bytes(), now))?;
    if !is_own_seat {
        return Err(StoreError::NotOwner);
    }
    if let Some(open) = find(db, room)? {
        // A seat that was put out of the room is still the owner's, and not in it.
        row::room_of(db, now, agent, room)?;
        return Ok((open, false));
    }
    // Closed rooms stay to be read, and count for a while: else opening and closing could go on without an end.
    let rooms: u64 = db
        .prepare_cached(
            "SELECT count(*) FROM insider JOIN room ON room.no = insider.room
             WHERE insider.agent = ?1 AND insider.owner = 1 AND insider.until > ?2
                 AND (room.closed IS NULL OR room.opened > ?3)",
        )?
        .query_row((agent.as_bytes(), now, now.saturating_sub(CLOSED_ROOM_COUNTS_MS)), |row| row.get(0))?;
    if rooms >= rooms_max {
        return Err(StoreError::TooMany { what: "rooms" });
    }
    let start = LogPoint::start(room);
    db.prepare_cached(
        "INSERT INTO room (id, kind, owner, bytes, sig, opened, end_seq, end_log, base_seq, base_log)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, 0, ?7)",
    )?
    .execute((
        room.as_bytes(),
        row::kind_text(genesis.statement().kind),
        owner.as_bytes(),
        bytes,
        sig.as_bytes(),
        now,
        start.log.as_bytes(),
    ))?;
    let genesis = genesis.signed().clone();
    Ok((RoomRow { room, genesis, end: start, cursor: None, pending: None }, true))
}

fn find(db: &Connection, room: RoomId) -> Result<Option<RoomRow>, StoreError> {
    let mut query =
        db.prepare_cached("SELECT id, owner, bytes, sig, end_seq, end_log FROM room WHERE id = ?1")?;
    Ok(query.query_row((room.as_bytes(),), row::room).optional()?)
}

/// Lists the rooms of the agent by rising id, with the cursors of `reader` and, for owners, how many requests wait.
pub(super) fn list(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    after: Option<RoomId>,
    reader: Option<&str>,
    limit: usize,
) -> Result<RoomList, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT room.id, room.owner, room.bytes, room.sig, room.end_seq, room.end_log,
             (SELECT max(own.floor, coalesce(max(cursor.seq), 0)) FROM cursor
                 WHERE cursor.agent = ?1 AND cursor.room = room.no AND cursor.reader = ?4),
             CASE WHEN own.owner THEN (SELECT count(*) FROM pending
                 WHERE pending.room = room.no AND pending.until > ?2) END
         FROM (SELECT room, max(owner) AS owner, min(floor) AS floor FROM insider
             WHERE agent = ?1 AND until > ?2 GROUP BY room) AS own
         JOIN room ON room.no = own.room
         WHERE room.id > ?3 ORDER BY room.id LIMIT ?5",
    )?;
    let behind = after.map(|after| after.as_bytes().to_vec()).unwrap_or_default();
    let rows = query.query_map((agent.as_bytes(), now, behind, reader, limit + 1), |row| {
        let cursor = if reader.is_some() { row.get(6)? } else { None };
        Ok(RoomRow { cursor, pending: row.get(7)?, ..row::room(row)? })
    })?;
    let mut rooms = rows.collect::<Result<Vec<_>, _>>()?;
    let more = rooms.len() > limit;
    rooms.truncate(limit);
    Ok(RoomList { rooms, more })
}

/// Moves a cursor forward, from the floor on, and returns where it is.
pub(super) fn ack(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    room: RoomId,
    reader: &str,
    seq: u64,
) -> Result<u64, StoreError> {
    let Inside { room, floor, .. } = row::room_of(db, now, agent, room)?;
    if seq > room.end.seq {
        return Err(StoreError::BeyondEnd { end: room.end.seq });
    }
    let others: u64 = db
        .prepare_cached("SELECT count(*) FROM cursor WHERE agent = ?1 AND room = ?2 AND reader <> ?3")?
        .query_row((agent.as_bytes(), room.no, reader), |row| row.get(0))?;
    if others >= READERS_MAX {
        return Err(StoreError::TooMany { what: "readers" });
    }
    let mut advance = db.prepare_cached(
        "INSERT INTO cursor (agent, room, reader, seq) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (agent, room, reader) DO UPDATE SET seq = max(seq, excluded.seq) RETURNING seq",
    )?;
    Ok(advance.query_row((agent.as_bytes(), room.no, reader, seq.max(floor)), |row| row.get(0))?)
}
