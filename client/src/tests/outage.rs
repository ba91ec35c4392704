//! Who waits for somebody else goes on doing so while the hub is away for longer than any question to it may take.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::settings;
use super::weather::Weather;
use crate::link::{DialError, LinkError};
use crate::{Client, Error, HubTurn, JoinOutcome, OpenSession, Outage, Settings};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// What was told of the hub, in a word each.
#[derive(Default)]
struct Told(Vec<&'static str>);

impl Told {
    fn hear(&mut self, turn: &HubTurn<'_>) {
        self.0.push(match turn {
            HubTurn::Lost(_) => "lost",
            HubTurn::Back => "back",
        });
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_somebody_outlasts_a_hub_that_is_away_for_hours() {
    let weather = Weather::new(1, 2, 0, 0);
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let connect = async |laptop: usize| {
        let mut at = settings(homes[laptop].path(), "app", &weather.origin(laptop));
        at.insecure = true;
        Client::connect(at, None).await.unwrap()
    };
    let mut owner = connect(0).await;
    let about =
        OpenSession { topic: None, recap: None, ttl: HOUR * 24, max_uses: 5, auto: false, no_history: false };
    let opened = owner.open_session(about).await.unwrap();
    let key = opened.key.split('@').next().unwrap().parse().unwrap();
    let mut joiner = connect(1).await;
    let mut joining = joiner.join(&key, "ben").await.unwrap();
    let away = async || {
        sleep(MINUTE * 5).await;
        weather.kill_hub(HOUR * 3).await;
        sleep(MINUTE * 5).await;
    };

    let waits = async {
        let (mut outage, mut told) = (Outage::new(), Told::default());
        loop {
            let asked = joiner.join_state(&mut joining, Some(MINUTE)).await;
            match outage.outlast(asked, |turn| told.hear(&turn)).await.unwrap() {
                Some(JoinOutcome::Pending) | None => {}
                Some(outcome) => return (outcome, told.0),
            }
        }
    };
    let approves = async {
        away().await;
        owner.approve("ben", None).await.unwrap();
    };
    let ((outcome, told), ()) = tokio::join!(waits, approves);
    assert_eq!((outcome, told), (JoinOutcome::Member(opened.room), vec!["lost", "back"]));

    let waits = async {
        let (mut outage, mut told) = (Outage::new(), Told::default());
        let mut heard = Vec::new();
        loop {
            let asked = joiner.recv("cli", 10, Some(MINUTE)).await;
            let received = outage.outlast(asked, |turn| told.hear(&turn)).await.unwrap();
            heard.extend(received.into_iter().flat_map(|page| page.messages).filter_map(|said| said.text));
            if heard.iter().any(|text| text == "after") {
                return (heard, told.0);
            }
        }
    };
    let speaks = async {
        owner.send("before").await.unwrap();
        away().await;
        owner.send("after").await.unwrap();
    };
    let ((heard, told), ()) = tokio::join!(waits, speaks);
    assert_eq!((heard, told), (vec!["before".to_owned(), "after".to_owned()], vec!["lost", "back"]));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_nobody_gives_a_hub_up_that_died_between_two_calls() {
    let weather = Weather::new(1, 1, 0, 0);
    let home = tempfile::tempdir().unwrap();
    let reconnect_max = Some(Duration::from_secs(5));
    let at = settings(home.path(), "app", &weather.origin(0));
    let mut client = Client::connect(Settings { insecure: true, reconnect_max, ..at }, None).await.unwrap();
    client.status("cli").await.unwrap();
    let calls = async {
        sleep(MINUTE).await;
        let began = Instant::now();
        (client.status("cli").await, began.elapsed())
    };
    let ((status, took), ()) = tokio::join!(calls, weather.kill_hub(HOUR));
    assert_eq!(status.unwrap_err().code(), "hub_unreachable");
    assert_eq!(took.as_secs(), 5);
    client.status("cli").await.unwrap();
}

fn unreachable() -> Error {
    let source = std::sync::Arc::new(DialError::TimedOut(MINUTE));
    LinkError::Unreachable { address: "ws://hub.test:7419".to_owned(), source }.into()
}

#[tokio::test(start_paused = true)]
async fn the_pauses_grow_to_a_bound_and_begin_anew_once_the_hub_was_back() {
    let (mut outage, mut told, mut pauses) = (Outage::new(), Told::default(), Vec::new());
    for is_there in [true, false, false, false, false, false, false, false, true, true, false] {
        let before = Instant::now();
        let asked = if is_there { Ok(()) } else { Err(unreachable()) };
        let answer = outage.outlast(asked, |turn| told.hear(&turn)).await.unwrap();
        assert_eq!(answer.is_some(), is_there);
        pauses.push(before.elapsed().as_secs());
    }
    assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 30, 30, 0, 0, 1]);
    assert_eq!(told.0, ["lost", "back", "lost"]);
    let other = Err::<(), _>(Error::NoHome);
    assert!(matches!(outage.outlast(other, |turn| told.hear(&turn)).await, Err(Error::NoHome)));
}
