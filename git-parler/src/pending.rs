//! The requests to join that wait for this user, in all sessions, and the line that tells of them at the end of a command.

use std::cell::RefCell;
use std::collections::BTreeMap;

use protocol::id::RoomId;

/// How many requests to join wait in each session, as the hub said.
#[derive(Debug, Default)]
pub(crate) struct Pending(RefCell<BTreeMap<RoomId, u64>>);

impl Pending {
    /// Keeps how many wait in the sessions that were looked at.
    pub(crate) fn note(&self, waiting: BTreeMap<RoomId, u64>) {
        self.0.borrow_mut().extend(waiting);
    }

    /// Forgets those of a session, since the command itself has shown them.
    pub(crate) fn shown(&self, room: RoomId) {
        self.0.borrow_mut().remove(&room);
    }

    /// Returns the line, if anybody waits; `option` names a room for the command that lists who asks there.
    pub(crate) fn line(&self, option: impl Fn(RoomId) -> String) -> Option<String> {
        let waiting = self.0.borrow();
        let rooms: Vec<_> = waiting.iter().filter(|(_, count)| **count > 0).collect();
        let listing = |room: RoomId| format!("git parler requests{}", option(room));
        let what = match rooms.iter().map(|(_, count)| **count).sum() {
            0u64 => return None,
            1 => "1 request to join waits for you".to_owned(),
            count => format!("{count} requests to join wait for you"),
        };
        if let [(room, _)] = rooms[..] {
            return Some(format!("{what}: {}", listing(*room)));
        }
        let mut named: Vec<_> = rooms
            .iter()
            .take(ROOMS_NAMED)
            .map(|(room, count)| format!("{} ({count})", listing(**room)))
            .collect();
        if rooms.len() > ROOMS_NAMED {
            named.push("others: git parler sessions".to_owned());
        }
        Some(format!("{what}: {}", named.join(", ")))
    }
}

/// How many sessions are named in the line.
const ROOMS_NAMED: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn room(number: u8) -> RoomId {
        RoomId::from_bytes([number; 32])
    }

    fn line(waiting: &[(u8, u64)]) -> Option<String> {
        let pending = Pending::default();
        pending.note(waiting.iter().map(|(number, count)| (room(*number), *count)).collect());
        // The first one is in use.
        pending.line(|id| if id == room(1) { String::new() } else { format!(" --room {}", id.as_bytes()[0]) })
    }

    #[test]
    fn who_waits_is_told_with_the_command_that_lists_them() {
        assert_eq!(line(&[]), None);
        assert_eq!(line(&[(1, 0), (2, 0)]), None);
        for (waiting, expected) in [
            (&[(1, 1)][..], "1 request to join waits for you: git parler requests"),
            (&[(1, 0), (2, 1)], "1 request to join waits for you: git parler requests --room 2"),
            (&[(1, 2)], "2 requests to join wait for you: git parler requests"),
            (
                &[(1, 2), (2, 1)],
                "3 requests to join wait for you: git parler requests (2), git parler requests --room 2 (1)",
            ),
            (
                &[(2, 1), (3, 1), (4, 1), (5, 7)],
                "10 requests to join wait for you: git parler requests --room 2 (1), git parler requests --room 3 (1), \
                 git parler requests --room 4 (1), others: git parler sessions",
            ),
        ] {
            assert_eq!(line(waiting).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_was_shown_is_not_told_and_what_was_looked_at_again_is_told_anew() {
        let pending = Pending::default();
        pending.note(BTreeMap::from([(room(1), 2), (room(2), 1)]));
        pending.shown(room(2));
        pending.note(BTreeMap::from([(room(1), 1)]));
        let told = pending.line(|_| String::new());
        assert_eq!(told.as_deref(), Some("1 request to join waits for you: git parler requests"));
    }
}
