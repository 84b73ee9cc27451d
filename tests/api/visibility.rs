//! What somebody may not see does not exist: a world with every kind of record, some of each hidden from a partner, and
//! everything that the partner can read searched for what is hidden.
use crate::support::{
    Actor, Reply, TestApp, on_both_engines,
    world::{KINDS, World, told, world},
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

on_both_engines!(
    a_partner_finds_nothing_hidden,
    hidden_is_like_never_issued,
    lists_hold_exactly_what_can_be_read,
    drafts_and_embargoes,
    sharing_and_pairing_grant_sight_and_ending_takes_it,
    rerouting_ends_the_old_labs_sight,
    partners_are_not_told_what_was_found_before_the_trial_was_open_to_them,
    a_hidden_link_is_left_out_and_kept,
);

/// Something that must not be read.
struct Secret {
    what: String,
    text: String,
}

/// What must not be found: ids, codes and titles of what is hidden.
fn secrets(w: &World) -> Vec<Secret> {
    let hidden = w.records.iter().filter(|r| !r.visible);
    let mut secrets: Vec<Secret> = hidden
        .flat_map(|r| [(r, "id", &r.id), (r, "code", &r.code), (r, "title", &r.mark)])
        .map(|(r, what, text)| Secret { what: format!("{what} of a hidden one of {}", r.kind), text: text.clone() })
        .collect();
    secrets.extend(w.former.iter().map(|text| Secret { what: "words of a hidden version".into(), text: text.clone() }));
    secrets
}

/// Which secrets occur in a text: whole words, so that `D-1` is not found in `D-17`.
fn leaks<'a>(text: &str, secrets: &'a [Secret]) -> Vec<&'a Secret> {
    let word = |c: char| c.is_alphanumeric() || c == '-';
    let occurs = |secret: &str| {
        text.match_indices(secret).any(|(at, found)| {
            let before = text[..at].chars().next_back();
            let after = text[at + found.len()..].chars().next();
            !before.is_some_and(word) && !after.is_some_and(word)
        })
    };
    secrets.iter().filter(|secret| occurs(&secret.text)).collect()
}

#[track_caller]
fn keeps_silent(path: &str, reply: &Reply, secrets: &[Secret]) {
    let text = told(reply);
    let found: Vec<_> = leaks(&text, secrets).iter().map(|s| format!("{}: {}", s.what, s.text)).collect();
    assert!(found.is_empty(), "GET {path} tells {found:#?} in\n{:#}", reply.body);
}

#[test]
fn a_planted_leak_is_found() {
    let secret = |what: &str, text: &str| Secret { what: what.into(), text: text.into() };
    let id = "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55";
    let secrets = [secret("id", id), secret("code", "D-17"), secret("title", "About zz-secret-newt")];
    let found = |body: Value| {
        let reply =
            Reply { status: 200, text: body.to_string(), body, etag: None, location: None, headers: Vec::new() };
        leaks(&told(&reply), &secrets).into_iter().map(|s| s.what.clone()).collect::<Vec<_>>()
    };
    assert_eq!(found(json!({ "data": [{ "id": id }] })), ["id"]);
    assert_eq!(found(json!({ "detail": format!("there is no {id}.") })), ["id"]);
    assert_eq!(found(json!({ "links": { "self": format!("/v1/discoveries/{id}") } })), ["id"]);
    assert_eq!(found(json!({ "x": { "code": "D-17" } })), ["code"]);
    assert_eq!(found(json!({ "reason": "as in D-17, later" })), ["code"]);
    assert_eq!(found(json!({ "changes": [{ "before": "About zz-secret-newt" }] })), ["title"]);
    assert_eq!(found(json!({ "a": id, "b": "D-17", "c": "About zz-secret-newt" })), ["id", "code", "title"]);
    assert!(found(json!({ "code": "D-1", "other": ["D-171", "ND-17", "D-17-2"] })).is_empty());
    // What the asker sent comes back in `instance`, and only there may it.
    assert!(found(json!({ "instance": format!("/v1/discoveries/{id}") })).is_empty());
    let header = Reply {
        status: 200,
        text: String::new(),
        body: json!(null),
        etag: None,
        location: None,
        headers: vec![("location".into(), "/v1/discoveries/D-17".into())],
    };
    assert_eq!(leaks(&told(&header), &secrets).len(), 1, "headers are searched too");
}

