//! What every store must do, run on each implementation, and a comparison with a simple model.

use std::sync::Arc;

use protocol::frame::{BlobReferences, Entry};
use protocol::id::{BlobId, Digest, RoomId};
use protocol::limits::{READERS_MAX, SEAT_MILLIS_MAX};
use protocol::room::{ChainEnd, Members, RangeChecks, verify_range};
use protocol::statement::{LogPoint, Op, RoomKind};

use super::sqlite::SqliteStore;
use super::{PageLimit, Retention, Store, StoreError};
use crate::cast::{Player, SEAT_MS, START, invite, player, user};
use crate::clock::{Clock as _, ManualClock};
use crate::fatal::Fatal;
use crate::limits::CLOSED_ROOM_COUNTS_MS;

const MINUTE_MAX: u64 = 100;
const ALL: PageLimit = PageLimit { entries_max: 1000, bytes_max: 1 << 30, bodies: true };
const RETENTION: Retention =
    Retention { messages_ms: 1000, messages_kept_min: 3, blobs_idle_ms: 500, batch_rows: 100 };

/// Instantiates each test on the store in memory and on the one in a file.
macro_rules! suite {
    ($($test:ident,)*) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $test() {
                let clock = super::ManualClock::at(super::START);
                let store = super::SqliteStore::in_memory(clock.clone(), super::Fatal::new()).unwrap();
                super::$test(&store, &clock).await;
            })*
        }
        mod on_disk {
            $(#[tokio::test]
            async fn $test() {
                let folder = tempfile::tempdir().unwrap();
                let clock = super::ManualClock::at(super::START);
                let path = folder.path().join("hub.db");
                let store = super::SqliteStore::open(&path, clock.clone(), super::Fatal::new()).unwrap();
                super::$test(&store, &clock).await;
            })*
        }
    };
}

mod seat;
mod session;

suite! {
    a_seat_of_the_owner_is_in_the_room_and_nobody_else,
    rooms_and_keys_that_are_over_count_for_a_while_only,
    only_a_seat_of_the_owner_opens_a_room,
    the_log_has_no_holes_and_its_values_are_those_of_the_protocol,
    the_same_message_again_is_answered_as_the_first_time,
    another_message_under_a_used_number_is_told_the_next,
    a_head_that_is_not_of_this_log_is_refused,
    a_room_takes_so_many_messages_a_minute,
    a_page_ends_at_its_limits,
    a_cursor_only_moves_forward,
    a_blob_is_readable_in_its_room_only,
    a_message_refers_to_blobs_of_its_room_only,
    handoffs_come_newest_first_in_pages,
    find_looks_into_the_rooms_of_the_caller_only,
    old_messages_expire_as_a_prefix,
    an_idle_blob_is_gone_until_it_is_sent_again,
    a_database_belongs_to_one_hub,
}

/// Logs a seat in and opens its home.
async fn at_home(store: &impl Store, player: &Player) -> RoomId {
    store.note_seat(player.seat(START, START + SEAT_MS)).await.unwrap();
    store.open_room(player.agent(), player.home(), 256).await.unwrap();
    player.room()
}

async fn post(store: &impl Store, player: &Player, n: u64, body: &str, blobs: &[BlobId]) -> u64 {
    let room = player.room();
    let message = player.message(room, n, LogPoint::start(room), body, blobs);
    store.post(player.agent(), message, body.into(), MINUTE_MAX).await.unwrap().seq
}

