//! Waiting for what may be long in coming: longer than one request can wait, and across breaks of the connection.

use std::time::Duration;

use protocol::frame::{Answer, Request};
use protocol::limits::PULL_WAIT_MILLIS_MAX;
use tokio::time::{Instant, sleep};

use super::{Link, LinkError};
use crate::limits::{BACKOFF_MAX, BACKOFF_MIN};

impl Link {
    /// Asks again and again, each time for as long as a request may wait, in milliseconds, until the answer is what is waited for
    /// or `until` has come: then whatever is answered counts. Without `until` that is the first answer.
    ///
    /// # Errors
    /// [`LinkError`]; that the hub cannot be reached is none before `until`.
    pub(crate) async fn request_until(
        &self,
        until: Option<Instant>,
        ask: impl Fn(Option<u64>) -> Request,
        is_wanted: impl Fn(&Answer) -> bool,
    ) -> Result<Answer, LinkError> {
        let mut pause = BACKOFF_MIN;
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let left = left.filter(|left| !left.is_zero());
            match self.request(ask(left.map(wait_ms))).await {
                Ok(answer) if left.is_none() || is_wanted(&answer) => return Ok(answer),
                Ok(_) => {}
                Err(LinkError::Unreachable { .. }) if left.is_some() => {}
                Err(error) => return Err(error),
            }
            // A hub that answers at once, whatever it was asked to wait for, must not keep us busy.
            sleep(pause.min(left.unwrap_or_default())).await;
            pause = (pause * 2).min(BACKOFF_MAX);
        }
    }
}

fn wait_ms(left: Duration) -> u64 {
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX).clamp(1, PULL_WAIT_MILLIS_MAX)
}
