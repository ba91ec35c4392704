//! The hub is a good one until it lies, and what it shows then is folded as well as anybody can.

use protocol::conn::client::ClientFault;
use protocol::frame::{Answer, JoinState, JoinerState, Pull, Request, Requests, RevokeKey};
use protocol::id::{Digest, RoomId};
use protocol::invite::SessionKey;
use protocol::refusal::RefusalCode;
use protocol::room::{Members, RangeChecks, RangeError, Reading, check_admission, verify_range};
use protocol::statement::{LogPoint, Op};

use super::LyingHub;
use crate::Member;

/// Ana opens a session in which Ben is; each has said something.
fn conversation(hub: &LyingHub) -> (Member, Member, RoomId) {
    let mut ana = Member::log_in(1, &hub.origin()).unwrap();
    let mut ben = Member::log_in(2, &hub.origin()).unwrap();
    let room = ana.open(1).unwrap();
    ana.post((room, 1, LogPoint::start(room)), "hello", |_| {}).unwrap();
    let key = ana.put_key(room, 7, false).unwrap();
    let request = ben.join(&key, "ben").unwrap();
    assert_eq!(standing(&mut ben, request), JoinerState::Pending);
    assert_eq!(ben.pull(room, 0).unwrap_err().code, RefusalCode::NotFound);
    ana.admit(room, ben.id(), "ben").unwrap();
    assert_eq!(standing(&mut ben, request), JoinerState::Member);
    let head = ben.pull(room, 0).unwrap().end;
    ben.post((room, 1, head), "hello yourself", |_| {}).unwrap();
    (ana, ben, room)
}

fn standing(member: &mut Member, request: Digest) -> JoinerState {
    match member.ask(&Request::JoinState(JoinState { request, wait_ms: None })).unwrap() {
        Answer::JoinState(standing) => standing.state,
        other => panic!("{other:?}"),
    }
}

/// Reads all of a room as somebody who knows `head` and nothing else of its log.
fn read(
    member: &mut Member,
    owner: &Member,
    room: RoomId,
    head: LogPoint,
) -> Result<Vec<Reading>, RangeError> {
    let page = member.pull(room, 0).unwrap();
    let mut members = Members::of(room, owner.user.public(), protocol::statement::RoomKind::Session);
    for seat in page.seats {
        members.note_seat(&seat.verify().unwrap());
    }
    let checks = RangeChecks { members: &members, counters: None, accepted: 0 };
    let known =
        |seq| [LogPoint::start(room), head].iter().find(|point| point.seq == seq).map(|point| point.log);
    verify_range(checks, page.start, page.entries, known).whole().map(|outcome| outcome.readings)
}

#[test]
fn two_people_talk_through_an_honest_hub() {
    let hub = LyingHub::new(9);
    let (mut ana, mut ben, room) = conversation(&hub);
    let end = hub.end(room);
    let owner = Member::log_in(1, &hub.origin()).unwrap();
    let readings = read(&mut ben, &owner, room, end).unwrap();
    assert!(matches!(readings[..], [Reading::Good(_), Reading::Act(_), Reading::Good(_)]), "{readings:?}");
    assert_eq!(read(&mut ana, &owner, room, end).unwrap().len(), 3);
    let chain = ben.chain(room).unwrap();
    let Answer::Rooms(list) = ben.ask(&Request::Rooms(protocol::frame::Rooms::default())).unwrap() else {
        panic!("rooms")
    };
    let genesis = list.rooms[0].genesis.clone();
    let (members, admission) =
        check_admission(room.room12(), hub.id(), &ben.id(), genesis, chain.entries).unwrap();
    assert_eq!((members.name(&ben.id()), admission.floor), (Some("ben"), 0));
    ana.act(room, Op::Remove { agent: ben.id() }).unwrap();
    assert_eq!(ben.pull(room, 0).unwrap_err().code, RefusalCode::NotFound);
}

