//! Access tokens that a real provider issued for the service.
use super::{
    JUST_IN_TIME, account,
    browser::Browser,
    desk::{Real, desk_with_provider},
    me,
};
use crate::support::{Actor, TestApp, on_both_engines};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use oauth2::{HttpRequest, HttpResponse, url::form_urlencoded};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

on_both_engines!(an_access_token_for_us_is_enough_and_no_other_token_is);

const VERIFIER: &str = "a-verifier-that-is-long-enough-for-the-provider";

/// What a program gets that has somebody sign in for it at the provider, and asks for a token for `audience`.
fn tokens_of(real: &Real, login: &str, audience: &str) -> Value {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let asked = form(&[
        ("client_id", "program"),
        ("response_type", "code"),
        ("redirect_uri", "http://127.0.0.1:1/callback"),
        ("scope", "openid email api"),
        ("resource", audience),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    let back = Browser::default().authenticates(&format!("{}/auth?{asked}", real.issuer), login).url;
    let code = back.split("code=").nth(1).unwrap_or_else(|| panic!("{back}")).split('&').next().unwrap().to_owned();
    let asked = form(&[
        ("client_id", "program"),
        ("grant_type", "authorization_code"),
        ("redirect_uri", "http://127.0.0.1:1/callback"),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ]);
    let request = HttpRequest::new(asked.into_bytes());
    let (mut parts, body) = request.into_parts();
    parts.method = oauth2::http::Method::POST;
    parts.uri = format!("{}/token", real.issuer).parse().unwrap();
    parts.headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    let request = HttpRequest::from_parts(parts, body);
    let answer: HttpResponse = benchside::auth::oidc::fetch::Fetcher::default().send(request).unwrap();
    let answer: Value = serde_json::from_slice(answer.body()).unwrap();
    assert!(answer["access_token"].is_string(), "{answer}");
    answer
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn an_access_token_for_us_is_enough_and_no_other_token_is(app: &TestApp) {
    let Some((desk, mut real)) = desk_with_provider(app, JUST_IN_TIME, "real") else { return };
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    real.knows(&json!({ "nia": account("nia@example.org", true, &[]), "ada": account(&ada.email, true, &[]) }));
    let with = |token: &Value| desk.bearer(token.as_str().unwrap());

    let newcomer = tokens_of(&real, "nia", "https://benchside.test");
    let nia = with(&newcomer["access_token"]);
    assert_eq!((&me(&nia)["email"], &me(&nia)["roles"]), (&json!("nia@example.org"), &json!([])));
    nia.get("/v1/discoveries").refused(403, "not_permitted");
    let issued = tokens_of(&real, "ada", "https://benchside.test");
    let bearer = with(&issued["access_token"]);
    assert_eq!(me(&bearer)["id"], json!(ada.id));
    bearer.get("/v1/discoveries").expect(200);

    // The same person by the code flow, and the other way round.
    let signed_in = desk.holder(&desk.signs_in(&Browser::default(), "real", "nia"));
    assert_eq!(me(&signed_in)["id"], me(&nia)["id"]);

    let (head, signature) = issued["access_token"].as_str().unwrap().rsplit_once('.').unwrap();
    let turned = format!("{head}.{}", signature.chars().rev().collect::<String>());
    let mut answers = Vec::new();
    for token in [
        issued["id_token"].as_str().unwrap(),
        tokens_of(&real, "ada", "https://another.test")["access_token"].as_str().unwrap(),
        &turned,
        &format!("{head}."),
    ] {
        let mut problem = desk.bearer(token).get("/v1/me").refused(401, "unauthenticated");
        problem.as_object_mut().unwrap().remove("request_id");
        answers.push(problem);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "nothing tells which check failed: {answers:#?}");
    // A node that is not told to believe the provider does not.
    Actor { base: app.base.clone(), ..bearer.clone() }.get("/v1/me").refused(401, "unauthenticated");

    // A token has no session: it signs nothing.
    let lab = me(&bearer)["organizations"][0]["id"].clone();
    let new = json!({ "title": "Seen", "modality": "device", "lab_id": lab });
    let discovery = bearer.post("/v1/discoveries", new).expect(201);
    let asked = json!({
        "record": { "kind": "discovery", "id": discovery.id() }, "version": 1, "meaning": "discontinuation",
        "transition": { "to": "discontinued", "stop_reason": "negative", "reason": "No effect" },
    });
    bearer.post("/v1/signatures/challenges", asked).refused(403, "not_permitted");

    // Nor does it change how anybody gets in, whoever it is of.
    let admin = app.administrator("Admin");
    real.knows(&json!({ "admin": account(&admin.email, true, &[]) }));
    let of_admin = with(&tokens_of(&real, "admin", "https://benchside.test")["access_token"]);
    let eve = json!({ "name": "Eve", "email": "eve@example.org", "roles": ["administrator"] });
    of_admin.post("/v1/people", eve).refused(403, "not_permitted");
    of_admin.post(&format!("/v1/people/{}/invitation", ada.id), json!({})).refused(403, "not_permitted");
    of_admin.patch(&format!("/v1/people/{}", ada.id), 1, json!({ "roles": ["auditor"] })).refused(403, "not_permitted");

    let path = format!("/v1/people/{}/disable", ada.id);
    admin.versioned("POST", &path, 1, json!({ "reason": "Left" })).expect(200);
    bearer.get("/v1/me").refused(401, "unauthenticated");
}
