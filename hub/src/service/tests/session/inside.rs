//! What owners do in a session, and what members get: acts that race, floors, leaves, removals.

use protocol::frame::{ChainPage, Event, Find, Rooms};
use protocol::refusal::RefusalCode as Code;

use super::*;
use crate::fanout::Wake as _;
use crate::store::StoreError;

fn code<T: std::fmt::Debug>(answer: Result<T, Refusal>) -> Code {
    answer.unwrap_err().code
}

impl Bench {
    async fn hand_on(
        &self,
        caller: &Player,
        act: &protocol::signed::Verified<protocol::statement::Membership>,
    ) -> Result<u64, Refusal> {
        let request = Append { room: act.statement().room, membership: act.signed().clone() };
        answered!(self.ask(caller, Request::Append(request)), Append).map(|appended| appended.seq)
    }

    async fn find(&self, player: &Player, id: BlobId) -> usize {
        let list = answered!(self.ask(player, Request::Find(Find { prefix: id.into() })), Find);
        list.unwrap().references.len()
    }
}

#[tokio::test]
async fn of_two_acts_at_once_one_is_taken_and_the_other_is_told_the_chain() {
    let bench = Bench::new(Limits::default());
    let (ana, twin, ben) = (player(0, 1), player(0, 2), player(1, 1));
    let room = bench.in_session(&ana, 5).await;
    bench.note_seat(&twin, SEAT_MS).await;
    let end = bench.chain(&ana, room).await.unwrap().end;
    let at = LogPoint::start(room);
    let lets_in = ana.act(room, end, admit(ben.agent(), at, true, None));
    let denies = twin.act(room, end, Op::Deny { agents: vec![ben.agent()] });
    assert_eq!(bench.hand_on(&ana, &lets_in).await, Ok(1));
    let refused = bench.hand_on(&twin, &denies).await.unwrap_err();
    let now = bench.chain(&twin, room).await.unwrap().end;
    assert_eq!((refused.code, refused.chain.as_deref()), (Code::Conflict, Some(&now)));
    assert_eq!((now.n, now.digest), (1, lets_in.digest()));
    // The same act again, from whichever connection, is answered as the first time.
    for caller in [&ana, &twin, &ben, &player(2, 1)] {
        assert_eq!(bench.hand_on(caller, &lets_in).await, Ok(1));
    }
    assert_eq!(bench.hand_on(&player(2, 1), &denies).await, Err(Refusal::not_found()));
    // What it wanted is not wanted any more: who is in is not denied.
    let again = twin.act(room, now, Op::Deny { agents: vec![ben.agent()] });
    assert_eq!(code(bench.hand_on(&twin, &again).await), Code::BadRequest);
}

#[tokio::test]
async fn an_act_that_makes_no_sense_is_not_taken() {
    let bench = Bench::new(Limits { members_max: 1, ..Limits::default() });
    let (ana, ben, eve) = (player(0, 1), player(1, 1), player(2, 1));
    let room = bench.in_session(&ana, 5).await;
    bench.say(&ana, room, 1, &[]).await.unwrap();
    let at = bench.end(&ana, room).await;
    let start = LogPoint::start(room);
    let known = Some(invite(0).public());
    let act = async |op| code(bench.act(&ana, &ana, room, op).await);
    let foreign = LogPoint { log: Digest::of(b"elsewhere"), ..at };
    let ahead = LogPoint { seq: 2, ..at };
    assert_eq!(act(admit(ben.agent(), foreign, true, known)).await, Code::Stale);
    assert_eq!(act(admit(ben.agent(), ahead, true, known)).await, Code::Stale);
    assert_eq!(act(admit(ben.agent(), at, true, Some(invite(7).public()))).await, Code::KeyRefused);
    assert_eq!(act(Op::Remove { agent: ben.agent() }).await, Code::BadRequest);
    assert_eq!(act(Op::Unknown(serde_json::json!({ "epoch": {} }))).await, Code::Unsupported);
    let mut wrong_floor = admit(ben.agent(), at, false, known);
    if let Op::Admit(admit) = &mut wrong_floor {
        admit.at = start;
    }
    assert_eq!(act(wrong_floor).await, Code::BadRequest);
    bench.act(&ana, &ana, room, Op::Deny { agents: vec![eve.agent()] }).await.unwrap();
    assert_eq!(act(admit(eve.agent(), at, true, known)).await, Code::Denied);
    bench.admit(&ana, room, &ben, true).await.unwrap();
    assert_eq!(act(admit(ben.agent(), at, true, known)).await, Code::BadRequest);
    assert_eq!(act(admit(player(1, 2).agent(), at, true, known)).await, Code::TooMany);
    // Signed by somebody else: the act is the owner's.
    let end = bench.chain(&ben, room).await.unwrap().end;
    let own = ben.act(room, end, Op::Remove { agent: ana.agent() });
    assert_eq!(code(bench.hand_on(&ben, &own).await), Code::NotOwner);
    assert_eq!(bench.hand_on(&eve, &own).await, Err(Refusal::not_found()));
    bench.act(&ana, &ana, room, Op::Close).await.unwrap();
    assert_eq!(act(admit(player(1, 2).agent(), at, true, known)).await, Code::Closed);
}

