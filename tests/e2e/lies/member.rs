//! Lies of members, and of owners, to an honest hub: it takes nothing that would make readers distrust it.

use kit::{Env, Member};
use protocol::frame::{Append, OpenRoom, Post, Request};
use protocol::id::{BlobId, Digest, RoomId};
use protocol::refusal::RefusalCode;
use protocol::room::{Members, RangeChecks, Reading, verify_range};
use protocol::signed;
use protocol::statement::{Admit, Genesis, LogPoint, Op, Role, RoomKind};

use crate::environment;
use crate::served::Served;

/// An owner and a member of a session at a real hub. Each has said something.
struct Scene {
    ana: Member,
    ben: Member,
    room: RoomId,
    head: LogPoint,
    origin: String,
    _hub: Served,
    _env: Env,
}

impl Scene {
    fn new() -> Self {
        let env = environment();
        let hub = Served::start(&env, &env.path("hub"), &[]);
        let origin = hub.url();
        let mut ana = Member::log_in(1, &origin).expect("a good hub and good members");
        let mut ben = Member::log_in(2, &origin).expect("a good hub and good members");
        let room = ana.open(1).expect("a good hub and good members");
        ana.post((room, 1, LogPoint::start(room)), "hello", |_| {}).expect("a good hub and good members");
        let key = ana.put_key(room, 7, false).expect("a good hub and good members");
        ben.join(&key, "ben").expect("a good hub and good members");
        ana.admit(room, ben.id(), "ben").expect("a good hub and good members");
        let head = ben.pull(room, 0).expect("a good hub and good members").end;
        ben.post((room, 1, head), "hello yourself", |_| {}).expect("a good hub and good members");
        let head = ben.pull(room, 0).expect("a good hub and good members").end;
        Self { ana, ben, room, head, origin, _hub: hub, _env: env }
    }

    /// Reads everything as somebody who has only just come; asserts that all of it holds.
    fn holds(&mut self) {
        let page = self.ana.pull(self.room, 0).expect("a good hub and good members");
        assert_eq!(page.end, self.head, "nothing came in");
        let mut members = Members::of(self.room, self.ana.user.public(), RoomKind::Session);
        page.seats.into_iter().for_each(|seat| members.note_seat(&seat.verify().expect("a good seat")));
        let checks = RangeChecks { members: &members, counters: None, accepted: 0 };
        let start = LogPoint::start(self.room);
        let known = |seq| (seq == 0).then_some(start.log);
        let outcome =
            verify_range(checks, page.start, page.entries, known).whole().expect("a log that holds");
        let is_good = |reading: &Reading| matches!(reading, Reading::Good(_) | Reading::Act(_));
        assert!(outcome.readings.iter().all(is_good), "{:?}", outcome.readings);
    }
}

#[test]
fn a_head_that_is_none_of_the_hubs_is_refused() {
    let mut scene = Scene::new();
    let log = Digest::of(b"another history");
    for head in [
        LogPoint { seq: scene.head.seq, log },
        LogPoint { seq: 0, log },
        LogPoint { seq: scene.head.seq + 1, log },
        LogPoint { seq: scene.head.seq - 1, ..scene.head },
        LogPoint { seq: 1 << 52, ..scene.head },
    ] {
        let refused = scene.ben.post((scene.room, 2, head), "so it was", |_| {}).unwrap_err();
        assert_eq!(refused.code, RefusalCode::Stale, "{head:?}");
    }
    scene.holds();
}

#[test]
fn a_number_that_is_not_the_next_is_refused_with_the_next() {
    let mut scene = Scene::new();
    for n in [1, 3, 1 << 52] {
        let refused = scene.ben.post((scene.room, n, scene.head), "again", |_| {}).unwrap_err();
        assert_eq!((refused.code, refused.next_n), (RefusalCode::Conflict, Some(2)), "{n}");
    }
    assert!(scene.ben.post((scene.room, 0, scene.head), "again", |_| {}).is_err());
    scene.holds();
}

#[test]
fn the_words_of_another_are_not_taken_from_a_members_hand() {
    let mut scene = Scene::new();
    let (room, head) = (scene.room, scene.head);
    let (message, body) = scene.ana.sign_message((room, 2, head), "I never said so", |_| {});
    let stolen = Request::Post(Post { room, message: message.clone(), body });
    assert_eq!(scene.ben.ask(&stolen).unwrap_err().code, RefusalCode::BadStatement);
    let (_, other) = scene.ana.sign_message((room, 2, head), "I said something else", |_| {});
    let bent = Request::Post(Post { room, message, body: other });
    assert_eq!(scene.ana.ask(&bent).unwrap_err().code, RefusalCode::BadStatement);
    let elsewhere = scene.ana.open(2).unwrap();
    let (message, body) = scene.ana.sign_message((elsewhere, 1, LogPoint::start(elsewhere)), "there", |_| {});
    let moved = Request::Post(Post { room, message, body });
    assert_eq!(scene.ana.ask(&moved).unwrap_err().code, RefusalCode::BadStatement);
    scene.holds();
}

#[test]
fn a_blob_that_nobody_has_sent_is_not_referred_to() {
    let mut scene = Scene::new();
    let blob = BlobId::of(b"never sent");
    let refused = scene.ben.post((scene.room, 2, scene.head), "take it", |header| header.blobs = vec![blob]);
    assert_eq!(refused.unwrap_err().code, RefusalCode::NotFound);
    scene.holds();
}

