//! A line between client and hub that breaks after a seeded random number of bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Line {
    address: SocketAddr,
    cuts: Arc<AtomicU64>,
    brought: Arc<AtomicU64>,
    cut_all: watch::Sender<u64>,
}

impl Line {
    /// Listens, and joins each connection with one to `to`, until between 0 and `bytes_max` bytes went through.
    pub(crate) async fn to(to: SocketAddr, seed: u64, bytes_max: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cuts = Arc::new(AtomicU64::new(0));
        let (cut_all, cut) = watch::channel(0);
        let brought = Arc::new(AtomicU64::new(0));
        let (counter, bringing) = (cuts.clone(), brought.clone());
        tokio::spawn(async move {
            let mut state = seed;
            loop {
                let (near, _) = listener.accept().await.unwrap();
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let budget = Arc::new(AtomicU64::new((state >> 16) % bytes_max));
                let (mut cut, counter, bringing) = (cut.clone(), counter.clone(), bringing.clone());
                cut.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(to).await else { return };
                    let (near_read, near_write) = near.into_split();
                    let (far_read, far_write) = far.into_split();
                    tokio::select! {
                        () = carry(near_read, far_write, budget.clone(), Arc::default()) => {}
                        () = carry(far_read, near_write, budget, bringing) => {}
                        _ = cut.changed() => {}
                    }
                    counter.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, cuts, brought, cut_all }
    }

    pub(crate) fn origin(&self) -> String {
        format!("ws://{}", self.address)
    }

    pub(crate) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::SeqCst)
    }

    /// Returns how many bytes went from the far end to the near one.
    pub(crate) fn brought(&self) -> u64 {
        self.brought.load(Ordering::SeqCst)
    }

    /// Breaks every connection that is open now.
    pub(crate) fn cut_all(&self) {
        self.cut_all.send_modify(|n| *n += 1);
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    budget: Arc<AtomicU64>,
    carried: Arc<AtomicU64>,
) {
    let mut buffer = vec![0; 4096];
    loop {
        let Ok(n @ 1..) = from.read(&mut buffer).await else { return };
        let n = n as u64;
        let left = budget.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |b| Some(b.saturating_sub(n)));
        carried.fetch_add(left.unwrap().min(n), Ordering::SeqCst);
        let passes = usize::try_from(left.unwrap().min(n)).unwrap();
        if to.write_all(&buffer[..passes]).await.is_err() || (passes as u64) < n {
            return;
        }
    }
}

/// Starts something that speaks HTTP and knows no hub.
pub(crate) async fn web_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        }
    });
    format!("ws://{address}")
}
