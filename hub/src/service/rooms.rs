//! `rooms`: the rooms of the one who asks.

use protocol::frame::{RoomList, Rooms};
use protocol::key::AgentId;
use protocol::limits::ROOMS_PAGE_MAX;
use protocol::refusal::Refusal;

use super::{Service, ack, refusals::Refuse as _};
use crate::fanout::Wake;
use crate::store::Store;

impl<S: Store, W: Wake> Service<S, W> {
    pub(super) async fn rooms(&self, agent: AgentId, request: Rooms) -> Result<RoomList, Refusal> {
        let Rooms { after, reader } = request;
        reader.as_deref().map_or(Ok(()), ack::check_reader)?;
        self.store.rooms(agent, after, reader, ROOMS_PAGE_MAX).await.refuse()
    }
}
