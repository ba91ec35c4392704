//! What crashed processes had signed and not got answered: sent in order by the next operation in the room, or told as lost.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use kit::LyingHub;
use protocol::frame::{Answer, Request};
use protocol::id::RoomId;
use protocol::invite::SessionKey;
use protocol::refusal::{Refusal, RefusalCode};
use protocol::room::Flag;

use crate::limits::SPOOL_AGE_SECONDS_MAX;
use crate::report::text;
use crate::tests::settings;
use crate::{Client, Error, JoinOutcome, OpenSession, SessionError, Settings};

pub(super) async fn seat(home: &Path, user: &str, hub: &LyingHub) -> Client {
    let settings = settings(&home.join(user), "app", &hub.origin());
    Client::connect(Settings { name: format!("{user}/app"), ..settings }, None).await.unwrap()
}

/// An owner and a member in one session.
pub(super) async fn two(home: &Path, hub: &LyingHub) -> (Client, Client, RoomId) {
    let mut ana = seat(home, "ana", hub).await;
    let open = OpenSession {
        topic: None,
        recap: None,
        ttl: Duration::from_secs(60),
        max_uses: 1,
        auto: false,
        no_history: false,
    };
    let open = ana.open_session(open).await.unwrap();
    let key: SessionKey = open.key.parse().unwrap();
    let mut ben = seat(home, "ben", hub).await;
    let mut joining = ben.join(&key, "ben/app").await.unwrap();
    ana.approve("ben/app", None).await.unwrap();
    assert_eq!(ben.join_state(&mut joining, None).await.unwrap(), JoinOutcome::Member(open.room));
    (ana, ben, open.room)
}

async fn texts(client: &mut Client) -> Vec<String> {
    let log = client.log(None, 100).await.unwrap();
    log.messages.into_iter().filter_map(|message| message.text).collect()
}

#[tokio::test]
async fn what_a_crashed_process_left_is_sent_in_order_before_what_comes_next() {
    let home = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(1);
    let (mut ana, mut ben, room) = two(home.path(), &hub).await;
    ben.room().await.unwrap();
    for text in ["one", "two", "three"] {
        ben.say_and_crash(room, text);
    }
    ben.close().await;
    let mut again = seat(home.path(), "ben", &hub).await;
    again.send("four").await.unwrap();
    assert_eq!(texts(&mut ana).await, ["one", "two", "three", "four"]);
    assert_eq!(again.spooled(room), 0);
    assert!(again.take_undelivered().is_empty());
    // Only to look is an operation too.
    again.say_and_crash(room, "five");
    assert_eq!(texts(&mut again).await.last().map(String::as_str), Some("five"));
}

#[tokio::test]
async fn who_was_put_out_is_told_what_was_not_delivered_and_once() {
    let home = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(2);
    let (mut ana, mut ben, room) = two(home.path(), &hub).await;
    ben.room().await.unwrap();
    ben.say_and_crash(room, "last words");
    ana.kick("ben/app").await.unwrap();
    let error = ben.send("hello").await.unwrap_err();
    assert!(matches!(error, Error::Session(SessionError::NotInRoom { .. })), "{error}");
    let lost = ben.take_undelivered();
    assert_eq!(
        (lost.len(), lost[0].label.as_str(), lost[0].reason.code),
        (1, "last words", RefusalCode::NotFound)
    );
    assert!(ben.take_undelivered().is_empty() && ben.spooled(room) == 0);
    assert!(texts(&mut ana).await.is_empty());
}

#[tokio::test]
async fn what_was_meant_for_a_room_that_was_closed_meanwhile_is_told() {
    let home = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(3);
    let (mut ana, mut ben, room) = two(home.path(), &hub).await;
    ben.room().await.unwrap();
    ben.say_and_crash(room, "too late");
    ana.close_session().await.unwrap();
    ben.take_remarks();
    assert_eq!(ben.send("hello").await.unwrap_err().code(), "closed");
    let lost = ben.undelivered.clone();
    assert_eq!(
        (lost.len(), lost[0].label.as_str(), lost[0].reason.code),
        (1, "too late", RefusalCode::Closed)
    );
    assert_eq!(ben.take_remarks(), [text::undelivered(&lost[0])]);
    assert!(ben.take_remarks().is_empty() && ben.take_undelivered().is_empty());
    assert_eq!(ben.spooled(room), 0);
}

