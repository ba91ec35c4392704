//! The life of a hub: folder, store, sockets, connections, and the end of it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use protocol::conn::hub::HubConfig;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::blobs::{Blobs, Caps};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Ready};
use crate::drive::{Hub, serve};
use crate::error::Error;
use crate::fanout::Fanout;
use crate::fatal::Fatal;
use crate::folder::Folder;
use crate::janitor;
use crate::limits::CLOSING_SECONDS;
use crate::net::{Listeners, Socket};
use crate::registry::Registry;
use crate::service::Service;
use crate::store::Store as _;
use crate::store::sqlite::SqliteStore;

type Running = Hub<SqliteStore, Fanout>;

/// Runs a hub until `shutdown` is done, or until nobody was connected for as long as the configuration says.
///
/// Calls `ready` once it accepts connections. On the way out it stops accepting, tells every client `closing`, finishes its
/// writes and closes the database. Needs a tokio runtime with time and I/O.
///
/// # Errors
///
/// [`Error`] when it cannot start ([`Error::AlreadyRuns`] when another hub holds the folder's lock), and
/// [`Error::Unsafe`] when a flush to disk failed: then nothing more is answered.
pub async fn run(
    config: Config,
    ready: impl FnOnce(Ready),
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    run_until(config, ready, shutdown, Fatal::new()).await
}

/// Runs a hub that also ends when `fatal` is raised.
pub(crate) async fn run_until(
    config: Config,
    ready: impl FnOnce(Ready),
    shutdown: impl Future<Output = ()>,
    fatal: Fatal,
) -> Result<(), Error> {
    // Held until everything else is dropped.
    let folder = Folder::lock(&config.data)?;
    let key = folder.key()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (store, blobs) = open(&config, &folder, &clock, &fatal).await?;
    let failed = |error| Error::Start(Box::new(error));
    if !store.belongs_to(key.public()).await.map_err(failed)? {
        return Err(Error::KeyChanged { path: folder.path().join(DATABASE) });
    }
    let service = Service::new(key.public(), store, blobs, Fanout::default(), config.limits.clone(), clock);
    let swept = service.sweep_all().await.map_err(failed)?;
    if swept > 0 {
        tracing::info!(files = swept, "removed blobs that no room has");
    }
    let listeners = Listeners::bind(&config).await?;
    let origins = listeners.origins(&config.names);
    let ends = HubConfig {
        key: key.clone(),
        origins: origins.clone(),
        join: config.join,
        limits: config.limits.clone(),
    };
    let registry = Registry::new(&config.limits);
    let hub = Arc::new(Hub { service, ends: Arc::new(ends), registry, closing: watch::Sender::new(false) });
    let addresses = listeners.addresses();
    tracing::info!(hub = %key.public(), ?addresses, "the hub accepts connections");
    ready(Ready { addresses, hub_key: key.public(), origins });
    let mut connections = JoinSet::new();
    let outcome = accept(&hub, listeners, &mut connections, config.idle_exit, &fatal, shutdown).await;
    close(&hub, connections, outcome.is_ok()).await;
    drop(hub);
    drop(folder);
    outcome
}

async fn open(
    config: &Config,
    folder: &Folder,
    clock: &Arc<dyn Clock>,
    fatal: &Fatal,
) -> Result<(SqliteStore, Blobs), Error> {
    let caps = Caps {
        disk_bytes_max: config.limits.blobs_bytes_max,
        staged_per_agent_max: usize::try_from(config.limits.staged_per_agent_max).unwrap_or(usize::MAX),
    };
    let (path, clock, fatal) = (folder.path().to_owned(), Arc::clone(clock), fatal.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let failed = |source| Error::Files { path: path.clone(), source };
        let blobs = Blobs::open(&path, caps, fatal.clone()).map_err(failed)?;
        let store = SqliteStore::open(&path.join(DATABASE), clock, fatal)?;
        Ok((store, blobs))
    });
    opened.await.map_err(|error| Error::Start(Box::new(error)))?
}

/// Accepts connections until there is a reason to end; the listeners are gone when it returns.
async fn accept(
    hub: &Arc<Running>,
    listeners: Listeners,
    connections: &mut JoinSet<()>,
    idle_exit: Option<Duration>,
    fatal: &Fatal,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut janitor = std::pin::pin!(janitor::run(&hub.service));
    let mut idle_since = Instant::now();
    loop {
        let is_idle = connections.is_empty();
        let idle_end = idle_exit.filter(|_| is_idle).map(|idle| idle_since + idle);
        tokio::select! {
            biased;
            cause = fatal.raised() => return Err(Error::Unsafe(cause)),
            () = &mut shutdown => return Ok(()),
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection failed");
                }
                idle_since = Instant::now();
            }
            socket = listeners.accept() => match socket {
                Ok(socket) => start(hub, socket, connections),
                Err(error) => {
                    // Out of file descriptors, mostly: connections that end give some back.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            () = sleep_until(idle_end) => {
                tracing::info!("nobody was connected for a while");
                return Ok(());
            }
            () = &mut janitor => unreachable!("the janitor goes on for ever"),
        }
    }
}

async fn sleep_until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

fn start(hub: &Arc<Running>, socket: Socket, connections: &mut JoinSet<()>) {
    let address = socket.address();
    match socket {
        Socket::Tcp(stream, _) => {
            // Answers are small and waited for.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a socket keeps its delay");
            }
            connections.spawn(serve(Arc::clone(hub), stream, address));
        }
        Socket::Unix(stream) => {
            connections.spawn(serve(Arc::clone(hub), stream, address));
        }
    }
}

/// Has every connection end, by itself if the disk is fine and there is time.
async fn close(hub: &Running, mut connections: JoinSet<()>, gently: bool) {
    if gently {
        hub.closing.send_replace(true);
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_secs(CLOSING_SECONDS), ended).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
    }
    connections.shutdown().await;
}

const DATABASE: &str = "hub.db";
/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
