//! Single sign-on, on both engines: with a real provider, and with one that says what no real one would.
mod browser;
mod desk;
mod fake;
mod hostile;
mod signing;
mod start;
mod tokens;

use crate::support::{
    Actor, Reply, TestApp,
    crowd::{at_once, tally},
    on_both_engines,
};
use benchside::{auth::oidc, vocabulary::Role};
use browser::Browser;
use desk::{Desk, desk_with_provider};
use serde_json::{Value, json};

on_both_engines!(
    somebody_new_comes_in_and_may_do_nothing_until_they_may,
    a_sign_in_comes_back_once_and_to_its_browser,
    rules_give_and_take_what_they_name,
    people_are_linked_by_a_verified_address_and_once,
    tabs_that_come_back_at_once_all_come_in,
    two_subjects_of_one_address_are_not_one_person,
    who_is_disabled_stays_out,
);

pub(crate) const JUST_IN_TIME: &str = r#"
[[issuer]]
name = "real"
issuer = "ISSUER"
client_id = "benchside"
client_secret_env = "SECRET"
audience = "https://benchside.test"
allow_people = "just_in_time"
"#;

pub(crate) fn account(email: &str, verified: bool, groups: &[&str]) -> Value {
    json!({ "email": email, "email_verified": verified, "name": "Nia Newcomer", "groups": groups })
}

/// Why a sign-in came to nothing.
#[track_caller]
fn refused(reply: Reply, reason: &str) {
    let problem = reply.refused(401, "sign_in_failed");
    assert_eq!(problem["reason"], reason, "{problem:#}");
}

fn me(who: &Actor) -> Value {
    who.get("/v1/me").expect(200).body
}

fn person(desk: &Desk, admin: &Actor, who: &Value) -> (String, i64) {
    let path = format!("/v1/people/{}", who["id"].as_str().unwrap());
    let version = desk.at_this_node(admin).get(&path).expect(200).version();
    (path, version)
}

fn somebody_new_comes_in_and_may_do_nothing_until_they_may(app: &TestApp) {
    let Some((desk, mut real)) = desk_with_provider(app, JUST_IN_TIME, "real") else { return };
    real.knows(&json!({ "nia": account("Nia@Example.org", true, &[]) }));
    let admin = app.administrator("Admin");
    let browser = Browser::default();
    let begun = browser.get(&desk.start("real")).expect(302);
    let cookie = begun.header("set-cookie").unwrap();
    assert!(cookie.starts_with("benchside-sign-in=") && cookie.contains("; HttpOnly; SameSite=Lax;"), "{cookie}");
    let location = begun.location.unwrap();
    for part in ["code_challenge_method=S256", "code_challenge=", "nonce=", "state=", "scope=openid+email+profile"] {
        assert!(location.contains(part), "{part}: {location}");
    }

    let tokens = desk.signs_in(&browser, "real", "nia").expect(200);
    assert_eq!((&tokens.body["token_type"], &tokens.body["expires_in"]), (&json!("Bearer"), &json!(900)));
    let origin = &desk.base;
    assert!(browser.cookies(origin).is_empty(), "the cookie is taken back");
    let nia = desk.holder(&tokens);
    let who = me(&nia);
    assert_eq!((&who["name"], &who["email"]), (&json!("Nia Newcomer"), &json!("Nia@Example.org")));
    assert_eq!((&who["roles"], &who["permissions"]), (&json!([]), &json!(["own_access"])));
    for path in ["/v1/discoveries", "/v1/people", "/v1/organizations", "/v1/lifecycles", "/v1/pipeline/overview"] {
        nia.get(path).refused(403, "not_permitted");
    }
    nia.post("/v1/discoveries", json!({})).refused(403, "not_permitted");
    let renewed = json!({ "refresh_token": tokens.body["refresh_token"] });
    desk.bearer("").post("/v1/auth/refresh", renewed).expect(200);

    // Their entry is an event that nobody but the provider's word made.
    let (path, version) = person(&desk, &admin, &who);
    let history = admin.get(&format!("{path}/history")).expect(200).body;
    assert_eq!((&history["data"][0]["action"], &history["data"][0]["by"]), (&json!("created"), &Value::Null));

    // A role that is given counts at once, and signing in again neither takes it nor makes another person.
    admin.patch(&path, version, json!({ "roles": ["scientist"] })).expect(200);
    nia.get("/v1/discoveries").expect(200);
    let again = me(&desk.holder(&desk.signs_in(&browser, "real", "nia")));
    assert_eq!((&again["id"], &again["roles"]), (&who["id"], &json!(["scientist"])));
    assert_eq!(person(&desk, &admin, &who).1, version + 1);
    admin.patch(&path, version + 1, json!({ "roles": [] })).refused(422, "invalid");
}

