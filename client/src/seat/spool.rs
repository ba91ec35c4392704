//! What a crash must not lose or double: bundles on their way to the hub, and messages *as signed* that no hub has
//! answered yet. A spooled message is sent again unchanged, so the hub stores it once. Nothing is flushed to disk: a
//! power cut may lose what nobody has been told was sent, and pushing again finds what was.

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use protocol::id::{BlobId, RoomId};
use protocol::json;
use protocol::key::{AgentId, HubId};
use protocol::signed::Signed;
use protocol::statement::Message;
use serde::{Deserialize, Serialize};

use super::{SeatError, read_json};
use crate::files::{self, FileError};
use crate::limits;

/// The folder of what waits to be sent, shared by all seats of a user.
#[derive(Debug, Clone)]
pub struct Spool {
    dir: PathBuf,
}

/// A private file for a bundle that is being built or sent; removed when dropped.
#[derive(Debug)]
pub struct SpoolFile {
    file: tempfile::NamedTempFile,
}

/// A message that was signed and not yet answered, with all that is needed to send it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpooledPost {
    /// The hub it is for.
    pub hub: HubId,
    /// The room it is for.
    pub room: RoomId,
    /// The blob it refers to, uploaded before it was signed, if it refers to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<BlobId>,
    /// The header as signed.
    pub message: Signed<Message>,
    /// The body's text, whose hash the header names.
    pub body: String,
}

/// A spooled message that this process works on, and no other.
#[derive(Debug)]
pub struct SpoolEntry {
    path: PathBuf,
    post: SpooledPost,
    age: Duration,
    _lock: File,
}

impl Spool {
    /// Opens the spool below the data folder and removes bundles that crashed processes left in it long ago. Messages stay until
    /// their author is told what became of them.
    ///
    /// # Errors
    /// [`SeatError::File`] when the folder cannot be made.
    pub fn open(data: &Path) -> Result<Self, SeatError> {
        let dir = data.join("spool");
        files::private_dir(data)?;
        files::private_dir(&dir)?;
        let spool = Self { dir };
        spool.sweep();
        Ok(spool)
    }

    /// Makes an empty private file to build a bundle in.
    ///
    /// # Errors
    /// [`SeatError::File`] when it cannot be made.
    pub fn bundle_file(&self) -> Result<SpoolFile, SeatError> {
        let made = tempfile::Builder::new().prefix(BUNDLE_PREFIX).tempfile_in(&self.dir);
        let file = made.map_err(FileError::io("write in", &self.dir))?;
        file.as_file().lock().map_err(FileError::io("lock", file.path()))?;
        Ok(SpoolFile { file })
    }

    /// Keeps a signed message until it is answered; when this returns it survives the end of this process.
    ///
    /// # Errors
    /// [`SeatError::File`] when it cannot be written.
    pub fn keep(&self, post: SpooledPost) -> Result<SpoolEntry, SeatError> {
        let path = self.dir.join(format!("{}{POST_SUFFIX}", post.message.digest()));
        let lock = write_locked(&path, &post)?;
        Ok(SpoolEntry { path, post, age: Duration::ZERO, _lock: lock })
    }

    /// Takes over the messages of `author` to `room` of `hub` that were signed and not answered, in the author's order. Those that
    /// another process works on are its own.
    ///
    /// # Errors
    /// [`SeatError`] when one of them cannot be read.
    pub fn pending(&self, hub: HubId, room: RoomId, author: AgentId) -> Result<Vec<SpoolEntry>, SeatError> {
        let mut found = Vec::new();
        for path in self.paths(POST_SUFFIX) {
            // Who only looks holds no lock: another seat that looks at the same time would take it for work and pass its own by.
            let is_ours =
                |post: &SpooledPost| post.hub == hub && post.room == room && post.message.by() == author;
            if !read_post(&path)?.is_some_and(|post| is_ours(&post)) {
                continue;
            }
            let Some((lock, time)) = lock_entry(&path)? else { continue };
            // It may have been signed anew meanwhile.
            let Some(post) = read_post(&path)?.filter(is_ours) else { continue };
            // The author's own order; the time of a file is too coarse for two that were signed at once.
            let Ok(header) = post.message.clone().verify() else { continue };
            let order = (header.statement().n, header.statement().sent, time);
            let age = time.elapsed().unwrap_or_default();
            found.push((order, SpoolEntry { path, post, age, _lock: lock }));
        }
        found.sort_by(|a, b| (a.0, &a.1.path).cmp(&(b.0, &b.1.path)));
        Ok(found.into_iter().map(|(_, entry)| entry).collect())
    }