#[test]
fn an_owner_with_a_false_at_is_refused() {
    let mut scene = Scene::new();
    let (room, head) = (scene.room, scene.head);
    let carla = Member::log_in(3, &scene.origin).unwrap();
    let log = Digest::of(b"another history");
    for at in [
        LogPoint { log, ..head },
        LogPoint { seq: head.seq + 1, log },
        LogPoint { seq: 0, log },
        LogPoint { seq: 1, ..head },
    ] {
        for floor in [0, at.seq] {
            let admit = Admit {
                agent: carla.id(),
                name: "carla".into(),
                role: Role::Member,
                floor,
                at,
                key: None,
                user: None,
            };
            let refused = scene.ana.act(room, Op::Admit(admit)).unwrap_err();
            assert_eq!(refused.code, RefusalCode::Stale, "{at:?}");
        }
    }
    scene.holds();
}

#[test]
fn nobody_but_the_owner_acts_for_the_owner() {
    let mut scene = Scene::new();
    let room = scene.room;
    let mut carla = Member::log_in(3, &scene.origin).unwrap();
    let end = scene.ben.chain(room).unwrap().end;
    let admit = |at, agent| {
        Op::Admit(Admit {
            agent,
            name: "carla".into(),
            role: Role::Member,
            floor: 0,
            at,
            key: None,
            user: None,
        })
    };
    let by_ben = scene.ben.sign_act(room, end, admit(scene.head, carla.id()));
    let append =
        |act: &signed::Verified<_>| Request::Append(Append { room, membership: act.signed().clone() });
    assert_eq!(scene.ben.ask(&append(&by_ben)).unwrap_err().code, RefusalCode::NotOwner);
    // Of whom the room does not know, not even that is told.
    let by_carla = carla.sign_act(room, end, admit(scene.head, carla.id()));
    assert_eq!(carla.ask(&append(&by_carla)).unwrap_err().code, RefusalCode::NotFound);
    // A room of somebody else is not opened in their name, nor one for another hub.
    let genesis =
        Genesis { hub: scene.ana.greeting().hub.hub, kind: RoomKind::Session, salt: None, needs: Vec::new() };
    let foreign = signed::sign(&scene.ana.user, genesis.clone());
    assert!(carla.ask(&Request::OpenRoom(OpenRoom { genesis: foreign.signed().clone() })).is_err());
    let elsewhere = Genesis { hub: protocol::key::HubKey::from_seed(&[9; 32]).public(), ..genesis };
    let elsewhere = signed::sign(&carla.user, elsewhere);
    assert!(carla.ask(&Request::OpenRoom(OpenRoom { genesis: elsewhere.signed().clone() })).is_err());
    scene.holds();
}

#[test]
fn an_act_that_does_not_continue_the_chain_is_refused_with_its_end() {
    let mut scene = Scene::new();
    let room = scene.room;
    let end = scene.ana.chain(room).unwrap().end;
    for wrong in [
        protocol::room::ChainEnd { n: 0, ..end },
        protocol::room::ChainEnd { n: end.n + 1, ..end },
        protocol::room::ChainEnd { digest: Digest::of(b"another chain"), ..end },
    ] {
        let act = scene.ana.sign_act(room, wrong, Op::Remove { agent: scene.ben.id() });
        let append = Request::Append(Append { room, membership: act.signed().clone() });
        let refused = scene.ana.ask(&append).unwrap_err();
        assert_eq!((refused.code, refused.chain.as_deref()), (RefusalCode::Conflict, Some(&end)));
    }
    scene.holds();
}

#[test]
fn who_has_left_or_was_put_out_says_nothing_more() {
    let mut scene = Scene::new();
    let (room, head) = (scene.room, scene.head);
    scene.ana.act(room, Op::Remove { agent: scene.ben.id() }).unwrap();
    scene.head = scene.ana.pull(room, 0).unwrap().end;
    for head in [head, scene.head] {
        let refused = scene.ben.post((room, 2, head), "one more thing", |_| {}).unwrap_err();
        assert_eq!(refused.code, RefusalCode::NotFound);
    }
    assert_eq!(scene.ben.pull(room, 0).unwrap_err().code, RefusalCode::NotFound);
    assert_eq!(scene.ben.chain(room).unwrap_err().code, RefusalCode::NotFound);
    scene.holds();
}

#[test]
fn a_session_that_one_never_asked_to_join_is_none_of_ones_own() {
    let mut scene = Scene::new();
    let env = environment();
    let git = |arguments: &[&str]| {
        let hub = ["parler", "--hub", &scene.origin];
        let run = env.run(env.root(), "git", hub.iter().copied().chain(arguments.iter().copied()));
        (run.code, run.stdout, run.stderr)
    };
    let (_, whoami, _) = git(&["whoami", "--json"]);
    let whoami: serde_json::Value = serde_json::from_str(&whoami).unwrap();
    let agent = whoami["me"]["id"].as_str().unwrap().parse().unwrap();
    // The owner of a room knows the id of anybody it ever met, and admits whom it likes.
    scene.ana.admit(scene.room, agent, "you").unwrap();
    let (code, sessions, _) = git(&["sessions", "--json"]);
    assert_eq!((code, sessions.trim()), (Some(0), r#"{"sessions":[]}"#));
    let (code, shown, error) = git(&["use", &scene.room.to_string()]);
    assert_eq!((code, shown.as_str()), (Some(1), ""), "{error}");
    let (code, shown, error) = git(&["log", "--room", &scene.room.to_string()]);
    assert_eq!((code, shown.as_str()), (Some(1), ""), "{error}");
}
