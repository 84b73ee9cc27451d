//! A request that is sent again has one effect: under an Idempotency-Key, on every POST, on both engines.
use crate::support::{
    Actor, PASSWORD, Reply, TestApp,
    crowd::{sent_by, tally},
    on_both_engines,
};
use benchside::{db::schema::idempotency as kept, vocabulary::Role};
use diesel::prelude::*;
use serde_json::{Value, json};
use std::{io::Write, net::TcpStream};

on_both_engines!(
    the_same_request_is_done_once_and_answered_alike,
    of_100_requests_under_one_key_one_is_done,
    of_100_signed_moves_under_one_key_one_is_made,
    another_body_is_refused_and_another_route_or_person_is_another_key,
    a_refusal_is_not_kept,
    what_was_hidden_since_is_not_repeated,
    an_answer_that_never_came_is_had_by_asking_again,
    a_path_written_otherwise_is_the_same_request,
    a_member_that_is_called_like_a_password_counts,
    a_move_is_repeated_whatever_the_version_is_now,
    no_password_is_kept_not_even_as_a_digest,
    keys_have_a_form,
    every_post_outside_of_auth_takes_a_key,
    a_token_for_less_is_not_told_what_another_did,
    a_key_is_forgotten_after_a_day,
);

fn keyed(who: &Actor, path: &str, key: &str, body: &Value) -> Reply {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    who.send("POST", path, &headers, Some(body.to_string().as_bytes()))
}
fn keyed_at(who: &Actor, path: &str, version: i64, key: &str, body: &Value) -> Reply {
    let tag = format!("\"{version}\"");
    let headers = [("content-type", "application/json"), ("idempotency-key", key), ("if-match", &*tag)];
    who.send("POST", path, &headers, Some(body.to_string().as_bytes()))
}
fn is_replayed(reply: &Reply) -> bool {
    reply.header("idempotent-replayed") == Some("true")
}
fn total(who: &Actor, kind: &str) -> i64 {
    who.get(&format!("/v1/{kind}?count=true&limit=1")).expect(200).body["total"].as_i64().unwrap()
}
fn new_discovery(lab: benchside::id::OrganizationId) -> Value {
    json!({ "title": "Seen once", "modality": "device", "lab_id": lab })
}
const EVIDENCE: &str = "https://example.org/evidence";

fn the_same_request_is_done_once_and_answered_alike(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let first = keyed(&ada, "/v1/discoveries", "one", &new_discovery(lab)).expect(201);
    assert!(!is_replayed(&first));
    let again = keyed(&ada, "/v1/discoveries", "one", &new_discovery(lab)).expect(201);
    assert!(is_replayed(&again));
    assert_eq!((&again.body, &again.etag, &again.location), (&first.body, &first.etag, &first.location));
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_eq!(total(&ada, "discoveries"), 1);
    keyed(&ada, "/v1/discoveries", "two", &new_discovery(lab)).expect(201);
    ada.post("/v1/discoveries", new_discovery(lab)).expect(201);
    assert_eq!(total(&ada, "discoveries"), 3, "without a key, or under another, it is another request");
}

fn of_100_requests_under_one_key_one_is_done(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let replies = sent_by(100, |_| keyed(&ada, "/v1/discoveries", "crowd", &new_discovery(lab)));
    let (made, others): (Vec<_>, Vec<_>) = replies.iter().partition(|r| r.status == 201 && !is_replayed(r));
    assert_eq!(made.len(), 1, "{:?}", tally(&replies));
    for other in others {
        match other.status {
            201 => assert_eq!(other.body, made[0].body),
            _ => drop(other.clone().refused(409, "in_progress")),
        }
    }
    assert_eq!(total(&ada, "discoveries"), 1);
    let after = keyed(&ada, "/v1/discoveries", "crowd", &new_discovery(lab)).expect(201);
    assert!(is_replayed(&after) && after.body == made[0].body);
}

