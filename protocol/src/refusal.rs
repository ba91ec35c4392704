//! Why a hub does not do what it was asked: one closed list of stable codes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clean;
use crate::limits::SENTENCE_CHARACTERS_MAX;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The code of a refusal. Codes are stable; sentences are not.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum RefusalCode {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
            /// A code that this version does not know.
            #[serde(other, rename = "unknown")]
            Unknown,
        }

        impl RefusalCode {
            /// Every code of this version.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the text that travels.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Unknown => "unknown",
                }
            }
        }
    };
}

codes! {
    /// The frame is not one of the protocol's.
    BadFrame = "bad_frame",
    /// The request's fields make no sense.
    BadRequest = "bad_request",
    /// A statement's signature or shape is wrong.
    BadStatement = "bad_statement",
    /// The hub does not know this request.
    Unsupported = "unsupported",
    /// The hub failed; its log says more.
    Internal = "internal",
    /// The login does not hold; one text for every reason.
    LoginRefused = "login_refused",
    /// No such room, blob or agent for you.
    NotFound = "not_found",
    /// The blob was there and expired.
    Gone = "gone",
    /// The session key admits nobody, whatever the reason.
    KeyRefused = "key_refused",
    /// The agent was turned away for good.
    Denied = "denied",
    /// The act is the owner's.
    NotOwner = "not_owner",
    /// The room takes no more entries.
    Closed = "closed",
    /// Another statement holds this place already.
    Conflict = "conflict",
    /// The head is not one the hub has, or older than what it still holds.
    Stale = "stale",
    /// A newer upload of the same blob took over.
    Superseded = "superseded",
    /// The entries asked for have expired.
    Pruned = "pruned",
    /// The bytes do not hash to the id.
    HashMismatch = "hash_mismatch",
    /// A size is above its limit.
    TooLarge = "too_large",
    /// No room is left for it.
    OverQuota = "over_quota",
    /// Too often; `retry_after_ms` says when again.
    RateLimited = "rate_limited",
    /// Too many of it at once.
    TooMany = "too_many",
    /// The hub's disk is full.
    DiskFull = "disk_full",
    /// The hub is shutting down.
    Closing = "closing",
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Which kind of refusal.
    pub code: RefusalCode,
    /// What happened, for people.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// With `rate_limited`: when the same request may succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// With `conflict` of a message: the author's next free number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_n: Option<u64>,
    /// With `conflict` of an owner's act: the end of the chain that it should have continued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<Box<crate::room::ChainEnd>>,
    /// With `too_large` and `over_quota`: the limit, in the unit of what was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// With `pruned`: the point from which the log is still there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Box<crate::statement::LogPoint>>,
}

impl Refusal {
    /// Makes a refusal with a sentence and nothing else.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            retry_after_ms: None,
            next_n: None,
            chain: None,
            limit: None,
            base: None,
        }
    }

    /// Returns the refusal with sentences that can be shown: one line each, of lawful length, nothing hidden in them.
    pub(crate) fn cleaned(self) -> Self {
        let clean = |text: &str| clean::line(text).chars().take(SENTENCE_CHARACTERS_MAX).collect::<String>();
        Self { message: clean(&self.message), hint: self.hint.as_deref().map(clean), ..self }
    }

    /// The one answer for a session key that admits nobody, whether wrong, expired, used up, revoked or of somebody denied.
    pub fn key_refused() -> Self {
        Self::new(
            RefusalCode::KeyRefused,
            "the key admits nobody: it is wrong, or expired, used up or revoked",
        )
    }

    /// The one answer for what is not there and what is not yours.
    pub fn not_found() -> Self {
        Self::new(RefusalCode::NotFound, "no such room or blob in your rooms")
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::HubFrame;

    #[test]
    fn what_a_hub_says_reaches_nobody_uncleaned() {
        let long = "m".repeat(SENTENCE_CHARACTERS_MAX + 1);
        let refusal = Refusal {
            hint: Some(long),
            ..Refusal::new(RefusalCode::Gone, "gone\u{1b}]0;title\u{7}\nfor good")
        };
        let Ok(HubFrame::Err(Some(7), read)) = HubFrame::parse(&HubFrame::answer(7, &Err(refusal))) else {
            panic!("a refusal")
        };
        assert_eq!(read.message, "gone\u{fffd}]0;title\u{fffd} for good");
        assert_eq!(read.hint.map(|hint| hint.len()), Some(SENTENCE_CHARACTERS_MAX));
    }
}
