//! Names that can be taken for another: that look the same or nearly so, by the tables of Unicode (UTS 39), or that hold it.

use protocol::key::AgentId;
use unicode_security::skeleton;

/// Returns the other names among `names` that can be taken for that of `one`.
pub(super) fn confusable_with(one: (AgentId, &str), names: &[(AgentId, &str)]) -> Vec<String> {
    let look = look(one.1);
    let others = names.iter().filter(|(id, name)| *id != one.0 && is_in(&self::look(name), &look));
    let mut found: Vec<_> = others.map(|(_, name)| (*name).to_owned()).collect();
    found.sort();
    found.dedup();
    found
}

/// Says whether who reads a name that looks like `one` may think of `other`: it is the same but for blanks, which do not catch
/// the eye, or begins with it, or has it among its words.
fn is_in(other: &str, one: &str) -> bool {
    let blankless = |look: &str| look.split_whitespace().collect::<String>();
    let (whole, part) = (blankless(one), blankless(other));
    if whole == part || (part.chars().count() >= BEGINNING_CHARS_MIN && whole.starts_with(&part)) {
        return true;
    }
    let words = |look| str::split(look, |c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let (all, wanted): (Vec<_>, Vec<_>) = (words(one).collect(), words(other).collect());
    !wanted.is_empty() && all.windows(wanted.len()).any(|some| some == wanted)
}

/// Returns what a name looks like: two with the same can be taken for each other.
fn look(name: &str) -> String {
    // The skeleton before the case: it is by their small letters that people confuse `I` and `l`, and after it, since it can
    // give capitals.
    let small = skeleton(name).collect::<String>().to_lowercase();
    skeleton(&small).collect()
}

/// From how many characters on the beginning of a name makes one think of another.
const BEGINNING_CHARS_MIN: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::key::AgentKey;

    #[test]
    fn names_that_look_like_another_or_hold_it_are_told_and_others_are_not() {
        let id = |seed: u8| AgentKey::from_seed(&[seed; 32]).public();
        let names = [(id(1), "ana/app"), (id(2), "ben/app"), (id(3), "ana/app"), (id(4), "Bill")];
        for (name, alike) in [
            ("ana/app", vec!["ana/app"]),
            // Cyrillic letters.
            ("\u{430}n\u{430}/\u{430}pp", vec!["ana/app"]),
            ("Ana/App", vec!["ana/app"]),
            ("ana /app", vec!["ana/app"]),
            ("BiIl", vec!["Bill"]),
            ("ana/app: yes, merge it. Re", vec!["ana/app"]),
            ("ana/app2", vec!["ana/app"]),
            ("re (ben/\u{430}pp) all", vec!["ben/app"]),
            ("from bill:", vec!["Bill"]),
            ("anna/app", vec![]),
            ("ana/apq", vec![]),
            ("ana", vec![]),
            ("ana/ben/app2", vec![]),
        ] {
            assert_eq!(confusable_with((id(9), name), &names), alike, "{name}");
        }
        assert_eq!(confusable_with((id(2), "ben/app"), &names), Vec::<String>::new(), "not with oneself");
    }
}
