//! Input that is wrong in one way each, named by its defect, with the outcome that every reader must come to.

use data_encoding::HEXLOWER;
use protocol::frame::{ClientFrame, Entry, HubFrame, UnreadableRequest, split_chunk};
use protocol::id::{BlobId, BlobPrefix, Nonce, Room12, RoomId, Salt, Signature};
use protocol::invite::SessionKey;
use protocol::json::{self, JsonError};
use protocol::key::{AgentId, AgentKey, HubId, InviteId, JoinId, UserId};
use protocol::part::Body;
use protocol::signed::{Signed, Statement, StatementError};
use protocol::statement::{Genesis, HubProof, Join, Key, Login, Membership, Message, Seat};
use serde::Deserialize;

use crate::vectors::read;

/// `text` is what a reader that expects `place` gets; `repeat` repeats a piece of it, for defects of size.
#[derive(Deserialize)]
struct Malformed {
    defect: String,
    place: String,
    text: String,
    #[serde(default)]
    repeat: Option<Repeat>,
    outcome: String,
}

#[derive(Deserialize)]
struct Repeat {
    piece: String,
    times: usize,
}

#[test]
fn every_defect_has_the_outcome_of_its_vector() {
    let mut wrong = Vec::new();
    for vector in read::<Malformed>("malformed.json") {
        let text = match &vector.repeat {
            Some(repeat) => vector.text.replace("{…}", &repeat.piece.repeat(repeat.times)),
            None => vector.text.clone(),
        };
        let outcome = outcome(&vector.place, &text);
        if outcome != vector.outcome {
            wrong.push(format!("{}: {outcome} instead of {}", vector.defect, vector.outcome));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Reads `text` as what stands in `place` and names what came of it.
fn outcome(place: &str, text: &str) -> &'static str {
    match place {
        "frame of a client" => match ClientFrame::parse(text) {
            Err(error) => of_json(&error),
            Ok(ClientFrame::Unreadable(_, UnreadableRequest::Unsupported)) => "unsupported",
            Ok(ClientFrame::Unreadable(_, UnreadableRequest::BadRequest)) => "bad_request",
            Ok(_) => "accepted",
        },
        "frame of a hub" => match HubFrame::parse(text) {
            Err(error) => of_json(&error),
            Ok(HubFrame::Unknown) => "ignored",
            Ok(_) => "accepted",
        },
        "login" => of_statement::<Login>(text),
        "hub" => of_statement::<HubProof>(text),
        "seat" => of_statement::<Seat>(text),
        "genesis" => of_statement::<Genesis>(text),
        "message" => of_statement::<Message>(text),
        "membership" => of_statement::<Membership>(text),
        "key" => of_statement::<Key>(text),
        "join" => of_statement::<Join>(text),
        "entry" => json::parse::<Entry>(text).map_or_else(|error| of_json(&error), |_| "accepted"),
        "body" => Body::parse(text).map_or_else(|error| of_json(&error), |_| "accepted"),
        "agent id" => of_text(text.parse::<AgentId>().is_ok()),
        "user id" => of_text(text.parse::<UserId>().is_ok()),
        "hub id" => of_text(text.parse::<HubId>().is_ok()),
        "join key" => of_text(text.parse::<JoinId>().is_ok()),
        "seed of an agent" => of_text(AgentKey::from_seed_text(text).is_ok()),
        "blob id" => of_text(text.parse::<BlobId>().is_ok()),
        "blob prefix" => of_text(text.parse::<BlobPrefix>().is_ok()),
        "session key" => of_text(text.parse::<SessionKey>().is_ok()),
        "invite key" => of_text(text.parse::<InviteId>().is_ok()),
        "room prefix" => of_text(text.parse::<Room12>().is_ok()),
        "room id" => of_text(text.parse::<RoomId>().is_ok()),
        "nonce" => of_text(text.parse::<Nonce>().is_ok()),
        "salt" => of_text(text.parse::<Salt>().is_ok()),
        "signature" => of_text(text.parse::<Signature>().is_ok()),
        "packet" => {
            let packet = HEXLOWER.decode(text.as_bytes()).expect("packets are written in hex");
            of_text(split_chunk(packet).is_some())
        }
        other => panic!("no such place: {other}"),
    }
}

fn of_text(parses: bool) -> &'static str {
    if parses { "accepted" } else { "malformed" }
}

fn of_json(error: &JsonError) -> &'static str {
    match error {
        JsonError::NotStrict(_) => "not strict JSON",
        JsonError::Shape(_) => "other fields",
    }
}

fn of_statement<S: Statement>(text: &str) -> &'static str {
    let received: Signed<S> = match json::parse(text) {
        Ok(received) => received,
        Err(error) => return of_json(&error),
    };
    match received.verify() {
        Ok(_) => "accepted",
        Err(StatementError::BadSignature(_)) => "bad signature",
        Err(StatementError::TooLong(_)) => "too long",
        Err(StatementError::NeedsNewer { .. }) => "needs a newer version",
        Err(StatementError::BadShape { source, .. }) => of_json(&source),
    }
}
