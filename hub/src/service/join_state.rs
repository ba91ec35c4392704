//! `join_state`: what became of one's own request to join, waited for if need be.

use std::time::Duration;

use protocol::frame::{JoinStanding, JoinState, JoinerState};
use protocol::key::AgentId;
use protocol::limits::PULL_WAIT_MILLIS_MAX;
use protocol::refusal::Refusal;

use super::{Service, refusals::Refuse as _};
use crate::fanout::{Waiter as _, Wake};
use crate::store::Store;

impl<S: Store, W: Wake> Service<S, W> {
    pub(super) async fn join_state(
        &self,
        agent: AgentId,
        request: JoinState,
    ) -> Result<JoinStanding, Refusal> {
        let wait = Duration::from_millis(request.wait_ms.unwrap_or(0).min(PULL_WAIT_MILLIS_MAX));
        let first = self.store.join_state(agent, request.request).await.refuse()?;
        if wait.is_zero() || first.standing.state != JoinerState::Pending {
            return Ok(first.standing);
        }
        let mut waiter = self.wake.wait_for(first.room);
        let decision = async {
            loop {
                // After the wait has begun, so that nothing falls between look and wait.
                let look = self.store.join_state(agent, request.request).await.refuse();
                match look {
                    Ok(look) if look.standing.state == JoinerState::Pending => waiter.news().await,
                    look => return look,
                }
            }
        };
        let look = match tokio::time::timeout(wait, decision).await {
            Ok(look) => look?,
            Err(_) => self.store.join_state(agent, request.request).await.refuse()?,
        };
        Ok(look.standing)
    }
}
