//! Lists that a hub gives page by page: read to their end.

use protocol::frame::Answer;
use protocol::id::RoomId;
use tempfile::TempDir;

use super::peer::Peer;
use super::{bytes, handoff, settings};
use crate::Client;

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
