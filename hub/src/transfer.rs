//! The blobs on their way over one connection: at most one each way, beside the conversation.

use std::sync::Arc;

use protocol::conn::hub::HubEnd;
use protocol::frame::{Answer, Empty, GetBlob, Go, PutBlob, PutDone, RequestId};
use protocol::key::AgentId;
use protocol::refusal::Refusal;
use protocol::statement::UnixMillis;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::drive::{Done, Hub};
use crate::fanout::Wake;
use crate::limits::{DOWNLOAD_CHUNKS_QUEUED_MAX, TRANSFERS_BEGINNING_MAX, UPLOAD_CHUNKS_QUEUED_MAX};
use crate::outbox::Outbox;
use crate::service::{Begun, Download, Receiving};
use crate::store::Store;

/// What a transfer's task has done.
pub(crate) enum Moved {
    UploadBegun(RequestId, Result<Begun, Refusal>),
    UploadEnded(RequestId, Result<PutDone, Refusal>),
    /// The client gave the upload up, or its connection is gone; what arrived is kept.
    UploadLeft,
    DownloadBegun(RequestId, Result<Download, Refusal>),
    ChunkRead(RequestId, Download, Result<Option<Vec<u8>>, Refusal>),
}

/// A chunk, and whether it is the last.
type Chunk = (Vec<u8>, bool);

/// The transfers of one connection.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    upload: Option<UploadLane>,
    download: Option<(RequestId, Download)>,
    /// Transfers that are looked up and opened; cancelling one does not stop that.
    beginning: usize,
}

#[derive(Debug)]
struct UploadLane {
    id: RequestId,
    chunks: mpsc::Sender<Chunk>,
    /// A chunk that found the queue full; nothing is read from the socket while there is one.
    stuck: Option<Chunk>,
}

impl Transfers {
    /// Says whether another transfer may begin: a client that cancels each at once waits for the hub to catch up.
    pub(crate) fn may_begin(&self) -> bool {
        self.beginning < TRANSFERS_BEGINNING_MAX
    }

    pub(crate) fn begin_upload<S: Store, W: Wake>(
        &mut self,
        id: RequestId,
        agent: AgentId,
        request: PutBlob,
        hub: &Arc<Hub<S, W>>,
        tasks: &mut JoinSet<Done>,
    ) {
        self.beginning += 1;
        let hub = Arc::clone(hub);
        tasks.spawn(async move {
            Done::Moved(Moved::UploadBegun(id, hub.service.begin_upload(agent, &request).await))
        });
    }

    pub(crate) fn begin_download<S: Store, W: Wake>(
        &mut self,
        id: RequestId,
        agent: AgentId,
        request: GetBlob,
        hub: &Arc<Hub<S, W>>,
        tasks: &mut JoinSet<Done>,
    ) {
        self.beginning += 1;
        let hub = Arc::clone(hub);
        tasks.spawn(async move {
            Done::Moved(Moved::DownloadBegun(id, hub.service.begin_download(agent, request).await))
        });
    }

    /// Takes a chunk of the running upload.
    pub(crate) fn chunk(&mut self, id: RequestId, bytes: Vec<u8>, last: bool) {
        if let Some(lane) = self.upload.as_mut().filter(|lane| lane.id == id)
            && let Err(mpsc::error::TrySendError::Full(chunk)) = lane.chunks.try_send((bytes, last))
        {
            lane.stuck = Some(chunk);
        }
        // Of a closed queue the outcome is on its way.
    }

    /// Says whether the disk is slower than the client, so that nothing should be read.
    pub(crate) fn is_stuck(&self) -> bool {
        self.upload.as_ref().is_some_and(|lane| lane.stuck.is_some())
    }

    /// Waits until the stuck chunk has found its place.
    pub(crate) async fn unstick(&mut self) {
        let Some(lane) = &mut self.upload else { return };
        // A closed queue takes nothing any more; the outcome of its task says why.
        let permit = lane.chunks.reserve().await;
        if let (Some(chunk), Ok(permit)) = (lane.stuck.take(), permit) {
            permit.send(chunk);
        }
    }

    pub(crate) fn cancel(&mut self, id: RequestId) {
        if self.upload.as_ref().is_some_and(|lane| lane.id == id) {
            self.upload = None;
        }
        if self.download.as_ref().is_some_and(|(running, _)| *running == id) {
            self.download = None;
        }
    }

