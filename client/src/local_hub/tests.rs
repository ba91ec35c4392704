//! Finding, starting and handing over, with hubs that are mere sockets.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use protocol::key::HubKey;

use super::*;

/// Starts "hubs" by listening on a socket and writing the address file, as a process of its own would.
struct Control {
    dir: PathBuf,
    version: String,
    starts: AtomicU32,
    hand_overs: AtomicU32,
    /// How many starts pass without a hub, as when the lock is still held.
    idle_starts: u32,
    running: Mutex<Option<UnixListener>>,
}

impl Control {
    fn new(dir: &Path, version: &str) -> Arc<Self> {
        Arc::new(Self {
            dir: dir.to_owned(),
            version: version.to_owned(),
            starts: AtomicU32::new(0),
            hand_overs: AtomicU32::new(0),
            idle_starts: 0,
            running: Mutex::new(None),
        })
    }

    fn run(&self, version: &str) {
        let starts = self.starts.load(Ordering::SeqCst);
        let path = self.dir.join(format!("s{starts}"));
        *self.running.lock().unwrap() = Some(UnixListener::bind(&path).unwrap());
        write_record(&self.dir, &record(&path, version));
    }

    fn counts(&self) -> (u32, u32) {
        (self.starts.load(Ordering::SeqCst), self.hand_overs.load(Ordering::SeqCst))
    }
}

impl LocalHubControl for Control {
    fn start(&self) -> io::Result<()> {
        if self.starts.fetch_add(1, Ordering::SeqCst) >= self.idle_starts {
            self.run(&self.version);
        }
        Ok(())
    }

    fn hand_over(&self, pid: u32) -> io::Result<()> {
        assert_eq!(pid, std::process::id());
        self.hand_overs.fetch_add(1, Ordering::SeqCst);
        self.running.lock().unwrap().take();
        Ok(())
    }
}

fn record(path: &Path, version: &str) -> LocalRecord {
    LocalRecord {
        pid: std::process::id(),
        address: LocalAddress::Unix(path.to_owned()),
        version: version.to_owned(),
        hub_key: HubKey::from_seed(&[1; 32]).public(),
    }
}

fn write_record(dir: &Path, record: &LocalRecord) {
    files::replace(&dir.join("local.json"), json::write(record).as_bytes()).unwrap();
}

/// A private data folder.
struct Data(tempfile::TempDir);

