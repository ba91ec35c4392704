//! YAML, of which only whole lines are touched: no editor that keeps the form of a file is well kept. A parser reads the
//! file before and after; where `container` is not plainly written as a block, the file is left alone.

use std::cell::Cell;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};
use serde_json::Value;

use super::tree::{
    BYTE_ORDER_MARK, Entry, Kind, Member, Node, NotEditable, Splice, indentation, lines, newline, spliced,
};

const NOT_A_BLOCK: NotEditable = NotEditable::Shape("its servers are not written as a block, line by line");
const DEPTH_MAX: usize = 100;

/// Reads a text; nothing where it holds no value.
pub(super) fn parse(text: &str) -> Result<Option<Node>, NotEditable> {
    // The parser and editors disagree on whether a return alone ends a line.
    if text.replace("\r\n", "").contains('\r') {
        return Err(NotEditable::Shape("its lines end with returns alone"));
    }
    let text = Text::of(text);
    let mut events = Parser::new_from_str(text.text);
    let mut root = None;
    loop {
        match text.next(&mut events)? {
            (Event::StreamEnd, _) => return Ok(root),
            (Event::StreamStart | Event::DocumentEnd | Event::Nothing, _) => {}
            (Event::DocumentStart(_), _) if root.is_none() => {}
            (Event::DocumentStart(_), _) => return Err(NotEditable::Shape("it holds several documents")),
            event => root = Some(text.node(event, &mut events, 0)?).filter(|node| !is_nothing(node)),
        }
    }
}

fn is_nothing(node: &Node) -> bool {
    node.kind == Kind::Leaf(Value::Null)
}

struct Text<'a> {
    text: &'a str,
    lines: Vec<usize>,
    /// The line, column and byte of the place that was asked for last.
    last: Cell<(usize, usize, usize)>,
}

impl<'a> Text<'a> {
    fn of(text: &'a str) -> Self {
        let starts = text.match_indices('\n').map(|(newline, _)| newline + 1);
        Self { text, lines: std::iter::once(0).chain(starts).collect(), last: Cell::new((0, 0, 0)) }
    }

    fn next<I: saphyr_parser::Input>(
        &self,
        events: &mut Parser<'a, I>,
    ) -> Result<(Event<'a>, Span), NotEditable> {
        events
            .next()
            .transpose()
            .map_err(|error| unread(&error))?
            .ok_or(NotEditable::Shape("it ends too early"))
    }

    /// By line and column: the parser's own count of characters is one of bytes in places. Columns are counted from the place
    /// before, which is close by: from the start of a long line it would take its length for every value in it.
    fn place(&self, marker: Marker) -> usize {
        let line = marker.line().saturating_sub(1);
        let Some(start) = self.lines.get(line) else { return self.text.len() };
        let (column, byte) = match self.last.get() {
            (last, column, byte) if last == line => (column, byte),
            _ => (0, *start),
        };
        let place = match marker.col().checked_sub(column) {
            Some(0) => Some(byte),
            Some(more) => self.text[byte..].char_indices().nth(more).map(|(offset, _)| byte + offset),
            None => {
                let before = self.text[*start..byte].char_indices().rev();
                before.map(|(offset, _)| start + offset).nth(column - marker.col() - 1)
            }
        };
        let Some(place) = place else { return self.text.len() };
        self.last.set((line, marker.col(), place));
        place
    }

