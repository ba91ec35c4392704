//! The sockets of the lying hub: one thread, one task for each connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::conn::HubEnd;
use protocol::conn::hub::{HubOutput, Identity};
use protocol::frame::{Answer, ClientFrame, Packet, Request, RequestId};
use protocol::id::Nonce;
use protocol::key::HubId;
use protocol::statement::UnixMillis;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request as Upgrade, Response};

use super::rooms::{Asker, Audience};
use super::transfer::Uploads;
use super::{Asking, Shared, lock};

/// Serves until `stopped`.
pub(super) fn run(listener: std::net::TcpListener, shared: &Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        listener.set_nonblocking(true).expect("a socket of ours");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a socket of ours");
        let accepting = async {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(shared.clone(), stream));
            }
        };
        tokio::select! {
            () = accepting => {}
            _ = stopped => {}
        }
    });
}

/// Serves one connection until it ends.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(shared: Arc<Shared>, stream: S) {
    if let Some(mut connection) = Connection::accept(stream, shared).await {
        connection.serve().await;
    }
}

struct Connection<S> {
    socket: WebSocketStream<S>,
    shared: Arc<Shared>,
    end: HubEnd,
    hub: HubId,
    identity: Option<Identity>,
    uploads: Uploads,
    /// Requests that wait for something to happen, and until when.
    waiting: Vec<(RequestId, Request, Instant)>,
    events_told: usize,
    base: (Instant, UnixMillis),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn accept(stream: S, shared: Arc<Shared>) -> Option<Self> {
        let socket = tokio_tungstenite::accept_hdr_async(stream, agree).await.ok()?;
        let config = lock(&shared.config).clone();
        let mut fresh = [0; 32];
        getrandom::fill(&mut fresh).expect("random bytes");
        let nonce = lock(&shared.nonce).unwrap_or(Nonce::from_bytes(fresh));
        let hub = config.key.public();
        let base = (Instant::now(), shared.now());
        let end = HubEnd::new(Arc::new(config), nonce, base.1);
        let events_told = lock(&shared.shelf).events.len();
        let (identity, uploads, waiting) = (None, Uploads::default(), Vec::new());
        Some(Self { socket, shared, end, hub, identity, uploads, waiting, events_told, base })
    }

