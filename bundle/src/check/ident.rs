//! The check of an identity with its date: `Name <email> seconds +0000`.

use gix::bstr::ByteSlice;

use super::Reason;

/// Checks the identity at the start of `bytes`; returns its seconds and what follows its line.
pub(super) fn check(bytes: &[u8]) -> Result<(i64, &[u8]), Reason> {
    let (line, rest) = bytes.split_once_str(b"\n").unwrap_or((bytes, b""));
    if line.first() == Some(&b'<') {
        return Err(Reason::MissingNameBeforeEmail);
    }
    let open = line.find_byteset(b"<>").ok_or(Reason::MissingEmail)?;
    if line[open] == b'>' {
        return Err(Reason::BadName);
    }
    // A line that begins with `<` is refused above.
    if line[open - 1] != b' ' {
        return Err(Reason::MissingSpaceBeforeEmail);
    }
    let email = &line[open + 1..];
    let close = email.find_byteset(b"<>").ok_or(Reason::BadEmail)?;
    if email[close] != b'>' {
        return Err(Reason::BadEmail);
    }
    let date = email[close + 1..].strip_prefix(b" ").ok_or(Reason::MissingSpaceBeforeDate)?;
    // Some old commits have more than one space; git lets them pass.
    let date = date.trim_start_with(|char| matches!(char, ' ' | '\t'));
    let digits = date.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (seconds, zone) = date.split_at(digits);
    if seconds.len() > 1 && seconds[0] == b'0' {
        return Err(Reason::ZeroPaddedDate);
    }
    if seconds.is_empty() {
        return Err(Reason::BadDate);
    }
    let seconds =
        seconds.to_str().ok().and_then(|digits| digits.parse().ok()).ok_or(Reason::BadDateOverflow)?;
    let zone = zone.strip_prefix(b" ").ok_or(Reason::BadDate)?;
    match zone {
        [b'+' | b'-', digits @ ..] if digits.len() == 4 && digits.iter().all(u8::is_ascii_digit) => {
            Ok((seconds, rest))
        }
        _ => Err(Reason::BadTimezone),
    }
}
