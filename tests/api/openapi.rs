//! The served OpenAPI document: who may ask what, what it says of every operation, and that the committed copy is it.
use crate::support::{
    Actor, TestApp,
    contract::{self, escaped, misfits},
    on_both_engines,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

on_both_engines!(
    nothing_answers_without_a_token,
    nothing_answers_a_token_that_is_none,
    a_token_is_asked_for_before_anything_else,
    what_is_at_no_route,
    every_answer_is_marked_and_secured,
    the_reference_needs_no_network,
);

/// How many operations the document has: whoever adds one says so here.
const OPERATIONS: usize = 122;

/// The operations that answer without a token. Nothing else does.
const OPEN: &[&str] = &[
    "login",
    "refresh_tokens",
    "start_oidc_login",
    "finish_oidc_login",
    "accept_invitation",
    "get_liveness",
    "get_readiness",
    "get_metrics",
    "get_jwks",
    "get_openapi",
];

/// Schemas without bounds, each for a reason: the figures' text has no bound of its own.
const UNBOUNDED: &[&str] = &["get_metrics.200"];

struct Operation {
    method: String,
    path: String,
    id: String,
    spec: Value,
}

impl Operation {
    /// The path with something in the place of its parameters.
    fn path_with(&self, id: &str) -> String {
        let fill = |segment: &str| match segment {
            "{id}" => id.to_owned(),
            "{name}" => "translational".into(),
            "{issuer}" => "hospital".into(),
            "{version}" => "1".into(),
            "{index}" => "1".into(),
            "{level}" => "entries".into(),
            "{number}" => "000".into(),
            "{token}" => "bsi_0Wx4k5o2mS8d3V9fQ7aZ1cL6eR0tY2uI4pO8hJ5gK3b".into(),
            other => {
                assert!(!other.contains('{'), "{}: say what stands for {other}", self.id);
                other.to_owned()
            }
        };
        self.path.split('/').map(fill).collect::<Vec<_>>().join("/")
    }
    /// The example of the request body, with its media type.
    fn body(&self) -> Option<(String, Value)> {
        let content = self.spec.pointer("/requestBody/content")?.as_object()?;
        let (media, body) = content.iter().next()?;
        Some((media.clone(), body["example"].clone()))
    }
    fn is_open(&self) -> bool {
        OPEN.contains(&&*self.id)
    }
}

/// Every operation of a document.
fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, spec) in item.as_object().unwrap() {
            let id = spec["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no operationId"));
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                id: id.into(),
                spec: spec.clone(),
            });
        }
    }
    assert_eq!(operations.len(), OPERATIONS, "the number of operations has changed: look at each new one, then say so");
    operations
}

/// The guarded operations of the served document; that the open ones are exactly those named is part of it.
fn guarded(app: &TestApp) -> Vec<Operation> {
    let served = app.anonymous().get("/openapi.json").expect(200).body;
    assert_eq!(&served, benchside::api::document());
    let (open, guarded): (Vec<_>, Vec<_>) = operations(&served).into_iter().partition(Operation::is_open);
    assert_eq!(open.len(), OPEN.len());
    for operation in &open {
        assert_eq!(operation.spec["security"], json!([{}]), "{} is open and must say so", operation.id);
    }
    for operation in &guarded {
        assert!(operation.spec.get("security").is_none(), "{} does not say that it takes a token", operation.id);
        assert!(operation.spec["responses"].get("401").is_some(), "{} does not say 401", operation.id);
    }
    guarded
}

fn refused(who: &Actor, operation: &Operation, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) {
    let reply = who.send(&operation.method, path, headers, body);
    let told = (reply.status, reply.body["code"].as_str());
    assert_eq!(told, (401, Some("unauthenticated")), "{} {path}: {:#}", operation.method, reply.body);
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{}", operation.id);
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{}", operation.id);
    let wanted = ["type", "title", "status", "detail", "instance", "code", "request_id"];
    let members: BTreeSet<_> = reply.body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, BTreeSet::from(wanted), "{}: a 401 says nothing else", operation.id);
}

