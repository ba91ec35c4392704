//! What git wrote is taken, whatever the repository looks like; nothing else of the repository changes.

use std::fs::File;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use kit::{Env, History, Shape};
use sha2::{Digest as _, Sha256};

use super::*;

/// Returns the SHA-256 of a file.
fn id_of(path: &Path) -> [u8; 32] {
    Sha256::digest(std::fs::read(path).unwrap()).into()
}

fn apply_with(
    repo: &Path,
    bundle: &Path,
    change: impl FnOnce(&mut ImportOptions),
) -> Result<Imported, ImportError> {
    let repo = crate::referee::open(repo);
    let mut options = ImportOptions::new(id_of(bundle));
    change(&mut options);
    import(&repo, &mut File::open(bundle).unwrap(), &options, &mut |_| ())
}

fn apply(repo: &Path, bundle: &Path) -> Result<Imported, ImportError> {
    apply_with(repo, bundle, |_| ())
}

struct Pair {
    env: Env,
    source: PathBuf,
    target: PathBuf,
}

/// Makes a source with a history, and a clone of it that lacks the newest `behind` commits.
fn pair(behind: usize) -> Pair {
    let env = Env::new();
    let source = History::seeded(&env, "source", 7, &Shape::default()).path;
    let target = env.path("target");
    env.git(env.root(), ["clone", "-q", "source", "target"]);
    env.git(&target, ["remote", "remove", "origin"]);
    env.git(&target, ["reset", "-q", "--hard", &format!("HEAD~{behind}")]);
    env.git(&target, ["reflog", "expire", "--expire=now", "--all"]);
    env.git(&target, ["gc", "-q", "--prune=now"]);
    Pair { env, source, target }
}

impl Pair {
    fn bundle(&self, args: &[&str]) -> PathBuf {
        let path = self.env.path("change.bundle");
        let create = ["bundle", "create", "-q", "../change.bundle"];
        self.env.git(&self.source, create.iter().chain(args));
        path
    }

    fn tip(&self) -> ObjectId {
        ObjectId::from_hex(self.env.git(&self.source, ["rev-parse", "HEAD"]).as_bytes()).unwrap()
    }
}

#[test]
fn a_bundle_that_git_wrote_lands_under_refs_parler() {
    let pair = pair(5);
    let bundle = pair.bundle(&["HEAD~5..main"]);
    let imported = apply(&pair.target, &bundle).unwrap();
    assert_eq!(imported.tip(), Some(pair.tip()));
    assert!(!imported.already_applied && !imported.everything_here);
    let name = imported.refs[0].name.to_string();
    assert_eq!(pair.env.git(&pair.target, ["rev-parse", &name]), pair.tip().to_string());
    assert_eq!(pair.env.git(&pair.target, ["fsck", "--strict", "--no-dangling"]), "");
    let log = pair.env.git(&pair.source, ["log", "--format=%s", "HEAD~5..HEAD"]);
    let subjects: Vec<_> = imported.commits.iter().map(|commit| commit.subject.to_string()).collect();
    assert_eq!(subjects, log.lines().collect::<Vec<_>>());
}