/// Every GET operation behind the door, as its path and its query parameters.
pub fn readable() -> Vec<(String, Vec<Value>)> {
    let paths = benchside::api::document()["paths"].as_object().unwrap();
    let guarded = paths.iter().filter(|(path, item)| path.starts_with("/v1") && item.get("get").is_some());
    guarded
        .map(|(path, item)| {
            let parameters = item["get"]["parameters"].as_array().cloned().unwrap_or_default();
            (path.clone(), parameters.into_iter().filter(|p| p["in"] == "query").collect())
        })
        .collect()
}

/// Values worth trying for a filter: those of its vocabulary, every id there is, every word that might betray something.
pub fn tries(w: &World, parameter: &Value) -> Vec<String> {
    let name = parameter["name"].as_str().unwrap();
    let schema = parameter["schema"].get("items").unwrap_or(&parameter["schema"]);
    let schema = match schema["$ref"].as_str().and_then(|r| r.strip_prefix('#')) {
        Some(pointer) => benchside::api::document().pointer(pointer).unwrap(),
        None => schema,
    };
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(|v| v.as_str().unwrap().to_owned()).collect();
    }
    let ids = |kind: &str| w.records.iter().filter(|r| r.kind == kind).map(|r| r.id.clone()).collect::<Vec<_>>();
    let people = || [&w.ada, &w.kim, &w.pat, &w.rival].map(|p| p.id.to_string()).to_vec();
    let organizations = || vec![w.labs[0].to_string(), w.clinic.to_string(), w.sponsor.to_string()];
    match name {
        "limit" => vec!["1".into(), "200".into()],
        "after" => vec!["1-0".into(), "1-9".into()],
        "cursor" | "sort" | "count" | "fields" => Vec::new(),
        "q" => {
            let words = w.records.iter().filter(|r| KINDS.contains(&r.kind)).map(|r| r.mark.clone());
            words.chain(["zz-former-title".into(), "about".into()]).collect()
        }
        "stage" => ["logged", "validated"].map(str::to_owned).to_vec(),
        "state" => {
            ["draft", "signed", "submitted", "resolved", "accepted", "ended", "proposed"].map(str::to_owned).to_vec()
        }
        "lifecycle" => vec!["translational@1".into()],
        "condition" => vec!["D000690".into(), "Amyotrophic".into()],
        "generation" => vec!["1".into()],
        "nct_id" => vec!["NCT00000001".into()],
        "ror" => vec!["02mhbdp94".into()],
        "as_of" => moments(w),
        "person_id" => people(),
        "updated_after" | "from" => vec!["2020-01-01T00:00:00Z".into()],
        "to" => vec!["2098-01-01T00:00:00Z".into()],
        "overdue" | "unexpected" | "accepting_work" => vec!["true".into(), "false".into()],
        "discovery_id" => ids("discoveries"),
        "trial_id" => ids("trials"),
        "finding_id" => ids("findings"),
        "owner_id" | "assignee_id" | "clinician_id" | "to_person_id" | "from_person_id" => people(),
        "lab_id" | "clinic_id" | "organization_id" | "parent_id" => organizations(),
        other => panic!("say what to try for the parameter {other}"),
    }
}

/// The moments at which records came about or changed, and now.
fn moments(w: &World) -> Vec<String> {
    let recorded = w.admin.get("/v1/history?limit=200&fields=recorded_at").expect(200).body;
    let at = |event: &Value| event["recorded_at"].as_str().unwrap().to_owned();
    let all: Vec<String> = recorded["data"].as_array().unwrap().iter().map(at).collect();
    all.into_iter().step_by(20).collect()
}

pub fn encoded(text: &str) -> String {
    text.replace('@', "%40").replace(' ', "%20")
}

