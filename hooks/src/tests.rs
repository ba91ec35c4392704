//! Decisions as a table, and folders of hooks in every state that people have them in.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;

const FACTS: Facts<'static> = Facts {
    event: Event::PostCommit,
    argument: None,
    is_enabled: true,
    is_excluded: false,
    is_in_quarantine: false,
    operation: None,
};

#[test]
fn every_event_is_announced_once_and_where_it_is_wanted() {
    let (commit, merge) = (FACTS, Facts { event: Event::PostMerge, argument: Some("0"), ..FACTS });
    let amend = Facts { event: Event::PostRewrite, argument: Some("amend"), ..FACTS };
    let rebase = Facts { argument: Some("rebase"), ..amend };
    let within = |facts, operation| Facts { operation: Some(operation), ..facts };
    for (facts, is_announced) in [
        (commit, true),
        (amend, true),
        (rebase, true),
        (merge, true),
        (within(commit, Operation::Rebase), false),
        (within(amend, Operation::Rebase), false),
        (within(rebase, Operation::Rebase), true),
        (within(commit, Operation::Sequence), true),
        (within(commit, Operation::Bisect), true),
        (within(commit, Operation::Merge), true),
        (Facts { argument: Some("1"), ..merge }, false),
    ] {
        let expected = if is_announced { Action::Announce } else { Action::Ignore };
        assert_eq!(decide(&facts), expected, "{facts:?}");
        for unwanted in [
            Facts { is_enabled: false, ..facts },
            Facts { is_excluded: true, ..facts },
            Facts { is_in_quarantine: true, ..facts },
        ] {
            assert_eq!(decide(&unwanted), Action::Ignore, "{unwanted:?}");
        }
    }
}

/// What lies at a path: what kind of thing, with what mode, and what is in it.
type Thing = (char, u32, Vec<u8>);

/// Returns everything in a folder, and the folder itself.
fn everything(folder: &Path) -> BTreeMap<PathBuf, Thing> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    let paths = entries.map(|entry| entry.unwrap().path()).chain([folder.to_owned()]);
    let things = paths.map(|path| {
        let about = fs::symlink_metadata(&path).unwrap();
        let (kind, content) = if about.is_symlink() {
            ('l', fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes())
        } else if about.is_dir() {
            ('d', Vec::new())
        } else {
            ('f', fs::read(&path).unwrap())
        };
        (path, (kind, about.permissions().mode(), content))
    });
    things.collect()
}

