//! The whole way of a handoff between two clones of one person, through a hub that starts by itself.

use std::collections::HashMap;
use std::fs;

use kit::{Random, Snapshot};
use serde_json::{Value, json};

use crate::two::{Two, answer, parler, set_traps};

/// Returns the shape of an answer: its fields, with an empty value of the kind that stands there.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), shape(field))).collect(),
        Value::Array(items) => items.first().map(shape).into_iter().collect(),
        Value::String(_) => json!(""),
        Value::Number(_) => json!(0),
        Value::Bool(_) => json!(false),
        Value::Null => json!(null),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

#[test]
fn a_push_in_one_clone_is_applied_in_another_without_an_id() {
    let two = Two::new();
    set_traps(&two.behind.join(".git"));
    let pushed = two.push(&["--base", &two.base]);
    let before = Snapshot::besides_handoffs(&two.behind);
    let listed = answer(&two.env, &two.behind, "list", &[]);
    assert_eq!(listed["handoffs"][0]["id"], pushed["id"]);
    assert_eq!(listed["handoffs"][0]["state"], json!("new"));
    let shown = two.parler(&["show"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert_eq!(two.env.git(&two.behind, ["for-each-ref", "refs/parler"]), "");
    let run = two.parler(&["apply"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let digits = &text(&pushed["id"])[..12];
    assert!(run.stderr.starts_with(&format!("Newest handoff here: {digits} ")), "{}", run.stderr);
    assert_eq!(run.stdout.lines().next().unwrap(), format!("Applied 3 commits as refs/parler/{digits}"));
    assert_eq!(two.env.git(&two.behind, ["rev-parse", &format!("refs/parler/{digits}")]), two.tip);
    assert_eq!(before.differences(), [""; 0]);
    assert!(!two.behind.join(".git/trapped").exists());
    two.env.git(&two.behind, ["fsck", "--strict"]);
    let listed = answer(&two.env, &two.behind, "list", &[]);
    assert_eq!(listed["handoffs"][0]["state"], json!("applied"));
    // Nothing is left to take, and one's own is nothing to take either.
    for repo in [&two.behind, &two.ahead] {
        let run = parler(&two.env, repo, &["apply"]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""), "{}", run.stderr);
    }
}

#[test]
fn every_answer_has_the_fields_that_are_promised() {
    let two = Two::new();
    let pushed = two.push(&["--base", &two.base, "-m", "three commits"]);
    let expected = json!({
        "id": "", "refs": [{ "branch": "", "commit": "" }], "tip": "", "prerequisites": [""], "commits": 0,
        "objects": 0, "size": 0, "summary": "", "room": "", "seq": 0, "deduplicated": false,
    });
    assert_eq!(shape(&pushed), expected);
    assert_eq!(pushed["summary"], json!("three commits"));
    let id = text(&pushed["id"]);
    let handoff = json!({
        "id": "", "author": { "id": "", "name": "" }, "summary": "", "tip": "", "prerequisites": [""],
        "commits": 0, "size": 0, "seq": 0, "state": "",
    });
    let in_behind = |verb: &str, args: &[&str]| answer(&two.env, &two.behind, verb, args);
    assert_eq!(shape(&in_behind("list", &[])), json!({ "handoffs": [handoff] }));
    let applied = json!({
        "id": "", "refs": [{ "ref": "", "branch": "", "commit": "" }], "ref": "", "tip": "",
        "prerequisites": [""], "author": { "id": "", "name": "" }, "signature": "",
        "commits": [{ "id": "", "subject": "" }], "surface": [], "surface_checked": false,
        "already_applied": false,
    });
    let mut shown = applied.clone();
    shown["stat"] = json!([{ "path": "", "added": 0, "deleted": 0 }]);
    shown["prerequisites_missing"] = json!([]);
    shown["claim_differs"] = json!([]);
    assert_eq!(shape(&in_behind("show", &[id])), shown);
    let file = two.file("fetched.bundle");
    let fetched = in_behind("fetch", &[id, "-o", &file]);
    assert_eq!(fetched, json!({ "id": id, "path": file, "size": pushed["size"] }));
    let answered = in_behind("apply", &[id]);
    assert_eq!(shape(&answered), applied);
    assert_eq!(answered["signature"], json!("valid"));
    assert_eq!(answered["author"]["name"], json!("ada/ahead"));
    assert_eq!(shape(&in_behind("drop", &[id])), json!({ "refs": [""] }));
    let who = json!({ "me": { "id": "", "name": "" }, "user": "", "seat": "", "hub": "" });
    assert_eq!(shape(&in_behind("whoami", &[])), who);
    let doctor = in_behind("doctor", &[]);
    for finding in doctor["findings"].as_array().unwrap() {
        let fields: Vec<_> = finding.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["code", "level", "message", "fix"]);
        assert_ne!(finding["level"], json!("error"), "{finding}");
    }
    let status = in_behind("status", &[]);
    let fields: Vec<_> = status.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["me", "user", "hub", "session", "members", "pending", "unread"]);
    let hub = json!({ "url": "", "hub_key": "", "pid": 0, "data": "" });
    assert_eq!(shape(&answer(&two.env, &two.behind, "hub", &["--status"])), hub);
}

#[test]
fn a_push_of_the_same_posts_nothing_again() {
    let two = Two::new();
    let first = two.push(&["--base", &two.base]);
    let second = two.push(&["--base", &two.base]);
    assert_eq!((&first["deduplicated"], &second["deduplicated"]), (&json!(false), &json!(true)));
    assert_eq!((&first["id"], &first["seq"]), (&second["id"], &second["seq"]));
    let listed = answer(&two.env, &two.behind, "list", &[]);
    assert_eq!(listed["handoffs"].as_array().unwrap().len(), 1);
    let run = parler(&two.env, &two.ahead, &["push", "--base", &two.base]);
    assert_eq!(run.code, Some(0));
    assert!(run.stdout.contains(" was handed over before: "), "{}", run.stdout);
}

#[test]
fn worktrees_of_one_repository_hand_over_references_alone() {
    let two = Two::new();
    two.env.git(&two.ahead, ["worktree", "add", "--quiet", "--detach", "../tree", &two.base]);
    two.push(&["--base", &two.base]);
    let objects = Snapshot::of(two.ahead.join(".git/objects"));
    let run = parler(&two.env, &two.env.path("tree"), &["apply"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let first = run.stdout.lines().next().unwrap();
    assert!(first.ends_with("; every object was here already"), "{first}");
    assert_eq!(objects.differences(), [""; 0]);
}

#[test]
fn a_second_handoff_builds_on_the_one_that_was_applied() {
    let two = Two::new();
    two.push(&["--base", &two.base]);
    assert_eq!(two.parler(&["apply"]).code, Some(0));
    let newest = two.env.commit(&two.ahead, "more", "more\n", "more");
    let pushed = two.push(&["--base", &two.tip]);
    assert_eq!(two.parler(&["apply"]).code, Some(0));
    let name = format!("refs/parler/{}", &text(&pushed["id"])[..12]);
    assert_eq!(two.env.git(&two.behind, ["rev-parse", &name]), newest);
    two.env.git(&two.behind, ["fsck", "--strict"]);
    // And the other way, from what was applied there.
    two.env.git(&two.behind, ["merge", "--quiet", "--ff-only", &name]);
    let back = two.env.commit(&two.behind, "back", "back\n", "back");
    let pushed = answer(&two.env, &two.behind, "push", &["--base", &newest]);
    let applied = answer(&two.env, &two.ahead, "apply", &[text(&pushed["id"])]);
    assert_eq!(applied["tip"], json!(back));
}

#[test]
fn fetch_writes_a_file_that_git_reads_and_overwrites_none() {
    let two = Two::new();
    let pushed = two.push(&["--base", &two.base]);
    let id = text(&pushed["id"]);
    let run = two.parler(&["fetch", &id[..4]]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let name = format!("{}.bundle", &id[..12]);
    two.env.git(&two.behind, ["bundle", "verify", &name]);
    let sum = two.env.run(&two.behind, "sha256sum", [&name]).stdout;
    assert_eq!(sum.split(' ').next(), Some(id));
    let again = two.parler(&["fetch", id]);
    let expected = format!("error: {name} exists\n");
    assert_eq!(again.code, Some(128));
    assert!(again.stderr.starts_with(&expected), "{}", again.stderr);
    assert_eq!(two.parler(&["fetch", "--force", id]).code, Some(0));
    let streamed =
        two.env.run(&two.behind, "bash", ["-c", &format!("git parler fetch {id} -o - | cmp - {name}")]);
    assert_eq!((streamed.code, streamed.stdout.as_str()), (Some(0), ""), "{}", streamed.stderr);
}

#[test]
fn an_id_that_is_too_short_or_unknown_is_told_apart() {
    let two = Two::new();
    two.push(&["--base", &two.base]);
    let before = Snapshot::of(&two.behind);
    for verb in ["apply", "show", "fetch"] {
        for (id, code) in [("abc", 129), ("xyz12", 129), ("0000", 1), ("00000000", 1)] {
            let run = two.parler(&[verb, id]);
            assert_eq!((run.code, run.stdout.as_str()), (Some(code), ""), "{verb} {id}: {}", run.stderr);
            assert_eq!(run.stderr.matches("error: ").count(), 1, "{verb} {id}: {}", run.stderr);
            assert!(run.stderr.contains("\nhint: "), "{verb} {id}: {}", run.stderr);
        }
        let run = two.parler(&[verb, "--json"]);
        let error: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!((run.code, &error["error"]["code"]), (Some(129), &json!("usage")), "{verb}");
    }
    assert_eq!(before.differences(), [""; 0]);
}

#[test]
fn an_ambiguous_id_lists_the_candidates() {
    let two = Two::new();
    // Hundreds of small bundles, until two ids begin alike; the recorded pair comes first, and finds itself.
    let order = RECORDED_PAIR.iter().copied().chain(1..=900);
    let mut seen = HashMap::<String, usize>::new();
    let mut pair = None;
    for number in order {
        let script = format!(
            "git update-ref refs/heads/n{number} $(git commit-tree -p main -m n{number} 'main^{{tree}}') && \
             git parler push -q n{number} --base main -o - | sha256sum"
        );
        let id = two.env.run(&two.ahead, "bash", ["-c", &script]).stdout;
        match seen.insert(id[..4].to_owned(), number) {
            Some(other) if other != number => {
                pair = Some(([other, number], id[..4].to_owned()));
                break;
            }
            _ => {}
        }
    }
    let (numbers, digits) = pair.expect("hundreds of ids, two of which begin alike");
    let ids = numbers.map(|number| two.push(&[&format!("n{number}"), "--base", "main"])["id"].clone());
    let run = two.parler(&["apply", &digits]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(129), ""), "{numbers:?}: {}", run.stderr);
    let expected = format!("error: {digits} is ambiguous: it may be ");
    assert!(run.stderr.starts_with(&expected), "{numbers:?}: {}", run.stderr);
    for id in ids {
        assert!(run.stderr.contains(&text(&id)[..12]), "{numbers:?}: {}", run.stderr);
    }
}

/// Numbers of commits whose bundles have ids that begin alike.
const RECORDED_PAIR: [usize; 2] = [87, 532];

#[test]
fn what_does_not_fit_is_listed_only_when_all_is_asked_for() {
    let two = Two::new();
    let other = two.env.init("other");
    two.env.commit(&other, "other", Random::new(9).bytes(100), "other");
    two.push(&["--base", &two.base]);
    let fits = |args: &[&str]| answer(&two.env, &other, "list", args)["handoffs"].as_array().unwrap().len();
    assert_eq!((fits(&[]), fits(&["--all"])), (0, 1));
    // Outside of a repository everything fits.
    assert_eq!(answer(&two.env, two.env.root(), "list", &[])["handoffs"].as_array().unwrap().len(), 1);
}

#[test]
fn a_missing_prerequisite_names_the_commit_and_the_next_command() {
    let two = Two::new();
    let pushed = two.push(&["--base", "main~1"]);
    let digits = &text(&pushed["id"])[..12];
    let before = Snapshot::of(&two.behind);
    let run = two.parler(&["apply", digits]);
    let missing = two.env.git(&two.ahead, ["rev-parse", "main~1"]);
    let subject = two.env.git(&two.ahead, ["log", "-1", "--format=%s", "main~1"]);
    let expected = format!(
        "error: this bundle builds on a commit you do not have: {} \"{subject}\"\n\
         hint: get it first, for example `git fetch`, then run `git parler apply {digits}` again\n",
        &missing[..12]
    );
    assert_eq!((run.code, run.stderr), (Some(4), expected));
    assert_eq!(before.differences(), [""; 0]);
    let shown = answer(&two.env, &two.behind, "show", &[digits]);
    assert_eq!(shown["prerequisites_missing"], json!([missing]));
}

#[test]
fn keys_are_private_and_never_lie_in_a_repository() {
    let two = Two::new();
    let before = Snapshot::of(&two.ahead);
    two.push(&["--base", &two.base]);
    assert_eq!(before.differences(), [""; 0]);
    let open = ["-perm", "/077", "-not", "-type", "l"];
    let run = two.env.run(two.env.root(), "find", ["p"].iter().chain(&open));
    assert_eq!(run.stdout, "");
    let config = fs::read_to_string(two.env.home().join(".gitconfig")).unwrap();
    assert!(!config.contains("parler"), "{config}");
}