#[tokio::test]
async fn a_home_takes_removals_only() {
    let bench = Bench::new(Limits::default());
    let (ana, twin) = (player(0, 1), player(0, 2));
    let room = bench.at_home(&ana).await;
    bench.at_home(&twin).await;
    let at = LogPoint::start(room);
    let key = ana.key_to(room, invite(0).public(), DAY, 1).signed().clone();
    assert_eq!(code(bench.ask(&ana, Request::PutKey(PutKey { key })).await), Code::BadStatement);
    let op = admit(player(1, 1).agent(), at, true, None);
    assert_eq!(code(bench.act(&ana, &ana, room, op).await), Code::BadRequest);
    bench.act(&ana, &ana, room, Op::Remove { agent: twin.agent() }).await.unwrap();
    assert_eq!(bench.pull(&twin, room, 0).await, Err(Refusal::not_found()));
    // Its word still holds elsewhere, and a newer one brings it not back.
    bench.clock.advance(1);
    bench.note_seat(&twin, SEAT_MS).await;
    let open = Request::OpenRoom(OpenRoom { genesis: twin.home().signed().clone() });
    assert_eq!(bench.ask(&twin, open).await, Err(Refusal::not_found()));
    let open = Request::OpenRoom(OpenRoom { genesis: twin.session(2).signed().clone() });
    bench.ask(&twin, open).await.unwrap();
}

#[tokio::test]
async fn who_came_without_history_gets_nothing_from_below_the_floor() {
    let bench = Bench::new(Limits::default());
    let (ana, ben, cy) = (player(0, 1), player(1, 1), player(2, 1));
    let room = bench.in_session(&ana, 5).await;
    let (old, new) = (b"old bytes".as_slice(), b"new bytes".as_slice());
    let (old_id, new_id) = (BlobId::of(old), BlobId::of(new));
    for bytes in [old, new] {
        bench.upload(&ana, room, bytes).await.unwrap();
    }
    bench.say(&ana, room, 1, &[old_id]).await.unwrap();
    bench.admit(&ana, room, &ben, false).await.unwrap();
    bench.admit(&ana, room, &cy, true).await.unwrap();
    bench.say(&ana, room, 2, &[new_id]).await.unwrap();
    let pruned = bench.pull(&ben, room, 0).await.unwrap_err();
    let base = bench.pull(&cy, room, 1).await.unwrap().start;
    assert_eq!((pruned.code, pruned.base.as_deref()), (Code::Pruned, Some(&base)));
    let page = bench.pull(&ben, room, 1).await.unwrap();
    assert_eq!((page.base, page.start, page.entries.len()), (base, base, 3));
    let list = Request::Handoffs(Handoffs { room, before: None, limit: 9 });
    let list = answered!(bench.ask(&ben, list), Handoffs).unwrap();
    assert_eq!(list.references.iter().map(|row| row.blob).collect::<Vec<_>>(), [new_id]);
    assert_eq!((bench.find(&ben, old_id).await, bench.find(&ben, new_id).await), (0, 1));
    assert_eq!((bench.find(&cy, old_id).await, bench.find(&cy, new_id).await), (1, 1));
    assert_eq!(bench.download(&ben, room, old_id).await, Err(Refusal::not_found()));
    assert_eq!(bench.download(&ben, room, BlobId::of(b"never")).await, Err(Refusal::not_found()));
    assert_eq!(bench.download(&ben, room, new_id).await.unwrap(), new);
    // Whoever knows a hash still has to send the bytes before it can refer to them.
    assert_eq!(bench.say(&ben, room, 1, &[old_id]).await, Err(Refusal::not_found()));
    assert_eq!(bench.upload(&ben, room, old).await, Ok(PutDone { present: false }));
    assert_eq!(bench.upload(&ben, room, old).await, Ok(PutDone { present: true }));
    assert_eq!(bench.download(&ben, room, old_id).await.unwrap(), old);
    bench.say(&ben, room, 1, &[old_id]).await.unwrap();
    assert_eq!(bench.upload(&cy, room, old).await, Ok(PutDone { present: true }));
    // Cursors begin at the floor, and the chain is everybody's.
    let ack = Ack { room, reader: "cli".into(), seq: 0 };
    assert_eq!(answered!(bench.ask(&ben, Request::Ack(ack)), Ack).unwrap().cursor, 1);
    let list = Request::Rooms(Rooms { after: None, reader: Some("mcp".into()) });
    assert_eq!(answered!(bench.ask(&ben, list), Rooms).unwrap().rooms[0].cursor, Some(1));
    assert_eq!(bench.chain(&ben, room).await, bench.chain(&ana, room).await);
}

