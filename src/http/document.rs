//! Finishes the OpenAPI document that the handlers' annotations make: what follows from the shape of an operation (its
//! problems, its security) is said here once, and every body gets an example.
use super::{limit::is_limited, params::MAX_REPEATED};
use crate::{error::Code, idempotency::LONGEST_KEY};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The finished document (OpenAPI 3.1).
pub fn finished(mut document: Value) -> Value {
    let schemas = document.pointer("/components/schemas").cloned().unwrap_or_else(|| json!({}));
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        for (path, item) in paths.iter_mut() {
            let Some(operations) = item.as_object_mut() else { continue };
            for (method, operation) in operations.iter_mut() {
                if let Some(operation) = operation.as_object_mut() {
                    add_idempotency_key(path, method, operation);
                    add_problems(path, method, operation);
                    add_headers(path, method, operation);
                    add_examples(operation, &schemas);
                }
            }
        }
    }
    add_bounds(&mut document);
    document
}

/// The largest integer that every JSON reader keeps exactly.
const LARGEST: u64 = (1 << 53) - 1;

/// The bounds that follow from how things are stored and read: counts and versions end where JSON's integers do, and a
/// parameter may be repeated so often.
fn add_bounds(node: &mut Value) {
    match node {
        Value::Array(items) => items.iter_mut().for_each(add_bounds),
        Value::Object(members) => {
            let bounded = ["maximum", "exclusiveMaximum"].iter().any(|name| members.contains_key(*name));
            if members.get("format").is_some_and(|f| f == "int64") && members.contains_key("type") && !bounded {
                members.insert("maximum".into(), json!(LARGEST));
            }
            if members.get("in").is_some_and(|place| place == "query")
                && let Some(schema) = members.get_mut("schema").and_then(Value::as_object_mut)
                && schema.get("type").is_some_and(|t| t == "array")
            {
                schema.insert("maxItems".into(), json!(MAX_REPEATED));
            }
            members.values_mut().for_each(add_bounds);
        }
        _ => {}
    }
}

/// Every POST but those of the door may be repeated under a key.
fn add_idempotency_key(path: &str, method: &str, operation: &mut Map<String, Value>) {
    if method != "post" || path.starts_with("/v1/auth/") {
        return;
    }
    let parameter = json!({
        "name": "Idempotency-Key", "in": "header", "required": false,
        "description": "Names the request, so that sending it again has no second effect: the first answer is given \
            again for 24 hours",
        "schema": { "type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[ -~]+$" },
        "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
    });
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.push(parameter);
    }
}

fn is_open(operation: &Map<String, Value>) -> bool {
    operation.get("security").and_then(Value::as_array).is_some_and(|s| s.iter().any(|r| r == &json!({})))
}

fn takes(operation: &Map<String, Value>, place: &str, name: Option<&str>) -> bool {
    let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
    parameters.into_iter().any(|p| p["in"] == place && name.is_none_or(|name| p["name"] == name))
}

/// The problems an operation of this shape can answer.
fn problems(path: &str, method: &str, operation: &Map<String, Value>) -> BTreeSet<u16> {
    let mut statuses = BTreeSet::from([Code::Internal.status(), Code::Overloaded.status()]);
    if path.starts_with("/v1") {
        statuses.insert(Code::UnknownParameter.status());
    }
    if is_limited(path) {
        statuses.insert(Code::TooManyRequests.status());
    }
    if !is_open(operation) {
        statuses.extend([Code::Unauthenticated, Code::NotPermitted].map(Code::status));
    }
    if takes(operation, "path", None) {
        statuses.insert(Code::NotFound.status());
    }
    if takes(operation, "query", None) {
        statuses.insert(Code::Invalid.status());
    }
    if takes(operation, "header", Some("If-Match")) {
        statuses.extend([Code::VersionMismatch.status(), Code::VersionRequired.status()]);
    }
    if operation.contains_key("requestBody") {
        statuses.extend([Code::TooSlow, Code::TooLarge, Code::UnsupportedMediaType, Code::Invalid].map(Code::status));
    }
    if method != "get" && !is_open(operation) {
        statuses.extend([Code::NotFound, Code::Conflict].map(Code::status));
    }
    if path == "/v1/auth/login" {
        statuses.insert(Code::InvalidCredentials.status());
    }
    if path == "/v1/auth/refresh" {
        statuses.insert(Code::SessionEnded.status());
    }
    if path.ends_with("/callback") {
        statuses.insert(Code::SignInFailed.status());
        statuses.remove(&Code::UnknownParameter.status());
    }
    if path == "/v1/signatures/challenges" {
        statuses.insert(Code::VersionMismatch.status());
    }
    statuses
}

