//! Rooms as a reader meets them at a hub that may lie: reading, pruned logs, forks and their acceptance.

mod accept;
mod backlog;
mod lies;
mod properties;
mod reading;

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::frame::{Entry, EntryContent};
use protocol::id::{Digest, RoomId, Salt};
use protocol::key::{AgentId, AgentKey, HubKey, UserKey};
use protocol::part::{Body, Part};
use protocol::room::{Admission, Flag, Members, check_admission, extend};
use protocol::signed::{Signed, Verified, sign};
use protocol::statement::{
    Admit, Genesis, LogPoint, Membership, Message, Op, Role, RoomKind, Seat as SeatWord,
};
use tempfile::TempDir;

use super::peer::Peer;
use super::settings;
use crate::link::{Dialer, Link};
use crate::room::{Act, Content, Item, ReadPage, Room, SaidBody};
use crate::seat::{RoomMemory, Seat};

pub(super) fn owner() -> UserKey {
    UserKey::from_seed(&[2; 32])
}

/// The owner's seat.
pub(super) fn ana() -> AgentKey {
    AgentKey::from_seed(&[3; 32])
}

/// A member, once admitted.
pub(super) fn ben() -> AgentKey {
    AgentKey::from_seed(&[4; 32])
}

/// The truth about a session: its log as an honest hub keeps it.
#[derive(Clone)]
pub(super) struct Story {
    pub(super) genesis: Verified<Genesis>,
    pub(super) room: RoomId,
    pub(super) members: Members,
    pub(super) entries: Vec<Entry>,
    pub(super) points: Vec<LogPoint>,
    pub(super) seats: Vec<Signed<SeatWord>>,
    numbers: BTreeMap<AgentId, u64>,
}

impl Story {
    pub(super) fn new(salt: u8) -> Self {
        let hub = HubKey::from_seed(&[1; 32]).public();
        let salt = Some(Salt::from_bytes([salt; 16]));
        let genesis = sign(&owner(), Genesis { hub, kind: RoomKind::Session, salt, needs: Vec::new() });
        let word = SeatWord { seat: ana().public(), name: "ana/app".into(), issued: 0, expires: 1000 };
        let word = sign(&owner(), word);
        let mut members = Members::new(&genesis);
        members.note_seat(&word);
        let room = genesis.digest().into();
        Self {
            genesis,
            room,
            members,
            entries: Vec::new(),
            points: vec![LogPoint::start(room)],
            seats: vec![word.signed().clone()],
            numbers: BTreeMap::new(),
        }
    }

    pub(super) fn end(&self) -> LogPoint {
        *self.points.last().unwrap()
    }

    pub(super) fn push(&mut self, content: EntryContent) {
        let end = extend(&self.end(), &content.digest());
        self.entries.push(Entry { seq: end.seq, content });
        self.points.push(end);
    }

    /// Signs what `author` says next, without storing it.
    pub(super) fn signed(&self, author: &AgentKey, text: &str) -> EntryContent {
        let n = self.numbers.get(&author.public()).copied().unwrap_or(0) + 1;
        let body = Body { parts: vec![Part::Text(text.to_owned())], reply_to: None, hops: None };
        message(author, self.header(n, &body.to_text()), body.to_text())
    }

    pub(super) fn header(&self, n: u64, body: &str) -> Message {
        Message {
            room: self.room,
            n,
            head: self.end(),
            sent: 5,
            epoch: 0,
            body: Digest::of(body.as_bytes()),
            blobs: Vec::new(),
            leave: false,
            needs: Vec::new(),
        }
    }

    pub(super) fn say(&mut self, author: &AgentKey, text: &str) {
        let content = self.signed(author, text);
        *self.numbers.entry(author.public()).or_insert(0) += 1;
        self.push(content);
    }

    /// Stores a message that is made by hand.
    pub(super) fn say_parts(
        &mut self,
        author: &AgentKey,
        parts: Vec<Part>,
        change: impl FnOnce(&mut Message),
    ) {
        let n = self.numbers.entry(author.public()).or_insert(0);
        *n += 1;
        let n = *n;
        let body = Body { parts, reply_to: None, hops: None }.to_text();
        let mut header = self.header(n, &body);
        change(&mut header);
        self.push(message(author, header, body));
    }

    pub(super) fn act(&mut self, op: Op) {
        let seq = self.end().seq + 1;
        let act = self.signed_act(&owner(), op);
        self.members.append(&act, seq).unwrap();
        self.push(EntryContent::Membership(act.signed().clone()));
    }

    pub(super) fn signed_act(&self, key: &UserKey, op: Op) -> Verified<Membership> {
        let end = self.members.chain_end();
        sign(key, Membership { room: self.room, n: end.n + 1, prev: end.digest, op, needs: Vec::new() })
    }

    /// Lets somebody in, with all of the history or none.
    pub(super) fn admit(&mut self, agent: AgentId, name: &str, with_history: bool) {
        let at = self.end();
        let floor = if with_history { 0 } else { at.seq };
        let name = name.to_owned();
        self.act(Op::Admit(Admit { agent, name, role: Role::Member, floor, at, key: None, user: None }));
    }

