//! Taking a log as the hub shows it now, by a human's word, once it showed another history than before.

use protocol::room::Members;
use protocol::statement::LogPoint;

use super::Room;
use crate::error::Error;
use crate::link::Link;
use crate::seat::RoomState;

impl Room {
    /// Takes the log as the hub shows it now, up to `end`: verifies it anew, entry by entry, from what everybody knows or the
    /// owner has signed for this agent, and forgets what was known of the other history. The evidence stays.
    ///
    /// # Errors
    /// [`Error::Forked`] when the log does not hold even by itself, or does not contain what the owner has signed; then nothing
    /// changes. [`Error::Link`] and [`Error::Seat`] as ever.
    pub async fn accept_fork(&mut self, link: &Link, end: LogPoint) -> Result<(), Error> {
        let admitted = self.admission().map(|admission| (admission.floor, admission.at));
        let mut anew = self.beginning(end.seq);
        if let Some((floor, at)) = admitted {
            anew.state.note_point(at);
            if floor > 0 {
                anew.start(link, at).await?;
            }
        }
        let is_whole = anew.extend_to(link, end.seq).await?;
        if let Some((floor, at)) = admitted.filter(|_| !is_whole)
            && floor == 0
            && anew.state.head().seq < at.seq
        {
            // The backlog does not arrive at what the owner has signed, and is given up.
            anew = self.beginning(end.seq);
            anew.start(link, at).await?;
            anew.state.lose();
            anew.extend_to(link, end.seq).await?;
        }
        anew.check_fork()?;
        if anew.state.known(end.seq) != Some(end.log) {
            return Err(Error::Contradiction { room: self.id() });
        }
        (anew.is_trial, anew.is_news) = (false, true);
        anew.keep()?;
        *self = anew;
        Ok(())
    }

    /// Returns the room on trial, before anything of its log was read, which a human takes as it stands up to entry `accepted`.
    fn beginning(&self, accepted: u64) -> Self {
        let members = self.members();
        let fresh = Members::of(members.room(), members.owner(), members.kind());
        let mut state = RoomState::new(fresh);
        state.restore(&self.state);
        state.succeed(&self.state, accepted);
        let room = Self::of(self.me, self.memory.clone(), state, None);
        // The file takes a later history in the place of what it has, whole or not.
        Self { is_trial: true, ..room }
    }

    /// Begins at what the owner has signed, with the acts that the hub shows.
    async fn start(&mut self, link: &Link, at: LogPoint) -> Result<(), Error> {
        self.follow_chain(link).await?;
        self.state.start_at(at, true);
        Ok(())
    }
}
