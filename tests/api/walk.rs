//! The whole loop, told once: from a laboratory to a trial and its insight back to a laboratory, with the wrong roles
//! refused along the way.
use crate::support::{PASSWORD, TestApp, on_both_engines};
use serde_json::{Value, json};

on_both_engines!(the_loop_closes);

fn gates(body: &Value) -> Vec<&str> {
    let mut gates: Vec<_> = body["unmet"].as_array().unwrap().iter().map(|u| u["gate"].as_str().unwrap()).collect();
    gates.sort_unstable();
    gates
}

pub fn the_loop_closes(app: &TestApp) {
    let (lab, clinic, sponsor) = (app.lab("Motor Neuron Lab"), app.clinic("ALS Clinic"), app.sponsor("Northwind"));
    let ada = app.scientist("Ada Okafor", lab);
    let bo = app.scientist("Bo Lindqvist", lab);
    let stranger = app.scientist("Cleo Stranger", app.lab("Another Lab"));
    let kim = app.clinician("Kim Park", clinic);
    let (admin, auditor, partner) =
        (app.administrator("Admin"), app.auditor("Auditor"), app.partner("Pat Partner", sponsor));

    // Sign in for real, once.
    let token = app.anonymous().post("/v1/auth/login", json!({ "email": ada.email, "password": PASSWORD })).expect(200);
    assert_eq!(token.body["token_type"], "Bearer");
    app.anonymous()
        .post("/v1/auth/login", json!({ "email": ada.email, "password": "wrong" }))
        .refused(401, "invalid_credentials");
    app.anonymous().get("/v1/me").refused(401, "unauthenticated");
    let me = ada.get("/v1/me").expect(200);
    assert_eq!((&me.body["roles"], &me.body["organizations"][0]["kind"]), (&json!(["scientist"]), &json!("lab")));

    // Log.
    let new = json!({
        "title": "HSP70 induction clears TDP-43 aggregates", "summary": "Seen in three iPSC lines.",
        "modality": "small_molecule", "lab_id": lab,
        "conditions": [{ "name": "Amyotrophic Lateral Sclerosis", "mesh": "D000690" }],
    });
    for wrong in [&kim, &admin, &auditor, &partner] {
        wrong.post("/v1/discoveries", new.clone()).refused(403, "not_permitted");
    }
    stranger.post("/v1/discoveries", new.clone()).refused(403, "not_permitted");
    let logged = ada.post("/v1/discoveries", new).expect(201);
    assert_eq!(logged.etag.as_deref(), Some("\"1\""));
    let discovery = format!("/v1/discoveries/{}", logged.id());
    assert_eq!(logged.location.as_deref(), Some(&*discovery));
    let code = logged.body["code"].as_str().unwrap().to_owned();
    assert_eq!(ada.get(&format!("/v1/discoveries/{code}")).expect(200).id(), logged.id());
    partner.get(&discovery).refused(404, "not_found");

    // Validate with a DOI.
    let refused = ada.moves(&discovery, json!({ "to": "validated" })).refused(409, "gates_unmet");
    assert_eq!(gates(&refused), ["evidence"]);
    let validate = json!({ "to": "validated", "evidence": [{ "kind": "doi", "value": "10.1038/S41586-020-2649-2" }] });
    let not_hers = stranger.moves(&discovery, validate.clone()).refused(403, "not_permitted");
    assert_eq!(gates(&not_hers), ["steward"]);
    assert_eq!(gates(&kim.moves(&discovery, validate.clone()).refused(403, "not_permitted")), ["role", "steward"]);
    let moved = ada.moves(&discovery, validate).expect(201);
    assert_eq!(
        (&moved.body["from"], &moved.body["to"], &moved.body["record"]["version"]),
        (&json!("logged"), &json!("validated"), &json!(2))
    );
    assert_eq!(ada.get(&discovery).body["references"][0]["value"], "10.1038/s41586-020-2649-2");

    // Preclinical with a TRL.
    assert_eq!(gates(&ada.moves(&discovery, json!({ "to": "preclinical" })).refused(409, "gates_unmet")), ["field"]);
    ada.send("PATCH", &discovery, &[("content-type", "application/merge-patch+json")], Some(b"{\"trl\":4}"))
        .refused(428, "version_required");
    ada.patch(&discovery, 1, json!({ "trl": 4 })).refused(412, "version_mismatch");
    ada.patch(&discovery, 2, json!({ "stage": "clinic_ready" })).refused(422, "invalid");
    ada.patch(&discovery, 2, json!({ "trl": 4 })).expect(200);
    ada.moves(&discovery, json!({ "to": "preclinical" })).expect(201);

    // What moves are open? Hand-off is blocked by exactly what is missing.
    let open = ada.get(&format!("{discovery}/transitions/available")).expect(200);
    let moves = open.body["data"].as_array().unwrap();
    let hand_off = moves.iter().find(|m| m["move"] == "hand_off").unwrap();
    assert_eq!(hand_off["allowed"], false);
    assert_eq!(gates(hand_off), ["evidence", "evidence", "pairing"]);
    assert_eq!(hand_off["needs"], json!(["evidence", "signature"]));

    // A pairing, proposed and accepted.
    let proposal = json!({ "discovery_id": logged.id(), "kind": "clinical_lead", "clinician_id": kim.id, "message": "Would you lead it?" });
    auditor.post("/v1/pairings", proposal.clone()).refused(403, "not_permitted");
    let pairing = ada.post("/v1/pairings", proposal).expect(201);
    let pairing = format!("/v1/pairings/{}", pairing.id());
    partner.get(&pairing).refused(404, "not_found");
    ada.moves(&pairing, json!({ "to": "accepted" })).refused(403, "not_permitted");
    kim.moves(&pairing, json!({ "to": "accepted" })).expect(201);

    // The hand-off is signed; a wrong password and another body are refused.
    let references = json!([{ "kind": "ind", "value": "IND 123456" }, { "kind": "irb", "value": "IRB-2026-14" }]);
    let hand_off = json!({ "to": "clinic_ready", "evidence": references });
    assert_eq!(gates(&ada.moves(&discovery, hand_off.clone()).refused(409, "gates_unmet")), ["signature"]);
    let (challenge, version) = ada.challenge(&discovery, "handoff", &hand_off);
    let signed = |body: &Value, challenge: &str, password: &str| {
        let mut body = body.clone();
        body["signature"] = json!({ "challenge_id": challenge, "password": password });
        body
    };
    let transitions = format!("{discovery}/transitions");
    ada.versioned("POST", &transitions, version, signed(&hand_off, &challenge, "not my password"))
        .refused(409, "signature_invalid");
    let mut other = hand_off.clone();
    other["reason"] = json!("another body");
    ada.versioned("POST", &transitions, version, signed(&other, &challenge, PASSWORD))
        .refused(409, "signature_invalid");
    bo.versioned("POST", &transitions, version, signed(&hand_off, &challenge, PASSWORD))
        .refused(409, "signature_invalid");
    let handed = ada.versioned("POST", &transitions, version, signed(&hand_off, &challenge, PASSWORD)).expect(201);
    assert_eq!(handed.body["signature"]["signer"], "Ada Okafor");
    assert_eq!(handed.body["signature"]["meaning"], "handoff");

    // A phase 1 trial, linked, with its IRB reference, recruiting.
    let new = json!({
        "brief_title": "Safety of BX-12 in ALS", "study_type": "INTERVENTIONAL", "phases": ["PHASE1"], "clinic_id": clinic,
        "conditions": [{ "name": "Amyotrophic Lateral Sclerosis", "mesh": "D000690" }],
    });
    ada.post("/v1/trials", new.clone()).refused(403, "not_permitted");
    let trial_id = kim.post("/v1/trials", new).expect(201).id();
    let trial = format!("/v1/trials/{trial_id}");
    let links = json!({ "data": [{ "discovery_id": logged.id(), "role": "tests" }] });
    stranger.put(&format!("{trial}/discoveries"), 1, links.clone()).refused(403, "not_permitted");
    kim.put(&format!("{trial}/discoveries"), 1, links).expect(200);
    assert_eq!(gates(&kim.moves(&discovery, json!({ "to": "first_in_human" })).refused(409, "gates_unmet")), ["trial"]);
    assert_eq!(gates(&kim.moves(&trial, json!({ "to": "RECRUITING" })).refused(409, "gates_unmet")), ["evidence"]);
    ada.moves(&trial, json!({ "to": "RECRUITING" })).refused(403, "not_permitted");
    let irb = json!([{ "kind": "irb", "value": "IRB-2026-14" }]);
    kim.moves(&trial, json!({ "to": "RECRUITING", "evidence": irb })).expect(201);
    ada.moves(&discovery, json!({ "to": "first_in_human" })).refused(403, "not_permitted");
    kim.moves(&discovery, json!({ "to": "first_in_human" })).expect(201);

    // An unexpected finding, signed.
    let new = json!({
        "kind": "biomarker", "title": "Responders had high NfL at baseline", "narrative": "Seen in 7 of 9.",
        "observed_on": "2026-10-02", "unexpected": true,
        "effect": { "measure": "odds ratio", "value": 4.2, "ci_low": 1.3, "ci_high": 13.1, "ci_level": 95 },
    });
    ada.post(&format!("{trial}/findings"), new.clone()).refused(403, "not_permitted");
    let finding_id = kim.post(&format!("{trial}/findings"), new).expect(201).id();
    let finding = format!("/v1/findings/{finding_id}");
    ada.get(&finding).refused(404, "not_found");
    kim.signs(&finding, "authorship", json!({ "to": "signed" })).expect(201);
    ada.get(&finding).expect(200);
    kim.patch(&finding, 2, json!({ "title": "Changed" })).refused(409, "immutable");

    // An insight goes to the lab, which resolves it as a new discovery.
    let new = json!({
        "title": "Why do fast progressors respond?", "question": "Is NfL upstream of HSP70?", "rationale": "See F.",
        "finding_ids": [finding_id], "lab_id": lab, "urgency": "priority",
    });
    ada.post("/v1/insights", new.clone()).refused(403, "not_permitted");
    let insight_id = kim.post("/v1/insights", new).expect(201).id();
    let insight = format!("/v1/insights/{insight_id}");
    ada.get(&insight).refused(404, "not_found");
    kim.moves(&insight, json!({ "to": "submitted" })).expect(201);
    kim.moves(&insight, json!({ "to": "acknowledged" })).refused(403, "not_permitted");
    ada.moves(&insight, json!({ "to": "acknowledged" })).expect(201);
    ada.moves(&insight, json!({ "to": "investigating" })).expect(201);
    let resolved = ada
        .moves(
            &insight,
            json!({
                "to": "resolved", "outcome": "new_discovery", "outcome_note": "A new axis.",
                "discovery": { "title": "NfL-driven HSP70 response", "modality": "diagnostic", "lab_id": lab },
            }),
        )
        .expect(201);
    let spawned_id = resolved.body["result"]["discovery"]["id"].as_str().unwrap().to_owned();
    let spawned = format!("/v1/discoveries/{spawned_id}");
    assert_eq!(ada.get(&spawned).expect(200).body["origin_insight_id"], json!(insight_id));

    // The first discovery goes back to the bench, citing the insight.
    let back = json!({ "to": "preclinical", "move": "return_to_bench", "reason": "Understand the responders first" });
    assert_eq!(gates(&ada.moves(&discovery, back.clone()).refused(409, "gates_unmet")), ["insight"]);
    let mut cited = back;
    cited["insight_id"] = json!(insight_id);
    let returned = ada.moves(&discovery, cited).expect(201);
    assert_eq!(returned.body["insight"]["id"], json!(insight_id));

    // Ownership of the new one passes on.
    let transfer = json!({ "to_person_id": bo.id, "reason": "Bo takes it on", "records": [{ "kind": "discovery", "id": spawned_id }] });
    stranger.post("/v1/ownership-transfers", transfer.clone()).expect(403);
    let transfer =
        format!("/v1/ownership-transfers/{}", ada.post("/v1/ownership-transfers", transfer).expect(201).id());
    ada.post(&format!("{transfer}/accept"), json!({})).refused(403, "not_permitted");
    stranger.post(&format!("{transfer}/accept"), json!({})).refused(404, "not_found");
    assert_eq!(bo.post(&format!("{transfer}/accept"), json!({})).expect(200).body["state"], "accepted");
    let owners = ada.get(&spawned).expect(200).body["owners"].clone();
    assert_eq!((&owners[0]["name"], &owners[1]["name"]), (&json!("Ada Okafor"), &json!("Bo Lindqvist")));

    // History shows every step.
    let history = auditor.get(&format!("{discovery}/history?limit=200")).expect(200);
    let mut steps: Vec<_> =
        history.body["data"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
    steps.reverse();
    assert_eq!(steps, ["created", "moved", "revised", "moved", "moved", "linked", "moved", "moved"]);
    for (path, expected) in [
        (&trial, vec!["created", "linked", "moved"]),
        (&finding, vec!["created", "signed"]),
        (&pairing, vec!["created", "moved"]),
        (&spawned, vec!["created", "transferred"]),
    ] {
        let history = admin.get(&format!("{path}/history")).expect(200);
        let data = history.body["data"].as_array().unwrap();
        let steps: Vec<_> = data.iter().rev().map(|e| e["action"].as_str().unwrap()).collect();
        assert_eq!(steps, expected, "{path}");
    }
    let insight_steps = admin.get(&format!("{insight}/transitions")).expect(200);
    assert_eq!(insight_steps.body["data"].as_array().unwrap().len(), 4);

    // Overview and funnel count them.
    let overview = admin.get("/v1/pipeline/overview").expect(200);
    let row = |kind: &str, stage: &str| {
        let stages = overview.body["stages"].as_array().unwrap();
        stages.iter().find(|s| s["kind"] == kind && s["stage"] == stage).cloned().unwrap()
    };
    assert_eq!(row("discovery", "preclinical")["live"], 1);
    assert_eq!(row("discovery", "preclinical")["entered"], 2);
    assert_eq!(row("discovery", "first_in_human")["left"], 1);
    assert_eq!(row("trial", "RECRUITING")["live"], 1);
    assert_eq!(row("insight", "resolved")["entered"], 1);
    let funnel = admin.get("/v1/pipeline/funnel").expect(200);
    let stage = |name: &str| {
        let stages = funnel.body["stages"].as_array().unwrap();
        stages.iter().find(|s| s["stage"] == name).cloned().unwrap()
    };
    assert_eq!(
        (&stage("logged")["entered"], &stage("logged")["advanced"], &stage("logged")["waiting"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!(stage("first_in_human")["returned"], 1);
}
