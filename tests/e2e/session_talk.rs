//! Talking in a session: who hears what, once and in order, and what the commands do with it.

use std::fs::File;
use std::process::Stdio;
use std::thread;

use serde_json::{Value, json};

use crate::people::{People, Person, texts};

/// Ada's session, which Bob has joined.
fn joined<'a>(people: &'a People) -> (Person<'a>, Person<'a>) {
    let (ada, bob) = (people.ada(), people.bob());
    let key = ada.opens(&[]);
    bob.joins(&key, &ada);
    (ada, bob)
}

#[test]
fn each_message_is_shown_once_to_each_reader_and_always_in_the_log() {
    let people = People::new();
    let (ada, bob) = joined(&people);
    for (from, text) in [(&ada, "one"), (&bob, "two"), (&ada, "three")] {
        from.says(&["send", text]);
    }
    assert_eq!(bob.hears(), ["ada/ahead: one", "ada/ahead: three"]);
    assert_eq!(bob.hears(), [""; 0]);
    let nothing = bob.parler(&["recv"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(0), ""));
    assert_eq!(ada.hears(), ["bob/behind: two"]);
    let all = ["ada/ahead: one", "bob/behind: two", "ada/ahead: three"];
    assert_eq!(texts(&bob.answer(&["log"])), all);
    assert_eq!(texts(&ada.answer(&["log"])), all);
    let log = ada.says(&["log"]);
    assert!(log.ends_with("ada/ahead: three\n") && log.contains("bob/behind came in\n"), "{log}");
}

#[test]
fn a_text_comes_from_standard_input_byte_for_byte() {
    let people = People::new();
    let (ada, bob) = joined(&people);
    let text = "first\n\tsecond \u{1f980}\n\n-third";
    let sent = ada.parler_with(&["send", "-"], text.as_bytes());
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    assert_eq!(bob.hears(), [format!("ada/ahead: {text}")]);
    ada.says(&["send", "--", "-1 from me"]);
    assert_eq!(bob.hears(), ["ada/ahead: -1 from me"]);
    let wrong = ada.parler_with(&["send", "-"], b"\xff\xfe");
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(129), ""), "{}", wrong.stderr);
}

#[test]
fn nothing_a_peer_writes_reaches_the_terminal_as_it_is() {
    let people = People::new();
    let (ada, bob) = joined(&people);
    ada.says(&["send", "\u{1b}[2J\u{202e}gnp.exe\u{200b}\u{9b}31m"]);
    let heard = bob.says(&["recv"]);
    assert!(heard.ends_with("ada/ahead: \u{fffd}[2J\u{fffd}gnp.exe\u{fffd}\u{fffd}31m\n"), "{heard:?}");
}

#[test]
fn recv_waits_for_what_comes() {
    let people = People::new();
    let (ada, bob) = joined(&people);
    bob.hears();
    assert_eq!(bob.refused(&["recv", "--wait", "0s"]), (1, "nothing_new".to_owned()));
    let waiting = bob.start(&["recv", "--wait", "10m", "--json"]);
    ada.says(&["send", "there you are"]);
    let (code, said) = waiting.ended();
    assert_eq!(code, Some(0));
    assert_eq!(texts(&serde_json::from_str(&said).unwrap()), ["ada/ahead: there you are"]);
    assert_eq!(bob.hears(), [""; 0]);
}

#[test]
fn recv_with_follow_shows_what_comes_one_object_a_line() {
    let people = People::new();
    let (ada, bob) = joined(&people);
    bob.hears();
    let mut following = bob.start(&["recv", "--follow", "--json"]);
    for text in ["one", "two", "three"] {
        ada.says(&["send", text]);
        let page: Value = serde_json::from_str(&following.line()).unwrap();
        assert_eq!(texts(&page), [format!("ada/ahead: {text}")]);
    }
    following.interrupt();
    assert_eq!(following.ended().0, Some(130));
    assert_eq!(bob.hears(), [""; 0]);
}

#[test]
fn what_did_not_reach_its_reader_is_new_still() {
    let people = People::new();
    let (ada, bob) = joined(&people);
    bob.hears();
    ada.says(&["send", "keep this"]);
    let recv = |out: Stdio| {
        let run = bob.command("git").args(["parler", "recv"]).stdout(out).stderr(Stdio::null()).status();
        run.unwrap().code()
    };
    if std::path::Path::new("/dev/full").exists() {
        assert_eq!(recv(File::options().write(true).open("/dev/full").unwrap().into()), Some(128));
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(recv(writer.into()), Some(0), "that nobody reads is no failure");
    assert_eq!(bob.hears(), ["ada/ahead: keep this"]);
}

#[test]
fn a_message_above_the_limit_is_refused_with_the_limit() {
    let people = People::new();
    let (ada, bob) = joined(&people);
    let run = ada.parler_with(&["send", "-"], &vec![b'x'; 70_000]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(5), ""), "{}", run.stderr);
    assert!(run.stderr.contains("65536"), "{}", run.stderr);
    assert_eq!(ada.refused(&["send", " "]), (129, "usage".to_owned()));
    assert_eq!(bob.hears(), [""; 0]);
}

