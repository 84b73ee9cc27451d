//! Many at once: each item decided as a request of its own would be, in one transaction, on both engines.
use crate::support::{Actor, PASSWORD, Reply, TestApp, on_both_engines};
use benchside::{db::schema::signature_challenge as challenges, id::OrganizationId};
use diesel::prelude::*;
use serde_json::{Value, json};

on_both_engines!(
    the_good_ones_stand_and_the_others_are_told_why,
    atomic_is_all_or_nothing,
    many_moves_of_several_kinds,
    an_item_is_refused_as_a_request_of_its_own_is,
    signed_moves_are_signed_one_by_one,
    what_was_made_is_answered_whatever_comes_after,
    answers_that_were_not_compared_are_not_counted,
    a_script_is_refused_what_is_signed_and_nothing_else,
    a_batch_has_bounds,
    a_batch_is_repeated_whole,
    findings_name_their_trial,
    batches_of_the_same_records_do_not_wait_in_a_circle,
);

fn new(lab: OrganizationId, title: &str) -> Value {
    json!({ "title": title, "modality": "device", "lab_id": lab })
}
fn total(who: &Actor, kind: &str) -> i64 {
    who.get(&format!("/v1/{kind}?count=true&limit=1")).expect(200).body["total"].as_i64().unwrap()
}
fn statuses(reply: &Reply) -> Vec<u64> {
    reply.body["data"].as_array().unwrap().iter().map(|r| r["status"].as_u64().unwrap()).collect()
}
fn discoveries(ada: &Actor, lab: OrganizationId, count: usize) -> Vec<Value> {
    let items: Vec<_> = (0..count).map(|n| new(lab, &format!("Discovery {n}"))).collect();
    let made = ada.post("/v1/discoveries/batch", json!({ "items": items })).expect(200).body;
    made["data"].as_array().unwrap().iter().map(|r| r["result"].clone()).collect()
}
fn one_move(record: &Value, kind: &str, version: i64, transition: Value) -> Value {
    json!({ "record": { "kind": kind, "id": record["id"] }, "version": version, "transition": transition })
}
fn validate() -> Value {
    json!({ "to": "validated", "evidence": [{ "kind": "doi", "value": "10.1038/s41586-020-2649-2" }] })
}

fn the_good_ones_stand_and_the_others_are_told_why(app: &TestApp) {
    let (lab, other) = (app.lab("Lab"), app.lab("Another lab"));
    let ada = app.scientist("Ada Okafor", lab);
    let faulty = json!({ "title": "", "modality": "magic", "lab_id": lab, "stage": "validated" });
    let items = [new(lab, "One"), faulty.clone(), new(other, "Not ours"), json!(7), new(lab, "Two")];
    let reply = ada.post("/v1/discoveries/batch", json!({ "items": items })).expect(200);
    assert_eq!(statuses(&reply), [201, 422, 403, 422, 201], "{:#}", reply.body);
    assert_eq!((&reply.body["succeeded"], &reply.body["failed"]), (&json!(2), &json!(3)));
    assert_eq!(total(&ada, "discoveries"), 2);
    for (index, result) in reply.body["data"].as_array().unwrap().iter().enumerate() {
        assert_eq!(result["index"], index);
        assert_eq!(result["result"].is_null(), !result["problem"].is_null());
    }
    let first = &reply.body["data"][0];
    let read = ada.get(first["location"].as_str().unwrap()).expect(200).body;
    assert_eq!(first["result"], read, "as a request of its own answers");
    // The problem is the one that a request of its own gets, but for where it happened.
    let mut alone = ada.post("/v1/discoveries", faulty).refused(422, "invalid");
    let mut among = reply.body["data"][1]["problem"].clone();
    assert_eq!(among["instance"], "/v1/discoveries/batch#/items/1");
    for problem in [&mut alone, &mut among] {
        problem.as_object_mut().unwrap().retain(|name, _| !["instance", "request_id"].contains(&&**name));
    }
    assert_eq!(among, alone);
    assert_eq!(reply.body["data"][2]["problem"]["code"], "not_permitted");
}

