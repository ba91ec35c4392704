//! The task that owns the socket: the only `select!` and the only clock of the client. It hands requests to the
//! protocol's end of the connection, packets to the socket, and what comes back to who asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use protocol::conn::client::{ClientFault, ClientOutput, LoggedIn};
use protocol::frame::{Answer, Event, Request, RequestId, RequestKind};
use protocol::refusal::RefusalCode;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::connection::Connection;
use super::dial::{Dialer, Failure};
use super::{Awaited, LinkError, Reach, TransferEvent, fault_error};
use crate::limits;

/// What a handle asks of the driver.
pub(super) enum Command {
    /// Tell what the hub said of itself, once logged in, and whether its key is met for the first time.
    LoggedIn(oneshot::Sender<Result<(LoggedIn, bool), LinkError>>),
    /// Make a request.
    Request(Waiting),
    /// Make a request that moves bytes.
    Transfer { request: Request, events: mpsc::Sender<TransferEvent>, chunks: mpsc::Receiver<Vec<u8>> },
}

/// A request and who waits for its answer.
pub(super) struct Waiting {
    request: Request,
    reply: oneshot::Sender<Result<Answer, LinkError>>,
}

impl Command {
    pub(super) fn request(request: Request, reply: oneshot::Sender<Result<Answer, LinkError>>) -> Self {
        Self::Request(Waiting { request, reply })
    }

    /// Says whether nobody waits for it any more. A transfer wakes nobody when it is given up.
    fn poll_given_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::LoggedIn(reply) => reply.poll_closed(cx),
            Self::Request(waiting) => waiting.reply.poll_closed(cx),
            Self::Transfer { events, .. } if events.is_closed() => Poll::Ready(()),
            Self::Transfer { .. } => Poll::Pending,
        }
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
pub(super) async fn run(
    dialer: Dialer,
    mut commands: mpsc::Receiver<Command>,
    awaited: Awaited,
    reach: watch::Sender<Reach>,
) {
    let mut waiting = VecDeque::new();
    let mut pause = Pause::new();
    let mut limit = dialer.patience().first;
    let mut was_cut = false;
    loop {
        // Without anything to ask there is no reason to dial.
        if waiting.is_empty() {
            match commands.recv().await {
                Some(command) => waiting.push_back(command),
                None => return,
            }
        }
        let dial = async {
            if std::mem::take(&mut was_cut) {
                pause.wait().await;
            }
            connect(&dialer, &mut pause, limit, &reach).await
        };
        let dialled = tokio::select! {
            dialled = dial => dialled,
            has_handles = gather(&mut commands, &mut waiting) => if has_handles { continue } else { return },
        };
        let connection = match dialled {
            Ok(connection) => connection,
            Err(error) => {
                waiting.drain(..).for_each(|command| command.fail(error.clone()));
                continue;
            }
        };
        limit = dialer.patience().again;
        reach.send_replace(Reach::Up);
        let mut serving = Serving::new(connection, awaited.clone());
        match serving.serve(&mut commands, &mut waiting, &mut pause).await {
            Served::Done => return serving.connection.close().await,
            Served::Cut(fault) => {
                reach.send_replace(Reach::Down(None));
                let address = dialer.address();
                let last = fault_error(fault.clone(), dialer.origin(), &address, dialer.known_hubs_path());
                let last = last.unwrap_or(LinkError::Unreachable { address, source: Arc::new(fault.into()) });
                let had_transfers = serving.cut(&mut waiting, &last);
                was_cut = had_transfers || !waiting.is_empty();
            }
        }
    }
}

/// Collects commands until nobody waits for any of them, or every handle is gone; says whether there is one.
async fn gather(commands: &mut mpsc::Receiver<Command>, waiting: &mut VecDeque<Command>) -> bool {
    loop {
        tokio::select! {
            biased;
            command = commands.recv() => match command {
                Some(command) => waiting.push_back(command),
                None => return false,
            },
            () = std::future::poll_fn(|cx| poll_all_given_up(waiting, cx)) => {
                // Who asks next finds a dial that has just begun.
                waiting.clear();
                return true;
            }
        }
    }
}

