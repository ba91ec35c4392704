//! The one cleaner for what a peer wrote, before it reaches a terminal, a model, a hook or a page.
//!
//! No ESC, no C0 or C1 controls, no bidirectional controls, no invisible characters: each becomes U+FFFD, so that something
//! shows where something was hidden.

use std::borrow::Cow;

/// Returns `text` for one line: line breaks and tabs become spaces, everything that does not show becomes U+FFFD.
///
/// ```
/// assert_eq!(protocol::clean::line("fix\u{1b}[2J\u{202e}x\ny"), "fix\u{fffd}[2J\u{fffd}x y");
/// ```
pub fn line(text: &str) -> Cow<'_, str> {
    replace(text, |character| match character {
        '\n' | '\t' | '\r' => Some(' '),
        _ if is_hidden(character) => Some(char::REPLACEMENT_CHARACTER),
        _ => None,
    })
}

/// Returns `text` for several lines: line feeds and tabs stay, everything else that does not show becomes U+FFFD.
pub fn block(text: &str) -> Cow<'_, str> {
    replace(text, |character| match character {
        '\n' | '\t' => None,
        _ if is_hidden(character) => Some(char::REPLACEMENT_CHARACTER),
        _ => None,
    })
}

/// Says whether `character` shows nothing, changes the order of what shows, or controls a terminal.
pub fn is_hidden(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Soft hyphen, joiners and fillers that take no room.
        | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}'
        | '\u{180b}'..='\u{180f}'
        // Zero-width characters, directional marks, line and paragraph separators, embeddings and overrides.
        | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        // Word joiner, invisible operators, isolates, deprecated controls.
        | '\u{2060}'..='\u{206f}'
        // Variation selectors, byte order mark, interlinear annotation.
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
        // Hieroglyphic joiners, and the pattern of no dots, which looks like a space and is none.
        | '\u{13430}'..='\u{1343f}' | '\u{2800}'
        // Musical formatting, shorthand formatting, tags and further selectors.
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

fn replace(text: &str, with: impl Fn(char) -> Option<char>) -> Cow<'_, str> {
    if text.chars().all(|character| with(character).is_none()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|character| with(character).unwrap_or(character)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_shows_stays_as_it_is() {
        for text in ["feat: add X", "Übergrößenträger", "日本語 עברית العربية", "a\u{301}", "🦀 emoji"]
        {
            assert!(matches!(line(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn a_block_keeps_its_lines_and_nothing_that_moves_the_cursor() {
        assert_eq!(block("a\tb\r\nc\u{9b}31m"), "a\tb\u{fffd}\nc\u{fffd}31m");
    }

    proptest! {
        #![proptest_config(crate::cases(256))]

        #[test]
        fn nothing_hidden_passes(text in any::<String>()) {
            prop_assert!(!line(&text).chars().any(is_hidden));
            prop_assert!(block(&text).chars().all(|character| !is_hidden(character) || matches!(character, '\n' | '\t')));
            let once = line(&text);
            prop_assert_eq!(line(&once), once.clone());
        }
    }
}