fn atomic_is_all_or_nothing(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let good: Vec<_> = (0..20).map(|n| new(lab, &format!("Discovery {n}"))).collect();
    let mut items = good.clone();
    items[7]["modality"] = json!("magic");
    items[13]["title"] = json!("");
    let refused = ada.post("/v1/discoveries/batch", json!({ "items": items, "atomic": true }));
    let problem = refused.refused(409, "batch_refused");
    let told: Vec<_> = problem["results"].as_array().unwrap().iter().map(|r| r["index"].as_u64().unwrap()).collect();
    assert_eq!(told, [7, 13], "every refused item, not only the first");
    assert_eq!(total(&ada, "discoveries"), 0);
    let reply = ada.post("/v1/discoveries/batch", json!({ "items": good, "atomic": true })).expect(200);
    assert_eq!(reply.body["succeeded"], 20);
    assert_eq!(total(&ada, "discoveries"), 20);
}

fn many_moves_of_several_kinds(app: &TestApp) {
    let (lab, clinic) = (app.lab("Lab"), app.clinic("Clinic"));
    let both = app.person(
        "Mia Both",
        &[benchside::vocabulary::Role::Scientist, benchside::vocabulary::Role::Clinician],
        &[lab, clinic],
    );
    let made = discoveries(&both, lab, 500);
    let trial =
        json!({ "brief_title": "A trial", "study_type": "INTERVENTIONAL", "phases": ["PHASE1"], "clinic_id": clinic });
    let trial = both.post("/v1/trials", trial).expect(201).body;
    let recruit = json!({ "to": "RECRUITING", "evidence": [{ "kind": "irb", "value": "IRB-1" }] });
    let mut items: Vec<_> = made.iter().take(499).map(|d| one_move(d, "discovery", 1, validate())).collect();
    items.push(one_move(&trial, "trial", 1, recruit));
    let reply = both.post("/v1/transitions", json!({ "items": items })).expect(200);
    assert_eq!((&reply.body["succeeded"], &reply.body["failed"]), (&json!(500), &json!(0)));
    let last = &reply.body["data"][499]["result"];
    assert_eq!((&last["record"]["kind"], &last["to"]), (&json!("trial"), &json!("RECRUITING")));
    assert_eq!(both.get("/v1/discoveries?stage=validated&count=true&limit=1").expect(200).body["total"], 499);
    // Each change is an event of its own.
    let history = both.get(&format!("/v1/discoveries/{}/history", made[3]["id"].as_str().unwrap())).expect(200).body;
    assert_eq!(history["data"][0]["move"], "advance");
}

fn an_item_is_refused_as_a_request_of_its_own_is(app: &TestApp) {
    let (lab, other) = (app.lab("Lab"), app.lab("Another lab"));
    let (ada, eve) = (app.scientist("Ada Okafor", lab), app.scientist("Eve Marsh", other));
    let mine = discoveries(&ada, lab, 3);
    let mut hidden = new(other, "Hidden");
    hidden["visibility"] = json!("confidential");
    let hidden = eve.post("/v1/discoveries", hidden).expect(201).body;
    let theirs = eve.post("/v1/discoveries", new(other, "Theirs")).expect(201).body;
    let absent = json!({ "id": uuid::Uuid::now_v7() });
    let items = [
        one_move(&mine[0], "discovery", 2, validate()),
        one_move(&mine[1], "discovery", 1, json!({ "to": "preclinical" })),
        one_move(&mine[2], "discovery", 1, json!({ "to": "validated", "evidence": [{ "kind": "doi", "value": "x" }] })),
        one_move(&hidden, "discovery", 1, validate()),
        one_move(&absent, "discovery", 1, validate()),
        one_move(&theirs, "discovery", 1, validate()),
        one_move(&json!({ "id": lab }), "organization", 1, validate()),
        json!({ "record": { "kind": "discovery", "id": mine[0]["id"] }, "transition": { "to": "validated" }, "more": 1 }),
    ];
    let reply = ada.post("/v1/transitions", json!({ "items": items })).expect(200);
    assert_eq!(statuses(&reply), [412, 409, 422, 404, 404, 403, 422, 422], "{:#}", reply.body);
    let problem = |n: usize| reply.body["data"][n]["problem"].clone();
    assert_eq!(problem(0)["current_version"], 1);
    assert_eq!(problem(2)["errors"][0]["pointer"], "/transition/evidence/0/value");
    let (mut one, mut other) = (problem(3), problem(4));
    one["instance"] = Value::Null;
    other["instance"] = Value::Null;
    assert_eq!(one, other, "hidden is as absent");
    assert_eq!(total(&ada, "discoveries"), 4);
    assert_eq!(ada.get("/v1/discoveries?stage=validated&count=true").expect(200).body["total"], 0);
}

