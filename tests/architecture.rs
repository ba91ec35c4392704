//! Who may know whom: the arrows between the crates, what of the world each crate may reach, directly and through
//! others, and that nothing but its own folder reads what it should not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A crate, the crates of ours that it may use, and libraries that it must not reach by any way.
const ARROWS: [(&str, &[&str], &[&str]); 9] = [
    (
        "protocol",
        &[],
        &["tokio", "mio", "gix", "rusqlite", "clap", "getrandom", "tempfile", "tracing", "rustls"],
    ),
    ("bundle", &[], &["tokio", "mio", "rusqlite", "clap", "ed25519-dalek", "tokio-tungstenite", "rustls"]),
    ("client", &["protocol"], &["gix", "gix-pack", "rusqlite", "clap"]),
    ("hub", &["protocol"], &["gix", "gix-pack", "clap", "rustls"]),
    ("hooks", &[], &["tokio", "mio", "gix", "gix-pack", "rusqlite", "clap"]),
    // Never to apply is a fact of the graph: from here no way leads to where importing lives.
    ("mcp", &["protocol", "client"], &["bundle", "gix", "gix-pack", "gix-odb", "rusqlite", "hub", "clap"]),
    ("git-parler", &["protocol", "bundle", "client", "hooks", "hub", "mcp"], &[]),
    ("kit", &["protocol", "bundle", "client", "hub"], &["clap"]),
    ("fuzz", &[], &["clap"]),
];

/// What the product code of a crate never says.
const UNSPOKEN: [(&str, &[&str]); 6] = [
    (
        "protocol",
        &["std::fs", "std::net", "std::process", "std::env", "SystemTime", "Instant::now", "std::thread"],
    ),
    ("bundle", &["std::net", "process::Command", "Command::new", "std::env", "io::stdout", "io::stderr"]),
    ("client", &["process::Command", "Command::new", "std::env", "io::stdout", "io::stderr"]),
    ("hub", &["process::Command", "Command::new", "std::env", "io::stdout", "io::stderr"]),
    ("hooks", &["process::Command", "Command::new", "std::env", "std::net", "io::stdout", "io::stderr"]),
    (
        "mcp",
        &[
            "process",
            "Command::new",
            "std::env",
            "std::fs",
            "tokio::fs",
            "std::net",
            "io::stdout",
            "io::stderr",
        ],
    ),
];

struct Graph {
    names: BTreeMap<String, String>,
    needs: BTreeMap<String, Vec<String>>,
    members: Vec<Value>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_path_buf()
}

fn output(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).current_dir(root()).output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn text(value: &Value) -> String {
    value.as_str().expect("cargo writes text here").to_owned()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().expect("cargo writes a list here").clone()
}

