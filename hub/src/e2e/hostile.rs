//! Clients that may not come in, say nothing, do not read, send garbage, or want too much at once.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::time::Duration;

use protocol::conn::client::{ClientFault, ClientOutput};
use protocol::frame::{Empty, PutBlob, Request};
use protocol::id::BlobId;
use protocol::key::JoinKey;
use protocol::limits::Limits;
use protocol::refusal::RefusalCode;

use super::peer::{Peer, Running, config, dial, start};
use super::{LONG, body, local, noise, place};
use crate::cast::player;
use crate::drive::tasks_max;
use crate::{Config, Listen, Names};

#[tokio::test]
async fn a_closed_hub_wants_the_join_secret() {
    let place = place();
    let key = JoinKey::from_join_secret("gpj1-0123456789abcdefghijklmnop");
    let hub = start(Config { join: Some(key.public()), ..config(place.path()) }).await;
    let ana = player(0, 1);
    let refused = Peer::connect(&hub.socket, &ana, |_| {}).await.err();
    assert_eq!(refused, Some(ClientFault::NoPass));
    let other = JoinKey::from_join_secret("gpj1-another-secret-of-some-length");
    let refused = Peer::connect(&hub.socket, &ana, |config| config.join = Some(other)).await.err();
    assert!(
        matches!(&refused, Some(ClientFault::Refused(refusal)) if refusal.code == RefusalCode::LoginRefused),
        "{refused:?}"
    );
    Peer::connect(&hub.socket, &ana, |config| config.join = Some(key)).await.unwrap();
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn a_login_under_another_origin_is_refused() {
    let place = place();
    let hub = local(place.path()).await;
    let origin =
        |config: &mut protocol::conn::client::ClientConfig| config.origin = "ws://elsewhere:1".into();
    let refused = Peer::connect(&hub.socket, &player(0, 1), origin).await.err();
    assert!(matches!(refused, Some(ClientFault::Refused(_))), "{refused:?}");
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn a_login_names_the_hub_exactly_as_its_urls_do() {
    let place = place();
    let urls =
        ["wss://hub.example:443", "wss://hub.example:8443", "wss://[2001:db8::1]:443"].map(String::from);
    let names = Names::Urls(urls.to_vec());
    let hub = start(Config { names, ..config(place.path()) }).await;
    let login = async |origin: &str| {
        let origin = origin.to_owned();
        Peer::connect(&hub.socket, &player(0, 1), |config| config.origin = origin).await.map(drop)
    };
    for origin in &urls {
        assert_eq!(login(origin).await, Ok(()), "{origin}");
    }
    let mut texts = std::collections::BTreeSet::new();
    for origin in [
        "wss://hub.example",
        "ws://hub.example:443",
        "wss://hub.example:443/",
        "wss://Hub.Example:443",
        "wss://hub.example:80",
        "wss://[2001:DB8::1]:443",
        "wss://evil.example:443",
        "local",
        "",
    ] {
        let Err(ClientFault::Refused(refusal)) = login(origin).await else { panic!("{origin}") };
        texts.insert(format!("{refusal:?}"));
    }
    assert_eq!(texts.len(), 1, "every refused login is told the same: {texts:?}");
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn an_agent_has_so_many_connections_and_no_more() {
    let place = place();
    let limits = Limits { connections_per_agent_max: 2, authentication_seconds: 1, ..Limits::default() };
    let hub = start(Config { limits, ..config(place.path()) }).await;
    let ana = player(0, 1);
    let (first, second) = (hub.connect(&ana).await, hub.connect(&ana).await);
    let mut third = Peer::connect(&hub.socket, &ana, |_| {}).await.unwrap();
    let ClientOutput::Closed(ClientFault::Refused(refusal)) = third.next().await else { panic!() };
    assert_eq!(refusal.code, RefusalCode::TooMany);
    hub.connect(&player(0, 2)).await;
    drop((first, second));
    // Short ones wait for each other, however many there are.
    let mut many = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (socket, ana) = (hub.socket.clone(), ana.clone());
        many.spawn(async move {
            let mut peer = Peer::connect(&socket, &ana, |_| {}).await.unwrap();
            peer.ask(Request::Ping(Empty {})).await.unwrap();
        });
    }
    while let Some(outcome) = many.join_next().await {
        outcome.unwrap();
    }
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn a_silent_client_is_dropped() {
    let place = place();
    let limits = Limits { authentication_seconds: 1, ..Limits::default() };
    let hub = start(Config { limits, ..config(place.path()) }).await;
    // One says nothing at all, the other nothing behind the handshake.
    let silent = hub.socket.clone();
    let silent = tokio::task::spawn_blocking(move || {
        let mut stream = StdUnixStream::connect(silent).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.read(&mut [0; 64]).unwrap()
    });
    let mut half = dial(&hub.socket).await;
    let mut frames = 0;
    while let Some(Ok(_)) = futures_util::StreamExt::next(&mut half).await {
        frames += 1;
    }
    assert!(frames <= 2, "a challenge and a close");
    assert_eq!(silent.await.unwrap(), 0);
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn garbage_ends_its_connection_and_nothing_else() {
    let place = place();
    let hub = local(place.path()).await;
    let mut ana = hub.connect(&player(0, 1)).await;
    let room = ana.open_home().await.room;
    let socket = hub.socket.clone();
    let rubbish = tokio::task::spawn_blocking(move || {
        for seed in 0..50 {
            let mut stream = StdUnixStream::connect(&socket).unwrap();
            // The hub may hang up before all of it is written.
            stream.write_all(&noise(3000, seed)).ok();
        }
    });
    for seed in 0..20 {
        use futures_util::{SinkExt as _, StreamExt as _};
        use tokio_tungstenite::tungstenite::Message;
        let mut socket = dial(&hub.socket).await;
        socket.send(Message::binary(noise(1000, seed))).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    }
    rubbish.await.unwrap();
    assert_eq!(ana.post(1, &body(1), &[]).await.unwrap().seq, 1);
    assert_eq!(ana.pull(room, 0, Duration::ZERO).await.unwrap().entries.len(), 1);
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_and_nobody_else_notices() {
    let place = place();
    let limits = Limits { write_seconds: 1, ..Limits::default() };
    let hub = start(Config { limits, ..config(place.path()) }).await;
    let mut ana = hub.connect(&player(0, 1)).await;
    let room = ana.open_home().await.room;
    let long = format!(r#"{{"parts":[{{"kind":"text","text":"{}"}}]}}"#, "x".repeat(60_000));
    for n in 1..=8 {
        ana.post(n, &long, &[]).await.unwrap();
    }
    let mut greedy = hub.connect(&player(0, 2)).await;
    let greedy = tokio::spawn(async move {
        // Far more than any socket buffers; the hub stops listening before it stops the connection.
        while greedy.ask_and_not_read(room).await {}
    });
    for after in 0..8 {
        assert!(!ana.pull(room, after, Duration::ZERO).await.unwrap().entries.is_empty());
    }
    tokio::time::timeout(LONG, greedy).await.expect("cut").unwrap();
    hub.stop().await.unwrap();
}

/// Starts a hub that browsers reach too, by a port of this machine.
async fn on_a_port(place: &Path) -> (Running, SocketAddr) {
    let mut config = config(place);
    config.names = Names::Urls(Vec::new());
    config.listen.push(Listen::Tcp(([127, 0, 0, 1], 0).into()));
    let hub = start(config).await;
    let Some(Listen::Tcp(address)) = hub.ready.addresses.first() else { panic!("a port comes first") };
    let address = *address;
    (hub, address)
}

#[tokio::test]
async fn a_foreign_page_is_turned_away_before_any_challenge() {
    let place = place();
    let (hub, address) = on_a_port(place.path()).await;
    let request = |origin: &str| {
        format!(
            "GET / HTTP/1.1\r\nHost: {address}\r\nOrigin: {origin}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: parler.v1\r\n\r\n"
        )
    };
    let foreign = answered(address, request("http://evil.example"), u64::MAX).await;
    let expected = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 32\r\n\r\n\
                    This page is not the hub's own.\n";
    assert_eq!(foreign, expected);
    let own = answered(address, request(&format!("http://localhost:{}", address.port())), 12).await;
    assert_eq!(own, "HTTP/1.1 101");
    hub.stop().await.unwrap();
}

/// Sends `request` to a hub and returns what comes back, up to so many bytes.
async fn answered(address: SocketAddr, request: impl Into<Vec<u8>>, bytes_max: u64) -> String {
    let request = request.into();
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.write_all(&request).unwrap();
        let mut answer = String::new();
        stream.take(bytes_max).read_to_string(&mut answer).unwrap();
        answer
    });
    asked.await.unwrap()
}

#[tokio::test]
async fn what_asks_for_no_websocket_is_told_what_this_is() {
    let place = place();
    let (hub, address) = on_a_port(place.path()).await;
    let told = async |request: &str| answered(address, request, u64::MAX).await;
    let page = told("GET / HTTP/1.1\r\nHost: hub.example\r\n\r\n").await;
    let (head, text) = page.split_once("\r\n\r\n").unwrap();
    assert_eq!(text, "This is a hub of git-parler: see git parler help hub\n");
    let mut lines = head.split("\r\n");
    assert_eq!(lines.next(), Some("HTTP/1.1 426 Upgrade Required"));
    assert!(lines.any(|line| line == format!("Content-Length: {}", text.len())), "{head}");
    // What a proxy in front makes of the request when it is not told to hand on the upgrade.
    assert_eq!(told("GET / HTTP/1.1\r\nConnection: close\r\nSec-WebSocket-Version: 13\r\n\r\n").await, page);
    assert_eq!(told("GET / HTTP/1.0\r\n\r\n").await, page);
    let body = "x".repeat(30_000);
    let posted = told(&format!("POST / HTTP/1.1\r\nContent-Length: 30000\r\n\r\n{body}")).await;
    assert!(posted.starts_with("HTTP/1.1 405 ") && posted.ends_with("\r\n\r\n"), "{posted}");
    // The beginning of TLS.
    let secure = answered(address, [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3].repeat(40), u64::MAX).await;
    assert!(secure.starts_with("HTTP/1.1 400 "), "{secure}");
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_that_posts_and_cancels_makes_the_hub_do_so_much_at_once_and_no_more() {
    let place = place();
    let hub = local(place.path()).await;
    let mut ana = hub.connect(&player(0, 1)).await;
    let room = ana.open_home().await.room;
    // Nothing is written until the lock goes.
    let lock = rusqlite::Connection::open(place.path().join("data/hub.db")).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let at_once = tasks_max(&Limits::default());
    for number in 1..=at_once {
        let post = ana.send_post(number, &body(number), &[]).await;
        ana.cancel(post).await;
        ana.ask(Request::Ping(Empty {})).await.unwrap();
    }
    let refused = ana.post(at_once + 1, &body(0), &[]).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::TooMany);
    lock.execute_batch("COMMIT").unwrap();
    // The writer takes what waits in order, and an answer comes after that of everything before it.
    let landed = loop {
        match ana.post(at_once + 1, &body(0), &[]).await {
            Err(refusal) if refusal.code == RefusalCode::TooMany => {}
            outcome => break outcome,
        }
    };
    assert_eq!(landed.unwrap().seq, at_once + 1);
    assert_eq!(ana.pull(room, 0, Duration::ZERO).await.unwrap().end.seq, at_once + 1);
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_that_begins_and_cancels_all_the_time_is_still_served() {
    let place = place();
    let hub = local(place.path()).await;
    let mut ana = hub.connect(&player(0, 1)).await;
    let room = ana.open_home().await.room;
    for number in 0..200u8 {
        let put = PutBlob { room, id: BlobId::of(&[number]), size: 1 };
        let id = ana.send_request(&Request::PutBlob(put)).await;
        ana.cancel(id).await;
        ana.ask(Request::Ping(Empty {})).await.unwrap();
    }
    // The last ones may still be on their way.
    let outcome = loop {
        match ana.upload(room, b"bytes").await {
            Err(refusal) if refusal.code == RefusalCode::TooMany => {}
            outcome => break outcome,
        }
    };
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(ana.download(room, BlobId::of(b"bytes"), 0).await.unwrap(), b"bytes");
    hub.stop().await.unwrap();
}
