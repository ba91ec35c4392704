//! Names that can be taken for another: that look the same or nearly so, by the tables of Unicode (UTS 39), or that hold it.

use protocol::key::AgentId;
use unicode_security::skeleton;

/// A name, and what it looks like: that is dear, and found once for each.
#[derive(Debug)]
pub(super) struct Look<'a> {
    of: AgentId,
    name: &'a str,
    /// The look without blanks, which do not catch the eye.
    blankless: String,
    words: Vec<String>,
}

impl<'a> Look<'a> {
    pub(super) fn new(of: AgentId, name: &'a str) -> Self {
        let look = look(name);
        let words = look.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        Self {
            of,
            name,
            blankless: look.split_whitespace().collect(),
            words: words.map(str::to_owned).collect(),
        }
    }

    /// Returns the names of others among `all` that can be taken for this one.
    pub(super) fn confusable_with(&self, all: &[Self]) -> Vec<String> {
        let others = all.iter().filter(|other| other.of != self.of && self.brings_to_mind(other));
        let mut found: Vec<_> = others.map(|other| other.name.to_owned()).collect();
        found.sort();
        found.dedup();
        found
    }

    /// Says whether who reads this name may think of `other`: it is the same but for blanks, or begins with it, or has it among
    /// its words.
    fn brings_to_mind(&self, other: &Self) -> bool {
        let (whole, part) = (&self.blankless, &other.blankless);
        if whole == part || (part.chars().count() >= BEGINNING_CHARS_MIN && whole.starts_with(part)) {
            return true;
        }
        let wanted = &other.words;
        !wanted.is_empty() && self.words.windows(wanted.len()).any(|some| some == wanted)
    }
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
        let names = names.map(|(of, name)| Look::new(of, name));
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
            assert_eq!(Look::new(id(9), name).confusable_with(&names), alike, "{name}");
        }
        assert_eq!(names[1].confusable_with(&names), Vec::<String>::new(), "not with oneself");
    }
}
