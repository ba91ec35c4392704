//! What the lying hub knows and answers: rooms, keys, requests to join and cursors, in memory and by the rules of an honest hub.

use std::collections::BTreeMap;

use protocol::conn::hub::{Access, Identity, PassQuestion};
use protocol::frame::{
    Ack, Acked, Answer, Append, Appended, AskToJoin, Asked, BlobReference, BlobReferences, Chain, ChainPage,
    Empty, Entry, EntryContent, Event, JoinRequest, JoinStanding, JoinState, JoinerState, KeyRow, OpenRoom,
    OpenedRoom, Post, Posted, Pull, Pulled, PutKey, Request, RequestList, RevokeKey, RoomList, RoomRow,
    Rooms,
};
use protocol::id::{BlobId, Digest, RoomId};
use protocol::key::{AgentId, HubId, InviteId, UserId};
use protocol::refusal::{Refusal, RefusalCode};
use protocol::room::{check_ask, room_id};
use protocol::signed::Verified;
use protocol::statement::{Key, LogPoint, Op, Role, RoomKind, UnixMillis};

use super::log::{Log, Seats};

/// Everything that the hub keeps.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) logs: BTreeMap<RoomId, Log>,
    /// What an agent is shown instead.
    pub(super) shown: BTreeMap<(AgentId, RoomId), Log>,
    pub(super) blobs: BTreeMap<BlobId, Vec<u8>>,
    pub(super) seats: Seats,
    pub(super) events: Vec<(Audience, Event)>,
    keys: BTreeMap<InviteId, KnownKey>,
    requests: Vec<Filed>,
    cursors: BTreeMap<(AgentId, RoomId, String), u64>,
}

/// Whom an event is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    Agent(AgentId),
    Owner(UserId),
}

struct KnownKey {
    key: Verified<Key>,
    is_revoked: bool,
}

struct Filed {
    request: Digest,
    agent: AgentId,
    room: RoomId,
    invite: InviteId,
    ask: AskToJoin,
    first_seen: UnixMillis,
    /// Whether the owner has let its author in since, or turned them away.
    is_decided: bool,
}

/// Who asks, and when.
pub(super) struct Asker<'a> {
    pub(super) identity: &'a Identity,
    pub(super) hub: HubId,
    pub(super) now: UnixMillis,
}

impl Asker<'_> {
    pub(super) fn agent(&self) -> AgentId {
        self.identity.agent
    }

    fn user(&self) -> Option<UserId> {
        self.identity.seat.as_ref().map(Verified::by)
    }
}

type Outcome = Result<Answer, Refusal>;

impl Shelf {
    /// Takes note of who has logged in.
    pub(super) fn greet(&mut self, identity: &Identity) {
        let Some(seat) = identity.seat.as_ref().filter(|_| identity.access == Access::Full) else { return };
        let known = self.seats.entry(identity.agent).or_default();
        if !known.contains(seat.signed()) {
            known.push(seat.signed().clone());
        }
        self.logs.values_mut().chain(self.shown.values_mut()).for_each(|log| log.members.note_seat(seat));
    }

    /// Says what a login without the join key opens.
    pub(super) fn pass(&self, question: &PassQuestion, now: UnixMillis) -> Option<Access> {
        let is_of_its_user = |log: &Log| question.user.is_none_or(|user| user == log.owner());
        let access = |log: &Log| match log.members.role(&question.agent, u64::MAX, now)? {
            Role::Owner if is_of_its_user(log) => Some(Access::Full),
            _ => Some(Access::Guest),
        };
        let found: Vec<_> = self.logs.values().filter_map(access).collect();
        let invite = question.invite.filter(|invite| self.is_live(invite, now));
        let inside = found.iter().find(|access| **access == Access::Full).or(found.first());
        inside.copied().or(invite.map(Access::Join))
    }

