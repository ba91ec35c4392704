//! Random requests by members and others, against a model of who is in which room and what stands there.
//!
//! The property: no sequence of requests gives a non-member one byte. What a non-member is answered is one constant.

use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy, prop, prop_oneof};
use protocol::frame::{Ack, Answer, EntryContent, Find, Handoffs, OpenRoom, Post, Pull, Request};
use protocol::id::{BlobId, RoomId};
use protocol::limits::Limits;
use protocol::refusal::{Refusal, RefusalCode};
use protocol::statement::LogPoint;

use super::Bench;
use crate::cast::{Player, player, property};
use crate::clock::Clock as _;

const USERS: u8 = 3;
const SEATS: u8 = 2;
const BLOBS: u8 = 4;

/// Who acts: the number of a seat.
type Who = u8;
/// In whose home: the number of a user.
type Where = u8;

#[derive(Debug, Clone)]
enum Act {
    /// The user vouches for the seat, for so many milliseconds.
    Vouch(Who, u16),
    Open(Who, Where),
    /// With the next number, or one beyond it; referring to a blob or not.
    Post(Who, Where, bool, Option<u8>),
    Retry(Who, Where),
    Pull(Who, Where, u8),
    Ack(Who, Where, u8),
    Put(Who, Where, u8),
    Get(Who, Where, u8),
    Handoffs(Who, Where),
    Find(Who, u8),
    Rooms(Who),
    TimePasses(u16),
}

fn act() -> impl Strategy<Value = Act> {
    let who = 0..USERS * SEATS;
    let at = 0..USERS;
    let blob = 0..BLOBS;
    prop_oneof![
        3 => (who.clone(), 100..2000u16).prop_map(|(who, ms)| Act::Vouch(who, ms)),
        2 => (who.clone(), at.clone()).prop_map(|(who, at)| Act::Open(who, at)),
        6 => (who.clone(), at.clone(), prop::bool::weighted(0.8), prop::option::of(blob.clone()))
            .prop_map(|(who, at, next, blob)| Act::Post(who, at, next, blob)),
        1 => (who.clone(), at.clone()).prop_map(|(who, at)| Act::Retry(who, at)),
        4 => (who.clone(), at.clone(), 0..6u8).prop_map(|(who, at, after)| Act::Pull(who, at, after)),
        2 => (who.clone(), at.clone(), 0..6u8).prop_map(|(who, at, seq)| Act::Ack(who, at, seq)),
        2 => (who.clone(), at.clone(), blob.clone()).prop_map(|(who, at, blob)| Act::Put(who, at, blob)),
        3 => (who.clone(), at.clone(), blob.clone()).prop_map(|(who, at, blob)| Act::Get(who, at, blob)),
        2 => (who.clone(), at).prop_map(|(who, at)| Act::Handoffs(who, at)),
        2 => (who.clone(), blob).prop_map(|(who, blob)| Act::Find(who, blob)),
        1 => who.prop_map(Act::Rooms),
        1 => (0..500u16).prop_map(Act::TimePasses),
        1 => Just(Act::TimePasses(1500)),
    ]
}

/// What a home holds.
#[derive(Debug, Default)]
struct Home {
    /// Author and body of each entry, and the blob it refers to.
    log: Vec<(Who, String, Option<u8>)>,
    last_posts: BTreeMap<Who, (Post, u64)>,
    cursors: BTreeMap<Who, u64>,
    blobs: Vec<u8>,
}

struct Model {
    bench: Bench,
    seats: BTreeMap<Who, i64>,
    homes: BTreeMap<Where, Home>,
}

fn seat(who: Who) -> Player {
    player(who / SEATS, who % SEATS)
}

fn home_of(at: Where) -> RoomId {
    player(at, 0).room()
}

fn bytes_of(blob: u8) -> Vec<u8> {
    vec![blob; usize::from(blob) * 100]
}

impl Model {
    fn is_vouched(&self, who: Who) -> bool {
        self.seats.get(&who).is_some_and(|expires| *expires > self.bench.clock.now())
    }

    fn is_member(&self, who: Who, at: Where) -> bool {
        who / SEATS == at && self.homes.contains_key(&at) && self.is_vouched(who)
    }

