//! What bad input gets: one clear sentence, the next command, the documented exit code, and a repository as it was.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use kit::{Env, ObjectFormat, Run, Shape, Snapshot};
use serde_json::json;

use crate::environment;
use crate::two::{Two, answer, parler};

/// Runs a command that must fail with `code` and exactly these lines on standard error, and leave `dir` as it was.
fn refused(env: &Env, dir: &Path, args: &[&str], code: i32, stderr: &str) {
    let before = Snapshot::of(dir);
    let run = parler(env, dir, args);
    let expected = Run { code: Some(code), stdout: String::new(), stderr: stderr.to_owned() };
    assert_eq!(run, expected, "{args:?}");
    assert_eq!(before.differences(), [""; 0], "{args:?}");
}

/// As [`refused`], for a bundle in a file: that it has no author is said first.
fn refused_file(two: &Two, file: &str, code: i32, stderr: &str) {
    let stderr = format!("A file has no author: nobody vouches for what is in it.\n{stderr}");
    refused(&two.env, &two.behind, &["apply", file], code, &stderr);
}

#[test]
fn outside_of_a_repository_there_is_nothing_to_push() {
    let env = environment();
    let folder = env.path("run");
    let expected = "error: not a git repository (or any of the parent directories)\n\
                    hint: change into a repository, or name one with `git -C <dir> parler`\n";
    refused(&env, &folder, &["push", "-o", "x"], 128, expected);
    refused(&env, &folder, &["apply", "./x"], 128, expected);
    refused(&env, &folder, &["drop", "1234"], 128, expected);
}

#[test]
fn a_branch_without_a_commit_has_nothing_to_push() {
    let env = environment();
    let repo = env.init("empty");
    refused(
        &env,
        &repo,
        &["push", "-o", "x"],
        128,
        "error: there is no commit yet\nhint: commit something first\n",
    );
}

#[test]
fn an_unknown_revision_is_named() {
    let two = Two::new();
    let expected = "error: there is no revision `nothing`\n\
                    hint: `git log --oneline --all` shows the commits there are\n";
    refused(&two.env, &two.ahead, &["push", "nothing", "-o", "x"], 128, expected);
    refused(&two.env, &two.ahead, &["push", "--base", "nothing", "-o", "x"], 128, expected);
    let expected = "error: `HEAD:src` is no commit\n\
                    hint: `git log --oneline --all` shows the commits there are\n";
    refused(&two.env, &two.ahead, &["push", "HEAD:src", "-o", "x"], 128, expected);
}

#[test]
fn an_ambiguous_revision_is_told_with_its_candidates() {
    let env = environment();
    let repo = env.init("r");
    env.commit(&repo, "a", "a\n", "a");
    // Two commits of the empty tree whose ids begin alike; found once by trying numbers.
    let ids = ["583", "661"].map(|message| {
        let who = "Ada Example <ada@example.com> 1700000000 +0000";
        let tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
        let text = format!("tree {tree}\nauthor {who}\ncommitter {who}\n\n{message}\n");
        fs::write(repo.join("object"), text).unwrap();
        env.git(&repo, ["mktree", "--missing"]);
        env.git(&repo, ["hash-object", "-t", "commit", "-w", "object"])
    });
    fs::remove_file(repo.join("object")).unwrap();
    let run = parler(&env, &repo, &["push", &ids[0][..4], "-o", "x"]);
    assert_eq!(&ids[0][..4], &ids[1][..4]);
    assert_eq!(run.code, Some(128));
    let expected = "error: `9e64` is ambiguous: it may be 9e642e5, 9e6458f\nhint: give more of its digits\n";
    assert_eq!(run.stderr, expected);
}

#[test]
fn an_empty_range_says_that_the_base_has_it_all() {
    let two = Two::new();
    let expected = "error: there is nothing to hand over: the base reaches every commit of main\n\
                    hint: name an older base, for example `git parler push --base HEAD~3`\n";
    refused(&two.env, &two.ahead, &["push", "--base", "HEAD", "-o", "x"], 1, expected);
    refused(&two.env, &two.ahead, &["push", "HEAD..HEAD~1", "-o", "x"], 1, &expected.replace("main", "HEAD"));
}

