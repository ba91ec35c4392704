//! Repositories made from a seed through `git fast-import`: the same seed and shape give the same ids on every
//! machine. Text changes a few lines at a time, so that deltas are worth finding.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;

use crate::{Env, Random};

/// What the committer dates of a history say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Every commit a minute after the one before.
    Rising,
    /// All commits in the same second, as agents make them.
    Equal,
    /// Any order: clocks were wrong.
    Skewed,
}

/// The hash that names objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectFormat {
    /// 40 digits.
    Sha1,
    /// 64 digits.
    Sha256,
}

/// What a history looks like; the default is 30 commits in one line.
#[derive(Clone, Debug)]
pub struct Shape {
    /// How many commits.
    pub commits: usize,
    /// How many of a hundred commits do not follow the newest one but an older one (a branch).
    pub branch_percent: usize,
    /// How many of a hundred commits have two or three parents.
    pub merge_percent: usize,
    /// How many of a hundred commits rename a file.
    pub rename_percent: usize,
    /// What the clocks said.
    pub times: Times,
    /// Files in the first commit.
    pub files: usize,
    /// Lines in a new file, about.
    pub lines: usize,
    /// Size of a file `big.bin` that the last commit adds and that does not compress; 0 for none.
    pub big_blob_bytes: usize,
    /// The hash that names objects.
    pub object_format: ObjectFormat,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            commits: 30,
            branch_percent: 0,
            merge_percent: 0,
            rename_percent: 0,
            times: Times::Rising,
            files: 12,
            lines: 60,
            big_blob_bytes: 0,
            object_format: ObjectFormat::Sha1,
        }
    }
}

/// A repository that [`History::seeded`] made.
#[derive(Clone, Debug)]
pub struct History {
    /// Its work tree, checked out at `main`; a repository without one where nothing else is said.
    pub path: PathBuf,
    /// The ids of its commits in the order they were made: parents first, `main` last. What `main` does not
    /// reach has branches of its own, named `side-<number of the commit>`.
    pub commits: Vec<String>,
}

type Tree = BTreeMap<String, Rc<str>>;

struct Commit {
    parents: Vec<usize>,
    seconds: usize,
    changes: Vec<Change>,
    tree: Tree,
}

enum Change {
    Write(String),
    Rename(String, String),
    Delete(String),
}

impl History {
    /// Makes the repository of `seed` and `shape` at `name` below the environment's root, checked out at `main`.
    ///
    /// ```
    /// let env = kit::Env::new();
    /// let history = kit::History::seeded(&env, "one", 1, &kit::Shape::default());
    /// assert_eq!(history.commits.len(), 30);
    /// assert_eq!(env.git(&history.path, ["rev-parse", "HEAD"]), history.commits[29]);
    /// ```
    pub fn seeded(env: &Env, name: &str, seed: u64, shape: &Shape) -> Self {
        let format = match shape.object_format {
            ObjectFormat::Sha1 => "--object-format=sha1",
            ObjectFormat::Sha256 => "--object-format=sha256",
        };
        env.git(env.root(), ["init", "--quiet", format, name]);
        let path = env.path(name);
        let commits = import(env, &path, &stream(seed, shape));
        env.git(&path, ["reset", "--quiet", "--hard"]);
        Self { path, commits }
    }

    /// Returns the id of the newest commit, which `main` names.
    #[must_use]
    pub fn tip(&self) -> &str {
        self.commits.last().expect("a history has a commit")
    }
}

/// Feeds `stream` to `git fast-import` and returns the commits by mark.
fn import(env: &Env, repo: &Path, stream: &[u8]) -> Vec<String> {
    let marks = repo.join(".git/kit-marks");
    let mut child = env
        .command("git")
        .args(["fast-import", "--quiet", "--force", "--export-marks=.git/kit-marks"])
        .current_dir(repo)
        .stdin(Stdio::piped())
        .spawn()
        .expect("git starts");
    child.stdin.take().expect("it was asked for").write_all(stream).expect("git reads the whole stream");
    assert!(child.wait().expect("git ends").success(), "git fast-import refused the stream");
    let text = fs::read_to_string(&marks).expect("git wrote the marks");
    fs::remove_file(marks).expect("the marks are there");
    let mut commits: Vec<(usize, String)> = text
        .lines()
        .map(|line| {
            let (mark, id) = line[1..].split_once(' ').expect("a mark and an id");
            (mark.parse().expect("a mark is a number"), id.to_owned())
        })
        .collect();
    commits.sort_unstable();
    commits.into_iter().map(|(_, id)| id).collect()
}

