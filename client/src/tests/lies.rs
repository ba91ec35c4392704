//! A hub that lies: what it shows of a room is refused or left out, never taken over.

use std::path::Path;

use protocol::frame::{Answer, EntryContent};
use protocol::id::BlobId;
use tempfile::TempDir;

use super::peer::Peer;
use super::{bytes, handoff, settings};
use crate::report::Signature;
use crate::{Client, Error, VerifiedHandoff};

/// Pushes three handoffs and returns the home of another machine of the same user, and the hub, which lies from now on.
async fn elsewhere(lie: impl FnMut(&mut Answer) + Send + 'static) -> (TempDir, Peer) {
    let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let peer = Peer::start(1).await;
    push_three(home.path(), &peer).await;
    crate::files::private_dir(&elsewhere.path().join("data")).unwrap();
    std::fs::copy(home.path().join("data/user.key"), elsewhere.path().join("data/user.key")).unwrap();
    peer.lie(lie);
    (elsewhere, peer)
}

async fn push_three(home: &Path, peer: &Peer) {
    let mut author = Client::connect(settings(home, "one", &peer.origin()), None).await.unwrap();
    for i in 0..3u8 {
        let (file, part) = handoff(home, &bytes(1000, u64::from(i)), &format!("change {i}"));
        author.push(&file, part, None).await.unwrap();
    }
}

async fn list(home: &Path, peer: &Peer) -> Result<Vec<VerifiedHandoff>, Error> {
    let mut reader = Client::connect(settings(home, "two", &peer.origin()), None).await.unwrap();
    let room = reader.home().await?;
    reader.handoffs(room).await
}

async fn listed(lie: impl FnMut(&mut Answer) + Send + 'static) -> Result<Vec<VerifiedHandoff>, Error> {
    let (home, peer) = elsewhere(lie).await;
    list(home.path(), &peer).await
}

fn summaries(handoffs: Vec<VerifiedHandoff>) -> Vec<String> {
    handoffs.into_iter().map(|handoff| handoff.part.summary).collect()
}

#[tokio::test]
async fn an_altered_body_is_left_out() {
    let found = listed(|answer| {
        if let Answer::Pull(page) = answer {
            for entry in page.entries.iter_mut().filter(|entry| entry.seq == 2) {
                let EntryContent::Message { body: Some(body), .. } = &mut entry.content else { continue };
                *body = body.replace("change 1", "change X");
            }
        }
    });
    assert_eq!(summaries(found.await.unwrap()), ["change 0", "change 2"]);
}

#[tokio::test]
async fn an_author_without_a_word_of_the_user_is_left_out() {
    let found = listed(|answer| {
        if let Answer::Pull(page) = answer {
            page.seats.clear();
        }
    });
    assert_eq!(summaries(found.await.unwrap()), Vec::<String>::new());
}

async fn found(lie: impl FnMut(&mut Answer) + Send + 'static) -> Result<VerifiedHandoff, Error> {
    let (home, peer) = elsewhere(lie).await;
    let mut reader = Client::connect(settings(home.path(), "two", &peer.origin()), None).await.unwrap();
    reader.find(BlobId::of(&bytes(1000, 1)).into()).await
}

#[tokio::test]
async fn a_handoff_that_no_member_signed_is_refused_with_what_is_known_of_it() {
    assert_eq!(found(|_| {}).await.unwrap().part.summary, "change 1");
    let stranger = found(|answer| {
        if let Answer::Pull(page) = answer {
            page.seats.clear();
        }
    });
    let error = stranger.await.unwrap_err();
    assert!(matches!(error, Error::NotByMember { signature: Signature::NotMember, .. }), "{error:?}");
    let altered = found(|answer| {
        if let Answer::Pull(page) = answer {
            for entry in &mut page.entries {
                let EntryContent::Message { body: Some(body), .. } = &mut entry.content else { continue };
                *body = body.replace("change", "a lie");
            }
        }
    });
    let error = altered.await.unwrap_err();
    assert!(matches!(error, Error::NotByMember { signature: Signature::Invalid, .. }), "{error:?}");
    let id = BlobId::of(&bytes(1000, 1)).to_string();
    let text = format!("the message that hands over {} has a wrong signature or body", &id[..12]);
    assert_eq!((error.to_string(), error.code()), (text, "verification_failed"));
}

#[tokio::test]
async fn handoffs_of_a_room_that_nobody_asked_about_are_left_out() {
    let elsewhere = |answer: &mut Answer| {
        if let Answer::Handoffs(page) | Answer::Find(page) = answer {
            let room = protocol::id::RoomId::from_bytes([9; 32]);
            page.references.iter_mut().for_each(|reference| reference.room = room);
        }
    };
    assert!(listed(elsewhere).await.unwrap().is_empty());
    assert!(matches!(found(elsewhere).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn a_left_out_entry_is_a_fork() {
    let found = listed(|answer| {
        if let Answer::Pull(page) = answer {
            page.entries.retain(|entry| entry.seq != 2);
        }
    });
    assert_eq!(found.await.unwrap_err().code(), "verification_failed");
}

#[tokio::test]
async fn a_shorter_log_than_before_is_a_fork() {
    let (home, peer) = (tempfile::tempdir().unwrap(), Peer::start(1).await);
    push_three(home.path(), &peer).await;
    assert_eq!(list(home.path(), &peer).await.unwrap().len(), 3);
    peer.lie(|answer| match answer {
        Answer::OpenRoom(opened) => opened.end.seq -= 1,
        Answer::Pull(page) => page.end.seq -= 1,
        _ => {}
    });
    let error = list(home.path(), &peer).await.unwrap_err();
    assert!(matches!(error, Error::Forked { .. }) && error.hint().unwrap().contains("/evidence"));
}

#[tokio::test]
async fn a_room_other_than_the_one_asked_for_is_refused() {
    let found = listed(|answer| {
        if let Answer::OpenRoom(opened) = answer {
            opened.room = protocol::id::RoomId::from_bytes([9; 32]);
        }
    });
    assert!(matches!(found.await, Err(Error::Contradiction { .. })));
}

#[tokio::test]
async fn a_blob_that_the_message_does_not_refer_to_is_left_out() {
    let found = listed(|answer| {
        if let Answer::Handoffs(page) = answer {
            page.references.iter_mut().for_each(|reference| reference.blob = BlobId::of(b"another"));
        }
    });
    assert!(found.await.unwrap().is_empty());
}

#[tokio::test]
async fn places_behind_the_end_and_pages_without_entries_do_not_hold_the_client_up() {
    let found = listed(|answer| {
        if let Answer::Handoffs(page) = answer {
            page.more = true;
            page.references.iter_mut().for_each(|reference| reference.seq += 1000);
        }
    });
    assert!(found.await.unwrap().is_empty());
    let stuck = listed(|answer| {
        if let Answer::Pull(page) = answer {
            page.entries.clear();
        }
    });
    assert!(matches!(stuck.await, Err(Error::Contradiction { .. })));
}
