//! A client for the tests: the protocol's own end over a real Unix socket.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::conn::client::{ClientConfig, ClientEnd, ClientFault, ClientOutput};
use protocol::frame::{
    Answer, ClientFrame, Empty, GetBlob, Go, OpenRoom, OpenedRoom, Packet, Post, Posted, Pull, Pulled,
    PutBlob, Request, RequestId,
};
use protocol::id::{BlobId, Nonce, RoomId};
use protocol::key::JoinKey;
use protocol::limits::{CHUNK_BYTES_MAX, Limits};
use protocol::refusal::Refusal;
use protocol::statement::LogPoint;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::cast::Player;
use crate::fatal::Fatal;
use crate::run::run_until;
use crate::{Config, Error, Listen, Names, Ready};

/// A hub that runs in the test's own process.
pub(super) struct Running {
    pub(super) socket: PathBuf,
    pub(super) ready: Ready,
    pub(super) fatal: Fatal,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), Error>>,
}

/// Returns the configuration of a local hub in `folder`.
pub(super) fn config(folder: &Path) -> Config {
    let socket = folder.join("hub.sock");
    Config { names: Names::Local, ..Config::new(folder.join("data"), vec![Listen::Unix(socket)]) }
}

pub(super) async fn start(config: Config) -> Running {
    let fatal = Fatal::new();
    let (tell, told) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let Some(Listen::Unix(socket)) = config.listen.first().cloned() else { panic!("a Unix socket first") };
    let shutdown = async {
        stopped.await.ok();
    };
    let task = tokio::spawn(run_until(config, |ready| drop(tell.send(ready)), shutdown, fatal.clone()));
    let ready = match told.await {
        Ok(ready) => ready,
        Err(_) => panic!("the hub did not start: {:?}", task.await),
    };
    Running { socket, ready, fatal, stop: Some(stop), task }
}

impl Running {
    pub(super) async fn stop(mut self) -> Result<(), Error> {
        self.stop.take().map(|stop| stop.send(()));
        self.task.await.unwrap()
    }

    /// Waits for a hub that ends by itself.
    pub(super) async fn ended(self) -> Result<(), Error> {
        self.task.await.unwrap()
    }

    pub(super) async fn connect(&self, player: &Player) -> Peer {
        Peer::connect(&self.socket, player, |_| {}).await.unwrap()
    }
}

pub(super) type Socket = WebSocketStream<UnixStream>;

/// Opens a WebSocket and says nothing.
pub(super) async fn dial(socket: &Path) -> Socket {
    let stream = UnixStream::connect(socket).await.unwrap();
    let mut request = "ws://local/".into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "parler.v1".parse().unwrap());
    tokio_tungstenite::client_async(request, stream).await.unwrap().0
}

/// A client that has logged in.
pub(super) struct Peer {
    pub(super) socket: Socket,
    pub(super) limits: Limits,
    end: ClientEnd,
    player: Player,
    unread: RequestId,
    inbox: VecDeque<ClientOutput>,
}

impl Peer {
    pub(super) async fn connect(
        socket: &Path,
        player: &Player,
        change: impl FnOnce(&mut ClientConfig),
    ) -> Result<Self, ClientFault> {
        let now = crate::clock::Clock::now(&crate::clock::SystemClock);
        let mut config = ClientConfig {
            key: player.key.clone(),
            seat: Some(player.seat(now, now + crate::cast::SEAT_MS).signed().clone()),
            origin: "local".into(),
            known: None,
            join: None::<JoinKey>,
            invite: None,
            nonce: Nonce::from_bytes([7; 32]),
        };
        change(&mut config);
        let mut peer = Self {
            socket: dial(socket).await,
            limits: Limits::default(),
            end: ClientEnd::new(config, 0),
            player: player.clone(),
            unread: 0,
            inbox: VecDeque::new(),
        };
        match peer.next().await {
            ClientOutput::LoggedIn(logged_in) => {
                peer.limits = logged_in.limits;
                Ok(peer)
            }
            ClientOutput::Closed(fault) => Err(fault),
            other => panic!("{other:?} instead of a login"),
        }
    }

