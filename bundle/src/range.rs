//! Plans a bundle: which commits travel, and which ones the receiver must have (`git-rev-list(1)` with
//! `--boundary` is the referee). Nothing is written here, and no tree is looked at.

use gix::{
    ObjectId,
    bstr::BString,
    hashtable::{HashMap, HashSet},
    objs::{Kind, TagRefIter},
};

use crate::{
    history::{self, History},
    limits,
    objects::{ObjectError, Objects},
    progress::Report,
};

/// A tip as the bundle's header names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The full name, as `refs/heads/topic`, or `HEAD`.
    pub name: BString,
    /// A commit, or an annotated tag of one.
    pub id: ObjectId,
}

/// A commit that the receiver must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prerequisite {
    /// The commit.
    pub id: ObjectId,
    /// Its subject, which stands beside it in the header for people.
    pub comment: BString,
}

/// A commit that travels, and its tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedCommit {
    pub(crate) id: ObjectId,
    pub(crate) tree: ObjectId,
}

/// What a bundle would hold; made by [`plan`].
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) tips: Vec<Tip>,
    pub(crate) excluded: Vec<Tip>,
    pub(crate) tags: Vec<ObjectId>,
    pub(crate) commits: Vec<PlannedCommit>,
    pub(crate) prerequisites: Vec<Prerequisite>,
    pub(crate) boundary_trees: Vec<ObjectId>,
}

impl Plan {
    /// Returns the tips that the header will name, in the order they were given in.
    #[must_use]
    pub fn tips(&self) -> &[Tip] {
        &self.tips
    }

    /// Returns the tips that the bases reach, and that the bundle leaves out, as git does.
    #[must_use]
    pub fn excluded(&self) -> &[Tip] {
        &self.excluded
    }

    /// Returns the commits that travel, newest first.
    pub fn commits(&self) -> impl ExactSizeIterator<Item = ObjectId> + '_ {
        self.commits.iter().map(|commit| commit.id)
    }

    /// Returns the commits that the receiver must have: parents of those that travel, newest child first.
    #[must_use]
    pub fn prerequisites(&self) -> &[Prerequisite] {
        &self.prerequisites
    }
}

/// Why no bundle can be made of a range.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The bases reach everything that the tips reach.
    #[error("the range holds no commits")]
    Empty,
    /// A shallow clone ends inside the range, and nobody could apply a bundle of it.
    #[error("this shallow clone ends inside the range")]
    Shallow {
        /// With these as bases in addition a bundle can be made; none where a tip itself is where the clone
        /// ends.
        bases: Vec<ObjectId>,
    },
    /// A tip or a base is no commit and no tag of one.
    #[error("{id} is a {kind}, not a commit")]
    NotACommit {
        /// What was named, or what the tag names.
        id: ObjectId,
        /// What it is.
        kind: Kind,
    },
    /// Tags name one another without an end.
    #[error("the tag {id} names too many further tags")]
    TagChain {
        /// The first of them.
        id: ObjectId,
    },
    /// The list of commits at which a shallow clone ends cannot be read.
    #[error("the boundary of this shallow clone cannot be read")]
    ShallowFile(#[source] gix::Error),
    /// A commit or tag cannot be read.
    #[error(transparent)]
    Object(#[from] ObjectError),
}

/// Finds the commits that `tips` reach and `bases` do not, and the prerequisites that follow from them.
///
/// Exact with merges, equal timestamps and clocks that were wrong. Where there is a commit-graph its generation
/// numbers end the walk. Where there is none, the walk goes on until 256 commits in a row are older than everything
/// wanted and none of them is older than its own parents; should a clock have been wrong beyond that, some commits
/// travel that need not, and the bundle is valid all the same.
///
/// A base that is no ancestor of a tip is fine: it excludes what both share.
///
/// # Errors
///
/// [`PlanError::Empty`] where nothing would travel, [`PlanError::Shallow`] where a shallow clone ends in the range, and
/// an [`ObjectError`] where a commit is missing or damaged. Nothing is fetched.
///
/// # Examples
///
/// ```
/// # let env = kit::Env::new();
/// # let history = kit::History::seeded(&env, "one", 1, &kit::Shape::default());
/// let repo = gix::open(&history.path)?;
/// let tip = bundle::Tip { name: "refs/heads/main".into(), id: repo.head_id()?.detach() };
/// let base = repo.rev_parse_single("HEAD~3")?.detach();
/// let plan = bundle::plan(&repo, &[tip], &[base], &mut |_| ())?;
/// assert_eq!(plan.commits().len(), 3);
/// assert_eq!(plan.prerequisites()[0].id, base);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn plan(
    repo: &gix::Repository,
    tips: &[Tip],
    bases: &[ObjectId],
    report: Report<'_>,
) -> Result<Plan, PlanError> {
    let mut objects = Objects::open(repo)?;
    let cut: HashSet<ObjectId> = repo
        .shallow_commits()
        .map_err(PlanError::ShallowFile)?
        .map_or_else(HashSet::default, |commits| commits.iter().copied().collect());
    let peeled = tips.iter().map(|tip| peel(&mut objects, tip.id)).collect::<Result<Vec<_>, _>>()?;
    let mut base_commits = Vec::with_capacity(bases.len());
    for base in bases {
        base_commits.push(peel(&mut objects, *base)?.commit);
    }
    let tip_commits: Vec<ObjectId> = peeled.iter().map(|tip| tip.commit).collect();
    // The commit-graph only makes the walk shorter: one that cannot be read is no reason to stop.
    let graph = repo.commit_graph_if_enabled().ok().flatten();
    let mut history = History::new(&mut objects, graph, cut);
    let reached = history.walk(&tip_commits, &base_commits, report)?;
    refuse_shallow(&history, &reached, &tip_commits)?;

    let mut plan = Plan {
        tips: Vec::new(),
        excluded: Vec::new(),
        tags: Vec::new(),
        commits: Vec::with_capacity(reached.len()),
        prerequisites: Vec::new(),
        boundary_trees: Vec::new(),
    };
    let mut boundary = Boundary::default();
    for &position in &reached {
        let node = history.node(position);
        plan.commits.push(PlannedCommit { id: node.id, tree: node.tree });
        boundary.candidates.extend_from_slice(&node.parent_ids);
    }
    for (tip, peeled) in tips.iter().zip(peeled) {
        if plan.tips.contains(tip) {
            continue;
        }
        if peeled.tags.is_empty() && history.find(peeled.commit)?.is_hidden {
            plan.excluded.push(tip.clone());
            continue;
        }
        // A new tag of an old commit: the tag travels, the commit must be there.
        boundary.candidates.push(peeled.commit);
        plan.tags.extend(peeled.tags.iter().filter(|tag| boundary.seen_tags.insert(**tag)));
        plan.tips.push(tip.clone());
    }
    if plan.tips.is_empty() {
        return Err(PlanError::Empty);
    }
    boundary.add_to(&mut plan, &mut history)?;
    Ok(plan)
}

