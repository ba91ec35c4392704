//! The way to a hub, shared by every command: identity at rest, connection, transfers, cache and spool.
//!
//! The crate reads neither environment nor configuration and starts no process: [`settings::Settings`] come in, and so does
//! what starts the local hub.

pub mod files;
pub mod limits;
pub mod report;
pub mod seat;
pub mod settings;
