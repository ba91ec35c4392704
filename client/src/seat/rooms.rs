//! What is remembered of a room, for all seats and processes of a user: verified log values, each author's last `n`
//! and newest seat statement. It is merged under a file lock and never goes backward.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use protocol::id::{Digest, RoomId};
use protocol::json;
use protocol::key::{AgentId, UserId};
use protocol::signed::{Signed, Verified};
use protocol::statement::{LogPoint, Seat, UnixMillis};
use serde::{Deserialize, Serialize};

use super::{SeatError, read_json};
use crate::files::{self, Lock};
use crate::limits;

/// Verified facts about one room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomState {
    #[serde(with = "pairs")]
    known: BTreeMap<u64, Digest>,
    #[serde(default)]
    authors: BTreeMap<AgentId, u64>,
    #[serde(default)]
    seats: BTreeMap<AgentId, KnownSeat>,
}

/// Writes a map whose keys are numbers as a list, since JSON has no such keys.
mod pairs {
    use std::collections::BTreeMap;

    use protocol::id::Digest;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<u64, Digest>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<u64, Digest>, D::Error> {
        Ok(Vec::<(u64, Digest)>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// A seat's newest statement that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KnownSeat {
    issued: UnixMillis,
    statement: Signed<Seat>,
}

impl RoomState {
    /// Begins with what everybody knows: the log of `room` before its first entry.
    pub fn start(room: RoomId) -> Self {
        Self { known: BTreeMap::from([(0, room.into())]), authors: BTreeMap::new(), seats: BTreeMap::new() }
    }

    /// Returns the newest verified point of the log.
    pub fn head(&self) -> LogPoint {
        let newest = self.known.last_key_value().map(|(seq, log)| LogPoint { seq: *seq, log: *log });
        newest.unwrap_or(LogPoint { seq: 0, log: Digest::from_bytes([0; 32]) })
    }

    /// Returns the verified log value after entry `seq`, where one is kept.
    pub fn known(&self, seq: u64) -> Option<Digest> {
        self.known.get(&seq).copied()
    }

    /// Returns the `n` of the newest message of `author` that was verified; 0 before the first.
    pub fn last_n(&self, author: &AgentId) -> u64 {
        self.authors.get(author).copied().unwrap_or(0)
    }

    /// Takes note of a verified log value.
    pub fn note_point(&mut self, point: LogPoint) {
        self.known.insert(point.seq, point.log);
    }

    /// Takes note of a verified message of `author`.
    pub fn note_author(&mut self, author: AgentId, n: u64) {
        let last = self.authors.entry(author).or_insert(0);
        *last = n.max(*last);
    }

    /// Returns the verified point at `seq`, or the nearest one before it that is kept.
    pub fn known_before(&self, seq: u64) -> Option<LogPoint> {
        let found = self.known.range(..=seq).next_back();
        found.map(|(seq, log)| LogPoint { seq: *seq, log: *log })
    }

    /// Takes note of a seat statement; the newest of each seat is kept.
    pub fn note_seat(&mut self, seat: &Verified<Seat>) {
        let statement = seat.statement();
        let known = KnownSeat { issued: statement.issued, statement: seat.signed().clone() };
        self.note_known(statement.seat, &known);
    }

    fn note_known(&mut self, agent: AgentId, seat: &KnownSeat) {
        let newer = self.seats.get(&agent).is_none_or(|known| known.issued < seat.issued);
        if newer {
            self.seats.insert(agent, seat.clone());
        }
    }

    /// Returns the newest statement of each seat that has written here, as they travelled.
    pub fn seats(&self) -> impl Iterator<Item = &Signed<Seat>> {
        self.seats.values().map(|known| &known.statement)
    }

    /// Returns the first place where the two disagree about the log.
    pub fn fork(&self, other: &Self) -> Option<u64> {
        let differs = |(seq, log): (&u64, &Digest)| {
            other.known.get(seq).is_some_and(|theirs| theirs != log).then_some(*seq)
        };
        self.known.iter().find_map(differs)
    }

    /// Takes over what `other` knows beyond this; where they disagree, this stays.
    fn absorb(&mut self, other: &Self) {
        for (seq, log) in &other.known {
            self.known.entry(*seq).or_insert(*log);
        }
        for (author, n) in &other.authors {
            self.note_author(*author, *n);
        }
        for (agent, seat) in &other.seats {
            self.note_known(*agent, seat);
        }
        let recent = u64::try_from(limits::KNOWN_RECENT_MAX).unwrap_or(u64::MAX);
        let oldest = self.head().seq.saturating_sub(recent);
        self.known.retain(|seq, _| *seq > oldest || seq % limits::KNOWN_STRIDE == 0);
    }
}

/// The file in which the state of one room is kept.
#[derive(Debug, Clone)]
pub struct RoomMemory {
    path: PathBuf,
    room: RoomId,
}

impl RoomMemory {
    /// Names the file of `room` for `user`, making its folder.
    ///
    /// # Errors
    /// [`SeatError::File`] when the folder cannot be made.
    pub fn open(data: &Path, user: &UserId, room: RoomId) -> Result<Self, SeatError> {
        let (rooms, ours) = (data.join("rooms"), data.join("rooms").join(user.to_string()));
        files::private_dir(data)?;
        files::private_dir(&rooms)?;
        files::private_dir(&ours)?;
        Ok(Self { path: ours.join(format!("{room}.json")), room })
    }

    /// Returns the file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what is remembered; the start of the log where nothing is.
    ///
    /// # Errors
    /// [`SeatError`] when the file cannot be read or is damaged.
    pub fn load(&self) -> Result<RoomState, SeatError> {
        let bytes = files::read_private(&self.path)?;
        // What a power cut leaves of a file that was just written.
        let is_lost = bytes.is_none_or(|bytes| bytes.iter().all(|byte| *byte == 0));
        let state: Option<RoomState> = if is_lost { None } else { read_json(&self.path)? };
        let state = state.unwrap_or_else(|| RoomState::start(self.room));
        // The first value is the room's id by rule; a file that says otherwise belongs to no room.
        if state.known.get(&0) == Some(&self.room.into()) {
            Ok(state)
        } else {
            Err(SeatError::DamagedState { path: self.path.clone(), source: None })
        }
    }

    /// Adds what `seen` knows to the file and returns all that is known now. Nothing known is changed or lost.
    ///
    /// # Errors
    /// [`SeatError`] when the file cannot be read, is damaged, or cannot be written.
    pub fn merge(&self, seen: &RoomState) -> Result<RoomState, SeatError> {
        let _lock = Lock::of(&self.path)?;
        let before = self.load()?;
        let mut after = before.clone();
        after.absorb(seen);
        if after != before {
            // Not flushed: after a power cut the hub tells all of it again, to be verified from the start of the log.
            files::replace_unflushed(&self.path, json::write(&after).as_bytes())?;
        }
        Ok(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::key::{AgentKey, UserKey};

    fn room() -> RoomId {
        RoomId::from_bytes([5; 32])
    }

    fn memory(dir: &Path) -> RoomMemory {
        RoomMemory::open(dir, &UserKey::from_seed(&[2; 32]).public(), room()).unwrap()
    }

    fn point(seq: u64) -> LogPoint {
        LogPoint { seq, log: Digest::of(&seq.to_be_bytes()) }
    }

    #[test]
    fn a_new_room_begins_at_its_id() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(memory(dir.path()).load().unwrap().head(), LogPoint::start(room()));
    }

    #[test]
    fn racing_processes_lose_nothing_and_never_go_backward() {
        let dir = tempfile::tempdir().unwrap();
        let memory = &memory(dir.path());
        std::thread::scope(|s| {
            for i in 1..=12u8 {
                s.spawn(move || {
                    let mut seen = RoomState::start(room());
                    seen.note_point(point(u64::from(i)));
                    seen.note_author(AgentKey::from_seed(&[i % 3; 32]).public(), u64::from(i));
                    memory.merge(&seen).unwrap()
                });
            }
        });
        let state = memory.load().unwrap();
        assert!((1..=12).all(|seq| state.known(seq) == Some(point(seq).log)));
        assert_eq!(state.head(), point(12));
        assert_eq!(state.last_n(&AgentKey::from_seed(&[0; 32]).public()), 12);
        let older = memory.merge(&RoomState::start(room())).unwrap();
        assert_eq!(older, state);
    }

    #[test]
    fn another_history_does_not_replace_the_known_one() {
        let dir = tempfile::tempdir().unwrap();
        let memory = memory(dir.path());
        let mut ours = RoomState::start(room());
        ours.note_point(point(1));
        memory.merge(&ours).unwrap();
        let mut theirs = RoomState::start(room());
        theirs.note_point(LogPoint { seq: 1, log: Digest::of(b"another") });
        assert_eq!(ours.fork(&theirs), Some(1));
        assert_eq!(memory.merge(&theirs).unwrap().known(1), Some(point(1).log));
    }

    #[test]
    fn old_values_are_thinned_out() {
        let dir = tempfile::tempdir().unwrap();
        let memory = memory(dir.path());
        let mut seen = RoomState::start(room());
        (1..=5000).for_each(|seq| seen.note_point(point(seq)));
        let kept = memory.merge(&seen).unwrap();
        let old: Vec<u64> = kept.known.keys().copied().filter(|seq| *seq <= 5000 - 1024).collect();
        assert_eq!(old, [0, 1024, 2048, 3072]);
        assert_eq!(kept.known.len(), 1024 + old.len());
        assert_eq!(memory.load().unwrap(), kept);
    }

    #[test]
    fn what_a_power_cut_left_is_learnt_again_and_other_damage_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let memory = memory(dir.path());
        for lost in ["", "\0\0\0\0"] {
            files::replace(memory.path(), lost.as_bytes()).unwrap();
            assert_eq!(memory.load().unwrap(), RoomState::start(room()));
        }
        files::replace(memory.path(), b"{\"known\":[[0,").unwrap();
        assert!(matches!(memory.load(), Err(SeatError::DamagedState { .. })));
    }

    #[test]
    fn the_file_of_another_room_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let memory = memory(dir.path());
        let other = RoomState::start(RoomId::from_bytes([6; 32]));
        files::replace(memory.path(), json::write(&other).as_bytes()).unwrap();
        assert!(matches!(memory.load(), Err(SeatError::DamagedState { .. })));
    }
}
