//! The seat of one worktree: its key, the user key above it, the statement by which the user vouches for it, and
//! what is remembered of hubs and rooms. Everything lies below the data folder; nothing here talks to a hub.

mod cache;
mod hubs;
pub(crate) mod keys;
mod mailbox;
mod outbox;
mod rooms;
mod spool;

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::id::{Digest, ParseError, RoomId};
use protocol::json::{self, JsonError};
use protocol::key::{AgentId, AgentKey, UserId, UserKey};
use protocol::limits::{NAME_BYTES_MAX, SEAT_MILLIS_MAX};
use protocol::signed::{self, Signed, StatementError, Verified};
use protocol::statement::{self, UnixMillis};
use serde::{Deserialize, Serialize};

pub use cache::{BlobCache, BlobReader, CacheError, Partial, VerifiedBlob};
pub use hubs::{KnownHubs, Met};
pub use mailbox::{HOOK_READER, Mail, MailEntry, Mailbox};
pub use outbox::{Announced, Announcement, Outbox, OutboxEntry, Trouble, Troubles};
pub(crate) use rooms::FileMark;
pub use rooms::{Fork, RoomMemory, RoomState, Topic};
pub use spool::{Spool, SpoolEntry, SpoolFile, SpooledPost};

use crate::files::{self, FileError, Lock};
use crate::limits;
use crate::settings::Settings;

/// Why a seat, or what it remembers, could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SeatError {
    /// A file or folder of ours.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key file holds something else than a key of its kind.
    #[error("the key file {} is damaged", path.display())]
    DamagedKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
    /// A key file went away between being made and being read.
    #[error("the key file {} was removed while it was being made", path.display())]
    KeyVanished {
        /// The file.
        path: PathBuf,
    },
    /// A state file does not parse.
    #[error("the file {} is damaged", path.display())]
    DamagedState {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, where the parser said so.
        #[source]
        source: Option<JsonError>,
    },
    /// The statement that vouches for this seat has a wrong signature or form.
    #[error("the seat statement in {} is damaged", path.display())]
    DamagedStatement {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: StatementError,
    },
    /// The user key is not here and the statement that vouches for this seat has run out.
    #[error("the statement that vouches for this seat has expired and the user key is not in {}", data.display())]
    StatementExpired {
        /// The data folder.
        data: PathBuf,
    },
    /// Another user's key is here, under which this machine has worked.
    #[error("another user's key is here already: {}", path.display())]
    OtherUser {
        /// The file.
        path: PathBuf,
    },
    /// A file that is to be written is there already.
    #[error("{} is there already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The user key is not in the data folder.
    #[error("the user key is not in {}", data.display())]
    NoUserKey {
        /// The data folder.
        data: PathBuf,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes")]
    Random(#[source] getrandom::Error),
}

impl SeatError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::DamagedKey { path, .. } => Some(format!(
                "put the right file back from a backup; without one, move {} away: a new key is then made, which is \
                 another identity",
                path.display()
            )),
            Self::DamagedState { path, .. } | Self::DamagedStatement { path, .. } => {
                Some(format!("move {} away: what stands in it is learnt again", path.display()))
            }
            Self::StatementExpired { .. } => {
                Some("run a command once where the user key is, or import it with `git parler whoami --import-user`".to_owned())
            }
            Self::OtherUser { path } => Some(format!(
                "seats here work under it, and rooms may be its own; to become the other user for good, move {} away, and keep it",
                path.display()
            )),
            Self::Exists { .. } => Some("name another file, or move that one away".to_owned()),
            Self::NoUserKey { .. } => {
                Some("export it where it is: `git parler whoami --export-user <file>`".to_owned())
            }
            Self::KeyVanished { .. } | Self::Random(_) => Some("run the command again".to_owned()),
        }
    }
}

/// The identity of one worktree.
#[derive(Debug)]
pub struct Seat {
    data: PathBuf,
    state: PathBuf,
    dir: Option<PathBuf>,
    name: String,
    agent: AgentKey,
    user: UserId,
    user_key: Option<UserKey>,
}

/// What stands in a seat's state file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// The worktree's own git directory, for people who look into the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dir: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    statement: Option<Signed<statement::Seat>>,
    /// The session in which the seat works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    in_use: Option<InUse>,
}

