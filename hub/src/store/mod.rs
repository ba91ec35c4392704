//! State, log, guards and lookups, as domain operations.
//!
//! One method is one atomic unit with its own authorization inside; the hub never reads and then writes across two calls.
//! Statements handed in were verified by the service; what came out of the store is what went in.

pub(crate) mod sqlite;
#[cfg(test)]
mod suite;

use std::future::Future;
use std::sync::Arc;

use protocol::conn::hub::{Access, PassQuestion};
use protocol::frame::{BlobReferences, ChainPage, JoinStanding, Pulled, RequestList, RoomList, RoomRow};
use protocol::id::{BlobId, BlobPrefix, Digest, RoomId};
use protocol::key::{AgentId, HubId, Invite, InviteId};
use protocol::room::{ActError, ChainEnd};
use protocol::signed::{Countersigned, Signed, Verified};
use protocol::statement::{Genesis, Join, Key, LogPoint, Membership, Message, Seat};

/// Where a message landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Landed {
    /// Its sequence number.
    pub(crate) seq: u64,
    /// False when the same message was there already.
    pub(crate) is_new: bool,
}

/// What became of an act of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acted {
    /// Its sequence number.
    pub(crate) seq: u64,
    /// False when the same act was there already.
    pub(crate) is_new: bool,
    /// Who was let in or put out by it.
    pub(crate) told: Option<AgentId>,
}

/// A request to join whose signatures were checked.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// The statement of the agent.
    pub(crate) join: Verified<Join>,
    /// The invite's countersignature.
    pub(crate) ask: Countersigned<Invite>,
    /// A user's word for the agent, which holds.
    pub(crate) seat: Option<Signed<Seat>>,
    /// Where it comes from; empty for the socket of this machine.
    pub(crate) address: String,
}

/// How many requests to join may wait, and how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestLimits {
    /// By one key from one address.
    pub(crate) per_address_max: u64,
    /// By one key.
    pub(crate) per_key_max: u64,
    /// Milliseconds that a request is kept.
    pub(crate) kept_ms: i64,
}

/// A request to join that is on file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filed {
    /// Names it.
    pub(crate) request: Digest,
    /// The room.
    pub(crate) room: RoomId,
    /// Whom to tell: the seats of the owner, when it is new.
    pub(crate) owners: Vec<AgentId>,
}

/// What became of a request to join, and where news of it come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinLook {
    /// The room, which the one who asked is not told.
    pub(crate) room: RoomId,
    /// The answer.
    pub(crate) standing: JoinStanding,
}

/// What bounds a page of entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageLimit {
    /// Entries at most.
    pub(crate) entries_max: u64,
    /// Bytes of their JSON at most, estimated from above; a first entry is returned even if it is longer.
    pub(crate) bytes_max: u64,
    /// Whether bodies are wanted.
    pub(crate) bodies: bool,
}

/// What became of rooms and blobs in one pass over what is too old.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expired {
    /// Entries below the new beginnings of the logs.
    pub(crate) entries: usize,
    /// Bindings that now answer `gone`.
    pub(crate) bindings: usize,
    /// Requests to join dropped.
    pub(crate) requests: usize,
    /// Words on seats of users without a room dropped.
    pub(crate) seats: usize,
    /// Blobs without any binding left: their files are to be removed.
    pub(crate) blobs: Vec<BlobId>,
    /// Whether the batch was full, so that another pass has more to do.
    pub(crate) more: bool,
}

/// How long what is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    /// Milliseconds after which a message may be dropped.
    pub(crate) messages_ms: i64,
    /// The newest messages of a room, which are kept however old.
    pub(crate) messages_kept_min: u64,
    /// Milliseconds without a read after which a blob's bytes may go.
    pub(crate) blobs_idle_ms: i64,
    /// Rows handled in one pass.
    pub(crate) batch_rows: u64,
}

