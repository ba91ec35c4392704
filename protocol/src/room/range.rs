//! Reading a range of a room's log: what each entry shows by itself, and that the range is what everybody was shown.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{ChainError, Members, extend};
use crate::frame::{Entry, EntryContent};
use crate::id::Digest;
use crate::key::AgentId;
use crate::part::Body;
use crate::signed::{Signed, StatementError, Verified};
use crate::statement::{LogPoint, Membership, Message, Op};

/// A message whose signature, membership and body were checked.
#[derive(Debug, Clone)]
pub struct CheckedMessage {
    /// Its place in the log.
    pub seq: u64,
    /// The log after it.
    pub point: LogPoint,
    /// The header, verified.
    pub header: Verified<Message>,
    /// The body, whose hash is the header's; absent when it did not travel, or needs a newer version to be read.
    pub body: Option<Body>,
    /// The body's text as it travelled.
    pub body_text: Option<String>,
    /// Whether messages of this author are missing before it.
    pub is_after_gap: bool,
}

/// An act of the owner that continues the chain.
#[derive(Debug, Clone)]
pub struct CheckedAct {
    /// Its place in the log.
    pub seq: u64,
    /// The log after it.
    pub point: LogPoint,
    /// The act, verified.
    pub act: Verified<Membership>,
}

/// What reading one entry gave.
#[derive(Debug, Clone)]
pub enum Reading {
    /// All that can be shown of a message holds.
    Good(Box<CheckedMessage>),
    /// The owner let somebody in, turned somebody away or put somebody out, or closed the room.
    Act(Box<CheckedAct>),
    /// The author counted this number before; its text must not be shown.
    Repeated {
        /// The entry's place.
        seq: u64,
        /// Who wrote it.
        author: AgentId,
        /// `Replayed` for the same message again, `Fork` for another one under the same number.
        flag: Flag,
    },
    /// The signature or the body's hash is wrong, or the bytes are no message of this room; its text must not be shown.
    Invalid {
        /// The entry's place.
        seq: u64,
    },
    /// The author was no member when it was sent; its text must not be shown.
    NotMember {
        /// The entry's place.
        seq: u64,
        /// Who wrote it.
        author: AgentId,
    },
}

/// What is odd about an entry or a room, as readers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Messages of the author are missing before this one.
    Gap,
    /// The same message stood before.
    Replayed,
    /// Another message or history than was seen before.
    Fork,
    /// It lies before what could be verified, because the log before it has expired.
    Unchecked,
}

/// The authors' counters as a reader has seen them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    last: BTreeMap<AgentId, LastMessage>,
    /// Whether reading began with the first entry of the log, so that who is not here yet counts from 1.
    #[serde(default)]
    is_complete: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct LastMessage {
    n: u64,
    /// Absent where only the number is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    /// Whether messages may have expired since, so that a number which skips says nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_old: bool,
}

/// What a range is checked against.
#[derive(Debug, Clone, Copy)]
pub struct RangeChecks<'a> {
    /// Who is in the room, as far as was verified before the range.
    pub members: &'a Members,
    /// The authors' counters before the range; `None` when the range is not the one behind all that was read, so that nobody's
    /// number is expected.
    pub counters: Option<&'a Counters>,
    /// Heads that lie at or before this entry are not compared: a human took the log as it stands up to here.
    pub accepted: u64,
}

/// What a range gave.
#[derive(Debug)]
pub struct RangeOutcome {
    /// What each entry gave, in order, up to the fault if there is one.
    pub readings: Vec<Reading>,
    /// The point after the last of them.
    pub end: LogPoint,
    /// Whether a value that was verified before was met. Without, every entry was checked for itself only.
    pub is_anchored: bool,
    /// Who is in the room after the last of them.
    pub members: Members,
    /// The authors' counters after the last of them; empty when none were given.
    pub counters: Counters,
    /// What shows that the hub tells others another history. Nothing behind it was read.
    pub fault: Option<RangeError>,
}

