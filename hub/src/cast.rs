//! Who appears in the tests: a hub, users and seats with fixed keys, and what they sign.

use proptest::test_runner::{Config as ProptestConfig, RngSeed};
use protocol::id::{BlobId, Digest, RoomId};
use protocol::key::{AgentId, AgentKey, HubId, HubKey, UserKey};
use protocol::room::room_id;
use protocol::signed::{Verified, sign};
use protocol::statement::{Genesis, LogPoint, Message, Seat, UnixMillis};

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

/// Returns the same cases on every run, 20 times as many with `TEST_EFFORT=long`.
pub(crate) fn property(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases: if kit::is_long() { cases * 20 } else { cases },
        rng_seed: RngSeed::Fixed(7419),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
