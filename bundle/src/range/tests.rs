//! Ranges against those of stock git.

use std::collections::{BTreeMap, BTreeSet};

use kit::{Random, Shape};

use super::*;
use crate::referee::{Source, branchy, seeds, sorted};

fn commits(plan: &Plan) -> BTreeSet<String> {
    plan.commits().map(|id| id.to_string()).collect()
}

fn prerequisites(plan: &Plan) -> BTreeSet<String> {
    plan.prerequisites().iter().map(|it| it.id.to_string()).collect()
}

/// What is exact by definition, as `git rev-list` may itself stop too early where clocks were wrong.
fn difference(source: &Source, tip: &str, bases: &[&str]) -> BTreeSet<String> {
    let mut commits = sorted(&source.git(["rev-list", tip]));
    for base in bases {
        for hidden in sorted(&source.git(["rev-list", base])) {
            commits.remove(&hidden);
        }
    }
    commits
}

#[test]
fn commits_and_prerequisites_are_exact_whatever_the_clocks_said() {
    for seed in seeds(30) {
        let mut random = Random::new(seed);
        let (source, made) = Source::seeded(seed, &branchy(seed, &mut random));
        if seed % 4 == 3 {
            source.git(["commit-graph", "write", "--reachable"]);
        }
        let listing = source.git(["rev-list", "--parents", "main"]);
        let all_parents: BTreeMap<&str, Vec<String>> = listing
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(commit, parents)| (commit, parents.split(' ').map(str::to_owned).collect()))
            .collect();
        for _ in 0..3 {
            let bases: Vec<&str> =
                (0..=random.below(3)).map(|_| made[random.below(made.len())].as_str()).collect();
            let expected = difference(&source, "main", &bases);
            let plan = match source.plan(&["refs/heads/main"], &bases) {
                Ok(plan) => plan,
                Err(PlanError::Empty) => {
                    assert_eq!(expected, BTreeSet::new(), "seed {seed}");
                    continue;
                }
                Err(error) => panic!("seed {seed}: {error}"),
            };
            assert_eq!(commits(&plan), expected, "seed {seed}");
            let parents = all_parents.iter().filter(|(commit, _)| expected.contains(**commit));
            let parents = parents.flat_map(|(_, parents)| parents.iter().cloned());
            let boundary: BTreeSet<String> = parents.filter(|parent| !expected.contains(parent)).collect();
            assert_eq!(prerequisites(&plan), boundary, "seed {seed}");
            compare_with_bundle_of_git(&source, &plan, &bases, seed);
        }
    }
}

/// Where git is exact itself, its bundle names the same prerequisites, with the same comments.
fn compare_with_bundle_of_git(source: &Source, plan: &Plan, bases: &[&str], seed: u64) {
    let not: Vec<String> = bases.iter().map(|base| format!("^{base}")).collect();
    let mut args = vec!["rev-list", "main"];
    args.extend(not.iter().map(String::as_str));
    if sorted(&source.git(&args)) != commits(plan) {
        return;
    }
    args.splice(0..2, ["bundle", "create", "--quiet", "theirs", "main"]);
    source.git(&args);
    let theirs = std::fs::read(source.path.join("theirs")).expect("git wrote it");
    let end = theirs.windows(2).position(|pair| pair == b"\n\n").expect("a header ends");
    let theirs = String::from_utf8_lossy(&theirs[..end]).into_owned();
    let theirs: BTreeSet<&str> = theirs.lines().filter_map(|line| line.strip_prefix('-')).collect();
    let ours: Vec<String> =
        plan.prerequisites().iter().map(|it| format!("{} {}", it.id, it.comment)).collect();
    assert_eq!(ours.iter().map(String::as_str).collect::<BTreeSet<_>>(), theirs, "seed {seed}");
}

#[test]
fn what_the_bases_reach_is_an_empty_range() {
    let (source, made) = Source::seeded(1, &Shape::default());
    assert!(matches!(source.plan(&["HEAD"], &["HEAD"]), Err(PlanError::Empty)));
    assert!(matches!(source.plan(&[&made[4]], &["HEAD"]), Err(PlanError::Empty)));
    assert!(matches!(source.plan(&[], &[]), Err(PlanError::Empty)));
}

