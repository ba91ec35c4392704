//! Sessions, as every store keeps them: who is in, what they read, and who asks.

use protocol::conn::hub::{Access, PassQuestion};
use protocol::frame::{JoinerState, RequestList};
use protocol::id::Digest;
use protocol::key::{InviteId, UserId};
use protocol::room::{ActError, ChainEnd, room_id};
use protocol::signed::{Verified, sign};
use protocol::statement::{Message, Op};

use super::*;
use crate::cast::{admit, invite};
use crate::store::{Acted, Ask, RequestLimits};

const LIMITS: RequestLimits = RequestLimits { per_address_max: 3, per_key_max: 20, kept_ms: 1000 };

suite! {
    who_is_let_in_is_in_until_put_out,
    an_act_is_taken_once_and_in_its_place,
    the_chain_stays_below_the_base,
    a_floor_hides_what_is_below,
    the_owner_does_not_leave,
    who_is_in_needs_no_key_that_lives,
    a_request_is_on_file_until_it_is_decided,
}

/// Logs the owner in and opens a session with a key for two.
async fn in_session(store: &impl Store, owner: &Player) -> RoomId {
    store.note_seat(owner.seat(START, START + SEAT_MS)).await.unwrap();
    let genesis = owner.session(1);
    let room = room_id(&genesis);
    assert!(store.open_room(owner.agent(), genesis, 256).await.unwrap().1);
    let key = owner.key_to(room, invite(0).public(), SEAT_MS, 2);
    store.put_key(owner.agent(), key, 64).await.unwrap();
    room
}

async fn act(store: &impl Store, owner: &Player, room: RoomId, op: Op) -> Result<Acted, StoreError> {
    let end = store.chain(owner.agent(), room, 0, ALL).await.unwrap().end;
    store.append(owner.agent(), owner.act(room, end, op), 256).await
}

async fn end(store: &impl Store, owner: &Player, room: RoomId) -> LogPoint {
    let rooms = store.rooms(owner.agent(), None, None, 9).await.unwrap().rooms;
    rooms.iter().find(|row| row.room == room).unwrap().end
}

async fn let_in(
    store: &impl Store,
    owner: &Player,
    room: RoomId,
    player: &Player,
    history: bool,
    key: Option<InviteId>,
) {
    let at = end(store, owner, room).await;
    let acted = act(store, owner, room, admit(player.agent(), at, history, key)).await.unwrap();
    assert_eq!((acted.seq, acted.told), (at.seq + 1, Some(player.agent())));
}

/// Posts behind the end of the log.
async fn say(
    store: &impl Store,
    owner: &Player,
    room: RoomId,
    player: &Player,
    n: u64,
    blobs: &[BlobId],
) -> Result<u64, StoreError> {
    let head = end(store, owner, room).await;
    let message = player.message(room, n, head, &body(n), blobs);
    store.post(player.agent(), message, body(n), MINUTE_MAX).await.map(|landed| landed.seq)
}

fn leaves(player: &Player, room: RoomId, n: u64, head: LogPoint) -> Verified<Message> {
    let mut header = player.message(room, n, head, &body(n), &[]).statement().clone();
    header.leave = true;
    sign(&player.key, header)
}

fn ask(player: &Player, room: RoomId, asked: i64) -> Ask {
    let asks = player.asks(room, &invite(0), asked);
    Ask { join: asks.join.verify().unwrap(), ask: asks.ask, seat: None, address: "192.0.2.1".into() }
}

