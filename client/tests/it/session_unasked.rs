//! A program that joins by a setting each time it starts: what the human decided since stands.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use client::{Client, JoinOutcome, Settings};
use kit::LyingHub;
use protocol::frame::Request;
use protocol::id::RoomId;
use protocol::invite::SessionKey;
use protocol::refusal::Refusal;

use crate::cast::settings;
use crate::scene::{Scene, about, opened};

/// Has a program of Ben's start, which joins by `key`; returns what becomes of it.
async fn starts(scene: &Scene, key: &SessionKey) -> JoinOutcome {
    let mut program = scene.joiner("ben", key).await.unwrap();
    let mut joining = program.join_unasked(key, "ben").await.unwrap();
    program.join_state(&mut joining, None).await.unwrap()
}

fn in_use(settings: &Settings) -> Option<RoomId> {
    client::in_use(&settings.data, settings.seat_dir.as_deref()).unwrap().map(|in_use| in_use.room)
}

#[tokio::test]
async fn a_program_that_starts_again_leaves_in_use_what_the_human_has_taken() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let key = opened(&mut ana, about("ship it")).await;
    let room = ana.room().await.unwrap();
    let of_ben = scene.settings("ben", "app");
    assert_eq!(starts(&scene, &key).await, JoinOutcome::Pending);
    ana.approve("ben", None).await.unwrap();
    assert_eq!((starts(&scene, &key).await, in_use(&of_ben)), (JoinOutcome::Member(room), Some(room)));

    let mut human = Client::connect(of_ben.clone(), None).await.unwrap();
    human.use_session(None).await.unwrap();
    assert_eq!((starts(&scene, &key).await, in_use(&of_ben)), (JoinOutcome::Member(room), None));
    // The human's own word counts each time.
    let mut joining = human.join(&key, "ben").await.unwrap();
    human.join_state(&mut joining, None).await.unwrap();
    assert_eq!(in_use(&of_ben), Some(room));
    scene.hub.kill();
}

#[tokio::test]
async fn a_session_that_a_human_has_entered_is_not_taken_into_use_by_a_program() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let key = opened(&mut ana, about("ship it")).await;
    let mut human = scene.member(&mut ana, "ben", &key).await;
    let room = human.room().await.unwrap();
    human.use_session(None).await.unwrap();
    let outcome = starts(&scene, &key).await;
    assert_eq!((outcome, in_use(&scene.settings("ben", "app"))), (JoinOutcome::Member(room), None));
    scene.hub.kill();
}

#[tokio::test]
async fn who_has_left_or_was_put_out_asks_anew_by_a_humans_word_alone() {
    for is_put_out in [false, true] {
        let scene = Scene::open();
        let mut ana = scene.owner("app").await;
        let key = opened(&mut ana, about("ship it")).await;
        let mut human = scene.member(&mut ana, "ben", &key).await;
        match is_put_out {
            true => drop(ana.kick("ben/app").await.unwrap()),
            false => drop(human.leave().await.unwrap()),
        }
        for _ in 0..2 {
            assert_eq!(starts(&scene, &key).await, JoinOutcome::Removed);
        }
        assert!(ana.requests().await.unwrap().requests.is_empty());
        let mut joining = human.join(&key, "ben").await.unwrap();
        assert_eq!(human.join_state(&mut joining, None).await.unwrap(), JoinOutcome::Pending);
        // Which the program goes on with, since it is the human's.
        assert_eq!(starts(&scene, &key).await, JoinOutcome::Pending);
        ana.approve("ben", None).await.unwrap();
        assert!(matches!(starts(&scene, &key).await, JoinOutcome::Member(_)));
        scene.hub.kill();
    }
}

#[tokio::test]
async fn who_was_put_out_while_waiting_does_not_ask_anew_unasked_either() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let key = opened(&mut ana, about("ship it")).await;
    let mut human = scene.joiner("ben", &key).await.unwrap();
    let mut joining = human.join(&key, "ben").await.unwrap();
    ana.approve("ben", None).await.unwrap();
    ana.kick("ben").await.unwrap();
    assert_eq!(human.join_state(&mut joining, None).await.unwrap(), JoinOutcome::Removed);
    assert_eq!(starts(&scene, &key).await, JoinOutcome::Removed);
    assert!(ana.requests().await.unwrap().requests.is_empty());
    scene.hub.kill();
}

#[tokio::test]
async fn what_was_decided_stays_so_for_a_program_once_the_hub_has_forgotten_the_request() {
    let home = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(1);
    let connect = async |user: &str| {
        let at = settings(&home.path().join(user), "app", hub.origin().parse().unwrap());
        Client::connect(at, None).await.unwrap()
    };
    let (mut ana, mut ben, mut eve, mut carl) =
        (connect("ana").await, connect("ben").await, connect("eve").await, connect("carl").await);
    let key: SessionKey = ana.open_session(about("ship it")).await.unwrap().key.parse().unwrap();
    let mut of_ben = ben.join_unasked(&key, "ben").await.unwrap();
    ana.approve("ben", None).await.unwrap();
    assert!(matches!(ben.join_state(&mut of_ben, None).await.unwrap(), JoinOutcome::Member(_)));
    ana.kick("ben").await.unwrap();
    let mut of_eve = eve.join_unasked(&key, "eve").await.unwrap();
    ana.deny("eve").await.unwrap();
    assert_eq!(eve.join_state(&mut of_eve, None).await.unwrap(), JoinOutcome::Denied);
    let of_carl = carl.join_unasked(&key, "carl").await.unwrap();
    drop((of_ben, of_eve, of_carl));
    // All requests so far; what is asked anew is known again.
    let count = Arc::new(AtomicUsize::new(0));
    let asked = count.clone();
    hub.lie(move |asking, answer| match asking.request {
        Request::Join(_) => drop(asked.fetch_add(1, Ordering::SeqCst)),
        Request::JoinState(_) if asked.load(Ordering::SeqCst) == 0 => {
            *answer = Err(Refusal::not_found());
        }
        _ => {}
    });
    for (client, outcome, asks_anew) in [
        (&mut ben, JoinOutcome::Removed, 0),
        (&mut eve, JoinOutcome::Denied, 0),
        (&mut carl, JoinOutcome::Pending, 1),
    ] {
        let mut joining = client.join_unasked(&key, "again").await.unwrap();
        assert_eq!(client.join_state(&mut joining, None).await.unwrap(), outcome);
        assert_eq!(count.load(Ordering::SeqCst), asks_anew);
    }
}
