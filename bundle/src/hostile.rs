//! Crafted bundles: what an approved but malicious member could send. Each is refused, quickly, and leaves the
//! repository as it was; where git has a rule, git refuses as well.
//! Long because it is one list: each crafted file stands beside the refusal that it gets.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::objs::Kind;
use kit::Env;

use crate::limits::Budget;
use crate::{ImportError, ImportOptions, Imported, Reason, ResolveError, ScanError, referee};

pub(crate) mod pack;

use pack::{Pack, copies, id, tree, varint};

/// A repository with one commit, and a place for a bundle.
struct Target {
    env: Env,
    repo: PathBuf,
    base: ObjectId,
}

impl Target {
    fn new() -> Self {
        let env = Env::new();
        let repo = env.init("target");
        let base = env.commit(&repo, "file", "content\n", "base");
        let base = ObjectId::from_hex(base.as_bytes()).unwrap();
        Self { env, repo, base }
    }

    fn write(&self, tip: ObjectId, pack: &[u8]) -> PathBuf {
        let path = self.env.path("hostile.bundle");
        let header = format!("# v2 git bundle\n-{} base\n{tip} refs/heads/main\n\n", self.base);
        std::fs::write(&path, [header.as_bytes(), pack].concat()).unwrap();
        path
    }

    fn import(&self, bundle: &Path) -> Result<Imported, ImportError> {
        let repo = referee::open(&self.repo);
        let options = ImportOptions::new([7; 32]);
        crate::import(&repo, &mut File::open(bundle).unwrap(), &options, &mut |_| ())
    }

    /// Imports a bundle that must be refused; sees that nothing stays.
    fn refused(&self, tip: ObjectId, pack: Pack) -> ImportError {
        self.refused_bytes(tip, &pack.finish())
    }

    fn refused_bytes(&self, tip: ObjectId, pack: &[u8]) -> ImportError {
        let bundle = self.write(tip, pack);
        let files = || self.env.run(&self.repo, "find", [".", "-type", "f", "-o", "-type", "d"]).stdout;
        let before = files();
        let start = Instant::now();
        let error = self.import(&bundle).expect_err("a hostile bundle");
        assert!(start.elapsed() < Duration::from_secs(20), "it took {:?}", start.elapsed());
        assert_eq!(files(), before, "after: {error}");
        error
    }

    /// Returns whether git refuses the bundle that was written last.
    fn git_refuses(&self) -> bool {
        let fetch = [
            "-c",
            "transfer.fsckObjects=true",
            "fetch",
            "-q",
            "../hostile.bundle",
            "main:refs/heads/hostile",
        ];
        self.env.try_git(&self.repo, fetch).code != Some(0)
    }
}

fn budget_of(error: &ImportError) -> Option<Budget> {
    match error {
        ImportError::Scan(ScanError::OverBudget { budget, .. }) => Some(*budget),
        ImportError::Resolve(ResolveError::DeltaDepth { .. }) => Some(Budget::DeltaDepth),
        _ => None,
    }
}

#[test]
fn a_declared_size_over_budget_is_refused_at_the_entry_header() {
    let target = Target::new();
    let mut pack = Pack::new();
    pack.entry(3, 1 << 40, &[], b"small");
    let error = target.refused(target.base, pack);
    // The tip is here, so the pack would not even be needed: it is looked at all the same.
    assert_eq!(budget_of(&error), Some(Budget::ObjectBytes));
}

#[test]
fn a_size_that_is_not_the_streams_is_refused() {
    for size in [0, 4, 6, 1 << 20] {
        let target = Target::new();
        let mut pack = Pack::new();
        pack.entry(3, size, &[], b"small");
        let error = target.refused(target.base, pack);
        assert!(matches!(error, ImportError::Scan(ScanError::Corrupt { .. })), "{size}: {error}");
    }
}

