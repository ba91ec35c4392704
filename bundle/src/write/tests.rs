//! Bundles against stock git, and what is refused.

use std::collections::BTreeSet;

use kit::{ObjectFormat, Random, Shape};

use sha2::{Digest as _, Sha256};

use super::*;
use crate::arrange;
use crate::referee::{Source, branchy, seeds, sorted};

#[test]
fn git_fetches_every_bundle_into_a_repository_that_holds_the_prerequisites_only() {
    for seed in seeds(12) {
        let mut random = Random::new(seed ^ 0xb0);
        let (source, made) = Source::seeded(seed, &branchy(seed, &mut random));
        if seed % 2 == 0 {
            source.git(["repack", "-adq"]);
        }
        let base = made[random.below(made.len())].as_str();
        for (name, bases) in [("range", &[base][..]), ("full", &[])] {
            let Ok(plan) = source.plan(&["refs/heads/main"], bases) else { continue };
            let (created, bytes) = source.create(&plan);
            assert_eq!(created.size, bytes.len() as u64);
            assert_eq!(created.id, <[u8; 32]>::from(Sha256::digest(&bytes)));
            source.check_with_git(&created, &bytes, &format!("{name}.git"));
            assert_eq!(selected(&source, &plan), expected(&source, &plan), "seed {seed}, {name}");
            assert_eq!(source.create(&plan).1, bytes, "seed {seed}: the same bytes");
        }
    }
}

fn selected(source: &Source, plan: &Plan) -> BTreeSet<String> {
    let mut objects = Objects::open(&source.open()).expect("it opens");
    let selection = select(&mut objects, plan, &mut |_| ()).expect("all objects are here");
    selection.objects.iter().map(|object| object.id.to_string()).collect()
}

/// What the commits of `plan` reach and what its boundary does not hold.
fn expected(source: &Source, plan: &Plan) -> BTreeSet<String> {
    let mut reached: BTreeSet<String> = plan.commits().map(|id| id.to_string()).collect();
    let tree = |commit: &ObjectId| {
        let tree = format!("{commit}^{{tree}}");
        let mut ids = sorted(&source.git(["ls-tree", "-r", "-t", "--format=%(objectname)", &tree]));
        ids.insert(source.git(["rev-parse", &tree]));
        ids
    };
    for commit in plan.commits() {
        reached.extend(tree(&commit));
    }
    for prerequisite in plan.prerequisites() {
        for id in tree(&prerequisite.id) {
            reached.remove(&id);
        }
    }
    reached
}

#[test]
fn deltas_that_there_was_no_room_to_keep_are_made_again_alike() {
    let (source, _) = Source::seeded(2, &Shape { lines: 200, ..Shape::default() });
    let plan = source.plan(&["refs/heads/main"], &["HEAD~20"]).expect("there are commits");
    let mut objects = Objects::open(&source.open()).expect("it opens");
    let selection = select(&mut objects, &plan, &mut |_| ()).expect("all objects are here");
    let arrangement = Arrangement::new(&mut objects, &selection, CreateOptions::default());
    let (mut arrangement, mut deflate) = (arrangement.expect("all objects are here"), Deflate::new());
    search(&mut objects, &selection, &mut arrangement, &mut deflate, &mut |_| ()).expect("they can be read");
    let mut deltas = 0;
    for stored in
        arrangement.stored.iter_mut().filter(|stored| matches!(stored.source, arrange::Source::Made { .. }))
    {
        stored.source = arrange::Source::Remake;
        deltas += 1;
    }
    assert!(deltas > 20, "{deltas} deltas");
    let mut out = Vec::new();
    let sink = Sink::new(&mut out, None, objects.hash());
    let (objects, selection, arrangement) = (&mut objects, &selection, &mut arrangement);
    let mut writer = Writer { objects, selection, arrangement, deflate, sink };
    writer.entries(&mut |_| ()).expect("they can be read");
    writer.sink.finish().expect("a vector takes everything");
    let bytes = source.create(&plan).1;
    let pack = bytes.windows(6).position(|it| it == b"\n\nPACK").expect("a pack follows") + 2;
    let checksum = bytes.len() - 20;
    assert_eq!(out.len(), checksum - pack - 12);
    assert!(out == bytes[pack + 12..checksum], "other bytes");
}

#[test]
fn repositories_of_sha256_get_version_3() {
    let shape = Shape { object_format: ObjectFormat::Sha256, ..Shape::default() };
    let (source, _) = Source::seeded(3, &shape);
    let plan = source.plan(&["refs/heads/main"], &["HEAD~5"]).expect("there are commits");
    let (created, bytes) = source.create(&plan);
    assert!(bytes.starts_with(b"# v3 git bundle\n@object-format=sha256\n-"));
    source.check_with_git(&created, &bytes, "receiver.git");
}

