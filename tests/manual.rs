//! Runs the transcripts of the documents: every `console` block of README.md and docs/manual/*.md, line by line in
//! a sealed environment, compared whole. `UPDATE_TRANSCRIPTS=1` writes what came back into the documents instead.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use kit::Env;

const PROGRAM: &str = env!("CARGO_BIN_EXE_git-parler");

/// One typed line and what comes back; `at` is the number of the line in the document.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    at: usize,
    typed: Vec<String>,
    expected: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_path_buf()
}

fn pages() -> Vec<PathBuf> {
    let manual = fs::read_dir(root().join("docs/manual")).expect("the manual is there");
    let mut pages: Vec<_> = manual.map(|entry| entry.expect("an entry of a folder").path()).collect();
    pages.push(root().join("README.md"));
    pages.sort();
    pages
}

/// Reads the steps out of the `console` blocks of a page.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut is_inside = false;
    for (index, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            is_inside = line == "```console";
        } else if is_inside {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(typed), _) => {
                    steps.push(Step { at: index + 1, typed: vec![typed.to_owned()], expected: Vec::new() });
                }
                (None, Some(step)) => match line.strip_prefix("> ") {
                    Some(more) if step.expected.is_empty() => step.typed.push(more.to_owned()),
                    _ => step.expected.push(line.to_owned()),
                },
                (None, None) => step_is_missing(index + 1),
            }
        }
    }
    steps
}

fn step_is_missing(line: usize) {
    assert_eq!(line, 0, "line {line}: a block begins with a line that is typed");
}

/// Types all steps into one shell and returns what came back for each; a failure shows as `(exit <code>)`.
fn type_in(env: &Env, steps: &[Step]) -> Vec<Vec<String>> {
    const MARK: &str = "\u{1}step\u{1}";
    let mut script = "exec 2>&1\n".to_owned();
    for step in steps {
        let typed = step.typed.join("\n");
        writeln!(script, "{typed}\nprintf '\\n{MARK}%d\\n' $?").expect("a String grows");
    }
    let file = env.path("transcript.sh");
    fs::write(&file, script).expect("a file in a temporary folder");
    let run = env.run(env.root(), "bash", [&file]);
    let mut answers = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    for line in run.stdout.lines() {
        match line.strip_prefix(MARK) {
            None => lines.push(line.to_owned()),
            Some(code) => {
                // The newline before the mark ends a last line that had none; where it had one, a line is empty.
                if lines.last().is_some_and(String::is_empty) {
                    lines.pop();
                }
                if code != "0" {
                    lines.push(format!("(exit {code})"));
                }
                answers.push(std::mem::take(&mut lines));
            }
        }
    }
    assert_eq!(answers.len(), steps.len(), "the shell ended early: {lines:?} {}", run.stderr);
    answers
}

/// Tells whether `lines` are as `expected`: `[..]` is any text within a line, `...` any lines.
fn matches(expected: &[String], lines: &[String]) -> bool {
    match (expected.split_first(), lines.split_first()) {
        (None, None) => true,
        (Some((any, rest)), _) if any == "..." => (0..=lines.len()).any(|skip| matches(rest, &lines[skip..])),
        (Some((pattern, expected)), Some((line, lines))) => {
            line_matches(pattern, line) && matches(expected, lines)
        }
        _ => false,
    }
}

fn line_matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("[..]");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

/// Returns the page with `answers` in the place of what it said where it said something else.
fn rewritten(page: &str, steps: &[Step], answers: &[Vec<String>]) -> String {
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    for (step, answer) in steps.iter().zip(answers).rev() {
        if !matches(&step.expected, answer) {
            let first = step.at - 1 + step.typed.len();
            let expected = step.expected.iter().map(String::as_str).chain(std::iter::repeat(""));
            // A line that fits keeps its wildcards.
            let kept =
                answer.iter().zip(expected).map(|(new, old)| if line_matches(old, new) { old } else { new });
            lines.splice(first..first + step.expected.len(), kept.map(str::to_owned));
        }
    }
    lines.join("\n") + "\n"
}

