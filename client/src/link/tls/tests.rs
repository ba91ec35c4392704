//! A hub behind TLS, and each way in which TLS does not come about: none is retried but those that may pass.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kit::{Authority, Certificate, Line, TlsProxy};
use protocol::frame::{Answer, Empty, PutBlob, Request};
use protocol::id::{BlobId, RoomId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::transfer::{download, upload};
use super::super::{Dialer, Link, LinkError, Patience};
use super::*;
use crate::seat::{BlobCache, Seat};
use crate::settings::Settings;
use crate::tests::bytes;
use crate::tests::peer::Peer;

const ROOM: RoomId = RoomId::from_bytes([5; 32]);

/// A hub behind a proxy, a folder for the client, and a file that names the proxy's authority.
struct Scene {
    dir: tempfile::TempDir,
    peer: Peer,
    authority: Authority,
    ca_file: PathBuf,
}

impl Scene {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (peer, authority) = (Peer::start(1).await, Authority::new());
        let ca_file = dir.path().join("ca.pem");
        std::fs::write(&ca_file, authority.pem()).unwrap();
        Self { dir, peer, authority, ca_file }
    }

    /// Returns a proxy that shows `certificate`, and the settings of a client that knows it as `host`.
    fn behind(&self, certificate: &Certificate, host: &str) -> (TlsProxy, Settings) {
        let proxy = TlsProxy::new(certificate).to(self.peer.address());
        let settings = self.settings(&format!("wss://{host}:{}", proxy.address().port()));
        (proxy, settings)
    }

    fn settings(&self, address: &str) -> Settings {
        let ca_file = Some(self.ca_file.clone());
        let settings = Settings { ca_file, ..crate::tests::settings(self.dir.path(), "app", address) };
        self.peer.also_known_as(&settings.hub.origin());
        settings
    }
}

fn link(settings: &Settings) -> Result<Link, LinkError> {
    link_that_tries_for(settings, Duration::from_secs(20))
}

fn link_that_tries_for(settings: &Settings, first: Duration) -> Result<Link, LinkError> {
    let seat = Arc::new(Seat::open(settings).unwrap());
    let patience = Patience { first, again: Duration::from_secs(20), ..Patience::default() };
    Ok(Link::new(Dialer::new(settings, seat, None)?.with_patience(patience)))
}

/// Dials once and returns why that may pass.
async fn passing(settings: &Settings) -> LinkError {
    link_that_tries_for(settings, Duration::ZERO).unwrap().logged_in().await.unwrap_err()
}

