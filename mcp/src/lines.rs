//! The lines of the input: seen as they go by, so that a request in one that is too long to be read is answered all the same, and
//! its end, after which nobody reads an answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rmcp::model::{ClientRequest, ErrorData, JsonRpcMessage, JsonRpcRequest};
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::limits::{LINE_BYTES_MAX, REQUEST_ID_BYTES_MAX};

/// The method of the request that follows a line which was too long.
const TOO_LONG: &str = "parler/too_long";

/// Passes the input on, and behind each line that is longer than its reader takes, which leaves it out, a request with the id of
/// the one in it.
pub(crate) struct Lines<R> {
    inner: R,
    /// Cancelled as soon as the input ends.
    ends: CancellationToken,
    line: Line,
    /// What was read and not passed on, from `passed` on.
    read: Vec<u8>,
    passed: usize,
}

impl<R> Lines<R> {
    pub(crate) fn new(inner: R, ends: CancellationToken) -> Self {
        Self { inner, ends, line: Line::default(), read: Vec::new(), passed: 0 }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Lines<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.passed == this.read.len() {
            let mut chunk = [0; 8 * 1024];
            let mut chunk = ReadBuf::new(&mut chunk);
            let polled = ready!(Pin::new(&mut this.inner).poll_read(context, &mut chunk));
            if polled.is_err() || chunk.filled().is_empty() {
                this.ends.cancel();
                return Poll::Ready(polled);
            }
            (this.passed, this.read) = (0, this.line.follow(chunk.filled()));
        }
        let left = &this.read[this.passed..];
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..count]);
        this.passed += count;
        Poll::Ready(Ok(()))
    }
}

/// A transport whose input are [`Lines`]: it answers what these say of one that was too long.
pub(crate) struct Answering<T> {
    pub(crate) inner: T,
}

impl<T: Transport<RoleServer> + 'static> Transport<RoleServer> for Answering<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.inner.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let message = self.inner.receive().await?;
            match &message {
                JsonRpcMessage::Request(JsonRpcRequest {
                    id,
                    request: ClientRequest::CustomRequest(request),
                    ..
                }) if request.method == TOO_LONG => {
                    let told = format!("a message has at most {LINE_BYTES_MAX} bytes");
                    let error = ErrorData::invalid_request(told, None);
                    // By itself, since what receives may be stopped at any time; who has left needs no answer.
                    tokio::spawn(
                        self.inner.send(TxJsonRpcMessage::<RoleServer>::error(error, Some(id.clone()))),
                    );
                }
                _ => return Some(message),
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await
    }
}

/// What is known of the line that goes by.
#[derive(Debug, Default)]
struct Line {
    length: usize,
    /// How deep in objects and lists.
    depth: u32,
    in_text: bool,
    is_escaped: bool,
    /// What stands in the outermost object since its last separator, as far as it matters.
    token: Vec<u8>,
    key: Vec<u8>,
    id: Option<Value>,
    is_request: bool,
}

impl Line {
    /// Takes the next bytes, and returns what is to be passed on of them.
    fn follow(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut passed = Vec::with_capacity(bytes.len());
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            passed.extend_from_slice(part);
            part.iter().for_each(|byte| self.step(*byte));
            self.length = self.length.saturating_add(part.len());
            if part.ends_with(b"\n") {
                let line = std::mem::take(self);
                if let (true, true, Some(id)) = (line.length > LINE_BYTES_MAX, line.is_request, line.id) {
                    let request = json!({ "jsonrpc": "2.0", "id": id, "method": TOO_LONG });
                    passed.extend_from_slice(format!("{request}\n").as_bytes());
                }
            }
        }
        passed
    }

    fn step(&mut self, byte: u8) {
        if self.in_text {
            if self.depth == 1 {
                self.keep(byte);
            }
            if self.is_escaped {
                self.is_escaped = false;
            } else {
                (self.is_escaped, self.in_text) = (byte == b'\\', byte != b'"');
            }
            return;
        }
        match byte {
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => {
                self.end_value();
                self.depth = self.depth.saturating_sub(1);
            }
            b',' => self.end_value(),
            b':' if self.depth == 1 => self.key = std::mem::take(&mut self.token),
            b'"' => {
                self.in_text = true;
                if self.depth == 1 {
                    self.keep(byte);
                }
            }
            _ if self.depth == 1 && !byte.is_ascii_whitespace() => self.keep(byte),
            _ => {}
        }
    }

    /// Keeps what may be a key or an id; what is longer is neither.
    fn keep(&mut self, byte: u8) {
        if self.token.len() <= REQUEST_ID_BYTES_MAX {
            self.token.push(byte);
        }
    }

    fn end_value(&mut self) {
        if self.depth != 1 {
            return;
        }
        let (key, value) = (std::mem::take(&mut self.key), std::mem::take(&mut self.token));
        match &key[..] {
            b"\"id\"" => {
                let id = serde_json::from_slice(&value).ok();
                self.id = id.filter(|id: &Value| id.is_string() || id.is_number());
            }
            b"\"method\"" => self.is_request = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// Passes an input on in pieces of `size` bytes.
    fn passed(input: &str, size: usize) -> String {
        let mut line = Line::default();
        let pieces = input.as_bytes().chunks(size).flat_map(|piece| line.follow(piece)).collect();
        String::from_utf8(pieces).unwrap()
    }

    fn long() -> String {
        "x".repeat(LINE_BYTES_MAX)
    }

    #[test]
    fn a_request_in_a_line_that_is_too_long_is_followed_by_one_with_its_id() {
        for (before, behind, id) in [
            (r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"id":1,"text":""#, r#""}}"#, "7"),
            (
                r#"{"method":"tools/call","params":{"a":[1,{"id":3}],"text":"\\\"} "#,
                r#""},"id" : "a\"b"}"#,
                r#""a\"b""#,
            ),
        ] {
            let input = format!("{before}{}{behind}\n{{\"next\":1}}\n", long());
            let id: Value = serde_json::from_str(id).unwrap();
            let request = json!({ "jsonrpc": "2.0", "id": id, "method": "parler/too_long" });
            let expected = input.replacen('\n', &format!("\n{request}\n"), 1);
            for size in [8 * 1024, input.len()] {
                assert!(passed(&input, size) == expected, "{before} in pieces of {size}");
            }
        }
    }

    #[test]
    fn what_is_no_request_or_not_too_long_goes_by_as_it_is() {
        for input in [
            format!("{{\"id\":7,\"result\":\"{}\"}}\n", long()),
            format!("{{\"method\":\"x\",\"params\":\"{}\"}}\n", long()),
            format!("{{\"id\":null,\"method\":\"x\",\"params\":\"{}\"}}\n", long()),
            format!("[[[[\"{}\n", long()),
            "{\"id\":7,\"method\":\"x\"}\n]]]}}\n\"\n\\\n".to_owned(),
        ] {
            assert!(passed(&input, 1000) == input, "{}", &input[..20]);
        }
    }

    #[tokio::test]
    async fn the_end_is_told_when_all_was_passed_on() {
        let ends = CancellationToken::new();
        let mut lines = Lines::new(&b"one\ntwo"[..], ends.clone());
        let mut three = [0; 3];
        lines.read_exact(&mut three).await.unwrap();
        assert!(!ends.is_cancelled());
        let mut rest = String::new();
        lines.read_to_string(&mut rest).await.unwrap();
        assert_eq!((&three, &rest[..], ends.is_cancelled()), (b"one", "\ntwo", true));
    }
}
