//! Bundles against stock git, and what is refused.

use std::collections::BTreeSet;

use kit::{ObjectFormat, Random, Shape};

use super::*;
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
