//! The seat as a whole: what is made, renewed and refused.

use super::*;
use crate::tests::local;

const DAY: i64 = 24 * 3600 * 1000;

#[test]
fn seats_are_named_by_the_real_path_of_their_git_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two, link) = (dir.path().join("one"), dir.path().join("two"), dir.path().join("link"));
    fs::create_dir(&one).unwrap();
    fs::create_dir(&two).unwrap();
    std::os::unix::fs::symlink(&one, &link).unwrap();
    let data = dir.path().join("data");
    let open = |seat: Option<&Path>| Seat::open(&local(&data, seat)).unwrap();
    let (a, b, c, outside) = (open(Some(&one)), open(Some(&two)), open(Some(&link)), open(None));
    assert_eq!(a.agent(), c.agent());
    assert!(a.agent() != b.agent() && a.agent() != outside.agent());
    assert!(a.user() == b.user() && a.user() == outside.user());
    let stem = Digest::of(fs::canonicalize(&one).unwrap().as_os_str().as_bytes());
    assert!(data.join(format!("seats/{stem}.key")).is_file() && data.join("seats/default.key").is_file());
    assert!(Seat::open(&local(&data, Some(&dir.path().join("missing")))).is_err());
}

#[test]
fn racing_seats_agree_on_the_user_and_on_one_statement() {
    let dir = tempfile::tempdir().unwrap();
    let data = &dir.path().join("data");
    let made: Vec<_> = std::thread::scope(|s| {
        let open = move || {
            let seat = Seat::open(&local(data, None)).unwrap();
            (seat.user(), seat.agent(), seat.statement(DAY).unwrap().digest())
        };
        let threads: Vec<_> = (0..12).map(|_| s.spawn(open)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(made.iter().all(|m| *m == made[0]));
}

#[test]
fn a_statement_lasts_90_days_and_is_renewed_at_half_time() {
    let dir = tempfile::tempdir().unwrap();
    let seat = Seat::open(&local(dir.path(), None)).unwrap();
    let first = seat.statement(1000 * DAY).unwrap();
    assert_eq!(first.statement().expires - first.statement().issued, 90 * DAY);
    assert_eq!(seat.statement(1044 * DAY).unwrap().digest(), first.digest());
    let second = seat.statement(1046 * DAY).unwrap();
    assert_eq!(second.statement().issued, 1046 * DAY);
    let back = seat.statement(1000 * DAY).unwrap();
    assert_eq!(back.statement().issued, 1000 * DAY, "a statement from the future is of no use to a hub");
}

#[test]
fn another_name_is_signed_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = local(dir.path(), None);
    let first = Seat::open(&settings).unwrap().statement(DAY).unwrap();
    settings.name = "ana/other".to_owned();
    let second = Seat::open(&settings).unwrap().statement(DAY).unwrap();
    assert_eq!((first.statement().name.as_str(), second.statement().name.as_str()), ("ana/app", "ana/other"));
}

#[test]
fn a_seat_without_the_user_key_works_until_its_statement_ends() {
    let dir = tempfile::tempdir().unwrap();
    let settings = local(dir.path(), None);
    let with_key = Seat::open(&settings).unwrap();
    let vouched = with_key.statement(DAY).unwrap();
    fs::rename(dir.path().join("user.key"), dir.path().join("elsewhere")).unwrap();
    let sandbox = Seat::open(&settings).unwrap();
    assert!(sandbox.user_key().is_none() && sandbox.user() == with_key.user());
    assert_eq!(sandbox.statement(80 * DAY).unwrap().digest(), vouched.digest());
    assert!(matches!(sandbox.statement(91 * DAY), Err(SeatError::StatementExpired { .. })));
    assert!(!dir.path().join("user.key").exists(), "no second user is made");
}

#[test]
fn a_damaged_state_file_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let seat = Seat::open(&local(dir.path(), None)).unwrap();
    let vouched = seat.statement(DAY).unwrap();
    let path = dir.path().join("seats/default.json");
    let text = fs::read_to_string(&path).unwrap();
    files::replace(&path, &text.as_bytes()[..text.len() / 2]).unwrap();
    let error = seat.statement(DAY).unwrap_err();
    assert!(error.to_string().contains("seats/default.json") && error.hint().is_some());
    let forged = text.replace("ana/app", "eve/app");
    assert_ne!(forged, text);
    files::replace(&path, forged.as_bytes()).unwrap();
    assert!(matches!(seat.statement(DAY), Err(SeatError::DamagedStatement { .. })));
    files::replace(&path, text.as_bytes()).unwrap();
    assert_eq!(seat.statement(DAY).unwrap().digest(), vouched.digest());
}

#[test]
fn a_seat_goes_home_without_its_hub() {
    let dir = tempfile::tempdir().unwrap();
    use_home(dir.path(), None).unwrap();
    assert!(!dir.path().join("seats").exists(), "no seat is made for it");
    let seat = Seat::open(&local(dir.path(), None)).unwrap();
    let vouched = seat.statement(DAY).unwrap();
    let room = RoomId::from_bytes([5; 32]);
    seat.set_in_use(Some(InUse { origin: "ws://gone.example:7419".to_owned(), room })).unwrap();
    assert!(in_use(dir.path(), None).unwrap().is_some());
    use_home(dir.path(), None).unwrap();
    assert_eq!(in_use(dir.path(), None).unwrap(), None);
    assert_eq!(seat.statement(DAY).unwrap().digest(), vouched.digest(), "nothing else is forgotten");
}
