//! What the hub bounds by itself, beside the table of the protocol.

/// The longest signed text of a message header, in bytes.
pub(crate) const HEADER_BYTES_MAX: usize = 8 * 1024;
/// The longest signed text of a seat statement, in bytes.
pub(crate) const SEAT_BYTES_MAX: usize = 1024;
/// How many users may vouch for one agent; there is one, unless somebody tries what happens.
pub(crate) const USERS_PER_AGENT_MAX: u64 = 4;
/// How long after its opening a closed room counts as one of its owner's rooms, in milliseconds: 30 days.
pub(crate) const CLOSED_ROOM_COUNTS_MS: i64 = 30 * 24 * 3600 * 1000;
/// How long a request is kept whose key admits nobody any more, in milliseconds: a day.
pub(crate) const DEAD_REQUEST_KEPT_MS: i64 = 24 * 3600 * 1000;
/// How exactly the last use of a blob is noted, in milliseconds: one write an hour at most.
pub(crate) const USE_NOTED_EVERY_MS: i64 = 3600 * 1000;
/// How many seats of an owner are told at once that somebody asks to join; the others learn it when they ask.
pub(crate) const OWNERS_TOLD_MAX: u64 = 256;
/// The longest signed text of a genesis, in bytes: a page of `rooms` holds many.
pub(crate) const GENESIS_BYTES_MAX: usize = 1024;
/// The longest signed text of the owner's word on a session key, in bytes: a page of `requests` holds many.
pub(crate) const KEY_BYTES_MAX: usize = 1024;
/// The longest signed text of a request to join, in bytes.
pub(crate) const JOIN_BYTES_MAX: usize = 2 * 1024;
/// What a seat statement of that length takes in an answer at most, in bytes: each of its characters may be escaped.
pub(crate) const SEAT_ENCODED_BYTES_MAX: u64 = 2 * 1024 + 256;
/// Answers of a connection that may be long and are made but not yet written.
pub(crate) const PAGES_PER_CONNECTION_MAX: usize = 2;
/// How many requests of a connection may still be done although they were cancelled, beside those that are open.
pub(crate) const CANCELLED_PER_CONNECTION_MAX: u64 = 32;
/// Transfers of a connection that are being opened at once, cancelled ones included.
pub(crate) const TRANSFERS_BEGINNING_MAX: usize = 4;
/// Chunks of an upload that arrived and are not yet on their way to disk: 256 KiB each.
pub(crate) const UPLOAD_CHUNKS_QUEUED_MAX: usize = 4;
/// Chunks of a download that are read and not yet written: 256 KiB each.
pub(crate) const DOWNLOAD_CHUNKS_QUEUED_MAX: usize = 2;
/// The first chunks of a download, in bytes; they grow with what has gone through, up to what the protocol allows.
pub(crate) const DOWNLOAD_FIRST_CHUNK_BYTES: usize = 16 * 1024;
/// What is read and dropped of a client that was told to ask for a WebSocket, in bytes.
pub(crate) const UNREAD_BYTES_MAX: u64 = 64 * 1024;
/// How often what is too old is looked for, in seconds.
pub(crate) const JANITOR_EVERY_SECONDS: u64 = 60;
/// How many hints wait for a connection that does not read; a lost one costs latency only.
pub(crate) const EVENTS_QUEUED_MAX: usize = 16;
/// Rows that expire in one transaction.
pub(crate) const EXPIRE_ROWS_MAX: u64 = 256;
/// Ids that are looked up at once when files without rows are swept.
pub(crate) const SWEEP_IDS_MAX: usize = 256;
/// How long an upload that nobody goes on with is kept, in seconds: a day.
pub(crate) const STAGING_KEPT_SECONDS: u64 = 24 * 3600;
/// How long the connections may take to finish their writes once the hub closes, in seconds.
pub(crate) const CLOSING_SECONDS: u64 = 5;
/// From this many agents on, those whose numbers have run out are forgotten before another is added.
pub(crate) const RATES_REMEMBERED_MAX: usize = 8192;
/// Connections to the database that read beside the writing one.
pub(crate) const READERS: usize = 3;
/// Prepared statements that a connection to the database keeps.
pub(crate) const STATEMENTS_CACHED_MAX: usize = 128;
/// Writes that wait for the writing thread; who comes after waits too.
pub(crate) const QUEUE_STEPS_MAX: usize = 1024;
/// Writes in one transaction.
pub(crate) const GROUP_STEPS_MAX: usize = 256;
/// What is read of the file with the hub's key, in bytes.
pub(crate) const KEY_FILE_BYTES_MAX: u64 = 256;

/// Returns so many days in milliseconds.
pub(crate) fn days(days: u64) -> i64 {
    // A thousand years are as good as for ever, and no sum with them overflows.
    i64::try_from(days.min(365_000) * 24 * 3600 * 1000).unwrap_or(i64::MAX)
}
