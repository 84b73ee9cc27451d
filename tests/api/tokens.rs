//! Personal access tokens: what a script may do with one, and what it may not, on both engines.
use crate::support::{
    Actor, PASSWORD, TestApp,
    crowd::{sent_by, tally},
    on_both_engines,
};
use benchside::{db::schema::personal_token, vocabulary::Role};
use diesel::prelude::*;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

on_both_engines!(
    a_token_is_shown_once_and_stored_as_a_hash,
    a_script_does_what_its_scopes_and_its_owners_roles_allow,
    a_path_written_otherwise_is_the_same_path,
    what_logs_a_discovery_needs_a_scope_for_discoveries,
    who_hands_records_over_needs_a_scope_for_each,
    a_history_tells_of_the_kinds_a_token_is_made_for,
    a_script_cannot_sign,
    a_script_cannot_change_how_anybody_gets_in,
    revoking_expiry_and_disabling_bite_on_the_next_request,
    use_is_noted_once_a_minute,
    a_person_has_so_many_tokens,
    what_a_token_must_say,
    tokens_are_events_of_their_owner,
    a_leaver_is_put_out_and_what_they_own_goes_on,
);

fn in_days(app: &TestApp, days: i64) -> Value {
    json!(app.app.clock.now().plus_days(days))
}
fn make(app: &TestApp, who: &Actor, scopes: &[&str]) -> Value {
    let new = json!({ "name": "Nightly export", "scopes": scopes, "expires_at": in_days(app, 30) });
    who.post("/v1/auth/tokens", new).expect(201).body
}
fn script(who: &Actor, made: &Value) -> Actor {
    Actor { token: made["token"].as_str().unwrap().into(), ..who.clone() }
}
fn discovery(lab: impl serde::Serialize) -> Value {
    json!({ "title": "HSP70 in ALS", "modality": "small_molecule", "lab_id": lab })
}

fn a_token_is_shown_once_and_stored_as_a_hash(app: &TestApp) {
    let lab = app.lab("Lab");
    let (ada, bo) = (app.scientist("Ada Okafor", lab), app.scientist("Bo Lindqvist", lab));
    let made = make(app, &ada, &["read", "trials:write"]);
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("bsk_") && token.len() == 47, "{token}");
    let members: Vec<_> = made.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["created_at", "expires_at", "id", "last_used_at", "name", "scopes", "token"]);
    assert_eq!((&made["scopes"], &made["last_used_at"]), (&json!(["read", "trials:write"]), &Value::Null));
    script(&ada, &made).get("/v1/me").expect(200);

    let another = make(app, &ada, &["read"]);
    assert_ne!(another["token"], made["token"]);
    let listed = ada.get("/v1/auth/tokens").expect(200).body;
    let ids: Vec<_> = listed["data"].as_array().unwrap().iter().map(|t| &t["id"]).collect();
    assert_eq!(ids, [&another["id"], &made["id"]], "newest first");
    assert!(!listed.to_string().contains("bsk_"), "shown once");
    assert_eq!(bo.get("/v1/auth/tokens").expect(200).body["data"], json!([]), "one's own");
    let rows: Vec<Vec<u8>> = app.read(|conn| Ok(personal_token::table.select(personal_token::hash).load(conn)?));
    use sha2::{Digest, Sha256};
    assert!(rows.contains(&Sha256::digest(token).to_vec()));
}

