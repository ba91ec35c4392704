//! Answers that a person types, read on a thread of their own: nothing that goes on meanwhile waits for them, and
//! the end of the program does not either.

use std::io::{self, BufRead};
use std::thread;

use tokio::sync::mpsc;

/// The lines of standard input as they are typed.
#[derive(Debug)]
pub(crate) struct Questions {
    typed: mpsc::Receiver<String>,
}

impl Questions {
    /// Begins to read.
    pub(crate) fn begin() -> Self {
        let (tell, typed) = mpsc::channel(1);
        thread::spawn(move || {
            for line in io::stdin().lock().lines() {
                let Ok(line) = line else { return };
                if tell.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Self { typed }
    }

    /// Returns the next line; `None` when there are no more.
    pub(crate) async fn answer(&mut self) -> Option<String> {
        self.typed.recv().await
    }
}
