//! Disks that are full, read-only or somebody else's: one clear sentence, and everything as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kit::{Env, Mount, Run, Snapshot};
use serde_json::json;

use crate::PROGRAM;
use crate::two::{Two, answer, parler};

/// An id that no account of the tests has.
const NOBODY: u32 = 65534;

/// Puts a copy of `behind` at `folder` and returns the bundle that fits it.
fn move_behind(two: &Two, folder: &Path) -> String {
    let bundle = two.bundle();
    two.env.git(&two.behind, ["repack", "-adq"]);
    let run = two.env.run(two.env.root(), "cp", ["-a", "behind/.git", folder.to_str().expect("text")]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    bundle
}

#[test]
fn a_full_disk_under_the_repository_changes_nothing() {
    let two = Two::new();
    let folder = two.env.path("disk");
    let Some(mount) = Mount::small(&folder, 2048) else { return };
    let bundle = move_behind(&two, &folder.join("r.git"));
    let repo = folder.join("r.git");
    // Nothing left; enough for the quarantine to begin; enough for some of the objects.
    for spare in [0, 8 << 10, 24 << 10] {
        let ballast = mount.fill(spare);
        let before = Snapshot::of(&repo);
        let run = parler(&two.env, &repo, &["apply", &bundle]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(128), ""), "{spare}: {}", run.stderr);
        assert!(run.stderr.contains("\nerror: "), "{}", run.stderr);
        let hint =
            "No space left on device (os error 28)\nhint: free some space, then run the same command again\n";
        assert!(run.stderr.ends_with(hint), "{}", run.stderr);
        assert_eq!(before.differences(), [""; 0], "{spare}");
        fs::remove_file(ballast).unwrap();
    }
    assert_eq!(answer(&two.env, &repo, "apply", &[&bundle])["tip"], json!(two.tip));
}

#[test]
fn a_full_disk_under_a_bundle_leaves_no_part_of_it() {
    let two = Two::new();
    let folder = two.env.path("disk");
    let Some(mount) = Mount::small(&folder, 64) else { return };
    let ballast = mount.fill(4096);
    let file = folder.join("x.bundle");
    two.env.commit(&two.ahead, "noise", kit::Random::new(1).bytes(20_000), "noise");
    let arguments = ["push", "-q", "--base", &two.base, "-o", file.to_str().unwrap()];
    let run = parler(&two.env, &two.ahead, &arguments);
    assert_eq!(run.code, Some(128), "{}", run.stderr);
    assert!(run.stderr.contains("No space left on device"), "{}", run.stderr);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "only the ballast is there");
    fs::remove_file(ballast).unwrap();
    assert_eq!(parler(&two.env, &two.ahead, &arguments).code, Some(0));
}

#[test]
fn a_full_disk_under_the_cache_is_told_and_changes_nothing() {
    let two = Two::new();
    let bundle = two.bundle();
    let Some(mount) = Mount::small(&two.env.parler_home(), 64) else { return };
    mount.fill(0);
    let before = Snapshot::of(&two.behind);
    let run = two.parler(&["apply", &bundle]);
    assert_eq!(run.code, Some(128));
    assert!(run.stderr.contains("No space left on device"), "{}", run.stderr);
    assert_eq!(before.differences(), [""; 0]);
}

#[test]
fn a_read_only_file_system_changes_nothing() {
    let two = Two::new();
    let folder = two.env.path("disk");
    let Some(mount) = Mount::small(&folder, 2048) else { return };
    let bundle = move_behind(&two, &folder.join("r.git"));
    mount.make_read_only();
    let repo = folder.join("r.git");
    let before = Snapshot::of(&repo);
    let run = parler(&two.env, &repo, &["apply", &bundle]);
    let expected = "A file has no author: nobody vouches for what is in it.\n\
                    error: could not write to the quarantine: Read-only file system (os error 30)\n";
    assert!(run.stderr.starts_with(expected.trim_end()), "{}", run.stderr);
    assert_eq!(run.code, Some(128));
    let file = folder.join("x.bundle");
    let run = parler(&two.env, &two.ahead, &["push", "-q", "-o", file.to_str().unwrap()]);
    assert_eq!(run.code, Some(128));
    let expected = format!("error: cannot write {}: Read-only file system", file.display());
    assert!(run.stderr.starts_with(&expected), "{}", run.stderr);
    assert_eq!(before.differences(), [""; 0]);
}

