//! `pull`: a range of a room's log, waited for if need be. The only way by which entries leave the hub.

use std::sync::Arc;
use std::time::Duration;

use protocol::frame::{Answer, Pull, Pulled};
use protocol::key::AgentId;
use protocol::limits::{PULL_BYTES_MAX, PULL_ENTRIES_MAX, PULL_WAIT_MILLIS_MAX};
use protocol::refusal::Refusal;

use super::{Outcome, Pages, Service, refusals::Refuse as _};
use crate::fanout::{Waiter as _, Wake};
use crate::store::{PageLimit, Store};

impl<S: Store, W: Wake> Service<S, W> {
    pub(super) async fn pull(&self, agent: AgentId, request: Pull, pages: &Pages) -> Outcome {
        let wait = Duration::from_millis(request.wait_ms.unwrap_or(0).min(PULL_WAIT_MILLIS_MAX));
        // Before the first look, so that nothing falls between look and wait.
        let mut waiter = self.wake.wait_for(request.room);
        let first = self.look(agent, &request, pages).await;
        if wait.is_zero() || !first.is_empty_page() {
            return first;
        }
        drop(first);
        let news = async {
            loop {
                // News or not, the log is the truth.
                waiter.news().await;
                let outcome = self.look(agent, &request, pages).await;
                if !outcome.is_empty_page() {
                    return outcome;
                }
            }
        };
        match tokio::time::timeout(wait, news).await {
            Ok(outcome) => outcome,
            Err(_) => self.look(agent, &request, pages).await,
        }
    }

    /// Looks once; every look asks again whether the agent is in the room.
    async fn look(&self, agent: AgentId, request: &Pull, pages: &Pages) -> Outcome {
        let Pull { room, after, limit, bodies, .. } = *request;
        let entries_max = limit.clamp(1, PULL_ENTRIES_MAX);
        let limit = PageLimit { entries_max, bytes_max: PULL_BYTES_MAX, bodies };
        let page = Arc::clone(pages).acquire_owned().await.ok();
        let answer: Result<Pulled, Refusal> = self.store.pull(agent, room, after, limit).await.refuse();
        Outcome { answer: answer.map(Answer::Pull), page }
    }
}

impl Outcome {
    fn is_empty_page(&self) -> bool {
        matches!(&self.answer, Ok(Answer::Pull(page)) if page.entries.is_empty())
    }
}
