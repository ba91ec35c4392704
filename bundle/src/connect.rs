//! Connectivity: all that the objects of a pack link to is in the pack, or here and itself complete. Walked by id,
//! each id once, never by path.

use gix::hashtable::HashSet;
use gix::objs::{Find, FindHeader, Kind, TagRefIter};
use gix::{ObjectId, Repository};

use crate::check;
use crate::import::ImportError;
use crate::inspect::Facts;
use crate::reach::Commits;

/// Checks all links that leave the pack against `repo`, whose own references point to `tips`.
pub(crate) fn check(
    repo: &Repository,
    facts: &Facts,
    commits: &mut Commits<'_>,
    tips: &[ObjectId],
) -> Result<(), ImportError> {
    if let Some(id) = facts.ambiguous {
        return Err(ImportError::WrongKind { id });
    }
    let mut outer_commits = Vec::new();
    let mut stack = Vec::new();
    for (id, kind) in &facts.links {
        match facts.objects.get(id) {
            Some(actual) if actual == kind => {}
            Some(_) => return Err(ImportError::WrongKind { id: *id }),
            None if *kind == Kind::Commit => outer_commits.push(*id),
            None => stack.push((*id, *kind)),
        }
    }
    outer_commits.sort_unstable();
    stack.sort_unstable();
    if let Some(id) =
        commits.unreachable(&outer_commits, tips).map_err(ImportError::Repository)?.into_iter().next()
    {
        return Err(ImportError::MissingObject { id, kind: Kind::Commit });
    }
    for (id, kind) in &stack {
        let header = repo.objects.try_header(id).map_err(ImportError::Repository)?;
        match header {
            None => return Err(ImportError::MissingObject { id: *id, kind: *kind }),
            Some(header) if header.kind != *kind => return Err(ImportError::WrongKind { id: *id }),
            Some(_) => {}
        }
    }
    closure(repo, stack, commits, tips)
}

/// Returns whether somebody promised to have what is missing below objects that are here. Nothing is fetched.
fn is_partial_clone(repo: &Repository) -> bool {
    let config = repo.config_snapshot();
    let mut remotes = config.plumbing().sections_by_name("remote").into_iter().flatten();
    config.string("extensions.partialClone").is_some()
        || remotes.any(|remote| remote.value("promisor").is_some_and(|value| value == "true"))
}

/// Sees that everything below the objects in `stack` is in the repository.
fn closure(
    repo: &Repository,
    mut stack: Vec<(ObjectId, Kind)>,
    commits: &mut Commits<'_>,
    tips: &[ObjectId],
) -> Result<(), ImportError> {
    let hash = repo.object_hash();
    let is_partial = is_partial_clone(repo);
    let mut seen: HashSet<ObjectId> = HashSet::default();
    let mut buffer = Vec::new();
    while let Some((id, kind)) = stack.pop() {
        if !seen.insert(id) {
            continue;
        }
        match kind {
            Kind::Blob => {
                if !repo.has_object(id) && !is_partial {
                    return Err(ImportError::MissingObject { id, kind });
                }
            }
            Kind::Commit => {
                if !commits.unreachable(&[id], tips).map_err(ImportError::Repository)?.is_empty() {
                    return Err(ImportError::MissingObject { id, kind });
                }
            }
            Kind::Tree | Kind::Tag => {
                let found = repo.objects.try_find(&id, &mut buffer).map_err(ImportError::Repository)?;
                let Some(object) = found else {
                    if is_partial {
                        continue;
                    }
                    return Err(ImportError::MissingObject { id, kind });
                };
                if object.kind != kind {
                    return Err(ImportError::WrongKind { id });
                }
                if kind == Kind::Tag {
                    let tag = TagRefIter::from_bytes(object.data, hash).next();
                    if let Some(Ok(gix::objs::tag::ref_iter::Token::Target { id })) = tag {
                        let kind = repo.objects.try_header(&id).map_err(ImportError::Repository)?;
                        let kind = kind.ok_or(ImportError::MissingObject { id, kind: Kind::Commit })?.kind;
                        stack.push((id, kind));
                    }
                    continue;
                }
                let mut rest = object.data;
                while !rest.is_empty() {
                    // A tree of the user's own that is malformed is not for us to judge.
                    let Ok(entry) = check::next_tree_entry(&mut rest, hash) else { break };
                    if let Some(kind) = entry.kind() {
                        stack.push((entry.id, kind));
                    }
                }
            }
        }
    }
    Ok(())
}
