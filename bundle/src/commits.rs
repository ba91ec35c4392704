//! Lists the commits that a bundle brings, for people: newest first, with their subjects, capped.

use std::collections::BinaryHeap;

use gix::bstr::BString;
use gix::hashtable::{HashMap, HashSet};
use gix::objs::{CommitRefIter, Find, Kind, TagRefIter};
use gix::{ObjectId, Repository};

use crate::history::{self, History};
use crate::import::ImportError;
use crate::inspect::PackCommit;
use crate::limits::{LISTED_COMMITS_MAX, TAG_CHAIN_LENGTH_MAX};
use crate::objects::Objects;
use crate::range::Prerequisite;

/// A commit and its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedCommit {
    /// The commit.
    pub id: ObjectId,
    /// The first paragraph of its message on one line; as its author wrote it, so not trustworthy.
    pub subject: BString,
}

/// Lists the commits that `tips` reach in a pack with `commits`; returns them and how many there are, listed or not.
pub(crate) fn list(tips: &[ObjectId], commits: &HashMap<ObjectId, PackCommit>) -> (Vec<ListedCommit>, usize) {
    let mut queue = BinaryHeap::new();
    let mut seen = HashSet::default();
    let mut push = |id: ObjectId, queue: &mut BinaryHeap<(i64, ObjectId)>| {
        if let Some(commit) = commits.get(&id)
            && seen.insert(id)
        {
            queue.push((commit.seconds, id));
        }
    };
    for tip in tips {
        push(*tip, &mut queue);
    }
    let (mut listed, mut count) = (Vec::new(), 0);
    while let Some((_, id)) = queue.pop() {
        count += 1;
        if listed.len() < LISTED_COMMITS_MAX {
            listed.push(ListedCommit { id, subject: commits[&id].subject.clone() });
        }
        for parent in &commits[&id].parents {
            push(*parent, &mut queue);
        }
    }
    (listed, count)
}

/// Lists the commits of `repo` that `tips` reach and `prerequisites` do not.
pub(crate) fn list_here(
    repo: &Repository,
    tips: &[ObjectId],
    prerequisites: &[ObjectId],
) -> Result<(Vec<ListedCommit>, usize), ImportError> {
    let cut = repo.shallow_commits().map_err(ImportError::Repository)?;
    let cut = cut.map(|commits| commits.iter().copied().collect()).unwrap_or_default();
    let graph = repo.commit_graph_if_enabled().ok().flatten();
    let mut objects = Objects::open(repo)?;
    let mut history = History::new(&mut objects, graph, cut);
    let positions = history.walk(tips, prerequisites, &mut |_| ())?;
    let listed: Vec<_> =
        positions.iter().take(LISTED_COMMITS_MAX).map(|&position| history.node(position).id).collect();
    Ok((with_subjects(&listed, &repo.objects).map_err(ImportError::Repository)?, positions.len()))
}

/// Returns the commits that a change is compared with: the prerequisites, in their order, but those that others of them reach.
/// A branch that merged another one has both as prerequisites, and what the other one changed is no news.
///
/// Where clocks were wrong it may be more of them, never fewer; all, where that cannot be told.
pub(crate) fn bases(repo: Option<&Repository>, prerequisites: &[Prerequisite]) -> Vec<ObjectId> {
    let mut ids: Vec<_> = prerequisites.iter().map(|prerequisite| prerequisite.id).collect();
    if ids.len() > 1
        && let Some(repo) = repo
        && let Ok(heads) = heads(repo, &ids)
    {
        ids.retain(|id| heads.contains(id));
    }
    ids
}

fn heads(repo: &Repository, ids: &[ObjectId]) -> Result<HashSet<ObjectId>, ImportError> {
    let cut = repo.shallow_commits().map_err(ImportError::Repository)?;
    let cut = cut.map(|commits| commits.iter().copied().collect()).unwrap_or_default();
    let graph = repo.commit_graph_if_enabled().ok().flatten();
    let mut objects = Objects::open(repo)?;
    let mut history = History::new(&mut objects, graph, cut);
    let mut parents = Vec::new();
    for id in ids {
        parents.extend_from_slice(&history.find(*id)?.parent_ids);
    }
    let positions = history.walk(ids, &parents, &mut |_| ())?;
    Ok(positions.iter().map(|&position| history.node(position).id).collect())
}

/// Returns the tree of the commit at the end of the tags from `id`; `None` if one of them is not here.
pub(crate) fn tree(find: &impl Find, id: ObjectId) -> Result<Option<ObjectId>, gix::Error> {
    let Some(commit) = peel(find, id)? else { return Ok(None) };
    let mut buffer = Vec::new();
    let Some(object) = find.try_find(&commit, &mut buffer)? else { return Ok(None) };
    CommitRefIter::from_bytes(object.data, commit.kind()).tree_id().map(Some)
}

/// Lists `ids`; what is not here has no subject.
pub(crate) fn with_subjects(ids: &[ObjectId], find: &impl Find) -> Result<Vec<ListedCommit>, gix::Error> {
    let mut buffer = Vec::new();
    let mut listed = Vec::with_capacity(ids.len());
    for id in ids {
        let subject =
            find.try_find(id, &mut buffer)?.map(|object| history::subject(object.data)).unwrap_or_default();
        listed.push(ListedCommit { id: *id, subject });
    }
    Ok(listed)
}

/// Follows annotated tags from `id` to a commit; `None` if there is none at the end.
pub(crate) fn peel(find: &impl Find, id: ObjectId) -> Result<Option<ObjectId>, gix::Error> {
    let mut buffer = Vec::new();
    let mut id = id;
    for _ in 0..=TAG_CHAIN_LENGTH_MAX {
        let Some(object) = find.try_find(&id, &mut buffer)? else { return Ok(None) };
        match object.kind {
            Kind::Commit => return Ok(Some(id)),
            Kind::Tag => match TagRefIter::from_bytes(object.data, id.kind()).target_id() {
                Ok(target) => id = target,
                Err(_) => return Ok(None),
            },
            Kind::Tree | Kind::Blob => return Ok(None),
        }
    }
    Ok(None)
}
