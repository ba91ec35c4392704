//! A private object directory in which a pack is completed and indexed before anything of it is visible, and which
//! leaves nothing behind: dropped it is removed, killed it is swept by the next import.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice;

/// Prefix of the directories. git's own `prune` removes forgotten ones too, because of the `tmp_` in it.
pub(crate) const PREFIX: &str = "tmp_objdir-parler-";
const LOCK: &str = "lock";
/// Lists the lock files of references that this import is about to take.
const REF_LOCKS: &str = "ref-locks";

/// A quarantine directory, locked for as long as this process holds it; removed on drop.
#[derive(Debug)]
pub(crate) struct Quarantine {
    dir: PathBuf,
    // Held, never read: the lock says that somebody is at work here.
    _lock: File,
}

impl Quarantine {
    /// Makes a quarantine in `parent` that sees the objects in `alternates` too.
    ///
    /// `parent` is the object directory of a repository, or any private directory for a preview.
    pub(crate) fn create(parent: &Path, alternates: &[PathBuf]) -> io::Result<Self> {
        let (dir, lock) = loop {
            if let Some(made) = Self::try_create(parent)? {
                break made;
            }
        };
        let quarantine = Self { dir, _lock: lock };
        for part in ["pack", "info"] {
            private_dir(&quarantine.dir.join(part))?;
        }
        let mut file = private_file(&quarantine.dir.join("info").join("alternates"))?;
        for alternate in alternates {
            let alternate = std::path::absolute(alternate)?;
            file.write_all(alternate.as_os_str().as_encoded_bytes())?;
            file.write_all(b"\n")?;
        }
        Ok(quarantine)
    }

    /// Makes a directory and takes its lock; `None` if a sweep took the directory for a forgotten one in between.
    fn try_create(parent: &Path) -> io::Result<Option<(PathBuf, File)>> {
        let dir =
            tempfile::Builder::new().prefix(PREFIX).permissions(private_mode()).tempdir_in(parent)?.keep();
        let path = dir.join(LOCK);
        let lock = match private_file(&path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                remove(&dir)?;
                return Err(error);
            }
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => {
                remove(&dir)?;
                return Err(error);
            }
        }
        // Locked, but perhaps a file that a sweep removed just before.
        let is_ours = fs::metadata(&path)
            .is_ok_and(|there| lock.metadata().is_ok_and(|ours| there.ino() == ours.ino()));
        Ok(is_ours.then_some((dir, lock)))
    }

    /// Returns the directory: an object directory with `pack/` and `info/alternates`.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the name by which a `.keep` file says which import it belongs to.
    pub(crate) fn name(&self) -> String {
        self.dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Notes the lock files that this import is about to take, so that a sweep can remove them should it be killed.
    pub(crate) fn note_ref_locks(&self, locks: &[PathBuf]) -> io::Result<()> {
        let mut file = private_file(&self.dir.join(REF_LOCKS))?;
        for lock in locks {
            file.write_all(lock.as_os_str().as_encoded_bytes())?;
            file.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Returns the path of a file in `pack/`.
    pub(crate) fn pack_path(&self, name: &str) -> PathBuf {
        self.dir.join("pack").join(name)
    }
}

impl Drop for Quarantine {
    fn drop(&mut self) {
        // Nobody is left to tell; what stays is swept by the next import.
        drop(remove(&self.dir));
    }
}

/// Removes the quarantines in `parent` whose process is gone, and the `.keep` files left in `parent/pack`.
///
/// A quarantine that is in use is left alone. Errors on one do not keep the others from being swept.
pub(crate) fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let dir = entry.path();
        // A link under this name is none of ours, and what it points to is none of our business.
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        match OpenOptions::new().read(true).write(true).custom_flags(no_follow()).open(dir.join(LOCK)) {
            Ok(lock) => {
                if lock.try_lock().is_ok() {
                    remove_ref_locks(&dir);
                    // An error leaves it to the next sweep.
                    drop(remove(&dir));
                }
            }
            // Stopped between making the directory and its lock, or after removing the lock: empty, so this succeeds.
            // If it is not empty somebody is at work.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                drop(fs::remove_dir(&dir));
            }
            Err(_) => {}
        }
    }
    remove_keeps(parent);
}

