//! What the owner's client tells of who asks, and of whom was decided about.

use std::time::Duration;

use client::report::text;
use client::{Asked, Client, OpenSession, Settings};

use crate::scene::{Scene, about, opened};

#[tokio::test]
async fn who_was_decided_about_is_told_as_such_and_no_longer_as_one_who_asks() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let key = opened(&mut ana, about("ship it")).await;
    let room = ana.room().await.unwrap();
    let mut ids = Vec::new();
    for user in ["ben", "eve"] {
        let mut joiner = scene.joiner(user, &key).await.unwrap();
        joiner.join(&key, user).await.unwrap();
        ids.push(joiner.seat().agent().to_string());
    }
    let mut other = scene.owner("other").await;
    other.use_session(Some("ship it")).await.unwrap();
    let asks = ana.pending(room).await.unwrap();
    for (id, request) in ids.iter().zip(&asks) {
        assert_eq!(ana.asks(id).await.unwrap(), Asked::Waits(request.clone()));
    }
    let decided = [ana.approve(&ids[0], None).await.unwrap(), ana.deny(&ids[1]).await.unwrap()];
    for (id, decision) in ids.iter().zip(&decided) {
        for seat in [&mut ana, &mut other] {
            let Asked::Decided(told) = seat.asks(id).await.unwrap() else { panic!("{id} was decided about") };
            assert_eq!((told.joiner.id, told.state), (decision.joiner.id, decision.state));
        }
    }
    assert_eq!(ana.asks("nobody").await.unwrap_err().code(), "not_found");
    // Who was put out neither asks nor is in.
    ana.kick(&ids[0]).await.unwrap();
    assert_eq!(ana.asks(&ids[0]).await.unwrap_err().code(), "not_found");
    scene.hub.kill();
}

#[tokio::test]
async fn only_who_can_be_asked_asks_the_hub_who_waits() {
    let scene = Scene::open();
    let reconnect_max = Some(Duration::from_millis(100));
    let at = Settings { reconnect_max, ..scene.settings("ana", "app") };
    let mut ana = Client::connect(at, None).await.unwrap();
    let home = ana.home().await.unwrap();
    assert_eq!(ana.pending(home).await.unwrap(), []);
    let key = opened(&mut ana, about("ship it")).await;
    let mut ben = scene.member(&mut ana, "ben", &key).await;
    let mut carl = scene.joiner("carl", &key).await.unwrap();
    carl.join(&key, "carl").await.unwrap();
    let room = ana.room().await.unwrap();
    assert_eq!(ana.pending(room).await.unwrap(), ana.requests().await.unwrap().requests);
    assert_eq!(ana.pending(room).await.unwrap().len(), 1);
    assert_eq!(ben.pending(room).await.unwrap(), []);
    assert_eq!(carl.pending(room).await.unwrap_err().code(), "not_found");
    scene.hub.kill();
    assert_eq!(ben.pending(room).await.unwrap(), [], "no hub was asked");
    assert_eq!(ana.pending(room).await.unwrap_err().code(), "hub_unreachable", "which is no empty list");
}

#[tokio::test]
async fn whom_a_look_at_the_gates_has_let_in_is_a_remark() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let key = opened(&mut ana, OpenSession { auto: true, ..about("ship it") }).await;
    ana.take_remarks();
    let mut ben = scene.joiner("ben", &key).await.unwrap();
    ben.join(&key, "ben").await.unwrap();
    ana.wait_for_requests(Duration::from_secs(60)).await;
    let let_in = ana.tend_gates().await.let_in;
    assert_eq!((let_in.len(), ana.take_remarks()), (1, vec![text::admitted(&let_in[0])]));
    assert_eq!(ana.take_remarks(), [""; 0]);
    scene.hub.kill();
}
