//! `chain`: the owner's acts, and who left.

use protocol::frame::{Chain, ChainPage};
use protocol::key::AgentId;
use protocol::limits::{PULL_BYTES_MAX, PULL_ENTRIES_MAX};
use protocol::refusal::Refusal;

use super::{Service, refusals::Refuse as _};
use crate::fanout::Wake;
use crate::store::{PageLimit, Store};

impl<S: Store, W: Wake> Service<S, W> {
    pub(super) async fn chain(&self, agent: AgentId, request: Chain) -> Result<ChainPage, Refusal> {
        let limit = PageLimit { entries_max: PULL_ENTRIES_MAX, bytes_max: PULL_BYTES_MAX, bodies: false };
        self.store.chain(agent, request.room, request.after, limit).await.refuse()
    }
}
