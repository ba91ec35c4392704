//! What the hub does for each request: limits and shape, then exactly one store operation, then the answer and wakes.

mod ack;
mod find;
mod get_blob;
mod handoffs;
mod open_room;
mod post;
mod pull;
mod put_blob;
mod refusals;
mod rooms;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use protocol::frame::{Answer, Request};
use protocol::id::BlobId;
use protocol::key::{AgentId, HubId};
use protocol::limits::Limits;
use protocol::refusal::{Refusal, RefusalCode};
use protocol::signed::Verified;
use protocol::statement::Seat;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use self::get_blob::Download;
pub(crate) use self::put_blob::{Begun, Receiving};
use self::refusals::Refuse as _;
use crate::blobs::{BlobError, Blobs};
use crate::clock::Clock;
use crate::fanout::Wake;
use crate::limits::{SEAT_BYTES_MAX, SWEEP_IDS_MAX};
use crate::quota::Rate;
use crate::store::{Store, StoreError};

/// Everything behind the connections.
pub(crate) struct Service<S, W> {
    pub(crate) hub: HubId,
    pub(crate) store: S,
    pub(crate) blobs: Blobs,
    pub(crate) wake: W,
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<dyn Clock>,
    sends: Rate,
    uploads: Rate,
    /// So many uploads hash, write and flush at once that the conversation still finds processors and disk.
    upload_turns: Semaphore,
}

/// The outcome of a request, and what its connection holds until the answer is written.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) answer: Result<Answer, Refusal>,
    pub(crate) page: Option<OwnedSemaphorePermit>,
}

/// Bounds how many long answers of one connection exist at once.
pub(crate) type Pages = Arc<Semaphore>;

impl<S: Store, W: Wake> Service<S, W> {
    /// Puts the parts together.
    pub(crate) fn new(
        hub: HubId,
        store: S,
        blobs: Blobs,
        wake: W,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let sends = Rate::new(limits.sends_per_agent_minute_max, 60 * 1000);
        let uploads = Rate::new(limits.blobs_per_agent_hour_max, 3600 * 1000);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let upload_turns = Semaphore::new((processors / 2).max(1));
        Self { hub, store, blobs, wake, limits, clock, sends, uploads, upload_turns }
    }

    /// Notes with what word of its user an agent logged in.
    pub(crate) async fn logged_in(&self, seat: Option<Verified<Seat>>) -> Result<(), Refusal> {
        let Some(seat) = seat else { return Ok(()) };
        if seat.parts().1.len() > SEAT_BYTES_MAX {
            return Err(refusals::too_large("the seat statement", SEAT_BYTES_MAX as u64));
        }
        self.store.note_seat(seat).await.refuse()
    }

    /// Does what `agent` asks. Transfers have functions of their own.
    pub(crate) async fn ask(&self, agent: AgentId, request: Request, pages: &Pages) -> Outcome {
        let answer = match request {
            Request::OpenRoom(request) => self.open_room(agent, request).await.map(Answer::OpenRoom),
            Request::Post(request) => self.post(agent, request).await.map(Answer::Post),
            Request::Ack(request) => self.ack(agent, request).await.map(Answer::Ack),
            Request::Pull(request) => return self.pull(agent, request, pages).await,
            Request::Rooms(_) => return paged(pages, self.rooms(agent), Answer::Rooms).await,
            Request::Handoffs(request) => {
                return paged(pages, self.handoffs(agent, request), Answer::Handoffs).await;
            }
            Request::Find(request) => return paged(pages, self.find(agent, request), Answer::Find).await,
            Request::Append(_)
            | Request::Chain(_)
            | Request::PutKey(_)
            | Request::RevokeKey(_)
            | Request::Join(_)
            | Request::JoinState(_)
            | Request::Requests(_) => {
                Err(Refusal::new(RefusalCode::Unsupported, "this hub opens homes only"))
            }
            Request::PutBlob(_) | Request::GetBlob(_) | Request::Cancel(_) | Request::Ping(_) => {
                unreachable!("the connection sees to these itself")
            }
        };
        Outcome { answer, page: None }
    }

    /// Removes the files of those blobs that have no row.
    pub(crate) async fn sweep(&self, ids: Vec<BlobId>) -> Result<usize, StoreError> {
        let _cleared = self.blobs.clear().await;
        let unknown = self.store.unknown_blobs(ids).await?;
        Ok(self.remove_files(unknown).await)
    }

    /// Removes all files without a row: what a crash between file and row leaves behind.
    pub(crate) async fn sweep_all(&self) -> Result<usize, StoreError> {
        let blobs = self.blobs.clone();
        let ids = blocking(move || Ok(blobs.ids()?)).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the blob directory could not be listed");
            Vec::new()
        });
        let mut removed = 0;
        for ids in ids.chunks(SWEEP_IDS_MAX) {
            removed += self.sweep(ids.to_vec()).await?;
        }
        Ok(removed)
    }

    /// Removes files whose rows are gone, and returns how many there were. Hold [`Blobs::clear`] since the rows went.
    pub(crate) async fn remove_files(&self, ids: Vec<BlobId>) -> usize {
        let blobs = self.blobs.clone();
        let removed = blocking(move || {
            for id in &ids {
                blobs.remove(*id)?;
            }
            Ok(ids.len())
        });
        removed.await.unwrap_or_else(|error| {
            // They have no row, so the next start sweeps them.
            tracing::warn!(%error, "the files of expired blobs could not be removed");
            0
        })
    }
}

/// Waits for a free page before the answer is made, and keeps it with the answer.
async fn paged<T>(
    pages: &Pages,
    answer: impl Future<Output = Result<T, Refusal>>,
    kind: fn(T) -> Answer,
) -> Outcome {
    let page = Arc::clone(pages).acquire_owned().await.ok();
    Outcome { answer: answer.await.map(kind), page }
}

/// Runs file work on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    // The task ends unfinished only when the runtime does.
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(BlobError::Stopped))
}

fn bad_request(message: &'static str) -> Refusal {
    Refusal::new(RefusalCode::BadRequest, message)
}

fn bad_statement(message: &'static str) -> Refusal {
    Refusal::new(RefusalCode::BadStatement, message)
}
