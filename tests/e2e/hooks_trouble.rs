//! Commits that announce themselves, where that is not easy: git in the middle of something, odd commits, and what cannot be
//! handed over.

use std::fs;
use std::net::TcpListener;

use kit::{Random, Snapshot};
use serde_json::{Value, json};

use crate::disk::as_nobody;
use crate::hooks::{Scene, summaries};
use crate::mcp::until;
use crate::served::Served;
use crate::two::{Two, parler, texts};

#[test]
fn a_cherry_pick_of_several_commits_is_one_announcement_at_its_end() {
    let scene = Scene::new();
    scene.git(["config", "parler.hooks.exclude", "topic"]);
    scene.git(["checkout", "--quiet", "-b", "topic"]);
    for name in ["a", "b", "c"] {
        scene.commits(name);
    }
    let onto = scene.git(["rev-parse", "main"]);
    scene.git(["checkout", "--quiet", "main"]);
    scene.git(["cherry-pick", "main..topic"]);
    let rows = scene.listed();
    assert_eq!((summaries(&rows), &rows[0]["commits"]), (vec!["c"], &json!(3)));
    assert_eq!(texts(&rows[0]["prerequisites"]), [onto]);
    // One pick that is all by itself counts too, and so does a revert.
    scene.git(["revert", "--no-edit", "HEAD"]);
    assert_eq!(summaries(&scene.listed()), ["c", "Revert \"c\""]);
}

#[test]
fn nothing_is_announced_before_what_git_is_in_the_middle_of_has_ended() {
    let scene = Scene::new();
    scene.git(["checkout", "--quiet", "-b", "topic"]);
    for name in ["a", "b"] {
        scene.commits(name);
    }
    assert_eq!(scene.listed().len(), 2);
    // What `git am` makes is announced with what comes behind it.
    let patches = scene.git(["format-patch", "--stdout", "main"]);
    let file = scene.two.env.path("patches");
    fs::write(&file, format!("{patches}\n")).unwrap();
    scene.git(["checkout", "--quiet", "-b", "mailed", "main~1"]);
    scene.git(["am", "--quiet", file.to_str().unwrap()]);
    assert_eq!(scene.listed().len(), 2);
    scene.commits("behind it");
    let rows = scene.listed();
    assert_eq!(summaries(&rows[2..]), ["behind it"]);
    assert_eq!(
        (rows[2]["tip"].as_str(), &rows[2]["commits"]),
        (Some(&*scene.git(["rev-parse", "mailed"])), &json!(3))
    );
    // A conflict stops a rebase; what was made so far waits for its end.
    scene.git(["checkout", "--quiet", "-b", "other", "main"]);
    scene.two.env.commit(&scene.two.ahead, "a", "otherwise\n", "other a");
    let before = scene.listed().len();
    assert_ne!(scene.two.env.try_git(&scene.two.ahead, ["rebase", "other", "topic"]).code, Some(0));
    assert_eq!((scene.status()["waiting"].as_u64(), scene.listed().len()), (Some(0), before));
    scene.git(["checkout", "--theirs", "a"]);
    scene.git(["add", "a"]);
    scene.git(["-c", "core.editor=true", "rebase", "--continue"]);
    let rows = scene.listed();
    assert_eq!((rows.len(), rows[before]["summary"].as_str()), (before + 1, Some("b")));
}