fn a_partner_finds_nothing_hidden(app: &TestApp) {
    let w = world(app);
    let secrets = secrets(&w);
    crate::past::settles(app, app.app.clock.now());
    // Each secret is one: an administrator does read it, and there the search finds it.
    let everything = KINDS.map(|k| w.admin.get(&format!("/v1/{k}?limit=200")).expect(200).body.to_string()).join("\n");
    for record in w.records.iter().filter(|r| KINDS.contains(&r.kind)) {
        for text in [&record.id, &record.code, &record.mark] {
            let planted = [Secret { what: record.kind.into(), text: text.clone() }];
            assert_eq!(leaks(&everything, &planted).len(), 1, "no administrator finds {text} of {record:?}");
        }
    }
    // What the partner follows goes on, where they see it and where they do not.
    for body in [json!({ "lab_id": w.labs[0] }), json!({ "condition": { "mesh": "D000690" } })] {
        w.pat.post("/v1/me/subscriptions", body).expect(201);
    }
    for mark in ["amberfish", "zz-internal-crow", "zz-secret-newt", "zz-embargoed-mole"] {
        let id = &w.records.iter().find(|r| r.mark == mark).unwrap().id;
        w.patch(&w.ada, &format!("/v1/discoveries/{id}"), json!({ "trl": 3 }));
    }
    crate::ledger::settled(app);
    let told = w.pat.get("/v1/me/notifications").expect(200).body;
    assert_eq!((told["data"].as_array().unwrap().len(), &told["unread"]), (1, &json!(1)), "amberfish and no other");
    let (mut asked, mut operations) = (0, 0);
    let mut ask = |path: &str| {
        asked += 1;
        let reply = w.pat.get(path);
        keeps_silent(path, &reply, &secrets);
        reply
    };
    for (template, parameters) in readable() {
        operations += 1;
        let segments: Vec<_> = template.split('/').collect();
        let collection = segments[2];
        if template.contains("/lifecycles/") {
            ask(&template.replace("{name}", "translational").replace("{version}", "1").replace("{id}", "L-1"));
            continue;
        }
        if template.contains("{issuer}") {
            ask(&template.replace("{issuer}", "nobody")).expect(404); // no provider is configured here
            continue;
        }
        if template == "/v1/ledger/consistency" {
            ask(&format!("{template}?from=1")).expect(200);
            continue;
        }
        if template.contains("/ledger/tile/") {
            ask(&template.replace("{level}", "entries").replace("{number}", "000.p/1")).expect(403);
            continue;
        }
        if template.contains("{index}") {
            // Hidden or not: what comes back names nothing hidden.
            let size = w.admin.get("/v1/ledger/checkpoint").expect(200).body;
            let size: u64 = size.as_str().unwrap().lines().nth(1).unwrap().parse().unwrap();
            let answers = (0..size).map(|index| ask(&template.replace("{index}", &index.to_string())).status);
            let shown = answers.filter(|status| *status == 200).count();
            assert!(shown > 10, "only {shown} events are shown");
            continue;
        }
        if template == "/v1/authority/explain" {
            ask(&template).expect(403); // for administrators, whose answers the matrix looks at
            continue;
        }
        if !template.contains("{id}") {
            let reply = ask(&template).expect(200);
            let counts = parameters.iter().any(|p| p["name"] == "count");
            if counts {
                let page = ask(&format!("{template}?count=true&limit=200")).expect(200);
                let rows = page.body["data"].as_array().unwrap();
                assert_eq!(page.body["total"], rows.len(), "{template}: the total counts what is shown");
                if KINDS.contains(&collection) {
                    let shown: BTreeSet<_> = rows.iter().map(|r| r["id"].as_str().unwrap()).collect();
                    let visible: BTreeSet<_> = w.of(collection, true).map(|r| &*r.id).collect();
                    assert_eq!(shown, visible, "{template}");
                }
            }
            for parameter in &parameters {
                for value in tries(&w, parameter) {
                    let name = parameter["name"].as_str().unwrap();
                    let path = format!("{template}?{name}={}", encoded(&value));
                    let reply = ask(&format!("{path}{}", if counts { "&count=true" } else { "" }));
                    if counts && reply.status == 200 && name != "limit" {
                        let rows = reply.body["data"].as_array().unwrap().len();
                        assert_eq!(reply.body["total"], rows, "{path}: the total counts what is shown");
                    }
                }
            }
            drop(reply);
            continue;
        }
        if ["people", "organizations"].contains(&collection) {
            let ids = match collection {
                "people" => [&w.ada, &w.kim, &w.pat, &w.rival, &w.admin].map(|p| p.id.to_string()).to_vec(),
                _ => vec![w.labs[0].to_string(), w.clinic.to_string(), w.sponsor.to_string()],
            };
            ids.iter().for_each(|id| drop(ask(&template.replace("{id}", id)).expect(200)));
            continue;
        }
        for record in w.records.iter().filter(|r| r.kind == collection) {
            for name in [&record.id, &record.code] {
                let path = template.replace("{id}", name);
                let reply = ask(&path);
                assert_eq!(reply.status, if record.visible { 200 } else { 404 }, "{path} of {record:?}");
                if record.visible {
                    // Every page of it too, and every error it can make.
                    if parameters.iter().any(|p| p["name"] == "as_of") {
                        moments(&w).iter().for_each(|at| drop(ask(&format!("{path}?as_of={at}"))));
                    }
                    if parameters.iter().any(|p| p["name"] == "limit") {
                        ask(&format!("{path}?limit=1")).expect(200);
                        ask(&format!("{path}?count=true&limit=200")).expect(200);
                    }
                    ask(&format!("{path}?no_such=1")).expect(400);
                }
            }
        }
    }
    assert!(operations >= 35 && asked > 500, "{operations} operations, {asked} requests: that was no walk");

    // The figures count what is visible.
    let overview = w.pat.get("/v1/pipeline/overview").expect(200);
    let mut live: BTreeMap<String, u64> = BTreeMap::new();
    for row in overview.body["stages"].as_array().unwrap() {
        *live.entry(row["kind"].as_str().unwrap().to_owned()).or_default() += row["live"].as_u64().unwrap();
    }
    assert_eq!(live["discovery"], w.of("discoveries", true).count() as u64);
    assert_eq!(live["trial"], w.of("trials", true).count() as u64);
    let funnel = w.pat.get("/v1/pipeline/funnel").expect(200);
    let logged = funnel.body["stages"].as_array().unwrap().iter().find(|s| s["stage"] == "logged").unwrap();
    // All but the one that was hidden when it was logged: that event is not the partner's to see.
    assert_eq!(logged["entered"], w.of("discoveries", true).count() - 1);
}

