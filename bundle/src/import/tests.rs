//! What git wrote is taken, whatever the repository looks like; nothing else of the repository changes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use kit::{Env, History, Shape};
use sha2::{Digest as _, Sha256};

use super::*;
use crate::ScanError;
use crate::referee;

/// Returns the SHA-256 of a file.
fn id_of(path: &Path) -> [u8; 32] {
    Sha256::digest(std::fs::read(path).unwrap()).into()
}

fn apply_with(
    repo: &Path,
    bundle: &Path,
    change: impl FnOnce(&mut ImportOptions),
) -> Result<Imported, ImportError> {
    let repo = referee::open(repo);
    let mut options = ImportOptions::new(id_of(bundle));
    change(&mut options);
    import(&repo, &mut File::open(bundle).unwrap(), &options, &mut |_| ())
}

fn apply(repo: &Path, bundle: &Path) -> Result<Imported, ImportError> {
    apply_with(repo, bundle, |_| ())
}

struct Pair {
    env: Env,
    source: PathBuf,
    target: PathBuf,
}

/// Makes a source with a history, and a clone of it that lacks the newest `behind` commits.
fn pair(behind: usize) -> Pair {
    let env = Env::new();
    let source = History::seeded(&env, "source", 7, &Shape::default()).path;
    let target = env.path("target");
    env.git(env.root(), ["clone", "-q", "source", "target"]);
    env.git(&target, ["remote", "remove", "origin"]);
    env.git(&target, ["reset", "-q", "--hard", &format!("HEAD~{behind}")]);
    env.git(&target, ["reflog", "expire", "--expire=now", "--all"]);
    env.git(&target, ["gc", "-q", "--prune=now"]);
    Pair { env, source, target }
}

impl Pair {
    fn bundle(&self, args: &[&str]) -> PathBuf {
        let path = self.env.path("change.bundle");
        let create = ["bundle", "create", "-q", "../change.bundle"];
        self.env.git(&self.source, create.iter().chain(args));
        path
    }

    fn tip(&self) -> ObjectId {
        ObjectId::from_hex(self.env.git(&self.source, ["rev-parse", "HEAD"]).as_bytes()).unwrap()
    }
}

#[test]
fn a_bundle_that_git_wrote_lands_under_refs_parler() {
    let pair = pair(5);
    let bundle = pair.bundle(&["HEAD~5..main"]);
    let imported = apply(&pair.target, &bundle).unwrap();
    assert_eq!(imported.tip(), Some(pair.tip()));
    assert!(!imported.already_applied && !imported.everything_here);
    let name = imported.refs[0].name.to_string();
    assert_eq!(pair.env.git(&pair.target, ["rev-parse", &name]), pair.tip().to_string());
    assert_eq!(pair.env.git(&pair.target, ["fsck", "--strict", "--no-dangling"]), "");
    let log = pair.env.git(&pair.source, ["log", "--format=%s", "HEAD~5..HEAD"]);
    let subjects: Vec<_> = imported.commits.iter().map(|commit| commit.subject.to_string()).collect();
    assert_eq!(subjects, log.lines().collect::<Vec<_>>());
}

