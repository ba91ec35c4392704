//! Two people and a hub: a key, an approval, a conversation.

use std::collections::BTreeMap;
use std::time::Duration;

use client::report::{MessageKind, Received, Signature};
use client::settings::RoomChoice;
use client::{Client, Error, JoinOutcome, NotLetIn, OpenSession, SessionError, Settings};
use protocol::frame::JoinerState;
use protocol::invite::SessionKey;

use crate::cast::handoff;
use crate::scene::{DAY, Scene, about, opened};

/// Returns what was received in a line each: who, what kind, and the text.
fn lines(received: &Received) -> Vec<String> {
    let line = |message: &client::report::LoggedMessage| {
        let by = message.from.as_ref().map_or("owner", |from| from.name.as_str());
        let about: Vec<_> = message.agents.iter().map(|agent| agent.name.as_str()).collect();
        let about = about.join(",");
        let text = message.text.as_deref().unwrap_or_default();
        format!("{by} {:?} {about}{text}", message.kind)
    };
    received.messages.iter().map(line).collect()
}

fn refusal(error: &Error) -> &'static str {
    assert!(error.hint().is_none_or(|hint| !hint.is_empty()));
    error.code()
}

#[tokio::test]
async fn two_people_meet_by_a_key_an_approval_and_a_backlog() {
    let scene = Scene::closed();
    let mut ana = scene.owner("app").await;
    let open = ana.open_session(about("ship it")).await.unwrap();
    let key: SessionKey = open.key.parse().unwrap();
    assert_eq!(key.origin(), Some(format!("ws://127.0.0.1:{}", scene.port()).as_str()));
    assert_eq!(open.join_line, format!("git parler join {}", open.key));
    ana.send("hello").await.unwrap();

    let mut ben = scene.joiner("ben", &key).await.unwrap();
    let mut joining = ben.join(&key, "ben/app").await.unwrap();
    assert_eq!(ben.join_state(&mut joining, None).await.unwrap(), JoinOutcome::Pending);
    assert_eq!(refusal(&ben.sessions().await.unwrap_err()), "not_found");

    // Another process of the joiner goes on with the same request.
    ben.close().await;
    let mut ben = scene.joiner("ben", &key).await.unwrap();
    let mut again = ben.join(&key, "ben/app").await.unwrap();
    assert_eq!(again.request(), joining.request());

    let requests = ana.requests().await.unwrap();
    assert_eq!((requests.requests.len(), requests.rejected.len()), (1, 0));
    let request = &requests.requests[0];
    assert_eq!((request.id, request.name.as_str()), (ben.seat().agent(), "ben/app"));
    assert_eq!(request.words, protocol::words::words(&ben.seat().agent()));
    let tended = ana.tend_gates().await;
    assert_eq!((tended.let_in, tended.waiting), (Vec::new(), BTreeMap::from([(open.room, 1)])));
    let decision = ana.approve(&request.words.clone(), None).await.unwrap();
    assert_eq!((decision.joiner.id, decision.state), (ben.seat().agent(), JoinerState::Member));

    let outcome = ben.join_state(&mut again, Some(Duration::from_secs(30))).await.unwrap();
    assert_eq!(outcome, JoinOutcome::Member(open.room));
    let received = ben.recv("cli", 100, None).await.unwrap();
    assert_eq!(
        lines(&received),
        [
            "ana/app Topic ship it",
            "ana/app Text we fix the retry",
            "ana/app Text hello",
            "owner Admit ben/app"
        ]
    );
    assert!(received.messages.iter().all(|message| message.signature == Signature::Valid));
    assert!(received.flags.is_empty() && received.expired == 0 && !received.more);
    ben.ack(open.room, "cli", received.cursor).await.unwrap();
    assert!(ben.recv("cli", 100, None).await.unwrap().messages.is_empty());

    let (file, part) = handoff(scene.home.path(), 50_000, 1);
    let pushed = ben.push(&file, part.clone(), None).await.unwrap();
    assert_eq!(pushed.room, open.room);
    let received = ana.recv("cli", 100, None).await.unwrap();
    assert_eq!(lines(&received), ["ben/app Bundle change 1"], "neither her own messages nor her own act");
    assert_eq!(received.messages[0].bundle.as_ref().unwrap().id, part.blob);
    let status = ana.status("cli").await.unwrap();
    let names: Vec<_> = status.members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!((names, status.session, status.unread), (vec!["ana/app", "ben/app"], Some(open.room), 1));
    ana.ack(open.room, "cli", received.cursor).await.unwrap();
    assert_eq!(ana.status("cli").await.unwrap().unread, 0);
    // Another process, which has looked at no room yet.
    let mut fresh = scene.owner("app").await;
    assert_eq!(fresh.find(part.blob.into()).await.unwrap().room, open.room);
    let found = ana.find(part.blob.into()).await.unwrap();
    assert_eq!((found.author.name.as_str(), found.room), ("ben/app", open.room));
    assert_eq!(ana.fetch(&found, None).await.unwrap().size(), 50_000);
    // An id means what it means from anywhere: from the home, and from another session.
    for elsewhere in [None, Some(about("something else"))] {
        let mut other = scene.owner("app").await;
        match elsewhere {
            None => drop(other.use_session(None).await.unwrap()),
            Some(about) => drop(other.open_session(about).await.unwrap()),
        }
        assert_eq!(other.find(part.blob.into()).await.unwrap().room, open.room);
    }
    ana.use_session(Some(&open.room.to_string())).await.unwrap();

    let sessions = ben.sessions().await.unwrap().sessions;
    assert_eq!(sessions.len(), 1);
    assert_eq!((sessions[0].topic.as_deref(), sessions[0].in_use), (Some("ship it"), true));
    assert_eq!(sessions[0].owner, ana.seat().user());
    scene.hub.kill();
}

