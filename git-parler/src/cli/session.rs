//! The arguments of the commands about sessions and conversation. First lines are help texts: imperative, no full stop.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use protocol::limits::KEY_USES_MAX;

use super::quantities::{duration, life};

/// Open a session and print the key with which others ask to join
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/open.txt"))]
pub(crate) struct Open {
    /// Say what the session is about, in a line
    #[arg(long, value_name = "text")]
    pub(crate) topic: Option<String>,
    /// Tell who joins what happened so far
    #[arg(long, value_name = "text")]
    pub(crate) recap: Option<String>,
    /// Read the recap from a file (`-` is standard input)
    #[arg(short = 'F', long = "file", value_name = "file", conflicts_with = "recap")]
    pub(crate) recap_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) key: KeyOptions,
    /// Keep what was said before from all who join
    #[arg(long)]
    pub(crate) no_history: bool,
    /// Stay, and ask on the terminal for each one who wants to join
    #[arg(long)]
    pub(crate) wait: bool,
}

/// What a session key is to allow.
#[derive(Args, Debug)]
pub(crate) struct KeyOptions {
    /// End the key after this time: `30s`, `10m`, `12h`, `7d`
    #[arg(long, value_name = "time", value_parser = life, default_value = "7d")]
    pub(crate) ttl: Duration,
    /// Admit at most this many by the key
    #[arg(long, value_name = "n", value_parser = clap::value_parser!(u64).range(1..=KEY_USES_MAX), default_value_t = 64)]
    pub(crate) max_uses: u64,
    /// Let in whoever has the key, without asking
    #[arg(long)]
    pub(crate) auto_approve: bool,
}

/// Ask to join a session, and wait for the approval
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/join.txt"))]
pub(crate) struct Join {
    /// Session key (`-` is standard input)
    #[arg(value_name = "key")]
    pub(crate) key: String,
    /// Ask by this name [default: parler.name]
    #[arg(long, value_name = "name")]
    pub(crate) name: Option<String>,
    /// Ask, and do not wait for the answer
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// List who asks to join
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/requests.txt"))]
pub(crate) struct Requests {}

/// Let somebody in who asks to join
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/approve.txt"))]
pub(crate) struct Approve {
    /// Keep what was said before from the joiner
    #[arg(long)]
    pub(crate) no_history: bool,
    /// Six words of the id, prefix of the id, or the name
    #[arg(value_name = "joiner", required = true)]
    pub(crate) joiner: Vec<String>,
}

/// Turn somebody away for good who asks to join
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/deny.txt"))]
pub(crate) struct Deny {
    /// Six words of the id, prefix of the id, or the name
    #[arg(value_name = "joiner", required = true)]
    pub(crate) joiner: Vec<String>,
}

/// List, make or end the keys of the session
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/key.txt"), subcommand_value_name = "action", subcommand_help_heading = "Actions", disable_help_subcommand = true)]
pub(crate) struct Key {
    #[command(subcommand)]
    pub(crate) action: KeyAction,
}

/// What to do with the keys of the session.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyAction {
    /// List the keys
    List,
    /// Make another key
    New(KeyOptions),
    /// End a key: it admits nobody any more
    Revoke {
        /// Key, or prefix of its id of at least 4 digits
        #[arg(value_name = "key")]
        key: String,
    },
}

/// Say something in the room
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/send.txt"))]
pub(crate) struct Send {
    /// What to say (`-` is standard input)
    #[arg(value_name = "text")]
    pub(crate) text: String,
}

/// Show what is new in the room
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/recv.txt"))]
pub(crate) struct Recv {
    /// Wait so long for something new: `30s`, `10m`, `12h`
    #[arg(long, value_name = "time", value_parser = duration)]
    pub(crate) wait: Option<Duration>,
    /// Stay, and show what comes until interrupted
    #[arg(short, long, conflicts_with = "wait")]
    pub(crate) follow: bool,
}

/// Wait until there is something new in the room
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/wait.txt"))]
pub(crate) struct Wait {
    /// Give up after this time: `30s`, `10m`, `12h`
    #[arg(long = "for", value_name = "time", value_parser = duration)]
    pub(crate) time: Option<Duration>,
}

/// Show what was said in the room
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/log.txt"))]
pub(crate) struct Log {
    /// Begin behind this place of the log [default: its beginning]
    #[arg(long, value_name = "seq", default_value_t = 0, hide_default_value = true)]
    pub(crate) after: u64,
}

/// List the sessions
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/sessions.txt"))]
pub(crate) struct Sessions {}

/// Work in another session, or at home
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/use.txt"))]
pub(crate) struct Use {
    /// Prefix of the session's id of at least 4 digits, its topic, or `home`
    #[arg(value_name = "session", required_unless_present = "accept_fork")]
    pub(crate) session: Option<String>,
    /// Believe from now on what the hub shows, although it was another history before
    #[arg(long)]
    pub(crate) accept_fork: bool,
}

/// Leave the session
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/leave.txt"))]
pub(crate) struct Leave {}

/// Put a member out of the session
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/kick.txt"))]
pub(crate) struct Kick {
    /// Six words of the id, prefix of the id, or the name
    #[arg(value_name = "member", required = true)]
    pub(crate) member: Vec<String>,
}

/// Close the session for good
#[derive(Args, Debug)]
#[command(after_long_help = include_str!("../page/close.txt"))]
pub(crate) struct Close {}
