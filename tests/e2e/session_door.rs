//! The door of a session: a key, a request, an owner who decides, and what a joiner sees before and after.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::json;

use crate::people::{People, Person, texts};

/// What somebody who knows a session's id can ask for.
const QUESTIONS: [&[&str]; 10] = [
    &["recv"],
    &["log"],
    &["list", "--all"],
    &["requests"],
    &["status"],
    &["send", "hello"],
    &["key", "list"],
    &["leave"],
    &["kick", "ada"],
    &["close"],
];

/// Asks all of it in `room`, and says what came back that was not a refusal alike.
fn answered(person: &Person<'_>, url: &str, secret: &str, room: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for question in QUESTIONS {
        let options = ["--hub", url, "--room", room];
        let args: Vec<_> = question.iter().copied().chain(options).collect();
        let mut command = person.command("git");
        command.args(["-c", &format!("parler.joinSecretFile={secret}"), "parler"]).args(args);
        let run = kit::Run::from(command.output().expect("git is there"));
        if run.code != Some(1) || !run.stdout.is_empty() {
            wrong.push(format!("{question:?}: {:?} {}{}", run.code, run.stdout, run.stderr));
        }
    }
    wrong
}

#[test]
fn a_joiner_sees_nothing_before_the_approval_and_everything_after() {
    let people = People::new();
    let (ada, bob, eve) = (people.ada(), people.bob(), people.other("eve"));
    let opened = ada.answer(&["open", "--topic", "retries", "--recap", "we retry with backoff"]);
    let (key, room) = (opened["key"].as_str().unwrap(), opened["room"].as_str().unwrap());
    assert_eq!(opened["join_line"], json!(format!("git parler join {key}")));
    assert!(key.ends_with(&format!("@{}", people.hub.url())), "{key}");
    let pushed = ada.answer(&["push", "--base", &people.two.base, "-m", "retry with backoff"]);
    ada.says(&["send", "look at that"]);

    assert_eq!(bob.refused(&["join", "--no-wait", key]), (3, "pending".to_owned()));
    let (url, secret) = (people.hub.url(), people.two.file("secret"));
    assert_eq!(answered(&bob, &url, &secret, room), [""; 0], "who asks");
    assert_eq!(answered(&eve, &url, &secret, room), [""; 0], "a stranger");
    let id = pushed["id"].as_str().unwrap();
    let fetched = |id: &str| {
        let mut command = eve.command("git");
        command.args([
            "-c",
            &format!("parler.joinSecretFile={secret}"),
            "parler",
            "--hub",
            &url,
            "fetch",
            id,
        ]);
        let run = kit::Run::from(command.output().unwrap());
        (run.code, run.stdout, run.stderr.replace(id, "<id>"))
    };
    assert_eq!(fetched(id), fetched(&"0".repeat(64)), "a blob that exists and one that does not");

    let requests = ada.answer(&["requests"]);
    assert_eq!(requests["requests"].as_array().unwrap().len(), 1);
    assert_eq!(requests["requests"][0]["name"], json!("bob/behind"));
    ada.says(&["approve", requests["requests"][0]["words"].as_str().unwrap()]);
    let joined = bob.answer(&["join", key]);
    assert_eq!((&joined["state"], &joined["room"]), (&json!("member"), &json!(room)));
    assert_eq!(texts(&joined), ["ada/ahead: we retry with backoff", "ada/ahead: look at that"]);
    assert!(joined["messages"].as_array().unwrap().iter().all(|message| message["signature"] == "valid"));
    assert_eq!(answered(&eve, &url, &secret, room), [""; 0], "a stranger, afterwards");
}

