//! The one thread that writes: takes what has queued up, runs it in one transaction, commits once for all of it
//! and only then lets the answers go.

use std::sync::Arc;
use std::thread::JoinHandle;

use rusqlite::{Connection, ffi};
use tokio::sync::{mpsc, oneshot};

use crate::fatal::Fatal;
use crate::limits::{GROUP_STEPS_MAX, QUEUE_STEPS_MAX};
use crate::store::StoreError;

/// The handle of the writer thread; dropping it ends the thread after the queue is done.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Step>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread, which owns `connection` from here on.
    pub(super) fn start(connection: Connection, fatal: Fatal) -> std::io::Result<Self> {
        let (queue, steps) = mpsc::channel(QUEUE_STEPS_MAX);
        let thread =
            std::thread::Builder::new().name("store".into()).spawn(move || run(connection, steps, &fatal))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Runs `operation` in the next group and returns its outcome after the group's commit. What it wrote is undone
    /// when it returns an error.
    pub(super) async fn run<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let step = Operation { operation: Some(operation), outcome: None, answer };
        let queue = self.queue.as_ref().ok_or(StoreError::Stopped)?;
        queue.send(Box::new(step)).await.map_err(|_| StoreError::Stopped)?;
        answered.await.map_err(|_| StoreError::Stopped)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by the thread itself.
            thread.join().ok();
        }
    }
}

/// One operation on its way through the thread: run once, then replied to once.
trait Step: Send {
    /// Runs inside the transaction and returns whether to keep what it wrote.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Lets the answer go; `broken` says that nothing of the group reached the disk.
    fn reply(self: Box<Self>, broken: Option<&Arc<rusqlite::Error>>);
}

struct Operation<T, F> {
    operation: Option<F>,
    outcome: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Step for Operation<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        self.outcome = self.operation.take().map(|operation| operation(connection));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn reply(self: Box<Self>, broken: Option<&Arc<rusqlite::Error>>) {
        let outcome = match (self.outcome, broken) {
            // A refusal wrote nothing, so it holds whatever became of the group.
            (Some(Err(refusal)), _) => Err(refusal),
            (_, Some(error)) => Err(StoreError::from(Arc::clone(error))),
            (Some(Ok(value)), None) => Ok(value),
            (None, None) => Err(StoreError::Stopped),
        };
        // The asker may have hung up meanwhile; what was committed stays committed.
        self.answer.send(outcome).ok();
    }
}

/// Raises the alarm when the thread panics: without it nothing can be written any more.
struct Watch<'a>(&'a Fatal);

/// The writing thread is gone.
#[derive(Debug, thiserror::Error)]
#[error("the thread of the database panicked")]
struct Panicked;

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.raise("the database cannot be written any more", Arc::new(Panicked));
        }
    }
}

fn run(connection: Connection, mut steps: mpsc::Receiver<Box<dyn Step>>, fatal: &Fatal) {
    let _watch = Watch(fatal);
    let mut group = Vec::with_capacity(GROUP_STEPS_MAX);
    while let Some(first) = steps.blocking_recv() {
        group.push(first);
        while group.len() < GROUP_STEPS_MAX
            && let Ok(next) = steps.try_recv()
        {
            group.push(next);
        }
        let broken = commit_group(&connection, &mut group).err().map(Arc::new);
        if let Some(error) = broken.as_ref().filter(|error| is_unsafe(error)) {
            // What the disk holds is unknown from here on, so no answer goes out any more.
            let cause = Arc::<rusqlite::Error>::clone(error);
            fatal.raise("the database could not be flushed", cause);
            return;
        }
        for step in group.drain(..) {
            step.reply(broken.as_ref());
        }
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "the database did not close cleanly");
    }
}

/// Runs the steps in one transaction, each undone by itself when it refuses.
fn commit_group(connection: &Connection, steps: &mut [Box<dyn Step>]) -> Result<(), rusqlite::Error> {
    let outcome = connection.execute_batch("BEGIN IMMEDIATE").and_then(|()| {
        for step in steps {
            run_step(connection, step.as_mut())?;
        }
        connection.execute_batch("COMMIT")
    });
    if outcome.is_err() && !connection.is_autocommit() {
        // The error that matters is the one already there.
        connection.execute_batch("ROLLBACK").ok();
    }
    outcome
}

fn run_step(connection: &Connection, step: &mut dyn Step) -> Result<(), rusqlite::Error> {
    connection.prepare_cached("SAVEPOINT step")?.execute(())?;
    if !step.run(connection) {
        // A full disk ends the whole transaction; then this fails, and with it everything in the group.
        connection.prepare_cached("ROLLBACK TO step")?.execute(())?;
    }
    connection.prepare_cached("RELEASE step")?.execute(())?;
    Ok(())
}

/// Returns whether the error leaves open what reached the disk.
fn is_unsafe(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC | ffi::SQLITE_IOERR_TRUNCATE))
}
