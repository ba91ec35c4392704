//! Real husky, lefthook and pre-commit: what is put into their settings runs, and nothing else of theirs because of us.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::mcp::until;
use crate::two::{Two, answer, parler};

/// A framework: its name, what sets it up with something of its own for every event, and what puts the lines of the file `lines` into
/// its settings, before that.
const FRAMEWORKS: [(&str, &str, &str); 3] = [
    (
        "husky",
        "husky
         for event in post-commit post-rewrite post-merge; do echo 'echo theirs >>../ran' >.husky/$event; done",
        "for event in post-commit post-rewrite post-merge; do
           { sed -n \"/husky.$event/,+2p\" ../lines; cat .husky/$event; } >../new && mv ../new .husky/$event
         done",
    ),
    (
        "lefthook",
        "for event in post-commit post-rewrite post-merge; do
           printf '%s:\\n  jobs:\\n    - run: echo theirs >>../ran\\n' $event
         done >lefthook.yml
         printf 'output: false\\n' >>lefthook.yml
         lefthook install",
        "cp ../lines lefthook-local.yml && lefthook install",
    ),
    (
        "pre-commit",
        "cat >.pre-commit-config.yaml <<end
repos:
- repo: local
  hooks:
  - id: theirs
    name: theirs
    entry: sh -c 'echo theirs >>../ran'
    language: system
    stages: [post-commit, post-rewrite, post-merge]
    always_run: true
    pass_filenames: false
end
         pre-commit install -t post-commit -t post-rewrite -t post-merge",
        "cat ../lines >>.pre-commit-config.yaml",
    ),
];

fn shell(two: &Two, script: &str) {
    let run = two.env.run(&two.ahead, "bash", ["-ec", script]);
    assert_eq!(run.code, Some(0), "{script}\n{}{}", run.stdout, run.stderr);
}

/// Puts what `install` shows into the settings of a framework that was set up.
fn put_in(two: &Two, put: &str) {
    let refused = parler(&two.env, &two.ahead, &["hooks", "install"]);
    assert_eq!(refused.code, Some(5), "{}", refused.stderr);
    fs::write(two.env.path("lines"), refused.stdout).expect("an own file");
    shell(two, put);
    shell(two, "git add . && git -c core.hooksPath=none commit -qm settings");
}

/// Returns the states of the hooks, and who keeps them.
fn states(two: &Two) -> Vec<(Value, Value)> {
    let status = answer(&two.env, &two.ahead, "hooks", &["status"]);
    let hooks = status["hooks"].as_array().expect("a list").iter();
    hooks.map(|hook| (hook["state"].clone(), hook["by"].clone())).collect()
}

fn ran(two: &Two) -> String {
    let path = two.env.path("ran");
    let ran = fs::read_to_string(&path).unwrap_or_default();
    fs::write(path, "").expect("an own file");
    ran
}

#[test]
fn lines_in_the_settings_of_a_framework_run_and_a_probe_runs_nothing_else() {
    for (name, set_up, put) in FRAMEWORKS {
        let two = Two::new();
        if !two.env.has(name) {
            continue;
        }
        shell(&two, set_up);
        assert_eq!(states(&two), vec![(json!("managed"), json!(name)); 3]);
        put_in(&two, put);
        // What is not committed stays where it is meanwhile.
        let dirty = fs::read_dir(&two.ahead).unwrap().map(|entry| entry.unwrap().path());
        let dirty: Vec<_> = dirty.filter(|path| path.is_file()).collect();
        dirty
            .iter()
            .for_each(|path| fs::write(path, [fs::read(path).unwrap(), b"\n".into()].concat()).unwrap());
        let times =
            || dirty.iter().map(|path| fs::metadata(path).unwrap().modified().unwrap()).collect::<Vec<_>>();
        let (before, count) = (times(), two.env.git(&two.ahead, ["count-objects"]));
        assert_eq!(states(&two), vec![(json!("works"), json!(name)); 3]);
        assert_eq!((ran(&two).as_str(), times()), ("", before), "{name}");
        assert_eq!(two.env.git(&two.ahead, ["count-objects"]), count, "{name}");
        let again = parler(&two.env, &two.ahead, &["hooks", "install"]);
        assert_eq!((again.code, again.stdout.as_str()), (Some(0), ""), "{name}");
        two.env.git(&two.ahead, ["checkout", "--quiet", "."]);
        // git gives its arguments, and everything of theirs runs.
        let commit = two.env.commit(&two.ahead, "one", "1\n", "one");
        let listed = |count: usize| {
            until("it is announced", || {
                let listed = answer(&two.env, &two.behind, "list", &["--all"])["handoffs"].clone();
                Some(listed).filter(|listed| listed.as_array().is_some_and(|rows| rows.len() == count))
            })
        };
        assert_eq!((&listed(1)[0]["tip"], ran(&two).as_str()), (&json!(commit), "theirs\n"), "{name}");
        two.env.git(&two.ahead, ["commit", "--quiet", "--amend", "--message", "one, better"]);
        let supersedes: Vec<_> = listed(2)
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["supersedes"].is_string())
            .cloned()
            .collect();
        assert_eq!(
            (supersedes.len(), &supersedes[0]["summary"], ran(&two).as_str()),
            (1, &json!("one, better"), "theirs\ntheirs\n"),
            "{name}"
        );
        two.env.git(&two.ahead, ["checkout", "--quiet", "-b", "topic", "HEAD~1"]);
        two.env.git(
            &two.ahead,
            ["-c", "core.hooksPath=none", "commit", "--quiet", "--allow-empty", "-m", "topic"],
        );
        two.env.git(&two.ahead, ["checkout", "--quiet", "main"]);
        two.env.git(&two.ahead, ["merge", "--quiet", "--no-edit", "topic"]);
        assert_eq!((listed(3).as_array().unwrap().len(), ran(&two).as_str()), (3, "theirs\n"), "{name}");
    }
}

