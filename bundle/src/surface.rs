//! The surface report: what a change could run or alter beyond plain source. Trees are compared, contents looked at, all
//! within bounds, and what was not looked at is said. Nothing here runs or follows what it finds.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use gix::ObjectId;
use gix::bstr::{BString, ByteSlice};
use gix::hashtable::HashSet as IdSet;
use gix::objs::{Find, FindHeader};

use crate::check::{Special, names};
use crate::commits;
use crate::inspect::Facts;
use crate::limits::{
    COMPARED_PATHS_BYTES_MAX, COMPARED_TREES_MAX, SURFACE_BLOB_BYTES_MAX, SURFACE_LISTED_PATHS_MAX,
    SURFACE_PATHS_MAX, SURFACE_TARGET_BYTES_MAX, SURFACE_TOTAL_BYTES_MAX,
};
use crate::tree_diff::{self, Change, Room, Side};

pub(crate) mod hidden;
mod rules;
mod symlink;

use rules::{RULES, Sign};

/// What a change could run or alter beyond plain source.
///
/// The trees of the tips are compared with those of the prerequisites (but those that others of them reach); a path counts
/// if it differs from any of them. Without prerequisites all of the tips' trees counts. What a commit on the way brought and
/// a later one took away again does not count: no checkout of a tip has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surface {
    /// What was found, by rule, in the order of the table of rules.
    pub findings: Vec<Finding>,
    /// Whether everything was looked at: all objects were here and the bounds of [`crate::limits`] were kept.
    pub is_checked: bool,
}

/// What one rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The stable name of the rule.
    pub code: &'static str,
    /// What it means, for people: a colon and the paths may follow.
    pub sentence: &'static str,
    /// The first of the paths, sorted; as their author wrote them, so not trustworthy.
    pub paths: Vec<BString>,
    /// How many paths there are.
    pub count: usize,
}

/// One side of a file, for [`surface_codes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSide<'a> {
    /// The mode as it stands in the tree, for example `0o100644`.
    pub mode: u32,
    /// What the file holds; the target of a symbolic link; nothing of a submodule.
    pub content: &'a [u8],
}

/// How much may be looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Paths and trees.
    pub room: Room,
    /// Bytes of all files together.
    pub bytes: u64,
    /// Bytes of one file.
    pub blob_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            room: Room {
                trees: COMPARED_TREES_MAX,
                paths: SURFACE_PATHS_MAX,
                path_bytes: COMPARED_PATHS_BYTES_MAX,
            },
            bytes: SURFACE_TOTAL_BYTES_MAX,
            blob_bytes: SURFACE_BLOB_BYTES_MAX,
        }
    }
}

/// Reports what `tips` bring to who has `bases` (see [`commits::bases`]), commits or tags of them, with the objects of `find`.
///
/// What cannot be read is not looked at; the report says so, and no more. `scanned` has looked at the files of a pack.
pub(crate) fn report(
    find: &(impl Find + FindHeader),
    scanned: Option<&Facts>,
    bases: &[ObjectId],
    tips: impl IntoIterator<Item = ObjectId>,
    bounds: Bounds,
) -> Surface {
    let mut look = Look { scanned, ..Look::new(find, bounds) };
    let mut trees = |ids: &mut dyn Iterator<Item = ObjectId>| -> Vec<_> {
        let trees: Vec<_> = ids.map(|id| commits::tree(find, id).ok().flatten()).collect();
        look.is_checked &= trees.iter().all(Option::is_some);
        trees.into_iter().flatten().collect()
    };
    let (bases, tips) = (trees(&mut bases.iter().copied()), trees(&mut tips.into_iter()));
    look.all(&bases, &tips)
}

/// Returns the codes of the rules that one changed file meets: the surface report of a change that is nothing but this.
///
/// ```
/// let script = bundle::FileSide { mode: 0o100755, content: b"#!/bin/sh\n" };
/// assert_eq!(bundle::surface_codes(b".husky/pre-push", None, Some(script)), ["git_hooks", "executables"]);
/// assert_eq!(bundle::surface_codes(b"src/husky.rs", None, Some(FILE)), [""; 0]);
/// # const FILE: bundle::FileSide<'static> = bundle::FileSide { mode: 0o100644, content: b"" };
/// ```
pub fn surface_codes(path: &[u8], old: Option<FileSide<'_>>, new: Option<FileSide<'_>>) -> Vec<&'static str> {
    struct Given<'a>(Option<FileSide<'a>>, Option<FileSide<'a>>);
    impl Contents for Given<'_> {
        fn before(&mut self) -> Option<Vec<u8>> {
            self.0.map(|side| side.content.to_vec())
        }
        fn after(&mut self) -> Option<Vec<u8>> {
            self.1.map(|side| side.content.to_vec())
        }
    }
    let modes = Modes { old: old.map(|side| side.mode), new: new.map(|side| side.mode) };
    judge(path, modes, &mut Given(old, new)).map(|rule| RULES[rule].code).collect()
}

