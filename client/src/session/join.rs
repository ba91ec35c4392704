//! Asking to join: filed once and kept on disk, so that any later run goes on with it, and believed only with proof.

use std::time::Duration;

use protocol::frame::{Answer, AskToJoin, JoinState, JoinerState, Request};
use protocol::id::{Digest, RoomId};
use protocol::invite::SessionKey;
use protocol::refusal::RefusalCode;
use protocol::room::room_id;
use protocol::signed::{self, Signed};
use protocol::statement::{ASK, Genesis, Join, is_name};
use tokio::time::Instant;

use super::SessionError;
use super::record::{JoinFile, JoinRecord};
use crate::client::{Client, as_of_key};
use crate::error::Error;
use crate::seat;
use crate::settings::HubAddress;

/// A request to join that was filed.
#[derive(Debug)]
pub struct Joining {
    key: SessionKey,
    name: String,
    file: JoinFile,
    record: JoinRecord,
    /// Whether it was filed by this process.
    is_fresh: bool,
    /// Whether nobody has asked for it just now: see [`Client::join_unasked`].
    is_unasked: bool,
}

/// What became of a request to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinOutcome {
    /// Nobody has decided.
    Pending,
    /// The owner turned this seat away, for good.
    Denied,
    /// This seat was in the room, and was put out or left.
    Removed,
    /// The owner has admitted this seat, which was checked; the room is in use.
    Member(RoomId),
}

impl Client {
    /// Asks to join the session that `key` is for, under `name`. A request that this seat has filed before by the same key is
    /// found and gone on with, also by another process and under the name that it has: see [`Joining::asked_name`].
    ///
    /// # Errors
    /// [`SessionError::OtherHub`] when the key is for another hub than this one, [`SessionError::Name`] for a name that is
    /// empty, longer than 100 bytes or cannot be shown, [`Error::Link`] with `key_refused` when the key admits nobody, whatever
    /// the reason.
    pub async fn join(&mut self, key: &SessionKey, name: &str) -> Result<Joining, Error> {
        self.join_as(key, name, false).await
    }

    /// As [`Client::join`], for a program that joins by a setting each time it starts and overrules nobody by that: who has left,
    /// was put out or was turned away does not ask anew, and the session is taken into use by the process of this seat that is
    /// the first to find itself let in by this request. A human's own `join` does both.
    ///
    /// # Errors
    /// As [`Client::join`].
    pub async fn join_unasked(&mut self, key: &SessionKey, name: &str) -> Result<Joining, Error> {
        self.join_as(key, name, true).await
    }

    async fn join_as(&mut self, key: &SessionKey, name: &str, is_unasked: bool) -> Result<Joining, Error> {
        let found = self.settings.hub.origin();
        if let Some(wanted) = key.origin().map(origin_of).filter(|wanted| *wanted != found) {
            return Err(SessionError::OtherHub { wanted, found }.into());
        }
        if !is_name(name) {
            return Err(SessionError::Name { name: name.to_owned() }.into());
        }
        let invite = key.invite_key().public();
        let file = JoinFile::of(self.seat.data(), &self.seat.agent(), &invite)?;
        let is_over = |record: &JoinRecord| !is_unasked && record.found == Some(JoinerState::Removed);
        let kept = file.load()?.filter(|record| record.hub == self.hub() && !is_over(record));
        let record = match kept {
            Some(record) => record,
            None => self.asking(key, name)?,
        };
        let (key, name) = (key.clone(), name.to_owned());
        let mut joining = Joining { key, name, file, record, is_fresh: false, is_unasked };
        if joining.record.request.is_none() {
            self.file(&mut joining).await?;
        }
        Ok(joining)
    }

    /// Says what became of a request, or waits for the decision as long as `wait`; breaks of the connection do not end that. Once
    /// it was for letting this seat in, the proof of that is checked (the room is the key's, on this hub, and its owner has
    /// signed), and the room is in use, as far as [`Client::join_unasked`] does not say otherwise.
    ///
    /// # Errors
    /// [`SessionError::Admission`] when the hub says so and does not prove it; nothing was taken from it then. [`Error::Link`]
    /// with `key_refused` when the key has ended meanwhile.
    pub async fn join_state(
        &mut self,
        joining: &mut Joining,
        wait: Option<Duration>,
    ) -> Result<JoinOutcome, Error> {
        let until = wait.map(|wait| Instant::now() + wait);
        loop {
            let Some(request) = joining.record.request else {
                self.file(joining).await?;
                continue;
            };
            let ask = |wait_ms| Request::JoinState(JoinState { request, wait_ms });
            let asked = self.link.request_until(until, ask, is_decided).await;
            let standing = match asked {
                Ok(Answer::JoinState(standing)) => standing,
                Ok(_) => unreachable!("an answer is read by the kind of its request"),
                // The hub keeps requests for some days only. Who was let in needs none, and for others a new one is as good.
                Err(error) if error.refusal() == Some(RefusalCode::NotFound) && !joining.is_fresh => {
                    if let Some(room) = self.room_of(joining).await? {
                        return Ok(JoinOutcome::Member(room));
                    }
                    match joining.record.found.filter(|_| joining.is_unasked) {
                        Some(JoinerState::Member | JoinerState::Removed) => return Ok(JoinOutcome::Removed),
                        Some(JoinerState::Denied) => return Ok(JoinOutcome::Denied),
                        Some(JoinerState::Pending) | None => {}
                    }
                    self.file_anew(joining).await?;
                    continue;
                }
                Err(error) => return Err(as_of_key(&self.settings, error).into()),
            };
            match standing.state {
                JoinerState::Pending => return Ok(JoinOutcome::Pending),
                JoinerState::Denied => {
                    joining.note(JoinerState::Denied)?;
                    return Ok(JoinOutcome::Denied);
                }
                // That was another time, and this seat asks again.
                JoinerState::Removed if !joining.is_fresh && !joining.is_unasked => {
                    self.file_anew(joining).await?;
                    continue;
                }
                JoinerState::Removed => {
                    joining.note(JoinerState::Removed)?;
                    return Ok(JoinOutcome::Removed);
                }
                JoinerState::Member => {
                    let room = self.let_in(joining, standing.genesis).await?;
                    return Ok(JoinOutcome::Member(room));
                }
            }
        }
    }

