//! `git parler key`: the keys with which others ask to join.

use client::report::{KeyRow, KeyState, when};

use crate::cli::{Key, KeyAction};
use crate::commands::push::short;
use crate::context::Context;
use crate::error::Failure;
use crate::network;
use crate::ui::{Paint, Ui};

pub(crate) fn run(context: &Context, arguments: &Key) -> Result<(), Failure> {
    let ui = &context.ui;
    match &arguments.action {
        KeyAction::List => {
            let answer = network::with_client(context, async |client| Ok(client.keys().await?))?;
            if ui.is_json() {
                ui.answer(&answer);
                return Ok(());
            }
            answer.keys.iter().for_each(|key| print(ui, key));
            if answer.keys.is_empty() {
                ui.remark("No keys.");
            }
        }
        KeyAction::New(options) => {
            let answer = network::with_client(context, async |client| {
                Ok(client.new_key(options.ttl, options.max_uses, options.auto_approve).await?)
            })?;
            if ui.is_json() {
                ui.answer(&answer);
                return Ok(());
            }
            ui.line(format_args!("Key, for {}:", when::left(answer.expires, client::seat::now())));
            ui.line(format_args!("    {}", answer.key));
            ui.line("Who is to join runs:");
            ui.line(format_args!("    {}", answer.join_line));
        }
        KeyAction::Revoke { key } => {
            let answer = network::with_client(context, async |client| Ok(client.revoke_key(key).await?))?;
            if ui.is_json() {
                ui.answer(&answer);
                return Ok(());
            }
            ui.line(format_args!("Key {} admits nobody any more", short(&answer.id.to_string())));
        }
    }
    Ok(())
}

fn print(ui: &Ui, key: &KeyRow) {
    let id = key.id.to_string();
    let state = match key.state {
        KeyState::Live => format!("{} left", when::left(key.expires, client::seat::now())),
        KeyState::Expired => "expired".to_owned(),
        KeyState::UsedUp => "used up".to_owned(),
        KeyState::Revoked => "revoked".to_owned(),
    };
    let auto = if key.auto { ", lets in whoever asks" } else { "" };
    let text = key.key.as_deref().unwrap_or("made elsewhere");
    ui.line(format_args!(
        "{} {state}, {} of {} used{auto}: {text}",
        ui.paint(Paint::Commit, short(&id)),
        key.uses,
        key.max_uses
    ));
}
