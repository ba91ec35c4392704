//! The conversation: saying something, reading what is new, and looking back.

use std::time::Duration;

use protocol::id::RoomId;
use protocol::key::AgentId;
use protocol::limits::{Limits, PULL_ENTRIES_MAX};
use protocol::part::{Body, Part};
use protocol::room::Flag;
use tokio::time::Instant;

use super::SessionError;
use crate::client::{Client, Position};
use crate::error::Error;
use crate::handoffs::bundles;
use crate::report::{
    Agent, HandoffState, LoggedBundle, LoggedMessage, MessageKind, Received, Send, Signature,
};
use crate::room::{Act, Content, Item, ReadPage, Said, SaidBody};

impl Client {
    /// Says `text` in the room of this call.
    ///
    /// # Errors
    /// [`SessionError::Empty`] and [`SessionError::TooLong`] for a text that cannot be sent, [`Error::Forked`] while the hub
    /// shows another history of the room, as [`Client::room`] otherwise. What was signed and not answered stays in the spool and
    /// is sent with the next operation in that room.
    pub async fn send(&mut self, text: &str) -> Result<Send, Error> {
        if text.trim().is_empty() {
            return Err(SessionError::Empty.into());
        }
        let body = Body { parts: vec![Part::Text(text.to_owned())], reply_to: None, hops: None }.to_text();
        let limit = self.body_bytes_max();
        if body.len() > limit {
            return Err(SessionError::TooLong { what: "message", size: body.len(), limit }.into());
        }
        let room = self.room().await?;
        self.say(room, body, false).await
    }

    /// Returns what is new for `reader` in the room of this call and not this seat's own, at most `limit` entries; with `wait`,
    /// waits so long for a first one. Within this process it goes on where it stopped before, whatever others acknowledge;
    /// nothing is acknowledged by it, see [`Client::ack`].
    ///
    /// # Errors
    /// As [`Client::room`]. That the hub shows another history is told by [`Received::flags`], with what could be verified
    /// before it.
    pub async fn recv(
        &mut self,
        reader: &str,
        limit: u64,
        wait: Option<Duration>,
    ) -> Result<Received, Error> {
        let room = self.room().await?;
        let mut at = self.position(room, reader);
        let until = wait.map(|wait| Instant::now() + wait);
        let (mut expired, me) = (0, self.seat.agent());
        loop {
            let own = self.own_acts(room)?;
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let history = self.rooms[&room].state().histories();
            let mut page = self.read(room, at, limit, left).await?;
            if self.rooms[&room].state().histories() != history {
                // Accepted by another process while this one waited: what the page is of is past.
                at = self.position(room, reader);
                continue;
            }
            let has_read = page.end_seq > at;
            (at, expired) = (at.max(page.end_seq), expired + page.expired_unread);
            page.items.retain(|item| !is_own(&item.content, item.seq, me, &own));
            let is_over = left.is_none_or(|left| left.is_zero()) && !page.more;
            if !page.items.is_empty() || page.fork.is_some() || is_over || !has_read {
                self.positions.insert((room, reader.to_owned()), Position { history, seq: at });
                return Ok(self.received(room, page, at, expired));
            }
        }
    }

    /// Waits until the log of the room of this call goes on behind entry `after`, or behind what is known of it now, at most as
    /// long as `wait`; returns the last entry that was verified. A log that a human has accepted since may end before `after`,
    /// which is told at once. No cursor moves.
    ///
    /// # Errors
    /// [`Error::Forked`] when the hub shows another history: who follows the log has nothing to wait for then. As
    /// [`Client::room`] otherwise.
    pub async fn news(&mut self, after: Option<u64>, wait: Duration) -> Result<u64, Error> {
        let room = self.room().await?;
        self.rooms[&room].check_shown()?;
        let end = self.rooms[&room].head().seq;
        let after = after.unwrap_or(end);
        if after > end {
            return Ok(end);
        }
        let page = self.read(room, after, PULL_ENTRIES_MAX, Some(wait)).await?;
        self.rooms[&room].check_shown()?;
        Ok(page.end_seq.max(after))
    }

    /// Returns where `reader` goes on in this process: where it stopped before, unless a human has accepted another log since, of
    /// which no more than its beginning was read.
    fn position(&self, room: RoomId, reader: &str) -> u64 {
        let (state, cursor) = (self.rooms[&room].state(), self.rooms[&room].cursor(reader));
        match self.positions.get(&(room, reader.to_owned())) {
            Some(position) if position.history == state.histories() => position.seq,
            Some(position) => position.seq.min(state.accepted()).min(cursor),
            None => cursor,
        }
    }

    /// Returns what stands in the log of the room of this call: the newest `limit` entries, or those behind `after`. Nothing is
    /// moved by it.
    ///
    /// # Errors
    /// As [`Client::recv`].
    pub async fn log(&mut self, after: Option<u64>, limit: u64) -> Result<Received, Error> {
        let room = self.room().await?;
        let mut at = after.unwrap_or_else(|| self.rooms[&room].head().seq.saturating_sub(limit));
        let (mut whole, mut left): (Option<ReadPage>, _) = (None, limit.max(1));
        let mut expired = 0;
        loop {
            let page = self.read(room, at, left.min(PULL_ENTRIES_MAX), None).await?;
            expired += page.expired_unread;
            let has_read = page.end_seq > at;
            at = at.max(page.end_seq);
            left = left.saturating_sub(page.items.len() as u64);
            let goes_on = page.more && has_read && left > 0 && page.fork.is_none();
            whole = Some(match whole {
                Some(mut before) => {
                    before.items.extend(page.items);
                    ReadPage { items: before.items, ..page }
                }
                None => page,
            });
            if !goes_on {
                break;
            }
        }
        let page = whole.expect("one page was read at the least");
        Ok(self.received(room, page, at, expired))
    }