/// Removes the `.keep` files of imports whose quarantine is gone; a living one has both.
fn remove_keeps(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent.join("pack")) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_keep = path.extension().is_some_and(|extension| extension == "keep");
        let Some(content) = is_keep.then(|| fs::read_to_string(&path).ok()).flatten() else { continue };
        let quarantine = content.strip_prefix(KEEP_PREFIX).and_then(|name| name.strip_suffix('\n'));
        if quarantine.is_some_and(|name| name.starts_with(PREFIX) && !parent.join(name).exists()) {
            // An error leaves it to the next sweep.
            drop(fs::remove_file(&path));
        }
    }
}

/// Removes the locks of references that a killed import held; only ours can be among them.
fn remove_ref_locks(dir: &Path) {
    let Ok(content) = fs::read(dir.join(REF_LOCKS)) else { return };
    for line in content.lines() {
        let path = Path::new(OsStr::from_bytes(line));
        let is_ours = line.contains_str(crate::refs::PREFIX) && line.ends_with(b".lock");
        if is_ours {
            // An error leaves it: the next import says which file is in its way.
            drop(fs::remove_file(path));
        }
    }
}

/// Returns what the `.keep` file of an import says, so that a sweep knows it.
pub(crate) fn keep_content(quarantine: &str) -> Vec<u8> {
    format!("{KEEP_PREFIX}{quarantine}\n").into_bytes()
}

const KEEP_PREFIX: &str = "git-parler import ";

/// Removes a quarantine; its lock goes last, so that a sweep finds what a stopped removal left.
fn remove(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name() == LOCK {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    match fs::remove_file(dir.join(LOCK)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::remove_dir(dir)
}

fn private_mode() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o700)
}

fn no_follow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

/// Makes a directory that only this user can enter.
pub(crate) fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Makes a file that only this user can read; it must not exist, not even as a link.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(no_follow())
        .open(path)
}

/// Makes the file of an object or a pack, read-only for all whom umask lets read; it must not exist.
///
/// Its directory keeps others out until it is moved.
pub(crate) fn object_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o444)
        .custom_flags(no_follow())
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_dropped_quarantine_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let quarantine = Quarantine::create(parent.path(), &[parent.path().join("objects")]).unwrap();
        fs::write(quarantine.pack_path("x.pack"), b"x").unwrap();
        assert_eq!(names(quarantine.dir()), ["info", "lock", "pack"]);
        drop(quarantine);
        assert_eq!(names(parent.path()), [""; 0]);
    }

    #[test]
    fn a_sweep_takes_the_dead_and_leaves_the_living() {
        let parent = tempfile::tempdir().unwrap();
        let living = Quarantine::create(parent.path(), &[]).unwrap();
        let dead = Quarantine::create(parent.path(), &[]).unwrap();
        // What a kill leaves: the files, and a lock that nobody holds.
        let copy = parent.path().join(format!("{PREFIX}killed"));
        private_dir(&copy).unwrap();
        private_dir(&copy.join("pack")).unwrap();
        fs::write(copy.join("pack").join("half.pack"), b"half").unwrap();
        fs::write(copy.join(LOCK), b"").unwrap();
        private_dir(&parent.path().join(format!("{PREFIX}empty"))).unwrap();
        drop(dead);
        sweep(parent.path());
        assert_eq!(names(parent.path()), [living.name()]);
    }

    #[test]
    fn a_sweep_removes_the_keep_files_of_the_dead_only() {
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir(parent.path().join("pack")).unwrap();
        let dead = parent.path().join(format!("{PREFIX}dead"));
        private_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), b"").unwrap();
        fs::write(parent.path().join("pack/a.keep"), keep_content(&format!("{PREFIX}dead"))).unwrap();
        let living = Quarantine::create(parent.path(), &[]).unwrap();
        fs::write(parent.path().join("pack/b.keep"), keep_content(&living.name())).unwrap();
        fs::write(parent.path().join("pack/c.keep"), b"").unwrap();
        // Its removal had failed, and its quarantine went.
        fs::write(parent.path().join("pack/d.keep"), keep_content(&format!("{PREFIX}gone"))).unwrap();
        sweep(parent.path());
        assert_eq!(names(&parent.path().join("pack")), ["b.keep", "c.keep"]);
        drop(living);
        assert_eq!(names(parent.path()), ["pack"]);
    }

    #[test]
    fn a_link_that_looks_like_a_quarantine_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join(LOCK), b"").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), parent.path().join(format!("{PREFIX}link"))).unwrap();
        sweep(parent.path());
        assert_eq!(names(elsewhere.path()), [LOCK]);
    }
}
