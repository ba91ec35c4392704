//! What is remembered of a room, for all seats and processes of a user: verified log values, who is in it, each
//! author's last `n`, and whether the hub was seen to show another history. Two of them are merged; neither goes backward.

mod evidence;
mod memory;

use std::collections::{BTreeMap, BTreeSet};

use protocol::id::{Digest, RoomId};
use protocol::key::AgentId;
use protocol::room::{Counters, Flag, Members};
use protocol::signed::{Signed, Verified};
use protocol::statement::{Genesis, LogPoint, UnixMillis};
use serde::{Deserialize, Serialize};

pub(crate) use self::memory::FileMark;
pub use self::memory::RoomMemory;
use crate::limits;

/// Verified facts about one room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoomState {
    #[serde(with = "pairs")]
    known: BTreeMap<u64, Digest>,
    head: LogPoint,
    /// Where verification started: the room's id, a point that the owner signed, or one from which the hub still has the log.
    began: LogPoint,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_unchecked: bool,
    members: Members,
    counters: Counters,
    #[serde(with = "pairs", skip_serializing_if = "BTreeMap::is_empty")]
    flags: BTreeMap<u64, Flag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    genesis: Option<Signed<Genesis>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<Topic>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fork: Option<Fork>,
    accepted: u64,
    /// Entries up to here did not arrive at what the owner has signed and are not read.
    lost: u64,
    /// Counts how often a human took the log as the hub showed it: what was known before that is another history's.
    histories: u32,
    /// Up to which entry each reader of each seat was handed what is here. The hub has cursors too and may say of them what it
    /// wants.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    cursors: BTreeMap<AgentId, BTreeMap<String, u64>>,
}

/// What a session is about, and where it was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    seq: u64,
    text: String,
}

/// That the hub shows another history of a room than the one that was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// The entry at which the two differ.
    pub seq: u64,
    /// When it was seen first, by this machine's clock.
    pub time: UnixMillis,
    /// What differs, in one line.
    pub what: String,
}

/// Writes a map whose keys are numbers as a list, since JSON has no such keys.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        map: &BTreeMap<u64, T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<u64, T>, D::Error> {
        Ok(Vec::<(u64, T)>::deserialize(deserializer)?.into_iter().collect())
    }
}

impl RoomState {
    /// Begins with what everybody knows: the log of the room before its first entry.
    pub fn new(members: Members) -> Self {
        let start = LogPoint::start(members.room());
        Self {
            known: BTreeMap::from([(start.seq, start.log)]),
            head: start,
            began: start,
            is_unchecked: false,
            members,
            counters: Counters::new(true),
            flags: BTreeMap::new(),
            genesis: None,
            topic: None,
            fork: None,
            accepted: 0,
            lost: 0,
            histories: 0,
            cursors: BTreeMap::new(),
        }
    }

    /// Begins with what everybody knows of the room that `genesis` opened.
    pub fn opened(genesis: &Verified<Genesis>) -> Self {
        Self { genesis: Some(genesis.signed().clone()), ..Self::new(Members::new(genesis)) }
    }

    /// Goes on from `point` without having read what is before it; `is_checked` when the owner has signed it.
    pub fn start_at(&mut self, point: LogPoint, is_checked: bool) {
        self.known.insert(point.seq, point.log);
        (self.head, self.began) = (point, point);
        self.is_unchecked = !is_checked;
        self.counters.skip();
    }

    /// Returns the room.
    pub fn room(&self) -> RoomId {
        self.members.room()
    }

    /// Returns the newest point of the log up to which everything was verified.
    pub fn head(&self) -> LogPoint {
        self.head
    }

    /// Returns where verification started.
    pub fn began(&self) -> LogPoint {
        self.began
    }

    /// Says whether nothing but the hub's word ties the log to its beginning, which has expired.
    pub fn is_unchecked(&self) -> bool {
        self.is_unchecked
    }

    /// Returns the verified log value after entry `seq`, where one is kept.
    pub fn known(&self, seq: u64) -> Option<Digest> {
        self.known.get(&seq).copied()
    }

