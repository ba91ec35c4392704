//! One connection: the socket, the clock and the tasks around the protocol's end of it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use protocol::conn::hub::{Access, CloseReason, HubConfig, HubEnd, HubOutput, Identity};
use protocol::frame::{Event, Packet, Request, RequestId};
use protocol::id::Nonce;
use protocol::key::AgentId;
use protocol::limits::Limits;
use protocol::refusal::{Refusal, RefusalCode};
use protocol::statement::UnixMillis;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::fanout::{Ear, Wake};
use crate::handshake;
use crate::limits::{CANCELLED_PER_CONNECTION_MAX, PAGES_PER_CONNECTION_MAX};
use crate::outbox::{Outbox, Traffic, traffic};
use crate::registry::{Admitted, Registry};
use crate::service::{Caller, Outcome, Pages, Service};
use crate::store::Store;
use crate::transfer::{Moved, Transfers};

/// What all connections share.
pub(crate) struct Hub<S, W> {
    pub(crate) service: Service<S, W>,
    pub(crate) ends: Arc<HubConfig>,
    pub(crate) registry: Registry,
    /// Turns true when the hub is shutting down.
    pub(crate) closing: watch::Sender<bool>,
}

/// What a task of a connection has done.
pub(crate) enum Done {
    Asked(RequestId, Outcome),
    Moved(Moved),
}

