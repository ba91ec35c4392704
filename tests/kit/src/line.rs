//! A line between a client and a hub that breaks: each connection ends after a seeded random number of bytes, or
//! when a test says so. It also stops when a test says so, and goes on.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// A TCP port on loopback that joins each connection with one to another port, until it breaks it.
#[derive(Debug)]
pub struct Line {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    target: Mutex<Option<SocketAddr>>,
    open: Mutex<Vec<(TcpStream, TcpStream)>>,
    bytes_max: u64,
    cuts: AtomicU64,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
    is_over: AtomicBool,
    /// After how many bytes to the target no more go there, if that was said.
    stop: Mutex<Option<u64>>,
    goes_on: Condvar,
}

impl Shared {
    /// Waits for as long as nothing goes to the target.
    fn pass(&self) {
        let mut stop = lock(&self.stop);
        while stop.is_some_and(|stop| self.bytes_up.load(Ordering::SeqCst) >= stop) {
            stop = self.goes_on.wait(stop).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }
}

impl Line {
    /// Listens. Each connection lives for less than `bytes_max` bytes, both directions together, as `seed` has it;
    /// `u64::MAX` breaks none.
    #[must_use]
    pub fn new(seed: u64, bytes_max: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared { bytes_max, ..Shared::default() });
        let accepting = shared.clone();
        thread::spawn(move || accept(&listener, &accepting, seed));
        Self { address, shared }
    }

    /// Joins every connection from now on with one to `target`.
    #[must_use]
    pub fn to(self, target: SocketAddr) -> Self {
        self.aim(target);
        self
    }

    /// Joins every connection from now on with one to `target`.
    pub fn aim(&self, target: SocketAddr) {
        *lock(&self.shared.target) = Some(target);
    }

    /// Returns the address as a client dials it: `ws://127.0.0.1:<port>`.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Returns where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns how many connections have ended.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// Returns how many bytes have gone from clients to the target.
    #[must_use]
    pub fn bytes_up(&self) -> u64 {
        self.shared.bytes_up.load(Ordering::SeqCst)
    }

    /// Returns how many bytes have gone from the target to clients.
    #[must_use]
    pub fn bytes_down(&self) -> u64 {
        self.shared.bytes_down.load(Ordering::SeqCst)
    }

    /// Lets about so many more bytes through to the target and then no more, without breaking anything, until
    /// [`Line::go_on`].
    pub fn stop_after(&self, bytes: u64) {
        *lock(&self.shared.stop) = Some(self.bytes_up() + bytes);
    }

    /// Lets everything through again.
    pub fn go_on(&self) {
        *lock(&self.shared.stop) = None;
        self.shared.goes_on.notify_all();
    }

    /// Breaks every connection that is open.
    pub fn cut_all(&self) {
        for (near, far) in lock(&self.shared.open).drain(..) {
            end(&near, &far);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.cut_all();
        self.go_on();
        // Wakes the thread that accepts; when nobody listens any more it has ended already.
        TcpStream::connect(self.address).ok();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, seed: u64) {
    let mut state = seed;
    for near in listener.incoming() {
        if shared.is_over.load(Ordering::SeqCst) {
            return;
        }
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let budget =
            if shared.bytes_max == u64::MAX { u64::MAX } else { (state >> 16) % shared.bytes_max.max(1) };
        if near.and_then(|near| join(near, shared, budget)).is_err() {
            shared.cuts.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Carries bytes both ways on two threads; whichever ends first ends both.
fn join(near: TcpStream, shared: &Arc<Shared>, budget: u64) -> io::Result<()> {
    let target = *lock(&shared.target);
    let far = TcpStream::connect(target.ok_or(io::ErrorKind::NotConnected)?)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let budget = Arc::new(AtomicU64::new(budget));
    let (up, down) = ((near.try_clone()?, far.try_clone()?), (far.try_clone()?, near.try_clone()?));
    lock(&shared.open).push((near, far));
    let (shared_up, shared_down, budget_up) = (shared.clone(), shared.clone(), budget.clone());
    let upward =
        thread::spawn(move || carry(up.0, up.1, &budget_up, &shared_up.bytes_up, || shared_up.pass()));
    thread::spawn(move || {
        carry(down.0, down.1, &budget, &shared_down.bytes_down, || {});
        // Nothing of it matters any more: both sockets are closed.
        upward.join().ok();
        shared_down.cuts.fetch_add(1, Ordering::SeqCst);
    });
    Ok(())
}

fn carry(mut from: TcpStream, mut to: TcpStream, budget: &AtomicU64, carried: &AtomicU64, pass: impl Fn()) {
    let mut buffer = vec![0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let left = budget.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            Some(left.saturating_sub(length as u64))
        });
        let left = usize::try_from(left.unwrap_or(0)).unwrap_or(usize::MAX);
        let passes = length.min(left);
        pass();
        carried.fetch_add(passes as u64, Ordering::SeqCst);
        if to.write_all(&buffer[..passes]).is_err() || passes < length {
            break;
        }
    }
    end(&from, &to);
}

fn end(near: &TcpStream, far: &TcpStream) {
    // A socket that the other side has closed already is as closed as wanted.
    near.shutdown(Shutdown::Both).ok();
    far.shutdown(Shutdown::Both).ok();
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a line whose connections live for at most `bytes_max`, and both ends of one.
    fn joined(bytes_max: u64) -> (Line, TcpStream, TcpStream) {
        let target = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let line = Line::new(3, bytes_max).to(target.local_addr().unwrap());
        let near = TcpStream::connect(line.address()).unwrap();
        let (far, _) = target.accept().unwrap();
        (line, near, far)
    }

    #[test]
    fn a_line_carries_up_to_its_budget_and_then_breaks() {
        let (line, mut near, mut far) = joined(1000);
        let mut got = Vec::new();
        // Refused once the line has broken, which it does in the middle of this.
        near.write_all(&[7; 4096]).ok();
        far.read_to_end(&mut got).unwrap();
        assert!(got.len() < 1000 && got.len() as u64 == line.bytes_up());
    }

    #[test]
    fn an_unbroken_line_breaks_when_told() {
        let (line, mut near, mut far) = joined(u64::MAX);
        near.write_all(&[7; 100_000]).unwrap();
        far.read_exact(&mut [0; 100_000]).unwrap();
        line.cut_all();
        assert!(matches!(near.read(&mut [0]), Ok(0) | Err(_)));
    }

    #[test]
    fn a_line_that_stops_goes_on_where_it_was() {
        let (line, mut near, mut far) = joined(u64::MAX);
        line.stop_after(10_000);
        near.write_all(&[7; 100_000]).unwrap();
        far.read_exact(&mut [0; 10_000]).unwrap();
        assert!(line.bytes_up() < 10_000 + 4096, "{}", line.bytes_up());
        line.go_on();
        far.read_exact(&mut [0; 90_000]).unwrap();
    }
}
