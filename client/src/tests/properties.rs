//! What comes from files and settings never panics, and what was written is read back.

use proptest::prelude::*;
use proptest::test_runner::Config;
use protocol::id::{Digest, RoomId};
use protocol::key::{AgentKey, HubKey, UserKey};
use protocol::room::{Counters, Members};
use protocol::statement::{LogPoint, RoomKind};

use crate::files;
use crate::local_hub::{LocalAddress, LocalHub};
use crate::seat::{KnownHubs, RoomMemory, RoomState};
use crate::settings::HubAddress;

fn config() -> Config {
    let cases = if kit::is_long() { 2560 } else { 128 };
    Config {
        cases,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        ..Config::default()
    }
}

fn room() -> RoomId {
    RoomId::from_bytes([5; 32])
}

/// A state that some process may have seen of one and the same history, up to some entry.
fn states() -> impl Strategy<Value = RoomState> {
    (0u64..3000, prop::collection::vec((0u8..4, 1u64..100), 0..6)).prop_map(|(end, authors)| {
        let mut state =
            RoomState::new(Members::of(room(), UserKey::from_seed(&[2; 32]).public(), RoomKind::Home));
        let points = (1..=end).map(|seq| LogPoint { seq, log: Digest::of(&seq.to_be_bytes()) });
        let mut counters = Counters::new(true);
        for (author, n) in authors {
            counters.note(AgentKey::from_seed(&[author; 32]).public(), n.min(end));
        }
        state.extend(points, state.members().clone(), counters);
        state
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_address_has_one_origin(text in "(?i)(wss?://)?[a-z0-9.:\\[\\]/-]{0,24}") {
        if let Ok(address) = text.parse::<HubAddress>() {
            prop_assert_eq!(address.origin().parse::<HubAddress>(), Ok(address));
        }
    }

    #[test]
    fn an_address_of_a_local_hub_reads_back(text in "(unix:|tcp:)?[ -~]{0,30}") {
        if let Ok(address) = text.parse::<LocalAddress>() {
            prop_assert_eq!(address.to_string().parse::<LocalAddress>(), Ok(address));
        }
    }

    #[test]
    fn an_address_file_of_any_bytes_is_a_record_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let dir = tempfile::tempdir().unwrap();
        files::private_dir(&dir.path().join("hub")).unwrap();
        files::replace(&dir.path().join("hub/local.json"), &bytes).unwrap();
        prop_assert_eq!(LocalHub::new(dir.path(), "0.1.0", None).record().unwrap(), None);
    }

    #[test]
    fn a_list_of_hubs_is_read_whole_or_refused(lines in prop::collection::vec("[ -~]{0,80}", 0..4)) {
        let dir = tempfile::tempdir().unwrap();
        let hubs = KnownHubs::in_data(dir.path());
        let ours = format!("ws://ours:1 {} 1", HubKey::from_seed(&[1; 32]).public());
        files::replace(hubs.path(), format!("{}\n{ours}\n", lines.join("\n")).as_bytes()).unwrap();
        if let Ok(found) = hubs.lookup("ws://ours:1") {
            prop_assert_eq!(found.unwrap().hub, HubKey::from_seed(&[1; 32]).public());
        }
    }

    #[test]
    fn whatever_the_order_of_writers_the_memory_of_a_room_ends_the_same(a in states(), b in states()) {
        let end = |first: &RoomState, second: &RoomState| {
            let dir = tempfile::tempdir().unwrap();
            let memory = RoomMemory::open(dir.path(), &UserKey::from_seed(&[2; 32]).public(), room()).unwrap();
            let before = memory.merge(first).unwrap();
            let after = memory.merge(second).unwrap();
            assert!(after.head().seq >= before.head().seq && after.fork().is_none());
            assert_eq!(memory.merge(first).unwrap(), after);
            assert_eq!(memory.load().unwrap().as_ref(), Some(&after));
            (after.head(), (0..4u8).map(|i| after.last_n(&AgentKey::from_seed(&[i; 32]).public())).collect::<Vec<_>>())
        };
        prop_assert_eq!(end(&a, &b), end(&b, &a));
    }
}
