//! A hub that lies about the log: each lie is refused or flagged, evidence is kept, and no text of it comes out.

use protocol::frame::{Answer, Pulled};
use protocol::refusal::{Refusal, RefusalCode};
use protocol::statement::Op;

use super::*;
use crate::Error;

/// Stands in everything that nobody has said.
const LIE: &str = "a lie";

pub(super) fn story() -> Story {
    let mut story = Story::new(7);
    story.say(&ana(), "one");
    story.admit(ben().public(), "ben/app", true);
    story.say(&ben(), "three");
    story.say(&ana(), "four");
    story.say(&ben(), "five");
    story.say(&ana(), "six");
    story
}

/// What reading all of a log gave to which the hub did something on the way.
#[must_use]
struct Outcome {
    lines: Vec<String>,
    /// Where the log forks.
    fork: Option<u64>,
    evidence: usize,
}

/// Reads the story as the owner's other seat does, three entries of which were read before the lie.
async fn told(lie: impl FnMut(&mut Pulled) + Send + 'static) -> Outcome {
    told_of(&story(), &story(), lie).await
}

/// As [`told`], of one story first and then of another.
async fn told_of(first: &Story, then: &Story, mut lie: impl FnMut(&mut Pulled) + Send + 'static) -> Outcome {
    let reader = Reader::new().await;
    first.plant(&reader.peer);
    let mut room = reader.own(first);
    let page = room.read(&reader.link, 0, 3, None).await.unwrap();
    let mut lines = shown(&page);
    then.plant(&reader.peer);
    reader.peer.lie(move |answer| {
        if let Answer::Pull(page) = answer {
            lie(page);
        }
    });
    let page = reader.read(&mut room, 3).await;
    assert!(!format!("{page:?}").contains(LIE), "{page:?}");
    lines.extend(shown(&page));
    let again = shown(&reader.read(&mut reader.own(first), 0).await);
    let fork = room.fork().map(|fork| fork.seq);
    assert_eq!(room.check_fork().is_err(), fork.is_some());
    if fork.is_none() {
        assert_eq!(again, lines, "who reads later is told the same");
    }
    Outcome { lines, fork, evidence: reader.evidence() }
}

impl Outcome {
    #[track_caller]
    fn is(&self, lines: &[&str], fork: Option<u64>) {
        let first = ["1 one", "2 act", "3 three"];
        let all: Vec<_> = first.iter().chain(lines).copied().collect();
        assert_eq!((self.lines.iter().map(String::as_str).collect::<Vec<_>>(), self.fork), (all, fork));
        assert!(self.evidence > 0, "both sides are kept");
    }
}

/// Stories that differ from the true one in what `change` does behind the third entry.
fn other(change: impl FnOnce(&mut Story)) -> Story {
    let mut other = story();
    other.entries.truncate(3);
    other.points.truncate(4);
    other.numbers = BTreeMap::from([(ana().public(), 1), (ben().public(), 1)]);
    change(&mut other);
    other
}

#[tokio::test]
async fn a_dropped_entry_is_a_hole_and_a_fork() {
    told(|page| page.entries.retain(|entry| entry.seq != 5)).await.is(&["4 four"], Some(5));
}

#[tokio::test]
async fn a_dropped_entry_that_is_closed_up_contradicts_what_the_next_author_saw() {
    let lie = other(|story| {
        story.say(&ana(), "four");
        let mut whole = story.clone();
        whole.say(&ben(), "five");
        story.push(whole.signed(&ana(), "six"));
    });
    told_of(&story(), &lie, |_| {}).await.is(&["4 four"], Some(5));
}

#[tokio::test]
async fn swapped_entries_are_a_fork() {
    let swap = |page: &mut Pulled| {
        if let [four, five, ..] = page.entries.as_mut_slice()
            && four.seq == 4
        {
            std::mem::swap(&mut four.content, &mut five.content);
        }
    };
    told(swap).await.is(&[], Some(4));
}

#[tokio::test]
async fn an_altered_header_is_invalid_and_contradicts_what_the_next_author_saw() {
    let alter = |page: &mut Pulled| {
        for entry in page.entries.iter_mut().filter(|entry| entry.seq == 4) {
            let EntryContent::Message { message, .. } = &mut entry.content else { panic!("a message") };
            let text = protocol::json::write(&*message).replace("\\\"sent\\\":5", "\\\"sent\\\":6");
            *message = protocol::json::parse(&text).unwrap();
        }
    };
    told(alter).await.is(&["4 invalid"], Some(5));
}