/// Says what about a range of a log cannot be what the hub showed others.
#[derive(Debug, thiserror::Error)]
pub enum RangeError {
    /// The sequence numbers have a hole or go back.
    #[error("entry {found} stands where entry {expected} should")]
    Sequence {
        /// The number that should follow.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// The folded value differs from one that was verified before.
    #[error("the log of the room is another one than before at entry {seq}")]
    Fork {
        /// Where the two differ.
        seq: u64,
    },
    /// A member verified another value of the log than this one.
    #[error("the author of entry {seq} has seen another history of the room")]
    Head {
        /// The entry whose head differs.
        seq: u64,
    },
    /// An act of the owner is not signed as it should be.
    #[error("the owner's act at entry {seq} does not hold")]
    Act {
        /// The entry.
        seq: u64,
        /// What is wrong with it.
        #[source]
        source: StatementError,
    },
    /// The owner's acts do not form one chain.
    #[error("the owner's acts up to entry {seq} form no chain")]
    Chain {
        /// The entry.
        seq: u64,
        /// Why not.
        #[source]
        source: ChainError,
    },
    /// No part of the range meets a value that was verified before.
    #[error("the range behind entry {seq} meets no verified point of the log")]
    Unanchored {
        /// Where it starts.
        seq: u64,
    },
    /// An entry stands behind the end of the room.
    #[error("entry {seq} stands behind the one that closed the room")]
    Closed {
        /// The entry.
        seq: u64,
    },
}

impl RangeOutcome {
    /// Returns the outcome if all of the range was read and it meets a value that was verified before.
    ///
    /// # Errors
    ///
    /// The fault that ended it, or [`RangeError::Unanchored`].
    pub fn whole(self) -> Result<Self, RangeError> {
        match self.fault {
            Some(fault) => Err(fault),
            None if !self.is_anchored => {
                Err(RangeError::Unanchored { seq: self.end.seq.saturating_sub(self.readings.len() as u64) })
            }
            None => Ok(self),
        }
    }
}

impl Reading {
    /// Returns the entry's place in the log.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Good(message) => message.seq,
            Self::Act(act) => act.seq,
            Self::Repeated { seq, .. } | Self::Invalid { seq } | Self::NotMember { seq, .. } => *seq,
        }
    }
}

impl RangeError {
    /// Returns the entry at which the range shows another history.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Sequence { expected, .. } => *expected,
            Self::Fork { seq }
            | Self::Head { seq }
            | Self::Act { seq, .. }
            | Self::Chain { seq, .. }
            | Self::Unanchored { seq }
            | Self::Closed { seq } => *seq,
        }
    }
}

impl Counters {
    /// Begins before any message was read; `is_complete` when that is before the first entry of the log.
    pub fn new(is_complete: bool) -> Self {
        Self { last: BTreeMap::new(), is_complete }
    }

    /// Returns the number of the last message of `author` that was read; 0 when none was.
    pub fn last_n(&self, author: &AgentId) -> u64 {
        self.last.get(author).map_or(0, |last| last.n)
    }

    /// Takes note that `author` has counted up to `n`, by the word of a reader that kept no more than that.
    pub fn note(&mut self, author: AgentId, n: u64) {
        if self.last_n(&author) < n {
            self.last.insert(author, LastMessage { n, digest: None, is_old: false });
        }
    }

    /// Goes on behind entries that expired unread: numbers that skip across them are no gap, and none may come again.
    pub fn skip(&mut self) {
        self.is_complete = false;
        self.last.values_mut().for_each(|last| last.is_old = true);
    }

    /// Takes over what another reader of the same log, who came as far, has seen beyond this.
    pub fn absorb(&mut self, other: &Self) {
        self.is_complete |= other.is_complete;
        for (author, theirs) in &other.last {
            let ours = self.last.entry(*author).or_insert(*theirs);
            // Who knows more of the same message is believed.
            let knows = |last: &LastMessage| (last.n, last.digest.is_some(), !last.is_old);
            if knows(theirs) > knows(ours) {
                *ours = *theirs;
            }
        }
    }

    /// Takes the next message of `author`; an error flags one whose number was read before, and a gap is told.
    fn take(
        &mut self,
        author: AgentId,
        n: u64,
        digest: Digest,
        here: &BTreeSet<Digest>,
    ) -> Result<bool, Flag> {
        let next = match self.last.get(&author) {
            Some(last) if n <= last.n => {
                let is_same = Some(digest) == last.digest || here.contains(&digest);
                return Err(if is_same { Flag::Replayed } else { Flag::Fork });
            }
            Some(last) if last.is_old => n,
            Some(last) => last.n + 1,
            None if self.is_complete => 1,
            None => n,
        };
        self.last.insert(author, LastMessage { n, digest: Some(digest), is_old: false });
        Ok(n != next)
    }
}

/// Folds `entries`, which follow `start`, and checks each of them and the whole against what was verified before.
///
/// `known` gives the verified value at a sequence number, where one is kept. The range counts when it meets a known value, at
/// its start, its end or between, and every known value on the way is the same. Reading stops at the first fault.
///
/// That `start` is where the reader left off is not known here: [`ClientEnd`](crate::conn::ClientEnd) takes no other answer.
pub fn verify_range(
    checks: RangeChecks<'_>,
    start: LogPoint,
    entries: Vec<Entry>,
    known: impl Fn(u64) -> Option<Digest>,
) -> RangeOutcome {
    let mut fold = Fold {
        point: start,
        points: BTreeMap::from([(start.seq, start.log)]),
        members: checks.members.clone(),
        counters: checks.counters.cloned(),
        digests: BTreeSet::new(),
        accepted: checks.accepted,
        is_anchored: false,
        known,
    };
    let mut readings = Vec::with_capacity(entries.len());
    let mut fault = fold.meet(start).err();
    if fault.is_none() {
        for entry in entries {
            match fold.take(entry) {
                Ok(reading) => readings.push(reading),
                Err(error) => {
                    fault = Some(error);
                    break;
                }
            }
        }
    }
    RangeOutcome {
        readings,
        end: fold.point,
        is_anchored: fold.is_anchored,
        members: fold.members,
        counters: fold.counters.unwrap_or_default(),
        fault,
    }
}

