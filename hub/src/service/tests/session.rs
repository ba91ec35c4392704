//! Sessions: keys, requests to join, owners' acts, and what members get of them.

use protocol::frame::{
    Append, Chain, ChainPage, JoinStanding, JoinState, JoinerState, OpenRoom, Post, Posted, Pull, Pulled,
    PutKey, RequestList, Requests, RevokeKey,
};
use protocol::key::HubKey;
use protocol::room::{check_admission, check_request};
use protocol::statement::{Join, Op};

use super::*;
use crate::cast::{admit, invite};

const DAY: i64 = 24 * 3600 * 1000;

macro_rules! answered {
    ($answer:expr, $kind:ident) => {
        $answer.await.map(|answer| match answer {
            Answer::$kind(answer) => answer,
            other => panic!("{other:?}"),
        })
    };
}

mod asking;
mod inside;
mod model;

impl Bench {
    /// Logs the owner in and opens a session.
    async fn open_session(&self, owner: &Player) -> RoomId {
        self.note_seat(owner, SEAT_MS).await;
        let genesis = owner.session(1);
        let request = Request::OpenRoom(OpenRoom { genesis: genesis.signed().clone() });
        self.ask(owner, request).await.unwrap();
        protocol::room::room_id(&genesis)
    }

    /// Opens a session and makes the key `0` known, which admits `max_uses`.
    async fn in_session(&self, owner: &Player, max_uses: u64) -> RoomId {
        let room = self.open_session(owner).await;
        self.put_key(owner, room, 0, max_uses).await.unwrap();
        room
    }

    async fn put_key(
        &self,
        owner: &Player,
        room: RoomId,
        number: u8,
        max_uses: u64,
    ) -> Result<Answer, Refusal> {
        let key = owner.key_to(room, invite(number).public(), DAY, max_uses).signed().clone();
        self.ask(owner, Request::PutKey(PutKey { key })).await
    }

    async fn join(&self, player: &Player, room: RoomId, key: u8) -> Result<Digest, Refusal> {
        let ask = player.asks(room, &invite(key), crate::clock::Clock::now(&*self.clock));
        self.hand_in(player, ask).await
    }

    async fn hand_in(&self, player: &Player, ask: protocol::frame::AskToJoin) -> Result<Digest, Refusal> {
        let asked = answered!(self.ask(player, Request::Join(Box::new(ask))), Join);
        asked.map(|asked| asked.request)
    }

    async fn state(&self, player: &Player, request: Digest) -> Result<JoinStanding, Refusal> {
        answered!(self.ask(player, Request::JoinState(JoinState { request, wait_ms: None })), JoinState)
    }

    async fn chain(&self, player: &Player, room: RoomId) -> Result<ChainPage, Refusal> {
        answered!(self.ask(player, Request::Chain(Chain { room, after: 0 })), Chain)
    }

    async fn requests(&self, player: &Player, room: RoomId) -> Result<RequestList, Refusal> {
        answered!(self.ask(player, Request::Requests(Requests { room, after: None })), Requests)
    }

    async fn pull(&self, player: &Player, room: RoomId, after: u64) -> Result<Pulled, Refusal> {
        let pull = Pull { room, after, limit: 100, bodies: true, wait_ms: None };
        answered!(self.ask(player, Request::Pull(pull)), Pull)
    }

    /// Posts a hello behind the newest point that the player may read.
    async fn say(&self, player: &Player, room: RoomId, n: u64, blobs: &[BlobId]) -> Result<Posted, Refusal> {
        let head = self.end(player, room).await;
        let message = player.message(room, n, head, HELLO, blobs).signed().clone();
        answered!(self.ask(player, Request::Post(Post { room, message, body: HELLO.into() })), Post)
    }

    async fn end(&self, player: &Player, room: RoomId) -> LogPoint {
        let rooms = self.service.store.rooms(player.agent(), None, None, 64).await.unwrap().rooms;
        rooms.iter().find(|row| row.room == room).map_or(LogPoint::start(room), |row| row.end)
    }

    /// Signs the owner's next act and hands it in from the connection of `caller`.
    async fn act(&self, caller: &Player, owner: &Player, room: RoomId, op: Op) -> Result<u64, Refusal> {
        let end = self.chain(owner, room).await?.end;
        let membership = owner.act(room, end, op).signed().clone();
        let appended = answered!(self.ask(caller, Request::Append(Append { room, membership })), Append);
        appended.map(|appended| appended.seq)
    }