#[test]
fn a_message_is_a_text_whatever_it_looks_like() {
    let scene = Scene::new();
    let large = "x".repeat(1024 * 1024);
    let messages =
        ["$(touch ran); `touch ran`", "--force", "-\u{1b}[31mred\nsecond line", "'\"\\\t|&;<>", &large];
    for (number, message) in messages.iter().enumerate() {
        let file = scene.two.env.path(format!("message{number}"));
        fs::write(&file, message).unwrap();
        scene.git(["commit", "--quiet", "--allow-empty", "--file", file.to_str().unwrap()]);
    }
    let rows = scene.listed();
    assert_eq!(rows.len(), messages.len());
    assert_eq!(summaries(&rows)[..2], ["$(touch ran); `touch ran`", "--force"]);
    let shown = parler(&scene.two.env, &scene.two.behind, &["list", "--all"]).stdout;
    assert!(!shown.contains('\u{1b}') && shown.len() < 10_000, "{} bytes", shown.len());
    assert!(!scene.two.ahead.join("ran").exists());
    let status = scene.status();
    assert_eq!((&status["given_up"], &status["held_up"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_commit_that_is_too_large_is_fine_and_said_once() {
    let scene = Scene::new();
    let hub = Served::start(&scene.two.env, &scene.two.env.path("hub"), &["--blob-bytes-max", "1m"]);
    scene.git(["config", "parler.hub", &hub.url()]);
    fs::write(scene.two.ahead.join("large"), Random::new(1).bytes(2 * 1024 * 1024)).unwrap();
    scene.git(["add", "large"]);
    scene.git(["commit", "--quiet", "-m", "large"]);
    let tip = scene.git(["rev-parse", "HEAD"]);
    let status =
        until("it is given up", || Some(scene.status()).filter(|status| status["given_up"].is_object()));
    assert_eq!((&status["given_up"]["tip"], &status["waiting"]), (&json!(tip), &json!(0)));
    let sentence = format!("{} was not announced: ", &tip[..12]);
    for command in ["status", "doctor"] {
        let said = parler(&scene.two.env, &scene.two.ahead, &[command]);
        assert_eq!(said.stdout.matches(&sentence).count(), 1, "{command}: {}{}", said.stdout, said.stderr);
    }
    // What takes its place is announced, and then nothing is to be said any more.
    fs::write(scene.two.ahead.join("large"), "small").unwrap();
    scene.git(["commit", "--quiet", "--all", "--amend", "-m", "small"]);
    let status =
        until("it is announced", || Some(scene.status()).filter(|status| status["given_up"].is_null()));
    assert_eq!(status["waiting"], 0);
    assert!(!parler(&scene.two.env, &scene.two.ahead, &["doctor"]).stdout.contains("announced"));
}

#[test]
fn a_hub_that_hangs_holds_up_no_commit() {
    let scene = Scene::new();
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    scene.git(["config", "parler.hub", &format!("ws://{}", hanging.local_addr().unwrap())]);
    for name in ["one", "two"] {
        let mut git = scene.two.env.command("git");
        git.args(["commit", "--quiet", "--allow-empty", "-m", name]).current_dir(&scene.two.ahead);
        // With pipes, so that it would also wait for what keeps them open.
        let output = git.output().unwrap();
        assert!(
            output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
            "{output:?}"
        );
    }
    // Both are there, while who delivers them waits for the hub.
    hanging.accept().unwrap();
    assert_eq!(scene.status()["waiting"], 2);
}

#[test]
fn the_first_commit_of_all_is_announced_and_never_more_of_the_history_than_is_new() {
    let scene = Scene::new();
    let (env, ahead) = (&scene.two.env, &scene.two.ahead);
    env.git(ahead, ["checkout", "--quiet", "--orphan", "fresh"]);
    env.git(ahead, ["commit", "--quiet", "--allow-empty", "-m", "first of all"]);
    let rows = scene.listed();
    assert_eq!((summaries(&rows), &rows[0]["commits"]), (vec!["first of all"], &json!(1)));
    // Where nothing is known of the other side, what a pull brings is on top of what was there.
    let (other, path) = (env.path("another"), ahead.to_str().unwrap());
    env.git(env.root(), ["clone", "--quiet", "--branch", "main", path, other.to_str().unwrap()]);
    env.git(&other, ["remote", "remove", "origin"]);
    env.git(&other, ["reset", "--quiet", "--hard", "main~3"]);
    let before = env.git(&other, ["rev-parse", "HEAD"]);
    assert_eq!(parler(env, &other, &["hooks", "install"]).code, Some(0));
    env.git(&other, ["pull", "--quiet", path, "main"]);
    let row = until("it is announced", || {
        scene.listed().into_iter().find(|row| row["tip"] == json!(scene.two.tip))
    });
    assert_eq!((&row["commits"], texts(&row["prerequisites"])), (&json!(3), vec![before]));
}

#[test]
fn a_repository_that_may_not_be_written_is_left_as_it_is() {
    let two = Two::new();
    let Some(_) = as_nobody(&two.env, two.env.root(), &["--version"]) else { return };
    two.env.git(two.env.root(), ["config", "--global", "safe.directory", "*"]);
    let before = Snapshot::of(&two.ahead);
    for verb in ["install", "uninstall", "status"] {
        let run = as_nobody(&two.env, &two.ahead, &["hooks", verb]).unwrap();
        let code = if verb == "install" { 128 } else { 0 };
        assert_eq!(run.code, Some(code), "{verb}: {}{}", run.stdout, run.stderr);
    }
    assert_eq!(before.differences(), [""; 0]);
}
