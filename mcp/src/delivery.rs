//! What may count as read only once its answer was written: a cursor moves after that, and a call that was cancelled in between
//! leaves it where it was.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::id::RoomId;
use rmcp::model::{JsonRpcMessage, RequestId};
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::limits::SETTLE_TIME_MAX;

/// The reader whose cursor the tools move, so that no message is taken from the person at the terminal.
pub const READER: &str = "mcp";

/// Messages on their way to a client, by the request that asked for them.
#[derive(Clone, Default)]
pub(crate) struct Deliveries {
    /// Whether somebody tells when an answer was written; else cursors stay where they are.
    is_told: bool,
    under_way: Arc<Mutex<HashMap<RequestId, Delivery>>>,
    /// Cursors that are being moved.
    moving: Arc<Mutex<JoinSet<()>>>,
    turns: Arc<Mutex<HashMap<RoomId, Arc<Turn<()>>>>>,
}

/// One answer with messages, on its way.
pub(crate) struct Delivery {
    /// The right to read on in that room.
    pub(crate) turn: OwnedMutexGuard<()>,
    /// What counts as soon as it was written, and is dropped otherwise.
    pub(crate) then: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Deliveries {
    /// Returns what a [`Telling`] transport tells of.
    pub(crate) fn told() -> Self {
        Self { is_told: true, ..Self::default() }
    }

    /// Waits until nobody else reads in `room`.
    pub(crate) async fn turn(&self, room: RoomId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(room).or_default())
        };
        turn.lock_owned().await
    }

    /// Takes note of what the answer to `request` brings.
    pub(crate) fn begin(&self, request: RequestId, delivery: Delivery) {
        if self.is_told {
            self.under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(request, delivery);
        }
    }

    /// Forgets what a cancelled request would have brought.
    pub(crate) fn cancelled(&self, request: &RequestId) {
        drop(self.take(request));
    }

    fn take(&self, request: &RequestId) -> Option<Delivery> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(request)
    }

    /// Has the cursor moved behind what was written.
    fn written(&self, request: &RequestId) {
        let Some(Delivery { turn, then }) = self.take(request) else { return };
        let mut moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        while moving.try_join_next().is_some() {}
        moving.spawn(async move {
            then.await;
            // Only now: who reads next reads from the cursor on.
            drop(turn);
        });
    }

    /// Waits for the cursors that are being moved, so that what a host has seen before it ends the server comes no second time.
    pub(crate) async fn settle(&self) {
        let mut moving = std::mem::take(&mut *self.moving.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while moving.join_next().await.is_some() {} };
        // A hub that does not answer keeps no host waiting.
        tokio::time::timeout(SETTLE_TIME_MAX, all).await.ok();
    }
}

/// A transport that tells when an answer was written, and when nothing can be written any more.
pub(crate) struct Telling<T> {
    pub(crate) inner: T,
    pub(crate) deliveries: Deliveries,
    /// Cancelled by the first failure: whom nothing reaches is not served.
    pub(crate) ends: CancellationToken,
}

