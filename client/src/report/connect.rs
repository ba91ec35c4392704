//! The answer of `connect`: what became of the configuration file of each agent host.

use serde::Serialize;

/// Answer of `connect`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Connect {
    /// The hosts that were found or named.
    pub hosts: Vec<ConnectedHost>,
}

/// What became of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectedHost {
    /// The name by which `--host` knows it.
    pub host: String,
    /// What of it this is about.
    pub part: ConnectPart,
    /// Its configuration file.
    pub file: String,
    /// What was done.
    pub state: ConnectState,
    /// The file as it was before, if it was kept.
    pub backup: Option<String>,
    /// What a person does next.
    pub next: Option<String>,
    /// What would change, as a unified diff; only of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// What a person can paste into the file that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snippet: Option<String>,
    /// Why it was left as it is, when it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ConnectProblem>,
}

/// What of a host is wired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectPart {
    /// The MCP server.
    Server,
    /// The hooks by which its agent is told of what waits.
    Hooks,
}

/// What was done to a configuration file, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectState {
    /// The entry came in.
    Added,
    /// The entry says something else than before.
    Updated,
    /// The entry was there.
    Already,
    /// The entry went out.
    Removed,
    /// There was no entry to take out.
    Absent,
    /// The file was left as it is, because of a problem.
    Refused,
    /// A dry run: the entry would come in.
    WouldAdd,
    /// A dry run: the entry would say something else.
    WouldUpdate,
    /// A dry run: the entry would go out.
    WouldRemove,
}

/// Why a host was left as it is: the fields of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectProblem {
    /// The code of the failure.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}
