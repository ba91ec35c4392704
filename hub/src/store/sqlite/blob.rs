//! Which blob is bound to which room, who may send or read it, and what expires.

use protocol::id::{BlobId, RoomId};
use protocol::key::AgentId;
use protocol::statement::UnixMillis;
use rusqlite::{Connection, OptionalExtension as _};

use super::row::{self, Inside};
use super::{join, room};
use crate::limits::USE_NOTED_EVERY_MS;
use crate::store::{Expired, Retention, StoreError};

/// A blob that may be read.
#[derive(Debug)]
pub(super) struct Readable {
    pub(super) size: u64,
    /// Whether the last use that is noted is so old that this one should be.
    pub(super) note_use: bool,
}

/// Says whether the agent may know that the room has the blob: with a floor, what it sent itself and what is referred to above.
pub(super) fn is_visible(
    db: &Connection,
    inside: &Inside,
    agent: AgentId,
    id: BlobId,
) -> Result<bool, StoreError> {
    if inside.floor == 0 {
        return Ok(true);
    }
    let mut query = db.prepare_cached(
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM sender WHERE room = ?1 AND blob = ?2 AND agent = ?3)
         OR EXISTS (SELECT 1 FROM reference WHERE room = ?1 AND blob = ?2 AND seq > ?4)",
    )?;
    Ok(query.exists((inside.room.no, id.as_bytes(), agent.as_bytes(), inside.floor))?)
}

/// Returns whether the blob is there already.
pub(super) fn may_put(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    room: RoomId,
    id: BlobId,
) -> Result<bool, StoreError> {
    let inside = row::room_of(db, now, agent, room)?;
    let mut query = db.prepare_cached("SELECT 1 FROM binding WHERE room = ?1 AND blob = ?2 AND gone = 0")?;
    let is_there = query.exists((inside.room.no, id.as_bytes()))? && is_visible(db, &inside, agent, id)?;
    // No entry could refer to it any more.
    if !is_there && inside.room.is_closed { Err(StoreError::Closed) } else { Ok(is_there) }
}

/// Binds a blob to a room; again, or after it expired, is fine.
pub(super) fn bind(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    room: RoomId,
    id: BlobId,
    size: u64,
) -> Result<(), StoreError> {
    let Inside { room, .. } = row::room_of(db, now, agent, room)?;
    if room.is_closed {
        return Err(StoreError::Closed);
    }
    db.prepare_cached("INSERT OR IGNORE INTO blob (id, size) VALUES (?1, ?2)")?
        .execute((id.as_bytes(), size))?;
    db.prepare_cached(
        "INSERT INTO binding (room, blob, size, bound, used) VALUES (?1, ?2, ?3, ?4, ?4)
         ON CONFLICT (room, blob) DO UPDATE SET used = excluded.used, gone = 0",
    )?
    .execute((room.no, id.as_bytes(), size, now))?;
    db.prepare_cached("INSERT OR IGNORE INTO sender (room, blob, agent) VALUES (?1, ?2, ?3)")?.execute((
        room.no,
        id.as_bytes(),
        agent.as_bytes(),
    ))?;
    Ok(())
}

/// Returns the size of a blob that the agent may read.
pub(super) fn may_get(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    room: RoomId,
    id: BlobId,
) -> Result<Readable, StoreError> {
    let inside = row::room_of(db, now, agent, room)?;
    if !is_visible(db, &inside, agent, id)? {
        return Err(StoreError::NotFound);
    }
    let mut query =
        db.prepare_cached("SELECT size, gone, used FROM binding WHERE room = ?1 AND blob = ?2")?;
    let found = query
        .query_row((inside.room.no, id.as_bytes()), |row| {
            Ok((row.get::<_, u64>(0)?, row.get::<_, bool>(1)?, row.get::<_, UnixMillis>(2)?))
        })
        .optional()?;
    match found {
        None => Err(StoreError::NotFound),
        Some((_, true, _)) => Err(StoreError::Gone),
        Some((size, false, used)) => Ok(Readable { size, note_use: now - used >= USE_NOTED_EVERY_MS }),
    }
}

/// Notes that the blob was wanted.
pub(super) fn note_use(db: &Connection, now: UnixMillis, room: RoomId, id: BlobId) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE binding SET used = max(used, ?3) WHERE blob = ?2 AND room = (SELECT no FROM room WHERE id = ?1)",
    )?
    .execute((room.as_bytes(), id.as_bytes(), now))?;
    Ok(())
}

