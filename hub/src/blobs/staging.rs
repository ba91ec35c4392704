//! Uploads on their way: a staging file that grows, is hashed as it does, and becomes a blob in one rename.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::id::{BlobId, RoomId};
use protocol::key::AgentId;
use sha2::{Digest as _, Sha256};

use super::{BlobError, Blobs};

/// Whose upload of which blob into which room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StagingKey {
    /// Who sends.
    pub(crate) agent: AgentId,
    /// The room to bind the blob to.
    pub(crate) room: RoomId,
    /// The announced id.
    pub(crate) id: BlobId,
}

impl StagingKey {
    fn file_name(&self) -> String {
        format!("{}-{}-{}", self.agent, self.room, self.id)
    }

    pub(super) fn of_file_name(name: &OsStr) -> Option<Self> {
        let mut fields = name.to_str()?.split('-');
        let key = Self {
            agent: fields.next()?.parse().ok()?,
            room: fields.next()?.parse().ok()?,
            id: fields.next()?.parse().ok()?,
        };
        fields.next().is_none().then_some(key)
    }
}

/// The place of one upload in the table of running ones.
#[derive(Debug)]
pub(super) struct Slot {
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Open(Staged),
    Superseded,
    Ended,
}

#[derive(Debug)]
struct Staged {
    file: File,
    hash: Sha256,
    offset: u64,
    /// Bytes written since the last flush.
    unflushed: u64,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One running upload. Dropping it keeps what arrived, for a later one to resume.
#[derive(Debug)]
pub(crate) struct Upload {
    blobs: Blobs,
    key: StagingKey,
    size: u64,
    path: PathBuf,
    slot: Arc<Slot>,
    resumed_at: u64,
}

impl Upload {
    pub(super) fn begin(blobs: Blobs, key: StagingKey, size: u64) -> Result<Self, BlobError> {
        let path = blobs.shared.staging.join(key.file_name());
        let slot = Arc::new(Slot { state: Mutex::new(State::Ended) });
        let mut state = slot.lock();
        let older = {
            let mut slots = blobs.lock_slots();
            make_room(&blobs, &slots, key)?;
            slots.insert(key, Arc::clone(&slot))
        };
        // Waits for a write of the older upload to end; a still newer one waits for this one's lock in turn.
        let taken = older.map(|older| std::mem::replace(&mut *older.lock(), State::Superseded));
        // From here on the slot is in the table, and dropping the upload takes it out again.
        let mut upload = Self { blobs, key, size, path, slot: Arc::clone(&slot), resumed_at: 0 };
        let staged = match taken {
            Some(State::Open(staged)) => Ok(staged),
            _ => open(&upload.path),
        };
        let staged = staged.map_err(BlobError::from).and_then(|staged| upload.check_room(staged));
        match staged {
            Ok(staged) => {
                upload.resumed_at = staged.offset;
                *state = State::Open(staged);
                drop(state);
                Ok(upload)
            }
            Err(error) => {
                drop(state);
                Err(error)
            }
        }
    }

    /// Returns how many bytes had arrived before: where the sender goes on.
    pub(crate) fn resumed_at(&self) -> u64 {
        self.resumed_at
    }

    /// Appends bytes and returns how many there are now.
    pub(crate) fn append(&self, bytes: &[u8]) -> Result<u64, BlobError> {
        let mut state = self.slot.lock();
        let staged = open_state(&mut state)?;
        let length = bytes.len() as u64;
        if staged.offset + length > self.size {
            return Err(BlobError::Overrun);
        }
        let written = self.blobs.charge(length).and_then(|()| staged.file.write_all(bytes).map_err(of_write));
        if let Err(error) = written {
            // The file's length is what counts from here on, not what was charged for the last piece.
            self.discard(&mut state, if matches!(error, BlobError::OverQuota { .. }) { 0 } else { length });
            return Err(error);
        }
        staged.hash.update(bytes);
        staged.offset += length;
        staged.unflushed += length;
        // In slices, so that no flush at the end keeps the disk from the messages of others for long.
        if staged.unflushed >= FLUSH_EVERY_BYTES {
            self.blobs.flush(&staged.file)?;
            staged.unflushed = 0;
        }
        Ok(staged.offset)
    }

