//! The same server over HTTP, for the protocol's conformance suite, which speaks nothing else: only in a build with the feature of
//! that name. Cursors stay where they are here, since nobody tells when an answer was written.

use std::sync::Arc;

use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;

use crate::delivery::Deliveries;
use crate::server::Server;
use crate::stdio::{ServeError, Setup};

/// Serves any number of clients below `/mcp` on a socket that listens, until the process is ended.
///
/// # Errors
/// [`ServeError`] when the socket fails.
pub async fn serve_http(setup: Setup, listener: TcpListener) -> Result<(), ServeError> {
    let server = Server::new(&setup, Deliveries::default()).map_err(ServeError::Random)?;
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    let routes = axum::Router::new().nest_service("/mcp", service);
    axum::serve(listener, routes).await.map_err(ServeError::Io)
}
