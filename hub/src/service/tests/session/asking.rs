//! Asking to join: keys, limits, waiting, and what somebody is told who is not in.

use std::net::IpAddr;
use std::time::Duration;

use protocol::frame::{Event, Find, HubFrame, RequestKind, Rooms};
use protocol::refusal::RefusalCode as Code;
use protocol::statement::Key;

use super::*;
use crate::fanout::{Waiter as _, Wake as _};

impl Bench {
    async fn join_from(
        &self,
        player: &Player,
        room: RoomId,
        key: u8,
        address: u8,
    ) -> Result<Digest, Refusal> {
        let address = (address > 0).then(|| IpAddr::from([192, 0, 2, address]));
        let caller = Caller { agent: player.agent(), access: Access::Full, address };
        let ask = player.asks(room, &invite(key), crate::clock::Clock::now(&*self.clock));
        let answer = answered!(self.ask_as(caller, Request::Join(Box::new(ask))), Join);
        answer.map(|asked| asked.request)
    }
}

#[tokio::test]
async fn so_many_may_wait_by_one_key_and_from_one_address() {
    let limits = Limits { requests_per_address_max: 2, requests_per_key_max: 3, ..Limits::default() };
    let bench = Bench::new(limits);
    let ana = player(0, 1);
    let room = bench.in_session(&ana, 5).await;
    bench.put_key(&ana, room, 1, 5).await.unwrap();
    let joiner = |number| player(1, number);
    let first = bench.join_from(&joiner(0), room, 0, 1).await.unwrap();
    bench.join_from(&joiner(1), room, 0, 1).await.unwrap();
    assert_eq!(bench.join_from(&joiner(2), room, 0, 1).await.unwrap_err().code, Code::TooMany);
    assert_eq!(bench.join_from(&joiner(0), room, 0, 1).await, Ok(first), "the same request takes no share");
    bench.join_from(&joiner(2), room, 1, 1).await.expect("by another key");
    bench.join_from(&joiner(3), room, 0, 2).await.expect("from another address");
    assert_eq!(bench.join_from(&joiner(4), room, 0, 3).await.unwrap_err().code, Code::TooMany);
    // A decision makes way, and so does time.
    bench.act(&ana, &ana, room, Op::Deny { agents: vec![joiner(1).agent()] }).await.unwrap();
    bench.join_from(&joiner(4), room, 0, 1).await.unwrap();
    let list = bench.requests(&ana, room).await.unwrap();
    assert_eq!(list.requests.len(), 4);
}

#[tokio::test]
async fn those_over_the_socket_of_this_machine_are_not_one_address() {
    let limits = Limits { requests_per_address_max: 1, requests_per_key_max: 3, ..Limits::default() };
    let bench = Bench::new(limits);
    let room = bench.in_session(&player(0, 1), 5).await;
    for joiner in 0..3 {
        bench.join_from(&player(1, joiner), room, 0, 0).await.unwrap();
    }
    let refused = bench.join_from(&player(1, 3), room, 0, 0).await.unwrap_err();
    assert_eq!(refused.code, Code::TooMany, "by one key");
}

#[tokio::test]
async fn a_request_waits_a_week_and_is_gone() {
    let bench = Bench::new(Limits::default());
    let (ana, ben, cy) = (player(0, 1), player(1, 1), player(2, 1));
    let room = bench.in_session(&ana, 5).await;
    let key = ana.key_to(room, invite(5).public(), 30 * DAY, 5).signed().clone();
    bench.ask(&ana, Request::PutKey(PutKey { key })).await.unwrap();
    let dies = bench.join(&ben, room, 0).await.unwrap();
    let waits = bench.join(&cy, room, 5).await.unwrap();
    bench.clock.advance(DAY - 1);
    assert_eq!(bench.state(&ben, dies).await.unwrap().state, JoinerState::Pending);
    // Its key expires before it does, and who asked is told so for another day.
    bench.clock.advance(1);
    for _ in 0..2 {
        assert_eq!(bench.state(&ben, dies).await, Err(Refusal::key_refused()));
        assert_eq!(bench.requests(&ana, room).await.unwrap().requests.len(), 1);
        janitor::expire(&bench.service).await.unwrap();
    }
    bench.clock.advance(DAY - 1);
    janitor::expire(&bench.service).await.unwrap();
    assert_eq!(bench.state(&ben, dies).await, Err(Refusal::key_refused()));
    bench.clock.advance(1);
    assert_eq!(bench.state(&ben, dies).await, Err(Refusal::not_found()));
    bench.clock.advance(5 * DAY - 1);
    assert_eq!(bench.state(&cy, waits).await.unwrap().state, JoinerState::Pending);
    bench.clock.advance(1);
    for _ in 0..2 {
        assert_eq!(bench.state(&cy, waits).await, Err(Refusal::not_found()));
        assert!(bench.requests(&ana, room).await.unwrap().requests.is_empty());
        janitor::expire(&bench.service).await.unwrap();
    }
    assert_ne!(bench.join(&cy, room, 5).await.unwrap(), waits);
}

