//! `git parler drop` and `git parler prune`: remove what `apply` pinned.

use bundle::Applied;
use client::report::Drop as Answer;
use gix::bstr::ByteSlice;
use protocol::clean;
use protocol::id::BlobPrefix;

use crate::cli::{Drop, Prune};
use crate::context::Context;
use crate::error::{Code, Failure};

pub(crate) fn run(context: &Context, arguments: &Drop) -> Result<(), Failure> {
    let repo = context.repository()?;
    let digits: BlobPrefix = arguments.handoff.parse().map_err(|error| Failure::new(Code::Usage, error))?;
    let found = bundle::find_applied(repo, digits.as_str())?;
    match &found[..] {
        [] => Err(Failure::new(Code::NotFound, format!("no handoff {digits} is applied here"))
            .hint("`git for-each-ref refs/parler` shows those that are")),
        [only] => {
            let refs = remove(repo, only)?;
            print(context, refs, "Removed");
            Ok(())
        }
        several => {
            let candidates: Vec<_> = several.iter().map(|handoff| handoff.digits.as_str()).collect();
            let message = format!("{digits} is ambiguous here: {}", candidates.join(", "));
            Err(Failure::new(Code::Ambiguous, message).hint("give more of its digits"))
        }
    }
}

pub(crate) fn prune(context: &Context, arguments: &Prune) -> Result<(), Failure> {
    let repo = context.repository()?;
    let date = gix::date::parse(&arguments.expire, Some(gix::date::Zoned::now())).map_err(|_unknown| {
        Failure::new(Code::Usage, format!("`{}` is no date", clean::line(&arguments.expire)))
            .hint("write it as git does, for example `2.weeks.ago` or `2026-01-31`")
    })?;
    let mut refs = Vec::new();
    for handoff in bundle::applied(repo)? {
        // Without a reflog nobody knows when it was made, so it is kept.
        if handoff.seconds.is_none_or(|made| made >= date.seconds) {
            continue;
        }
        if arguments.dry_run {
            refs.extend(handoff.refs.iter().map(|reference| reference.name.to_str_lossy().into_owned()));
        } else {
            refs.extend(remove(repo, &handoff)?);
        }
    }
    print(context, refs, if arguments.dry_run { "Would remove" } else { "Removed" });
    Ok(())
}

fn remove(repo: &gix::Repository, handoff: &Applied) -> Result<Vec<String>, Failure> {
    let names = bundle::drop_handoff(repo, handoff)?;
    Ok(names.iter().map(|name| name.to_str_lossy().into_owned()).collect())
}

fn print(context: &Context, refs: Vec<String>, word: &str) {
    if context.ui.is_json() {
        return context.ui.answer(&Answer { refs });
    }
    for name in &refs {
        context.ui.line(format_args!("{word} {}", clean::line(name)));
    }
    if refs.is_empty() {
        context.ui.remark("Nothing to remove.");
    }
}
