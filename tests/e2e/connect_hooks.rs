//! `connect --hooks`: the hooks of agent hosts put in beside what others have installed, and taken out.

use std::fs;

use kit::Snapshot;
use serde_json::{Value, json};

use crate::PROGRAM;
use crate::connect::Machine;

/// Every host that has hooks, its file for them below HOME, and a file as somebody has it.
const HOSTS: [(&str, &str, &str); 5] = [
    (
        "claude-code",
        ".claude/settings.json",
        "{\n  // mine\n  \"hooks\": {\n    \"Stop\": [\n      { \"hooks\": [{ \"type\": \"command\", \"command\": \"say done\" }] }\n    ]\n  },\n  \"model\": \"x\"\n}\n",
    ),
    ("codex", ".codex/hooks.json", "{\n  \"hooks\": {\n    \"PreToolUse\": []\n  }\n}"),
    ("gemini", ".gemini/settings.json", "{\r\n\t\"theme\": \"dark\"\r\n}\r\n"),
    ("opencode", ".config/opencode/plugin/git-parler.js", ""),
    (
        "cursor",
        ".cursor/hooks.json",
        "{\n  \"version\": 1,\n  \"hooks\": {\n    \"stop\": [{ \"command\": \"./audit.sh\" }]\n  }\n}\n",
    ),
];

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// Returns the rows about hooks, as host and state.
fn states(machine: &Machine, arguments: &[&str]) -> Vec<String> {
    let rows = machine.rows(arguments);
    let hooks = rows.iter().filter(|row| row["part"] == "hooks");
    hooks.map(|row| format!("{} {}", text(&row["host"]), text(&row["state"]))).collect()
}

fn all(state: &str) -> Vec<String> {
    HOSTS.map(|(host, ..)| format!("{host} {state}")).to_vec()
}

#[test]
fn hooks_come_in_beside_those_of_others_and_go_without_a_trace() {
    let machine = Machine::new();
    fs::create_dir_all(machine.home(".config/opencode")).unwrap();
    for (_, file, content) in HOSTS.into_iter().filter(|(host, ..)| *host != "opencode") {
        machine.put(file, content);
    }
    let before = Snapshot::of(machine.env.home());
    assert_eq!(states(&machine, &["--hooks", "--dry-run"]), all("would_add"));
    assert_eq!(before.differences(), [""; 0]);
    assert_eq!(states(&machine, &["--hooks"]), all("added"));
    assert_eq!(states(&machine, &["--hooks"]), all("already"));
    for (host, file, content) in HOSTS {
        let with = fs::read_to_string(machine.home(file)).unwrap();
        assert!(with.contains(&format!("git-parler hook {host} ")) || host == "opencode", "{with}");
        // All that was there is there still, in its order, with ours in between.
        let mut rest = with.chars();
        assert!(content.chars().all(|character| rest.any(|other| other == character)), "{host}: {with}");
    }
    // The hooks alone go, and then the rest; each as it was.
    assert_eq!(states(&machine, &["--hooks", "--remove"]), all("removed"));
    assert_eq!(states(&machine, &["--remove"]), [""; 0]);
    assert_eq!(states(&machine, &["--hooks"]), all("added"));
    assert_eq!(states(&machine, &["--remove"]), all("removed"));
    let left: Vec<_> =
        before.differences().into_iter().filter(|path| !path.ends_with("opencode/plugin")).collect();
    assert_eq!(left, [""; 0]);
}

#[test]
fn files_that_were_made_for_hooks_go_with_them() {
    let machine = Machine::new();
    for folder in [".claude", ".codex", ".gemini", ".cursor", ".config/opencode"] {
        fs::create_dir_all(machine.home(folder)).unwrap();
    }
    machine.rows(&["--hooks"]);
    let codex: Value = serde_json::from_slice(&fs::read(machine.home(".codex/hooks.json")).unwrap()).unwrap();
    let hook = |event: &str| json!([{"hooks": [{"type": "command", "command": format!("git-parler hook codex {event}"), "timeout": 10}]}]);
    let events = ["Stop", "SessionStart", "UserPromptSubmit"];
    assert_eq!(
        codex,
        json!({"hooks": events.map(|event| (event.to_owned(), hook(event))).into_iter().collect::<serde_json::Map<_, _>>()})
    );
    machine.rows(&["--remove"]);
    for (host, file, _) in HOSTS {
        assert!(!machine.home(file).exists(), "{host}");
    }
}

