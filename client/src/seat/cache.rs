//! Blobs that were checked: `blobs/<id>` holds whole ones, `partial/<id>` what has arrived of others. The only
//! way from here to bytes is a [`VerifiedBlob`], which is hashed again each time a cached file is opened.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use protocol::id::BlobId;
use sha2::{Digest as _, Sha256};

use crate::files::{self, FileError};
use crate::limits;

/// Why a blob could not be kept or opened.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// A file or folder of the cache.
    #[error(transparent)]
    File(#[from] FileError),
    /// What arrived is not what was asked for; it was thrown away.
    #[error("the bytes that arrived for {id} hash to {found}")]
    Mismatch {
        /// The blob asked for.
        id: BlobId,
        /// What the bytes hash to.
        found: BlobId,
    },
    /// More or fewer bytes than announced; they were thrown away.
    #[error("{found} bytes arrived for {id}, which has {wanted}")]
    Length {
        /// The blob asked for.
        id: BlobId,
        /// Its size in bytes.
        wanted: u64,
        /// Bytes that arrived.
        found: u64,
    },
}

/// The folder of verified blobs, shared by all processes of a user.
#[derive(Debug, Clone)]
pub struct BlobCache {
    blobs: PathBuf,
    partial: PathBuf,
    bytes_max: u64,
}

impl BlobCache {
    /// Opens the cache in the folder `cache`, making it where it is missing.
    ///
    /// # Errors
    /// [`CacheError::File`] when the folder cannot be made or is open to other users.
    pub fn open(cache: &Path) -> Result<Self, CacheError> {
        Self::bounded(cache, limits::CACHE_BYTES_MAX)
    }

    /// Opens the cache with another bound on the bytes it keeps.
    ///
    /// # Errors
    /// As [`BlobCache::open`].
    pub fn bounded(cache: &Path, bytes_max: u64) -> Result<Self, CacheError> {
        let (blobs, partial) = (cache.join("blobs"), cache.join("partial"));
        files::private_dir(cache)?;
        files::private_dir(&blobs)?;
        files::private_dir(&partial)?;
        Ok(Self { blobs, partial, bytes_max })
    }

    /// Tells whether a file for `id` is here, without looking at its bytes.
    pub fn contains(&self, id: &BlobId) -> bool {
        self.blobs.join(id.to_string()).is_file()
    }

    /// Opens the blob `id` after hashing it again; `None` when it is not here.
    ///
    /// A file whose bytes are not the blob's (a disk error, an interrupted copy) is removed and counts as not here.
    ///
    /// # Errors
    /// [`CacheError::File`] when it cannot be read or is not private.
    pub fn verified(&self, id: &BlobId) -> Result<Option<VerifiedBlob>, CacheError> {
        let path = self.blobs.join(id.to_string());
        let Some(mut file) = files::open_private(&path)? else { return Ok(None) };
        let (size, found) = hash(&mut file).map_err(FileError::io("read", &path))?;
        if found != *id {
            files::remove_quietly(&path);
            return Ok(None);
        }
        // Only eviction looks at the time; a read-only cache merely evicts in another order.
        file.set_modified(SystemTime::now()).ok();
        Ok(Some(VerifiedBlob { file, id: *id, size, path }))
    }

    /// Begins, or goes on, receiving the blob `id` of `size` bytes.
    ///
    /// What an earlier transfer left is hashed and kept ([`Partial::offset`] tells how far). Where another process
    /// receives the same blob just now, this one starts a file of its own.
    ///
    /// # Errors
    /// [`CacheError::File`] when the folder cannot be written.
    pub fn receive(&self, id: &BlobId, size: u64) -> Result<Partial, CacheError> {
        files::sweep(&self.partial, "", Duration::from_secs(limits::PARTIAL_AGE_SECONDS_MAX));
        let (path, mut file) = self.partial_file(id)?;
        let (mut written, mut hasher) = (0, Sha256::new());
        let at = FileError::io("read", &path);
        let length = file.metadata().map(|m| m.len()).map_err(at)?;
        if length > size {
            file.set_len(0).map_err(FileError::io("empty", &path))?;
        } else if length > 0 {
            written = hash_into(&mut file, &mut hasher).map_err(FileError::io("read", &path))?;
        }
        Ok(Partial { cache: self.clone(), id: *id, size, file, path, hasher, written })
    }

