//! A hub on a thread of its own, to be stopped or killed.

use std::thread::JoinHandle;

use hub::{Config, Error, Ready};
use tokio::sync::oneshot;

/// A running hub.
pub(crate) struct HubThread {
    pub(crate) ready: Ready,
    stop: oneshot::Sender<()>,
    kill: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl HubThread {
    /// Starts a hub and waits until it accepts connections; `on_ready` runs on its thread.
    ///
    /// # Errors
    /// What the hub says when it cannot start, for one that another has locked the folder.
    pub(crate) fn start(
        config: Config,
        on_ready: impl FnOnce(&Ready) + Send + 'static,
    ) -> Result<Self, Error> {
        let (said, ready) = std::sync::mpsc::channel();
        let (kill, killed) = oneshot::channel::<()>();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let started = said.clone();
            let running = hub::run(
                config,
                move |ready| {
                    on_ready(&ready);
                    started.send(Ok(ready)).unwrap();
                },
                async {
                    // A dropped sender asks for the same.
                    stopped.await.ok();
                },
            );
            runtime.block_on(async {
                // Killed: everything is dropped where it stands, and nobody is told.
                tokio::select! {
                    ended = running => drop(said.send(Err(ended.err()))),
                    _ = killed => {}
                }
            });
            runtime.shutdown_background();
        });
        match ready.recv().unwrap() {
            Ok(ready) => Ok(Self { ready, stop, kill, thread }),
            Err(error) => Err(error.expect("a hub does not end well before it was ready")),
        }
    }

    /// Ends it at once.
    pub(crate) fn kill(self) {
        drop(self.kill);
        self.thread.join().unwrap();
        drop(self.stop);
    }

    /// Asks it to end in good order, and waits until it has.
    pub(crate) fn stop(self) {
        drop(self.stop);
        self.thread.join().unwrap();
        drop(self.kill);
    }
}
