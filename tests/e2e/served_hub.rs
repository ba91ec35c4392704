//! A hub that somebody runs for others: named by a setting, closed by a secret, bounded, and killed in the middle.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;

use kit::{Line, Mount, Random, Run, Snapshot};
use serde_json::{Value, json};

use crate::PROGRAM;
use crate::served::Served;
use crate::two::{Two, answer, parler};

fn use_hub(two: &Two, url: &str) {
    two.env.git(two.env.root(), ["config", "--global", "parler.hub", url]);
}

#[test]
fn a_hub_named_by_a_setting_is_used_and_no_local_one_is_started() {
    let two = Two::new();
    let hub = Served::start(&two.env, &two.env.path("hub"), &[]);
    use_hub(&two, &hub.url());
    let pushed = two.push(&["--base", &two.base]);
    let run = two.parler(&["apply"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let name = format!("refs/parler/{}", &pushed["id"].as_str().unwrap()[..12]);
    assert_eq!(two.env.git(&two.behind, ["rev-parse", &name]), two.tip);
    assert!(!two.env.parler_home().join("hub").exists());
    assert_eq!(hub.stop(), Some(0));
    let before = Snapshot::of(&two.ahead);
    let run = parler(&two.env, &two.ahead, &["push", "--base", "main~1"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(6), ""), "{}", run.stderr);
    assert!(run.stderr.contains("git parler push -o <file>"), "{}", run.stderr);
    assert_eq!(before.differences(), [""; 0]);
}

#[test]
fn a_closed_hub_lets_in_only_who_knows_its_secret() {
    let two = Two::new();
    let secret = |name: &str, text: &str| {
        fs::write(two.file(name), text).unwrap();
        two.file(name)
    };
    let (right, wrong) = (
        secret("right", "a long and good secret of everybody\n"),
        secret("wrong", "a long and bad secret of nobody at all\n"),
    );
    let hub = Served::start(&two.env, &two.env.path("hub"), &["--join-secret-file", &right]);
    use_hub(&two, &hub.url());
    let push = |secret: Option<&str>| -> Run {
        let setting = secret.map(|file| format!("parler.joinSecretFile={file}"));
        let setting = setting.iter().flat_map(|setting| ["-c", setting.as_str()]);
        two.env.try_git(&two.ahead, setting.chain(["parler", "push", "-q", "--base", &two.base]))
    };
    for refused in [push(None), push(Some(&wrong))] {
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(128), ""), "{}", refused.stderr);
        assert!(refused.stderr.contains("parler.joinSecretFile"), "{}", refused.stderr);
    }
    let taken = push(Some(&right));
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    let missing = push(Some(&two.file("missing")));
    assert_eq!(missing.code, Some(128));
    let expected = format!("error: cannot read the join secret in {}: ", two.file("missing"));
    assert!(missing.stderr.starts_with(&expected), "{}", missing.stderr);
}

#[test]
fn a_bundle_above_the_hubs_cap_is_refused_before_it_is_built() {
    let two = Two::new();
    let hub = Served::start(&two.env, &two.env.path("hub"), &["--blob-bytes-max", "64k"]);
    use_hub(&two, &hub.url());
    two.push(&["--base", &two.base]);
    two.env.commit(&two.ahead, "noise.bin", Random::new(5).bytes(300_000), "noise");
    let (blobs, before) = (Snapshot::of(two.env.path("hub/blobs")), Snapshot::of(&two.ahead));
    let run = parler(&two.env, &two.ahead, &["push", "-q", "--base", &two.tip]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(5), ""), "{}", run.stderr);
    assert!(run.stderr.contains("--blob-bytes-max"), "{}", run.stderr);
    assert_eq!((blobs.differences(), before.differences()), (vec![], vec![]));
    assert_eq!(spooled(&two), [""; 0]);
}

/// Returns the bundles that wait in the spool.
fn spooled(two: &Two) -> Vec<String> {
    let words = ["p", "-path", "*spool*", "-type", "f", "-size", "+0"];
    let run = two.env.run(two.env.root(), "find", words);
    run.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn a_full_disk_at_the_hub_is_told_and_loses_nothing() {
    let two = Two::new();
    let folder = two.env.path("disk");
    let Some(mount) = Mount::small(&folder, 4096) else { return };
    let hub = Served::start(&two.env, &folder.join("hub"), &[]);
    use_hub(&two, &hub.url());
    let first = two.push(&["--base", &two.base]);
    let newest = two.env.commit(&two.ahead, "noise.bin", Random::new(6).bytes(600_000), "noise");
    let ballast = mount.fill(256 << 10);
    let (before, spool) = (Snapshot::of(&two.ahead), spooled(&two));
    let run = parler(&two.env, &two.ahead, &["push", "-q", "--base", &two.tip]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(6), ""), "{}", run.stderr);
    let expected = "hint: free space where the hub runs, then run the same command again\n";
    assert!(run.stderr.ends_with(expected), "{}", run.stderr);
    assert_eq!((before.differences(), spooled(&two)), (vec![], spool));
    let listed = answer(&two.env, &two.behind, "list", &["--all"]);
    assert_eq!(listed["handoffs"].as_array().unwrap().len(), 1);
    assert_eq!(listed["handoffs"][0]["id"], first["id"]);
    fs::remove_file(ballast).unwrap();
    assert_eq!(two.push(&["--base", &two.tip])["tip"], json!(newest));
}