    /// Leaves the session of this call, which takes it out of use for this seat.
    ///
    /// # Errors
    /// [`SessionError::OwnerLeaves`] for who has opened it; [`SessionError::NotInRoom`] when this seat was put out before; as
    /// [`Client::session`] otherwise.
    pub async fn leave(&mut self) -> Result<Send, Error> {
        let room = match self.session().await {
            Err(Error::Session(SessionError::NotInRoom { room })) => {
                self.use_no_more(room)?;
                return Err(SessionError::NotInRoom { room }.into());
            }
            other => other?,
        };
        if self.rooms[&room].owner() == self.seat.user() {
            return Err(SessionError::OwnerLeaves { room }.into());
        }
        let body = Body { parts: Vec::new(), reply_to: None, hops: None };
        let left = self.say(room, body.to_text(), true).await?;
        self.rooms.remove(&room);
        self.use_no_more(room)?;
        Ok(left)
    }

    /// Returns how long a body may be, in bytes: what the hub takes, and no more than this version knows.
    pub(crate) fn body_bytes_max(&self) -> usize {
        let limit = self.limits().body_bytes_max.min(Limits::default().body_bytes_max);
        usize::try_from(limit).unwrap_or(usize::MAX)
    }

    fn received(&self, room: RoomId, page: ReadPage, cursor: u64, expired: u64) -> Received {
        let fork = page.fork.is_some().then_some(Flag::Fork);
        let unchecked = page.is_unchecked.then_some(Flag::Unchecked);
        Received {
            room,
            messages: page.items.into_iter().map(|item| self.logged(item)).collect(),
            cursor,
            more: page.more,
            expired,
            flags: fork.into_iter().chain(unchecked).collect(),
        }
    }

    /// Returns an entry as people see it; text that does not hold is never in it.
    fn logged(&self, item: Item) -> LoggedMessage {
        let empty = LoggedMessage {
            seq: item.seq,
            from: None,
            signature: Signature::Valid,
            sent: None,
            kind: MessageKind::Other,
            text: None,
            bundle: None,
            agents: Vec::new(),
            flags: Vec::new(),
        };
        match item.content {
            Content::Message(said) => self.said(*said, empty),
            Content::Act(act) => acted(act, empty),
            Content::Repeated { author, flag } => {
                LoggedMessage { from: Some(author), flags: vec![flag], ..empty }
            }
            Content::Invalid => LoggedMessage { signature: Signature::Invalid, ..empty },
            Content::NotMember { author } => {
                let from = Some(Agent { id: author, name: String::new() });
                LoggedMessage { from, signature: Signature::NotMember, ..empty }
            }
        }
    }

    fn said(&self, said: Said, empty: LoggedMessage) -> LoggedMessage {
        let header = said.message.header.statement();
        let bundle = bundles(&said.message).next().map(|part| LoggedBundle {
            id: part.blob,
            summary: part.summary.clone(),
            tip: part.tip.clone(),
            prerequisites: part.prerequisites.clone(),
            commits: part.commits,
            size: part.size,
            supersedes: part.supersedes,
            state: if self.cache.contains(&part.blob) { HandoffState::Fetched } else { HandoffState::New },
        });
        let (mut kind, text) = match &said.body {
            SaidBody::Read(body) => (kind_of(body, bundle.is_some()), text_of(body)),
            SaidBody::NeedsNewer => (MessageKind::Other, Some(NEEDS_NEWER.to_owned())),
            SaidBody::Erased => (MessageKind::Other, Some(ERASED.to_owned())),
        };
        if header.leave {
            kind = MessageKind::Leave;
        }
        LoggedMessage {
            from: Some(said.author),
            sent: Some(header.sent),
            kind,
            text,
            bundle,
            flags: said.flags,
            ..empty
        }
    }
}

/// Says whether an entry is this seat's own: its message, or an act of the owner that it has signed.
fn is_own(content: &Content, seq: u64, me: AgentId, own_acts: &[u64]) -> bool {
    match content {
        Content::Message(said) => said.author.id == me,
        Content::Act(_) => own_acts.contains(&seq),
        Content::Repeated { .. } | Content::Invalid | Content::NotMember { .. } => false,
    }
}

/// Returns what a body is by the first of its parts that says more than text.
fn kind_of(body: &Body, has_bundle: bool) -> MessageKind {
    match () {
        () if has_bundle => MessageKind::Bundle,
        () if body.topic().is_some() => MessageKind::Topic,
        () if body.parts.iter().any(|part| matches!(part, Part::Text(_))) => MessageKind::Text,
        () => MessageKind::Other,
    }
}

/// Returns what a body says, a line for each part; none where it says nothing.
fn text_of(body: &Body) -> Option<String> {
    let text = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Topic(topic) => topic.clone(),
        Part::Bundle(bundle) => bundle.summary.clone(),
        Part::Unknown(_) => part.label(),
    };
    let texts: Vec<_> = body.parts.iter().map(text).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

fn acted(act: Act, empty: LoggedMessage) -> LoggedMessage {
    let (kind, agents) = match act {
        Act::Admitted(agent) => (MessageKind::Admit, vec![agent]),
        Act::Denied(agents) => (MessageKind::Deny, agents),
        Act::Removed(agent) => (MessageKind::Remove, vec![agent]),
        Act::Closed => (MessageKind::Close, Vec::new()),
        Act::Unknown => (MessageKind::Other, Vec::new()),
    };
    LoggedMessage { kind, agents, ..empty }
}

const NEEDS_NEWER: &str = "[needs a newer git-parler]";
const ERASED: &str = "[erased]";
