//! The task that owns the socket: the only `select!` and the only clock of the client. It hands requests to the
//! protocol's end of the connection, packets to the socket, and what comes back to who asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::conn::ClientEnd;
use protocol::conn::client::{ClientFault, ClientOutput, LoggedIn};
use protocol::frame::{Answer, Packet, Request, RequestId, RequestKind};
use protocol::statement::UnixMillis;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::tungstenite::Message;

use super::dial::{DialError, Dialer, Failure, Socket};
use super::{LinkError, TransferEvent, fault_error};
use crate::limits;

/// What a handle asks of the driver.
pub(super) enum Command {
    /// Tell what the hub said of itself, once logged in.
    LoggedIn(oneshot::Sender<Result<LoggedIn, LinkError>>),
    /// Make a request.
    Request(Waiting),
    /// Make a request that moves bytes.
    Transfer { request: Request, events: mpsc::Sender<TransferEvent>, chunks: mpsc::Receiver<Vec<u8>> },
}

/// A request and who waits for its answer.
pub(super) struct Waiting {
    request: Request,
    reply: oneshot::Sender<Result<Answer, LinkError>>,
    /// When a connection first broke under it.
    first_cut: Option<Instant>,
}

impl Command {
    pub(super) fn request(request: Request, reply: oneshot::Sender<Result<Answer, LinkError>>) -> Self {
        Self::Request(Waiting { request, reply, first_cut: None })
    }

    /// Tells who waits that there is no connection.
    fn fail(self, error: LinkError) {
        // Who does not wait any more does not miss the error.
        match self {
            Self::LoggedIn(reply) => drop(reply.send(Err(error))),
            Self::Request(waiting) => drop(waiting.reply.send(Err(error))),
            Self::Transfer { events, .. } => drop(events.try_send(TransferEvent::Ended(Err(error)))),
        }
    }
}

/// Serves commands until every handle is gone.
pub(super) async fn run(dialer: Dialer, mut commands: mpsc::Receiver<Command>) {
    let mut waiting = VecDeque::new();
    let mut pause = Pause::new();
    let mut limit = dialer.patience().first;
    loop {
        // Without anything to ask there is no reason to dial.
        if waiting.is_empty() {
            match commands.recv().await {
                Some(command) => waiting.push_back(command),
                None => return,
            }
        }
        let connection = match connect(&dialer, &mut pause, limit).await {
            Ok(connection) => connection,
            Err(error) => {
                waiting.drain(..).for_each(|command| command.fail(error.clone()));
                continue;
            }
        };
        limit = dialer.patience().again;
        let mut serving = Serving::new(connection);
        match serving.serve(&mut commands, &mut waiting, &mut pause).await {
            Served::Done => return serving.connection.close().await,
            Served::Cut(fault) => {
                let address = dialer.address();
                let last = fault_error(fault.clone(), dialer.origin(), &address, dialer.known_hubs_path());
                let last = last.unwrap_or(LinkError::Unreachable { address, source: Arc::new(fault.into()) });
                serving.cut(&mut waiting, &last, dialer.patience().again);
                if !waiting.is_empty() {
                    pause.wait().await;
                }
            }
        }
    }
}

/// The pause before the next dial; it grows until something useful comes from the hub.
struct Pause {
    next: Duration,
}

impl Pause {
    fn new() -> Self {
        Self { next: Duration::ZERO }
    }

    fn reset(&mut self) {
        self.next = Duration::ZERO;
    }

    async fn wait(&mut self) {
        let now = self.next;
        self.next = (now * 2).clamp(limits::BACKOFF_MIN, limits::BACKOFF_MAX);
        if !now.is_zero() {
            // Up to a half more, so that clients cut at once do not come back at once.
            let mut random = [0];
            let random = getrandom::fill(&mut random).map_or(0, |()| random[0]);
            sleep(now + now * u32::from(random) / 512).await;
        }
    }
}

/// Dials until a login holds, or `limit` is over.
async fn connect(dialer: &Dialer, pause: &mut Pause, limit: Duration) -> Result<Connection, LinkError> {
    let began = Instant::now();
    loop {
        let source = match Connection::open(dialer).await {
            Ok(connection) => return Ok(connection),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::NotAHub(source)) => {
                return Err(LinkError::NotAHub { address: dialer.address(), source: Arc::new(source) });
            }
            Err(Failure::Passing(source)) => source,
        };
        // The local hub was given its time to start already.
        let is_over = matches!(source, DialError::LocalHub(_)) || began.elapsed() + pause.next >= limit;
        if is_over {
            return Err(LinkError::Unreachable { address: dialer.address(), source: Arc::new(source) });
        }
        pause.wait().await;
    }
}

