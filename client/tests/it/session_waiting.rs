//! What may happen while somebody waits: for the owner's decision, for a message, for the bytes of a handoff.

use std::time::Duration;

use client::{Client, Error, JoinOutcome, OpenSession, SessionError, Settings};
use protocol::invite::SessionKey;

use crate::cast::handoff;
use crate::scene::{DAY, Scene, about, opened};

#[tokio::test]
async fn who_is_put_out_while_waiting_is_told_so() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let key = opened(&mut ana, about("ship it")).await;
    let mut ben = scene.member(&mut ana, "ben", &key).await;
    let received = ben.recv("cli", 100, None).await.unwrap();
    assert_eq!(received.messages.len(), 3);
    let waiting = ben.recv("cli", 100, Some(Duration::from_secs(50)));
    let (outcome, kicked) = tokio::join!(waiting, ana.kick("ben/app"));
    kicked.unwrap();
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::Session(SessionError::NotInRoom { .. })), "{error}");
    scene.hub.kill();
}

#[tokio::test]
async fn who_follows_a_log_is_told_when_it_goes_on() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let key = opened(&mut ana, about("ship it")).await;
    let mut ben = scene.member(&mut ana, "ben", &key).await;
    let end = ben.news(None, Duration::ZERO).await.unwrap();
    assert_eq!(end, ben.recv("cli", 100, None).await.unwrap().cursor);
    let (told, said) = tokio::join!(ben.news(Some(end), Duration::from_secs(50)), ana.send("hello"));
    assert_eq!((told.unwrap(), said.unwrap().seq), (end + 1, end + 1));
    // What is there already is told at once, and so is a log that ends before.
    for after in [end, end + 9] {
        assert_eq!(ben.news(Some(after), Duration::from_secs(50)).await.unwrap(), end + 1);
    }
    // Nothing of it was read.
    assert_eq!(ben.recv("cli", 100, None).await.unwrap().messages.len(), 1);
    scene.hub.kill();
}

#[tokio::test]
async fn who_is_put_out_before_the_bytes_came_is_told_so() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let key = opened(&mut ana, about("ship it")).await;
    let mut ben = scene.member(&mut ana, "ben", &key).await;
    let (file, part) = handoff(scene.home.path(), 50_000, 1);
    ana.push(&file, part.clone(), None).await.unwrap();
    let found = ben.find(part.blob.into()).await.unwrap();
    ana.kick("ben/app").await.unwrap();
    let error = ben.fetch(&found, None).await.unwrap_err();
    assert!(matches!(error, Error::Session(SessionError::NotInRoom { .. })), "{error}");
    assert!(!ben.cache().contains(&part.blob));
    scene.hub.kill();
}

#[tokio::test]
async fn a_key_that_ends_while_somebody_waits_by_it_is_refused() {
    for mut scene in [Scene::open(), Scene::closed()] {
        let mut ana = scene.owner("app").await;
        let key = opened(&mut ana, about("ship it")).await;
        let mut ben = scene.joiner("ben", &key).await.unwrap();
        let mut joining = ben.join(&key, "ben").await.unwrap();
        assert_eq!(ben.join_state(&mut joining, None).await.unwrap(), JoinOutcome::Pending);
        ana.revoke_key(&key.to_string()).await.unwrap();
        assert!(ana.requests().await.unwrap().requests.is_empty());
        let error = ben.join_state(&mut joining, Some(Duration::from_secs(50))).await.unwrap_err();
        assert_eq!(error.code(), "key_refused", "{error}");
        // A closed hub does not even let it in again.
        scene = scene.restart();
        let error = ben.join_state(&mut joining, None).await.unwrap_err();
        assert_eq!(error.code(), "key_refused", "{error}");
        scene.hub.kill();
    }
}

#[tokio::test]
async fn who_waits_for_a_decision_does_so_across_restarts_of_the_hub() {
    let mut scene = Scene::closed();
    let mut ana = scene.owner("app").await;
    let key = opened(&mut ana, OpenSession { max_uses: 1, ..about("ship it") }).await;
    let mut ben = scene.joiner("ben", &key).await.unwrap();
    let mut joining = ben.join(&key, "ben").await.unwrap();
    scene = scene.restart();
    let waiting = ben.join_state(&mut joining, Some(Duration::from_secs(50)));
    let (outcome, approved) = tokio::join!(waiting, ana.approve("ben", None));
    approved.unwrap();
    assert!(matches!(outcome.unwrap(), JoinOutcome::Member(_)));
    // The admission has used the key up. Who is in needs no key, also at the next login.
    ben.close().await;
    let settings = Settings { invite: None, ..scene.settings("ben", "app") };
    let mut again = Client::connect(settings, None).await.unwrap();
    again.send("here I am").await.unwrap();
    let late: SessionKey = ana.new_key(DAY, 1, false).await.unwrap().key.parse().unwrap();
    assert_ne!(late, key);
    scene.hub.kill();
}
