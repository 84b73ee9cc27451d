//! What waits for somebody, and for nobody else; gone once it is done.
use crate::{
    recall::{Ward, ward},
    support::{Actor, TestApp, on_both_engines},
};
use benchside::work::store::LOOKED_AT;
use serde_json::{Value, json};

on_both_engines!(
    a_recall_waits_for_three_owners_until_it_is_acknowledged,
    each_side_has_its_work,
    a_trial_of_a_discontinued_discovery_warns_its_owner,
    the_pages_hold_each_item_once,
    a_token_sees_the_kinds_it_is_for,
    the_gates_one_can_meet_are_told_with_what_is_unmet,
    what_has_ended_stands_before_nothing,
);

fn work(who: &Actor, query: &str) -> Vec<Value> {
    who.get(&format!("/v1/me/work{query}")).expect(200).body["data"].as_array().unwrap().clone()
}

/// What somebody else or a day asks for: everything but the moves that one may make anyway.
const ASKED: &str =
    "?reason=insight&reason=pairing&reason=transfer&reason=recall&reason=reporting_duty&reason=discontinued";

/// Reason and record of each item, in order.
fn told(who: &Actor) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    work(who, ASKED).iter().map(|item| (text(&item["reason"]), text(&item["record"]["id"]))).collect()
}

fn only(reason: &str, id: &str) -> Vec<(String, String)> {
    vec![(reason.into(), id.into())]
}

fn a_recall_waits_for_three_owners_until_it_is_acknowledged(app: &TestApp) {
    let w = ward(app);
    let finding = w.finds(None);
    let (first, second) = (w.asks(&w.kim, &[&finding]), w.asks(&w.cal, &[&finding]));
    let discovery = w.spawns(&first);
    let declined = json!({ "to": "declined", "reason": "Not ours" });
    w.ada.moves(&format!("/v1/insights/{second}"), declined).expect(201);
    w.cal.moves(&format!("/v1/insights/{second}"), json!({ "to": "withdrawn" })).expect(201);
    w.retracts(&finding);
    for (who, id) in [(&w.kim, &first), (&w.cal, &second), (&w.ada, &discovery)] {
        assert_eq!(told(who), only("recall", id), "{}", who.email);
        let item = &work(who, "?reason=recall")[0];
        who.post(item["links"]["act"].as_str().unwrap(), json!({})).expect(200);
        assert_eq!(told(who), []);
    }
}

fn each_side_has_its_work(app: &TestApp) {
    let w = ward(app);
    let bo = app.scientist("Bo Lindqvist", w.lab);
    let lou = app.clinician("Lou Elsewhere", app.clinic("Other Clinic"));
    // An insight waits for the whole lab, then for it and whom it is assigned to, then for who asked.
    let insight = w.asks(&w.kim, &[&w.finds(None)]);
    let path = format!("/v1/insights/{insight}");
    assert_eq!((told(&w.ada), told(&bo)), (only("insight", &insight), only("insight", &insight)));
    assert_eq!((told(&w.kim), told(&lou)), (vec![], vec![]));
    let item = &work(&bo, ASKED)[0];
    assert_eq!(item["due_at"], bo.get(&path).expect(200).body["due_at"]);
    assert_eq!(item["overdue"], false);
    bo.moves(&path, json!({ "to": "declined", "reason": "Not ours" })).expect(201);
    assert_eq!((told(&w.ada), told(&w.kim)), (vec![], only("insight", &insight)));
    w.kim.moves(&path, json!({ "to": "withdrawn" })).expect(201);
    assert_eq!(told(&w.kim), []);
    // A pairing waits for who is asked.
    let new = json!({ "title": "A", "modality": "biologic", "lab_id": w.lab });
    let discovery = w.ada.post("/v1/discoveries", new).expect(201).id();
    let lead = |clinician: &Actor| json!({ "discovery_id": discovery, "kind": "clinical_lead", "clinician_id": clinician.id, "message": "Please" });
    let pairing = w.ada.post("/v1/pairings", lead(&w.kim)).expect(201).id();
    assert_eq!((told(&w.kim), told(&w.ada), told(&w.cal)), (only("pairing", &pairing), vec![], vec![]));
    w.kim.moves(&format!("/v1/pairings/{pairing}"), json!({ "to": "declined", "reason": "No" })).expect(201);
    let pairing = lou.post("/v1/pairings", lead(&lou)).expect(201).id();
    assert_eq!((told(&bo), told(&lou)), (only("pairing", &pairing), vec![]));
    lou.moves(&format!("/v1/pairings/{pairing}"), json!({ "to": "withdrawn" })).expect(201);
    // A transfer waits for who is to have it.
    let new = json!({
        "to_person_id": bo.id, "reason": "Leaving", "records": [{ "kind": "discovery", "id": discovery }],
    });
    let transfer = w.ada.post("/v1/ownership-transfers", new).expect(201).id();
    assert_eq!((told(&bo), told(&w.ada)), (only("transfer", &transfer), vec![]));
    bo.post(work(&bo, "?reason=transfer")[0]["links"]["act"].as_str().unwrap(), json!({})).expect(200);
    assert_eq!(told(&bo), []);
}

