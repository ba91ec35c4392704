//! The statements of the protocol: what can be signed, by which kind of key, and what each says.
//!
//! Fields stand in the order in which they are written; a reader accepts any order.

use serde::{Deserialize, Serialize};

use crate::id::{BlobId, Digest, Nonce, RoomId, Salt};
use crate::json;
use crate::key::{Agent, AgentId, Hub, HubId, User};
use crate::limits::{NAME_BYTES_MAX, SEAT_MILLIS_MAX};
use crate::signed::Statement;

/// Unix time in milliseconds.
pub type UnixMillis = i64;

/// What a client signs to log in; it composes every field itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The hub's key as challenged.
    pub hub: HubId,
    /// Where the client dialled: `ws://host:port`, or the word `local`.
    pub origin: String,
    /// The hub's nonce.
    pub nonce: Nonce,
    /// The client's nonce.
    pub client_nonce: Nonce,
    /// The protocol level both will speak.
    pub protocol: u32,
    /// Features without which the login is void.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
}

/// What a hub signs to answer a login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubProof {
    /// Who logged in.
    pub agent: AgentId,
    /// The origin that the client named.
    pub origin: String,
    /// The hub's nonce.
    pub nonce: Nonce,
    /// The client's nonce.
    pub client_nonce: Nonce,
    /// The protocol level both will speak.
    pub protocol: u32,
    /// The hub's clock.
    pub now: UnixMillis,
}

/// A user vouches for a seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// The seat's agent.
    pub seat: AgentId,
    /// Its name: a label, never identity.
    pub name: String,
    /// When it was signed.
    pub issued: UnixMillis,
    /// From when on it does not count; at most 90 days after `issued`.
    pub expires: UnixMillis,
}

/// The kind of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    /// A user's own seats, by themselves.
    Home,
    /// Has a key to ask with; the owner approves each joiner.
    Session,
    /// Many producers, workers that claim.
    Service,
}

/// Opens a room; its digest is the room's id and its signer the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// The hub on which the room means anything.
    pub hub: HubId,
    /// The kind of room.
    pub kind: RoomKind,
    /// Makes one room of an owner unlike another; none in a home, of which there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<Salt>,
    /// Features without which the room is unusable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
}

impl Genesis {
    /// Returns the genesis of a user's home on `hub`: always the same bytes, so seats that race make the same room.
    pub fn home(hub: HubId) -> Self {
        Self { hub, kind: RoomKind::Home, salt: None, needs: Vec::new() }
    }
}

/// A place in a room's log and the log's value there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPoint {
    /// The sequence number of the entry; 0 before the first.
    pub seq: u64,
    /// The value of the log after that entry.
    pub log: Digest,
}

impl LogPoint {
    /// Returns the beginning of a room's log.
    pub fn start(room: RoomId) -> Self {
        Self { seq: 0, log: room.into() }
    }
}

/// The signed header of a message; the body travels beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The room it is for.
    pub room: RoomId,
    /// Counts the author's messages in this room from 1.
    pub n: u64,
    /// The newest point of the log that the author had verified.
    pub head: LogPoint,
    /// When it was signed, by the author's clock.
    pub sent: UnixMillis,
    /// 0: the body is clear text.
    pub epoch: u32,
    /// SHA-256 of the body's bytes.
    pub body: Digest,
    /// The blobs that the parts refer to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<BlobId>,
    /// Whether the author leaves the room with this message.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leave: bool,
    /// Features without which the body must not be shown; the message still counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
}

impl Seat {
    /// Says whether the statement keeps to the limits of its kind: a life of at most 90 days and a name of at most 100 bytes.
    pub fn is_lawful(&self) -> bool {
        let life = self.expires.saturating_sub(self.issued);
        (0..=SEAT_MILLIS_MAX).contains(&life) && self.name.len() <= NAME_BYTES_MAX
    }
}

macro_rules! statements {
    ($($name:ident by $author:ident = $label:literal { $($rule:tt)* })*) => {
        $(impl Statement for $name {
            const TYPE: &'static str = $label;
            type Author = $author;
            $($rule)*
        })*

        /// Every type of statement of this version.
        pub const TYPES: &[&str] = &[$($label,)*];
    };
}

statements! {
    Login by Agent = "login" {}
    HubProof by Hub = "hub" {}
    Seat by User = "seat" {}
    Genesis by User = "genesis" {
        /// A home has one writing, so that a user has one home on a hub.
        fn is_written(&self, bytes: &str) -> bool {
            self.kind != RoomKind::Home || bytes == json::write(&Self::home(self.hub))
        }
    }
    Message by Agent = "message" {
        const IS_VOID_WITHOUT_NEEDS: bool = false;
    }
}

/// The type of the countersignature by which a closed hub's join key lets a login in.
pub const PASS: &str = "pass";
