//! What has come for a seat, in a small file that hooks of agent hosts read without asking anybody: a process that listens keeps it up
//! to date, and ends when no hook has looked for a while.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use protocol::id::RoomId;
use protocol::json;
use protocol::key::{AgentId, UserId};
use serde::{Deserialize, Serialize};

use super::{RoomMemory, Seat, SeatError, read_json, real_path, stem};
use crate::files::{self, FileError, Turn};
use crate::limits::MAILBOX_ENTRIES_MAX;

/// The reader that is told by hooks.
pub const HOOK_READER: &str = "hook";

/// The mailbox of one seat.
#[derive(Debug, Clone)]
pub struct Mailbox {
    data: PathBuf,
    stem: String,
}

/// What has come in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The room.
    pub room: RoomId,
    /// Whether it is the home.
    pub is_home: bool,
    user: UserId,
    agent: AgentId,
    /// The newest that others have said or handed over, oldest first.
    pub entries: Vec<MailEntry>,
}

/// One message or handoff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailEntry {
    /// Its place in the log.
    pub seq: u64,
    /// Whose it is.
    pub from: AgentId,
    /// What that one is called, as it says.
    pub name: String,
    /// Whether it is a handoff.
    pub is_handoff: bool,
}

/// How often a hook has made the agent go on in a row.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Wakes {
    wakes: u32,
}

impl Mail {
    /// Begins with nothing, for `seat` in `room`.
    pub fn of(seat: &Seat, room: RoomId, is_home: bool) -> Self {
        Self { room, is_home, user: seat.user(), agent: seat.agent(), entries: Vec::new() }
    }

    /// Adds what has come, and lets the oldest go where that is too much.
    pub fn add(&mut self, entries: impl IntoIterator<Item = MailEntry>) {
        self.entries.extend(entries);
        let surplus = self.entries.len().saturating_sub(MAILBOX_ENTRIES_MAX);
        self.entries.drain(..surplus);
    }
}

impl Mailbox {
    /// Names the mailbox of the seat of `seat_dir`; `None` where no such seat has worked yet, so that nothing is for it.
    ///
    /// # Errors
    /// [`SeatError::File`] when the seat's folder cannot be resolved.
    pub fn of(data: &Path, seat_dir: Option<&Path>) -> Result<Option<Self>, SeatError> {
        let dir = seat_dir.map(real_path).transpose()?;
        let stem = stem(dir.as_deref());
        let is_known = data.join("seats").join(format!("{stem}.key")).exists();
        Ok(is_known.then(|| Self { data: data.to_owned(), stem }))
    }

    /// Returns what has come for the seat that `reader` has neither been handed nor was told of by a hook.
    ///
    /// # Errors
    /// [`SeatError`] when a file is damaged or cannot be read.
    pub fn news(&self, reader: &str) -> Result<Option<Mail>, SeatError> {
        let Some(mut mail) = read_json::<Mail>(&self.file("mail.json"))? else { return Ok(None) };
        if let Some(state) = RoomMemory::open(&self.data, &mail.user, mail.room)?.load()? {
            let seen = [reader, HOOK_READER]
                .into_iter()
                .filter_map(|reader| state.cursor(&mail.agent, reader))
                .max();
            mail.entries.retain(|entry| seen.is_none_or(|seen| entry.seq > seen));
        }
        Ok(Some(mail))
    }

    /// Takes note that a hook has told of all of it.
    ///
    /// # Errors
    /// [`SeatError`] when what is remembered of the room cannot be read or written.
    pub fn note_told(&self, mail: &Mail) -> Result<(), SeatError> {
        let memory = RoomMemory::open(&self.data, &mail.user, mail.room)?;
        let (Some(mut state), Some(last)) = (memory.load()?, mail.entries.last()) else { return Ok(()) };
        state.note_cursor(mail.agent, HOOK_READER, last.seq);
        memory.merge(&state).map(drop)
    }

    /// Writes what has come. Whoever has the [turn](Mailbox::turn) does.
    ///
    /// # Errors
    /// [`SeatError::File`] when it cannot be written.
    pub fn put(&self, mail: &Mail) -> Result<(), SeatError> {
        Ok(files::replace_unflushed(&self.file("mail.json"), json::write(mail).as_bytes())?)
    }

    /// Returns how often a hook has made the agent go on in a row.
    ///
    /// # Errors
    /// [`SeatError`] when the file is damaged or cannot be read.
    pub fn wakes(&self) -> Result<u32, SeatError> {
        Ok(read_json::<Wakes>(&self.file("wakes.json"))?.unwrap_or_default().wakes)
    }

    /// Remembers how often that was.
    ///
    /// # Errors
    /// [`SeatError::File`] when it cannot be written.
    pub fn note_wakes(&self, wakes: u32) -> Result<(), SeatError> {
        self.make_folder()?;
        Ok(files::replace_unflushed(&self.file("wakes.json"), json::write(&Wakes { wakes }).as_bytes())?)
    }