#[test]
fn lines_in_the_settings_of_a_framework_are_silent_where_the_program_is_not_installed() {
    for (name, set_up, put) in FRAMEWORKS {
        let two = Two::new();
        if !two.env.has(name) {
            continue;
        }
        shell(&two, set_up);
        put_in(&two, put);
        let without = kit::Env::new();
        let path = without
            .command("true")
            .get_envs()
            .find_map(|(name, value)| (name == "PATH").then(|| value.unwrap().to_owned()));
        let commit = |args: &[&str]| {
            let mut git = two.env.command("git");
            git.args(["commit", "--allow-empty"])
                .args(args)
                .current_dir(&two.ahead)
                .env("PATH", path.as_ref().unwrap());
            let output = git.output().unwrap();
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(output.status.success() && !said.contains("git-parler"), "{name}: {said}");
        };
        commit(&["--message", "one"]);
        commit(&["--amend", "--message", "two"]);
        assert_eq!(ran(&two), "theirs\n".repeat(3), "{name}");
    }
}

#[test]
fn a_framework_that_is_installed_over_ours_is_seen_and_ours_is_taken_out_where_it_was_moved() {
    for (name, set_up, _) in FRAMEWORKS {
        let two = Two::new();
        if !two.env.has(name) {
            continue;
        }
        let hooks = two.ahead.join(".git/hooks");
        let files = || {
            let names = fs::read_dir(&hooks).unwrap().map(|entry| entry.unwrap().path());
            let ours = |path: &Path| fs::read_to_string(path).unwrap().contains("hook git");
            names.filter(|path| ours(path)).count()
        };
        answer(&two.env, &two.ahead, "hooks", &["install"]);
        shell(&two, set_up);
        assert_eq!(files(), 3);
        // pre-commit alone runs what was there before.
        let state = if name == "pre-commit" { "works" } else { "managed" };
        assert_eq!(states(&two), vec![(json!(state), json!(name)); 3]);
        answer(&two.env, &two.ahead, "hooks", &["uninstall"]);
        assert_eq!(states(&two), vec![(json!("managed"), json!(name)); 3]);
        // husky has git look elsewhere; what lies where it does not look is not ours to find.
        assert_eq!(files(), if name == "husky" { 3 } else { 0 });
    }
}
