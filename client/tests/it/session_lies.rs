//! Sessions at a hub whose operator lies: what owner and joiner believe, and what they do not.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::report::{JoinRequest, KeyState};
use client::{Client, Error, JoinOutcome, OpenSession, SessionError, Settings};
use kit::{LyingHub, Member};
use protocol::frame::{
    Answer, ChainPage, Entry, EntryContent, JoinStanding, JoinerState, KeyRow, Request, RequestList,
    Requests, Rooms,
};
use protocol::id::Digest;
use protocol::invite::SessionKey;
use protocol::key::UserKey;
use protocol::refusal::{Refusal, RefusalCode};
use protocol::room::{AdmissionError, ChainEnd};
use protocol::signed::{self, Signed};
use protocol::statement::{Genesis, Key, RoomKind};
use tempfile::TempDir;

use crate::cast::settings;

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn seat(home: &Path, user: &str, hub: &LyingHub) -> Client {
    let home = home.join(user);
    let settings =
        Settings { name: format!("{user}/app"), ..settings(&home, "app", hub.origin().parse().unwrap()) };
    Client::connect(settings, None).await.unwrap()
}

/// An owner with an open session, a joiner who has asked, and their hub.
async fn asked(seed: u8) -> (TempDir, LyingHub, Client, Client, SessionKey) {
    let home = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(seed);
    let mut ana = seat(home.path(), "ana", &hub).await;
    let open =
        OpenSession { topic: None, recap: None, ttl: DAY, max_uses: 5, auto: false, no_history: false };
    let key: SessionKey = ana.open_session(open).await.unwrap().key.parse().unwrap();
    let mut ben = seat(home.path(), "ben", &hub).await;
    let mut joining = ben.join(&key, "ben/app").await.unwrap();
    assert_eq!(ben.join_state(&mut joining, None).await.unwrap(), JoinOutcome::Pending);
    (home, hub, ana, ben, key)
}

/// What the hub's answers showed.
type Seen<T> = Arc<Mutex<Option<T>>>;

/// Notes the statement that opened a room, as it travels in the list of rooms.
fn note_genesis(hub: &LyingHub) -> Seen<Signed<Genesis>> {
    let noted = Seen::default();
    let note = noted.clone();
    hub.lie(move |_, answer| {
        if let Ok(Answer::Rooms(list)) = answer {
            let session = list.rooms.iter().find(|row| {
                let genesis = row.genesis.clone().verify().unwrap();
                genesis.statement().kind == RoomKind::Session
            });
            *note.lock().unwrap() = session.map(|row| row.genesis.clone());
        }
    });
    noted
}

/// Changes the lists of requests that the owner is shown.
fn edit_requests(hub: &LyingHub, mut edit: impl FnMut(&mut RequestList) + Send + 'static) {
    hub.lie(move |_, answer| {
        if let Ok(Answer::Requests(list)) = answer {
            edit(list);
        }
    });
}

async fn offered(owner: &mut Client) -> (Vec<JoinRequest>, Vec<String>) {
    let requests = owner.requests().await.unwrap();
    (requests.requests, requests.rejected.into_iter().map(|rejected| rejected.reason).collect())
}

#[tokio::test]
async fn a_swapped_joiner_is_not_offered_for_approval() {
    let (_home, hub, mut ana, ben, key) = asked(1).await;
    let eve = Member::log_in(9, &hub.origin()).unwrap();
    let forged = eve.request_to_join(&key, "ben/app");
    let (own, countersigned) = (forged.join.clone(), forged.ask.clone());
    // Eve's statement under the countersignature that Ben's key made for his.
    let of_ben = ben.seat().agent();
    edit_requests(&hub, move |list| list.requests[0].ask.join = own.clone());
    let (requests, rejected) = offered(&mut ana).await;
    assert!(requests.is_empty());
    assert_eq!(rejected, ["the request is not countersigned by the key it names"]);
    assert!(matches!(ana.approve("ben/app", None).await, Err(Error::Session(SessionError::NoSuch { .. }))));
    // One that holds by itself is hers, and is told by her id and words.
    edit_requests(&hub, move |list| {
        list.requests[0].ask.join = forged.join.clone();
        list.requests[0].ask.ask = countersigned.clone();
        list.requests[0].ask.seat = None;
    });
    let (requests, _) = offered(&mut ana).await;
    assert_eq!((requests[0].id, requests[0].id == of_ben), (eve.id(), false));
}

