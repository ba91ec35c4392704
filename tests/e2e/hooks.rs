//! Commits that announce themselves, by real git, in a home of one user: what the other clone sees, and that git is never the worse
//! for it.

use std::fs;
use std::path::Path;

use kit::Snapshot;
use serde_json::{Value, json};

use crate::mcp::until;
use crate::people::People;
use crate::two::{Two, answer, parler, texts};

/// Two clones of one user, of which `ahead` has the hooks.
pub(crate) struct Scene {
    pub(crate) two: Two,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::of(Two::new())
    }

    /// Puts the hooks in.
    pub(crate) fn of(two: Two) -> Self {
        let installed = answer(&two.env, &two.ahead, "hooks", &["install"]);
        let states: Vec<_> =
            installed["hooks"].as_array().expect("a list").iter().map(|hook| &hook["state"]).collect();
        assert_eq!(states, [&json!("works"); 3], "{installed}");
        Self { two }
    }

    pub(crate) fn git<const N: usize>(&self, args: [&str; N]) -> String {
        self.two.env.git(&self.two.ahead, args)
    }

    /// Commits a file of this name, and returns the commit.
    pub(crate) fn commits(&self, name: &str) -> String {
        self.two.env.commit(&self.two.ahead, name, format!("{name}\n"), name)
    }

    pub(crate) fn status(&self) -> Value {
        answer(&self.two.env, &self.two.ahead, "hooks", &["status"])
    }

    /// Waits until nothing is to be announced any more.
    pub(crate) fn is_quiet(&self) {
        until("all is announced", || {
            let status = self.status();
            (status["waiting"] == 0).then_some(())
        });
    }

    /// Returns what the other clone is told, oldest first.
    pub(crate) fn listed(&self) -> Vec<Value> {
        self.is_quiet();
        let mut listed = answer(&self.two.env, &self.two.behind, "list", &["--all"]);
        let mut rows = std::mem::take(listed["handoffs"].as_array_mut().expect("a list"));
        rows.sort_by_key(|row| row["seq"].as_u64());
        rows
    }
}

pub(crate) fn summaries(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["summary"].as_str().expect("a text")).collect()
}

#[test]
fn a_commit_is_in_the_other_clone_without_another_word() {
    let scene = Scene::new();
    let parent = scene.git(["rev-parse", "HEAD"]);
    let commit = scene.commits("one");
    let rows = scene.listed();
    assert_eq!(summaries(&rows), ["one"]);
    assert_eq!((&rows[0]["tip"], texts(&rows[0]["prerequisites"])), (&json!(commit), vec![parent.clone()]));
    // The next one is on top of what was announced.
    let next = scene.commits("two");
    let rows = scene.listed();
    assert_eq!((&rows[1]["tip"], texts(&rows[1]["prerequisites"])), (&json!(next), vec![commit]));
    let two = &scene.two;
    two.env.git(
        &two.behind,
        ["fetch", "--quiet", two.ahead.to_str().unwrap(), &format!("{parent}:refs/heads/theirs")],
    );
    for row in &rows {
        answer(&two.env, &two.behind, "apply", &[row["id"].as_str().unwrap()]);
    }
    assert_eq!(two.env.git(&two.behind, ["cat-file", "-t", &next]), "commit");
}

#[test]
fn a_commit_is_a_line_in_the_feed_of_who_is_in_the_session() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    let key = ada.opens(&[]);
    bob.joins(&key, &ada);
    ada.says(&["hooks", "install"]);
    let mut feed = bob.start(&["recv", "--follow"]);
    let commit = ada.command("git").args(["commit", "--quiet", "--allow-empty", "-m", "by itself"]).status();
    assert!(commit.unwrap().success());
    let line = std::iter::repeat_with(|| feed.line()).find(|line| line.contains("handed over")).unwrap();
    assert!(line.contains(" ada/ahead handed over ") && line.contains("\"by itself\" (1 commit, "), "{line}");
    feed.interrupt();
    assert_eq!(feed.ended().0, Some(130));
}

#[test]
fn what_is_made_anew_takes_the_place_of_what_was_announced() {
    let scene = Scene::new();
    scene.commits("one");
    let parent = scene.git(["rev-parse", "HEAD"]);
    scene.commits("two");
    let first = scene.listed().remove(1)["id"].clone();
    scene.git(["commit", "--quiet", "--amend", "--message", "two, better"]);
    let rows = scene.listed();
    assert_eq!(summaries(&rows), ["one", "two", "two, better"]);
    assert_eq!((&rows[2]["supersedes"], texts(&rows[2]["prerequisites"])), (&first, vec![parent]));
    assert_eq!(rows[0]["supersedes"], Value::Null);
    let said = parler(&scene.two.env, &scene.two.behind, &["log"]).stdout;
    assert!(said.contains(&format!(" in place of {}", &first.as_str().unwrap()[..12])), "{said}");
}

