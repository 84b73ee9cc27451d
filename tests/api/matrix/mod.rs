//! The matrix of authority: every operation of the OpenAPI document × who asks × what they are to the record × how
//! visible it is. What each cell must be is stated by hand in [`cells`], from the contract and never from the code.
//!
//! An operation without cells fails [`every_operation_has_its_cells`]. To add one, put a row into `cells::OPERATIONS`:
//! `Open` (answers without a token), `Reads(kind)` (a GET below `/v1/{kind}/{id}`: who sees the record gets it),
//! `Lists(kind)` (a list holds exactly what one sees), or `Acts(&[…])` with a line for each record that tells a rule.
//! To add a record, put it into [`cast::play`] and its line into `cells::VISIBLE`.
//!
//! A cell is one real request to the served app. A write must leave the world as it is, so that the cells do not depend
//! on each other: it is sent so that it fails *after* authority has passed, with a version that is stale (412) or a
//! fault of the body (422). Whoever is refused gets 403 before that, and for whom the record is hidden the answer is,
//! to the byte, that for an id never issued.
mod acts;
mod cast;
mod cells;
mod explained;
mod members;
mod reads;

use crate::support::{Actor, Reply, TestApp, on_both_engines};
use cast::{ACTORS, Stage};
use cells::{Cells, OPERATIONS, VISIBLE};
use serde_json::json;
use std::collections::BTreeSet;
use uuid::Uuid;

on_both_engines!(what_is_open_asks_for_no_token);

/// What a cell must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// `y`: authority passes.
    Allowed,
    /// `n`: 403.
    Refused,
    /// `-`: as if there were no such record.
    Hidden,
}

/// The outcomes of a line, in the order of [`ACTORS`]; spaces only part the columns.
fn outcomes(line: &str) -> Vec<Outcome> {
    let cells = line.chars().filter(|c| *c != ' ').map(|c| match c {
        'y' => Outcome::Allowed,
        'n' => Outcome::Refused,
        '-' => Outcome::Hidden,
        other => panic!("`{other}` in `{line}` is no outcome"),
    });
    let cells: Vec<_> = cells.collect();
    assert_eq!(cells.len(), ACTORS.len(), "`{line}` needs a cell for each of {ACTORS:?}");
    cells
}

/// An operation of the document.
struct Operation {
    id: String,
    method: String,
    path: String,
    media: Option<String>,
    /// Whether the document says that it needs no token.
    open: bool,
}

fn operations() -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in benchside::api::document()["paths"].as_object().unwrap() {
        for (method, spec) in item.as_object().unwrap() {
            let content = spec["requestBody"]["content"].as_object();
            found.push(Operation {
                id: spec["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase(),
                path: path.clone(),
                media: content.and_then(|c| c.keys().next().cloned()),
                open: spec["security"] == json!([{}]),
            });
        }
    }
    found
}

fn operation(id: &str) -> Operation {
    operations().into_iter().find(|o| o.id == id).unwrap_or_else(|| panic!("there is no operation {id}"))
}

#[test]
fn every_operation_has_its_cells() {
    let there: BTreeSet<_> = operations().into_iter().map(|o| o.id).collect();
    let stated: BTreeSet<_> = OPERATIONS.iter().map(|(id, _)| (*id).to_owned()).collect();
    assert_eq!(stated.len(), OPERATIONS.len(), "an operation stands twice in tests/api/matrix/cells.rs");
    let missing: Vec<_> = there.difference(&stated).collect();
    assert!(missing.is_empty(), "say who may do these, in OPERATIONS of tests/api/matrix/cells.rs: {missing:?}");
    let gone: Vec<_> = stated.difference(&there).collect();
    assert!(gone.is_empty(), "these are no operations any more, take them out of tests/api/matrix/cells.rs: {gone:?}");
    for (id, cells) in OPERATIONS {
        if let Cells::Acts(acts) = cells {
            assert!(!acts.is_empty(), "{id} has no cell");
            acts.iter().for_each(|act| drop(outcomes(act.cells)));
        }
    }
}