    /// Takes the right to listen for this seat; `None` where another process has it.
    ///
    /// # Errors
    /// [`SeatError::File`] when the lock cannot be made.
    pub fn turn(&self) -> Result<Option<Turn>, SeatError> {
        self.make_folder()?;
        Ok(Turn::take(&self.file("lock"))?)
    }

    /// Takes note that a hook looks.
    ///
    /// # Errors
    /// [`SeatError::File`] when that cannot be written.
    pub fn note_look(&self) -> Result<(), SeatError> {
        self.make_folder()?;
        Ok(files::replace_unflushed(&self.file("looked"), b"")?)
    }

    /// Returns how long ago a hook looked last; nothing where that cannot be told.
    pub fn looked(&self) -> Option<Duration> {
        let written = fs::metadata(self.file("looked")).and_then(|about| about.modified());
        SystemTime::now().duration_since(written.ok()?).ok()
    }

    fn make_folder(&self) -> Result<(), FileError> {
        files::private_dir(&self.data.join("mailbox"))?;
        files::private_dir(&self.data.join("mailbox").join(&self.stem))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.data.join("mailbox").join(&self.stem).join(name)
    }
}

#[cfg(test)]
mod tests {
    use protocol::room::Members;
    use protocol::statement::RoomKind;

    use super::super::RoomState;
    use super::*;
    use crate::tests::local;

    fn entry(seq: u64, from: AgentId) -> MailEntry {
        MailEntry { seq, from, name: "ada/a".to_owned(), is_handoff: seq.is_multiple_of(2) }
    }

    fn seqs(mail: &Mail) -> Vec<u64> {
        mail.entries.iter().map(|entry| entry.seq).collect()
    }

    #[test]
    fn where_no_seat_has_worked_there_is_no_mailbox() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("p");
        assert!(Mailbox::of(&data, None).unwrap().is_none() && !data.exists());
        Seat::open(&local(&data, None)).unwrap();
        let mailbox = Mailbox::of(&data, None).unwrap().unwrap();
        assert!(mailbox.news("mcp").unwrap().is_none() && mailbox.looked().is_none());
        assert!(!data.join("mailbox").exists());
        mailbox.note_look().unwrap();
        assert!(mailbox.looked().is_some());
        let turn = mailbox.turn().unwrap();
        assert!(turn.is_some() && mailbox.turn().unwrap().is_none());
        mailbox.note_wakes(2).unwrap();
        assert_eq!(mailbox.wakes().unwrap(), 2);
    }

    #[test]
    fn what_one_reader_was_handed_or_the_other_told_is_not_new() {
        let dir = tempfile::tempdir().unwrap();
        let seat = Seat::open(&local(dir.path(), None)).unwrap();
        let mailbox = Mailbox::of(dir.path(), None).unwrap().unwrap();
        mailbox.note_look().unwrap();
        let room = RoomId::from_bytes([7; 32]);
        let mut mail = Mail::of(&seat, room, true);
        mail.add((1..=5).map(|seq| entry(seq, seat.agent())));
        mailbox.put(&mail).unwrap();
        assert_eq!(seqs(&mailbox.news("mcp").unwrap().unwrap()), [1, 2, 3, 4, 5]);
        let memory = RoomMemory::open(dir.path(), &seat.user(), room).unwrap();
        let mut state = RoomState::new(Members::of(room, seat.user(), RoomKind::Home));
        state.note_cursor(seat.agent(), "mcp", 2);
        state.note_cursor(seat.agent(), "cli", 5);
        memory.merge(&state).unwrap();
        let news = mailbox.news("mcp").unwrap().unwrap();
        assert_eq!(seqs(&news), [3, 4, 5]);
        mailbox.note_told(&news).unwrap();
        assert_eq!(seqs(&mailbox.news("mcp").unwrap().unwrap()), [0; 0]);
        // What was told is remembered with the room, beside what others were handed.
        let state = memory.load().unwrap().unwrap();
        let cursors = ["mcp", "cli", HOOK_READER].map(|reader| state.cursor(&seat.agent(), reader));
        assert_eq!(cursors, [Some(2), Some(5), Some(5)]);
        mail.add([entry(6, seat.agent())]);
        mailbox.put(&mail).unwrap();
        assert_eq!(seqs(&mailbox.news("mcp").unwrap().unwrap()), [6]);
    }

    #[test]
    fn a_mailbox_holds_the_newest_and_not_more_than_it_may() {
        let dir = tempfile::tempdir().unwrap();
        let seat = Seat::open(&local(dir.path(), None)).unwrap();
        let mut mail = Mail::of(&seat, RoomId::from_bytes([7; 32]), false);
        let count = MAILBOX_ENTRIES_MAX as u64 + 10;
        mail.add((1..=count).map(|seq| entry(seq, seat.agent())));
        assert_eq!((mail.entries.len(), mail.entries[0].seq), (MAILBOX_ENTRIES_MAX, 11));
    }
}
