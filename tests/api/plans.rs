//! What queries do: none reads through what grows for ever. By the plans of SQLite, which it makes without a look at the data
//! (PostgreSQL's follow from its statistics).
use crate::{
    ledger::settled,
    past::settles,
    support::{
        TestApp,
        world::{World, world},
    },
    visibility::{encoded, readable, tries},
};
use benchside::{app::Clock, housekeeping::sweep, http::edge::Edge, webhook::deliver};
use diesel::{
    connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation},
    prelude::*,
    sql_query,
    sql_types::Text,
};
use serde_json::json;
use std::{
    cell::Cell,
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

thread_local! {
    /// Whether queries of the connections are noted that this thread opens now.
    static NOTING: Cell<bool> = const { Cell::new(false) };
}
static NOTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

struct Note;

impl Instrumentation for Note {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let shown = query.to_string();
            let sql = shown.split(" -- binds:").next().unwrap().to_owned();
            NOTED.lock().unwrap_or_else(PoisonError::into_inner).insert(sql);
        }
    }
}

fn note() -> Option<Box<dyn Instrumentation>> {
    NOTING.get().then(|| Box::new(Note) as Box<dyn Instrumentation>)
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// The steps of a statement's plan.
fn plan(conn: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let steps: Vec<Step> = sql_query(format!("EXPLAIN QUERY PLAN {sql}")).load(conn).unwrap();
    steps.into_iter().map(|step| step.detail).collect()
}

/// The tables of what happened, to which every change adds, and what queries call them beside.
const GROWING: [&str; 8] =
    ["event", "event_mention", "log_leaf", "log_node", "log_checkpoint", "webhook_delivery", "later", "next"];

/// Whether these steps of a statement read through such a table, by an index or without. What is false from the start reads
/// nothing, and what wants the first few in the order of an index ends with them.
fn reads_through(sql: &str, steps: &[String]) -> bool {
    let ends = !sql.contains("WHERE") && sql.ends_with("LIMIT ?") && !steps.iter().any(|step| step.contains("TEMP"));
    let reads_all = |step: &String| {
        // An automatic index is made of the whole table.
        let of = step.strip_prefix("SCAN ").or(step.strip_prefix("SEARCH ").filter(|_| step.contains("AUTOMATIC")));
        of.is_some_and(|of| GROWING.contains(&of.split(' ').next().unwrap()))
    };
    let is_false = sql.contains("WHERE (1=0)") || sql.contains("WHERE ((1=0) AND ");
    !is_false && !ends && steps.iter().any(reads_all)
}

/// Every GET, plain and with some values of each of its parameters.
fn reads(w: &World) -> Vec<String> {
    let mut paths = Vec::new();
    // A sign-in elsewhere asks for no record, and an explanation reads what a change reads.
    let is_read = |template: &str| !template.contains("{issuer}") && !template.ends_with("/explain");
    for (template, parameters) in readable().into_iter().filter(|(template, _)| is_read(template)) {
        let collection = template.split('/').nth(2).unwrap();
        let ids: Vec<String> = match collection {
            "people" => vec![w.ada.id.to_string()],
            "organizations" => vec![w.labs[0].to_string()],
            "lifecycles" => vec!["L-1".into()],
            _ => [true, false]
                .into_iter()
                .filter_map(|seen| w.of(collection, seen).next())
                .map(|r| r.id.clone())
                .collect(),
        };
        let ids = if template.contains("{id}") { ids } else { vec![String::new()] };
        for id in ids {
            let path =
                [("{id}", &*id), ("{name}", "translational"), ("{version}", "1"), ("{index}", "1"), ("{level}", "0")]
                    .into_iter()
                    .fold(template.clone(), |path, (name, value)| path.replace(name, value))
                    .replace("{number}", "000");
            for parameter in &parameters {
                let name = parameter["name"].as_str().unwrap();
                let values = tries(w, parameter).into_iter().take(1);
                paths.extend(values.map(|value| format!("{path}?{name}={}", encoded(&value))));
            }
            paths.extend([format!("{path}?count=true"), path]);
        }
    }
    paths
}

#[test]
fn no_query_reads_through_the_log() {
    let app = TestApp::sqlite();
    let w = world(&app);
    for follows in [json!({ "lab_id": w.labs[0] }), json!({ "condition": { "mesh": "D000690" } })] {
        w.lou.post("/v1/me/subscriptions", follows).expect(201);
    }
    settles(&app, app.app.clock.now());
    set_default_instrumentation(note).unwrap();
    NOTING.set(true);
    let node = app.node(Edge { rate_limit: 0, ..Edge::default() }, Clock::system());
    NOTING.set(false);

    let ada = w.ada.at(&node);
    let discovery = format!("/v1/discoveries/{}", w.of("discoveries", true).next().unwrap().id);
    ada.patch(&discovery, ada.get(&discovery).expect(200).version(), json!({ "trl": 4 })).expect(200);
    settled(&app);
    let reads = reads(&w);
    let answered: usize = [&w.ada, &w.lou, &w.pat, &w.admin]
        .iter()
        .map(|who| reads.iter().filter(|path| who.at(&node).get(path).status == 200).count())
        .sum();
    assert!(answered > 2 * reads.len(), "{answered} of {}", 4 * reads.len());
    app.wait(deliver::round(&node.app)).unwrap();
    app.wait(sweep(&node.app));

    let noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut conn = SqliteConnection::establish(app.url.strip_prefix("sqlite://").unwrap()).unwrap();
    for (sql, expected) in [
        ("SELECT salt FROM event WHERE payload = leaf", true),
        ("SELECT salt FROM event ORDER BY salt LIMIT ?", true),
        ("SELECT salt FROM event WHERE payload = leaf LIMIT ?", true),
        ("SELECT salt FROM event ORDER BY enqueued LIMIT ?", false),
        ("SELECT salt FROM event WHERE enqueued > ?", false),
    ] {
        let steps = plan(&mut conn, sql);
        assert_eq!(reads_through(sql, &steps), expected, "{sql}: {steps:?}");
    }
    let explained: Vec<_> =
        noted.iter().filter(|sql| ["SELECT", "UPDATE", "DELETE"].iter().any(|verb| sql.starts_with(verb))).collect();
    assert!(explained.len() > 200, "only {} are looked at", explained.len());
    let through: Vec<_> = explained
        .into_iter()
        .map(|sql| (sql, plan(&mut conn, sql)))
        .filter(|(sql, steps)| reads_through(sql, steps))
        .map(|(sql, steps)| format!("{sql}\n    {}", steps.join("\n    ")))
        .collect();
    assert!(through.is_empty(), "{}:\n{}", through.len(), through.join("\n"));
}
