//! One attempt to reach a hub: the socket, the upgrade to a WebSocket, and with what to log in.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use protocol::conn::client::{ClientConfig, ClientFault, KnownHub};
use protocol::id::Nonce;
use protocol::invite::SessionKey;
use protocol::key::{InviteKey, JoinKey};
use protocol::limits::SUBPROTOCOL;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Error as WsError};

use super::LinkError;
use super::tls::{Tls, TlsError};
use crate::limits;
use crate::local_hub::{LocalHub, LocalHubError};
use crate::seat::{KnownHubs, Met, Seat, SeatError};
use crate::settings::{HubAddress, JoinSecret, Settings};

/// Why one attempt to reach a hub failed.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The socket.
    #[error("the socket gives an error")]
    Socket(#[source] io::Error),
    /// TLS, below the WebSocket.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The upgrade to a WebSocket.
    #[error("the upgrade to a WebSocket fails")]
    Upgrade(#[source] Box<WsError>),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection ended.
    #[error(transparent)]
    Fault(#[from] ClientFault),
    /// The local hub cannot be started.
    #[error(transparent)]
    LocalHub(#[from] LocalHubError),
}

impl DialError {
    /// Says whether another attempt soon may do better.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Socket(error) => matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::NetworkUnreachable
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NotConnected
            ),
            Self::Tls(error) => error.may_pass(),
            // It was given its time to start already.
            Self::LocalHub(_) => false,
            Self::Upgrade(_) | Self::TimedOut(_) | Self::Fault(_) => true,
        }
    }
}

/// A stream of bytes to a hub.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A WebSocket to a hub.
pub(super) type Socket = WebSocketStream<Box<dyn Io>>;

/// How long the client tries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// To reach a hub for the first time.
    pub(crate) first: Duration,
    /// To reach it again after a break, until it has let this client in.
    pub(crate) again: Duration,
    /// For the answer to a request, reconnecting included.
    pub(crate) answer: Duration,
    /// For one attempt, from the socket to the WebSocket.
    pub(crate) dial: Duration,
    /// To reach it again, for a request that waits for nobody; none where that is as for all.
    pub(crate) request: Option<Duration>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: limits::FIRST_DIAL_TIME_MAX,
            again: limits::RECONNECT_TIME_MAX,
            answer: limits::ANSWER_TIME_MAX,
            dial: limits::DIAL_TIMEOUT,
            request: None,
        }
    }
}

/// Knows where the hub is and with what to log in there.
#[derive(Debug)]
pub(crate) struct Dialer {
    seat: Arc<Seat>,
    address: HubAddress,
    origin: String,
    /// For an address that wants it.
    tls: Option<Tls>,
    known: KnownHubs,
    join: Option<JoinSecret>,
    invite: Option<InviteKey>,
    local: Option<LocalHub>,
    patience: Patience,
    /// What stands in for the network.
    #[cfg(test)]
    road: Option<Road>,
}

/// Leads to a hub without sockets.
#[cfg(test)]
#[derive(Clone)]
pub(crate) struct Road(Arc<Lead>);

#[cfg(test)]
thread_local! {
    /// The roads of the test that runs on this thread, by origin.
    static ROADS: std::cell::RefCell<std::collections::BTreeMap<String, Road>> = const { std::cell::RefCell::new(std::collections::BTreeMap::new()) };
}

#[cfg(test)]
type Lead = dyn Fn() -> std::pin::Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>> + Send>> + Send + Sync;

#[cfg(test)]
impl Road {
    pub(crate) fn new<F>(lead: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<Box<dyn Io>>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(lead())))
    }

    /// Makes this the way to `origin` for every link that is made on this thread from now on.
    pub(crate) fn build(self, origin: &str) {
        ROADS.with_borrow_mut(|roads| roads.insert(origin.to_owned(), self));
    }

    fn to(origin: &str) -> Option<Self> {
        ROADS.with_borrow(|roads| roads.get(origin).cloned())
    }
}

#[cfg(test)]
impl std::fmt::Debug for Road {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Road")
    }
}

