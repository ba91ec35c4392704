//! `apply` stopped, or refused by the system, at every call that writes: the repository is as before or complete, and
//! the next apply works and leaves no temporary file.

use std::fs;
use std::path::{Path, PathBuf};

use kit::{Env, Snapshot};
use serde_json::json;

use crate::strace::{Call, inject, writing_calls};
use crate::two::{Two, answer};

/// A bundle, and the repository that it is applied to, of which a fresh copy is made for each fault.
struct Scene {
    two: Two,
    bundle: String,
    model: PathBuf,
    calls: Vec<Call>,
}

impl Scene {
    /// `unpack_limit` decides whether the objects become loose ones or a pack.
    fn new(unpack_limit: &str) -> Option<Self> {
        let two = Two::new();
        if !two.env.has("strace") {
            return None;
        }
        let bundle = two.bundle();
        two.env.git(&two.behind, ["repack", "-adq"]);
        two.env.git(&two.behind, ["config", "fetch.unpackLimit", unpack_limit]);
        let mut scene = Self { model: two.behind.join(".git"), two, bundle, calls: Vec::new() };
        let repo = scene.copy("clean");
        // What is made once for every command is made before the calls are counted.
        answer(scene.env(), &repo, "apply", &["--dry-run", &scene.bundle]);
        scene.calls = writing_calls(&scene.two.env, &repo, &["apply", &scene.bundle]);
        let is_there = |name: &str| scene.calls.iter().any(|call| call.name.starts_with(name));
        assert!(is_there("rename") && is_there("write") && is_there("mkdir"), "{:?}", scene.calls);
        Some(scene)
    }

    fn env(&self) -> &Env {
        &self.two.env
    }

    fn copy(&self, name: &str) -> PathBuf {
        let path = self.env().path(name);
        let words = ["-a", self.model.to_str().expect("text"), path.to_str().expect("text")];
        let run = self.env().run(self.env().root(), "cp", words);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        path
    }

    /// The calls to stop at: all of them in the long run, else some, spread evenly and beginning at `first`.
    fn chosen(&self, first: usize, count: usize) -> Vec<&Call> {
        if kit::is_long() {
            return self.calls.iter().collect();
        }
        let step = (self.calls.len() / count).max(1);
        self.calls.iter().skip(first).step_by(step).collect()
    }

    /// Sees that the repository is as before or complete; returns which.
    fn is_complete(&self, repo: &Path, what: &str) -> bool {
        let listed = self.env().git(repo, ["for-each-ref", "--format=%(objectname)", "refs/parler"]);
        assert!(listed.is_empty() || listed == self.two.tip, "{what}: {listed}");
        let run = self.env().try_git(repo, ["fsck", "--strict", "--no-dangling"]);
        assert_eq!(run.code, Some(0), "{what}: {}{}", run.stdout, run.stderr);
        !listed.is_empty()
    }

    /// Sees that nothing is in the way of the next apply, and that it cleans up.
    fn goes_on(&self, repo: &Path, what: &str) {
        let applied = answer(self.env(), repo, "apply", &[&self.bundle]);
        assert_eq!(applied["tip"], json!(self.two.tip), "{what}");
        assert!(self.is_complete(repo, what));
        let left =
            ["-name", "tmp_*", "-o", "-name", "*.lock", "-o", "-name", "*.keep", "-o", "-name", "*.part"];
        let run = self.env().run(repo, "find", [".", "../p"].iter().chain(&left));
        assert_eq!(run.stdout, "", "{what}");
    }
}

fn kill_everywhere(unpack_limit: &str) {
    let Some(scene) = Scene::new(unpack_limit) else { return };
    let mut complete = 0;
    let chosen = scene.chosen(0, 40);
    for (number, call) in chosen.iter().enumerate() {
        let what = format!("killed before {} {}: {}", call.name, call.number, call.shown);
        let repo = scene.copy(&format!("r{number}"));
        let before = Snapshot::besides_handoffs(&repo);
        let run = inject(scene.env(), &repo, &["apply", &scene.bundle], call, "signal=KILL");
        assert_eq!(run.code, None, "{what}: {}", run.stderr);
        complete += usize::from(scene.is_complete(&repo, &what));
        assert_eq!(before.differences(), [""; 0], "{what}");
        scene.goes_on(&repo, &what);
        fs::remove_dir_all(repo).expect("a copy");
    }
    assert!(complete < chosen.len(), "some died before the end");
}

#[test]
fn apply_of_loose_objects_survives_a_kill_before_any_call_that_writes() {
    kill_everywhere("1000");
}

#[test]
fn apply_of_a_pack_survives_a_kill_before_any_call_that_writes() {
    kill_everywhere("1");
}

/// Lets one call after the other fail. What fails while something is removed may leave a temporary file to the next
/// apply; what fails on the way to the terminal does so after the work is done.
fn fail_everywhere(unpack_limit: &str, error: &str, first: usize) {
    let Some(scene) = Scene::new(unpack_limit) else { return };
    for (number, call) in scene.chosen(first, 16).iter().enumerate() {
        let what = format!("{error} at {} {}: {}", call.name, call.number, call.shown);
        let repo = scene.copy(&format!("r{number}"));
        let (whole, before) = (Snapshot::of(&repo), Snapshot::besides_handoffs(&repo));
        let run = inject(scene.env(), &repo, &["apply", &scene.bundle], call, &format!("error={error}"));
        assert_eq!(before.differences(), [""; 0], "{what}");
        let is_removal = call.name.starts_with("unlink") || call.name == "rmdir";
        if scene.is_complete(&repo, &what) {
            let is_result = call.name == "write" && call.shown.starts_with("write(1,");
            assert_eq!(run.code, Some(if is_result { 128 } else { 0 }), "{what}: {}", run.stderr);
        } else {
            assert_eq!(run.code, Some(128), "{what}: {}", run.stderr);
            assert_eq!(run.stderr.matches("error: ").count(), 1, "{what}: {}", run.stderr);
            if !is_removal {
                assert_eq!(whole.differences(), [""; 0], "{what}");
            }
        }
        scene.goes_on(&repo, &what);
        fs::remove_dir_all(repo).expect("a copy");
    }
}

#[test]
fn apply_of_loose_objects_survives_any_call_that_fails() {
    fail_everywhere("1000", "EIO", 0);
    fail_everywhere("1000", "ENOSPC", 1);
}

#[test]
fn apply_of_a_pack_survives_any_call_that_fails() {
    fail_everywhere("1", "EIO", 1);
    fail_everywhere("1", "ENOSPC", 0);
}
