//! Both ends against each other: a virtual clock, a link that cuts at random points, and packets nobody should send.

mod hostile;

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::prelude::*;

use super::client::{ClientConfig, ClientEnd, ClientFault, ClientOutput, KnownHub};
use super::hub::{Access, CloseReason, HubConfig, HubEnd, HubOutput, PassQuestion};
use crate::frame::{Answer, Empty, GetBlob, Go, Packet, PutBlob, PutDone, Request, RequestId, Rooms};
use crate::id::{BlobId, Nonce, RoomId};
use crate::key::{AgentKey, HubKey, InviteKey, JoinKey, UserKey};
use crate::limits::Limits;
use crate::refusal::RefusalCode;
use crate::signed::sign;
use crate::statement::Seat;

/// A hub that stages one blob and a client that wants it there, over a link with a budget of bytes.
struct Pair {
    hub: HubEnd,
    client: ClientEnd,
    to_hub: VecDeque<Packet>,
    to_client: VecDeque<Packet>,
    now: i64,
    closed: Option<CloseReason>,
    fault: Option<ClientFault>,
    logged_in: bool,
    /// What the store would say of who has no join key, and what it was asked.
    answer: Option<Access>,
    questions: Vec<PassQuestion>,
    access: Option<Access>,
}

fn hub_config(join: Option<&JoinKey>) -> Arc<HubConfig> {
    Arc::new(HubConfig {
        key: HubKey::from_seed(&[1; 32]),
        origins: vec!["local".into()],
        join: join.map(JoinKey::public),
        limits: Limits::default(),
    })
}

fn client_config(join: Option<JoinKey>) -> ClientConfig {
    let key = AgentKey::from_seed(&[3; 32]);
    let seat = Seat { seat: key.public(), name: "ana/app".into(), issued: 0, expires: 1_000_000 };
    ClientConfig {
        key,
        seat: Some(sign(&UserKey::from_seed(&[2; 32]), seat).signed().clone()),
        origin: "local".into(),
        known: None,
        join,
        invite: None,
        nonce: Nonce::from_bytes([8; 32]),
    }
}

impl Pair {
    fn new(hub: Arc<HubConfig>, client: ClientConfig) -> Self {
        Self {
            hub: HubEnd::new(hub, Nonce::from_bytes([7; 32]), 0),
            client: ClientEnd::new(client, 0),
            to_hub: VecDeque::new(),
            to_client: VecDeque::new(),
            now: 0,
            closed: None,
            fault: None,
            logged_in: false,
            answer: None,
            questions: Vec::new(),
            access: None,
        }
    }

    fn ready() -> Self {
        let mut pair = Self::new(hub_config(None), client_config(None));
        pair.settle();
        assert!(pair.logged_in);
        pair
    }

    /// Delivers packets both ways until nothing moves; returns the requests and chunks that reached the hub's driver and
    /// what reached the client's.
    fn settle(&mut self) -> (Vec<HubOutput>, Vec<ClientOutput>) {
        let (mut at_hub, mut at_client) = (Vec::new(), Vec::new());
        loop {
            while let Some(output) = self.hub.poll() {
                match output {
                    HubOutput::Send(packet) => self.to_client.push_back(packet),
                    HubOutput::Close(reason) => self.closed = Some(reason),
                    HubOutput::LoggedIn(identity) => self.access = Some(identity.access),
                    HubOutput::Pass(question) => {
                        self.questions.push(question);
                        self.hub.pass(self.answer);
                    }
                    other => at_hub.push(other),
                }
            }
            while let Some(output) = self.client.poll() {
                match output {
                    ClientOutput::Send(packet) => self.to_hub.push_back(packet),
                    ClientOutput::LoggedIn(_) => self.logged_in = true,
                    ClientOutput::Closed(fault) => self.fault = Some(fault),
                    other => at_client.push(other),
                }
            }
            if let Some(packet) = self.to_hub.pop_front() {
                self.hub.receive(packet, self.now);
            } else if let Some(packet) = self.to_client.pop_front() {
                self.client.receive(packet, self.now);
            } else {
                return (at_hub, at_client);
            }
        }
    }

    fn pass_time(&mut self, millis: i64) {
        self.now += millis;
        self.hub.tick(self.now);
        self.client.tick(self.now);
    }
}