    fn node<I: saphyr_parser::Input>(
        &self,
        (event, span): (Event<'a>, Span),
        events: &mut Parser<'a, I>,
        depth: usize,
    ) -> Result<Node, NotEditable> {
        if depth > DEPTH_MAX {
            return Err(NotEditable::Shape("it is nested too deeply"));
        }
        let start = self.place(span.start);
        let mut end = self.place(span.end);
        let kind = match event {
            Event::Scalar(text, style, ..) if self.is_unended(style, end) => {
                Kind::Leaf(serde_json::json!({ "unended": text }))
            }
            Event::Scalar(text, style, _, tag) => Kind::Leaf(scalar(&text, style, tag.is_some())),
            Event::Alias(anchor) => Kind::Leaf(serde_json::json!({ "alias": anchor })),
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next(events)? {
                        (Event::SequenceEnd, span) => {
                            end = self.end(span, items.last(), end);
                            break Kind::List(items);
                        }
                        event => items.push(self.node(event, events, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => {
                let mut members: Vec<Member> = Vec::new();
                loop {
                    match self.next(events)? {
                        (Event::MappingEnd, span) => {
                            end = self.end(span, members.last().map(|member| &member.value), end);
                            break Kind::Map(members);
                        }
                        event => {
                            let name = self.node(event, events, depth + 1)?;
                            let event = self.next(events)?;
                            let value = self.node(event, events, depth + 1)?;
                            let text = name.text().map_or_else(|| name.value().to_string(), str::to_owned);
                            members.push(Member { name: text, start: name.span.start, value });
                        }
                    }
                }
            }
            _ => return Err(NotEditable::Shape("it is not a plain document")),
        };
        Ok(Node { span: start..end.max(start), kind })
    }

    /// A block ends where the next thing begins; what counts is where its last value does. A list in brackets ends with its
    /// bracket, behind which the parser has already gone on to the next thing.
    fn end(&self, span: Span, last: Option<&Node>, open: usize) -> usize {
        let is_block = span.start == span.end;
        if is_block { last.map_or(open, |last| last.span.end) } else { self.place(span.start) + 1 }
    }

    /// Says whether a text in lines of its own is the last thing in a file whose last line has no end: then it has none either,
    /// until something comes after it.
    fn is_unended(&self, style: ScalarStyle, end: usize) -> bool {
        matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)
            && end >= self.text.len()
            && !self.text.ends_with('\n')
    }
}

fn unread(error: &ScanError) -> NotEditable {
    NotEditable::Syntax { line: Some(error.marker().line()), reason: error.info().to_owned() }
}

/// Keeps apart what is spelled differently, which is all that a comparison needs; only a plain null is known as such.
fn scalar(text: &str, style: ScalarStyle, is_tagged: bool) -> Value {
    let is_plain = style == ScalarStyle::Plain;
    match text {
        _ if is_tagged => serde_json::json!({ "tagged": text }),
        "" | "~" | "null" | "Null" | "NULL" if is_plain => Value::Null,
        _ => Value::from(text),
    }
}

/// Puts `entry` in as `name` of the map `container`, which is made where it is missing.
pub(super) fn insert(text: &str, container: &str, name: &str, entry: &Entry) -> Result<String, NotEditable> {
    let newline = newline(text);
    let block = |indent: &str, unit: &str| {
        let fields =
            entry.iter().map(|(name, field)| format!("{newline}{indent}{unit}{name}: {}", field.spelled()));
        format!("{indent}{name}:{}", fields.collect::<String>())
    };
    let root = parse(text)?;
    let member =
        root.as_ref().and_then(|root| root.members()?.iter().find(|member| member.name == container));
    let Some(member) = member else {
        return append(text, root.as_ref(), &format!("{container}:{newline}{}", block("  ", "  ")));
    };
    let base = indentation(text, member.start);
    if !base.is_empty()
        || text[..member.start].ends_with(|before| before != '\n' && before != BYTE_ORDER_MARK)
    {
        return Err(NOT_A_BLOCK);
    }
    let head = line_end(text, member.start);
    let servers = &member.value;
    let new = match &servers.kind {
        Kind::Map(members) if !members.is_empty() => {
            let first = &members[0];
            let indent = indentation(text, first.start);
            if first.start < head
                || text[..first.start].strip_suffix(indent).is_none_or(|before| !before.ends_with('\n'))
            {
                return Err(NOT_A_BLOCK);
            }
            // As deep as the values of the first server are below its name.
            let inner = first.value.members().and_then(|fields| fields.first());
            let unit = inner.map(|field| indentation(text, field.start));
            let unit = unit.and_then(|deeper| deeper.strip_prefix(indent)).filter(|unit| !unit.is_empty());
            Splice { range: head..head, text: format!("{newline}{}", block(indent, unit.unwrap_or("  "))) }
        }
        Kind::Map(_) if &text[servers.span.clone()] == "{}" => {
            let start = text[..servers.span.start].trim_end_matches(' ').len();
            Splice { range: start..servers.span.end, text: format!("{newline}{}", block("  ", "  ")) }
        }
        Kind::Leaf(Value::Null) if is_bare(text[member.start..head].strip_prefix(container)) => {
            Splice { range: head..head, text: format!("{newline}{}", block("  ", "  ")) }
        }
        _ => return Err(NOT_A_BLOCK),
    };
    Ok(spliced(text, vec![new]))
}

/// Says whether nothing but a comment stands behind a name.
fn is_bare(after: Option<&str>) -> bool {
    let rest = after.and_then(|after| after.strip_prefix(':'));
    rest.is_some_and(|rest| rest.trim().is_empty() || rest.trim_start().starts_with('#'))
}

/// Puts a block behind everything. Without a blank line, which would become part of a text that ends the file.
fn append(text: &str, root: Option<&Node>, block: &str) -> Result<String, NotEditable> {
    let newline = newline(text);
    if let Some(root) = root {
        let first = root.members().and_then(|members| members.first()).map(|first| first.start);
        let is_block = first.is_some_and(|first| {
            text[..first].ends_with('\n') || text[..first].trim_start_matches(BYTE_ORDER_MARK).is_empty()
        });
        if !is_block {
            return Err(NotEditable::Shape("it is not a mapping that is written as a block"));
        }
    }
    let is_blank = text.trim_start_matches(BYTE_ORDER_MARK).is_empty();
    Ok(match text.ends_with('\n') || is_blank {
        true => format!("{text}{block}{newline}"),
        false => format!("{text}{newline}{block}"),
    })
}

/// Takes `name` out of the map `container`, and that too where it `is_ours` and has become empty.
pub(super) fn remove(text: &str, container: &str, name: &str, is_ours: bool) -> Result<String, NotEditable> {
    let root = parse(text)?;
    let member =
        root.as_ref().and_then(|root| root.members()?.iter().find(|member| member.name == container));
    let Some((member, servers)) = member.and_then(|member| Some((member, member.value.members()?))) else {
        return Ok(text.to_owned());
    };
    let Some(entry) = servers.iter().find(|server| server.name == name) else { return Ok(text.to_owned()) };
    let begins_its_line = |place: usize| {
        let before = text[..place].trim_end_matches([' ', '\t', BYTE_ORDER_MARK]);
        before.is_empty() || before.ends_with('\n')
    };
    if !begins_its_line(entry.start) || entry.start < line_end(text, member.start) {
        return Err(NOT_A_BLOCK);
    }
    if servers.len() > 1 {
        return Ok(spliced(text, vec![cut(text, entry.start, entry.value.span.end)]));
    }
    // What somebody wrote down about the servers stays, and what it is about too.
    let between = text[member.start..entry.start].split_once(':').map(|(_, between)| between);
    if is_ours && between.is_some_and(|between| between.trim().is_empty()) {
        return Ok(spliced(text, vec![cut(text, member.start, entry.value.span.end)]));
    }
    let head = member.start + container.len() + 1;
    if text.get(member.start..head) != Some(format!("{container}:").as_str()) {
        return Err(NOT_A_BLOCK);
    }
    let lines = cut(text, entry.start, entry.value.span.end);
    Ok(spliced(text, vec![Splice { range: head..head, text: " {}".to_owned() }, lines]))
}

/// The lines from the one of `start` to the one of `end`, with one end of line: theirs, or the one before at the end of a file
/// whose last line has none.
fn cut(text: &str, start: usize, end: usize) -> Splice {
    // The value of a block text ends with its last line's end.
    let end = if text[..end].ends_with('\n') { end - 1 } else { end };
    let mut range = lines(text, start, end);
    if !text[range.clone()].ends_with('\n')
        && let Some(before) = text[..range.start].strip_suffix('\n')
    {
        range.start = before.trim_end_matches('\r').len();
    }
    Splice { range, text: String::new() }
}

/// Returns where the line of the byte at `place` ends, before its end of line.
fn line_end(text: &str, place: usize) -> usize {
    let line = lines(text, place, place);
    line.start + text[line].trim_end_matches(['\r', '\n']).len()
}
