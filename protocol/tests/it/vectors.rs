//! The files of `tests/golden/` against what this version writes. `UPDATE_GOLDEN=1` writes them anew; a vector that differs
//! afterwards is a change of the protocol.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Returns the vectors of a file, after comparing them one by one with `ours`.
pub(crate) fn compare<T>(name: &str, ours: &[T]) -> Vec<T>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let path = folder().join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let text = serde_json::to_string_pretty(ours).expect("vectors are JSON");
        std::fs::write(&path, text + "\n").expect("the folder of the vectors can be written");
    }
    let theirs: Vec<T> = read(name);
    for (theirs, ours) in theirs.iter().zip(ours) {
        assert_eq!(theirs, ours, "{name}");
    }
    assert_eq!(theirs.len(), ours.len(), "{name}");
    theirs
}

/// Reads a file of vectors.
pub(crate) fn read<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let path = folder().join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns a path inside the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn folder() -> PathBuf {
    project("tests/golden")
}