#[tokio::test]
async fn who_leaves_is_out_at_once_and_told_so_again() {
    let bench = Bench::new(Limits::default());
    let (ana, ben) = (player(0, 1), player(1, 1));
    let room = bench.in_session(&ana, 5).await;
    bench.admit(&ana, room, &ben, true).await.unwrap();
    let head = bench.end(&ben, room).await;
    let mut header = ben.message(room, 1, head, HELLO, &[]).statement().clone();
    header.leave = true;
    let leaves = Post { room, message: sign(&ben.key, header).signed().clone(), body: HELLO.into() };
    for _ in 0..2 {
        let posted = answered!(bench.ask(&ben, Request::Post(leaves.clone())), Post);
        assert_eq!(posted.unwrap().seq, 2);
    }
    assert_eq!(bench.pull(&ben, room, 0).await, Err(Refusal::not_found()));
    let ChainPage { entries, end, .. } = bench.chain(&ana, room).await.unwrap();
    assert_eq!((entries.len(), end.n), (2, 1));
    // Not put out: it may come again, from a new floor, and counts on.
    bench.admit(&ana, room, &ben, false).await.unwrap();
    assert_eq!(code(bench.pull(&ben, room, 1).await), Code::Pruned);
    assert_eq!(bench.say(&ben, room, 2, &[]).await.unwrap().seq, 4);
}

#[tokio::test]
async fn a_closed_room_is_read_and_takes_nothing() {
    let bench = Bench::new(Limits::default());
    let (ana, ben) = (player(0, 1), player(1, 1));
    let room = bench.in_session(&ana, 5).await;
    bench.admit(&ana, room, &ben, true).await.unwrap();
    bench.upload(&ben, room, b"bytes").await.unwrap();
    let head = bench.end(&ben, room).await;
    let message = ben.message(room, 1, head, HELLO, &[]).signed().clone();
    let post = Request::Post(Post { room, message, body: HELLO.into() });
    bench.ask(&ben, post.clone()).await.unwrap();
    bench.act(&ana, &ana, room, Op::Close).await.unwrap();
    assert_eq!(bench.pull(&ben, room, 0).await.unwrap().entries.len(), 3);
    assert_eq!(bench.download(&ben, room, BlobId::of(b"bytes")).await.unwrap(), b"bytes");
    assert_eq!(code(bench.say(&ben, room, 2, &[]).await), Code::Closed);
    assert_eq!(code(bench.upload(&ben, room, b"others").await), Code::Closed);
    assert_eq!(code(bench.put_key(&ana, room, 1, 1).await), Code::Closed);
    assert!(bench.ask(&ben, post).await.is_ok(), "a retry of what it took");
}

#[tokio::test]
async fn who_is_put_out_in_the_middle_gets_nothing_more() {
    let bench = Bench::new(Limits::default());
    let (ana, ben) = (player(0, 1), player(1, 1));
    let room = bench.in_session(&ana, 5).await;
    bench.admit(&ana, room, &ben, true).await.unwrap();
    let bytes = vec![7; 300_000];
    bench.upload(&ana, room, &bytes).await.unwrap();
    let request = GetBlob { room, id: BlobId::of(&bytes), offset: 0 };
    let mut download = bench.service.begin_download(ben.agent(), request).await.unwrap();
    assert!(bench.service.next_chunk(&mut download).await.unwrap().is_some());
    let mut told = bench.service.wake.listen(ben.agent());
    let pull = Pull { room, after: 1, limit: 100, bodies: true, wait_ms: Some(50_000) };
    let waits = bench.ask(&ben, Request::Pull(pull));
    let removes = bench.act(&ana, &ana, room, Op::Remove { agent: ben.agent() });
    let (waited, removed) = tokio::join!(waits, removes);
    assert_eq!((waited, removed), (Err(Refusal::not_found()), Ok(2)));
    assert_eq!(bench.service.next_chunk(&mut download).await, Err(Refusal::not_found()));
    assert_eq!(told.next().await, Event { event: Event::ROOMS.into(), room: Some(room) });
}

