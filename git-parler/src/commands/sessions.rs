//! `git parler sessions` and `use`: which sessions there are, and in which of them this seat works.

use client::report::{Session, Use as Answer};
use protocol::clean;
use protocol::id::RoomId;
use protocol::statement::Role;

use crate::cli::Use;
use crate::commands::push::short;
use crate::context::Context;
use crate::error::Failure;
use crate::network;
use crate::ui::{Paint, Ui};

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let answer = network::with_client(context, async |client| Ok(client.sessions().await?))?;
    if context.ui.is_json() {
        context.ui.answer(&answer);
        return Ok(());
    }
    answer.sessions.iter().for_each(|session| print(&context.ui, session));
    if answer.sessions.is_empty() {
        context.ui.remark("No sessions here; `git parler open` opens one.");
    }
    Ok(())
}

fn print(ui: &Ui, session: &Session) {
    let room = session.room.to_string();
    let mark = if session.in_use { "*" } else { " " };
    let owner = session.owner.to_string();
    let owner = match session.role {
        Role::Owner => "yours".to_owned(),
        Role::Member => format!("of {}", short(&owner)),
    };
    let mut rest = vec![format!("{} unread", session.unread)];
    if session.pending > 0 {
        rest.push(format!("{} ask to join", session.pending));
    }
    if session.closed {
        rest.push("closed".to_owned());
    }
    let topic =
        session.topic.as_deref().map_or_else(String::new, |topic| format!("  {}", clean::line(topic)));
    ui.line(format_args!(
        "{mark} {} {owner:15} {}{topic}",
        ui.paint(Paint::Commit, short(&room)),
        rest.join(", ")
    ));
}

pub(crate) fn choose(context: &Context, arguments: &Use) -> Result<(), Failure> {
    let answer = match arguments.session.as_deref() {
        Some("home") => go_home(context, arguments)?,
        Some(session) => take(context, Some(session), arguments)?,
        None => network::with_client(context, async |client| Ok(client.accept_fork().await?))?,
    };
    if context.ui.is_json() {
        context.ui.answer(&answer);
    } else {
        context.ui.line(told(&answer));
    }
    if arguments.session.is_some() {
        warn_of_setting(context, answer.session);
    }
    Ok(())
}

/// Takes a session, or the home, into use.
fn take(context: &Context, selector: Option<&str>, arguments: &Use) -> Result<Answer, Failure> {
    let settings = network::settings_to_use(context, selector)?;
    network::with_client_at(context, settings, async |client| {
        let answer = client.use_session(selector).await?;
        if arguments.accept_fork { Ok(client.accept_fork().await?) } else { Ok(answer) }
    })
}

/// Goes home, whatever the hub says to it: it may be the one that lets this seat in no more.
fn go_home(context: &Context, arguments: &Use) -> Result<Answer, Failure> {
    client::use_home(&context.settings.data_folder, context.seat_dir().as_deref())?;
    match take(context, None, arguments) {
        Err(failure) if !arguments.accept_fork => {
            context.ui.warn(&failure.message);
            Ok(Answer { session: None, room: None, topic: None })
        }
        other => other,
    }
}

fn told(answer: &Answer) -> String {
    let Some(session) = answer.session else { return "You work at home now".to_owned() };
    let room = session.to_string();
    match &answer.topic {
        None => format!("You work in session {} now", short(&room)),
        Some(topic) => {
            format!("You work in session {} \"{}\" now", short(&room), clean::line(topic))
        }
    }
}

/// Warns where a setting names another room than the one that was just taken into use (none for the home): it counts before
/// what is in use.
pub(crate) fn warn_of_setting(context: &Context, taken: Option<RoomId>) {
    let Some(setting) = &context.settings.session else { return };
    let is_same = match taken {
        None => setting == "home",
        Some(room) => {
            let data = &context.settings.data_folder;
            let found = client::whereabouts(data, env!("CARGO_PKG_VERSION"), setting);
            room.to_string().starts_with(setting.as_str())
                || found.is_ok_and(|found| found.is_some_and(|found| found.room == room))
        }
    };
    if is_same {
        return;
    }
    let (name, remedy) = match context.environment.text("PARLER_SESSION") {
        Some(_) => ("PARLER_SESSION", "unset PARLER_SESSION"),
        None => ("parler.session", "git config --unset parler.session"),
    };
    context.ui.warn(format_args!(
        "{name} is `{setting}`, which counts before what is in use: other commands work there"
    ));
    context.ui.hint(format_args!("to work where you are now: {remedy}"));
}
