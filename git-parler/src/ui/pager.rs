//! Long results go through the pager that git would use, started as git starts it.

use std::io::{self, Write};
use std::process::{Command, Stdio};

/// Starts `pager` through the shell, lets `write` write to it, and waits until the reader has left.
///
/// A pager that does not start (the shell says why) leaves the writer with a broken pipe.
pub(super) fn through(pager: &str, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(pager).stdin(Stdio::piped());
    for (name, value) in [("LESS", "FRX"), ("LV", "-c")] {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    let mut child = command.spawn()?;
    let mut input = io::BufWriter::new(child.stdin.take().expect("it was asked for"));
    let written = write(&mut input).and_then(|()| input.flush());
    drop(input);
    child.wait()?;
    written
}
