//! What `sessions` and `status` count.

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
    assert_eq!(ana.status().await.unwrap().unread, 1);
    assert_eq!(ana.sessions().await.unwrap().sessions[0].unread, 1);
    scene.hub.kill();
}