#[test]
fn a_tip_that_the_bases_reach_is_left_out_as_git_does() {
    let (source, made) = Source::seeded(1, &Shape::default());
    source.git(["branch", "old", &made[2]]);
    let plan = source.plan(&["refs/heads/main", "refs/heads/old", "refs/heads/main"], &["HEAD~2"]);
    let plan = plan.expect("there are commits");
    assert_eq!(plan.tips(), [Tip { name: "refs/heads/main".into(), id: source.id("main") }]);
    assert_eq!(plan.excluded(), [Tip { name: "refs/heads/old".into(), id: source.id(&made[2]) }]);
}

#[test]
fn a_new_tag_of_an_old_commit_travels_and_needs_the_commit() {
    let (source, made) = Source::seeded(1, &Shape::default());
    source.git(["tag", "--annotate", "--message", "one", "v1", &made[3]]);
    source.git(["tag", "--annotate", "--message", "two", "v2", "v1"]);
    let plan = source.plan(&["refs/tags/v2"], &["HEAD"]).expect("the tags are new");
    assert_eq!(plan.commits().len(), 0);
    assert_eq!(plan.tags, [source.id("v2"), source.id("v1")]);
    assert_eq!(prerequisites(&plan), BTreeSet::from([made[3].clone()]));
}

#[test]
fn a_tag_of_something_else_is_refused() {
    let (source, _) = Source::seeded(1, &Shape::default());
    source.git(["tag", "--annotate", "--message", "tree", "tree", "HEAD^{tree}"]);
    let refused = source.plan(&["refs/tags/tree"], &[]);
    let tree = source.id("HEAD^{tree}");
    assert!(matches!(refused, Err(PlanError::NotACommit { id, kind: Kind::Tree }) if id == tree));
}

#[test]
fn a_shallow_boundary_in_the_range_names_the_base_that_works() {
    let (origin, _) = Source::seeded(1, &Shape::default());
    let url = format!("file://{}", origin.path.display());
    let path = origin.env.path("shallow");
    origin.env.git(origin.env.root(), ["clone", "--quiet", "--depth=3", &url, "shallow"]);
    let shallow = Source { env: origin.env, path };
    let cut = shallow.id("HEAD~2");
    match shallow.plan(&["refs/heads/main"], &[]) {
        Err(PlanError::Shallow { bases }) => assert_eq!(bases, [cut]),
        other => panic!("{other:?}"),
    }
    let plan = shallow.plan(&["refs/heads/main"], &["HEAD~2"]).expect("the named base works");
    assert_eq!(plan.commits().len(), 2);
    let tip = [Tip { name: "HEAD".into(), id: cut }];
    let refused = plan_of(&shallow, &tip);
    assert!(matches!(refused, Err(PlanError::Shallow { bases }) if bases.is_empty()));
}

fn plan_of(source: &Source, tips: &[Tip]) -> Result<Plan, PlanError> {
    plan(&source.open(), tips, &[], &mut |_| ())
}

#[test]
fn an_unknown_commit_is_named() {
    let (source, _) = Source::seeded(1, &Shape::default());
    let unknown = ObjectId::from_hex(&[b'7'; 40]).expect("hex");
    let refused = plan_of(&source, &[Tip { name: "HEAD".into(), id: unknown }]);
    assert!(
        matches!(refused, Err(PlanError::Object(ObjectError::Missing { id })) if id == unknown),
        "{refused:?}"
    );
}

#[test]
fn the_subject_is_that_of_the_one_line_format() {
    let commit = b"tree 0\nauthor a\n\n\n  \nfirst line  \n second\tline\n\nbody\n";
    assert_eq!(history::subject(commit), "first line  second\tline");
    assert_eq!(history::subject(b"tree 0\n"), "");
    assert_eq!(history::subject(b"tree 0\n\n"), "");
}
