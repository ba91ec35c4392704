//! The one signed thing: bytes, who signed them, and the proof that somebody checked.
//!
//! A [`Signed`] statement is what travels and gives no access to its contents; [`Signed::verify`] is the only way to a
//! [`Verified`] one. The type of a statement never travels: the place where it stands says what it must be.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::marker::PhantomData;

use crate::clean;
use crate::id::{Digest, Signature};
use crate::json::{self, JsonError};
use crate::key::{Kind, PublicKey, SecretKey};
use crate::limits::{FEATURE_CHARACTERS_MAX, STATEMENT_BYTES_MAX};

/// A type of statement: its label in the preimage, and the kind of key that signs it.
pub trait Statement: Serialize + DeserializeOwned {
    /// The label, unique among all statements.
    const TYPE: &'static str;
    /// The kind of key that signs it.
    type Author: Kind;

    /// Whether a feature that `needs` names and the reader lacks makes the whole statement void. A message still counts then,
    /// and only its body must not be shown.
    const IS_VOID_WITHOUT_NEEDS: bool = true;

    /// Says whether the statement may have been written as `bytes`. Few statements have only one writing.
    fn is_written(&self, _bytes: &str) -> bool {
        true
    }
}

/// A statement as it travels: unverified, its contents out of reach.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Signed<S: Statement> {
    by: PublicKey<S::Author>,
    bytes: String,
    sig: Signature,
    #[serde(skip)]
    statement: PhantomData<fn() -> S>,
}

/// A statement whose signature was checked, or which we signed ourselves.
pub struct Verified<S: Statement> {
    signed: Signed<S>,
    digest: Digest,
    statement: S,
}

/// A signature under the digest of somebody else's statement; it holds for that statement alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Countersigned<K: Kind> {
    by: PublicKey<K>,
    sig: Signature,
}

