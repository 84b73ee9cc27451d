//! Signing in, staying in, and being put out: sessions and their refresh tokens, on both engines.
use crate::support::{
    Actor, PASSWORD, Reply, TestApp,
    crowd::{sent_by, tally},
    on_both_engines,
};
use benchside::{
    auth::password::{Cost, Passwords, Secret},
    db::schema::{refresh_token, session},
};
use diesel::prelude::*;
use serde_json::{Value, json};

on_both_engines!(
    a_sign_in_lasts_by_refreshing,
    of_100_refreshes_at_once_all_get_the_same_successor,
    a_replay_ends_the_family,
    a_late_retry_is_a_replay,
    a_theft_is_found_whenever_the_robbed_come_back,
    a_session_ends_when_idle,
    what_is_no_refresh_token_says_nothing,
    disabling_and_roles_bite_on_the_next_request,
    signing_out_ends_one_session,
    sessions_are_seen_and_ended_by_their_owner,
    another_password_ends_the_other_sessions,
    guesses_at_the_current_password_are_throttled,
    a_password_has_a_policy,
    an_old_hash_is_renewed_at_sign_in,
    what_ends_on_one_node_has_ended_on_the_other,
);

/// Signs in over HTTP.
fn sign_in(app: &TestApp, who: &Actor) -> Value {
    let body = json!({ "email": who.email, "password": PASSWORD });
    app.anonymous().post("/v1/auth/login", body).expect(200).body
}
fn refresh(app: &TestApp, tokens: &Value) -> Reply {
    app.anonymous().post("/v1/auth/refresh", json!({ "refresh_token": tokens["refresh_token"] }))
}
fn with(who: &Actor, tokens: &Value) -> Actor {
    Actor { token: tokens["access_token"].as_str().unwrap().into(), ..who.clone() }
}
/// As if every refresh token had been used so many seconds earlier.
fn age_use(app: &TestApp, seconds: i64) {
    let before = app.app.clock.now().plus_seconds(-seconds);
    app.write(move |conn, _| {
        let used = refresh_token::table.filter(refresh_token::used_at.is_not_null());
        diesel::update(used).set(refresh_token::used_at.eq(before)).execute(conn)?;
        Ok(())
    });
}

fn a_sign_in_lasts_by_refreshing(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let mut tokens = sign_in(app, &ada);
    for _ in 0..5 {
        with(&ada, &tokens).get("/v1/me").expect(200);
        let next = refresh(app, &tokens).expect(200).body;
        assert_ne!(next["refresh_token"], tokens["refresh_token"]);
        assert_eq!((&next["token_type"], &next["expires_in"]), (&json!("Bearer"), &json!(900)));
        tokens = next;
    }
}

fn of_100_refreshes_at_once_all_get_the_same_successor(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let mut tokens = sign_in(app, &ada);
    for _ in 0..3 {
        let replies = sent_by(100, |_| refresh(app, &tokens));
        assert!(replies.iter().all(|r| r.status == 200), "{:?}", tally(&replies));
        let successor = &replies[0].body["refresh_token"];
        assert!(replies.iter().all(|r| &r.body["refresh_token"] == successor), "one successor");
        with(&ada, &replies[99].body).get("/v1/me").expect(200);
        tokens = replies[0].body.clone();
    }
}

fn a_replay_ends_the_family(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let (elsewhere, first) = (sign_in(app, &ada), sign_in(app, &ada));
    let second = refresh(app, &first).expect(200).body;
    let third = refresh(app, &second).expect(200).body;
    with(&ada, &third).get("/v1/me").expect(200);
    // The successor of the first has been used: whoever sends the first again is somebody else.
    refresh(app, &first).refused(401, "session_ended");
    for tokens in [&first, &second, &third] {
        with(&ada, tokens).get("/v1/me").refused(401, "unauthenticated");
        refresh(app, tokens).refused(401, "session_ended");
    }
    with(&ada, &elsewhere).get("/v1/me").expect(200);
    refresh(app, &elsewhere).expect(200);
}

fn a_late_retry_is_a_replay(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let first = sign_in(app, &ada);
    let second = refresh(app, &first).expect(200).body;
    age_use(app, 9);
    assert_eq!(refresh(app, &first).expect(200).body["refresh_token"], second["refresh_token"]);
    age_use(app, 11);
    refresh(app, &first).refused(401, "session_ended");
    refresh(app, &second).refused(401, "session_ended");
    with(&ada, &second).get("/v1/me").refused(401, "unauthenticated");
}

