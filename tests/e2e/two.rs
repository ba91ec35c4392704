//! Two repositories with a common beginning, of which one is ahead: what nearly every handoff starts from.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kit::{Env, History, ObjectFormat, Run, Shape};
use serde_json::Value;

use crate::environment;

/// `ahead` has commits that `behind` lacks, and `behind` holds nothing else: no remote, no reflog, no stray object.
pub(crate) struct Two {
    pub(crate) env: Env,
    pub(crate) ahead: PathBuf,
    pub(crate) behind: PathBuf,
    /// The commit that both have.
    pub(crate) base: String,
    /// The commit that only `ahead` has.
    pub(crate) tip: String,
}

impl Two {
    /// Makes both; `behind` lacks the newest three commits of eight.
    pub(crate) fn new() -> Self {
        Self::shaped(&Shape { commits: 8, ..Shape::default() }, 3)
    }

    /// Makes both; `behind` ends at `main~<lacking>` of a history of this shape.
    pub(crate) fn shaped(shape: &Shape, lacking: usize) -> Self {
        let env = environment();
        let ahead = History::seeded(&env, "ahead", 1, shape).path;
        let tip = env.git(&ahead, ["rev-parse", "main"]);
        let base = env.git(&ahead, ["rev-parse", &format!("main~{lacking}")]);
        let behind = receiver(&env, "behind", &ahead, &base, shape.object_format);
        Self { env, ahead, behind, base, tip }
    }

    /// Writes what `behind` lacks to a file and returns its path.
    pub(crate) fn bundle(&self) -> String {
        let file = self.file("handoff.bundle");
        self.push(&["--base", &self.base, "-o", &file]);
        file
    }

    /// Returns the path of `name` beside the repositories.
    pub(crate) fn file(&self, name: &str) -> String {
        self.env.path(name).to_str().expect("the path of an environment is text").to_owned()
    }

    /// Runs `git parler push --json` in `ahead` and returns its answer.
    pub(crate) fn push(&self, args: &[&str]) -> Value {
        answer(&self.env, &self.ahead, "push", args)
    }

    /// Runs `git parler apply --json` in `behind` and returns its answer.
    pub(crate) fn apply(&self, args: &[&str]) -> Value {
        answer(&self.env, &self.behind, "apply", args)
    }

    /// Runs `git parler` in `behind`, whatever comes of it.
    pub(crate) fn parler(&self, args: &[&str]) -> Run {
        parler(&self.env, &self.behind, args)
    }
}

/// Makes a repository at `name` that holds the history of `commit`, which is its `main`, and nothing else.
pub(crate) fn receiver(env: &Env, name: &str, from: &Path, commit: &str, format: ObjectFormat) -> PathBuf {
    let format = match format {
        ObjectFormat::Sha1 => "--object-format=sha1",
        ObjectFormat::Sha256 => "--object-format=sha256",
    };
    env.git(env.root(), ["init", "--quiet", format, name]);
    let path = env.path(name);
    let from = from.to_str().expect("the path of an environment is text");
    let refspec = format!("{commit}:refs/heads/main");
    env.git(&path, ["fetch", "--quiet", "--update-head-ok", from, &refspec]);
    env.git(&path, ["reset", "--quiet", "--hard"]);
    path
}

/// Runs `git parler` in `dir`, whatever comes of it.
pub(crate) fn parler(env: &Env, dir: &Path, args: &[&str]) -> Run {
    env.try_git(dir, std::iter::once("parler").chain(args.iter().copied()))
}

/// Runs a command with `--json` and returns its answer.
pub(crate) fn answer(env: &Env, dir: &Path, verb: &str, args: &[&str]) -> Value {
    let words = [verb, "--json"].into_iter().chain(args.iter().copied());
    let run = parler(env, dir, &words.collect::<Vec<_>>());
    assert_eq!(run.code, Some(0), "{verb} {args:?}: {}{}", run.stdout, run.stderr);
    serde_json::from_str(&run.stdout).expect("the answer is JSON")
}

/// Returns the strings in a list of an answer.
pub(crate) fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().expect("a list").iter();
    items.map(|item| item.as_str().expect("a string").to_owned()).collect()
}

/// Puts a program in place of every hook, which leaves a file behind and fails.
pub(crate) fn set_traps(git_dir: &Path) {
    let hooks = git_dir.join("hooks");
    fs::create_dir_all(&hooks).expect("a folder for hooks");
    for name in HOOKS {
        let path = hooks.join(name);
        fs::write(&path, format!("#!/bin/sh\necho {name} >>\"$GIT_DIR/trapped\"\nexit 1\n")).expect("a hook");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a hook is a program");
    }
}

const HOOKS: [&str; 14] = [
    "applypatch-msg",
    "pre-applypatch",
    "post-applypatch",
    "pre-commit",
    "post-commit",
    "post-checkout",
    "post-merge",
    "pre-receive",
    "update",
    "post-receive",
    "post-update",
    "reference-transaction",
    "pre-auto-gc",
    "post-rewrite",
];
