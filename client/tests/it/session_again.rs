//! What is done twice, half, or by two at once: it is gone on with, and stands once.

use std::path::Path;
use std::sync::{Arc, Mutex};

use client::settings::HubAddress;
use client::{Client, Error, JoinOutcome, OpenSession, SessionError, Settings};
use kit::LyingHub;
use protocol::frame::{Answer, JoinerState, Request};
use protocol::invite::SessionKey;
use protocol::refusal::{Refusal, RefusalCode};

use crate::cast::settings;
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

/// The settings of `user` on a machine of an own.
fn of(home: &Path, user: &str, hub: &LyingHub) -> Settings {
    let address: HubAddress = hub.origin().parse().unwrap();
    Settings { name: format!("{user}/app"), ..settings(&home.join(user), "app", address) }
}

async fn seat(home: &Path, user: &str, hub: &LyingHub) -> Client {
    Client::connect(of(home, user, hub), None).await.unwrap()
}

/// A seat of Ana's on another machine, where nothing is known of what the first one does, in her session.
async fn twin(home: &Path, hub: &LyingHub) -> Client {
    let file = home.join("user");
    client::export_user(&of(home, "ana", hub), &file).unwrap();
    client::import_user(&of(home, "twin", hub), &file).unwrap();
    let mut twin = seat(home, "twin", hub).await;
    twin.use_session(Some("ship it")).await.unwrap();
    twin
}

#[tokio::test]
async fn a_session_that_was_opened_by_half_is_named_and_gone_on_with() {
    type Refused = fn(&Request) -> bool;
    let steps: [Refused; 2] =
        [|request| matches!(request, Request::PutKey(_)), |request| matches!(request, Request::Post(_))];
    for refused in steps {
        let home = tempfile::tempdir().unwrap();
        let hub = LyingHub::new(1);
        let mut ana = seat(home.path(), "ana", &hub).await;
        hub.lie(move |asking, answer| {
            if refused(asking.request) {
                *answer = Err(Refusal::new(RefusalCode::OverQuota, "no more today"));
            }
        });
        let error = ana.open_session(about("ship it")).await.unwrap_err();
        assert_eq!((error.code(), error.refusal()), ("over_quota", Some(RefusalCode::OverQuota)));
        assert!(error.hint().is_some_and(|hint| hint.contains("git parler key list")), "{error}");
        let Error::HalfOpened { room, .. } = error else { panic!("{error}") };
        hub.repent();
        let mut later = seat(home.path(), "ana", &hub).await;
        assert_eq!(later.room().await.unwrap(), room);
        let keys = later.keys().await.unwrap().keys;
        assert!(keys[0].key.is_some(), "the key can be shown: {keys:?}");
        assert_eq!(later.sessions().await.unwrap().sessions.len(), 1);
    }
}

#[tokio::test]
async fn a_decision_that_comes_between_two_looks_is_the_same_decision() {
    let home = tempfile::tempdir().unwrap();
    let hub = Arc::new(LyingHub::new(1));
    let mut one = seat(home.path(), "ana", &hub).await;
    let opened = one.open_session(about("ship it")).await.unwrap();
    let key: SessionKey = opened.key.parse().unwrap();
    let mut ben = seat(home.path(), "ben", &hub).await;
    ben.join(&key, "ben").await.unwrap();
    let mut two = twin(home.path(), &hub).await;
    one.approve("ben", None).await.unwrap();
    // The second seat does not see the admission before the gate is empty.
    let (me, room, told) = (two.seat().agent(), opened.room, Arc::downgrade(&hub));
    hub.show(me, room, |entries| drop(entries.pop()));
    hub.lie(move |asking, answer| {
        if let (true, Ok(Answer::Requests(list))) = (asking.agent == me, answer) {
            list.requests.clear();
            told.upgrade().unwrap().show(me, room, |_| {});
        }
    });
    let decision = two.approve("ben", None).await.unwrap();
    assert_eq!((decision.joiner.id, decision.state), (ben.seat().agent(), JoinerState::Member));
}

#[tokio::test]
async fn by_a_key_with_one_use_left_the_owners_seats_let_in_one() {
    let home = tempfile::tempdir().unwrap();
    let hub = Arc::new(LyingHub::new(1));
    let mut one = seat(home.path(), "ana", &hub).await;
    let opened = one.open_session(OpenSession { max_uses: 1, ..about("ship it") }).await.unwrap();
    let key: SessionKey = opened.key.parse().unwrap();
    for user in ["ben", "carl"] {
        seat(home.path(), user, &hub).await.join(&key, user).await.unwrap();
    }
    let mut two = twin(home.path(), &hub).await;
    // The second seat sees the room and its gate as they were before the first one let somebody in.
    let me = two.seat().agent();
    let listed = Arc::new(Mutex::new(None));
    let noted = listed.clone();
    hub.lie(move |_, answer| {
        if let Ok(Answer::Requests(list)) = answer {
            *noted.lock().unwrap() = Some(list.clone());
        }
    });
    two.requests().await.unwrap();
    one.approve("ben", None).await.unwrap();
    let (room, told) = (opened.room, Arc::downgrade(&hub));
    hub.show(me, room, |entries| drop(entries.pop()));
    hub.lie(move |asking, answer| {
        if let (true, Ok(Answer::Requests(list))) = (asking.agent == me, answer) {
            *list = listed.lock().unwrap().clone().unwrap();
            told.upgrade().unwrap().show(me, room, |_| {});
        }
    });
    let error = two.approve("carl", None).await.unwrap_err();
    assert!(matches!(error, Error::Session(SessionError::KeyUsedUp { .. })), "nothing was signed: {error}");
    assert_eq!(error.code(), "key_refused");
}
