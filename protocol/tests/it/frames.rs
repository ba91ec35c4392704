//! Every frame of both sides and every binary packet: our value gives the exact text, and the text gives our value.

use data_encoding::HEXLOWER;
use protocol::frame::{
    Ack, Acked, Answer, Append, Appended, Asked, BlobReference, BlobReferences, Cancel, Chain, ChainPage,
    Challenge, ClientFrame, Empty, Entry, Event, Find, GetBlob, Go, Handoffs, Hello, HubFrame, JoinRequest,
    JoinStanding, JoinState, JoinerState, KeyRow, OpenRoom, OpenedRoom, Packet, Post, Posted, Pull, Pulled,
    PutBlob, PutDone, PutKey, Request, RequestId, RequestKind, RequestList, Requests, RevokeKey, RoomList,
    RoomRow, Rooms, Welcome, chunk_packet, split_chunk,
};
use protocol::id::{Nonce, RoomId};
use protocol::limits::{Limits, PROTOCOL};
use protocol::refusal::{Refusal, RefusalCode};
use protocol::room::{self, ChainEnd};
use protocol::signed;
use protocol::statement::{LogPoint, PASS};
use serde::{Deserialize, Serialize};

use crate::values::{
    NOW, admission, ask, asked, blob, handoff, hello, home, hub, hub_proof, invite, join, key, login,
    session, vouched,
};
use crate::vectors::compare;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FrameVector {
    name: String,
    text: String,
}

fn here() -> RoomId {
    room::room_id(&session())
}

/// The log after each of the two messages.
fn points() -> [LogPoint; 3] {
    let start = LogPoint::start(here());
    let first = room::extend(&start, &hello().0.digest());
    [start, first, room::extend(&first, &handoff().0.digest())]
}

fn requests() -> Vec<Request> {
    let room = here();
    let (message, body) = handoff();
    let whole = Pull { room, after: 0, limit: 256, bodies: true, wait_ms: None };
    vec![
        Request::Rooms(Rooms::default()),
        Request::Rooms(Rooms { after: Some(room), reader: Some("cli".into()) }),
        Request::OpenRoom(OpenRoom { genesis: home().signed().clone() }),
        Request::Post(Post { room, message: message.signed().clone(), body }),
        Request::Append(Append { room, membership: admission().signed().clone() }),
        Request::Chain(Chain { room, after: 2 }),
        Request::PutKey(PutKey { key: key().signed().clone() }),
        Request::RevokeKey(RevokeKey { room, invite: invite().public() }),
        Request::Join(Box::new(ask())),
        Request::JoinState(JoinState { request: asked().digest(), wait_ms: None }),
        Request::JoinState(JoinState { request: asked().digest(), wait_ms: Some(50_000) }),
        Request::Requests(Requests { room, after: None }),
        Request::Requests(Requests { room, after: Some(asked().digest()) }),
        Request::Pull(whole.clone()),
        Request::Pull(Pull { after: 2, limit: 1, bodies: false, wait_ms: Some(50_000), ..whole }),
        Request::Handoffs(Handoffs { room, before: None, limit: 256 }),
        Request::Handoffs(Handoffs { room, before: Some(2), limit: 1 }),
        Request::Find(Find { prefix: "2cf24".parse().unwrap() }),
        Request::Ack(Ack { room, reader: "cli".into(), seq: 2 }),
        Request::PutBlob(PutBlob { room, id: blob(), size: 12345 }),
        Request::GetBlob(GetBlob { room, id: blob(), offset: 4096 }),
        Request::Cancel(Cancel { id: 7 }),
        Request::Ping(Empty {}),
    ]
}

