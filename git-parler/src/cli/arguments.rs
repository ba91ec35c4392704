//! The arguments of each command, as clap's definitions. First lines are help texts: imperative, no full stop.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use super::LimitOptions;
use crate::connect::{self, Host};

/// Hand commits to the other side
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/push.txt"))]
pub(crate) struct Push {
    /// Commits to hand over: a revision, or a range A..B, which means B with the base A [default: HEAD]
    #[arg(value_name = "rev")]
    pub(crate) revisions: Vec<String>,
    /// Leave out what this revision reaches: the other side has it (repeatable) [default: parler.base]
    #[arg(long, value_name = "rev")]
    pub(crate) base: Vec<String>,
    /// Say what this is in a line [default: the subject of the first revision's commit]
    #[arg(short = 'm', long = "message", value_name = "summary")]
    pub(crate) summary: Option<String>,
    /// Write the bundle to a file and use no hub (`-` is standard output)
    #[arg(short, long, value_name = "file")]
    pub(crate) output: Option<PathBuf>,
    /// Overwrite the file of `-o`
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
    /// Say what would travel and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// List the handoffs of the room
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/list.txt"))]
pub(crate) struct List {
    /// Include handoffs that do not fit this repository
    #[arg(long)]
    pub(crate) all: bool,
}

/// Show a handoff before anything enters the repository
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/show.txt"))]
pub(crate) struct Show {
    /// Id, prefix of at least 4 digits, or file [default: the newest one of somebody else]
    #[arg(value_name = "id|file")]
    pub(crate) handoff: Option<String>,
    /// Show the diff as well
    #[arg(short, long)]
    pub(crate) patch: bool,
}

/// Save a handoff as a bundle file that git reads
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/fetch.txt"))]
pub(crate) struct Fetch {
    /// Id or prefix of at least 4 digits [default: the newest one of somebody else]
    #[arg(value_name = "id")]
    pub(crate) handoff: Option<String>,
    /// Write to this file (`-` is standard output) [default: the first 12 digits of the id, then `.bundle`]
    #[arg(short, long, value_name = "file")]
    pub(crate) output: Option<PathBuf>,
    /// Overwrite the file
    #[arg(long)]
    pub(crate) force: bool,
}

/// Import a handoff below refs/parler, and nothing else
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/apply.txt"))]
pub(crate) struct Apply {
    /// Id, prefix of at least 4 digits, or bundle file (`-` is standard input) [default: the newest one of somebody else]
    #[arg(value_name = "id|file")]
    pub(crate) handoff: Option<String>,
    /// Check everything and stop before the repository changes
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Take a history that shares no commit with this repository
    #[arg(long)]
    pub(crate) unrelated: bool,
    /// Refuse a file, which has no author
    #[arg(long)]
    pub(crate) require_signature: bool,
}

/// Remove the references of an applied handoff
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/drop.txt"))]
pub(crate) struct Drop {
    /// Id or prefix of at least 4 digits
    #[arg(value_name = "id")]
    pub(crate) handoff: String,
}

/// Remove the references of handoffs applied before a date
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/prune.txt"))]
pub(crate) struct Prune {
    /// Remove what was applied before this date, as git writes dates: `2.weeks.ago`, `2026-01-31`, `now`
    #[arg(long, value_name = "date")]
    pub(crate) expire: String,
    /// Say what would be removed and remove nothing
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

/// Run a hub, or look after the local one
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/hub.txt"))]
pub(crate) struct Hub {
    /// Listen on this address [default: 127.0.0.1:7419]
    #[arg(long, value_name = "addr", conflicts_with_all = ["status", "stop"])]
    pub(crate) listen: Option<String>,
    /// Name a URL under which clients reach the hub (repeatable; needed beyond loopback)
    #[arg(long, value_name = "url", conflicts_with_all = ["status", "stop"])]
    pub(crate) url: Vec<String>,
    /// Keep everything in this folder [default: the folder `served` of the data directory]
    #[arg(long = "data", value_name = "dir")]
    pub(crate) folder: Option<PathBuf>,
    /// Let in whoever knows the secret in this file
    #[arg(long, value_name = "file", conflicts_with_all = ["open", "status", "stop"])]
    pub(crate) join_secret_file: Option<PathBuf>,
    /// Let in everybody who reaches the address
    #[arg(long, conflicts_with_all = ["status", "stop"])]
    pub(crate) open: bool,
    /// Tell whether the local hub runs
    #[arg(long, conflicts_with = "stop")]
    pub(crate) status: bool,
    /// End the local hub
    #[arg(long)]
    pub(crate) stop: bool,
    /// Run as the local hub that a command started
    #[arg(long, hide = true, conflicts_with_all = ["status", "stop"])]
    pub(crate) local_child: bool,
    #[command(flatten)]
    pub(crate) limits: LimitOptions,
}

/// Install the manual pages and the completion of bash, zsh and fish
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/setup.txt"))]
pub(crate) struct Setup {
    /// Install below this folder [default: the parent of the program's folder for pages, the user's folders for completion]
    #[arg(long, value_name = "dir")]
    pub(crate) prefix: Option<PathBuf>,
    /// Remove what setup installed, and nothing else
    #[arg(long)]
    pub(crate) remove: bool,
}

/// Wire the agent hosts on this machine to git parler
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/connect.txt"))]
pub(crate) struct Connect {
    /// Wire them to the local hub, whatever `parler.hub` says
    #[arg(long, conflicts_with = "hub")]
    pub(crate) local: bool,
    /// Wire this host (repeatable) [default: all that are found]
    #[arg(long, value_name = "host", value_parser = host())]
    pub(crate) host: Vec<&'static Host>,
    /// Also put hooks in, by which an agent hears of what waits for it; with `--remove`, the hooks alone
    #[arg(long)]
    pub(crate) hooks: bool,
    /// Show what would change and change nothing
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Take out what connect put in, and nothing else
    #[arg(long)]
    pub(crate) remove: bool,
}

/// Have commits announce themselves by git's hooks
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/hooks.txt"), subcommand_value_name = "action", subcommand_help_heading = "Actions", disable_help_subcommand = true)]
pub(crate) struct Hooks {
    #[command(subcommand)]
    pub(crate) action: HooksAction,
}

/// What to do with git's hooks.
#[derive(Debug, Subcommand)]
pub(crate) enum HooksAction {
    /// Put the hooks in, beside what is there
    Install {
        /// For all repositories: in your own configuration, or the folder to which it leads them all
        #[arg(long)]
        global: bool,
    },
    /// Take the hooks out, and nothing else
    Uninstall {
        /// For all repositories
        #[arg(long)]
        global: bool,
    },
    /// Show whether git runs them, and what waits
    Status,
}

/// Do what a hook is for; git and agent hosts run it
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/hook.txt"))]
pub(crate) struct Hook {
    /// Who runs it: `git`, or an agent host such as `claude-code`
    #[arg(value_name = "host")]
    pub(crate) host: String,
    /// For what: `post-commit`, or an event of the host such as `Stop`
    #[arg(value_name = "event")]
    pub(crate) event: String,
    /// What the host gives with it
    #[arg(value_name = "arguments", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
}

/// Show the page of git parler or of one of its commands
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/help.txt"))]
pub(crate) struct Help {
    /// Command to explain
    #[arg(value_name = "command")]
    pub(crate) verb: Option<String>,
}

/// Show user, seat and hub
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/whoami.txt"))]
pub(crate) struct Whoami {
    /// Write the user's key to a file, for another machine of the same user
    #[arg(long, value_name = "file", conflicts_with = "import_user")]
    pub(crate) export_user: Option<PathBuf>,
    /// Take the user's key from such a file
    #[arg(long, value_name = "file")]
    pub(crate) import_user: Option<PathBuf>,
}

/// Show who is here and what is pending
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/status.txt"))]
pub(crate) struct Status {}

/// Serve an agent by the Model Context Protocol
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/mcp.txt"))]
pub(crate) struct Mcp {}

/// Check everything and say what to do
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/doctor.txt"))]
pub(crate) struct Doctor {}

/// Reads the name of a host.
fn host() -> impl TypedValueParser<Value = &'static Host> {
    PossibleValuesParser::new(connect::ALL.map(|host| host.name)).map(|name| {
        let found = connect::ALL.into_iter().find(|host| host.name == name);
        found.expect("only names of hosts pass")
    })
}
