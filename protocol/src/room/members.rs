//! Who is in a room: the one function of its chain, its members' leaves and its owner's seats.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::room_id;
use crate::id::{Digest, RoomId};
use crate::key::{AgentId, InviteId, UserId};
use crate::limits::{CHAIN_ENTRIES_MAX, DENIED_MAX, SEAT_STATEMENTS_MAX};
use crate::signed::Verified;
use crate::statement::{Admit, Genesis, LogPoint, Membership, Op, Role, RoomKind, Seat, UnixMillis};

/// The members of a room as its statements tell them. It can be kept between runs: what it was made of was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    room: RoomId,
    owner: UserId,
    kind: RoomKind,
    seats: BTreeMap<AgentId, Vec<Seat>>,
    standings: BTreeMap<AgentId, Standing>,
    chain: Vec<Link>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closed: Option<u64>,
}

/// An entry of the chain that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Link {
    seq: u64,
    digest: Digest,
}

/// The end of a membership chain: what the next entry has to continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEnd {
    /// How many entries the chain has.
    pub n: u64,
    /// The digest of the last one; of the genesis when there is none.
    pub digest: Digest,
}

/// What chain and leaves say of one agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    admissions: Vec<Admission>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    denied: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    removed: Option<u64>,
}

/// One stay of an agent in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// The name by which the agent goes.
    pub name: String,
    /// Where its admission stands in the log.
    pub since: u64,
    /// Where its removal or its leave stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// The entry above which the agent may read.
    pub floor: u64,
    /// Where its verification starts.
    pub at: LogPoint,
    /// By which invite it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<InviteId>,
    /// Who vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}

/// Says why an entry is none of this chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// It is for another room.
    #[error("the act is for another room")]
    OtherRoom,
    /// Somebody else than the owner signed it.
    #[error("the act is not signed by the owner of the room")]
    NotOwner,
    /// It does not follow the end of the chain.
    #[error("the act does not continue the chain, which has {} entries", end.n)]
    Broken {
        /// The end that it would have to continue.
        end: ChainEnd,
    },
    /// Another entry was seen at its place in chain or log.
    #[error("the owner's act {n} is another one than before")]
    Fork {
        /// Its place in the chain.
        n: u64,
    },
    /// It stands before the act that precedes it, or before the point that it names.
    #[error("the owner's act {n} stands too early in the log")]
    Order {
        /// Its place in the chain.
        n: u64,
    },
    /// The chain has as many entries as it may have.
    #[error("the chain has {CHAIN_ENTRIES_MAX} entries, and no more are taken")]
    Full,
}

/// Says why an act that continues the chain makes no sense. A hub refuses it, and no client signs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// The room was closed.
    #[error("the room is closed")]
    Closed,
    /// Of a home only seats can be removed.
    #[error("in a home nobody is admitted or denied")]
    Home,
    /// The name, the role or the floor cannot be.
    #[error("the name, role or floor of the admission cannot be")]
    Unlawful,
    /// The agent is in the room.
    #[error("the agent is a member already")]
    Member,
    /// The agent is not in the room.
    #[error("the agent is no member")]
    NotMember,
    /// The agent was turned away for good.
    #[error("the agent was denied, which is final")]
    Denied,
    /// The room has as many members as it may have.
    #[error("the room has {0} members, and no more are admitted")]
    Full(u64),
    /// The room has turned away as many as it may.
    #[error("the room has turned away {DENIED_MAX} agents, and no more are denied")]
    TooManyDenied,
    /// This version does not know the act.
    #[error("this version does not know the act")]
    Unknown,
}

impl Members {
    /// Begins with the owner alone, none of whose seats is known yet.
    pub fn new(genesis: &Verified<Genesis>) -> Self {
        Self::of(room_id(genesis), genesis.by(), genesis.statement().kind)
    }

