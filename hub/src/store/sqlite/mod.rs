//! The store in SQLite: WAL, `synchronous=FULL`, one writing thread, a few read-only connections beside it.

mod blob;
mod chain;
mod join;
mod log;
mod room;
mod row;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use protocol::conn::hub::{Access, PassQuestion};
use protocol::frame::{BlobReferences, ChainPage, Pulled, RequestList, RoomList, RoomRow};
use protocol::id::{BlobId, BlobPrefix, Digest, RoomId};
use protocol::key::{AgentId, HubId, InviteId};
use protocol::signed::Verified;
use protocol::statement::{Genesis, Key, Membership, Message, Seat, UnixMillis};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, ffi};
use tokio::sync::Semaphore;

use self::writer::Writer;
use super::{
    Acted, Ask, Expired, Filed, JoinLook, Landed, PageLimit, RequestLimits, Retention, Store, StoreError,
};
use crate::clock::Clock;
use crate::fatal::Fatal;
use crate::limits::{READERS, STATEMENTS_CACHED_MAX};

/// Says why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It was written by a newer version.
    #[error("the database {path} is of a newer git-parler (schema {found}, this one knows {known})", path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// The file is a database of something else.
    #[error("{path} is no database of a hub", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be made.
    #[error("the database {path} could not be made", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// SQLite could not open, read or migrate it.
    #[error("the database {path} could not be opened", path = path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The writing thread could not be started.
    #[error("the database's thread could not be started")]
    Thread(#[source] std::io::Error),
}

/// The store in one SQLite file.
pub(crate) struct SqliteStore {
    // Dropped before the writer: the last connection to close folds the write-ahead log into the file, and must be able to.
    readers: Option<Arc<Readers>>,
    writer: Writer,
    clock: Arc<dyn Clock>,
}

struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl SqliteStore {
    /// Opens or makes the database at `path` and brings its schema up to date.
    pub(crate) fn open(path: &Path, clock: Arc<dyn Clock>, fatal: Fatal) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
        // SQLite gives its other files the mode of this one.
        let file = File::options().create(true).append(true).mode(0o600).open(path);
        file.map_err(|source| OpenError::File { path: path.to_owned(), source })?;
        let connection = Connection::open(path).map_err(failed)?;
        check_kind(&connection, path)?;
        connection.execute_batch(WRITER_PRAGMAS).map_err(failed)?;
        migrate(&connection).map_err(failed)?;
        prepare_once(&connection).map_err(failed)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut idle = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            let reader = Connection::open_with_flags(path, flags).map_err(failed)?;
            reader.execute_batch(READER_PRAGMAS).map_err(failed)?;
            prepare_once(&reader).map_err(failed)?;
            idle.push(reader);
        }
        let readers = Readers { idle: Mutex::new(idle), permits: Arc::new(Semaphore::new(READERS)) };
        Self::start(connection, Some(Arc::new(readers)), clock, fatal)
    }

    /// Opens an empty store that lives in memory; reads take their turn with the writes.
    #[cfg(test)]
    pub(crate) fn in_memory(clock: Arc<dyn Clock>, fatal: Fatal) -> Result<Self, OpenError> {
        let path = Path::new(":memory:");
        let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
        let connection = Connection::open_in_memory().map_err(failed)?;
        migrate(&connection).map_err(failed)?;
        prepare_once(&connection).map_err(failed)?;
        Self::start(connection, None, clock, fatal)
    }

    fn start(
        connection: Connection,
        readers: Option<Arc<Readers>>,
        clock: Arc<dyn Clock>,
        fatal: Fatal,
    ) -> Result<Self, OpenError> {
        let writer = Writer::start(connection, fatal).map_err(OpenError::Thread)?;
        Ok(Self { writer, readers, clock })
    }

    /// Runs `operation` in the writing thread at the clock's time.
    async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Connection, UnixMillis) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let clock = Arc::clone(&self.clock);
        self.writer.run(move |connection| operation(connection, clock.now())).await
    }

    /// Runs `operation` on one snapshot at the clock's time, beside the writing thread where there are readers.
    async fn read<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Connection, UnixMillis) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Some(readers) = &self.readers else {
            return self.write(operation).await;
        };
        let readers = Arc::clone(readers);
        let clock = Arc::clone(&self.clock);
        let permit = Arc::clone(&readers.permits).acquire_owned().await.map_err(|_| StoreError::Stopped)?;
        let task = tokio::task::spawn_blocking({
            let readers = Arc::clone(&readers);
            move || {
                let mut reader = readers.take();
                let outcome = snapshot(&mut reader, |connection| operation(connection, clock.now()));
                readers.give_back(reader);
                // Not before: who asked may be gone by now, and the reader was still out.
                drop(permit);
                outcome
            }
        });
        task.await.map_err(|_| StoreError::Stopped)?
    }
}

