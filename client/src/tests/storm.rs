//! Three seats in a storm: 30 % of the packets lost, lines cut, a hub that is killed, and a day out of reach.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::weather::Weather;
use super::{bytes, handoff, settings};
use crate::{Client, Error};

const LAPTOPS: usize = 3;
const HOUR: Duration = Duration::from_secs(3600);

async fn connect(weather: &Arc<Weather>, home: &Path, laptop: usize) -> Result<Client, Error> {
    let mut at = settings(home, &format!("seat-{laptop}"), &weather.origin(laptop));
    at.insecure = true;
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

#[tokio::test(start_paused = true)]
async fn handoffs_of_three_seats_get_through_a_storm() {
    for seed in 1..=if kit::is_long() { 100 } else { 3 } {
        let home = tempfile::tempdir().unwrap();
        let weather = Weather::new(seed, LAPTOPS, 30, 20);
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
        let trouble = async {
            for _ in 0..5 {
                weather.pause(HOUR * 4).await;
                weather.kill_hub(Duration::from_secs(60)).await;
            }
            let laptop = weather.roll(LAPTOPS);
            weather.lose(laptop, HOUR * 24).await;
            // And a day in which everybody is asleep at once.
            tokio::time::advance(HOUR * 24).await;
        };
        tokio::join!(futures_util::future::join_all(seats), trouble);
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
