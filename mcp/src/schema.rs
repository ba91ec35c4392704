//! Schemas in the form that every client takes: without formats of integers, without types that are `null` too, and of results no
//! more than an outline, since the whole list of tools is in each conversation.

use std::sync::Arc;

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::model::JsonObject;
use serde_json::{Map, Value, json};

/// Brings the schemas of all tools into form.
pub(crate) fn tidy<S>(tools: &mut ToolRouter<S>) {
    for route in tools.map.values_mut() {
        route.attr.input_schema = Arc::new(input(&route.attr.input_schema));
        route.attr.output_schema =
            route.attr.output_schema.as_deref().map(|schema| Arc::new(outline(schema)));
    }
}

/// Returns the schema of a tool's arguments, whole.
fn input(schema: &JsonObject) -> JsonObject {
    let mut value = Value::Object(schema.clone());
    plain(&mut value);
    let Value::Object(mut map) = value else { unreachable!("an object stays one") };
    map.insert("additionalProperties".into(), false.into());
    if map.get("properties").and_then(Value::as_object).is_none_or(Map::is_empty) {
        return json_object(json!({ "type": "object", "additionalProperties": false }));
    }
    map
}

/// Returns the names of the fields of a result, and of each no more than its type.
fn outline(schema: &JsonObject) -> JsonObject {
    let mut value = Value::Object(schema.clone());
    plain(&mut value);
    let fields = value.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let kinds = value.get("$defs").cloned().unwrap_or_default();
    let mut fields: Map<String, Value> =
        fields.into_iter().map(|(name, field)| (name, json!({ "type": kind(&field, &kinds) }))).collect();
    // What any result may tell besides.
    fields.insert("notes".to_owned(), json!({ "type": "array" }));
    json_object(json!({ "type": "object", "properties": fields }))
}

/// Returns the type of a field, which may be a reference to one of `kinds`: an object, or an enum of words.
fn kind(field: &Value, kinds: &Value) -> Value {
    let named = field.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
    let field = named.and_then(|name| kinds.get(name)).unwrap_or(field);
    match field.get("type") {
        Some(kind) => kind.clone(),
        None if field.get("enum").is_some() || field.get("oneOf").is_some() => "string".into(),
        None => "object".into(),
    }
}

/// Takes out what three clients warn about, and what says nothing.
fn plain(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("$schema");
            if map.get("format").and_then(Value::as_str).is_some_and(|format| format.contains("int")) {
                map.remove("format");
                // Of unsigned ones every number says so.
                map.remove("minimum");
            }
            if map.get("default") == Some(&Value::Null) {
                map.remove("default");
            }
            if let Some(Value::Array(kinds)) = map.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [only] = &kinds[..] {
                    let only = only.clone();
                    map.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(words)) = map.get_mut("enum") {
                words.retain(|word| !word.is_null());
            }
            if let Some(Value::Array(any)) = map.get_mut("anyOf") {
                any.retain(|one| one.get("type").and_then(Value::as_str) != Some("null"));
                if let [Value::Object(only)] = &any[..] {
                    let only = only.clone();
                    map.remove("anyOf");
                    map.extend(only);
                }
            }
            map.values_mut().for_each(plain);
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}

fn json_object(value: Value) -> JsonObject {
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was made as an object"),
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;

    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Sample {
        /// How many.
        count: u64,
        at: Option<i64>,
        choice: Option<Choice>,
        rows: Vec<Row>,
        row: Row,
        told: Told,
        retold: Option<Told>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    #[schemars(rename_all = "snake_case", inline)]
    enum Choice {
        Yes,
        No,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    enum Told {
        /// It was.
        Yes,
        /// It was not.
        No,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Row {
        text: String,
    }

    fn schema<T: JsonSchema>() -> JsonObject {
        json_object(schemars::schema_for!(T).to_value())
    }

    #[test]
    fn arguments_are_told_whole_and_in_types_that_every_client_takes() {
        let told = input(&schema::<Sample>());
        assert_eq!(told["properties"]["count"], json!({ "type": "integer", "description": "How many." }));
        assert_eq!(told["properties"]["at"], json!({ "type": "integer" }));
        assert_eq!(told["properties"]["choice"]["enum"], json!(["yes", "no"]));
        assert_eq!(told["additionalProperties"], false);
        let text = Value::Object(told).to_string();
        assert!(!text.contains("null") && !text.contains("int64"), "{text}");
    }

    #[test]
    fn a_result_is_told_by_its_fields_and_their_types() {
        let told = outline(&schema::<Sample>());
        let fields = json!({
            "count": { "type": "integer" }, "at": { "type": "integer" }, "choice": { "type": "string" },
            "rows": { "type": "array" }, "row": { "type": "object" }, "told": { "type": "string" }, "retold": { "type": "string" },
            "notes": { "type": "array" },
        });
        assert_eq!(Value::Object(told), json!({ "type": "object", "properties": fields }));
    }
}
