//! What the hooks add to `git commit`, whatever the hub is like, and how long a commit takes to another agent's feed.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::cost::{Cost, measure, milliseconds};
use crate::ground::{Ground, Way, text};
use crate::program::Hub;
use crate::table::{Measure, Table};

/// Measures commits without hooks, with one that does nothing, and with ours.
pub(crate) fn commit(ground: &Ground, table: &mut Table) -> Outcome<()> {
    let hanging = TcpListener::bind("127.0.0.1:0")?;
    let slow = Hub::start(ground, &ground.env.path("slow-hub"), &[])?;
    let plain = ground.agent("plain", 0)?;
    let nothing = ground.agent("nothing", 0)?;
    let script = nothing.join(".git/hooks/post-commit");
    std::fs::write(&script, "#!/bin/sh\nexit 0\n")?;
    ground.env.run(ground.env.root(), "chmod", ["+x", text(&script)]);
    let up = hooked(ground, "up", None)?;
    let slowed = hooked(ground, "slow", Some(&slow.url))?;
    let hung = hooked(ground, "hanging", Some(&format!("ws://{}", hanging.local_addr()?)))?;
    let down = hooked(ground, "down", Some("ws://127.0.0.1:9"))?;
    // An index as old as the files it names has git read them all again in each commit.
    thread::sleep(Duration::from_secs(1));
    for repository in [&plain, &nothing, &up, &slowed, &hung, &down] {
        ground.env.git(repository, ["update-index", "-q", "--refresh", "--force-write-index"]);
    }
    let commits = |place: &'static str, repository: &Path| -> Way<'_, Cost> {
        let repository = repository.to_owned();
        (place, Box::new(move |round| one(ground, &repository, round)))
    };
    let is_over = AtomicBool::new(false);
    let costs = thread::scope(|scope| {
        scope.spawn(|| stutter(slow.id(), &is_over));
        let costs = ground.interleave(vec![
            commits("git alone", &plain),
            commits("a hook that does nothing", &nothing),
            commits("hub up", &up),
            commits("hub slow", &slowed),
            commits("hub hanging", &hung),
            commits("hub down", &down),
        ]);
        is_over.store(true, Ordering::Relaxed);
        costs
    })?;
    let alone = costs[0].1.clone();
    table.cost("commit, git alone", Measure::Wall, &alone, None);
    for (place, costs) in &costs[1..] {
        let added = costs.iter().zip(&alone).map(|(with, without)| with.wall - without.wall).collect();
        let bar = place.starts_with("hub").then_some(10.0);
        table.alone(&format!("commit, {place}: beyond git alone"), "wall ms", added, bar);
    }
    feed(ground, table, &up)?;
    quiet(ground, table, &up)
}

/// Measures the hook of an agent host where nothing is new, and somebody listens.
fn quiet(ground: &Ground, table: &mut Table, repository: &Path) -> Outcome<()> {
    let hook = || measure(&ground.env, repository, &ground.program, ["hook", "claude-code", "Stop"]);
    hook()?;
    thread::sleep(SETTLING);
    let costs: Outcome<Vec<_>> = (0..ground.rounds).map(|_| hook()).collect();
    table.cost("hook of an agent host, nothing new", Measure::Wall, &costs?, Some(50.0));
    Ok(())
}

/// Returns a clone with our hooks, that hands over at this hub.
fn hooked(ground: &Ground, name: &str, hub: Option<&str>) -> Outcome<PathBuf> {
    let repository = ground.agent(name, 0)?;
    if let Some(hub) = hub {
        ground.env.git(&repository, ["config", "parler.hub", hub]);
    }
    measure(&ground.env, &repository, &ground.program, ["hooks", "install"])?;
    Ok(repository)
}

/// Makes a commit, and lets what it has started come to its end, or to where it waits.
fn one(ground: &Ground, repository: &Path, round: usize) -> Outcome<Cost> {
    let message = format!("step {round}");
    let cost =
        measure(&ground.env, repository, "git", ["commit", "--quiet", "--allow-empty", "-m", &message])?;
    thread::sleep(if ground.is_smallest { Duration::ZERO } else { SETTLING });
    Ok(cost)
}

/// Lets a hub work for a tenth of the time only.
fn stutter(hub: u32, is_over: &AtomicBool) {
    let signal = |name: &str| Command::new("kill").args([name, &hub.to_string()]).status().is_ok();
    while !is_over.load(Ordering::Relaxed) && signal("-STOP") {
        thread::sleep(Duration::from_millis(90));
        signal("-CONT");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Measures the time from the start of `git commit` to the line in the feed of another clone.
fn feed(ground: &Ground, table: &mut Table, repository: &Path) -> Outcome<()> {
    let reader = ground.agent("reader", 0)?;
    let mut times = Vec::new();
    for round in 0..ground.rounds {
        let mut command = ground.env.command(&ground.program);
        command.args(["recv", "--follow"]).current_dir(&reader).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut following = command.spawn()?;
        let mut lines = BufReader::new(following.stdout.take().ok_or("a reader without output")?).lines();
        // One that is heard for certain shows that the reader follows.
        let ready = format!("ready {round}");
        measure(&ground.env, repository, &ground.program, ["send", &ready])?;
        wait_for(&mut lines, &ready)?;
        let message = format!("heard {round}");
        let began = Instant::now();
        ground.env.git(repository, ["commit", "--quiet", "--allow-empty", "-m", &message]);
        wait_for(&mut lines, &message)?;
        times.push(milliseconds(began.elapsed()));
        following.kill()?;
        following.wait()?;
    }
    table.alone("commit, to the line in another feed", "wall ms", times, Some(2000.0));
    Ok(())
}

fn wait_for(lines: &mut impl Iterator<Item = std::io::Result<String>>, part: &str) -> Outcome<()> {
    for line in lines {
        if line?.contains(part) {
            return Ok(());
        }
    }
    Err(format!("the feed ended before `{part}`").into())
}

/// How long a commit's followers are let alone, so that they are not measured with the next one.
const SETTLING: Duration = Duration::from_millis(300);
