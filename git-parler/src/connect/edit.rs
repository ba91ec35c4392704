//! What is to be done to the text of a configuration file: pure, and checked by reading the result. Adding, then
//! removing, gives the text back byte for byte where the backup is at hand; without it an empty map of servers may stay.

use serde_json::{Map, Value};

use super::tree::{Entry, Field, Kind, NOT_ALONE, Node, NotEditable, Splice, quoted, spliced};
use super::{json, toml, words, yaml};

/// The name of our entry in every host.
pub(super) const NAME: &str = "parler";

/// How a host writes down the servers that it starts.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) format: Format,
    /// The map of all servers.
    pub(super) container: &'static str,
    pub(super) entry: EntryForm,
}

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Toml,
    Yaml,
}

/// How an entry says what to start.
#[derive(Debug)]
pub(super) enum EntryForm {
    /// `command` and `args`.
    Plain,
    /// `type`, `command` and `args`.
    Typed(&'static str),
    /// As `Typed`, and which tools the model may know of: all.
    TypedWithTools(&'static str),
    /// `type`, and the whole line as `command`.
    Line(&'static str),
}

/// What a host is to start: this program, and by which hub it goes where one is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Launch {
    pub(super) command: String,
    pub(super) hub: Option<String>,
}

/// What an entry or a hook starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandLine {
    command: String,
    arguments: Vec<String>,
}

/// What adding does to a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Addition {
    /// The entry came in.
    Added(String),
    /// The entry started git-parler in another way.
    Updated(String),
    /// Nothing: the entry is there.
    Already,
}

/// What removing does to a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Removal {
    /// The entry went out.
    Removed(String),
    /// The text is as it was before the entry came in.
    Restored(String),
    /// Nothing but the entry was there: the file was made for it.
    Emptied,
    /// Nothing: there is no entry.
    Absent,
}

impl Launch {
    /// Returns the program with its options and no command yet.
    fn start(&self) -> CommandLine {
        let hub = self.hub.iter().flat_map(|hub| ["--hub".to_owned(), hub.clone()]);
        CommandLine { command: self.command.clone(), arguments: hub.collect() }
    }

    /// Returns the line of an entry that comes in.
    fn line(&self) -> CommandLine {
        let mut line = self.start();
        line.arguments.push("mcp".to_owned());
        line
    }

    /// Returns the line of an entry that starts our program with `arguments`, which stay unless a hub is named.
    fn line_with(&self, arguments: &[String]) -> CommandLine {
        match self.hub {
            Some(_) => self.line(),
            None => CommandLine { command: self.command.clone(), arguments: arguments.to_vec() },
        }
    }

    /// As [`Launch::start`], with the options of `found` unless a hub is named.
    pub(super) fn start_with(&self, found: Option<CommandLine>) -> CommandLine {
        match found {
            Some(found) if self.hub.is_none() => CommandLine { command: self.command.clone(), ..found },
            Some(_) | None => self.start(),
        }
    }
}

impl CommandLine {
    /// Returns the arguments of our program, from wherever it is started; nothing where another one is.
    fn arguments_of_ours(&self) -> Option<&[String]> {
        let program = self.command.rsplit('/').next().unwrap_or_default();
        match (program, self.arguments.split_first()) {
            ("git-parler", _) => Some(&self.arguments),
            ("git", Some((verb, rest))) if verb == "parler" => Some(rest),
            _ => None,
        }
    }

    /// Says whether this starts our server, with whatever options.
    fn is_ours(&self) -> bool {
        self.arguments_of_ours().and_then(verb) == Some("mcp")
    }

    /// Returns our program with its options, where `text` has a shell start that with `words` and nothing else.
    pub(super) fn start_in(text: &str, words: [&str; 3]) -> Option<Self> {
        let mut read = words::read(text)?.into_iter();
        let line = Self { command: read.next()?, arguments: read.collect() };
        let arguments = line.arguments_of_ours()?;
        let (options, last) = arguments.split_last_chunk::<3>()?;
        let is_it = last == &words && verb(arguments) == Some(words[0]);
        is_it.then(|| Self { arguments: options.to_vec(), ..line.clone() })
    }

    /// Returns the line as a shell reads it.
    pub(super) fn spelled(&self) -> String {
        words::spelled(std::iter::once(&self.command).chain(&self.arguments))
    }

    fn words(&self) -> Vec<String> {
        std::iter::once(&self.command).chain(&self.arguments).cloned().collect()
    }
}

/// Returns the command in the arguments of our program: the first that is neither an option nor the value of one.
fn verb(arguments: &[String]) -> Option<&str> {
    let definition = crate::cli::command();
    let takes_value = |word: &str| {
        definition.get_arguments().filter(|option| option.get_action().takes_values()).any(|option| {
            let long = option.get_long().map(|name| format!("--{name}"));
            let short = option.get_short().map(|name| format!("-{name}"));
            long.is_some_and(|name| name == word) || short.is_some_and(|name| name == word)
        })
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--" => return None,
            option if option.starts_with('-') => {
                if takes_value(option) {
                    words.next();
                }
            }
            verb => return Some(verb),
        }
    }
    None
}

