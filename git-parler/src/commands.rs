//! One file per command: what it does with its arguments, and how its answer is printed.

pub(crate) mod apply;
pub(crate) mod connect;
pub(crate) mod doctor;
pub(crate) mod drop;
pub(crate) mod fetch;
pub(crate) mod help;
pub(crate) mod hook;
pub(crate) mod hooks;
pub(crate) mod hub;
pub(crate) mod join;
pub(crate) mod key;
pub(crate) mod leave;
pub(crate) mod list;
pub(crate) mod mcp;
pub(crate) mod open;
pub(crate) mod push;
pub(crate) mod recv;
pub(crate) mod requests;
pub(crate) mod send;
pub(crate) mod sessions;
pub(crate) mod setup;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod wait;
pub(crate) mod whoami;
