//! The rules of a room against a model written without them, and against a hub that shows something else than it got.

use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

use super::tests::{Log, joiner, members, message, seat, seen};
use super::{Counters, RangeChecks, RangeOutcome, Reading, extend, verify_range};
use crate::frame::{Entry, EntryContent};
use crate::id::{Digest, RoomId};
use crate::key::{AgentId, AgentKey};
use crate::signed::sign;
use crate::statement::{LogPoint, Op};

/// What happens in a room: the owner acts, or one of some agents speaks or leaves, allowed or not.
#[derive(Debug, Clone, Copy)]
enum Event {
    Admit(u8),
    Deny(u8),
    Remove(u8),
    Say(u8),
    Leave(u8),
    OwnerSays,
    Close,
}

fn event() -> impl Strategy<Value = Event> {
    let agent = 0..4u8;
    prop_oneof![
        4 => agent.clone().prop_map(Event::Admit),
        1 => agent.clone().prop_map(Event::Deny),
        2 => agent.clone().prop_map(Event::Remove),
        8 => agent.clone().prop_map(Event::Say),
        2 => agent.prop_map(Event::Leave),
        2 => Just(Event::OwnerSays),
    ]
}

fn agent(who: u8) -> AgentKey {
    AgentKey::from_seed(&[100 + who; 32])
}

/// Who is in, in the words of the specification: admitted, and since then neither removed nor gone; denied is for good.
#[derive(Debug, Default)]
struct Model {
    inside: BTreeSet<u8>,
    denied: BTreeSet<u8>,
    counts: BTreeMap<u8, u64>,
    is_closed: bool,
}

impl Model {
    /// Says whether an honest hub takes it: nobody who is not in says anything.
    fn is_taken(&self, event: Event) -> bool {
        match event {
            Event::Say(who) | Event::Leave(who) => self.inside.contains(&who),
            _ => true,
        }
    }

    /// Lets `event` happen in `log` too, and returns the letter that a reader sees for it.
    fn happen(&mut self, log: &mut Log, event: Event) -> char {
        match event {
            Event::Admit(who) => {
                log.admit(&agent(who), 0);
                if !self.denied.contains(&who) {
                    self.inside.insert(who);
                }
                'a'
            }
            Event::Deny(who) => {
                log.act(Op::Deny { agents: vec![agent(who).public()] });
                self.denied.insert(who);
                'a'
            }
            Event::Remove(who) => {
                log.act(Op::Remove { agent: agent(who).public() });
                self.inside.remove(&who);
                'a'
            }
            Event::Say(who) | Event::Leave(who) => {
                let leaves = matches!(event, Event::Leave(_));
                let is_in = self.inside.contains(&who);
                let n = self.counts.get(&who).copied().unwrap_or(0) + 1;
                let (head, room) = (log.end(), log.room);
                log.push(message(&agent(who), room, n, head, "hi", leaves));
                if !is_in {
                    return 'n';
                }
                self.counts.insert(who, n);
                if leaves {
                    log.members.note_leave(&agent(who).public(), log.end().seq);
                    self.inside.remove(&who);
                }
                'm'
            }
            Event::OwnerSays => {
                let n = self.counts.entry(OWNER).or_insert(0);
                *n += 1;
                log.say(&seat(), *n, "hi");
                'm'
            }
            Event::Close => {
                log.act(Op::Close);
                self.is_closed = true;
                'a'
            }
        }
    }
}

/// What a lying hub does to the entries it shows; it has nobody's key, but the old messages of all.
#[derive(Debug, Clone, Copy)]
enum Lie {
    Drop(usize),
    Swap(usize, usize),
    Replay(usize, usize),
    OtherBody(usize),
    FromElsewhere(usize),
    ByAStranger(usize),
    ByWhoIsOut(usize),
    WithoutTheAct(usize),
}

