//! Which room a command works in: the one in use, the home, or one that was named; and the list of all there are.

use std::time::Duration;

use protocol::frame::{Ack, Answer, Request, RoomRow, Rooms};
use protocol::id::{Digest, RoomId};
use protocol::limits::PULL_ENTRIES_MAX;
use protocol::refusal::RefusalCode;
use protocol::room::{AdmissionError, Members, Reading, room_id};
use protocol::signed::Verified;
use protocol::statement::{Genesis, LogPoint, Role, RoomKind};

use super::record::JoinFile;
use super::select::{Named, select};
use super::{SessionError, Thing};
use crate::client::{Client, READER};
use crate::error::Error;
use crate::limits::{ROOMS_READ_MAX, TOPIC_ENTRIES_MAX, UNREAD_PAGES_MAX};
use crate::link::LinkError;
use crate::report;
use crate::room::{ReadPage, Room, read_chain};
use crate::seat::{InUse, RoomMemory, Seat, SeatError};
use crate::settings::{RoomChoice, Settings};

/// The room of a client's operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The user's home.
    Home,
    /// This one, a session as a rule.
    Room(RoomId),
    /// The one that goes by this name, which was not looked up yet.
    Named(String),
}

impl Choice {
    /// Reads what is in use where the settings leave it to that.
    pub(crate) fn of(settings: &Settings, seat: &Seat) -> Result<Self, SeatError> {
        Ok(match &settings.room {
            RoomChoice::Home => Self::Home,
            RoomChoice::InUse => in_use(seat, settings)?.into(),
            RoomChoice::Named(selector) => Self::Named(selector.clone()),
        })
    }
}

impl From<Option<RoomId>> for Choice {
    fn from(session: Option<RoomId>) -> Self {
        session.map_or(Self::Home, Self::Room)
    }
}

/// Returns the session that a seat works in at the hub of `settings`.
fn in_use(seat: &Seat, settings: &Settings) -> Result<Option<RoomId>, SeatError> {
    let in_use = seat.in_use()?.filter(|in_use| in_use.origin == settings.hub.origin());
    Ok(in_use.map(|in_use| in_use.room))
}

impl Client {
    /// Returns the room of this call, with what is new in it verified: the session in use or named, else the home. It is looked
    /// up once: what other processes of this seat take into use afterwards changes nothing here. What an earlier process of this
    /// seat had signed for it and not got answered is sent first, unless the hub was seen to show another history of it.
    ///
    /// # Errors
    /// [`SessionError::NoSuch`] and [`SessionError::Unclear`] for a name that means none or several;
    /// [`SessionError::NotInRoom`] when this seat is not in it any more; [`Error::NoHome`]; [`Error::Link`] and
    /// [`Error::Seat`] as ever. That the hub has shown another history is no error here.
    pub async fn room(&mut self) -> Result<RoomId, Error> {
        let room = match self.chosen().await? {
            Some(room) => self.enter(room).await?,
            None => self.open_home().await?,
        };
        self.deliver_spooled(room).await?;
        Ok(room)
    }

    /// Returns the session of this call, as [`Client::room`] does.
    ///
    /// # Errors
    /// [`SessionError::Home`] when that is the home; as [`Client::room`] otherwise.
    pub async fn session(&mut self) -> Result<RoomId, Error> {
        let room = self.room().await?;
        match self.rooms[&room].kind() {
            RoomKind::Home => Err(SessionError::Home.into()),
            RoomKind::Session | RoomKind::Service => Ok(room),
        }
    }

    /// Takes the session that `selector` names into use, by the beginning of its id or by its topic; `None` goes back to the
    /// home. What is in use is remembered for this seat.
    ///
    /// # Errors
    /// As [`Client::room`].
    pub async fn use_session(&mut self, selector: Option<&str>) -> Result<report::Use, Error> {
        let room = match selector {
            Some(selector) => {
                let room = self.named(selector).await?;
                self.enter(room).await?
            }
            None => self.open_home().await?,
        };
        let session = (self.rooms[&room].kind() != RoomKind::Home).then_some(room);
        self.set_in_use(session)?;
        let topic = self.topic(room).await?;
        Ok(report::Use { session, room: Some(room), topic })
    }

    /// Takes the log of the room of this call as the hub shows it now, although it has shown another history before.
    ///
    /// # Errors
    /// [`Error::Forked`] when the log does not hold even by itself; as [`Client::room`] otherwise.
    pub async fn accept_fork(&mut self) -> Result<report::Use, Error> {
        let room = match self.chosen().await? {
            Some(room) => self.enter(room).await?,
            None => self.open_home().await?,
        };
        let rows = self.rows().await?;
        let row = rows.into_iter().find(|row| row.room == room).ok_or(SessionError::NotInRoom { room })?;
        let known = self.rooms.get_mut(&room).expect("a room that was entered");
        if known.fork().is_some() {
            known.accept_fork(&self.link, row.end).await?;
        }
        let session = (self.rooms[&room].kind() != RoomKind::Home).then_some(room);
        let topic = self.topic(room).await?;
        Ok(report::Use { session, room: Some(room), topic })
    }