    /// Begins with the owner alone in a room whose genesis was verified at some other time.
    pub fn of(room: RoomId, owner: UserId, kind: RoomKind) -> Self {
        Self {
            room,
            owner,
            kind,
            seats: BTreeMap::new(),
            standings: BTreeMap::new(),
            chain: Vec::new(),
            closed: None,
        }
    }

    /// Returns the room.
    pub fn room(&self) -> RoomId {
        self.room
    }

    /// Returns the user who opened the room.
    pub fn owner(&self) -> UserId {
        self.owner
    }

    /// Returns the kind of room.
    pub fn kind(&self) -> RoomKind {
        self.kind
    }

    /// Takes note of a seat statement; one by somebody else than the owner, or that claims more than 90 days, changes nothing.
    pub fn note_seat(&mut self, seat: &Verified<Seat>) {
        let statement = seat.statement();
        if seat.by() != self.owner || !statement.is_lawful() {
            return;
        }
        self.note(statement.seat, statement);
    }

    fn note(&mut self, agent: AgentId, statement: &Seat) {
        let known = self.seats.entry(agent).or_default();
        if known.contains(statement) {
            return;
        }
        known.push(statement.clone());
        if known.len() > SEAT_STATEMENTS_MAX {
            // The newest say the most, and old messages are checked when they are new.
            known.sort_by_key(|seat| seat.issued);
            known.remove(0);
        }
    }

    /// Takes the entry of the chain that stands at `seq` of the log. One that was taken before changes nothing.
    ///
    /// # Errors
    ///
    /// [`ChainError`] when it is not by the owner, does not continue the chain, or differs from what was taken before.
    pub fn append(&mut self, act: &Verified<Membership>, seq: u64) -> Result<(), ChainError> {
        let said = act.statement();
        if said.room != self.room {
            return Err(ChainError::OtherRoom);
        }
        if act.by() != self.owner {
            return Err(ChainError::NotOwner);
        }
        let taken = said.n.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        if let Some(taken) = taken.and_then(|at| self.chain.get(at)) {
            let is_same = (taken.seq, taken.digest) == (seq, act.digest());
            return if is_same { Ok(()) } else { Err(ChainError::Fork { n: said.n }) };
        }
        let end = self.chain_end();
        if (said.n, said.prev) != (end.n + 1, end.digest) {
            return Err(ChainError::Broken { end });
        }
        let at = if let Op::Admit(admit) = &said.op { admit.at.seq } else { 0 };
        if seq <= at.max(self.chain.last().map_or(0, |last| last.seq)) {
            return Err(ChainError::Order { n: said.n });
        }
        if self.chain.len() >= CHAIN_ENTRIES_MAX {
            return Err(ChainError::Full);
        }
        self.chain.push(Link { seq, digest: act.digest() });
        match &said.op {
            Op::Admit(admit) => self.standings.entry(admit.agent).or_default().admit(admit, seq),
            Op::Deny { agents } => {
                for agent in agents {
                    self.standings.entry(*agent).or_default().denied.get_or_insert(seq);
                }
            }
            Op::Remove { agent } => {
                let standing = self.standings.entry(*agent).or_default();
                standing.removed.get_or_insert(seq);
                standing.end(seq);
            }
            Op::Close => _ = self.closed.get_or_insert(seq),
            Op::Unknown(_) => {}
        }
        Ok(())
    }

    /// Takes over what another reader of the same room has seen beyond this: the longer of the two chains, every leave, and
    /// the owner's words on seats. Where the chains contradict each other this one stays as it is.
    pub fn absorb(&mut self, other: &Self) {
        if (self.room, self.owner) != (other.room, other.owner) {
            return;
        }
        self.absorb_seats(other);
        if !self.chain.iter().zip(&other.chain).all(|(ours, theirs)| ours == theirs) {
            return;
        }
        let mut ends = if other.chain.len() > self.chain.len() {
            self.chain.clone_from(&other.chain);
            self.closed = other.closed;
            std::mem::replace(&mut self.standings, other.standings.clone())
        } else {
            other.standings.clone()
        };
        for (agent, standing) in &mut self.standings {
            let Some(theirs) = ends.remove(agent) else { continue };
            for (ours, theirs) in standing.admissions.iter_mut().zip(theirs.admissions) {
                ours.until = ours.until.into_iter().chain(theirs.until).min();
            }
        }
    }