#[test]
fn delta_bombs_are_refused_before_a_delta_is_resolved() {
    let target = Target::new();
    let base = vec![b'x'; 1 << 20];
    let mut pack = Pack::new();
    let mut offset = pack.entry(3, base.len() as u64, &[], &base);
    let mut size = base.len() as u64;
    for _ in 0..3 {
        offset = pack.offset_delta(offset, &copies(size, 1 << 20, 250));
        size = 250 << 20;
    }
    assert_eq!(budget_of(&target.refused(target.base, pack)), Some(Budget::Ratio));

    let mut pack = Pack::new();
    let offset = pack.entry(3, base.len() as u64, &[], &base);
    pack.offset_delta(offset, &copies(1 << 20, 1 << 20, 300));
    assert_eq!(budget_of(&target.refused(target.base, pack)), Some(Budget::ObjectBytes));
}

#[test]
fn chains_that_are_too_long_are_refused_however_they_are_linked() {
    let target = Target::new();
    let mut pack = Pack::new();
    let mut offset = pack.entry(3, 1, &[], b"a");
    for _ in 0..4097 {
        offset = pack.offset_delta(offset, &[1, 1, 0x90, 1]);
    }
    assert_eq!(budget_of(&target.refused(target.base, pack)), Some(Budget::DeltaDepth));

    // By ids: each delta makes one byte more, and stands before its base.
    let tree_id = ObjectId::empty_tree(HashKind::Sha1);
    let mut pack = Pack::new();
    let content = vec![b'a'; 5000];
    for length in (1..=4100_usize).rev() {
        let mut delta = varint(length as u64);
        delta.extend(varint(length as u64 + 1));
        let size = u16::try_from(length).unwrap().to_le_bytes();
        delta.extend_from_slice(&[0xb0, size[0], size[1], 1, b'a']);
        pack.id_delta(id(Kind::Blob, &content[..length]), &delta);
    }
    pack.whole(Kind::Blob, b"a");
    pack.whole(Kind::Tree, b"");
    let tip = pack.commit(tree_id, &[target.base]);
    assert_eq!(budget_of(&target.refused(tip, pack)), Some(Budget::DeltaDepth));
}

#[test]
fn deltas_by_id_may_stand_before_their_base() {
    let target = Target::new();
    let mut pack = Pack::new();
    pack.id_delta(id(Kind::Blob, b"abc"), &[3, 4, 0x90, 3, 1, b'd']);
    pack.whole(Kind::Blob, b"abc");
    let new = id(Kind::Blob, b"abcd");
    let root =
        pack.whole(Kind::Tree, &tree(&[("100644", "f", new), ("100644", "g", id(Kind::Blob, b"abc"))]));
    let tip = pack.commit(root, &[target.base]);
    let imported = target.import(&target.write(tip, &pack.finish())).unwrap();
    assert_eq!(imported.objects, 4);
    assert_eq!(target.env.git(&target.repo, ["cat-file", "blob", &new.to_string()]), "abcd");
    assert_eq!(target.env.git(&target.repo, ["fsck", "--strict"]), "");
}

#[test]
fn deltas_without_a_base_are_refused() {
    let target = Target::new();
    let nowhere = id(Kind::Blob, b"nowhere");
    let mut pack = Pack::new();
    pack.id_delta(nowhere, &[1, 1, 0x90, 1]);
    let tip = pack.commit(ObjectId::empty_tree(HashKind::Sha1), &[target.base]);
    let error = target.refused(tip, pack);
    assert!(
        matches!(error, ImportError::Resolve(ResolveError::MissingBase(base)) if base == nowhere),
        "{error}"
    );
    assert!(target.git_refuses());
}

#[test]
fn a_lying_count_is_refused_without_reserving_memory() {
    let target = Target::new();
    for (count, is_over) in [(999_999_u32, false), (u32::MAX, true)] {
        let mut bytes = Pack::new().finish();
        bytes[8..12].copy_from_slice(&count.to_be_bytes());
        let error = target.refused_bytes(target.base, &bytes);
        assert_eq!(budget_of(&error).is_some(), is_over, "{error}");
    }
}