impl Shape {
    /// Adds our entry to `text`, or sees to it that it starts what `launch` says.
    pub(super) fn add(&self, text: &str, launch: &Launch) -> Result<Addition, NotEditable> {
        let before = self.parse(text)?;
        let mut expected = before.as_ref().map_or_else(|| Value::Object(Map::new()), Node::value);
        let (after, entry) = match self.entry_in(before.as_ref())? {
            Some(entry) => {
                let found = self.line_of(entry).ok_or(NotEditable::Foreign)?;
                let arguments =
                    found.arguments_of_ours().filter(|_| found.is_ours()).ok_or(NotEditable::Foreign)?;
                let wanted = launch.line_with(arguments);
                if found == wanted {
                    return Ok(Addition::Already);
                }
                let mut value = entry.value();
                for (name, field) in self.entry.starting(&wanted) {
                    value[name] = field.value();
                }
                (Addition::Updated(self.update(text, entry, &found, &wanted)?), value)
            }
            None => {
                let entry = self.entry.fields(&launch.line());
                let value = entry.iter().map(|(name, field)| ((*name).to_owned(), field.value())).collect();
                (Addition::Added(self.insert(text, &entry)?), Value::Object(value))
            }
        };
        expected[self.container][NAME] = entry;
        let (Addition::Added(new) | Addition::Updated(new)) = &after else { return Ok(after) };
        self.check(new, &expected)?;
        Ok(after)
    }

    /// Takes our entry out of `text`. `backup` is the file as it was before the entry came in, where that is known: then the
    /// file was not made for it.
    pub(super) fn remove(&self, text: &str, backup: Option<&str>) -> Result<Removal, NotEditable> {
        let before = self.parse(text)?;
        let Some(entry) = self.entry_in(before.as_ref())? else { return Ok(Removal::Absent) };
        let line = self.line_of(entry).filter(CommandLine::is_ours).ok_or(NotEditable::Foreign)?;
        match backup {
            Some(backup) if self.gives(backup, &line, text) => {
                return Ok(Removal::Restored(backup.to_owned()));
            }
            None if self.gives("", &line, text) => return Ok(Removal::Emptied),
            Some(_) | None => {}
        }
        // Only a copy that has no map of servers says that this one came in with the entry.
        let has_none = |root: Option<Node>| root.is_none_or(|root| root.get(self.container).is_none());
        let is_ours = backup.is_some_and(|backup| self.parse(backup).is_ok_and(has_none));
        let after = match self.format {
            Format::Json => json::remove(text, self.container, NAME, is_ours)?,
            Format::Toml => toml::remove(text, self.container, NAME)?,
            Format::Yaml => yaml::remove(text, self.container, NAME, is_ours)?,
        };
        let mut expected = before.map_or(Value::Null, |root| root.value());
        let is_empty = |servers: &Value| servers.as_object().is_some_and(Map::is_empty);
        if let Some(servers) = expected[self.container].as_object_mut() {
            servers.shift_remove(NAME);
        }
        let has_container = self
            .parse(&after)
            .map_err(|_of_ours| NOT_ALONE)?
            .is_some_and(|root| root.get(self.container).is_some());
        if !has_container
            && is_empty(&expected[self.container])
            && let Some(root) = expected.as_object_mut()
        {
            root.shift_remove(self.container);
        }
        self.check(&after, &expected)?;
        Ok(Removal::Removed(after))
    }

    /// Says whether an entry of our name is in `text`.
    pub(super) fn has_entry(&self, text: &str) -> bool {
        let root = self.parse(text).ok().flatten();
        self.entry_in(root.as_ref()).is_ok_and(|entry| entry.is_some())
    }

    /// Says whether our entry in `text` is switched off, in one of the ways that hosts have.
    pub(super) fn is_off(&self, text: &str) -> bool {
        let root = self.parse(text).ok().flatten();
        let Ok(Some(entry)) = self.entry_in(root.as_ref()) else { return false };
        let says = |name: &str, value: bool| entry.get(name).is_some_and(|node| node.is_switch(value));
        says("enabled", false) || says("disabled", true)
    }

    /// Says whether `text` is what adding our entry makes of nothing.
    pub(super) fn is_made_for_entry(&self, text: &str) -> bool {
        let Ok(root) = self.parse(text) else { return false };
        let Ok(Some(entry)) = self.entry_in(root.as_ref()) else { return false };
        self.line_of(entry).is_some_and(|line| line.is_ours() && self.gives("", &line, text))
    }

