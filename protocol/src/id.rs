//! Ids and other fixed-length values: each has exactly one spelling, and nothing else parses.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use crate::limits::PREFIX_DIGITS_MIN;

/// Says why a text is not a value of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text has another length or alphabet than the only spelling of a value of this kind.
    #[error("not a {kind}: {expected} expected")]
    Malformed {
        /// What was wanted, for people.
        kind: &'static str,
        /// The form that would have been right.
        expected: &'static str,
    },
}

/// Gives a fixed-length byte type its one text form.
macro_rules! fixed_text {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $encoding:expr, $kind:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Takes the raw bytes.
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// Returns the raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&$encoding.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                let bytes = $encoding.decode(text.as_bytes()).ok();
                let bytes = bytes.and_then(|bytes| <[u8; $bytes]>::try_from(bytes).ok());
                bytes.map(Self).ok_or(ParseError::Malformed { kind: $kind, expected: $expected })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

fixed_text!(
    /// The SHA-256 of a blob's bytes, 64 lower-case hex digits.
    ///
    /// ```
    /// let id = protocol::id::BlobId::of(b"hello");
    /// assert!(id.to_string().starts_with("2cf24dba"));
    /// ```
    BlobId, 32, HEXLOWER, "blob id", "64 lower-case hex digits"
);
fixed_text!(
    /// The id of a room: the digest of its genesis.
    RoomId, 32, HEXLOWER, "room id", "64 lower-case hex digits"
);
fixed_text!(
    /// The first 12 bytes of a room id: what a session key says of its room.
    Room12, 12, HEXLOWER, "room prefix", "24 lower-case hex digits"
);
fixed_text!(
    /// A SHA-256 over a statement's preimage, a body, or a log.
    Digest, 32, HEXLOWER, "digest", "64 lower-case hex digits"
);
fixed_text!(
    /// 32 random bytes that make one login unlike any other.
    Nonce, 32, BASE64URL_NOPAD, "nonce", "43 characters of base64url"
);
fixed_text!(
    /// 16 random bytes that make one genesis unlike any other of the same owner.
    Salt, 16, BASE64URL_NOPAD, "salt", "22 characters of base64url"
);
fixed_text!(
    /// An Ed25519 signature.
    Signature, 64, BASE64URL_NOPAD, "signature", "86 characters of base64url"
);

impl BlobId {
    /// Returns the id of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl RoomId {
    /// Returns the first 12 bytes.
    pub fn room12(&self) -> Room12 {
        let (first, _) = self.0.split_first_chunk().expect("32 bytes have 12 first ones");
        Room12(*first)
    }
}

impl Digest {
    /// Returns the SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// Room ids are digests by rule; this is the only way from one to the other.
impl From<Digest> for RoomId {
    fn from(digest: Digest) -> Self {
        Self(digest.0)
    }
}

/// The log of a room begins with the room's id as its value.
impl From<RoomId> for Digest {
    fn from(room: RoomId) -> Self {
        Self(room.0)
    }
}

/// The beginning of a blob id as a person types it: 4 to 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct BlobPrefix(String);

impl BlobPrefix {
    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Says whether `id` begins with these digits.
    pub fn matches(&self, id: &BlobId) -> bool {
        id.to_string().starts_with(&self.0)
    }

    /// Returns the lowest and the highest id that begins with these digits, for a look-up in an index.
    ///
    /// ```
    /// let (lowest, highest) = "2cf24".parse::<protocol::id::BlobPrefix>()?.range();
    /// assert!(lowest.to_string().starts_with("2cf24000") && highest.to_string().starts_with("2cf24fff"));
    /// # Ok::<(), protocol::id::ParseError>(())
    /// ```
    pub fn range(&self) -> (BlobId, BlobId) {
        let filled = |digit: &str| {
            let text = format!("{}{}", self.0, digit.repeat(ID_DIGITS - self.0.len()));
            text.parse().expect("64 digits are an id")
        };
        (filled("0"), filled("f"))
    }

    /// Returns the whole id when the prefix is one.
    pub fn whole(&self) -> Option<BlobId> {
        self.0.parse().ok()
    }
}

impl fmt::Display for BlobPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BlobPrefix {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if digits && (PREFIX_DIGITS_MIN..=ID_DIGITS).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError::Malformed { kind: "handoff id", expected: "4 to 64 lower-case hex digits" })
        }
    }
}

impl<'de> Deserialize<'de> for BlobPrefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl From<BlobId> for BlobPrefix {
    fn from(id: BlobId) -> Self {
        Self(id.to_string())
    }
}

/// The length of a whole id in hex digits.
const ID_DIGITS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = BlobId::of(b"hello");
        let text = id.to_string();
        assert_eq!(text.parse::<BlobId>(), Ok(id));
        for wrong in
            [text.to_uppercase(), text[..63].to_owned(), format!("{text}0"), format!("g{}", &text[1..])]
        {
            assert!(wrong.parse::<BlobId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn base64url_refuses_padding_and_trailing_bits() {
        let salt = Salt::from_bytes([7; 16]);
        assert_eq!(salt.to_string(), "BwcHBwcHBwcHBwcHBwcHBw");
        assert!("BwcHBwcHBwcHBwcHBwcHBw==".parse::<Salt>().is_err());
        assert!("BwcHBwcHBwcHBwcHBwcHBx".parse::<Salt>().is_err(), "unused bits must be zero");
    }

    #[test]
    fn a_prefix_is_4_to_64_digits() {
        assert!("2cf".parse::<BlobPrefix>().is_err());
        assert!("2cf2".parse::<BlobPrefix>().is_ok_and(|prefix| prefix.matches(&BlobId::of(b"hello"))));
        assert!("2CF2".parse::<BlobPrefix>().is_err());
    }
}