fn put(size: u64) -> Request {
    Request::PutBlob(PutBlob { room: room(), id: BlobId::of(b""), size })
}

fn room() -> RoomId {
    RoomId::from_bytes([5; 32])
}

#[test]
fn a_client_with_the_join_secret_enters_a_closed_hub_and_no_other() {
    let key = JoinKey::from_join_secret("gpj1-abcdefghijklmnopqrstuvwxyz");
    let other = JoinKey::from_join_secret("gpj1-zyxwvutsrqponmlkjihgfedcba");
    let mut right = Pair::new(hub_config(Some(&key)), client_config(Some(key.clone())));
    right.settle();
    assert!(right.logged_in);
    let mut wrong = Pair::new(hub_config(Some(&key)), client_config(Some(other)));
    wrong.settle();
    assert_eq!(wrong.closed, Some(CloseReason::LoginRefused));
    assert!(
        matches!(&wrong.fault, Some(ClientFault::Refused(refusal)) if refusal.code == RefusalCode::LoginRefused)
    );
    let mut none = Pair::new(hub_config(Some(&key)), client_config(None));
    none.settle();
    assert_eq!(none.fault, Some(ClientFault::NoPass));
}

#[test]
fn every_login_that_does_not_hold_gets_the_same_answer() {
    let mut foreign_origin = client_config(None);
    foreign_origin.origin = "ws://other:7419".into();
    let mut foreign_seat = client_config(None);
    foreign_seat.key = AgentKey::from_seed(&[9; 32]);
    let mut answers = Vec::new();
    for config in [foreign_origin, foreign_seat] {
        let mut pair = Pair::new(hub_config(None), config);
        pair.settle();
        assert_eq!(pair.closed, Some(CloseReason::LoginRefused));
        answers.push(pair.fault);
    }
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn a_seat_statement_that_has_expired_reaches_the_hub() {
    let mut pair = Pair::new(hub_config(None), client_config(None));
    pair.now = 1_000_000;
    pair.settle();
    assert!(pair.logged_in, "by it a user ends a seat early");
}

#[test]
fn at_a_closed_hub_a_live_invite_or_a_room_stands_in_for_the_join_key() {
    let key = JoinKey::from_join_secret("gpj1-abcdefghijklmnopqrstuvwxyz");
    let invite = InviteKey::from_seed(&[6; 32]);
    // The secret of another hub is not offered where there is an invite of this one.
    let elsewhere = JoinKey::from_join_secret("gpj1-zyxwvutsrqponmlkjihgfedcba");
    for (offered, secret, answer, enters) in [
        (Some(invite.clone()), None, Some(Access::Join(invite.public())), true),
        (Some(invite.clone()), Some(elsewhere.clone()), Some(Access::Join(invite.public())), true),
        (Some(invite.clone()), None, None, false),
        (Some(invite), Some(elsewhere), None, false),
        (None, None, Some(Access::Guest), true),
        (None, None, None, false),
    ] {
        let config = ClientConfig { invite: offered.clone(), ..client_config(secret) };
        let mut pair = Pair::new(hub_config(Some(&key)), config);
        pair.answer = answer;
        pair.settle();
        let agent = AgentKey::from_seed(&[3; 32]).public();
        let user = Some(UserKey::from_seed(&[2; 32]).public());
        let asked = PassQuestion { agent, user, invite: offered.map(|key| key.public()) };
        assert_eq!((pair.questions.as_slice(), pair.logged_in, pair.access), (&[asked][..], enters, answer));
        assert_eq!(pair.fault, (!enters).then_some(ClientFault::NoPass));
    }
}

#[test]
fn nothing_is_heard_between_a_hello_and_its_answer() {
    let key = JoinKey::from_join_secret("gpj1-abcdefghijklmnopqrstuvwxyz");
    let mut hub = HubEnd::new(hub_config(Some(&key)), Nonce::from_bytes([7; 32]), 0);
    let mut client = ClientEnd::new(client_config(None), 0);
    let Some(HubOutput::Send(challenge)) = hub.poll() else { panic!("a challenge") };
    client.receive(challenge, 0);
    let Some(ClientOutput::Send(hello)) = client.poll() else { panic!("a hello") };
    hub.receive(hello.clone(), 0);
    assert!(matches!(hub.poll(), Some(HubOutput::Pass(_))));
    hub.receive(hello, 0);
    assert!(matches!(hub.poll(), Some(HubOutput::Close(CloseReason::BadFrame))));
    hub.pass(Some(Access::Full));
    assert!(hub.poll().is_none(), "it is over");
}

#[test]
fn a_changed_hub_key_stops_the_client_before_it_signs() {
    let mut config = client_config(None);
    config.known = Some(KnownHub { hub: HubKey::from_seed(&[4; 32]).public(), protocol: 1 });
    let mut pair = Pair::new(hub_config(None), config);
    pair.settle();
    assert!(matches!(pair.fault, Some(ClientFault::HubKeyChanged { .. })));
    assert!(pair.to_hub.is_empty() && pair.closed.is_none(), "the hub heard nothing");
}

#[test]
fn a_lower_protocol_level_than_before_stops_the_client() {
    let mut config = client_config(None);
    config.known = Some(KnownHub { hub: HubKey::from_seed(&[1; 32]).public(), protocol: 2 });
    let mut pair = Pair::new(hub_config(None), config);
    pair.settle();
    assert_eq!(pair.fault, Some(ClientFault::ProtocolLevel { offered: 1, expected: 2 }));
}

#[test]
fn a_login_relayed_from_another_hub_is_refused() {
    // The man in the middle shows its own challenge to the client and hands the login on to the real hub.
    let mut middle = HubEnd::new(
        Arc::new(HubConfig { key: HubKey::from_seed(&[6; 32]), ..(*hub_config(None)).clone() }),
        Nonce::from_bytes([7; 32]),
        0,
    );
    let mut real = HubEnd::new(hub_config(None), Nonce::from_bytes([7; 32]), 0);
    let mut client = ClientEnd::new(client_config(None), 0);
    let Some(HubOutput::Send(challenge)) = middle.poll() else { panic!("a challenge comes first") };
    client.receive(challenge, 0);
    let Some(ClientOutput::Send(hello)) = client.poll() else { panic!("the client answers") };
    real.receive(hello, 0);
    let outputs: Vec<_> = std::iter::from_fn(|| real.poll()).collect();
    assert!(matches!(outputs.last(), Some(HubOutput::Close(CloseReason::LoginRefused))), "{outputs:?}");
}

#[test]
fn a_silent_client_is_dropped() {
    let mut pair = Pair::new(hub_config(None), client_config(None));
    pair.hub.tick(4_999);
    assert!(pair.hub.deadline().is_some());
    pair.hub.tick(5_000);
    pair.settle();
    assert_eq!(pair.closed, Some(CloseReason::AuthenticationTimeout));
}

#[test]
fn a_silent_hub_is_given_up_after_a_sign_of_life_was_asked_for() {
    let mut pair = Pair::ready();
    pair.pass_time(30_000);
    let (_, answers) = pair.settle();
    assert!(answers.is_empty() && pair.fault.is_none(), "the ping was answered");
    pair.client.tick(60_000);
    assert!(matches!(pair.client.poll(), Some(ClientOutput::Send(_))));
    pair.client.tick(90_000);
    assert!(matches!(pair.client.poll(), Some(ClientOutput::Closed(ClientFault::Silent))));
}

#[test]
fn an_upload_without_progress_is_ended_and_frees_its_slot() {
    let mut pair = Pair::ready();
    let id = pair.client.request(&put(10)).expect("ready");
    pair.settle();
    pair.hub.go(id, Go { offset: 0, size: 10 }, pair.now);
    pair.settle();
    pair.now += 60_000;
    pair.hub.tick(pair.now);
    let (at_hub, at_client) = pair.settle();
    assert!(matches!(at_hub[..], [HubOutput::Cancelled(ended)] if ended == id));
    assert!(matches!(&at_client[..], [ClientOutput::Answered(ended, Err(_))] if *ended == id));
    pair.client.request(&put(10)).expect("ready");
    let (at_hub, _) = pair.settle();
    assert!(matches!(at_hub[..], [HubOutput::Request(..)]));
}

#[test]
fn one_upload_at_a_time_and_more_bytes_than_announced_end_it() {
    let mut pair = Pair::ready();
    let first = pair.client.request(&put(4)).expect("ready");
    let second = pair.client.request(&put(4)).expect("ready");
    let (_, answers) = pair.settle();
    assert!(matches!(&answers[..], [ClientOutput::Answered(id, Err(refusal))]
            if *id == second && refusal.code == RefusalCode::TooMany));
    pair.hub.go(first, Go { offset: 0, size: 4 }, 0);
    pair.settle();
    pair.to_hub.push_back(crate::frame::chunk_packet(first, b"12345"));
    let (at_hub, answers) = pair.settle();
    assert!(matches!(at_hub[..], [HubOutput::Cancelled(id)] if id == first));
    assert!(matches!(&answers[..], [ClientOutput::Answered(id, Err(_))] if *id == first));
}

#[test]
fn chunks_of_an_ended_transfer_are_dropped_up_to_a_limit() {
    let mut pair = Pair::ready();
    let id = pair.client.request(&put(1 << 30)).expect("ready");
    pair.settle();
    pair.hub.go(id, Go { offset: 0, size: 1 << 30 }, 0);
    pair.settle();
    pair.client.cancel(id).expect("ready");
    pair.settle();
    let chunk = vec![0; 256 * 1024];
    for _ in 0..8 {
        pair.to_hub.push_back(crate::frame::chunk_packet(id, &chunk));
    }
    let (at_hub, _) = pair.settle();
    assert!(at_hub.is_empty() && pair.closed.is_none());
    pair.to_hub.push_back(crate::frame::chunk_packet(id, b"1"));
    pair.settle();
    assert_eq!(pair.closed, Some(CloseReason::BadFrame));
}

#[test]
fn the_33rd_open_request_is_refused_and_numbers_rise() {
    let mut pair = Pair::ready();
    let find = Request::Rooms(Rooms::default());
    for _ in 0..32 {
        pair.client.request(&find).expect("a slot is free");
    }
    assert!(pair.client.request(&find).is_err());
    pair.settle();
    for id in [33, 32] {
        pair.to_hub.push_back(Packet::Text(crate::frame::ClientFrame::request(id, &find)));
    }
    let (at_hub, at_client) = pair.settle();
    assert!(
        at_hub.is_empty() && at_client.len() == 1,
        "33 is unknown to the client, 32 was refused: {at_client:?}"
    );
}

#[test]
fn a_download_that_ends_early_is_no_success() {
    let mut pair = Pair::ready();
    let request = Request::GetBlob(GetBlob { room: room(), id: BlobId::of(b""), offset: 0 });
    let id = pair.client.request(&request).expect("ready");
    pair.settle();
    pair.hub.go(id, Go { offset: 0, size: 10 }, 0);
    pair.hub.send_chunk(id, b"12345");
    pair.hub.answer(id, &Ok(Answer::GetBlob(Empty {})));
    let (_, at_client) = pair.settle();
    assert!(matches!(at_client.last(), Some(ClientOutput::Answered(_, Err(_)))), "{at_client:?}");
}

/// What a hub keeps of an upload between connections, and how many bytes came over the link in all.
#[derive(Default)]
struct Staging {
    have: Vec<u8>,
    carried: u64,
    is_stored: bool,
}

/// Lets one connection carry at most `budget` chunks of an upload, then cuts it.
fn upload_until_cut(blob: &[u8], staging: &mut Staging, budget: usize, chunk_bytes: usize) -> bool {
    let mut pair = Pair::ready();
    let id: RequestId = pair.client.request(&put(blob.len() as u64)).expect("ready");
    pair.settle();
    let go = Go { offset: staging.have.len() as u64, size: blob.len() as u64 };
    pair.hub.go(id, go, 0);
    pair.settle();
    let rest = blob[staging.have.len()..].to_vec();
    for (at, chunk) in rest.chunks(chunk_bytes).enumerate() {
        if at == budget {
            pair.client.disconnected();
            return false;
        }
        assert!(pair.client.send_chunk(id, chunk));
        for output in pair.settle().0 {
            let HubOutput::Chunk { bytes, last, .. } = output else { panic!("only chunks come: {output:?}") };
            staging.carried += bytes.len() as u64;
            staging.have.extend(bytes);
            staging.is_stored |= last;
        }
    }
    pair.hub.answer(id, &Ok(Answer::PutBlob(PutDone { present: false })));
    let (_, at_client) = pair.settle();
    matches!(at_client[..], [ClientOutput::Answered(_, Ok(_))])
}

proptest! {
    #![proptest_config(crate::cases(64))]

    #[test]
    fn an_upload_over_a_cutting_link_ends_and_sends_nothing_twice(
        size in 1usize..5_000, chunk in 1usize..700, cuts in prop::collection::vec(0usize..6, 0..12)
    ) {
        let blob: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).expect("below 251")).collect();
        let mut staging = Staging::default();
        for budget in cuts {
            if upload_until_cut(&blob, &mut staging, budget, chunk) {
                break;
            }
        }
        if !staging.is_stored {
            prop_assert!(upload_until_cut(&blob, &mut staging, usize::MAX, chunk));
        }
        prop_assert_eq!(&staging.have, &blob);
        prop_assert_eq!(staging.carried, blob.len() as u64);
    }

    #[test]
    fn arbitrary_packets_never_panic_nor_reach_a_request_before_login(packets in prop::collection::vec(packet(), 0..40)) {
        let mut hub = HubEnd::new(hub_config(None), Nonce::from_bytes([7; 32]), 0);
        let mut client = ClientEnd::new(client_config(None), 0);
        for (at, packet) in packets.into_iter().enumerate() {
            let now = i64::try_from(at).expect("small") * 1_000;
            hub.receive(packet.clone(), now);
            hub.tick(now);
            client.receive(packet, now);
            client.tick(now);
        }
        let passed = std::iter::from_fn(|| hub.poll())
            .any(|output| matches!(output, HubOutput::Request(..) | HubOutput::LoggedIn(_) | HubOutput::Chunk { .. }));
        prop_assert!(!passed);
        let believed = std::iter::from_fn(|| client.poll()).any(|output| matches!(output, ClientOutput::LoggedIn(_)));
        prop_assert!(!believed);
    }

    #[test]
    fn arbitrary_packets_after_login_never_panic(packets in prop::collection::vec(packet(), 0..40)) {
        let mut pair = Pair::ready();
        for packet in packets {
            pair.to_hub.push_back(packet.clone());
            pair.to_client.push_back(packet);
            pair.settle();
            pair.pass_time(10_000);
        }
        let mut opened = 0;
        while pair.client.request(&Request::Ping(Empty {})).is_ok() {
            opened += 1;
            prop_assert!(opened <= 32);
        }
    }
}

