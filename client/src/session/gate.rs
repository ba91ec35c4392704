//! The owner's gate: who asks to join, what of it holds, and the decision.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::frame::{Answer, JoinerState, KeyRow, RequestList, Requests};
use protocol::frame::{JoinRequest, Request};
use protocol::id::RoomId;
use protocol::key::{AgentId, InviteId};
use protocol::room::{ActError, CheckedRequest, Members, Standing, check_request};
use protocol::statement::{Admit, Key, Op, Role, RoomKind};
use protocol::words::words;

use super::looks::Look;
use super::select::{Named, select};
use super::{SessionError, Thing};
use crate::client::Client;
use crate::error::Error;
use crate::limits::REQUEST_PAGES_MAX;
use crate::report::{self, Agent, Decision, RejectedRequest};
use crate::seat;

/// What a look at the gates of a user's sessions found and did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tended {
    /// Who was let in, since a key says so.
    pub let_in: Vec<Decision>,
    /// How many wait for a decision in each session that was looked at, also where nobody does.
    pub waiting: BTreeMap<RoomId, u64>,
}

/// Somebody who asks to join, or who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Waits for a decision.
    Waits(report::JoinRequest),
    /// Does not ask any more: the owner has decided, here or by another seat.
    Decided(Decision),
}

/// Somebody who was not let in although a key says so.
#[derive(Debug)]
pub struct NotLetIn {
    /// Who asks.
    pub joiner: Agent,
    /// Why not.
    pub error: Error,
}

/// Who asks to join a room, checked.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    pub(super) offered: Vec<CheckedRequest>,
    pub(super) rejected: Vec<RejectedRequest>,
    pub(super) keys: Vec<KeyRow>,
    /// Whether the hub has more of them than are looked at.
    more: bool,
}

impl Client {
    /// Returns who asks to join the session of this call. Each request was checked: that the joiner signed it, that it came by
    /// a key of the owner's for this room which is not over, and what its name looks like. The others are told with a reason.
    ///
    /// # Errors
    /// [`SessionError::NotOwner`] when another user has opened the session; as [`Client::room`] otherwise.
    pub async fn requests(&mut self) -> Result<report::Requests, Error> {
        let room = self.session().await?;
        let gate = self.gate(room).await?;
        Ok(self.reported(room, gate))
    }

    /// Returns who asks to join the session of this call. It costs nothing where nobody can ask this user: in a home, and where
    /// another user has opened the session.
    ///
    /// # Errors
    /// [`SessionError::NotInRoom`] for a room that this client has not taken up, or has lost since; as [`Client::requests`]
    /// otherwise.
    pub async fn pending(&mut self, room: RoomId) -> Result<Vec<report::JoinRequest>, Error> {
        let known = self.rooms.get(&room).ok_or(SessionError::NotInRoom { room })?;
        if known.kind() != RoomKind::Session || known.owner() != self.seat.user() {
            return Ok(Vec::new());
        }
        let gate = self.gate(room).await?;
        Ok(self.reported(room, gate).requests)
    }

    /// Returns the request of somebody who asks to join the session of this call, or what was decided about them, by whatever
    /// names them for [`Client::approve`].
    ///
    /// # Errors
    /// [`SessionError::NoSuch`] and [`SessionError::Unclear`] for a selector that means nobody or several; as
    /// [`Client::requests`] otherwise.
    pub async fn asks(&mut self, joiner: &str) -> Result<Asked, Error> {
        let room = self.session().await?;
        match self.at_gate(room, joiner).await? {
            AtGate::Waits(gate, at) => Ok(Asked::Waits(self.reported(room, gate).requests.swap_remove(at))),
            AtGate::Decided(decision) => Ok(Asked::Decided(decision)),
        }
    }

    /// Lets somebody who asks into the session of this call: with all that was said before, or none of it. Without a word on
    /// that the session's own rule counts, as it was opened.
    ///
    /// # Errors
    /// [`SessionError::NotOwner`] and [`SessionError::NoUserKey`] for who may not; [`SessionError::NoSuch`] and
    /// [`SessionError::Unclear`] for a selector that means nobody or several; [`SessionError::Act`] when that agent was denied;
    /// [`Error::Forked`]; as [`Client::room`] otherwise.
    pub async fn approve(&mut self, joiner: &str, no_history: Option<bool>) -> Result<Decision, Error> {
        let room = self.owned().await?;
        match self.at_gate(room, joiner).await? {
            AtGate::Waits(gate, at) => self.admit(room, &gate.offered[at], no_history).await,
            AtGate::Decided(decision) if decision.state == JoinerState::Member => Ok(decision),
            AtGate::Decided(_) => Err(SessionError::Act(ActError::Denied).into()),
        }
    }

