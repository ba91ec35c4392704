//! `open_room`: a user's home, or a session.

use protocol::frame::{OpenRoom, OpenedRoom};
use protocol::key::AgentId;
use protocol::refusal::{Refusal, RefusalCode};
use protocol::statement::RoomKind;

use super::{Service, bad_statement, refusals::Refuse as _, refusals::too_large};
use crate::fanout::Wake;
use crate::limits::GENESIS_BYTES_MAX;
use crate::store::Store;

impl<S: Store, W: Wake> Service<S, W> {
    pub(super) async fn open_room(&self, agent: AgentId, request: OpenRoom) -> Result<OpenedRoom, Refusal> {
        if request.genesis.bytes_len() > GENESIS_BYTES_MAX {
            return Err(too_large("the genesis", GENESIS_BYTES_MAX as u64));
        }
        let genesis = request.genesis.verify().map_err(|_| bad_statement("the genesis does not hold"))?;
        if genesis.statement().hub != self.hub {
            return Err(bad_statement("the genesis is for another hub"));
        }
        // Of a home there is one text, which `verify` sees to.
        if !matches!(genesis.statement().kind, RoomKind::Home | RoomKind::Session) {
            return Err(Refusal::new(RefusalCode::Unsupported, "this hub opens homes and sessions only"));
        }
        let (row, is_new) =
            self.store.open_room(agent, genesis, self.limits.rooms_per_agent_max).await.refuse()?;
        if is_new {
            tracing::info!(room = %row.room, "a room is open");
        }
        Ok(OpenedRoom { room: row.room, end: row.end })
    }
}
