//! The frames of the protocol: what client and hub say to each other, as text and as binary packets.

mod entry;
mod join;
mod request;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::id::{Nonce, RoomId};
use crate::json::{self, JsonError, shape};
use crate::key::{HubId, Join};
use crate::limits::{CHUNK_BYTES_MAX, CHUNK_HEADER_BYTES, Limits};
use crate::refusal::Refusal;
use crate::signed::{Countersigned, Signed};
use crate::statement::{HubProof, Login, Seat};

pub use entry::{Entry, EntryContent};
pub use join::{
    AskToJoin, Asked, JoinRequest, JoinStanding, JoinState, JoinerState, KeyRow, PutKey, RequestList,
    Requests, RevokeKey,
};
pub use request::{
    Ack, Acked, Answer, Append, Appended, BlobReference, BlobReferences, Cancel, Chain, ChainPage, Empty,
    Find, GetBlob, Handoffs, OpenRoom, OpenedRoom, Post, Posted, Pull, Pulled, PutBlob, PutDone, Request,
    RequestKind, RoomList, RoomRow, Rooms,
};

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
    /// The event for the owner of a room in which somebody asks to join.
    pub const REQUESTS: &'static str = "requests";
    /// The event for an agent that was let into a room or put out of one.
    pub const ROOMS: &'static str = "rooms";
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

fn value<T: Serialize>(of: &T) -> Value {
    serde_json::to_value(of).expect("our types have string keys and no failing serializers")
}
