//! Configuration files as people have them: after `connect` only our entry is different, after `connect --remove` no byte is.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use jsonc_parser::ast;
use kit::Snapshot;
use saphyr_parser::{Parser, StrInput};
use serde_json::{Map, Value, json};

use crate::connect::{HOSTS, Machine};

/// A file for hosts that read JSON; `SERVERS` stands for the name of the map of servers. What else there is of texts, the tests
/// of `connect::edit` have.
const JSON: &str = "\u{feff}// of the house\r\n{\r\n  // mine\r\n  \"a\": \"\\u00e9 é \\\" // no comment\", // one\r\n  \"n\": [1e400, -0, 2.50],\r\n  \"SERVERS\": {\r\n    \"x\": {\"command\": \"x\"}, // the first\r\n    /* \"y\": {} */\r\n  },\r\n  \"projects\": {\"/p\": {\"SERVERS\": {\"parler\": {\"command\": \"else\"}}}}\r\n}\r\n// end";

const TOML: &str = "model = \"o3\" # pick\n\n[mcp_servers.x] # keep\ncommand = \"x\"   # why\nargs = [\n  \"a\", # one\n]\n\n\n[[hooks]]\nat = 1979-05-27T07:32:00Z\n\n[[hooks]]\nat = \"\"\"\ntext\n\"\"\"\n\n\n[projects.\"/p\"]\ntrust_level = \"trusted\"\n";

const YAML: &str = "---\nmodel: &anchor\n  default: x   # pick\nother: *anchor\n\nmcp_servers:\n    # the clock\n    time:\n        command: 'uvx'\n        args:\n        - é\n        - b\n\nsay: |+\n  kept\n\n\n";

#[test]
fn adding_changes_our_entry_alone_and_removing_changes_nothing() {
    for (host, _, file) in HOSTS {
        let text = match file.rsplit('.').next() {
            Some("toml") => TOML,
            Some("yaml") => YAML,
            _ => JSON,
        };
        there_and_back(host, file, &text.replace("SERVERS", container(host)));
    }
}

fn there_and_back(host: &str, file: &str, text: &str) {
    let machine = Machine::new();
    let path = machine.put(file, text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("an own file");
    let before = Snapshot::of(machine.env.home());
    let row = &machine.rows(&["--host", host])[0];
    assert_eq!(row["state"], "added", "{host}: {text:?}");
    let backup = format!("{}.parler-backup", path.display());
    assert_eq!(row["backup"], json!(backup));
    assert_eq!(fs::read_to_string(&backup).expect("a backup"), text);
    for file in [path.to_str().expect("a path in text"), &backup] {
        assert_eq!(fs::metadata(file).expect("a file").mode() & 0o7777, 0o640, "{file}");
    }
    let with = fs::read_to_string(&path).expect("a file");
    let mut said = read(file, &with);
    let servers = said[container(host)].as_object_mut().expect("a map of servers");
    let entry = servers.shift_remove("parler").expect("our entry");
    let command = entry["command"].as_str().or(entry["command"][0].as_str()).expect("a command");
    assert!(command == "git-parler" || command == crate::PROGRAM, "{entry}");
    assert_eq!(said, read(file, text), "{host}: {text:?}");
    assert_eq!(machine.rows(&["--host", host, "--remove"])[0]["state"], "removed");
    assert_eq!(fs::read_to_string(&path).expect("a file"), text, "{host}: {with}");
    assert_eq!(before.differences(), [""; 0], "{host}: {text:?}");
}

fn container(host: &str) -> &'static str {
    match host {
        "codex" | "hermes" => "mcp_servers",
        "opencode" => "mcp",
        "vscode" => "servers",
        _ => "mcpServers",
    }
}

/// Reads a file by the parser of its format that the program has too, and says by itself what is the same: what the parser
/// reads wrongly is not seen here.
fn read(file: &str, text: &str) -> Value {
    let value = match file.rsplit('.').next() {
        Some("toml") => table(toml_edit::Document::parse(text).expect("TOML").as_table()),
        Some("yaml") => yaml(&mut Parser::new_from_str(text)).unwrap_or(Value::Null),
        _ => {
            let text = text.trim_start_matches('\u{feff}');
            let parsed =
                jsonc_parser::parse_to_ast(text, &Default::default(), &Default::default()).expect("JSON");
            parsed.value.map_or(Value::Null, json_value)
        }
    };
    if value.is_null() { json!({}) } else { value }
}

fn json_value(value: ast::Value<'_>) -> Value {
    match value {
        ast::Value::Object(object) => {
            let pairs = object.properties.into_iter();
            Value::Object(pairs.map(|pair| (pair.name.into_string(), json_value(pair.value))).collect())
        }
        ast::Value::Array(array) => Value::Array(array.elements.into_iter().map(json_value).collect()),
        ast::Value::StringLit(text) => json!(text.value),
        ast::Value::NumberLit(number) => json!({ "number": number.value }),
        ast::Value::BooleanLit(boolean) => json!(boolean.value),
        ast::Value::NullKeyword(_) => Value::Null,
    }
}

fn table(table: &dyn toml_edit::TableLike) -> Value {
    Value::Object(table.iter().map(|(name, item)| (name.to_owned(), item_value(item))).collect())
}

fn item_value(item: &toml_edit::Item) -> Value {
    use toml_edit::{Item, Value as Toml};
    match item {
        Item::Table(inner) => table(inner),
        Item::ArrayOfTables(tables) => Value::Array(tables.iter().map(|inner| table(inner)).collect()),
        Item::Value(Toml::InlineTable(inner)) => table(inner),
        Item::Value(Toml::Array(items)) => {
            Value::Array(items.iter().map(|item| item_value(&Item::Value(item.clone()))).collect())
        }
        Item::Value(Toml::String(text)) => json!(text.value()),
        Item::Value(other) => json!(format!("{other:?}").split("decor").next()),
        Item::None => Value::Null,
    }
}

