//! `open_room`: a user's home.

use protocol::frame::{OpenRoom, OpenedRoom};
use protocol::json;
use protocol::key::AgentId;
use protocol::refusal::{Refusal, RefusalCode};
use protocol::statement::{Genesis, RoomKind};

use super::{Service, bad_statement, refusals::Refuse as _};
use crate::fanout::Wake;
use crate::store::Store;

impl<S: Store, W: Wake> Service<S, W> {
    pub(super) async fn open_room(&self, agent: AgentId, request: OpenRoom) -> Result<OpenedRoom, Refusal> {
        let genesis = request.genesis.verify().map_err(|_| bad_statement("the genesis does not hold"))?;
        if genesis.statement().hub != self.hub {
            return Err(bad_statement("the genesis is for another hub"));
        }
        if genesis.statement().kind != RoomKind::Home {
            return Err(Refusal::new(RefusalCode::Unsupported, "this hub opens homes only"));
        }
        // There is one home of a user on a hub, so there is one text of its genesis.
        if genesis.parts().1 != json::write(&Genesis::home(self.hub)) {
            return Err(bad_statement("the genesis of a home has another text"));
        }
        let (row, is_new) =
            self.store.open_room(agent, genesis, self.limits.rooms_per_agent_max).await.refuse()?;
        if is_new {
            tracing::info!(room = %row.room, "a room is open");
        }
        Ok(OpenedRoom { room: row.room, end: row.end })
    }
}
