//! Work beside a hook: this program once more, in a process of its own that outlives whoever has started it.

use std::path::{Path, PathBuf};

use crate::cli::Global;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::start_hub::start_detached;

/// Starts `git-parler hook <host> <event>` for this seat.
pub(crate) fn start(context: &Context, words: [&str; 2]) -> Result<(), Failure> {
    start_with(context, words, None)
}

/// As [`start`], with the hub that this command was told, since the other process reads the configuration anew.
pub(crate) fn start_at_hub(context: &Context, words: [&str; 2]) -> Result<(), Failure> {
    let hub = context.settings.hub.as_deref().filter(|_| context.settings.has_hub_option);
    start_with(context, words, hub)
}

fn start_with(context: &Context, [host, event]: [&str; 2], hub: Option<&str>) -> Result<(), Failure> {
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| Failure::new(Code::Io, error));
    let repo = context.repository_if_any();
    let git_dir = repo.map(|repo| absolute(repo.git_dir())).transpose()?;
    let folder = repo.and_then(gix::Repository::workdir).map(absolute).transpose()?;
    let started = start_detached(|command| {
        for name in OF_ONE_COMMAND {
            command.env_remove(name);
        }
        command.args(hub.into_iter().flat_map(|hub| ["--hub", hub]));
        command.args(["hook", host, event]);
        // Without a repository nothing holds the folder that the host stands in.
        command.current_dir(folder.as_ref().or(git_dir.as_ref()).map_or(Path::new("/"), PathBuf::as_path));
        command.envs(git_dir.map(|git_dir| ("GIT_DIR", git_dir)));
        command.envs(folder.clone().map(|folder| ("GIT_WORK_TREE", folder)));
    });
    started.map_err(|error| Failure::new(Code::Io, error))
}

/// Looks around in the process that was started so. It is in no session of a terminal any more, and tells nobody.
pub(crate) fn look_around(global: &Global) -> Result<Context, Failure> {
    // Our starter may be a shell's foreground job; we are not. Fails only where we lead a session already.
    let _already_leader = rustix::process::setsid();
    let quiet = Global { quiet: true, no_progress: true, progress: false, json: false, ..global.clone() };
    Context::look_around(&quiet)
}

/// Variables of git that are about the command that has run the hook.
const OF_ONE_COMMAND: [&str; 10] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REFLOG_ACTION",
    "GIT_WORK_TREE",
];
