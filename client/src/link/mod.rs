//! The connection to a hub: one for each process, dialled when it is needed, resumed silently when it breaks.
//!
//! A [`Link`] is a handle; behind it one task owns the socket (`drive`). Dropping the handle ends the task.

mod connection;
mod dial;
mod drive;
mod tls;
pub mod transfer;
mod wait;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::conn::client::{ClientFault, LoggedIn};
use protocol::frame::{Answer, Go, Request};
use protocol::id::RoomId;
use protocol::key::HubId;
use protocol::refusal::{Refusal, RefusalCode};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

pub use dial::DialError;
#[cfg(test)]
pub(crate) use dial::Road;
pub(crate) use dial::{Dialer, Io, Patience};
use drive::Command;
pub use tls::TlsError;

use crate::limits;
use crate::seat::SeatError;

/// Why a request has no answer, or a refusing one.
///
/// It is handed to every request that waits for the same connection, so it can be cloned.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LinkError {
    /// Nobody could be reached there, for as long as the client tries.
    #[error("no hub answers at {address}")]
    Unreachable {
        /// The address as dialled.
        address: String,
        /// What the last attempt said.
        #[source]
        source: Arc<DialError>,
    },
    /// What answers is no hub, or not one that can be talked to.
    #[error("what answers at {address} is not a hub of this protocol")]
    NotAHub {
        /// The address as dialled.
        address: String,
        /// What it said.
        #[source]
        source: Arc<DialError>,
    },
    /// The hub shows another key than the one known for its origin. Nothing was signed, or nothing but the login where another
    /// process met the other key at the same time.
    #[error("the hub at {origin} has another key than before: {found} instead of {expected}")]
    KeyChanged {
        /// The origin as dialled.
        origin: String,
        /// The key known for it.
        expected: HubId,
        /// The key it showed.
        found: HubId,
        /// The file in which the known key stands.
        known_hubs: PathBuf,
    },
    /// The hub speaks a lower protocol level than before, or than this version. Nothing was signed.
    #[error("the hub at {origin} offers protocol {offered}, and {expected} was expected")]
    ProtocolLevel {
        /// The origin as dialled.
        origin: String,
        /// The level it offers.
        offered: u32,
        /// The level that was expected.
        expected: u32,
    },
    /// The hub does not prove that it holds the key it shows.
    #[error("the hub at {origin} does not prove its key")]
    Unproven {
        /// The origin as dialled.
        origin: String,
    },
    /// A closed hub, and no join secret is known for it.
    #[error("the hub at {origin} is closed and no join secret is known for it")]
    NoJoinSecret {
        /// The origin as dialled.
        origin: String,
    },
    /// `ws://` beyond loopback, which is not allowed.
    #[error("{origin} would send everything in the clear")]
    Insecure {
        /// The origin as asked for.
        origin: String,
    },
    /// There is no TLS with what answers, or the authorities to trust cannot be read. Nothing was sent.
    #[error("no secure connection to {origin}")]
    Tls {
        /// The origin as dialled.
        origin: String,
        /// Why.
        #[source]
        source: Arc<TlsError>,
    },
    /// The hub refused the login. It gives the same answer whatever the reason.
    #[error("the hub at {origin} refuses the login")]
    LoginRefused {
        /// The origin as dialled.
        origin: String,
    },
    /// The hub refused the request, or the whole connection.
    #[error("{0}")]
    Refused(Refusal),
    /// The seat's own files.
    #[error(transparent)]
    Seat(Arc<SeatError>),
}

impl LinkError {
    /// Returns the stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "hub_unreachable",
            Self::NotAHub { .. } | Self::ProtocolLevel { .. } | Self::Unproven { .. } => "wrong_hub",
            Self::KeyChanged { .. } => "hub_key_changed",
            Self::NoJoinSecret { .. } | Self::LoginRefused { .. } => "login_refused",
            Self::Insecure { .. } => "policy_refused",
            Self::Tls { source, .. } => source.code(),
            Self::Refused(refusal) => refusal.code.as_str(),
            Self::Seat(_) => "io",
        }
    }

    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { address, source } => Some(unreachable_hint(address, source)),
            Self::NotAHub { address, source } => Some(not_a_hub_hint(address, source).to_owned()),
            Self::KeyChanged { origin, known_hubs, .. } => Some(format!(
                "ask who runs the hub; if the change is meant, remove the line of {origin} from {}",
                known_hubs.display()
            )),
            Self::ProtocolLevel { .. } => Some("ask who runs the hub to update it".to_owned()),
            Self::Unproven { .. } => None,
            Self::NoJoinSecret { .. } => {
                Some("put the secret in a file and name it in parler.joinSecretFile".to_owned())
            }
            Self::LoginRefused { origin } => Some(format!(
                "it does not say why: it may go by another name than {origin} (`--url` where it runs), want another secret \
                 than the one in parler.joinSecretFile, or have another time than this machine"
            )),
            Self::Insecure { .. } => Some(
                "reach it by wss://; on a network where nobody else listens, `git config parler.insecure true`"
                    .to_owned(),
            ),
            Self::Tls { source, .. } => source.hint(),
            Self::Refused(refusal) => refusal.hint.clone(),
            Self::Seat(error) => error.hint(),
        }
    }

    /// Returns the refusal's code when the hub refused.
    pub fn refusal(&self) -> Option<RefusalCode> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            Self::LoginRefused { .. } => Some(RefusalCode::LoginRefused),
            _ => None,
        }
    }
}

