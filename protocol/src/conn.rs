//! Both ends of a connection as state machines without sockets or clocks: who may say what now, slots, sizes, deadlines.
//!
//! One input, then drain the outputs with `poll`. Time comes in with each input, as unix milliseconds that never go back
//! within a connection; the drivers in `client` and `hub` own the sockets.

pub mod client;
pub mod hub;
#[cfg(test)]
mod pair;

pub use client::ClientEnd;
pub use hub::HubEnd;