fn answers() -> Vec<(RequestKind, Answer)> {
    let [start, first, end] = points();
    let (text, text_body) = hello();
    let (bundle, _) = handoff();
    let entries = vec![
        Entry::message(1, text.signed().clone(), Some(text_body)),
        Entry::message(2, bundle.signed().clone(), None),
        Entry::membership(3, admission().signed().clone()),
    ];
    let chain = ChainPage {
        entries: entries[2..].to_vec(),
        more: true,
        end: ChainEnd { n: 1, digest: admission().digest() },
    };
    let request = JoinRequest { ask: ask(), key: key().signed().clone(), first_seen: NOW + 4 };
    let made = KeyRow { key: key().signed().clone(), uses: 1, revoked: true };
    let standing = |state, genesis| Answer::JoinState(JoinStanding { state, genesis });
    let seats = vec![vouched().signed().clone()];
    let reference = BlobReference { room: here(), seq: 2, blob: blob(), available: true };
    let genesis = session().signed().clone();
    let row = RoomRow { room: here(), genesis: genesis.clone(), end, cursor: None, pending: None };
    let full_row = RoomRow { cursor: Some(1), pending: Some(2), ..row.clone() };
    vec![
        (RequestKind::Rooms, Answer::Rooms(RoomList { rooms: vec![row], more: false })),
        (RequestKind::Rooms, Answer::Rooms(RoomList { rooms: vec![full_row], more: true })),
        (RequestKind::Append, Answer::Append(Appended { seq: 3 })),
        (RequestKind::Chain, Answer::Chain(chain)),
        (RequestKind::PutKey, Answer::PutKey(Empty {})),
        (RequestKind::RevokeKey, Answer::RevokeKey(Empty {})),
        (RequestKind::Join, Answer::Join(Asked { request: asked().digest() })),
        (RequestKind::JoinState, standing(JoinerState::Pending, None)),
        (RequestKind::JoinState, standing(JoinerState::Member, Some(genesis))),
        (RequestKind::JoinState, standing(JoinerState::Denied, None)),
        (RequestKind::JoinState, standing(JoinerState::Removed, None)),
        (
            RequestKind::Requests,
            Answer::Requests(RequestList { requests: vec![request], more: true, keys: vec![made] }),
        ),
        (
            RequestKind::OpenRoom,
            Answer::OpenRoom(OpenedRoom {
                room: room::room_id(&home()),
                end: LogPoint::start(room::room_id(&home())),
            }),
        ),
        (RequestKind::Post, Answer::Post(Posted { seq: 2 })),
        (RequestKind::Pull, Answer::Pull(Pulled { start, entries, seats, base: start, end })),
        (
            RequestKind::Pull,
            Answer::Pull(Pulled { start: end, entries: Vec::new(), seats: Vec::new(), base: first, end }),
        ),
        (
            RequestKind::Handoffs,
            Answer::Handoffs(BlobReferences { references: vec![reference.clone()], more: true }),
        ),
        (
            RequestKind::Find,
            Answer::Find(BlobReferences {
                references: vec![BlobReference { available: false, ..reference }],
                more: false,
            }),
        ),
        (RequestKind::Ack, Answer::Ack(Acked { cursor: 2 })),
        (RequestKind::PutBlob, Answer::PutBlob(PutDone { present: false })),
        (RequestKind::GetBlob, Answer::GetBlob(Empty {})),
        (RequestKind::Cancel, Answer::Cancel(Empty {})),
        (RequestKind::Ping, Answer::Ping(Empty {})),
    ]
}