/// A socket and the protocol's end of it, logged in.
struct Connection {
    socket: Socket,
    end: ClientEnd,
    out: VecDeque<Message>,
    is_flushed: bool,
    logged_in: Option<LoggedIn>,
    base: (Instant, UnixMillis),
}

/// What one look at the socket gave.
enum Turn {
    Received(Packet),
    Wrote,
    Gone,
}

impl Connection {
    async fn open(dialer: &Dialer) -> Result<Self, Failure> {
        let (socket, config) = dialer.dial().await?;
        let base = (Instant::now(), crate::seat::now());
        let end = ClientEnd::new(config, base.1);
        let mut connection =
            Self { socket, end, out: VecDeque::new(), is_flushed: true, logged_in: None, base };
        loop {
            match connection.end.poll() {
                Some(ClientOutput::Send(packet)) => connection.queue(packet),
                Some(ClientOutput::LoggedIn(logged_in)) => {
                    dialer.remember(logged_in.hub)?;
                    connection.logged_in = Some(*logged_in);
                    return Ok(connection);
                }
                Some(ClientOutput::Closed(fault)) => {
                    let known = dialer.known_hubs_path();
                    let error = fault_error(fault.clone(), dialer.origin(), &dialer.address(), known);
                    return Err(error.map_or(Failure::Passing(fault.into()), Failure::Final));
                }
                Some(_) => {}
                None => connection.wait().await,
            }
        }
    }

    /// Waits for the socket or the clock.
    async fn wait(&mut self) {
        let deadline = self.deadline();
        let turn = tokio::time::timeout_at(deadline, std::future::poll_fn(|cx| self.poll_io(cx, true))).await;
        match turn {
            Ok(turn) => self.take(turn),
            Err(_) => self.end.tick(self.now()),
        }
    }

    fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Received(packet) => self.end.receive(packet, self.now()),
            Turn::Gone => self.end.disconnected(),
            Turn::Wrote => {}
        }
    }

    fn queue(&mut self, packet: Packet) {
        self.out.push_back(match packet {
            Packet::Text(text) => Message::text(text),
            Packet::Binary(bytes) => Message::binary(bytes),
        });
    }

    fn now(&self) -> UnixMillis {
        let since = self.base.0.elapsed().as_millis();
        self.base.1.saturating_add(UnixMillis::try_from(since).unwrap_or(UnixMillis::MAX))
    }

    fn deadline(&self) -> Instant {
        let millis = self.end.deadline().map_or(FAR_MILLIS, |at| at - self.now());
        Instant::now() + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// Writes what is queued, then reads one packet when `may_read`.
    fn poll_io(&mut self, cx: &mut Context<'_>, may_read: bool) -> Poll<Turn> {
        let mut wrote = false;
        while !self.out.is_empty() {
            match self.socket.poll_ready_unpin(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Turn::Gone),
                Poll::Pending => break,
            }
            if let Some(message) = self.out.pop_front()
                && self.socket.start_send_unpin(message).is_err()
            {
                return Poll::Ready(Turn::Gone);
            }
            (wrote, self.is_flushed) = (true, false);
        }
        if !self.is_flushed {
            match self.socket.poll_flush_unpin(cx) {
                Poll::Ready(Ok(())) => self.is_flushed = true,
                Poll::Ready(Err(_)) => return Poll::Ready(Turn::Gone),
                Poll::Pending => {}
            }
        }
        if wrote {
            return Poll::Ready(Turn::Wrote);
        }
        if !may_read {
            return Poll::Pending;
        }
        loop {
            return match self.socket.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(Message::Text(text)))) => {
                    Poll::Ready(Turn::Received(Packet::Text(text.as_str().to_owned())))
                }
                Poll::Ready(Some(Ok(Message::Binary(bytes)))) => {
                    Poll::Ready(Turn::Received(Packet::Binary(bytes.into())))
                }
                // Answered below us; a close shows as the end of the stream.
                Poll::Ready(Some(Ok(_))) => continue,
                Poll::Ready(Some(Err(_)) | None) => Poll::Ready(Turn::Gone),
                Poll::Pending => Poll::Pending,
            };
        }
    }

    async fn close(&mut self) {
        // A hub that is gone already, or does not take the goodbye in time, misses nothing.
        tokio::time::timeout(GOODBYE_MAX, self.socket.close(None)).await.ok();
    }
}