#[test]
fn a_rebase_of_twenty_commits_is_one_announcement_at_its_end() {
    let scene = Scene::new();
    scene.git(["checkout", "--quiet", "-b", "topic", "main~1"]);
    for number in 0..20 {
        scene.commits(&format!("f{number}"));
    }
    let before = scene.listed();
    assert_eq!(before.len(), 20);
    let last = before[19]["id"].clone();
    let mut rebase = scene.two.env.command("git");
    // Each message is changed, so that every commit is made anew by a `git commit` of its own.
    rebase.args(["rebase", "--quiet", "--interactive", "main"]).current_dir(&scene.two.ahead);
    rebase.env("GIT_SEQUENCE_EDITOR", "sed -i s/^pick/reword/").env("GIT_EDITOR", "sed -i 1s/$/!/");
    assert!(rebase.output().unwrap().status.success());
    let rows = scene.listed();
    assert_eq!(rows.len(), 21);
    let (anew, main) = (&rows[20], scene.git(["rev-parse", "main"]));
    assert_eq!((&anew["summary"], &anew["supersedes"]), (&json!("f19!"), &last));
    assert_eq!((&anew["tip"], &anew["commits"]), (&json!(scene.git(["rev-parse", "HEAD"])), &json!(21)));
    assert!(!texts(&anew["prerequisites"]).contains(&main), "{anew}");
}

#[test]
fn a_merge_announces_what_it_brings() {
    let scene = Scene::new();
    scene.git(["checkout", "--quiet", "-b", "topic"]);
    scene.commits("of the topic");
    scene.git(["checkout", "--quiet", "main"]);
    scene.commits("of main");
    scene.git(["merge", "--quiet", "--no-edit", "topic"]);
    scene.git(["merge", "--quiet", "--squash", "topic"]);
    let rows = scene.listed();
    assert_eq!(summaries(&rows), ["of the topic", "of main", "Merge branch 'topic'"]);
    assert_eq!((&rows[2]["commits"], texts(&rows[2]["prerequisites"]).len()), (&json!(1), 2));
    assert_eq!(rows[2]["supersedes"], Value::Null);
}

#[test]
fn what_is_committed_while_the_hub_is_away_comes_later_in_order() {
    let scene = Scene::new();
    scene.commits("before");
    assert_eq!(scene.listed().len(), 1);
    scene.two.env.kill_hub();
    let origin = "ws://127.0.0.1:9";
    for number in 1..=5 {
        scene.two.env.git(&scene.two.ahead, ["config", "parler.hub", origin]);
        scene.commits(&format!("f{number}"));
    }
    let status = until("it is known what holds them up", || {
        Some(scene.status()).filter(|status| status["held_up"].is_object())
    });
    assert_eq!((&status["waiting"], &status["held_up"]["code"]), (&json!(5), &json!("hub_unreachable")));
    scene.git(["config", "--unset", "parler.hub"]);
    // Any command that reaches the hub has it done.
    answer(&scene.two.env, &scene.two.ahead, "list", &[]);
    assert_eq!(summaries(&scene.listed()), ["before", "f1", "f2", "f3", "f4", "f5"]);
}

#[test]
fn where_it_is_not_wanted_nothing_is_announced() {
    let scene = Scene::new();
    let (env, ahead) = (&scene.two.env, &scene.two.ahead);
    scene.git(["config", "--add", "parler.hooks.exclude", "wip/*"]);
    scene.git(["checkout", "--quiet", "-b", "wip/one"]);
    scene.commits("excluded");
    scene.git(["checkout", "--quiet", "-b", "fine"]);
    let mut commit = env.command("git");
    commit
        .args(["commit", "--quiet", "--allow-empty", "-m", "by a variable"])
        .current_dir(ahead)
        .env("PARLER_HOOKS", "0");
    assert!(commit.status().unwrap().success());
    scene.git([
        "-c",
        "parler.hooks.enabled=false",
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "by an option",
    ]);
    assert_eq!(scene.status()["waiting"], 0);
    assert_eq!(scene.listed(), [json!(null); 0]);
    // Where nothing else is known the next one builds on its parent.
    scene.commits("wanted");
    let rows = scene.listed();
    assert_eq!((summaries(&rows), &rows[0]["commits"]), (vec!["wanted"], &json!(1)));
}

