//! What a process and all it starts cost, as `cost.c` tells it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use kit::Env;

use crate::Outcome;

/// What one process cost, with all it started and waited for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// From its start to its end, in milliseconds.
    pub(crate) wall: f64,
    /// User and system time, in milliseconds.
    pub(crate) cpu: f64,
    /// Most memory that one of these processes had at once, in KiB.
    pub(crate) peak: f64,
}

impl Cost {
    /// Adds what came after: times add up, memory does not.
    pub(crate) fn then(self, after: Self) -> Self {
        Self { wall: self.wall + after.wall, cpu: self.cpu + after.cpu, peak: self.peak.max(after.peak) }
    }

    /// Reads what stands in a file of `cost`, whose lines are costs, one after another.
    pub(crate) fn read(file: &Path) -> Outcome<Self> {
        let text = fs::read_to_string(file)?;
        let mut costs = text.lines().map(|line| {
            let figures: Vec<f64> = line.split(' ').filter_map(|figure| figure.parse().ok()).collect();
            match figures[..] {
                [wall, cpu, peak] => Ok(Self { wall, cpu, peak }),
                _ => Err(format!("`{line}` is no cost").into()),
            }
        });
        costs.try_fold(Self::default(), |sum, cost| cost.map(|cost: Self| sum.then(cost)))
    }
}

/// Builds the measuring program and returns its path.
pub(crate) fn build(env: &Env) -> Outcome<PathBuf> {
    let program = env.path(PROGRAM);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/bench/cost.c");
    let output = env.command("cc").args(["-O2", "-o"]).arg(&program).arg(source).output()?;
    if output.status.success() { Ok(program) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
}

/// Runs `program` in `dir` and returns what it cost; its standard output goes nowhere.
pub(crate) fn measure<A: AsRef<OsStr>>(
    env: &Env,
    dir: &Path,
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
) -> Outcome<Cost> {
    let file = env.path("one.cost");
    fs::write(&file, "")?;
    let mut command = env.command(env.path(PROGRAM));
    command.current_dir(dir).arg(&file).arg(program).args(arguments).stdout(Stdio::null());
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("{command:?}:\n{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Cost::read(&file)
}

/// Returns the CPU time so far of the living threads of another process; 0 where there is no `/proc`.
pub(crate) fn threads_milliseconds(pid: u32) -> f64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0.0 };
    let nanoseconds = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e6
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

const PROGRAM: &str = "cost";
