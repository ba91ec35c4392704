//! Which paths differ between two trees, bounded in paths and in trees: some trees of a few bytes have more paths than
//! anybody could list.

use std::collections::BTreeMap;

use gix::ObjectId;
use gix::bstr::{BString, ByteVec};
use gix::objs::{Find, Kind};

use crate::check;
use crate::limits::{COMPARED_TREES_MAX, LISTED_PATHS_MAX, PATH_BYTES_MAX};

/// A file on one side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Side {
    /// The mode as it stands in the tree.
    pub mode: u32,
    /// The blob, or the commit of a submodule.
    pub id: ObjectId,
}

impl Side {
    /// Returns whether this is the commit of a submodule.
    pub(crate) fn is_submodule(self) -> bool {
        self.mode & 0o170_000 == 0o160_000
    }
}

/// A path that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// From the root, with slashes.
    pub path: BString,
    /// What was there.
    pub old: Option<Side>,
    /// What is there now.
    pub new: Option<Side>,
}

/// The outcome of a comparison.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Sorted by path.
    pub list: Vec<Change>,
    /// Whether there are more than could be listed.
    pub is_cut: bool,
}

/// Why trees could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// An object that is needed is not here.
    #[error("{0} is not here")]
    Missing(ObjectId),
    /// Reading an object failed.
    #[error("could not read an object")]
    Read(#[source] gix::Error),
    /// Writing the patch failed.
    #[error("could not write the patch")]
    Write(#[source] std::io::Error),
}

/// Compares two trees; nothing on one side stands for an empty tree.
pub(crate) fn compare(
    find: &impl Find,
    old: Option<ObjectId>,
    new: Option<ObjectId>,
) -> Result<Changes, DiffError> {
    let mut changes = Changes::default();
    let mut stack = vec![(BString::default(), old, new)];
    let mut trees = 0;
    while let Some((prefix, old, new)) = stack.pop() {
        if old == new {
            continue;
        }
        trees += 1;
        if trees > COMPARED_TREES_MAX || prefix.len() > PATH_BYTES_MAX {
            changes.is_cut = true;
            break;
        }
        // A file and a directory of the same name are different things, so the kind is part of the key.
        let mut entries = BTreeMap::<(BString, bool), (Option<Side>, Option<Side>)>::new();
        for (name, is_tree, side) in read(find, old)? {
            entries.entry((name, is_tree)).or_default().0 = Some(side);
        }
        for (name, is_tree, side) in read(find, new)? {
            entries.entry((name, is_tree)).or_default().1 = Some(side);
        }
        for ((name, is_tree), (old, new)) in entries {
            if old == new {
                continue;
            }
            let mut path = prefix.clone();
            path.push_str(&name);
            if is_tree {
                path.push_byte(b'/');
                stack.push((path, old.map(|side| side.id), new.map(|side| side.id)));
            } else if changes.list.len() < LISTED_PATHS_MAX {
                changes.list.push(Change { path, old, new });
            } else {
                changes.is_cut = true;
            }
        }
    }
    changes.list.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(changes)
}

fn read(find: &impl Find, tree: Option<ObjectId>) -> Result<Vec<(BString, bool, Side)>, DiffError> {
    let Some(tree) = tree else { return Ok(Vec::new()) };
    let mut buffer = Vec::new();
    let object =
        find.try_find(&tree, &mut buffer).map_err(DiffError::Read)?.ok_or(DiffError::Missing(tree))?;
    let mut entries = Vec::new();
    let mut rest = object.data;
    while let Ok(entry) = check::next_tree_entry(&mut rest, tree.kind()) {
        let side = Side { mode: entry.mode, id: entry.id };
        entries.push((BString::from(entry.name), entry.kind() == Some(Kind::Tree), side));
    }
    Ok(entries)
}
