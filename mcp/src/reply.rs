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
    link: Option<Resource>,
}

impl Reply {
    /// Answers with `text`, whose first line is enough to act on, and with `facts`.
    pub(crate) fn new(text: impl Into<String>, facts: &impl Serialize) -> Self {
        let mut facts = serde_json::to_value(facts).expect("answers have string keys and no failing part");
        cleaned(&mut facts);
        Self { text: text.into(), facts, link: None }
    }

    /// Names a resource beside it.
    pub(crate) fn link(self, link: Resource) -> Self {
        Self { link: Some(link), ..self }
    }

    /// Adds lines behind the text.
    pub(crate) fn remarks(mut self, remarks: &[String]) -> Self {
        for remark in remarks {
            self.text = format!("{}\nnote: {}", self.text, clean::line(remark));
        }
        self
    }

    /// Returns it as the protocol has it.
    pub(crate) fn into_result(self) -> CallToolResult {
        let mut result = CallToolResult::structured(self.facts);
        result.content = vec![ContentBlock::text(self.text)];
        result.content.extend(self.link.map(ContentBlock::resource_link));
        result
    }
}

/// Returns a problem as the protocol has it. Without an object: hosts hold it against the schema of what goes well, and show
/// their own complaint instead of the sentence.
pub(crate) fn failed(problem: &Problem) -> CallToolResult {
    let mut text = format!("error: {} ({})", clean::line(&problem.message), problem.code);
    if let Some(hint) = &problem.hint {
        text = format!("{text}\nhint: {}", clean::block(hint));
    }
    CallToolResult::error(vec![ContentBlock::text(text)])
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
        let result = reply.remarks(&["x\ny\u{1b}".to_owned()]).into_result();
        assert_eq!(result.structured_content, Some(json!({ "text": "a\u{fffd}[2J\u{fffd}b\nc" })));
        assert_eq!(result.content[0].as_text().unwrap().text, "1 message\nnote: x y\u{fffd}");
    }

    #[test]
    fn a_problem_has_its_code_and_remedy_and_no_object() {
        let problem = Problem {
            code: "not_found",
            message: "no such\nhandoff".to_owned(),
            hint: Some("git parler list".to_owned()),
        };
        let result = failed(&problem);
        assert_eq!((result.is_error, result.structured_content.is_none()), (Some(true), true));
        assert_eq!(
            result.content[0].as_text().unwrap().text,
            "error: no such handoff (not_found)\nhint: git parler list"
        );
    }
}