    /// Signs a request to join.
    fn asking(&self, key: &SessionKey, name: &str) -> Result<JoinRecord, Error> {
        let invite = key.invite_key();
        let statement = Join {
            hub: self.hub(),
            room12: key.room12(),
            invite: invite.public(),
            name: name.to_owned(),
            asked: seat::now(),
            needs: Vec::new(),
        };
        let join = signed::sign(self.seat.agent_key(), statement);
        let ask = signed::countersign(&invite, ASK, &join.digest());
        let vouched = self.seat.statement(seat::now())?;
        let ask = AskToJoin { join: join.signed().clone(), ask, seat: Some(vouched.signed().clone()) };
        Ok(JoinRecord { hub: self.hub(), key: key.to_string(), ask, request: None, found: None })
    }

    /// Hands a request in. It is on disk before, as signed, so that a crash in between files no second one.
    async fn file(&self, joining: &mut Joining) -> Result<(), Error> {
        let before = joining.file.load()?;
        joining.file.save(&joining.record)?;
        let ask = Box::new(joining.record.ask.clone());
        let request: Digest = match self.link.request(Request::Join(ask)).await {
            Ok(Answer::Join(asked)) => asked.request,
            Ok(_) => unreachable!("an answer is read by the kind of its request"),
            Err(error) => {
                // Not filed: the next attempt begins anew. That this seat has asked before stays true.
                match before {
                    _ if error.refusal().is_none() => {}
                    Some(before) => joining.file.save(&before)?,
                    None => joining.file.remove(),
                }
                return Err(as_of_key(&self.settings, error).into());
            }
        };
        joining.record.request = Some(request);
        joining.file.save(&joining.record)?;
        joining.is_fresh = true;
        Ok(())
    }

    async fn file_anew(&self, joining: &mut Joining) -> Result<(), Error> {
        joining.record = self.asking(&joining.key, &joining.name)?;
        self.file(joining).await
    }

    /// Looks for the room of a key among those that this seat is in, and takes it into use.
    async fn room_of(&mut self, joining: &mut Joining) -> Result<Option<RoomId>, Error> {
        let rows = match self.rows().await {
            // Who may do nothing but ask is in no room.
            Err(Error::Link(error)) if error.refusal() == Some(RefusalCode::NotFound) => return Ok(None),
            rows => rows?,
        };
        let Some(row) = rows.into_iter().find(|row| row.room.room12() == joining.key.room12()) else {
            return Ok(None);
        };
        match self.let_in(joining, Some(row.genesis)).await {
            Ok(room) => Ok(Some(room)),
            Err(Error::Session(SessionError::NotInRoom { .. } | SessionError::Admission(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Checks that this seat was let in, and takes the room into use.
    async fn let_in(
        &mut self,
        joining: &mut Joining,
        genesis: Option<Signed<Genesis>>,
    ) -> Result<RoomId, Error> {
        use protocol::room::AdmissionError;
        let genesis = genesis.ok_or(SessionError::Admission(AdmissionError::NotAdmitted))?;
        let genesis = genesis.verify().map_err(|e| SessionError::Admission(AdmissionError::Genesis(e)))?;
        let room = room_id(&genesis);
        if room.room12() != joining.key.room12() {
            return Err(SessionError::Admission(AdmissionError::OtherRoom).into());
        }
        self.without_invite().await?;
        if genesis.by() != self.seat.user() {
            let known = self.admitted(&genesis).await?;
            self.rooms.insert(room, known);
        }
        self.enter(room).await?;
        let is_unasked = joining.is_unasked;
        joining.file.note(&mut joining.record, JoinerState::Member, |before| match before {
            // What is in use since is what somebody wanted.
            Some(_) if is_unasked => Ok(()),
            _ => self.set_in_use(Some(room)),
        })?;
        Ok(room)
    }
}

impl Joining {
    fn note(&mut self, found: JoinerState) -> Result<(), Error> {
        self.file.note(&mut self.record, found, |_| Ok(()))
    }

    /// Returns the name by which the owner sees the request; none where the hub has one of this seat's that is not kept here.
    ///
    /// A request that waits stays as it was filed: another name counts only once that one is decided or over.
    pub fn asked_name(&self) -> Option<String> {
        let join = self.record.ask.join.clone().verify().ok()?;
        (self.record.request == Some(join.digest())).then(|| join.statement().name.clone())
    }

    /// Returns how the hub names the request.
    pub fn request(&self) -> Option<Digest> {
        self.record.request
    }
}

fn is_decided(answer: &Answer) -> bool {
    !matches!(answer, Answer::JoinState(standing) if standing.state == JoinerState::Pending)
}

/// Returns an origin in its one spelling; what is none stays as it is, and is that of no hub.
fn origin_of(text: &str) -> String {
    text.parse::<HubAddress>().map_or_else(|_| text.to_owned(), |address| address.origin())
}
