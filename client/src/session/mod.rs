//! Sessions: rooms with a key, in which the owner approves each joiner.

mod error;

pub use error::{SessionError, Thing};
