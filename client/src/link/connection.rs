//! One connection: a WebSocket and the protocol's end of it, from the first packet to the last.

use std::collections::VecDeque;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::conn::ClientEnd;
use protocol::conn::client::{ClientOutput, LoggedIn};
use protocol::frame::Packet;
use protocol::statement::UnixMillis;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::dial::{Dialer, Failure, Socket};
use super::fault_error;

/// A socket and the protocol's end of it, logged in.
pub(super) struct Connection {
    socket: Socket,
    pub(super) end: ClientEnd,
    out: VecDeque<Message>,
    is_flushed: bool,
    /// What the hub said of itself, and whether its key is met for the first time.
    greeting: Option<(LoggedIn, bool)>,
    base: (Instant, UnixMillis),
}

/// What one look at the socket gave.
pub(super) enum Turn {
    Received(Packet),
    Wrote,
    Gone,
}

impl Connection {
    /// Dials and logs in.
    pub(super) async fn open(dialer: &Dialer) -> Result<Self, Failure> {
        let (socket, config) = dialer.dial().await?;
        let base = (Instant::now(), crate::seat::now());
        let end = ClientEnd::new(config, base.1);
        let mut connection =
            Self { socket, end, out: VecDeque::new(), is_flushed: true, greeting: None, base };
        loop {
            match connection.end.poll() {
                Some(ClientOutput::Send(packet)) => connection.queue(packet),
                Some(ClientOutput::LoggedIn(logged_in)) => {
                    let is_new = dialer.remember(logged_in.hub)?;
                    connection.greeting = Some((*logged_in, is_new));
                    return Ok(connection);
                }
                Some(ClientOutput::Closed(fault)) => {
                    let known = dialer.known_hubs_path();
                    let error = fault_error(fault.clone(), dialer.origin(), &dialer.address(), known);
                    return Err(error.map_or(Failure::Passing(fault.into()), Failure::Final));
                }
                Some(_) => {}
                None => connection.wait().await,
            }
        }
    }

    /// Returns what the hub said of itself, and whether its key is met for the first time.
    pub(super) fn greeting(&self) -> (LoggedIn, bool) {
        self.greeting.clone().expect("a connection is handed out once it is logged in")
    }

    /// Says whether nothing waits to be written.
    pub(super) fn is_idle(&self) -> bool {
        self.out.is_empty()
    }

    /// Waits for the socket or the clock.
    async fn wait(&mut self) {
        let deadline = self.deadline();
        let turn = tokio::time::timeout_at(deadline, std::future::poll_fn(|cx| self.poll_io(cx, true))).await;
        match turn {
            Ok(turn) => self.take(turn),
            Err(_) => self.end.tick(self.now()),
        }
    }

    /// Hands what the socket gave to the protocol's end.
    pub(super) fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Received(packet) => self.end.receive(packet, self.now()),
            Turn::Gone => self.end.disconnected(),
            Turn::Wrote => {}
        }
    }

    /// Queues a packet; it is written by [`Connection::poll_io`].
    pub(super) fn queue(&mut self, packet: Packet) {
        self.out.push_back(match packet {
            Packet::Text(text) => Message::text(text),
            Packet::Binary(bytes) => Message::binary(bytes),
        });
    }

    /// Returns the time: the clock's when the connection was opened, and what has passed since, so it never goes back.
    pub(super) fn now(&self) -> UnixMillis {
        let since = self.base.0.elapsed().as_millis();
        self.base.1.saturating_add(UnixMillis::try_from(since).unwrap_or(UnixMillis::MAX))
    }

    /// Returns when the protocol's end wants to be woken.
    pub(super) fn deadline(&self) -> Instant {
        let millis = self.end.deadline().map_or(FAR_MILLIS, |at| at - self.now());
        Instant::now() + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// Writes what is queued, then reads one packet when `may_read`.
    pub(super) fn poll_io(&mut self, cx: &mut Context<'_>, may_read: bool) -> Poll<Turn> {
        let mut wrote = false;
        while !self.out.is_empty() {
            match self.socket.poll_ready_unpin(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Turn::Gone),
                Poll::Pending => break,
            }
            if let Some(message) = self.out.pop_front()
                && self.socket.start_send_unpin(message).is_err()
            {
                return Poll::Ready(Turn::Gone);
            }
            (wrote, self.is_flushed) = (true, false);
        }
        if !self.is_flushed {
            match self.socket.poll_flush_unpin(cx) {
                Poll::Ready(Ok(())) => self.is_flushed = true,
                Poll::Ready(Err(_)) => return Poll::Ready(Turn::Gone),
                Poll::Pending => {}
            }
        }
        if wrote {
            return Poll::Ready(Turn::Wrote);
        }
        if !may_read {
            return Poll::Pending;
        }
        loop {
            return match self.socket.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(Message::Text(text)))) => {
                    Poll::Ready(Turn::Received(Packet::Text(text.as_str().to_owned())))
                }
                Poll::Ready(Some(Ok(Message::Binary(bytes)))) => {
                    Poll::Ready(Turn::Received(Packet::Binary(bytes.into())))
                }
                // Answered below us; a close shows as the end of the stream.
                Poll::Ready(Some(Ok(_))) => continue,
                Poll::Ready(Some(Err(_)) | None) => Poll::Ready(Turn::Gone),
                Poll::Pending => Poll::Pending,
            };
        }
    }

    /// Says goodbye.
    pub(super) async fn close(&mut self) {
        // A hub that is gone already, or does not take the goodbye in time, misses nothing.
        tokio::time::timeout(crate::limits::GOODBYE_TIME_MAX, self.socket.close(None)).await.ok();
    }
}

const FAR_MILLIS: i64 = 3_600_000;
