//! The local hub: it starts by itself, once, and whatever became of it, the next command just works.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::strace::trace;
use crate::two::{Two, answer, parler};

fn pid(two: &Two) -> u64 {
    let status = answer(&two.env, two.env.root(), "hub", &["--status"]);
    status["pid"].as_u64().expect("a process id")
}

fn list(two: &Two) -> usize {
    answer(&two.env, &two.behind, "list", &["--all"])["handoffs"].as_array().expect("a list").len()
}

#[test]
fn fifty_commands_at_once_start_one_hub() {
    let two = Two::new();
    let children: Vec<_> = (0..50)
        .map(|_| {
            let mut command = two.env.command("git");
            command.args(["parler", "list", "--json"]).current_dir(&two.behind);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!((output.status.code(), stdout.as_ref()), (Some(0), "{\"handoffs\":[]}\n"), "{stderr}");
    }
    let log = fs::read_to_string(two.env.parler_home().join("hub/log")).unwrap();
    assert!(!log.contains("ERROR"), "{log}");
    assert_eq!(hubs(&two), 1);
}

/// Counts the processes that run as the local hub of this environment.
fn hubs(two: &Two) -> usize {
    let folder = two.env.parler_home().join("hub");
    let folder = folder.to_str().expect("text");
    let is_hub = |entry: fs::DirEntry| {
        let words = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        words.contains("--local-child") && words.contains(folder)
    };
    fs::read_dir("/proc")
        .expect("a list of processes")
        .flatten()
        .filter_map(|entry| is_hub(entry).then_some(()))
        .count()
}

#[test]
fn after_a_kill_the_next_command_just_works() {
    let two = Two::new();
    two.push(&["--base", &two.base]);
    let first = pid(&two);
    assert!(two.env.kill_hub());
    // The address file is stale now, and the socket is still there.
    assert!(two.env.parler_home().join("hub/local.json").exists());
    assert_eq!(list(&two), 1);
    assert_ne!(pid(&two), first);
    assert_eq!(two.parler(&["apply"]).code, Some(0));
}

#[test]
fn an_address_file_that_names_nobody_or_makes_no_sense_is_replaced() {
    let two = Two::new();
    two.push(&["--base", &two.base]);
    let file = two.env.parler_home().join("hub/local.json");
    let record = fs::read_to_string(&file).unwrap();
    for content in ["", "no json", "{}", &record.replace("socket", "elsewhere"), &record] {
        two.env.kill_hub();
        fs::write(&file, content).unwrap();
        assert_eq!(list(&two), 1, "{content}");
    }
}

#[test]
fn an_address_file_that_others_may_write_is_not_believed() {
    let two = Two::new();
    two.push(&["--base", &two.base]);
    two.env.kill_hub();
    let file = two.env.parler_home().join("hub/local.json");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(list(&two), 1);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    if rustix::process::geteuid().is_root() {
        two.env.kill_hub();
        std::os::unix::fs::chown(&file, Some(65534), Some(65534)).unwrap();
        assert_eq!(list(&two), 1);
    }
}

#[test]
fn an_older_hub_hands_over_and_a_newer_one_stays() {
    let two = Two::new();
    two.push(&["--base", &two.base]);
    let (file, first) = (two.env.parler_home().join("hub/local.json"), pid(&two));
    let record = fs::read_to_string(&file).unwrap();
    let version = concat!("\"version\":\"", env!("CARGO_PKG_VERSION"), "\"");
    assert!(record.contains(version), "{record}");
    fs::write(&file, record.replace(version, "\"version\":\"99.0.0\"")).unwrap();
    assert_eq!(list(&two), 1);
    assert_eq!(pid(&two), first);
    fs::write(&file, record.replace(version, "\"version\":\"0.0.1\"")).unwrap();
    assert_eq!(list(&two), 1);
    assert_ne!(pid(&two), first);
}

#[test]
fn a_command_in_a_substitution_returns_although_its_hub_lives_on() {
    let two = Two::new();
    let script = format!("answer=$(git parler push --json --base {}); printf %s \"$answer\"", two.base);
    let run = two.env.run(&two.ahead, "bash", ["-c", &script]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let pushed: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(pushed["tip"], json!(two.tip));
    assert!(two.env.hub_pid().is_some());
}

#[test]
fn the_local_hub_tells_of_itself_and_ends_when_it_is_told() {
    let two = Two::new();
    let run = parler(&two.env, two.env.root(), &["hub", "--status"]);
    let expected = "error: the local hub does not run\n\
                    hint: nothing to do: the next command that needs it starts it\n";
    assert_eq!((run.code, run.stderr.as_str()), (Some(6), expected));
    two.push(&["--base", &two.base]);
    let first = pid(&two);
    let stopped = answer(&two.env, two.env.root(), "hub", &["--stop"]);
    assert_eq!(stopped["pid"].as_u64(), Some(first));
    assert!(two.env.hub_pid().is_none());
    assert!(!two.env.parler_home().join("hub/local.json").exists());
    assert_eq!(list(&two), 1);
}

#[test]
fn without_sockets_the_way_without_a_hub_is_named() {
    let two = Two::new();
    if !two.env.has("strace") {
        return;
    }
    let options = ["-o", "/dev/null", "-e", "trace=socket", "-e", "inject=socket:error=EPERM"];
    let run = trace(&two.env, &two.ahead, &options, &["push", "--base", &two.base]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(6), ""), "{}", run.stderr);
    assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
    assert!(
        run.stderr.contains("\nhint: ") && run.stderr.contains("git parler push -o <file>"),
        "{}",
        run.stderr
    );
    let json = trace(&two.env, &two.ahead, &options, &["push", "--json", "--base", &two.base]);
    let error: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(error["error"]["code"], json!("hub_unreachable"));
}

#[test]
fn a_home_too_deep_for_a_socket_works_all_the_same() {
    let two = Two::new();
    let deep = two.env.path("d".repeat(100));
    let run = |repo: &std::path::Path, args: &[&str]| {
        let mut command = two.env.command("git");
        let output = command.env("PARLER_HOME", &deep).current_dir(repo).arg("parler").args(args).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run(&two.ahead, &["push", "--base", &two.base]);
    assert!(run(&two.behind, &["hub", "--status", "--json"]).contains("tcp:127.0.0.1:"));
    run(&two.behind, &["apply"]);
    run(&two.behind, &["hub", "--stop"]);
}
