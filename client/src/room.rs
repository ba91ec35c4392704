//! Reading a room: every entry is verified against the log and the members before anybody sees it, and what was
//! verified is remembered for all seats of the user.
//!
//! [`Room::catch_up`] needs headers only; bodies travel in [`Room::read`] and where handoffs are looked up. What shows
//! another history than before is kept as evidence and noted in the state; nothing behind it is read.

mod accept;
mod chain;
mod evidence;
mod page;
mod pull;
mod reach;

use std::collections::BTreeMap;
use std::path::Path;

use protocol::id::{Digest, RoomId};
use protocol::key::{AgentId, UserId};
use protocol::refusal::Refusal;
use protocol::room::{Admission, Members};
use protocol::signed::Verified;
use protocol::statement::{Genesis, LogPoint, Role, RoomKind};
use serde_json::{Value, json};

pub(crate) use self::chain::read_chain;
pub use self::page::{Act, Content, Item, ReadPage, Said, SaidBody};

use crate::error::Error;
use crate::link::Link;
use crate::report::Agent;
use crate::seat::{FileMark, Fork, RoomMemory, RoomState};

/// A room as this user has verified it so far, and the agent who reads it.
#[derive(Debug)]
pub struct Room {
    me: AgentId,
    memory: RoomMemory,
    state: RoomState,
    /// Values that were verified in passing; kept for this reading only, so that the file stays small.
    passing: BTreeMap<u64, Digest>,
    /// Whether the hub has shown another history to this process.
    is_shown_fork: bool,
    /// Whether there is something that the file may not have yet.
    is_news: bool,
    /// Whether it is read to find out whether it holds: nothing of it is kept before.
    is_trial: bool,
    /// The file as it was when it was read or written last.
    mark: Option<FileMark>,
}

impl Room {
    /// Takes up what is remembered of the home `id` of `owner`.
    ///
    /// # Errors
    /// [`Error::Seat`] when the file cannot be read.
    pub fn home(memory: RoomMemory, id: RoomId, owner: UserId, me: AgentId) -> Result<Self, Error> {
        let fresh = || RoomState::new(Members::of(id, owner, RoomKind::Home));
        Self::open(memory, me, fresh)
    }

    /// Takes up what is remembered of the session that `genesis` opened, which is of this user.
    ///
    /// # Errors
    /// [`Error::Seat`] when the file cannot be read.
    pub fn own(memory: RoomMemory, genesis: &Verified<Genesis>, me: AgentId) -> Result<Self, Error> {
        Self::open(memory, me, || RoomState::opened(genesis))
    }

    /// Takes up what is remembered of the session of another user into which `me` was admitted; `members` and `admission`
    /// are what [`check_admission`](protocol::room::check_admission) gave.
    ///
    /// # Errors
    /// [`Error::Seat`] when the file cannot be read.
    pub fn joined(
        memory: RoomMemory,
        genesis: &Verified<Genesis>,
        members: &Members,
        admission: &Admission,
        me: AgentId,
    ) -> Result<Self, Error> {
        let mut room = Self::open(memory, me, || {
            let mut state = RoomState::opened(genesis);
            if admission.floor > 0 {
                state.start_at(admission.at, true);
            }
            state
        })?;
        room.state.members_mut().absorb(members);
        room.note_anchors(|| Value::Null);
        room.is_news = true;
        room.keep()?;
        Ok(room)
    }

    /// Takes up what is remembered of a room, without anything from a hub; `None` when it was never met.
    ///
    /// # Errors
    /// [`Error::Seat`] when the file cannot be read.
    pub fn remembered(memory: RoomMemory, me: AgentId) -> Result<Option<Self>, Error> {
        let mark = memory.mark();
        let state = memory.load()?;
        Ok(state.map(|state| Self::of(me, memory, state, mark)))
    }