fn of_100_signed_moves_under_one_key_one_is_made(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let path = ada.post("/v1/discoveries", new_discovery(lab)).expect(201).location.unwrap();
    let body = json!({ "to": "discontinued", "stop_reason": "negative" });
    let (challenge, version) = ada.challenge(&path, "discontinuation", &body);
    let mut signed = body;
    signed["signature"] = json!({ "challenge_id": challenge, "password": PASSWORD });
    let move_it = || keyed_at(&ada, &format!("{path}/transitions"), version, "sign", &signed);
    let replies = sent_by(100, |_| move_it());
    let made: Vec<_> = replies.iter().filter(|r| r.status == 201 && !is_replayed(r)).collect();
    assert!(made.len() <= 1, "{:?}", tally(&replies));
    let after = move_it().expect(201);
    assert_eq!(after.body["to"], "discontinued");
    assert_eq!(ada.get(&path).expect(200).version(), 2, "moved once: {:?}", tally(&replies));
}

fn another_body_is_refused_and_another_route_or_person_is_another_key(app: &TestApp) {
    let lab = app.lab("Lab");
    let (ada, bo) = (app.scientist("Ada Okafor", lab), app.scientist("Bo Lindqvist", lab));
    let first = keyed(&ada, "/v1/discoveries", "k", &new_discovery(lab)).expect(201);
    let mut other = new_discovery(lab);
    other["title"] = json!("Something else");
    keyed(&ada, "/v1/discoveries", "k", &other).refused(422, "idempotency_key_reused");
    assert_eq!(total(&ada, "discoveries"), 1);
    assert!(!is_replayed(&keyed(&bo, "/v1/discoveries", "k", &new_discovery(lab)).expect(201)));
    assert_eq!(total(&ada, "discoveries"), 2);
    let path = format!("{}/transitions", first.location.unwrap());
    let body = json!({ "to": "validated", "evidence": [{ "kind": "url", "value": EVIDENCE }] });
    assert!(!is_replayed(&keyed_at(&ada, &path, 1, "k", &body).expect(201)));
}

fn a_refusal_is_not_kept(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    keyed(&ada, "/v1/discoveries", "k", &json!({ "title": "No modality", "lab_id": lab })).refused(422, "invalid");
    // The key is free: the mended body is another one and is taken.
    keyed(&ada, "/v1/discoveries", "k", &new_discovery(lab)).expect(201);
    let path = ada.post("/v1/discoveries", new_discovery(lab)).expect(201).location.unwrap();
    let to_preclinical = json!({ "to": "preclinical" });
    let transitions = format!("{path}/transitions");
    let evidence = json!({ "to": "validated", "evidence": [{ "kind": "url", "value": EVIDENCE }] });
    ada.versioned("POST", &transitions, 1, evidence).expect(201);
    keyed_at(&ada, &transitions, 2, "m", &to_preclinical).refused(409, "gates_unmet");
    ada.patch(&path, 2, json!({ "trl": 4 })).expect(200);
    let made = keyed_at(&ada, &transitions, 3, "m", &to_preclinical).expect(201);
    assert!(!is_replayed(&made), "a refusal is evaluated again");
}

fn what_was_hidden_since_is_not_repeated(app: &TestApp) {
    let lab = app.lab("Lab");
    let (ada, admin) = (app.scientist("Ada Okafor", lab), app.administrator("Admin"));
    let mut body = new_discovery(lab);
    body["visibility"] = json!("confidential");
    let bo = app.scientist("Bo Lindqvist", lab);
    body["owner_id"] = json!(bo.id);
    let made = keyed(&ada, "/v1/discoveries", "k", &body).expect(201);
    let path = made.location.unwrap();
    let person = format!("/v1/people/{}", ada.id);
    let version = admin.get(&person).expect(200).version();
    admin.put(&format!("{person}/memberships"), version, json!({ "data": [] })).expect(200);
    ada.get(&path).refused(404, "not_found");
    keyed(&ada, "/v1/discoveries", "k", &body).refused(404, "not_found");
}