#[test]
fn a_base_that_is_no_ancestor_is_fine() {
    let two = Two::new();
    let root = two.env.path("ahead");
    two.env.git(&root, ["checkout", "--quiet", "-b", "aside", "main~2"]);
    two.env.commit(&root, "aside", "aside\n", "aside");
    let bundle = two.file("aside.bundle");
    let pushed = two.push(&["main", "--base", "aside", "-o", &bundle]);
    assert_eq!(pushed["commits"], json!(2));
    let run = parler(&two.env, &two.ahead, &["push", "main", "--base", "aside", "--force", "-o", &bundle]);
    assert!(run.stdout.starts_with(&format!("Wrote {bundle}: 2 commits (")), "{}", run.stdout);
}

#[test]
fn a_shallow_boundary_in_the_range_names_a_base_that_works() {
    let two = Two::new();
    let from = format!("file://{}", two.ahead.display());
    two.env.git(two.env.root(), ["clone", "--quiet", "--depth=3", &from, "shallow"]);
    let shallow = two.env.path("shallow");
    let boundary = two.env.git(&two.ahead, ["rev-parse", "main~2"]);
    let run = parler(&two.env, &shallow, &["push", "-o", "x"]);
    assert_eq!(run.code, Some(128));
    let expected = format!(
        "hint: this works: `git parler push --base {boundary}`; so does `git fetch --unshallow` first\n"
    );
    assert!(run.stderr.ends_with(&expected), "{}", run.stderr);
    let bundle = two.file("shallow.bundle");
    let pushed = answer(&two.env, &shallow, "push", &["--base", &boundary, "-o", &bundle]);
    assert_eq!(pushed["commits"], json!(2));
    two.env.git(&two.ahead, ["bundle", "verify", &bundle]);
}

#[test]
fn repositories_that_would_be_misread_are_refused() {
    let two = Two::new();
    let bundle = two.bundle();
    two.env.git(two.env.root(), ["init", "--quiet", "--ref-format=reftable", "reftable"]);
    let expected = "error: the repository uses extensions.refstorage = reftable, which is not supported\n\
                    hint: `git refs migrate --ref-format=files` turns it into one that is\n";
    let reftable = two.env.path("reftable");
    refused(&two.env, &reftable, &["apply", &bundle], 128, expected);
    refused(&two.env, &reftable, &["push", "-o", "x"], 128, expected);
    // git itself warns of this one; the program alone says one thing.
    two.env.git(&two.behind, ["config", "core.repositoryFormatVersion", "1"]);
    two.env.git(&two.behind, ["config", "extensions.invented", "yes"]);
    let before = Snapshot::of(&two.behind);
    let run = two.env.run(&two.behind, crate::PROGRAM, ["apply", &bundle]);
    assert_eq!(run.code, Some(128));
    assert_eq!(run.stderr, "error: the repository uses extensions.invented = yes, which is not supported\n");
    assert_eq!(before.differences(), [""; 0]);
}

#[test]
fn a_bundle_of_another_hash_is_refused() {
    let two = Two::new();
    let shape = Shape { commits: 3, object_format: ObjectFormat::Sha256, ..Shape::default() };
    let other = Two::shaped(&shape, 1);
    let bundle = other.bundle();
    refused_file(&two, &bundle, 128, "error: the bundle uses sha256 objects and this repository sha1\n");
}

#[test]
fn what_is_no_bundle_is_refused() {
    let two = Two::new();
    let again = "hint: get it once more from where it came\n";
    let cases: [(&str, &[u8], &str); 4] = [
        ("text", b"hello\n", "error: this is not a git bundle\n"),
        ("empty", b"", "error: this is not a git bundle\n"),
        ("future", b"# v4 git bundle\n\n", "error: this git bundle has a version that is not known here\n"),
        ("headless", b"# v2 git bundle\n", "error: the bundle ends inside its header\n"),
    ];
    for (name, content, expected) in cases {
        fs::write(two.file(name), content).unwrap();
        refused_file(&two, &two.file(name), 128, &format!("{expected}{again}"));
    }
    let missing = two.file("missing");
    let expected = format!("error: cannot read {missing}: No such file or directory (os error 2)\n");
    refused(&two.env, &two.behind, &["apply", &missing], 128, &expected);
    let folder = two.file("home");
    let expected = format!("error: cannot read {folder}: is a directory\n");
    refused(&two.env, &two.behind, &["apply", &folder], 128, &expected);
}

