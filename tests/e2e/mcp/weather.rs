//! What is nobody's fault: many calls at once, a host that ends or listens no more, a hub that goes and comes back.

use kit::Line;
use serde_json::{Value, json};

use super::Agent;
use crate::people::{People, Person, texts};
use crate::served::Served;

/// Opens a session of Ada's, which Bob joins.
fn talk(ada: &Person<'_>, bob: &Person<'_>) {
    let key = ada.opens(&[]);
    bob.joins(&key, ada);
}

#[test]
fn ten_calls_of_all_kinds_at_once_are_all_answered() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    talk(&ada, &bob);
    ada.says(&["send", "before"]);
    let id = ada.answer(&["push", "--base", &people.two.base])["id"].clone();
    for is_newer in [false, true] {
        let mut agent = if is_newer { Agent::newer(&ada) } else { Agent::older(&ada) };
        let calls = [
            ("parler_recv", json!({})),
            ("parler_push", json!({ "base": "HEAD~1" })),
            ("parler_fetch", json!({ "id": id })),
            ("parler_status", json!({})),
            ("parler_send", json!({ "text": "one of ten" })),
            ("parler_recv", json!({ "after": 0 })),
            ("parler_push", json!({ "base": "HEAD~2" })),
            ("parler_fetch", json!({ "id": id })),
            ("parler_status", json!({})),
            ("parler_send", json!({ "text": "another of ten" })),
        ];
        let begun: Vec<_> = calls.iter().map(|(tool, arguments)| agent.begin_call(tool, arguments)).collect();
        for request in begun.into_iter().rev() {
            let answer = agent.answer(request);
            assert_eq!(answer["result"]["isError"], false, "{answer}");
        }
        assert_eq!(agent.end(), Some(0));
        assert_eq!(ada.answer(&["list"])["handoffs"].as_array().unwrap().len(), 3);
    }
    let mut heard = bob.hears();
    heard.sort();
    let one = "ada/ahead: another of ten";
    assert_eq!(heard, [one, one, "ada/ahead: before", "ada/ahead: one of ten", "ada/ahead: one of ten"]);
}

#[test]
fn what_was_not_written_comes_again() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    talk(&ada, &bob);
    let said: Vec<_> = (0..3).map(|number| format!("ada/ahead: {number}")).collect();
    (0..3).for_each(|number| drop(ada.says(&["send", &number.to_string()])));
    // Nobody hears the answer, and the server ends by itself as soon as it notices.
    let mut deaf = Agent::deaf(&bob);
    deaf.begin_call("parler_recv", &json!({}));
    deaf.ends();
    let mut agent = Agent::newer(&bob);
    assert_eq!(texts(&agent.call("parler_recv", &json!({}))), said);
    assert_eq!(texts(&agent.call("parler_recv", &json!({}))), [""; 0]);
}

#[test]
fn an_input_that_ends_behind_a_call_loses_no_message_and_brings_none_twice() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    talk(&ada, &bob);
    for round in 0..5 {
        ada.says(&["send", &round.to_string()]);
        let mut agent = Agent::newer(&bob);
        agent.begin_call("parler_recv", &json!({}));
        let answered = agent.rest();
        let answered: Vec<_> = answered.iter().flat_map(said_in).collect();
        let mut later = Agent::older(&bob);
        let left = texts(&later.call("parler_recv", &json!({})));
        assert_eq!(later.end(), Some(0));
        let all: Vec<_> = answered.into_iter().chain(left).collect();
        assert_eq!(all, [format!("ada/ahead: {round}")]);
    }
}

fn said_in(answer: &Value) -> Vec<String> {
    let facts = &answer["result"]["structuredContent"];
    if facts["messages"].is_array() { texts(facts) } else { Vec::new() }
}

#[test]
fn a_hub_that_ends_between_two_calls_is_told_and_used_again_once_it_is_back() {
    let people = People::new();
    let env = &people.two.env;
    let line = Line::new(1, u64::MAX);
    let start = || Served::behind(&line, env, "behind a line", &[]);
    let mut ada = people.ada();
    ada.set("PARLER_HUB", &line.origin());
    let mut hub = start();
    for is_newer in [false, true] {
        let mut agent = if is_newer { Agent::newer(&ada) } else { Agent::older(&ada) };
        agent.call("parler_send", &json!({ "text": "before" }));
        hub.kill();
        for (tool, arguments) in [
            ("parler_status", json!({})),
            ("parler_send", json!({ "text": "meanwhile" })),
            ("parler_push", json!({ "base": "HEAD~1" })),
        ] {
            let told = agent.refused(tool, &arguments);
            assert!(told.contains("(hub_unreachable)") && told.contains("\nhint: "), "{tool}: {told}");
        }
        hub = start();
        agent.call("parler_push", &json!({ "base": "HEAD~1" }));
        agent.call("parler_send", &json!({ "text": "after" }));
        // One that went and came between two calls is not noticed at all.
        hub.kill();
        hub = start();
        assert_eq!(agent.call("parler_status", &json!({}))["unread"], 0);
        assert_eq!(agent.end(), Some(0));
    }
}
