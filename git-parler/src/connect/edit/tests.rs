//! Texts as people have them, before and after.

use super::*;

const JSON: Shape = Shape { format: Format::Json, container: "mcpServers", entry: EntryForm::Plain };
const TOML: Shape = Shape { format: Format::Toml, container: "mcp_servers", entry: EntryForm::Plain };
const YAML: Shape = Shape { format: Format::Yaml, container: "mcp_servers", entry: EntryForm::Plain };

fn launch(command: &str, hub: Option<&str>) -> Launch {
    Launch { command: command.to_owned(), hub: hub.map(str::to_owned) }
}

fn ours() -> Launch {
    launch("git-parler", None)
}

fn added(shape: &Shape, text: &str) -> String {
    match shape.add(text, &ours()) {
        Ok(Addition::Added(with)) => with,
        other => panic!("{text:?}: {other:?}"),
    }
}

/// Adds and removes, with the backup and, where the text tells enough by itself, without it.
fn there_and_back(shape: &Shape, text: &str, without_backup: bool) {
    let with = added(shape, text);
    assert_eq!(shape.add(&with, &ours()), Ok(Addition::Already), "{with}");
    assert_eq!(shape.remove(&with, Some(text)), Ok(Removal::Restored(text.to_owned())), "{with}");
    if without_backup {
        assert_eq!(shape.remove(&with, None), Ok(Removal::Removed(text.to_owned())), "{with}");
    }
}

#[test]
fn adding_and_removing_gives_json_back() {
    for text in [
        "{\n  \"mcpServers\": {\n    \"x\": { \"command\": \"x\" }\n  }\n}\n",
        "{\n\t\"mcpServers\": {\n\t\t\"x\": {\n\t\t\t\"command\": \"x\"\n\t\t}\n\t},\n\t\"z\": 1\n}",
        "{\r\n    \"a\": [1, 2.50, 1e400],\r\n    \"mcpServers\": {\r\n        \"x\": {},\r\n    },\r\n}\r\n",
        "\u{feff}{\n  \"mcpServers\": {\n    \"x\": {} // the only one\n    // \"y\": {}\n  } /* all */\n} // end",
        "{\"mcpServers\":{\"x\":{\"command\":\"x\"}},\"y\":2}",
        "{ \"mcpServers\": { \"x\": { \"command\": \"x\" }, } }\n",
        "{\n  \"display\": \"\\ud83d\", \"\\udc00\": 1, \"\\udc01\": 2,\n  \"mcpServers\": {\n    \"x\": \"\\ud83d\"\n  }\n}\n",
        "{\n  \"mcpServers\": {\n    \"x\": {}, // one\n    /* two */\n  }\n}\n",
        "{\n         \"mcpServers\"   :\n    {\n   \"x\":{\"command\":\"x\"}\n }\n      }",
        "{\n  \"inputs\": [],\n  \"mcpServers\": {\n    \"parler-old\": {\"command\": \"parler\"}\n  }\n}\n",
    ] {
        there_and_back(&JSON, text, true);
    }
    for text in [
        "",
        "\n",
        "\u{feff}",
        "// mine\n",
        "/* mine */",
        "{}",
        "{ }\n",
        "{\n}\n",
        "{\"mcpServers\": {}}",
        "{\n  \"mcpServers\": {},\n  \"y\": 1\n}\n",
        "{\n  \"mcpServers\": {\n  }\n}\n",
        "{\n  \"other\": true\n}\n",
        "{\n  \"other\": true, // yes\n}\n",
        "{\"other\":true}",
        "{\n  // nothing yet\n}\n",
    ] {
        there_and_back(&JSON, text, false);
    }
}

