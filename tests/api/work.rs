//! What waits for somebody, and for nobody else; gone once it is done.
use crate::{
    recall::{Ward, ward},
    support::{Actor, TestApp, on_both_engines},
};
use serde_json::{Value, json};

on_both_engines!(
    a_recall_waits_for_three_owners_until_it_is_acknowledged,
    each_side_has_its_work,
    a_trial_of_a_discontinued_discovery_warns_its_owner,
    the_pages_hold_each_item_once,
    a_token_sees_the_kinds_it_is_for,
);

fn work(who: &Actor, query: &str) -> Vec<Value> {
    who.get(&format!("/v1/me/work{query}")).expect(200).body["data"].as_array().unwrap().clone()
}

/// Reason and record of each item, in order.
fn told(who: &Actor) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    work(who, "").iter().map(|item| (text(&item["reason"]), text(&item["record"]["id"]))).collect()
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
    let item = &work(&bo, "")[0];
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
    bo.post(work(&bo, "")[0]["links"]["act"].as_str().unwrap(), json!({})).expect(200);
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
