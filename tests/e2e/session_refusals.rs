//! What bad input about sessions gets: its code, its sentence and its remedy, and nothing half-done.

use std::fs;
use std::thread;

use kit::Line;
use serde_json::json;

use crate::people::People;
use crate::served::Served;

#[test]
fn a_mistyped_key_is_told_from_what_is_no_key() {
    let people = People::new();
    let bob = people.bob();
    let key = people.ada().opens(&[]);
    let digits = key.split('@').next().unwrap();
    let last = if digits.ends_with('a') { "b" } else { "a" };
    let mistyped = format!("{}{last}", &digits[..digits.len() - 1]);
    for (key, sentence) in [
        (mistyped.as_str(), "error: the session key is mistyped: its check does not fit\n"),
        ("gp1-short", "error: a session key begins with gp1- and has 48 characters behind it\n"),
        ("hello", "error: a session key begins with gp1- and has 48 characters behind it\n"),
        ("", "error: a session key begins with gp1- and has 48 characters behind it\n"),
    ] {
        let run = bob.parler(&["join", key]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(129), ""), "{key}");
        assert!(run.stderr.starts_with(sentence), "{}", run.stderr);
        assert!(run.stderr.contains("hint: copy the whole key"), "{}", run.stderr);
        assert!(key.is_empty() || !run.stderr.contains(key), "a key stands in no error: {}", run.stderr);
    }
    let run = bob.parler(&["join", &format!("{digits}@http://hub.example")]);
    assert_eq!(run.code, Some(129));
    assert!(!run.stderr.contains(digits), "{}", run.stderr);
    let from_stdin = bob.parler_with(&["join", "--no-wait", "-"], format!("  {key}\n").as_bytes());
    assert_eq!(from_stdin.code, Some(3), "{}", from_stdin.stderr);
}

#[test]
fn keys_that_admit_nobody_are_refused_in_one_and_the_same_way() {
    let people = People::new();
    let (ada, bob, eve) = (people.ada(), people.bob(), people.other("eve"));
    let used = ada.opens(&["--max-uses", "1"]);
    bob.joins(&used, &ada);
    let revoked = ada.answer(&["key", "new"]);
    ada.says(&["key", "revoke", revoked["id"].as_str().unwrap()]);
    let revoked = revoked["key"].as_str().unwrap();
    let unknown = {
        // Another session of the same hub, whose key names a room that it is not for, is made by nobody.
        let (digits, origin) = used.split_once('@').unwrap();
        let room = protocol::invite::SessionKey::new(
            [7; 16],
            digits.parse::<protocol::invite::SessionKey>().unwrap().room12(),
            None,
        );
        format!("{room}@{origin}")
    };
    let answers: Vec<_> = [used.as_str(), revoked, &unknown]
        .into_iter()
        .map(|key| {
            let run = eve.parler(&["join", key]);
            (
                run.code,
                run.stdout,
                run.stderr
                    .lines()
                    .filter(|line| !line.contains("is a new hub"))
                    .collect::<Vec<_>>()
                    .join("\n"),
            )
        })
        .collect();
    assert_eq!(answers[0].0, Some(1), "{answers:?}");
    assert!(answers[0].2.starts_with("error: "), "{answers:?}");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(eve.refused(&["join", revoked]), (1, "key_refused".to_owned()));
    let listed = ada.answer(&["key", "list"]);
    let states: Vec<_> =
        listed["keys"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["used_up", "revoked"]);
}

#[test]
fn a_key_dials_the_hub_that_it_names() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    let key = ada.opens(&[]);
    let other = Served::start(&people.two.env, &people.two.env.path("other"), &[]);
    let run = bob
        .command("git")
        .args(["parler", "join", "--no-wait", &key])
        .env("PARLER_HUB", other.url())
        .output();
    assert_eq!(run.unwrap().status.code(), Some(3));
    let (code, _) = bob.refused(&["join", "--no-wait", "--hub", &other.url(), &key]);
    assert_ne!(code, 3);
    ada.says(&["approve", "bob/behind"]);
    bob.answer(&["join", &key]);
    let home = bob.answer(&["status"]);
    assert_eq!(home["hub"]["origin"], json!(people.hub.url()), "the hub of the session in use");
    let run = bob.command("git").args(["parler", "send", "hello"]).env("PARLER_HUB", other.url()).output();
    assert!(run.unwrap().status.success());
    assert_eq!(ada.hears(), ["bob/behind: hello"]);
}