fn a_script_does_what_its_scopes_and_its_owners_roles_allow(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let writes = script(&ada, &make(app, &ada, &["discoveries:write"]));
    let made = writes.post("/v1/discoveries", discovery(lab)).expect(201);
    let path = made.location.clone().unwrap();
    writes.get(&path).expect(200);
    writes.patch(&path, made.version(), json!({ "trl": 3 })).expect(200);
    writes.get("/v1/trials").refused(403, "not_permitted");
    writes.get("/v1/me").refused(403, "not_permitted");
    let reads = script(&ada, &make(app, &ada, &["read"]));
    reads.get(&path).expect(200);
    reads.get("/v1/me").expect(200);
    reads.patch(&path, 2, json!({ "trl": 4 })).refused(403, "not_permitted");
    reads.post("/v1/discoveries", discovery(lab)).refused(403, "not_permitted");
    // A scope gives nothing that its owner may not do.
    let everything = script(&ada, &make(app, &ada, &["write"]));
    everything.post("/v1/organizations", json!({ "name": "Mine", "kind": "lab" })).refused(403, "not_permitted");
    let other = app.scientist("Cleo Stranger", app.lab("Another lab"));
    let hidden = json!({ "visibility": "confidential", "title": "Secret", "modality": "device",
        "lab_id": other.get("/v1/me").body["organizations"][0]["id"] });
    let hidden = other.post("/v1/discoveries", hidden).expect(201).location.unwrap();
    everything.get(&hidden).refused(404, "not_found");
    // The event says that a script did it.
    let id = made.id();
    let authn = app.read(move |conn| {
        use benchside::{db::schema::event, id::AnyId};
        let leaf: Vec<u8> = event::table
            .filter(event::record_id.eq(AnyId::of(id.parse().unwrap())))
            .filter(event::record_version.eq(1))
            .select(event::leaf)
            .get_result(conn)?;
        Ok(serde_json::from_slice::<Value>(&leaf).unwrap()["actor"]["authn"].clone())
    });
    assert_eq!(authn, "token");
}

const NOT_MADE_FOR_THAT: &str = "This token was not made for that.";

fn what_logs_a_discovery_needs_a_scope_for_discoveries(app: &TestApp) {
    let (lab, clinic) = (app.lab("Lab"), app.clinic("Clinic"));
    let (ada, kim) = (app.scientist("Ada Okafor", lab), app.clinician("Kim Park", clinic));
    let trial = json!({ "brief_title": "Safety", "study_type": "OBSERVATIONAL", "clinic_id": clinic });
    let trial = kim.post("/v1/trials", trial).expect(201).location.unwrap();
    let finding = json!({ "kind": "safety", "title": "A finding", "narrative": "Seen.", "observed_on": "2025-10-02" });
    let finding = kim.post(&format!("{trial}/findings"), finding).expect(201);
    kim.signs(&finding.location.clone().unwrap(), "authorship", json!({ "to": "signed" })).expect(201);
    let insight = json!({ "title": "Why?", "question": "Is it so?", "rationale": "Seen.", "lab_id": lab,
        "finding_ids": [finding.id()] });
    let investigated = || {
        let path = kim.post("/v1/insights", insight.clone()).expect(201).location.unwrap();
        kim.moves(&path, json!({ "to": "submitted" })).expect(201);
        ada.moves(&path, json!({ "to": "acknowledged" })).expect(201);
        ada.moves(&path, json!({ "to": "investigating" })).expect(201);
        path
    };
    let path = investigated();
    let of_insights = script(&ada, &make(app, &ada, &["insights:write", "discoveries:read"]));
    let of_both = script(&ada, &make(app, &ada, &["insights:write", "discoveries:write"]));
    let spawns = json!({ "to": "resolved", "outcome": "new_discovery",
        "discovery": { "title": "Spawned", "modality": "vaccine", "lab_id": lab } });
    let refused = of_insights.moves(&path, spawns.clone()).refused(403, "not_permitted");
    assert_eq!(refused["detail"], NOT_MADE_FOR_THAT);
    let read = ada.get(&path).expect(200);
    let item =
        json!({ "record": { "kind": "insight", "id": read.id() }, "version": read.version(), "transition": spawns });
    let many = of_insights.post("/v1/transitions", json!({ "items": [item] })).expect(200);
    assert_eq!(many.body["data"][0]["status"], 403, "{:#}", many.body);
    assert_eq!(ada.get("/v1/discoveries?count=true").expect(200).body["total"], 0);

    let tag = format!("\"{}\"", read.version());
    let resolves = |who: &Actor| {
        let headers = [("content-type", "application/json"), ("idempotency-key", "k"), ("if-match", &*tag)];
        who.send("POST", &format!("{path}/transitions"), &headers, Some(spawns.to_string().as_bytes()))
    };
    let made = resolves(&of_both).expect(201);
    resolves(&of_insights).refused(403, "not_permitted");
    assert_eq!(resolves(&of_both).expect(201).body, made.body);
    assert_eq!(ada.get("/v1/discoveries?count=true").expect(200).body["total"], 1);
    // What changes the insight alone needs nothing else.
    of_insights.moves(&investigated(), json!({ "to": "resolved", "outcome": "no_action" })).expect(201);
}

