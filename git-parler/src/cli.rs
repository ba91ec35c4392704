//! The command line: options that every command understands, the list of commands, and how a wrong line ends.
//! The arguments of each command stand in `cli/arguments.rs` and `cli/session.rs`, their longer explanations in `page.rs`.

mod arguments;
mod limits;
mod quantities;
mod session;

pub(crate) use arguments::*;
pub(crate) use limits::LimitOptions;
pub(crate) use session::*;

use clap::{Args, CommandFactory, Parser, Subcommand};

/// Hand code between people and agents: signed, reviewable git bundles
#[derive(Debug, Parser)]
#[command(
    name = "git-parler",
    bin_name = "git parler",
    version,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    subcommand_value_name = "command",
    subcommand_help_heading = "Commands",
    after_help = "`git parler help <command>` shows a command's page.",
    after_long_help = include_str!("page/git-parler.txt")
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every command understands.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of every command")]
#[expect(clippy::struct_excessive_bools, reason = "one field per switch of the command line")]
pub(crate) struct Global {
    /// Use this hub instead of the configured one (`parler.hub`) or the local one
    #[arg(long, global = true, value_name = "url")]
    pub(crate) hub: Option<String>,
    /// Work in this room instead of the one in use
    #[arg(long, global = true, value_name = "room")]
    pub(crate) room: Option<String>,
    /// Print the answer as one JSON object
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print neither progress nor remarks
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Show progress even where standard error is no terminal
    #[arg(long, global = true, overrides_with = "no_progress")]
    pub(crate) progress: bool,
    /// Show no progress
    #[arg(long, global = true, overrides_with = "progress")]
    pub(crate) no_progress: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Push(Push),
    List(List),
    Show(Show),
    Fetch(Fetch),
    Apply(Apply),
    Drop(Drop),
    Prune(Prune),
    Open(Open),
    Join(Join),
    Requests(Requests),
    Approve(Approve),
    Deny(Deny),
    Key(Key),
    Send(Send),
    Recv(Recv),
    Log(Log),
    Wait(Wait),
    Sessions(Sessions),
    Use(Use),
    Leave(Leave),
    Kick(Kick),
    Close(Close),
    Mcp(Mcp),
    Hooks(Hooks),
    Hook(Hook),
    Hub(Box<Hub>),
    Whoami(Whoami),
    Status(Status),
    Doctor(Doctor),
    Setup(Setup),
    Connect(Connect),
    Help(Help),
}

/// Returns the definition of the command line, for pages and completion.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}
