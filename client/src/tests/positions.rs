//! Where a process reads on when another one of its seat accepts a shorter log meanwhile.

use kit::LyingHub;
use protocol::frame::Entry;
use protocol::id::{Digest, RoomId};
use protocol::part::{Body, Part};
use protocol::signed::sign;
use protocol::statement::{LogPoint, Message};

use super::undelivered::{seat, two};
use crate::Client;

/// Signs what the author said as its `n`th in a log that a hub makes up.
fn said(author: &Client, room: RoomId, n: u64, text: &str) -> Entry {
    let body = Body { parts: vec![Part::Text(text.to_owned())], reply_to: None, hops: None }.to_text();
    let header = Message {
        room,
        n,
        head: LogPoint::start(room),
        sent: crate::seat::now(),
        epoch: 0,
        body: Digest::of(body.as_bytes()),
        blobs: Vec::new(),
        leave: false,
        needs: Vec::new(),
    };
    Entry::message(0, sign(author.seat.agent_key(), header).signed().clone(), Some(body))
}

async fn received(client: &mut Client) -> Vec<String> {
    let page = client.recv("cli", 100, None).await.unwrap();
    client.ack(page.room, "cli", page.cursor).await.unwrap();
    page.messages.into_iter().filter_map(|message| message.text).collect()
}

#[tokio::test]
async fn what_is_new_in_a_shorter_log_that_was_accepted_elsewhere_is_read() {
    let home = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(1);
    let (mut ana, mut ben, room) = two(home.path(), &hub).await;
    for text in ["one", "two", "three"] {
        ana.send(text).await.unwrap();
    }
    assert_eq!(received(&mut ben).await, ["one", "two", "three"]);
    let me = ben.me().id;
    hub.show(me, room, |entries| entries.truncate(entries.len() - 2));
    let mut command = seat(home.path(), "ben", &hub).await;
    command.log(None, 100).await.unwrap();
    command.accept_fork().await.unwrap();
    let others = (2..).zip(["another two", "another three", "four"]);
    hub.show(me, room, |entries| {
        entries.truncate(entries.len() - 2);
        entries.extend(others.map(|(n, text)| said(&ana, room, n, text)));
    });
    assert_eq!(received(&mut ben).await, ["another two", "another three", "four"]);
    assert_eq!(received(&mut ben).await, [""; 0]);
}
