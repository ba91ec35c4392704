//! What no compiler looks at: the size and shape of files, words that have no place here, who prints, and that
//! documents say what the code does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 500;

/// Split, so that this file does not find itself.
const UNFINISHED: [&str; 11] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[ig", "nore"),
    concat!("allow(dead", "_code)"),
    concat!("for ", "now"),
    concat!("not yet ", "implemented"),
    concat!("place", "holder"),
    concat!("dbg", "!("),
];

const PRINTS: [&str; 6] = ["println!(", "eprintln!(", " print!(", "eprint!(", "io::stdout(", "io::stderr("];

const EMPTY_NAMES: [&str; 8] = ["util", "utils", "helper", "helpers", "manager", "misc", "common", "data"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_path_buf()
}

/// Every file of the project with one of these extensions, except what was built or is hidden.
fn files(extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the project") {
            let path = entry.expect("an entry of a folder").path();
            let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && (!name.starts_with('.') || name == ".ci") {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|own| extensions.iter().any(|other| own == *other)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a file of the project is text")
}

/// The path as the project writes it.
fn named(path: &Path) -> String {
    path.strip_prefix(root()).expect("a file of the project").display().to_string()
}

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_source_says_in_its_first_line_what_it_is() {
    let wrong = files(&["rs"]).into_iter().filter(|path| !read(path).starts_with("//! "));
    none(&wrong.map(|path| named(&path)).collect::<Vec<_>>());
}

#[test]
fn a_source_says_what_it_is_in_at_most_eight_lines_unless_it_is_a_crate() {
    let long = |path: &PathBuf| read(path).lines().take_while(|line| line.starts_with("//!")).count() > 8;
    let is_crate = |path: &PathBuf| path.ends_with("src/lib.rs");
    let wrong = files(&["rs"]).into_iter().filter(|path| !is_crate(path) && long(path));
    none(&wrong.map(|path| named(&path)).collect::<Vec<_>>());
}

#[test]
fn no_file_is_longer_than_a_person_reads() {
    let is_excused = |text: &str| text.lines().any(|line| line.starts_with("//! Long because "));
    let is_long = |text: &str| text.lines().count() > LINES_MAX && !is_excused(text);
    let wrong = files(&["rs"]).into_iter().filter(|path| is_long(&read(path)));
    none(&wrong.map(|path| named(&path)).collect::<Vec<_>>());
}

#[test]
fn no_file_is_empty() {
    let has_content = |path: &PathBuf| {
        let text = read(path);
        text.lines().any(|line| !line.trim().is_empty() && !line.starts_with("//"))
    };
    let wrong = files(&["rs", "md", "toml", "sql", "txt"]).into_iter().filter(|path| !has_content(path));
    none(&wrong.map(|path| named(&path)).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    let mut wrong = Vec::new();
    for path in files(&["rs", "md", "toml", "sh", "sql", "txt"]) {
        for (number, line) in read(&path).lines().enumerate() {
            let said = UNFINISHED.iter().filter(|word| line.contains(**word));
            wrong.extend(said.map(|word| format!("{}:{}: {word}", named(&path), number + 1)));
        }
    }
    none(&wrong);
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    let says_nothing = |path: &PathBuf| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        EMPTY_NAMES.contains(&stem.as_str())
    };
    let wrong = files(&["rs"]).into_iter().filter(says_nothing);
    none(&wrong.map(|path| named(&path)).collect::<Vec<_>>());
}

#[test]
fn only_the_printer_prints() {
    let mut wrong = Vec::new();
    for path in files(&["rs"]) {
        let name = named(&path);
        let is_printer = name.starts_with("git-parler/src/ui.rs") || name.starts_with("git-parler/src/ui/");
        let is_no_product =
            ["tests/", "/examples/", "/benches/", "/tests"].iter().any(|part| name.contains(part));
        if is_printer || is_no_product {
            continue;
        }
        for (number, line) in read(&path).lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            if !is_comment && PRINTS.iter().any(|print| line.contains(print)) {
                wrong.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    none(&wrong);
}

#[test]
fn every_shared_dependency_is_used_and_says_why_it_is_here() {
    let manifest = read(&root().join("Cargo.toml"));
    let section = manifest.split("[workspace.dependencies]").nth(1).expect("dependencies stand at the root");
    let section = section.split("\n[").next().unwrap_or_default();
    let crates: Vec<String> = files(&["toml"]).iter().skip(1).map(|path| read(path)).collect();
    let mut has_reason = false;
    let mut wrong = Vec::new();
    for line in section.lines() {
        if line.is_empty() {
            has_reason = false;
        } else if line.starts_with('#') {
            has_reason = true;
        } else if let Some((name, _)) = line.split_once(" = ") {
            if !has_reason {
                wrong.push(format!("{name} has no reason above it"));
            }
            if !crates.iter().any(|text| text.contains(&format!("\n{name}.workspace = true"))) {
                wrong.push(format!("{name} is used by no crate"));
            }
        }
    }
    none(&wrong);
}

#[test]
fn the_table_of_limits_in_the_document_is_the_one_of_the_code() {
    let path = root().join("docs/PROTOCOL.md");
    if !path.exists() {
        return;
    }
    let document = read(&path);
    let mut wrong = Vec::new();
    for limit in protocol::limits::Limits::TABLE {
        let row = format!("| `{}` | {} | {} |", limit.name, limit.about, shown(limit.default, limit.unit));
        if !document.contains(&row) {
            wrong.push(row);
        }
    }
    none(&wrong);
}

/// A value as documents write it: in the largest unit that it is a whole number of.
fn shown(value: u64, unit: protocol::limits::Unit) -> String {
    let steps: &[(u64, &str)] = match unit {
        protocol::limits::Unit::Count => &[],
        protocol::limits::Unit::Bytes => {
            &[(1 << 30, " GiB"), (1 << 20, " MiB"), (1 << 10, " KiB"), (1, " bytes")]
        }
        protocol::limits::Unit::Seconds => &[(3600, " h"), (60, " min"), (1, " s")],
    };
    let step = steps.iter().find(|(size, _)| value >= *size && value.is_multiple_of(*size));
    step.map_or_else(|| value.to_string(), |(size, name)| format!("{}{name}", value / size))
}

#[test]
fn every_sentence_about_security_names_tests_that_exist() {
    let path = root().join("docs/SECURITY.md");
    if !path.exists() {
        return;
    }
    let tests: BTreeSet<String> = files(&["rs"])
        .iter()
        .flat_map(|path| {
            let text = read(path);
            let names = text.lines().filter_map(|line| {
                let line = line.trim_start().trim_start_matches("async ");
                line.strip_prefix("fn ")?.split('(').next().map(str::to_owned)
            });
            names.collect::<Vec<_>>()
        })
        .collect();
    let mut wrong = Vec::new();
    for row in read(&path).lines().filter(|line| line.starts_with('|')).skip(2) {
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let named: Vec<_> = last.split('`').skip(1).step_by(2).collect();
        let is_kept = !named.is_empty() && named.iter().all(|name| tests.contains(*name));
        if !is_kept {
            wrong.push(row.to_owned());
        }
    }
    none(&wrong);
}

/// The error types of a source that other crates can see, or that commands of the binary return.
fn errors(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for after in text.split("#[derive(").skip(1) {
        let (derived, item) = after.split_once(")]").unwrap_or((after, ""));
        let is_error = derived.split(',').any(|name| name.trim().ends_with("Error"));
        let declared =
            item.lines().map(str::trim).find(|line| line.contains("enum ") || line.contains("struct "));
        let words: Vec<_> = declared.unwrap_or_default().split_whitespace().collect();
        if let (true, [visible, _, name, ..]) = (is_error, words.as_slice())
            && visible.starts_with("pub")
        {
            found.push(format!("{visible} {}", name.trim_end_matches(['{', ';', '('])));
        }
    }
    found
}

#[test]
fn every_error_of_every_crate_has_a_row_without_a_wildcard() {
    let rows = files(&["rs"]).into_iter().filter(|path| named(path).starts_with("git-parler/src/error/"));
    let rows: Vec<(String, String)> = rows.map(|path| (named(&path), read(&path))).collect();
    let mut wrong = Vec::new();
    for path in files(&["rs"]) {
        let name = named(&path);
        let Some((owner, _)) = name.split_once("/src/") else { continue };
        let is_ours = owner == "git-parler";
        for error in errors(&read(&path)) {
            let (visible, error) = error.split_once(' ').expect("two words");
            if visible != "pub" && !is_ours {
                continue;
            }
            // Within the binary every module calls its error `Error`; elsewhere the name says which it is.
            let module = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let wanted = if is_ours { format!("{module}::{error}") } else { error.to_owned() };
            let file = format!("git-parler/src/error/{}.rs", if is_ours { "rows" } else { owner });
            let row = format!("impl Report for {wanted} {{");
            let qualified = format!("impl Report for {owner}::{error} {{");
            let has_row = rows
                .iter()
                .any(|(name, text)| *name == file && (text.contains(&row) || text.contains(&qualified)));
            if !has_row {
                wrong.push(format!("{file}: {row}"));
            }
        }
    }
    for (name, text) in &rows {
        let bodies = text.split("fn code(&self)").skip(1).filter_map(|after| after.split("\n    }\n").next());
        wrong.extend(bodies.filter(|body| body.contains("_ =>")).map(|_| format!("{name}: a wildcard")));
    }
    none(&wrong);
}

#[test]
fn every_link_within_the_documents_leads_somewhere() {
    let mut wrong = Vec::new();
    for path in files(&["md"]) {
        let text = read(&path);
        for target in text.split("](").skip(1).filter_map(|after| after.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            let is_ours = !target.is_empty() && !target.contains("://");
            if is_ours && !path.parent().expect("a file lies in a folder").join(target).exists() {
                wrong.push(format!("{}: {target}", named(&path)));
            }
        }
    }
    none(&wrong);
}

/// Where the packages for agent hosts are, and what in them is JSON.
const PACKAGE: &str = "packages/parler";
const MARKETPLACE: &str = ".claude-plugin/marketplace.json";
const PLUGIN: &str = "packages/parler/.claude-plugin/plugin.json";
const PLUGIN_SERVERS: &str = "packages/parler/.mcp.json";
const EXTENSION: &str = "packages/parler/gemini-extension.json";
const SKILL: &str = "packages/parler/skills/parler/SKILL.md";

fn json(name: &str) -> serde_json::Value {
    serde_json::from_str(&read(&root().join(name))).expect("a package's file is JSON")
}

#[test]
fn packages_for_hosts_have_the_version_of_the_workspace() {
    for name in [PLUGIN, EXTENSION] {
        assert_eq!(json(name)["version"], env!("CARGO_PKG_VERSION"), "{name}");
    }
}

#[test]
fn packages_for_hosts_have_one_name_and_start_one_server() {
    let (plugin, extension) = (json(PLUGIN), json(EXTENSION));
    let listed = &json(MARKETPLACE)["plugins"][0];
    assert_eq!(listed["source"], format!("./{PACKAGE}"));
    for other in [&plugin, &extension] {
        assert_eq!((&other["name"], &other["description"]), (&listed["name"], &listed["description"]));
    }
    let server = serde_json::json!({ "command": "git-parler", "args": ["mcp"] });
    assert_eq!(json(PLUGIN_SERVERS)["mcpServers"], serde_json::json!({ "parler": server }));
    // Gemini CLI keeps from a server what looks secret, unless it is named.
    let mut server = server;
    server["env"] = serde_json::json!({ "PARLER_SESSION_KEY": "${PARLER_SESSION_KEY:-}" });
    assert_eq!(extension["mcpServers"], serde_json::json!({ "parler": server }));
}

#[test]
fn the_skill_is_short_and_says_what_the_format_of_skills_asks_for() {
    let text = read(&root().join(SKILL));
    assert!(text.lines().count() < 60, "{}", text.lines().count());
    let front =
        text.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n")).map(|(front, _)| front);
    let fields: Vec<_> =
        front.into_iter().flat_map(str::lines).filter_map(|line| line.split_once(": ")).collect();
    let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["name", "description", "license", "compatibility"]);
    assert_eq!(fields[0].1, "parler", "a skill is named as its folder");
    assert!(fields[1].1.chars().count() <= 1024 && fields[3].1.chars().count() <= 500);
    // Unquoted, so that what YAML reads otherwise must not stand in it.
    assert!(fields.iter().all(|(_, value)| !value.contains(": ") && !value.contains(" #")));
}

#[test]
fn the_skill_names_only_tools_that_exist() {
    let sources = files(&["rs"]).into_iter().filter(|path| named(path).starts_with("mcp/src/tools/"));
    let declared: String = sources.map(|path| read(&path)).collect();
    let tools: BTreeSet<&str> =
        declared.split("name = \"").skip(1).filter_map(|after| after.split('"').next()).collect();
    assert!(tools.contains("parler_push"), "{tools:?}");
    let text = read(&root().join(SKILL));
    let is_of_a_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let said = text.split(|letter| !is_of_a_name(letter)).filter(|word| word.starts_with("parler_"));
    let wrong: Vec<_> = said.filter(|word| !tools.contains(word)).map(str::to_owned).collect();
    none(&wrong);
}