fn poll_all_given_up(waiting: &mut VecDeque<Command>, cx: &mut Context<'_>) -> Poll<()> {
    // Each of them, so that whichever goes last wakes the driver.
    let left = waiting.iter_mut().filter_map(|command| match command.poll_given_up(cx) {
        Poll::Ready(()) => None,
        Poll::Pending => Some(()),
    });
    if left.count() == 0 { Poll::Ready(()) } else { Poll::Pending }
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
async fn connect(
    dialer: &Dialer,
    pause: &mut Pause,
    limit: Duration,
    reach: &watch::Sender<Reach>,
) -> Result<Connection, LinkError> {
    let began = Instant::now();
    loop {
        let source = match Connection::open(dialer).await {
            Ok(connection) => return Ok(connection),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::NotAHub(source)) => {
                return Err(LinkError::NotAHub { address: dialer.address(), source: Arc::new(source) });
            }
            Err(Failure::NoTls(source)) => {
                return Err(LinkError::Tls { origin: dialer.origin().to_owned(), source: Arc::new(source) });
            }
            Err(Failure::Passing(source)) => Arc::new(source),
        };
        reach.send_replace(Reach::Down(Some(source.clone())));
        let is_over = !source.may_pass() || began.elapsed() + pause.next >= limit;
        if is_over {
            return Err(LinkError::Unreachable { address: dialer.address(), source });
        }
        pause.wait().await;
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
    awaited: Awaited,
    /// The hub has said that it is shutting down.
    is_closing: bool,
}

impl Serving {
    fn new(connection: Connection, awaited: Awaited) -> Self {
        Self {
            connection,
            open: BTreeMap::new(),
            sources: BTreeMap::new(),
            upload: None,
            deliveries: VecDeque::new(),
            awaited,
            is_closing: false,
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
                if let Some(command) = self.begin(command) {
                    // The connection is over, as the drain finds: it goes to the next one.
                    waiting.push_front(command);
                    break;
                }
            }
            if let Some(fault) = self.drain(pause) {
                return Served::Cut(fault);
            }
            if self.is_closing {
                return Served::Cut(ClientFault::Disconnected);
            }
            let (deadline, has_slot) = (self.connection.deadline(), self.has_slot());
            let Self { connection, open, upload, deliveries, .. } = self;
            let may_read = deliveries.is_empty();
            let is_idle = connection.is_idle();
            let deliver = deliveries.front().map(|(_, events, _)| events.clone());
            tokio::select! {
                turn = std::future::poll_fn(|cx| connection.poll_io(cx, may_read)) => connection.take(turn),
                id = std::future::poll_fn(|cx| poll_given_up(open, cx)) => self.abandon(id),
                permit = reserve(deliver), if !may_read => self.deliver(permit),
                chunk = next_chunk(upload), if is_idle && upload.is_some() => self.upload(chunk),
                command = commands.recv(), if has_slot => match command {
                    Some(command) => waiting.push_back(command),
                    // Whatever is open borrowed a handle: nobody waits for it.
                    None => return Served::Done,
                },
                () = sleep_until(deadline) => {
                    let now = connection.now();
                    connection.end.tick(now);
                }
            }
        }
    }

    fn has_slot(&self) -> bool {
        self.open.len() < limits::OPEN_REQUESTS_MAX && self.connection.end.has_slot()
    }

    /// Does what a handle asks; gives it back when the connection takes no request.
    fn begin(&mut self, command: Command) -> Option<Command> {
        match command {
            Command::LoggedIn(reply) => {
                drop(reply.send(Ok(self.connection.greeting())));
            }
            // Given up before it was asked.
            Command::Request(waiting) if waiting.reply.is_closed() => {}
            Command::Request(waiting) => match self.connection.end.request(&waiting.request) {
                Ok(id) => drop(self.open.insert(id, Open::Plain(waiting))),
                Err(_) => return Some(Command::Request(waiting)),
            },
            Command::Transfer { request, events, chunks } => match self.connection.end.request(&request) {
                Ok(id) => {
                    self.open.insert(id, Open::Transfer(events));
                    if request.kind() == RequestKind::PutBlob {
                        self.sources.insert(id, chunks);
                    }
                }
                Err(_) => return Some(Command::Transfer { request, events, chunks }),
            },
        }
        None
    }

    /// Does what the protocol's end says; returns the fault when the connection is over.
    fn drain(&mut self, pause: &mut Pause) -> Option<ClientFault> {
        while let Some(output) = self.connection.end.poll() {
            match output {
                ClientOutput::Send(packet) => self.connection.queue(packet),
                // Not done, and to be asked again of the hub that comes after this one.
                ClientOutput::Answered(_, Err(refusal)) if refusal.code == RefusalCode::Closing => {
                    self.is_closing = true;
                }
                ClientOutput::Answered(id, outcome) => {
                    pause.reset();
                    self.answered(id, outcome.map_err(LinkError::Refused));
                }
                ClientOutput::Go(id, go) => {
                    pause.reset();
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
                ClientOutput::Event(Event { event, room: Some(room) }) if event == Event::REQUESTS => {
                    self.awaited.note(room);
                }
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

    /// Ends what is open on a broken connection: requests wait for the next one, as long as who asked waits; transfers see their
    /// channel end, and come back by themselves. Says whether there were any.
    fn cut(&mut self, waiting: &mut VecDeque<Command>, last: &LinkError) -> bool {
        let mut had_transfers = false;
        for (_, open) in std::mem::take(&mut self.open).into_iter().rev() {
            match open {
                Open::Plain(again) if matches!(last, LinkError::Unreachable { .. }) => {
                    waiting.push_front(Command::Request(again));
                }
                Open::Plain(over) => drop(over.reply.send(Err(last.clone()))),
                Open::Transfer(_) => had_transfers = true,
            }
        }
        // What a transfer was sent before the cut counts.
        for (_, events, event) in self.deliveries.drain(..) {
            events.try_send(event).ok();
        }
        had_transfers
    }
}

/// Is ready with a request whose answer nobody waits for any more. Of a transfer this shows when something is delivered.
fn poll_given_up(open: &mut BTreeMap<RequestId, Open>, cx: &mut Context<'_>) -> Poll<RequestId> {
    for (id, open) in open {
        if let Open::Plain(waiting) = open
            && waiting.reply.poll_closed(cx).is_ready()
        {
            return Poll::Ready(*id);
        }
    }
    Poll::Pending
}

/// Waits until the receiver takes another event; `None` when it is gone.
async fn reserve(to: Option<mpsc::Sender<TransferEvent>>) -> Option<mpsc::OwnedPermit<TransferEvent>> {
    to?.reserve_owned().await.ok()
}

/// Waits for the next chunk of an upload.
async fn next_chunk(upload: &mut Option<Upload>) -> Option<Vec<u8>> {
    upload.as_mut()?.chunks.recv().await
}
