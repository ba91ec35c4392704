//! What the user's own references reach: all references, `refs/parler` among them, and the HEAD of every worktree.
//! Reflogs and `FETCH_HEAD` do not count. Dates and generations order the walk; what is reachable does not depend on dates.

use std::collections::BinaryHeap;
use std::fs;
use std::path::Path;

use gix::bstr::ByteSlice;
use gix::hash::oid;
use gix::hashtable::{HashMap, HashSet};
use gix::objs::{CommitRefIter, Find, Kind};
use gix::refs::Target;
use gix::{ObjectId, Repository};

use crate::commits;

/// The commits of a repository, read from the commit-graph where it has them.
pub(crate) struct Commits<'repo> {
    repo: &'repo Repository,
    graph: Option<gix::commitgraph::Graph>,
    shallow: HashSet<ObjectId>,
    buffer: Vec<u8>,
}

/// What a walk needs to know of a commit.
pub(crate) struct Commit {
    /// Seconds of the committer; only a hint.
    pub seconds: i64,
    /// Parents, none at a shallow boundary.
    pub parents: Vec<ObjectId>,
    /// Generation in the commit-graph; larger than that of every ancestor.
    generation: Option<u32>,
}

impl<'repo> Commits<'repo> {
    /// Prepares to read the commits of `repo`.
    pub(crate) fn new(repo: &'repo Repository) -> Result<Self, gix::Error> {
        // A broken commit-graph is only slower to be without.
        let graph = repo.commit_graph_if_enabled().ok().flatten();
        let shallow =
            repo.shallow_commits()?.map(|commits| commits.iter().copied().collect()).unwrap_or_default();
        Ok(Self { repo, graph, shallow, buffer: Vec::new() })
    }

    /// Reads a commit; `None` if it is not here or is no commit.
    pub(crate) fn read(&mut self, id: &oid) -> Result<Option<Commit>, gix::Error> {
        let is_boundary = self.shallow.contains(id);
        if let Some(graph) = &self.graph
            && let Some(commit) = graph.commit_by_id(id)
        {
            let positions: Result<Vec<_>, _> = commit.iter_parents().collect();
            if let Ok(positions) = positions {
                let parents = positions.into_iter().map(|position| graph.id_at(position).to_owned());
                return Ok(Some(Commit {
                    seconds: i64::try_from(commit.committer_timestamp()).unwrap_or(i64::MAX),
                    parents: if is_boundary { Vec::new() } else { parents.collect() },
                    generation: known_generation(&commit),
                }));
            }
        }
        let Some(object) = self.repo.objects.try_find(id, &mut self.buffer)? else { return Ok(None) };
        if object.kind != Kind::Commit {
            return Ok(None);
        }
        let commit = CommitRefIter::from_bytes(object.data, id.kind());
        let parents = if is_boundary { Vec::new() } else { commit.parent_ids().collect() };
        let seconds = commit.committer().ok().and_then(|who| who.time().ok()).map_or(0, |time| time.seconds);
        Ok(Some(Commit { seconds, parents, generation: None }))
    }

    /// Follows annotated tags from `id` to a commit; `None` if there is none at the end, or it is not here.
    pub(crate) fn peel(&mut self, id: ObjectId) -> Result<Option<ObjectId>, gix::Error> {
        if self.graph.as_ref().is_some_and(|graph| graph.lookup(id).is_some()) {
            return Ok(Some(id));
        }
        commits::peel(&self.repo.objects, id)
    }

    /// Returns those of `wanted` that none of `tips` reaches, in their order.
    ///
    /// Walks newest first and stops as soon as all are found. If some cannot be found, all that could still reach them is walked.
    pub(crate) fn unreachable(
        &mut self,
        wanted: &[ObjectId],
        tips: &[ObjectId],
    ) -> Result<Vec<ObjectId>, gix::Error> {
        let mut missing: HashSet<ObjectId> = wanted.iter().copied().collect();
        for tip in tips {
            missing.remove(tip);
        }
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        // A commit whose generation is not larger than that of every wanted one reaches none of them.
        let generations = missing
            .iter()
            .map(|id| self.graph.as_ref()?.commit_by_id(id).and_then(|commit| known_generation(&commit)));
        let lowest = generations.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().min());
        let mut seen = HashSet::default();
        let mut queue = BinaryHeap::new();
        for tip in tips {
            self.enqueue(*tip, lowest, &mut seen, &mut queue)?;
        }
        while let Some((_, _, parents)) = queue.pop() {
            for parent in parents {
                missing.remove(&parent);
                if missing.is_empty() {
                    return Ok(Vec::new());
                }
                self.enqueue(parent, lowest, &mut seen, &mut queue)?;
            }
        }
        Ok(wanted.iter().copied().filter(|id| missing.contains(id)).collect())
    }

    fn enqueue(
        &mut self,
        id: ObjectId,
        lowest: Option<u32>,
        seen: &mut HashSet<ObjectId>,
        queue: &mut BinaryHeap<(i64, ObjectId, Vec<ObjectId>)>,
    ) -> Result<(), gix::Error> {
        if !seen.insert(id) {
            return Ok(());
        }
        let Some(commit) = self.read(&id)? else { return Ok(()) };
        let may_reach = match (commit.generation, lowest) {
            (Some(generation), Some(lowest)) => generation > lowest,
            _ => true,
        };
        if may_reach && !commit.parents.is_empty() {
            queue.push((commit.seconds, id, commit.parents));
        }
        Ok(())
    }
}

