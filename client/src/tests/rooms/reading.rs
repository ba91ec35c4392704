//! An honest hub: every entry once and in order, whoever has read before, however long the log is.

use std::time::Duration;

use protocol::key::AgentId;
use protocol::part::Part;
use protocol::statement::Op;

use super::*;

/// Ana opens, lets Ben in, and they talk.
fn talk(messages: usize) -> Story {
    let mut story = Story::new(7);
    story.say(&ana(), "welcome");
    story.admit(ben().public(), "ben/app", true);
    for i in 0..messages {
        let author = if i % 2 == 0 { ben() } else { ana() };
        story.say(&author, &format!("text {i}"));
    }
    story
}

#[tokio::test]
async fn entries_are_read_once_and_in_order_with_the_names_of_their_authors() {
    let (reader, mut story) = (Reader::new().await, talk(6));
    story.act(Op::Remove { agent: ben().public() });
    story.plant(&reader.peer);
    reader.peer.with_shelf(|shelf| shelf.page_max = None);
    let mut room = reader.own(&story);
    let page = reader.read(&mut room, 0).await;
    assert_eq!((page.end_seq, page.more, page.expired_unread), (3, true, 0));
    assert_eq!(reader.read_all(&mut room, 0).await, story.shown());
    assert_eq!((room.head(), room.fork()), (story.end(), None));
    let Content::Message(said) = &page.items[2].content else { panic!("a message") };
    assert_eq!((said.author.name.as_str(), said.role), ("ben/app", Role::Member));
    let Content::Message(said) = &page.items[0].content else { panic!("a message") };
    assert_eq!((said.author.name.as_str(), said.role), ("ana/app", Role::Owner));
    let ben = crate::report::Agent { id: ben().public(), name: "ben/app".into() };
    assert!(matches!(&page.items[1].content, Content::Act(Act::Admitted(agent)) if *agent == ben));
    assert_eq!(room.present().len(), 1, "Ben is out");
    assert_eq!(reader.evidence(), 0);
}

#[tokio::test]
async fn another_seat_reads_all_of_it_after_the_first_has_caught_up() {
    let (reader, story) = (Reader::new().await, talk(30));
    story.plant(&reader.peer);
    let mut first = reader.own(&story);
    reader.catch_up(&mut first).await;
    assert_eq!(first.head(), story.end());
    let mut second = reader.own(&story);
    assert_eq!(second.head(), story.end(), "from the file");
    assert_eq!(reader.read_all(&mut second, 0).await, story.shown());
    assert_eq!(reader.read_all(&mut second, 20).await, story.shown()[20..]);
    assert_eq!(second.next_n(&ben().public()), 16);
}

#[tokio::test]
async fn two_who_read_at_once_end_with_the_same_state() {
    let (reader, story) = (Reader::new().await, talk(40));
    story.plant(&reader.peer);
    reader.peer.with_shelf(|shelf| shelf.page_max = None);
    let (mut one, mut two) = (reader.own(&story), reader.own(&story));
    let (first, second) = tokio::join!(reader.read_all(&mut one, 0), reader.read_all(&mut two, 0));
    assert_eq!((&first, &second), (&story.shown(), &story.shown()));
    assert_eq!((one.fork(), two.fork()), (None, None));
    assert_eq!(reader.own(&story).head(), story.end());
}

#[tokio::test]
async fn a_long_log_is_read_from_anywhere_and_its_file_stays_small() {
    let (reader, mut story) = (Reader::new().await, talk(0));
    for i in 0..5000 {
        story.say(&ben(), &format!("text {i}"));
    }
    story.plant(&reader.peer);
    let mut room = reader.own(&story);
    reader.catch_up(&mut room).await;
    let size = std::fs::metadata(reader.memory(&story).path()).unwrap().len();
    assert!(size < 120_000, "{size} bytes");
    for after in [0, 100, 2500, 4990] {
        let mut another = reader.own(&story);
        let page = reader.read(&mut another, after).await;
        let first = usize::try_from(after).unwrap();
        let last = usize::try_from(page.end_seq).unwrap();
        assert_eq!(shown(&page), story.shown()[first..last]);
        assert!(last == 5002 || last == first + 256);
    }
    let before = reader.peer.with_shelf(|shelf| shelf.pulls);
    reader.own(&story).catch_up(&reader.link, story.end()).await.unwrap();
    assert_eq!(reader.peer.with_shelf(|shelf| shelf.pulls), before, "nothing is asked where nothing is new");
}

#[tokio::test]
async fn who_was_admitted_with_history_reads_it_all_and_who_was_not_from_there_on() {
    for with_history in [true, false] {
        let (reader, mut story) = (Reader::new().await, talk(5));
        story.admit(reader.me, "eve/app", with_history);
        let at = usize::try_from(story.end().seq).unwrap() - 1;
        story.say(&ana(), "hello eve");
        story.plant(&reader.peer);
        if !with_history {
            reader.peer.with_shelf(|shelf| shelf.prune(story.room, at));
        }
        let mut room = reader.joined(&story);
        let first = if with_history { 0 } else { at };
        assert_eq!(room.head().seq, at as u64, "what the owner has signed is a head to name");
        let page = reader.read(&mut room, 0).await;
        assert_eq!((shown(&page), page.expired_unread), (story.shown()[first..].to_vec(), 0));
        assert_eq!((room.floor(), room.is_unchecked()), (first as u64, false));
        assert_eq!(reader.read_all(&mut reader.joined(&story), 0).await, story.shown()[first..]);
    }
}