impl Data {
    fn new() -> Self {
        let data = Self(tempfile::tempdir().unwrap());
        files::private_dir(data.path()).unwrap();
        data
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

fn hub_dir(data: &Path) -> PathBuf {
    let dir = data.join("hub");
    files::private_dir(&dir).unwrap();
    dir
}

#[tokio::test]
async fn a_hub_is_started_once_and_then_found() {
    let data = Data::new();
    let control = Control::new(&hub_dir(data.path()), "0.1.0");
    let hub = LocalHub::new(data.path(), "0.1.0", Some(control.clone()));
    for _ in 0..3 {
        let (_, found) = hub.reach().await.unwrap();
        assert_eq!(found.hub_key, HubKey::from_seed(&[1; 32]).public());
    }
    assert_eq!(control.counts(), (1, 0));
}

#[tokio::test]
async fn a_stale_address_file_leads_to_a_start() {
    let data = Data::new();
    let dir = hub_dir(data.path());
    write_record(&dir, &record(&dir.join("gone"), "0.1.0"));
    let control = Control::new(&dir, "0.1.0");
    let hub = LocalHub::new(data.path(), "0.1.0", Some(control.clone()));
    assert!(hub.reach().await.is_ok());
    assert_eq!(control.counts(), (1, 0));
}

#[tokio::test]
async fn an_address_file_that_others_could_write_is_not_believed() {
    let data = Data::new();
    let dir = hub_dir(data.path());
    let trap = dir.join("trap");
    let _listener = UnixListener::bind(&trap).unwrap();
    write_record(&dir, &record(&trap, "0.1.0"));
    fs::set_permissions(dir.join("local.json"), fs::Permissions::from_mode(0o666)).unwrap();
    let control = Control::new(&dir, "0.1.0");
    let mut hub = LocalHub::new(data.path(), "0.1.0", Some(control.clone()));
    let (_, found) = hub.reach().await.unwrap();
    assert_ne!(found.address, LocalAddress::Unix(trap.clone()));
    write_record(&dir, &record(&trap, "0.1.0"));
    fs::set_permissions(dir.join("local.json"), fs::Permissions::from_mode(0o606)).unwrap();
    hub.control = Some(Arc::new(Nothing));
    hub.start_max = Duration::from_millis(20);
    assert!(matches!(hub.reach().await, Err(LocalHubError::Forged(_))));
}

/// Starts nothing.
struct Nothing;

impl LocalHubControl for Nothing {
    fn start(&self) -> io::Result<()> {
        Ok(())
    }

    fn hand_over(&self, _: u32) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[tokio::test]
async fn one_that_does_not_come_up_is_given_up_with_its_folder_named() {
    let data = Data::new();
    let dir = hub_dir(data.path());
    let mut hub = LocalHub::new(data.path(), "0.1.0", Some(Arc::new(Nothing)));
    hub.start_max = Duration::from_millis(20);
    let error = hub.reach().await.err().unwrap();
    assert!(error.to_string().contains(&dir.display().to_string()), "{error}");
    hub.control = None;
    assert!(matches!(hub.reach().await, Err(LocalHubError::NoStarter)));
}

#[tokio::test]
async fn a_start_that_met_the_lock_of_a_leaving_hub_is_repeated() {
    let data = Data::new();
    let dir = hub_dir(data.path());
    let mut control = Control::new(&dir, "0.1.0");
    Arc::get_mut(&mut control).unwrap().idle_starts = 1;
    let mut hub = LocalHub::new(data.path(), "0.1.0", Some(control.clone()));
    hub.start_again = Duration::ZERO;
    assert!(hub.reach().await.is_ok());
    assert_eq!(control.counts(), (2, 0));
}

#[tokio::test]
async fn a_newer_client_has_an_older_hub_hand_over_and_an_older_one_goes_on() {
    let data = Data::new();
    let control = Control::new(&hub_dir(data.path()), "0.2.0");
    control.run("0.1.9");
    let older = LocalHub::new(data.path(), "0.1.0", Some(control.clone()));
    assert_eq!(older.reach().await.unwrap().1.version, "0.1.9");
    assert_eq!(control.counts(), (0, 0));
    let newer = LocalHub::new(data.path(), "0.2.0", Some(control.clone()));
    assert_eq!(newer.reach().await.unwrap().1.version, "0.2.0");
    assert_eq!(control.counts(), (1, 1));
}

#[tokio::test]
async fn nobody_is_signalled_by_a_process_id_that_is_not_the_listener() {
    let data = Data::new();
    let dir = hub_dir(data.path());
    let control = Control::new(&dir, "0.2.0");
    control.run("0.1.0");
    let mut other = record(&dir.join("s0"), "0.1.0");
    other.pid = 1;
    write_record(&dir, &other);
    let hub = LocalHub::new(data.path(), "0.2.0", Some(control.clone()));
    assert_eq!(hub.reach().await.unwrap().1.version, "0.1.0");
    assert_eq!(control.counts(), (0, 0));
}

#[test]
fn versions_compare_by_number() {
    assert!(is_newer("0.10.0", "0.9.9") && is_newer("1.0.0", "0.99.0") && is_newer("0.1.1-rc.1", "0.1.0"));
    assert!(!is_newer("0.1.0", "0.1.0") && !is_newer("0.1.0", "0.2.0"));
    assert!(!is_newer("newest", "0.1.0") && !is_newer("0.2.0", "old") && !is_newer("0.2", "0.1.0"));
}

#[test]
fn only_sockets_and_loopback_are_addresses_of_a_local_hub() {
    for text in ["unix:/run/user/1/hub/s", "tcp:127.0.0.1:7419", "tcp:[::1]:1"] {
        assert_eq!(text.parse::<LocalAddress>().unwrap().to_string(), text);
    }
    for text in ["", "unix:relative", "tcp:192.0.2.1:1", "tcp:localhost:1", "ws://127.0.0.1:1", "/run/s"] {
        assert!(text.parse::<LocalAddress>().is_err(), "{text}");
    }
}
