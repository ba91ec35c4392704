//! The link against the protocol's own hub end, over real sockets and lines that break.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kit::{Line, LyingHub};
use protocol::conn::client::KnownHub;
use protocol::frame::{Answer, Chain, Empty, PutBlob, Request, RequestKind, Rooms};
use protocol::id::{BlobId, RoomId};
use protocol::key::HubKey;
use protocol::refusal::RefusalCode;

use super::dial::Failure;
use super::transfer::{TransferError, download, upload};
use super::{Dialer, Io, Link, LinkError, Patience, Road, limits};
use crate::seat::{BlobCache, CacheError, Seat};
use crate::settings::{JoinSecret, Settings};
use crate::tests::bytes;
use crate::tests::peer::Peer;

const ROOM: RoomId = RoomId::from_bytes([5; 32]);

fn settings(home: &Path, address: &str) -> Settings {
    crate::tests::settings(home, "app", address)
}

fn link_with(settings: &Settings) -> Link {
    let seat = Arc::new(Seat::open(settings).unwrap());
    let patience = Patience {
        first: Duration::from_millis(50),
        again: Duration::from_secs(20),
        answer: Duration::from_secs(60),
        dial: Duration::from_secs(10),
        request: settings.reconnect_max,
    };
    Link::new(Dialer::new(settings, seat, None).unwrap().with_patience(patience))
}

#[tokio::test]
async fn a_request_is_answered_and_the_hub_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let settings = settings(dir.path(), &peer.origin());
    let link = link_with(&settings);
    assert_eq!(link.request(Request::Ping(Empty {})).await.unwrap(), Answer::Ping(Empty {}));
    assert_eq!(link.logged_in().await.unwrap().0.hub.hub, peer.key());
    link.close().await;
    let known = std::fs::read_to_string(settings.data.join("known_hubs")).unwrap();
    assert_eq!(known, format!("{} {} 1\n", peer.origin(), peer.key()));
    assert!(!link_with(&settings).logged_in().await.unwrap().1, "it is known now");
}

#[tokio::test]
async fn a_changed_key_stops_the_client_before_it_signs() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let settings = settings(dir.path(), &peer.origin());
    let known = format!("{} {} 1\n", peer.origin(), HubKey::from_seed(&[9; 32]).public());
    crate::files::private_dir(&settings.data).unwrap();
    crate::files::replace(&settings.data.join("known_hubs"), known.as_bytes()).unwrap();
    let error = link_with(&settings).logged_in().await.unwrap_err();
    assert_eq!(error.code(), "hub_key_changed");
    assert!(error.hint().unwrap().contains("known_hubs"));
    assert_eq!(peer.hellos(), 0);
}

#[tokio::test]
async fn of_two_keys_met_at_the_same_time_one_is_believed() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path(), "ws://127.0.0.1:1");
    let dialer = || Dialer::new(&settings, Arc::new(Seat::open(&settings).unwrap()), None).unwrap();
    let (one, two) = (dialer(), dialer());
    let hub = |seed| KnownHub { hub: HubKey::from_seed(&[seed; 32]).public(), protocol: 1 };
    assert!(matches!(one.remember(hub(1)), Ok(true)));
    let Err(Failure::Final(error)) = two.remember(hub(2)) else { panic!("a hub that is not pinned") };
    assert_eq!(error.code(), "hub_key_changed");
}

#[tokio::test]
async fn a_closed_hub_lets_in_only_who_knows_the_secret() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::start_closed(1, "gpj1-abcdefghijklmnopqrstuvwxyz").await;
    let mut settings = settings(dir.path(), &peer.origin());
    let nothing = link_with(&settings).logged_in().await.unwrap_err();
    assert!(matches!(nothing, LinkError::NoJoinSecret { .. }));
    settings.join_secret = Some(JoinSecret::new("gpj1-zzzzzzzzzzzzzzzzzzzzzzzzzz"));
    let wrong = link_with(&settings).logged_in().await.unwrap_err();
    assert_eq!(wrong.refusal(), Some(RefusalCode::LoginRefused));
    settings.join_secret = Some(JoinSecret::new("gpj1-abcdefghijklmnopqrstuvwxyz\n"));
    assert!(link_with(&settings).logged_in().await.is_ok());
}

#[tokio::test]
async fn nobody_there_is_said_soon_and_something_else_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("ws://{}", free.local_addr().unwrap());
    drop(free);
    let error = link_with(&settings(dir.path(), &origin)).request(Request::Ping(Empty {})).await.unwrap_err();
    assert_eq!((error.code(), error.to_string()), ("hub_unreachable", format!("no hub answers at {origin}")));
    let web = web_server().await;
    let error = link_with(&settings(dir.path(), &web)).logged_in().await.unwrap_err();
    assert_eq!(error.code(), "wrong_hub");
}

