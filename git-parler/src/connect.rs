//! Wires agent hosts to the MCP server `git-parler mcp`, by one entry in the user's configuration file of each, and takes
//! it out again. Nothing else in a file changes, no permission is granted, and no key is written.

mod edit;
mod file;
mod folders;
mod hosts;
mod tree;

mod halves;
mod hook_edit;
mod json;
mod toml;
mod words;
mod yaml;

use std::io;
use std::path::{Path, PathBuf};

use client::report::{ConnectPart, ConnectProblem, ConnectState, ConnectedHost};
use similar::TextDiff;

use self::edit::{Addition, Launch, Removal};
use self::file::ConfigFile;
use self::folders::Folders;
use self::hook_edit::HookShape;
use crate::config::Environment;
use crate::file_error::FileError;

pub(crate) use self::hosts::{ALL, Host};
pub(crate) use self::tree::NotEditable;

/// Why a host is left as it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The program or the home cannot be told, or something in it cannot be read, written or removed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The path of the running program is no text, which a configuration file could hold.
    #[error("{} has a name that is no text", .path.display())]
    NamelessProgram {
        /// The program.
        path: PathBuf,
    },
    /// None of the hosts that can be wired is here.
    #[error("no agent host is found here")]
    NoHost,
    /// A link in the place of the file leads to nothing.
    #[error("{} is a link that leads nowhere", .path.display())]
    LeadsNowhere {
        /// The link.
        path: PathBuf,
    },
    /// A folder or something stranger is in the place of the file.
    #[error("{} is no file", .path.display())]
    NoFile {
        /// What is there.
        path: PathBuf,
    },
    /// The file is larger than configuration is.
    #[error("{} is too large for a configuration file", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not UTF-8.
    #[error("{} is not UTF-8", .path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be edited without a risk for what else is in it.
    #[error("{} is left as it is: {why}", .path.display())]
    NotEditable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: NotEditable,
    },
    /// The file changed between reading and writing.
    #[error("{} was changed by something else at the same time", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A new file cannot be given to whom the one belongs in whose place it would be.
    #[error("{} belongs to a user or a group to whom a new file cannot be given", .path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// What is to be done with each host.
#[derive(Debug)]
pub(crate) enum Task {
    /// The entry is to be there.
    Add(Launches),
    /// The entry is to be gone, wherever the program is.
    Remove,
}

/// What of a host is wired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The entry by which it starts our server.
    Server,
    /// The hooks by which it has its agent told of what waits.
    Hooks,
}

/// What hosts are to start.
#[derive(Debug)]
pub(crate) struct Launches {
    /// For a host that has the PATH of a shell.
    shell: Launch,
    /// For one that is started from a desktop.
    desktop: Launch,
}

impl Launches {
    fn of(&self, host: &Host) -> &Launch {
        if host.is_on_desktop { &self.desktop } else { &self.shell }
    }

    /// Returns what a person would put into the file of a host.
    pub(crate) fn snippet(&self, host: &Host, part: Part) -> String {
        match (part, &host.hooks) {
            (Part::Hooks, Some(hooks)) => hooks.shape.snippet(self.of(host)),
            (Part::Hooks, None) | (Part::Server, _) => host.shape.snippet(self.of(host)),
        }
    }
}

/// Where hosts are looked for.
#[derive(Debug)]
pub(crate) struct Wiring<'a> {
    folders: Folders<'a>,
}

impl<'a> Wiring<'a> {
    /// Looks for hosts where the variables of `environment` say.
    pub(crate) fn of(environment: &'a Environment) -> Result<Self, Error> {
        Ok(Self { folders: Folders::of(environment).ok_or(FileError::NoHome)? })
    }

