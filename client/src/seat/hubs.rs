//! `known_hubs`: the key and the protocol level under which each origin was met first. A changed key or a lower
//! level stops the client before it signs anything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use protocol::conn::client::KnownHub;
use protocol::key::HubId;

use super::SeatError;
use crate::files::{self, Lock};

/// The file `known_hubs`: a line each of origin, hub key and protocol level, separated by one blank.
#[derive(Debug, Clone)]
pub struct KnownHubs {
    path: PathBuf,
}

/// What remembering a hub gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// The origin was new; this key is expected there from now on.
    New,
    /// The key is the one known for the origin.
    Known,
    /// The origin is known for this other key.
    Other(HubId),
}

impl KnownHubs {
    /// Names the file in the data folder; nothing is read yet.
    pub fn in_data(data: &Path) -> Self {
        Self { path: data.join("known_hubs") }
    }

    /// Returns the file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns what is remembered of `origin`, `None` on first meeting.
    ///
    /// # Errors
    /// [`SeatError::DamagedState`] when a line does not parse, [`SeatError::File`] when it cannot be read.
    pub fn lookup(&self, origin: &str) -> Result<Option<KnownHub>, SeatError> {
        Ok(self.read()?.get(origin).copied())
    }

    /// Returns an origin under which the hub with this key was met, if it was.
    ///
    /// # Errors
    /// As [`KnownHubs::lookup`].
    pub fn origin(&self, hub: HubId) -> Result<Option<String>, SeatError> {
        let known = self.read()?;
        Ok(known.into_iter().find_map(|(origin, known)| (known.hub == hub).then_some(origin)))
    }

    /// Remembers a hub that has proved its key, unless another one is known under its origin by now.
    ///
    /// The protocol level only rises, and the key of a known origin is never replaced: who wants that removes its
    /// line.
    ///
    /// # Errors
    /// As [`KnownHubs::lookup`], and [`SeatError::File`] when it cannot be written.
    pub fn remember(&self, origin: &str, hub: KnownHub) -> Result<Met, SeatError> {
        if self.lookup(origin)?.is_some_and(|known| known.hub == hub.hub && known.protocol >= hub.protocol) {
            return Ok(Met::Known);
        }
        let _lock = Lock::of(&self.path)?;
        let mut known = self.read()?;
        let met = match known.get_mut(origin) {
            // Another process has met another hub there meanwhile, and that one stays.
            Some(known) if known.hub != hub.hub => return Ok(Met::Other(known.hub)),
            Some(known) => {
                known.protocol = known.protocol.max(hub.protocol);
                Met::Known
            }
            None => {
                known.insert(origin.to_owned(), hub);
                Met::New
            }
        };
        let mut text = String::new();
        for (origin, hub) in &known {
            text.push_str(&format!("{origin} {} {}\n", hub.hub, hub.protocol));
        }
        files::replace(&self.path, text.as_bytes())?;
        Ok(met)
    }

    fn read(&self) -> Result<BTreeMap<String, KnownHub>, SeatError> {
        let Some(bytes) = files::read_private(&self.path)? else { return Ok(BTreeMap::new()) };
        let damaged = || SeatError::DamagedState { path: self.path.clone(), source: None };
        let text = String::from_utf8(bytes).map_err(|_| damaged())?;
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(|line| parse(line).ok_or_else(damaged)).collect()
    }
}

fn parse(line: &str) -> Option<(String, KnownHub)> {
    let mut words = line.split(' ');
    let (origin, key, protocol) = (words.next()?, words.next()?, words.next()?);
    let hub = KnownHub { hub: key.parse().ok()?, protocol: protocol.parse().ok()? };
    (words.next().is_none() && !origin.is_empty()).then(|| (origin.to_owned(), hub))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::key::HubKey;

    fn key(seed: u8) -> HubId {
        HubKey::from_seed(&[seed; 32]).public()
    }

    #[test]
    fn a_known_key_stays_and_the_level_only_rises() {
        let dir = tempfile::tempdir().unwrap();
        let hubs = KnownHubs::in_data(dir.path());
        let origin = "ws://127.0.0.1:7419";
        assert_eq!(hubs.lookup(origin).unwrap(), None);
        let remember =
            |origin, seed, protocol| hubs.remember(origin, KnownHub { hub: key(seed), protocol }).unwrap();
        assert_eq!(remember(origin, 1, 2), Met::New);
        assert_eq!(remember(origin, 1, 1), Met::Known);
        assert_eq!(remember(origin, 2, 3), Met::Other(key(1)));
        assert_eq!(hubs.lookup(origin).unwrap(), Some(KnownHub { hub: key(1), protocol: 2 }));
        assert_eq!(remember(origin, 1, 3), Met::Known);
        assert_eq!(hubs.lookup(origin).unwrap(), Some(KnownHub { hub: key(1), protocol: 3 }));
        assert_eq!(remember("ws://[::1]:1", 2, 1), Met::New);
        assert_eq!(std::fs::read_to_string(hubs.path()).unwrap().lines().count(), 2);
    }

    #[test]
    fn racing_writers_lose_no_hub() {
        let dir = tempfile::tempdir().unwrap();
        let hubs = &KnownHubs::in_data(dir.path());
        std::thread::scope(|s| {
            for i in 0..12u8 {
                s.spawn(move || {
                    hubs.remember(&format!("ws://h:{i}"), KnownHub { hub: key(i), protocol: 1 }).unwrap()
                });
            }
        });
        for i in 0..12u8 {
            assert_eq!(hubs.lookup(&format!("ws://h:{i}")).unwrap().unwrap().hub, key(i));
        }
    }

    #[test]
    fn a_damaged_line_is_an_error_and_not_a_first_meeting() {
        let dir = tempfile::tempdir().unwrap();
        let hubs = KnownHubs::in_data(dir.path());
        for damaged in ["ws://h:1", "ws://h:1 NOKEY 1", &format!("ws://h:1 {} one", key(1))] {
            files::replace(hubs.path(), damaged.as_bytes()).unwrap();
            assert!(matches!(hubs.lookup("ws://h:1"), Err(SeatError::DamagedState { .. })));
            assert!(hubs.remember("ws://h:1", KnownHub { hub: key(1), protocol: 1 }).is_err());
        }
    }
}
