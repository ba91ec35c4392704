//! Keys at rest: one nkey seed a file, 0600 in a 0700 folder, made on first use so that racing processes agree on
//! one key, and never overwritten.

use std::path::Path;

use protocol::key::{Kind, SecretKey};

use super::SeatError;
use crate::files;

/// Reads the key at `path`, or makes one there; whoever comes first makes it for all.
///
/// # Errors
/// [`SeatError::DamagedKey`] when the file holds no seed of this kind, [`SeatError::File`] when it cannot be used
/// as a private file, [`SeatError::Random`] when the system gives no random bytes.
pub(crate) fn load_or_create<K: Kind>(path: &Path) -> Result<SecretKey<K>, SeatError> {
    if let Some(key) = load(path)? {
        return Ok(key);
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(SeatError::Random)?;
    let text = SecretKey::<K>::from_seed(&seed).to_seed_text().unwrap_or_default();
    files::create_once(path, format!("{text}\n").as_bytes())?;
    // Read back whoever's file it became: that one is the key.
    match load(path)? {
        Some(key) => Ok(key),
        None => Err(SeatError::KeyVanished { path: path.to_owned() }),
    }
}

/// Reads the key at `path`, `None` when there is none.
///
/// # Errors
/// As [`load_or_create`].
pub(crate) fn load<K: Kind>(path: &Path) -> Result<Option<SecretKey<K>>, SeatError> {
    let Some(bytes) = files::read_private(path)? else { return Ok(None) };
    let text = String::from_utf8(bytes).unwrap_or_default();
    match SecretKey::from_seed_text(&text) {
        Ok(key) => Ok(Some(key)),
        Err(source) => Err(SeatError::DamagedKey { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::key::{Agent, AgentKey, UserKey};
    use std::fs;

    #[test]
    fn racing_threads_agree_on_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = &dir.path().join("user.key");
        let ids: Vec<_> = std::thread::scope(|s| {
            let threads: Vec<_> =
                (0..16).map(|_| s.spawn(move || load_or_create::<Agent>(path).unwrap().public())).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]));
    }

    #[test]
    fn a_damaged_key_is_an_error_that_names_the_file_and_stays_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("user.key");
        let right = AgentKey::from_seed(&[7; 32]).to_seed_text().unwrap();
        let other = UserKey::from_seed(&[7; 32]).to_seed_text().unwrap();
        for damaged in ["", &right[..57], &other, "\u{fffd}"] {
            files::replace(&path, damaged.as_bytes()).unwrap();
            let error = load_or_create::<Agent>(&path).unwrap_err();
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
            assert_eq!(fs::read(&path).unwrap(), damaged.as_bytes());
        }
    }

    #[test]
    fn a_key_on_disk_is_one_line_that_only_we_can_read() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seat.key");
        let key = load_or_create::<Agent>(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", key.to_seed_text().unwrap()));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(load_or_create::<Agent>(&path).unwrap().public(), key.public());
    }
}