fn a_sign_in_comes_back_once_and_to_its_browser(app: &TestApp) {
    let Some((desk, mut real)) = desk_with_provider(app, JUST_IN_TIME, "real") else { return };
    real.knows(&json!({ "nia": account("nia@example.org", true, &[]) }));
    let (browser, other) = (Browser::default(), Browser::default());
    let back = browser.authenticates(&desk.start("real"), "nia").url;
    refused(other.get(&back), "unknown_login");
    other.get(&desk.start("real")).expect(302);
    refused(other.get(&back), "unknown_login");
    browser.get(&back).expect(200);
    refused(browser.get(&back), "unknown_login");

    // A code that was used, under a sign-in that is good.
    let next = browser.authenticates(&desk.start("real"), "nia").url;
    let code = |url: &str| url.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    refused(browser.get(&next.replace(&code(&next), &code(&back))), "refused");
    refused(browser.get(&next), "unknown_login");

    // The answer of another issuer, and of one that says no.
    let mixed = browser.authenticates(&desk.start("real"), "nia").url;
    let (plain, _) = mixed.split_once("&iss=").unwrap();
    refused(browser.get(&format!("{plain}&iss=https%3A%2F%2Fevil.example.org")), "untrusted");
    let denied = Browser::default();
    let back = denied.authenticates(&desk.start("real"), "nobody").url;
    assert!(back.contains("error=access_denied"), "{back}");
    refused(denied.get(&back), "refused");

    let nobody = desk.bearer("");
    nobody.get("/v1/auth/oidc/elsewhere/start").refused(404, "not_found");
    nobody.get("/v1/auth/oidc/elsewhere/callback?code=a&state=b").refused(404, "not_found");
    nobody.get("/v1/auth/oidc/real/start?typo=1").refused(400, "unknown_parameter");
    nobody.get("/v1/auth/oidc/real/start?challenge=x").refused(422, "invalid");
    nobody.get(&format!("/v1/auth/oidc/real/start?challenge={}", uuid::Uuid::now_v7())).refused(404, "not_found");
    for query in ["", "state=a", "code=a", "code=a&error=b&state=c", "code=a&code=b&state=c", "code=&state=c"] {
        nobody.get(&format!("/v1/auth/oidc/real/callback?{query}")).refused(422, "invalid");
    }
    refused(nobody.get("/v1/auth/oidc/real/callback?code=a&state=b&session_state=c"), "unknown_login");
}

fn managed(lab: &str) -> String {
    format!(
        r#"{JUST_IN_TIME}
scopes = ["openid", "email", "profile", "groups"]
roles = "managed"
role = [
    {{ claim = "groups", value = "als", role = "scientist", organization = "{lab}" }},
    {{ claim = "groups", value = "trials", role = "clinician" }},
    {{ claim = "groups", value = "ghosts", role = "partner", organization = "O-999" }},
]
"#
    )
}

fn rules_give_and_take_what_they_name(app: &TestApp) {
    let (lab, admin) = (app.lab("ALS Lab"), app.administrator("Admin"));
    let code = admin.get(&format!("/v1/organizations/{lab}")).expect(200).body["code"].as_str().unwrap().to_owned();
    let Some((desk, mut real)) = desk_with_provider(app, &managed(&code), "real") else { return };
    let browser = Browser::default();
    let mut comes = |groups: &[&str]| {
        real.knows(&json!({ "nia": account("nia@example.org", true, groups) }));
        me(&desk.holder(&desk.signs_in(&browser, "real", "nia")))
    };
    let nia = comes(&["als", "unheard of"]);
    assert_eq!((&nia["roles"], &nia["organizations"][0]["code"]), (&json!(["scientist"]), &json!(code)));
    let (path, version) = person(&desk, &admin, &nia);
    assert_eq!(version, 1, "entered with what the rules give, in one event");

    // What an administrator gives beside the rules stays; what a rule names comes and goes.
    admin.patch(&path, version, json!({ "roles": ["scientist", "auditor"] })).expect(200);
    assert_eq!(comes(&["als"])["roles"], json!(["scientist", "auditor"]));
    assert_eq!(person(&desk, &admin, &nia).1, version + 1, "nothing changed, so nothing is recorded");
    let moved = comes(&["trials", "ghosts"]);
    assert_eq!((&moved["roles"], &moved["organizations"]), (&json!(["auditor", "clinician", "partner"]), &json!([])));
    let gone = comes(&[]);
    assert_eq!(gone["roles"], json!(["auditor"]));
    let history = admin.get(&format!("{path}/history")).expect(200).body;
    assert_eq!((&history["data"][0]["action"], &history["data"][0]["by"]), (&json!("revised"), &Value::Null));
}

