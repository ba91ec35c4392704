//! Where git looks for hooks: a folder, and from git 2.54 on its configuration too.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gix::lock::acquire::Fail;
use hooks::Event;

use crate::context::Context;
use crate::error::{Code, Failure};
use crate::file_error::{FileError, failed};

/// Says whether git here takes hooks from its configuration: whether its usage names `git hook list`, which came with that.
pub(crate) fn is_configuration_heard(context: &Context) -> Result<bool, Failure> {
    let said = git(context)?.args(["hook", "-h"]).output().map(|output| output.stdout).unwrap_or_default();
    Ok(String::from_utf8_lossy(&said).contains("git hook list"))
}

/// Returns the names of the hooks that git takes from its configuration for `event`.
pub(crate) fn configured_hooks(context: &Context, event: Event) -> Vec<String> {
    let listed = git(context).and_then(|mut git| {
        git.args(["hook", "list", "-z", event.name()]).stderr(Stdio::null());
        git.output().map_err(|error| Failure::new(Code::Io, error))
    });
    // An older git knows neither the question nor such hooks.
    let listed = listed.map(|output| output.stdout).unwrap_or_default();
    let names = listed.split(|byte| *byte == 0).map(|name| String::from_utf8_lossy(name).into_owned());
    names.filter(|name| !name.is_empty() && name != IN_A_FOLDER).collect()
}

/// What `git hook list` shows for one that lies in the folder of hooks.
const IN_A_FOLDER: &str = "hook from hookdir";

/// Returns git, to be run in the repository we stand in.
pub(crate) fn git(context: &Context) -> Result<Command, Failure> {
    let repo = context.repository()?;
    let mut git = Command::new("git");
    git.arg("-C").arg(repo.workdir().unwrap_or_else(|| repo.git_dir())).stdin(Stdio::null());
    Ok(git)
}

/// Returns the configuration file of this repository, or the user's: the one that git writes to.
pub(crate) fn configuration(context: &Context, is_global: bool) -> Result<PathBuf, Failure> {
    if !is_global {
        return absolute(context.repository()?.common_dir().join("config"));
    }
    let variable = |name| context.environment.path(name);
    if let Some(path) = variable("GIT_CONFIG_GLOBAL") {
        return Ok(path);
    }
    let home = variable("HOME").ok_or(FileError::NoHome)?;
    let of_xdg = variable("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")).join("git/config");
    let usual = home.join(".gitconfig");
    Ok(if !usual.exists() && of_xdg.exists() { of_xdg } else { usual })
}

/// Returns the folder in which git looks for the hooks of this repository.
pub(crate) fn folder(context: &Context) -> Result<PathBuf, Failure> {
    let repo = context.repository()?;
    let base = repo.workdir().unwrap_or_else(|| repo.git_dir());
    let stated = context.settings.hooks_path.as_ref().map(|stated| base.join(&stated.path));
    let path = stated.unwrap_or_else(|| repo.common_dir().join("hooks"));
    absolute(path)
}

fn absolute(path: PathBuf) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::new(Code::Io, error))
}

/// Says whether a folder lies among the files that the repository is about.
pub(crate) fn is_in_work_tree(context: &Context, folder: &Path) -> bool {
    let Some(repo) = context.repository_if_any() else { return false };
    let real = |path: &Path| fs::canonicalize(path).ok();
    let Some((folder, top)) = real(folder).zip(repo.workdir().and_then(real)) else { return false };
    folder.starts_with(top) && !real(repo.common_dir()).is_some_and(|git_dir| folder.starts_with(git_dir))
}

/// As [`folder`], where that is to be changed: the one of all repositories is when that `is_global`, and no other then.
pub(crate) fn folder_to_change(context: &Context, is_global: bool) -> Result<PathBuf, Failure> {
    let of_all = context.settings.hooks_path.as_ref().filter(|stated| stated.is_of_all);
    match (of_all, is_global) {
        (None, true) => Err(Failure::new(Code::Usage, "no `core.hooksPath` is set for all repositories")
            .hint("install in each repository, without `--global`")),
        (Some(stated), false) => {
            let message = format!("`core.hooksPath` leads every repository to {}", stated.path.display());
            Err(Failure::new(Code::PolicyRefused, message)
                .hint("to have hooks there, for all of them, add `--global`"))
        }
        _ => folder(context),
    }
}

/// Returns what lies in a configuration file; nothing where there is none.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(failed(path, "read")),
    }
}

/// Changes a configuration file as git does: under its lock, all at once, with its mode, through links. Says whether it did.
pub(crate) fn edit(path: &Path, change: impl FnOnce(&[u8]) -> Vec<u8>) -> Result<bool, Failure> {
    let path = fs::canonicalize(path).unwrap_or_else(|_missing| path.to_owned());
    let mode = fs::metadata(&path).ok().map(|about| about.mode() & 0o7777);
    let mut lock = gix::lock::File::acquire_to_update_resource(&path, Fail::Immediately, None, 0)
        .map_err(|error| Failure::new(Code::Io, format!("{} cannot be locked: {error}", path.display())))?;
    let before = read(&path)?;
    let after = change(&before);
    if after == before {
        return Ok(false);
    }
    let written = lock.with_mut(|file| {
        file.write_all(&after)?;
        if let Some(mode) = mode {
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        file.sync_all()
    });
    written.map_err(failed(&path, "written"))?;
    lock.commit().map_err(|error| failed(&path, "written")(error.error))?;
    Ok(true)
}
