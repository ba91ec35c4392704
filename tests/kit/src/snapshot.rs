//! What a folder with repositories held at one moment, byte for byte, to compare with what it holds later.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The files, links and folders below a path, with permissions and contents.
///
/// ```
/// let env = kit::Env::new();
/// let repo = env.init("one");
/// let before = kit::Snapshot::of(&repo);
/// env.commit(&repo, "a.txt", "hello\n", "first");
/// assert!(before.differences().contains(&"new: a.txt".to_owned()));
/// ```
#[derive(Clone, Debug)]
pub struct Snapshot {
    root: PathBuf,
    part: Part,
    entries: BTreeMap<PathBuf, Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Everything.
    Whole,
    /// Of a git directory only the files that `apply` has no business with.
    BesidesHandoffs,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Folder {
        mode: u32,
    },
    File {
        mode: u32,
        content: Vec<u8>,
    },
    Link(PathBuf),
    /// A socket or the like; its kind is not looked at.
    Other,
}

impl Snapshot {
    /// Takes everything below `root`, objects and empty folders too.
    #[must_use]
    pub fn of(root: impl AsRef<Path>) -> Self {
        Self::take(root.as_ref(), Part::Whole)
    }

    /// Takes everything below `root` except, in every repository found there, the objects and what lies below
    /// `refs/parler` with its reflogs. Index, HEAD, branches, tags, configuration and `FETCH_HEAD` are part of it.
    #[must_use]
    pub fn besides_handoffs(root: impl AsRef<Path>) -> Self {
        Self::take(root.as_ref(), Part::BesidesHandoffs)
    }

    /// Returns what is different now, a line for each path: `new: …`, `gone: …` or `changed: …`.
    ///
    /// A folder that was made in a git directory counts only for a snapshot of everything.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let now = Self::take(&self.root, self.part).entries;
        let mut lines = Vec::new();
        for (path, entry) in &self.entries {
            match now.get(path) {
                Some(there) if there == entry => {}
                Some(_) => lines.push(format!("changed: {}", path.display())),
                None => lines.push(format!("gone: {}", path.display())),
            }
        }
        let is_new = |path: &&PathBuf| !self.entries.contains_key(*path);
        lines.extend(now.keys().filter(is_new).map(|path| format!("new: {}", path.display())));
        lines
    }

    fn take(root: &Path, part: Part) -> Self {
        let mut snapshot = Self { root: root.to_path_buf(), part, entries: BTreeMap::new() };
        snapshot.add(root, is_git_dir(root).then_some(Path::new("")));
        snapshot
    }

    /// Adds what lies in `folder`; `place` is where that is within a git directory, if it is.
    fn add(&mut self, folder: &Path, place: Option<&Path>) {
        for entry in fs::read_dir(folder).expect("a folder of the snapshot can be read") {
            let path = entry.expect("an entry of the folder").path();
            let name = path.file_name().expect("an entry has a name");
            let place = place.map(|place| place.join(name));
            if self.part == Part::BesidesHandoffs && place.as_deref().is_some_and(is_of_handoffs) {
                continue;
            }
            let metadata = fs::symlink_metadata(&path).expect("an entry of the folder");
            let mode = metadata.permissions().mode();
            let entry = if metadata.is_dir() {
                let inner = if is_git_dir(&path) { Some(PathBuf::new()) } else { place.clone() };
                self.add(&path, inner.as_deref());
                if self.part == Part::BesidesHandoffs && place.is_some() {
                    continue;
                }
                Entry::Folder { mode }
            } else if metadata.is_symlink() {
                Entry::Link(fs::read_link(&path).expect("a link can be read"))
            } else if metadata.is_file() {
                Entry::File { mode, content: fs::read(&path).expect("a file of the snapshot can be read") }
            } else {
                Entry::Other
            };
            let relative = path.strip_prefix(&self.root).expect("it was found below the root");
            self.entries.insert(relative.to_path_buf(), entry);
        }
    }
}

fn is_git_dir(folder: &Path) -> bool {
    folder.join("HEAD").is_file() && folder.join("objects").is_dir() && folder.join("refs").is_dir()
}

/// Whether a path within a git directory is one that `apply` may change.
fn is_of_handoffs(place: &Path) -> bool {
    ["objects", "refs/parler", "logs/refs/parler"].iter().any(|own| place == Path::new(own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Env;

    #[test]
    fn objects_and_handoffs_are_no_difference_and_everything_else_is() {
        let env = Env::new();
        let repo = env.init("r");
        let commit = env.commit(&repo, "a", "1\n", "one");
        let (whole, besides) = (Snapshot::of(env.path("r")), Snapshot::besides_handoffs(env.path("r")));
        env.git(&repo, ["update-ref", "--create-reflog", "refs/parler/0123456789ab", &commit]);
        assert_eq!(besides.differences(), [""; 0]);
        assert!(whole.differences().contains(&"new: .git/refs/parler/0123456789ab".to_owned()));
        env.git(&repo, ["update-ref", "refs/tags/x", &commit]);
        assert_eq!(besides.differences(), ["new: .git/refs/tags/x"]);
        env.git(&repo, ["update-ref", "-d", "refs/tags/x"]);
        fs::write(repo.join(".git/index"), "").unwrap();
        fs::remove_file(repo.join("a")).unwrap();
        assert_eq!(besides.differences(), ["changed: .git/index", "gone: a"]);
    }
}
