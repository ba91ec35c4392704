//! A configuration file of somebody else: read whole, replaced at once, with its mode and owner, and through links.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use super::Error;
use crate::file_error::{FileError, failed};
use crate::limits::HOST_FILE_BYTES_MAX;

/// A file, or the place where there is none.
#[derive(Debug)]
pub(super) struct ConfigFile {
    /// Where the bytes lie: links are followed, and stay.
    pub(super) path: PathBuf,
    /// Whether a link leads there.
    is_link: bool,
    /// What lies there.
    pub(super) present: Option<Present>,
    /// What stands behind its name in that of its backup.
    suffix: &'static str,
}

/// A file as it was found.
#[derive(Debug)]
pub(super) struct Present {
    pub(super) text: String,
    mode: u32,
    owner: (u32, u32),
}

impl ConfigFile {
    /// Reads the file at `named`.
    pub(super) fn find(named: &Path) -> Result<Self, Error> {
        Self::find_with(named, ".parler-backup")
    }

    /// As [`ConfigFile::find`]; its backup gets another name.
    pub(super) fn find_with(named: &Path, suffix: &'static str) -> Result<Self, Error> {
        let path = match fs::canonicalize(named) {
            Ok(path) => path,
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(named, "read")(error).into());
            }
            Err(_) if fs::symlink_metadata(named).is_ok() => {
                return Err(Error::LeadsNowhere { path: named.to_path_buf() });
            }
            Err(_) => return Ok(Self { path: named.to_path_buf(), is_link: false, present: None, suffix }),
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
        let is_link = fs::symlink_metadata(named).map_err(failed(named, "read"))?.is_symlink();
        Ok(Self { path, is_link, present: Some(present), suffix })
    }

    /// Returns the text; that of a file which is not there is empty.
    pub(super) fn text(&self) -> &str {
        self.present.as_ref().map_or("", |present| present.text.as_str())
    }

    /// Returns where the backup lies: beside the file itself.
    pub(super) fn backup(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(self.suffix);
        PathBuf::from(name)
    }

    /// Returns the text of the backup, if there is one.
    pub(super) fn backup_text(&self) -> Result<Option<String>, Error> {
        Ok(Self::find(&self.backup())?.present.map(|present| present.text))
    }

    /// Puts `text` in the place of the file, all at once; before that, where it `is_backed_up`, the file as it was found in that
    /// of the backup.
    pub(super) fn replace(&self, text: &str, is_backed_up: bool) -> Result<(), Error> {
        let Some(present) = &self.present else { return self.create(text) };
        self.may_be_written()?;
        let backup = self.backup();
        // Both are written before either gets its name: an older backup is not given up for an edit that then is refused.
        let copy = is_backed_up.then(|| self.write(&backup, &present.text)).transpose()?;
        let file = self.write(&self.path, text)?;
        self.is_as_found(present)?;
        if let Some(copy) = copy {
            put(copy, &backup)?;
        }
        Ok(put(file, &self.path)?)
    }

    /// Removes the file; one that a link leads to becomes empty, since the link stays.
    pub(super) fn remove(&self) -> Result<(), Error> {
        if self.is_link {
            return self.replace("", false);
        }
        self.may_be_written()?;
        if let Some(present) = &self.present {
            self.is_as_found(present)?;
        }
        Ok(fs::remove_file(&self.path).map_err(failed(&self.path, "removed"))?)
    }

    /// Removes the backup, if there is one.
    pub(super) fn remove_backup(&self) -> Result<(), Error> {
        let backup = self.backup();
        match fs::remove_file(&backup) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed(&backup, "removed")(error).into())
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn create(&self, text: &str) -> Result<(), Error> {
        let folder = folder(&self.path);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder, "made"))?;
        self.write(&self.path, text)?.persist_noclobber(&self.path).map_err(|error| {
            match error.error.kind() {
                io::ErrorKind::AlreadyExists => Error::Changed { path: self.path.clone() },
                _ => failed(&self.path, "written")(error.error).into(),
            }
        })?;
        Ok(())
    }

    /// A host that runs may write its own settings at any time; what it wrote must not be lost.
    fn is_as_found(&self, present: &Present) -> Result<(), Error> {
        match fs::read(&self.path) {
            Ok(bytes) if bytes == present.text.as_bytes() => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed(&self.path, "read")(error).into())
            }
            Ok(_) | Err(_) => Err(Error::Changed { path: self.path.clone() }),
        }
    }

    /// Fails where the file is there and may not be written to: its folder may be, and would let it be replaced.
    pub(super) fn may_be_written(&self) -> Result<(), Error> {
        if self.present.is_none() {
            return Ok(());
        }
        match OpenOptions::new().write(true).open(&self.path) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::Changed { path: self.path.clone() })
            }
            Err(error) => Err(failed(&self.path, "written")(error).into()),
        }
    }

    /// Writes a file beside `path` that can take its place: private, unless it has to be like the one that is there.
    fn write(&self, path: &Path, text: &str) -> Result<tempfile::NamedTempFile, Error> {
        let mut file = tempfile::NamedTempFile::new_in(folder(path)).map_err(failed(path, "written"))?;
        if let Some(like) = &self.present {
            like.give_owner(file.as_file())
                .map_err(|source| Error::Owner { path: self.path.clone(), source })?;
        }
        let written = file.write_all(text.as_bytes()).and_then(|()| {
            if let Some(like) = &self.present {
                file.as_file().set_permissions(Permissions::from_mode(like.mode))?;
            }
            file.as_file().sync_all()
        });
        written.map_err(failed(path, "written"))?;
        Ok(file)
    }
}