#[derive(Default)]
struct Boundary {
    candidates: Vec<ObjectId>,
    seen_tags: HashSet<ObjectId>,
}

impl Boundary {
    /// What a traveling commit or tag names directly and what does not travel itself is a prerequisite.
    fn add_to(self, plan: &mut Plan, history: &mut History<'_>) -> Result<(), ObjectError> {
        let mut seen: HashMap<ObjectId, ()> = HashMap::default();
        for id in self.candidates {
            let node = history.find(id)?;
            if !node.is_hidden || seen.insert(id, ()).is_some() {
                continue;
            }
            plan.boundary_trees.push(node.tree);
            let commit = history.objects().read_kind(&id, Kind::Commit)?;
            plan.prerequisites.push(Prerequisite { id, comment: history::subject(&commit.bytes) });
        }
        Ok(())
    }
}

/// An annotated tag peeled to its commit.
struct Peeled {
    commit: ObjectId,
    /// The tags on the way, the outermost first.
    tags: Vec<ObjectId>,
}

fn peel(objects: &mut Objects, id: ObjectId) -> Result<Peeled, PlanError> {
    let mut peeled = Peeled { commit: id, tags: Vec::new() };
    loop {
        let object = objects.read(&peeled.commit)?;
        match object.kind {
            Kind::Commit => return Ok(peeled),
            Kind::Tag if peeled.tags.len() == limits::TAG_CHAIN_LENGTH_MAX => {
                return Err(PlanError::TagChain { id });
            }
            Kind::Tag => {
                let tag = peeled.commit;
                peeled.commit = TagRefIter::from_bytes(&object.bytes, objects.hash())
                    .target_id()
                    .map_err(|_| ObjectError::Corrupt { id: tag })?;
                peeled.tags.push(tag);
            }
            kind => return Err(PlanError::NotACommit { id: peeled.commit, kind }),
        }
    }
}

fn refuse_shallow(history: &History<'_>, reached: &[u32], tips: &[ObjectId]) -> Result<(), PlanError> {
    let nodes = reached.iter().map(|&position| history.node(position));
    let mut bases: Vec<ObjectId> = nodes.filter(|node| node.is_cut).map(|node| node.id).collect();
    if bases.is_empty() {
        return Ok(());
    }
    if bases.iter().any(|base| tips.contains(base)) {
        bases.clear();
    }
    Err(PlanError::Shallow { bases })
}

#[cfg(test)]
mod tests;