    /// Returns the sessions that this seat is in and those that its user has opened, by rising id.
    ///
    /// # Errors
    /// [`Error::Link`] and [`Error::Seat`] as ever.
    pub async fn sessions(&mut self) -> Result<report::Sessions, Error> {
        let in_use = in_use(&self.seat, &self.settings)?;
        let mut sessions = Vec::new();
        for row in self.rows().await? {
            let Some(genesis) = self.genesis(&row).filter(is_session) else { continue };
            if !self.is_in(row.room).await? {
                continue;
            }
            let topic = self.topic(row.room).await?;
            let unread = self.unread(row.room, READER).await?;
            let room = &self.rooms[&row.room];
            let is_owner = genesis.by() == self.seat.user();
            sessions.push(report::Session {
                room: row.room,
                topic,
                owner: genesis.by(),
                role: if is_owner { Role::Owner } else { Role::Member },
                unread,
                pending: row.pending.filter(|_| is_owner).unwrap_or(0),
                closed: room.members().closed().is_some(),
                in_use: in_use == Some(row.room),
            });
        }
        Ok(report::Sessions { sessions })
    }

    /// Returns the session of this call; `None` for the home. One that was named is looked up once.
    async fn chosen(&mut self) -> Result<Option<RoomId>, Error> {
        match self.choice.clone() {
            Choice::Home => Ok(None),
            Choice::Room(room) => Ok(Some(room)),
            Choice::Named(selector) => {
                let room = self.named(&selector).await?;
                self.choice = Choice::Room(room);
                Ok(Some(room))
            }
        }
    }

    /// Works in a session from now on, or in the home, and remembers that for this seat's later processes.
    pub(crate) fn set_in_use(&mut self, session: Option<RoomId>) -> Result<(), Error> {
        let origin = self.settings.hub.origin();
        self.seat.set_in_use(session.map(|room| InUse { origin, room }))?;
        self.choice = session.into();
        Ok(())
    }

    /// Goes back to the home from `room`: this client, and the seat where it is still in use.
    pub(crate) fn use_no_more(&mut self, room: RoomId) -> Result<(), Error> {
        if in_use(&self.seat, &self.settings)? == Some(room) {
            self.set_in_use(None)?;
        }
        self.choice = Choice::Home;
        Ok(())
    }

    /// Finds the room that a selector names. Topics are looked up where no id begins so.
    async fn named(&mut self, selector: &str) -> Result<RoomId, Error> {
        let rows = self.rows().await?;
        let mut all: Vec<_> = rows.iter().filter_map(|row| self.genesis(row)).collect();
        let named = |id: RoomId, name| Named { of: id, id: id.to_string(), words: None, name };
        let by_id = all.iter().map(|genesis| named(room_id(genesis), None));
        match select(Thing::Session, selector, by_id) {
            Err(SessionError::NoSuch { .. }) => {}
            other => return Ok(other?),
        }
        let mut with_topics = Vec::new();
        all.retain(is_session);
        for room in all.iter().map(room_id) {
            if self.is_in(room).await? {
                with_topics.push(named(room, self.topic(room).await?));
            }
        }
        Ok(select(Thing::Session, selector, with_topics)?)
    }

    /// Returns the rooms of this seat, as the hub lists them.
    ///
    /// # Errors
    /// [`Error::Contradiction`] when there are more than a seat can be in; [`Error::Link`] as ever.
    pub(crate) async fn rows(&self) -> Result<Vec<RoomRow>, Error> {
        let (mut rows, mut after): (Vec<RoomRow>, _) = (Vec::new(), None);
        loop {
            let request = Rooms { after, reader: None };
            let Answer::Rooms(page) = self.link.request(Request::Rooms(request)).await? else {
                unreachable!("an answer is read by the kind of its request")
            };
            let last = page.rooms.last().map(|row| row.room);
            rows.extend(page.rooms);
            match last.filter(|last| page.more && Some(*last) > after) {
                Some(room) if rows.len() >= ROOMS_READ_MAX => return Err(Error::Contradiction { room }),
                Some(last) => after = Some(last),
                None => return Ok(rows),
            }
        }
    }

    /// Returns the statement that opened a listed room, when it holds and is for this hub.
    pub(crate) fn genesis(&self, row: &RoomRow) -> Option<Verified<Genesis>> {
        let genesis = row.genesis.clone().verify().ok()?;
        (room_id(&genesis) == row.room && genesis.statement().hub == self.hub()).then_some(genesis)
    }

