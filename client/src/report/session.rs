//! The answers of the commands about sessions: opening, joining, deciding, keys, conversation.

use protocol::frame::JoinerState;
use protocol::id::{BlobId, RoomId};
use protocol::key::{AgentId, InviteId, UserId};
use protocol::room::Flag;
use protocol::statement::{Role, UnixMillis};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Agent, HandoffState, Signature};

/// Answer of `open`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Open {
    /// The session that is in use now.
    #[schemars(with = "String")]
    pub session: RoomId,
    /// The same: the room that this answer is about.
    #[schemars(with = "String")]
    pub room: RoomId,
    /// The key that lets somebody ask to join, with the hub's origin unless that is the local hub.
    pub key: String,
    /// The command that a joiner pastes.
    pub join_line: String,
    /// From when on the key admits nobody, in unix milliseconds.
    pub expires: UnixMillis,
}

/// Answer of `join`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Join {
    /// The session that is in use now; none before the owner has admitted this seat.
    #[schemars(with = "Option<String>")]
    pub session: Option<RoomId>,
    /// The same: the room that this answer is about.
    #[schemars(with = "Option<String>")]
    pub room: Option<RoomId>,
    /// What became of the request.
    #[schemars(with = "String")]
    pub state: JoinerState,
    /// The context: what was said before, once this seat is a member.
    pub messages: Vec<LoggedMessage>,
    /// The place of the last of them in the log.
    pub cursor: u64,
}

/// Answer of `requests`, and `pending` of `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Requests {
    /// The room.
    #[schemars(with = "String")]
    pub room: RoomId,
    /// Those that may be approved, the oldest first.
    pub requests: Vec<JoinRequest>,
    /// Those that are not offered for approval.
    pub rejected: Vec<RejectedRequest>,
    /// Whether there are more than are looked at; they come up once these are decided.
    pub more: bool,
}

/// A request to join that may be approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct JoinRequest {
    /// Who asks.
    #[schemars(with = "String")]
    pub id: AgentId,
    /// By which name: a label that the joiner has chosen.
    pub name: String,
    /// The id as words, to be compared with what the joiner reads out.
    pub words: String,
    /// The key that it came by: its public half.
    #[schemars(with = "String")]
    pub key: InviteId,
    /// When the hub first saw it, by the hub's word, in unix milliseconds.
    pub first_seen: UnixMillis,
    /// Names of members and of others who ask that look the same or nearly so, or that this name holds.
    pub confusable_with: Vec<String>,
    /// Whether its key says that whoever asks comes in.
    pub auto: bool,
    /// Whether the owner has put this agent out before; then its key lets it in no more by itself.
    pub was_removed: bool,
}

/// A request to join that is not what it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RejectedRequest {
    /// Who is said to ask.
    #[schemars(with = "String")]
    pub id: AgentId,
    /// Why it is not offered for approval.
    pub reason: String,
}

/// Answer of `approve`, `deny` and `kick`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Decision {
    /// The room.
    #[schemars(with = "String")]
    pub room: RoomId,
    /// Whom it is about.
    pub joiner: Agent,
    /// What that agent is now.
    #[schemars(with = "String")]
    pub state: JoinerState,
}

/// Answer of `key list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Keys {
    /// The room.
    #[schemars(with = "String")]
    pub room: RoomId,
    /// Its keys, the oldest first.
    pub keys: Vec<KeyRow>,
}

/// One session key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KeyRow {
    /// The key's public half, by which it is revoked.
    #[schemars(with = "String")]
    pub id: InviteId,
    /// The key itself, where it was made by this user on this machine.
    pub key: Option<String>,
    /// From when on it admits nobody, in unix milliseconds.
    pub expires: UnixMillis,
    /// How many were admitted by it.
    pub uses: u64,
    /// How many may be.
    pub max_uses: u64,
    /// Whether whoever asks comes in.
    pub auto: bool,
    /// Whether it still admits anybody, and why not.
    pub state: KeyState,
}

/// Whether a session key still admits anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It does.
    Live,
    /// Its time is over.
    Expired,
    /// As many were admitted by it as may be.
    UsedUp,
    /// The owner ended it.
    Revoked,
}

/// Answer of `key new`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NewKey {
    /// The room.
    #[schemars(with = "String")]
    pub room: RoomId,
    /// The key's public half, by which it is revoked.
    #[schemars(with = "String")]
    pub id: InviteId,
    /// The key that lets somebody ask to join.
    pub key: String,
    /// The command that a joiner pastes.
    pub join_line: String,
    /// From when on the key admits nobody, in unix milliseconds.
    pub expires: UnixMillis,
}

