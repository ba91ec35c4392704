//! Names that look the same or nearly so, by the tables of Unicode (UTS 39).

use protocol::key::AgentId;
use unicode_security::skeleton;

/// Returns the other names among `names` that can be taken for that of `one`.
pub(super) fn confusable_with(one: (AgentId, &str), names: &[(AgentId, &str)]) -> Vec<String> {
    let look = look(one.1);
    let others = names.iter().filter(|(id, name)| *id != one.0 && self::look(name) == look);
    let mut found: Vec<_> = others.map(|(_, name)| (*name).to_owned()).collect();
    found.sort();
    found.dedup();
    found
}

/// Returns what a name looks like: two with the same can be taken for each other.
fn look(name: &str) -> String {
    // The skeleton before the case: it is by their small letters that people confuse `I` and `l`, and after it, since it can
    // give capitals; blanks do not catch the eye.
    let small = skeleton(name).collect::<String>().to_lowercase();
    skeleton(&small).filter(|character| !character.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::key::AgentKey;

    #[test]
    fn names_that_look_alike_are_told_and_others_are_not() {
        let id = |seed: u8| AgentKey::from_seed(&[seed; 32]).public();
        let names = [(id(1), "ana/app"), (id(2), "ben/app"), (id(3), "ana/app"), (id(4), "Bill")];
        for (name, alike) in [
            ("ana/app", vec!["ana/app"]),
            // Cyrillic letters.
            ("\u{430}n\u{430}/\u{430}pp", vec!["ana/app"]),
            ("Ana/App", vec!["ana/app"]),
            ("ana /app", vec!["ana/app"]),
            ("BiIl", vec!["Bill"]),
            ("anna/app", vec![]),
            ("ana/apq", vec![]),
        ] {
            assert_eq!(confusable_with((id(9), name), &names), alike, "{name}");
        }
        assert_eq!(confusable_with((id(2), "ben/app"), &names), Vec::<String>::new(), "not with oneself");
    }
}
