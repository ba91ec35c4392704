//! The log of a room: appending to it, reading it, and finding what refers to blobs.

use std::collections::BTreeSet;

use protocol::frame::{BlobReference, BlobReferences, Entry, EntryContent, Pulled};
use protocol::id::{BlobId, BlobPrefix, Digest, RoomId};
use protocol::key::AgentId;
use protocol::room::extend;
use protocol::signed::{Signed, Statement, Verified};
use protocol::statement::{LogPoint, Message, Role, Seat, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _, Row, Rows};

use super::row::{self, Inside, Room};
use super::{blob, chain};
use crate::limits::SEAT_ENCODED_BYTES_MAX;
use crate::store::{Landed, PageLimit, StoreError};

/// Appends `message`, or finds that it stands there already.
pub(super) fn post(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    message: &Verified<Message>,
    body: &str,
    room_minute_max: u64,
) -> Result<Landed, StoreError> {
    let header = message.statement();
    if message.by() != agent {
        return Err(StoreError::NotFound);
    }
    let inside = match row::room_of(db, now, agent, header.room) {
        Err(StoreError::NotFound) if header.leave => return left(db, message),
        inside => inside?,
    };
    let room = &inside.room;
    let last_n: u64 = db
        .prepare_cached("SELECT last_n FROM author WHERE room = ?1 AND agent = ?2")?
        .query_row((room.no, agent.as_bytes()), |row| row.get(0))
        .optional()?
        .unwrap_or_default();
    if header.n <= last_n
        && let Some(seq) = stored(db, room.no, message)?
    {
        return Ok(Landed { seq, is_new: false });
    }
    if room.is_closed {
        return Err(StoreError::Closed);
    }
    if header.leave && inside.role == Role::Owner {
        return Err(StoreError::OwnerStays);
    }
    if header.n != last_n + 1 {
        return Err(StoreError::Conflict { next_n: last_n + 1 });
    }
    check_point(db, room, header.head)?;
    check_pace(db, now, room, room_minute_max)?;
    for blob in &header.blobs {
        note_wanted(db, &inside, agent, *blob, now)?;
    }
    let at = extend(&room.end, &message.digest());
    append_message(db, now, room, at, message, body)?;
    if header.leave {
        chain::leave(db, room, &agent, at.seq)?;
    }
    Ok(Landed { seq: at.seq, is_new: true })
}

/// Finds the message by which its author left: who asks again gets the answer that may have been lost.
fn left(db: &Connection, message: &Verified<Message>) -> Result<Landed, StoreError> {
    let room = row::find_room(db, message.statement().room)?.ok_or(StoreError::NotFound)?;
    let seq = stored(db, room.no, message)?.ok_or(StoreError::NotFound)?;
    Ok(Landed { seq, is_new: false })
}

/// Returns where the message stands, if it does.
fn stored(db: &Connection, room: i64, message: &Verified<Message>) -> Result<Option<u64>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT seq FROM entry WHERE room = ?1 AND author = ?2 AND n = ?3 AND digest = ?4 AND kind = 'message'",
    )?;
    let (author, digest) = (message.by(), message.digest());
    let parameters = (room, author.as_bytes(), message.statement().n, digest.as_bytes());
    Ok(query.query_row(parameters, |row| row.get(0)).optional()?)
}

/// Refuses a point that is not of this log: so nobody can make others distrust an honest hub.
pub(super) fn check_point(db: &Connection, room: &Room, point: LogPoint) -> Result<(), StoreError> {
    if point.seq < room.base.seq {
        return Err(StoreError::Stale { base: room.base });
    }
    match log_at(db, room, point.seq)? {
        Some(log) if log == point.log => Ok(()),
        _ => Err(StoreError::ForeignHead),
    }
}

/// Refuses a message when the room got as many as it may within the last minute. Asked behind the guard, so that nobody
/// else uses up a room's share or sees how busy it is.
fn check_pace(db: &Connection, now: UnixMillis, room: &Room, minute_max: u64) -> Result<(), StoreError> {
    let Some(seq) = (room.end.seq + 1).checked_sub(minute_max.max(1)) else { return Ok(()) };
    let received: Option<UnixMillis> = db
        .prepare_cached("SELECT received FROM entry WHERE room = ?1 AND seq = ?2")?
        .query_row((room.no, seq), |row| row.get(0))
        .optional()?;
    match received.map(|received| received.saturating_add(MINUTE_MS) - now) {
        // More than a minute was received by a clock that was set back since.
        Some(wait) if (1..=MINUTE_MS).contains(&wait) => {
            Err(StoreError::RoomBusy { retry_after_ms: wait.unsigned_abs() })
        }
        _ => Ok(()),
    }
}

