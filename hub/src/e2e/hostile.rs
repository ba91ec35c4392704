//! Clients that may not come in, say nothing, do not read, send garbage, or want too much at once.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use protocol::conn::client::{ClientFault, ClientOutput};
use protocol::frame::{Empty, PutBlob, Request};
use protocol::id::BlobId;
use protocol::key::JoinKey;
use protocol::limits::Limits;
use protocol::refusal::RefusalCode;

use super::peer::{Peer, config, dial, start};
use super::{LONG, body, local, noise, place};
use crate::Config;
use crate::cast::player;

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

#[tokio::test]
async fn a_foreign_page_is_turned_away_before_any_challenge() {
    let place = place();
    let mut config = config(place.path());
    config.names = crate::Names::Urls(Vec::new());
    config.listen.push(crate::Listen::Tcp(([127, 0, 0, 1], 0).into()));
    let hub = start(config).await;
    let address = hub.ready.addresses.iter().find_map(|address| match address {
        crate::Listen::Tcp(address) => Some(*address),
        crate::Listen::Unix(_) => None,
    });
    let address = address.unwrap();
    let status = async |origin: String| {
        tokio::task::spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let request = format!(
                "GET / HTTP/1.1\r\nHost: {address}\r\nOrigin: {origin}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 Sec-WebSocket-Protocol: parler.v1\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).unwrap();
            stream.set_read_timeout(Some(LONG)).unwrap();
            let mut status = [0; 12];
            stream.read_exact(&mut status).unwrap();
            String::from_utf8(status.to_vec()).unwrap()
        })
        .await
        .unwrap()
    };
    assert_eq!(status("http://evil.example".into()).await, "HTTP/1.1 403");
    assert_eq!(status(format!("http://localhost:{}", address.port())).await, "HTTP/1.1 101");
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