/// Logs in and returns what TLS has against it.
async fn refusal(settings: &Settings) -> Arc<TlsError> {
    match link(settings).unwrap().logged_in().await.unwrap_err() {
        LinkError::Tls { origin, source } => {
            assert_eq!(origin, settings.hub.origin());
            source
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_hub_behind_tls_is_reached_by_name_and_by_address() {
    let scene = Scene::new().await;
    let certificate = scene.authority.certify(&["localhost", "127.0.0.1"]);
    for host in ["localhost", "LocalHost", "127.0.0.1"] {
        let (_proxy, settings) = scene.behind(&certificate, host);
        let link = link(&settings).unwrap();
        assert_eq!(link.request(Request::Ping(Empty {})).await.unwrap(), Answer::Ping(Empty {}));
        link.close().await;
    }
}

#[tokio::test]
async fn a_certificate_signed_by_itself_is_trusted_when_it_is_named() {
    let scene = Scene::new().await;
    let certificate = Certificate::signed_by_itself(&["localhost"], false);
    std::fs::write(&scene.ca_file, certificate.pem()).unwrap();
    let (_proxy, settings) = scene.behind(&certificate, "localhost");
    assert!(link(&settings).unwrap().logged_in().await.is_ok());
    // What `openssl req -x509` makes: it could sign for anybody, so it is no hub's own.
    let certificate = Certificate::signed_by_itself(&["localhost"], true);
    std::fs::write(&scene.ca_file, certificate.pem()).unwrap();
    let (_proxy, settings) = scene.behind(&certificate, "localhost");
    let error = refusal(&settings).await;
    assert!(matches!(*error, TlsError::IsAuthority), "{error:?}");
}

#[tokio::test]
async fn a_certificate_by_nobody_trusted_ends_it_whatever_the_settings() {
    let scene = Scene::new().await;
    // By the name of the trusted authority, and with another key.
    let stranger = Authority::new().certify(&["localhost"]);
    let (_proxy, settings) = scene.behind(&stranger, "localhost");
    let error = refusal(&settings).await;
    assert!(matches!(&*error, TlsError::Untrusted { ca_file: Some(path) } if *path == scene.ca_file));
    assert!(error.hint().unwrap().contains(scene.ca_file.to_str().unwrap()));
    let error = refusal(&Settings { insecure: true, ..settings }).await;
    assert!(matches!(*error, TlsError::Untrusted { .. }), "parler.insecure is about ws:// alone");
    let ours = scene.authority.certify(&["localhost"]);
    let (_proxy, settings) = scene.behind(&ours, "localhost");
    let error = refusal(&Settings { ca_file: None, ..settings }).await;
    assert!(matches!(*error, TlsError::Untrusted { ca_file: None }), "the bundled ones do not know it");
    assert_eq!(error.code(), "bad_certificate");
    assert_eq!(scene.peer.hellos(), 0, "nothing was said to any of them");
}

#[tokio::test]
async fn a_certificate_for_other_names_is_refused_with_the_names() {
    let scene = Scene::new().await;
    let certificate = scene.authority.certify(&["hub.example", "*.hub.example", "192.0.2.1"]);
    let (_proxy, settings) = scene.behind(&certificate, "localhost");
    let error = refusal(&settings).await;
    let expected = "its certificate is not for this name but for hub.example, *.hub.example, 192.0.2.1";
    assert_eq!((error.to_string().as_str(), error.code()), (expected, "bad_certificate"));
    let many: Vec<_> = (0..9).map(|i| format!("h{i}.example")).collect();
    let certificate = scene.authority.certify(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let (_proxy, settings) = scene.behind(&certificate, "localhost");
    let sentence = refusal(&settings).await.to_string();
    assert!(sentence.ends_with("h4.example and 4 more"), "{sentence}");
    // As many are made at home: with a common name alone.
    let (_proxy, settings) = scene.behind(&scene.authority.certify(&[]), "localhost");
    let sentence = refusal(&settings).await.to_string();
    assert_eq!(sentence, "its certificate is for no name at all: it has no subjectAltName");
}

#[tokio::test]
async fn a_certificate_out_of_its_time_is_refused_with_a_word_about_the_clock() {
    let scene = Scene::new().await;
    for (years, sentence) in
        [(1999..=2001, "its certificate has expired, "), (3000..=3001, "its certificate is not valid yet, ")]
    {
        let certificate = scene.authority.certify_for_years(&["localhost"], years);
        let (_proxy, settings) = scene.behind(&certificate, "localhost");
        let error = refusal(&settings).await;
        assert!(error.to_string().starts_with(sentence), "{error}");
        assert!(error.hint().unwrap().contains("clock"));
    }
    assert_eq!(how_long(Some(86_400), "ago"), ", 1 day ago");
    assert_eq!(how_long(Some(7_300), "too early"), ", 2 hours too early");
    assert_eq!((how_long(Some(0), "ago"), how_long(None, "ago")), (", 0 seconds ago".into(), "".into()));
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_of_the_client_is_not_tried_again() {
    let scene = Scene::new().await;
    let certificate = scene.authority.certify(&["localhost"]);
    let proxy = TlsProxy::for_clients_of(&scene.authority, &certificate).to(scene.peer.address());
    let settings = scene.settings(&format!("wss://localhost:{}", proxy.address().port()));
    let error = refusal(&settings).await;
    assert_eq!((error.code(), error.to_string().as_str()), ("wrong_hub", "the TLS handshake fails"));
}

#[tokio::test]
async fn what_speaks_no_tls_is_told_from_what_speaks_an_old_one() {
    let scene = Scene::new().await;
    let (plain, _) = answering(&[b"HTTP/1.1 400 Bad Request\r\n\r\n"]).await;
    let error = refusal(&scene.settings(&format!("wss://{plain}"))).await;
    assert!(matches!(*error, TlsError::NotTls), "{error:?}");
    assert!(error.hint().unwrap().contains("ws://"));
    let (old, dials) = answering(&[STOPS_AT_TLS_1_1]).await;
    let error = refusal(&scene.settings(&format!("wss://{old}"))).await;
    assert!(matches!(*error, TlsError::TooOld), "{error:?}");
    assert_eq!(dials.load(Ordering::SeqCst), 1, "nothing gets better by asking again");
}

#[tokio::test]
async fn a_plain_dial_to_a_port_with_tls_is_answered_with_the_right_scheme() {
    let scene = Scene::new().await;
    let proxy = TlsProxy::new(&scene.authority.certify(&["127.0.0.1"])).to(scene.peer.address());
    let (redirect, _) =
        answering(&[b"HTTP/1.1 308 Permanent Redirect\r\nLocation: https://h/\r\n\r\n"]).await;
    for address in [proxy.address(), redirect] {
        let error = link(&scene.settings(&format!("ws://{address}"))).unwrap().logged_in().await.unwrap_err();
        assert!(matches!(error, LinkError::NotAHub { .. }), "{error:?}");
        assert!(error.hint().unwrap().contains("wss://"), "{:?}", error.hint());
    }
}

#[tokio::test]
async fn a_handshake_that_is_not_answered_or_cut_off_may_pass() {
    let scene = Scene::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = scene.settings(&format!("wss://{}", silent.local_addr().unwrap()));
    let seat = Arc::new(Seat::open(&settings).unwrap());
    let short = Duration::from_millis(200);
    let patience = Patience { first: Duration::ZERO, dial: short, ..Patience::default() };
    let link_to = Link::new(Dialer::new(&settings, seat, None).unwrap().with_patience(patience));
    let error = link_to.logged_in().await.unwrap_err();
    assert_eq!(said(&error), "it does not answer the TLS handshake within 200ms");
    let (cut, dials) = answering(&[b"", b"", STOPS_AT_TLS_1_1]).await;
    let error = refusal(&scene.settings(&format!("wss://{cut}"))).await;
    assert!(matches!(*error, TlsError::TooOld), "{error:?}");
    assert_eq!(dials.load(Ordering::SeqCst), 3, "it may be a hub that starts again, until it says something");
    let (cut, _) = answering(&[b""]).await;
    let error = passing(&scene.settings(&format!("wss://{cut}"))).await;
    assert_eq!(said(&error), "it hangs up within the TLS handshake");
    assert!(error.hint().unwrap().contains("ws://"), "{:?}", error.hint());
    let proxy = TlsProxy::new(&scene.authority.certify(&["localhost"])).to(scene.peer.address());
    let line = Line::new(1, 400).to(proxy.address());
    let error = passing(&scene.settings(&format!("wss://localhost:{}", line.address().port()))).await;
    assert_eq!(error.code(), "hub_unreachable", "{error:?}");
}

#[tokio::test]
async fn a_blob_goes_up_and_down_over_tls_on_a_line_that_breaks() {
    let scene = Scene::new().await;
    let proxy = TlsProxy::new(&scene.authority.certify(&["localhost"])).to(scene.peer.address());
    let line = Line::new(42, 400_000).to(proxy.address());
    let settings = scene.settings(&format!("wss://localhost:{}", line.address().port()));
    let link = link(&settings).unwrap();
    let content = bytes(8 << 20, 9);
    let (id, size) = (BlobId::of(&content), content.len() as u64);
    let file = scene.dir.path().join("bundle");
    std::fs::write(&file, &content).unwrap();
    upload(&link, PutBlob { room: ROOM, id, size }, &file, None).await.unwrap();
    let cuts = line.cuts();
    assert!(scene.peer.blob(&id) == content && cuts > 20, "only {cuts} cuts");
    let cache = BlobCache::open(&scene.dir.path().join("cache")).unwrap();
    assert_eq!(download(&link, &cache, (ROOM, id, size), None).await.unwrap().id(), id);
    assert!(line.cuts() - cuts > 20, "only {} cuts", line.cuts() - cuts);
}

#[tokio::test]
async fn a_file_of_authorities_is_taken_whole_or_not_at_all() {
    let scene = Scene::new().await;
    let write = |name: &str, content: &str| {
        let path = scene.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let (one, two) = (scene.authority.pem(), Authority::new().pem());
    let both = write("both", &format!("A comment.\n{two}\n\n{}", one.replace('\n', "\r\n")));
    assert_eq!(authorities(&both).unwrap().len(), 2);
    let sentence = |path: &Path| authorities(path).unwrap_err().to_string();
    let missing = scene.dir.path().join("missing");
    assert_eq!(sentence(&missing), format!("cannot read the certificates in {}", missing.display()));
    assert!(matches!(authorities(scene.dir.path()), Err(TlsError::CaFile { .. })), "a folder");
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (name, content) in [("empty", ""), ("text", "no certificate\n"), ("key", key)] {
        let path = write(name, content);
        assert_eq!(sentence(&path), format!("there is no certificate in {}", path.display()));
    }
    let cut = &two[..two.len() - 60];
    let damaged = two.replacen("MII", "AII", 1).replacen("MIH", "AIH", 1);
    let other = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (name, second) in [("cut", cut), ("damaged", &damaged), ("other", other)] {
        let path = write(name, &format!("{one}{second}"));
        assert_eq!(sentence(&path), format!("certificate 2 in {} is damaged", path.display()));
    }
    let large = write("large", &two.repeat(10_000));
    assert!(matches!(authorities(&large), Err(TlsError::CaFile { .. })));
    let settings = Settings { ca_file: Some(missing), ..scene.settings("wss://localhost:9") };
    let error = link(&settings).err().unwrap();
    assert_eq!(error.code(), "io");
    assert!(error.hint().unwrap().contains("parler.caFile"));
    // It is about wss:// alone: others do not look at it.
    let settings = Settings { hub: scene.peer.origin().parse().unwrap(), ..settings };
    assert!(link(&settings).unwrap().logged_in().await.is_ok());
}

#[test]
fn a_host_that_no_certificate_can_be_for_is_told() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let tls = Tls::new(None).unwrap();
        let error = tls.connect("a..example", stream).await.unwrap_err();
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            ("usage", "\"a..example\" is no name that a certificate can be for")
        );
    });
}

/// Returns what the last attempt says of TLS.
fn said(error: &LinkError) -> String {
    assert_eq!(error.code(), "hub_unreachable");
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

/// The alert `protocol_version`, as a server says it that stops at TLS 1.1.
const STOPS_AT_TLS_1_1: &[u8] = &[21, 3, 1, 0, 2, 2, 70];

/// Starts something that says one of `answers` after the other to whatever it is told, and the last one from then on, and hangs
/// up; returns where, and how often it was dialled.
async fn answering(answers: &'static [&'static [u8]]) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, dials) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = dials.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let at = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            stream.write_all(answers[at]).await.unwrap();
        }
    });
    (address, dials)
}
