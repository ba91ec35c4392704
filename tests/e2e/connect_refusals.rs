//! Files that `connect` leaves alone: one sentence with the remedy, and everything as it was.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use kit::{Run, Snapshot};
use serde_json::Value;

use crate::connect::Machine;
use crate::disk::{as_nobody, give_away};

/// Connects, which is refused, and returns what is said on standard error; nothing below HOME changed.
fn refused(machine: &Machine, arguments: &[&str], code: i32) -> String {
    let before = Snapshot::of(machine.env.home());
    let run = machine.connect(arguments);
    assert_eq!(run.code, Some(code), "{}{}", run.stdout, run.stderr);
    assert_eq!(before.differences(), [""; 0]);
    let root = machine.env.root().to_str().expect("a path in text");
    run.stderr.replace(root, "[root]")
}

#[test]
fn a_file_that_cannot_be_read_is_left_alone_and_the_entry_shown() {
    let mut said = String::new();
    for (file, content) in [
        (".cursor/mcp.json", &b"{\n  \"mcpServers\": {\n    \"x\": {}\n"[..]),
        (".cursor/mcp.json", b"{\n  'mcpServers': {}\n}\n"),
        (".cursor/mcp.json", b"{\"a\": 1}\n{\"b\": 2}\n"),
        (".cursor/mcp.json", b"{\n  \"mcpServers\": {},\n  \"mcpServers\": {}\n}\n"),
        (".cursor/mcp.json", b"{\"mcpServers\": [\"x\"]}\n"),
        (".cursor/mcp.json", b"\xff\xfe{\x00}\x00"),
        (".codex/config.toml", b"model = \n"),
        (".codex/config.toml", b"[mcp_servers.x]\n[mcp_servers.x]\n"),
        (".codex/config.toml", b"mcp_servers = { x = { command = \"x\" } }\n"),
        (".hermes/config.yaml", b"a: [1\n"),
        (".hermes/config.yaml", b"\tmcp_servers:\n"),
        (".hermes/config.yaml", b"mcp_servers: {x: {command: x}}\n"),
        (".hermes/config.yaml", b"mcp_servers:\n  x:\n    command: x\n  x:\n    command: y\n"),
    ] {
        let machine = Machine::new();
        machine.put(file, content);
        said += &refused(&machine, &[], 128);
        let shown = machine.connect(&[]).stdout;
        let (first, snippet) = shown.split_once('\n').unwrap();
        assert!(
            first.ends_with(&format!(": left as it is; it needs this in {}:", machine.home(file).display())),
            "{shown}"
        );
        let entry = Machine::new();
        entry.put(file, "");
        entry.rows(&[]);
        assert_eq!(snippet, fs::read_to_string(entry.home(file)).unwrap());
    }
    insta::assert_snapshot!(said, @r"
    error: [root]/home/.cursor/mcp.json is left as it is: line 2 cannot be read: Unterminated object
    hint: mend it, or edit it by hand
    error: [root]/home/.cursor/mcp.json is left as it is: line 2 cannot be read: Single-quoted strings are not allowed
    hint: mend it, or edit it by hand
    error: [root]/home/.cursor/mcp.json is left as it is: line 2 cannot be read: Text cannot contain more than one JSON value
    hint: mend it, or edit it by hand
    error: [root]/home/.cursor/mcp.json is left as it is: `mcpServers` stands there twice, again in line 3
    hint: leave one of both
    error: [root]/home/.cursor/mcp.json is left as it is: its servers are not a map
    hint: edit it by hand
    error: [root]/home/.cursor/mcp.json is not UTF-8
    hint: save it as UTF-8
    error: [root]/home/.codex/config.toml is left as it is: line 1 cannot be read: string values must be quoted, expected literal string
    hint: mend it, or edit it by hand
    error: [root]/home/.codex/config.toml is left as it is: line 2 cannot be read: duplicate key
    hint: mend it, or edit it by hand
    error: [root]/home/.codex/config.toml is left as it is: its servers are not written as tables of their own
    hint: edit it by hand
    error: [root]/home/.hermes/config.yaml is left as it is: line 2 cannot be read: while parsing a flow sequence, expected ',' or ']'
    hint: mend it, or edit it by hand
    error: [root]/home/.hermes/config.yaml is left as it is: its servers are not written as a block, line by line
    hint: edit it by hand
    error: [root]/home/.hermes/config.yaml is left as it is: its servers are not written as a block, line by line
    hint: edit it by hand
    error: [root]/home/.hermes/config.yaml is left as it is: `x` stands there twice, again in line 4
    hint: leave one of both
    ");
}

#[test]
fn an_entry_of_our_name_that_starts_something_else_stays() {
    let machine = Machine::new();
    machine.put(".codex/config.toml", "[mcp_servers.parler]\ncommand = \"parler\"\nargs = [\"mcp\"]\n");
    let expected = "error: [root]/home/.codex/config.toml is left as it is: its `parler` runs something else than `git-parler mcp`\n\
                    hint: if it is not wanted, take it out or give it another name; it is not touched\n";
    for options in [&[][..], &["--remove"], &["--dry-run"], &["--remove", "--dry-run"]] {
        assert_eq!(refused(&machine, options, 128), expected);
    }
}

#[test]
fn what_is_no_file_is_left_alone() {
    let machine = Machine::new();
    fs::create_dir_all(machine.home(".cursor/mcp.json")).unwrap();
    let expected = "error: [root]/home/.cursor/mcp.json is no file\nhint: move it away\n";
    assert_eq!(refused(&machine, &[], 128), expected);
    fs::remove_dir(machine.home(".cursor/mcp.json")).unwrap();
    symlink("../nothing.json", machine.home(".cursor/mcp.json")).unwrap();
    let expected = "error: [root]/home/.cursor/mcp.json is a link that leads nowhere\n\
                    hint: make what the link leads to, or remove the link\n";
    assert_eq!(refused(&machine, &[], 128), expected);
    fs::remove_file(machine.home(".cursor/mcp.json")).unwrap();
    // Whoever opened it would wait for ever.
    machine.env.run(machine.home(".cursor"), "mkfifo", ["mcp.json"]);
    let expected = "error: [root]/home/.cursor/mcp.json is no file\nhint: move it away\n";
    assert_eq!(refused(&machine, &[], 128), expected);
    fs::remove_file(machine.home(".cursor/mcp.json")).unwrap();
    let endless = fs::File::create(machine.home(".cursor/mcp.json")).unwrap();
    endless.set_len(1 << 30).unwrap();
    let run = machine.connect(&[]);
    assert_eq!(run.code, Some(128));
    assert!(run.stderr.contains("mcp.json is too large for a configuration file\n"), "{}", run.stderr);
}

#[test]
fn one_host_that_is_refused_holds_up_no_other() {
    let machine = Machine::new();
    let bad = machine.put(".claude.json", "{");
    machine.put(".codex/config.toml", "");
    machine.put(".gemini/settings.json", "{\"mcpServers\": {\"parler\": {\"command\": \"x\"}}}");
    let run = machine.connect(&["--json"]);
    // The failure stands in the rows, and once more where a person reads it.
    assert_eq!(run.code, Some(128), "{}", run.stderr);
    assert!(
        run.stderr.starts_with(&format!("error: {} is left as it is: ", bad.display())),
        "{}",
        run.stderr
    );
    let answer: Value = serde_json::from_str(&run.stdout).unwrap();
    let rows = answer["hosts"].as_array().unwrap();
    let states: Vec<_> = rows.iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["refused", "added", "refused"]);
    let codes: Vec<_> = rows.iter().map(|row| row["error"]["code"].as_str()).collect();
    assert_eq!(codes, [Some("bad_config"), None, Some("file_exists")]);
    assert!(rows[0]["snippet"].as_str().unwrap().contains("\"mcpServers\": {\n"), "{}", rows[0]);
    assert_eq!(rows[2]["snippet"], Value::Null);
    let run = machine.connect(&[]);
    let lines = run.stdout.lines().filter(|line| line.contains(": left") || line.contains(": already"));
    let titles: Vec<_> = lines.map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(titles, ["Claude Code", "Codex", "Gemini CLI"]);
    assert_eq!(run.stderr.matches("error: ").count(), 1, "{}", run.stderr);
    assert_eq!(run.stderr.matches("warning: ").count(), 1, "{}", run.stderr);
}

