//! The client as a whole against the protocol's own hub end: lines that break, crashes between two steps, a hub that
//! lies, and a network in bad weather.

mod clock;
mod lies;
pub(crate) mod peer;
mod properties;
mod push;
mod rooms;
mod shelf;
mod storm;
mod undelivered;
mod weather;

use std::path::{Path, PathBuf};

use protocol::id::BlobId;
use protocol::part::{BundlePart, PartTip};

use crate::settings::{HubAddress, RoomChoice, Settings};

/// Settings of the seat `name` of a user whose folders lie in `home`.
pub(crate) fn settings(home: &Path, name: &str, address: &str) -> Settings {
    let seat_dir = home.join("repositories").join(name);
    std::fs::create_dir_all(&seat_dir).unwrap();
    Settings {
        data: home.join("data"),
        cache: home.join("cache"),
        hub: address.parse::<HubAddress>().unwrap(),
        name: format!("ana/{name}"),
        seat_dir: Some(seat_dir),
        join_secret: None,
        insecure: false,
        ca_file: None,
        room: RoomChoice::InUse,
        invite: None,
        version: "0.1.0".to_owned(),
    }
}

/// Returns `length` bytes that do not compress.
pub(crate) fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::try_from(state >> 56).unwrap()
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Writes a "bundle" and returns its file and the part that refers to it.
pub(crate) fn handoff(home: &Path, content: &[u8], summary: &str) -> (PathBuf, BundlePart) {
    let blob = BlobId::of(content);
    let file = home.join(format!("{blob}.bundle"));
    std::fs::write(&file, content).unwrap();
    let tip = "1".repeat(40);
    let part = BundlePart {
        blob,
        vcs: BundlePart::VCS.to_owned(),
        tip: tip.clone(),
        base: None,
        summary: summary.to_owned(),
        size: content.len() as u64,
        media_type: BundlePart::MEDIA_TYPE.to_owned(),
        tips: vec![PartTip { branch: "main".to_owned(), commit: tip }],
        prerequisites: Vec::new(),
        commits: 1,
        object_format: "sha1".to_owned(),
        repo: String::new(),
        supersedes: None,
        log: None,
        stat: None,
        surface: None,
    };
    (file, part)
}
