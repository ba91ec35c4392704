//! A network in bad weather, by a virtual clock: packets that are lost and sent again, lines that are cut, laptops out of
//! reach, and a hub that goes down with all its connections and comes back.

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kit::{LyingHub, Random};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::link::{Io, Road};

/// The weather over a hub and some laptops.
pub(super) struct Weather {
    hub: Arc<LyingHub>,
    dice: Mutex<Random>,
    /// Whether there is any; before, nothing is lost or cut.
    is_bad: AtomicBool,
    /// How many of a hundred packets are lost.
    lost_percent: usize,
    /// How many of a thousand packets end their connection.
    cut_permille: usize,
    is_hub_up: watch::Sender<bool>,
    reachable: Vec<watch::Sender<bool>>,
    packets: AtomicUsize,
    lost: AtomicUsize,
    cuts: AtomicUsize,
}

impl Weather {
    /// Begins in calm weather with everybody in reach of a hub.
    pub(super) fn new(seed: u64, laptops: usize, lost_percent: usize, cut_permille: usize) -> Arc<Self> {
        Arc::new(Self {
            hub: Arc::new(LyingHub::without_sockets(1, "ws://hub.test:7419")),
            dice: Mutex::new(Random::new(seed)),
            is_bad: AtomicBool::new(false),
            lost_percent,
            cut_permille,
            is_hub_up: watch::Sender::new(true),
            reachable: (0..laptops).map(|_| watch::Sender::new(true)).collect(),
            packets: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            cuts: AtomicUsize::new(0),
        })
    }

    /// Lets the bad weather begin.
    pub(super) fn turn_bad(&self) {
        self.is_bad.store(true, Ordering::Relaxed);
    }

    pub(super) fn hub(&self) -> &LyingHub {
        &self.hub
    }

    fn is_bad(&self) -> bool {
        self.is_bad.load(Ordering::Relaxed)
    }

    /// Returns a number below `bound`, and decides with it.
    pub(super) fn roll(&self, bound: usize) -> usize {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).below(bound)
    }

    /// Sleeps for a time of up to `longest`.
    pub(super) async fn pause(&self, longest: Duration) {
        let millis = usize::try_from(longest.as_millis()).unwrap_or(usize::MAX);
        sleep(Duration::from_millis(self.roll(millis) as u64)).await;
    }

    /// Returns how many packets there were, how many had to be sent again, and how many lines were cut.
    pub(super) fn record(&self) -> (usize, usize, usize) {
        let read = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        (read(&self.packets), read(&self.lost), read(&self.cuts))
    }

    /// Kills the hub, and starts it again after `down`.
    pub(super) async fn kill_hub(&self, down: Duration) {
        self.is_hub_up.send_replace(false);
        sleep(down).await;
        self.is_hub_up.send_replace(true);
    }

    /// Takes a laptop out of reach for `away`; what is on the way waits.
    pub(super) async fn lose(&self, laptop: usize, away: Duration) {
        self.reachable[laptop].send_replace(false);
        sleep(away).await;
        self.reachable[laptop].send_replace(true);
    }

    /// Builds the road from a laptop to the hub and returns under which name it leads there.
    pub(super) fn origin(self: &Arc<Self>, laptop: usize) -> String {
        let weather = self.clone();
        let origin = format!("ws://hub-{laptop}.test:7419");
        self.hub.also_known_as(&origin);
        let road = Road::new(move || {
            let weather = weather.clone();
            async move {
                if !*weather.reachable[laptop].borrow() {
                    return Err(io::ErrorKind::NetworkUnreachable.into());
                }
                if !*weather.is_hub_up.borrow() {
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                let (near, far) = (duplex(BUFFER_BYTES), duplex(BUFFER_BYTES));
                tokio::spawn(weather.hub.serve(far.1));
                tokio::spawn(weather.carry(laptop, near.1, far.0));
                let stream: Box<dyn Io> = Box::new(near.0);
                Ok(stream)
            }
        });
        road.build(&origin);
        origin
    }

    /// Carries packets both ways until one of them, or the end of the hub, cuts the line.
    async fn carry(self: Arc<Self>, laptop: usize, near: DuplexStream, far: DuplexStream) {
        let (near, far) = (split(near), split(far));
        let mut is_hub_up = self.is_hub_up.subscribe();
        let down = async {
            // A sender that is gone takes the hub with it.
            is_hub_up.wait_for(|is_up| !is_up).await.ok();
        };
        tokio::select! {
            () = self.send(laptop, near.0, far.1) => {}
            () = self.send(laptop, far.0, near.1) => {}
            () = down => {}
        }
    }

    async fn send(&self, laptop: usize, mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>) {
        let mut packet = vec![0; PACKET_BYTES];
        let mut reachable = self.reachable[laptop].subscribe();
        loop {
            let Ok(length @ 1..) = from.read(&mut packet).await else { return };
            sleep(LATENCY).await;
            let mut again = AGAIN_MIN;
            self.packets.fetch_add(1, Ordering::Relaxed);
            while self.is_bad() && self.roll(100) < self.lost_percent {
                self.lost.fetch_add(1, Ordering::Relaxed);
                sleep(again).await;
                again = (again * 2).min(AGAIN_MAX);
            }
            if self.is_bad() && self.roll(1000) < self.cut_permille {
                self.cuts.fetch_add(1, Ordering::Relaxed);
                return;
            }
            if reachable.wait_for(|is_there| *is_there).await.is_err() {
                pending::<()>().await;
            }
            if to.write_all(&packet[..length]).await.is_err() {
                return;
            }
        }
    }
}

const BUFFER_BYTES: usize = 64 * 1024;
const PACKET_BYTES: usize = 1400;
const LATENCY: Duration = Duration::from_millis(20);
/// After how long a lost packet is sent again first; each time after twice that.
const AGAIN_MIN: Duration = Duration::from_millis(200);
const AGAIN_MAX: Duration = Duration::from_secs(60);
