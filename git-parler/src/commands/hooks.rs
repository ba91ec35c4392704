//! `git parler hooks`: git's hooks put in, taken out, and looked at.

use std::path::{Path, PathBuf};

use client::report::{Hooks as Answer, HooksGivenUp, HooksHook, HooksState, HooksTrouble};
use client::seat::Trouble;
use hooks::{Change, Event, Framework, Hook, Hooks, Probe, State};

use crate::announce;
use crate::cli::{Hooks as Arguments, HooksAction};
use crate::commands::hook::PROBE;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::hook_place;
use crate::ui::Ui;

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<(), Failure> {
    match arguments.action {
        HooksAction::Install { global } => install(context, global)?,
        HooksAction::Uninstall { global } => uninstall(context, global)?,
        HooksAction::Status => return status(context),
    }
    if context.ui.is_json() {
        context.ui.answer(&look(context)?);
    }
    Ok(())
}

/// Puts the hooks in in one way, and takes out what was put in in the other one, by another git.
fn install(context: &Context, is_global: bool) -> Result<(), Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::new(Code::Io, error))?;
    let file = hook_place::configuration(context, is_global)?;
    let folder = hook_place::folder_to_change(context, is_global).map(Hooks::of);
    let mut changed = Vec::new();
    if hook_place::is_configuration_heard(context)? {
        if hook_place::edit(&file, |text| hooks::with_section(text, &program))? {
            changed.push(("written", file));
        }
        if let Ok(folder) = folder {
            changed.extend(told(&folder, &folder.uninstall()?));
        }
    } else {
        let folder = folder?;
        match folder.install(&program) {
            Err(hooks::Error::Managed { folder, by }) => is_in_settings(context, folder, by)?,
            changes => {
                changed.extend(told(&folder, &changes?));
                if hook_place::is_in_work_tree(context, folder.folder()) {
                    let folder = folder.folder().display();
                    context.ui.warn(format_args!(
                        "{folder} lies in the work tree: what is put there is a change of it"
                    ));
                }
            }
        }
        changed.extend(take_out(file)?);
    }
    tell(&context.ui, &changed, "everything is up to date");
    if !context.settings.are_hooks_enabled {
        context.ui.warn("`parler.hooks.enabled` is off: nothing is announced");
    }
    Ok(())
}

/// Shows what goes into the settings of the framework that keeps the hooks, unless it is there and does what it should.
fn is_in_settings(context: &Context, folder: PathBuf, by: Framework) -> Result<(), Failure> {
    if look(context)?.hooks.iter().all(|hook| hook.state == HooksState::Works) {
        return Ok(());
    }
    let failure = Failure::from(hooks::Error::Managed { folder, by });
    if context.ui.is_json() {
        return Err(failure.hint(format_args!("put this {}:\n{}", by.place(), by.snippet())));
    }
    // By itself, so that it can be put into a file.
    context.ui.text(&by.snippet());
    Err(failure.hint(format_args!("put these lines {}", by.place())))
}

fn uninstall(context: &Context, is_global: bool) -> Result<(), Failure> {
    let file = hook_place::configuration(context, is_global)?;
    let mut changed: Vec<_> = take_out(file)?.into_iter().collect();
    match hook_place::folder_to_change(context, is_global).map(Hooks::of) {
        Ok(folder) => changed.extend(told(&folder, &folder.uninstall()?)),
        Err(failure) if changed.is_empty() => return Err(failure),
        Err(_) => {}
    }
    tell(&context.ui, &changed, "nothing to take out");
    let left = look(context)?.hooks.into_iter().find(|hook| hook.state == HooksState::Works);
    if let Some(by) = left.and_then(|hook| hook.by) {
        context.ui.warn(format_args!("the lines in the settings of {by} still run: take them out by hand"));
    }
    Ok(())
}

/// Takes our section out of a configuration file.
fn take_out(file: PathBuf) -> Result<Option<(&'static str, PathBuf)>, Failure> {
    let has_section = hooks::has_section(&hook_place::read(&file)?);
    Ok((has_section && hook_place::edit(&file, hooks::without_section)?).then_some(("removed from", file)))
}

fn told(hooks: &Hooks, changes: &[(Event, Change)]) -> Vec<(&'static str, PathBuf)> {
    let told = changes.iter().filter_map(|(event, change)| {
        let what = match change {
            Change::Written => "written",
            Change::Removed => "removed",
            Change::None => return None,
        };
        Some((what, hooks.folder().join(event.name())))
    });
    told.collect()
}

fn tell(ui: &Ui, changed: &[(&str, PathBuf)], nothing: &str) {
    if ui.is_json() {
        return;
    }
    for (what, path) in changed {
        ui.line(format_args!("{what} {}", path.display()));
    }
    if changed.is_empty() {
        ui.remark(nothing);
    }
}