#[test]
fn a_damaged_bundle_changes_nothing_wherever_the_damage_is() {
    let two = Two::new();
    let sound = fs::read(two.bundle()).unwrap();
    let header = sound.windows(2).position(|pair| pair == b"\n\n").unwrap() + 2;
    let before = Snapshot::of(&two.behind);
    let file = two.file("damaged.bundle");
    let mut tried = 0;
    let mut refused = |content: &[u8], what: &str| {
        fs::write(&file, content).unwrap();
        let run = two.parler(&["apply", &file]);
        assert_eq!(run.code, Some(128), "{what}: {}{}", run.stdout, run.stderr);
        assert_eq!(run.stderr.matches("error: ").count(), 1, "{what}: {}", run.stderr);
        assert_eq!(before.differences(), [""; 0], "{what}");
        tried += 1;
    };
    let step = if kit::is_long() { 7 } else { 211 };
    for at in (header..sound.len()).step_by(step) {
        let mut flipped = sound.clone();
        flipped[at] ^= 0x10;
        refused(&flipped, &format!("bit flipped at {at}"));
        refused(&sound[..at], &format!("cut at {at}"));
    }
    refused(&[&sound[..], b"junk"].concat(), "junk at the end");
    assert!(tried > 20, "{tried}");
}

#[test]
fn a_missing_prerequisite_is_named_with_its_subject() {
    let two = Two::new();
    let bundle = two.file("later.bundle");
    two.push(&["--base", "main~1", "-o", &bundle]);
    let missing = two.env.git(&two.ahead, ["rev-parse", "main~1"]);
    let subject = two.env.git(&two.ahead, ["log", "-1", "--format=%s", "main~1"]);
    let expected = format!(
        "error: this bundle builds on a commit you do not have: {} \"{subject}\"\n\
         hint: get it first, for example `git fetch`, then apply the file again\n",
        &missing[..12]
    );
    refused_file(&two, &bundle, 4, &expected);
}

#[test]
fn a_prerequisite_that_nothing_keeps_is_refused_with_the_command_that_keeps_it() {
    let two = Two::new();
    let bundle = two.bundle();
    let git = |args: &[&str]| two.env.git(&two.behind, args);
    // Neither a reflog nor FETCH_HEAD keeps it, as far as a handoff is concerned.
    git(&["reset", "--quiet", "--hard", "main~1"]);
    let expected = format!(
        "error: this bundle builds on a commit that is here, but that no reference keeps: {base}\n\
         hint: keep it with `git branch <name> {base}`, then apply the file again\n",
        base = two.base
    );
    refused_file(&two, &bundle, 4, &expected);
    git(&["branch", "kept", &two.base]);
    assert_eq!(two.apply(&[&bundle])["tip"], json!(two.tip));
}

#[test]
fn an_unrelated_history_enters_only_when_it_is_wanted() {
    let two = Two::new();
    let bundle = two.file("other.bundle");
    let other = two.env.init("other");
    let tip = two.env.commit(&other, "other", "other\n", "other");
    answer(&two.env, &other, "push", &["-o", &bundle]);
    let expected = "error: the bundle holds a history that has nothing in common with this repository\n\
                    hint: if that is what you want, add `--unrelated`\n";
    refused_file(&two, &bundle, 5, expected);
    assert_eq!(two.apply(&["--unrelated", &bundle])["tip"], json!(tip));
}

#[test]
fn a_short_or_unknown_id_is_told_apart() {
    let two = Two::new();
    let unknown = "error: no handoff 1234abcd is applied here\n\
                   hint: `git for-each-ref refs/parler` shows those that are\n";
    refused(&two.env, &two.behind, &["drop", "1234abcd"], 1, unknown);
    for id in ["123", "12345z", "", "1234ABCD"] {
        let run = two.parler(&["drop", id]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(129), ""), "{id}: {}", run.stderr);
        assert!(run.stderr.starts_with("error: "), "{id}: {}", run.stderr);
    }
}

#[test]
fn an_ambiguous_id_lists_its_candidates() {
    let two = Two::new();
    for digits in ["abcdef012345", "abcdef999999"] {
        two.env.git(&two.behind, ["update-ref", &format!("refs/parler/{digits}"), &two.base]);
    }
    let expected = "error: abcdef is ambiguous here: abcdef012345, abcdef999999\n\
                    hint: give more of its digits\n";
    refused(&two.env, &two.behind, &["drop", "abcdef"], 129, expected);
    answer(&two.env, &two.behind, "drop", &["abcdef9"]);
}

