//! Our hooks in the text of a host's configuration: pure, and checked by reading the result, as with the entry of the server. What
//! others have installed stays, in its order and to the byte.

use std::ops::Range;

use hooks::Moment;
use serde_json::{Map, Value, json};

use super::edit::{Addition, CommandLine, Launch, Removal};
use super::json::{self, Step};
use super::tree::{Kind, NOT_ALONE, Node, NotEditable, Splice, spliced};

/// How a host writes down hooks.
#[derive(Debug)]
pub(super) struct HookShape {
    /// The name by which `git-parler hook` knows the host.
    pub(super) host: &'static str,
    pub(super) form: HookForm,
}

/// The form of one hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HookForm {
    /// A list of groups for each event, each with a list of hooks; with so long to answer, in the host's unit.
    Groups(u64),
    /// A list of commands for each event, in a file that says which version it is of.
    Commands,
    /// A file of its own, in which a plugin runs the hooks.
    Plugin,
}

impl HookShape {
    /// Adds our hooks to `text`, or sees to it that they start what `launch` says; without a hub the options that are there stay.
    pub(super) fn add(&self, text: &str, launch: &Launch) -> Result<Addition, NotEditable> {
        let (event, _) = self.events()[0];
        let found =
            self.program_in(text)?.and_then(|found| self.start_of(&self.command(&found, event), event));
        self.add_by(text, &launch.start_with(found).spelled())
    }

    /// Takes our hooks out of `text`. `backup` is the file as it was before they came in, where that is known.
    pub(super) fn remove(&self, text: &str, backup: Option<&str>) -> Result<Removal, NotEditable> {
        let program = match self.program_in(text) {
            // Whatever is wrong with a file that does not name us is none of our business.
            Err(_) if !text.contains(&self.command("", "")) => None,
            program => program?,
        };
        let Some(program) = program else { return Ok(Removal::Absent) };
        match backup {
            Some(backup) if self.gives(backup, &program, text) => {
                return Ok(Removal::Restored(backup.to_owned()));
            }
            // Of a plugin nothing but ours can have been there, written by another version perhaps.
            _ if self.form == HookForm::Plugin => return Ok(Removal::Emptied),
            None if self.gives("", &program, text) => return Ok(Removal::Emptied),
            Some(_) | None => {}
        }
        let before = backup.map(said).transpose()?;
        let (mut after, mut expected) = (text.to_owned(), said(text)?);
        let mut out = |after: &str, path: &[Step<'_>]| {
            take(&mut expected, path);
            json::take_out(after, path)
        };
        for (event, _) in self.events() {
            let (map, list) = ([Step::Name("hooks")], [Step::Name("hooks"), Step::Name(event)]);
            while let Some(Ours { path, .. }) = self.ours(&after, event)? {
                after = out(&after, &path)?;
                // A group in which somebody else's is too stays.
                if let (HookForm::Groups(_), [group @ .., Step::Name(_), Step::Place(_)]) =
                    (self.form, &path[..])
                    && is_empty(&after, &path[..path.len() - 1])?
                {
                    after = out(&after, group)?;
                }
            }
            // What was there before stays, and so does what may have been.
            let is_new = |before: &Value| before["hooks"].get(event).is_none();
            if before.as_ref().is_some_and(is_new) && is_empty(&after, &list)? {
                after = out(&after, &list)?;
            }
            let is_new = |before: &Value| before.get("hooks").is_none();
            if before.as_ref().is_some_and(is_new) && is_empty(&after, &map)? {
                after = out(&after, &map)?;
            }
        }
        check(&after, &expected)?;
        Ok(Removal::Removed(after))
    }

    /// Says whether `text` is what adding our hooks makes of nothing.
    pub(super) fn is_made_for_hooks(&self, text: &str) -> bool {
        let program = self.program_in(text);
        program.is_ok_and(|program| program.is_some_and(|program| self.gives("", &program, text)))
    }

    /// Returns what a person would paste into an empty file.
    pub(super) fn snippet(&self, launch: &Launch) -> String {
        match self.add("", launch) {
            Ok(Addition::Added(text)) => text,
            Ok(Addition::Updated(_) | Addition::Already) | Err(_) => String::new(),
        }
    }