fn who_hands_records_over_needs_a_scope_for_each(app: &TestApp) {
    let lab = app.lab("Lab");
    let (ada, bo, admin) = (app.scientist("Ada", lab), app.scientist("Bo", lab), app.administrator("Admin"));
    let id = ada.post("/v1/discoveries", discovery(lab)).expect(201).id();
    let path = format!("/v1/discoveries/{id}");
    let new = |force: bool| {
        let records = json!([{ "kind": "discovery", "id": id }]);
        json!({ "to_person_id": bo.id, "reason": "On leave", "records": records, "force": force })
    };
    let of_transfers = |who: &Actor| script(who, &make(app, who, &["ownership-transfers:write", "trials:write"]));
    let of_both = |who: &Actor| script(who, &make(app, who, &["ownership-transfers:write", "discoveries:write"]));
    for who in [&ada, &admin] {
        let refused = of_transfers(who).post("/v1/ownership-transfers", new(false)).refused(403, "not_permitted");
        assert_eq!(refused["detail"], NOT_MADE_FOR_THAT);
        of_transfers(who).post("/v1/ownership-transfers", new(true)).refused(403, "not_permitted");
        let many =
            of_transfers(who).post("/v1/ownership-transfers/batch", json!({ "items": [new(false)] })).expect(200);
        assert_eq!(many.body["data"][0]["status"], 403, "{:#}", many.body);
    }
    let offered = of_both(&ada).post("/v1/ownership-transfers", new(false)).expect(201);
    assert_eq!(offered.body["records"][0]["title"], "HSP70 in ALS");
    let transfer = offered.location.unwrap();
    // Which record it is stands there, its title only where it may be read.
    let read = of_transfers(&bo).get(&transfer).expect(200).body["records"][0].clone();
    assert_eq!((&read["id"], &read["code"], &read["title"]), (&json!(id), &json!("D-1"), &Value::Null));
    let listed = of_transfers(&bo).get("/v1/ownership-transfers").expect(200).body;
    assert_eq!(listed["data"][0]["records"][0]["title"], Value::Null);
    let reads = script(&bo, &make(app, &bo, &["ownership-transfers:read", "discoveries:read"]));
    assert_eq!(reads.get(&transfer).expect(200).body["records"][0]["title"], "HSP70 in ALS");

    let accepts = |who: &Actor| {
        let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
        who.send("POST", &format!("{transfer}/accept"), &headers, Some(b"{}"))
    };
    assert_eq!(accepts(&of_transfers(&bo)).refused(403, "not_permitted")["detail"], NOT_MADE_FOR_THAT);
    assert_eq!(ada.get(&path).expect(200).body["owner"]["id"], json!(ada.id));
    accepts(&of_both(&bo)).expect(200);
    assert_eq!(ada.get(&path).expect(200).body["owner"]["id"], json!(bo.id));
    // Nor is its answer repeated to a token for less.
    accepts(&of_transfers(&bo)).refused(403, "not_permitted");
    accepts(&of_both(&bo)).expect(200);
}

