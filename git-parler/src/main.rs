//! The binary `git-parler`, which git runs as `git parler`: reads the command line, runs the command, and turns
//! its failure into a sentence and an exit code. No rules live here.
#![expect(
    dead_code,
    reason = "printer, settings, arguments and codes stand before the commands that use them"
)]

mod cli;
mod commands;
mod completion;
mod config;
mod error;
mod interrupt;
mod page;
mod setup;
mod ui;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Verb};
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
    let environment = config::Environment::of_process();
    let settings = config::global_file(&environment)
        .and_then(|file| config::Settings::read(&file, &environment, &global));
    let (settings, ui) = match settings {
        Ok(settings) => {
            let ui = Ui::new(&global, &settings, &environment);
            (settings, ui)
        }
        Err(error) => return Ui::plain(global.json).fail(&error.into()),
    };
    let result = match verb {
        Verb::Help(arguments) => commands::help::run(&ui, &arguments),
        Verb::Setup(arguments) => commands::setup::run(&ui, &environment, &arguments),
    };
    drop(settings);
    match result.and_then(|()| ui.finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ui.fail(&failure),
    }
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