#[test]
fn a_commit_goes_well_whatever_is_wrong_with_us() {
    let scene = Scene::new();
    let (env, ahead) = (&scene.two.env, &scene.two.ahead);
    let commit = |variables: &[(&str, &Path)]| {
        let mut commit = env.command("git");
        commit.args(["commit", "--allow-empty", "--quiet", "-m", "x"]).current_dir(ahead);
        let output = commit.envs(variables.iter().copied()).output().unwrap();
        assert!(
            output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
            "{output:?}"
        );
    };
    let file = env.path("a file");
    fs::write(&file, "").unwrap();
    commit(&[("PARLER_HOME", &file.join("below"))]);
    scene.git(["config", "parler.insecure", "perhaps"]);
    commit(&[]);
    scene.git(["config", "--unset", "parler.insecure"]);
    scene.git(["config", "parler.hub", "nonsense"]);
    commit(&[]);
    scene.git(["config", "--unset", "parler.hub"]);
    scene.git(["checkout", "--quiet", "--detach"]);
    commit(&[]);
    assert_eq!(scene.listed().last().unwrap()["tip"], json!(scene.git(["rev-parse", "HEAD"])));
}

#[test]
fn putting_in_and_taking_out_leaves_the_repository_as_it_was() {
    let two = Two::new();
    let hook = two.ahead.join(".git/hooks/post-commit");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\necho theirs >>../ran\n").unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let before = Snapshot::of(&two.ahead);
    assert_eq!(parler(&two.env, &two.ahead, &["hooks", "install"]).code, Some(0));
    two.env.git(
        &two.ahead,
        ["-c", "parler.hooks.enabled=false", "commit", "--quiet", "--allow-empty", "-m", "x"],
    );
    assert_eq!(fs::read_to_string(two.env.path("ran")).unwrap(), "theirs\n");
    two.env.git(&two.ahead, ["update-ref", "refs/heads/main", &two.tip]);
    assert_eq!(parler(&two.env, &two.ahead, &["hooks", "uninstall"]).code, Some(0));
    let left: Vec<_> = before.differences().into_iter().filter(|path| path.contains("hooks")).collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn a_folder_of_all_repositories_is_written_to_when_that_is_said() {
    let two = Two::new();
    let (folder, own) = (two.env.path("all"), two.ahead.join(".git/hooks/post-commit"));
    fs::create_dir(&folder).unwrap();
    two.env.git(two.env.root(), ["config", "--global", "core.hooksPath", folder.to_str().unwrap()]);
    let refused = parler(&two.env, &two.ahead, &["hooks", "install"]);
    assert_eq!((refused.code, fs::read_dir(&folder).unwrap().count()), (Some(5), 0), "{}", refused.stderr);
    assert!(refused.stderr.contains("add `--global`") && !own.exists(), "{}", refused.stderr);
    let installed = answer(&two.env, &two.ahead, "hooks", &["install", "--global"]);
    assert_eq!(installed["hooks"][0]["path"], json!(folder.join("post-commit")));
    assert_eq!(answer(&two.env, &two.behind, "hooks", &["status"])["hooks"], installed["hooks"]);
    answer(&two.env, &two.ahead, "hooks", &["uninstall", "--global"]);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    two.env.git(two.env.root(), ["config", "--global", "--unset", "core.hooksPath"]);
    assert_eq!(parler(&two.env, &two.ahead, &["hooks", "install", "--global"]).code, Some(129));
}

#[test]
fn a_wait_is_over_when_something_is_there_or_the_time_is() {
    let scene = Scene::new();
    let two = &scene.two;
    let wait = |args: &[&str]| parler(&two.env, &two.behind, &[&["wait"], args].concat());
    assert_eq!(wait(&["--for", "0s"]).code, Some(1));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| wait(&["--json"]));
        scene.commits("one");
        let run = waiting.join().unwrap();
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        let answer: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(answer["unread"], 1);
    });
    // It is not read by that.
    assert_eq!(wait(&["--for", "0s"]).code, Some(0));
    assert!(parler(&two.env, &two.behind, &["recv"]).stdout.contains("\"one\""));
    assert_eq!(wait(&["--for", "0s", "-q"]).code, Some(1));
}
