//! A provider that fails, changes its keys, is asked too much, or lies.
use super::{
    browser::Browser,
    desk::{Desk, issuers},
    fake::{Fake, fresh_key, signed},
    me, refused,
};
use crate::support::{Actor, TestApp, on_both_engines};
use benchside::{app::Clock, auth::oidc::cache::STALE_SECONDS, db::columns::Time};
use oauth2::url::Url;
use serde_json::{Value, json};
use std::collections::HashMap;

on_both_engines!(
    unknown_keys_cost_one_fetch_in_thirty_seconds,
    a_provider_that_is_away_is_believed_for_a_while,
    what_a_provider_cannot_prove_is_not_believed,
    to_sign_the_authentication_must_be_fresh,
    userinfo_completes_the_id_token,
);

const TEXT: &str = r#"
[[issuer]]
name = "fake"
issuer = "ISSUER"
client_id = "benchside"
audience = "https://benchside.test"
allow_people = "just_in_time"
"#;

/// A desk that believes a provider, and a clock that stands until it is moved.
struct Scene {
    desk: Desk,
    fake: Fake,
    clock: Clock,
    begun: Time,
}

impl Scene {
    fn new(app: &TestApp) -> Self {
        let (fake, begun) = (Fake::start(), app.app.clock.now());
        let clock = Clock::standing_at(begun);
        let desk = Desk::open(app, clock.clone(), |_| issuers(TEXT, &fake.issuer));
        Self { desk, fake, clock, begun }
    }
    fn after(&self, seconds: i64) {
        self.clock.set(self.begun.plus_seconds(seconds));
    }
    fn claims(&self, changes: &Value) -> Value {
        let now = self.clock.now().utc().timestamp();
        let mut claims = json!({
            "iss": self.fake.issuer, "aud": "https://benchside.test", "sub": "nia", "iat": now, "exp": now + 900,
            "email": "nia@example.org", "email_verified": true,
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }
    fn bearer(&self, kid: &str) -> Actor {
        self.desk.bearer(&self.fake.signs("at+jwt", kid, &self.claims(&json!({}))))
    }
    fn stranger(&self, kid: &str) -> Actor {
        self.desk.bearer(&signed(&fresh_key(), "at+jwt", kid, &self.claims(&json!({}))))
    }

    /// Begins a sign-in, has the provider answer with these claims, and comes back.
    fn comes_back(&self, start: &str, claims: impl Fn(&str) -> Value) -> crate::support::Reply {
        let browser = Browser::default();
        let location = browser.get(start).expect(302).location.unwrap();
        let sent: HashMap<String, String> = Url::parse(&location).unwrap().query_pairs().into_owned().collect();
        let claims = claims(&sent["nonce"]);
        self.fake.answers(json!({
            "access_token": "opaque", "token_type": "Bearer", "id_token": self.fake.signs("JWT", "first", &claims),
        }));
        browser.get(&format!("{}/v1/auth/oidc/fake/callback?code=c&state={}", self.desk.base, sent["state"]))
    }
    fn identity(&self, nonce: &str, changes: &Value) -> Value {
        let mut claims = self.claims(&json!({ "aud": "benchside", "nonce": nonce }));
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }
}

fn unknown_keys_cost_one_fetch_in_thirty_seconds(app: &TestApp) {
    let scene = Scene::new(app);
    scene.bearer("first").get("/v1/me").expect(200);
    assert_eq!((scene.fake.asked("/.well-known/openid-configuration"), scene.fake.asked("/keys")), (1, 1));

    // Fifty at once, again and again, each with a key of another name.
    let flood = |round: usize| {
        std::thread::scope(|scope| {
            for n in 0..50 {
                let stranger = scene.stranger(&format!("unknown-{round}-{n}"));
                scope.spawn(move || stranger.get("/v1/me").refused(401, "unauthenticated"));
            }
        });
    };
    for second in [1, 10, 29] {
        scene.after(second);
        flood(1);
    }
    assert_eq!(scene.fake.asked("/keys"), 1, "the keys were fetched less than thirty seconds ago");
    scene.after(31);
    flood(2);
    flood(3);
    assert_eq!(scene.fake.asked("/keys"), 2);

    // A key that is new is known after at most thirty seconds, in spite of the flood; one that was withdrawn is gone.
    scene.fake.publishes(&["first", "second"]);
    scene.bearer("second").get("/v1/me").refused(401, "unauthenticated");
    scene.after(62);
    scene.bearer("second").get("/v1/me").expect(200);
    let withdrawn = scene.bearer("first");
    withdrawn.get("/v1/me").expect(200);
    scene.fake.publishes(&["second"]);
    scene.after(93);
    flood(4);
    withdrawn.get("/v1/me").refused(401, "unauthenticated");
    scene.bearer("second").get("/v1/me").expect(200);
    assert_eq!((scene.fake.asked("/.well-known/openid-configuration"), scene.fake.asked("/keys")), (1, 4));
}

fn a_provider_that_is_away_is_believed_for_a_while(app: &TestApp) {
    let scene = Scene::new(app);
    scene.fake.is_down(true);
    scene.bearer("first").get("/v1/me").refused(401, "unauthenticated");
    scene.desk.bearer("").get("/v1/auth/oidc/fake/start").refused(503, "overloaded");
    scene.after(10);
    scene.fake.is_down(false);
    scene.bearer("first").get("/v1/me").refused(401, "unauthenticated");
    scene.after(31);
    scene.bearer("first").get("/v1/me").expect(200);

    scene.fake.is_down(true);
    for hours in [1, 2, 24] {
        scene.after(hours * 3600 + 60);
        scene.bearer("first").get("/v1/me").expect(200);
    }
    scene.after(STALE_SECONDS + 3600 + 60);
    scene.bearer("first").get("/v1/me").refused(401, "unauthenticated");
    scene.fake.is_down(false);
    scene.after(STALE_SECONDS + 3600 + 120);
    scene.bearer("first").get("/v1/me").expect(200);
}

fn what_a_provider_cannot_prove_is_not_believed(app: &TestApp) {
    let scene = Scene::new(app);
    let start = scene.desk.start("fake");
    let now = scene.begun.utc().timestamp();
    for lie in [
        json!({ "nonce": "another" }),
        json!({ "iss": "https://evil.example.org" }),
        json!({ "aud": "another" }),
        json!({ "aud": ["benchside", "another"] }),
        json!({ "azp": "another" }),
        json!({ "exp": now }),
        json!({ "iat": now + 3600, "exp": now + 7200 }),
        json!({ "sub": null }),
    ] {
        refused(scene.comes_back(&start, |nonce| scene.identity(nonce, &lie)), "untrusted");
    }
    for unwelcome in [json!({ "email_verified": false }), json!({ "email": "none" })] {
        refused(scene.comes_back(&start, |nonce| scene.identity(nonce, &unwelcome)), "not_admitted");
    }
    let good = scene.comes_back(&start, |nonce| scene.identity(nonce, &json!({})));
    assert_eq!(me(&scene.desk.holder(&good))["email"], "nia@example.org");

    // A sign-in that takes too long is over; a token answer that is none is not believed; one that never comes neither.
    let late = scene.comes_back(&start, |nonce| {
        scene.after(601);
        scene.identity(nonce, &json!({}))
    });
    refused(late, "unknown_login");
    let browser = Browser::default();
    for (is_down, answer, reason) in [
        (false, json!({ "access_token": "a", "token_type": "Bearer" }), "untrusted"),
        (false, json!({ "access_token": "a", "token_type": "Bearer", "id_token": "a.b.c" }), "untrusted"),
        (true, json!({}), "provider_unavailable"),
    ] {
        let location = browser.get(&start).expect(302).location.unwrap();
        let sent: HashMap<String, String> = Url::parse(&location).unwrap().query_pairs().into_owned().collect();
        scene.fake.answers(answer);
        scene.fake.is_down(is_down);
        let back = format!("{}/v1/auth/oidc/fake/callback?code=c&state={}", scene.desk.base, sent["state"]);
        refused(browser.get(&back), reason);
        scene.fake.is_down(false);
    }
}

fn to_sign_the_authentication_must_be_fresh(app: &TestApp) {
    let scene = Scene::new(app);
    let (lab, admin) = (app.lab("Lab"), app.administrator("Admin"));
    let signed_in = scene.comes_back(&scene.desk.start("fake"), |nonce| scene.identity(nonce, &json!({})));
    let nia = scene.desk.holder(&signed_in);
    let path = format!("/v1/people/{}", me(&nia)["id"].as_str().unwrap());
    admin.patch(&path, 1, json!({ "roles": ["scientist"] })).expect(200);
    admin.put(&format!("{path}/memberships"), 2, json!({ "data": [{ "organization_id": lab }] })).expect(200);
    let new = json!({ "title": "Seen", "modality": "device", "lab_id": lab });
    let discovery = nia.post("/v1/discoveries", new).expect(201);
    let asked = json!({
        "record": { "kind": "discovery", "id": discovery.id() }, "version": 1, "meaning": "discontinuation",
        "transition": { "to": "discontinued", "stop_reason": "negative", "reason": "No effect" },
    });
    let issued = nia.post("/v1/signatures/challenges", asked).expect(201).body;
    let start = format!("{}{}", scene.desk.base, issued["authentication"]["start"].as_str().unwrap());
    let now = scene.clock.now().utc().timestamp();
    for stale in [json!({}), json!({ "auth_time": now - 1 }), json!({ "auth_time": now.to_string() })] {
        refused(scene.comes_back(&start, |nonce| scene.identity(nonce, &stale)), "not_fresh");
    }
    scene.comes_back(&start, |nonce| scene.identity(nonce, &json!({ "auth_time": now }))).expect(204);
    scene.after(301);
    Browser::default().get(&start).refused(404, "not_found");
}

fn userinfo_completes_the_id_token(app: &TestApp) {
    let scene = Scene::new(app);
    let bare = |nonce: &str| {
        let mut claims = scene.identity(nonce, &json!({}));
        claims.as_object_mut().unwrap().remove("email");
        claims
    };
    let start = scene.desk.start("fake");
    scene.fake.tells(json!({ "sub": "another", "email": "nia@example.org", "email_verified": true }));
    refused(scene.comes_back(&start, bare), "untrusted");
    scene.fake.tells(json!({ "sub": "nia", "email": "nia@example.org" }));
    let nia = scene.desk.holder(&scene.comes_back(&start, bare));
    assert_eq!(me(&nia)["email"], "nia@example.org");
    let asked = scene.fake.asked("/userinfo");
    scene.comes_back(&start, |nonce| scene.identity(nonce, &json!({}))).expect(200);
    assert_eq!(scene.fake.asked("/userinfo"), asked, "nothing was missing");
}
