//! The only reader of git's configuration and of the environment. `parler.*` comes from the user's and the
//! repository's untracked configuration, is overridden by the environment, and that by options.

mod parameters;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use bundle::Budget;
use gix::bstr::{BStr, BString, ByteSlice};

use gix::config::file::{Metadata, includes, init};
use gix::config::path::interpolate;
use gix::config::source::Kind;
use gix::config::{Boolean, File, Source};
use gix::sec::Trust;

use crate::cli::Global;
use crate::limits::HOOKS_WAKES;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A value is not of its kind.
    #[error("`{key}` is `{value}`, which is not {expected}")]
    BadValue {
        /// The key or variable, as the person wrote it.
        key: String,
        /// What stands there.
        value: String,
        /// What should stand there.
        expected: &'static str,
    },
    /// `GIT_CONFIG_PARAMETERS` is not as git writes it.
    #[error("GIT_CONFIG_PARAMETERS is not as `git -c` writes it")]
    BadParameters,
    /// A file of git's configuration cannot be read.
    #[error("git's configuration cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No variable tells where parler keeps its things.
    #[error("there is no home directory")]
    NoHome,
}

/// The variables of a process, read once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

/// A folder of hooks that is not the repository's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HooksPath {
    /// The folder; a relative one counts from the top of the worktree.
    pub(crate) path: PathBuf,
    /// Whether the user's configuration says it, for all repositories.
    pub(crate) is_of_all: bool,
}

/// When to use color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Also into a file.
    Always,
    /// On a terminal.
    Auto,
    /// Not at all.
    Never,
}

/// What `apply` does with a change that touches more than plain source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SurfacePolicy {
    /// Takes it, and says what it touches.
    #[default]
    Warn,
    /// Refuses it, and one of which not all could be looked at.
    Block,
}

/// Everything that can be set, with options over environment over configuration.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The hub to use; the local one without it.
    pub(crate) hub: Option<String>,
    /// Whether the hub was named by `--hub`, so that nothing else decides.
    pub(crate) has_hub_option: bool,
    /// The room to work in, from `--room` alone.
    pub(crate) room: Option<String>,
    /// The file with a closed hub's join secret.
    pub(crate) join_secret_file: Option<PathBuf>,
    /// The file with the authorities that count for `wss://` instead of the bundled ones.
    pub(crate) ca_file: Option<PathBuf>,
    /// The name that others see.
    pub(crate) name: Option<String>,
    /// The session to work in.
    pub(crate) session: Option<String>,
    /// What the other side has, where `push` names no base.
    pub(crate) base: Vec<String>,
    /// Whether `ws://` may leave this machine.
    pub(crate) is_insecure: bool,
    /// Budgets of an import.
    pub(crate) import: bundle::Budgets,
    /// What `apply` does with a change that touches more than plain source.
    pub(crate) surface: SurfacePolicy,
    /// Whether an agent's own call may let somebody into a session, where its host cannot ask the human.
    pub(crate) agent_may_approve: bool,
    /// Whether hooks announce commits, and tell agents.
    pub(crate) are_hooks_enabled: bool,
    /// How often in a row a hook has an agent go on.
    pub(crate) hooks_wakes: u32,
    /// Where git looks for hooks, where that is said.
    pub(crate) hooks_path: Option<HooksPath>,
    /// Patterns of branches that they do not announce.
    pub(crate) hooks_exclude: Vec<BString>,
    /// Whether hints are wanted.
    pub(crate) advice: bool,
    /// When to use color.
    pub(crate) color: When,
    /// The pager of long results; `None` for none.
    pub(crate) pager: Option<String>,
    /// Where parler keeps keys, state and the local hub.
    pub(crate) data_folder: PathBuf,
    /// Where parler keeps what it can get again.
    pub(crate) cache_folder: PathBuf,
}

impl Environment {
    /// Returns the variables of this process.
    pub(crate) fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// Returns an environment that holds `pairs` and nothing else.
    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    /// Returns a variable as it is set.
    fn variable(&self, name: &str) -> Option<OsString> {
        self.0.get(&OsString::from(name)).cloned()
    }

