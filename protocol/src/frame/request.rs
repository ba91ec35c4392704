//! The requests of the protocol and their answers, field by field.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entry::Entry;
use super::join::{AskToJoin, Asked, JoinStanding, JoinState, PutKey, RequestList, Requests, RevokeKey};
use super::{RequestId, value};
use crate::id::{BlobId, BlobPrefix, RoomId};
use crate::json::{JsonError, shape};
use crate::room::ChainEnd;
use crate::signed::Signed;
use crate::statement::{Genesis, LogPoint, Membership, Message, Seat};

macro_rules! requests {
    ($($(#[$doc:meta])* $variant:ident($request:ty) -> $answer:ident = $name:literal,)*) => {
        /// What a client may ask of a hub.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Request {
            $($(#[$doc])* $variant($request),)*
        }

        /// What a hub answers, kind for kind.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Answer {
            $(#[doc = concat!("Answers `", $name, "`.")] $variant($answer),)*
        }

        /// Tells which request an answer belongs to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum RequestKind {
            $(#[doc = concat!("`", $name, "`.")] $variant,)*
        }

        impl Request {
            /// Returns which request this is.
            pub fn kind(&self) -> RequestKind {
                match self { $(Self::$variant(_) => RequestKind::$variant,)* }
            }

            pub(super) fn to_value(&self) -> Value {
                match self { $(Self::$variant(request) => value(request),)* }
            }

            pub(super) fn from_value(name: &str, value: Value) -> Option<Result<Self, JsonError>> {
                match name {
                    $($name => Some(shape(value).map(Self::$variant)),)*
                    _ => None,
                }
            }

            pub(super) fn is_name(name: &str) -> bool {
                matches!(name, $($name)|*)
            }
        }

        impl Answer {
            pub(super) fn to_value(&self) -> Value {
                match self { $(Self::$variant(answer) => value(answer),)* }
            }

            /// Reads the `ok` of an answer to a request of `kind`.
            ///
            /// # Errors
            ///
            /// [`JsonError::Shape`] when it has not that answer's fields.
            pub fn from_value(kind: RequestKind, value: Value) -> Result<Self, JsonError> {
                match kind { $(RequestKind::$variant => shape(value).map(Self::$variant),)* }
            }
        }

        impl RequestKind {
            /// Every request of this version.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the name under which the request travels.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

requests! {
    /// Lists the rooms of the one who asks.
    Rooms(Rooms) -> RoomList = "rooms",
    /// Opens a room, or finds it open.
    OpenRoom(OpenRoom) -> OpenedRoom = "open_room",
    /// Appends an act of the owner to a room's log.
    Append(Append) -> Appended = "append",
    /// Appends a message to a room's log.
    Post(Post) -> Posted = "post",
    /// Reads a range of a room's log, and may wait for it.
    Pull(Pull) -> Pulled = "pull",
    /// Reads the membership chain of a room, and who left.
    Chain(Chain) -> ChainPage = "chain",
    /// Lists the blobs that messages of a room refer to.
    Handoffs(Handoffs) -> BlobReferences = "handoffs",
    /// Looks for blobs by the beginning of their id in all rooms of the one who asks.
    Find(Find) -> BlobReferences = "find",
    /// Moves a reader's cursor.
    Ack(Ack) -> Acked = "ack",
    /// Uploads a blob.
    PutBlob(PutBlob) -> PutDone = "put_blob",
    /// Downloads a blob.
    GetBlob(GetBlob) -> Empty = "get_blob",
    /// Makes a session key known to the hub.
    PutKey(PutKey) -> Empty = "put_key",
    /// Ends a session key.
    RevokeKey(RevokeKey) -> Empty = "revoke_key",
    /// Asks to join.
    Join(Box<AskToJoin>) -> Asked = "join",
    /// Tells what became of one's own request to join, and may wait for it.
    JoinState(JoinState) -> JoinStanding = "join_state",
    /// Lists the requests to join and the keys of one's own room.
    Requests(Requests) -> RequestList = "requests",
    /// Ends an open request.
    Cancel(Cancel) -> Empty = "cancel",
    /// Does nothing and is answered.
    Ping(Empty) -> Empty = "ping",
}

/// No fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// Lists rooms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rooms {
    /// Only rooms whose id is above this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<RoomId>,
    /// The reader whose cursors are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<String>,
}

/// The rooms of an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomList {
    /// One row a room, by rising id.
    pub rooms: Vec<RoomRow>,
    /// Whether there are more.
    #[serde(default)]
    pub more: bool,
}

/// A room as its hub lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomRow {
    /// The room's id.
    pub room: RoomId,
    /// The statement that opened it.
    pub genesis: Signed<Genesis>,
    /// The end of its log.
    pub end: LogPoint,
    /// Where the reader's cursor is, when the cursors of a reader were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<u64>,
    /// How many requests to join wait, for the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<u64>,
}

/// Opens a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRoom {
    /// The owner's statement.
    pub genesis: Signed<Genesis>,
}

/// A room that is open now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedRoom {
    /// Its id.
    pub room: RoomId,
    /// The end of its log.
    pub end: LogPoint,
}

/// Appends an act of the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Append {
    /// The room.
    pub room: RoomId,
    /// The owner's statement, whoever hands it in.
    pub membership: Signed<Membership>,
}