fn an_answer_that_never_came_is_had_by_asking_again(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let body = new_discovery(lab).to_string();
    let head = format!(
        "POST /v1/discoveries HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Idempotency-Key: gone\r\nContent-Length: {}\r\n\r\n{body}",
        ada.token,
        body.len()
    );
    let address = app.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    // The answer is never read: what a client sees of a server that dies after its commit.
    while total(&ada, "discoveries") == 0 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    drop(stream);
    let again = keyed(&ada, "/v1/discoveries", "gone", &new_discovery(lab)).expect(201);
    assert!(is_replayed(&again));
    ada.get(&again.location.unwrap()).expect(200);
    assert_eq!(total(&ada, "discoveries"), 1);
}

fn a_path_written_otherwise_is_the_same_request(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let first = keyed(&ada, "/v1/discoveries", "k", &new_discovery(lab)).expect(201);
    for path in ["/v1/%64iscoveries", "/%76%31/discoverie%73"] {
        let again = keyed(&ada, path, "k", &new_discovery(lab)).expect(201);
        assert!(is_replayed(&again) && again.body == first.body, "{path}");
    }
    assert_eq!(total(&ada, "discoveries"), 1);
    let path = first.location.unwrap();
    let body = json!({ "to": "validated", "evidence": [{ "kind": "url", "value": EVIDENCE }] });
    keyed_at(&ada, &format!("{path}/transitions"), 1, "m", &body).expect(201);
    assert!(is_replayed(&keyed_at(&ada, &format!("{path}/%74ransitions"), 1, "m", &body).expect(201)));
}

fn a_member_that_is_called_like_a_password_counts(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    keyed(&ada, "/v1/discoveries", "k", &new_discovery(lab)).expect(201);
    for name in ["xpassword", "password", "current_password"] {
        let mut body = new_discovery(lab);
        body[name] = json!("x");
        keyed(&ada, "/v1/discoveries", "k", &body).refused(422, "idempotency_key_reused");
    }
}

fn a_move_is_repeated_whatever_the_version_is_now(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let path = ada.post("/v1/discoveries", new_discovery(lab)).expect(201).location.unwrap();
    let body = json!({ "to": "validated", "evidence": [{ "kind": "url", "value": EVIDENCE }] });
    let transitions = format!("{path}/transitions");
    let first = keyed_at(&ada, &transitions, 1, "m", &body).expect(201);
    ada.patch(&path, 2, json!({ "trl": 4 })).expect(200);
    let again = keyed_at(&ada, &transitions, 1, "m", &body).expect(201);
    assert!(is_replayed(&again));
    assert_eq!(again.body, first.body);
    assert_eq!(ada.get(&path).expect(200).version(), 3);
}

fn no_password_is_kept_not_even_as_a_digest(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let path = ada.post("/v1/discoveries", new_discovery(lab)).expect(201).location.unwrap();
    let body = json!({ "to": "discontinued", "stop_reason": "negative" });
    let (challenge, version) = ada.challenge(&path, "discontinuation", &body);
    let signed = |password: &str| {
        let mut signed = body.clone();
        signed["signature"] = json!({ "challenge_id": challenge, "password": password });
        keyed_at(&ada, &format!("{path}/transitions"), version, "k", &signed)
    };
    signed("not my password").refused(409, "signature_invalid");
    signed(PASSWORD).expect(201);
    assert!(is_replayed(&signed("not my password").expect(201)), "the digest leaves the password out");
}

fn keys_have_a_form(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    for key in ["", &"k".repeat(256), "caf\u{e9}"] {
        keyed(&ada, "/v1/discoveries", key, &new_discovery(lab)).refused(400, "malformed");
    }
    let headers = [("content-type", "application/json"), ("idempotency-key", "a"), ("idempotency-key", "b")];
    let body = new_discovery(lab).to_string();
    ada.send("POST", "/v1/discoveries", &headers, Some(body.as_bytes())).refused(400, "malformed");
    assert_eq!(total(&ada, "discoveries"), 0);
    keyed(&ada, "/v1/discoveries", &"k".repeat(255), &new_discovery(lab)).expect(201);
}

