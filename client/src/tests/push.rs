//! Push, list, find and fetch between seats of a user, and pushes that crash between two steps.

use kit::Line;
use protocol::frame::RequestKind;
use protocol::id::BlobPrefix;
use std::io::Read as _;
use std::path::Path;

use super::peer::Peer;
use super::{bytes, handoff, settings};
use crate::report::HandoffState;
use crate::{Client, Error};

async fn seat(home: &Path, name: &str, peer: &Peer) -> Client {
    Client::connect(settings(home, name, &peer.origin()), None).await.unwrap()
}

fn prefix(text: &str) -> BlobPrefix {
    text.parse().unwrap()
}

#[tokio::test]
async fn one_seat_pushes_and_another_lists_finds_and_fetches() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let (mut one, mut two) = (seat(home.path(), "one", &peer).await, seat(home.path(), "two", &peer).await);
    let mut seqs = Vec::new();
    for i in 0..7u8 {
        let (file, part) = handoff(home.path(), &bytes(50_000, u64::from(i)), &format!("change {i}"));
        seqs.push(one.push(&file, part, None).await.unwrap().seq);
    }
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6, 7]);
    let room = two.home().await.unwrap();
    let listed = two.handoffs(room).await.unwrap();
    let summaries: Vec<_> = listed.iter().map(|h| h.part.summary.as_str()).collect();
    assert_eq!(
        summaries,
        ["change 0", "change 1", "change 2", "change 3", "change 4", "change 5", "change 6"]
    );
    assert!(listed.iter().all(|h| h.author == one.me() && h.author.name == "ana/one"));
    let found = two.find(prefix(&listed[3].id().to_string()[..12])).await.unwrap();
    assert_eq!((found.seq, found.report().state), (4, HandoffState::New));
    let blob = two.fetch(&found, None).await.unwrap();
    let mut content = Vec::new();
    blob.reader().read_to_end(&mut content).unwrap();
    assert_eq!(content, bytes(50_000, 3));
    assert_eq!(two.find(found.id().into()).await.unwrap().report().state, HandoffState::Fetched);
    let status = two.status("cli").await.unwrap();
    let names: Vec<_> = status.members.iter().map(|m| m.name.as_str()).collect();
    assert_eq!((names, status.unread), (vec!["ana/one", "ana/two"], 7));
}

#[tokio::test]
async fn the_newest_wanted_handoff_is_found_however_far_back_it_stands() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let (mut one, mut two) = (seat(home.path(), "one", &peer).await, seat(home.path(), "two", &peer).await);
    for i in 0..14u8 {
        let (file, part) = handoff(home.path(), &bytes(100, u64::from(i)), &format!("change {i}"));
        one.push(&file, part, None).await.unwrap();
    }
    let room = two.home().await.unwrap();
    for wanted in ["change 13", "change 12", "change 5", "change 0"] {
        let found = two.newest_handoff(room, |handoff| handoff.part.summary == wanted).await.unwrap();
        assert_eq!(found.unwrap().part.summary, wanted);
    }
    assert!(two.newest_handoff(room, |_| false).await.unwrap().is_none());
    assert_eq!(two.newest_handoff(room, |_| true).await.unwrap().unwrap().seq, 14);
}

#[tokio::test]
async fn the_same_handoff_again_posts_nothing_and_another_summary_does() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let mut client = seat(home.path(), "one", &peer).await;
    let (file, part) = handoff(home.path(), &bytes(1000, 1), "first");
    let first = client.push(&file, part.clone(), None).await.unwrap();
    let second = client.push(&file, part.clone(), None).await.unwrap();
    assert!(!first.deduplicated && second.deduplicated);
    assert_eq!((first.seq, first.room, peer.entries()), (second.seq, second.room, 1));
    let (_, renamed) = handoff(home.path(), &bytes(1000, 1), "second");
    assert_eq!(client.push(&file, renamed, None).await.unwrap().seq, 2);
    let mut other = seat(home.path(), "two", &peer).await;
    assert_eq!(other.push(&file, part.clone(), None).await.unwrap().seq, 3, "another seat says it itself");
    assert_eq!(other.find(part.blob.into()).await.unwrap().author, other.me(), "the newest reference counts");
}

#[tokio::test]
async fn an_expired_handoff_is_gone_and_can_be_pushed_again() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let mut client = seat(home.path(), "one", &peer).await;
    let (file, part) = handoff(home.path(), &bytes(1000, 1), "first");
    client.push(&file, part.clone(), None).await.unwrap();
    peer.forget_blob(&part.blob);
    let found = client.find(part.blob.into()).await.unwrap();
    assert_eq!(found.report().state, HandoffState::Expired);
    let again = client.push(&file, part, None).await.unwrap();
    assert_eq!((again.seq, again.deduplicated), (2, false));
}

#[tokio::test]
async fn ids_that_could_mean_several_handoffs_are_ambiguous() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let mut client = seat(home.path(), "one", &peer).await;
    let (file, part) = handoff(home.path(), &bytes(1000, 1), "first");
    client.push(&file, part.clone(), None).await.unwrap();
    let mut other_tips = part.clone();
    other_tips.tips[0].branch = "other".to_owned();
    client.push(&file, other_tips, None).await.unwrap();
    let Err(Error::Ambiguous { candidates, .. }) = client.find(part.blob.into()).await else { panic!() };
    assert_eq!(candidates.len(), 2);
    let absent = client.find(prefix("00000000")).await.unwrap_err();
    assert_eq!(absent.code(), "not_found");
}

