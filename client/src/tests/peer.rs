//! A hub for tests: the protocol's hub end over sockets, what it keeps in memory, and switches for its faults.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::conn::HubEnd;
use protocol::conn::hub::{HubConfig, HubOutput};
use protocol::frame::{Answer, Packet, RequestKind};
use protocol::id::{BlobId, Nonce};
use protocol::key::{HubId, HubKey, JoinKey};
use protocol::limits::Limits;
use protocol::refusal::Refusal;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request as Upgrade, Response};

use super::shelf::Shelf;

pub(crate) struct Peer {
    address: SocketAddr,
    config: Arc<Mutex<HubConfig>>,
    shelf: Arc<Mutex<Shelf>>,
    silent_after: Arc<Mutex<Option<RequestKind>>>,
    /// How far its clock is ahead of this machine's, in milliseconds.
    ahead: Arc<AtomicI64>,
}

impl Peer {
    pub(crate) async fn start(seed: u8) -> Self {
        Self::listen(seed, None).await
    }

    pub(crate) async fn start_closed(seed: u8, secret: &str) -> Self {
        Self::listen(seed, Some(JoinKey::from_join_secret(secret).public())).await
    }

    async fn listen(seed: u8, join: Option<protocol::key::JoinId>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let origins = vec![format!("ws://{address}")];
        let key = HubKey::from_seed(&[seed; 32]);
        let config = Arc::new(Mutex::new(HubConfig { key, origins, join, limits: Limits::default() }));
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let silent_after = Arc::new(Mutex::new(None));
        let ahead = Arc::new(AtomicI64::new(0));
        let (shelf_of, silent, clock) = (shelf.clone(), silent_after.clone(), ahead.clone());
        let peer = Self { address, config: config.clone(), shelf, silent_after, ahead };
        tokio::spawn(async move {
            let mut connections = 0;
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let config = config.lock().unwrap().clone();
                connections += 1;
                let switches = (silent.clone(), clock.load(Ordering::SeqCst));
                tokio::spawn(serve(stream, Arc::new(config), shelf_of.clone(), switches, connections));
            }
        });
        peer
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn origin(&self) -> String {
        format!("ws://{}", self.address)
    }

    pub(crate) fn key(&self) -> HubId {
        self.config.lock().unwrap().key.public()
    }

    pub(crate) fn also_known_as(&self, origin: &str) {
        self.config.lock().unwrap().origins.push(origin.to_owned());
    }

    pub(crate) fn plant(&self, id: BlobId, bytes: Vec<u8>) {
        self.shelf.lock().unwrap().blobs.insert(id, bytes);
    }

    pub(crate) fn blob(&self, id: &BlobId) -> Vec<u8> {
        self.shelf.lock().unwrap().blobs[id].clone()
    }

    pub(crate) fn bytes_received(&self) -> u64 {
        self.shelf.lock().unwrap().bytes_received
    }

    /// Does the next request of this kind and breaks the connection before the answer.
    pub(crate) fn silent_after(&self, kind: RequestKind) {
        *self.silent_after.lock().unwrap() = Some(kind);
    }

    /// Has another time than this machine on connections to come.
    pub(crate) fn is_ahead(&self, millis: i64) {
        self.ahead.store(millis, Ordering::SeqCst);
    }

    /// Never answers requests of this kind.
    pub(crate) fn ignore(&self, kind: RequestKind) {
        self.shelf.lock().unwrap().ignored = Some(kind);
    }

    /// Changes answers, but no refusals, from now on.
    pub(crate) fn lie(&self, mut lie: impl FnMut(&mut Answer) + Send + 'static) {
        self.lie_or_refuse(move |outcome| {
            if let Ok(answer) = outcome {
                lie(answer);
            }
        });
    }

    /// Changes answers and refusals from now on.
    pub(crate) fn lie_or_refuse(&self, lie: impl FnMut(&mut Result<Answer, Refusal>) + Send + 'static) {
        self.shelf.lock().unwrap().lie = Some(Box::new(lie));
    }

    /// Tells the truth from now on.
    pub(crate) fn tell_the_truth(&self) {
        self.shelf.lock().unwrap().lie = None;
    }

    /// Does something to what the hub keeps.
    pub(crate) fn with_shelf<T>(&self, work: impl FnOnce(&mut Shelf) -> T) -> T {
        work(&mut self.shelf.lock().unwrap())
    }

    pub(crate) fn forget_blob(&self, id: &BlobId) {
        self.shelf.lock().unwrap().blobs.remove(id);
    }

    pub(crate) fn entries(&self) -> usize {
        self.shelf.lock().unwrap().entries()
    }

    /// How many requests were taken back before their answer.
    pub(crate) fn cancelled(&self) -> u64 {
        self.shelf.lock().unwrap().cancelled
    }

    pub(crate) fn hellos(&self) -> u64 {
        self.shelf.lock().unwrap().hellos
    }
}

#[expect(clippy::result_large_err, reason = "the library's signature")]
fn accept(
    _: &Upgrade,
    mut response: Response,
) -> Result<Response, tokio_tungstenite::tungstenite::handshake::server::ErrorResponse> {
    response.headers_mut().insert("Sec-WebSocket-Protocol", "parler.v1".parse().unwrap());
    Ok(response)
}

async fn serve(
    stream: TcpStream,
    config: Arc<HubConfig>,
    shelf: Arc<Mutex<Shelf>>,
    (silent_after, ahead): (Arc<Mutex<Option<RequestKind>>>, i64),
    connection: u64,
) {
    let now = || crate::seat::now() + ahead;
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, accept).await else { return };
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).unwrap();
    let mut end = HubEnd::new(config, Nonce::from_bytes(nonce), now());
    loop {
        while let Some(output) = end.poll() {
            match output {
                HubOutput::Send(Packet::Text(text)) => {
                    if socket.send(Message::text(text)).await.is_err() {
                        return;
                    }
                }
                HubOutput::Send(Packet::Binary(bytes)) => {
                    if socket.send(Message::binary(bytes)).await.is_err() {
                        return;
                    }
                }
                HubOutput::Pass(_) => end.pass(None),
                HubOutput::Request(id, request) => {
                    let kind = request.kind();
                    shelf.lock().unwrap().request(&mut end, connection, id, request);
                    if silent_after.lock().unwrap().take_if(|silent| *silent == kind).is_some() {
                        return;
                    }
                }
                HubOutput::Chunk { id, bytes, last } => {
                    shelf.lock().unwrap().chunk(&mut end, connection, (id, &bytes, last));
                }
                HubOutput::LoggedIn(identity) => {
                    let mut shelf = shelf.lock().unwrap();
                    shelf.hellos += 1;
                    let word = identity.seat.map(|seat| seat.signed().clone());
                    if let Some(word) = word.filter(|word| !shelf.seats.contains(word)) {
                        shelf.seats.push(word);
                    }
                }
                HubOutput::Cancelled(_) => shelf.lock().unwrap().cancelled += 1,
                HubOutput::Close(_) => return,
            }
        }
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                end.receive(Packet::Text(text.as_str().to_owned()), now());
            }
            Some(Ok(Message::Binary(bytes))) => end.receive(Packet::Binary(bytes.into()), now()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
    }
}
