//! `get_blob`: bytes out of the blob directory, for as long as the reader is in the room.

use protocol::frame::GetBlob;
use protocol::key::AgentId;
use protocol::limits::CHUNK_BYTES_MAX;
use protocol::refusal::Refusal;

use super::{Service, bad_request, blocking, refusals::Refuse as _};
use crate::blobs::{BlobError, BlobFile};
use crate::fanout::Wake;
use crate::limits::DOWNLOAD_FIRST_CHUNK_BYTES;
use crate::store::Store;

/// A download on its way.
#[derive(Debug)]
pub(crate) struct Download {
    agent: AgentId,
    request: GetBlob,
    file: BlobFile,
    offset: u64,
    chunk_bytes: usize,
}

impl Download {
    /// Returns the size of the whole blob.
    pub(crate) fn size(&self) -> u64 {
        self.file.size()
    }

    /// Returns the first byte that was not read yet.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }
}

impl<S: Store, W: Wake> Service<S, W> {
    /// Opens a blob for reading.
    pub(crate) async fn begin_download(&self, agent: AgentId, request: GetBlob) -> Result<Download, Refusal> {
        let GetBlob { room, id, offset } = request;
        let size = self.store.may_get_blob(agent, room, id).await.refuse()?;
        if offset > size {
            return Err(bad_request("the offset lies beyond the end of the blob"));
        }
        let blobs = self.blobs.clone();
        let file = blocking(move || blobs.read(id)).await;
        if matches!(file, Err(BlobError::Gone)) {
            tracing::error!(%id, "a blob's file is missing");
        }
        let file = file.refuse()?;
        Ok(Download { agent, request, file, offset, chunk_bytes: DOWNLOAD_FIRST_CHUNK_BYTES })
    }

    /// Reads the next chunk, after asking again whether the reader may have it; `None` at the end.
    pub(crate) async fn next_chunk(&self, download: &mut Download) -> Result<Option<Vec<u8>>, Refusal> {
        if download.offset >= download.size() {
            return Ok(None);
        }
        let GetBlob { room, id, .. } = download.request;
        self.store.may_get_blob(download.agent, room, id).await.refuse()?;
        let (file, offset, length) = (download.file.clone(), download.offset, download.chunk_bytes);
        let read = blocking(move || {
            let mut chunk = Vec::new();
            file.read_at(offset, length, &mut chunk)?;
            Ok(chunk)
        });
        let chunk = read.await.refuse()?;
        download.offset += chunk.len() as u64;
        // Small at first: of a line that breaks often, something gets through between two breaks.
        download.chunk_bytes = (length * 2).min(CHUNK_BYTES_MAX);
        Ok(Some(chunk))
    }
}
