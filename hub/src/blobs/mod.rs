//! Blobs as files: bytes under their hash, and the staging files they grow in.
//!
//! Everything here blocks and runs on a blocking thread. Who may read or write what is decided in the store.

mod staging;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::id::BlobId;

use self::staging::Slot;
pub(crate) use self::staging::{StagingKey, Upload};
use crate::fatal::Fatal;

/// Says why bytes could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlobError {
    /// A newer upload of the same blob by the same agent took over.
    #[error("a newer upload of this blob took over")]
    Superseded,
    /// The upload ended before, by success or by an error that was reported then.
    #[error("this upload has ended")]
    Ended,
    /// More bytes came than were declared.
    #[error("more bytes came than were declared")]
    Overrun,
    /// What arrived hashes to something else; the staged bytes are gone.
    #[error("the bytes are not those of the announced id")]
    HashMismatch,
    /// The disk has no room; the staged bytes are gone.
    #[error("the hub's disk is full")]
    DiskFull,
    /// The hub's cap on bytes for blobs is reached; the staged bytes are gone.
    #[error("the hub keeps no more bytes for blobs")]
    OverQuota {
        /// The cap.
        bytes_max: u64,
    },
    /// The agent has as many uploads running as it may.
    #[error("too many uploads are running")]
    TooMany,
    /// The file is not there any more.
    #[error("the bytes expired")]
    Gone,
    /// The disk cannot be trusted any more and the hub is about to end.
    #[error("the hub is ending")]
    Stopped,
    /// Anything else the operating system said.
    #[error("the hub could not work on its disk")]
    Io(#[from] io::Error),
}

/// What may be kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caps {
    /// Bytes of all blobs and staging files together.
    pub(crate) disk_bytes_max: u64,
    /// Staging files of one agent.
    pub(crate) staged_per_agent_max: usize,
}

/// The blob directory; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Blobs {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    files: PathBuf,
    staging: PathBuf,
    /// The folder of the files, kept open to flush renames into it.
    files_folder: File,
    caps: Caps,
    /// Bytes in both folders.
    used: AtomicU64,
    slots: Mutex<HashMap<StagingKey, Arc<Slot>>>,
    /// Shared from a rename to its row's commit, exclusive from a row's deletion to its file's: so a blob that comes
    /// back while it expires keeps its bytes.
    landing: tokio::sync::RwLock<()>,
    fatal: Fatal,
}

impl Blobs {
    /// Opens the directory under `folder`, making it when it is not there, and counts what it holds.
    pub(crate) fn open(folder: &Path, caps: Caps, fatal: Fatal) -> io::Result<Self> {
        let files = folder.join("blobs");
        let staging = folder.join("staging");
        for path in [&files, &staging] {
            private_folder(path)?;
        }
        File::open(folder)?.sync_all()?;
        let used = folder_bytes(&files)? + folder_bytes(&staging)?;
        let shared = Shared {
            files_folder: File::open(&files)?,
            files,
            staging,
            caps,
            used: AtomicU64::new(used),
            slots: Mutex::default(),
            landing: tokio::sync::RwLock::new(()),
            fatal,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Begins or resumes the upload of a blob of `size` bytes, taking over from one that is still running.
    pub(crate) fn stage(&self, key: StagingKey, size: u64) -> Result<Upload, BlobError> {
        Upload::begin(self.clone(), key, size)
    }

    /// Opens the bytes of a blob for reading. The caller has asked the store whether it may.
    pub(crate) fn read(&self, id: BlobId) -> Result<BlobFile, BlobError> {
        let file = match File::open(self.path(id)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BlobError::Gone),
            Err(error) => return Err(error.into()),
        };
        let size = file.metadata()?.len();
        Ok(BlobFile { file: Arc::new(file), size })
    }

    /// Returns the bytes kept in files and staging together.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.shared.used.load(Ordering::Relaxed)
    }

    /// Keeps files from being removed until the guard is dropped: held from before a rename until its row is committed.
    pub(crate) async fn land(&self) -> tokio::sync::RwLockReadGuard<'_, ()> {
        self.shared.landing.read().await
    }

    /// Keeps uploads from landing until the guard is dropped: held from a row's deletion until its file is removed.
    pub(crate) async fn clear(&self) -> tokio::sync::RwLockWriteGuard<'_, ()> {
        self.shared.landing.write().await
    }

    /// Lists the ids of all files.
    pub(crate) fn ids(&self) -> io::Result<Vec<BlobId>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.shared.files)? {
            let name = entry?.file_name();
            match name.to_str().and_then(|name| name.parse().ok()) {
                Some(id) => ids.push(id),
                None => tracing::warn!(?name, "this file in the blob directory is none of ours"),
            }
        }
        Ok(ids)
    }

    /// Removes the file of a blob that has no row any more. A file that is not there is no error.
    pub(crate) fn remove(&self, id: BlobId) -> io::Result<()> {
        self.remove_file(&self.path(id))
    }

    /// Removes the staging files that nobody has written to for `age`, by the file system's clock.
    pub(crate) fn remove_stale_staging(&self, age: Duration) -> io::Result<usize> {
        let running = self.lock_slots();
        let mut removed = 0;
        for entry in fs::read_dir(&self.shared.staging)? {
            let entry = entry?;
            let key = StagingKey::of_file_name(&entry.file_name());
            if key.is_some_and(|key| running.contains_key(&key)) {
                continue;
            }
            let is_stale = entry.metadata()?.modified()?.elapsed().is_ok_and(|elapsed| elapsed >= age);
            if is_stale || key.is_none() {
                self.remove_file(&entry.path())?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let size = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        fs::remove_file(path)?;
        self.refund(size);
        Ok(())
    }

    fn path(&self, id: BlobId) -> PathBuf {
        self.shared.files.join(id.to_string())
    }

    fn lock_slots(&self) -> MutexGuard<'_, HashMap<StagingKey, Arc<Slot>>> {
        self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts `bytes` against the cap before they are written.
    fn charge(&self, bytes: u64) -> Result<(), BlobError> {
        let cap = self.shared.caps.disk_bytes_max;
        let charged = self.shared.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|used| *used <= cap)
        });
        charged.map(|_| ()).map_err(|_| BlobError::OverQuota { bytes_max: cap })
    }

    fn refund(&self, bytes: u64) {
        let refunded = self
            .shared
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used.saturating_sub(bytes)));
        debug_assert!(refunded.is_ok(), "the closure never declines");
    }

    /// Flushes `file`. When that fails nobody knows what the disk holds, and the hub ends.
    fn flush(&self, file: &File) -> Result<(), BlobError> {
        file.sync_all().map_err(|error| {
            self.shared.fatal.raise("a blob could not be flushed to disk", Arc::new(error));
            BlobError::Stopped
        })
    }
}

/// The bytes of one blob, open for reading; they stay readable when the blob expires meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct BlobFile {
    file: Arc<File>,
    size: u64,
}

impl BlobFile {
    /// Returns the length in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Appends to `buffer` at most `bytes_max` bytes from `offset` on; fewer only at the end.
    pub(crate) fn read_at(
        &self,
        offset: u64,
        bytes_max: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), BlobError> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let start = buffer.len();
        buffer.resize(start + left.min(bytes_max), 0);
        self.file.read_exact_at(&mut buffer[start..], offset)?;
        Ok(())
    }
}

/// Makes `path` a folder of mode 0700, or checks that it is one.
fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn folder_bytes(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
