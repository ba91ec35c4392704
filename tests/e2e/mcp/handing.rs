//! Handing over between two agents, from the opening of a session to what their people do, and never more than that.

use serde_json::json;

use super::Agent;
use crate::people::{People, texts};

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

#[test]
fn no_call_changes_a_repository_whatever_its_arguments() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    let key = ada.opens(&[]);
    bob.joins(&key, &ada);
    let id = ada.answer(&["push", "--base", &people.two.base])["id"].as_str().unwrap().to_owned();
    for repository in [&people.two.behind, &people.two.ahead] {
        crate::two::set_traps(&repository.join(".git"));
    }
    let before = [&people.two.behind, &people.two.ahead].map(kit::Snapshot::of);
    let elsewhere = people.two.ahead.to_str().unwrap().to_owned();
    let words = [
        "HEAD",
        "--upload-pack=touch x",
        "-o/etc/passwd",
        "../../etc",
        "main..HEAD",
        "refs/heads/main:refs/heads/evil",
        "a\nb",
        "\u{0}",
        "$(touch x)",
        "@{-1}",
        ":/two",
        "HEAD^{/x}",
        &elsewhere,
        &id,
        "",
        "home",
    ];
    let mut agent = Agent::newer(&bob);
    for word in words {
        for (tool, arguments) in [
            ("parler_push", json!({ "base": word })),
            ("parler_push", json!({ "rev": word })),
            ("parler_push", json!({ "repo": word })),
            ("parler_push", json!({ "summary": word, "base": "HEAD~1", "session": word })),
            ("parler_fetch", json!({ "id": word })),
            ("parler_fetch", json!({ "id": id, "repo": word })),
            ("parler_send", json!({ "text": word, "session": word })),
            ("parler_recv", json!({ "session": word })),
            ("parler_join_session", json!({ "key": word })),
            ("parler_approve_join", json!({ "joiner": word, "decision": "approve" })),
            ("parler_status", json!({ "session": word })),
        ] {
            agent.result(tool, &arguments);
        }
    }
    agent.call("parler_open_session", &json!({ "recap": "x", "topic": "$(touch x)" }));
    for (snapshot, name) in before.iter().zip(["behind", "ahead"]) {
        assert_eq!(snapshot.differences(), [""; 0], "{name}");
    }
}

#[test]
fn a_transfer_that_is_cancelled_leaves_nothing_and_the_next_one_goes_through() {
    let people = People::new();
    let ada = people.ada();
    let big: Vec<u8> = kit::Random::new(7).bytes(8 * 1024 * 1024);
    std::fs::write(people.two.ahead.join("big"), big).unwrap();
    people.two.env.git(&people.two.ahead, ["add", "big"]);
    people.two.env.git(&people.two.ahead, ["commit", "--quiet", "-m", "big"]);
    let mut agent = Agent::older(&ada);
    let call = json!({ "name": "parler_push", "arguments": { "base": "HEAD~1" } });
    let pushing = agent.begin("tools/call", call);
    agent.cancel(pushing);
    let pushed = agent.call("parler_push", &json!({ "base": "HEAD~1" }));
    assert_eq!(pushed["commits"], 1);
    let spooled = std::fs::read_dir(ada.home().join("spool")).unwrap().count();
    assert_eq!(spooled, 0);
    let listed = ada.answer(&["list", "--all"]);
    assert_eq!(listed["handoffs"].as_array().unwrap().len(), 1);
}
