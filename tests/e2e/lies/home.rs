//! Lies about the handoffs between one's own clones.

use kit::{Member, Random, Snapshot};
use protocol::frame::{Answer, Entry, EntryContent};
use protocol::id::{BlobId, RoomId};
use protocol::statement::LogPoint;
use serde_json::json;

use super::{Home, MARKER, refused};

#[test]
fn a_hub_that_tells_the_truth_is_believed() {
    let home = Home::known();
    let applied = home.two.apply(&[&home.newest()]);
    assert_eq!((&applied["signature"], &applied["tip"]), (&json!("valid"), &json!(home.two.tip)));
}

#[test]
fn other_bytes_for_an_id_are_no_handoff() {
    let home = Home::known();
    let two = &home.two;
    let newest = home.newest();
    let id: BlobId = newest.parse().unwrap();
    let size = std::fs::metadata(two.bundle()).unwrap().len();
    let size = usize::try_from(size).unwrap();
    let before = Snapshot::of(&two.behind);
    for (bytes, code) in [
        (Random::new(3).bytes(size), "hash_mismatch"),
        (MARKER.repeat(3).into_bytes(), "verification_failed"),
        (Vec::new(), "verification_failed"),
        (Random::new(4).bytes(2 * size), "verification_failed"),
    ] {
        home.hub.substitute(id, bytes);
        for verb in ["apply", "show", "fetch"] {
            refused(&two.parler(&[verb, "--json", &newest]), 1, code);
        }
    }
    assert_eq!(before.differences(), [""; 0]);
    home.hub.repent();
    assert_eq!(two.apply(&[&newest])["tip"], json!(two.tip));
    // The reader has the true bytes by now, and no hub can take them away.
    home.hub.substitute(id, MARKER.into());
    assert_eq!(two.parler(&["show", &newest]).code, Some(0));
}

#[test]
fn an_altered_handoff_is_no_handoff() {
    let home = Home::new();
    home.hub.lie(|_, answer| {
        let Ok(Answer::Pull(page)) = answer else { return };
        for entry in &mut page.entries {
            if let EntryContent::Message { body: Some(body), .. } = &mut entry.content {
                *body = body.replace("\"three\"", &format!("\"{MARKER}\""));
            }
        }
    });
    assert_eq!(home.summaries(), ["one", "two"]);
    for verb in ["apply", "show", "fetch"] {
        refused(&home.two.parler(&[verb, "--json", &home.newest()]), 1, "verification_failed");
    }
}

#[test]
fn a_message_that_somebody_else_is_said_to_have_written_is_no_handoff() {
    let home = Home::new();
    // The header of one and the body of another.
    home.hub.lie(|_, answer| {
        let Ok(Answer::Pull(page)) = answer else { return };
        let bodies: Vec<_> = page.entries.iter().map(|entry| entry.content.clone()).collect();
        for (entry, other) in page.entries.iter_mut().zip(bodies.iter().rev()) {
            if let (EntryContent::Message { body, .. }, EntryContent::Message { body: other, .. }) =
                (&mut entry.content, other)
            {
                body.clone_from(other);
            }
        }
    });
    // The one in the middle keeps its own.
    assert!(!home.summaries().contains(&"three".to_owned()));
}

#[test]
fn who_is_no_seat_of_the_user_hands_over_nothing() {
    let home = Home::new();
    let stranger = Member::log_in(7, &home.hub.origin()).unwrap();
    let invented = |room: RoomId, head: LogPoint| stranger.entry(0, (room, 1, head), MARKER);
    let head = home.hub.end(home.room);
    home.hub.show(home.reader, home.room, |entries| entries.push(invented(home.room, head)));
    assert_eq!(home.summaries(), ["one", "two", "three"]);
    let run = home.two.parler(&["apply"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(!run.stdout.contains(MARKER) && !run.stderr.contains(MARKER));
}

#[test]
fn a_message_of_another_room_is_none_of_this_one() {
    let home = Home::new();
    // Said by the same author: in the home of another user, on another hub, it would be as true.
    let elsewhere = Home::new();
    let moved: Vec<Entry> = elsewhere.hub.entries(elsewhere.room);
    home.hub.show(home.reader, home.room, |entries| entries.extend(moved));
    assert_eq!(home.summaries(), ["one", "two", "three"]);
}

#[test]
fn a_dropped_message_is_noticed() {
    let home = Home::known();
    for dropped in 0..3 {
        home.hub.show(home.reader, home.room, |entries| drop(entries.remove(dropped)));
        home.refuses("verification_failed");
    }
}

#[test]
fn a_rolled_back_log_is_noticed() {
    let home = Home::known();
    for kept in 0..3 {
        home.hub.show(home.reader, home.room, |entries| entries.truncate(kept));
        home.refuses("verification_failed");
    }
}

#[test]
fn a_reordered_log_is_noticed() {
    let home = Home::known();
    for (one, other) in [(0, 1), (1, 2), (0, 2)] {
        home.hub.show(home.reader, home.room, |entries| entries.swap(one, other));
        home.refuses("verification_failed");
    }
}

#[test]
fn a_log_of_the_same_length_with_another_message_in_it_is_noticed() {
    let home = Home::known();
    let stranger = Member::log_in(7, &home.hub.origin()).unwrap();
    let false_entry = stranger.entry(0, (home.room, 1, LogPoint::start(home.room)), MARKER);
    home.hub.show(home.reader, home.room, |entries| entries[1] = false_entry);
    home.refuses("verification_failed");
}

#[test]
fn what_was_noticed_stays_noticed_until_the_hub_tells_the_truth() {
    let home = Home::known();
    home.hub.show(home.reader, home.room, |entries| entries.truncate(1));
    home.refuses("verification_failed");
    home.refuses("verification_failed");
    home.hub.repent();
    assert_eq!(home.summaries(), ["one", "two", "three"]);
}

#[test]
fn another_room_than_the_one_that_was_asked_for_is_not_entered() {
    let home = Home::new();
    home.hub.lie(|_, answer| {
        if let Ok(Answer::OpenRoom(opened)) = answer {
            opened.room = RoomId::from_bytes([9; 32]);
        }
    });
    home.refuses("verification_failed");
}
