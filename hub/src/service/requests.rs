//! `requests`: who waits to be let into one's own room, and its keys.

use protocol::frame::{RequestList, Requests};
use protocol::key::AgentId;
use protocol::limits::REQUESTS_PAGE_MAX;
use protocol::refusal::Refusal;

use super::{Service, refusals::Refuse as _};
use crate::fanout::Wake;
use crate::store::Store;

impl<S: Store, W: Wake> Service<S, W> {
    pub(super) async fn requests(&self, agent: AgentId, request: Requests) -> Result<RequestList, Refusal> {
        self.store.requests(agent, request.room, request.after, REQUESTS_PAGE_MAX).await.refuse()
    }
}
