//! What a tool answers: a text and an object with the same facts, since some hosts show their model the one and some the other.
//! Everything that somebody else wrote passes the cleaner before it is in either.

use protocol::clean;
use rmcp::model::{CallToolResult, ContentBlock, Resource};
use serde::Serialize;
use serde_json::Value;

use crate::host::Problem;

/// The answer of a tool.
#[derive(Debug)]
pub(crate) struct Reply {
    text: String,
    facts: Value,
    notes: Vec<String>,
    link: Option<Resource>,
}

impl Reply {
    /// Answers with `text`, whose first line is enough to act on, and with `facts`.
    pub(crate) fn new(text: impl Into<String>, facts: &impl Serialize) -> Self {
        let mut facts = serde_json::to_value(facts).expect("answers have string keys and no failing part");
        cleaned(&mut facts);
        Self { text: text.into(), facts, notes: Vec::new(), link: None }
    }

    /// Names a resource beside it.
    pub(crate) fn link(self, link: Resource) -> Self {
        Self { link: Some(link), ..self }
    }

    /// Tells something besides.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Returns it as the protocol has it, with `more` to tell: lines of the text, and `notes` of the object.
    pub(crate) fn into_result(self, more: &[String]) -> CallToolResult {
        let Self { mut text, mut facts, mut notes, link } = self;
        notes.extend_from_slice(more);
        noted(&mut text, &notes);
        if let (Value::Object(facts), false) = (&mut facts, notes.is_empty()) {
            let notes = notes.iter().map(|note| clean::line(note).into_owned().into()).collect();
            facts.insert("notes".to_owned(), Value::Array(notes));
        }
        let mut result = CallToolResult::structured(facts);
        result.content = vec![ContentBlock::text(text)];
        result.content.extend(link.map(ContentBlock::resource_link));
        result
    }
}

/// Returns a problem as the protocol has it, and what is to be told besides. Without an object: hosts hold it against the schema of
/// what goes well, and show their own complaint instead of the sentence.
pub(crate) fn failed(problem: &Problem, notes: &[String]) -> CallToolResult {
    let mut text = format!("error: {} ({})", clean::line(&problem.message), problem.code);
    if let Some(hint) = &problem.hint {
        text = format!("{text}\nhint: {}", clean::block(hint));
    }
    noted(&mut text, notes);
    CallToolResult::error(vec![ContentBlock::text(text)])
}

fn noted(text: &mut String, notes: &[String]) {
    for note in notes {
        text.push_str("\nnote: ");
        text.push_str(&clean::line(note));
    }
}

/// Cleans every text in a value, and takes out fields that say nothing: to the schema that clients see, a field is there with its
/// type or not at all.
pub(crate) fn cleaned(value: &mut Value) {
    match value {
        Value::String(text) => *text = clean::block(text).into_owned(),
        Value::Array(items) => items.iter_mut().for_each(cleaned),
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(cleaned);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_peer_wrote_is_cleaned_in_the_text_and_in_the_object() {
        let reply = Reply::new("1 message", &json!({ "text": "a\u{1b}[2J\u{202e}b\nc", "none": null }));
        let result = reply.note("x\ny\u{1b}").into_result(&["z".to_owned()]);
        let facts = json!({ "text": "a\u{fffd}[2J\u{fffd}b\nc", "notes": ["x y\u{fffd}", "z"] });
        assert_eq!(result.structured_content, Some(facts));
        assert_eq!(result.content[0].as_text().unwrap().text, "1 message\nnote: x y\u{fffd}\nnote: z");
    }

    #[test]
    fn a_problem_has_its_code_and_remedy_and_no_object() {
        let problem = Problem {
            code: "not_found",
            message: "no such\nhandoff".to_owned(),
            hint: Some("git parler list".to_owned()),
        };
        let result = failed(&problem, &["and".to_owned()]);
        assert_eq!((result.is_error, result.structured_content.is_none()), (Some(true), true));
        assert_eq!(
            result.content[0].as_text().unwrap().text,
            "error: no such handoff (not_found)\nhint: git parler list\nnote: and"
        );
    }
}
