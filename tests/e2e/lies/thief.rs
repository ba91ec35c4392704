//! What somebody finds who takes the disk of a hub away: what was said, and nothing that opens anything.

use std::fs;
use std::path::Path;

use data_encoding::BASE32_NOPAD;
use protocol::invite::SessionKey;

use crate::people::People;

/// Reads every file below a folder.
fn bytes(folder: &Path) -> Vec<u8> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(bytes(&path));
        } else {
            found.extend(fs::read(path).unwrap_or_default());
        }
    }
    found
}

fn contains(disk: &[u8], wanted: &[u8]) -> bool {
    disk.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn the_disk_of_a_hub_holds_no_secret_of_anybody() {
    let people = People::new();
    let (ada, bob) = (people.ada(), people.bob());
    let text = ada.opens(&["--topic", "for everybody to read"]);
    bob.joins(&text, &ada);
    ada.says(&["send", "hello"]);
    let disk = bytes(&people.two.env.path("hub"));
    assert!(contains(&disk, b"for everybody to read") && contains(&disk, b"hello"), "it is the hub's disk");
    let key: SessionKey = text.parse().unwrap();
    let invite = key.invite_key();
    assert!(contains(&disk, invite.public().as_bytes()), "the public half is there");
    let digits = text.split('@').next().unwrap().trim_start_matches("gp1-");
    let secret = BASE32_NOPAD.decode(digits.to_uppercase().as_bytes()).unwrap();
    assert!(!contains(&disk, digits.as_bytes()) && !contains(&disk, &secret[..16]), "the session key");
    assert!(!contains(&disk, b"long and good secret"), "the join secret");
    for person in [&ada, &bob] {
        let keys = fs::read_to_string(person.home().join("user.key")).unwrap();
        assert!(keys.starts_with("SA") && !contains(&disk, keys.trim().as_bytes()), "a user's key");
    }
}
