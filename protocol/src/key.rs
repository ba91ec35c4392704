//! Ed25519 keys by kind: agent (a seat), user, hub, and the bare keys made from shared secrets.
//!
//! A key of one kind does not parse as another. Keys are always made by us, never imported from a system that signs with them.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use crc::{CRC_16_XMODEM, Crc};
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use crate::id::{ParseError, Signature};

/// A kind of key, told apart by its text form.
pub trait Kind: Copy + Eq + Ord + std::hash::Hash + Send + Sync + 'static {
    /// What a key of this kind is called in messages.
    const NAME: &'static str;
    /// The nkey prefix byte, or none for keys that are written as hex because they are no identities.
    const PREFIX: Option<u8>;
}

macro_rules! kind {
    ($(#[$doc:meta])* $kind:ident, $name:literal, $prefix:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $kind {}

        impl Kind for $kind {
            const NAME: &'static str = $name;
            const PREFIX: Option<u8> = $prefix;
        }
    };
}

kind!(/** The kind of a seat's key, `U…`. */ Agent, "agent id", Some(160));
kind!(/** The kind of a user's key, `A…`. */ User, "user id", Some(0));
kind!(/** The kind of a hub's key, `N…`. */ Hub, "hub id", Some(104));
kind!(/** The kind of a closed hub's join key, 64 hex digits. */ Join, "join key", None);
kind!(/** The kind of the key that a session key stands for, 64 hex digits. */ Invite, "invite key", None);

/// The public half of a key of kind `K`.
pub struct PublicKey<K> {
    bytes: [u8; 32],
    kind: PhantomData<K>,
}

/// The secret half of a key of kind `K`; its text form is a seed and is never shown.
pub struct SecretKey<K> {
    key: SigningKey,
    kind: PhantomData<K>,
}

/// Names a seat: the agent that logs in and writes messages.
pub type AgentId = PublicKey<Agent>;
/// Names a user, who vouches for seats and owns rooms.
pub type UserId = PublicKey<User>;
/// Names a hub.
pub type HubId = PublicKey<Hub>;
/// What a closed hub stores to check that a client knows the join secret.
pub type JoinId = PublicKey<Join>;
/// What a hub stores of a session key, and what the owner's word on it names.
pub type InviteId = PublicKey<Invite>;
/// A seat's key.
pub type AgentKey = SecretKey<Agent>;
/// A user's key.
pub type UserKey = SecretKey<User>;
/// A hub's key.
pub type HubKey = SecretKey<Hub>;
/// The key that a join secret stands for.
pub type JoinKey = SecretKey<Join>;
/// The key that a session key stands for.
pub type InviteKey = SecretKey<Invite>;

impl<K: Kind> PublicKey<K> {
    /// Takes the raw 32 bytes. Whether they are a point on the curve shows when a signature is checked.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self { bytes, kind: PhantomData }
    }

    /// Returns the raw 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Says whether `signature` over `bytes` is by this key, by the strict rules (no small order, canonical values).
    pub fn has_signed(&self, bytes: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
        VerifyingKey::from_bytes(&self.bytes).is_ok_and(|key| key.verify_strict(bytes, &signature).is_ok())
    }
}

impl<K: Kind> SecretKey<K> {
    /// Makes a key of 32 secret bytes. The same bytes make the same key.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(seed), kind: PhantomData }
    }

    /// Returns the public half.
    pub fn public(&self) -> PublicKey<K> {
        PublicKey::from_bytes(self.key.verifying_key().to_bytes())
    }

    /// Signs `bytes`. Statements go through [`crate::signed`], which composes what is signed.
    pub(crate) fn sign_bytes(&self, bytes: &[u8]) -> Signature {
        Signature::from_bytes(self.key.sign(bytes).to_bytes())
    }

    /// Returns the nkey seed text (`SU…`, `SA…`, `SN…`) for a file of mode 0600; `None` for kinds that have no such form.
    pub fn to_seed_text(&self) -> Option<String> {
        K::PREFIX.map(|prefix| {
            let mut bytes = vec![SEED_PREFIX | (prefix >> 5), (prefix & 31) << 3];
            bytes.extend_from_slice(&self.key.to_bytes());
            with_checksum(bytes)
        })
    }

    /// Reads the nkey seed text of a key of this kind; white space around it is not part of it.
    ///
    /// # Errors
    ///
    /// [`ParseError::Malformed`] when length, alphabet, checksum or kind are not those of such a seed.
    pub fn from_seed_text(text: &str) -> Result<Self, ParseError> {
        let malformed =
            ParseError::Malformed { kind: "seed", expected: "58 characters of an nkey seed of this kind" };
        let bytes = without_checksum(text.trim_ascii()).filter(|bytes| bytes.len() == 34);
        let (Some(bytes), Some(prefix)) = (bytes, K::PREFIX) else {
            return Err(malformed);
        };
        if bytes[0] != SEED_PREFIX | (prefix >> 5) || bytes[1] != (prefix & 31) << 3 {
            return Err(malformed);
        }
        let seed: [u8; 32] = bytes[2..].try_into().map_err(|_| malformed)?;
        Ok(Self::from_seed(&seed))
    }
}

