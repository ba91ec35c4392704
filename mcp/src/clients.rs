//! Connections to hubs, lent to one call each: clients do one thing after another, and calls come many at a time.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use client::report::text::short;
use client::{Client, Settings};
use protocol::id::RoomId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use crate::host::{Host, Problem, Purpose};
use crate::limits::{CALLS_MAX, IDLE_CLIENTS_MAX, NOTES_MAX, RECONNECT_TIME_MAX};

/// The connections of a server.
pub(crate) struct Clients {
    host: Arc<dyn Host>,
    idle: Mutex<Vec<Client>>,
    slots: Arc<Semaphore>,
    /// What is to be told with the next answer, whatever it is about.
    notes: Mutex<Vec<String>>,
}

/// A connection that one call works with. Dropped, it ends; given back, it serves the next call.
pub(crate) struct Lent {
    /// There until it is given back.
    client: Option<Client>,
    pool: Arc<Clients>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Clients {
    pub(crate) fn new(host: Arc<dyn Host>) -> Arc<Self> {
        let slots = Arc::new(Semaphore::new(CALLS_MAX));
        Arc::new(Self { host, idle: Mutex::default(), slots, notes: Mutex::default() })
    }

    /// Returns what the program lends.
    pub(crate) fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }

    /// Returns the settings for `purpose`, as they are now.
    pub(crate) async fn settings(&self, purpose: Purpose) -> Result<Settings, Problem> {
        let host = Arc::clone(&self.host);
        off_runtime(move || host.settings(&purpose)).await?
    }

    /// Connects a call, or takes up a connection that is there, once fewer calls than may be are at work.
    pub(crate) async fn lend(self: &Arc<Self>, purpose: Purpose) -> Result<Lent, Problem> {
        let slots = Arc::clone(&self.slots);
        let slot = slots.acquire_owned().await.expect("the slots are never closed");
        let mut settings = self.settings(purpose).await?;
        // Nobody sees why a call takes so long.
        settings.reconnect_max = Some(RECONNECT_TIME_MAX);
        let known = settings.invite.is_none().then(|| self.take(&settings)).flatten();
        let client = match known {
            Some(mut client) => {
                client.work_in(settings.room).map_err(|error| self.host.problem(error))?;
                client
            }
            None => self.connect(settings).await?,
        };
        Ok(Lent { client: Some(client), pool: Arc::clone(self), _slot: Some(slot) })
    }

    /// Connects what goes on beside the calls, of which there are few, and which takes none of their places.
    pub(crate) async fn lend_beside(self: &Arc<Self>, settings: Settings) -> Result<Lent, Problem> {
        let client = self.connect(settings).await?;
        Ok(Lent { client: Some(client), pool: Arc::clone(self), _slot: None })
    }

    async fn connect(&self, settings: Settings) -> Result<Client, Problem> {
        let starter = self.host.starter(&settings);
        let connected = Client::connect(settings, Some(starter)).await;
        connected.map_err(|error| self.host.problem(error))
    }

    fn take(&self, settings: &Settings) -> Option<Client> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle.iter().position(|client| client.fits(settings))?;
        Some(idle.swap_remove(found))
    }

    /// Takes note of what is to be told with the next answer.
    fn note(&self, told: Vec<String>) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.extend(told);
        let surplus = notes.len().saturating_sub(NOTES_MAX);
        notes.drain(..surplus);
    }

    /// Returns what is to be told, once.
    pub(crate) fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says goodbye to every hub.
    pub(crate) async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for client in idle {
            client.close().await;
        }
    }
}

impl Lent {
    /// Ends the call's work: lets in who asks by a key that says so, as every command does, and keeps the connection.
    pub(crate) async fn give_back(mut self) {
        self.tend_gates().await;
        let Some(mut client) = self.client.take() else { return };
        self.pool.note(client.take_remarks());
        let surplus = {
            let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(client);
            if idle.len() > IDLE_CLIENTS_MAX { Some(idle.remove(0)) } else { None }
        };
        if let Some(client) = surplus {
            client.close().await;
        }
    }

    /// Says where something was said.
    pub(crate) fn place(&self, room: RoomId) -> String {
        match self.role(room) {
            Some(_) => format!("in session {}", short(&room.to_string())),
            None => "at home, to the user's own worktrees".to_owned(),
        }
    }

    /// Says what went wrong as the command line does.
    pub(crate) fn problem(&self, error: client::Error) -> Problem {
        self.pool.host.problem(error)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // A call that failed has something to tell as well, such as what was given up before.
        if let Some(mut client) = self.client.take() {
            self.pool.note(client.take_remarks());
        }
    }
}

impl Deref for Lent {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_ref().expect("it is there until it is given back")
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Client {
        self.client.as_mut().expect("it is there until it is given back")
    }
}

/// Does what reads files or takes a while beside the runtime.
///
/// # Errors
/// [`Problem`] where it panics: what a peer sent may have met an error of ours, and the host is to hear of it.
pub(crate) async fn off_runtime<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    spawn_blocking(work).await.map_err(|_| broken())
}

/// Says that something failed that cannot fail.
pub(crate) fn broken() -> Problem {
    Problem {
        code: "internal",
        message: "this call met an error of git-parler itself".to_owned(),
        hint: Some("what happened stands in the host's log of this server; please report it".to_owned()),
    }
}