fn walk_as(who: &Actor, operations: &[Operation]) {
    for operation in operations {
        let random = Uuid::now_v7().to_string();
        refused(who, operation, &operation.path_with(&random), &[("if-match", "\"1\"")], None);
        refused(who, operation, &operation.path_with("D-1"), &[], None);
        if let Some((media, example)) = operation.body() {
            let headers = [("content-type", &*media), ("if-match", "\"1\"")];
            let body = example.to_string();
            refused(who, operation, &operation.path_with(&random), &headers, Some(body.as_bytes()));
        }
    }
}

fn nothing_answers_without_a_token(app: &TestApp) {
    walk_as(&app.anonymous(), &guarded(app));
    for path in ["/health/live", "/health/ready", "/metrics", "/.well-known/jwks.json", "/openapi.json"] {
        app.anonymous().get(path).expect(200);
    }
}

fn nothing_answers_a_token_that_is_none(app: &TestApp) {
    let operations = guarded(app);
    let real = app.administrator("Admin");
    real.get("/v1/me").expect(200);
    let (head, signature) = real.token.rsplit_once('.').unwrap();
    let mut turned: Vec<char> = signature.chars().collect();
    turned[5] = if turned[5] == 'A' { 'B' } else { 'A' };
    let forged = format!("{head}.{}", turned.into_iter().collect::<String>());
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{}.", head.split_once('.').unwrap().1);
    for (n, token) in ["garbage".to_owned(), "a.b.c".into(), forged, unsigned].into_iter().enumerate() {
        let nobody = Actor { token, ..real.clone() };
        // The first goes everywhere, the others to one operation of each kind.
        let some: Vec<_> = operations.iter().collect();
        for operation in some.into_iter().step_by(if n == 0 { 1 } else { 7 }) {
            refused(&nobody, operation, &operation.path_with(&Uuid::now_v7().to_string()), &[], None);
        }
    }
    let basic = [("authorization", "Basic YTpi")];
    refused(&app.anonymous(), &operations[0], &operations[0].path_with("D-1"), &basic, None);
}

fn a_token_is_asked_for_before_anything_else(app: &TestApp) {
    let nobody = app.anonymous();
    let random = Uuid::now_v7().to_string();
    let huge = vec![b' '; 1024 * 1024 + 1];
    for operation in guarded(app) {
        let path = operation.path_with(&random);
        // 400: an unknown parameter. 404: an id that is none, or was never issued.
        refused(&nobody, &operation, &format!("{path}?no_such_parameter=1"), &[], None);
        refused(&nobody, &operation, &operation.path_with("no-such-id"), &[], None);
        if operation.spec.get("requestBody").is_some() {
            // 400: a body that is no JSON. 415: a media type that is none of ours. 413: a body too large.
            refused(&nobody, &operation, &path, &[("content-type", "application/json")], Some(b"{"));
            refused(&nobody, &operation, &path, &[("content-type", "text/csv")], Some(b"a,b"));
            if operation.id == "log_discovery" || operation.id == "revise_trial" {
                refused(&nobody, &operation, &path, &[("content-type", "application/json")], Some(&huge));
            }
        }
        // 405: a method that no operation of this path has.
        let wrong = Operation { method: "DELETE".into(), ..operation };
        refused(&nobody, &wrong, &path, &[], None);
    }
    // 404: a path that is none.
    nobody.get("/v1/no-such-thing").refused(401, "unauthenticated");
    nobody.get(&format!("/v1/discoveries/{random}/no-such-thing")).refused(401, "unauthenticated");
}

