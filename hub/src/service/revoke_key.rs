//! `revoke_key`: the end of a session key.

use protocol::frame::{Empty, RevokeKey};
use protocol::key::AgentId;
use protocol::refusal::Refusal;

use super::{Service, refusals::Refuse as _};
use crate::fanout::Wake;
use crate::store::Store;

impl<S: Store, W: Wake> Service<S, W> {
    pub(super) async fn revoke_key(&self, agent: AgentId, request: RevokeKey) -> Result<Empty, Refusal> {
        let RevokeKey { room, invite } = request;
        self.store.revoke_key(agent, room, invite).await.refuse()?;
        // Who waits for an answer to a request by this key gets it now.
        self.wake.wake(room);
        Ok(Empty {})
    }
}
