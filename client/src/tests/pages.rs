//! Lists that a hub gives page by page: read to their end, and not for ever.

use protocol::frame::{Answer, BlobReference, RoomRow};
use protocol::id::{BlobId, RoomId};
use tempfile::TempDir;

use super::peer::Peer;
use super::{bytes, handoff, settings};
use crate::{Client, Error};

/// A hub with a home and a handoff in it, and the folders of a seat of that user where the user key is not.
async fn sandbox() -> (TempDir, Peer, RoomId) {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let mut seat = client(&home, &peer).await;
    let (file, part) = handoff(home.path(), &bytes(1000, 1), "change");
    let room = seat.push(&file, part, None).await.unwrap().room;
    std::fs::rename(home.path().join("data/user.key"), home.path().join("elsewhere")).unwrap();
    (home, peer, room)
}

async fn client(home: &TempDir, peer: &Peer) -> Client {
    Client::connect(settings(home.path(), "app", &peer.origin()), None).await.unwrap()
}

/// Returns ids that rise with `number`.
fn room(number: u32) -> RoomId {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    RoomId::from_bytes(bytes)
}

#[tokio::test]
async fn a_home_on_a_later_page_of_the_rooms_is_found_without_the_user_key() {
    let (home, peer, opened) = sandbox().await;
    let mut is_first = true;
    peer.lie(move |answer| {
        if let Answer::Rooms(list) = answer
            && std::mem::take(&mut is_first)
        {
            (list.rooms[0].room, list.more) = (room(0), true);
        }
    });
    assert_eq!(client(&home, &peer).await.home().await.unwrap(), opened);
}

#[tokio::test]
async fn a_list_of_rooms_without_an_end_is_not_read_for_ever() {
    let (home, peer, _) = sandbox().await;
    let mut count = 0;
    peer.lie(move |answer| {
        if let Answer::Rooms(list) = answer {
            let row = list.rooms[0].clone();
            list.rooms = (count..count + 500).map(|n| RoomRow { room: room(n), ..row.clone() }).collect();
            count += 500;
            list.more = count < 50_000;
        }
    });
    let error = client(&home, &peer).await.home().await.unwrap_err();
    assert!(matches!(error, Error::Contradiction { .. }), "{error}");
}

#[tokio::test]
async fn a_list_of_handoffs_without_an_end_is_not_read_for_ever() {
    let (home, peer, room) = sandbox().await;
    let mut client = client(&home, &peer).await;
    client.home().await.unwrap();
    for newest in [false, true] {
        let mut left = 400_000;
        peer.lie(move |answer| {
            if let Answer::Handoffs(page) = answer {
                let row = BlobReference { room, seq: 0, blob: BlobId::of(b"none"), available: true };
                let rows = (left - 4000..left).map(|seq| BlobReference { seq, ..row.clone() });
                page.references = rows.collect();
                left -= 4000;
                page.more = left > 0;
            }
        });
        let error = match newest {
            false => client.handoffs(room).await.unwrap_err(),
            true => client.newest_handoff(room, |_| true).await.unwrap_err(),
        };
        assert!(matches!(error, Error::Contradiction { .. }), "{error}");
    }
}
