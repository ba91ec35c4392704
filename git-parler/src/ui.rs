//! The only printer: results on standard output; progress, remarks, warnings and hints on standard error.
//! Nothing else in the binary writes to either.

mod pager;
mod progress;
mod question;

pub(crate) use progress::{Progress, Unit};
pub(crate) use question::Questions;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use protocol::clean;
use serde::Serialize;

use crate::cli::Global;
use crate::config::{Environment, Settings, When};
use crate::error::{Code, Failure};

/// How this run of the program speaks.
#[derive(Debug)]
pub(crate) struct Ui {
    json: bool,
    quiet: bool,
    hints: bool,
    is_colored: bool,
    errors_are_colored: bool,
    shows_progress: bool,
    errors_are_on_a_terminal: bool,
    progress_delay_seconds: u64,
    pager: Option<String>,
    /// Whether the one object of `--json` was printed, so that no other follows it.
    has_answered: AtomicBool,
    /// Whether the reader of standard output has left.
    is_cut: AtomicBool,
    /// The first failure to write a result, other than that nobody reads any more.
    lost: Mutex<Option<io::Error>>,
}

/// The colors of git for the things that git colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// A commit's id.
    Commit,
    /// A line or count that was added, and what is well.
    Added,
    /// A line or count that was removed, and what is wrong.
    Removed,
    /// A heading within a diff.
    Hunk,
    /// What wants attention.
    Bold,
}

impl Ui {
    /// Returns the printer for `global` options and `settings`; where no option speaks, terminals decide.
    pub(crate) fn new(global: &Global, settings: &Settings, environment: &Environment) -> Self {
        let paged = environment.is_true("GIT_PAGER_IN_USE");
        let (out, err) = (io::stdout().is_terminal() || paged, io::stderr().is_terminal());
        let is_plain = environment.is_set("NO_COLOR") || environment.text("TERM").as_deref() == Some("dumb");
        let colored = |terminal: bool| match settings.color {
            When::Always => true,
            When::Never => false,
            When::Auto => terminal && !is_plain,
        };
        let wanted = global.progress || (err && !global.no_progress && !global.quiet);
        Self {
            json: global.json,
            quiet: global.quiet,
            hints: settings.advice,
            is_colored: colored(out) && !global.json,
            errors_are_colored: colored(err),
            shows_progress: wanted,
            errors_are_on_a_terminal: err,
            progress_delay_seconds: environment.number("GIT_PROGRESS_DELAY").unwrap_or(1),
            pager: (io::stdout().is_terminal() && !global.json).then(|| settings.pager.clone()).flatten(),
            has_answered: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
            lost: Mutex::new(None),
        }
    }

    /// Returns the printer for the time before settings are known: no color, no pager, no progress.
    pub(crate) const fn plain(json: bool) -> Self {
        Self {
            json,
            quiet: false,
            hints: true,
            is_colored: false,
            errors_are_colored: false,
            shows_progress: false,
            errors_are_on_a_terminal: false,
            progress_delay_seconds: 1,
            pager: None,
            has_answered: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
            lost: Mutex::new(None),
        }
    }

    /// Returns whether the answer is wanted as JSON; then only [`Ui::answer`] writes to standard output.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Returns standard output for a result that is bytes and no text.
    #[expect(clippy::unused_self, reason = "whoever writes has a printer")]
    pub(crate) fn bytes(&self) -> impl Write {
        io::BufWriter::new(io::stdout().lock())
    }

    /// Prints the result as one JSON object on a line; what fails after it is told on standard error.
    pub(crate) fn answer(&self, value: &impl Serialize) {
        self.has_answered.store(true, Ordering::Relaxed);
        self.answer_more(value);
    }

    /// Prints one of many JSON objects, each on a line.
    pub(crate) fn answer_more(&self, value: &impl Serialize) {
        let mut bytes = serde_json::to_vec(value).expect("answers have string keys and no failing part");
        bytes.push(b'\n');
        self.keep(&self.write(&bytes));
    }

    /// Prints one line of a result, in which everything that a peer wrote was painted or cleaned before.
    pub(crate) fn line(&self, line: impl Display) {
        self.text(&format!("{line}\n"));
    }

    /// Prints a result as it is, in which nothing of a peer stands uncleaned.
    pub(crate) fn text(&self, text: &str) {
        self.keep(&self.write(text.as_bytes()));
    }

    /// Prints a long result, through git's pager where standard output is a terminal.
    pub(crate) fn page(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        let result = match &self.pager {
            Some(pager) => pager::through(pager, write),
            None => {
                let mut out = io::BufWriter::new(io::stdout().lock());
                write(&mut out).and_then(|()| out.flush())
            }
        };
        self.keep(&result);
    }

    /// Returns `text`, cleaned, in a color for standard output where colors are wanted.
    pub(crate) fn paint(&self, paint: Paint, text: impl Display) -> String {
        colored(self.is_colored, paint.escape(), &clean::line(&text.to_string()))
    }

