//! Session keys, and who asks to join by them.

use protocol::conn::hub::{Access, PassQuestion};
use protocol::frame::{AskToJoin, JoinRequest, JoinStanding, JoinerState, KeyRow, RequestList};
use protocol::id::{Digest, RoomId};
use protocol::key::{AgentId, InviteId};
use protocol::signed::Verified;
use protocol::statement::{Genesis, Join, Key, RoomKind, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _};

use super::row::{self, Room};
use crate::limits::{DEAD_REQUEST_KEPT_MS, OWNERS_TOLD_MAX};
use crate::store::{Ask, Filed, JoinLook, RequestLimits, StoreError};

/// Keeps the owner's word on a session key; the same again is fine.
pub(super) fn put_key(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    key: &Verified<Key>,
    keys_max: u64,
) -> Result<(), StoreError> {
    let said = key.statement();
    let room = row::room_of(db, now, agent, said.room)?.owned()?;
    if key.by() != room.owner || room.kind != RoomKind::Session {
        return Err(StoreError::ForeignKey);
    }
    if room.is_closed {
        return Err(StoreError::Closed);
    }
    let (user, bytes, sig) = key.parts();
    let kept: Option<String> = db
        .prepare_cached("SELECT bytes FROM session_key WHERE room = ?1 AND invite = ?2")?
        .query_row((room.no, said.invite.as_bytes()), |row| row.get(0))
        .optional()?;
    if let Some(kept) = kept {
        return if kept == bytes { Ok(()) } else { Err(StoreError::ForeignKey) };
    }
    let count = || -> Result<u64, StoreError> {
        let mut query = db.prepare_cached("SELECT count(*) FROM session_key WHERE room = ?1")?;
        Ok(query.query_row((room.no,), |row| row.get(0))?)
    };
    if count()? >= keys_max {
        // What has expired admits nobody and makes room; what was revoked has to stay so until then.
        db.prepare_cached("DELETE FROM session_key WHERE room = ?1 AND expires <= ?2")?
            .execute((room.no, now))?;
    }
    if count()? >= keys_max {
        return Err(StoreError::TooMany { what: "keys" });
    }
    let parameters = (
        room.no,
        said.invite.as_bytes(),
        said.expires,
        said.max_uses,
        super::chain::load(db, &room)?.uses(&said.invite),
        user.as_bytes(),
        bytes,
        sig.as_bytes(),
    );
    db.prepare_cached(
        "INSERT INTO session_key (room, invite, expires, max_uses, uses, user, bytes, sig)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(parameters)?;
    Ok(())
}

/// Ends a session key; again is fine.
pub(super) fn revoke_key(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    room: RoomId,
    invite: InviteId,
) -> Result<(), StoreError> {
    let room = row::room_of(db, now, agent, room)?.owned()?;
    let mut revoke =
        db.prepare_cached("UPDATE session_key SET revoked = 1 WHERE room = ?1 AND invite = ?2")?;
    match revoke.execute((room.no, invite.as_bytes()))? {
        0 => Err(StoreError::NotFound),
        _ => Ok(()),
    }
}

/// What is on file of an agent that asks.
struct OnFile {
    id: Digest,
    is_pending: bool,
}

/// Files a request to join. Whatever is wrong with its key, and whoever was denied, is answered alike.
pub(super) fn join(
    db: &Connection,
    now: UnixMillis,
    ask: &Ask,
    limits: RequestLimits,
) -> Result<Filed, StoreError> {
    let (agent, said) = (ask.join.by(), ask.join.statement());
    let room = room_of_key(db, &ask.join)?.ok_or(StoreError::KeyRefused)?;
    if is_denied(db, &room, agent)? {
        return Err(StoreError::KeyRefused);
    }
    let is_inside = is_inside(db, now, &room, agent)?;
    let on_file = on_file(db, now, &room, agent)?;
    let is_live = db
        .prepare_cached("SELECT 1 FROM live_key WHERE room = ?1 AND invite = ?2 AND expires > ?3")?
        .exists((room.no, said.invite.as_bytes(), now))?;
    match on_file {
        // Who is in learns so by a key that ended too: its own admission may have used it up, or its request be forgotten.
        _ if !is_live && !is_inside => return Err(StoreError::KeyRefused),
        Some(known) if is_inside || known.is_pending => {
            return Ok(Filed { request: known.id, room: room.id, owners: Vec::new() });
        }
        _ => {}
    }
    if !is_inside {
        check_share(db, now, &room, &said.invite, &ask.address, limits)?;
    }
    db.prepare_cached("DELETE FROM request WHERE room = ?1 AND agent = ?2")?
        .execute((room.no, agent.as_bytes()))?;
    let handed_in =
        AskToJoin { join: ask.join.signed().clone(), ask: ask.ask.clone(), seat: ask.seat.clone() };
    db.prepare_cached(
        "INSERT INTO request (id, room, agent, invite, address, first_seen, expires, decided, ask)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute((
        ask.join.digest().as_bytes(),
        room.no,
        agent.as_bytes(),
        said.invite.as_bytes(),
        &ask.address,
        now,
        now.saturating_add(limits.kept_ms),
        is_inside,
        protocol::json::write(&handed_in),
    ))?;
    let owners = if is_inside { Vec::new() } else { owners(db, now, &room)? };
    Ok(Filed { request: ask.join.digest(), room: room.id, owners })
}

