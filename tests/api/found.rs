//! What found its way in once: each of these was a fault, and has the story that would have caught it.
use crate::support::{Actor, PASSWORD, TestApp, on_both_engines};
use serde_json::{Value, json};

on_both_engines!(
    guesses_at_a_signature_are_slowed_down,
    a_body_of_nothing_but_faults_is_answered_in_short,
    gates_do_not_tell_of_hidden_pairings,
    a_problem_is_readable_compressed,
    what_a_move_does_not_take_is_a_fault,
    sign_ins_under_any_name_leave_other_accounts_alone,
    an_error_on_the_way_is_no_guess,
    a_commit_that_was_not_answered_is_not_called_undone,
);

/// A discovery of hers, and the body with which she signs its end.
fn signed_end(ada: &Actor, lab: impl serde::Serialize) -> (String, i64, Value) {
    let new = json!({ "title": "A", "modality": "vaccine", "lab_id": lab });
    let discovery = format!("/v1/discoveries/{}", ada.post("/v1/discoveries", new).expect(201).id());
    let mut body = json!({ "to": "discontinued", "stop_reason": "negative" });
    let (challenge, version) = ada.challenge(&discovery, "discontinuation", &body);
    body["signature"] = json!({ "challenge_id": challenge, "password": PASSWORD });
    (format!("{discovery}/transitions"), version, body)
}

