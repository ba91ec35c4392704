//! `git parler show`: a handoff before anything of it enters the repository.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;

use bundle::{DiffError, Preview, PreviewOptions};
use client::report::{Apply, PathStat, PinnedRef, Show as Answer};
use gix::bstr::ByteSlice;
use protocol::clean;

use crate::claim::{self, Difference};
use crate::cli::Show;
use crate::commands::apply::listed;
use crate::commands::push::{commits, short};
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::incoming::{self, Incoming};
use crate::stages::Stages;
use crate::surface;
use crate::ui::{Paint, Ui};

pub(crate) fn run(context: &Context, arguments: &Show) -> Result<(), Failure> {
    let mut incoming = incoming::find(context, arguments.handoff.as_deref())?;
    let Looked { preview, differences, answer } = look(context, &mut incoming)?;
    if context.ui.is_json() {
        context.ui.answer(&answer);
        return Ok(());
    }
    let mut lost = None;
    context.ui.page(|out| {
        print(&context.ui, &incoming, &preview, &answer, out)?;
        print_surface(&preview, &differences, out)?;
        if arguments.patch {
            writeln!(out)?;
            let mut lines = CleanLines { ui: &context.ui, out, line: Vec::new() };
            match preview.patch(&mut lines) {
                Ok(()) => lines.finish()?,
                // The printer knows which of these are no failure: nobody has to read to the end.
                Err(DiffError::Write(error)) => return Err(error),
                Err(error) => lost = Some(error),
            }
        }
        Ok(())
    });
    match lost {
        Some(error) => Err(error.into()),
        None => {
            let id = incoming.id.to_string();
            if incoming.author.is_some() && !answer.apply.already_applied {
                context.ui.hint(format_args!("to take it in: git parler apply {}", short(&id)));
            }
            Ok(())
        }
    }
}

/// A handoff that was looked at outside of any repository.
pub(crate) struct Looked {
    pub(crate) preview: Preview,
    pub(crate) differences: Vec<Difference>,
    pub(crate) answer: Answer,
}

/// Looks at a handoff, compared with what is in the repository.
pub(crate) fn look(context: &Context, incoming: &mut Incoming) -> Result<Looked, Failure> {
    let repo = context.repository_if_any();
    let scratch = context.settings.cache_folder.join("preview");
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&scratch);
    made.map_err(|error| Failure::new(Code::Io, format!("cannot write to {}: {error}", scratch.display())))?;
    let options = PreviewOptions {
        expected: incoming.expected.take(),
        budgets: context.settings.import,
        ..PreviewOptions::default()
    };
    let mut stages = Stages::new(&context.ui);
    let preview =
        bundle::preview(repo, &mut incoming.file, &scratch, &options, &mut |report| stages.report(report));
    drop(stages);
    let preview = preview?;
    let differences =
        incoming.part.as_ref().map(|part| claim::differences(part, &preview)).unwrap_or_default();
    let answer = answer(context, incoming, &preview, &differences)?;
    Ok(Looked { preview, differences, answer })
}

fn answer(
    context: &Context,
    incoming: &Incoming,
    preview: &Preview,
    differences: &[Difference],
) -> Result<Answer, Failure> {
    let id = incoming.id.to_string();
    let applied = context.repository_if_any().map(|repo| bundle::find_applied(repo, &id)).transpose()?;
    let applied = applied.unwrap_or_default();
    let pinned = |at: usize| applied.first().and_then(|handoff| handoff.refs.get(at));
    let refs: Vec<_> = preview
        .tips
        .iter()
        .enumerate()
        .map(|(at, tip)| PinnedRef {
            name: pinned(at).map_or_else(
                || planned_name(&id, preview.tips.len(), &tip.branch().to_str_lossy()),
                |reference| reference.name.to_str_lossy().into_owned(),
            ),
            branch: tip.branch().to_str_lossy().into_owned(),
            commit: tip.id.to_string(),
        })
        .collect();
    let stat = preview.stat.iter().flatten().map(|file| PathStat {
        path: file.path.to_str_lossy().into_owned(),
        added: file.added,
        deleted: file.deleted,
    });
    Ok(Answer {
        apply: Apply {
            id: incoming.id,
            name: (refs.len() == 1).then(|| refs[0].name.clone()),
            tip: (refs.len() == 1).then(|| refs[0].commit.clone()),
            refs,
            prerequisites: preview.header.prerequisites.iter().map(|commit| commit.id.to_string()).collect(),
            author: incoming.author.clone(),
            signature: incoming.signature,
            commits: preview.commits.iter().map(listed).collect(),
            surface: surface::findings(&preview.surface),
            surface_checked: preview.surface.is_checked,
            already_applied: !applied.is_empty(),
        },
        stat: stat.collect(),
        prerequisites_missing: preview
            .prerequisites_missing
            .iter()
            .map(|commit| commit.id.to_string())
            .collect(),
        claim_differs: differences.iter().map(|difference| difference.field.to_owned()).collect(),
    })
}

/// Returns where `apply` would put a tip, unless names collide.
fn planned_name(id: &str, tips: usize, branch: &str) -> String {
    let id = short(id);
    if tips == 1 { format!("refs/parler/{id}") } else { format!("refs/parler/{id}/{branch}") }
}