#[tokio::test]
async fn a_hub_that_never_answers_a_request_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let settings = settings(dir.path(), &peer.origin());
    let seat = Arc::new(Seat::open(&settings).unwrap());
    let patience = Patience { answer: Duration::from_millis(20), ..Patience::default() };
    let link = Link::new(Dialer::new(&settings, seat, None).unwrap().with_patience(patience));
    link.logged_in().await.unwrap();
    peer.ignore(RequestKind::Rooms);
    let error = link.request(Request::Rooms(Rooms::default())).await.unwrap_err();
    assert_eq!(error.code(), "hub_unreachable");
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_any_more_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let link = link_with(&settings(dir.path(), &peer.origin()));
    peer.ignore(RequestKind::Rooms);
    for taken_back in 0..2 {
        tokio::select! {
            biased;
            answer = link.request(Request::Rooms(Rooms::default())) => panic!("{answer:?} to what is ignored"),
            pong = link.request(Request::Ping(Empty {})) => assert!(pong.is_ok()),
        }
        assert_eq!(peer.cancelled(), taken_back);
        // Follows what takes the other back.
        assert!(link.request(Request::Ping(Empty {})).await.is_ok());
        assert_eq!(peer.cancelled(), taken_back + 1);
    }
    tokio::select! {
        biased;
        answer = link.request(Request::Rooms(Rooms::default())) => panic!("{answer:?} to what is ignored"),
        () = tokio::task::yield_now() => {}
    }
    let closed = tokio::time::timeout(Duration::from_secs(30), link.close()).await;
    assert!(closed.is_ok(), "the goodbye waits for an answer that nobody wants");
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_while_nobody_answers_need_not_wait() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path(), "ws://127.0.0.1:1");
    let seat = Arc::new(Seat::open(&settings).unwrap());
    let patience = Patience { first: Duration::from_secs(3600), ..Patience::default() };
    let link = Link::new(Dialer::new(&settings, seat, None).unwrap().with_patience(patience));
    let began = tokio::time::Instant::now();
    let pressed = Duration::from_secs(100);
    tokio::time::timeout(pressed, link.logged_in()).await.unwrap_err();
    link.close().await;
    assert_eq!(began.elapsed().as_secs(), pressed.as_secs());
}

#[tokio::test]
async fn addresses_in_the_clear_are_not_dialled() {
    let dir = tempfile::tempdir().unwrap();
    let open = |address: &str, insecure: bool| {
        let settings = Settings { insecure, ..settings(dir.path(), address) };
        let seat = Arc::new(Seat::open(&settings).unwrap());
        Dialer::new(&settings, seat, None).map(drop)
    };
    assert_eq!(open("ws://192.0.2.1:7419", false).unwrap_err().code(), "policy_refused");
    assert!(open("ws://192.0.2.1:7419", true).is_ok());
    assert!(open("wss://192.0.2.1:7419", false).is_ok());
}

#[tokio::test]
async fn a_hub_that_restarts_is_found_again_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let line = Line::new(1, u64::MAX).to(peer.address());
    peer.also_known_as(&line.origin());
    let link = link_with(&settings(dir.path(), &line.origin()));
    for _ in 0..5 {
        assert!(link.request(Request::Ping(Empty {})).await.is_ok());
        line.cut_all();
    }
    assert_eq!(peer.hellos(), 5);
}

#[tokio::test]
async fn a_hub_that_allows_hardly_any_request_crashes_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(1);
    hub.limit(|limits| limits.open_requests_max = 1);
    let link = link_with(&settings(dir.path(), &hub.origin()));
    let ping = || link.request(Request::Ping(Empty {}));
    let (one, two, three) = tokio::join!(ping(), ping(), ping());
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    hub.limit(|limits| limits.open_requests_max = 0);
    hub.cut_all();
    // The old connection may still bring an answer before it breaks.
    let nothing = loop {
        if let Err(error) = ping().await {
            break error;
        }
    };
    assert_eq!(nothing.code(), "wrong_hub", "{nothing}");
}

