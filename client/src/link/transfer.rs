//! Blobs up and down, streamed: never more than a few chunks in memory, files and hashes on a blocking thread. A
//! transfer whose connection broke goes on where the other side stands; what had arrived is not sent again.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::frame::{Answer, GetBlob, Go, PutBlob, PutDone, Request};
use protocol::id::{BlobId, RoomId};
use protocol::limits::CHUNK_BYTES_MAX;
use protocol::refusal::RefusalCode;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep};

use super::{Link, LinkError, Transfer, TransferEvent};
use crate::limits;
use crate::seat::{BlobCache, CacheError, Partial, VerifiedBlob};

/// Why a blob did not get through.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The hub, or the way to it.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The file that is uploaded.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The hub has another size for the blob than its author signed.
    #[error("the hub has {found} bytes for {id}, and its author signed {signed}")]
    Size {
        /// The blob.
        id: BlobId,
        /// The size in the signed reference.
        signed: u64,
        /// The size the hub says.
        found: u64,
    },
    /// The hub answers out of turn.
    #[error("the hub does not keep to the protocol in the transfer of {id}")]
    OutOfTurn {
        /// The blob.
        id: BlobId,
    },
}

/// Is told how many bytes of how many have gone through; called from a blocking thread.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// Uploads the blob `id`, which is the whole of the file at `path`, `size` bytes, to `room`.
///
/// It goes on at the offset that the hub names: bytes that an earlier, broken transfer has brought are not sent again.
///
/// # Errors
/// [`TransferError::Read`] when the file cannot be read or is shorter than said; [`TransferError::Link`] when the hub
/// refuses, or could not be reached for long without progress.
pub async fn upload(
    link: &Link,
    put: PutBlob,
    path: &Path,
    progress: Option<Progress>,
) -> Result<PutDone, TransferError> {
    let mut patience = Waning::new(link);
    let mut again = 0;
    loop {
        let transfer = link.transfer(Request::PutBlob(put.clone())).await;
        let refusal = match attempt_upload(transfer, &put, path, progress.clone(), &mut patience).await {
            Ok(Some(done)) => return Ok(done),
            Ok(None) => {
                patience.wait_or_give_up(link).await?;
                continue;
            }
            Err(error) => error,
        };
        // Another connection of this seat sends the same; or what was staged is not ours, and the hub has dropped it.
        let code = match &refusal {
            TransferError::Link(error) => error.refusal(),
            _ => None,
        };
        let tries = match code {
            Some(RefusalCode::Superseded) => limits::SUPERSEDED_AGAIN_MAX,
            Some(RefusalCode::HashMismatch) => limits::MISMATCH_AGAIN_MAX,
            _ => 0,
        };
        if again == tries {
            return Err(refusal);
        }
        again += 1;
        sleep(limits::BACKOFF_MIN * again).await;
    }
}

/// Sends on one connection; `None` when it was cut.
async fn attempt_upload(
    mut transfer: Transfer,
    put: &PutBlob,
    path: &Path,
    progress: Option<Progress>,
    patience: &mut Waning,
) -> Result<Option<PutDone>, TransferError> {
    let mut reader: Option<JoinHandle<io::Result<()>>> = None;
    let mut chunks = Some(transfer.chunks);
    while let Some(event) = transfer.events.recv().await {
        match (event, chunks.take()) {
            (TransferEvent::Go(go), Some(chunks)) if go.size == put.size => {
                patience.reached(go.offset);
                let (path, progress) = (path.to_owned(), progress.clone());
                reader = Some(spawn_blocking(move || send_file(&path, go, &chunks, progress.as_ref())));
            }
            (TransferEvent::Ended(Ok(Answer::PutBlob(done))), _) => return Ok(Some(done)),
            (TransferEvent::Ended(Err(error)), _) => {
                // When reading failed we gave the transfer up ourselves, and that is the error to tell.
                finished(reader, path).await?;
                return Err(error.into());
            }
            _ => return Err(TransferError::OutOfTurn { id: put.id }),
        }
    }
    finished(reader, path).await?;
    Ok(None)
}

async fn finished(reader: Option<JoinHandle<io::Result<()>>>, path: &Path) -> Result<(), TransferError> {
    match reader {
        Some(reader) => {
            join(reader).await.map_err(|source| TransferError::Read { path: path.to_owned(), source })
        }
        None => Ok(()),
    }
}

/// Reads the file from the offset on, in growing chunks, until all is sent or nobody takes more.
fn send_file(
    path: &Path,
    go: Go,
    chunks: &mpsc::Sender<Vec<u8>>,
    progress: Option<&Progress>,
) -> io::Result<()> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(go.offset))?;
    let mut at = go.offset;
    while at < go.size {
        let left = usize::try_from(go.size - at).unwrap_or(usize::MAX);
        // A break loses the chunk that is on the line: a quarter of what has gone through is little beside it.
        let quarter = usize::try_from((at - go.offset) / 4).unwrap_or(usize::MAX);
        let length = quarter.clamp(limits::FIRST_CHUNK_BYTES, CHUNK_BYTES_MAX);
        let mut chunk = vec![0; length.min(left)];
        file.read_exact(&mut chunk)?;
        at += chunk.len() as u64;
        if chunks.blocking_send(chunk).is_err() {
            return Ok(());
        }
        if let Some(progress) = progress {
            progress(at, go.size);
        }
    }
    Ok(())
}

