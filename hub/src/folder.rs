//! The hub's folder before anything else is in it: the lock and the key.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use protocol::key::HubKey;

use crate::error::Error;
use crate::limits::KEY_FILE_BYTES_MAX;

/// The locked folder of a hub; others may lock it once this is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder if need be and locks it.
    pub(crate) fn lock(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Files { path: path.to_owned(), source };
        // One that is there keeps its mode: it may be shared with other things, and all in it that is ours is private.
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let lock =
            File::options().create(true).truncate(false).write(true).mode(0o600).open(path.join("lock"));
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::AlreadyRuns { data: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Returns the folder's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the hub's key, or makes one on the first start.
    pub(crate) fn key(&self) -> Result<HubKey, Error> {
        let path = self.path.join("hub.key");
        match read_key(&path) {
            Err(Error::Files { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                self.make_key(&path)
            }
            outcome => outcome,
        }
    }

    fn make_key(&self, path: &Path) -> Result<HubKey, Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(Error::Random)?;
        let key = HubKey::from_seed(&seed);
        let text = key.to_seed_text().expect("hub keys have a seed text");
        let written = (|| {
            // Of mode 0600, whole or not there, and on disk before the first client remembers the key.
            let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
            writeln!(file, "{text}")?;
            file.as_file().sync_all()?;
            file.persist_noclobber(path).map_err(|error| error.error)?;
            File::open(&self.path)?.sync_all()
        })();
        written.map_err(|source| Error::Files { path: path.to_owned(), source })?;
        Ok(key)
    }
}

fn read_key(path: &Path) -> Result<HubKey, Error> {
    let failed = |source| Error::Files { path: path.to_owned(), source };
    let mut text = String::new();
    File::open(path).map_err(failed)?.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    close_to_others(path).map_err(failed)?;
    HubKey::from_seed_text(&text).map_err(|source| Error::BadKey { path: path.to_owned(), source })
}

/// Takes the rights of others away from a key file that was copied carelessly.
fn close_to_others(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "the hub's key was open to others; its mode is 0600 now");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_key_is_made_once_and_private() {
        let place = tempfile::tempdir().unwrap();
        let data = place.path().join("hub");
        let folder = Folder::lock(&data).unwrap();
        let key = folder.key().unwrap().public();
        assert_eq!(folder.key().unwrap().public(), key);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&data.join("hub.key"))), (0o700, 0o600));
    }

    #[test]
    fn a_folder_that_was_there_keeps_its_mode() {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Folder::lock(place.path()).unwrap();
        assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn a_second_hub_in_the_same_folder_is_refused_until_the_first_ends() {
        let place = tempfile::tempdir().unwrap();
        let first = Folder::lock(place.path()).unwrap();
        assert!(matches!(Folder::lock(place.path()), Err(Error::AlreadyRuns { .. })));
        drop(first);
        Folder::lock(place.path()).unwrap();
    }

    #[test]
    fn a_damaged_key_file_is_refused_and_kept() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("hub.key");
        fs::write(&path, "SNAAA\n").unwrap();
        assert!(matches!(Folder::lock(place.path()).unwrap().key(), Err(Error::BadKey { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "SNAAA\n");
    }
}
