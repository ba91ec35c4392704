//! Serving on standard input and output: lines of a bounded length, and an end as soon as the input ends.

use std::io;
use std::sync::Arc;

use protocol::invite::SessionKey;
use rmcp::ServiceExt as _;
use rmcp::service::ServerInitializeError;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::delivery::{Deliveries, Telling};
use crate::host::{Host, Problem, Repositories};
use crate::limits::LINE_BYTES_MAX;
use crate::lines::{Answering, Lines};
use crate::server::Server;

/// With what a server is started.
pub struct Setup {
    /// The program's settings and sentences.
    pub host: Arc<dyn Host>,
    /// What it is lent of repositories.
    pub repositories: Arc<dyn Repositories>,
    /// The key by which it asks to join at its start (`PARLER_SESSION_KEY`), if there is one, or why what is there is none.
    pub invite: Result<Option<SessionKey>, Problem>,
    /// The program's version.
    pub version: String,
}

/// Why a server could not be started or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The system gave no random bytes.
    #[error("no random bytes")]
    Random(#[source] getrandom::Error),
    /// What the client said first is not the protocol.
    #[error("the client does not speak MCP")]
    Protocol(#[source] Box<ServerInitializeError>),
    /// Standard input or output failed.
    #[error("standard input or output failed")]
    Io(#[source] io::Error),
}

/// Serves one client on standard input and output until the input ends. Needs a running tokio runtime; one on the current thread is
/// enough.
///
/// # Errors
/// [`ServeError`] when the client speaks something else from the beginning.
pub async fn serve(setup: Setup) -> Result<(), ServeError> {
    let (stdin, stdout) = rmcp::transport::stdio();
    serve_on(setup, stdin, stdout).await
}

/// As [`serve`], on any two streams.
pub(crate) async fn serve_on<R, W>(setup: Setup, input: R, output: W) -> Result<(), ServeError>
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (ends, deliveries) = (CancellationToken::new(), Deliveries::told());
    let server = Server::new(&setup, deliveries.clone()).map_err(ServeError::Random)?;
    let input = Lines::new(input, ends.clone());
    let inner = AsyncRwTransport::new_server(input, output).with_max_line_length(LINE_BYTES_MAX);
    let inner = Answering { inner };
    let joining = match setup.invite {
        Ok(key) => key.map(|key| tokio::spawn(server.clone().join_at_start(key))),
        Err(problem) => {
            server.joining().failed(&problem);
            None
        }
    };
    let transport = Telling { inner, deliveries, ends: ends.clone() };
    let served = match server.clone().serve_with_ct(transport, ends).await {
        Ok(running) => {
            running.waiting().await.map(drop).map_err(|error| ServeError::Io(io::Error::other(error)))
        }
        // A client that leaves before it says anything has wanted to know whether there is a server.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => Ok(()),
        Err(error) => Err(ServeError::Protocol(Box::new(error))),
    };
    if let Some(joining) = joining {
        joining.abort();
        // That it was aborted is no news.
        joining.await.ok();
    }
    server.close().await;
    served
}

#[cfg(test)]
mod tests;
