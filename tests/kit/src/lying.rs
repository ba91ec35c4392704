//! A hub whose operator lies: complete and honest until told otherwise, in memory, over real sockets. It has the hub's key
//! and everything that was ever handed in, and of users and agents no key at all: its lies are as good as an operator's.

mod log;
mod rooms;
mod serve;
#[cfg(test)]
mod tests;
mod transfer;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use protocol::conn::hub::HubConfig;
use protocol::frame::{Answer, Entry, Hello, Request};
use protocol::id::{BlobId, Nonce, RoomId};
use protocol::key::{AgentId, HubId, HubKey, JoinKey};
use protocol::limits::Limits;
use protocol::refusal::{Refusal, RefusalCode};
use protocol::room::ChainEnd;
use protocol::signed::Signed;
use protocol::statement::{Genesis, LogPoint, UnixMillis};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use self::rooms::Shelf;
use crate::member::now;

/// A request as the lie sees it.
#[derive(Debug)]
pub struct Asking<'a> {
    /// Who asks.
    pub agent: AgentId,
    /// What for.
    pub request: &'a Request,
}

/// What becomes of an answer before it is sent.
type Lie = Box<dyn FnMut(&Asking<'_>, &mut Result<Answer, Refusal>) + Send>;
/// What becomes of the text of a frame before it is sent.
type Edit = Box<dyn FnMut(&mut String) + Send>;

/// The hub; it ends when it is dropped.
///
/// ```
/// let hub = kit::LyingHub::new(1);
/// assert!(hub.origin().starts_with("ws://127.0.0.1:"));
/// ```
pub struct LyingHub {
    origin: String,
    shared: Arc<Shared>,
    sockets: Option<Sockets>,
}

/// Where it listens, if it does.
struct Sockets {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for LyingHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LyingHub").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// What all connections share.
struct Shared {
    config: Mutex<HubConfig>,
    shelf: Mutex<Shelf>,
    lie: Mutex<Option<Lie>>,
    edit: Mutex<Option<Edit>>,
    nonce: Mutex<Option<Nonce>>,
    /// What clients sent to log in.
    hellos: Mutex<Vec<Hello>>,
    /// Other bytes for an id.
    substitutes: Mutex<BTreeMap<BlobId, Vec<u8>>>,
    /// Whether it waits for nothing.
    is_hasty: AtomicBool,
    pulse: watch::Sender<Pulse>,
    /// When it was made, by both clocks.
    base: (Instant, UnixMillis),
}

/// What connections wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pulse {
    /// Rises when something may be new.
    news: u64,
    /// Rises when every connection is to end.
    cuts: u64,
}

impl LyingHub {
    /// Starts an open hub on a free port of loopback; `seed` makes its key.
    #[must_use]
    pub fn new(seed: u8) -> Self {
        Self::start(seed, None)
    }

    /// Starts a closed hub, which lets in who has the join secret, a live session key, or a room there.
    #[must_use]
    pub fn closed(seed: u8, secret: &str) -> Self {
        Self::start(seed, Some(&JoinKey::from_join_secret(secret)))
    }

    /// Makes an open hub that listens nowhere and goes by `origin`; [`LyingHub::serve`] serves it.
    #[must_use]
    pub fn without_sockets(seed: u8, origin: &str) -> Self {
        Self { origin: origin.to_owned(), shared: Arc::new(Shared::new(seed, origin, None)), sockets: None }
    }

    /// Serves one connection until it ends, on the runtime and by the clock of who waits for it.
    pub fn serve<S>(&self, stream: S) -> impl Future<Output = ()> + Send + use<S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        serve::serve(self.shared.clone(), stream)
    }

    fn start(seed: u8, join: Option<&JoinKey>) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let origin = format!("ws://{address}");
        let shared = Arc::new(Shared::new(seed, &origin, join));
        let (stop, stopped) = oneshot::channel();
        let served = shared.clone();
        let thread = std::thread::spawn(move || serve::run(listener, &served, stopped));
        let sockets = Sockets { address, stop: Some(stop), thread: Some(thread) };
        Self { origin, shared, sockets: Some(sockets) }
    }

    /// Returns where it listens.
    ///
    /// # Panics
    ///
    /// When it listens nowhere.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.sockets.as_ref().expect("it listens").address
    }

    /// Returns the address as a client dials it.
    #[must_use]
    pub fn origin(&self) -> String {
        self.origin.clone()
    }

    /// Returns the public half of the key that it shows now.
    #[must_use]
    pub fn id(&self) -> HubId {
        lock(&self.shared.config).key.public()
    }

    /// Goes by one more name.
    pub fn also_known_as(&self, origin: &str) {
        let mut config = lock(&self.shared.config);
        if !config.origins.iter().any(|known| known == origin) {
            config.origins.push(origin.to_owned());
        }
    }

    /// Shows another key from the next connection on.
    pub fn change_key(&self, seed: u8) {
        lock(&self.shared.config).key = HubKey::from_seed(&[seed; 32]);
    }

    /// Allows something else from the next connection on.
    pub fn limit(&self, change: impl FnOnce(&mut Limits)) {
        change(&mut lock(&self.shared.config).limits);
    }

    /// Challenges with this nonce, which another hub may have made, instead of fresh ones.
    pub fn challenge_with(&self, nonce: Nonce) {
        *lock(&self.shared.nonce) = Some(nonce);
    }

    /// Puts every answer through `lie` before it is sent; a later call replaces an earlier one.
    pub fn lie(&self, lie: impl FnMut(&Asking<'_>, &mut Result<Answer, Refusal>) + Send + 'static) {
        *lock(&self.shared.lie) = Some(Box::new(lie));
    }

    /// Puts the text of every frame through `edit` before it is sent, challenge and welcome among them.
    pub fn edit_frames(&self, edit: impl FnMut(&mut String) + Send + 'static) {
        *lock(&self.shared.edit) = Some(Box::new(edit));
    }

    /// Shows `agent` another log of `room` from now on: what `edit` makes of the true entries, numbered and folded anew, so
    /// that nothing but what the agent knows already contradicts it. What the agent posts goes there, and nothing else does.
    ///
    /// # Panics
    ///
    /// When there is no such room.
    pub fn show(&self, agent: AgentId, room: RoomId, edit: impl FnOnce(&mut Vec<Entry>)) {
        let mut shelf = lock(&self.shared.shelf);
        let log = &shelf.logs[&room];
        let mut entries = log.entries().to_vec();
        edit(&mut entries);
        let forged = log.forged(entries, &shelf.seats);
        shelf.shown.insert((agent, room), forged);
        drop(shelf);
        self.shared.tell();
    }

    /// Waits for nothing any more, whatever it is asked to wait for.
    pub fn answer_at_once(&self) {
        self.shared.is_hasty.store(true, Ordering::Relaxed);
    }

    /// Tells the truth again, to everybody and about everything.
    pub fn repent(&self) {
        *lock(&self.shared.lie) = None;
        *lock(&self.shared.edit) = None;
        *lock(&self.shared.nonce) = None;
        lock(&self.shared.substitutes).clear();
        self.shared.is_hasty.store(false, Ordering::Relaxed);
        lock(&self.shared.shelf).shown.clear();
        self.shared.tell();
    }

    /// Sends `bytes` to who asks for the blob `id`.
    pub fn substitute(&self, id: BlobId, bytes: Vec<u8>) {
        lock(&self.shared.substitutes).insert(id, bytes);
    }

    /// Forgets a blob.
    pub fn forget_blob(&self, id: &BlobId) {
        lock(&self.shared.shelf).blobs.remove(id);
    }

    /// Breaks every connection.
    pub fn cut_all(&self) {
        self.shared.pulse.send_modify(|pulse| pulse.cuts += 1);
    }

    /// Returns the rooms, with the statements that opened them.
    #[must_use]
    pub fn rooms(&self) -> Vec<(RoomId, Genesis)> {
        let shelf = lock(&self.shared.shelf);
        shelf.logs.iter().map(|(room, log)| (*room, log.genesis.statement().clone())).collect()
    }

    /// Returns the true entries of a room.
    ///
    /// # Panics
    ///
    /// When there is no such room.
    #[must_use]
    pub fn entries(&self, room: RoomId) -> Vec<Entry> {
        lock(&self.shared.shelf).logs[&room].entries().to_vec()
    }

    /// Returns the entries that an agent is shown instead.
    ///
    /// # Panics
    ///
    /// When it is shown the true ones.
    #[must_use]
    pub fn entries_shown(&self, agent: AgentId, room: RoomId) -> Vec<Entry> {
        lock(&self.shared.shelf).shown[&(agent, room)].entries().to_vec()
    }

    /// Returns the end of a room's chain of acts.
    ///
    /// # Panics
    ///
    /// When there is no such room.
    #[must_use]
    pub fn chain_end(&self, room: RoomId) -> ChainEnd {
        lock(&self.shared.shelf).logs[&room].members.chain_end()
    }

    /// Returns the statement that opened a room.
    ///
    /// # Panics
    ///
    /// When there is no such room.
    #[must_use]
    pub fn genesis(&self, room: RoomId) -> Signed<Genesis> {
        lock(&self.shared.shelf).logs[&room].genesis.signed().clone()
    }

    /// Returns the true end of a room's log.
    ///
    /// # Panics
    ///
    /// When there is no such room.
    #[must_use]
    pub fn end(&self, room: RoomId) -> LogPoint {
        lock(&self.shared.shelf).logs[&room].end()
    }

    /// Returns the agents who have logged in, by the names that their users give them.
    #[must_use]
    pub fn agents(&self) -> BTreeMap<String, AgentId> {
        let shelf = lock(&self.shared.shelf);
        let seats = shelf.seats.values().flatten().filter_map(|seat| seat.clone().verify().ok());
        seats.map(|seat| (seat.statement().name.clone(), seat.statement().seat)).collect()
    }

    /// Connects, says `hello` as if it were one's own, and returns with which code the hub refuses that.
    ///
    /// # Panics
    ///
    /// When it does not refuse it.
    #[must_use]
    pub fn replay(&self, hello: &Hello) -> RefusalCode {
        crate::member::replay(&self.origin(), hello)
    }

    /// Returns what clients sent to log in, whether it held or not.
    #[must_use]
    pub fn hellos(&self) -> Vec<Hello> {
        lock(&self.shared.hellos).clone()
    }
}

impl Shared {
    fn new(seed: u8, origin: &str, join: Option<&JoinKey>) -> Self {
        let config = HubConfig {
            key: HubKey::from_seed(&[seed; 32]),
            origins: vec![origin.to_owned()],
            join: join.map(JoinKey::public),
            limits: Limits::default(),
        };
        Self {
            config: Mutex::new(config),
            shelf: Mutex::default(),
            lie: Mutex::default(),
            edit: Mutex::default(),
            nonce: Mutex::default(),
            hellos: Mutex::default(),
            substitutes: Mutex::default(),
            is_hasty: AtomicBool::new(false),
            pulse: watch::Sender::new(Pulse::default()),
            base: (Instant::now(), now()),
        }
    }

    /// Returns the time by the clock of the runtime that serves, which tests may move.
    fn now(&self) -> UnixMillis {
        let since = Instant::now().saturating_duration_since(self.base.0).as_millis();
        self.base.1 + UnixMillis::try_from(since).expect("no test takes that long")
    }

    fn tell(&self) {
        self.pulse.send_modify(|pulse| pulse.news += 1);
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // What it panicked with is on stderr already, and its connections are gone.
            thread.join().ok();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
