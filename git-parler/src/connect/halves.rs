//! Halves of a pair of surrogates, escaped: JavaScript writes them into JSON where it cut a text, and reads them again, but no
//! parser here does.

use std::borrow::Cow;

use super::tree::{Splice, spliced};

/// Returns `text` with every such half replaced by another escape of the same length: what a parser says of places in it holds
/// for `text`. Each by one of its own for private use, so that names which differ still do.
pub(super) fn without_halves(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut splices = Vec::new();
    let mut done = 0;
    while let Some(offset) = bytes.get(done..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        let start = done + offset;
        done = match (unit(bytes, start), unit(bytes, start + ESCAPE_BYTES)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => start + 2 * ESCAPE_BYTES,
            (Some(half @ 0xd800..=0xdfff), _) => {
                let range = start..start + ESCAPE_BYTES;
                splices.push(Splice { range, text: format!("\\u{:04x}", half - 0xd800 + 0xe000) });
                start + ESCAPE_BYTES
            }
            // Also of what is escaped by it, which may be a backslash itself.
            (_, _) => start + 2,
        };
    }
    if splices.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(spliced(text, splices)) }
}

/// Returns the code unit of the escape at `start`, if there is one.
fn unit(bytes: &[u8], start: usize) -> Option<u16> {
    let digits = bytes.get(start..start + ESCAPE_BYTES)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| is_hexadecimal)
}

const ESCAPE_BYTES: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_replaced_in_place_and_whole_pairs_are_not() {
        for (text, expected) in [
            (r#""\ud83d""#, r#""\ue03d""#),
            (r#""\uDFFF\uD800""#, r#""\ue7ff\ue000""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ue03d\ud83d\ude00""#),
            (r#""\ud83d\u0041\\\ud83d""#, r#""\ue03d\u0041\\\ue03d""#),
            (r#""\ud83d\n""#, r#""\ue03d\n""#),
        ] {
            assert_eq!(without_halves(text), expected);
            assert_eq!(text.len(), expected.len());
        }
        for text in [
            "",
            "\\",
            "é\\é",
            r#""\ud83d\ude00 \\ud83d \u00e9 \uE000""#,
            r#""\ud8"#,
            r#""\u+d80""#,
            r#""\\\\ud83d""#,
        ] {
            assert_eq!(without_halves(text), text);
        }
    }
}
