//! What `fields` does to an operation: which names it takes, and that its answer may be an excerpt of the record.
use serde_json::{Map, Value, json};

const PREFIX: &str = "#/components/schemas/";

/// Says so of every operation with that parameter.
pub(super) fn add(document: &mut Value) {
    let Some(mut schemas) = document.pointer("/components/schemas").and_then(Value::as_object).cloned() else { return };
    let paths = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut);
    let operations = paths.filter_map(Value::as_object_mut).flat_map(Map::values_mut);
    for operation in operations {
        let answer = operation.pointer("/responses/200/content/application~1json/schema/$ref");
        let Some(answer) = answer.and_then(|name| named(name)).map(str::to_owned) else { continue };
        let row = schemas.get(&answer).and_then(|s| s.pointer("/properties/data/items")).cloned();
        let record = row.as_ref().map_or(Some(&*answer), record_of).map(str::to_owned);
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        let fields = parameters.into_iter().flatten().find(|p| p["in"] == "query" && p["name"] == "fields");
        let (Some(fields), Some(record)) = (fields, record) else { continue };
        let Some(properties) = schemas.get(&record).and_then(|s| s.get("properties")).cloned() else { continue };
        takes(fields, &properties);
        let excerpt = format!("{record}Excerpt");
        schemas.entry(&excerpt).or_insert_with(|| {
            json!({
                "type": "object", "description": "Only the members that `fields` names.",
                "properties": properties, "additionalProperties": false,
            })
        });
        let either = json!({ "anyOf": [reference(&record), reference(&excerpt)] });
        match schemas.get_mut(&answer).and_then(|s| s.pointer_mut("/properties/data/items")) {
            Some(items) => *items = either,
            None => operation["responses"]["200"]["content"]["application/json"]["schema"] = either,
        }
    }
    document["components"]["schemas"] = Value::Object(schemas);
}

fn takes(parameter: &mut Value, properties: &Value) {
    let names: Vec<_> = properties.as_object().into_iter().flat_map(Map::keys).collect();
    parameter["example"] = json!(names.iter().take(2).collect::<Vec<_>>());
    parameter["style"] = json!("form");
    parameter["explode"] = json!(false);
    parameter["schema"] = json!({
        "type": "array", "items": { "type": "string", "enum": names },
        "minItems": 1, "maxItems": names.len(), "uniqueItems": true,
    });
}

fn named(reference: &Value) -> Option<&str> {
    reference.as_str()?.strip_prefix(PREFIX)
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{PREFIX}{name}") })
}

/// The record of a row, which another operation may have been through already.
fn record_of(row: &Value) -> Option<&str> {
    named(row.get("$ref").or_else(|| row.pointer("/anyOf/0/$ref"))?)
}
