//! Lies at the door: who asks to join, who was let in, and into which room.

use std::sync::{Arc, Mutex};

use kit::{LyingHub, Member};
use protocol::frame::{Answer, AskToJoin, JoinerState};
use protocol::id::RoomId;
use protocol::refusal::RefusalCode;
use serde_json::json;

use super::people::{Person, Session};
use super::refused;

/// Returns the names of those whose request may be approved, and how many are not offered.
fn asking(owner: &Person<'_>) -> (Vec<String>, usize) {
    let answer = owner.answer(&["requests"]);
    let requests = answer["requests"].as_array().expect("requests").iter();
    let names = requests.map(|request| request["name"].as_str().expect("a name").to_owned()).collect();
    (names, answer["rejected"].as_array().expect("rejected").len())
}

/// Lets the hub say to whoever asked that the owner of `room` let them in there.
fn says_member(hub: &LyingHub, room: RoomId) {
    let genesis = hub.genesis(room);
    hub.lie(move |_, answer| {
        if let Ok(Answer::JoinState(standing)) = answer {
            standing.state = JoinerState::Member;
            standing.genesis = Some(genesis.clone());
        }
    });
}

#[test]
fn another_agent_under_the_joiners_name_and_key_is_not_offered() {
    let session = Session::opened();
    let (ada, bob) = (session.ada(), session.bob());
    bob.asks();
    assert_eq!(asking(&ada), (vec!["bob/behind".to_owned()], 0));
    let hub = session.hub.origin();
    // The operator has a key pair of its own, and Bob's request with the key's signature under it.
    let mallory = Member::log_in(7, &hub).unwrap();
    let own = protocol::invite::SessionKey::new([9; 16], session.room.room12(), None);
    let forged = mallory.request_to_join(&own, "bob/behind");
    let lie = Arc::new(Mutex::new(None::<fn(&mut AskToJoin, &AskToJoin)>));
    let told = lie.clone();
    session.hub.lie(move |_, answer| {
        if let (Ok(Answer::Requests(list)), Some(lie)) = (answer, *told.lock().unwrap()) {
            list.requests.iter_mut().for_each(|request| lie(&mut request.ask, &forged));
        }
    });
    let lies: [fn(&mut AskToJoin, &AskToJoin); 3] = [
        |ask, forged| ask.join = forged.join.clone(),
        |ask, forged| ask.ask = forged.ask.clone(),
        |ask, forged| *ask = forged.clone(),
    ];
    for forge in lies {
        *lie.lock().unwrap() = Some(forge);
        assert_eq!(asking(&ada), (Vec::new(), 1));
        for args in [["approve", "bob/behind"], ["deny", "bob/behind"]] {
            refused(&ada.parler(&[&args[..], &["--json"]].concat()), 1, "not_found");
        }
    }
    assert_eq!(
        session.hub.entries(session.room).iter().filter(|entry| entry.content.as_message().is_none()).count(),
        0
    );
    *lie.lock().unwrap() = None;
    ada.says(&["approve", "bob/behind"]);
}

#[test]
fn a_key_that_the_owner_did_not_make_asks_for_nothing() {
    let session = Session::opened();
    let (ada, bob) = (session.ada(), session.bob());
    bob.asks();
    // The operator's own key, its own word on it, and a request by it.
    let mut mallory = Member::log_in(7, &session.hub.origin()).unwrap();
    assert_eq!(mallory.put_key(session.room, 9, true).unwrap_err().code, RefusalCode::NotFound);
    let theirs = mallory.open(3).unwrap();
    mallory.put_key(theirs, 9, true).unwrap();
    let own = protocol::invite::SessionKey::new([9; 16], session.room.room12(), None);
    let (ask, key) = (mallory.request_to_join(&own, "mallory"), mallory.sign_key(session.room, 9, true));
    session.hub.lie(move |_, answer| {
        if let Ok(Answer::Requests(list)) = answer {
            for request in &mut list.requests {
                (request.ask, request.key) = (ask.clone(), key.clone());
            }
        }
    });
    assert_eq!(asking(&ada), (Vec::new(), 1));
    ada.says(&["send", "hello"]);
    refused(&ada.parler(&["approve", "--json", "mallory"]), 1, "not_found");
}

