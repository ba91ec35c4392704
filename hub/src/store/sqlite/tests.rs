//! What is SQLite's own: groups of writes, a database that is full, files that are folded up, readers that are out.

use std::sync::{Arc, mpsc};

use protocol::id::BlobId;
use protocol::statement::LogPoint;

use super::SqliteStore;
use crate::cast::{Player, SEAT_MS, START, player};
use crate::clock::ManualClock;
use crate::fatal::Fatal;
use crate::limits::READERS;
use crate::store::{PageLimit, Store as _, StoreError};

const ALL: PageLimit = PageLimit { entries_max: 100_000, bytes_max: 1 << 30, bodies: true };
const BODY: &str = r#"{"parts":[{"kind":"text","text":"hello"}]}"#;

async fn at_home(store: &SqliteStore, player: &Player) {
    store.note_seat(player.seat(START, START + SEAT_MS)).await.unwrap();
    store.open_room(player.agent(), player.home(), 256).await.unwrap();
}

async fn post(store: &SqliteStore, player: &Player, n: u64, body: &str) -> Result<u64, StoreError> {
    let room = player.room();
    let message = player.message(room, n, LogPoint::start(room), body, &[]);
    store.post(player.agent(), message, body.into(), u64::MAX).await.map(|landed| landed.seq)
}

#[tokio::test]
async fn a_refusal_in_a_group_undoes_nothing_but_itself() {
    let folder = tempfile::tempdir().unwrap();
    let store =
        SqliteStore::open(&folder.path().join("hub.db"), ManualClock::at(START), Fatal::new()).unwrap();
    let store = Arc::new(store);
    let mut writers = tokio::task::JoinSet::new();
    for seat in 0..8 {
        let ana = player(0, seat);
        at_home(&store, &ana).await;
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for n in 1..=20 {
                let (good, bad) = tokio::join!(post(&store, &ana, n, BODY), post(&store, &ana, n + 7, BODY));
                good.unwrap();
                assert!(matches!(bad, Err(StoreError::Conflict { .. })), "{bad:?}");
            }
        });
    }
    while let Some(outcome) = writers.join_next().await {
        outcome.unwrap();
    }
    let ana = player(0, 1);
    let page = store.pull(ana.agent(), ana.room(), 0, ALL).await.unwrap();
    let seqs: Vec<u64> = page.entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, (1..=160).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_database_refuses_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.db");
    let fatal = Fatal::new();
    let store = SqliteStore::open(&path, ManualClock::at(START), fatal.clone()).unwrap();
    let ana = player(0, 1);
    at_home(&store, &ana).await;
    let pages_max =
        |pages: u32| store.write(move |db, _| Ok(db.pragma_update(None, "max_page_count", pages)?));
    pages_max(64).await.unwrap();
    let long = format!(r#"{{"parts":[{{"kind":"text","text":"{}"}}]}}"#, "x".repeat(10_000));
    let mut answered = 0;
    let refusal = loop {
        match post(&store, &ana, answered + 1, &long).await {
            Ok(_) => answered += 1,
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refusal, StoreError::DiskFull), "{refusal:?}");
    assert!(answered > 0 && fatal.cause().is_none());
    let page = store.pull(ana.agent(), ana.room(), 0, ALL).await.unwrap();
    assert_eq!((page.entries.len() as u64, page.end.seq), (answered, answered));
    pages_max(100_000).await.unwrap();
    assert_eq!(post(&store, &ana, answered + 1, &long).await.unwrap(), answered + 1);
}

#[tokio::test]
async fn a_store_that_is_closed_leaves_one_private_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.db");
    let store = SqliteStore::open(&path, ManualClock::at(START), Fatal::new()).unwrap();
    at_home(&store, &player(0, 1)).await;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
    drop(store);
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["hub.db"]);
}

#[tokio::test]
async fn a_store_whose_thread_has_ended_raises_the_alarm() {
    let fatal = Fatal::new();
    let store = SqliteStore::in_memory(ManualClock::at(START), fatal.clone()).unwrap();
    let panicked: Result<(), StoreError> = store.write(|_, _| panic!("an operation that fails badly")).await;
    assert!(matches!(panicked, Err(StoreError::Stopped)), "{panicked:?}");
    assert!(matches!(store.rooms(player(0, 1).agent(), None, None, 9).await, Err(StoreError::Stopped)));
    assert_eq!(fatal.raised().await.to_string(), "the database cannot be written any more");
}

#[tokio::test]
async fn an_aborted_read_keeps_its_permit_while_its_reader_is_out() {
    let folder = tempfile::tempdir().unwrap();
    let store =
        SqliteStore::open(&folder.path().join("hub.db"), ManualClock::at(START), Fatal::new()).unwrap();
    let store = Arc::new(store);
    let mut ends = Vec::new();
    for _ in 0..READERS {
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (end, has_ended) = mpsc::channel::<()>();
        let store = Arc::clone(&store);
        let asking = tokio::spawn(async move {
            let long = move |_: &_, _| {
                begun.send(()).unwrap();
                // Ends when the sender is dropped.
                has_ended.recv().ok();
                Ok(())
            };
            store.read(long).await
        });
        has_begun.await.unwrap();
        asking.abort();
        assert!(asking.await.unwrap_err().is_cancelled());
        ends.push(end);
    }
    let readers = store.readers.as_ref().unwrap();
    assert_eq!((readers.idle.lock().unwrap().len(), readers.permits.available_permits()), (0, 0));
    drop(ends);
    store.read(|_, _| Ok(())).await.unwrap();
}