/// What happens to a transfer. When the channel ends without [`TransferEvent::Ended`], the connection was cut.
#[derive(Debug)]
pub(crate) enum TransferEvent {
    /// It begins at this offset.
    Go(Go),
    /// The next bytes of a download.
    Chunk(Vec<u8>),
    /// It is over.
    Ended(Result<Answer, LinkError>),
}

/// Both ends of a transfer that was asked for.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) events: mpsc::Receiver<TransferEvent>,
    pub(crate) chunks: mpsc::Sender<Vec<u8>>,
}

/// The way to one hub.
pub struct Link {
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
    patience: Patience,
    address: String,
    awaited: Awaited,
    reach: watch::Receiver<Reach>,
}

/// Whether there is a connection.
#[derive(Debug)]
enum Reach {
    /// There is one.
    Up,
    /// There is none; this is what the last attempt said, if there was one.
    Down(Option<Arc<DialError>>),
}

/// The rooms in which somebody asks to join, by the hub's events on the connections so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Awaited(Arc<(Mutex<BTreeSet<RoomId>>, Notify)>);

impl Awaited {
    /// Notes that the hub has named `room`. More rooms than a user has are no hint for anybody.
    fn note(&self, room: RoomId) {
        let mut rooms = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rooms.len() < limits::AWAITED_ROOMS_MAX {
            rooms.insert(room);
        }
        self.0.1.notify_one();
    }

    fn take(&self) -> BTreeSet<RoomId> {
        std::mem::take(&mut *self.0.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}

impl Link {
    /// Makes a link; it dials with the first request. Needs a running tokio runtime.
    pub(crate) fn new(dialer: Dialer) -> Self {
        let (commands, receiver) = mpsc::channel(limits::COMMANDS_WAITING_MAX);
        let (patience, address) = (dialer.patience(), dialer.address());
        let awaited = Awaited::default();
        let (told, reach) = watch::channel(Reach::Down(None));
        let task = tokio::spawn(drive::run(dialer, receiver, awaited.clone(), told));
        Self { commands, task, patience, address, awaited, reach }
    }

    /// Connects and logs in unless that is done, and returns what the hub said of itself and whether this connection has
    /// met its key for the first time.
    ///
    /// # Errors
    /// [`LinkError`] when the hub cannot be reached or trusted, or refuses the login.
    pub async fn logged_in(&self) -> Result<(LoggedIn, bool), LinkError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::LoggedIn(reply)).await;
        answer.await.expect("the driver answers every command")
    }

    /// Makes a request and waits for its answer. When the connection breaks meanwhile, it is made again: every
    /// request of the protocol may be repeated.
    ///
    /// # Errors
    /// [`LinkError::Refused`] with the hub's refusal, others when there is no connection, or no answer in two minutes.
    pub async fn request(&self, request: Request) -> Result<Answer, LinkError> {
        let wait = match &request {
            Request::Pull(pull) => Duration::from_millis(pull.wait_ms.unwrap_or(0)),
            Request::JoinState(state) => Duration::from_millis(state.wait_ms.unwrap_or(0)),
            _ => Duration::ZERO,
        };
        let (reply, answer) = oneshot::channel();
        self.send(Command::request(request, reply)).await;
        let is_lost = self.lost(self.patience.request.filter(|_| wait.is_zero()));
        tokio::select! {
            biased;
            answer = tokio::time::timeout(self.patience.answer + wait, answer) => match answer {
                Ok(answer) => answer.expect("the driver answers every command"),
                Err(_) => Err(self.unreachable(Arc::new(DialError::Fault(ClientFault::Silent)))),
            },
            source = is_lost => Err(self.unreachable(source)),
        }
    }

