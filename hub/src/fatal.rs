//! The one way for a part that lost trust in the disk to end the whole hub.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// A cause after which nothing may be answered any more.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}")]
pub struct Unsafe {
    what: &'static str,
    #[source]
    cause: Arc<dyn StdError + Send + Sync>,
}

/// Shared by store and blobs, awaited by the hub's main loop. The first cause raised is the one reported.
#[derive(Debug, Clone)]
pub(crate) struct Fatal {
    raised: watch::Sender<bool>,
    cause: Arc<Mutex<Option<Unsafe>>>,
}

impl Fatal {
    /// Returns a flag that nobody has raised.
    pub(crate) fn new() -> Self {
        Self { raised: watch::Sender::new(false), cause: Arc::default() }
    }

    /// Raises the flag.
    pub(crate) fn raise(&self, what: &'static str, cause: Arc<dyn StdError + Send + Sync>) {
        let mut first = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(Unsafe { what, cause });
        self.raised.send_replace(true);
    }

    /// Returns the first cause.
    pub(crate) fn cause(&self) -> Option<Unsafe> {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the flag is raised, and returns why.
    pub(crate) async fn raised(&self) -> Unsafe {
        let mut raised = self.raised.subscribe();
        loop {
            if let Some(cause) = self.cause() {
                return cause;
            }
            if raised.changed().await.is_err() {
                unreachable!("the sender lives in self");
            }
        }
    }
}