#[tokio::test]
async fn what_expired_unread_is_counted_and_reading_starts_anew_behind_it() {
    let (reader, mut story) = (Reader::new().await, talk(10));
    story.plant(&reader.peer);
    let mut room = reader.own(&story);
    reader.peer.with_shelf(|shelf| shelf.page_max = None);
    assert_eq!(reader.read(&mut room, 0).await.end_seq, 3);
    story.act(Op::Deny { agents: vec![AgentId::from_bytes([9; 32])] });
    for i in 0..5 {
        story.say(&ben(), &format!("later {i}"));
    }
    story.plant(&reader.peer);
    reader.peer.with_shelf(|shelf| shelf.prune(story.room, 14));
    let page = reader.read(&mut room, 3).await;
    assert_eq!((page.expired_unread, page.is_unchecked), (11, true));
    assert_eq!(shown(&page), story.shown()[14..17], "and skipped numbers are no gap");
    assert!(room.members().is_denied(&AgentId::from_bytes([9; 32])), "acts do not expire");
    assert_eq!((room.fork(), reader.evidence()), (None, 0));
    let again = reader.own(&story);
    assert!(again.is_unchecked() && again.head().seq == 17);
}

#[tokio::test]
async fn what_expired_before_what_the_owner_signed_leaves_nothing_unchecked() {
    let (reader, mut story) = (Reader::new().await, talk(10));
    story.admit(reader.me, "eve/app", true);
    story.say(&ben(), "hello eve");
    story.plant(&reader.peer);
    reader.peer.with_shelf(|shelf| shelf.prune(story.room, 6));
    let mut room = reader.joined(&story);
    let page = reader.read(&mut room, 0).await;
    assert_eq!((page.expired_unread, page.is_unchecked), (6, false));
    assert_eq!(shown(&page), story.shown()[6..]);
}

#[tokio::test]
async fn a_reader_far_behind_is_served_above_a_base_that_lies_between_known_values() {
    let (reader, mut story) = (Reader::new().await, talk(0));
    for i in 0..3000 {
        story.say(&ben(), &format!("text {i}"));
    }
    story.plant(&reader.peer);
    reader.catch_up(&mut reader.own(&story)).await;
    reader.peer.with_shelf(|shelf| shelf.prune(story.room, 1500));
    let page = reader.read(&mut reader.own(&story), 700).await;
    assert_eq!((page.expired_unread, page.end_seq, page.is_unchecked), (800, 1756, false));
    assert_eq!(shown(&page), story.shown()[1500..1756]);
}

#[tokio::test]
async fn bodies_that_are_gone_or_of_the_future_show_as_such_and_a_leave_ends_a_membership() {
    let (reader, mut story) = (Reader::new().await, talk(0));
    story.say_parts(&ana(), vec![Part::Topic("the plan".into())], |_| {});
    story.say_parts(&ben(), vec![Part::Topic("not the owner's".into())], |_| {});
    story.say_parts(&ana(), vec![Part::Text("secret".into())], |header| header.needs = vec!["new".into()]);
    story.say(&ana(), "erased");
    let Some(EntryContent::Message { body, .. }) = story.entries.last_mut().map(|entry| &mut entry.content)
    else {
        panic!("a message")
    };
    *body = None;
    story.say_parts(&ben(), vec![Part::Text("bye".into())], |header| header.leave = true);
    story.say(&ben(), "still here");
    story.plant(&reader.peer);
    let mut room = reader.own(&story);
    assert_eq!(room.topic(), None);
    let page = reader.read(&mut room, 2).await;
    let lines =
        ["3 the plan", "4 not the owner's", "5 [needs newer]", "6 [erased]", "7 bye", "8 not a member"];
    assert_eq!(shown(&page), lines);
    assert_eq!(room.topic(), Some("the plan"));
    assert_eq!(reader.own(&story).topic(), Some("the plan"));
    assert_eq!(room.present().len(), 1);
}

#[tokio::test]
async fn a_wait_ends_with_the_first_entry_or_with_its_time() {
    let (reader, mut story) = (Reader::new().await, talk(0));
    story.plant(&reader.peer);
    let mut room = reader.own(&story);
    reader.read_all(&mut room, 0).await;
    let none = room.read(&reader.link, 2, 256, Some(Duration::from_millis(30))).await.unwrap();
    assert_eq!((shown(&none), none.end_seq, none.more), (Vec::new(), 2, false));
    story.say(&ben(), "at last");
    let mut asked = 0;
    let (peer, told) = (&reader.peer, story.clone());
    // The third look is the one that finds something: no clock has to be hit.
    peer.lie(move |answer| {
        if let protocol::frame::Answer::Pull(page) = answer {
            asked += 1;
            if asked == 3 {
                page.entries = told.entries[2..].to_vec();
                page.end = told.end();
            }
        }
    });
    let page = room.read(&reader.link, 2, 256, Some(Duration::from_secs(3600))).await.unwrap();
    assert_eq!(shown(&page), ["3 at last"]);
}

#[tokio::test]
async fn a_home_of_the_first_version_goes_on_where_it_was() {
    let (reader, mut story) = (Reader::new().await, talk(0));
    story.plant(&reader.peer);
    let known: Vec<_> = story.points.iter().map(|point| (point.seq, point.log)).collect();
    let old = serde_json::json!({
        "known": known, "authors": { ana().public().to_string(): 1 },
        "seats": { ana().public().to_string(): { "issued": 0, "statement": story.seats[0] } },
    });
    let memory = reader.memory(&story);
    crate::files::replace(memory.path(), old.to_string().as_bytes()).unwrap();
    story.say(&ana(), "new");
    story.plant(&reader.peer);
    let mut room = Room::home(memory, story.room, owner().public(), reader.me).unwrap();
    assert_eq!((room.head().seq, room.next_n(&ana().public())), (2, 2));
    assert_eq!(reader.read_all(&mut room, 2).await, ["3 new"]);
    assert_eq!(room.fork(), None);
}