/// Reads what cargo resolved for this platform; test-only dependencies are no arrows.
fn graph() -> Graph {
    let version = String::from_utf8(output("rustc", &["-vV"])).expect("rustc writes text");
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host];
    let metadata: Value =
        serde_json::from_slice(&output(env!("CARGO"), &arguments)).expect("cargo writes JSON");
    let names = list(&metadata["packages"]).iter().map(|p| (text(&p["id"]), text(&p["name"]))).collect();
    let needs = list(&metadata["resolve"]["nodes"]).into_iter().map(|node| {
        let normal = list(&node["deps"])
            .into_iter()
            .filter(|need| list(&need["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()));
        (text(&node["id"]), normal.map(|need| text(&need["pkg"])).collect())
    });
    let needs = needs.collect();
    let ids: BTreeSet<String> = list(&metadata["workspace_members"]).iter().map(text).collect();
    let members = list(&metadata["packages"]).into_iter().filter(|p| ids.contains(&text(&p["id"]))).collect();
    Graph { names, needs, members }
}

impl Graph {
    fn id(&self, name: &str) -> &str {
        let found = self.members.iter().find(|member| member["name"] == name);
        found.and_then(|member| member["id"].as_str()).expect("the table names members of the workspace")
    }

    fn direct(&self, name: &str) -> BTreeSet<&str> {
        self.needs[self.id(name)].iter().map(|id| self.names[id].as_str()).collect()
    }

    fn reachable(&self, name: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut open = vec![self.id(name)];
        while let Some(id) = open.pop() {
            for need in &self.needs[id] {
                if found.insert(need.as_str()) {
                    open.push(need);
                }
            }
        }
        found.into_iter().map(|id| self.names[id].as_str()).collect()
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The text of a file without its tests, which may do what product code may not, and without comments.
fn product_code(path: &Path, test_modules: &BTreeSet<PathBuf>) -> String {
    if test_modules.iter().any(|module| path.starts_with(module) || path.with_extension("") == *module) {
        return String::new();
    }
    let text = std::fs::read_to_string(path).expect("a source is text");
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" {
            // The item ends where a line without indentation closes it.
            lines.by_ref().find(|line| *line == "}" || (line.ends_with(';') && !line.starts_with(' ')));
        } else if !line.trim_start().starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

/// The modules declared as `#[cfg(test)] mod name;`, as paths without extension.
fn test_modules(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for path in files {
        let text = std::fs::read_to_string(path).expect("a source is text");
        let folder = match path.file_name().and_then(|name| name.to_str()) {
            Some("lib.rs" | "main.rs" | "mod.rs") => {
                path.parent().expect("a file lies in a folder").to_path_buf()
            }
            _ => path.with_extension(""),
        };
        for after in text.split("#[cfg(test)]\n").skip(1) {
            let line = after.lines().next().unwrap_or_default();
            let name =
                line.trim_start_matches("pub(crate) ").strip_prefix("mod ").and_then(|m| m.strip_suffix(';'));
            found.extend(name.map(|name| folder.join(name)));
        }
    }
    found
}

#[test]
fn the_table_names_every_crate() {
    let graph = graph();
    let members: BTreeSet<_> = graph.members.iter().map(|member| text(&member["name"])).collect();
    let table: BTreeSet<_> = ARROWS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(members, table);
}

#[test]
fn crates_use_only_what_the_arrows_allow() {
    let graph = graph();
    for (name, allowed, _) in ARROWS {
        let ours =
            graph.direct(name).into_iter().filter(|need| ARROWS.iter().any(|(other, ..)| other == need));
        let wrong: Vec<_> = ours.filter(|need| !allowed.contains(need)).collect();
        assert!(wrong.is_empty(), "{name} uses {wrong:?}");
    }
}

#[test]
fn crates_reach_nothing_that_they_never_may() {
    let graph = graph();
    for (name, _, never) in ARROWS {
        let reachable = graph.reachable(name);
        let wrong: Vec<_> = never.iter().filter(|other| reachable.contains(**other)).collect();
        assert!(wrong.is_empty(), "{name} reaches {wrong:?}");
    }
}

#[test]
fn the_mcp_server_alone_turns_on_nothing_that_starts_processes() {
    let arguments = ["tree", "-p", "mcp", "-e", "features,normal", "-i", "tokio", "--locked", "--offline"];
    let tree = String::from_utf8(output(env!("CARGO"), &arguments)).expect("cargo writes text");
    assert!(tree.contains("tokio feature \"io-util\""), "{tree}");
    assert!(
        !tree.contains("tokio feature \"process\"") && !tree.contains("tokio feature \"full\""),
        "{tree}"
    );
}

#[test]
fn the_lints_of_a_crate_of_its_own_begin_with_those_of_all() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("a list of lints");
    assert!(read("mcp/clippy.toml").starts_with(&read("clippy.toml")));
}

#[test]
fn product_code_never_says_what_its_crate_must_not_do() {
    let mut wrong = Vec::new();
    for (name, words) in UNSPOKEN {
        let mut files = Vec::new();
        sources(&root().join(name).join("src"), &mut files);
        let tests = test_modules(&files);
        for path in &files {
            let code = product_code(path, &tests);
            let said = words.iter().filter(|word| code.contains(**word));
            wrong.extend(said.map(|word| format!("{} says {word}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
