//! Every bound of the client, with its unit in the name.

use std::time::Duration;

/// Largest file of ours that is read whole, in bytes: keys, `known_hubs`, `local.json`, and states other than a room's.
pub const STATE_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Largest file of what is remembered of a room, in bytes: the longest membership chain there can be, each of its entries as
/// long as it can be.
pub const ROOM_FILE_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Bytes of verified blobs kept in the cache; the oldest are evicted above it.
pub const CACHE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Age in seconds after which a half-downloaded blob is removed.
pub const PARTIAL_AGE_SECONDS_MAX: u64 = 7 * 24 * 3600;

/// Age in seconds after which a spooled bundle that no process holds is removed: its push was killed, and the next one
/// builds it again.
pub const SPOOL_BUNDLE_AGE_SECONDS_MAX: u64 = 60;

/// Age in seconds after which a signed message that nobody sends is removed.
pub const SPOOL_AGE_SECONDS_MAX: u64 = 7 * 24 * 3600;

/// Announcements of one seat that wait to be made; then the newest of a branch takes the place of the one before it.
pub const OUTBOX_ENTRIES_MAX: usize = 1024;

/// Messages and handoffs that a mailbox holds; the oldest go first.
pub const MAILBOX_ENTRIES_MAX: usize = 256;

/// Branches of which is remembered what was announced last in a room.
pub const ANNOUNCED_BRANCHES_MAX: usize = 256;

/// Rooms of which is remembered what a seat announced in them.
pub const ANNOUNCED_ROOMS_MAX: usize = 64;

/// Age in seconds after which the temporary file of a crashed writer is removed.
pub const TEMPORARY_AGE_SECONDS_MAX: u64 = 3600;

/// How far a seat statement's `issued` may lie ahead of this machine's clock, in milliseconds.
pub const CLOCK_SKEW_MILLIS_MAX: i64 = 5 * 60 * 1000;

/// Newest log values kept of a room.
pub const KNOWN_RECENT_MAX: usize = 1024;

/// Before the recent ones, every log value whose `seq` is a multiple of this is kept.
pub const KNOWN_STRIDE: u64 = 1024;

/// Entries of a room that are remembered as odd (gaps, repeated numbers); an honest hub has none.
pub const FLAGGED_ENTRIES_MAX: usize = 1024;

/// Files of evidence against one hub that are kept.
pub const EVIDENCE_FILES_MAX: usize = 32;

/// Largest file of evidence, in bytes: what came in one frame, however it is written, and what was known.
pub const EVIDENCE_BYTES_MAX: usize = 4 * FRAME_BYTES_MAX;

/// How often one reading may be sent to another beginning of what a hub still has.
pub const PRUNED_AGAIN_MAX: usize = 8;

/// Acts and leaves of a room that are read: each who was let in by one of the acts may have left.
pub const CHAIN_READ_ENTRIES_MAX: usize = 2 * protocol::limits::CHAIN_ENTRIES_MAX;

/// Log values that are kept in memory for one reading, about; it begins anew with them then.
pub const PASSING_POINTS_MAX: usize = 16 * 1024;

/// Rooms in which a hub may say that somebody asks to join; what it says beyond is not looked at.
pub const AWAITED_ROOMS_MAX: usize = 64;

/// How far this machine's clock and the hub's may be apart before the user is told, in milliseconds: a day.
pub const CLOCK_SKEW_TOLD_MILLIS: i64 = 24 * 3600 * 1000;

/// How often an act of the owner is signed anew because another seat of the owner was faster.
pub const ACT_AGAIN_MAX: usize = 32;

/// How often a message is signed anew because another process of the seat was faster.
pub const SIGN_AGAIN_MAX: usize = 64;

/// Acts of a seat's own that are remembered, so that it is not told of them.
pub const OWN_ACTS_MAX: usize = 256;

/// Pages of a room's log that are read to count what a reader has not seen; what lies behind is counted without a look.
pub const UNREAD_PAGES_MAX: usize = 4;

/// Pages of requests to join that are looked at: as many as the keys of a room bring by default, and half as many again.
pub const REQUEST_PAGES_MAX: usize = 64;

/// Entries that are read where a topic is looked for: it is what is said first.
pub const TOPIC_ENTRIES_MAX: u64 = 4;

/// Rooms of one seat that are listed: years of as many as a hub lets one open.
pub const ROOMS_READ_MAX: usize = 256 * protocol::limits::ROOMS_PAGE_MAX;

/// References to handoffs of one room that are listed, or looked through for the newest.
pub const REFERENCES_READ_MAX: usize = 64 * 1024;

/// Entries after which what was verified is put into the file, with more to come.
pub const KEPT_AFTER_ENTRIES: u64 = 4096;

/// Entries between two wanted ones that are read along rather than asked around.
pub const NEAR_ENTRIES: u64 = 16;

/// References that are verified first where only the newest of them is wanted; then ever more.
pub const NEWEST_FIRST: usize = 2;

/// References that are asked for at once there.
pub const NEWEST_PAGE: u64 = 64;

/// Bytes of a piece read from or written to a file in one step of a transfer.
pub const PIECE_BYTES: usize = 256 * 1024;

