//! TOML: a table of ours is put behind everything, and taken out as the lines from its head to its last value. toml_edit
//! says where what stands; it does not write, since it would end every line the same way and lose a byte order mark.

use std::ops::Range;

use serde_json::Value;
use toml_edit::{Document, Item, Table, TableLike, Value as Toml};

use super::tree::{
    BYTE_ORDER_MARK, Entry, Kind, Member, Node, NotEditable, Splice, line_of, lines, newline, spliced,
};

const NOT_A_TABLE: NotEditable = NotEditable::Shape("its servers are not written as tables of their own");

/// Reads a text.
pub(super) fn parse(text: &str) -> Result<Option<Node>, NotEditable> {
    let document = document(text)?;
    Ok(Some(Node { span: 0..text.len(), kind: table(document.as_table()) }))
}

fn document(text: &str) -> Result<Document<&str>, NotEditable> {
    Document::parse(text).map_err(|error| NotEditable::Syntax {
        line: error.span().map(|span| line_of(text, span.start)),
        reason: error.message().to_owned(),
    })
}

fn table(table: &dyn TableLike) -> Kind {
    let members = table.iter().map(|(name, item)| Member {
        name: name.to_owned(),
        start: table.key(name).and_then(toml_edit::Key::span).map_or(0, |span| span.start),
        value: node(item),
    });
    Kind::Map(members.collect())
}

fn node(item: &Item) -> Node {
    let kind = match item {
        Item::None => Kind::Leaf(Value::Null),
        Item::Table(inner) => table(inner),
        Item::ArrayOfTables(tables) => Kind::List(
            tables
                .iter()
                .map(|inner| Node { span: inner.span().unwrap_or_default(), kind: table(inner) })
                .collect(),
        ),
        Item::Value(value) => return leaf(value),
    };
    Node { span: item.span().unwrap_or_default(), kind }
}

fn leaf(value: &Toml) -> Node {
    let kind = match value {
        Toml::String(text) => Kind::Leaf(Value::from(text.value().as_str())),
        Toml::Boolean(boolean) => Kind::Leaf(Value::from(*boolean.value())),
        Toml::Integer(number) => Kind::Leaf(serde_json::json!({ "integer": number.value() })),
        Toml::Float(number) => Kind::Leaf(serde_json::json!({ "float": number.value().to_string() })),
        Toml::Datetime(date) => Kind::Leaf(serde_json::json!({ "date": date.value().to_string() })),
        Toml::Array(items) => Kind::List(items.iter().map(leaf).collect()),
        Toml::InlineTable(inner) => table(inner),
    };
    Node { span: value.span().unwrap_or_default(), kind }
}

/// Puts `entry` in as the table `name` of `container`.
pub(super) fn insert(text: &str, container: &str, name: &str, entry: &Entry) -> Result<String, NotEditable> {
    let document = document(text)?;
    match document.get(container) {
        None | Some(Item::Table(_)) => {}
        Some(_) => return Err(NOT_A_TABLE),
    }
    let newline = newline(text);
    let mut block = format!("[{container}.{name}]");
    for (name, field) in entry {
        block += &format!("{newline}{name} = {}", field.spelled());
    }
    Ok(match text.trim_start_matches(BYTE_ORDER_MARK).is_empty() {
        true => format!("{text}{block}{newline}"),
        // A file without an end of its last line has none afterwards either, so that taking out finds it so again.
        false if !text.ends_with('\n') => format!("{text}{newline}{newline}{block}"),
        false => format!("{text}{newline}{block}{newline}"),
    })
}

/// Takes the table `name` out of `container`, however it is written there.
pub(super) fn remove(text: &str, container: &str, name: &str) -> Result<String, NotEditable> {
    let document = document(text)?;
    let Some(Item::Table(servers)) = document.get(container) else { return Err(NOT_A_TABLE) };
    let Some((key, entry)) = servers.get_key_value(name) else { return Ok(text.to_owned()) };
    let mut spans = Vec::new();
    let range = match entry {
        Item::Table(entry) if !entry.is_dotted() && !entry.is_implicit() => {
            table_spans(entry, &mut spans);
            block(text, document.as_table(), &spans)?
        }
        Item::Value(value) if !servers.is_dotted() => {
            let (start, end) =
                key.span().zip(value.span()).map(|(key, value)| (key.start, value.end)).ok_or(NOT_A_TABLE)?;
            let lines = lines(text, start, end);
            // What else stands on the line is not ours.
            if !text[lines.start..start].trim().is_empty() {
                return Err(NOT_A_TABLE);
            }
            lines
        }
        _ => return Err(NOT_A_TABLE),
    };
    Ok(spliced(text, vec![Splice { range, text: String::new() }]))
}

/// Finds where a table and those below it, and all values in them, stand.
fn table_spans(table: &Table, spans: &mut Vec<Range<usize>>) {
    // A table without a head of its own has the span of a name in somebody else's.
    spans.extend(table.span().filter(|_| !table.is_implicit() && !table.is_dotted()));
    table.iter().for_each(|(_, item)| item_spans(item, spans));
}

fn item_spans(item: &Item, spans: &mut Vec<Range<usize>>) {
    match item {
        Item::Table(inner) => table_spans(inner, spans),
        Item::ArrayOfTables(tables) => tables.iter().for_each(|inner| table_spans(inner, spans)),
        Item::Value(value) => spans.extend(value.span()),
        Item::None => {}
    }
}

/// Returns the lines that `spans` take, and the blank one that was put before them.
fn block(text: &str, root: &Table, spans: &[Range<usize>]) -> Result<Range<usize>, NotEditable> {
    let start = spans.iter().map(|span| span.start).min().ok_or(NOT_A_TABLE)?;
    let end = spans.iter().map(|span| span.end).max().ok_or(NOT_A_TABLE)?;
    let mut all = Vec::new();
    root.iter().for_each(|(_, item)| item_spans(item, &mut all));
    let is_alone = |span: &Range<usize>| span.end <= start || span.start >= end || spans.contains(span);
    if !all.iter().all(is_alone) {
        return Err(NotEditable::Shape("other tables stand between those of `parler`"));
    }
    let lines = lines(text, start, end);
    let before = text[..lines.start].strip_suffix('\n').map(|before| before.trim_end_matches('\r'));
    let is_last = text[end..].trim().is_empty() && !text[lines.start..lines.end].ends_with('\n');
    Ok(match before {
        // Two ends of line were put before a block at the end of a file that had none.
        Some(before) if is_last => {
            let before = before.strip_suffix('\n').unwrap_or(before);
            before.trim_end_matches('\r').len()..lines.end
        }
        Some(before) if before.ends_with('\n') => before.len()..lines.end,
        _ => lines,
    })
}
