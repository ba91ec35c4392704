//! What may count as read only once its answer was written: a cursor moves after that, and a call that was cancelled in between
//! leaves it where it was.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::id::RoomId;
use rmcp::model::{JsonRpcMessage, RequestId};
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio::task::JoinSet;

use crate::clients::Lent;
use crate::limits::SETTLE_TIME_MAX;

/// The reader whose cursor the tools move, so that no message is taken from the person at the terminal.
pub(crate) const READER: &str = "mcp";

/// Messages on their way to a client, by the request that asked for them.
#[derive(Clone, Default)]
pub(crate) struct Deliveries {
    under_way: Arc<Mutex<HashMap<RequestId, Delivery>>>,
    /// Cursors that are being moved.
    moving: Arc<Mutex<JoinSet<()>>>,
    turns: Arc<Mutex<HashMap<RoomId, Arc<Turn<()>>>>>,
}

/// One answer with messages: what it brings the reader to, and the right to read on in that room meanwhile.
pub(crate) struct Delivery {
    pub(crate) client: Lent,
    pub(crate) room: RoomId,
    pub(crate) cursor: u64,
    pub(crate) _turn: OwnedMutexGuard<()>,
}

impl Deliveries {
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
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(request, delivery);
    }

    /// Forgets what a cancelled request would have brought.
    pub(crate) fn cancelled(&self, request: &RequestId) {
        drop(self.take(request));
    }

    fn take(&self, request: &RequestId) -> Option<Delivery> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(request)
    }

    /// Moves the cursor behind what was written.
    fn written(&self, request: &RequestId) {
        let Some(Delivery { mut client, room, cursor, _turn }) = self.take(request) else { return };
        let mut moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        while moving.try_join_next().is_some() {}
        moving.spawn(async move {
            // What was shown counts as shown on this machine, whether the hub hears of it or not; a file that cannot be written
            // brings the same messages once more.
            client.ack(room, READER, cursor).await.ok();
            client.give_back().await;
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

/// A transport that tells when an answer was written.
pub(crate) struct Telling<T> {
    pub(crate) inner: T,
    pub(crate) deliveries: Deliveries,
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
        let (written, deliveries) = (self.inner.send(item), self.deliveries.clone());
        async move {
            written.await?;
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
