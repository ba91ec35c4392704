//! `git parler hooks`: git's hooks put in, taken out, and looked at.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use client::report::{Hooks as Answer, HooksGivenUp, HooksHook, HooksState, HooksTrouble};
use client::seat::Trouble;
use hooks::{Change, Event, Hook, Hooks, State};

use crate::announce;
use crate::cli::{Hooks as Arguments, HooksAction};
use crate::commands::hook::PROBE;
use crate::commands::push::short;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::ui::Ui;

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    let hooks = Hooks::of(folder(context, arguments.is_global())?);
    match &arguments.action {
        HooksAction::Install { .. } => install(context, &hooks),
        HooksAction::Uninstall { .. } => {
            let changes = hooks.uninstall()?;
            tell(&context.ui, &hooks, &changes, "nothing to take out");
            answer(context, &hooks)
        }
        HooksAction::Status => status(context, &hooks),
    }
}

fn install(context: &Context, hooks: &Hooks) -> Result<(), Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::new(Code::Io, error))?;
    let changes = hooks.install(&program).map_err(|error| match &error {
        hooks::Error::Managed { by, .. } => {
            let snippet = by.snippet(&program.to_string_lossy(), &Event::ALL);
            Failure::from(error).hint(format_args!("put this into its settings instead:\n{snippet}"))
        }
        _ => error.into(),
    })?;
    tell(&context.ui, hooks, &changes, "everything is up to date");
    if !context.settings.are_hooks_enabled {
        context.ui.warn("`parler.hooks.enabled` is off: nothing is announced");
    }
    answer(context, hooks)
}

fn tell(ui: &Ui, hooks: &Hooks, changes: &[(Event, Change)], nothing: &str) {
    if ui.is_json() {
        return;
    }
    for (event, change) in changes {
        let path = hooks.folder().join(event.name());
        match change {
            Change::Written => ui.line(format_args!("written {}", path.display())),
            Change::Removed => ui.line(format_args!("removed {}", path.display())),
            Change::None => {}
        }
    }
    if changes.iter().all(|(_, change)| *change == Change::None) {
        ui.remark(nothing);
    }
}

/// Prints how the hooks stand where that is wanted as an object.
fn answer(context: &Context, hooks: &Hooks) -> Result<(), Failure> {
    if context.ui.is_json() {
        context.ui.answer(&look(context, hooks)?);
    }
    Ok(())
}

fn status(context: &Context, hooks: &Hooks) -> Result<(), Failure> {
    let found = look(context, hooks)?;
    let ui = &context.ui;
    if ui.is_json() {
        ui.answer(&found);
        return Ok(());
    }
    for hook in &found.hooks {
        let what = match (hook.state, &hook.by) {
            (HooksState::Works, _) => "is run by git".to_owned(),
            (HooksState::Broken, _) => "is there, and git does not get it to run".to_owned(),
            (HooksState::Missing, _) => "is not there".to_owned(),
            (HooksState::Foreign, _) => "is somebody else's".to_owned(),
            (HooksState::Managed, by) => {
                format!("is kept by {}", by.as_deref().unwrap_or_default())
            }
        };
        ui.line(format_args!("{} {what}", hook.path));
    }
    if !found.enabled {
        ui.line("`parler.hooks.enabled` is off: nothing is announced");
    }
    match found.waiting {
        0 => {}
        1 => ui.line("1 commit waits to be announced"),
        waiting => ui.line(format_args!("{waiting} commits wait to be announced")),
    }
    if let Some(why) = &found.held_up {
        ui.line(format_args!("  {} ({})", why.message, why.code));
    }
    if let Some(given_up) = &found.given_up {
        let (tip, why) = (short(&given_up.tip), &given_up.why);
        ui.line(format_args!("{tip} was not announced: {} ({})", why.message, why.code));
    }
    Ok(())
}

fn look(context: &Context, hooks: &Hooks) -> Result<Answer, Failure> {
    let outbox = announce::outbox(context)?;
    let troubles = outbox.troubles()?;
    let told = |trouble: Trouble| HooksTrouble { code: trouble.code, message: trouble.message };
    let hooks = hooks.look()?.iter().map(|hook| looked_at(context, hook)).collect();
    Ok(Answer {
        hooks,
        enabled: context.settings.are_hooks_enabled,
        waiting: outbox.count()? as u64,
        held_up: troubles.held_up.map(told),
        given_up: troubles.given_up.map(|(tip, why)| HooksGivenUp { tip, why: told(why) }),
    })
}

fn looked_at(context: &Context, hook: &Hook) -> HooksHook {
    let (state, by) = match hook.state {
        State::Installed if runs(context, hook.event) => (HooksState::Works, None),
        State::Installed => (HooksState::Broken, None),
        State::Missing => (HooksState::Missing, None),
        State::Foreign => (HooksState::Foreign, None),
        State::Managed(by) => (HooksState::Managed, Some(by.name().to_owned())),
    };
    HooksHook { event: hook.event.name().to_owned(), path: hook.path.display().to_string(), state, by }
}

/// Has git run a hook of ours, in which a probe runs nothing but this program; says whether it did.
fn runs(context: &Context, event: Event) -> bool {
    let Ok(repo) = context.repository() else { return false };
    let word = format!("probed {}", std::process::id());
    let mut git = Command::new("git");
    git.arg("-C").arg(repo.workdir().unwrap_or_else(|| repo.git_dir()));
    git.args(["hook", "run", event.name()]).env(PROBE, &word).stdin(Stdio::null());
    let said = git.output().map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&said).lines().any(|line| line == word)
}

/// Returns the folder in which git looks for the hooks of this repository.
fn folder(context: &Context, is_global: bool) -> Result<PathBuf, Failure> {
    let repo = context.repository()?;
    let base = repo.workdir().unwrap_or_else(|| repo.git_dir());
    let absolute =
        |path: &Path| std::path::absolute(base.join(path)).map_err(|error| Failure::new(Code::Io, error));
    match (&context.settings.hooks_path, is_global) {
        (Some(stated), true) if stated.is_of_all => absolute(&stated.path),
        (_, true) => Err(Failure::new(Code::Usage, "no `core.hooksPath` is set for all repositories")
            .hint("install in each repository, without `--global`")),
        (Some(stated), false) if stated.is_of_all => {
            let message = format!("`core.hooksPath` leads every repository to {}", stated.path.display());
            Err(Failure::new(Code::PolicyRefused, message)
                .hint("to have hooks there, for all of them, add `--global`"))
        }
        (Some(stated), false) => absolute(&stated.path),
        (None, false) => absolute(&repo.common_dir().join("hooks")),
    }
}
