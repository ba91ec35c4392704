//! The file of a room: racing writers, another history, thinning, damage, and the file of the first version.

use std::path::Path;

use protocol::id::RoomId;
use protocol::json;
use protocol::key::{AgentKey, HubKey, InviteKey, UserKey};
use protocol::limits::{CHAIN_ENTRIES_MAX, DENIED_AGENTS_MAX, NAME_BYTES_MAX};
use protocol::signed;
use protocol::statement::{Admit, Genesis, Membership, Op, Role, RoomKind, Seat};

use super::*;
use crate::files;
use crate::seat::SeatError;

fn room() -> RoomId {
    RoomId::from_bytes([5; 32])
}

fn user() -> UserKey {
    UserKey::from_seed(&[2; 32])
}

fn agent(seed: u8) -> AgentId {
    AgentKey::from_seed(&[seed; 32]).public()
}

fn memory(dir: &Path) -> RoomMemory {
    RoomMemory::open(dir, &user().public(), room()).unwrap()
}

fn point(seq: u64) -> LogPoint {
    LogPoint { seq, log: Digest::of(&seq.to_be_bytes()) }
}

fn start() -> RoomState {
    RoomState::new(Members::of(room(), user().public(), RoomKind::Home))
}

/// A state that has come up to entry `seq`, of which `author` wrote the last.
fn read_up_to(seq: u64, author: AgentId) -> RoomState {
    let mut state = start();
    let mut counters = Counters::new(true);
    counters.note(author, seq);
    state.extend((1..=seq).map(point), state.members().clone(), counters);
    state
}

#[test]
fn a_room_that_was_never_met_has_no_file() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(memory(dir.path()).load().unwrap(), None);
    assert_eq!(start().head(), LogPoint::start(room()));
}

#[test]
fn racing_processes_lose_nothing_and_never_go_backward() {
    let dir = tempfile::tempdir().unwrap();
    let memory = &memory(dir.path());
    std::thread::scope(|s| {
        for i in 1..=12u8 {
            s.spawn(move || memory.merge(&read_up_to(u64::from(i), agent(1))).unwrap());
        }
    });
    let state = memory.load().unwrap().unwrap();
    assert!((1..=12).all(|seq| state.known(seq) == Some(point(seq).log)));
    assert_eq!((state.head(), state.last_n(&agent(1))), (point(12), 12));
    assert_eq!(memory.merge(&start()).unwrap(), state);
    assert_eq!(state.fork(), None);
}

#[test]
fn another_history_does_not_replace_the_known_one_and_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    let memory = memory(dir.path());
    memory.merge(&read_up_to(1, agent(1))).unwrap();
    let mut theirs = start();
    let other = LogPoint { seq: 1, log: Digest::of(b"another") };
    theirs.extend([other, point(2)], theirs.members().clone(), Counters::new(true));
    let merged = memory.merge(&theirs).unwrap();
    assert_eq!((merged.known(1), merged.head()), (Some(point(1).log), point(1)));
    assert_eq!(merged.fork().map(|fork| fork.seq), Some(1));
    assert_eq!(memory.load().unwrap(), Some(merged));
    let both = std::fs::read_dir(memory.evidence().unwrap()).unwrap().next().unwrap().unwrap();
    let both: serde_json::Value = json::parse(&std::fs::read_to_string(both.path()).unwrap()).unwrap();
    assert_eq!(both["shown"]["known"]["1"], Digest::of(b"another").to_string());
    assert_eq!(both["verified"]["known"]["1"], point(1).log.to_string());
}

#[test]
fn what_no_hub_tells_again_is_flushed_and_with_it_what_comes_later() {
    let (read, me) = (read_up_to(3, agent(1)), agent(1));
    assert!(!read.must_last(), "a hub tells of it again");
    let noted = |note: fn(&mut RoomState, AgentId)| {
        let mut state = read.clone();
        note(&mut state, me);
        state.extend([point(4)], state.members().clone(), Counters::new(true));
        state.must_last()
    };
    assert!(noted(|state, me| state.note_cursor(me, "cli", 3)));
    assert!(noted(|state, _| state.note_fork(Fork { seq: 3, time: 1, what: "differs".to_owned() })));
    assert!(noted(|state, _| state.succeed(&state.clone(), 3)));
}

/// Appends the acts `ops` to a chain, as its owner does.
fn chain(ops: impl IntoIterator<Item = Op>) -> RoomState {
    let mut members = start().members().clone();
    for (seq, op) in (1..).zip(ops) {
        let (room, end) = (room(), members.chain_end());
        let act = Membership { room, n: end.n + 1, prev: end.digest, op, needs: Vec::new() };
        members.append(&signed::sign(&user(), act), seq).unwrap();
    }
    let mut state = start();
    members.anchors().for_each(|at| state.note_point(at));
    *state.members_mut() = members;
    state
}

