//! Connections to hubs, lent to one call each: clients do one thing after another, and calls come many at a time.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use client::Client;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use crate::host::{Host, Problem, Purpose};
use crate::limits::{CALLS_MAX, IDLE_CLIENTS_MAX};

/// The connections of a server.
pub(crate) struct Clients {
    host: Arc<dyn Host>,
    idle: Mutex<Vec<Client>>,
    slots: Arc<Semaphore>,
}

/// A connection that one call works with. Dropped, it ends; given back, it serves the next call.
pub(crate) struct Lent {
    client: Client,
    pool: Arc<Clients>,
    _slot: OwnedSemaphorePermit,
}

impl Clients {
    pub(crate) fn new(host: Arc<dyn Host>) -> Arc<Self> {
        Arc::new(Self { host, idle: Mutex::default(), slots: Arc::new(Semaphore::new(CALLS_MAX)) })
    }

    /// Returns what the program lends.
    pub(crate) fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }

    /// Connects, or takes up a connection that is there, for `purpose`.
    pub(crate) async fn lend(self: &Arc<Self>, purpose: Purpose) -> Result<Lent, Problem> {
        let slots = Arc::clone(&self.slots);
        let slot = slots.acquire_owned().await.expect("the slots are never closed");
        let host = Arc::clone(&self.host);
        let settings = off_runtime(move || host.settings(&purpose)).await?;
        let known = settings.invite.is_none().then(|| self.take(&settings.hub.origin())).flatten();
        let client = match known {
            Some(mut client) => {
                client.work_in(settings.room).map_err(|error| self.host.problem(error))?;
                client
            }
            None => {
                let starter = self.host.starter(&settings);
                let connected = Client::connect(settings, Some(starter)).await;
                connected.map_err(|error| self.host.problem(error))?
            }
        };
        Ok(Lent { client, pool: Arc::clone(self), _slot: slot })
    }

    fn take(&self, origin: &str) -> Option<Client> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle.iter().position(|client| client.origin() == origin)?;
        Some(idle.swap_remove(found))
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
    /// Returns what is to be told of messages that earlier processes could not deliver.
    pub(crate) async fn give_back(mut self) -> Vec<String> {
        self.client.tend_gates().await;
        let lost = self.client.take_undelivered();
        let told = lost.iter().map(|lost| {
            format!(
                "not sent, where an earlier run was cut off: \"{}\" ({})",
                lost.label, lost.reason.message
            )
        });
        let told = told.collect();
        let surplus = {
            let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(self.client);
            if idle.len() > IDLE_CLIENTS_MAX { Some(idle.remove(0)) } else { None }
        };
        if let Some(client) = surplus {
            client.close().await;
        }
        told
    }

    /// Says what went wrong as the command line does.
    pub(crate) fn problem(&self, error: client::Error) -> Problem {
        self.pool.host.problem(error)
    }
}

impl Deref for Lent {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

/// Does what reads files or takes a while beside the runtime.
pub(crate) async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
