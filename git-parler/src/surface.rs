//! The surface report as people and programs get it: what a change could run or alter beyond plain source.

use bundle::Surface;
use client::report;
use gix::bstr::ByteSlice;
use protocol::clean;

/// Returns the findings as answers have them.
pub(crate) fn findings(surface: &Surface) -> Vec<report::SurfaceFinding> {
    let finding = |found: &bundle::Finding| report::SurfaceFinding {
        code: found.code.to_owned(),
        paths: found.paths.iter().map(|path| path.to_str_lossy().into_owned()).collect(),
        count: found.count as u64,
    };
    surface.findings.iter().map(finding).collect()
}

/// Returns the report for people, clean, one line for each finding; no lines where nothing was found and all was looked at.
pub(crate) fn lines(surface: &Surface) -> Vec<String> {
    let mut lines = Vec::new();
    if !surface.findings.is_empty() {
        lines.push("Beyond plain source it touches what can run or be obeyed:".to_owned());
    }
    lines.extend(surface.findings.iter().map(|found| format!("  {}: {}", found.sentence, paths(found))));
    if !surface.is_checked {
        lines.push(NOT_CHECKED.to_owned());
    }
    lines
}

/// Returns the first paths of a finding, clean.
pub(crate) fn paths(found: &bundle::Finding) -> String {
    let shown = found.paths.iter().take(PATHS_SHOWN);
    let shown: Vec<_> = shown.map(|path| shortened(&clean::line(&path.to_str_lossy()))).collect();
    match found.count - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn shortened(path: &str) -> String {
    match path.char_indices().nth(PATH_CHARACTERS_SHOWN) {
        Some((end, _)) => format!("{}…", &path[..end]),
        None => path.to_owned(),
    }
}

const NOT_CHECKED: &str =
    "Not all of it was looked at for what can run or be obeyed: it is too large, or some of it is not here.";
/// How many paths of a finding are printed; `--json` has more.
const PATHS_SHOWN: usize = 3;
/// How much of a path is printed.
const PATH_CHARACTERS_SHOWN: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_show_explains_every_code() {
        let page = crate::page::text(Some("show")).unwrap();
        let list = page.split("  `git_hooks`").nth(1).unwrap().split("\n\n").next().unwrap();
        let list: Vec<_> = format!("`git_hooks`{list}").split_whitespace().map(str::to_owned).collect();
        let rules: String =
            bundle::surface_rules().map(|(code, sentence)| format!("`{code}` {sentence}. ")).collect();
        assert_eq!(list, rules.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn what_the_cleaner_replaces_the_report_finds() {
        let is_found = |content: &str| {
            let side = bundle::FileSide { mode: 0o100_644, content: content.as_bytes() };
            bundle::surface_codes(b"a", None, Some(side)) == ["hidden_characters"]
        };
        let is_usual = |char: &char| matches!(char, '\t' | '\n' | '\u{c}');
        let (hidden, shown): (Vec<_>, Vec<_>) =
            ('\0'..=char::MAX).partition(|char| clean::is_hidden(*char) && !is_usual(char));
        for char in hidden {
            assert!(is_found(&format!("a{char}b\n")), "{char:?}");
        }
        let shown: String = shown.into_iter().map(|char| format!("a{char}b\n")).collect();
        assert!(!is_found(&shown));
    }

    #[test]
    fn a_finding_is_one_clean_line_with_its_first_paths() {
        let found = |paths: &[&str], count| bundle::Finding {
            code: "ci",
            sentence: "Runs in CI",
            paths: paths.iter().map(|path| (*path).into()).collect(),
            count,
        };
        let long = "x".repeat(200);
        let findings =
            vec![found(&["a\u{1b}[2J\u{202e}b\nc"], 1), found(&["a", "b", "c", "d"], 7), found(&[&long], 1)];
        let surface = Surface { findings, is_checked: false };
        let expected = [
            "Beyond plain source it touches what can run or be obeyed:".to_owned(),
            "  Runs in CI: a\u{fffd}[2J\u{fffd}b c".to_owned(),
            "  Runs in CI: a, b, c and 4 more".to_owned(),
            format!("  Runs in CI: {}…", "x".repeat(100)),
            NOT_CHECKED.to_owned(),
        ];
        assert_eq!(lines(&surface), expected);
        assert_eq!(lines(&Surface { findings: Vec::new(), is_checked: true }), [""; 0]);
    }
}