fn a_theft_is_found_whenever_the_robbed_come_back(app: &TestApp) {
    const DAY: i64 = 86_400;
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let kept = || app.read(|conn| Ok(refresh_token::table.count().get_result::<i64>(conn)?));
    let others = kept();
    let first = sign_in(app, &ada);
    // A thief uses it first and stays in, until whoever it was stolen from comes back.
    let mut stolen = refresh(app, &first).expect(200).body;
    stolen = refresh(app, &stolen).expect(200).body;
    age_use(app, 13 * DAY);
    stolen = refresh(app, &stolen).expect(200).body;
    assert_eq!(kept(), others + 4);
    refresh(app, &first).refused(401, "session_ended");
    with(&ada, &stolen).get("/v1/me").refused(401, "unauthenticated");

    // Who stays away for longer finds their own session idle, and signs in anew: so long it is kept and no longer.
    let before = kept();
    let first = sign_in(app, &ada);
    let mut tokens = first.clone();
    for _ in 0..3 {
        tokens = refresh(app, &tokens).expect(200).body;
    }
    assert_eq!(kept(), before + 4);
    age_use(app, 14 * DAY + 1);
    tokens = refresh(app, &tokens).expect(200).body;
    assert_eq!(kept(), before + 2, "the one that was just used, and its successor");
    refresh(app, &first).refused(401, "session_ended");
    with(&ada, &tokens).get("/v1/me").expect(200);
}

fn a_session_ends_when_idle(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let tokens = sign_in(app, &ada);
    let now = app.app.clock.now();
    app.write(move |conn, _| {
        diesel::update(session::table).set(session::expires_at.eq(now)).execute(conn)?;
        Ok(())
    });
    with(&ada, &tokens).get("/v1/me").refused(401, "unauthenticated");
    refresh(app, &tokens).refused(401, "session_ended");
    app.write(move |conn, _| benchside::auth::session::store::forget(conn, now.plus_seconds(1), 1000));
    let left = app.read(|conn| {
        Ok((session::table.count().get_result::<i64>(conn)?, refresh_token::table.count().get_result::<i64>(conn)?))
    });
    assert_eq!(left, (0, 0), "what is over is forgotten");
}

fn what_is_no_refresh_token_says_nothing(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let tokens = sign_in(app, &ada);
    let access = tokens["access_token"].as_str().unwrap();
    let good = tokens["refresh_token"].as_str().unwrap();
    let mut turned = good.to_owned();
    turned.replace_range(20..21, if &good[20..21] == "A" { "B" } else { "A" });
    let mut answers = Vec::new();
    for bad in [turned.as_str(), &access[..200], "bsr_", "x", &good.replace("bsr_", "bsk_")] {
        let mut problem = refresh(app, &json!({ "refresh_token": bad })).refused(401, "session_ended");
        problem.as_object_mut().unwrap().remove("request_id");
        answers.push(problem);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "nothing tells which check failed");
    app.anonymous().post("/v1/auth/refresh", json!({})).refused(422, "invalid");
    Actor { token: good.to_owned(), ..ada.clone() }.get("/v1/me").refused(401, "unauthenticated");
    refresh(app, &tokens).expect(200);
}

fn disabling_and_roles_bite_on_the_next_request(app: &TestApp) {
    let (ada, admin) = (app.scientist("Ada Okafor", app.lab("Lab")), app.administrator("Admin"));
    let tokens = sign_in(app, &ada);
    let person = format!("/v1/people/{}", ada.id);
    let version = admin.get(&person).expect(200).version();
    admin.patch(&person, version, json!({ "roles": ["auditor"] })).expect(200);
    let me = with(&ada, &tokens).get("/v1/me").expect(200).body;
    assert_eq!(me["roles"], json!(["auditor"]));
    let path = format!("{person}/disable");
    admin.versioned("POST", &path, version + 1, json!({ "reason": "Left" })).expect(200);
    with(&ada, &tokens).get("/v1/me").refused(401, "unauthenticated");
    refresh(app, &tokens).refused(401, "session_ended");
}

