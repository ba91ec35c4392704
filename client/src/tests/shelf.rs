//! What the tests' hub keeps: blobs, rooms and the words of users for their seats, in memory.

use std::collections::BTreeMap;

use protocol::conn::HubEnd;
use protocol::frame::{
    Acked, Answer, BlobReference, BlobReferences, ChainPage, Empty, Entry, EntryContent, Go, OpenedRoom,
    Posted, Pull, Pulled, PutDone, Request, RequestId, RequestKind, RoomList, RoomRow,
};
use protocol::id::{BlobId, RoomId};
use protocol::refusal::{Refusal, RefusalCode};
use protocol::room::{ChainEnd, extend, room_id};
use protocol::signed::Signed;
use protocol::statement::{Genesis, LogPoint, Seat};

/// Changes an answer or a refusal before it is sent.
pub(crate) type Lie = Box<dyn FnMut(&mut Result<Answer, Refusal>) + Send>;

#[derive(Default)]
pub(crate) struct Shelf {
    pub(super) blobs: BTreeMap<BlobId, Vec<u8>>,
    staged: BTreeMap<BlobId, Vec<u8>>,
    rooms: BTreeMap<RoomId, Log>,
    pub(super) seats: Vec<Signed<Seat>>,
    uploads: BTreeMap<(u64, RequestId), BlobId>,
    pub(super) bytes_received: u64,
    pub(super) hellos: u64,
    pub(super) lie: Option<Lie>,
    pub(super) ignored: Option<RequestKind>,
    pub(super) cancelled: u64,
    /// How many entries a page has at most; 3 where nothing is said.
    pub(super) page_max: Option<usize>,
    pub(super) pulls: u64,
}

struct Log {
    genesis: Signed<Genesis>,
    entries: Vec<Entry>,
    points: Vec<LogPoint>,
    base: usize,
}

impl Log {
    fn end(&self) -> LogPoint {
        *self.points.last().unwrap()
    }
}

impl Shelf {
    pub(super) fn request(&mut self, end: &mut HubEnd, connection: u64, id: RequestId, request: Request) {
        if self.ignored == Some(request.kind()) {
            return;
        }
        let now = crate::seat::now();
        let outcome = match request {
            Request::PutBlob(put) if !self.blobs.contains_key(&put.id) => {
                self.uploads.insert((connection, id), put.id);
                let offset = self.staged.get(&put.id).map_or(0, Vec::len) as u64;
                return end.go(id, Go { offset, size: put.size }, now);
            }
            Request::GetBlob(wanted) if self.blobs.contains_key(&wanted.id) => {
                let bytes = &self.blobs[&wanted.id];
                end.go(id, Go { offset: wanted.offset, size: bytes.len() as u64 }, now);
                let rest = bytes.get(usize::try_from(wanted.offset).unwrap()..).unwrap_or_default();
                assert!(rest.chunks(16 * 1024).all(|chunk| end.send_chunk(id, chunk)));
                Ok(Answer::GetBlob(Empty {}))
            }
            other => self.answer(other),
        };
        self.reply(end, id, outcome);
    }

    fn reply(&mut self, end: &mut HubEnd, id: RequestId, mut outcome: Result<Answer, Refusal>) {
        if let Some(lie) = &mut self.lie {
            lie(&mut outcome);
        }
        end.answer(id, &outcome);
    }

    pub(super) fn chunk(
        &mut self,
        end: &mut HubEnd,
        connection: u64,
        (id, bytes, last): (RequestId, &[u8], bool),
    ) {
        self.bytes_received += bytes.len() as u64;
        let blob = self.uploads[&(connection, id)];
        let staged = self.staged.entry(blob).or_default();
        staged.extend_from_slice(bytes);
        if last {
            let whole = self.staged.remove(&blob).unwrap();
            let outcome = if BlobId::of(&whole) == blob {
                self.blobs.insert(blob, whole);
                Ok(Answer::PutBlob(PutDone { present: false }))
            } else {
                Err(Refusal::new(RefusalCode::HashMismatch, "other bytes"))
            };
            self.reply(end, id, outcome);
        }
    }

