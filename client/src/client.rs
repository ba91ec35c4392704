//! One process's way to its hub: connects, knows the home room, and carries the operations that commands are made of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use protocol::conn::client::LoggedIn;
use protocol::frame::{Answer, OpenRoom, OpenedRoom, Request};
use protocol::id::RoomId;
use protocol::key::HubId;
use protocol::limits::Limits;
use protocol::refusal::Refusal;
use protocol::room::room_id;
use protocol::signed;
use protocol::statement::{Genesis, Role, RoomKind};

use crate::error::Error;
use crate::limits::CLOCK_SKEW_TOLD_MILLIS;
use crate::link::{Dialer, Link, LinkError};
use crate::local_hub::{LocalHub, LocalHubControl};
use crate::push::{Undelivered, Waits};
use crate::report::{Agent, Decision, Status, StatusHub, Whoami, text};
use crate::room::Room;
use crate::seat::{self, BlobCache, KnownHubs, Seat, SeatError, Spool};
use crate::session::{Choice, SessionError};
use crate::settings::{HubAddress, RoomChoice, Settings};

/// A connection to a hub with the seat, cache and spool that belong to it.
///
/// Needs a running tokio runtime; one on the current thread is enough. Operations are made one after another.
pub struct Client {
    pub(crate) seat: Arc<Seat>,
    pub(crate) link: Link,
    pub(crate) cache: BlobCache,
    pub(crate) spool: Spool,
    pub(crate) rooms: BTreeMap<RoomId, Room>,
    /// Where each reader of this process goes on.
    pub(crate) positions: BTreeMap<(RoomId, String), Position>,
    /// What this process has posted for earlier ones.
    pub(crate) delivered: BTreeSet<(RoomId, u64)>,
    pub(crate) undelivered: Vec<Undelivered>,
    /// For what that waits which was signed for a room before.
    pub(crate) waiting: BTreeMap<RoomId, Waits>,
    pub(crate) settings: Settings,
    /// The room of this client's operations. What other processes of the seat take into use is not its affair.
    pub(crate) choice: Choice,
    local: Option<Arc<dyn LocalHubControl>>,
    logged_in: LoggedIn,
    /// How far the hub's clock is ahead of this machine's, in milliseconds.
    skew_millis: i64,
    is_new_hub: bool,
    /// Whether the two above were told by [`Client::take_remarks`].
    is_hub_told: bool,
    /// Who was let in since the last of these.
    pub(crate) let_in: Vec<Decision>,
}

/// Where a reader goes on, in one history of a log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    /// How often a human had taken the log as the hub showed it.
    pub(crate) history: u32,
    /// The last entry that was read.
    pub(crate) seq: u64,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("hub", &self.logged_in.hub.hub).finish_non_exhaustive()
    }
}

impl Client {
    /// Opens the seat and logs in at the hub that `settings` name; `local` starts the local hub where that is the one
    /// and does not run.
    ///
    /// # Errors
    /// [`Error::Seat`] and [`Error::Cache`] for files of ours; [`Error::Link`] when the hub cannot be reached or
    /// trusted, or refuses; [`SessionError::Clock`] when this machine's clock is so far behind the hub's that what is signed
    /// here is over there before it arrives.
    pub async fn connect(settings: Settings, local: Option<Arc<dyn LocalHubControl>>) -> Result<Self, Error> {
        let seat = Arc::new(Seat::open(&settings)?);
        let cache = BlobCache::open(&settings.cache)?;
        let spool = Spool::open(&settings.data)?;
        let choice = Choice::of(&settings, &seat)?;
        let link = link(&settings, &seat, local.clone())?;
        let (logged_in, is_new_hub) = link.logged_in().await.map_err(|error| as_of_key(&settings, error))?;
        let now = seat::now();
        let client = Self {
            seat,
            link,
            cache,
            spool,
            rooms: BTreeMap::new(),
            positions: BTreeMap::new(),
            delivered: BTreeSet::new(),
            undelivered: Vec::new(),
            waiting: BTreeMap::new(),
            settings,
            choice,
            local,
            skew_millis: logged_in.now.saturating_sub(now),
            logged_in,
            is_new_hub,
            is_hub_told: false,
            let_in: Vec::new(),
        };
        let is_over = client.logged_in.now >= client.seat.statement(now)?.statement().expires;
        match client.clock_skew() {
            Some(skew) if is_over => Err(SessionError::Clock { days: skew / DAY_MILLIS }.into()),
            None if is_over => Err(SeatError::StatementExpired { data: client.settings.data }.into()),
            _ => Ok(client),
        }
    }

    /// Logs in again without the session key by which a closed hub let this seat ask, now that it is in a room there.
    pub(crate) async fn without_invite(&mut self) -> Result<(), Error> {
        if self.settings.invite.take().is_some() {
            let link = link(&self.settings, &self.seat, self.local.clone())?;
            (self.logged_in, _) = link.logged_in().await?;
            std::mem::replace(&mut self.link, link).close().await;
        }
        Ok(())
    }

