//! Handoffs as a receiver meets them: listed, looked up by prefix and fetched, each reference verified first.

use std::collections::{BTreeMap, BTreeSet};

use protocol::frame::{Answer, BlobReference, Find, Handoffs, Request};
use protocol::id::{BlobId, BlobPrefix, Digest, RoomId};
use protocol::limits::HANDOFFS_MAX;
use protocol::part::{BundlePart, Part};
use protocol::refusal::RefusalCode;
use protocol::room::{CheckedMessage, Reading};
use protocol::statement::{RoomKind, UnixMillis};

use crate::client::Client;
use crate::error::{Candidate, Error};
use crate::limits::{NEWEST_FIRST, NEWEST_PAGE, REFERENCES_READ_MAX};
use crate::link::transfer::{Progress, TransferError, download};
use crate::report::{Agent, HandoffState, ListedHandoff, PushedRef, Signature};
use crate::room::Room;
use crate::seat::VerifiedBlob;
use crate::session::SessionError;

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
            supersedes: self.part.supersedes,
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
    /// Returns the handoffs of a room that [`Client::room`] or [`Client::home`] has taken up, newest last. References that do not verify are
    /// not among them.
    ///
    /// # Errors
    /// [`Error::Forked`] when the hub shows another history than before; [`Error::Contradiction`] when it lists without an end;
    /// [`Error::Link`] as ever.
    pub async fn handoffs(&mut self, room: RoomId) -> Result<Vec<VerifiedHandoff>, Error> {
        let (mut references, mut before) = (Vec::new(), None);
        loop {
            let (page, rest) = self.references(room, before, HANDOFFS_MAX).await?;
            references.extend(page);
            match rest {
                Some(_) if references.len() >= REFERENCES_READ_MAX => {
                    return Err(Error::Contradiction { room });
                }
                Some(_) => before = rest,
                None => break,
            }
        }
        let found = self.verified(references).await?;
        self.check_shown(room)?;
        Ok(found)
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
        let (mut before, mut at_once, mut count) = (None, NEWEST_FIRST, 0);
        loop {
            let (mut page, rest) = self.references(room, before, NEWEST_PAGE).await?;
            count += page.len();
            page.sort_by_key(|reference| std::cmp::Reverse(reference.seq));
            while !page.is_empty() {
                let older = page.split_off(at_once.min(page.len()));
                let found = self.verified(page).await?;
                self.check_shown(room)?;
                if let Some(newest) = found.into_iter().rev().find(&is_wanted) {
                    return Ok(Some(newest));
                }
                (page, at_once) = (older, at_once.saturating_mul(4));
            }
            match rest {
                Some(_) if count >= REFERENCES_READ_MAX => return Err(Error::Contradiction { room }),
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
        let mut page = match self.link.request(Request::Handoffs(Handoffs { room, before, limit })).await? {
            Answer::Handoffs(page) => page,
            _ => unreachable!("an answer is read by the kind of its request"),
        };
        // Whatever else the hub names was not asked for.
        page.references.retain(|reference| reference.room == room);
        let oldest = page.references.iter().map(|reference| reference.seq).min();
        let rest = oldest.filter(|oldest| page.more && before.is_none_or(|before| *oldest < before));
        Ok((page.references, rest))
    }

    /// Finds the one handoff in the rooms of this seat whose id begins with `prefix`: its newest valid reference by a member.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; [`Error::NotByMember`] when there is one, and no member signed it;
    /// [`Error::Ambiguous`] when several ids begin so, or when references to the one have unequal tips; otherwise as
    /// [`Client::handoffs`].
    pub async fn find(&mut self, prefix: BlobPrefix) -> Result<VerifiedHandoff, Error> {
        let mut rooms = self.rooms_to_search().await?;
        let references = match self.link.request(Request::Find(Find { prefix: prefix.clone() })).await {
            Ok(Answer::Find(page)) => page.references,
            Ok(_) => unreachable!("an answer is read by the kind of its request"),
            Err(error) if error.refusal() == Some(RefusalCode::NotFound) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let named = references.iter().filter(|of| prefix.matches(&of.blob)).map(|of| of.room);
        for room in named.collect::<BTreeSet<_>>() {
            // The hub's word alone puts this seat into no room.
            if !rooms.contains(&room) && self.is_in(room).await? {
                rooms.insert(room);
            }
        }
        let is_asked = |of: &BlobReference| prefix.matches(&of.blob) && rooms.contains(&of.room);
        let looked_up = self.look_up(references.into_iter().filter(is_asked).collect()).await?;
        rooms.iter().try_for_each(|room| self.check_shown(*room))?;
        let (mut found, refused) = (looked_up.valid, looked_up.refused.into_iter().next());
        let newest = match (found.pop(), refused) {
            (Some(newest), _) => newest,
            (None, Some((id, signature))) => return Err(Error::NotByMember { id, signature }),
            (None, None) => return Err(Error::NotFound { prefix }),
        };
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
    /// [`Error::Gone`] when they have expired; [`SessionError::NotInRoom`] when this seat was put out; [`Error::Transfer`] when they are not what the author signed, or do not
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
            // It was there, so it is this seat that is not, any more.
            Err(TransferError::Link(error)) if error.refusal() == Some(RefusalCode::NotFound) => {
                Err(SessionError::NotInRoom { room: handoff.room }.into())
            }
            other => Ok(other?),
        }
    }

    /// Returns the home and the room of this call.
    async fn rooms_to_search(&mut self) -> Result<BTreeSet<RoomId>, Error> {
        let room = self.room().await?;
        if self.rooms[&room].kind() == RoomKind::Home {
            return Ok(BTreeSet::from([room]));
        }
        let home = match self.open_home().await {
            Ok(home) => home,
            // A session needs none.
            Err(Error::NoHome) => room,
            // A guest of a closed hub has none there.
            Err(Error::Link(error)) if error.refusal() == Some(RefusalCode::LoginRefused) => room,
            Err(error) => return Err(error),
        };
        Ok(BTreeSet::from([room, home]))
    }

    /// Refuses what was looked up in a room of which the hub shows another history than before: something may be missing.
    fn check_shown(&self, room: RoomId) -> Result<(), Error> {
        self.rooms.get(&room).map_or(Ok(()), Room::check_shown)
    }

    /// Reads and verifies the messages behind `references`, oldest first by the authors' clocks where rooms differ. What does
    /// not verify is left out.
    pub(crate) async fn verified(
        &mut self,
        references: Vec<BlobReference>,
    ) -> Result<Vec<VerifiedHandoff>, Error> {
        Ok(self.look_up(references).await?.valid)
    }

    async fn look_up(&mut self, references: Vec<BlobReference>) -> Result<LookedUp, Error> {
        let mut wanted: BTreeMap<RoomId, BTreeMap<(u64, BlobId), bool>> = BTreeMap::new();
        for reference in references {
            let room = wanted.entry(reference.room).or_default();
            room.insert((reference.seq, reference.blob), reference.available);
        }
        let mut looked_up = LookedUp::default();
        for (id, references) in wanted {
            // Rooms that were not verified are none to take code from.
            let Some(room) = self.rooms.get_mut(&id) else { continue };
            let head = room.head().seq;
            let places: BTreeSet<u64> =
                references.keys().map(|(seq, _)| *seq).filter(|seq| (1..=head).contains(seq)).collect();
            for reading in room.readings(&self.link, places).await? {
                let seq = reading.seq();
                let signature = match &reading {
                    Reading::Good(_) => Signature::Valid,
                    Reading::NotMember { .. } => Signature::NotMember,
                    Reading::Invalid { .. } => Signature::Invalid,
                    // Said before, and not by this; or nothing with a handoff in it.
                    Reading::Repeated { .. } | Reading::Act(_) => continue,
                };
                let Reading::Good(message) = reading else {
                    let blobs = references.keys().filter(|(at, _)| *at == seq).map(|(_, blob)| *blob);
                    looked_up.refused.extend(blobs.map(|blob| (blob, signature)));
                    continue;
                };
                let author = room.agent(message.header.by());
                for part in bundles(&message) {
                    let Some(available) = references.get(&(seq, part.blob)) else { continue };
                    let is_cached = self.cache.contains(&part.blob);
                    looked_up.valid.push(VerifiedHandoff {
                        room: id,
                        seq,
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
        let rooms: BTreeSet<RoomId> = looked_up.valid.iter().map(|handoff| handoff.room).collect();
        if rooms.len() > 1 {
            looked_up.valid.sort_by_key(|handoff| (handoff.sent, handoff.room, handoff.seq));
        }
        Ok(looked_up)
    }
}

/// What references to handoffs lead to.
#[derive(Default)]
struct LookedUp {
    valid: Vec<VerifiedHandoff>,
    /// Those at whose place stands nothing that a member wrote, by the hub's word on what they refer to.
    refused: Vec<(BlobId, Signature)>,
}

/// Returns the bundles a message refers to whose blobs its header lists: the others its author has not signed as such.
pub(crate) fn bundles(message: &CheckedMessage) -> impl Iterator<Item = &BundlePart> {
    let listed = &message.header.statement().blobs;
    let parts = message.body.iter().flat_map(|body| &body.parts);
    parts.filter_map(|part| match part {
        Part::Bundle(bundle) if listed.contains(&bundle.blob) => Some(&**bundle),
        Part::Bundle(_) | Part::Text(_) | Part::Topic(_) | Part::Unknown(_) => None,
    })
}