#[test]
fn entries_of_unknown_types_and_packs_of_unknown_versions_are_refused() {
    for type_id in [0, 5] {
        let target = Target::new();
        let mut pack = Pack::new();
        pack.entry(type_id, 1, &[], b"a");
        let error = target.refused(target.base, pack);
        assert!(matches!(error, ImportError::Scan(ScanError::Corrupt { .. })), "{error}");
    }
    let target = Target::new();
    let mut bytes = Pack::new().finish();
    bytes[7] = 4;
    let error = target.refused_bytes(target.base, &bytes);
    assert!(matches!(error, ImportError::Scan(ScanError::UnknownPackVersion(4))), "{error}");
    let error = target.refused_bytes(target.base, b"gitdir: /elsewhere\n");
    assert!(matches!(error, ImportError::Scan(ScanError::NotAPack)), "{error}");
}

#[test]
fn an_object_that_comes_twice_is_refused_as_git_refuses_it() {
    let target = Target::new();
    let mut pack = Pack::new();
    pack.whole(Kind::Blob, b"twice");
    pack.whole(Kind::Blob, b"twice");
    let root = pack.whole(Kind::Tree, &tree(&[("100644", "f", id(Kind::Blob, b"twice"))]));
    let tip = pack.commit(root, &[target.base]);
    let bytes = pack.finish();
    assert!(matches!(target.refused_bytes(tip, &bytes), ImportError::RepeatedObject(_)));
    std::fs::write(target.env.path("hostile.pack"), bytes).unwrap();
    let run =
        target.env.try_git(&target.repo, ["index-pack", "--strict", "-o", "hostile.idx", "../hostile.pack"]);
    assert!(run.stderr.contains("appears twice"), "{}", run.stderr);
}

#[test]
fn tips_must_be_commits_that_the_bundle_brings() {
    let target = Target::new();
    let mut pack = Pack::new();
    let blob = pack.whole(Kind::Blob, b"x");
    assert!(matches!(target.refused(blob, pack), ImportError::TipKind { .. }));

    let mut pack = Pack::new();
    pack.whole(Kind::Blob, b"x");
    let nowhere = id(Kind::Commit, b"nowhere");
    assert!(matches!(target.refused(nowhere, pack), ImportError::TipKind { .. }));

    let mut pack = Pack::new();
    let blob = pack.whole(Kind::Blob, b"x");
    let tag = format!("object {blob}\ntype blob\ntag v1\ntagger A <a@x> 1 +0000\n\nx\n");
    let tag = pack.whole(Kind::Tag, tag.as_bytes());
    assert!(matches!(target.refused(tag, pack), ImportError::TipKind { .. }));
}

#[test]
fn what_is_missing_is_found_and_named() {
    let target = Target::new();
    let nowhere = id(Kind::Blob, b"nowhere");
    let mut pack = Pack::new();
    let root = pack.whole(Kind::Tree, &tree(&[("100644", "f", nowhere)]));
    let tip = pack.commit(root, &[target.base]);
    let error = target.refused(tip, pack);
    assert!(matches!(error, ImportError::MissingObject { id, kind: Kind::Blob } if id == nowhere), "{error}");
    assert!(target.git_refuses());

    let mut pack = Pack::new();
    let tip = pack.commit(id(Kind::Tree, b"nowhere"), &[target.base]);
    assert!(matches!(target.refused(tip, pack), ImportError::MissingObject { kind: Kind::Tree, .. }));

    let mut pack = Pack::new();
    pack.whole(Kind::Tree, b"");
    let tip = pack.commit(ObjectId::empty_tree(HashKind::Sha1), &[nowhere]);
    assert!(matches!(target.refused(tip, pack), ImportError::MissingObject { kind: Kind::Commit, .. }));
}

#[test]
fn a_commit_that_only_lies_around_here_does_not_complete_a_bundle() {
    let target = Target::new();
    let dangling = target.env.commit(&target.repo, "file", "other\n", "dangling");
    target.env.git(&target.repo, ["reset", "-q", "--hard", "HEAD~1"]);
    let dangling = ObjectId::from_hex(dangling.as_bytes()).unwrap();
    let mut pack = Pack::new();
    pack.whole(Kind::Tree, b"");
    let tip = pack.commit(ObjectId::empty_tree(HashKind::Sha1), &[dangling]);
    let error = target.refused(tip, pack);
    assert!(matches!(error, ImportError::MissingObject { id, .. } if id == dangling), "{error}");
}

