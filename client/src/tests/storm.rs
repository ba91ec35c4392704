//! Three laptops in a storm: 30 % of the packets lost, lines cut, a hub that is killed, and a day out of reach.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use protocol::frame::Answer;
use protocol::id::RoomId;

use super::weather::Weather;
use super::{bytes, handoff, settings};
use crate::report::Signature;
use crate::{Client, Error, JoinOutcome, OpenSession};

const LAPTOPS: usize = 3;
const HOUR: Duration = Duration::from_secs(3600);

async fn connect(weather: &Arc<Weather>, home: &Path, laptop: usize) -> Result<Client, Error> {
    let mut at = settings(home, &format!("seat-{laptop}"), &weather.origin(laptop));
    (at.insecure, at.name) = (true, format!("seat-{laptop}"));
    Client::connect(at, None).await
}

/// Runs `attempt` with a client until it does not fail for want of a connection.
async fn until_done<T>(
    weather: &Arc<Weather>,
    home: &Path,
    laptop: usize,
    attempt: impl AsyncFn(&mut Client) -> Result<T, Error>,
) -> T {
    loop {
        let outcome = match connect(weather, home, laptop).await {
            Ok(mut client) => attempt(&mut client).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(done) => return done,
            Err(error) => assert_eq!(error.code(), "hub_unreachable", "{error:?}"),
        }
        weather.pause(HOUR).await;
    }
}

/// Kills the hub now and then, takes a laptop out of reach for a day, and lets a day pass while everybody is asleep.
async fn trouble(weather: &Weather) {
    for _ in 0..5 {
        weather.pause(HOUR * 4).await;
        weather.kill_hub(Duration::from_secs(60)).await;
    }
    let laptop = weather.roll(LAPTOPS);
    weather.lose(laptop, HOUR * 24).await;
    tokio::time::advance(HOUR * 24).await;
}

#[tokio::test(start_paused = true)]
async fn handoffs_of_three_seats_get_through_a_storm() {
    for seed in 1..=if kit::is_long() { 100 } else { 3 } {
        let home = tempfile::tempdir().unwrap();
        let weather = Weather::new(seed, LAPTOPS, 30, 20);
        weather.turn_bad();
        let seats = (0..LAPTOPS).map(|laptop| {
            let (weather, home) = (&weather, home.path());
            async move {
                for at in 0..4 {
                    weather.pause(HOUR * 6).await;
                    let (file, part) = handoff(home, &bytes(3000, at), &format!("{laptop}-{at}"));
                    until_done(weather, home, laptop, async |client| {
                        client.push(&file, part.clone(), None).await
                    })
                    .await;
                }
            }
        });
        tokio::join!(futures_util::future::join_all(seats), trouble(&weather));
        let room = weather.hub().rooms()[0].0;
        let entries = weather.hub().entries(room);
        for laptop in 0..LAPTOPS {
            let listed = until_done(&weather, home.path(), laptop, async |client| {
                let room = client.home().await?;
                Ok(client
                    .handoffs(room)
                    .await?
                    .into_iter()
                    .map(|handoff| handoff.part.summary)
                    .collect::<Vec<_>>())
            });
            let mut listed = listed.await;
            assert_eq!(listed.len(), entries.len());
            listed.sort();
            let expected: Vec<_> =
                (0..LAPTOPS).flat_map(|seat| (0..4).map(move |at| format!("{seat}-{at}"))).collect();
            assert_eq!(listed, expected, "each once, seed {seed}");
        }
        let (packets, lost, cuts) = weather.record();
        println!("seed {seed}: {packets} packets, {lost} lost, {cuts} lines cut");
        assert!(packets > 200 && lost > packets / 4, "{packets} {lost}");
    }
}

/// Three users, each at a laptop with a data folder of an own, in one session.
struct Talk {
    weather: Arc<Weather>,
    homes: Vec<tempfile::TempDir>,
    room: RoomId,
}

impl Talk {
    /// Begins before a storm.
    async fn new(seed: u64) -> Self {
        let talk = Self::calm(seed).await;
        talk.weather.turn_bad();
        talk
    }

    /// Begins in calm weather, which stays so: the first user opens the session and lets the others in.
    async fn calm(seed: u64) -> Self {
        let weather = Weather::new(seed, LAPTOPS, 30, 20);
        let homes: Vec<_> = (0..LAPTOPS).map(|_| tempfile::tempdir().unwrap()).collect();
        let mut owner = connect(&weather, homes[0].path(), 0).await.unwrap();
        let about = OpenSession {
            topic: None,
            recap: None,
            ttl: HOUR * 24 * 30,
            max_uses: 5,
            auto: false,
            no_history: false,
        };
        let opened = owner.open_session(about).await.unwrap();
        // Without the origin: each laptop has a name of its own for the hub.
        let key = opened.key.split('@').next().unwrap().parse().unwrap();
        for (laptop, home) in homes.iter().enumerate().skip(1) {
            let (mut joiner, name) =
                (connect(&weather, home.path(), laptop).await.unwrap(), format!("seat-{laptop}"));
            let mut joining = joiner.join(&key, &name).await.unwrap();
            owner.approve(&name, None).await.unwrap();
            assert_eq!(
                joiner.join_state(&mut joining, None).await.unwrap(),
                JoinOutcome::Member(opened.room)
            );
        }
        Self { weather, homes, room: opened.room }
    }

