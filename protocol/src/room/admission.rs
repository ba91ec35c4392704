//! Joining a room: what an owner checks before a request is offered for approval, and what a joiner checks before it
//! believes that it is in.

use super::{ActError, Admission, ChainError, Members, room_id};
use crate::frame::{AskToJoin, Entry, EntryContent, JoinRequest};
use crate::id::{Digest, Room12, RoomId};
use crate::key::{AgentId, HubId, InviteId, UserId};
use crate::signed::{Signed, StatementError, Verified};
use crate::statement::{ASK, Genesis, Join, Key, RoomKind, UnixMillis, is_name};

/// A request to join that may be offered for approval.
#[derive(Debug, Clone)]
pub struct CheckedRequest {
    /// The digest of the join statement, which names the request.
    pub request: Digest,
    /// Who asks.
    pub agent: AgentId,
    /// By which name.
    pub name: String,
    /// Who vouches for the agent.
    pub user: Option<UserId>,
    /// By which invite.
    pub invite: InviteId,
    /// Whether the owner said that whoever has the key may come in.
    pub is_auto: bool,
    /// How many the owner said that the invite admits.
    pub max_uses: u64,
    /// Whether the owner said that whoever comes by the key gets nothing of what was said before.
    pub is_without_history: bool,
    /// When the agent signed it, by its own clock.
    pub asked: UnixMillis,
    /// When the hub first saw it, by the hub's word.
    pub first_seen: UnixMillis,
}