    /// Takes over what another reader of the same room has seen of the owner's words on seats.
    pub fn absorb_seats(&mut self, other: &Self) {
        if (self.room, self.owner) != (other.room, other.owner) {
            return;
        }
        for (agent, seats) in &other.seats {
            seats.iter().for_each(|seat| self.note(*agent, seat));
        }
    }

    /// Returns the points of the log that the owner has signed in admissions.
    pub fn anchors(&self) -> impl Iterator<Item = LogPoint> {
        self.standings.values().flat_map(|standing| &standing.admissions).map(|admission| admission.at)
    }

    /// Takes note of a message at `seq` by which `agent` leaves the room. The owner's seats cannot leave: the owner closes.
    pub fn note_leave(&mut self, agent: &AgentId, seq: u64) {
        if let Some(standing) = self.standings.get_mut(agent) {
            standing.end(seq);
        }
    }

    /// Says whether `act`, which continues the chain, makes sense at entry `seq`, in a room of at most `members_max`.
    ///
    /// # Errors
    ///
    /// [`ActError`], the first reason why not.
    pub fn check_act(&self, op: &Op, seq: u64, members_max: u64) -> Result<(), ActError> {
        if self.closed.is_some() {
            return Err(ActError::Closed);
        }
        if self.kind == RoomKind::Home && !matches!(op, Op::Remove { .. }) {
            return Err(ActError::Home);
        }
        let is_admitted =
            |agent: &AgentId| self.standing(agent).is_some_and(|of| of.admission(seq).is_some());
        match op {
            Op::Admit(admit) if !admit.is_lawful() => Err(ActError::Unlawful),
            Op::Admit(admit) if is_admitted(&admit.agent) => Err(ActError::Member),
            Op::Admit(admit) if self.is_denied(&admit.agent) => Err(ActError::Denied),
            Op::Admit(_) if self.admitted(seq).count() as u64 >= members_max => {
                Err(ActError::Full(members_max))
            }
            Op::Deny { agents } if agents.iter().any(is_admitted) => Err(ActError::Member),
            Op::Deny { agents } => {
                let new: BTreeSet<_> = agents.iter().filter(|agent| !self.is_denied(agent)).collect();
                match self.denied().count() + new.len() {
                    _ if new.is_empty() => Err(ActError::Denied),
                    all if all > DENIED_MAX => Err(ActError::TooManyDenied),
                    _ => Ok(()),
                }
            }
            Op::Remove { agent } => {
                let is_seat = self.seats.contains_key(agent) && !self.is_removed(agent, seq);
                if is_seat || is_admitted(agent) { Ok(()) } else { Err(ActError::NotMember) }
            }
            Op::Admit(_) | Op::Close => Ok(()),
            Op::Unknown(_) => Err(ActError::Unknown),
        }
    }

    /// Returns what `agent` is for an entry at `seq` that is made at `time`: the hub's clock for the hub, a message's `sent`
    /// for its readers. `None` for who is not in the room.
    pub fn role(&self, agent: &AgentId, seq: u64, time: UnixMillis) -> Option<Role> {
        let mut seats = self.seats.get(agent).into_iter().flatten();
        if seats.any(|seat| time < seat.expires) && !self.is_removed(agent, seq) {
            return Some(Role::Owner);
        }
        self.standing(agent)?.admission(seq).map(|_| Role::Member)
    }

