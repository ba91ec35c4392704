//! Handing a bundle over: upload, sign, spool as signed, post. A crash at any point loses nothing and posts nothing twice.

use std::path::Path;

use protocol::frame::{Answer, Find, Post, PutBlob, Request};
use protocol::id::{BlobPrefix, Digest, RoomId};
use protocol::part::{Body, BundlePart, Part};
use protocol::refusal::RefusalCode;
use protocol::signed;
use protocol::statement::Message;

use crate::client::Client;
use crate::error::Error;
use crate::link::LinkError;
use crate::link::transfer::{Progress, upload};
use crate::seat::{self, SpoolEntry, SpooledPost};

/// Where a handoff stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posted {
    /// The room.
    pub room: RoomId,
    /// Its place in the room's log.
    pub seq: u64,
    /// Whether it was there already and nothing was posted.
    pub deduplicated: bool,
}

impl Client {
    /// Hands the bundle in the file `bundle` over to the home room: uploads it, then posts `part`, signed.
    ///
    /// What an earlier process of this seat had signed and not got answered is posted first, unchanged. The same handoff
    /// of ours (bundle, tips, prerequisites, summary) that still stands posts nothing.
    ///
    /// # Errors
    /// [`Error::Transfer`] when the bytes do not get through; [`Error::Link`] when the hub refuses or cannot be reached
    /// (what was signed stays in the spool and goes out with the next push); as [`Client::home`] otherwise.
    pub async fn push(
        &mut self,
        bundle: &Path,
        part: BundlePart,
        progress: Option<Progress>,
    ) -> Result<Posted, Error> {
        let room = self.home().await?;
        let finished = self.post_spooled(room).await?;
        if let Some(seq) = self.standing(room, &part).await? {
            return Ok(Posted { room, seq, deduplicated: !finished.contains(&seq) });
        }
        let put = PutBlob { room, id: part.blob, size: part.size };
        upload(&self.link, put, bundle, progress).await?;
        let blob = part.blob;
        let body = Body { parts: vec![Part::Bundle(Box::new(part))], reply_to: None, hops: None };
        let n = self.rooms[&room].last_n(&self.seat.agent()) + 1;
        let spooled = self.sign(room, blob, body.to_text(), n);
        self.post(self.spool.keep(spooled)?).await
    }

    /// Posts what was signed and not answered; returns the places it got.
    async fn post_spooled(&mut self, room: RoomId) -> Result<Vec<u64>, Error> {
        let mut places = Vec::new();
        for spooled in self.spool.pending(self.hub(), room, self.seat.agent())? {
            match self.post(spooled).await {
                Ok(posted) => places.push(posted.seq),
                // The hub does not want it any more (its blob expired, say); what is pushed now must not suffer.
                Err(Error::Link(LinkError::Refused(_))) => {}
                Err(error) => return Err(error),
            }
        }
        if !places.is_empty() {
            self.home().await?;
        }
        Ok(places)
    }

