//! Ctrl-C. Work that has something to clean up holds a [`Guard`]: then the first Ctrl-C sets a flag that the work
//! looks at, and the second ends the process. Without a guard the first one ends it, as everywhere. What waits
//! for somebody else gives up when it was [`pressed`]; a hub, which runs until it is told to end, waits for [`asked_to_end`].

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::SIGINT;
use signal_hook::flag;
use tokio::signal::unix::{SignalKind, signal};

/// While this lives, the first Ctrl-C sets [`Guard::flag`] and ends nothing.
#[derive(Debug)]
pub(crate) struct Guard(&'static Switches);

#[derive(Debug)]
struct Switches {
    /// Whether the next Ctrl-C ends the process.
    is_deadly: Arc<AtomicBool>,
    was_pressed: Arc<AtomicBool>,
}

/// Waits for Ctrl-C or for what `kill` sends. Needs a running tokio runtime.
///
/// # Errors
///
/// When the system lets no signal be caught.
pub(crate) fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    let (mut pressed, mut told) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = pressed.recv() => {}
            _ = told.recv() => {}
        }
    })
}

/// Waits for Ctrl-C, which from the first call on ends nothing by itself. Needs a running tokio runtime.
pub(crate) async fn pressed() -> io::Result<()> {
    let mut pressed = signal(SignalKind::interrupt())?;
    pressed.recv().await;
    Ok(())
}

impl Guard {
    /// Begins to guard; one guard at a time. Where no handler can be set, Ctrl-C goes on ending the process.
    pub(crate) fn begin() -> Self {
        static SWITCHES: OnceLock<Switches> = OnceLock::new();
        let switches = SWITCHES.get_or_init(Switches::new);
        switches.is_deadly.store(false, Ordering::SeqCst);
        Self(switches)
    }

    /// Returns what Ctrl-C sets.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0.was_pressed)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.is_deadly.store(true, Ordering::SeqCst);
    }
}

impl Switches {
    fn new() -> Self {
        let switches = Self {
            is_deadly: Arc::new(AtomicBool::new(true)),
            was_pressed: Arc::new(AtomicBool::new(false)),
        };
        // Without handlers the system's own answer to Ctrl-C stays, which is safe too, only less tidy.
        drop(switches.register());
        switches
    }

    /// In this order: the first Ctrl-C finds the process guarded, and arms the second.
    fn register(&self) -> io::Result<()> {
        flag::register_conditional_default(SIGINT, Arc::clone(&self.is_deadly))?;
        flag::register(SIGINT, Arc::clone(&self.was_pressed))?;
        flag::register(SIGINT, Arc::clone(&self.is_deadly))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ctrl_c_within_a_guard_sets_the_flag() {
        let guard = Guard::begin();
        assert!(!guard.flag().load(Ordering::SeqCst));
        signal_hook::low_level::raise(SIGINT).unwrap();
        assert!(guard.flag().load(Ordering::SeqCst));
        assert!(guard.0.is_deadly.load(Ordering::SeqCst));
    }
}
