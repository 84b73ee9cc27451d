//! What is over is forgotten, and nothing else is, on both engines.
use crate::support::{PASSWORD, TestApp, on_both_engines};
use benchside::{
    auth::session::{self, Session},
    db::{
        columns::Time,
        schema::{
            event, idempotency, invitation, oidc_login, personal_token, refresh_token, session as sessions, sign_in,
            signature_challenge,
        },
    },
    housekeeping::{BATCH, sweep},
    id::{AnyId, ChallengeId, SessionId},
    vocabulary::Authn,
};
use diesel::prelude::*;
use serde_json::json;

on_both_engines!(
    what_is_over_is_forgotten,
    a_heap_is_forgotten_in_bounded_writes,
    a_challenge_goes_after_the_sign_in_that_names_it,
    one_table_that_cannot_be_swept_keeps_no_other,
    several_nodes_forget_the_same_session,
);

/// Sessions, their tokens, personal tokens, invitations, sign-ins at a provider, challenges, kept answers, sign-ins.
fn counts(app: &TestApp) -> [i64; 8] {
    app.read(|conn| {
        Ok([
            sessions::table.count().get_result(conn)?,
            refresh_token::table.count().get_result(conn)?,
            personal_token::table.count().get_result(conn)?,
            invitation::table.count().get_result(conn)?,
            oidc_login::table.count().get_result(conn)?,
            signature_challenge::table.count().get_result(conn)?,
            idempotency::table.count().get_result(conn)?,
            sign_in::table.count().get_result(conn)?,
        ])
    })
}

/// A sign-in at a provider to sign, which never comes back.
fn begin_sign_in(app: &TestApp, challenge: ChallengeId, now: Time) {
    app.write(move |conn, _| {
        let row = (
            oidc_login::state_hash.eq(vec![1; 32]),
            oidc_login::browser_hash.eq(vec![2; 32]),
            oidc_login::issuer.eq("hospital"),
            oidc_login::nonce.eq("n"),
            oidc_login::verifier.eq("v"),
            oidc_login::challenge_id.eq(challenge),
            oidc_login::created_at.eq(now),
            oidc_login::expires_at.eq(now.plus_seconds(600)),
        );
        diesel::insert_into(oidc_login::table).values(row).execute(conn)?;
        Ok(())
    });
}

fn what_is_over_is_forgotten(app: &TestApp) {
    let lab = app.lab("Lab");
    let (ada, admin) = (app.scientist("Ada Okafor", lab), app.administrator("Admin"));
    let now = app.app.clock.now();
    // One of each.
    app.anonymous().post("/v1/auth/login", json!({ "email": ada.email, "password": PASSWORD })).expect(200);
    let token = json!({ "name": "Export", "scopes": ["read"], "expires_at": now.plus_days(30) });
    ada.post("/v1/auth/tokens", token).expect(201);
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let person = json!({ "name": "Nia New", "email": "nia@example.org", "roles": ["scientist"] }).to_string();
    admin.send("POST", "/v1/people", &headers, Some(person.as_bytes())).expect(201);
    let discovery = json!({ "title": "HSP70", "modality": "device", "lab_id": lab });
    let path = ada.post("/v1/discoveries", discovery).expect(201).location.unwrap();
    let (challenge, _) = ada.challenge(
        &path,
        "discontinuation",
        &json!({ "to": "discontinued", "reason": "x", "stop_reason": "negative" }),
    );
    let challenge = ChallengeId::of(challenge.parse().unwrap());
    begin_sign_in(app, challenge, now);
    let events = || app.read(|conn| Ok(event::table.count().get_result::<i64>(conn)?));
    let (before, happened) = (counts(app), events());
    assert_eq!(before, [3, 3, 1, 1, 1, 1, 1, 1]);
    app.wait(sweep(&app.app));
    assert_eq!(counts(app), before, "what is not over is kept");

    // A moment before each has been over for long enough, and a moment after.
    let expire = |at: Time| {
        app.write(move |conn, _| {
            let seconds = |days: i64, more: i64| at.plus_days(-days).plus_seconds(more);
            diesel::update(sessions::table).set(sessions::expires_at.eq(seconds(7, 0))).execute(conn)?;
            diesel::update(personal_token::table).set(personal_token::revoked_at.eq(seconds(7, 0))).execute(conn)?;
            diesel::update(invitation::table).set(invitation::expires_at.eq(seconds(1, 0))).execute(conn)?;
            diesel::update(oidc_login::table).set(oidc_login::expires_at.eq(seconds(0, 0))).execute(conn)?;
            diesel::update(signature_challenge::table)
                .set(signature_challenge::expires_at.eq(seconds(1, 0)))
                .execute(conn)?;
            diesel::update(idempotency::table).set(idempotency::created_at.eq(seconds(1, 0))).execute(conn)?;
            diesel::update(sign_in::table).set(sign_in::at.eq(seconds(400, 0))).execute(conn)?;
            Ok(())
        });
    };
    expire(now.plus_seconds(60));
    app.wait(sweep(&app.app));
    assert_eq!(counts(app), before);
    expire(now.plus_seconds(-1));
    app.wait(sweep(&app.app));
    assert_eq!(counts(app), [0; 8]);
    assert_eq!(events(), happened, "events are never forgotten");
}

