//! Carrying the user key to another machine: by a file, which is private and never overwritten.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use protocol::key::{UserId, UserKey};

use crate::files::{self, FileError, Lock};
use crate::report::Whoami;
use crate::seat::{Seat, SeatError, keys};
use crate::settings::Settings;

/// Writes the user key to the new file `path`, which only its owner may read.
///
/// # Errors
/// [`SeatError::NoUserKey`] where the key is not here, [`SeatError::Exists`] when there is such a file, [`SeatError`] as
/// ever.
pub fn export_user(settings: &Settings, path: &Path) -> Result<Whoami, SeatError> {
    let seat = Seat::open(settings)?;
    let key = seat.user_key().ok_or_else(|| SeatError::NoUserKey { data: settings.data.clone() })?;
    let text = key.to_seed_text().expect("a user key has a text form");
    let made = File::options().write(true).create_new(true).mode(0o600).open(path);
    let mut file = match made {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(SeatError::Exists { path: path.to_owned() });
        }
        other => other.map_err(FileError::io("make", path))?,
    };
    let written = file.write_all(format!("{text}\n").as_bytes()).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Half a key is none, and another attempt must find the name free.
        files::remove_quietly(path);
        return Err(FileError::io("write", path)(error).into());
    }
    crate::whoami(settings)
}

/// Takes the user key from the private file `path`: from now on the seats of this machine are that user's.
///
/// The seat's own key stays; its next login brings the user's new word for it. The same key again changes nothing.
///
/// # Errors
/// [`SeatError::OtherUser`] when another user has worked here, [`SeatError::DamagedKey`] when the file holds no user key,
/// [`SeatError`] as ever, also when the file may be read by others.
pub fn import_user(settings: &Settings, path: &Path) -> Result<Whoami, SeatError> {
    files::private_dir(&settings.data)?;
    let missing = || SeatError::File(FileError::io("read", path)(std::io::ErrorKind::NotFound.into()));
    let key: UserKey = keys::load(path)?.ok_or_else(missing)?;
    let text = key.to_seed_text().expect("a user key has a text form");
    let here = settings.data.join("user.key");
    {
        let _lock = Lock::of(&here)?;
        match keys::load::<protocol::key::User>(&here)? {
            Some(ours) if ours.public() == key.public() => {}
            Some(ours) if was_used(&settings.data, &ours.public())? => {
                return Err(SeatError::OtherUser { path: here });
            }
            _ => files::replace(&here, format!("{text}\n").as_bytes())?,
        }
    }
    crate::whoami(settings)
}

/// Says whether `user` has vouched for a seat here, or been in a room.
fn was_used(data: &Path, user: &UserId) -> Result<bool, SeatError> {
    if data.join("rooms").join(user.to_string()).exists() {
        return Ok(true);
    }
    let seats = data.join("seats");
    let entries = fs::read_dir(&seats).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "json"))
    {
        if crate::seat::vouching(&path)? == Some(*user) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::settings;
    use std::os::unix::fs::MetadataExt as _;

    const HUB: &str = "ws://127.0.0.1:1";

    #[test]
    fn a_user_key_is_carried_by_a_private_file_that_is_never_overwritten() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (one, two) = (settings(here.path(), "one", HUB), settings(there.path(), "two", HUB));
        let file = here.path().join("user");
        let exported = export_user(&one, &file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert!(matches!(export_user(&one, &file), Err(SeatError::Exists { .. })));
        let imported = import_user(&two, &file).unwrap();
        assert_eq!(imported.user, exported.user);
        assert_ne!(imported.me.id, exported.me.id);
        assert_eq!(import_user(&two, &file).unwrap(), imported, "again changes nothing");
        let seat = Seat::open(&two).unwrap();
        assert_eq!(seat.statement(crate::seat::now()).unwrap().by(), exported.user);
    }

    #[test]
    fn a_user_who_has_worked_here_is_not_replaced() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (one, two) = (settings(here.path(), "one", HUB), settings(there.path(), "two", HUB));
        let file = here.path().join("user");
        let exported = export_user(&one, &file).unwrap();
        let before = crate::whoami(&two).unwrap().user;
        Seat::open(&two).unwrap().statement(crate::seat::now()).unwrap();
        let error = import_user(&two, &file).unwrap_err();
        assert!(matches!(error, SeatError::OtherUser { .. }) && error.hint().is_some(), "{error}");
        assert_eq!(crate::whoami(&two).unwrap().user, before);
        // One that was made and has vouched for nobody is no loss.
        let elsewhere = tempfile::tempdir().unwrap();
        let three = settings(elsewhere.path(), "three", HUB);
        crate::whoami(&three).unwrap();
        assert_eq!(import_user(&three, &file).unwrap().user, exported.user);
    }

    #[test]
    fn a_file_that_others_can_read_or_that_holds_no_user_key_is_refused() {
        let here = tempfile::tempdir().unwrap();
        let one = settings(here.path(), "one", HUB);
        let file = here.path().join("user");
        assert!(matches!(import_user(&one, &file), Err(SeatError::File(FileError::Io { .. }))));
        export_user(&one, &file).unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        assert!(matches!(import_user(&one, &file), Err(SeatError::File(FileError::LaxMode { .. }))));
        files::replace(&file, b"SU\n").unwrap();
        assert!(matches!(import_user(&one, &file), Err(SeatError::DamagedKey { .. })));
    }
}