#[test]
fn only_the_owner_decides() {
    let people = People::new();
    let (ada, bob, eve) = (people.ada(), people.bob(), people.other("eve"));
    let key = ada.opens(&[]);
    bob.joins(&key, &ada);
    eve.refused(&["join", "--no-wait", &key]);
    for acts in [
        ["approve", "eve/eve"].as_slice(),
        &["deny", "eve/eve"],
        &["requests"],
        &["key", "new"],
        &["key", "list"],
        &["kick", "ada/ahead"],
        &["close"],
    ] {
        assert_eq!(bob.refused(acts), (5, "not_owner".to_owned()), "{acts:?}");
    }
    assert_eq!(ada.answer(&["requests"])["requests"].as_array().unwrap().len(), 1);
}

#[test]
fn a_name_that_shows_nothing_or_too_much_is_refused_with_a_remedy() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    let key = ada.opens(&[]);
    let huge = "x".repeat(101);
    for name in ["", " ", "a\u{202e}b", "a\nb", "\u{1b}[2J", &huge] {
        let run = bob.parler(&["join", "--no-wait", "--name", name, &key]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(129), ""), "{name:?}");
        assert!(run.stderr.contains("hint: "), "{}", run.stderr);
        if !name.is_empty() {
            let set = bob
                .command("git")
                .args(["parler", "join", "--no-wait", &key])
                .env("PARLER_NAME", name)
                .output();
            assert_eq!(set.unwrap().status.code(), Some(129), "{name:?}");
        }
    }
    assert_eq!(ada.answer(&["requests"])["requests"], json!([]));
    assert_eq!(bob.refused(&["join", "--no-wait", "--name", "Bob Ünal", &key]).0, 3);
    assert_eq!(ada.answer(&["requests"])["requests"][0]["name"], json!("Bob Ünal"));
}

#[test]
fn a_recap_of_two_megabytes_is_refused_before_anything_is_opened() {
    let people = People::new();
    let ada = people.ada();
    let file = people.two.file("recap");
    fs::write(&file, vec![b'x'; 2 << 20]).unwrap();
    assert_eq!(ada.refused(&["open", "-F", &file]), (5, "too_large".to_owned()));
    assert_eq!(ada.answer(&["sessions"]), json!({ "sessions": [] }));
    let long = "t".repeat(300);
    assert_eq!(ada.refused(&["open", "--topic", &long]).0, 5);
    assert_eq!(ada.refused(&["open", "-F", &people.two.file("missing")]), (128, "io".to_owned()));
    assert_eq!(ada.refused(&["open", "--ttl", "0"]), (129, "usage".to_owned()));
    assert_eq!(ada.refused(&["open", "--ttl", "9999d"]), (129, "usage".to_owned()));
    assert_eq!(ada.refused(&["open", "--max-uses", "0"]), (129, "usage".to_owned()));
    assert_eq!(ada.answer(&["sessions"]), json!({ "sessions": [] }));
    fs::write(&file, vec![b'x'; 1 << 20]).unwrap();
    let key = ada.opens(&["-F", &file]);
    let bob = people.bob();
    let joined = bob.joins(&key, &ada);
    let all: String =
        crate::people::texts(&joined).iter().map(|text| text.strip_prefix("ada/ahead: ").unwrap()).collect();
    assert_eq!(all.len(), 1 << 20);
}