#[tokio::test]
async fn a_seat_of_the_owner_finds_the_session_by_topic_and_by_id() {
    let scene = Scene::open();
    let mut one = scene.owner("one").await;
    let key = opened(&mut one, about("ship it")).await;
    let mut two = scene.owner("two").await;
    assert!(matches!(two.requests().await, Err(Error::Session(SessionError::Home))));
    let used = two.use_session(Some("ship it")).await.unwrap();
    let room = used.room.unwrap();
    assert_eq!((used.session, used.topic.as_deref()), (Some(room), Some("ship it")));
    scene.joiner("ben", &key).await.unwrap().join(&key, "ben").await.unwrap();
    two.approve("ben", Some(true)).await.unwrap();
    let seat_dir = scene.settings("ana", "two").seat_dir;
    let data = scene.settings("ana", "two").data;
    let in_use = client::in_use(&data, seat_dir.as_deref()).unwrap().unwrap();
    assert_eq!((in_use.room, in_use.origin), (room, scene.settings("ana", "two").hub.origin()));
    let home = two.use_session(None).await.unwrap();
    assert_eq!(home.session, None);
    assert_eq!(Some(two.room().await.unwrap()), home.room);
    let named = RoomChoice::Named(room.to_string()[..6].to_owned());
    let mut three =
        Client::connect(Settings { room: named, ..scene.settings("ana", "three") }, None).await.unwrap();
    assert_eq!(three.room().await.unwrap(), room);
    for nothing in ["ffff0000", "sink it", "shi"] {
        let error = two.use_session(Some(nothing)).await.unwrap_err();
        assert_eq!(refusal(&error), "not_found", "{error}");
    }
    scene.hub.kill();
}

#[tokio::test]
async fn without_history_a_joiner_sees_nothing_of_what_was_said_before() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let key = opened(&mut ana, OpenSession { no_history: true, ..about("secret plans") }).await;
    ana.send("before").await.unwrap();
    let mut ben = scene.member(&mut ana, "ben", &key).await;
    ana.send("after").await.unwrap();
    let received = ben.recv("cli", 100, None).await.unwrap();
    assert_eq!(lines(&received), ["owner Admit ben/app", "ana/app Text after"]);
    assert_eq!(lines(&ben.log(Some(0), 100).await.unwrap()), lines(&received));
    assert_eq!(ben.sessions().await.unwrap().sessions[0].topic, None);
    ben.send("hello").await.unwrap();
    assert_eq!(lines(&ana.recv("cli", 100, None).await.unwrap()), ["ben/app Text hello"]);
    scene.hub.kill();
}