    /// Turns somebody who asks away, for good: no later admission of that agent counts in this room.
    ///
    /// # Errors
    /// As [`Client::approve`]; [`SessionError::Act`] when that agent is in the room by now.
    pub async fn deny(&mut self, joiner: &str) -> Result<Decision, Error> {
        let room = self.owned().await?;
        let (gate, at) = match self.at_gate(room, joiner).await? {
            AtGate::Waits(gate, at) => (gate, at),
            AtGate::Decided(decision) if decision.state == JoinerState::Denied => return Ok(decision),
            AtGate::Decided(_) => return Err(SessionError::Act(ActError::Member).into()),
        };
        let request = &gate.offered[at];
        let joiner = Agent { id: request.agent, name: request.name.clone() };
        self.act(room, |_, _| Ok(Op::Deny { agents: vec![joiner.id] })).await?;
        Ok(Decision { room, joiner, state: JoinerState::Denied })
    }

    /// Lets everybody into the session of this call who asks by a key that says so, as long as the key does, except whom the
    /// owner has put out before. Who cannot be let in keeps nobody else out. A hub that is lost meanwhile ends it with what was
    /// decided until then; the next question says so.
    ///
    /// # Errors
    /// [`SessionError::NotOwner`] and [`SessionError::NoUserKey`] for who may not; [`Error::Forked`]; as [`Client::room`]
    /// otherwise.
    pub async fn approve_auto(&mut self) -> Result<Vec<Result<Decision, NotLetIn>>, Error> {
        let room = self.owned().await?;
        let gate = self.gate(room).await?;
        self.rooms[&room].check_fork()?;
        let mut decisions = Vec::new();
        match self.admit_unasked(room, &gate, &mut decisions).await {
            Err(error) if decisions.is_empty() => Err(error),
            Ok(()) | Err(_) => Ok(decisions),
        }
    }

    /// Looks at each gate of which the hub has told on this connection, in all sessions of this user: lets in who asks by a key
    /// that says so, as [`Client::approve_auto`] does, and counts the others. It costs nothing where the hub has told of none.
    ///
    /// Nobody is let in by itself where the hub has shown another history, or where the user key is not here.
    pub async fn tend_gates(&mut self) -> Tended {
        self.visit_gates(true).await
    }

    /// As [`Client::tend_gates`], and lets nobody in: who waits by an auto key is counted with the others.
    pub async fn look_at_gates(&mut self) -> Tended {
        self.visit_gates(false).await
    }

    async fn visit_gates(&mut self, lets_in: bool) -> Tended {
        let mut tended = Tended::default();
        for room in self.link.take_awaited() {
            // A hint that cannot be looked at is none; the commands that need it say what is wrong.
            if self.tend(room, lets_in, &mut tended).await.is_err_and(|error| is_outage(&error)) {
                break;
            }
        }
        tended
    }

    async fn tend(&mut self, room: RoomId, lets_in: bool, tended: &mut Tended) -> Result<(), Error> {
        self.enter(room).await?;
        let gate = self.gate(room).await?;
        let may_sign = self.user_key_of(room).is_ok() && self.rooms[&room].fork().is_none();
        let mut decisions = Vec::new();
        let outcome = match lets_in && may_sign {
            true => self.admit_unasked(room, &gate, &mut decisions).await,
            false => Ok(()),
        };
        let let_in: Vec<_> = decisions.into_iter().flatten().collect();
        self.let_in.extend_from_slice(&let_in);
        tended.let_in.extend(let_in);
        if let Some(known) = self.rooms.get(&room) {
            let members = known.members();
            let waits = |request: &&CheckedRequest| {
                !is_member(members, &request.agent) && !is_used_up(members, request)
            };
            // Also who could not be let in just now: `approve` says why.
            tended.waiting.insert(room, gate.offered.iter().filter(waits).count() as u64);
        }
        outcome
    }