async fn who_is_let_in_is_in_until_put_out(store: &impl Store, _: &ManualClock) {
    let (ana, twin, ben) = (player(0, 1), player(0, 2), player(1, 1));
    let room = in_session(store, &ana).await;
    let pass_of = async |player: &Player, user: Option<UserId>| {
        let question = PassQuestion { agent: player.agent(), user, invite: Some(invite(0).public()) };
        store.pass(question).await.unwrap()
    };
    let pass = async |player: &Player| pass_of(player, Some(player.user.public())).await;
    assert_eq!(pass(&ben).await, Some(Access::Join(invite(0).public())));
    let_in(store, &ana, room, &ben, true, None).await;
    assert_eq!(pass(&ben).await, Some(Access::Guest));
    assert_eq!(pass(&ana).await, Some(Access::Full));
    assert_eq!(pass_of(&ana, None).await, Some(Access::Full));
    // The word of somebody else makes no seat of theirs of it.
    assert_eq!(pass_of(&ana, Some(ben.user.public())).await, Some(Access::Guest));
    assert_eq!(say(store, &ana, room, &ben, 1, &[]).await.unwrap(), 2);
    let page = store.pull(ben.agent(), room, 0, ALL).await.unwrap();
    assert_eq!((page.entries.len(), page.seats.len()), (2, 0));
    let rooms = store.rooms(ben.agent(), None, Some("cli".into()), 9).await.unwrap().rooms;
    assert_eq!((rooms.len(), rooms[0].cursor, rooms[0].pending), (1, Some(0), None));
    assert!(matches!(store.requests(ben.agent(), room, None, 9).await, Err(StoreError::NotOwner)));
    act(store, &ana, room, Op::Remove { agent: ben.agent() }).await.unwrap();
    // A seat of the owner is put out as well, by the word that is kept of it.
    store.note_seat(twin.seat(START, START + SEAT_MS)).await.unwrap();
    assert!(store.pull(twin.agent(), room, 0, ALL).await.is_ok());
    act(store, &ana, room, Op::Remove { agent: twin.agent() }).await.unwrap();
    for out in [&ben, &twin] {
        assert!(matches!(store.pull(out.agent(), room, 0, ALL).await, Err(StoreError::NotFound)));
        assert!(matches!(store.chain(out.agent(), room, 0, ALL).await, Err(StoreError::NotFound)));
        assert!(store.rooms(out.agent(), None, None, 9).await.unwrap().rooms.is_empty());
    }
    let again = act(store, &ana, room, Op::Remove { agent: twin.agent() }).await;
    assert!(matches!(again, Err(StoreError::Act(ActError::NotMember))), "{again:?}");
}

async fn an_act_is_taken_once_and_in_its_place(store: &impl Store, _: &ManualClock) {
    let (ana, ben, eve) = (player(0, 1), player(1, 1), player(2, 1));
    let room = in_session(store, &ana).await;
    let at = LogPoint::start(room);
    let first = ana.act(room, ChainEnd { n: 0, digest: room.into() }, admit(ben.agent(), at, true, None));
    assert_eq!(store.append(eve.agent(), first.clone(), 256).await.unwrap().seq, 1);
    let again = store.append(ana.agent(), first.clone(), 256).await.unwrap();
    assert_eq!((again.seq, again.is_new, again.told), (1, false, None));
    let end = ChainEnd { n: 1, digest: first.digest() };
    assert_eq!(store.chain(ben.agent(), room, 0, ALL).await.unwrap().end, end);
    for wrong in [
        ChainEnd { n: 0, digest: room.into() },
        ChainEnd { n: 2, ..end },
        ChainEnd { digest: Digest::of(b"elsewhere"), ..end },
    ] {
        let other = ana.act(room, wrong, Op::Deny { agents: vec![eve.agent()] });
        let refused = store.append(ana.agent(), other.clone(), 256).await;
        assert!(matches!(refused, Err(StoreError::BrokenChain { end: now }) if now == end), "{refused:?}");
        assert!(matches!(store.append(eve.agent(), other, 256).await, Err(StoreError::NotFound)));
    }
    let elsewhere = ana.act(player(3, 1).room(), end, Op::Close);
    assert!(matches!(store.append(ana.agent(), elsewhere, 256).await, Err(StoreError::NotFound)));
    act(store, &ana, room, Op::Close).await.unwrap();
    assert!(matches!(say(store, &ana, room, &ben, 1, &[]).await, Err(StoreError::Closed)));
    assert!(matches!(act(store, &ana, room, Op::Close).await, Err(StoreError::Closed)));
}