#[tokio::test]
async fn the_owners_other_machine_admits_without_history_where_the_session_was_opened_so() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let first = opened(&mut ana, OpenSession { no_history: true, ..about("secret plans") }).await;
    let file = scene.home.path().join("user.key");
    client::export_user(&scene.settings("ana", "app"), &file).unwrap();
    let elsewhere = scene.settings("ana at home", "app");
    client::import_user(&elsewhere, &file).unwrap();
    let mut there = Client::connect(elsewhere, None).await.unwrap();
    there.use_session(Some(&ana.room().await.unwrap().to_string())).await.unwrap();
    let second: SessionKey = there.new_key(DAY, 5, false).await.unwrap().key.parse().unwrap();
    for (user, key) in [("ben", &first), ("carl", &second)] {
        let mut joiner = scene.member(&mut there, user, key).await;
        let admission = format!("owner Admit {user}/app");
        assert_eq!(lines(&joiner.log(Some(0), 100).await.unwrap()), [admission.as_str()]);
    }
    scene.hub.kill();
}

#[tokio::test]
async fn a_denial_is_final() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let key = opened(&mut ana, about("ship it")).await;
    let mut eve = scene.joiner("eve", &key).await.unwrap();
    let mut joining = eve.join(&key, "eve").await.unwrap();
    let decision = ana.deny("eve").await.unwrap();
    assert_eq!(decision.state, JoinerState::Denied);
    assert_eq!(eve.join_state(&mut joining, None).await.unwrap(), JoinOutcome::Denied);
    let id = eve.seat().agent().to_string();
    assert_eq!(refusal(&ana.approve(&id, None).await.unwrap_err()), "denied");
    assert_eq!(
        ana.deny(&id).await.unwrap(),
        client::report::Decision {
            joiner: client::report::Agent { id: eve.seat().agent(), name: String::new() },
            ..decision
        }
    );
    // By another key too, and with the answer of a key that is wrong.
    let other: SessionKey = ana.new_key(DAY, 1, false).await.unwrap().key.parse().unwrap();
    assert_eq!(refusal(&eve.join(&other, "eve").await.unwrap_err()), "key_refused");
    assert!(ana.requests().await.unwrap().requests.is_empty());
    scene.hub.kill();
}

#[tokio::test]
async fn a_key_that_is_revoked_expired_used_up_or_of_nobody_is_refused_alike() {
    for scene in [Scene::open(), Scene::closed()] {
        let mut ana = scene.owner("app").await;
        let first = opened(&mut ana, OpenSession { max_uses: 1, ..about("ship it") }).await;
        let revoked = ana.new_key(DAY, 5, false).await.unwrap();
        let mut ben = scene.member(&mut ana, "ben", &first).await;
        ana.revoke_key(&revoked.key).await.unwrap();
        let keys = ana.keys().await.unwrap().keys;
        let states: Vec<_> = keys.iter().map(|key| (format!("{:?}", key.state), key.uses)).collect();
        assert_eq!(states, [("UsedUp".to_owned(), 1), ("Revoked".to_owned(), 0)]);
        assert_eq!(keys[0].key.as_ref(), Some(&first.to_string()));
        let nobodys = SessionKey::new([9; 16], first.room12(), first.origin().map(str::to_owned));
        let mut said = Vec::new();
        for key in [&first, &revoked.key.parse().unwrap(), &nobodys] {
            let error = match scene.joiner("carl", key).await {
                Ok(mut carl) => carl.join(key, "carl").await.unwrap_err(),
                Err(error) => error,
            };
            assert_eq!(refusal(&error), "key_refused", "{error}");
            said.push(error.to_string());
        }
        assert!(said.iter().all(|text| *text == said[0]), "{said:?}");
        // Who is in goes on, also with the key that is used up now.
        ben.send("still here").await.unwrap();
        let mut joining = ben.join(&first, "ben/app").await.unwrap();
        assert!(matches!(ben.join_state(&mut joining, None).await.unwrap(), JoinOutcome::Member(_)));
        scene.hub.kill();
    }
}