    fn events(&self) -> [(&'static str, Moment); 3] {
        hooks::Host::named(self.host).expect("a host that has hooks is known to them").events()
    }

    /// Returns the command for an event.
    fn command(&self, program: &str, event: &str) -> String {
        format!("{program} hook {} {event}", self.host)
    }

    /// Returns how a command of ours starts our program; nothing for somebody else's.
    fn start_of(&self, command: &str, event: &str) -> Option<CommandLine> {
        CommandLine::start_in(command, ["hook", self.host, event])
    }

    /// Says whether adding makes `text` of `before`.
    fn gives(&self, before: &str, program: &str, text: &str) -> bool {
        matches!(self.add_by(before, program), Ok(Addition::Added(with)) if with == text)
    }

    fn add_by(&self, text: &str, program: &str) -> Result<Addition, NotEditable> {
        if self.form == HookForm::Plugin {
            return plugin(text, program);
        }
        self.is_editable(text)?;
        let (mut after, mut expected) = (text.to_owned(), said(text)?);
        let (mut is_added, mut is_updated) = (false, false);
        if self.form == HookForm::Commands && expected.get("version").is_none() {
            after = json::append(&after, &[], Some("version"), &json!(1))?;
            expected["version"] = as_read(&json!(1));
        }
        for (event, _) in self.events() {
            let command = self.command(program, event);
            match self.ours(&after, event)? {
                Some(ours) if ours.command == command => {}
                Some(ours) => {
                    let text = Value::from(command.as_str()).to_string();
                    after = spliced(&after, vec![Splice { range: ours.span, text }]);
                    *value_at(&mut expected, &ours.path)
                        .ok_or(NOT_ALONE)?
                        .get_mut("command")
                        .ok_or(NOT_ALONE)? = Value::from(command);
                    is_updated = true;
                }
                None => {
                    let item = self.item(&command);
                    after = json::append(&after, &["hooks", event], None, &item)?;
                    let list = &mut expected["hooks"][event];
                    match list.as_array_mut() {
                        Some(items) => items.push(as_read(&item)),
                        None => *list = json!([as_read(&item)]),
                    }
                    is_added = true;
                }
            }
        }
        if !is_added && !is_updated {
            return Ok(Addition::Already);
        }
        check(&after, &expected)?;
        Ok(if is_updated { Addition::Updated(after) } else { Addition::Added(after) })
    }

    /// Refuses what is not written in a way in which hooks can be added.
    fn is_editable(&self, text: &str) -> Result<(), NotEditable> {
        let Some(root) = json::parse(text)? else { return Ok(()) };
        root.refuse_duplicates(text)?;
        root.members().ok_or(NotEditable::Shape("it is not a map of settings"))?;
        let Some(hooks) = root.get("hooks") else { return Ok(()) };
        hooks.members().ok_or(NotEditable::Shape("its `hooks` are not a map"))?;
        let lists = self.events().map(|(event, _)| hooks.get(event));
        if lists.into_iter().flatten().any(|list| list.items().is_none()) {
            return Err(NotEditable::Shape("what its `hooks` name is not a list"));
        }
        Ok(())
    }

    /// Returns what is put into the list of an event.
    fn item(&self, command: &str) -> Value {
        match self.form {
            HookForm::Groups(timeout) => {
                json!({"hooks": [{"type": "command", "command": command, "timeout": timeout}]})
            }
            HookForm::Commands | HookForm::Plugin => json!({"command": command}),
        }
    }

    /// Returns how a shell starts our program in the first hook of ours in `text`; nothing where there is none.
    fn program_in(&self, text: &str) -> Result<Option<String>, NotEditable> {
        if self.form == HookForm::Plugin {
            return Ok(plugin_program(text));
        }
        for (event, _) in self.events() {
            if let Some(ours) = self.ours(text, event)? {
                return Ok(self.start_of(&ours.command, event).map(|start| start.spelled()));
            }
        }
        Ok(None)
    }

    /// Returns the first hook of ours for an event.
    fn ours<'a>(&self, text: &str, event: &'a str) -> Result<Option<Ours<'a>>, NotEditable> {
        let Some(root) = json::parse(text)? else { return Ok(None) };
        let list = [Step::Name("hooks"), Step::Name(event)];
        let Some(items) = json::at(&root, &list).and_then(Node::items) else { return Ok(None) };
        let found = items.iter().enumerate().find_map(|(place, item)| match self.form {
            HookForm::Groups(_) => {
                let hooks = item.get("hooks")?.items()?.iter().enumerate();
                let mut found = hooks.filter_map(|(inner, hook)| {
                    let path = [Step::Place(place), Step::Name("hooks"), Step::Place(inner)];
                    self.ours_in(hook, event, &path)
                });
                found.next()
            }
            HookForm::Commands | HookForm::Plugin => self.ours_in(item, event, &[Step::Place(place)]),
        });
        Ok(found.map(|ours| Ours { path: [&list, ours.path.as_slice()].concat(), ..ours }))
    }

    fn ours_in<'a>(&self, hook: &Node, event: &str, path: &[Step<'a>]) -> Option<Ours<'a>> {
        let node = hook.get("command")?;
        let command = node.text()?;
        self.start_of(command, event)?;
        Some(Ours { command: command.to_owned(), span: node.span.clone(), path: path.to_vec() })
    }
}

