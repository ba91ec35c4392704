//! Whatever a hub answers, what a reader is given is the truth up to some entry, or the room is flagged.

use kit::Random;
use protocol::frame::{Answer, Pulled};
use protocol::part::Part;
use protocol::refusal::{Refusal, RefusalCode};
use protocol::statement::Op;

use super::*;

/// A session with acts, a leave and a member who reads slowly, so that heads lie behind.
fn story(random: &mut Random, me: Option<AgentId>) -> Story {
    let mut story = Story::new(7);
    story.say(&ana(), "0");
    story.admit(ben().public(), "ben/app", true);
    let joins_at = random.below(12);
    for i in 1..20 {
        if let Some(me) = me.filter(|_| i == joins_at) {
            story.admit(me, "eve/app", true);
        }
        match random.below(10) {
            0 => story.act(Op::Deny { agents: vec![AgentId::from_bytes([u8::try_from(i).unwrap(); 32])] }),
            1..=4 => story.say(&ben(), &i.to_string()),
            5 => {
                let head = story.points[random.below(story.points.len())];
                story.say_parts(&ben(), vec![Part::Text(i.to_string())], |header| header.head = head);
            }
            _ => story.say(&ana(), &i.to_string()),
        }
    }
    if let Some(me) = me.filter(|_| joins_at == 0) {
        story.admit(me, "eve/app", true);
    }
    story.say(&ana(), "end");
    story
}

/// Changes a page in one of the ways in which a hub can.
fn change(random: &mut Random, page: &mut Pulled, other: &Story, truth: &Story) {
    let count = page.entries.len();
    let any = random.below(count.max(1));
    let from = usize::try_from(page.start.seq).unwrap();
    match random.below(14) {
        0 if count > 0 => _ = page.entries.remove(any),
        1 if count > 0 => {
            page.entries.remove(any);
            for (i, entry) in page.entries.iter_mut().enumerate() {
                entry.seq = page.start.seq + 1 + i as u64;
            }
        }
        2 if count > 1 => {
            let two = random.below(count);
            let content = page.entries[any].content.clone();
            page.entries[any].content = std::mem::replace(&mut page.entries[two].content, content);
        }
        3 if count > 0 => {
            if let EntryContent::Message { body, .. } = &mut page.entries[any].content {
                *body = Some(r#"{"parts":[{"kind":"text","text":"a lie"}]}"#.to_owned());
            }
        }
        4 if count > 0 => {
            page.entries[any].content = other.entries[random.below(other.entries.len())].content.clone();
        }
        5 if count > 0 => {
            page.entries[any].content = truth.entries[random.below(truth.entries.len())].content.clone();
        }
        6 => page.entries.truncate(any),
        7 => page.end = other.points[random.below(other.points.len())],
        8 => page.end = truth.points[random.below(truth.points.len())],
        9 => page.start.log = Digest::of(b"elsewhere"),
        10 => page.seats.clear(),
        11 => page.entries = other.entries.get(from..).unwrap_or_default().to_vec(),
        12 if count > 0 => page.entries[any].seq = random.below(30) as u64,
        13 if count > 0 => {
            if let EntryContent::Message { body, .. } = &mut page.entries[any].content {
                *body = None;
            }
        }
        _ => {}
    }
}

fn refuse(random: &mut Random, truth: &Story) -> Refusal {
    let mut base = truth.points[random.below(truth.points.len())];
    if random.chance(30) {
        base.log = Digest::of(b"elsewhere");
    }
    let code = if random.chance(70) { RefusalCode::Pruned } else { RefusalCode::BadRequest };
    Refusal { base: Some(Box::new(base)), ..Refusal::new(code, "no") }
}

/// What a reader was given, and whether it was told that something is odd.
#[derive(Default)]
struct Given {
    lines: Vec<String>,
    is_flagged: bool,
}

impl Given {
    /// Reads once behind `at`; returns where it goes on.
    async fn read(&mut self, reader: &Reader, room: &mut Room, truth: &Story, at: u64) -> u64 {
        let Ok(page) = room.read(&reader.link, at, 8, None).await else { return at };
        self.is_flagged |= page.fork.is_some() || page.expired_unread > 0 || page.is_unchecked;
        let shown_truth = truth.shown();
        for item in &page.items {
            let line = line(item);
            let seq = usize::try_from(item.seq).unwrap();
            match &item.content {
                Content::Message(said) => {
                    self.is_flagged |= !said.flags.is_empty() || !matches!(said.body, SaidBody::Read(_));
                    assert!(!line.contains("a lie"), "{line}");
                    if let SaidBody::Read(body) = &said.body {
                        let words = format!(" {}", text(body));
                        assert!(shown_truth.iter().any(|line| line.ends_with(&words)), "{line}");
                    }
                }
                Content::Act(_) => {}
                Content::Repeated { .. } | Content::Invalid | Content::NotMember { .. } => {
                    self.is_flagged = true;
                }
            }
            assert!(seq <= 64, "{line}");
            self.lines.push(line);
        }
        page.end_seq
    }
}

#[tokio::test]
async fn what_comes_out_is_a_prefix_of_the_truth_or_flagged() {
    let (seeds, reader) = (if kit::is_long() { 4000 } else { 200 }, Reader::new().await);
    reader.peer.with_shelf(|shelf| shelf.page_max = Some(5));
    let mut noticed = 0;
    for seed in 0..seeds {
        let mut random = Random::new(seed);
        let me = random.chance(50).then_some(reader.me);
        let truth = story(&mut random, me);
        let mut other = Story::new(8);
        (0..20).for_each(|_| other.say(&ana(), "a lie"));
        truth.plant(&reader.peer);
        let memory = reader.memory(&truth);
        for old in [memory.path(), &memory.path().with_extension("json.lock")] {
            std::fs::remove_file(old).ok();
        }
        let open = || if me.is_some() { reader.joined(&truth) } else { reader.own(&truth) };
        let (mut given, mut at, mut room) = (Given::default(), 0, open());
        for _ in 0..6 {
            let (mut lies, truth_of, other_of) = (random.clone(), truth.clone(), other.clone());
            random.next();
            reader.peer.lie_or_refuse(move |outcome| {
                if let Ok(Answer::Pull(page)) = outcome
                    && lies.chance(40)
                {
                    if lies.chance(20) {
                        *outcome = Err(refuse(&mut lies, &truth_of));
                    } else {
                        change(&mut lies, page, &other_of, &truth_of);
                    }
                }
            });
            if random.chance(30) {
                let end = LogPoint { seq: u64::MAX, ..room.head() };
                // Refused or not, what was taken over must hold.
                room.catch_up(&reader.link, end).await.ok();
            }
            at = given.read(&reader, &mut room, &truth, at).await;
            if random.chance(20) {
                room = open();
            }
        }
        reader.peer.tell_the_truth();
        loop {
            let next = given.read(&reader, &mut room, &truth, at).await;
            if next <= at {
                break;
            }
            at = next;
        }
        given.is_flagged |= room.fork().is_some();
        let is_whole = given.lines == truth.shown();
        assert!(is_whole || given.is_flagged, "seed {seed}: {:#?}", given.lines);
        noticed += usize::from(given.is_flagged);
    }
    assert!(noticed > usize::try_from(seeds).unwrap() / 2, "the hub lied too rarely: {noticed}");
}
