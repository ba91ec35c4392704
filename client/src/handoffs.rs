//! Handoffs as a receiver meets them: listed, looked up by prefix and fetched, each reference verified first.

use std::collections::{BTreeMap, BTreeSet};

use protocol::frame::{Answer, BlobReference, Find, Handoffs, Request};
use protocol::id::{BlobId, BlobPrefix, Digest, RoomId};
use protocol::limits::HANDOFFS_MAX;
use protocol::part::{BundlePart, Part};
use protocol::refusal::RefusalCode;
use protocol::room::CheckedMessage;
use protocol::statement::UnixMillis;

use crate::client::Client;
use crate::error::{Candidate, Error};
use crate::link::transfer::{Progress, TransferError, download};
use crate::report::{Agent, HandoffState, ListedHandoff, PushedRef};
use crate::seat::VerifiedBlob;

/// A reference to a bundle whose signature, author, body and place in the log were verified.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedHandoff {
    /// The room it was posted in.
    pub room: RoomId,
    /// Its place in the room's log.
    pub seq: u64,
    /// The message's id.
    pub message: Digest,
    /// Who posted it.
    pub author: Agent,
    /// When, by the author's clock.
    pub sent: UnixMillis,
    /// What the author says of the bundle.
    pub part: BundlePart,
    /// Whether its bytes are to be had, from the hub or from the cache.
    pub is_available: bool,
    /// Whether its bytes are in the cache.
    pub is_cached: bool,
}

impl VerifiedHandoff {
    /// Returns the handoff's id.
    pub fn id(&self) -> BlobId {
        self.part.blob
    }

    /// Returns its row of `list`; whether it is applied is for who knows the repository.
    pub fn report(&self) -> ListedHandoff {
        let state = match (self.is_cached, self.is_available) {
            (true, _) => HandoffState::Fetched,
            (false, true) => HandoffState::New,
            (false, false) => HandoffState::Expired,
        };
        ListedHandoff {
            id: self.part.blob,
            author: self.author.clone(),
            summary: self.part.summary.clone(),
            tip: self.part.tip.clone(),
            prerequisites: self.part.prerequisites.clone(),
            commits: self.part.commits,
            size: self.part.size,
            seq: self.seq,
            state,
        }
    }

    /// Returns its tips under the names that they had at the source.
    pub fn refs(&self) -> Vec<PushedRef> {
        let tips = self.part.tips.iter();
        tips.map(|tip| PushedRef { branch: tip.branch.clone(), commit: tip.commit.clone() }).collect()
    }

    fn candidate(&self) -> Candidate {
        Candidate {
            id: self.part.blob,
            author: self.author.clone(),
            summary: self.part.summary.clone(),
            tips: self.refs(),
        }
    }
}

impl Client {
    /// Returns the handoffs of a room that [`Client::home`] has opened, newest last. References that do not verify are
    /// not among them.
    ///
    /// # Errors
    /// [`Error::Forked`] when the hub shows another history than before; [`Error::Link`] as ever.
    pub async fn handoffs(&mut self, room: RoomId) -> Result<Vec<VerifiedHandoff>, Error> {
        let (mut references, mut before) = (Vec::new(), None);
        loop {
            let (page, rest) = self.references(room, before, HANDOFFS_MAX).await?;
            references.extend(page);
            match rest {
                Some(_) => before = rest,
                None => break,
            }
        }
        self.verified(references).await
    }

    /// Returns the newest handoff of a room that `is_wanted`, or nothing. The log is read from its end and only as far as
    /// that handoff, so that it costs the same in a long one.
    ///
    /// # Errors
    /// As [`Client::handoffs`].
    pub async fn newest_handoff(
        &mut self,
        room: RoomId,
        is_wanted: impl Fn(&VerifiedHandoff) -> bool,
    ) -> Result<Option<VerifiedHandoff>, Error> {
        let (mut before, mut at_once) = (None, NEWEST_AT_ONCE);
        loop {
            let (mut page, rest) = self.references(room, before, NEWEST_PAGE).await?;
            page.sort_by_key(|reference| std::cmp::Reverse(reference.seq));
            while !page.is_empty() {
                let older = page.split_off(at_once.min(page.len()));
                let found = self.verified(page).await?;
                if let Some(newest) = found.into_iter().rev().find(&is_wanted) {
                    return Ok(Some(newest));
                }
                (page, at_once) = (older, at_once.saturating_mul(4));
            }
            match rest {
                Some(_) => before = rest,
                None => return Ok(None),
            }
        }
    }

    /// Asks for a page of references before a place of the log, and where the next page would begin.
    async fn references(
        &self,
        room: RoomId,
        before: Option<u64>,
        limit: u64,
    ) -> Result<(Vec<BlobReference>, Option<u64>), Error> {
        let page = match self.link.request(Request::Handoffs(Handoffs { room, before, limit })).await? {
            Answer::Handoffs(page) => page,
            _ => unreachable!("an answer is read by the kind of its request"),
        };
        let oldest = page.references.iter().map(|reference| reference.seq).min();
        let rest = oldest.filter(|oldest| page.more && before.is_none_or(|before| *oldest < before));
        Ok((page.references, rest))
    }

