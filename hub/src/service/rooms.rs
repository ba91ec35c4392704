//! `rooms`: the rooms of the one who asks.

use protocol::frame::RoomList;
use protocol::key::AgentId;
use protocol::refusal::Refusal;

use super::{Service, refusals::Refuse as _};
use crate::fanout::Wake;
use crate::store::Store;

impl<S: Store, W: Wake> Service<S, W> {
    pub(super) async fn rooms(&self, agent: AgentId) -> Result<RoomList, Refusal> {
        Ok(RoomList { rooms: self.store.rooms(agent).await.refuse()?, more: false })
    }
}