#[tokio::test]
async fn a_request_by_a_key_that_the_owner_has_not_made_is_reported() {
    let (_home, hub, mut ana, _ben, _key) = asked(2).await;
    let mut eve = Member::log_in(9, &hub.origin()).unwrap();
    let room = eve.open(7).unwrap();
    eve.put_key(room, 5, false).unwrap();
    let Answer::Requests(list) = eve.ask(&Request::Requests(Requests { room, after: None })).unwrap() else {
        panic!("a list")
    };
    let key = list.keys[0].key.clone();
    edit_requests(&hub, move |list| list.requests[0].key = key.clone());
    let (requests, rejected) = offered(&mut ana).await;
    assert!(requests.is_empty());
    assert_eq!(rejected, ["the key of the request is none that the owner made for this room"]);
}

#[tokio::test]
async fn a_request_is_offered_once_however_often_it_is_listed_and_not_after_the_decision() {
    let (_home, hub, mut ana, mut ben, _key) = asked(3).await;
    edit_requests(&hub, |list| {
        let all = list.requests.clone();
        list.requests.extend(all.iter().cloned());
        list.more = false;
    });
    assert_eq!(offered(&mut ana).await.0.len(), 1);
    hub.repent();
    let kept = Seen::default();
    let seen = kept.clone();
    edit_requests(&hub, move |list| *seen.lock().unwrap() = Some(list.requests.clone()));
    offered(&mut ana).await;
    let listed = kept.lock().unwrap().clone().unwrap();
    ana.deny("ben/app").await.unwrap();
    edit_requests(&hub, move |list| list.requests.clone_from(&listed));
    let (requests, rejected) = offered(&mut ana).await;
    assert!(requests.is_empty() && rejected.is_empty());
    assert!(ben.send("hello").await.is_ok(), "at home, where else");
}

#[tokio::test]
async fn a_list_of_requests_without_an_end_is_looked_at_for_a_while_and_said_to_go_on() {
    let (_home, hub, mut ana, _ben, _key) = asked(9).await;
    assert!(!ana.requests().await.unwrap().more);
    let pages = Seen::default();
    let (count, mut first) = (pages.clone(), None);
    edit_requests(&hub, move |list| {
        *count.lock().unwrap().get_or_insert(0) += 1;
        list.requests = first.get_or_insert_with(|| list.requests.clone()).clone();
        list.more = true;
    });
    let requests = ana.requests().await.unwrap();
    assert_eq!((requests.requests.len(), requests.more), (1, true));
    assert_eq!(*pages.lock().unwrap(), Some(64));
}

#[tokio::test]
async fn a_revoked_key_lets_nobody_in_whatever_the_hub_makes_of_it() {
    let (_home, hub, mut ana, _ben, _key) = asked(6).await;
    let auto: SessionKey = ana.new_key(DAY, 5, true).await.unwrap().key.parse().unwrap();
    let mut eve = Member::log_in(9, &hub.origin()).unwrap();
    eve.join(&auto, "eve").unwrap();
    let kept = Seen::default();
    let seen = kept.clone();
    edit_requests(&hub, move |list| *seen.lock().unwrap() = Some(list.clone()));
    assert_eq!(offered(&mut ana).await.0.len(), 2);
    let listed = kept.lock().unwrap().clone().unwrap();
    hub.repent();
    ana.revoke_key(&auto.to_string()).await.unwrap();
    // It says that it has done so, and goes on as if nobody had asked it to.
    edit_requests(&hub, move |list| list.clone_from(&listed));
    let (requests, rejected) = offered(&mut ana).await;
    assert_eq!((requests.len(), requests[0].auto), (1, false));
    assert_eq!(rejected, ["the key of the request was revoked"]);
    assert!(ana.approve_auto().await.unwrap().is_empty());
    let keys = ana.keys().await.unwrap().keys;
    let revoked = keys.iter().find(|key| key.auto).unwrap();
    assert_eq!(revoked.state, KeyState::Revoked);
}

#[tokio::test]
async fn who_cannot_be_let_in_keeps_nobody_else_out() {
    let (_home, hub, mut ana, _ben, _key) = asked(7).await;
    let auto: SessionKey = ana.new_key(DAY, 5, true).await.unwrap().key.parse().unwrap();
    for (seed, name) in [(9, "eve"), (10, "carl")] {
        Member::log_in(seed, &hub.origin()).unwrap().join(&auto, name).unwrap();
    }
    let mut refused = 0;
    hub.lie(move |asking, answer| {
        if matches!(asking.request, Request::Append(_)) && refused == 0 {
            refused += 1;
            *answer = Err(Refusal::key_refused());
        }
    });
    let decisions = ana.approve_auto().await.unwrap();
    let [Err(not_let_in), Ok(decision)] = &decisions[..] else { panic!("{decisions:?}") };
    assert_eq!((not_let_in.joiner.name.as_str(), not_let_in.error.code()), ("eve", "key_refused"));
    assert_eq!(decision.joiner.name, "carl");
}

