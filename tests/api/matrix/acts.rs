//! The cells of what is neither a read of one record nor a list: each is one request, and none changes anything.
use super::{
    Operation, Outcome,
    cast::{Stage, play},
    cells::{Act, Cells, OPERATIONS},
    is_absent, is_refused, operation, outcomes, told,
};
use crate::support::{Actor, Reply, TestApp, on_both_engines, world::KINDS};
use serde_json::Value;
use uuid::Uuid;

on_both_engines!(every_act_is_for_whom_it_is);

/// Sends the request of a line about the record with this id.
fn send(stage: &Stage, who: &Actor, operation: &Operation, id: &str, body: &Value) -> Reply {
    let path = operation.path.replace("{id}", id).replace("{name}", "translational").replace("{version}", "1");
    let path = if path.contains("{index}") { path.replace("{index}", &stage.leaf_of(id)) } else { path };
    let path = path.replace("{level}", "entries").replace("{number}", "000.p/1");
    assert!(!path.contains('{'), "{}: say what stands in {path}", operation.id);
    match &operation.media {
        Some(media) => {
            let headers = [("content-type", &**media), ("if-match", "\"999\"")];
            who.send(&operation.method, &path, &headers, Some(body.to_string().as_bytes()))
        }
        None => who.send(&operation.method, &path, &[], None),
    }
}

fn check(stage: &Stage, operation: &Operation, act: &Act) -> usize {
    let id = if act.on.is_empty() { String::new() } else { stage.id(act.on) };
    let line = stage.each(&outcomes(act.cells));
    for (name, who, outcome) in &line {
        let what = format!("{} on `{}` by {name}, with {}", operation.id, act.on, (act.body)(stage, who, &id));
        let ask = |id: &str| send(stage, who, operation, id, &(act.body)(stage, who, id));
        let reply = ask(&id);
        match outcome {
            Outcome::Allowed => {
                let told = (reply.status, reply.body["code"].as_str().filter(|_| reply.status >= 400).unwrap_or(""));
                assert!(act.passes.contains(&told), "{what} must pass: {told:?} {:#}", reply.body);
                // It passed because of what it is about, not because that was taken to be absent.
                let faults = reply.body["errors"].as_array().into_iter().flatten();
                let named = ["/records/0", "/discovery_id", "/finding_ids/0"];
                let absent =
                    faults.into_iter().any(|f| f["code"] == "not_found" && named.iter().any(|n| f["pointer"] == *n));
                assert!(!absent, "{what}: {:#}", reply.body);
            }
            Outcome::Refused => is_refused(&what, &reply),
            Outcome::Hidden if operation.path.contains("{id}") || reply.status == 404 => is_absent(&what, &reply, ask),
            // Named in the body, it is a fault of the body, like one that was never issued.
            Outcome::Hidden => {
                let never = Uuid::now_v7().to_string();
                assert_eq!(reply.status, 422, "{what}: {:#}", reply.body);
                assert_eq!(told(&reply).replace(&id, "it"), told(&ask(&never)).replace(&never, "it"), "{what}");
                let faults = reply.body["errors"].as_array().unwrap();
                assert!(faults.iter().any(|f| f["code"] == "not_found"), "{what}: {:#}", reply.body);
            }
        }
    }
    line.len()
}

/// The version of everything there is.
fn versions(stage: &Stage) -> Vec<(String, Value, Value)> {
    let admin = stage.actor("adm");
    let kinds = KINDS.iter().chain(&["ownership-transfers", "organizations", "people"]);
    let lists = kinds.map(|kind| admin.get(&format!("/v1/{kind}?limit=200")).expect(200));
    let rows = lists.flat_map(|page| page.body["data"].as_array().unwrap().clone());
    rows.map(|r| (r["id"].as_str().unwrap().to_owned(), r["version"].clone(), r["state"].clone())).collect()
}

fn every_act_is_for_whom_it_is(app: &TestApp) {
    let stage = play(app);
    let before = versions(&stage);
    let mut cells = 0;
    for (id, of) in OPERATIONS {
        let Cells::Acts(acts) = of else { continue };
        let operation = operation(id);
        cells += acts.iter().map(|act| check(&stage, &operation, act)).sum::<usize>();
    }
    assert!(cells > 900, "only {cells} cells were asked");
    assert_eq!(before, versions(&stage), "the cells do not depend on each other");
    let own = stage.other.who.get("/v1/auth/tokens").expect(200).body;
    assert_eq!(own["data"].as_array().unwrap().len(), 1, "nobody ended the session or the token of another");
}
