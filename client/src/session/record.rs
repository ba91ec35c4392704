//! What a user keeps of sessions beside what was verified: the keys that were made, and requests to join that were filed.
//! The secrets in it let somebody ask, no more; the files are private all the same.

use std::path::{Path, PathBuf};

use protocol::frame::{AskToJoin, JoinerState};
use protocol::id::{Digest, Room12, RoomId};
use protocol::invite::SessionKey;
use protocol::json;
use protocol::key::{AgentId, HubId, InviteId, UserId};
use serde::{Deserialize, Serialize};

use crate::files::{self, Lock};
use crate::seat::{SeatError, read_json};

/// What the owner of a session keeps of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionRecord {
    /// The text of each key that was made here.
    #[serde(default)]
    pub(crate) keys: Vec<KeptKey>,
    /// The keys that were ended here: a hub may go on listing who asks by them.
    #[serde(default)]
    pub(crate) revoked: Vec<InviteId>,
    /// Whether joiners get none of what was said before, unless the owner says otherwise.
    #[serde(default)]
    pub(crate) no_history: bool,
    /// The owner's acts that each seat here has signed, by their place in the log: a seat is not told of its own.
    #[serde(default)]
    pub(crate) acts: Vec<(AgentId, u64)>,
}

/// A session key that was made here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptKey {
    pub(crate) invite: InviteId,
    pub(crate) text: String,
}

/// The file with the record of one session.
#[derive(Debug)]
pub(crate) struct SessionFile {
    path: PathBuf,
}

impl SessionFile {
    /// Names the file of `room` for `user`, making its folder.
    pub(crate) fn of(data: &Path, user: &UserId, room: RoomId) -> Result<Self, SeatError> {
        let (sessions, ours) = (data.join("sessions"), data.join("sessions").join(user.to_string()));
        files::private_dir(data)?;
        files::private_dir(&sessions)?;
        files::private_dir(&ours)?;
        Ok(Self { path: ours.join(format!("{room}.json")) })
    }

    /// Reads the record; an empty one where there is none.
    pub(crate) fn load(&self) -> Result<SessionRecord, SeatError> {
        Ok(read_json(&self.path)?.unwrap_or_default())
    }

    /// Changes the record, under a lock.
    pub(crate) fn change(&self, change: impl FnOnce(&mut SessionRecord)) -> Result<(), SeatError> {
        let _lock = Lock::of(&self.path)?;
        let mut record = self.load()?;
        change(&mut record);
        files::replace(&self.path, json::write(&record).as_bytes())?;
        Ok(())
    }
}

/// A request to join that a seat has filed, with all that is needed to go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JoinRecord {
    /// The hub.
    pub(crate) hub: HubId,
    /// The key that was used.
    pub(crate) key: String,
    /// The request as signed.
    pub(crate) ask: AskToJoin,
    /// How the hub names it, once it has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<Digest>,
    /// What some process of this seat has found to have become of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) found: Option<JoinerState>,
}

/// The file with the record of one request to join.
#[derive(Debug)]
pub(crate) struct JoinFile {
    path: PathBuf,
}

impl JoinFile {
    /// Names the file of the request of `agent` by `invite`, making its folder.
    pub(crate) fn of(data: &Path, agent: &AgentId, invite: &InviteId) -> Result<Self, SeatError> {
        let joins = data.join("joins");
        files::private_dir(data)?;
        files::private_dir(&joins)?;
        Ok(Self { path: joins.join(format!("{agent}-{invite}.json")) })
    }

    /// Says whether `agent` has ever asked to join a room whose id begins so.
    pub(crate) fn has_asked(data: &Path, agent: &AgentId, room12: Room12) -> Result<bool, SeatError> {
        let Ok(entries) = std::fs::read_dir(data.join("joins")) else { return Ok(false) };
        let prefix = format!("{agent}-");
        for entry in entries.flatten() {
            if !entry.file_name().to_string_lossy().starts_with(&prefix) {
                continue;
            }
            let record = Self { path: entry.path() }.load()?;
            let key = record.and_then(|record| record.key.parse::<SessionKey>().ok());
            if key.is_some_and(|key| key.room12() == room12) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the record, `None` when there is none.
    pub(crate) fn load(&self) -> Result<Option<JoinRecord>, SeatError> {
        read_json(&self.path)
    }

    /// Writes the record.
    pub(crate) fn save(&self, record: &JoinRecord) -> Result<(), SeatError> {
        Ok(files::replace(&self.path, json::write(record).as_bytes())?)
    }

    /// Takes note of what was found to have become of the request `record`, once `act` is done, which is told what a process of
    /// this seat had found before; no other one does the same meanwhile.
    pub(crate) fn note<E: From<SeatError>>(
        &self,
        record: &mut JoinRecord,
        found: JoinerState,
        act: impl FnOnce(Option<JoinerState>) -> Result<(), E>,
    ) -> Result<(), E> {
        // Beside the folder, in which every file is a request.
        let folder = self.path.parent().expect("a file in a folder of ours");
        let _lock = Lock::of(folder).map_err(SeatError::from)?;
        let kept = self.load()?;
        // One that was filed since is another's to tell of.
        let is_ours = kept.as_ref().is_none_or(|kept| kept.ask == record.ask);
        let before = kept.filter(|_| is_ours).and_then(|kept| kept.found);
        act(before)?;
        record.found = Some(found);
        if is_ours && before != Some(found) {
            self.save(record)?;
        }
        Ok(())
    }

    /// Forgets the request.
    pub(crate) fn remove(&self) {
        files::remove_quietly(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::key::{InviteKey, UserKey};
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn racing_processes_lose_no_key_and_nobody_else_can_read_them() {
        let dir = tempfile::tempdir().unwrap();
        let user = UserKey::from_seed(&[2; 32]).public();
        let file = &SessionFile::of(dir.path(), &user, RoomId::from_bytes([5; 32])).unwrap();
        std::thread::scope(|s| {
            for i in 0..8u8 {
                let invite = InviteKey::from_seed(&[i; 32]).public();
                let kept = KeptKey { invite, text: format!("gp1-{i}") };
                s.spawn(move || file.change(|record| record.keys.push(kept)).unwrap());
            }
        });
        assert_eq!(file.load().unwrap().keys.len(), 8);
        assert_eq!(std::fs::metadata(&file.path).unwrap().mode() & 0o777, 0o600);
    }
}
