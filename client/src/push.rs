//! Handing a bundle over: upload, sign, spool as signed, post. A crash at any point loses nothing and posts nothing twice.

use std::path::Path;
use std::time::Duration;

use protocol::frame::{Answer, Find, Post, PutBlob, Request};
use protocol::id::{BlobId, BlobPrefix, Digest, RoomId};
use protocol::part::{Body, BundlePart, Part};
use protocol::refusal::{Refusal, RefusalCode};
use protocol::signed;
use protocol::statement::Message;

use crate::client::Client;
use crate::error::Error;
use crate::limits::{SIGN_AGAIN_MAX, SPOOL_AGE_SECONDS_MAX};
use crate::link::LinkError;
use crate::link::transfer::{Progress, upload};
use crate::report::Send;
use crate::seat::{self, SpoolEntry, SpooledPost};
use crate::session::SessionError;

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

/// What is to be signed.
struct Draft {
    blob: Option<BlobId>,
    body: String,
    leave: bool,
}

/// When a message is posted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// By the command that says it, which tells what becomes of it.
    Now,
    /// By a later command, since nobody knows what has become of it.
    Late,
}

/// For what that waits which was signed for a room before.
#[derive(Debug)]
pub(crate) enum Waits {
    /// The hub, which does not take it for the time being.
    ForHub(Refusal),
    /// A human, who has to look at another history that the hub has shown.
    ForHuman,
}

/// A message of an earlier process that the hub does not take any more, or that has waited for too long.
#[derive(Debug, Clone)]
pub struct Undelivered {
    /// The room it was for.
    pub room: RoomId,
    /// What it said, in short.
    pub label: String,
    /// Why the hub does not take it.
    pub reason: Refusal,
}

impl Client {
    /// Hands the bundle in the file `bundle` over to the room of this call: uploads it, then posts `part`, signed.
    ///
    /// What an earlier process of this seat had signed and not got answered is posted first, unchanged. The same handoff
    /// of ours (bundle, tips, prerequisites, summary) that still stands posts nothing. When this returns, the reference was seen
    /// in the log: the hub's word that it stored it is none.
    ///
    /// # Errors
    /// [`Error::Transfer`] when the bytes do not get through; [`Error::Link`] when the hub refuses, or when what was signed before
    /// has to wait still, or when the hub cannot be reached (then what was signed stays in the spool and goes out with the next
    /// operation in that room); [`Error::Forked`] while the hub shows another history of it, or when it does not show what it said
    /// to have stored; as [`Client::room`] otherwise.
    pub async fn push(
        &mut self,
        bundle: &Path,
        part: BundlePart,
        progress: Option<Progress>,
    ) -> Result<Posted, Error> {
        let room = self.room().await?;
        self.check_turn(room)?;
        if let Some(seq) = self.standing(room, &part).await? {
            return Ok(Posted { room, seq, deduplicated: !self.delivered.contains(&(room, seq)) });
        }
        let put = PutBlob { room, id: part.blob, size: part.size };
        upload(&self.link, put, bundle, progress).await?;
        let blob = Some(part.blob);
        let body = Body { parts: vec![Part::Bundle(Box::new(part))], reply_to: None, hops: None };
        let spooled = self.sign(room, Draft { blob, body: body.to_text(), leave: false }, 0);
        self.post(self.spool.keep(spooled)?, Occasion::Now).await
    }

    /// Posts a body without a blob to a room that was entered.
    pub(crate) async fn say(&mut self, room: RoomId, body: String, leave: bool) -> Result<Send, Error> {
        self.check_turn(room)?;
        let spooled = self.sign(room, Draft { blob: None, body, leave }, 0);
        let posted = self.post(self.spool.keep(spooled)?, Occasion::Now).await;
        match posted {
            Err(Error::Link(error)) if error.refusal() == Some(RefusalCode::NotFound) => {
                Err(SessionError::NotInRoom { room }.into())
            }
            other => other.map(|posted| Send { room, seq: posted.seq }),
        }
    }

    /// Returns the messages of earlier processes that the hub does not take any more, each once, so that who wrote them can be
    /// told.
    pub fn take_undelivered(&mut self) -> Vec<Undelivered> {
        std::mem::take(&mut self.undelivered)
    }

