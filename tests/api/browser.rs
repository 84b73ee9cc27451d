//! What browsers, and those who ask on their behalf, are told: other sites, plain HTTP, heads without bodies.
use crate::support::{Actor, Reply, TestApp, on_both_engines};
use benchside::{app::Clock, http::edge::Edge};

on_both_engines!(
    other_sites_are_told_nothing_by_default,
    sites_of_the_list_may_call_and_others_may_not,
    browsers_stay_on_https_where_it_is_used,
    a_head_is_an_answer_without_its_body,
);

const SITE: &str = "https://portal.example.org";

fn preflight(caller: &Actor, path: &str, origin: &str, method: &str, headers: &str) -> Reply {
    let asked =
        [("origin", origin), ("access-control-request-method", method), ("access-control-request-headers", headers)];
    caller.send("OPTIONS", path, &asked, None)
}

fn cors_headers(reply: &Reply) -> Vec<&str> {
    reply.headers.iter().map(|(name, _)| &**name).filter(|name| name.starts_with("access-control-")).collect()
}

fn other_sites_are_told_nothing_by_default(app: &TestApp) {
    let nobody = app.anonymous();
    let reply = preflight(&nobody, "/v1/discoveries", SITE, "POST", "authorization").expect(401);
    assert_eq!(cors_headers(&reply), [""; 0]);
    let reply = nobody.send("GET", "/openapi.json", &[("origin", SITE)], None).expect(200);
    assert_eq!(cors_headers(&reply), [""; 0]);
}

fn sites_of_the_list_may_call_and_others_may_not(app: &TestApp) {
    let cors_origins = vec![SITE.parse().unwrap(), "http://localhost:3000".parse().unwrap()];
    let ada = app.scientist("Ada", app.lab("A lab"));
    let clock = Clock::standing_at(app.app.clock.now());
    let node = app.node(Edge { cors_origins, rate_limit: 1, ..Edge::default() }, clock);
    let (nobody, ada) = (app.anonymous().at(&node), ada.at(&node));
    // No token is needed to be told what may be asked.
    let wanted = "authorization,content-type,if-match,if-none-match,idempotency-key,x-request-id";
    for (origin, method) in [(SITE, "PATCH"), (SITE, "POST"), ("http://localhost:3000", "DELETE")] {
        let reply = preflight(&nobody, "/v1/discoveries/D-1", origin, method, wanted).expect(200);
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
        let allowed = reply.header("access-control-allow-headers").unwrap().to_lowercase();
        assert!(wanted.split(',').all(|name| allowed.contains(name)), "{allowed}");
        assert!(reply.header("access-control-allow-methods").unwrap().contains(method));
        assert_eq!(reply.header("access-control-allow-credentials"), None);
    }
    for (origin, method, headers) in [
        ("https://evil.example.org", "POST", "authorization"),
        ("https://portal.example.org.evil.org", "POST", "authorization"),
        ("http://portal.example.org", "POST", "authorization"),
        ("null", "POST", "authorization"),
        (SITE, "TRACE", "authorization"),
        (SITE, "POST", "x-other"),
    ] {
        let reply = preflight(&nobody, "/v1/discoveries", origin, method, headers);
        assert_eq!(cors_headers(&reply), [""; 0], "{origin} {method} {headers}");
        reply.refused(400, "malformed");
    }
    // Answers are readable there, refusals included, with the headers that an integrator needs.
    let from = |caller: &Actor, origin: &str| caller.send("GET", "/v1/me", &[("origin", origin)], None);
    let reply = from(&ada, SITE).expect(200);
    assert_eq!(reply.header("access-control-allow-origin"), Some(SITE));
    assert!(reply.header("vary").unwrap().to_lowercase().contains("origin"));
    let exposed = reply.header("access-control-expose-headers").unwrap().to_lowercase();
    for name in ["etag", "location", "link", "x-request-id", "retry-after", "ratelimit", "ratelimit-policy"] {
        assert!(exposed.split(", ").any(|given| given == name), "{name}: {exposed}");
    }
    let reply = from(&nobody, SITE).expect(401);
    assert_eq!(reply.header("access-control-allow-origin"), Some(SITE));
    let reply = (0..20).map(|_| from(&ada, SITE)).find(|reply| reply.status == 429).unwrap();
    assert_eq!(reply.header("access-control-allow-origin"), Some(SITE));
    assert_eq!(from(&nobody, "https://evil.example.org").header("access-control-allow-origin"), None);
}

fn browsers_stay_on_https_where_it_is_used(app: &TestApp) {
    let strict = |edge: Edge, headers: &[(&str, &str)]| {
        let node = app.node(edge, Clock::system());
        let reply = app.anonymous().at(&node).send("GET", "/v1/me", headers, None).expect(401);
        reply.header("strict-transport-security").map(str::to_owned)
    };
    let two_years = Some("max-age=63072000".to_owned());
    let public = |url: &str| Edge { public_url: Some(url.parse().unwrap()), ..Edge::default() };
    assert_eq!(strict(public("https://bench.example.org"), &[]), two_years);
    assert_eq!(strict(public("http://bench.example.org"), &[]), None);
    let behind = Edge { trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()], ..Edge::default() };
    assert_eq!(strict(behind.clone(), &[("x-forwarded-proto", "https")]), two_years);
    assert_eq!(strict(behind, &[("x-forwarded-proto", "http")]), None);
    assert_eq!(strict(Edge::default(), &[("x-forwarded-proto", "https")]), None, "a client is not believed");
}

fn a_head_is_an_answer_without_its_body(app: &TestApp) {
    let lab = app.lab("A lab");
    let ada = app.scientist("Ada", lab);
    let new = serde_json::json!({ "title": "One", "summary": "s", "modality": "device", "lab_id": lab });
    let path = ada.post("/v1/discoveries", new).expect(201).location.unwrap();
    for path in [&*path, "/v1/discoveries", "/v1/me", "/health/live", "/openapi.json", "/docs/"] {
        let (get, head) = (ada.get(path).expect(200), ada.send("HEAD", path, &[], None).expect(200));
        assert_eq!(head.body, "", "{path}");
        for name in ["etag", "content-type", "content-length", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
    }
    ada.send("HEAD", "/v1/discoveries/D-999", &[], None).expect(404);
    ada.send("HEAD", "/v1/discoveries?typo=1", &[], None).expect(400);
    app.anonymous().send("HEAD", "/v1/me", &[], None).expect(401);
    let reply = ada.send("HEAD", "/v1/auth/login", &[], None).expect(405);
    assert_eq!(reply.header("allow"), Some("POST"));
    assert_eq!(reply.body, "");
}
