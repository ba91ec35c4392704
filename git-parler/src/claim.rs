//! What the author of a handoff states of its content: composed for the signed reference, and compared with the content by
//! who looks at it. Both sides count with the same code.

use bundle::{FileStat, Outline, Preview, Surface};
use gix::ObjectId;
use gix::bstr::{BStr, ByteSlice};
use protocol::clean;
use protocol::json;
use protocol::limits::STATED_BYTES_MAX;
use protocol::part::{BundlePart, PartCommit, PartStat};

use crate::commands::push::commits;
use crate::limits::{PATHS_BYTES_MAX, SUBJECT_BYTES_MAX};

/// The last three fields of a reference.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) log: Option<Vec<PartCommit>>,
    pub(crate) stat: Option<PartStat>,
    pub(crate) surface: Option<Vec<String>>,
}

/// Composes the claim, cut to what a reference may have: all codes, the first paths, then subjects as far as they go.
pub(crate) fn compose(outline: &Outline) -> Claim {
    // What was not counted in full is better not said.
    let stat = outline.stat.as_deref().map(|files| {
        let mut stat = stat(files);
        stat.paths = first(stat.paths, PATHS_BYTES_MAX);
        stat
    });
    let surface = outline.surface.is_checked.then(|| codes(&outline.surface));
    let taken = json::write(&(&stat, &surface)).len() + PUNCTUATION_BYTES;
    let log = outline.commits.iter().map(|commit| PartCommit {
        id: commit.id.to_string(),
        subject: stated_subject(commit.subject.as_bstr()),
    });
    Claim { log: Some(first(log, STATED_BYTES_MAX - taken)), stat, surface }
}

/// Returns the first of `items` that take at most so many bytes as JSON.
fn first<T: serde::Serialize>(items: impl IntoIterator<Item = T>, bytes_max: usize) -> Vec<T> {
    let mut bytes = 0;
    let fits = |item: &T| {
        bytes += json::write(item).len() + 1;
        bytes <= bytes_max
    };
    items.into_iter().take_while(fits).collect()
}

fn stat(files: &[FileStat]) -> PartStat {
    let sum = |lines: fn(&FileStat) -> Option<u64>| files.iter().filter_map(lines).sum();
    PartStat {
        files: files.len() as u64,
        added: sum(|file| file.added),
        deleted: sum(|file| file.deleted),
        paths: files.iter().map(|file| file.path.to_str_lossy().into_owned()).collect(),
    }
}

fn codes(surface: &Surface) -> Vec<String> {
    surface.findings.iter().map(|found| found.code.to_owned()).collect()
}

fn stated_subject(subject: &BStr) -> String {
    cut(&subject.to_str_lossy(), SUBJECT_BYTES_MAX).to_owned()
}

/// Returns the beginning of `text` that has at most `bytes_max` bytes.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    let end = (0..=text.len().min(bytes_max)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// A field of the reference that says something else than the content.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The field's name.
    pub(crate) field: &'static str,
    /// What is stated and what is so, clean.
    pub(crate) sentence: String,
}

/// Returns where `part` says something else than the content of its bundle. What is not stated, or cannot be known here,
/// does not differ.
pub(crate) fn differences(part: &BundlePart, preview: &Preview) -> Vec<Difference> {
    let content = Content {
        commit_count: preview.commit_count as u64,
        subject: &|id| preview.subject(id).map(stated_subject),
        stat: preview.stat.as_deref().filter(|_| !preview.stat_is_cut),
        surface: preview.stat.as_ref().map(|_| &preview.surface),
    };
    compare(part, &content)
}

/// What is so.
struct Content<'a> {
    commit_count: u64,
    subject: &'a dyn Fn(ObjectId) -> Option<String>,
    stat: Option<&'a [FileStat]>,
    surface: Option<&'a Surface>,
}

fn compare(part: &BundlePart, content: &Content<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut differ = |field, sentence| found.push(Difference { field, sentence });
    if part.commits != content.commit_count {
        let (stated, count) = (commits(part.commits), commits(content.commit_count));
        differ("commits", format!("{stated} stated, {count} in it"));
    }
    let is_so = |commit: &PartCommit| {
        let subject = commit.id.parse().ok().and_then(content.subject);
        subject.is_some_and(|subject| subject == commit.subject)
    };
    if let Some(commit) = part.log.iter().flatten().find(|commit| !is_so(commit)) {
        let (id, subject) = (cut(&commit.id, 12), clean::line(&commit.subject));
        differ("log", format!("{id} \"{subject}\" is stated, and no commit in it is so"));
    }
    if let (Some(stated), Some(files)) = (&part.stat, content.stat) {
        let so = stat(files);
        let say = |stat: &PartStat| {
            format!("{} files, {} lines added, {} deleted", stat.files, stat.added, stat.deleted)
        };
        if (stated.files, stated.added, stated.deleted) != (so.files, so.added, so.deleted) {
            differ("stat", format!("{} stated, {} in it", say(stated), say(&so)));
        } else if let Some(path) =
            stated.paths.iter().zip(&so.paths).find_map(|(one, so)| (one != so).then_some(one))
        {
            differ("stat", format!("{} is stated in the place of another path", clean::line(path)));
        }
    }
    if let (Some(stated), Some(surface)) = (&part.surface, content.surface) {
        let so = codes(surface);
        let missing = |these: &[String], those: &[String]| {
            let missing = these.iter().filter(|code| !those.contains(code));
            missing.map(|code| clean::line(code).into_owned()).collect::<Vec<_>>().join(", ")
        };
        let hushed = missing(&so, stated);
        let invented = if surface.is_checked { missing(stated, &so) } else { String::new() };
        let sentence = match (hushed.as_str(), invented.as_str()) {
            ("", "") => return found,
            (hushed, "") => format!("{hushed} found and not stated"),
            ("", invented) => format!("{invented} stated and not found"),
            (hushed, invented) => format!("{hushed} found and not stated, {invented} stated and not found"),
        };
        differ("surface", sentence);
    }
    found
}

