//! Clocks that are far apart: what works goes on, what does not says why.

use crate::tests::peer::Peer;
use crate::tests::{handoff, settings};
use crate::{Client, Error, SessionError};

const DAY: i64 = 24 * 3600 * 1000;
const TEN_YEARS: i64 = 3653 * DAY;

#[tokio::test]
async fn a_hub_ten_years_ahead_takes_nothing_and_the_sentence_says_so() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    peer.is_ahead(TEN_YEARS);
    let error = Client::connect(settings(home.path(), "one", &peer.origin()), None).await.unwrap_err();
    let Error::Session(SessionError::Clock { days }) = &error else { panic!("{error}") };
    assert!((3652..=3653).contains(days), "{days}");
    assert_eq!(error.code(), "wrong_clock");
    assert!(
        error.to_string().starts_with("this machine's clock is 365") && error.hint().is_some(),
        "{error}"
    );
    // Nothing was learnt of it that hinders once the clock is right.
    peer.is_ahead(0);
    let client = Client::connect(settings(home.path(), "one", &peer.origin()), None).await.unwrap();
    assert_eq!(client.clock_skew(), None);
}

#[tokio::test]
async fn a_hub_ten_years_behind_is_told_of_and_worked_with() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    peer.is_ahead(-TEN_YEARS);
    let (file, part) = handoff(home.path(), b"bundle", "a change");
    let mut one = Client::connect(settings(home.path(), "one", &peer.origin()), None).await.unwrap();
    assert!(one.clock_skew().is_some_and(|skew| (skew + TEN_YEARS).abs() < DAY));
    one.push(&file, part, None).await.unwrap();
    let mut two = Client::connect(settings(home.path(), "two", &peer.origin()), None).await.unwrap();
    let room = two.home().await.unwrap();
    assert_eq!(two.handoffs(room).await.unwrap().len(), 1);
    two.send("hello").await.unwrap();
    assert_eq!(one.recv("cli", 10, None).await.unwrap().messages[0].text.as_deref(), Some("hello"));
}

#[tokio::test]
async fn a_day_is_told_and_an_hour_is_not() {
    let home = tempfile::tempdir().unwrap();
    let peer = Peer::start(1).await;
    let mut is_new_hub = true;
    for (ahead, is_told) in [(2 * DAY, true), (-2 * DAY, true), (DAY / 24, false), (-DAY / 24, false)] {
        peer.is_ahead(ahead);
        let mut client = Client::connect(settings(home.path(), "one", &peer.origin()), None).await.unwrap();
        assert_eq!(client.clock_skew().is_some(), is_told, "{ahead}");
        let remarks = client.take_remarks();
        let tells = |what: &str| remarks.iter().any(|remark| remark.contains(what));
        assert_eq!((tells("is a new hub"), tells("the hub's clock is ")), (is_new_hub, is_told));
        assert_eq!(client.take_remarks(), [""; 0], "once");
        is_new_hub = false;
    }
}
