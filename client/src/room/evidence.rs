//! Evidence against a hub: what was known and the page as it came, in a private file that nobody overwrites.

use std::fs;

use protocol::frame::Pulled;
use protocol::id::Digest;
use protocol::json;
use serde_json::json;

use super::Room;
use crate::files;
use crate::limits::{EVIDENCE_BYTES_MAX, EVIDENCE_FILES_MAX};
use crate::seat::now;

impl Room {
    /// Keeps both sides of what contradicts: what this user had verified, and the page as it came. The first files stay: a hub
    /// that goes on lying does not push them out.
    pub(super) fn keep_evidence(&self, seq: u64, what: &str, pulled: &Pulled) {
        let page = json!({
            "start": pulled.start, "entries": pulled.entries, "seats": pulled.seats, "base": pulled.base, "end": pulled.end,
        });
        let digest = Digest::of(json::write(&page).as_bytes()).to_string();
        let places = pulled.start.seq..=pulled.start.seq.saturating_add(pulled.entries.len() as u64);
        let known: Vec<_> = places.filter_map(|seq| Some((seq, self.value(seq)?))).collect();
        let evidence = json!({
            "room": self.id(), "seq": seq, "what": what, "time": now(),
            "verified": { "head": self.state.head(), "known": known }, "shown": page,
        });
        let text = json::write(&evidence);
        let folder = self.memory.evidence();
        if text.len() > EVIDENCE_BYTES_MAX || files::private_dir(folder).is_err() {
            return;
        }
        let is_full = fs::read_dir(folder).is_ok_and(|files| files.count() >= EVIDENCE_FILES_MAX);
        if !is_full {
            let (room, page) = (self.id().to_string(), &digest[..DIGITS]);
            let path = folder.join(format!("{}-{seq}-{page}.json", &room[..DIGITS]));
            // Whether it can be kept or not, the reader is told of the fork, and that must not fail.
            files::create_once(&path, text.as_bytes()).ok();
        }
    }
}

const DIGITS: usize = 12;