fn a_history_tells_of_the_kinds_a_token_is_made_for(app: &TestApp) {
    let (lab, clinic) = (app.lab("Lab"), app.clinic("Clinic"));
    let (ada, kim) = (app.scientist("Ada", lab), app.clinician("Kim", clinic));
    let id = ada.post("/v1/discoveries", discovery(lab)).expect(201).id();
    let trial = json!({ "brief_title": "Safety", "study_type": "OBSERVATIONAL", "clinic_id": clinic });
    let trial = kim.post("/v1/trials", trial).expect(201).location.unwrap();
    let linked = json!({ "data": [{ "discovery_id": id, "role": "measures" }] });
    kim.put(&format!("{trial}/discoveries"), 1, linked).expect(200);
    let kinds = |scopes: &[&str]| {
        let history = script(&ada, &make(app, &ada, scopes)).get(&format!("/v1/discoveries/{id}/history")).expect(200);
        let kind = |entry: &Value| entry["record"]["kind"].as_str().unwrap().to_owned();
        history.body["data"].as_array().unwrap().iter().map(kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&["discoveries:read", "trials:read"]), ["trial", "discovery"]);
    assert_eq!(kinds(&["discoveries:read"]), ["discovery"]);
}

fn a_path_written_otherwise_is_the_same_path(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let everything = script(&ada, &make(app, &ada, &["write"]));
    everything.get("/v1/%61uth/tokens").refused(403, "not_permitted");
    everything.get("/%76%31/a%75th/sessions").refused(403, "not_permitted");
    let of_trials = script(&ada, &make(app, &ada, &["trials:write"]));
    for path in ["/v1/trials/T-1/findings", "/v1/trials/T-1/%66indings", "/v1/%74rials/T-1/f%69ndings"] {
        of_trials.post(path, json!({})).refused(403, "not_permitted");
    }
}

fn a_script_cannot_sign(app: &TestApp) {
    let clinic = app.clinic("Clinic");
    let kim = app.person("Kim Park", &[Role::Clinician], &[clinic]);
    let trial = json!({ "brief_title": "Safety", "study_type": "OBSERVATIONAL", "clinic_id": clinic });
    let trial = kim.post("/v1/trials", trial).expect(201).location.unwrap();
    let finding = json!({ "kind": "safety", "title": "A finding", "narrative": "Seen.", "observed_on": "2025-10-02" });
    let finding = kim.post(&format!("{trial}/findings"), finding).expect(201);
    let path = finding.location.clone().unwrap();
    let everything = script(&kim, &make(app, &kim, &["write"]));
    let asked = json!({ "record": { "kind": "finding", "id": finding.id() }, "version": 1, "meaning": "authorship",
        "transition": { "to": "signed" } });
    everything.post("/v1/signatures/challenges", asked).refused(403, "not_permitted");
    // Nor with a challenge that its owner asked for.
    let (challenge, version) = kim.challenge(&path, "authorship", &json!({ "to": "signed" }));
    for signature in [json!({ "challenge_id": challenge, "password": PASSWORD }), json!({}), json!(null)] {
        let signed = json!({ "to": "signed", "signature": signature });
        everything.versioned("POST", &format!("{path}/transitions"), version, signed).refused(403, "not_permitted");
    }
    let signed = json!({ "to": "signed", "signature": { "challenge_id": challenge, "password": PASSWORD } });
    kim.versioned("POST", &format!("{path}/transitions"), version, signed).expect(201);
}

