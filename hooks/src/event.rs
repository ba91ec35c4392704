//! The events of git that are listened to.

use std::fmt;

/// A hook of git, by which it tells that a branch goes on or begins anew (githooks(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A commit was made.
    PostCommit,
    /// Commits were made anew: by `commit --amend`, or by a rebase, at its end.
    PostRewrite,
    /// Another branch was merged.
    PostMerge,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PostCommit, Self::PostRewrite, Self::PostMerge];

    /// Returns git's name for the hook, which is that of its file.
    ///
    /// ```
    /// use hooks::Event;
    ///
    /// assert_eq!(Event::PostCommit.name(), "post-commit");
    /// assert_eq!(Event::named("post-commit"), Some(Event::PostCommit));
    /// assert_eq!(Event::named("pre-commit"), None);
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::PostCommit => "post-commit",
            Self::PostRewrite => "post-rewrite",
            Self::PostMerge => "post-merge",
        }
    }

    /// Returns the event that git calls so, if it is one of these.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }

    /// Returns the event to which git gives this argument, which a command for several events is not told otherwise (githooks(5)).
    ///
    /// ```
    /// use hooks::Event;
    ///
    /// assert_eq!(Event::of_argument(None), Some(Event::PostCommit));
    /// assert_eq!(Event::of_argument(Some("rebase")), Some(Event::PostRewrite));
    /// assert_eq!(Event::of_argument(Some("0")), Some(Event::PostMerge));
    /// assert_eq!(Event::of_argument(Some("else")), None);
    /// ```
    pub fn of_argument(argument: Option<&str>) -> Option<Self> {
        Some(match argument {
            None => Self::PostCommit,
            Some("amend" | "rebase") => Self::PostRewrite,
            Some("0" | "1") => Self::PostMerge,
            Some(_) => return None,
        })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}
