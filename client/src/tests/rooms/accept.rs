//! A human takes the log as the hub shows it now, or cannot.

use super::*;
use crate::Error;

fn talk(words: &[&str]) -> Story {
    let mut story = Story::new(7);
    words.iter().for_each(|word| story.say(&ana(), word));
    story
}

/// Has read one history, and then sees another.
async fn forked(reader: &Reader, before: &Story, after: &Story) -> Room {
    before.plant(&reader.peer);
    let mut room = reader.own(before);
    reader.read_all(&mut room, 0).await;
    after.plant(&reader.peer);
    reader.catch_up(&mut room).await;
    assert!(matches!(room.check_fork(), Err(Error::Forked { .. })));
    assert_eq!(room.head(), before.end(), "the verified head stays");
    room
}

#[tokio::test]
async fn a_log_that_holds_by_itself_is_taken_and_goes_on() {
    let (reader, before) = (Reader::new().await, talk(&["one", "two", "three"]));
    let mut after = talk(&["one", "another two"]);
    let mut room = forked(&reader, &before, &after).await;
    let old = reader.own(&before);
    room.accept_fork(&reader.link, after.end()).await.unwrap();
    assert!(room.check_fork().is_ok());
    assert_eq!((room.head(), room.next_n(&ana().public())), (after.end(), 3));
    // Who still names the other history up to here is believed, as far as that was accepted.
    after.say_parts(&ana(), vec![Part::Text("three".into())], |header| header.head = before.points[2]);
    after.plant(&reader.peer);
    assert_eq!(reader.read_all(&mut room, 0).await, after.shown());
    old.memory_for_tests().merge(old.state()).unwrap();
    let mut again = reader.own(&before);
    assert_eq!(reader.read_all(&mut again, 0).await, after.shown(), "a slower process brings nothing back");
    assert!(again.check_fork().is_ok());
}

#[tokio::test]
async fn a_log_that_does_not_hold_by_itself_is_not_taken() {
    let (reader, before) = (Reader::new().await, talk(&["one", "two", "three"]));
    let mut after = talk(&["one"]);
    after.say_parts(&ana(), vec![Part::Text("two".into())], |header| header.head = before.points[3]);
    let mut room = forked(&reader, &before, &after).await;
    let refused = room.accept_fork(&reader.link, after.end()).await;
    assert!(matches!(refused, Err(Error::Forked { .. })), "{refused:?}");
    assert_eq!(room.head(), before.end());
    let mut again = reader.own(&before);
    assert!(again.check_fork().is_err() && again.head() == before.end(), "nothing has changed");
    before.plant(&reader.peer);
    assert_eq!(reader.read(&mut again, 0).await.items.len(), 3, "and the true log can be read");
}

#[tokio::test]
async fn a_long_log_that_does_not_hold_changes_nothing_on_the_way() {
    let (reader, before) = (Reader::new().await, talk(&["one", "two", "three"]));
    let mut after = talk(&["another one"]);
    (0..4400).for_each(|i| after.say(&ana(), &i.to_string()));
    let ahead = LogPoint { seq: 5000, log: Digest::of(b"elsewhere") };
    after.say_parts(&ana(), vec![Part::Text("the end".into())], |header| header.head = ahead);
    let mut room = forked(&reader, &before, &after).await;
    let refused = room.accept_fork(&reader.link, after.end()).await;
    assert!(matches!(refused, Err(Error::Forked { .. })), "{refused:?}");
    let again = reader.own(&before);
    assert_eq!((again.head(), again.state().histories()), (before.end(), 0));
    assert!(again.check_fork().is_err(), "the fork is remembered");
}

#[tokio::test]
async fn an_end_that_the_log_does_not_have_is_not_taken() {
    let (reader, before) = (Reader::new().await, talk(&["one", "two"]));
    let after = talk(&["another one"]);
    let mut room = forked(&reader, &before, &after).await;
    let end = LogPoint { seq: 1, log: Digest::of(b"elsewhere") };
    assert!(matches!(room.accept_fork(&reader.link, end).await, Err(Error::Contradiction { .. })));
    assert!(room.check_fork().is_err());
}

/// A member was let in at the second entry, and another history is shown behind that.
#[tokio::test]
async fn what_the_owner_signed_must_be_in_the_log_that_is_taken() {
    for with_history in [true, false] {
        let reader = Reader::new().await;
        let mut before = talk(&["one", "two"]);
        before.admit(reader.me, "eve/app", with_history);
        let mut after = before.clone();
        before.say(&ana(), "four");
        after.say(&ana(), "another four");
        before.plant(&reader.peer);
        let mut room = reader.joined(&before);
        reader.read_all(&mut room, 0).await;
        after.plant(&reader.peer);
        reader.catch_up(&mut room).await;
        room.accept_fork(&reader.link, after.end()).await.unwrap();
        let first = if with_history { 0 } else { 2 };
        assert_eq!(reader.read_all(&mut room, first).await, after.shown()[usize::try_from(first).unwrap()..]);

        let mut foreign = talk(&["another one", "another two"]);
        foreign.admit(reader.me, "eve/app", with_history);
        foreign.say(&ana(), "four");
        foreign.plant(&reader.peer);
        reader.catch_up(&mut room).await;
        let refused = room.accept_fork(&reader.link, foreign.end()).await;
        assert!(refused.is_err(), "the owner has signed another log");
        assert_eq!(room.head(), after.end());
    }
}

#[tokio::test]
async fn a_backlog_that_leads_elsewhere_is_given_up_and_the_rest_read() {
    let reader = Reader::new().await;
    let mut truth = talk(&["one", "two"]);
    truth.admit(reader.me, "eve/app", true);
    truth.say(&ana(), "four");
    truth.plant(&reader.peer);
    let others = talk(&["one", "another two"]);
    let backlog = others.entries;
    reader.peer.lie(move |answer| {
        if let protocol::frame::Answer::Pull(page) = answer {
            for entry in page.entries.iter_mut().filter(|entry| entry.seq == 2) {
                entry.content = backlog[1].content.clone();
            }
        }
    });
    let mut room = reader.joined(&truth);
    assert!(reader.read(&mut room, 0).await.fork.is_some());
    room.accept_fork(&reader.link, truth.end()).await.unwrap();
    let page = reader.read(&mut room, 0).await;
    assert_eq!((shown(&page), page.expired_unread), (truth.shown()[2..].to_vec(), 2));
    assert!(page.fork.is_none());
}

#[tokio::test]
async fn what_one_process_sees_and_a_human_accepts_another_heeds() {
    let (reader, before) = (Reader::new().await, talk(&["one", "two", "three"]));
    before.plant(&reader.peer);
    let mut server = reader.own(&before);
    reader.read_all(&mut server, 0).await;
    let after = talk(&["one", "another two"]);
    let mut command = forked(&reader, &before, &after).await;
    before.plant(&reader.peer);
    reader.catch_up(&mut server).await;
    assert!(server.check_fork().is_err() && server.check_shown().is_ok(), "noted by another");
    after.plant(&reader.peer);
    reader.catch_up(&mut server).await;
    assert!(server.check_shown().is_err());
    command.accept_fork(&reader.link, after.end()).await.unwrap();
    reader.catch_up(&mut server).await;
    reader.catch_up(&mut server).await;
    assert!(server.check_fork().is_ok());
    assert_eq!(reader.read_all(&mut server, 0).await, after.shown());
}
