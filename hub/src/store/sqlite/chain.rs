//! The owner's acts and what becomes of members by them: compare-and-append, leaves, and the chain as it is read.

use protocol::frame::ChainPage;
use protocol::id::{Digest, RoomId};
use protocol::key::{AgentId, InviteId};
use protocol::room::{ChainEnd, ChainError, Members, extend};
use protocol::signed::Verified;
use protocol::statement::{LogPoint, Membership, Op, Seat, UnixMillis};
use rusqlite::{Connection, OptionalExtension as _};

use super::log::{self, Columns};
use super::row::{self, Inside, Room};
use crate::store::{Acted, PageLimit, StoreError};

/// Appends an act of the owner, whoever hands it in, or finds that it stands there already.
pub(super) fn append(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    act: &Verified<Membership>,
    members_max: u64,
) -> Result<Acted, StoreError> {
    let id = act.statement().room;
    let is_inside = match row::room_of(db, now, agent, id) {
        Ok(_) => true,
        Err(StoreError::NotFound) => false,
        Err(error) => return Err(error),
    };
    let room = row::find_room(db, id)?.ok_or(StoreError::NotFound)?;
    match take(db, now, &room, act, members_max) {
        // By an act that is not taken, who is not in the room learns nothing of it.
        Err(error) if !is_inside && !error.is_failure() => Err(StoreError::NotFound),
        outcome => outcome,
    }
}

fn take(
    db: &Connection,
    now: UnixMillis,
    room: &Room,
    act: &Verified<Membership>,
    members_max: u64,
) -> Result<Acted, StoreError> {
    let said = act.statement();
    if act.by() != room.owner {
        return Err(StoreError::NotOwner);
    }
    if let Some(seq) = stored(db, room, said.n, act.digest())? {
        return Ok(Acted { seq, is_new: false, told: None });
    }
    let mut members = load(db, room)?;
    let end = members.chain_end();
    if (said.n, said.prev) != (end.n + 1, end.digest) {
        return Err(StoreError::BrokenChain { end });
    }
    if room.is_closed {
        return Err(StoreError::Closed);
    }
    let at = extend(&room.end, &act.digest());
    match &said.op {
        Op::Admit(admit) => {
            log::check_point(db, room, admit.at)?;
            if let Some(invite) = &admit.key {
                check_key(db, now, room, invite)?;
            }
        }
        Op::Remove { agent } => note_seat(db, room, agent, &mut members)?,
        Op::Deny { .. } | Op::Close | Op::Unknown(_) => {}
    }
    members.check_act(&said.op, at.seq, members_max)?;
    members.append(act, at.seq).map_err(|error| match error {
        ChainError::Full => StoreError::TooMany { what: "acts of the owner" },
        // Room, owner, place in the chain and `at` were compared above.
        error => unreachable!("an act that was checked: {error}"),
    })?;
    let columns = Columns { kind: "membership", chain: true, n: said.n, body: None };
    log::append(db, now, room, at, act, &columns)?;
    save(db, room, &members)?;
    settle(db, now, room, &members, &said.op, at.seq)
}

/// Returns where act `n` stands, if it is this one.
fn stored(db: &Connection, room: &Room, n: u64, digest: Digest) -> Result<Option<u64>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT seq FROM entry WHERE room = ?1 AND n = ?2 AND digest = ?3 AND kind = 'membership'",
    )?;
    Ok(query.query_row((room.no, n, digest.as_bytes()), |row| row.get(0)).optional()?)
}

fn check_key(db: &Connection, now: UnixMillis, room: &Room, invite: &InviteId) -> Result<(), StoreError> {
    let mut query =
        db.prepare_cached("SELECT 1 FROM live_key WHERE room = ?1 AND invite = ?2 AND expires > ?3")?;
    let is_live = query.exists((room.no, invite.as_bytes(), now))?;
    if is_live { Ok(()) } else { Err(StoreError::KeyRefused) }
}

/// Tells the members of a seat of the owner, which can be put out. They are kept apart, as seats come with logins.
fn note_seat(db: &Connection, room: &Room, agent: &AgentId, members: &mut Members) -> Result<(), StoreError> {
    let mut query = db.prepare_cached("SELECT user, bytes, sig FROM seat WHERE agent = ?1 AND user = ?2")?;
    let seat = query
        .query_row((agent.as_bytes(), room.owner.as_bytes()), |row| row::statement::<Seat>(row, 0))
        .optional()?;
    if let Some(Ok(seat)) = seat.map(protocol::signed::Signed::verify) {
        members.note_seat(&seat);
    }
    Ok(())
}

