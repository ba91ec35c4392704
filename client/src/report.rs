//! The answers of the commands as types: what `--json` prints and, later, what the MCP tools return.
//!
//! New fields may come; none may change or go. Everything a peer wrote stands here as it came, and is cleaned where it is
//! shown to a person.

mod connect;
mod hooks;
mod session;
pub mod text;
pub mod when;

pub use connect::{Connect, ConnectPart, ConnectProblem, ConnectState, ConnectedHost};
pub use hooks::{Hooks, HooksGivenUp, HooksHook, HooksState, HooksTrouble};
pub use session::{
    Decision, Join, JoinRequest, KeyRow, KeyState, Keys, LoggedBundle, LoggedMessage, MessageKind, NewKey,
    Open, Received, RejectedRequest, Requests, RevokedKey, Send, Session, Sessions, Use,
};

use protocol::id::{BlobId, RoomId};
use protocol::key::{AgentId, HubId, UserId};
use schemars::JsonSchema;
use serde::Serialize;

/// An agent and the name by which it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Agent {
    /// The agent's key.
    #[schemars(with = "String")]
    pub id: AgentId,
    /// A label, never identity.
    pub name: String,
}

/// What is known of who made a handoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// A member of the room signed it.
    Valid,
    /// The signature or the body is wrong.
    Invalid,
    /// Somebody signed it who is not in the room.
    NotMember,
    /// A file has no author.
    None,
}

/// How far a handoff has come here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HandoffState {
    /// Not looked at yet.
    New,
    /// Its verified bytes are in the cache.
    Fetched,
    /// Its tips stand under `refs/parler/` of this repository.
    Applied,
    /// The hub no longer keeps its bytes.
    Expired,
}

/// A branch of the source and its commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PushedRef {
    /// The source's short name.
    pub branch: String,
    /// The commit in hex.
    pub commit: String,
}

/// A reference under `refs/parler/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PinnedRef {
    /// The full name.
    #[serde(rename = "ref")]
    pub name: String,
    /// The source's short name.
    pub branch: String,
    /// The commit in hex.
    pub commit: String,
}

/// A commit and its subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Commit {
    /// The commit in hex.
    pub id: String,
    /// The first line of its message.
    pub subject: String,
}

/// How a path changes; no numbers for what is not text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PathStat {
    /// The path in the tree.
    pub path: String,
    /// Lines added.
    pub added: Option<u64>,
    /// Lines deleted.
    pub deleted: Option<u64>,
}

/// Answer of `push`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Push {
    /// The bundle's id.
    #[schemars(with = "String")]
    pub id: BlobId,
    /// What was handed over.
    pub refs: Vec<PushedRef>,
    /// The commit, when there is one tip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tip: Option<String>,
    /// The commits that the other side must have.
    pub prerequisites: Vec<String>,
    /// How many commits travel.
    pub commits: u64,
    /// How many objects travel.
    pub objects: u64,
    /// The bundle's size in bytes.
    pub size: u64,
    /// One line about it.
    pub summary: String,
    /// Where it was posted; none with `-o`.
    #[schemars(with = "Option<String>")]
    pub room: Option<RoomId>,
    /// The entry in the room's log; none with `-o`.
    pub seq: Option<u64>,
    /// Whether the same handoff stood there already.
    pub deduplicated: bool,
}

/// What a change touches beyond plain source, by the code of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SurfaceFinding {
    /// A stable name.
    pub code: String,
    /// The first of the paths.
    pub paths: Vec<String>,
    /// How many paths there are.
    pub count: u64,
}

/// Answer of `apply`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Apply {
    /// The bundle's id.
    #[schemars(with = "String")]
    pub id: BlobId,
    /// Where its tips stand.
    pub refs: Vec<PinnedRef>,
    /// The reference, when there is one tip.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The commit, when there is one tip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tip: Option<String>,
    /// The commits that it builds on.
    pub prerequisites: Vec<String>,
    /// Who handed it over; none for a file.
    pub author: Option<Agent>,
    /// What is known of the author.
    pub signature: Signature,
    /// What arrived, newest first.
    pub commits: Vec<Commit>,
    /// What the change could run or alter beyond plain source.
    pub surface: Vec<SurfaceFinding>,
    /// Whether all of it was looked at for that.
    pub surface_checked: bool,
    /// Whether it stood there before.
    pub already_applied: bool,
}

/// Answer of `show`: as `apply`, and what only looking needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Show {
    /// What `apply` would say.
    #[serde(flatten)]
    pub apply: Apply,
    /// What changes, by path.
    pub stat: Vec<PathStat>,
    /// The prerequisites that are not here.
    pub prerequisites_missing: Vec<String>,
    /// The fields of the signed reference in which its author states something else than what is so.
    pub claim_differs: Vec<String>,
}

/// Answer of `fetch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fetch {
    /// The bundle's id.
    #[schemars(with = "String")]
    pub id: BlobId,
    /// The file.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Answer of `list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct List {
    /// The handoffs, newest last.
    pub handoffs: Vec<ListedHandoff>,
}

/// One handoff of `list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListedHandoff {
    /// The bundle's id.
    #[schemars(with = "String")]
    pub id: BlobId,
    /// Who handed it over.
    pub author: Agent,
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
    /// The entry in the room's log.
    pub seq: u64,
    /// The handoff in whose place this one is, as the author stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub supersedes: Option<BlobId>,
    /// How far it has come here.
    pub state: HandoffState,
}

/// Answer of `drop` and `prune`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Drop {
    /// The references that were removed.
    pub refs: Vec<String>,
}

/// Answer of `wait`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Wait {
    /// The room.
    #[schemars(with = "String")]
    pub room: RoomId,
    /// How many entries are there that this seat has not been shown.
    pub unread: u64,
}

/// Answer of `whoami`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Whoami {
    /// This seat's agent.
    pub me: Agent,
    /// The user above it.
    #[schemars(with = "String")]
    pub user: UserId,
    /// What the seat stands for: the worktree's own git directory, or `default`.
    pub seat: String,
    /// The hub's origin.
    pub hub: String,
}

/// Answer of `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Status {
    /// This seat's agent.
    pub me: Agent,
    /// The user above it.
    #[schemars(with = "String")]
    pub user: UserId,
    /// The hub.
    pub hub: StatusHub,
    /// The session in use; none in the home.
    #[schemars(with = "Option<String>")]
    pub session: Option<RoomId>,
    /// Who is in the room, as far as its log tells.
    pub members: Vec<Agent>,
    /// Requests to join that wait for the owner.
    pub pending: Vec<JoinRequest>,
    /// How many entries this reader has not seen.
    pub unread: u64,
}

/// The hub, as `status` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StatusHub {
    /// Its origin.
    pub origin: String,
    /// Whether it answered.
    pub reachable: bool,
    /// Its key, when it answered or was known before.
    #[schemars(with = "Option<String>")]
    pub key: Option<HubId>,
}

/// What `hub` says once it is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Hub {
    /// Where it is reached.
    pub url: String,
    /// Its key.
    #[schemars(with = "String")]
    pub hub_key: HubId,
    /// Its process.
    pub pid: u32,
    /// Its folder.
    pub data: String,
}

/// Answer of `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Doctor {
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Something does not work.
    Error,
    /// Something may surprise.
    Warning,
    /// All is well.
    Ok,
}

/// One thing that `doctor` looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// A stable name.
    pub code: String,
    /// How much it matters.
    pub level: Level,
    /// What was seen.
    pub message: String,
    /// What to do.
    pub fix: Option<String>,
}
