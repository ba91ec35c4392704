//! Which paths differ between two trees, bounded in paths and in trees: some trees of a few bytes have more paths than
//! anybody could list.

use std::collections::BTreeMap;

use gix::ObjectId;
use gix::bstr::{BString, ByteVec};
use gix::objs::{Find, Kind};

use crate::check;
use crate::limits::{COMPARED_PATHS_BYTES_MAX, COMPARED_TREES_MAX, LISTED_PATHS_MAX, PATH_BYTES_MAX};

/// A file on one side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// How much comparisons may still read and list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Pairs of trees.
    pub trees: usize,
    /// Changed paths.
    pub paths: usize,
    /// Bytes of paths: a few trees with long names have more of them than memory takes.
    pub path_bytes: usize,
}

/// Compares two trees; nothing on one side stands for an empty tree.
pub(crate) fn compare(
    find: &impl Find,
    old: Option<ObjectId>,
    new: Option<ObjectId>,
) -> Result<Changes, DiffError> {
    let mut room =
        Room { trees: COMPARED_TREES_MAX, paths: LISTED_PATHS_MAX, path_bytes: COMPARED_PATHS_BYTES_MAX };
    compare_within(find, old, new, &mut room)
}

/// Compares two trees, and takes what that needs out of `room`.
pub(crate) fn compare_within(
    find: &impl Find,
    old: Option<ObjectId>,
    new: Option<ObjectId>,
    room: &mut Room,
) -> Result<Changes, DiffError> {
    let mut changes = Changes::default();
    let mut stack = vec![(BString::default(), old, new)];
    while let Some((prefix, old, new)) = stack.pop() {
        if old == new {
            continue;
        }
        if changes.is_cut {
            break;
        }
        if room.trees == 0 || prefix.len() > PATH_BYTES_MAX {
            changes.is_cut = true;
            break;
        }
        room.trees -= 1;
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
            let length = prefix.len() + name.len() + 1;
            if length > room.path_bytes || (!is_tree && room.paths == 0) {
                changes.is_cut = true;
                break;
            }
            room.path_bytes -= length;
            let mut path = prefix.clone();
            path.push_str(&name);
            if is_tree {
                path.push_byte(b'/');
                stack.push((path, old.map(|side| side.id), new.map(|side| side.id)));
            } else {
                room.paths -= 1;
                changes.list.push(Change { path, old, new });
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

#[cfg(test)]
mod tests {
    use gix::bstr::BStr;
    use kit::Env;

    use super::*;
    use crate::referee;

    #[test]
    fn a_comparison_ends_where_its_room_does() {
        let env = Env::new();
        let path = env.init("repo");
        for number in 0..5 {
            env.commit(&path, &format!("dir{number}/file"), number.to_string(), "x");
        }
        let repo = referee::open(&path);
        let tree = referee::id(&env.git(&path, ["rev-parse", "HEAD^{tree}"]));
        // Five trees and the root, five paths; each directory has 5 bytes and each file 10.
        let enough = Room { trees: 6, paths: 5, path_bytes: 75 };
        let compare = |mut room: Room| compare_within(&repo.objects, None, Some(tree), &mut room).unwrap();
        let whole = compare(enough);
        assert!(!whole.is_cut);
        let names: Vec<&BStr> = whole.list.iter().map(|change| change.path.as_ref()).collect();
        assert_eq!(names, ["dir0/file", "dir1/file", "dir2/file", "dir3/file", "dir4/file"]);
        for less in [
            Room { trees: 5, ..enough },
            Room { paths: 4, ..enough },
            Room { path_bytes: 74, ..enough },
            Room { path_bytes: 0, ..enough },
        ] {
            let cut = compare(less);
            assert!(cut.is_cut && cut.list.len() < 5, "{less:?}");
        }
    }
}