/// Says why the store did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum StoreError {
    /// There is no such thing for the caller.
    #[error("there is no such thing for this agent")]
    NotFound,
    /// The blob was there and expired.
    #[error("the blob expired")]
    Gone,
    /// The caller is no seat of the owner, or the act is by somebody else.
    #[error("only the owner may do this")]
    NotOwner,
    /// As many users as may own rooms here and vouch for the agent.
    #[error("as many users vouch for this seat as may")]
    TooManyUsers,
    /// The message says that a seat of the owner leaves.
    #[error("the owner's seats do not leave a room")]
    OwnerStays,
    /// The room takes no more entries.
    #[error("the room is closed")]
    Closed,
    /// The session key admits nobody, whatever the reason.
    #[error("the key admits nobody")]
    KeyRefused,
    /// The statement is no key of this room.
    #[error("the statement is no key of the room's owner for it, or another than the one that is known")]
    ForeignKey,
    /// The act does not continue the chain.
    #[error("the act does not continue the chain, which has {} entries", end.n)]
    BrokenChain {
        /// The end that it would have to continue.
        end: ChainEnd,
    },
    /// The act makes no sense.
    #[error(transparent)]
    Act(#[from] ActError),
    /// The author's counter goes on elsewhere.
    #[error("the author's next message is number {next_n}")]
    Conflict {
        /// The number that would be taken.
        next_n: u64,
    },
    /// The head lies before what is still kept.
    #[error("the log is kept from entry {} on", base.seq)]
    Stale {
        /// Where the kept log begins.
        base: LogPoint,
    },
    /// The head is none of this hub's log.
    #[error("the head is not a value of this log")]
    ForeignHead,
    /// The sequence number lies beyond the end.
    #[error("the log ends at entry {end}")]
    BeyondEnd {
        /// The last entry.
        end: u64,
    },
    /// The page would begin before what is still kept.
    #[error("the log is kept from entry {} on", base.seq)]
    Pruned {
        /// Where the kept log begins.
        base: LogPoint,
    },
    /// The room takes no more messages for a while.
    #[error("the room takes no more messages for {retry_after_ms} ms")]
    RoomBusy {
        /// When it will again.
        retry_after_ms: u64,
    },
    /// A count has reached its limit.
    #[error("there are as many {what} as there may be")]
    TooMany {
        /// What is counted.
        what: &'static str,
    },
    /// The disk has no room.
    #[error("the hub's disk is full")]
    DiskFull,
    /// The store is ending.
    #[error("the store has stopped")]
    Stopped,
    /// The database said something else.
    #[error("the database failed")]
    Database(#[source] Arc<rusqlite::Error>),
}

impl StoreError {
    /// Says whether the store failed, rather than refused.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self, Self::DiskFull | Self::Stopped | Self::Database(_))
    }
}