/// Returns the room that the statement asks for, if the invite is one of its keys, live or not.
fn room_of_key(db: &Connection, join: &Verified<Join>) -> Result<Option<Room>, StoreError> {
    let said = join.statement();
    let mut query = db.prepare_cached(
        "SELECT room.id FROM session_key JOIN room ON room.no = session_key.room
         WHERE session_key.invite = ?1 AND substr(room.id, 1, 12) = ?2",
    )?;
    let id = query
        .query_row((said.invite.as_bytes(), said.room12.as_bytes()), |row| row.get(0))
        .optional()?
        .map(RoomId::from_bytes);
    id.map_or(Ok(None), |id| row::find_room(db, id))
}

fn is_denied(db: &Connection, room: &Room, agent: AgentId) -> Result<bool, StoreError> {
    let mut query =
        db.prepare_cached("SELECT 1 FROM standing WHERE room = ?1 AND agent = ?2 AND denied = 1")?;
    Ok(query.exists((room.no, agent.as_bytes()))?)
}

fn is_inside(db: &Connection, now: UnixMillis, room: &Room, agent: AgentId) -> Result<bool, StoreError> {
    match row::room_of(db, now, agent, room.id) {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

fn on_file(
    db: &Connection,
    now: UnixMillis,
    room: &Room,
    agent: AgentId,
) -> Result<Option<OnFile>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT request.id, EXISTS (SELECT 1 FROM pending WHERE no = request.no AND until > ?3)
         FROM request WHERE request.room = ?1 AND request.agent = ?2",
    )?;
    let found = query.query_row((room.no, agent.as_bytes(), now), |row| {
        Ok(OnFile { id: Digest::from_bytes(row.get(0)?), is_pending: row.get(1)? })
    });
    Ok(found.optional()?)
}

/// Refuses a request when as many wait by its key, or by its key from its address, as may.
fn check_share(
    db: &Connection,
    now: UnixMillis,
    room: &Room,
    invite: &InviteId,
    address: &str,
    limits: RequestLimits,
) -> Result<(), StoreError> {
    let (all, here): (u64, u64) = db
        .prepare_cached(
            "SELECT count(*), count(*) FILTER (WHERE address = ?3) FROM request
             WHERE room = ?1 AND invite = ?2 AND decided = 0 AND expires > ?4",
        )?
        .query_row((room.no, invite.as_bytes(), address, now), |row| Ok((row.get(0)?, row.get(1)?)))?;
    // Over the socket of this machine nobody has an address, and those are not one.
    if all >= limits.per_key_max || !address.is_empty() && here >= limits.per_address_max {
        return Err(StoreError::TooMany { what: "requests to join that wait" });
    }
    Ok(())
}