    fn paths(&self, suffix: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries.map(|e| e.path()).filter(|p| p.to_string_lossy().ends_with(suffix)).collect()
    }

    fn sweep(&self) {
        files::sweep(
            &self.dir,
            files::TEMPORARY_PREFIX,
            Duration::from_secs(limits::TEMPORARY_AGE_SECONDS_MAX),
        );
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let is_bundle = name.as_encoded_bytes().starts_with(BUNDLE_PREFIX.as_bytes());
            let max = limits::SPOOL_BUNDLE_AGE_SECONDS_MAX;
            let is_old = entry.metadata().is_ok_and(|m| m.is_file() && files::age_of(&m).as_secs() > max);
            if is_bundle && is_old && is_free(&entry.path()) {
                files::remove_quietly(&entry.path());
            }
        }
    }
}

impl SpoolEntry {
    /// Returns the message with all that is needed to send it.
    pub fn post(&self) -> &SpooledPost {
        &self.post
    }

    /// Puts a newly signed message in the place of the one that the hub did not take; never are both there.
    ///
    /// # Errors
    /// [`SeatError::File`] when it cannot be written; then the old one stands.
    pub fn replace(&mut self, post: SpooledPost) -> Result<(), SeatError> {
        let lock = write_locked(&self.path, &post)?;
        (self.post, self._lock) = (post, lock);
        Ok(())
    }

    /// Returns how long ago it was signed.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// Removes a message that was answered.
    pub fn remove(self) {
        files::remove_quietly(&self.path);
    }
}

impl SpoolFile {
    /// Returns the file's path, to be written by who builds the bundle.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Returns the file, open for reading and writing at its beginning.
    pub fn file_mut(&mut self) -> &mut File {
        self.file.as_file_mut()
    }
}

/// Writes a message to `path`, locked for this process before it can be seen there.
fn write_locked(path: &Path, post: &SpooledPost) -> Result<File, SeatError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = files::named(dir)?;
    file.as_file().lock().map_err(FileError::io("lock", path))?;
    file.write_all(json::write(post).as_bytes()).map_err(FileError::io("write", path))?;
    Ok(file.persist(path).map_err(|e| FileError::io("replace", path)(e.error))?)
}

/// Reads a spooled message; `None` when it was ended meanwhile, or cut short by a power cut: the push that signed it was never
/// said to be done.
fn read_post(path: &Path) -> Result<Option<SpooledPost>, SeatError> {
    match read_json(path) {
        Err(SeatError::DamagedState { .. }) => {
            files::remove_quietly(path);
            Ok(None)
        }
        other => other,
    }
}

/// Locks a spooled message and tells when it was written; `None` when another process works on it or has ended it.
fn lock_entry(path: &Path) -> Result<Option<(File, SystemTime)>, SeatError> {
    let Some(file) = files::open_private(path)? else { return Ok(None) };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(e)) => return Err(FileError::io("lock", path)(e).into()),
    }
    let ours = file.metadata().map_err(FileError::io("look at", path))?;
    let is_there = fs::symlink_metadata(path).is_ok_and(|now| now.ino() == ours.ino());
    let time = ours.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    Ok(is_there.then_some((file, time)))
}