/// Posts are refused with `refusal` from now on; counts them.
fn refuse_posts(hub: &LyingHub, refusal: Refusal) -> Arc<AtomicUsize> {
    let posts = Arc::new(AtomicUsize::new(0));
    let count = posts.clone();
    hub.lie(move |asking, answer| {
        if matches!(asking.request, Request::Post(_)) {
            count.fetch_add(1, Ordering::SeqCst);
            *answer = Err(refusal.clone());
        }
    });
    posts
}

#[tokio::test]
async fn nothing_goes_out_by_itself_where_another_history_was_seen() {
    let home = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(5);
    let (_ana, mut ben, room) = two(home.path(), &hub).await;
    ben.room().await.unwrap();
    ben.say_and_crash(room, "later");
    let before = hub.end(room);
    let me = ben.me().id;
    hub.show(me, room, |entries| drop(entries.pop()));
    assert_eq!(ben.log(None, 9).await.unwrap().flags, [Flag::Fork]);
    hub.repent();
    // To look is no word for it.
    assert_eq!(ben.recv("cli", 9, None).await.unwrap().flags, [Flag::Fork]);
    assert_eq!(ben.status("cli").await.unwrap().session, Some(room));
    assert_eq!((hub.end(room), ben.spooled(room)), (before, 1));
    ben.accept_fork().await.unwrap();
    assert_eq!(texts(&mut ben).await, ["later"]);
    assert_eq!(ben.spooled(room), 0);
}

#[tokio::test]
async fn a_hub_that_miscounts_is_flagged_and_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(6);
    let (_ana, mut ben, room) = two(home.path(), &hub).await;
    ben.send("one").await.unwrap();
    ben.room().await.unwrap();
    ben.say_and_crash(room, "two");
    let conflict = Refusal { next_n: Some(1), ..Refusal::new(RefusalCode::Conflict, "another") };
    let posts = refuse_posts(&hub, conflict);
    assert_eq!(ben.log(None, 9).await.unwrap().flags, [Flag::Fork]);
    assert_eq!((posts.load(Ordering::SeqCst), ben.spooled(room)), (1, 1));
    assert!(ben.take_undelivered().is_empty());
    hub.repent();
    ben.accept_fork().await.unwrap();
    assert_eq!(texts(&mut ben).await, ["one", "two"]);
    assert_eq!(ben.spooled(room), 0);
}

/// Shows nobody what is stored from now on, and says all the same that it is.
fn hide_what_is_stored(hub: &LyingHub) {
    let mut is_hidden = false;
    hub.lie(move |_, answer| match answer {
        Ok(Answer::Post(_) | Answer::Append(_)) => is_hidden = true,
        Ok(Answer::Pull(page)) if is_hidden => {
            page.entries.clear();
            page.end = page.start;
        }
        _ => {}
    });
}

#[tokio::test]
async fn what_a_hub_says_to_have_stored_and_does_not_show_is_not_said() {
    let home = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(10);
    let (_ana, mut ben, room) = two(home.path(), &hub).await;
    ben.room().await.unwrap();
    hide_what_is_stored(&hub);
    let error = ben.send("hello").await.unwrap_err();
    assert!(matches!(error, Error::Forked { .. }), "{error}");
    assert_eq!(ben.spooled(room), 0, "who says it was told");
    ben.say_and_crash(room, "later");
    assert_eq!(ben.log(None, 9).await.unwrap().flags, [Flag::Fork]);
    assert_eq!(ben.spooled(room), 1, "nobody was told");
}

