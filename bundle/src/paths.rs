//! Paths of trees and blobs as small numbers: one table of names with parents, and git's name hash beside each.

use std::collections::HashMap;

use gix::bstr::BString;

/// The number of a path; [`ROOT`] is the tree of a commit itself.
pub(crate) type PathId = u32;

/// The path of a commit's tree, and of what has no path (commits, tags).
pub(crate) const ROOT: PathId = 0;

/// Interned paths: equal paths have equal numbers.
pub(crate) struct Paths {
    entries: Vec<PathEntry>,
    names: Vec<u8>,
    /// By a hash of parent and name; what collides stands at the next free number.
    positions: HashMap<u64, PathId>,
}

struct PathEntry {
    parent: PathId,
    name_start: usize,
    name_length: usize,
    name_hash: u32,
}

impl Paths {
    /// Returns a table that holds [`ROOT`].
    pub(crate) fn new() -> Self {
        let root = PathEntry { parent: ROOT, name_start: 0, name_length: 0, name_hash: 0 };
        Self { entries: vec![root], names: Vec::new(), positions: HashMap::new() }
    }

    /// Returns the number of `name` in the folder `parent`.
    pub(crate) fn intern(&mut self, parent: PathId, name: &[u8]) -> PathId {
        let mut key = key_of(parent, name);
        loop {
            match self.positions.get(&key) {
                Some(&id) if self.is_named(id, parent, name) => return id,
                Some(_) => key = key.wrapping_add(1),
                None => break,
            }
        }
        let id = PathId::try_from(self.entries.len()).expect("four billion paths fit into no memory");
        let folder = &self.entries[parent as usize];
        let mut name_hash = folder.name_hash;
        if parent != ROOT {
            name_hash = extend_name_hash(name_hash, b"/");
        }
        name_hash = extend_name_hash(name_hash, name);
        let name_start = self.names.len();
        self.names.extend_from_slice(name);
        self.entries.push(PathEntry { parent, name_start, name_length: name.len(), name_hash });
        self.positions.insert(key, id);
        id
    }

    /// Returns git's hash of the path, in which the last sixteen characters count.
    pub(crate) fn name_hash(&self, id: PathId) -> u32 {
        self.entries[id as usize].name_hash
    }

    /// Returns how many paths there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the path in full, empty for [`ROOT`].
    pub(crate) fn full(&self, id: PathId) -> BString {
        let mut parts = Vec::new();
        let mut at = id;
        while at != ROOT {
            parts.push(self.name(at));
            at = self.entries[at as usize].parent;
        }
        parts.reverse();
        BString::from(parts.join(&b'/'))
    }

    fn name(&self, id: PathId) -> &[u8] {
        let entry = &self.entries[id as usize];
        &self.names[entry.name_start..entry.name_start + entry.name_length]
    }

    fn is_named(&self, id: PathId, parent: PathId, name: &[u8]) -> bool {
        self.entries[id as usize].parent == parent && self.name(id) == name
    }
}

/// As `pack_name_hash` in git: similar names come near one another.
fn extend_name_hash(hash: u32, name: &[u8]) -> u32 {
    name.iter()
        .filter(|byte| !byte.is_ascii_whitespace() && **byte != 0x0b)
        .fold(hash, |hash, &byte| (hash >> 2).wrapping_add(u32::from(byte) << 24))
}

fn key_of(parent: PathId, name: &[u8]) -> u64 {
    let mix = |key: u64, byte: u64| (key.rotate_left(5) ^ byte).wrapping_mul(0x517c_c1b7_2722_0a95);
    name.iter().fold(mix(0, u64::from(parent)), |key, &byte| mix(key, u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_paths_have_equal_numbers_and_come_back_in_full() {
        let mut paths = Paths::new();
        let src = paths.intern(ROOT, b"src");
        let lib = paths.intern(src, b"lib.rs");
        assert_eq!(paths.intern(src, b"lib.rs"), lib);
        assert_ne!(paths.intern(ROOT, b"lib.rs"), lib);
        assert_eq!(paths.full(lib), "src/lib.rs");
        assert_eq!(paths.full(ROOT), "");
    }

    #[test]
    fn the_name_hash_is_that_of_git() {
        let mut paths = Paths::new();
        let id = paths.intern(ROOT, b"a");
        assert_eq!(paths.name_hash(id), 0x6100_0000);
        let id = paths.intern(id, b"b c");
        // 'a', '/', 'b', 'c': each moves those before two bits on.
        let expected = [b'a', b'/', b'b', b'c'].iter().fold(0u32, |h, &c| (h >> 2) + (u32::from(c) << 24));
        assert_eq!(paths.name_hash(id), expected);
    }
}
