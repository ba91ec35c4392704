//! Makes references under `refs/parler/`, all or none, each with a line in its reflog, the way git does it: a lock
//! file beside each, then renames. gix's transaction would lock `packed-refs` as well, and a killed process would leave
//! that lock in everybody's way.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gix::bstr::{BStr, BString, ByteSlice};
use gix::{ObjectId, Repository};

use super::RefsError;
use crate::install::Policy;

/// References whose locks are held; dropped they are unlocked, and directories made for them are gone.
#[derive(Debug)]
pub(crate) struct Locked {
    refs: Vec<LockedRef>,
    dirs: Vec<PathBuf>,
    common_dir: PathBuf,
    policy: Policy,
    is_done: bool,
}

#[derive(Debug)]
struct LockedRef {
    name: BString,
    target: ObjectId,
    path: PathBuf,
    lock: PathBuf,
    /// The reflog, and its length before; nothing if it did not exist.
    log: Option<(PathBuf, Option<u64>)>,
    is_made: bool,
}

/// Returns the path of the lock file of a reference.
pub(crate) fn lock_path(repo: &Repository, name: &BStr) -> PathBuf {
    file_path(repo.common_dir(), &[name.to_str_lossy().as_ref(), ".lock"].concat())
}

fn file_path(common_dir: &Path, name: &str) -> PathBuf {
    name.split('/').fold(common_dir.to_owned(), |path, part| path.join(part))
}

/// Locks references that must not exist.
pub(crate) fn lock(
    repo: &Repository,
    names: impl Iterator<Item = (BString, ObjectId)>,
    policy: Policy,
) -> Result<Locked, RefsError> {
    let common_dir = repo.common_dir().to_owned();
    let mut locked = Locked { refs: Vec::new(), dirs: Vec::new(), common_dir, policy, is_done: false };
    for (name, target) in names {
        let full = super::full_name(name.as_bstr())?;
        refuse_above(repo, name.as_bstr())?;
        if repo.try_find_reference(&full).map_err(RefsError::Read)?.is_some() {
            return Err(RefsError::Exists(name));
        }
        let path = file_path(&locked.common_dir, &name.to_str_lossy());
        let lock = lock_path(repo, name.as_bstr());
        let write = |locked: &mut Locked| -> io::Result<()> {
            locked.make_parents(&lock)?;
            let mut file = take_lock(&lock)?;
            let (log, is_made) = (None, false);
            locked.refs.push(LockedRef {
                name: name.clone(),
                target,
                path: path.clone(),
                lock: lock.clone(),
                log,
                is_made,
            });
            writeln!(file, "{target}")?;
            policy.finish_ref(&lock, &file)
        };
        write(&mut locked).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => RefsError::Locked(name.clone()),
            _ => RefsError::Io(source),
        })?;
        // Made by somebody else between the first look and the lock.
        if path.is_file() {
            return Err(RefsError::Exists(name));
        }
    }
    Ok(locked)
}

/// Makes a lock file; waits a moment for somebody who holds it, as git does.
fn take_lock(lock: &Path) -> io::Result<File> {
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        match OpenOptions::new().write(true).create_new(true).open(lock) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && Instant::now() < deadline => {
                std::thread::sleep(LOCK_POLL);
            }
            outcome => return outcome,
        }
    }
}

/// git's default of `core.filesRefLockTimeout`.
const LOCK_TIMEOUT: Duration = Duration::from_millis(100);
const LOCK_POLL: Duration = Duration::from_millis(2);

/// Refuses a name below an existing reference, which git cannot keep; a packed one would not be in the way on disk.
fn refuse_above(repo: &Repository, name: &BStr) -> Result<(), RefsError> {
    for at in name.find_iter(b"/").filter(|at| *at >= super::PREFIX.len() - 1) {
        let above = super::full_name(name[..at].as_bstr())?;
        if repo.try_find_reference(&above).map_err(RefsError::Read)?.is_some() {
            return Err(RefsError::Exists(above.into_inner()));
        }
    }
    Ok(())
}

impl Locked {
    /// Makes the references, and says who did it and why in their reflogs.
    pub(crate) fn commit(mut self, committer: &BStr, message: &BStr) -> Result<(), RefsError> {
        for at in 0..self.refs.len() {
            self.make(at, committer, message).map_err(RefsError::Io)?;
        }
        self.is_done = true;
        Ok(())
    }

