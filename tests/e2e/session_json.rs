//! The form of the answers about sessions, which is a contract: fields may come, none may change or go.

use serde_json::Value;

use crate::people::People;

/// Returns the form of a value: names of fields with the kinds of what they hold, lists by their last item.
fn form(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(items) => format!("[{}]", items.last().map(form).unwrap_or_default()),
        Value::Object(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("{name}: {}", form(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

#[test]
fn the_answers_about_sessions_keep_their_form() {
    let people = People::new();
    let (ada, bob, eve) = (people.ada(), people.bob(), people.other("eve"));
    let mut forms = String::new();
    let mut note = |name: &str, answer: &Value| forms += &format!("{name} {}\n", form(answer));
    let opened = ada.answer(&["open", "--topic", "forms"]);
    note("open", &opened);
    let key = opened["key"].as_str().unwrap();
    for person in [&bob, &eve] {
        assert_eq!(person.refused(&["join", "--no-wait", key]).0, 3);
    }
    note("requests", &ada.answer(&["requests"]));
    note("approve", &ada.answer(&["approve", "bob/behind"]));
    note("deny", &ada.answer(&["deny", "eve/eve"]));
    note("join", &bob.answer(&["join", key]));
    ada.answer(&["push", "--base", &people.two.base]);
    note("recv", &bob.answer(&["recv"]));
    note("send", &bob.answer(&["send", "hello"]));
    note("log", &bob.answer(&["log", "--after", "3"]));
    note("key list", &ada.answer(&["key", "list"]));
    let made = ada.answer(&["key", "new"]);
    note("key new", &made);
    note("key revoke", &ada.answer(&["key", "revoke", made["id"].as_str().unwrap()]));
    note("sessions", &ada.answer(&["sessions"]));
    note("status", &ada.answer(&["status"]));
    note("use", &ada.answer(&["use", "forms"]));
    note("kick", &ada.answer(&["kick", "bob/behind"]));
    note("close", &ada.answer(&["close"]));
    note("whoami", &ada.answer(&["whoami"]));
    insta::assert_snapshot!(forms, @r#"
    open {session: string, room: string, key: string, join_line: string, expires: number}
    requests {room: string, requests: [{id: string, name: string, words: string, key: string, first_seen: number, confusable_with: [], auto: bool, was_removed: bool}], rejected: [], more: bool}
    approve {room: string, joiner: {id: string, name: string}, state: string}
    deny {room: string, joiner: {id: string, name: string}, state: string}
    join {session: string, room: string, state: string, messages: [{seq: number, from: null, signature: string, sent: null, kind: string, text: null, bundle: null, agents: [{id: string, name: string}], flags: []}], cursor: number}
    recv {room: string, messages: [{seq: number, from: {id: string, name: string}, signature: string, sent: number, kind: string, text: string, bundle: {id: string, summary: string, tip: string, prerequisites: [string], commits: number, size: number, state: string}, agents: [], flags: []}], cursor: number, more: bool, expired: number, flags: []}
    send {room: string, seq: number}
    log {room: string, messages: [{seq: number, from: {id: string, name: string}, signature: string, sent: number, kind: string, text: string, bundle: null, agents: [], flags: []}], cursor: number, more: bool, expired: number, flags: []}
    key list {room: string, keys: [{id: string, key: string, expires: number, uses: number, max_uses: number, auto: bool, state: string}]}
    key new {room: string, id: string, key: string, join_line: string, expires: number}
    key revoke {room: string, id: string, state: string}
    sessions {sessions: [{room: string, topic: string, owner: string, role: string, unread: number, pending: number, closed: bool, in_use: bool}]}
    status {me: {id: string, name: string}, user: string, hub: {origin: string, reachable: bool, key: string}, session: string, members: [{id: string, name: string}], pending: [], unread: number}
    use {session: string, room: string, topic: string}
    kick {room: string, joiner: {id: string, name: string}, state: string}
    close {room: string, seq: number}
    whoami {me: {id: string, name: string}, user: string, seat: string, hub: string}
    "#);
}
