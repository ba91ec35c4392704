//! Our scripts in a folder of hooks: put in beside what is there, and taken out so that the folder is as it was, to the byte.

use std::fs::{self, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::event::Event;
use crate::framework::Framework;
use crate::limits::HOOK_BYTES_MAX;
use crate::script::{self, BEFORE};

/// Why a folder of hooks is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A hook is kept by a program that would overwrite what is put in.
    #[error("the hooks in {} are kept by {}", folder.display(), by.name())]
    Managed {
        /// The folder.
        folder: PathBuf,
        /// Who keeps them.
        by: Framework,
    },
    /// What was there before a script of ours, and is run by it, would be overwritten.
    #[error("{} is in the way", path.display())]
    InTheWay {
        /// The file.
        path: PathBuf,
    },
    /// A file or folder cannot be read, written or removed.
    #[error("{} cannot be {action}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// How a hook stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Our script is there, with what was there before beside it if there was something.
    Installed,
    /// Nothing is there.
    Missing,
    /// Something else is there.
    Foreign,
    /// A framework for hooks keeps it.
    Managed(Framework),
}

/// One hook of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The event.
    pub event: Event,
    /// Where its script is or would be.
    pub path: PathBuf,
    /// How it stands.
    pub state: State,
}

/// What was done with a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was put in, or brought up to date.
    Written,
    /// It was taken out.
    Removed,
    /// It was as it should be.
    None,
}

/// A folder of hooks.
#[derive(Debug)]
pub struct Hooks {
    folder: PathBuf,
}

impl Hooks {
    /// Names the folder in which git looks for hooks; it need not be there.
    pub fn of(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Returns the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Looks at the hooks that are ours, or would be.
    ///
    /// # Errors
    /// [`Error::File`] when one of them cannot be read.
    pub fn look(&self) -> Result<Vec<Hook>, Error> {
        let by = Framework::of_folder(&self.folder);
        let hooks = Event::ALL.into_iter().map(|event| {
            let path = self.folder.join(event.name());
            let state = match (by, read(&path)?) {
                (Some(by), _) => State::Managed(by),
                (None, None) => State::Missing,
                (None, Some(content)) if script::is_ours(&content) => State::Installed,
                (None, Some(content)) => Framework::of_hook(&content).map_or(State::Foreign, State::Managed),
            };
            Ok(Hook { event, path, state })
        });
        hooks.collect()
    }

    /// Puts our scripts in, each of which starts `program`. What was there before keeps bytes and mode under another name, and is
    /// run first. Nothing is written where one of the hooks cannot be put in.
    ///
    /// # Errors
    /// [`Error::Managed`] where a framework keeps one of them, [`Error::InTheWay`] where the other name is taken; [`Error::File`].
    pub fn install(&self, program: &Path) -> Result<Vec<(Event, Change)>, Error> {
        let found = self.look()?;
        for hook in &found {
            match hook.state {
                State::Managed(by) => {
                    return Err(Error::Managed { folder: self.folder.clone(), by });
                }
                State::Foreign if before(&hook.path).symlink_metadata().is_ok() => {
                    return Err(Error::InTheWay { path: before(&hook.path) });
                }
                State::Foreign | State::Installed | State::Missing => {}
            }
        }
        let is_new = !self.folder.exists();
        if is_new {
            // As git makes it, and only itself: what is above it is somebody else's.
            fs::create_dir(&self.folder).map_err(failed(&self.folder, "made"))?;
        }
        found.iter().map(|hook| Ok((hook.event, put(hook, program, is_new)?))).collect()
    }

    /// Takes our scripts out, also where a framework has moved one; what was there before is in its place again.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn uninstall(&self) -> Result<Vec<(Event, Change)>, Error> {
        let mut is_folder_ours = false;
        let mut changes = Vec::new();
        for event in Event::ALL {
            let own = self.folder.join(event.name());
            let mut change = Change::None;
            for path in MOVED.map(|suffix| suffixed(&own, suffix)) {
                let ours = read(&path)?.filter(|content| script::is_ours(content));
                let Some(content) = ours else { continue };
                is_folder_ours |= script::is_folder_made(&content);
                let before = before(&own);
                match fs::rename(&before, &path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        fs::remove_file(&path).map_err(failed(&path, "removed"))?;
                    }
                    renamed => renamed.map_err(failed(&before, "moved back"))?,
                }
                change = Change::Removed;
            }
            changes.push((event, change));
        }
        if is_folder_ours {
            match fs::remove_dir(&self.folder) {
                // Somebody else's hook came in since.
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                removed => removed.map_err(failed(&self.folder, "removed"))?,
            }
        }
        Ok(changes)
    }
}

/// Puts one script in the place of what is there, all at once: git runs hooks at any time.
fn put(hook: &Hook, program: &Path, is_folder_new: bool) -> Result<Change, Error> {
    let present = read(&hook.path)?;
    let is_folder_made = match (&present, hook.state) {
        (Some(content), State::Installed) => script::is_folder_made(content),
        _ => is_folder_new,
    };
    let script = script::script(hook.event, program, is_folder_made);
    if present.is_some_and(|content| content == script) {
        return Ok(Change::None);
    }
    let folder = hook.path.parent().expect("a hook lies in a folder");
    let file = written(folder, &script).map_err(failed(&hook.path, "written"))?;
    if hook.state == State::Foreign {
        // For an instant there is none: better than two names for one file, of which a rename would keep both.
        let before = before(&hook.path);
        fs::rename(&hook.path, &before).map_err(failed(&hook.path, "moved"))?;
    }
    file.persist(&hook.path).map_err(|error| failed(&hook.path, "written")(error.error))?;
    Ok(Change::Written)
}

/// Writes a program beside its place, as an executable that the user makes.
fn written(folder: &Path, script: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut named = tempfile::Builder::new();
    let mut file = named.prefix(".parler-").permissions(Permissions::from_mode(0o777)).tempfile_in(folder)?;
    file.write_all(script)?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn before(path: &Path) -> PathBuf {
    suffixed(path, BEFORE)
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Reads a hook, of which no more than its beginning matters where it is large; `None` where there is none, and nothing where
/// something else has its name.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, "read")(error)),
    }
    let mut content = Vec::new();
    // A link may lead nowhere; a pipe would be waited for.
    if path.is_file() {
        let file = fs::File::open(path).map_err(failed(path, "read"))?;
        file.take(HOOK_BYTES_MAX).read_to_end(&mut content).map_err(failed(path, "read"))?;
    }
    Ok(Some(content))
}

fn failed(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::File { path: path.to_path_buf(), action, source }
}

/// What stands behind the name of a hook, by itself and where pre-commit or lefthook have moved it out of their way.
const MOVED: [&str; 3] = ["", ".legacy", ".old"];