    /// Returns the place of the same handoff of ours in the room, when it still stands and the hub has its bytes.
    async fn standing(&mut self, room: RoomId, part: &BundlePart) -> Result<Option<u64>, Error> {
        let find = Find { prefix: BlobPrefix::from(part.blob) };
        let references = match self.link.request(Request::Find(find)).await {
            Ok(Answer::Find(page)) => page.references,
            Ok(_) => unreachable!("an answer is read by the kind of its request"),
            Err(error) if error.refusal() == Some(RefusalCode::NotFound) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let here = references.into_iter().filter(|r| r.room == room && r.blob == part.blob && r.available);
        let found = self.verified(here.collect()).await?;
        let same = found.iter().rev().find(|handoff| {
            let theirs = &handoff.part;
            handoff.author.id == self.seat.agent()
                && (&theirs.tips, &theirs.prerequisites, &theirs.summary)
                    == (&part.tips, &part.prerequisites, &part.summary)
        });
        Ok(same.map(|handoff| handoff.seq))
    }

    /// Signs a message.
    fn sign(&self, room: RoomId, blob: protocol::id::BlobId, body: String, n: u64) -> SpooledPost {
        let state = &self.rooms[&room];
        let header = Message {
            room,
            n,
            head: state.head(),
            sent: seat::now(),
            epoch: 0,
            body: Digest::of(body.as_bytes()),
            blobs: vec![blob],
            leave: false,
            needs: Vec::new(),
        };
        let message = signed::sign(self.seat.agent_key(), header).signed().clone();
        SpooledPost { hub: self.hub(), room, blob, message, body }
    }

    /// Posts a spooled message. Where another process of this seat was faster it is signed anew, unless that one has said
    /// the same.
    async fn post(&mut self, mut spooled: SpoolEntry) -> Result<Posted, Error> {
        let (room, mut last) = (spooled.post().room, None);
        for _ in 0..SIGN_AGAIN_MAX {
            let (message, body) = (spooled.post().message.clone(), spooled.post().body.clone());
            let refusal = match self.link.request(Request::Post(Post { room, message, body })).await {
                Ok(Answer::Post(posted)) => {
                    spooled.remove();
                    return Ok(Posted { room, seq: posted.seq, deduplicated: false });
                }
                Ok(_) => unreachable!("an answer is read by the kind of its request"),
                Err(LinkError::Refused(refusal)) => refusal,
                // It may have been stored: it stays in the spool, as signed.
                Err(error) => return Err(error.into()),
            };
            let n = match refusal.code {
                RefusalCode::Conflict => refusal.next_n.unwrap_or_default(),
                RefusalCode::Stale => 0,
                _ => {
                    spooled.remove();
                    return Err(LinkError::Refused(refusal).into());
                }
            };
            // Looked at before catching up: what is stored by then may well be beyond.
            let me = self.seat.agent();
            if refusal.code == RefusalCode::Conflict && n <= self.rooms[&room].last_n(&me) {
                spooled.remove();
                return Err(Error::Contradiction { room });
            }
            self.home().await?;
            last = Some(refusal);
            let body = Body::parse(&spooled.post().body).ok();
            if let Some(part) = body.as_ref().and_then(Body::bundle)
                && let Some(seq) = self.standing(room, part).await?
            {
                spooled.remove();
                return Ok(Posted { room, seq, deduplicated: true });
            }
            let n = n.max(self.rooms[&room].last_n(&me) + 1);
            let anew = self.sign(room, spooled.post().blob, spooled.post().body.clone(), n);
            spooled = spooled.replace(anew)?;
        }
        Err(last.map_or(Error::Contradiction { room }, |refusal| LinkError::Refused(refusal).into()))
    }
}

/// How often a message is signed anew because another process of the seat was faster.
const SIGN_AGAIN_MAX: usize = 64;

#[cfg(test)]
impl Client {
    /// Counts the spooled messages of this seat.
    pub(crate) fn spooled(&self, room: RoomId) -> usize {
        self.spool.pending(self.hub(), room, self.seat.agent()).unwrap().len()
    }

    /// Puts the stored message of `part` back into the spool, as after a crash before the hub's answer.
    pub(crate) async fn spooled_again(&mut self, part: &BundlePart) -> bool {
        let found = self.find(part.blob.into()).await.unwrap();
        let places = std::collections::BTreeSet::from([found.seq]);
        let room = self.rooms.get_mut(&found.room).unwrap();
        let stored = room.messages(&self.link, places).await.unwrap().remove(0);
        let (message, body) = (stored.header.signed().clone(), stored.body_text.unwrap());
        let spooled = SpooledPost { hub: self.hub(), room: found.room, blob: part.blob, message, body };
        drop(self.spool.keep(spooled).unwrap());
        self.spooled(found.room) == 1
    }

    /// Signs a message and goes no further.
    pub(crate) async fn sign_and_crash(&mut self, room: RoomId, part: &BundlePart) {
        self.home().await.unwrap();
        let body = Body { parts: vec![Part::Bundle(Box::new(part.clone()))], reply_to: None, hops: None };
        let n = self.rooms[&room].last_n(&self.seat.agent()) + 1;
        drop(self.spool.keep(self.sign(room, part.blob, body.to_text(), n)).unwrap());
    }
}
