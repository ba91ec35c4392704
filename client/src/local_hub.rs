//! The local hub from the client's side: find it by its address file, have it started when nobody answers, and have
//! an older one hand over. Processes are the business of who hands in a [`LocalHubControl`].

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use protocol::json;
use protocol::key::HubId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep};

use crate::files::{self, FileError};
use crate::limits;
use crate::link::Io;
use crate::settings::JoinSecret;

/// Starts and stops the local hub's process.
pub trait LocalHubControl: Send + Sync {
    /// Starts a hub in the background and returns at once. When another one runs already it must leave quietly.
    ///
    /// # Errors
    /// What the system says when no process can be started.
    fn start(&self) -> io::Result<()>;

    /// Asks the hub with this process id to finish what it does and end.
    ///
    /// # Errors
    /// What the system says; the older hub is then used as it is.
    fn hand_over(&self, pid: u32) -> io::Result<()>;
}

/// What a running local hub says of itself in `local.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalRecord {
    /// Its process id.
    pub pid: u32,
    /// Where it listens.
    pub address: LocalAddress,
    /// Its version, `major.minor.patch`.
    pub version: String,
    /// Its key.
    pub hub_key: HubId,
}

/// Where a local hub listens: `unix:<path>`, or `tcp:<loopback address>:<port>` where a socket path is impossible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalAddress {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port on loopback.
    Tcp(SocketAddr),
}

