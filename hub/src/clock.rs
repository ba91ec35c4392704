//! What time the hub says it is. Handed in, so that tests decide.

use std::time::{SystemTime, UNIX_EPOCH};

use protocol::statement::UnixMillis;

/// The hub's wall clock.
pub(crate) trait Clock: Send + Sync + 'static {
    /// Returns the time.
    fn now(&self) -> UnixMillis;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis::try_from(since.as_millis()).unwrap_or(UnixMillis::MAX)
    }
}

/// A clock that stands still until it is told otherwise.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct ManualClock(std::sync::atomic::AtomicI64);

#[cfg(test)]
impl ManualClock {
    pub(crate) fn at(now: UnixMillis) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self(now.into()))
    }

    pub(crate) fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, std::sync::atomic::Ordering::Relaxed);
    }
}

#[cfg(test)]
impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}
