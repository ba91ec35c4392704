//! The MCP server: sessions and handoffs as tools, for agents in any host, in both eras of the protocol.
//!
//! It cannot apply, merge or run anything, and chooses no path: repositories, settings and the start of the local hub are lent to it
//! by the program, see [`Host`] and [`Repositories`]. Its tools are the same for as long as the version is.

mod ask;
mod call;
mod clients;
mod delivery;
mod host;
#[cfg(feature = "conformance")]
mod http;
mod joining;
mod limits;
mod lines;
mod prompts;
mod render;
mod reply;
mod resources;
mod schema;
mod server;
mod stdio;
mod stop;
mod tools;

pub use delivery::READER;
pub use host::{Built, Host, Previewed, Problem, Purpose, Range, Repositories, session_key};
#[cfg(feature = "conformance")]
pub use http::serve_http;
pub use stdio::{ServeError, Setup, serve};
