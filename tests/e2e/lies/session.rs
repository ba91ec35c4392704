//! Lies about what is said in a session: nothing of them is shown as said, and what was verified is never given up for them.

use protocol::frame::{Answer, Entry, EntryContent, Request};
use protocol::signed::{self, Signed};
use protocol::statement::{Admit, LogPoint, Membership, Op, Role};

use kit::Member;

use super::people::Session;
use super::{MARKER, refused};

/// Changes the bodies of the messages that a page brings.
fn bodies(answer: &mut Answer, mut change: impl FnMut(&mut String)) {
    let Answer::Pull(page) = answer else { return };
    for entry in &mut page.entries {
        if let EntryContent::Message { body: Some(body), .. } = &mut entry.content {
            change(body);
        }
    }
}

fn text(entry: &Entry) -> &str {
    entry.content.as_message().and_then(|(_, body)| body).expect("a message with a body")
}

#[test]
fn a_conversation_through_a_hub_that_tells_the_truth_is_shown() {
    let session = Session::new();
    session.ada().says(&["send", "three"]);
    assert_eq!(session.bob().hears(), ["three"]);
    assert_eq!(session.bob().hears(), [""; 0], "once");
    assert_eq!(session.ada().hears(), [""; 0], "one's own words are no news");
    assert_eq!(session.bob().evidence(), 0);
}

#[test]
fn an_altered_message_is_told_and_not_shown() {
    let session = Session::new();
    session.ada().says(&["send", "three"]);
    session.hub.lie(|_, answer| {
        if let Ok(answer) = answer {
            bodies(answer, |body| *body = body.replace("three", MARKER));
        }
    });
    let bob = session.bob();
    assert_eq!(bob.hears(), ["invalid"]);
    assert_eq!(bob.hears(), [""; 0], "the cursor went on");
    bob.tells_no_lie();
    assert!(bob.evidence() > 0);
    session.hub.repent();
    assert_eq!(bob.remembers().last().unwrap(), "three", "looked at again, it is what was signed");
}

#[test]
fn texts_that_changed_places_are_told_and_not_shown() {
    let session = Session::new();
    for text in ["send three", "send four"] {
        session.ada().says(&text.split(' ').collect::<Vec<_>>());
    }
    session.hub.lie(|_, answer| {
        let Ok(answer) = answer else { return };
        bodies(answer, |body| {
            let (three, four) = (body.contains("three"), body.contains("four"));
            *body = match (three, four) {
                (true, _) => body.replace("three", "four"),
                (_, true) => body.replace("four", "three"),
                _ => body.clone(),
            };
        });
    });
    assert_eq!(session.bob().hears(), ["invalid", "invalid"]);
}

#[test]
fn a_back_dated_message_is_told_and_not_shown() {
    let session = Session::new();
    let bob = session.bob();
    bob.hears();
    session.ada().says(&["send", "three"]);
    session.hub.lie(|_, answer| {
        let Ok(Answer::Pull(page)) = answer else { return };
        for entry in &mut page.entries {
            if let EntryContent::Message { message, .. } = &mut entry.content {
                let verified = message.clone().verify().unwrap();
                let (by, bytes, signature) = verified.parts();
                let sent = verified.statement().sent.to_string();
                let earlier = (verified.statement().sent - 3_600_000).to_string();
                *message = Signed::from_parts(by, bytes.replace(&sent, &earlier), signature);
            }
        }
    });
    // Its digest is another one too, so that the log it stands in is not the one of the other heads.
    assert_eq!(bob.hears_oddly(), ["invalid", "fork"]);
    assert!(bob.evidence() > 0);
}

#[test]
fn a_replayed_message_is_told_and_not_shown_again() {
    let session = Session::new();
    let bob = session.bob();
    let again =
        session.hub.entries(session.room).into_iter().find(
            |entry| matches!(entry.content.as_message(), Some((_, Some(body))) if body.contains("one")),
        );
    session.hub.show(bob.id(), session.room, |entries| entries.extend(again));
    assert_eq!(bob.hears(), ["replayed"]);
    assert!(bob.evidence() > 0);
    assert_eq!(bob.remembers().iter().filter(|text| *text == "one").count(), 1);
}

