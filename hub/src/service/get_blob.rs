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

    /// Returns how long the next chunk may be: a quarter of what this connection has brought, so that a break on the way,
    /// which loses the chunk that was on the line, costs little beside it.
    fn chunk_bytes(&self) -> usize {
        let brought = self.offset.saturating_sub(self.request.offset);
        let quarter = usize::try_from(brought / 4).unwrap_or(usize::MAX);
        quarter.clamp(DOWNLOAD_FIRST_CHUNK_BYTES, CHUNK_BYTES_MAX)
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
        Ok(Download { agent, request, file, offset })
    }

    /// Reads the next chunk, after asking again whether the reader may have it; `None` at the end.
    pub(crate) async fn next_chunk(&self, download: &mut Download) -> Result<Option<Vec<u8>>, Refusal> {
        if download.offset >= download.size() {
            return Ok(None);
        }
        let GetBlob { room, id, .. } = download.request;
        self.store.may_get_blob(download.agent, room, id).await.refuse()?;
        let (file, offset, length) = (download.file.clone(), download.offset, download.chunk_bytes());
        let read = blocking(move || {
            let mut chunk = Vec::new();
            file.read_at(offset, length, &mut chunk)?;
            Ok(chunk)
        });
        let chunk = read.await.refuse()?;
        download.offset += chunk.len() as u64;
        Ok(Some(chunk))
    }
}
