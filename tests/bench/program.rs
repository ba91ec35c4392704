//! The program by itself: how fast it starts, how fast a hub accepts, and what a large transfer costs a hub's memory.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Instant;

use kit::Random;
use serde_json::Value;

use crate::Outcome;
use crate::cost::{measure, milliseconds};
use crate::ground::Ground;
use crate::table::{Measure, Table};

/// Measures `--version`.
pub(crate) fn start(ground: &Ground, table: &mut Table) -> Outcome<()> {
    let root = ground.env.root();
    let rounds = if ground.is_smallest { 1 } else { ground.rounds * 5 };
    let costs: Outcome<Vec<_>> =
        (0..rounds).map(|_| measure(&ground.env, root, &ground.program, ["--version"])).collect();
    let costs = costs?;
    table.cost("--version", Measure::Cpu, &costs, Some(5.0));
    table.cost("--version", Measure::Wall, &costs, None);
    table.cost("--version", Measure::Peak, &costs, None);
    Ok(())
}

/// Measures the MCP server: from its start to its first answer, and to that of a tool which needs the local hub, with its memory.
pub(crate) fn mcp(ground: &Ground, table: &mut Table) -> Outcome<()> {
    let (mut first, mut tool, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ground.rounds {
        let mut command = ground.env.command(&ground.program);
        command.arg("mcp").current_dir(&ground.packed).stdin(Stdio::piped()).stdout(Stdio::piped());
        let began = Instant::now();
        let mut process = command.spawn()?;
        let mut input = process.stdin.take().ok_or("a server without input")?;
        let mut output = BufReader::new(process.stdout.take().ok_or("a server without output")?);
        let mut ask = |method: &str, params: &str| -> Outcome<f64> {
            let meta = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}"#;
            writeln!(
                input,
                r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}"_meta":{{{meta}}}}}}}"#
            )?;
            let mut line = String::new();
            output.read_line(&mut line)?;
            let answer: Value = serde_json::from_str(&line)?;
            if answer.get("result").is_none() {
                return Err(line.into());
            }
            Ok(milliseconds(began.elapsed()))
        };
        first.push(ask("server/discover", "")?);
        let status = fs::read_to_string(format!("/proc/{}/status", process.id()))?;
        memory.push(mebibytes(&status, "VmHWM")?);
        let asked = milliseconds(began.elapsed());
        tool.push(ask("tools/call", r#""name":"parler_status","arguments":{},"#)? - asked);
        drop(input);
        process.wait()?;
    }
    table.alone("MCP server, start to first answer", "wall ms", first, Some(100.0));
    table.alone("MCP server, at its first answer", "peak MiB", memory, Some(16.0));
    table.alone("MCP server, first tool with its connection", "wall ms", tool, None);
    Ok(())
}

/// Returns a figure of a `/proc/<pid>/status`, in MiB.
fn mebibytes(status: &str, name: &str) -> Outcome<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such figure")?;
    let kib: f64 = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

/// A hub on a port of its own; it ends with this.
pub(crate) struct Hub {
    process: Child,
    pub(crate) url: String,
    /// From its start until it said that it accepts connections, in milliseconds.
    started: f64,
}

impl Hub {
    pub(crate) fn start(ground: &Ground, folder: &Path, options: &[&str]) -> Outcome<Self> {
        let mut command = ground.env.command(&ground.program);
        command.args(["hub", "--listen", "127.0.0.1:0", "--json", "--data"]).arg(folder).args(options);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let began = Instant::now();
        let mut process = command.spawn()?;
        let mut line = String::new();
        let output = process.stdout.take().ok_or("a hub without output")?;
        BufReader::new(output).read_line(&mut line)?;
        let started = milliseconds(began.elapsed());
        let answer: Value = serde_json::from_str(&line)?;
        let url = answer.get("url").and_then(Value::as_str).ok_or("a hub without a URL")?.to_owned();
        Ok(Self { process, url, started })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Returns a figure of `/proc/<pid>/status` in MiB.
    fn memory(&self, name: &str) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        mebibytes(&status, name)
    }

    /// Has the system forget the peak so far.
    fn forget_peak(&self) -> Outcome<()> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5")?)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // What it has kept is thrown away with its folder.
        self.process.kill().and_then(|()| self.process.wait()).ok();
    }
}

/// Measures how long a hub takes to accept, in an empty folder and in its own.
pub(crate) fn hub_start(ground: &Ground, table: &mut Table) -> Outcome<()> {
    let (mut empty, mut own) = (Vec::new(), Vec::new());
    for round in 0..ground.rounds {
        let folder = ground.env.path(format!("hub-{round}"));
        empty.push(Hub::start(ground, &folder, &[])?.started);
        own.push(Hub::start(ground, &folder, &[])?.started);
    }
    table.alone("hub start to accepting, first time", "wall ms", empty, Some(20.0));
    table.alone("hub start to accepting, again", "wall ms", own, Some(20.0));
    Ok(())
}

/// Measures a hub's memory beyond rest while a large handoff of several files goes up and comes down.
pub(crate) fn hub_memory(ground: &Ground, table: &mut Table) -> Outcome<()> {
    let env = &ground.env;
    let (files, file_bytes) = if ground.is_smallest { (2, 1 << 20) } else { (6, 40 << 20) };
    let sender = env.init("large");
    env.commit(&sender, "small", "small\n", "large: begin");
    env.git(env.root(), ["clone", "--quiet", "large", "large-to"]);
    for number in 0..files {
        fs::write(sender.join(format!("{number}.bin")), noise(number, file_bytes))?;
    }
    env.git(&sender, ["-c", "core.bigFileThreshold=1m", "add", "."]);
    env.git(
        &sender,
        ["-c", "core.bigFileThreshold=1m", "commit", "--quiet", "--message", "large: add files"],
    );
    let hub =
        Hub::start(ground, &env.path("hub-large"), &["--blob-bytes-max", "1g", "--blobs-bytes-max", "2g"])?;
    // Rest is what it has once somebody has worked with it.
    let warm = ["push", "--quiet", "--hub", hub.url.as_str(), "HEAD~1"];
    measure(env, &sender, &ground.program, warm)?;
    let rest = hub.memory("VmRSS")?;
    hub.forget_peak()?;
    let push = measure(
        env,
        &sender,
        &ground.program,
        ["push", "--quiet", "--hub", hub.url.as_str(), "--base", "HEAD~1"],
    )?;
    let up = hub.memory("VmHWM")?;
    hub.forget_peak()?;
    // Without the cache everything comes from the hub.
    fs::remove_dir_all(env.parler_home().join("cache"))?;
    let apply = measure(
        env,
        &env.path("large-to"),
        &ground.program,
        ["apply", "--quiet", "--hub", hub.url.as_str()],
    )?;
    let down = hub.memory("VmHWM")?;
    let case = format!("{} MiB", (files * file_bytes) >> 20);
    table.alone(&format!("hub, {case} up, beyond rest"), "peak MiB", vec![up - rest], Some(8.0));
    table.alone(&format!("hub, {case} down, beyond rest"), "peak MiB", vec![down - rest], Some(8.0));
    table.alone("hub at rest", "MiB", vec![rest], None);
    for (side, cost) in [("push", push), ("apply", apply)] {
        table.cost(&format!("{side}, {case}"), Measure::Wall, &[cost], None);
        table.cost(&format!("{side}, {case}"), Measure::Peak, &[cost], None);
    }
    Ok(())
}

/// Bytes that do not compress.
fn noise(seed: usize, length: usize) -> Vec<u8> {
    let mut random = Random::new(seed as u64);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