    /// Returns how far the hub's clock is ahead of this machine's, in milliseconds, where that is more than a day in either
    /// direction.
    ///
    /// Statements and messages are signed by this machine's clock all the same: by the hub's, a hub could have seats vouched for
    /// that it names itself the time of.
    pub fn clock_skew(&self) -> Option<i64> {
        let is_far = self.skew_millis.unsigned_abs() > CLOCK_SKEW_TOLD_MILLIS.unsigned_abs();
        is_far.then_some(self.skew_millis)
    }

    /// Returns the seat.
    pub fn seat(&self) -> &Seat {
        &self.seat
    }

    /// Returns the hub's key.
    pub fn hub(&self) -> HubId {
        self.logged_in.hub.hub
    }

    /// Says whether the hub's key was met for the first time and is pinned from now on, which the user should be told.
    pub fn is_new_hub(&self) -> bool {
        self.is_new_hub
    }

    /// Returns what the hub says that it allows, so that too large a bundle can be refused before it is built.
    pub fn limits(&self) -> &Limits {
        &self.logged_in.limits
    }

    /// Returns the spool, where a bundle is built before it is pushed.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Returns the cache of verified blobs.
    pub fn cache(&self) -> &BlobCache {
        &self.cache
    }

    /// Returns the user's home room at this hub, opening it when it is not yet, and verifies what is new in it.
    ///
    /// # Errors
    /// [`Error::NoHome`] when it would have to be opened and the user key is not here; [`Error::Forked`] when the hub
    /// shows another history than before; [`Error::Link`] and [`Error::Seat`] as ever.
    pub async fn home(&mut self) -> Result<RoomId, Error> {
        let home = self.open_home().await?;
        self.rooms[&home].check_shown()?;
        Ok(home)
    }

    /// Opens the home, whether or not the hub has shown another history of it.
    pub(crate) async fn open_home(&mut self) -> Result<RoomId, Error> {
        let opened = match self.seat.user_key() {
            Some(key) => {
                let genesis = signed::sign(key, Genesis::home(self.hub()));
                let ours = room_id(&genesis);
                let opened = self.open_room(OpenRoom { genesis: genesis.signed().clone() }).await?;
                if opened.room != ours {
                    return Err(Error::Contradiction { room: ours });
                }
                opened
            }
            None => self.find_home().await?,
        };
        let room = match self.rooms.remove(&opened.room) {
            Some(room) => room,
            None => {
                let memory = self.memory(opened.room)?;
                Room::home(memory, opened.room, self.seat.user(), self.seat.agent())?
            }
        };
        let room = self.rooms.entry(opened.room).or_insert(room);
        room.catch_up(&self.link, opened.end).await?;
        Ok(opened.room)
    }

    /// Says who is where: this seat, its user, the hub, who is in the room of this call, who asks to join it, and how much of
    /// it `reader` has not seen.
    ///
    /// # Errors
    /// As [`Client::room`].
    pub async fn status(&mut self, reader: &str) -> Result<Status, Error> {
        let room = self.room().await?;
        let me = self.me();
        let unread = self.unread(room, reader).await?;
        let kind = self.rooms[&room].kind();
        let mut members: Vec<_> = self.rooms[&room].present().into_iter().map(|(agent, _)| agent).collect();
        if !members.iter().any(|member| member.id == me.id) {
            members.push(me.clone());
        }
        members.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        let pending = self.pending(room).await?;
        Ok(Status {
            me,
            user: self.seat.user(),
            hub: StatusHub { origin: self.settings.hub.origin(), reachable: true, key: Some(self.hub()) },
            session: (kind != RoomKind::Home).then_some(room),
            members,
            pending,
            unread,
        })
    }

    /// Works in another room from now on: what is in use is read anew, and every reader goes on from its cursor. All else of the
    /// settings stays as it was: see [`Client::fits`].
    ///
    /// # Errors
    /// [`Error::Seat`] when what is in use cannot be read.
    pub fn work_in(&mut self, room: RoomChoice) -> Result<(), Error> {
        self.settings.room = room;
        self.choice = Choice::of(&self.settings, &self.seat)?;
        self.positions.clear();
        Ok(())
    }

    /// Says whether this is what a new connection with `settings` would be, once it [works in](Client::work_in) the room that
    /// they choose: all else in them is the same, and neither is for somebody with nothing but a session key.
    pub fn fits(&self, settings: &Settings) -> bool {
        let is_keyless = self.settings.invite.is_none() && settings.invite.is_none();
        is_keyless && Settings { room: self.settings.room.clone(), ..settings.clone() } == self.settings
    }