    fn open(memory: RoomMemory, me: AgentId, fresh: impl FnOnce() -> RoomState) -> Result<Self, Error> {
        let mark = memory.mark();
        let state = memory.load()?.unwrap_or_else(fresh);
        Ok(Self::of(me, memory, state, mark))
    }

    fn of(me: AgentId, memory: RoomMemory, state: RoomState, mark: Option<FileMark>) -> Self {
        let (passing, is_shown_fork, is_news, is_trial) = (BTreeMap::new(), false, false, false);
        Self { me, memory, state, passing, is_shown_fork, is_news, is_trial, mark }
    }

    /// Returns the room's id.
    pub fn id(&self) -> RoomId {
        self.state.room()
    }

    /// Returns the user who opened the room.
    pub fn owner(&self) -> UserId {
        self.state.members().owner()
    }

    /// Returns the kind of room.
    pub fn kind(&self) -> RoomKind {
        self.state.members().kind()
    }

    /// Returns who is in the room, as far as its acts are known.
    pub fn members(&self) -> &Members {
        self.state.members()
    }

    /// Returns what is remembered of the room.
    pub fn state(&self) -> &RoomState {
        &self.state
    }

    /// Returns the newest verified point of the log, which is what a new message names as its head.
    pub fn head(&self) -> LogPoint {
        let admitted = self.admission().map(|admission| admission.at);
        // What the owner has signed is verified, whether the log up to it was read or not.
        admitted.filter(|at| at.seq > self.state.head().seq).unwrap_or(self.state.head())
    }

    /// Returns the number of the last message of `author` that was verified; 0 before the first.
    pub fn last_n(&self, author: &AgentId) -> u64 {
        self.state.last_n(author)
    }

    /// Returns the number that the next message of `author` has, as far as was verified.
    pub fn next_n(&self, author: &AgentId) -> u64 {
        self.last_n(author) + 1
    }

    /// Returns the entry above which this agent may read.
    pub fn floor(&self) -> u64 {
        self.admission().map_or(0, |admission| admission.floor)
    }

    /// Returns the last entry that was handed to this agent's `reader`; before the first, the entry above which it may read.
    pub fn cursor(&self, reader: &str) -> u64 {
        self.state.cursor(&self.me, reader).unwrap_or(0).max(self.floor())
    }

    /// Remembers that everything up to `seq` was handed to this agent's `reader`.
    ///
    /// # Errors
    /// [`Error::Seat`] as ever.
    pub fn note_cursor(&mut self, reader: &str, seq: u64) -> Result<(), Error> {
        if self.state.cursor(&self.me, reader) < Some(seq) {
            self.state.note_cursor(self.me, reader, seq);
            self.is_news = true;
        }
        self.keep()
    }

    /// Returns what the session is about, as its owner said; known once the message that says it was read.
    pub fn topic(&self) -> Option<&str> {
        self.state.topic()
    }

    /// Returns where the hub was seen to show another history, until a human has accepted the log as it stands.
    pub fn fork(&self) -> Option<&Fork> {
        self.state.fork()
    }