/// Runs the program as somebody without rights; `None` where this user cannot become somebody else.
pub(crate) fn as_nobody(env: &Env, dir: &Path, args: &[&str]) -> Option<Run> {
    if !rustix::process::geteuid().is_root() || !env.has("setpriv") {
        return None;
    }
    // The program may lie where only its owner may look.
    let program = env.path("git-parler");
    if !program.exists() {
        // By a process of its own: a child that another test starts meanwhile would hold the copy open for writing, and it
        // could not be run.
        let copied = env.run(env.root(), "cp", [PROGRAM, "git-parler"]);
        assert_eq!(copied.code, Some(0), "{}", copied.stderr);
        fs::set_permissions(env.root(), fs::Permissions::from_mode(0o755)).expect("an own folder");
        let own = env.parler_home();
        fs::create_dir_all(&own).expect("a folder for keys");
        std::os::unix::fs::chown(&own, Some(NOBODY), Some(NOBODY)).expect("root gives away");
    }
    let user = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".to_owned()];
    let words = user.iter().map(String::as_str).chain([program.to_str().expect("text")]);
    Some(env.run(dir, "setpriv", words.chain(args.iter().copied()).collect::<Vec<_>>()))
}

pub(crate) fn give_away(env: &Env, path: &Path) {
    let owner = format!("{NOBODY}:{NOBODY}");
    env.run(env.root(), "chown", ["-R", &owner, path.to_str().expect("text")]);
}

#[test]
fn a_repository_of_somebody_else_is_not_opened() {
    let two = Two::new();
    let bundle = two.bundle();
    let before = Snapshot::of(&two.behind);
    let Some(run) = as_nobody(&two.env, &two.behind, &["apply", &bundle]) else { return };
    let expected = format!(
        "error: the repository at . belongs to somebody else\n\
         hint: if you trust it: git config --global --add safe.directory {}\n",
        two.behind.display()
    );
    assert_eq!(run, Run { code: Some(128), stdout: String::new(), stderr: expected });
    // Trusted it is read, and still nobody's to write.
    fs::set_permissions(two.env.home(), fs::Permissions::from_mode(0o755)).unwrap();
    let trusted = two.behind.to_str().unwrap();
    two.env.git(two.env.root(), ["config", "--global", "--add", "safe.directory", trusted]);
    let run = as_nobody(&two.env, &two.behind, &["apply", &bundle]).expect("as before");
    assert_eq!(run.code, Some(128), "{}", run.stderr);
    let expected = "\nerror: could not write to the quarantine: Permission denied (os error 13)";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
    assert_eq!(before.differences(), [""; 0]);
}

#[test]
fn a_repository_that_may_not_be_written_is_left_alone_wherever_the_writing_fails() {
    for locked in [".git/objects", ".git"] {
        let two = Two::new();
        let bundle = two.bundle();
        two.env.git(&two.behind, ["repack", "-adq"]);
        give_away(&two.env, &two.behind);
        let path = two.behind.join(locked);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o555)).unwrap();
        if locked == ".git" {
            // Objects may come, references may not.
            fs::set_permissions(path.join("refs"), fs::Permissions::from_mode(0o555)).unwrap();
        }
        let before = Snapshot::of(&two.behind);
        let Some(run) = as_nobody(&two.env, &two.behind, &["apply", &bundle]) else { return };
        assert_eq!((run.code, run.stdout.as_str()), (Some(128), ""), "{locked}: {}", run.stderr);
        assert_eq!(run.stderr.matches("error: ").count(), 1, "{}", run.stderr);
        assert!(run.stderr.contains("Permission denied"), "{locked}: {}", run.stderr);
        assert_eq!(before.differences(), [""; 0], "{locked}");
    }
}

#[test]
fn a_bundle_that_may_not_be_read_is_named() {
    let two = Two::new();
    let bundle = two.bundle();
    give_away(&two.env, &two.behind);
    fs::set_permissions(&bundle, fs::Permissions::from_mode(0o600)).unwrap();
    let Some(run) = as_nobody(&two.env, &two.behind, &["apply", &bundle]) else { return };
    let expected = format!("error: cannot read {bundle}: Permission denied (os error 13)\n");
    assert_eq!((run.code, run.stderr), (Some(128), expected));
}
