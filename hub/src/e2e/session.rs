//! Sessions over real sockets: a key that is all a joiner needs, hints, and what becomes of who is put out in the middle.

use std::path::Path;
use std::time::Duration;

use protocol::conn::client::{ClientFault, ClientOutput};
use protocol::frame::{
    Answer, Append, Chain, Event, JoinStanding, JoinState, JoinerState, OpenRoom, PutKey, Request, Requests,
    Rooms,
};
use protocol::id::{BlobId, Digest, RoomId};
use protocol::key::{InviteKey, JoinKey};
use protocol::refusal::{Refusal, RefusalCode};
use protocol::room::room_id;
use protocol::signed::sign;
use protocol::statement::{Key, LogPoint, Op};

use super::peer::{Peer, Running, config, start};
use super::{LONG, local, noise, place};
use crate::Config;
use crate::cast::{Player, admit, invite, player};
use crate::clock::{Clock as _, SystemClock};

const SECRET: &str = "gpj1-0123456789abcdefghijklmnop";
const DAY: i64 = 24 * 3600 * 1000;

impl Peer {
    /// Opens the first session of its user, with a key that admits five for a day.
    async fn open_session(&mut self, owner: &Player, key: &InviteKey) -> RoomId {
        let genesis = owner.session(1);
        self.ask(Request::OpenRoom(OpenRoom { genesis: genesis.signed().clone() })).await.unwrap();
        let room = room_id(&genesis);
        let (issued, made) = (SystemClock.now(), owner.key_to(room, key.public(), DAY, 5));
        let key = Key { issued, expires: issued + DAY, ..made.statement().clone() };
        let key = sign(&owner.user, key).signed().clone();
        self.ask(Request::PutKey(PutKey { key })).await.unwrap();
        room
    }

    async fn join(&mut self, joiner: &Player, room: RoomId, key: &InviteKey) -> Result<Digest, Refusal> {
        let ask = Box::new(joiner.asks(room, key, SystemClock.now()));
        match self.ask(Request::Join(ask)).await? {
            Answer::Join(asked) => Ok(asked.request),
            other => panic!("{other:?}"),
        }
    }

    async fn state(&mut self, request: Digest, wait: Duration) -> Result<JoinStanding, Refusal> {
        let wait_ms = Some(wait.as_millis().try_into().unwrap());
        match self.ask(Request::JoinState(JoinState { request, wait_ms })).await? {
            Answer::JoinState(standing) => Ok(standing),
            other => panic!("{other:?}"),
        }
    }

    async fn act(
        &mut self,
        owner: &Player,
        room: RoomId,
        op: impl FnOnce(LogPoint) -> Op,
    ) -> Result<u64, Refusal> {
        let Answer::Chain(chain) = self.ask(Request::Chain(Chain { room, after: 0 })).await? else {
            panic!()
        };
        let Answer::Rooms(list) = self.ask(Request::Rooms(Rooms::default())).await? else { panic!() };
        let at = list.rooms.iter().find(|row| row.room == room).unwrap().end;
        let membership = owner.act(room, chain.end, op(at)).signed().clone();
        match self.ask(Request::Append(Append { room, membership })).await? {
            Answer::Append(appended) => Ok(appended.seq),
            other => panic!("{other:?}"),
        }
    }

    /// Waits for a hint.
    async fn event(&mut self) -> Event {
        loop {
            match self.next().await {
                ClientOutput::Event(event) => return event,
                ClientOutput::Closed(fault) => panic!("{fault}"),
                _ => {}
            }
        }
    }
}

fn hint(event: &str, room: RoomId) -> Event {
    Event { event: event.into(), room: Some(room) }
}

/// A closed hub, whose join secret only its owners know.
async fn closed(place: &Path) -> (Running, JoinKey) {
    let key = JoinKey::from_join_secret(SECRET);
    (start(Config { join: Some(key.public()), ..config(place) }).await, key)
}

