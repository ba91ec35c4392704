//! The rules of a room on worked examples; models and properties stand in `model.rs`.

use super::*;
use crate::frame::{Entry, EntryContent};
use crate::id::{RoomId, Salt};
use crate::key::{AgentId, AgentKey, HubKey, UserKey};
use crate::limits::{DENIED_AGENTS_MAX, DENIED_MAX};
use crate::signed::sign;
use crate::statement::{Admit, Membership, Message, Op, Role, RoomKind, Seat};

const DAY: i64 = 24 * 3600 * 1000;

fn hub() -> crate::key::HubId {
    HubKey::from_seed(&[1; 32]).public()
}

fn owner() -> UserKey {
    UserKey::from_seed(&[2; 32])
}

pub(super) fn seat() -> AgentKey {
    AgentKey::from_seed(&[3; 32])
}

pub(super) fn joiner() -> AgentKey {
    AgentKey::from_seed(&[5; 32])
}

fn genesis() -> Verified<Genesis> {
    let salt = Some(Salt::from_bytes([7; 16]));
    sign(&owner(), Genesis { hub: hub(), kind: RoomKind::Session, salt, needs: Vec::new() })
}

pub(super) fn members() -> Members {
    let mut members = Members::new(&genesis());
    let seat = Seat { seat: seat().public(), name: "ana/app".into(), issued: 0, expires: 90 * DAY };
    members.note_seat(&sign(&owner(), seat));
    members
}

/// A log as a hub keeps it, written by whoever the test wants.
pub(super) struct Log {
    pub(super) room: RoomId,
    pub(super) members: Members,
    pub(super) entries: Vec<Entry>,
    pub(super) points: Vec<LogPoint>,
}

impl Log {
    pub(super) fn new() -> Self {
        let room = room_id(&genesis());
        Self { room, members: members(), entries: Vec::new(), points: vec![LogPoint::start(room)] }
    }

    pub(super) fn end(&self) -> LogPoint {
        *self.points.last().expect("a log has a beginning")
    }

    pub(super) fn push(&mut self, content: EntryContent) {
        let end = extend(&self.end(), &content.digest());
        self.entries.push(Entry { seq: end.seq, content });
        self.points.push(end);
    }

    pub(super) fn say(&mut self, author: &AgentKey, n: u64, text: &str) {
        let head = self.end();
        self.push(message(author, self.room, n, head, text, false));
    }

    pub(super) fn act(&mut self, op: Op) {
        let ChainEnd { n, digest: prev } = self.members.chain_end();
        let act = Membership { room: self.room, n: n + 1, prev, op, needs: Vec::new() };
        let act = sign(&owner(), act);
        self.members.append(&act, self.end().seq + 1).expect("it continues the chain");
        self.push(EntryContent::Membership(act.signed().clone()));
    }

    pub(super) fn admit(&mut self, agent: &AgentKey, floor: u64) {
        self.act(Op::Admit(admission(agent, floor, self.end())));
    }

    /// Reads the whole log, with the first value alone known.
    fn read(&self) -> RangeOutcome {
        self.read_with(|seq| (seq == 0).then_some(self.points[0].log))
    }

    fn read_with(&self, known: impl Fn(u64) -> Option<Digest>) -> RangeOutcome {
        let (members, counters) = (members(), Counters::new(true));
        let checks = RangeChecks { members: &members, counters: Some(&counters), accepted: 0 };
        verify_range(checks, self.points[0], self.entries.clone(), known)
    }
}

fn admission(agent: &AgentKey, floor: u64, at: LogPoint) -> Admit {
    let (agent, name) = (agent.public(), "ben/app".into());
    Admit { agent, name, role: Role::Member, floor, at, key: None, user: None }
}