    /// Refuses where the hub was seen to show another history: nothing is done by itself then until a human has looked.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn check_fork(&self) -> Result<(), Error> {
        match self.fork() {
            Some(fork) => Err(Error::Forked {
                room: self.id(),
                fork: fork.clone(),
                evidence: self.memory.evidence().map(Path::to_owned),
            }),
            None => Ok(()),
        }
    }

    /// Refuses where the hub shows another history to this process: what it answers about the room now is not to be built upon.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn check_shown(&self) -> Result<(), Error> {
        if self.is_shown_fork { self.check_fork() } else { Ok(()) }
    }

    /// Takes note that the hub wants a number of this agent, in `refusal`, although it has shown a message of that number or a
    /// later one.
    ///
    /// # Errors
    /// [`Error::Seat`] as ever.
    pub fn note_miscount(&mut self, refusal: &Refusal) -> Result<(), Error> {
        let (last, next) = (self.last_n(&self.me), refusal.next_n.unwrap_or_default());
        let what =
            format!("the hub counts this seat's messages from {next} on, and has shown {last} of them");
        self.note_fork(self.state.head().seq, what, &json!({ "last": last, "refusal": refusal }));
        self.keep()
    }

    /// Says whether nothing but the hub's word ties the log to its beginning, which has expired.
    pub fn is_unchecked(&self) -> bool {
        self.state.is_unchecked()
    }

    /// Returns the agent with the name that the owner's newest word gives it; empty when there is none.
    pub fn agent(&self, id: AgentId) -> Agent {
        Agent { id, name: self.members().name(&id).unwrap_or_default().to_owned() }
    }

    /// Returns the owner's seats that have written here.
    pub fn seats(&self) -> Vec<Agent> {
        self.members().seats(u64::MAX).map(|seat| self.agent(seat)).collect()
    }

    /// Returns who is in the room now, and as what: the owner's seats that have written here, and who was admitted.
    pub fn present(&self) -> Vec<(Agent, Role)> {
        let owners = self.seats().into_iter().map(|agent| (agent, Role::Owner));
        let admitted = self.members().admitted(u64::MAX).map(|(id, _)| (self.agent(id), Role::Member));
        owners.chain(admitted).collect()
    }

    /// Verifies what is new up to `end`, which the hub says is the end of the log, and remembers it. Headers travel only.
    ///
    /// A hub that shows another history is no error here: it is noted, see [`Room::fork`], and the verified head stays.
    ///
    /// # Errors
    /// [`Error::Link`] and [`Error::Seat`] as ever; [`Error::Contradiction`] when the hub has no entries where it says there are.
    pub async fn catch_up(&mut self, link: &Link, end: LogPoint) -> Result<(), Error> {
        let head = self.state.head();
        if end == head {
            return self.keep();
        }
        if end.seq == head.seq {
            let what = "the log ends at another value than before".to_owned();
            self.note_fork(end.seq, what, &json!({ "end": end }));
            return self.keep();
        }
        // An end behind the head may be an old answer, since other processes read on too: the hub is asked again.
        let target = end.seq.max(head.seq + 1);
        let outcome = self.extend_to(link, target).await;
        self.keep()?;
        outcome.map(drop)
    }

    /// Adds what was verified to the file, and takes over what other processes have. On trial the file is not touched.
    fn keep(&mut self) -> Result<(), Error> {
        if self.is_trial {
            self.state.thin_out();
            return Ok(());
        }
        if self.is_news || self.memory.mark() != self.mark {
            let histories = self.state.histories();
            (self.state, self.mark) = self.memory.merge_marked(&self.state)?;
            self.is_news = false;
            if self.state.histories() != histories {
                // A human has taken the log as it stands: what was seen of the other history is past.
                self.passing.clear();
                self.is_shown_fork = false;
            }
        }
        Ok(())
    }

    /// Returns this agent's own admission, where it came in by one.
    fn admission(&self) -> Option<&Admission> {
        self.members().standing(&self.me)?.newest()
    }

    #[cfg(test)]
    pub(crate) fn memory_for_tests(&self) -> &RoomMemory {
        &self.memory
    }

    /// Takes note of what the owner has signed of the log in admissions; says whether it is what was verified. Otherwise the hub
    /// has shown the owner another history. `shown` is where they stand.
    fn note_anchors(&mut self, shown: impl Fn() -> Value) -> bool {
        let (accepted, mut is_same) = (self.state.accepted(), true);
        let anchors: Vec<_> = self.members().anchors().filter(|at| at.seq > accepted).collect();
        for at in anchors {
            match self.state.known(at.seq) {
                Some(log) if log != at.log => {
                    let what = format!("the owner has seen another history up to entry {}", at.seq);
                    self.note_fork(at.seq, what, &json!({ "signed": at, "in": shown() }));
                    is_same = false;
                }
                _ => self.state.note_point(at),
            }
        }
        is_same
    }
}
