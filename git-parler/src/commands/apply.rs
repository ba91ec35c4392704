//! `git parler apply`: check a handoff, import it, and pin its tips below `refs/parler/`.

use std::fmt::Write as _;

use bundle::{ImportError, ImportOptions, Imported};
use client::report::{Apply as Answer, Commit, PinnedRef};
use gix::bstr::ByteSlice;
use protocol::clean;

use crate::cli::Apply;
use crate::commands::push::{commits, short};
use crate::config::SurfacePolicy;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::incoming::{self, Incoming};
use crate::interrupt::Guard;
use crate::stages::Stages;
use crate::surface;
use crate::ui::Paint;

pub(crate) fn run(context: &Context, arguments: &Apply) -> Result<(), Failure> {
    let repo = context.repository()?;
    let mut incoming = incoming::find(context, arguments.handoff.as_deref())?;
    if arguments.require_signature && incoming.author.is_none() {
        return Err(Failure::new(
            Code::PolicyRefused,
            "a file has no author, and `--require-signature` wants one",
        ));
    }
    let guard = Guard::begin();
    let options = ImportOptions {
        interrupt: guard.flag(),
        expected: incoming.expected.take(),
        budgets: context.settings.import,
        allow_unrelated: arguments.unrelated,
        refuse_surface: context.settings.surface == SurfacePolicy::Block,
        dry_run: arguments.dry_run,
        ..ImportOptions::new(*incoming.id.as_bytes())
    };
    let mut stages = Stages::new(&context.ui);
    let imported = bundle::import(repo, &mut incoming.file, &options, &mut |report| stages.report(report));
    drop((stages, guard));
    let imported = imported.map_err(|error| explain(error, &incoming))?;
    let answer = answer(&incoming, &imported);
    if context.ui.is_json() {
        context.ui.answer(&answer);
    } else {
        print(context, repo, arguments, &incoming, &answer, &imported);
    }
    Ok(())
}

/// Returns what `apply` answers, and the larger part of what `show` does.
fn answer(incoming: &Incoming, imported: &Imported) -> Answer {
    let refs: Vec<_> = imported
        .refs
        .iter()
        .map(|pinned| PinnedRef {
            name: pinned.name.to_str_lossy().into_owned(),
            branch: pinned.branch.to_str_lossy().into_owned(),
            commit: pinned.commit.to_string(),
        })
        .collect();
    Answer {
        id: incoming.id,
        name: (refs.len() == 1).then(|| refs[0].name.clone()),
        tip: imported.tip().map(|tip| tip.to_string()),
        refs,
        prerequisites: imported.prerequisites.iter().map(|commit| commit.id.to_string()).collect(),
        author: incoming.author.clone(),
        signature: incoming.signature,
        commits: imported.commits.iter().map(listed).collect(),
        surface: surface::findings(&imported.surface),
        surface_checked: imported.surface.is_checked,
        already_applied: imported.already_applied,
    }
}

pub(crate) fn listed(commit: &bundle::ListedCommit) -> Commit {
    Commit { id: commit.id.to_string(), subject: commit.subject.to_str_lossy().into_owned() }
}

fn print(
    context: &Context,
    repo: &gix::Repository,
    arguments: &Apply,
    incoming: &Incoming,
    answer: &Answer,
    imported: &Imported,
) {
    let ui = &context.ui;
    let names: Vec<_> = answer.refs.iter().map(|pinned| clean::line(&pinned.name).into_owned()).collect();
    let names = names.join(", ");
    let what = match imported.commit_count as u64 {
        0 => "it".to_owned(),
        count => commits(count),
    };
    if answer.already_applied {
        return ui.line(format_args!("Already applied: {names}"));
    }
    if arguments.dry_run {
        ui.line(format_args!("Would apply {what} as {names}"));
    } else if imported.everything_here {
        ui.line(format_args!("Applied {what} as {names}; every object was here already"));
    } else {
        ui.line(format_args!("Applied {what} as {names}"));
    }
    if answer.author.is_some() {
        ui.line(incoming.authorship());
    }
    for commit in answer.commits.iter().take(COMMITS_SHOWN) {
        let id = ui.paint(Paint::Commit, short(&commit.id));
        ui.line(format_args!("  {id} {}", clean::line(&commit.subject)));
    }
    if imported.commit_count > COMMITS_SHOWN {
        ui.line(format_args!("  … and {} more", imported.commit_count - COMMITS_SHOWN));
    }
    surface::lines(&imported.surface).iter().for_each(|line| ui.line(line));
    if !arguments.dry_run {
        ui.hint(next_steps(repo, &answer.refs));
    }
}

