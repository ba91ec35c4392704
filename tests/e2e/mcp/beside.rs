//! What is told beside the answers, and what goes on beside the calls.

use serde_json::{Value, json};

use super::Agent;
use crate::people::People;

const CURRENT: &str = "parler://session/current";

/// Returns what a result tells besides, which stands in the text too.
fn notes(result: &Value) -> Vec<String> {
    let text = result["content"][0]["text"].as_str().expect("a text");
    let notes = result["structuredContent"]["notes"].as_array().cloned().unwrap_or_default();
    let notes = notes.iter().map(|note| note.as_str().expect("a sentence").to_owned());
    notes.inspect(|note| assert!(text.contains(&format!("\nnote: {note}")), "{result}")).collect()
}

#[test]
fn who_comes_in_by_a_key_that_says_so_is_told_once() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    let key = ada.opens(&["--auto-approve"]);
    let mut agent = Agent::newer(&ada);
    assert!(notes(&agent.result("parler_status", &json!({}))).is_empty());
    assert_eq!(bob.refused(&["join", "--no-wait", &key]).0, 3);
    // The hub tells of him at some time, and a call that comes later lets him in.
    let told = (0..600).find_map(|_| notes(&agent.result("parler_recv", &json!({ "wait": 1 }))).pop());
    let told = told.expect("he was let in");
    assert!(told.starts_with("bob/behind is a member of session "), "{told}");
    assert!(notes(&agent.result("parler_status", &json!({}))).is_empty());
}

#[test]
fn a_watch_of_the_session_in_use_goes_along_to_another_one() {
    for is_newer in [false, true] {
        let people = People::new();
        let ada = people.ada();
        let mut agent = if is_newer { Agent::newer(&ada) } else { Agent::older(&ada) };
        if is_newer {
            agent.begin(
                "subscriptions/listen",
                json!({ "notifications": { "resourceSubscriptions": [CURRENT] } }),
            );
        } else {
            let watched = agent.ask("resources/subscribe", json!({ "uri": CURRENT }));
            assert_eq!(watched["result"], json!({}), "{watched}");
        }
        // From where on it is watched.
        agent.notified("notifications/resources/updated");
        agent.call("parler_open_session", &json!({ "recap": "so far" }));
        let update = agent.notified("notifications/resources/updated");
        assert_eq!(update["params"]["uri"], CURRENT);
        ada.says(&["send", "more"]);
        agent.notified("notifications/resources/updated");
    }
}

#[test]
fn what_cannot_be_watched_is_refused_and_takes_no_place() {
    let people = People::new();
    let ada = people.ada();
    ada.opens(&["--topic", "fix retries"]);
    let mut agent = Agent::older(&ada);
    for at in 0..5 {
        let uri = format!("parler://session/nowhere-{at}");
        let refused = agent.ask("resources/subscribe", json!({ "uri": uri }));
        assert_eq!(refused["error"]["data"]["uri"], json!(uri), "{refused}");
    }
    let uri = "parler://session/fix%20retries";
    assert_eq!(agent.ask("resources/subscribe", json!({ "uri": uri }))["result"], json!({}));
    assert_eq!(agent.notified("notifications/resources/updated")["params"]["uri"], uri);
}