#[test]
fn a_joiner_that_nobody_or_more_than_one_is_has_a_remedy() {
    let people = People::new();
    let (ada, bob, eve) = (people.ada(), people.bob(), people.other("eve"));
    let key = ada.opens(&[]);
    for person in [&bob, &eve] {
        assert_eq!(person.refused(&["join", "--no-wait", "--name", "same", &key]).0, 3);
    }
    assert_eq!(ada.refused(&["approve", "nobody"]), (1, "not_found".to_owned()));
    assert_eq!(ada.refused(&["approve", "same"]), (129, "ambiguous".to_owned()));
    let requests = ada.answer(&["requests"]);
    assert_eq!(requests["requests"][0]["confusable_with"], json!(["same"]));
    ada.says(&["approve", &bob.seat()[..12]]);
    assert_eq!(bob.answer(&["join", &key])["state"], json!("member"));
    assert_eq!(ada.answer(&["requests"])["requests"].as_array().unwrap().len(), 1);
}

#[test]
fn two_seats_of_the_owner_that_decide_at_once_decide_once() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    let key = ada.opens(&[]);
    let room = ada.answer(&["status"])["session"].as_str().unwrap().to_owned();
    assert_eq!(bob.refused(&["join", "--no-wait", &key]).0, 3);
    people.two.env.git(&people.two.ahead, ["worktree", "add", "--quiet", "--detach", "../second"]);
    let folders = [people.two.ahead.clone(), people.two.env.path("second")];
    let codes: Vec<_> = thread::scope(|scope| {
        let decide = |folder: &std::path::PathBuf| {
            let mut command = ada.command("git");
            command.args(["parler", "approve", "--room", &room, "bob/behind"]).current_dir(folder);
            command.output().unwrap().status.code()
        };
        let started: Vec<_> = folders.iter().map(|folder| scope.spawn(move || decide(folder))).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(codes, [Some(0), Some(0)], "who was slower hears of the same decision");
    assert_eq!(bob.answer(&["join", &key])["state"], json!("member"));
    assert_eq!(ada.says(&["log"]).matches("bob/behind came in").count(), 1);
}

#[test]
fn a_session_whose_hub_has_another_key_is_not_spoken_of() {
    let people = People::new();
    let env = &people.two.env;
    let line = Line::new(1, u64::MAX);
    let _first = Served::behind(&line, env, "one", &[]);
    let mut bob = people.bob();
    bob.set("PARLER_HUB", &line.origin());
    let key = bob.opens(&[]);
    let _second = Served::behind(&line, env, "two", &[]);
    for act in [["send", "hello"].as_slice(), &["recv"], &["join", &key]] {
        assert_eq!(bob.refused(act), (128, "hub_key_changed".to_owned()), "{act:?}");
    }
}

#[test]
fn the_users_key_makes_another_machine_the_same_user() {
    let people = People::new();
    let (ada, mut bob) = (people.ada(), people.bob());
    let key = ada.opens(&[]);
    let file = people.two.file("user.key");
    ada.says(&["whoami", "--export-user", &file]);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(ada.refused(&["whoami", "--export-user", &file]).0, 128, "nothing is overwritten");
    bob.says(&["whoami", "--import-user", &file]);
    assert_eq!(bob.answer(&["whoami"])["user"], ada.answer(&["whoami"])["user"]);
    bob.set("PARLER_HUB", &people.hub.url());
    bob.set("PARLER_JOIN_SECRET_FILE", &people.two.file("secret"));
    let eve = people.other("eve");
    assert_eq!(eve.refused(&["join", "--no-wait", &key]).0, 3);
    let room = ada.answer(&["status"])["session"].as_str().unwrap().to_owned();
    bob.says(&["approve", "--room", &room, "eve/eve"]);
    assert_eq!(eve.answer(&["join", &key])["state"], json!("member"));
}

#[test]
fn a_hub_reached_under_a_name_that_it_does_not_know_lets_nobody_in() {
    let people = People::new();
    let mut ada = people.ada();
    let address = people.hub.url().strip_prefix("ws://").unwrap().parse().unwrap();
    let line = Line::new(1, u64::MAX).to(address);
    ada.set("PARLER_HUB", &line.origin());
    let run = ada.parler(&["open"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(128), ""), "{}", run.stderr);
    assert!(run.stderr.contains(&line.origin()) && run.stderr.contains("hint: "), "{}", run.stderr);
    assert_eq!(ada.refused(&["sessions"]), (128, "login_refused".to_owned()));
}
