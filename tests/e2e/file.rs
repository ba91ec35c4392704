//! The way without a hub, `push -o` and `apply <file>`, with stock git at the other end.

use std::fs;

use kit::{ObjectFormat, Run, Shape, Snapshot, Times};
use serde_json::json;

use crate::environment;
use crate::two::{Two, answer, parler, receiver, set_traps, texts};

/// Branches, merges, renames, clocks that are wrong: what makes a range hard to find.
fn shapes() -> [Shape; 4] {
    let wild = Shape {
        commits: 60,
        branch_percent: 40,
        merge_percent: 30,
        rename_percent: 20,
        times: Times::Equal,
        ..Shape::default()
    };
    [
        Shape { commits: 8, ..Shape::default() },
        Shape { times: Times::Skewed, ..wild.clone() },
        Shape { object_format: ObjectFormat::Sha256, commits: 12, ..wild.clone() },
        wild,
    ]
}

#[test]
fn git_verifies_and_fetches_what_push_writes_with_only_the_prerequisites_at_hand() {
    for shape in shapes() {
        let two = Two::shaped(&shape, 2);
        let bundle = two.bundle();
        let git = |args: &[&str]| two.env.git(&two.behind, args);
        assert!(git(&["bundle", "verify", &bundle]).contains(&two.base));
        git(&["-c", "transfer.fsckObjects=true", "fetch", "--quiet", &bundle, "refs/heads/*:refs/got/*"]);
        assert_eq!(git(&["rev-parse", "refs/got/main"]), two.tip);
        git(&["fsck", "--strict", "--no-dangling"]);
    }
}

#[test]
fn git_clones_a_whole_history_that_push_writes() {
    for shape in shapes() {
        let two = Two::shaped(&shape, 1);
        let bundle = two.file("whole.bundle");
        let pushed = two.push(&["-o", &bundle]);
        assert_eq!(pushed["prerequisites"], json!([]));
        two.env.git(two.env.root(), ["clone", "--quiet", "--branch=main", &bundle, "clone"]);
        let clone = two.env.path("clone");
        assert_eq!(two.env.git(&clone, ["rev-parse", "HEAD"]), two.tip);
        two.env.git(&clone, ["fsck", "--strict"]);
        let count = two.env.git(&two.ahead, ["rev-list", "--count", "main"]);
        assert_eq!(pushed["commits"].to_string(), count);
    }
}

#[test]
fn push_writes_the_same_bytes_for_the_same_range() {
    let two = Two::new();
    let ids = ["a", "b"].map(|name| {
        let file = two.file(name);
        two.push(&["--base", &two.base, "-o", &file])["id"].clone()
    });
    assert_eq!(ids[0], ids[1]);
    assert_eq!(fs::read(two.file("a")).unwrap(), fs::read(two.file("b")).unwrap());
    let sum = two.env.run(two.env.root(), "sha256sum", ["a"]).stdout;
    assert_eq!(sum.split(' ').next(), ids[0].as_str());
}

#[test]
fn push_takes_several_tips_ranges_and_tags() {
    let two = Two::new();
    let git = |args: &[&str]| two.env.git(&two.ahead, args);
    git(&["branch", "topic", "main~1"]);
    git(&["tag", "--annotate", "--message=one", "v1", "main"]);
    let bundle = two.file("several.bundle");
    let range = format!("{}..main", two.base);
    let pushed = two.push(&[&range, "topic", "v1", "-o", &bundle]);
    assert_eq!(pushed["prerequisites"], json!([two.base]));
    two.env.git(&two.behind, ["bundle", "verify", &bundle]);
    let heads = two.env.git(&two.behind, ["bundle", "list-heads", &bundle]);
    let (tag, topic) = (git(&["rev-parse", "v1"]), git(&["rev-parse", "topic"]));
    let expected = format!("{} refs/heads/main\n{topic} refs/heads/topic\n{tag} refs/tags/v1", two.tip);
    assert_eq!(heads, expected);
    let applied = two.apply(&[&bundle]);
    let names: Vec<_> = applied["refs"].as_array().unwrap().iter().map(|pinned| &pinned["ref"]).collect();
    let digits = &pushed["id"].as_str().unwrap()[..12];
    let expected = ["main", "topic", "tags/v1"].map(|name| json!(format!("refs/parler/{digits}/{name}")));
    assert_eq!(names, expected.iter().collect::<Vec<_>>());
    assert_eq!(applied.get("tip"), None);
    two.env.git(&two.behind, ["fsck", "--strict"]);
}

