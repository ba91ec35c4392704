//! What `git parler setup` writes and removes: manual pages and completion, from the program itself. A list of
//! what was written lies in `share/git-parler/installed.json`, so that exactly that is removed again.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap_complete::Shell;
use serde::{Deserialize, Serialize};

use crate::config::Environment;
use crate::file_error::{FileError, failed};
use crate::page::MARK;
use crate::{cli, completion, page};

/// Why setup stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The folders cannot be told, or something in them cannot be read, written or removed.
    #[error(transparent)]
    File(#[from] FileError),
    /// Something that setup did not write lies where it would.
    #[error("{} was not written by setup", .path.display())]
    Foreign {
        /// The file in the way.
        path: PathBuf,
    },
}

/// The folders that setup writes to.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    manual: PathBuf,
    bash: PathBuf,
    zsh: PathBuf,
    fish: PathBuf,
    list: PathBuf,
}

/// What setup did.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Files that are new or have changed.
    pub(crate) written: Vec<PathBuf>,
    /// Files that were as they should be.
    pub(crate) unchanged: Vec<PathBuf>,
    /// Files that are gone.
    pub(crate) removed: Vec<PathBuf>,
}

/// What earlier runs wrote.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Installed {
    files: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
}

impl Places {
    /// Returns the folders of a package below `prefix`.
    pub(crate) fn below(prefix: &Path) -> Result<Self, Error> {
        let prefix = std::path::absolute(prefix).map_err(failed(prefix, "named"))?;
        let share = prefix.join("share");
        Ok(Self {
            manual: share.join("man/man1"),
            bash: share.join("bash-completion/completions"),
            zsh: share.join("zsh/site-functions"),
            fish: share.join("fish/vendor_completions.d"),
            list: share.join("git-parler/installed.json"),
        })
    }

    /// Returns the folder of manual pages that belongs to the folder of `program`, and the user's own ones.
    pub(crate) fn of_user(program: &Path, environment: &Environment) -> Result<Self, Error> {
        let prefix = program.parent().and_then(Path::parent).ok_or(FileError::NoHome)?;
        let home = environment.path("HOME");
        let below_home = |variable: &str, usual: &str| {
            let stated = environment.path(variable).filter(|path| path.is_absolute());
            stated.or_else(|| home.as_ref().map(|home| home.join(usual))).ok_or(FileError::NoHome)
        };
        let share = below_home("XDG_DATA_HOME", ".local/share")?;
        let bash = environment.path("BASH_COMPLETION_USER_DIR");
        Ok(Self {
            bash: bash.unwrap_or_else(|| share.join("bash-completion")).join("completions"),
            zsh: share.join("zsh/site-functions"),
            fish: below_home("XDG_CONFIG_HOME", ".config")?.join("fish/completions"),
            ..Self::below(prefix)?
        })
    }

    /// Returns the folder that zsh has to know of.
    pub(crate) fn zsh(&self) -> &Path {
        &self.zsh
    }

    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let manual = page::manual().into_iter().map(|(name, roff)| (self.manual.join(name), roff));
        let bash = completion::bash(cli::command()).into_bytes();
        manual
            .chain([
                (self.bash.join("git-parler"), bash),
                (self.zsh.join("_git-parler"), generated(Shell::Zsh)),
                (self.fish.join("git-parler.fish"), generated(Shell::Fish)),
            ])
            .collect()
    }
}

/// Writes everything that is not there as it should be, and removes what an earlier version wrote and this does
/// not. Nothing is written where a file that is not setup's own is in the way.
pub(crate) fn install(places: &Places) -> Result<Report, Error> {
    let mut installed = read_list(&places.list)?;
    let files = places.files();
    let mut report = Report::default();
    let mut changed = Vec::new();
    for (path, content) in files {
        match read(&path)? {
            Some(present) if present == content => report.unchanged.push(path),
            Some(present) if !is_ours(&present) => return Err(Error::Foreign { path }),
            _ => changed.push((path, content)),
        }
    }
    let kept: BTreeSet<_> =
        report.unchanged.iter().chain(changed.iter().map(|(path, _)| path)).cloned().collect();
    for (path, _) in &changed {
        make_folders(path, &mut installed.folders)?;
    }
    make_folders(&places.list, &mut installed.folders)?;
    // The list first: what it names and is not there does no harm, what is there and not named would stay for ever.
    let outdated: Vec<_> = installed.files.difference(&kept).cloned().collect();
    installed.files.extend(kept);
    write_list(&places.list, &installed)?;
    for (path, content) in changed {
        replace(&path, &content)?;
        report.written.push(path);
    }
    for path in outdated {
        if remove_own(&path)? {
            report.removed.push(path.clone());
        }
        installed.files.remove(&path);
    }
    write_list(&places.list, &installed)?;
    Ok(report)
}

/// Removes what setup wrote, then the folders that it made and that are empty.
pub(crate) fn remove(places: &Places) -> Result<Report, Error> {
    let installed = read_list(&places.list)?;
    let mut report = Report::default();
    for path in installed.files {
        if remove_own(&path)? {
            report.removed.push(path);
        }
    }
    match fs::remove_file(&places.list) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed(&places.list, "removed")(error).into());
        }
        _ => {}
    }
    for folder in installed.folders.iter().rev() {
        match fs::remove_dir(folder) {
            Ok(()) => {}
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {}
            Err(error) => return Err(failed(folder, "removed")(error).into()),
        }
    }
    Ok(report)
}

/// The first line but one may be what a shell wants to see first.
fn generated(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "git-parler", &mut script);
    let end = script.iter().position(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    script.splice(end..end, format!("# {MARK}\n").into_bytes());
    script
}

fn is_ours(content: &[u8]) -> bool {
    content.windows(MARK.len()).any(|window| window == MARK.as_bytes())
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, "read")(error)),
    }
}

/// A list that was cut off says nothing; then only what is found again counts as written.
fn read_list(path: &Path) -> Result<Installed, FileError> {
    let content = read(path)?;
    Ok(content.and_then(|content| serde_json::from_slice(&content).ok()).unwrap_or_default())
}

fn write_list(path: &Path, installed: &Installed) -> Result<(), FileError> {
    let mut text = serde_json::to_vec_pretty(installed).expect("paths of ours are text");
    text.push(b'\n');
    replace(path, &text)
}

/// Makes the folders above `path` and remembers those that were not there.
fn make_folders(path: &Path, made: &mut BTreeSet<PathBuf>) -> Result<(), FileError> {
    let folder = path.parent().expect("a file lies in a folder");
    made.extend(folder.ancestors().take_while(|above| !above.exists()).map(Path::to_path_buf));
    fs::create_dir_all(folder).map_err(failed(folder, "made"))
}

fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    use std::os::unix::fs::PermissionsExt;
    let folder = path.parent().expect("a file lies in a folder");
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(content)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        file.persist(path)?;
        Ok(())
    });
    written.map_err(failed(path, "written"))
}

fn remove_own(path: &Path) -> Result<bool, FileError> {
    match read(path)? {
        Some(content) if is_ours(&content) => {
            fs::remove_file(path).map_err(failed(path, "removed"))?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests;