#[test]
fn hooks_that_something_else_has_put_in_since_stay() {
    let machine = Machine::new();
    let (_, file, content) = HOSTS[0];
    let path = machine.put(file, content);
    machine.rows(&["--hooks", "--host", "claude-code"]);
    let with = fs::read_to_string(&path).unwrap();
    fs::write(&path, with.replace("\"say done\"", "\"say all done\"")).unwrap();
    assert_eq!(states(&machine, &["--hooks", "--remove"]), ["claude-code removed"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), content.replace("\"say done\"", "\"say all done\""));
}

#[test]
fn a_host_without_hooks_and_a_file_that_cannot_be_edited_are_said() {
    let machine = Machine::new();
    fs::create_dir_all(machine.home(".codeium/windsurf")).unwrap();
    let run = machine.connect(&["--hooks", "--host", "windsurf"]);
    assert_eq!(run.code, Some(0));
    assert!(run.stderr.contains("warning: Windsurf has no hooks that could be used"), "{}", run.stderr);
    machine.put(".codex/hooks.json", "{\"hooks\": 1}");
    let run = machine.connect(&["--hooks", "--host", "codex"]);
    assert_eq!(run.code, Some(128), "{}", run.stderr);
    assert!(run.stdout.contains("Codex, hooks: left as it is; it needs this in "), "{}", run.stdout);
    assert!(run.stdout.contains("git-parler hook codex Stop"), "{}", run.stdout);
    assert_eq!(fs::read_to_string(machine.home(".codex/hooks.json")).unwrap(), "{\"hooks\": 1}");
    machine.put(".config/opencode/plugin/git-parler.js", "export const Other = 1\n");
    let run = machine.connect(&["--hooks", "--host", "opencode"]);
    assert!(run.stderr.contains("something else is in its place"), "{}", run.stderr);
}

#[test]
fn a_shell_starts_the_program_wherever_it_lies() {
    let machine = Machine::new();
    let folder = machine.env.path("it's \"here\" & $HOME");
    fs::create_dir(&folder).unwrap();
    // By a process of its own: a child that another test starts meanwhile would hold the copy open for writing.
    let root = machine.env.root();
    let copied = machine.env.run(root, "cp", [PROGRAM.as_ref(), folder.as_os_str()]);
    assert_eq!(copied.code, Some(0), "{}", copied.stderr);
    let run = machine.env.run(root, folder.join("git-parler"), ["connect", "--hooks", "--host", "codex"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let read = || -> Value {
        serde_json::from_slice(&fs::read(machine.home(".codex/hooks.json")).unwrap()).unwrap()
    };
    let before = read();
    let command = text(&before["hooks"]["Stop"][0]["hooks"][0]["command"]);
    // A probe says its word, so that it is known that it was reached.
    let mut shell = machine.env.command("sh");
    let output = shell.args(["-c", command]).env("PARLER_HOOKS_PROBE", "reached").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), "reached", "{output:?}");
    // It is known again as ours.
    assert_eq!(states(&machine, &["--hooks", "--host", "codex"]), ["codex updated"]);
    assert_eq!(states(&machine, &["--remove"]), ["codex removed"]);
    assert!(!machine.home(".codex/hooks.json").exists());
}

#[test]
fn settings_that_never_held_hooks_do_not_matter_when_the_entry_goes() {
    let machine = Machine::new();
    machine.put(".claude/settings.json", "{ not yet");
    machine.rows(&["--host", "claude-code"]);
    let rows = machine.rows(&["--host", "claude-code", "--remove"]);
    assert_eq!((rows.len(), text(&rows[0]["state"])), (1, "removed"));
}