    /// Returns the home if the actor is in it; everything else has to be answered with the one refusal.
    fn home(&mut self, who: Who, at: Where) -> Option<&mut Home> {
        if self.is_member(who, at) { self.homes.get_mut(&at) } else { None }
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Vouch(who, ms) => {
                // Statements of one moment would be of one age.
                self.bench.clock.advance(1);
                self.bench.note_seat(&seat(who), ms.into()).await;
                self.seats.insert(who, self.bench.clock.now() + i64::from(ms));
            }
            Act::TimePasses(ms) => self.bench.clock.advance(ms.into()),
            Act::Open(who, at) => self.open(who, at).await,
            Act::Post(who, at, is_next, blob) => self.post(who, at, is_next, blob).await,
            Act::Retry(who, at) => self.retry(who, at).await,
            Act::Pull(who, at, after) => self.pull(who, at, after.into()).await,
            Act::Ack(who, at, seq) => self.ack(who, at, seq.into()).await,
            Act::Put(who, at, blob) => self.put(who, at, blob).await,
            Act::Get(who, at, blob) => self.get(who, at, blob).await,
            Act::Handoffs(who, at) => self.handoffs(who, at).await,
            Act::Find(who, blob) => self.find(who, blob).await,
            Act::Rooms(who) => self.rooms(who).await,
        }
    }

    async fn open(&mut self, who: Who, at: Where) {
        let genesis = player(at, 0).home().signed().clone();
        let code = self.bench.code(&seat(who), Request::OpenRoom(OpenRoom { genesis })).await;
        if who / SEATS == at && self.is_vouched(who) {
            assert_eq!(code, None);
            self.homes.entry(at).or_default();
        } else {
            assert_eq!(code, Some(RefusalCode::NotOwner));
        }
    }

    async fn post(&mut self, who: Who, at: Where, is_next: bool, blob: Option<u8>) {
        let count = self.homes.get(&at).map_or(0, |home| home.log.len());
        let body = format!(r#"{{"parts":[{{"kind":"text","text":"{who} {at} {count}"}}]}}"#);
        let own = |home: &Home| home.log.iter().filter(|(author, ..)| *author == who).count() as u64;
        let last_n = self.homes.get(&at).map_or(0, own);
        let n = last_n + if is_next { 1 } else { 2 };
        let blobs: Vec<_> = blob.iter().map(|blob| BlobId::of(&bytes_of(*blob))).collect();
        let room = home_of(at);
        let message = seat(who).message(room, n, LogPoint::start(room), &body, &blobs).signed().clone();
        let post = Post { room, message, body: body.clone() };
        let answer = self.bench.ask(&seat(who), Request::Post(post.clone())).await;
        let Some(home) = self.home(who, at) else { return assert_eq!(answer, Err(Refusal::not_found())) };
        if !is_next {
            assert_eq!(answer.unwrap_err().next_n, Some(last_n + 1));
        } else if blob.is_some_and(|blob| !home.blobs.contains(&blob)) {
            assert_eq!(answer, Err(Refusal::not_found()));
        } else {
            home.log.push((who, body, blob));
            let seq = home.log.len() as u64;
            home.last_posts.insert(who, (post, seq));
            assert!(matches!(answer, Ok(Answer::Post(posted)) if posted.seq == seq), "{answer:?}");
        }
    }

    async fn retry(&mut self, who: Who, at: Where) {
        let last = self.homes.get(&at).and_then(|home| home.last_posts.get(&who)).cloned();
        let Some((post, seq)) = last else { return };
        let answer = self.bench.ask(&seat(who), Request::Post(post)).await;
        if self.is_member(who, at) {
            assert!(matches!(answer, Ok(Answer::Post(posted)) if posted.seq == seq), "{answer:?}");
        } else {
            assert_eq!(answer, Err(Refusal::not_found()));
        }
    }

    async fn pull(&mut self, who: Who, at: Where, after: u64) {
        let pull = Pull { room: home_of(at), after, limit: 100, bodies: true, wait_ms: None };
        let answer = self.bench.ask(&seat(who), Request::Pull(pull)).await;
        let Some(home) = self.home(who, at) else { return assert_eq!(answer, Err(Refusal::not_found())) };
        if after > home.log.len() as u64 {
            return assert_eq!(answer.unwrap_err().code, RefusalCode::BadRequest);
        }
        let Ok(Answer::Pull(page)) = answer else { panic!("{answer:?}") };
        let found: Vec<_> = page
            .entries
            .into_iter()
            .map(|entry| match entry.content {
                EntryContent::Message { message, body } => (entry.seq, message.by(), body.unwrap()),
                EntryContent::Membership(_) => unreachable!("nobody acts on a home here"),
            })
            .collect();
        let expected: Vec<_> = (after + 1..)
            .zip(home.log.iter().skip(usize::try_from(after).unwrap()))
            .map(|(seq, (author, body, _))| (seq, seat(*author).agent(), body.clone()))
            .collect();
        assert_eq!(found, expected);
    }

    async fn ack(&mut self, who: Who, at: Where, seq: u64) {
        let ack = Ack { room: home_of(at), reader: "cli".into(), seq };
        let answer = self.bench.ask(&seat(who), Request::Ack(ack)).await;
        let Some(home) = self.home(who, at) else { return assert_eq!(answer, Err(Refusal::not_found())) };
        if seq > home.log.len() as u64 {
            return assert_eq!(answer.unwrap_err().code, RefusalCode::BadRequest);
        }
        let cursor = home.cursors.entry(who).or_default();
        *cursor = seq.max(*cursor);
        assert!(matches!(answer, Ok(Answer::Ack(acked)) if acked.cursor == *cursor), "{answer:?}");
    }

    async fn put(&mut self, who: Who, at: Where, blob: u8) {
        let answer = self.bench.upload(&seat(who), home_of(at), &bytes_of(blob)).await;
        let Some(home) = self.home(who, at) else { return assert_eq!(answer, Err(Refusal::not_found())) };
        let is_there = home.blobs.contains(&blob);
        assert_eq!(
            answer.map(|done| done.present),
            Ok(is_there),
            "what others sent is not there for this room"
        );
        if !is_there {
            home.blobs.push(blob);
        }
    }

    async fn get(&mut self, who: Who, at: Where, blob: u8) {
        let bytes = bytes_of(blob);
        let answer = self.bench.download(&seat(who), home_of(at), BlobId::of(&bytes)).await;
        match self.home(who, at) {
            Some(home) if home.blobs.contains(&blob) => assert_eq!(answer, Ok(bytes)),
            _ => assert_eq!(answer, Err(Refusal::not_found())),
        }
    }

    async fn handoffs(&mut self, who: Who, at: Where) {
        let request = Handoffs { room: home_of(at), before: None, limit: 100 };
        let answer = self.bench.ask(&seat(who), Request::Handoffs(request)).await;
        let Some(home) = self.home(who, at) else { return assert_eq!(answer, Err(Refusal::not_found())) };
        let Ok(Answer::Handoffs(list)) = answer else { panic!("{answer:?}") };
        let found: Vec<_> = list.references.iter().map(|row| (row.seq, row.blob)).collect();
        assert_eq!(found, references(home, |_| true));
    }

    async fn find(&mut self, who: Who, blob: u8) {
        let id = BlobId::of(&bytes_of(blob));
        let answer = self.bench.ask(&seat(who), Request::Find(Find { prefix: id.into() })).await;
        let Ok(Answer::Find(list)) = answer else { panic!("{answer:?}") };
        let found: Vec<_> = list.references.iter().map(|row| (row.seq, row.blob)).collect();
        let expected = self.home(who, who / SEATS).map(|home| references(home, |other| other == blob));
        assert_eq!(found, expected.unwrap_or_default());
    }

    async fn rooms(&mut self, who: Who) {
        let answer = self.bench.ask(&seat(who), Request::Rooms(Default::default())).await;
        let Ok(Answer::Rooms(list)) = answer else { panic!("{answer:?}") };
        let found: Vec<_> = list.rooms.iter().map(|row| (row.room, row.end.seq)).collect();
        let expected = self.home(who, who / SEATS).map(|home| (home_of(who / SEATS), home.log.len() as u64));
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }
}

fn references(home: &Home, wanted: impl Fn(u8) -> bool) -> Vec<(u64, BlobId)> {
    let rows = (1..).zip(&home.log).filter_map(|(seq, (.., blob))| {
        blob.filter(|blob| wanted(*blob)).map(|blob| (seq, BlobId::of(&bytes_of(blob))))
    });
    let mut rows: Vec<_> = rows.collect();
    rows.reverse();
    rows
}

proptest::proptest! {
    #![proptest_config(property(64))]

    #[test]
    fn no_sequence_of_requests_gives_a_non_member_one_byte(acts in prop::collection::vec(act(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let limits = Limits {
                sends_per_agent_minute_max: 10_000,
                blobs_per_agent_hour_max: 10_000,
                ..Limits::default()
            };
            let mut model = Model { bench: Bench::new(limits), seats: BTreeMap::new(), homes: BTreeMap::new() };
            // Everybody starts at home, so that there is something to be kept from others.
            for who in 0..USERS * SEATS {
                model.act(Act::Vouch(who, 1000)).await;
                model.act(Act::Open(who, who / SEATS)).await;
            }
            for act in acts {
                model.act(act).await;
            }
        });
    }
}