#[test]
fn a_request_by_a_key_that_is_over_waits_for_nobody_and_who_was_put_out_asks_anew() {
    let hub = LyingHub::new(9);
    let (mut ana, mut ben, room) = conversation(&hub);
    let pending = |ana: &mut Member| match ana.ask(&Request::Requests(Requests { room, after: None })) {
        Ok(Answer::Requests(list)) => list.requests.len(),
        other => panic!("{other:?}"),
    };
    let key = SessionKey::new([7; 16], room.room12(), None);
    ana.act(room, Op::Remove { agent: ben.id() }).unwrap();
    let again = ben.join(&key, "ben").unwrap();
    assert_eq!((standing(&mut ben, again), pending(&mut ana)), (JoinerState::Pending, 1));
    ana.ask(&Request::RevokeKey(RevokeKey { room, invite: key.invite_key().public() })).unwrap();
    let refused = ben.ask(&Request::JoinState(JoinState { request: again, wait_ms: None })).unwrap_err();
    assert_eq!((refused.code, pending(&mut ana)), (RefusalCode::KeyRefused, 0));
    assert_eq!(ben.join(&key, "ben").unwrap_err().code, RefusalCode::KeyRefused);
    ana.admit(room, ben.id(), "ben").unwrap();
    let entered = ben.join(&key, "ben").unwrap();
    assert_eq!(standing(&mut ben, entered), JoinerState::Member, "who is in learns so by any key");
}

#[test]
fn a_pull_waits_for_what_comes() {
    let hub = LyingHub::new(9);
    let (mut ana, mut ben, room) = conversation(&hub);
    let after = hub.end(room);
    let waiting = std::thread::spawn(move || {
        let pull = Pull { room, after: after.seq, limit: 1, bodies: true, wait_ms: Some(50_000) };
        match ben.ask(&Request::Pull(pull)).unwrap() {
            Answer::Pull(pulled) => pulled.entries.len(),
            other => panic!("{other:?}"),
        }
    });
    ana.post((room, 2, after), "still there?", |_| {}).unwrap();
    assert_eq!(waiting.join().unwrap(), 1);
}

#[test]
fn a_closed_hub_lets_in_by_its_secret_a_key_or_a_room() {
    let secret = "gpj1-abcdefghijklmnopqrstuvwxyz";
    let hub = LyingHub::closed(9, secret);
    let join = protocol::key::JoinKey::from_join_secret(secret);
    let mut ana = Member::log_in_with(1, &hub.origin(), |config| config.join = Some(join)).unwrap();
    assert_eq!(Member::log_in(2, &hub.origin()).unwrap_err(), ClientFault::NoPass);
    let room = ana.open(1).unwrap();
    let key = ana.put_key(room, 7, false).unwrap();
    let by_key = Member::log_in_with(2, &hub.origin(), |config| config.invite = Some(key.invite_key()));
    let mut ben = by_key.unwrap();
    ben.join(&key, "ben").unwrap();
    assert_eq!(ben.open(2).unwrap_err().code, RefusalCode::NotFound, "it may file its request and no more");
    ana.admit(room, ben.id(), "ben").unwrap();
    assert!(Member::log_in(2, &hub.origin()).is_ok());
}

#[test]
fn a_forged_log_looks_like_any_other_to_who_knows_nothing_else() {
    let hub = LyingHub::new(9);
    let (_ana, mut ben, room) = conversation(&hub);
    let owner = Member::log_in(1, &hub.origin()).unwrap();
    let (end, start) = (hub.end(room), LogPoint::start(room));
    hub.show(ben.id(), room, |entries| drop(entries.remove(0)));
    // The owner's word on where Ben came in contradicts it, and his own head would.
    let fault = read(&mut ben, &owner, room, start);
    assert!(matches!(fault, Err(RangeError::Head { seq: 1 })), "{fault:?}");
    hub.show(ben.id(), room, |entries| entries.truncate(1));
    assert_eq!(read(&mut ben, &owner, room, start).unwrap().len(), 1);
    hub.repent();
    assert_eq!(read(&mut ben, &owner, room, end).unwrap().len(), 3);
}

#[test]
fn a_lie_reaches_the_one_it_is_for() {
    let hub = LyingHub::new(9);
    let (mut ana, mut ben, room) = conversation(&hub);
    let to = ben.id();
    hub.lie(move |asking, answer| {
        if let (true, Ok(Answer::Pull(page))) = (asking.agent == to, answer) {
            page.entries.clear();
        }
    });
    assert_eq!((ana.pull(room, 0).unwrap().entries.len(), ben.pull(room, 0).unwrap().entries.len()), (3, 0));
}
