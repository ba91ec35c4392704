//! What long operations report while they run.

/// A stage of the work, in the order in which the stages follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Walking commits.
    Commits,
    /// Collecting the objects of the commits.
    Objects,
    /// Looking for deltas.
    Deltas,
    /// Writing the bundle.
    Writing,
    /// Looking at the entries of a pack that was received.
    Scanning,
    /// Resolving and checking its objects.
    Resolving,
}

/// How far a stage has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The stage.
    pub stage: Stage,
    /// How many commits or objects are done.
    pub done: u64,
    /// How many there will be, where that is known.
    pub total: Option<u64>,
}

/// Takes reports; called often, so it had better be quick. `&mut |_| ()` is one that does nothing.
pub type Report<'a> = &'a mut dyn FnMut(Progress);