#[test]
fn two_processes_of_one_seat_lose_nothing_when_they_send_at_once() {
    let people = People::new();
    let (ada, bob) = joined(&people);
    thread::scope(|scope| {
        for process in 0..4 {
            let ada = &ada;
            scope.spawn(move || {
                for number in 0..5 {
                    ada.says(&["send", &format!("{process}.{number}")]);
                }
            });
        }
    });
    let heard = bob.hears();
    for process in 0..4 {
        let own: Vec<_> =
            heard.iter().filter(|text| text.starts_with(&format!("ada/ahead: {process}."))).collect();
        let expected: Vec<_> = (0..5).map(|number| format!("ada/ahead: {process}.{number}")).collect();
        assert_eq!(own, expected.iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_seat_works_in_the_session_it_uses_and_others_at_home() {
    let people = People::new();
    let (ada, bob) = joined(&people);
    let room = bob.answer(&["status"])["session"].clone();
    assert!(room.is_string());
    let sessions = bob.answer(&["sessions"]);
    let session = &sessions["sessions"][0];
    assert_eq!(
        (&session["room"], &session["role"], &session["in_use"]),
        (&room, &json!("member"), &json!(true))
    );
    ada.says(&["use", "home"]);
    assert_eq!(ada.answer(&["status"])["session"], json!(null));
    ada.says(&["send", "to myself"]);
    assert_eq!(bob.hears(), [""; 0]);
    let room = room.as_str().unwrap();
    ada.says(&["send", "--room", &room[..8], "to both"]);
    let mut by_variable = ada.command("git");
    let said =
        by_variable.args(["parler", "send", "by a variable"]).env("PARLER_SESSION", room).output().unwrap();
    assert!(said.status.success());
    ada.says(&["use", room]);
    ada.says(&["send", "back"]);
    assert_eq!(bob.hears(), ["ada/ahead: to both", "ada/ahead: by a variable", "ada/ahead: back"]);
    ada.says(&["send", "--room", "home", "to myself again"]);
    assert_eq!(bob.hears(), [""; 0]);
    // Bob has set no hub: the one of the session is remembered.
    bob.says(&["use", "home"]);
    assert_eq!(bob.answer(&["status"])["hub"]["origin"], json!("local"));
    bob.says(&["send", "--room", &room[..8], "from elsewhere"]);
    bob.says(&["use", &room[..8]]);
    bob.says(&["send", "back again"]);
    assert_eq!(ada.hears(), ["bob/behind: from elsewhere", "bob/behind: back again"]);
}

#[test]
fn who_leaves_is_put_out_or_closes_ends_it() {
    let people = People::new();
    let (ada, mut bob, mut eve) = (people.ada(), people.bob(), people.other("eve"));
    let key = ada.opens(&[]);
    bob.joins(&key, &ada);
    eve.joins(&key, &ada);
    eve.says(&["leave"]);
    assert_eq!(eve.answer(&["status"])["session"], json!(null));
    let kicked = ada.answer(&["kick", "bob/behind"]);
    assert_eq!(kicked["state"], json!("removed"));
    ada.says(&["send", "alone"]);
    let room = ada.answer(&["status"])["session"].as_str().unwrap().to_owned();
    let refused = bob.parler(&["recv"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(128), ""));
    assert!(refused.stderr.contains("put out of its session"), "{}", refused.stderr);
    bob.says(&["use", "home"]);
    // Who knows the secret gets to the hub, and no further.
    for gone in [&mut bob, &mut eve] {
        gone.set("PARLER_HUB", &people.hub.url());
        gone.set("PARLER_JOIN_SECRET_FILE", &people.two.file("secret"));
        assert_eq!(gone.refused(&["recv", "--room", &room]), (1, "not_found".to_owned()));
    }
    ada.says(&["close"]);
    assert_eq!(ada.refused(&["send", "--room", &room, "too late"]), (5, "closed".to_owned()));
    let pushed = ada.refused(&["push", "--room", &room, "--base", &people.two.base]);
    assert_eq!(pushed, (5, "closed".to_owned()));
    let log = ada.says(&["log", "--room", &room]);
    for line in
        ["eve/eve left\n", "bob/behind was put out\n", "ada/ahead: alone\n", "the session was closed\n"]
    {
        assert!(log.contains(line), "{log}");
    }
}
