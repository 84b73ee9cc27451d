//! The cells of what is read: each record by id and below it, and the lists, their totals and their search.
use super::{
    Outcome,
    cast::{ACTORS, Stage, play},
    cells::{Cells, OPERATIONS, VISIBLE},
    is_absent, is_refused, operation, seen,
};
use crate::support::{Actor, TestApp, on_both_engines};
use serde_json::Value;
use std::collections::BTreeSet;

on_both_engines!(every_record_is_read_by_whom_it_is_for, every_list_holds_what_its_reader_sees);

/// The records that are hidden from an actor: what no answer to them may name.
fn hidden_from<'a>(stage: &'a Stage, actor: &str) -> Vec<(&'a str, &'a str)> {
    let index = ACTORS.iter().position(|name| *name == actor).unwrap();
    let hidden = stage.world.records.iter().filter(|r| seen(r.kind, &r.mark)[index] != Outcome::Allowed);
    hidden.map(|r| (&*r.id, &*r.mark)).collect()
}

#[track_caller]
fn names_nothing_hidden(what: &str, body: &Value, hidden: &[(&str, &str)]) {
    let text = body.to_string();
    let found: Vec<_> = hidden.iter().filter(|(id, mark)| text.contains(id) || text.contains(mark)).collect();
    assert!(found.is_empty(), "{what} names {found:?}: {body:#}");
}

fn every_record_is_read_by_whom_it_is_for(app: &TestApp) {
    let stage = play(app);
    let mut cells = 0;
    for (id, of) in OPERATIONS {
        let Cells::Reads(kind) = of else { continue };
        let operation = operation(id);
        let marks: Vec<_> = VISIBLE.iter().filter(|(k, ..)| k == kind).map(|(_, mark, _)| *mark).collect();
        assert!(!marks.is_empty(), "{id}: nothing of {kind} is in VISIBLE");
        for mark in marks {
            let record = stage.id(mark);
            for (name, who, outcome) in stage.each(&seen(kind, mark)) {
                cells += 1;
                let what = format!("{id} of `{mark}` by {name}");
                let ask = |id: &str| who.get(&operation.path.replace("{id}", id));
                let reply = ask(&record);
                match outcome {
                    Outcome::Allowed => {
                        assert_eq!(reply.status, 200, "{what}: {:#}", reply.body);
                        names_nothing_hidden(&what, &reply.body, &hidden_from(&stage, name));
                    }
                    Outcome::Refused => is_refused(&what, &reply),
                    Outcome::Hidden => is_absent(&what, &reply, ask),
                }
            }
        }
    }
    assert!(cells > 1_500, "only {cells} cells were asked");
}

/// Every page of a list, and the total that it says.
fn listed(who: &Actor, path: &str) -> (BTreeSet<String>, Value) {
    let sign = if path.contains('?') { '&' } else { '?' };
    let page = who.get(&format!("{path}{sign}limit=200&count=true")).expect(200).body;
    assert_eq!(page["next_cursor"], Value::Null, "{path} has one page");
    let rows = page["data"].as_array().unwrap();
    assert_eq!(page["total"], rows.len(), "{path}: the total counts what is shown");
    (rows.iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect(), page)
}

fn every_list_holds_what_its_reader_sees(app: &TestApp) {
    let stage = play(app);
    let mut searched = 0;
    for (id, of) in OPERATIONS {
        let Cells::Lists(kind) = of else { continue };
        let path = operation(id).path;
        let records: Vec<_> = stage.world.records.iter().filter(|r| r.kind == *kind).collect();
        let everything = listed(stage.actor("adm"), &path).0;
        for (index, (name, who)) in ACTORS.iter().zip(&stage.actors).enumerate() {
            if *name == "nil" {
                is_refused(&format!("{id} by {name}"), &who.get(&path));
                continue;
            }
            let (found, page) = listed(who, &path);
            let visible: BTreeSet<_> = match records.is_empty() {
                true => everything.clone(), // organizations and people are for everybody
                false => {
                    let seen = records.iter().filter(|r| seen(kind, &r.mark)[index] == Outcome::Allowed);
                    seen.map(|r| r.id.clone()).collect()
                }
            };
            assert_eq!(found, visible, "{id} by {name}");
            names_nothing_hidden(&format!("{id} by {name}"), &page, &hidden_from(&stage, name));
            if !["discoveries", "trials", "findings", "insights"].contains(kind) {
                continue;
            }
            for record in &records {
                searched += 1;
                let (hits, _) = listed(who, &format!("{path}?q={}", record.mark));
                assert_eq!(hits.contains(&record.id), visible.contains(&record.id), "{name} looks for {}", record.mark);
                assert!(hits.is_subset(&visible), "{name} looks for {}", record.mark);
            }
        }
    }
    assert!(searched > 300, "only {searched} searches were made");
}