struct Fold<K> {
    point: LogPoint,
    points: BTreeMap<u64, Digest>,
    members: Members,
    counters: Option<Counters>,
    digests: BTreeSet<Digest>,
    accepted: u64,
    is_anchored: bool,
    known: K,
}

impl<K: Fn(u64) -> Option<Digest>> Fold<K> {
    /// Compares a folded value with the known one of its place.
    fn meet(&mut self, point: LogPoint) -> Result<(), RangeError> {
        match (self.known)(point.seq) {
            Some(log) if log != point.log => Err(RangeError::Fork { seq: point.seq }),
            // The value commits to all before it, and what follows extends it.
            Some(_) => {
                self.is_anchored = true;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn take(&mut self, entry: Entry) -> Result<Reading, RangeError> {
        let seq = self.point.seq + 1;
        if entry.seq != seq {
            return Err(RangeError::Sequence { expected: seq, found: entry.seq });
        }
        let digest = entry.content.digest();
        let after = extend(&self.point, &digest);
        self.meet(after)?;
        if self.members.closed().is_some_and(|closed| closed < seq) {
            return Err(RangeError::Closed { seq });
        }
        let reading = match entry.content {
            EntryContent::Membership(act) => self.act(act, after)?,
            EntryContent::Message { message, body } => self.message(message, body, after)?,
        };
        self.digests.insert(digest);
        self.points.insert(seq, after.log);
        self.point = after;
        Ok(reading)
    }

    fn act(&mut self, act: Signed<Membership>, point: LogPoint) -> Result<Reading, RangeError> {
        let seq = point.seq;
        let act = act.verify().map_err(|source| RangeError::Act { seq, source })?;
        if let Op::Admit(admit) = &act.statement().op {
            // The owner's own word on the log, as good as a message's head.
            self.head(admit.at, seq)?;
        }
        self.members.append(&act, seq).map_err(|source| RangeError::Chain { seq, source })?;
        Ok(Reading::Act(Box::new(CheckedAct { seq, point, act })))
    }

    fn message(
        &mut self,
        message: Signed<Message>,
        text: Option<String>,
        point: LogPoint,
    ) -> Result<Reading, RangeError> {
        let seq = point.seq;
        let Ok(header) = message.verify() else { return Ok(Reading::Invalid { seq }) };
        let said = header.statement();
        if said.room != self.members.room() {
            return Ok(Reading::Invalid { seq });
        }
        let author = header.by();
        if self.members.role(&author, seq, said.sent).is_none() {
            return Ok(Reading::NotMember { seq, author });
        }
        self.head(said.head, seq)?;
        let taken = self
            .counters
            .as_mut()
            .map_or(Ok(false), |counters| counters.take(author, said.n, header.digest(), &self.digests));
        let is_after_gap = match taken {
            Ok(is_after_gap) => is_after_gap,
            Err(flag) => return Ok(Reading::Repeated { seq, author, flag }),
        };
        if said.leave {
            self.members.note_leave(&author, seq);
        }
        // The header counts whatever came beside it: a hub that spoils a body cannot take the message back by that.
        if text.as_ref().is_some_and(|text| Digest::of(text.as_bytes()) != said.body) {
            return Ok(Reading::Invalid { seq });
        }
        let readable = said.epoch == 0 && said.needs.is_empty();
        let body = match text.as_deref().filter(|_| readable).map(Body::parse) {
            Some(Err(_)) => return Ok(Reading::Invalid { seq }),
            Some(Ok(body)) => Some(body),
            None => None,
        };
        let message = CheckedMessage { seq, point, header, body, body_text: text, is_after_gap };
        Ok(Reading::Good(Box::new(message)))
    }

    /// Compares the newest value that the author of entry `seq` had verified with what is known of the log there.
    fn head(&self, head: LogPoint, seq: u64) -> Result<(), RangeError> {
        if head.seq >= seq {
            return Err(RangeError::Head { seq });
        }
        let here = (self.known)(head.seq).or_else(|| self.points.get(&head.seq).copied());
        match here {
            Some(log) if log != head.log && head.seq > self.accepted => Err(RangeError::Head { seq }),
            _ => Ok(()),
        }
    }
}