#[tokio::test]
async fn an_altered_body_is_invalid() {
    let alter = |page: &mut Pulled| {
        for entry in page.entries.iter_mut().filter(|entry| entry.seq == 4) {
            let EntryContent::Message { body, .. } = &mut entry.content else { panic!("a message") };
            *body = body.take().map(|body| body.replace("four", LIE));
        }
    };
    told(alter).await.is(&["4 invalid", "5 five", "6 six"], None);
}

#[tokio::test]
async fn a_message_of_another_room_is_invalid() {
    let mut elsewhere = Story::new(8);
    elsewhere.say(&ana(), LIE);
    let moved = elsewhere.entries[0].content.clone();
    let lie = other(|story| {
        story.push(moved);
        story.say(&ben(), "five");
    });
    told_of(&story(), &lie, |_| {}).await.is(&["4 invalid", "5 five"], None);
}

#[tokio::test]
async fn a_message_that_is_told_again_is_not_shown_again() {
    let mut first = story();
    first.entries.truncate(3);
    first.points.truncate(4);
    let replayed = first.entries[2].content.clone();
    let lie = other(|story| {
        story.push(replayed);
        story.say(&ana(), "five");
    });
    told_of(&first, &lie, |_| {}).await.is(&["4 replayed", "5 five"], None);
}

#[tokio::test]
async fn another_message_under_a_number_that_was_counted_is_not_shown() {
    let lie = other(|story| {
        story.numbers.insert(ben().public(), 0);
        story.say(&ben(), LIE);
        story.numbers.insert(ben().public(), 3);
        story.say(&ben(), "after a gap");
    });
    told_of(&story(), &lie, |_| {}).await.is(&["4 fork", "5 after a gap (gap)"], None);
}

#[tokio::test]
async fn who_is_no_member_is_not_heard() {
    let lie = other(|story| story.say(&AgentKey::from_seed(&[9; 32]), LIE));
    told_of(&story(), &lie, |_| {}).await.is(&["4 not a member"], None);
}

#[tokio::test]
async fn who_has_no_word_of_the_owner_is_not_heard() {
    // Known from the first entries already.
    let outcome = told(|page| page.seats.clear()).await;
    let lines = ["1 one", "2 act", "3 three", "4 four", "5 five", "6 six"];
    assert_eq!((outcome.lines, outcome.fork, outcome.evidence), (lines.map(str::to_owned).to_vec(), None, 0));
    let reader = Reader::new().await;
    story().plant(&reader.peer);
    reader.peer.with_shelf(|shelf| shelf.seats.clear());
    let mut room = reader.own(&story());
    let lines = ["1 not a member", "2 act", "3 three", "4 not a member", "5 five", "6 not a member"];
    assert_eq!(reader.read_all(&mut room, 0).await, lines);
}

#[tokio::test]
async fn a_membership_that_the_owner_has_not_signed_is_a_fork_and_admits_nobody() {
    let eve = AgentKey::from_seed(&[9; 32]);
    let lie = other(|story| {
        story.say(&ana(), "four");
        let at = story.end();
        let admit = Admit {
            agent: eve.public(),
            name: "eve".into(),
            role: Role::Member,
            floor: 0,
            at,
            key: None,
            user: None,
        };
        let forged = story.signed_act(&UserKey::from_seed(&[9; 32]), Op::Admit(admit));
        story.push(EntryContent::Membership(forged.signed().clone()));
        story.say(&eve, LIE);
    });
    told_of(&story(), &lie, |_| {}).await.is(&["4 four"], Some(5));
}

#[tokio::test]
async fn another_history_of_what_was_read_is_a_fork() {
    let mut lie = Story::new(7);
    lie.say(&ana(), LIE);
    lie.admit(ben().public(), "ben/app", true);
    (0..4).for_each(|_| lie.say(&ana(), LIE));
    told_of(&story(), &lie, |_| {}).await.is(&[], Some(3));
}

#[tokio::test]
async fn another_genesis_gives_nothing() {
    let mut lie = Story::new(8);
    (0..6).for_each(|_| lie.say(&ana(), LIE));
    let honest = story();
    told_of(&honest, &honest, move |page| {
        let after = usize::try_from(page.start.seq).unwrap();
        (page.start, page.end) = (lie.points[after], lie.end());
        page.entries = lie.entries[after..].to_vec();
    })
    .await
    .is(&[], Some(3));
}

#[tokio::test]
async fn a_log_that_was_rolled_back_is_a_fork_and_what_was_read_stays_readable() {
    let (reader, story) = (Reader::new().await, story());
    story.plant(&reader.peer);
    let mut room = reader.own(&story);
    reader.read_all(&mut room, 0).await;
    let mut short = story.clone();
    short.entries.truncate(4);
    short.points.truncate(5);
    short.plant(&reader.peer);
    let page = reader.read(&mut room, 2).await;
    assert_eq!((shown(&page), page.fork.map(|fork| fork.seq)), (story.shown()[2..4].to_vec(), Some(4)));
    assert_eq!((room.head(), reader.evidence()), (story.end(), 1));
    let mut again = reader.own(&story);
    reader.catch_up(&mut again).await;
    assert!(again.check_shown().is_err() && again.head() == story.end());
    assert_eq!(reader.evidence(), 2, "what it refuses shows it too");
}

