//! History across records: by whom, of whose records, in which period; as pages, CSV and NDJSON.
use crate::{
    ledger::settled,
    support::{Actor, TestApp, on_both_engines},
};
use benchside::vocabulary::Role;
use serde_json::{Value, json};
use std::collections::BTreeSet;

on_both_engines!(
    history_is_asked_by_person_organization_period_and_action,
    each_reader_has_what_they_may_see,
    a_download_is_whole,
    what_history_refuses,
    a_cursor_that_was_written_by_hand_leads_nowhere,
);

fn pages(who: &Actor, query: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = who.get(&format!("/v1/history?limit=3{query}{cursor}")).expect(200).body;
        found.extend(page["data"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn ids(events: &[Value]) -> BTreeSet<String> {
    events.iter().map(|e| e["event_id"].as_str().unwrap().to_owned()).collect()
}

struct Scene {
    ada: Actor,
    bea: Actor,
    kim: Actor,
    auditor: Actor,
    labs: [benchside::id::OrganizationId; 2],
    clinic: benchside::id::OrganizationId,
    discoveries: Vec<String>,
}

fn scene(app: &TestApp) -> Scene {
    let labs = [app.lab("Motor Neuron Lab"), app.lab("Vaccine Lab")];
    let clinic = app.clinic("ALS Clinic");
    let ada = app.scientist("Ada Okafor", labs[0]);
    let bea = app.person("Bea Lind", &[Role::Scientist], &[labs[1]]);
    let kim = app.clinician("Kim Park", clinic);
    let mut discoveries = Vec::new();
    for (who, lab, visibility) in
        [(&ada, labs[0], "internal"), (&bea, labs[1], "confidential"), (&bea, labs[1], "public")]
    {
        let new =
            json!({ "title": "=HYPERLINK(\"x\")", "modality": "device", "lab_id": lab, "visibility": visibility });
        let made = who.post("/v1/discoveries", new).expect(201);
        let path = made.body["links"]["self"].as_str().unwrap().to_owned();
        who.patch(&path, 1, json!({ "trl": 2 })).expect(200);
        who.moves(&path, json!({ "to": "on_hold", "reason": "=1+1, waiting \"for\"\nreagent" })).expect(201);
        discoveries.push(path);
    }
    let trial = json!({ "brief_title": "T", "study_type": "INTERVENTIONAL", "phases": ["NA"], "clinic_id": clinic });
    kim.post("/v1/trials", trial).expect(201);
    let auditor = app.auditor("Audrey Stone");
    settled(app);
    Scene { ada, bea, kim, auditor, labs, clinic, discoveries }
}

fn history_is_asked_by_person_organization_period_and_action(app: &TestApp) {
    let s = scene(app);
    let all = pages(&s.auditor, "");
    let everything = s.auditor.get("/v1/events?limit=200").expect(200).body["data"].as_array().unwrap().clone();
    let fed: Vec<Value> = everything.iter().rev().map(|event| event["data"].clone()).collect();
    assert_eq!(all, fed, "newest first, and every event of the log once");
    let filtered = |query: &str, keep: &dyn Fn(&Value) -> bool| {
        let expected: Vec<Value> = all.iter().filter(|e| keep(e)).cloned().collect();
        assert!(!expected.is_empty(), "{query} finds something");
        assert_eq!(pages(&s.auditor, query), expected, "{query}");
    };
    filtered(&format!("&person_id={}", s.bea.id), &|e| e["by"]["id"] == json!(s.bea.id));
    assert_eq!(pages(&s.bea, "&person_id=me").len(), 6);
    filtered("&action=moved&action=revised", &|e| ["moved", "revised"].contains(&e["action"].as_str().unwrap()));
    filtered("&kind=trial&kind=organization", &|e| {
        ["trial", "organization"].contains(&e["record"]["kind"].as_str().unwrap())
    });
    let of_lab: BTreeSet<&str> = s.discoveries[1..].iter().map(|path| path.rsplit('/').next().unwrap()).collect();
    let lab = s.labs[1].to_string();
    filtered(&format!("&organization_id={lab}"), &|e| {
        let id = e["record"]["id"].as_str().unwrap();
        of_lab.contains(id) || id == lab
    });
    filtered(&format!("&organization_id={}&kind=trial", s.clinic), &|e| e["record"]["kind"] == "trial");
    let (from, to) = (all[5]["recorded_at"].as_str().unwrap(), all[2]["recorded_at"].as_str().unwrap());
    filtered(&format!("&from={from}&to={to}"), &|e| {
        let at = e["recorded_at"].as_str().unwrap();
        from <= at && at <= to
    });
    assert_eq!(pages(&s.auditor, &format!("&person_id={}", s.auditor.id)), Vec::<Value>::new());
}

fn each_reader_has_what_they_may_see(app: &TestApp) {
    let s = scene(app);
    let pat = app.partner("Pat Moss", app.sponsor("Biotech Inc"));
    settled(app);
    let seen = |who: &Actor| pages(who, "&kind=discovery").len();
    assert_eq!((seen(&s.auditor), seen(&s.bea), seen(&s.ada), seen(&pat)), (9, 9, 6, 3));
    for who in [&s.ada, &s.kim, &pat] {
        let by_record: BTreeSet<String> = s
            .discoveries
            .iter()
            .flat_map(|path| {
                let history = who.get(&format!("{path}/history?limit=200"));
                history.body["data"].as_array().cloned().unwrap_or_default()
            })
            .map(|e| e["event_id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ids(&pages(who, "&kind=discovery")), by_record, "{}", who.name);
    }
}

fn a_download_is_whole(app: &TestApp) {
    let s = scene(app);
    let all = pages(&s.auditor, "");
    let lines = s.auditor.send("GET", "/v1/history", &[("accept", "application/x-ndjson")], None);
    let lines: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, all);
    let table = s.auditor.send("GET", "/v1/history?kind=discovery", &[("accept", "text/csv")], None);
    assert!(table.header("content-type").unwrap().starts_with("text/csv"));
    let mut reader = csv::Reader::from_reader(table.text.as_bytes());
    let head: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let expected: Vec<&Value> = all.iter().filter(|e| e["record"]["kind"] == "discovery").collect();
    assert_eq!(rows.len(), expected.len());
    let cell = |row: &csv::StringRecord, name: &str| row[head.iter().position(|n| n == name).unwrap()].to_owned();
    for (row, event) in rows.iter().zip(&expected) {
        assert_eq!(cell(row, "event_id"), event["event_id"].as_str().unwrap());
        assert_eq!(cell(row, "code"), event["record"]["code"].as_str().unwrap());
        assert_eq!(cell(row, "leaf_index"), event["leaf_index"].to_string());
        assert_eq!(cell(row, "by"), event["by"]["name"].as_str().unwrap());
        assert_eq!(serde_json::from_str::<Value>(&cell(row, "changes")).unwrap(), event["changes"]);
        if event["action"] == "moved" {
            assert_eq!(cell(row, "reason"), "'=1+1, waiting \"for\"\nreagent", "no spreadsheet takes it for a formula");
        }
    }
}

fn what_history_refuses(app: &TestApp) {
    let who = app.auditor("Audrey Stone");
    for query in ["kind=pear", "action=baked", "person_id=x", "from=yesterday", "limit=0", "fields=nothing"] {
        who.get(&format!("/v1/history?{query}")).refused(422, "invalid");
    }
    let table = [("accept", "text/csv")];
    who.send("GET", "/v1/history?limit=5", &table, None).refused(422, "invalid");
    who.get("/v1/history?q=x").refused(400, "unknown_parameter");
    who.get("/v1/history?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z").refused(422, "invalid");
    let refused = who.send("GET", "/v1/history", &[("accept", "text/html")], None);
    assert_eq!(refused.status, 406);
    app.anonymous().get("/v1/history").refused(401, "unauthenticated");
}

/// Whoever reads a cursor can write one.
fn a_cursor_that_was_written_by_hand_leads_nowhere(app: &TestApp) {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let s = scene(app);
    let page = s.auditor.get("/v1/history?limit=1").expect(200).body;
    let cursor = URL_SAFE_NO_PAD.decode(page["next_cursor"].as_str().unwrap()).unwrap();
    let with = |value: &str| {
        let mut cursor: Value = serde_json::from_slice(&cursor).unwrap();
        cursor["v"] = json!(value);
        s.auditor.get(&format!("/v1/history?limit=1&cursor={}", URL_SAFE_NO_PAD.encode(cursor.to_string())))
    };
    for value in ["abc", "1e3", "-1", ""] {
        with(value).refused(422, "invalid");
    }
    let furthest = with(&i64::MAX.to_string()).expect(200).body;
    assert_eq!(furthest["data"], page["data"], "behind the last event there is nothing to walk through");
}
