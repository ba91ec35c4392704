//! Where hosts keep their settings: the one file that knows the folders of a platform and the variables that move them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::Environment;

/// The folders of the user.
#[derive(Debug)]
pub(super) struct Folders<'a> {
    environment: &'a Environment,
    home: PathBuf,
}

impl<'a> Folders<'a> {
    /// Returns the folders of who runs this; nothing where no variable names a home.
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

    /// Returns the first program of this name in PATH, as a host finds it that works in another folder and is not started by
    /// git, which puts the folder of its own programs before everything.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        let folders = self.environment.path("PATH")?;
        let of_git = self.environment.path("GIT_EXEC_PATH");
        std::env::split_paths(&folders)
            .filter(|folder| folder.is_absolute() && of_git.as_ref() != Some(folder))
            .map(|folder| folder.join(name))
            .find(|path| is_executable(path))
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that holds the program `git-parler`.
    fn installed() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("git-parler");
        std::fs::write(&program, "").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }

    fn found(variables: &[(&str, &str)]) -> Option<PathBuf> {
        let environment = Environment::of(&[&[("HOME", "/home/ada")], variables].concat());
        Folders::of(&environment).unwrap().program("git-parler")
    }

    #[test]
    fn a_program_is_found_in_absolute_folders_alone() {
        let (folder, other) = (installed(), installed());
        let (here, there) = (folder.path().to_str().unwrap(), other.path().to_str().unwrap());
        let up = "../".repeat(std::env::current_dir().unwrap().components().count() - 1);
        let relative = format!("{up}{}", here.trim_start_matches('/'));
        assert!(is_executable(&Path::new(&relative).join("git-parler")));
        assert_eq!(found(&[("PATH", &relative)]), None);
        assert_eq!(
            found(&[("PATH", &format!("{relative}::.:{there}:{here}"))]),
            Some(other.path().join("git-parler"))
        );
        assert_eq!(found(&[]), None);
    }

    #[test]
    fn the_folder_that_git_puts_before_path_does_not_count() {
        let (folder, other) = (installed(), installed());
        let (of_git, there) = (folder.path().to_str().unwrap(), other.path().to_str().unwrap());
        let path = format!("{of_git}:{there}");
        assert_eq!(found(&[("PATH", &path)]), Some(folder.path().join("git-parler")));
        let by_git = [("PATH", path.as_str()), ("GIT_EXEC_PATH", of_git)];
        assert_eq!(found(&by_git), Some(other.path().join("git-parler")));
        assert_eq!(found(&[("PATH", of_git), ("GIT_EXEC_PATH", of_git)]), None);
    }
}
