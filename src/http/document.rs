//! Finishes the OpenAPI document that the handlers' annotations make: what follows from the shape of an operation (its
//! problems, its security) is said here once, and every body gets an example.
mod example;
mod excerpt;
mod names;

use super::{accept, as_of::AS_OF, etag::LONGEST_IF_NONE_MATCH, limit::is_limited, params::MAX_REPEATED};
use crate::{error::Code, idempotency::LONGEST_KEY};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The finished document (OpenAPI 3.1).
pub fn finished(mut document: Value) -> Value {
    names::settle(&mut document);
    names::close_bodies(&mut document);
    excerpt::add(&mut document);
    add_bounds(&mut document);
    let schemas = document.pointer("/components/schemas").cloned().unwrap_or_else(|| json!({}));
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        for (path, item) in paths.iter_mut() {
            let Some(operations) = item.as_object_mut() else { continue };
            for (method, operation) in operations.iter_mut() {
                if let Some(operation) = operation.as_object_mut() {
                    add_idempotency_key(path, method, operation);
                    add_conditions(path, method, operation);
                    describe(path, method, operation);
                    add_problems(path, method, operation);
                    add_headers(path, method, operation);
                    example::add(operation, &schemas);
                }
            }
        }
    }
    names::drop_unused(&mut document);
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
                if let Some(one) = members.get_mut("example").filter(|example| !example.is_array()) {
                    *one = json!([one.take()]);
                }
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

/// Whether an operation answers without a token.
pub fn is_open(operation: &Map<String, Value>) -> bool {
    operation.get("security").and_then(Value::as_array).is_some_and(|s| s.iter().any(|r| r == &json!({})))
}

fn takes(operation: &Map<String, Value>, place: &str, name: Option<&str>) -> bool {
    let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
    parameters.into_iter().any(|p| p["in"] == place && name.is_none_or(|name| p["name"] == name))
}

fn is_list(operation: &Map<String, Value>) -> bool {
    takes(operation, "query", Some("cursor"))
}

/// Whether an operation reads one record, or what is of its version, which the caller may have already.
fn reads_one(path: &str, method: &str, operation: &Map<String, Value>) -> bool {
    let one = takes(operation, "query", Some("fields")) && !is_list(operation);
    method == "get" && (one || path == "/v1/trials/{id}/discoveries")
}

/// Reads of one record are conditional.
fn add_conditions(path: &str, method: &str, operation: &mut Map<String, Value>) {
    if !path.starts_with("/v1") || !reads_one(path, method, operation) {
        return;
    }
    if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
        parameters.push(json!({
            "name": "If-None-Match", "in": "header", "required": false, "example": "\"3\"",
            "description": "The `ETag` at hand: where it is the record's still, the answer is 304.",
            "schema": { "type": "string", "maxLength": LONGEST_IF_NONE_MATCH },
        }));
    }
    if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
        responses.insert("304".into(), json!({ "description": "The caller has this version" }));
    }
}

/// Says in words what the shape of an operation brings with it.
fn describe(path: &str, method: &str, operation: &mut Map<String, Value>) {
    let mut words: Vec<_> =
        operation.get("description").and_then(Value::as_str).map(str::to_owned).into_iter().collect();
    let mut say = |holds: bool, sentence: &str| words.extend(holds.then(|| sentence.to_owned()));
    let one = reads_one(path, method, operation);
    say(is_open(operation), "No token is needed.");
    say(is_list(operation), "A page at a time: `next_cursor` and the header `Link` lead to the next.");
    say(one, "With `If-None-Match` naming the version at hand the answer is 304.");
    say(
        takes(operation, "header", Some("If-Match")),
        "`If-Match` names the version that is meant: 428 without it, 412 where the record has changed since.",
    );
    say(operation.contains_key("requestBody"), "Every fault of the body is named at once, and then nothing is done.");
    say(
        path.starts_with("/v1") && method == "get",
        "What the caller may not see is as what never was: absent from lists and counts, and 404 by itself.",
    );
    operation.insert("description".into(), json!(words.join(" ")));
}

/// The problems an operation of this shape can answer.
fn problems(path: &str, method: &str, operation: &Map<String, Value>) -> BTreeSet<u16> {
    let mut statuses = BTreeSet::from([Code::Internal, Code::Overloaded, Code::UnknownParameter].map(Code::status));
    if is_limited(path) {
        statuses.insert(Code::TooManyRequests.status());
    }
    if accept::may_refuse(path, operation) {
        statuses.insert(Code::NotAcceptable.status());
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
    if path == "/v1/people" {
        // Who holds a role is told to administrators alone.
        statuses.insert(Code::NotPermitted.status());
    }
    if path == "/v1/auth/password" || path.starts_with("/v1/auth/invitations/") {
        statuses.insert(Code::TooManyRequests.status());
    }
    if path == "/v1/auth/refresh" {
        statuses.insert(Code::SessionEnded.status());
    }
    if path.ends_with("/callback") {
        statuses.insert(Code::SignInFailed.status());
        statuses.remove(&Code::UnknownParameter.status());
    }
    let takes_positions = ["/v1/events", "/v1/webhooks/{id}/redeliver"].contains(&path);
    if takes_positions || path == "/v1/me/notifications" {
        statuses.insert(Code::FeedReset.status());
    }
    let reads_the_past = path.ends_with("/{id}") && takes(operation, "query", Some(AS_OF));
    if reads_the_past || takes(operation, "header", Some("Idempotency-Key")) {
        statuses.insert(Code::Erased.status());
    }
    if path.starts_with("/v1/ledger/") || path == "/v1/events" {
        statuses.insert(Code::LedgerHalted.status());
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
        let example = codes.first().map(|code| example::problem(**code, path));
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
    const WITHOUT: &[&str] = &["/history", "/available", "/findings", "/challenges", "/disable"];
    if path.starts_with("/v1/auth/") {
        return false;
    }
    let list = method == "get" && path.ends_with("/transitions");
    let one = method != "get" || takes(operation, "path", Some("id"));
    one && !list
        && !path.starts_with("/v1/auth/")
        && (method == "post" && path.ends_with("/{id}/findings") || !WITHOUT.iter().any(|end| path.ends_with(end)))
}

fn add_headers(path: &str, method: &str, operation: &mut Map<String, Value>) {
    let (versioned, listed) = (carries_version(path, method, operation), is_list(operation));
    let repeatable = takes(operation, "header", Some("Idempotency-Key"));
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for (status, response) in responses {
        let mut headers = Map::new();
        let text = |description: &str, max: u32| json!({ "description": description, "schema": { "type": "string", "maxLength": max } });
        headers.insert("X-Request-Id".into(), json!({ "description": "The request's id", "schema": { "type": "string", "format": "uuid", "maxLength": 36 } }));
        let is_no_record =
            ["/transitions", "/challenges", "/auth/tokens", "/invitation"].iter().any(|end| path.ends_with(end));
        if status == "201" && !is_no_record {
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
        if status == "401" {
            headers.insert("WWW-Authenticate".into(), text("`Bearer`", 40));
        }
        if status == "200" && listed {
            headers.insert("Link".into(), text("The next page, as `rel=\"next\"`; absent on the last", 10_000));
        }
        if versioned && (status.starts_with('2') || status == "304") {
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