/// Writes the whole history in the language of `git-fast-import(1)`.
fn stream(seed: u64, shape: &Shape) -> Vec<u8> {
    assert!(shape.commits > 0 && shape.files > 0, "a history has a commit and a file");
    let mut random = Random::new(seed);
    let mut commits: Vec<Commit> = Vec::with_capacity(shape.commits);
    for number in 0..shape.commits {
        let commit = next_commit(&mut random, shape, &commits, number);
        commits.push(commit);
    }
    let mut out = Vec::new();
    for (number, commit) in commits.iter().enumerate() {
        let last = number + 1 == commits.len();
        let has_child = commits.iter().any(|other| other.parents.contains(&number));
        let branch = if last || has_child { "main".to_owned() } else { format!("side-{number}") };
        write_commit(&mut out, number, commit, &branch);
        if last && shape.big_blob_bytes > 0 {
            write_file(&mut out, "100644", "big.bin", &random.bytes(shape.big_blob_bytes));
        }
    }
    out
}

fn next_commit(random: &mut Random, shape: &Shape, before: &[Commit], number: usize) -> Commit {
    let parents = choose_parents(random, shape, number);
    let seconds = 1_700_000_000
        + match shape.times {
            Times::Rising => number * 60,
            Times::Equal => 0,
            Times::Skewed => random.below(shape.commits * 60),
        };
    let mut tree = parents.first().map(|parent| before[*parent].tree.clone()).unwrap_or_default();
    let mut changes = Vec::new();
    for parent in parents.iter().skip(1) {
        for (path, content) in &before[*parent].tree {
            if !tree.contains_key(path) {
                tree.insert(path.clone(), Rc::clone(content));
                changes.push(Change::Write(path.clone()));
            }
        }
    }
    let added = if parents.is_empty() { shape.files } else { random.below(8) / 7 };
    for _ in 0..added {
        let path = new_path(random);
        tree.insert(path.clone(), Rc::from(new_text(random, shape.lines)));
        changes.push(Change::Write(path));
    }
    if random.chance(shape.rename_percent) {
        let (from, to) = (any_path(random, &tree), new_path(random));
        if !tree.contains_key(&to) {
            let content = tree.remove(&from).expect("it was chosen from the tree");
            tree.insert(to.clone(), content);
            changes.push(Change::Rename(from, to));
        }
    }
    if tree.len() > shape.files && random.chance(5) {
        let path = any_path(random, &tree);
        tree.remove(&path);
        changes.push(Change::Delete(path));
    }
    for _ in 0..=random.below(3) {
        let path = any_path(random, &tree);
        let edited = edit(random, &tree[&path]);
        tree.insert(path.clone(), Rc::from(edited));
        changes.push(Change::Write(path));
    }
    // A change names content as it is in the end, so an earlier write of a path that went later is no change.
    let changes = settle(changes, &tree);
    Commit { parents, seconds, changes, tree }
}

fn choose_parents(random: &mut Random, shape: &Shape, number: usize) -> Vec<usize> {
    if number == 0 {
        return Vec::new();
    }
    let recent = |random: &mut Random| number - 1 - random.below(number.min(12));
    let first = if random.chance(shape.branch_percent) { recent(random) } else { number - 1 };
    let mut parents = vec![first];
    if random.chance(shape.merge_percent) {
        for _ in 0..=random.below(4) / 3 {
            let parent = recent(random);
            if !parents.contains(&parent) {
                parents.push(parent);
            }
        }
    }
    parents
}

/// Renames first, then deletions, then writes of what is there in the end, each once.
fn settle(changes: Vec<Change>, tree: &Tree) -> Vec<Change> {
    let mut writes: Vec<String> = Vec::new();
    let mut settled = Vec::new();
    for change in changes {
        match change {
            // The source may be new in this very commit: then a write of the new name says everything.
            Change::Rename(from, to) if writes.contains(&from) => writes.push(to),
            Change::Write(path) => writes.push(path),
            Change::Rename(..) | Change::Delete(_) => settled.push(change),
        }
    }
    writes.retain(|path| tree.contains_key(path));
    writes.sort_unstable();
    writes.dedup();
    settled.extend(writes.into_iter().map(Change::Write));
    settled
}

