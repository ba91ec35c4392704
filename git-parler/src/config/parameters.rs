//! What `git -c <key>=<value>` hands to the programs it starts: `GIT_CONFIG_PARAMETERS`, words in single quotes
//! as a shell writes them, either `'key=value'` (before git 2.31) or `'key'='value'`.

use gix::bstr::{BStr, BString, ByteSlice, ByteVec};
use gix::config::{File, KeyRef};

/// The text is not as git writes it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Returns the entries as `key=value`, or `key` alone where it has no value.
pub(super) fn parse(mut text: &[u8]) -> Result<Vec<BString>, Malformed> {
    let mut entries = Vec::new();
    loop {
        text = text.trim_start();
        if text.is_empty() {
            return Ok(entries);
        }
        let (mut entry, rest) = quoted(text)?;
        text = rest;
        if let Some(rest) = text.strip_prefix(b"=") {
            entry.push(b'=');
            if rest.starts_with(b"'") {
                let (value, rest) = quoted(rest)?;
                entry.push_str(value);
                text = rest;
            } else {
                // A key without a value is written as `'key'=`.
                entry.pop();
                text = rest;
            }
        }
        if !text.is_empty() && !text.starts_with(b" ") {
            return Err(Malformed);
        }
        entries.push(entry);
    }
}

/// Adds `entry` to `file` as git would set it.
pub(super) fn append(file: &mut File, entry: &BStr) -> Result<(), Malformed> {
    let (key, value) = match entry.split_once_str("=") {
        Some((key, value)) => (key, Some(value.as_bstr())),
        None => (entry.as_bytes(), None),
    };
    let key = KeyRef::parse_unvalidated(key.as_bstr()).ok_or(Malformed)?;
    let mut section = file
        .section_mut_or_create_new(key.section_name, key.subsection_name)
        .map_err(|_invalid| Malformed)?;
    section.push(key.value_name, value).map_err(|_invalid| Malformed)?;
    Ok(())
}

/// Reads one quoted word; within it, `'\''` is a quote and `'\!'` an exclamation mark.
fn quoted(text: &[u8]) -> Result<(BString, &[u8]), Malformed> {
    let mut word = BString::default();
    let mut rest = text.strip_prefix(b"'").ok_or(Malformed)?;
    loop {
        let end = rest.find_byte(b'\'').ok_or(Malformed)?;
        word.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest {
            [b'\\', escaped @ (b'\'' | b'!'), b'\'', after @ ..] => {
                word.push(*escaped);
                rest = after;
            }
            _ => return Ok((word, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<String>, Malformed> {
        Ok(parse(text.as_bytes())?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn both_forms_of_git_are_read() {
        assert_eq!(parsed("'a.b=c d'").unwrap(), ["a.b=c d"]);
        assert_eq!(parsed("'a.b'='c'  'x.y'='it'\\''s'\\!''").unwrap(), ["a.b=c", "x.y=it's!"]);
        assert_eq!(parsed("'a.b'=").unwrap(), ["a.b"]);
        assert_eq!(parsed("").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["a.b=c", "'a.b", "'a.b'='c", "'a.b'x", "'a'\\"] {
            assert_eq!(parsed(text), Err(Malformed), "{text}");
        }
    }
}
