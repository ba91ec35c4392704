//! `post`: a message into a room's log.

use protocol::frame::{Post, Posted};
use protocol::id::Digest;
use protocol::key::AgentId;
use protocol::limits::MESSAGE_BLOBS_MAX;
use protocol::part::Body;
use protocol::refusal::{Refusal, RefusalCode};
use protocol::signed::Verified;
use protocol::statement::Message;

use super::{Service, bad_statement, refusals::Refuse as _, refusals::too_large};
use crate::fanout::Wake;
use crate::limits::HEADER_BYTES_MAX;
use crate::store::Store;

impl<S: Store, W: Wake> Service<S, W> {
    pub(super) async fn post(&self, agent: AgentId, request: Post) -> Result<Posted, Refusal> {
        if request.body.len() as u64 > self.limits.body_bytes_max {
            return Err(too_large("the body", self.limits.body_bytes_max));
        }
        if request.message.bytes_len() > HEADER_BYTES_MAX {
            return Err(too_large("the message's header", HEADER_BYTES_MAX as u64));
        }
        let now = self.clock.now();
        self.sends.check(agent, now).refuse()?;
        self.sends.count(agent, now);
        let message = checked(agent, request.clone())?;
        let room = message.statement().room;
        let busy = self.limits.sends_per_room_minute_max;
        let landed = self.store.post(agent, message, request.body, busy).await.refuse()?;
        if landed.is_new {
            self.wake.wake(room);
        }
        Ok(Posted { seq: landed.seq })
    }
}

/// Checks all that the message shows by itself, as its readers will.
fn checked(agent: AgentId, request: Post) -> Result<Verified<Message>, Refusal> {
    let message = request.message.verify().map_err(|_| bad_statement("the message does not hold"))?;
    let header = message.statement();
    if message.by() != agent {
        return Err(bad_statement("the message is by another agent than the one who posts it"));
    }
    if header.room != request.room {
        return Err(bad_statement("the message is for another room"));
    }
    if header.epoch != 0 {
        return Err(Refusal::new(RefusalCode::Unsupported, "this hub knows no sealed messages"));
    }
    if header.n == 0 {
        return Err(bad_statement("messages count from 1"));
    }
    if Digest::of(request.body.as_bytes()) != header.body {
        return Err(bad_statement("the body is not the one that was signed"));
    }
    if Body::parse(&request.body).is_err() {
        return Err(bad_statement("the body is no JSON object with parts"));
    }
    if header.blobs.len() > MESSAGE_BLOBS_MAX {
        return Err(Refusal::new(RefusalCode::TooMany, "the message refers to too many blobs"));
    }
    Ok(message)
}
