//! Walks commits: which ones the tips reach and the bases do not, whatever the clocks said. The subtraction is
//! done by a queue ordered by date, in which "hidden" is pushed down through parents that were already visited.

use std::{cmp::Reverse, collections::BinaryHeap};

use gix::{
    ObjectId,
    bstr::{BStr, BString, ByteSlice as _},
    hashtable::{HashMap, HashSet},
    objs::{CommitRefIter, Kind, commit::ref_iter::Token},
};

use crate::{
    limits,
    objects::{ObjectError, Objects},
    progress::{Progress, Report, Stage},
};

/// A commit of the walk; others name it by its position.
pub(crate) struct Node {
    pub(crate) id: ObjectId,
    pub(crate) tree: ObjectId,
    pub(crate) parent_ids: Vec<ObjectId>,
    /// True where a shallow clone ends: it has parents, and they are not here.
    pub(crate) is_cut: bool,
    pub(crate) is_hidden: bool,
    /// Positions of the parents, once the commit has left the queue.
    parents: Vec<u32>,
    is_queued: bool,
    seconds: i64,
    /// From the commit-graph; nothing where it does not have the commit.
    generation: Option<u32>,
}

/// The walk over one repository.
pub(crate) struct History<'a> {
    objects: &'a mut Objects,
    graph: Option<gix::commitgraph::Graph>,
    cut: HashSet<ObjectId>,
    nodes: Vec<Node>,
    positions: HashMap<ObjectId, u32>,
    queue: BinaryHeap<(i64, Reverse<u32>)>,
    /// How many commits in the queue are not hidden.
    wanted_in_queue: usize,
}

impl<'a> History<'a> {
    /// Begins a walk. `cut` are the commits at which a shallow clone ends; with one, the commit-graph is not
    /// used, as in git.
    pub(crate) fn new(
        objects: &'a mut Objects,
        graph: Option<gix::commitgraph::Graph>,
        cut: HashSet<ObjectId>,
    ) -> Self {
        let graph = graph.filter(|_| cut.is_empty());
        Self {
            objects,
            graph,
            cut,
            nodes: Vec::new(),
            positions: HashMap::default(),
            queue: BinaryHeap::new(),
            wanted_in_queue: 0,
        }
    }

    /// Returns the positions of all commits that `tips` reach and `bases` do not, newest first.
    pub(crate) fn walk(
        &mut self,
        tips: &[ObjectId],
        bases: &[ObjectId],
        report: Report<'_>,
    ) -> Result<Vec<u32>, ObjectError> {
        for base in bases {
            let position = self.insert(*base)?;
            self.hide(position);
        }
        for tip in tips {
            self.insert(*tip)?;
        }
        let mut reached = Vec::new();
        while self.wanted_in_queue > 0 {
            let Some(position) = self.pop() else { break };
            self.expand(position)?;
            if !self.nodes[position as usize].is_hidden {
                reached.push(position);
                report(Progress { stage: Stage::Commits, done: reached.len() as u64, total: None });
            }
        }
        self.walk_hidden(&reached)?;
        reached.retain(|&position| !self.nodes[position as usize].is_hidden);
        Ok(reached)
    }

    /// Returns the commit at `position`.
    pub(crate) fn node(&self, position: u32) -> &Node {
        &self.nodes[position as usize]
    }

    /// Returns the commit `id`, which the walk has seen or which is read now.
    pub(crate) fn find(&mut self, id: ObjectId) -> Result<&Node, ObjectError> {
        let position = self.insert(id)?;
        Ok(&self.nodes[position as usize])
    }

    /// Gives the object store back.
    pub(crate) fn objects(&mut self) -> &mut Objects {
        self.objects
    }

    /// Nothing wanted is in the queue any more, but with clocks that were wrong a hidden commit that is older
    /// than all wanted ones may still be their descendant.
    fn walk_hidden(&mut self, reached: &[u32]) -> Result<(), ObjectError> {
        let wanted = || reached.iter().map(|&position| position as usize);
        let Some(oldest) = wanted().map(|position| self.nodes[position].seconds).min() else { return Ok(()) };
        let lowest = wanted().map(|position| self.nodes[position].generation.unwrap_or(u32::MAX)).min();
        let mut older_left = limits::OLDER_HIDDEN_COMMITS_MAX;
        while let Some(position) = self.pop() {
            let node = &self.nodes[position as usize];
            // Generation 0 means that an old git did not compute it.
            match node.generation.filter(|&generation| generation > 0) {
                Some(generation) if Some(generation) < lowest => continue,
                Some(_) => {}
                None if node.seconds >= oldest => older_left = limits::OLDER_HIDDEN_COMMITS_MAX,
                None if older_left == 0 => break,
                None => older_left -= 1,
            }
            self.expand(position)?;
            let node = &self.nodes[position as usize];
            // Where one clock was wrong, others may have been: the count begins anew.
            if node.parents.iter().any(|&parent| self.nodes[parent as usize].seconds > node.seconds) {
                older_left = limits::OLDER_HIDDEN_COMMITS_MAX;
            }
        }
        Ok(())
    }