#[test]
fn adding_and_removing_gives_toml_back() {
    for text in [
        "# mine\nmodel = \"o3\" # pick\n\n[mcp_servers.x] # keep\ncommand = \"x\"   # why\nargs = [\n  \"a\", # one\n]\n",
        "model = \"o3\"\n\n[projects.\"/p\"]\ntrust_level = \"trusted\"\n\n\n",
        "a = 1\r\n\r\n[b]\r\nc = 2\r\n",
        "a = 1\r\n[b]\r\nc = 2",
        "\u{feff}a = 1",
        "[mcp_servers]\nx = { command = \"x\" }\n",
        "[mcp_servers.x]\ncommand = \"x\"\n[mcp_servers.x.env]\nA = \"b\"\n",
        "[[list]]\na = 1\n[[list]]\na = 1979-05-27\n# end",
        "\n",
        "# nothing yet\n",
        "[mcp_servers]\nx = { command = \"x\", args = [] }\n\n[tui]\n\tnotifications = true\n",
    ] {
        there_and_back(&TOML, text, true);
    }
    there_and_back(&TOML, "", false);
    there_and_back(&TOML, "\u{feff}", false);
}

#[test]
fn adding_and_removing_gives_yaml_back() {
    for text in [
        "# mine\nmodel: x   # pick\n\nmcp_servers:\n  # the clock\n  time:\n    command: \"uvx\"\n    args: [\"mcp-server-time\"]\n\nlast: 1\n",
        "mcp_servers:\n    time:\n        command: uvx\n        args:\n        - é\n        - b\n",
        "mcp_servers: # all\r\n  time:\r\n    command: uvx\r\nlast: 1\r\n",
    ] {
        there_and_back(&YAML, text, true);
    }
    for text in [
        "",
        "# nothing\n",
        "\u{feff}",
        "\u{feff}a: 1\n",
        "mcp_servers:\n",
        "mcp_servers: # none\nlast: 1\n",
        "mcp_servers: {}\nlast: 1\n",
        "mcp_servers:   {}",
        "\u{feff}a: &anchor\n  b: 1\nc: *anchor\n",
        "model: x\nlist:\n- a\n- b: c\n  d: |\n    text\n\n    more\n",
        "text: |+\n  kept\n\n\n",
        "---\nmodel: x\n# end",
        "model: 'x'",
    ] {
        there_and_back(&YAML, text, false);
    }
}

#[test]
fn the_entry_stands_where_a_person_would_put_it() {
    for (shape, text, expected) in [
        (
            &JSON,
            "{\n\t\"mcpServers\": {\n\t\t\"x\": {} // one\n\t\t// two\n\t}\n}\n",
            "{\n\t\"mcpServers\": {\n\t\t\"x\": {}, // one\n\t\t\"parler\": {\n\t\t\t\"command\": \"git-parler\",\n\t\t\t\"args\": \
             [\"mcp\"]\n\t\t}\n\t\t// two\n\t}\n}\n",
        ),
        (
            &JSON,
            "{\"mcpServers\":{}}",
            "{\"mcpServers\":{\"parler\": {\"command\": \"git-parler\", \"args\": [\"mcp\"]}}}",
        ),
        (
            &JSON,
            "",
            "{\n  \"mcpServers\": {\n    \"parler\": {\n      \"command\": \"git-parler\",\n      \"args\": [\"mcp\"]\n    }\n  }\n}\n",
        ),
        (&TOML, "a = 1\n", "a = 1\n\n[mcp_servers.parler]\ncommand = \"git-parler\"\nargs = [\"mcp\"]\n"),
        (
            &YAML,
            "mcp_servers:\n    # the clock\n    time:\n      command: x\n",
            "mcp_servers:\n    parler:\n      command: \"git-parler\"\n      args: [\"mcp\"]\n    # the clock\n    time:\n      command: x\n",
        ),
        (
            &YAML,
            "model: x\n",
            "model: x\nmcp_servers:\n  parler:\n    command: \"git-parler\"\n    args: [\"mcp\"]\n",
        ),
    ] {
        assert_eq!(added(shape, text), expected);
    }
}