fn snapshot<T>(
    reader: &mut Connection,
    operation: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let transaction = reader.transaction()?;
    let outcome = operation(&transaction);
    transaction.commit()?;
    outcome
}

impl Readers {
    fn take(&self) -> Connection {
        let reader = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        reader.expect("there are as many permits as connections")
    }

    fn give_back(&self, reader: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
    }
}

impl Store for SqliteStore {
    async fn belongs_to(&self, hub: HubId) -> Result<bool, StoreError> {
        self.write(move |db, _| room::belongs_to(db, hub)).await
    }

    async fn note_seat(&self, seat: Verified<Seat>) -> Result<(), StoreError> {
        // Mostly it is the one that is there, and a login need not wait for the disk.
        let known = seat.clone();
        if self.read(move |db, _| room::knows_seat(db, &known)).await? {
            return Ok(());
        }
        self.write(move |db, _| room::note_seat(db, &seat)).await
    }

    async fn open_room(
        &self,
        agent: AgentId,
        genesis: Verified<Genesis>,
        rooms_max: u64,
    ) -> Result<(RoomRow, bool), StoreError> {
        self.write(move |db, now| room::open(db, now, agent, &genesis, rooms_max)).await
    }

    async fn rooms(
        &self,
        agent: AgentId,
        after: Option<RoomId>,
        reader: Option<String>,
        limit: usize,
    ) -> Result<RoomList, StoreError> {
        self.read(move |db, now| room::list(db, now, agent, after, reader.as_deref(), limit)).await
    }

    async fn append(
        &self,
        agent: AgentId,
        act: Verified<Membership>,
        members_max: u64,
    ) -> Result<Acted, StoreError> {
        self.write(move |db, now| chain::append(db, now, agent, &act, members_max)).await
    }

    async fn chain(
        &self,
        agent: AgentId,
        room: RoomId,
        after: u64,
        limit: PageLimit,
    ) -> Result<ChainPage, StoreError> {
        self.read(move |db, now| chain::chain(db, now, agent, room, after, limit)).await
    }

    async fn put_key(&self, agent: AgentId, key: Verified<Key>, keys_max: u64) -> Result<(), StoreError> {
        self.write(move |db, now| join::put_key(db, now, agent, &key, keys_max)).await
    }

    async fn revoke_key(&self, agent: AgentId, room: RoomId, invite: InviteId) -> Result<(), StoreError> {
        self.write(move |db, now| join::revoke_key(db, now, agent, room, invite)).await
    }

    async fn join(&self, ask: Ask, limits: RequestLimits) -> Result<Filed, StoreError> {
        self.write(move |db, now| join::join(db, now, &ask, limits)).await
    }

    async fn join_state(&self, agent: AgentId, request: Digest) -> Result<JoinLook, StoreError> {
        self.read(move |db, now| join::join_state(db, now, agent, request)).await
    }

