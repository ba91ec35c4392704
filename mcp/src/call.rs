//! One call: its cancellation, its progress, and how long it may wait.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use client::Progress;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::{RequestContext, RoleServer};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at};

use crate::host::Problem;
use crate::limits::{PROGRESS_EVERY, TRANSFER_PROGRESS_EVERY, WAIT_SECONDS_MAX};

/// Does `work` unless the call is cancelled meanwhile; then what it was doing is dropped.
pub(crate) async fn unless_cancelled<T>(
    context: &RequestContext<RoleServer>,
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    tokio::select! {
        biased;
        () = context.ct.cancelled() => Err(cancelled()),
        done = work => done,
    }
}

/// As [`unless_cancelled`], for what may take long: says now and then for how many seconds it has, of at most `wait` where that is
/// known.
pub(crate) async fn waiting<T>(
    context: &RequestContext<RoleServer>,
    what: &str,
    wait: Option<Duration>,
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let began = Instant::now();
    let mut ticks = interval_at(began + PROGRESS_EVERY, PROGRESS_EVERY);
    let mut work = pin!(unless_cancelled(context, work));
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = ticks.tick() => {
                let elapsed = began.elapsed();
                let total = wait.filter(|wait| *wait >= elapsed).map(|wait| wait.as_secs_f64());
                say(context, elapsed.as_secs_f64().floor(), total, what).await;
            }
        }
    }
}

/// As [`unless_cancelled`], for a transfer: says how far it is.
pub(crate) async fn transferring<T, F>(
    context: &RequestContext<RoleServer>,
    what: &str,
    work: impl FnOnce(Progress) -> F,
) -> Result<T, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    let (tell, mut told) = watch::channel((0_u64, 0_u64));
    let progress: Progress = Arc::new(move |done, total| {
        // Who does not listen any more has the outcome.
        tell.send((done, total)).ok();
    });
    let mut work = pin!(unless_cancelled(context, work(progress)));
    let mut ticks = interval_at(Instant::now() + TRANSFER_PROGRESS_EVERY, TRANSFER_PROGRESS_EVERY);
    let mut last = 0;
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = ticks.tick() => {
                let (done, total) = *told.borrow_and_update();
                if done > last {
                    last = done;
                    say(context, as_number(done), Some(as_number(total)), what).await;
                }
            }
        }
    }
}

async fn say(context: &RequestContext<RoleServer>, done: f64, total: Option<f64>, what: &str) {
    if let Some(token) = context.meta.get_progress_token() {
        let progress = ProgressNotificationParam::new(token, done).with_message(what);
        let progress = match total {
            Some(total) => progress.with_total(total),
            None => progress,
        };
        // Who has left needs no progress.
        context.peer.notify_progress(progress).await.ok();
    }
}

/// Returns a count as JSON's numbers have it; exact below 2^53, which no transfer reaches.
#[expect(clippy::cast_precision_loss, reason = "no transfer has 2^53 bytes")]
fn as_number(count: u64) -> f64 {
    count as f64
}

/// Reads how long a call may wait.
pub(crate) fn wait_of(seconds: Option<u64>) -> Result<Duration, Problem> {
    let seconds = seconds.unwrap_or(0);
    if seconds > WAIT_SECONDS_MAX {
        return Err(usage(&format!("`wait` is at most {WAIT_SECONDS_MAX} seconds")));
    }
    Ok(Duration::from_secs(seconds))
}

/// Says what is wrong with an argument.
pub(crate) fn usage(message: &str) -> Problem {
    Problem { code: "usage", message: message.to_owned(), hint: None }
}

pub(crate) fn cancelled() -> Problem {
    Problem { code: "interrupted", message: "the call was cancelled".to_owned(), hint: None }
}
