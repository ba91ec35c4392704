//! Repositories of every kind and every way to name one, each giving and taking a bundle as a file.

use std::path::Path;

use kit::Snapshot;
use serde_json::json;

use crate::two::{Two, answer, parler};

/// Hands over from one folder to another and sees that git agrees.
fn hand_over(two: &Two, from: &Path, to: &Path) {
    let bundle = two.file("place.bundle");
    let pushed = answer(&two.env, from, "push", &["--base", &two.base, "--force", "-o", &bundle]);
    assert_eq!((&pushed["tip"], &pushed["commits"]), (&json!(two.tip), &json!(3)));
    let applied = answer(&two.env, to, "apply", &[&bundle]);
    assert_eq!(applied["tip"], json!(two.tip));
    let name = applied["ref"].as_str().expect("one tip has one reference");
    assert_eq!(two.env.git(to, ["rev-parse", name]), two.tip);
    two.env.git(to, ["fsck", "--strict"]);
}

#[test]
fn bare_repositories_give_and_take() {
    let two = Two::new();
    for (from, to) in [("ahead", "ahead.git"), ("behind", "behind.git")] {
        two.env.git(two.env.root(), ["clone", "--quiet", "--bare", "--no-local", from, to]);
    }
    let before = Snapshot::besides_handoffs(two.env.path("behind.git"));
    hand_over(&two, &two.env.path("ahead.git"), &two.env.path("behind.git"));
    assert_eq!(before.differences(), [""; 0]);
}

#[test]
fn linked_worktrees_give_and_take() {
    let two = Two::new();
    let add = |repo: &Path, path: &str, what: &[&str]| {
        two.env.git(repo, ["worktree", "add", "--quiet", path].iter().chain(what));
    };
    add(&two.ahead, "../ahead-tree", &["-b", "topic"]);
    add(&two.behind, "../behind-tree", &["-b", "topic"]);
    let before =
        (Snapshot::besides_handoffs(two.env.path("behind-tree")), Snapshot::besides_handoffs(&two.behind));
    hand_over(&two, &two.env.path("ahead-tree"), &two.env.path("behind-tree"));
    assert_eq!((before.0.differences(), before.1.differences()), (vec![], vec![]));
}

#[test]
fn between_worktrees_of_one_repository_only_the_reference_is_made() {
    let two = Two::new();
    two.env.git(&two.ahead, ["worktree", "add", "--quiet", "--detach", "../tree", &two.base]);
    let bundle = two.bundle();
    let objects = Snapshot::of(two.ahead.join(".git/objects"));
    let run = parler(&two.env, &two.env.path("tree"), &["apply", &bundle]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let first = run.stdout.lines().next().unwrap();
    assert!(first.ends_with("; every object was here already"), "{first}");
    assert_eq!(objects.differences(), [""; 0]);
    assert_eq!(two.env.git(&two.ahead, ["for-each-ref", "--format=%(objectname)", "refs/parler"]), two.tip);
}

#[test]
fn the_head_of_another_worktree_keeps_a_prerequisite() {
    let two = Two::new();
    let bundle = two.bundle();
    let git = |args: &[&str]| two.env.git(&two.behind, args);
    git(&["worktree", "add", "--quiet", "--detach", "../tree", &two.base]);
    git(&["update-ref", "refs/heads/main", &format!("{}~1", two.base)]);
    git(&["reset", "--quiet", "--hard"]);
    assert_eq!(two.apply(&[&bundle])["tip"], json!(two.tip));
}

#[test]
fn the_environment_may_name_the_repository() {
    let two = Two::new();
    let bundle = two.file("environment.bundle");
    let run = |repo: &Path, args: &[&str]| {
        let mut command = two.env.command("git");
        command.env("GIT_DIR", repo.join(".git")).env("GIT_WORK_TREE", repo).arg("parler").args(args);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&two.ahead, &["push", "--base", &two.base, "-o", &bundle]);
    let before = Snapshot::besides_handoffs(&two.behind);
    run(&two.behind, &["apply", &bundle]);
    assert_eq!(before.differences(), [""; 0]);
    assert_eq!(two.env.git(&two.behind, ["for-each-ref", "--format=%(objectname)", "refs/parler"]), two.tip);
}

#[test]
fn an_option_of_git_names_the_repository_and_its_settings() {
    let two = Two::new();
    let base = format!("parler.base={}", two.base);
    two.env.git(two.env.root(), ["-C", "ahead", "-c", &base, "parler", "push", "-o", "../set.bundle"]);
    two.env.git(two.env.root(), ["-C", "behind/src", "parler", "apply", "../../set.bundle"]);
    assert_eq!(two.env.git(&two.behind, ["for-each-ref", "--format=%(objectname)", "refs/parler"]), two.tip);
}

#[test]
fn objects_of_an_alternate_are_here() {
    let two = Two::new();
    for (from, to) in [("ahead", "ahead-borrowing"), ("behind", "behind-borrowing")] {
        two.env.git(two.env.root(), ["clone", "--quiet", "--shared", from, to]);
    }
    let lender = Snapshot::of(&two.behind);
    hand_over(&two, &two.env.path("ahead-borrowing"), &two.env.path("behind-borrowing"));
    assert_eq!(lender.differences(), [""; 0]);
}

#[test]
fn packed_references_and_repacked_objects_are_read() {
    let two = Two::new();
    for repo in [&two.ahead, &two.behind] {
        two.env.git(repo, ["pack-refs", "--all"]);
        two.env.git(repo, ["repack", "-adq", "--write-midx"]);
        two.env.git(repo, ["commit-graph", "write", "--reachable"]);
    }
    let before = Snapshot::besides_handoffs(&two.behind);
    hand_over(&two, &two.ahead, &two.behind);
    assert_eq!(before.differences(), [""; 0]);
}

#[test]
fn a_detached_head_travels_and_takes() {
    let two = Two::new();
    two.env.git(&two.ahead, ["checkout", "--quiet", "--detach"]);
    two.env.git(&two.ahead, ["branch", "--quiet", "-D", "main"]);
    two.env.git(&two.behind, ["checkout", "--quiet", "--detach"]);
    two.env.git(&two.behind, ["branch", "--quiet", "-D", "main"]);
    let before = Snapshot::besides_handoffs(&two.behind);
    hand_over(&two, &two.ahead, &two.behind);
    assert_eq!(before.differences(), [""; 0]);
}

#[test]
fn a_repository_without_a_commit_takes_a_whole_history() {
    let two = Two::new();
    let empty = two.env.init("empty");
    let bundle = two.file("whole.bundle");
    two.push(&["-o", &bundle]);
    let before = Snapshot::besides_handoffs(&empty);
    let applied = answer(&two.env, &empty, "apply", &[&bundle]);
    assert_eq!(before.differences(), [""; 0]);
    two.env.git(&empty, ["merge", "--quiet", applied["ref"].as_str().unwrap()]);
    assert_eq!(two.env.git(&empty, ["rev-parse", "main"]), two.tip);
}

#[test]
fn replacement_objects_and_grafts_are_not_looked_at() {
    let two = Two::new();
    two.env.git(&two.ahead, ["replace", "--graft", "main", "main~3"]);
    hand_over(&two, &two.ahead, &two.behind);
}
