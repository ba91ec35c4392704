//! What `sessions` and `status` count, and what `log` tells of acts.

use client::Client;
use client::report::MessageKind;
use kit::{LyingHub, Member};
use protocol::key::AgentKey;
use protocol::statement::Op;

use crate::cast::settings;
use crate::scene::{Scene, about, opened};

#[tokio::test]
async fn large_messages_of_ones_own_do_not_hide_that_nothing_is_unread() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let key = opened(&mut ana, about("ship it")).await;
    let mut ben = scene.member(&mut ana, "ben", &key).await;
    ben.send("hello").await.unwrap();
    // More than a few pages with their bodies.
    for _ in 0..15 {
        ana.send(&"m".repeat(60_000)).await.unwrap();
    }
    assert_eq!(ana.status("cli").await.unwrap().unread, 1);
    assert_eq!(ana.sessions().await.unwrap().sessions[0].unread, 1);
    scene.hub.kill();
}

#[tokio::test]
async fn whoever_was_turned_away_together_is_told_together() {
    let (home, hub) = (tempfile::tempdir().unwrap(), LyingHub::new(1));
    let mut ana = Member::log_in(1, &hub.origin()).unwrap();
    let room = ana.open(1).unwrap();
    let key = ana.put_key(room, 7, false).unwrap();
    let mut ben =
        Client::connect(settings(home.path(), "ben", hub.origin().parse().unwrap()), None).await.unwrap();
    let mut joining = ben.join(&key, "ben").await.unwrap();
    ana.admit(room, ben.seat().agent(), "ben").unwrap();
    ben.join_state(&mut joining, None).await.unwrap();
    let agents = [8, 9].map(|seed| AgentKey::from_seed(&[seed; 32]).public());
    ana.act(room, Op::Deny { agents: agents.to_vec() }).unwrap();
    let told = ben.log(None, 1).await.unwrap().messages.remove(0);
    assert_eq!(told.kind, MessageKind::Deny);
    assert_eq!(told.agents.iter().map(|agent| agent.id).collect::<Vec<_>>(), agents);
}
