//! Ctrl-C. Work that has something to clean up holds a [`Guard`]: then the first Ctrl-C sets a flag that the work
//! looks at, and the second ends the process. Without a guard the first one ends it, as everywhere. What waits
//! for somebody else holds one too and gives up when it was [`pressed`]; a hub, which runs until it is told to end, waits for
//! [`asked_to_end`].

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

/// Waits for Ctrl-C or for what `kill` sends; Ctrl-C once more then ends the process, however far its end has come. Needs a
/// running tokio runtime.
///
/// # Errors
///
/// When the system lets no signal be caught.
pub(crate) fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    let guard = Guard::begin();
    let (mut pressed, mut told) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        let _guard = guard;
        tokio::select! {
            _ = pressed.recv() => {}
            _ = told.recv() => {}
        }
    })
}

/// Waits for Ctrl-C, which ends nothing by itself while this is waited for, and does so afterwards. Needs a running tokio
/// runtime.
pub(crate) async fn pressed() -> io::Result<()> {
    // The handler of tokio stays for as long as the process lives, and with it the system's own answer is gone.
    let _guard = Guard::begin();
    let mut pressed = signal(SignalKind::interrupt())?;
    pressed.recv().await;
    Ok(())
}

impl Guard {
    /// Begins to guard; one guard at a time. Where no handler can be set, Ctrl-C goes on ending the process.
    pub(crate) fn begin() -> Self {
        let switches = Switches::of_process();
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
    fn of_process() -> &'static Self {
        static SWITCHES: OnceLock<Switches> = OnceLock::new();
        SWITCHES.get_or_init(Self::new)
    }

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
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::{Mutex, PoisonError};
    use std::task::Poll;

    use signal_hook::consts::SIGTERM;

    use super::*;

    /// The signals of a process are one for all its tests.
    static ALONE: Mutex<()> = Mutex::new(());

    #[test]
    fn the_first_ctrl_c_within_a_guard_sets_the_flag() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let guard = Guard::begin();
        guard.0.was_pressed.store(false, Ordering::SeqCst);
        signal_hook::low_level::raise(SIGINT).unwrap();
        assert!(guard.flag().load(Ordering::SeqCst));
        assert!(guard.0.is_deadly.load(Ordering::SeqCst));
    }

    #[test]
    fn ctrl_c_ends_the_process_again_once_nobody_waits_for_it() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let is_deadly = || Switches::of_process().is_deadly.load(Ordering::SeqCst);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for is_pressed in [false, true] {
                {
                    let mut waiting = pin!(pressed());
                    let waits = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await;
                    assert!(waits && !is_deadly());
                    if is_pressed {
                        signal_hook::low_level::raise(SIGINT).unwrap();
                        waiting.as_mut().await.unwrap();
                    }
                }
                assert!(is_deadly(), "{is_pressed}");
            }
            let told = asked_to_end().unwrap();
            assert!(!is_deadly());
            signal_hook::low_level::raise(SIGTERM).unwrap();
            told.await;
            assert!(is_deadly());
        });
    }
}
