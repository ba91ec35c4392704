//! `git parler leave`, `kick` and `close`: how a session ends, for one or for all.

use client::report::Send as Answer;
use protocol::id::RoomId;

use crate::cli::Kick;
use crate::commands::push::short;
use crate::commands::requests::decided;
use crate::commands::sessions::warn_of_setting;
use crate::context::Context;
use crate::error::Failure;
use crate::network;

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let in_use = in_use(context)?;
    let answer = network::with_client(context, async |client| Ok(client.leave().await?))?;
    if in_use == Some(answer.room) {
        say(context, &answer, "You have left the session; you work at home now");
        warn_of_setting(context, None);
    } else {
        say(context, &answer, "You have left the session");
    }
    Ok(())
}

pub(crate) fn kick(context: &Context, arguments: &Kick) -> Result<(), Failure> {
    let member = arguments.member.join(" ");
    let decision = network::with_client(context, async |client| Ok(client.kick(&member).await?))?;
    decided(context, &decision)?;
    if !context.ui.is_json() {
        let room = context.room_option(decision.room);
        context.ui.hint(format_args!(
            "if the key that they came by still lives, end it too: git parler key list{room}, git parler key revoke{room} <key>"
        ));
    }
    Ok(())
}

pub(crate) fn close(context: &Context) -> Result<(), Failure> {
    let answer = network::with_client(context, async |client| Ok(client.close_session().await?))?;
    say(context, &answer, "The session is closed");
    if !context.ui.is_json() {
        let room = answer.room.to_string();
        context
            .ui
            .hint(format_args!("what was said can still be read: git parler log --room {}", short(&room)));
    }
    Ok(())
}

/// Returns the session that this seat works in, which need not be the one that the command is about.
fn in_use(context: &Context) -> Result<Option<RoomId>, Failure> {
    let in_use = client::in_use(&context.settings.data_folder, context.seat_dir().as_deref())?;
    Ok(in_use.map(|in_use| in_use.room))
}

fn say(context: &Context, answer: &Answer, sentence: &str) {
    if context.ui.is_json() {
        context.ui.answer(answer);
    } else {
        context.ui.line(sentence);
    }
}
