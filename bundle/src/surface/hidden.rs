//! Characters that do not show or that change the order of what shows, in lines and in names. What stands where writing
//! needs it (a selector behind an emoji, a joiner between letters that are not Latin) does not count.

use std::collections::HashMap;

use gix::bstr;

/// Returns whether a path holds what does not show.
pub(crate) fn in_path(path: &[u8]) -> bool {
    path.iter().any(u8::is_ascii_control) || hides(path)
}

/// Returns whether a line holds what does not show. Content that is no text has no lines.
pub(crate) fn in_content(content: &[u8]) -> bool {
    plain_bytes(content) < content.len() && !is_binary(content) && hides(without_mark(content))
}

/// Returns whether a line of `new`, which is text, that is not one of `old` holds what does not show.
pub(crate) fn in_added_lines(old: &[u8], new: &[u8]) -> bool {
    let has_hidden = |line: &&[u8]| hides(line);
    let mut known = HashMap::<&[u8], usize>::new();
    for line in lines(old).filter(has_hidden) {
        *known.entry(line).or_default() += 1;
    }
    // A line that was there counts as often as it was there.
    lines(new).filter(has_hidden).any(|line| match known.get_mut(line) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    })
}

/// git takes a file with a NUL in its beginning for binary. Where all of it is text nevertheless, a NUL hides nothing here.
fn is_binary(content: &[u8]) -> bool {
    content.iter().take(SNIFFED_BYTES).any(|byte| *byte == 0) && std::str::from_utf8(content).is_err()
}

const SNIFFED_BYTES: usize = 8000;
const CHUNK_BYTES: usize = 256;

/// Splits into lines without their ends.
fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    without_mark(content).split(|byte| *byte == b'\n')
}

/// Leaves the mark of the byte order out where it belongs.
fn without_mark(content: &[u8]) -> &[u8] {
    content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content)
}

/// Returns how many bytes `text` begins with that are in every text: ASCII without control characters but some.
fn plain_bytes(text: &[u8]) -> usize {
    let is_odd = |byte: &u8| !matches!(byte, b' '..=b'~' | b'\t' | b'\n');
    if text.first().is_none_or(is_odd) {
        return 0;
    }
    // Chunks without an early end are what a compiler can do for many bytes at once.
    let is_plain = |chunk: &&[u8]| !chunk.iter().fold(false, |odd, byte| odd | is_odd(byte));
    let start = text.chunks(CHUNK_BYTES).take_while(is_plain).map(<[u8]>::len).sum();
    text[start..].iter().position(is_odd).map_or(text.len(), |at| start + at)
}

/// Returns whether a text holds what does not show. What is no UTF-8 shows as something.
fn hides(text: &[u8]) -> bool {
    let mut at = 0;
    loop {
        at += plain_bytes(&text[at..]);
        let (char, length) = bstr::decode_utf8(&text[at..]);
        if length == 0 {
            return false;
        }
        let rest = &text[at + length..];
        if let Some(char) = char.filter(|char| is_hidden(*char)) {
            let ends_line = char == '\r' && matches!(rest.first(), None | Some(b'\n'));
            let (before, _) = bstr::decode_last_utf8(&text[..at]);
            if !ends_line && !is_in_place(before, char, bstr::decode_utf8(rest).0) {
                return true;
            }
        }
        at += length;
    }
}

/// Returns whether writing needs the hidden `char` between these two.
fn is_in_place(before: Option<char>, char: char, after: Option<char>) -> bool {
    let Some(before) = before else { return matches!(char, '\t' | '\u{c}') };
    let is_letter = |char: char| !char.is_ascii() && !is_hidden(char);
    match char {
        '\t' | '\u{c}' => true,
        // One selector behind what it selects a form of.
        '\u{fe0e}' | '\u{fe0f}' if matches!(before, '0'..='9' | '#' | '*') => true,
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => is_letter(before),
        // Joiners, in emoji and in scripts that join letters.
        '\u{200c}' | '\u{200d}' => {
            (is_letter(before) || before == '\u{fe0f}') && after.is_some_and(is_letter)
        }
        _ => false,
    }
}

/// Returns whether `char` shows nothing, changes the order of what shows, or controls a terminal.
fn is_hidden(char: char) -> bool {
    matches!(char,
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
        // Hieroglyphic joiners, and the pattern of no dots.
        | '\u{13430}'..='\u{1343f}' | '\u{2800}'
        // Musical formatting, shorthand formatting, tags and further selectors.
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}