    /// Lets in who needs no decision, one after another, and notes what became of each.
    ///
    /// # Errors
    /// What would meet all that are left: the hub is lost, or this seat is not in the room any more.
    async fn admit_unasked(
        &mut self,
        room: RoomId,
        gate: &Gate,
        decisions: &mut Vec<Result<Decision, NotLetIn>>,
    ) -> Result<(), Error> {
        for request in &gate.offered {
            if !self.comes_in_unasked(room, request) || is_used_up(self.rooms[&room].members(), request) {
                continue;
            }
            match self.admit(room, request, None).await {
                Err(error) if is_outage(&error) || !self.rooms.contains_key(&room) => return Err(error),
                admitted => decisions.push(admitted.map_err(|error| NotLetIn {
                    joiner: Agent { id: request.agent, name: request.name.clone() },
                    error,
                })),
            }
        }
        Ok(())
    }

    /// Says whether the owner's word on the key of a request is enough to let its author in: whom the owner has put out, the
    /// owner lets in again, and no key.
    fn comes_in_unasked(&self, room: RoomId, request: &CheckedRequest) -> bool {
        request.is_auto && !self.was_removed(room, request)
    }

    fn was_removed(&self, room: RoomId, request: &CheckedRequest) -> bool {
        self.rooms[&room].members().standing(&request.agent).is_some_and(Standing::is_removed)
    }

    /// Waits until the hub says that somebody asks to join, at most as long as `wait`; then [`Client::requests`] has more to
    /// tell, or a hub that was lost meanwhile is to be asked again.
    pub async fn wait_for_requests(&self, wait: Duration) {
        self.link.told_of_requests(wait).await;
    }

    /// Asks who wants to join a room, and checks each request.
    pub(crate) async fn gate(&mut self, room: RoomId) -> Result<Gate, Error> {
        let known = &self.rooms[&room];
        let owner = known.owner();
        if owner != self.seat.user() {
            return Err(SessionError::NotOwner { room, owner }.into());
        }
        let revoked = self.record(room)?.load()?.revoked;
        let (mut gate, mut after) = (Gate::default(), None);
        for _ in 0..REQUEST_PAGES_MAX {
            let request = Request::Requests(Requests { room, after });
            let Answer::Requests(RequestList { requests, more, keys }) = self.link.request(request).await?
            else {
                unreachable!("an answer is read by the kind of its request")
            };
            if after.is_none() {
                gate.keys = keys;
            }
            after = requests.last().map(|request| request.ask.join.digest());
            for request in requests {
                self.check(room, &request, &revoked, &mut gate);
            }
            gate.more = more && after.is_some();
            if !gate.more {
                break;
            }
        }
        Ok(gate)
    }

    fn check(&self, room: RoomId, request: &JoinRequest, revoked: &[InviteId], gate: &mut Gate) {
        let (id, members) = (request.ask.join.by(), self.rooms[&room].members());
        if is_member(members, &id) || members.is_denied(&id) {
            // Decided meanwhile, whatever the hub still lists.
            return;
        }
        let checked = check_request(request, self.hub(), room, members.owner(), seat::now());
        match checked {
            Err(fault) => gate.rejected.push(RejectedRequest { id, reason: fault.to_string() }),
            Ok(checked) if is_used_up(members, &checked) => {
                let reason = "the key of the request has admitted as many as it may".to_owned();
                gate.rejected.push(RejectedRequest { id, reason });
            }
            // Whatever the hub made of the revocation.
            Ok(checked) if revoked.contains(&checked.invite) => {
                let reason = "the key of the request was revoked".to_owned();
                gate.rejected.push(RejectedRequest { id, reason });
            }
            // Once each, however often the hub lists it.
            Ok(checked) if gate.offered.iter().any(|offered| offered.agent == checked.agent) => {}
            Ok(checked) => gate.offered.push(checked),
        }
    }

    /// Returns the requests as they are told.
    pub(crate) fn reported(&self, room: RoomId, gate: Gate) -> report::Requests {
        let present = self.rooms[&room].present();
        let inside = present.iter().map(|(agent, _)| Look::new(agent.id, &agent.name));
        let asking = gate.offered.iter().map(|request| Look::new(request.agent, &request.name));
        let all: Vec<_> = asking.chain(inside).collect();
        let offered = gate.offered.iter().zip(&all).map(|(request, look)| report::JoinRequest {
            id: request.agent,
            name: request.name.clone(),
            words: words(&request.agent),
            key: request.invite,
            first_seen: request.first_seen,
            confusable_with: look.confusable_with(&all),
            auto: request.is_auto,
            was_removed: self.was_removed(room, request),
        });
        report::Requests { room, requests: offered.collect(), rejected: gate.rejected, more: gate.more }
    }

