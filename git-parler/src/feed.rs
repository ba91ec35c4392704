//! A conversation as a person reads it at a terminal: the lines of [`client::report::text`], painted, and what is odd about
//! the room.

use client::report::text::{self, Part};
use client::report::{LoggedMessage, Received};
use protocol::key::AgentId;
use protocol::room::Flag;

pub(crate) use client::report::text::{name, plain_or_quoted};

use crate::commands::push::short;
use crate::error::{Code, Failure};
use crate::ui::{Paint, Ui};

/// Returns `messages` as lines, for the seat `me`.
pub(crate) fn lines(ui: &Ui, messages: &[LoggedMessage], me: AgentId) -> String {
    text::lines(messages, me, |part, text| match part {
        Part::Name => ui.paint(Paint::Bold, text),
        Part::Id => ui.paint(Paint::Commit, text),
    })
}

/// Tells what is odd about a room besides a fork, which is for [`check`].
pub(crate) fn remark(ui: &Ui, received: &Received) {
    match received.expired {
        0 => {}
        1 => ui.warn("1 entry expired before it was read here"),
        count => ui.warn(format_args!("{count} entries expired before they were read here")),
    }
    if received.flags.contains(&Flag::Unchecked) {
        ui.warn("the log before these entries has expired, so that they could not be checked against it");
    }
}

/// Says whether the hub shows the history that it showed before; asked after the output.
pub(crate) fn check(received: &Received) -> Result<(), Failure> {
    if !received.flags.contains(&Flag::Fork) {
        return Ok(());
    }
    let (room, cursor) = (received.room.to_string(), received.cursor);
    let message = format!(
        "the hub shows another history of room {} than before; nothing behind entry {cursor} is believed",
        short(&room)
    );
    Err(Failure::new(Code::VerificationFailed, message).hint(format_args!(
        "ask who runs the hub what happened; `git parler use --accept-fork --room {}` goes on with what it shows now",
        short(&room)
    )))
}