/// Makes an agent's id of a number; nobody signs with it.
fn somebody(i: usize) -> AgentId {
    AgentId::from_bytes(*Digest::of(&i.to_be_bytes()).as_bytes())
}

#[test]
fn a_room_of_the_longest_chain_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let memory = memory(dir.path());
    let admit = |i: usize| Admit {
        agent: somebody(i),
        name: "\"".repeat(NAME_BYTES_MAX),
        role: Role::Member,
        floor: 0,
        at: point(i as u64),
        key: Some(InviteKey::from_seed(&[7; 32]).public()),
        user: Some(user().public()),
    };
    let mut state = chain((0..CHAIN_ENTRIES_MAX).map(|i| Op::Admit(admit(i))));
    let mut counters = Counters::new(true);
    (0..CHAIN_ENTRIES_MAX).for_each(|i| counters.note(somebody(i), 1 << 40));
    state.extend([point(1)], state.members().clone(), counters);
    let kept = memory.merge(&state).unwrap();
    assert!(std::fs::metadata(memory.path()).unwrap().len() > limits::STATE_FILE_BYTES_MAX);
    assert_eq!(memory.load().unwrap(), Some(kept));
}

#[test]
fn a_chain_of_the_fullest_denials_fits_into_its_file() {
    let sample = 100;
    let deny =
        |i: usize| Op::Deny { agents: (0..DENIED_AGENTS_MAX).map(|k| somebody(1000 * i + k)).collect() };
    let length = json::write(&chain((0..sample).map(deny))).len();
    assert!((length * CHAIN_ENTRIES_MAX / sample) as u64 <= limits::ROOM_FILE_BYTES_MAX, "{length}");
}

#[test]
fn what_a_power_cut_left_is_learnt_again_and_other_damage_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let memory = memory(dir.path());
    let mut state = read_up_to(3, agent(1));
    state.note_topic(1, "caf\u{e9}");
    memory.merge(&state).unwrap();
    let whole = std::fs::read(memory.path()).unwrap();
    for length in 0..whole.len() {
        for rest in [0, 9] {
            let mut cut = whole[..length].to_vec();
            cut.resize(length + rest, 0);
            std::fs::write(memory.path(), cut).unwrap();
            assert_eq!(memory.load().unwrap(), None, "{length}");
        }
    }
    std::fs::write(memory.path(), [&whole[..9], b"}", &whole[9..]].concat()).unwrap();
    assert!(matches!(memory.load(), Err(SeatError::DamagedState { .. })));
}

#[test]
fn a_state_that_could_not_be_read_again_takes_no_files_place() {
    let dir = tempfile::tempdir().unwrap();
    let memory = memory(dir.path());
    let before = memory.merge(&read_up_to(1, agent(1))).unwrap();
    let mut huge = before.clone();
    let text = "x".repeat(usize::try_from(limits::ROOM_FILE_BYTES_MAX).unwrap());
    huge.note_topic(1, &text);
    let refused = memory.merge(&huge);
    assert!(matches!(refused, Err(SeatError::File(files::FileError::TooLarge { .. }))));
    assert_eq!(memory.load().unwrap(), Some(before));
}

#[test]
fn the_evidence_against_one_hub_leaves_room_for_that_against_another() {
    let dir = tempfile::tempdir().unwrap();
    let at = |seed: u8| memory(dir.path()).at(HubKey::from_seed(&[seed; 32]).public());
    let files = || std::fs::read_dir(dir.path().join("evidence")).map_or(0, Iterator::count);
    for seq in 0..40 {
        at(1).keep_evidence(seq, "differs", &serde_json::Value::Null, &seq.into());
    }
    assert_eq!((files(), at(2).evidence()), (limits::EVIDENCE_FILES_MAX, None));
    at(2).keep_evidence(1, "differs", &serde_json::Value::Null, &1.into());
    assert_eq!((files(), at(2).evidence().is_some()), (limits::EVIDENCE_FILES_MAX + 1, true));
}

#[test]
fn a_page_is_kept_however_a_hub_pads_it() {
    let dir = tempfile::tempdir().unwrap();
    let memory = memory(dir.path());
    let sizes = [limits::FRAME_BYTES_MAX, limits::EVIDENCE_BYTES_MAX];
    for (seq, size) in (1..).zip(sizes) {
        memory.keep_evidence(seq, "differs", &serde_json::Value::Null, &"x".repeat(size).into());
    }
    let folder = std::fs::read_dir(memory.evidence().unwrap()).unwrap();
    let mut kept: Vec<_> = folder.map(|file| file.unwrap().metadata().unwrap().len()).collect();
    kept.sort_unstable();
    assert!(matches!(kept[..], [0..1000, large] if large > limits::FRAME_BYTES_MAX as u64), "{kept:?}");
}

