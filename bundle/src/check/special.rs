//! The contents of `.gitmodules` and `.gitattributes`, checked before any git reads them.

use gix::bstr::{BStr, ByteSlice};

use super::Reason;
use crate::limits::{GITATTRIBUTES_BYTES_MAX, GITATTRIBUTES_LINE_BYTES};

/// Checks a `.gitattributes` file.
pub(crate) fn attributes(bytes: &[u8]) -> Result<(), Reason> {
    if bytes.len() > GITATTRIBUTES_BYTES_MAX {
        return Err(Reason::GitattributesLarge);
    }
    if bytes.lines().any(|line| line.len() >= GITATTRIBUTES_LINE_BYTES) {
        return Err(Reason::GitattributesLineLength);
    }
    Ok(())
}

/// Checks a `.gitmodules` file. One that cannot be parsed passes, as it does with git: nobody can use it.
pub(crate) fn modules(bytes: &[u8]) -> Result<(), Reason> {
    for (name, key, value) in submodule_values(bytes) {
        check_name(name.as_bstr())?;
        match key.as_str() {
            "url" if !is_url_harmless(value.as_bstr()) => return Err(Reason::GitmodulesUrl),
            "path" if value.starts_with(b"-") => return Err(Reason::GitmodulesPath),
            "update" if value.starts_with(b"!") => return Err(Reason::GitmodulesUpdate),
            _ => {}
        }
    }
    Ok(())
}

type Value = (gix::bstr::BString, String, gix::bstr::BString);

fn submodule_values(bytes: &[u8]) -> Vec<Value> {
    let mut values = Vec::new();
    // git checks each line as it reads it: what stands before a malformed line counts.
    let file = longest_parsable_prefix(bytes);
    let Some(file) = file else { return values };
    for section in file.sections() {
        if !section.header().name().eq_ignore_ascii_case(b"submodule") {
            continue;
        }
        let Some(name) = section.header().subsection_name() else { continue };
        for key in section.value_names() {
            for value in section.values(&key) {
                values.push((name.to_owned(), key.to_ascii_lowercase(), value));
            }
        }
    }
    values
}

fn longest_parsable_prefix(bytes: &[u8]) -> Option<gix::config::File> {
    let parse = |bytes: &[u8]| {
        gix::config::File::from_bytes_no_includes(
            bytes,
            gix::config::file::Metadata::api(),
            gix::config::file::init::Options::default(),
        )
        .ok()
    };
    if let Some(file) = parse(bytes) {
        return Some(file);
    }
    // Whether a prefix of whole lines parses is monotonic enough for bisection: parsing stops at the first bad line.
    let ends: Vec<usize> = bytes.find_iter(b"\n").map(|at| at + 1).collect();
    let good = ends.partition_point(|&end| parse(&bytes[..end]).is_some());
    good.checked_sub(1).and_then(|index| parse(&bytes[..ends[index]]))
}

fn check_name(name: &BStr) -> Result<(), Reason> {
    if name.is_empty() || name.split(|byte| matches!(byte, b'/' | b'\\')).any(|part| part == b"..") {
        return Err(Reason::GitmodulesName);
    }
    Ok(())
}

/// Returns whether `url` can be handed to git's transports without being taken for something else.
fn is_url_harmless(url: &BStr) -> bool {
    if url.starts_with(b"-") {
        return false;
    }
    let is_relative = url.starts_with(b"./") || url.starts_with(b"../");
    if is_relative || url.starts_with(b"git://") {
        // A newline would end up in the protocol or in a credential helper.
        if decoded(url).contains(&b'\n') {
            return false;
        }
        return !is_relative || !replaces_the_host(url);
    }
    let Some(rest) = http_rest(url) else { return true };
    let end = rest.find_byteset(b"/?#").unwrap_or(rest.len());
    let host = &rest[..end];
    let host = host.rfind_byte(b'@').map_or(host, |at| &host[at + 1..]);
    !decoded(url).contains(&b'\n')
        && !host.is_empty()
        && !host.starts_with(b":")
        && host.iter().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']' | b'%')
        })
}

/// Returns what follows the scheme in a URL that curl would fetch, with git's `<helper>::` before it or not.
fn http_rest(url: &BStr) -> Option<&[u8]> {
    for scheme in ["http", "https", "ftp", "ftps"] {
        let Some(rest) = url.strip_prefix(scheme.as_bytes()) else { continue };
        if let Some(rest) = rest.strip_prefix(b"://") {
            return Some(rest);
        }
        if let Some(inner) = rest.strip_prefix(b"::") {
            return Some(http_rest(inner.as_bstr()).unwrap_or(b""));
        }
    }
    None
}

/// Returns whether a relative URL climbs with `../` and then begins a new host or path from the root.
fn replaces_the_host(url: &BStr) -> bool {
    let mut rest: &[u8] = url;
    let mut climbs = false;
    loop {
        if let Some(next) = rest.strip_prefix(b"../") {
            (rest, climbs) = (next, true);
        } else if let Some(next) = rest.strip_prefix(b"./") {
            rest = next;
        } else {
            return climbs && matches!(rest.first(), Some(b'/' | b':'));
        }
    }
}

fn decoded(url: &BStr) -> Vec<u8> {
    let mut out = Vec::with_capacity(url.len());
    let mut rest: &[u8] = url;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%'
            && let Some(hex) = tail.get(..2)
            && let Some(value) = hex.to_str().ok().and_then(|hex| u8::from_str_radix(hex, 16).ok())
        {
            out.push(value);
            rest = &tail[2..];
        } else {
            out.push(byte);
        }
    }
    out
}