    /// Lets the hub keep it in the place of what it had.
    pub(super) fn plant(&self, peer: &Peer) {
        let (genesis, entries) = (self.genesis.signed().clone(), self.entries.clone());
        peer.with_shelf(|shelf| {
            shelf.seats.clone_from(&self.seats);
            shelf.plant_room(genesis, entries, self.points.clone());
        });
    }

    fn chain(&self) -> Vec<Entry> {
        let is_act = |entry: &&Entry| matches!(entry.content, EntryContent::Membership(_));
        self.entries.iter().filter(is_act).cloned().collect()
    }

    /// What a reader is shown of each entry, where nothing is wrong.
    pub(super) fn shown(&self) -> Vec<String> {
        let shown = |entry: &Entry| match &entry.content {
            EntryContent::Membership(_) => format!("{} act", entry.seq),
            EntryContent::Message { body, .. } => {
                let body = Body::parse(body.as_deref().unwrap()).unwrap();
                format!("{} {}", entry.seq, text(&body))
            }
        };
        self.entries.iter().map(shown).collect()
    }
}

pub(super) fn message(author: &AgentKey, header: Message, body: String) -> EntryContent {
    EntryContent::Message { message: sign(author, header).signed().clone(), body: Some(body) }
}

/// One who reads the story at a hub: the owner's other seat, or somebody who was admitted.
pub(super) struct Reader {
    home: TempDir,
    pub(super) peer: Peer,
    pub(super) link: Link,
    pub(super) me: AgentId,
}

impl Reader {
    pub(super) async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let peer = Peer::start(1).await;
        peer.with_shelf(|shelf| shelf.page_max = Some(256));
        let settings = settings(home.path(), "reader", &peer.origin());
        let seat = Arc::new(Seat::open(&settings).unwrap());
        let me = seat.agent();
        let link = Link::new(Dialer::new(&settings, seat, None).unwrap());
        Self { home, peer, link, me }
    }

    pub(super) fn memory(&self, story: &Story) -> RoomMemory {
        RoomMemory::open(&self.home.path().join("data"), &owner().public(), story.room).unwrap()
    }

    /// Takes up the session as its owner does.
    pub(super) fn own(&self, story: &Story) -> Room {
        Room::own(self.memory(story), &story.genesis, self.me).unwrap()
    }

    /// Takes up the session as somebody does whom the story has let in.
    pub(super) fn joined(&self, story: &Story) -> Room {
        let (members, admission) = self.admission(story);
        Room::joined(self.memory(story), &story.genesis, &members, &admission, self.me).unwrap()
    }

    pub(super) fn admission(&self, story: &Story) -> (Members, Admission) {
        let (genesis, hub) = (story.genesis.signed().clone(), story.genesis.statement().hub);
        check_admission(story.room.room12(), hub, &self.me, genesis, story.chain()).unwrap()
    }

    pub(super) async fn catch_up(&self, room: &mut Room) {
        let end = LogPoint { seq: u64::MAX, ..room.head() };
        room.catch_up(&self.link, end).await.unwrap();
    }

    pub(super) async fn read(&self, room: &mut Room, after: u64) -> ReadPage {
        room.read(&self.link, after, 256, None).await.unwrap()
    }

    /// Reads to the end, as far as it goes.
    pub(super) async fn read_all(&self, room: &mut Room, after: u64) -> Vec<String> {
        let (mut at, mut all) = (after, Vec::new());
        loop {
            let page = self.read(room, at).await;
            all.extend(shown(&page));
            if !page.more || page.end_seq <= at || page.fork.is_some() {
                return all;
            }
            at = page.end_seq;
        }
    }

    /// Counts the files of evidence.
    pub(super) fn evidence(&self) -> usize {
        std::fs::read_dir(self.home.path().join("data/evidence")).map_or(0, Iterator::count)
    }
}

/// Says what a page shows, an entry a line.
pub(super) fn shown(page: &ReadPage) -> Vec<String> {
    page.items.iter().map(line).collect()
}

pub(super) fn line(item: &Item) -> String {
    let seq = item.seq;
    match &item.content {
        Content::Message(said) => {
            let text = match &said.body {
                SaidBody::Read(body) => text(body),
                SaidBody::NeedsNewer => "[needs newer]".to_owned(),
                SaidBody::Erased => "[erased]".to_owned(),
            };
            let gap = if said.flags.contains(&Flag::Gap) { " (gap)" } else { "" };
            format!("{seq} {text}{gap}")
        }
        Content::Act(Act::Unknown) => format!("{seq} unknown act"),
        Content::Act(_) => format!("{seq} act"),
        Content::Repeated { flag: Flag::Replayed, .. } => format!("{seq} replayed"),
        Content::Repeated { .. } => format!("{seq} fork"),
        Content::Invalid => format!("{seq} invalid"),
        Content::NotMember { .. } => format!("{seq} not a member"),
    }
}

fn text(body: &Body) -> String {
    let text = |part: &Part| match part {
        Part::Text(text) | Part::Topic(text) => text.clone(),
        Part::Bundle(_) | Part::Unknown(_) => "…".to_owned(),
    };
    body.parts.iter().map(text).collect()
}
