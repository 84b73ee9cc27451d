//! No body sets what only the service or another act sets: owner, state, version, visibility, stewardship, identity and
//! times are faults wherever the contract does not list them, and such a body changes nothing.
use super::{
    Operation, Outcome,
    cast::{Stage, play},
    cells::{Cells, OPERATIONS},
    operations, outcomes,
};
use crate::support::{Actor, TestApp, on_both_engines, world::KINDS};
use serde_json::{Value, json};

on_both_engines!(no_body_sets_what_is_not_its_own);

/// What bodies like to be sent with.
const MEMBERS: &[&str] = &[
    "id",
    "code",
    "number",
    "version",
    "head",
    "created_at",
    "updated_at",
    "owner",
    "owner_id",
    "owners",
    "state",
    "stage",
    "overall_status",
    "visibility",
    "steward",
    "steward_id",
    "lab_id",
    "clinic_id",
];

/// Where the contract (docs of the API, "Bodies") does take one of them.
const TAKEN: &[(&str, &[&str])] = &[
    ("log_discovery", &["owner_id", "visibility", "lab_id"]),
    ("revise_discovery", &["visibility"]),
    ("change_discovery_lifecycle", &["stage"]),
    ("register_trial", &["owner_id", "visibility", "clinic_id"]),
    ("revise_trial", &["visibility"]),
    ("raise_insight", &["lab_id"]),
    ("revise_insight", &["lab_id"]),
    ("propose_ownership_transfer", &["steward_id"]),
    ("create_signature_challenge", &["version"]),
    ("create_webhook", &["owner_id"]),
    ("revise_webhook", &["owner_id", "state"]),
    ("create_subscription", &["lab_id"]),
];

/// Something of the right form, where a member has one.
fn value(stage: &Stage, member: &str) -> Value {
    match member {
        "version" | "number" => json!(7),
        "id" | "steward_id" | "clinic_id" => json!(stage.world.clinic),
        "owner_id" => json!(stage.actor("bea").id),
        "lab_id" => json!(stage.world.labs[1]),
        "owner" => json!({ "id": stage.actor("bea").id, "name": "Bea" }),
        "steward" => json!({ "id": stage.world.labs[1], "name": "Another Lab" }),
        "owners" => json!([]),
        "created_at" | "updated_at" => json!("2020-01-01T00:00:00Z"),
        "state" => json!("signed"),
        "stage" => json!("public_health"),
        "overall_status" => json!("COMPLETED"),
        "visibility" => json!("public"),
        _ => json!("D-1"),
    }
}

/// Somebody who may do it, to which record, with which body.
fn allowed(stage: &Stage, operation: &Operation) -> (Actor, String, Value) {
    let (_, cells) = OPERATIONS.iter().find(|(id, _)| *id == operation.id).unwrap();
    let Cells::Acts(acts) = cells else {
        let nobody = Actor { token: String::new(), ..stage.actor("ada").clone() };
        return (nobody, String::new(), json!({}));
    };
    let may = |line: &str| outcomes(line).iter().position(|cell| *cell == Outcome::Allowed);
    let found = acts.iter().find_map(|act| Some((act, may(act.cells)?)));
    let (act, index) = found.unwrap_or_else(|| panic!("nobody may do {}", operation.id));
    let who = stage.actors[index].clone();
    let id = if act.on.is_empty() { String::new() } else { stage.id(act.on) };
    let body = (act.body)(stage, &who, &id);
    (who, id, body)
}

fn no_body_sets_what_is_not_its_own(app: &TestApp) {
    let stage = play(app);
    let everything = || {
        let kinds = KINDS.iter().chain(&["ownership-transfers", "organizations", "people", "webhooks"]);
        kinds.map(|kind| stage.actor("adm").get(&format!("/v1/{kind}?limit=200")).expect(200).body).collect::<Vec<_>>()
    };
    let (before, mut sent) = (everything(), 0);
    for operation in operations().iter().filter(|o| o.media.is_some()) {
        let taken = TAKEN.iter().find(|(id, _)| *id == operation.id).map_or(&[][..], |(_, taken)| taken);
        let (who, id, body) = allowed(&stage, operation);
        let path = operation.path.replace("{id}", &id).replace("{token}", "bsi_none");
        let version = match operation.path.split_once("/{id}").filter(|(collection, _)| *collection != "/v1/recalls") {
            Some((collection, _)) => stage.actor("adm").get(&format!("{collection}/{id}")).expect(200).version(),
            None => 0,
        };
        let tag = format!("\"{version}\"");
        let headers = [("content-type", operation.media.as_deref().unwrap()), ("if-match", &tag)];
        for member in MEMBERS.iter().filter(|member| !taken.contains(member)) {
            let mut body = body.clone();
            body[*member] = value(&stage, member);
            let reply = who.send(&operation.method, &path, &headers, Some(body.to_string().as_bytes()));
            let what = format!("{} with `{member}`", operation.id);
            assert_eq!((reply.status, reply.body["code"].as_str()), (422, Some("invalid")), "{what}: {:#}", reply.body);
            let faults = reply.body["errors"].as_array().unwrap();
            let pointer = format!("/{member}");
            let fault = faults.iter().find(|f| f["pointer"] == *pointer);
            let code = fault.and_then(|f| f["code"].as_str()).unwrap_or_default();
            assert!(["unknown_field", "not_applicable"].contains(&code), "{what}: {:#}", reply.body);
            sent += 1;
        }
    }
    assert!(sent > 400, "only {sent} bodies were sent");
    assert_eq!(before, everything(), "none of them changed anything");
    for (id, _) in TAKEN {
        assert!(operations().iter().any(|o| o.id == *id), "TAKEN names {id}, which is no operation");
    }
}
