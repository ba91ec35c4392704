//! From a socket to a WebSocket: limits, subprotocol and the `Origin` of browsers.

use protocol::limits::{CHUNK_BYTES_MAX, CHUNK_HEADER_BYTES, Limits, SUBPROTOCOL};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

/// Turns a socket into a WebSocket, if it asks for the protocol and no foreign web page does it.
pub(crate) async fn accept<T: AsyncRead + AsyncWrite + Unpin>(
    socket: T,
    origins: &[String],
    limits: &Limits,
) -> Result<WebSocketStream<T>, WsError> {
    accept_hdr_async_with_config(socket, Check { origins }, Some(config(limits))).await
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
            return Err(refusal(StatusCode::FORBIDDEN));
        }
        let mut offers =
            headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|offer| offer.to_str().ok());
        if !offers.any(|offer| offer.split(',').any(|name| name.trim() == SUBPROTOCOL)) {
            return Err(refusal(StatusCode::BAD_REQUEST));
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

fn refusal(status: StatusCode) -> ErrorResponse {
    let mut response = ErrorResponse::new(None);
    *response.status_mut() = status;
    response
}

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