/// Connects Codex as somebody whom permissions bind: who runs the tests, unless that is root.
fn connect_bound(machine: &Machine, options: &[&str]) -> Run {
    let arguments = [&["connect", "--host", "codex"], options].concat();
    if !rustix::process::geteuid().is_root() {
        return machine.connect(&arguments[1..]);
    }
    as_nobody(&machine.env, machine.env.root(), &arguments).expect("root needs setpriv here")
}

#[test]
fn a_file_without_write_permission_is_left_alone() {
    let machine = Machine::new();
    let file = machine.put(".codex/config.toml", "model = \"x\"\n");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    if rustix::process::geteuid().is_root() {
        give_away(&machine.env, &machine.env.home());
    }
    // Its folder could be written to: replacing the file would be possible, and wrong.
    let refused = |options: &[&str], path: &str| {
        let run = connect_bound(&machine, options);
        assert_eq!(run.code, Some(128), "{}", run.stderr);
        let path = machine.home(path).display().to_string();
        let expected = format!("error: {path} cannot be written: Permission denied (os error 13)");
        assert!(run.stderr.starts_with(&expected), "{}", run.stderr);
        assert!(run.stderr.contains("hint: see to it that you may write to "), "{}", run.stderr);
        assert!(run.stdout.contains("\n[mcp_servers.parler]\n"), "{}", run.stdout);
        let left: Vec<_> = fs::read_dir(machine.home(".codex")).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "model = \"x\"\n");
    };
    refused(&[], ".codex/config.toml");
    refused(&["--dry-run"], ".codex/config.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(machine.home(".codex"), fs::Permissions::from_mode(0o555)).unwrap();
    refused(&[], ".codex/config.toml.parler-backup");
    // So that the folder can be removed again.
    fs::set_permissions(machine.home(".codex"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_file_of_somebody_else_keeps_its_owner_or_is_left_alone() {
    use std::os::unix::fs::MetadataExt;
    // Nobody else can give a file away.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let machine = Machine::new();
    let file = machine.put(".codex/config.toml", "model = \"x\"\n");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    give_away(&machine.env, &machine.home(".codex"));
    let owner = |path: &std::path::Path| fs::metadata(path).unwrap().uid();
    let nobody = owner(&file);
    assert_ne!(nobody, owner(machine.env.root()));
    machine.rows(&[]);
    assert_eq!(owner(&file), nobody);
    assert_eq!(owner(&file.with_extension("toml.parler-backup")), nobody);
    machine.rows(&["--remove"]);
    assert_eq!(owner(&file), nobody);
    // Somebody who may write to it, and cannot give it back to its owner.
    std::os::unix::fs::chown(&file, Some(0), Some(0)).unwrap();
    let run = connect_bound(&machine, &[]);
    assert_eq!(run.code, Some(128), "{}{}", run.stdout, run.stderr);
    let expected = format!(
        "error: {} belongs to a user or a group to whom a new file cannot be given: Operation not permitted (os error 1)\n\
         hint: run the same command as that user, or edit it by hand\n",
        file.display()
    );
    assert_eq!(run.stderr, expected);
    assert_eq!((owner(&file), fs::read_to_string(&file).unwrap().as_str()), (0, "model = \"x\"\n"));
}