#[test]
fn what_is_not_plainly_written_is_left_alone() {
    let shape = |text| NotEditable::Shape(text);
    let map = shape("it is not a map of settings");
    let servers = shape("its servers are not a map");
    for (format, text, why) in [
        (&JSON, "[]", map.clone()),
        (&JSON, "{\"mcpServers\": []}", servers.clone()),
        (&JSON, "{\"mcpServers\": null}", servers.clone()),
        (
            &JSON,
            "// {\n/*",
            NotEditable::Syntax { line: Some(2), reason: "Unterminated comment block".to_owned() },
        ),
        (&JSON, "{\n\"a\": {\"b\": 1,\n\"b\": 2}}", NotEditable::Duplicate { name: "b".to_owned(), line: 3 }),
        (
            &TOML,
            "mcp_servers = { x = { command = \"x\" } }\n",
            shape("its servers are not written as tables of their own"),
        ),
        (&TOML, "mcp_servers = 1\n", servers),
        (&YAML, "- a\n", map),
        (&YAML, "{a: 1}\n", shape("it is not a mapping that is written as a block")),
        (
            &YAML,
            "mcp_servers: {x: {command: x}}\n",
            shape("its servers are not written as a block, line by line"),
        ),
        (&YAML, "a: 1\n---\nb: 1\n", shape("it holds several documents")),
        (&YAML, "a: 1\na: 2\n", NotEditable::Duplicate { name: "a".to_owned(), line: 2 }),
        (&YAML, "a: 1\n...\n", shape("it cannot be edited without changing something else in it")),
        (&YAML, "a: 1\rb: 2\r", shape("its lines end with returns alone")),
        // Without an end of line the text has none either, and adding one would change it.
        (&YAML, "a: |\n  text", shape("it cannot be edited without changing something else in it")),
    ] {
        assert_eq!(format.add(text, &ours()), Err(why), "{text}");
    }
}

#[test]
fn an_entry_is_known_by_what_it_starts() {
    for (words, is_ours) in [
        (vec!["git-parler", "mcp"], true),
        (vec!["/opt/bin/git-parler", "--hub", "wss://x", "mcp"], true),
        (vec!["git", "parler", "mcp"], true),
        (vec!["git-parler", "--hub=wss://x", "-q", "--no-progress", "mcp", "--new"], true),
        (vec!["git", "parler", "--room", "hub", "mcp"], true),
        (vec!["git-parler", "hub"], false),
        (vec!["git-parler", "hub", "--name", "mcp"], false),
        (vec!["git-parler", "--quiet", "send", "mcp"], false),
        (vec!["git-parler", "--hub", "mcp"], false),
        (vec!["git-parler", "--room", "mcp", "hub"], false),
        (vec!["git-parler", "--", "mcp"], false),
        (vec!["git-parler"], false),
        (vec!["git", "mcp"], false),
        (vec!["parler", "mcp"], false),
        (vec!["sh", "-c", "git-parler mcp"], false),
    ] {
        let mut all = words.iter().map(|word| (*word).to_owned());
        let line = CommandLine { command: all.next().unwrap(), arguments: all.collect() };
        assert_eq!(line.is_ours(), is_ours, "{words:?}");
    }
}

