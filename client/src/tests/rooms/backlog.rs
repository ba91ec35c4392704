//! A backlog that is to lead to what the owner has signed: nothing of it is shown before it does.

use super::lies::story;
use super::*;

#[tokio::test]
async fn a_backlog_that_does_not_arrive_at_what_the_owner_signed_is_a_fork() {
    let reader = Reader::new().await;
    let mut truth = story();
    truth.admit(reader.me, "eve/app", true);
    let mut lie = Story::new(7);
    lie.say(&ana(), "one");
    lie.admit(ben().public(), "ben/app", true);
    lie.say(&ben(), "three");
    lie.say(&ana(), "what was said to others only");
    lie.say(&ben(), "five");
    lie.say(&ana(), "six");
    lie.push(truth.entries[6].content.clone());
    lie.plant(&reader.peer);
    // However small the pages are, nothing is shown as if it were true before all has arrived.
    reader.peer.with_shelf(|shelf| shelf.page_max = None);
    let mut room = reader.joined(&truth);
    for after in [0, 0, 3, 9] {
        let page = reader.read(&mut room, after).await;
        assert_eq!((shown(&page), page.fork.map(|fork| fork.seq)), (Vec::new(), Some(6)));
    }
    reader.catch_up(&mut room).await;
    assert_eq!(room.head(), truth.points[6], "a message of ours names what the owner has signed");
    assert!(room.check_fork().is_err() && reader.evidence() == 1);
    let kept = reader.memory(&truth).load().unwrap().unwrap();
    assert_eq!((kept.head(), kept.known(3)), (truth.points[0], None), "nothing of it is kept");
}

#[tokio::test]
async fn a_fault_behind_what_the_owner_signed_hides_nothing_of_the_backlog() {
    let reader = Reader::new().await;
    let mut story = story();
    story.admit(reader.me, "eve/app", true);
    story.say(&ana(), "eight");
    let mut lie = story.clone();
    story.say(&ben(), "nine");
    lie.push(story.signed(&ana(), "a lie"));
    lie.plant(&reader.peer);
    // What stands before it came in the same page.
    let mut room = reader.joined(&story);
    let page = reader.read(&mut room, 0).await;
    assert_eq!((shown(&page), page.fork.map(|fork| fork.seq)), (story.shown()[..8].to_vec(), Some(9)));
    assert_eq!(room.head(), story.points[8]);
}

#[tokio::test]
async fn a_backlog_that_ends_before_what_the_owner_signed_is_a_fork() {
    let reader = Reader::new().await;
    let mut truth = story();
    truth.admit(reader.me, "eve/app", true);
    let mut short = truth.clone();
    short.entries.truncate(4);
    short.points.truncate(5);
    short.plant(&reader.peer);
    let mut room = reader.joined(&truth);
    let page = reader.read(&mut room, 0).await;
    assert_eq!((shown(&page), page.fork.map(|fork| fork.seq)), (Vec::new(), Some(4)));
    assert_eq!((room.state().head(), reader.evidence()), (truth.points[0], 1));
    truth.plant(&reader.peer);
    assert_eq!(
        shown(&reader.read(&mut reader.joined(&truth), 0).await),
        truth.shown(),
        "the truth is read on"
    );
}
