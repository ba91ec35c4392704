//! From a socket to a WebSocket: limits, subprotocol and the `Origin` of browsers; and an answer to what is no request for one.

use std::io;

use protocol::limits::{CHUNK_BYTES_MAX, CHUNK_HEADER_BYTES, Limits, SUBPROTOCOL};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use crate::limits::UNREAD_BYTES_MAX;

/// Turns a socket into a WebSocket, if it asks for the protocol and no foreign web page does it.
pub(crate) async fn accept<T: AsyncRead + AsyncWrite + Unpin>(
    mut socket: T,
    origins: &[String],
    limits: &Limits,
) -> Result<WebSocketStream<T>, WsError> {
    let config = config(limits);
    let shaken = accept_hdr_async_with_config(&mut socket, Check { origins }, Some(config)).await.map(drop);
    match shaken {
        // Nothing was read behind the request: a client that goes on before the answer is refused.
        Ok(()) => Ok(WebSocketStream::from_raw_socket(socket, Role::Server, Some(config)).await),
        Err(error) => {
            if let Some(answer) = answer(&error) {
                // Who is gone by now does not miss it.
                say(&mut socket, answer).await.ok();
            }
            Err(error)
        }
    }
}

/// Returns what somebody is told who does not ask for a WebSocket, unless that has been done already.
fn answer(error: &WsError) -> Option<&'static str> {
    match error {
        WsError::Protocol(ProtocolError::WrongHttpMethod) => Some(NOT_ALLOWED),
        WsError::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingUpgradeWebSocketHeader
            | ProtocolError::MissingSecWebSocketVersionHeader
            | ProtocolError::WrongHttpVersion,
        ) => Some(UPGRADE_REQUIRED),
        // A client that begins with TLS learns from any answer in the clear that there is none.
        WsError::Protocol(ProtocolError::HttparseError(_)) => Some(BAD_REQUEST),
        _ => None,
    }
}

async fn say<T: AsyncRead + AsyncWrite + Unpin>(socket: &mut T, answer: &str) -> io::Result<()> {
    socket.write_all(answer.as_bytes()).await?;
    socket.shutdown().await?;
    // A socket that is closed over unread bytes may take back what was written.
    tokio::io::copy(&mut socket.take(UNREAD_BYTES_MAX), &mut tokio::io::sink()).await?;
    Ok(())
}

/// Returns the library's limits: its own would let a peer fill the memory.
fn config(limits: &Limits) -> WebSocketConfig {
    let message_bytes_max = message_bytes_max(limits);
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES + 2 * message_bytes_max)
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max))
}

fn message_bytes_max(limits: &Limits) -> usize {
    let text = usize::try_from(limits.text_frame_bytes_max).unwrap_or(usize::MAX / 4);
    text.max(CHUNK_BYTES_MAX + CHUNK_HEADER_BYTES)
}

struct Check<'a> {
    origins: &'a [String],
}

impl Callback for Check<'_> {
    fn on_request(self, request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
        let headers = request.headers();
        // Browsers always send it, other clients do not: so no web page reaches a hub on loopback.
        if headers.get_all(header::ORIGIN).iter().any(|origin| !self.is_ours(origin)) {
            return Err(refusal(StatusCode::FORBIDDEN, "This page is not the hub's own.\n"));
        }
        let mut offers =
            headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|offer| offer.to_str().ok());
        if !offers.any(|offer| offer.split(',').any(|name| name.trim() == SUBPROTOCOL)) {
            return Err(refusal(StatusCode::BAD_REQUEST, "This hub speaks another subprotocol.\n"));
        }
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        Ok(response)
    }
}

impl Check<'_> {
    /// Says whether a page of this hub's own sends the request: its origin is `http…` where the hub's is `ws…`.
    fn is_ours(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        self.origins.iter().any(|ours| {
            let page = ours.strip_prefix("ws").map(|rest| format!("http{rest}"));
            page.is_some_and(|page| {
                let default_port = if page.starts_with("https:") { ":443" } else { ":80" };
                page == origin || page.strip_suffix(default_port) == Some(origin)
            })
        })
    }
}

fn refusal(status: StatusCode, text: &'static str) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(text.to_owned()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(header::CONTENT_LENGTH, text.len().into());
    response
}

const UPGRADE_REQUIRED: &str = "HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade, close\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nContent-Type: text/plain\r\nContent-Length: 53\r\n\r\n\
    This is a hub of git-parler: see git parler help hub\n";
const NOT_ALLOWED: &str =
    "HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nAllow: GET\r\nContent-Length: 0\r\n\r\n";
const BAD_REQUEST: &str = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
/// The default would cost each idle connection 128 KiB.
const READ_BUFFER_BYTES: usize = 4 * 1024;
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(fields: &[(header::HeaderName, &str)]) -> StatusCode {
        let origins = ["ws://127.0.0.1:7419".to_owned(), "wss://hub.example:443".to_owned()];
        let mut request = Request::new(());
        for (name, value) in fields {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        match (Check { origins: &origins }).on_request(&request, Response::new(())) {
            Ok(response) => response.status(),
            Err(response) => response.status(),
        }
    }

    #[test]
    fn a_page_of_another_origin_is_forbidden() {
        let protocol = (header::SEC_WEBSOCKET_PROTOCOL, "parler.v1");
        for foreign in ["http://evil.example", "null", "http://127.0.0.1:80", "https://hub.example:8443"] {
            assert_eq!(
                answer(&[protocol.clone(), (header::ORIGIN, foreign)]),
                StatusCode::FORBIDDEN,
                "{foreign}"
            );
        }
        for own in ["http://127.0.0.1:7419", "https://hub.example", "https://hub.example:443"] {
            assert_eq!(answer(&[protocol.clone(), (header::ORIGIN, own)]), StatusCode::OK, "{own}");
        }
        let both =
            [protocol, (header::ORIGIN, "http://127.0.0.1:7419"), (header::ORIGIN, "http://evil.example")];
        assert_eq!(answer(&both), StatusCode::FORBIDDEN);
    }

    #[test]
    fn a_client_that_does_not_speak_the_protocol_is_refused() {
        assert_eq!(answer(&[]), StatusCode::BAD_REQUEST);
        assert_eq!(answer(&[(header::SEC_WEBSOCKET_PROTOCOL, "chat, parler.v2")]), StatusCode::BAD_REQUEST);
        assert_eq!(answer(&[(header::SEC_WEBSOCKET_PROTOCOL, "chat, parler.v1")]), StatusCode::OK);
    }
}
