//! Evidence against a hub: what was known, and what it showed as it came.

use protocol::frame::Pulled;
use protocol::limits::PULL_ENTRIES_MAX;
use serde_json::{Value, json};

use super::Room;
use crate::seat::{Fork, now};

impl Room {
    /// Takes note of another history, and keeps what shows it.
    pub(super) fn note_fork(&mut self, seq: u64, what: String, shown: &Value) {
        self.keep_evidence(seq, &what, shown);
        (self.is_shown_fork, self.is_news) = (true, true);
        self.state.note_fork(Fork { seq, time: now(), what });
    }

    /// Keeps both sides of what contradicts: what this user had verified about there, and what the hub has shown.
    pub(super) fn keep_evidence(&self, seq: u64, what: &str, shown: &Value) {
        let places = seq.saturating_sub(PULL_ENTRIES_MAX)..=seq.saturating_add(PULL_ENTRIES_MAX);
        let known: Vec<_> = places.filter_map(|seq| Some((seq, self.value(seq)?))).collect();
        let chain = self.members().chain_end();
        let verified = json!({ "head": self.state.head(), "chain": chain, "known": known });
        self.memory.keep_evidence(seq, what, &verified, shown);
    }
}

/// Returns a page as it came.
pub(super) fn as_shown(pulled: &Pulled) -> Value {
    json!({
        "start": pulled.start, "entries": pulled.entries, "seats": pulled.seats, "base": pulled.base, "end": pulled.end,
    })
}
