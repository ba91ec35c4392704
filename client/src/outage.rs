//! Waiting for somebody else: the hub between the two may go away meanwhile, and that ends no waiting.

use std::time::Duration;

use tokio::time::sleep;

use crate::error::Error;
use crate::limits::{OUTAGE_PAUSE_MAX, OUTAGE_PAUSE_MIN};

/// What somebody who waits wants to know of the hub.
#[derive(Debug)]
pub enum HubTurn<'a> {
    /// It cannot be reached, for as long as a question to it may take.
    Lost(&'a Error),
    /// It answers again.
    Back,
}

/// Whether the hub is away, for somebody who asks it the same again and again until somebody else has acted.
#[derive(Debug, Default)]
pub struct Outage {
    /// The newest pause; none while the hub is there.
    pause: Option<Duration>,
}

impl Outage {
    /// Begins with a hub that is there.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the outcome of a question. `None` means that the hub cannot be reached: then a pause has passed, longer each time,
    /// and the question is to be asked again. `tell` hears of it once when the hub is lost and once when it is back.
    ///
    /// # Errors
    /// Every other error of the question.
    pub async fn outlast<T>(
        &mut self,
        outcome: Result<T, Error>,
        tell: impl FnOnce(HubTurn<'_>),
    ) -> Result<Option<T>, Error> {
        let error = match outcome {
            Err(error) if error.code() == "hub_unreachable" => error,
            other => {
                let answer = other?;
                if self.pause.take().is_some() {
                    tell(HubTurn::Back);
                }
                return Ok(Some(answer));
            }
        };
        let pause = match self.pause {
            None => {
                tell(HubTurn::Lost(&error));
                OUTAGE_PAUSE_MIN
            }
            Some(before) => (before * 2).min(OUTAGE_PAUSE_MAX),
        };
        self.pause = Some(pause);
        sleep(pause).await;
        Ok(None)
    }
}