/// What the hub knows and keeps.
pub(crate) trait Store: Send + Sync + 'static {
    /// Keeps the newest word of a user on one of its seats. It is refused where others with rooms have filled the seat's list.
    fn note_seat(&self, seat: Verified<Seat>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Opens a room of the agent's own user. One that is open already stays as it is. Returns its row, and whether it is
    /// new.
    fn open_room(
        &self,
        agent: AgentId,
        genesis: Verified<Genesis>,
        rooms_max: u64,
    ) -> impl Future<Output = Result<(RoomRow, bool), StoreError>> + Send;

    /// Lists at most `limit` rooms that the agent is in, by rising id above `after`, with the cursors of `reader`.
    fn rooms(
        &self,
        agent: AgentId,
        after: Option<RoomId>,
        reader: Option<String>,
        limit: usize,
    ) -> impl Future<Output = Result<RoomList, StoreError>> + Send;

    /// Appends an act of a room's owner, which its signature authorises, whoever hands it in. The same act again is answered
    /// as the first time. Who is not in the room learns nothing by an act that is not taken.
    fn append(
        &self,
        agent: AgentId,
        act: Verified<Membership>,
        members_max: u64,
    ) -> impl Future<Output = Result<Acted, StoreError>> + Send;

    /// Returns the owner's acts and the headers of messages that leave, after `after`, whatever the agent's floor.
    fn chain(
        &self,
        agent: AgentId,
        room: RoomId,
        after: u64,
        limit: PageLimit,
    ) -> impl Future<Output = Result<ChainPage, StoreError>> + Send;

    /// Keeps the owner's word on a session key, one of at most so many of its room; those that have expired make way.
    fn put_key(
        &self,
        agent: AgentId,
        key: Verified<Key>,
        keys_max: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends a session key.
    fn revoke_key(
        &self,
        agent: AgentId,
        room: RoomId,
        invite: InviteId,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Files a request to join, or finds the one that the same agent filed before.
    fn join(&self, ask: Ask, limits: RequestLimits)
    -> impl Future<Output = Result<Filed, StoreError>> + Send;

    /// Returns what became of a request that this agent filed.
    fn join_state(
        &self,
        agent: AgentId,
        request: Digest,
    ) -> impl Future<Output = Result<JoinLook, StoreError>> + Send;

    /// Lists at most `limit` requests to join a room that wait, behind `after`, and the room's keys without `after`.
    fn requests(
        &self,
        agent: AgentId,
        room: RoomId,
        after: Option<Digest>,
        limit: usize,
    ) -> impl Future<Output = Result<RequestList, StoreError>> + Send;

    /// Returns at most `limit` rooms of the agent's user in which somebody waits for the owner.
    fn awaiting(
        &self,
        agent: AgentId,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<RoomId>, StoreError>> + Send;

    /// Says what somebody without the join key may do at a closed hub: all, for who owns a room; what concerns the rooms of
    /// others, for who was let into one; ask, by a live invite.
    fn pass(&self, question: PassQuestion)
    -> impl Future<Output = Result<Option<Access>, StoreError>> + Send;

    /// Appends a message of the agent to the room it names, which takes at most so many in a minute. The same message again
    /// is answered as the first time.
    fn post(
        &self,
        agent: AgentId,
        message: Verified<Message>,
        body: String,
        room_minute_max: u64,
    ) -> impl Future<Output = Result<Landed, StoreError>> + Send;

    /// Returns the entries after `after`.
    fn pull(
        &self,
        agent: AgentId,
        room: RoomId,
        after: u64,
        limit: PageLimit,
    ) -> impl Future<Output = Result<Pulled, StoreError>> + Send;

    /// Returns which messages of a room refer to which blobs, newest first, below `before` if given.
    fn handoffs(
        &self,
        agent: AgentId,
        room: RoomId,
        before: Option<u64>,
        limit: u64,
    ) -> impl Future<Output = Result<BlobReferences, StoreError>> + Send;

    /// Returns which messages in all rooms of the agent refer to blobs whose id begins so, newest first in each room.
    fn find(
        &self,
        agent: AgentId,
        prefix: BlobPrefix,
        limit: u64,
    ) -> impl Future<Output = Result<BlobReferences, StoreError>> + Send;

    /// Moves the agent's cursor in a room to the maximum of where it is and `seq`, and returns where it is then.
    fn ack(
        &self,
        agent: AgentId,
        room: RoomId,
        reader: String,
        seq: u64,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Returns whether the blob is bound to the room and its bytes are there: then nothing needs to be sent.
    fn may_put_blob(
        &self,
        agent: AgentId,
        room: RoomId,
        id: BlobId,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Binds a blob, whose bytes are safe on disk, to a room.
    fn bind_blob(
        &self,
        agent: AgentId,
        room: RoomId,
        id: BlobId,
        size: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns the size of a blob that the agent may read now, and notes that it was wanted.
    fn may_get_blob(
        &self,
        agent: AgentId,
        room: RoomId,
        id: BlobId,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Returns those of `ids` that have no row.
    fn unknown_blobs(&self, ids: Vec<BlobId>)
    -> impl Future<Output = Result<Vec<BlobId>, StoreError>> + Send;

    /// Drops one batch of what is older than it may get.
    fn expire(&self, retention: Retention) -> impl Future<Output = Result<Expired, StoreError>> + Send;

    /// Ties the database to a hub's key on first use, and says afterwards whether it is tied to this one.
    fn belongs_to(&self, hub: HubId) -> impl Future<Output = Result<bool, StoreError>> + Send;
}
