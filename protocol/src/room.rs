//! The rules of a room: who is in it, what its log's values are, and when a range of it is what members wrote.
//!
//! Pure, and the same code in hub and client. A home has one rule of membership: a seat of the owner is in it by its seat
//! statement alone.

use std::collections::BTreeMap;

use crate::frame::Entry;
use crate::id::{Digest, RoomId};
use crate::key::{AgentId, UserId};
use crate::part::Body;
use crate::signed::{Verified, log_value};
use crate::statement::{Genesis, LogPoint, Message, Seat, UnixMillis};

/// Returns the point after the entry that follows `point` and whose statement has `digest`.
pub fn extend(point: &LogPoint, digest: &Digest) -> LogPoint {
    let seq = point.seq + 1;
    LogPoint { seq, log: log_value(&point.log, seq, digest) }
}

/// Returns the id of the room that `genesis` opens.
pub fn room_id(genesis: &Verified<Genesis>) -> RoomId {
    genesis.digest().into()
}

/// The members of a room as its statements tell them.
#[derive(Debug, Clone)]
pub struct Members {
    owner: UserId,
    seats: BTreeMap<AgentId, Vec<Seat>>,
}

impl Members {
    /// Begins with the owner alone, none of whose seats is known yet.
    pub fn new(owner: UserId) -> Self {
        Self { owner, seats: BTreeMap::new() }
    }

    /// Takes note of a seat statement; one by somebody else than the owner, or that claims more than 90 days, changes nothing.
    pub fn note_seat(&mut self, seat: &Verified<Seat>) {
        let statement = seat.statement();
        if seat.by() == self.owner && statement.is_lawful() {
            let known = self.seats.entry(statement.seat).or_default();
            if !known.contains(statement) {
                known.push(statement.clone());
            }
        }
    }

    /// Says whether `agent` is a member at `time`: the hub's clock for the hub, a message's `sent` for its readers.
    pub fn has(&self, agent: &AgentId, time: UnixMillis) -> bool {
        self.seats.get(agent).is_some_and(|seats| seats.iter().any(|seat| time < seat.expires))
    }

    /// Returns the name that the owner's newest statement gives `agent`.
    pub fn name(&self, agent: &AgentId) -> Option<&str> {
        let seats = self.seats.get(agent)?;
        seats.iter().max_by_key(|seat| seat.issued).map(|seat| seat.name.as_str())
    }
}

/// An entry whose signature, membership and body were checked.
#[derive(Debug, Clone)]
pub struct CheckedMessage {
    /// Its place in the log.
    pub seq: u64,
    /// The log after it.
    pub point: LogPoint,
    /// The header, verified.
    pub header: Verified<Message>,
    /// The body, whose hash is the header's; absent when it did not travel.
    pub body: Option<Body>,
    /// The body's text as it travelled.
    pub body_text: Option<String>,
}

/// What reading one entry gave.
#[derive(Debug, Clone)]
pub enum Reading {
    /// All that one entry alone can show holds.
    Good(Box<CheckedMessage>),
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

/// Says what about a range of a log cannot be what the hub showed others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    /// No part of the range meets a value that was verified before.
    #[error("the range meets no verified point of the log")]
    Unanchored,
}

/// Reads one entry that follows `before` in `room`: signature, room, body hash, member at its `sent`.
pub fn read(room: RoomId, before: &LogPoint, entry: Entry, members: &Members) -> Reading {
    let seq = before.seq + 1;
    let digest = entry.message.digest();
    let point = extend(before, &digest);
    let Ok(header) = entry.message.verify() else {
        return Reading::Invalid { seq };
    };
    let message = header.statement();
    let body_matches = entry.body.as_ref().is_none_or(|text| Digest::of(text.as_bytes()) == message.body);
    if message.room != room || !body_matches {
        return Reading::Invalid { seq };
    }
    if !members.has(&header.by(), message.sent) {
        return Reading::NotMember { seq, author: header.by() };
    }
    let readable = message.epoch == 0 && message.needs.is_empty();
    let body = match entry.body.as_deref().filter(|_| readable).map(Body::parse) {
        Some(Err(_)) => return Reading::Invalid { seq },
        Some(Ok(body)) => Some(body),
        None => None,
    };
    Reading::Good(Box::new(CheckedMessage { seq, point, header, body, body_text: entry.body }))
}

