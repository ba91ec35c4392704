//! The relay: rooms and their logs in SQLite, blobs as files, and the connections of clients.
//!
//! [`run()`] is all of it. Inside, `service` has one file for each request over two seams, the `store` (state, log, guards) and
//! the `blobs` (bytes under their hash); `drive` is one connection around the protocol's own end of it.

#[cfg(not(unix))]
compile_error!("git-parler is written for Linux and macOS; Windows is not supported");

mod blobs;
#[cfg(test)]
mod cast;
mod clock;
mod config;
mod drive;
#[cfg(test)]
mod e2e;
mod error;
mod fanout;
mod fatal;
mod folder;
mod handshake;
mod janitor;
mod limits;
mod net;
mod outbox;
mod quota;
mod registry;
mod run;
mod service;
mod store;
mod transfer;

pub use self::config::{Config, Listen, Names, Ready};
pub use self::error::Error;
pub use self::fatal::Unsafe;
pub use self::run::run;
pub use self::store::sqlite::OpenError;