fn print(
    ui: &Ui,
    incoming: &Incoming,
    preview: &Preview,
    answer: &Answer,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "{}", ui.paint(Paint::Commit, format_args!("handoff {}", incoming.id)))?;
    writeln!(out, "{}", incoming.authorship())?;
    for tip in &answer.apply.refs {
        writeln!(out, "Tip:    {} {}", short(&tip.commit), clean::line(&tip.branch))?;
    }
    for prerequisite in &preview.header.prerequisites {
        let is_missing = preview.prerequisites_missing.contains(prerequisite);
        let state = if is_missing { "MISSING HERE" } else { "here" };
        let comment = prerequisite.comment.to_str_lossy();
        let id = prerequisite.id.to_hex_with_len(12);
        writeln!(out, "Base:   {id} {} ({state})", clean::line(&comment))?;
    }
    if preview.header.prerequisites.is_empty() {
        writeln!(out, "Base:   none, the whole history travels")?;
    }
    if answer.apply.already_applied {
        let names: Vec<_> = answer.apply.refs.iter().map(|pinned| clean::line(&pinned.name)).collect();
        writeln!(out, "State:  applied as {}", names.join(", "))?;
    }
    if let Some(summary) = &incoming.summary {
        writeln!(out, "\n    {}", clean::line(summary))?;
    }
    writeln!(out, "\n{}:", commits(preview.commit_count as u64))?;
    for commit in answer.apply.commits.iter().take(COMMITS_SHOWN) {
        writeln!(out, "  {} {}", ui.paint(Paint::Commit, short(&commit.id)), clean::line(&commit.subject))?;
    }
    if preview.commit_count > COMMITS_SHOWN {
        writeln!(out, "  … and {} more", preview.commit_count - COMMITS_SHOWN)?;
    }
    stat(ui, preview, answer, out)
}

/// Prints what the change touches beyond plain source, and where its author says something else than what is so.
fn print_surface(preview: &Preview, differences: &[Difference], out: &mut dyn Write) -> io::Result<()> {
    let lines = if preview.stat.is_some() { surface::lines(&preview.surface) } else { Vec::new() };
    if !lines.is_empty() {
        writeln!(out)?;
    }
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    if !differences.is_empty() {
        writeln!(out, "\nWHAT ITS AUTHOR STATES DIFFERS FROM WHAT IS IN IT:")?;
    }
    differences.iter().try_for_each(|Difference { field, sentence }| writeln!(out, "  {field}: {sentence}"))
}

fn stat(ui: &Ui, preview: &Preview, answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    if preview.stat.is_none() {
        return writeln!(out, "\nWhat changes cannot be shown without the base.");
    }
    if answer.stat.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let paths: Vec<_> = answer.stat.iter().map(|file| clean::line(&file.path).into_owned()).collect();
    let width = paths.iter().take(PATHS_SHOWN).map(|path| path.chars().count()).max().unwrap_or(0);
    for (path, file) in paths.iter().zip(&answer.stat).take(PATHS_SHOWN) {
        match (file.added, file.deleted) {
            (Some(added), Some(deleted)) => {
                let added = ui.paint(Paint::Added, format_args!("+{added}"));
                let deleted = ui.paint(Paint::Removed, format_args!("-{deleted}"));
                writeln!(out, " {path:width$} | {added} {deleted}")?;
            }
            _ => writeln!(out, " {path:width$} | binary")?,
        }
    }
    if paths.len() > PATHS_SHOWN {
        writeln!(out, " … and {} more", paths.len() - PATHS_SHOWN)?;
    }
    let sum = |lines: fn(&PathStat) -> Option<u64>| answer.stat.iter().filter_map(lines).sum::<u64>();
    let (files, cut) = (paths.len(), if preview.stat_is_cut { " at least" } else { "" });
    let word = if files == 1 { "file" } else { "files" };
    let (added, deleted) = (sum(|file| file.added), sum(|file| file.deleted));
    writeln!(out, " {files} {word} changed{cut}, {added} added, {deleted} deleted")?;
    match preview.base {
        Some(base) if preview.header.prerequisites.len() > 1 => {
            writeln!(out, " (compared with {}, one of those it builds on)", base.to_hex_with_len(12))
        }
        _ => Ok(()),
    }
}

/// Cleans and colors a patch line by line: what a peer wrote reaches no terminal as it is.
struct CleanLines<'a> {
    ui: &'a Ui,
    out: &'a mut dyn Write,
    line: Vec<u8>,
}

impl CleanLines<'_> {
    fn emit(&mut self) -> io::Result<()> {
        let text = self.line.to_str_lossy();
        let text = clean::block(&text);
        let line = match text.as_bytes().first() {
            _ if text.starts_with("diff ") || text.starts_with("+++") || text.starts_with("---") => {
                self.ui.paint(Paint::Bold, &text)
            }
            Some(b'+') => self.ui.paint(Paint::Added, &text),
            Some(b'-') => self.ui.paint(Paint::Removed, &text),
            Some(b'@') => self.ui.paint(Paint::Hunk, &text),
            _ => text.into_owned(),
        };
        writeln!(self.out, "{line}")?;
        self.line.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        if self.line.is_empty() { Ok(()) } else { self.emit() }
    }
}

impl Write for CleanLines<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            if byte == b'\n' {
                self.emit()?;
            } else {
                self.line.push(byte);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// How many commits are printed; `--json` has more.
const COMMITS_SHOWN: usize = 50;
/// How many changed paths are printed; `--json` has more.
const PATHS_SHOWN: usize = 100;
