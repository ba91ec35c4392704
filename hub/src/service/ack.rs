//! `ack`: a reader has handed on what it read.

use protocol::frame::{Ack, Acked};
use protocol::key::AgentId;
use protocol::limits::READER_NAME_MAX;
use protocol::refusal::Refusal;

use super::{Service, bad_request, refusals::Refuse as _};
use crate::fanout::Wake;
use crate::store::Store;

impl<S: Store, W: Wake> Service<S, W> {
    pub(super) async fn ack(&self, agent: AgentId, request: Ack) -> Result<Acked, Refusal> {
        let Ack { room, reader, seq } = request;
        check_reader(&reader)?;
        let cursor = self.store.ack(agent, room, reader, seq).await.refuse()?;
        Ok(Acked { cursor })
    }
}

/// Refuses what is no name of a reader.
pub(super) fn check_reader(reader: &str) -> Result<(), Refusal> {
    let is_name = reader.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if !is_name || !(1..=READER_NAME_MAX).contains(&reader.len()) {
        return Err(bad_request("the name of a reader is 1 to 16 of a-z, 0-9 and -"));
    }
    Ok(())
}
