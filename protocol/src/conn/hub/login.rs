//! What makes a login hold, and the hub's word for it.

use super::{Access, HubConfig, Identity, PassQuestion};
use crate::frame::{Hello, Welcome};
use crate::id::Nonce;
use crate::key::InviteId;
use crate::limits::{ORIGIN_BYTES_MAX, PROTOCOL};
use crate::signed::{self, Verified};
use crate::statement::{HubProof, PASS, UnixMillis};

/// Checks a login, all of it before saying anything. What only the store can tell is left as a question.
pub(super) fn identify(
    config: &HubConfig,
    hello: Hello,
    nonce: Nonce,
    now: UnixMillis,
) -> Option<(Identity, Welcome, Option<PassQuestion>)> {
    let digest = hello.login.digest();
    let pass = hello.pass.map(|pass| pass.holds(PASS, &digest).then_some(pass.by()));
    let login = hello.login.verify().ok()?;
    let agent = login.by();
    let said = login.statement();
    let is_ours = said.hub == config.key.public()
        && said.nonce == nonce
        && said.protocol == PROTOCOL
        && said.origin.len() <= ORIGIN_BYTES_MAX
        && config.origins.contains(&said.origin);
    let seat = hello.seat.map(|seat| seat.verify()).transpose().ok()?;
    let seat_holds = seat.as_ref().is_none_or(|seat| {
        let seat = seat.statement();
        seat.seat == agent && seat.is_lawful()
    });
    if !(is_ours && seat_holds) {
        return None;
    }
    let question = match (&config.join, pass) {
        // A signature that does not hold is no pass, whoever asks.
        (Some(_), Some(None)) => return None,
        (None, _) => None,
        (Some(join), Some(Some(by))) if by == *join => None,
        (Some(_), by) => Some(PassQuestion {
            agent,
            user: seat.as_ref().map(Verified::by),
            invite: by.flatten().map(InviteId::from),
        }),
    };
    let proof = HubProof {
        agent,
        origin: said.origin.clone(),
        nonce,
        client_nonce: said.client_nonce,
        protocol: PROTOCOL,
        now,
    };
    let welcome = Welcome { hub: signed::sign(&config.key, proof).signed().clone() };
    Some((Identity { agent, seat, access: Access::Full }, welcome, question))
}