/// Says why a request to join is not offered for approval.
#[derive(Debug, thiserror::Error)]
pub enum RequestFault {
    /// A statement in it does not hold.
    #[error("a statement of the request does not hold")]
    Statement(#[from] StatementError),
    /// It is for another room or hub.
    #[error("the request is for another room or hub")]
    OtherRoom,
    /// The holder of the key did not vouch for this request.
    #[error("the request is not countersigned by the key it names")]
    NotCountersigned,
    /// The seat statement is about another agent.
    #[error("the seat statement of the request is about another agent")]
    OtherSeat,
    /// The name is empty, too long, or does not show.
    #[error("the name of the request cannot be shown")]
    Name,
    /// The key is not the owner's for this room.
    #[error("the key of the request is none that the owner made for this room")]
    ForeignKey,
    /// The key is over.
    #[error("the key of the request has expired")]
    Expired,
}

/// Says why a joiner does not believe that it was admitted.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// The genesis does not hold.
    #[error("the statement that opened the room does not hold")]
    Genesis(#[source] StatementError),
    /// It is not the room that the key names.
    #[error("the hub shows another room than the key is for")]
    OtherRoom,
    /// The room is no session, or on another hub.
    #[error("the room is no session on this hub")]
    NotHere,
    /// A statement of the chain does not hold.
    #[error("entry {seq} of the room does not hold")]
    Entry {
        /// Its place in the log.
        seq: u64,
        /// What is wrong with it.
        #[source]
        source: StatementError,
    },
    /// The acts form no chain.
    #[error("the acts of the owner form no chain")]
    Chain(#[from] ChainError),
    /// The owner has not admitted this agent.
    #[error("the owner of the room has not admitted this agent")]
    NotAdmitted,
}

/// Checks what a request to join shows by itself: both signatures, the name, and whom the seat statement is about. Returns the
/// join statement and the user who vouches for the agent.
///
/// # Errors
///
/// [`RequestFault`], without a look at the key.
pub fn check_ask(ask: &AskToJoin) -> Result<(Verified<Join>, Option<UserId>), RequestFault> {
    let join = ask.join.clone().verify()?;
    let said = join.statement();
    if ask.ask.by() != said.invite || !ask.ask.holds(ASK, &join.digest()) {
        return Err(RequestFault::NotCountersigned);
    }
    if !is_name(&said.name) {
        return Err(RequestFault::Name);
    }
    let Some(seat) = ask.seat.clone() else { return Ok((join, None)) };
    let seat = seat.verify()?;
    if seat.statement().seat != join.by() || !seat.statement().is_lawful() {
        return Err(RequestFault::OtherSeat);
    }
    Ok((join, Some(seat.by())))
}

/// Checks a request as the owner's client does before it offers it: all of [`check_ask`], that it is for `room` on `hub`, and
/// that `owner` made its key, which is not over at `now`.
///
/// # Errors
///
/// [`RequestFault`]: such a request is reported and not offered.
pub fn check_request(
    request: &JoinRequest,
    hub: HubId,
    room: RoomId,
    owner: UserId,
    now: UnixMillis,
) -> Result<CheckedRequest, RequestFault> {
    let (join, user) = check_ask(&request.ask)?;
    let said = join.statement();
    if said.hub != hub || said.room12 != room.room12() {
        return Err(RequestFault::OtherRoom);
    }
    let key = request.key.clone().verify()?;
    check_key(&key, room, owner)?;
    if key.statement().invite != said.invite {
        return Err(RequestFault::ForeignKey);
    }
    if now >= key.statement().expires {
        return Err(RequestFault::Expired);
    }
    Ok(CheckedRequest {
        request: join.digest(),
        agent: join.by(),
        name: said.name.clone(),
        user,
        invite: said.invite,
        is_auto: key.statement().auto,
        max_uses: key.statement().max_uses,
        is_without_history: key.statement().no_history,
        asked: said.asked,
        first_seen: request.first_seen,
    })
}

fn check_key(key: &Verified<Key>, room: RoomId, owner: UserId) -> Result<(), RequestFault> {
    let is_ours = key.by() == owner && key.statement().room == room && key.statement().is_lawful();
    if is_ours { Ok(()) } else { Err(RequestFault::ForeignKey) }
}

/// Checks that `agent` was admitted to the session on `hub` whose id begins with `room12`: genesis, chain, and its own
/// admission, signed by the owner. Returns who is in the room, and the admission.
///
/// # Errors
///
/// [`AdmissionError`]: the hub shows a room of its own making, or none.
pub fn check_admission(
    room12: Room12,
    hub: HubId,
    agent: &AgentId,
    genesis: Signed<Genesis>,
    chain: Vec<Entry>,
) -> Result<(Members, Admission), AdmissionError> {
    let genesis = genesis.verify().map_err(AdmissionError::Genesis)?;
    if room_id(&genesis).room12() != room12 {
        return Err(AdmissionError::OtherRoom);
    }
    if genesis.statement().hub != hub || genesis.statement().kind != RoomKind::Session {
        return Err(AdmissionError::NotHere);
    }
    let mut members = Members::new(&genesis);
    members.follow(chain)?;
    let admission = members.standing(agent).and_then(|standing| standing.admission(u64::MAX)).cloned();
    admission.map(|admission| (members, admission)).ok_or(AdmissionError::NotAdmitted)
}

impl Members {
    /// Takes entries of the chain and leaves, as `chain` brings them, in the order of the log.
    ///
    /// # Errors
    ///
    /// [`AdmissionError`] when a statement does not hold or the acts form no chain.
    pub fn follow(&mut self, chain: Vec<Entry>) -> Result<(), AdmissionError> {
        for entry in chain {
            let seq = entry.seq;
            let bad = |source| AdmissionError::Entry { seq, source };
            match entry.content {
                EntryContent::Membership(act) => self.append(&act.verify().map_err(bad)?, seq)?,
                EntryContent::Message { message, .. } => {
                    let message = message.verify().map_err(bad)?;
                    if message.statement().leave && message.statement().room == self.room() {
                        self.note_leave(&message.by(), seq);
                    }
                }
            }
        }
        Ok(())
    }
}

impl ActError {
    /// Says whether the act has become needless: what it wanted is so already.
    pub fn is_done(&self, wanted: &crate::statement::Op) -> bool {
        use crate::statement::Op;
        matches!(
            (self, wanted),
            (Self::Member, Op::Admit(_))
                | (Self::Denied, Op::Deny { .. })
                | (Self::NotMember, Op::Remove { .. })
                | (Self::Closed, Op::Close)
        )
    }
}
