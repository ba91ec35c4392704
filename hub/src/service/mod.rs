//! What the hub does for each request: limits and shape, then exactly one store operation, then the answer and wakes.

mod ack;
mod append;
mod chain;
mod find;
mod get_blob;
mod handoffs;
mod join;
mod join_state;
mod open_room;
mod post;
mod pull;
mod put_blob;
mod put_key;
mod refusals;
mod requests;
mod revoke_key;
mod rooms;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use protocol::conn::hub::{Access, PassQuestion};
use protocol::frame::{Answer, Request};
use protocol::id::{BlobId, RoomId};
use protocol::key::{AgentId, HubId};
use protocol::limits::{Limits, ROOMS_PAGE_MAX};
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

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) agent: AgentId,
    /// What its login opened.
    pub(crate) access: Access,
    /// Where it comes from; none over the socket of this machine.
    pub(crate) address: Option<IpAddr>,
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

    /// Returns the rooms in which somebody waits for the user of `agent`.
    pub(crate) async fn awaiting(&self, agent: AgentId) -> Result<Vec<RoomId>, Refusal> {
        self.store.awaiting(agent, ROOMS_PAGE_MAX).await.refuse()
    }

    /// Says what somebody without the join key may do at a closed hub, if anything.
    pub(crate) async fn pass(&self, question: PassQuestion) -> Result<Option<Access>, Refusal> {
        self.store.pass(question).await.refuse()
    }

    /// Does what the caller asks. Transfers have functions of their own.
    pub(crate) async fn ask(&self, caller: Caller, request: Request, pages: &Pages) -> Outcome {
        if let Err(refusal) = self.check_access(caller, &request).await {
            return Outcome { answer: Err(refusal), page: None };
        }
        let agent = caller.agent;
        let answer = match request {
            Request::OpenRoom(request) => self.open_room(agent, request).await.map(Answer::OpenRoom),
            Request::Post(request) => self.post(agent, request).await.map(Answer::Post),
            Request::Ack(request) => self.ack(agent, request).await.map(Answer::Ack),
            Request::Pull(request) => return self.pull(agent, request, pages).await,
            Request::Rooms(request) => {
                return paged(pages, self.rooms(agent, request), Answer::Rooms).await;
            }
            Request::Chain(request) => {
                return paged(pages, self.chain(agent, request), Answer::Chain).await;
            }
            Request::Requests(request) => {
                return paged(pages, self.requests(agent, request), Answer::Requests).await;
            }
            Request::Append(request) => self.append_act(agent, request).await.map(Answer::Append),
            Request::PutKey(request) => self.put_key(agent, request).await.map(Answer::PutKey),
            Request::RevokeKey(request) => self.revoke_key(agent, request).await.map(Answer::RevokeKey),
            Request::Join(request) => self.join(caller, *request).await.map(Answer::Join),
            Request::JoinState(request) => self.join_state(agent, request).await.map(Answer::JoinState),
            Request::Handoffs(request) => {
                return paged(pages, self.handoffs(agent, request), Answer::Handoffs).await;
            }
            Request::Find(request) => return paged(pages, self.find(agent, request), Answer::Find).await,
            Request::PutBlob(_) | Request::GetBlob(_) | Request::Cancel(_) | Request::Ping(_) => {
                unreachable!("the connection sees to these itself")
            }
        };
        Outcome { answer, page: None }
    }

    /// Refuses what the caller's login does not open. What names a room is guarded by who is in it.
    async fn check_access(&self, caller: Caller, request: &Request) -> Result<(), Refusal> {
        let opens = matches!(request, Request::OpenRoom(_));
        if caller.access == Access::Full
            || !(opens || matches!(request, Request::Rooms(_) | Request::Find(_)))
        {
            return Ok(());
        }
        // It may have been let in since.
        match self.pass(PassQuestion { agent: caller.agent, user: None, invite: None }).await? {
            Some(Access::Full) => Ok(()),
            Some(Access::Guest) if opens => {
                let message = "this hub is closed: without its join secret no room is opened here";
                let hint =
                    "name a file with the secret in parler.joinSecretFile, or another hub in parler.hub";
                let refusal = Refusal::new(RefusalCode::LoginRefused, message);
                Err(Refusal { hint: Some(hint.to_owned()), ..refusal })
            }
            Some(Access::Guest) => Ok(()),
            // Who may only ask to join finds nothing else here.
            Some(Access::Join(_)) | None => Err(Refusal::not_found()),
        }
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
