//! The local hub from inside its own process: a Unix socket in a private folder, an address file, a bounded log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use client::files;
use client::local_hub::{LocalAddress, LocalRecord};
use data_encoding::BASE32_NOPAD;
use hub::{Config, Listen, Names, Ready};
use protocol::key::JoinKey;

use crate::error::{Code, Failure};
use crate::limits::{LOG_BYTES_MAX, SOCKET_PATH_BYTES_MAX};

/// Runs the local hub in `folder` until nobody needed it for half an hour, or it is asked to end. One that finds another
/// running leaves without a word.
pub(crate) fn run(folder: &Path) -> Result<(), Failure> {
    // Our starter may be a shell's foreground job; we are not. Fails only where we lead a session already.
    let _already_leader = rustix::process::setsid();
    files::private_dir(folder)?;
    let log = Log::open(folder.join("log")).map_err(|error| Failure::new(Code::Io, error))?;
    tracing_subscriber::fmt()
        .with_writer(Mutex::new(log))
        .with_ansi(false)
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .init();
    let join = JoinKey::from_join_secret(&join_secret(&folder.join("join-secret"))?).public();
    let config = Config {
        names: Names::Local,
        join: Some(join),
        idle_exit: Some(IDLE_EXIT),
        ..Config::new(folder.to_owned(), vec![listen(folder)])
    };
    let record = folder.join("local.json");
    let announce = |ready: &Ready| announce(&record, ready);
    let result = crate::commands::hub::serve(config, announce);
    match result {
        Err(failure) if failure.code == Code::HubRuns => Ok(()),
        result => {
            withdraw(&record);
            result
        }
    }
}

/// A socket in the private folder; a port of the loopback address where the path is too long for one.
fn listen(folder: &Path) -> Listen {
    let socket = folder.join("socket");
    if socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        Listen::Unix(socket)
    } else {
        Listen::Tcp(([127, 0, 0, 1], 0).into())
    }
}

/// Reads the join secret, or makes one; of several processes that make one, one wins.
pub(crate) fn join_secret(path: &Path) -> Result<String, Failure> {
    let read =
        || files::read_private(path).map(|bytes| bytes.and_then(|bytes| String::from_utf8(bytes).ok()));
    if let Some(secret) = read()? {
        return Ok(secret.trim().to_owned());
    }
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Failure::new(Code::Io, error))?;
    let secret = format!("gpj1-{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase());
    if files::create_once(path, format!("{secret}\n").as_bytes())? {
        return Ok(secret);
    }
    read()?
        .map(|secret| secret.trim().to_owned())
        .ok_or_else(|| Failure::new(Code::Io, "the join secret vanished"))
}

/// Says where the hub is, once it accepts.
fn announce(path: &Path, ready: &Ready) -> Result<(), Failure> {
    let address = match &ready.addresses[0] {
        Listen::Unix(path) => LocalAddress::Unix(path.clone()),
        Listen::Tcp(address) => LocalAddress::Tcp(*address),
    };
    let record = LocalRecord {
        pid: std::process::id(),
        address,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        hub_key: ready.hub_key,
    };
    Ok(files::replace(path, protocol::json::write(&record).as_bytes())?)
}

/// Takes the address back, unless a successor has put its own there.
fn withdraw(path: &Path) {
    let text = files::read_private(path).ok().flatten().and_then(|bytes| String::from_utf8(bytes).ok());
    let record = text.and_then(|text| protocol::json::parse::<LocalRecord>(&text).ok());
    if record.is_some_and(|record| record.pid == std::process::id()) {
        // A stale file costs the next client one failed dial.
        let _stale = std::fs::remove_file(path);
    }
}

/// A log of two files, each of a bounded size.
struct Log {
    path: PathBuf,
    file: File,
    size: u64,
}

impl Log {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size })
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.size > LOG_BYTES_MAX {
            std::fs::rename(&self.path, self.path.with_extension("old"))?;
            *self = Self::open(std::mem::take(&mut self.path))?;
        }
        let written = self.file.write(bytes)?;
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// How long the local hub waits for somebody to need it.
const IDLE_EXIT: Duration = Duration::from_secs(30 * 60);