    async fn requests(
        &self,
        agent: AgentId,
        room: RoomId,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<RequestList, StoreError> {
        self.read(move |db, now| join::requests(db, now, agent, room, after, limit)).await
    }

    async fn awaiting(&self, agent: AgentId, limit: usize) -> Result<Vec<RoomId>, StoreError> {
        self.read(move |db, now| join::awaiting(db, now, agent, limit)).await
    }

    async fn pass(&self, question: PassQuestion) -> Result<Option<Access>, StoreError> {
        self.read(move |db, now| join::pass(db, now, question)).await
    }

    async fn ack(&self, agent: AgentId, room: RoomId, reader: String, seq: u64) -> Result<u64, StoreError> {
        self.write(move |db, now| room::ack(db, now, agent, room, &reader, seq)).await
    }

    async fn post(
        &self,
        agent: AgentId,
        message: Verified<Message>,
        body: String,
        room_minute_max: u64,
    ) -> Result<Landed, StoreError> {
        self.write(move |db, now| log::post(db, now, agent, &message, &body, room_minute_max)).await
    }

    async fn pull(
        &self,
        agent: AgentId,
        room: RoomId,
        after: u64,
        limit: PageLimit,
    ) -> Result<Pulled, StoreError> {
        self.read(move |db, now| log::pull(db, now, agent, room, after, limit)).await
    }

    async fn handoffs(
        &self,
        agent: AgentId,
        room: RoomId,
        before: Option<u64>,
        limit: u64,
    ) -> Result<BlobReferences, StoreError> {
        self.read(move |db, now| log::handoffs(db, now, agent, room, before, limit)).await
    }

    async fn find(
        &self,
        agent: AgentId,
        prefix: BlobPrefix,
        limit: u64,
    ) -> Result<BlobReferences, StoreError> {
        self.read(move |db, now| log::find(db, now, agent, &prefix, limit)).await
    }

    async fn may_put_blob(&self, agent: AgentId, room: RoomId, id: BlobId) -> Result<bool, StoreError> {
        self.read(move |db, now| blob::may_put(db, now, agent, room, id)).await
    }

    async fn bind_blob(&self, agent: AgentId, room: RoomId, id: BlobId, size: u64) -> Result<(), StoreError> {
        self.write(move |db, now| blob::bind(db, now, agent, room, id, size)).await
    }

    async fn may_get_blob(&self, agent: AgentId, room: RoomId, id: BlobId) -> Result<u64, StoreError> {
        let found = self.read(move |db, now| blob::may_get(db, now, agent, room, id)).await?;
        if found.note_use {
            // Says only that the blob was wanted; whether it may be read was decided above, on one snapshot.
            self.write(move |db, now| blob::note_use(db, now, room, id)).await?;
        }
        Ok(found.size)
    }

    async fn unknown_blobs(&self, ids: Vec<BlobId>) -> Result<Vec<BlobId>, StoreError> {
        self.read(move |db, _| blob::unknown(db, ids)).await
    }

    async fn expire(&self, retention: Retention) -> Result<Expired, StoreError> {
        self.write(move |db, now| blob::expire(db, now, retention)).await
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::from(Arc::new(error))
    }
}

impl From<Arc<rusqlite::Error>> for StoreError {
    fn from(error: Arc<rusqlite::Error>) -> Self {
        match error.sqlite_error_code() {
            Some(ffi::ErrorCode::DiskFull) => Self::DiskFull,
            _ => Self::Database(error),
        }
    }
}

/// Keeps every statement prepared, whatever values are bound to it: a plan that looks at them is made anew for each.
fn prepare_once(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED_MAX);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Refuses a file that is a database of something else or of a newer version, before anything in it changes.
fn check_kind(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = pragma("application_id").map_err(failed)?;
    let found = pragma("user_version").map_err(failed)?;
    let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get::<_, i64>(0));
    let is_empty = tables.map_err(failed)? == 0;
    if application != APPLICATION_ID && !is_empty {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    Ok(())
}

/// Applies the migrations that the database has not seen, each in its own transaction.
fn migrate(connection: &Connection) -> Result<(), rusqlite::Error> {
    migrate_to(connection, MIGRATIONS.len())
}

fn migrate_to(connection: &Connection, last: usize) -> Result<(), rusqlite::Error> {
    let seen = connection
        .pragma_query_value(None, "user_version", |row| row.get::<_, usize>(0))
        .optional()?
        .unwrap_or_default();
    // A table that is made anew is dropped while others refer to it, and this cannot be said within a transaction.
    connection.pragma_update(None, "foreign_keys", false)?;
    for (number, migration) in (1..=last).zip(MIGRATIONS).skip(seen) {
        let applied = connection
            .execute_batch(&format!(
                "BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID};\n{migration}\nPRAGMA user_version = {number};"
            ))
            .and_then(|()| check_references(connection))
            .and_then(|()| connection.execute_batch("COMMIT"));
        if applied.is_err() && !connection.is_autocommit() {
            // The error that matters is the one already there.
            connection.execute_batch("ROLLBACK").ok();
        }
        applied?;
    }
    connection.pragma_update(None, "foreign_keys", true)
}

/// Fails when a row refers to one that is not there.
fn check_references(connection: &Connection) -> Result<(), rusqlite::Error> {
    if connection.prepare("PRAGMA foreign_key_check")?.exists(())? {
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CONSTRAINT_FOREIGNKEY), None));
    }
    Ok(())
}

const MIGRATIONS: &[&str] = &[include_str!("migrations/0001.sql"), include_str!("migrations/0002.sql")];

/// "gprl" in ASCII: says to `file(1)` and to us whose database this is.
const APPLICATION_ID: i64 = 0x6770_726c;

/// Every answered write has reached the disk: `NORMAL` would lose the newest ones with the power.
const WRITER_PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
    PRAGMA busy_timeout = 5000; PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY;";

const READER_PRAGMAS: &str = "PRAGMA query_only = ON; PRAGMA busy_timeout = 5000; PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -1024;";
