//! What a stranger's change could run or alter is said before it is taken, and refused where policy wants that.

use std::path::Path;

use client::settings::{HubAddress, RoomChoice};
use kit::Env;
use protocol::part::{BundlePart, PartCommit, PartStat};
use serde_json::json;

use crate::environment;
use crate::two::{answer, parler};

/// A project and a clone of it; the project has a commit more, which touches what can run.
fn ground() -> Env {
    let env = environment();
    let source = env.init("source");
    env.commit(&source, "src/lib.rs", "pub fn one() {}\n", "one");
    env.git(env.root(), ["clone", "--quiet", "source", "target"]);
    env.commit(&source, ".github/workflows/ci.yml", "on: push\n", "test it");
    env.commit(&source, "src/lib.rs", "pub fn one() {} // \u{202e}\n", "reorder");
    env
}

fn expected() -> serde_json::Value {
    json!([
        { "code": "ci", "paths": [".github/workflows/ci.yml"], "count": 1 },
        { "code": "hidden_characters", "paths": ["src/lib.rs"], "count": 1 },
    ])
}

const REPORT: &str = "Beyond plain source it touches what can run or be obeyed:
  Runs in CI: .github/workflows/ci.yml
  Added lines or names with characters that do not show, or that reorder what shows: src/lib.rs
";

#[test]
fn show_and_apply_report_the_surface_through_a_hub_and_of_a_file() {
    let env = ground();
    let (source, target) = (env.path("source"), env.path("target"));
    let id = answer(&env, &source, "push", &["--base", "HEAD~2"])["id"].as_str().unwrap().to_owned();
    answer(&env, &source, "push", &["--base", "HEAD~2", "-o", "../change.bundle"]);
    for (dir, argument) in [(&target, id.as_str()), (&target, "../change.bundle"), (&source, &id)] {
        let shown = answer(&env, dir, "show", &[argument]);
        assert_eq!((&shown["surface"], &shown["surface_checked"]), (&expected(), &json!(true)), "{argument}");
        let text = parler(&env, dir, &["show", argument]).stdout;
        assert!(text.ends_with(&format!("deleted\n\n{REPORT}")), "{text}");
        let tried = answer(&env, dir, "apply", &["--dry-run", argument]);
        assert_eq!((&tried["surface"], &tried["surface_checked"]), (&expected(), &json!(true)), "{argument}");
    }
    // Without the base nothing is known, and that is said.
    let shown = answer(&env, env.root(), "show", &[&id]);
    assert_eq!((&shown["surface"], &shown["surface_checked"]), (&json!([]), &json!(false)));
    let applied = parler(&env, &target, &["apply", &id]);
    assert!(applied.stdout.ends_with(REPORT), "{}", applied.stdout);
    assert!(applied.stderr.starts_with("hint: look at it:"), "{}", applied.stderr);
    assert_eq!(answer(&env, &target, "apply", &[&id])["surface"], expected());
}

fn references(env: &Env, dir: &Path) -> String {
    env.git(dir, ["for-each-ref"])
}