#[test]
fn a_message_of_another_session_is_told_and_not_shown() {
    let session = Session::new();
    let (ada, bob) = (session.ada(), session.bob());
    let other = ada.opens();
    ada.says(&["send", MARKER]);
    let moved = session.hub.entries(other).pop().unwrap();
    assert!(text(&moved).contains(MARKER));
    session.hub.show(bob.id(), session.room, |entries| entries.push(moved));
    assert_eq!(bob.hears(), ["invalid"]);
    bob.tells_no_lie();
}

#[test]
fn words_of_who_is_no_member_are_told_and_not_shown() {
    let session = Session::new();
    let bob = session.bob();
    let stranger = Member::log_in(7, &session.hub.origin()).unwrap();
    let said = stranger.entry(0, (session.room, 1, session.hub.end(session.room)), MARKER);
    session.hub.show(bob.id(), session.room, |entries| entries.push(said));
    assert_eq!(bob.hears(), ["not_member"]);
    bob.tells_no_lie();
    assert!(bob.evidence() > 0);
}

#[test]
fn who_was_let_in_by_somebody_else_than_the_owner_is_no_member() {
    let session = Session::new();
    let bob = session.bob();
    let mut stranger = Member::log_in(7, &session.hub.origin()).unwrap();
    let at = session.hub.end(session.room);
    let chain = session.hub.chain_end(session.room);
    let admit = Admit {
        agent: stranger.id(),
        name: MARKER.into(),
        role: Role::Member,
        floor: 0,
        at,
        key: None,
        user: None,
    };
    let op = Op::Admit(admit);
    let act = Membership { room: session.room, n: chain.n + 1, prev: chain.digest, op, needs: Vec::new() };
    let act = signed::sign(&stranger.user, act).signed().clone();
    let said = stranger.entry(0, (session.room, 1, at), MARKER);
    session.hub.show(bob.id(), session.room, |entries| entries.extend([Entry::membership(0, act), said]));
    assert_eq!(bob.hears_oddly(), ["fork"]);
    bob.tells_no_lie();
    assert!(bob.evidence() > 0);
    assert!(stranger.pull(session.room, 0).is_err(), "nor does the hub's own rule say so");
}

#[test]
fn a_dropped_message_is_told() {
    let session = Session::new();
    let bob = session.bob();
    session.ada().says(&["send", "three"]);
    session.ada().says(&["send", "four"]);
    session.hub.show(bob.id(), session.room, |entries| {
        let before_last = entries.len() - 2;
        entries.remove(before_last);
    });
    let heard = bob.hears_oddly();
    assert_eq!(heard, ["fork"]);
    assert!(bob.evidence() > 0);
}

#[test]
fn a_reordered_log_is_told() {
    let session = Session::new();
    let bob = session.bob();
    session.ada().says(&["send", "three"]);
    session.ada().says(&["send", "four"]);
    session.hub.show(bob.id(), session.room, |entries| {
        let last = entries.len() - 1;
        entries.swap(last - 1, last);
    });
    let heard = bob.hears_oddly();
    assert_eq!(heard, ["fork"]);
    assert!(bob.evidence() > 0);
}

#[test]
fn a_rolled_back_log_is_told_and_nothing_is_said_in_it() {
    let session = Session::new();
    let (ada, bob) = (session.ada(), session.bob());
    ada.says(&["send", "three"]);
    assert_eq!(bob.hears(), ["three"]);
    session.hub.show(bob.id(), session.room, |entries| entries.truncate(entries.len() - 1));
    assert_eq!(bob.hears_oddly(), ["fork"]);
    refused(&bob.parler(&["send", "--json", "four"]), 1, "verification_failed");
    session.hub.repent();
    // Where the hub shows what was verified again, people talk on.
    bob.says(&["send", "four"]);
    assert_eq!(ada.hears(), ["four"]);
}

#[test]
fn two_histories_of_one_session_do_not_become_one_again() {
    let session = Session::new();
    let (ada, bob) = (session.ada(), session.bob());
    ada.says(&["send", "three"]);
    // Bob is never told of it, speaks, and reads on in his own history.
    session.hub.show(bob.id(), session.room, |entries| drop(entries.pop()));
    bob.says(&["send", "four"]);
    assert_eq!(bob.hears(), [""; 0]);
    let four = session.hub.entries_shown(bob.id(), session.room).pop().unwrap();
    assert!(text(&four).contains("four"));
    // To Ada the hub can say that it came late.
    session.hub.show(ada.id(), session.room, |entries| entries.push(four.clone()));
    assert_eq!(ada.hears(), ["four"]);
    // Bob has seen his own word where hers stands.
    session.hub.show(bob.id(), session.room, |entries| entries.push(four));
    assert_eq!(bob.hears_oddly(), ["fork"]);
    assert!(bob.evidence() > 0);
}