    /// Returns the verified point at `seq`, or the nearest one before it that is kept.
    pub fn known_before(&self, seq: u64) -> Option<LogPoint> {
        let found = self.known.range(..=seq).next_back();
        found.map(|(seq, log)| LogPoint { seq: *seq, log: *log })
    }

    /// Returns the verified point at `seq`, or the nearest one behind it that is kept.
    pub fn known_behind(&self, seq: u64) -> Option<LogPoint> {
        let found = self.known.range(seq..).next();
        found.map(|(seq, log)| LogPoint { seq: *seq, log: *log })
    }

    /// Returns the newest entry after which the log value is known: the head, or what the owner has signed beyond it.
    pub fn newest(&self) -> u64 {
        self.known.last_key_value().map_or(self.head.seq, |(seq, _)| self.head.seq.max(*seq))
    }

    /// Returns who is in the room.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// Returns who is in the room, to take note of what was verified.
    pub fn members_mut(&mut self) -> &mut Members {
        &mut self.members
    }

    /// Returns the authors' counters at the head.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns the `n` of the newest message of `author` that was verified; 0 before the first.
    pub fn last_n(&self, author: &AgentId) -> u64 {
        self.counters.last_n(author)
    }

    /// Returns what is odd about entry `seq`.
    pub fn flag(&self, seq: u64) -> Option<Flag> {
        self.flags.get(&seq).copied()
    }

    /// Returns the statement that opened the room, where it was kept: it is not that of a home.
    pub fn genesis(&self) -> Option<&Signed<Genesis>> {
        self.genesis.as_ref()
    }

    /// Returns what the session is about, as its owner said.
    pub fn topic(&self) -> Option<&str> {
        self.topic.as_ref().map(|topic| topic.text.as_str())
    }

    /// Returns where and when the hub was seen to show another history.
    pub fn fork(&self) -> Option<&Fork> {
        self.fork.as_ref()
    }

    /// Returns the entry up to which a human took the log as it stands.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Counts how often a human took the log as the hub showed it.
    pub fn histories(&self) -> u32 {
        self.histories
    }

    /// Returns the entry up to which the log is not read, since it did not arrive at what the owner has signed.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Gives up what stands before the head.
    pub fn lose(&mut self) {
        self.lost = self.head.seq;
    }

    /// Returns the last entry that was handed to `reader` of `agent`; `None` before the first.
    pub fn cursor(&self, agent: &AgentId, reader: &str) -> Option<u64> {
        self.cursors.get(agent)?.get(reader).copied()
    }

    /// Takes note that everything up to `seq` was handed to `reader` of `agent`; it never goes back.
    pub fn note_cursor(&mut self, agent: AgentId, reader: &str, seq: u64) {
        let cursor = self.cursors.entry(agent).or_default().entry(reader.to_owned()).or_default();
        *cursor = seq.max(*cursor);
    }

    /// Takes note of a log value that is verified without the entries before it.
    pub fn note_point(&mut self, point: LogPoint) {
        self.known.entry(point.seq).or_insert(point.log);
    }

    /// Takes note of entries that follow the head: the points after each, and members and counters after the last.
    pub fn extend(
        &mut self,
        points: impl IntoIterator<Item = LogPoint>,
        members: Members,
        counters: Counters,
    ) {
        for point in points {
            self.known.insert(point.seq, point.log);
            self.head = point;
        }
        (self.members, self.counters) = (members, counters);
    }

    /// Takes note of what is odd about an entry; says whether there is room for it.
    pub fn note_flag(&mut self, seq: u64, flag: Flag) -> bool {
        let is_room = self.flags.len() < limits::FLAGGED_ENTRIES_MAX || self.flags.contains_key(&seq);
        if is_room {
            self.flags.insert(seq, flag);
        }
        is_room
    }

    /// Takes note of what the owner says at entry `seq` that the session is about; says whether that is news.
    pub fn note_topic(&mut self, seq: u64, text: &str) -> bool {
        let is_news = self.topic.as_ref().is_none_or(|topic| topic.seq < seq);
        if is_news {
            self.topic = Some(Topic { seq, text: text.to_owned() });
        }
        is_news
    }

