//! Private files and folders: created 0600 in 0700, written by temporary file, flush and rename, read without
//! following links and only when they are ours. Nothing here knows what stands in them.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::limits;

/// Why a private file or folder could not be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Its answer.
        #[source]
        source: io::Error,
    },
    /// Others may read or write it.
    #[error("{} is open to other users (mode {mode:03o})", path.display())]
    LaxMode {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits it should have.
        wanted: u32,
    },
    /// Somebody else owns it.
    #[error("{} belongs to another user (uid {owner})", path.display())]
    ForeignOwner {
        /// The file or folder.
        path: PathBuf,
        /// The uid found.
        owner: u32,
    },
    /// A link, a folder or a device stands where a file should, or the reverse.
    #[error("{} is not a {wanted}", path.display())]
    WrongKind {
        /// The path.
        path: PathBuf,
        /// `regular file` or `folder`.
        wanted: &'static str,
    },
    /// The file is larger than anything we write there.
    #[error("{} is larger than {max} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound in bytes.
        max: u64,
    },
}

impl FileError {
    /// Wraps an I/O error with what was tried on which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Returns what the user can do about it, as a command where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { source, path, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    Some(format!("free some space below {}", path.display()))
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    Some("set PARLER_HOME to a folder that you may write".to_owned())
                }
                _ => None,
            },
            Self::LaxMode { path, wanted, .. } => Some(format!("run `chmod {wanted:o} {}`", path.display())),
            Self::ForeignOwner { path, .. } => {
                Some(format!("remove {} or set PARLER_HOME to a folder of your own", path.display()))
            }
            Self::WrongKind { path, .. } | Self::TooLarge { path, .. } => {
                Some(format!("look at {} and move it away", path.display()))
            }
        }
    }
}

/// Makes sure that `path` is a folder of ours with mode 0700, creating it and its parents.
///
/// An empty folder of ours that others may enter is closed to them; a filled one is an error, since somebody may
/// share it on purpose.
///
/// # Errors
/// [`FileError`] when it cannot be made, is no folder, belongs to another user or is open to others.
pub fn private_dir(path: &Path) -> Result<(), FileError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().unwrap_or(Path::new("/"));
            // Private too, as the specification of the user's folders wants it: one of them may be ours.
            let parents = DirBuilder::new().recursive(true).mode(0o700).create(parent);
            parents.map_err(FileError::io("create", parent))?;
            match DirBuilder::new().mode(0o700).create(path) {
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(FileError::io("create", path)(e)),
            }
        }
        Err(e) => return Err(FileError::io("create", path)(e)),
    }
    let found = fs::metadata(path).map_err(FileError::io("look at", path))?;
    if !found.is_dir() {
        return Err(FileError::WrongKind { path: path.to_owned(), wanted: "folder" });
    }
    match private(path, &found, 0o700) {
        Err(FileError::LaxMode { .. }) if is_empty(path)? => {
            fs::set_permissions(path, Permissions::from_mode(0o700))
                .map_err(FileError::io("close to other users", path))
        }
        other => other,
    }
}

/// Reads a private file whole, `None` when there is none.
///
/// # Errors
/// [`FileError`] when it is a link or no file, belongs to another user, is open to others, or is larger than
/// [`limits::STATE_FILE_BYTES_MAX`].
pub fn read_private(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    read_private_up_to(path, limits::STATE_FILE_BYTES_MAX)
}

/// As [`read_private`], of at most `max` bytes.
///
/// # Errors
/// As [`read_private`].
pub(crate) fn read_private_up_to(path: &Path, max: u64) -> Result<Option<Vec<u8>>, FileError> {
    let Some(file) = open_private(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).map_err(FileError::io("read", path))?;
    if u64::try_from(bytes.len()).is_ok_and(|n| n > max) {
        return Err(FileError::TooLarge { path: path.to_owned(), max });
    }
    Ok(Some(bytes))
}