/// Says why a statement does not count.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// The signature is not by the key it names, over these bytes, as a statement of this type.
    #[error("the signature of a {0} statement is wrong")]
    BadSignature(&'static str),
    /// The signed bytes are not a statement of this type.
    #[error("the signed bytes are no {kind} statement")]
    BadShape {
        /// The type that was expected.
        kind: &'static str,
        /// What is wrong with them.
        #[source]
        source: JsonError,
    },
    /// The signed bytes are longer than any statement.
    #[error("a {0} statement is longer than {STATEMENT_BYTES_MAX} bytes")]
    TooLong(&'static str),
    /// The statement names a feature that this version does not know, and must not be understood without it.
    #[error("a {kind} statement needs a newer git-parler: {feature}")]
    NeedsNewer {
        /// The statement's type.
        kind: &'static str,
        /// The first feature that is missing, cleaned and cut.
        feature: String,
    },
}

/// Signs `statement` with `key`.
///
/// ```
/// use protocol::{key::UserKey, signed, statement::Seat, key::AgentKey};
/// let user = UserKey::from_seed(&[2; 32]);
/// let seat = AgentKey::from_seed(&[3; 32]).public();
/// let vouched = signed::sign(&user, Seat { seat, name: "ana/app".into(), issued: 0, expires: 1000 });
/// let received = vouched.signed().clone();
/// assert_eq!(received.verify()?.statement().name, "ana/app");
/// # Ok::<(), signed::StatementError>(())
/// ```
pub fn sign<S: Statement>(key: &SecretKey<S::Author>, statement: S) -> Verified<S> {
    let by = key.public();
    let bytes = json::write(&statement);
    let preimage = preimage(S::TYPE, &by, bytes.as_bytes());
    let signed = Signed { by, bytes, sig: key.sign_bytes(&preimage), statement: PhantomData };
    Verified { signed, digest: Digest::of(&preimage), statement }
}

/// Signs the digest of another's statement as a countersignature of type `kind`.
pub fn countersign<K: Kind>(key: &SecretKey<K>, kind: &str, digest: &Digest) -> Countersigned<K> {
    let by = key.public();
    Countersigned { by, sig: key.sign_bytes(&preimage(kind, &by, digest.as_bytes())) }
}

impl<S: Statement> Signed<S> {
    /// Puts a statement together again that was taken apart by [`Verified::parts`], as unverified as anything received.
    pub fn from_parts(by: PublicKey<S::Author>, bytes: String, sig: Signature) -> Self {
        Self { by, bytes, sig, statement: PhantomData }
    }

    /// Returns who claims to have signed.
    pub fn by(&self) -> PublicKey<S::Author> {
        self.by
    }

    /// Returns the SHA-256 of the preimage: the statement's id. It says nothing about the signature.
    pub fn digest(&self) -> Digest {
        Digest::of(&preimage(S::TYPE, &self.by, self.bytes.as_bytes()))
    }

    /// Returns the length of the signed JSON text in bytes.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Checks the signature strictly, then reads the statement.
    ///
    /// # Errors
    ///
    /// [`StatementError`]: too long, a wrong signature, a feature this version lacks, or bytes of another shape.
    pub fn verify(self) -> Result<Verified<S>, StatementError> {
        if self.bytes.len() > STATEMENT_BYTES_MAX {
            return Err(StatementError::TooLong(S::TYPE));
        }
        let preimage = preimage(S::TYPE, &self.by, self.bytes.as_bytes());
        if !self.by.has_signed(&preimage, &self.sig) {
            return Err(StatementError::BadSignature(S::TYPE));
        }
        let statement = self.read()?;
        Ok(Verified { digest: Digest::of(&preimage), statement, signed: self })
    }

    /// Reads the signed bytes; what they need comes before what they say.
    fn read(&self) -> Result<S, StatementError> {
        let bad_shape = |source| StatementError::BadShape { kind: S::TYPE, source };
        let Needs { needs } = json::parse(&self.bytes).map_err(bad_shape)?;
        if let Some(feature) = needs.first().filter(|_| S::IS_VOID_WITHOUT_NEEDS) {
            let feature = clean::line(feature).chars().take(FEATURE_CHARACTERS_MAX).collect();
            return Err(StatementError::NeedsNewer { kind: S::TYPE, feature });
        }
        let statement: S = json::parse(&self.bytes).map_err(bad_shape)?;
        if !statement.is_written(&self.bytes) {
            let other = serde_json::Error::custom("there is only one writing of it, and this is another");
            return Err(bad_shape(JsonError::Shape(other)));
        }
        Ok(statement)
    }
}

/// What any statement may name: features without which it must not be understood.
#[derive(Deserialize)]
struct Needs {
    #[serde(default)]
    needs: Vec<String>,
}

impl<S: Statement> Verified<S> {
    /// Returns who signed.
    pub fn by(&self) -> PublicKey<S::Author> {
        self.signed.by
    }

    /// Returns the statement's id.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns what was signed.
    pub fn statement(&self) -> &S {
        &self.statement
    }

    /// Returns signer, signed JSON text and signature, for a store that keeps them in columns of their own.
    pub fn parts(&self) -> (PublicKey<S::Author>, &str, Signature) {
        (self.signed.by, &self.signed.bytes, self.signed.sig)
    }

    /// Returns the form that travels.
    pub fn signed(&self) -> &Signed<S> {
        &self.signed
    }
}

impl<K: Kind> Countersigned<K> {
    /// Returns who claims to have countersigned.
    pub fn by(&self) -> PublicKey<K> {
        self.by
    }

    /// Says whether this is the named key's countersignature of type `kind` under `digest`.
    pub fn holds(&self, kind: &str, digest: &Digest) -> bool {
        self.by.has_signed(&preimage(kind, &self.by, digest.as_bytes()), &self.sig)
    }
}

/// Returns the bytes that are signed: label with type, key, bytes.
fn preimage<K: Kind>(kind: &str, key: &PublicKey<K>, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(LABEL.len() + kind.len() + 33 + bytes.len());
    out.extend_from_slice(LABEL.as_bytes());
    out.extend_from_slice(kind.as_bytes());
    out.push(0);
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(bytes);
    out
}

/// Returns the value of a room's log after entry `seq`, whose statement has `digest`, given the value before it.
pub(crate) fn log_value(before: &Digest, seq: u64, digest: &Digest) -> Digest {
    let mut hash = Sha256::new();
    hash.update(LABEL);
    hash.update(b"log\0");
    hash.update(before.as_bytes());
    hash.update(seq.to_be_bytes());
    hash.update(digest.as_bytes());
    Digest::from_bytes(hash.finalize().into())
}

impl<S: Statement> Clone for Signed<S> {
    fn clone(&self) -> Self {
        Self { by: self.by, bytes: self.bytes.clone(), sig: self.sig, statement: PhantomData }
    }
}
impl<S: Statement> PartialEq for Signed<S> {
    fn eq(&self, other: &Self) -> bool {
        (self.by, &self.bytes, self.sig) == (other.by, &other.bytes, other.sig)
    }
}
impl<S: Statement> Eq for Signed<S> {}
impl<S: Statement> fmt::Debug for Signed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unverified {} by {}", S::TYPE, self.by)
    }
}
impl<S: Statement + Clone> Clone for Verified<S> {
    fn clone(&self) -> Self {
        Self { signed: self.signed.clone(), digest: self.digest, statement: self.statement.clone() }
    }
}
impl<S: Statement> fmt::Debug for Verified<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} by {}: {}", S::TYPE, self.digest, self.signed.by, self.signed.bytes)
    }
}

