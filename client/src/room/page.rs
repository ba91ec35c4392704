//! Reading for people: verified entries with names, flags and nothing else. Text of what does not hold is never among them.

use std::time::Duration;

use protocol::key::AgentId;
use protocol::limits::PULL_ENTRIES_MAX;
use protocol::part::Body;
use protocol::room::{CheckedAct, CheckedMessage, Flag, Reading};
use protocol::statement::{Op, Role};

use super::Room;
use super::pull::{Page, Step, Wanted};
use super::reach::Way;
use crate::error::Error;
use crate::limits::PRUNED_AGAIN_MAX;
use crate::link::Link;
use crate::report::Agent;
use crate::seat::Fork;

/// What one reading gave.
#[derive(Debug, Clone)]
pub struct ReadPage {
    /// The entries, oldest first.
    pub items: Vec<Item>,
    /// Where the next reading goes on: the last entry that was read, whether it could be shown or not.
    pub end_seq: u64,
    /// Whether the log goes on behind it.
    pub more: bool,
    /// How many entries this reader will never see, because they had expired before it came.
    pub expired_unread: u64,
    /// Whether nothing but the hub's word ties the log to its beginning, which has expired.
    pub is_unchecked: bool,
    /// Where the hub was seen to show another history, until a human has accepted the log as it stands.
    pub fork: Option<Fork>,
}

/// One entry of a room's log, for people.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its place in the log.
    pub seq: u64,
    /// What stands there.
    pub content: Content,
}

/// What an entry is.
#[derive(Debug, Clone)]
pub enum Content {
    /// A message of a member.
    Message(Box<Said>),
    /// An act of the owner.
    Act(Act),
    /// The author counted this number before: for the same message again `Replayed`, for another one `Fork`.
    Repeated {
        /// Who wrote it.
        author: Agent,
        /// Which of the two.
        flag: Flag,
    },
    /// The signature or the body is wrong, or the bytes are no message of this room.
    Invalid,
    /// The author was not in the room.
    NotMember {
        /// Who signed it; no name is known for who is not in the room.
        author: AgentId,
    },
}

/// A message whose signature, author, place and body hold.
#[derive(Debug, Clone)]
pub struct Said {
    /// Who wrote it.
    pub author: Agent,
    /// What the author was in the room.
    pub role: Role,
    /// The message: its header, and its body as text.
    pub message: CheckedMessage,
    /// What it says.
    pub body: SaidBody,
    /// What is odd about it.
    pub flags: Vec<Flag>,
}

/// What a message says.
#[derive(Debug, Clone)]
pub enum SaidBody {
    /// Its parts.
    Read(Body),
    /// It needs a newer version to be read: `[needs a newer git-parler]`.
    NeedsNewer,
    /// It was erased; the header stays.
    Erased,
}

/// An act of the owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Let somebody in.
    Admitted(Agent),
    /// Turned agents away for good.
    Denied(Vec<Agent>),
    /// Put somebody out.
    Removed(Agent),
    /// Closed the room.
    Closed,
    /// Did what this version does not know.
    Unknown,
}

impl Room {
    /// Reads at most `limit` entries behind `after`, with their bodies, and remembers what is new in them. With `wait` it waits
    /// so long for a first one; breaks of the connection do not end that.
    ///
    /// # Errors
    /// [`Error::Link`] and [`Error::Seat`] as ever; [`Error::Contradiction`] when the hub has no entries where it says there are.
    /// Another history is no error: what could be read before it is given, with [`ReadPage::fork`].
    pub async fn read(
        &mut self,
        link: &Link,
        after: u64,
        limit: u64,
        wait: Option<Duration>,
    ) -> Result<ReadPage, Error> {
        let (read, first, at) = self.reached(link, Wanted { after, limit, bodies: true, wait }).await?;
        self.note_topic(read.as_ref());
        self.keep()?;
        Ok(self.show(read, at, at - first))
    }