fn a_trial_of_a_discontinued_discovery_warns_its_owner(app: &TestApp) {
    let w = ward(app);
    let new = json!({ "title": "A", "modality": "biologic", "lab_id": w.lab });
    let discovery = w.ada.post("/v1/discoveries", new).expect(201).id();
    let path = format!("/v1/trials/{}", w.trial);
    let links = json!({ "data": [{ "discovery_id": discovery, "role": "measures" }] });
    w.kim.put(&format!("{path}/discoveries"), w.kim.get(&path).expect(200).version(), links).expect(200);
    let ends = json!({ "to": "discontinued", "stop_reason": "negative" });
    w.ada.signs(&format!("/v1/discoveries/{discovery}"), "discontinuation", ends).expect(201);
    let warned = w.kim.get(&path).expect(200).body["warnings"].as_array().unwrap().len();
    assert_eq!(told(&w.kim).len(), warned, "as the trial itself says");
    let old = json!({ "fda_regulated": true, "verified_on": "2020-01" });
    w.kim.patch(&path, w.kim.get(&path).expect(200).version(), old).expect(200);
    assert!(told(&w.kim).contains(&("reporting_duty".into(), w.trial.clone())));
    assert_eq!(told(&w.cal), [], "it is not theirs");
    let found = work(&w.kim, "?reason=reporting_duty");
    assert!(found[0]["message"].as_str().unwrap().contains("42 CFR 11.64"));
    let act = found[0]["links"]["act"].as_str().unwrap();
    let month = app.app.clock.now().to_string()[..7].to_owned();
    w.kim.patch(act, w.kim.get(act).expect(200).version(), json!({ "verified_on": month })).expect(200);
    assert!(work(&w.kim, "?reason=reporting_duty").is_empty(), "what is done there takes it off the list");
    w.kim.get("/v1/me/work?reason=boredom").refused(422, "invalid");
}

fn several(w: &Ward, n: usize) -> Vec<String> {
    let finding = w.finds(None);
    (0..n).map(|_| w.asks(&w.kim, &[&finding])).collect()
}

