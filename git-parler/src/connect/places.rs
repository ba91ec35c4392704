//! Where hosts keep their settings: the one file that knows the folders of a platform and the variables that move them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::Environment;

/// The folders of the user.
#[derive(Debug)]
pub(super) struct Places<'a> {
    environment: &'a Environment,
    home: PathBuf,
}

impl<'a> Places<'a> {
    /// Returns the places of who runs this; nothing where no variable names a home.
    pub(super) fn of(environment: &'a Environment) -> Option<Self> {
        let home = environment.path("HOME").filter(|home| home.is_absolute())?;
        Some(Self { environment, home })
    }

    /// Returns a path below HOME.
    pub(super) fn home(&self, path: &str) -> PathBuf {
        self.home.join(path)
    }

    /// Returns the folder that `variable` names, else `usual` below HOME.
    pub(super) fn named(&self, variable: &str, usual: &str) -> PathBuf {
        self.stated(variable).unwrap_or_else(|| self.home(usual))
    }

    /// Returns the folder that `variable` names.
    pub(super) fn stated(&self, variable: &str) -> Option<PathBuf> {
        self.environment.path(variable).filter(|path| path.is_absolute())
    }

    /// Returns a path below the folder for configuration of freedesktop.org, on macOS too.
    pub(super) fn config(&self, path: &str) -> PathBuf {
        self.named("XDG_CONFIG_HOME", ".config").join(path)
    }

    /// Returns a path below the folder in which desktop programs keep their settings.
    pub(super) fn desktop(&self, path: &str) -> PathBuf {
        if cfg!(target_os = "macos") {
            self.home("Library/Application Support").join(path)
        } else {
            self.config(path)
        }
    }

    /// Returns the first program of this name in PATH.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        let folders = self.environment.path("PATH")?;
        std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| is_executable(path))
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}
