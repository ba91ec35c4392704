//! Seats and handoffs for the tests.

use std::path::{Path, PathBuf};

use client::Settings;
use client::settings::{HubAddress, RoomChoice};
use protocol::part::BundlePart;

/// Settings of the seat `name` of a user whose folders lie in `home`.
pub(crate) fn settings(home: &Path, name: &str, hub: HubAddress) -> Settings {
    let seat_dir = home.join("repositories").join(name);
    std::fs::create_dir_all(&seat_dir).unwrap();
    Settings {
        data: home.join("p"),
        cache: home.join("p/cache"),
        hub,
        name: format!("ana/{name}"),
        seat_dir: Some(seat_dir),
        join_secret: None,
        insecure: false,
        ca_file: None,
        room: RoomChoice::InUse,
        invite: None,
        reconnect_max: None,
        version: "0.1.0".to_owned(),
    }
}

/// Writes a "bundle" of `length` bytes that do not compress and returns its file and the part that refers to it.
pub(crate) fn handoff(home: &Path, length: usize, seed: u64) -> (PathBuf, BundlePart) {
    let content = kit::Random::new(seed).bytes(length);
    let part = kit::bundle_part(&content, &format!("{seed:040x}"), &format!("change {seed}"));
    let file = home.join(format!("{}.bundle", part.blob));
    std::fs::write(&file, content).unwrap();
    (file, part)
}