#[tokio::test]
async fn a_post_whose_answer_was_lost_is_stored_once() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let mut client = seat(home.path(), "one", &peer).await;
    for (i, kind) in [RequestKind::Post, RequestKind::OpenRoom, RequestKind::Find, RequestKind::PutBlob]
        .into_iter()
        .enumerate()
    {
        peer.silent_after(kind);
        let (file, part) = handoff(home.path(), &bytes(100_000, i as u64), "change");
        let posted = client.push(&file, part, None).await.unwrap();
        assert_eq!((posted.seq, posted.deduplicated, peer.entries()), (i as u64 + 1, false, i + 1));
    }
}

#[tokio::test]
async fn what_a_crashed_push_had_signed_goes_out_unchanged_with_the_next_one() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let (file, part) = handoff(home.path(), &bytes(1000, 1), "first");
    // The hub stored it, and the process was killed before it heard so.
    let mut crashed = seat(home.path(), "one", &peer).await;
    crashed.push(&file, part.clone(), None).await.unwrap();
    let stored = crashed.spooled_again(&part).await;
    drop(crashed);
    let mut client = seat(home.path(), "one", &peer).await;
    let posted = client.push(&file, part.clone(), None).await.unwrap();
    assert_eq!((posted.seq, peer.entries()), (1, 1));
    assert_eq!(client.spooled(posted.room), 0);
    // The hub never saw it: it goes out before what is pushed next.
    let (_, other) = handoff(home.path(), &bytes(1000, 1), "unheard");
    client.sign_and_crash(posted.room, &other).await;
    let (file, next) = handoff(home.path(), &bytes(1000, 2), "next");
    assert_eq!(client.push(&file, next, None).await.unwrap().seq, 3);
    let room = client.home().await.unwrap();
    let summaries: Vec<_> =
        client.handoffs(room).await.unwrap().into_iter().map(|h| h.part.summary).collect();
    assert_eq!(summaries, ["first", "unheard", "next"]);
    assert!(stored);
}

#[tokio::test]
async fn processes_of_one_seat_that_push_at_once_all_get_a_place() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let mut pushes = tokio::task::JoinSet::new();
    for i in 0..8u8 {
        let mut client = seat(home.path(), "one", &peer).await;
        let (file, part) = handoff(home.path(), &bytes(20_000, u64::from(i)), &format!("change {i}"));
        pushes.spawn(async move { client.push(&file, part, None).await.unwrap().seq });
    }
    let mut places = pushes.join_all().await;
    places.sort_unstable();
    assert_eq!(places, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(std::fs::read_dir(home.path().join("data/spool")).unwrap().count(), 0);
}

#[tokio::test]
async fn processes_of_one_seat_that_push_the_same_at_once_post_it_once() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let mut pushes = tokio::task::JoinSet::new();
    let (file, part) = handoff(home.path(), &bytes(20_000, 1), "change");
    for _ in 0..6 {
        let mut client = seat(home.path(), "one", &peer).await;
        let (file, part) = (file.clone(), part.clone());
        pushes.spawn(async move { client.push(&file, part, None).await.unwrap() });
    }
    let posted = pushes.join_all().await;
    // Two that sign within the same millisecond make the same statement, and both have posted it.
    assert!(posted.iter().any(|p| !p.deduplicated));
    assert_eq!((posted.iter().map(|p| p.seq).max(), peer.entries()), (Some(1), 1));
}

#[tokio::test]
async fn a_whole_handoff_survives_a_line_that_breaks_all_the_time() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let line = Line::new(7, 60_000).to(peer.address());
    peer.also_known_as(&line.origin());
    let mut client = Client::connect(settings(home.path(), "one", &line.origin()), None).await.unwrap();
    let mut receiver = Client::connect(settings(home.path(), "two", &line.origin()), None).await.unwrap();
    for i in 0..10u8 {
        let content = bytes(200_000, u64::from(i));
        let (file, part) = handoff(home.path(), &content, "change");
        let posted = client.push(&file, part.clone(), None).await.unwrap();
        assert_eq!(posted.seq, u64::from(i) + 1);
        let found = receiver.find(part.blob.into()).await.unwrap();
        assert_eq!(receiver.fetch(&found, None).await.unwrap().size(), 200_000);
    }
    assert_eq!(peer.entries(), 10);
    assert!(line.cuts() > 50, "only {} cuts", line.cuts());
}

#[tokio::test]
async fn a_seat_without_the_user_key_finds_the_home_that_another_opened() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let (file, part) = handoff(home.path(), &bytes(1000, 1), "first");
    seat(home.path(), "one", &peer).await.push(&file, part.clone(), None).await.unwrap();
    drop(seat(home.path(), "two", &peer).await);
    std::fs::rename(home.path().join("data/user.key"), home.path().join("elsewhere")).unwrap();
    let mut sandbox = seat(home.path(), "two", &peer).await;
    assert_eq!(sandbox.find(part.blob.into()).await.unwrap().part.summary, "first");
    let elsewhere = Peer::start(2).await;
    let mut sandbox = seat(home.path(), "two", &elsewhere).await;
    assert!(matches!(sandbox.home().await, Err(Error::NoHome)));
}