fn body(number: u64) -> String {
    format!(r#"{{"parts":[{{"kind":"text","text":"{number}"}}]}}"#)
}

async fn a_seat_of_the_owner_is_in_the_room_and_nobody_else(store: &impl Store, _: &ManualClock) {
    let (ana, bob) = (player(0, 1), player(1, 1));
    let room = at_home(store, &ana).await;
    at_home(store, &bob).await;
    let stranger = player(2, 1);
    assert_eq!(store.rooms(ana.agent(), None, None, 9).await.unwrap().rooms.len(), 1);
    assert!(store.rooms(stranger.agent(), None, None, 9).await.unwrap().rooms.is_empty());
    for other in [&bob, &stranger] {
        let agent = other.agent();
        let message = other.message(room, 1, LogPoint::start(room), "{}", &[]);
        let refused = [
            store.pull(agent, room, 0, ALL).await.err(),
            store.handoffs(agent, room, None, 10).await.err(),
            store.post(agent, message, "{}".into(), MINUTE_MAX).await.err(),
            store.ack(agent, room, "cli".into(), 0).await.err(),
            store.may_put_blob(agent, room, BlobId::of(b"")).await.err(),
            store.bind_blob(agent, room, BlobId::of(b""), 0).await.err(),
            store.may_get_blob(agent, room, BlobId::of(b"")).await.err(),
        ];
        for refusal in refused {
            assert!(matches!(refusal, Some(StoreError::NotFound)), "{refusal:?}");
        }
    }
    let second = player(0, 2);
    store.note_seat(second.seat(START, START + SEAT_MS)).await.unwrap();
    assert!(store.pull(second.agent(), room, 0, ALL).await.is_ok());
}

async fn rooms_and_keys_that_are_over_count_for_a_while_only(store: &impl Store, clock: &ManualClock) {
    let ana = player(0, 1);
    at_home(store, &ana).await;
    let open = async |number, rooms_max| store.open_room(ana.agent(), ana.session(number), rooms_max).await;
    let room = open(1, 2).await.unwrap().0.room;
    let key = |number| ana.key_to(room, invite(number).public(), 1000, 1);
    store.put_key(ana.agent(), key(0), 1).await.unwrap();
    let refused = store.put_key(ana.agent(), key(1), 1).await;
    assert!(matches!(refused, Err(StoreError::TooMany { .. })), "{refused:?}");
    clock.advance(1000);
    store.put_key(ana.agent(), key(1), 1).await.expect("the other has expired");
    let close = ana.act(room, ChainEnd { n: 0, digest: room.into() }, Op::Close);
    store.append(ana.agent(), close, 256).await.unwrap();
    assert!(matches!(open(2, 2).await, Err(StoreError::TooMany { .. })));
    clock.advance(CLOSED_ROOM_COUNTS_MS);
    store.note_seat(ana.seat(clock.now(), clock.now() + SEAT_MS)).await.unwrap();
    open(2, 2).await.expect("the other was closed long ago");
    assert!(matches!(open(3, 2).await, Err(StoreError::TooMany { .. })));
}

async fn only_a_seat_of_the_owner_opens_a_room(store: &impl Store, _: &ManualClock) {
    let (ana, bob) = (player(0, 1), player(1, 1));
    at_home(store, &ana).await;
    let refused = store.open_room(ana.agent(), bob.home(), 256).await;
    assert!(matches!(refused, Err(StoreError::NotOwner)), "{refused:?}");
    let (row, is_new) = store.open_room(ana.agent(), ana.home(), 1).await.unwrap();
    assert_eq!((row.room, is_new), (ana.room(), false));
    store.note_seat(bob.seat(START, START + SEAT_MS)).await.unwrap();
    let refused = store.open_room(bob.agent(), bob.home(), 0).await;
    assert!(matches!(refused, Err(StoreError::TooMany { .. })), "{refused:?}");
}

async fn the_log_has_no_holes_and_its_values_are_those_of_the_protocol(store: &impl Store, _: &ManualClock) {
    let (one, two) = (player(0, 1), player(0, 2));
    let room = at_home(store, &one).await;
    at_home(store, &two).await;
    for number in 1..=3 {
        assert_eq!(post(store, &one, number, &body(number), &[]).await, number * 2 - 1);
        assert_eq!(post(store, &two, number, &body(number), &[]).await, number * 2);
    }
    let page = store.pull(two.agent(), room, 0, ALL).await.unwrap();
    assert_eq!(page.seats.len(), 2);
    let mut members = Members::of(room, one.user.public(), RoomKind::Home);
    for seat in page.seats {
        members.note_seat(&seat.verify().unwrap());
    }
    let start = LogPoint::start(room);
    let known = |seq| (seq == 0).then_some(start.log);
    let checks = RangeChecks { members: &members, counters: None, accepted: 0 };
    let outcome = verify_range(checks, page.start, page.entries, known).whole().unwrap();
    assert_eq!((outcome.readings.len(), outcome.end), (6, page.end));
    let good = outcome.readings.iter().filter(|reading| matches!(reading, protocol::room::Reading::Good(_)));
    assert_eq!(good.count(), 6);
}

async fn the_same_message_again_is_answered_as_the_first_time(store: &impl Store, _: &ManualClock) {
    let ana = player(0, 1);
    let room = at_home(store, &ana).await;
    post(store, &ana, 1, &body(1), &[]).await;
    post(store, &ana, 2, &body(2), &[]).await;
    let message = ana.message(room, 1, LogPoint::start(room), &body(1), &[]);
    let landed = store.post(ana.agent(), message, body(1), MINUTE_MAX).await.unwrap();
    assert_eq!((landed.seq, landed.is_new), (1, false));
    assert_eq!(store.pull(ana.agent(), room, 0, ALL).await.unwrap().entries.len(), 2);
}

async fn another_message_under_a_used_number_is_told_the_next(store: &impl Store, _: &ManualClock) {
    let ana = player(0, 1);
    let room = at_home(store, &ana).await;
    post(store, &ana, 1, &body(1), &[]).await;
    for n in [1, 3, 1000] {
        let other = ana.message(room, n, LogPoint::start(room), &body(9), &[]);
        let refused = store.post(ana.agent(), other, body(9), MINUTE_MAX).await;
        assert!(matches!(refused, Err(StoreError::Conflict { next_n: 2 })), "{n}: {refused:?}");
    }
}

async fn a_head_that_is_not_of_this_log_is_refused(store: &impl Store, _: &ManualClock) {
    let ana = player(0, 1);
    let room = at_home(store, &ana).await;
    post(store, &ana, 1, &body(1), &[]).await;
    let end = store.pull(ana.agent(), room, 1, ALL).await.unwrap().end;
    let wrong = Digest::of(b"elsewhere");
    for head in [
        LogPoint { seq: 0, log: wrong },
        LogPoint { seq: 1, log: wrong },
        LogPoint { seq: 2, log: end.log },
        LogPoint { seq: 1 << 53, log: end.log },
    ] {
        let message = ana.message(room, 2, head, &body(2), &[]);
        let refused = store.post(ana.agent(), message, body(2), MINUTE_MAX).await;
        assert!(matches!(refused, Err(StoreError::ForeignHead)), "{head:?}: {refused:?}");
    }
    let message = ana.message(room, 2, end, &body(2), &[]);
    assert_eq!(store.post(ana.agent(), message, body(2), MINUTE_MAX).await.unwrap().seq, 2);
}

async fn a_room_takes_so_many_messages_a_minute(store: &impl Store, clock: &ManualClock) {
    let (one, two) = (player(0, 1), player(0, 2));
    let room = at_home(store, &one).await;
    at_home(store, &two).await;
    let send = |player: &Player, n| {
        let message = player.message(room, n, LogPoint::start(room), &body(n), &[]);
        store.post(player.agent(), message, body(n), 2)
    };
    send(&one, 1).await.unwrap();
    clock.advance(20_000);
    send(&two, 1).await.unwrap();
    let refused = send(&one, 2).await;
    assert!(matches!(refused, Err(StoreError::RoomBusy { retry_after_ms: 40_000 })), "{refused:?}");
    send(&two, 1).await.expect("a retry takes no share");
    clock.advance(40_000);
    send(&one, 2).await.unwrap();
    assert!(matches!(send(&one, 3).await, Err(StoreError::RoomBusy { .. })));
    clock.advance(-SEAT_MS / 2);
    send(&one, 3).await.expect("the hub's clock was set right");
}

async fn a_page_ends_at_its_limits(store: &impl Store, _: &ManualClock) {
    let ana = player(0, 1);
    let room = at_home(store, &ana).await;
    for number in 1..=5 {
        post(store, &ana, number, &body(number), &[]).await;
    }
    let seqs = |entries: &[Entry]| entries.iter().map(|entry| entry.seq).collect::<Vec<_>>();
    let page = store.pull(ana.agent(), room, 1, PageLimit { entries_max: 2, ..ALL }).await.unwrap();
    assert_eq!((seqs(&page.entries), page.start.seq, page.end.seq), (vec![2, 3], 1, 5));
    let page = store.pull(ana.agent(), room, 1, PageLimit { bytes_max: 1, ..ALL }).await.unwrap();
    assert_eq!(seqs(&page.entries), [2]);
    let page = store.pull(ana.agent(), room, 0, PageLimit { bodies: false, ..ALL }).await.unwrap();
    assert!(
        page.entries.iter().all(|entry| entry.content.as_message().is_some_and(|(_, body)| body.is_none()))
    );
    let page = store.pull(ana.agent(), room, 5, ALL).await.unwrap();
    assert!(page.entries.is_empty() && page.start == page.end);
    let refused = store.pull(ana.agent(), room, 6, ALL).await;
    assert!(matches!(refused, Err(StoreError::BeyondEnd { end: 5 })), "{refused:?}");
    let budget = 5000;
    let page = store.pull(ana.agent(), room, 0, PageLimit { bytes_max: budget, ..ALL }).await.unwrap();
    let json: usize = page.entries.iter().map(|entry| protocol::json::write(entry).len()).sum();
    assert!(page.entries.len() > 1 && json as u64 <= budget, "{json} bytes");
}

async fn a_cursor_only_moves_forward(store: &impl Store, _: &ManualClock) {
    let ana = player(0, 1);
    let room = at_home(store, &ana).await;
    for number in 1..=3 {
        post(store, &ana, number, &body(number), &[]).await;
    }
    let ack = |reader: &str, seq| store.ack(ana.agent(), room, reader.to_owned(), seq);
    assert_eq!(ack("cli", 2).await.unwrap(), 2);
    assert_eq!(ack("cli", 1).await.unwrap(), 2);
    assert_eq!(ack("mcp", 0).await.unwrap(), 0);
    assert!(matches!(ack("cli", 4).await, Err(StoreError::BeyondEnd { end: 3 })));
    for number in 2..READERS_MAX {
        ack(&format!("r{number}"), 1).await.unwrap();
    }
    assert!(matches!(ack("one-more", 1).await, Err(StoreError::TooMany { .. })));
    assert_eq!(ack("cli", 3).await.unwrap(), 3);
}

async fn a_blob_is_readable_in_its_room_only(store: &impl Store, _: &ManualClock) {
    let (ana, bob) = (player(0, 1), player(1, 1));
    let (home, other) = (at_home(store, &ana).await, at_home(store, &bob).await);
    let id = BlobId::of(b"bytes");
    assert!(!store.may_put_blob(ana.agent(), home, id).await.unwrap());
    store.bind_blob(ana.agent(), home, id, 5).await.unwrap();
    assert!(store.may_put_blob(ana.agent(), home, id).await.unwrap());
    assert_eq!(store.may_get_blob(ana.agent(), home, id).await.unwrap(), 5);
    // Knowing the hash gives nothing, neither by reading nor by saying that one has it.
    assert!(matches!(store.may_get_blob(bob.agent(), home, id).await, Err(StoreError::NotFound)));
    assert!(matches!(store.may_get_blob(bob.agent(), other, id).await, Err(StoreError::NotFound)));
    assert!(!store.may_put_blob(bob.agent(), other, id).await.unwrap());
    assert_eq!(store.unknown_blobs(vec![id, BlobId::of(b"x")]).await.unwrap(), [BlobId::of(b"x")]);
}

async fn a_message_refers_to_blobs_of_its_room_only(store: &impl Store, _: &ManualClock) {
    let (ana, bob) = (player(0, 1), player(1, 1));
    let (home, other) = (at_home(store, &ana).await, at_home(store, &bob).await);
    let id = BlobId::of(b"bytes");
    store.bind_blob(ana.agent(), home, id, 5).await.unwrap();
    let message = bob.message(other, 1, LogPoint::start(other), &body(1), &[id]);
    let refused = store.post(bob.agent(), message, body(1), MINUTE_MAX).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    assert_eq!(post(store, &ana, 1, &body(1), &[id]).await, 1);
}

async fn handoffs_come_newest_first_in_pages(store: &impl Store, _: &ManualClock) {
    let ana = player(0, 1);
    let room = at_home(store, &ana).await;
    let ids: Vec<BlobId> = (0..4u8).map(|number| BlobId::of(&[number])).collect();
    for id in &ids {
        store.bind_blob(ana.agent(), room, *id, 1).await.unwrap();
    }
    post(store, &ana, 1, &body(1), &ids[..1]).await;
    post(store, &ana, 2, &body(2), &[]).await;
    post(store, &ana, 3, &body(3), &ids[1..3]).await;
    post(store, &ana, 4, &body(4), &ids[3..]).await;
    let seqs = |found: &BlobReferences| found.references.iter().map(|row| row.seq).collect::<Vec<_>>();
    let all = store.handoffs(ana.agent(), room, None, 10).await.unwrap();
    assert_eq!((seqs(&all), all.more), (vec![4, 3, 3, 1], false));
    assert!(all.references.iter().all(|row| row.available && row.room == room));
    // An entry's references are not torn apart, so `before` loses none.
    let first = store.handoffs(ana.agent(), room, None, 2).await.unwrap();
    assert_eq!((seqs(&first), first.more), (vec![4], true));
    let next = store.handoffs(ana.agent(), room, Some(4), 10).await.unwrap();
    assert_eq!((seqs(&next), next.more), (vec![3, 3, 1], false));
}

async fn find_looks_into_the_rooms_of_the_caller_only(store: &impl Store, _: &ManualClock) {
    let (ana, bob) = (player(0, 1), player(1, 1));
    let id = BlobId::of(b"bytes");
    for player in [&ana, &bob] {
        let room = at_home(store, player).await;
        store.bind_blob(player.agent(), room, id, 5).await.unwrap();
    }
    post(store, &ana, 1, &body(1), &[id]).await;
    let find = |player: &Player, prefix: &str| store.find(player.agent(), prefix.parse().unwrap(), 10);
    let text = id.to_string();
    for prefix in [&text[..4], &text[..5], &text] {
        let found = find(&ana, prefix).await.unwrap();
        assert_eq!(found.references.len(), 1, "{prefix}");
        assert_eq!((found.references[0].blob, found.references[0].room), (id, ana.room()));
        assert!(find(&bob, prefix).await.unwrap().references.is_empty());
    }
    assert!(find(&ana, "0000").await.unwrap().references.is_empty());
}

async fn old_messages_expire_as_a_prefix(store: &impl Store, clock: &ManualClock) {
    let ana = player(0, 1);
    let room = at_home(store, &ana).await;
    for number in 1..=4 {
        post(store, &ana, number, &body(number), &[]).await;
    }
    clock.advance(1001);
    post(store, &ana, 5, &body(5), &[]).await;
    let before = store.pull(ana.agent(), room, 2, ALL).await.unwrap();
    let expired = store.expire(RETENTION).await.unwrap();
    assert_eq!((expired.entries, expired.more), (2, true), "another room may be due");
    let expired = store.expire(RETENTION).await.unwrap();
    assert_eq!((expired.entries, expired.more), (0, false), "the newest are kept");
    let refused = store.pull(ana.agent(), room, 1, ALL).await;
    assert!(matches!(&refused, Err(StoreError::Pruned { base }) if *base == before.start), "{refused:?}");
    let after = store.pull(ana.agent(), room, 2, ALL).await.unwrap();
    assert_eq!((after.entries, after.start, after.base), (before.entries, before.start, before.start));
    // The author goes on counting, and a head before the base is stale.
    let stale = ana.message(room, 6, LogPoint::start(room), &body(6), &[]);
    let refused = store.post(ana.agent(), stale, body(6), MINUTE_MAX).await;
    assert!(matches!(refused, Err(StoreError::Stale { .. })), "{refused:?}");
    let message = ana.message(room, 6, after.end, &body(6), &[]);
    assert_eq!(store.post(ana.agent(), message, body(6), MINUTE_MAX).await.unwrap().seq, 6);
    // A retry of what expired cannot be told from another message, so the author is asked to sign anew.
    let retry = ana.message(room, 1, LogPoint::start(room), &body(1), &[]);
    let refused = store.post(ana.agent(), retry, body(1), MINUTE_MAX).await;
    assert!(matches!(refused, Err(StoreError::Conflict { next_n: 7 })), "{refused:?}");
}

async fn an_idle_blob_is_gone_until_it_is_sent_again(store: &impl Store, clock: &ManualClock) {
    let (ana, bob) = (player(0, 1), player(1, 1));
    let (home, other) = (at_home(store, &ana).await, at_home(store, &bob).await);
    let (id, shared) = (BlobId::of(b"a"), BlobId::of(b"b"));
    store.bind_blob(ana.agent(), home, id, 1).await.unwrap();
    store.bind_blob(ana.agent(), home, shared, 1).await.unwrap();
    clock.advance(300);
    store.bind_blob(bob.agent(), other, shared, 1).await.unwrap();
    post(store, &ana, 1, &body(1), &[id]).await;
    clock.advance(300);
    let expired = store.expire(RETENTION).await.unwrap();
    assert_eq!((expired.bindings, expired.blobs), (1, vec![]), "bob's binding keeps the bytes");
    assert!(matches!(store.may_get_blob(ana.agent(), home, shared).await, Err(StoreError::Gone)));
    assert!(store.may_get_blob(bob.agent(), other, shared).await.is_ok());
    clock.advance(300);
    let mut removed = store.expire(RETENTION).await.unwrap().blobs;
    removed.sort_unstable();
    let mut both = vec![id, shared];
    both.sort_unstable();
    assert_eq!(removed, both);
    assert!(!store.handoffs(ana.agent(), home, None, 9).await.unwrap().references[0].available);
    assert!(!store.may_put_blob(ana.agent(), home, id).await.unwrap());
    store.bind_blob(ana.agent(), home, id, 1).await.unwrap();
    assert_eq!(store.may_get_blob(ana.agent(), home, id).await.unwrap(), 1);
    assert!(store.unknown_blobs(vec![id]).await.unwrap().is_empty());
}

async fn a_database_belongs_to_one_hub(store: &impl Store, _: &ManualClock) {
    let other = protocol::key::HubKey::from_seed(&[9; 32]).public();
    assert!(store.belongs_to(crate::cast::hub_id()).await.unwrap());
    assert!(store.belongs_to(crate::cast::hub_id()).await.unwrap());
    assert!(!store.belongs_to(other).await.unwrap());
}

#[tokio::test]
async fn what_was_answered_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.db");
    let clock: Arc<ManualClock> = ManualClock::at(START);
    let ana = player(0, 1);
    let store = SqliteStore::open(&path, clock.clone(), Fatal::new()).unwrap();
    let room = at_home(&store, &ana).await;
    post(&store, &ana, 1, &body(1), &[]).await;
    let before = store.pull(ana.agent(), room, 0, ALL).await.unwrap();
    // A second look at the files as they are now, while the first store still runs: what a crash would leave.
    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(folder.path().join("hub.db-wal"), folder.path().join("copy.db-wal")).unwrap();
    let after_crash = SqliteStore::open(&copy, clock.clone(), Fatal::new()).unwrap();
    assert_eq!(after_crash.pull(ana.agent(), room, 0, ALL).await.unwrap(), before);
    drop(store);
    let reopened = SqliteStore::open(&path, clock, Fatal::new()).unwrap();
    assert_eq!(reopened.pull(ana.agent(), room, 0, ALL).await.unwrap(), before);
}

#[test]
fn a_foreign_or_newer_database_is_refused_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.db");
    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE cookies (taste TEXT)").unwrap();
    drop(foreign);
    let open = |path| SqliteStore::open(path, ManualClock::at(START), Fatal::new());
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(open(&path), Err(super::sqlite::OpenError::Foreign { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let newer = folder.path().join("newer.db");
    drop(open(&newer).unwrap());
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(open(&newer), Err(super::sqlite::OpenError::Newer { found: 99, .. })));
}
