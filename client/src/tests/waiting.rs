//! Waiting for something by a virtual clock: at a hub that does not wait, and at one that is away for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use protocol::frame::Request;
use tempfile::TempDir;
use tokio::time::Instant;

use super::settings;
use super::weather::Weather;
use crate::session::Joining;
use crate::{Client, JoinOutcome, OpenSession};

const HOUR: Duration = Duration::from_secs(3600);
const OWNER: usize = 0;
const JOINER: usize = 1;

/// An owner with an open session, and somebody who has asked to join it.
struct Door {
    weather: Arc<Weather>,
    owner: Client,
    joiner: Client,
    joining: Joining,
    _homes: [TempDir; 2],
}

impl Door {
    async fn new() -> Self {
        let weather = Weather::new(1, 2, 0, 0);
        let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let connect = async |laptop: usize| {
            let mut at = settings(homes[laptop].path(), "seat", &weather.origin(laptop));
            at.insecure = true;
            Client::connect(at, None).await.unwrap()
        };
        let (mut owner, mut joiner) = (connect(OWNER).await, connect(JOINER).await);
        let open = OpenSession {
            topic: None,
            recap: None,
            ttl: HOUR * 24,
            max_uses: 5,
            auto: false,
            no_history: false,
        };
        let opened = owner.open_session(open).await.unwrap();
        // Without the origin: each laptop has a name of its own for the hub.
        let key = opened.key.split('@').next().unwrap().parse().unwrap();
        let joining = joiner.join(&key, "joiner").await.unwrap();
        Self { weather, owner, joiner, joining, _homes: homes }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_answers_at_once_is_not_asked_without_a_pause() {
    let mut door = Door::new().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    door.weather.hub().answer_at_once();
    door.weather.hub().lie(move |asking, _| {
        if matches!(asking.request, Request::JoinState(_) | Request::Pull(_)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let began = Instant::now();
    let outcome = door.joiner.join_state(&mut door.joining, Some(Duration::from_secs(120))).await.unwrap();
    assert_eq!(outcome, JoinOutcome::Pending);
    assert_eq!(began.elapsed().as_secs(), 120);
    assert!(asked.swap(0, Ordering::Relaxed) < 80, "at first soon, then every two seconds");
    assert!(door.owner.recv("cli", 10, Some(Duration::from_secs(120))).await.unwrap().messages.is_empty());
    assert!(asked.load(Ordering::Relaxed) < 80);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_decision_outlasts_a_hub_that_is_away() {
    let mut door = Door::new().await;
    let waiting = door.joiner.join_state(&mut door.joining, Some(HOUR));
    let decided = async {
        // Longer than any single request is tried.
        door.weather.kill_hub(Duration::from_secs(600)).await;
        door.owner.approve("joiner", None).await.unwrap()
    };
    let (outcome, decision) = tokio::join!(waiting, decided);
    assert_eq!(outcome.unwrap(), JoinOutcome::Member(decision.room));
}

#[tokio::test(start_paused = true)]
async fn who_follows_a_log_in_which_nobody_says_anything_waits() {
    let mut door = Door::new().await;
    let end = door.owner.news(None, Duration::ZERO).await.unwrap();
    let began = Instant::now();
    assert_eq!(door.owner.news(Some(end), Duration::from_secs(120)).await.unwrap(), end);
    assert_eq!(began.elapsed().as_secs(), 120);
}
