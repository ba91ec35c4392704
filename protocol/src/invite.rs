//! Session keys: the secret that lets somebody *ask* to join, and the one text form of it.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE32_NOPAD, Encoding, Specification};
use sha2::{Digest as _, Sha256};

use crate::id::Room12;
use crate::key::InviteKey;
use crate::limits::ORIGIN_BYTES_MAX;

/// What the owner of a session hands to those who shall ask to join. It names the room and may name the hub.
///
/// The secret never travels to a hub, which knows the public half of the key made of it.
///
/// ```
/// use protocol::{id::Room12, invite::SessionKey};
/// let key = SessionKey::new([4; 16], Room12::from_bytes([7; 12]), Some("wss://hub.example:443".into()));
/// let text = key.to_string();
/// assert_eq!(text.parse::<SessionKey>()?, key);
/// assert!(text.replace('d', "e").parse::<SessionKey>().is_err(), "a typing error is noticed");
/// # Ok::<(), protocol::invite::SessionKeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKey {
    secret: [u8; SECRET_BYTES],
    room12: Room12,
    origin: Option<String>,
}

/// Says why a text is no session key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionKeyError {
    /// It has not the form of one.
    #[error("a session key begins with gp1- and has {TEXT_CHARACTERS} characters behind it")]
    Malformed,
    /// The check digits do not fit: a letter is wrong or missing.
    #[error("the session key is mistyped: its check does not fit")]
    Mistyped,
    /// What stands behind `@` is no hub's origin.
    #[error("behind the `@` of a session key stands the hub's address, as in @wss://hub.example:443")]
    Origin,
}

impl SessionKey {
    /// Makes a key of a random `secret` for the room whose id begins with `room12`, reached at `origin` if that is given.
    pub fn new(secret: [u8; SECRET_BYTES], room12: Room12, origin: Option<String>) -> Self {
        Self { secret, room12, origin }
    }

    /// Returns how the id of its room begins.
    pub fn room12(&self) -> Room12 {
        self.room12
    }

    /// Returns the origin of the hub, as it is dialled, if the key names one.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Returns the key pair that the secret stands for.
    pub fn invite_key(&self) -> InviteKey {
        InviteKey::from_seed(&self.hash(b"git-parler/v1/invite\0"))
    }

    fn check(&self) -> [u8; CHECK_BYTES] {
        let [a, b, ..] = self.hash(b"git-parler/v1/key\0");
        [a, b]
    }

    fn hash(&self, label: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(label);
        hash.update(self.secret);
        hash.update(self.room12.as_bytes());
        hash.finalize().into()
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(KEY_BYTES);
        bytes.extend_from_slice(&self.secret);
        bytes.extend_from_slice(self.room12.as_bytes());
        bytes.extend_from_slice(&self.check());
        write!(f, "{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())?;
        match &self.origin {
            Some(origin) => write!(f, "@{origin}"),
            None => Ok(()),
        }
    }
}

impl FromStr for SessionKey {
    type Err = SessionKeyError;

    fn from_str(text: &str) -> Result<Self, SessionKeyError> {
        let rest = text.strip_prefix(PREFIX).ok_or(SessionKeyError::Malformed)?;
        let (digits, origin) = match rest.split_once('@') {
            Some((digits, origin)) => (digits, Some(origin)),
            None => (rest, None),
        };
        let bytes = lower_base32().decode(digits.as_bytes()).map_err(|_| SessionKeyError::Malformed)?;
        let bytes: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| SessionKeyError::Malformed)?;
        let (secret, rest) = bytes.split_first_chunk().ok_or(SessionKeyError::Malformed)?;
        let (room12, check) = rest.split_first_chunk().ok_or(SessionKeyError::Malformed)?;
        let key = Self::new(*secret, Room12::from_bytes(*room12), origin.map(str::to_owned));
        if check != key.check() {
            return Err(SessionKeyError::Mistyped);
        }
        if !origin.is_none_or(is_origin) {
            return Err(SessionKeyError::Origin);
        }
        Ok(key)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey(for {})", self.room12)
    }
}

/// Says whether `text` can be an origin. What it means exactly, who dials it decides.
fn is_origin(text: &str) -> bool {
    let is_url = text.strip_prefix("ws://").or_else(|| text.strip_prefix("wss://"));
    text.len() <= ORIGIN_BYTES_MAX
        && (text == "local"
            || is_url
                .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic())))
}

fn lower_base32() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification.encoding().expect("32 different symbols")
}

/// The length of a session key's secret, in bytes.
pub const SECRET_BYTES: usize = 16;
const CHECK_BYTES: usize = 2;
const KEY_BYTES: usize = SECRET_BYTES + 12 + CHECK_BYTES;
const TEXT_CHARACTERS: usize = KEY_BYTES * 8 / 5;
const PREFIX: &str = "gp1-";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RoomId;

    fn key() -> SessionKey {
        let room: RoomId =
            "7c2f378e5def7b7dd9873eb0cd32fe4131bc06a9321ca73337951c3ee885a838".parse().expect("a room id");
        SessionKey::new([4; 16], room.room12(), None)
    }

    #[test]
    fn the_worked_example_has_the_text_and_invite_key_of_the_specification() {
        let text = "gp1-aqcaibaeaqcaibaeaqcaibaear6c6n4olxxxw7ozq47lasrg";
        assert_eq!(key().to_string(), text);
        assert_eq!(text.parse(), Ok(key()));
        assert_eq!(
            key().invite_key().public().to_string(),
            "e4aaf0a1c2cefde7fbe73f300fc1d3c79e98f7fb29bf7bb89c92ba4974fc0908"
        );
    }

    #[test]
    fn every_single_typing_error_is_noticed() {
        let text = key().to_string();
        let mut noticed = 0;
        for at in PREFIX.len()..text.len() {
            for other in
                "abcdefghijklmnopqrstuvwxyz234567".chars().filter(|c| text.as_bytes()[at] != *c as u8)
            {
                let mut typed = text.clone();
                typed.replace_range(at..=at, &other.to_string());
                noticed += usize::from(typed.parse::<SessionKey>() == Err(SessionKeyError::Mistyped));
            }
        }
        // Two check bytes miss one in 65,536, and there are 1,488 errors of one letter.
        assert_eq!(noticed, 48 * 31);
    }

    #[test]
    fn what_is_no_session_key_is_told_from_a_mistyped_one() {
        let text = key().to_string();
        for (typed, error) in [
            ("", SessionKeyError::Malformed),
            (&text[4..], SessionKeyError::Malformed),
            (&text[..text.len() - 1], SessionKeyError::Malformed),
            (&text.to_uppercase(), SessionKeyError::Malformed),
            (&format!("{text}a"), SessionKeyError::Malformed),
            (&format!("{text}@"), SessionKeyError::Origin),
            (&format!("{text}@http://hub.example"), SessionKeyError::Origin),
            (&format!("{text}@ws://a b"), SessionKeyError::Origin),
            (&format!("{text}@ws://{}", "a".repeat(ORIGIN_BYTES_MAX)), SessionKeyError::Origin),
        ] {
            assert_eq!(typed.parse::<SessionKey>(), Err(error), "{typed}");
        }
        for origin in ["local", "ws://127.0.0.1:7419", "wss://hub.example:443", "ws://[::1]:9"] {
            let typed = format!("{text}@{origin}");
            assert_eq!(typed.parse::<SessionKey>().map(|key| key.to_string()), Ok(typed.clone()));
        }
        assert_eq!(format!("{:?}", key()), "SessionKey(for 7c2f378e5def7b7dd9873eb0)");
    }
}
