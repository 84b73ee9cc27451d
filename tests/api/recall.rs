//! Recall: what a finding led to is flagged when it is retracted or superseded, until somebody answers for it.
use crate::{
    ledger::{settled, sound},
    support::{Actor, TestApp, on_both_engines},
};
use benchside::{app::Clock, http::edge::Edge, id::OrganizationId, vocabulary::Role};
use serde_json::{Value, json};

on_both_engines!(
    a_retracted_finding_reaches_three_owners_and_leaves_only_when_acknowledged,
    superseding_recalls_as_retracting_does,
    a_return_to_the_bench_is_reached_too,
    what_was_sent_back_before_there_were_recalls_is_reached,
    what_an_insight_causes_later_is_reached,
    a_recall_is_acknowledged_by_whose_record_it_is,
    a_finding_that_one_may_not_see_is_not_named,
    a_recall_goes_with_the_record,
    two_recalls_of_one_record_end_one_by_one,
    a_token_hears_of_the_kinds_it_is_for,
);

pub struct Ward {
    pub lab: OrganizationId,
    pub ada: Actor,
    pub kim: Actor,
    pub cal: Actor,
    pub trial: String,
}

pub fn ward(app: &TestApp) -> Ward {
    let (lab, clinic) = (app.lab("Motor Neuron Lab"), app.clinic("ALS Clinic"));
    let (ada, kim) = (app.scientist("Ada Okafor", lab), app.clinician("Kim Park", clinic));
    let cal = app.clinician("Cal Colleague", clinic);
    let new = json!({
        "brief_title": "HSP70 in ALS", "study_type": "INTERVENTIONAL", "phases": ["PHASE1"], "clinic_id": clinic,
    });
    let trial = kim.post("/v1/trials", new).expect(201).id();
    Ward { lab, ada, kim, cal, trial }
}

impl Ward {
    pub fn finds(&self, supersedes: Option<&str>) -> String {
        let new = json!({
            "kind": "efficacy", "title": "Fast progressors respond", "narrative": "At length",
            "observed_on": "2026-01-02", "supersedes_id": supersedes,
        });
        let made = self.kim.post(&format!("/v1/trials/{}/findings", self.trial), new).expect(201);
        let path = format!("/v1/findings/{}", made.id());
        self.kim.signs(&path, "authorship", json!({ "to": "signed" })).expect(201);
        made.id()
    }
    pub fn retracts(&self, finding: &str) {
        let body = json!({ "to": "retracted", "reason": "The assay was miscalibrated" });
        self.kim.signs(&format!("/v1/findings/{finding}"), "retraction", body).expect(201);
    }
    pub fn asks(&self, who: &Actor, findings: &[&str]) -> String {
        let new = json!({
            "title": "Why do they respond?", "question": "Is it so?", "rationale": "It may be",
            "finding_ids": findings, "lab_id": self.lab,
        });
        let made = who.post("/v1/insights", new).expect(201);
        who.moves(&format!("/v1/insights/{}", made.id()), json!({ "to": "submitted" })).expect(201);
        made.id()
    }
    pub fn answers(&self, insight: &str, body: Value) -> Value {
        let path = format!("/v1/insights/{insight}");
        self.ada.moves(&path, json!({ "to": "acknowledged" })).expect(201);
        self.ada.moves(&path, json!({ "to": "investigating" })).expect(201);
        self.ada.moves(&path, body).expect(201).body
    }
    pub fn spawns(&self, insight: &str) -> String {
        let body = json!({ "to": "resolved", "outcome": "new_discovery", "discovery": {
            "title": "A fragment that slow progressors lack", "modality": "biologic",
        } });
        self.answers(insight, body)["result"]["discovery"]["id"].as_str().unwrap().to_owned()
    }
}

fn open(who: &Actor) -> Vec<Value> {
    let page = who.get("/v1/recalls?state=open&owner_id=me&count=true").expect(200).body;
    let data = page["data"].as_array().unwrap().clone();
    assert_eq!(page["total"], data.len());
    data
}

fn acknowledge(who: &Actor, recall: &Value, body: Value) -> crate::support::Reply {
    who.post(&format!("/v1/recalls/{}/acknowledge", recall["id"].as_str().unwrap()), body)
}

