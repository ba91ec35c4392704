//! What the MCP server bounds.

use std::time::Duration;

/// The longest line of JSON-RPC that is read, in bytes; a longer one is answered with an error.
pub(crate) const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest id of a request that is given back with such an error, in bytes.
pub(crate) const REQUEST_ID_BYTES_MAX: usize = 256;
/// How many tool calls are worked on at once; the others wait.
pub(crate) const CALLS_MAX: usize = 12;
/// How many connections are kept for the next calls.
pub(crate) const IDLE_CLIENTS_MAX: usize = 2;
/// How many messages one result has at most.
pub(crate) const MESSAGES_MAX: u64 = 40;
/// How many bytes the messages of one result take at most, as JSON; the rows of any other list too.
pub(crate) const RESULT_BYTES_MAX: usize = 16 * 1024;
/// How many bytes of a single text are shown; who wants all of it asks the command line.
pub(crate) const TEXT_BYTES_MAX: usize = 12 * 1024;
/// How many bytes of a summary, a subject or a path are shown.
pub(crate) const LINE_SHOWN_BYTES_MAX: usize = 256;
/// How many rows any other list of a result has at most.
pub(crate) const ROWS_MAX: usize = 40;
/// How many names are told that one who asks to join can be taken for, and how many paths of a finding.
pub(crate) const NAMES_MAX: usize = 5;
/// How many things are told beside the answers, until they are.
pub(crate) const NOTES_MAX: usize = 20;
/// How long a call may wait for somebody else, in seconds: hosts give up after a minute.
pub(crate) const WAIT_SECONDS_MAX: u64 = 50;
/// How often a call that waits or works says so.
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// How often a transfer says how far it is.
pub(crate) const TRANSFER_PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// How long a human is given to answer a question.
pub(crate) const QUESTION_TIME_MAX: Duration = Duration::from_secs(10 * 60);
/// How long a reader waits at the least for one whose answer is being written.
pub(crate) const TURN_WAIT_MIN: Duration = Duration::from_secs(2);
/// For how long a call that waits for nobody dials a hub again that was lost.
pub(crate) const RECONNECT_TIME_MAX: Duration = Duration::from_secs(4);
/// After which time is tried again what a watch or the joining at the start could not do.
pub(crate) const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How long the end of a server waits for cursors that are being moved.
pub(crate) const SETTLE_TIME_MAX: Duration = Duration::from_secs(1);
/// How many resources are watched for a client at once.
pub(crate) const SUBSCRIPTIONS_MAX: usize = 4;
/// The longest life of a session key that a tool makes, in seconds: 30 days.
pub(crate) const KEY_SECONDS_MAX: u64 = 30 * 24 * 3600;
/// How long a session key lives and how many it admits where nothing is said.
pub(crate) const KEY_DEFAULT: (u64, u64) = (7 * 24 * 3600, 64);
