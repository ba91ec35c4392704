//! Reading a room: every entry is verified against the log and the members before anybody sees it, and what was
//! verified is remembered for all seats of the user.

use std::collections::BTreeSet;

use protocol::frame::{Answer, Pull, Pulled, Request};
use protocol::id::RoomId;
use protocol::key::{AgentId, UserId};
use protocol::limits::PULL_ENTRIES_MAX;
use protocol::refusal::RefusalCode;
use protocol::room::{CheckedMessage, Members, RangeChecks, RangeError, RangeOutcome, Reading, verify_range};
use protocol::statement::{LogPoint, RoomKind};

use crate::error::Error;
use crate::link::{Link, LinkError};
use crate::report::Agent;
use crate::seat::{RoomMemory, RoomState};

/// A room as this user has verified it so far.
#[derive(Debug)]
pub(crate) struct Room {
    id: RoomId,
    owner: UserId,
    memory: RoomMemory,
    state: RoomState,
    members: Members,
}

impl Room {
    /// Takes up what is remembered of the room `id` that `owner` has opened.
    pub(crate) fn open(memory: RoomMemory, id: RoomId, owner: UserId) -> Result<Self, Error> {
        let state = memory.load()?;
        let mut room = Self { id, owner, memory, state, members: Members::of(id, owner, RoomKind::Home) };
        room.members = room.members_known();
        Ok(room)
    }

    /// Returns the room's id.
    pub(crate) fn id(&self) -> RoomId {
        self.id
    }

    /// Returns the newest verified point of the log.
    pub(crate) fn head(&self) -> LogPoint {
        self.state.head()
    }

    /// Returns the number of the last message of `author` that was verified.
    pub(crate) fn last_n(&self, author: &AgentId) -> u64 {
        self.state.last_n(author)
    }

    /// Returns the agent with the name that its newest seat statement gives it.
    pub(crate) fn agent(&self, id: AgentId) -> Agent {
        Agent { id, name: self.members.name(&id).unwrap_or_default().to_owned() }
    }

    /// Returns the seats that have written here.
    pub(crate) fn seats(&self) -> Vec<Agent> {
        let seats = self.state.seats().filter_map(|seat| seat.clone().verify().ok());
        seats.map(|seat| self.agent(seat.statement().seat)).collect()
    }

    /// Verifies what is new up to `end`, which the hub says is the end of the log, and remembers it.
    pub(crate) async fn catch_up(&mut self, link: &Link, end: LogPoint) -> Result<(), Error> {
        let before = self.head();
        if end.seq < before.seq || (end.seq == before.seq && end.log != before.log) {
            // Either behind what this user has verified, or another history of the same length.
            return Err(self.fork(RangeError::Fork { seq: end.seq }));
        }
        let mut changed = false;
        while self.head().seq < end.seq {
            let from = self.head();
            let page = match self.pull(link, from.seq, PULL_ENTRIES_MAX, false).await {
                Ok(page) => page,
                Err(LinkError::Refused(refusal)) if refusal.code == RefusalCode::Pruned => {
                    let base = refusal.base.as_deref().copied();
                    let Some(base) = base.filter(|base| base.seq > from.seq) else {
                        return Err(LinkError::Refused(refusal).into());
                    };
                    // What expired unread cannot be checked; from here on everything is.
                    self.state.note_point(base);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let (readings, points, _) = self.verify(page)?;
            if points.is_empty() {
                return Err(Error::Contradiction { room: self.id });
            }
            points.into_iter().for_each(|point| self.state.note_point(point));
            for message in good(readings) {
                self.state.note_author(message.header.by(), message.header.statement().n);
            }
            changed = true;
        }
        if changed {
            self.state = self.memory.merge(&self.state)?;
        }
        Ok(())
    }

    /// Returns the verified messages at the places `wanted`, oldest first; what does not verify is left out.
    pub(crate) async fn messages(
        &mut self,
        link: &Link,
        mut wanted: BTreeSet<u64>,
    ) -> Result<Vec<CheckedMessage>, Error> {
        let mut found = Vec::new();
        let mut at = None;
        while let Some(seq) = wanted.first().copied() {
            // From the nearest verified point, so that what is folded from there is verified too.
            let known = self.state.known_before(seq - 1);
            let from = at.max(known.map(|point| point.seq)).unwrap_or(0);
            let newest = wanted.last().copied().unwrap_or(seq);
            let limit = newest.saturating_sub(from).clamp(1, PULL_ENTRIES_MAX);
            let page = match self.pull(link, from, limit, true).await {
                Ok(page) => page,
                Err(LinkError::Refused(refusal)) if refusal.code == RefusalCode::Pruned => {
                    let base = refusal.base.map_or(seq, |base| base.seq.max(seq));
                    wanted = wanted.split_off(&(base + 1));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let (readings, points, end) = self.verify(page)?;
            if points.is_empty() {
                return Err(Error::Contradiction { room: self.id });
            }
            // Verified in passing; kept for this reading only, the file stays small.
            points.into_iter().for_each(|point| self.state.note_point(point));
            found.extend(good(readings).filter(|message| wanted.contains(&message.seq)));
            wanted = wanted.split_off(&(end.seq + 1));
            at = Some(end.seq);
        }
        Ok(found)
    }

    async fn pull(&self, link: &Link, after: u64, limit: u64, bodies: bool) -> Result<Pulled, LinkError> {
        let pull = Pull { room: self.id, after, limit, bodies, wait_ms: None };
        match link.request(Request::Pull(pull)).await? {
            Answer::Pull(pulled) => Ok(pulled),
            _ => unreachable!("an answer is read by the kind of its request"),
        }
    }

    /// Checks a page against what is known; gives its readings, its points and its end.
    fn verify(&mut self, page: Pulled) -> Result<(Vec<Reading>, Vec<LogPoint>, LogPoint), Error> {
        for seat in page.seats {
            // A statement that does not hold makes nobody a member, and no more than that.
            if let Ok(seat) = seat.verify()
                && seat.by() == self.owner
            {
                self.members.note_seat(&seat);
                self.state.note_seat(&seat);
            }
        }
        let digests: Vec<_> = page.entries.iter().map(|entry| entry.content.digest()).collect();
        let known = |seq| self.state.known(seq);
        let checks = RangeChecks { members: &self.members, counters: None, accepted: 0 };
        let outcome = verify_range(checks, page.start, page.entries, known).whole();
        let RangeOutcome { readings, end, members, .. } = outcome.map_err(|source| self.fork(source))?;
        self.members = members;
        let mut point = page.start;
        let points = digests.iter().map(|digest| {
            point = protocol::room::extend(&point, digest);
            point
        });
        Ok((readings, points.collect(), end))
    }

    fn fork(&self, source: RangeError) -> Error {
        Error::Fork { room: self.id, memory: self.memory.path().to_owned(), source }
    }

    fn members_known(&self) -> Members {
        let mut members = Members::of(self.id, self.owner, RoomKind::Home);
        for seat in self.state.seats() {
            if let Ok(seat) = seat.clone().verify() {
                members.note_seat(&seat);
            }
        }
        members
    }
}

/// Leaves the messages that are what a member wrote.
fn good(readings: Vec<Reading>) -> impl Iterator<Item = CheckedMessage> {
    readings.into_iter().filter_map(|reading| match reading {
        Reading::Good(message) => Some(*message),
        Reading::Act(_) | Reading::Repeated { .. } | Reading::Invalid { .. } | Reading::NotMember { .. } => {
            None
        }
    })
}