    /// Returns a variable that is set and not empty, as a path.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.variable(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// Returns a variable that is set and not empty, as text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.path(name).map(|value| value.to_string_lossy().into_owned())
    }

    /// Returns whether a variable is set and not empty.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.path(name).is_some()
    }

    /// Returns whether a variable says yes in one of git's ways.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| boolean(text.as_bytes().as_bstr()).unwrap_or(false))
    }

    /// Returns a variable that is a number.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }
}

/// Returns what `git -c <key>=<value>` handed to this process, for whoever opens the repository.
pub(crate) fn command_line(environment: &Environment) -> Result<Vec<BString>, Error> {
    match environment.path("GIT_CONFIG_PARAMETERS") {
        None => Ok(Vec::new()),
        Some(text) => {
            parameters::parse(text.as_os_str().as_encoded_bytes()).map_err(|_malformed| Error::BadParameters)
        }
    }
}

/// Returns the configuration that counts outside of a repository: the system's, the user's, and `git -c`.
pub(crate) fn global_file(environment: &Environment) -> Result<File, Error> {
    // Not gix's own list of files: it runs git to find the one of git's installation, which it reads nowhere else.
    let sources = [Source::System, Source::Git, Source::User];
    let files = sources.into_iter().map(|source| {
        let path = source.storage_location(&mut |name| environment.variable(name));
        Metadata { path: path.filter(|path| path.is_file()), source, level: 0, trust: Trust::Full }
    });
    let home = environment.path("HOME");
    let options = init::Options {
        includes: includes::Options::follow_without_conditional(home.as_deref()),
        ..init::Options::default()
    };
    let file =
        File::from_paths_metadata(files, options).map_err(|error| Error::Unreadable(Box::new(error)))?;
    let mut file = file.unwrap_or_default();
    let overrides = File::from_environment_overrides().map_err(|error| Error::Unreadable(Box::new(error)))?;
    file.append(overrides).map_err(|error| Error::Unreadable(Box::new(error)))?;
    // By themselves, so that none of them stands in a section of a file.
    let mut stated = File::new(Metadata::from(Source::Cli));
    for entry in command_line(environment)? {
        parameters::append(&mut stated, entry.as_bstr()).map_err(|_malformed| Error::BadParameters)?;
    }
    file.append(stated).map_err(|error| Error::Unreadable(Box::new(error)))?;
    Ok(file)
}

impl Settings {
    /// Reads the settings from `file` (a repository's whole configuration, or [`global_file`]).
    pub(crate) fn read(file: &File, environment: &Environment, global: &Global) -> Result<Self, Error> {
        let source = Stated { file, environment };
        let bases = source.environment.text("PARLER_BASE").map_or_else(
            || source.list("parler.base").iter().map(|base| base.to_string()).collect(),
            |base| vec![base],
        );
        Ok(Self {
            hub: global.hub.clone().or_else(|| source.text("hub", "PARLER_HUB")),
            has_hub_option: global.hub.is_some(),
            room: global.room.clone(),
            join_secret_file: source.path("joinSecretFile", "PARLER_JOIN_SECRET_FILE")?,
            ca_file: source.path("caFile", "PARLER_CA_FILE")?,
            name: source.text("name", "PARLER_NAME"),
            session: source.text("session", "PARLER_SESSION"),
            base: bases,
            is_insecure: source.boolean("insecure", "PARLER_INSECURE")?.unwrap_or(false),
            import: source.budgets()?,
            surface: source.surface_policy()?,
            agent_may_approve: source.boolean_in_a_file("parler.mcp.agentMayApprove")?.unwrap_or(false),
            are_hooks_enabled: source.boolean("hooks.enabled", "PARLER_HOOKS")?.unwrap_or(true),
            hooks_wakes: source
                .size("parler.hooks.wakes")?
                .map_or(HOOKS_WAKES, |wakes| u32::try_from(wakes).unwrap_or(u32::MAX)),
            hooks_path: source.hooks_path()?,
            hooks_exclude: source.list("parler.hooks.exclude"),
            advice: source.key_boolean("advice.parler")?.unwrap_or(true),
            color: source.color()?,
            pager: source.pager(),
            data_folder: environment.folder("XDG_DATA_HOME", ".local/share", "")?,
            cache_folder: environment.folder("XDG_CACHE_HOME", ".cache", "cache")?,
        })
    }
}