fn what_is_at_no_route(app: &TestApp) {
    let auditor = app.auditor("Auditor");
    for path in ["/v1/no-such-thing", "/v1", "/v1/discoveries/D-1/no-such-thing", "/no-such-page", "/V1/discoveries"] {
        let problem = auditor.get(path).refused(404, "not_found");
        assert_eq!(problem["instance"], path);
        assert_eq!(problem["type"], "urn:benchside:problem:not_found");
    }
    let document = benchside::api::document();
    for operation in operations(document).iter().filter(|o| o.path.starts_with("/v1")) {
        let methods = document["paths"][&operation.path].as_object().unwrap().keys().map(|m| m.to_uppercase());
        let mut methods: BTreeSet<_> = methods.collect();
        if methods.contains("GET") {
            methods.insert("HEAD".into());
        }
        let path = operation.path_with(&Uuid::now_v7().to_string());
        let wrong = ["DELETE", "PATCH", "PUT"].into_iter().find(|m| !methods.contains(*m)).unwrap();
        let reply = auditor.send(wrong, &path, &[], None);
        let allow = reply.header("allow").map(str::to_owned);
        reply.refused(405, "method_not_allowed");
        let allow = allow.unwrap_or_else(|| panic!("405 without Allow at {path}"));
        assert_eq!(allow.split(", ").map(str::to_owned).collect::<BTreeSet<_>>(), methods, "{path}");
    }
    let reply = app.anonymous().send("POST", "/health/live", &[], None);
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")));
}

fn every_answer_is_marked_and_secured(app: &TestApp) {
    let auditor = app.auditor("Auditor");
    let nobody = app.anonymous();
    let mine = Uuid::now_v7().to_string();
    for (who, path, status) in [
        (&auditor, "/v1/me", 200),
        (&auditor, "/v1/discoveries/D-999", 404),
        (&auditor, "/v1/discoveries?typo=1", 400),
        (&auditor, "/v1/nowhere", 404),
        (&nobody, "/v1/me", 401),
        (&nobody, "/health/live", 200),
        (&nobody, "/openapi.json", 200),
        (&nobody, "/docs/", 200),
    ] {
        let reply = who.send("GET", path, &[("x-request-id", &mine)], None).expect(status);
        assert_eq!(reply.header("x-request-id"), Some(&*mine), "{path}");
        if status >= 400 {
            assert_eq!(reply.body["request_id"], mine, "{path}");
            assert_eq!(reply.body["instance"], path.split('?').next().unwrap());
        }
        let foreign = who.send("GET", path, &[("x-request-id", "not a uuid; drop table")], None).expect(status);
        let made = foreign.header("x-request-id").unwrap();
        assert!(Uuid::parse_str(made).is_ok() && made != mine, "{path}: {made}");
        assert_ne!(who.get(path).header("x-request-id"), Some(made), "{path}: each request has its own");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            (
                "cache-control",
                if path.starts_with("/docs") || path == "/openapi.json" { "public, max-age=300" } else { "no-store" },
            ),
        ] {
            assert_eq!(reply.header(name), Some(value), "{path}");
        }
        assert!(reply.header("permissions-policy").unwrap().contains("geolocation=()"));
        assert_eq!(reply.header("strict-transport-security"), None, "{path}: this came by plain HTTP");
        let policy = reply.header("content-security-policy").unwrap();
        for directive in ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(directive), "{path}: {policy}");
        }
        for weakness in ["unsafe", "http", "*"] {
            assert!(!policy.contains(weakness), "{path}: {policy}");
        }
        assert_eq!(path.starts_with("/docs"), policy.contains("script-src 'self'"), "{path}: {policy}");
    }
}

