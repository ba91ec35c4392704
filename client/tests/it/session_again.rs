//! What is done twice, half, or by two at once: it is gone on with, and stands once.

use client::JoinOutcome;

use crate::scene::{Scene, about, opened};

#[tokio::test]
async fn a_request_that_waits_keeps_its_name_and_says_so() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let key = opened(&mut ana, about("ship it")).await;
    let mut ben = scene.joiner("ben", &key).await.unwrap();
    let joining = ben.join(&key, "ben").await.unwrap();
    assert_eq!(joining.asked_name().as_deref(), Some("ben"));
    let mut again = ben.join(&key, "benjamin").await.unwrap();
    assert_eq!((again.request(), again.asked_name().as_deref()), (joining.request(), Some("ben")));
    // Where the file is lost the hub has the request all the same, and nobody here knows its name.
    std::fs::remove_dir_all(scene.settings("ben", "app").data.join("joins")).unwrap();
    let lost = ben.join(&key, "benjamin").await.unwrap();
    assert_eq!((lost.request(), lost.asked_name()), (joining.request(), None));
    assert_eq!(ana.requests().await.unwrap().requests[0].name, "ben");
    ana.approve("ben", None).await.unwrap();
    assert!(matches!(ben.join_state(&mut again, None).await.unwrap(), JoinOutcome::Member(_)));
    ben.leave().await.unwrap();
    let mut anew = ben.join(&key, "benjamin").await.unwrap();
    assert_eq!(ben.join_state(&mut anew, None).await.unwrap(), JoinOutcome::Pending);
    assert_eq!(anew.asked_name().as_deref(), Some("benjamin"));
    scene.hub.kill();
}
