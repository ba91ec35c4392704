//! The way to a hub, shared by every command: identity at rest, connection, transfers, cache and spool.
//!
//! The crate reads neither environment nor configuration and starts no process: [`Settings`] come in, and so does what starts
//! the local hub. [`Client`] carries the operations that commands are made of.

#[cfg(not(unix))]
compile_error!("git-parler is written for Linux and macOS; Windows is not supported");

mod client;
mod error;
pub mod files;
mod handoffs;
pub mod limits;
pub mod link;
pub mod local_hub;
mod outage;
mod push;
pub mod report;
pub mod room;
pub mod seat;
mod session;
pub mod settings;

pub use client::{Client, READER, known_hub_key, whoami};
pub use error::{Candidate, Error};
pub use handoffs::VerifiedHandoff;
pub use link::transfer::Progress;
pub use outage::{HubTurn, Outage};
pub use push::{Posted, Undelivered};
pub use seat::{InUse, VerifiedBlob, in_use, use_home};
pub use session::{
    Asked, JoinOutcome, Joining, NotLetIn, OpenSession, SessionError, Tended, Thing, export_user,
    import_user, whereabouts,
};
pub use settings::Settings;

#[cfg(test)]
mod tests;
