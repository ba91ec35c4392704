//! The local hub: started by whoever comes first, found by the others, started again when it dies.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use client::local_hub::{LocalAddress, LocalHubControl, LocalRecord};
use client::settings::HubAddress;
use client::{Client, Settings};
use hub::{Config, Error, Listen, Names};
use protocol::key::JoinKey;

use crate::cast::{handoff, settings};
use crate::hub_thread::HubThread;

const SECRET: &str = "gpj1-abcdefghijklmnopqrstuvwxyz";

/// Starts hubs on threads where the command would start processes.
struct Threads {
    dir: PathBuf,
    running: Mutex<Vec<HubThread>>,
    starts: AtomicU32,
    version: Mutex<&'static str>,
}

impl Threads {
    fn new(home: &Path) -> Arc<Self> {
        let version = Mutex::new("0.1.0");
        Arc::new(Self {
            dir: home.join("p/hub"),
            running: Mutex::default(),
            starts: AtomicU32::new(0),
            version,
        })
    }

    fn kill(&self) {
        self.running.lock().unwrap().drain(..).for_each(HubThread::kill);
    }
}

impl LocalHubControl for Threads {
    fn start(&self) -> io::Result<()> {
        self.starts.fetch_add(1, Ordering::SeqCst);
        client::files::create_once(&self.dir.join("join-secret"), SECRET.as_bytes()).unwrap();
        let config = Config {
            names: Names::Local,
            join: Some(JoinKey::from_join_secret(SECRET).public()),
            ..Config::new(self.dir.clone(), vec![Listen::Unix(self.dir.join("socket"))])
        };
        let (dir, version) = (self.dir.clone(), *self.version.lock().unwrap());
        let started = HubThread::start(config, move |ready| {
            let record = LocalRecord {
                pid: std::process::id(),
                address: LocalAddress::Unix(dir.join("socket")),
                version: version.to_owned(),
                hub_key: ready.hub_key,
            };
            client::files::replace(&dir.join("local.json"), protocol::json::write(&record).as_bytes())
                .unwrap();
        });
        match started {
            Ok(hub) => self.running.lock().unwrap().push(hub),
            Err(Error::AlreadyRuns { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        Ok(())
    }

    fn hand_over(&self, pid: u32) -> io::Result<()> {
        assert_eq!(pid, std::process::id());
        // On a thread of its own, as a signal to a process would not wait either.
        let running: Vec<_> = self.running.lock().unwrap().drain(..).collect();
        std::thread::spawn(|| running.into_iter().for_each(HubThread::stop));
        Ok(())
    }
}

async fn seat(home: &Path, name: &str, control: &Arc<Threads>) -> Client {
    Client::connect(settings(home, name, HubAddress::Local), Some(control.clone())).await.unwrap()
}

#[tokio::test]
async fn the_first_command_starts_a_hub_and_hands_code_to_another_seat() {
    let home = tempfile::tempdir().unwrap();
    let control = Threads::new(home.path());
    let (mut one, mut two) =
        (seat(home.path(), "one", &control).await, seat(home.path(), "two", &control).await);
    let (file, part) = handoff(home.path(), 100_000, 1);
    let posted = one.push(&file, part.clone(), None).await.unwrap();
    assert!(one.push(&file, part.clone(), None).await.unwrap().deduplicated);
    let room = two.home().await.unwrap();
    assert_eq!((room, posted.seq), (posted.room, 1));
    let listed = two.handoffs(room).await.unwrap();
    assert_eq!((listed.len(), listed[0].author.name.as_str()), (1, "ana/one"));
    let found = two.find(part.blob.to_string()[..6].parse().unwrap()).await.unwrap();
    assert_eq!(found, listed[0]);
    assert_eq!(two.fetch(&found, None).await.unwrap().size(), 100_000);
    assert_eq!(two.status("cli").await.unwrap().unread, 1);
    assert_eq!(control.starts.load(Ordering::SeqCst), 1);
    one.close().await;
    two.close().await;
    control.kill();
}

#[tokio::test]
async fn many_commands_at_once_agree_on_one_hub_and_one_user() {
    let home = tempfile::tempdir().unwrap();
    let control = Threads::new(home.path());
    let mut commands = tokio::task::JoinSet::new();
    for i in 0..50u64 {
        let (home, control) = (home.path().to_owned(), control.clone());
        commands.spawn(async move {
            let mut client = seat(&home, &format!("s{i}"), &control).await;
            let (file, part) = handoff(&home, 5000, i);
            let posted = client.push(&file, part, None).await.unwrap();
            (client.hub(), client.seat().user(), posted.room, posted.seq)
        });
    }
    let mut said = commands.join_all().await;
    said.sort_by_key(|(_, _, _, seq)| *seq);
    let (hub, user, room, _) = said[0];
    for (i, theirs) in (1..).zip(&said) {
        assert_eq!(*theirs, (hub, user, room, i));
    }
    assert_eq!(control.running.lock().unwrap().len(), 1);
    control.kill();
}

#[tokio::test]
async fn a_newer_client_gets_a_newer_hub_and_the_older_one_goes_on_with_it() {
    let home = tempfile::tempdir().unwrap();
    let control = Threads::new(home.path());
    let mut older = seat(home.path(), "one", &control).await;
    let (file, part) = handoff(home.path(), 10_000, 1);
    older.push(&file, part, None).await.unwrap();
    *control.version.lock().unwrap() = "0.2.0";
    let newer = Settings { version: "0.2.0".to_owned(), ..settings(home.path(), "two", HubAddress::Local) };
    let mut newer = Client::connect(newer, Some(control.clone())).await.unwrap();
    assert_eq!(newer.hub(), older.hub());
    let (file, part) = handoff(home.path(), 10_000, 2);
    assert_eq!(newer.push(&file, part, None).await.unwrap().seq, 2);
    let room = older.home().await.unwrap();
    assert_eq!(older.handoffs(room).await.unwrap().len(), 2);
    let record = client::local_hub::LocalHub::new(&home.path().join("p"), "0.1.0", None).record().unwrap();
    assert_eq!(record.unwrap().version, "0.2.0");
    assert!(control.starts.load(Ordering::SeqCst) >= 2);
    control.kill();
}

#[tokio::test]
async fn a_killed_hub_is_started_again_under_a_client_that_notices_nothing() {
    let home = tempfile::tempdir().unwrap();
    let control = Threads::new(home.path());
    let mut client = seat(home.path(), "one", &control).await;
    for i in 0..5 {
        let (file, part) = handoff(home.path(), 10_000, i);
        assert_eq!(client.push(&file, part, None).await.unwrap().seq, i + 1);
        control.kill();
    }
    let room = client.home().await.unwrap();
    assert_eq!(client.handoffs(room).await.unwrap().len(), 5);
    control.kill();
}