#[test]
fn an_update_changes_what_is_started_and_nothing_else() {
    let to = launch("git-parler", Some("local"));
    for (shape, text, expected) in [
        (
            &JSON,
            "{ \"mcpServers\": { \"parler\": { \"args\": [ \"mcp\" ], \"env\": { \"A\": \"b\" }, \"command\": \"/x/git-parler\" /* mine */ } } }",
            "{ \"mcpServers\": { \"parler\": { \"args\": [\"--hub\", \"local\", \"mcp\"], \"env\": { \"A\": \"b\" }, \"command\": \"git-parler\" /* mine */ } } }",
        ),
        (
            &TOML,
            "[mcp_servers.parler] # mine\nargs = [ 'mcp', ] # all\ncommand = '/x/git-parler'\nenv_vars = ['A']\n",
            "[mcp_servers.parler] # mine\nargs = [\"--hub\", \"local\", \"mcp\"] # all\ncommand = \"git-parler\"\nenv_vars = ['A']\n",
        ),
        (
            &YAML,
            "mcp_servers:\n  parler:\n    command: /x/git-parler # é\n    args: [mcp] # all\n    timeout: 5\n",
            "mcp_servers:\n  parler:\n    command: \"git-parler\" # é\n    args: [\"--hub\", \"local\", \"mcp\"] # all\n    timeout: 5\n",
        ),
        (
            &YAML,
            "mcp_servers:\n  parler:\n    args:\n      - mcp\n    command: 'git-parler'\n",
            "mcp_servers:\n  parler:\n    args:\n      [\"--hub\", \"local\", \"mcp\"]\n    command: 'git-parler'\n",
        ),
    ] {
        assert_eq!(shape.add(text, &to), Ok(Addition::Updated(expected.to_owned())));
        assert_eq!(shape.add(expected, &to), Ok(Addition::Already));
    }
    assert_eq!(JSON.add("{\"mcpServers\":{\"parler\":{\"command\":\"x\"}}}", &to), Err(NotEditable::Foreign));
}

#[test]
fn without_a_hub_the_options_of_an_entry_stay() {
    let line = Shape { format: Format::Json, container: "mcp", entry: EntryForm::Line("local") };
    let to = launch("/y/git-parler", None);
    for (shape, text, expected) in [
        (
            &JSON,
            "{\"mcpServers\": {\"parler\": {\"command\": \"git-parler\", \"args\": [ \"--quiet\",\"mcp\" ]}}}",
            "{\"mcpServers\": {\"parler\": {\"command\": \"/y/git-parler\", \"args\": [ \"--quiet\",\"mcp\" ]}}}",
        ),
        (
            &TOML,
            "[mcp_servers.parler]\nargs = ['--hub', 'local', 'mcp', '--new']\ncommand = '/x/git-parler'\n",
            "[mcp_servers.parler]\nargs = ['--hub', 'local', 'mcp', '--new']\ncommand = \"/y/git-parler\"\n",
        ),
        (
            &YAML,
            "mcp_servers:\n  parler:\n    command: git\n    args: [parler, --quiet, mcp]\n",
            "mcp_servers:\n  parler:\n    command: \"/y/git-parler\"\n    args: [\"--quiet\", \"mcp\"]\n",
        ),
        (
            &line,
            "{\"mcp\": {\"parler\": {\"type\": \"local\", \"command\": [ \"git-parler\", \"--hub\",\"local\", \"mcp\" ]}}}",
            "{\"mcp\": {\"parler\": {\"type\": \"local\", \"command\": [ \"/y/git-parler\", \"--hub\",\"local\", \"mcp\" ]}}}",
        ),
    ] {
        assert_eq!(shape.add(text, &to), Ok(Addition::Updated(expected.to_owned())));
        assert_eq!(shape.add(expected, &to), Ok(Addition::Already));
    }
}

