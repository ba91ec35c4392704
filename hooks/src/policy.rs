//! What an event comes to: facts in, a decision out. Nothing is looked at here.

use crate::event::Event;

/// What git is in the middle of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A rebase, which ends with `post-rewrite`.
    Rebase,
    /// Something else that makes commits one after the other, and of whose end no hook tells: a cherry-pick, a revert, `git am`.
    Sequence,
    /// A bisection.
    Bisect,
    /// A merge, whose commits count at once.
    Merge,
}

/// What is known when an event comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The event.
    pub event: Event,
    /// The arguments that git gives with it: of `post-rewrite` the command, of `post-merge` whether it was squashed.
    pub argument: Option<&'a str>,
    /// Whether commits are to be announced here at all.
    pub is_enabled: bool,
    /// Whether the branch is one of those that are not.
    pub is_excluded: bool,
    /// Whether git works in a quarantine, out of which nothing of it may come to be.
    pub is_in_quarantine: bool,
    /// What git is in the middle of.
    pub operation: Option<Operation>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Ignore,
    /// The tip is to be announced, once git has ended what it is in the middle of.
    Announce,
}

/// Decides what an event comes to.
///
/// ```
/// use hooks::{Action, Event, Facts, Operation, decide};
///
/// let facts = Facts {
///     event: Event::PostCommit,
///     argument: None,
///     is_enabled: true,
///     is_excluded: false,
///     is_in_quarantine: false,
///     operation: None,
/// };
/// assert_eq!(decide(&facts), Action::Announce);
/// // Of a rebase of twenty commits, the end counts.
/// assert_eq!(decide(&Facts { operation: Some(Operation::Rebase), ..facts }), Action::Ignore);
/// ```
pub fn decide(facts: &Facts<'_>) -> Action {
    if !facts.is_enabled || facts.is_excluded || facts.is_in_quarantine {
        return Action::Ignore;
    }
    let is_rebase_under_way = facts.operation == Some(Operation::Rebase);
    match (facts.event, facts.argument) {
        (Event::PostCommit, _) if is_rebase_under_way => Action::Ignore,
        // A rebase amends by itself, and tells of all of it at its end.
        (Event::PostRewrite, Some("amend")) if is_rebase_under_way => Action::Ignore,
        // No commit was made, and none moved.
        (Event::PostMerge, Some("1")) => Action::Ignore,
        (Event::PostCommit | Event::PostRewrite | Event::PostMerge, _) => Action::Announce,
    }
}
