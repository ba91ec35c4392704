//! `git parler push`: build a bundle and hand it over, through a hub or as a file.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use client::report::Push as Answer;
pub(crate) use client::report::text::{commits, short};

use crate::cli::Push;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::handoff::{self, Outgoing};
use crate::interrupt::Guard;
use crate::network;
use crate::ui::{Paint, Unit};

pub(crate) fn run(context: &Context, arguments: &Push) -> Result<(), Failure> {
    let outgoing =
        handoff::plan(context, &arguments.revisions, &arguments.base, arguments.summary.as_deref())?;
    if outgoing.is_whole {
        let count = commits(outgoing.plan.commits().len() as u64);
        context.ui.remark(format!(
            "The whole history travels ({count}); `git parler push --base <rev>` sends only what the other side lacks."
        ));
    }
    match &arguments.output {
        _ if arguments.dry_run => dry_run(context, &outgoing),
        Some(file) => to_file(context, &outgoing, file, arguments.force),
        None => to_hub(context, &outgoing),
    }
}

fn dry_run(context: &Context, outgoing: &Outgoing) -> Result<(), Failure> {
    let created = handoff::write(context, outgoing, None, &mut io::sink())?;
    let answer = handoff::answer(outgoing, &created);
    if context.ui.is_json() {
        context.ui.answer(&answer);
        return Ok(());
    }
    context.ui.line(format_args!("Would hand over {}", describe(&answer)));
    for prerequisite in outgoing.plan.prerequisites() {
        let comment = protocol::clean::line(&prerequisite.comment.to_string()).into_owned();
        context.ui.line(format_args!("  builds on {} {comment}", short(&prerequisite.id.to_string())));
    }
    Ok(())
}

fn to_hub(context: &Context, outgoing: &Outgoing) -> Result<(), Failure> {
    let answer = network::with_client(context, async |client| {
        handoff::hand_over(context, client, outgoing, None).await
    })?;
    if context.ui.is_json() {
        context.ui.answer(&answer);
        return Ok(());
    }
    let id = answer.id.to_string();
    let id = short(&id);
    if answer.deduplicated {
        context.ui.line(format_args!("{id} was handed over before: {}", describe(&answer)));
    } else {
        context.ui.line(format_args!(
            "{} handed over: {}",
            context.ui.paint(Paint::Commit, id),
            describe(&answer)
        ));
    }
    context.ui.hint(format_args!("on the other side: git parler apply {id}"));
    Ok(())
}

/// Writes the bundle beside `file` and moves it there when it is whole; `-` is standard output.
fn to_file(context: &Context, outgoing: &Outgoing, file: &Path, force: bool) -> Result<(), Failure> {
    let is_stdout = file == Path::new("-");
    if is_stdout && context.ui.is_json() {
        return Err(Failure::new(Code::Usage, "`-o -` and `--json` both want standard output"));
    }
    if is_stdout {
        let mut out = context.ui.bytes();
        handoff::write(context, outgoing, None, &mut out)?;
        return out.flush().map_err(|error| cannot_write(file, &error));
    }
    let guard = Guard::begin();
    let created = fresh_file(file, force, |out| {
        handoff::write(context, outgoing, None, &mut Interruptible { out, flag: guard.flag() })
    });
    let is_interrupted = guard.flag().load(Ordering::Relaxed);
    let created =
        created.map_err(|failure| if is_interrupted { Failure::of(Code::Interrupted) } else { failure })?;
    drop(guard);
    let answer = handoff::answer(outgoing, &created);
    if context.ui.is_json() {
        context.ui.answer(&answer);
        return Ok(());
    }
    context.ui.line(format_args!("Wrote {}: {}", file.display(), describe(&answer)));
    let argument = argument(file);
    context.ui.hint(format_args!("on the other side: git parler apply {argument}"));
    Ok(())
}

/// Takes no more once Ctrl-C was pressed, so that whoever writes gives up and cleans up.
struct Interruptible<W> {
    out: W,
    flag: Arc<AtomicBool>,
}

impl<W: Write> Write for Interruptible<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.flag.load(Ordering::Relaxed) {
            return Err(io::Error::other("interrupted"));
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Makes `file` of what `write` writes, at once and only when all of it is there; overwrites it only with `force`.
pub(crate) fn fresh_file<T>(
    file: &Path,
    force: bool,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let exists = || {
        Failure::new(Code::FileExists, format!("{} exists", file.display()))
            .hint("add `--force` to overwrite it, or name another file")
    };
    if !force && fs::symlink_metadata(file).is_ok() {
        return Err(exists());
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut options = tempfile::Builder::new();
    options.prefix(".git-parler-").suffix(".part");
    // As open(2) would make it: the temporary file of the library is private, a bundle somebody asked for is not.
    options.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = options.tempfile_in(folder).map_err(|error| cannot_write(file, &error))?;
    let mut out = BufWriter::new(temporary.as_file());
    let written = write(&mut out)?;
    out.flush().map_err(|error| cannot_write(file, &error))?;
    drop(out);
    let moved = if force { temporary.persist(file) } else { temporary.persist_noclobber(file) };
    match moved {
        Ok(_) => Ok(written),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(exists()),
        Err(error) => Err(cannot_write(file, &error.error)),
    }
}

pub(crate) fn cannot_write(file: &Path, error: &io::Error) -> Failure {
    Failure::new(Code::Io, format!("cannot write {}: {error}", file.display()))
}

/// Returns `file` as an argument that `apply` takes for a file.
fn argument(file: &Path) -> String {
    let text = file.display().to_string();
    if text.contains('/') || text.ends_with(".bundle") { text } else { format!("./{text}") }
}

/// Says how much travels: `3 commits (12 objects, 4 KiB)`.
pub(crate) fn describe(answer: &Answer) -> String {
    let objects = if answer.objects == 1 { "object" } else { "objects" };
    format!("{} ({} {objects}, {})", commits(answer.commits), answer.objects, Unit::Bytes.show(answer.size))
}