/// Everything below a repository but reflogs: relative path and content, for comparisons before and after.
fn snapshot(repo: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut dirs = vec![repo.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(repo).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                files.insert(format!("{name}/"), Vec::new());
                dirs.push(path);
            } else {
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Applies a bundle that must be refused, and sees that the repository is byte for byte as it was.
fn refused(repo: &Path, bundle: &Path) -> ImportError {
    let before = snapshot(repo);
    let error = apply(repo, bundle).expect_err("the bundle is refused");
    assert_eq!(snapshot(repo), before, "after: {error}");
    error
}

#[test]
fn nothing_but_objects_and_the_reference_changes() {
    let pair = pair(5);
    let bundle = pair.bundle(&["HEAD~5..main"]);
    let before = snapshot(&pair.target);
    let imported = apply(&pair.target, &bundle).unwrap();
    let name = imported.refs[0].name.to_string();
    let mut after = snapshot(&pair.target);
    after.retain(|path, content| before.get(path) != Some(content));
    assert!(before.keys().all(|path| snapshot(&pair.target).contains_key(path)));
    let unexpected: Vec<_> = after.keys().filter(|path| !path.starts_with(".git/objects/")).collect();
    let expected = [
        ".git/logs/refs/parler/".into(),
        format!(".git/logs/{name}"),
        ".git/refs/parler/".into(),
        format!(".git/{name}"),
    ];
    assert_eq!(unexpected, expected.iter().collect::<Vec<_>>());
    let log = pair.env.git(&pair.target, ["reflog", "show", "--format=%gs", &name]);
    let hex: String = id_of(&bundle).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(log, format!("parler: apply {hex}"));
    assert_eq!(name, format!("refs/parler/{}", &hex[..12]));
}

#[test]
fn a_dry_run_and_a_second_import_change_nothing() {
    let pair = pair(5);
    let bundle = pair.bundle(&["HEAD~5..main"]);
    let before = snapshot(&pair.target);
    let tried = apply_with(&pair.target, &bundle, |options| options.dry_run = true).unwrap();
    assert_eq!(snapshot(&pair.target), before);
    let first = apply(&pair.target, &bundle).unwrap();
    assert_eq!(tried, first);
    let before = snapshot(&pair.target);
    let second = apply(&pair.target, &bundle).unwrap();
    assert_eq!(snapshot(&pair.target), before);
    assert!(second.already_applied && second.everything_here);
    assert_eq!((second.refs, second.commits), (first.refs, first.commits));
}

#[test]
fn a_linked_worktree_gets_the_reference_only() {
    let pair = pair(5);
    pair.env.git(&pair.source, ["worktree", "add", "-q", "--detach", "../linked", "HEAD~5"]);
    let linked = pair.env.path("linked");
    std::fs::write(linked.join("new"), "new").unwrap();
    pair.env.git(&linked, ["add", "new"]);
    pair.env.git(&linked, ["commit", "-qm", "in a detached worktree"]);
    pair.env.git(&linked, ["bundle", "create", "-q", "../change.bundle", "HEAD", "^HEAD~1"]);
    let bundle = pair.env.path("change.bundle");
    let before = snapshot(&pair.source.join(".git/objects"));
    let imported = apply(&pair.source, &bundle).unwrap();
    assert!(imported.everything_here && !imported.already_applied);
    assert_eq!(imported.commits[0].subject, "in a detached worktree");
    assert_eq!(snapshot(&pair.source.join(".git/objects")), before);
    assert!(apply(&linked, &bundle).unwrap().already_applied);
}

#[test]
fn a_handoff_on_top_of_an_applied_one_works() {
    let pair = pair(6);
    pair.env.git(&pair.source, ["branch", "half", "main~3"]);
    let first = apply(&pair.target, &pair.bundle(&["main~6..half"])).unwrap();
    let second = apply(&pair.target, &pair.bundle(&["half..main"])).unwrap();
    assert_eq!(second.prerequisites[0].id, first.tip().unwrap());
    assert_eq!(pair.env.git(&pair.target, ["fsck", "--strict"]), "");
}

#[test]
fn bare_alternate_and_sha256_repositories_take_bundles() {
    for format in [kit::ObjectFormat::Sha1, kit::ObjectFormat::Sha256] {
        let env = Env::new();
        let shape = Shape { object_format: format, ..Shape::default() };
        let source = History::seeded(&env, "source", 8, &shape).path;
        env.git(&source, ["bundle", "create", "-q", "../change.bundle", "main~4..main"]);
        env.git(&source, ["branch", "old", "main~4"]);
        env.git(
            env.root(),
            ["clone", "-q", "--bare", "--single-branch", "--branch", "old", "source", "bare"],
        );
        env.git(env.root(), ["clone", "-q", "--shared", "--branch", "old", "bare", "shared"]);
        for target in ["bare", "shared"] {
            let target = env.path(target);
            let imported = apply(&target, &env.path("change.bundle")).unwrap();
            assert_eq!(imported.commit_count, 4);
            assert_eq!(env.git(&target, ["fsck", "--strict", "--no-dangling"]), "");
        }
    }
}

#[test]
fn another_object_format_is_refused() {
    let env = Env::new();
    let shape = Shape { object_format: kit::ObjectFormat::Sha256, ..Shape::default() };
    let source = History::seeded(&env, "source", 8, &shape).path;
    env.git(&source, ["bundle", "create", "-q", "../change.bundle", "main"]);
    let error = refused(&env.init("other"), &env.path("change.bundle"));
    insta::assert_snapshot!(error, @"the bundle uses sha256 objects and this repository sha1");
}

#[test]
fn several_tips_become_several_references() {
    let pair = pair(5);
    pair.env.git(&pair.source, ["branch", "topic/x", "main~2"]);
    pair.env.git(&pair.source, ["tag", "-a", "-m", "a tag", "v1", "main~1"]);
    let bundle = pair.bundle(&["main~5..main", "topic/x", "v1", "HEAD"]);
    let imported = apply(&pair.target, &bundle).unwrap();
    let shown: Vec<_> = imported
        .refs
        .iter()
        .map(|one| (one.name.to_string()[25..].to_owned(), one.branch.to_string()))
        .collect();
    let expected = [("main", "main"), ("topic/x", "topic/x"), ("tags/v1", "refs/tags/v1")];
    assert_eq!(shown, expected.map(|(name, branch)| (name.to_owned(), branch.to_owned())));
    for reference in &imported.refs {
        let name = reference.name.to_string();
        assert_eq!(pair.env.git(&pair.target, ["rev-parse", &name]), reference.target.to_string());
        let commit = format!("{name}^{{commit}}");
        assert_eq!(pair.env.git(&pair.target, ["rev-parse", &commit]), reference.commit.to_string());
    }
    assert_eq!(pair.env.git(&pair.target, ["tag"]), "");
    assert!(apply(&pair.target, &bundle).unwrap().already_applied);
}

#[test]
fn a_taken_name_gets_more_digits() {
    let pair = pair(5);
    let bundle = pair.bundle(&["HEAD~5..main"]);
    let hex: String = id_of(&bundle).iter().map(|byte| format!("{byte:02x}")).collect();
    pair.env.git(&pair.target, ["update-ref", &format!("refs/parler/{}", &hex[..12]), "HEAD"]);
    pair.env.git(&pair.target, ["update-ref", &format!("refs/parler/{}/x", &hex[..13]), "HEAD"]);
    let imported = apply(&pair.target, &bundle).unwrap();
    assert_eq!(imported.refs[0].name, format!("refs/parler/{}", &hex[..14]));
    assert!(apply(&pair.target, &bundle).unwrap().already_applied);
}

#[test]
fn a_missing_prerequisite_is_named_with_its_comment() {
    let pair = pair(5);
    let bundle = pair.bundle(&["HEAD~2..main"]);
    let ImportError::MissingPrerequisites(missing) = refused(&pair.target, &bundle) else {
        panic!("missing")
    };
    assert_eq!(missing[0].id.to_string(), pair.env.git(&pair.source, ["rev-parse", "HEAD~2"]));
    assert_eq!(missing[0].comment, pair.env.git(&pair.source, ["log", "-1", "--format=%s", "HEAD~2"]));
}

#[test]
fn a_prerequisite_that_no_reference_reaches_is_refused() {
    let pair = pair(5);
    let bundle = pair.bundle(&["HEAD~5..main"]);
    pair.env.git(&pair.target, ["reset", "-q", "--hard", "HEAD~1"]);
    assert!(matches!(refused(&pair.target, &bundle), ImportError::UnreachablePrerequisites(_)));
    // A detached HEAD counts, the reflog and FETCH_HEAD do not.
    pair.env.git(&pair.target, ["checkout", "-q", "--detach", "HEAD@{1}"]);
    apply(&pair.target, &bundle).unwrap();
}

#[test]
fn an_unrelated_history_is_taken_only_on_demand() {
    let pair = pair(5);
    let other = History::seeded(&pair.env, "other", 99, &Shape::default()).path;
    let bundle = pair.bundle(&["main"]);
    assert!(matches!(refused(&other, &bundle), ImportError::Unrelated));
    apply_with(&other, &bundle, |options| options.allow_unrelated = true).unwrap();
    // The same history, and an empty repository, need no permission.
    assert!(!apply(&pair.target, &bundle).unwrap().everything_here);
    apply(&pair.env.init("empty"), &bundle).unwrap();
}

#[test]
fn the_header_must_be_what_was_announced() {
    let pair = pair(5);
    let bundle = pair.bundle(&["HEAD~5..main"]);
    let base = pair.env.git(&pair.source, ["rev-parse", "HEAD~5"]);
    let announced = Expected {
        tips: vec![("main".into(), pair.tip())],
        prerequisites: vec![ObjectId::from_hex(base.as_bytes()).unwrap()],
    };
    let other_tip = Expected { tips: vec![("topic".into(), pair.tip())], ..announced.clone() };
    let no_base = Expected { prerequisites: Vec::new(), ..announced.clone() };
    for (expected, is_right) in [(other_tip, false), (no_base, false), (announced, true)] {
        let outcome = apply_with(&pair.target, &bundle, |options| options.expected = Some(expected));
        assert_eq!(outcome.is_ok(), is_right, "{outcome:?}");
    }
}

#[test]
fn every_budget_refuses_and_names_its_option() {
    let pair = pair(5);
    let bundle = pair.bundle(&["HEAD~5..main"]);
    type Change = fn(&mut Budgets);
    let cases: [(&str, Change); 5] = [
        ("parler.import.maxObjects", |budgets| budgets.objects = 3),
        ("parler.import.maxObjectSize", |budgets| budgets.object_bytes = 100),
        ("parler.import.maxTotalSize", |budgets| budgets.total_bytes = 1000),
        ("parler.import.maxRatio", |budgets| (budgets.ratio, budgets.ratio_free_bytes) = (1, 0)),
        ("parler.import.maxDeltaDepth", |budgets| budgets.delta_depth = 0),
    ];
    for (option, change) in cases {
        let before = snapshot(&pair.target);
        let error = apply_with(&pair.target, &bundle, |options| change(&mut options.budgets)).unwrap_err();
        let ImportError::Scan(ScanError::OverBudget { budget, size, limit, .. }) = error else {
            panic!("{error}")
        };
        assert_eq!(budget.option(), option);
        assert!(size > limit);
        assert_eq!(snapshot(&pair.target), before);
    }
}

#[test]
fn small_packs_become_loose_objects_and_large_ones_stay() {
    for (limit, packs) in [("1000", 1), ("1", 2)] {
        let pair = pair(5);
        let bundle = pair.bundle(&["HEAD~5..main"]);
        pair.env.git(&pair.target, ["config", "fetch.unpackLimit", limit]);
        apply(&pair.target, &bundle).unwrap();
        let dir = std::fs::read_dir(pair.target.join(".git/objects/pack")).unwrap();
        let names: Vec<_> = dir.map(|entry| entry.unwrap().path()).collect();
        let count = |extension| {
            names.iter().filter(|name| name.extension().is_some_and(|it| it == extension)).count()
        };
        assert_eq!((count("pack"), count("idx"), count("keep")), (packs, packs, 0));
        assert_eq!(pair.env.git(&pair.target, ["fsck", "--strict", "--no-dangling"]), "");
        for name in names {
            let is_ours = name.extension().is_some_and(|extension| extension == "pack" || extension == "idx");
            let mode =
                std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&name).unwrap().permissions());
            assert!(!is_ours || mode & 0o777 == 0o444, "{name:?} has {mode:o}");
        }
    }
}

