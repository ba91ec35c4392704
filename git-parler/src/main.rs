//! The binary `git-parler`, which git runs as `git parler`: reads the command line, runs the command, and turns
//! its failure into a sentence and an exit code. No rules live here.

#[cfg(not(unix))]
compile_error!("git-parler is written for Linux and macOS; Windows is not supported");

mod agent_hook;
mod announce;
mod beside;
mod claim;
mod cli;
mod commands;
mod completion;
mod config;
mod connect;
mod context;
mod error;
mod feed;
mod file_error;
mod handoff;
mod hook_place;
mod incoming;
mod interrupt;
mod limits;
mod local_child;
mod network;
mod page;
mod pending;
mod repo;
mod setup;
mod stages;
mod start_hub;
mod surface;
mod ui;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Global, Verb};
use crate::config::Environment;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::ui::Ui;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(refusal) => answer_clap(&refusal),
    }
}

/// Runs one command; whatever it is, its failure is reported here and nowhere else.
fn run(cli: Cli) -> ExitCode {
    let Cli { global, verb } = cli;
    match verb {
        Verb::Hook(arguments) => {
            commands::hook::run(&global, &arguments);
            ExitCode::SUCCESS
        }
        // Of a server that did not start a host says no more than that; this one tells each call what is wrong with the settings.
        Verb::Mcp(_) => match commands::mcp::run(&Environment::of_process(), &global) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => Ui::plain(global.json).fail(&failure),
        },
        verb => run_here(&global, verb),
    }
}

/// Runs a command that needs to know where it is.
fn run_here(global: &Global, verb: Verb) -> ExitCode {
    let context = match verb {
        Verb::Help(_) | Verb::Setup(_) | Verb::Connect(_) | Verb::Hub(_) => Context::outside(global),
        _ => Context::look_around(global),
    };
    let context = match context {
        Ok(context) => context,
        Err(failure) => return Ui::plain(global.json).fail(&failure),
    };
    let result = match verb {
        Verb::Push(arguments) => commands::push::run(&context, &arguments),
        Verb::Apply(arguments) => commands::apply::run(&context, &arguments),
        Verb::List(arguments) => commands::list::run(&context, &arguments),
        Verb::Show(arguments) => commands::show::run(&context, &arguments),
        Verb::Fetch(arguments) => commands::fetch::run(&context, &arguments),
        Verb::Open(arguments) => commands::open::run(&context, &arguments),
        Verb::Join(arguments) => commands::join::run(&context, &arguments),
        Verb::Requests(_) => commands::requests::run(&context),
        Verb::Approve(arguments) => commands::requests::approve(&context, &arguments),
        Verb::Deny(arguments) => commands::requests::deny(&context, &arguments),
        Verb::Key(arguments) => commands::key::run(&context, &arguments),
        Verb::Send(arguments) => commands::send::run(&context, &arguments),
        Verb::Recv(arguments) => commands::recv::run(&context, &arguments),
        Verb::Wait(arguments) => commands::wait::run(&context, &arguments),
        Verb::Log(arguments) => commands::recv::log(&context, &arguments),
        Verb::Sessions(_) => commands::sessions::run(&context),
        Verb::Use(arguments) => commands::sessions::choose(&context, &arguments),
        Verb::Leave(_) => commands::leave::run(&context),
        Verb::Kick(arguments) => commands::leave::kick(&context, &arguments),
        Verb::Close(_) => commands::leave::close(&context),
        Verb::Hooks(arguments) => commands::hooks::run(&context, &arguments),
        Verb::Mcp(_) | Verb::Hook(_) => unreachable!("they need not know where they are"),
        Verb::Hub(arguments) => commands::hub::run(&context, &arguments),
        Verb::Whoami(arguments) => commands::whoami::run(&context, &arguments),
        Verb::Status(_) => commands::status::run(&context),
        Verb::Doctor(_) => commands::doctor::run(&context),
        Verb::Drop(arguments) => commands::drop::run(&context, &arguments),
        Verb::Prune(arguments) => commands::drop::prune(&context, &arguments),
        Verb::Setup(arguments) => commands::setup::run(&context.ui, &context.environment, &arguments),
        Verb::Connect(arguments) => commands::connect::run(&context, &arguments),
        Verb::Help(arguments) => commands::help::run(&context.ui, &arguments),
    };
    let code = match result.and_then(|()| context.ui.finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => context.ui.fail(&failure),
    };
    context.tell_pending();
    code
}

/// Prints what clap says instead of a command: a help text or version (exit 0), or what is wrong with the line.
fn answer_clap(refusal: &clap::Error) -> ExitCode {
    let ui = Ui::plain(std::env::args_os().any(|argument| argument == "--json"));
    if refusal.use_stderr() {
        ui.fail_usage(&refusal.render().to_string(), &Failure::of(Code::Usage))
    } else {
        ui.text(&refusal.render().to_string());
        match ui.finish() {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => ui.fail(&failure),
        }
    }
}