#[tokio::test]
async fn an_act_that_a_hub_says_to_have_taken_and_does_not_show_is_none() {
    let home = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(11);
    let (mut ana, _ben, _) = two(home.path(), &hub).await;
    hide_what_is_stored(&hub);
    for error in [ana.kick("ben/app").await.unwrap_err(), ana.close_session().await.unwrap_err()] {
        assert!(matches!(error, Error::Forked { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_is_met_by_a_lie_as_it_is_said_is_told_and_not_sent_later() {
    let home = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(12);
    let (_ana, mut ben, room) = two(home.path(), &hub).await;
    ben.send("one").await.unwrap();
    let conflict = Refusal { next_n: Some(1), ..Refusal::new(RefusalCode::Conflict, "another") };
    refuse_posts(&hub, conflict);
    let error = ben.send("two").await.unwrap_err();
    assert!(matches!(error, Error::Forked { .. }), "{error}");
    assert_eq!(ben.spooled(room), 0);
    hub.repent();
    ben.accept_fork().await.unwrap();
    // The hub had it, whatever it said.
    assert_eq!(texts(&mut ben).await, ["one", "two"]);
}

#[tokio::test]
async fn nothing_overtakes_what_waits_for_a_human() {
    let home = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(13);
    let (_ana, mut ben, room) = two(home.path(), &hub).await;
    ben.room().await.unwrap();
    ben.say_and_crash(room, "one");
    let me = ben.me().id;
    hub.show(me, room, |entries| drop(entries.pop()));
    assert_eq!(ben.log(None, 9).await.unwrap().flags, [Flag::Fork]);
    hub.repent();
    ben.close().await;
    let mut again = seat(home.path(), "ben", &hub).await;
    let error = again.send("two").await.unwrap_err();
    assert!(matches!(error, Error::Forked { .. }), "{error}");
    again.accept_fork().await.unwrap();
    again.send("two").await.unwrap();
    assert_eq!(texts(&mut again).await, ["one", "two"]);
}

#[tokio::test]
async fn what_has_waited_for_too_long_is_told_and_not_sent() {
    let home = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(14);
    let (_ana, mut ben, room) = two(home.path(), &hub).await;
    ben.room().await.unwrap();
    ben.say_and_crash(room, "long ago");
    for file in std::fs::read_dir(home.path().join("ben/data/spool")).unwrap() {
        let long_ago = SystemTime::now() - Duration::from_secs(SPOOL_AGE_SECONDS_MAX + 60);
        let file = std::fs::File::options().write(true).open(file.unwrap().path()).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    ben.close().await;
    let mut again = seat(home.path(), "ben", &hub).await;
    again.send("now").await.unwrap();
    let lost = again.take_undelivered();
    assert_eq!((lost.len(), lost[0].label.as_str(), lost[0].reason.code), (1, "long ago", RefusalCode::Gone));
    assert_eq!((texts(&mut again).await, again.spooled(room)), (vec!["now".to_owned()], 0));
}

#[tokio::test]
async fn what_is_refused_for_now_waits_and_nothing_overtakes_it() {
    let home = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(7);
    let (mut ana, mut ben, room) = two(home.path(), &hub).await;
    ben.room().await.unwrap();
    ben.say_and_crash(room, "one");
    ben.say_and_crash(room, "two");
    for code in [RefusalCode::RateLimited, RefusalCode::DiskFull, RefusalCode::Internal] {
        refuse_posts(&hub, Refusal::new(code, "not now"));
        ben.log(None, 9).await.unwrap();
        let error = ben.send("three").await.unwrap_err();
        assert_eq!((error.refusal(), ben.spooled(room)), (Some(code), 2));
    }
    assert!(ben.take_undelivered().is_empty());
    hub.repent();
    ben.send("three").await.unwrap();
    assert_eq!(texts(&mut ana).await, ["one", "two", "three"]);
    assert_eq!(ben.spooled(room), 0);
}

#[tokio::test]
async fn a_head_that_the_hub_has_just_shown_is_not_signed_again_and_again() {
    let home = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(9);
    let (_ana, mut ben, room) = two(home.path(), &hub).await;
    ben.room().await.unwrap();
    ben.say_and_crash(room, "one");
    let posts = refuse_posts(&hub, Refusal::new(RefusalCode::Stale, "too old"));
    ben.log(None, 9).await.unwrap();
    assert_eq!((posts.load(Ordering::SeqCst), ben.spooled(room)), (2, 1));
    assert!(ben.take_undelivered().is_empty());
}

#[tokio::test]
async fn what_is_refused_for_now_as_it_is_said_is_told_and_not_sent_later() {
    let home = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(8);
    let (_ana, mut ben, room) = two(home.path(), &hub).await;
    ben.room().await.unwrap();
    refuse_posts(&hub, Refusal::new(RefusalCode::RateLimited, "not now"));
    let error = ben.send("one").await.unwrap_err();
    assert_eq!((error.refusal(), ben.spooled(room)), (Some(RefusalCode::RateLimited), 0));
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_stored_once() {
    let home = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(4);
    let (mut ana, mut ben, _) = two(home.path(), &hub).await;
    let mut cut = false;
    hub.lie(move |asking, answer| {
        // Stored, and another answer than the one that says so.
        if matches!((asking.request, &answer), (Request::Post(_), Ok(Answer::Post(_)))) && !cut {
            cut = true;
            *answer = Err(Refusal::new(RefusalCode::Closing, "closing"));
        }
    });
    ben.send("once").await.unwrap();
    assert_eq!(texts(&mut ana).await, ["once"]);
}
