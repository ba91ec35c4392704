//! The folder of evidence against hubs: private files that nobody overwrites, so many for each hub and no more.

use std::fs;
use std::path::Path;

use protocol::id::Digest;
use protocol::json;
use serde_json::{Value, json};

use super::RoomMemory;
use crate::files;
use crate::limits::{EVIDENCE_BYTES_MAX, EVIDENCE_FILES_MAX};
use crate::seat;

impl RoomMemory {
    /// Keeps both sides of a contradiction at entry `seq`. The first files stay: a hub that goes on lying does not push them
    /// out, and none takes the place of another hub's.
    pub(crate) fn keep_evidence(&self, seq: u64, what: &str, verified: &Value, shown: &Value) {
        let page = Digest::of(json::write(shown).as_bytes()).to_string();
        let about = |verified: &Value, shown: &Value| {
            let (room, time) = (self.room, seat::now());
            json::write(&json!({
                "room": room, "seq": seq, "what": what, "time": time, "verified": verified, "shown": shown,
            }))
        };
        let mut text = about(verified, shown);
        if text.len() > EVIDENCE_BYTES_MAX {
            // No frame gives as much; that there was something is told all the same.
            text = about(&Value::Null, &Value::from(page.clone()));
        }
        if files::private_dir(&self.evidence).is_err() || self.count(&self.hub_prefix()) >= EVIDENCE_FILES_MAX
        {
            return;
        }
        let path = self.evidence.join(format!("{}{seq}-{}.json", self.room_prefix(), &page[..DIGITS]));
        // Whether it can be kept or not, the reader is told of the fork, and that must not fail.
        files::create_once(&path, text.as_bytes()).ok();
    }

    /// Returns the folder of evidence when something about this room is in it.
    pub(crate) fn evidence(&self) -> Option<&Path> {
        (self.count(&self.room_prefix()) > 0).then_some(&self.evidence)
    }

    fn count(&self, prefix: &str) -> usize {
        let files = fs::read_dir(&self.evidence).into_iter().flatten().flatten();
        files.filter(|file| file.file_name().as_encoded_bytes().starts_with(prefix.as_bytes())).count()
    }

    /// Returns how the names of files against the hub begin; where that is not known, those about the room.
    fn hub_prefix(&self) -> String {
        self.hub.map_or_else(|| self.room_prefix(), |hub| format!("{}-", &hub.to_string()[..DIGITS]))
    }

    fn room_prefix(&self) -> String {
        let hub = self.hub.map(|hub| format!("{}-", &hub.to_string()[..DIGITS])).unwrap_or_default();
        format!("{hub}{}-", &self.room.to_string()[..DIGITS])
    }
}

const DIGITS: usize = 12;
