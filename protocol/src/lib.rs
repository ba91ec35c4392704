//! git-parler's protocol, version 1, without I/O, clock or randomness.
//!
//! What travels between a client and a hub, who signed it, who may read it, and in which order things may be said. Sockets,
//! disks and clocks belong to `client` and `hub`; the exact bytes stand in `docs/PROTOCOL.md`.

pub mod conn;
pub mod frame;
pub mod id;
pub mod json;
pub mod key;
pub mod limits;
pub mod part;
pub mod refusal;
pub mod room;
pub mod signed;
pub mod statement;