fn lie() -> impl Strategy<Value = Lie> {
    let at = 0..40usize;
    prop_oneof![
        at.clone().prop_map(Lie::Drop),
        (at.clone(), at.clone()).prop_map(|(one, two)| Lie::Swap(one, two)),
        (at.clone(), at.clone()).prop_map(|(one, two)| Lie::Replay(one, two)),
        at.clone().prop_map(Lie::OtherBody),
        at.clone().prop_map(Lie::FromElsewhere),
        at.clone().prop_map(Lie::ByAStranger),
        at.clone().prop_map(Lie::ByWhoIsOut),
        at.prop_map(Lie::WithoutTheAct),
    ]
}

fn tell(lie: Lie, entries: &mut Vec<Entry>, room: RoomId) {
    let count = entries.len();
    let put = |entries: &mut Vec<Entry>, at: usize, content| {
        let at = at % (entries.len() + 1);
        entries.insert(at, Entry { seq: 0, content });
    };
    let head = LogPoint::start(room);
    match lie {
        Lie::Drop(at) => drop(entries.remove(at % count)),
        Lie::Swap(one, two) => entries.swap(one % count, two % count),
        Lie::Replay(from, to) => {
            let content = entries[from % count].content.clone();
            put(entries, to, content);
        }
        Lie::OtherBody(at) => {
            if let EntryContent::Message { body, .. } = &mut entries[at % count].content {
                *body = Some(r#"{"parts":[{"kind":"text","text":"a lie"}]}"#.into());
            }
        }
        Lie::FromElsewhere(at) => {
            let elsewhere = RoomId::from_bytes([9; 32]);
            put(entries, at, message(&joiner(), elsewhere, 1, LogPoint::start(elsewhere), "a lie", false));
        }
        Lie::ByAStranger(at) => {
            put(entries, at, message(&AgentKey::from_seed(&[9; 32]), room, 1, head, "a lie", false));
        }
        // Behind its removal: before it, who was a member may have said it, whenever the hub got it.
        Lie::ByWhoIsOut(at) => {
            put(entries, 2 + at % (count - 1).max(1), message(&agent(7), room, 1, head, "a lie", false));
        }
        Lie::WithoutTheAct(at) => {
            let acts: Vec<usize> =
                (0..count).filter(|at| matches!(entries[*at].content, EntryContent::Membership(_))).collect();
            if let Some(at) = acts.get(at % acts.len().max(1)) {
                entries.remove(*at);
            }
        }
    }
    // As good as a hub can make it: numbers without holes.
    for (seq, entry) in (1..).zip(entries) {
        entry.seq = seq;
    }
}

fn read(log: &Log, entries: Vec<Entry>) -> RangeOutcome {
    let (members, counters) = (members(), Counters::new(true));
    let checks = RangeChecks { members: &members, counters: Some(&counters), accepted: 0 };
    let start = log.points[0];
    verify_range(checks, start, entries, |seq| (seq == 0).then_some(start.log))
}

/// Returns the messages that are shown, in order, with or without those of the agent that was put out.
fn good(outcome: &RangeOutcome, with_who_is_out: bool) -> Vec<Digest> {
    let is_counted = |author: AgentId| with_who_is_out || author != agent(7).public();
    let shown = outcome.readings.iter().filter_map(|reading| match reading {
        Reading::Good(good) if is_counted(good.header.by()) => Some(good.header.digest()),
        _ => None,
    });
    shown.collect()
}

proptest! {
    #![proptest_config(crate::cases(192))]

    #[test]
    fn who_is_in_is_what_the_specification_says(events in vec(event(), 0..40), closes in any::<bool>()) {
        let (mut log, mut model) = (Log::new(), Model::default());
        let mut expected: String = events.iter().map(|event| model.happen(&mut log, *event)).collect();
        if closes {
            expected.push(model.happen(&mut log, Event::Close));
        }
        let outcome = read(&log, log.entries.clone());
        prop_assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
        prop_assert_eq!(seen(&outcome), expected);
        let end = log.end().seq + 1;
        let inside: BTreeSet<_> = outcome.members.admitted(end).map(|(agent, _)| agent).collect();
        prop_assert_eq!(inside, model.inside.iter().map(|who| agent(*who).public()).collect());
        prop_assert_eq!(outcome.members.closed().is_some(), model.is_closed);
        let text = serde_json::to_string(&outcome.members).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<super::Members>(&text).expect("the same"), outcome.members);
    }

    #[test]
    fn reading_in_pages_is_reading_at_once(events in vec(event(), 1..40), cut in 0..40usize) {
        let (mut log, mut model) = (Log::new(), Model::default());
        for event in &events {
            model.happen(&mut log, *event);
        }
        let whole = read(&log, log.entries.clone());
        let cut = cut % log.entries.len();
        let first = read(&log, log.entries[..cut].to_vec());
        let checks =
            RangeChecks { members: &first.members, counters: Some(&first.counters), accepted: 0 };
        let known = |seq| (seq == first.end.seq).then_some(first.end.log);
        let second = verify_range(checks, first.end, log.entries[cut..].to_vec(), known);
        prop_assert_eq!(seen(&first) + &seen(&second), seen(&whole));
        prop_assert_eq!((second.end, second.members, second.counters), (whole.end, whole.members, whole.counters));
    }

    #[test]
    fn what_is_shown_as_good_is_what_was_written_there(
        events in vec(event(), 1..40),
        lies in vec(lie(), 1..4),
    ) {
        let (mut log, mut model) = (Log::new(), Model::default());
        // Somebody who was in and is out, and whose old messages the hub has.
        log.admit(&agent(7), 0);
        log.act(Op::Remove { agent: agent(7).public() });
        // What an honest hub takes: it refuses who is not in.
        for event in events {
            if model.is_taken(event) {
                model.happen(&mut log, event);
            }
        }
        let mut told = log.entries.clone();
        for lie in lies {
            if !told.is_empty() {
                tell(lie, &mut told, log.room);
            }
        }
        let is_lie = told != log.entries;
        let outcome = read(&log, told.clone());
        let honest = read(&log, log.entries.clone());
        // Every author here had seen all before its message, so that what stands behind a lie is a fork. Only an entry
        // that fails by itself leaves the log as it was.
        // A hub that withholds a removal from the end of a log may go on with who was removed, until somebody else says
        // or does something: nobody can know then.
        let is_out_told = told.get(1) == log.entries.get(1);
        let (shown, written) = (good(&outcome, is_out_told), good(&honest, true));
        let mut rest = written.iter();
        prop_assert!(shown.iter().all(|one| rest.any(|other| other == one)), "another text or order");
        let has_mark = seen(&outcome).contains(['i', 'r', 'f', 'g']);
        prop_assert!(has_mark || written.starts_with(&shown), "a hole that nobody is told of");
        let is_prefix = log.entries.starts_with(&told);
        let letters = seen(&outcome);
        let whole = seen(&honest);
        if is_lie && !is_prefix {
            prop_assert!(outcome.fault.is_some() || letters != whole, "{letters}");
        }
    }

    #[test]
    fn a_point_commits_to_all_before_it(texts in vec("[a-z]{0,4}", 1..12), at in 0..12usize) {
        let (mut one, mut two) = (Log::new(), Log::new());
        let at = at % texts.len();
        for (n, text) in (1..).zip(&texts) {
            let other = if n == at as u64 + 1 { "other" } else { text };
            let head = LogPoint::start(one.room);
            one.push(message(&seat(), one.room, n, head, text, false));
            two.push(message(&seat(), two.room, n, head, other, false));
        }
        for (place, (here, there)) in one.points.iter().zip(&two.points).enumerate() {
            prop_assert_eq!(here == there, place <= at);
        }
        let digest = sign(&seat(), crate::statement::Message {
            room: one.room, n: 1, head: LogPoint::start(one.room), sent: 0, epoch: 0,
            body: Digest::of(b""), blobs: Vec::new(), leave: false, needs: Vec::new(),
        }).digest();
        let (here, there) = (extend(&one.points[0], &digest), extend(&one.points[1], &digest));
        prop_assert_ne!(here.log, there.log, "the place is part of the value");
    }
}

/// The owner's seat among the agents of the model.
const OWNER: u8 = u8::MAX;