    /// Answers as an honest hub would.
    pub(super) fn answer(&mut self, asker: &Asker<'_>, request: Request) -> Outcome {
        let may_ask_to_join_only = matches!(asker.identity.access, Access::Join(_));
        if may_ask_to_join_only && !matches!(request, Request::Join(_) | Request::JoinState(_)) {
            return Err(Refusal::not_found());
        }
        match request {
            Request::Rooms(list) => Ok(self.rooms(asker, &list)),
            Request::OpenRoom(open) => self.open_room(asker, open),
            Request::Append(append) => self.append(asker, append),
            Request::Post(post) => self.post(asker, post),
            Request::Pull(pull) => self.pull(asker, &pull),
            Request::Chain(chain) => self.chain(asker, &chain),
            Request::Handoffs(wanted) => {
                let log = self.log(asker, wanted.room)?;
                let is_wanted =
                    |reference: &BlobReference| wanted.before.is_none_or(|before| reference.seq < before);
                let found = self.references(log).into_iter().filter(is_wanted).collect();
                Ok(Answer::Handoffs(BlobReferences { references: found, more: false }))
            }
            Request::Find(find) => {
                let rooms: Vec<_> = self.logs.keys().copied().collect();
                let logs = rooms.into_iter().filter_map(|room| self.log(asker, room).ok());
                let found = logs.flat_map(|log| self.references(log));
                let references = found.filter(|reference| find.prefix.matches(&reference.blob)).collect();
                Ok(Answer::Find(BlobReferences { references, more: false }))
            }
            Request::Ack(ack) => self.ack(asker, ack),
            Request::PutKey(PutKey { key }) => self.put_key(asker, key),
            Request::RevokeKey(revoke) => self.revoke_key(asker, &revoke),
            Request::Join(ask) => self.join(asker, *ask),
            Request::JoinState(wanted) => self.join_state(asker, &wanted),
            Request::Requests(wanted) => self.requests(asker, wanted.room, wanted.after),
            Request::GetBlob(_) => Err(Refusal::not_found()),
            Request::PutBlob(_) | Request::Cancel(_) | Request::Ping(_) => {
                unreachable!("answered before they come here")
            }
        }
    }

    /// Returns the log that the asker is shown, if it is in the room.
    pub(super) fn log(&self, asker: &Asker<'_>, room: RoomId) -> Result<&Log, Refusal> {
        let log = self.shown.get(&(asker.agent(), room)).or_else(|| self.logs.get(&room));
        let log = log.ok_or_else(Refusal::not_found)?;
        let next = log.end().seq + 1;
        let is_member = log.is_forged || log.members.role(&asker.agent(), next, asker.now).is_some();
        if is_member { Ok(log) } else { Err(Refusal::not_found()) }
    }

    /// Says whether the asker is in the room, whatever it is shown of it.
    fn is_inside(&self, asker: &Asker<'_>, room: RoomId) -> bool {
        let log = &self.logs[&room];
        log.members.role(&asker.agent(), log.end().seq + 1, asker.now).is_some()
    }

    fn log_mut(&mut self, asker: &Asker<'_>, room: RoomId) -> Result<&mut Log, Refusal> {
        self.log(asker, room)?;
        match self.shown.get_mut(&(asker.agent(), room)) {
            Some(log) => Ok(log),
            None => self.logs.get_mut(&room).ok_or_else(Refusal::not_found),
        }
    }

    fn owned(&self, asker: &Asker<'_>, room: RoomId) -> Result<&Log, Refusal> {
        let log = self.log(asker, room)?;
        if asker.user() == Some(log.owner()) { Ok(log) } else { Err(refusal(RefusalCode::NotOwner)) }
    }

    fn rooms(&self, asker: &Asker<'_>, list: &Rooms) -> Answer {
        let rooms = self.logs.keys().filter(|room| list.after.is_none_or(|after| **room > after));
        let row = |room: &RoomId| {
            let log = self.log(asker, *room).ok()?;
            let cursor = list.reader.as_ref().map(|reader| self.cursor(asker, *room, reader));
            let is_owner = asker.user() == Some(log.owner());
            let pending = is_owner.then(|| self.pending(*room, asker.now).count() as u64);
            Some(RoomRow {
                room: *room,
                genesis: log.genesis.signed().clone(),
                end: log.end(),
                cursor,
                pending,
            })
        };
        Answer::Rooms(RoomList { rooms: rooms.filter_map(row).collect(), more: false })
    }