fn hidden_is_like_never_issued(app: &TestApp) {
    let w = world(app);
    let never = Uuid::now_v7().to_string();
    let paths = benchside::api::document()["paths"].as_object().unwrap();
    let mut compared = 0;
    for (template, item) in paths.iter().filter(|(path, _)| path.contains("{id}")) {
        let collection = template.split('/').nth(2).unwrap();
        for record in w.of(collection, false) {
            for (method, spec) in item.as_object().unwrap() {
                let method = method.to_uppercase();
                let example = spec["requestBody"]["content"].as_object().and_then(|c| c.iter().next());
                let body = example.map(|(_, b)| b["example"].to_string());
                let kind = example.map_or("application/json", |(kind, _)| kind);
                let headers = [("content-type", kind), ("if-match", "\"1\"")];
                let code = record.code.split_once('-').unwrap().0;
                let unissued = format!("{code}-999999");
                for (hidden, other) in [(&record.id, &never), (&record.code, &unissued)] {
                    let ask = |id: &str| {
                        let path = template.replace("{id}", id);
                        w.pat.send(&method, &path, &headers, body.as_deref().map(str::as_bytes))
                    };
                    let (one, two) = (ask(hidden), ask(other));
                    assert_eq!(told(&one), told(&two), "{method} {template}: {record:?} differs from none at all");
                    assert_eq!(one.status, 404, "{method} {template}: {:#}", one.body);
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 200, "only {compared} comparisons");
    // Bodies that name a hidden record answer as if there were none.
    type Body = fn(&World, &str) -> Value;
    let bodies: [(&str, Body, &str); 2] = [
        (
            "/v1/pairings",
            |w, id| json!({ "discovery_id": id, "kind": "industry_partner", "organization_id": w.sponsor, "message": "Please" }),
            "discoveries",
        ),
        (
            "/v1/signatures/challenges",
            |_, id| json!({ "record": { "kind": "discovery", "id": id }, "version": 1, "meaning": "handoff", "transition": { "to": "clinic_ready" } }),
            "discoveries",
        ),
    ];
    for (path, body, kind) in bodies {
        for record in w.of(kind, false) {
            let hidden = w.pat.post(path, body(&w, &record.id));
            let none = w.pat.post(path, body(&w, &never));
            assert!(hidden.status >= 400, "{path}");
            assert_eq!(told(&hidden).replace(&record.id, "it"), told(&none).replace(&never, "it"), "{path} {record:?}");
        }
    }
}

fn lists_hold_exactly_what_can_be_read(app: &TestApp) {
    let w = world(app);
    let actors = [&w.ada, &w.bea, &w.kim, &w.lou, &w.pat, &w.rival, &w.auditor, &w.admin];
    let mut counts: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for kind in KINDS {
        for who in actors {
            let page = who.get(&format!("/v1/{kind}?limit=200&count=true")).expect(200);
            let listed: BTreeSet<_> =
                page.body["data"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect();
            let mut readable = BTreeSet::new();
            for record in w.records.iter().filter(|r| r.kind == kind) {
                let by_id = who.get(&format!("/v1/{kind}/{}", record.id)).status;
                assert!([200, 404].contains(&by_id), "{} {record:?}: {by_id}", who.name);
                assert_eq!(who.get(&format!("/v1/{kind}/{}", record.code)).status, by_id, "{} {record:?}", who.name);
                assert_eq!(
                    who.get(&format!("/v1/{kind}/{}/history", record.id)).status,
                    by_id,
                    "{} {record:?}",
                    who.name
                );
                if by_id == 200 {
                    readable.insert(record.id.clone());
                }
            }
            assert_eq!(listed, readable, "{} and {kind}", who.name);
            assert_eq!(page.body["total"], readable.len(), "{} and {kind}", who.name);
            counts.entry(kind).or_default().insert(readable.len());
            if [&w.auditor, &w.admin].iter().any(|all| all.id == who.id) {
                assert_eq!(readable.len(), w.records.iter().filter(|r| r.kind == kind).count(), "{}", who.name);
            }
        }
        assert!(counts[kind].len() >= 3, "{kind}: everybody sees nearly the same, so nothing is shown: {counts:?}");
    }
}

fn sees(who: &Actor, path: &str) -> bool {
    match who.get(path).status {
        200 => true,
        404 => false,
        other => panic!("{} at {path}: {other}", who.name),
    }
}

fn drafts_and_embargoes(app: &TestApp) {
    let mut w = world(app);
    let trial = w.register("later-public", true, "public");
    let finding = format!("/v1/findings/{}", w.record(&trial, "later-signed", true, false));
    let everyone =
        |w: &World, path: &str| [&w.kim, &w.lou, &w.ada, &w.pat, &w.auditor, &w.admin].map(|who| sees(who, path));
    assert_eq!(everyone(&w, &finding), [true, false, false, false, true, true], "a draft");
    w.kim.signs(&finding, "authorship", json!({ "to": "signed" })).expect(201);
    assert_eq!(everyone(&w, &finding), [true; 6], "signed, of a public trial");

    let cited = finding.rsplit('/').next().unwrap().to_owned();
    let insight = format!("/v1/insights/{}", w.raise(&[&cited], &[], "later-submitted", true, false));
    assert_eq!(everyone(&w, &insight), [true, false, false, false, true, true], "a draft");
    w.kim.moves(&insight, json!({ "to": "submitted" })).expect(201);
    assert_eq!(everyone(&w, &insight), [true; 6], "submitted, about what is public");

    // The trial withdrawn from the public takes its findings and their insights with it.
    let path = format!("/v1/trials/{trial}");
    w.patch(&w.kim, &path, json!({ "visibility": "confidential" }));
    assert_eq!(everyone(&w, &path), [true, false, false, false, true, true]);
    assert_eq!(everyone(&w, &finding), [true, false, true, false, true, true], "the lab was asked about it");
    assert_eq!(everyone(&w, &insight), [true, false, true, false, true, true]);

    // An embargo keeps what is public internal until it has passed.
    let embargoed = json!({ "visibility": "public", "embargo_until": "2099-01-01T00:00:00Z" });
    let discovery = format!("/v1/discoveries/{}", w.log("soon", false, embargoed));
    assert_eq!(everyone(&w, &discovery), [true, true, true, false, true, true]);
    assert!(sees(&w.bea, &discovery));
    w.patch(&w.ada, &discovery, json!({ "embargo_until": "2021-01-01T00:00:00Z" }));
    assert_eq!(everyone(&w, &discovery), [true; 6]);
}

fn sharing_and_pairing_grant_sight_and_ending_takes_it(app: &TestApp) {
    let mut w = world(app);
    let id = w.log("guarded", false, json!({ "visibility": "confidential" }));
    let discovery = format!("/v1/discoveries/{id}");
    let who_sees = |w: &World| [&w.ada, &w.bea, &w.kim, &w.pat, &w.rival].map(|who| sees(who, &discovery));
    assert_eq!(who_sees(&w), [true, false, false, false, false], "confidential");
    let proposal = json!({
        "discovery_id": id, "kind": "industry_partner", "organization_id": w.sponsor, "message": "Will you?",
    });
    w.ada.post("/v1/pairings", proposal.clone()).refused(409, "share_first");

    w.patch(&w.ada, &discovery, json!({ "shared_with": [w.sponsor] }));
    assert_eq!(who_sees(&w), [true, false, false, true, false], "shared with one sponsor");
    let pairing = format!("/v1/pairings/{}", w.ada.post("/v1/pairings", proposal).expect(201).id());
    assert_eq!([&w.ada, &w.pat, &w.rival, &w.bea].map(|p| sees(p, &pairing)), [true, true, false, false]);

    w.patch(&w.ada, &discovery, json!({ "shared_with": [] }));
    assert_eq!(who_sees(&w), [true, false, false, false, false], "a proposal alone grants no sight");
    assert_eq!(w.pat.get(&pairing).expect(200).body["discovery"], json!(null), "nor its title");
    w.pat.moves(&pairing, json!({ "to": "accepted" })).refused(409, "share_first");
    let offers = w.pat.get(&format!("{pairing}/transitions/available")).expect(200).body;
    let accept = offers["data"].as_array().unwrap().iter().find(|o| o["move"] == "accept").unwrap().clone();
    assert_eq!((&accept["allowed"], &accept["unmet"][0]["gate"]), (&json!(false), &json!("share")), "{accept:#}");
    w.patch(&w.ada, &discovery, json!({ "shared_with": [w.sponsor] }));
    w.pat.moves(&pairing, json!({ "to": "accepted" })).expect(201);
    w.patch(&w.ada, &discovery, json!({ "shared_with": [] }));
    assert_eq!(who_sees(&w), [true, false, false, true, false], "accepted");
    assert_eq!(w.pat.get(&pairing).expect(200).body["discovery"]["id"], id);
    w.pat.moves(&pairing, json!({ "to": "ended", "reason": "Other plans" })).expect(201);
    assert_eq!(who_sees(&w), [true, false, false, false, false], "ended");
    let after = w.pat.get(&pairing).expect(200);
    assert_eq!((&after.body["state"], &after.body["discovery"]), (&json!("ended"), &json!(null)));
    let history = w.pat.get(&format!("{pairing}/history")).expect(200);
    assert!(!history.body.to_string().contains(&id), "{:#}", history.body);
}

fn rerouting_ends_the_old_labs_sight(app: &TestApp) {
    let mut w = world(app);
    let trial = w.register("quiet", false, "confidential");
    let cited = w.record(&trial, "quiet-finding", false, true);
    let id = w.raise(&[&cited], &[], "quiet-insight", false, true);
    let (insight, finding) = (format!("/v1/insights/{id}"), format!("/v1/findings/{cited}"));
    let trial = format!("/v1/trials/{trial}");
    let both = |who: &Actor| [sees(who, &insight), sees(who, &finding), sees(who, &trial)];
    assert_eq!(
        (both(&w.ada), both(&w.bea)),
        ([true, true, false], [false; 3]),
        "the lab reads the insight and what it cites"
    );
    // Of the trial it learns code and title, and no more.
    let named = w.ada.get(&finding).expect(200).body["trial"].clone();
    let members: BTreeSet<_> = named.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, BTreeSet::from(["id", "code", "title"]), "{named:#}");

    w.ada.moves(&insight, json!({ "to": "declined", "reason": "Not ours" })).expect(201);
    w.kim.moves(&insight, json!({ "to": "submitted", "move": "reroute", "lab_id": w.labs[1] })).expect(201);
    assert_eq!((both(&w.ada), both(&w.bea)), ([false; 3], [true, true, false]), "rerouted");
    for list in ["/v1/insights", "/v1/findings"] {
        let page = w.ada.get(&format!("{list}?limit=200")).expect(200).body.to_string();
        assert!(!page.contains(&id) && !page.contains(&cited) && !page.contains("quiet"), "{list}");
    }
}

fn partners_are_not_told_what_was_found_before_the_trial_was_open_to_them(app: &TestApp) {
    for opened in ["public", "shared"] {
        told_from_the_opening_on(app, opened);
    }
}

fn told_from_the_opening_on(app: &TestApp, opened: &str) {
    let (lab, clinic, sponsor) = (app.lab("Lab"), app.clinic("Clinic"), app.sponsor("Sponsor"));
    let name = |who: &str| format!("{who} {opened}");
    let (ada, kim) = (app.scientist(&name("Ada"), lab), app.clinician(&name("Kim"), clinic));
    let pat = app.partner(&name("Pat"), sponsor);
    let trial =
        json!({ "brief_title": "T", "study_type": "OBSERVATIONAL", "clinic_id": clinic, "visibility": "confidential" });
    let trial = kim.post("/v1/trials", trial).expect(201).location.unwrap();
    let finding = json!({ "kind": "safety", "title": "F", "narrative": "Seen.", "observed_on": "2026-01-02" });
    let finding = kim.post(&format!("{trial}/findings"), finding).expect(201);
    let cited = finding.id();
    let finding = finding.location.unwrap();
    kim.signs(&finding, "authorship", json!({ "to": "signed" })).expect(201);
    let insight =
        json!({ "title": "Why?", "question": "Is it so?", "rationale": "R", "lab_id": lab, "finding_ids": [cited] });
    let insight = kim.post("/v1/insights", insight).expect(201).location.unwrap();
    kim.moves(&insight, json!({ "to": "submitted" })).expect(201);
    ada.moves(&insight, json!({ "to": "acknowledged" })).expect(201);
    let open = match opened {
        "public" => json!({ "visibility": "public" }),
        _ => json!({ "shared_with": [sponsor] }),
    };
    assert!(!sees(&pat, &finding) && !sees(&pat, &insight));
    kim.patch(&trial, kim.get(&trial).version(), open).expect(200);
    assert!(sees(&pat, &finding) && sees(&pat, &insight));

    let entries = |who: &Actor, path: &str| who.get(path).expect(200).body["data"].as_array().unwrap().clone();
    let histories = || [&finding, &insight].map(|path| entries(&pat, &format!("{path}/history")));
    let moves = || [&finding, &insight].map(|path| entries(&pat, &format!("{path}/transitions")).len());
    let entered = |kind: &str| {
        let overview = pat.get("/v1/pipeline/overview").expect(200).body;
        let of_kind = overview["stages"].as_array().unwrap().iter().filter(|row| row["kind"] == kind);
        of_kind.map(|row| row["entered"].as_u64().unwrap()).sum::<u64>()
    };
    let before = [entered("finding"), entered("insight")];
    assert_eq!(histories().map(|h| h.len()), [0, 0], "{:#?}", histories());
    assert_eq!(moves(), [0, 0]);
    for path in [&finding, &insight] {
        let known = entries(&kim, &format!("{path}/history"));
        assert!(known.len() >= 2 && !entries(&ada, &format!("{path}/history")).is_empty());
        for proof in known.iter().filter_map(|entry| entry["proof"].as_str()) {
            pat.get(proof).refused(404, "not_found");
        }
    }

    ada.moves(&insight, json!({ "to": "investigating" })).expect(201);
    kim.signs(&finding, "retraction", json!({ "to": "retracted", "reason": "Wrong" })).expect(201);
    // Of the insight it is told as well that it was recalled.
    assert_eq!((histories().map(|h| h.len()), moves()), ([1, 2], [1, 1]), "what came after is told");
    // Of the version before, which was not for them, nothing but the state it was in.
    for change in histories().iter().flatten().flat_map(|entry| entry["changes"].as_array().unwrap()) {
        let state = change["field"] == "state";
        assert!(state || change["before"].is_null(), "{change:#}");
    }
    assert_eq!([entered("finding"), entered("insight")], before.map(|n| n + 1));
    if opened == "public" {
        assert_eq!(before, [0, 0], "what entered before is not counted");
    }
}

fn a_hidden_link_is_left_out_and_kept(app: &TestApp) {
    let mut w = world(app);
    let open = w.of("discoveries", true).next().unwrap().id.clone();
    let shared = json!({ "visibility": "confidential", "shared_with": [w.clinic] });
    let hidden = w.log("linked-hidden", false, shared);
    let trial = w.register("linked", true, "public");
    let (record, links) = (format!("/v1/trials/{trial}"), format!("/v1/trials/{trial}/discoveries"));
    let set =
        |w: &World, data: Value| w.kim.put(&links, w.kim.get(&record).version(), json!({ "data": data })).expect(200);
    let link = |id: &str, role: &str| json!({ "discovery_id": id, "role": role });
    set(&w, json!([link(&open, "measures"), link(&hidden, "measures")]));
    let linked = |who: &Actor| {
        let data = who.get(&links).expect(200).body["data"].clone();
        let text = format!("{data}{}", who.get(&record).expect(200).body);
        [&open, &hidden].map(|id| text.contains(id.as_str()))
    };
    assert_eq!((linked(&w.kim), linked(&w.ada), linked(&w.pat)), ([true, true], [true, true], [true, false]));

    // No longer shared with the clinic: its clinician replaces the links she sees, and the other stays.
    w.patch(&w.ada, &format!("/v1/discoveries/{hidden}"), json!({ "shared_with": [] }));
    assert_eq!((linked(&w.kim), linked(&w.ada)), ([true, false], [true, true]));
    set(&w, json!([]));
    assert_eq!((linked(&w.kim), linked(&w.ada)), ([false, false], [false, true]), "the hidden link was kept");
    set(&w, json!([link(&open, "compares")]));
    assert_eq!((linked(&w.kim), linked(&w.ada)), ([true, false], [true, true]));
    // To name it is to name nothing.
    let version = w.kim.get(&record).version();
    let told = w.kim.put(&links, version, json!({ "data": [link(&hidden, "measures")] })).refused(422, "invalid");
    assert_eq!(told["errors"][0]["pointer"], "/data/0/discovery_id");
    assert_eq!(told["errors"][0]["code"], "not_found");
    let history = w.kim.get(&format!("{record}/history")).expect(200).body.to_string();
    assert!(!history.contains(&hidden), "the history of the trial does not tell either");
}