/// Brings the blob `id` of `room`, `size` bytes as its author signed, into the cache, unless it is there.
///
/// It goes on behind the bytes that an earlier, broken transfer has brought.
///
/// # Errors
/// [`TransferError::Cache`] when the bytes are not the blob's or cannot be kept; [`TransferError::Size`] when the hub
/// disagrees with the author; [`TransferError::Link`] when the hub refuses, or could not be reached for long without
/// progress.
pub async fn download(
    link: &Link,
    cache: &BlobCache,
    (room, id, size): (RoomId, BlobId, u64),
    progress: Option<Progress>,
) -> Result<VerifiedBlob, TransferError> {
    let found = with_cache(cache, move |cache| cache.verified(&id)).await?;
    if let Some(blob) = found.filter(|blob| blob.size() == size) {
        return Ok(blob);
    }
    let mut patience = Waning::new(link);
    let mut partial = with_cache(cache, move |cache| cache.receive(&id, size)).await?;
    let mut is_resumed = partial.offset() > 0;
    loop {
        while partial.offset() < size {
            patience.reached(partial.offset());
            let transfer =
                link.transfer(Request::GetBlob(GetBlob { room, id, offset: partial.offset() })).await;
            let received;
            (partial, received) = attempt_download(transfer, partial, id, progress.clone()).await?;
            if received {
                break;
            }
            if partial.offset() < size {
                patience.reached(partial.offset());
                patience.wait_or_give_up(link).await?;
            }
        }
        match join(spawn_blocking(move || partial.finish())).await {
            // Bytes of an earlier time may have suffered on this disk: once more from the beginning.
            Err(CacheError::Mismatch { .. }) if is_resumed => is_resumed = false,
            finished => return Ok(finished?),
        }
        partial = with_cache(cache, move |cache| cache.receive(&id, size)).await?;
    }
}

/// Receives on one connection; the flag tells whether the transfer has ended and not just its connection.
async fn attempt_download(
    mut transfer: Transfer,
    partial: Partial,
    id: BlobId,
    progress: Option<Progress>,
) -> Result<(Partial, bool), TransferError> {
    let (offset, size) = (partial.offset(), partial.size());
    let (to_file, chunks) = mpsc::channel(limits::CHUNKS_WAITING_MAX);
    let writer = spawn_blocking(move || receive_file(partial, chunks, progress.as_ref()));
    let mut outcome = Ok(false);
    while let Some(event) = transfer.events.recv().await {
        match event {
            TransferEvent::Go(go) if go.size != size => {
                outcome = Err(TransferError::Size { id, signed: size, found: go.size });
                break;
            }
            TransferEvent::Go(go) if go.offset == offset => {}
            TransferEvent::Chunk(chunk) => {
                if to_file.send(chunk).await.is_err() {
                    break;
                }
            }
            TransferEvent::Ended(Ok(_)) => {
                outcome = Ok(true);
                break;
            }
            TransferEvent::Ended(Err(error)) => {
                outcome = Err(error.into());
                break;
            }
            TransferEvent::Go(_) => {
                outcome = Err(TransferError::OutOfTurn { id });
                break;
            }
        }
    }
    drop(to_file);
    // What could not be written is the error to tell, whatever the hub says meanwhile.
    let partial = join(writer).await?;
    Ok((partial, outcome?))
}

fn receive_file(
    mut partial: Partial,
    mut chunks: mpsc::Receiver<Vec<u8>>,
    progress: Option<&Progress>,
) -> Result<Partial, CacheError> {
    while let Some(chunk) = chunks.blocking_recv() {
        partial.write(&chunk)?;
        if let Some(progress) = progress {
            progress(partial.offset(), partial.size());
        }
    }
    Ok(partial)
}

/// How long it is since a transfer last went on.
struct Waning {
    offset: Option<u64>,
    since: Instant,
    limit: std::time::Duration,
}

impl Waning {
    fn new(link: &Link) -> Self {
        Self { offset: None, since: Instant::now(), limit: link.patience().again }
    }

    /// Takes note of how far the transfer is.
    fn reached(&mut self, offset: u64) {
        if self.offset.is_none_or(|before| offset > before) {
            (self.offset, self.since) = (Some(offset), Instant::now());
        }
    }

    /// Goes on unless nothing has moved for too long; then it is the hub that cannot be reached.
    async fn wait_or_give_up(&self, link: &Link) -> Result<(), LinkError> {
        if self.since.elapsed() < self.limit {
            return Ok(());
        }
        let cut = Arc::new(super::DialError::Fault(protocol::conn::client::ClientFault::Disconnected));
        Err(LinkError::Unreachable { address: link.address().to_owned(), source: cut })
    }
}

async fn with_cache<T: Send + 'static>(
    cache: &BlobCache,
    work: impl FnOnce(&BlobCache) -> Result<T, CacheError> + Send + 'static,
) -> Result<T, CacheError> {
    let cache = cache.clone();
    join(spawn_blocking(move || work(&cache))).await
}

/// Waits for a blocking thread; its panic goes on here.
async fn join<T>(handle: JoinHandle<T>) -> T {
    match handle.await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
