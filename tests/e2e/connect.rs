//! `connect` as a person uses it: which hosts it finds, what it says, and what it does the second time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kit::{Env, Run, Snapshot};
use serde_json::{Value, json};

use crate::PROGRAM;

/// Every host, with its folder and its file below HOME. In a sealed environment the folder for configuration is `.config`.
pub(crate) const HOSTS: [(&str, &str, &str); 11] = [
    ("claude-code", ".claude", ".claude.json"),
    ("codex", ".codex", ".codex/config.toml"),
    ("gemini", ".gemini", ".gemini/settings.json"),
    ("opencode", ".config/opencode", ".config/opencode/opencode.json"),
    ("cursor", ".cursor", ".cursor/mcp.json"),
    ("windsurf", ".codeium/windsurf", ".codeium/windsurf/mcp_config.json"),
    ("vscode", ".config/Code/User", ".config/Code/User/mcp.json"),
    (
        "cline",
        ".config/Code/User/globalStorage/saoudrizwan.claude-dev",
        ".config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
    ),
    ("claude-desktop", ".config/Claude", ".config/Claude/claude_desktop_config.json"),
    ("copilot", ".copilot", ".copilot/mcp-config.json"),
    ("hermes", ".hermes", ".hermes/config.yaml"),
];

/// A machine whose PATH holds git-parler and nothing else, so that no host that is installed here is found.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) env: Env,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self { env: Env::new() }
    }

    /// Returns a path below HOME.
    pub(crate) fn home(&self, path: &str) -> PathBuf {
        self.env.home().join(path)
    }

    /// Writes a file below HOME.
    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home(path);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder below HOME");
        fs::write(&path, content).expect("a file below HOME");
        path
    }

    pub(crate) fn connect(&self, arguments: &[&str]) -> Run {
        let mut command = self.env.command(PROGRAM);
        let folder = Path::new(PROGRAM).parent().expect("a program lies in a folder");
        command.env("PATH", folder).arg("connect").args(arguments);
        Run::from(command.output().expect("the program starts"))
    }

    /// Runs `connect --json`, which has to succeed, and returns the rows.
    pub(crate) fn rows(&self, arguments: &[&str]) -> Vec<Value> {
        let run = self.connect(&[&["--json"], arguments].concat());
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{}", run.stdout);
        let answer: Value = serde_json::from_str(&run.stdout).expect("an answer is JSON");
        answer["hosts"].as_array().expect("a list of hosts").clone()
    }

    fn states(&self, arguments: &[&str]) -> Vec<String> {
        let text = |row: &Value, name: &str| row[name].as_str().expect("a text").to_owned();
        self.rows(arguments).iter().map(|row| text(row, "host") + " " + &text(row, "state")).collect()
    }
}

#[test]
fn every_host_whose_folder_is_there_is_wired_once_and_unwired() {
    let machine = Machine::new();
    for (_, folder, _) in HOSTS {
        fs::create_dir_all(machine.home(folder)).unwrap();
    }
    fs::create_dir_all(machine.home(HOSTS[7].1).join("settings")).unwrap();
    let before = Snapshot::of(machine.env.home());
    let all = |state: &str| HOSTS.map(|(host, ..)| format!("{host} {state}"));
    assert_eq!(machine.states(&["--dry-run"]), all("would_add"));
    assert_eq!(before.differences(), [""; 0]);
    let rows = machine.rows(&[]);
    for (row, (host, _, file)) in rows.iter().zip(HOSTS) {
        let next = row["next"].as_str().unwrap();
        assert!(!next.is_empty());
        let file = machine.home(file);
        let expected = json!({
            "host": host, "part": "server", "file": file, "state": "added", "backup": null, "next": next,
        });
        assert_eq!(*row, expected);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{host}");
    }
    assert_eq!(rows.len(), HOSTS.len());
    assert_eq!(machine.states(&[]), all("already"));
    // What is kept of a file that was made for the entry goes with it.
    assert_eq!(machine.states(&["--local"]), all("updated"));
    let wired = Snapshot::of(machine.env.home());
    assert_eq!(machine.states(&["--dry-run", "--remove"]), all("would_remove"));
    assert_eq!(wired.differences(), [""; 0]);
    assert_eq!(machine.states(&["--remove"]), all("removed"));
    assert_eq!(before.differences(), [""; 0]);
    assert_eq!(machine.states(&["--remove"]), all("absent"));
    assert_eq!(before.differences(), [""; 0]);
}