/// One hook of ours in a text.
struct Ours<'a> {
    command: String,
    /// Where the command is spelled.
    span: Range<usize>,
    path: Vec<Step<'a>>,
}

/// Returns what a text says; nothing is an empty map.
fn said(text: &str) -> Result<Value, NotEditable> {
    Ok(json::parse(text)?.map_or_else(|| Value::Object(Map::new()), |root| root.value()))
}

fn is_empty(text: &str, path: &[Step<'_>]) -> Result<bool, NotEditable> {
    let root = json::parse(text)?.ok_or(NOT_ALONE)?;
    Ok(json::at(&root, path).is_some_and(|node| match &node.kind {
        Kind::Map(members) => members.is_empty(),
        Kind::List(items) => items.is_empty(),
        Kind::Leaf(_) => false,
    }))
}

fn value_at<'a>(value: &'a mut Value, path: &[Step<'_>]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Name(name) => value.get_mut(*name),
        Step::Place(place) => value.get_mut(*place),
    })
}

/// Takes the value to which `path` leads out of what a text says.
fn take(said: &mut Value, path: &[Step<'_>]) {
    let Some((last, path)) = path.split_last() else { return };
    match (value_at(said, path), last) {
        (Some(Value::Object(members)), Step::Name(name)) => {
            members.shift_remove(*name);
        }
        (Some(Value::Array(items)), Step::Place(place)) if *place < items.len() => {
            items.remove(*place);
        }
        _ => {}
    }
}

/// Reads the new text, which has to say what was meant and nothing else.
fn check(after: &str, expected: &Value) -> Result<(), NotEditable> {
    let said = said(after).map_err(|_of_ours| NOT_ALONE)?;
    if said == *expected { Ok(()) } else { Err(NOT_ALONE) }
}

/// Returns a value as a text that says it is read: a number is what spells it.
fn as_read(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!({"number": number.to_string()}),
        Value::Array(items) => items.iter().map(as_read).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), as_read(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

/// A line by which our plugin is known.
const PLUGIN_MARK: &str =
    "// Written by `git parler connect --hooks`; `git parler connect --remove` takes it away again.";
/// What stands before how a shell starts our program, in its second line.
const PLUGIN_PROGRAM: &str = "const program = ";

fn plugin(text: &str, program: &str) -> Result<Addition, NotEditable> {
    let program = Value::from(program);
    let wanted = format!("{PLUGIN_MARK}\n{PLUGIN_PROGRAM}{program}\n{}", include_str!("opencode_plugin.js"));
    match text {
        text if text == wanted => Ok(Addition::Already),
        "" => Ok(Addition::Added(wanted)),
        text if text.starts_with(PLUGIN_MARK) => Ok(Addition::Updated(wanted)),
        _ => Err(NotEditable::Shape("something else is in its place")),
    }
}

fn plugin_program(text: &str) -> Option<String> {
    let line = text.strip_prefix(PLUGIN_MARK)?.lines().nth(1)?;
    serde_json::from_str(line.strip_prefix(PLUGIN_PROGRAM)?).ok()
}

#[cfg(test)]
mod tests;
