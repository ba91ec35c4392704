//! The whole hub in one process: real sockets, files and database, with the protocol's own client as the peer.

mod hostile;
mod peer;
mod session;

use std::path::Path;
use std::time::Duration;

use protocol::conn::client::{ClientFault, ClientOutput};
use protocol::frame::{Answer, Empty, PutBlob, PutDone, Request};
use protocol::id::{BlobId, RoomId};
use protocol::limits::{CHUNK_BYTES_MAX, Limits};
use protocol::refusal::RefusalCode;

use self::peer::{Running, config, start};
use crate::cast::{hub_key, player};
use crate::{Config, Error};

/// Longer than anything here takes; only a hang reaches it.
const LONG: Duration = Duration::from_secs(30);

/// Puts the key of the cast where the hub would make its own, so that the cast's statements are for it.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("hub.key"), hub_key().to_seed_text().unwrap()).unwrap();
    place
}

async fn local(place: &Path) -> Running {
    start(config(place)).await
}

fn body(number: u64) -> String {
    format!(r#"{{"parts":[{{"kind":"text","text":"{number}"}}]}}"#)
}

/// Returns bytes that no compression and no accident makes equal.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test]
async fn one_seat_hands_a_blob_to_another() {
    let place = place();
    let hub = local(place.path()).await;
    assert_eq!(hub.ready.origins, ["local"]);
    let (mut one, mut two) = (hub.connect(&player(0, 1)).await, hub.connect(&player(0, 2)).await);
    let room = one.open_home().await.room;
    assert_eq!(two.open_home().await.room, room);
    let bytes = noise(CHUNK_BYTES_MAX * 2 + 17, 1);
    let id = BlobId::of(&bytes);
    assert_eq!(one.upload(room, &bytes).await, Ok(Answer::PutBlob(PutDone { present: false })));
    assert_eq!(one.upload(room, &bytes).await, Ok(Answer::PutBlob(PutDone { present: true })));
    assert_eq!(one.post(1, &body(1), &[id]).await.unwrap().seq, 1);
    let page = two.pull(room, 0, Duration::ZERO).await.unwrap();
    assert_eq!((page.entries.len(), page.end.seq), (1, 1));
    assert_eq!(two.download(room, id, 0).await.unwrap(), bytes);
    assert_eq!(two.download(room, id, 300_000).await.unwrap(), bytes[300_000..]);
    assert!(two.download(room, id, bytes.len() as u64).await.unwrap().is_empty());
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn a_stranger_gets_not_found_whatever_it_asks() {
    let place = place();
    let hub = local(place.path()).await;
    let mut ana = hub.connect(&player(0, 1)).await;
    let room = ana.open_home().await.room;
    let id = BlobId::of(b"secret");
    ana.upload(room, b"secret").await.unwrap();
    let mut eve = hub.connect(&player(1, 1)).await;
    eve.open_home().await;
    let no_such_room = RoomId::from_bytes([9; 32]);
    for asked in [room, no_such_room] {
        let refusals = [
            eve.pull(asked, 0, LONG).await.unwrap_err(),
            eve.download(asked, id, 0).await.unwrap_err(),
            eve.upload(asked, b"secret").await.unwrap_err(),
        ];
        for refusal in refusals {
            assert_eq!(refusal, protocol::refusal::Refusal::not_found());
        }
    }
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn a_pull_that_waits_is_woken_by_a_post() {
    let place = place();
    let hub = local(place.path()).await;
    let (mut one, mut two) = (hub.connect(&player(0, 1)).await, hub.connect(&player(0, 2)).await);
    let room = one.open_home().await.room;
    let waiting = tokio::spawn(async move { two.pull(room, 0, LONG).await.unwrap() });
    one.post(1, &body(1), &[]).await.unwrap();
    assert_eq!(waiting.await.unwrap().entries.len(), 1);
    let page = one.pull(room, 1, Duration::from_millis(20)).await.unwrap();
    assert!(page.entries.is_empty() && page.start == page.end);
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn who_waits_is_woken_also_when_who_posted_is_gone_before_the_answer() {
    for cancels in [true, false] {
        let place = place();
        let hub = local(place.path()).await;
        let (mut one, mut two) = (hub.connect(&player(0, 1)).await, hub.connect(&player(0, 2)).await);
        let room = one.open_home().await.room;
        let pull = protocol::frame::Pull { room, after: 0, limit: 1, bodies: true, wait_ms: Some(50_000) };
        let waiting = two.send_request(&Request::Pull(pull)).await;
        two.ask(Request::Ping(Empty {})).await.unwrap();
        // Nothing is written until the lock goes.
        let lock = rusqlite::Connection::open(place.path().join("data/hub.db")).unwrap();
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        let post = one.send_post(1, &body(1), &[]).await;
        one.ask(Request::Ping(Empty {})).await.unwrap();
        if cancels {
            one.cancel(post).await;
            one.ask(Request::Ping(Empty {})).await.unwrap();
        } else {
            // Which takes until the hub has noticed it and ended what it ends.
            one.hang_up().await;
        }
        lock.execute_batch("COMMIT").unwrap();
        let woken = tokio::time::timeout(LONG, two.answer(waiting)).await;
        assert!(matches!(woken, Ok(Ok(Answer::Pull(page))) if page.entries.len() == 1), "cancels: {cancels}");
        hub.stop().await.unwrap();
    }
}

#[tokio::test]
async fn an_upload_does_not_hold_up_the_conversation() {
    let place = place();
    let hub = local(place.path()).await;
    let mut ana = hub.connect(&player(0, 1)).await;
    let room = ana.open_home().await.room;
    let bytes = noise(CHUNK_BYTES_MAX * 3, 2);
    let (upload, go) = ana.begin_upload(room, BlobId::of(&bytes), bytes.len() as u64).await;
    assert_eq!(go.unwrap().offset, 0);
    for (number, chunk) in (1..).zip(bytes.chunks(CHUNK_BYTES_MAX)) {
        assert_eq!(ana.post(number, &body(number), &[]).await.unwrap().seq, number);
        ana.send_chunk(upload, chunk).await;
    }
    assert!(ana.answer(upload).await.is_ok());
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn an_upload_resumes_after_its_connection_died_and_the_hub_restarted() {
    let place = place();
    let hub = local(place.path()).await;
    let bytes = noise(CHUNK_BYTES_MAX * 4, 3);
    let (id, size) = (BlobId::of(&bytes), bytes.len() as u64);
    let mut ana = hub.connect(&player(0, 1)).await;
    let room = ana.open_home().await.room;
    let (upload, _) = ana.begin_upload(room, id, size).await;
    ana.send_chunk(upload, &bytes[..CHUNK_BYTES_MAX]).await;
    ana.ask(Request::Ping(Empty {})).await.unwrap();
    drop(ana);
    hub.stop().await.unwrap();
    let hub = local(place.path()).await;
    let mut ana = hub.connect(&player(0, 1)).await;
    let (upload, go) = ana.begin_upload(room, id, size).await;
    assert_eq!(go.unwrap().offset, CHUNK_BYTES_MAX as u64);
    // Another connection takes over while this one still runs, and what it sent counts.
    let mut again = hub.connect(&player(0, 1)).await;
    let (newer, go) = again.begin_upload(room, id, size).await;
    let offset = usize::try_from(go.unwrap().offset).unwrap();
    for chunk in bytes[offset..].chunks(CHUNK_BYTES_MAX) {
        again.send_chunk(newer, chunk).await;
    }
    assert!(again.answer(newer).await.is_ok());
    ana.send_chunk(upload, &bytes[CHUNK_BYTES_MAX..CHUNK_BYTES_MAX * 2]).await;
    assert_eq!(ana.answer(upload).await.unwrap_err().code, RefusalCode::Superseded);
    assert_eq!(again.download(room, id, 0).await.unwrap(), bytes);
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn bytes_that_are_not_the_announced_ones_are_refused() {
    let place = place();
    let hub = local(place.path()).await;
    let mut ana = hub.connect(&player(0, 1)).await;
    let room = ana.open_home().await.room;
    let (upload, _) = ana.begin_upload(room, BlobId::of(b"right"), 5).await;
    ana.send_chunk(upload, b"wrong").await;
    assert_eq!(ana.answer(upload).await.unwrap_err().code, RefusalCode::HashMismatch);
    let too_large = Limits::default().blob_bytes_max + 1;
    let (_, refused) = ana.begin_upload(room, BlobId::of(b"big"), too_large).await;
    let refusal = refused.unwrap_err().unwrap_err();
    assert_eq!((refusal.code, refusal.limit), (RefusalCode::TooLarge, Some(too_large - 1)));
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn what_was_answered_survives_a_restart() {
    let place = place();
    let hub = local(place.path()).await;
    let mut ana = hub.connect(&player(0, 1)).await;
    let room = ana.open_home().await.room;
    ana.upload(room, b"bytes").await.unwrap();
    ana.post(1, &body(1), &[BlobId::of(b"bytes")]).await.unwrap();
    let before = ana.pull(room, 0, Duration::ZERO).await.unwrap();
    hub.stop().await.unwrap();
    // What a crash between file and row leaves behind is swept.
    let orphan = place.path().join("data/blobs").join(BlobId::of(b"orphan").to_string());
    std::fs::write(&orphan, b"orphan").unwrap();
    let hub = local(place.path()).await;
    assert!(!orphan.exists());
    let mut ana = hub.connect(&player(0, 1)).await;
    let after = ana.pull(room, 0, Duration::ZERO).await.unwrap();
    assert_eq!((after.entries, after.end), (before.entries, before.end));
    assert_eq!(ana.download(room, BlobId::of(b"bytes"), 0).await.unwrap(), b"bytes");
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn clients_are_told_that_the_hub_closes() {
    let place = place();
    let hub = local(place.path()).await;
    let mut ana = hub.connect(&player(0, 1)).await;
    let room = ana.open_home().await.room;
    let mut waiting = hub.connect(&player(0, 1)).await;
    waiting.send_request(&Request::Ping(Empty {})).await;
    let waits = tokio::spawn(async move {
        let pull = protocol::frame::Pull { room, after: 0, limit: 1, bodies: true, wait_ms: Some(50_000) };
        waiting.send_request(&Request::Pull(pull)).await;
        let mut heard = Vec::new();
        loop {
            match waiting.next().await {
                ClientOutput::Closed(fault) => return (heard, fault),
                ClientOutput::Event(event) => heard.push(event.event),
                _ => {}
            }
        }
    });
    ana.post(1, &body(1), &[]).await.unwrap();
    hub.stop().await.unwrap();
    assert_eq!(waits.await.unwrap(), (vec!["closing".to_owned()], ClientFault::Disconnected));
    assert!(!place.path().join("hub.sock").exists());
}

#[tokio::test]
async fn a_hub_whose_disk_failed_ends_and_answers_nothing_more() {
    let place = place();
    let hub = local(place.path()).await;
    let mut ana = hub.connect(&player(0, 1)).await;
    let room = ana.open_home().await.room;
    let pull = protocol::frame::Pull { room, after: 0, limit: 1, bodies: true, wait_ms: Some(50_000) };
    ana.send_request(&Request::Pull(pull)).await;
    hub.fatal.raise("the test says so", std::sync::Arc::new(std::io::Error::other("disk")));
    assert!(matches!(ana.next().await, ClientOutput::Closed(ClientFault::Disconnected)));
    let ended = tokio::time::timeout(LONG, hub.ended()).await.unwrap();
    assert!(matches!(ended, Err(Error::Unsafe(_))), "{ended:?}");
}

#[tokio::test]
async fn one_folder_has_one_hub() {
    let place = place();
    let hub = local(place.path()).await;
    let second = crate::run(config(place.path()), |_| {}, std::future::pending()).await;
    assert!(matches!(second, Err(Error::AlreadyRuns { .. })), "{second:?}");
    hub.connect(&player(0, 1)).await;
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn a_hub_that_nobody_uses_ends_by_itself() {
    let place = place();
    let idle = Duration::from_millis(50);
    let hub = start(Config { idle_exit: Some(idle), ..config(place.path()) }).await;
    let ana = hub.connect(&player(0, 1)).await;
    tokio::time::timeout(idle * 4, std::future::pending::<()>()).await.unwrap_err();
    assert!(place.path().join("hub.sock").exists(), "somebody is connected");
    drop(ana);
    tokio::time::timeout(LONG, hub.ended()).await.unwrap().unwrap();
    assert!(!place.path().join("hub.sock").exists());
}

#[tokio::test]
async fn a_socket_that_a_dead_hub_left_is_replaced() {
    let place = place();
    drop(std::os::unix::net::UnixListener::bind(place.path().join("hub.sock")).unwrap());
    let hub = local(place.path()).await;
    hub.connect(&player(0, 1)).await;
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn many_uploads_at_once_all_land() {
    let place = place();
    let hub = local(place.path()).await;
    let room = hub.connect(&player(0, 1)).await.open_home().await.room;
    let mut uploads = tokio::task::JoinSet::new();
    for number in 0..8u8 {
        let mut peer = hub.connect(&player(0, number % 4)).await;
        uploads.spawn(async move {
            let bytes = noise(CHUNK_BYTES_MAX + usize::from(number), u64::from(number) + 10);
            peer.upload(room, &bytes).await.unwrap();
            assert_eq!(peer.download(room, BlobId::of(&bytes), 0).await.unwrap(), bytes);
        });
    }
    while let Some(outcome) = uploads.join_next().await {
        outcome.unwrap();
    }
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn a_cancelled_upload_makes_way_for_the_next() {
    let place = place();
    let hub = local(place.path()).await;
    let mut ana = hub.connect(&player(0, 1)).await;
    let room = ana.open_home().await.room;
    let bytes = noise(CHUNK_BYTES_MAX * 2, 5);
    let (first, _) = ana.begin_upload(room, BlobId::of(&bytes), bytes.len() as u64).await;
    ana.send_chunk(first, &bytes[..1000]).await;
    let second = PutBlob { room, id: BlobId::of(b"x"), size: 1 };
    let refused = ana.ask(Request::PutBlob(second)).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::TooMany);
    ana.cancel(first).await;
    ana.upload(room, b"other").await.unwrap();
    assert!(ana.upload(room, &bytes).await.is_ok());
    hub.stop().await.unwrap();
}
