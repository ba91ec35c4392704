//! Every limit of the protocol: the constants both sides build on, and the one table of what a hub can be configured to.

use serde::{Deserialize, Serialize};

/// What a limit counts, so that options and documents can write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Bytes; options take `k`, `m` and `g` as git does.
    Bytes,
    /// Seconds; options take `s`, `m`, `h` and `d`.
    Seconds,
}

/// One row of the table of limits.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// The field's name, and with dashes the hub's option.
    pub name: &'static str,
    /// What is limited.
    pub about: &'static str,
    /// What the number counts.
    pub unit: Unit,
    /// The value where none is configured.
    pub default: u64,
    /// Reads it.
    pub value: fn(&Limits) -> u64,
    /// Writes it.
    pub set: fn(&mut Limits, u64),
}

macro_rules! limits {
    ($($name:ident: $default:expr, $unit:ident, $about:literal;)*) => {
        /// What a hub allows. The challenge carries it as a hint for clients; each side enforces its own.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Limits {
            $(#[doc = concat!("Limits ", $about, ".")] pub $name: u64,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Limits {
            /// Every limit: its name, meaning, unit and default.
            pub const TABLE: &'static [Limit] = &[$(Limit {
                name: stringify!($name),
                about: $about,
                unit: Unit::$unit,
                default: $default,
                value: |limits| limits.$name,
                set: |limits, value| limits.$name = value,
            },)*];
        }
    };
}

limits! {
    connections_max: 4096, Count, "connections";
    connections_per_address_max: 64, Count, "connections from one address";
    connections_per_agent_max: 16, Count, "connections of one agent";
    authentication_seconds: 5, Seconds, "the time until a connection has logged in";
    idle_seconds: 30 * 60, Seconds, "the time a connection may stay silent";
    ping_seconds: 30, Seconds, "the time between pings";
    text_frame_bytes_max: 256 * KIB, Bytes, "a text frame";
    body_bytes_max: 64 * KIB, Bytes, "the body of a message";
    open_requests_max: 32, Count, "open requests of a connection";
    pending_output_bytes_max: MIB, Bytes, "output waiting for a connection that does not read";
    write_seconds: 10, Seconds, "the time one write may take";
    upload_stall_seconds: 60, Seconds, "the time an upload may go without progress";
    sends_per_agent_minute_max: 120, Count, "messages, acts and requests to join of an agent in a minute";
    sends_per_room_minute_max: 1200, Count, "messages in a room in a minute";
    blobs_per_agent_hour_max: 120, Count, "uploads of an agent in an hour";
    blob_bytes_max: 25 * MIB, Bytes, "a blob";
    blobs_bytes_max: 1024 * MIB, Bytes, "the disk for blobs";
    staged_per_agent_max: 4, Count, "unfinished uploads of an agent";
    rooms_per_agent_max: 256, Count, "rooms of an agent that its own user has opened";
    members_max: 256, Count, "members of a room";
    requests_per_address_max: 3, Count, "requests to join that wait, by one key from one address";
    requests_per_key_max: 20, Count, "requests to join that wait, by one key";
    request_days: 7, Count, "the days a request to join waits";
    message_days: 30, Count, "the days a message is kept";
    messages_kept_min: 10_000, Count, "the newest messages of a room that are kept whatever their age";
    blob_idle_days: 14, Count, "the days a blob is kept that nobody reads";
}

