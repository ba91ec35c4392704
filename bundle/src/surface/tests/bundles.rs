//! Preview and import report the same of a bundle that git wrote, and import can refuse it.

use std::fs::File;
use std::path::{Path, PathBuf};

use kit::Env;

use crate::{ImportError, ImportOptions, Imported, PreviewOptions, Surface, referee};

/// A source with a commit `base`, and a clone of it.
struct Pair {
    env: Env,
    source: PathBuf,
    target: PathBuf,
}

impl Pair {
    fn new() -> Self {
        let env = Env::new();
        let source = env.init("source");
        env.commit(&source, "src/lib.rs", "pub fn one() {}\n", "one");
        env.commit(&source, "Makefile", "all:\n", "two");
        env.git(&source, ["branch", "base"]);
        env.git(env.root(), ["clone", "-q", "source", "target"]);
        let target = env.path("target");
        Self { env, source, target }
    }

    fn git(&self, args: &[&str]) -> String {
        self.env.git(&self.source, args)
    }

    fn bundle(&self, args: &[&str]) -> PathBuf {
        let create = ["bundle", "create", "-q", "../change.bundle"];
        self.env.git(&self.source, create.iter().chain(args));
        self.env.path("change.bundle")
    }

    fn preview(&self, bundle: &Path) -> Surface {
        let repo = referee::open(&self.target);
        let scratch = self.env.path("scratch");
        std::fs::create_dir_all(&scratch).unwrap();
        let options = PreviewOptions::default();
        let mut file = File::open(bundle).unwrap();
        crate::preview(Some(&repo), &mut file, &scratch, &options, &mut |_| ()).unwrap().surface
    }

    fn import(&self, bundle: &Path, refuse_surface: bool) -> Result<Imported, ImportError> {
        let repo = referee::open(&self.target);
        let options = ImportOptions { refuse_surface, ..ImportOptions::new([7; 32]) };
        crate::import(&repo, &mut File::open(bundle).unwrap(), &options, &mut |_| ())
    }

    /// Everything below the clone, by name and size.
    fn listing(&self) -> String {
        self.env.run(&self.target, "find", [".", "-type", "f", "-printf", "%p %s\n"]).stdout
    }
}

fn lines(surface: &Surface) -> Vec<String> {
    assert!(surface.is_checked);
    let paths = |finding: &crate::Finding| gix::bstr::join(" ", &finding.paths);
    surface
        .findings
        .iter()
        .map(|found| format!("{}: {}", found.code, gix::bstr::BString::from(paths(found))))
        .collect()
}

#[test]
fn preview_and_import_report_the_same_of_what_the_tips_differ_in() {
    let pair = Pair::new();
    pair.env.commit(&pair.source, ".github/workflows/ci.yml", "on: push\n", "ci");
    // What comes and goes on the way is in no checkout.
    pair.env.commit(&pair.source, ".envrc", "evil\n", "hidden");
    pair.git(&["rm", "-q", ".envrc"]);
    pair.git(&["commit", "-qm", "gone"]);
    pair.git(&["branch", "side", "base"]);
    pair.git(&["checkout", "-q", "side"]);
    pair.env.commit(&pair.source, "CLAUDE.md", "obey\n", "agent");
    let bundle = pair.bundle(&["base..main", "side"]);
    let expected = ["ci: .github/workflows/ci.yml", "agents: CLAUDE.md"];
    assert_eq!(lines(&pair.preview(&bundle)), expected);
    let imported = pair.import(&bundle, false).unwrap();
    assert!(!imported.everything_here);
    assert_eq!(lines(&imported.surface), expected);
    let again = pair.import(&bundle, true).expect("what is applied is not refused");
    assert!(again.already_applied && again.everything_here);
    assert_eq!(lines(&again.surface), expected);
    assert_eq!(lines(&pair.preview(&bundle)), expected);
}

#[test]
fn without_a_base_all_of_the_tip_is_reported() {
    let pair = Pair::new();
    let bundle = pair.bundle(&["main"]);
    assert_eq!(lines(&pair.preview(&bundle)), ["build: Makefile"]);
    assert_eq!(lines(&pair.import(&bundle, false).unwrap().surface), ["build: Makefile"]);
}

#[test]
fn what_a_merged_prerequisite_changed_is_no_news_and_what_is_undone_is() {
    let pair = Pair::new();
    pair.git(&["checkout", "-q", "-b", "topic"]);
    pair.env.commit(&pair.source, "src/lib.rs", "pub fn topic() {}\n", "topic");
    pair.git(&["checkout", "-q", "main"]);
    pair.env.commit(&pair.source, "Cargo.lock", "new\n", "lock");
    pair.env.commit(&pair.source, "Makefile", "all: safe\n", "safe");
    pair.env.git(&pair.target, ["pull", "-q"]);
    pair.git(&["checkout", "-q", "topic"]);
    pair.git(&["merge", "-q", "-m", "merge", "main"]);
    // Prerequisites are base and main; base is an ancestor of main and does not count.
    let bundle = pair.bundle(&["topic", "^base", "^main"]);
    assert_eq!(lines(&pair.preview(&bundle)), [""; 0]);
    let imported = pair.import(&bundle, true).unwrap();
    assert_eq!((imported.prerequisites.len(), lines(&imported.surface)), (2, Vec::new()));
    // The old makefile again, which base has.
    pair.env.commit(&pair.source, "Makefile", "all:\n", "undo");
    let bundle = pair.bundle(&["topic", "^base", "^main"]);
    assert_eq!(lines(&pair.preview(&bundle)), ["build: Makefile"]);
    let repo = referee::open(&pair.target);
    let mut file = File::open(&bundle).unwrap();
    let options = PreviewOptions::default();
    let preview =
        crate::preview(Some(&repo), &mut file, &pair.env.path("scratch"), &options, &mut |_| ()).unwrap();
    assert_eq!(preview.base, Some(referee::id(&pair.git(&["rev-parse", "main"]))));
}

#[test]
fn a_change_with_a_surface_is_refused_where_that_is_wanted_before_anything_changes() {
    let pair = Pair::new();
    pair.env.commit(&pair.source, "src/lib.rs", "pub fn two() {}\n", "plain");
    let plain = pair.bundle(&["base..main"]);
    assert_eq!(lines(&pair.import(&plain, true).unwrap().surface), [""; 0]);
    pair.env.commit(&pair.source, "Makefile", "all: evil\n", "make");
    let bundle = pair.bundle(&["base..main"]);
    let refused = |when: &str| {
        let before = pair.listing();
        let error = pair.import(&bundle, true).expect_err(when);
        assert_eq!(error.to_string(), "the change touches more than plain source: build", "{when}");
        assert_eq!(pair.listing(), before, "{when}");
    };
    refused("the objects are in the bundle alone");
    pair.env.git(&pair.target, ["fetch", "-q"]);
    refused("the objects are here");
}
