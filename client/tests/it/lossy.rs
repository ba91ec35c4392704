//! A large handoff over a line that breaks again and again, through a hub that is killed in between.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use client::Client;
use hub::{Config, Listen, Names};
use kit::Line;

use crate::cast::{handoff, settings};
use crate::hub_thread::HubThread;

const SIZE: usize = 20 << 20;

fn start(data: &Path, line: &Line, port: u16) -> HubThread {
    let listen = Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], port)));
    let names = Names::Urls(vec![line.origin()]);
    let hub =
        HubThread::start(Config { names, ..Config::new(data.to_owned(), vec![listen]) }, |_| {}).unwrap();
    let [Listen::Tcp(address)] = hub.ready.addresses[..] else { panic!("one TCP port") };
    line.aim(address);
    hub
}

async fn seat(home: &Path, name: &str, line: &Line) -> Client {
    Client::connect(settings(home, name, line.origin().parse().unwrap()), None).await.unwrap()
}

/// Pushes and fetches over a line whose connections carry less than `bytes_max`, far less than the bundle, so that only who
/// goes on where it was ever ends; returns the cuts of both ways.
async fn push_and_fetch(seed: u64, bytes_max: u64) -> (u64, u64) {
    let home = tempfile::tempdir().unwrap();
    let line = Line::new(seed, bytes_max);
    let hub = start(&home.path().join("hub"), &line, 0);
    let (file, part) = handoff(home.path(), SIZE, seed);
    let size = part.size;

    let mut author = seat(home.path(), "one", &line).await;
    let posted = author.push(&file, part.clone(), None).await.unwrap();
    assert!(!posted.deduplicated && posted.seq == 1);
    let (cuts_up, up) = (line.cuts(), line.bytes_up());
    // Lost is what was in the line and in the sockets when it broke, never what the hub had written.
    assert!(up < size * 2, "{up} bytes for {size}, {cuts_up} cuts");

    let last = Arc::new(AtomicU64::new(0));
    let seen = last.clone();
    let progress = Arc::new(move |done: u64, total: u64| {
        // Never backward: what has arrived is not fetched again.
        assert!(seen.swap(done, Ordering::SeqCst) < done && done <= total);
    });
    let down_before = line.bytes_down();
    let mut reader = seat(home.path(), "two", &line).await;
    let found = reader.find(part.blob.into()).await.unwrap();
    let blob = reader.fetch(&found, Some(progress)).await.unwrap();
    assert_eq!((blob.id(), blob.size(), last.load(Ordering::SeqCst)), (part.blob, size, size));
    let (cuts_down, down) = (line.cuts() - cuts_up, line.bytes_down() - down_before);
    assert!(down < size * 2, "{down} bytes for {size}, {cuts_down} cuts");
    println!("{size} bytes: {up} up with {cuts_up} cuts, {down} down with {cuts_down} cuts");
    hub.kill();
    (cuts_up, cuts_down)
}

#[tokio::test]
async fn twenty_megabytes_get_through_a_line_that_breaks_hundreds_of_times() {
    for seed in 1..=if kit::is_long() { 20 } else { 1 } {
        let (up, down) = push_and_fetch(seed, 250_000).await;
        assert!(up > 100 && down > 100, "{up} and {down} cuts");
    }
}

#[tokio::test]
async fn twenty_megabytes_get_through_a_line_that_breaks_now_and_then() {
    let (up, down) = push_and_fetch(3, 4_000_000).await;
    assert!(up > 4 && down > 4, "{up} and {down} cuts");
}

#[tokio::test]
async fn an_upload_goes_on_at_the_hub_that_was_killed_under_it() {
    let home = tempfile::tempdir().unwrap();
    let line = Line::new(1, u64::MAX);
    let data = home.path().join("hub");
    let hub = start(&data, &line, 0);
    let [Listen::Tcp(address)] = hub.ready.addresses[..] else { panic!("one TCP port") };
    let (file, part) = handoff(home.path(), SIZE, 1);
    let mut author = seat(home.path(), "one", &line).await;
    // The hub dies when a third is through, and another one takes its place.
    let (reached, mut at_a_third) = tokio::sync::mpsc::channel(1);
    let progress = Arc::new(move |done: u64, total: u64| {
        if done > total / 3 {
            // Only the first message counts.
            reached.try_send(()).ok();
        }
    });
    let second = async {
        at_a_third.recv().await.unwrap();
        hub.kill();
        start(&data, &line, address.port())
    };
    let (posted, hub) = tokio::join!(author.push(&file, part.clone(), Some(progress)), second);
    assert_eq!(posted.unwrap().seq, 1);
    let found = author.find(part.blob.into()).await.unwrap();
    assert_eq!(author.fetch(&found, None).await.unwrap().size(), part.size);
    hub.kill();
}

#[tokio::test]
async fn processes_of_one_seat_that_upload_the_same_at_once_share_the_work() {
    let home = tempfile::tempdir().unwrap();
    let line = Line::new(1, u64::MAX);
    let hub = start(&home.path().join("hub"), &line, 0);
    let (file, part) = handoff(home.path(), SIZE / 4, 1);
    let mut pushes = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let at = settings(home.path(), "one", line.origin().parse().unwrap());
        let (file, part) = (file.clone(), part.clone());
        pushes.spawn(async move {
            let mut client = Client::connect(at, None).await.unwrap();
            client.push(&file, part, None).await.unwrap()
        });
    }
    let posted = pushes.join_all().await;
    // Two that sign within the same millisecond make the same statement, and both have posted it.
    assert!(posted.iter().any(|posted| !posted.deduplicated));
    assert!(posted.iter().all(|posted| posted.seq == 1));
    let mut reader = seat(home.path(), "two", &line).await;
    let room = reader.home().await.unwrap();
    assert_eq!(reader.handoffs(room).await.unwrap().len(), 1);
    hub.kill();
}

#[tokio::test]
async fn a_bundle_above_the_cap_is_refused_before_a_byte_of_it_travels() {
    let home = tempfile::tempdir().unwrap();
    let line = Line::new(1, u64::MAX);
    let hub = start(&home.path().join("hub"), &line, 0);
    let mut client = seat(home.path(), "one", &line).await;
    let (file, mut part) = handoff(home.path(), 1000, 1);
    part.size = client.limits().blob_bytes_max + 1;
    let before = line.bytes_up();
    let error = client.push(&file, part, None).await.unwrap_err();
    assert_eq!(error.code(), "too_large");
    assert!(line.bytes_up() - before < 4096);
    assert_eq!(std::fs::read_dir(home.path().join("p/spool")).unwrap().count(), 0);
    hub.kill();
}