/// One place to look a setting up: the variable first, then the key.
struct Stated<'a> {
    file: &'a File,
    environment: &'a Environment,
}

impl Stated<'_> {
    /// An empty value in the configuration takes an earlier one back, as git has it for helpers and lists.
    fn text(&self, key: &str, variable: &str) -> Option<String> {
        let stated = || self.file.string(format!("parler.{key}").as_str()).map(|value| value.to_string());
        self.environment.text(variable).or_else(stated).filter(|text| !text.is_empty())
    }

    fn list(&self, key: &str) -> Vec<BString> {
        self.file.strings(key).unwrap_or_default()
    }

    /// A path in the configuration is read as git reads one (`git config --type=path`): it may begin with `~/` or `~user/`, and
    /// a relative one counts from the current folder. A shell has read the one in a variable already.
    fn path(&self, key: &str, variable: &str) -> Result<Option<PathBuf>, Error> {
        if let Some(path) = self.environment.path(variable) {
            return Ok(Some(path));
        }
        self.configured_path(&format!("parler.{key}"))
    }

    fn configured_path(&self, key: &str) -> Result<Option<PathBuf>, Error> {
        let Some(path) = self.file.path(key).filter(|path| !path.is_empty()) else {
            return Ok(None);
        };
        let home = self.environment.path("HOME");
        let context = interpolate::Context { home_dir: home.as_deref(), ..interpolate::Context::default() };
        let found = path.interpolate(context).map_err(|_nobody| self.bad_key(key, "a path"))?;
        Ok(Some(found))
    }

    fn hooks_path(&self) -> Result<Option<HooksPath>, Error> {
        const KEY: &str = "core.hooksPath";
        let Some(path) = self.configured_path(KEY)? else { return Ok(None) };
        let is_of_all = self.file.string_filter(KEY, |about| !is_users(about)).is_none();
        Ok(Some(HooksPath { path, is_of_all }))
    }

    fn boolean(&self, key: &str, variable: &str) -> Result<Option<bool>, Error> {
        match self.environment.text(variable) {
            None => self.key_boolean(&format!("parler.{key}")),
            Some(text) => boolean(text.as_bytes().as_bstr())
                .map(Some)
                .ok_or_else(|| bad(variable, text.as_bytes().as_bstr(), "a boolean")),
        }
    }

    fn key_boolean(&self, key: &str) -> Result<Option<bool>, Error> {
        self.file.boolean(key).map_err(|_wrong| self.bad_key(key, "a boolean"))
    }

    /// What counts from a file alone: an agent may set the variables of the hosts that it configures, and with them what git
    /// would hand over as configuration.
    fn boolean_in_a_file(&self, key: &str) -> Result<Option<bool>, Error> {
        self.file.boolean_filter(key, is_in_a_file).map_err(|_wrong| {
            let value = self.file.string_filter(key, is_in_a_file).unwrap_or_default();
            bad(key, value.as_bstr(), "a boolean")
        })
    }

    /// A number with one of git's suffixes k, m, g.
    fn size(&self, key: &str) -> Result<Option<u64>, Error> {
        let wrong = || self.bad_key(key, "a number such as 1000, 64k, 256m or 4g");
        let number = self.file.integer(key).map_err(|_wrong| wrong())?;
        number.map(|number| u64::try_from(number).map_err(|_negative| wrong())).transpose()
    }

    fn budgets(&self) -> Result<bundle::Budgets, Error> {
        let mut budgets = bundle::Budgets::default();
        for (budget, value) in [
            (Budget::Objects, &mut budgets.objects),
            (Budget::ObjectBytes, &mut budgets.object_bytes),
            (Budget::TotalBytes, &mut budgets.total_bytes),
            (Budget::Ratio, &mut budgets.ratio),
            (Budget::DeltaDepth, &mut budgets.delta_depth),
        ] {
            *value = self.size(budget.option())?.unwrap_or(*value);
        }
        Ok(budgets)
    }

    fn surface_policy(&self) -> Result<SurfacePolicy, Error> {
        const KEY: &str = "parler.policy.surface";
        match self.file.string_implicit(KEY) {
            None => Ok(SurfacePolicy::default()),
            Some(Some(text)) if text.eq_ignore_ascii_case(b"warn") => Ok(SurfacePolicy::Warn),
            Some(Some(text)) if text.eq_ignore_ascii_case(b"block") => Ok(SurfacePolicy::Block),
            Some(_) => Err(self.bad_key(KEY, "warn or block")),
        }
    }

    fn color(&self) -> Result<When, Error> {
        for key in ["color.parler", "color.ui"] {
            let Some(stated) = self.file.string_implicit(key) else { continue };
            let text = stated.unwrap_or_else(|| "true".into());
            return match text.to_lowercase().as_slice() {
                b"always" => Ok(When::Always),
                b"never" => Ok(When::Never),
                b"auto" => Ok(When::Auto),
                _ => match boolean(text.as_bstr()) {
                    Some(true) => Ok(When::Auto),
                    Some(false) => Ok(When::Never),
                    None => Err(bad(key, text.as_bstr(), "always, auto, never or a boolean")),
                },
            };
        }
        Ok(When::Auto)
    }

    /// git's order: the variable of git, the command's own key, the key of all commands, everybody's variable.
    fn pager(&self) -> Option<String> {
        let own = self
            .file
            .string_implicit_filter("pager.parler", is_users)
            .map(|value| value.unwrap_or_else(|| "true".into()));
        let own = match own.as_ref().map(|value| (value, boolean(value.as_bstr()))) {
            Some((_, Some(false))) => return None,
            Some((_, Some(true))) | None => None,
            Some((command, None)) => Some(command.to_string()),
        };
        let general = || self.file.string_filter("core.pager", is_users).map(|value| value.to_string());
        // An empty variable is set, and means that no pager is wanted.
        let stated = |name: &str| {
            self.environment.0.get(&OsString::from(name)).map(|value| value.to_string_lossy().into_owned())
        };
        let pager = stated("GIT_PAGER").or(own).or_else(general).or_else(|| stated("PAGER"));
        let pager = pager.unwrap_or_else(|| "less".to_owned());
        (!pager.is_empty() && pager != "cat").then_some(pager)
    }

    fn bad_key(&self, key: &str, expected: &'static str) -> Error {
        bad(key, self.file.string(key).unwrap_or_default().as_bstr(), expected)
    }
}