/// Folds `entries`, which follow `start`, and checks them against values verified before.
///
/// `known` gives the verified value at a sequence number, where one is kept. The range counts when it meets a known value, at
/// its start, its end or between, and every known value on the way is the same. Returns the readings and the point at the end.
///
/// That `start` is where the reader left off is not known here: [`ClientEnd`](crate::conn::ClientEnd) takes no other answer.
///
/// # Errors
///
/// [`RangeError`] when the hub shows another history than before, or one that cannot be tied to it.
pub fn verify_range(
    room: RoomId,
    start: LogPoint,
    entries: Vec<Entry>,
    members: &Members,
    known: impl Fn(u64) -> Option<Digest>,
) -> Result<(Vec<Reading>, LogPoint), RangeError> {
    let mut is_anchored = known(start.seq).is_some();
    if known(start.seq).is_some_and(|log| log != start.log) {
        return Err(RangeError::Fork { seq: start.seq });
    }
    let mut points: BTreeMap<u64, Digest> = BTreeMap::from([(start.seq, start.log)]);
    let mut point = start;
    let mut readings = Vec::with_capacity(entries.len());
    for entry in entries {
        if entry.seq != point.seq + 1 {
            return Err(RangeError::Sequence { expected: point.seq + 1, found: entry.seq });
        }
        let after = extend(&point, &entry.message.digest());
        match known(after.seq) {
            Some(log) if log != after.log => return Err(RangeError::Fork { seq: after.seq }),
            // The value commits to all before it, and what follows extends it.
            Some(_) => is_anchored = true,
            None => {}
        }
        let reading = read(room, &point, entry, members);
        if let Reading::Good(message) = &reading {
            let head = message.header.statement().head;
            let here = known(head.seq).or_else(|| points.get(&head.seq).copied());
            if head.seq >= after.seq || here.is_some_and(|log| log != head.log) {
                return Err(RangeError::Head { seq: after.seq });
            }
        }
        readings.push(reading);
        points.insert(after.seq, after.log);
        point = after;
    }
    if is_anchored { Ok((readings, point)) } else { Err(RangeError::Unanchored) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Salt;
    use crate::key::{AgentKey, HubKey, UserKey};
    use crate::signed::sign;
    use crate::statement::RoomKind;

    const DAY: i64 = 24 * 3600 * 1000;

    fn hub() -> crate::key::HubId {
        HubKey::from_seed(&[1; 32]).public()
    }

    fn owner() -> UserKey {
        UserKey::from_seed(&[2; 32])
    }

    fn agent() -> AgentKey {
        AgentKey::from_seed(&[3; 32])
    }

    fn members() -> Members {
        let mut members = Members::new(owner().public());
        let seat = Seat { seat: agent().public(), name: "ana/app".into(), issued: 0, expires: 90 * DAY };
        members.note_seat(&sign(&owner(), seat));
        members
    }

    fn message(room: RoomId, n: u64, head: LogPoint, text: &str) -> Entry {
        let body = format!(r#"{{"parts":[{{"kind":"text","text":"{text}"}}]}}"#);
        let header = Message {
            room,
            n,
            head,
            sent: 5,
            epoch: 0,
            body: Digest::of(body.as_bytes()),
            blobs: Vec::new(),
            leave: false,
            needs: Vec::new(),
        };
        Entry { seq: n, message: sign(&agent(), header).signed().clone(), body: Some(body) }
    }

    fn log(room: RoomId, count: u64) -> (Vec<Entry>, Vec<LogPoint>) {
        let mut points = vec![LogPoint::start(room)];
        let mut entries = Vec::new();
        for n in 1..=count {
            let head = points[usize::try_from(n - 1).expect("small")];
            let entry = message(room, n, head, "hi");
            points.push(extend(&head, &entry.message.digest()));
            entries.push(entry);
        }
        (entries, points)
    }

    fn home() -> RoomId {
        room_id(&sign(&owner(), Genesis::home(hub())))
    }

    #[test]
    fn room_ids_are_those_of_the_specification() {
        let session = Genesis {
            hub: hub(),
            kind: RoomKind::Session,
            salt: Some(Salt::from_bytes([7; 16])),
            needs: Vec::new(),
        };
        assert_eq!(
            room_id(&sign(&owner(), session)).to_string(),
            "7c2f378e5def7b7dd9873eb0cd32fe4131bc06a9321ca73337951c3ee885a838"
        );
        assert_eq!(home().to_string(), "7d06313742ed5569a728ba7e13693a1fded83fcb1852bf9a106ec05c137e44bf");
    }

    #[test]
    fn a_message_has_the_digest_and_log_of_the_specification() {
        let room: RoomId =
            "7c2f378e5def7b7dd9873eb0cd32fe4131bc06a9321ca73337951c3ee885a838".parse().expect("a room id");
        let header = Message {
            room,
            n: 1,
            head: LogPoint::start(room),
            sent: 1_700_000_000_000,
            epoch: 0,
            body: Digest::of(br#"{"parts":[{"kind":"text","text":"hello"}]}"#),
            blobs: Vec::new(),
            leave: false,
            needs: Vec::new(),
        };
        let digest = sign(&agent(), header).digest();
        assert_eq!(digest.to_string(), "fa2c2a427f2595caa464fdf47f93057855289850e322d83bf0ad55b4995ad1f3");
        assert_eq!(
            extend(&LogPoint::start(room), &digest).log.to_string(),
            "5340d11e224e690dbcb05d8a21c03d7bd4b396aceaba5ed3fb10e5bf7cd49d90"
        );
    }

    #[test]
    fn a_range_counts_when_an_end_of_it_is_known() {
        let room = home();
        let (entries, points) = log(room, 4);
        let known_at = |at: usize| {
            let point = points[at];
            move |seq: u64| (seq == point.seq).then_some(point.log)
        };
        for end in [0, 2, 4] {
            let (readings, point) =
                verify_range(room, points[0], entries.clone(), &members(), known_at(end)).expect("anchored");
            assert_eq!((readings.len(), point), (4, points[4]));
            assert!(readings.iter().all(|reading| matches!(reading, Reading::Good(_))));
        }
        let unanchored = verify_range(room, points[0], entries, &members(), |_| None);
        assert_eq!(unanchored.err(), Some(RangeError::Unanchored));
    }

    #[test]
    fn leaving_out_swapping_or_inventing_entries_is_noticed() {
        let room = home();
        let (entries, points) = log(room, 4);
        let known =
            |seq: u64| [points[0], points[4]].iter().find(|point| point.seq == seq).map(|point| point.log);
        let mut dropped = entries.clone();
        dropped.remove(1);
        assert_eq!(
            verify_range(room, points[0], dropped.clone(), &members(), known).err(),
            Some(RangeError::Sequence { expected: 2, found: 3 })
        );
        for (at, entry) in dropped.iter_mut().enumerate() {
            entry.seq = at as u64 + 1;
        }
        assert!(matches!(
            verify_range(room, points[0], dropped, &members(), known),
            Err(RangeError::Head { seq: 2 })
        ));
        let mut swapped = entries.clone();
        swapped.swap(2, 3);
        swapped[2].seq = 3;
        swapped[3].seq = 4;
        assert!(verify_range(room, points[0], swapped, &members(), known).is_err());
        let mut other = entries;
        other[3] = message(room, 4, points[3], "not what was said");
        assert_eq!(
            verify_range(room, points[0], other, &members(), known).err(),
            Some(RangeError::Fork { seq: 4 })
        );
    }

    #[test]
    fn what_no_member_wrote_is_never_good() {
        let room = home();
        let (entries, points) = log(room, 1);
        let nobody = Members::new(owner().public());
        assert!(matches!(
            read(room, &points[0], entries[0].clone(), &nobody),
            Reading::NotMember { seq: 1, .. }
        ));
        let elsewhere = RoomId::from_bytes([9; 32]);
        assert!(matches!(
            read(elsewhere, &points[0], entries[0].clone(), &members()),
            Reading::Invalid { seq: 1 }
        ));
        let mut altered = entries[0].clone();
        altered.body = Some(r#"{"parts":[{"kind":"text","text":"ho"}]}"#.into());
        assert!(matches!(read(room, &points[0], altered, &members()), Reading::Invalid { seq: 1 }));
    }

    #[test]
    fn a_seat_counts_until_it_expires_and_only_by_the_owners_word() {
        let members = members();
        assert!(members.has(&agent().public(), 90 * DAY - 1));
        assert!(!members.has(&agent().public(), 90 * DAY));
        assert_eq!(members.name(&agent().public()), Some("ana/app"));
        let mut other = Members::new(owner().public());
        let seat = Seat { seat: agent().public(), name: "eve".into(), issued: 0, expires: DAY };
        other.note_seat(&sign(&UserKey::from_seed(&[5; 32]), seat.clone()));
        other.note_seat(&sign(&owner(), Seat { expires: 91 * DAY, ..seat.clone() }));
        other.note_seat(&sign(&owner(), Seat { name: "e".repeat(101), ..seat }));
        assert!(!other.has(&agent().public(), 1));
    }
}