fn every_post_outside_of_auth_takes_a_key(app: &TestApp) {
    let roles = [Role::Scientist, Role::Clinician, Role::Administrator, Role::Partner];
    let all = app.person("All Roles", &roles, &[]);
    let paths = benchside::api::document()["paths"].as_object().unwrap();
    let posts: Vec<_> =
        paths.iter().filter(|(path, of)| of.get("post").is_some() && !path.starts_with("/v1/auth/")).collect();
    assert!(posts.len() > 20, "only {} were found", posts.len());
    for (path, _) in posts {
        let path = path.replace("{id}", &uuid::Uuid::now_v7().to_string());
        assert!(!path.contains('{'), "say what stands in {path}");
        let problem = keyed(&all, &path, &"k".repeat(256), &json!({ "items": [{}] })).refused(400, "malformed");
        assert!(problem["detail"].as_str().unwrap().starts_with("An Idempotency-Key has"), "{path}: {problem:#}");
    }
}

fn a_token_for_less_is_not_told_what_another_did(app: &TestApp) {
    let (lab, clinic) = (app.lab("Lab"), app.clinic("Clinic"));
    let mia = app.person("Mia Both", &[Role::Scientist, Role::Clinician], &[lab, clinic]);
    let script = |scope: &str| {
        let token = json!({ "name": scope, "scopes": [scope], "expires_at": app.app.clock.now().plus_days(1) });
        let token = mia.post("/v1/auth/tokens", token).expect(201).body["token"].as_str().unwrap().to_owned();
        Actor { token, ..mia.clone() }
    };
    let (of_discoveries, of_trials) = (script("discoveries:write"), script("trials:write"));
    let discovery = mia.post("/v1/discoveries", new_discovery(lab)).expect(201);
    let trial = json!({ "brief_title": "T", "study_type": "OBSERVATIONAL", "clinic_id": clinic });
    let trial = mia.post("/v1/trials", trial).expect(201);
    let one = |kind: &str, id: String, to: Value| json!({ "record": { "kind": kind, "id": id }, "version": 1, "transition": to });
    let validated = json!({ "to": "validated", "evidence": [{ "kind": "url", "value": EVIDENCE }] });
    let withdrawn = json!({ "to": "WITHDRAWN", "why_stopped": "No funds" });
    let items = [one("discovery", discovery.id(), validated), one("trial", trial.id(), withdrawn)];

    // What was refused to the script itself is no reason not to repeat its own answer.
    let both = json!({ "items": items });
    let mixed = keyed(&of_discoveries, "/v1/transitions", "mixed", &both).expect(200);
    let statuses: Vec<_> = mixed.body["data"].as_array().unwrap().iter().map(|r| r["status"].clone()).collect();
    assert_eq!(statuses, [201, 403], "{:#}", mixed.body);
    assert_eq!(keyed(&of_discoveries, "/v1/transitions", "mixed", &both).expect(200).body, mixed.body);
    keyed(&of_trials, "/v1/transitions", "mixed", &both).refused(403, "not_permitted");
    assert!(is_replayed(&keyed(&mia, "/v1/transitions", "mixed", &both).expect(200)));
}

fn a_key_is_forgotten_after_a_day(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let first = keyed(&ada, "/v1/discoveries", "k", &new_discovery(lab)).expect(201);
    let now = app.app.clock.now();
    let aged = |by: i64| {
        app.write(move |conn, _| {
            diesel::update(kept::table).set(kept::created_at.eq(now.plus_seconds(-by))).execute(conn)?;
            Ok(())
        });
    };
    aged(86_390);
    assert!(is_replayed(&keyed(&ada, "/v1/discoveries", "k", &new_discovery(lab)).expect(201)));
    aged(86_401);
    let next = keyed(&ada, "/v1/discoveries", "k", &new_discovery(lab)).expect(201);
    assert!(!is_replayed(&next) && next.id() != first.id());
    app.write(move |conn, _| benchside::idempotency::store::forget(conn, now, 1000));
    assert!(is_replayed(&keyed(&ada, "/v1/discoveries", "k", &new_discovery(lab)).expect(201)));
}