fn sign_ins_under_any_name_leave_other_accounts_alone(app: &TestApp) {
    let lab = app.lab("Motor Neuron Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let (path, version, body) = signed_end(&ada, lab);
    for account in ["signature", "password"] {
        for _ in 0..10 {
            let login = json!({ "email": format!("{account}:{}", ada.id), "password": "a wrong password" });
            app.anonymous().post("/v1/auth/login", login).refused(401, "invalid_credentials");
        }
    }
    ada.versioned("POST", &path, version, body).expect(201);
    let change = json!({ "current_password": PASSWORD, "new_password": "another long passphrase" });
    ada.post("/v1/auth/password", change).expect(204);
}

fn an_error_on_the_way_is_no_guess(app: &TestApp) {
    let lab = app.lab("Motor Neuron Lab");
    let (ada, admin) = (app.scientist("Ada Okafor", lab), app.administrator("Admin"));
    let (path, version, body) = signed_end(&ada, lab);
    let nia = json!({ "name": "Nia New", "email": "nia@example.org", "roles": ["scientist"] });
    let invitation = admin.post("/v1/people", nia).expect(201).body["invitation"]["token"].clone();
    let signs = || ada.versioned("POST", &path, version, body.clone());
    let signs_in = || app.anonymous().post("/v1/auth/login", json!({ "email": ada.email, "password": PASSWORD }));
    let changes = || {
        let change = json!({ "current_password": PASSWORD, "new_password": "another long passphrase" });
        ada.post("/v1/auth/password", change)
    };
    let accepts = || {
        let path = format!("/v1/auth/invitations/{}", invitation.as_str().unwrap());
        app.anonymous().post(&path, json!({ "password": "a long passphrase" }))
    };
    app.sql("ALTER TABLE credential RENAME TO away; ALTER TABLE invitation RENAME TO away_too");
    for _ in 0..13 {
        for reply in [signs(), signs_in(), changes(), accepts()] {
            reply.refused(500, "internal");
        }
    }
    app.sql("ALTER TABLE away RENAME TO credential; ALTER TABLE away_too RENAME TO invitation");
    signs_in().expect(200);
    signs().expect(201);
    changes().expect(204);
    accepts().expect(204);
}

fn a_commit_that_was_not_answered_is_not_called_undone(app: &TestApp) {
    if app.url.starts_with("sqlite") {
        return;
    }
    let lab = app.lab("Motor Neuron Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let new = json!({ "title": "A", "modality": "vaccine", "lab_id": lab }).to_string();
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let log = || ada.send("POST", "/v1/discoveries", &headers, Some(new.as_bytes()));
    app.sql(
        "CREATE FUNCTION goes_away() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); RETURN NULL; END';
         CREATE CONSTRAINT TRIGGER goes_away AFTER INSERT ON discovery DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION goes_away()",
    );
    let problem = log().refused(500, "internal");
    assert!(problem["detail"].as_str().unwrap().starts_with("It is not known whether this was kept"), "{problem:#}");
    app.sql("DROP TRIGGER goes_away ON discovery");
    log().expect(201);
    assert_eq!(ada.get("/v1/discoveries?count=true").expect(200).body["total"], 1);
}

fn guesses_at_a_signature_are_slowed_down(app: &TestApp) {
    let lab = app.lab("Motor Neuron Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let new = json!({ "title": "A", "modality": "vaccine", "lab_id": lab });
    let discovery = format!("/v1/discoveries/{}", ada.post("/v1/discoveries", new).expect(201).id());
    let stop = json!({ "to": "discontinued", "stop_reason": "negative" });
    let answered: Vec<u16> = (0..12)
        .map(|_| {
            let (challenge, version) = ada.challenge(&discovery, "discontinuation", &stop);
            let mut body = stop.clone();
            body["signature"] = json!({ "challenge_id": challenge, "password": "a wrong password" });
            ada.versioned("POST", &format!("{discovery}/transitions"), version, body).status
        })
        .collect();
    assert_eq!(answered, [vec![409; 10], vec![429; 2]].concat());
    // Signing in is another account: whoever only guesses at signatures does not lock the door.
    ada.post("/v1/auth/login", json!({ "email": ada.email, "password": PASSWORD })).expect(200);
}

fn a_body_of_nothing_but_faults_is_answered_in_short(app: &TestApp) {
    let lab = app.lab("Motor Neuron Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let new = json!({ "title": "A", "modality": "vaccine", "lab_id": lab });
    let discovery = format!("/v1/discoveries/{}", ada.post("/v1/discoveries", new).expect(201).id());
    let body: serde_json::Map<_, _> = (0..20_000).map(|n| (format!("k{n}"), json!(n))).collect();
    for path in ["/v1/discoveries".to_owned(), format!("{discovery}/transitions")] {
        let refused = ada.versioned("POST", &path, 1, json!(body)).refused(422, "invalid");
        assert_eq!(refused["errors"].as_array().unwrap().len(), 100, "{path}");
    }
}

fn gates_do_not_tell_of_hidden_pairings(app: &TestApp) {
    let (lab, clinic) = (app.lab("Motor Neuron Lab"), app.clinic("ALS Clinic"));
    let (ada, kim) = (app.scientist("Ada Okafor", lab), app.clinician("Kim Park", clinic));
    let outsider = app.scientist("Cleo Stranger", app.lab("Another Lab"));
    let gates = |id: &str| {
        let open = outsider.get(&format!("/v1/discoveries/{id}/transitions/available")).expect(200).body;
        let moves = open["data"].as_array().unwrap().clone();
        moves.into_iter().find(|m| m["move"] == "hand_off").unwrap()["unmet"].clone()
    };
    let ids: Vec<String> = (0..2)
        .map(|_| {
            let new = json!({ "title": "A", "modality": "device", "lab_id": lab, "trl": 4 });
            let id = ada.post("/v1/discoveries", new).expect(201).id();
            let path = format!("/v1/discoveries/{id}");
            let evidence = json!([{ "kind": "doi", "value": "10.5555/a.1" }]);
            ada.moves(&path, json!({ "to": "validated", "evidence": evidence })).expect(201);
            ada.moves(&path, json!({ "to": "preclinical" })).expect(201);
            id
        })
        .collect();
    let proposal =
        json!({ "discovery_id": ids[0], "kind": "clinical_lead", "clinician_id": kim.id, "message": "Would you?" });
    let pairing = format!("/v1/pairings/{}", ada.post("/v1/pairings", proposal).expect(201).id());
    kim.moves(&pairing, json!({ "to": "accepted" })).expect(201);
    assert_eq!(gates(&ids[0]), gates(&ids[1]), "the accepted pairing shows to an outsider");
}

fn a_problem_is_readable_compressed(app: &TestApp) {
    for encoding in ["gzip", "br", "identity"] {
        let reply = app.anonymous().send("GET", "/v1/me", &[("accept-encoding", encoding)], None);
        let packed = reply.header("content-encoding").is_some_and(|e| e != "identity");
        let plain = reply.body["code"] == "unauthenticated";
        assert_eq!((reply.status, plain), (401, !packed), "{encoding}: {:?}", reply.headers);
    }
}

fn what_a_move_does_not_take_is_a_fault(app: &TestApp) {
    let lab = app.lab("Motor Neuron Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let new = json!({ "title": "A", "modality": "vaccine", "lab_id": lab });
    let id = ada.post("/v1/discoveries", new).expect(201).id();
    let body = json!({
        "to": "validated", "evidence": [{ "kind": "doi", "value": "10.5555/a.1" }], "stop_reason": "negative",
        "insight_id": id, "outcome": "no_action",
    });
    let refused = ada.moves(&format!("/v1/discoveries/{id}"), body.clone()).refused(422, "invalid");
    assert_eq!(refused["errors"][0]["pointer"], "/outcome");
    let mut body = body;
    body.as_object_mut().unwrap().remove("outcome");
    let refused = ada.moves(&format!("/v1/discoveries/{id}"), body).refused(422, "invalid");
    let pointers: Vec<_> = refused["errors"].as_array().unwrap().iter().map(|e| e["pointer"].clone()).collect();
    assert_eq!(pointers, ["/stop_reason", "/insight_id"]);
    app.auditor("Auditor")
        .moves(&format!("/v1/discoveries/{id}"), json!({ "to": "validated" }))
        .refused(403, "not_permitted");
}
