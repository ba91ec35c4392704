//! Targets for what travels as text: what parses once parses again as the same, and nothing has two spellings.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use ed25519_dalek::{Signer as _, SigningKey};
use protocol::frame::{Answer, ClientFrame, Entry, HubFrame, JoinRequest, Pulled, RequestKind, split_chunk};
use protocol::id::{BlobId, BlobPrefix, Digest, Nonce, Room12, RoomId, Salt, Signature};
use protocol::invite::SessionKey;
use protocol::json;
use protocol::key::{AgentId, AgentKey, HubId, HubKey, InviteId, JoinId, PublicKey, UserId, UserKey};
use protocol::limits::STATEMENT_BYTES_MAX;
use protocol::part::{Body, Part};
use protocol::room::{Counters, Members, RangeChecks, Reading, check_admission, check_request, verify_range};
use protocol::signed::{Signed, Statement};
use protocol::statement::{
    Genesis, HubProof, Join, Key, Login, Membership, Message, RoomKind, Seat, UnixMillis,
};
use serde::Deserialize;

pub(crate) fn frame_of_a_client(bytes: &[u8]) {
    drop(split_chunk(bytes.to_vec()));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match ClientFrame::parse(text) {
        Ok(ClientFrame::Request(id, request)) => {
            let again = ClientFrame::parse(&ClientFrame::request(id, &request)).expect("our own writing");
            assert_eq!(again, ClientFrame::Request(id, request));
        }
        Ok(ClientFrame::Hello(hello)) => {
            let again = ClientFrame::parse(&ClientFrame::hello(&hello)).expect("our own writing");
            assert_eq!(again, ClientFrame::Hello(hello));
        }
        Ok(ClientFrame::Unreadable(..)) | Err(_) => {}
    }
}

pub(crate) fn frame_of_a_hub(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(frame) = HubFrame::parse(text) else { return };
    let writing = match &frame {
        HubFrame::Challenge(challenge) => HubFrame::challenge(challenge),
        HubFrame::Welcome(welcome) => HubFrame::welcome(welcome),
        HubFrame::Go(id, go) => HubFrame::go(*id, go),
        HubFrame::Err(Some(id), refusal) => HubFrame::answer(*id, &Err(refusal.clone())),
        HubFrame::Err(None, refusal) => HubFrame::refusal(refusal),
        HubFrame::Event(event) => HubFrame::event(event),
        HubFrame::Unknown => return,
        HubFrame::Ok(_, value) => {
            for kind in RequestKind::ALL {
                if let Ok(answer) = Answer::from_value(*kind, value.clone()) {
                    let writing = HubFrame::answer(1, &Ok(answer.clone()));
                    let Ok(HubFrame::Ok(1, value)) = HubFrame::parse(&writing) else { panic!("{writing}") };
                    assert_eq!(Answer::from_value(*kind, value).expect("our own writing"), answer);
                }
            }
            return;
        }
    };
    assert_eq!(HubFrame::parse(&writing).expect("our own writing"), frame);
}

/// The bytes as each type of statement, rightly signed: only what they say is in question.
pub(crate) fn statement(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    verify::<Login>(text);
    verify::<HubProof>(text);
    verify::<Seat>(text);
    verify::<Genesis>(text);
    verify::<Message>(text);
    verify::<Membership>(text);
    verify::<Key>(text);
    verify::<Join>(text);
    if let Ok(received) = json::parse::<Signed<Message>>(text) {
        assert!(received.clone().verify().is_err() || bytes == json::write(&received).as_bytes());
    }
}

fn verify<S: Statement>(text: &str) {
    let key = SigningKey::from_bytes(&[2; 32]);
    let mut preimage = format!("git-parler/v1/{}\0", S::TYPE).into_bytes();
    preimage.extend_from_slice(key.verifying_key().as_bytes());
    preimage.extend_from_slice(text.as_bytes());
    let signature = Signature::from_bytes(key.sign(&preimage).to_bytes());
    let by = PublicKey::<S::Author>::from_bytes(key.verifying_key().to_bytes());
    let signed = Signed::<S>::from_parts(by, text.to_owned(), signature);
    if let Ok(verified) = signed.verify() {
        assert!(text.len() <= STATEMENT_BYTES_MAX);
        assert_eq!(verified.digest(), Digest::of(&preimage));
        let writing = json::write(verified.statement());
        assert!(json::parse::<S>(&writing).is_ok(), "{writing}");
    }
}