async fn the_chain_stays_below_the_base(store: &impl Store, clock: &ManualClock) {
    let (ana, ben) = (player(0, 1), player(1, 1));
    let room = in_session(store, &ana).await;
    let_in(store, &ana, room, &ben, true, None).await;
    say(store, &ana, room, &ana, 1, &[]).await.unwrap();
    let message = leaves(&ben, room, 1, LogPoint::start(room));
    let left = store.post(ben.agent(), message.clone(), body(1), MINUTE_MAX).await.unwrap();
    for n in 2..=4 {
        say(store, &ana, room, &ana, n, &[]).await.unwrap();
    }
    let before = store.chain(ana.agent(), room, 0, ALL).await.unwrap();
    assert_eq!(before.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, left.seq]);
    clock.advance(1001);
    assert_eq!(store.expire(RETENTION).await.unwrap().entries, 3);
    assert_eq!(store.expire(RETENTION).await.unwrap().entries, 0);
    let refused = store.pull(ana.agent(), room, 2, ALL).await;
    assert!(matches!(refused, Err(StoreError::Pruned { base }) if base.seq == 3), "{refused:?}");
    assert_eq!(store.pull(ana.agent(), room, 3, ALL).await.unwrap().entries.len(), 3);
    assert_eq!(store.chain(ana.agent(), room, 0, ALL).await.unwrap(), before);
    let again = store.post(ben.agent(), message, body(1), MINUTE_MAX).await.unwrap();
    assert_eq!((again.seq, again.is_new), (left.seq, false));
    let other = leaves(&ben, room, 2, LogPoint::start(room));
    let refused = store.post(ben.agent(), other, body(2), MINUTE_MAX).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
}

async fn a_floor_hides_what_is_below(store: &impl Store, _: &ManualClock) {
    let (ana, ben) = (player(0, 1), player(1, 1));
    let room = in_session(store, &ana).await;
    let (old, new) = (BlobId::of(b"old"), BlobId::of(b"new"));
    for blob in [old, new] {
        store.bind_blob(ana.agent(), room, blob, 3).await.unwrap();
    }
    say(store, &ana, room, &ana, 1, &[old]).await.unwrap();
    let at = end(store, &ana, room).await;
    let_in(store, &ana, room, &ben, false, None).await;
    say(store, &ana, room, &ana, 2, &[new]).await.unwrap();
    let agent = ben.agent();
    let refused = store.pull(agent, room, 0, ALL).await;
    assert!(matches!(refused, Err(StoreError::Pruned { base }) if base == at), "{refused:?}");
    assert_eq!(store.pull(agent, room, 1, ALL).await.unwrap().base, at);
    let before = ben.message(room, 1, LogPoint::start(room), &body(1), &[]);
    let refused = store.post(agent, before, body(1), MINUTE_MAX).await;
    assert!(matches!(refused, Err(StoreError::Stale { base }) if base == at), "{refused:?}");
    let seen = store.handoffs(agent, room, None, 9).await.unwrap().references;
    assert_eq!(seen.iter().map(|row| row.blob).collect::<Vec<_>>(), [new]);
    assert!(store.find(agent, old.into(), 9).await.unwrap().references.is_empty());
    assert_eq!(store.may_get_blob(agent, room, new).await.unwrap(), 3);
    assert!(matches!(store.may_get_blob(agent, room, old).await, Err(StoreError::NotFound)));
    assert!(!store.may_put_blob(agent, room, old).await.unwrap());
    assert!(matches!(say(store, &ana, room, &ben, 1, &[old]).await, Err(StoreError::NotFound)));
    store.bind_blob(agent, room, old, 3).await.unwrap();
    assert!(store.may_put_blob(agent, room, old).await.unwrap());
    assert_eq!(say(store, &ana, room, &ben, 1, &[old]).await.unwrap(), 4);
    assert_eq!(store.ack(agent, room, "cli".into(), 0).await.unwrap(), 1);
}