#[test]
fn apply_takes_every_kind_of_bundle_that_git_writes() {
    let two = Two::new();
    let git = |args: &[&str]| two.env.git(&two.ahead, args);
    git(&["branch", "topic", "main~1"]);
    git(&["tag", "--annotate", "--message=one", "v1", "main~1"]);
    git(&["tag", "light", "main~2"]);
    let since = format!("{}..main", two.base);
    let not = format!("^{}", two.base);
    let kinds: [(&[&str], usize); 8] = [
        (&["--version=2", &since], 1),
        (&["--version=3", &since], 1),
        (&["main"], 1),
        (&["HEAD", &not], 1),
        (&["main", "topic", &not], 2),
        (&["v1", &not], 1),
        (&["light", "topic", &not], 2),
        (&["--all"], 4),
    ];
    for (number, (arguments, count)) in kinds.into_iter().enumerate() {
        let name = format!("behind{number}");
        let behind = receiver(&two.env, &name, &two.ahead, &two.base, ObjectFormat::Sha1);
        let bundle = two.file(&format!("{number}.bundle"));
        let (version, revisions): (Vec<_>, Vec<_>) =
            arguments.iter().partition(|word| word.starts_with("--version"));
        let create = ["bundle", "create", "--quiet"].iter().chain(version).copied();
        git(&create.chain([bundle.as_str()]).chain(revisions.into_iter().copied()).collect::<Vec<_>>());
        let applied = answer(&two.env, &behind, "apply", &[&bundle]);
        let refs = applied["refs"].as_array().unwrap();
        assert_eq!(refs.len(), count, "{arguments:?}: {applied}");
        for pinned in refs {
            let (name, branch) = (pinned["ref"].as_str().unwrap(), pinned["branch"].as_str().unwrap());
            let here = two.env.git(&behind, ["rev-parse", name]);
            assert_eq!(here, git(&["rev-parse", branch]), "{arguments:?}: {name}");
            let peeled = two.env.git(&behind, ["rev-parse", &format!("{name}^{{commit}}")]);
            assert_eq!(json!(peeled), pinned["commit"]);
        }
        two.env.git(&behind, ["fsck", "--strict", "--no-dangling"]);
    }
}

#[test]
fn sha256_repositories_give_and_take() {
    let shape = Shape { commits: 8, object_format: ObjectFormat::Sha256, ..Shape::default() };
    let two = Two::shaped(&shape, 3);
    let ours = two.bundle();
    assert!(fs::read(&ours).unwrap().starts_with(b"# v3 git bundle\n@object-format=sha256\n"));
    assert_eq!(two.apply(&[&ours])["tip"], json!(two.tip));
    two.env.git(&two.behind, ["fsck", "--strict"]);
    let behind = receiver(&two.env, "other", &two.ahead, &two.base, ObjectFormat::Sha256);
    let theirs = two.file("theirs.bundle");
    let range = format!("{}..main", two.base);
    two.env.git(&two.ahead, ["bundle", "create", "--quiet", &theirs, &range]);
    assert_eq!(answer(&two.env, &behind, "apply", &[&theirs])["tip"], json!(two.tip));
}

#[test]
fn apply_touches_nothing_but_objects_and_its_own_references() {
    let two = Two::new();
    let bundle = two.bundle();
    // Every state of a work tree that a careless import could disturb.
    fs::write(two.behind.join("staged"), "staged\n").unwrap();
    two.env.git(&two.behind, ["add", "staged"]);
    fs::write(two.behind.join("untracked"), "untracked\n").unwrap();
    fs::write(two.behind.join("staged"), "and changed\n").unwrap();
    two.env.git(&two.behind, ["branch", "other"]);
    two.env.git(&two.behind, ["tag", "--annotate", "--message=t", "mine"]);
    two.env.git(&two.behind, ["config", "transfer.unpackLimit", "100"]);
    assert!(two.behind.join(".git/FETCH_HEAD").exists());
    set_traps(&two.behind.join(".git"));
    let (before, status) =
        (Snapshot::besides_handoffs(&two.behind), two.env.git(&two.behind, ["status", "--porcelain"]));
    let applied = two.apply(&[&bundle]);
    assert_eq!(before.differences(), [""; 0]);
    assert_eq!(two.env.git(&two.behind, ["status", "--porcelain"]), status);
    let listed =
        two.env.git(&two.behind, ["for-each-ref", "--format=%(refname) %(objectname)", "refs/parler"]);
    let name = applied["ref"].as_str().unwrap();
    assert_eq!(listed, format!("{name} {}", two.tip));
    let log = two.env.git(&two.behind, ["reflog", "show", "--format=%gs", name]);
    assert_eq!(log, format!("parler: apply {}", applied["id"].as_str().unwrap()));
    two.env.git(&two.behind, ["fsck", "--strict", "--no-dangling"]);
    assert!(!two.behind.join(".git/trapped").exists());
}

