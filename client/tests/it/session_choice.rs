//! A process works in one room from its beginning to its end, whatever others of its worktree take into use meanwhile.

use client::settings::{HubAddress, JoinSecret, RoomChoice};
use client::{Client, Error, SessionError, Settings};

use crate::scene::{Scene, about, opened};

#[tokio::test]
async fn who_follows_a_session_stays_in_it_when_the_worktree_goes_elsewhere() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let key = opened(&mut ana, about("ship it")).await;
    let mut ben = scene.member(&mut ana, "ben", &key).await;
    let room = ben.room().await.unwrap();
    let cursor = ben.recv("cli", 100, None).await.unwrap().cursor;
    ben.ack(room, "cli", cursor).await.unwrap();
    let mut other = scene.owner("other").await;
    let elsewhere = opened(&mut other, about("sink it")).await;

    // Another process of the same worktree.
    let mut fickle = Client::connect(scene.settings("ben", "app"), None).await.unwrap();
    let mut joining = fickle.join(&elsewhere, "ben/app").await.unwrap();
    other.approve("ben/app", None).await.unwrap();
    fickle.join_state(&mut joining, None).await.unwrap();
    assert_ne!(fickle.room().await.unwrap(), room);
    ana.send("still here?").await.unwrap();
    let received = ben.recv("cli", 100, None).await.unwrap();
    assert_eq!((received.room, received.messages.len()), (room, 1));
    fickle.use_session(None).await.unwrap();
    assert_eq!(ben.send("yes").await.unwrap().room, room);

    // Once the other process has left for this seat, who follows is told so and does not go home.
    fickle.use_session(Some(&room.to_string())).await.unwrap();
    fickle.leave().await.unwrap();
    let error = ben.recv("cli", 100, None).await.unwrap_err();
    assert!(matches!(error, Error::Session(SessionError::NotInRoom { room: of }) if of == room), "{error}");
    // What it does itself counts for it.
    assert_ne!(fickle.room().await.unwrap(), room);
    scene.hub.kill();
}

#[tokio::test]
async fn who_guards_a_session_decides_about_that_one_alone() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let first = opened(&mut ana, about("ship it")).await;
    let room = ana.room().await.unwrap();
    let mut second_process = scene.owner("app").await;
    let second = opened(&mut second_process, about("sink it")).await;
    let mut ben = scene.joiner("ben", &first).await.unwrap();
    for key in [&first, &second] {
        ben.join(key, "ben/app").await.unwrap();
    }
    assert_eq!(ana.requests().await.unwrap().requests.len(), 1);
    assert_eq!(ana.approve("ben/app", None).await.unwrap().room, room);
    assert_eq!(second_process.requests().await.unwrap().requests.len(), 1);
    second_process.close_session().await.unwrap();
    assert_eq!(ana.requests().await.unwrap().requests.len(), 0, "the guarded one, and no home");
    assert_eq!(ana.room().await.unwrap(), room);
    scene.hub.kill();
}

#[tokio::test]
async fn a_topic_is_looked_up_once_whoever_takes_it_later() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    opened(&mut ana, about("ship it")).await;
    let room = ana.room().await.unwrap();
    let named = Settings { room: RoomChoice::Named("ship it".to_owned()), ..scene.settings("ana", "app") };
    let mut follower = Client::connect(named.clone(), None).await.unwrap();
    assert_eq!(follower.room().await.unwrap(), room);
    opened(&mut ana, about("ship it")).await;
    assert_eq!(follower.room().await.unwrap(), room);
    let mut late = Client::connect(named, None).await.unwrap();
    assert!(matches!(late.room().await, Err(Error::Session(SessionError::Unclear { .. }))));
    scene.hub.kill();
}

#[tokio::test]
async fn a_connection_serves_whoever_differs_in_the_room_alone() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let key = opened(&mut ana, about("ship it")).await;
    let same = scene.settings("ana", "app");
    assert!(ana.fits(&same) && ana.fits(&Settings { room: RoomChoice::Home, ..same.clone() }));
    let name = "ana/other".to_owned();
    let secret = Some(JoinSecret::new("gpj1-abcdefghijklmnopqrstuvwxyz"));
    for other in [
        scene.settings("ana", "other"),
        scene.settings("ben", "app"),
        Settings { name, ..same.clone() },
        Settings { hub: HubAddress::Local, ..same.clone() },
        Settings { join_secret: secret, ..same.clone() },
        Settings { ca_file: Some("ca.pem".into()), ..same.clone() },
        Settings { insecure: true, ..same.clone() },
        Settings { invite: Some(key.clone()), ..same.clone() },
    ] {
        assert!(!ana.fits(&other), "{other:?}");
    }
    // Nor does one by a key, as long as nothing else lets its seat in.
    let mut ben = scene.joiner("ben", &key).await.unwrap();
    assert!(!ben.fits(&scene.settings("ben", "app")));
    let mut joining = ben.join(&key, "ben").await.unwrap();
    ana.approve("ben", None).await.unwrap();
    ben.join_state(&mut joining, None).await.unwrap();
    assert!(ben.fits(&scene.settings("ben", "app")));
    scene.hub.kill();
}
