//! Blobs as they come to the lying hub and leave it.

use std::collections::BTreeMap;

use protocol::conn::HubEnd;
use protocol::frame::{Answer, Empty, GetBlob, Go, PutBlob, PutDone, RequestId};
use protocol::id::BlobId;
use protocol::refusal::{Refusal, RefusalCode};
use protocol::statement::UnixMillis;

use super::rooms::{Asker, Shelf};
use super::{Shared, lock};

/// The uploads of one connection; an unfinished one ends with it.
#[derive(Default)]
pub(super) struct Uploads(BTreeMap<RequestId, (BlobId, Vec<u8>)>);

impl Uploads {
    /// Lets an upload begin, or answers it at once.
    pub(super) fn begin(
        &mut self,
        shelf: &Shelf,
        end: &mut HubEnd,
        asker: &Asker<'_>,
        id: RequestId,
        put: &PutBlob,
    ) {
        match shelf.log(asker, put.room) {
            Err(refusal) => end.answer(id, &Err(refusal)),
            Ok(_) if shelf.blobs.contains_key(&put.id) => {
                end.answer(id, &Ok(Answer::PutBlob(PutDone { present: true })));
            }
            Ok(_) => {
                self.0.insert(id, (put.id, Vec::new()));
                end.go(id, Go { offset: 0, size: put.size }, asker.now);
            }
        }
    }

    /// Takes a chunk; the last one has an outcome.
    pub(super) fn chunk(
        &mut self,
        shelf: &mut Shelf,
        id: RequestId,
        bytes: &[u8],
        last: bool,
    ) -> Option<Result<Answer, Refusal>> {
        self.0.get_mut(&id)?.1.extend_from_slice(bytes);
        let (blob, whole) = if last { self.0.remove(&id)? } else { return None };
        if BlobId::of(&whole) != blob {
            return Some(Err(Refusal::new(RefusalCode::HashMismatch, "other bytes")));
        }
        shelf.blobs.insert(blob, whole);
        Some(Ok(Answer::PutBlob(PutDone { present: false })))
    }
}

/// Returns what is sent for a blob: its bytes, or those that the operator put in their place.
pub(super) fn download(shared: &Shared, asker: &Asker<'_>, wanted: &GetBlob) -> Result<Vec<u8>, Refusal> {
    let shelf = lock(&shared.shelf);
    let is_there = shelf.log(asker, wanted.room)?.references().iter().any(|(_, blob)| *blob == wanted.id);
    let substitute = lock(&shared.substitutes).get(&wanted.id).cloned();
    let bytes = substitute.or_else(|| shelf.blobs.get(&wanted.id).cloned());
    bytes.filter(|_| is_there).ok_or_else(Refusal::not_found)
}

/// Sends a blob from `offset` on.
pub(super) fn send(
    end: &mut HubEnd,
    id: RequestId,
    (offset, now): (u64, UnixMillis),
    bytes: Result<Vec<u8>, Refusal>,
) {
    let outcome = bytes.map(|bytes| {
        end.go(id, Go { offset, size: bytes.len() as u64 }, now);
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        for chunk in bytes[from..].chunks(CHUNK_BYTES) {
            end.send_chunk(id, chunk);
        }
        Answer::GetBlob(Empty {})
    });
    end.answer(id, &outcome);
}

const CHUNK_BYTES: usize = 16 * 1024;
