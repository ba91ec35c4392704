//! Tips that are to be announced and have not been: a small file for each, in order. The commits themselves lie in the repository,
//! so that nothing of size is kept here, and nothing is flushed: what a power cut takes, the next announcement brings.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use protocol::id::{BlobId, RoomId};
use protocol::json;
use serde::{Deserialize, Serialize};

use super::{SeatError, read_json, real_path, stem};
use crate::files::{self, FileError, Turn};
use crate::limits::{ANNOUNCED_BRANCHES_MAX, ANNOUNCED_ROOMS_MAX, OUTBOX_ENTRIES_MAX};

/// What one seat has still to announce, and what it has announced last.
#[derive(Debug, Clone)]
pub struct Outbox {
    folder: PathBuf,
}

/// A tip that is to be announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The reference it stands under, in full; `HEAD` where that is no branch.
    pub branch: String,
    /// The commit, in hex.
    pub tip: String,
    /// The commit on top of which the new ones are, in hex, where nothing better is known; without it the first parent of the tip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Whether git was in the middle of something that makes several commits, of which the last one is announced alone.
    #[serde(default)]
    pub is_within: bool,
}

/// An announcement in its file.
#[derive(Debug)]
pub struct OutboxEntry {
    path: PathBuf,
    announcement: Announcement,
}

/// What was announced last of a branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// The commit, in hex.
    pub tip: String,
    /// The bundle.
    pub id: BlobId,
}

/// What went wrong, for who looks later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Troubles {
    /// Why the announcements that wait were not made when that was last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_up: Option<Trouble>,
    /// The last announcement that was given up, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<(String, Trouble)>,
}

/// Why something was not announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// As a code.
    pub code: String,
    /// As a sentence.
    pub message: String,
}

/// What was announced last, by room and branch.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Told {
    rooms: Vec<(RoomId, BTreeMap<String, Announced>)>,
}

impl Outbox {
    /// Names the outbox of the seat of `seat_dir`; it need not be there.
    ///
    /// # Errors
    /// [`SeatError::File`] when the seat's folder cannot be resolved.
    pub fn of(data: &Path, seat_dir: Option<&Path>) -> Result<Self, SeatError> {
        let dir = seat_dir.map(real_path).transpose()?;
        Ok(Self { folder: data.join("outbox").join(stem(dir.as_deref())) })
    }

    /// Puts an announcement behind the others; says whether it did. Where there are as many as may be it takes the place of the
    /// last one, if that is of the same branch: what is announced of a branch holds what was not.
    ///
    /// # Errors
    /// [`SeatError::File`] when it cannot be written.
    pub fn add(&self, announcement: &Announcement) -> Result<bool, SeatError> {
        let data = self
            .folder
            .parent()
            .and_then(Path::parent)
            .expect("an outbox lies in a folder of the data folder");
        files::private_dir(data)?;
        files::private_dir(self.folder.parent().expect("the folder of all outboxes"))?;
        files::private_dir(&self.folder)?;
        loop {
            let numbers = self.numbers()?;
            let (mut announcement, mut replaced) = (announcement.clone(), None);
            if numbers.len() >= OUTBOX_ENTRIES_MAX {
                let last =
                    self.entries()?.pop().filter(|last| last.announcement.branch == announcement.branch);
                let Some(last) = last else { return Ok(false) };
                announcement.base.clone_from(&last.announcement.base);
                replaced = Some(last);
            }
            let next = numbers.last().map_or(1, |last| last.saturating_add(1));
            // Of two hooks at once, one is behind the other.
            if files::create_once_unflushed(&self.path(next), json::write(&announcement).as_bytes())? {
                replaced.map_or(Ok(()), OutboxEntry::remove)?;
                return Ok(true);
            }
        }
    }