fn value_of(answer: &Answer) -> serde_json::Value {
    match HubFrame::parse(&HubFrame::answer(1, &Ok(answer.clone()))) {
        Ok(HubFrame::Ok(1, value)) => value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_frame_of_a_client_is_what_its_vector_says() {
    let bare = Hello { login: login().signed().clone(), seat: None, pass: None };
    let full = Hello {
        seat: Some(vouched().signed().clone()),
        pass: Some(signed::countersign(&join(), PASS, &login().digest())),
        ..bare.clone()
    };
    let mut ours = vec![
        FrameVector { name: "hello of an agent alone".into(), text: ClientFrame::hello(&bare) },
        FrameVector {
            name: "hello of a user's seat at a closed hub".into(),
            text: ClientFrame::hello(&full),
        },
    ];
    let mut frames = vec![ClientFrame::Hello(Box::new(bare)), ClientFrame::Hello(Box::new(full))];
    for (id, request) in (1..).zip(requests()) {
        let (name, text) = (request.kind().name().to_owned(), ClientFrame::request(id, &request));
        ours.push(FrameVector { name, text });
        frames.push(ClientFrame::Request(id, request));
    }
    for (vector, frame) in compare("frames-client.json", &ours).iter().zip(frames) {
        assert_eq!(ClientFrame::parse(&vector.text).unwrap(), frame, "{}", vector.name);
    }
    for kind in RequestKind::ALL {
        assert!(requests().iter().any(|request| request.kind() == *kind), "{} has no vector", kind.name());
    }
}

/// A refusal with the fields that its code may carry.
fn refusal(code: RefusalCode) -> Refusal {
    let plain = Refusal::new(code, format!("a sentence about {code}"));
    match code {
        RefusalCode::RateLimited => Refusal { retry_after_ms: Some(1500), ..plain },
        RefusalCode::Conflict => {
            let chain = ChainEnd { n: 1, digest: admission().digest() };
            Refusal { next_n: Some(3), chain: Some(Box::new(chain)), ..plain }
        }
        RefusalCode::TooLarge | RefusalCode::OverQuota => {
            Refusal { limit: Some(26_214_400), hint: Some("what to do".into()), ..plain }
        }
        RefusalCode::Pruned | RefusalCode::Stale => Refusal { base: Some(Box::new(points()[1])), ..plain },
        _ => plain,
    }
}

#[test]
fn every_frame_of_a_hub_is_what_its_vector_says() {
    let challenge = Challenge {
        hub: hub().public(),
        nonce: Nonce::from_bytes([4; 32]),
        protocol: PROTOCOL,
        closed: true,
        limits: Limits::default(),
    };
    let welcome = Welcome { hub: hub_proof().signed().clone() };
    let go = Go { offset: 4096, size: 12345 };
    let closing = Event { event: Event::CLOSING.into(), room: None };
    let somewhere = Event { event: "rooms".into(), room: Some(here()) };
    let vector = |name: &str, text: String| FrameVector { name: name.into(), text };
    let mut ours = vec![
        vector("challenge", HubFrame::challenge(&challenge)),
        vector("welcome", HubFrame::welcome(&welcome)),
        vector("go", HubFrame::go(7, &go)),
        vector("event", HubFrame::event(&closing)),
        vector("event of a room", HubFrame::event(&somewhere)),
        vector("refusal of a connection", HubFrame::refusal(&refusal(RefusalCode::LoginRefused))),
    ];
    let mut frames = vec![
        HubFrame::Challenge(Box::new(challenge)),
        HubFrame::Welcome(Box::new(welcome)),
        HubFrame::Go(7, go),
        HubFrame::Event(closing),
        HubFrame::Event(somewhere),
        HubFrame::Err(None, refusal(RefusalCode::LoginRefused)),
    ];
    for (id, (kind, answer)) in (1..).zip(answers()) {
        let text = HubFrame::answer(id, &Ok(answer.clone()));
        ours.push(vector(&format!("ok: {}", kind.name()), text));
        assert_eq!(Answer::from_value(kind, value_of(&answer)).unwrap(), answer, "{}", kind.name());
        frames.push(HubFrame::Ok(id, value_of(&answer)));
    }
    for kind in RequestKind::ALL {
        assert!(answers().iter().any(|(answered, _)| answered == kind), "{} has no vector", kind.name());
    }
    for code in RefusalCode::ALL {
        let text = HubFrame::answer(9, &Err(refusal(*code)));
        ours.push(vector(&format!("err: {code}"), text));
        frames.push(HubFrame::Err(Some(9), refusal(*code)));
    }
    for (vector, frame) in compare("frames-hub.json", &ours).iter().zip(frames) {
        assert_eq!(HubFrame::parse(&vector.text).unwrap(), frame, "{}", vector.name);
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct PacketVector {
    name: String,
    id: RequestId,
    chunk: String,
    packet: String,
}

#[test]
fn binary_packets_are_what_their_vectors_say() {
    let ours = [
        ("the first bytes", 7, &b"# v2 git bundle\n"[..]),
        ("no bytes", 0x0102_0304, b""),
        ("the last number", u32::MAX, b"\0"),
    ]
    .map(|(name, id, chunk)| {
        let Packet::Binary(packet) = chunk_packet(id, chunk) else { panic!("a chunk travels in binary") };
        let (chunk, packet) = (HEXLOWER.encode(chunk), HEXLOWER.encode(&packet));
        PacketVector { name: name.into(), id, chunk, packet }
    });
    for vector in compare("packets.json", &ours) {
        let packet = HEXLOWER.decode(vector.packet.as_bytes()).unwrap();
        let chunk = HEXLOWER.decode(vector.chunk.as_bytes()).unwrap();
        assert_eq!(split_chunk(packet), Some((vector.id, chunk)), "{}", vector.name);
    }
}
