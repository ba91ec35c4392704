//! Runs the transcripts of the documents: every `console` block of README.md and docs/manual/*.md, line by line in
//! a sealed environment, compared whole. `UPDATE_TRANSCRIPTS=1` writes what came back into the documents instead.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::fs;
use std::iter::zip;
use std::path::{Path, PathBuf};

use kit::Env;

const PROGRAM: &str = env!("CARGO_BIN_EXE_git-parler");

/// What a page needs that is not part of every system.
const NEEDS: [(&str, [&str; 3]); 1] = [("hooks-frameworks.md", ["husky", "lefthook", "pre-commit"])];

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
    pages.retain(|page| has_what_it_needs(page));
    pages.sort();
    pages
}

fn has_what_it_needs(page: &Path) -> bool {
    let env = Env::new();
    NEEDS
        .iter()
        .filter(|(name, _)| page.ends_with(name))
        .flat_map(|(_, programs)| programs)
        .all(|program| env.has(program))
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

/// Lines or words of a page beside those that came back.
type Pairs<'a> = Vec<(Option<&'a str>, Option<&'a str>)>;

/// Pairs what stands in both in the same order, so that the sum of `likeness` is the greatest. What is like nothing
/// stands alone, the old before the new.
fn aligned<'a>(old: &[&'a str], new: &[&'a str], likeness: fn(&str, &str) -> usize) -> Pairs<'a> {
    // The greatest sum from each place in both to the ends.
    let mut best = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            let alone = best[i + 1][j].max(best[i][j + 1]);
            let likeness = likeness(old[i], new[j]);
            best[i][j] = if likeness == 0 { alone } else { alone.max(likeness + best[i + 1][j + 1]) };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && best[i + 1][j] == best[i][j] {
            pairs.push((Some(old[i]), None));
            i += 1;
        } else if j < new.len() && best[i][j + 1] == best[i][j] {
            pairs.push((None, Some(new[j])));
            j += 1;
        } else {
            pairs.push((Some(old[i]), Some(new[j])));
            (i, j) = (i + 1, j + 1);
        }
    }
    pairs
}

fn both(pairs: Pairs<'_>) -> impl Iterator<Item = (&str, &str)> {
    pairs.into_iter().filter_map(|(old, new)| old.zip(new))
}

fn aligned_lines<'a>(step: &'a Step, answer: &'a [String]) -> Pairs<'a> {
    let lines = |lines: &'a [String]| lines.iter().map(String::as_str).collect::<Vec<_>>();
    aligned(&lines(&step.expected), &lines(answer), line_likeness)
}

fn aligned_words<'a>(old: &'a str, new: &'a str) -> Pairs<'a> {
    let words = |line: &'a str| line.split(' ').collect::<Vec<_>>();
    aligned(&words(old), &words(new), word_likeness)
}

fn line_likeness(old: &str, new: &str) -> usize {
    let words = both(aligned_words(old, new)).map(|(old, new)| word_likeness(old, new)).sum();
    match line_matches(old, new) {
        true => words + 1,
        // With less than half of the words it is another line.
        false if words < new.split_whitespace().count() => 0,
        false => words,
    }
}

/// Says how much a word is like another: 2 where it fits, 1 where it does but for its ids.
fn word_likeness(old: &str, new: &str) -> usize {
    let shape = |word: &str| {
        ids(word).iter().fold(word.to_owned(), |word, id| word.replace(id, &"#".repeat(id.len())))
    };
    match (line_matches(old, new), line_matches(&shape(old), &shape(new))) {
        _ if new.is_empty() => 0,
        (true, _) => 2,
        (false, is_alike) => usize::from(is_alike),
    }
}

fn ids(text: &str) -> Vec<&str> {
    text.split(|letter: char| !letter.is_ascii_hexdigit()).filter(|word| word.len() >= 12).collect()
}

/// Returns the page with `answers` in the place of what it said where it said something else.
fn rewritten(page: &str, steps: &[Step], answers: &[Vec<String>]) -> String {
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    for (step, answer) in zip(steps, answers).rev() {
        if !matches(&step.expected, answer) {
            let first = step.at - 1 + step.typed.len();
            lines.splice(first..first + step.expected.len(), kept(step, answer));
        }
    }
    lines.join("\n") + "\n"
}

