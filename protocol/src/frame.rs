//! The frames of the protocol: what client and hub say to each other, as text and as binary packets.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::id::{BlobId, BlobPrefix, Nonce, RoomId};
use crate::json::{self, JsonError, shape};
use crate::key::{HubId, Join};
use crate::limits::{CHUNK_BYTES_MAX, CHUNK_HEADER_BYTES, Limits};
use crate::refusal::Refusal;
use crate::signed::{Countersigned, Signed};
use crate::statement::{Genesis, HubProof, LogPoint, Login, Message, Seat};

/// The number of a request on its connection; numbers rise.
pub type RequestId = u32;

/// One WebSocket message, text or binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// One JSON object.
    Text(String),
    /// A request's number and a chunk of a blob.
    Binary(Vec<u8>),
}

/// What a hub says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The hub's key.
    pub hub: HubId,
    /// Fresh for this connection.
    pub nonce: Nonce,
    /// The newest protocol level it speaks.
    pub protocol: u32,
    /// Whether a login needs a pass.
    pub closed: bool,
    /// What the hub allows, as hints.
    #[serde(default)]
    pub limits: Limits,
}

/// How a client logs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The login, by the seat's key.
    pub login: Signed<Login>,
    /// The user's word for the seat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<Signed<Seat>>,
    /// A closed hub's join key under the login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<Countersigned<Join>>,
}

/// How a hub answers a login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The hub's word for this login.
    pub hub: Signed<HubProof>,
}

macro_rules! requests {
    ($($(#[$doc:meta])* $variant:ident($request:ident) -> $answer:ident = $name:literal,)*) => {
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

            fn to_value(&self) -> Value {
                match self { $(Self::$variant(request) => value(request),)* }
            }

            fn from_value(name: &str, value: Value) -> Option<Result<Self, JsonError>> {
                match name {
                    $($name => Some(shape(value).map(Self::$variant)),)*
                    _ => None,
                }
            }

            fn is_name(name: &str) -> bool {
                matches!(name, $($name)|*)
            }
        }

        impl Answer {
            fn to_value(&self) -> Value {
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
    Rooms(Empty) -> RoomList = "rooms",
    /// Opens a room, or finds it open.
    OpenRoom(OpenRoom) -> OpenedRoom = "open_room",
    /// Appends a message to a room's log.
    Post(Post) -> Posted = "post",
    /// Reads a range of a room's log, and may wait for it.
    Pull(Pull) -> Pulled = "pull",
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
    /// Ends an open request.
    Cancel(Cancel) -> Empty = "cancel",
    /// Does nothing and is answered.
    Ping(Empty) -> Empty = "ping",
}

/// No fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// The rooms of an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomList {
    /// One row a room.
    pub rooms: Vec<RoomRow>,
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

/// One entry of a room's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its sequence number.
    pub seq: u64,
    /// The signed header of the message.
    pub message: Signed<Message>,
    /// The body's text, where it travels and still exists.
    pub body: Option<String>,
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

/// Begins a transfer: the hub's first word on `put_blob` and `get_blob`, before any chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Go {
    /// The first byte that travels.
    pub offset: u64,
    /// The blob's whole size in bytes.
    pub size: u64,
}

/// A hint without content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What happened: `rooms`, `closing`, …; unknown ones are ignored.
    pub event: String,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomId>,
}

impl Event {
    /// The event of a hub that is about to close the connection.
    pub const CLOSING: &'static str = "closing";
}

/// A text frame from a client.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientFrame {
    /// The login.
    Hello(Box<Hello>),
    /// A request this version knows, with its fields right.
    Request(RequestId, Request),
    /// A request whose name or fields this version does not know.
    Unreadable(RequestId, UnreadableRequest),
}

/// Why a numbered request was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnreadableRequest {
    /// Its name is unknown.
    Unsupported,
    /// Its fields are wrong.
    BadRequest,
}

/// A text frame from a hub.
#[derive(Debug, Clone, PartialEq)]
pub enum HubFrame {
    /// The first word.
    Challenge(Box<Challenge>),
    /// The answer to a login.
    Welcome(Box<Welcome>),
    /// A transfer begins.
    Go(RequestId, Go),
    /// A request was done; the value is read by the request's kind.
    Ok(RequestId, Value),
    /// A request was refused; `None` refuses the connection.
    Err(Option<RequestId>, Refusal),
    /// A hint.
    Event(Event),
    /// A frame of a kind that this version does not know.
    Unknown,
}

impl ClientFrame {
    /// Returns the frame's JSON text.
    pub fn hello(hello: &Hello) -> String {
        json::write(&json!({ "hello": value(hello) }))
    }

    /// Returns the frame's JSON text.
    pub fn request(id: RequestId, request: &Request) -> String {
        let mut frame = Map::new();
        frame.insert("id".into(), id.into());
        frame.insert(request.kind().name().into(), request.to_value());
        json::write(&frame)
    }