    fn open_room(&mut self, asker: &Asker<'_>, open: OpenRoom) -> Outcome {
        if asker.identity.access == Access::Guest {
            return Err(refusal(RefusalCode::LoginRefused));
        }
        let genesis = open.genesis.verify().map_err(|_| refusal(RefusalCode::BadStatement))?;
        let is_here = genesis.statement().hub == asker.hub && asker.user() == Some(genesis.by());
        if !is_here || genesis.statement().kind == RoomKind::Service {
            return Err(refusal(RefusalCode::BadRequest));
        }
        let room = room_id(&genesis);
        if !self.logs.contains_key(&room) {
            let mut log = Log::new(genesis);
            log.note_seats(&self.seats);
            self.logs.insert(room, log);
        }
        Ok(Answer::OpenRoom(OpenedRoom { room, end: self.log(asker, room)?.end() }))
    }

    fn append(&mut self, asker: &Asker<'_>, append: Append) -> Outcome {
        let log = self.log(asker, append.room)?;
        let act = append.membership.verify().map_err(|_| refusal(RefusalCode::BadStatement))?;
        if act.by() != log.owner() {
            return Err(refusal(RefusalCode::NotOwner));
        }
        if let Some(seq) = log.find(&act.digest()) {
            return Ok(Answer::Append(Appended { seq }));
        }
        let end = log.members.chain_end();
        if (act.statement().n, act.statement().prev) != (end.n + 1, end.digest) {
            return Err(Refusal { chain: Some(Box::new(end)), ..refusal(RefusalCode::Conflict) });
        }
        let next = log.end().seq + 1;
        if log.members.check_act(&act.statement().op, next, 256).is_err() {
            return Err(refusal(RefusalCode::BadRequest));
        }
        if let Op::Admit(admit) = &act.statement().op {
            if !log.is_forged && log.point(admit.at.seq) != Some(admit.at) {
                return Err(refusal(RefusalCode::Stale));
            }
            if admit.key.is_some_and(|invite| !self.is_live(&invite, asker.now)) {
                return Err(Refusal::key_refused());
            }
        }
        let seq = self.log_mut(asker, append.room)?.push(EntryContent::Membership(act.signed().clone()));
        let is_decided = |agent: &AgentId| match &act.statement().op {
            Op::Admit(admit) => admit.agent == *agent,
            Op::Deny { agents } => agents.contains(agent),
            Op::Remove { .. } | Op::Close | Op::Unknown(_) => false,
        };
        for filed in self.requests.iter_mut().filter(|filed| filed.room == append.room) {
            filed.is_decided |= is_decided(&filed.agent);
        }
        let (Op::Admit(_) | Op::Deny { .. } | Op::Remove { .. }) = &act.statement().op else {
            return Ok(Answer::Append(Appended { seq }));
        };
        let event = Event { event: Event::ROOMS.into(), room: Some(append.room) };
        let told = self.requests.iter().filter(|filed| filed.room == append.room).map(|filed| filed.agent);
        let told: Vec<_> = told.map(|agent| (Audience::Agent(agent), event.clone())).collect();
        self.events.extend(told);
        Ok(Answer::Append(Appended { seq }))
    }

    fn post(&mut self, asker: &Asker<'_>, post: Post) -> Outcome {
        let log = self.log(asker, post.room)?;
        let said = post.message.clone().verify().map_err(|_| refusal(RefusalCode::BadStatement))?;
        let statement = said.statement();
        let is_whole = statement.room == post.room && statement.body == Digest::of(post.body.as_bytes());
        if said.by() != asker.agent() || !is_whole {
            return Err(refusal(RefusalCode::BadStatement));
        }
        if let Some(seq) = log.find(&said.digest()) {
            return Ok(Answer::Post(Posted { seq }));
        }
        if log.members.closed().is_some() {
            return Err(refusal(RefusalCode::Closed));
        }
        if !log.is_forged {
            let next_n = log.messages_of(&said.by()) + 1;
            if statement.n != next_n {
                return Err(Refusal { next_n: Some(next_n), ..refusal(RefusalCode::Conflict) });
            }
            if log.point(statement.head.seq) != Some(statement.head) {
                return Err(refusal(RefusalCode::Stale));
            }
        }
        let content = EntryContent::Message { message: post.message, body: Some(post.body) };
        Ok(Answer::Post(Posted { seq: self.log_mut(asker, post.room)?.push(content) }))
    }