    /// Says whether adding makes `text` of `before`. That cannot be told backwards: some texts differ before and are the same
    /// with the entry in them, as `{}` with and without a line in it.
    fn gives(&self, before: &str, line: &CommandLine, text: &str) -> bool {
        let is_new = self.parse(before).is_ok_and(|root| matches!(self.entry_in(root.as_ref()), Ok(None)));
        is_new && self.insert(before, &self.entry.fields(line)).is_ok_and(|with| with == text)
    }

    /// Returns what a person would paste into an empty file.
    pub(super) fn snippet(&self, launch: &Launch) -> String {
        self.insert("", &self.entry.fields(&launch.line())).unwrap_or_default()
    }

    fn parse(&self, text: &str) -> Result<Option<Node>, NotEditable> {
        let root = match self.format {
            Format::Json => json::parse(text)?,
            Format::Toml => toml::parse(text)?,
            Format::Yaml => yaml::parse(text)?,
        };
        if let Some(root) = &root {
            root.refuse_duplicates(text)?;
        }
        Ok(root)
    }

    fn entry_in<'a>(&self, root: Option<&'a Node>) -> Result<Option<&'a Node>, NotEditable> {
        let Some(root) = root else { return Ok(None) };
        root.members().ok_or(NotEditable::Shape("it is not a map of settings"))?;
        match root.get(self.container) {
            None => Ok(None),
            // What has a name and no value yet; YAML's way to say that there is none.
            Some(servers) if self.format == Format::Yaml && servers.kind == Kind::Leaf(Value::Null) => {
                Ok(None)
            }
            Some(servers) => {
                servers.members().ok_or(NotEditable::Shape("its servers are not a map"))?;
                Ok(servers.get(NAME))
            }
        }
    }

    fn line_of(&self, entry: &Node) -> Option<CommandLine> {
        let command = entry.get("command")?;
        match self.entry {
            EntryForm::Line(_) => {
                let mut words = command.texts()?.into_iter();
                Some(CommandLine { command: words.next()?, arguments: words.collect() })
            }
            EntryForm::Plain | EntryForm::Typed(_) | EntryForm::TypedWithTools(_) => {
                let arguments = entry.get("args").map_or_else(|| Some(Vec::new()), Node::texts)?;
                Some(CommandLine { command: command.text()?.to_owned(), arguments })
            }
        }
    }

    fn insert(&self, text: &str, entry: &Entry) -> Result<String, NotEditable> {
        match self.format {
            Format::Json => json::insert(text, self.container, NAME, entry),
            Format::Toml => toml::insert(text, self.container, NAME, entry),
            Format::Yaml => yaml::insert(text, self.container, NAME, entry),
        }
    }

    /// Replaces what is different in what the entry starts and nothing else in it: what a person has set there stays.
    fn update(
        &self,
        text: &str,
        entry: &Node,
        found: &CommandLine,
        wanted: &CommandLine,
    ) -> Result<String, NotEditable> {
        // Of a line that stands in one list, only the program in front.
        let is_program_alone = found.arguments == wanted.arguments;
        let mut splices = Vec::new();
        for (name, field) in self.entry.starting(wanted) {
            let node = entry.get(name).ok_or(NotEditable::Shape("its `parler` cannot be changed"))?;
            if node.value() == field.value() {
                continue;
            }
            splices.push(match node.items().and_then(<[Node]>::first) {
                Some(first) if is_program_alone => {
                    Splice { range: first.span.clone(), text: quoted(&wanted.command) }
                }
                _ => Splice { range: node.span.clone(), text: field.spelled() },
            });
        }
        Ok(spliced(text, splices))
    }

    /// Reads the new text, which has to say what was meant and nothing else.
    fn check(&self, after: &str, expected: &Value) -> Result<(), NotEditable> {
        let said = self.parse(after).map_err(|_of_ours| NOT_ALONE)?;
        let said = said.map_or_else(|| Value::Object(Map::new()), |root| root.value());
        let is_same =
            said == *expected || (expected.as_object().is_some_and(Map::is_empty) && said.is_null());
        if is_same { Ok(()) } else { Err(NOT_ALONE) }
    }
}

impl EntryForm {
    fn fields(&self, line: &CommandLine) -> Entry {
        let text = |text: &str| Field::Text(text.to_owned());
        let mut fields = Entry::new();
        match self {
            Self::Plain => {}
            Self::Typed(kind) | Self::TypedWithTools(kind) | Self::Line(kind) => {
                fields.push(("type", text(kind)));
            }
        }
        fields.extend(self.starting(line));
        if let Self::TypedWithTools(_) = self {
            fields.push(("tools", Field::Texts(vec!["*".to_owned()])));
        }
        fields
    }

    /// Returns the fields that say what to start.
    fn starting(&self, line: &CommandLine) -> Entry {
        match self {
            Self::Line(_) => vec![("command", Field::Texts(line.words()))],
            Self::Plain | Self::Typed(_) | Self::TypedWithTools(_) => vec![
                ("command", Field::Text(line.command.clone())),
                ("args", Field::Texts(line.arguments.clone())),
            ],
        }
    }
}

#[cfg(test)]
mod tests;
