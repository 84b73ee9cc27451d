//! An example for every body: a schema's own, or one put together from its members'.
use crate::error::{Code, Error};
use serde_json::{Map, Value, json};

const UUID: &str = "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55";
const TIME: &str = "2026-03-01T09:30:00.000000Z";

/// The problem that a path answers with a code.
pub(super) fn problem(code: Code, path: &str) -> Value {
    let detail = format!("{}.", code.title());
    let gate = json!([{ "gate": "role", "message": "one of the roles scientist, clinician", "roles": ["scientist", "clinician"] }]);
    let error = match code {
        Code::Invalid => Error::fault("/title", "required", "is required"),
        Code::VersionMismatch => Error::Stale { current: 4 },
        Code::NotPermitted => Error::refused(code, detail).with("unmet", gate),
        Code::UnknownParameter => Error::refused(code, detail).with("parameter", "stgae"),
        Code::TooManyRequests => Error::refused(code, detail).with("retry_after", 30),
        _ => Error::refused(code, detail),
    };
    let mut problem = error.problem();
    let segments: Vec<_> = path.split('/').map(|part| if part.starts_with('{') { UUID } else { part }).collect();
    problem.insert("instance".into(), json!(segments.join("/")));
    problem.insert("request_id".into(), json!(UUID));
    Value::Object(problem)
}

/// Gives the bodies of an operation examples where they have none.
pub(super) fn add(operation: &mut Map<String, Value>, schemas: &Value) {
    if let Some(body) = operation.get_mut("requestBody") {
        exemplify(body, schemas);
    }
    let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
    responses.into_iter().flat_map(Map::values_mut).for_each(|response| exemplify(response, schemas));
}

fn exemplify(body: &mut Value, schemas: &Value) {
    let Some(content) = body.get_mut("content").and_then(Value::as_object_mut) else { return };
    for media in content.values_mut().filter_map(Value::as_object_mut) {
        if let Some(schema) = media.get("schema").filter(|_| !media.contains_key("example")) {
            let example = of(schema, schemas, &[]).unwrap_or(Value::Null);
            media.insert("example".into(), example);
        }
    }
}

/// An example that fits a schema. `within`: the named schemas around it; nothing for one that is among them.
fn of(schema: &Value, schemas: &Value, within: &[&str]) -> Option<Value> {
    if let Some(example) = schema.get("example").or_else(|| schema.pointer("/examples/0")) {
        return Some(example.clone());
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next()) {
        let named = schemas.get(name).filter(|_| !within.contains(&name))?;
        return of(named, schemas, &[within, &[name]].concat());
    }
    if let Some(only) = schema.get("const").or_else(|| schema.pointer("/enum/0")) {
        return Some(only.clone());
    }
    if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
        let members = all.iter().filter_map(|s| of(s, schemas, within)?.as_object().cloned());
        return Some(Value::Object(members.flatten().collect()));
    }
    if let Some(choices) = ["oneOf", "anyOf"].iter().find_map(|either| schema.get(*either)?.as_array()) {
        let fits = choices.iter().filter(|c| c["type"] != "null").find_map(|c| of(c, schemas, within));
        return Some(fits.unwrap_or(Value::Null));
    }
    of_type(schema, schemas, within)
}

fn of_type(schema: &Value, schemas: &Value, within: &[&str]) -> Option<Value> {
    let types = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    Some(match types.into_iter().find(|t| *t != "null")? {
        "object" => {
            let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
            Value::Object(properties.filter_map(|(name, s)| Some((name.clone(), of(s, schemas, within)?))).collect())
        }
        "array" => Value::Array(schema.get("items").and_then(|i| of(i, schemas, within)).into_iter().collect()),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        "boolean" => json!(false),
        _ => match schema["format"].as_str() {
            Some("uuid") => json!(UUID),
            Some("date-time") => json!(TIME),
            _ => json!("text"),
        },
    })
}