/// Why the local hub cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LocalHubError {
    /// Its folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// Nobody told how to start one.
    #[error("the local hub is not running and this program cannot start it")]
    NoStarter,
    /// The process could not be started.
    #[error("the local hub cannot be started")]
    CannotStart(#[source] io::Error),
    /// It was started and did not answer in time.
    #[error("the local hub in {} does not answer within {waited:?}", dir.display())]
    NotAnswering {
        /// Its folder, where its log is.
        dir: PathBuf,
        /// How long the client waited.
        waited: Duration,
        /// What the last attempt said.
        #[source]
        source: io::Error,
    },
    /// Its address file was ignored, and no hub has written a new one.
    #[error("the local hub's address file was ignored and no hub has written a new one")]
    Forged(#[source] FileError),
}

/// How the local hub is found and started.
#[derive(Clone)]
pub struct LocalHub {
    dir: PathBuf,
    version: String,
    control: Option<Arc<dyn LocalHubControl>>,
    start_max: Duration,
    start_again: Duration,
}

impl fmt::Debug for LocalHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalHub").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl LocalHub {
    /// Names the local hub below the data folder; `version` is the client's own. Without a `control` a running hub is
    /// used and none is started.
    pub fn new(data: &Path, version: &str, control: Option<Arc<dyn LocalHubControl>>) -> Self {
        Self {
            dir: data.join("hub"),
            version: version.to_owned(),
            control,
            start_max: limits::LOCAL_HUB_START_MAX,
            start_again: limits::LOCAL_HUB_START_AGAIN,
        }
    }

    /// Returns the hub's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads what the running hub says of itself; `None` when there is no file or none that parses.
    ///
    /// The file may be stale: only a connection tells whether that hub still runs.
    ///
    /// # Errors
    /// [`FileError`] when the file is not private and ours; it must then not be believed.
    pub fn record(&self) -> Result<Option<LocalRecord>, FileError> {
        let bytes = files::read_private(&self.dir.join("local.json"))?;
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(text.and_then(|text| json::parse(&text).ok()))
    }

    /// Reads the hub's join secret; `None` when it has none.
    ///
    /// # Errors
    /// [`FileError`] when the file is not private and ours.
    pub fn join_secret(&self) -> Result<Option<JoinSecret>, FileError> {
        let bytes = files::read_private(&self.dir.join("join-secret"))?;
        Ok(bytes.map(|bytes| JoinSecret::new(&String::from_utf8_lossy(&bytes))))
    }

    /// Connects to the local hub, starting it when nobody answers and having an older one hand over; at most 5 s.
    ///
    /// # Errors
    /// [`LocalHubError`] when none can be started or it does not answer in time.
    pub(crate) async fn reach(&self) -> Result<(Box<dyn Io>, LocalRecord), LocalHubError> {
        let began = Instant::now();
        let (mut started, mut asked): (Option<Instant>, Option<u32>) = (None, None);
        let mut pause = limits::LOCAL_HUB_POLL_MIN;
        loop {
            let failure = match self.attempt().await {
                Ok((stream, record, peer)) => {
                    let is_leaving =
                        asked == Some(record.pid) && began.elapsed() < limits::LOCAL_HUB_HAND_OVER_MAX;
                    let may_ask = asked.is_none() && is_newer(&self.version, &record.version);
                    if may_ask && self.ask_to_hand_over(&record, peer) {
                        asked = Some(record.pid);
                    } else if !is_leaving {
                        return Ok((stream, record));
                    }
                    io::ErrorKind::WouldBlock.into()
                }
                Err(Attempt::Forged(error)) if began.elapsed() >= self.start_max => {
                    return Err(LocalHubError::Forged(error));
                }
                Err(Attempt::Forged(_)) => io::ErrorKind::NotFound.into(),
                Err(Attempt::Silent(error)) => error,
            };
            if began.elapsed() >= self.start_max {
                let (dir, waited) = (self.dir.clone(), self.start_max);
                return Err(LocalHubError::NotAnswering { dir, waited, source: failure });
            }
            // Again now and then: the one we started may have met the lock of one that was just leaving.
            if failure.kind() != io::ErrorKind::WouldBlock
                && started.is_none_or(|at| at.elapsed() > self.start_again)
            {
                self.start()?;
                started = Some(Instant::now());
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(limits::LOCAL_HUB_POLL_MAX);
        }
    }

    /// Connects once to where the address file says.
    async fn attempt(&self) -> Result<(Box<dyn Io>, LocalRecord, Option<u32>), Attempt> {
        let record = self.record().map_err(Attempt::Forged)?;
        let record = record.ok_or_else(|| Attempt::Silent(io::ErrorKind::NotFound.into()))?;
        let (stream, peer) = record.address.dial().await.map_err(Attempt::Silent)?;
        Ok((stream, record, peer))
    }

    fn start(&self) -> Result<(), LocalHubError> {
        let control = self.control.as_ref().ok_or(LocalHubError::NoStarter)?;
        if let Some(data) = self.dir.parent() {
            files::private_dir(data)?;
        }
        files::private_dir(&self.dir)?;
        control.start().map_err(LocalHubError::CannotStart)
    }

    /// Asks an older hub to end; `false` when it stays. Nobody is asked by a process id that may be another's now.
    fn ask_to_hand_over(&self, record: &LocalRecord, peer: Option<u32>) -> bool {
        let control = self.control.as_ref().filter(|_| peer.is_none_or(|pid| pid == record.pid));
        control.is_some_and(|control| control.hand_over(record.pid).is_ok())
    }
}

/// Why one attempt did not connect.
enum Attempt {
    /// The address file is not ours alone.
    Forged(FileError),
    /// There is none, or nobody listens there.
    Silent(io::Error),
}

impl LocalAddress {
    /// Connects, and returns the process id at the other end where the system tells it.
    async fn dial(&self) -> io::Result<(Box<dyn Io>, Option<u32>)> {
        match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path).await?;
                let pid = stream.peer_cred()?.pid().and_then(|pid| u32::try_from(pid).ok());
                Ok((Box::new(stream), pid))
            }
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), None))
            }
        }
    }
}

impl fmt::Display for LocalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

impl FromStr for LocalAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| path.starts_with('/')) {
            return Ok(Self::Unix(path.into()));
        }
        let address = text.strip_prefix("tcp:").and_then(|address| address.parse::<SocketAddr>().ok());
        let address = address.filter(|address| address.ip().is_loopback());
        address.map(Self::Tcp).ok_or("neither unix:<absolute path> nor tcp:<loopback address>:<port>")
    }
}

impl Serialize for LocalAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LocalAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Tells whether version `ours` is above `theirs`; versions that do not parse are above nothing.
fn is_newer(ours: &str, theirs: &str) -> bool {
    let parse = |text: &str| -> Option<[u64; 3]> {
        let mut numbers = text.split(['-', '+']).next()?.split('.').map(|n| n.parse().ok());
        let version = [numbers.next()??, numbers.next()??, numbers.next()??];
        numbers.next().is_none().then_some(version)
    };
    matches!((parse(ours), parse(theirs)), (Some(ours), Some(theirs)) if ours > theirs)
}

#[cfg(test)]
mod tests;
