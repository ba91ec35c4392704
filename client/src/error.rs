//! Why an operation of the client fails: one enum, each variant with a stable code and what the user can do.

use std::path::PathBuf;

use protocol::clean;
use protocol::id::{BlobId, BlobPrefix, RoomId};
use protocol::refusal::RefusalCode;

use crate::link::LinkError;
use crate::link::transfer::TransferError;
use crate::report::{Agent, PushedRef, Signature};
use crate::seat::{CacheError, Fork, SeatError};
use crate::session::SessionError;

/// Why an operation of the client fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The hub, or the way to it.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A blob did not get through.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// Keys, states or the spool.
    #[error(transparent)]
    Seat(#[from] SeatError),
    /// The blob cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The hub was seen to show another history of a room than the one that was verified, and no human has accepted it.
    #[error("the hub shows another history of room {room} than the one that was verified: {}", fork.what)]
    Forked {
        /// The room.
        room: RoomId,
        /// Where, when and what.
        fork: Fork,
        /// The folder in which both sides are kept, where they are.
        evidence: Option<PathBuf>,
    },
    /// The hub opened another room than it was asked to, has no entries where it says there are, or lists without an end.
    #[error("the hub contradicts what is known of room {room}")]
    Contradiction {
        /// The room.
        room: RoomId,
    },
    /// A session was opened and is in use, and then something failed: its key may not be made, or not all said that was to be.
    #[error("session {room} was opened and is in use, but not all was done in it")]
    HalfOpened {
        /// The session.
        room: RoomId,
        /// What failed.
        #[source]
        source: Box<Self>,
    },
    /// More than one handoff begins with these digits, or references to one have unequal tips.
    #[error("{prefix} is ambiguous: it may be {}", listed(candidates))]
    Ambiguous {
        /// The digits.
        prefix: BlobPrefix,
        /// What they could mean.
        candidates: Vec<Candidate>,
    },
    /// No handoff by a member begins with these digits.
    #[error("no handoff in your rooms begins with {prefix}")]
    NotFound {
        /// The digits.
        prefix: BlobPrefix,
    },
    /// What the hub names as the reference to a handoff is nothing that a member wrote.
    #[error("{}", not_by_member(id, *signature))]
    NotByMember {
        /// The handoff.
        id: BlobId,
        /// What is known of its author.
        signature: Signature,
    },
    /// The hub no longer has the bytes, nor has the cache.
    #[error("the bytes of {id} have expired at the hub")]
    Gone {
        /// The handoff.
        id: BlobId,
    },
    /// The home room is not open yet and the user key, which opens it, is not here.
    #[error("your home room is not open at this hub and the user key is not here to open it")]
    NoHome,
    /// What sessions are about: who decides, whom it concerns, and what may be said.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// A handoff that an ambiguous id could mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The handoff.
    pub id: BlobId,
    /// Who posted it.
    pub author: Agent,
    /// One line about the change.
    pub summary: String,
    /// Its tips.
    pub tips: Vec<PushedRef>,
}

/// Names the candidates in one line; what a peer wrote is cleaned.
fn listed(candidates: &[Candidate]) -> String {
    let named = |candidate: &Candidate| {
        let (id, author) = (candidate.id.to_string(), clean::line(&candidate.author.name));
        let tip =
            candidate.tips.first().map_or("", |tip| tip.commit.get(..DIGITS_SHOWN).unwrap_or(&tip.commit));
        let summary = clean::line(&candidate.summary);
        format!("{} \"{summary}\" by {author} (tip {tip})", &id[..DIGITS_SHOWN])
    };
    let shown: Vec<_> = candidates.iter().take(CANDIDATES_SHOWN).map(named).collect();
    shown.join(", ")
}

/// Says why a handoff is not taken.
fn not_by_member(id: &BlobId, signature: Signature) -> String {
    let why = match signature {
        Signature::NotMember => "is by somebody who was not in the room",
        Signature::Invalid | Signature::None | Signature::Valid => "has a wrong signature or body",
    };
    format!("the message that hands over {} {why}", &id.to_string()[..DIGITS_SHOWN])
}

const DIGITS_SHOWN: usize = 12;
const CANDIDATES_SHOWN: usize = 5;

impl Error {
    /// Returns the stable code, as JSON and the table of exit codes spell it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Link(error) | Self::Transfer(TransferError::Link(error)) => error.code(),
            Self::Transfer(TransferError::Cache(error)) | Self::Cache(error) => match error {
                CacheError::File(_) => "io",
                CacheError::Mismatch { .. } | CacheError::Length { .. } => "hash_mismatch",
            },
            Self::Seat(SeatError::OtherUser { .. } | SeatError::Exists { .. }) => "file_exists",
            Self::Seat(SeatError::NoUserKey { .. }) => "not_owner",
            Self::Transfer(TransferError::Read { .. }) | Self::Seat(_) => "io",
            Self::Transfer(TransferError::Size { .. })
            | Self::Forked { .. }
            | Self::Contradiction { .. }
            | Self::NotByMember { .. } => "verification_failed",
            Self::Transfer(TransferError::OutOfTurn { .. }) => "bad_frame",
            Self::Ambiguous { .. } => "ambiguous",
            Self::NotFound { .. } => "not_found",
            Self::Gone { .. } => "gone",
            Self::NoHome => "not_found",
            Self::Session(error) => error.code(),
            Self::HalfOpened { source, .. } => source.code(),
        }
    }

    /// Returns what the user can do about it, where this crate knows.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Link(error) | Self::Transfer(TransferError::Link(error)) => error.hint(),
            Self::Transfer(TransferError::Cache(error)) | Self::Cache(error) => match error {
                CacheError::File(error) => error.hint(),
                CacheError::Mismatch { .. } | CacheError::Length { .. } => None,
            },
            Self::Seat(error) => error.hint(),
            Self::Forked { room, evidence, .. } => {
                let room = room.to_string();
                let kept =
                    evidence.as_ref().map(|path| format!(" what it showed is kept in {};", path.display()));
                Some(format!(
                    "ask who runs the hub, and the others in the room;{} `git parler use --accept-fork --room {}` takes the log \
                     as it stands now",
                    kept.unwrap_or_default(),
                    &room[..DIGITS_SHOWN]
                ))
            }
            Self::HalfOpened { .. } => Some(
                "go on in it: `git parler key list` shows its key, `git parler key new` makes one, `git parler log` shows what \
                 was said; or end it with `git parler close`"
                    .to_owned(),
            ),
            Self::Gone { .. } => Some("ask its author to push it again".to_owned()),
            Self::Session(error) => error.hint(),
            Self::NoHome => Some("run any command that needs the hub once where the user key is".to_owned()),
            _ => None,
        }
    }

    /// Returns the refusal's code when it is the hub that refused.
    pub fn refusal(&self) -> Option<RefusalCode> {
        match self {
            Self::Link(error) | Self::Transfer(TransferError::Link(error)) => error.refusal(),
            Self::HalfOpened { source, .. } => source.refusal(),
            _ => None,
        }
    }
}