#[tokio::test]
async fn an_admission_that_the_owner_has_not_signed_is_not_believed() {
    let (_home, hub, mut ana, mut ben, key) = asked(4).await;
    let mut joining = ben.join(&key, "ben/app").await.unwrap();
    let noted = note_genesis(&hub);
    ana.sessions().await.unwrap();
    let genesis = noted.lock().unwrap().clone().unwrap();
    hub.lie(move |_, answer| {
        if let Ok(Answer::JoinState(standing)) = answer {
            *standing = JoinStanding { state: JoinerState::Member, genesis: Some(genesis.clone()) };
        }
        if answer.as_ref().is_err_and(|refusal| refusal.code == RefusalCode::NotFound) {
            // What it shows of the chain is what there is: no admission.
            let end = ChainEnd { n: 0, digest: Digest::from_bytes([0; 32]) };
            let page = ChainPage { entries: Vec::new(), more: false, end };
            *answer = Ok(Answer::Chain(page));
        }
    });
    let error = ben.join_state(&mut joining, None).await.unwrap_err();
    assert!(matches!(error, Error::Session(SessionError::Admission(AdmissionError::NotAdmitted))), "{error}");
    assert_eq!(error.code(), "verification_failed");
    assert_eq!(ben.seat().in_use().unwrap(), None);
}

/// Forgets every request to join, as hubs do some days after the decision, and refuses new ones; it may hide all rooms too.
fn forget_requests(hub: &LyingHub, hides_rooms: bool) {
    hub.lie(move |asking, answer| match (asking.request, answer) {
        (Request::JoinState(_), answer) => *answer = Err(Refusal::not_found()),
        (Request::Join(_), answer) => *answer = Err(Refusal::key_refused()),
        (Request::Rooms(_), Ok(Answer::Rooms(list))) if hides_rooms => list.rooms.clear(),
        _ => {}
    });
}

#[tokio::test]
async fn who_is_in_enters_by_a_key_that_is_over_and_a_request_that_is_forgotten() {
    let (home, hub, mut ana, mut ben, key) = asked(8).await;
    ana.approve("ben/app", None).await.unwrap();
    let mut joining = ben.join(&key, "ben/app").await.unwrap();
    let entered = ben.join_state(&mut joining, None).await.unwrap();
    ben.use_session(None).await.unwrap();
    ana.revoke_key(&key.to_string()).await.unwrap();
    let joins = || std::fs::read_dir(home.path().join("ben/p/joins")).unwrap().count();

    forget_requests(&hub, false);
    let mut again = ben.join(&key, "ben/app").await.unwrap();
    assert_eq!(ben.join_state(&mut again, None).await.unwrap(), entered);
    assert_eq!(JoinOutcome::Member(ben.room().await.unwrap()), entered);
    // Where the hub shows no room either, the key is what is left. That he has asked stays known.
    forget_requests(&hub, true);
    let error = ben.join_state(&mut again, None).await.unwrap_err();
    assert_eq!((error.code(), joins()), ("key_refused", 1));
    // Nor is it forgotten where a crash came before the hub's answer.
    let path = std::fs::read_dir(home.path().join("ben/p/joins")).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read_to_string(&path).unwrap();
    let request = format!(",\"request\":\"{}\"", joining.request().unwrap());
    assert!(whole.contains(&request), "{whole}");
    std::fs::write(&path, whole.replace(&request, "")).unwrap();
    assert_eq!((ben.join(&key, "ben/app").await.unwrap_err().code(), joins()), ("key_refused", 1));
    std::fs::write(&path, whole).unwrap();
    hub.repent();
    let mut again = ben.join(&key, "ben/app").await.unwrap();
    assert_eq!(ben.join_state(&mut again, None).await.unwrap(), entered);
    assert_eq!(joins(), 1);
}

/// Shows a chain without an end, each entry of which is `content`, and counts its pages.
fn show_endless_chain(hub: &LyingHub, content: EntryContent) -> Seen<u64> {
    let (pages, mut last) = (Seen::default(), 0);
    let count = pages.clone();
    hub.lie(move |_, answer| {
        if let Ok(Answer::Chain(page)) = answer {
            *count.lock().unwrap().get_or_insert(0) += 1;
            let entries = (last + 1..=last + 500).map(|seq| Entry { seq, content: content.clone() });
            page.entries = entries.collect();
            (last, page.more) = (last + 500, true);
        }
    });
    pages
}