    /// Says each of `texts` at some time of a day or so, by a process of its own; one that fails is looked after by the next.
    async fn say(&self, laptop: usize, texts: &[String]) {
        for text in texts {
            self.weather.pause(HOUR * 6).await;
            until_done(&self.weather, self.homes[laptop].path(), laptop, async |client| {
                // What an earlier attempt has signed goes out first, and is not said again.
                let said = client.log(None, 256).await?;
                if !said.messages.iter().any(|message| message.text.as_ref() == Some(text)) {
                    client.send(text).await?;
                }
                Ok(())
            })
            .await;
        }
    }

    /// Reads until `count` texts of others were shown; now and then by another process.
    async fn read(&self, laptop: usize, reader: &str, count: usize) -> Vec<(u64, String)> {
        let mut shown = Vec::new();
        while shown.len() < count {
            let home = self.homes[laptop].path();
            let Ok(mut client) = connect(&self.weather, home, laptop).await else {
                self.weather.pause(HOUR).await;
                continue;
            };
            while shown.len() < count && self.weather.roll(10) > 0 {
                self.weather.pause(HOUR / 2).await;
                let received = match client.recv(reader, 3, Some(HOUR / 60)).await {
                    Ok(received) => received,
                    Err(error) => {
                        assert_eq!(error.code(), "hub_unreachable", "{error:?}");
                        break;
                    }
                };
                assert_eq!(received.flags, []);
                for message in received.messages {
                    assert_eq!((message.signature, message.flags), (Signature::Valid, Vec::new()));
                    shown.extend(message.text.map(|text| (message.seq, text)));
                }
                // What was shown counts as shown here, whether the hub hears of it or not.
                if let Err(error) = client.ack(self.room, reader, received.cursor).await {
                    assert_eq!(error.code(), "hub_unreachable", "{error:?}");
                }
            }
        }
        shown
    }
}

#[tokio::test(start_paused = true)]
async fn everybody_reads_the_same_once_and_in_order_whatever_the_weather() {
    const TEXTS: usize = 5;
    for seed in 1..=if kit::is_long() { 30 } else { 2 } {
        let talk = Talk::new(seed).await;
        let texts = |laptop: usize| (0..TEXTS).map(|at| format!("{laptop}-{at}")).collect::<Vec<_>>();
        let said: Vec<_> = (0..LAPTOPS).map(texts).collect();
        let speakers = said.iter().enumerate().map(|(laptop, texts)| talk.say(laptop, texts));
        let readers = (0..LAPTOPS).flat_map(|laptop| ["cli", "mcp"].map(|reader| (laptop, reader)));
        let readers = readers.map(|(laptop, reader)| talk.read(laptop, reader, TEXTS * (LAPTOPS - 1)));
        let (join, all) = (futures_util::future::join_all(speakers), futures_util::future::join_all(readers));
        let all = async { tokio::join!(join, all, trouble(&talk.weather)).1 };
        let shown = tokio::time::timeout(HOUR * 24 * 30, all).await.expect("within a month");
        let entries = talk.weather.hub().entries(talk.room);
        let in_log = |text: &String| {
            entries.iter().find(|entry| {
                matches!(entry.content.as_message(), Some((_, Some(body))) if body.contains(&format!("\"{text}\"")))
            })
        };
        for (at, shown) in shown.iter().enumerate() {
            let mut expected: Vec<_> = (0..LAPTOPS)
                .filter(|laptop| *laptop != at / 2)
                .flat_map(|laptop| said[laptop].iter())
                .map(|text| (in_log(text).expect("it was said").seq, text.clone()))
                .collect();
            expected.sort();
            assert_eq!(*shown, expected, "seed {seed}, reader {at}");
        }
        assert_eq!(entries.len(), TEXTS * LAPTOPS + LAPTOPS - 1, "nothing was said twice");
        for (laptop, home) in talk.homes.iter().enumerate() {
            let head = until_done(&talk.weather, home.path(), laptop, async |client| {
                client.log(None, 1).await?;
                Ok(client.rooms[&talk.room].head())
            });
            assert_eq!(head.await, talk.weather.hub().end(talk.room), "seed {seed}, laptop {laptop}");
            assert!(!home.path().join("data/evidence").exists(), "an honest hub is not suspected");
        }
        let (packets, lost, cuts) = talk.weather.record();
        println!("seed {seed}: {packets} packets, {lost} lost, {cuts} lines cut");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_the_hub_moves_hides_nothing_and_brings_nothing_back() {
    let talk = Talk::calm(1).await;
    let (ana, ben) = (talk.homes[0].path(), talk.homes[1].path());
    let say = async |text: &str| {
        connect(&talk.weather, ana, 0).await.unwrap().send(text).await.unwrap();
    };
    let hear = async || {
        let mut client = connect(&talk.weather, ben, 1).await.unwrap();
        let received = client.recv("cli", 100, None).await.unwrap();
        client.ack(talk.room, "cli", received.cursor).await.unwrap();
        received.messages.into_iter().filter_map(|message| message.text).collect::<Vec<_>>()
    };
    say("one").await;
    for (cursor, text) in [(0, "two"), (u64::MAX >> 12, "three"), (3, "four")] {
        talk.weather.hub().lie(move |_, answer| match answer {
            Ok(Answer::Ack(acked)) => acked.cursor = cursor,
            Ok(Answer::Rooms(list)) => list.rooms.iter_mut().for_each(|row| row.cursor = Some(cursor)),
            _ => {}
        });
        say(text).await;
        let expected = if cursor == 0 { vec!["one", "two"] } else { vec![text] };
        assert_eq!(hear().await, expected);
        let mut client = connect(&talk.weather, ben, 1).await.unwrap();
        assert_eq!(client.status("cli").await.unwrap().unread, 0);
        assert_eq!(client.sessions().await.unwrap().sessions[0].unread, 0);
    }
}