/// Finds ids that came back in the place of others, in the first step that went another way: what is typed after it
/// has to follow.
fn changed_ids(steps: &[Step], answers: &[Vec<String>]) -> Vec<(String, String)> {
    let ids = |line: &str| {
        let words = line.split(|letter: char| !letter.is_ascii_hexdigit());
        words.filter(|word| word.len() >= 12).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut both = steps.iter().zip(answers);
    let Some((step, answer)) = both.find(|(step, answer)| !matches(&step.expected, answer)) else {
        return Vec::new();
    };
    let pairs = step.expected.iter().zip(answer).flat_map(|(old, new)| ids(old).into_iter().zip(ids(new)));
    pairs.filter(|(old, new)| old != new && old.len() == new.len()).collect()
}

/// Runs a page and returns it with what came back, until that changes nothing any more.
fn updated(mut page: String) -> String {
    for _ in 0..20 {
        let (env, steps) = (environment(), steps(&page));
        let answers = type_in(&env, &steps);
        let changed = changed_ids(&steps, &answers);
        if changed.is_empty() {
            let root = env.root().to_str().expect("a temporary folder has a name in text");
            return rewritten(&page, &steps, &answers).replace(root, "[..]");
        }
        page = changed.iter().fold(page, |page, (old, new)| page.replace(old, new));
    }
    page
}

/// A project that two people have clones of: a short history with one fixed clock.
fn environment() -> Env {
    let env = Env::new().with_program(PROGRAM);
    let project = env.init("project");
    env.commit(&project, "README.md", "# fetcher\n", "begin");
    env.commit(&project, "src/fetch.rs", "pub fn fetch() {}\n", "fetch once");
    env.commit(&project, "src/main.rs", "fn main() {\n    fetcher::fetch();\n}\n", "run it");
    env
}

#[test]
fn every_transcript_is_what_comes_back() {
    let is_update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    let mut wrong = String::new();
    for path in pages() {
        let page = fs::read_to_string(&path).expect("a page is text");
        if is_update {
            fs::write(&path, updated(page)).expect("a page can be written");
            continue;
        }
        let steps = steps(&page);
        let answers = type_in(&environment(), &steps);
        for (step, answer) in
            steps.iter().zip(&answers).filter(|(step, answer)| !matches(&step.expected, answer))
        {
            let (typed, expected) = (step.typed.join("\n> "), step.expected.join("\n"));
            let place = format!("{}:{}", path.display(), step.at);
            write!(
                wrong,
                "{place}\n$ {typed}\n--- expected\n{expected}\n--- came back\n{}\n\n",
                answer.join("\n")
            )
            .expect("a String grows");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn wildcards_stand_for_parts_of_a_line_and_for_lines() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (pattern, text, expected) in [
        ("id [..]", "id 9f2c", true),
        ("id [..] by [..]", "id 9f2c by ada", true),
        ("id [..] by ada", "id 9f2c by bob", false),
        ("id", "id 9f2c", false),
        ("a\n...\nd", "a\nb\nc\nd", true),
        ("a\n...", "a", true),
        ("a\n...\nd", "a\nb", false),
        ("", "a", false),
    ] {
        assert_eq!(matches(&lines(pattern), &lines(text)), expected, "{pattern:?} {text:?}");
    }
}

#[test]
fn a_wrong_transcript_is_seen_and_can_be_rewritten() {
    let page =
        "text\n```console\n$ printf 'one\\ntwo\\n'\none\nthree\n$ cd /; false\n```\n```sh\n$ no\n```\n";
    let steps = steps(page);
    let answers = type_in(&Env::new(), &steps);
    assert_eq!(answers, [vec!["one".to_owned(), "two".to_owned()], vec!["(exit 1)".to_owned()]]);
    assert!(!matches(&steps[0].expected, &answers[0]));
    let mended = "text\n```console\n$ printf 'one\\ntwo\\n'\none\ntwo\n$ cd /; false\n(exit 1)\n```\n```sh\n$ no\n```\n";
    assert_eq!(rewritten(page, &steps, &answers), mended);
}