#[tokio::test]
async fn a_session_key_is_all_that_a_joiner_needs_at_a_closed_hub() {
    let place = place();
    let (hub, secret) = closed(place.path()).await;
    let (ana, twin, ben) = (player(0, 1), player(0, 2), player(1, 1));
    let with_secret = async |player| {
        let secret = secret.clone();
        Peer::connect(&hub.socket, player, |config| config.join = Some(secret)).await.unwrap()
    };
    let mut owner = with_secret(&ana).await;
    let room = owner.open_session(&ana, &invite(0)).await;
    // Another key, or none, opens nothing.
    for key in [None, Some(invite(1))] {
        let refused = Peer::connect(&hub.socket, &ben, |config| config.invite = key).await.err();
        assert_eq!(refused, Some(ClientFault::NoPass));
    }
    let mut joiner =
        Peer::connect(&hub.socket, &ben, |config| config.invite = Some(invite(0))).await.unwrap();
    let genesis = ben.home().signed().clone();
    let elsewhere = joiner.ask(Request::OpenRoom(OpenRoom { genesis })).await;
    assert_eq!(elsewhere, Err(Refusal::not_found()));
    assert_eq!(joiner.pull(room, 0, LONG).await, Err(Refusal::not_found()));
    let request = joiner.join(&ben, room, &invite(0)).await.unwrap();
    assert_eq!(owner.event().await, hint(Event::REQUESTS, room));
    // A seat that logs in while somebody waits is told before anything else.
    let mut later = with_secret(&twin).await;
    assert_eq!(later.event().await, hint(Event::REQUESTS, room));
    let Ok(Answer::Requests(list)) = later.ask(Request::Requests(Requests { room, after: None })).await
    else {
        panic!("a list")
    };
    assert_eq!(list.requests.len(), 1);
    let waits = tokio::spawn(async move {
        let standing = joiner.state(request, LONG).await.unwrap();
        (standing, joiner)
    });
    later.act(&twin, room, |at| admit(ben.agent(), at, true, Some(invite(0).public()))).await.unwrap();
    let (standing, mut joiner) = waits.await.unwrap();
    assert_eq!((standing.state, standing.genesis.is_some()), (JoinerState::Member, true));
    assert_eq!(joiner.event().await, hint(Event::ROOMS, room));
    assert_eq!(joiner.pull(room, 0, LONG).await.unwrap().entries.len(), 1);
    hub.stop().await.unwrap();
    // Who is in a room needs no pass any more, and all of it is still there.
    let (hub, _) = closed(place.path()).await;
    let mut member = Peer::connect(&hub.socket, &ben, |_| {}).await.unwrap();
    assert_eq!(member.pull(room, 0, LONG).await.unwrap().entries.len(), 1);
    assert_eq!(member.state(request, Duration::ZERO).await.unwrap().state, JoinerState::Member);
    // It is a guest, and opens nothing of its own: so it cannot stay once it is put out.
    let genesis = ben.home().signed().clone();
    let refused = member.ask(Request::OpenRoom(OpenRoom { genesis: genesis.clone() })).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::LoginRefused);
    assert!(member.ask(Request::Rooms(Rooms::default())).await.is_ok());
    // Put out of its only room it may ask again, and no more.
    let secret = JoinKey::from_join_secret(SECRET);
    let mut owner = Peer::connect(&hub.socket, &ana, |config| config.join = Some(secret)).await.unwrap();
    owner.act(&ana, room, |_| Op::Remove { agent: ben.agent() }).await.unwrap();
    assert_eq!(member.ask(Request::OpenRoom(OpenRoom { genesis })).await, Err(Refusal::not_found()));
    assert_eq!(Peer::connect(&hub.socket, &ben, |_| {}).await.err(), Some(ClientFault::NoPass));
    let mut joiner =
        Peer::connect(&hub.socket, &ben, |config| config.invite = Some(invite(0))).await.unwrap();
    assert_eq!(joiner.state(request, Duration::ZERO).await.unwrap().state, JoinerState::Removed);
    assert_ne!(joiner.join(&ben, room, &invite(0)).await.unwrap(), request);
    assert_eq!(joiner.ask(Request::Rooms(Rooms::default())).await, Err(Refusal::not_found()));
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn a_member_that_is_put_out_in_the_middle_gets_no_more() {
    let place = place();
    let hub = local(place.path()).await;
    let (ana, ben) = (player(0, 1), player(1, 1));
    let mut owner = hub.connect(&ana).await;
    let room = owner.open_session(&ana, &invite(0)).await;
    owner.act(&ana, room, |at| admit(ben.agent(), at, true, None)).await.unwrap();
    let bytes = noise(8 << 20, 1);
    owner.upload(room, &bytes).await.unwrap();
    let mut member = hub.connect(&ben).await;
    let mut waiting = hub.connect(&ben).await;
    let waits = tokio::spawn(async move { waiting.pull(room, 1, LONG).await });
    let get = protocol::frame::GetBlob { room, id: BlobId::of(&bytes), offset: 0 };
    let download = member.send_request(&Request::GetBlob(get)).await;
    let ClientOutput::Go(..) = member.next().await else { panic!("the download begins") };
    // It does not read on meanwhile, so that most of the blob is still at the hub.
    owner.act(&ana, room, |_| Op::Remove { agent: ben.agent() }).await.unwrap();
    assert_eq!(waits.await.unwrap(), Err(Refusal::not_found()));
    let mut brought = 0;
    let outcome = loop {
        match member.next().await {
            ClientOutput::Chunk(_, chunk) => brought += chunk.len(),
            ClientOutput::Answered(id, outcome) if id == download => break outcome,
            ClientOutput::Closed(fault) => panic!("{fault}"),
            _ => {}
        }
    };
    assert_eq!(outcome, Err(Refusal::not_found()));
    assert!(brought < bytes.len() / 2, "{brought} bytes");
    assert_eq!(member.pull(room, 0, LONG).await, Err(Refusal::not_found()));
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn a_seat_whose_user_takes_the_word_back_is_out() {
    let place = place();
    let hub = local(place.path()).await;
    let (ana, twin) = (player(0, 1), player(0, 2));
    let mut owner = hub.connect(&ana).await;
    let room = owner.open_session(&ana, &invite(0)).await;
    let now = SystemClock.now();
    let login = async |issued, expires| {
        let word = twin.seat(issued, expires).signed().clone();
        Peer::connect(&hub.socket, &twin, |config| config.seat = Some(word)).await.unwrap()
    };
    let mut seat = login(now - 10_000, now + DAY).await;
    assert!(seat.pull(room, 0, Duration::ZERO).await.is_ok());
    login(now - 5000, now - 5000).await;
    assert_eq!(seat.pull(room, 0, Duration::ZERO).await, Err(Refusal::not_found()));
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn two_seats_of_an_owner_decide_at_once_and_one_does() {
    let place = place();
    let hub = local(place.path()).await;
    let (ana, twin, ben) = (player(0, 1), player(0, 2), player(1, 1));
    let mut one = hub.connect(&ana).await;
    let room = one.open_session(&ana, &invite(0)).await;
    let mut two = hub.connect(&twin).await;
    let at = LogPoint::start(room);
    let end = protocol::room::ChainEnd { n: 0, digest: room.into() };
    let lets_in = ana.act(room, end, admit(ben.agent(), at, true, None)).signed().clone();
    let denies = twin.act(room, end, Op::Deny { agents: vec![ben.agent()] }).signed().clone();
    let (first, second) = tokio::join!(
        one.ask(Request::Append(Append { room, membership: lets_in })),
        two.ask(Request::Append(Append { room, membership: denies })),
    );
    let (Ok(Answer::Append(taken)), Err(refused)) =
        (if first.is_ok() { (first, second) } else { (second, first) })
    else {
        panic!("one is taken and the other not")
    };
    let Ok(Answer::Chain(chain)) = one.ask(Request::Chain(Chain { room, after: 0 })).await else { panic!() };
    assert_eq!((taken.seq, refused.code), (1, RefusalCode::Conflict));
    assert_eq!((chain.end.n, refused.chain.as_deref()), (1, Some(&chain.end)));
    hub.stop().await.unwrap();
}
