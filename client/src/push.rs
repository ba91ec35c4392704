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
use crate::seat::{self, SpooledPost};

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
        let spooled = self.sign(room, blob, body.to_text(), None)?;
        let seq = self.post(spooled).await?;
        Ok(Posted { room, seq, deduplicated: false })
    }

    /// Posts what was signed and not answered; returns the places it got.
    async fn post_spooled(&mut self, room: RoomId) -> Result<Vec<u64>, Error> {
        let mut places = Vec::new();
        for spooled in self.spool.pending(self.hub(), room, self.seat.agent())? {
            match self.post(spooled).await {
                Ok(seq) => places.push(seq),
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

    /// Signs a message and spools it as signed.
    fn sign(
        &self,
        room: RoomId,
        blob: protocol::id::BlobId,
        body: String,
        n: Option<u64>,
    ) -> Result<SpooledPost, Error> {
        let state = &self.rooms[&room];
        let header = Message {
            room,
            n: n.unwrap_or_else(|| state.last_n(&self.seat.agent()) + 1),
            head: state.head(),
            sent: seat::now(),
            epoch: 0,
            body: Digest::of(body.as_bytes()),
            blobs: vec![blob],
            leave: false,
            needs: Vec::new(),
        };
        let message = signed::sign(self.seat.agent_key(), header).signed().clone();
        let spooled = SpooledPost { hub: self.hub(), room, blob, message, body };
        self.spool.keep(&spooled)?;
        Ok(spooled)
    }

    /// Posts a spooled message, signing anew where another process of this seat was faster; returns its place.
    async fn post(&mut self, mut spooled: SpooledPost) -> Result<u64, Error> {
        let room = spooled.room;
        for _ in 0..SIGN_AGAIN_MAX {
            let (message, body) = (spooled.message.clone(), spooled.body.clone());
            let refusal = match self.link.request(Request::Post(Post { room, message, body })).await {
                Ok(Answer::Post(posted)) => {
                    self.spool.remove(&spooled);
                    return Ok(posted.seq);
                }
                Ok(_) => unreachable!("an answer is read by the kind of its request"),
                Err(LinkError::Refused(refusal)) => refusal,
                // It may have been stored: it stays in the spool, as signed.
                Err(error) => return Err(error.into()),
            };
            let n = match refusal.code {
                RefusalCode::Conflict => refusal.next_n,
                RefusalCode::Stale => None,
                _ => {
                    self.spool.remove(&spooled);
                    return Err(LinkError::Refused(refusal).into());
                }
            };
            self.home().await?;
            if n.is_some_and(|n| n <= self.rooms[&room].last_n(&self.seat.agent())) {
                self.spool.remove(&spooled);
                return Err(Error::Contradiction { room });
            }
            let anew = self.sign(room, spooled.blob, spooled.body.clone(), n)?;
            self.spool.remove(&spooled);
            spooled = anew;
        }
        Err(Error::Contradiction { room })
    }
}

/// How often a message is signed anew because another process of the seat was faster.
const SIGN_AGAIN_MAX: usize = 64;