fn write_commit(out: &mut Vec<u8>, number: usize, commit: &Commit, branch: &str) {
    let mut head = format!("commit refs/heads/{branch}\nmark :{}\n", number + 1);
    for role in ["author", "committer"] {
        let seconds = commit.seconds;
        writeln!(head, "{role} Ada Example <ada@example.com> {seconds} +0000").expect("a String grows");
    }
    let subject = format!("change {number}\n");
    write!(head, "data {}\n{subject}", subject.len()).expect("a String grows");
    for (place, parent) in commit.parents.iter().enumerate() {
        let word = if place == 0 { "from" } else { "merge" };
        writeln!(head, "{word} :{}", parent + 1).expect("a String grows");
    }
    if commit.parents.is_empty() {
        // A branch of this name may have been written to already.
        head.push_str("deleteall\n");
    }
    out.extend_from_slice(head.as_bytes());
    for change in &commit.changes {
        match change {
            Change::Write(path) => {
                let mode = if path.ends_with(".sh") { "100755" } else { "100644" };
                write_file(out, mode, path, commit.tree[path].as_bytes());
            }
            Change::Rename(from, to) => out.extend_from_slice(format!("R {from} {to}\n").as_bytes()),
            Change::Delete(path) => out.extend_from_slice(format!("D {path}\n").as_bytes()),
        }
    }
    if commit.parents.is_empty() {
        write_file(out, "120000", "latest", b"src");
    }
}

fn write_file(out: &mut Vec<u8>, mode: &str, path: &str, content: &[u8]) {
    out.extend_from_slice(format!("M {mode} inline {path}\ndata {}\n", content.len()).as_bytes());
    out.extend_from_slice(content);
    out.push(b'\n');
}

fn any_path(random: &mut Random, tree: &Tree) -> String {
    tree.keys().nth(random.below(tree.len())).expect("a tree of ours is never empty").clone()
}

fn new_path(random: &mut Random) -> String {
    let name = random.below(100_000);
    match random.below(8) {
        0 => format!("file{name}.txt"),
        1 => format!("tools/run{name}.sh"),
        2..=4 => format!("src/part{}/mod{name}.rs", random.below(4)),
        _ => format!("src/file{name}.rs"),
    }
}

const WORDS: [&str; 16] = [
    "commit", "tree", "blob", "branch", "merge", "index", "walk", "pack", "delta", "window", "base", "ref",
    "remote", "object", "graph", "parent",
];

fn new_line(random: &mut Random) -> String {
    let words: Vec<_> = (0..3 + random.below(6)).map(|_| WORDS[random.below(WORDS.len())]).collect();
    format!("{} {:x}\n", words.join(" "), random.below(0x1_0000))
}

fn new_text(random: &mut Random, lines: usize) -> String {
    (0..=lines / 2 + random.below(lines + 1)).map(|_| new_line(random)).collect()
}

fn edit(random: &mut Random, text: &str) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for _ in 0..=random.below(4) {
        let at = random.below(lines.len().max(1));
        match random.below(3) {
            0 if lines.len() > 3 => {
                lines.remove(at);
            }
            1 if at < lines.len() => lines[at] = new_line(random),
            _ => lines.insert(at, new_line(random)),
        }
    }
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wild() -> Shape {
        Shape { commits: 80, branch_percent: 40, merge_percent: 30, rename_percent: 20, ..Shape::default() }
    }

    #[test]
    fn a_seeded_history_passes_fsck_and_is_the_same_each_time() {
        let env = Env::new();
        for (seed, times) in [(1, Times::Rising), (2, Times::Equal), (3, Times::Skewed)] {
            let shape = Shape { times, ..wild() };
            let one = History::seeded(&env, &format!("one{seed}"), seed, &shape);
            let two = History::seeded(&env, &format!("two{seed}"), seed, &shape);
            assert_eq!(one.commits, two.commits);
            assert_eq!(env.git(&one.path, ["rev-parse", "main"]), one.tip());
            assert_eq!(env.git(&one.path, ["rev-list", "--all", "--count"]), "80");
            env.git(&one.path, ["fsck", "--strict", "--no-dangling"]);
            assert_eq!(env.git(&one.path, ["status", "--porcelain"]), "");
        }
    }

    #[test]
    fn a_wild_history_has_merges_renames_and_side_branches() {
        let env = Env::new();
        let history = History::seeded(&env, "wild", 4, &wild());
        let count = |args: &[&str]| env.git(&history.path, args).lines().count();
        assert!(count(&["rev-list", "--merges", "--all"]) > 5);
        assert!(count(&["log", "--all", "--diff-filter=R", "-M", "--format=", "--name-status"]) > 3);
        assert!(count(&["for-each-ref", "refs/heads/side-*"]) > 0);
    }

    #[test]
    fn a_history_can_hold_sha256_objects_and_a_big_blob() {
        let env = Env::new();
        let shape = Shape {
            commits: 3,
            big_blob_bytes: 300_000,
            object_format: ObjectFormat::Sha256,
            ..Shape::default()
        };
        let history = History::seeded(&env, "big", 5, &shape);
        assert_eq!(history.tip().len(), 64);
        assert_eq!(env.git(&history.path, ["cat-file", "-s", "main:big.bin"]), "300000");
    }
}
