//! What waits to be written to one connection, and the one place that reads from and writes to its socket.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{Sink as _, Stream as _};
use protocol::frame::Packet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

/// Packets to be written: texts first, so that no transfer holds up a conversation, each kind in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    texts: VecDeque<(Message, Option<OwnedSemaphorePermit>)>,
    chunks: VecDeque<Message>,
    bytes: usize,
    /// What was given to the socket and is not flushed yet holds its pages until it is.
    unflushed: Option<Vec<OwnedSemaphorePermit>>,
    stuck_since: Option<Instant>,
}

/// What a socket did.
#[derive(Debug)]
pub(crate) enum Traffic {
    /// A message came in.
    Read(Message),
    /// All that was queued has been written.
    Written,
    /// The connection is over.
    Over,
}

impl Outbox {
    /// Queues a packet; `page` is given back once it is written.
    pub(crate) fn push(&mut self, packet: Packet, page: Option<OwnedSemaphorePermit>, now: Instant) {
        self.stuck_since.get_or_insert(now);
        match packet {
            Packet::Text(text) => {
                self.bytes += text.len();
                self.texts.push_back((Message::text(text), page));
            }
            Packet::Binary(bytes) => {
                self.bytes += bytes.len();
                self.chunks.push_back(Message::binary(bytes));
            }
        }
    }

    /// Queues a WebSocket ping.
    pub(crate) fn ping(&mut self, now: Instant) {
        self.stuck_since.get_or_insert(now);
        self.texts.push_back((Message::Ping(Default::default()), None));
    }

    /// Returns how many bytes wait in the queue.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many chunks wait in the queue.
    pub(crate) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Returns since when something waits to be written, if anything does.
    pub(crate) fn stuck_since(&self) -> Option<Instant> {
        self.stuck_since
    }

    fn pop(&mut self) -> Option<Message> {
        let message = match self.texts.pop_front() {
            Some((message, page)) => {
                self.unflushed.get_or_insert_default().extend(page);
                message
            }
            None => {
                let message = self.chunks.pop_front()?;
                self.unflushed.get_or_insert_default();
                message
            }
        };
        self.bytes -= if message.is_ping() { 0 } else { message.len() };
        Some(message)
    }

    fn flushed(&mut self) {
        self.unflushed = None;
        self.stuck_since = None;
    }
}

/// Writes what is queued and reads the next message, whichever is done first. Can be dropped at any point: what
/// was not written is still in the outbox or in the socket's buffer.
pub(crate) async fn traffic<T: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<T>,
    outbox: &mut Outbox,
    reads: bool,
) -> Traffic {
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = poll_write(socket, outbox, cx) {
            return Poll::Ready(if outcome.is_ok() { Traffic::Written } else { Traffic::Over });
        }
        if !reads {
            return Poll::Pending;
        }
        match Pin::new(&mut *socket).poll_next(cx) {
            Poll::Ready(Some(Ok(message))) => Poll::Ready(Traffic::Read(message)),
            Poll::Ready(Some(Err(_)) | None) => Poll::Ready(Traffic::Over),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Is ready once something was queued and all of it is written.
fn poll_write<T: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<T>,
    outbox: &mut Outbox,
    cx: &mut Context<'_>,
) -> Poll<Result<(), WsError>> {
    if outbox.stuck_since.is_none() {
        return Poll::Pending;
    }
    let mut socket = Pin::new(socket);
    loop {
        std::task::ready!(socket.as_mut().poll_ready(cx))?;
        match outbox.pop() {
            Some(message) => socket.as_mut().start_send(message)?,
            None => {
                std::task::ready!(socket.as_mut().poll_flush(cx))?;
                outbox.flushed();
                return Poll::Ready(Ok(()));
            }
        }
    }
}