#[test]
fn what_a_human_accepted_replaces_what_was_known_and_nothing_older_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let memory = memory(dir.path());
    let mut before = read_up_to(9, agent(1));
    before.note_fork(Fork { seq: 9, time: 1, what: "differs".to_owned() });
    memory.merge(&before).unwrap();
    let mut anew = start();
    anew.extend(
        [LogPoint { seq: 1, log: Digest::of(b"another") }],
        anew.members().clone(),
        Counters::new(true),
    );
    anew.succeed(&before, 1);
    assert_eq!(memory.merge(&anew).unwrap(), anew);
    assert_eq!(memory.merge(&before).unwrap(), anew, "a process that has not heard of it");
}

#[test]
fn old_values_are_thinned_out_and_what_the_owner_signed_stays() {
    let dir = tempfile::tempdir().unwrap();
    let memory = memory(dir.path());
    let mut seen = start();
    seen.start_at(point(7), true);
    seen.extend((8..=5000).map(point), seen.members().clone(), Counters::new(true));
    let kept = memory.merge(&seen).unwrap();
    let old: Vec<u64> = kept.known.keys().copied().filter(|seq| *seq <= 5000 - 1024).collect();
    assert_eq!(old, [0, 7, 1024, 2048, 3072]);
    assert_eq!(kept.known.len(), 1024 + old.len());
    assert_eq!(memory.load().unwrap(), Some(kept));
}

#[test]
fn everything_that_is_remembered_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let hub = HubKey::from_seed(&[1; 32]).public();
    let genesis =
        signed::sign(&user(), Genesis { hub, kind: RoomKind::Session, salt: None, needs: Vec::new() });
    let memory = RoomMemory::open(dir.path(), &user().public(), genesis.digest().into()).unwrap();
    let mut state = RoomState::opened(&genesis);
    state.start_at(point(3), false);
    assert!(state.note_flag(4, Flag::Gap));
    state.note_topic(1, "about this");
    state.note_fork(Fork { seq: 4, time: 5, what: "differs".to_owned() });
    assert_eq!(memory.merge(&state).unwrap(), state);
    assert_eq!(memory.load().unwrap(), Some(state));
}

#[test]
fn a_file_of_the_first_version_is_taken_up() {
    let dir = tempfile::tempdir().unwrap();
    let memory = memory(dir.path());
    let seat = Seat { seat: agent(3), name: "ana/app".to_owned(), issued: 1, expires: 1000 };
    let seat = signed::sign(&user(), seat).signed().clone();
    let text = serde_json::json!({
        "known": [(0, room()), (1, point(1).log), (2, point(2).log)],
        "authors": { agent(3).to_string(): 2 },
        "seats": { agent(3).to_string(): { "issued": 1, "statement": seat } },
    });
    files::replace(memory.path(), json::write(&text).as_bytes()).unwrap();
    let state = memory.load().unwrap().unwrap();
    assert_eq!((state.head(), state.last_n(&agent(3))), (point(2), 2));
    assert_eq!(state.members().name(&agent(3)), Some("ana/app"));
    assert_eq!(memory.merge(&state).unwrap(), state);
}

#[test]
fn the_file_of_another_room_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let memory = memory(dir.path());
    let other = RoomState::new(Members::of(RoomId::from_bytes([6; 32]), user().public(), RoomKind::Home));
    files::replace(memory.path(), json::write(&other).as_bytes()).unwrap();
    assert!(matches!(memory.load(), Err(SeatError::DamagedState { .. })));
}

#[test]
fn a_readers_cursor_is_remembered_and_never_goes_back() {
    let (mut state, mut other) = (start(), start());
    let me = agent(3);
    assert_eq!(state.cursor(&me, "cli"), None);
    state.note_cursor(me, "cli", 7);
    state.note_cursor(me, "cli", 5);
    other.note_cursor(me, "cli", 6);
    other.note_cursor(me, "mcp", 2);
    state.absorb(&other, 0);
    assert_eq!((state.cursor(&me, "cli"), state.cursor(&me, "mcp")), (Some(7), Some(2)));
    // Of a shorter log that a human took as it stands, what comes behind its end was not read.
    other.succeed(&state, 4);
    assert_eq!((other.cursor(&me, "cli"), other.cursor(&me, "mcp")), (Some(4), Some(2)));
}
