//! Hooks of agent hosts: what an agent is told of its mailbox, which is read without asking anybody, and the process that listens so
//! that there is something to read.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _, stdin};
use std::path::PathBuf;

use client::Client;
use client::report::{Agent, LoggedMessage, MessageKind};
use client::seat::{HOOK_READER, Mail, MailEntry, Mailbox};
use hooks::{Host, Moment, News, Turn};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use crate::cli::Global;
use crate::context::Context;
use crate::error::Failure;
use crate::limits::{AGENT_INPUT_BYTES_MAX, LISTEN_PAGE, LISTEN_TIME_MAX, LISTEN_WAIT, SESSION_LOOK_EVERY};
use crate::{beside, feed, network};

/// What is given as host and event to the process that listens.
pub(crate) const LISTEN: [&str; 2] = ["agent", "listen"];

/// Returns what `host` is answered at this moment, if anything. What it says itself is read from standard input.
pub(crate) fn answer(global: &Global, host: Host, moment: Moment) -> Result<Option<String>, Failure> {
    let said = input();
    let context = Context::look_around_at(&place(&said).unwrap_or_else(|| ".".into()), global)?;
    if !context.settings.are_hooks_enabled {
        return Ok(None);
    }
    let Some(mailbox) = Mailbox::of(&context.settings.data_folder, context.seat_dir().as_deref())? else {
        return Ok(None);
    };
    mailbox.note_look()?;
    if mailbox.turn()?.is_some() {
        beside::start_at_hub(&context, LISTEN)?;
    }
    let mail = mailbox.news(mcp::READER)?.filter(|mail| is_here(&context, mail));
    let entries = mail.as_ref().map_or(&[][..], |mail| &mail.entries);
    let names = names(entries);
    let handoffs = entries.iter().filter(|entry| entry.is_handoff).count();
    let news = News { messages: (entries.len() - handoffs) as u64, handoffs: handoffs as u64, names: &names };
    let before = mailbox.wakes()?;
    let turn = Turn { is_woken: is_woken(&said), wakes: before, wakes_max: context.settings.hooks_wakes };
    let reply = hooks::reply(host, moment, &news, &turn);
    if reply.wakes != before {
        mailbox.note_wakes(reply.wakes)?;
    }
    if let (Some(_), Some(mail)) = (&reply.output, &mail) {
        mailbox.note_told(mail)?;
    }
    Ok(reply.output)
}

/// Returns what the host says; nothing where that is no object, or more than a host says.
fn input() -> Value {
    let mut bytes = Vec::new();
    if !stdin().is_terminal() {
        // What cannot be read is not there.
        stdin().take(AGENT_INPUT_BYTES_MAX).read_to_end(&mut bytes).ok();
    }
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Returns the folder in which the agent works, as its host says.
fn place(said: &Value) -> Option<PathBuf> {
    let stated = said.get("cwd").or_else(|| said.get("workspace_roots")?.get(0))?;
    stated.as_str().map(PathBuf::from).filter(|path| path.is_dir())
}

/// Says whether the turn that ends was one that a hook has made, where the host says so.
fn is_woken(said: &Value) -> Option<bool> {
    let counted = || Some(said.get("loop_count")?.as_u64()? > 0);
    said.get("stop_hook_active").and_then(Value::as_bool).or_else(counted)
}

/// Says whether mail is of the room in which this seat works.
fn is_here(context: &Context, mail: &Mail) -> bool {
    context.session().map_or(mail.is_home, |session| session == mail.room)
}

/// Returns from whom entries are, as one may say it, each once.
fn names(entries: &[MailEntry]) -> Vec<String> {
    let mut names = BTreeMap::new();
    for entry in entries {
        names.insert(entry.from, feed::name(&Agent { id: entry.from, name: entry.name.clone() }));
    }
    names.into_values().collect()
}

/// Keeps the mailbox of this seat up to date until no hook has looked for a while, the seat works in another room, or its room is
/// closed.
pub(crate) fn listen(global: &Global) -> Result<(), Failure> {
    let context = beside::look_around(global)?;
    let Some(mailbox) = Mailbox::of(&context.settings.data_folder, context.seat_dir().as_deref())? else {
        return Ok(());
    };
    let Some(_turn) = mailbox.turn()? else { return Ok(()) };
    network::with_client(&context, async |client| listen_here(&context, client, &mailbox).await)
}

async fn listen_here(context: &Context, client: &mut Client, mailbox: &Mailbox) -> Result<(), Failure> {
    let session = context.session();
    let room = client.room().await?;
    let mut mail = Mail::of(client.seat(), room, session.is_none());
    let mut wait = None;
    let mut looks = interval(SESSION_LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while mailbox.looked().is_some_and(|ago| ago < LISTEN_TIME_MAX) {
        let received = {
            let mut received = std::pin::pin!(client.recv(HOOK_READER, LISTEN_PAGE, wait));
            loop {
                tokio::select! {
                    received = &mut received => break received?,
                    _ = looks.tick() => if context.session() != session { return Ok(()) },
                }
            }
        };
        mail.add(received.messages.iter().filter_map(entry));
        mailbox.put(&mail)?;
        if received.messages.iter().any(|message| message.kind == MessageKind::Close) {
            return Ok(());
        }
        wait = (!received.more).then_some(LISTEN_WAIT);
    }
    Ok(())
}

/// Returns what of a message is put into a mailbox, where it is one of somebody.
fn entry(message: &LoggedMessage) -> Option<MailEntry> {
    let is_handoff = match message.kind {
        MessageKind::Text => false,
        MessageKind::Bundle => true,
        _ => return None,
    };
    let from = message.from.as_ref()?;
    Some(MailEntry { seq: message.seq, from: from.id, name: from.name.clone(), is_handoff })
}