/// Returns the seats of the room's owner, as far as they are told.
fn owners(db: &Connection, now: UnixMillis, room: &Room) -> Result<Vec<AgentId>, StoreError> {
    let mut query =
        db.prepare_cached("SELECT agent FROM insider WHERE room = ?1 AND owner = 1 AND until > ?2 LIMIT ?3")?;
    let rows = query.query_map((room.no, now, OWNERS_TOLD_MAX), |row| row.get(0).map(AgentId::from_bytes))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns what became of the agent's own request.
pub(super) fn join_state(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    request: Digest,
) -> Result<JoinLook, StoreError> {
    let found = db
        .prepare_cached(
            "SELECT room.id, request.decided, request.expires > ?3, room.owner, room.bytes, room.sig,
                 EXISTS (SELECT 1 FROM pending WHERE no = request.no AND until > ?3)
             FROM request JOIN room ON room.no = request.room
             WHERE request.id = ?1 AND request.agent = ?2",
        )?
        .query_row((request.as_bytes(), agent.as_bytes(), now), |row| {
            let id = RoomId::from_bytes(row.get(0)?);
            let (is_decided, is_kept): (bool, bool) = (row.get(1)?, row.get(2)?);
            Ok((id, is_decided, is_kept, row::statement::<Genesis>(row, 3)?, row.get(6)?))
        })
        .optional()?;
    let (id, is_decided, is_kept, genesis, is_pending): (_, _, _, _, bool) =
        found.ok_or(StoreError::NotFound)?;
    let room = row::find_room(db, id)?.ok_or(StoreError::NotFound)?;
    let (state, genesis) = if is_denied(db, &room, agent)? {
        (JoinerState::Denied, None)
    } else if is_inside(db, now, &room, agent)? {
        (JoinerState::Member, Some(genesis))
    } else if is_decided {
        (JoinerState::Removed, None)
    } else if is_pending {
        (JoinerState::Pending, None)
    } else {
        return Err(if is_kept { StoreError::KeyRefused } else { StoreError::NotFound });
    };
    Ok(JoinLook { room: id, standing: JoinStanding { state, genesis } })
}

/// Lists the requests of a room that wait, and with the first of them its keys.
pub(super) fn requests(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    room: RoomId,
    after: Option<Digest>,
    limit: usize,
) -> Result<RequestList, StoreError> {
    let room = row::room_of(db, now, agent, room)?.owned()?;
    let keys = if after.is_none() { keys(db, &room)? } else { Vec::new() };
    let mut query = db.prepare_cached(
        "SELECT pending.ask, session_key.user, session_key.bytes, session_key.sig, pending.first_seen
         FROM pending JOIN session_key ON session_key.room = pending.room AND session_key.invite = pending.invite
         WHERE pending.room = ?1 AND pending.until > ?2
             AND pending.no > coalesce((SELECT no FROM request WHERE id = ?3), 0)
         ORDER BY pending.no LIMIT ?4",
    )?;
    let after = after.as_ref().map(Digest::as_bytes);
    let rows = query.query_map((room.no, now, after, limit + 1), |row| {
        let ask = row::json(row, 0)?;
        Ok(JoinRequest { ask, key: row::statement(row, 1)?, first_seen: row.get(4)? })
    })?;
    let mut requests = rows.collect::<Result<Vec<_>, _>>()?;
    let more = requests.len() > limit;
    requests.truncate(limit);
    Ok(RequestList { requests, more, keys })
}

fn keys(db: &Connection, room: &Room) -> Result<Vec<KeyRow>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT user, bytes, sig, uses, revoked FROM session_key WHERE room = ?1 ORDER BY no",
    )?;
    let rows = query.query_map((room.no,), |row| {
        Ok(KeyRow { key: row::statement(row, 0)?, uses: row.get(3)?, revoked: row.get(4)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the rooms of the agent's own user in which somebody waits.
pub(super) fn awaiting(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    limit: usize,
) -> Result<Vec<RoomId>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT room.id FROM insider JOIN room ON room.no = insider.room
         WHERE insider.agent = ?1 AND insider.owner = 1 AND insider.until > ?2
             AND EXISTS (SELECT 1 FROM pending WHERE pending.room = room.no AND pending.until > ?2)
         ORDER BY room.no LIMIT ?3",
    )?;
    let rows = query.query_map((agent.as_bytes(), now, limit), |row| row.get(0).map(RoomId::from_bytes))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Says what somebody without the join key may do at a closed hub. Who brings the word of another user than the one whose rooms
/// it is a seat in is a guest, whose word is not kept: it would outlast the seat.
pub(super) fn pass(
    db: &Connection,
    now: UnixMillis,
    question: PassQuestion,
) -> Result<Option<Access>, StoreError> {
    let owns: Option<bool> = db
        .prepare_cached(
            "SELECT max(insider.owner AND (?3 IS NULL OR room.owner = ?3)) FROM insider
             JOIN room ON room.no = insider.room WHERE insider.agent = ?1 AND insider.until > ?2",
        )?
        .query_row((question.agent.as_bytes(), now, question.user.map(|user| *user.as_bytes())), |row| {
            row.get(0)
        })?;
    if let Some(owns) = owns {
        return Ok(Some(if owns { Access::Full } else { Access::Guest }));
    }
    let Some(invite) = question.invite else { return Ok(None) };
    let is_live = db
        .prepare_cached("SELECT 1 FROM live_key WHERE invite = ?1 AND expires > ?2")?
        .exists((invite.as_bytes(), now))?;
    Ok(is_live.then_some(Access::Join(invite)))
}

/// Drops requests that are over.
pub(super) fn expire(db: &Connection, now: UnixMillis, batch_rows: u64) -> Result<usize, StoreError> {
    let over = db
        .prepare_cached(
            "DELETE FROM request WHERE no IN (SELECT no FROM request WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
        )?
        .execute((now, batch_rows))?;
    Ok(over)
}

/// Has requests whose key admits nobody any more be over in a day: until then who asked is told so.
pub(super) fn shorten_dead(db: &Connection, now: UnixMillis) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE request SET expires = ?2 WHERE decided = 0 AND expires > ?2
             AND NOT EXISTS (SELECT 1 FROM live_key WHERE live_key.room = request.room
                 AND live_key.invite = request.invite AND live_key.expires > ?1)",
    )?
    .execute((now, now.saturating_add(DEAD_REQUEST_KEPT_MS)))?;
    Ok(())
}