pub(super) fn message(
    author: &AgentKey,
    room: RoomId,
    n: u64,
    head: LogPoint,
    text: &str,
    leave: bool,
) -> EntryContent {
    let body = format!(r#"{{"parts":[{{"kind":"text","text":"{text}"}}]}}"#);
    let header = Message {
        room,
        n,
        head,
        sent: 5,
        epoch: 0,
        body: Digest::of(body.as_bytes()),
        blobs: Vec::new(),
        leave,
        needs: Vec::new(),
    };
    EntryContent::Message { message: sign(author, header).signed().clone(), body: Some(body) }
}

/// One letter for each reading: what a reader would see.
pub(super) fn seen(outcome: &RangeOutcome) -> String {
    let letter = |reading: &Reading| match reading {
        Reading::Good(message) if message.is_after_gap => 'g',
        Reading::Good(_) => 'm',
        Reading::Act(_) => 'a',
        Reading::Repeated { flag: Flag::Replayed, .. } => 'r',
        Reading::Repeated { .. } => 'f',
        Reading::Invalid { .. } => 'i',
        Reading::NotMember { .. } => 'n',
    };
    outcome.readings.iter().map(letter).collect()
}

#[test]
fn room_ids_are_those_of_the_specification() {
    let home = room_id(&sign(&owner(), Genesis::home(hub())));
    assert_eq!(
        room_id(&genesis()).to_string(),
        "7c2f378e5def7b7dd9873eb0cd32fe4131bc06a9321ca73337951c3ee885a838"
    );
    assert_eq!(home.to_string(), "7d06313742ed5569a728ba7e13693a1fded83fcb1852bf9a106ec05c137e44bf");
}

#[test]
fn a_range_counts_when_it_meets_a_known_value() {
    let mut log = Log::new();
    (1..=4).for_each(|n| log.say(&seat(), n, "hi"));
    for end in [0, 2, 4] {
        let point = log.points[end];
        let outcome = log.read_with(|seq| (seq == point.seq).then_some(point.log));
        assert!(outcome.is_anchored && outcome.fault.is_none());
        assert_eq!((seen(&outcome).as_str(), outcome.end), ("mmmm", log.points[4]));
    }
    let unanchored = log.read_with(|_| None);
    assert!(!unanchored.is_anchored && unanchored.fault.is_none());
}

#[test]
fn leaving_out_swapping_or_inventing_entries_is_noticed() {
    let mut log = Log::new();
    (1..=4).for_each(|n| log.say(&seat(), n, "hi"));
    let known = |points: &[LogPoint]| {
        let ends = [points[0], points[4]];
        move |seq: u64| ends.iter().find(|point| point.seq == seq).map(|point| point.log)
    };
    let truth = log.points.clone();
    let mut dropped = Log { entries: log.entries.clone(), ..Log::new() };
    dropped.entries.remove(1);
    let outcome = dropped.read_with(known(&truth));
    assert!(matches!(outcome.fault, Some(RangeError::Sequence { expected: 2, found: 3 })));
    for (at, entry) in dropped.entries.iter_mut().enumerate() {
        entry.seq = at as u64 + 1;
    }
    let outcome = dropped.read_with(known(&truth));
    assert!(matches!(outcome.fault, Some(RangeError::Head { seq: 2 })), "{:?}", outcome.fault);
    assert_eq!(seen(&outcome), "m", "nothing behind a fault is read");
    let mut swapped = Log { entries: log.entries.clone(), ..Log::new() };
    swapped.entries.swap(2, 3);
    (swapped.entries[2].seq, swapped.entries[3].seq) = (3, 4);
    assert!(swapped.read_with(known(&truth)).fault.is_some());
    let mut other = Log { entries: log.entries.clone(), ..Log::new() };
    other.entries[3].content = message(&seat(), log.room, 4, truth[3], "not what was said", false);
    assert!(matches!(other.read_with(known(&truth)).fault, Some(RangeError::Fork { seq: 4 })));
}

#[test]
fn what_no_member_wrote_is_never_good() {
    let mut log = Log::new();
    log.say(&joiner(), 1, "let me in");
    let elsewhere = message(&seat(), RoomId::from_bytes([9; 32]), 1, log.end(), "moved", false);
    log.push(elsewhere);
    let EntryContent::Message { message: honest, .. } = message(&seat(), log.room, 1, log.end(), "hi", false)
    else {
        panic!("a message")
    };
    log.push(EntryContent::Message { message: honest, body: Some(r#"{"parts":[]}"#.into()) });
    assert_eq!(seen(&log.read()), "nii");
}

#[test]
fn an_agent_is_in_the_room_behind_its_admission_and_up_to_its_removal() {
    let mut log = Log::new();
    log.admit(&joiner(), 0);
    log.say(&joiner(), 1, "hi");
    log.act(Op::Remove { agent: joiner().public() });
    log.say(&joiner(), 2, "still here");
    log.admit(&joiner(), 0);
    log.say(&joiner(), 2, "back");
    let outcome = log.read();
    assert_eq!(seen(&outcome), "amanam");
    assert!(outcome.fault.is_none());
    assert_eq!(outcome.members, log.members);
    assert_eq!(outcome.members.name(&joiner().public()), Some("ben/app"));
}

#[test]
fn who_leaves_is_out_and_may_come_again() {
    let mut log = Log::new();
    log.admit(&joiner(), 0);
    let head = log.end();
    log.push(message(&joiner(), log.room, 1, head, "bye", true));
    log.members.note_leave(&joiner().public(), 2);
    log.say(&joiner(), 2, "one more thing");
    log.admit(&joiner(), 0);
    log.say(&joiner(), 2, "again");
    let outcome = log.read();
    assert_eq!(seen(&outcome), "amnam");
    assert_eq!(outcome.members, log.members);
}

#[test]
fn a_denial_is_final() {
    let mut log = Log::new();
    log.act(Op::Deny { agents: vec![joiner().public()] });
    let admit = admission(&joiner(), 0, log.end());
    assert_eq!(log.members.check_act(&Op::Admit(admit.clone()), 3, 256), Err(ActError::Denied));
    let (again, both) = ([joiner()], [joiner(), AgentKey::from_seed(&[9; 32])]);
    let deny = |agents: &[AgentKey]| Op::Deny { agents: agents.iter().map(AgentKey::public).collect() };
    let needless = log.members.check_act(&deny(&again), 3, 256).unwrap_err();
    assert!(needless == ActError::Denied && needless.is_done(&deny(&again)));
    assert_eq!(log.members.check_act(&deny(&both), 3, 256), Ok(()), "one of them is not turned away yet");
    log.act(Op::Admit(admit));
    log.say(&joiner(), 1, "hi");
    assert_eq!(seen(&log.read()), "aan", "an owner's own later word is void");
}

#[test]
fn so_many_are_turned_away_and_no_more() {
    let mut log = Log::new();
    let agents = |number: usize| {
        let agent = |at: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&(number * DENIED_AGENTS_MAX + at).to_be_bytes());
            AgentId::from_bytes(bytes)
        };
        Op::Deny { agents: (0..DENIED_AGENTS_MAX).map(agent).collect() }
    };
    let acts = DENIED_MAX / DENIED_AGENTS_MAX;
    for number in 0..acts {
        assert_eq!(log.members.check_act(&agents(number), log.end().seq + 1, 256), Ok(()));
        log.act(agents(number));
    }
    assert_eq!(log.members.check_act(&agents(acts), log.end().seq + 1, 256), Err(ActError::TooManyDenied));
}

#[test]
fn who_is_denied_already_or_named_twice_counts_once() {
    let mut log = Log::new();
    let agents = |numbers: std::ops::Range<u16>| {
        let agent = |number: u16| {
            let mut bytes = [0; 32];
            bytes[..2].copy_from_slice(&number.to_be_bytes());
            AgentId::from_bytes(bytes)
        };
        numbers.map(agent).collect::<Vec<_>>()
    };
    let all = u16::try_from(DENIED_MAX).unwrap();
    for agents in agents(0..all - 1).chunks(DENIED_AGENTS_MAX) {
        log.act(Op::Deny { agents: agents.to_vec() });
    }
    let check = |agents| log.members.check_act(&Op::Deny { agents }, log.end().seq + 1, 256);
    assert_eq!(check([agents(all - 2..all), agents(all - 1..all)].concat()), Ok(()));
    assert_eq!(check(agents(all - 2..all + 1)), Err(ActError::TooManyDenied));
    assert_eq!(check(agents(0..2)), Err(ActError::Denied));
}

#[test]
fn behind_the_end_of_a_room_nothing_counts() {
    let mut log = Log::new();
    log.act(Op::Close);
    log.say(&seat(), 1, "one more thing");
    let outcome = log.read();
    assert!(matches!(outcome.fault, Some(RangeError::Closed { seq: 2 })));
    assert_eq!(outcome.members.closed(), Some(1));
    assert_eq!(outcome.members.check_act(&Op::Close, 2, 256), Err(ActError::Closed));
}

#[test]
fn a_counter_that_skips_or_repeats_is_flagged() {
    let mut log = Log::new();
    log.say(&seat(), 1, "one");
    log.say(&seat(), 3, "three");
    log.push(log.entries[0].content.clone());
    log.push(log.entries[1].content.clone());
    log.say(&seat(), 3, "another three");
    log.say(&seat(), 4, "four");
    let outcome = log.read();
    assert_eq!(seen(&outcome), "mgrrfm");
    assert_eq!(outcome.counters.last_n(&seat().public()), 4);
}

#[test]
fn acts_form_one_chain_by_the_owner() {
    let mut log = Log::new();
    log.admit(&joiner(), 0);
    let room = log.room;
    let signed = |key: &UserKey, room, n, prev| {
        let op = Op::Remove { agent: joiner().public() };
        sign(key, Membership { room, n, prev, op, needs: Vec::new() })
    };
    let end = log.members.chain_end();
    let mut members = log.members.clone();
    let stranger = UserKey::from_seed(&[8; 32]);
    for (act, error) in [
        (signed(&stranger, room, 2, end.digest), ChainError::NotOwner),
        (signed(&owner(), RoomId::from_bytes([9; 32]), 2, end.digest), ChainError::OtherRoom),
        (signed(&owner(), room, 3, end.digest), ChainError::Broken { end }),
        (signed(&owner(), room, 2, genesis().digest()), ChainError::Broken { end }),
        (signed(&owner(), room, 0, genesis().digest()), ChainError::Broken { end }),
        (signed(&owner(), room, 1, genesis().digest()), ChainError::Fork { n: 1 }),
    ] {
        assert_eq!(members.append(&act, 2), Err(error));
    }
    let next = signed(&owner(), room, 2, end.digest);
    assert_eq!(members.append(&next, 1), Err(ChainError::Order { n: 2 }), "it stands where another does");
    assert_eq!(members, log.members);
    assert_eq!(members.append(&next, 2), Ok(()));
    assert_eq!(members.append(&next, 2), Ok(()), "again changes nothing");
    assert_eq!(members.append(&next, 3), Err(ChainError::Fork { n: 2 }));
    let mut forked = log;
    forked.push(EntryContent::Membership(signed(&stranger, room, 2, end.digest).signed().clone()));
    assert!(matches!(forked.read().fault, Some(RangeError::Chain { seq: 2, source: ChainError::NotOwner })));
}

#[test]
fn a_member_that_saw_another_history_makes_a_fork_unless_a_human_accepted_it() {
    let mut log = Log::new();
    log.say(&seat(), 1, "one");
    let head = LogPoint { seq: 1, log: Digest::of(b"another history") };
    log.push(message(&seat(), log.room, 2, head, "two", false));
    assert!(matches!(log.read().fault, Some(RangeError::Head { seq: 2 })));
    let (members, start) = (members(), log.points[0]);
    let checks = RangeChecks { members: &members, counters: None, accepted: 1 };
    let known = |seq| (seq == 0).then_some(start.log);
    let outcome = verify_range(checks, start, log.entries.clone(), known);
    assert!(outcome.fault.is_none());
    let ahead = LogPoint { seq: 3, log: Digest::of(b"what is to come") };
    log.push(message(&seat(), log.room, 3, ahead, "three", false));
    let checks = RangeChecks { members: &members, counters: None, accepted: 9 };
    let outcome = verify_range(checks, start, log.entries, known);
    assert!(matches!(outcome.fault, Some(RangeError::Head { seq: 3 })), "nobody accepts the future");
}

#[test]
fn a_seat_counts_until_it_expires_or_is_removed_and_only_by_the_owners_word() {
    let mut members = members();
    let seat = seat().public();
    let role = |members: &Members, seq, time| members.role(&seat, seq, time);
    assert_eq!(role(&members, 1, 90 * DAY - 1), Some(Role::Owner));
    assert_eq!(role(&members, 1, 90 * DAY), None);
    assert_eq!(members.name(&seat), Some("ana/app"));
    let remove = Membership {
        room: room_id(&genesis()),
        n: 1,
        prev: genesis().digest(),
        op: Op::Remove { agent: seat },
        needs: Vec::new(),
    };
    members.append(&sign(&owner(), remove), 4).expect("it begins the chain");
    assert_eq!((role(&members, 4, 1), role(&members, 5, 1)), (Some(Role::Owner), None));
    let mut other = Members::new(&genesis());
    let claim = Seat { seat, name: "eve".into(), issued: 0, expires: DAY };
    other.note_seat(&sign(&UserKey::from_seed(&[5; 32]), claim.clone()));
    other.note_seat(&sign(&owner(), Seat { expires: 91 * DAY, ..claim.clone() }));
    other.note_seat(&sign(&owner(), Seat { name: "e".repeat(101), ..claim }));
    assert_eq!(other.role(&seat, 1, 1), None);
    assert_eq!(other.name(&AgentId::from_bytes([0; 32])), None);
}

#[test]
fn an_admission_that_names_another_history_is_a_fork() {
    let mut log = Log::new();
    log.say(&seat(), 1, "one");
    let at = LogPoint { seq: 1, log: Digest::of(b"another history") };
    log.act(Op::Admit(admission(&joiner(), 0, at)));
    assert!(matches!(log.read().fault, Some(RangeError::Head { seq: 2 })));
}

#[test]
fn what_two_readers_know_of_the_members_comes_together() {
    let mut log = Log::new();
    log.admit(&joiner(), 0);
    let mut early = log.members.clone();
    let bye = early.clone();
    early.note_leave(&joiner().public(), 3);
    log.say(&seat(), 1, "hi");
    let mut late = log.members.clone();
    log.act(Op::Deny { agents: vec![AgentId::from_bytes([8; 32])] });
    late.absorb(&log.members);
    assert_eq!(late, log.members);
    for (mut ours, theirs) in [(early.clone(), &late), (late.clone(), &early)] {
        ours.absorb(theirs);
        assert!(ours.is_denied(&AgentId::from_bytes([8; 32])));
        assert_eq!(ours.role(&joiner().public(), 3, 1), Some(Role::Member));
        assert_eq!(ours.role(&joiner().public(), 4, 1), None, "who left is out for both");
    }
    let mut other = Log { members: bye, ..Log::new() };
    other.entries.clone_from(&log.entries);
    other.points.clone_from(&log.points);
    other.act(Op::Close);
    late.absorb(&other.members);
    assert_eq!(late.closed(), None, "another chain changes nothing");
    assert_eq!(late.anchors().collect::<Vec<_>>(), [log.points[0]]);
}

#[test]
fn what_two_readers_know_of_the_numbers_comes_together() {
    let mut log = Log::new();
    log.say(&seat(), 1, "one");
    log.say(&seat(), 2, "two");
    let read = log.read().counters;
    let mut noted = Counters::new(false);
    noted.note(seat().public(), 2);
    noted.note(seat().public(), 1);
    assert_eq!(noted.last_n(&seat().public()), 2);
    let mut both = noted.clone();
    both.absorb(&read);
    assert_eq!(both, read, "who knows more is believed");
    let mut same = read.clone();
    same.absorb(&noted);
    assert_eq!(same, read);
}

#[test]
fn across_what_has_expired_a_number_may_skip_and_not_come_again() {
    let mut log = Log::new();
    log.say(&seat(), 1, "one");
    let mut counters = log.read().counters;
    counters.skip();
    let mut rest = Log::new();
    rest.say(&seat(), 5, "five");
    rest.say(&seat(), 7, "seven");
    rest.push(log.entries[0].content.clone());
    let members = members();
    let checks = RangeChecks { members: &members, counters: Some(&counters), accepted: 0 };
    let start = rest.points[0];
    let outcome = verify_range(checks, start, rest.entries, |seq| (seq == 0).then_some(start.log));
    assert_eq!(seen(&outcome), "mgf", "of older messages only the numbers are kept");
}