impl JoinKey {
    /// Returns the key that a closed hub's join secret stands for.
    pub fn from_join_secret(secret: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"git-parler/v1/join-secret\0");
        hash.update(secret.as_bytes());
        Self::from_seed(&hash.finalize().into())
    }
}

impl InviteKey {
    /// Returns the key as one that passes at a closed hub: a live invite key stands in for the join key there.
    pub fn as_pass(&self) -> JoinKey {
        SecretKey { key: self.key.clone(), kind: PhantomData }
    }
}

impl From<JoinId> for InviteId {
    /// Takes the key of a pass that is not the hub's own for what it may be then: an invite's.
    fn from(pass: JoinId) -> Self {
        Self::from_bytes(pass.bytes)
    }
}

impl<K: Kind> FromStr for PublicKey<K> {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bytes = match K::PREFIX {
            None => HEXLOWER.decode(text.as_bytes()).ok(),
            Some(prefix) => {
                without_checksum(text).filter(|bytes| bytes[0] == prefix).map(|bytes| bytes[1..].to_vec())
            }
        };
        let expected = if K::PREFIX.is_some() {
            "56 characters of an nkey of this kind"
        } else {
            "64 lower-case hex digits"
        };
        let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(Self::from_bytes).ok_or(ParseError::Malformed { kind: K::NAME, expected })
    }
}

impl<K: Kind> fmt::Display for PublicKey<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match K::PREFIX {
            None => f.write_str(&HEXLOWER.encode(&self.bytes)),
            Some(prefix) => {
                let mut bytes = vec![prefix];
                bytes.extend_from_slice(&self.bytes);
                f.write_str(&with_checksum(bytes))
            }
        }
    }
}

impl<K: Kind> fmt::Debug for PublicKey<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl<K: Kind> fmt::Debug for SecretKey<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

impl<K> Clone for PublicKey<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for PublicKey<K> {}
impl<K> PartialEq for PublicKey<K> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}
impl<K> Eq for PublicKey<K> {}
impl<K> PartialOrd for PublicKey<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for PublicKey<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.bytes.cmp(&other.bytes)
    }
}
impl<K> std::hash::Hash for PublicKey<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl<K> Clone for SecretKey<K> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), kind: PhantomData }
    }
}

impl<K: Kind> Serialize for PublicKey<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Kind> Deserialize<'de> for PublicKey<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Returns base32 of `bytes` and their checksum.
fn with_checksum(mut bytes: Vec<u8>) -> String {
    let checksum = CHECKSUM.checksum(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    BASE32_NOPAD.encode(&bytes)
}

/// Returns the bytes of a text made by [`with_checksum`], without the checksum; at least one byte.
fn without_checksum(text: &str) -> Option<Vec<u8>> {
    let mut bytes = BASE32_NOPAD.decode(text.as_bytes()).ok()?;
    let end = bytes.len().checked_sub(2).filter(|end| *end > 0)?;
    let right = CHECKSUM.checksum(&bytes[..end]).to_le_bytes() == bytes[end..];
    bytes.truncate(end);
    right.then_some(bytes)
}

const CHECKSUM: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);
/// The first five bits of every nkey seed, the letter `S`.
const SEED_PREFIX: u8 = 18 << 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_forms_are_those_of_the_specification() {
        assert_eq!(
            HubKey::from_seed(&[1; 32]).public().to_string(),
            "NCFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVZFBA"
        );
        assert_eq!(
            UserKey::from_seed(&[2; 32]).public().to_string(),
            "ACATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZIL2R"
        );
        let seat = AgentKey::from_seed(&[3; 32]);
        assert_eq!(seat.public().to_string(), "UDWUSKGGFDI4FRXK5EBTRECZSVQSSWJHHJOGH6JWG3AUMFFMQ435C2U4");
        assert_eq!(
            seat.to_seed_text().as_deref(),
            Some("SUAAGAYDAMBQGAYDAMBQGAYDAMBQGAYDAMBQGAYDAMBQGAYDAMBQGA6BEM")
        );
    }

    #[test]
    fn a_key_of_another_kind_does_not_parse() {
        let hub = HubKey::from_seed(&[1; 32]);
        assert!(hub.public().to_string().parse::<AgentId>().is_err());
        assert!(AgentKey::from_seed_text(&hub.to_seed_text().expect("hubs have seeds")).is_err());
    }

    #[test]
    fn every_single_changed_character_is_noticed() {
        let text = UserKey::from_seed(&[2; 32]).public().to_string();
        for at in 0..text.len() {
            for letter in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" {
                let mut wrong = text.clone().into_bytes();
                wrong[at] = *letter;
                let wrong = String::from_utf8(wrong).expect("ascii");
                assert!(wrong == text || wrong.parse::<UserId>().is_err(), "{wrong}");
            }
        }
    }

    #[test]
    fn a_key_has_one_spelling() {
        let text = UserKey::from_seed(&[2; 32]).public().to_string();
        for wrong in [format!("{text}\n"), format!(" {text}"), text.to_lowercase(), format!("{text}=")] {
            assert!(wrong.parse::<UserId>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_seed_text_gives_the_key_back() {
        let key = UserKey::from_seed(&[9; 32]);
        let text = key.to_seed_text().expect("users have seeds");
        assert_eq!(UserKey::from_seed_text(&format!("{text}\n")).map(|key| key.public()), Ok(key.public()));
    }
}