/// Where an act stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appended {
    /// Its sequence number; the same for a retry.
    pub seq: u64,
}

/// Reads a room's membership chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// The room.
    pub room: RoomId,
    /// Only entries above this one.
    pub after: u64,
}

/// A part of a room's chain: acts of the owner, and headers of messages by which members left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainPage {
    /// The entries, by rising sequence number.
    pub entries: Vec<Entry>,
    /// Whether there are more.
    #[serde(default)]
    pub more: bool,
    /// The end of the chain.
    pub end: ChainEnd,
}

/// Posts a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    /// The room.
    pub room: RoomId,
    /// The signed header.
    pub message: Signed<Message>,
    /// The body's text.
    pub body: String,
}

/// Where a message stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    /// Its sequence number; the same for a retry.
    pub seq: u64,
}

/// Reads a room's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// The room.
    pub room: RoomId,
    /// The sequence number after which to begin.
    pub after: u64,
    /// At most so many entries.
    pub limit: u64,
    /// Whether bodies travel; yes when absent.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bodies: bool,
    /// Waits so long for a first entry, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// A range of a room's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulled {
    /// The point before the first entry, as the hub has it.
    pub start: LogPoint,
    /// The entries, without holes.
    pub entries: Vec<Entry>,
    /// Seat statements of the owner's seats among the authors.
    #[serde(default)]
    pub seats: Vec<Signed<Seat>>,
    /// The point below which the log has expired.
    pub base: LogPoint,
    /// The end of the log.
    pub end: LogPoint,
}

/// Lists references to blobs, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handoffs {
    /// The room.
    pub room: RoomId,
    /// Only entries before this sequence number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// At most so many references.
    pub limit: u64,
}

/// Looks for blobs by prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Find {
    /// The beginning of the id.
    pub prefix: BlobPrefix,
}

/// References to blobs, newest first in each room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobReferences {
    /// One row for each (entry, blob).
    pub references: Vec<BlobReference>,
    /// Whether there are older ones.
    #[serde(default)]
    pub more: bool,
}

/// An entry that refers to a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobReference {
    /// The room.
    pub room: RoomId,
    /// The entry.
    pub seq: u64,
    /// The blob.
    pub blob: BlobId,
    /// Whether the hub still has its bytes.
    pub available: bool,
}

/// Moves a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The room.
    pub room: RoomId,
    /// The reader: 1–16 of `a-z0-9-`.
    pub reader: String,
    /// The last entry that was handed on.
    pub seq: u64,
}

/// Where a cursor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acked {
    /// The larger of old and new.
    pub cursor: u64,
}

/// Uploads a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutBlob {
    /// The room it is for.
    pub room: RoomId,
    /// What its bytes hash to.
    pub id: BlobId,
    /// Its size in bytes.
    pub size: u64,
}

/// An upload that ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutDone {
    /// Whether the room had the blob already and no byte was needed.
    pub present: bool,
}

/// Downloads a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetBlob {
    /// The room that has it.
    pub room: RoomId,
    /// The blob.
    pub id: BlobId,
    /// The first byte wanted.
    pub offset: u64,
}

/// Ends an open request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// The request's number.
    pub id: RequestId,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}