#[test]
fn an_entry_goes_from_wherever_it_stands() {
    for (shape, text, expected) in [
        (
            &JSON,
            "{\"mcpServers\": {\n\"parler\": {\"command\": \"git-parler\", \"args\": [\"mcp\"], \"env\": {}},\n\"x\": {}\n}}",
            "{\"mcpServers\": {\n\"x\": {}\n}}",
        ),
        (
            &JSON,
            "{\"mcpServers\": {\"a\": 1, /* ours */ \"parler\": {\"command\": \"git-parler\", \"args\": [\"mcp\"]}, \"x\": {}}}",
            "{\"mcpServers\": {\"a\": 1, /* ours */ \"x\": {}}}",
        ),
        // Behind a comment that goes to the end of its line.
        (
            &JSON,
            "{\"mcpServers\": {\"x\": 1, // c\n \"parler\": {\"command\":\"git-parler\",\"args\":[\"mcp\"]} }}",
            "{\"mcpServers\": {\"x\": 1 // c\n  }}",
        ),
        (
            &JSON,
            "{\"mcpServers\": { // c\n \"parler\": {\"command\":\"git-parler\",\"args\":[\"mcp\"]} }}",
            "{\"mcpServers\": { // c\n  }}",
        ),
        (
            &JSON,
            "{\"mcpServers\": {\"x\": 1, // c\n \"parler\": {\"command\":\"git-parler\",\"args\":[\"mcp\"]}, \"y\":2}}",
            "{\"mcpServers\": {\"x\": 1, // c\n  \"y\":2}}",
        ),
        (
            &JSON,
            "{\"mcpServers\": {\"x\": 1, // c\n \"parler\": {\"command\":\"git-parler\",\"args\":[\"mcp\"]} \r\n}}",
            "{\"mcpServers\": {\"x\": 1 // c \r\n}}",
        ),
        (
            &TOML,
            "[mcp_servers.parler]\ncommand = \"git-parler\"\nargs = [\"mcp\"]\n\n[mcp_servers.parler.env]\nA = \"b\" # c\n\n[z]\n",
            "\n[z]\n",
        ),
        (
            &TOML,
            "[mcp_servers]\nparler = { command = \"git-parler\", args = [\"mcp\"] } # ours\nx = {}\n",
            "[mcp_servers]\nx = {}\n",
        ),
        (
            &YAML,
            "mcp_servers:\n  x:\n    command: x\n  parler:\n    command: git-parler\n    args:\n    - mcp\n  # last\n  y:\n    command: y\n",
            "mcp_servers:\n  x:\n    command: x\n  # last\n  y:\n    command: y\n",
        ),
    ] {
        assert_eq!(shape.remove(text, None), Ok(Removal::Removed(expected.to_owned())), "{text}");
    }
    for (shape, text) in [
        (&TOML, "[mcp_servers]\nparler.command = \"git-parler\"\nparler.args = [\"mcp\"]\n"),
        (&TOML, "mcp_servers = { parler = { command = \"git-parler\", args = [\"mcp\"] } }\n"),
        (
            &TOML,
            "[mcp_servers.parler]\ncommand = \"git-parler\"\nargs = [\"mcp\"]\n[z]\n[mcp_servers.parler.env]\n",
        ),
        (&YAML, "mcp_servers: {parler: {command: git-parler, args: [mcp]}}\n"),
    ] {
        assert!(matches!(shape.remove(text, None), Err(NotEditable::Shape(_))), "{text}");
    }
    // What is said is about the file that is there, not about one without the entry.
    let text = "mcp_servers:\n  parler: &p\n    command: git-parler\n    args: [mcp]\nx: *p\n";
    let why = NotEditable::Shape("it cannot be edited without changing something else in it");
    assert_eq!(YAML.remove(text, None), Err(why));
}