/// Returns the code and the sentence of every rule, in the order of a report.
///
/// ```
/// assert!(bundle::surface_rules().any(|(code, _)| code == "git_hooks"));
/// ```
pub fn surface_rules() -> impl Iterator<Item = (&'static str, &'static str)> {
    RULES.iter().map(|rule| (rule.code, rule.sentence))
}

/// Looks at comparisons, one after the other, within one set of bounds.
pub(crate) struct Look<'a, F> {
    find: &'a F,
    bounds: Bounds,
    seen: HashSet<(BString, Option<Side>, Option<Side>)>,
    scanned: Option<&'a Facts>,
    /// Files that hide nothing.
    known: IdSet<ObjectId>,
    found: BTreeMap<usize, BTreeSet<BString>>,
    is_checked: bool,
}

impl<'a, F: Find + FindHeader> Look<'a, F> {
    /// Prepares to read trees and files from `find`.
    pub(crate) fn new(find: &'a F, bounds: Bounds) -> Self {
        let (seen, known) = (HashSet::new(), IdSet::default());
        Self { find, bounds, seen, scanned: None, known, found: BTreeMap::new(), is_checked: true }
    }

    /// Looks at what differs between each of `bases` (nothing, where there are none) and each of `tips`, all trees.
    pub(crate) fn all(mut self, bases: &[ObjectId], tips: &[ObjectId]) -> Surface {
        for tip in tips {
            if bases.is_empty() {
                self.one(None, *tip);
            }
            bases.iter().for_each(|base| self.one(Some(*base), *tip));
        }
        self.report()
    }

    fn one(&mut self, base: Option<ObjectId>, tip: ObjectId) {
        match tree_diff::compare_within(self.find, base, Some(tip), &mut self.bounds.room) {
            Ok(changes) => {
                self.is_checked &= !changes.is_cut;
                changes.list.iter().for_each(|change| self.change(change));
            }
            // A partial clone may lack a tree. Nothing is fetched, and what cannot be read is not looked at.
            Err(_) => self.is_checked = false,
        }
    }

    fn change(&mut self, change: &Change) {
        if !self.seen.insert((change.path.clone(), change.old, change.new)) {
            return;
        }
        let modes = Modes { old: change.old.map(|side| side.mode), new: change.new.map(|side| side.mode) };
        let mut contents = Stored {
            find: self.find,
            bounds: &mut self.bounds,
            scanned: self.scanned,
            known: &mut self.known,
            is_checked: &mut self.is_checked,
            change,
        };
        for rule in judge(&change.path, modes, &mut contents) {
            self.found.entry(rule).or_default().insert(change.path.clone());
        }
    }

    fn report(self) -> Surface {
        let finding = |(rule, paths): (usize, BTreeSet<BString>)| Finding {
            code: RULES[rule].code,
            sentence: RULES[rule].sentence,
            count: paths.len(),
            paths: paths.into_iter().take(SURFACE_LISTED_PATHS_MAX).collect(),
        };
        Surface { findings: self.found.into_iter().map(finding).collect(), is_checked: self.is_checked }
    }
}

/// The contents of a changed file, read when a rule wants them. Nothing where there is none, or where it is too much.
trait Contents {
    fn before(&mut self) -> Option<Vec<u8>>;
    fn after(&mut self) -> Option<Vec<u8>>;
    /// Whether the file as it is was looked at before, and hides nothing.
    fn is_known(&self) -> bool {
        false
    }
    fn note_known(&mut self) {}
}

struct Stored<'a, 'b, F> {
    find: &'a F,
    bounds: &'b mut Bounds,
    scanned: Option<&'a Facts>,
    known: &'b mut IdSet<ObjectId>,
    is_checked: &'b mut bool,
    change: &'b Change,
}

impl<F: Find + FindHeader> Stored<'_, '_, F> {
    fn read(&mut self, side: Option<Side>) -> Option<Vec<u8>> {
        let side = side?;
        let header = self.find.try_header(&side.id).ok().flatten();
        let size = header.map_or(u64::MAX, |header| header.size);
        // Targets are small, and always looked at: their bytes are not counted.
        let is_target = Kind::of(side.mode) == Kind::Symlink;
        let has_room = size <= self.bounds.blob_bytes.min(self.bounds.bytes);
        let mut bytes = Vec::new();
        if (if is_target { size <= SURFACE_TARGET_BYTES_MAX } else { has_room })
            && matches!(self.find.try_find(&side.id, &mut bytes), Ok(Some(_)))
        {
            self.bounds.bytes -= if is_target { 0 } else { size };
            return Some(bytes);
        }
        *self.is_checked = false;
        None
    }
}

