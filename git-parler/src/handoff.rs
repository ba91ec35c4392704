//! A handoff on its way out: which commits, which bytes, and the reference that says what they are.

use std::io::{BufWriter, Write};

use bundle::{CreateError, CreateOptions, Created, Plan, PlanError};
use client::Client;
use client::report::{Push, PushedRef};
use protocol::id::BlobId;
use protocol::part::{BundlePart, PartTip};

use crate::claim;
use crate::context::Context;
use crate::error::{Code, Failure};
use crate::limits::SUMMARY_BYTES_MAX;
use crate::network;
use crate::repo;
use crate::stages::Stages;

/// What travels, before a byte of it is written.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) plan: Plan,
    pub(crate) summary: String,
    /// Whether the whole history travels because nobody named a base.
    pub(crate) is_whole: bool,
}

/// Decides what travels. `bases` of the command line count before those of the settings.
pub(crate) fn plan(
    context: &Context,
    revisions: &[String],
    bases: &[String],
    summary: Option<&str>,
) -> Result<Outgoing, Failure> {
    let repo = context.repository()?;
    let is_range = revisions.iter().any(|revision| revision.contains("..") || revision.starts_with('^'));
    let bases = if bases.is_empty() && !is_range { &context.settings.base } else { bases };
    planned(context, &repo::range(repo, revisions, bases)?, summary)
}

/// As [`plan`], of what is known by its commits.
pub(crate) fn planned(
    context: &Context,
    range: &repo::Range,
    summary: Option<&str>,
) -> Result<Outgoing, Failure> {
    let repo = context.repository()?;
    let mut stages = Stages::new(&context.ui);
    let plan = bundle::plan(repo, &range.tips, &range.bases, &mut |report| stages.report(report));
    let plan = plan.map_err(|error| explain_plan(error, range))?;
    let summary = match summary {
        Some(summary) => summary.to_owned(),
        None => repo::subject(repo, plan.tips()[0].id)?,
    };
    let summary = protocol::clean::line(summary.trim()).into_owned();
    Ok(Outgoing { plan, summary, is_whole: range.bases.is_empty() })
}

/// Writes the bundle to `out`. `size_max` is the largest that the hub takes, in bytes.
pub(crate) fn write(
    context: &Context,
    outgoing: &Outgoing,
    size_max: Option<u64>,
    out: &mut impl Write,
) -> Result<Created, Failure> {
    let object_bytes_max = context.settings.import.object_bytes;
    let options = CreateOptions { size_max, object_bytes_max: Some(object_bytes_max) };
    let mut stages = Stages::new(&context.ui);
    let report = &mut |report| stages.report(report);
    bundle::create(context.repository()?, &outgoing.plan, options, out, report).map_err(explain_create)
}

/// Builds the bundle, uploads it and posts the signed reference, by which it takes the place of the handoff `supersedes`.
pub(crate) async fn hand_over(
    context: &Context,
    client: &mut Client,
    outgoing: &Outgoing,
    supersedes: Option<BlobId>,
) -> Result<Push, Failure> {
    let size_max = client.limits().blob_bytes_max;
    let mut spooled = client.spool().bundle_file().map_err(Failure::from)?;
    let mut out = BufWriter::new(spooled.file_mut());
    let created = write(context, outgoing, Some(size_max), &mut out)?;
    out.flush().map_err(|error| Failure::new(Code::Io, format!("cannot write the spool: {error}")))?;
    drop(out);
    let part = BundlePart { supersedes, ..part(context, outgoing, &created)? };
    let progress = network::progress(context, "Sending", created.size);
    let posted = client.push(spooled.path(), part, Some(progress)).await?;
    Ok(Push {
        room: Some(posted.room),
        seq: Some(posted.seq),
        deduplicated: posted.deduplicated,
        ..answer(outgoing, &created)
    })
}

/// Returns what `push` answers of a bundle that was written and, with `-o`, goes nowhere.
pub(crate) fn answer(outgoing: &Outgoing, created: &Created) -> Push {
    let refs: Vec<PushedRef> = created.tips.iter().map(pushed).collect();
    Push {
        id: BlobId::from_bytes(created.id),
        tip: (refs.len() == 1).then(|| refs[0].commit.clone()),
        refs,
        prerequisites: created.prerequisites.iter().map(|commit| commit.id.to_string()).collect(),
        commits: created.commits as u64,
        objects: created.objects.into(),
        size: created.size,
        summary: outgoing.summary.clone(),
        room: None,
        seq: None,
        deduplicated: false,
    }
}

fn pushed(tip: &bundle::Tip) -> PushedRef {
    PushedRef { branch: tip.branch().to_string(), commit: tip.id.to_string() }
}

fn explain_plan(error: PlanError, range: &repo::Range) -> Failure {
    match &error {
        PlanError::Empty => {
            let names: Vec<_> = range.tips.iter().map(|tip| tip.branch().to_string()).collect();
            Failure::new(
                Code::EmptyRange,
                format!(
                    "there is nothing to hand over: the base reaches every commit of {}",
                    names.join(", ")
                ),
            )
        }
        PlanError::Shallow { bases } if !bases.is_empty() => {
            let bases: Vec<_> = bases.iter().map(|base| format!("--base {base}")).collect();
            let hint = format!(
                "this works: `git parler push {}`; so does `git fetch --unshallow` first",
                bases.join(" ")
            );
            Failure::from(error).hint(hint)
        }
        _ => error.into(),
    }
}

fn explain_create(error: CreateError) -> Failure {
    let hint = match &error {
        CreateError::ObjectTooLarge { .. } => {
            "both sides can raise `parler.import.maxObjectSize`, for example `git config parler.import.maxObjectSize 1g`"
        }
        CreateError::BundleTooLarge { .. } => {
            "hand over less with `--base <rev>`, write a file with `-o <file>`, or raise `--blob-bytes-max` where the hub runs"
        }
        _ => return error.into(),
    };
    Failure::from(error).hint(hint)
}

/// Composes the signed reference to a bundle that was written.
pub(crate) fn part(context: &Context, outgoing: &Outgoing, created: &Created) -> Result<BundlePart, Failure> {
    let repo = context.repository()?;
    let tips: Vec<_> = created
        .tips
        .iter()
        .map(|tip| PartTip { branch: tip.branch().to_string(), commit: tip.id.to_string() })
        .collect();
    let prerequisites: Vec<_> = created.prerequisites.iter().map(|commit| commit.id.to_string()).collect();
    let claim = claim::compose(&bundle::outline(repo, &outgoing.plan)?);
    Ok(BundlePart {
        blob: BlobId::from_bytes(created.id),
        vcs: BundlePart::VCS.to_owned(),
        tip: tips[0].commit.clone(),
        base: prerequisites.first().cloned(),
        summary: claim::cut(&outgoing.summary, SUMMARY_BYTES_MAX).to_owned(),
        size: created.size,
        media_type: BundlePart::MEDIA_TYPE.to_owned(),
        tips,
        prerequisites,
        commits: created.commits as u64,
        object_format: repo.object_hash().to_string(),
        repo: network::folder_name(context).unwrap_or_default(),
        supersedes: None,
        log: claim.log,
        stat: claim.stat,
        surface: claim.surface,
    })
}