fn the_reference_needs_no_network(app: &TestApp) {
    let nobody = app.anonymous();
    let moved = nobody.get("/docs").expect(308);
    assert_eq!(moved.location.as_deref(), Some("/docs/"));
    let page = nobody.get("/docs/").expect(200);
    let html = page.body.as_str().unwrap();
    assert!(html.contains("swagger-ui"));
    for (start, _) in html.match_indices("//") {
        let host: String = html[start + 2..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect();
        assert!(!host.contains('.'), "/docs/ names another host: {host}");
    }
    // The policy allows nothing inline, and the page has nothing inline.
    assert!(!html.contains("<style") && !html.contains(" style=") && !html.contains(" on"), "{html}");
    for script in html.split("<script").skip(1) {
        let (tag, inline) = script.split_once('>').unwrap();
        assert!(tag.contains("src=") && inline.split("</script>").next().unwrap().trim().is_empty(), "{html}");
    }
    // Everything that the page loads is served here.
    let mut loaded = 0;
    for attribute in ["src=\"", "href=\""] {
        for part in html.split(attribute).skip(1) {
            let name = part.split('"').next().unwrap();
            let name = name.trim_start_matches("./");
            if !name.ends_with(".png") {
                nobody.get(&format!("/docs/{name}")).expect(200);
                loaded += 1;
            }
        }
    }
    assert!(loaded >= 3, "{html}");
    let initializer = nobody.get("/docs/swagger-initializer.js").expect(200);
    let script = initializer.body.as_str().unwrap();
    assert!(script.contains("/openapi.json") && !script.contains("https://"), "{script}");
}

/// What is wrong with what the document says of its operations.
fn shortcomings(document: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut ids = BTreeSet::new();
    for operation in operations(document) {
        let id = &operation.id;
        if !ids.insert(id.clone()) {
            wrong.push(format!("{id}: the operationId is not unique"));
        }
        let snake = id.starts_with(|c: char| c.is_ascii_lowercase())
            && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && !id.contains("__")
            && !id.ends_with('_');
        if !snake {
            wrong.push(format!("{id}: the operationId is not snake_case"));
        }
        let words = |name: &str| operation.spec[name].as_str().is_some_and(|s| !s.trim().is_empty());
        if !words("summary") && !words("description") {
            wrong.push(format!("{id}: neither summary nor description"));
        }
        if operation.spec["tags"].as_array().is_none_or(Vec::is_empty) {
            wrong.push(format!("{id}: no tag"));
        }
        for parameter in operation.spec["parameters"].as_array().into_iter().flatten() {
            let name = format!("{id}?{}", parameter["name"].as_str().unwrap());
            if parameter["description"].as_str().is_none_or(str::is_empty) {
                wrong.push(format!("{name}: no description"));
            }
            unbounded(&parameter["schema"], &name, &mut wrong);
            let items = parameter["schema"].get("items").unwrap_or(&parameter["schema"]);
            if let Some(named) = items["$ref"].as_str().and_then(|r| document.pointer(&r[1..]))
                && (named["type"] == "object" || named.get("type").is_none())
            {
                wrong.push(format!("{name}: a parameter cannot be an object; two schemas share a name"));
            }
        }
        if let Some(body) = operation.spec.get("requestBody") {
            without_example(body, id, &mut wrong);
            contents_unbounded(body, id, &mut wrong);
        }
        let responses = operation.spec["responses"].as_object().unwrap();
        if !responses.keys().any(|status| status.starts_with(['2', '3'])) {
            wrong.push(format!("{id}: no answer for success"));
        }
        for (status, response) in responses {
            let place = format!("{id}.{status}");
            if response["description"].as_str().is_none_or(|d| d.trim().is_empty()) {
                wrong.push(format!("{place}: no description"));
            }
            without_example(response, &place, &mut wrong);
            contents_unbounded(response, &place, &mut wrong);
            if status.starts_with(['4', '5']) {
                let content = &response["content"]["application/problem+json"];
                if content["schema"]["$ref"] != "#/components/schemas/Problem" {
                    wrong.push(format!("{place}: no Problem"));
                }
                if content["example"]["status"].as_u64().map(|s| s.to_string()).as_ref() != Some(status) {
                    wrong.push(format!("{place}: the example is of another status"));
                }
            }
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        unbounded(schema, name, &mut wrong);
    }
    wrong
}

fn contents_unbounded(body: &Value, place: &str, wrong: &mut Vec<String>) {
    for content in body["content"].as_object().into_iter().flatten().map(|(_, c)| c) {
        unbounded(&content["schema"], place, wrong);
    }
}

fn without_example(body: &Value, place: &str, wrong: &mut Vec<String>) {
    for (media, content) in body["content"].as_object().into_iter().flatten() {
        let example = content.get("example").or_else(|| content.get("examples"));
        if example.is_none_or(Value::is_null) {
            wrong.push(format!("{place}: no example of {media}"));
        }
    }
}

/// Every place below a schema that says no bound.
fn unbounded(schema: &Value, place: &str, wrong: &mut Vec<String>) {
    let Some(members) = schema.as_object() else { return };
    let has = |names: &[&str]| names.iter().any(|name| members.contains_key(*name));
    let is = |wanted: &str| match members.get("type") {
        Some(Value::String(one)) => one == wanted,
        Some(Value::Array(many)) => many.iter().any(|t| t == wanted),
        _ => false,
    };
    let named = has(&["enum", "const"]);
    let mut lacks = Vec::new();
    if is("string") && !named && !has(&["maxLength", "format", "pattern"]) {
        lacks.push("maxLength, format or pattern");
    }
    if (is("integer") || is("number")) && !named {
        if !has(&["minimum", "exclusiveMinimum"]) {
            lacks.push("minimum");
        }
        if !has(&["maximum", "exclusiveMaximum"]) {
            lacks.push("maximum");
        }
    }
    if is("array") && !has(&["maxItems"]) {
        lacks.push("maxItems");
    }
    if !UNBOUNDED.contains(&place) {
        wrong.extend(lacks.iter().map(|lack| format!("{place}: no {lack}")));
    }
    for (name, property) in members.get("properties").and_then(Value::as_object).into_iter().flatten() {
        unbounded(property, &format!("{place}.{name}"), wrong);
    }
    for name in ["items", "additionalProperties"] {
        unbounded(&schema[name], &format!("{place}[]"), wrong);
    }
    for name in ["allOf", "anyOf", "oneOf", "prefixItems"] {
        for choice in members.get(name).and_then(Value::as_array).into_iter().flatten() {
            unbounded(choice, &format!("{place}|"), wrong);
        }
    }
}

#[test]
fn the_document_leaves_nothing_unsaid() {
    let document = benchside::api::document();
    assert_eq!(document["openapi"].as_str().and_then(|v| v.get(..3)), Some("3.1"));
    assert!(document["info"]["description"].as_str().unwrap().contains("no safety-reporting system"));
    let wrong = shortcomings(document);
    assert!(wrong.is_empty(), "{} shortcomings:\n{}", wrong.len(), wrong.join("\n"));
    // Every $ref leads somewhere.
    let text = document.to_string();
    for part in text.split("\"$ref\":\"#").skip(1) {
        let pointer = part.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "#{pointer} leads nowhere");
    }
}

#[test]
fn every_example_fits_its_schema() {
    let document = benchside::api::document();
    let mut wrong = Vec::new();
    let mut seen = 0;
    let mut fits = |at: String, schema: String, example: &Value| {
        seen += 1;
        wrong.extend(misfits(&schema, example).into_iter().map(|why| format!("{at}: {why}")));
    };
    for operation in operations(document) {
        let place = format!("/paths/{}/{}", escaped(&operation.path), operation.method.to_lowercase());
        for (n, parameter) in operation.spec["parameters"].as_array().into_iter().flatten().enumerate() {
            if let Some(example) = parameter.get("example") {
                let at = format!("{place}/parameters/{n}");
                fits(format!("{}?{}", operation.id, parameter["name"]), format!("{at}/schema"), example);
            }
        }
        let responses = operation.spec["responses"].as_object().unwrap().keys();
        let bodies = responses.map(|s| format!("/responses/{s}")).chain(["/requestBody".to_owned()]);
        for body in bodies {
            let content = operation.spec.pointer(&format!("{body}/content")).and_then(Value::as_object);
            for (media, said) in content.into_iter().flatten() {
                let at = format!("{place}{body}/content/{}/schema", escaped(media));
                fits(format!("{}{body}", operation.id), at, &said["example"]);
            }
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for example in schema.get("example").into_iter().chain(schema["examples"].as_array().into_iter().flatten()) {
            fits(name.clone(), format!("/components/schemas/{}", escaped(name)), example);
        }
    }
    assert!(seen > 10 * OPERATIONS, "only {seen} examples");
    assert!(wrong.is_empty(), "{} of {seen} examples do not fit:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_misfit_is_noticed() {
    let schema = "/components/schemas/Problem";
    let problem = json!({
        "type": "urn:benchside:problem:internal", "title": "x", "status": 200, "detail": "x", "instance": "/",
        "code": "internal", "request_id": "none",
    });
    let wrong = misfits(schema, &problem);
    assert_eq!(wrong.len(), 2, "the status is none of a problem, the id is no UUID: {wrong:?}");
    let undocumented = std::panic::catch_unwind(|| contract::check("GET", "/v1/me", 418, None, ""));
    assert!(undocumented.is_err());
}

#[test]
fn a_shortcoming_is_noticed() {
    let spoiled = |spoil: &dyn Fn(&mut Value)| {
        let mut document = benchside::api::document().clone();
        spoil(&mut document);
        shortcomings(&document)
    };
    let me = "/paths/~1v1~1me/get";
    type Spoil<'a> = (&'a dyn Fn(&mut Value), &'a str);
    let cases: &[Spoil<'_>] = &[
        (&|d| d.pointer_mut(me).unwrap()["operationId"] = json!("getMe"), "getMe: the operationId is not snake_case"),
        (&|d| d.pointer_mut(me).unwrap()["operationId"] = json!("login"), "login: the operationId is not unique"),
        (&|d| d.pointer_mut(me).unwrap()["responses"]["200"]["description"] = json!(""), "get_me.200: no description"),
        (
            &|d| {
                let content = d.pointer_mut(&format!("{me}/responses/200/content/application~1json")).unwrap();
                content.as_object_mut().unwrap().remove("example");
            },
            "get_me.200: no example of application/json",
        ),
        (&|d| d.pointer_mut(&format!("{me}/responses/401")).unwrap()["content"] = json!({}), "get_me.401: no Problem"),
        (
            &|d| d["components"]["schemas"]["Planted"] = json!({ "properties": { "a": { "type": "string" } } }),
            "Planted.a: no maxLength, format or pattern",
        ),
        (
            &|d| {
                d["components"]["schemas"]["Planted"] =
                    json!({ "type": "array", "items": { "type": ["integer", "null"], "minimum": 0 } })
            },
            "Planted[]: no maximum",
        ),
        (&|d| d["components"]["schemas"]["Planted"] = json!({ "type": "array" }), "Planted: no maxItems"),
    ];
    for (spoil, expected) in cases {
        let found = spoiled(spoil);
        assert!(found.iter().any(|f| f == expected), "{expected} was not noticed, but {found:?}");
    }
}

#[test]
fn the_committed_copy_is_the_document() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let current = format!("{:#}\n", benchside::api::document());
    // Not assert_eq: a megabyte twice helps nobody.
    if committed != current {
        let line = committed.lines().zip(current.lines()).position(|(a, b)| a != b).map_or(0, |n| n + 1);
        panic!(
            "docs/openapi.json is not the document any more (first at line {line}); renew it with: cargo run -- openapi > docs/openapi.json"
        );
    }
}
