//! Invitations: how somebody new comes to a password, and somebody who forgot theirs to another, on both engines.
use crate::support::{
    Actor, PASSWORD, Reply, TestApp,
    crowd::{sent_by, tallied, tally},
    on_both_engines,
};
use benchside::db::schema::invitation;
use diesel::prelude::*;
use serde_json::{Value, json};

on_both_engines!(
    a_new_person_is_invited_and_signs_in,
    an_invitation_is_good_once,
    every_bad_invitation_gets_the_same_answer,
    a_newer_invitation_voids_the_one_before,
    the_way_back_for_somebody_who_forgot,
    a_repeated_answer_shows_no_invitation_again,
    guessing_is_throttled_by_address,
    only_administrators_invite,
);

const FIRST: &str = "a first long passphrase";

fn accept(app: &TestApp, token: &str, password: &str) -> Reply {
    app.anonymous().post(&format!("/v1/auth/invitations/{token}"), json!({ "password": password }))
}
fn sign_in(app: &TestApp, email: &str, password: &str) -> Reply {
    app.anonymous().post("/v1/auth/login", json!({ "email": email, "password": password }))
}
fn enter(admin: &Actor, email: &str) -> Reply {
    admin.post("/v1/people", json!({ "name": "Nia New", "email": email, "roles": ["scientist"] })).expect(201)
}
fn token_of(body: &Value) -> String {
    body["token"].as_str().unwrap().to_owned()
}

