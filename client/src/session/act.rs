//! The owner's acts: signed where the room stands, and anew where another seat of the owner was faster.

use protocol::frame::{Answer, Append, Request};
use protocol::id::RoomId;
use protocol::key::UserKey;
use protocol::refusal::RefusalCode;
use protocol::room::Members;
use protocol::signed;
use protocol::statement::{LogPoint, Membership, Op, RoomKind};

use super::SessionError;
use super::record::SessionFile;
use crate::client::Client;
use crate::error::Error;
use crate::limits::{ACT_AGAIN_MAX, OWN_ACTS_MAX};
use crate::link::LinkError;
use crate::report::{Agent, Decision, Send};
use crate::session::Thing;
use crate::session::select::{Named, select};

impl Client {
    /// Puts somebody out of the session of this call; an owner's seat too. It is not final.
    ///
    /// # Errors
    /// [`SessionError::NotOwner`] and [`SessionError::NoUserKey`] for who may not; [`SessionError::NoSuch`] and
    /// [`SessionError::Unclear`] for a selector that means nobody or several; [`Error::Forked`]; as [`Client::room`] otherwise.
    pub async fn kick(&mut self, selector: &str) -> Result<Decision, Error> {
        let room = self.owned().await?;
        let known = &self.rooms[&room];
        let present = known.present().into_iter().filter(|(agent, _)| agent.id != self.seat.agent());
        let named = present.map(|(agent, _)| Named {
            id: agent.id.to_string(),
            words: Some(protocol::words::words(&agent.id)),
            name: Some(agent.name.clone()),
            of: agent,
        });
        let member: Agent = select(Thing::Member, selector, named)?;
        self.act(room, |_, _| Ok(Op::Remove { agent: member.id })).await?;
        Ok(Decision { room, joiner: member, state: protocol::frame::JoinerState::Removed })
    }

    /// Ends the session of this call: its log takes no more entries, and can be read on. Where it is in use, this seat goes
    /// back to its home.
    ///
    /// # Errors
    /// As [`Client::kick`].
    pub async fn close_session(&mut self) -> Result<Send, Error> {
        let room = self.owned().await?;
        self.act(room, |_, _| Ok(Op::Close)).await?;
        self.use_no_more(room)?;
        let seq = self.rooms[&room].members().closed().ok_or(Error::Contradiction { room })?;
        Ok(Send { room, seq })
    }

    /// Returns the session of this call if this user has opened it and can sign for it.
    pub(super) async fn owned(&mut self) -> Result<RoomId, Error> {
        let room = self.session().await?;
        self.user_key_of(room)?;
        Ok(room)
    }

    /// Returns the key that signs for the owner of a room.
    pub(super) fn user_key_of(&self, room: RoomId) -> Result<&UserKey, Error> {
        let owner = self.rooms[&room].owner();
        if owner != self.seat.user() {
            return Err(SessionError::NotOwner { room, owner }.into());
        }
        let missing = || SessionError::NoUserKey { data: self.seat.data().to_owned() };
        Ok(self.seat.user_key().ok_or_else(missing)?)
    }

    /// Does what `op` makes of the members and the verified end of the log, and returns where the act stands; `None` when it has become
    /// needless. Where another seat of the owner was faster, the room is read on and the question asked anew.
    pub(super) async fn act(
        &mut self,
        room: RoomId,
        op: impl Fn(&Members, LogPoint) -> Result<Op, SessionError>,
    ) -> Result<Option<u64>, Error> {
        let mut last = None;
        for _ in 0..ACT_AGAIN_MAX {
            let known = &self.rooms[&room];
            known.check_fork()?;
            let (members, head) = (known.members(), known.state().head());
            let op = op(members, head)?;
            match members.check_act(&op, head.seq + 1, self.limits().members_max) {
                Ok(()) => {}
                Err(error) if error.is_done(&op) => return Ok(None),
                Err(error) => return Err(SessionError::Act(error).into()),
            }
            let end = members.chain_end();
            let act = Membership { room, n: end.n + 1, prev: end.digest, op, needs: Vec::new() };
            let act = signed::sign(self.user_key_of(room)?, act);
            let (membership, digest) = (act.signed().clone(), act.digest());
            match self.link.request(Request::Append(Append { room, membership })).await {
                Ok(Answer::Append(appended)) => {
                    self.note_own_act(room, appended.seq)?;
                    self.refresh(room).await?;
                    self.check_stands(room, appended.seq, digest).await?;
                    return Ok(Some(appended.seq));
                }
                Ok(_) => unreachable!("an answer is read by the kind of its request"),
                Err(LinkError::Refused(refusal))
                    if matches!(refusal.code, RefusalCode::Conflict | RefusalCode::Stale) =>
                {
                    last = Some(refusal);
                }
                Err(error) => return Err(error.into()),
            }
            self.refresh(room).await?;
        }
        Err(last.map_or(Error::Contradiction { room }, |refusal| LinkError::Refused(refusal).into()))
    }

    /// Returns the places of the owner's acts that this seat has signed.
    pub(super) fn own_acts(&self, room: RoomId) -> Result<Vec<u64>, Error> {
        if self.rooms[&room].owner() != self.seat.user() || self.rooms[&room].kind() == RoomKind::Home {
            return Ok(Vec::new());
        }
        let (me, record) = (self.seat.agent(), self.record(room)?.load()?);
        Ok(record.acts.into_iter().filter(|(agent, _)| *agent == me).map(|(_, seq)| seq).collect())
    }

    fn note_own_act(&self, room: RoomId, seq: u64) -> Result<(), Error> {
        let me = self.seat.agent();
        self.record(room)?.change(|record| {
            record.acts.push((me, seq));
            let old = record.acts.len().saturating_sub(OWN_ACTS_MAX);
            record.acts.drain(..old);
        })?;
        Ok(())
    }

    /// Names the file with what this user keeps of a session.
    pub(super) fn record(&self, room: RoomId) -> Result<SessionFile, Error> {
        Ok(SessionFile::of(self.seat.data(), &self.seat.user(), room)?)
    }
}
