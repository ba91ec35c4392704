//! Handing over between two agents, from the opening of a session to what their people do, and never more than that.

use kit::Line;
use serde_json::json;

use super::Agent;
use crate::people::{People, texts};
use crate::served::Served;

#[test]
fn two_agents_hand_code_over_and_a_person_takes_it_in() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    let human = json!({ "action": "accept", "content": { "decision": "approve" } });
    let (mut owner, mut joiner) = (Agent::with_human(&ada, true, human), Agent::older(&bob));
    let opened = owner.call("parler_open_session", &json!({ "recap": "look at the retries" }));
    let key = &opened["key"];
    let asked = joiner.call("parler_join_session", &json!({ "key": key }));
    let let_in =
        owner.call("parler_approve_join", &json!({ "joiner": asked["words"], "decision": "approve" }));
    assert_eq!(let_in["state"], "member");
    let joined = joiner.call("parler_join_session", &json!({ "key": key, "wait": 20 }));
    assert_eq!(texts(&joined), ["ada/ahead: look at the retries"]);

    let pushed =
        owner.call("parler_push", &json!({ "base": people.two.base, "summary": "retry with backoff" }));
    assert_eq!((&pushed["commits"], &pushed["tip"]), (&json!(3), &json!(people.two.tip)));
    let again =
        owner.call("parler_push", &json!({ "base": people.two.base, "summary": "retry with backoff" }));
    assert_eq!((&again["id"], &again["deduplicated"]), (&pushed["id"], &json!(true)));
    owner.call("parler_send", &json!({ "text": "look at the names" }));

    let heard = joiner.call("parler_recv", &json!({ "wait": 20 }));
    let bundle = heard["messages"].as_array().unwrap().iter().find(|message| message["kind"] == "bundle");
    assert_eq!(bundle.unwrap()["bundle"]["id"], pushed["id"]);
    assert_eq!(texts(&heard), ["ada/ahead: look at the names"]);
    let before = kit::Snapshot::of(&people.two.behind);
    let looked = joiner.call("parler_fetch", &json!({ "id": &pushed["id"].as_str().unwrap()[..8] }));
    assert_eq!((&looked["signature"], &looked["author"]["name"]), (&json!("valid"), &json!("ada/ahead")));
    assert_eq!(looked["prerequisites_missing"], json!([]));
    assert_eq!(before.differences(), [""; 0]);
    let bytes = std::fs::read(looked["path"].as_str().unwrap()).unwrap();
    assert!(bytes.starts_with(b"# v2 git bundle\n"));

    // The person pastes what the tool says.
    let command = looked["apply_with"].as_str().unwrap();
    let run = bob.command("sh").args(["-c", &format!("{command} --json")]).output().unwrap();
    let applied: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((&applied["tip"], &applied["signature"]), (&json!(people.two.tip), &json!("valid")));
    let again = joiner.call("parler_fetch", &json!({ "id": pushed["id"] }));
    assert_eq!(again["already_applied"], true);
    joiner.call("parler_send", &json!({ "text": "taken" }));
    assert_eq!(ada.hears(), ["bob/behind: taken"]);
    let status = owner.call("parler_status", &json!({}));
    assert_eq!((&status["role"], status["members"].as_array().unwrap().len()), (&json!("owner"), 2));
    assert_eq!((owner.end(), joiner.end()), (Some(0), Some(0)));
}

/// Commits a file that takes its time on the way.
fn commits_something_big(people: &People) {
    people.two.env.commit(&people.two.ahead, "big", kit::Random::new(7).bytes(8 << 20), "big");
}

#[test]
fn a_transfer_that_is_cancelled_leaves_nothing_and_the_next_one_goes_through() {
    let people = People::new();
    let line = Line::new(1, u64::MAX);
    let _hub = Served::behind(&line, &people.two.env, "behind a line", &[]);
    let mut ada = people.ada();
    ada.set("PARLER_HUB", &line.origin());
    commits_something_big(&people);
    let mut agent = Agent::older(&ada);
    agent.call("parler_status", &json!({}));
    // It begins and comes to no end.
    line.stop_after(1 << 20);
    let params = json!({
        "name": "parler_push", "arguments": { "base": "HEAD~1" }, "_meta": { "progressToken": "t" },
    });
    let pushing = agent.begin("tools/call", params);
    let progress = agent.notified("notifications/progress");
    assert!(progress["params"]["progress"].as_f64().unwrap() > 0.0, "{progress}");
    agent.cancel(pushing);
    // What is said later is answered, so that the end of the call has been heard.
    agent.ask("prompts/list", json!({}));
    line.go_on();
    let listed = ada.answer(&["list", "--all"]);
    assert_eq!(listed["handoffs"], json!([]));
    let spooled = || std::fs::read_dir(ada.home().join("spool")).unwrap().count();
    assert_eq!(spooled(), 0);
    let pushed = agent.call("parler_push", &json!({ "base": "HEAD~1" }));
    assert_eq!((&pushed["commits"], &pushed["deduplicated"]), (&json!(1), &json!(false)));
    assert!(
        !agent.heard.iter().any(|message| message["id"] == pushing && message["result"]["isError"] == false)
    );
    assert_eq!(spooled(), 0);
    let listed = ada.answer(&["list", "--all"]);
    assert_eq!(listed["handoffs"].as_array().unwrap().len(), 1);
}