/// Returns the log's value after entry `seq`, if that is kept.
fn log_at(db: &Connection, room: &Room, seq: u64) -> Result<Option<Digest>, StoreError> {
    for known in [room.end, room.base] {
        if known.seq == seq {
            return Ok(Some(known.log));
        }
    }
    let mut query = db.prepare_cached("SELECT log FROM entry WHERE room = ?1 AND seq = ?2")?;
    let log = query.query_row((room.no, seq), |row| row.get(0)).optional()?;
    Ok(log.map(Digest::from_bytes))
}

/// Refuses a reference to a blob that the room does not have for its author, and keeps the blob from expiring soon.
fn note_wanted(
    db: &Connection,
    inside: &Inside,
    agent: AgentId,
    blob: BlobId,
    now: UnixMillis,
) -> Result<(), StoreError> {
    if !blob::is_visible(db, inside, agent, blob)? {
        return Err(StoreError::NotFound);
    }
    let mut update =
        db.prepare_cached("UPDATE binding SET used = ?3 WHERE room = ?1 AND blob = ?2 AND gone = 0")?;
    match update.execute((inside.room.no, blob.as_bytes(), now))? {
        0 => Err(StoreError::NotFound),
        _ => Ok(()),
    }
}

fn append_message(
    db: &Connection,
    now: UnixMillis,
    room: &Room,
    at: LogPoint,
    message: &Verified<Message>,
    body: &str,
) -> Result<(), StoreError> {
    let header = message.statement();
    let columns = Columns { kind: "message", chain: header.leave, n: header.n, body: Some(body) };
    append(db, now, room, at, message, &columns)?;
    let author = message.by();
    db.prepare_cached(
        "INSERT INTO author (room, agent, last_n) VALUES (?1, ?2, ?3)
         ON CONFLICT (room, agent) DO UPDATE SET last_n = excluded.last_n",
    )?
    .execute((room.no, author.as_bytes(), header.n))?;
    for blob in &header.blobs {
        db.prepare_cached("INSERT OR IGNORE INTO reference (room, seq, blob) VALUES (?1, ?2, ?3)")?
            .execute((room.no, at.seq, blob.as_bytes()))?;
    }
    Ok(())
}

/// What an entry's row says beside its statement.
pub(super) struct Columns<'a> {
    pub(super) kind: &'static str,
    pub(super) chain: bool,
    pub(super) n: u64,
    pub(super) body: Option<&'a str>,
}

/// Writes an entry at `at`, which is the end of the log from here on.
pub(super) fn append<S: Statement>(
    db: &Connection,
    now: UnixMillis,
    room: &Room,
    at: LogPoint,
    statement: &Verified<S>,
    columns: &Columns<'_>,
) -> Result<(), StoreError> {
    let (author, bytes, sig) = statement.parts();
    db.prepare_cached(
        "INSERT INTO entry (room, seq, log, digest, kind, chain, author, n, received, bytes, sig, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute((
        room.no,
        at.seq,
        at.log.as_bytes(),
        statement.digest().as_bytes(),
        columns.kind,
        columns.chain,
        author.as_bytes(),
        columns.n,
        now,
        bytes,
        sig.as_bytes(),
        columns.body,
    ))?;
    db.prepare_cached("UPDATE room SET end_seq = ?2, end_log = ?3 WHERE no = ?1")?.execute((
        room.no,
        at.seq,
        at.log.as_bytes(),
    ))?;
    Ok(())
}

/// Returns the entries after `after`, as many as `limit` allows.
pub(super) fn pull(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    room: RoomId,
    after: u64,
    limit: PageLimit,
) -> Result<Pulled, StoreError> {
    let Inside { room, .. } = row::room_of(db, now, agent, room)?;
    if after > room.end.seq {
        return Err(StoreError::BeyondEnd { end: room.end.seq });
    }
    if after < room.base.seq {
        return Err(StoreError::Pruned { base: room.base });
    }
    let log = log_at(db, &room, after)?.ok_or(StoreError::NotFound)?;
    let entries = if after == room.end.seq { Vec::new() } else { entries(db, &room, after, limit)? };
    let seats = seats_of(db, &room, &entries)?;
    Ok(Pulled { start: LogPoint { seq: after, log }, entries, seats, base: room.base, end: room.end })
}

fn entries(db: &Connection, room: &Room, after: u64, limit: PageLimit) -> Result<Vec<Entry>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT seq, author, bytes, sig, body, kind FROM entry WHERE room = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
    )?;
    page(query.query((room.no, after, limit.entries_max))?, limit)
}

/// Collects entries from the columns seq, author, bytes, sig, body, kind, as many as `limit` has room for.
pub(super) fn page(mut rows: Rows<'_>, limit: PageLimit) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    let mut authors = BTreeSet::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        bytes += encoded_bytes(row, limit.bodies)?;
        if authors.insert(row.get::<_, [u8; 32]>(1)?) {
            bytes += SEAT_ENCODED_BYTES_MAX;
        }
        if bytes > limit.bytes_max && !entries.is_empty() {
            break;
        }
        entries.push(row::entry(row, limit.bodies)?);
    }
    Ok(entries)
}

