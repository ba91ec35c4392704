//! Processes that race for the same files: this test program starts itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use client::settings::HubAddress;

use crate::cast::settings;

/// Names the folder of the parent, in a child.
const HOME: &str = "CLIENT_TEST_HOME";
const TEST: &str = "processes::processes_that_race_for_the_first_keys_are_one_seat_of_one_user";

#[test]
fn processes_that_race_for_the_first_keys_are_one_seat_of_one_user() {
    if let Some(home) = std::env::var_os(HOME) {
        let me = client::whoami(&settings(Path::new(&home), "one", HubAddress::Local)).unwrap();
        println!("identity {} {}", me.me.id, me.user);
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..16)
        .map(|_| {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args(["--exact", "--nocapture", TEST]).env(HOME, home.path());
            child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    let mut identities = BTreeSet::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line =
            text.lines().find_map(|line| line.split_once("identity ")).map(|(_, said)| said.to_owned());
        identities.insert(line.expect("each says who it is"));
    }
    assert_eq!(identities.len(), 1, "{identities:?}");
    let me = client::whoami(&settings(home.path(), "one", HubAddress::Local)).unwrap();
    assert_eq!(identities.into_iter().next().unwrap(), format!("{} {}", me.me.id, me.user));
}