/// How serving a connection ended.
enum Served {
    /// Every handle is gone.
    Done,
    /// The connection is over.
    Cut(ClientFault),
}

/// Who waits for the answer to an open request.
enum Open {
    Plain(Waiting),
    Transfer(mpsc::Sender<TransferEvent>),
}

/// An upload that may go.
struct Upload {
    id: RequestId,
    chunks: mpsc::Receiver<Vec<u8>>,
    remaining: u64,
}

/// One connection with what is open on it.
struct Serving {
    connection: Connection,
    open: BTreeMap<RequestId, Open>,
    /// Where the bytes of uploads come from whose `go` has not come.
    sources: BTreeMap<RequestId, mpsc::Receiver<Vec<u8>>>,
    upload: Option<Upload>,
    /// What transfers have not taken yet; nothing is read from the socket before they have.
    deliveries: VecDeque<(RequestId, mpsc::Sender<TransferEvent>, TransferEvent)>,
    is_done: bool,
}

impl Serving {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            open: BTreeMap::new(),
            sources: BTreeMap::new(),
            upload: None,
            deliveries: VecDeque::new(),
            is_done: false,
        }
    }

    async fn serve(
        &mut self,
        commands: &mut mpsc::Receiver<Command>,
        waiting: &mut VecDeque<Command>,
        pause: &mut Pause,
    ) -> Served {
        loop {
            while self.has_slot()
                && let Some(command) = waiting.pop_front()
            {
                self.begin(command);
            }
            if let Some(fault) = self.drain(pause) {
                return Served::Cut(fault);
            }
            if self.is_done && self.open.is_empty() && self.deliveries.is_empty() {
                return Served::Done;
            }
            let (deadline, has_slot) = (self.connection.deadline(), self.has_slot());
            let Self { connection, upload, deliveries, is_done, .. } = self;
            let may_read = deliveries.is_empty();
            let is_idle = connection.out.is_empty();
            let deliver = deliveries.front().map(|(_, events, _)| events.clone());
            tokio::select! {
                turn = std::future::poll_fn(|cx| connection.poll_io(cx, may_read)) => connection.take(turn),
                permit = reserve(deliver), if !may_read => self.deliver(permit),
                chunk = next_chunk(upload), if is_idle && upload.is_some() => self.upload(chunk),
                command = commands.recv(), if !*is_done && has_slot => match command {
                    Some(command) => waiting.push_back(command),
                    None => *is_done = true,
                },
                () = sleep_until(deadline) => {
                    let now = connection.now();
                    connection.end.tick(now);
                }
            }
        }
    }

    fn has_slot(&self) -> bool {
        self.open.len() < OPEN_MAX
    }

    fn begin(&mut self, command: Command) {
        match command {
            Command::LoggedIn(reply) => {
                let logged_in = self.connection.logged_in.clone().expect("served connections are logged in");
                drop(reply.send(Ok(logged_in)));
            }
            Command::Request(waiting) => {
                let id = self.connection.end.request(&waiting.request);
                let id = id.expect("a slot is free on a connection that is logged in");
                self.open.insert(id, Open::Plain(waiting));
            }
            Command::Transfer { request, events, chunks } => {
                let id = self.connection.end.request(&request);
                let id = id.expect("a slot is free on a connection that is logged in");
                self.open.insert(id, Open::Transfer(events));
                if request.kind() == RequestKind::PutBlob {
                    self.sources.insert(id, chunks);
                }
            }
        }
    }

    /// Does what the protocol's end says; returns the fault when the connection is over.
    fn drain(&mut self, pause: &mut Pause) -> Option<ClientFault> {
        while let Some(output) = self.connection.end.poll() {
            match output {
                ClientOutput::Send(packet) => self.connection.queue(packet),
                ClientOutput::Answered(id, outcome) => {
                    pause.reset();
                    self.answered(id, outcome.map_err(LinkError::Refused));
                }
                ClientOutput::Go(id, go) => {
                    if let Some(chunks) = self.sources.remove(&id) {
                        self.upload = Some(Upload { id, chunks, remaining: go.size - go.offset });
                    }
                    self.hand_on(id, TransferEvent::Go(go));
                }
                ClientOutput::Chunk(id, bytes) => {
                    pause.reset();
                    self.hand_on(id, TransferEvent::Chunk(bytes));
                }
                ClientOutput::Closed(fault) => return Some(fault),
                ClientOutput::LoggedIn(_) | ClientOutput::Event(_) => {}
            }
        }
        None
    }

    fn answered(&mut self, id: RequestId, outcome: Result<Answer, LinkError>) {
        self.sources.remove(&id);
        if self.upload.as_ref().is_some_and(|upload| upload.id == id) {
            self.upload = None;
        }
        match self.open.remove(&id) {
            Some(Open::Plain(waiting)) => drop(waiting.reply.send(outcome)),
            Some(Open::Transfer(events)) => {
                self.deliveries.push_back((id, events, TransferEvent::Ended(outcome)));
            }
            None => {}
        }
    }

    fn hand_on(&mut self, id: RequestId, event: TransferEvent) {
        if let Some(Open::Transfer(events)) = self.open.get(&id) {
            self.deliveries.push_back((id, events.clone(), event));
        }
    }

    /// Hands the oldest event to its transfer; one that nobody waits for ends the transfer.
    fn deliver(&mut self, permit: Option<mpsc::OwnedPermit<TransferEvent>>) {
        let Some((id, _, event)) = self.deliveries.pop_front() else { return };
        match permit {
            Some(permit) => drop(permit.send(event)),
            None => self.abandon(id),
        }
    }

    /// Sends a chunk; the end of the chunks before the end of the bytes ends the transfer.
    fn upload(&mut self, chunk: Option<Vec<u8>>) {
        let Some(upload) = &mut self.upload else { return };
        let (id, chunk) = (upload.id, chunk.unwrap_or_default());
        let left = upload.remaining.checked_sub(chunk.len() as u64).filter(|_| !chunk.is_empty());
        match left {
            Some(left) => {
                upload.remaining = left;
                self.connection.end.send_chunk(id, &chunk);
                if left == 0 {
                    self.upload = None;
                }
            }
            None => self.abandon(id),
        }
    }

    fn abandon(&mut self, id: RequestId) {
        self.sources.remove(&id);
        if self.upload.as_ref().is_some_and(|upload| upload.id == id) {
            self.upload = None;
        }
        if self.open.remove(&id).is_some() {
            // Refused only when the connection is over, and then the request is too.
            self.connection.end.cancel(id).ok();
        }
    }

    /// Ends what is open on a broken connection: requests wait for the next one, transfers see their channel end.
    fn cut(&mut self, waiting: &mut VecDeque<Command>, last: &LinkError, limit: Duration) {
        for (_, open) in std::mem::take(&mut self.open).into_iter().rev() {
            if let Open::Plain(mut again) = open {
                let first = *again.first_cut.get_or_insert_with(Instant::now);
                if first.elapsed() < limit && matches!(last, LinkError::Unreachable { .. }) {
                    waiting.push_front(Command::Request(again));
                } else {
                    drop(again.reply.send(Err(last.clone())));
                }
            }
        }
        // What a transfer was sent before the cut counts.
        for (_, events, event) in self.deliveries.drain(..) {
            events.try_send(event).ok();
        }
    }
}

/// Waits until the receiver takes another event; `None` when it is gone.
async fn reserve(to: Option<mpsc::Sender<TransferEvent>>) -> Option<mpsc::OwnedPermit<TransferEvent>> {
    to?.reserve_owned().await.ok()
}

/// Waits for the next chunk of an upload.
async fn next_chunk(upload: &mut Option<Upload>) -> Option<Vec<u8>> {
    upload.as_mut()?.chunks.recv().await
}

/// Requests open at once; below what hubs allow, so that a cancellation always finds a slot.
const OPEN_MAX: usize = 24;
const FAR_MILLIS: i64 = 3_600_000;
/// How long the goodbye may take.
const GOODBYE_MAX: Duration = Duration::from_millis(500);