    fn partial_file(&self, id: &BlobId) -> Result<(PathBuf, File), CacheError> {
        let path = self.partial.join(id.to_string());
        // Twice at the most: the file may be renamed away between being opened and being locked.
        for _ in 0..2 {
            let Some((file, found)) = open_for_append(&path)? else { continue };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(e)) => return Err(FileError::io("lock", &path)(e).into()),
            }
            if fs::symlink_metadata(&path).is_ok_and(|now| now.ino() == found.ino()) {
                return Ok((path, file));
            }
        }
        let own = tempfile::Builder::new()
            .prefix(files::TEMPORARY_PREFIX)
            .tempfile_in(&self.partial)
            .map_err(FileError::io("write in", &self.partial))?;
        let (file, path) = own.keep().map_err(|e| FileError::io("write in", &self.partial)(e.error))?;
        Ok((path, file))
    }

    /// Removes the oldest blobs until the rest fits the bound; `keep` stays whatever its size.
    fn evict(&self, keep: &Path) -> Result<(), FileError> {
        let mut held = Vec::new();
        for entry in fs::read_dir(&self.blobs).map_err(FileError::io("look into", &self.blobs))?.flatten() {
            if let Ok(found) = entry.metadata().and_then(|m| Ok((m.modified()?, m.len()))) {
                held.push((found.0, found.1, entry.path()));
            }
        }
        held.sort();
        let mut bytes: u64 = held.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in held {
            if bytes <= self.bytes_max {
                break;
            }
            if path != keep {
                files::remove_quietly(&path);
                bytes -= size;
            }
        }
        Ok(())
    }
}

/// A blob on its way: bytes are hashed as they are written, and nobody reads them before [`Partial::finish`].
#[derive(Debug)]
pub struct Partial {
    cache: BlobCache,
    id: BlobId,
    size: u64,
    file: File,
    path: PathBuf,
    hasher: Sha256,
    written: u64,
}

impl Partial {
    /// Returns how many bytes are here already: where the transfer goes on.
    pub fn offset(&self) -> u64 {
        self.written
    }

    /// Returns the size in bytes that was announced.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a piece.
    ///
    /// # Errors
    /// [`CacheError::Length`] when that is more than announced, [`CacheError::File`] when it cannot be written.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), CacheError> {
        let after = self.written.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if after > self.size {
            files::remove_quietly(&self.path);
            return Err(CacheError::Length { id: self.id, wanted: self.size, found: after });
        }
        self.file.write_all(piece).map_err(FileError::io("write", &self.path))?;
        self.hasher.update(piece);
        self.written = after;
        Ok(())
    }

    /// Ends the transfer: compares length and hash with what was asked for and only then moves the file into the
    /// cache.
    ///
    /// # Errors
    /// [`CacheError::Mismatch`] or [`CacheError::Length`], after which nothing of it is left; [`CacheError::File`]
    /// when it cannot be moved.
    pub fn finish(self) -> Result<VerifiedBlob, CacheError> {
        let found = BlobId::from_bytes(self.hasher.finalize().into());
        if self.written != self.size {
            files::remove_quietly(&self.path);
            return Err(CacheError::Length { id: self.id, wanted: self.size, found: self.written });
        }
        if found != self.id {
            files::remove_quietly(&self.path);
            return Err(CacheError::Mismatch { id: self.id, found });
        }
        let path = self.cache.blobs.join(self.id.to_string());
        fs::rename(&self.path, &path).map_err(FileError::io("keep", &path))?;
        self.cache.evict(&path)?;
        Ok(VerifiedBlob { file: self.file, id: self.id, size: self.size, path })
    }
}

/// Bytes that hash to their id. There is no other way to make one than by checking.
#[derive(Debug)]
pub struct VerifiedBlob {
    file: File,
    id: BlobId,
    size: u64,
    path: PathBuf,
}

impl VerifiedBlob {
    /// Returns the id, the SHA-256 of the bytes.
    pub fn id(&self) -> BlobId {
        self.id
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns where the cache keeps it. Reading goes through [`VerifiedBlob::reader`], which holds the very file
    /// that was checked.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the very file that was checked, at its beginning, for who wants a file.
    ///
    /// # Errors
    /// [`CacheError::File`] when it cannot be rewound.
    pub fn into_file(mut self) -> Result<File, CacheError> {
        self.file.rewind().map_err(FileError::io("rewind", &self.path))?;
        Ok(self.file)
    }

    /// Returns a reader over the checked file, from its first byte; several may be in use at once.
    pub fn reader(&self) -> BlobReader<'_> {
        BlobReader { file: &self.file, at: 0, size: self.size }
    }
}

/// Reads the bytes of a [`VerifiedBlob`].
#[derive(Debug, Clone)]
pub struct BlobReader<'a> {
    file: &'a File,
    at: u64,
    size: u64,
}

impl Read for BlobReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.at)?;
        self.at += u64::try_from(n).unwrap_or(0);
        Ok(n)
    }
}

impl Seek for BlobReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::End(n) => self.size.checked_add_signed(n),
            SeekFrom::Current(n) => self.at.checked_add_signed(n),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// Opens the file at `path` for reading and appending, making it where it is missing; `None` when it went away just now.
fn open_for_append(path: &Path) -> Result<Option<(File, fs::Metadata)>, CacheError> {
    let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(i32::MAX);
    let mut options = OpenOptions::new();
    options.read(true).append(true).mode(0o600).custom_flags(flags);
    let file = match options.clone().create_new(true).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            if files::open_private(path)?.is_none() {
                return Ok(None);
            }
            match options.open(path) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(FileError::io("open", path)(e).into()),
            }
        }
        Err(e) => return Err(FileError::io("create", path)(e).into()),
    };
    let found = file.metadata().map_err(FileError::io("look at", path))?;
    Ok(Some((file, found)))
}