/// The session in which a seat works, and the hub on which it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InUse {
    /// The hub's origin, as it is dialled.
    pub origin: String,
    /// The room.
    pub room: RoomId,
}

impl Seat {
    /// Opens the seat that `settings` name; its key and the user's are made on first use.
    ///
    /// A seat that has a statement works without the user key (in a sandbox); it cannot renew the statement.
    ///
    /// # Errors
    /// [`SeatError`] when a file is damaged, open to others or cannot be made; the message names the file.
    pub fn open(settings: &Settings) -> Result<Self, SeatError> {
        let data = &settings.data;
        let seats = data.join("seats");
        files::private_dir(data)?;
        files::private_dir(&seats)?;
        let dir = settings.seat_dir.as_deref().map(real_path).transpose()?;
        let stem = stem(dir.as_deref());
        let agent: AgentKey = keys::load_or_create(&seats.join(format!("{stem}.key")))?;
        let state = seats.join(format!("{stem}.json"));
        let user_path = data.join("user.key");
        let (user, user_key) = match keys::load(&user_path)? {
            Some(key) => (UserKey::public(&key), Some(key)),
            None => match read_state(&state)?.statement {
                Some(vouched) => (vouched.by(), None),
                None => {
                    let key: UserKey = keys::load_or_create(&user_path)?;
                    (key.public(), Some(key))
                }
            },
        };
        let name = settings.name[..settings.name.floor_char_boundary(NAME_BYTES_MAX)].to_owned();
        Ok(Self { data: data.clone(), state, dir, name, agent, user, user_key })
    }

    /// Returns the data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Returns the real path of the worktree's own git directory; `None` for the seat `default`.
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// Returns the seat's name, as it vouches for itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the agent id.
    pub fn agent(&self) -> AgentId {
        self.agent.public()
    }

    /// Returns the agent key, with which the seat logs in and signs messages.
    pub fn agent_key(&self) -> &AgentKey {
        &self.agent
    }

    /// Returns the user above this seat.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// Returns the user key; `None` in a sandbox that was given none.
    pub fn user_key(&self) -> Option<&UserKey> {
        self.user_key.as_ref()
    }

    /// Returns the statement by which the user vouches for this seat, good at `now`.
    ///
    /// It is signed on first use for 90 days and anew when half of its time is over, when the name or the user has
    /// changed, or when it says it was issued later than now.
    ///
    /// # Errors
    /// [`SeatError::StatementExpired`] when it has run out and the user key is not here; otherwise as [`Seat::open`].
    pub fn statement(&self, now: UnixMillis) -> Result<Verified<statement::Seat>, SeatError> {
        if let Some(vouched) = self.vouched()?
            && self.is_fresh(&vouched, now)
        {
            return Ok(vouched);
        }
        let _lock = Lock::of(&self.state)?;
        let mut state = read_state(&self.state)?;
        let vouched = self.verified(state.statement.take())?;
        let Some(key) = &self.user_key else {
            let good = vouched.filter(|v| self.is_ours(v) && now < v.statement().expires);
            return good.ok_or_else(|| SeatError::StatementExpired { data: self.data.clone() });
        };
        if let Some(vouched) = vouched.filter(|v| self.is_fresh(v, now)) {
            return Ok(vouched);
        }
        let expires = now.saturating_add(SEAT_MILLIS_MAX);
        let statement = statement::Seat { seat: self.agent(), name: self.name.clone(), issued: now, expires };
        let vouched = signed::sign(key, statement);
        state.dir = self.dir.as_ref().map(|dir| dir.to_string_lossy().into_owned());
        state.statement = Some(vouched.signed().clone());
        files::replace(&self.state, json::write(&state).as_bytes())?;
        Ok(vouched)
    }

    /// Returns the session in which this seat works.
    ///
    /// # Errors
    /// [`SeatError`] when the state file cannot be read or is damaged.
    pub fn in_use(&self) -> Result<Option<InUse>, SeatError> {
        Ok(read_state(&self.state)?.in_use)
    }