    /// Reads a frame.
    ///
    /// # Errors
    ///
    /// [`JsonError`] when the text is no frame of a client; the connection is then not worth keeping.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let mut frame: Map<String, Value> = json::parse(text)?;
        if let Some(hello) = frame.remove("hello") {
            return shape(hello).map(Box::new).map(Self::Hello);
        }
        let id: RequestId = shape(frame.remove("id").unwrap_or_default())?;
        let is_empty = frame.is_empty();
        // What stands beside a request that this version knows is a newer version's and ignored.
        let mut requests = frame.into_iter().filter(|(name, _)| Request::is_name(name));
        let (name, fields) = match (requests.next(), requests.next()) {
            (Some(request), None) => request,
            (None, _) if !is_empty => return Ok(Self::Unreadable(id, UnreadableRequest::Unsupported)),
            _ => return Ok(Self::Unreadable(id, UnreadableRequest::BadRequest)),
        };
        Ok(match Request::from_value(&name, fields) {
            None => Self::Unreadable(id, UnreadableRequest::Unsupported),
            Some(Err(_)) => Self::Unreadable(id, UnreadableRequest::BadRequest),
            Some(Ok(request)) => Self::Request(id, request),
        })
    }
}

impl HubFrame {
    /// Returns the JSON text of a challenge.
    pub fn challenge(challenge: &Challenge) -> String {
        json::write(&json!({ "challenge": value(challenge) }))
    }

    /// Returns the JSON text of a welcome.
    pub fn welcome(welcome: &Welcome) -> String {
        json::write(&json!({ "welcome": value(welcome) }))
    }

    /// Returns the JSON text of the beginning of a transfer.
    pub fn go(id: RequestId, go: &Go) -> String {
        json::write(&json!({ "re": id, "go": value(go) }))
    }

    /// Returns the JSON text of an answer.
    pub fn answer(id: RequestId, answer: &Result<Answer, Refusal>) -> String {
        match answer {
            Ok(answer) => json::write(&json!({ "re": id, "ok": answer.to_value() })),
            Err(refusal) => json::write(&json!({ "re": id, "err": value(refusal) })),
        }
    }

    /// Returns the JSON text of a refusal of the whole connection.
    pub fn refusal(refusal: &Refusal) -> String {
        json::write(&json!({ "err": value(refusal) }))
    }

    /// Returns the JSON text of an event.
    pub fn event(event: &Event) -> String {
        json::write(event)
    }

    /// Reads a frame.
    ///
    /// # Errors
    ///
    /// [`JsonError`] when the text is no frame of a hub.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let mut frame: Map<String, Value> = json::parse(text)?;
        if let Some(challenge) = frame.remove("challenge") {
            return shape(challenge).map(Box::new).map(Self::Challenge);
        }
        if let Some(welcome) = frame.remove("welcome") {
            return shape(welcome).map(Box::new).map(Self::Welcome);
        }
        let re: Option<RequestId> = frame.remove("re").map(shape).transpose()?;
        if let Some(refusal) = frame.remove("err") {
            return shape(refusal).map(|refusal: Refusal| Self::Err(re, refusal.cleaned()));
        }
        if let Some(re) = re {
            if let Some(go) = frame.remove("go") {
                return shape(go).map(|go| Self::Go(re, go));
            }
            if let Some(ok) = frame.remove("ok") {
                return Ok(Self::Ok(re, ok));
            }
        }
        if frame.contains_key("event") {
            return shape(Value::Object(frame)).map(Self::Event);
        }
        Ok(Self::Unknown)
    }
}

/// Returns a binary packet: the request's number, then `chunk`, at most [`CHUNK_BYTES_MAX`] bytes.
pub fn chunk_packet(id: RequestId, chunk: &[u8]) -> Packet {
    assert!(chunk.len() <= CHUNK_BYTES_MAX, "a chunk is cut by its sender");
    let mut packet = Vec::with_capacity(CHUNK_HEADER_BYTES + chunk.len());
    packet.extend_from_slice(&id.to_be_bytes());
    packet.extend_from_slice(chunk);
    Packet::Binary(packet)
}

/// Splits a binary packet into the request's number and the chunk; `None` when it is too short or too long.
pub fn split_chunk(mut packet: Vec<u8>) -> Option<(RequestId, Vec<u8>)> {
    let number = packet.get(..CHUNK_HEADER_BYTES)?.try_into().ok()?;
    if packet.len() > CHUNK_HEADER_BYTES + CHUNK_BYTES_MAX {
        return None;
    }
    packet.drain(..CHUNK_HEADER_BYTES);
    Some((RequestId::from_be_bytes(number), packet))
}

#[derive(Serialize, Deserialize)]
struct EntryWire {
    seq: u64,
    message: MessageWire,
}

#[derive(Serialize, Deserialize)]
struct MessageWire {
    #[serde(flatten)]
    statement: Signed<Message>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let message = MessageWire { statement: self.message.clone(), body: self.body.clone() };
        EntryWire { seq: self.seq, message }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let EntryWire { seq, message } = EntryWire::deserialize(deserializer)?;
        Ok(Self { seq, message: message.statement, body: message.body })
    }
}

fn value<T: Serialize>(of: &T) -> Value {
    serde_json::to_value(of).expect("our types have string keys and no failing serializers")
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}
