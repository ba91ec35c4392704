//! `put_blob`: bytes into the blob directory, then the row that binds them to a room.

use std::sync::Arc;

use protocol::frame::{PutBlob, PutDone};
use protocol::key::AgentId;
use protocol::refusal::Refusal;

use super::{Service, blocking, refusals::Refuse as _, refusals::too_large};
use crate::blobs::{StagingKey, Upload};
use crate::fanout::Wake;
use crate::store::Store;

/// How an upload begins.
#[derive(Debug)]
pub(crate) enum Begun {
    /// The room has the blob; no byte is needed.
    Present(PutDone),
    /// The bytes are to come.
    Receiving(Receiving),
}

/// An upload that waits for bytes.
#[derive(Debug)]
pub(crate) struct Receiving {
    key: StagingKey,
    size: u64,
    upload: Arc<Upload>,
}

impl Receiving {
    /// Returns the first byte that is wanted.
    pub(crate) fn offset(&self) -> u64 {
        self.upload.resumed_at()
    }

    /// Returns the size of the whole blob.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Appends chunks.
    async fn append(&self, chunks: Vec<Vec<u8>>) -> Result<(), Refusal> {
        let upload = Arc::clone(&self.upload);
        let appended = blocking(move || {
            for chunk in &chunks {
                upload.append(chunk)?;
            }
            Ok(())
        });
        appended.await.refuse()
    }
}

impl<S: Store, W: Wake> Service<S, W> {
    /// Begins or resumes an upload.
    pub(crate) async fn begin_upload(&self, agent: AgentId, request: &PutBlob) -> Result<Begun, Refusal> {
        let PutBlob { room, id, size } = *request;
        if size > self.limits.blob_bytes_max {
            return Err(too_large("the blob", self.limits.blob_bytes_max));
        }
        if self.store.may_put_blob(agent, room, id).await.refuse()? {
            return Ok(Begun::Present(PutDone { present: true }));
        }
        // Counted when it lands: an upload that is cut and resumed is one upload.
        self.uploads.check(agent, self.clock.now()).refuse()?;
        let blobs = self.blobs.clone();
        let key = StagingKey { agent, room, id };
        // What was staged before is hashed again, so this takes its turn as well.
        let turn = self.upload_turns.acquire().await.ok();
        let upload = blocking(move || blobs.stage(key, size)).await.refuse()?;
        drop(turn);
        Ok(Begun::Receiving(Receiving { key, size, upload: Arc::new(upload) }))
    }

    /// Appends chunks to an upload, when it is its turn.
    pub(crate) async fn append(&self, receiving: &Receiving, chunks: Vec<Vec<u8>>) -> Result<(), Refusal> {
        // A closed semaphore is one of a hub that ends; nobody closes this one.
        let _turn = self.upload_turns.acquire().await.ok();
        receiving.append(chunks).await
    }

    /// Ends an upload whose bytes are all there.
    pub(crate) async fn end_upload(&self, receiving: Receiving) -> Result<PutDone, Refusal> {
        let Receiving { key: StagingKey { agent, room, id }, size, upload } = receiving;
        let bound = {
            let _landing = self.blobs.land().await;
            let _turn = self.upload_turns.acquire().await.ok();
            blocking(move || upload.finish()).await.refuse()?;
            // Bytes before row: a crash in between leaves an orphan file, swept at start, never a row without bytes.
            self.store.bind_blob(agent, room, id, size).await
        };
        if bound.is_err()
            && let Err(error) = self.sweep(vec![id]).await
        {
            tracing::warn!(%error, "a blob that could not be bound is left to the next start");
        }
        bound.refuse()?;
        self.uploads.count(agent, self.clock.now());
        Ok(PutDone { present: false })
    }
}