    /// Goes on from what a task has done.
    pub(crate) fn moved<S: Store, W: Wake>(
        &mut self,
        moved: Moved,
        hub: &Arc<Hub<S, W>>,
        end: &mut HubEnd,
        tasks: &mut JoinSet<Done>,
        now: UnixMillis,
    ) {
        if matches!(moved, Moved::UploadBegun(..) | Moved::DownloadBegun(..)) {
            self.beginning -= 1;
        }
        match moved {
            Moved::UploadBegun(id, Ok(Begun::Receiving(receiving))) if end.is_open(id) => {
                end.go(id, Go { offset: receiving.offset(), size: receiving.size() }, now);
                let (sender, chunks) = mpsc::channel(UPLOAD_CHUNKS_QUEUED_MAX);
                self.upload = Some(UploadLane { id, chunks: sender, stuck: None });
                let hub = Arc::clone(hub);
                tasks.spawn(async move { Done::Moved(receive(id, &hub, receiving, chunks).await) });
            }
            Moved::UploadBegun(id, Ok(Begun::Present(done))) => end.answer(id, &Ok(Answer::PutBlob(done))),
            Moved::UploadBegun(id, Err(refusal)) => end.answer(id, &Err(refusal)),
            Moved::UploadEnded(id, outcome) => {
                self.cancel(id);
                end.answer(id, &outcome.map(Answer::PutBlob));
            }
            Moved::UploadBegun(..) | Moved::UploadLeft => {}
            Moved::DownloadBegun(id, Ok(download)) if end.is_open(id) => {
                end.go(id, Go { offset: download.offset(), size: download.size() }, now);
                self.download = Some((id, download));
            }
            Moved::ChunkRead(id, download, Ok(chunk)) if end.is_open(id) => {
                if let Some(chunk) = chunk {
                    end.send_chunk(id, &chunk);
                }
                self.download = Some((id, download));
            }
            Moved::DownloadBegun(id, Err(refusal)) | Moved::ChunkRead(id, _, Err(refusal)) => {
                end.answer(id, &Err(refusal));
            }
            Moved::DownloadBegun(..) | Moved::ChunkRead(..) => {}
        }
    }

    /// Reads the next chunk of the download when few enough wait to be written, and answers behind the last.
    pub(crate) fn go_on<S: Store, W: Wake>(
        &mut self,
        hub: &Arc<Hub<S, W>>,
        end: &mut HubEnd,
        outbox: &Outbox,
        tasks: &mut JoinSet<Done>,
    ) {
        if outbox.chunks() >= DOWNLOAD_CHUNKS_QUEUED_MAX {
            return;
        }
        let Some((id, mut download)) = self.download.take() else { return };
        if download.offset() < download.size() {
            let hub = Arc::clone(hub);
            tasks.spawn(async move {
                let chunk = hub.service.next_chunk(&mut download).await;
                Done::Moved(Moved::ChunkRead(id, download, chunk))
            });
        } else if outbox.chunks() == 0 {
            // Texts overtake chunks, so the answer waits until they are out.
            end.answer(id, &Ok(Answer::GetBlob(Empty {})));
        } else {
            self.download = Some((id, download));
        }
    }
}

/// Writes the chunks of one upload as they come, and lands it behind the last.
async fn receive<S: Store, W: Wake>(
    id: RequestId,
    hub: &Hub<S, W>,
    receiving: Receiving,
    mut queue: mpsc::Receiver<Chunk>,
) -> Moved {
    let mut is_whole = receiving.offset() == receiving.size();
    while !is_whole {
        let mut chunks = Vec::with_capacity(UPLOAD_CHUNKS_QUEUED_MAX);
        if queue.recv_many(&mut chunks, UPLOAD_CHUNKS_QUEUED_MAX).await == 0 {
            return Moved::UploadLeft;
        }
        is_whole = chunks.iter().any(|(_, last)| *last);
        let bytes = chunks.into_iter().map(|(bytes, _)| bytes).collect();
        if let Err(refusal) = hub.service.append(&receiving, bytes).await {
            return Moved::UploadEnded(id, Err(refusal));
        }
    }
    Moved::UploadEnded(id, hub.service.end_upload(receiving).await)
}
