//! How a command fails: one table (code → exit code → sentence → hint), and the value a command returns. Which
//! error of which crate has which code stands in `error/rows.rs`. The codes and exit codes are a contract.

mod bundle;
mod client;
mod hooks;
mod hub;
mod mcp;
mod protocol;
mod rows;

use std::fmt;

/// An error that has a row in the table.
pub(crate) trait Report: std::error::Error {
    /// Returns the row.
    fn code(&self) -> Code;

    /// Returns whether the row's own sentence says it better than the error.
    fn has_the_rows_sentence(&self) -> bool {
        false
    }

    /// Returns what to do next where the row's own hint is not the best one.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// Why a command ends without its result: a code of the table, what happened, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The row.
    pub(crate) code: Code,
    /// What happened, in a sentence without a final stop.
    pub(crate) message: String,
    /// What to do next, if anything can be done.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// Returns the failure of `code` with its sentence and hint of the table.
    pub(crate) fn of(code: Code) -> Self {
        let row = code.row();
        Self { code, message: row.sentence.to_owned(), hint: row.hint.map(str::to_owned) }
    }

    /// Returns the failure of `code` with a sentence that says more than the table's.
    pub(crate) fn new(code: Code, message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), ..Self::of(code) }
    }

    /// Replaces the hint.
    pub(crate) fn hint(self, hint: impl fmt::Display) -> Self {
        Self { hint: Some(hint.to_string()), ..self }
    }

    /// Returns the process's exit code.
    pub(crate) fn exit(&self) -> u8 {
        self.code.row().exit
    }
}

impl<E: Report> From<E> for Failure {
    fn from(error: E) -> Self {
        let failure = match error.has_the_rows_sentence() {
            true => Self::of(error.code()),
            false => Self::new(error.code(), chain(&error)),
        };
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// Returns the sentence of `error` and of its causes, each once, joined by colons.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let sentence = next.to_string();
        if !text.contains(&sentence) {
            text = format!("{text}: {sentence}");
        }
        cause = next.source();
    }
    text
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    /// The code as JSON and the protocol spell it.
    pub(crate) name: &'static str,
    /// The exit code of the process.
    pub(crate) exit: u8,
    /// What happened, where nobody knows more.
    pub(crate) sentence: &'static str,
    /// What to do next.
    pub(crate) hint: Option<&'static str>,
}

macro_rules! table {
    ($($code:ident $name:literal $exit:literal $sentence:literal $hint:expr;)*) => {
        /// The codes of all failures, those of the protocol included.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code { $(#[doc = $sentence] $code,)* }

        impl Code {
            /// All codes, in the order of the table.
            pub(crate) const ALL: &[Self] = &[$(Self::$code,)*];

            /// Returns the code that JSON and the protocol spell `name`.
            pub(crate) fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.row().name == name)
            }

            /// Returns the row of this code.
            pub(crate) const fn row(self) -> Row {
                match self {
                    $(Self::$code => Row { name: $name, exit: $exit, sentence: $sentence, hint: $hint },)*
                }
            }
        }
    };
}

const UPDATE: Option<&str> = Some("bring git-parler up to date on both sides");
const AGAIN: Option<&str> = Some("run the same command again");
const DOCTOR: Option<&str> = Some("`git parler doctor` checks everything and says what to do");
const LIST: Option<&str> = Some("`git parler list --all` shows what there is");
const LATER: Option<&str> = Some("wait a little, then run the same command again");
const WITHOUT_HUB: Option<&str> = Some(
    "`git parler doctor` says more; without a hub, `git parler push -o <file>` writes a file and `git parler apply <file>` takes it",
);