    async fn admit(
        &mut self,
        room: RoomId,
        request: &CheckedRequest,
        no_history: Option<bool>,
    ) -> Result<Decision, Error> {
        let no_history = match no_history {
            Some(no_history) => no_history,
            None => request.is_without_history || self.record(room)?.load()?.no_history,
        };
        let joiner = Agent { id: request.agent, name: request.name.clone() };
        self.act(room, |members, at| {
            // Each time anew: another seat of the owner may have let in somebody else by the key.
            if !is_member(members, &request.agent) && is_used_up(members, request) {
                return Err(SessionError::KeyUsedUp { joiner: request.name.clone() });
            }
            Ok(Op::Admit(Admit {
                agent: request.agent,
                name: request.name.clone(),
                role: Role::Member,
                floor: if no_history { at.seq } else { 0 },
                at,
                key: Some(request.invite),
                user: request.user,
            }))
        })
        .await?;
        Ok(Decision { room, joiner, state: JoinerState::Member })
    }

    /// Finds somebody among those who ask, or what was decided about them.
    async fn at_gate(&mut self, room: RoomId, joiner: &str) -> Result<AtGate, Error> {
        let gate = self.gate(room).await?;
        let named = gate.offered.iter().enumerate().map(|(at, request)| Named {
            of: at,
            id: request.agent.to_string(),
            words: Some(words(&request.agent)),
            name: Some(request.name.clone()),
        });
        match select(Thing::Joiner, joiner, named) {
            Err(SessionError::NoSuch { .. }) => Ok(AtGate::Decided(self.decided(room, joiner).await?)),
            at => Ok(AtGate::Waits(gate, at?)),
        }
    }

    /// Returns what was decided about somebody who does not ask any more, by another seat of the owner perhaps.
    async fn decided(&mut self, room: RoomId, selector: &str) -> Result<Decision, Error> {
        // The decision may have come between the look at the room and that at its gate.
        self.refresh(room).await?;
        let members = self.rooms[&room].members();
        let known = members.agents().map(|id| self.rooms[&room].agent(id));
        let named = known.map(|agent| Named {
            id: agent.id.to_string(),
            words: Some(words(&agent.id)),
            name: Some(agent.name.clone()),
            of: agent,
        });
        let joiner: Agent = select(Thing::Joiner, selector, named)?;
        let state = match (is_member(members, &joiner.id), members.is_denied(&joiner.id)) {
            (true, _) => JoinerState::Member,
            (false, true) => JoinerState::Denied,
            (false, false) => {
                return Err(
                    SessionError::NoSuch { what: Thing::Joiner, selector: selector.to_owned() }.into()
                );
            }
        };
        Ok(Decision { room, joiner, state })
    }
}

/// Where somebody stands who was named at a gate.
enum AtGate {
    /// Among those who ask, at this place.
    Waits(Gate, usize),
    /// Elsewhere.
    Decided(Decision),
}

fn is_member(members: &Members, agent: &AgentId) -> bool {
    members.standing(agent).is_some_and(|of| of.admission(u64::MAX).is_some())
}

/// Says whether the hub could not be reached: whatever it is asked next takes as long to fail.
fn is_outage(error: &Error) -> bool {
    error.code() == "hub_unreachable"
}

/// Says whether the key of a request has admitted as many as it may.
fn is_used_up(members: &Members, request: &CheckedRequest) -> bool {
    members.uses(&request.invite) >= request.max_uses
}

/// Returns the keys of a room that its owner made, with what is known of them.
pub(super) fn own_keys(
    keys: Vec<KeyRow>,
    room: RoomId,
    owner: protocol::key::UserId,
) -> impl Iterator<Item = (InviteId, Key, bool)> {
    keys.into_iter().filter_map(move |row| {
        let key = row.key.verify().ok()?;
        let said = key.statement();
        (key.by() == owner && said.room == room).then(|| (said.invite, said.clone(), row.revoked))
    })
}
