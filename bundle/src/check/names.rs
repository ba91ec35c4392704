//! Names of tree entries that some file system takes for `.git`, `.gitmodules` or `.gitattributes`: NTFS has short names,
//! streams and trailing dots, HFS+ ignores some characters, and both ignore case.

use super::Special;

/// Returns whether `name` is `.git` on any file system.
pub(crate) fn is_dotgit(name: &[u8]) -> bool {
    is_on_hfs(name, "git") || is_dotgit_on_ntfs(name)
}

/// Returns which special file `name` is on any file system, if it is one.
pub(crate) fn special(name: &[u8]) -> Option<Special> {
    // Every spelling begins with a dot, an ignored character (not ASCII), or the short name `gi…`.
    match name.first()? {
        b'.' | b'g' | b'G' | 0x80.. => {}
        _ => return None,
    }
    if is_on_hfs(name, "gitmodules") || is_on_ntfs(name, b"gitmodules", b"gi7eba") {
        Some(Special::Modules)
    } else if is_on_hfs(name, "gitattributes") || is_on_ntfs(name, b"gitattributes", b"gi7d29") {
        Some(Special::Attributes)
    } else {
        None
    }
}

/// Returns whether NTFS takes `name`, or its part before a backslash, for `.git`.
pub(crate) fn is_dotgit_on_ntfs(name: &[u8]) -> bool {
    let rest =
        strip_prefix_ignoring_case(name, b".git").or_else(|| strip_prefix_ignoring_case(name, b"git~1"));
    let Some(rest) = rest else { return false };
    let rest = rest.iter().find(|byte| !matches!(byte, b'.' | b' '));
    matches!(rest, None | Some(b':' | b'\\' | b'/'))
}

fn is_on_ntfs(name: &[u8], long: &[u8], short: &[u8; 6]) -> bool {
    let ends =
        |rest: &[u8]| matches!(rest.iter().find(|byte| !matches!(byte, b'.' | b' ')), None | Some(b':'));
    if name.first() == Some(&b'.')
        && let Some(rest) = strip_prefix_ignoring_case(&name[1..], long)
    {
        return ends(rest);
    }
    if let Some([b'~', b'1'..=b'4', rest @ ..]) = strip_prefix_ignoring_case(name, &long[..6]) {
        return ends(rest);
    }
    is_fallback_short_name(name, short) && ends(&name[8..])
}

/// Returns whether `name` begins with a short name that NTFS makes of a hash: some of the six characters, `~`, digits.
fn is_fallback_short_name(name: &[u8], short: &[u8; 6]) -> bool {
    let Some(name) = name.get(..8) else { return false };
    let Some(tilde) = name.iter().position(|byte| *byte == b'~') else { return false };
    tilde <= 6
        && name[..tilde].eq_ignore_ascii_case(&short[..tilde])
        && matches!(name.get(tilde + 1), Some(b'1'..=b'9'))
        && name[tilde + 2..].iter().all(u8::is_ascii_digit)
}

fn strip_prefix_ignoring_case<'a>(name: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Returns whether HFS+ takes `name` for a dot and `word`.
fn is_on_hfs(name: &[u8], word: &str) -> bool {
    // Malformed UTF-8 ends the name, as git has it.
    let valid = name.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let seen = valid.chars().filter(|char| !is_ignored_by_hfs(*char)).map(|char| char.to_ascii_lowercase());
    let mut seen = seen.take_while(|char| !matches!(char, '/'));
    let mut wanted = std::iter::once('.').chain(word.chars());
    wanted.all(|char| seen.next() == Some(char)) && seen.next().is_none()
}

/// Returns whether HFS+ leaves `char` out when it compares names.
pub(crate) fn is_ignored_by_hfs(char: char) -> bool {
    matches!(char, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}
