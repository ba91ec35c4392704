//! Keys, ids, statements, logs and bodies: our value gives the exact text, and the text gives our value.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use data_encoding::HEXLOWER;
use protocol::id::{BlobId, Digest, Nonce, RoomId, Salt, Signature};
use protocol::json;
use protocol::key::{AgentId, AgentKey, HubId, HubKey, JoinId, JoinKey, Kind, SecretKey, UserId, UserKey};
use protocol::limits::PROTOCOL;
use protocol::part::{Body, BundlePart, Part, PartCommit, PartStat, PartTip};
use protocol::room;
use protocol::signed::{self, Signed, Statement, Verified};
use protocol::statement::{
    Genesis, HubProof, LogPoint, Login, Message, PASS, RoomKind, Seat, TYPES, UnixMillis,
};
use serde::{Deserialize, Serialize};

use crate::vectors::compare;

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

fn service() -> Verified<Genesis> {
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

/// A message that uses every field.
fn farewell() -> Verified<Message> {
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

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct KeyVector {
    kind: String,
    seed: String,
    public: String,
    seed_text: Option<String>,
}

fn key_vector<K: Kind>(key: &SecretKey<K>, seed: [u8; 32]) -> KeyVector {
    assert_eq!(SecretKey::<K>::from_seed(&seed).public(), key.public());
    KeyVector {
        kind: K::NAME.into(),
        seed: HEXLOWER.encode(&seed),
        public: key.public().to_string(),
        seed_text: key.to_seed_text(),
    }
}

#[test]
fn keys_have_the_texts_of_the_vectors() {
    let ours = [
        key_vector(&hub(), [1; 32]),
        key_vector(&user(), [2; 32]),
        key_vector(&seat(), [3; 32]),
        key_vector(&JoinKey::from_seed(&[4; 32]), [4; 32]),
    ];
    for vector in compare("keys.json", &ours) {
        let seed: [u8; 32] = HEXLOWER.decode(vector.seed.as_bytes()).unwrap().try_into().unwrap();
        let (public, seed_text) = (vector.public.as_str(), vector.seed_text.as_deref());
        match vector.kind.as_str() {
            "hub id" => {
                assert_eq!(public.parse::<HubId>(), Ok(HubKey::from_seed(&seed).public()));
                assert_eq!(HubKey::from_seed_text(seed_text.unwrap()).unwrap().public().to_string(), public);
            }
            "user id" => {
                assert_eq!(public.parse::<UserId>(), Ok(UserKey::from_seed(&seed).public()));
                assert_eq!(UserKey::from_seed_text(seed_text.unwrap()).unwrap().public().to_string(), public);
            }
            "agent id" => {
                assert_eq!(public.parse::<AgentId>(), Ok(AgentKey::from_seed(&seed).public()));
                assert_eq!(
                    AgentKey::from_seed_text(seed_text.unwrap()).unwrap().public().to_string(),
                    public
                );
            }
            "join key" => assert_eq!(public.parse::<JoinId>(), Ok(JoinKey::from_seed(&seed).public())),
            other => panic!("no such kind of key: {other}"),
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct TextVector {
    name: String,
    value: String,
    text: String,
}

fn text_vector(name: &str, value: &[u8], text: impl Display) -> TextVector {
    TextVector { name: name.into(), value: HEXLOWER.encode(value), text: text.to_string() }
}

fn same<T: FromStr<Err: Debug> + Display>(text: &str) -> String {
    text.parse::<T>().unwrap().to_string()
}

#[test]
fn ids_have_the_texts_of_the_vectors() {
    let ours = [
        text_vector("blob id", blob().as_bytes(), blob()),
        text_vector("home room", room::room_id(&home()).as_bytes(), room::room_id(&home())),
        text_vector("session room", room::room_id(&session()).as_bytes(), room::room_id(&session())),
        text_vector("nonce", &[4; 32], Nonce::from_bytes([4; 32])),
        text_vector("salt", &[7; 16], Salt::from_bytes([7; 16])),
        text_vector("signature", &[0xfb; 64], Signature::from_bytes([0xfb; 64])),
        text_vector("join key of a secret", JOIN_SECRET.as_bytes(), join().public()),
    ];
    for vector in compare("ids.json", &ours) {
        let text = vector.text.as_str();
        let again = match vector.name.as_str() {
            "blob id" => same::<BlobId>(text),
            "home room" | "session room" => same::<RoomId>(text),
            "nonce" => same::<Nonce>(text),
            "salt" => same::<Salt>(text),
            "signature" => same::<Signature>(text),
            "join key of a secret" => same::<JoinId>(text),
            other => panic!("no such id: {other}"),
        };
        assert_eq!(again, text);
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct StatementVector {
    name: String,
    r#type: String,
    text: String,
    digest: Digest,
}

fn statement_vector<S: Statement>(name: &str, statement: &Verified<S>) -> StatementVector {
    StatementVector {
        name: name.into(),
        r#type: S::TYPE.into(),
        text: json::write(statement.signed()),
        digest: statement.digest(),
    }
}

fn check_statement<S: Statement + Debug + PartialEq>(vector: &StatementVector, ours: &Verified<S>) {
    let received: Signed<S> = json::parse(&vector.text).unwrap();
    assert_eq!(received.digest(), vector.digest, "{}", vector.name);
    let verified = received.verify().unwrap();
    assert_eq!(verified.digest(), vector.digest, "{}", vector.name);
    assert_eq!(verified.statement(), ours.statement(), "{}", vector.name);
}

#[test]
fn every_type_of_statement_is_what_its_vector_says() {
    let ours = [
        statement_vector("a login", &login()),
        statement_vector("a hub answers a login", &hub_proof()),
        statement_vector("a seat", &vouched()),
        statement_vector("a home", &home()),
        statement_vector("a session", &session()),
        statement_vector("a service", &service()),
        statement_vector("a message", &hello().0),
        statement_vector("a message that refers to a blob", &handoff().0),
        statement_vector("a message that leaves and needs a feature", &farewell()),
    ];
    for vector in compare("statements.json", &ours) {
        match vector.name.as_str() {
            "a login" => check_statement(&vector, &login()),
            "a hub answers a login" => check_statement(&vector, &hub_proof()),
            "a seat" => check_statement(&vector, &vouched()),
            "a home" => check_statement(&vector, &home()),
            "a session" => check_statement(&vector, &session()),
            "a service" => check_statement(&vector, &service()),
            "a message" => check_statement(&vector, &hello().0),
            "a message that refers to a blob" => check_statement(&vector, &handoff().0),
            "a message that leaves and needs a feature" => check_statement(&vector, &farewell()),
            other => panic!("no such statement: {other}"),
        }
    }
    for r#type in TYPES {
        assert!(ours.iter().any(|vector| vector.r#type == *r#type), "{type} has no vector");
    }
}

#[test]
fn a_pass_is_what_its_vector_says() {
    let pass = signed::countersign(&join(), PASS, &login().digest());
    let ours =
        [TextVector { name: PASS.into(), value: login().digest().to_string(), text: json::write(&pass) }];
    for vector in compare("countersignatures.json", &ours) {
        let received: signed::Countersigned<protocol::key::Join> = json::parse(&vector.text).unwrap();
        assert_eq!(received.by(), join().public());
        assert!(received.holds(&vector.name, &vector.value.parse().unwrap()));
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct LogVector {
    name: String,
    before: LogPoint,
    digest: Digest,
    after: LogPoint,
}

#[test]
fn the_log_of_a_room_has_the_values_of_the_vectors() {
    let mut point = LogPoint::start(room::room_id(&session()));
    let mut ours = Vec::new();
    for (name, digest) in [
        ("the first message", hello().0.digest()),
        ("a handoff", handoff().0.digest()),
        ("a farewell", farewell().digest()),
    ] {
        let after = room::extend(&point, &digest);
        ours.push(LogVector { name: name.into(), before: point, digest, after });
        point = after;
    }
    let vectors = compare("log.json", &ours);
    assert_eq!(
        vectors[0].after.log.to_string(),
        "5340d11e224e690dbcb05d8a21c03d7bd4b396aceaba5ed3fb10e5bf7cd49d90"
    );
    assert!(vectors.iter().all(|vector| room::extend(&vector.before, &vector.digest) == vector.after));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct BodyVector {
    name: String,
    text: String,
    shown: Vec<String>,
}

#[test]
fn bodies_have_the_texts_of_the_vectors() {
    let full = BundlePart {
        base: None,
        prerequisites: Vec::new(),
        supersedes: Some(blob()),
        log: Some(vec![PartCommit { id: "1f".repeat(20), subject: "feat: add X".into() }]),
        stat: Some(PartStat { files: 1, added: 2, deleted: 0, paths: vec!["src/x.rs".into()] }),
        surface: Some(vec!["build_script".into()]),
        ..bundle()
    };
    let unknown = r#"{"kind":"org.example.poll","summary":"lunch?","options":[1,2]}"#;
    let bodies = [
        ("text", Body { parts: vec![Part::Text("hello".into())], reply_to: None, hops: None }),
        ("a handoff", Body { parts: vec![Part::Bundle(Box::new(bundle()))], reply_to: None, hops: None }),
        (
            "a handoff with all fields",
            Body {
                parts: vec![Part::Text("for you".into()), Part::Bundle(Box::new(full))],
                reply_to: Some(hello().0.digest()),
                hops: Some(1),
            },
        ),
        (
            "an unknown part",
            Body {
                parts: vec![Part::Unknown(serde_json::from_str(unknown).unwrap())],
                reply_to: None,
                hops: None,
            },
        ),
    ];
    let ours = bodies.each_ref().map(|(name, body)| BodyVector {
        name: (*name).into(),
        text: body.to_text(),
        shown: body.parts.iter().map(Part::label).collect(),
    });
    for (vector, (_, body)) in compare("bodies.json", &ours).iter().zip(&bodies) {
        assert_eq!(Body::parse(&vector.text).unwrap(), *body, "{}", vector.name);
    }
}