#[tokio::test]
async fn the_chain_outlives_the_messages_around_it() {
    let limits = Limits { message_days: 1, messages_kept_min: 1, ..Limits::default() };
    let bench = Bench::new(limits);
    let (ana, ben, cy) = (player(0, 1), player(1, 1), player(2, 1));
    let room = bench.in_session(&ana, 5).await;
    bench.admit(&ana, room, &ben, true).await.unwrap();
    bench.say(&ana, room, 1, &[]).await.unwrap();
    let mut header = ben.message(room, 1, bench.end(&ben, room).await, HELLO, &[]).statement().clone();
    header.leave = true;
    let leaves = Post { room, message: sign(&ben.key, header).signed().clone(), body: HELLO.into() };
    bench.ask(&ben, Request::Post(leaves.clone())).await.unwrap();
    let before = bench.chain(&ana, room).await.unwrap();
    bench.clock.advance(DAY + 1);
    bench.say(&ana, room, 2, &[]).await.unwrap();
    janitor::expire(&bench.service).await.unwrap();
    assert_eq!(code(bench.pull(&ana, room, 2).await), Code::Pruned);
    assert_eq!(bench.pull(&ana, room, 3).await.unwrap().base.seq, 3);
    assert_eq!(bench.chain(&ana, room).await.unwrap(), before);
    let again = answered!(bench.ask(&ben, Request::Post(leaves)), Post);
    assert_eq!(again.unwrap().seq, 3);
    // An act that names a point which is not kept any more is as stale as a head.
    let end = before.end;
    let old = ana.act(room, end, admit(cy.agent(), LogPoint::start(room), true, None));
    let refused = bench.hand_on(&ana, &old).await.unwrap_err();
    assert_eq!((refused.code, refused.base.map(|base| base.seq)), (Code::Stale, Some(3)));
}

#[tokio::test]
async fn a_page_of_rooms_has_so_many_and_goes_on() {
    let bench = Bench::new(Limits::default());
    let ana = player(0, 1);
    bench.at_home(&ana).await;
    for number in 0..70 {
        let genesis = ana.session(number).signed().clone();
        bench.ask(&ana, Request::OpenRoom(OpenRoom { genesis })).await.unwrap();
    }
    let page = async |after| {
        let list = Request::Rooms(Rooms { after, reader: None });
        answered!(bench.ask(&ana, list), Rooms).unwrap()
    };
    let first = page(None).await;
    let second = page(first.rooms.last().map(|row| row.room)).await;
    assert_eq!((first.rooms.len(), first.more, second.rooms.len(), second.more), (64, true, 7, false));
    let ids: Vec<_> = first.rooms.iter().chain(&second.rooms).map(|row| row.room).collect();
    assert!(ids.is_sorted() && first.rooms[0].cursor.is_none() && first.rooms[0].pending == Some(0));
}

#[tokio::test]
async fn the_chain_comes_in_pages() {
    let bench = Bench::new(Limits::default());
    let ana = player(0, 1);
    let room = bench.in_session(&ana, 5).await;
    for number in 0..9 {
        let agents = vec![player(3, number).agent(); 64];
        bench.act(&ana, &ana, room, Op::Deny { agents }).await.unwrap();
    }
    let limit = PageLimit { entries_max: 100, bytes_max: 12_000, bodies: true };
    let page = bench.service.store.chain(ana.agent(), room, 0, limit).await.unwrap();
    assert_eq!((page.entries.len(), page.more, page.end.n), (2, true, 9));
    let page = bench.service.store.chain(ana.agent(), room, 7, limit).await.unwrap();
    assert_eq!((page.entries.len(), page.more), (2, false));
    let refused = bench.service.store.chain(player(3, 1).agent(), room, 7, limit).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
}