fn signed_moves_are_signed_one_by_one(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let made = discoveries(&ada, lab, 3);
    let stop = json!({ "to": "discontinued", "stop_reason": "negative" });
    let signed = |n: usize, password: &str| {
        let path = format!("/v1/discoveries/{}", made[n]["id"].as_str().unwrap());
        let (challenge, version) = ada.challenge(&path, "discontinuation", &stop);
        let mut transition = stop.clone();
        transition["signature"] = json!({ "challenge_id": challenge, "password": password });
        one_move(&made[n], "discovery", version, transition)
    };
    let mut transplanted = signed(2, PASSWORD);
    transplanted["record"]["id"] = made[0]["id"].clone();
    let items = [signed(0, PASSWORD), signed(1, "not my password"), transplanted];
    let reply = ada.post("/v1/transitions", json!({ "items": items })).expect(200);
    // The last comes after the first, which has ended: its version is stale.
    assert_eq!(statuses(&reply), [201, 409, 412], "{:#}", reply.body);
    assert_eq!(reply.body["data"][0]["result"]["signature"]["signer"], "Ada Okafor");
    assert_eq!(reply.body["data"][1]["problem"]["code"], "signature_invalid");
    let many: Vec<_> = (0..21).map(|_| items[1].clone()).collect();
    ada.post("/v1/transitions", json!({ "items": many })).refused(422, "invalid");
}

fn stop() -> Value {
    json!({ "to": "discontinued", "stop_reason": "negative" })
}
/// The end of a discovery with an answer to a challenge for it; and the challenge.
fn signed(ada: &Actor, discovery: &Value, password: &str) -> (Value, String) {
    let path = format!("/v1/discoveries/{}", discovery["id"].as_str().unwrap());
    let (challenge, version) = ada.challenge(&path, "discontinuation", &stop());
    let mut transition = stop();
    transition["signature"] = json!({ "challenge_id": challenge, "password": password });
    (one_move(discovery, "discovery", version, transition), challenge)
}

fn what_was_made_is_answered_whatever_comes_after(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let made = discoveries(&ada, lab, 2);
    let (first, _) = signed(&ada, &made[0], PASSWORD);
    let (mut stale, _) = signed(&ada, &made[1], PASSWORD);
    stale["version"] = json!(7);
    app.refuse("UPDATE", "signature_challenge", "NEW.attempts < OLD.attempts");
    let reply = ada.post("/v1/transitions", json!({ "items": [first, stale] })).expect(200);
    assert_eq!(statuses(&reply), [201, 412]);
    // Alone it is told why it was refused, too.
    let path = format!("/v1/discoveries/{}", made[1]["id"].as_str().unwrap());
    let (challenge, _) = ada.challenge(&path, "discontinuation", &stop());
    let mut body = stop();
    body["signature"] = json!({ "challenge_id": challenge, "password": PASSWORD });
    ada.versioned("POST", &format!("{path}/transitions"), 7, body).refused(412, "version_mismatch");
}

fn answers_that_were_not_compared_are_not_counted(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let made = discoveries(&ada, lab, 12);
    let answers =
        made.iter().enumerate().map(|(n, one)| signed(&ada, one, if n == 0 { PASSWORD } else { "a wrong one" }));
    let (items, challenges): (Vec<_>, Vec<_>) = answers.unzip();
    ada.post("/v1/transitions", json!({ "items": items })).refused(429, "too_many_requests");
    let attempts: Vec<i32> = challenges
        .into_iter()
        .map(|challenge| {
            app.read(move |conn| {
                let id = benchside::id::ChallengeId::of(challenge.parse().unwrap());
                Ok(challenges::table.find(id).select(challenges::attempts).get_result(conn)?)
            })
        })
        .collect();
    assert_eq!(attempts, [vec![0], vec![1; 10], vec![0]].concat(), "right and unused; wrong; never compared");
}

