//! The file of a room: read, merged under a lock with what this process knows, and written by rename. It never goes backward.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use protocol::id::{Digest, RoomId};
use protocol::json::{self, JsonError};
use protocol::key::{AgentId, HubId, UserId};
use protocol::room::{Counters, Flag, Members};
use protocol::signed::Signed;
use protocol::statement::{Genesis, LogPoint, RoomKind, Seat};
use serde::Deserialize;
use serde_json::json;

use super::{Fork, RoomState, Topic, pairs};
use crate::files::{self, FileError, Lock};
use crate::limits::ROOM_FILE_BYTES_MAX;
use crate::seat::{self, SeatError};

/// Tells a file from the one that replaces it: inode and time of writing.
pub(crate) type FileMark = (u64, i64, i64);

/// The file in which the state of one room is kept.
#[derive(Debug, Clone)]
pub struct RoomMemory {
    path: PathBuf,
    pub(super) evidence: PathBuf,
    pub(super) hub: Option<HubId>,
    user: UserId,
    pub(super) room: RoomId,
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
        let (path, evidence) = (ours.join(format!("{room}.json")), data.join("evidence"));
        Ok(Self { path, evidence, hub: None, user: *user, room })
    }

    /// Says on which hub the room is, so that evidence against one hub leaves room for that against others.
    pub fn at(self, hub: HubId) -> Self {
        Self { hub: Some(hub), ..self }
    }

    /// Returns the file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what is remembered, if anything is.
    ///
    /// # Errors
    /// [`SeatError`] when the file cannot be read, is damaged or belongs to another room.
    pub fn load(&self) -> Result<Option<RoomState>, SeatError> {
        let Some(mut bytes) = files::read_private_up_to(&self.path, ROOM_FILE_BYTES_MAX)? else {
            return Ok(None);
        };
        let damaged = |source| SeatError::DamagedState { path: self.path.clone(), source };
        // Nothing, or a beginning, with zeros behind it or not: what a power cut leaves of a file that was not flushed, and in
        // which therefore nothing stood that must last.
        bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
        let text = match str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) if error.error_len().is_none() => {
                &String::from_utf8_lossy(&bytes[..error.valid_up_to()])
            }
            Err(_) => return Err(damaged(None)),
        };
        let stored: Stored = match json::parse(text) {
            Err(JsonError::NotStrict(error)) if error.is_eof() => return Ok(None),
            other => other.map_err(|source| damaged(Some(source)))?,
        };
        // The first value is the room's id by rule; a file that says otherwise belongs to no room.
        let is_ours = stored.known.get(&0) == Some(&self.room.into())
            && stored.members.as_ref().is_none_or(|members| members.room() == self.room);
        if is_ours { Ok(Some(stored.state(self.room, self.user))) } else { Err(damaged(None)) }
    }

    /// Adds what `seen` knows to the file and returns all that is known now. Nothing known is changed or lost.
    ///
    /// # Errors
    /// [`SeatError`] when the file cannot be read, is damaged, cannot be written, or would be larger than is read.
    pub fn merge(&self, seen: &RoomState) -> Result<RoomState, SeatError> {
        Ok(self.merge_marked(seen)?.0)
    }

    /// As [`RoomMemory::merge`], and tells by which mark the file is known until somebody else writes it.
    pub(crate) fn merge_marked(&self, seen: &RoomState) -> Result<(RoomState, Option<FileMark>), SeatError> {
        let _lock = Lock::of(&self.path)?;
        let before = self.load()?;
        let mut after = before.clone().unwrap_or_else(|| seen.clone());
        if let Some(seq) = after.absorb(seen, seat::now()) {
            let side = |state: &RoomState| json!({ "head": state.head, "known": state.known });
            let what = after.fork().map_or("", |fork| &fork.what);
            self.keep_evidence(seq, what, &side(&after), &side(seen));
        }
        after.thin_out();
        if before.as_ref() != Some(&after) {
            let text = json::write(&after);
            if text.len() as u64 > ROOM_FILE_BYTES_MAX {
                // What could not be read again is not put in the place of what can.
                let (path, max) = (self.path.clone(), ROOM_FILE_BYTES_MAX);
                return Err(FileError::TooLarge { path, max }.into());
            }
            if after.must_last() {
                files::replace(&self.path, text.as_bytes())?;
            } else {
                // Not flushed: after a power cut the hub tells all of it again, to be verified from the start of the log.
                files::replace_unflushed(&self.path, text.as_bytes())?;
            }
        }
        Ok((after, self.mark()))
    }

    /// Returns the mark of the file as it is now, if there is one.
    pub(crate) fn mark(&self) -> Option<FileMark> {
        // What cannot be looked at is read, which says why.
        let found = fs::metadata(&self.path).ok()?;
        Some((found.ino(), found.mtime(), found.mtime_nsec()))
    }
}

/// A state as it stands in a file; one of the first version has neither head nor members.
#[derive(Deserialize)]
struct Stored {
    #[serde(with = "pairs")]
    known: BTreeMap<u64, Digest>,
    head: Option<LogPoint>,
    began: Option<LogPoint>,
    #[serde(default)]
    is_unchecked: bool,
    members: Option<Members>,
    counters: Option<Counters>,
    #[serde(default, with = "pairs")]
    flags: BTreeMap<u64, Flag>,
    genesis: Option<Signed<Genesis>>,
    topic: Option<Topic>,
    fork: Option<Fork>,
    #[serde(default)]
    accepted: u64,
    #[serde(default)]
    lost: u64,
    #[serde(default)]
    histories: u32,
    #[serde(default)]
    cursors: BTreeMap<AgentId, BTreeMap<String, u64>>,
    #[serde(default)]
    authors: BTreeMap<AgentId, u64>,
    #[serde(default)]
    seats: BTreeMap<AgentId, StoredSeat>,
}

/// A seat's newest statement, as the first version kept it.
#[derive(Deserialize)]
struct StoredSeat {
    statement: Signed<Seat>,
}

impl Stored {
    /// Returns the state; the first version knew homes only, whose owner is `user`.
    fn state(self, room: RoomId, user: UserId) -> RoomState {
        let newest = self.known.last_key_value().map(|(seq, log)| LogPoint { seq: *seq, log: *log });
        let mut state =
            RoomState::new(self.members.unwrap_or_else(|| Members::of(room, user, RoomKind::Home)));
        state.known = self.known;
        state.head = self.head.or(newest).unwrap_or(state.head);
        state.began = self.began.unwrap_or(state.began);
        // Nobody wrote down whether the first version had read from the first entry on.
        state.counters = self.counters.unwrap_or_else(|| Counters::new(false));
        state.is_unchecked = self.is_unchecked;
        (state.flags, state.genesis, state.topic) = (self.flags, self.genesis, self.topic);
        state.fork = self.fork;
        (state.accepted, state.lost, state.histories) = (self.accepted, self.lost, self.histories);
        state.cursors = self.cursors;
        self.authors.into_iter().for_each(|(author, n)| state.counters.note(author, n));
        for seat in self.seats.into_values().filter_map(|seat| seat.statement.verify().ok()) {
            state.members.note_seat(&seat);
        }
        state
    }
}
