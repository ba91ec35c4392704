//! Hooks of git: which of its events are announced, and the scripts or the section of its configuration by which git tells of
//! them, put in and taken out.
//!
//! The crate reads nothing of a repository but its hooks and the settings of the frameworks that keep them, and speaks to nobody: facts
//! come in, and what is to be done goes out. Where the scripts lie is told by the caller.

mod agent;
mod config;
mod event;
mod framework;
mod install;
mod limits;
mod policy;
mod script;

pub use agent::{Host, Moment, News, Reply, Turn, reply};
pub use config::{BY_ARGUMENT, HOOK_NAME, has_section, with_section, without_section};
pub use event::Event;
pub use framework::{Framework, Probe};
pub use install::{Change, Error, Hook, Hooks, State};
pub use policy::{Action, Facts, Operation, decide};

#[cfg(test)]
mod tests;
