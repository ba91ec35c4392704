//! `find`: blobs by the beginning of their id.

use protocol::frame::{BlobReferences, Find};
use protocol::key::AgentId;
use protocol::limits::HANDOFFS_MAX;
use protocol::refusal::Refusal;

use super::{Service, refusals::Refuse as _};
use crate::fanout::Wake;
use crate::store::Store;

impl<S: Store, W: Wake> Service<S, W> {
    pub(super) async fn find(&self, agent: AgentId, request: Find) -> Result<BlobReferences, Refusal> {
        self.store.find(agent, request.prefix, HANDOFFS_MAX).await.refuse()
    }
}