    fn answer(&mut self, request: Request) -> Result<Answer, Refusal> {
        Ok(match request {
            Request::PutBlob(_) => Answer::PutBlob(PutDone { present: true }),
            Request::OpenRoom(open) => {
                let genesis = open.genesis.clone().verify().unwrap();
                let room = room_id(&genesis);
                let log = || Log {
                    genesis: open.genesis,
                    entries: Vec::new(),
                    points: vec![LogPoint::start(room)],
                    base: 0,
                };
                let end = self.rooms.entry(room).or_insert_with(log).end();
                Answer::OpenRoom(OpenedRoom { room, end })
            }
            Request::Rooms(_) => {
                let row = |(room, log): (&RoomId, &Log)| RoomRow {
                    room: *room,
                    genesis: log.genesis.clone(),
                    end: log.end(),
                    cursor: None,
                    pending: None,
                };
                Answer::Rooms(RoomList { rooms: self.rooms.iter().map(row).collect(), more: false })
            }
            Request::Post(post) => Answer::Post(Posted { seq: self.post(post)? }),
            Request::Pull(pull) => Answer::Pull(self.pull(&pull)?),
            Request::Chain(chain) => {
                let log = self.rooms.get(&chain.room).ok_or_else(Refusal::not_found)?;
                let is_kept = |entry: &&Entry| match &entry.content {
                    EntryContent::Membership(_) => true,
                    EntryContent::Message { message, .. } => {
                        message.clone().verify().is_ok_and(|message| message.statement().leave)
                    }
                };
                let entries = log.entries.iter().filter(|entry| entry.seq > chain.after).filter(is_kept);
                let end = ChainEnd { n: 0, digest: log.end().log };
                Answer::Chain(ChainPage { entries: entries.cloned().collect(), more: false, end })
            }
            Request::Handoffs(wanted) => {
                let rows = self
                    .references(|room, seq, _| room == wanted.room && wanted.before.is_none_or(|b| seq < b));
                let more = rows.len() > 2;
                Answer::Handoffs(BlobReferences { references: rows.into_iter().take(2).collect(), more })
            }
            Request::Find(find) => {
                let references = self.references(|_, _, blob| find.prefix.matches(blob));
                Answer::Find(BlobReferences { references, more: false })
            }
            Request::Ack(ack) => Answer::Ack(Acked { cursor: ack.seq }),
            Request::GetBlob(_) => return Err(Refusal::not_found()),
            _ => return Err(Refusal::new(RefusalCode::Unsupported, "no")),
        })
    }

    fn pull(&mut self, pull: &Pull) -> Result<Pulled, Refusal> {
        self.pulls += 1;
        let log = self.rooms.get(&pull.room).ok_or_else(Refusal::not_found)?;
        let after = usize::try_from(pull.after).unwrap();
        let limit = usize::try_from(pull.limit).unwrap().min(self.page_max.unwrap_or(3));
        let base = log.points[log.base];
        if after < log.base {
            let pruned = Refusal::new(RefusalCode::Pruned, "gone");
            return Err(Refusal { base: Some(Box::new(base)), ..pruned });
        }
        if after > log.entries.len() {
            return Err(Refusal::new(RefusalCode::BadRequest, "behind the end"));
        }
        let mut entries: Vec<_> = log.entries[after..].iter().take(limit).cloned().collect();
        if !pull.bodies {
            for entry in &mut entries {
                let EntryContent::Message { body, .. } = &mut entry.content else { continue };
                *body = None;
            }
        }
        let seats = self.seats.clone();
        Ok(Pulled { start: log.points[after], entries, seats, base, end: log.end() })
    }

    /// Puts a room there as somebody else has filled it, in the place of what there was.
    pub(super) fn plant_room(
        &mut self,
        genesis: Signed<Genesis>,
        entries: Vec<Entry>,
        points: Vec<LogPoint>,
    ) {
        self.rooms.insert(genesis.digest().into(), Log { genesis, entries, points, base: 0 });
    }

    /// Drops the oldest entries of a room.
    pub(super) fn prune(&mut self, room: RoomId, base: usize) {
        self.rooms.get_mut(&room).unwrap().base = base;
    }

    fn post(&mut self, post: protocol::frame::Post) -> Result<u64, Refusal> {
        let log = self.rooms.get_mut(&post.room).ok_or_else(Refusal::not_found)?;
        let (digest, by) = (post.message.digest(), post.message.by());
        let said = post.message.clone().verify().unwrap();
        let mut next_n = 1;
        let by_author = |entry: &&Entry| entry.content.as_message().is_some_and(|(said, _)| said.by() == by);
        for entry in log.entries.iter().filter(by_author) {
            if entry.content.digest() == digest {
                return Ok(entry.seq);
            }
            next_n += 1;
        }
        if said.statement().n != next_n {
            let conflict = Refusal::new(RefusalCode::Conflict, "another message has this number");
            return Err(Refusal { next_n: Some(next_n), ..conflict });
        }
        if !log.points.contains(&said.statement().head) {
            return Err(Refusal::new(RefusalCode::Stale, "not a head of this log"));
        }
        let point = extend(&log.end(), &digest);
        log.points.push(point);
        log.entries.push(Entry::message(point.seq, post.message, Some(post.body)));
        Ok(point.seq)
    }

    /// Returns the references that `wanted` takes, newest first in each room.
    fn references(&self, wanted: impl Fn(RoomId, u64, &BlobId) -> bool) -> Vec<BlobReference> {
        let mut found = Vec::new();
        for (room, log) in &self.rooms {
            for entry in log.entries.iter().rev() {
                let Some((said, _)) = entry.content.as_message() else { continue };
                let said = said.clone().verify().unwrap();
                for blob in said.statement().blobs.iter().filter(|blob| wanted(*room, entry.seq, blob)) {
                    let available = self.blobs.contains_key(blob);
                    found.push(BlobReference { room: *room, seq: entry.seq, blob: *blob, available });
                }
            }
        }
        found
    }

    /// Returns how many entries all rooms have together.
    pub(super) fn entries(&self) -> usize {
        self.rooms.values().map(|log| log.entries.len()).sum()
    }
}