impl<T: Transport<RoleServer> + 'static> Transport<RoleServer> for Telling<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let answered = match &item {
            JsonRpcMessage::Response(response) => Some(response.id.clone()),
            _ => None,
        };
        let (written, deliveries, ends) = (self.inner.send(item), self.deliveries.clone(), self.ends.clone());
        async move {
            written.await.inspect_err(|_| ends.cancel())?;
            if let Some(request) = answered {
                deliveries.written(&request);
            }
            Ok(())
        }
    }

    fn receive(&mut self) -> impl Future<Output = Option<RxJsonRpcMessage<RoleServer>>> + Send {
        self.inner.receive()
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.inner.close()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rmcp::model::{JsonRpcVersion2_0, ServerResult};
    use tokio::sync::oneshot;

    use super::*;

    /// Writes when it is told to, with the outcome that it is told.
    struct Slow(Option<oneshot::Receiver<io::Result<()>>>);

    impl Transport<RoleServer> for Slow {
        type Error = io::Error;

        fn send(
            &mut self,
            _item: TxJsonRpcMessage<RoleServer>,
        ) -> impl Future<Output = io::Result<()>> + Send + 'static {
            let written = self.0.take().expect("one message");
            async { written.await.expect("somebody tells") }
        }

        async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
            None
        }

        async fn close(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What happens to an answer.
    #[derive(Debug, Clone, Copy)]
    enum Fate {
        Written,
        Failed,
        CancelledBefore,
        CancelledMeanwhile,
        Another,
    }

    /// Returns how often the cursor was moved, and whether somebody else may read on.
    async fn delivered(fate: Fate) -> (usize, bool) {
        let (deliveries, moved) = (Deliveries::told(), Arc::new(AtomicUsize::new(0)));
        let (room, request) = (RoomId::from_bytes([7; 32]), RequestId::Number(1));
        let turn = deliveries.turn(room).await;
        let counted = Arc::clone(&moved);
        let then = Box::pin(async move {
            tokio::task::yield_now().await;
            counted.fetch_add(1, Ordering::Relaxed);
        });
        deliveries.begin(request.clone(), Delivery { turn, then });
        let (tell, told) = oneshot::channel();
        let ends = CancellationToken::new();
        let mut transport =
            Telling { inner: Slow(Some(told)), deliveries: deliveries.clone(), ends: ends.clone() };
        if let Fate::CancelledBefore = fate {
            deliveries.cancelled(&request);
        }
        let id = if let Fate::Another = fate { RequestId::Number(2) } else { request.clone() };
        let answer = JsonRpcMessage::Response(rmcp::model::JsonRpcResponse {
            jsonrpc: JsonRpcVersion2_0,
            id,
            result: ServerResult::empty(()),
        });
        let sending = tokio::spawn(transport.send(answer));
        tokio::task::yield_now().await;
        assert_eq!(moved.load(Ordering::Relaxed), 0, "{fate:?}: not before it was written");
        if let Fate::CancelledMeanwhile = fate {
            deliveries.cancelled(&request);
        }
        tell.send(if let Fate::Failed = fate { Err(io::Error::other("gone")) } else { Ok(()) }).unwrap();
        // How it ended is what the transport says.
        sending.await.unwrap().ok();
        assert_eq!(ends.is_cancelled(), matches!(fate, Fate::Failed));
        deliveries.settle().await;
        let turns = deliveries.turns.lock().unwrap();
        (moved.load(Ordering::Relaxed), turns[&room].try_lock().is_ok())
    }

    #[tokio::test]
    async fn a_cursor_moves_once_what_it_counts_was_written_and_not_else() {
        for (fate, expected) in [
            (Fate::Written, (1, true)),
            (Fate::CancelledBefore, (0, true)),
            (Fate::CancelledMeanwhile, (0, true)),
            // Nobody reads on where the client is gone, and where its answer is still to come.
            (Fate::Failed, (0, false)),
            (Fate::Another, (0, false)),
        ] {
            assert_eq!(delivered(fate).await, expected, "{fate:?}");
        }
    }

    #[tokio::test]
    async fn the_turn_is_over_only_when_the_cursor_has_moved() {
        let (deliveries, room) = (Deliveries::told(), RoomId::from_bytes([7; 32]));
        let (tell, told) = oneshot::channel::<()>();
        let turn = deliveries.turn(room).await;
        let then = Box::pin(async { told.await.unwrap() });
        deliveries.begin(RequestId::Number(1), Delivery { turn, then });
        deliveries.written(&RequestId::Number(1));
        tokio::task::yield_now().await;
        let free = || deliveries.turns.lock().unwrap()[&room].try_lock().is_ok();
        assert!(!free());
        tell.send(()).unwrap();
        deliveries.settle().await;
        assert!(free());
    }

    #[tokio::test]
    async fn where_nobody_tells_nothing_is_waited_for() {
        let (deliveries, room) = (Deliveries::default(), RoomId::from_bytes([7; 32]));
        let turn = deliveries.turn(room).await;
        deliveries.begin(RequestId::Number(1), Delivery { turn, then: Box::pin(async {}) });
        assert!(deliveries.turns.lock().unwrap()[&room].try_lock().is_ok());
    }
}
