//! `git parler connect`: wires agent hosts to the MCP server, and unwires them.

use client::report::{Connect as Answer, ConnectPart, ConnectProblem, ConnectState, ConnectedHost};
use client::settings::HubAddress;
use protocol::clean;

use crate::cli::Connect;
use crate::connect::{ALL, Error, Host, Launches, NotEditable, Part, Task, Wiring};
use crate::context::Context;
use crate::error::Failure;
use crate::file_error::FileError;
use crate::ui::{Paint, Ui};

pub(crate) fn run(context: &Context, arguments: &Connect) -> Result<(), Failure> {
    let wiring = Wiring::of(&context.environment)?;
    let task = match arguments.remove {
        true => Task::Remove,
        false => Task::Add(wiring.launches(hub(context, arguments)?)?),
    };
    let hosts = match arguments.host.as_slice() {
        [] => wiring.found(),
        // In the order of the list, each once.
        named => ALL.into_iter().filter(|host| named.iter().any(|other| other.name == host.name)).collect(),
    };
    match &task {
        Task::Add(launches) if hosts.is_empty() => return Err(nothing_found(launches)),
        // What was asked for is so.
        Task::Remove if hosts.is_empty() => context.ui.remark(Error::NoHost),
        Task::Add(_) | Task::Remove => {}
    }
    let wired: Vec<_> =
        hosts.iter().flat_map(|host| parts(host, arguments).into_iter().map(|part| (*host, part))).collect();
    let mut failures = Vec::new();
    let rows = wired.iter().map(|&(host, part)| {
        let row = wiring.wire(host, part, &task, arguments.dry_run).unwrap_or_else(|error| {
            let snippet = match &task {
                Task::Add(launches) if can_paste(&error) => Some(launches.snippet(host, part)),
                Task::Add(_) | Task::Remove => None,
            };
            let failure = Failure::from(error);
            let row = wiring.refused(host, part, problem(&failure), snippet);
            failures.push(failure);
            row
        });
        (host, row)
    });
    // Nothing is said of hooks that nobody has put in, unless they were asked for.
    let is_said = |row: &ConnectedHost| {
        arguments.hooks || (row.part, row.state) != (ConnectPart::Hooks, ConnectState::Absent)
    };
    let (hosts_said, rows): (Vec<_>, Vec<_>) = rows.filter(|(_, row)| is_said(row)).unzip();
    let answer = Answer { hosts: rows };
    if context.ui.is_json() {
        context.ui.answer(&answer);
    } else {
        hosts_said.iter().zip(&answer.hosts).for_each(|(host, row)| print(&context.ui, host, row));
    }
    let named =
        hosts.iter().filter(|host| !arguments.host.is_empty() && arguments.hooks && !host.has_hooks());
    named.for_each(|host| context.ui.warn(format_args!("{} has no hooks that could be used", host.title)));
    let mut failures = failures.into_iter();
    let Some(first) = failures.next() else { return Ok(()) };
    // The first one ends the command and gives the exit code; in JSON each stands in the row of its host.
    for failure in failures.filter(|_| !context.ui.is_json()) {
        context.ui.warn(&failure.message);
        failure.hint.iter().for_each(|hint| context.ui.hint(hint));
    }
    Err(first)
}

/// Returns what of a host is meant, in the order in which it is done: what came in last goes first.
fn parts(host: &Host, arguments: &Connect) -> Vec<Part> {
    let mut parts = match (arguments.remove, arguments.hooks) {
        (false, false) => vec![Part::Server],
        (false, true) => vec![Part::Server, Part::Hooks],
        (true, false) => vec![Part::Hooks, Part::Server],
        (true, true) => vec![Part::Hooks],
    };
    parts.retain(|part| *part == Part::Server || host.has_hooks());
    parts
}

/// Returns the hub that hosts are to use; none where the configuration decides.
fn hub<'a>(context: &'a Context, arguments: &Connect) -> Result<Option<&'a str>, Failure> {
    if arguments.local {
        return Ok(Some("local"));
    }
    let Some(hub) = context.settings.hub.as_deref().filter(|_| context.settings.has_hub_option) else {
        return Ok(None);
    };
    // A wrong one is said here, and not by each host in its own way.
    hub.parse::<HubAddress>()?;
    Ok(Some(hub))
}

fn nothing_found(launches: &Launches) -> Failure {
    let names: Vec<_> = ALL.iter().map(|host| host.name).collect();
    Failure::from(Error::NoHost).hint(format_args!(
        "known are {}; name one with `--host <host>`\nmost others take this in their configuration:\n{}",
        names.join(", "),
        launches.snippet(ALL[0], Part::Server)
    ))
}

/// Says whether a person can bring the entry in by hand where it could not be brought in.
fn can_paste(error: &Error) -> bool {
    match error {
        Error::NotEditable { why, .. } => *why != NotEditable::Foreign,
        Error::TooLarge { .. }
        | Error::NotText { .. }
        | Error::Owner { .. }
        | Error::File(FileError::File { .. }) => true,
        Error::File(FileError::NoProgram(_) | FileError::NoHome)
        | Error::NamelessProgram { .. }
        | Error::NoHost
        | Error::LeadsNowhere { .. }
        | Error::NoFile { .. }
        | Error::Changed { .. } => false,
    }
}

fn problem(failure: &Failure) -> ConnectProblem {
    ConnectProblem {
        code: failure.code.row().name.to_owned(),
        message: failure.message.clone(),
        hint: failure.hint.clone(),
    }
}

fn print(ui: &Ui, host: &Host, row: &ConnectedHost) {
    let title = match row.part {
        ConnectPart::Server => host.title.to_owned(),
        ConnectPart::Hooks => format!("{}, hooks", host.title),
    };
    let file = clean::line(&row.file);
    match row.state {
        ConnectState::Added => ui.line(format_args!("{title}: added to {file}")),
        ConnectState::Updated => ui.line(format_args!("{title}: changed in {file}")),
        ConnectState::Already => ui.line(format_args!("{title}: already in {file}")),
        ConnectState::Removed => ui.line(format_args!("{title}: removed from {file}")),
        ConnectState::Absent => ui.line(format_args!("{title}: not in {file}")),
        ConnectState::Refused if row.snippet.is_some() => {
            ui.line(format_args!("{title}: left as it is; it needs this in {file}:"));
        }
        ConnectState::Refused => ui.line(format_args!("{title}: left as it is")),
        ConnectState::WouldAdd => ui.line(format_args!("{title}: would be added to {file}")),
        ConnectState::WouldUpdate => ui.line(format_args!("{title}: would be changed in {file}")),
        ConnectState::WouldRemove => ui.line(format_args!("{title}: would be removed from {file}")),
    }
    row.diff.iter().flat_map(|diff| diff.lines()).for_each(|line| ui.line(painted(ui, line)));
    row.snippet.iter().flat_map(|snippet| snippet.lines()).for_each(|line| ui.line(clean::line(line)));
    if let Some(backup) = &row.backup {
        ui.remark(format_args!("  as it was before: {}", clean::line(backup)));
    }
    if let Some(next) = &row.next {
        ui.hint(next);
    }
}

fn painted(ui: &Ui, line: &str) -> String {
    match line.as_bytes().first() {
        _ if line.starts_with("+++") || line.starts_with("---") => ui.paint(Paint::Bold, line),
        Some(b'+') => ui.paint(Paint::Added, line),
        Some(b'-') => ui.paint(Paint::Removed, line),
        Some(b'@') => ui.paint(Paint::Hunk, line),
        _ => clean::line(line).into_owned(),
    }
}