/// Tells whether no process works on the file: each holds a lock on its own.
fn is_free(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| !matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

const BUNDLE_PREFIX: &str = "bundle-";
const POST_SUFFIX: &str = ".post";

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::id::Digest;
    use protocol::key::{AgentKey, HubKey};
    use protocol::signed;
    use protocol::statement::LogPoint;
    use std::time::SystemTime;

    fn post(author: u8, n: u64) -> SpooledPost {
        let room = RoomId::from_bytes([5; 32]);
        let body = format!("{{\"parts\":[],\"hops\":{n}}}");
        let header = Message {
            room,
            n,
            head: LogPoint::start(room),
            sent: 1,
            epoch: 0,
            body: Digest::of(body.as_bytes()),
            blobs: vec![BlobId::of(b"blob")],
            leave: false,
            needs: Vec::new(),
        };
        let message = signed::sign(&AgentKey::from_seed(&[author; 32]), header).signed().clone();
        SpooledPost {
            hub: HubKey::from_seed(&[1; 32]).public(),
            room,
            blob: Some(BlobId::of(b"blob")),
            message,
            body,
        }
    }

    fn age(path: &Path, seconds: u64) {
        let time = SystemTime::now() - Duration::from_secs(seconds);
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    fn path_of(spool: &Spool, post: &SpooledPost) -> PathBuf {
        spool.dir.join(format!("{}.post", post.message.digest()))
    }

    fn pending(spool: &Spool, like: &SpooledPost) -> Vec<SpoolEntry> {
        spool.pending(like.hub, like.room, like.message.by()).unwrap()
    }

    fn posts(entries: &[SpoolEntry]) -> Vec<&SpooledPost> {
        entries.iter().map(SpoolEntry::post).collect()
    }

    #[test]
    fn a_signed_message_comes_back_unchanged_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        let (one, two, other) = (post(1, 1), post(1, 2), post(2, 1));
        for kept in [&one, &two, &other] {
            drop(spool.keep(kept.clone()).unwrap());
        }
        // As coarse as the times of files may be, and as wrong as a clock.
        age(&path_of(&spool, &two), 60);
        let mut found = pending(&Spool::open(dir.path()).unwrap(), &one);
        assert_eq!(posts(&found), [&one, &two], "in the author's order, and none of another seat");
        assert!(found[1].post().message.clone().verify().is_ok());
        found.remove(0).remove();
        drop(found);
        assert_eq!(posts(&pending(&spool, &one)), [&two]);
        let elsewhere = SpooledPost { hub: HubKey::from_seed(&[9; 32]).public(), ..one };
        assert!(pending(&spool, &elsewhere).is_empty());
    }

    #[test]
    fn a_message_without_a_blob_is_kept_and_what_an_older_version_kept_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        let text = SpooledPost { blob: None, ..post(1, 1) };
        drop(spool.keep(text.clone()).unwrap());
        assert_eq!(posts(&pending(&spool, &text)), [&text]);
        // As the first version wrote it, where every message had a blob.
        let old = post(2, 1);
        let written = json::write(&old);
        assert!(written.contains("\"blob\":\""), "{written}");
        files::replace(&path_of(&spool, &old), written.as_bytes()).unwrap();
        assert_eq!(posts(&pending(&spool, &old)), [&old]);
    }

    #[test]
    fn what_one_process_works_on_is_no_other_ones() {
        let dir = tempfile::tempdir().unwrap();
        let (here, there) = (Spool::open(dir.path()).unwrap(), Spool::open(dir.path()).unwrap());
        let mut entry = here.keep(post(1, 1)).unwrap();
        assert!(pending(&there, &post(1, 1)).is_empty());
        entry.replace(post(1, 2)).unwrap();
        assert!(pending(&there, &post(1, 1)).is_empty());
        drop(entry);
        files::replace(&dir.path().join("spool/torn.post"), b"{\"hub\":").unwrap();
        let taken = pending(&there, &post(1, 1));
        assert!(!dir.path().join("spool/torn.post").exists());
        assert_eq!(posts(&taken), [&post(1, 2)], "the old one is gone");
        assert!(pending(&here, &post(1, 1)).is_empty());
    }

    #[test]
    fn seats_that_look_at_the_same_time_miss_nothing_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        for kept in [post(1, 1), post(1, 2), post(2, 1), post(2, 2)] {
            drop(spool.keep(kept).unwrap());
        }
        let look = |author| {
            for _ in 0..500 {
                assert_eq!(posts(&pending(&spool, &post(author, 1))), [&post(author, 1), &post(author, 2)]);
            }
        };
        std::thread::scope(|s| [1, 2].map(|author| s.spawn(move || look(author))).map(|t| t.join().unwrap()));
    }

    #[test]
    fn what_a_crash_left_is_swept_and_what_is_in_use_stays() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        let mut in_use = spool.bundle_file().unwrap();
        in_use.file_mut().write_all(b"pack").unwrap();
        let crashed = dir.path().join("spool/bundle-crashed");
        fs::write(&crashed, b"pack").unwrap();
        drop(spool.keep(post(1, 1)).unwrap());
        drop(spool.keep(post(1, 2)).unwrap());
        age(in_use.path(), limits::SPOOL_BUNDLE_AGE_SECONDS_MAX + 60);
        age(&crashed, limits::SPOOL_BUNDLE_AGE_SECONDS_MAX + 60);
        age(&path_of(&spool, &post(1, 1)), limits::SPOOL_AGE_SECONDS_MAX + 60);
        let again = Spool::open(dir.path()).unwrap();
        assert!(in_use.path().exists() && !crashed.exists());
        let waiting = pending(&again, &post(1, 1));
        assert_eq!(posts(&waiting), [&post(1, 1), &post(1, 2)], "messages stay until somebody is told");
        let is_too_old = |entry: &SpoolEntry| entry.age().as_secs() > limits::SPOOL_AGE_SECONDS_MAX;
        assert_eq!(waiting.iter().map(is_too_old).collect::<Vec<_>>(), [true, false]);
        let path = in_use.path().to_owned();
        drop(in_use);
        assert!(!path.exists());
    }
}