#[tokio::test]
async fn a_hub_that_is_back_at_once_answers_however_long_ago_the_first_cut_was() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let settings = settings(dir.path(), &peer.origin());
    let seat = Arc::new(Seat::open(&settings).unwrap());
    // Any time is longer than none.
    let patience = Patience { again: Duration::ZERO, ..Patience::default() };
    let link = Link::new(Dialer::new(&settings, seat, None).unwrap().with_patience(patience));
    for _ in 0..3 {
        peer.silent_after(RequestKind::Rooms);
        assert!(link.request(Request::Rooms(Rooms::default())).await.is_ok());
    }
    assert_eq!(peer.hellos(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_closing_is_dialled_again_after_ever_longer_pauses() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bundle");
    std::fs::write(&file, b"bundle").unwrap();
    for is_transfer in [false, true] {
        let origin = "ws://hub.test:7419";
        let hub = Arc::new(LyingHub::without_sockets(1, origin));
        let mut left = 8;
        hub.edit_frames(move |text| {
            if left > 0 && text.contains("not_found") {
                left -= 1;
                *text = text.replace("not_found", "closing");
            }
        });
        let road = Road::new(move || {
            let (near, far) = tokio::io::duplex(64 * 1024);
            tokio::spawn(hub.serve(far));
            let stream: Box<dyn Io> = Box::new(near);
            std::future::ready(Ok(stream))
        });
        road.build(origin);
        let link = link_with(&Settings { insecure: true, ..settings(dir.path(), origin) });
        let began = tokio::time::Instant::now();
        let refusal = if is_transfer {
            let put = PutBlob { room: ROOM, id: BlobId::of(b"bundle"), size: 6 };
            match upload(&link, put, &file, None).await {
                Err(TransferError::Link(error)) => error.refusal(),
                other => panic!("{other:?}"),
            }
        } else {
            link.request(Request::Chain(Chain { room: ROOM, after: 0 })).await.unwrap_err().refusal()
        };
        assert_eq!(refusal, Some(RefusalCode::NotFound));
        // The first time at once, then after 20 ms, 40 ms and so on, each up to a half longer.
        let least = limits::BACKOFF_MIN * (2_u32.pow(7) - 1);
        assert!((least..least * 2).contains(&began.elapsed()), "{is_transfer} {:?}", began.elapsed());
    }
}

/// Builds a road to a hub that is away whenever it is said to be.
fn road_to(origin: &str) -> (Arc<LyingHub>, Arc<AtomicBool>) {
    let hub = Arc::new(LyingHub::without_sockets(1, origin));
    let is_away = Arc::new(AtomicBool::new(false));
    let (served, looks_away) = (hub.clone(), is_away.clone());
    let road = Road::new(move || {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let stream: Box<dyn Io> = Box::new(near);
        if looks_away.load(Ordering::SeqCst) {
            return std::future::ready(Err(std::io::ErrorKind::ConnectionRefused.into()));
        }
        tokio::spawn(served.serve(far));
        std::future::ready(Ok(stream))
    });
    road.build(origin);
    (hub, is_away)
}

#[tokio::test(start_paused = true)]
async fn a_request_gives_a_lost_hub_up_as_soon_as_is_set_and_a_transfer_does_not() {
    let (dir, origin) = (tempfile::tempdir().unwrap(), "ws://hub.test:7419");
    let (hub, is_away) = road_to(origin);
    let file = dir.path().join("bundle");
    std::fs::write(&file, b"bundle").unwrap();
    let second = Duration::from_secs(1);
    let goes_away = async |time: Duration| {
        is_away.store(true, Ordering::SeqCst);
        hub.cut_all();
        tokio::time::sleep(time).await;
        is_away.store(false, Ordering::SeqCst);
    };
    for reconnect_max in [Some(second * 5), None] {
        let settings = Settings { insecure: true, reconnect_max, ..settings(dir.path(), origin) };
        let link = link_with(&settings);
        link.logged_in().await.unwrap();
        let began = tokio::time::Instant::now();
        let (answer, ()) = tokio::join!(link.request(Request::Ping(Empty {})), goes_away(second * 2));
        assert!(answer.is_ok(), "{answer:?}");
        let took = began.elapsed();
        assert!((second * 2..second * 5).contains(&took), "{took:?}");

        let began = tokio::time::Instant::now();
        let asks = async {
            // Once the connection is seen to be gone, as between two calls.
            tokio::time::sleep(second).await;
            (link.request(Request::Ping(Empty {})).await, began.elapsed())
        };
        let ((answer, took), ()) = tokio::join!(asks, goes_away(second * 15));
        match reconnect_max {
            Some(max) => {
                assert_eq!(answer.unwrap_err().code(), "hub_unreachable");
                assert_eq!(took.as_secs(), (second + max).as_secs());
            }
            None => assert!(answer.is_ok() && took >= second * 15, "{took:?}"),
        }
        let began = tokio::time::Instant::now();
        let put = PutBlob { room: ROOM, id: BlobId::of(b"bundle"), size: 6 };
        let (put, ()) = tokio::join!(upload(&link, put, &file, None), goes_away(second * 15));
        let Err(TransferError::Link(error)) = put else { panic!("a room that is not there") };
        assert_eq!(error.refusal(), Some(RefusalCode::NotFound));
        assert!(began.elapsed() >= second * 15, "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_blob_goes_up_and_down_over_a_line_that_breaks_hundreds_of_times() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let content = bytes(20 << 20, 9);
    let (id, size) = (BlobId::of(&content), content.len() as u64);
    let file = dir.path().join("bundle");
    std::fs::write(&file, &content).unwrap();

    let line = Line::new(42, 200_000).to(peer.address());
    peer.also_known_as(&line.origin());
    let link = link_with(&settings(dir.path(), &line.origin()));
    let seen = Arc::new(AtomicU64::new(0));
    let watch = seen.clone();
    let progress = Arc::new(move |done: u64, _| watch.store(done, Ordering::SeqCst));
    let put = PutBlob { room: ROOM, id, size };
    assert!(!upload(&link, put.clone(), &file, Some(progress)).await.unwrap().present);
    assert_eq!(peer.blob(&id), content);
    assert_eq!(seen.load(Ordering::SeqCst), size);
    assert!(line.cuts() > 100, "only {} cuts", line.cuts());
    assert_eq!(peer.bytes_received(), size, "what had arrived was sent again");
    assert!(upload(&link, put, &file, None).await.unwrap().present);

    let (cuts, brought) = (line.cuts(), line.bytes_down());
    let cache = BlobCache::open(&dir.path().join("cache")).unwrap();
    let blob = download(&link, &cache, (ROOM, id, size), None).await.unwrap();
    assert_eq!((blob.id(), blob.size()), (id, size));
    let (cuts, brought) = (line.cuts() - cuts, line.bytes_down() - brought);
    assert!(cuts > 100, "only {cuts} cuts");
    // A break costs the chunk that was on the line, and a new login.
    assert!(brought < size + (cuts + 1) * (16 + 4) * 1024, "{brought} bytes for {size}, {cuts} cuts");
    let again = download(&link, &cache, (ROOM, id, size), None).await.unwrap();
    assert_eq!(again.id(), id);
}

#[tokio::test]
async fn other_bytes_than_asked_for_never_become_a_blob() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let content = bytes(100_000, 9);
    let id = BlobId::of(&content);
    peer.plant(id, bytes(100_001, 9)[1..].to_vec());
    let link = link_with(&settings(dir.path(), &peer.origin()));
    let cache = BlobCache::open(&dir.path().join("cache")).unwrap();
    let wrong = download(&link, &cache, (ROOM, id, 100_000), None).await.unwrap_err();
    assert!(matches!(wrong, TransferError::Cache(CacheError::Mismatch { .. })), "{wrong}");
    let size = download(&link, &cache, (ROOM, id, 99_999), None).await.unwrap_err();
    assert!(matches!(size, TransferError::Size { signed: 99_999, found: 100_000, .. }), "{size}");
    let absent = download(&link, &cache, (ROOM, BlobId::of(b"absent"), 1), None).await.unwrap_err();
    assert!(matches!(absent, TransferError::Link(error) if error.refusal() == Some(RefusalCode::NotFound)));
    assert!(!cache.contains(&id));
}

#[tokio::test]
async fn bytes_damaged_on_this_disk_are_fetched_once_more_from_the_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let content = bytes(300_000, 9);
    let (id, size) = (BlobId::of(&content), content.len() as u64);
    peer.plant(id, content);
    let cache = BlobCache::open(&dir.path().join("cache")).unwrap();
    let mut partial = cache.receive(&id, size).unwrap();
    partial.write(&[0; 1000]).unwrap();
    drop(partial);
    let link = link_with(&settings(dir.path(), &peer.origin()));
    assert_eq!(download(&link, &cache, (ROOM, id, size), None).await.unwrap().id(), id);
}

#[tokio::test]
async fn a_file_shorter_than_said_or_of_other_bytes_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let file = dir.path().join("bundle");
    std::fs::write(&file, bytes(1000, 9)).unwrap();
    let link = link_with(&settings(dir.path(), &peer.origin()));
    let id = BlobId::of(b"another");
    let short = upload(&link, PutBlob { room: ROOM, id, size: 2000 }, &file, None).await.unwrap_err();
    assert!(matches!(short, TransferError::Read { .. }), "{short}");
    let other = upload(&link, PutBlob { room: ROOM, id, size: 1000 }, &file, None).await.unwrap_err();
    assert!(
        matches!(other, TransferError::Link(error) if error.refusal() == Some(RefusalCode::HashMismatch))
    );
    assert!(link.request(Request::Ping(Empty {})).await.is_ok(), "the connection goes on");
}

/// Starts something that speaks HTTP and knows no hub.
async fn web_server() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let mut request = vec![0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        }
    });
    format!("ws://{address}")
}