#[tokio::test]
async fn who_was_put_out_may_ask_anew_and_who_was_denied_may_not() {
    let bench = Bench::new(Limits::default());
    let (ana, ben) = (player(0, 1), player(1, 1));
    let room = bench.in_session(&ana, 5).await;
    let first = bench.join(&ben, room, 0).await.unwrap();
    bench.admit(&ana, room, &ben, true).await.unwrap();
    bench.act(&ana, &ana, room, Op::Remove { agent: ben.agent() }).await.unwrap();
    assert_eq!(bench.state(&ben, first).await.unwrap().state, JoinerState::Removed);
    bench.clock.advance(1);
    let second = bench.join(&ben, room, 0).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(bench.state(&ben, second).await.unwrap().state, JoinerState::Pending);
    assert_eq!(bench.state(&ben, first).await, Err(Refusal::not_found()));
    bench.act(&ana, &ana, room, Op::Deny { agents: vec![ben.agent()] }).await.unwrap();
    let denied = bench.state(&ben, second).await.unwrap();
    assert_eq!(denied, JoinStanding { state: JoinerState::Denied, genesis: None });
    assert_eq!(bench.join(&ben, room, 0).await, Err(Refusal::key_refused()));
    assert_eq!(bench.state(&player(2, 1), second).await, Err(Refusal::not_found()));
}

#[tokio::test]
async fn who_waits_for_a_decision_is_woken_by_it() {
    let bench = Bench::new(Limits::default());
    let (ana, ben, cy) = (player(0, 1), player(1, 1), player(2, 1));
    let room = bench.in_session(&ana, 5).await;
    bench.put_key(&ana, room, 1, 5).await.unwrap();
    let wait = async |player: &Player, request| {
        let request = JoinState { request, wait_ms: Some(50_000) };
        answered!(bench.ask(player, Request::JoinState(request)), JoinState)
    };
    let request = bench.join(&ben, room, 0).await.unwrap();
    let (state, admitted) = tokio::join!(wait(&ben, request), bench.admit(&ana, room, &ben, true));
    assert_eq!((state.unwrap().state, admitted), (JoinerState::Member, Ok(1)));
    let request = bench.join(&cy, room, 1).await.unwrap();
    let revoke = Request::RevokeKey(RevokeKey { room, invite: invite(1).public() });
    let (state, revoked) = tokio::join!(wait(&cy, request), bench.ask(&ana, revoke));
    assert_eq!(state, Err(Refusal::key_refused()));
    revoked.unwrap();
}

#[tokio::test]
async fn what_others_may_wait_for_wakes_them_once() {
    let bench = Bench::new(Limits::default());
    let (ana, ben) = (player(0, 1), player(1, 1));
    let room = bench.in_session(&ana, 5).await;
    let mut waiter = bench.service.wake.wait_for(room);
    let mut woken = async || tokio::time::timeout(Duration::ZERO, waiter.news()).await.is_ok();
    let admitted = bench.admit(&ana, room, &ben, true).await.unwrap();
    assert!(woken().await, "by an act");
    let hello = post(&ben, room, 1, HELLO);
    for first in [true, false] {
        bench.ask(&ben, Request::Post(hello.clone())).await.unwrap();
        assert_eq!(woken().await, first, "by a message, and not by its repetition");
    }
    bench.ask(&ana, Request::RevokeKey(RevokeKey { room, invite: invite(0).public() })).await.unwrap();
    assert!(woken().await, "by the end of a key");
    let pull = Pull { room, after: admitted, limit: 9, bodies: true, wait_ms: None };
    bench.ask(&ben, Request::Pull(pull)).await.unwrap();
    assert!(!woken().await, "not by a look");
}

#[tokio::test]
async fn every_seat_of_the_owner_is_told_of_a_request_once() {
    let bench = Bench::new(Limits::default());
    let (ana, twin, ben) = (player(0, 1), player(0, 2), player(1, 1));
    let room = bench.in_session(&ana, 5).await;
    bench.note_seat(&twin, SEAT_MS).await;
    let mut ears = [bench.service.wake.listen(ana.agent()), bench.service.wake.listen(twin.agent())];
    let mut stranger = bench.service.wake.listen(ben.agent());
    for _ in 0..2 {
        bench.join(&ben, room, 0).await.unwrap();
    }
    for ear in &mut ears {
        assert_eq!(ear.next().await, Event { event: Event::REQUESTS.into(), room: Some(room) });
        let more = tokio::time::timeout(Duration::ZERO, ear.next()).await;
        assert!(more.is_err(), "{more:?}");
    }
    assert!(tokio::time::timeout(Duration::ZERO, stranger.next()).await.is_err());
    for (player, rooms) in [(&ana, vec![room]), (&twin, vec![room]), (&ben, vec![])] {
        assert_eq!(bench.service.awaiting(player.agent()).await, Ok(rooms));
    }
    bench.admit(&ana, room, &ben, true).await.unwrap();
    assert_eq!(bench.service.awaiting(ana.agent()).await, Ok(vec![]));
    assert_eq!(bench.requests(&ben, room).await.unwrap_err().code, Code::NotOwner);
    assert_eq!(bench.put_key(&ben, room, 1, 1).await.unwrap_err().code, Code::NotOwner);
}