    /// Remembers the session in which this seat works; `None` for the home.
    ///
    /// # Errors
    /// As [`Seat::in_use`], and [`SeatError::File`] when it cannot be written.
    pub fn set_in_use(&self, in_use: Option<InUse>) -> Result<(), SeatError> {
        write_in_use(&self.state, in_use)
    }

    fn vouched(&self) -> Result<Option<Verified<statement::Seat>>, SeatError> {
        self.verified(read_state(&self.state)?.statement)
    }

    fn verified(
        &self,
        signed: Option<Signed<statement::Seat>>,
    ) -> Result<Option<Verified<statement::Seat>>, SeatError> {
        let damaged = |source| SeatError::DamagedStatement { path: self.state.clone(), source };
        signed.map(|signed| signed.verify().map_err(damaged)).transpose()
    }

    fn is_ours(&self, vouched: &Verified<statement::Seat>) -> bool {
        vouched.by() == self.user && vouched.statement().seat == self.agent()
    }

    fn is_fresh(&self, vouched: &Verified<statement::Seat>, now: UnixMillis) -> bool {
        let seat = vouched.statement();
        let half = seat.issued.midpoint(seat.expires);
        self.is_ours(vouched)
            && seat.name == self.name
            && now < half
            && seat.issued <= now.saturating_add(limits::CLOCK_SKEW_MILLIS_MAX)
    }
}

/// Returns the time of this machine's clock in unix milliseconds.
pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::try_from(since.as_millis()).unwrap_or(UnixMillis::MAX)
}

/// Returns the session in which the seat of `seat_dir` works, without making a seat or talking to any hub.
///
/// # Errors
/// [`SeatError`] when the state file cannot be read or is damaged.
pub fn in_use(data: &Path, seat_dir: Option<&Path>) -> Result<Option<InUse>, SeatError> {
    Ok(read_state(&state_path(data, seat_dir)?)?.in_use)
}

/// Has the seat of `seat_dir` work at home from now on, without making a seat or talking to any hub: a hub that lets it in no
/// more must not keep it in its session.
///
/// # Errors
/// As [`in_use`], and [`SeatError::File`] when the state file cannot be written.
pub fn use_home(data: &Path, seat_dir: Option<&Path>) -> Result<(), SeatError> {
    let state = state_path(data, seat_dir)?;
    if read_state(&state)?.in_use.is_none() {
        return Ok(());
    }
    write_in_use(&state, None)
}

fn write_in_use(path: &Path, in_use: Option<InUse>) -> Result<(), SeatError> {
    let _lock = Lock::of(path)?;
    let mut state = read_state(path)?;
    if state.in_use != in_use {
        state.in_use = in_use;
        files::replace(path, json::write(&state).as_bytes())?;
    }
    Ok(())
}

fn state_path(data: &Path, seat_dir: Option<&Path>) -> Result<PathBuf, SeatError> {
    let dir = seat_dir.map(real_path).transpose()?;
    Ok(data.join("seats").join(format!("{}.json", stem(dir.as_deref()))))
}

/// Returns the user who has vouched for the seat with the state file `path`, if one has.
pub(crate) fn vouching(path: &Path) -> Result<Option<UserId>, SeatError> {
    Ok(read_state(path)?.statement.map(|vouched| vouched.by()))
}

/// Names the files of the seat of a git directory.
fn stem(dir: Option<&Path>) -> String {
    dir.map_or_else(|| "default".to_owned(), |dir| Digest::of(dir.as_os_str().as_bytes()).to_string())
}

fn real_path(dir: &Path) -> Result<PathBuf, SeatError> {
    Ok(fs::canonicalize(dir).map_err(FileError::io("resolve", dir))?)
}

fn read_state(path: &Path) -> Result<State, SeatError> {
    Ok(read_json(path)?.unwrap_or_default())
}

/// Reads a private JSON file, `None` when there is none.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, SeatError> {
    let Some(bytes) = files::read_private(path)? else { return Ok(None) };
    let damaged = |source| SeatError::DamagedState { path: path.to_owned(), source };
    let text = String::from_utf8(bytes).map_err(|_| damaged(None))?;
    json::parse(&text).map(Some).map_err(|source| damaged(Some(source)))
}

#[cfg(test)]
mod tests;
