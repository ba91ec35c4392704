//! What a crash must not lose or double: bundles on their way to the hub, and messages *as signed* that no hub has
//! answered yet. A spooled message is sent again unchanged, so the hub stores it once.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    /// The blob it refers to, uploaded before it was signed.
    pub blob: BlobId,
    /// The header as signed.
    pub message: Signed<Message>,
    /// The body's text, whose hash the header names.
    pub body: String,
}

impl Spool {
    /// Opens the spool below the data folder and removes what crashed processes left in it long ago.
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

    /// Keeps a signed message until [`Spool::remove`]; when this returns it survives a crash.
    ///
    /// # Errors
    /// [`SeatError::File`] when it cannot be written.
    pub fn keep(&self, post: &SpooledPost) -> Result<(), SeatError> {
        Ok(files::replace(&self.path_of(post), json::write(post).as_bytes())?)
    }

    /// Returns the messages of `author` to `room` of `hub` that were signed and not answered, oldest first.
    ///
    /// # Errors
    /// [`SeatError`] when one of them cannot be read or is damaged.
    pub fn pending(&self, hub: HubId, room: RoomId, author: AgentId) -> Result<Vec<SpooledPost>, SeatError> {
        let mut found = Vec::new();
        for path in self.paths(POST_SUFFIX) {
            // Another process may have sent and removed it meanwhile.
            let Some(post) = read_json::<SpooledPost>(&path)? else { continue };
            if post.hub == hub && post.room == room && post.message.by() == author {
                let time = fs::metadata(&path).and_then(|m| m.modified()).ok();
                found.push((time, path, post));
            }
        }
        found.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        Ok(found.into_iter().map(|(_, _, post)| post).collect())
    }

    /// Removes a message that was answered.
    pub fn remove(&self, post: &SpooledPost) {
        files::remove_quietly(&self.path_of(post));
    }

    fn path_of(&self, post: &SpooledPost) -> PathBuf {
        self.dir.join(format!("{}{POST_SUFFIX}", post.message.digest()))
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
            let max =
                if is_bundle { limits::TEMPORARY_AGE_SECONDS_MAX } else { limits::SPOOL_AGE_SECONDS_MAX };
            let is_old = entry.metadata().is_ok_and(|m| m.is_file() && files::age_of(&m).as_secs() > max);
            if is_old && is_free(&entry.path()) {
                files::remove_quietly(&entry.path());
            }
        }
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
    use std::io::Write as _;
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
            blob: BlobId::of(b"blob"),
            message,
            body,
        }
    }

    fn age(path: &Path, seconds: u64) {
        let time = SystemTime::now() - Duration::from_secs(seconds);
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn a_signed_message_comes_back_unchanged_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        let (one, two, other) = (post(1, 1), post(1, 2), post(2, 1));
        for kept in [&one, &two, &other] {
            spool.keep(kept).unwrap();
        }
        age(&spool.path_of(&two), 60);
        let again = Spool::open(dir.path()).unwrap();
        let pending = again.pending(one.hub, one.room, one.message.by()).unwrap();
        assert_eq!(pending, [two.clone(), one.clone()], "oldest first, and none of another seat");
        assert!(pending[1].message.clone().verify().is_ok());
        again.remove(&one);
        assert_eq!(again.pending(one.hub, one.room, one.message.by()).unwrap(), [two]);
        let elsewhere = HubKey::from_seed(&[9; 32]).public();
        assert!(again.pending(elsewhere, one.room, one.message.by()).unwrap().is_empty());
    }

    #[test]
    fn what_a_crash_left_is_swept_and_what_is_in_use_stays() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        let mut in_use = spool.bundle_file().unwrap();
        in_use.file_mut().write_all(b"pack").unwrap();
        let crashed = dir.path().join("spool/bundle-crashed");
        fs::write(&crashed, b"pack").unwrap();
        spool.keep(&post(1, 1)).unwrap();
        spool.keep(&post(1, 2)).unwrap();
        age(in_use.path(), limits::TEMPORARY_AGE_SECONDS_MAX + 60);
        age(&crashed, limits::TEMPORARY_AGE_SECONDS_MAX + 60);
        age(&spool.path_of(&post(1, 1)), limits::SPOOL_AGE_SECONDS_MAX + 60);
        let again = Spool::open(dir.path()).unwrap();
        assert!(in_use.path().exists() && !crashed.exists());
        let (hub, room) = (post(1, 1).hub, post(1, 1).room);
        let pending = again.pending(hub, room, post(1, 1).message.by()).unwrap();
        assert_eq!(pending, [post(1, 2)]);
        let path = in_use.path().to_owned();
        drop(in_use);
        assert!(!path.exists());
    }
}