    /// Returns the next thing that the protocol's end reports.
    pub(super) async fn next(&mut self) -> ClientOutput {
        loop {
            while let Some(output) = self.end.poll() {
                match output {
                    ClientOutput::Send(packet) => self.send(packet).await,
                    other => self.inbox.push_back(other),
                }
            }
            if let Some(output) = self.inbox.pop_front() {
                return output;
            }
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => self.end.receive(Packet::Text(text.to_string()), 0),
                Some(Ok(Message::Binary(bytes))) => self.end.receive(Packet::Binary(bytes.into()), 0),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => self.end.disconnected(),
            }
        }
    }

    async fn send(&mut self, packet: Packet) {
        let message = match packet {
            Packet::Text(text) => Message::text(text),
            Packet::Binary(bytes) => Message::binary(bytes),
        };
        // A hub that hung up shows in what is read.
        self.socket.send(message).await.ok();
    }

    /// Sends a request and returns its number.
    pub(super) async fn send_request(&mut self, request: &Request) -> RequestId {
        let id = self.end.request(request).unwrap();
        self.flush().await;
        id
    }

    /// Sends a pull of everything without looking at any answer; false once the hub has hung up.
    pub(super) async fn ask_and_not_read(&mut self, room: RoomId) -> bool {
        self.unread += 1;
        let pull = Pull { room, after: 0, limit: 100, bodies: true, wait_ms: None };
        let text = ClientFrame::request(self.unread, &Request::Pull(pull));
        self.socket.send(Message::text(text)).await.is_ok()
    }

    /// Breaks the connection, and waits until the hub has done so too.
    pub(super) async fn hang_up(mut self) {
        self.socket.get_mut().shutdown().await.unwrap();
        while !matches!(self.next().await, ClientOutput::Closed(_)) {}
    }

    pub(super) async fn cancel(&mut self, id: RequestId) {
        self.end.cancel(id).unwrap();
        self.flush().await;
    }

    pub(super) async fn send_chunk(&mut self, id: RequestId, chunk: &[u8]) -> bool {
        let sent = self.end.send_chunk(id, chunk);
        self.flush().await;
        sent
    }

    async fn flush(&mut self) {
        while let Some(output) = self.end.poll() {
            match output {
                ClientOutput::Send(packet) => self.send(packet).await,
                other => self.inbox.push_back(other),
            }
        }
    }

    /// Waits for the answer to request `id`; what else comes is put aside.
    pub(super) async fn answer(&mut self, id: RequestId) -> Result<Answer, Refusal> {
        let mut aside = VecDeque::new();
        let answer = loop {
            match self.next().await {
                ClientOutput::Answered(answered, outcome) if answered == id => break outcome,
                ClientOutput::Closed(fault) => panic!("closed before the answer to {id}: {fault}"),
                other => aside.push_back(other),
            }
        };
        aside.append(&mut self.inbox);
        self.inbox = aside;
        answer
    }

    pub(super) async fn ask(&mut self, request: Request) -> Result<Answer, Refusal> {
        let id = self.send_request(&request).await;
        self.answer(id).await
    }

    pub(super) async fn open_home(&mut self) -> OpenedRoom {
        let genesis = self.player.home().signed().clone();
        match self.ask(Request::OpenRoom(OpenRoom { genesis })).await {
            Ok(Answer::OpenRoom(room)) => room,
            other => panic!("{other:?}"),
        }
    }

    /// Sends a message to the home and returns the number of the request.
    pub(super) async fn send_post(&mut self, n: u64, body: &str, blobs: &[BlobId]) -> RequestId {
        let room = self.player.room();
        let message = self.player.message(room, n, LogPoint::start(room), body, blobs).signed().clone();
        self.send_request(&Request::Post(Post { room, message, body: body.into() })).await
    }

    pub(super) async fn post(&mut self, n: u64, body: &str, blobs: &[BlobId]) -> Result<Posted, Refusal> {
        let post = self.send_post(n, body, blobs).await;
        let answer = self.answer(post).await?;
        let Answer::Post(posted) = answer else { panic!("{answer:?}") };
        Ok(posted)
    }

    pub(super) async fn pull(&mut self, room: RoomId, after: u64, wait: Duration) -> Result<Pulled, Refusal> {
        let wait_ms = Some(wait.as_millis().try_into().unwrap());
        let pull = Pull { room, after, limit: 100, bodies: true, wait_ms };
        let answer = self.ask(Request::Pull(pull)).await?;
        let Answer::Pull(page) = answer else { panic!("{answer:?}") };
        Ok(page)
    }

    /// Begins an upload and returns where to go on, or its outcome when no byte is wanted.
    pub(super) async fn begin_upload(
        &mut self,
        room: RoomId,
        id: BlobId,
        size: u64,
    ) -> (RequestId, Result<Go, Result<Answer, Refusal>>) {
        let request = self.send_request(&Request::PutBlob(PutBlob { room, id, size })).await;
        loop {
            match self.next().await {
                ClientOutput::Go(id, go) if id == request => return (request, Ok(go)),
                ClientOutput::Answered(id, outcome) if id == request => return (request, Err(outcome)),
                ClientOutput::Closed(fault) => panic!("{fault}"),
                _ => {}
            }
        }
    }

    pub(super) async fn upload(&mut self, room: RoomId, bytes: &[u8]) -> Result<Answer, Refusal> {
        let (request, begun) = self.begin_upload(room, BlobId::of(bytes), bytes.len() as u64).await;
        let go = match begun {
            Ok(go) => go,
            Err(outcome) => return outcome,
        };
        for chunk in bytes[usize::try_from(go.offset).unwrap()..].chunks(CHUNK_BYTES_MAX) {
            self.send_chunk(request, chunk).await;
        }
        self.answer(request).await
    }

    pub(super) async fn download(
        &mut self,
        room: RoomId,
        id: BlobId,
        offset: u64,
    ) -> Result<Vec<u8>, Refusal> {
        let request = self.send_request(&Request::GetBlob(GetBlob { room, id, offset })).await;
        let mut bytes = Vec::new();
        loop {
            match self.next().await {
                ClientOutput::Chunk(id, chunk) if id == request => bytes.extend(chunk),
                ClientOutput::Answered(id, outcome) if id == request => {
                    return outcome.map(|answer| {
                        assert_eq!(answer, Answer::GetBlob(Empty {}));
                        bytes
                    });
                }
                ClientOutput::Closed(fault) => panic!("{fault}"),
                _ => {}
            }
        }
    }
}
