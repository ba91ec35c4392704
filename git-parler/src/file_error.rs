//! Why work on the user's own files stops, whether `setup` or `connect` does it.

use std::io;
use std::path::{Path, PathBuf};

/// What has nothing to do with what the files are for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The path of the running program cannot be told.
    #[error("the place of the program cannot be told")]
    NoProgram(#[source] io::Error),
    /// No variable tells where the user's folders are.
    #[error("there is no home directory")]
    NoHome,
    /// A file or folder cannot be read, written or removed.
    #[error("{} cannot be {action}", .path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// Returns what makes an error of the failure to do `action` with `path`.
pub(crate) fn failed(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError::File { path: path.to_path_buf(), action, source }
}