    /// Returns what the user should be told beside an operation's own answer, a sentence each and each once: a hub whose key was
    /// met for the first time, a clock that is far from the hub's, whom [`Client::tend_gates`] has let in, and what
    /// [`Client::take_undelivered`] gives.
    pub fn take_remarks(&mut self) -> Vec<String> {
        let mut remarks = Vec::new();
        if !std::mem::replace(&mut self.is_hub_told, true) {
            remarks.extend(self.is_new_hub.then(|| text::new_hub(&self.origin(), &self.hub())));
            remarks.extend(self.clock_skew().map(text::clock_skew));
        }
        remarks.extend(std::mem::take(&mut self.let_in).iter().map(text::admitted));
        remarks.extend(self.take_undelivered().iter().map(text::undelivered));
        remarks
    }

    /// Returns the hub's origin, as it is dialled.
    pub fn origin(&self) -> String {
        self.settings.hub.origin()
    }

    /// Returns what this seat is in a session that was taken up; `None` for a home and for what was not.
    pub fn role(&self, room: RoomId) -> Option<Role> {
        let room = self.rooms.get(&room).filter(|room| room.kind() != RoomKind::Home)?;
        Some(if room.owner() == self.seat.user() { Role::Owner } else { Role::Member })
    }

    /// Says goodbye to the hub.
    pub async fn close(self) {
        self.link.close().await;
    }

    /// Returns this seat as others see it.
    pub fn me(&self) -> Agent {
        Agent { id: self.seat.agent(), name: self.seat.name().to_owned() }
    }

    pub(crate) async fn open_room(&self, request: OpenRoom) -> Result<OpenedRoom, Error> {
        match self.link.request(Request::OpenRoom(request)).await? {
            Answer::OpenRoom(opened) => Ok(opened),
            _ => unreachable!("an answer is read by the kind of its request"),
        }
    }

    /// Looks for the home among the rooms of this seat, by its own genesis and not by the hub's word.
    async fn find_home(&self) -> Result<OpenedRoom, Error> {
        let home = self.rows().await?.into_iter().find(|row| {
            let genesis = self.genesis(row);
            genesis.is_some_and(|of| of.by() == self.seat.user() && of.statement().kind == RoomKind::Home)
        });
        home.map(|row| OpenedRoom { room: row.room, end: row.end }).ok_or(Error::NoHome)
    }
}

/// Says who this is, without talking to any hub. Keys are made where there are none.
///
/// # Errors
/// [`SeatError`] when a file of ours cannot be used.
///
/// ```
/// # let home = tempfile::tempdir()?;
/// use client::settings::{HubAddress, RoomChoice, Settings};
/// let settings = Settings {
///     data: home.path().join("data"),
///     cache: home.path().join("cache"),
///     hub: HubAddress::Local,
///     name: "ana/app".to_owned(),
///     seat_dir: None,
///     join_secret: None,
///     insecure: false,
///     ca_file: None,
///     room: RoomChoice::InUse,
///     invite: None,
///     reconnect_max: None,
///     version: "0.1.0".to_owned(),
/// };
/// let me = client::whoami(&settings)?;
/// assert_eq!((me.me.name.as_str(), me.seat.as_str()), ("ana/app", "default"));
/// assert_eq!(client::whoami(&settings)?, me);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn whoami(settings: &Settings) -> Result<Whoami, SeatError> {
    let seat = Seat::open(settings)?;
    Ok(Whoami {
        me: Agent { id: seat.agent(), name: seat.name().to_owned() },
        user: seat.user(),
        seat: seat.dir().map_or_else(|| "default".to_owned(), path_text),
        hub: settings.hub.origin(),
    })
}

/// Returns the key under which the hub that `settings` name is known here, without talking to it.
///
/// # Errors
/// [`SeatError`] when a file of ours cannot be used.
pub fn known_hub_key(settings: &Settings) -> Result<Option<HubId>, SeatError> {
    match &settings.hub {
        HubAddress::Local => {
            let record = LocalHub::new(&settings.data, &settings.version, None).record()?;
            Ok(record.map(|record| record.hub_key))
        }
        HubAddress::Url { .. } => {
            let known = KnownHubs::in_data(&settings.data).lookup(&settings.hub.origin())?;
            Ok(known.map(|known| known.hub))
        }
    }
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Makes the way to the hub that `settings` name.
fn link(
    settings: &Settings,
    seat: &Arc<Seat>,
    local: Option<Arc<dyn LocalHubControl>>,
) -> Result<Link, Error> {
    let hub = LocalHub::new(&settings.data, &settings.version, local);
    Ok(Link::new(Dialer::new(settings, seat.clone(), Some(hub))?))
}

/// A closed hub refuses the login of who has nothing but a key that admits nobody: what is wrong is the key.
pub(crate) fn as_of_key(settings: &Settings, error: LinkError) -> LinkError {
    match error {
        LinkError::NoJoinSecret { .. } if settings.invite.is_some() => {
            LinkError::Refused(Refusal::key_refused())
        }
        other => other,
    }
}

/// The person at the terminal, as a reader.
pub const READER: &str = "cli";
const DAY_MILLIS: i64 = 24 * 3600 * 1000;