table! {
    // What a hub answers.
    BadFrame "bad_frame" 128 "the other side sent something that is no frame of the protocol" UPDATE;
    BadRequest "bad_request" 128 "the hub does not understand the request" UPDATE;
    BadStatement "bad_statement" 128 "a signed statement is malformed or its signature is wrong" DOCTOR;
    Unsupported "unsupported" 128 "the other side does not know this request" UPDATE;
    Internal "internal" 128 "something went wrong inside" DOCTOR;
    LoginRefused "login_refused" 128 "the hub refuses the login"
        Some("on a closed hub, name the file with its secret: `git config --global parler.joinSecretFile <file>`");
    NotFound "not_found" 1 "there is no such thing in your rooms" LIST;
    Gone "gone" 1 "the hub no longer keeps it: it expired" Some("ask its author to push it again");
    KeyRefused "key_refused" 1 "the key is refused" Some("ask who gave it to you for a new one");
    Denied "denied" 1 "the owner denied the request" None;
    NotOwner "not_owner" 5 "only the owner of the room may do this" None;
    Closed "closed" 5 "the room is closed"
        Some("`git parler open` opens another session, `git parler use <session>` goes on in one, `git parler use home` at home");
    Conflict "conflict" 128 "somebody else was faster" AGAIN;
    Stale "stale" 128 "what this rests on is too old for the hub" AGAIN;
    Superseded "superseded" 128 "a newer transfer of the same thing took over" AGAIN;
    Pruned "pruned" 128 "the hub no longer keeps that part of the log" AGAIN;
    HashMismatch "hash_mismatch" 1 "the bytes that arrived are not the ones that were named" AGAIN;
    TooLarge "too_large" 5 "this is larger than the hub takes"
        Some("push a shorter range with `--base <rev>`, or raise the limit where the hub runs");
    OverQuota "over_quota" 5 "the quota at the hub is used up" LATER;
    RateLimited "rate_limited" 5 "too many requests in a short time" LATER;
    TooMany "too_many" 5 "too many at once" LATER;
    DiskFull "disk_full" 6 "the hub's disk is full" Some("free space where the hub runs, then run the same command again");
    Closing "closing" 6 "the hub is shutting down" AGAIN;
    // What a client finds.
    HubRuns "hub_runs" 128 "another hub runs in this folder" Some("name another folder with `--data <dir>`");
    Pending "pending" 3 "the request to join is waiting for the owner" Some("run the same command again later");
    NothingNew "nothing_new" 1 "nothing new arrived in time" None;
    HubUnreachable "hub_unreachable" 6 "the hub cannot be reached" WITHOUT_HUB;
    HubKeyChanged "hub_key_changed" 128 "the hub has another key than before: it may be somebody else's" DOCTOR;
    BadCertificate "bad_certificate" 128 "the hub's certificate does not prove who it is" DOCTOR;
    WrongHub "wrong_hub" 128 "this belongs to another hub" Some("name the right one with `--hub <url>`");
    WrongClock "wrong_clock" 128 "the clocks here and at the hub are too far apart" Some("set the right time");
    VerificationFailed "verification_failed" 1 "verification failed: this is not what its author signed" None;
    // What a bundle or a repository gives reason for.
    EmptyRange "empty_range" 1 "there is nothing to hand over: every commit is in the base already"
        Some("name an older base, for example `git parler push --base HEAD~3`");
    PrerequisiteMissing "prerequisite_missing" 4 "this bundle builds on a commit you do not have"
        Some("get it first, for example `git fetch`, then run the same command again");
    PolicyRefused "policy_refused" 5 "refused by policy" None;
    OverBudget "over_budget" 5 "this needs more than the import budget allows"
        Some("raise it with `git config parler.import.<budget> <value>` if you trust the author; see `git parler help`");
    Unrelated "unrelated" 5 "this history shares no commit with the repository"
        Some("if that is what you want, add `--unrelated`");
    Corrupt "corrupt" 128 "this is no sound bundle" Some("get it once more from where it came");
    ObjectFormat "object_format" 128 "the repository names its objects by another hash" None;
    NotARepository "not_a_repository" 128 "not a git repository (or any of the parent directories)"
        Some("change into a repository, or name one with `git -C <dir> parler`");
    RepositoryUnsupported "repository_unsupported" 128 "this kind of repository is not supported" None;
    UnbornHead "unborn_head" 128 "there is no commit yet" Some("commit something first");
    UnknownRevision "unknown_revision" 128 "unknown revision" Some("`git log --oneline --all` shows the commits there are");
    ShallowBoundary "shallow_boundary" 128 "the range crosses the boundary of a shallow clone"
        Some("name a base within the clone with `--base <rev>`, or run `git fetch --unshallow`");
    RefConflict "ref_conflict" 128 "a reference is in the way" Some("`git for-each-ref refs/parler` shows it");
    FileExists "file_exists" 128 "the file exists" Some("add `--force` to overwrite it, or name another one");
    // What the person or the machine gives reason for.
    BadConfig "bad_config" 128 "a value in git's configuration is not understood" Some("`git config --show-origin --get-regexp '^parler'` shows where it stands");
    Io "io" 128 "reading or writing failed" None;
    Ambiguous "ambiguous" 129 "the id is ambiguous" Some("give more of its digits");
    Usage "usage" 129 "the command line is not understood" Some("`git parler help` shows the commands");
    Interrupted "interrupted" 130 "interrupted" None;
}

#[cfg(test)]
mod tests;