#[test]
fn links_to_objects_of_another_kind_are_refused() {
    let target = Target::new();
    let mut pack = Pack::new();
    let blob = pack.whole(Kind::Blob, b"x");
    let root = pack.whole(Kind::Tree, &tree(&[("40000", "d", blob)]));
    let tip = pack.commit(root, &[target.base]);
    assert!(matches!(target.refused(tip, pack), ImportError::WrongKind { .. }));
    assert!(target.git_refuses());

    // Here, but a blob.
    let here = id(Kind::Blob, b"content\n");
    let mut pack = Pack::new();
    let root = pack.whole(Kind::Tree, &tree(&[("40000", "d", here)]));
    let tip = pack.commit(root, &[target.base]);
    assert!(matches!(target.refused(tip, pack), ImportError::WrongKind { id } if id == here));
}

#[test]
fn malformed_objects_are_refused_with_their_reason() {
    let target = Target::new();
    let here = id(Kind::Blob, b"content\n");
    let modules = b"[submodule \"x\"]\n\turl = -u./payload\n";
    let cases: [(&str, &str, &[u8], Reason); 5] = [
        ("100644", ".GIT", b"x", Reason::HasDotgit),
        ("100644", "git~1", b"x", Reason::HasDotgit),
        ("120000", ".gitmodules", b"x", Reason::GitmodulesSymlink),
        ("100644", ".gitmodules", modules, Reason::GitmodulesUrl),
        ("100644", "..", b"x", Reason::HasDotdot),
    ];
    for (mode, name, content, reason) in cases {
        let mut pack = Pack::new();
        let blob = pack.whole(Kind::Blob, content);
        let root = pack.whole(Kind::Tree, &tree(&[(mode, name, blob), ("100644", "z", here)]));
        let tip = pack.commit(root, &[target.base]);
        let error = target.refused(tip, pack);
        let ImportError::Resolve(ResolveError::Check(error)) = error else { panic!("{name}: {error}") };
        assert_eq!(error.reason, reason);
        assert!(target.git_refuses(), "{name}");
    }
}

#[test]
fn an_object_with_the_id_of_another_is_refused() {
    let target = Target::new();
    // Nobody can make a collision, so the object that is here is the one that lies.
    let loose = gix::odb::loose::Store::at(target.repo.join(".git/objects"), HashKind::Sha1);
    let victim = id(Kind::Blob, b"good\n");
    gix::objs::Write::write_buf_with_known_id(&loose, Kind::Blob, b"evil\n", victim).unwrap();
    let mut pack = Pack::new();
    pack.whole(Kind::Blob, b"good\n");
    let root = pack.whole(Kind::Tree, &tree(&[("100644", "f", victim)]));
    let tip = pack.commit(root, &[target.base]);
    let error = target.refused(tip, pack);
    assert!(matches!(error, ImportError::Resolve(ResolveError::Collision(id)) if id == victim), "{error}");
}

#[test]
fn trees_with_more_paths_than_stars_are_walked_by_id() {
    let target = Target::new();
    let mut pack = Pack::new();
    let mut inner = pack.whole(Kind::Blob, b"x");
    let mut mode = "100644";
    for _ in 0..12 {
        let names: Vec<String> = (0..10).map(|digit| digit.to_string()).collect();
        let entries: Vec<_> = names.iter().map(|name| (mode, name.as_str(), inner)).collect();
        inner = pack.whole(Kind::Tree, &tree(&entries));
        mode = "40000";
    }
    let tip = pack.commit(inner, &[target.base]);
    let bundle = target.write(tip, &pack.finish());
    let start = Instant::now();
    let scratch = target.env.path("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let repo = referee::open(&target.repo);
    let options = crate::PreviewOptions::default();
    let preview =
        crate::preview(Some(&repo), &mut File::open(&bundle).unwrap(), &scratch, &options, &mut |_| ())
            .unwrap();
    assert!(preview.stat_is_cut);
    assert_eq!(target.import(&bundle).unwrap().objects, 14);
    assert!(start.elapsed() < Duration::from_secs(20), "it took {:?}", start.elapsed());
}