    /// Takes up a room that this seat is in, and verifies what is new in it.
    ///
    /// # Errors
    /// [`SessionError::NotInRoom`] when it is not; [`SessionError::Admission`] when the hub does not prove that it is.
    pub(crate) async fn enter(&mut self, id: RoomId) -> Result<RoomId, Error> {
        if !self.rooms.contains_key(&id) {
            let room = match Room::remembered(self.memory(id)?, self.seat.agent())? {
                Some(room) => room,
                None => self.meet(id).await?,
            };
            self.rooms.insert(id, room);
        }
        self.refresh(id).await?;
        Ok(id)
    }

    /// Takes up a room that the hub lists, and says whether this seat is in it: the hub's word alone is none.
    pub(crate) async fn is_in(&mut self, id: RoomId) -> Result<bool, Error> {
        match self.enter(id).await {
            Ok(_) => Ok(true),
            Err(Error::Session(SessionError::NotInRoom { .. } | SessionError::Admission(_))) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Verifies what is new in a room that was taken up.
    pub(crate) async fn refresh(&mut self, id: RoomId) -> Result<(), Error> {
        let room = self.rooms.get_mut(&id).expect("a room that was taken up");
        // To wherever the log ends by now.
        let end = LogPoint { seq: u64::MAX, ..room.head() };
        let outcome = room.catch_up(&self.link, end).await;
        self.unless_out(id, outcome)
    }

    /// Makes sure that the hub shows what it said to have stored, as [`Room::check_stands`] does.
    pub(crate) async fn check_stands(&mut self, id: RoomId, seq: u64, digest: Digest) -> Result<(), Error> {
        let room = self.rooms.get_mut(&id).expect("a room that was taken up");
        let outcome = room.check_stands(&self.link, seq, digest).await;
        self.unless_out(id, outcome)
    }

    /// Reads entries of a room that was taken up, as [`Room::read`] does.
    pub(super) async fn read(
        &mut self,
        id: RoomId,
        after: u64,
        limit: u64,
        wait: Option<Duration>,
    ) -> Result<ReadPage, Error> {
        let room = self.rooms.get_mut(&id).expect("a room that was taken up");
        let outcome = room.read(&self.link, after, limit, wait).await;
        self.unless_out(id, outcome)
    }

    /// Reads headers of a room that was taken up, as [`Room::skim`] does.
    async fn skim(&mut self, id: RoomId, after: u64) -> Result<(Vec<Reading>, u64), Error> {
        let room = self.rooms.get_mut(&id).expect("a room that was taken up");
        let outcome = room.skim(&self.link, after, PULL_ENTRIES_MAX).await;
        self.unless_out(id, outcome)
    }

    /// Says by an outcome that the hub does not find the room that this seat is in it no more.
    fn unless_out<T>(&mut self, id: RoomId, outcome: Result<T, Error>) -> Result<T, Error> {
        match outcome {
            Err(Error::Link(LinkError::Refused(refusal))) if refusal.code == RefusalCode::NotFound => {
                self.rooms.remove(&id);
                self.drop_spooled(id, &refusal)?;
                Err(SessionError::NotInRoom { room: id }.into())
            }
            other => other,
        }
    }

    /// Takes up a room that is not known here.
    async fn meet(&self, id: RoomId) -> Result<Room, Error> {
        let row = self.rows().await?.into_iter().find(|row| row.room == id);
        let row = row.ok_or(SessionError::NotInRoom { room: id })?;
        let genesis = self.genesis(&row).ok_or(Error::Contradiction { room: id })?;
        let (memory, me) = (self.memory(id)?, self.seat.agent());
        match (genesis.statement().kind, genesis.by() == self.seat.user()) {
            (RoomKind::Home, true) => Room::home(memory, id, genesis.by(), me),
            (RoomKind::Session | RoomKind::Service, true) => Room::own(memory, &genesis, me),
            (RoomKind::Session | RoomKind::Service, false)
                if JoinFile::has_asked(self.seat.data(), &me, id.room12())? =>
            {
                self.admitted(&genesis).await
            }
            // Anybody can admit anybody into a room of their own: only what was asked for is taken up. And of a home of
            // another user nobody can be a member but that user's seats.
            (_, false) => Err(SessionError::NotInRoom { room: id }.into()),
        }
    }

    /// Takes up a session of another user, once the chain shows that its owner has admitted this seat. As
    /// [`check_admission`](protocol::room::check_admission) does, and page by page: what the owner has not signed is kept in no
    /// memory, however much of it a hub sends.
    pub(crate) async fn admitted(&self, genesis: &Verified<Genesis>) -> Result<Room, Error> {
        let (id, me) = (room_id(genesis), self.seat.agent());
        let said = genesis.statement();
        if said.hub != self.hub() || said.kind != RoomKind::Session {
            return Err(SessionError::Admission(AdmissionError::NotHere).into());
        }
        let (mut members, mut followed) = (Members::new(genesis), Ok(()));
        let follow = |_, page| {
            followed = members.follow(page);
            followed.is_ok()
        };
        match read_chain(&self.link, id, 0, follow).await {
            Err(Error::Link(error)) if error.refusal() == Some(RefusalCode::NotFound) => {
                return Err(SessionError::NotInRoom { room: id }.into());
            }
            outcome => outcome?,
        }
        followed.map_err(SessionError::Admission)?;
        let admission = members.standing(&me).and_then(|standing| standing.admission(u64::MAX)).cloned();
        let admission = admission.ok_or(SessionError::Admission(AdmissionError::NotAdmitted))?;
        Room::joined(self.memory(id)?, genesis, &members, &admission, me)
    }

    pub(crate) fn memory(&self, room: RoomId) -> Result<RoomMemory, Error> {
        Ok(RoomMemory::open(self.seat.data(), &self.seat.user(), room)?.at(self.hub()))
    }

    /// Returns what a session is about. It was said in the first messages, which are read where that was not done yet.
    async fn topic(&mut self, id: RoomId) -> Result<Option<String>, Error> {
        let room = &self.rooms[&id];
        let may_be_there = room.kind() == RoomKind::Session && room.floor() == 0 && room.head().seq > 0;
        if room.topic().is_none() && may_be_there && room.fork().is_none() {
            self.read(id, 0, TOPIC_ENTRIES_MAX, None).await?;
        }
        Ok(self.rooms[&id].topic().map(str::to_owned))
    }

    /// Counts the entries behind a reader's cursor that are not this seat's own, of a room that was entered. Headers travel only;
    /// of very many some are counted without a look.
    ///
    /// # Errors
    /// As [`Client::room`].
    pub async fn unread(&mut self, id: RoomId, reader: &str) -> Result<u64, Error> {
        let own = self.own_acts(id)?;
        let (me, end) = (self.seat.agent(), self.rooms[&id].head().seq);
        let (mut at, mut count) = (self.rooms[&id].cursor(reader), 0);
        for _ in 0..UNREAD_PAGES_MAX {
            if at >= end {
                return Ok(count);
            }
            let (readings, read_to) = self.skim(id, at).await?;
            let is_own = |reading: &&Reading| match reading {
                Reading::Good(message) => message.header.by() == me,
                Reading::Act(act) => own.contains(&act.seq),
                Reading::Repeated { .. } | Reading::Invalid { .. } | Reading::NotMember { .. } => false,
            };
            count += (readings.len() - readings.iter().filter(is_own).count()) as u64;
            if read_to <= at {
                return Ok(count);
            }
            at = read_to;
        }
        Ok(count + end.saturating_sub(at))
    }

    /// Takes note that what was received up to `seq` was handed on, here and at the hub.
    ///
    /// # Errors
    /// As [`Client::note_read`] and [`Client::tell_read`].
    pub async fn ack(&mut self, room: RoomId, reader: &str, seq: u64) -> Result<(), Error> {
        self.note_read(room, reader, seq)?;
        self.tell_read(room, reader).await
    }

    /// Takes note on this machine that what was received up to `cursor` was handed on. That decides: a hub that moves a cursor
    /// hides nothing by it, and brings nothing back.
    ///
    /// # Errors
    /// [`SessionError::NotInRoom`] when the hub has answered meanwhile that this seat is not in the room any more;
    /// [`Error::Seat`] as ever.
    pub fn note_read(&mut self, room: RoomId, reader: &str, cursor: u64) -> Result<(), Error> {
        let known = self.rooms.get_mut(&room).ok_or(SessionError::NotInRoom { room })?;
        known.note_cursor(reader, cursor)
    }

    /// Tells the hub up to where `reader` was handed the room, as this machine knows it.
    ///
    /// # Errors
    /// As [`Client::note_read`]; [`Error::Link`] as ever.
    pub async fn tell_read(&mut self, room: RoomId, reader: &str) -> Result<(), Error> {
        let known = self.rooms.get(&room).ok_or(SessionError::NotInRoom { room })?;
        let is_forked = known.fork().is_some();
        let ack = Ack { room, reader: reader.to_owned(), seq: known.cursor(reader) };
        match self.link.request(Request::Ack(ack)).await {
            // The log that it shows now may be shorter than what was received.
            Err(error) if is_forked && error.refusal().is_some() => Ok(()),
            outcome => self.unless_out(room, outcome.map(drop).map_err(Error::from)),
        }
    }
}

fn is_session(genesis: &Verified<Genesis>) -> bool {
    genesis.statement().kind == RoomKind::Session
}
