//! The tools. Reading and sending are here; what only a human does is not: none applies, merges, runs, puts anybody out, or makes a
//! key for a session that it did not open.

mod chat;
pub(crate) mod handoff;
mod session;
