//! Ids as words: what two people read to each other before one of them approves the other.

use bip39::Language;
use sha2::{Digest as _, Sha256};

use crate::key::{Kind, PublicKey};

/// Returns `key` as six words of the BIP-39 English list, its first 66 bits under a hash of their own.
///
/// ```
/// use protocol::{key::AgentKey, words::words};
/// let seat = AgentKey::from_seed(&[3; 32]).public();
/// assert_eq!(words(&seat).split(' ').count(), 6);
/// ```
pub fn words<K: Kind>(key: &PublicKey<K>) -> String {
    let mut hash = Sha256::new();
    hash.update(b"git-parler/v1/words\0");
    hash.update(key.as_bytes());
    let hash = hash.finalize();
    let list = Language::English.word_list();
    let word = |at: usize| {
        let bits = (at * WORD_BITS..(at + 1) * WORD_BITS).map(|bit| hash[bit / 8] >> (7 - bit % 8) & 1);
        list[bits.fold(0, |index, bit| index << 1 | usize::from(bit))]
    };
    (0..WORDS).map(word).collect::<Vec<_>>().join(" ")
}

const WORDS: usize = 6;
/// The list has 2048 words.
const WORD_BITS: usize = 11;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{AgentKey, UserKey};

    #[test]
    fn words_tell_keys_apart_and_stay_the_same() {
        let seat = AgentKey::from_seed(&[3; 32]).public();
        let user = UserKey::from_seed(&[2; 32]).public();
        assert_eq!(words(&seat), "math cart funny snake trust deal");
        assert_eq!(words(&user), "ready topic boss theme skill copy");
    }
}