    async fn serve(&mut self) {
        let mut pulse = self.shared.pulse.subscribe();
        let cuts = pulse.borrow().cuts;
        loop {
            if self.drain().await.is_none() {
                return;
            }
            let wake = self.waiting.iter().map(|(.., until)| *until).chain(self.deadline()).min();
            let wake = wake.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                received = self.socket.next() => match received {
                    Some(Ok(Message::Text(text))) => self.receive(Packet::Text(text.as_str().to_owned())),
                    Some(Ok(Message::Binary(bytes))) => self.receive(Packet::Binary(bytes.into())),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                },
                changed = pulse.changed() => {
                    if changed.is_err() || pulse.borrow().cuts != cuts {
                        return;
                    }
                    self.tell_events();
                    self.look_again();
                }
                () = sleep_until(wake) => {
                    self.end.tick(self.now());
                    self.look_again();
                }
            }
        }
    }

    /// Returns the time: what the clock said when the connection came, and what has passed since.
    fn now(&self) -> UnixMillis {
        self.base.1
            + UnixMillis::try_from(self.base.0.elapsed().as_millis()).expect("a connection ends some day")
    }

    fn deadline(&self) -> Option<Instant> {
        let after = self.end.deadline()?.saturating_sub(self.base.1);
        Some(self.base.0 + Duration::from_millis(u64::try_from(after).unwrap_or(0)))
    }

    fn receive(&mut self, packet: Packet) {
        if let Packet::Text(text) = &packet
            && let Ok(ClientFrame::Hello(hello)) = ClientFrame::parse(text)
        {
            lock(&self.shared.hellos).push(*hello);
        }
        self.end.receive(packet, self.now());
    }

    /// Does what the protocol's end wants done; `None` when the connection is over.
    async fn drain(&mut self) -> Option<()> {
        while let Some(output) = self.end.poll() {
            match output {
                HubOutput::Send(Packet::Text(mut text)) => {
                    if let Some(edit) = &mut *lock(&self.shared.edit) {
                        edit(&mut text);
                    }
                    self.socket.send(Message::text(text)).await.ok()?;
                }
                HubOutput::Send(Packet::Binary(bytes)) => {
                    self.socket.send(Message::binary(bytes)).await.ok()?;
                }
                HubOutput::Pass(question) => {
                    let access = lock(&self.shared.shelf).pass(&question, self.now());
                    self.end.pass(access);
                }
                HubOutput::LoggedIn(identity) => {
                    lock(&self.shared.shelf).greet(&identity);
                    self.identity = Some(*identity);
                }
                HubOutput::Request(id, request) => self.request(id, request),
                HubOutput::Chunk { id, bytes, last } => {
                    let done = self.uploads.chunk(&mut lock(&self.shared.shelf), id, &bytes, last);
                    if let Some(outcome) = done {
                        self.end.answer(id, &outcome);
                    }
                }
                HubOutput::Cancelled(id) => self.waiting.retain(|(waits, ..)| *waits != id),
                HubOutput::Close(_) => {
                    // What was said before is on its way; the other side closes too, or is gone.
                    self.socket.close(None).await.ok();
                    return None;
                }
            }
        }
        Some(())
    }

    fn request(&mut self, id: RequestId, request: Request) {
        let identity = self.identity.clone().expect("requests follow a login");
        let asker = Asker { identity: &identity, hub: self.hub, now: self.now() };
        match &request {
            Request::PutBlob(put) => {
                let shelf = lock(&self.shared.shelf);
                self.uploads.begin(&shelf, &mut self.end, &asker, id, put);
            }
            Request::GetBlob(wanted) => {
                let bytes = super::transfer::download(&self.shared, &asker, wanted);
                super::transfer::send(&mut self.end, id, (wanted.offset, asker.now), bytes);
            }
            Request::Pull(protocol::frame::Pull { wait_ms: Some(wait), .. })
            | Request::JoinState(protocol::frame::JoinState { wait_ms: Some(wait), .. }) => {
                let is_hasty = self.shared.is_hasty.load(Ordering::Relaxed);
                let wait = if is_hasty { Duration::ZERO } else { Duration::from_millis(*wait) };
                let until = Instant::now() + wait;
                self.waiting.push((id, request, until));
                self.look_again();
            }
            _ => {
                let is_read = matches!(request.kind(), protocol::frame::RequestKind::Pull);
                self.answer(&asker, id, &request);
                if !is_read {
                    self.shared.tell();
                }
            }
        }
    }

    fn answer(&mut self, asker: &Asker<'_>, id: RequestId, request: &Request) {
        let mut outcome = lock(&self.shared.shelf).answer(asker, request.clone());
        if let Some(lie) = &mut *lock(&self.shared.lie) {
            lie(&Asking { agent: asker.agent(), request }, &mut outcome);
        }
        self.end.answer(id, &outcome);
    }

    /// Answers what waited and has something to say now, or has waited long enough.
    fn look_again(&mut self) {
        let Some(identity) = self.identity.clone() else { return };
        let asker = Asker { identity: &identity, hub: self.hub, now: self.now() };
        for (id, request, until) in std::mem::take(&mut self.waiting) {
            let outcome = lock(&self.shared.shelf).answer(&asker, request.clone());
            let is_empty = match &outcome {
                Ok(Answer::Pull(pulled)) => pulled.entries.is_empty(),
                Ok(Answer::JoinState(standing)) => standing.state == protocol::frame::JoinerState::Pending,
                _ => false,
            };
            if is_empty && Instant::now() < until {
                self.waiting.push((id, request, until));
            } else {
                self.answer(&asker, id, &request);
            }
        }
    }

    fn tell_events(&mut self) {
        let Some(identity) = &self.identity else { return };
        let user = identity.seat.as_ref().map(protocol::signed::Verified::by);
        let shelf = lock(&self.shared.shelf);
        for (audience, event) in &shelf.events[self.events_told..] {
            let is_for_it = match audience {
                Audience::Agent(agent) => *agent == identity.agent,
                Audience::Owner(owner) => Some(*owner) == user,
            };
            if is_for_it {
                self.end.event(event);
            }
        }
        self.events_told = shelf.events.len();
    }
}

#[expect(clippy::result_large_err, reason = "the library's signature")]
#[expect(clippy::unnecessary_wraps, reason = "the library's signature")]
fn agree(_: &Upgrade, mut response: Response) -> Result<Response, ErrorResponse> {
    let subprotocol = protocol::limits::SUBPROTOCOL.parse().expect("a header's value");
    response.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol);
    Ok(response)
}