fn people_are_linked_by_a_verified_address_and_once(app: &TestApp) {
    let existing = JUST_IN_TIME.replace("just_in_time", "existing");
    let Some((desk, mut real)) = desk_with_provider(app, &existing, "real") else { return };
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    real.knows(&json!({
        "ada": account("ADA.okafor@example.org", true, &[]),
        "claims-to-be-ada": account("ada.okafor@example.org", false, &[]),
        "another-ada": account("ada.okafor@example.org", true, &[]),
        "stranger": account("stranger@example.org", true, &[]),
    }));
    let comes = |login: &str| desk.signs_in(&Browser::default(), "real", login);
    refused(comes("claims-to-be-ada"), "not_admitted");
    refused(comes("stranger"), "not_admitted");
    let linked = me(&desk.holder(&comes("ada")));
    assert_eq!((&linked["id"], &linked["roles"]), (&json!(ada.id), &json!(["scientist"])));
    refused(comes("another-ada"), "not_admitted");

    // From now on it is the subject that counts, whatever its address is.
    real.knows(&json!({ "ada": account("ada@elsewhere.example.org", false, &[]) }));
    assert_eq!(me(&desk.holder(&desk.signs_in(&Browser::default(), "real", "ada")))["id"], json!(ada.id));
}

fn tabs_that_come_back_at_once_all_come_in(app: &TestApp) {
    let (lab, admin) = (app.lab("ALS Lab"), app.administrator("Admin"));
    let code = admin.get(&format!("/v1/organizations/{lab}")).expect(200).body["code"].as_str().unwrap().to_owned();
    let Some((desk, mut real)) = desk_with_provider(app, &managed(&code), "real") else { return };
    for groups in [&["als"][..], &["trials"], &["als", "trials"], &["ghosts"], &["als"]] {
        real.knows(&json!({ "nia": account("nia@example.org", true, groups) }));
        let replies = come_back_at_once(&desk, &["nia"; 6]);
        assert!(replies.iter().all(|reply| reply.status == 200), "{:?}", tally(&replies));
    }
}

/// Signs in as each of these at the provider, and then sends all of them back at the same moment.
fn come_back_at_once(desk: &Desk, logins: &[&str]) -> Vec<Reply> {
    let tabs: Vec<_> = logins
        .iter()
        .map(|login| {
            let browser = Browser::default();
            let back = browser.authenticates(&desk.start("real"), login).url;
            (browser, back)
        })
        .collect();
    let job =
        |(browser, back): (Browser, String)| Box::new(move || browser.get(&back)) as Box<dyn FnOnce() -> Reply + Send>;
    at_once(tabs.into_iter().map(job).collect())
}

fn two_subjects_of_one_address_are_not_one_person(app: &TestApp) {
    let Some((desk, mut real)) = desk_with_provider(app, JUST_IN_TIME, "real") else { return };
    for n in 0..5 {
        let ada = app.scientist(&format!("Ada {n}"), app.lab(&format!("Lab {n}")));
        let (one, other) = (format!("one-{n}"), format!("other-{n}"));
        let same = account(&ada.email, true, &[]);
        real.knows(&json!({ one.as_str(): same.clone(), other.as_str(): same }));
        let mut replies = come_back_at_once(&desk, &[&one, &other]);
        replies.sort_by_key(|reply| reply.status);
        refused(replies.pop().unwrap(), "not_admitted");
        assert_eq!(me(&desk.holder(&replies[0]))["id"], json!(ada.id));
    }
    // Whatever came in between, the database has it so.
    let (ada, at) = (app.scientist("Ada", app.lab("Lab")), app.app.clock.now());
    let link = |subject: &'static str| {
        app.wait(app.app.db.write(move |conn| oidc::store::link(conn, "https://a.example.org", subject, ada.id, at)))
    };
    link("one").unwrap();
    assert!(link("other").unwrap_err().is_unique_violation());
}

fn who_is_disabled_stays_out(app: &TestApp) {
    let Some((desk, mut real)) = desk_with_provider(app, JUST_IN_TIME, "real") else { return };
    let admin = app.administrator("Admin");
    let gone = app.person("Gone Already", &[Role::Scientist], &[]);
    real.knows(&json!({
        "nia": account("nia@example.org", true, &[]),
        "gone": account(&gone.email, true, &[]),
    }));
    let browser = Browser::default();
    let nia = desk.holder(&desk.signs_in(&browser, "real", "nia"));
    let who = me(&nia);
    let disable = |path: &str, version: i64| {
        admin.versioned("POST", &format!("{path}/disable"), version, json!({ "reason": "Left" })).expect(200);
    };
    let (path, version) = person(&desk, &admin, &who);
    disable(&path, version);
    nia.get("/v1/me").refused(401, "unauthenticated");
    refused(desk.signs_in(&browser, "real", "nia"), "not_admitted");
    disable(&format!("/v1/people/{}", gone.id), 1);
    refused(desk.signs_in(&Browser::default(), "real", "gone"), "not_admitted");
}