/// Carries what `op` at `seq` changes into the rows that requests are checked against.
fn settle(
    db: &Connection,
    now: UnixMillis,
    room: &Room,
    members: &Members,
    op: &Op,
    seq: u64,
) -> Result<Acted, StoreError> {
    let mut acted = Acted { seq, is_new: true, told: None };
    match op {
        Op::Admit(admit) => {
            stand(db, room, members, &admit.agent, seq)?;
            decide(db, now, room, &admit.agent)?;
            if let Some(invite) = &admit.key {
                count_uses(db, room, members, invite)?;
            }
            acted.told = Some(admit.agent);
        }
        Op::Deny { agents } => {
            for agent in agents {
                stand(db, room, members, agent, seq)?;
                decide(db, now, room, agent)?;
            }
        }
        Op::Remove { agent } => {
            stand(db, room, members, agent, seq)?;
            acted.told = Some(*agent);
        }
        Op::Close => {
            db.prepare_cached("UPDATE room SET closed = ?2 WHERE no = ?1")?.execute((room.no, seq))?;
        }
        Op::Unknown(_) => {}
    }
    Ok(acted)
}

/// Writes what chain and leaves say of `agent` behind entry `seq`.
fn stand(
    db: &Connection,
    room: &Room,
    members: &Members,
    agent: &AgentId,
    seq: u64,
) -> Result<(), StoreError> {
    let Some(standing) = members.standing(agent) else { return Ok(()) };
    let stay = standing.admission(seq + 1);
    let floor = match stay {
        Some(stay) if stay.floor > 0 => stay.at,
        _ => LogPoint::start(room.id),
    };
    db.prepare_cached(
        "INSERT INTO standing (room, agent, member, floor, floor_log, denied, removed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (room, agent) DO UPDATE SET member = excluded.member, floor = excluded.floor,
         floor_log = excluded.floor_log, denied = excluded.denied, removed = excluded.removed",
    )?
    .execute((
        room.no,
        agent.as_bytes(),
        stay.is_some(),
        floor.seq,
        floor.log.as_bytes(),
        members.is_denied(agent),
        standing.is_removed(),
    ))?;
    Ok(())
}

/// Marks the agent's request as decided, and keeps it as long again, so that who asked learns of it.
fn decide(db: &Connection, now: UnixMillis, room: &Room, agent: &AgentId) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE request SET decided = 1, expires = ?3 + (expires - first_seen)
         WHERE room = ?1 AND agent = ?2 AND decided = 0",
    )?
    .execute((room.no, agent.as_bytes(), now))?;
    Ok(())
}

fn count_uses(db: &Connection, room: &Room, members: &Members, invite: &InviteId) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE session_key SET uses = ?3 WHERE room = ?1 AND invite = ?2")?.execute((
        room.no,
        invite.as_bytes(),
        members.uses(invite),
    ))?;
    Ok(())
}

/// Ends the stay of a member that leaves by its message at `seq`.
pub(super) fn leave(db: &Connection, room: &Room, agent: &AgentId, seq: u64) -> Result<(), StoreError> {
    let mut members = load(db, room)?;
    members.note_leave(agent, seq);
    save(db, room, &members)?;
    stand(db, room, &members, agent, seq)
}

/// Reads who is in the room.
pub(super) fn load(db: &Connection, room: &Room) -> Result<Members, StoreError> {
    let mut query = db.prepare_cached("SELECT members FROM members WHERE room = ?1")?;
    let kept = query.query_row((room.no,), |row| row::json(row, 0)).optional()?;
    Ok(kept.unwrap_or_else(|| Members::of(room.id, room.owner, room.kind)))
}

fn save(db: &Connection, room: &Room, members: &Members) -> Result<(), StoreError> {
    db.prepare_cached("INSERT OR REPLACE INTO members (room, members) VALUES (?1, ?2)")?
        .execute((room.no, protocol::json::write(members)))?;
    Ok(())
}

/// Returns the acts and the headers of messages that leave, after `after`.
pub(super) fn chain(
    db: &Connection,
    now: UnixMillis,
    agent: AgentId,
    room: RoomId,
    after: u64,
    limit: PageLimit,
) -> Result<ChainPage, StoreError> {
    let Inside { room, .. } = row::room_of(db, now, agent, room)?;
    let mut query = db.prepare_cached(
        "SELECT seq, author, bytes, sig, NULL, kind FROM entry WHERE room = ?1 AND seq > ?2 AND chain = 1
         ORDER BY seq LIMIT ?3",
    )?;
    let limit = PageLimit { bodies: false, ..limit };
    let entries = log::page(query.query((room.no, after, limit.entries_max))?, limit)?;
    let last = entries.last().map_or(after, |entry| entry.seq);
    let more = db
        .prepare_cached("SELECT 1 FROM entry WHERE room = ?1 AND seq > ?2 AND chain = 1")?
        .exists((room.no, last))?;
    Ok(ChainPage { entries, more, end: chain_end(db, &room)? })
}

fn chain_end(db: &Connection, room: &Room) -> Result<ChainEnd, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT n, digest FROM entry WHERE room = ?1 AND kind = 'membership' ORDER BY n DESC LIMIT 1",
    )?;
    let end = query.query_row((room.no,), |row| {
        Ok(ChainEnd { n: row.get(0)?, digest: Digest::from_bytes(row.get(1)?) })
    });
    Ok(end.optional()?.unwrap_or(ChainEnd { n: 0, digest: room.id.into() }))
}