#[test]
fn each_host_gets_the_entry_that_it_reads() {
    let machine = Machine::new();
    let mut entries: Vec<(String, String)> = Vec::new();
    for (host, _, file) in HOSTS {
        machine.rows(&["--host", host]);
        let text = fs::read_to_string(machine.home(file)).unwrap();
        match entries.iter_mut().find(|(_, other)| *other == text) {
            Some((hosts, _)) => *hosts += &format!(" {host}"),
            None => entries.push((host.to_owned(), text)),
        }
    }
    let shown: String = entries.iter().map(|(hosts, text)| format!("# {hosts}\n{text}")).collect();
    let shown = shown.replace(PROGRAM, "[path]/git-parler");
    insta::assert_snapshot!(shown, @r#"
    # claude-code
    {
      "mcpServers": {
        "parler": {
          "type": "stdio",
          "command": "git-parler",
          "args": ["mcp"]
        }
      }
    }
    # codex
    [mcp_servers.parler]
    command = "git-parler"
    args = ["mcp"]
    # gemini
    {
      "mcpServers": {
        "parler": {
          "command": "git-parler",
          "args": ["mcp"]
        }
      }
    }
    # opencode
    {
      "mcp": {
        "parler": {
          "type": "local",
          "command": ["git-parler", "mcp"]
        }
      }
    }
    # cursor windsurf cline claude-desktop
    {
      "mcpServers": {
        "parler": {
          "command": "[path]/git-parler",
          "args": ["mcp"]
        }
      }
    }
    # vscode
    {
      "servers": {
        "parler": {
          "type": "stdio",
          "command": "[path]/git-parler",
          "args": ["mcp"]
        }
      }
    }
    # copilot
    {
      "mcpServers": {
        "parler": {
          "type": "local",
          "command": "git-parler",
          "args": ["mcp"],
          "tools": ["*"]
        }
      }
    }
    # hermes
    mcp_servers:
      parler:
        command: "git-parler"
        args: ["mcp"]
    "#);
}

#[test]
fn a_host_is_found_by_its_program_too() {
    let machine = Machine::new();
    let bin = machine.env.path("bin");
    fs::create_dir_all(&bin).unwrap();
    for (name, mode) in [("codex", 0o755), ("gemini", 0o644)] {
        fs::write(bin.join(name), "#!/bin/sh\nexit 1\n").unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let mut command = machine.env.command(PROGRAM);
    let output = command.env("PATH", &bin).args(["connect", "--dry-run", "--json"]).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["hosts"].as_array().unwrap().len(), 1);
    assert_eq!(answer["hosts"][0]["host"], "codex");
    // git-parler is not in this PATH: the entry names it by its path.
    let diff = answer["hosts"][0]["diff"].as_str().unwrap();
    assert!(diff.contains(&format!("\n+command = \"{PROGRAM}\"\n")), "{diff}");
}

#[test]
fn without_any_host_the_known_ones_and_an_entry_are_shown() {
    let machine = Machine::new();
    let run = machine.connect(&[]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    insta::assert_snapshot!(run.stderr, @r#"
    error: no agent host is found here
    hint: known are claude-code, codex, gemini, opencode, cursor, windsurf, vscode, cline, claude-desktop, copilot, hermes; name one with `--host <host>`
    hint: most others take this in their configuration:
    hint: {
    hint:   "mcpServers": {
    hint:     "parler": {
    hint:       "type": "stdio",
    hint:       "command": "git-parler",
    hint:       "args": ["mcp"]
    hint:     }
    hint:   }
    hint: }
    "#);
    assert_eq!(machine.connect(&["--json"]).code, Some(1));
    let run = machine.connect(&["--host", "emacs"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(129), ""));
    for (host, ..) in HOSTS {
        assert!(run.stderr.contains(host), "{}", run.stderr);
    }
}

#[test]
fn removing_needs_neither_a_host_nor_a_program_with_a_name() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let machine = Machine::new();
    let run = machine.connect(&["--remove"]);
    let said = "no agent host is found here\n".to_owned();
    assert_eq!(run, Run { code: Some(0), stdout: String::new(), stderr: said });
    let run = machine.connect(&["--remove", "--json", "--quiet"]);
    assert_eq!(run, Run { code: Some(0), stdout: "{\"hosts\":[]}\n".to_owned(), stderr: String::new() });
    machine.rows(&["--host", "codex"]);
    // A folder whose name no configuration file could hold.
    let folder = machine.env.path(OsStr::from_bytes(b"\xff"));
    fs::create_dir(&folder).unwrap();
    // By a process of its own: a child that another test starts meanwhile would hold the copy open for writing.
    let copied = machine.env.run(machine.env.root(), "cp", [OsStr::new(PROGRAM), folder.as_os_str()]);
    assert_eq!(copied.code, Some(0), "{}", copied.stderr);
    let nameless = folder.join("git-parler");
    let run = machine.env.run(machine.env.root(), &nameless, ["connect", "--host", "codex"]);
    assert_eq!(run.code, Some(128));
    assert!(run.stderr.contains("git-parler has a name that is no text\n"), "{}", run.stderr);
    let run = machine.env.run(machine.env.root(), &nameless, ["connect", "--host", "codex", "--remove"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(!machine.home(".codex/config.toml").exists());
}

#[test]
fn variables_move_the_folders_of_hosts() {
    for (variable, folder, host, file) in [
        ("CLAUDE_CONFIG_DIR", "c", "claude-code", "c/.claude.json"),
        ("CODEX_HOME", "c", "codex", "c/config.toml"),
        ("GEMINI_CLI_HOME", "c", "gemini", "c/.gemini/settings.json"),
        ("COPILOT_HOME", "c", "copilot", "c/mcp-config.json"),
        ("HERMES_HOME", "c", "hermes", "c/config.yaml"),
        ("XDG_CONFIG_HOME", "c", "opencode", "c/opencode/opencode.json"),
        ("XDG_CONFIG_HOME", "c", "vscode", "c/Code/User/mcp.json"),
    ] {
        let env = Env::new();
        let folder = env.path(folder);
        let env = env.with_variable(variable, folder.to_str().unwrap());
        let machine = Machine { env };
        machine.rows(&["--host", host]);
        assert!(machine.env.path(file).is_file(), "{variable}");
    }
}

#[test]
fn opencode_keeps_the_file_that_it_has() {
    let machine = Machine::new();
    let text = "{\n  // mine\n}\n";
    let commented = machine.put(".config/opencode/opencode.jsonc", text);
    let edited = |options: &[&str], state: &str, file: &Path| {
        let row = &machine.rows(options)[0];
        assert_eq!((&row["file"], &row["state"]), (&json!(file), &json!(state)), "{options:?}");
    };
    edited(&[], "added", &commented);
    // The entry is found again when the other file comes to be.
    let plain = machine.put(".config/opencode/opencode.json", "{}\n");
    edited(&[], "already", &commented);
    edited(&["--local"], "updated", &commented);
    edited(&["--remove"], "removed", &commented);
    assert_eq!(fs::read_to_string(&commented).unwrap(), text);
    // Without an entry the one that OpenCode makes itself counts.
    edited(&["--remove"], "absent", &plain);
    edited(&[], "added", &plain);
    fs::write(&commented, "{").unwrap();
    edited(&[], "already", &plain);
    edited(&["--remove"], "removed", &plain);
}

#[test]
fn a_hub_goes_into_the_entry_and_a_later_run_changes_it() {
    let machine = Machine::new();
    let file = machine.put(".codex/config.toml", "model = \"x\"\n");
    let arguments = |file: &Path| {
        let text = fs::read_to_string(file).unwrap();
        text.lines().find_map(|line| line.strip_prefix("args = ").map(str::to_owned)).unwrap()
    };
    let url = "wss://hub.example:7419";
    for (options, state, expected) in [
        (vec![], "added", "[\"mcp\"]"),
        (vec!["--local"], "updated", "[\"--hub\", \"local\", \"mcp\"]"),
        (vec!["--hub", "local"], "already", "[\"--hub\", \"local\", \"mcp\"]"),
        (vec!["--hub", url], "updated", "[\"--hub\", \"wss://hub.example:7419\", \"mcp\"]"),
        // Without one, what is in the entry stays.
        (vec![], "already", "[\"--hub\", \"wss://hub.example:7419\", \"mcp\"]"),
    ] {
        assert_eq!(machine.rows(&options)[0]["state"], state, "{options:?}");
        assert_eq!(arguments(&file), expected);
    }
    // The copy is still the file without the entry, so that taking it out finds back to it.
    assert_eq!(fs::read_to_string(file.with_extension("toml.parler-backup")).unwrap(), "model = \"x\"\n");
    machine.rows(&["--remove"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "model = \"x\"\n");
    for wrong in [["--hub", "example.org"], ["--hub", "http://x"], ["--local", "--hub=local"]] {
        assert_eq!(machine.connect(&wrong).code, Some(129), "{wrong:?}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "model = \"x\"\n");
}

#[test]
fn a_dry_run_shows_the_difference_and_what_is_said_afterwards_tells_what_to_do() {
    let machine = Machine::new();
    machine.put(".gemini/settings.json", "{\n    // mine\n    \"ui\": {\"theme\": \"x\"}\n}\n");
    machine.put(".codex/config.toml", "model = \"x\"");
    let root = machine.env.root().to_str().unwrap().to_owned();
    let shown = |run: Run| {
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        format!("{}--- stderr\n{}", run.stdout, run.stderr).replace(&root, "[root]")
    };
    insta::assert_snapshot!(shown(machine.connect(&["--dry-run"])), @r#"
    Codex: would be added to [root]/home/.codex/config.toml
    --- [root]/home/.codex/config.toml
    +++ [root]/home/.codex/config.toml
    @@ -1 +1,5 @@
    -model = "x"
    \ No newline at end of file
    +model = "x"
    +
    +[mcp_servers.parler]
    +command = "git-parler"
    +args = ["mcp"]
    \ No newline at end of file
    Gemini CLI: would be added to [root]/home/.gemini/settings.json
    --- [root]/home/.gemini/settings.json
    +++ [root]/home/.gemini/settings.json
    @@ -1,4 +1,10 @@
     {
         // mine
    -    "ui": {"theme": "x"}
    +    "ui": {"theme": "x"},
    +    "mcpServers": {
    +        "parler": {
    +            "command": "git-parler",
    +            "args": ["mcp"]
    +        }
    +    }
     }
    --- stderr
    "#);
    insta::assert_snapshot!(shown(machine.connect(&[])), @r#"
    Codex: added to [root]/home/.codex/config.toml
    Gemini CLI: added to [root]/home/.gemini/settings.json
    --- stderr
      as it was before: [root]/home/.codex/config.toml.parler-backup
    hint: start Codex anew; it hands few variables to servers, so where PARLER_HOME, XDG_DATA_HOME or another one that git-parler reads is set, name it in `[mcp_servers.parler]`: env_vars = ["PARLER_HOME", "XDG_DATA_HOME"]
      as it was before: [root]/home/.gemini/settings.json.parler-backup
    hint: start Gemini CLI anew, and trust the folder you work in: it starts no server in one that is not trusted; `gemini mcp list` shows `parler`; variables that are named like a secret it keeps to itself, so set them in the entry: "env": { "PARLER_SESSION_KEY": "<key>" }
    "#);
    insta::assert_snapshot!(shown(machine.connect(&["--remove", "-n"])), @r#"
    Codex: would be removed from [root]/home/.codex/config.toml
    --- [root]/home/.codex/config.toml
    +++ [root]/home/.codex/config.toml
    @@ -1,5 +1 @@
    -model = "x"
    -
    -[mcp_servers.parler]
    -command = "git-parler"
    -args = ["mcp"]
    \ No newline at end of file
    +model = "x"
    \ No newline at end of file
    Gemini CLI: would be removed from [root]/home/.gemini/settings.json
    --- [root]/home/.gemini/settings.json
    +++ [root]/home/.gemini/settings.json
    @@ -1,10 +1,4 @@
     {
         // mine
    -    "ui": {"theme": "x"},
    -    "mcpServers": {
    -        "parler": {
    -            "command": "git-parler",
    -            "args": ["mcp"]
    -        }
    -    }
    +    "ui": {"theme": "x"}
     }
    --- stderr
    "#);
}

#[test]
fn neither_a_key_nor_a_permission_is_written() {
    let env = Env::new()
        .with_variable("PARLER_SESSION_KEY", "gp1-secret")
        .with_variable("PARLER_HUB", "ws://127.0.0.1:1");
    let machine = Machine { env };
    for (host, _, file) in HOSTS {
        machine.rows(&["--host", host]);
        let text = fs::read_to_string(machine.home(file)).unwrap().to_lowercase();
        for word in ["gp1-", "session", "env", "127.0.0.1", "allow", "approv", "trust", "permission"] {
            assert!(!text.contains(word), "{host}: {word}");
        }
    }
}

#[test]
fn an_entry_of_a_person_stays_what_it_is() {
    let machine = Machine::new();
    // As `claude mcp add parler -e PARLER_SESSION_KEY=… -- git-parler mcp` writes it.
    let theirs = "{\n  \"mcpServers\": {\n    \"parler\": {\n      \"type\": \"stdio\",\n      \"command\": \"git-parler\",\n      \
                  \"args\": [\n        \"mcp\"\n      ],\n      \"env\": {\n        \"PARLER_SESSION_KEY\": \"gp1-x\"\n      }\n    }\n  },\n  \
                  \"userID\": \"u\"\n}";
    let file = machine.put(".claude.json", theirs);
    assert_eq!(machine.states(&[]), ["claude-code already"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), theirs);
    assert_eq!(machine.states(&["--local"]), ["claude-code updated"]);
    let expected = theirs.replace("[\n        \"mcp\"\n      ]", "[\"--hub\", \"local\", \"mcp\"]");
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    assert_eq!(machine.states(&["--remove"]), ["claude-code removed"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\n  \"mcpServers\": {},\n  \"userID\": \"u\"\n}");
}

#[test]
fn an_entry_that_is_switched_off_is_said_to_be() {
    let machine = Machine::new();
    let text = "{\"mcp\": {\"parler\": {\"type\": \"local\", \"command\": [\"git-parler\", \"mcp\"], \"enabled\": false}}}\n";
    let file = machine.put(".config/opencode/opencode.json", text);
    let hint = "hint: the entry is switched off in there, by `enabled` or `disabled`: the host starts nothing before that is changed\n";
    for options in [&[][..], &["--dry-run"]] {
        let stdout = format!("OpenCode: already in {}\n", file.display());
        assert_eq!(machine.connect(options), Run { code: Some(0), stdout, stderr: hint.to_owned() });
    }
    assert_eq!(machine.connect(&["--local"]).stderr.lines().last(), hint.lines().last());
    assert_eq!(machine.connect(&["--remove"]).code, Some(0));
}
