//! What the program bounds by itself, beside the limits of the libraries.

use std::time::Duration;

/// The longest path of a Unix socket, in bytes: `sun_path` of unix(7) without its final zero.
pub(crate) const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Size after which the local hub's log begins a new file, in bytes; the one before it is kept.
pub(crate) const LOG_BYTES_MAX: u64 = 1024 * 1024;
/// How much of a summary travels, in bytes.
pub(crate) const SUMMARY_BYTES_MAX: usize = 512;
/// How much of a subject travels, in bytes.
pub(crate) const SUBJECT_BYTES_MAX: usize = 512;
/// How much the paths of `stat` take at most, as JSON.
pub(crate) const PATHS_BYTES_MAX: usize = 4096;
/// How many entries of the context `join` prints at most before `recv` is to go on.
pub(crate) const CONTEXT_MESSAGES_MAX: usize = 1000;
/// How much of standard input is read for a session key, in bytes: more than any has.
pub(crate) const KEY_BYTES_MAX: usize = 1024;
/// How long `hub --stop` waits for a hub to end.
pub(crate) const STOP_TIME_MAX: Duration = Duration::from_secs(15);
/// How much of a message's text is read before it counts as too long, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// How long announcements wait for git to end a rebase, a cherry-pick or the like; then a later hook or command makes them.
pub(crate) const OPERATION_TIME_MAX: Duration = Duration::from_secs(10);
/// How much of what an agent host says to a hook is read, in bytes.
pub(crate) const AGENT_INPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How long a mailbox is kept up to date after a hook has looked into it last.
pub(crate) const LISTEN_TIME_MAX: Duration = Duration::from_secs(30 * 60);
/// How long one question of who keeps a mailbox waits for something new.
pub(crate) const LISTEN_WAIT: Duration = Duration::from_secs(50);
/// How many entries of a room are asked for at once for a mailbox.
pub(crate) const LISTEN_PAGE: u64 = 100;
/// How often who keeps a mailbox looks whether the seat works in another room.
pub(crate) const SESSION_LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often in a row a hook has an agent go on, unless `parler.hooks.wakes` says otherwise.
pub(crate) const HOOKS_WAKES: u32 = 3;
/// How large a configuration file of an agent host may be that `connect` edits, in bytes.
pub(crate) const HOST_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