    /// Finds the one handoff in the caller's rooms whose id begins with `prefix`: its newest valid reference by a member.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; [`Error::Ambiguous`] when several ids begin so, or when references to the
    /// one have unequal tips; otherwise as [`Client::handoffs`].
    pub async fn find(&mut self, prefix: BlobPrefix) -> Result<VerifiedHandoff, Error> {
        self.home().await?;
        let references = match self.link.request(Request::Find(Find { prefix: prefix.clone() })).await {
            Ok(Answer::Find(page)) => page.references,
            Ok(_) => unreachable!("an answer is read by the kind of its request"),
            Err(error) if error.refusal() == Some(RefusalCode::NotFound) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let asked = references.into_iter().filter(|reference| prefix.matches(&reference.blob));
        let mut found = self.verified(asked.collect()).await?;
        let newest = found.pop().ok_or_else(|| Error::NotFound { prefix: prefix.clone() })?;
        let differs =
            |other: &VerifiedHandoff| other.id() != newest.id() || other.part.tips != newest.part.tips;
        if found.iter().any(differs) {
            found.push(newest);
            let mut candidates: Vec<_> = found.iter().map(VerifiedHandoff::candidate).collect();
            candidates.dedup_by(|b, a| a.id == b.id && a.tips == b.tips);
            return Err(Error::Ambiguous { prefix, candidates });
        }
        Ok(newest)
    }

    /// Brings the bytes of a handoff into the cache, unless they are there, and checks them.
    ///
    /// # Errors
    /// [`Error::Gone`] when they have expired; [`Error::Transfer`] when they are not what the author signed, or do not
    /// get through.
    pub async fn fetch(
        &self,
        handoff: &VerifiedHandoff,
        progress: Option<Progress>,
    ) -> Result<VerifiedBlob, Error> {
        let part = &handoff.part;
        let wanted = (handoff.room, part.blob, part.size);
        match download(&self.link, &self.cache, wanted, progress).await {
            Err(TransferError::Link(error)) if error.refusal() == Some(RefusalCode::Gone) => {
                Err(Error::Gone { id: part.blob })
            }
            other => Ok(other?),
        }
    }

    /// Reads and verifies the messages behind `references`, oldest first by the authors' clocks where rooms differ.
    pub(crate) async fn verified(
        &mut self,
        references: Vec<BlobReference>,
    ) -> Result<Vec<VerifiedHandoff>, Error> {
        let mut wanted: BTreeMap<RoomId, BTreeMap<(u64, BlobId), bool>> = BTreeMap::new();
        for reference in references {
            let room = wanted.entry(reference.room).or_default();
            room.insert((reference.seq, reference.blob), reference.available);
        }
        let mut found = Vec::new();
        for (room, references) in wanted {
            // Rooms of other kinds, which this version has not verified, are none to take code from.
            let Some(room) = self.rooms.get_mut(&room) else { continue };
            let head = room.head().seq;
            let places: BTreeSet<u64> =
                references.keys().map(|(seq, _)| *seq).filter(|seq| (1..=head).contains(seq)).collect();
            for message in room.messages(&self.link, places).await? {
                let author = room.agent(message.header.by());
                for part in bundles(&message) {
                    let Some(available) = references.get(&(message.seq, part.blob)) else { continue };
                    let is_cached = self.cache.contains(&part.blob);
                    found.push(VerifiedHandoff {
                        room: room.id(),
                        seq: message.seq,
                        message: message.header.digest(),
                        author: author.clone(),
                        sent: message.header.statement().sent,
                        part: part.clone(),
                        is_available: *available || is_cached,
                        is_cached,
                    });
                }
            }
        }
        let rooms: BTreeSet<RoomId> = found.iter().map(|handoff| handoff.room).collect();
        if rooms.len() > 1 {
            found.sort_by_key(|handoff| (handoff.sent, handoff.room, handoff.seq));
        }
        Ok(found)
    }
}

/// How many references are verified first where only the newest of them is wanted; then ever more.
const NEWEST_AT_ONCE: usize = 2;
/// How many references are asked for at once there.
const NEWEST_PAGE: u64 = 64;

/// Returns the bundles a message refers to whose blobs its header lists: the others its author has not signed as such.
pub(crate) fn bundles(message: &CheckedMessage) -> impl Iterator<Item = &BundlePart> {
    let listed = &message.header.statement().blobs;
    let parts = message.body.iter().flat_map(|body| &body.parts);
    parts.filter_map(|part| match part {
        Part::Bundle(bundle) if listed.contains(&bundle.blob) => Some(&**bundle),
        Part::Bundle(_) | Part::Text(_) | Part::Topic(_) | Part::Unknown(_) => None,
    })
}