#[tokio::test]
async fn a_request_to_join_that_does_not_hold_is_no_question_of_keys() {
    let bench = Bench::new(Limits::default());
    let (ana, ben, eve) = (player(0, 1), player(1, 1), player(2, 1));
    let room = bench.in_session(&ana, 5).await;
    let good = ben.asks(room, &invite(0), START);
    let mut named = good.join.clone().verify().unwrap().statement().clone();
    named.name = "ben\u{202e}".into();
    let other = ben.asks(room, &invite(0), START + 1);
    let foreign_seat = Some(eve.seat(START, START + SEAT_MS).signed().clone());
    let cases = [
        protocol::frame::AskToJoin { ask: other.ask, ..good.clone() },
        protocol::frame::AskToJoin { seat: foreign_seat, ..good.clone() },
        ben.signs(named, &invite(0)),
        eve.asks(room, &invite(0), START),
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let refused = bench.hand_in(&ben, case).await.unwrap_err();
        assert_eq!(refused.code, Code::BadStatement, "case {number}");
    }
    bench.hand_in(&ben, good).await.unwrap();
}

#[tokio::test]
async fn a_key_is_the_owners_and_of_lawful_length() {
    let bench = Bench::new(Limits::default());
    let (ana, ben) = (player(0, 1), player(1, 1));
    let room = bench.in_session(&ana, 5).await;
    let put = async |who: &Player, key: Key| {
        let key = sign(&who.user, key).signed().clone();
        bench.ask(&ana, Request::PutKey(PutKey { key })).await.map_err(|refusal| refusal.code).map(drop)
    };
    let key = |change: &dyn Fn(&mut Key)| {
        let mut key = ana.key_to(room, invite(1).public(), DAY, 1).statement().clone();
        change(&mut key);
        key
    };
    assert_eq!(put(&ben, key(&|_| {})).await, Err(Code::BadStatement));
    assert_eq!(put(&ana, key(&|key| key.max_uses = 257)).await, Err(Code::BadStatement));
    assert_eq!(put(&ana, key(&|key| key.expires = key.issued)).await, Err(Code::BadStatement));
    assert_eq!(put(&ana, key(&|key| key.needs = vec!["more".into()])).await, Err(Code::BadStatement));
    assert_eq!(put(&ana, key(&|key| key.room = ben.room())).await, Err(Code::NotFound));
    for _ in 0..2 {
        assert_eq!(put(&ana, key(&|_| {})).await, Ok(()), "the same again is fine");
    }
    assert_eq!(put(&ana, key(&|key| key.max_uses = 2)).await, Err(Code::BadStatement), "another is not");
    let many = |number| key(&|key| key.invite = protocol::key::InviteId::from_bytes([number; 32]));
    for number in 3..=64 {
        assert_eq!(put(&ana, many(number)).await, Ok(()));
    }
    assert_eq!(put(&ana, many(65)).await, Err(Code::TooMany));
    assert_eq!(bench.requests(&ana, room).await.unwrap().keys.len(), 64);
    let revoke = RevokeKey { room, invite: protocol::key::InviteId::from_bytes([99; 32]) };
    assert_eq!(bench.ask(&ana, Request::RevokeKey(revoke)).await, Err(Refusal::not_found()));
}

#[tokio::test]
async fn who_came_in_by_an_invite_may_only_ask() {
    let bench = Bench::new(Limits::default());
    let (ana, ben) = (player(0, 1), player(1, 1));
    let room = bench.in_session(&ana, 5).await;
    bench.put_key(&ana, room, 1, 5).await.unwrap();
    let access = Access::Join(invite(0).public());
    let caller = Caller { agent: ben.agent(), access, address: None };
    let elsewhere = [
        Request::OpenRoom(OpenRoom { genesis: ben.home().signed().clone() }),
        Request::Rooms(Rooms::default()),
        Request::Find(Find { prefix: BlobId::of(b"").into() }),
        Request::Pull(Pull { room, after: 0, limit: 1, bodies: true, wait_ms: None }),
    ];
    for request in &elsewhere {
        assert_eq!(bench.ask_as(caller, request.clone()).await, Err(Refusal::not_found()));
    }
    let other = Request::Join(Box::new(ben.asks(room, &invite(1), START)));
    assert_eq!(bench.ask_as(caller, other).await, Err(Refusal::key_refused()));
    let ask = Request::Join(Box::new(ben.asks(room, &invite(0), START)));
    bench.ask_as(caller, ask).await.unwrap();
    // Who is let in meanwhile is as free as at its next login.
    bench.admit(&ana, room, &ben, true).await.unwrap();
    for request in elsewhere.into_iter().skip(1) {
        assert!(bench.ask_as(caller, request).await.is_ok());
    }
}

