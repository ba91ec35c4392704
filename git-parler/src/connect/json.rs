//! JSON as hosts have it: with comments, trailing commas and a byte order mark. Members are put in and taken out of the
//! text, of which every other byte stays; taking out undoes putting in.

use std::borrow::Cow;
use std::ops::Range;

use jsonc_parser::ast;
use jsonc_parser::tokens::{Token, TokenAndRange};
use jsonc_parser::{CollectOptions, CommentCollectionStrategy, ParseOptions, parse_to_ast};
use serde_json::Value;

use super::halves::without_halves;
use super::tree::{
    BYTE_ORDER_MARK, Entry, Kind, Member, NOT_ALONE, Node, NotEditable, Splice, indentation, newline, quoted,
    spliced,
};

/// Comments and trailing commas, and nothing else that is not JSON: what a host that is stricter would not read in the
/// first place is no reason to guess.
const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Reads a text; nothing where it holds no value.
pub(super) fn parse(text: &str) -> Result<Option<Node>, NotEditable> {
    let offset = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    let collect = CollectOptions { comments: CommentCollectionStrategy::Off, tokens: false };
    let readable = without_halves(text);
    let parsed = parse_to_ast(&readable[offset..], &collect, &OPTIONS).map_err(|error| {
        NotEditable::Syntax { line: Some(error.line_display()), reason: error.kind().to_string() }
    })?;
    Ok(parsed.value.map(|value| node(value, offset)))
}

fn node(value: ast::Value<'_>, offset: usize) -> Node {
    let range = jsonc_parser::common::Ranged::range(&value);
    let span = range.start + offset..range.end + offset;
    let kind = match value {
        ast::Value::Object(object) => Kind::Map(
            object
                .properties
                .into_iter()
                .map(|property| Member {
                    start: property.range.start + offset,
                    name: property.name.into_string(),
                    value: node(property.value, offset),
                })
                .collect(),
        ),
        ast::Value::Array(array) => {
            Kind::List(array.elements.into_iter().map(|element| node(element, offset)).collect())
        }
        ast::Value::StringLit(text) => Kind::Leaf(Value::String(text.value.into_owned())),
        // As it is spelled: a number too large for a machine's ones is compared too.
        ast::Value::NumberLit(number) => Kind::Leaf(serde_json::json!({ "number": number.value })),
        ast::Value::BooleanLit(boolean) => Kind::Leaf(Value::Bool(boolean.value)),
        ast::Value::NullKeyword(_) => Kind::Leaf(Value::Null),
    };
    Node { span, kind }
}

/// Puts `entry` in as `name` of the map `container`, which is made where it is missing.
pub(super) fn insert(text: &str, container: &str, name: &str, entry: &Entry) -> Result<String, NotEditable> {
    let (text, root) = match parse(text)? {
        Some(root) => (Cow::Borrowed(text), root),
        None => {
            let text = with_object(text);
            let root = parse(&text)?.expect("comments that can be read end before the object behind them");
            (Cow::Owned(text), root)
        }
    };
    let readable = without_halves(&text);
    let page = Page::of(&text, &readable)?;
    let splices = match root.get(container) {
        Some(servers) => page.insert(servers, &root, &|layout| member((name, &[]), entry, layout)),
        None => page.insert(&root, &root, &|layout| member((container, &[name]), entry, layout)),
    };
    Ok(spliced(&text, splices))
}

/// Puts `value` behind what is in the map or list at `path`, in a map under `name`. What is missing of the path is made, of maps
/// and, without a name, a list at its end.
pub(super) fn append(
    text: &str,
    path: &[&str],
    name: Option<&str>,
    value: &Value,
) -> Result<String, NotEditable> {
    let text = if parse(text)?.is_none() { Cow::Owned(with_object(text)) } else { Cow::Borrowed(text) };
    let root = parse(&text)?.expect("it has an object at least");
    let readable = without_halves(&text);
    let page = Page::of(&text, &readable)?;
    let (mut node, mut missing) = (&root, path);
    while let Some((first, rest)) = missing.split_first()
        && let Some(inner) = node.get(first)
    {
        (node, missing) = (inner, rest);
    }
    let mut value = value.clone();
    let mut name = name;
    if let Some((first, rest)) = missing.split_first() {
        value = match name {
            Some(name) => serde_json::json!({ name: value }),
            None => serde_json::json!([value]),
        };
        value = rest.iter().rev().fold(value, |value, name| serde_json::json!({ *name: value }));
        name = Some(*first);
    }
    let splices = page.insert(node, &root, &|layout| {
        let prefix = name.map(|name| format!("{}: ", quoted(name))).unwrap_or_default();
        prefix + &spelled(&value, layout)
    });
    Ok(spliced(&text, splices))
}