    /// Says something that is no result; not with `--quiet`.
    pub(crate) fn remark(&self, line: impl Display) {
        if !self.quiet {
            say(&format!("{}\n", clean::block(&line.to_string())));
        }
    }

    /// Warns of something that did not stop the command.
    pub(crate) fn warn(&self, line: impl Display) {
        let label = colored(self.errors_are_colored, "\x1b[1;33m", &"warning:");
        say(&format!("{label} {}\n", clean::block(&line.to_string())));
    }

    /// Says what is being waited for, where a person can see it: on a terminal only, not with `--quiet`.
    pub(crate) fn wait(&self, line: impl Display) {
        if self.errors_are_on_a_terminal {
            self.remark(line);
        }
    }

    /// Says whether somebody can be asked: standard input and standard error are a terminal.
    pub(crate) fn can_ask(&self) -> bool {
        self.errors_are_on_a_terminal && io::stdin().is_terminal()
    }

    /// Says what a person waits for who has answered, or has to read out to somebody; with `--quiet` too.
    #[expect(clippy::unused_self, reason = "whoever asks has a printer")]
    pub(crate) fn reply(&self, line: impl Display) {
        say(&format!("{}\n", clean::block(&line.to_string())));
    }

    /// Puts a question, with all that it is about, behind which the answer is typed; with `--quiet` too.
    #[expect(clippy::unused_self, reason = "whoever asks has a printer")]
    pub(crate) fn ask(&self, question: impl Display) {
        say(&clean::block(&format!("{question} ")));
    }

    /// Says what can be done next; not with `--quiet` or `advice.parler=false`.
    pub(crate) fn hint(&self, lines: impl Display) {
        if !self.quiet {
            self.advise(&lines);
        }
    }

    /// Begins to count up to `total` (0: unknown) of something that may take long.
    pub(crate) fn progress(&self, title: &str, unit: Unit, total: u64) -> Progress {
        Progress::begin(self.shows_progress, self.progress_delay_seconds, title, unit, total)
    }

    /// Says why the command failed and what to do, and returns the exit code.
    pub(crate) fn fail(&self, failure: &Failure) -> ExitCode {
        if self.json && !self.has_answered.load(Ordering::Relaxed) {
            self.fail_json(failure);
        } else {
            let label = colored(self.errors_are_colored, "\x1b[1;31m", &"error:");
            say(&format!("{label} {}\n", clean::block(&failure.message)));
            if let Some(hint) = &failure.hint {
                self.advise(hint);
            }
        }
        ExitCode::from(failure.exit())
    }

    /// Says what is wrong with the command line in the words of clap, and returns the exit code.
    pub(crate) fn fail_usage(&self, text: &str, failure: &Failure) -> ExitCode {
        if self.json {
            let first = text.lines().next().unwrap_or_default();
            let message = first.strip_prefix("error: ").unwrap_or(&failure.message);
            self.fail_json(&Failure { message: message.to_owned(), ..failure.clone() });
        } else {
            say(text);
        }
        ExitCode::from(failure.exit())
    }

    /// Tells whether every result reached its reader; that nobody reads any more is no failure.
    pub(crate) fn finish(&self) -> Result<(), Failure> {
        match self.lost.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => Ok(()),
            Some(error) => Err(Failure::new(Code::Io, format!("cannot write the result: {error}"))),
        }
    }

    /// Says whether every result has reached a reader so far, so that what was shown may count as shown.
    pub(crate) fn has_delivered(&self) -> bool {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.is_none() && !self.is_cut.load(Ordering::Relaxed)
    }

    fn fail_json(&self, failure: &Failure) {
        let name = failure.code.row().name;
        self.answer(&serde_json::json!({
            "error": { "code": name, "message": failure.message, "hint": failure.hint }
        }));
    }

    fn advise(&self, lines: &impl Display) {
        if !self.hints {
            return;
        }
        let label = colored(self.errors_are_colored, "\x1b[33m", &"hint:");
        let text: String =
            lines.to_string().lines().map(|line| format!("{label} {}\n", clean::line(line))).collect();
        say(&text);
    }

    #[expect(clippy::unused_self, reason = "whoever writes has a printer")]
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush())
    }

    fn keep(&self, result: &io::Result<()>) {
        match result {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_cut.store(true, Ordering::Relaxed);
            }
            Err(error) => {
                let copy = io::Error::new(error.kind(), error.to_string());
                self.lost.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(copy);
            }
        }
    }
}

impl Paint {
    const fn escape(self) -> &'static str {
        match self {
            Self::Commit => "\x1b[33m",
            Self::Added => "\x1b[32m",
            Self::Removed => "\x1b[31m",
            Self::Hunk => "\x1b[36m",
            Self::Bold => "\x1b[1m",
        }
    }
}

fn colored(wanted: bool, escape: &str, text: &impl Display) -> String {
    if wanted { format!("{escape}{text}\x1b[m") } else { text.to_string() }
}

/// Writes to standard error in one call, so that lines of several processes do not mix.
fn say(text: &str) {
    // Nobody is left to be told that standard error is gone.
    drop(io::stderr().lock().write_all(text.as_bytes()));
}