/// Largest file of `parler.caFile`, in bytes; the authorities of a whole system are a quarter of it.
pub const CA_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Time a dial may take, TLS and the upgrade to a WebSocket included.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Time the client tries to reach a hub again after a break, until it has let the client in.
pub const RECONNECT_TIME_MAX: Duration = Duration::from_secs(30);

/// Time a hub may take to answer a request, reconnecting included.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(120);

/// First pause between two dials; doubled each time.
pub const BACKOFF_MIN: Duration = Duration::from_millis(20);

/// Longest pause between two dials.
pub const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// First pause between two questions of somebody who waits for somebody else while no hub answers; doubled each time.
pub const OUTAGE_PAUSE_MIN: Duration = Duration::from_secs(1);

/// Longest pause between two such questions, dialing not included.
pub const OUTAGE_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Time a local hub may take from being started to accepting.
pub const LOCAL_HUB_START_MAX: Duration = Duration::from_secs(5);

/// First pause between two looks for the local hub; half as long again each time.
pub const LOCAL_HUB_POLL_MIN: Duration = Duration::from_millis(2);

/// Longest pause between two looks for the local hub.
pub const LOCAL_HUB_POLL_MAX: Duration = Duration::from_millis(50);

/// Time after which a local hub that was started and does not answer is started once more.
pub const LOCAL_HUB_START_AGAIN: Duration = Duration::from_millis(300);

/// Time an older local hub may take to end before it is used as it is.
pub const LOCAL_HUB_HAND_OVER_MAX: Duration = Duration::from_secs(3);

/// Time the goodbye to a hub may take.
pub const GOODBYE_TIME_MAX: Duration = Duration::from_millis(500);

/// Requests open at once; below what hubs allow, so that a cancellation always finds a slot.
pub const OPEN_REQUESTS_MAX: usize = 24;

/// Commands that may wait for the task that owns the socket.
pub const COMMANDS_WAITING_MAX: usize = 32;

/// Chunks that may wait between a file and the socket.
pub const CHUNKS_WAITING_MAX: usize = 4;

/// How often an upload that a newer one took over is begun again.
pub const SUPERSEDED_AGAIN_MAX: u32 = 16;

/// How often an upload is begun again whose staged bytes were not ours.
pub const MISMATCH_AGAIN_MAX: u32 = 1;

/// Time the client tries to reach a hub for the first time.
pub const FIRST_DIAL_TIME_MAX: Duration = Duration::from_secs(1);

/// Largest WebSocket message taken from a hub, in bytes.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a socket's read buffer.
pub const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Bytes collected before they are written to the socket.
pub const WRITE_BUFFER_BYTES: usize = 64 * 1024;

/// Most bytes that wait for the socket.
pub const WRITE_BUFFER_BYTES_MAX: usize = 2 * 1024 * 1024;

/// First chunks of an upload on a connection, in bytes; they grow with what has gone through, up to the protocol's
/// largest, so that a line which breaks often still carries something between two breaks.
pub const FIRST_CHUNK_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn time(limit: Duration) -> String {
        format!("{} s", limit.as_secs())
    }

    fn mebibytes(bytes: u64) -> String {
        format!("{} MiB", bytes / (1024 * 1024))
    }

    fn days(seconds: u64) -> String {
        format!("{} days", seconds / (24 * 3600))
    }

    #[test]
    fn the_table_of_the_document_is_this_file() {
        let rows = [
            ("the first dial, tried again where nobody listens", time(FIRST_DIAL_TIME_MAX)),
            ("one dial, TLS and the upgrade to a WebSocket included", time(DIAL_TIMEOUT)),
            ("dialing again after a break, until logged in", time(RECONNECT_TIME_MAX)),
            ("the answer to a request, dialing again included", time(ANSWER_TIME_MAX)),
            ("between two dials of who waits for somebody while no hub answers", time(OUTAGE_PAUSE_MAX)),
            ("the local hub, from its start to its first answer", time(LOCAL_HUB_START_MAX)),
            ("a message from a hub", mebibytes(FRAME_BYTES_MAX as u64)),
            ("a file of authorities for `wss://`", mebibytes(CA_FILE_BYTES_MAX)),
            ("verified blobs in the cache", mebibytes(CACHE_BYTES_MAX)),
            ("a half-downloaded blob is kept", days(PARTIAL_AGE_SECONDS_MAX)),
            ("a signed message that no hub takes is kept", days(SPOOL_AGE_SECONDS_MAX)),
            ("files of evidence against one hub", EVIDENCE_FILES_MAX.to_string()),
            ("a file of evidence", mebibytes(EVIDENCE_BYTES_MAX as u64)),
            ("entries of a room that are remembered as odd", FLAGGED_ENTRIES_MAX.to_string()),
        ];
        let rows: String = rows.iter().map(|(of, limit)| format!("| {of} | {limit} |\n")).collect();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/PROTOCOL.md");
        let document = std::fs::read_to_string(path).unwrap();
        let after = document.split("<!-- client: begin -->\n").nth(1).unwrap();
        let table = after.split("<!-- client: end -->").next().unwrap();
        assert_eq!(table, format!("| of a client | |\n| --- | --- |\n{rows}"));
    }
}