fn a_retracted_finding_reaches_three_owners_and_leaves_only_when_acknowledged(app: &TestApp) {
    let w = ward(app);
    let finding = w.finds(None);
    let (first, second) = (w.asks(&w.kim, &[&finding]), w.asks(&w.cal, &[&finding]));
    let discovery = w.spawns(&first);
    for who in [&w.ada, &w.kim, &w.cal] {
        assert!(open(who).is_empty());
    }
    w.retracts(&finding);
    let owners = [
        (&w.kim, "insight", &first, "insights"),
        (&w.cal, "insight", &second, "insights"),
        (&w.ada, "discovery", &discovery, "discoveries"),
    ];
    for (who, kind, id, plural) in owners {
        let found = open(who);
        assert_eq!(found.len(), 1, "{}", who.email);
        let (recall, path) = (&found[0], format!("/v1/{plural}/{id}"));
        assert_eq!((&recall["record"]["kind"], &recall["record"]["id"]), (&json!(kind), &json!(id)));
        assert_eq!((&recall["cause"], &recall["finding"]["id"]), (&json!("retracted"), &json!(finding)));
        assert_eq!(recall["record"]["owner"]["id"], who.id.to_string());
        let record = who.get(&path).expect(200);
        assert_eq!(record.body["recalled_at"], recall["raised_at"]);
        let flagged = &who.get(&format!("{path}/history")).expect(200).body["data"][0];
        assert_eq!((&flagged["action"], &flagged["move"]), (&json!("recalled"), &Value::Null));
        assert_eq!(flagged["changes"][0]["field"], "recalled_at");

        assert_eq!(open(who).len(), 1, "looking at it is no answer");
        let closed = acknowledge(who, recall, json!({ "note": "It stands without it" })).expect(200).body;
        assert_eq!((&closed["state"], &closed["note"]), (&json!("acknowledged"), &json!("It stands without it")));
        assert_eq!(closed["acknowledged_by"]["id"], who.id.to_string());
        assert!(open(who).is_empty());
        acknowledge(who, recall, json!({})).refused(409, "conflict");
        let record = who.get(&path).expect(200);
        assert_eq!(record.body["recalled_at"], Value::Null);
        let answered = &who.get(&format!("{path}/history")).expect(200).body["data"][0];
        assert_eq!(
            (&answered["action"], &answered["reason"]),
            (&json!("acknowledged"), &json!("It stands without it"))
        );
    }
    settled(app);
    sound(app);
    let feed = w.kim.get("/v1/events?limit=200&action=recalled&action=acknowledged").expect(200).body;
    assert_eq!(feed["data"].as_array().unwrap().len(), 6);
}

fn superseding_recalls_as_retracting_does(app: &TestApp) {
    let w = ward(app);
    let finding = w.finds(None);
    let insight = w.asks(&w.kim, &[&finding]);
    let next = w.finds(Some(&finding));
    let recall = &open(&w.kim)[0];
    assert_eq!((&recall["cause"], &recall["finding"]["id"]), (&json!("superseded"), &json!(finding)));
    let other = w.asks(&w.cal, &[&next]);
    assert!(open(&w.cal).is_empty(), "{other} cites the one that stands");
    let found = w.kim.get(&format!("/v1/recalls?finding_id={finding}")).expect(200).body;
    assert_eq!(found["data"][0]["record"]["id"], insight);
    assert_eq!(w.kim.get(&format!("/v1/recalls?finding_id={next}")).expect(200).body["data"], json!([]));
    assert_eq!(w.kim.get("/v1/recalls?kind=discovery").expect(200).body["data"], json!([]));
    settled(app);
    sound(app);
}

/// A finding for which one discovery was sent back to the bench and another was refined, and whose they are.
struct SentBack {
    ward: Ward,
    bea: Actor,
    finding: String,
    returned: String,
    refined: String,
}

fn sent_back(app: &TestApp) -> SentBack {
    let w = ward(app);
    let admin = app.administrator("Admin");
    let bea = app.scientist("Bea Second", w.lab);
    let log = |title: &str| {
        let new = json!({ "title": title, "modality": "biologic", "lab_id": w.lab });
        bea.post("/v1/discoveries", new).expect(201).id()
    };
    let (returned, refined) = (log("Returned"), log("Refined"));
    let path = format!("/v1/discoveries/{returned}");
    let forward = json!({ "to": "clinic_ready", "move": "correct", "reason": "It was there before" });
    admin.signs(&path, "correction", forward).expect(201);
    let finding = w.finds(None);
    let new = json!({
        "title": "Why?", "question": "Is it so?", "rationale": "It may be", "finding_ids": [finding],
        "discovery_ids": [returned], "lab_id": w.lab,
    });
    let insight = w.kim.post("/v1/insights", new).expect(201).id();
    w.kim.moves(&format!("/v1/insights/{insight}"), json!({ "to": "submitted" })).expect(201);
    w.answers(&insight, json!({ "to": "resolved", "outcome": "refined_discovery", "discovery_id": refined }));
    bea.moves(&path, json!({ "to": "validated", "reason": "Not in slow ones", "insight_id": insight })).expect(201);
    SentBack { ward: w, bea, finding, returned, refined }
}

