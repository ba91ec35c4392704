//! Hooks that git's configuration names, by a real git that hears them.

use std::fs;
use std::path::Path;

use kit::Snapshot;
use serde_json::{Value, json};

use crate::hooks::{Scene, summaries};
use crate::two::{Two, answer, parler};

/// Two clones of one user whose git hears hooks from its configuration; none where there is no such git.
fn two() -> Option<Two> {
    let Two { env, ahead, behind, base, tip } = Two::new();
    Some(Two { env: env.with_newer_git()?, ahead, behind, base, tip })
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn states(answer: &Value) -> Vec<(&str, &str)> {
    let rows = answer["hooks"].as_array().expect("a list").iter();
    rows.map(|row| (text(&row["path"]), text(&row["state"]))).collect()
}

fn commit(two: &Two, message: &str) {
    two.env.git(&two.ahead, ["commit", "--quiet", "--allow-empty", "-m", message]);
}

#[test]
fn git_runs_the_hooks_that_its_configuration_names() {
    let Some(two) = two() else { return };
    let scene = Scene::of(two);
    let file = scene.two.ahead.join(".git/config");
    assert_eq!(states(&scene.status()), [(file.to_str().unwrap(), "works"); 3]);
    assert_eq!(scene.git(["hook", "list", "post-commit"]), "parler");
    assert!(!scene.two.ahead.join(".git/hooks/post-commit").exists());
    scene.commits("one");
    let first = scene.listed().remove(0)["id"].clone();
    scene.git(["commit", "--quiet", "--amend", "--message", "one, better"]);
    scene.git(["checkout", "--quiet", "-b", "topic", "main~1"]);
    scene.commits("two");
    scene.git(["merge", "--quiet", "--no-edit", "main"]);
    let rows = scene.listed();
    assert_eq!(summaries(&rows), ["one", "one, better", "two", "Merge branch 'main' into topic"]);
    assert_eq!((&rows[1]["supersedes"], &rows[2]["supersedes"]), (&first, &Value::Null));
    // A rebase tells of its end by an argument alone.
    scene.git(["rebase", "--quiet", "--force-rebase", "main"]);
    assert_eq!(summaries(&scene.listed()).len(), 5);
}

#[test]
fn they_run_beside_whatever_else_there_is() {
    let Some(two) = two() else { return };
    let env = &two.env;
    let folder = two.env.path("hooks of others");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("post-commit"), "#!/bin/sh\n: call_lefthook\necho theirs >>../ran\n").unwrap();
    fs::set_permissions(folder.join("post-commit"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    env.git(env.root(), ["config", "--global", "core.hooksPath", folder.to_str().unwrap()]);
    env.git(env.root(), ["config", "--global", "hook.other.command", "echo other >>../ran"]);
    env.git(env.root(), ["config", "--global", "hook.other.event", "post-commit"]);
    let before = Snapshot::of(&folder);
    let scene = Scene::of(two);
    commit(&scene.two, "one");
    assert_eq!(summaries(&scene.listed()), ["one"]);
    // Once for the commit, and never for a probe.
    assert_eq!(fs::read_to_string(scene.two.env.path("ran")).unwrap(), "other\ntheirs\n");
    assert_eq!(before.differences(), [""; 0]);
}

#[test]
fn taking_them_out_leaves_the_configuration_as_it_was() {
    let Some(two) = two() else { return };
    let (env, ahead) = (&two.env, &two.ahead);
    fs::set_permissions(ahead.join(".git/config"), std::os::unix::fs::PermissionsExt::from_mode(0o640))
        .unwrap();
    let before = (Snapshot::of(ahead), Snapshot::of(env.home()));
    for options in [&[][..], &["--global"]] {
        let run = |verb: &str| parler(env, ahead, &[&["hooks", verb], options].concat());
        let installed = run("install");
        assert_eq!((installed.code, installed.stdout.lines().count()), (Some(0), 1), "{}", installed.stderr);
        assert_eq!(run("install").stdout, "");
        let status = answer(env, ahead, "hooks", &["status"]);
        assert!(states(&status).iter().all(|(_, state)| *state == "works"), "{status}");
        assert_eq!(run("uninstall").code, Some(0));
        assert_eq!((before.0.differences(), before.1.differences()), (vec![], vec![]), "{options:?}");
    }
}

#[test]
fn scripts_of_an_older_git_make_way() {
    let older = Two::new();
    answer(&older.env, &older.ahead, "hooks", &["install"]);
    let script = older.ahead.join(".git/hooks/post-commit");
    if !script.exists() {
        return;
    }
    let Two { env, ahead, behind, base, tip } = older;
    let Some(env) = env.with_newer_git() else { return };
    let newer = Scene::of(Two { env, ahead, behind, base, tip });
    assert!(!script.exists());
    let file = newer.two.ahead.join(".git/config");
    assert_eq!(newer.status()["hooks"][0]["path"], json!(file));
    // And none are left by either.
    answer(&newer.two.env, &newer.two.ahead, "hooks", &["uninstall"]);
    assert!(!fs::read_to_string(file).unwrap().contains("parler"));
}

#[test]
fn a_program_that_is_gone_is_not_missed() {
    let Some(two) = two() else { return };
    let scene = Scene::of(two);
    let config = scene.two.ahead.join(".git/config");
    let text = fs::read_to_string(&config).unwrap();
    let gone = Path::new(crate::PROGRAM).with_file_name("gone");
    fs::write(&config, text.replace(crate::PROGRAM, gone.to_str().unwrap())).unwrap();
    let mut git = scene.two.env.command("git");
    git.args(["commit", "--quiet", "--allow-empty", "-m", "x"]).current_dir(&scene.two.ahead);
    let output = git.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(states(&scene.status()).iter().all(|(_, state)| *state == "broken"));
}
