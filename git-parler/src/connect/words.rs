//! Words as a shell reads them: spelled, and read again where they are spelled like that.

/// Spells `words` so that a shell reads just these.
pub(super) fn spelled(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let word = |word: &str| {
        if !word.is_empty() && word.chars().all(is_plain) {
            word.to_owned()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    words.into_iter().map(|it| word(it.as_ref())).collect::<Vec<_>>().join(" ")
}

/// Reads the words of one command; nothing where a shell would do more than start it, or may read it in another way.
pub(super) fn read(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            ' ' => words.extend(word.take()),
            '\'' => {
                let (quoted, behind) = rest.as_str().split_once('\'')?;
                word.get_or_insert_default().push_str(quoted);
                rest = behind.chars();
            }
            '\\' if rest.next() == Some('\'') => word.get_or_insert_default().push('\''),
            plain if is_plain(plain) => word.get_or_insert_default().push(plain),
            _ => return None,
        }
    }
    words.extend(word);
    Some(words)
}

/// Says whether a character is nothing but itself to a shell, wherever it stands.
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || "./_-:@%+=".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spelled_is_read_again() {
        for words in [
            &["git-parler", "--hub", "wss://hub.example:7419"][..],
            &["/opt/it's here/git-parler", "hook"],
            &["''", "", "\\", "$HOME; rm *", "a\"b", "\u{e4}\n"],
            &[],
        ] {
            let text = spelled(words);
            assert_eq!(read(&text).expect("words"), words, "{text}");
        }
        assert_eq!(spelled(["git-parler", "it's"]), r"git-parler 'it'\''s'");
    }

    #[test]
    fn what_a_shell_would_do_more_with_is_not_read() {
        for text in [
            "a && b", "a; b", "a | b", "a > b", "$a", "`a`", "\"a\"", "a\nb", "'a", "a\\", "a\\b", "~/a",
            "a*",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
