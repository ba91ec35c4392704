//! The values of which the vectors are made: the specification's examples and their neighbours.

use protocol::frame::AskToJoin;
use protocol::id::{BlobId, Digest, Nonce, Salt};
use protocol::invite::SessionKey;
use protocol::key::{AgentKey, HubKey, InviteKey, JoinKey, UserKey};
use protocol::limits::PROTOCOL;
use protocol::part::{Body, BundlePart, Part, PartTip};
use protocol::room;
use protocol::signed::{self, Verified};
use protocol::statement::{
    ASK, Admit, Genesis, HubProof, Join, Key, LogPoint, Login, Membership, Message, Op, Role, RoomKind, Seat,
    UnixMillis,
};

pub(crate) const JOIN_SECRET: &str = "gpj1-aaaqeayeaudaocajbifqydiob4";
pub(crate) const NOW: UnixMillis = 1_700_000_000_000;
const DAY: UnixMillis = 24 * 3600 * 1000;

pub(crate) fn hub() -> HubKey {
    HubKey::from_seed(&[1; 32])
}

pub(crate) fn user() -> UserKey {
    UserKey::from_seed(&[2; 32])
}

pub(crate) fn seat() -> AgentKey {
    AgentKey::from_seed(&[3; 32])
}

pub(crate) fn join() -> JoinKey {
    JoinKey::from_join_secret(JOIN_SECRET)
}

pub(crate) fn login() -> Verified<Login> {
    let login = Login {
        hub: hub().public(),
        origin: "wss://hub.example:443".into(),
        nonce: Nonce::from_bytes([4; 32]),
        client_nonce: Nonce::from_bytes([5; 32]),
        protocol: PROTOCOL,
        needs: Vec::new(),
    };
    signed::sign(&seat(), login)
}

pub(crate) fn hub_proof() -> Verified<HubProof> {
    let proof = HubProof {
        agent: seat().public(),
        origin: "wss://hub.example:443".into(),
        nonce: Nonce::from_bytes([4; 32]),
        client_nonce: Nonce::from_bytes([5; 32]),
        protocol: PROTOCOL,
        now: NOW,
    };
    signed::sign(&hub(), proof)
}

pub(crate) fn vouched() -> Verified<Seat> {
    let seat = Seat { seat: seat().public(), name: "ana/app".into(), issued: NOW, expires: NOW + 90 * DAY };
    signed::sign(&user(), seat)
}

pub(crate) fn home() -> Verified<Genesis> {
    signed::sign(&user(), Genesis::home(hub().public()))
}

pub(crate) fn session() -> Verified<Genesis> {
    let salt = Some(Salt::from_bytes([7; 16]));
    signed::sign(&user(), Genesis { hub: hub().public(), kind: RoomKind::Session, salt, needs: Vec::new() })
}

pub(crate) fn service() -> Verified<Genesis> {
    let salt = Some(Salt::from_bytes([8; 16]));
    signed::sign(&user(), Genesis { hub: hub().public(), kind: RoomKind::Service, salt, needs: Vec::new() })
}

/// The message of the specification.
pub(crate) fn hello() -> (Verified<Message>, String) {
    let body = r#"{"parts":[{"kind":"text","text":"hello"}]}"#.to_owned();
    let room = room::room_id(&session());
    let header = Message {
        room,
        n: 1,
        head: LogPoint::start(room),
        sent: NOW,
        epoch: 0,
        body: Digest::of(body.as_bytes()),
        blobs: Vec::new(),
        leave: false,
        needs: Vec::new(),
    };
    (signed::sign(&seat(), header), body)
}

pub(crate) fn blob() -> BlobId {
    BlobId::of(b"# v2 git bundle\n")
}

pub(crate) fn bundle() -> BundlePart {
    let (tip, base) = ("1f".repeat(20), "2e".repeat(20));
    BundlePart {
        blob: blob(),
        vcs: BundlePart::VCS.into(),
        tip: tip.clone(),
        base: Some(base.clone()),
        summary: "feat: add X".into(),
        size: 12345,
        media_type: BundlePart::MEDIA_TYPE.into(),
        tips: vec![PartTip { branch: "feature".into(), commit: tip }],
        prerequisites: vec![base],
        commits: 5,
        object_format: "sha1".into(),
        repo: "app".into(),
        supersedes: None,
        log: None,
        stat: None,
        surface: None,
    }
}