async fn the_owner_does_not_leave(store: &impl Store, _: &ManualClock) {
    let ana = player(0, 1);
    let room = in_session(store, &ana).await;
    for room in [room, at_home(store, &ana).await] {
        let message = leaves(&ana, room, 1, LogPoint::start(room));
        let refused = store.post(ana.agent(), message, body(1), MINUTE_MAX).await;
        assert!(matches!(refused, Err(StoreError::OwnerStays)), "{refused:?}");
        assert_eq!(store.chain(ana.agent(), room, 0, ALL).await.unwrap().entries, []);
        assert_eq!(say(store, &ana, room, &ana, 1, &[]).await.unwrap(), 1);
    }
}

async fn who_is_in_needs_no_key_that_lives(store: &impl Store, clock: &ManualClock) {
    let (ana, ben, eve) = (player(0, 1), player(1, 1), player(2, 1));
    let room = in_session(store, &ana).await;
    let filed = store.join(ask(&ben, room, START), LIMITS).await.unwrap();
    let_in(store, &ana, room, &ben, true, Some(invite(0).public())).await;
    // The request is forgotten, and the key has expired.
    clock.advance(SEAT_MS);
    assert_eq!(store.expire(RETENTION).await.unwrap().requests, 1);
    let gone = store.join_state(ben.agent(), filed.request).await;
    assert!(matches!(gone, Err(StoreError::NotFound)), "{gone:?}");
    let again = store.join(ask(&ben, room, START + 1), LIMITS).await.unwrap();
    assert_eq!(again.owners, []);
    let look = store.join_state(ben.agent(), again.request).await.unwrap();
    assert_eq!(look.standing.state, JoinerState::Member);
    assert!(matches!(store.join(ask(&eve, room, START), LIMITS).await, Err(StoreError::KeyRefused)));
}

async fn a_request_is_on_file_until_it_is_decided(store: &impl Store, clock: &ManualClock) {
    let (ana, ben, cy) = (player(0, 1), player(1, 1), player(2, 1));
    let room = in_session(store, &ana).await;
    let filed = store.join(ask(&ben, room, START), LIMITS).await.unwrap();
    assert_eq!((filed.room, &filed.owners[..]), (room, &[ana.agent()][..]));
    let again = store.join(ask(&ben, room, START + 1), LIMITS).await.unwrap();
    assert_eq!((again.request, again.owners.len()), (filed.request, 0));
    clock.advance(500);
    let other = store.join(ask(&cy, room, START), LIMITS).await.unwrap();
    let list = async |after| store.requests(ana.agent(), room, after, 1).await.unwrap();
    let RequestList { requests, more, keys } = list(None).await;
    assert_eq!((requests.len(), requests[0].first_seen, more, keys.len()), (1, START, true, 1));
    let second = list(Some(filed.request)).await;
    assert_eq!((second.requests[0].first_seen, second.more, second.keys.len()), (START + 500, false, 0));
    assert_eq!(store.awaiting(ana.agent(), 9).await.unwrap(), [room]);
    let state = async |player: &Player, request| {
        store.join_state(player.agent(), request).await.map(|look| look.standing.state)
    };
    assert!(matches!(state(&cy, filed.request).await, Err(StoreError::NotFound)));
    let_in(store, &ana, room, &ben, true, Some(invite(0).public())).await;
    assert_eq!(state(&ben, filed.request).await.unwrap(), JoinerState::Member);
    assert_eq!(list(None).await.keys[0].uses, 1);
    clock.advance(500);
    // One is decided and kept as long again; the other goes on waiting until its time is up.
    assert_eq!(store.expire(RETENTION).await.unwrap().requests, 0);
    assert_eq!(state(&cy, other.request).await.unwrap(), JoinerState::Pending);
    clock.advance(500);
    assert_eq!(store.expire(RETENTION).await.unwrap().requests, 2);
    assert!(matches!(state(&cy, other.request).await, Err(StoreError::NotFound)));
    assert!(store.awaiting(ana.agent(), 9).await.unwrap().is_empty());
    store.revoke_key(ana.agent(), room, invite(0).public()).await.unwrap();
    assert!(matches!(store.join(ask(&cy, room, START), LIMITS).await, Err(StoreError::KeyRefused)));
}