/// Returns the lines that came back, with the wildcards of lines and words that they fit.
fn kept(step: &Step, answer: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut is_any = false;
    for (old, new) in aligned_lines(step, answer) {
        match (old, new) {
            (None, Some(_)) if is_any => continue,
            (None, Some(new)) => lines.push(new.to_owned()),
            (Some(old), Some(new)) if line_matches(old, new) => lines.push(old.to_owned()),
            (Some(old), Some(new)) => {
                let words = aligned_words(old, new).into_iter();
                let words = words.filter_map(|(old, new)| match (old, new?) {
                    (Some(old), new) if line_matches(old, new) => Some(old),
                    (_, new) => Some(new),
                });
                lines.push(words.collect::<Vec<_>>().join(" "));
            }
            (Some("..."), None) => lines.push("...".to_owned()),
            (Some(_), None) | (None, None) => continue,
        }
        is_any = old == Some("...");
    }
    lines
}

/// Finds ids that came back in the place of others.
fn changed_ids(step: &Step, answer: &[String]) -> Vec<(String, String)> {
    let lines = both(aligned_lines(step, answer)).filter(|(old, new)| !line_matches(old, new));
    let words = lines.flat_map(|(old, new)| both(aligned_words(old, new)));
    let words = words.filter(|(old, new)| ids(old).len() == ids(new).len());
    let pairs = words.flat_map(|(old, new)| zip(ids(old), ids(new)));
    pairs.filter(|(old, new)| old != new).map(|(old, new)| (old.to_owned(), new.to_owned())).collect()
}

/// Returns the page with the ids of `changed` put in below step `number`: what is typed there has to follow.
fn followed(page: &str, number: usize, mut changed: Vec<(String, String)>) -> String {
    let below = steps(page).get(number + 1).map_or(usize::MAX, |next| next.at - 1);
    // An id before its own beginning; and all at once, for one may have come in the place of another.
    changed.sort_by_key(|(old, _)| Reverse(old.len()));
    let marks: Vec<_> = (0..changed.len()).map(|number| format!("\u{1}{number}\u{1}")).collect();
    let follow = |line: &str| {
        let marked =
            zip(&changed, &marks).fold(line.to_owned(), |line, ((old, _), mark)| line.replace(old, mark));
        zip(&changed, &marks).fold(marked, |line, ((_, new), mark)| line.replace(mark, new))
    };
    let lines = page.lines().enumerate();
    lines.map(|(index, line)| if index < below { line.to_owned() } else { follow(line) } + "\n").collect()
}

/// Runs a page and returns it with what came back. Where that has other ids, what is below follows and is run anew.
fn updated(mut page: String) -> String {
    let mut done = 0;
    loop {
        let (env, steps) = (environment(), steps(&page));
        let answers = type_in(&env, &steps);
        let root = env.root().to_str().expect("a temporary folder has a name in text");
        let changed = |number: usize| (number, changed_ids(&steps[number], &answers[number]));
        let next = (done..steps.len()).map(changed).find(|(_, ids)| !ids.is_empty());
        done = next.as_ref().map_or(steps.len(), |(number, _)| number + 1);
        page = rewritten(&page, &steps[..done], &answers).replace(root, "[..]");
        let Some((number, ids)) = next else { return page };
        page = followed(&page, number, ids);
    }
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
        for (step, answer) in zip(&steps, &answers).filter(|(step, answer)| !matches(&step.expected, answer))
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

#[test]
fn an_update_follows_ids_past_a_line_that_came_in() {
    let page = "```console
$ echo hello
hallo
$ printf '%s\\n' 'new 333333333333' 'a 222222222222 by ada, 7 bytes' 'b 444444444444 by ada' 'c 555555555555'
a 111111111111 by [..], 6 bytes
b 444444444444 by [..]
c 222222222222
...
$ echo 111111111111 222222222222 444444444444 $PWD
111111111111 222222222222 444444444444 [..]
```
";
    let mended = "```console
$ echo hello
hello
$ printf '%s\\n' 'new 333333333333' 'a 222222222222 by ada, 7 bytes' 'b 444444444444 by ada' 'c 555555555555'
new 333333333333
a 222222222222 by [..], 7 bytes
b 444444444444 by [..]
c 555555555555
...
$ echo 222222222222 555555555555 444444444444 $PWD
222222222222 555555555555 444444444444 [..]
```
";
    assert_eq!(updated(page.to_owned()), mended);
}