    /// Takes note of another history; the first one seen stays until a human has looked.
    pub fn note_fork(&mut self, fork: Fork) {
        self.fork.get_or_insert(fork);
    }

    /// Takes over from `other` what no history of the log changes: the owner's words on seats, and the genesis.
    pub fn restore(&mut self, other: &Self) {
        self.members.absorb_seats(&other.members);
        self.genesis.clone_from(&other.genesis);
        self.topic.clone_from(&other.topic);
    }

    /// Turns this, which was verified anew after a human accepted the log as it stands up to `accepted`, into the history that
    /// follows `before`.
    pub fn succeed(&mut self, before: &Self, accepted: u64) {
        self.accepted = accepted;
        self.histories = before.histories + 1;
        self.cursors.clone_from(&before.cursors);
        let cursors = self.cursors.values_mut().flat_map(BTreeMap::values_mut);
        cursors.for_each(|cursor| *cursor = accepted.min(*cursor));
    }

    /// Returns the first place where the two disagree about the log.
    pub fn differs_from(&self, other: &Self) -> Option<u64> {
        let differs = |(seq, log): (&u64, &Digest)| {
            other.known.get(seq).is_some_and(|theirs| theirs != log).then_some(*seq)
        };
        self.known.iter().find_map(differs)
    }

    /// Takes over what `other` knows beyond this; where they disagree, this stays, the fork is noted, and the first place of it
    /// is returned.
    fn absorb(&mut self, other: &Self, now: UnixMillis) -> Option<u64> {
        if self.histories != other.histories {
            if self.histories < other.histories {
                self.clone_from(other);
            }
            return None;
        }
        for (agent, readers) in &other.cursors {
            readers.iter().for_each(|(reader, seq)| self.note_cursor(*agent, reader, *seq));
        }
        if let Some(fork) = &other.fork {
            self.note_fork(fork.clone());
        }
        if let Some(seq) = self.differs_from(other) {
            let what = format!("the hub shows two histories to two processes at entry {seq}");
            self.note_fork(Fork { seq, time: now, what });
            return Some(seq);
        }
        for (seq, log) in &other.known {
            self.known.entry(*seq).or_insert(*log);
        }
        self.members.absorb(&other.members);
        if other.head.seq > self.head.seq {
            (self.head, self.counters) = (other.head, other.counters.clone());
            (self.began, self.is_unchecked) = (other.began, other.is_unchecked);
        } else if other.head.seq == self.head.seq {
            self.counters.absorb(&other.counters);
            if other.began.seq < self.began.seq {
                (self.began, self.is_unchecked) = (other.began, other.is_unchecked);
            }
        }
        for (seq, flag) in &other.flags {
            self.flags.entry(*seq).or_insert(*flag);
        }
        if let Some(topic) = &other.topic {
            self.note_topic(topic.seq, &topic.text);
        }
        self.accepted = self.accepted.max(other.accepted);
        self.genesis = self.genesis.take().or_else(|| other.genesis.clone());
        None
    }

    /// Says whether it holds what no hub tells again: that another history was seen, what a human accepted, what was handed to whom.
    fn must_last(&self) -> bool {
        self.fork.is_some() || self.histories > 0 || !self.cursors.is_empty()
    }

    /// Leaves the newest values, some of the older ones, and those that the owner has signed.
    pub fn thin_out(&mut self) {
        let recent = u64::try_from(limits::KNOWN_RECENT_MAX).unwrap_or(u64::MAX);
        let oldest = self.head.seq.saturating_sub(recent);
        let mut anchors: BTreeSet<u64> = self.members.anchors().map(|at| at.seq).collect();
        anchors.insert(self.began.seq);
        let is_kept =
            |seq: u64| seq > oldest || seq.is_multiple_of(limits::KNOWN_STRIDE) || anchors.contains(&seq);
        self.known.retain(|seq, _| is_kept(*seq));
    }
}

#[cfg(test)]
mod tests;