#[tokio::test]
async fn an_end_that_is_not_where_the_entries_lead_is_a_fork() {
    told(|page| page.end.log = Digest::of(b"elsewhere")).await.is(&["4 four", "5 five", "6 six"], Some(6));
}

#[tokio::test]
async fn entries_that_are_announced_and_do_not_come_are_a_contradiction() {
    let (reader, story) = (Reader::new().await, story());
    story.plant(&reader.peer);
    reader.peer.lie(|answer| {
        if let Answer::Pull(page) = answer {
            page.entries.clear();
        }
    });
    let read = reader.own(&story).read(&reader.link, 0, 9, None).await;
    assert!(matches!(read, Err(Error::Contradiction { .. })));
}

#[tokio::test]
async fn a_log_that_was_said_to_have_expired_up_to_another_value_is_a_fork() {
    let (reader, story) = (Reader::new().await, story());
    story.plant(&reader.peer);
    let mut room = reader.own(&story);
    reader.read_all(&mut room, 0).await;
    let base = LogPoint { seq: 6, log: Digest::of(b"elsewhere") };
    reader.peer.lie_or_refuse(move |outcome| {
        if let Ok(Answer::Pull(_)) = outcome {
            let pruned = Refusal::new(RefusalCode::Pruned, "gone");
            *outcome = Err(Refusal { base: Some(Box::new(base)), ..pruned });
        }
    });
    let page = reader.read(&mut room, 2).await;
    assert_eq!((shown(&page), page.expired_unread, page.fork.is_some()), (Vec::new(), 0, true));
    assert_eq!((page.end_seq, reader.evidence()), (2, 1), "what did not expire is to be read yet");
}

#[tokio::test]
async fn a_log_that_expires_ever_again_is_given_up() {
    let (reader, story) = (Reader::new().await, story());
    story.plant(&reader.peer);
    let mut seq = 10;
    reader.peer.lie_or_refuse(move |outcome| {
        if let Ok(Answer::Pull(_)) = outcome {
            seq += 1;
            let base = LogPoint { seq, log: Digest::of(b"elsewhere") };
            let pruned = Refusal::new(RefusalCode::Pruned, "gone");
            *outcome = Err(Refusal { base: Some(Box::new(base)), ..pruned });
        }
    });
    let page = reader.read(&mut reader.own(&story), 0).await;
    assert_eq!(shown(&page), Vec::<String>::new());
}

#[tokio::test]
async fn evidence_is_kept_once_private_and_not_without_end() {
    use std::os::unix::fs::PermissionsExt as _;
    let (reader, story) = (Reader::new().await, story());
    story.plant(&reader.peer);
    reader.read_all(&mut reader.own(&story), 0).await;
    for i in 0..crate::limits::EVIDENCE_FILES_MAX + 5 {
        reader.peer.lie(move |answer| {
            if let Answer::Pull(page) = answer {
                page.end.log = Digest::of(&i.to_be_bytes());
            }
        });
        for _ in 0..2 {
            assert!(reader.read(&mut reader.own(&story), 0).await.fork.is_some());
        }
    }
    assert_eq!(reader.evidence(), crate::limits::EVIDENCE_FILES_MAX);
    let folder = std::fs::read_dir(reader.home.path().join("data/evidence")).unwrap();
    for file in folder {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text: serde_json::Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
        assert_eq!(text["verified"]["head"]["seq"], 6);
        assert_eq!(text["shown"]["entries"].as_array().unwrap().len(), 6);
    }
}

#[tokio::test]
async fn an_admission_that_names_another_history_than_the_one_that_was_read_is_a_fork() {
    let (reader, before) = (Reader::new().await, story());
    before.plant(&reader.peer);
    reader.catch_up(&mut reader.own(&before)).await;
    let mut others = other(|story| {
        story.say(&ana(), "four");
        story.say(&ana(), "what was said to others only");
    });
    others.admit(reader.me, "eve/app", true);
    let room = reader.joined(&others);
    assert_eq!(room.fork().map(|fork| fork.seq), Some(5));
    assert!(room.check_shown().is_err() && reader.evidence() == 1);
}