fn signing_out_ends_one_session(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let (here, there) = (sign_in(app, &ada), sign_in(app, &ada));
    with(&ada, &here).post("/v1/auth/logout", json!({ "everywhere": true })).refused(422, "invalid");
    with(&ada, &here).get("/v1/me").expect(200);
    with(&ada, &here).post("/v1/auth/logout", json!({})).expect(204);
    with(&ada, &here).get("/v1/me").refused(401, "unauthenticated");
    with(&ada, &here).post("/v1/auth/logout", json!({})).refused(401, "unauthenticated");
    refresh(app, &here).refused(401, "session_ended");
    // No body at all is fine too, whatever the headers say of it.
    with(&ada, &there).get("/v1/me").expect(200);
    with(&ada, &there).send("POST", "/v1/auth/logout", &[], None).expect(204);
    refresh(app, &there).refused(401, "session_ended");
}

fn sessions_are_seen_and_ended_by_their_owner(app: &TestApp) {
    let lab = app.lab("Lab");
    let (ada, bo) = (app.scientist("Ada Okafor", lab), app.scientist("Bo Lindqvist", lab));
    let phone = [("content-type", "application/json"), ("user-agent", "Phone/1.0")];
    let body = json!({ "email": ada.email, "password": PASSWORD }).to_string();
    let phone = app.anonymous().send("POST", "/v1/auth/login", &phone, Some(body.as_bytes())).expect(200).body;
    let listed = ada.get("/v1/auth/sessions").expect(200).body;
    let sessions = listed["data"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{listed:#}");
    let members: Vec<_> = sessions[0].as_object().unwrap().keys().map(String::as_str).collect();
    let wanted = ["address", "authn", "client", "created_at", "current", "expires_at", "id", "issuer", "last_used_at"];
    assert_eq!(members, wanted);
    let of_phone = sessions.iter().find(|s| s["client"] == "Phone/1.0").unwrap();
    assert_eq!((&of_phone["authn"], &of_phone["address"]), (&json!("password"), &json!("127.0.0.1")));
    assert_eq!(of_phone["current"], false);
    assert_eq!(sessions.iter().filter(|s| s["current"] == true).count(), 1);
    let seen = with(&ada, &phone).get("/v1/auth/sessions").expect(200).body;
    let current = seen["data"].as_array().unwrap().iter().find(|s| s["current"] == true).unwrap();
    assert_eq!(current["id"], of_phone["id"], "who is current depends on who asks");

    let path = format!("/v1/auth/sessions/{}", of_phone["id"].as_str().unwrap());
    for absent in [path.as_str(), "/v1/auth/sessions/x", "/v1/auth/sessions/01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55"] {
        bo.send("DELETE", absent, &[], None).refused(404, "not_found");
    }
    with(&ada, &phone).get("/v1/me").expect(200);
    ada.send("DELETE", &path, &[], None).expect(204);
    with(&ada, &phone).get("/v1/me").refused(401, "unauthenticated");
    refresh(app, &phone).refused(401, "session_ended");
    ada.send("DELETE", &path, &[], None).refused(404, "not_found");
    assert_eq!(ada.get("/v1/auth/sessions").body["data"].as_array().unwrap().len(), 1);
}

const ANOTHER: &str = "another long passphrase";

fn another_password_ends_the_other_sessions(app: &TestApp) {
    let (ada, admin) = (app.scientist("Ada Okafor", app.lab("Lab")), app.administrator("Admin"));
    let (here, there) = (sign_in(app, &ada), sign_in(app, &ada));
    let wrong = json!({ "current_password": "not the password", "new_password": ANOTHER });
    let problem = with(&ada, &here).post("/v1/auth/password", wrong).refused(422, "invalid");
    assert_eq!(
        (&problem["errors"][0]["pointer"], &problem["errors"][0]["code"]),
        (&json!("/current_password"), &json!("wrong_password"))
    );
    with(&ada, &there).get("/v1/me").expect(200);

    let right = json!({ "current_password": PASSWORD, "new_password": ANOTHER });
    with(&ada, &here).post("/v1/auth/password", right.clone()).expect(204);
    with(&ada, &here).get("/v1/me").expect(200);
    with(&ada, &there).get("/v1/me").refused(401, "unauthenticated");
    refresh(app, &there).refused(401, "session_ended");
    refresh(app, &here).expect(200);
    with(&ada, &here).post("/v1/auth/password", right).refused(422, "invalid");
    let login = |password: &str| json!({ "email": ada.email, "password": password });
    app.anonymous().post("/v1/auth/login", login(PASSWORD)).refused(401, "invalid_credentials");
    app.anonymous().post("/v1/auth/login", login(ANOTHER)).expect(200);

    // The change is an event of the person: told to them, administrators and auditors, and to nobody else.
    let (auditor, bo) = (app.auditor("Auditor"), app.scientist("Bo Lindqvist", app.lab("Another lab")));
    let history = format!("/v1/people/{}/history", ada.id);
    for who in [&with(&ada, &here), &admin, &auditor] {
        let entry = who.get(&history).expect(200).body["data"][0].clone();
        assert_eq!((&entry["action"], &entry["by"]["name"]), (&json!("revised"), &json!("Ada Okafor")));
        assert_eq!(entry["changes"][0]["field"], "password", "{entry:#}");
        assert!(entry["changes"][0]["after"]["set_at"].is_string());
    }
    assert_eq!(bo.get(&history).expect(200).body["data"][0]["changes"], json!([]));
}

fn guesses_at_the_current_password_are_throttled(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let change =
        |current: &str| ada.post("/v1/auth/password", json!({ "current_password": current, "new_password": ANOTHER }));
    for _ in 0..10 {
        change("a wrong one").refused(422, "invalid");
    }
    let reply = change(PASSWORD);
    assert!(reply.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().unwrap() > 0));
    reply.refused(429, "too_many_requests");
    sign_in(app, &ada);
}

fn a_password_has_a_policy(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    for (new, code) in
        [("elevenchars", "too_short"), (&*"x".repeat(1025), "too_long"), ("with a \0 in it", "invalid_character")]
    {
        let body = json!({ "current_password": PASSWORD, "new_password": new });
        let problem = ada.post("/v1/auth/password", body).refused(422, "invalid");
        let fault = &problem["errors"][0];
        assert_eq!((&fault["pointer"], &fault["code"]), (&json!("/new_password"), &json!(code)));
        assert!(!problem.to_string().contains("elevenchars"), "a password is not repeated");
    }
    let problem = ada.post("/v1/auth/password", json!({ "new_password": "short", "old": 1 })).refused(422, "invalid");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 3, "all faults at once: {problem:#}");
    sign_in(app, &ada);
}

