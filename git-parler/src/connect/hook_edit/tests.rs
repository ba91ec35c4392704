//! Texts as people have them, with our hooks put in and taken out.

use super::*;

const CLAUDE: HookShape = HookShape { host: "claude-code", form: HookForm::Groups(10) };
const CURSOR: HookShape = HookShape { host: "cursor", form: HookForm::Commands };
const OPENCODE: HookShape = HookShape { host: "opencode", form: HookForm::Plugin };

fn launch(command: &str) -> Launch {
    Launch { command: command.to_owned(), hub: None }
}

fn added(shape: &HookShape, text: &str) -> String {
    match shape.add(text, &launch("git-parler")) {
        Ok(Addition::Added(text)) => text,
        other => panic!("{other:?} of {text}"),
    }
}

/// Settings with hooks of others, comments, and layouts of their own.
const TEXTS: [&str; 9] = [
    "{}",
    "{}\n",
    "{\n  \"model\": \"x\"\n}\n",
    "{\"model\":\"x\",\"hooks\":{\"Stop\":[{\"hooks\":[{\"type\":\"command\",\"command\":\"say done\"}]}]}}",
    "{\n\t// mine\n\t\"hooks\": {\n\t\t\"Stop\": [\n\t\t\t{ \"hooks\": [{ \"type\": \"command\", \"command\": \"say done\" }] }, // last\n\t\t],\n\t},\n}\n",
    "{\r\n    \"hooks\": {\r\n        \"PreToolUse\": []\r\n    }\r\n}\r\n",
    "{\"hooks\": {}}",
    "{\"hooks\": {\"Stop\": [], \"SessionStart\": []}}\n",
    "\u{feff}{\n  \"version\": 1\n}\n",
];

#[test]
fn what_is_put_in_is_taken_out_to_the_byte() {
    for shape in [&CLAUDE, &CURSOR] {
        for text in TEXTS {
            let with = added(shape, text);
            assert_eq!(shape.add(&with, &launch("git-parler")), Ok(Addition::Already), "{with}");
            assert_eq!(shape.remove(&with, Some(text)), Ok(Removal::Restored(text.to_owned())), "{with}");
            assert_eq!(shape.remove(text, None), Ok(Removal::Absent), "{text}");
        }
        let made = added(shape, "");
        assert!(shape.is_made_for_hooks(&made) && made.ends_with("}\n"), "{made}");
        assert_eq!(shape.remove(&made, None), Ok(Removal::Emptied));
    }
}

#[test]
fn what_others_had_stays_before_ours() {
    let with: Value = serde_json::from_str(&added(&CLAUDE, TEXTS[3])).unwrap();
    let stop = with["hooks"]["Stop"].as_array().unwrap();
    assert_eq!(stop[0]["hooks"][0]["command"], "say done");
    assert_eq!(
        stop[1],
        json!({"hooks": [{"type": "command", "command": "git-parler hook claude-code Stop", "timeout": 10}]})
    );
    assert_eq!(with["hooks"]["UserPromptSubmit"].as_array().unwrap().len(), 1);
    let with: Value = serde_json::from_str(&added(&CURSOR, "")).unwrap();
    assert_eq!(with["version"], 1);
    assert_eq!(with["hooks"]["stop"], json!([{"command": "git-parler hook cursor stop"}]));
}

#[test]
fn adding_leaves_every_byte_of_others_where_it_is() {
    for shape in [&CLAUDE, &CURSOR] {
        for text in TEXTS {
            let with = added(shape, text);
            // All of it in its order, with ours in between.
            let mut rest = with.chars();
            assert!(text.chars().all(|character| rest.any(|other| other == character)), "{text}\n{with}");
            assert!(
                text.contains('\n') || with.trim_end().lines().count() == 1 || text.starts_with("{}"),
                "{with}"
            );
        }
    }
}

#[test]
fn what_came_in_since_stays_when_ours_go() {
    for (shape, event, later) in [
        (&CLAUDE, "Stop", json!({"hooks": [{"command": "later"}]})),
        (&CURSOR, "stop", json!({"command": "later"})),
    ] {
        for text in TEXTS {
            let with = json::append(&added(shape, text), &["hooks", event], None, &later).unwrap();
            let Ok(Removal::Removed(after)) = shape.remove(&with, Some(text)) else { panic!("{with}") };
            let mut expected = said(text).unwrap();
            if shape.form == HookForm::Commands {
                // It stays, since what came in since may want it.
                expected["version"] = as_read(&json!(1));
            }
            let list = &mut expected["hooks"][event];
            match list.as_array_mut() {
                Some(items) => items.push(later.clone()),
                None => *list = json!([later]),
            }
            assert_eq!(said(&after).unwrap(), expected, "{text}");
            // Without the copy, lists that have become empty stay too.
            let Ok(Removal::Removed(without)) = shape.remove(&with, None) else { panic!("{with}") };
            let kept = &said(&without).unwrap()["hooks"];
            assert_eq!(kept[event], expected["hooks"][event], "{without}");
            assert!(
                !without.contains("git-parler")
                    && shape.events().iter().all(|(event, _)| kept[event].is_array())
            );
        }
    }
}

