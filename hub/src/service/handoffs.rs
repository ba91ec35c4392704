//! `handoffs`: which messages of a room refer to blobs.

use protocol::frame::{BlobReferences, Handoffs};
use protocol::key::AgentId;
use protocol::limits::HANDOFFS_MAX;
use protocol::refusal::Refusal;

use super::{Service, refusals::Refuse as _};
use crate::fanout::Wake;
use crate::store::Store;

impl<S: Store, W: Wake> Service<S, W> {
    pub(super) async fn handoffs(
        &self,
        agent: AgentId,
        request: Handoffs,
    ) -> Result<BlobReferences, Refusal> {
        let Handoffs { room, before, limit } = request;
        self.store.handoffs(agent, room, before, limit.clamp(1, HANDOFFS_MAX)).await.refuse()
    }
}
