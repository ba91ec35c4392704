//! `git parler status`: who is here, and what is new.

use client::report::{Status as Answer, StatusHub};
use client::settings::RoomChoice;

use crate::commands::push::short;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::incoming::Here;
use crate::{announce, feed, network};

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let asked = network::with_client(context, async |client| {
        let room = client.room().await?;
        network::tend(context, client).await;
        Ok((client.status(client::READER).await?, client.handoffs(room).await?))
    });
    let (answer, handoffs) = match asked {
        Ok(answer) => answer,
        // Without the hub there is still something to say, and saying it is what was asked for.
        Err(failure) if failure.code == Code::HubUnreachable => {
            let answer = offline(context)?.ok_or_else(|| failure.clone())?;
            context.ui.warn(&failure.message);
            (answer, Vec::new())
        }
        Err(failure) => return Err(failure),
    };
    if let Some(session) = answer.session {
        context.pending.shown(session);
    }
    if context.ui.is_json() {
        context.ui.answer(&answer);
        return Ok(());
    }
    let ui = &context.ui;
    let reached = if answer.hub.reachable { "reachable" } else { "not reachable" };
    ui.line(format_args!(
        "You are {} at {} ({reached})",
        feed::plain_or_quoted(&answer.me.name),
        answer.hub.origin
    ));
    match &answer.session {
        None => ui.line("Room: your home, where your own seats hand each other code"),
        Some(session) => ui.line(format_args!("Session {}", short(&session.to_string()))),
    }
    if !answer.hub.reachable {
        ui.line("  (who is here, only the hub can tell)");
    }
    for member in &answer.members {
        let me = if member.id == answer.me.id { " (this one)" } else { "" };
        ui.line(format_args!("  {}{me}", feed::plain_or_quoted(&member.name)));
    }
    for request in &answer.pending {
        ui.line(format_args!("  {} asks to join ({})", feed::plain_or_quoted(&request.name), request.words));
    }
    if answer.unread > 0 && answer.session.is_some() {
        ui.line(format_args!("{} unread: git parler recv", answer.unread));
    }
    if let Some(session) = answer.session.filter(|_| !answer.pending.is_empty()) {
        ui.hint(format_args!("who asks, in full: git parler requests{}", context.room_option(session)));
    }
    let here = Here::look(context)?;
    match handoffs.iter().filter(|handoff| here.waits(handoff, answer.me.id)).count() {
        0 => {}
        1 => ui.line("1 handoff waits here: git parler list"),
        waiting => ui.line(format_args!("{waiting} handoffs wait here: git parler list")),
    }
    if context.repository_if_any().is_some() {
        announce::troubles(context)?.iter().for_each(|line| ui.line(line));
    }
    Ok(())
}

/// Says what is known without the hub; nothing where a room is named that is not known here.
fn offline(context: &Context) -> Result<Option<Answer>, Failure> {
    let settings = network::settings(context)?;
    let data = &settings.data;
    let session = match &settings.room {
        RoomChoice::Home => None,
        RoomChoice::InUse => client::in_use(data, settings.seat_dir.as_deref())?,
        RoomChoice::Named(selector) => match client::whereabouts(data, &settings.version, selector)? {
            Some(found) => Some(found),
            None => return Ok(None),
        },
    };
    let session = session.filter(|session| session.origin == settings.hub.origin());
    let who = client::whoami(&settings)?;
    let key = client::known_hub_key(&settings)?;
    Ok(Some(Answer {
        me: who.me,
        user: who.user,
        hub: StatusHub { origin: who.hub, reachable: false, key },
        session: session.map(|session| session.room),
        members: Vec::new(),
        pending: Vec::new(),
        unread: 0,
    }))
}
