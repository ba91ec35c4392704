//! What is wrong is a sentence with a remedy, and the server goes on.

use serde_json::{Value, json};

use super::Agent;
use crate::people::People;

#[test]
fn wrong_arguments_are_told_by_their_name() {
    let people = People::new();
    let ada = people.ada();
    let mut agent = Agent::older(&ada);
    for (tool, arguments, part) in [
        ("parler_send", json!({ "text": "x", "to": "y" }), "unknown field `to`"),
        ("parler_send", json!({}), "missing field `text`"),
        ("parler_recv", json!({ "wait": "long" }), "invalid type: string"),
        ("parler_recv", json!({ "wait": 51 }), "`wait` is at most 50 seconds (usage)"),
        ("parler_recv", json!({ "wait": -1 }), "invalid value: integer `-1`"),
        ("parler_fetch", json!({ "id": "../../etc/passwd" }), "is not a handoff id"),
        ("parler_fetch", json!({ "id": "0000" }), "no handoff in your rooms begins with 0000 (not_found)"),
        ("parler_join_session", json!({ "key": "gp1-nonsense" }), "a session key begins with gp1-"),
        ("parler_open_session", json!({ "recap": "x", "ttl": 0 }), "`ttl` is 1 to"),
        ("parler_send", json!({ "text": " " }), "(usage)"),
        ("parler_status", json!({ "session": "ffff" }), "(not_found)"),
        ("parler_push", json!({ "base": "nowhere" }), "(unknown_revision)"),
        ("parler_push", json!({ "repo": "/" }), "(not_a_repository)"),
    ] {
        let told = agent.refused(tool, &arguments);
        assert!(told.starts_with("error: ") && told.contains(part), "{tool} {arguments}: {told}");
    }
    let id = ada.answer(&["push", "--base", &people.two.base])["id"].clone();
    let told = agent.refused("parler_fetch", &json!({ "id": id, "repo": "/" }));
    assert!(told.contains("(not_a_repository)"), "{told}");
    let unknown = agent.ask("tools/call", json!({ "name": "parler_apply", "arguments": {} }));
    assert_eq!(unknown["error"]["code"], -32602);
    let malformed = agent.ask("tools/call", json!({ "arguments": [] }));
    assert_eq!(malformed["error"]["code"], -32602);
    assert_eq!(agent.end(), Some(0));
}

#[test]
fn parameters_of_another_form_are_told_and_methods_of_the_other_era_are_none() {
    let people = People::new();
    let ada = people.ada();
    for (is_newer, method, code) in [
        (false, "tools/call", -32602),
        (true, "tools/call", -32602),
        (false, "resources/subscribe", -32602),
        (true, "resources/subscribe", -32601),
        (false, "subscriptions/listen", -32601),
        (true, "subscriptions/listen", -32602),
        (true, "resources/unsubscribe", -32601),
        (false, "tools/apply", -32601),
    ] {
        let mut agent = if is_newer { Agent::newer(&ada) } else { Agent::older(&ada) };
        let answer = agent.ask(method, json!({ "uri": 7, "notifications": 7 }));
        assert_eq!(answer["error"]["code"], code, "{is_newer} {method}: {answer}");
    }
}

#[test]
fn a_text_beyond_every_bound_is_refused_and_the_next_call_is_served() {
    let people = People::new();
    let mut agent = Agent::older(&people.ada());
    let told = agent.refused("parler_send", &json!({ "text": "x".repeat(200_000) }));
    assert!(told.contains("(too_large)"), "{told}");
    let told = agent.refused("parler_open_session", &json!({ "recap": "x".repeat(2_000_000) }));
    assert!(told.contains("the recap has 2000000 bytes") && told.contains("(too_large)"), "{told}");
    let told = agent.refused("parler_send", &json!({ "text": "x".repeat(10_000_000) }));
    assert!(told.contains("(too_large)"), "{told}");
    // Beyond what one line may have, and lines that are no JSON.
    let huge = agent.begin_call("parler_send", &json!({ "text": "x".repeat(20_000_000) }));
    let answer = agent.answer(huge);
    assert!(answer["error"]["code"].is_i64() && answer["result"].is_null(), "{answer}");
    agent.say_text("{");
    agent.say_text("");
    assert_eq!(agent.call("parler_status", &json!({}))["unread"], 0);
}