#[test]
fn a_small_bundle_becomes_loose_objects_and_a_large_one_a_pack() {
    for (limit, loose, packs) in [("1000", true, 0), ("1", false, 1)] {
        let two = Two::new();
        let bundle = two.bundle();
        two.env.git(&two.behind, ["config", "fetch.unpackLimit", limit]);
        two.env.git(&two.behind, ["repack", "-adq"]);
        let packs_before = packs_in(&two);
        two.apply(&[&bundle]);
        assert_eq!(two.behind.join(".git/objects").join(&two.tip[..2]).exists(), loose, "{limit}");
        assert_eq!(packs_in(&two) - packs_before, packs, "{limit}");
        let kept =
            two.env.run(&two.behind, "find", [".git/objects", "-name", "*.keep", "-o", "-name", "tmp_*"]);
        assert_eq!(kept.stdout, "");
        two.env.git(&two.behind, ["fsck", "--strict"]);
    }
}

fn packs_in(two: &Two) -> usize {
    let packs =
        fs::read_dir(two.behind.join(".git/objects/pack")).expect("a repository has a folder for packs");
    packs
        .filter(|entry| {
            entry.as_ref().expect("an entry").path().extension().is_some_and(|name| name == "pack")
        })
        .count()
}

#[test]
fn applying_again_says_so_and_changes_nothing() {
    let two = Two::new();
    let bundle = two.bundle();
    let first = two.apply(&[&bundle]);
    assert_eq!(first["already_applied"], json!(false));
    let before = Snapshot::of(&two.behind);
    let again = two.apply(&[&bundle]);
    assert_eq!(again["already_applied"], json!(true));
    assert_eq!((&again["refs"], &again["tip"]), (&first["refs"], &first["tip"]));
    let run = two.parler(&["apply", &bundle]);
    let expected = format!("Already applied: {}\n", first["ref"].as_str().unwrap());
    assert_eq!((run.code, run.stdout), (Some(0), expected));
    assert_eq!(before.differences(), [""; 0]);
}

#[test]
fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let two = Two::new();
    let before = Snapshot::of(two.env.root());
    let run = parler(&two.env, &two.ahead, &["push", "--dry-run", "--base", &two.base]);
    assert!(run.stdout.starts_with("Would hand over 3 commits ("), "{}", run.stdout);
    // No key is made for it either.
    assert_eq!(before.differences(), [""; 0]);
    let bundle = two.bundle();
    let before = Snapshot::of(&two.behind);
    let run = two.parler(&["apply", "--dry-run", &bundle]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.starts_with("Would apply 3 commits as refs/parler/"), "{}", run.stdout);
    assert_eq!(before.differences(), [""; 0]);
}

#[test]
fn a_second_push_builds_on_the_one_that_was_applied() {
    let two = Two::new();
    two.apply(&[&two.bundle()]);
    let newest = two.env.commit(&two.ahead, "more", "more\n", "more");
    let bundle = two.file("second.bundle");
    let pushed = two.push(&["--base", &two.tip, "-o", &bundle]);
    assert_eq!(pushed["prerequisites"], json!([two.tip]));
    let applied = two.apply(&[&bundle]);
    assert_eq!(applied["tip"], json!(newest));
    assert_eq!(applied["commits"], json!([{ "id": newest, "subject": "more" }]));
    two.env.git(&two.behind, ["fsck", "--strict"]);
    // And both stay when git cleans up.
    two.env.git(&two.behind, ["gc", "--quiet", "--prune=now"]);
    assert_eq!(two.env.git(&two.behind, ["rev-parse", applied["ref"].as_str().unwrap()]), newest);
}

