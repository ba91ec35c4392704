//! The owner's gate while the hub goes away, or shuts the owner out: that ends the look at it, with what was decided until then.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use protocol::frame::Request;
use protocol::id::RoomId;
use protocol::refusal::Refusal;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::settings;
use super::weather::Weather;
use crate::limits::RECONNECT_TIME_MAX;
use crate::report::Decision;
use crate::{Client, Error, OpenSession, SessionError};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// An owner, and three who have asked to join each of the owner's sessions by a key that lets in whoever asks.
struct Scene {
    weather: Arc<Weather>,
    _homes: Vec<TempDir>,
    owner: Client,
    sessions: Vec<RoomId>,
}

impl Scene {
    async fn new(sessions: usize) -> Self {
        let weather = Weather::new(1, 4, 0, 0);
        let homes: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
        let mut owner = connect(&weather, homes[0].path(), 0).await;
        let (mut keys, mut rooms) = (Vec::new(), Vec::new());
        for _ in 0..sessions {
            let about = OpenSession {
                topic: None,
                recap: None,
                ttl: HOUR * 24,
                max_uses: 5,
                auto: true,
                no_history: false,
            };
            let opened = owner.open_session(about).await.unwrap();
            keys.push(opened.key.split('@').next().unwrap().parse().unwrap());
            rooms.push(opened.room);
        }
        for (laptop, name) in [(1, "ben"), (2, "carl"), (3, "dora")] {
            let mut joiner = connect(&weather, homes[laptop].path(), laptop).await;
            for key in &keys {
                joiner.join(key, name).await.unwrap();
            }
        }
        // What the hub tells of them is on its way.
        sleep(SECOND).await;
        Self { weather, _homes: homes, owner, sessions: rooms }
    }
}

async fn connect(weather: &Arc<Weather>, home: &Path, laptop: usize) -> Client {
    let mut at = settings(home, "app", &weather.origin(laptop));
    at.insecure = true;
    Client::connect(at, None).await.unwrap()
}

/// Has the hub go away once it has taken the second act from now on, before it says so, and for longer than anybody here waits.
async fn goes_away(weather: &Weather) {
    let (told, mut acts) = (Arc::new(Notify::new()), 0);
    let tell = told.clone();
    weather.hub().lie(move |asking, _| {
        acts += usize::from(matches!(asking.request, Request::Append(_)));
        if acts == 2 {
            tell.notify_one();
        }
    });
    told.notified().await;
    weather.kill_hub(HOUR).await;
}

fn names(decisions: &[Decision]) -> Vec<&str> {
    decisions.iter().map(|decision| decision.joiner.name.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_lost_between_two_joiners_is_waited_for_once() {
    let Scene { weather, mut owner, _homes, .. } = Scene::new(1).await;
    let began = Instant::now();
    let decisions = tokio::select! {
        decisions = owner.approve_auto() => decisions.unwrap(),
        () = goes_away(&weather) => unreachable!("it stays away for longer"),
    };
    assert!(began.elapsed() < RECONNECT_TIME_MAX + SECOND * 2, "{:?}", began.elapsed());
    let let_in: Vec<_> = decisions.into_iter().map(Result::unwrap).collect();
    assert_eq!(names(&let_in), ["ben"]);
    // The next question meets the outage, and what comes after it those who are left.
    assert_eq!(owner.approve_auto().await.unwrap_err().code(), "hub_unreachable");
    weather.kill_hub(Duration::ZERO).await;
    let let_in: Vec<_> = owner.approve_auto().await.unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(names(&let_in), ["dora"], "carl's admission had arrived");
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_lost_at_one_gate_is_not_waited_for_at_the_next() {
    let Scene { weather, mut owner, sessions, _homes } = Scene::new(2).await;
    let began = Instant::now();
    let tended = tokio::select! {
        tended = owner.tend_gates() => tended,
        () = goes_away(&weather) => unreachable!("it stays away for longer"),
    };
    assert!(began.elapsed() < RECONNECT_TIME_MAX + SECOND * 2, "{:?}", began.elapsed());
    let first = *sessions.iter().min().unwrap();
    assert_eq!((names(&tended.let_in), tended.waiting), (vec!["ben"], BTreeMap::from([(first, 2)])));
}

#[tokio::test(start_paused = true)]
async fn an_owners_seat_that_is_put_out_between_two_joiners_is_told_so() {
    for tends in [false, true] {
        let Scene { weather, mut owner, sessions, _homes } = Scene::new(1).await;
        let mut is_out = false;
        weather.hub().lie(move |asking, answer| {
            is_out |= matches!(asking.request, Request::Append(_));
            if is_out && matches!(asking.request, Request::Pull(_)) {
                *answer = Err(Refusal::not_found());
            }
        });
        if tends {
            assert_eq!(owner.tend_gates().await, crate::Tended::default());
        } else {
            let error = owner.approve_auto().await.unwrap_err();
            let room = sessions[0];
            assert!(
                matches!(error, Error::Session(SessionError::NotInRoom { room: out }) if out == room),
                "{error}"
            );
        }
    }
}