fn a_new_person_is_invited_and_signs_in(app: &TestApp) {
    let admin = app.administrator("Admin");
    let new = enter(&admin, "nia@example.org");
    assert_eq!((new.version(), new.etag.as_deref()), (1, Some("\"1\"")));
    let token = token_of(&new.body["invitation"]);
    assert!(token.starts_with("bsi_") && token.len() == 47);
    let expiry = benchside::db::columns::Time::parse(new.body["invitation"]["expires_at"].as_str().unwrap()).unwrap();
    let hours = (expiry.utc() - app.app.clock.now().utc()).num_minutes();
    assert!((72 * 60 - 5..=72 * 60).contains(&hours), "{hours} minutes");
    let seen = admin.get(new.location.as_deref().unwrap()).expect(200).body;
    assert!(seen.get("invitation").is_none(), "shown once");

    sign_in(app, "nia@example.org", FIRST).refused(401, "invalid_credentials");
    let problem = accept(app, &token, "short").refused(422, "invalid");
    assert_eq!(
        (&problem["errors"][0]["pointer"], &problem["errors"][0]["code"]),
        (&json!("/password"), &json!("too_short"))
    );
    accept(app, &token, FIRST).expect(204);
    sign_in(app, "nia@example.org", FIRST).expect(200);
    let entry = admin.get(&format!("{}/history", new.location.unwrap())).expect(200).body["data"][0].clone();
    assert_eq!(entry["by"]["name"], "Nia New");
    let fields: Vec<_> = entry["changes"].as_array().unwrap().iter().map(|c| c["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["invitation", "password"]);
    assert!(!entry.to_string().contains("bsi_"));
}

fn an_invitation_is_good_once(app: &TestApp) {
    let admin = app.administrator("Admin");
    let token = token_of(&enter(&admin, "nia@example.org").body["invitation"]);
    let replies = sent_by(10, |n| accept(app, &token, &format!("{FIRST} {n}")));
    assert_eq!(tally(&replies), tallied([(204, "", 1), (404, "not_found", 9)]));
    let winner = replies.iter().position(|r| r.status == 204).unwrap();
    sign_in(app, "nia@example.org", &format!("{FIRST} {winner}")).expect(200);
}

fn every_bad_invitation_gets_the_same_answer(app: &TestApp) {
    let admin = app.administrator("Admin");
    let used = token_of(&enter(&admin, "used@example.org").body["invitation"]);
    accept(app, &used, FIRST).expect(204);
    let expired = enter(&admin, "expired@example.org");
    let (id, now) = (benchside::id::PersonId::of(expired.id().parse().unwrap()), app.app.clock.now());
    app.write(move |conn, _| {
        let named = invitation::table.filter(invitation::person_id.eq(id));
        diesel::update(named).set(invitation::expires_at.eq(now)).execute(conn)?;
        Ok(())
    });
    let left = enter(&admin, "left@example.org");
    let path = left.location.clone().unwrap();
    admin.versioned("POST", &format!("{path}/disable"), 1, json!({ "reason": "Never came" })).expect(200);
    admin.post(&format!("{path}/invitation"), json!({})).refused(409, "conflict");
    let good = token_of(&enter(&admin, "good@example.org").body["invitation"]);
    let mut turned = good.clone();
    turned.replace_range(20..21, if &good[20..21] == "A" { "B" } else { "A" });
    let mut answers = Vec::new();
    for bad in [
        &used,
        &token_of(&expired.body["invitation"]),
        &token_of(&left.body["invitation"]),
        &turned,
        "bsi_",
        "x",
        &good.replace("bsi_", "bsk_"),
        &format!("{good}x"),
    ] {
        let mut problem = accept(app, bad, FIRST).refused(404, "not_found");
        for own in ["request_id", "instance"] {
            problem.as_object_mut().unwrap().remove(own);
        }
        answers.push(problem);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
    for nobody in ["expired@example.org", "left@example.org"] {
        sign_in(app, nobody, FIRST).refused(401, "invalid_credentials");
    }
    accept(app, &good, FIRST).expect(204);
}

fn a_newer_invitation_voids_the_one_before(app: &TestApp) {
    let admin = app.administrator("Admin");
    let new = enter(&admin, "nia@example.org");
    let again = admin.post(&format!("{}/invitation", new.location.unwrap()), json!({})).expect(201);
    assert_eq!(again.etag.as_deref(), Some("\"2\""));
    accept(app, &token_of(&new.body["invitation"]), FIRST).refused(404, "not_found");
    accept(app, &token_of(&again.body), FIRST).expect(204);
}

fn the_way_back_for_somebody_who_forgot(app: &TestApp) {
    let (ada, admin) = (app.scientist("Ada Okafor", app.lab("Lab")), app.administrator("Admin"));
    let invited = admin.post(&format!("/v1/people/{}/invitation", ada.id), json!({})).expect(201);
    // Until it is used nothing has changed: an invitation is no way to put somebody out.
    ada.get("/v1/me").expect(200);
    sign_in(app, &ada.email, PASSWORD).expect(200);
    accept(app, &token_of(&invited.body), FIRST).expect(204);
    ada.get("/v1/me").refused(401, "unauthenticated");
    sign_in(app, &ada.email, PASSWORD).refused(401, "invalid_credentials");
    sign_in(app, &ada.email, FIRST).expect(200);
}

fn a_repeated_answer_shows_no_invitation_again(app: &TestApp) {
    let admin = app.administrator("Admin");
    let keyed = |path: &str, body: Value| {
        let headers = [("content-type", "application/json"), ("idempotency-key", "once")];
        admin.send("POST", path, &headers, Some(body.to_string().as_bytes())).expect(201)
    };
    let body = json!({ "name": "Nia New", "email": "nia@example.org", "roles": ["scientist"] });
    let (first, second) = (keyed("/v1/people", body.clone()), keyed("/v1/people", body));
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    assert_eq!((first.id(), &second.body["invitation"]["token"]), (second.id(), &Value::Null));
    let path = format!("{}/invitation", first.location.unwrap());
    let (third, fourth) = (keyed(&path, json!({})), keyed(&path, json!({})));
    assert_eq!((&fourth.body["token"], &fourth.body["expires_at"]), (&Value::Null, &third.body["expires_at"]));
    accept(app, &token_of(&third.body), FIRST).expect(204);
}

fn guessing_is_throttled_by_address(app: &TestApp) {
    let guess = |n: usize| accept(app, &format!("bsi_{n:043}"), FIRST);
    for n in 0..50 {
        guess(n).refused(404, "not_found");
    }
    let reply = guess(50);
    assert!(reply.header("retry-after").is_some());
    reply.refused(429, "too_many_requests");
}

fn only_administrators_invite(app: &TestApp) {
    let lab = app.lab("Lab");
    let (ada, bo, auditor) = (app.scientist("Ada", lab), app.scientist("Bo", lab), app.auditor("Auditor"));
    for who in [&ada, &bo, &auditor] {
        who.post(&format!("/v1/people/{}/invitation", ada.id), json!({})).refused(403, "not_permitted");
    }
    let admin = app.administrator("Admin");
    admin.post("/v1/people/U-999/invitation", json!({})).refused(404, "not_found");
    admin.post(&format!("/v1/people/{}/invitation", ada.id), json!({ "email": "x" })).refused(422, "invalid");
}
