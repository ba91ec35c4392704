//! Why something in or about a session cannot be done, with code and remedy.

use std::path::PathBuf;

use protocol::id::RoomId;
use protocol::key::UserId;
use protocol::room::{ActError, AdmissionError};

/// Why something in or about a session cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Only the owner of the room may do this.
    #[error("only the owner of session {room} may do this")]
    NotOwner {
        /// The room.
        room: RoomId,
        /// Who opened it.
        owner: UserId,
    },
    /// The room is this user's, but the key that signs for it is not here.
    #[error("the user key, which signs this, is not in {}", data.display())]
    NoUserKey {
        /// The data folder.
        data: PathBuf,
    },
    /// The home has no key, no requests and nobody to put out.
    #[error("no session is in use: this is your home, in which only your own seats are")]
    Home,
    /// Nothing of this kind goes by this name.
    #[error("no {} is {selector:?}", what.noun())]
    NoSuch {
        /// What was looked for.
        what: Thing,
        /// As what.
        selector: String,
    },
    /// More than one goes by this name.
    #[error("{selector:?} may be more than one {}: {}", what.noun(), candidates.join(", "))]
    Unclear {
        /// What was looked for.
        what: Thing,
        /// As what.
        selector: String,
        /// What it could be.
        candidates: Vec<String>,
    },
    /// This seat is not in the room, or not any more.
    #[error("you are not in session {room}, or not any more")]
    NotInRoom {
        /// The room.
        room: RoomId,
    },
    /// The act makes no sense as the room stands.
    #[error(transparent)]
    Act(#[from] ActError),
    /// Who opened a session cannot leave it.
    #[error("session {room} is yours: who opened it cannot leave")]
    OwnerLeaves {
        /// The room.
        room: RoomId,
    },
    /// The hub does not show that the owner has admitted this seat.
    #[error("the hub says that you were admitted and does not prove it")]
    Admission(#[from] AdmissionError),
    /// The key is for another hub than the one in use.
    #[error("the key is for the hub at {wanted}, and this is the one at {found}")]
    OtherHub {
        /// The origin that stands in the key.
        wanted: String,
        /// The origin in use.
        found: String,
    },
    /// The name of this seat cannot be shown.
    #[error("{name:?} can be nobody's name")]
    Name {
        /// The name.
        name: String,
    },
    /// A text is longer than may be.
    #[error("the {what} has {size} bytes, and at most {limit} are taken")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// How long it is.
        size: usize,
        /// How long it may be.
        limit: usize,
    },
    /// There is nothing in what should be said.
    #[error("there is nothing to send")]
    Empty,
    /// The key by which somebody asks has admitted as many as it may.
    #[error("the key by which {joiner:?} asks has admitted as many as it may")]
    KeyUsedUp {
        /// By which name.
        joiner: String,
    },
    /// A key lives longer, or admits more, than may be.
    #[error("a key lives for 1 second to 366 days and admits 1 to 256")]
    KeyBounds,
    /// The clocks are so far apart that the hub takes nothing this seat says for that of a seat.
    #[error("this machine's clock is {days} days behind the hub's")]
    Clock {
        /// How far.
        days: i64,
    },
}

/// What a name on the command line stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// Somebody who asks to join.
    Joiner,
    /// Somebody in the room.
    Member,
    /// A session.
    Session,
    /// A session key.
    Key,
}

impl Thing {
    fn noun(self) -> &'static str {
        match self {
            Self::Joiner => "request to join",
            Self::Member => "member",
            Self::Session => "session of yours",
            Self::Key => "key of this session",
        }
    }
}

impl SessionError {
    /// Returns the stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotOwner { .. } | Self::NoUserKey { .. } => "not_owner",
            Self::Home | Self::OwnerLeaves { .. } | Self::Name { .. } | Self::Empty | Self::KeyBounds => {
                "usage"
            }
            Self::NoSuch { .. } | Self::NotInRoom { .. } => "not_found",
            Self::Unclear { .. } => "ambiguous",
            Self::Act(error) => match error {
                ActError::Closed => "closed",
                ActError::Denied => "denied",
                ActError::Full(_) | ActError::TooManyDenied => "too_many",
                ActError::NotMember => "not_found",
                ActError::Home | ActError::Unlawful | ActError::Member | ActError::Unknown => "conflict",
            },
            Self::Admission(_) => "verification_failed",
            Self::KeyUsedUp { .. } => "key_refused",
            Self::OtherHub { .. } => "wrong_hub",
            Self::TooLong { .. } => "too_large",
            Self::Clock { .. } => "wrong_clock",
        }
    }

    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NotOwner { .. } => "ask the owner; who it is, `git parler sessions` says",
            Self::NoUserKey { .. } => {
                "run it where that key is, or bring the key here: `git parler whoami --export-user <file>` there, \
                 `--import-user <file>` here"
            }
            Self::Home => "open one with `git parler open`, or choose one with `git parler use <session>`",
            Self::NoSuch { what: Thing::Joiner, .. } => "`git parler requests` lists those that wait",
            Self::NoSuch { what: Thing::Member, .. } => "`git parler status` lists who is here",
            Self::NoSuch { what: Thing::Session, .. } => "`git parler sessions` lists them",
            Self::NoSuch { what: Thing::Key, .. } => "`git parler key list` lists them",
            Self::Unclear { .. } => "name it by its id, or by more of it",
            Self::NotInRoom { .. } => {
                "`git parler use home` goes back to your home; for another admission ask the owner for a key"
            }
            Self::Act(ActError::Denied) => "a denial is final; let them ask from another seat",
            Self::Act(ActError::Closed) => {
                "`git parler open` opens another session, `git parler use <session>` goes on in one"
            }
            Self::Act(_) => "`git parler status` shows who is here",
            Self::OwnerLeaves { .. } => {
                "`git parler close` ends it for everybody; `git parler use home` goes home from it, and back at any time"
            }
            Self::Admission(_) => "ask the owner whether the hub can be trusted; nothing was taken from it",
            Self::OtherHub { .. } => "leave `--hub` away, or ask for a key of this hub's",
            Self::Name { .. } => "choose one of 1 to 100 visible bytes with `git config parler.name <name>`",
            Self::TooLong { .. } => {
                "say it in fewer words, or hand it over as a commit with `git parler push`"
            }
            Self::Empty => "write the text behind the command, or `-` to read it from standard input",
            Self::KeyUsedUp { .. } => "make another with `git parler key new` and let them join by that",
            Self::KeyBounds => "choose within that with `--ttl` and `--max-uses`",
            Self::Clock { .. } => "set the right time here, or ask who runs the hub to",
        };
        Some(text.to_owned())
    }
}