/// Fills a database of the first schema as a hub of then would have.
fn first_schema(path: &std::path::Path) {
    let db = rusqlite::Connection::open(path).unwrap();
    db.pragma_update(None, "foreign_keys", true).unwrap();
    super::migrate_to(&db, 1).unwrap();
    let ana = player(0, 1);
    let (home, seat) = (ana.home(), ana.seat(START, START + SEAT_MS));
    let room = ana.room();
    db.execute("INSERT INTO hub VALUES (1, ?1)", (crate::cast::hub_id().as_bytes(),)).unwrap();
    let (user, bytes, sig) = seat.parts();
    db.execute(
        "INSERT INTO seat VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (ana.agent().as_bytes(), user.as_bytes(), START, START + SEAT_MS, bytes, sig.as_bytes()),
    )
    .unwrap();
    let message = ana.message(room, 1, LogPoint::start(room), BODY, &[BlobId::of(b"bytes")]);
    let at = protocol::room::extend(&LogPoint::start(room), &message.digest());
    let (owner, bytes, sig) = home.parts();
    db.execute(
        "INSERT INTO room VALUES (7, ?1, 'home', ?2, ?3, ?4, ?5, 1, ?6, 0, ?1)",
        (room.as_bytes(), owner.as_bytes(), bytes, sig.as_bytes(), START, at.log.as_bytes()),
    )
    .unwrap();
    let (author, bytes, sig) = message.parts();
    db.execute(
        "INSERT INTO entry VALUES (9, 7, 1, ?1, ?2, ?3, 1, ?4, ?5, ?6, ?7)",
        (
            at.log.as_bytes(),
            message.digest().as_bytes(),
            author.as_bytes(),
            START,
            bytes,
            sig.as_bytes(),
            BODY,
        ),
    )
    .unwrap();
    db.execute("INSERT INTO author VALUES (7, ?1, 1)", (author.as_bytes(),)).unwrap();
    db.execute("INSERT INTO cursor VALUES (?1, 7, 'cli', 1)", (author.as_bytes(),)).unwrap();
    let blob = BlobId::of(b"bytes");
    db.execute("INSERT INTO blob VALUES (?1, 5)", (blob.as_bytes(),)).unwrap();
    db.execute("INSERT INTO binding VALUES (7, ?1, 5, ?2, ?2, 0)", (blob.as_bytes(), START)).unwrap();
    db.execute("INSERT INTO reference VALUES (7, 1, ?1)", (blob.as_bytes(),)).unwrap();
}

#[tokio::test]
async fn a_database_of_the_first_schema_goes_on_with_all_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.db");
    first_schema(&path);
    let ana = player(0, 1);
    let room = ana.room();
    for _ in 0..2 {
        let store = SqliteStore::open(&path, ManualClock::at(START), Fatal::new()).unwrap();
        let page = store.pull(ana.agent(), room, 0, ALL).await.unwrap();
        assert_eq!((page.entries.len(), page.seats.len(), page.end.seq), (1, 1, 1));
        let rooms = store.rooms(ana.agent(), None, Some("cli".into()), 9).await.unwrap().rooms;
        assert_eq!((rooms.len(), rooms[0].cursor, rooms[0].end), (1, Some(1), page.end));
        assert!(store.handoffs(ana.agent(), room, None, 9).await.unwrap().references[0].available);
        assert_eq!(store.may_get_blob(ana.agent(), room, BlobId::of(b"bytes")).await.unwrap(), 5);
        assert!(store.belongs_to(crate::cast::hub_id()).await.unwrap());
        assert_eq!(
            post(&store, &ana, 1, "not the same").await.unwrap_err().to_string(),
            "the author's next message is number 2"
        );
    }
    let store = SqliteStore::open(&path, ManualClock::at(START), Fatal::new()).unwrap();
    assert_eq!(post(&store, &ana, 2, BODY).await.unwrap(), 2);
    assert!(store.open_room(ana.agent(), ana.session(1), 256).await.unwrap().1);
}

#[test]
fn the_schema_that_was_migrated_is_the_one_that_is_made() {
    let schema = |db: &rusqlite::Connection| {
        let mut query = db.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
        let rows = query.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<Vec<(String, Option<String>)>, _>>().unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.db");
    first_schema(&path);
    drop(SqliteStore::open(&path, ManualClock::at(START), Fatal::new()).unwrap());
    let made = rusqlite::Connection::open_in_memory().unwrap();
    super::migrate(&made).unwrap();
    assert_eq!(schema(&rusqlite::Connection::open(&path).unwrap()), schema(&made));
    assert!(made.pragma_query_value(None, "foreign_keys", |row| row.get::<_, bool>(0)).unwrap());
}
