//! Uploads that end well, are cut, taken over, or lie about their bytes. Disks that are full or fail stand in `tests/e2e`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_oneof};
use protocol::id::BlobId;
use tempfile::TempDir;

use super::{BlobError, Blobs, Caps, StagingKey, Upload};
use crate::cast::player;
use crate::fatal::Fatal;

const CAPS: Caps = Caps { disk_bytes_max: 1000, staged_per_agent_max: 2 };

struct Place {
    folder: TempDir,
    blobs: Blobs,
    fatal: Fatal,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let fatal = Fatal::new();
    let blobs = Blobs::open(folder.path(), CAPS, fatal.clone()).unwrap();
    Place { folder, blobs, fatal }
}

impl Place {
    /// Opens the same folder anew, as after a restart.
    fn reopened(self) -> Self {
        let Self { folder, blobs, fatal } = self;
        drop(blobs);
        let blobs = Blobs::open(folder.path(), CAPS, fatal.clone()).unwrap();
        Self { folder, blobs, fatal }
    }

    fn stage(&self, bytes: &[u8]) -> Result<Upload, BlobError> {
        self.blobs.stage(key(bytes), bytes.len() as u64)
    }

    fn upload(&self, bytes: &[u8]) -> Result<(), BlobError> {
        let upload = self.stage(bytes)?;
        upload.append(&bytes[usize::try_from(upload.resumed_at()).unwrap()..])?;
        upload.finish()
    }

    fn names(&self, of: &str) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path().join(of)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn disk_bytes(&self) -> u64 {
        let folder_bytes = |of| super::folder_bytes(&self.folder.path().join(of)).unwrap();
        folder_bytes("blobs") + folder_bytes("staging")
    }
}

fn key(bytes: &[u8]) -> StagingKey {
    let ana = player(0, 1);
    StagingKey { agent: ana.agent(), room: ana.room(), id: BlobId::of(bytes) }
}

fn read(blobs: &Blobs, id: BlobId) -> Vec<u8> {
    let file = blobs.read(id).unwrap();
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < file.size() {
        file.read_at(bytes.len() as u64, 3, &mut bytes).unwrap();
    }
    bytes
}

#[test]
fn what_was_sent_is_read_back() {
    let place = place();
    place.upload(b"hello bytes").unwrap();
    assert_eq!(read(&place.blobs, BlobId::of(b"hello bytes")), b"hello bytes");
    assert!(place.names("staging").is_empty());
    assert_eq!(place.blobs.ids().unwrap(), [BlobId::of(b"hello bytes")]);
    assert_eq!(place.blobs.used_bytes(), 11);
    place.upload(b"").unwrap();
    assert_eq!(read(&place.blobs, BlobId::of(b"")), b"");
}

#[test]
fn an_upload_goes_on_where_it_was_cut_even_after_a_restart() {
    let place = place();
    let upload = place.stage(b"0123456789").unwrap();
    upload.append(b"0123").unwrap();
    drop(upload);
    let place = place.reopened();
    assert_eq!(place.blobs.used_bytes(), 4);
    let upload = place.stage(b"0123456789").unwrap();
    assert_eq!(upload.resumed_at(), 4);
    upload.append(b"456789").unwrap();
    upload.finish().unwrap();
    assert_eq!(read(&place.blobs, BlobId::of(b"0123456789")), b"0123456789");
    assert_eq!(place.blobs.used_bytes(), 10);
}

#[test]
fn the_newest_upload_takes_over_from_one_that_still_runs() {
    let place = place();
    let old = place.stage(b"0123456789").unwrap();
    old.append(b"01234").unwrap();
    let new = place.stage(b"0123456789").unwrap();
    assert_eq!(new.resumed_at(), 5);
    assert!(matches!(old.append(b"5"), Err(BlobError::Superseded)));
    assert!(matches!(old.finish(), Err(BlobError::Superseded)));
    drop(old);
    new.append(b"56789").unwrap();
    new.finish().unwrap();
    assert_eq!(read(&place.blobs, BlobId::of(b"0123456789")), b"0123456789");
}

#[test]
fn bytes_of_another_blob_are_deleted_and_the_next_upload_starts_anew() {
    let place = place();
    let upload = place.stage(b"right").unwrap();
    upload.append(b"wrong").unwrap();
    assert!(matches!(upload.finish(), Err(BlobError::HashMismatch)));
    drop(upload);
    assert!(place.names("staging").is_empty() && place.names("blobs").is_empty());
    assert_eq!(place.blobs.used_bytes(), 0);
    place.upload(b"right").unwrap();
}

#[test]
fn a_staged_prefix_that_was_damaged_is_found_out() {
    let place = place();
    let upload = place.stage(b"0123456789").unwrap();
    upload.append(b"01234").unwrap();
    drop(upload);
    let name = place.names("staging").remove(0);
    fs::write(place.folder.path().join("staging").join(name), b"-----").unwrap();
    let upload = place.stage(b"0123456789").unwrap();
    upload.append(b"56789").unwrap();
    assert!(matches!(upload.finish(), Err(BlobError::HashMismatch)));
    drop(upload);
    assert_eq!(place.stage(b"0123456789").unwrap().resumed_at(), 0);
}

