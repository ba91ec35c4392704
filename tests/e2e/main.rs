//! The binary from outside, as people and scripts run it: one file per subject.

mod bad_input;
mod big;
mod connect;
mod connect_files;
mod connect_hooks;
mod connect_refusals;
mod disk;
mod file;
mod frameworks;
mod handoff;
mod hooks;
mod hooks_agent;
mod hooks_config;
mod hooks_trouble;
mod kill_apply;
mod lies;
mod local_hub;
mod mcp;
mod people;
mod places;
mod served;
mod served_hub;
mod session_door;
mod session_json;
mod session_refusals;
mod session_storm;
mod session_talk;
mod session_use;
mod setup;
mod strace;
mod surface;
mod terminal;
mod tls;
mod two;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_git-parler");

/// Returns a sealed environment in which `git parler` is the program under test.
pub(crate) fn environment() -> kit::Env {
    kit::Env::new().with_program(PROGRAM)
}