#[tokio::test]
async fn a_chain_without_an_end_is_not_read_for_ever() {
    let (_home, hub, mut ana, mut ben, key) = asked(14).await;
    ana.approve("ben/app", None).await.unwrap();
    let mut joining = ben.join(&key, "ben/app").await.unwrap();
    // It holds, and lets nobody in or out.
    let said = ana.send("hello").await.unwrap();
    let content = hub.entries(said.room).pop().unwrap().content;
    let pages = show_endless_chain(&hub, content);
    let error = ben.join_state(&mut joining, None).await.unwrap_err();
    assert!(matches!(error, Error::Contradiction { .. }), "{error}");
    assert_eq!(*pages.lock().unwrap(), Some(41));
    assert_eq!(ben.seat().in_use().unwrap(), None);
}

#[tokio::test]
async fn a_chain_that_does_not_hold_is_read_no_further() {
    let (_home, hub, mut ana, mut ben, key) = asked(16).await;
    ana.approve("ben/app", None).await.unwrap();
    let mut joining = ben.join(&key, "ben/app").await.unwrap();
    let room = ana.room().await.unwrap();
    let act = hub.entries(room).pop().unwrap().content;
    let pages = show_endless_chain(&hub, act);
    let error = ben.join_state(&mut joining, None).await.unwrap_err();
    assert!(matches!(error, Error::Session(SessionError::Admission(AdmissionError::Chain(_)))), "{error}");
    assert_eq!(*pages.lock().unwrap(), Some(1));
    assert_eq!(ben.seat().in_use().unwrap(), None);
}

#[tokio::test]
async fn another_room_behind_a_key_is_not_entered() {
    let (_home, hub, _ana, mut ben, key) = asked(5).await;
    let mut eve = Member::log_in(9, &hub.origin()).unwrap();
    let room = eve.open(7).unwrap();
    eve.admit(room, ben.seat().agent(), "ben/app").unwrap();
    let noted = note_genesis(&hub);
    eve.ask(&Request::Rooms(Rooms::default())).unwrap();
    let genesis = noted.lock().unwrap().clone().unwrap();
    let mut joining = ben.join(&key, "ben/app").await.unwrap();
    hub.lie(move |_, answer| {
        if let Ok(Answer::JoinState(standing)) = answer {
            *standing = JoinStanding { state: JoinerState::Member, genesis: Some(genesis.clone()) };
        }
    });
    let error = ben.join_state(&mut joining, None).await.unwrap_err();
    assert!(matches!(error, Error::Session(SessionError::Admission(AdmissionError::OtherRoom))), "{error}");
    assert_eq!(ben.seat().in_use().unwrap(), None);
    // Nor is it one of his because its owner admits him, and the hub lists it: he never asked to be in it.
    hub.repent();
    assert!(ben.sessions().await.unwrap().sessions.is_empty());
}