#[test]
fn tags_submodules_and_empty_trees_travel() {
    let source = Source::empty();
    source.env.commit(&source.path, "a", "a\n", "first");
    let submodule = format!("160000,{},library", source.id("HEAD"));
    source.git(["update-index", "--add", "--cacheinfo", &submodule]);
    source.env.commit(&source.path, "b/c", "", "second\n\nwith a body");
    source.git(["rm", "-rq", "--cached", "."]);
    source.git(["commit", "--quiet", "--message", "empty"]);
    source.git(["tag", "--annotate", "--message", "one", "v1"]);
    for bases in [&["HEAD~2"][..], &[]] {
        let plan = source.plan(&["refs/tags/v1", "refs/heads/main"], bases).expect("there are commits");
        let (created, bytes) = source.create(&plan);
        assert_eq!(created.commits, 3 - bases.len());
        source.check_with_git(&created, &bytes, &format!("receiver{}.git", bases.len()));
    }
}

#[test]
fn a_bundle_above_the_bound_is_refused_before_more_than_it_is_written() {
    let (source, _) = Source::seeded(3, &Shape::default());
    let plan = source.plan(&["refs/heads/main"], &["HEAD~5"]).expect("there are commits");
    let size = source.create(&plan).0.size;
    let options = |size_max| CreateOptions { size_max: Some(size_max), ..CreateOptions::default() };
    assert!(source.try_create(&plan, options(size)).is_ok());
    let mut written = Vec::new();
    let refused = create(&source.open(), &plan, options(size - 1), &mut written, &mut |_| ());
    assert!(matches!(refused, Err(CreateError::BundleTooLarge { size_max }) if size_max == size - 1));
    assert!((written.len() as u64) < size);
}