fn a_script_cannot_change_how_anybody_gets_in(app: &TestApp) {
    let admin = app.administrator("Admin");
    let everything = script(&admin, &make(app, &admin, &["read", "write"]));
    let id = "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55";
    let new = json!({ "name": "More", "scopes": ["write"], "expires_at": in_days(app, 30) });
    let password = json!({ "current_password": PASSWORD, "new_password": "another long passphrase" });
    everything.get("/v1/auth/sessions").refused(403, "not_permitted");
    everything.get("/v1/auth/tokens").refused(403, "not_permitted");
    everything.post("/v1/auth/tokens", new).refused(403, "not_permitted");
    everything.post("/v1/auth/password", password).refused(403, "not_permitted");
    everything.post("/v1/auth/logout", json!({})).refused(403, "not_permitted");
    for list in ["sessions", "tokens"] {
        everything.send("DELETE", &format!("/v1/auth/{list}/{id}"), &[], None).refused(403, "not_permitted");
    }
    admin.get("/v1/me").expect(200);

    // Nor invite anybody, nor say who somebody is.
    let eve = json!({ "name": "Eve", "email": "eve@example.org", "roles": ["administrator"] });
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let path = format!("/v1/people/{}", ada.id);
    let of_people = script(&admin, &make(app, &admin, &["people:write"]));
    for token in [&everything, &of_people] {
        token.post("/v1/people", eve.clone()).refused(403, "not_permitted");
        token.post("/v1/people/batch", json!({ "items": [eve] })).refused(403, "not_permitted");
        token.post(&format!("{path}/invitation"), json!({})).refused(403, "not_permitted");
        token.post(&format!("{path}/%69nvitation"), json!({})).refused(403, "not_permitted");
        token.versioned("POST", &format!("{path}/disable"), 1, json!({ "reason": "x" })).refused(403, "not_permitted");
        token.put(&format!("{path}/memberships"), 1, json!({ "data": [] })).refused(403, "not_permitted");
        for access in [
            json!({ "email": "eve@example.org" }),
            json!({ "roles": ["administrator"] }),
            json!({ "name": "Eve", "accepting_work": false }),
            json!({ "email": null }),
        ] {
            token.patch(&path, 1, access).refused(403, "not_permitted");
        }
    }
    assert_eq!(admin.get(&path).expect(200).version(), 1, "nothing was changed");
    of_people.patch(&path, 1, json!({ "accepting_work": false })).expect(200);
    let own = script(&ada, &make(app, &ada, &["people:write"]));
    own.patch(&path, 3, json!({ "expertise": { "modalities": ["vaccine"] } })).expect(200);
    own.patch(&path, 4, json!({ "name": "Dr Okafor" })).refused(403, "not_permitted");
    admin.patch(&path, 4, json!({ "name": "Ada Okafor-Bell" })).expect(200);
}

fn revoking_expiry_and_disabling_bite_on_the_next_request(app: &TestApp) {
    let lab = app.lab("Lab");
    let (ada, bo, admin) = (app.scientist("Ada", lab), app.scientist("Bo", lab), app.administrator("Admin"));
    let other = app.another_node();
    let (first, second, third) = (make(app, &ada, &["read"]), make(app, &ada, &["read"]), make(app, &ada, &["read"]));
    let path = |made: &Value| format!("/v1/auth/tokens/{}", made["id"].as_str().unwrap());
    for node in [app, &other] {
        node.at(&script(&ada, &first)).get("/v1/me").expect(200);
    }
    bo.send("DELETE", &path(&first), &[], None).refused(404, "not_found");
    script(&ada, &first).get("/v1/me").expect(200);
    ada.send("DELETE", &path(&first), &[], None).expect(204);
    ada.send("DELETE", &path(&first), &[], None).refused(404, "not_found");
    for node in [app, &other] {
        node.at(&script(&ada, &first)).get("/v1/me").refused(401, "unauthenticated");
    }

    let (id, now) = (second["id"].as_str().unwrap().to_owned(), app.app.clock.now());
    app.write(move |conn, _| {
        let id = benchside::id::TokenId::of(id.parse().unwrap());
        let named = personal_token::table.filter(personal_token::id.eq(id));
        diesel::update(named).set(personal_token::expires_at.eq(now)).execute(conn)?;
        Ok(())
    });
    script(&ada, &second).get("/v1/me").refused(401, "unauthenticated");
    ada.send("DELETE", &path(&second), &[], None).refused(404, "not_found");
    assert_eq!(ada.get("/v1/auth/tokens").body["data"].as_array().unwrap().len(), 1, "the live one");

    let person = format!("/v1/people/{}", ada.id);
    let version = admin.get(&person).expect(200).version();
    script(&ada, &third).get("/v1/me").expect(200);
    admin.versioned("POST", &format!("{person}/disable"), version, json!({ "reason": "Left" })).expect(200);
    script(&ada, &third).get("/v1/me").refused(401, "unauthenticated");
    let live = personal_token::table.filter(personal_token::revoked_at.is_null());
    assert_eq!(app.read(move |conn| Ok(live.count().get_result::<i64>(conn)?)), 0, "the rows say so too");
}

