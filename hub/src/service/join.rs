//! `join`: a request to be let in, and the word to the owner's seats.

use protocol::conn::hub::Access;
use protocol::frame::{AskToJoin, Asked, Event};
use protocol::refusal::Refusal;
use protocol::room::check_ask;

use super::{Caller, Service, bad_statement, refusals::Refuse as _, refusals::too_large};
use crate::fanout::Wake;
use crate::limits::{JOIN_BYTES_MAX, SEAT_BYTES_MAX};
use crate::store::{Ask, RequestLimits, Store};

impl<S: Store, W: Wake> Service<S, W> {
    pub(super) async fn join(&self, caller: Caller, request: AskToJoin) -> Result<Asked, Refusal> {
        if request.join.bytes_len() > JOIN_BYTES_MAX {
            return Err(too_large("the request to join", JOIN_BYTES_MAX as u64));
        }
        if request.seat.as_ref().is_some_and(|seat| seat.bytes_len() > SEAT_BYTES_MAX) {
            return Err(too_large("the seat statement", SEAT_BYTES_MAX as u64));
        }
        let now = self.clock.now();
        self.sends.check(caller.agent, now).refuse()?;
        self.sends.count(caller.agent, now);
        let (join, _) =
            check_ask(&request).map_err(|_| bad_statement("the request to join does not hold"))?;
        if join.by() != caller.agent {
            return Err(bad_statement("the request to join is by another agent than the one who files it"));
        }
        let is_let_in_for_this =
            !matches!(caller.access, Access::Join(invite) if invite != join.statement().invite);
        if join.statement().hub != self.hub || !is_let_in_for_this {
            return Err(Refusal::key_refused());
        }
        let limits = RequestLimits {
            per_address_max: self.limits.requests_per_address_max,
            per_key_max: self.limits.requests_per_key_max,
            kept_ms: crate::limits::days(self.limits.request_days),
        };
        let address = caller.address.map(|address| address.to_string()).unwrap_or_default();
        let ask = Ask { join, ask: request.ask, seat: request.seat, address };
        let filed = self.store.join(ask, limits).await.refuse()?;
        for owner in filed.owners {
            self.wake.tell(owner, Event { event: Event::REQUESTS.into(), room: Some(filed.room) });
        }
        Ok(Asked { request: filed.request })
    }
}
