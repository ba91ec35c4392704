//! A hub that somebody runs, as a process of its own that tests start, kill and start again.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};

use kit::{Env, Line};
use serde_json::Value;

use crate::PROGRAM;

/// A running hub; killed when it is dropped.
pub(crate) struct Served {
    child: Child,
    /// What it said when it was ready.
    pub(crate) ready: Value,
}

impl Served {
    /// Starts a hub on a free port with its data in `folder` and returns once it is ready.
    pub(crate) fn start(env: &Env, folder: &Path, options: &[&str]) -> Self {
        let mut command = env.command(PROGRAM);
        command.args(["hub", "--json", "--listen", "127.0.0.1:0", "--data"]).arg(folder).args(options);
        let log = fs::File::options().append(true).create(true).open(env.path("hub.log")).expect("a log");
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the hub starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it was asked for");
        BufReader::new(stdout).read_line(&mut line).expect("the hub says that it is ready");
        let log = || fs::read_to_string(env.path("hub.log")).unwrap_or_default();
        let ready = serde_json::from_str(&line).unwrap_or_else(|error| unready(&error, &log()));
        Self { child, ready }
    }

    /// Returns the URL under which it says it is reached.
    pub(crate) fn url(&self) -> String {
        self.ready["url"].as_str().expect("a URL").to_owned()
    }

    /// As [`Served::start`], for a hub whose URL is another than where it listens; returns that too.
    pub(crate) fn listening(env: &Env, folder: &Path, options: &[&str]) -> (Self, SocketAddr) {
        let hub = Self::start(env, folder, options);
        let address = listening(hub.child.id()).expect("a hub listens at one port");
        (hub, address)
    }

    /// Starts a hub that is reached through `line`, which leads to it from now on.
    pub(crate) fn behind(line: &Line, env: &Env, folder: &str, options: &[&str]) -> Self {
        let origin = line.origin();
        let options = [&["--url", origin.as_str()], options].concat();
        let (hub, address) = Self::listening(env, &env.path(folder), &options);
        line.aim(address);
        hub
    }

    /// Makes every flush of a file fail from now on, until what this returns is dropped.
    pub(crate) fn fail_flushes(&self, env: &Env) -> Faults {
        let mut command = env.command("strace");
        command.args(["-f", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:error=EIO", "-p"]);
        let mut tracer =
            command.arg(self.child.id().to_string()).stderr(Stdio::piped()).spawn().expect("strace starts");
        let mut line = String::new();
        let mut said = BufReader::new(tracer.stderr.take().expect("it was asked for"));
        said.read_line(&mut line).expect("strace says that it has attached");
        assert!(line.contains("attached"), "{line}");
        Faults { tracer, _said: said }
    }

    /// Waits for it to end by itself and returns its exit code.
    pub(crate) fn ended(mut self) -> Option<i32> {
        self.child.wait().expect("a process of ours").code()
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a process of ours");
        self.child.wait().expect("a process of ours");
    }

    /// Asks it to end and returns its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a process of ours");
        self.child.wait().expect("a process of ours").code()
    }

    /// Returns its peak memory so far, in KiB; `None` where the system does not tell.
    pub(crate) fn peak_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse().ok()
    }
}

/// System calls of a hub that fail while this lives.
pub(crate) struct Faults {
    tracer: Child,
    /// Kept open: strace speaks of every thread that comes, and would end where nobody listens.
    _said: BufReader<ChildStderr>,
}

impl Drop for Faults {
    fn drop(&mut self) {
        // It ends with the hub that it traces; then there is nothing to do.
        drop(self.tracer.kill());
        drop(self.tracer.wait());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Finds the port at which a process listens, in the tables of proc(5).
fn listening(process: u32) -> Option<SocketAddr> {
    let sockets: Vec<_> = fs::read_dir(format!("/proc/{process}/fd")).ok()?.flatten().collect();
    let sockets: Vec<_> = sockets.iter().filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).ok()?;
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_listening = fields[3] == "0A";
        let link = format!("socket:[{}]", fields[9]);
        let is_ours = is_listening && sockets.iter().any(|socket| socket.as_os_str() == link.as_str());
        let port = u16::from_str_radix(fields[1].split_once(':')?.1, 16).ok()?;
        is_ours.then(|| SocketAddr::from(([127, 0, 0, 1], port)))
    })
}

#[expect(clippy::panic, reason = "a hub that does not start is a broken test")]
fn unready(error: &serde_json::Error, log: &str) -> Value {
    panic!("the hub does not say that it is ready: {error}\n{log}")
}