#[test]
fn a_bundle_cut_anywhere_or_with_any_byte_flipped_is_refused() {
    let pair = pair(1);
    let bundle = pair.bundle(&["HEAD~1..main"]);
    let bytes = std::fs::read(&bundle).unwrap();
    let broken = pair.env.path("broken.bundle");
    let before = snapshot(&pair.target);
    for length in 0..bytes.len() {
        std::fs::write(&broken, &bytes[..length]).unwrap();
        apply(&pair.target, &broken).expect_err("a cut bundle");
    }
    let mut flipped = bytes.clone();
    let names = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
    for at in 0..bytes.len() {
        for bit in [0x01, 0x80] {
            flipped[at] ^= bit;
            std::fs::write(&broken, &flipped).unwrap();
            let outcome = apply_with(&pair.target, &broken, |options| options.dry_run = true);
            // A flip in a comment or a name gives another bundle, and a good one.
            assert!(outcome.is_err() || at < names, "flipped at {at}: {outcome:?}");
            flipped[at] = bytes[at];
        }
    }
    std::fs::write(&broken, [bytes.as_slice(), b"\n"].concat()).unwrap();
    assert!(matches!(refused(&pair.target, &broken), ImportError::Scan(ScanError::TrailingBytes)));
    assert_eq!(snapshot(&pair.target), before);
}