#[test]
fn a_program_in_another_place_is_brought_up_to_date() {
    for shape in [&CLAUDE, &CURSOR, &OPENCODE] {
        let with = added(shape, "");
        let moved = launch("/opt/it's here/git-parler");
        let Ok(Addition::Updated(updated)) = shape.add(&with, &moved) else { panic!("{with}") };
        assert!(updated.contains(r#"'/opt/it'\\''s here/git-parler'"#), "{updated}");
        assert_eq!(shape.add(&updated, &moved), Ok(Addition::Already));
        assert_eq!(shape.remove(&updated, None), Ok(Removal::Emptied));
    }
}

#[test]
fn without_a_hub_the_options_that_are_there_stay() {
    let at_hub = Launch { command: "git-parler".to_owned(), hub: Some("wss://hub.example".to_owned()) };
    for shape in [&CLAUDE, &CURSOR, &OPENCODE] {
        let Ok(Addition::Added(with)) = shape.add("", &at_hub) else { panic!("{shape:?}") };
        assert!(with.contains("\"git-parler --hub wss://hub.example"), "{with}");
        assert_eq!(shape.add(&with, &launch("git-parler")), Ok(Addition::Already));
        let Ok(Addition::Updated(moved)) = shape.add(&with, &launch("/opt/git-parler")) else {
            panic!("{with}")
        };
        assert_eq!(moved, with.replace("\"git-parler --hub", "\"/opt/git-parler --hub"));
        let local = Launch { hub: Some("local".to_owned()), ..at_hub.clone() };
        let Ok(Addition::Updated(local)) = shape.add(&moved, &local) else { panic!("{moved}") };
        assert_eq!(local, with.replace("wss://hub.example", "local"));
        assert_eq!(shape.remove(&local, None), Ok(Removal::Emptied));
    }
}

#[test]
fn what_somebody_else_starts_stays_whatever_it_is_like() {
    for command in [
        "./log.sh && git-parler hook claude-code Stop",
        "git-parler hook claude-code Stop; say done",
        "echo git-parler hook claude-code Stop",
        "/opt/not-git-parler hook claude-code Stop",
        "git-parler send hook claude-code Stop",
        "git-parler hook codex Stop",
        "git-parler hook claude-code SessionStart",
    ] {
        let hook = json!([{"hooks": [{"type": "command", "command": command}]}]);
        let text = json!({"hooks": {"Stop": hook}}).to_string();
        assert_eq!(CLAUDE.remove(&text, None), Ok(Removal::Absent), "{command}");
        let with: Value = serde_json::from_str(&added(&CLAUDE, &text)).unwrap();
        assert_eq!(
            (&with["hooks"]["Stop"][0], with["hooks"]["Stop"].as_array().unwrap().len()),
            (&hook[0], 2)
        );
    }
}

#[test]
fn what_cannot_be_edited_is_left() {
    for text in
        ["[]", "{\"hooks\": []}", "{\"hooks\": {\"Stop\": {}}}", "{\"a\": 1, \"a\": 2}", "{", "{'a': 1}"]
    {
        assert!(CLAUDE.add(text, &launch("git-parler")).is_err(), "{text}");
    }
    // Nothing is to be taken out where we are not named, whatever it is.
    assert_eq!(CLAUDE.remove("{", None), Ok(Removal::Absent));
    assert!(CLAUDE.remove("{\"command\": \"git-parler hook claude-code Stop\"", None).is_err());
    assert!(OPENCODE.add("export const Other = 1\n", &launch("git-parler")).is_err());
    assert_eq!(OPENCODE.remove("export const Other = 1\n", None), Ok(Removal::Absent));
}

#[test]
fn a_plugin_of_another_version_is_replaced_and_goes() {
    let with = added(&OPENCODE, "");
    let older = with.clone() + "// and more\n";
    assert_eq!(OPENCODE.add(&older, &launch("git-parler")), Ok(Addition::Updated(with.clone())));
    for backup in [None, Some(older.as_str())] {
        assert_eq!(OPENCODE.remove(&with, backup), Ok(Removal::Emptied));
    }
}
