//! The demo's hospital: as much as it promises, the same for the same seed, and no row without its use case's event.
use crate::support::{Actor, TestApp, on_both_engines};
use benchside::db::{columns::Time, schema::event};
use diesel::prelude::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

on_both_engines!(the_demo_is_believable, the_same_seed_tells_the_same_story);

const MIDNIGHT: &str = "2026-11-23T00:00:00Z";

fn all(who: &Actor, kind: &str) -> Vec<Value> {
    let page = who.get(&format!("/v1/{kind}?limit=200&sort=code")).expect(200);
    assert_eq!(page.body["next_cursor"], Value::Null, "one page holds all {kind}");
    page.body["data"].as_array().unwrap().clone()
}

fn tally(records: &[Value], field: &str) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for record in records {
        *tally.entry(record[field].as_str().unwrap_or("none").to_owned()).or_insert(0) += 1;
    }
    tally
}

fn the_demo_is_believable(app: &TestApp) {
    app.demo(1, Time::parse(MIDNIGHT).unwrap());
    let admin = app.signed_in("administrator@demo.test");
    let discoveries = all(&admin, "discoveries");
    assert!(discoveries.len() >= 40);
    let stages = tally(&discoveries, "stage");
    for stage in [
        "logged",
        "validated",
        "preclinical",
        "clinic_ready",
        "first_in_human",
        "efficacy",
        "implementation",
        "public_health",
        "on_hold",
        "discontinued",
    ] {
        assert!(stages.contains_key(stage), "nothing is {stage}: {stages:?}");
    }
    assert!(all(&admin, "trials").len() >= 12);
    assert!(all(&admin, "findings").len() >= 60);
    let insights = all(&admin, "insights");
    assert!(insights.len() >= 25);
    let closed = insights.iter().filter(|i| ["new_discovery", "refined_discovery"].iter().any(|o| i["outcome"] == *o));
    assert!(closed.count() >= 3, "loops that closed");
    let returns: usize = discoveries
        .iter()
        .map(|d| {
            admin.get(&format!("/v1/discoveries/{}/transitions?limit=200", d["code"].as_str().unwrap())).expect(200)
        })
        .map(|moves| moves.body["data"].as_array().unwrap().iter().filter(|m| m["move"] == "return_to_bench").count())
        .sum();
    assert!(returns >= 3, "discoveries that went back to the bench");

    // Each kind has records that the partner sees and records hidden from them; everyone has something to do.
    let partner = app.signed_in("partner@demo.test");
    for kind in ["discoveries", "trials", "findings", "insights", "pairings"] {
        let (seen, there) = (all(&partner, kind).len(), all(&admin, kind).len());
        assert!(0 < seen && seen < there, "{kind}: {seen} of {there}");
    }
    let waiting = |who: &Actor, path: &str| !who.get(path).expect(200).body["data"].as_array().unwrap().is_empty();
    let (scientist, clinician) = (app.signed_in("scientist@demo.test"), app.signed_in("clinician@demo.test"));
    assert!(
        waiting(&scientist, "/v1/insights?state=submitted")
            && waiting(&scientist, "/v1/ownership-transfers?state=proposed")
    );
    assert!(
        waiting(&clinician, "/v1/pairings?state=proposed&clinician_id=me")
            && waiting(&partner, "/v1/pairings?state=proposed")
    );
    let lab = scientist.get("/v1/me").expect(200).body["organizations"][0]["id"].as_str().unwrap().to_owned();
    let colleagues = admin.get(&format!("/v1/people?organization_id={lab}&role=scientist")).expect(200);
    assert!(colleagues.body["data"].as_array().unwrap().len() >= 2);
    app.signed_in("auditor@demo.test").get("/v1/discoveries/D-1/history").expect(200);

    // No row without its event: each record's versions are 1, 2, 3 … up to the one it has.
    let events: Vec<(benchside::id::AnyId, i64)> = app.read(|conn| {
        Ok(event::table
            .order((event::record_id, event::record_version))
            .select((event::record_id, event::record_version))
            .load(conn)?)
    });
    let mut versions: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (id, version) in events {
        versions.entry(id.to_string()).or_default().push(version);
    }
    for kind in
        ["discoveries", "trials", "findings", "insights", "pairings", "organizations", "people", "ownership-transfers"]
    {
        for record in all(&admin, kind) {
            let expected: Vec<i64> = (1..=record["version"].as_i64().unwrap()).collect();
            assert_eq!(versions[record["id"].as_str().unwrap()], expected, "{kind} {}", record["code"]);
        }
    }
}

fn the_same_seed_tells_the_same_story(app: &TestApp) {
    let told = |app: &TestApp, seed: u64| {
        app.demo(seed, Time::parse(MIDNIGHT).unwrap());
        let admin = app.signed_in("administrator@demo.test");
        let line =
            |r: &Value| format!("{} {} {} {} {}", r["code"], r["title"], r["stage"], r["state"], r["updated_at"]);
        ["discoveries", "findings", "insights"]
            .iter()
            .flat_map(|k| all(&admin, k))
            .map(|r| line(&r))
            .collect::<BTreeSet<_>>()
    };
    let first = told(app, 7);
    assert_eq!(first, told(&TestApp::sqlite(), 7));
    assert_ne!(first, told(&TestApp::sqlite(), 8));
}