impl Dialer {
    /// Takes what is needed of the settings; `local` is how the local hub is found and started.
    ///
    /// # Errors
    /// [`LinkError::Insecure`] for an address that is not dialled at all, [`LinkError::Tls`] for authorities that cannot be read.
    pub(crate) fn new(
        settings: &Settings,
        seat: Arc<Seat>,
        local: Option<LocalHub>,
    ) -> Result<Self, LinkError> {
        let origin = settings.hub.origin();
        let tls = match settings.hub {
            HubAddress::Url { tls: true, .. } => {
                let tls = Tls::new(settings.ca_file.as_deref());
                let failed = |source| LinkError::Tls { origin: origin.clone(), source: Arc::new(source) };
                Some(tls.map_err(failed)?)
            }
            HubAddress::Url { tls: false, .. } if !settings.insecure && !settings.hub.is_loopback() => {
                return Err(LinkError::Insecure { origin });
            }
            HubAddress::Url { tls: false, .. } | HubAddress::Local => None,
        };
        Ok(Self {
            known: KnownHubs::in_data(&settings.data),
            seat,
            address: settings.hub.clone(),
            origin,
            tls,
            join: settings.join_secret.clone(),
            invite: settings.invite.as_ref().map(SessionKey::invite_key),
            local,
            patience: Patience { request: settings.reconnect_max, ..Patience::default() },
            #[cfg(test)]
            road: Road::to(&settings.hub.origin()),
        })
    }

    /// Sets how long to try.
    #[cfg(test)]
    pub(crate) fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    pub(crate) fn patience(&self) -> Patience {
        self.patience
    }

    /// Returns the origin as it is signed.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the file of known hubs, for hints.
    pub(super) fn known_hubs_path(&self) -> PathBuf {
        self.known.path().to_owned()
    }

    /// Opens a WebSocket and says with what to log in on it.
    pub(super) async fn dial(&self) -> Result<(Socket, ClientConfig), Failure> {
        let by = Instant::now() + self.patience.dial;
        let (stream, known, join) = self.stream(by).await?;
        let socket = timeout_at(by, self.upgrade(stream)).await.map_err(|_elapsed| self.timed_out())??;
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|e| Failure::from(SeatError::Random(e)))?;
        let config = ClientConfig {
            key: self.seat.agent_key().clone(),
            seat: Some(self.seat.statement(crate::seat::now())?.signed().clone()),
            origin: self.origin.clone(),
            known,
            join,
            invite: self.invite.clone(),
            nonce: Nonce::from_bytes(nonce),
        };
        Ok((socket, config))
    }

    /// Remembers a hub that has proved its key; says whether it is met for the first time. The local hub's stands in the user's
    /// own folder already.
    pub(super) fn remember(&self, hub: KnownHub) -> Result<bool, Failure> {
        let met = match self.address {
            HubAddress::Local => Met::Known,
            HubAddress::Url { .. } => self.known.remember(&self.origin, hub)?,
        };
        match met {
            Met::New => Ok(true),
            Met::Known => Ok(false),
            Met::Other(expected) => Err(Failure::Final(LinkError::KeyChanged {
                origin: self.origin.clone(),
                expected,
                found: hub.hub,
                known_hubs: self.known_hubs_path(),
            })),
        }
    }

    async fn stream(&self, by: Instant) -> Result<(Box<dyn Io>, Option<KnownHub>, Option<JoinKey>), Failure> {
        match &self.address {
            #[cfg(test)]
            HubAddress::Url { .. } if self.road.is_some() => {
                let road = (self.road.as_ref().expect("there is one").0)();
                let stream = timeout_at(by, road).await.map_err(|_elapsed| self.timed_out())?;
                Ok((stream.map_err(DialError::Socket)?, self.known.lookup(&self.origin)?, None))
            }
            HubAddress::Url { host, port, .. } => {
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                let stream =
                    timeout_at(by, tcp((bare, *port))).await.map_err(|_elapsed| self.timed_out())??;
                let stream = self.secure(bare, stream, by).await?;
                let join = self.join.as_ref().map(|secret| JoinKey::from_join_secret(secret.text()));
                Ok((stream, self.known.lookup(&self.origin)?, join))
            }
            HubAddress::Local => {
                let local = self.local.as_ref().ok_or(DialError::LocalHub(LocalHubError::NoStarter))?;
                let (stream, found) = local.reach().await.map_err(DialError::LocalHub)?;
                let secret = local.join_secret().map_err(SeatError::File)?;
                let join = secret.map(|secret| JoinKey::from_join_secret(secret.text()));
                let known = KnownHub { hub: found.hub_key, protocol: protocol::limits::PROTOCOL };
                Ok((stream, Some(known), join))
            }
        }
    }

    /// Puts TLS on the stream where the address wants it.
    async fn secure(&self, host: &str, stream: TcpStream, by: Instant) -> Result<Box<dyn Io>, DialError> {
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let silent = |_elapsed| TlsError::TimedOut(self.patience.dial);
        Ok(Box::new(timeout_at(by, tls.connect(host, stream)).await.map_err(silent)??))
    }

    fn timed_out(&self) -> DialError {
        DialError::TimedOut(self.patience.dial)
    }

    async fn upgrade(&self, stream: Box<dyn Io>) -> Result<Socket, DialError> {
        // With TLS 1.3 a server may have its last word on the handshake as late as here.
        let tls_error = |e: &io::Error| self.tls.as_ref().and_then(|tls| TlsError::of(e, tls.ca_file()));
        let failed = |e: WsError| match e {
            WsError::Io(e) => tls_error(&e).map_or_else(|| DialError::Socket(e), DialError::Tls),
            e => DialError::Upgrade(Box::new(e)),
        };
        let mut request = format!("ws://{}/", self.host()).into_client_request().map_err(failed)?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(SUBPROTOCOL));
        let config = WebSocketConfig::default()
            .read_buffer_size(limits::READ_BUFFER_BYTES)
            .write_buffer_size(limits::WRITE_BUFFER_BYTES)
            .max_write_buffer_size(limits::WRITE_BUFFER_BYTES_MAX)
            .max_message_size(Some(limits::FRAME_BYTES_MAX))
            .max_frame_size(Some(limits::FRAME_BYTES_MAX));
        let upgraded = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
        Ok(upgraded.map_err(failed)?.0)
    }

    /// Returns the host for the upgrade's request, as browsers write it; proxies choose by it, hubs take it for no evidence.
    fn host(&self) -> String {
        match &self.address {
            HubAddress::Local => "localhost".to_owned(),
            HubAddress::Url { tls: true, host, port: 443 }
            | HubAddress::Url { tls: false, host, port: 80 } => host.clone(),
            HubAddress::Url { host, port, .. } => format!("{host}:{port}"),
        }
    }

    /// Returns the address for people.
    pub(super) fn address(&self) -> String {
        match &self.local {
            Some(local) if self.address == HubAddress::Local => {
                format!("the local hub ({})", local.dir().display())
            }
            _ => self.origin.clone(),
        }
    }
}

