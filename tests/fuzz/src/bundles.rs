//! Targets for what takes in bundles: the header alone, and a whole bundle against a tiny repository.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};

use bundle::{Budgets, FileSide, Header, ImportError, ImportOptions, Imported, PreviewOptions};
use kit::Env;

pub(crate) fn header(bytes: &[u8]) {
    let Ok((header, length)) = Header::parse(bytes) else { return };
    assert!(length <= bytes.len());
    let mut writing = Vec::new();
    header.write_to(&mut writing).expect("a vector takes all");
    let (again, _) = Header::parse(&writing).expect("our own writing");
    assert_eq!(again, header);
}

/// A path, a digit for each side's mode, what was there, what is there: four parts with a NUL between.
pub(crate) fn surface(bytes: &[u8]) {
    let mut parts = bytes.splitn(4, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let (path, modes, old, new) = (part(), part(), part(), part());
    let side = |at: usize, content| {
        let mode = match modes.get(at)? {
            b'f' => 0o100_644,
            b'x' => 0o100_755,
            b'l' => 0o120_000,
            b's' => 0o160_000,
            _ => return None,
        };
        Some(FileSide { mode, content })
    };
    let (old, new) = (side(0, old), side(1, new));
    let codes = bundle::surface_codes(path, old, new);
    let table: Vec<_> = bundle::surface_rules().map(|(code, _)| code).collect();
    let places: Vec<_> = codes.iter().map(|code| table.iter().position(|rule| rule == code)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{codes:?}");
    let has = |code| codes.contains(&code);
    if new.is_none() {
        assert!(!has("symlinks") && !has("executables") && !has("submodules") && !has("hidden_characters"));
    }
    if old == new {
        assert!(
            !has("executables") && !has("git_attributes") || new.is_some_and(|new| new.mode == 0o120_000)
        );
        assert!(!has("hidden_characters"), "no line was added");
    }
    // Case matters to no rule about paths; contents and links are compared as they are.
    let shouted = path.to_ascii_uppercase();
    assert_eq!(bundle::surface_codes(&shouted, old, new), codes);
}

/// A repository with two commits, on which bundles of the corpus build, to which bundles are offered and which never changes.
pub(crate) struct Receiver {
    path: PathBuf,
    scratch: PathBuf,
    files: BTreeMap<PathBuf, Vec<u8>>,
    _env: Env,
}

impl Receiver {
    pub(crate) fn new() -> Self {
        let env = Env::new();
        let path = env.init("receiver");
        env.commit(&path, "a.txt", "one\n", "one");
        let lines = (0..30).map(|i| format!("line {i} of a file that is long enough to be a delta\n"));
        env.commit(&path, "b.txt", lines.collect::<String>(), "two");
        let scratch = env.path("scratch");
        std::fs::create_dir(&scratch).expect("a folder");
        let files = files(&path);
        Self { path, scratch, files, _env: env }
    }

    /// Imports `bytes` for a trial; whatever comes of it, no file of the repository differs afterwards.
    pub(crate) fn import(&self, bytes: &[u8]) {
        // It may go either way; what counts is that nothing panics and nothing stays.
        drop(self.offer(bytes));
    }

    /// Imports `bytes` for a trial and returns what came of it.
    pub(crate) fn offer(&self, bytes: &[u8]) -> Result<Imported, ImportError> {
        let repo = bundle::open(&self.path).expect("a repository");
        let mut options = ImportOptions::new([7; 32]);
        options.budgets = budgets();
        options.allow_unrelated = true;
        options.dry_run = true;
        let outcome = bundle::import(&repo, &mut file(bytes), &options, &mut |_| ());
        assert!(files(&self.path) == self.files, "a file of the repository differs");
        outcome
    }

    /// Looks at `bytes`; nothing of it stays in the scratch folder.
    pub(crate) fn preview(&self, bytes: &[u8]) {
        let repo = bundle::open(&self.path).expect("a repository");
        let options = PreviewOptions { budgets: budgets(), ..PreviewOptions::default() };
        for repo in [Some(&repo), None] {
            drop(bundle::preview(repo, &mut file(bytes), &self.scratch, &options, &mut |_| ()));
        }
        assert_eq!(files(&self.scratch), BTreeMap::new());
        assert!(files(&self.path) == self.files, "a file of the repository differs");
    }
}

/// Small, so that no input takes long.
fn budgets() -> Budgets {
    Budgets { objects: 1000, object_bytes: 1 << 20, total_bytes: 4 << 20, ..Budgets::default() }
}

/// Returns a file of `bytes`, the checksum at the end of its pack made right: else most inputs would fail there.
fn file(bytes: &[u8]) -> File {
    let mut bytes = bytes.to_vec();
    if let Ok((header, at)) = Header::parse(&bytes)
        && let Some(end) = bytes.len().checked_sub(header.object_format.len_in_bytes())
        && at < end
    {
        let mut hasher = gix::hash::hasher(header.object_format);
        hasher.update(&bytes[at..end]);
        let checksum = hasher.try_finalize().expect("no collision by chance");
        bytes[end..].copy_from_slice(checksum.as_slice());
    }
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(&bytes).expect("a temporary file takes all");
    file.rewind().expect("a file has a beginning");
    file
}

/// Every file below `folder` with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("a readable file");
                found.insert(path, bytes);
            }
        }
    }
    found
}
