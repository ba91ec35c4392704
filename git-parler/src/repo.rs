//! What the person's words mean in their repository: revisions, ranges, branches.

use gix::ObjectId;
use gix::bstr::{BString, ByteSlice};

use crate::error::{Code, Failure};

/// What a push hands over: tips with the names they travel under, and what the other side has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) tips: Vec<bundle::Tip>,
    pub(crate) bases: Vec<ObjectId>,
}

/// Turns the arguments of a push into a range. Without a revision, `HEAD` is meant, by the name of its branch.
pub(crate) fn range(
    repo: &gix::Repository,
    revisions: &[String],
    bases: &[String],
) -> Result<Range, Failure> {
    let mut range = Range { tips: Vec::new(), bases: Vec::new() };
    for base in bases {
        range.bases.push(commit(repo, base)?);
    }
    for revision in revisions {
        add(repo, revision, &mut range)?;
    }
    if range.tips.is_empty() {
        add(repo, "HEAD", &mut range)?;
    }
    Ok(range)
}

fn add(repo: &gix::Repository, revision: &str, range: &mut Range) -> Result<(), Failure> {
    use gix::revision::plumbing::Spec;
    let spec = parse(repo, revision)?;
    let named = match (spec.first_reference(), spec.second_reference()) {
        (_, Some(second)) => Some(second.name.clone()),
        (Some(first), None) => Some(first.name.clone()),
        (None, None) => None,
    };
    let tip = match spec.detach() {
        Spec::Include(id) => id,
        Spec::Range { from, to } => {
            range.bases.push(peel(repo, from, revision)?);
            to
        }
        Spec::Exclude(id) => {
            range.bases.push(peel(repo, id, revision)?);
            return Ok(());
        }
        Spec::Merge { .. } | Spec::IncludeOnlyParents(_) | Spec::ExcludeParents(_) => {
            return Err(Failure::new(Code::Usage, format!("`{revision}` names no single tip"))
                .hint("hand over a revision, or a range A..B"));
        }
    };
    peel(repo, tip, revision)?;
    let tip = bundle::Tip { name: tip_name(repo, named, tip, range), id: tip };
    if !range.tips.contains(&tip) {
        range.tips.push(tip);
    }
    Ok(())
}

/// Names a tip: the reference it was named by, of `HEAD` the branch; else `HEAD`, which says nothing, once, and the
/// abbreviated commit after that.
fn tip_name(
    repo: &gix::Repository,
    named: Option<gix::refs::FullName>,
    id: ObjectId,
    range: &Range,
) -> BString {
    let branch_of_head =
        || repo.head_name().ok().flatten().filter(|_| repo.head_id().is_ok_and(|head| head == id));
    let points_here = |name: &gix::refs::FullName| {
        repo.find_reference(name.as_ref())
            .ok()
            .and_then(|reference| reference.try_id().map(|at| at == id))
            .unwrap_or(false)
    };
    let name = match named {
        Some(name) if name.as_bstr() == "HEAD" => branch_of_head(),
        Some(name) if name.as_bstr().starts_with(b"refs/") && points_here(&name) => Some(name),
        _ => None,
    };
    let name = name.map_or_else(|| BString::from("HEAD"), |name| name.as_bstr().to_owned());
    if range.tips.iter().any(|tip| tip.name == name && tip.id != id) {
        return format!("refs/heads/{}", id.to_hex_with_len(TIP_DIGITS)).into();
    }
    name
}

/// Returns the commit that `revision` names.
pub(crate) fn commit(repo: &gix::Repository, revision: &str) -> Result<ObjectId, Failure> {
    match parse(repo, revision)?.single() {
        Some(id) => peel(repo, id.detach(), revision),
        None => Err(Failure::new(Code::UnknownRevision, format!("`{revision}` is no single commit"))),
    }
}

fn peel(repo: &gix::Repository, id: ObjectId, revision: &str) -> Result<ObjectId, Failure> {
    let object = repo.find_object(id).map_err(|_missing| {
        Failure::new(
            Code::UnknownRevision,
            format!("`{revision}` names {id}, which is not in this repository"),
        )
    })?;
    let commit = object
        .peel_to_kind(gix::object::Kind::Commit)
        .map_err(|_other_kind| Failure::new(Code::UnknownRevision, format!("`{revision}` is no commit")))?;
    Ok(commit.id)
}

fn parse<'repo>(repo: &'repo gix::Repository, revision: &str) -> Result<gix::revision::Spec<'repo>, Failure> {
    let is_unborn = repo.head().is_ok_and(|head| head.is_unborn());
    repo.rev_parse(revision).map_err(|error| {
        let about_head = revision
            .split("..")
            .any(|side| side.is_empty() || side.starts_with("HEAD") || side.starts_with('@'));
        if is_unborn && about_head {
            return Failure::of(Code::UnbornHead);
        }
        use gix::revision::spec::parse::Error;
        let ambiguous = error.iter_errors().find_map(|cause| match cause.downcast_ref::<Error>() {
            Some(
                Error::AmbiguousPrefix { candidates, .. } | Error::AmbiguousRefAndObject { candidates, .. },
            ) => Some(candidates.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(", ")),
            _ => None,
        });
        match ambiguous {
            Some(candidates) => Failure::new(
                Code::UnknownRevision,
                format!("`{revision}` is ambiguous: it may be {candidates}"),
            )
            .hint("give more of its digits"),
            None => Failure::new(Code::UnknownRevision, format!("there is no revision `{revision}`")),
        }
    })
}

/// The digits of a commit that names a tip no reference names.
const TIP_DIGITS: usize = 12;

/// Says whether `tip` reaches `older`, by whatever way; not where one of them is not here.
pub(crate) fn reaches(repo: &gix::Repository, tip: ObjectId, older: ObjectId) -> bool {
    tip == older || repo.merge_base(tip, older).is_ok_and(|base| base.is_some_and(|base| base == older))
}

/// Returns the first parent of a commit, if it has one and is here.
pub(crate) fn first_parent(repo: &gix::Repository, id: ObjectId) -> Option<ObjectId> {
    repo.find_commit(id).ok()?.parent_ids().next().map(gix::Id::detach)
}

/// Returns the commit that `hex` names, if it is here.
pub(crate) fn present(repo: &gix::Repository, hex: &str) -> Option<ObjectId> {
    ObjectId::from_hex(hex.as_bytes()).ok().filter(|id| repo.has_object(id))
}

/// Returns the subject of the commit that `id` names, by way of tags.
pub(crate) fn subject(repo: &gix::Repository, id: ObjectId) -> Result<String, Failure> {
    let commit = peel(repo, id, &id.to_string())?;
    let object = repo.find_commit(commit).map_err(|error| Failure::new(Code::Io, error))?;
    let message = object.message().map_err(|error| Failure::new(Code::Corrupt, error))?;
    Ok(message.summary().to_str_lossy().into_owned())
}
