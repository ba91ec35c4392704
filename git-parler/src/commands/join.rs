//! `git parler join`: ask to join a session, and wait for its owner.

use std::path::Path;
use std::time::Duration;

use client::report::Join as Answer;
use client::{Client, JoinOutcome, Outage, READER};
use protocol::frame::JoinerState;
use protocol::id::RoomId;
use protocol::invite::SessionKey;
use protocol::limits::PULL_WAIT_MILLIS_MAX;
use protocol::statement::is_name;
use protocol::words::words;

use crate::cli::Join;
use crate::commands::push::short;
use crate::commands::send::text_of;
use crate::commands::sessions::warn_of_setting;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::limits::{CONTEXT_MESSAGES_MAX, KEY_BYTES_MAX};
use crate::{feed, network};

pub(crate) fn run(context: &Context, arguments: &Join) -> Result<(), Failure> {
    let key = match arguments.key.as_str() {
        "-" => text_of(Path::new("-"), KEY_BYTES_MAX)?,
        key => key.to_owned(),
    };
    let key: SessionKey = key.trim().parse().map_err(Failure::from)?;
    if arguments.name.as_deref().is_some_and(|name| !is_name(name)) {
        let message = format!("`--name` is no name: {}", network::WHAT_A_NAME_IS);
        return Err(Failure::new(Code::Usage, message).hint("leave `--name` away, or give another"));
    }
    let settings = network::settings_for(context, key.clone())?;
    network::with_client_at(context, settings, async |client| {
        let joining = async {
            match ask(context, client, &key, arguments).await? {
                JoinOutcome::Member(room) => enter(context, client, room).await,
                JoinOutcome::Pending => Err(Failure::of(Code::Pending)),
                JoinOutcome::Denied => Err(Failure::of(Code::Denied)),
                JoinOutcome::Removed => {
                    Err(Failure::new(Code::Denied, "this seat has left the session, or was put out of it"))
                }
            }
        };
        network::until_interrupted(joining).await.map_err(explain)
    })
}

/// Files the request, or finds it, and waits for the decision if that is wanted.
async fn ask(
    context: &Context,
    client: &mut Client,
    key: &SessionKey,
    arguments: &Join,
) -> Result<JoinOutcome, Failure> {
    let me = client.me();
    let name = arguments.name.as_deref().unwrap_or(&me.name);
    let mut joining = client.join(key, name).await?;
    context.ui.reply(format_args!("Your words: {}", words(&me.id)));
    let mut outcome = client.join_state(&mut joining, None).await?;
    let asked = joining.asked_name();
    if matches!(outcome, JoinOutcome::Pending) && asked.as_deref() != Some(name) {
        let by =
            asked.map_or_else(String::new, |asked| format!(" by the name {}", feed::plain_or_quoted(&asked)));
        context
            .ui
            .warn(format_args!("you asked before{by}, and that is what the owner sees until it is decided"));
    }
    if matches!(outcome, JoinOutcome::Pending) && !arguments.no_wait {
        context
            .ui
            .wait("Waiting for the owner, who compares the words and lets you in; Ctrl-C ends the waiting.");
        let mut outage = Outage::new();
        while matches!(outcome, JoinOutcome::Pending) {
            let asked = client.join_state(&mut joining, Some(WAIT_AT_ONCE)).await;
            outcome = network::outlast(context, &mut outage, asked).await?.unwrap_or(JoinOutcome::Pending);
        }
    }
    Ok(outcome)
}

fn explain(failure: Failure) -> Failure {
    match failure.code {
        Code::Interrupted => failure.hint("your request stays; the same command goes on waiting, or enters"),
        _ => failure,
    }
}

/// Prints the context, and counts it as read once it is.
async fn enter(context: &Context, client: &mut Client, room: RoomId) -> Result<(), Failure> {
    let ui = &context.ui;
    let mut received = client.recv(READER, PAGE, None).await?;
    feed::remark(ui, &received);
    let mut joined = Answer {
        session: Some(room),
        room: Some(room),
        state: JoinerState::Member,
        messages: std::mem::take(&mut received.messages),
        cursor: received.cursor,
    };
    // A long recap is several messages; beyond this it is a conversation, which `recv` goes on with.
    while received.more && joined.messages.len() < CONTEXT_MESSAGES_MAX {
        received = client.recv(READER, PAGE, None).await?;
        feed::remark(ui, &received);
        joined.messages.append(&mut received.messages);
        joined.cursor = received.cursor;
    }
    if ui.is_json() {
        ui.answer(&joined);
    } else {
        ui.line(format_args!("You are in session {}", short(&room.to_string())));
        ui.text(&feed::lines(ui, &joined.messages, client.me().id));
        if received.more {
            ui.hint("there is more: git parler recv");
        }
    }
    warn_of_setting(context, Some(room));
    if ui.has_delivered() {
        client.ack(room, READER, joined.cursor).await?;
    }
    feed::check(&received)
}

/// How many entries are taken at once.
const PAGE: u64 = 256;
/// How long one question to the hub may wait.
const WAIT_AT_ONCE: Duration = Duration::from_millis(PULL_WAIT_MILLIS_MAX);
