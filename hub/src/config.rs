//! How a hub is configured.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use protocol::key::{HubId, JoinId};
use protocol::limits::Limits;

/// What a hub needs to know to run.
///
/// ```
/// use hub::{Config, Listen, Names};
/// let config = Config {
///     names: Names::Urls(vec!["wss://hub.example:443".into()]),
///     ..Config::new("/var/lib/git-parler-hub".into(), vec![Listen::Tcp(([127, 0, 0, 1], 7419).into())])
/// };
/// assert!(config.join.is_none());
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// The hub's folder: key, lock, database and blobs. Made when it is not there, mode 0700.
    pub data: PathBuf,
    /// Where to listen; a TCP port of 0 is chosen by the system.
    pub listen: Vec<Listen>,
    /// The origins that a login may name.
    pub names: Names,
    /// The public half of the join key; with it, the hub is closed.
    pub join: Option<JoinId>,
    /// What the hub allows.
    pub limits: Limits,
    /// Ends the hub once there was no connection for so long.
    pub idle_exit: Option<Duration>,
}

impl Config {
    /// Returns the configuration of an open hub with default limits that is reached by its loopback names only.
    pub fn new(data: PathBuf, listen: Vec<Listen>) -> Self {
        Self {
            data,
            listen,
            names: Names::Urls(Vec::new()),
            join: None,
            limits: Limits::default(),
            idle_exit: None,
        }
    }
}

/// A place to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Under which names clients reach the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// By the word `local`, whatever the address: the hub of one user on one machine.
    Local,
    /// By these URLs (`wss://host:port`: lower case, with the port, no path), and by the loopback names of its TCP ports.
    Urls(Vec<String>),
}

/// What a hub that accepts connections says of itself.
#[derive(Debug, Clone)]
pub struct Ready {
    /// Where it listens, with the ports that were chosen.
    pub addresses: Vec<Listen>,
    /// Its key.
    pub hub_key: HubId,
    /// The origins that a login may name.
    pub origins: Vec<String>,
}