/// Returns those of `ids` without a row.
pub(super) fn unknown(db: &Connection, ids: Vec<BlobId>) -> Result<Vec<BlobId>, StoreError> {
    let mut query = db.prepare_cached("SELECT 1 FROM blob WHERE id = ?1")?;
    let mut unknown = Vec::new();
    for id in ids {
        if !query.exists((id.as_bytes(),))? {
            unknown.push(id);
        }
    }
    Ok(unknown)
}

/// Drops one batch of what is too old.
pub(super) fn expire(db: &Connection, now: UnixMillis, retention: Retention) -> Result<Expired, StoreError> {
    let mut expired = Expired::default();
    expire_bindings(db, now, retention, &mut expired)?;
    expire_entries(db, now, retention, &mut expired)?;
    expired.requests = join::expire(db, now, retention.batch_rows)?;
    expired.seats = room::expire_seats(db, now, retention.batch_rows)?;
    let most = expired.bindings.max(expired.entries).max(expired.requests).max(expired.seats);
    // Of one room at a time, and a room that is due has one at the least: another may be due that comes after it.
    expired.more = most as u64 >= retention.batch_rows || expired.entries > 0;
    if !expired.more {
        // Once a round, after all that is dropped.
        join::shorten_dead(db, now)?;
    }
    Ok(expired)
}

fn expire_bindings(
    db: &Connection,
    now: UnixMillis,
    retention: Retention,
    expired: &mut Expired,
) -> Result<(), StoreError> {
    let mut query = db.prepare_cached(
        "UPDATE binding SET gone = 1 WHERE (room, blob) IN
         (SELECT room, blob FROM binding WHERE gone = 0 AND used <= ?1 ORDER BY used LIMIT ?2) RETURNING blob",
    )?;
    let rows = query.query_map((now - retention.blobs_idle_ms, retention.batch_rows), |row| row.get(0))?;
    let gone = rows.map(|id| id.map(BlobId::from_bytes)).collect::<Result<Vec<_>, _>>()?;
    expired.bindings = gone.len();
    let mut remove = db.prepare_cached(
        "DELETE FROM blob WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM binding WHERE blob = ?1 AND gone = 0)",
    )?;
    for id in gone {
        if remove.execute((id.as_bytes(),))? > 0 {
            expired.blobs.push(id);
        }
    }
    Ok(())
}

/// Drops the oldest messages of one room, as a prefix of its log. What `chain` brings stays, without bodies.
fn expire_entries(
    db: &Connection,
    now: UnixMillis,
    retention: Retention,
    expired: &mut Expired,
) -> Result<(), StoreError> {
    // A room is due when its oldest entry is; there is one look-up a room, which takes this order of the two.
    let due = db
        .prepare_cached(
            "SELECT room.no, room.base_seq, room.end_seq FROM room
             CROSS JOIN entry ON entry.room = room.no AND entry.seq = room.base_seq + 1
             WHERE room.end_seq - room.base_seq > ?2 AND entry.received <= ?1 LIMIT 1",
        )?
        .query_row((now - retention.messages_ms, retention.messages_kept_min), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, u64>(1)?, row.get::<_, u64>(2)?))
        })
        .optional()?;
    let Some((room, base, end)) = due else { return Ok(()) };
    let last = (base + retention.batch_rows).min(end - retention.messages_kept_min);
    let kept_from: Option<u64> = db
        .prepare_cached(
            "SELECT min(seq) FROM entry WHERE room = ?1 AND seq > ?2 AND seq <= ?3 AND received > ?4",
        )?
        .query_row((room, base, last, now - retention.messages_ms), |row| row.get(0))?;
    let last = kept_from.map_or(last, |seq| seq - 1);
    db.prepare_cached(
        "UPDATE room SET base_seq = ?2, base_log = (SELECT log FROM entry WHERE room = ?1 AND seq = ?2)
         WHERE no = ?1",
    )?
    .execute((room, last))?;
    db.prepare_cached("DELETE FROM reference WHERE room = ?1 AND seq <= ?2")?.execute((room, last))?;
    db.prepare_cached("DELETE FROM entry WHERE room = ?1 AND seq <= ?2 AND chain = 0")?
        .execute((room, last))?;
    db.prepare_cached(
        "UPDATE entry SET body = NULL WHERE room = ?1 AND seq > ?2 AND seq <= ?3 AND chain = 1",
    )?
    .execute((room, base, last))?;
    expired.entries = usize::try_from(last - base).unwrap_or(usize::MAX);
    Ok(())
}