#[test]
fn an_interrupt_leaves_nothing() {
    let pair = pair(5);
    let bundle = pair.bundle(&["HEAD~5..main"]);
    let before = snapshot(&pair.target);
    let stop = |options: &mut ImportOptions| options.interrupt = Arc::new(AtomicBool::new(true));
    apply_with(&pair.target, &bundle, stop).unwrap_err();
    assert_eq!(snapshot(&pair.target), before);
}

#[test]
fn a_locked_reference_is_an_error_that_leaves_nothing() {
    let pair = pair(5);
    let bundle = pair.bundle(&["HEAD~5..main"]);
    let hex: String = id_of(&bundle).iter().map(|byte| format!("{byte:02x}")).collect();
    let dir = pair.target.join(".git/refs/parler");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join(format!("{}.lock", &hex[..12])), "").unwrap();
    assert!(matches!(refused(&pair.target, &bundle), ImportError::Refs(_)));
}

#[test]
fn shallow_and_partial_clones_take_what_builds_on_what_they_have() {
    let pair = pair(5);
    let source = format!("file://{}", pair.source.display());
    pair.env.git(&pair.source, ["branch", "old", "main~3"]);
    pair.env.git(&pair.source, ["config", "uploadpack.allowFilter", "true"]);
    let root = pair.env.root();
    pair.env.git(root, ["clone", "-q", "--depth=2", "--branch=old", &source, "shallow"]);
    pair.env.git(
        root,
        ["clone", "-q", "--filter=blob:none", "--single-branch", "--branch=old", &source, "partial"],
    );
    for name in ["shallow", "partial"] {
        let target = pair.env.path(name);
        let imported = apply(&target, &pair.bundle(&["main~3..main"])).unwrap();
        assert_eq!(imported.commit_count, 3, "{name}");
        assert_eq!(pair.env.git(&target, ["fsck", "--connectivity-only", "--no-dangling"]), "", "{name}");
    }
    let beyond = pair.bundle(&["main~6..main"]);
    assert!(matches!(refused(&pair.env.path("shallow"), &beyond), ImportError::MissingPrerequisites(_)));
}