/// Answer of `key revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RevokedKey {
    /// The room.
    #[schemars(with = "String")]
    pub room: RoomId,
    /// The key's public half.
    #[schemars(with = "String")]
    pub id: InviteId,
    /// What it is now.
    pub state: KeyState,
}

/// Answer of `send`, `leave` and `close`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Send {
    /// The room.
    #[schemars(with = "String")]
    pub room: RoomId,
    /// The entry in its log.
    pub seq: u64,
}

/// Answer of `recv` and `log`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Received {
    /// The room.
    #[schemars(with = "String")]
    pub room: RoomId,
    /// What was said and done, oldest first.
    pub messages: Vec<LoggedMessage>,
    /// The place up to which all was looked at: what to acknowledge once the messages were handed on.
    pub cursor: u64,
    /// Whether there is more behind it.
    pub more: bool,
    /// How many entries have expired unread.
    pub expired: u64,
    /// What is odd about the room: with `fork`, the hub shows another history than before, and nothing behind `cursor` was
    /// believed.
    #[schemars(with = "Vec<String>")]
    pub flags: Vec<Flag>,
}

/// One entry of a room's log, as far as it may be shown.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LoggedMessage {
    /// Its place in the log.
    pub seq: u64,
    /// Who wrote it; none for an act of the owner, which the user key has signed, and where nobody is proven.
    pub from: Option<Agent>,
    /// What is known of the author.
    pub signature: Signature,
    /// When, by the author's clock, in unix milliseconds; none for an act of the owner.
    pub sent: Option<UnixMillis>,
    /// What it is.
    pub kind: MessageKind,
    /// What it says; none where nothing may be shown.
    pub text: Option<String>,
    /// The handoff that it refers to.
    pub bundle: Option<LoggedBundle>,
    /// Whom an act of the owner is about; more than one where it turns several away.
    pub agents: Vec<Agent>,
    /// What is odd about it.
    #[schemars(with = "Vec<String>")]
    pub flags: Vec<Flag>,
}

/// What an entry of a log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// Something was said.
    Text,
    /// A handoff.
    Bundle,
    /// What the session is about.
    Topic,
    /// The owner let somebody in.
    Admit,
    /// The owner turned somebody away.
    Deny,
    /// The owner put somebody out.
    Remove,
    /// The owner closed the room.
    Close,
    /// A member left.
    Leave,
    /// Something that this version does not know, or that cannot be shown.
    Other,
}

/// A handoff in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LoggedBundle {
    /// The bundle's id.
    #[schemars(with = "String")]
    pub id: BlobId,
    /// One line about it, as the author stated.
    pub summary: String,
    /// The first tip.
    pub tip: String,
    /// The commits that it builds on.
    pub prerequisites: Vec<String>,
    /// How many commits travel, as the author stated.
    pub commits: u64,
    /// The bundle's size in bytes.
    pub size: u64,
    /// The handoff in whose place this one is, as the author stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub supersedes: Option<BlobId>,
    /// How far it has come here.
    pub state: HandoffState,
}

/// Answer of `sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Sessions {
    /// The sessions that this seat is in, and those that its user has opened.
    pub sessions: Vec<Session>,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Session {
    /// The room.
    #[schemars(with = "String")]
    pub room: RoomId,
    /// What it is about, where that was said and may be read.
    pub topic: Option<String>,
    /// The user who opened it.
    #[schemars(with = "String")]
    pub owner: UserId,
    /// What this seat is in it.
    #[schemars(with = "String")]
    pub role: Role,
    /// How many entries of others this reader has not seen.
    pub unread: u64,
    /// How many requests to join wait, for the owner.
    pub pending: u64,
    /// Whether it takes no more entries.
    pub closed: bool,
    /// Whether this seat works in it.
    pub in_use: bool,
}

/// Answer of `use`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Use {
    /// The session that is in use now; none for the home.
    #[schemars(with = "Option<String>")]
    pub session: Option<RoomId>,
    /// The room in which this seat works now; none for a home that the hub could not be asked for.
    #[schemars(with = "Option<String>")]
    pub room: Option<RoomId>,
    /// What it is about, where that was said and may be read.
    pub topic: Option<String>,
}