    /// Reads headers behind `after`, at most `limit` and no text. Returns what they are and where the next reading goes on.
    ///
    /// # Errors
    /// As [`Room::read`].
    pub(crate) async fn skim(
        &mut self,
        link: &Link,
        after: u64,
        limit: u64,
    ) -> Result<(Vec<Reading>, u64), Error> {
        let wanted = Wanted { after, limit, bodies: false, wait: None };
        let (read, _, at) = self.reached(link, wanted).await?;
        self.keep()?;
        Ok(read.map_or((Vec::new(), at), |page| (page.readings, page.end.seq)))
    }

    /// Reads a page wherever it is, with where this agent may read from and where the log is there from.
    async fn reached(&mut self, link: &Link, wanted: Wanted) -> Result<(Option<Page>, u64, u64), Error> {
        let limit = wanted.limit.clamp(1, PULL_ENTRIES_MAX);
        let first = wanted.after.max(self.floor());
        let mut at = first.max(self.state.lost());
        let mut read = None;
        for _ in 0..=PRUNED_AGAIN_MAX {
            let step = match self.reach(link, at, limit).await? {
                Way::Open => self.page(link, Wanted { after: at, limit, ..wanted }).await?,
                Way::Pruned(base) => Step::Pruned(base),
                Way::Shut => Step::Forked,
            };
            match step {
                Step::Page(page) => read = Some(page),
                Step::Forked => {}
                Step::Pruned(base) => {
                    if self.go_on_at(link, base).await? {
                        at = base.seq;
                        continue;
                    }
                }
            }
            break;
        }
        Ok((read, first, at))
    }

    /// Takes note of what the owner says that the session is about.
    fn note_topic(&mut self, read: Option<&Page>) {
        for reading in read.iter().flat_map(|page| &page.readings) {
            let Reading::Good(message) = reading else { continue };
            let Some(topic) = message.body.as_ref().and_then(Body::topic) else { continue };
            if self.role_of(message) == Some(Role::Owner) {
                self.is_news |= self.state.note_topic(message.seq, topic);
            }
        }
    }

    fn show(&self, read: Option<Page>, at: u64, expired_unread: u64) -> ReadPage {
        let (items, end_seq, more) = match read {
            Some(page) => {
                let more = page.log_end.seq > page.end.seq;
                (page.readings.into_iter().map(|reading| self.item(reading)).collect(), page.end.seq, more)
            }
            None => (Vec::new(), at, false),
        };
        let (is_unchecked, fork) = (self.is_unchecked(), self.fork().cloned());
        ReadPage { items, end_seq, more, expired_unread, is_unchecked, fork }
    }

    fn item(&self, reading: Reading) -> Item {
        let seq = reading.seq();
        let content = match reading {
            Reading::Good(message) => Content::Message(Box::new(self.said(*message))),
            Reading::Act(act) => Content::Act(self.act(&act)),
            Reading::Repeated { author, flag, .. } => Content::Repeated { author: self.agent(author), flag },
            Reading::Invalid { .. } => Content::Invalid,
            Reading::NotMember { author, .. } => Content::NotMember { author },
        };
        Item { seq, content }
    }

    fn said(&self, message: CheckedMessage) -> Said {
        let said = message.header.statement();
        let needs_newer = said.epoch != 0 || !said.needs.is_empty();
        let body = match &message.body {
            Some(body) => SaidBody::Read(body.clone()),
            None if needs_newer => SaidBody::NeedsNewer,
            None => SaidBody::Erased,
        };
        let flags = message.is_after_gap.then_some(Flag::Gap).into_iter().collect();
        let role = self.role_of(&message).unwrap_or(Role::Member);
        Said { author: self.agent(message.header.by()), role, message, body, flags }
    }

    fn role_of(&self, message: &CheckedMessage) -> Option<Role> {
        self.members().role(&message.header.by(), message.seq, message.header.statement().sent)
    }

    fn act(&self, act: &CheckedAct) -> Act {
        match &act.act.statement().op {
            Op::Admit(admit) => Act::Admitted(Agent { id: admit.agent, name: admit.name.clone() }),
            Op::Deny { agents } => Act::Denied(agents.iter().map(|agent| self.agent(*agent)).collect()),
            Op::Remove { agent } => Act::Removed(self.agent(*agent)),
            Op::Close => Act::Closed,
            Op::Unknown(_) => Act::Unknown,
        }
    }
}