/// Returns what can be done next, as commands to paste; none of them has a word in it that a peer wrote, except a branch
/// name of harmless characters.
fn next_steps(repo: &gix::Repository, refs: &[PinnedRef]) -> String {
    let mut text = String::new();
    for PinnedRef { name, branch, .. } in refs.iter().take(REFS_SHOWN) {
        let is_plain = |text: &str| {
            text.starts_with(|first: char| first.is_ascii_alphanumeric())
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'))
        };
        let name = if is_plain(name) {
            name.clone()
        } else {
            format!("'{}'", clean::line(name).replace('\'', "'\\''"))
        };
        let branch = if is_plain(branch) && branch != "HEAD" { branch.as_str() } else { "<branch>" };
        // A branch of the same name is the usual case between clones; then the suggestion is a name that is free.
        let is_taken = !matches!(repo.try_find_reference(&format!("refs/heads/{branch}")), Ok(None));
        let branch = match name.strip_prefix("refs/parler/") {
            Some(id) if is_taken && branch != "<branch>" => {
                format!("{branch}-{}", id.split('/').next().unwrap_or(id))
            }
            _ => branch.to_owned(),
        };
        let steps = [
            format!("look at it:    git log HEAD..{name}"),
            format!("what changes:  git diff HEAD...{name}"),
            format!("work on it:    git switch -c {branch} {name}"),
            format!("take it over:  git merge {name}"),
        ];
        for step in steps {
            let _infallible = writeln!(text, "{step}");
        }
    }
    text
}

/// Names the commits that are missing, and the command that brings them.
fn explain(error: ImportError, incoming: &Incoming) -> Failure {
    let again = if incoming.author.is_some() {
        format!("then run `git parler apply {}` again", short(&incoming.id.to_string()))
    } else {
        "then apply the file again".to_owned()
    };
    match &error {
        ImportError::MissingPrerequisites(missing) => {
            let shown = missing.iter().take(REFS_SHOWN).map(|commit| {
                let id = commit.id.to_hex_with_len(12);
                match clean::line(&commit.comment.to_str_lossy()) {
                    comment if comment.is_empty() => id.to_string(),
                    comment => format!("{id} \"{comment}\""),
                }
            });
            let shown: Vec<_> = shown.collect();
            let which =
                if missing.len() == 1 { "a commit you do not have" } else { "commits you do not have" };
            Failure::new(
                Code::PrerequisiteMissing,
                format!("this bundle builds on {which}: {}", shown.join(", ")),
            )
            .hint(format!("get it first, for example `git fetch`, {again}"))
        }
        ImportError::UnreachablePrerequisites(unreachable) => {
            let id = unreachable[0].id;
            Failure::from(error).hint(format!("keep it with `git branch <name> {id}`, {again}"))
        }
        ImportError::Surface(surface) => refused(surface, incoming),
        _ => error.into(),
    }
}

/// Says what `parler.policy.surface` refuses, and how to take it all the same.
fn refused(surface: &bundle::Surface, incoming: &Incoming) -> Failure {
    let found: Vec<_> =
        surface.findings.iter().map(|found| format!("{} ({})", found.code, surface::paths(found))).collect();
    let what = match (found.as_slice(), surface.is_checked) {
        ([], _) => "not all of the change could be looked at".to_owned(),
        (found, true) => format!("the change touches {}", found.join(", ")),
        (found, false) => {
            format!("the change touches {}, and not all of it could be looked at", found.join(", "))
        }
    };
    let handoff = if incoming.author.is_some() {
        short(&incoming.id.to_string()).to_owned()
    } else {
        "<file>".to_owned()
    };
    Failure::new(Code::PolicyRefused, format!("`parler.policy.surface` is `block`: {what}")).hint(format!(
        "look at it with `git parler show --patch {handoff}`; to take it all the same: \
         `git -c parler.policy.surface=warn parler apply {handoff}`"
    ))
}

/// How many commits are printed; `--json` has more.
const COMMITS_SHOWN: usize = 10;
/// For how many references commands are printed.
const REFS_SHOWN: usize = 3;