    /// Makes the staged bytes a blob: checks the hash, flushes, renames, flushes the folder. Its row comes after that.
    /// Hold [`Blobs::land`] from before this until then.
    pub(crate) fn finish(&self) -> Result<(), BlobError> {
        let mut state = self.slot.lock();
        let staged = open_state(&mut state)?;
        let hash: [u8; 32] = staged.hash.clone().finalize().into();
        if staged.offset != self.size || hash != *self.key.id.as_bytes() {
            self.discard(&mut state, 0);
            return Err(BlobError::HashMismatch);
        }
        self.blobs.flush(&staged.file)?;
        let path = self.blobs.path(self.key.id);
        let is_known = {
            // Two rooms may land the same blob at once, and only one of them adds bytes.
            let _one_at_a_time = self.blobs.lock_slots();
            let is_known = path.try_exists()?;
            fs::rename(&self.path, &path)?;
            is_known
        };
        self.blobs.flush(&self.blobs.shared.files_folder)?;
        if is_known {
            self.blobs.refund(self.size);
        }
        *state = State::Ended;
        Ok(())
    }

    /// Starts over when the staged bytes cannot be a prefix, and refuses what has no room on the disk.
    fn check_room(&self, mut staged: Staged) -> Result<Staged, BlobError> {
        if staged.offset > self.size {
            staged.file.set_len(0)?;
            staged.file.rewind()?;
            self.blobs.refund(staged.offset);
            staged = Staged { offset: 0, unflushed: 0, hash: Sha256::new(), ..staged };
        }
        let missing = self.size - staged.offset;
        let bytes_max = self.blobs.shared.caps.disk_bytes_max;
        if self.blobs.used_bytes().saturating_add(missing) > bytes_max {
            return Err(self.without_empty_file(&staged, BlobError::OverQuota { bytes_max }));
        }
        let disk = rustix::fs::fstatvfs(&self.blobs.shared.files_folder).map_err(io::Error::from)?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < missing {
            return Err(self.without_empty_file(&staged, BlobError::DiskFull));
        }
        Ok(staged)
    }

    fn without_empty_file(&self, staged: &Staged, error: BlobError) -> BlobError {
        if staged.offset == 0 {
            remove_staging(&self.path);
        }
        error
    }

    /// Removes the staging file and gives its bytes back, with `charged` more that were counted and not written.
    fn discard(&self, state: &mut State, charged: u64) {
        if let State::Open(staged) = std::mem::replace(state, State::Ended) {
            remove_staging(&self.path);
            self.blobs.refund(staged.offset + charged);
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let mut slots = self.blobs.lock_slots();
        // A newer upload may stand there already.
        if slots.get(&self.key).is_some_and(|slot| Arc::ptr_eq(slot, &self.slot)) {
            slots.remove(&self.key);
        }
    }
}

fn open_state(state: &mut State) -> Result<&mut Staged, BlobError> {
    match state {
        State::Open(staged) => Ok(staged),
        State::Superseded => Err(BlobError::Superseded),
        State::Ended => Err(BlobError::Ended),
    }
}

/// Opens a staging file and hashes what it holds.
fn open(path: &Path) -> io::Result<Staged> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    let mut hash = Sha256::new();
    let mut offset = 0;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(Staged { file, hash, offset, unflushed: offset });
        }
        hash.update(&piece[..read]);
        offset += read as u64;
    }
}

/// Removes the agent's oldest abandoned staging file when it has as many as it may.
fn make_room(
    blobs: &Blobs,
    running: &HashMap<StagingKey, Arc<Slot>>,
    key: StagingKey,
) -> Result<(), BlobError> {
    let mut others: HashSet<StagingKey> = running.keys().copied().collect();
    let mut oldest: Option<(std::time::SystemTime, PathBuf)> = None;
    for entry in fs::read_dir(&blobs.shared.staging)? {
        let entry = entry?;
        let Some(other) = StagingKey::of_file_name(&entry.file_name()) else { continue };
        others.insert(other);
        if other.agent != key.agent || other == key || running.contains_key(&other) {
            continue;
        }
        let modified = entry.metadata()?.modified()?;
        if oldest.as_ref().is_none_or(|(than, _)| modified < *than) {
            oldest = Some((modified, entry.path()));
        }
    }
    let others = others.iter().filter(|other| other.agent == key.agent && **other != key).count();
    if others < blobs.shared.caps.staged_per_agent_max {
        return Ok(());
    }
    let (_, path) = oldest.ok_or(BlobError::TooMany)?;
    Ok(blobs.remove_file(&path)?)
}

fn of_write(error: io::Error) -> BlobError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            BlobError::DiskFull
        }
        _ => BlobError::Io(error),
    }
}

fn remove_staging(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        // The janitor comes by later.
        tracing::warn!(%error, "a staging file could not be removed");
    }
}

const FLUSH_EVERY_BYTES: u64 = 8 * 1024 * 1024;
const PIECE_BYTES: usize = 256 * 1024;
