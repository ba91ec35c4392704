//! Resources and prompts: what was said, watched in both eras, and what is known of a handoff.

use serde_json::json;

use super::Agent;
use crate::people::People;

const CURRENT: &str = "parler://session/current";

fn read(agent: &mut Agent, uri: &str) -> String {
    let answer = agent.ask("resources/read", json!({ "uri": uri }));
    let text = answer["result"]["contents"][0]["text"].as_str();
    assert!(text.is_some(), "{answer}");
    text.unwrap_or_default().to_owned()
}

#[test]
fn the_transcript_is_read_and_watched_in_the_older_era() {
    let people = People::new();
    let ada = people.ada();
    ada.opens(&["--recap", "so far"]);
    let mut agent = Agent::older(&ada);
    assert!(read(&mut agent, CURRENT).contains("1 ada/ahead: so far"));
    assert_eq!(agent.ask("resources/subscribe", json!({ "uri": CURRENT }))["result"], json!({}));
    // One notice comes once it is followed, since something may have been said before that; then one for all that is said.
    agent.is_told_of(CURRENT);
    for text in ["more", "and more"] {
        ada.says(&["send", text]);
        agent.is_told_of(CURRENT);
        assert!(read(&mut agent, CURRENT).contains(&format!("ada/ahead: {text}")));
    }
    assert_eq!(agent.ask("resources/unsubscribe", json!({ "uri": CURRENT }))["result"], json!({}));
    let elsewhere = agent.ask("resources/subscribe", json!({ "uri": "parler://bundle/1234" }));
    assert!(elsewhere["error"].is_object(), "{elsewhere}");
}

impl Agent {
    /// Waits for the notice that a resource goes on.
    fn is_told_of(&mut self, uri: &str) {
        assert_eq!(self.notified("notifications/resources/updated")["params"]["uri"], uri);
    }
}

#[test]
fn the_transcript_is_watched_in_the_newer_era() {
    let people = People::new();
    let ada = people.ada();
    ada.opens(&["--recap", "so far"]);
    let mut agent = Agent::newer(&ada);
    let wanted = json!({ "notifications": { "resourceSubscriptions": [CURRENT, "parler://bundle/1234"] } });
    let listening = agent.begin("subscriptions/listen", wanted);
    let acknowledged = agent.notified("notifications/subscriptions/acknowledged");
    assert!(acknowledged.to_string().contains(CURRENT), "{acknowledged}");
    assert!(!acknowledged.to_string().contains("parler://bundle"), "{acknowledged}");
    agent.is_told_of(CURRENT);
    for text in ["more", "and more"] {
        ada.says(&["send", text]);
        agent.is_told_of(CURRENT);
        assert!(read(&mut agent, CURRENT).contains(&format!("ada/ahead: {text}")));
    }
    agent.cancel(listening);
    assert!(read(&mut agent, CURRENT).contains("ada/ahead: so far"));
}

#[test]
fn of_a_handoff_its_metadata_is_read_and_nothing_of_its_bytes() {
    let people = People::new();
    let ada = people.ada();
    let mut agent = Agent::older(&ada);
    let pushed = agent.result("parler_push", &json!({ "base": people.two.base, "summary": "retry" }));
    let link = pushed["content"][1]["uri"].as_str().unwrap().to_owned();
    let facts: serde_json::Value = serde_json::from_str(&read(&mut agent, &link)).unwrap();
    assert_eq!(facts["id"], pushed["structuredContent"]["id"]);
    assert_eq!((&facts["summary"], &facts["commits"]), (&json!("retry"), &json!(3)));
    for wrong in ["parler://bundle/../x", "parler://session/", "parler://other", "file:///etc/passwd"] {
        let answer = agent.ask("resources/read", json!({ "uri": wrong }));
        assert!(answer["error"].is_object(), "{wrong}: {answer}");
    }
    let listed = agent.ask("resources/list", json!({}));
    assert_eq!(listed["result"]["resources"][0]["uri"], CURRENT);
    let templates = agent.ask("resources/templates/list", json!({}));
    assert_eq!(templates["result"]["resourceTemplates"].as_array().unwrap().len(), 2);
}

#[test]
fn the_prompts_are_there() {
    let people = People::new();
    let mut agent = Agent::newer(&people.ada());
    let listed = agent.ask("prompts/list", json!({}));
    let names: Vec<_> =
        listed["result"]["prompts"].as_array().unwrap().iter().map(|of| of["name"].clone()).collect();
    assert_eq!(names, [json!("join"), json!("share")]);
    let join = agent.ask("prompts/get", json!({ "name": "join", "arguments": { "key": "gp1-x\u{1b}" } }));
    let text = join["result"]["messages"][0]["content"]["text"].as_str().unwrap();
    assert!(text.contains("gp1-x\u{fffd}") && text.contains("parler_join_session"), "{text}");
    let share = agent.ask("prompts/get", json!({ "name": "share" }));
    assert!(share["result"]["messages"][0]["content"]["text"].as_str().unwrap().contains("parler_push"));
}
