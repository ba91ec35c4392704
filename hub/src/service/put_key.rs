//! `put_key`: the owner's word on a session key.

use protocol::frame::{Empty, PutKey};
use protocol::key::AgentId;
use protocol::limits::KEYS_MAX;
use protocol::refusal::Refusal;

use super::{Service, bad_statement, refusals::Refuse as _, refusals::too_large};
use crate::fanout::Wake;
use crate::limits::KEY_BYTES_MAX;
use crate::store::Store;

impl<S: Store, W: Wake> Service<S, W> {
    pub(super) async fn put_key(&self, agent: AgentId, request: PutKey) -> Result<Empty, Refusal> {
        if request.key.bytes_len() > KEY_BYTES_MAX {
            return Err(too_large("the key's statement", KEY_BYTES_MAX as u64));
        }
        let key = request.key.verify().map_err(|_| bad_statement("the key's statement does not hold"))?;
        if !key.statement().is_lawful() {
            return Err(bad_statement("the key lasts too long or admits too many"));
        }
        self.store.put_key(agent, key, KEYS_MAX).await.refuse()?;
        Ok(Empty {})
    }
}