#[tokio::test]
async fn who_is_not_in_gets_one_answer_byte_for_byte() {
    let bench = Bench::new(Limits::default());
    let (ana, ben) = (player(0, 1), player(1, 1));
    let [pending, denied, removed, left, stranger] = [0, 1, 2, 3, 4].map(|number| player(2, number));
    let room = bench.in_session(&ana, 9).await;
    bench.upload(&ana, room, b"secret").await.unwrap();
    bench.say(&ana, room, 1, &[BlobId::of(b"secret")]).await.unwrap();
    bench.join(&pending, room, 0).await.unwrap();
    bench.act(&ana, &ana, room, Op::Deny { agents: vec![denied.agent()] }).await.unwrap();
    for player in [&removed, &left, &ben] {
        bench.admit(&ana, room, player, true).await.unwrap();
    }
    bench.act(&ana, &ana, room, Op::Remove { agent: removed.agent() }).await.unwrap();
    let mut header = left.message(room, 1, bench.end(&left, room).await, HELLO, &[]).statement().clone();
    header.leave = true;
    let message = sign(&left.key, header).signed().clone();
    bench.ask(&left, Request::Post(Post { room, message, body: HELLO.into() })).await.unwrap();
    let end = bench.chain(&ana, room).await.unwrap().end;
    let nowhere = protocol::room::room_id(&ana.session(9));
    let mut texts = std::collections::BTreeSet::new();
    let mut kinds = vec![RequestKind::GetBlob, RequestKind::PutBlob];
    for player in [&pending, &denied, &removed, &left, &stranger] {
        for room in [room, nowhere] {
            let own = player.act(room, end, Op::Close);
            let key = player.key_to(room, invite(1).public(), DAY, 1);
            let message = player.message(room, 1, LogPoint::start(room), HELLO, &[]).signed().clone();
            let requests = [
                Request::Append(Append { room, membership: own.signed().clone() }),
                Request::Post(Post { room, message, body: HELLO.into() }),
                Request::Pull(Pull { room, after: 0, limit: 1, bodies: true, wait_ms: Some(50_000) }),
                Request::Pull(Pull { room, after: 999, limit: 1, bodies: true, wait_ms: None }),
                Request::Chain(Chain { room, after: 0 }),
                Request::Handoffs(Handoffs { room, before: None, limit: 1 }),
                Request::Ack(Ack { room, reader: "cli".into(), seq: 99 }),
                Request::PutKey(PutKey { key: key.signed().clone() }),
                Request::RevokeKey(RevokeKey { room, invite: invite(0).public() }),
                Request::Requests(Requests { room, after: None }),
                Request::JoinState(JoinState { request: Digest::of(b"none"), wait_ms: Some(50_000) }),
            ];
            for request in requests {
                let name = request.kind().name();
                kinds.push(request.kind());
                let answer = bench.ask(player, request).await;
                assert!(answer.is_err(), "{name}");
                texts.insert(HubFrame::answer(7, &answer));
            }
            for id in [BlobId::of(b"secret"), BlobId::of(b"not there")] {
                let got = bench.download(player, room, id).await.unwrap_err();
                texts.insert(HubFrame::answer(7, &Err(got)));
                let request = PutBlob { room, id, size: 6 };
                let put = bench.service.begin_upload(player.agent(), &request).await.unwrap_err();
                texts.insert(HubFrame::answer(7, &Err(put)));
            }
        }
        let list = Request::Find(Find { prefix: BlobId::of(b"secret").into() });
        assert_eq!(answered!(bench.ask(player, list), Find).unwrap(), Default::default());
        assert_eq!(
            answered!(bench.ask(player, Request::Rooms(Rooms::default())), Rooms).unwrap(),
            Default::default()
        );
    }
    assert_eq!(texts.into_iter().collect::<Vec<_>>(), [HubFrame::answer(7, &Err(Refusal::not_found()))]);
    // The others name no room: what they answer is the caller's own, or nothing.
    let others = ["rooms", "open_room", "find", "join", "cancel", "ping"];
    let named = |kind: &&RequestKind| !others.contains(&kind.name());
    assert!(RequestKind::ALL.iter().filter(named).all(|kind| kinds.contains(kind)), "every request is tried");
}