/// The protocol level of this version.
pub const PROTOCOL: u32 = 1;
/// The WebSocket subprotocol.
pub const SUBPROTOCOL: &str = "parler.v1";
/// How deep JSON may nest.
pub const JSON_DEPTH_MAX: usize = 16;
/// The largest integer, in either direction: what every JSON reader holds exactly.
pub const JSON_INTEGER_MAX: u64 = (1 << 53) - 1;
/// The longest text of a signed statement, in bytes.
pub const STATEMENT_BYTES_MAX: usize = 8 * 1024;
/// The longest text frame of a `post`, in bytes: what `pull` must be able to hand on in one frame.
pub const POST_FRAME_BYTES_MAX: usize = 192 * 1024;
/// How much of a blob one binary frame carries at most, in bytes, behind the request's number.
pub const CHUNK_BYTES_MAX: usize = 256 * 1024;
/// The length of the request's number before a chunk, in bytes.
pub const CHUNK_HEADER_BYTES: usize = 4;
/// How many bytes of ended transfers a receiver drops before it closes the connection.
pub const STRAY_BYTES_MAX: u64 = 2 * MIB;
/// How long a `pull` may wait, in milliseconds.
pub const PULL_WAIT_MILLIS_MAX: u64 = 50_000;
/// How many entries one `pull` returns at most.
pub const PULL_ENTRIES_MAX: u64 = 256;
/// How many bytes of entries one `pull` collects before it ends early.
pub const PULL_BYTES_MAX: u64 = 160 * KIB;
/// How many references one `handoffs` or `find` returns at most.
pub const HANDOFFS_MAX: u64 = 256;
/// How many blobs one message may refer to.
pub const MESSAGE_BLOBS_MAX: usize = 16;
/// How many readers with a cursor of their own one agent has in a room.
pub const READERS_MAX: u64 = 8;
/// The longest name of a reader, in characters of `a-z0-9-`.
pub const READER_NAME_MAX: usize = 16;
/// The most entries of a room's membership chain.
pub const CHAIN_ENTRIES_MAX: usize = 10_000;
/// How many agents one denial names at most.
pub const DENIED_AGENTS_MAX: usize = 64;
/// How many agents one room turns away at most.
pub const DENIED_MAX: usize = 2048;
/// How many session keys of one room a hub keeps; those that have expired make way for new ones.
pub const KEYS_MAX: u64 = 64;
/// How often one session key can admit at most.
pub const KEY_USES_MAX: u64 = 256;
/// The longest life of a session key, in milliseconds: 366 days.
pub const KEY_MILLIS_MAX: i64 = 366 * 24 * 3600 * 1000;
/// The longest recap of a session, in bytes; it is split over messages.
pub const RECAP_BYTES_MAX: usize = 1024 * 1024;
/// The longest topic of a session, in bytes.
pub const TOPIC_BYTES_MAX: usize = 200;
/// How many rooms one `rooms` returns at most.
pub const ROOMS_PAGE_MAX: usize = 64;
/// How many requests to join one `requests` returns at most.
pub const REQUESTS_PAGE_MAX: usize = 32;
/// The longest life of a seat statement, in milliseconds: 90 days.
pub const SEAT_MILLIS_MAX: i64 = 90 * 24 * 3600 * 1000;
/// The longest name of a seat, in bytes.
pub const NAME_BYTES_MAX: usize = 100;
/// How much of a sentence in a refusal a client takes, in characters.
pub const SENTENCE_CHARACTERS_MAX: usize = 1000;
/// The longest origin, in bytes.
pub const ORIGIN_BYTES_MAX: usize = 300;
/// How many tips one handoff has at most.
pub const BUNDLE_TIPS_MAX: usize = 64;
/// How many prerequisites one handoff has at most.
pub const BUNDLE_PREREQUISITES_MAX: usize = 256;
/// The most that `log`, `stat` and `surface` of a bundle part take together, in bytes.
pub const STATED_BYTES_MAX: usize = 16 * 1024;
/// The shortest join secret, in characters.
pub const JOIN_SECRET_CHARACTERS_MIN: usize = 26;
/// How long a client waits for the answer to its login, in milliseconds.
pub const LOGIN_WAIT_MILLIS: i64 = 10_000;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
/// How many statements about one seat of the owner are kept: they overlap, as each is renewed at half its life.
pub(crate) const SEAT_STATEMENTS_MAX: usize = 16;
/// The shortest prefix of an id that is looked up, in hex digits.
pub(crate) const PREFIX_DIGITS_MIN: usize = 4;
/// A hub's hint about pings counts up to here, in seconds, so that it cannot make a client wait for ever.
pub(crate) const PING_SECONDS_MAX: u64 = 300;
/// How much of the name of a missing feature is told.
pub(crate) const FEATURE_CHARACTERS_MAX: usize = 64;