fn add_problems(path: &str, method: &str, operation: &mut Map<String, Value>) {
    let statuses = problems(path, method, operation);
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for status in statuses {
        let codes: Vec<_> = Code::ALL.iter().filter(|c| c.status() == status).collect();
        let description: Vec<_> = codes.iter().map(|c| format!("`{}`: {}", c.as_str(), c.title())).collect();
        let example = codes.first().map(|code| {
            json!({
                "type": format!("urn:benchside:problem:{}", code.as_str()), "title": code.title(), "status": status,
                "detail": format!("{}.", code.title()), "code": code.as_str(), "instance": path,
                "request_id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55",
            })
        });
        let problem = json!({
            "description": description.join("; "),
            "content": { "application/problem+json": {
                "schema": { "$ref": "#/components/schemas/Problem" }, "example": example,
            } },
        });
        responses.entry(status.to_string()).or_insert(problem);
    }
}

/// Whether an answer carries the version of one record.
fn carries_version(path: &str, method: &str, operation: &Map<String, Value>) -> bool {
    const WITHOUT: &[&str] = &["/history", "/available", "/findings", "/auth/login", "/challenges", "/disable"];
    let list = method == "get" && path.ends_with("/transitions");
    let one = method != "get" || takes(operation, "path", Some("id"));
    one && !list
        && (method == "post" && path.ends_with("/{id}/findings") || !WITHOUT.iter().any(|end| path.ends_with(end)))
}

fn add_headers(path: &str, method: &str, operation: &mut Map<String, Value>) {
    let versioned = carries_version(path, method, operation);
    let repeatable = takes(operation, "header", Some("Idempotency-Key"));
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for (status, response) in responses {
        let mut headers = Map::new();
        let text = |description: &str, max: u32| json!({ "description": description, "schema": { "type": "string", "maxLength": max } });
        headers.insert("X-Request-Id".into(), json!({ "description": "The request's id", "schema": { "type": "string", "format": "uuid", "maxLength": 36 } }));
        if status == "201" && !path.ends_with("/transitions") && !path.ends_with("/challenges") {
            headers.insert("Location".into(), text("Where it is", 200));
        }
        if status == "302" {
            headers.insert("Location".into(), text("Where to go", 8000));
            headers.insert("Set-Cookie".into(), text("What binds the sign-in to the browser", 200));
        }
        if repeatable && status.starts_with('2') {
            headers.insert("Idempotent-Replayed".into(), text("`true` where this answer was given before", 4));
        }
        if is_limited(path) {
            headers.insert(
                "RateLimit-Policy".into(),
                text("How many requests one caller may make in how many seconds", 100),
            );
            headers.insert("RateLimit".into(), text("How many are left, and in how many seconds all are back", 100));
        }
        if versioned && status.starts_with('2') {
            headers.insert("ETag".into(), text("The record's version", 40));
        }
        if matches!(&**status, "429" | "503") {
            headers.insert(
                "Retry-After".into(),
                json!({ "description": "Seconds", "schema": { "type": "integer", "minimum": 0, "maximum": 86400 } }),
            );
        }
        if let Some(response) = response.as_object_mut() {
            response.insert("headers".into(), Value::Object(headers));
        }
    }
}

fn add_examples(operation: &mut Map<String, Value>, schemas: &Value) {
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
            let example = example_of(schema, schemas, 0);
            media.insert("example".into(), example);
        }
    }
}

/// An example that fits a schema: its own, or one put together from its members'.
fn example_of(schema: &Value, schemas: &Value, depth: usize) -> Value {
    if let Some(example) = schema.get("example").or_else(|| schema.pointer("/examples/0")) {
        return example.clone();
    }
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next()) {
        return schemas.get(name).map_or(Value::Null, |named| example_of(named, schemas, depth + 1));
    }
    if let Some(first) = schema.pointer("/enum/0") {
        return first.clone();
    }
    if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
        let members = all.iter().filter_map(|s| example_of(s, schemas, depth + 1).as_object().cloned());
        return Value::Object(members.flatten().collect());
    }
    for either in ["oneOf", "anyOf"] {
        if let Some(choices) = schema.get(either).and_then(Value::as_array) {
            let real = choices.iter().find(|c| c["type"] != "null");
            return real.filter(|_| depth < 8).map_or(Value::Null, |c| example_of(c, schemas, depth + 1));
        }
    }
    let types = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    match types.first().copied() {
        Some("object") => {
            let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
            let shown =
                properties.filter(|_| depth < 8).map(|(name, s)| (name.clone(), example_of(s, schemas, depth + 1)));
            Value::Object(shown.collect())
        }
        Some("array") if depth < 8 => {
            schema.get("items").map_or_else(|| json!([]), |i| json!([example_of(i, schemas, depth + 1)]))
        }
        Some("array") => json!([]),
        Some("string") => json!("text"),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(false),
        _ => Value::Null,
    }
}
