//! Session keys and requests to join, field by field.

use serde::{Deserialize, Serialize};

use crate::id::{Digest, RoomId};
use crate::key::{Invite, InviteId};
use crate::signed::{Countersigned, Signed};
use crate::statement::{Genesis, Join, Key, Seat, UnixMillis};

/// Makes a session key known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutKey {
    /// The owner's word on it.
    pub key: Signed<Key>,
}

/// Ends a session key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeKey {
    /// The room.
    pub room: RoomId,
    /// The key's public half.
    pub invite: InviteId,
}

/// Asks to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskToJoin {
    /// The agent's statement.
    pub join: Signed<Join>,
    /// The invite key under it.
    pub ask: Countersigned<Invite>,
    /// A user's word for the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<Signed<Seat>>,
}

/// A request to join that was filed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Names the request; the same for who asks again.
    pub request: Digest,
}

/// Asks what became of one's own request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinState {
    /// The request.
    pub request: Digest,
    /// Waits so long for the owner's decision, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// What became of a request to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinStanding {
    /// What the agent is now.
    pub state: JoinerState,
    /// For a member: the statement that opened the room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genesis: Option<Signed<Genesis>>,
}

/// What somebody who asked to join is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinerState {
    /// Nobody has decided.
    Pending,
    /// Admitted.
    Member,
    /// Turned away for good.
    Denied,
    /// Was in the room, and was put out or left.
    Removed,
}

/// Lists the requests to join a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// The room.
    pub room: RoomId,
    /// Only requests behind this one, in the order in which they were filed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Digest>,
}

/// The requests to join a room that wait, and its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestList {
    /// The requests, the oldest first.
    pub requests: Vec<JoinRequest>,
    /// Whether there are more.
    #[serde(default)]
    pub more: bool,
    /// The keys of the room, in the first part of the list only.
    #[serde(default)]
    pub keys: Vec<KeyRow>,
}

/// A request to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// What the agent handed in.
    #[serde(flatten)]
    pub ask: AskToJoin,
    /// The owner's word on the key.
    pub key: Signed<Key>,
    /// When the hub first saw it.
    pub first_seen: UnixMillis,
}

/// A session key, as its hub keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// The owner's word on it.
    pub key: Signed<Key>,
    /// How many were admitted by it.
    pub uses: u64,
    /// Whether it was revoked.
    #[serde(default)]
    pub revoked: bool,
}