    /// Posts what an earlier process of this seat had signed for a room and not got answered, unchanged and in order. What the
    /// hub does not take now waits, with all behind it. All of it waits where the hub was seen to show another history: nothing
    /// goes out by itself then until a human has looked.
    pub(crate) async fn deliver_spooled(&mut self, room: RoomId) -> Result<(), Error> {
        self.waiting.remove(&room);
        let pending = self.spool.pending(self.hub(), room, self.seat.agent())?;
        if pending.is_empty() {
            return Ok(());
        }
        if self.rooms[&room].fork().is_some() {
            self.waiting.insert(room, Waits::ForHuman);
            return Ok(());
        }
        for spooled in pending {
            let body = spooled.post().body.clone();
            if spooled.age() > Duration::from_secs(SPOOL_AGE_SECONDS_MAX) {
                spooled.remove();
                let message = "it has waited for too long";
                self.give_up(room, &body, Refusal::new(RefusalCode::Gone, message));
                continue;
            }
            match self.post(spooled, Occasion::Late).await {
                Ok(posted) => drop(self.delivered.insert((room, posted.seq))),
                Err(Error::Link(LinkError::Refused(reason))) if may_pass(reason.code) => {
                    self.waiting.insert(room, Waits::ForHub(reason));
                    break;
                }
                // The hub does not want it any more (its blob expired, say); what is done now must not suffer.
                Err(Error::Link(LinkError::Refused(reason))) => self.give_up(room, &body, reason),
                // It is kept, and who only wants to read is told of the fork there.
                Err(Error::Contradiction { .. } | Error::Forked { .. }) => {
                    self.waiting.insert(room, Waits::ForHuman);
                    break;
                }
                Err(error) => {
                    if matches!(error, Error::Session(SessionError::NotInRoom { .. })) {
                        // By now none of them is worked on.
                        self.drop_spooled(room, &Refusal::not_found())?;
                    }
                    return Err(error);
                }
            }
        }
        self.refresh(room).await
    }

    /// Ends what is spooled for a room that this seat is not in any more.
    pub(crate) fn drop_spooled(&mut self, room: RoomId, reason: &Refusal) -> Result<(), Error> {
        for spooled in self.spool.pending(self.hub(), room, self.seat.agent())? {
            let body = spooled.post().body.clone();
            spooled.remove();
            self.give_up(room, &body, reason.clone());
        }
        Ok(())
    }