    fn pull(&self, asker: &Asker<'_>, pull: &Pull) -> Outcome {
        let log = self.log(asker, pull.room)?;
        let start = LogPoint::start(pull.room);
        let admitted = log.members.standing(&asker.agent()).and_then(|standing| standing.newest());
        let base = admitted.filter(|stay| stay.floor > 0).map_or(start, |stay| stay.at);
        if pull.after < base.seq {
            return Err(Refusal { base: Some(Box::new(base)), ..refusal(RefusalCode::Pruned) });
        }
        let start = log.point(pull.after).ok_or_else(|| refusal(RefusalCode::BadRequest))?;
        let limit = usize::try_from(pull.limit.min(PAGE_ENTRIES_MAX)).unwrap_or(usize::MAX);
        let behind = usize::try_from(pull.after).unwrap_or(usize::MAX);
        let mut entries: Vec<Entry> = log.entries().iter().skip(behind).take(limit).cloned().collect();
        if !pull.bodies {
            for entry in &mut entries {
                if let EntryContent::Message { body, .. } = &mut entry.content {
                    *body = None;
                }
            }
        }
        let seats = self.seats.values().flatten().filter(|seat| seat.by() == log.owner()).cloned().collect();
        Ok(Answer::Pull(Pulled { start, entries, seats, base, end: log.end() }))
    }

    fn chain(&self, asker: &Asker<'_>, chain: &Chain) -> Outcome {
        let log = self.log(asker, chain.room)?;
        let entries = log.entries().iter().filter(|entry| entry.seq > chain.after).filter_map(|entry| {
            let content = match &entry.content {
                EntryContent::Membership(_) => entry.content.clone(),
                EntryContent::Message { message, .. } => {
                    let said = message.clone().verify().ok()?;
                    said.statement()
                        .leave
                        .then(|| EntryContent::Message { message: message.clone(), body: None })?
                }
            };
            Some(Entry { seq: entry.seq, content })
        });
        let entries = entries.collect();
        Ok(Answer::Chain(ChainPage { entries, more: false, end: log.members.chain_end() }))
    }

    fn references(&self, log: &Log) -> Vec<BlobReference> {
        let row = |(seq, blob)| BlobReference {
            room: log.room(),
            seq,
            blob,
            available: self.blobs.contains_key(&blob),
        };
        log.references().into_iter().map(row).collect()
    }

    fn cursor(&self, asker: &Asker<'_>, room: RoomId, reader: &str) -> u64 {
        self.cursors.get(&(asker.agent(), room, reader.to_owned())).copied().unwrap_or(0)
    }

    fn ack(&mut self, asker: &Asker<'_>, ack: Ack) -> Outcome {
        if ack.seq > self.log(asker, ack.room)?.end().seq {
            return Err(refusal(RefusalCode::BadRequest));
        }
        let cursor = self.cursors.entry((asker.agent(), ack.room, ack.reader)).or_default();
        *cursor = ack.seq.max(*cursor);
        Ok(Answer::Ack(Acked { cursor: *cursor }))
    }

    fn put_key(&mut self, asker: &Asker<'_>, key: protocol::signed::Signed<Key>) -> Outcome {
        let key = key.verify().map_err(|_| refusal(RefusalCode::BadStatement))?;
        if self.owned(asker, key.statement().room)?.owner() != key.by() {
            return Err(refusal(RefusalCode::NotOwner));
        }
        self.keys.entry(key.statement().invite).or_insert(KnownKey { key, is_revoked: false });
        Ok(Answer::PutKey(Empty {}))
    }

    fn revoke_key(&mut self, asker: &Asker<'_>, revoke: &RevokeKey) -> Outcome {
        self.owned(asker, revoke.room)?;
        let known =
            self.keys.get_mut(&revoke.invite).filter(|known| known.key.statement().room == revoke.room);
        known.ok_or_else(Refusal::not_found)?.is_revoked = true;
        Ok(Answer::RevokeKey(Empty {}))
    }

    fn is_live(&self, invite: &InviteId, now: UnixMillis) -> bool {
        self.keys.get(invite).is_some_and(|known| {
            let key = known.key.statement();
            let members = &self.logs[&key.room].members;
            let is_over = members.closed().is_some() || members.uses(invite) >= key.max_uses;
            !known.is_revoked && now < key.expires && !is_over
        })
    }

