//! The keys of a session: made, listed and ended by its owner. Their text never leaves this machine but by the owner's hand.

use std::time::Duration;

use protocol::frame::{Answer, PutKey, Request, RevokeKey};
use protocol::id::RoomId;
use protocol::invite::{SECRET_BYTES, SessionKey};
use protocol::key::InviteId;
use protocol::signed;
use protocol::statement::Key;

use super::gate::own_keys;
use super::record::{KeptKey, SessionRecord};
use super::select::{Named, select};
use super::{SessionError, Thing};
use crate::client::Client;
use crate::error::Error;
use crate::report::{KeyRow, KeyState, Keys, NewKey, RevokedKey};
use crate::seat::{self, SeatError};
use crate::settings::HubAddress;

/// What a new key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyTerms {
    /// How long it lives.
    pub(super) ttl: Duration,
    /// How many it admits.
    pub(super) max_uses: u64,
    /// Whether whoever asks by it comes in.
    pub(super) auto: bool,
    /// Whether who comes by it gets nothing of what was said before.
    pub(super) no_history: bool,
}

impl Client {
    /// Returns the keys of the session of this call. Those that were made by this user on this machine are told in full; how
    /// many were admitted is counted in the log.
    ///
    /// # Errors
    /// [`SessionError::NotOwner`] when another user has opened the session; as [`Client::room`] otherwise.
    pub async fn keys(&mut self) -> Result<Keys, Error> {
        let room = self.session().await?;
        let rows = self.gate(room).await?.keys;
        let SessionRecord { keys: kept, revoked, .. } = self.record(room)?.load()?;
        let members = self.rooms[&room].members();
        let now = seat::now();
        let keys = own_keys(rows, room, members.owner()).map(|(id, key, is_revoked)| {
            let uses = members.uses(&id);
            let state = match () {
                () if is_revoked || revoked.contains(&id) => KeyState::Revoked,
                () if uses >= key.max_uses => KeyState::UsedUp,
                () if now >= key.expires => KeyState::Expired,
                () => KeyState::Live,
            };
            let text = kept.iter().find(|kept| kept.invite == id).map(|kept| kept.text.clone());
            let Key { expires, max_uses, auto, .. } = key;
            KeyRow { id, key: text, expires, uses, max_uses, auto, state }
        });
        Ok(Keys { room, keys: keys.collect() })
    }

    /// Makes another key for the session of this call. Where the session was opened so that joiners get no history, that goes for
    /// who comes by this key too.
    ///
    /// # Errors
    /// [`SessionError::KeyBounds`] for terms that cannot be; [`SessionError::NotOwner`] and [`SessionError::NoUserKey`] for who
    /// may not; as [`Client::room`] otherwise.
    pub async fn new_key(&mut self, ttl: Duration, max_uses: u64, auto: bool) -> Result<NewKey, Error> {
        let mut terms = KeyTerms { ttl, max_uses, auto, no_history: false };
        terms.check()?;
        let room = self.owned().await?;
        let mut others = own_keys(self.gate(room).await?.keys, room, self.rooms[&room].owner());
        // The record of a session that another machine opened is there; its keys tell what it was opened with.
        terms.no_history = self.record(room)?.load()?.no_history || others.any(|(_, key, _)| key.no_history);
        self.make_key(room, terms).await
    }

    /// Ends a key of the session of this call: the beginning of its id names it, or the key itself. Who came by it stays.
    ///
    /// # Errors
    /// [`SessionError::NoSuch`] and [`SessionError::Unclear`] for a selector that means none or several; as [`Client::keys`]
    /// otherwise.
    pub async fn revoke_key(&mut self, selector: &str) -> Result<RevokedKey, Error> {
        let room = self.owned().await?;
        let owner = self.rooms[&room].owner();
        let rows = self.gate(room).await?.keys;
        let typed = selector.trim().parse::<SessionKey>().map(|key| key.invite_key().public().to_string());
        let named = own_keys(rows, room, owner).map(|(id, _, _)| Named {
            of: id,
            id: id.to_string(),
            words: None,
            name: None,
        });
        let id: InviteId = select(Thing::Key, typed.as_deref().unwrap_or(selector), named)?;
        // Noted first: whether the hub heeds it or not, nobody is let in here by the key any more.
        self.record(room)?.change(|record| {
            if !record.revoked.contains(&id) {
                record.revoked.push(id);
            }
        })?;
        match self.link.request(Request::RevokeKey(RevokeKey { room, invite: id })).await? {
            Answer::RevokeKey(_) => Ok(RevokedKey { room, id, state: KeyState::Revoked }),
            _ => unreachable!("an answer is read by the kind of its request"),
        }
    }

    /// Makes a key: kept here first, so that none is live that its owner cannot show again.
    pub(super) async fn make_key(&mut self, room: RoomId, terms: KeyTerms) -> Result<NewKey, Error> {
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret).map_err(SeatError::Random)?;
        let origin = match &self.settings.hub {
            HubAddress::Local => None,
            hub @ HubAddress::Url { .. } => Some(hub.origin()),
        };
        let key = SessionKey::new(secret, room.room12(), origin);
        let (id, text) = (key.invite_key().public(), key.to_string());
        let kept = KeptKey { invite: id, text: text.clone() };
        self.record(room)?.change(|record| record.keys.push(kept))?;
        let issued = seat::now();
        let ttl = i64::try_from(terms.ttl.as_millis()).unwrap_or(i64::MAX);
        let expires = issued.saturating_add(ttl);
        let KeyTerms { max_uses, auto, no_history, .. } = terms;
        let needs = Vec::new();
        let statement = Key { room, invite: id, issued, expires, max_uses, auto, no_history, needs };
        let key = signed::sign(self.user_key_of(room)?, statement).signed().clone();
        match self.link.request(Request::PutKey(PutKey { key })).await? {
            Answer::PutKey(_) => {}
            _ => unreachable!("an answer is read by the kind of its request"),
        }
        let join_line = format!("git parler join {text}");
        Ok(NewKey { room, id, key: text, join_line, expires })
    }
}

impl KeyTerms {
    /// Refuses what no hub takes and no reader believes.
    pub(super) fn check(&self) -> Result<(), SessionError> {
        let is_long_enough = self.ttl >= Duration::from_secs(1);
        let life = i64::try_from(self.ttl.as_millis()).unwrap_or(i64::MAX);
        let is_lawful = life <= protocol::limits::KEY_MILLIS_MAX
            && (1..=protocol::limits::KEY_USES_MAX).contains(&self.max_uses);
        if is_long_enough && is_lawful { Ok(()) } else { Err(SessionError::KeyBounds) }
    }
}