/// Packets that look like the protocol's often enough to get somewhere.
fn packet() -> impl Strategy<Value = Packet> {
    let id = 0u32..6;
    let text = prop_oneof![
        Just(r#"{"challenge":{"hub":"x"}}"#.to_owned()),
        Just(r#"{"hello":{}}"#.to_owned()),
        id.clone().prop_map(|id| format!(r#"{{"id":{id},"ping":{{}}}}"#)),
        id.clone().prop_map(|id| format!(r#"{{"id":{id},"cancel":{{"id":{}}}}}"#, id / 2)),
        id.clone().prop_map(|id| format!(
            r#"{{"id":{id},"put_blob":{{"room":"{}","id":"{}","size":9}}}}"#,
            room(),
            room()
        )),
        id.clone().prop_map(|id| format!(
            r#"{{"id":{id},"get_blob":{{"room":"{}","id":"{}","offset":9}}}}"#,
            room(),
            room()
        )),
        id.clone().prop_map(|id| format!(r#"{{"id":{id},"dance":{{}}}}"#)),
        id.clone().prop_map(|id| format!(r#"{{"re":{id},"go":{{"offset":0,"size":9}}}}"#)),
        id.clone().prop_map(|id| format!(r#"{{"re":{id},"ok":{{}}}}"#)),
        id.prop_map(|id| format!(r#"{{"re":{id},"err":{{"code":"internal","message":"m"}}}}"#)),
        Just(r#"{"event":"party"}"#.to_owned()),
        ".{0,40}",
    ];
    prop_oneof![
        text.prop_map(Packet::Text),
        (0u32..6, prop::collection::vec(any::<u8>(), 0..12))
            .prop_map(|(id, chunk)| crate::frame::chunk_packet(id, &chunk)),
        prop::collection::vec(any::<u8>(), 0..5).prop_map(Packet::Binary),
    ]
}