    fn give_up(&mut self, room: RoomId, body: &str, reason: Refusal) {
        let label = Body::parse(body).ok().and_then(|body| body.parts.first().map(Part::label));
        self.undelivered.push(Undelivered { room, label: label.unwrap_or_default(), reason });
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

    /// Signs a message under the number `n`, or the author's next if that is higher.
    fn sign(&self, room: RoomId, draft: Draft, n: u64) -> SpooledPost {
        let Draft { blob, body, leave } = draft;
        let state = &self.rooms[&room];
        let header = Message {
            room,
            n: n.max(state.next_n(&self.seat.agent())),
            head: state.head(),
            sent: seat::now(),
            epoch: 0,
            body: Digest::of(body.as_bytes()),
            blobs: blob.into_iter().collect(),
            leave,
            needs: Vec::new(),
        };
        let message = signed::sign(self.seat.agent_key(), header).signed().clone();
        SpooledPost { hub: self.hub(), room, blob, message, body }
    }

    /// Refuses to say something where the hub shows another history, or what was signed before it waits still: nothing
    /// overtakes that.
    fn check_turn(&self, room: RoomId) -> Result<(), Error> {
        self.rooms[&room].check_shown()?;
        match self.waiting.get(&room) {
            Some(Waits::ForHub(refusal)) => Err(LinkError::Refused(refusal.clone()).into()),
            Some(Waits::ForHuman) => self.rooms[&room].check_fork(),
            None => Ok(()),
        }
    }

    /// Posts a spooled message. It leaves the spool once it was seen in the log, and when it was not taken, unless it is said late
    /// and may be taken later still.
    async fn post(&mut self, mut spooled: SpoolEntry, occasion: Occasion) -> Result<Posted, Error> {
        let outcome = self.post_as_signed_or_anew(&mut spooled).await;
        let is_late = occasion == Occasion::Late;
        let stays = match &outcome {
            Ok(_) => false,
            Err(Error::Link(LinkError::Refused(refusal))) => is_late && may_pass(refusal.code),
            // It may have been stored.
            Err(Error::Link(_)) => true,
            // Who says it is told, and says it again or not.
            Err(_) => is_late,
        };
        if !stays {
            spooled.remove();
        }
        outcome
    }

    /// Posts a spooled message. Where another process of this seat was faster it is signed anew, unless that one has said the same.
    async fn post_as_signed_or_anew(&mut self, spooled: &mut SpoolEntry) -> Result<Posted, Error> {
        let (room, mut last, mut was_stale) = (spooled.post().room, None, false);
        for _ in 0..SIGN_AGAIN_MAX {
            let (message, body) = (spooled.post().message.clone(), spooled.post().body.clone());
            let refusal = match self.link.request(Request::Post(Post { room, message, body })).await {
                Ok(Answer::Post(posted)) => return self.confirm(spooled.post(), posted.seq).await,
                Ok(_) => unreachable!("an answer is read by the kind of its request"),
                Err(LinkError::Refused(refusal)) => refusal,
                // It may have been stored: it stays in the spool, as signed.
                Err(error) => return Err(error.into()),
            };
            let n = match refusal.code {
                RefusalCode::Conflict => refusal.next_n.unwrap_or_default(),
                // Once a head may be too old; one that the hub has just shown is not.
                RefusalCode::Stale if !was_stale => {
                    was_stale = true;
                    0
                }
                _ => return Err(LinkError::Refused(refusal).into()),
            };
            // Looked at before catching up: what is stored by then may well be beyond.
            let known = self.rooms.get_mut(&room).expect("a room that was entered");
            if refusal.code == RefusalCode::Conflict && n <= known.last_n(&self.seat.agent()) {
                known.note_miscount(&refusal)?;
                known.check_fork()?;
            }
            self.refresh(room).await?;
            self.rooms[&room].check_shown()?;
            last = Some(refusal);
            let body = Body::parse(&spooled.post().body).ok();
            if let Some(part) = body.as_ref().and_then(Body::bundle)
                && let Some(seq) = self.standing(room, part).await?
            {
                return Ok(Posted { room, seq, deduplicated: true });
            }
            let leave = is_leave(spooled.post());
            let draft = Draft { blob: spooled.post().blob, body: spooled.post().body.clone(), leave };
            spooled.replace(self.sign(room, draft, n))?;
        }
        Err(last.map_or(Error::Contradiction { room }, |refusal| LinkError::Refused(refusal).into()))
    }
}

impl Client {
    /// Looks whether the hub shows what it said to have stored as entry `seq`. A number that it only promised would be used again,
    /// and nobody would miss the message.
    async fn confirm(&mut self, post: &SpooledPost, seq: u64) -> Result<Posted, Error> {
        let room = post.room;
        // Who has left is shown nothing any more.
        if !is_leave(post) {
            self.check_stands(room, seq, post.message.digest()).await?;
        }
        Ok(Posted { room, seq, deduplicated: false })
    }
}

/// Says whether what a hub refuses so may be taken another time, unchanged. What a later version says of it is not known.
fn may_pass(code: RefusalCode) -> bool {
    match code {
        RefusalCode::Internal
        | RefusalCode::Conflict
        | RefusalCode::Stale
        | RefusalCode::Superseded
        | RefusalCode::Pruned
        | RefusalCode::OverQuota
        | RefusalCode::RateLimited
        | RefusalCode::TooMany
        | RefusalCode::DiskFull
        | RefusalCode::Closing
        | RefusalCode::Unknown => true,
        RefusalCode::BadFrame
        | RefusalCode::BadRequest
        | RefusalCode::BadStatement
        | RefusalCode::Unsupported
        | RefusalCode::LoginRefused
        | RefusalCode::NotFound
        | RefusalCode::Gone
        | RefusalCode::KeyRefused
        | RefusalCode::Denied
        | RefusalCode::NotOwner
        | RefusalCode::Closed
        | RefusalCode::HashMismatch
        | RefusalCode::TooLarge => false,
    }
}

/// Says whether a spooled message is one by which its author leaves.
fn is_leave(post: &SpooledPost) -> bool {
    post.message.clone().verify().is_ok_and(|header| header.statement().leave)
}

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
        let blob = Some(part.blob);
        let spooled = SpooledPost { hub: self.hub(), room: found.room, blob, message, body };
        drop(self.spool.keep(spooled).unwrap());
        self.spooled(found.room) == 1
    }

    /// Signs a text and goes no further.
    pub(crate) fn say_and_crash(&self, room: RoomId, text: &str) {
        let body = Body { parts: vec![Part::Text(text.to_owned())], reply_to: None, hops: None };
        let draft = Draft { blob: None, body: body.to_text(), leave: false };
        let n = self.rooms[&room].next_n(&self.seat.agent()) + self.spooled(room) as u64;
        drop(self.spool.keep(self.sign(room, draft, n)).unwrap());
    }

    /// Signs a message and goes no further.
    pub(crate) async fn sign_and_crash(&mut self, room: RoomId, part: &BundlePart) {
        self.home().await.unwrap();
        let body = Body { parts: vec![Part::Bundle(Box::new(part.clone()))], reply_to: None, hops: None };
        let draft = Draft { blob: Some(part.blob), body: body.to_text(), leave: false };
        drop(self.spool.keep(self.sign(room, draft, 0)).unwrap());
    }
}