    /// Returns once there was no connection for as long as `limit` at a stretch, and what the last attempt said.
    async fn lost(&self, limit: Option<Duration>) -> Arc<DialError> {
        let Some(limit) = limit else { return std::future::pending().await };
        let mut reach = self.reach.clone();
        // The driver that does not tell any more answers nobody either, which ends the request.
        while reach.wait_for(|reach| matches!(reach, Reach::Down(_))).await.is_ok() {
            let up = tokio::time::timeout(limit, reach.wait_for(|reach| matches!(reach, Reach::Up)));
            match up.await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => break,
                Err(_) => {
                    if let Reach::Down(source) = &*self.reach.borrow() {
                        let cut = || Arc::new(DialError::Fault(ClientFault::Disconnected));
                        return source.clone().unwrap_or_else(cut);
                    }
                }
            }
        }
        std::future::pending().await
    }

    fn unreachable(&self, source: Arc<DialError>) -> LinkError {
        LinkError::Unreachable { address: self.address.clone(), source }
    }

    /// Begins a transfer.
    pub(crate) async fn transfer(&self, request: Request) -> Transfer {
        let (events, to_transfer) = mpsc::channel(limits::CHUNKS_WAITING_MAX);
        let (from_transfer, chunks) = mpsc::channel(limits::CHUNKS_WAITING_MAX);
        self.send(Command::Transfer { request, events, chunks }).await;
        Transfer { events: to_transfer, chunks: from_transfer }
    }

    /// Says goodbye to the hub and waits until the socket is closed.
    pub async fn close(self) {
        drop(self.commands);
        // A panic of the driver has been printed; there is nothing to close then.
        self.task.await.ok();
    }

    /// Returns the rooms in which the hub has said that somebody asks to join, once each.
    pub(crate) fn take_awaited(&self) -> BTreeSet<RoomId> {
        self.awaited.take()
    }

    /// Waits until the hub says that somebody asks to join, at most as long as `wait`; at once when it has said so since
    /// the last call.
    pub(crate) async fn told_of_requests(&self, wait: Duration) {
        // When the time is over, the hub has said nothing, which is what was to be found out.
        tokio::time::timeout(wait, self.awaited.0.1.notified()).await.ok();
    }

    /// Returns where the hub is, for people.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn patience(&self) -> Patience {
        self.patience
    }

    async fn send(&self, command: Command) {
        // The driver ends only after every sender is gone, or by a panic that `expect` above then reports.
        self.commands.send(command).await.ok();
    }
}

/// Says what to do where nobody answers, or who answers hangs up.
fn unreachable_hint(address: &str, source: &DialError) -> String {
    match source {
        DialError::Tls(error) => error.hint(),
        DialError::Upgrade(_) if address.starts_with("ws://") => Some(MAYBE_TLS.to_owned()),
        _ => None,
    }
    .unwrap_or_else(|| "start it or set parler.hub; `git parler push -o <file>` needs no hub".to_owned())
}

fn not_a_hub_hint(address: &str, source: &DialError) -> &'static str {
    match source {
        DialError::Upgrade(error) if dial::lost_the_upgrade(error) => {
            "a hub's proxy has to hand on the Upgrade and Connection fields; ask who runs it"
        }
        _ if address.starts_with("ws://") => MAYBE_TLS,
        _ => "look at `git config parler.hub`",
    }
}

/// Turns the end of a connection into an error for who waits; `None` when dialling again may help.
fn fault_error(fault: ClientFault, origin: &str, address: &str, known_hubs: PathBuf) -> Option<LinkError> {
    let origin = origin.to_owned();
    match fault {
        ClientFault::HubKeyChanged { expected, found } => {
            Some(LinkError::KeyChanged { origin, expected, found, known_hubs })
        }
        ClientFault::ProtocolLevel { offered, expected } => {
            Some(LinkError::ProtocolLevel { origin, offered, expected })
        }
        ClientFault::WrongHub => Some(LinkError::Unproven { origin }),
        ClientFault::NoPass => Some(LinkError::NoJoinSecret { origin }),
        ClientFault::BadFrame => Some(LinkError::NotAHub {
            address: address.to_owned(),
            source: Arc::new(DialError::Fault(ClientFault::BadFrame)),
        }),
        ClientFault::Refused(refusal) => match refusal.code {
            RefusalCode::Closing
            | RefusalCode::TooMany
            | RefusalCode::RateLimited
            | RefusalCode::Internal => None,
            RefusalCode::LoginRefused => Some(LinkError::LoginRefused { origin }),
            _ => Some(LinkError::Refused(refusal)),
        },
        ClientFault::Silent | ClientFault::Disconnected => None,
    }
}

const MAYBE_TLS: &str =
    "look at `git config parler.hub`; the URL of a hub that speaks TLS begins with wss://";

#[cfg(test)]
mod tests;