    /// Looks for the program that hosts are to start, with `--hub <hub>` if there is one.
    pub(crate) fn launches(&self, hub: Option<&str>) -> Result<Launches, Error> {
        let running = std::env::current_exe().map_err(FileError::NoProgram)?;
        let is_running = |path: &Path| match (path.canonicalize(), running.canonicalize()) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        };
        let text = |path: &Path| {
            path.to_str().map(str::to_owned).ok_or_else(|| Error::NamelessProgram { path: path.to_owned() })
        };
        let found = self.folders.program("git-parler").filter(|found| is_running(found));
        // Under the name by which it is found, which need not be that of the file: a link goes on working when it is led elsewhere.
        let path = text(found.as_deref().unwrap_or(&running))?;
        // The name alone goes on working when the program is brought up to date in another place.
        let command = found.map_or_else(|| path.clone(), |_| "git-parler".to_owned());
        let launch = |command| Launch { command, hub: hub.map(str::to_owned) };
        Ok(Launches { shell: launch(command), desktop: launch(path) })
    }

    /// Returns the hosts that are on this machine.
    pub(crate) fn found(&self) -> Vec<&'static Host> {
        ALL.into_iter().filter(|host| host.is_here(&self.folders)).collect()
    }

    /// Returns the file of a host in which this part of it stands.
    fn file(&self, host: &Host, part: Part) -> PathBuf {
        match (part, &host.hooks) {
            (Part::Hooks, Some(hooks)) => (hooks.file)(&self.folders),
            (Part::Hooks, None) | (Part::Server, _) => host.file(&self.folders),
        }
    }

    /// Returns the row of a host that was left as it is because of `problem`, with what can be pasted into its file.
    pub(crate) fn refused(
        &self,
        host: &Host,
        part: Part,
        problem: ConnectProblem,
        snippet: Option<String>,
    ) -> ConnectedHost {
        let row = row(host, part, &self.file(host, part), ConnectState::Refused);
        ConnectedHost { error: Some(problem), snippet, ..row }
    }

    /// Does `task` with a part of a host; only says what it would do in a dry run.
    pub(crate) fn wire(
        &self,
        host: &Host,
        part: Part,
        task: &Task,
        is_dry_run: bool,
    ) -> Result<ConnectedHost, Error> {
        let path = self.file(host, part);
        let hooks = host.hooks.as_ref().filter(|_| part == Part::Hooks);
        let suffix = if hooks.is_some() { ".parler-hooks-backup" } else { ".parler-backup" };
        let file = ConfigFile::find_with(&path, suffix)?;
        let is_made_for_it = |text: &str| {
            hooks.map_or_else(
                || host.shape.is_made_for_entry(text),
                |hooks| hooks.shape.is_made_for_hooks(text),
            )
        };
        // The copy of a file that was made for the entry, and changed since, is of our own making and worth nothing.
        let backup = file.backup_text()?.filter(|backup| !is_made_for_it(backup));
        let deed = match hooks {
            None => deed(host, task, &file, backup.as_deref()),
            Some(hooks) => hooks_deed(host, &hooks.shape, task, &file, backup.as_deref()),
        };
        let deed = deed.map_err(|why| Error::NotEditable { path: path.clone(), why })?;
        let mut row = row(host, part, &path, deed.state());
        let is_off = part == Part::Server && matches!(task, Task::Add(_)) && host.shape.is_off(file.text());
        row.next = is_off.then(|| SWITCHED_OFF.to_owned());
        if is_dry_run {
            if !matches!(deed, Deed::Nothing(_)) {
                file.may_be_written()?;
            }
            row.state = deed.would();
            row.diff = deed.text().map(|text| diff(&path, file.text(), text));
            return Ok(row);
        }
        row.backup = deed.done(&file, backup.is_some())?.map(|backup| backup.display().to_string());
        let next = hooks.map_or(host.next, |hooks| hooks.next);
        let next = matches!(deed, Deed::Add(_) | Deed::Update(_)).then(|| next.to_owned());
        row.next = row.next.or(next);
        Ok(row)
    }
}

fn deed(host: &Host, task: &Task, file: &ConfigFile, backup: Option<&str>) -> Result<Deed, NotEditable> {
    Ok(match task {
        Task::Add(launches) => host.shape.add(file.text(), launches.of(host))?.into(),
        Task::Remove => host.shape.remove(file.text(), backup)?.into(),
    })
}

