//! The script that git runs for an event: first what was there before, then this program.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::event::Event;

/// A line by which our scripts are known.
const MARK: &[u8] =
    b"# Written by `git parler hooks install`; `git parler hooks uninstall` takes it out again.\n";
/// A line in those whose folder was made for them.
const FOLDER_MADE: &[u8] = b"# The folder was made for this.\n";
/// What stands behind the name of a hook that was there before.
pub(crate) const BEFORE: &str = ".before-parler";

/// Returns the script for `event` that starts `program`.
///
/// What was there before is run first, with the same arguments and standard input, and its status is the hook's. Ours has no say in
/// that; alone it takes the place of the shell, and fails as little as the program. Where that is gone nothing is said. A probe runs
/// nothing but ours. Frameworks run it under another name.
pub(crate) fn script(event: Event, program: &Path, is_folder_made: bool) -> Vec<u8> {
    let mut script = b"#!/bin/sh\n".to_vec();
    script.extend_from_slice(MARK);
    if is_folder_made {
        script.extend_from_slice(FOLDER_MADE);
    }
    script.extend_from_slice(b"program=");
    script.extend_from_slice(&quoted(program.as_os_str().as_bytes()));
    let rest = format!(
        r#"
before="${{0%/*}}/{event}{BEFORE}"
[ -x "$program" ] || program=true
if [ -z "$PARLER_HOOKS_PROBE" ] && [ -x "$before" ]; then
	"$before" "$@"
	status=$?
	"$program" hook git {event} "$@" </dev/null
	exit $status
fi
exec "$program" hook git {event} "$@" </dev/null
"#
    );
    script.extend_from_slice(rest.as_bytes());
    script
}

/// Says whether a file is one of our scripts.
pub(crate) fn is_ours(content: &[u8]) -> bool {
    content.split_inclusive(|byte| *byte == b'\n').nth(1) == Some(MARK)
}

/// Says whether the folder of one of our scripts was made for it.
pub(crate) fn is_folder_made(content: &[u8]) -> bool {
    content.split_inclusive(|byte| *byte == b'\n').nth(2) == Some(FOLDER_MADE)
}

/// Returns a word of a shell that stands for these bytes and nothing else.
pub(crate) fn quoted(word: &[u8]) -> Vec<u8> {
    let mut quoted = b"'".to_vec();
    for byte in word {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}