/// The records of the open recalls, in order.
fn recalled(who: &Actor) -> Vec<String> {
    let mut found: Vec<_> = open(who).iter().map(|r| r["record"]["id"].as_str().unwrap().to_owned()).collect();
    found.sort_unstable();
    found
}

fn a_return_to_the_bench_is_reached_too(app: &TestApp) {
    let SentBack { ward, bea, finding, returned, refined } = sent_back(app);
    let path = format!("/v1/discoveries/{returned}");
    let ends = json!({ "to": "discontinued", "stop_reason": "negative" });
    bea.signs(&path, "discontinuation", ends).expect(201);
    ward.retracts(&finding);
    let mut expected = [returned.clone(), refined];
    expected.sort_unstable();
    assert_eq!(recalled(&bea), expected, "in whatever state they are");
    assert_eq!(bea.get(&path).expect(200).body["stage"], "discontinued");
    settled(app);
    sound(app);
}

/// A database from before there were recalls is brought up to date with its records in it.
fn what_was_sent_back_before_there_were_recalls_is_reached(app: &TestApp) {
    use benchside::db::{Conn, Purpose};
    use diesel_migrations::{FileBasedMigrations, MigrationHarness};
    let SentBack { mut ward, bea, finding, returned, refined } = sent_back(app);
    settled(app);
    app.app.db.close();
    let mut conn = Conn::open(&app.url.parse().unwrap(), Purpose::Write).unwrap();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(conn.engine());
    let steps = || FileBasedMigrations::from_path(&folder).unwrap();
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    let newer_than_webhooks = names.filter(|name| *name > *"0006").count();
    for _ in 0..newer_than_webhooks {
        match &mut conn {
            #[cfg(feature = "postgres")]
            Conn::Pg(c) => drop(c.revert_last_migration(steps()).unwrap()),
            Conn::Sqlite(c) => drop(c.revert_last_migration(steps()).unwrap()),
        }
    }
    drop(conn);
    let node = app.node(Edge { rate_limit: 0, ..Edge::default() }, Clock::system());
    ward.kim = ward.kim.at(&node);
    ward.retracts(&finding);
    let mut expected = [returned, refined];
    expected.sort_unstable();
    assert_eq!(recalled(&bea.at(&node)), expected);
}

/// What an insight causes after the finding was taken away stands on it no less.
fn what_an_insight_causes_later_is_reached(app: &TestApp) {
    let w = ward(app);
    let new = json!({ "title": "Refined", "modality": "biologic", "lab_id": w.lab });
    let refined = w.ada.post("/v1/discoveries", new).expect(201).id();
    let finding = w.finds(None);
    let asked: Vec<String> = (0..3).map(|_| w.asks(&w.kim, &[&finding])).collect();
    w.finds(Some(&finding));
    let spawned = w.spawns(&asked[0]);
    for insight in &asked[1..] {
        w.answers(insight, json!({ "to": "resolved", "outcome": "refined_discovery", "discovery_id": refined }));
    }
    let mut expected = [spawned, refined];
    expected.sort_unstable();
    assert_eq!(recalled(&w.ada), expected, "each once");
    for id in expected {
        assert!(w.ada.get(&format!("/v1/discoveries/{id}")).expect(200).body["recalled_at"].is_string());
    }
    settled(app);
    sound(app);
}

fn a_recall_is_acknowledged_by_whose_record_it_is(app: &TestApp) {
    let w = ward(app);
    let finding = w.finds(None);
    let insight = w.asks(&w.kim, &[&finding]);
    let discovery = w.spawns(&insight);
    w.retracts(&finding);
    let recalls = app.auditor("Auditor").get("/v1/recalls").expect(200).body["data"].as_array().unwrap().clone();
    assert_eq!(recalls.len(), 2);
    let of = |kind: &str| recalls.iter().find(|r| r["record"]["kind"] == kind).unwrap().clone();
    let (of_insight, of_discovery) = (of("insight"), of("discovery"));
    acknowledge(&w.ada, &of_insight, json!({})).refused(403, "not_permitted");
    acknowledge(&w.kim, &of_discovery, json!({})).refused(403, "not_permitted");
    acknowledge(&app.signed_in(&app.auditor("Audit Two").email), &of_insight, json!({})).refused(403, "not_permitted");
    let other = app.person("Mel Between", &[Role::Clinician], &[w.lab]);
    acknowledge(&other, &of_discovery, json!({})).refused(403, "not_permitted");
    acknowledge(&w.cal, &of_insight, json!({ "typo": 1 })).refused(422, "invalid");
    acknowledge(&w.cal, &of_insight, json!({ "note": "" })).refused(422, "invalid");
    acknowledge(&w.cal, &of_insight, json!({})).expect(200);
    acknowledge(&app.administrator("Admin"), &of_discovery, json!({})).expect(200);
    w.ada.post(&format!("/v1/recalls/{discovery}/acknowledge"), json!({})).refused(404, "not_found");
}

