//! The owner's acts and who has left, asked for page by page.

use protocol::frame::{Answer, Chain, Entry, Request};
use protocol::id::RoomId;

use crate::error::Error;
use crate::limits::CHAIN_READ_ENTRIES_MAX;
use crate::link::Link;

/// Hands the owner's acts and the leaves of `room` behind entry `after` to `take`, a page at a time with the entry behind which it
/// was asked for, until there are no more or `take` says that it has enough.
///
/// # Errors
/// [`Error::Contradiction`] when there are more than a room can have; [`Error::Link`] as ever.
pub(crate) async fn read_chain(
    link: &Link,
    room: RoomId,
    mut after: u64,
    mut take: impl FnMut(u64, Vec<Entry>) -> bool,
) -> Result<(), Error> {
    let mut count = 0;
    while count <= CHAIN_READ_ENTRIES_MAX {
        let page = match link.request(Request::Chain(Chain { room, after })).await? {
            Answer::Chain(page) => page,
            _ => unreachable!("an answer is read by the kind of its request"),
        };
        let last = page.entries.iter().map(|entry| entry.seq).max().filter(|last| *last > after);
        count += page.entries.len();
        let goes_on = take(after, page.entries);
        match last.filter(|_| page.more && goes_on) {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
    Err(Error::Contradiction { room })
}