#[tokio::test]
async fn another_end_and_another_act_are_kept_too() {
    let (reader, story) = (Reader::new().await, story());
    story.plant(&reader.peer);
    let mut room = reader.own(&story);
    room.read(&reader.link, 0, 3, None).await.unwrap();
    let end = LogPoint { log: Digest::of(b"elsewhere"), ..room.head() };
    room.catch_up(&reader.link, end).await.unwrap();
    assert_eq!((room.fork().map(|fork| fork.seq), reader.evidence()), (Some(3), 1));
    // The owner has signed two acts for one place of the chain, and the hub shows this one here and that one there.
    let mut other = Story::new(7);
    other.say(&ana(), "one");
    other.admit(ben().public(), "another name", true);
    let acts = other.chain();
    reader.peer.with_shelf(|shelf| shelf.prune(story.room, 5));
    reader.peer.lie(move |answer| {
        if let Answer::Chain(page) = answer {
            page.entries.clone_from(&acts);
        }
    });
    room.read(&reader.link, 3, 9, None).await.unwrap();
    assert_eq!(reader.evidence(), 2);
    let folder = std::fs::read_dir(reader.home.path().join("data/evidence")).unwrap();
    let texts = folder.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    assert!(texts.collect::<String>().contains("another name"), "the act as it was signed");
}

#[tokio::test]
async fn a_fork_that_is_found_on_the_way_to_what_the_owner_signed_is_noted_however_it_ends() {
    let (reader, mut story) = (Reader::new().await, story());
    story.admit(reader.me, "eve/app", true);
    story.plant(&reader.peer);
    let mut room = reader.joined(&story);
    let early = story.points[2];
    reader.peer.lie(move |answer| {
        if let Answer::Pull(page) = answer {
            page.entries.clear();
            page.end = early;
        }
    });
    let end = LogPoint { seq: u64::MAX, ..room.head() };
    assert!(matches!(room.catch_up(&reader.link, end).await, Err(Error::Contradiction { .. })));
    assert!(room.check_shown().is_err());
}

#[tokio::test]
async fn only_what_is_kept_is_said_to_be() {
    for is_kept in [true, false] {
        let (reader, story) = (Reader::new().await, story());
        story.plant(&reader.peer);
        if !is_kept {
            // A file stands where the folder would.
            std::fs::write(reader.home.path().join("data/evidence"), b"").unwrap();
        }
        let mut room = reader.own(&story);
        reader.read_all(&mut room, 0).await;
        room.catch_up(&reader.link, LogPoint { log: Digest::of(b"elsewhere"), ..room.head() }).await.unwrap();
        let hint = room.check_fork().unwrap_err().hint().unwrap();
        assert_eq!(hint.contains("what it showed is kept in"), is_kept, "{hint}");
        assert!(hint.contains("git parler use --accept-fork"), "{hint}");
    }
}

#[tokio::test]
async fn a_chain_without_end_is_given_up() {
    let (reader, story) = (Reader::new().await, story());
    story.plant(&reader.peer);
    let mut room = reader.own(&story);
    room.read(&reader.link, 0, 3, None).await.unwrap();
    reader.peer.with_shelf(|shelf| shelf.prune(story.room, 5));
    let mut bye = story.clone();
    bye.say_parts(&ben(), Vec::new(), |header| header.leave = true);
    let (bye, mut seq) = (bye.entries.last().unwrap().clone(), 100);
    reader.peer.lie(move |answer| {
        if let Answer::Chain(page) = answer {
            seq += 1;
            page.entries = vec![Entry { seq, ..bye.clone() }];
            page.more = true;
        }
    });
    let read = room.read(&reader.link, 3, 9, None).await;
    assert!(matches!(read, Err(Error::Contradiction { .. })));
}

#[tokio::test]
async fn a_reader_far_behind_is_not_given_what_lies_between_two_known_values_and_leads_to_neither() {
    let (reader, mut story) = (Reader::new().await, Story::new(7));
    // Authors who look at nothing, so that only the log itself tells.
    let look_at_nothing = |story: &mut Story, text: String| {
        let start = story.points[0];
        story.say_parts(&ana(), vec![Part::Text(text)], |header| header.head = start);
    };
    (0..2600).for_each(|i| look_at_nothing(&mut story, i.to_string()));
    story.plant(&reader.peer);
    reader.catch_up(&mut reader.own(&story)).await;
    let mut lie = Story::new(7);
    lie.entries = story.entries[..1200].to_vec();
    lie.points = story.points[..=1200].to_vec();
    story.entries[1201..].iter().for_each(|entry| lie.push(entry.content.clone()));
    (0..9).for_each(|_| lie.say(&ana(), LIE));
    lie.plant(&reader.peer);
    let mut room = reader.own(&story);
    let page = reader.read(&mut room, 1100).await;
    assert_eq!((shown(&page), page.fork.is_some()), (Vec::new(), true));
    assert_eq!(room.head(), story.end());
}
