//! `git parler fetch`: the verified bytes as a bundle file that git reads.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use client::report::Fetch as Answer;

use crate::cli::Fetch;
use crate::commands::push::{cannot_write, fresh_file, short};
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::incoming;
use crate::ui::Unit;

pub(crate) fn run(context: &Context, arguments: &Fetch) -> Result<(), Failure> {
    let to_stdout = arguments.output.as_deref() == Some(Path::new("-"));
    if to_stdout && context.ui.is_json() {
        return Err(Failure::new(Code::Usage, "`-o -` and `--json` both want standard output"));
    }
    let (handoff, blob) = incoming::from_hub(context, arguments.handoff.as_deref())?;
    let id = blob.id().to_string();
    let path = arguments.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.bundle", short(&id))));
    let copy = |out: &mut dyn Write| {
        let copied = io::copy(&mut blob.reader(), out);
        copied.map(drop).map_err(|error| cannot_write(&path, &error))
    };
    if to_stdout {
        let mut out = context.ui.bytes();
        copy(&mut out)?;
        return out.flush().map_err(|error| cannot_write(&path, &error));
    }
    fresh_file(&path, arguments.force, |out| copy(out))?;
    let answer = Answer { id: handoff.id(), path: path.display().to_string(), size: blob.size() };
    if context.ui.is_json() {
        context.ui.answer(&answer);
    } else {
        context.ui.line(format_args!("Wrote {} ({})", answer.path, Unit::Bytes.show(answer.size)));
        let apply = format!("git parler apply {}", short(&id));
        context
            .ui
            .hint(format_args!("git reads it: git bundle verify {}\nor import it: {apply}", answer.path));
    }
    Ok(())
}