/// A failed attempt: worth another one, or final.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another attempt may succeed.
    Passing(DialError),
    /// None will.
    Final(LinkError),
    /// What answers is not a hub.
    NotAHub(DialError),
    /// What answers does not prove that it is the host, or cannot talk TLS with this end.
    NoTls(TlsError),
}

impl From<DialError> for Failure {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Upgrade(source) if is_not_a_hub(&source) => Self::NotAHub(DialError::Upgrade(source)),
            DialError::Tls(error) if !error.may_pass() => Self::NoTls(error),
            error => Self::Passing(error),
        }
    }
}

impl From<SeatError> for Failure {
    fn from(error: SeatError) -> Self {
        Self::Final(LinkError::Seat(Arc::new(error)))
    }
}

fn is_not_a_hub(error: &WsError) -> bool {
    use tungstenite::error::ProtocolError;
    match error {
        WsError::Protocol(ProtocolError::HandshakeIncomplete)
        | WsError::Io(_)
        | WsError::ConnectionClosed => false,
        // A hub that has no connection to spare says so with a status of its own.
        WsError::Http(response) => !response.status().is_server_error() && response.status() != 429,
        _ => true,
    }
}

/// Says whether a hub answers that has not seen the request to upgrade, because something in between has kept it.
pub(super) fn lost_the_upgrade(error: &WsError) -> bool {
    matches!(error, WsError::Http(response) if response.status() == StatusCode::UPGRADE_REQUIRED)
}

async fn tcp(address: (&str, u16)) -> Result<TcpStream, DialError> {
    let stream = TcpStream::connect(address).await.map_err(DialError::Socket)?;
    stream.set_nodelay(true).map_err(DialError::Socket)?;
    Ok(stream)
}