#[test]
fn a_hub_that_is_away_is_an_error_and_no_end() {
    let people = People::new();
    let mut ada = people.ada();
    let key = ada.opens(&[]);
    ada.set("PARLER_HUB", "ws://127.0.0.1:1");
    let mut agent = Agent::newer(&ada);
    let told = agent.refused("parler_push", &json!({ "base": people.two.base, "session": "home" }));
    assert!(told.contains("(hub_unreachable)") && told.contains("\nhint: "), "{told}");
    assert!(agent.ask("tools/list", json!({}))["result"]["tools"].is_array());
    drop(key);
}

#[test]
fn settings_that_cannot_be_used_are_told_by_each_call_until_they_are_mended() {
    let people = People::new();
    let ada = people.ada();
    let setting = |value| people.two.env.git(&people.two.ahead, ["config", "parler.insecure", value]);
    setting("perhaps");
    let mut agent = Agent::older(&ada);
    let told = agent.refused("parler_status", &json!({}));
    assert!(told.contains("`parler.insecure` is `perhaps`") && told.contains("(bad_config)"), "{told}");
    setting("false");
    assert_eq!(agent.call("parler_status", &json!({}))["unread"], 0);
}

#[test]
fn a_key_in_the_environment_that_is_none_is_told_with_what_works_without_it() {
    let people = People::new();
    let mut ada = people.ada();
    ada.set("PARLER_SESSION_KEY", "gp1-nonsense");
    let status = Agent::newer(&ada).result("parler_status", &json!({}));
    let told = status["content"][0]["text"].as_str().unwrap();
    assert!(told.contains("note: joining by PARLER_SESSION_KEY failed: a session key begins"), "{told}");
    assert_eq!(status["structuredContent"]["notes"].as_array().map(Vec::len), Some(2), "{status}");
}

#[test]
fn a_session_that_has_ended_and_a_key_that_admits_nobody_are_told() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    let key = ada.opens(&[]);
    bob.joins(&key, &ada);
    let mut agent = Agent::older(&bob);
    agent.call("parler_send", &json!({ "text": "hello" }));
    ada.says(&["kick", "bob/behind"]);
    let told = agent.refused("parler_send", &json!({ "text": "still there?" }));
    assert!(told.starts_with("error: ") && told.contains("hint: "), "{told}");
    let room = ada.answer(&["status"])["session"].as_str().unwrap().to_owned();
    ada.says(&["close"]);
    let mut owner = Agent::older(&ada);
    let told = owner.refused("parler_send", &json!({ "text": "anybody?", "session": room }));
    assert!(told.contains("(closed)") && told.contains("\nhint: "), "{told}");
    let told = Agent::older(&people.other("eve")).refused("parler_join_session", &json!({ "key": key }));
    assert!(told.contains("(key_refused)"), "{told}");
}

#[test]
fn the_tools_are_few_short_and_always_the_same() {
    let people = People::new();
    let ada = people.ada();
    let list = |agent: &mut Agent| agent.ask("tools/list", json!({}))["result"]["tools"].clone();
    let (older, newer) = (list(&mut Agent::older(&ada)), list(&mut Agent::newer(&ada)));
    assert_eq!(older, newer);
    let text = older.to_string();
    assert!(text.len() < 8_000, "{} bytes", text.len());
    for tool in older.as_array().unwrap() {
        let about = tool["description"].as_str().unwrap();
        assert!(about.len() <= 160, "{about}");
        for part in ["title", "inputSchema", "outputSchema", "annotations"] {
            assert!(!tool[part].is_null(), "{tool}");
        }
        assert_eq!(tool["inputSchema"]["additionalProperties"], false);
        for hint in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
            assert!(tool["annotations"][hint].is_boolean(), "{tool}");
        }
    }
    let names: Vec<_> = older.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    let golden = std::fs::read_to_string(crate::mcp::golden("tools.json")).unwrap();
    let golden: Value = serde_json::from_str(&golden).unwrap();
    assert_eq!(older, golden, "a tool changes with a version only: {names:?}");
}
