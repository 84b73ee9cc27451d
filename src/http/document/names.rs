//! One name for each schema. The annotations write a type out anew inside every envelope, and name one type several
//! times (`Email`, `Email_Email`): whoever makes a client of the document would get a class for each.
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const SCHEMAS: &str = "/components/schemas";
const PREFIX: &str = "#/components/schemas/";

/// Names what deserves a name, once: records and vocabularies. Anything else (a bounded text, a list, "this or null")
/// is written where it is used.
pub(super) fn settle(document: &mut Value) {
    name_members(document);
    let schemas = schemas_of(document);
    each_node(document, &mut |node| spell_out(node, &schemas));
    while say_once(document) {}
    let names: Vec<_> = schemas_of(document).into_iter().map(|(name, _)| name).collect();
    for name in names.iter().filter(|name| name.contains('_')) {
        let mut parts: Vec<_> = name.split('_').collect();
        parts.dedup();
        let short = parts.concat();
        if !names.contains(&short) {
            rename(document, name, &short);
        }
    }
}

/// Names what lists hold: of some records the annotations name the list alone (`ListOfNewLink_NewLink`).
fn name_members(document: &mut Value) {
    let Some(schemas) = schemas_in(document) else { return };
    let held = schemas.iter().filter_map(|(name, schema)| {
        let (_, member) = name.strip_prefix("ListOf")?.rsplit_once('_')?;
        schema.get("items").filter(|items| deserves_a_name(items)).map(|items| (member.to_owned(), items.clone()))
    });
    for (name, schema) in held.collect::<Vec<_>>() {
        schemas.entry(name).or_insert(schema);
    }
}

fn schemas_of(document: &Value) -> Map<String, Value> {
    document.pointer(SCHEMAS).and_then(Value::as_object).cloned().unwrap_or_default()
}

fn schemas_in(document: &mut Value) -> Option<&mut Map<String, Value>> {
    document.pointer_mut(SCHEMAS)?.as_object_mut()
}

fn name_in(node: &Value) -> Option<&str> {
    node.get("$ref")?.as_str()?.strip_prefix(PREFIX)
}

fn deserves_a_name(schema: &Value) -> bool {
    schema["type"] == "object" || ["enum", "allOf"].iter().any(|member| schema.get(*member).is_some())
}

/// Calls `change` on every object of the document, the innermost first.
fn each_node(node: &mut Value, change: &mut impl FnMut(&mut Value)) {
    match node {
        Value::Array(items) => items.iter_mut().for_each(|item| each_node(item, change)),
        Value::Object(members) => {
            members.values_mut().for_each(|member| each_node(member, change));
            change(node);
        }
        _ => {}
    }
}

/// Puts a schema that deserves no name in the place of a reference to it; what stands beside the reference stays.
fn spell_out(node: &mut Value, schemas: &Map<String, Value>) {
    let Some(named) = name_in(node).and_then(|name| schemas.get(name)).filter(|s| !deserves_a_name(s)) else { return };
    let (Some(members), Value::Object(meant)) = (node.as_object_mut(), named.clone()) else { return };
    members.remove("$ref");
    for (name, mut value) in meant {
        each_node(&mut value, &mut |inner| spell_out(inner, schemas));
        members.entry(name).or_insert(value);
    }
    spell_out(node, schemas);
}

/// Refers to each named schema that is written out somewhere, or that another name has too. Says whether there was one:
/// what holds it may now be the same as another's.
fn say_once(document: &mut Value) -> bool {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut doubles = Vec::new();
    for (name, schema) in schemas_of(document).into_iter().filter(|(_, schema)| deserves_a_name(schema)) {
        let known = names.entry(schema.to_string()).or_insert_with(|| name.clone());
        if *known != name {
            let (kept, other) = if name.len() < known.len() { (name, known.clone()) } else { (known.clone(), name) };
            known.clone_from(&kept);
            doubles.push((other, kept));
        }
    }
    for (other, kept) in &doubles {
        rename(document, other, kept);
    }
    let mut found = !doubles.is_empty();
    let mut refer = |node: &mut Value| {
        if deserves_a_name(node)
            && let Some(name) = names.get(&node.to_string())
        {
            *node = json!({ "$ref": format!("{PREFIX}{name}") });
            found = true;
        }
    };
    let Some(members) = document.as_object_mut() else { return false };
    for (name, member) in members.iter_mut() {
        match member.get_mut("schemas").and_then(Value::as_object_mut).filter(|_| name == "components") {
            // A schema's own words stay; what it holds is looked through.
            Some(schemas) => {
                let held = schemas.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut);
                held.for_each(|inner| each_node(inner, &mut refer));
            }
            None => each_node(member, &mut refer),
        }
    }
    found
}

/// Says of what a body is read into that nothing else may be in it: a typo is never ignored.
pub(super) fn close_bodies(document: &mut Value) {
    let mut bodies = Vec::new();
    each_node(document, &mut |node| bodies.extend(node.get("requestBody").cloned()));
    let (mut open, mut closed) = (names_within(&mut Value::Array(bodies)), BTreeSet::new());
    while let Some(name) = open.pop_first() {
        let Some(schema) = schemas_in(document).and_then(|schemas| schemas.get_mut(&name)) else { continue };
        if schema["type"] == "object" {
            schema["additionalProperties"] = json!(false);
        }
        closed.insert(name.clone());
        open.extend(names_within(schema).into_iter().filter(|name| !closed.contains(name)));
    }
}

fn names_within(node: &mut Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    each_node(node, &mut |inner| names.extend(name_in(inner).map(str::to_owned)));
    names
}

/// Gives a schema another name; where that one is taken, it is the same schema's.
fn rename(document: &mut Value, from: &str, to: &str) {
    each_node(document, &mut |node| {
        if name_in(node) == Some(from) {
            node["$ref"] = json!(format!("{PREFIX}{to}"));
        }
    });
    if let Some(schemas) = schemas_in(document)
        && let Some(schema) = schemas.remove(from)
    {
        schemas.entry(to).or_insert(schema);
    }
}

/// Leaves out the schemas that nothing refers to.
pub(super) fn drop_unused(document: &mut Value) {
    loop {
        let used = names_within(document);
        let Some(schemas) = schemas_in(document) else { return };
        let before = schemas.len();
        schemas.retain(|name, _| used.contains(name));
        if schemas.len() == before {
            return;
        }
    }
}