    /// Returns what is to be announced, in order. What cannot be read is none: another version may have written it.
    ///
    /// # Errors
    /// [`SeatError::File`] when the folder cannot be read.
    pub fn entries(&self) -> Result<Vec<OutboxEntry>, SeatError> {
        let mut entries = Vec::new();
        for number in self.numbers()? {
            let path = self.path(number);
            match read_json(&path) {
                Ok(Some(announcement)) => entries.push(OutboxEntry { path, announcement }),
                Ok(None) => {}
                Err(SeatError::DamagedState { .. }) => files::remove_quietly(&path),
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    /// Returns how many announcements wait.
    ///
    /// # Errors
    /// As [`Outbox::entries`].
    pub fn count(&self) -> Result<usize, SeatError> {
        Ok(self.numbers()?.len())
    }

    /// Takes the right to empty it; `None` where another process has it.
    ///
    /// # Errors
    /// [`SeatError::File`] when the lock cannot be made.
    pub fn turn(&self) -> Result<Option<Turn>, SeatError> {
        Ok(Turn::take(&self.folder.join("lock"))?)
    }

    /// Returns what was announced last in `room`, by branch.
    ///
    /// # Errors
    /// [`SeatError::File`] when the file cannot be read.
    pub fn announced(&self, room: RoomId) -> Result<BTreeMap<String, Announced>, SeatError> {
        let told = self.told()?.rooms.into_iter().find(|(known, _)| *known == room);
        Ok(told.map(|(_, here)| here).unwrap_or_default())
    }

    /// Remembers what was announced of `branch`. Whoever has the [turn](Outbox::turn) does.
    ///
    /// # Errors
    /// As [`Outbox::announced`], and [`SeatError::File`] when it cannot be written.
    pub fn note_announced(&self, room: RoomId, branch: &str, announced: Announced) -> Result<(), SeatError> {
        let mut told = self.told()?;
        // The room that was spoken in last stands last.
        let at = told.rooms.iter().position(|(known, _)| *known == room);
        let mut here = at.map(|at| told.rooms.remove(at).1).unwrap_or_default();
        here.insert(branch.to_owned(), announced);
        while here.len() > ANNOUNCED_BRANCHES_MAX {
            let other = here.keys().find(|known| *known != branch).cloned().expect("there is more than one");
            here.remove(&other);
        }
        told.rooms.push((room, here));
        let surplus = told.rooms.len().saturating_sub(ANNOUNCED_ROOMS_MAX);
        told.rooms.drain(..surplus);
        Ok(files::replace(&self.folder.join("announced.json"), json::write(&told).as_bytes())?)
    }

    /// Returns what went wrong.
    ///
    /// # Errors
    /// [`SeatError`] when the file is damaged or cannot be read.
    pub fn troubles(&self) -> Result<Troubles, SeatError> {
        Ok(read_json(&self.folder.join("troubles.json"))?.unwrap_or_default())
    }

    /// Remembers what went wrong. Whoever has the [turn](Outbox::turn) does.
    ///
    /// # Errors
    /// As [`Outbox::troubles`], and [`SeatError::File`] when it cannot be written.
    pub fn note_troubles(&self, change: impl FnOnce(&mut Troubles)) -> Result<(), SeatError> {
        let before = self.troubles()?;
        let mut troubles = before.clone();
        change(&mut troubles);
        if troubles != before {
            files::replace(&self.folder.join("troubles.json"), json::write(&troubles).as_bytes())?;
        }
        Ok(())
    }

    /// What is damaged is learnt again, by announcing more than would be needed.
    fn told(&self) -> Result<Told, SeatError> {
        match read_json(&self.folder.join("announced.json")) {
            Err(SeatError::DamagedState { .. }) => Ok(Told::default()),
            read => Ok(read?.unwrap_or_default()),
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:020}.json"))
    }

    /// Returns the numbers of the announcements, in order.
    fn numbers(&self) -> Result<Vec<u64>, SeatError> {
        let found = match fs::read_dir(&self.folder) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(FileError::io("read", &self.folder)(error).into()),
        };
        let mut numbers = Vec::new();
        for entry in found {
            let entry = entry.map_err(FileError::io("read", &self.folder))?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".json")?.parse::<u64>().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

impl OutboxEntry {
    /// Returns the announcement.
    pub fn announcement(&self) -> &Announcement {
        &self.announcement
    }

    /// Takes it out: it was made, or is not to be made any more.
    ///
    /// # Errors
    /// [`SeatError::File`] when it cannot be removed.
    pub fn remove(self) -> Result<(), SeatError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(FileError::io("remove", &self.path)(error).into())
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(tip: &str) -> Announcement {
        Announcement {
            branch: "refs/heads/main".to_owned(),
            tip: tip.to_owned(),
            base: None,
            is_within: false,
        }
    }

    fn outbox() -> (tempfile::TempDir, Outbox) {
        let data = tempfile::tempdir().unwrap();
        let outbox = Outbox::of(&data.path().join("p"), None).unwrap();
        (data, outbox)
    }

    fn tips(outbox: &Outbox) -> Vec<String> {
        outbox.entries().unwrap().iter().map(|entry| entry.announcement().tip.clone()).collect()
    }

    #[test]
    fn what_is_put_in_comes_out_in_order_until_it_is_taken_out() {
        let (_data, outbox) = outbox();
        assert_eq!((tips(&outbox), outbox.count().unwrap()), (Vec::new(), 0));
        for number in 0..12 {
            assert!(outbox.add(&announcement(&number.to_string())).unwrap());
        }
        let expected: Vec<_> = (0..12).map(|number| number.to_string()).collect();
        assert_eq!(tips(&outbox), expected);
        outbox.entries().unwrap().remove(3).remove().unwrap();
        outbox.entries().unwrap().remove(10).remove().unwrap();
        outbox.add(&announcement("last")).unwrap();
        assert_eq!(tips(&outbox), ["0", "1", "2", "4", "5", "6", "7", "8", "9", "10", "last"]);
    }

    #[test]
    fn hooks_that_come_at_once_lose_nothing() {
        let (_data, outbox) = outbox();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let outbox = &outbox;
                scope.spawn(move || {
                    for number in 0..20 {
                        assert!(outbox.add(&announcement(&format!("{thread} {number:02}"))).unwrap());
                    }
                });
            }
        });
        let all = tips(&outbox);
        for thread in 0..8 {
            let own: Vec<_> = all.iter().filter(|tip| tip.starts_with(&format!("{thread} "))).collect();
            assert!(own.len() == 20 && own.is_sorted(), "{own:?}");
        }
    }

    #[test]
    fn an_outbox_that_is_full_takes_no_more_and_what_is_no_announcement_is_none() {
        let (_data, outbox) = outbox();
        for number in 0..OUTBOX_ENTRIES_MAX {
            assert!(outbox.add(&announcement(&number.to_string())).unwrap());
        }
        let other = Announcement { branch: "refs/heads/other".to_owned(), ..announcement("other") };
        assert!(!outbox.add(&other).unwrap());
        assert!(outbox.add(&announcement("one more")).unwrap());
        let expected = (0..OUTBOX_ENTRIES_MAX - 1).map(|number| number.to_string());
        assert_eq!(tips(&outbox), expected.chain(["one more".to_owned()]).collect::<Vec<_>>());
        let first = outbox.path(1);
        files::replace(&first, b"{").unwrap();
        assert_eq!(outbox.entries().unwrap().len(), OUTBOX_ENTRIES_MAX - 1);
        assert!(!first.exists());
        assert!(outbox.add(&other).unwrap());
    }

    #[test]
    fn one_process_at_a_time_empties_it() {
        let (_data, outbox) = outbox();
        outbox.add(&announcement("a")).unwrap();
        let turn = outbox.turn().unwrap();
        assert!(turn.is_some() && outbox.turn().unwrap().is_none());
        drop(turn);
        assert!(outbox.turn().unwrap().is_some());
    }

    #[test]
    fn what_was_announced_is_remembered_by_room_and_branch_and_in_bounds() {
        let (_data, outbox) = outbox();
        outbox.add(&announcement("a")).unwrap();
        let room = |number: u8| RoomId::from_bytes([number; 32]);
        let announced = |tip: &str| Announced { tip: tip.to_owned(), id: BlobId::of(tip.as_bytes()) };
        assert!(outbox.announced(room(1)).unwrap().is_empty());
        outbox.note_announced(room(1), "a", announced("1")).unwrap();
        outbox.note_announced(room(2), "a", announced("2")).unwrap();
        outbox.note_announced(room(1), "b", announced("3")).unwrap();
        outbox.note_announced(room(1), "a", announced("4")).unwrap();
        let here = outbox.announced(room(1)).unwrap();
        assert_eq!((here["a"].tip.as_str(), here["b"].tip.as_str(), here.len()), ("4", "3", 2));
        for number in 0..=ANNOUNCED_BRANCHES_MAX {
            outbox.note_announced(room(2), &format!("{number:04}"), announced("5")).unwrap();
        }
        assert_eq!(outbox.announced(room(2)).unwrap().len(), ANNOUNCED_BRANCHES_MAX);
        for number in 10..10 + u8::try_from(ANNOUNCED_ROOMS_MAX).unwrap() {
            outbox.note_announced(room(number), "a", announced("6")).unwrap();
        }
        assert!(outbox.announced(room(1)).unwrap().is_empty());
        assert_eq!(outbox.announced(room(10)).unwrap().len(), 1);
        assert_eq!(outbox.troubles().unwrap(), Troubles::default());
        let trouble = Trouble { code: "too_large".to_owned(), message: "it is".to_owned() };
        outbox.note_troubles(|troubles| troubles.given_up = Some(("a".to_owned(), trouble.clone()))).unwrap();
        outbox.note_troubles(|troubles| troubles.held_up = Some(trouble.clone())).unwrap();
        let both = Troubles { held_up: Some(trouble.clone()), given_up: Some(("a".to_owned(), trouble)) };
        assert_eq!(outbox.troubles().unwrap(), both);
    }
}
