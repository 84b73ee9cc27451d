//! Holds every answer to the document: its status must be one that the operation says it can give, its body must fit
//! what is said of that status.
use serde_json::{Value, json};
use std::sync::LazyLock;

const DOCUMENT: &str = "urn:benchside:openapi";

static REGISTRY: LazyLock<jsonschema::Registry<'static>> = LazyLock::new(|| {
    let registry = jsonschema::Registry::new().add(DOCUMENT, benchside::api::document()).unwrap();
    registry.prepare().unwrap()
});

/// What is wrong with a value, by the schema that stands at a JSON pointer of the document.
pub fn misfits(pointer: &str, value: &Value) -> Vec<String> {
    let schema = json!({ "$ref": format!("{DOCUMENT}#{}", pointer.replace('{', "%7B").replace('}', "%7D")) });
    let options = jsonschema::draft202012::options().should_validate_formats(true);
    let validator = options.with_registry(&REGISTRY).build(&schema).unwrap();
    validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

/// What is wrong with an answer that was not trimmed: it must be the record itself, where it might be an excerpt.
fn wholes(pointer: &str, body: &Value) -> Vec<String> {
    let document = benchside::api::document();
    let schema = document.pointer(pointer).unwrap();
    if schema.get("anyOf").is_some() {
        return misfits(&format!("{pointer}/anyOf/0"), body);
    }
    let named = schema["$ref"].as_str().map_or(pointer, |reference| &reference[1..]);
    let row = format!("{named}/properties/data/items/anyOf/0");
    let rows = body["data"].as_array().filter(|_| document.pointer(&row).is_some());
    rows.into_iter().flatten().flat_map(|one| misfits(&row, one)).collect()
}

/// A member of a JSON pointer.
pub fn escaped(member: &str) -> String {
    member.replace('~', "~0").replace('/', "~1")
}

/// The template of the document that a path is of.
fn template(path: &str) -> Option<&'static str> {
    let segments: Vec<_> = path.split('?').next().unwrap().split('/').collect();
    let is = |template: &&String| {
        let parts: Vec<_> = template.split('/').collect();
        parts.len() == segments.len() && parts.iter().zip(&segments).all(|(p, s)| p.starts_with('{') || p == s)
    };
    let paths = benchside::api::document()["paths"].as_object().unwrap();
    paths.keys().filter(is).min_by_key(|t| t.matches('{').count()).map(String::as_str)
}

/// Fails when an operation of the document was answered otherwise than it says.
#[track_caller]
pub fn check(method: &str, path: &str, status: u16, media: Option<&str>, text: &str) {
    let Some(template) = template(path) else { return };
    let operation = format!("/paths/{}/{}", escaped(template), method.to_lowercase());
    let Some(said) = benchside::api::document().pointer(&operation) else { return };
    let asked = format!("{method} {path} answered {status}");
    let response = said["responses"].get(status.to_string());
    let response = response.unwrap_or_else(|| panic!("{asked}, which {} does not say: {text}", said["operationId"]));
    let Some(content) = response.get("content").and_then(Value::as_object) else {
        assert!(text.is_empty(), "{asked} with a body that is not said: {text}");
        return;
    };
    let media = media.and_then(|m| m.split(';').next()).unwrap_or_default();
    assert!(content.contains_key(media), "{asked} as {media:?}, which is not said");
    if media == "application/json" || media.ends_with("+json") {
        let body = serde_json::from_str(text).unwrap_or_else(|e| panic!("{asked} with what is no JSON: {e}"));
        let at = format!("{operation}/responses/{status}/content/{}/schema", escaped(media));
        let mut wrong = misfits(&at, &body);
        if !path.contains("fields=") {
            wrong.extend(wholes(&at, &body));
        }
        assert!(wrong.is_empty(), "{asked}, and the body does not fit: {}\n{body:#}", wrong.join("\n"));
    }
}