/// Opens a private file for reading, `None` when there is none.
pub(crate) fn open_private(path: &Path) -> Result<Option<File>, FileError> {
    // NONBLOCK: a named pipe in the place of a file must not hold us up; it is refused below.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or(i32::MAX);
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(FileError::WrongKind { path: path.to_owned(), wanted: "regular file" });
        }
        Err(e) => return Err(FileError::io("open", path)(e)),
    };
    let found = file.metadata().map_err(FileError::io("look at", path))?;
    if !found.is_file() {
        return Err(FileError::WrongKind { path: path.to_owned(), wanted: "regular file" });
    }
    private(path, &found, 0o600)?;
    Ok(Some(file))
}

/// Writes `bytes` to `path` unless something is there already; of several racing writers one wins.
///
/// Returns whether ours is the file that now stands there. The bytes are on the disk before the name appears.
///
/// # Errors
/// [`FileError::Io`] when it cannot be written.
pub fn create_once(path: &Path, bytes: &[u8]) -> Result<bool, FileError> {
    let dir = parent(path);
    let written = temporary(dir, bytes, path)?;
    match written.persist_noclobber(path) {
        Ok(_) => {}
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(e) => return Err(FileError::io("create", path)(e.error)),
    }
    sync_dir(dir)?;
    Ok(true)
}

/// As [`create_once`], but leaves it to the system when the bytes reach the disk.
///
/// # Errors
/// [`FileError::Io`] when it cannot be written.
pub(crate) fn create_once_unflushed(path: &Path, bytes: &[u8]) -> Result<bool, FileError> {
    let mut file = named(parent(path))?;
    file.write_all(bytes).map_err(FileError::io("write", path))?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(FileError::io("create", path)(e.error)),
    }
}

/// Puts `bytes` in the place of what is at `path`, by rename, so that a reader sees the old or the new whole.
///
/// # Errors
/// [`FileError::Io`] when it cannot be written; then the old file stands unchanged.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let dir = parent(path);
    let written = temporary(dir, bytes, path)?;
    written.persist(path).map_err(|e| FileError::io("replace", path)(e.error))?;
    sync_dir(dir)
}

/// As [`replace`], but leaves it to the system when the bytes reach the disk: a crash of the process loses nothing, a power
/// cut may leave the old file, or an empty one.
///
/// # Errors
/// [`FileError::Io`] when it cannot be written; then the old file stands unchanged.
pub(crate) fn replace_unflushed(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let dir = parent(path);
    let mut file = named(dir)?;
    file.write_all(bytes).map_err(FileError::io("write", path))?;
    file.persist(path).map_err(|e| FileError::io("replace", path)(e.error))?;
    Ok(())
}

/// Holds the lock that belongs to `path` until dropped; the lock file is `path` with `.lock` behind it.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock of `path` and takes it.
    ///
    /// # Errors
    /// [`FileError::Io`] when the lock file cannot be made or locked.
    pub fn of(path: &Path) -> Result<Self, FileError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let name = PathBuf::from(name);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&name)
            .map_err(FileError::io("open", &name))?;
        file.lock().map_err(FileError::io("lock", &name))?;
        Ok(Self { _file: file })
    }
}

/// The right to do something that one process does at a time, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _file: File,
}

impl Turn {
    /// Takes the right that belongs to the file `path`, which is made where it is missing; `None` where another process has it.
    ///
    /// # Errors
    /// [`FileError::Io`] when the file cannot be made or locked.
    pub fn take(path: &Path) -> Result<Option<Self>, FileError> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = file.map_err(FileError::io("open", path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(FileError::io("lock", path)(error)),
        }
    }
}

/// Flushes a folder, so that a name made in it survives a power cut.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), FileError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(FileError::io("flush", dir))
}

/// Removes what crashed writers left in `dir`: files of ours whose name begins with `prefix`, untouched for `age`.
///
/// A file that cannot be looked at or removed is left for the next time.
pub(crate) fn sweep(dir: &Path, prefix: &str, age: Duration) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let stale = entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes())
            && entry.metadata().is_ok_and(|m| m.is_file() && age_of(&m) > age);
        if stale {
            remove_quietly(&entry.path());
        }
    }
}

/// Returns how long ago a file was written; zero when its time lies ahead.
pub(crate) fn age_of(metadata: &Metadata) -> Duration {
    metadata.modified().ok().and_then(|t| SystemTime::now().duration_since(t).ok()).unwrap_or(Duration::ZERO)
}

