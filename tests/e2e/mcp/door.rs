//! The door of a session with agents at both sides: who is asked, and what counts as an answer.

use serde_json::{Value, json};

use super::{Agent, until};
use crate::people::{People, Person, texts};

/// What a human answers.
fn decided(decision: &str) -> Value {
    json!({ "action": "accept", "content": { "decision": decision } })
}

/// Opens a session and has the other agent ask to join; returns the key and the words.
fn at_the_door(owner: &mut Agent, joiner: &mut Agent) -> (String, String) {
    let opened =
        owner.call("parler_open_session", &json!({ "recap": "retries need a test", "topic": "retry" }));
    let key = opened["key"].as_str().expect("a key").to_owned();
    assert_eq!(opened["join_line"], format!("git parler join {key}"));
    let asked = joiner.call("parler_join_session", &json!({ "key": key }));
    assert_eq!((&asked["state"], &asked["messages"]), (&json!("pending"), &json!([])));
    let words = asked["words"].as_str().expect("words").to_owned();
    assert_eq!(words.split(' ').count(), 6);
    (key, words)
}

#[test]
fn a_human_who_accepts_the_form_decides_in_both_eras() {
    for is_newer in [false, true] {
        for (decision, state) in [("approve", "member"), ("deny", "denied")] {
            let people = People::new();
            let (ada, bob) = (people.ada(), people.bob());
            let mut owner = Agent::with_human(&ada, is_newer, decided(decision));
            let mut joiner = Agent::older(&bob);
            let (key, words) = at_the_door(&mut owner, &mut joiner);
            // What the agent proposes is not what counts.
            let proposed = if decision == "approve" { "deny" } else { "approve" };
            let arguments = json!({ "joiner": words, "decision": proposed });
            let decided = owner.call("parler_approve_join", &arguments);
            assert_eq!(
                (&decided["state"], &decided["joiner"]["name"]),
                (&json!(state), &json!("bob/behind"))
            );
            let question = owner.heard.iter().map(Value::to_string).collect::<String>();
            assert!(question.contains(&words) && question.contains("bob/behind asks to join"), "{question}");
            let joined = joiner.call("parler_join_session", &json!({ "key": key, "wait": 5 }));
            assert_eq!(joined["state"], state);
            let expected: &[&str] = if state == "member" { &["ada/ahead: retries need a test"] } else { &[] };
            assert_eq!(texts(&joined), expected);
        }
    }
}

/// Has the owner's agent decide; returns the state, and whether the joiner still waits afterwards.
fn undecided(ada: &Person<'_>, owner: &mut Agent, joiner: &mut Agent) -> (String, bool) {
    let (_, words) = at_the_door(owner, joiner);
    let decided = owner.call("parler_approve_join", &json!({ "joiner": words, "decision": "deny" }));
    let waiting = ada.answer(&["requests"])["requests"].as_array().expect("a list").len();
    (decided["state"].as_str().expect("a state").to_owned(), waiting == 1)
}

#[test]
fn what_a_host_says_with_nobody_there_is_no_no() {
    for is_newer in [false, true] {
        for human in [
            json!({ "action": "decline" }),
            json!({ "action": "cancel" }),
            json!({ "action": "accept" }),
            json!({ "action": "accept", "content": { "decision": "maybe" } }),
        ] {
            let people = People::new();
            let (ada, bob) = (people.ada(), people.bob());
            let mut owner = Agent::with_human(&ada, is_newer, human.clone());
            let outcome = undecided(&ada, &mut owner, &mut Agent::older(&bob));
            assert_eq!(outcome, ("pending".to_owned(), true), "{human}");
        }
    }
}

#[test]
fn a_host_that_could_ask_and_failed_leaves_the_request_waiting_whatever_agents_may() {
    for human in ["error", "decline"] {
        let people = People::new();
        let (ada, bob) = (people.ada(), people.bob());
        people.two.env.git(&people.two.ahead, ["config", "parler.mcp.agentMayApprove", "true"]);
        let mut owner = match human {
            "error" => Agent::that_fails_to_ask(&ada, json!({ "code": -32603, "message": "no window" })),
            action => Agent::with_human(&ada, false, json!({ "action": action })),
        };
        let outcome = undecided(&ada, &mut owner, &mut Agent::older(&bob));
        assert_eq!(outcome, ("pending".to_owned(), true), "{human}");
    }
}

