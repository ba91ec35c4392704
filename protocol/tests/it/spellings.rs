//! Keys, ids, statements, logs and bodies: our value gives the exact text, and the text gives our value.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use data_encoding::HEXLOWER;
use protocol::id::{BlobId, Digest, Nonce, Room12, RoomId, Salt, Signature};
use protocol::invite::SessionKey;
use protocol::json;
use protocol::key::{
    AgentId, AgentKey, HubId, HubKey, InviteId, InviteKey, JoinId, JoinKey, Kind, SecretKey, UserId, UserKey,
};
use protocol::part::{Body, BundlePart, Part, PartCommit, PartStat};
use protocol::room;
use protocol::signed::{self, Signed, Statement, Verified};
use protocol::statement::{ASK, LogPoint, PASS, TYPES};
use protocol::words::words;
use serde::{Deserialize, Serialize};

use crate::values::{
    JOIN_SECRET, admission, asked, blob, bundle, denial, end, farewell, handoff, hello, home, hub, hub_proof,
    invite, join, key, key_without_history, login, open_key, removal, seat, service, session, session_key,
    unknown, user, vouched,
};
use crate::vectors::compare;
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
        key_vector(&InviteKey::from_seed(&[6; 32]), [6; 32]),
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
            "invite key" => assert_eq!(public.parse::<InviteId>(), Ok(InviteKey::from_seed(&seed).public())),
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
    let here = room::room_id(&session());
    let ours = [
        text_vector("blob id", blob().as_bytes(), blob()),
        text_vector("home room", room::room_id(&home()).as_bytes(), room::room_id(&home())),
        text_vector("session room", room::room_id(&session()).as_bytes(), room::room_id(&session())),
        text_vector("nonce", &[4; 32], Nonce::from_bytes([4; 32])),
        text_vector("salt", &[7; 16], Salt::from_bytes([7; 16])),
        text_vector("signature", &[0xfb; 64], Signature::from_bytes([0xfb; 64])),
        text_vector("join key of a secret", JOIN_SECRET.as_bytes(), join().public()),
        text_vector("room prefix", here.room12().as_bytes(), here.room12()),
        text_vector("session key", &[4; 16], session_key()),
        text_vector(
            "session key with its hub",
            &[4; 16],
            SessionKey::new([4; 16], here.room12(), Some("wss://hub.example:443".into())),
        ),
        text_vector("invite key of a session key", &[4; 16], invite().public()),
        text_vector("words of an agent", seat().public().as_bytes(), words(&seat().public())),
        text_vector("words of a user", user().public().as_bytes(), words(&user().public())),
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
            "room prefix" => same::<Room12>(text),
            "session key" | "session key with its hub" => same::<SessionKey>(text),
            "invite key of a session key" => same::<InviteId>(text),
            "words of an agent" => words(&seat().public()),
            "words of a user" => words(&user().public()),
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
        statement_vector("a session key", &key()),
        statement_vector("a session key that admits whoever asks", &open_key()),
        statement_vector("a session key whose joiners get no history", &key_without_history()),
        statement_vector("a request to join", &asked()),
        statement_vector("an admission", &admission()),
        statement_vector("a denial", &denial()),
        statement_vector("a removal", &removal()),
        statement_vector("the end of a room", &end()),
        statement_vector("an act of a newer version", &unknown()),
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
            "a session key" => check_statement(&vector, &key()),
            "a session key that admits whoever asks" => check_statement(&vector, &open_key()),
            "a session key whose joiners get no history" => check_statement(&vector, &key_without_history()),
            "a request to join" => check_statement(&vector, &asked()),
            "an admission" => check_statement(&vector, &admission()),
            "a denial" => check_statement(&vector, &denial()),
            "a removal" => check_statement(&vector, &removal()),
            "the end of a room" => check_statement(&vector, &end()),
            "an act of a newer version" => check_statement(&vector, &unknown()),
            other => panic!("no such statement: {other}"),
        }
    }
    for r#type in TYPES {
        assert!(ours.iter().any(|vector| vector.r#type == *r#type), "{type} has no vector");
    }
}

#[test]
fn countersignatures_are_what_their_vectors_say() {
    let (login, asked) = (login().digest(), asked().digest());
    let vector = |name: &str, digest: Digest, text| {
        (TextVector { name: name.into(), value: digest.to_string(), text }, digest)
    };
    let (ours, digests): (Vec<_>, Vec<_>) = [
        vector(PASS, login, json::write(&signed::countersign(&join(), PASS, &login))),
        vector(PASS, login, json::write(&signed::countersign(&invite().as_pass(), PASS, &login))),
        vector(ASK, asked, json::write(&signed::countersign(&invite(), ASK, &asked))),
    ]
    .into_iter()
    .unzip();
    let keys = [join().public(), invite().as_pass().public(), invite().as_pass().public()];
    for ((vector, digest), key) in compare("countersignatures.json", &ours).iter().zip(digests).zip(keys) {
        let received: signed::Countersigned<protocol::key::Join> = json::parse(&vector.text).unwrap();
        assert_eq!(received.by(), key);
        assert!(received.holds(&vector.name, &digest));
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
        ("an admission", admission().digest()),
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