    /// Returns the name by which `agent` goes: that of its newest admission, or of the owner's newest word on its seat.
    pub fn name(&self, agent: &AgentId) -> Option<&str> {
        let admitted = self.standing(agent).and_then(|standing| standing.admissions.last());
        match (admitted, self.seats.get(agent)) {
            (Some(admission), _) => Some(&admission.name),
            (None, Some(seats)) => seats.iter().max_by_key(|seat| seat.issued).map(|seat| seat.name.as_str()),
            (None, None) => None,
        }
    }

    /// Returns what chain and leaves say of `agent`, if they say anything.
    pub fn standing(&self, agent: &AgentId) -> Option<&Standing> {
        self.standings.get(agent)
    }

    /// Returns everybody of whom chain or leaves say something.
    pub fn agents(&self) -> impl Iterator<Item = AgentId> {
        self.standings.keys().copied()
    }

    /// Returns who is admitted for an entry at `seq`; the owner's seats are not among them.
    pub fn admitted(&self, seq: u64) -> impl Iterator<Item = (AgentId, &Admission)> {
        self.standings.iter().filter_map(move |(agent, standing)| Some((*agent, standing.admission(seq)?)))
    }

    /// Returns the owner's seats that were seen and not removed for an entry at `seq`, whether expired or not.
    pub fn seats(&self, seq: u64) -> impl Iterator<Item = AgentId> {
        self.seats.keys().copied().filter(move |agent| !self.is_removed(agent, seq))
    }

    /// Says whether `agent` was turned away for good.
    pub fn is_denied(&self, agent: &AgentId) -> bool {
        self.standing(agent).is_some_and(|standing| standing.denied.is_some())
    }

    fn denied(&self) -> impl Iterator<Item = &Standing> {
        self.standings.values().filter(|standing| standing.denied.is_some())
    }

    /// Returns where the room was closed.
    pub fn closed(&self) -> Option<u64> {
        self.closed
    }

    /// Returns what the owner's next act has to continue.
    pub fn chain_end(&self) -> ChainEnd {
        let digest = self.chain.last().map_or(Digest::from_bytes(*self.room.as_bytes()), |last| last.digest);
        ChainEnd { n: self.chain.len() as u64, digest }
    }

    /// Returns the entry of the log at which the last act stands; 0 when there is none.
    pub fn chain_seq(&self) -> u64 {
        self.chain.last().map_or(0, |last| last.seq)
    }

    /// Counts the admissions by `invite`, which is what its uses are counted by.
    pub fn uses(&self, invite: &InviteId) -> u64 {
        let admissions = self.standings.values().flat_map(|standing| &standing.admissions);
        admissions.filter(|admission| admission.invite.as_ref() == Some(invite)).count() as u64
    }

    fn is_removed(&self, agent: &AgentId, seq: u64) -> bool {
        self.standing(agent).and_then(|standing| standing.removed).is_some_and(|removed| removed < seq)
    }
}

impl Standing {
    /// Returns the stay in which an entry at `seq` falls, if there is one.
    pub fn admission(&self, seq: u64) -> Option<&Admission> {
        let stay = |stay: &&Admission| stay.since < seq && stay.until.is_none_or(|until| seq <= until);
        self.admissions.iter().rev().find(stay)
    }

    /// Returns the newest stay, whether it has ended or not.
    pub fn newest(&self) -> Option<&Admission> {
        self.admissions.last()
    }

    /// Says whether the agent was put out at some time.
    pub fn is_removed(&self) -> bool {
        self.removed.is_some()
    }

    fn admit(&mut self, admit: &Admit, seq: u64) {
        // Final: what the owner signs later for the same agent is void.
        if self.denied.is_some() || !admit.is_lawful() {
            return;
        }
        self.end(seq);
        self.admissions.push(Admission {
            name: admit.name.clone(),
            since: seq,
            until: None,
            floor: admit.floor,
            at: admit.at,
            invite: admit.key,
            user: admit.user,
        });
    }

    fn end(&mut self, seq: u64) {
        if let Some(stay) = self.admissions.last_mut().filter(|stay| stay.until.is_none() && stay.since < seq)
        {
            stay.until = Some(seq);
        }
    }
}
