//! Who appears in the tests: a hub, users and seats with fixed keys, and what they sign.

use proptest::test_runner::{Config as ProptestConfig, RngSeed};
use protocol::frame::AskToJoin;
use protocol::id::{BlobId, Digest, RoomId, Salt};
use protocol::key::{AgentId, AgentKey, HubId, HubKey, InviteId, InviteKey, UserKey};
use protocol::room::{ChainEnd, room_id};
use protocol::signed::{Verified, countersign, sign};
use protocol::statement::{
    ASK, Admit, Genesis, Join, Key, LogPoint, Membership, Message, Op, Role, RoomKind, Seat, UnixMillis,
};

/// When the tests begin.
pub(crate) const START: UnixMillis = 1_700_000_000_000;
/// How long the seats of the tests are vouched for.
pub(crate) const SEAT_MS: UnixMillis = 30 * 24 * 3600 * 1000;

pub(crate) fn hub_key() -> HubKey {
    HubKey::from_seed(&[1; 32])
}

pub(crate) fn hub_id() -> HubId {
    hub_key().public()
}

pub(crate) fn user(number: u8) -> UserKey {
    UserKey::from_seed(&[100 + number; 32])
}

/// A seat of a user: its key and who vouches for it.
#[derive(Clone)]
pub(crate) struct Player {
    pub(crate) user: UserKey,
    pub(crate) key: AgentKey,
}

/// Returns the seat `seat` of the user `number`.
pub(crate) fn player(number: u8, seat: u8) -> Player {
    Player { user: user(number), key: AgentKey::from_seed(&[number * 10 + seat; 32]) }
}

impl Player {
    pub(crate) fn agent(&self) -> AgentId {
        self.key.public()
    }

    pub(crate) fn seat(&self, issued: UnixMillis, expires: UnixMillis) -> Verified<Seat> {
        sign(&self.user, Seat { seat: self.agent(), name: "ana/app".into(), issued, expires })
    }

    pub(crate) fn home(&self) -> Verified<Genesis> {
        sign(&self.user, Genesis::home(hub_id()))
    }

    pub(crate) fn room(&self) -> RoomId {
        room_id(&self.home())
    }

    /// Signs the genesis of the user's session `number`.
    pub(crate) fn session(&self, number: u8) -> Verified<Genesis> {
        let salt = Some(Salt::from_bytes([number; 16]));
        sign(&self.user, Genesis { kind: RoomKind::Session, salt, ..Genesis::home(hub_id()) })
    }

    /// Signs an act behind `end` of the chain of `room`.
    pub(crate) fn act(&self, room: RoomId, end: ChainEnd, op: Op) -> Verified<Membership> {
        sign(&self.user, Membership { room, n: end.n + 1, prev: end.digest, op, needs: Vec::new() })
    }

    /// Signs the word on a key to `room`.
    pub(crate) fn key_to(
        &self,
        room: RoomId,
        invite: InviteId,
        life: UnixMillis,
        max_uses: u64,
    ) -> Verified<Key> {
        let (issued, expires) = (START, START + life);
        let (auto, no_history, needs) = (false, false, Vec::new());
        sign(&self.user, Key { room, invite, issued, expires, max_uses, auto, no_history, needs })
    }

    /// Asks to join `room` by `invite`.
    pub(crate) fn asks(&self, room: RoomId, invite: &InviteKey, asked: UnixMillis) -> AskToJoin {
        let (hub, room12) = (hub_id(), room.room12());
        self.signs(
            Join { hub, room12, invite: invite.public(), name: "ben/app".into(), asked, needs: Vec::new() },
            invite,
        )
    }

    /// Signs a request to join, countersigned by `invite`.
    pub(crate) fn signs(&self, join: Join, invite: &InviteKey) -> AskToJoin {
        let join = sign(&self.key, join);
        let ask = countersign(invite, ASK, &join.digest());
        AskToJoin { join: join.signed().clone(), ask, seat: None }
    }

    /// Signs the message `n` into `room`.
    pub(crate) fn message(
        &self,
        room: RoomId,
        n: u64,
        head: LogPoint,
        body: &str,
        blobs: &[BlobId],
    ) -> Verified<Message> {
        let header = Message {
            room,
            n,
            head,
            sent: START,
            epoch: 0,
            body: Digest::of(body.as_bytes()),
            blobs: blobs.to_vec(),
            leave: false,
            needs: Vec::new(),
        };
        sign(&self.key, header)
    }
}

/// Returns the invite key `number`.
pub(crate) fn invite(number: u8) -> InviteKey {
    InviteKey::from_seed(&[200 + number; 32])
}

/// Returns the act that lets `agent` in at `at`, with all of the history or none of it.
pub(crate) fn admit(agent: AgentId, at: LogPoint, has_history: bool, key: Option<InviteId>) -> Op {
    let floor = if has_history { 0 } else { at.seq };
    Op::Admit(Admit { agent, name: "ben/app".into(), role: Role::Member, floor, at, key, user: None })
}

/// Returns the same cases on every run, 20 times as many with `TEST_EFFORT=long`.
pub(crate) fn property(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases: if kit::is_long() { cases * 20 } else { cases },
        rng_seed: RngSeed::Fixed(7419),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