pub(crate) fn body(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(body) = Body::parse(text) else { return };
    assert_eq!(Body::parse(&body.to_text()).expect("our own writing"), body);
    for part in &body.parts {
        let shown = part.label();
        assert!(protocol::clean::line(&shown).chars().count() <= shown.chars().count());
        if let Part::Bundle(bundle) = part {
            assert!(bundle.tip.is_ascii() && bundle.tip.len() >= 40, "what cuts ids meets digits");
        }
    }
}

pub(crate) fn spelling(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    one::<AgentId>(text);
    one::<UserId>(text);
    one::<HubId>(text);
    one::<JoinId>(text);
    one::<BlobId>(text);
    one::<BlobPrefix>(text);
    one::<RoomId>(text);
    one::<Room12>(text);
    one::<InviteId>(text);
    one::<SessionKey>(text);
    one::<Digest>(text);
    one::<Nonce>(text);
    one::<Salt>(text);
    one::<Signature>(text);
    if let Ok(key) = AgentKey::from_seed_text(text) {
        assert_eq!(key.to_seed_text().as_deref(), Some(text.trim_ascii()));
    }
}

fn one<T: FromStr + Display + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text);
    }
}

pub(crate) fn clean(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let line = protocol::clean::line(&text);
    assert!(!line.chars().any(|character| protocol::clean::is_hidden(character) || character == '\n'));
    assert_eq!(protocol::clean::line(&line), line);
    let block = protocol::clean::block(&text);
    assert_eq!(block.matches('\n').count(), text.matches('\n').count());
    assert!(
        block
            .chars()
            .all(|character| matches!(character, '\n' | '\t') || !protocol::clean::is_hidden(character))
    );
}

/// The bytes as the answer to a `pull`, whose start and none of whose other points are known.
pub(crate) fn range(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(Pulled { start, entries, seats, .. }) = json::parse::<Pulled>(text) else { return };
    let room = room();
    let mut members = Members::of(room, UserKey::from_seed(&[2; 32]).public(), RoomKind::Session);
    for seat in seats {
        if let Ok(seat) = seat.verify() {
            members.note_seat(&seat);
        }
    }
    let count = entries.len() as u64;
    let known = |seq| (seq == start.seq).then_some(start.log);
    let counters = Counters::new(start.seq == 0);
    let checks = RangeChecks { members: &members, counters: Some(&counters), accepted: 0 };
    if let Ok(outcome) = verify_range(checks, start, entries, known).whole() {
        assert_eq!((outcome.readings.len() as u64, outcome.end.seq), (count, start.seq + count));
        for reading in outcome.readings {
            if let Reading::Good(message) = reading {
                let (author, sent) = (message.header.by(), message.header.statement().sent);
                assert!(outcome.members.role(&author, message.seq, sent).is_some());
                assert!(message.body.is_none() || message.body_text.is_some());
            }
        }
    }
}

/// What a joiner is shown when it is let in.
#[derive(Deserialize)]
struct Shown {
    genesis: Signed<Genesis>,
    entries: Vec<Entry>,
}

/// The bytes as a request to join that an owner looks at, and as an admission that a joiner looks at.
pub(crate) fn admission(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let hub = HubKey::from_seed(&[1; 32]).public();
    let owner = UserKey::from_seed(&[2; 32]).public();
    let joiner = AgentKey::from_seed(&[5; 32]).public();
    if let Ok(request) = json::parse::<JoinRequest>(text)
        && let Ok(checked) = check_request(&request, hub, room(), owner, NOW)
    {
        assert_eq!(checked.agent, request.ask.join.by());
        assert!(protocol::statement::is_name(&checked.name));
    }
    if let Ok(shown) = json::parse::<Shown>(text)
        && let Ok((members, admission)) =
            check_admission(room().room12(), hub, &joiner, shown.genesis, shown.entries)
    {
        assert_eq!((members.room(), members.owner()), (room(), owner));
        assert!(members.role(&joiner, u64::MAX, NOW).is_some() && admission.until.is_none());
    }
}

/// The session of the specification.
fn room() -> RoomId {
    "7c2f378e5def7b7dd9873eb0cd32fe4131bc06a9321ca73337951c3ee885a838".parse().expect("a room")
}

/// When the specification's examples were signed, and a little later.
const NOW: UnixMillis = 1_700_000_100_000;