fn yaml(events: &mut Parser<'_, StrInput<'_>>) -> Option<Value> {
    use saphyr_parser::Event;
    match events.next()?.expect("YAML").0 {
        Event::Scalar(text, style, anchor, _) => Some(match (text.as_ref(), style) {
            ("" | "~", saphyr_parser::ScalarStyle::Plain) => Value::Null,
            (text, _) if anchor == 0 => json!(text),
            (text, _) => json!({ "anchor": anchor, "text": text }),
        }),
        Event::Alias(anchor) => Some(json!({ "alias": anchor })),
        Event::SequenceStart(..) => Some(Value::Array(std::iter::from_fn(|| yaml(events)).collect())),
        Event::MappingStart(..) => {
            let mut map = Map::new();
            while let Some(name) = yaml(events) {
                map.insert(name.as_str().expect("a name").to_owned(), yaml(events).expect("its value"));
            }
            Some(Value::Object(map))
        }
        Event::SequenceEnd | Event::MappingEnd | Event::StreamEnd => None,
        _ => yaml(events),
    }
}

#[test]
fn a_link_stays_a_link_and_what_it_leads_to_is_edited() {
    let machine = Machine::new();
    let text = "{\n  \"mcpServers\": {\"x\": {}}\n}\n";
    let target = machine.put("dotfiles/cursor.json", text);
    fs::create_dir_all(machine.home(".cursor")).unwrap();
    symlink("../dotfiles/cursor.json", machine.home(".cursor/mcp.json")).unwrap();
    let before = Snapshot::of(machine.env.home());
    let row = &machine.rows(&[])[0];
    assert_eq!(row["file"], json!(machine.home(".cursor/mcp.json")));
    assert_eq!(row["backup"], json!(format!("{}.parler-backup", target.display())));
    let changed = ["changed: dotfiles/cursor.json", "new: dotfiles/cursor.json.parler-backup"];
    assert_eq!(before.differences(), changed);
    machine.rows(&["--remove"]);
    assert_eq!(before.differences(), [""; 0]);
}

#[test]
fn what_a_link_leads_to_stays_where_only_the_entry_was_in_it() {
    let machine = Machine::new();
    let target =
        machine.put("dotfiles/c", "[mcp_servers.parler]\ncommand = \"git-parler\"\nargs = [\"mcp\"]\n");
    fs::create_dir_all(machine.home(".codex")).unwrap();
    symlink("../dotfiles/c", machine.home(".codex/config.toml")).unwrap();
    assert_eq!(machine.rows(&["--remove"])[0]["state"], "removed");
    assert_eq!(fs::read_to_string(machine.home(".codex/config.toml")).unwrap(), "");
    assert!(target.is_file());
}

#[test]
fn a_file_that_was_there_before_the_entry_stays() {
    let machine = Machine::new();
    let file = machine.put(".codex/config.toml", "model = \"x\"\n");
    machine.rows(&[]);
    let with = fs::read_to_string(&file).unwrap();
    fs::write(&file, with.strip_prefix("model = \"x\"\n\n").unwrap()).unwrap();
    assert_eq!(machine.rows(&["--remove"])[0]["state"], "removed");
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
    assert!(file.with_extension("toml.parler-backup").is_file());
}

#[test]
fn what_the_host_wrote_since_stays_when_the_entry_goes() {
    let machine = Machine::new();
    let file = machine.put(".claude.json", "{\n  \"numStartups\": 1\n}");
    machine.rows(&[]);
    let with = fs::read_to_string(&file).unwrap();
    fs::write(&file, with.replace("\"numStartups\": 1", "\"numStartups\": 2")).unwrap();
    let row = &machine.rows(&["--remove"])[0];
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\n  \"numStartups\": 2\n}");
    // The copy is of use still: it is another file than the one that is there.
    let backup = file.with_extension("json.parler-backup");
    assert_eq!(row["backup"], json!(backup));
    assert_eq!(fs::read_to_string(&backup).unwrap(), "{\n  \"numStartups\": 1\n}");
    // It is the file before the entry came in, whenever that was last.
    machine.rows(&[]);
    assert_eq!(fs::read_to_string(&backup).unwrap(), "{\n  \"numStartups\": 2\n}");
    machine.rows(&["--remove"]);
    assert!(!backup.exists());
}

#[test]
fn a_file_that_was_made_for_the_entry_stays_when_something_else_came_into_it() {
    let machine = Machine::new();
    fs::create_dir_all(machine.home(".gemini")).unwrap();
    machine.rows(&[]);
    let file = machine.home(".gemini/settings.json");
    let with = fs::read_to_string(&file).unwrap();
    fs::write(&file, with.replacen('{', "{\n  \"ui\": {},", 1)).unwrap();
    machine.rows(&["--remove"]);
    // Nothing tells any more whose the empty map is.
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\n  \"ui\": {},\n  \"mcpServers\": {}\n}\n");
}

#[test]
fn without_its_backup_a_file_still_loses_our_entry_alone() {
    let machine = Machine::new();
    let text = "{\r\n    \"mcpServers\": {\r\n        \"x\": {} // the first\r\n    }\r\n}\r\n";
    let file = machine.put(".cursor/mcp.json", text);
    machine.rows(&[]);
    let backup = file.with_extension("json.parler-backup");
    fs::remove_file(&backup).unwrap();
    let with = fs::read_to_string(&file).unwrap();
    machine.rows(&["--remove"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    // Every edit can be taken back.
    assert_eq!(fs::read_to_string(&backup).unwrap(), with);
}