fn hooks_deed(
    host: &Host,
    shape: &HookShape,
    task: &Task,
    file: &ConfigFile,
    backup: Option<&str>,
) -> Result<Deed, NotEditable> {
    Ok(match task {
        Task::Add(launches) => shape.add(file.text(), launches.of(host))?.into(),
        Task::Remove => shape.remove(file.text(), backup)?.into(),
    })
}

impl From<Addition> for Deed {
    fn from(addition: Addition) -> Self {
        match addition {
            Addition::Added(text) => Self::Add(text),
            Addition::Updated(text) => Self::Update(text),
            Addition::Already => Self::Nothing(ConnectState::Already),
        }
    }
}

impl From<Removal> for Deed {
    fn from(removal: Removal) -> Self {
        match removal {
            Removal::Removed(text) => Self::Remove(text),
            Removal::Restored(text) => Self::Restore(text),
            Removal::Emptied => Self::Delete,
            Removal::Absent => Self::Nothing(ConnectState::Absent),
        }
    }
}

/// What is done to a file: the new text, and how it came about.
#[derive(Debug)]
enum Deed {
    Nothing(ConnectState),
    Add(String),
    Update(String),
    Remove(String),
    /// The text of the backup, which then has served.
    Restore(String),
    /// Away with a file that was made for the entry, and with a copy that was made of it since.
    Delete,
}

impl Deed {
    fn state(&self) -> ConnectState {
        match self {
            Self::Nothing(state) => *state,
            Self::Add(_) => ConnectState::Added,
            Self::Update(_) => ConnectState::Updated,
            Self::Remove(_) | Self::Restore(_) | Self::Delete => ConnectState::Removed,
        }
    }

    fn would(&self) -> ConnectState {
        match self {
            Self::Nothing(state) => *state,
            Self::Add(_) => ConnectState::WouldAdd,
            Self::Update(_) => ConnectState::WouldUpdate,
            Self::Remove(_) | Self::Restore(_) | Self::Delete => ConnectState::WouldRemove,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Nothing(_) => None,
            Self::Add(text) | Self::Update(text) | Self::Remove(text) | Self::Restore(text) => Some(text),
            Self::Delete => Some(""),
        }
    }

    /// Does it, and returns the backup that there is afterwards.
    ///
    /// The backup is the file as it was without the entry: made anew whenever the entry comes in, and what taking it out is
    /// measured by. Another edit makes one only where there is none. It goes once the file is again what it says.
    fn done(&self, file: &ConfigFile, has_backup: bool) -> Result<Option<PathBuf>, Error> {
        match self {
            Self::Nothing(_) => return Ok(None),
            Self::Add(text) => file.replace(text, true)?,
            Self::Update(text) | Self::Remove(text) => {
                file.replace(text, !has_backup)?;
            }
            Self::Restore(text) => {
                file.replace(text, false)?;
                file.remove_backup()?;
            }
            Self::Delete => {
                file.remove()?;
                file.remove_backup()?;
            }
        }
        let backup = file.backup();
        Ok(backup.exists().then_some(backup))
    }
}

fn row(host: &Host, part: Part, path: &Path, state: ConnectState) -> ConnectedHost {
    ConnectedHost {
        host: host.name.to_owned(),
        part: match part {
            Part::Server => ConnectPart::Server,
            Part::Hooks => ConnectPart::Hooks,
        },
        file: path.display().to_string(),
        state,
        backup: None,
        next: None,
        diff: None,
        snippet: None,
        error: None,
    }
}

fn diff(path: &Path, before: &str, after: &str) -> String {
    let name = path.display().to_string();
    TextDiff::from_lines(before, after).unified_diff().context_radius(3).header(&name, &name).to_string()
}

const SWITCHED_OFF: &str = "the entry is switched off in there, by `enabled` or `disabled`: the host starts nothing before that is changed";