#[tokio::test]
async fn the_owners_seats_decide_at_once_and_each_decision_stands_once() {
    let scene = Scene::open();
    let mut one = scene.owner("one").await;
    let key = opened(&mut one, OpenSession { max_uses: 20, ..about("ship it") }).await;
    let mut two = scene.owner("two").await;
    two.use_session(Some("ship it")).await.unwrap();
    let mut joiners = Vec::new();
    for i in 0..3 {
        let name = format!("u{i}");
        let mut joiner = scene.joiner(&name, &key).await.unwrap();
        let joining = joiner.join(&key, &name).await.unwrap();
        joiners.push((joiner, joining));
    }
    for i in 0..3 {
        let name = format!("u{i}");
        let (here, there) = tokio::join!(one.approve(&name, None), two.approve(&name, None));
        assert_eq!((here.unwrap().state, there.unwrap().state), (JoinerState::Member, JoinerState::Member));
    }
    let admits = one.log(None, 100).await.unwrap();
    let count = admits.messages.iter().filter(|message| message.kind == MessageKind::Admit).count();
    assert_eq!(count, 3);
    assert_eq!(one.keys().await.unwrap().keys[0].uses, 3);
    for i in 0..3 {
        let name = format!("v{i}");
        let mut joiner = scene.joiner(&name, &key).await.unwrap();
        joiner.join(&key, &name).await.unwrap();
        // By the id: once one of them has decided, nothing tells the name of who was turned away.
        let id = joiner.me().id.to_string();
        let (here, there) = tokio::join!(one.deny(&id), two.deny(&id));
        assert_eq!((here.unwrap().state, there.unwrap().state), (JoinerState::Denied, JoinerState::Denied));
    }
    let denials = one.log(None, 100).await.unwrap();
    let count = denials.messages.iter().filter(|message| message.kind == MessageKind::Deny).count();
    assert_eq!(count, 3);
    // One lets in, the other turns away: one of them stands, and the other is told.
    let mut last = scene.joiner("last", &key).await.unwrap();
    last.join(&key, "last").await.unwrap();
    let (here, there) = tokio::join!(one.approve("last", None), two.deny("last"));
    let codes = [here.as_ref().err().map(refusal), there.as_ref().err().map(refusal)];
    assert!(matches!(codes, [None, Some("conflict")] | [Some("denied" | "not_found"), None]), "{codes:?}");
    scene.hub.kill();
}

#[tokio::test]
async fn two_processes_of_one_seat_send_at_once_and_nothing_is_lost() {
    let scene = Scene::open();
    let mut one = scene.owner("app").await;
    opened(&mut one, about("ship it")).await;
    let mut two = scene.owner("app").await;
    for i in 0..10 {
        let (here, there) = (format!("here {i}"), format!("there {i}"));
        let (here, there) = tokio::join!(one.send(&here), two.send(&there));
        assert_ne!(here.unwrap().seq, there.unwrap().seq);
    }
    let log = one.log(None, 100).await.unwrap();
    let texts: Vec<_> = log.messages.iter().filter_map(|message| message.text.as_deref()).collect();
    assert_eq!(texts.len(), 2 + 20);
    assert!(log.messages.iter().all(|message| message.flags.is_empty()));
    scene.hub.kill();
}