/// The brackets around and the commas between the three fields, and those of the log.
const PUNCTUATION_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use bundle::{Finding, ListedCommit};

    use super::*;

    fn id(number: usize) -> ObjectId {
        ObjectId::from_hex(format!("{number:040x}").as_bytes()).unwrap()
    }

    fn outline(commits: usize, subject: &str, paths: &[&str]) -> Outline {
        let found = Finding { code: "ci", sentence: "", paths: Vec::new(), count: 1 };
        let stat = |path: &&str| FileStat { path: (*path).into(), added: Some(2), deleted: None };
        Outline {
            commits: (0..commits).map(|at| ListedCommit { id: id(at), subject: subject.into() }).collect(),
            stat: Some(paths.iter().map(stat).collect()),
            surface: Surface { findings: vec![found], is_checked: true },
        }
    }

    fn part(claim: Claim, commits: u64) -> BundlePart {
        let stated = kit::bundle_part(b"", &id(0).to_string(), "");
        BundlePart { commits, log: claim.log, stat: claim.stat, surface: claim.surface, ..stated }
    }

    /// Says what differs between `part` and the content that `outline` tells of.
    fn differing(part: &BundlePart, outline: &Outline) -> Vec<String> {
        let listed = |id| outline.commits.iter().find(|commit| commit.id == id);
        let content = Content {
            commit_count: outline.commits.len() as u64,
            subject: &|id| listed(id).map(|commit| stated_subject(commit.subject.as_bstr())),
            stat: outline.stat.as_deref(),
            surface: Some(&outline.surface),
        };
        let differences = compare(part, &content);
        differences.into_iter().map(|found| format!("{}: {}", found.field, found.sentence)).collect()
    }

    #[test]
    fn a_claim_fits_whatever_it_says_and_agrees_with_its_content() {
        let long = "\u{1}".repeat(600);
        let paths: Vec<String> = (0..1000).map(|number| format!("some/folder/file{number}")).collect();
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        let wild = ["\u{1}\u{1}", long.as_str(), "\"\\"];
        for (commits, subject, paths) in
            [(0, "", &[][..]), (3, "a subject", &wild[..]), (250, "x", &paths), (250, &long, &paths)]
        {
            let outline = outline(commits, subject, paths);
            let part = part(compose(&outline), commits as u64);
            part.check().expect("it is within the bounds");
            assert_eq!(differing(&part, &outline), [""; 0]);
            let stated = part.log.unwrap().len();
            assert!(stated == commits || stated >= 3, "{stated} of {commits}");
        }
    }

    #[test]
    fn what_was_not_looked_at_in_full_is_not_stated() {
        let mut outline = outline(1, "one", &["a"]);
        outline.stat = None;
        outline.surface.is_checked = false;
        let claim = compose(&outline);
        assert_eq!((claim.stat, claim.surface), (None, None));
    }

    #[test]
    fn each_field_that_lies_is_named() {
        let content = outline(2, "one", &["a", "b"]);
        let lie = |change: fn(&mut BundlePart)| {
            let mut part = part(compose(&content), 2);
            change(&mut part);
            differing(&part, &content).join("; ")
        };
        assert_eq!(lie(|_| ()), "");
        assert_eq!(lie(|part| part.commits = 1), "commits: 1 commit stated, 2 commits in it");
        assert_eq!(
            lie(|part| part.log.as_mut().unwrap()[1].subject = "t\u{1b}wo".into()),
            "log: 000000000000 \"t\u{fffd}wo\" is stated, and no commit in it is so"
        );
        assert_eq!(
            lie(|part| part.log.as_mut().unwrap()[0].id = "f".repeat(40)),
            "log: ffffffffffff \"one\" is stated, and no commit in it is so"
        );
        assert_eq!(
            lie(|part| part.stat.as_mut().unwrap().added = 3),
            "stat: 2 files, 3 lines added, 0 deleted stated, 2 files, 4 lines added, 0 deleted in it"
        );
        assert_eq!(
            lie(|part| part.stat.as_mut().unwrap().paths[1] = "c".into()),
            "stat: c is stated in the place of another path"
        );
        assert_eq!(lie(|part| part.surface = Some(Vec::new())), "surface: ci found and not stated");
        assert_eq!(
            lie(|part| part.surface = Some(vec!["agents".into()])),
            "surface: ci found and not stated, agents stated and not found"
        );
        assert_eq!(lie(|part| (part.log, part.stat, part.surface) = (None, None, None)), "");
    }
}
