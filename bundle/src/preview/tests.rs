//! A preview says what git says about the same commits, and leaves nothing behind.

use std::fs::File;
use std::path::{Path, PathBuf};

use kit::{Env, History, ObjectFormat, Shape, Times};

use super::*;
use crate::referee;

fn look(repo: Option<&Path>, bundle: &Path, scratch: &Path) -> Result<Preview, ImportError> {
    let repo = repo.map(referee::open);
    let options = PreviewOptions::default();
    preview(repo.as_ref(), &mut File::open(bundle).unwrap(), scratch, &options, &mut |_| ())
}

struct Source {
    env: Env,
    path: PathBuf,
    scratch: PathBuf,
}

fn source(shape: &Shape) -> Source {
    let env = Env::new();
    let path = History::seeded(&env, "source", 3, shape).path;
    let scratch = env.path("scratch");
    std::fs::create_dir(&scratch).unwrap();
    Source { env, path, scratch }
}

impl Source {
    fn bundle(&self, args: &[&str]) -> PathBuf {
        let create = ["bundle", "create", "-q", "../change.bundle"];
        self.env.git(&self.path, create.iter().chain(args));
        self.env.path("change.bundle")
    }

    fn git(&self, args: &[&str]) -> String {
        self.env.git(&self.path, args)
    }
}

fn numstat(preview: &Preview) -> String {
    let number = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
    let stat = preview.stat.as_ref().expect("all objects are here");
    let lines =
        stat.iter().map(|file| format!("{}\t{}\t{}", number(file.added), number(file.deleted), file.path));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn commits_and_diffstat_are_those_of_git() {
    for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
        let shape =
            Shape { rename_percent: 30, object_format: format, big_blob_bytes: 4000, ..Shape::default() };
        let source = source(&shape);
        let bundle = source.bundle(&["HEAD~9..main"]);
        let preview = look(Some(&source.path), &bundle, &source.scratch).unwrap();
        assert_eq!(numstat(&preview), source.git(&["diff", "--numstat", "--no-renames", "HEAD~9", "HEAD"]));
        let log: Vec<_> =
            preview.commits.iter().map(|commit| format!("{} {}", commit.id, commit.subject)).collect();
        assert_eq!(log.join("\n"), source.git(&["log", "--format=%H %s", "HEAD~9..HEAD"]));
        assert_eq!((preview.commit_count, preview.prerequisites_missing.len()), (9, 0));
    }
}

#[test]
fn the_patch_makes_the_tip_of_the_base() {
    let shape = Shape { rename_percent: 30, times: Times::Equal, ..Shape::default() };
    let source = source(&shape);
    std::fs::write(source.path.join("no newline"), "a\nb").unwrap();
    std::fs::write(source.path.join("sp\"\u{e4}ce\n.txt"), "x\n").unwrap();
    std::os::unix::fs::symlink("no newline", source.path.join("link")).unwrap();
    source.git(&["add", "."]);
    source.git(&["commit", "-qm", "one"]);
    std::fs::write(source.path.join("no newline"), "a\nc").unwrap();
    std::fs::remove_file(source.path.join("link")).unwrap();
    std::fs::write(source.path.join("link"), "a file now\n").unwrap();
    source.git(&["add", "."]);
    source.git(&["update-index", "--chmod=+x", "no newline"]);
    source.git(&["commit", "-qm", "two"]);
    for base in ["HEAD~1", "HEAD~2", "HEAD~12"] {
        let bundle = source.bundle(&[&format!("{base}..main")]);
        let preview = look(Some(&source.path), &bundle, &source.scratch).unwrap();
        let mut patch = Vec::new();
        preview.patch(&mut patch).unwrap();
        let file = source.env.path("change.patch");
        std::fs::write(&file, &patch).unwrap();
        source.git(&["read-tree", base]);
        source.git(&["apply", "--cached", file.to_str().unwrap()]);
        assert_eq!(source.git(&["write-tree"]), source.git(&["rev-parse", "HEAD^{tree}"]), "{base}");
    }
}

#[test]
fn without_a_repository_or_its_base_what_can_be_said_is_said() {
    let source = source(&Shape::default());
    let bundle = source.bundle(&["HEAD~4..main"]);
    let other = source.env.init("other");
    for repo in [None, Some(other.as_path())] {
        let preview = look(repo, &bundle, &source.scratch).unwrap();
        assert_eq!(preview.stat, None);
        assert_eq!(preview.prerequisites_missing.len(), 1);
        assert_eq!(preview.commit_count, 4);
        let subjects: Vec<_> = preview.commits.iter().map(|commit| commit.subject.to_string()).collect();
        assert_eq!(subjects.join("\n"), source.git(&["log", "--format=%s", "HEAD~4..HEAD"]));
    }
    let whole = source.bundle(&["main"]);
    let preview = look(None, &whole, &source.scratch).unwrap();
    assert_eq!(preview.commit_count, 30);
    assert!(preview.stat.is_some());
}

#[test]
fn nothing_stays_and_nothing_enters_the_repository() {
    let source = source(&Shape::default());
    let bundle = source.bundle(&["HEAD~4..main"]);
    let before = source.env.path("source/.git/objects");
    let count = || std::fs::read_dir(&before).unwrap().count();
    let objects = count();
    let preview = look(Some(&source.path), &bundle, &source.scratch).unwrap();
    assert_eq!(std::fs::read_dir(&source.scratch).unwrap().count(), 1);
    drop(preview);
    assert_eq!(std::fs::read_dir(&source.scratch).unwrap().count(), 0);
    assert_eq!(count(), objects);
}
