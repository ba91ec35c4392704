//! The statements of the protocol: what can be signed, by which kind of key, and what each says.
//!
//! Fields stand in the order in which they are written; a reader accepts any order.

mod membership;

use serde::{Deserialize, Serialize};

pub use self::membership::{Admit, Membership, Op, Role};
use crate::clean;
use crate::id::{BlobId, Digest, Nonce, Room12, RoomId, Salt};
use crate::json;
use crate::key::{Agent, AgentId, Hub, HubId, InviteId, User};
use crate::limits::{KEY_MILLIS_MAX, KEY_USES_MAX, NAME_BYTES_MAX, SEAT_MILLIS_MAX};
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

/// The owner's word on a session key: whoever holds its secret may ask to join, for so long and so often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The room it asks for.
    pub room: RoomId,
    /// The public half of what the secret stands for.
    pub invite: InviteId,
    /// When it was signed.
    pub issued: UnixMillis,
    /// From when on it admits nobody.
    pub expires: UnixMillis,
    /// How many may be admitted by it.
    pub max_uses: u64,
    /// Whether any connected seat of the owner admits whoever asks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub auto: bool,
    /// Whether whoever comes by it gets nothing of what was said before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_history: bool,
    /// Features without which the key is void.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
}

/// An agent asks to be let into a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The hub on which the room is.
    pub hub: HubId,
    /// How the room's id begins, which is all that the agent knows of it.
    pub room12: Room12,
    /// The invite key that countersigns.
    pub invite: InviteId,
    /// The name by which the agent wants to go: a label, never identity.
    pub name: String,
    /// When it was signed.
    pub asked: UnixMillis,
    /// Features without which the request is void.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
}

/// Says whether `name` can be somebody's: one line that shows, of at most 100 bytes, with something in it.
///
/// ```
/// use protocol::statement::is_name;
/// assert!(is_name("ana/app"));
/// assert!(!is_name("  ") && !is_name("ana\u{202e}") && !is_name(&"a".repeat(101)));
/// ```
pub fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(clean::is_hidden)
}

impl Key {
    /// Says whether the statement keeps to the limits of its kind: a life of at most a year, and 1 to 256 uses.
    pub fn is_lawful(&self) -> bool {
        let life = self.expires.saturating_sub(self.issued);
        (1..=KEY_MILLIS_MAX).contains(&life) && (1..=KEY_USES_MAX).contains(&self.max_uses)
    }
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
    Membership by User = "membership" {}
    Message by Agent = "message" {
        const IS_VOID_WITHOUT_NEEDS: bool = false;
    }
    Key by User = "key" {}
    Join by Agent = "join" {}
}

/// The type of the countersignature by which the holder of a session key vouches for a request to join.
pub const ASK: &str = "ask";
/// The type of the countersignature by which a closed hub's join key, or a live invite key, lets a login in.
pub const PASS: &str = "pass";
