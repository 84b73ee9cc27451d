//! What an operation answers with and what its caller takes: where nothing suits, nothing is done, on both engines.
use crate::support::{Actor, Reply, TestApp, on_both_engines};
use serde_json::{Value, json};

on_both_engines!(
    what_suits_nobody_is_refused_before_anything_is_done,
    what_suits_is_answered,
    no_coding_at_all_is_none,
    a_problem_repeats_so_much_of_a_path,
);

fn accepting(who: &Actor, method: &str, path: &str, accept: &str) -> Reply {
    who.send(method, path, &[("accept", accept)], None)
}

fn what_suits_nobody_is_refused_before_anything_is_done(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let (mut strict, mut others) = (0, 0);
    for (path, item) in benchside::api::document()["paths"].as_object().unwrap() {
        let filled =
            path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect::<Vec<_>>().join("/");
        for (method, operation) in item.as_object().unwrap() {
            let is_open = operation["security"] == json!([{}]);
            let who = if is_open { app.anonymous() } else { ada.clone() };
            if operation["responses"].get("406").is_none() {
                others += 1;
                let answers = |response: &Value| response.get("content").is_some();
                let good = ["200", "201"].map(|status| operation["responses"].get(status).is_some_and(answers));
                assert!(!path.starts_with("/v1/") || good == [false, false], "{method} {path} does not say 406");
                continue;
            }
            strict += 1;
            for accept in ["text/html", "application/xml, image/*", "*/*;q=0"] {
                let refused = accepting(&who, &method.to_uppercase(), &filled, accept);
                assert_eq!(refused.status, 406, "{method} {path} for {accept}: {:#}", refused.body);
                refused.refused(406, "not_acceptable");
            }
            if !is_open {
                accepting(&app.anonymous(), &method.to_uppercase(), &filled, "text/html")
                    .refused(401, "unauthenticated");
            }
        }
    }
    assert!(strict > 80 && others > 5, "{strict} operations refuse, {others} do not");

    assert_eq!(accepting(&ada, "HEAD", "/v1/me", "text/html").status, 406);
    let new = json!({ "title": "A", "modality": "vaccine", "lab_id": lab }).to_string();
    let headers = [("content-type", "application/json"), ("accept", "text/html")];
    ada.send("POST", "/v1/discoveries", &headers, Some(new.as_bytes())).refused(406, "not_acceptable");
    assert_eq!(ada.get("/v1/discoveries?count=true").expect(200).body["total"], 0, "nothing was done");
}

fn what_suits_is_answered(app: &TestApp) {
    let (ada, auditor) = (app.scientist("Ada Okafor", app.lab("Lab")), app.auditor("Auditor"));
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for accept in [
        "*/*",
        "application/*",
        "application/json",
        "application/problem+json",
        "text/html, application/json;q=0.1",
        "application/json; charset=utf-8",
        browser,
        "", // says nothing, as what cannot be read does
        "json",
    ] {
        let reply = accepting(&ada, "GET", "/v1/me", accept);
        assert_eq!(reply.status, 200, "{accept}: {:#}", reply.body);
    }
    accepting(&ada, "GET", "/v1/me", "application/json;q=0").refused(406, "not_acceptable");

    // Two operations answer with something else than JSON.
    for (path, media) in [
        ("/v1/ledger/checkpoint", "text/plain"),
        ("/v1/ledger/tile/0/000.p/1", "application/octet-stream"),
        ("/v1/ledger/tile/0/x001/000", "application/octet-stream"),
    ] {
        let (kind, _) = media.split_once('/').unwrap();
        for accept in [media.to_owned(), format!("{kind}/*"), browser.into()] {
            assert_ne!(accepting(&auditor, "GET", path, &accept).status, 406, "{path} for {accept}");
        }
        accepting(&auditor, "GET", path, "application/json").refused(406, "not_acceptable");
    }
    for path in ["/health/live", "/metrics", "/openapi.json", "/.well-known/jwks.json", "/docs/"] {
        accepting(&app.anonymous(), "GET", path, "image/png").expect(200);
    }
}

fn no_coding_at_all_is_none(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    for codings in ["identity;q=0", "*;q=0", "gzip;q=0, identity; q=0"] {
        let asked = |who: &Actor| who.send("GET", "/v1/me", &[("accept-encoding", codings)], None);
        asked(&app.anonymous()).refused(401, "unauthenticated");
        asked(&ada).expect(200);
    }
}

fn a_problem_repeats_so_much_of_a_path(app: &TestApp) {
    let ada = app.scientist("Ada Okafor", app.lab("Lab"));
    let path = format!("/v1/discoveries/{}", "x".repeat(5000));
    let problem = ada.get(&path).refused(404, "not_found");
    assert_eq!(problem["instance"], path[..2000]);
}
