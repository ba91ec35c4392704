//! The log of one room as the lying hub keeps it: the true one, and the other ones that it shows.

use std::collections::BTreeMap;

use protocol::frame::{Entry, EntryContent};
use protocol::id::{BlobId, Digest, RoomId};
use protocol::key::{AgentId, UserId};
use protocol::room::{Members, extend, room_id};
use protocol::signed::{Signed, Verified};
use protocol::statement::{Genesis, LogPoint, Message, Seat};

/// The statements of users about their seats, as they were handed in.
pub(super) type Seats = BTreeMap<AgentId, Vec<Signed<Seat>>>;

/// A room's log, folded, with everything that follows from it.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) genesis: Verified<Genesis>,
    pub(super) members: Members,
    entries: Vec<Entry>,
    points: Vec<LogPoint>,
    /// Whether it is one that the hub made up, in which any post is taken.
    pub(super) is_forged: bool,
}

impl Log {
    pub(super) fn new(genesis: Verified<Genesis>) -> Self {
        let points = vec![LogPoint::start(room_id(&genesis))];
        Self { members: Members::new(&genesis), genesis, entries: Vec::new(), points, is_forged: false }
    }

    pub(super) fn room(&self) -> RoomId {
        self.members.room()
    }

    pub(super) fn owner(&self) -> UserId {
        self.members.owner()
    }

    pub(super) fn end(&self) -> LogPoint {
        *self.points.last().expect("a log has a beginning")
    }

    /// Returns the value of the log after entry `seq`.
    pub(super) fn point(&self, seq: u64) -> Option<LogPoint> {
        self.points.get(usize::try_from(seq).ok()?).copied()
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the entry whose statement has this digest.
    pub(super) fn find(&self, digest: &Digest) -> Option<u64> {
        let found = self.entries.iter().find(|entry| entry.content.digest() == *digest);
        found.map(|entry| entry.seq)
    }

    /// Returns how many messages of `author` are here.
    pub(super) fn messages_of(&self, author: &AgentId) -> u64 {
        let by_author = |entry: &&Entry| matches!(entry.content.as_message(), Some((message, _)) if message.by() == *author);
        self.entries.iter().filter(by_author).count() as u64
    }

    /// Returns the headers that can be read, with their places.
    pub(super) fn headers(&self) -> impl DoubleEndedIterator<Item = (u64, Verified<Message>)> {
        self.entries.iter().filter_map(|entry| {
            let (message, _) = entry.content.as_message()?;
            Some((entry.seq, message.clone().verify().ok()?))
        })
    }

    /// Returns the places at which members referred to blobs, the newest first.
    pub(super) fn references(&self) -> Vec<(u64, BlobId)> {
        let blobs = |(seq, header): (u64, Verified<Message>)| {
            header.statement().blobs.iter().map(|blob| (seq, *blob)).collect::<Vec<_>>()
        };
        self.headers().rev().flat_map(blobs).collect()
    }

    /// Puts `content` behind the last entry and returns its place.
    pub(super) fn push(&mut self, content: EntryContent) -> u64 {
        let point = extend(&self.end(), &content.digest());
        match &content {
            EntryContent::Membership(act) => {
                // What does not hold changes nobody's standing, which is all that matters of a forged log.
                act.clone().verify().ok().map(|act| self.members.append(&act, point.seq));
            }
            EntryContent::Message { message, .. } => {
                let leaves = message.clone().verify().is_ok_and(|message| message.statement().leave);
                if leaves {
                    self.members.note_leave(&message.by(), point.seq);
                }
            }
        }
        self.entries.push(Entry { seq: point.seq, content });
        self.points.push(point);
        point.seq
    }

    pub(super) fn note_seats(&mut self, seats: &Seats) {
        for seat in seats.values().flatten() {
            if let Ok(seat) = seat.clone().verify() {
                self.members.note_seat(&seat);
            }
        }
    }

    /// Returns a log with other entries, numbered and folded anew, so that by itself it looks like any other.
    pub(super) fn forged(&self, entries: Vec<Entry>, seats: &Seats) -> Self {
        let mut log = Self { is_forged: true, ..Self::new(self.genesis.clone()) };
        log.note_seats(seats);
        for entry in entries {
            log.push(entry.content);
        }
        log
    }
}
