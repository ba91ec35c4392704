//! `append`: an act of a room's owner into its log, and the word to whom it let in or put out.

use protocol::frame::{Append, Appended, Event};
use protocol::key::AgentId;
use protocol::refusal::Refusal;

use super::{Service, bad_statement, refusals::Refuse as _};
use crate::fanout::Wake;
use crate::store::Store;

impl<S: Store, W: Wake> Service<S, W> {
    pub(super) async fn append_act(&self, agent: AgentId, request: Append) -> Result<Appended, Refusal> {
        let now = self.clock.now();
        self.sends.check(agent, now).refuse()?;
        self.sends.count(agent, now);
        let act = request.membership.verify().map_err(|_| bad_statement("the act does not hold"))?;
        let room = act.statement().room;
        if room != request.room {
            return Err(bad_statement("the act is for another room"));
        }
        let acted = self.store.append(agent, act, self.limits.members_max).await.refuse()?;
        if acted.is_new {
            self.wake.wake(room);
        }
        if let Some(agent) = acted.told {
            self.wake.tell(agent, Event { event: Event::ROOMS.into(), room: Some(room) });
        }
        Ok(Appended { seq: acted.seq })
    }
}
