//! Where a seat works: what is in use, how it goes away from there, and the settings that count before it.

use serde_json::json;

use crate::people::People;

#[test]
fn who_was_put_out_gets_home_from_the_closed_hub_that_is_set() {
    let people = People::new();
    let (ada, mut bob) = (people.ada(), people.bob());
    bob.joins(&ada.opens(&[]), &ada);
    bob.set("PARLER_HUB", &people.hub.url());
    ada.says(&["kick", "bob/behind"]);
    let refused = bob.parler(&["recv"]);
    assert_eq!(refused.code, Some(128));
    assert!(refused.stderr.contains("hint: `git parler use home` goes back"), "{}", refused.stderr);
    let gone = bob.parler(&["use", "home"]);
    assert_eq!((gone.code, gone.stdout.as_str()), (Some(0), "You work at home now\n"), "{}", gone.stderr);
    assert!(gone.stderr.starts_with("warning: the hub at ") && !gone.stderr.contains("use home"));
    assert_eq!(bob.answer(&["use", "home"]), json!({ "session": null, "room": null, "topic": null }));
    let after = bob.parler(&["recv"]);
    assert!(after.stderr.contains("no join secret is known for it"), "{}", after.stderr);
}

#[test]
fn status_names_the_session_also_while_its_hub_is_away() {
    let mut people = People::new();
    let room = people.ada().answer(&["open", "--topic", "retries"])["room"].clone();
    people.hub.kill();
    let ada = people.ada();
    for args in [&["status"][..], &["status", "--room", room.as_str().unwrap()]] {
        let status = ada.answer(args);
        assert_eq!((&status["session"], &status["members"]), (&room, &json!([])), "{args:?}");
        assert_eq!(status["hub"]["reachable"], json!(false));
    }
    let said = ada.says(&["status"]);
    let session = format!("\nSession {}\n", &room.as_str().unwrap()[..12]);
    assert!(said.contains(&session) && !said.contains("your home"), "{said}");
    assert_eq!(ada.answer(&["status", "--room", "home"])["session"], json!(null));
    assert_eq!(ada.refused(&["status", "--room", "unheard of"]), (6, "hub_unreachable".to_owned()));
}

#[test]
fn who_leaves_another_session_stays_where_they_work() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    let keys = [ada.opens(&["--topic", "one"]), ada.opens(&["--topic", "two"])];
    for (key, topic) in keys.iter().zip(["one", "two"]) {
        ada.says(&["use", topic]);
        bob.joins(key, &ada);
    }
    let room = bob.answer(&["status"])["session"].clone();
    assert_eq!(bob.says(&["leave", "--room", "one"]), "You have left the session\n");
    assert_eq!(bob.answer(&["status"])["session"], room);
    assert_eq!(bob.says(&["leave"]), "You have left the session; you work at home now\n");
    assert_eq!(bob.answer(&["status"])["session"], json!(null));
}

#[test]
fn a_setting_that_counts_before_what_was_just_taken_is_told() {
    let people = People::new();
    let (mut ada, bob) = (people.ada(), people.bob());
    let room = ada.answer(&["open", "--topic", "retries"])["room"].as_str().unwrap().to_owned();
    let warned = |run: &kit::Run| {
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stderr.lines().find(|line| line.contains("counts before")).map(str::to_owned)
    };
    assert_eq!(warned(&ada.parler(&["use", "home"])), None);
    people.two.env.git(&people.two.ahead, ["config", "parler.session", &room[..8]]);
    let told = format!(
        "warning: parler.session is `{}`, which counts before what is in use: other commands work there",
        &room[..8]
    );
    assert_eq!(warned(&ada.parler(&["use", "home"])), Some(told.clone()));
    assert_eq!(warned(&ada.parler(&["open"])), Some(told));
    assert_eq!(warned(&ada.parler(&["use", &room])), None);
    ada.set("PARLER_SESSION", "retries");
    assert_eq!(warned(&ada.parler(&["use", &room])), None);
    assert!(
        warned(&ada.parler(&["use", "home"])).unwrap().starts_with("warning: PARLER_SESSION is `retries`")
    );
    ada.set("PARLER_SESSION", "home");
    assert_eq!(warned(&ada.parler(&["use", "home"])), None);

    people.two.env.git(&people.two.behind, ["config", "parler.session", "home"]);
    let key = ada.answer(&["--room", "retries", "key", "new"])["key"].as_str().unwrap().to_owned();
    bob.refused(&["join", "--no-wait", &key]);
    ada.says(&["--room", "retries", "approve", "bob/behind"]);
    assert!(warned(&bob.parler(&["join", &key])).is_some());
}
