//! Selects what travels: everything that the planned commits reach and that the trees of the boundary do not hold,
//! and beside it the *edge* objects, which the receiver has and on which deltas may build.

use std::rc::Rc;

use gix::{
    ObjectId,
    hashtable::HashSet,
    objs::{Kind, TreeRefIter},
};

use crate::{
    objects::{ObjectError, Objects},
    paths::{PathId, Paths, ROOT},
    progress::{Progress, Report, Stage},
    range::Plan,
};

/// An object that travels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selected {
    pub(crate) id: ObjectId,
    pub(crate) kind: Kind,
    /// Where it was seen first, going from the newest commit to the oldest.
    pub(crate) path: PathId,
}

/// An object of the boundary that stands where a traveling one stands, or nearly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) id: ObjectId,
    pub(crate) kind: Kind,
    pub(crate) path: PathId,
}

/// What [`select`] found.
pub(crate) struct Selection {
    /// Commits, then tags, then trees and blobs in the order in which they were met.
    pub(crate) objects: Vec<Selected>,
    pub(crate) edges: Vec<Edge>,
    /// False for a full history, of which the receiver has nothing.
    pub(crate) has_boundary: bool,
    pub(crate) paths: Paths,
}

/// Walks the trees of the boundary, then those of the commits. Each tree is read once; submodules are left out, as
/// their commits belong to other repositories.
pub(crate) fn select(
    objects: &mut Objects,
    plan: &Plan,
    report: Report<'_>,
) -> Result<Selection, ObjectError> {
    let mut walk = Walk {
        objects,
        seen: HashSet::default(),
        paths: Paths::new(),
        selected: Vec::new(),
        edges: Vec::new(),
        pending: Vec::new(),
    };
    for &tree in &plan.boundary_trees {
        walk.boundary(tree)?;
    }
    walk.selected.extend(plan.commits.iter().map(|commit| Selected {
        id: commit.id,
        kind: Kind::Commit,
        path: ROOT,
    }));
    walk.selected.extend(plan.tags.iter().map(|&id| Selected { id, kind: Kind::Tag, path: ROOT }));
    for commit in &plan.commits {
        walk.commit(commit.tree)?;
        report(Progress { stage: Stage::Objects, done: walk.selected.len() as u64, total: None });
    }
    let Walk { paths, selected, mut edges, .. } = walk;
    keep_useful(&mut edges, &selected, &paths);
    let has_boundary = !plan.boundary_trees.is_empty();
    Ok(Selection { objects: selected, edges, has_boundary, paths })
}

struct Walk<'a> {
    objects: &'a mut Objects,
    seen: HashSet<ObjectId>,
    paths: Paths,
    selected: Vec<Selected>,
    edges: Vec<Edge>,
    pending: Vec<(ObjectId, PathId)>,
}

impl Walk<'_> {
    fn boundary(&mut self, root: ObjectId) -> Result<(), ObjectError> {
        self.push_edge(root, Kind::Tree, ROOT);
        while let Some((id, path)) = self.pending.pop() {
            let tree = match self.objects.read_kind(&id, Kind::Tree) {
                Ok(tree) => tree,
                // A partial clone may lack it; then what it holds travels once more, and nothing is wrong.
                Err(ObjectError::Missing { .. }) => continue,
                Err(error) => return Err(error),
            };
            self.entries(id, &tree.bytes, path, Self::push_edge)?;
        }
        Ok(())
    }

    fn commit(&mut self, root: ObjectId) -> Result<(), ObjectError> {
        self.push_selected(root, Kind::Tree, ROOT);
        while let Some((id, path)) = self.pending.pop() {
            let tree = self.objects.read_kind(&id, Kind::Tree)?;
            self.entries(id, &tree.bytes, path, Self::push_selected)?;
        }
        Ok(())
    }

    fn push_edge(&mut self, id: ObjectId, kind: Kind, path: PathId) {
        if self.seen.insert(id) {
            self.edges.push(Edge { id, kind, path });
            if kind == Kind::Tree {
                self.pending.push((id, path));
            }
        }
    }

    fn push_selected(&mut self, id: ObjectId, kind: Kind, path: PathId) {
        if self.seen.insert(id) {
            self.selected.push(Selected { id, kind, path });
            if kind == Kind::Tree {
                self.pending.push((id, path));
            }
        }
    }

    fn entries(
        &mut self,
        id: ObjectId,
        tree: &Rc<Vec<u8>>,
        path: PathId,
        push: impl Fn(&mut Self, ObjectId, Kind, PathId),
    ) -> Result<(), ObjectError> {
        for entry in TreeRefIter::from_bytes(tree, self.objects.hash()) {
            let entry = entry.map_err(|_| ObjectError::Corrupt { id })?;
            if entry.mode.is_commit() || self.seen.contains(entry.oid) {
                continue;
            }
            let kind = if entry.mode.is_tree() { Kind::Tree } else { Kind::Blob };
            let path = self.paths.intern(path, entry.filename);
            push(self, entry.oid.to_owned(), kind, path);
        }
        Ok(())
    }
}

/// Keeps the edges that stand at the path of a traveling object, and for those without any the ones of the same
/// name hash: files that were moved.
fn keep_useful(edges: &mut Vec<Edge>, selected: &[Selected], paths: &Paths) {
    let mut wanted = vec![false; paths.len()];
    for object in selected.iter().filter(|object| matches!(object.kind, Kind::Tree | Kind::Blob)) {
        wanted[object.path as usize] = true;
    }
    let mut has_edge = vec![false; paths.len()];
    for edge in edges.iter() {
        has_edge[edge.path as usize] = true;
    }
    let moved: std::collections::HashSet<u32> = selected
        .iter()
        .filter(|object| !has_edge[object.path as usize])
        .map(|object| paths.name_hash(object.path))
        .collect();
    edges.retain(|edge| wanted[edge.path as usize] || moved.contains(&paths.name_hash(edge.path)));
}