#[test]
fn a_handoff_is_a_line_with_the_command_that_applies_it() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    let key = ada.opens(&[]);
    bob.joins(&key, &ada);
    let pushed = ada.answer(&["push", "--base", &people.two.base, "-m", "retry with backoff"]);
    let id = &pushed["id"].as_str().unwrap()[..12];
    let heard = bob.says(&["recv"]);
    let line = heard.lines().last().unwrap();
    assert!(line.contains("ada/ahead handed over") && line.contains("\"retry with backoff\""), "{heard}");
    let command = line.rsplit_once(": ").unwrap().1;
    assert_eq!(command, format!("git parler apply {id}"));
    let shown = bob.says(&["show", id]);
    assert!(shown.contains("\nAuthor: ada/ahead <U") && shown.contains(" (valid signature)\n"), "{shown}");
    let applied = bob.answer(&["apply", id]);
    assert_eq!((&applied["signature"], &applied["author"]["name"]), (&json!("valid"), &json!("ada/ahead")));
    assert_eq!(applied["tip"], json!(people.two.tip));
    let listed = bob.answer(&["list"]);
    assert_eq!(listed["handoffs"][0]["state"], json!("applied"));
}

#[test]
fn join_waits_until_the_owner_decides_and_goes_on_after_ctrl_c() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    let key = ada.opens(&["--recap", "so far"]);
    let mut first = bob.start(&["join", &key]);
    let words = first.told("Your words: ");
    assert_eq!(words.split(' ').count(), 6);
    first.interrupt();
    assert_eq!(first.ended(), (Some(130), String::new()));

    let mut second = bob.start(&["join", "--quiet", &key]);
    assert_eq!(second.told("Your words: "), words);
    assert_eq!(ada.answer(&["requests"])["requests"].as_array().unwrap().len(), 1, "one request, not two");
    ada.says(&["approve", &words]);
    let (code, said) = second.ended();
    assert_eq!(code, Some(0));
    assert!(said.contains("ada/ahead: so far\n"), "{said}");
}

#[test]
fn the_secret_of_another_hub_does_not_stand_in_the_way_of_a_key() {
    let people = People::new();
    let (ada, mut bob) = (people.ada(), people.bob());
    std::fs::write(people.two.file("other secret"), "gpj1-the long secret of another hub\n").unwrap();
    bob.set("PARLER_JOIN_SECRET_FILE", &people.two.file("other secret"));
    let key = ada.opens(&["--recap", "so far"]);
    assert_eq!(texts(&bob.joins(&key, &ada)), ["ada/ahead: so far"]);
}

#[test]
fn a_denial_is_final() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    let key = ada.opens(&[]);
    let mut waiting = bob.start(&["join", &key]);
    waiting.told("Your words: ");
    let denied = ada.answer(&["deny", "bob/behind"]);
    assert_eq!(denied["state"], json!("denied"));
    assert_eq!(waiting.ended(), (Some(1), String::new()));
    assert_eq!(bob.refused(&["join", &key]), (1, "denied".to_owned()));
    let other = ada.answer(&["key", "new"]);
    assert_eq!(bob.refused(&["join", other["key"].as_str().unwrap()]), (1, "key_refused".to_owned()));
    assert_eq!(ada.refused(&["approve", &bob.seat()]).0, 1);
}

#[test]
fn who_joins_without_history_reads_nothing_from_before() {
    let people = People::new();
    let (ada, bob, eve) = (people.ada(), people.bob(), people.other("eve"));
    let key = ada.opens(&["--recap", "so far"]);
    assert_eq!(bob.refused(&["join", "--no-wait", &key]).0, 3);
    ada.says(&["approve", "--no-history", "bob/behind"]);
    assert_eq!(texts(&bob.answer(&["join", &key])), [""; 0]);
    ada.says(&["send", "welcome"]);
    assert_eq!(bob.hears(), ["ada/ahead: welcome"]);
    assert_eq!(texts(&bob.answer(&["log"])), ["ada/ahead: welcome"]);
    assert_eq!(texts(&eve.joins(&key, &ada)), ["ada/ahead: so far", "ada/ahead: welcome"]);
}

#[test]
fn a_key_with_auto_approval_needs_no_decision() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    let opened = ada.start(&["--quiet", "open", "--json", "--auto-approve", "--wait"]);
    let mut opened = opened;
    let answer: serde_json::Value = serde_json::from_str(&opened.line()).unwrap();
    let joined = bob.answer(&["join", answer["key"].as_str().unwrap()]);
    assert_eq!(joined["state"], json!("member"));
    opened.interrupt();
    assert_eq!(opened.ended().0, Some(130));
}

