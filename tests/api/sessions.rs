//! Signing in, staying in, and being put out: sessions and their refresh tokens, on both engines.
use crate::support::{
    Actor, PASSWORD, Reply, TestApp,
    crowd::{sent_by, tally},
    on_both_engines,
};
use benchside::db::schema::{refresh_token, session};
use diesel::prelude::*;
use serde_json::{Value, json};

on_both_engines!(
    a_sign_in_lasts_by_refreshing,
    of_100_refreshes_at_once_all_get_the_same_successor,
    a_replay_ends_the_family,
    a_late_retry_is_a_replay,
    a_session_ends_when_idle,
    what_is_no_refresh_token_says_nothing,
    disabling_and_roles_bite_on_the_next_request,
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
    app.write(move |conn, _| benchside::auth::session::store::forget(conn, now.plus_seconds(1)));
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