#[test]
fn two_who_ask_by_one_name_are_told_apart() {
    let session = Session::opened();
    let ada = session.ada();
    session.bob().asks();
    let key = session.key.parse().unwrap();
    let mut mallory = Member::log_in(7, &session.hub.origin()).unwrap();
    mallory.join(&key, "bob/behind").unwrap();
    let answer = ada.answer(&["requests"]);
    let requests = answer["requests"].as_array().unwrap();
    assert!(requests.iter().all(|request| request["confusable_with"] != json!([])), "{answer}");
    assert_ne!(requests[0]["words"], requests[1]["words"]);
    refused(&ada.parler(&["approve", "--json", "bob/behind"]), 129, "ambiguous");
    let words =
        requests.iter().find(|request| request["id"] == json!(session.bob().id().to_string())).unwrap();
    ada.says(&["approve", words["words"].as_str().unwrap()]);
    session.bob().says(&["join", &session.key]);
}

#[test]
fn another_room_behind_a_key_is_not_entered() {
    let session = Session::opened();
    let (ada, bob) = (session.ada(), session.bob());
    bob.asks();
    // A room of the operator's own making, in which Bob is a member and much is said.
    let mut mallory = Member::log_in(7, &session.hub.origin()).unwrap();
    let trap = mallory.open(3).unwrap();
    mallory.post((trap, 1, protocol::statement::LogPoint::start(trap)), super::MARKER, |_| {}).unwrap();
    mallory.admit(trap, bob.id(), "bob/behind").unwrap();
    says_member(&session.hub, trap);
    refused(&bob.parler(&["join", "--json", &session.key]), 1, "verification_failed");
    assert_eq!(bob.answer(&["status"])["session"], json!(null), "nothing is in use");
    session.hub.repent();
    ada.says(&["approve", "bob/behind"]);
    bob.says(&["join", &session.key]);
}

#[test]
fn an_admission_that_the_owner_did_not_sign_is_none() {
    let session = Session::opened();
    let bob = session.bob();
    session.ada().says(&["send", super::MARKER]);
    bob.asks();
    says_member(&session.hub, session.room);
    // The chain shows no admission: the hub lets Bob read, and he does not.
    session.hub.show(bob.id(), session.room, |_| {});
    refused(&bob.parler(&["join", "--json", &session.key]), 1, "verification_failed");
    assert_eq!(bob.answer(&["status"])["session"], json!(null));
}

#[test]
fn a_denial_that_the_owner_did_not_sign_admits_no_less() {
    let session = Session::opened();
    let (ada, bob) = (session.ada(), session.bob());
    bob.asks();
    session.hub.lie(|_, answer| {
        if let Ok(Answer::JoinState(standing)) = answer {
            standing.state = JoinerState::Denied;
        }
    });
    refused(&bob.parler(&["join", "--json", &session.key]), 1, "denied");
    // A hub can keep people apart; it cannot make that last beyond itself telling the truth.
    session.hub.repent();
    ada.says(&["approve", "bob/behind"]);
    bob.says(&["join", &session.key]);
}

#[test]
fn an_owner_who_is_shown_another_history_admits_nobody() {
    let session = Session::new();
    let (ada, eve) = (session.ada(), session.eve());
    eve.asks();
    session.hub.show(ada.id(), session.room, |entries| entries.truncate(entries.len() - 1));
    refused(&ada.parler(&["approve", "--json", "eve/behind"]), 1, "verification_failed");
    let acts = session.hub.entries(session.room);
    assert_eq!(acts.iter().filter(|entry| entry.content.as_message().is_none()).count(), 1, "Bob alone");
    // What the hub shows now does not undo what it has shown: somebody has to look first.
    session.hub.repent();
    refused(&ada.parler(&["approve", "--json", "eve/behind"]), 1, "verification_failed");
    ada.says(&["use", "--accept-fork"]);
    ada.says(&["approve", "eve/behind"]);
    eve.says(&["join", &session.key]);
}
