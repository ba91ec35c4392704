//! Where a symbolic link leads, judged by its text alone.

use crate::check::names;

/// Returns whether the link at `path` (from the root, with slashes) leads, or may lead, out of the tree or into `.git`.
///
/// A `..` behind a name may lead anywhere: what the name stands for can be a link itself.
pub(crate) fn leaves(path: &[u8], target: &[u8]) -> bool {
    let mut depth = path.iter().filter(|byte| **byte == b'/').count();
    let mut has_name = false;
    if target.first() == Some(&b'/') {
        return true;
    }
    for component in target.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." if has_name || depth == 0 => return true,
            b".." => depth -= 1,
            name if names::is_dotgit(name) => return true,
            _ => has_name = true,
        }
    }
    false
}