#[test]
fn a_full_disk_is_told_from_other_failures() {
    let full = || io::Error::from(io::ErrorKind::StorageFull);
    assert!(ImportError::Quarantine(full()).is_disk_full());
    assert!(ImportError::Refs(RefsError::Io(full())).is_disk_full());
    assert!(!ImportError::Install(io::ErrorKind::PermissionDenied.into()).is_disk_full());
}

#[test]
fn of_many_imports_at_once_one_makes_the_reference_and_all_succeed() {
    for limit in ["1", "1000"] {
        let pair = pair(5);
        pair.env.git(&pair.target, ["config", "fetch.unpackLimit", limit]);
        let bundle = pair.bundle(&["HEAD~5..main"]);
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| apply(&pair.target, &bundle))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let made = outcomes.into_iter().filter(|outcome| !outcome.as_ref().unwrap().already_applied).count();
        assert_eq!(made, 1);
        assert_eq!(pair.env.git(&pair.target, ["fsck", "--strict", "--no-dangling"]), "");
        let left: Vec<_> = snapshot(&pair.target)
            .into_keys()
            .filter(|path| path.contains("tmp_objdir") || path.ends_with(".lock") || path.ends_with(".keep"))
            .collect();
        assert_eq!(left, [""; 0]);
    }
}

#[test]
fn bundles_of_random_histories_bring_exactly_what_git_says() {
    for seed in referee::seeds(6) {
        let mut random = kit::Random::new(seed);
        let env = Env::new();
        let shape = referee::branchy(seed, &mut random);
        let History { path, commits } = History::seeded(&env, "source", seed, &shape);
        let base = &commits[random.below(commits.len())];
        let range = ["main".to_owned(), format!("^{base}")];
        let brought = env.git(&path, ["rev-list"].into_iter().chain(range.iter().map(String::as_str)));
        if brought.is_empty() {
            continue;
        }
        let create = ["bundle", "create", "-q", "../change.bundle"].into_iter();
        env.git(&path, create.chain(range.iter().map(String::as_str)));
        let bundle = env.path("change.bundle");
        // The receiver has the prerequisites and nothing else.
        let target = env.init("target");
        let (header, _) = Header::read(&mut File::open(&bundle).unwrap()).unwrap();
        env.git(&path, ["config", "uploadpack.allowAnySHA1InWant", "true"]);
        for prerequisite in &header.prerequisites {
            let id = prerequisite.id.to_string();
            env.git(&target, ["fetch", "-q", "../source", &format!("{id}:refs/heads/{id}")]);
        }
        let imported = apply(&target, &bundle).unwrap();
        let listed: std::collections::BTreeSet<_> =
            imported.commits.iter().map(|commit| commit.id.to_string()).collect();
        assert_eq!(listed, referee::sorted(&brought), "seed {seed}");
        assert_eq!(env.git(&target, ["fsck", "--strict"]), "", "seed {seed}");
        let name = imported.refs[0].name.to_string();
        let objects = ["rev-list", "--objects", "--no-object-names"];
        let theirs = env.git(&path, objects.iter().chain(&["main"]));
        assert_eq!(
            referee::sorted(&env.git(&target, objects.iter().chain(&[name.as_str()]))),
            referee::sorted(&theirs),
            "seed {seed}"
        );
    }
}