fn the_pages_hold_each_item_once(app: &TestApp) {
    let w = ward(app);
    let insights = several(&w, 5);
    for sort in ["due_at", "-due_at"] {
        let (mut found, mut query) = (Vec::new(), format!("?sort={sort}&limit=2&count=true"));
        loop {
            let page = w.ada.get(&format!("/v1/me/work{query}")).expect(200).body;
            assert_eq!(page["total"], 5);
            let ids = page["data"].as_array().unwrap().iter();
            found.extend(ids.map(|item| item["record"]["id"].as_str().unwrap().to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            query = format!("?sort={sort}&limit=2&count=true&cursor={next}");
        }
        let mut expected = insights.clone();
        if sort.starts_with('-') {
            expected.reverse();
        }
        assert_eq!(found, expected, "{sort}");
    }
}

fn a_token_sees_the_kinds_it_is_for(app: &TestApp) {
    let w = ward(app);
    let insight = several(&w, 1).remove(0);
    let with = |scope: &str| {
        let new = json!({
            "name": "Nightly", "scopes": [scope], "expires_at": app.app.clock.now().plus_days(1),
        });
        let made = w.ada.post("/v1/auth/tokens", new).expect(201);
        Actor { token: made.body["token"].as_str().unwrap().to_owned(), ..w.ada.clone() }
    };
    assert_eq!(told(&with("insights:read")), only("insight", &insight));
    assert_eq!(told(&with("trials:read")), []);
}

/// Kind, record, and the moves of each item of the reason `gate`.
fn gates(who: &Actor) -> Vec<(String, String, Vec<Value>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = work(who, "?reason=gate");
    let told = |item: &Value| {
        let moves = item["moves"].as_array().unwrap().clone();
        (text(&item["record"]["kind"]), text(&item["record"]["id"]), moves)
    };
    items.iter().map(told).collect()
}

fn the_gates_one_can_meet_are_told_with_what_is_unmet(app: &TestApp) {
    let w = ward(app);
    let (bo, admin) = (app.scientist("Bo Lindqvist", w.lab), app.administrator("Admin"));
    let new = json!({ "title": "A", "modality": "biologic", "lab_id": w.lab });
    let discovery = w.ada.post("/v1/discoveries", new).expect(201).id();
    let path = format!("/v1/discoveries/{discovery}");
    // The owner's: the one move that leads on, as the record itself offers it.
    let offered = |who: &Actor, to: &str| {
        let offers = who.get(&format!("{path}/transitions/available")).expect(200).body["data"].clone();
        offers.as_array().unwrap().iter().find(|o| o["to"] == to && o["move"] != "correct").unwrap().clone()
    };
    let advance = offered(&w.ada, "validated");
    assert_eq!((&advance["allowed"], &advance["unmet"][0]["gate"]), (&json!(false), &json!("evidence")));
    assert_eq!(gates(&w.ada), [("discovery".to_owned(), discovery.clone(), vec![advance])]);
    assert_eq!((gates(&bo), gates(&admin)), (vec![], vec![]), "it is neither's own");
    let evidence = json!([{ "kind": "doi", "value": "10.1038/s41586-020-2649-2" }]);
    w.ada.moves(&path, json!({ "to": "validated", "evidence": evidence })).expect(201);
    assert_eq!(gates(&w.ada)[0].2, [offered(&w.ada, "preclinical")]);
    // On hold it waits for nothing.
    w.ada.moves(&path, json!({ "to": "on_hold", "reason": "Moving house" })).expect(201);
    assert_eq!(gates(&w.ada), []);
    // In the clinic it is the lead's, and no longer the owner's.
    let ready = json!({ "to": "clinic_ready", "move": "correct", "reason": "It was there before" });
    admin.signs(&path, "correction", ready).expect(201);
    let lead = json!({
        "discovery_id": discovery, "kind": "clinical_lead", "clinician_id": w.cal.id, "message": "Please",
    });
    let pairing = w.ada.post("/v1/pairings", lead).expect(201).id();
    assert_eq!((gates(&w.ada), gates(&w.cal)), (vec![], vec![]));
    w.cal.moves(&format!("/v1/pairings/{pairing}"), json!({ "to": "accepted" })).expect(201);
    let first = offered(&w.cal, "first_in_human");
    assert_eq!(first["unmet"][0]["gate"], "trial");
    assert_eq!(gates(&w.cal), [("discovery".to_owned(), discovery.clone(), vec![first])]);
    // A trial, a draft finding and a draft insight wait for their owner.
    let finding = w.finds(None);
    let draft = json!({
        "kind": "safety", "title": "Seen", "narrative": "At length", "observed_on": "2026-01-02",
    });
    let draft = w.kim.post(&format!("/v1/trials/{}/findings", w.trial), draft).expect(201).id();
    let new = json!({
        "title": "Why?", "question": "Is it so?", "rationale": "It may be", "finding_ids": [finding], "lab_id": w.lab,
    });
    let insight = w.kim.post("/v1/insights", new).expect(201).id();
    let told = gates(&w.kim);
    let ids: Vec<_> = told.iter().map(|(kind, id, _)| (&**kind, &**id)).collect();
    assert_eq!(ids, [("trial", &*w.trial), ("finding", &*draft), ("insight", &*insight)]);
    let moves = |n: usize| told[n].2.iter().map(|m| m["move"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!((moves(1), moves(2)), (vec!["sign"], vec!["submit"]));
    assert_eq!(told[1].2[0]["needs"], json!(["signature"]));
    assert!(!moves(0).contains(&"withdraw") && !moves(0).contains(&"correct"), "{:?}", moves(0));
}

/// So many of each sort are looked at: what has ended, whenever that was, is none of them.
fn what_has_ended_stands_before_nothing(app: &TestApp) {
    let w = ward(app);
    let new = |title: &str| json!({ "title": title, "modality": "biologic", "lab_id": w.lab });
    let live = w.ada.post("/v1/discoveries", new("Live")).expect(201).id();
    let ended: Vec<Value> = (0..LOOKED_AT).map(|n| new(&format!("Ended {n}"))).collect();
    w.ada.post("/v1/discoveries/batch", json!({ "items": ended })).expect(200);
    let later = app.app.clock.now().plus_days(1);
    app.sql(format!(
        "UPDATE discovery SET stage = 'discontinued', stage_entered_at = '{later}' WHERE title LIKE 'Ended %'"
    ));
    let told = gates(&w.ada);
    assert_eq!(told.iter().map(|(_, id, _)| &**id).collect::<Vec<_>>(), [&*live]);
}