#[test]
fn more_bytes_than_declared_are_refused() {
    let place = place();
    let upload = place.stage(b"12").unwrap();
    assert!(matches!(upload.append(b"123"), Err(BlobError::Overrun)));
    assert!(matches!(place.blobs.stage(key(b"big"), 1001), Err(BlobError::OverQuota { .. })));
    assert_eq!(place.names("staging").len(), 1, "a refused upload leaves no file");
}

#[test]
fn nothing_is_reserved_and_the_cap_counts_as_bytes_arrive() {
    let place = place();
    let (one, two) = ([1; 600], [2; 600]);
    let first = place.stage(&one).unwrap();
    let second = place.stage(&two).unwrap();
    first.append(&one).unwrap();
    second.append(&two[..400]).unwrap();
    assert!(matches!(second.append(&two[400..]), Err(BlobError::OverQuota { .. })));
    drop(second);
    first.finish().unwrap();
    assert_eq!((place.blobs.used_bytes(), place.disk_bytes()), (600, 600));
}

#[test]
fn an_abandoned_upload_makes_room_and_running_ones_do_not() {
    let place = place();
    drop(place.stage(b"one").unwrap());
    let two = place.stage(b"two").unwrap();
    let three = place.stage(b"three").unwrap();
    assert_eq!(place.names("staging").len(), 2, "the abandoned one went");
    assert!(matches!(place.stage(b"four"), Err(BlobError::TooMany)));
    drop(two);
    place.stage(b"four").unwrap();
    drop(three);
}

#[test]
fn the_same_bytes_twice_are_kept_once() {
    let place = place();
    place.upload(b"same").unwrap();
    place.upload(b"same").unwrap();
    assert_eq!((place.blobs.used_bytes(), place.disk_bytes()), (4, 4));
    place.blobs.remove(BlobId::of(b"same")).unwrap();
    place.blobs.remove(BlobId::of(b"same")).unwrap();
    assert_eq!(place.blobs.used_bytes(), 0);
    assert!(matches!(place.blobs.read(BlobId::of(b"same")), Err(BlobError::Gone)));
}

#[test]
fn only_stale_staging_files_are_swept() {
    let place = place();
    drop(place.stage(b"one").unwrap());
    let running = place.stage(b"two").unwrap();
    assert_eq!(place.blobs.remove_stale_staging(Duration::from_secs(3600)).unwrap(), 0);
    assert_eq!(place.blobs.remove_stale_staging(Duration::ZERO).unwrap(), 1);
    running.append(b"two").unwrap();
    running.finish().unwrap();
}

#[test]
fn folders_and_files_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = place();
    place.upload(b"bytes").unwrap();
    drop(place.stage(b"more").unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for of in ["blobs", "staging"] {
        assert_eq!(mode(&place.folder.path().join(of)), 0o700);
        for name in place.names(of) {
            assert_eq!(mode(&place.folder.path().join(of).join(name)), 0o600);
        }
    }
}

/// What a connection does to an upload.
#[derive(Debug, Clone)]
enum Act {
    Append(usize),
    Reconnect,
    TakeOver,
    Restart,
}

proptest::proptest! {
    #![proptest_config(crate::cast::property(64))]

    #[test]
    fn however_often_it_is_cut_an_upload_lands_whole(
        bytes in prop::collection::vec(any::<u8>(), 0..900),
        acts in prop::collection::vec(prop_oneof![
            3 => (0usize..200).prop_map(Act::Append),
            1 => Just(Act::Reconnect),
            1 => Just(Act::TakeOver),
            1 => Just(Act::Restart),
        ], 0..20),
    ) {
        let mut place = place();
        let mut sent = 0;
        let mut upload = place.stage(&bytes).unwrap();
        for act in acts {
            match act {
                Act::Append(count) => {
                    let end = (sent + count).min(bytes.len());
                    upload.append(&bytes[sent..end]).unwrap();
                    sent = end;
                    continue;
                }
                Act::Reconnect => {
                    drop(upload);
                    upload = place.stage(&bytes).unwrap();
                }
                Act::TakeOver => upload = place.stage(&bytes).unwrap(),
                Act::Restart => {
                    drop(upload);
                    place = place.reopened();
                    upload = place.stage(&bytes).unwrap();
                }
            }
            prop_assert_eq!(upload.resumed_at(), sent as u64);
        }
        upload.append(&bytes[sent..]).unwrap();
        upload.finish().unwrap();
        drop(upload);
        prop_assert_eq!(read(&place.blobs, BlobId::of(&bytes)), &bytes[..]);
        prop_assert_eq!(place.blobs.used_bytes(), bytes.len() as u64);
        prop_assert_eq!(place.disk_bytes(), bytes.len() as u64);
    }
}
