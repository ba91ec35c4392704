//! Questions to a person at a terminal. Answers are read on a thread of their own: nothing that goes on meanwhile waits for
//! them, and the end of the program does not either.

use std::fmt::Display;
use std::io;
use std::sync::mpsc as requests;
use std::thread;

use rustix::termios::{QueueSelector, tcflush};
use tokio::sync::mpsc;

use super::Ui;

/// The lines of standard input, of which none is read before a question is put.
#[derive(Debug)]
pub(crate) struct Questions {
    wanted: requests::Sender<()>,
    typed: mpsc::Receiver<String>,
    /// Whether a line is being read, for this question or one that was given up.
    is_reading: bool,
}

impl Questions {
    /// Makes ready to read.
    pub(crate) fn begin() -> Self {
        let (wanted, wishes) = requests::channel();
        let (tell, typed) = mpsc::channel(1);
        thread::spawn(move || {
            for () in wishes {
                let mut line = String::new();
                let is_over = io::stdin().read_line(&mut line).map_or(true, |read| read == 0);
                if is_over || tell.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Self { wanted, typed, is_reading: false }
    }

    /// Puts a question and returns the line that is typed then; `None` when there are no more.
    ///
    /// What was typed before is no answer to it: a key pressed twice, or in another window's place, decides nothing.
    pub(crate) async fn ask(&mut self, ui: &Ui, question: impl Display) -> Option<String> {
        // Where this is no terminal any more, what is read tells.
        tcflush(io::stdin(), QueueSelector::IFlush).ok();
        if self.typed.try_recv().is_ok() {
            self.is_reading = false;
        }
        ui.ask(question);
        if !self.is_reading {
            self.wanted.send(()).ok()?;
            self.is_reading = true;
        }
        let line = self.typed.recv().await;
        self.is_reading = false;
        line
    }
}