#[test]
fn what_came_into_the_file_since_stays() {
    let with = added(&JSON, "{\n  \"a\": 1\n}\n").replace("\"a\": 1", "\"a\": 2");
    assert_eq!(
        JSON.remove(&with, Some("{\n  \"a\": 1\n}\n")),
        Ok(Removal::Removed("{\n  \"a\": 2\n}\n".to_owned()))
    );
    // The map of servers was there before, or was not, or that is not known.
    let text = "{\n  \"mcpServers\": {\n    \"parler\": {\"command\": \"git-parler\", \"args\": [\"mcp\"]}\n  },\n  \"a\": 1\n}\n";
    let empty = "{\n  \"mcpServers\": {},\n  \"a\": 1\n}\n";
    assert_eq!(JSON.remove(text, Some(empty)), Ok(Removal::Removed(empty.to_owned())));
    assert_eq!(JSON.remove(text, Some("{}")), Ok(Removal::Removed("{\n  \"a\": 1\n}\n".to_owned())));
    assert_eq!(JSON.remove(text, None), Ok(Removal::Removed(empty.to_owned())));
    let with = added(&YAML, "a: 1\n");
    assert_eq!(YAML.remove(&with, None), Ok(Removal::Removed("a: 1\nmcp_servers: {}\n".to_owned())));
    assert_eq!(JSON.remove(&added(&JSON, ""), None), Ok(Removal::Emptied));
    assert_eq!(JSON.remove("{}", None), Ok(Removal::Absent));
    // From the first line to the last, which has no end.
    for mark in ["", "\u{feff}"] {
        let text = format!("{mark}{}", added(&YAML, "").trim_end());
        assert_eq!(YAML.remove(&text, Some("a: 1\n")), Ok(Removal::Removed(mark.to_owned())), "{text}");
    }
    // Comments in a map that was made for the entry.
    let with = added(&YAML, "model: x\n");
    for (text, expected) in [
        (
            with.replace("servers:", "servers: # all of ours\n  # ask Ann before adding one"),
            "model: x\nmcp_servers: {} # all of ours\n  # ask Ann before adding one\n",
        ),
        (with.replace("servers:", "servers:\n\n  # ask Ann"), "model: x\nmcp_servers: {}\n\n  # ask Ann\n"),
        (with.replace("servers:", "servers: \n"), "model: x\n"),
    ] {
        let removed = YAML.remove(&text, Some("model: x\n"));
        assert_eq!(removed, Ok(Removal::Removed(expected.to_owned())), "{text}");
    }
}

#[test]
fn a_file_that_was_there_before_is_not_taken_for_one_that_was_made() {
    for (shape, backup, expected) in
        [(&JSON, "{\n  \"a\": 1\n}\n", "{}\n"), (&TOML, "model = \"x\"\n", ""), (&YAML, "model: x\n", "")]
    {
        let with = added(shape, "");
        assert_eq!(shape.remove(&with, Some(backup)), Ok(Removal::Removed(expected.to_owned())), "{with}");
        assert_eq!(shape.remove(&with, None), Ok(Removal::Emptied), "{with}");
        assert!(shape.is_made_for_entry(&with), "{with}");
        assert!(
            !shape.is_made_for_entry(backup) && !shape.is_made_for_entry(&added(shape, backup)),
            "{backup}"
        );
    }
}

#[test]
fn an_entry_that_is_switched_off_is_known() {
    let json = |field: &str| {
        format!(
            "{{\"mcpServers\": {{\"parler\": {{\"command\": \"git-parler\", \"args\": [\"mcp\"], {field}}}}}}}"
        )
    };
    let yaml = |field: &str| format!("{}    {field}\n", added(&YAML, ""));
    for (shape, text, is_off) in [
        (&JSON, json("\"enabled\": false"), true),
        (&JSON, json("\"disabled\": true"), true),
        (&JSON, json("\"enabled\": true, \"disabled\": false"), false),
        (&JSON, json("\"env\": {\"disabled\": true}"), false),
        (&TOML, added(&TOML, "") + "enabled = false\n", true),
        (&YAML, yaml("enabled: False"), true),
        (&YAML, yaml("enabled: true"), false),
        (&YAML, String::new(), false),
    ] {
        assert_eq!(shape.is_off(&text), is_off, "{text}");
    }
}

/// Takes minutes where the work for a value grows with what stands before it on its line.
#[test]
fn a_long_line_takes_time_in_proportion() {
    let items = "\"é\", ".repeat(50_000);
    let text = format!("list: [{items}]\n");
    there_and_back(&YAML, &text, false);
    there_and_back(&JSON, &format!("{{\"mcpServers\": {{\"x\": [{items}1]}}}}"), true);
    there_and_back(&TOML, &format!("list = [{items}]\n"), true);
}