impl<F: Find + FindHeader> Contents for Stored<'_, '_, F> {
    fn before(&mut self) -> Option<Vec<u8>> {
        self.read(self.change.old)
    }

    fn after(&mut self) -> Option<Vec<u8>> {
        self.read(self.change.new)
    }

    fn is_known(&self) -> bool {
        let is_known =
            |id| self.known.contains(&id) || self.scanned.is_some_and(|facts| facts.hides_nothing(id));
        self.change.new.is_some_and(|side| is_known(side.id))
    }

    fn note_known(&mut self) {
        self.known.extend(self.change.new.map(|side| side.id));
    }
}

#[derive(Debug, Clone, Copy)]
struct Modes {
    old: Option<u32>,
    new: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Symlink,
    Submodule,
}

impl Kind {
    fn of(mode: u32) -> Self {
        match mode & 0o170_000 {
            0o120_000 => Self::Symlink,
            0o160_000 => Self::Submodule,
            _ => Self::File,
        }
    }
}

/// Returns the rules, as places in the table, that a changed file meets.
fn judge(path: &[u8], modes: Modes, contents: &mut impl Contents) -> impl Iterator<Item = usize> {
    let by_path = rules::rules_of_path(&rules::folded(path));
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    let special = names::special(name);
    let kind = modes.new.map(Kind::of);
    let same_kind = modes.old.map(Kind::of) == kind;
    // Read at most once; a file of another kind has nothing in common with what was there.
    let new = match kind {
        Some(Kind::File) if contents.is_known() && special != Some(Special::Attributes) => None,
        Some(Kind::File | Kind::Symlink) => contents.after(),
        Some(Kind::Submodule) | None => None,
    };
    let hides = new.as_deref().is_some_and(hidden::in_content);
    if new.is_some() && !hides && kind == Some(Kind::File) {
        contents.note_known();
    }
    let mut met = Vec::new();
    for (at, rule) in RULES.iter().enumerate() {
        let is_met = match rule.sign {
            Sign::Path(_) => by_path.contains(&at),
            Sign::Attributes => {
                special == Some(Special::Attributes)
                    && (kind == Some(Kind::Symlink) || {
                        let old = modes.old.map(|_| contents.before());
                        choose_otherwise(old.as_ref(), modes.new.is_some().then_some(&new))
                    })
            }
            Sign::Modules => special == Some(Special::Modules),
            Sign::Submodule => kind == Some(Kind::Submodule),
            Sign::Symlink => {
                kind == Some(Kind::Symlink)
                    && new.as_deref().is_none_or(|target| symlink::leaves(path, target))
            }
            Sign::Executable => is_executable(modes.old) != is_executable(modes.new) && modes.new.is_some(),
            Sign::Hidden => {
                (modes.old.is_none() && modes.new.is_some() && hidden::in_path(path))
                    || new.as_deref().filter(|_| hides).is_some_and(|new| {
                        let old = if same_kind { contents.before() } else { None };
                        old.is_none_or(|old| hidden::in_added_lines(&old, new))
                    })
            }
        };
        if is_met {
            met.push(at);
        }
    }
    met.into_iter()
}

fn is_executable(mode: Option<u32>) -> bool {
    mode.is_some_and(|mode| Kind::of(mode) == Kind::File && mode & 0o111 != 0)
}

/// Returns whether two states of a `.gitattributes` choose drivers differently, as far as can be told. The outer nothing is
/// no file, the inner one a file that could not be read.
fn choose_otherwise(old: Option<&Option<Vec<u8>>>, new: Option<&Option<Vec<u8>>>) -> bool {
    let lines = |side: Option<&Option<Vec<u8>>>| match side {
        None => Some(Vec::new()),
        Some(content) => content.as_deref().map(|content| drivers(content).map(<[u8]>::to_vec).collect()),
    };
    match (lines(old), lines(new)) {
        (Some(old), Some(new)) => old != new,
        _ => true,
    }
}

/// Returns the lines that choose drivers, in their order; all lines, where macros are defined, as any of them may choose one.
fn drivers(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let has_macros = content.contains_str("[attr]");
    let words = ["filter", "diff", "merge", "encoding"];
    let is_chosen = move |line: &&[u8]| has_macros || words.iter().any(|word| line.contains_str(word));
    content.split(|byte| *byte == b'\n').filter(is_chosen)
}

#[cfg(test)]
mod tests;