#[test]
fn where_the_host_cannot_ask_the_human_is_told_what_to_run() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    let (mut owner, mut joiner) = (Agent::newer(&ada), Agent::newer(&bob));
    let (_, words) = at_the_door(&mut owner, &mut joiner);
    let told = owner.call("parler_approve_join", &json!({ "joiner": words, "decision": "approve" }));
    assert_eq!(told["state"], "needs_human");
    let command = told["command"].as_str().unwrap();
    assert_eq!(ada.answer(&["requests"])["requests"].as_array().unwrap().len(), 1);
    let args: Vec<_> = command.strip_prefix("git parler ").unwrap().split(' ').collect();
    assert_eq!(ada.says(&args), "bob/behind is a member now\n");
    let again = owner.call("parler_approve_join", &json!({ "joiner": words, "decision": "approve" }));
    assert_eq!((&again["state"], &again["joiner"]["name"]), (&json!("member"), &json!("bob/behind")));
}

#[test]
fn an_agent_decides_alone_only_where_its_human_has_said_so() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    people.two.env.git(&people.two.ahead, ["config", "parler.mcp.agentMayApprove", "true"]);
    let (mut owner, mut joiner) = (Agent::older(&ada), Agent::older(&bob));
    let (_, words) = at_the_door(&mut owner, &mut joiner);
    let decided = owner.call("parler_approve_join", &json!({ "joiner": words, "decision": "approve" }));
    assert_eq!(decided["state"], "member");
}

#[test]
fn no_variable_has_an_agent_decide_alone() {
    let ways: [&[(&str, &str)]; 2] = [
        &[
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "parler.mcp.agentMayApprove"),
            ("GIT_CONFIG_VALUE_0", "true"),
        ],
        &[("GIT_CONFIG_PARAMETERS", "'parler.mcp.agentMayApprove'='true'")],
    ];
    for way in ways {
        let people = People::new();
        let (mut ada, bob) = (people.ada(), people.bob());
        for (name, value) in way {
            ada.set(name, value);
        }
        let (mut owner, mut joiner) = (Agent::older(&ada), Agent::older(&bob));
        let (_, words) = at_the_door(&mut owner, &mut joiner);
        let told = owner.call("parler_approve_join", &json!({ "joiner": words, "decision": "approve" }));
        assert_eq!(told["state"], "needs_human", "{way:?}");
    }
}

#[test]
fn an_answer_to_another_question_or_with_a_state_of_nobody_decides_nothing() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    let mut owner = Agent::with_human(&ada, true, decided("deny"));
    let mut joiner = Agent::older(&bob);
    let (_, words) = at_the_door(&mut owner, &mut joiner);
    let call = |arguments: Value, state: Value| {
        let answers = json!({ "decision": decided("deny") });
        json!({ "name": "parler_approve_join", "arguments": arguments, "inputResponses": answers, "requestState": state })
    };
    let arguments = json!({ "joiner": words, "decision": "deny" });
    let asked = owner.ask("tools/call", json!({ "name": "parler_approve_join", "arguments": arguments }));
    let state = asked["result"]["requestState"].clone();
    assert!(state.is_string(), "{asked}");
    // Somebody else asks meanwhile, and the answer about the first one is handed in for the second.
    let key = ada.says(&["key", "list", "--json"]);
    let key: Value = serde_json::from_str(&key).unwrap();
    let eve = people.other("eve");
    assert_eq!(eve.refused(&["join", "--no-wait", key["keys"][0]["key"].as_str().unwrap()]).0, 3);
    let about_eve = json!({ "joiner": eve.seat(), "decision": "deny" });
    for (arguments, state) in
        [(about_eve, state), (arguments.clone(), json!("rs1.made-up")), (arguments, Value::Null)]
    {
        let answer = owner.ask("tools/call", call(arguments, state));
        assert_eq!(answer["result"]["isError"], true, "{answer}");
    }
    assert_eq!(ada.answer(&["requests"])["requests"].as_array().unwrap().len(), 2);
}

#[test]
fn a_key_in_the_environment_asks_to_join_by_itself() {
    let people = People::new();
    let (ada, mut bob) = (people.ada(), people.bob());
    let key = ada.opens(&["--recap", "so far"]);
    bob.set("PARLER_SESSION_KEY", &key);
    let mut joiner = Agent::older(&bob);
    // It asks as soon as it runs, whether the agent does anything or not.
    let words = until("it asks to join", || {
        ada.answer(&["requests"])["requests"][0]["words"].as_str().map(str::to_owned)
    });
    let status = joiner.result("parler_status", &json!({}));
    let told = status["content"][0]["text"].as_str().unwrap_or_default();
    assert!(told.contains(&words), "{status}");
    ada.says(&["approve", &words]);
    // The session is in use from then on, without a word of the agent's. Until then the server is at home.
    let joined = until("it has joined", || {
        let heard = texts(&joiner.call("parler_recv", &json!({})));
        (!heard.is_empty()).then_some(heard)
    });
    assert_eq!(joined, ["ada/ahead: so far"]);
}
