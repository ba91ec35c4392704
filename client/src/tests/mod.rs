//! The client as a whole against the protocol's own hub end: lines that break, crashes between two steps, a hub that
//! lies, and a network in bad weather.

mod clock;
mod gate;
mod lies;
mod outage;
mod pages;
pub(crate) mod peer;
mod positions;
mod properties;
mod push;
mod rooms;
mod shelf;
mod storm;
mod undelivered;
mod waiting;
mod weather;

use std::path::{Path, PathBuf};

use protocol::part::BundlePart;

use crate::settings::{HubAddress, RoomChoice, Settings};

/// Settings of the seat `name` of a user whose folders lie in `home`.
pub(crate) fn settings(home: &Path, name: &str, address: &str) -> Settings {
    let seat_dir = home.join("repositories").join(name);
    std::fs::create_dir_all(&seat_dir).unwrap();
    Settings {
        cache: home.join("cache"),
        hub: address.parse::<HubAddress>().unwrap(),
        name: format!("ana/{name}"),
        ..local(&home.join("data"), Some(&seat_dir))
    }
}

/// Settings of a seat at the local hub; nothing is made.
pub(crate) fn local(data: &Path, seat_dir: Option<&Path>) -> Settings {
    Settings {
        data: data.to_owned(),
        cache: data.join("cache"),
        hub: HubAddress::Local,
        name: "ana/app".to_owned(),
        seat_dir: seat_dir.map(Path::to_owned),
        join_secret: None,
        insecure: false,
        ca_file: None,
        room: RoomChoice::InUse,
        invite: None,
        reconnect_max: None,
        version: "0.1.0".to_owned(),
    }
}

/// Returns `length` bytes that do not compress.
pub(crate) fn bytes(length: usize, seed: u64) -> Vec<u8> {
    kit::Random::new(seed).bytes(length)
}

/// Writes a "bundle" and returns its file and the part that refers to it.
pub(crate) fn handoff(home: &Path, content: &[u8], summary: &str) -> (PathBuf, BundlePart) {
    let part = kit::bundle_part(content, &"1".repeat(40), summary);
    let file = home.join(format!("{}.bundle", part.blob));
    std::fs::write(&file, content).unwrap();
    (file, part)
}