fn status(context: &Context) -> Result<(), Failure> {
    let found = look(context)?;
    let ui = &context.ui;
    if ui.is_json() {
        ui.answer(&found);
        return Ok(());
    }
    for hook in &found.hooks {
        let what = match (hook.state, &hook.by) {
            (HooksState::Works, None) => "is run by git".to_owned(),
            (HooksState::Works, Some(by)) => format!("is run by git, through {by}"),
            (HooksState::Broken, _) => "is there, and git does not get it to run".to_owned(),
            (HooksState::Missing, _) => "is not there".to_owned(),
            (HooksState::Foreign, _) => "is somebody else's".to_owned(),
            (HooksState::Managed, by) => {
                format!("is kept by {}", by.as_deref().unwrap_or_default())
            }
        };
        ui.line(format_args!("{} ({}) {what}", hook.event, hook.path));
    }
    if !found.enabled {
        ui.line("`parler.hooks.enabled` is off: nothing is announced");
    }
    announce::troubles(context)?.iter().for_each(|line| ui.line(line));
    Ok(())
}

fn look(context: &Context) -> Result<Answer, Failure> {
    let outbox = announce::outbox(context)?;
    let troubles = outbox.troubles()?;
    let told = |trouble: Trouble| HooksTrouble { code: trouble.code, message: trouble.message };
    let hooks = match configured(context)? {
        Some(file) => Event::ALL.map(|event| in_configuration(context, &file, event)).into(),
        None => Hooks::of(hook_place::folder(context)?)
            .look()?
            .iter()
            .map(|hook| in_folder(context, hook))
            .collect(),
    };
    Ok(Answer {
        hooks,
        enabled: context.settings.are_hooks_enabled,
        waiting: outbox.count()? as u64,
        held_up: troubles.held_up.map(told),
        given_up: troubles.given_up.map(|(tip, why)| HooksGivenUp { tip, why: told(why) }),
    })
}

/// Returns the configuration file that names our hook, where git hears of it.
fn configured(context: &Context) -> Result<Option<PathBuf>, Failure> {
    // Without a home there is no configuration of the user.
    let files = [false, true].map(|is_global| hook_place::configuration(context, is_global));
    for file in files.into_iter().flatten() {
        if hooks::has_section(&hook_place::read(&file)?) {
            return Ok(hook_place::is_configuration_heard(context)?.then_some(file));
        }
    }
    Ok(None)
}

fn in_configuration(context: &Context, file: &Path, event: Event) -> HooksHook {
    let state =
        if runs(context, event, &Probe::default(), true) { HooksState::Works } else { HooksState::Broken };
    HooksHook { event: event.name().to_owned(), path: file.display().to_string(), state, by: None }
}

fn in_folder(context: &Context, hook: &Hook) -> HooksHook {
    let (state, by) = match hook.state {
        State::Installed if runs(context, hook.event, &Probe::default(), false) => (HooksState::Works, None),
        State::Installed => (HooksState::Broken, None),
        State::Missing => (HooksState::Missing, None),
        State::Foreign => (HooksState::Foreign, None),
        State::Managed(by) => {
            let runs = |probe: &Probe| runs(context, hook.event, probe, false);
            let does_run = probes(context, hook, by).iter().any(runs);
            (if does_run { HooksState::Works } else { HooksState::Managed }, Some(by.name().to_owned()))
        }
    };
    HooksHook { event: hook.event.name().to_owned(), path: hook.path.display().to_string(), state, by }
}

fn probes(context: &Context, hook: &Hook, by: Framework) -> Vec<Probe> {
    let Ok(repo) = context.repository() else { return Vec::new() };
    by.probes(&hook.path, hook.event, repo.workdir().unwrap_or_else(|| repo.git_dir()))
}

/// Has git run a hook of ours, in which a probe runs nothing but this program; says whether it did. Nobody else's is run, as far as
/// that can be told.
fn runs(context: &Context, event: Event, probe: &Probe, is_configured: bool) -> bool {
    let (Ok(repo), Ok(mut git)) = (context.repository(), hook_place::git(context)) else { return false };
    let (Ok(scratch), Ok(objects)) =
        (tempfile::tempdir(), std::path::absolute(repo.objects.store_ref().path()))
    else {
        return false;
    };
    let others = hook_place::configured_hooks(context, event);
    for name in others.iter().filter(|name| !is_configured || *name != hooks::HOOK_NAME) {
        git.args(["-c", &format!("hook.{name}.enabled=false")]);
    }
    if is_configured {
        git.args(["-c", "core.hooksPath=/dev/null"]);
    }
    let word = format!("probed {}", std::process::id());
    git.args(["hook", "run", event.name(), "--"]).args(&probe.arguments).env(PROBE, &word);
    git.envs(probe.variables.iter().map(|(name, value)| (name, value)));
    // An empty index, whose tree is written elsewhere: what differs from the index pre-commit takes out of the work tree, and puts back.
    git.env("GIT_INDEX_FILE", scratch.path().join("index"));
    git.env("GIT_OBJECT_DIRECTORY", scratch.path());
    git.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", objects);
    let said = git.output().map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&said).lines().any(|line| line == word)
}