#[test]
fn drop_removes_what_apply_pinned_and_nothing_else() {
    let two = Two::new();
    let before = Snapshot::besides_handoffs(&two.behind);
    let applied = two.apply(&[&two.bundle()]);
    let (id, name) = (applied["id"].as_str().unwrap(), applied["ref"].as_str().unwrap());
    let dropped = answer(&two.env, &two.behind, "drop", &[&id[..6]]);
    assert_eq!(dropped, json!({ "refs": [name] }));
    assert_eq!(two.env.git(&two.behind, ["for-each-ref", "refs/parler"]), "");
    assert!(!two.behind.join(".git/logs").join(name).exists());
    assert_eq!(before.differences(), [""; 0]);
    let again = two.parler(&["drop", &id[..6]]);
    assert_eq!(again.code, Some(1));
    // What was dropped can be applied again.
    assert_eq!(two.apply(&[&two.file("handoff.bundle")])["tip"], json!(two.tip));
}

#[test]
fn drop_removes_a_packed_reference_too() {
    let two = Two::new();
    let applied = two.apply(&[&two.bundle()]);
    two.env.git(&two.behind, ["pack-refs", "--all"]);
    answer(&two.env, &two.behind, "drop", &[applied["id"].as_str().unwrap()]);
    assert_eq!(two.env.git(&two.behind, ["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
}

#[test]
fn prune_removes_what_was_applied_before_the_date() {
    let two = Two::new();
    let applied = two.apply(&[&two.bundle()]);
    let name = applied["ref"].as_str().unwrap();
    let prune = |args: &[&str]| answer(&two.env, &two.behind, "prune", args);
    assert_eq!(prune(&["--expire", "2001-01-01"]), json!({ "refs": [] }));
    assert_eq!(prune(&["--expire", "2100-01-01", "--dry-run"]), json!({ "refs": [name] }));
    assert_eq!(two.env.git(&two.behind, ["rev-parse", name]), two.tip);
    assert_eq!(prune(&["--expire", "2100-01-01"]), json!({ "refs": [name] }));
    assert_eq!(two.env.git(&two.behind, ["for-each-ref", "refs/parler"]), "");
}

#[test]
fn push_overwrites_a_file_only_when_it_is_told_to() {
    let two = Two::new();
    fs::write(two.file("taken"), "mine").unwrap();
    let arguments = ["push", "--base", &two.base, "-o", &two.file("taken")];
    let run = parler(&two.env, &two.ahead, &arguments);
    let expected = format!(
        "error: {} exists\nhint: add `--force` to overwrite it, or name another file\n",
        two.file("taken")
    );
    assert_eq!(run, Run { code: Some(128), stdout: String::new(), stderr: expected });
    assert_eq!(fs::read(two.file("taken")).unwrap(), b"mine");
    two.push(&["--base", &two.base, "--force", "-o", &two.file("taken")]);
    two.env.git(&two.behind, ["bundle", "verify", &two.file("taken")]);
    let names = texts(&json!(
        fs::read_dir(two.env.root())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect::<Vec<_>>()
    ));
    assert!(!names.iter().any(|name| name.ends_with(".part")), "{names:?}");
}

#[test]
fn a_bundle_travels_through_standard_streams() {
    let two = Two::new();
    let script =
        format!("git -C ahead parler push -q --base {} -o - | git -C behind parler apply --json -", two.base);
    let run = two.env.run(two.env.root(), "bash", ["-o", "pipefail", "-c", &script]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let applied: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(applied["tip"], json!(two.tip));
    assert_eq!((&applied["author"], &applied["signature"]), (&json!(null), &json!("none")));
}

#[test]
fn a_patch_that_nobody_reads_to_the_end_is_no_failure() {
    let env = environment();
    let source = env.init("source");
    env.commit(&source, "a", "a line of many\n".repeat(20_000), "one");
    answer(&env, &source, "push", &["-o", "../change.bundle"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = env.command("git");
    command.current_dir(&source).args(["-c", "advice.parler=false", "parler", "show", "--patch"]);
    let run = Run::from(command.arg("../change.bundle").stdout(writer).output().unwrap());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(!run.stderr.contains("error: "), "{}", run.stderr);
}
