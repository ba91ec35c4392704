//! Words of users on their seats, as every store keeps them: until when they count, and how long they are kept.

use super::*;

suite! {
    a_seat_counts_until_it_expires,
    a_newer_word_of_the_user_ends_a_seat,
    no_other_users_words_bring_back_a_seat_that_was_ended,
    words_that_nobody_needs_are_forgotten,
}

async fn a_seat_counts_until_it_expires(store: &impl Store, clock: &ManualClock) {
    let ana = player(0, 1);
    let room = at_home(store, &ana).await;
    clock.advance(SEAT_MS - 1);
    assert!(store.pull(ana.agent(), room, 0, ALL).await.is_ok());
    clock.advance(1);
    assert!(matches!(store.pull(ana.agent(), room, 0, ALL).await, Err(StoreError::NotFound)));
    store.note_seat(ana.seat(clock.now(), clock.now() + 1)).await.unwrap();
    assert!(store.pull(ana.agent(), room, 0, ALL).await.is_ok());
}

async fn a_newer_word_of_the_user_ends_a_seat(store: &impl Store, _: &ManualClock) {
    let ana = player(0, 1);
    let room = at_home(store, &ana).await;
    store.note_seat(ana.seat(START + 1, START - 1)).await.unwrap();
    assert!(matches!(store.pull(ana.agent(), room, 0, ALL).await, Err(StoreError::NotFound)));
    // The older word, handed in again, does not bring it back.
    store.note_seat(ana.seat(START, START + SEAT_MS)).await.unwrap();
    assert!(matches!(store.pull(ana.agent(), room, 0, ALL).await, Err(StoreError::NotFound)));
}

async fn no_other_users_words_bring_back_a_seat_that_was_ended(store: &impl Store, _: &ManualClock) {
    let ana = player(0, 1);
    let room = at_home(store, &ana).await;
    store.note_seat(ana.seat(START + 1, START - 1)).await.unwrap();
    let as_user = |number| Player { user: user(number), key: ana.key.clone() };
    for number in 1..=6 {
        store.note_seat(as_user(number).seat(START + 1000, START + SEAT_MS)).await.unwrap();
        store.note_seat(ana.seat(START, START + SEAT_MS)).await.unwrap();
        let still_out = store.pull(ana.agent(), room, 0, ALL).await;
        assert!(matches!(still_out, Err(StoreError::NotFound)), "{number} users: {still_out:?}");
    }
    for number in 7..=9 {
        at_home(store, &as_user(number)).await;
    }
    let refused = store.note_seat(as_user(10).seat(START, START + SEAT_MS)).await;
    assert!(matches!(refused, Err(StoreError::TooManyUsers)), "{refused:?}");
}

async fn words_that_nobody_needs_are_forgotten(store: &impl Store, clock: &ManualClock) {
    let (ana, ben, cy) = (player(0, 1), player(1, 1), player(2, 1));
    let room = at_home(store, &ana).await;
    store.note_seat(ana.seat(START + 1, START - 1)).await.unwrap();
    store.note_seat(ben.seat(START, START + SEAT_MS)).await.unwrap();
    store.note_seat(cy.seat(START + 1, START + SEAT_MS)).await.unwrap();
    clock.advance(SEAT_MILLIS_MAX - 1);
    assert_eq!(store.expire(RETENTION).await.unwrap().seats, 0);
    clock.advance(1);
    let expired = store.expire(Retention { batch_rows: 1, ..RETENTION }).await.unwrap();
    assert_eq!((expired.seats, expired.more), (1, true), "of who owns no room");
    clock.advance(1);
    assert_eq!(store.expire(RETENTION).await.unwrap().seats, 1);
    let soon = clock.now() + SEAT_MILLIS_MAX;
    store.note_seat(ben.seat(soon, soon + 1)).await.unwrap();
    store.note_seat(cy.seat(soon + 1, soon + 2)).await.unwrap();
    assert_eq!(store.expire(RETENTION).await.unwrap().seats, 1, "of a time that has not come");
    store.note_seat(ana.seat(START, START + SEAT_MS)).await.unwrap();
    let still_out = store.pull(ana.agent(), room, 0, ALL).await;
    assert!(matches!(still_out, Err(StoreError::NotFound)), "{still_out:?}");
}
