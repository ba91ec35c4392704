//! Hooks that git's configuration names, from git 2.54 on (git-hook(1)): our section in the text of a configuration file, put in
//! behind what is there and taken out to the byte. They run beside whatever else there is.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::event::Event;
use crate::script::quoted;

/// The name by which `git hook list` shows our hook.
pub const HOOK_NAME: &str = "parler";

const HEADER: &[u8] = b"[hook \"parler\"]";

/// Returns `text` with our section, by which git starts `program` for each event. Where the program is gone nothing happens and
/// nothing is said. The command is one for all events, which are told apart by their arguments ([`Event::of_argument`]).
pub fn with_section(text: &[u8], program: &Path) -> Vec<u8> {
    let section = section(program);
    let rest = without_section(text);
    // A section that is as it should be stays where it is.
    if rest.len() + section.len() == text.len() && contains(text, &section) {
        return text.to_vec();
    }
    let mut edited = rest;
    if edited.is_empty() || edited.ends_with(b"\n") {
        edited.extend_from_slice(&section);
    } else {
        // A last line without an end stays one.
        edited.push(b'\n');
        edited.extend_from_slice(&section[..section.len() - 1]);
    }
    edited
}

/// Returns `text` without what [`with_section`] has put in. What else a person wrote into our section stays, in it.
pub fn without_section(text: &[u8]) -> Vec<u8> {
    let lines: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut rest = lines.as_slice();
    while let Some((line, behind)) = rest.split_first() {
        if line.trim_ascii() != HEADER {
            kept.push(line);
            rest = behind;
            continue;
        }
        let end = behind.iter().position(|line| line.trim_ascii_start().starts_with(b"["));
        let (body, behind) = behind.split_at(end.unwrap_or(behind.len()));
        let others: Vec<_> = body.iter().copied().filter(|line| !is_ours(line)).collect();
        if others.iter().any(|line| is_entry(line)) {
            kept.push(line);
        }
        kept.extend(others);
        rest = behind;
    }
    let mut text = kept.concat();
    let had_end = lines.last().is_none_or(|line| line.ends_with(b"\n"));
    if !had_end && text.ends_with(b"\n") {
        text.pop();
    }
    text
}

/// Says whether our section stands in `text`, whatever program it starts.
pub fn has_section(text: &[u8]) -> bool {
    without_section(text) != text
}

fn section(program: &Path) -> Vec<u8> {
    let program = quoted(program.as_os_str().as_bytes());
    // git appends `"$@"`.
    let command =
        [b"[ ! -x ", &program[..], b" ] || exec ", &program[..], b" hook git ", BY_ARGUMENT.as_bytes()];
    let mut section = [HEADER, b"\n\tcommand = \""].concat();
    for byte in command.concat() {
        match byte {
            b'"' | b'\\' => section.extend_from_slice(&[b'\\', byte]),
            b'\n' => section.extend_from_slice(b"\\n"),
            byte => section.push(byte),
        }
    }
    section.extend_from_slice(b"\"\n");
    for event in Event::ALL {
        section.extend_from_slice(format!("\tevent = {event}\n").as_bytes());
    }
    section
}

/// What stands for an event that is to be told by its argument.
pub const BY_ARGUMENT: &str = "by-argument";

/// Says whether we have written this line of our section.
fn is_ours(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let is_command = line.starts_with(b"command = \"[ ! -x ") && line.ends_with(b" hook git by-argument\"");
    is_command || Event::ALL.iter().any(|event| line == format!("event = {event}").as_bytes())
}

fn is_entry(line: &[u8]) -> bool {
    line.trim_ascii_start().first().is_some_and(|first| !matches!(first, b'#' | b';'))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = "/opt/it's \"here\"\\git-parler";

    fn put_in(text: &str) -> String {
        String::from_utf8(with_section(text.as_bytes(), Path::new(PROGRAM))).unwrap()
    }

    fn taken_out(text: &str) -> String {
        String::from_utf8(without_section(text.as_bytes())).unwrap()
    }

    #[test]
    fn what_is_put_in_is_taken_out_to_the_byte() {
        for text in [
            "",
            "\n",
            "[core]\n\tbare = false\n",
            "[core]\n\tbare = false",
            "[core]\r\n\tbare = false\r\n",
            "# only a comment",
            "[hook \"parler\"]\n\tenabled = false\n",
            "[hook \"parler\"]\n\tenabled = false\n[core]\n\tbare = true\n",
            "[hook \"linter\"]\n\tcommand = lint\n\tevent = post-commit\n",
            "\u{feff}[user]\n\tname = Ada\n\n\n",
        ] {
            let with = put_in(text);
            assert!(with.starts_with(text) && with.contains("\tevent = post-merge"), "{with}");
            assert!(has_section(with.as_bytes()) && !has_section(text.as_bytes()), "{with}");
            assert_eq!(taken_out(&with), text);
            assert_eq!(put_in(&with), with, "a second time");
            assert_eq!(
                with_section(&with_section(text.as_bytes(), Path::new("/old")), Path::new(PROGRAM)),
                with.as_bytes()
            );
        }
    }

    #[test]
    fn what_others_write_behind_and_into_it_stays() {
        let with = put_in("[core]\n\tbare = false\n");
        let more = format!("{with}[alias]\n\tx = status\n");
        assert_eq!(taken_out(&more), "[core]\n\tbare = false\n[alias]\n\tx = status\n");
        let switched_off = format!("{with}\tenabled = false\n# why\n");
        assert_eq!(
            taken_out(&switched_off),
            "[core]\n\tbare = false\n[hook \"parler\"]\n\tenabled = false\n# why\n"
        );
        assert_eq!(taken_out(&format!("{with}# of nobody\n")), "[core]\n\tbare = false\n# of nobody\n");
    }
}
