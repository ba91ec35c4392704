//! The MCP server from outside: what a host says and hears, in both eras.

mod agent;
mod bad_input;
mod beside;
mod door;
mod handing;
mod hostile;
mod reading;
mod resources;
mod weather;

pub(crate) use agent::{Agent, until};

/// Returns the path of a file that is compared with what the server says.
pub(crate) fn golden(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/mcp").join(name)
}