fn put(path: &Path, content: &[u8], mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A way in which a folder of hooks is found: what it is called, and what makes it.
type Situation = (&'static str, fn(&Path));

fn situations() -> Vec<Situation> {
    vec![
        ("no folder", |_| {}),
        ("an empty folder", |hooks| fs::create_dir(hooks).unwrap()),
        ("the samples of git", |hooks| {
            fs::create_dir(hooks).unwrap();
            put(&hooks.join("post-commit.sample"), b"#!/bin/sh\n", 0o755);
            put(&hooks.join("pre-commit.sample"), b"#!/bin/sh\n", 0o755);
        }),
        ("other hooks", |hooks| {
            fs::create_dir(hooks).unwrap();
            put(&hooks.join("pre-push"), b"#!/bin/sh\nexit 1\n", 0o700);
        }),
        ("a script", |hooks| {
            fs::create_dir(hooks).unwrap();
            put(&hooks.join("post-commit"), b"#!/bin/sh\necho mine >>ran\n", 0o755);
        }),
        ("a script for each event", |hooks| {
            fs::create_dir(hooks).unwrap();
            for event in Event::ALL {
                put(&hooks.join(event.name()), format!("#!/bin/sh\necho {event} >>ran\n").as_bytes(), 0o750);
            }
        }),
        ("a script that is switched off", |hooks| {
            fs::create_dir(hooks).unwrap();
            put(&hooks.join("post-commit"), b"#!/bin/sh\necho never >>ran\n", 0o644);
        }),
        ("a program of another kind", |hooks| {
            fs::create_dir(hooks).unwrap();
            put(&hooks.join("post-merge"), b"\x7fELF\0\0\xff\xfe", 0o511);
        }),
        ("a link", |hooks| {
            fs::create_dir(hooks).unwrap();
            put(&hooks.join("shared"), b"#!/bin/sh\n", 0o755);
            symlink("shared", hooks.join("post-commit")).unwrap();
        }),
        ("a link that leads nowhere", |hooks| {
            fs::create_dir(hooks).unwrap();
            symlink("../gone", hooks.join("post-rewrite")).unwrap();
        }),
        ("a folder that others cannot read", |hooks| {
            fs::create_dir(hooks).unwrap();
            fs::set_permissions(hooks, fs::Permissions::from_mode(0o700)).unwrap();
        }),
        ("a script without an end of line and with bytes that are no text", |hooks| {
            fs::create_dir(hooks).unwrap();
            put(&hooks.join("post-commit"), b"#!/bin/sh\r\n: \xff\xfe", 0o777);
        }),
    ]
}

#[test]
fn putting_in_and_taking_out_leaves_a_folder_as_it_was() {
    let program = Path::new("/opt/it's here/git-parler");
    for (name, make) in situations() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("hooks");
        make(&folder);
        let (before, beside) = (everything(&folder), everything(place.path()));
        let hooks = Hooks::of(folder.clone());
        let changed =
            |changes: Vec<(Event, Change)>| changes.into_iter().map(|(_, change)| change).collect::<Vec<_>>();
        assert_eq!(changed(hooks.uninstall().unwrap()), [Change::None; 3], "{name}");
        assert_eq!(everything(&folder), before, "{name}: what is not there is not taken out");
        assert_eq!(changed(hooks.install(program).unwrap()), [Change::Written; 3], "{name}");
        let with = everything(&folder);
        for hook in hooks.look().unwrap() {
            assert_eq!(hook.state, State::Installed, "{name}");
            assert_eq!(fs::metadata(&hook.path).unwrap().permissions().mode() & 0o111, 0o111, "{name}");
        }
        assert_eq!(changed(hooks.install(program).unwrap()), [Change::None; 3], "{name}: once is enough");
        assert_eq!(everything(&folder), with, "{name}");
        // Another program, in another place, is an update of what is ours.
        assert_eq!(changed(hooks.install(Path::new("/else")).unwrap()), [Change::Written; 3], "{name}");
        assert_eq!(changed(hooks.uninstall().unwrap()), [Change::Removed; 3], "{name}");
        assert_eq!(everything(&folder), before, "{name}");
        assert_eq!(everything(place.path()), beside, "{name}");
    }
}

#[test]
fn what_came_into_a_folder_that_was_made_stays_there() {
    let place = tempfile::tempdir().unwrap();
    let hooks = Hooks::of(place.path().join("hooks"));
    hooks.install(Path::new("/bin/true")).unwrap();
    put(&hooks.folder().join("pre-push"), b"#!/bin/sh\n", 0o755);
    hooks.uninstall().unwrap();
    assert_eq!(everything(hooks.folder()).len(), 2);
}

/// Of husky 9.1, `h` and what it writes for each hook; of husky 8.0, what a hook is.
const HUSKY: &[u8] = b"#!/usr/bin/env sh\n[ \"$HUSKY\" = \"2\" ] && set -x\nn=$(basename \"$0\")\n";
const OF_HUSKY: &[u8] = b"#!/usr/bin/env sh\n. \"$(dirname \"$0\")/h\"";
const OF_HUSKY_8: &[u8] = b"#!/usr/bin/env sh\n. \"$(dirname -- \"$0\")/_/husky.sh\"\n\nnpm test\n";
/// Of lefthook 2.2, the beginning and the end.
const OF_LEFTHOOK: &[u8] = b"#!/bin/sh\n\nif [ \"$LEFTHOOK_VERBOSE\" = \"1\" -o \"$LEFTHOOK_VERBOSE\" = \"true\" ]; then
  set -x\nfi\n\nif [ \"$LEFTHOOK\" = \"0\" ]; then\n  exit 0\nfi\n\ncall_lefthook run \"post-commit\" \"$@\"\n";
/// Of pre-commit 4.7, the beginning.
const OF_PRE_COMMIT: &[u8] = b"#!/usr/bin/env bash\n# File generated by pre-commit: https://pre-commit.com
# ID: 138fd403232d2ddd5efb44317e38bf03\n\n# start templated\nINSTALL_PYTHON=/usr/bin/python3
ARGS=(hook-impl --config=.pre-commit-config.yaml --hook-type=post-commit)\n# end templated\n";

/// Files with what is in them.
type Files<'a> = &'a [(&'a str, &'a [u8])];

/// Makes files, programs all of them, in the folder of hooks called so, in a place of their own.
fn folder(name: &str, files: Files<'_>) -> (tempfile::TempDir, Hooks) {
    let place = tempfile::tempdir().unwrap();
    for (file, content) in files {
        let path = place.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        put(&path, content, 0o755);
    }
    let hooks = Hooks::of(place.path().join(name));
    (place, hooks)
}

#[test]
fn what_another_program_keeps_is_left_to_it() {
    let cases: [(&str, Files<'_>, Framework); 5] = [
        (".husky/_", &[(".husky/_/h", HUSKY), (".husky/_/post-commit", OF_HUSKY)], Framework::Husky),
        // A new worktree has what is committed, and no folder of husky yet.
        (".husky/_", &[(".husky/pre-commit", b"npm test\n")], Framework::Husky),
        (".husky", &[(".husky/_/husky.sh", b""), (".husky/post-merge", OF_HUSKY_8)], Framework::Husky),
        ("hooks", &[("hooks/post-commit", OF_LEFTHOOK)], Framework::Lefthook),
        ("hooks", &[("hooks/post-merge", OF_PRE_COMMIT)], Framework::PreCommit),
    ];
    for (name, files, framework) in cases {
        let (place, hooks) = folder(name, files);
        let before = (everything(place.path()), everything(hooks.folder()));
        let refused = hooks.install(Path::new("/bin/true"));
        assert!(
            matches!(refused, Err(Error::Managed { by: found, .. }) if found == framework),
            "{refused:?}"
        );
        assert!(hooks.look().unwrap().iter().any(|hook| hook.state == State::Managed(framework)));
        hooks.uninstall().unwrap();
        assert_eq!((everything(place.path()), everything(hooks.folder())), before);
    }
}

#[test]
fn a_hook_of_another_event_is_in_nobodys_way() {
    for content in [OF_LEFTHOOK, OF_PRE_COMMIT] {
        let (_place, hooks) = folder("hooks", &[("hooks/pre-commit", content)]);
        let before = everything(hooks.folder());
        hooks.install(Path::new("/bin/true")).unwrap();
        assert!(hooks.look().unwrap().iter().all(|hook| hook.state == State::Installed));
        hooks.uninstall().unwrap();
        assert_eq!(everything(hooks.folder()), before);
    }
}

#[test]
fn what_a_framework_has_moved_out_of_its_way_is_taken_out_there() {
    for (moved, by) in [("post-commit.legacy", OF_PRE_COMMIT), ("post-commit.old", OF_LEFTHOOK)] {
        let (_place, hooks) = folder("hooks", &[("hooks/post-commit", b"#!/bin/sh\n")]);
        hooks.install(Path::new("/bin/true")).unwrap();
        let path = |name: &str| hooks.folder().join(name);
        fs::rename(path("post-commit"), path(moved)).unwrap();
        put(&path("post-commit"), by, 0o755);
        let changes = hooks.uninstall().unwrap();
        assert!(changes.iter().all(|(_, change)| *change == Change::Removed), "{changes:?}");
        let left: Vec<_> =
            everything(hooks.folder()).into_iter().filter(|(path, _)| path.is_file()).collect();
        assert_eq!(left.len(), 2);
        assert_eq!(
            (fs::read(path("post-commit")).unwrap(), fs::read(path(moved)).unwrap()),
            (by.into(), b"#!/bin/sh\n".into())
        );
    }
}

#[test]
fn a_probe_leaves_out_what_is_not_ours() {
    let probes = |framework: Framework, name: &str, files: Files<'_>| {
        let (place, hooks) = folder(name, files);
        framework.probes(&hooks.folder().join("post-commit"), Event::PostCommit, place.path())
    };
    let snippet = |framework: Framework| framework.snippet().into_bytes();
    let husky = |content: &[u8]| probes(Framework::Husky, ".husky/_", &[(".husky/post-commit", content)]);
    assert_eq!(husky(b"git push\n"), []);
    assert_eq!(husky(&snippet(Framework::Husky)), [Probe::default()]);
    let lefthook = probes(Framework::Lefthook, "hooks", &[]);
    assert!(lefthook.iter().all(|probe| probe.arguments[1] == "parler") && lefthook.len() == 2);
    let config = b"repos:\n- repo: local\n  hooks:\n  - id: one\n-   repo: meta\n    hooks:\n    -   name: x\n        id: \"two\" # 2\n";
    let pre_commit = |config: &[u8], before: &[u8]| {
        let files = [
            ("hooks/post-commit", OF_PRE_COMMIT),
            (".pre-commit-config.yaml", config),
            ("hooks/post-commit.legacy", before),
        ];
        probes(Framework::PreCommit, "hooks", &files)
    };
    let skip = [Probe { arguments: Vec::new(), variables: vec![("SKIP", "one,two".to_owned())] }];
    assert_eq!(pre_commit(config, b""), []);
    assert_eq!(pre_commit(&[&config[..], &snippet(Framework::PreCommit)].concat(), b""), skip);
    let ours = script::script(Event::PostCommit, Path::new("/bin/true"), false);
    assert_eq!(pre_commit(config, &ours), skip);
}

#[test]
fn a_name_that_is_taken_is_not_overwritten() {
    let place = tempfile::tempdir().unwrap();
    let hooks = Hooks::of(place.path().to_owned());
    put(&place.path().join("post-commit"), b"one", 0o755);
    put(&place.path().join("post-commit.before-parler"), b"two", 0o755);
    let before = everything(place.path());
    assert!(matches!(hooks.install(Path::new("/bin/true")), Err(Error::InTheWay { .. })));
    assert_eq!(everything(place.path()), before);
}

/// Runs a hook as git does, in the folder above, and returns its exit code.
fn run(hooks: &Hooks, event: Event, probe: Option<&str>) -> Option<i32> {
    let mut command = Command::new(hooks.folder().join(event.name()));
    command
        .args(["one", "two words"])
        .current_dir(hooks.folder().parent().unwrap())
        .env_clear()
        .env("PATH", "/usr/bin:/bin");
    command.envs(probe.map(|probe| ("PARLER_HOOKS_PROBE", probe)));
    command.stdin(fs::File::open(hooks.folder().join("../input")).unwrap()).status().unwrap().code()
}

#[test]
fn what_was_there_before_runs_first_with_all_it_had_and_its_status_counts() {
    let place = tempfile::tempdir().unwrap();
    let (hooks, ran) = (Hooks::of(place.path().join("hooks")), place.path().join("ran"));
    fs::create_dir(hooks.folder()).unwrap();
    fs::write(place.path().join("input"), "a b\n").unwrap();
    let program = place.path().join("it's a program");
    put(&program, b"#!/bin/sh\necho \"ours $* $(cat)\" >>ran\nexit 9\n", 0o755);
    let before = hooks.folder().join("post-rewrite");
    put(&before, b"#!/bin/sh\necho \"theirs $# $2 $(cat)\" >>ran\nexit 7\n", 0o755);
    hooks.install(&program).unwrap();
    let lines = || std::mem::take(&mut fs::read_to_string(&ran).unwrap_or_default());
    assert_eq!(run(&hooks, Event::PostRewrite, None), Some(7));
    assert_eq!(lines(), "theirs 2 two words a b\nours hook git post-rewrite one two words \n");
    fs::remove_file(&ran).unwrap();
    assert_eq!(run(&hooks, Event::PostCommit, None), Some(9));
    assert_eq!(lines(), "ours hook git post-commit one two words \n");
    fs::remove_file(&ran).unwrap();
    // A probe has nothing else run.
    assert_eq!(run(&hooks, Event::PostRewrite, Some("x")), Some(9));
    assert_eq!(lines(), "ours hook git post-rewrite one two words \n");
    fs::remove_file(&ran).unwrap();
    // So it is where pre-commit has moved ours, and runs it there.
    let names = ["post-rewrite", "post-rewrite.legacy"].map(|name| hooks.folder().join(name));
    fs::rename(&names[0], &names[1]).unwrap();
    let mut legacy = Command::new(&names[1]);
    let status = legacy.arg("amend").current_dir(place.path()).stdin(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(7));
    assert_eq!(lines(), "theirs 1  \nours hook git post-rewrite amend \n");
    fs::rename(&names[1], &names[0]).unwrap();
    fs::remove_file(&ran).unwrap();
    // What is switched off stays so, and a program that is gone is not missed.
    fs::set_permissions(hooks.folder().join("post-rewrite.before-parler"), fs::Permissions::from_mode(0o644))
        .unwrap();
    fs::remove_file(&program).unwrap();
    assert_eq!(run(&hooks, Event::PostRewrite, None), Some(0));
    assert_eq!(lines(), "");
}