/// The handoff that follows the message of the specification.
pub(crate) fn handoff() -> (Verified<Message>, String) {
    let (first, _) = hello();
    let room = first.statement().room;
    let body = Body { parts: vec![Part::Bundle(Box::new(bundle()))], reply_to: None, hops: None }.to_text();
    let header = Message {
        n: 2,
        head: room::extend(&LogPoint::start(room), &first.digest()),
        sent: NOW + 1,
        body: Digest::of(body.as_bytes()),
        blobs: vec![blob()],
        ..first.statement().clone()
    };
    (signed::sign(&seat(), header), body)
}

/// The session key of the specification, for the session above.
pub(crate) fn session_key() -> SessionKey {
    SessionKey::new([4; 16], room::room_id(&session()).room12(), None)
}

pub(crate) fn invite() -> InviteKey {
    session_key().invite_key()
}

pub(crate) fn key() -> Verified<Key> {
    let key = Key {
        room: room::room_id(&session()),
        invite: invite().public(),
        issued: NOW,
        expires: NOW + 7 * DAY,
        max_uses: 3,
        auto: false,
        no_history: false,
        needs: Vec::new(),
    };
    signed::sign(&user(), key)
}

pub(crate) fn joiner() -> AgentKey {
    AgentKey::from_seed(&[5; 32])
}

pub(crate) fn asked() -> Verified<Join> {
    let join = Join {
        hub: hub().public(),
        room12: room::room_id(&session()).room12(),
        invite: invite().public(),
        name: "ben/app".into(),
        asked: NOW + 3,
        needs: Vec::new(),
    };
    signed::sign(&joiner(), join)
}

pub(crate) fn ask() -> AskToJoin {
    let join = asked();
    let seat = Seat { seat: joiner().public(), name: "ben/app".into(), issued: NOW, expires: NOW + DAY };
    AskToJoin {
        ask: signed::countersign(&invite(), ASK, &join.digest()),
        join: join.signed().clone(),
        seat: Some(signed::sign(&UserKey::from_seed(&[6; 32]), seat).signed().clone()),
    }
}

/// The third entry of the session's log: the joiner is let in.
pub(crate) fn admission() -> Verified<Membership> {
    let (before, _) = handoff();
    let head = before.statement().head;
    let admit = Admit {
        agent: joiner().public(),
        name: "ben/app".into(),
        role: Role::Member,
        floor: 0,
        at: room::extend(&head, &before.digest()),
        key: Some(invite().public()),
        user: Some(UserKey::from_seed(&[6; 32]).public()),
    };
    act(1, session().digest(), Op::Admit(admit))
}

pub(crate) fn open_key() -> Verified<Key> {
    signed::sign(&user(), Key { auto: true, max_uses: 256, ..key().statement().clone() })
}

pub(crate) fn key_without_history() -> Verified<Key> {
    signed::sign(&user(), Key { no_history: true, ..key().statement().clone() })
}

pub(crate) fn denial() -> Verified<Membership> {
    let agents = vec![AgentKey::from_seed(&[7; 32]).public(), AgentKey::from_seed(&[8; 32]).public()];
    act(2, admission().digest(), Op::Deny { agents })
}

pub(crate) fn removal() -> Verified<Membership> {
    act(3, denial().digest(), Op::Remove { agent: joiner().public() })
}

pub(crate) fn unknown() -> Verified<Membership> {
    act(4, removal().digest(), Op::Unknown(serde_json::json!({ "policy": { "days": 3 } })))
}

pub(crate) fn end() -> Verified<Membership> {
    act(5, unknown().digest(), Op::Close)
}

pub(crate) fn act(n: u64, prev: Digest, op: Op) -> Verified<Membership> {
    let room = room::room_id(&session());
    signed::sign(&user(), Membership { room, n, prev, op, needs: Vec::new() })
}

/// A message that uses every field.
pub(crate) fn farewell() -> Verified<Message> {
    let (before, _) = handoff();
    let head = before.statement().head;
    let header = Message {
        n: 3,
        head: room::extend(&head, &before.digest()),
        sent: NOW + 2,
        leave: true,
        needs: vec!["sealed".into()],
        ..before.statement().clone()
    };
    signed::sign(&seat(), header)
}