fn a_heap_is_forgotten_in_bounded_writes(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let long_ago = app.app.clock.now().plus_days(-500);
    let heap = 2 * BATCH + 7;
    let id = ada.id;
    app.write(move |conn, _| {
        for n in 0..heap {
            let row = (
                sign_in::id.eq(AnyId::fresh()),
                sign_in::person_id.eq(id),
                sign_in::at.eq(long_ago.plus_seconds(n)),
                sign_in::address.eq("192.0.2.1"),
                sign_in::succeeded.eq(true),
            );
            diesel::insert_into(sign_in::table).values(row).execute(conn)?;
        }
        let over = Session {
            id: SessionId::fresh(),
            person_id: id,
            authn: Authn::Password,
            issuer: None,
            client: None,
            address: None,
            created_at: long_ago,
            last_used_at: long_ago,
            expires_at: long_ago.plus_days(1),
            ended_at: None,
        };
        session::store::open(conn, &over)?;
        for n in 0..BATCH {
            let row = (
                refresh_token::hash.eq(n.to_be_bytes().repeat(4)),
                refresh_token::session_id.eq(over.id),
                refresh_token::issued_at.eq(long_ago),
            );
            diesel::insert_into(refresh_token::table).values(row).execute(conn)?;
        }
        Ok(())
    });
    let once = app.app.clock.now();
    let forgotten = app.write(move |conn, _| session::store::forget(conn, once.plus_days(-7), BATCH));
    assert_eq!(i64::try_from(forgotten).unwrap(), BATCH, "tokens first, so many at a time");
    let [still, ..] = counts(app);
    assert_eq!(still, 2, "the session waits for its tokens");
    app.wait(sweep(&app.app));
    let [sessions, tokens, .., sign_ins] = counts(app);
    assert_eq!((sessions, tokens, sign_ins), (1, 1, 0));
    ada.get("/v1/me").expect(200);
}

fn a_challenge_goes_after_the_sign_in_that_names_it(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let new = json!({ "title": "HSP70", "modality": "device", "lab_id": lab });
    let path = ada.post("/v1/discoveries", new).expect(201).location.unwrap();
    let (challenge, _) =
        ada.challenge(&path, "discontinuation", &json!({ "to": "discontinued", "stop_reason": "negative" }));
    let now = app.app.clock.now();
    begin_sign_in(app, ChallengeId::of(challenge.parse().unwrap()), now);
    // The sign-in was begun when the challenge was nearly over, and is over five minutes later.
    app.write(move |conn, _| {
        let over = now.plus_days(-1).plus_seconds(-1);
        diesel::update(signature_challenge::table).set(signature_challenge::expires_at.eq(over)).execute(conn)?;
        diesel::update(oidc_login::table).set(oidc_login::expires_at.eq(over.plus_seconds(300))).execute(conn)?;
        Ok(())
    });
    app.wait(sweep(&app.app));
    let [.., sign_ins, challenges, _, _] = counts(app);
    assert_eq!((sign_ins, challenges), (0, 0));
}

fn one_table_that_cannot_be_swept_keeps_no_other(app: &TestApp) {
    let (ada, admin) = (app.scientist("Ada Okafor", app.lab("Lab")), app.administrator("Admin"));
    app.anonymous().post("/v1/auth/login", json!({ "email": ada.email, "password": PASSWORD })).expect(200);
    let nia = json!({ "name": "Nia New", "email": "nia@example.org", "roles": ["scientist"] });
    admin.post("/v1/people", nia).expect(201);
    let long_ago = app.app.clock.now().plus_days(-500);
    app.write(move |conn, _| {
        diesel::update(invitation::table).set(invitation::expires_at.eq(long_ago)).execute(conn)?;
        diesel::update(sign_in::table).set(sign_in::at.eq(long_ago)).execute(conn)?;
        Ok(())
    });
    app.refuse("DELETE", "invitation", "true");
    app.wait(sweep(&app.app));
    let [_, _, _, invitations, .., sign_ins] = counts(app);
    assert_eq!((invitations, sign_ins), (1, 0));
}

fn several_nodes_forget_the_same_session(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let long_ago = app.app.clock.now().plus_days(-500);
    app.write(move |conn, _| {
        let session: SessionId = sessions::table.select(sessions::id).first(conn)?;
        diesel::update(sessions::table).set(sessions::expires_at.eq(long_ago)).execute(conn)?;
        for n in 0..200_u64 {
            let row = (
                refresh_token::hash.eq(n.to_be_bytes().repeat(4)),
                refresh_token::session_id.eq(session),
                refresh_token::issued_at.eq(long_ago),
            );
            diesel::insert_into(refresh_token::table).values(row).execute(conn)?;
        }
        Ok(())
    });
    let before = app.app.clock.now().plus_days(-7);
    while counts(app)[0] > 0 {
        let forget = || app.app.db.write(move |conn| session::store::forget(conn, before, 20));
        let (one, two, three) = app.wait(futures_util::future::join3(forget(), forget(), forget()));
        assert!(one.is_ok() && two.is_ok() && three.is_ok(), "{one:?} {two:?} {three:?}");
    }
    assert_eq!(counts(app)[1], 0);
    ada.get("/v1/me").refused(401, "unauthenticated");
}