#[tokio::test]
async fn who_leaves_is_put_out_or_stays_until_the_end_is_told_so() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let key = opened(&mut ana, about("ship it")).await;
    let (mut ben, mut carl, mut dora) = (
        scene.member(&mut ana, "ben", &key).await,
        scene.member(&mut ana, "carl", &key).await,
        scene.member(&mut ana, "dora", &key).await,
    );
    let room = ana.room().await.unwrap();
    assert!(matches!(ana.leave().await, Err(Error::Session(SessionError::OwnerLeaves { .. }))));
    assert!(matches!(ben.kick("carl/app").await, Err(Error::Session(SessionError::NotOwner { .. }))));
    ben.leave().await.unwrap();
    assert_ne!(ben.room().await.unwrap(), room, "home again");
    assert_eq!(refusal(&ben.use_session(Some(&room.to_string())).await.unwrap_err()), "not_found");
    let kicked = ana.kick("carl/app").await.unwrap();
    assert_eq!((kicked.joiner.id, kicked.state), (carl.seat().agent(), JoinerState::Removed));
    let error = carl.send("still here?").await.unwrap_err();
    assert!(matches!(error, Error::Session(SessionError::NotInRoom { .. })), "{error}");
    assert!(carl.sessions().await.unwrap().sessions.is_empty());
    assert_eq!(refusal(&ana.kick("carl/app").await.unwrap_err()), "not_found");
    // Neither is final: with a key that lives, both may ask again, and wait again.
    let mut joining = ben.join(&key, "ben/app").await.unwrap();
    assert_eq!(ben.join_state(&mut joining, None).await.unwrap(), JoinOutcome::Pending);
    ana.approve("ben/app", None).await.unwrap();
    assert_eq!(ben.join_state(&mut joining, None).await.unwrap(), JoinOutcome::Member(room));
    ana.close_session().await.unwrap();
    assert_ne!(ana.room().await.unwrap(), room);
    assert_eq!(refusal(&dora.send("too late").await.unwrap_err()), "closed");
    let received = dora.log(None, 4).await.unwrap();
    assert_eq!(
        lines(&received),
        ["ben/app Leave ", "owner Remove carl/app", "owner Admit ben/app", "owner Close "]
    );
    scene.hub.kill();
}

#[tokio::test]
async fn a_hub_that_is_killed_and_started_again_is_not_noticed() {
    let mut scene = Scene::closed();
    let mut ana = scene.owner("app").await;
    let key = opened(&mut ana, about("ship it")).await;
    let mut ben = scene.member(&mut ana, "ben", &key).await;
    let mut said = Vec::new();
    for i in 0..3 {
        scene = scene.restart();
        ana.send(&format!("after restart {i}")).await.unwrap();
        let received = ben.recv("cli", 100, Some(Duration::from_secs(20))).await.unwrap();
        said.extend(lines(&received));
        ben.ack(received.room, "cli", received.cursor).await.unwrap();
    }
    let texts: Vec<_> = said.iter().filter(|line| line.contains("restart")).collect();
    assert_eq!(
        texts,
        ["ana/app Text after restart 0", "ana/app Text after restart 1", "ana/app Text after restart 2"]
    );
    scene.hub.kill();
}

#[tokio::test]
async fn a_key_that_says_so_lets_in_whoever_asks_and_no_other_key_does() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let slow = opened(&mut ana, about("ship it")).await;
    let auto: SessionKey = ana.new_key(DAY, 2, true).await.unwrap().key.parse().unwrap();
    let mut joiners = Vec::new();
    for (user, key) in [("ben", &auto), ("carl", &slow), ("dora", &auto)] {
        let mut joiner = scene.joiner(user, key).await.unwrap();
        let joining = joiner.join(key, user).await.unwrap();
        joiners.push((joiner, joining));
    }
    let names = |decisions: Vec<Result<client::report::Decision, NotLetIn>>| {
        decisions.into_iter().map(|decision| decision.unwrap().joiner.name).collect::<Vec<_>>()
    };
    assert_eq!(names(ana.approve_auto().await.unwrap()), ["ben", "dora"]);
    assert!(ana.approve_auto().await.unwrap().is_empty());
    let mut outcomes = Vec::new();
    for (joiner, joining) in &mut joiners {
        outcomes.push(matches!(joiner.join_state(joining, None).await.unwrap(), JoinOutcome::Member(_)));
    }
    assert_eq!(outcomes, [true, false, true]);
    // Whoever asks by a key that has let in as many as it may learns no more than that it is refused.
    assert_eq!(ana.revoke_key(&auto.to_string()).await.unwrap().state, client::report::KeyState::Revoked);
    scene.hub.kill();
}