fn an_old_hash_is_renewed_at_sign_in(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let older = Passwords::with_cost(1, Cost::new(16, 2, 1).unwrap());
    let old = older.hash_blocking(&Secret::from(PASSWORD.to_owned())).unwrap();
    let (id, set) = (ada.id, old.clone());
    app.write(move |conn, context| benchside::person::change::set_password_hash(conn, id, &set, context.at));
    let stored = || app.read(move |conn| benchside::person::store::password_hash(conn, id)).unwrap();
    let wrong = json!({ "email": ada.email, "password": "a wrong password" });
    app.anonymous().post("/v1/auth/login", wrong).refused(401, "invalid_credentials");
    assert_eq!(stored(), old, "a wrong one renews nothing");
    sign_in(app, &ada);
    let renewed = stored();
    assert!(!app.app.passwords.needs_rehash(&renewed) && renewed != old);
    sign_in(app, &ada);
    assert_eq!(stored(), renewed, "once is enough");
}

fn what_ends_on_one_node_has_ended_on_the_other(app: &TestApp) {
    let other = app.another_node();
    let (ada, admin) = (app.scientist("Ada Okafor", app.lab("Lab")), app.administrator("Admin"));
    let mut tokens = sign_in(app, &ada);
    // Both nodes have verified the token, and remember it.
    for node in [app, &other] {
        node.at(&with(&ada, &tokens)).get("/v1/me").expect(200);
    }
    with(&ada, &tokens).post("/v1/auth/logout", json!({})).expect(204);
    other.at(&with(&ada, &tokens)).get("/v1/me").refused(401, "unauthenticated");

    tokens = sign_in(&other, &ada);
    tokens = refresh(app, &tokens).expect(200).body;
    let person = format!("/v1/people/{}", ada.id);
    let version = admin.get(&person).expect(200).version();
    other.at(&with(&ada, &tokens)).get("/v1/me").expect(200);
    admin.patch(&person, version, json!({ "roles": ["auditor"] })).expect(200);
    assert_eq!(other.at(&with(&ada, &tokens)).get("/v1/me").expect(200).body["roles"], json!(["auditor"]));
    let disabling = json!({ "reason": "Left" });
    admin.versioned("POST", &format!("{person}/disable"), version + 1, disabling).expect(200);
    other.at(&with(&ada, &tokens)).get("/v1/me").refused(401, "unauthenticated");
    refresh(&other, &tokens).refused(401, "session_ended");
    let live =
        app.read(|conn| Ok(session::table.filter(session::ended_at.is_null()).count().get_result::<i64>(conn)?));
    assert_eq!(live, 1, "the administrator's alone: the rows say so too");
}
