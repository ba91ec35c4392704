//! `git parler requests`, `approve` and `deny`: the owner's gate.

use std::fmt::Write as _;

use client::report::{Decision, JoinRequest, when};
use protocol::clean;
use protocol::frame::JoinerState;

use crate::cli::{Approve, Deny};
use crate::context::Context;
use crate::error::Failure;
use crate::{feed, network};

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let answer = network::with_client(context, async |client| {
        client.session().await?;
        // Before, so that nobody is listed who need not be decided about.
        network::tend(context, client).await;
        Ok(client.requests().await?)
    })?;
    context.pending.shown(answer.room);
    let ui = &context.ui;
    if ui.is_json() {
        ui.answer(&answer);
        return Ok(());
    }
    for request in &answer.requests {
        ui.line(described(request));
    }
    for rejected in &answer.rejected {
        let reason = clean::line(&rejected.reason);
        ui.warn(format_args!("a request by {} cannot be approved: {reason}", rejected.id));
    }
    if answer.more {
        ui.remark("More ask than are looked at; they come up once these are decided.");
    }
    if answer.requests.is_empty() {
        ui.remark("Nobody asks to join.");
    } else {
        let room = context.room_option(answer.room);
        ui.hint(format_args!(
            "compare the words with those that the joiner reads to you; then:\n  git parler approve{room} <joiner>\nor, for good: \
             git parler deny{room} <joiner>"
        ));
    }
    Ok(())
}

pub(crate) fn approve(context: &Context, arguments: &Approve) -> Result<(), Failure> {
    let joiner = arguments.joiner.join(" ");
    let no_history = arguments.no_history.then_some(true);
    decided(
        context,
        &network::with_client(context, async |client| Ok(client.approve(&joiner, no_history).await?))?,
    )
}

pub(crate) fn deny(context: &Context, arguments: &Deny) -> Result<(), Failure> {
    let joiner = arguments.joiner.join(" ");
    decided(context, &network::with_client(context, async |client| Ok(client.deny(&joiner).await?))?)
}

/// Prints what was decided.
#[expect(clippy::unnecessary_wraps, reason = "the end of a command")]
pub(crate) fn decided(context: &Context, decision: &Decision) -> Result<(), Failure> {
    if context.ui.is_json() {
        context.ui.answer(decision);
    } else {
        context.ui.line(told(decision));
    }
    Ok(())
}

/// Says what was decided in a line.
pub(crate) fn told(decision: &Decision) -> String {
    let name = feed::name(&decision.joiner);
    match decision.state {
        JoinerState::Pending => format!("{name} still waits"),
        JoinerState::Member => format!("{name} is a member now"),
        JoinerState::Denied => format!("{name} is turned away, for good"),
        JoinerState::Removed => format!("{name} is put out"),
    }
}

/// Says who asks to join, as an owner needs to know it.
pub(crate) fn described(request: &JoinRequest) -> String {
    let mut text = format!(
        "{} asks to join\n  words  {}\n  id     {}\n  since  {}",
        feed::plain_or_quoted(&request.name),
        request.words,
        request.id,
        when::ago(request.first_seen, client::seat::now())
    );
    if request.was_removed {
        text += "\n  WARNING: this one was put out of the session before";
    }
    if !request.confusable_with.is_empty() {
        let names: Vec<_> = request.confusable_with.iter().map(|name| feed::plain_or_quoted(name)).collect();
        let _infallible =
            write!(text, "\n  WARNING: the name can be taken for {}, who is somebody else", names.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use protocol::key::AgentKey;

    use super::*;

    #[test]
    fn who_asks_is_told_with_the_words_and_all_that_warns() {
        let id = AgentKey::from_seed(&[3; 32]).public();
        let request = JoinRequest {
            id,
            name: "ada/\u{1b}app: hi".to_owned(),
            words: protocol::words::words(&id),
            key: protocol::key::InviteKey::from_seed(&[7; 32]).public(),
            first_seen: client::seat::now(),
            confusable_with: vec!["ada/app".to_owned()],
            auto: false,
            was_removed: true,
        };
        let expected = format!(
            "\"ada/\u{fffd}app: hi\" asks to join\n  words  {}\n  id     {id}\n  since  just now\n  \
             WARNING: this one was put out of the session before\n  \
             WARNING: the name can be taken for ada/app, who is somebody else",
            request.words
        );
        assert_eq!(described(&request), expected);
    }
}