    fn make(&mut self, at: usize, committer: &BStr, message: &BStr) -> io::Result<()> {
        let LockedRef { name, target, .. } = &self.refs[at];
        let log = file_path(&self.common_dir.join("logs"), &name.to_str_lossy());
        let null = ObjectId::null(target.kind());
        let mut line = format!("{null} {target} ").into_bytes();
        line.extend_from_slice(committer);
        line.push(b'\t');
        line.extend(message.bytes().map(|byte| if byte == b'\n' { b' ' } else { byte }));
        line.push(b'\n');
        self.make_parents(&log)?;
        let before = fs::metadata(&log).ok().map(|log| log.len());
        let mut file = OpenOptions::new().append(true).create(true).open(&log)?;
        self.refs[at].log = Some((log.clone(), before));
        file.write_all(&line)?;
        self.policy.finish_ref(&log, &file)?;
        let LockedRef { lock, path, is_made, .. } = &mut self.refs[at];
        // An empty directory may be left of references that are gone.
        drop(fs::remove_dir(&*path));
        fs::rename(lock, path)?;
        *is_made = true;
        Ok(())
    }

    /// Makes the directories above `path`, and remembers which were new.
    fn make_parents(&mut self, path: &Path) -> io::Result<()> {
        let missing: Vec<_> =
            path.ancestors().skip(1).take_while(|dir| !dir.is_dir()).map(Path::to_owned).collect();
        for dir in missing.into_iter().rev() {
            match fs::create_dir(&dir) {
                Ok(()) => {
                    self.policy.share_dir(&dir)?;
                    self.dirs.push(dir);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        // Nobody is left to tell if one of these fails.
        for LockedRef { path, lock, log, is_made, .. } in self.refs.iter().rev() {
            drop(fs::remove_file(if *is_made { path } else { lock }));
            match log {
                Some((log, None)) => drop(fs::remove_file(log)),
                Some((log, Some(length))) => {
                    drop(File::options().write(true).open(log).and_then(|file| file.set_len(*length)));
                }
                None => {}
            }
        }
        for dir in self.dirs.iter().rev() {
            drop(fs::remove_dir(dir));
        }
    }
}

#[cfg(test)]
mod tests {
    use kit::Env;

    use super::*;
    use crate::referee;

    fn files(repo: &Path) -> String {
        let env = Env::new();
        env.run(repo, "find", [".git/refs", ".git/logs"]).stdout
    }

    #[test]
    fn several_references_are_made_or_none() {
        let env = Env::new();
        let path = env.init("repo");
        let id = referee::id(&env.commit(&path, "file", "content\n", "one"));
        let repo = referee::open(&path);
        let policy = Policy::of(&repo);
        let names = ["refs/parler/0123456789ab/a", "refs/parler/0123456789ab/b/c"];
        let wanted = || names.iter().map(|name| (BString::from(*name), id));
        let before = files(&path);

        drop(lock(&repo, wanted(), policy).unwrap());
        assert_eq!(files(&path), before);
        let locked = lock(&repo, wanted(), policy).unwrap();
        assert!(matches!(lock(&repo, wanted(), policy), Err(RefsError::Locked(_))));
        // The second reflog cannot be written: the first reference goes again.
        fs::create_dir_all(path.join(".git/logs").join(names[1])).unwrap();
        locked.commit("A <a@x> 1 +0000".into(), "message".into()).unwrap_err();
        fs::remove_dir_all(path.join(".git/logs/refs/parler")).unwrap();
        assert_eq!(files(&path), before);

        lock(&repo, wanted(), policy).unwrap().commit("A <a@x> 1 +0000".into(), "two\nlines".into()).unwrap();
        for name in names {
            assert_eq!(env.git(&path, ["rev-parse", name]), id.to_string());
            let shown = env.git(&path, ["reflog", "show", "--format=%gn %gd %gs", "--date=unix", name]);
            assert_eq!(shown, format!("A {}@{{1}} two lines", name.trim_start_matches("refs/")));
        }
        assert!(matches!(lock(&repo, wanted(), policy), Err(RefsError::Exists(_))));
        env.git(&path, ["pack-refs", "--all", "--prune"]);
        assert!(matches!(lock(&repo, wanted(), policy), Err(RefsError::Exists(_))));
    }

    #[test]
    fn a_reference_above_is_in_the_way_also_when_it_is_packed() {
        let env = Env::new();
        let path = env.init("repo");
        let id = referee::id(&env.commit(&path, "file", "content\n", "one"));
        env.git(&path, ["update-ref", "refs/parler", "HEAD"]);
        for pack in [false, true] {
            if pack {
                env.git(&path, ["pack-refs", "--all", "--prune"]);
            }
            let repo = referee::open(&path);
            let names = ["refs/parler/0123456789ab", "refs/parler/0123456789ab/a"];
            for name in names {
                let wanted = std::iter::once((BString::from(name), id));
                let refused = lock(&repo, wanted, Policy::of(&repo));
                assert!(matches!(refused, Err(RefsError::Exists(above)) if above == "refs/parler"));
            }
        }
    }
}