impl Present {
    fn give_owner(&self, file: &File) -> io::Result<()> {
        let about = file.metadata()?;
        if (about.uid(), about.gid()) == self.owner {
            return Ok(());
        }
        fchown(file, Some(self.owner.0), Some(self.owner.1))
    }
}

/// Gives a file that was written its name, in the place of what has it.
fn put(file: tempfile::NamedTempFile, path: &Path) -> Result<(), FileError> {
    file.persist(path).map_err(|error| failed(path, "written")(error.error)).map(drop)
}

fn folder(path: &Path) -> &Path {
    path.parent().expect("a file lies in a folder")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a file that a host changes after it was found.
    fn changed_meanwhile() -> (tempfile::TempDir, ConfigFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        fs::write(&path, "1").unwrap();
        let file = ConfigFile::find(&path).unwrap();
        fs::write(&path, "2").unwrap();
        (folder, file)
    }

    fn names(folder: &Path) -> Vec<String> {
        let names =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    #[test]
    fn what_the_host_writes_in_between_is_not_lost() {
        let (folder, file) = changed_meanwhile();
        assert!(matches!(file.replace("ours", false), Err(Error::Changed { .. })));
        assert!(matches!(file.remove(), Err(Error::Changed { .. })));
        assert_eq!(fs::read_to_string(&file.path).unwrap(), "2");
        assert_eq!(names(folder.path()), ["settings.json"]);
        let missing = ConfigFile::find(&folder.path().join("other.json")).unwrap();
        fs::write(&missing.path, "1").unwrap();
        assert!(matches!(missing.replace("ours", false), Err(Error::Changed { .. })));
        assert_eq!(fs::read_to_string(&missing.path).unwrap(), "1");
        // One that is gone meanwhile was changed too.
        let file = ConfigFile::find(&missing.path).unwrap();
        fs::remove_file(&missing.path).unwrap();
        assert!(matches!(file.replace("ours", false), Err(Error::Changed { .. })));
        assert_eq!(names(folder.path()), ["settings.json"]);
    }

    #[test]
    fn an_edit_that_is_refused_leaves_an_older_backup() {
        let (folder, file) = changed_meanwhile();
        fs::write(file.backup(), "0").unwrap();
        assert!(matches!(file.replace("ours", true), Err(Error::Changed { .. })));
        assert_eq!(fs::read_to_string(file.backup()).unwrap(), "0");
        assert_eq!(names(folder.path()), ["settings.json", "settings.json.parler-backup"]);
        let file = ConfigFile::find(&file.path).unwrap();
        file.replace("ours", true).unwrap();
        assert_eq!(fs::read_to_string(&file.path).unwrap(), "ours");
        assert_eq!(fs::read_to_string(file.backup()).unwrap(), "2");
    }

    #[test]
    fn a_link_never_leads_to_a_file_that_was_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("settings.json"), folder.path().join("link.json"));
        fs::write(&path, "ours").unwrap();
        std::os::unix::fs::symlink("settings.json", &link).unwrap();
        ConfigFile::find(&link).unwrap().remove().unwrap();
        assert_eq!(fs::read_to_string(&link).unwrap(), "");
        ConfigFile::find(&path).unwrap().remove().unwrap();
        assert_eq!(names(folder.path()), ["link.json"]);
    }
}
