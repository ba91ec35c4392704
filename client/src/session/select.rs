//! What a name on the command line means: an id's beginning, the id as words, or the name if just one bears it.

use protocol::clean;

use super::{SessionError, Thing};

/// Something that can be named on the command line.
#[derive(Debug, Clone)]
pub(crate) struct Named<T> {
    /// What is meant.
    pub(crate) of: T,
    /// Its id, as text.
    pub(crate) id: String,
    /// Its id as words, where it has such.
    pub(crate) words: Option<String>,
    /// Its name, if it has one. Who is named has chosen it, so it can be anything, somebody else's id too.
    pub(crate) name: Option<String>,
}

/// Returns the one that `selector` names.
///
/// # Errors
/// [`SessionError::NoSuch`] when it names none; [`SessionError::Unclear`] when it could be more than one, in whatever way.
pub(crate) fn select<T>(
    what: Thing,
    selector: &str,
    all: impl IntoIterator<Item = Named<T>>,
) -> Result<T, SessionError> {
    let wanted = selector.trim();
    let words = wanted.to_lowercase().replace('-', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    let fits = |one: &Named<T>| {
        let is_prefix = wanted.len() >= DIGITS_MIN
            && one.id.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted));
        is_prefix || one.words.as_ref() == Some(&words) || one.name.as_deref() == Some(wanted)
    };
    let mut found: Vec<_> = all.into_iter().filter(fits).collect();
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only.of),
        (None, _) => Err(SessionError::NoSuch { what, selector: shown(selector) }),
        (Some(last), false) => {
            found.push(last);
            let candidates = found.iter().take(CANDIDATES_SHOWN).map(candidate).collect();
            Err(SessionError::Unclear { what, selector: shown(selector), candidates })
        }
    }
}

fn candidate<T>(one: &Named<T>) -> String {
    let id = one.id.get(..DIGITS_SHOWN).unwrap_or(&one.id);
    match &one.name {
        Some(name) => format!("{id} \"{}\"", shown(name)),
        None => id.to_owned(),
    }
}

/// Returns what somebody typed or chose as a name so that it can stand in a sentence.
fn shown(text: &str) -> String {
    clean::line(text).into_owned()
}

/// How much of an id has to be given.
const DIGITS_MIN: usize = 4;
const DIGITS_SHOWN: usize = 12;
const CANDIDATES_SHOWN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: &str, words: &str, name: &str) -> Named<String> {
        Named {
            of: id.to_owned(),
            id: id.to_owned(),
            words: Some(words.to_owned()),
            name: Some(name.to_owned()),
        }
    }

    fn all() -> Vec<Named<String>> {
        vec![
            named("UABCD2", "math cart funny snake trust deal", "ben/app"),
            named("UABCE3", "ready topic boss theme skill copy", "eve/app"),
            named("UXYZ44", "zoo zoo zoo zoo zoo zoo", "ben/app"),
            named("UQQQQ5", "art art art art art art", "UXYZ"),
        ]
    }

    #[test]
    fn an_id_a_prefix_the_words_and_a_name_that_one_alone_bears_all_do() {
        for (selector, id) in [
            ("UABCD2", "UABCD2"),
            ("uabcd", "UABCD2"),
            ("eve/app", "UABCE3"),
            (" Math cart  funny snake trust deal", "UABCD2"),
            ("zoo-zoo-zoo-zoo-zoo-zoo", "UXYZ44"),
        ] {
            assert_eq!(select(Thing::Joiner, selector, all()).unwrap(), id, "{selector}");
        }
    }

    #[test]
    fn what_could_be_two_is_nobody() {
        for selector in ["UABC", "ben/app", "UXYZ"] {
            let error = select(Thing::Joiner, selector, all()).unwrap_err();
            assert!(
                matches!(&error, SessionError::Unclear { candidates, .. } if candidates.len() == 2),
                "{error}"
            );
        }
        for selector in ["", "UAB", "U", "nobody", "math", "UABCD22222222"] {
            assert!(
                matches!(select(Thing::Joiner, selector, all()), Err(SessionError::NoSuch { .. })),
                "{selector}"
            );
        }
    }
}
