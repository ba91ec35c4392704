//! A configuration file of somebody else: read whole, replaced at once, with its mode and owner, and through links.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use super::Error;
use crate::limits::HOST_FILE_BYTES_MAX;

/// A file, or the place where there is none.
#[derive(Debug)]
pub(super) struct Place {
    /// Where the bytes lie: links are followed, and stay.
    pub(super) path: PathBuf,
    /// What lies there.
    pub(super) present: Option<Present>,
}

/// A file as it was found.
#[derive(Debug)]
pub(super) struct Present {
    pub(super) text: String,
    mode: u32,
    owner: (u32, u32),
}

impl Place {
    /// Reads the file at `named`.
    pub(super) fn find(named: &Path) -> Result<Self, Error> {
        let path = match fs::canonicalize(named) {
            Ok(path) => path,
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(named, "read")(error));
            }
            Err(_) if fs::symlink_metadata(named).is_ok() => {
                return Err(Error::LeadsNowhere { path: named.to_path_buf() });
            }
            Err(_) => return Ok(Self { path: named.to_path_buf(), present: None }),
        };
        // Looked at before it is opened: opening a pipe would wait for who writes into it.
        if !fs::metadata(&path).map_err(failed(&path, "read"))?.is_file() {
            return Err(Error::NoFile { path });
        }
        let file = File::open(&path).map_err(failed(&path, "read"))?;
        let about = file.metadata().map_err(failed(&path, "read"))?;
        let mut bytes = Vec::new();
        file.take(HOST_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed(&path, "read"))?;
        if bytes.len() as u64 > HOST_FILE_BYTES_MAX {
            return Err(Error::TooLarge { path });
        }
        let Ok(text) = String::from_utf8(bytes) else { return Err(Error::NotText { path }) };
        let present = Present { text, mode: about.mode() & 0o7777, owner: (about.uid(), about.gid()) };
        Ok(Self { path, present: Some(present) })
    }

    /// Returns the text; that of a file which is not there is empty.
    pub(super) fn text(&self) -> &str {
        self.present.as_ref().map_or("", |present| present.text.as_str())
    }

    /// Returns where the backup lies: beside the file itself.
    pub(super) fn backup(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".parler-backup");
        PathBuf::from(name)
    }

    /// Returns the text of the backup, if one can be read.
    pub(super) fn backup_text(&self) -> Option<String> {
        let found = Self::find(&self.backup()).ok()?;
        found.present.map(|present| present.text)
    }

    /// Writes the file as it was found to the backup.
    pub(super) fn back_up(&self) -> Result<Option<PathBuf>, Error> {
        let Some(present) = &self.present else { return Ok(None) };
        self.may_be_written()?;
        let backup = self.backup();
        write(&backup, &present.text, Some(present))?
            .persist(&backup)
            .map_err(|error| failed(&backup, "written")(error.error))?;
        Ok(Some(backup))
    }

    /// Puts `text` in the place of the file, all at once.
    pub(super) fn replace(&self, text: &str) -> Result<(), Error> {
        let Some(present) = &self.present else { return self.begin(text) };
        self.may_be_written()?;
        let file = write(&self.path, text, Some(present))?;
        // A host that runs may write its own settings at any time; what it wrote must not be lost.
        if fs::read(&self.path).map_err(failed(&self.path, "read"))? != present.text.as_bytes() {
            return Err(Error::Changed { path: self.path.clone() });
        }
        file.persist(&self.path).map_err(|error| failed(&self.path, "written")(error.error))?;
        Ok(())
    }

    /// Removes the file.
    pub(super) fn remove(&self) -> Result<(), Error> {
        fs::remove_file(&self.path).map_err(failed(&self.path, "removed"))
    }

    /// Removes the backup.
    pub(super) fn remove_backup(&self) -> Result<(), Error> {
        let backup = self.backup();
        fs::remove_file(&backup).map_err(failed(&backup, "removed"))
    }

    fn begin(&self, text: &str) -> Result<(), Error> {
        let folder = folder(&self.path);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder, "made"))?;
        write(&self.path, text, None)?.persist_noclobber(&self.path).map_err(|error| {
            match error.error.kind() {
                io::ErrorKind::AlreadyExists => Error::Changed { path: self.path.clone() },
                _ => failed(&self.path, "written")(error.error),
            }
        })?;
        Ok(())
    }

    /// A folder that may be written to would let a file be replaced that may not.
    fn may_be_written(&self) -> Result<(), Error> {
        OpenOptions::new().write(true).open(&self.path).map_err(failed(&self.path, "written")).map(drop)
    }
}

/// Writes a file beside `path` that can take its place: private, unless it has to be like one that is there.
fn write(path: &Path, text: &str, like: Option<&Present>) -> Result<tempfile::NamedTempFile, Error> {
    let written = tempfile::NamedTempFile::new_in(folder(path)).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        if let Some(like) = like {
            let about = file.as_file().metadata()?;
            if (about.uid(), about.gid()) != like.owner {
                fchown(file.as_file(), Some(like.owner.0), Some(like.owner.1))?;
            }
            file.as_file().set_permissions(Permissions::from_mode(like.mode))?;
        }
        file.as_file().sync_all()?;
        Ok(file)
    });
    written.map_err(failed(path, "written"))
}

fn folder(path: &Path) -> &Path {
    path.parent().expect("a file lies in a folder")
}

fn failed(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::File { path: path.to_path_buf(), action, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_writes_in_between_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        let missing = Place::find(&path).unwrap();
        fs::write(&path, "1").unwrap();
        assert!(matches!(missing.replace("ours"), Err(Error::Changed { .. })));
        let place = Place::find(&path).unwrap();
        fs::write(&path, "2").unwrap();
        assert!(matches!(place.replace("ours"), Err(Error::Changed { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "2");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