/// A step to a value: by its name in a map, or by its place in a list.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    Name(&'a str),
    Place(usize),
}

/// Returns the value to which `path` leads.
pub(super) fn at<'a>(root: &'a Node, path: &[Step<'_>]) -> Option<&'a Node> {
    path.iter().try_fold(root, |node, step| match step {
        Step::Name(name) => node.get(name),
        Step::Place(place) => node.items()?.get(*place),
    })
}

/// Takes the value to which `path` leads out of the map or list in which it is.
pub(super) fn take_out(text: &str, path: &[Step<'_>]) -> Result<String, NotEditable> {
    let root = parse(text)?.ok_or(NOT_ALONE)?;
    let (last, path) = path.split_last().expect("a path leads somewhere");
    let node = at(&root, path).ok_or(NOT_ALONE)?;
    let index = match last {
        Step::Place(place) => Some(*place),
        Step::Name(name) => {
            node.members().and_then(|members| members.iter().position(|member| member.name == *name))
        }
    };
    let splices = Page::of(text, &without_halves(text))?.remove(node, index.ok_or(NOT_ALONE)?);
    Ok(spliced(text, splices))
}

/// Spells a value: over several lines where there is a layout, whose indentation is that of the line on which it begins.
fn spelled(value: &Value, layout: Option<Layout<'_>>) -> String {
    let (parts, [open, close]): (Vec<(String, &Value)>, _) = match value {
        Value::Array(items) if !items.is_empty() => {
            (items.iter().map(|item| (String::new(), item)).collect(), ["[", "]"])
        }
        Value::Object(members) if !members.is_empty() => {
            let named = members.iter().map(|(name, value)| (format!("{}: ", quoted(name)), value));
            (named.collect(), ["{", "}"])
        }
        scalar => return scalar.to_string(),
    };
    let Some(outer) = layout else {
        let parts: Vec<_> = parts.into_iter().map(|(name, value)| name + &spelled(value, None)).collect();
        return format!("{open}{}{close}", parts.join(", "));
    };
    let (newline, indent) = (outer.newline, format!("{}{}", outer.indent, outer.unit));
    let inner = Layout { indent: &indent, ..outer };
    let parts: Vec<_> = parts.into_iter().map(|(name, value)| name + &spelled(value, Some(inner))).collect();
    let parts = parts.join(&format!(",{newline}{indent}"));
    format!("{open}{newline}{indent}{parts}{newline}{}{close}", outer.indent)
}

/// Returns where the members of a map or the items of a list begin and end.
fn parts(node: &Node) -> Vec<Range<usize>> {
    match &node.kind {
        Kind::Map(members) => members.iter().map(|member| member.start..member.value.span.end).collect(),
        Kind::List(items) => items.iter().map(|item| item.span.clone()).collect(),
        Kind::Leaf(_) => Vec::new(),
    }
}

/// A text that holds no value may hold a mark and comments, which stay.
fn with_object(text: &str) -> String {
    let newline = newline(text);
    let is_ended = text.trim_start_matches(BYTE_ORDER_MARK).is_empty() || text.ends_with('\n');
    format!("{text}{}{{}}{newline}", if is_ended { "" } else { newline })
}

/// Takes `name` out of the map `container`, and that too where it `is_ours` and has become empty.
pub(super) fn remove(text: &str, container: &str, name: &str, is_ours: bool) -> Result<String, NotEditable> {
    let rest = without(text, &[container], name)?;
    let root = parse(&rest).map_err(|_of_ours| NOT_ALONE)?;
    match root.as_ref().and_then(|root| root.get(container)) {
        Some(servers) if is_ours && rest[servers.span.clone()] == *"{}" => without(&rest, &[], container),
        _ => Ok(rest),
    }
}

fn without(text: &str, path: &[&str], name: &str) -> Result<String, NotEditable> {
    let root = parse(text)?;
    let map = path.iter().try_fold(root.as_ref(), |map, step| Some(map?.get(step))).flatten();
    let Some(map) = map else { return Ok(text.to_owned()) };
    let index = map.members().unwrap_or_default().iter().position(|member| member.name == name);
    let Some(index) = index else { return Ok(text.to_owned()) };
    Ok(spliced(text, Page::of(text, &without_halves(text))?.remove(map, index)))
}

/// A text and its tokens, comments among them.
struct Page<'a> {
    text: &'a str,
    tokens: Vec<TokenAndRange<'a>>,
    offset: usize,
}

impl<'a> Page<'a> {
    fn of(text: &'a str, readable: &'a str) -> Result<Self, NotEditable> {
        let offset = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        let collect = CollectOptions { comments: CommentCollectionStrategy::AsTokens, tokens: true };
        let parsed = parse_to_ast(&readable[offset..], &collect, &OPTIONS)
            .map_err(|error| NotEditable::Syntax { line: None, reason: error.kind().to_string() })?;
        Ok(Self { text, tokens: parsed.tokens.unwrap_or_default(), offset })
    }

    /// Returns the tokens from `place` on, each with where it begins and ends.
    fn from(&self, place: usize) -> impl Iterator<Item = (&Token<'a>, usize, usize)> {
        let tokens = self.tokens.iter();
        tokens
            .map(|token| (&token.token, token.range.start + self.offset, token.range.end + self.offset))
            .filter(move |(_, start, _)| *start >= place)
    }

    /// Returns the end of the last token before `place`.
    fn end_before(&self, place: usize) -> usize {
        let ends = self.tokens.iter().map(|token| token.range.end + self.offset);
        ends.take_while(|end| *end <= place).last().unwrap_or(self.offset)
    }

    /// Returns the place of the comma behind `place`, if there is one before the next value or brace.
    fn comma_behind(&self, place: usize) -> Option<usize> {
        let next = self.from(place).find(|(token, ..)| !is_comment(token));
        next.filter(|(token, ..)| **token == Token::Comma).map(|(_, start, _)| start)
    }

    /// Puts what `spell` spells behind what is in a map or a list.
    fn insert(&self, map: &Node, root: &Node, spell: &dyn Fn(Option<Layout<'_>>) -> String) -> Vec<Splice> {
        let members = parts(map);
        let (open, close) = (map.span.start + 1, map.span.end - 1);
        let newline = newline(self.text);
        let unit = self.unit(root);
        let is_broken = |from: usize, to: usize| self.text[from..to].contains('\n');
        let Some((first, last)) = members.first().zip(members.last()) else {
            let anchor = self.end_before(close).max(open);
            // A document on one line stays on one.
            let is_line = map.span != root.span && !is_broken(root.span.start, root.span.end);
            if is_line {
                let text = spell(None);
                return vec![Splice { range: anchor..anchor, text }];
            }
            let base = indentation(self.text, map.span.start);
            let indent = format!("{base}{unit}");
            let layout = Layout { newline, unit, indent: &indent };
            let end = if is_broken(anchor, close) { String::new() } else { format!("{newline}{base}") };
            let text = format!("{newline}{indent}{}{end}", spell(Some(layout)));
            return vec![Splice { range: anchor..anchor, text }];
        };
        let value_end = last.end;
        let comma = self.comma_behind(value_end);
        let mut anchor = comma.map_or(value_end, |comma| comma + 1);
        let mut splices = Vec::new();
        let own_comma = if comma.is_some() { "," } else { "" };
        if is_broken(open, first.start) {
            // What stands behind the last member on its line is about it, and stays with it.
            for (token, start, end) in self.from(anchor) {
                if !is_comment(token) || is_broken(anchor, start) {
                    break;
                }
                anchor = end;
            }
            if comma.is_none() {
                splices.push(Splice { range: value_end..value_end, text: ",".to_owned() });
            }
            let indent = indentation(self.text, first.start);
            let layout = Layout { newline, unit, indent };
            let text = format!("{newline}{indent}{}{own_comma}", spell(Some(layout)));
            splices.push(Splice { range: anchor..anchor, text });
        } else {
            let before = if comma.is_some() { " " } else { ", " };
            let text = format!("{before}{}{own_comma}", spell(None));
            splices.push(Splice { range: anchor..anchor, text });
        }
        splices
    }

    /// Returns what one level of indentation is.
    fn unit(&self, root: &Node) -> &'a str {
        let first = root.members().unwrap_or_default().first();
        let own_line = first.filter(|first| self.text[root.span.start..first.start].contains('\n'));
        let unit = own_line.map(|first| indentation(self.text, first.start));
        unit.filter(|unit| !unit.is_empty()).unwrap_or("  ")
    }

    /// Takes one part out of a map or a list.
    fn remove(&self, map: &Node, index: usize) -> Vec<Splice> {
        let members = parts(map);
        let member = &members[index];
        let cut = |range| Splice { range, text: String::new() };
        if let Some(comma) = self.comma_behind(member.end) {
            return vec![cut(self.cut_start(member.start, comma + 1)..comma + 1)];
        }
        let end = member.end;
        let start = self.cut_start(member.start, end);
        let close = map.span.end - 1;
        match index.checked_sub(1).map(|before| &members[before]) {
            // The last one: the comma before it goes with it.
            Some(before) => {
                let comma = self.comma_behind(before.end).expect("members are separated by commas");
                if comma + 1 == start {
                    vec![cut(comma..end)]
                } else {
                    vec![cut(comma..comma + 1), cut(start..end)]
                }
            }
            None if start == map.span.start + 1 && self.text[end..close].trim().is_empty() => {
                vec![cut(start..close)]
            }
            None => vec![cut(start..end)],
        }
    }

    /// Returns from where on a member from `start` to `end` is cut: from the token before it, unless that is a comment that goes
    /// to the end of its line and would take in what is left of the line of `end`.
    fn cut_start(&self, start: usize, end: usize) -> usize {
        let rest = self.text[end..].split('\n').next().unwrap_or_default();
        let ends = self.tokens.iter().map(|token| (&token.token, token.range.end + self.offset));
        match ends.take_while(|(_, end)| *end <= start).last() {
            Some((Token::CommentLine(_), _)) if !rest.trim().is_empty() => start,
            Some((_, end)) => end,
            None => self.offset,
        }
    }
}

fn is_comment(token: &Token<'_>) -> bool {
    matches!(token, Token::CommentLine(_) | Token::CommentBlock(_))
}

/// How a value that takes several lines is laid out.
#[derive(Clone, Copy)]
struct Layout<'a> {
    newline: &'a str,
    unit: &'a str,
    /// What the line of its name begins with.
    indent: &'a str,
}

/// Spells `entry` under a name, or under the last of several, of which each is in the map of the one before: over several lines
/// where there is a layout, else on one.
fn member((name, inner): (&str, &[&str]), entry: &Entry, layout: Option<Layout<'_>>) -> String {
    let indent = layout.map(|layout| format!("{}{}", layout.indent, layout.unit));
    let deeper = layout.zip(indent.as_deref()).map(|(layout, indent)| Layout { indent, ..layout });
    let members = match inner.split_first() {
        None => entry.iter().map(|(name, field)| format!("{}: {}", quoted(name), field.spelled())).collect(),
        Some((first, rest)) => vec![member((first, rest), entry, deeper)],
    };
    let Some((outer, Layout { newline, indent, .. })) = layout.zip(deeper) else {
        return format!("{}: {{{}}}", quoted(name), members.join(", "));
    };
    let members = members.join(&format!(",{newline}{indent}"));
    format!("{}: {{{newline}{indent}{members}{newline}{}}}", quoted(name), outer.indent)
}