/// What every preimage begins with; the `v1` changes only when a preimage does.
const LABEL: &str = "git-parler/v1/";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{AgentKey, UserKey};
    use crate::statement::{Genesis, RoomKind, Seat};

    fn seat() -> Verified<Seat> {
        let seat = AgentKey::from_seed(&[3; 32]).public();
        sign(&UserKey::from_seed(&[2; 32]), Seat { seat, name: "ana/app".into(), issued: 0, expires: 1 })
    }

    #[test]
    fn a_changed_bit_anywhere_is_noticed() {
        let text = json::write(seat().signed());
        let mut survivors = 0;
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            if json::parse::<Signed<Seat>>(&changed).is_ok_and(|signed| signed.verify().is_ok()) {
                survivors += 1;
            }
        }
        assert_eq!(survivors, 0);
    }

    #[test]
    fn a_signature_of_one_type_is_worthless_as_another() {
        let text = json::write(seat().signed());
        let as_genesis: Signed<Genesis> = json::parse(&text).expect("same wire form");
        assert!(matches!(as_genesis.verify(), Err(StatementError::BadSignature("genesis"))));
    }

    #[test]
    fn a_genesis_with_unknown_needs_is_unusable() {
        let user = UserKey::from_seed(&[2; 32]);
        let hub = crate::key::HubKey::from_seed(&[1; 32]).public();
        let genesis = Genesis { hub, kind: RoomKind::Home, salt: None, needs: vec!["sealed".into()] };
        let received = sign(&user, genesis).signed().clone();
        assert!(matches!(received.verify(), Err(StatementError::NeedsNewer { .. })));
    }

    /// Signs `bytes` as they are: what a peer may do and we never do.
    fn by_hand<S: Statement>(key: &SecretKey<S::Author>, bytes: &str) -> Signed<S> {
        let by = key.public();
        let sig = key.sign_bytes(&preimage(S::TYPE, &by, bytes.as_bytes()));
        Signed { by, bytes: bytes.to_owned(), sig, statement: PhantomData }
    }

    #[test]
    fn needs_bind_every_statement_but_a_message() {
        let user = UserKey::from_seed(&[2; 32]);
        let agent = AgentKey::from_seed(&[3; 32]);
        let seat = json::write(seat().statement());
        let seat = format!("{},\"needs\":[\"x\\u001b[2J\"]}}", seat.strip_suffix('}').expect("an object"));
        match by_hand::<Seat>(&user, &seat).verify() {
            Err(StatementError::NeedsNewer { kind: "seat", feature }) => assert_eq!(feature, "x\u{fffd}[2J"),
            other => panic!("{other:?}"),
        }
        let login = r#"{"needs":["other fields than these"]}"#;
        let login = by_hand::<crate::statement::Login>(&agent, login).verify();
        assert!(matches!(login, Err(StatementError::NeedsNewer { kind: "login", .. })), "{login:?}");
        let id = "00".repeat(32);
        let message = format!(
            r#"{{"room":"{id}","n":1,"head":{{"seq":0,"log":"{id}"}},"sent":1,"epoch":0,"body":"{id}","needs":["sealed"]}}"#
        );
        let message = by_hand::<crate::statement::Message>(&agent, &message).verify();
        assert_eq!(message.expect("it counts").statement().needs, ["sealed"]);
    }

    #[test]
    fn a_statement_has_a_longest_length() {
        let user = UserKey::from_seed(&[2; 32]);
        let padded = |length: usize| {
            let text = json::write(seat().statement());
            let spaces = " ".repeat(length - text.len());
            by_hand::<Seat>(&user, &format!("{text}{spaces}")).verify()
        };
        assert!(padded(STATEMENT_BYTES_MAX).is_ok());
        assert!(matches!(padded(STATEMENT_BYTES_MAX + 1), Err(StatementError::TooLong("seat"))));
    }

    #[test]
    fn a_home_has_one_writing_on_a_hub() {
        let user = UserKey::from_seed(&[2; 32]);
        let hub = crate::key::HubKey::from_seed(&[1; 32]).public();
        let home = format!(r#"{{"hub":"{hub}","kind":"home"}}"#);
        assert!(by_hand::<Genesis>(&user, &home).verify().is_ok());
        for second in [
            format!(r#"{{"kind":"home","hub":"{hub}"}}"#),
            format!(r#"{{"hub":"{hub}","kind":"home","salt":null}}"#),
            format!(r#"{{"hub":"{hub}","kind":"home","salt":"BwcHBwcHBwcHBwcHBwcHBw"}}"#),
            format!(r#"{{"hub":"{hub}","kind":"home"}} "#),
        ] {
            let other = by_hand::<Genesis>(&user, &second).verify();
            assert!(matches!(other, Err(StatementError::BadShape { kind: "genesis", .. })), "{second}");
        }
        let session = format!(r#"{{"kind":"session","hub":"{hub}"}}"#);
        assert!(by_hand::<Genesis>(&user, &session).verify().is_ok(), "its author chooses the bytes");
    }

    #[test]
    fn a_countersignature_holds_for_one_digest_and_type() {
        let key = crate::key::JoinKey::from_join_secret("gpj1-abcdefghijklmnopqrstuvwxyz");
        let digest = Digest::of(b"login");
        let pass = countersign(&key, "pass", &digest);
        assert!(pass.holds("pass", &digest));
        assert!(!pass.holds("ask", &digest));
        assert!(!pass.holds("pass", &Digest::of(b"another login")));
    }
}