#[tokio::test]
async fn whoever_asks_by_an_auto_key_is_let_in_by_a_seat_that_works_elsewhere() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let slow = opened(&mut ana, about("ship it")).await;
    // One use, for which two ask.
    let auto: SessionKey = ana.new_key(DAY, 1, true).await.unwrap().key.parse().unwrap();
    for (user, key) in [("ben", &auto), ("carl", &slow), ("dora", &auto)] {
        scene.joiner(user, key).await.unwrap().join(key, user).await.unwrap();
    }
    let mut elsewhere = scene.owner("elsewhere").await;
    elsewhere.home().await.unwrap();
    let tended = elsewhere.tend_gates().await;
    let let_in: Vec<_> = tended.let_in.iter().map(|decision| decision.joiner.name.as_str()).collect();
    let waiting: Vec<_> = tended.waiting.into_values().collect();
    assert_eq!((let_in, waiting), (vec!["ben"], vec![1]));
    assert_eq!(elsewhere.tend_gates().await, client::Tended::default(), "one look each time the hub tells");
    scene.hub.kill();
}

#[tokio::test]
async fn who_was_put_out_is_not_let_in_again_by_an_auto_key() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    let key = opened(&mut ana, OpenSession { auto: true, ..about("ship it") }).await;
    let mut ben = scene.joiner("ben", &key).await.unwrap();
    let mut joining = ben.join(&key, "ben").await.unwrap();
    assert_eq!(ana.approve_auto().await.unwrap().len(), 1);
    ana.kick("ben").await.unwrap();
    assert_eq!(ben.join_state(&mut joining, None).await.unwrap(), JoinOutcome::Removed);
    let mut again = ben.join(&key, "somebody").await.unwrap();
    assert!(ana.approve_auto().await.unwrap().is_empty());
    ana.wait_for_requests(Duration::from_secs(60)).await;
    let tended = ana.tend_gates().await;
    let waiting: Vec<_> = tended.waiting.into_values().collect();
    assert_eq!((tended.let_in, waiting), (Vec::new(), vec![1]));
    let requests = ana.requests().await.unwrap().requests;
    assert_eq!(
        (requests[0].name.as_str(), requests[0].auto, requests[0].was_removed),
        ("somebody", true, true)
    );
    assert_eq!(ben.join_state(&mut again, None).await.unwrap(), JoinOutcome::Pending);
    ana.approve("somebody", None).await.unwrap();
    assert!(matches!(ben.join_state(&mut again, None).await.unwrap(), JoinOutcome::Member(_)));
    scene.hub.kill();
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_is_done() {
    let scene = Scene::open();
    let mut ana = scene.owner("app").await;
    for (ttl, max_uses) in [(Duration::ZERO, 1), (DAY * 367, 1), (DAY, 0), (DAY, 257)] {
        let error = ana.open_session(OpenSession { ttl, max_uses, ..about("x") }).await.unwrap_err();
        assert!(matches!(error, Error::Session(SessionError::KeyBounds)), "{error}");
    }
    let recap = Some("r".repeat(2_000_000));
    let error = ana.open_session(OpenSession { recap, ..about("x") }).await.unwrap_err();
    assert_eq!(refusal(&error), "too_large");
    assert!(ana.sessions().await.unwrap().sessions.is_empty());
    let recap = Some("a line of context\n".repeat(10_000));
    let key = opened(&mut ana, OpenSession { recap: recap.clone(), ..about("ship it") }).await;
    let whole: String =
        ana.log(None, 100).await.unwrap().messages.into_iter().skip(1).filter_map(|m| m.text).collect();
    assert_eq!(Some(whole), recap);
    assert_eq!(refusal(&ana.send(&"m".repeat(65_536)).await.unwrap_err()), "too_large");
    assert_eq!(refusal(&ana.send(" \n").await.unwrap_err()), "usage");

    let mut ben = scene.joiner("ben", &key).await.unwrap();
    for name in ["", " ", "ben\u{202e}", "ben\n", &"b".repeat(101)] {
        let error = ben.join(&key, name).await.unwrap_err();
        assert!(matches!(error, Error::Session(SessionError::Name { .. })), "{error}");
    }
    let elsewhere = SessionKey::new([4; 16], key.room12(), Some("wss://hub.example:443".to_owned()));
    assert_eq!(refusal(&ben.join(&elsewhere, "ben").await.unwrap_err()), "wrong_hub");
    assert!(ana.requests().await.unwrap().requests.is_empty(), "none of it was filed");
    scene.hub.kill();
}