#[test]
fn an_object_above_the_budget_is_named_with_its_path() {
    let source = Source::empty();
    source.env.commit(&source.path, "a", "a\n", "first");
    source.env.commit(&source.path, "deep/big", [b'x'; 5000], "second");
    let plan = source.plan(&["refs/heads/main"], &["HEAD~1"]).expect("there are commits");
    let options = CreateOptions { object_bytes_max: Some(4999), ..CreateOptions::default() };
    match source.try_create(&plan, options) {
        Err(CreateError::ObjectTooLarge { path, size: 5000, bytes_max: 4999, .. }) => {
            assert_eq!(path, "deep/big");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_a_partial_clone_lacks_is_named_and_not_fetched() {
    let (origin, _) = Source::seeded(1, &Shape::default());
    origin.git(["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", origin.path.display());
    let args = ["clone", "--quiet", "--bare", "--filter=blob:none", &url, "partial.git"];
    origin.env.git(origin.env.root(), args);
    let partial = Source { path: origin.env.path("partial.git"), env: origin.env };
    let plan = partial.plan(&["refs/heads/main"], &["HEAD~1"]).expect("the commits are here");
    match partial.try_create(&plan, CreateOptions::default()) {
        Err(CreateError::MissingAt { path, .. }) => assert!(!path.is_empty()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_large_file_is_streamed_from_its_loose_object_and_copied_from_a_pack() {
    let source = Source::empty();
    source.env.commit(&source.path, "a", "a\n", "first");
    let bytes = Random::new(1).bytes(17 << 20);
    source.env.commit(&source.path, "big", bytes, "second");
    source.git(["config", "core.bigFileThreshold", "1m"]);
    let plan = source.plan(&["refs/heads/main"], &["HEAD~1"]).expect("there are commits");
    let (loose, bytes) = source.create(&plan);
    source.check_with_git(&loose, &bytes, "loose.git");
    source.git(["repack", "-adq"]);
    let (packed, bytes) = source.create(&plan);
    source.check_with_git(&packed, &bytes, "packed.git");
}

#[test]
fn a_damaged_large_file_is_named_and_not_sent() {
    let source = Source::empty();
    source.env.commit(&source.path, "a", "a\n", "first");
    source.env.commit(&source.path, "big", Random::new(1).bytes(17 << 20), "second");
    let id = source.id("HEAD:big");
    let hex = id.to_string();
    let file = source.path.join(".git/objects").join(&hex[..2]).join(&hex[2..]);
    let whole = std::fs::read(&file).expect("it is loose");
    let damaged = |position: usize| {
        let mut bytes = whole.clone();
        bytes[position] ^= 0x10;
        bytes
    };
    let plan = source.plan(&["refs/heads/main"], &["HEAD~1"]).expect("there are commits");
    let mut permissions = std::fs::metadata(&file).expect("it is there").permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "git keeps loose objects read-only")]
    permissions.set_readonly(false);
    std::fs::set_permissions(&file, permissions).expect("it is ours");
    for bytes in [&whole[..whole.len() / 2], &damaged(whole.len() / 2), &damaged(whole.len() - 2)] {
        std::fs::write(&file, bytes).expect("it is ours");
        let refused = source.try_create(&plan, CreateOptions::default());
        assert!(
            matches!(refused, Err(CreateError::Object(ObjectError::Corrupt { id: named })) if named == id),
            "{:?}",
            refused.err()
        );
    }
}

#[test]
fn packs_that_hold_the_same_objects_as_deltas_of_one_another_make_no_circle() {
    for seed in seeds(3) {
        let (source, made) = Source::seeded(seed, &Shape { commits: 25, lines: 200, ..Shape::default() });
        // Packs of different commits, each kept, in which other versions of the files are whole.
        for (number, tip) in [24, 12, 18, 6].into_iter().enumerate() {
            let list = source.git(["rev-list", "--objects", "--no-object-names", &made[tip]]);
            let file = source.path.join("list");
            std::fs::write(&file, list + "\n").expect("a file of the test");
            let mut pack = source.env.command("git");
            let window = format!("--window={}", 2 + number * 5);
            pack.current_dir(&source.path).args(["pack-objects", "--quiet", "--no-reuse-delta", &window]);
            pack.arg(".git/objects/pack/pack").stdin(std::fs::File::open(&file).expect("just written"));
            assert!(pack.output().expect("git runs").status.success());
        }
        for bases in [&[made[usize::try_from(seed % 24).expect("small")].as_str()][..], &[]] {
            let plan = source.plan(&["refs/heads/main"], bases).expect("there are commits");
            let (created, bytes) = source.create(&plan);
            source.check_with_git(&created, &bytes, &format!("receiver-{}.git", bases.len()));
        }
    }
}

#[test]
fn a_damaged_pack_gives_an_error_or_a_bundle_that_git_takes() {
    for seed in seeds(6) {
        let (source, _) = Source::seeded(seed, &Shape { lines: 200, ..Shape::default() });
        source.git(["repack", "-adq"]);
        let plans = [&["HEAD~9"][..], &[]]
            .map(|bases| source.plan(&["refs/heads/main"], bases).expect("there are commits"));
        let packs = std::fs::read_dir(source.path.join(".git/objects/pack")).expect("it was packed");
        let pack = packs
            .map(|entry| entry.expect("a folder of the test").path())
            .find(|path| path.extension().is_some_and(|extension| extension == "pack"))
            .expect("it was packed");
        let mut bytes = std::fs::read(&pack).expect("it is ours");
        let position = 12 + Random::new(seed).below(bytes.len() - 32);
        bytes[position] ^= 0x20;
        std::fs::remove_file(&pack).expect("it is ours");
        std::fs::write(&pack, bytes).expect("it is ours");
        for (number, plan) in plans.iter().enumerate() {
            // Where nothing of the damage was needed, the bundle is complete.
            let Ok((created, bytes)) = source.try_create(plan, CreateOptions::default()) else { continue };
            let name = format!("receiver-{number}.git");
            source.env.git(source.env.root(), ["init", "--quiet", "--bare", &name]);
            let file = source.env.path(&name).join("it.pack");
            let start = bytes.windows(6).position(|it| it == b"\n\nPACK").expect("a pack follows") + 2;
            std::fs::write(&file, &bytes[start..]).expect("a file of the test");
            if created.prerequisites.is_empty() {
                source.env.git(source.env.path(&name), ["index-pack", "--strict", "it.pack"]);
            }
        }
    }
}

#[test]
fn new_commits_of_a_partial_clone_travel_without_what_it_lacks() {
    let (origin, _) = Source::seeded(1, &Shape { files: 30, ..Shape::default() });
    origin.git(["config", "uploadpack.allowFilter", "true"]);
    origin.git(["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let url = format!("file://{}", origin.path.display());
    let args = ["clone", "--quiet", "--no-checkout", "--filter=blob:none", &url, "partial"];
    origin.env.git(origin.env.root(), args);
    let partial = Source { path: origin.env.path("partial"), env: origin.env };
    let file =
        partial.git(["ls-tree", "-r", "--name-only", "HEAD"]).lines().next().expect("a file").to_owned();
    partial.git(["read-tree", "HEAD"]);
    let content = "another line\n".repeat(40);
    std::fs::write(partial.path.join("new"), content).expect("a file of the test");
    let blob = partial.git(["hash-object", "-w", "new"]);
    partial.git(["update-index", "--cacheinfo", &format!("100644,{blob},{file}")]);
    let tree = partial.git(["write-tree", "--missing-ok"]);
    let commit = partial.git(["commit-tree", "-p", "HEAD", "-m", "next", &tree]);
    partial.git(["branch", "next", &commit]);
    let before = partial.git(["count-objects", "-v"]);
    let plan = partial.plan(&["refs/heads/next"], &["HEAD"]).expect("there is a commit");
    let (created, bytes) = partial.create(&plan);
    assert_eq!(created.commits, 1);
    assert_eq!(partial.git(["count-objects", "-v"]), before, "nothing was fetched");
    let receiver = partial.env.path("receiver");
    partial.env.git(partial.env.root(), ["clone", "--quiet", &url, "receiver"]);
    std::fs::write(receiver.join("it.bundle"), bytes).expect("a file of the test");
    let fetch = ["-c", "transfer.fsckObjects=true", "fetch", "--quiet", "it.bundle", "refs/heads/next"];
    partial.env.git(&receiver, fetch);
    partial.env.git(&receiver, ["fsck", "--strict"]);
}

#[test]
fn alternates_worktrees_and_replaced_commits_make_no_difference() {
    let (source, made) = Source::seeded(5, &Shape::default());
    source.git(["repack", "-adq"]);
    let plan = source.plan(&["refs/heads/main"], &["HEAD~5"]).expect("there are commits");
    let expected = source.create(&plan).0;
    let (tip, base) = (source.id("main"), source.id("main~5"));
    source.git(["replace", &made[27], &made[3]]);
    source.git(["worktree", "add", "--quiet", "--detach", "../worktree"]);
    source.env.git(source.env.root(), ["clone", "--quiet", "--shared", "source", "shared"]);
    let paths = [source.path.clone(), source.env.path("worktree"), source.env.path("shared")];
    for path in paths {
        let repo = crate::referee::open(&path);
        let tip = [Tip { name: "refs/heads/main".into(), id: tip }];
        let plan = crate::plan(&repo, &tip, &[base], &mut |_| ());
        let mut bytes = Vec::new();
        let created = create(
            &repo,
            &plan.expect("there are commits"),
            CreateOptions::default(),
            &mut bytes,
            &mut |_| (),
        );
        assert_eq!(created.expect("it is made"), expected, "{}", path.display());
    }
}

#[test]
fn a_header_that_nobody_could_read_is_not_written() {
    let (source, made) = Source::seeded(1, &Shape { commits: 70, ..Shape::default() });
    let names: Vec<String> =
        (0..=limits::HEADER_REFS_MAX).map(|number| format!("refs/heads/b{number}")).collect();
    for (name, commit) in names.iter().zip(&made) {
        source.git(["update-ref", name, commit]);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let plan = |count: usize| source.plan(&names[..count], &[]).expect("there are commits");
    assert!(source.try_create(&plan(limits::HEADER_REFS_MAX), CreateOptions::default()).is_ok());
    let refused = source.try_create(&plan(limits::HEADER_REFS_MAX + 1), CreateOptions::default());
    assert!(matches!(refused, Err(CreateError::Header(HeaderError::TooManyRefs))), "{:?}", refused.err());
}

#[test]
fn bundles_are_no_larger_than_those_of_git() {
    let (mut ours, mut theirs) = (0, 0);
    for seed in seeds(3) {
        let shape = Shape { commits: 60, files: 20, lines: 120, rename_percent: 10, ..Shape::default() };
        let (source, _) = Source::seeded(seed, &shape);
        source.git(["branch", "packed", "HEAD~20"]);
        // The state agents leave: what is old is packed, what is new is loose.
        source.git(["repack", "-adq"]);
        source.env.git(source.env.root(), ["clone", "--quiet", "--branch=packed", "source", "agent"]);
        let agent = source.env.path("agent");
        source.env.git(&agent, ["repack", "-adq"]);
        source.env.git(&agent, ["-c", "fetch.unpackLimit=100000", "fetch", "--quiet", "origin", "main:main"]);
        let agent = Source { path: agent, env: source.env };
        for base in ["main~1", "main~5", "main~20", "main~50"] {
            let plan = agent.plan(&["refs/heads/main"], &[base]).expect("there are commits");
            ours += agent.create(&plan).0.size;
            agent.git(["bundle", "create", "--quiet", "theirs", "main", &format!("^{base}")]);
            theirs += std::fs::metadata(agent.path.join("theirs")).expect("git wrote it").len();
        }
    }
    assert!(ours <= theirs, "{ours} bytes, git {theirs}");
}