#[test]
fn with_auto_approval_any_command_of_the_owner_lets_in_whoever_asks() {
    let people = People::new();
    let (ada, bob, eve) = (people.ada(), people.bob(), people.other("eve"));
    let slow = ada.opens(&[]);
    let auto = ada.answer(&["key", "new", "--auto-approve"])["key"].as_str().unwrap().to_owned();
    assert_eq!(bob.refused(&["join", "--no-wait", &auto]).0, 3);
    assert_eq!(eve.refused(&["join", "--no-wait", &slow]).0, 3);
    // What went wrong was to keep somebody out.
    let run = ada.parler(&["deny", "bob/behnid"]);
    let two = "2 requests to join wait for you: git parler requests";
    assert_eq!((run.code, run.stderr.lines().last()), (Some(1), Some(two)), "{}", run.stderr);
    // At home, and in no session: the hub names those in which somebody waits.
    let run = ada.parler(&["recv", "--room", "home", "--wait", "0s"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let told: Vec<_> = run.stderr.lines().collect();
    assert!(told[0].starts_with("bob/behind is a member of session "), "{told:?}");
    assert!(told[0].ends_with(" now: the key lets in whoever asks"), "{told:?}");
    assert_eq!(told.last(), Some(&"1 request to join waits for you: git parler requests"));
    assert_eq!(bob.answer(&["join", &auto])["state"], json!("member"));
    bob.says(&["leave"]);
    assert_eq!(bob.refused(&["join", "--no-wait", &auto]).0, 3);
    let answer = ada.answer(&["requests"]);
    let listed = answer["requests"].as_array().unwrap();
    assert_eq!(listed.len(), 1, "whom nobody need decide about is let in before: {answer}");
    assert_eq!((&listed[0]["name"], &listed[0]["auto"]), (&json!("eve/eve"), &json!(false)));
    assert_eq!(bob.answer(&["join", &auto])["state"], json!("member"));
}

#[test]
fn open_with_wait_asks_on_the_terminal() {
    let people = People::new();
    let (ada, bob, eve) = (people.ada(), people.bob(), people.other("eve"));
    let mut script = ada.command("timeout");
    script.args(["60", "script", "-qefc", "git-parler --quiet open --wait --json", "/dev/null"]);
    let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = script.stdin.take().unwrap();
    let mut seen = crate::people::Lines::of(script.stdout.take().unwrap());
    let line = seen.until("{\"session\"");
    let opened: serde_json::Value = serde_json::from_str(line.trim()).unwrap();
    let key = opened["key"].as_str().unwrap();

    let mut waiting = bob.start(&["join", key]);
    let words = waiting.told("Your words: ");
    // Asked not to say much, it asks all the same with everything that the question is about.
    assert!(seen.until("  words  ").contains(&words));
    seen.until("Let them in? [y/n]");
    input.write_all(b"perhaps\n").unwrap();
    seen.until("Answer y to let them in, or n to turn them away for good");
    seen.until("Let them in? [y/n]");
    input.write_all(b"y\n").unwrap();
    seen.until("bob/behind is a member now");
    assert_eq!(waiting.ended().0, Some(0));

    // Typed while nobody asks, and seen by the terminal, which echoes it: no answer to the next question.
    input.write_all(b"yes\n").unwrap();
    seen.until("yes");
    let mut waiting = eve.start(&["join", key]);
    waiting.told("Your words: ");
    seen.until("eve/eve asks to join");
    seen.until("Let them in? [y/n]");
    input.write_all(b"n\n").unwrap();
    assert_eq!(waiting.ended(), (Some(1), String::new()));

    // Who comes back is asked about again.
    bob.says(&["leave"]);
    let mut waiting = bob.start(&["join", key]);
    waiting.told("Your words: ");
    seen.until("bob/behind asks to join");
    seen.until("Let them in? [y/n]");
    input.write_all(b"y\n").unwrap();
    assert_eq!(waiting.ended().0, Some(0));
    input.write_all(b"\x03").unwrap();
    assert_eq!(script.wait().unwrap().code(), Some(130));
}

#[test]
fn open_with_wait_needs_a_terminal_and_opens_nothing_without_one() {
    let people = People::new();
    let ada = people.ada();
    assert_eq!(ada.refused(&["open", "--wait"]), (129, "usage".to_owned()));
    assert_eq!(ada.answer(&["sessions"]), json!({ "sessions": [] }));
}

#[test]
fn an_owner_is_told_of_requests_at_the_end_of_any_command() {
    let people = People::new();
    let (ada, bob, eve) = (people.ada(), people.bob(), people.other("eve"));
    let key = ada.opens(&["--topic", "retries"]);
    bob.refused(&["join", "--no-wait", &key]);
    let ends = |person: &Person<'_>| person.parler(&["list"]).stderr.lines().last().map(str::to_owned);
    let one = "1 request to join waits for you: git parler requests";
    assert_eq!(ends(&ada).as_deref(), Some(one));
    for args in [
        &["send", "hello"][..],
        &["recv"],
        &["log"],
        &["push", "--base", &people.two.base],
        &["key", "list"],
        &["key", "new"],
        &["sessions"],
        &["use", "retries"],
    ] {
        let run = ada.parler(args);
        assert_eq!((run.code, run.stderr.lines().last()), (Some(0), Some(one)), "{args:?}");
    }
    eve.refused(&["join", "--no-wait", &key]);
    assert_eq!(ends(&ada).as_deref(), Some("2 requests to join wait for you: git parler requests"));
    ada.says(&["approve", "bob/behind"]);
    ada.says(&["deny", "eve/eve"]);
    assert_eq!(ends(&ada), None);
}

#[test]
fn who_waits_at_another_session_is_told_with_its_room_whatever_becomes_of_the_command() {
    let people = People::new();
    let (ada, bob, eve) = (people.ada(), people.bob(), people.other("eve"));
    let opened = ada.answer(&["open", "--topic", "behind"]);
    let behind = &opened["room"].as_str().unwrap()[..12];
    bob.refused(&["join", "--no-wait", opened["key"].as_str().unwrap()]);
    let in_use = ada.opens(&["--topic", "in use"]);
    let last = |args: &[&str]| {
        let run = ada.parler(args);
        (run.code, run.stderr.lines().last().map(str::to_owned).unwrap_or_default())
    };
    let line = format!("1 request to join waits for you: git parler requests --room {behind}");
    for (args, code) in [
        (&["requests"][..], 0),
        (&["status"], 0),
        (&["recv", "--wait", "0s"], 1),
        (&["kick", "nobody"], 1),
        (&["use", "home"], 0),
        (&["requests"], 129),
    ] {
        assert_eq!(last(args), (Some(code), line.clone()), "{args:?}");
    }
    // The command that the line names has shown them, and names the room to go on with.
    let listed = ada.parler(&["requests", "--room", behind]);
    assert!(listed.stdout.starts_with("bob/behind asks to join\n"), "{}", listed.stdout);
    assert!(listed.stderr.contains(&format!("git parler approve --room {behind} <joiner>")));
    assert!(!listed.stderr.contains("for you"), "{}", listed.stderr);
    eve.refused(&["join", "--no-wait", &in_use]);
    ada.says(&["use", "in use"]);
    let told = last(&["list"]).1;
    assert!(told.starts_with("2 requests to join wait for you: git parler requests"), "{told}");
    assert!(told.contains(" requests (1)") && told.contains(&format!("--room {behind} (1)")), "{told}");
    assert_eq!(last(&["requests"]).1, line);
}

#[test]
fn the_local_hub_says_whom_it_serves() {
    let people = People::new();
    let bob = people.bob();
    let run = bob.parler(&["open"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("serves this machine only"), "{}", run.stderr);
    assert!(run.stderr.contains("git parler --hub <url> open"), "{}", run.stderr);
}
