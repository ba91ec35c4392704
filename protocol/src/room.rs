//! The rules of a room: who is in it, what its log's values are, and when a range of it is what members wrote.
//!
//! Pure, and the same code in hub and client.

mod admission;
mod members;
#[cfg(test)]
mod model;
mod range;
#[cfg(test)]
mod tests;

pub use self::admission::{
    AdmissionError, CheckedRequest, RequestFault, check_admission, check_ask, check_request,
};
pub use self::members::{ActError, Admission, ChainEnd, ChainError, Members, Standing};
pub use self::range::{
    CheckedAct, CheckedMessage, Counters, Flag, RangeChecks, RangeError, RangeOutcome, Reading, verify_range,
};

use crate::id::{Digest, RoomId};
use crate::signed::{Verified, log_value};
use crate::statement::{Genesis, LogPoint};

/// Returns the point after the entry that follows `point` and whose statement has `digest`.
pub fn extend(point: &LogPoint, digest: &Digest) -> LogPoint {
    let seq = point.seq + 1;
    LogPoint { seq, log: log_value(&point.log, seq, digest) }
}

/// Returns the id of the room that `genesis` opens.
pub fn room_id(genesis: &Verified<Genesis>) -> RoomId {
    genesis.digest().into()
}
