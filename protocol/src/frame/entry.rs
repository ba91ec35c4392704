//! The entries of a room's log, as they travel.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::id::Digest;
use crate::signed::Signed;
use crate::statement::{Membership, Message};

/// One entry of a room's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its sequence number.
    pub seq: u64,
    /// What stands there.
    #[serde(flatten)]
    pub content: EntryContent,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryContent {
    /// A message of a member.
    Message {
        /// The signed header.
        message: Signed<Message>,
        /// The body's text, where it travels and still exists.
        body: Option<String>,
    },
    /// An act of the owner.
    Membership(Signed<Membership>),
}

impl Entry {
    /// Puts a message at `seq`.
    pub fn message(seq: u64, message: Signed<Message>, body: Option<String>) -> Self {
        Self { seq, content: EntryContent::Message { message, body } }
    }

    /// Puts an act of the owner at `seq`.
    pub fn membership(seq: u64, act: Signed<Membership>) -> Self {
        Self { seq, content: EntryContent::Membership(act) }
    }
}

impl EntryContent {
    /// Returns the signed header and the body, if it is a message.
    pub fn as_message(&self) -> Option<(&Signed<Message>, Option<&str>)> {
        match self {
            Self::Message { message, body } => Some((message, body.as_deref())),
            Self::Membership(_) => None,
        }
    }

    /// Returns the digest of the statement, which is what the log is made of. It says nothing about the signature.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Message { message, .. } => message.digest(),
            Self::Membership(act) => act.digest(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct ContentWire {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<MessageWire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    membership: Option<Signed<Membership>>,
}

#[derive(Serialize, Deserialize)]
struct MessageWire {
    #[serde(flatten)]
    statement: Signed<Message>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl Serialize for EntryContent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let wire = match self.clone() {
            Self::Message { message: statement, body } => {
                ContentWire { message: Some(MessageWire { statement, body }), membership: None }
            }
            Self::Membership(act) => ContentWire { message: None, membership: Some(act) },
        };
        wire.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for EntryContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match ContentWire::deserialize(deserializer)? {
            ContentWire { message: Some(message), membership: None } => {
                Ok(Self::Message { message: message.statement, body: message.body })
            }
            ContentWire { message: None, membership: Some(act) } => Ok(Self::Membership(act)),
            _ => Err(de::Error::custom("an entry is either a message or a membership")),
        }
    }
}
