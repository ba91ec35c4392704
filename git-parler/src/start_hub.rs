//! The local hub's process: started detached by whoever needs it, asked to leave by a newer version.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use client::local_hub::LocalHubControl;

/// Starts the local hub of one data directory.
#[derive(Debug, Clone)]
pub(crate) struct Starter {
    folder: PathBuf,
}

impl Starter {
    /// Names the hub's folder, `<data>/hub`.
    pub(crate) const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }
}

impl LocalHubControl for Starter {
    fn start(&self) -> io::Result<()> {
        // Of several that are started at once, those that lose the race for the lock leave quietly.
        start_detached(|command| {
            command.args(["hub", "--local-child", "--data"]).arg(&self.folder).current_dir("/");
            // What belongs to the command that happens to need a hub must not live on in it.
            for (name, _) in std::env::vars_os() {
                if name.as_encoded_bytes().starts_with(b"GIT_") || name == "PARLER_SESSION_KEY" {
                    command.env_remove(name);
                }
            }
        })
    }

    fn hand_over(&self, pid: u32) -> io::Result<()> {
        terminate(pid)
    }
}

/// Asks process `pid` to end.
pub(crate) fn terminate(pid: u32) -> io::Result<()> {
    Ok(rustix::process::kill_process(process(pid)?, rustix::process::Signal::TERM)?)
}

/// Says whether there is a process `pid`.
pub(crate) fn is_alive(pid: u32) -> bool {
    process(pid).is_ok_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

fn process(pid: u32) -> io::Result<rustix::process::Pid> {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    Ok(pid.ok_or(io::ErrorKind::InvalidInput)?)
}

/// Starts this very program as `command` says, beside us and beyond our end: in a session that it makes itself, with nothing to
/// read and nobody to tell.
pub(crate) fn start_detached(command: impl FnOnce(&mut Command)) -> io::Result<()> {
    let mut program = Command::new(program()?);
    program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command(&mut program);
    program.spawn().map(drop)
}

/// Returns this very program, also when its file was replaced by a newer one meanwhile.
fn program() -> io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    match std::env::current_exe() {
        Ok(path) if path.is_file() => Ok(path),
        _ if File::open(&running).is_ok() => Ok(running),
        Ok(path) => Ok(path),
        Err(error) => Err(error),
    }
}