/// Removes a file whose loss and whose staying are both harmless.
pub(crate) fn remove_quietly(path: &Path) {
    // Absent already, or swept the next time.
    fs::remove_file(path).ok();
}

/// Prefix of the names of temporary files.
pub(crate) const TEMPORARY_PREFIX: &str = ".new-";

/// Makes a private temporary file in `dir`.
pub(crate) fn named(dir: &Path) -> Result<tempfile::NamedTempFile, FileError> {
    tempfile::Builder::new()
        .prefix(OsStr::new(TEMPORARY_PREFIX))
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(dir)
        .map_err(FileError::io("write in", dir))
}

fn temporary(dir: &Path, bytes: &[u8], path: &Path) -> Result<tempfile::NamedTempFile, FileError> {
    let mut file = named(dir)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(FileError::io("write", path))?;
    Ok(file)
}

fn private(path: &Path, found: &Metadata, wanted: u32) -> Result<(), FileError> {
    let owner = found.uid();
    if owner != rustix::process::geteuid().as_raw() {
        return Err(FileError::ForeignOwner { path: path.to_owned(), owner });
    }
    let mode = found.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FileError::LaxMode { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

fn is_empty(dir: &Path) -> Result<bool, FileError> {
    Ok(fs::read_dir(dir).map_err(FileError::io("look into", dir))?.next().is_none())
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_racing_writers_one_wins_and_all_read_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let (path, wins) = (&path, std::sync::atomic::AtomicUsize::new(0));
        let wins_of = &wins;
        let read: Vec<Vec<u8>> = std::thread::scope(|s| {
            let threads: Vec<_> = (0..16u8)
                .map(|i| {
                    s.spawn(move || {
                        if create_once(path, &[i; 64]).unwrap() {
                            wins_of.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        }
                        read_private(path).unwrap().unwrap()
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(wins.into_inner(), 1);
        assert!(read.iter().all(|r| r == &read[0] && r.len() == 64));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "temporary files are gone");
    }

    #[test]
    fn a_file_open_to_others_is_refused_with_the_command_that_closes_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert!(create_once(&path, b"x").unwrap());
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let error = read_private(&path).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is open to other users (mode 644)", path.display()));
        assert_eq!(error.hint().unwrap(), format!("run `chmod 600 {}`", path.display()));
    }

    #[test]
    fn a_link_and_a_folder_in_the_place_of_a_file_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        create_once(&target, b"x").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(matches!(read_private(&link), Err(FileError::WrongKind { .. })));
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        assert!(matches!(read_private(&folder), Err(FileError::WrongKind { .. })));
    }

    #[test]
    fn an_empty_folder_is_closed_and_a_filled_open_one_refused() {
        let dir = tempfile::tempdir().unwrap();
        let ours = dir.path().join("a/b/ours");
        private_dir(&ours).unwrap();
        for folder in ours.ancestors().take(3) {
            assert_eq!(fs::metadata(folder).unwrap().mode() & 0o777, 0o700, "{}", folder.display());
        }
        fs::set_permissions(&ours, Permissions::from_mode(0o755)).unwrap();
        private_dir(&ours).unwrap();
        assert_eq!(fs::metadata(&ours).unwrap().mode() & 0o777, 0o700);
        fs::write(ours.join("file"), b"").unwrap();
        fs::set_permissions(&ours, Permissions::from_mode(0o755)).unwrap();
        let error = private_dir(&ours).unwrap_err();
        assert_eq!(error.hint().unwrap(), format!("run `chmod 700 {}`", ours.display()));
        let file = ours.join("file");
        assert!(matches!(private_dir(&file), Err(FileError::WrongKind { .. })));
    }

    #[test]
    fn a_file_beyond_the_bound_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big");
        create_once(&path, b"").unwrap();
        OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(limits::STATE_FILE_BYTES_MAX + 1)
            .unwrap();
        assert!(matches!(read_private(&path), Err(FileError::TooLarge { .. })));
    }

    #[test]
    fn replacing_keeps_readers_whole_and_leaves_no_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(read_private(&path).unwrap().unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