fn a_script_is_refused_what_is_signed_and_nothing_else(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let made = discoveries(&ada, lab, 2);
    let token = json!({ "name": "Nightly", "scopes": ["write"], "expires_at": app.app.clock.now().plus_days(1) });
    let token = ada.post("/v1/auth/tokens", token).expect(201).body["token"].as_str().unwrap().to_owned();
    let script = Actor { token, ..ada.clone() };
    let items = [one_move(&made[0], "discovery", 1, validate()), signed(&ada, &made[1], PASSWORD).0];
    let reply = script.post("/v1/transitions", json!({ "items": items })).expect(200);
    assert_eq!(statuses(&reply), [201, 403], "{:#}", reply.body);
    assert_eq!(reply.body["data"][1]["problem"]["code"], "not_permitted");
}

fn a_batch_has_bounds(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let many: Vec<_> = (0..501).map(|_| json!({})).collect();
    for (body, pointer) in [
        (json!({ "items": [] }), "/items"),
        (json!({ "items": many }), "/items"),
        (json!({ "items": {} }), "/items"),
        (json!({}), "/items"),
        (json!({ "items": [{}], "atomic": "yes" }), "/atomic"),
        (json!({ "items": [{}], "force": true }), "/force"),
    ] {
        for path in ["/v1/discoveries/batch", "/v1/transitions"] {
            let problem = ada.post(path, body.clone()).refused(422, "invalid");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem:#}");
        }
    }
    app.partner("Pat Rowe", app.sponsor("Sponsor"))
        .post("/v1/discoveries/batch", json!({ "items": [new(lab, "x")] }))
        .refused(403, "not_permitted");
}

fn a_batch_is_repeated_whole(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let body = json!({ "items": [new(lab, "One"), json!({}), new(lab, "Two")] }).to_string();
    let send = || {
        let headers = [("content-type", "application/json"), ("idempotency-key", "batch")];
        ada.send("POST", "/v1/discoveries/batch", &headers, Some(body.as_bytes())).expect(200)
    };
    let (first, again) = (send(), send());
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(first.body, again.body);
    assert_eq!(total(&ada, "discoveries"), 2);
}

fn findings_name_their_trial(app: &TestApp) {
    let clinic = app.clinic("Clinic");
    let kim = app.clinician("Kim Park", clinic);
    let trial =
        json!({ "brief_title": "A trial", "study_type": "INTERVENTIONAL", "phases": ["PHASE1"], "clinic_id": clinic });
    let trial = kim.post("/v1/trials", trial).expect(201).id();
    let finding = |trial: Value| json!({ "trial_id": trial, "kind": "safety", "title": "Mild", "narrative": "", "observed_on": "2026-03-14" });
    let items =
        [finding(json!(trial)), finding(json!(uuid::Uuid::now_v7())), finding(json!("T-1")), finding(Value::Null)];
    let reply = kim.post("/v1/findings/batch", json!({ "items": items })).expect(200);
    assert_eq!(statuses(&reply), [201, 404, 422, 422], "{:#}", reply.body);
    assert_eq!(reply.body["data"][0]["result"]["trial"]["id"], trial);
    assert_eq!(total(&kim, "findings"), 1);
}

fn batches_of_the_same_records_do_not_wait_in_a_circle(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let records = discoveries(&ada, lab, 30);
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let sent: Vec<_> = (0..6)
            .map(|n| {
                let mut items: Vec<_> = records.iter().map(|d| one_move(d, "discovery", 1, validate())).collect();
                if n % 2 == 1 {
                    items.reverse();
                }
                let ada = &ada;
                scope.spawn(move || ada.post("/v1/transitions", json!({ "items": items })))
            })
            .collect();
        sent.into_iter().map(|reply| reply.join().unwrap()).collect()
    });
    let stood: u64 = replies.into_iter().map(|reply| reply.expect(200).body["succeeded"].as_u64().unwrap()).sum();
    assert_eq!(stood, 30, "each record is moved once");
}
