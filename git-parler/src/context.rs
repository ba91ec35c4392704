//! What every command works with: the printer, the settings, and the repository it stands in, if it stands in one.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use crate::cli::Global;
use crate::config::{self, Environment, Settings};
use crate::error::{Code, Failure};
use crate::ui::Ui;

/// The surroundings of one command.
pub(crate) struct Context {
    pub(crate) ui: Ui,
    pub(crate) settings: Settings,
    pub(crate) environment: Environment,
    repository: Result<gix::Repository, Failure>,
    /// How many requests to join wait for this user, as the hub said when it was talked to.
    pending: Cell<u64>,
}

impl Context {
    /// Looks around: the repository first, since its configuration counts; the user's where there is none.
    pub(crate) fn look_around(global: &Global) -> Result<Self, Failure> {
        let environment = Environment::of_process();
        let overrides = config::command_line(&environment)?;
        let repository = bundle::discover(Path::new("."), &overrides).map_err(Failure::from);
        let settings = match &repository {
            Ok(repo) => Settings::read(repo.config_snapshot().plumbing(), &environment, global)?,
            Err(_) => Settings::read(&config::global_file(&environment)?, &environment, global)?,
        };
        let ui = Ui::new(global, &settings, &environment);
        Ok(Self { ui, settings, environment, repository, pending: Cell::new(0) })
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
            repository: Err(Failure::of(Code::NotARepository)),
            pending: Cell::new(0),
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

    /// Keeps how many requests to join wait, for the end of the command.
    pub(crate) fn note_pending(&self, count: u64) {
        self.pending.set(count);
    }

    /// Tells an owner in a line of the requests to join that wait.
    pub(crate) fn tell_pending(&self) {
        match self.pending.get() {
            0 => {}
            1 => self.ui.remark("1 request to join waits for you: git parler requests"),
            count => {
                self.ui.remark(format_args!("{count} requests to join wait for you: git parler requests"));
            }
        }
    }
}
