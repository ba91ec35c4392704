//! What a configuration file says and where in its text it says so: the same for JSON, TOML and YAML, so that what is
//! ours is recognised by one rule. And why a file is left alone.

use std::fmt;
use std::ops::Range;

use serde_json::{Map, Value};

/// A value and the bytes of the text that spell it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// An object, table or mapping.
    Map(Vec<Member>),
    /// A list.
    List(Vec<Node>),
    /// Anything else.
    Leaf(Value),
}

/// A name within a map and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) name: String,
    /// Where the name begins.
    pub(super) start: usize,
    pub(super) value: Node,
}

/// What a field of our entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// A text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
}

/// Our entry: its fields under their names.
pub(super) type Entry = Vec<(&'static str, Field)>;

/// A replacement of some bytes of a text.
#[derive(Debug)]
pub(super) struct Splice {
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

/// Why a file cannot be edited without a risk for what else is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotEditable {
    /// It is not of its format.
    Syntax {
        /// The line, from 1, where the parser knows one.
        line: Option<usize>,
        /// What the parser says.
        reason: String,
    },
    /// A name stands twice in one map, and which of both counts depends on the reader.
    Duplicate {
        /// The name.
        name: String,
        /// The line of the second one, from 1.
        line: usize,
    },
    /// It is not written in the way that can be edited.
    Shape(&'static str),
    /// An entry of our name runs something else.
    Foreign,
}

/// What is said where our own result is not what was meant, or cannot even be read: the parser's words would be about a text
/// that nobody has.
pub(super) const NOT_ALONE: NotEditable =
    NotEditable::Shape("it cannot be edited without changing something else in it");

impl Node {
    /// Returns the members of a map; none for anything else.
    pub(super) fn members(&self) -> Option<&[Member]> {
        match &self.kind {
            Kind::Map(members) => Some(members),
            Kind::List(_) | Kind::Leaf(_) => None,
        }
    }

    /// Returns the value of `name` in a map.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.members()?.iter().find(|member| member.name == name).map(|member| &member.value)
    }

    /// Returns the text of a text.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Leaf(Value::String(text)) => Some(text),
            Kind::Map(_) | Kind::List(_) | Kind::Leaf(_) => None,
        }
    }

    /// Says whether it is this truth value, which in YAML is a plain word.
    pub(super) fn is_switch(&self, value: bool) -> bool {
        match &self.kind {
            Kind::Leaf(Value::Bool(own)) => *own == value,
            Kind::Leaf(Value::String(word)) => {
                word.eq_ignore_ascii_case(if value { "true" } else { "false" })
            }
            Kind::Map(_) | Kind::List(_) | Kind::Leaf(_) => false,
        }
    }

    /// Returns the items of a list.
    pub(super) fn items(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            Kind::Map(_) | Kind::Leaf(_) => None,
        }
    }

    /// Returns the items of a list of texts.
    pub(super) fn texts(&self) -> Option<Vec<String>> {
        self.items()?.iter().map(|item| item.text().map(str::to_owned)).collect()
    }

    /// Returns what it says, without where; the order of members does not count.
    pub(super) fn value(&self) -> Value {
        match &self.kind {
            Kind::Leaf(value) => value.clone(),
            Kind::List(items) => Value::Array(items.iter().map(Self::value).collect()),
            Kind::Map(members) => {
                let pairs = members.iter().map(|member| (member.name.clone(), member.value.value()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }

    /// Refuses a name that stands twice in one map, anywhere.
    pub(super) fn refuse_duplicates(&self, text: &str) -> Result<(), NotEditable> {
        match &self.kind {
            Kind::Leaf(_) => Ok(()),
            Kind::List(items) => items.iter().try_for_each(|item| item.refuse_duplicates(text)),
            Kind::Map(members) => {
                let mut seen = std::collections::BTreeSet::new();
                for member in members {
                    if !seen.insert(&member.name) {
                        let line = line_of(text, member.start);
                        return Err(NotEditable::Duplicate { name: member.name.clone(), line });
                    }
                    member.value.refuse_duplicates(text)?;
                }
                Ok(())
            }
        }
    }
}

impl Field {
    /// Returns it on one line as JSON spells it, which TOML and YAML read the same way: TOML as basic strings, YAML as
    /// double-quoted ones, both lists in brackets.
    pub(super) fn spelled(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Texts(items) => {
                format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// Returns it as what a [`Node`] says.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Texts(items) => Value::from(items.as_slice()),
        }
    }
}

impl fmt::Display for NotEditable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line: Some(line), reason } => write!(out, "line {line} cannot be read: {reason}"),
            Self::Syntax { line: None, reason } => write!(out, "it cannot be read: {reason}"),
            Self::Duplicate { name, line } => {
                write!(out, "`{name}` stands there twice, again in line {line}")
            }
            Self::Shape(what) => out.write_str(what),
            Self::Foreign => out.write_str("its `parler` runs something else than `git-parler mcp`"),
        }
    }
}

/// Returns the line of the byte at `place`, from 1.
pub(super) fn line_of(text: &str, place: usize) -> usize {
    text.bytes().take(place).filter(|byte| *byte == b'\n').count() + 1
}

/// Returns the end of line that a text uses.
pub(super) fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// Returns the blanks that the line of the byte at `place` begins with.
pub(super) fn indentation(text: &str, place: usize) -> &str {
    let line = &text[lines(text, place, place)];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// Returns the whole lines from the one of `start` to the one of `end`, without a byte order mark and with the last end of line,
/// if there is one.
pub(super) fn lines(text: &str, start: usize, end: usize) -> Range<usize> {
    let mark = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    let first = text[..start].rfind('\n').map_or(mark, |newline| newline + 1);
    first..text[end..].find('\n').map_or(text.len(), |newline| end + newline + 1)
}

/// Returns `text` with the splices, which do not overlap, done.
pub(super) fn spliced(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|splice| (splice.range.start, splice.range.end));
    let mut result = String::with_capacity(text.len());
    let mut done = 0;
    for Splice { range, text: new } in splices {
        result.push_str(&text[done..range.start]);
        result.push_str(&new);
        done = range.end;
    }
    result.push_str(&text[done..]);
    result
}

/// Returns a text as JSON spells it.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// What some editors begin a file with.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';
