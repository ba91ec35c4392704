//! What `hooks` answers.

use schemars::JsonSchema;
use serde::Serialize;

/// Answer of `hooks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Hooks {
    /// The hooks that announce commits.
    pub hooks: Vec<HooksHook>,
    /// Whether they announce anything.
    pub enabled: bool,
    /// How many commits wait to be announced.
    pub waiting: u64,
    /// Why they were not when that was last tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_up: Option<HooksTrouble>,
    /// The last one that never will be, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_up: Option<HooksGivenUp>,
}

/// One hook of git.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HooksHook {
    /// Its name, `post-commit`.
    pub event: String,
    /// Where its script is or would be.
    pub path: String,
    /// How it stands.
    pub state: HooksState,
    /// The framework that keeps it, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// How a hook stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HooksState {
    /// git runs it, as a probe has shown.
    Works,
    /// It is there, and git does not get it to run.
    Broken,
    /// Nothing is there.
    Missing,
    /// Something else is there.
    Foreign,
    /// A framework for hooks keeps it.
    Managed,
}

/// A commit that was not announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HooksGivenUp {
    /// The commit.
    pub tip: String,
    /// Why.
    #[serde(flatten)]
    pub why: HooksTrouble,
}

/// Why something was not announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HooksTrouble {
    /// As a code.
    pub code: String,
    /// As a sentence.
    pub message: String,
}