fn what_is_open_asks_for_no_token(app: &TestApp) {
    for (id, cells) in OPERATIONS {
        let (operation, open) = (operation(id), matches!(cells, Cells::Open));
        assert_eq!(operation.open, open, "{id}: the document and the cells differ on whether it needs a token");
        if !open {
            continue;
        }
        let path = operation.path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
        let path = path.collect::<Vec<_>>().join("/");
        let headers: Vec<_> = operation.media.iter().map(|media| ("content-type", &**media)).collect();
        let body = operation.media.as_ref().map(|_| b"{}".as_slice());
        let reply = app.anonymous().send(&operation.method, &path, &headers, body);
        assert_ne!(reply.body["code"], "unauthenticated", "{id}");
        assert!(reply.status < 500, "{id}: {:#}", reply.body);
    }
}

/// Who sees a record of the world.
fn seen(kind: &str, mark: &str) -> Vec<Outcome> {
    let line = VISIBLE.iter().find(|(k, m, _)| (*k, *m) == (kind, mark));
    outcomes(line.unwrap_or_else(|| panic!("{mark} of {kind} has no line in VISIBLE")).2)
}

/// All that can be read in an answer but what names the request itself and the moment.
fn told(reply: &Reply) -> String {
    let mut body = reply.body.clone();
    if let Some(members) = body.as_object_mut() {
        members.remove("request_id");
        members.remove("instance");
    }
    // The connection is closed or kept by whether the body had arrived when the answer was ready.
    let own = |name: &str| {
        ["x-request-id", "date", "connection", "content-length"].contains(&name) || name.starts_with("ratelimit")
    };
    let headers: BTreeSet<_> = reply.headers.iter().filter(|(name, _)| !own(name)).collect();
    format!("{} {headers:?}\n{body}", reply.status)
}

#[track_caller]
fn is_refused(what: &str, reply: &Reply) {
    assert_eq!((reply.status, reply.body["code"].as_str()), (403, Some("not_permitted")), "{what}: {:#}", reply.body);
    let unmet = reply.body["unmet"].as_array().unwrap_or_else(|| panic!("{what} says nothing of what is missing"));
    assert!(!unmet.is_empty(), "{what}: {:#}", reply.body);
    for gate in unmet {
        assert!(!gate["gate"].as_str().unwrap().is_empty() && !gate["message"].as_str().unwrap().is_empty(), "{what}");
    }
}

/// The answer must be the one for an id of the same kind that was never issued.
#[track_caller]
fn is_absent(what: &str, reply: &Reply, ask: impl Fn(&str) -> Reply) {
    assert_eq!((reply.status, reply.body["code"].as_str()), (404, Some("not_found")), "{what}: {:#}", reply.body);
    let never = ask(&Uuid::now_v7().to_string());
    assert_eq!(told(reply), told(&never), "{what}: a hidden record differs from none");
}

impl Stage {
    /// Where the first event of a record stands in the log; of none, where nothing stands.
    fn leaf_of(&self, id: &str) -> String {
        let admin = self.actor("adm");
        let histories =
            ["discoveries", "trials", "findings", "pairings"].map(|k| format!("/v1/{k}/{id}/history?limit=200"));
        let found = histories.iter().map(|path| admin.get(path)).find(|reply| reply.status == 200);
        let Some(history) = found else { return "999999".into() };
        history.body["data"].as_array().unwrap().last().unwrap()["leaf_index"].to_string()
    }
    /// Each actor with what a line says of them.
    fn each<'a>(&'a self, line: &[Outcome]) -> Vec<(&'a str, &'a Actor, Outcome)> {
        let named = ACTORS.iter().copied().zip(&self.actors).zip(line);
        named.map(|((name, actor), outcome)| (name, actor, *outcome)).collect()
    }
}
