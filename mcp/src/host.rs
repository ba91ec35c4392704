//! What the server is lent by the program that starts it. It has no repositories, no settings and no processes of its own.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use client::local_hub::LocalHubControl;
use client::{Settings, VerifiedBlob, VerifiedHandoff, report};
use protocol::invite::SessionKey;
use protocol::part::BundlePart;

/// Why something was not done, as the command line says it: a stable code, a sentence, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// The code that `--json` has.
    pub code: &'static str,
    /// What happened, without a final stop.
    pub message: String,
    /// What to do next, if anything can be done.
    pub hint: Option<String>,
}

impl Problem {
    /// Says whether the same may go well later, with nothing said anew: a hub comes back, and settings are mended.
    pub(crate) fn is_passing(&self) -> bool {
        ["hub_unreachable", "bad_config"].contains(&self.code)
    }
}

/// Reads a session key.
///
/// # Errors
/// [`Problem`] for what is none.
pub fn session_key(text: &str) -> Result<SessionKey, Problem> {
    text.trim().parse().map_err(|error| Problem {
        code: "usage",
        message: format!("{error}"),
        hint: Some("ask who gave it to you to send it once more".to_owned()),
    })
}

/// For what a connection is wanted.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// To work in the session with this id or topic; without one, in what is in use.
    Work(Option<String>),
    /// To open a session.
    Open,
    /// To ask to join by this key.
    Join(SessionKey),
}

/// Settings and sentences of the program.
pub trait Host: Send + Sync + 'static {
    /// Returns the settings for a connection, as they are now; reads files, and is called off the runtime.
    ///
    /// # Errors
    /// [`Problem`] for a configuration that cannot be used.
    fn settings(&self, purpose: &Purpose) -> Result<Settings, Problem>;

    /// Returns what starts the local hub below this data folder.
    fn starter(&self, settings: &Settings) -> Arc<dyn LocalHubControl>;

    /// Says what went wrong as the command line does.
    fn problem(&self, error: client::Error) -> Problem;

    /// Says whether an agent's own call may decide about who asks to join (`parler.mcp.agentMayApprove`); reads files, and is called
    /// off the runtime.
    ///
    /// # Errors
    /// [`Problem`] for a configuration that cannot be used.
    fn agent_may_approve(&self) -> Result<bool, Problem>;
}

/// What is to be handed over.
#[derive(Debug, Clone, Default)]
pub struct Range {
    /// The repository; without one, that in which the server was started.
    pub repo: Option<PathBuf>,
    /// What travels; without one, `HEAD`.
    pub rev: Option<String>,
    /// What the other side has.
    pub base: Option<String>,
    /// One line about it; without one, the subject of the newest commit.
    pub summary: Option<String>,
    /// The largest bundle that the hub takes, in bytes.
    pub size_max: u64,
}

/// A bundle that was written, and what is said of it.
#[derive(Debug)]
pub struct Built {
    /// The reference to be signed.
    pub part: BundlePart,
    /// The answer, which lacks only where it was posted.
    pub answer: report::Push,
    /// Whether the whole history travels, since nobody named a base.
    pub is_whole: bool,
}

/// A handoff before anything of it enters a repository.
#[derive(Debug)]
pub struct Previewed {
    /// What `show` answers.
    pub answer: report::Show,
    /// The command by which a human takes it in.
    pub apply_with: String,
    /// Whether there was a repository to compare it with.
    pub is_compared: bool,
}

/// The two things that a server needs of repositories. Neither changes one.
pub trait Repositories: Send + Sync + 'static {
    /// Writes the bundle of a range to `out`.
    ///
    /// # Errors
    /// [`Problem`] where there is no repository, nothing to hand over, or `out` takes no more.
    fn build(&self, range: &Range, out: &mut dyn Write) -> Result<Built, Problem>;

    /// Looks at the verified bytes of a handoff outside of any repository; `repo` is the one to compare with, without it the one in
    /// which the server was started, if it was.
    ///
    /// # Errors
    /// [`Problem`] for what is no sound bundle, or not what its author signed, and where `repo` is no repository.
    fn preview(
        &self,
        repo: Option<PathBuf>,
        handoff: VerifiedHandoff,
        blob: VerifiedBlob,
    ) -> Result<Previewed, Problem>;
}