/// Returns the generation of a commit; an old git wrote 0 where it did not compute it.
fn known_generation(commit: &gix::commitgraph::file::Commit<'_>) -> Option<u32> {
    Some(commit.generation()).filter(|generation| *generation > 0)
}

/// Returns the commits that the user's own references point to, each once.
pub(crate) fn own_tips(commits: &mut Commits<'_>) -> Result<Vec<ObjectId>, gix::Error> {
    let repo = commits.repo;
    let mut targets = HashMap::<ObjectId, Option<ObjectId>>::default();
    for reference in repo.refs.iter()?.all().map_err(gix::Error::from_error)? {
        // A broken reference reaches nothing; that is for `git fsck` to tell.
        let Ok(reference) = reference else { continue };
        if let Target::Object(id) = reference.target {
            targets.insert(id, reference.peeled);
        }
    }
    for id in worktree_heads(repo.common_dir(), repo.object_hash()) {
        targets.entry(id).or_insert(None);
    }
    let mut tips = HashSet::default();
    for (id, peeled) in targets {
        if let Some(commit) = commits.peel(peeled.unwrap_or(id))? {
            tips.insert(commit);
        }
    }
    let mut tips: Vec<_> = tips.into_iter().collect();
    tips.sort_unstable();
    Ok(tips)
}

/// Returns the commits of detached HEADs; a HEAD on a branch counts with its branch.
fn worktree_heads(common_dir: &Path, hash: gix::hash::Kind) -> Vec<ObjectId> {
    let mut dirs = vec![common_dir.to_owned()];
    if let Ok(entries) = fs::read_dir(common_dir.join("worktrees")) {
        dirs.extend(entries.flatten().map(|entry| entry.path()));
    }
    let detached = |dir: &Path| {
        let content = fs::read(dir.join("HEAD")).ok()?;
        ObjectId::from_hex(content.trim_ascii().as_bytes()).ok().filter(|id| id.kind() == hash)
    };
    dirs.iter().filter_map(|dir| detached(dir)).collect()
}

#[cfg(test)]
mod tests {
    use kit::{Env, History, Random};

    use super::*;
    use crate::referee;

    #[test]
    fn what_is_reachable_does_not_depend_on_clocks() {
        for seed in referee::seeds(9) {
            let mut random = Random::new(seed);
            let env = Env::new();
            let shape = referee::branchy(seed, &mut random);
            let History { path, commits: all } = History::seeded(&env, "source", seed, &shape);
            if seed % 2 == 1 {
                env.git(&path, ["commit-graph", "write", "--reachable"]);
            }
            let ids: Vec<ObjectId> = all.iter().map(|hex| referee::id(hex)).collect();
            let repo = referee::open(&path);
            let mut commits = Commits::new(&repo).unwrap();
            for _ in 0..6 {
                let tips: Vec<usize> = (0..1 + random.below(3)).map(|_| random.below(ids.len())).collect();
                let names = tips.iter().map(|tip| all[*tip].as_str());
                let reached = referee::sorted(&env.git(&path, ["rev-list"].into_iter().chain(names)));
                let tips: Vec<_> = tips.iter().map(|tip| ids[*tip]).collect();
                let expected: Vec<_> =
                    ids.iter().filter(|id| !reached.contains(&id.to_string())).copied().collect();
                assert_eq!(commits.unreachable(&ids, &tips).unwrap(), expected, "seed {seed}");
                for id in &ids {
                    let is_reached = commits.unreachable(&[*id], &tips).unwrap().is_empty();
                    assert_eq!(is_reached, !expected.contains(id), "seed {seed}, {id}");
                }
            }
        }
    }

    #[test]
    fn own_tips_are_all_references_and_the_heads_of_all_worktrees() {
        let env = Env::new();
        let path = env.init("repo");
        let ids: Vec<_> = (0..6).map(|number| env.commit(&path, "file", number.to_string(), "x")).collect();
        env.git(&path, ["update-ref", "refs/parler/0123456789ab", &ids[1]]);
        env.git(&path, ["tag", "-a", "-m", "tag", "v1", &ids[2]]);
        env.git(&path, ["tag", "blob", "HEAD:file"]);
        env.git(&path, ["worktree", "add", "-q", "--detach", "../linked", &ids[3]]);
        env.git(&path, ["checkout", "-q", "--detach", &ids[4]]);
        env.git(&path, ["pack-refs", "--all"]);
        let mut expected: Vec<_> = ids[1..].iter().map(|hex| referee::id(hex)).collect();
        expected.sort_unstable();
        for place in ["repo", "linked"] {
            let repo = referee::open(&env.path(place));
            assert_eq!(own_tips(&mut Commits::new(&repo).unwrap()).unwrap(), expected, "{place}");
        }
    }
}