fn use_is_noted_once_a_minute(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let made = make(app, &ada, &["read"]);
    let noted = || ada.get("/v1/auth/tokens").expect(200).body["data"][0]["last_used_at"].clone();
    let noted_after = |before: &Value| {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let now = noted();
            if now != *before || Instant::now() > deadline {
                return now;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    assert_eq!(noted(), Value::Null);
    let replies = sent_by(50, |_| script(&ada, &made).get("/v1/me"));
    assert!(replies.iter().all(|r| r.status == 200), "{:?}", tally(&replies));
    let first = noted_after(&Value::Null);
    assert!(first.is_string(), "{first}");
    for _ in 0..5 {
        script(&ada, &made).get("/v1/me").expect(200);
    }
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(noted(), first, "within the minute nothing is written");
    let earlier = app.app.clock.now().plus_seconds(-61);
    app.write(move |conn, _| {
        diesel::update(personal_token::table).set(personal_token::last_used_at.eq(earlier)).execute(conn)?;
        Ok(())
    });
    let aged = noted();
    script(&ada, &made).get("/v1/me").expect(200);
    assert!(noted_after(&aged).as_str() > first.as_str());
}

fn a_person_has_so_many_tokens(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let first = make(app, &ada, &["read"]);
    for _ in 0..94 {
        make(app, &ada, &["read"]);
    }
    // Side by side they do not slip past the limit either.
    let new = json!({ "name": "One more", "scopes": ["read"], "expires_at": in_days(app, 1) });
    let replies = sent_by(12, |_| ada.post("/v1/auth/tokens", new.clone()));
    let made = replies.iter().filter(|r| r.status == 201).count();
    assert!(replies.iter().all(|r| r.status == 201 || r.status == 409), "{:?}", tally(&replies));
    assert_eq!(made, 5, "{:?}", tally(&replies));
    ada.post("/v1/auth/tokens", new.clone()).refused(409, "conflict");
    ada.send("DELETE", &format!("/v1/auth/tokens/{}", first["id"].as_str().unwrap()), &[], None).expect(204);
    ada.post("/v1/auth/tokens", new).expect(201);
}

fn what_a_token_must_say(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let good = json!({ "name": "Nightly export", "scopes": ["read"], "expires_at": in_days(app, 366) });
    let changed = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for (body, pointer, code) in [
        (changed("name", json!("")), "/name", "too_short"),
        (changed("name", json!("x".repeat(101))), "/name", "too_long"),
        (changed("scopes", json!([])), "/scopes", "too_few"),
        (changed("scopes", json!(["read", "read"])), "/scopes", "duplicate"),
        (changed("scopes", json!(["admin"])), "/scopes/0", "unknown_value"),
        (changed("scopes", json!(["trials:sign"])), "/scopes/0", "unknown_value"),
        (changed("expires_at", json!(app.app.clock.now())), "/expires_at", "out_of_range"),
        (changed("expires_at", in_days(app, 367)), "/expires_at", "out_of_range"),
        (changed("expires_at", json!(null)), "/expires_at", "wrong_type"),
        (changed("token", json!("bsk_mine")), "/token", "unknown_field"),
    ] {
        let problem = ada.post("/v1/auth/tokens", body).refused(422, "invalid");
        let fault = &problem["errors"][0];
        assert_eq!((&fault["pointer"], &fault["code"]), (&json!(pointer), &json!(code)), "{problem:#}");
    }
    let problem = ada.post("/v1/auth/tokens", json!({})).refused(422, "invalid");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 3, "an end is required: {problem:#}");
    assert_eq!(ada.get("/v1/auth/tokens").body["data"], json!([]), "nothing was made");
    ada.post("/v1/auth/tokens", good).expect(201);
}

fn tokens_are_events_of_their_owner(app: &TestApp) {
    let lab = app.lab("Lab");
    let (ada, bo) = (app.scientist("Ada Okafor", lab), app.scientist("Bo Lindqvist", lab));
    let (admin, auditor) = (app.administrator("Admin"), app.auditor("Auditor"));
    let made = make(app, &ada, &["read", "trials:write"]);
    ada.send("DELETE", &format!("/v1/auth/tokens/{}", made["id"].as_str().unwrap()), &[], None).expect(204);
    let told = json!({ "id": made["id"], "name": "Nightly export", "scopes": ["read", "trials:write"],
        "expires_at": made["expires_at"] });
    let history = format!("/v1/people/{}/history", ada.id);
    for who in [&ada, &admin, &auditor] {
        let body = who.get(&history).expect(200).body;
        let entries = body["data"].as_array().unwrap();
        let change = |n: usize| (entries[n]["action"].clone(), entries[n]["changes"].clone());
        assert_eq!(change(0), (json!("revised"), json!([{ "field": "tokens", "before": told, "after": null }])));
        assert_eq!(change(1), (json!("revised"), json!([{ "field": "tokens", "before": null, "after": told }])));
        assert!(!body.to_string().contains("bsk_"));
    }
    let seen = bo.get(&history).expect(200).body;
    assert!(!seen.to_string().contains("Nightly export") && !seen.to_string().contains("tokens"), "{seen:#}");
    assert_eq!(seen["data"][0]["changes"], json!([]));
}

fn a_leaver_is_put_out_and_what_they_own_goes_on(app: &TestApp) {
    let lab = app.lab("Lab");
    let (ada, bo, admin) = (app.scientist("Ada", lab), app.scientist("Bo", lab), app.administrator("Admin"));
    let first = ada.post("/v1/discoveries", discovery(lab)).expect(201);
    let second = ada.post("/v1/discoveries", discovery(lab)).expect(201);
    let handed = |records: &[&crate::support::Reply], force: bool| {
        let records: Vec<_> = records.iter().map(|r| json!({ "kind": "discovery", "id": r.id() })).collect();
        json!({ "to_person_id": bo.id, "reason": "Ada has left", "records": records, "force": force })
    };
    // Whoever is still there is not passed over.
    admin.post("/v1/ownership-transfers", handed(&[&first], true)).refused(409, "conflict");
    let offered = ada.post("/v1/ownership-transfers", handed(&[&second], false)).expect(201);
    let token = make(app, &ada, &["write"]);
    let person = format!("/v1/people/{}", ada.id);
    let version = admin.get(&person).expect(200).version();
    let left = admin.versioned("POST", &format!("{person}/disable"), version, json!({ "reason": "Left" })).expect(200);
    let owned: Vec<_> = left.body["owned"].as_array().unwrap().iter().map(|o| o["id"].as_str().unwrap()).collect();
    assert_eq!(owned, [first.id(), second.id()]);
    for gone in [&ada, &script(&ada, &token)] {
        gone.get("/v1/me").refused(401, "unauthenticated");
    }
    // What they had offered is still in the way until it is withdrawn; then all of it goes at once.
    admin.post("/v1/ownership-transfers", handed(&[&first, &second], true)).refused(409, "conflict");
    admin.post(&format!("{}/withdraw", offered.location.unwrap()), json!({})).expect(200);
    let forced = admin.post("/v1/ownership-transfers", handed(&[&first, &second], true)).expect(201);
    assert_eq!((&forced.body["state"], &forced.body["forced"]), (&json!("accepted"), &json!(true)));
    for record in [&first, &second] {
        let path = record.location.clone().unwrap();
        assert_eq!(bo.get(&path).expect(200).body["owner"]["id"], json!(bo.id));
        bo.patch(&path, bo.get(&path).version(), json!({ "trl": 4 })).expect(200);
    }
}