#[test]
fn a_policy_of_block_refuses_before_anything_changes_and_names_the_way_on() {
    let env = ground();
    let (source, target) = (env.path("source"), env.path("target"));
    let id = answer(&env, &source, "push", &["--base", "HEAD~2"])["id"].as_str().unwrap().to_owned();
    env.git(&target, ["config", "parler.policy.surface", "block"]);
    let before = references(&env, &target);
    let run = parler(&env, &target, &["apply", &id]);
    let short = &id[..12];
    let message = format!(
        "error: `parler.policy.surface` is `block`: the change touches ci (.github/workflows/ci.yml), \
         hidden_characters (src/lib.rs)\nhint: look at it with `git parler show --patch {short}`; to take it all the \
         same: `git -c parler.policy.surface=warn parler apply {short}`\n"
    );
    assert_eq!((run.code, run.stdout.as_str(), run.stderr), (Some(5), "", message));
    let refused = parler(&env, &target, &["apply", "--json", &id]).stdout;
    assert!(refused.contains(r#""code":"policy_refused""#), "{refused}");
    assert_eq!(references(&env, &target), before);
    assert_eq!(
        env.try_git(&target, ["cat-file", "-e", &env.git(&source, ["rev-parse", "HEAD"])]).code,
        Some(1)
    );
    let run = env.try_git(&target, ["-c", "parler.policy.surface=warn", "parler", "apply", &id]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    env.git(&target, ["config", "parler.policy.surface", "perhaps"]);
    let run = parler(&env, &target, &["list"]);
    assert_eq!(run.code, Some(128));
    assert!(run.stderr.contains("`parler.policy.surface` is `perhaps`, which is not warn or block"));
}

/// Posts the bundle of the last two commits with a reference that says something else, as another program might; returns the id.
fn lie(env: &Env) -> String {
    let source = env.path("source");
    let made = answer(env, &source, "push", &["--base", "HEAD~2", "-o", "../lie.bundle"]);
    let text = |value: &serde_json::Value| value.as_str().expect("a string").to_owned();
    let (id, tip, base) = (text(&made["id"]), text(&made["tip"]), text(&made["prerequisites"][0]));
    let part = BundlePart {
        base: Some(base.clone()),
        prerequisites: vec![base],
        log: Some(vec![PartCommit { id: tip.clone(), subject: "harmless".into() }]),
        stat: Some(PartStat { files: 1, added: 1, deleted: 1, paths: vec!["src/lib.rs".into()] }),
        surface: Some(Vec::new()),
        ..kit::bundle_part(&std::fs::read(env.path("lie.bundle")).expect("it was made"), &tip, "harmless")
    };
    let settings = client::Settings {
        data: env.parler_home(),
        cache: env.parler_home().join("cache"),
        hub: HubAddress::Local,
        name: "mallory".into(),
        seat_dir: Some(env.path("elsewhere")),
        join_secret: None,
        insecure: false,
        ca_file: None,
        room: RoomChoice::InUse,
        invite: None,
        reconnect_max: None,
        version: env!("CARGO_PKG_VERSION").into(),
    };
    std::fs::create_dir(env.path("elsewhere")).expect("a new folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut client = client::Client::connect(settings, None).await.expect("the hub runs");
        client.push(&env.path("lie.bundle"), part, None).await.expect("the hub cannot know");
        client.close().await;
    });
    id
}

#[test]
fn show_says_where_the_author_states_something_else_than_what_is_so() {
    let env = ground();
    let (source, target) = (env.path("source"), env.path("target"));
    let honest = answer(&env, &source, "push", &["--base", "HEAD~2", "-m", "honest"])["id"].clone();
    let shown = answer(&env, &target, "show", &[honest.as_str().unwrap()]);
    assert_eq!(shown["claim_differs"], json!([]));
    answer(&env, &target, "apply", &[honest.as_str().unwrap()]);
    env.commit(&source, "Makefile", "all:\n", "make");
    let id = lie(&env);
    let shown = answer(&env, &target, "show", &[&id]);
    assert_eq!(shown["claim_differs"], json!(["commits", "log", "stat", "surface"]));
    let text = parler(&env, &target, &["show", &id]).stdout;
    let tip = env.git(&source, ["rev-parse", "--short=12", "HEAD"]);
    let said = format!(
        "\nWHAT ITS AUTHOR STATES DIFFERS FROM WHAT IS IN IT:
  commits: 1 commit stated, 2 commits in it
  log: {tip} \"harmless\" is stated, and no commit in it is so
  stat: 1 files, 1 lines added, 1 deleted stated, 2 files, 2 lines added, 1 deleted in it
  surface: build, hidden_characters found and not stated\n"
    );
    assert!(text.ends_with(&said), "{text}");
}