/// Serves one socket until it is over.
pub(crate) async fn serve<T, S, W>(hub: Arc<Hub<S, W>>, socket: T, address: Option<IpAddr>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
    S: Store,
    W: Wake,
{
    let Some(admitted) = hub.registry.admit(address) else {
        tracing::debug!(?address, "too many connections");
        return;
    };
    // Before the handshake, so that a hub that closes meanwhile is noticed after it.
    let closing = hub.closing.subscribe();
    let limits = &hub.ends.limits;
    let shake = handshake::accept(socket, &hub.ends.origins, limits);
    let patience = seconds(limits.authentication_seconds);
    let Ok(Ok(socket)) = tokio::time::timeout(patience, shake).await else { return };
    let mut nonce = [0; 32];
    if let Err(error) = getrandom::fill(&mut nonce) {
        tracing::error!(%error, "no random bytes for a challenge");
        return;
    }
    let time = Time { wall: hub.service.clock.now(), start: Instant::now() };
    let connection = Connection {
        socket,
        end: HubEnd::new(Arc::clone(&hub.ends), Nonce::from_bytes(nonce), time.wall),
        closing,
        heard: time.start,
        pinged: false,
        time,
        address,
        caller: None,
        ear: None,
        admitted,
        outbox: Outbox::default(),
        pages: Arc::new(Semaphore::new(PAGES_PER_CONNECTION_MAX)),
        tasks: JoinSet::new(),
        reading: HashMap::new(),
        transfers: Transfers::default(),
        hub,
    };
    connection.run().await;
}

/// Wall-clock time that never jumps within a connection.
#[derive(Debug, Clone, Copy)]
struct Time {
    wall: UnixMillis,
    start: Instant,
}

impl Time {
    fn now(&self) -> UnixMillis {
        let elapsed = UnixMillis::try_from(self.start.elapsed().as_millis()).unwrap_or(UnixMillis::MAX);
        self.wall.saturating_add(elapsed)
    }

    fn instant(&self, at: UnixMillis) -> Instant {
        self.start + Duration::from_millis(at.saturating_sub(self.wall).max(0).unsigned_abs())
    }
}

struct Connection<T, S, W> {
    hub: Arc<Hub<S, W>>,
    socket: WebSocketStream<T>,
    end: HubEnd,
    time: Time,
    closing: watch::Receiver<bool>,
    /// When anything was heard, WebSocket pongs too, and whether a ping went out since.
    heard: Instant,
    pinged: bool,
    address: Option<IpAddr>,
    caller: Option<Caller>,
    ear: Option<Ear>,
    admitted: Admitted,
    outbox: Outbox,
    pages: Pages,
    tasks: JoinSet<Done>,
    /// What may end half-way, as it only reads.
    reading: HashMap<RequestId, AbortHandle>,
    transfers: Transfers,
}

/// What woke the loop.
enum Woken {
    Traffic(Traffic),
    Done(Result<Done, JoinError>),
    UploadHasRoom,
    Told(Event),
    Time,
    HubCloses,
}

impl<T, S, W> Connection<T, S, W>
where
    T: AsyncRead + AsyncWrite + Unpin + Send,
    S: Store,
    W: Wake,
{
    async fn run(mut self) {
        let reason = loop {
            if let Some(reason) = self.carry_out().await {
                break Some(reason);
            }
            match self.wait().await {
                Woken::Traffic(Traffic::Read(message)) => {
                    if !self.take(message) {
                        break None;
                    }
                }
                Woken::Traffic(Traffic::Written) | Woken::UploadHasRoom => {}
                Woken::Traffic(Traffic::Over) => break None,
                Woken::Done(done) => self.done(done),
                Woken::Told(event) => self.end.event(&event),
                Woken::Time => {
                    if !self.tick() {
                        break None;
                    }
                }
                Woken::HubCloses => self.end.closing(),
            }
        };
        if let Some(reason) = reason {
            tracing::debug!(agent = ?self.agent(), ?reason, "connection closed");
            self.say_goodbye().await;
        }
        self.wind_up().await;
    }

    async fn wait(&mut self) -> Woken {
        let pending_max =
            usize::try_from(self.hub.ends.limits.pending_output_bytes_max).unwrap_or(usize::MAX);
        // A client that does not read is not listened to either, until it does or its time is up.
        let has_room = self.outbox.bytes() < pending_max / 2;
        let deadline = self.deadline();
        let Self { socket, outbox, tasks, transfers, closing, ear, .. } = self;
        let is_stuck = transfers.is_stuck();
        tokio::select! {
            traffic = traffic(socket, outbox, has_room && !is_stuck) => Woken::Traffic(traffic),
            Some(done) = tasks.join_next(), if has_room => Woken::Done(done),
            event = hear(ear), if has_room => Woken::Told(event),
            () = transfers.unstick(), if is_stuck => Woken::UploadHasRoom,
            () = tokio::time::sleep_until(deadline) => Woken::Time,
            // The sender lives in the hub, which this connection holds.
            Ok(()) = closing.changed() => Woken::HubCloses,
        }
    }

    /// Returns when something has to happen if nothing else does before.
    fn deadline(&self) -> Instant {
        let limits = &self.hub.ends.limits;
        let mut deadline = self.heard + seconds(limits.ping_seconds) * if self.pinged { 2 } else { 1 };
        if let Some(end) = self.end.deadline() {
            deadline = deadline.min(self.time.instant(end));
        }
        if let Some(stuck) = self.outbox.stuck_since() {
            deadline = deadline.min(stuck + seconds(limits.write_seconds));
        }
        deadline
    }

    /// Lets time pass; false when the peer is gone or does not read.
    fn tick(&mut self) -> bool {
        let now = Instant::now();
        let limits = &self.hub.ends.limits;
        let ping = seconds(limits.ping_seconds);
        let write = seconds(limits.write_seconds);
        if self.outbox.stuck_since().is_some_and(|since| now >= since + write) {
            tracing::debug!(agent = ?self.agent(), "the client does not read");
            return false;
        }
        if now >= self.heard + 2 * ping {
            tracing::debug!(agent = ?self.agent(), "the client does not answer pings");
            return false;
        }
        if now >= self.heard + ping && !self.pinged {
            self.pinged = true;
            self.outbox.ping(now);
        }
        self.end.tick(self.time.now());
        true
    }

    /// Takes a message from the socket; false when the client closes.
    fn take(&mut self, message: Message) -> bool {
        self.heard = Instant::now();
        self.pinged = false;
        let packet = match message {
            Message::Text(text) => Packet::Text(text.as_str().to_owned()),
            Message::Binary(bytes) => Packet::Binary(bytes.into()),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return true,
            Message::Close(_) => return false,
        };
        let text_max = self.hub.ends.limits.text_frame_bytes_max;
        if matches!(&packet, Packet::Text(text) if text.len() as u64 > text_max) {
            let refusal = Refusal::new(RefusalCode::TooLarge, "the frame is too long");
            self.end.refuse(&Refusal { limit: Some(text_max), ..refusal });
        } else {
            self.end.receive(packet, self.time.now());
        }
        true
    }

    /// Does what the protocol's end asks for, and returns why it wants to close, if it does.
    async fn carry_out(&mut self) -> Option<CloseReason> {
        loop {
            match self.end.poll() {
                Some(HubOutput::Send(packet)) => self.outbox.push(packet, None, Instant::now()),
                Some(HubOutput::Pass(question)) => match self.hub.service.pass(question).await {
                    Ok(access) => self.end.pass(access),
                    Err(refusal) => self.end.refuse(&refusal),
                },
                Some(HubOutput::LoggedIn(identity)) => self.log_in(*identity).await,
                Some(HubOutput::Request(id, request)) => self.start(id, request),
                Some(HubOutput::Chunk { id, bytes, last }) => self.transfers.chunk(id, bytes, last),
                Some(HubOutput::Cancelled(id)) => self.cancel(id),
                Some(HubOutput::Close(reason)) => return Some(reason),
                None => break,
            }
        }
        self.transfers.go_on(&self.hub, &mut self.end, &self.outbox, &mut self.tasks);
        // Going on may have queued an answer; nothing it queues closes the connection.
        while let Some(HubOutput::Send(packet)) = self.end.poll() {
            self.outbox.push(packet, None, Instant::now());
        }
        None
    }

    /// Notes who it is before any request of theirs is looked at.
    async fn log_in(&mut self, identity: Identity) {
        let Identity { agent, seat, access } = identity;
        // Commands are short: one that comes while its agent has as many as it may waits a little for its turn.
        let patience = seconds(self.hub.ends.limits.authentication_seconds);
        if tokio::time::timeout(patience, self.admitted.log_in(agent)).await.is_err() {
            let refusal = Refusal::new(RefusalCode::TooMany, "too many connections of this agent");
            return self.end.refuse(&refusal);
        }
        self.caller = Some(Caller { agent, access, address: self.address });
        // Before the look at who waits, so that nobody falls between them.
        self.ear = Some(self.hub.service.wake.listen(agent));
        // Who may only ask to join is nobody's seat here, as what its user says is in the request; nor is a guest, who would
        // stay by it once put out.
        let seat = seat.filter(|_| access == Access::Full);
        if let Err(refusal) = self.hub.service.logged_in(seat).await {
            return self.end.refuse(&refusal);
        }
        match self.hub.service.awaiting(agent).await {
            Ok(rooms) => {
                for room in rooms {
                    self.end.event(&Event { event: Event::REQUESTS.into(), room: Some(room) });
                }
            }
            Err(refusal) => self.end.refuse(&refusal),
        }
    }

    fn agent(&self) -> Option<AgentId> {
        self.caller.map(|caller| caller.agent)
    }

    fn start(&mut self, id: RequestId, request: Request) {
        let Some(caller) = self.caller else { unreachable!("requests come after the login") };
        let agent = caller.agent;
        match request {
            Request::PutBlob(_) | Request::GetBlob(_) if !self.transfers.may_begin() => {
                let refusal = Refusal::new(RefusalCode::TooMany, "too many transfers begin at once");
                self.end.answer(id, &Err(refusal));
            }
            Request::PutBlob(request) => {
                self.transfers.begin_upload(id, agent, request, &self.hub, &mut self.tasks);
            }
            Request::GetBlob(request) => {
                self.transfers.begin_download(id, agent, request, &self.hub, &mut self.tasks);
            }
            _ if self.tasks.len() as u64 >= tasks_max(&self.hub.ends.limits) => {
                let refusal = Refusal::new(RefusalCode::TooMany, "what was cancelled is still being done");
                self.end.answer(id, &Err(refusal));
            }
            request => {
                let (hub, pages) = (Arc::clone(&self.hub), Arc::clone(&self.pages));
                let reads = only_reads(&request);
                let task = async move { Done::Asked(id, hub.service.ask(caller, request, &pages).await) };
                let task = self.tasks.spawn(task);
                if reads {
                    self.reading.insert(id, task);
                }
            }
        }
    }

    fn cancel(&mut self, id: RequestId) {
        if let Some(task) = self.reading.remove(&id) {
            task.abort();
        }
        self.transfers.cancel(id);
    }

    fn done(&mut self, done: Result<Done, JoinError>) {
        match done {
            Ok(Done::Asked(id, Outcome { answer, page })) => {
                self.reading.remove(&id);
                self.end.answer(id, &answer);
                if let Some(HubOutput::Send(packet)) = self.end.poll() {
                    self.outbox.push(packet, page, Instant::now());
                }
            }
            Ok(Done::Moved(moved)) => {
                let now = self.time.now();
                self.transfers.moved(moved, &self.hub, &mut self.end, &mut self.tasks, now);
            }
            Err(error) if error.is_cancelled() => {}
            Err(error) => {
                tracing::error!(%error, "a request failed");
                self.end.refuse(&Refusal::new(RefusalCode::Internal, "the hub failed"));
            }
        }
    }

    /// Writes what is queued and closes the socket, for as long as one write may take.
    async fn say_goodbye(&mut self) {
        let patience = seconds(self.hub.ends.limits.write_seconds);
        let Self { socket, outbox, .. } = self;
        let goodbye = async {
            if outbox.stuck_since().is_some() {
                traffic(socket, outbox, false).await;
            }
            // The client may be gone; then there is nobody to say it to.
            socket.close(None).await.ok();
        };
        tokio::time::timeout(patience, goodbye).await.ok();
    }

    /// Ends what reads and finishes what writes: an upload whose bytes are all there still lands.
    async fn wind_up(mut self) {
        for (_, task) in self.reading.drain() {
            task.abort();
        }
        self.transfers = Transfers::default();
        drop(self.socket);
        // It counts as a connection until then.
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Returns how much a connection may have the hub do at once.
pub(crate) fn tasks_max(limits: &Limits) -> u64 {
    limits.open_requests_max.saturating_add(CANCELLED_PER_CONNECTION_MAX)
}

/// Says whether a request may end half-way. What writes may not: between its commit and its word to those who wait for it
/// nobody else would wake them.
fn only_reads(request: &Request) -> bool {
    match request {
        Request::Rooms(_)
        | Request::Pull(_)
        | Request::Chain(_)
        | Request::Requests(_)
        | Request::JoinState(_)
        | Request::Handoffs(_)
        | Request::Find(_)
        | Request::GetBlob(_)
        | Request::Cancel(_)
        | Request::Ping(_) => true,
        Request::OpenRoom(_)
        | Request::Post(_)
        | Request::Ack(_)
        | Request::Append(_)
        | Request::PutKey(_)
        | Request::RevokeKey(_)
        | Request::Join(_)
        | Request::PutBlob(_) => false,
    }
}

/// Waits for what the agent is told, once there is one.
async fn hear(ear: &mut Option<Ear>) -> Event {
    match ear {
        Some(ear) => ear.next().await,
        None => std::future::pending().await,
    }
}

/// Returns a configured time, at least a second, so that nothing spins, and at most a year, so that no sum overflows.
fn seconds(configured: u64) -> Duration {
    Duration::from_secs(configured.clamp(1, 365 * 24 * 3600))
}