    fn join(&mut self, asker: &Asker<'_>, ask: AskToJoin) -> Outcome {
        let (join, _) = check_ask(&ask).map_err(|_| refusal(RefusalCode::BadStatement))?;
        let (invite, agent) = (join.statement().invite, asker.agent());
        let room = self.keys.get(&invite).map(|known| known.key.statement().room);
        let room = room.filter(|room| join.by() == agent && join.statement().room12 == room.room12());
        let room = room.ok_or_else(Refusal::key_refused)?;
        let is_inside = self.is_inside(asker, room);
        let log = &self.logs[&room];
        if log.members.is_denied(&agent) || !is_inside && !self.is_live(&invite, asker.now) {
            return Err(Refusal::key_refused());
        }
        let is_of_asker = |filed: &Filed| (filed.agent, filed.room) == (agent, room);
        let filed = self.requests.iter().find(|filed| is_of_asker(filed));
        if let Some(filed) = filed.filter(|filed| is_inside || self.waits(filed, asker.now)) {
            return Ok(Answer::Join(Asked { request: filed.request }));
        }
        let (owner, request) = (log.owner(), join.digest());
        self.requests.retain(|filed| !is_of_asker(filed));
        let first_seen = asker.now;
        self.requests.push(Filed { request, agent, room, invite, ask, first_seen, is_decided: is_inside });
        if is_inside {
            return Ok(Answer::Join(Asked { request }));
        }
        self.events.push((Audience::Owner(owner), Event { event: Event::REQUESTS.into(), room: Some(room) }));
        Ok(Answer::Join(Asked { request }))
    }

    fn join_state(&self, asker: &Asker<'_>, wanted: &JoinState) -> Outcome {
        let ours = |filed: &&Filed| filed.request == wanted.request && filed.agent == asker.agent();
        let filed = self.requests.iter().find(ours).ok_or_else(Refusal::not_found)?;
        let log = &self.logs[&filed.room];
        let state = match () {
            () if log.members.is_denied(&asker.agent()) => JoinerState::Denied,
            () if self.is_inside(asker, filed.room) => JoinerState::Member,
            () if filed.is_decided => JoinerState::Removed,
            () if self.waits(filed, asker.now) => JoinerState::Pending,
            () => return Err(Refusal::key_refused()),
        };
        let genesis = (state == JoinerState::Member).then(|| log.genesis.signed().clone());
        Ok(Answer::JoinState(JoinStanding { state, genesis }))
    }

    /// Says whether a request waits for a decision: none by a key that admits nobody does.
    fn waits(&self, filed: &Filed, now: UnixMillis) -> bool {
        !filed.is_decided && self.is_live(&filed.invite, now)
    }

    fn pending(&self, room: RoomId, now: UnixMillis) -> impl Iterator<Item = &Filed> {
        self.requests.iter().filter(move |filed| filed.room == room && self.waits(filed, now))
    }

    fn requests(&self, asker: &Asker<'_>, room: RoomId, after: Option<Digest>) -> Outcome {
        let log = self.owned(asker, room)?;
        let row = |filed: &Filed| JoinRequest {
            ask: filed.ask.clone(),
            key: self.keys[&filed.invite].key.signed().clone(),
            first_seen: filed.first_seen,
        };
        let mut pending: Vec<_> = self.pending(room, asker.now).collect();
        if let Some(after) = after {
            let at = pending.iter().position(|filed| filed.request == after);
            pending.drain(..at.map_or(0, |at| at + 1));
        }
        let of_room = |known: &&KnownKey| known.key.statement().room == room;
        let key = |known: &KnownKey| KeyRow {
            key: known.key.signed().clone(),
            uses: log.members.uses(&known.key.statement().invite),
            revoked: known.is_revoked,
        };
        let keys =
            if after.is_none() { self.keys.values().filter(of_room).map(key).collect() } else { Vec::new() };
        let requests = pending.into_iter().map(row).collect();
        Ok(Answer::Requests(RequestList { requests, more: false, keys }))
    }
}

fn refusal(code: RefusalCode) -> Refusal {
    Refusal::new(code, format!("the hub of the tests says {code}"))
}

/// Small, so that readers turn pages.
const PAGE_ENTRIES_MAX: u64 = 16;