    async fn admit(
        &self,
        owner: &Player,
        room: RoomId,
        player: &Player,
        history: bool,
    ) -> Result<u64, Refusal> {
        let at = self.end(owner, room).await;
        let op = admit(player.agent(), at, history, Some(invite(0).public()));
        self.act(owner, owner, room, op).await
    }
}

#[tokio::test]
async fn a_joiner_is_let_in_and_has_the_backlog() {
    let bench = Bench::new(Limits::default());
    let (ana, ben) = (player(0, 1), player(1, 1));
    let room = bench.in_session(&ana, 1).await;
    bench.say(&ana, room, 1, &[]).await.unwrap();
    let request = bench.join(&ben, room, 0).await.unwrap();
    assert_eq!(bench.state(&ben, request).await.unwrap().state, JoinerState::Pending);
    let list = bench.requests(&ana, room).await.unwrap();
    let [asked] = &list.requests[..] else { panic!("{list:?}") };
    let checked = check_request(asked, hub_id(), room, ana.user.public(), START).unwrap();
    assert_eq!((checked.request, checked.agent), (request, ben.agent()));
    assert_eq!((list.keys.len(), list.keys[0].uses), (1, 0));
    bench.admit(&ana, room, &ben, true).await.unwrap();
    let standing = bench.state(&ben, request).await.unwrap();
    let entries = bench.chain(&ben, room).await.unwrap().entries;
    let genesis = standing.genesis.unwrap();
    let (_, admission) = check_admission(room.room12(), hub_id(), &ben.agent(), genesis, entries).unwrap();
    assert_eq!((admission.floor, admission.at.seq), (0, 1));
    let page = bench.pull(&ben, room, 0).await.unwrap();
    assert_eq!((page.entries.len(), page.seats.len()), (2, 1));
    assert_eq!(bench.say(&ben, room, 1, &[]).await.unwrap().seq, 3);
    let list = bench.requests(&ana, room).await.unwrap();
    assert_eq!((list.requests.len(), list.keys[0].uses), (0, 1));
    // The answer may have been lost, and the key is used up by now.
    assert_eq!(bench.join(&ben, room, 0).await, Ok(request));
}

#[tokio::test]
async fn whatever_is_wrong_with_a_key_is_answered_alike() {
    let bench = Bench::new(Limits::default());
    let (ana, ben, eve) = (player(0, 1), player(1, 1), player(2, 1));
    let room = bench.in_session(&ana, 1).await;
    for number in 1..=3 {
        bench.put_key(&ana, room, number, 1).await.unwrap();
    }
    let refused = async |ask| bench.hand_in(&eve, ask).await.unwrap_err();
    let wrong = |change: &dyn Fn(&mut Join)| {
        let mut join = eve.asks(room, &invite(1), START).join.verify().unwrap().statement().clone();
        change(&mut join);
        eve.signs(join, &invite(1))
    };
    let mut refusals = vec![
        refused(eve.asks(room, &invite(9), START)).await,
        refused(wrong(&|join| join.room12 = ana.room().room12())).await,
        refused(wrong(&|join| join.hub = HubKey::from_seed(&[9; 32]).public())).await,
    ];
    // Used up, revoked, of somebody denied, expired, of a closed room.
    bench.admit(&ana, room, &ben, true).await.unwrap();
    refusals.push(refused(eve.asks(room, &invite(0), START)).await);
    let revoke = Request::RevokeKey(RevokeKey { room, invite: invite(2).public() });
    bench.ask(&ana, revoke).await.unwrap();
    refusals.push(refused(eve.asks(room, &invite(2), START)).await);
    bench.act(&ana, &ana, room, Op::Deny { agents: vec![eve.agent()] }).await.unwrap();
    refusals.push(refused(eve.asks(room, &invite(1), START)).await);
    let other = player(2, 2);
    bench.clock.advance(DAY);
    refusals.push(bench.join(&other, room, 1).await.unwrap_err());
    let key = ana.key_to(room, invite(4).public(), 2 * DAY, 1).signed().clone();
    bench.ask(&ana, Request::PutKey(PutKey { key })).await.unwrap();
    let waits = bench.join(&other, room, 4).await.unwrap();
    bench.act(&ana, &ana, room, Op::Close).await.unwrap();
    refusals.push(bench.join(&other, room, 4).await.unwrap_err());
    refusals.push(bench.state(&other, waits).await.unwrap_err());
    for (number, refusal) in refusals.into_iter().enumerate() {
        assert_eq!(refusal, Refusal::key_refused(), "case {number}");
    }
}