    fn pop(&mut self) -> Option<u32> {
        let (_, Reverse(position)) = self.queue.pop()?;
        let node = &mut self.nodes[position as usize];
        node.is_queued = false;
        if !node.is_hidden {
            self.wanted_in_queue -= 1;
        }
        Some(position)
    }

    fn expand(&mut self, position: u32) -> Result<(), ObjectError> {
        let parent_ids = self.nodes[position as usize].parent_ids.clone();
        let mut parents = Vec::with_capacity(parent_ids.len());
        for id in parent_ids {
            let parent = self.insert(id)?;
            if self.nodes[position as usize].is_hidden {
                self.hide(parent);
            }
            parents.push(parent);
        }
        self.nodes[position as usize].parents = parents;
        Ok(())
    }

    fn hide(&mut self, position: u32) {
        let mut pending = vec![position];
        while let Some(position) = pending.pop() {
            let node = &mut self.nodes[position as usize];
            if node.is_hidden {
                continue;
            }
            node.is_hidden = true;
            if node.is_queued {
                self.wanted_in_queue -= 1;
            }
            pending.extend_from_slice(&node.parents);
        }
    }

    fn insert(&mut self, id: ObjectId) -> Result<u32, ObjectError> {
        if let Some(&position) = self.positions.get(&id) {
            return Ok(position);
        }
        let node = match self.node_of_graph(id) {
            Some(node) => node,
            None => self.node_of_store(id)?,
        };
        let position = u32::try_from(self.nodes.len()).expect("four billion commits fit into no memory");
        self.queue.push((node.seconds, Reverse(position)));
        self.wanted_in_queue += 1;
        self.nodes.push(node);
        self.positions.insert(id, position);
        Ok(position)
    }

    fn node_of_graph(&self, id: ObjectId) -> Option<Node> {
        let graph = self.graph.as_ref()?;
        let commit = graph.commit_by_id(id)?;
        let parents = commit.iter_parents().map(|parent| Some(graph.id_at(parent.ok()?).to_owned()));
        Some(Node {
            id,
            tree: commit.root_tree_id().to_owned(),
            parent_ids: parents.collect::<Option<_>>()?,
            is_cut: false,
            is_hidden: false,
            parents: Vec::new(),
            is_queued: true,
            seconds: i64::try_from(commit.committer_timestamp()).ok()?,
            generation: Some(commit.generation()),
        })
    }

    fn node_of_store(&mut self, id: ObjectId) -> Result<Node, ObjectError> {
        let hash = self.objects.hash();
        let object = self.objects.read_kind(&id, Kind::Commit)?;
        let (mut tree, mut parent_ids, mut seconds) = (None, Vec::new(), 0);
        for token in CommitRefIter::from_bytes(&object.bytes, hash) {
            match token {
                Ok(Token::Tree { id }) => tree = Some(id),
                Ok(Token::Parent { id }) => parent_ids.push(id),
                Ok(Token::Author { .. }) => {}
                Ok(Token::Committer { signature }) => {
                    seconds = signature.seconds();
                    break;
                }
                // A commit whose people are malformed still has its place in history; git takes its date as 0.
                Ok(_) | Err(_) => break,
            }
        }
        let is_cut = self.cut.contains(&id) && !parent_ids.is_empty();
        if is_cut {
            parent_ids.clear();
        }
        let tree = tree.ok_or(ObjectError::Corrupt { id })?;
        let (parents, is_queued) = (Vec::new(), true);
        Ok(Node {
            id,
            tree,
            parent_ids,
            is_cut,
            is_hidden: false,
            parents,
            is_queued,
            seconds,
            generation: None,
        })
    }
}

/// Returns the subject of a commit as git's one-line format has it: the lines of the first paragraph, joined.
pub(crate) fn subject(commit: &[u8]) -> BString {
    let message = commit.find(b"\n\n").map_or(&b""[..], |end| &commit[end + 2..]);
    let lines = message.lines().map(|line| line.trim_end().as_bstr());
    let paragraph = lines.skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty());
    let mut subject = BString::from(gix::bstr::join(" ", paragraph.collect::<Vec<&BStr>>()));
    subject.retain(|&byte| byte != 0);
    subject.truncate(limits::SUBJECT_BYTES_MAX);
    subject
}
