//! What every command works with: the printer, the settings, and the repository it stands in, if it stands in one.

use std::path::{Path, PathBuf};

use protocol::id::RoomId;

use crate::cli::Global;
use crate::commands::push::short;
use crate::config::{self, Environment, Settings};
use crate::error::{Code, Failure};
use crate::pending::Pending;
use crate::ui::Ui;

/// The surroundings of one command.
pub(crate) struct Context {
    pub(crate) ui: Ui,
    pub(crate) settings: Settings,
    pub(crate) environment: Environment,
    /// Requests to join that wait for this user, as the hub said when it was talked to.
    pub(crate) pending: Pending,
    repository: Result<gix::Repository, Failure>,
}

impl Context {
    /// Looks around: the repository first, since its configuration counts; the user's where there is none.
    pub(crate) fn look_around(global: &Global) -> Result<Self, Failure> {
        Self::look_around_at(Path::new("."), global)
    }

    /// As [`Context::look_around`], from another folder than the current one.
    pub(crate) fn look_around_at(place: &Path, global: &Global) -> Result<Self, Failure> {
        let environment = Environment::of_process();
        let overrides = config::command_line(&environment)?;
        let repository = bundle::discover(place, &overrides).map_err(Failure::from);
        let settings = match &repository {
            Ok(repo) => Settings::read(repo.config_snapshot().plumbing(), &environment, global)?,
            Err(_) => Settings::read(&config::global_file(&environment)?, &environment, global)?,
        };
        let ui = Ui::new(global, &settings, &environment);
        Ok(Self { ui, settings, environment, pending: Pending::default(), repository })
    }

    /// Looks at the user's settings alone, for what needs no repository.
    pub(crate) fn outside(global: &Global) -> Result<Self, Failure> {
        let environment = Environment::of_process();
        let settings = Settings::read(&config::global_file(&environment)?, &environment, global)?;
        let ui = Ui::new(global, &settings, &environment);
        Ok(Self {
            ui,
            settings,
            environment,
            pending: Pending::default(),
            repository: Err(Failure::of(Code::NotARepository)),
        })
    }

    /// Returns the repository.
    ///
    /// Errors say why there is none here: no repository, a foreign one, or of a kind that is not supported.
    pub(crate) fn repository(&self) -> Result<&gix::Repository, Failure> {
        self.repository.as_ref().map_err(Clone::clone)
    }

    /// Returns the repository, or nothing where the command can do without.
    pub(crate) fn repository_if_any(&self) -> Option<&gix::Repository> {
        self.repository.as_ref().ok()
    }

    /// Returns the directory that is this seat: the worktree's own git directory.
    pub(crate) fn seat_dir(&self) -> Option<PathBuf> {
        self.repository_if_any().map(|repo| repo.git_dir().to_owned())
    }

    /// Returns the session in which commands work that name no other: the one of the setting, else the one in use.
    pub(crate) fn session(&self) -> Option<RoomId> {
        let data = &self.settings.data_folder;
        let found = match self.settings.session.as_deref() {
            Some("home") => Ok(None),
            Some(setting) => client::whereabouts(data, env!("CARGO_PKG_VERSION"), setting),
            None => client::in_use(data, self.seat_dir().as_deref()),
        };
        // What cannot be read names none; the commands that need it say what is wrong.
        found.ok().flatten().map(|found| found.room)
    }

    /// Returns `--room <room>`, with a space before it, as a command about `room` needs it; nothing where it works there anyway.
    pub(crate) fn room_option(&self, room: RoomId) -> String {
        if self.session() == Some(room) {
            return String::new();
        }
        format!(" --room {}", short(&room.to_string()))
    }

    /// Tells an owner in a line of the requests to join that wait.
    pub(crate) fn tell_pending(&self) {
        if let Some(line) = self.pending.line(|room| self.room_option(room)) {
            self.ui.remark(line);
        }
    }
}