fn hash(file: &mut File) -> io::Result<(u64, BlobId)> {
    let mut hasher = Sha256::new();
    let size = hash_into(file, &mut hasher)?;
    Ok((size, BlobId::from_bytes(hasher.finalize().into())))
}

fn hash_into(file: &mut File, hasher: &mut Sha256) -> io::Result<u64> {
    let mut buffer = vec![0; limits::PIECE_BYTES];
    let mut total = 0;
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(total);
        }
        hasher.update(&buffer[..n]);
        total += u64::try_from(n).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn id_of(bytes: &[u8]) -> BlobId {
        BlobId::from_bytes(Sha256::digest(bytes).into())
    }

    fn keep(cache: &BlobCache, bytes: &[u8]) -> VerifiedBlob {
        let mut partial = cache.receive(&id_of(bytes), bytes.len() as u64).unwrap();
        partial.write(bytes).unwrap();
        partial.finish().unwrap()
    }

    fn read(blob: &VerifiedBlob) -> Vec<u8> {
        let mut bytes = Vec::new();
        blob.reader().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_was_received_in_two_parts_is_read_again_whole_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let cache = BlobCache::open(&dir.path().join("cache")).unwrap();
        let bytes = b"the bytes of a bundle".repeat(1000);
        let id = id_of(&bytes);
        let mut first = cache.receive(&id, bytes.len() as u64).unwrap();
        first.write(&bytes[..7000]).unwrap();
        drop(first);
        assert!(!cache.contains(&id) && cache.verified(&id).unwrap().is_none());
        let mut second = cache.receive(&id, bytes.len() as u64).unwrap();
        assert_eq!(second.offset(), 7000);
        second.write(&bytes[7000..]).unwrap();
        assert_eq!(read(&second.finish().unwrap()), bytes);
        let again = cache.verified(&id).unwrap().unwrap();
        assert_eq!((read(&again), again.size(), again.id()), (bytes.clone(), bytes.len() as u64, id));
        assert_eq!(fs::metadata(again.path()).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path().join("cache/partial")).unwrap().count(), 0);
    }

    #[test]
    fn other_bytes_or_another_length_leave_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let cache = BlobCache::open(dir.path()).unwrap();
        let id = id_of(b"right");
        let mut wrong = cache.receive(&id, 5).unwrap();
        wrong.write(b"wrong").unwrap();
        assert!(matches!(wrong.finish(), Err(CacheError::Mismatch { .. })));
        let mut long = cache.receive(&id, 5).unwrap();
        assert_eq!(long.offset(), 0, "the wrong bytes are gone");
        assert!(matches!(long.write(b"right and more"), Err(CacheError::Length { .. })));
        let mut short = cache.receive(&id, 5).unwrap();
        short.write(b"rig").unwrap();
        assert!(matches!(short.finish(), Err(CacheError::Length { .. })));
        assert_eq!(cache.receive(&id, 5).unwrap().offset(), 0);
        assert!(!cache.contains(&id));
    }

    #[test]
    fn a_cached_file_that_was_altered_is_removed_and_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let cache = BlobCache::open(dir.path()).unwrap();
        let blob = keep(&cache, b"right");
        fs::write(blob.path(), b"wrong").unwrap();
        assert!(cache.verified(&blob.id()).unwrap().is_none());
        assert!(!cache.contains(&blob.id()));
    }

    #[test]
    fn a_link_planted_in_the_place_of_a_partial_file_is_not_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let cache = BlobCache::open(&dir.path().join("cache")).unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, b"precious").unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
        let id = id_of(b"right");
        std::os::unix::fs::symlink(&victim, dir.path().join("cache/partial").join(id.to_string())).unwrap();
        assert!(cache.receive(&id, 5).is_err());
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }

    #[test]
    fn two_that_receive_the_same_blob_do_not_mix() {
        let dir = tempfile::tempdir().unwrap();
        let cache = BlobCache::open(dir.path()).unwrap();
        let id = id_of(b"right");
        let mut one = cache.receive(&id, 5).unwrap();
        let mut two = cache.receive(&id, 5).unwrap();
        one.write(b"ri").unwrap();
        two.write(b"rig").unwrap();
        one.write(b"ght").unwrap();
        two.write(b"ht").unwrap();
        assert_eq!(read(&two.finish().unwrap()), b"right");
        assert_eq!(read(&one.finish().unwrap()), b"right");
        assert_eq!(fs::read_dir(dir.path().join("partial")).unwrap().count(), 0);
    }

    #[test]
    fn the_oldest_blobs_leave_when_the_cache_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let cache = BlobCache::bounded(dir.path(), 25).unwrap();
        let keep_at = |i: u8| {
            let blob = keep(&cache, &[i; 10]);
            blob.file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(i))).unwrap();
            blob
        };
        let kept: Vec<_> = (0..4).map(keep_at).collect();
        let here: Vec<_> = kept.iter().map(|b| cache.contains(&b.id())).collect();
        assert_eq!(here, [false, false, true, true]);
        assert_eq!(read(&kept[0]), [0; 10], "who has it open keeps it");
        let large = keep(&cache, &[9; 100]);
        assert!(cache.contains(&large.id()));
    }
}
