//! Why a hub could not start, or had to end.

use std::io;
use std::path::PathBuf;

use crate::config::Listen;
use crate::fatal::Unsafe;
use crate::store::sqlite::OpenError;

/// Why a hub could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another hub holds the lock of the folder.
    #[error("another hub runs in {}", data.display())]
    AlreadyRuns {
        /// The folder.
        data: PathBuf,
    },
    /// A file or folder of the hub could not be made or read.
    #[error("the hub's files cannot be used: {}", path.display())]
    Files {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The key file does not hold the seed of a hub's key.
    #[error("{} does not hold the key of a hub", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: protocol::id::ParseError,
    },
    /// The database was made under another key.
    #[error("the database {} belongs to a hub with another key", path.display())]
    KeyChanged {
        /// The database.
        path: PathBuf,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random(#[source] getrandom::Error),
    /// The database could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database failed while the hub started.
    #[error("the database failed at the start")]
    Start(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is nowhere to listen.
    #[error("there is no address to listen at")]
    NoAddress,
    /// The address cannot be listened at.
    #[error("cannot listen at {address}")]
    Listen {
        /// The address.
        address: Listen,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The address is reached from other machines, and nobody said under which name.
    #[error("{address} is reached from other machines, so the hub needs the URL under which they reach it")]
    UrlRequired {
        /// The address.
        address: Listen,
    },
    /// The disk cannot be trusted any more; what was answered before is safe.
    #[error("the hub ended because its disk failed")]
    Unsafe(#[from] Unsafe),
}