#[test]
fn an_object_above_the_budget_is_refused_by_push_and_by_apply() {
    let two = Two::new();
    two.env.commit(&two.ahead, "big.bin", kit::Random::new(3).bytes(300_000), "big");
    let bundle = two.file("big.bundle");
    let push = [
        "-c",
        "parler.import.maxObjectSize=200k",
        "parler",
        "push",
        "-q",
        "--base",
        &two.base,
        "-o",
        &bundle,
    ];
    let run = two.env.try_git(&two.ahead, push);
    assert_eq!(run.code, Some(5));
    let lines: Vec<_> = run.stderr.lines().collect();
    assert!(lines[0].starts_with("error: ") && lines[0].contains("big.bin"), "{}", run.stderr);
    assert!(lines[1].contains("parler.import.maxObjectSize"), "{}", run.stderr);
    assert!(!Path::new(&bundle).exists());
    two.push(&["--base", &two.base, "-o", &bundle]);
    two.env.git(&two.behind, ["config", "parler.import.maxObjectSize", "200k"]);
    let before = Snapshot::of(&two.behind);
    let run = two.parler(&["apply", &bundle]);
    assert_eq!(run.code, Some(5));
    let hint = "hint: if you trust its author: git config parler.import.maxObjectSize 300000\n";
    assert!(run.stderr.ends_with(hint), "{}", run.stderr);
    assert_eq!(before.differences(), [""; 0]);
    // The command of the hint is the one that helps.
    two.env.git(&two.behind, ["config", "parler.import.maxObjectSize", "300000"]);
    two.apply(&[&bundle]);
}

#[test]
fn a_file_is_refused_where_a_signature_is_required() {
    let two = Two::new();
    let bundle = two.bundle();
    let expected = "A file has no author: nobody vouches for what is in it.\n\
                    error: a file has no author, and `--require-signature` wants one\n";
    refused(&two.env, &two.behind, &["apply", "--require-signature", &bundle], 5, expected);
}

#[test]
fn references_in_the_way_stop_an_import_before_an_object_moves() {
    let two = Two::new();
    let bundle = two.bundle();
    two.env.git(&two.behind, ["update-ref", "refs/parler", &two.base]);
    let expected = "error: refs/parler exists already\nhint: `git for-each-ref refs/parler` shows it\n";
    refused_file(&two, &bundle, 128, expected);
    two.env.git(&two.behind, ["pack-refs", "--all"]);
    refused_file(&two, &bundle, 128, expected);
    two.env.git(&two.behind, ["update-ref", "-d", "refs/parler"]);
    let id = two.apply(&["--dry-run", &bundle])["id"].as_str().unwrap()[..12].to_owned();
    let folder = two.behind.join(".git/refs/parler");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{id}.lock")), "").unwrap();
    let expected = format!(
        "error: refs/parler/{id} is locked by another process\n\
         hint: `git for-each-ref refs/parler` shows it\n"
    );
    refused_file(&two, &bundle, 128, &expected);
}

#[test]
fn a_stream_that_breaks_off_changes_nothing() {
    let two = Two::new();
    let content = fs::read(two.bundle()).unwrap();
    let before = Snapshot::of(&two.behind);
    let mut command = two.env.command("git");
    command.args(["parler", "apply", "-"]).current_dir(&two.behind);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&content[..content.len() / 2]).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(128));
    assert_eq!(before.differences(), [""; 0]);
}

#[test]
fn wrong_arguments_are_refused_before_anything_happens() {
    let two = Two::new();
    let run = parler(&two.env, &two.ahead, &["push", "-q", "--base", &two.base, "--json", "-o", "-"]);
    assert_eq!(run.code, Some(129));
    let error: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(error["error"]["code"], json!("usage"));
    assert_eq!(error["error"]["message"], json!("`-o -` and `--json` both want standard output"));
    let expected = "error: `some day` is no date\n\
                    hint: write it as git does, for example `2.weeks.ago` or `2026-01-31`\n";
    refused(&two.env, &two.behind, &["prune", "--expire", "some day"], 129, expected);
}
