//! Progress as git shows it: only where it is wanted, only after a delay, on one line that is written anew.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::say;

const REDRAW_INTERVAL: Duration = Duration::from_millis(100);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Commits, objects, files: the number as it is.
    Count,
    /// Bytes, shown as KiB, MiB or GiB.
    Bytes,
}

/// One thing that takes long; it may be counted from any thread. The line ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    title: String,
    unit: Unit,
    total: u64,
    line: Option<Mutex<Line>>,
}

#[derive(Debug)]
struct Line {
    done: u64,
    is_drawn: bool,
    next_draw: Instant,
}

impl Progress {
    /// Begins; with `wanted` false nothing is ever shown.
    pub(super) fn begin(wanted: bool, delay_seconds: u64, title: &str, unit: Unit, total: u64) -> Self {
        let next_draw = Instant::now() + Duration::from_secs(delay_seconds);
        let line = wanted.then(|| Mutex::new(Line { done: 0, is_drawn: false, next_draw }));
        Self { title: title.to_owned(), unit, total, line }
    }

    /// Says that `done` of the total are done now.
    pub(crate) fn reach(&self, done: u64) {
        let Some(line) = &self.line else { return };
        let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
        line.done = done;
        let now = Instant::now();
        if now >= line.next_draw {
            line.next_draw = now + REDRAW_INTERVAL;
            line.is_drawn = true;
            say(&format!("{}\r", self.sentence(done)));
        }
    }

    fn sentence(&self, done: u64) -> String {
        let (title, unit) = (&self.title, self.unit);
        if self.total == 0 {
            return format!("{title}: {}", unit.show(done));
        }
        let percent = u128::from(done.min(self.total)) * 100 / u128::from(self.total);
        format!("{title}: {percent:3}% ({}/{})", unit.show(done), unit.show(self.total))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let Some(line) = &self.line else { return };
        let line = line.lock().unwrap_or_else(PoisonError::into_inner);
        if line.is_drawn {
            let end = if line.done >= self.total { ", done." } else { "" };
            say(&format!("{}{end}\n", self.sentence(line.done)));
        }
    }
}

impl Unit {
    /// Returns `count` in this unit, as a person reads it.
    pub(crate) fn show(self, count: u64) -> String {
        match self {
            Self::Count => count.to_string(),
            Self::Bytes => client::report::text::size(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_git_writes_them() {
        let shown: Vec<_> = [0, 1023, 1024, 1_572_864, 3 << 30].map(|n| Unit::Bytes.show(n)).into();
        assert_eq!(shown, ["0 bytes", "1023 bytes", "1.00 KiB", "1.50 MiB", "3.00 GiB"]);
        assert_eq!(Unit::Count.show(1_572_864), "1572864");
    }

    #[test]
    fn a_sentence_names_share_and_total_where_the_total_is_known() {
        let of = |total| Progress::begin(false, 1, "Sending", Unit::Bytes, total).sentence(512);
        assert_eq!(of(1024), "Sending:  50% (512 bytes/1.00 KiB)");
        assert_eq!(of(0), "Sending: 512 bytes");
        assert_eq!(of(256), "Sending: 100% (512 bytes/256 bytes)");
    }
}