fn a_finding_that_one_may_not_see_is_not_named(app: &TestApp) {
    let w = ward(app);
    let finding = w.finds(None);
    let insight = w.asks(&w.kim, &[&finding]);
    w.spawns(&insight);
    let path = format!("/v1/trials/{}", w.trial);
    let version = w.kim.get(&path).expect(200).version();
    w.kim.patch(&path, version, json!({ "visibility": "confidential" })).expect(200);
    w.retracts(&finding);
    let bea = app.scientist("Bea Elsewhere", app.lab("Another Lab"));
    let found = bea.get("/v1/recalls").expect(200).body["data"].as_array().unwrap().clone();
    assert_eq!(found.len(), 1, "the discovery is internal, the insight is not theirs to see");
    assert_eq!((&found[0]["record"]["kind"], &found[0]["finding"]), (&json!("discovery"), &Value::Null));
    let named = bea.get(&format!("/v1/recalls?finding_id={finding}")).expect(200).body;
    assert_eq!(named["data"], json!([]), "nor can it be asked for");
    let hidden = w.kim.get("/v1/recalls?kind=insight").expect(200).body["data"][0].clone();
    acknowledge(&bea, &hidden, json!({})).refused(404, "not_found");
    acknowledge(&app.partner("Pat", app.sponsor("Northwind")), &hidden, json!({})).refused(404, "not_found");
}

fn a_recall_goes_with_the_record(app: &TestApp) {
    let w = ward(app);
    let finding = w.finds(None);
    let insight = w.asks(&w.kim, &[&finding]);
    w.retracts(&finding);
    assert_eq!(open(&w.kim).len(), 1);
    let new = json!({
        "to_person_id": w.cal.id, "reason": "Leaving", "records": [{ "kind": "insight", "id": insight }],
    });
    let transfer = w.kim.post("/v1/ownership-transfers", new).expect(201).id();
    w.cal.post(&format!("/v1/ownership-transfers/{transfer}/accept"), json!({})).expect(200);
    assert!(open(&w.kim).is_empty());
    let found = open(&w.cal);
    assert_eq!(found[0]["record"]["owner"]["id"], w.cal.id.to_string());
    acknowledge(&w.cal, &found[0], json!({})).expect(200);
    settled(app);
    sound(app);
}

fn two_recalls_of_one_record_end_one_by_one(app: &TestApp) {
    let w = ward(app);
    let (one, two) = (w.finds(None), w.finds(None));
    let insight = w.asks(&w.kim, &[&one, &two]);
    w.retracts(&one);
    w.retracts(&two);
    let path = format!("/v1/insights/{insight}");
    let since = w.kim.get(&path).expect(200).body["recalled_at"].clone();
    let found = open(&w.kim);
    assert_eq!((found.len(), &found[1]["raised_at"]), (2, &since), "since the first");
    acknowledge(&w.kim, &found[1], json!({})).expect(200);
    assert_eq!(w.kim.get(&path).expect(200).body["recalled_at"], since);
    acknowledge(&w.kim, &found[0], json!({})).expect(200);
    assert_eq!(w.kim.get(&path).expect(200).body["recalled_at"], Value::Null);
    settled(app);
    sound(app);
}

fn a_token_hears_of_the_kinds_it_is_for(app: &TestApp) {
    let w = ward(app);
    let finding = w.finds(None);
    let insight = w.asks(&w.kim, &[&finding]);
    w.spawns(&insight);
    w.retracts(&finding);
    let with = |scopes: &[&str]| {
        let new = json!({
            "name": "Nightly", "scopes": scopes, "expires_at": app.app.clock.now().plus_days(1),
        });
        let made = w.kim.post("/v1/auth/tokens", new).expect(201);
        Actor { token: made.body["token"].as_str().unwrap().to_owned(), ..w.kim.clone() }
    };
    let reads = with(&["insights:read"]);
    let found = reads.get("/v1/recalls").expect(200).body["data"].as_array().unwrap().clone();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0]["record"]["kind"], &found[0]["finding"]), (&json!("insight"), &Value::Null));
    acknowledge(&reads, &found[0], json!({})).refused(403, "not_permitted");
    acknowledge(&with(&["insights:read", "trials:write"]), &found[0], json!({})).refused(403, "not_permitted");
    acknowledge(&with(&["insights:write"]), &found[0], json!({})).expect(200);
}
