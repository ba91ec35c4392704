//! A hub and the people who meet there.

use std::path::Path;
use std::time::Duration;

use client::{Client, Error, JoinOutcome, OpenSession, Settings};
use hub::{Config, Listen};
use protocol::invite::SessionKey;
use protocol::key::JoinKey;
use tempfile::TempDir;

use crate::cast::settings;
use crate::hub_thread::HubThread;

const SECRET: &str = "gpj1-abcdefghijklmnopqrstuvwxyz";
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// A hub, and the folders of the people who meet there.
pub(crate) struct Scene {
    pub(crate) home: TempDir,
    pub(crate) hub: HubThread,
    is_closed: bool,
}

impl Scene {
    pub(crate) fn open() -> Self {
        Self::start(false)
    }

    /// A hub whose join secret the owner knows and nobody else.
    pub(crate) fn closed() -> Self {
        Self::start(true)
    }

    fn start(is_closed: bool) -> Self {
        let home = tempfile::tempdir().unwrap();
        let hub = HubThread::start(config(home.path(), is_closed, 0), |_| {}).unwrap();
        Self { home, hub, is_closed }
    }

    /// Kills the hub and starts it again at the same port.
    pub(crate) fn restart(self) -> Self {
        let port = self.port();
        self.hub.kill();
        let hub = HubThread::start(config(self.home.path(), self.is_closed, port), |_| {}).unwrap();
        Self { hub, ..self }
    }

    pub(crate) fn port(&self) -> u16 {
        let [Listen::Tcp(address)] = self.hub.ready.addresses[..] else { panic!("one TCP port") };
        address.port()
    }

    pub(crate) fn settings(&self, user: &str, seat: &str) -> Settings {
        let origin = format!("ws://127.0.0.1:{}", self.port());
        let home = self.home.path().join(user);
        Settings { name: format!("{user}/{seat}"), ..settings(&home, seat, origin.parse().unwrap()) }
    }

    /// A seat of the owner, who knows the secret of a closed hub.
    pub(crate) async fn owner(&self, seat: &str) -> Client {
        let join_secret = self.is_closed.then(|| client::settings::JoinSecret::new(SECRET));
        Client::connect(Settings { join_secret, ..self.settings("ana", seat) }, None).await.unwrap()
    }

    /// Somebody with nothing but a key.
    pub(crate) async fn joiner(&self, user: &str, key: &SessionKey) -> Result<Client, Error> {
        let settings = Settings { invite: Some(key.clone()), ..self.settings(user, "app") };
        Client::connect(settings, None).await
    }

    /// Lets `user` ask by `key` and the owner approve, and returns the new member.
    pub(crate) async fn member(&self, owner: &mut Client, user: &str, key: &SessionKey) -> Client {
        let mut joiner = self.joiner(user, key).await.unwrap();
        let mut joining = joiner.join(key, &format!("{user}/app")).await.unwrap();
        assert_eq!(joiner.join_state(&mut joining, None).await.unwrap(), JoinOutcome::Pending);
        owner.approve(&format!("{user}/app"), None).await.unwrap();
        let outcome = joiner.join_state(&mut joining, None).await.unwrap();
        assert!(matches!(outcome, JoinOutcome::Member(_)), "{outcome:?}");
        joiner
    }
}

fn config(home: &Path, is_closed: bool, port: u16) -> Config {
    let listen = vec![Listen::Tcp(([127, 0, 0, 1], port).into())];
    let join = is_closed.then(|| JoinKey::from_join_secret(SECRET).public());
    Config { join, ..Config::new(home.join("hub"), listen) }
}

pub(crate) fn about(topic: &str) -> OpenSession {
    OpenSession {
        topic: Some(topic.to_owned()),
        recap: Some("we fix the retry".to_owned()),
        ttl: DAY,
        max_uses: 5,
        auto: false,
        no_history: false,
    }
}

pub(crate) async fn opened(owner: &mut Client, open: OpenSession) -> SessionKey {
    owner.open_session(open).await.unwrap().key.parse().unwrap()
}