impl Environment {
    /// `PARLER_HOME` counts for everything; else the user's folder of that kind.
    fn folder(&self, variable: &str, below_home: &str, below_own: &str) -> Result<PathBuf, Error> {
        if let Some(own) = self.path("PARLER_HOME") {
            let own = std::path::absolute(own).map_err(|_no_current_folder| Error::NoHome)?;
            return Ok(if below_own.is_empty() { own } else { own.join(below_own) });
        }
        // The specification of these variables says that a relative path counts as none.
        let stated = self.path(variable).filter(|path| path.is_absolute());
        let base = stated.or_else(|| self.path("HOME").map(|home| home.join(below_home)));
        base.map(|base| base.join("git-parler")).ok_or(Error::NoHome)
    }
}

/// Says whether a value is the user's own: what the repository we stand in configures must not run because of us.
fn is_users(metadata: &Metadata) -> bool {
    metadata.source.kind() != Kind::Repository
}

/// Says whether a value stands in a file of git's configuration.
fn is_in_a_file(metadata: &Metadata) -> bool {
    metadata.source.kind() != Kind::Override
}

fn boolean(value: &BStr) -> Option<bool> {
    Boolean::try_from(value).ok().map(Boolean::is_true)
}

fn bad(key: &str, value: &BStr, expected: &'static str) -> Error {
    Error::BadValue { key: key.to_owned(), value: value.to_string(), expected }
}

#[cfg(test)]
mod tests;
