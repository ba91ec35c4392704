//! `git parler open`: a session, its key, and with `--wait` the owner at its door.

use std::collections::BTreeSet;
use std::time::Duration;

use client::report::{JoinRequest, when};
use client::settings::HubAddress;
use client::{Client, NotLetIn, OpenSession, Outage};
use protocol::limits::RECAP_BYTES_MAX;

use crate::cli::Open;
use crate::commands::push::short;
use crate::commands::requests;
use crate::commands::send::text_of;
use crate::commands::sessions::warn_of_setting;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::ui::{Paint, Questions};
use crate::{feed, network};

pub(crate) fn run(context: &Context, arguments: &Open) -> Result<(), Failure> {
    let is_asking = arguments.wait && !arguments.key.auto_approve;
    if is_asking && !context.ui.can_ask() {
        return Err(Failure::new(Code::Usage, "`--wait` asks on the terminal, and there is none").hint(
            "leave `--wait` away; `git parler requests` lists who asks, `git parler approve <joiner>` lets in",
        ));
    }
    let recap = match &arguments.recap_file {
        Some(path) => Some(text_of(path, RECAP_BYTES_MAX)?),
        None => arguments.recap.clone(),
    };
    let session = OpenSession {
        topic: arguments.topic.clone(),
        recap,
        ttl: arguments.key.ttl,
        max_uses: arguments.key.max_uses,
        auto: arguments.key.auto_approve,
        no_history: arguments.no_history,
    };
    let settings = network::settings_to_open(context)?;
    let is_local = settings.hub == HubAddress::Local;
    network::with_client_at(context, settings, async |client| {
        let opened = client.open_session(session).await?;
        announce(context, arguments, &opened, is_local);
        if arguments.wait {
            network::until_interrupted(stay(context, client, is_asking)).await?;
        }
        Ok(())
    })
}

fn announce(context: &Context, arguments: &Open, opened: &client::report::Open, is_local: bool) {
    let ui = &context.ui;
    if ui.is_json() {
        ui.answer(opened);
    } else {
        let room = opened.room.to_string();
        let room = ui.paint(Paint::Commit, short(&room));
        let topic = arguments.topic.as_deref().map(|topic| format!(" \"{}\"", protocol::clean::line(topic)));
        ui.line(format_args!("Opened session {room}{}", topic.unwrap_or_default()));
        ui.line(format_args!("Key, for {}:", when::left(opened.expires, client::seat::now())));
        ui.line(format_args!("    {}", opened.key));
        ui.line("Who is to join runs:");
        ui.line(format_args!("    {}", opened.join_line));
    }
    warn_of_setting(context, Some(opened.room));
    if is_local {
        ui.remark("The local hub serves this machine only: nobody can join from another one.");
        ui.hint("for other machines, run a hub that they reach and open the session there:\n  git parler hub --help\n  git parler --hub <url> open");
    }
    if arguments.key.auto_approve {
        ui.hint("whoever has the key comes in as soon as a command of yours talks to the hub");
    } else if !arguments.wait {
        ui.hint("nobody comes in before you say so: git parler requests, git parler approve <joiner>");
    }
}

/// Lets in, or asks about, everybody who asks to join, until the input ends.
async fn stay(context: &Context, client: &mut Client, is_asking: bool) -> Result<(), Failure> {
    let ui = &context.ui;
    ui.wait("Waiting for somebody to join; Ctrl-C ends the waiting, not the session.");
    let mut outage = Outage::new();
    if !is_asking {
        let mut known = BTreeSet::new();
        loop {
            let tried = client.approve_auto().await;
            for decision in network::outlast(context, &mut outage, tried).await?.unwrap_or_default() {
                match decision {
                    Ok(decision) => ui.remark(requests::told(&decision)),
                    // Once each; they are tried again with everybody who asks later.
                    Err(NotLetIn { joiner, error }) if known.insert(joiner.id) => {
                        let why = Failure::from(error).message;
                        ui.warn(format_args!("{} could not be let in: {why}", feed::name(&joiner)));
                    }
                    Err(_) => {}
                }
            }
            client.wait_for_requests(WAIT_AT_ONCE).await;
        }
    }
    let mut typed = Questions::begin();
    let mut known = BTreeSet::new();
    loop {
        let asked = client.requests().await;
        let asked = network::outlast(context, &mut outage, asked).await?;
        for request in asked.map(|asked| asked.requests).unwrap_or_default() {
            // Who has left or was put out meanwhile may ask once more.
            let is_new = known.insert((request.id, request.first_seen));
            if is_new && !decide(context, client, &request, &mut typed, &mut outage).await? {
                return Ok(());
            }
        }
        client.wait_for_requests(WAIT_AT_ONCE).await;
    }
}

/// Asks about one who wants to join and does what is answered; says whether the input goes on.
async fn decide(
    context: &Context,
    client: &mut Client,
    request: &JoinRequest,
    typed: &mut Questions,
    outage: &mut Outage,
) -> Result<bool, Failure> {
    let ui = &context.ui;
    let (joiner, mut question) = (request.id.to_string(), requests::described(request));
    let lets_in = loop {
        let Some(answer) = typed.ask(ui, format_args!("{question}\nLet them in? [y/n]")).await else {
            return Ok(false);
        };
        match answer.trim() {
            "y" | "Y" | "yes" => break true,
            "n" | "N" | "no" => break false,
            _ => WHAT_TO_ANSWER.clone_into(&mut question),
        }
    };
    // What was answered is answered, also where the hub is away just now.
    let decided = loop {
        let asked = if lets_in { client.approve(&joiner, None).await } else { client.deny(&joiner).await };
        if let Some(decided) = network::outlast(context, outage, asked).await.transpose() {
            break decided;
        }
    };
    match decided {
        Ok(decision) => ui.reply(requests::told(&decision)),
        // Another seat of the owner may have been faster, or the key may be used up: the others still wait for an answer.
        Err(failure) => ui.warn(failure.message),
    }
    Ok(true)
}

const WHAT_TO_ANSWER: &str =
    "Answer y to let them in, or n to turn them away for good; Ctrl-C leaves them waiting.";

/// After which time the hub is asked anyway: what it tells by itself is a hint, and may be lost with a connection.
const WAIT_AT_ONCE: Duration = Duration::from_secs(10);
