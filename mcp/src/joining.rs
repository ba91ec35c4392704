//! Joining by the key in the environment: asked for as soon as the server starts, and told with the answers until it is decided.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::{JoinOutcome, Outage};
use protocol::invite::SessionKey;
use protocol::words::words;

use crate::clients::Lent;
use crate::host::{Problem, Purpose};
use crate::limits::{AGAIN_AFTER, WAIT_SECONDS_MAX};
use crate::server::Server;

/// How far that has come.
#[derive(Clone, Default)]
pub(crate) struct Joining(Arc<Mutex<Option<String>>>);

impl Joining {
    /// Returns what is to be told with an answer.
    pub(crate) fn told(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Tells that it came to nothing, and what to do about it.
    pub(crate) fn failed(&self, problem: &Problem) {
        let hint = problem.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        self.say(Some(format!(
            "joining by PARLER_SESSION_KEY failed: {} ({}){hint}",
            problem.message, problem.code
        )));
    }

    fn say(&self, what: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }
}

impl Server {
    /// Asks to join by `key` and waits for the decision, however long it takes and whatever becomes of the hub meanwhile.
    pub(crate) async fn join_at_start(self, key: SessionKey) {
        let mut outage = Outage::new();
        loop {
            let outcome = self.join_once(&key, &mut outage).await;
            let told = match outcome {
                Ok(JoinOutcome::Pending) => continue,
                Ok(JoinOutcome::Member(_)) => None,
                Ok(JoinOutcome::Denied) => {
                    Some("the owner has denied the request to join by PARLER_SESSION_KEY")
                }
                Ok(JoinOutcome::Removed) => {
                    Some("this seat was put out of the session of PARLER_SESSION_KEY")
                }
                Err(problem) => return self.joining().failed(&problem),
            };
            return self.joining().say(told.map(str::to_owned));
        }
    }

    async fn join_once(&self, key: &SessionKey, outage: &mut Outage) -> Result<JoinOutcome, Problem> {
        let connected = async {
            let settings = self.clients().settings(Purpose::Join(key.clone())).await?;
            self.clients().lend_beside(settings).await
        };
        let lent = match connected.await {
            Err(problem) if problem.is_passing() => {
                self.joining()
                    .say(Some(format!("not joined by PARLER_SESSION_KEY so far: {}", problem.message)));
                tokio::time::sleep(AGAIN_AFTER).await;
                return Ok(JoinOutcome::Pending);
            }
            lent => lent?,
        };
        self.wait_for_decision(lent, key, outage).await
    }

    async fn wait_for_decision(
        &self,
        mut lent: Lent,
        key: &SessionKey,
        outage: &mut Outage,
    ) -> Result<JoinOutcome, Problem> {
        let me = lent.me();
        let asked = lent.join_unasked(key, &me.name).await;
        let Some(mut joining) = outage.outlast(asked, |_| {}).await.map_err(|error| lent.problem(error))?
        else {
            return Ok(JoinOutcome::Pending);
        };
        let waits = format!(
            "this agent has asked to join by PARLER_SESSION_KEY and waits for the owner; its words are: {}",
            words(&me.id)
        );
        self.joining().say(Some(waits));
        loop {
            let asked = lent.join_state(&mut joining, Some(Duration::from_secs(WAIT_SECONDS_MAX))).await;
            let outcome = outage.outlast(asked, |_| {}).await.map_err(|error| lent.problem(error))?;
            match outcome {
                Some(JoinOutcome::Pending) | None => {}
                Some(decided) => {
                    lent.give_back().await;
                    self.watches().moved();
                    return Ok(decided);
                }
            }
        }
    }
}