#[test]
fn a_head_of_another_history_is_told() {
    let session = Session::new();
    let (ada, bob) = (session.ada(), session.bob());
    ada.says(&["send", "three"]);
    session.hub.show(bob.id(), session.room, |entries| drop(entries.pop()));
    bob.says(&["send", "four"]);
    bob.says(&["recv"]);
    bob.says(&["send", "five"]);
    let shown = session.hub.entries_shown(bob.id(), session.room);
    session.hub.show(ada.id(), session.room, |entries| entries.extend_from_slice(&shown[shown.len() - 2..]));
    let heard = ada.hears_oddly();
    assert_eq!(heard, ["four", "fork"], "his second word names a log that is not hers");
    assert!(ada.evidence() > 0);
    refused(&ada.parler(&["send", "--json", "six"]), 1, "verification_failed");
}

#[test]
fn a_cursor_that_the_hub_moves_hides_nothing() {
    let session = Session::new();
    let (ada, bob) = (session.ada(), session.bob());
    ada.says(&["send", "three"]);
    ada.says(&["send", "four"]);
    let end = session.hub.end(session.room).seq;
    session.hub.lie(move |_, answer| {
        if let Ok(Answer::Ack(acked)) = answer {
            acked.cursor = end;
        }
    });
    assert_eq!(bob.hears(), ["three", "four"]);
    session.hub.lie(|_, answer| {
        if let Ok(Answer::Ack(acked)) = answer {
            acked.cursor = 0;
        }
    });
    assert_eq!(bob.hears(), [""; 0], "what was handed on is not handed on again");
    session.hub.lie(|_, answer| {
        if let Ok(Answer::Ack(acked)) = answer {
            acked.cursor = u64::MAX >> 12;
        }
    });
    ada.says(&["send", "five"]);
    assert_eq!(bob.hears(), ["five"]);
}

#[test]
fn an_empty_answer_does_not_make_anybody_believe_that_nothing_was_said() {
    let session = Session::new();
    let bob = session.bob();
    session.ada().says(&["send", "three"]);
    session.hub.lie(|asking, answer| {
        if let (Request::Pull(_), Ok(Answer::Pull(page))) = (asking.request, answer) {
            page.entries.clear();
        }
    });
    let run = bob.parler(&["recv", "--json"]);
    assert_eq!(run.code, Some(1), "the hub says that there is more and gives nothing: {}", run.stdout);
    let mut first = LogPoint::start(session.room);
    first.seq = 1;
    session.hub.lie(move |_, answer| {
        if let Ok(Answer::Pull(page)) = answer {
            page.start = first;
        }
    });
    assert_ne!(bob.parler(&["recv", "--json"]).code, Some(0));
}

#[test]
fn a_handoff_whose_message_does_not_hold_is_not_taken() {
    let session = Session::new();
    let (ada, bob) = (session.ada(), session.bob());
    let pushed = ada.answer(&["push", "--base", &session.two.base, "-m", "three"]);
    let id = pushed["id"].as_str().unwrap();
    let before = kit::Snapshot::of(&session.two.behind);
    session.hub.lie(|_, answer| {
        if let Ok(answer) = answer {
            bodies(answer, |body| *body = body.replace("\"three\"", &format!("\"{MARKER}\"")));
        }
    });
    for verb in ["apply", "show", "fetch"] {
        let run = bob.parler(&[verb, "--json", id]);
        assert_eq!(run.code, Some(1), "{verb}: {}{}", run.stdout, run.stderr);
        assert!(!run.stdout.contains(MARKER) && !run.stderr.contains(MARKER), "{}", run.stdout);
    }
    session.hub.repent();
    session.hub.substitute(id.parse().unwrap(), MARKER.into());
    refused(&bob.parler(&["apply", "--json", id]), 1, "verification_failed");
    assert_eq!(before.differences(), [""; 0]);
    session.hub.repent();
    let applied = bob.answer(&["apply", id]);
    assert_eq!((&applied["signature"], &applied["author"]["name"]), (&"valid".into(), &"ada/ahead".into()));
}