/// Estimates from above how long the entry's JSON is.
fn encoded_bytes(row: &Row<'_>, bodies: bool) -> rusqlite::Result<u64> {
    let text = |column| -> rusqlite::Result<u64> {
        let text = row.get_ref(column)?.as_str_or_null()?.unwrap_or_default();
        let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        let control = text.bytes().filter(|byte| *byte < b' ').count();
        Ok((text.len() + escaped + control * 5) as u64)
    };
    let body = if bodies { text(4)? } else { 0 };
    Ok(text(2)? + body + ENTRY_OVERHEAD_BYTES)
}

/// Returns the statements of the owner's seats among the authors of `entries`.
fn seats_of(db: &Connection, room: &Room, entries: &[Entry]) -> Result<Vec<Signed<Seat>>, StoreError> {
    let mut authors: Vec<AgentId> = entries
        .iter()
        .filter_map(|entry| match &entry.content {
            EntryContent::Message { message, .. } => Some(message.by()),
            EntryContent::Membership(_) => None,
        })
        .collect();
    authors.sort_unstable();
    authors.dedup();
    let mut query = db.prepare_cached("SELECT user, bytes, sig FROM seat WHERE agent = ?1 AND user = ?2")?;
    let mut seats = Vec::new();
    for author in authors {
        let seat = query
            .query_row((author.as_bytes(), room.owner.as_bytes()), |row| row::statement::<Seat>(row, 0))
            .optional()?;
        seats.extend(seat);
    }
    Ok(seats)
}

/// Returns the newest references of a room below `before`.
pub(super) fn handoffs(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    room: RoomId,
    before: Option<u64>,
    limit: u64,
) -> Result<BlobReferences, StoreError> {
    let Inside { room: here, floor, .. } = row::room_of(db, now, agent, room)?;
    let before = before.unwrap_or(here.end.seq + 1);
    let mut query = db.prepare_cached(
        "SELECT reference.seq, reference.blob, coalesce(binding.gone, 1)
         FROM reference LEFT JOIN binding ON binding.room = reference.room AND binding.blob = reference.blob
         WHERE reference.room = ?1 AND reference.seq > ?2 AND reference.seq < ?3
         ORDER BY reference.seq DESC, reference.blob LIMIT ?4",
    )?;
    let rows = query.query_map((here.no, floor, before, limit + 1), |row| {
        Ok(BlobReference {
            room,
            seq: row.get(0)?,
            blob: BlobId::from_bytes(row.get(1)?),
            available: !row.get::<_, bool>(2)?,
        })
    })?;
    page_of(rows, limit, true)
}

/// Returns the references to blobs whose id begins with `prefix` in all rooms of the agent.
pub(super) fn find(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    prefix: &BlobPrefix,
    limit: u64,
) -> Result<BlobReferences, StoreError> {
    let (lowest, highest) = prefix.range();
    let mut query = db.prepare_cached(
        "SELECT reference.seq, reference.blob, coalesce(binding.gone, 1), room.id
         FROM reference INDEXED BY reference_blob
         CROSS JOIN (SELECT room, min(floor) AS floor FROM insider WHERE agent = ?1 AND until > ?2 GROUP BY room) AS own
             ON own.room = reference.room AND own.floor < reference.seq
         JOIN room ON room.no = reference.room
         LEFT JOIN binding ON binding.room = reference.room AND binding.blob = reference.blob
         WHERE reference.blob BETWEEN ?3 AND ?4
         ORDER BY room.no, reference.seq DESC, reference.blob LIMIT ?5",
    )?;
    let parameters = (agent.as_bytes(), now, lowest.as_bytes(), highest.as_bytes(), limit + 1);
    let rows = query.query_map(parameters, |row| {
        Ok(BlobReference {
            room: RoomId::from_bytes(row.get(3)?),
            seq: row.get(0)?,
            blob: BlobId::from_bytes(row.get(1)?),
            available: !row.get::<_, bool>(2)?,
        })
    })?;
    page_of(rows, limit, false)
}

/// Collects at most `limit` references. With `whole_entries`, an entry that was cut is left to the next page, which begins
/// below the last one here.
fn page_of(
    rows: impl Iterator<Item = rusqlite::Result<BlobReference>>,
    limit: u64,
    whole_entries: bool,
) -> Result<BlobReferences, StoreError> {
    let mut references = rows.collect::<Result<Vec<_>, _>>()?;
    let more = references.len() as u64 > limit;
    if more
        && let Some(cut) = references.pop()
        && whole_entries
        && references.first().is_some_and(|first| first.seq != cut.seq)
    {
        references.retain(|reference| reference.seq != cut.seq);
    }
    Ok(BlobReferences { references, more })
}

/// What an entry's JSON holds beside the escaped texts: keys, punctuation, author, signature, sequence number.
const ENTRY_OVERHEAD_BYTES: u64 = 256;
const MINUTE_MS: i64 = 60_000;
