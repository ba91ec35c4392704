//! A hub that knows blobs only: the protocol's hub end over sockets, its bytes in memory, and counters.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::conn::HubEnd;
use protocol::conn::hub::{HubConfig, HubOutput};
use protocol::frame::{Answer, Empty, Go, Packet, PutDone, Request, RequestId};
use protocol::id::{BlobId, Nonce};
use protocol::key::{HubId, HubKey, JoinKey};
use protocol::limits::Limits;
use protocol::refusal::{Refusal, RefusalCode};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request as Upgrade, Response};

#[derive(Default)]
struct Shelf {
    blobs: BTreeMap<BlobId, Vec<u8>>,
    staged: BTreeMap<BlobId, Vec<u8>>,
    bytes_received: u64,
    hellos: u64,
}

pub(super) struct Peer {
    address: SocketAddr,
    config: Arc<Mutex<HubConfig>>,
    shelf: Arc<Mutex<Shelf>>,
}

impl Peer {
    pub(super) async fn start(seed: u8) -> Self {
        Self::listen(seed, None).await
    }

    pub(super) async fn start_closed(seed: u8, secret: &str) -> Self {
        Self::listen(seed, Some(JoinKey::from_join_secret(secret).public())).await
    }

    async fn listen(seed: u8, join: Option<protocol::key::JoinId>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let origins = vec![format!("ws://{address}")];
        let key = HubKey::from_seed(&[seed; 32]);
        let config = Arc::new(Mutex::new(HubConfig { key, origins, join, limits: Limits::default() }));
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let peer = Self { address, config: config.clone(), shelf: shelf.clone() };
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let config = config.lock().unwrap().clone();
                tokio::spawn(serve(stream, Arc::new(config), shelf.clone()));
            }
        });
        peer
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn origin(&self) -> String {
        format!("ws://{}", self.address)
    }

    pub(super) fn key(&self) -> HubId {
        self.config.lock().unwrap().key.public()
    }

    pub(super) fn also_known_as(&self, origin: &str) {
        self.config.lock().unwrap().origins.push(origin.to_owned());
    }

    pub(super) fn plant(&self, id: BlobId, bytes: Vec<u8>) {
        self.shelf.lock().unwrap().blobs.insert(id, bytes);
    }

    pub(super) fn blob(&self, id: &BlobId) -> Vec<u8> {
        self.shelf.lock().unwrap().blobs[id].clone()
    }

    pub(super) fn bytes_received(&self) -> u64 {
        self.shelf.lock().unwrap().bytes_received
    }

    pub(super) fn hellos(&self) -> u64 {
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

async fn serve(stream: TcpStream, config: Arc<HubConfig>, shelf: Arc<Mutex<Shelf>>) {
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, accept).await else { return };
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).unwrap();
    let mut end = HubEnd::new(config, Nonce::from_bytes(nonce), crate::seat::now());
    let mut uploads: BTreeMap<RequestId, BlobId> = BTreeMap::new();
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
                HubOutput::Request(id, request) => {
                    shelf.lock().unwrap().request(&mut end, &mut uploads, id, request);
                }
                HubOutput::Chunk { id, bytes, last } => {
                    shelf.lock().unwrap().chunk(&mut end, uploads[&id], (id, &bytes, last));
                }
                HubOutput::LoggedIn(_) => shelf.lock().unwrap().hellos += 1,
                HubOutput::Cancelled(_) => {}
                HubOutput::Close(_) => return,
            }
        }
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                end.receive(Packet::Text(text.as_str().to_owned()), crate::seat::now());
            }
            Some(Ok(Message::Binary(bytes))) => end.receive(Packet::Binary(bytes.into()), crate::seat::now()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
    }
}

impl Shelf {
    fn request(
        &mut self,
        end: &mut HubEnd,
        uploads: &mut BTreeMap<RequestId, BlobId>,
        id: RequestId,
        request: Request,
    ) {
        let now = crate::seat::now();
        match request {
            Request::PutBlob(put) if self.blobs.contains_key(&put.id) => {
                end.answer(id, &Ok(Answer::PutBlob(PutDone { present: true })));
            }
            Request::PutBlob(put) => {
                uploads.insert(id, put.id);
                let offset = self.staged.get(&put.id).map_or(0, Vec::len) as u64;
                end.go(id, Go { offset, size: put.size }, now);
            }
            Request::GetBlob(wanted) => {
                let Some(bytes) = self.blobs.get(&wanted.id) else {
                    return end.answer(id, &Err(Refusal::not_found()));
                };
                end.go(id, Go { offset: wanted.offset, size: bytes.len() as u64 }, now);
                let rest = bytes.get(usize::try_from(wanted.offset).unwrap()..).unwrap_or_default();
                assert!(rest.chunks(16 * 1024).all(|chunk| end.send_chunk(id, chunk)));
                end.answer(id, &Ok(Answer::GetBlob(Empty {})));
            }
            _ => end.answer(id, &Err(Refusal::new(RefusalCode::Unsupported, "no"))),
        }
    }

    fn chunk(&mut self, end: &mut HubEnd, blob: BlobId, (id, bytes, last): (RequestId, &[u8], bool)) {
        self.bytes_received += bytes.len() as u64;
        let staged = self.staged.entry(blob).or_default();
        staged.extend_from_slice(bytes);
        if last {
            let whole = self.staged.remove(&blob).unwrap();
            if BlobId::of(&whole) == blob {
                self.blobs.insert(blob, whole);
                end.answer(id, &Ok(Answer::PutBlob(PutDone { present: false })));
            } else {
                end.answer(id, &Err(Refusal::new(RefusalCode::HashMismatch, "other bytes")));
            }
        }
    }
}