#[test]
fn a_hub_whose_disk_fails_ends_without_an_answer() {
    let two = Two::new();
    if !two.env.has("strace") {
        return;
    }
    let folder = two.env.path("hub");
    let hub = Served::start(&two.env, &folder, &[]);
    use_hub(&two, &hub.url());
    let first = two.push(&["--base", &two.base]);
    let newest = two.env.commit(&two.ahead, "more", b"more\n", "more");
    let faults = hub.fail_flushes(&two.env);
    let mut push = two.env.command(PROGRAM);
    push.args(["push", "--base", &two.tip]).current_dir(&two.ahead);
    let mut push = push.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(hub.ended(), Some(128));
    drop(faults);
    // It goes on looking for its hub; nobody waits for that.
    push.kill().unwrap();
    assert_eq!(push.wait_with_output().unwrap().stdout, b"");
    let blobs = fs::read_dir(folder.join("blobs")).unwrap().count();
    assert_eq!(blobs, 1, "what could not be flushed is no blob");
    let hub = Served::start(&two.env, &folder, &[]);
    use_hub(&two, &hub.url());
    assert_eq!(two.push(&["--base", &two.tip])["tip"], json!(newest));
    let listed = answer(&two.env, &two.behind, "list", &["--all"]);
    assert_eq!(listed["handoffs"][0]["id"], first["id"]);
    assert_eq!(listed["handoffs"].as_array().unwrap().len(), 2);
}

#[test]
fn a_hub_with_another_key_under_the_same_name_is_not_spoken_to() {
    let two = Two::new();
    let line = Line::new(1, u64::MAX);
    use_hub(&two, &line.origin());
    let _first = Served::behind(&line, &two.env, "hub", &[]);
    two.push(&["--base", &two.base]);
    let _second = Served::behind(&line, &two.env, "other", &[]);
    let before = Snapshot::of(&two.behind);
    let run = two.parler(&["apply"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(128), ""), "{}", run.stderr);
    let json = two.parler(&["list", "--json"]);
    let error: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(error["error"]["code"], json!("hub_key_changed"));
    assert_eq!(before.differences(), [""; 0]);
}

/// How often the hub is killed.
fn kills() -> usize {
    if kit::is_long() { 100 } else { 20 }
}

/// What the pushing seats share.
struct Load<'a> {
    two: &'a Two,
    seats: Vec<std::path::PathBuf>,
    next: AtomicUsize,
    is_over: AtomicBool,
    answered: Mutex<Vec<String>>,
}

impl Load<'_> {
    /// Pushes one new commit after the other; tells of each begin and each answer.
    fn push(&self, seat: &Path, told: &mpsc::Sender<()>) {
        while !self.is_over.load(Ordering::SeqCst) {
            let branch = format!("n{}", self.next.fetch_add(1, Ordering::SeqCst));
            let script =
                format!("git branch {branch} $(git commit-tree -p main -m {branch} 'main^{{tree}}')");
            assert_eq!(self.two.env.run(seat, "bash", ["-c", &script]).code, Some(0));
            loop {
                told.send(()).expect("it is listened to until all seats have ended");
                let run = parler(&self.two.env, seat, &["push", "--json", "--base", "main", &branch]);
                told.send(()).expect("it is listened to until all seats have ended");
                if run.code == Some(0) {
                    let pushed: Value = serde_json::from_str(&run.stdout).expect("JSON");
                    let id = pushed["id"].as_str().expect("an id").to_owned();
                    self.answered.lock().expect("no seat has failed").push(id);
                    break;
                }
                // The hub was gone for longer than a command waits; it says so, and the next one works.
                assert_eq!(run.code, Some(6), "{}{}", run.stdout, run.stderr);
            }
        }
    }
}

#[test]
fn a_hub_killed_under_load_loses_nothing_that_it_answered() {
    let two = Two::new();
    let line = Line::new(2, u64::MAX);
    let raised = ["--blobs-per-agent-hour-max", "100000", "--sends-per-agent-minute-max", "100000"];
    use_hub(&two, &line.origin());
    let start = || Served::behind(&line, &two.env, "hub", &raised);
    let mut hub = start();
    let seats = ["one", "three", "two"].map(|name| {
        two.env.git(&two.ahead, ["worktree", "add", "--quiet", "--detach", &format!("../{name}")]);
        two.env.path(name)
    });
    let (is_over, answered) = (AtomicBool::new(false), Mutex::default());
    let load = Load { two: &two, seats: seats.to_vec(), next: AtomicUsize::new(0), is_over, answered };
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        for seat in &load.seats {
            let (tell, load) = (tell.clone(), &load);
            scope.spawn(move || load.push(seat, &tell));
        }
        let mut random = Random::new(7);
        for _ in 0..kills() {
            for _ in 0..=random.below(4) {
                told.recv().expect("seats go on until they are told");
            }
            hub.kill();
            hub = start();
        }
        load.is_over.store(true, Ordering::SeqCst);
        drop(tell);
        told.iter().for_each(drop);
    });
    let answered = load.answered.into_inner().unwrap();
    assert!(!answered.is_empty());
    let listed = answer(&two.env, &two.behind, "list", &["--all"]);
    let listed = listed["handoffs"].as_array().unwrap();
    let ids: Vec<_> = listed.iter().map(|handoff| handoff["id"].as_str().unwrap()).collect();
    for id in &answered {
        assert!(ids.contains(&id.as_str()), "{id} was answered and is not listed");
    }
    // Whatever shows can be had, answered or not, and nothing shows twice.
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), ids.len());
    for id in ids {
        let file = two.file("got.bundle");
        answer(&two.env, &two.behind, "fetch", &[id, "--force", "-o", &file]);
        two.env.git(&two.ahead, ["bundle", "verify", "--quiet", &file]);
    }
    hub.kill();
}