#[tokio::test]
async fn a_request_by_a_key_that_has_expired_is_reported_whatever_the_hub_lists() {
    let (home, hub, mut ana, ..) = asked(14).await;
    let file = home.path().join("user");
    let here = settings(&home.path().join("ana"), "app", hub.origin().parse().unwrap());
    client::export_user(&here, &file).unwrap();
    let owner = UserKey::from_seed_text(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let room = ana.room().await.unwrap();
    let key = SessionKey::new([9; 16], room.room12(), None);
    let (invite, now) = (key.invite_key().public(), client::seat::now());
    let (issued, expires, max_uses) = (now - 2000, now - 1000, 5);
    let word =
        Key { room, invite, issued, expires, max_uses, auto: true, no_history: false, needs: Vec::new() };
    let key_row = KeyRow { key: signed::sign(&owner, word).signed().clone(), uses: 0, revoked: false };
    let request = Member::log_in(7, &hub.origin()).unwrap().request_to_join(&key, "carl");
    edit_requests(&hub, move |list| {
        let key = key_row.key.clone();
        list.requests = vec![protocol::frame::JoinRequest { ask: request.clone(), key, first_seen: now }];
        list.keys.push(key_row.clone());
    });
    assert!(ana.approve_auto().await.unwrap().is_empty());
    let answer = ana.requests().await.unwrap();
    assert!(answer.requests.is_empty());
    assert_eq!(answer.rejected[0].reason, "the key of the request has expired");
    let error = ana.approve("carl", None).await.unwrap_err();
    assert_eq!(error.code(), "not_found", "{error}");
    let states: Vec<_> = ana.keys().await.unwrap().keys.iter().map(|key| key.state).collect();
    assert_eq!(states, [KeyState::Live, KeyState::Expired]);
}

#[tokio::test]
async fn an_auto_key_lets_in_nobody_while_the_hub_shows_another_history() {
    let home = tempfile::tempdir().unwrap();
    let hub = LyingHub::new(13);
    let mut ana = seat(home.path(), "ana", &hub).await;
    let open = OpenSession { topic: None, recap: None, ttl: DAY, max_uses: 5, auto: true, no_history: false };
    let opened = ana.open_session(open).await.unwrap();
    for text in ["one", "two"] {
        ana.send(text).await.unwrap();
    }
    ana.room().await.unwrap();
    hub.show(ana.seat().agent(), opened.room, |entries| entries.truncate(1));
    let key = opened.key.parse().unwrap();
    let mut ben = seat(home.path(), "ben", &hub).await;
    let mut joining = ben.join(&key, "ben/app").await.unwrap();
    ana.wait_for_requests(Duration::from_secs(60)).await;
    let tended = ana.tend_gates().await;
    let waiting = [(opened.room, 1)].into();
    assert_eq!((tended.let_in, tended.waiting), (Vec::new(), waiting));
    assert_eq!(ben.join_state(&mut joining, None).await.unwrap(), JoinOutcome::Pending);
    hub.repent();
    ana.accept_fork().await.unwrap();
    assert_eq!(ana.approve_auto().await.unwrap().len(), 1);
}

#[tokio::test]
async fn who_follows_a_log_is_told_that_the_hub_shows_another() {
    let (_home, hub, mut ana, _ben, _key) = asked(15).await;
    let room = ana.room().await.unwrap();
    for text in ["one", "two"] {
        ana.send(text).await.unwrap();
    }
    let end = ana.news(None, Duration::ZERO).await.unwrap();
    let (waits, me) = (Duration::from_secs(50), ana.seat().agent());
    let hub = Arc::new(hub);
    let told = Arc::downgrade(&hub);
    // Behind the look at the room, so that it is found out while waiting.
    hub.lie(move |asking, _| {
        if matches!(asking.request, Request::Pull(pull) if pull.wait_ms.is_none()) {
            told.upgrade().unwrap().show(me, room, |entries| entries.truncate(1));
        }
    });
    let told = ana.news(Some(end), waits).await;
    assert!(matches!(told, Err(Error::Forked { .. })), "{told:?}");
    for after in [None, Some(end)] {
        let told = ana.news(after, waits).await;
        assert!(matches!(told, Err(Error::Forked { .. })), "{told:?}");
    }
}

#[tokio::test]
async fn what_was_read_of_a_room_that_is_gone_since_counts_nowhere() {
    let (_home, hub, mut ana, mut ben, key) = asked(17).await;
    ana.approve("ben/app", None).await.unwrap();
    let mut joining = ben.join(&key, "ben/app").await.unwrap();
    ben.join_state(&mut joining, None).await.unwrap();
    let received = ben.recv("cli", 10, None).await.unwrap();
    hub.lie(|asking, answer| {
        if matches!(asking.request, Request::Ack(_) | Request::Pull(_)) {
            *answer = Err(Refusal::not_found());
        }
    });
    // By the answer to the acknowledgment itself, and then for good.
    for _ in 0..2 {
        let error = ben.ack(received.room, "cli", received.cursor).await.unwrap_err();
        assert!(matches!(error, Error::Session(SessionError::NotInRoom { .. })), "{error}");
    }
    let error = ben.note_read(received.room, "cli", received.cursor).unwrap_err();
    assert!(matches!(error, Error::Session(SessionError::NotInRoom { .. })), "{error}");
}

#[tokio::test]
async fn what_was_read_counts_on_this_machine_before_the_hub_hears_of_it() {
    let (home, hub, mut ana, mut ben, key) = asked(18).await;
    ana.approve("ben/app", None).await.unwrap();
    let mut joining = ben.join(&key, "ben/app").await.unwrap();
    ben.join_state(&mut joining, None).await.unwrap();
    let received = ben.recv("cli", 10, None).await.unwrap();
    let acked = Seen::default();
    let noted = acked.clone();
    hub.lie(move |asking, _| {
        if let Request::Ack(ack) = asking.request {
            *noted.lock().unwrap() = Some(ack.seq);
        }
    });
    ben.note_read(received.room, "cli", received.cursor).unwrap();
    assert_eq!(*acked.lock().unwrap(), None);
    let mut other = seat(home.path(), "ben", &hub).await;
    assert_eq!(other.recv("cli", 10, None).await.unwrap().messages, []);
    ben.tell_read(received.room, "cli").await.unwrap();
    assert_eq!(*acked.lock().unwrap(), Some(received.cursor));
}
