//! Everything that is wrong with a request is said at once, and said where; and lists page through everything once.
use crate::support::{Actor, Reply, TestApp, on_both_engines};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

on_both_engines!(
    every_fault_of_a_body_at_once,
    what_cannot_be_read_is_refused_as_such,
    nul_is_refused_everywhere,
    parameters_are_a_closed_set,
    paging_sees_each_exactly_once,
    fields_trim_and_tags_spare,
    a_made_up_name_is_told_in_short,
    a_version_is_named_as_it_is_written,
    a_revision_touches_only_what_may_be_revised,
);

/// The places and codes of a 422, sorted.
#[track_caller]
fn faults(reply: Reply) -> BTreeSet<(String, String)> {
    let problem = reply.refused(422, "invalid");
    let errors = problem["errors"].as_array().unwrap();
    let text = |e: &Value, name: &str| e[name].as_str().unwrap_or_default().to_owned();
    for error in errors {
        assert!(!text(error, "message").is_empty(), "{error}");
        assert!(error["pointer"].is_string() != error["parameter"].is_string(), "one of both: {error}");
    }
    let found: BTreeSet<_> =
        errors.iter().map(|e| (text(e, "pointer") + &text(e, "parameter"), text(e, "code"))).collect();
    let each: BTreeSet<_> = errors.iter().map(Value::to_string).collect();
    assert_eq!(each.len(), errors.len(), "each fault once: {errors:#?}");
    let told =
        if errors.len() == 1 { "One fault was found.".into() } else { format!("{} faults were found.", errors.len()) };
    assert_eq!(problem["detail"], told);
    found
}

fn table(rows: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    rows.iter().map(|(place, code)| ((*place).to_owned(), (*code).to_owned())).collect()
}

struct House {
    ada: Actor,
    kim: Actor,
    admin: Actor,
    lab: benchside::id::OrganizationId,
    clinic: benchside::id::OrganizationId,
}

fn house(app: &TestApp) -> House {
    let (lab, clinic) = (app.lab("Motor Neuron Lab"), app.clinic("ALS Clinic"));
    let (ada, kim) = (app.scientist("Ada Okafor", lab), app.clinician("Kim Park", clinic));
    House { ada, kim, admin: app.administrator("Admin"), lab, clinic }
}

impl House {
    fn discovery(&self, title: &str) -> Reply {
        let new = json!({ "title": title, "modality": "biologic", "lab_id": self.lab });
        self.ada.post("/v1/discoveries", new).expect(201)
    }
    fn trial(&self) -> Reply {
        let new = json!({
            "brief_title": "A trial", "study_type": "INTERVENTIONAL", "phases": ["PHASE1"], "clinic_id": self.clinic,
        });
        self.kim.post("/v1/trials", new).expect(201)
    }
    fn finding(&self, trial: &str) -> Reply {
        let new = json!({ "kind": "safety", "title": "Seen", "narrative": "At length", "observed_on": "2026-01-02" });
        self.kim.post(&format!("/v1/trials/{trial}/findings"), new).expect(201)
    }
}

fn every_fault_of_a_body_at_once(app: &TestApp) {
    let h = house(app);
    let body = json!({
        "title": 7, "summary": "x".repeat(20_001), "modality": "potion", "lab_id": "L-1", "trl": 10,
        "conditions": [
            { "name": "", "mesh": "X1" }, "ALS", { "name": "ALS", "mesh": null, "cure": true }, { "mesh": "D000690" },
        ],
        "visibility": "secret", "shared_with": null, "embargo_until": "tomorrow",
        "references": [{ "kind": "doi", "value": "nonsense" }, { "kind": "rumour", "value": "x" }],
        "tags": ["ok", "", 4], "effective_at": "2026-13-01T00:00:00Z", "stage": "validated", "tittle": "typo",
    });
    assert_eq!(
        faults(h.ada.post("/v1/discoveries", body)),
        table(&[
            ("/title", "wrong_type"),
            ("/summary", "too_long"),
            ("/modality", "unknown_value"),
            ("/lab_id", "invalid_format"),
            ("/trl", "out_of_range"),
            ("/conditions/0/name", "too_short"),
            ("/conditions/0/mesh", "invalid_format"),
            ("/conditions/1", "wrong_type"),
            ("/conditions/2/cure", "unknown_field"),
            ("/conditions/3/name", "required"),
            ("/visibility", "unknown_value"),
            ("/shared_with", "wrong_type"),
            ("/embargo_until", "invalid_format"),
            ("/references/0/value", "invalid_format"),
            ("/references/1/kind", "unknown_value"),
            ("/tags/1", "too_short"),
            ("/tags/2", "wrong_type"),
            ("/effective_at", "invalid_format"),
            ("/stage", "unknown_field"),
            ("/tittle", "unknown_field"),
        ])
    );
    let missing = table(&[("/title", "required"), ("/modality", "required"), ("/lab_id", "required")]);
    assert_eq!(faults(h.ada.post("/v1/discoveries", json!({}))), missing);
    assert_eq!(faults(h.ada.post("/v1/discoveries", json!([]))), table(&[("", "wrong_type")]));
    let many = json!({ "title": "T", "modality": "biologic", "lab_id": h.lab, "tags": vec!["t"; 101] });
    assert_eq!(faults(h.ada.post("/v1/discoveries", many)), table(&[("/tags", "too_many")]));

    let body = json!({
        "nct_id": "NCT1x", "org_study_id": "x".repeat(31), "acronym": "x".repeat(15), "brief_title": "",
        "official_title": "x".repeat(601), "study_type": "MAGICAL", "phases": ["PHASE1", "PHASE9"],
        "interventions": [{ "name": 1, "type": "PILL" }], "enrollment": { "count": -1, "type": "MAYBE", "n": 1 },
        "start_date": { "date": "2026-02-30" }, "completion_date": { "type": "ACTUAL" },
        "sponsor": { "class": "CHARITY" }, "fda_regulated": "yes", "verified_on": "lately", "clinic_id": 5,
        "overall_status": "RECRUITING",
    });
    assert_eq!(
        faults(h.kim.post("/v1/trials", body)),
        table(&[
            ("/nct_id", "invalid_format"),
            ("/org_study_id", "too_long"),
            ("/acronym", "too_long"),
            ("/brief_title", "too_short"),
            ("/official_title", "too_long"),
            ("/study_type", "unknown_value"),
            ("/phases/1", "unknown_value"),
            ("/interventions/0/name", "wrong_type"),
            ("/interventions/0/type", "unknown_value"),
            ("/enrollment/count", "out_of_range"),
            ("/enrollment/type", "unknown_value"),
            ("/enrollment/n", "unknown_field"),
            ("/start_date/date", "invalid_format"),
            ("/completion_date/date", "required"),
            ("/sponsor/name", "required"),
            ("/sponsor/class", "unknown_value"),
            ("/fda_regulated", "wrong_type"),
            ("/verified_on", "invalid_format"),
            ("/clinic_id", "wrong_type"),
            ("/overall_status", "unknown_field"),
        ])
    );

    let trial = h.trial().id();
    let body = json!({
        "kind": "gossip", "title": " ", "narrative": null, "observed_on": "2026-02-30", "unexpected": 1,
        "ctcae_grade": 6, "supersedes_id": "F-1", "state": "signed",
        "effect": {
            "measure": "", "value": 1, "ci_low": 2, "ci_high": 0, "ci_level": 101,
            "p_value": { "op": "~", "value": 5 }, "n": "many", "sd": 1,
        },
    });
    assert_eq!(
        faults(h.kim.post(&format!("/v1/trials/{trial}/findings"), body)),
        table(&[
            ("/kind", "unknown_value"),
            ("/title", "too_short"),
            ("/narrative", "wrong_type"),
            ("/observed_on", "invalid_format"),
            ("/unexpected", "wrong_type"),
            ("/ctcae_grade", "out_of_range"),
            ("/supersedes_id", "invalid_format"),
            ("/state", "unknown_field"),
            ("/effect/measure", "too_short"),
            ("/effect/ci_low", "out_of_range"),
            ("/effect/ci_high", "out_of_range"),
            ("/effect/ci_level", "out_of_range"),
            ("/effect/p_value/op", "unknown_value"),
            ("/effect/p_value/value", "out_of_range"),
            ("/effect/n", "wrong_type"),
            ("/effect/sd", "unknown_field"),
        ])
    );

    let body = json!({
        "title": "x".repeat(301), "question": 3, "finding_ids": ["F-1", 2], "discovery_ids": {}, "lab_id": null,
        "urgency": "yesterday", "owner_id": h.kim.id,
    });
    assert_eq!(
        faults(h.kim.post("/v1/insights", body)),
        table(&[
            ("/title", "too_long"),
            ("/question", "wrong_type"),
            ("/rationale", "required"),
            ("/finding_ids/0", "invalid_format"),
            ("/finding_ids/1", "wrong_type"),
            ("/discovery_ids", "wrong_type"),
            ("/lab_id", "wrong_type"),
            ("/urgency", "unknown_value"),
            ("/owner_id", "unknown_field"),
        ])
    );

    let body = json!({
        "name": "", "email": "nobody", "orcid": "0000-0002-1825-0098", "roles": ["king"],
        "memberships": [{ "organization_id": "O-1" }, { "org": 1 }],
        "expertise": { "conditions": [{ "name": 1 }], "modalities": ["potion"], "hobbies": [] },
        "accepting_work": "no", "password": "x",
    });
    assert_eq!(
        faults(h.admin.post("/v1/people", body)),
        table(&[
            ("/name", "too_short"),
            ("/email", "invalid_format"),
            ("/orcid", "invalid_format"),
            ("/roles/0", "unknown_value"),
            ("/memberships/0/organization_id", "invalid_format"),
            ("/memberships/1/org", "unknown_field"),
            ("/memberships/1/organization_id", "required"),
            ("/expertise/conditions/0/name", "wrong_type"),
            ("/expertise/modalities/0", "unknown_value"),
            ("/expertise/hobbies", "unknown_field"),
            ("/accepting_work", "wrong_type"),
            ("/password", "unknown_field"),
        ])
    );

    let body =
        json!({ "name": [], "kind": "shed", "parent_id": "O-1", "ror": "02mhbdp95", "focus": ["ALS"], "city": "X" });
    assert_eq!(
        faults(h.admin.post("/v1/organizations", body)),
        table(&[
            ("/name", "wrong_type"),
            ("/kind", "unknown_value"),
            ("/parent_id", "invalid_format"),
            ("/ror", "invalid_format"),
            ("/focus/0", "wrong_type"),
            ("/city", "unknown_field"),
        ])
    );
}

fn what_cannot_be_read_is_refused_as_such(app: &TestApp) {
    let h = house(app);
    let send = |kind: &str, body: &[u8]| h.ada.send("POST", "/v1/discoveries", &[("content-type", kind)], Some(body));
    for body in [&b"{"[..], b"", b"{\"title\": }", b"{} {}", b"\xff\xfe", b"{\"title\": \"\xc3\x28\"}"] {
        let problem = send("application/json", body).refused(400, "malformed");
        assert!(problem.get("errors").is_none());
    }
    let good = json!({ "title": "T", "modality": "biologic", "lab_id": h.lab }).to_string();
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "application/merge-patch+json", "application/jsonp", ""]
    {
        send(kind, good.as_bytes()).refused(415, "unsupported_media_type");
    }
    h.ada.send("POST", "/v1/discoveries", &[], Some(good.as_bytes())).refused(415, "unsupported_media_type");
    send("Application/JSON; charset=utf-8", good.as_bytes()).expect(201);

    // A body may have 1 MiB, and not a byte more.
    let padded = |length: usize| format!("{good}{}", " ".repeat(length - good.len()));
    send("application/json", padded(1024 * 1024).as_bytes()).expect(201);
    send("application/json", padded(1024 * 1024 + 1).as_bytes()).refused(413, "too_large");
    let total = h.ada.get("/v1/discoveries?count=true").expect(200).body["total"].clone();
    assert_eq!(total, 2, "what was refused left nothing behind");

    // A patch may come as either type.
    let path = format!("/v1/discoveries/{}", h.discovery("Patched").id());
    for (version, kind) in [("\"1\"", "application/merge-patch+json"), ("\"2\"", "application/json")] {
        let body = json!({ "title": kind }).to_string();
        let headers = [("content-type", kind), ("if-match", version)];
        h.ada.send("PATCH", &path, &headers, Some(body.as_bytes())).expect(200);
    }
    let headers = [("content-type", "text/plain"), ("if-match", "\"3\"")];
    h.ada.send("PATCH", &path, &headers, Some(b"{}")).refused(415, "unsupported_media_type");
}

fn nul_is_refused_everywhere(app: &TestApp) {
    let h = house(app);
    let body = json!({
        "title": "a\0b", "summary": "\0", "modality": "biologic", "lab_id": h.lab, "tags": ["\0"],
        "conditions": [{ "name": "A\0LS" }], "references": [{ "kind": "irb", "value": "I\0", "title": "\0" }],
    });
    let found = faults(h.ada.post("/v1/discoveries", body));
    let places: BTreeSet<_> = found.iter().map(|(place, _)| &**place).collect();
    let expected =
        ["/title", "/summary", "/tags/0", "/conditions/0/name", "/references/0/value", "/references/0/title"];
    assert_eq!(places, BTreeSet::from(expected));
    assert!(found.iter().all(|(_, code)| code == "invalid_character"), "{found:?}");
    let path = format!("/v1/discoveries/{}", h.discovery("Whole").id());
    let moved =
        h.ada.versioned("POST", &format!("{path}/transitions"), 1, json!({ "to": "validated", "reason": "\0" }));
    assert_eq!(faults(moved), table(&[("/reason", "invalid_character")]));
    assert_eq!(faults(h.ada.get("/v1/discoveries?q=%00")), table(&[("q", "invalid_character")]));
    assert_eq!(faults(h.ada.get("/v1/discoveries?stage=%00")), table(&[("stage", "invalid_character")]));
    let long = format!("/v1/discoveries?stage={}", "x".repeat(61));
    assert_eq!(faults(h.ada.get(&long)), table(&[("stage", "too_long")]));
    h.ada.get("/v1/discoveries/%00").refused(404, "not_found");
    h.ada.get("/v1/discoveries/D-1%00").refused(404, "not_found");
}

fn parameters_are_a_closed_set(app: &TestApp) {
    let h = house(app);
    for n in 0..3 {
        h.discovery(&format!("Number {n}"));
    }
    // Unknown: 400, everywhere.
    let paths = benchside::api::document()["paths"].as_object().unwrap();
    let mut walked = 0;
    for (path, _) in paths.iter().filter(|(p, item)| p.starts_with("/v1") && item.get("get").is_some()) {
        let path = match path.split('/').nth(2) {
            Some("discoveries") => path.replace("{id}", "D-1"),
            Some("people") => path.replace("{id}", "me").replace("me", &h.admin.id.to_string()),
            Some("organizations") => path.replace("{id}", &h.lab.to_string()),
            _ if path.contains('{') => continue,
            _ => path.clone(),
        };
        let problem = h.admin.get(&format!("{path}?typo=1")).refused(400, "unknown_parameter");
        assert_eq!(problem["parameter"], "typo", "{path}");
        walked += 1;
    }
    assert!(walked >= 15, "{walked}");
    let body = json!({ "title": "T", "modality": "biologic", "lab_id": h.lab });
    h.ada.post("/v1/discoveries?dry_run=true", body).refused(400, "unknown_parameter");

    // Wrong values: 422, all of them at once, with the parameter in place of a pointer.
    let query = "limit=0&sort=colour&count=perhaps&modality=potion&modality=biologic&lab_id=L-1&updated_after=now";
    assert_eq!(
        faults(h.ada.get(&format!("/v1/discoveries?{query}&cursor=xyz"))),
        table(&[
            ("limit", "out_of_range"),
            ("sort", "unknown_value"),
            ("count", "invalid_format"),
            ("modality", "unknown_value"),
            ("lab_id", "invalid_format"),
            ("updated_after", "invalid_format"),
            ("cursor", "invalid_cursor"),
        ])
    );
    for (limit, code) in [
        ("0", "out_of_range"),
        ("201", "out_of_range"),
        ("-1", "out_of_range"),
        ("ten", "invalid_format"),
        ("", "invalid_format"),
        ("1.5", "invalid_format"),
        ("99999999999999999999", "invalid_format"),
    ] {
        assert_eq!(faults(h.ada.get(&format!("/v1/discoveries?limit={limit}"))), table(&[("limit", code)]), "{limit}");
    }
    for limit in ["1", "200"] {
        h.ada.get(&format!("/v1/discoveries?limit={limit}")).expect(200);
    }
    assert_eq!(faults(h.ada.get("/v1/discoveries?limit=1&limit=2")), table(&[("limit", "repeated")]));
    let many = "stage=logged&".repeat(101);
    assert_eq!(faults(h.ada.get(&format!("/v1/discoveries?{many}"))), table(&[("stage", "too_many")]));
    assert_eq!(faults(h.ada.get("/v1/discoveries?fields=id,colour")), table(&[("fields", "unknown_value")]));

    // A cursor belongs to its list, its filters and its order; to nothing else, and to no other limit's harm.
    let first = h.ada.get("/v1/discoveries?limit=1&modality=biologic&sort=title").expect(200);
    let cursor = first.body["next_cursor"].as_str().unwrap().to_owned();
    let bound = table(&[("cursor", "invalid_cursor")]);
    let next = |query: &str| h.ada.get(&format!("/v1/{query}&cursor={cursor}"));
    next("discoveries?limit=1&modality=biologic&sort=title").expect(200);
    next("discoveries?sort=title&limit=2&modality=biologic&count=true").expect(200);
    assert_eq!(faults(next("discoveries?limit=1&sort=title")), bound);
    assert_eq!(faults(next("discoveries?limit=1&modality=vaccine&sort=title")), bound);
    assert_eq!(faults(next("discoveries?limit=1&modality=biologic&sort=-title")), bound);
    assert_eq!(faults(next("discoveries?limit=1&modality=biologic&sort=title&q=number")), bound);
    assert_eq!(faults(next("trials?limit=1")), bound);
    // Its holder can write one: what no page said is refused all the same.
    let first = h.ada.get("/v1/discoveries?limit=1&sort=code").expect(200);
    let numbered = URL_SAFE_NO_PAD.decode(first.body["next_cursor"].as_str().unwrap()).unwrap();
    let written = |value: &str| {
        let mut cursor: Value = serde_json::from_slice(&numbered).unwrap();
        cursor["v"] = json!(value);
        let cursor = URL_SAFE_NO_PAD.encode(cursor.to_string());
        h.ada.get(&format!("/v1/discoveries?limit=1&sort=code&cursor={cursor}"))
    };
    written("1").expect(200);
    for value in ["", "-1", "one", "2026-01-01T00:00:00Z"] {
        assert_eq!(faults(written(value)), bound, "{value}");
    }
    for bad in ["", "%00", "AAAA", "e30", "////", &cursor[1..], &format!("{cursor}A")] {
        let reply = h.ada.get(&format!("/v1/discoveries?limit=1&modality=biologic&sort=title&cursor={bad}"));
        assert!(faults(reply).iter().any(|(place, _)| place == "cursor"), "{bad}");
    }
}

fn paging_sees_each_exactly_once(app: &TestApp) {
    const ROWS: usize = 120;
    let h = house(app);
    for n in 0..ROWS {
        // Titles repeat, so that the order has ties to break.
        h.discovery(&format!("Title {}", n % 7));
    }
    let all = |query: &str| {
        let mut rows: Vec<Value> = Vec::new();
        let mut path = format!("/v1/discoveries?{query}");
        for _ in 0..=ROWS {
            let page = h.ada.get(&path).expect(200);
            rows.extend(page.body["data"].as_array().unwrap().iter().cloned());
            let link = page.header("link").map(str::to_owned);
            match page.body["next_cursor"].as_str() {
                Some(cursor) => {
                    assert_eq!(page.body["data"].as_array().unwrap().len() as u64, limit_of(query), "a page is full");
                    path = format!("/v1/discoveries?{query}&cursor={cursor}");
                    let link = link.expect("a page with a next one links to it");
                    let target = link.strip_prefix('<').and_then(|l| l.strip_suffix(">; rel=\"next\"")).unwrap();
                    let linked = h.ada.get(target).expect(200);
                    assert_eq!(linked.body["data"], h.ada.get(&path).expect(200).body["data"]);
                }
                None => {
                    assert!(page.body["next_cursor"].is_null() && link.is_none());
                    return rows;
                }
            }
        }
        panic!("{query}: the pages have no end");
    };
    let ids = |rows: &[Value]| rows.iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let everything: BTreeSet<_> = ids(&all("limit=200")).into_iter().collect();
    assert_eq!(everything.len(), ROWS);
    for sort in ["updated_at", "created_at", "stage_entered_at", "title", "code"] {
        let up = all(&format!("limit=23&sort={sort}"));
        assert_eq!(up.len(), ROWS, "{sort}: each once");
        assert_eq!(ids(&up).into_iter().collect::<BTreeSet<_>>(), everything, "{sort}");
        let number = |r: &Value| r["code"].as_str().unwrap()[2..].parse::<u32>().unwrap();
        let ordered = match sort {
            "code" => up.is_sorted_by_key(number),
            _ => up.is_sorted_by_key(|r| (r[sort].as_str().unwrap().to_owned(), r["id"].as_str().unwrap().to_owned())),
        };
        assert!(ordered, "{sort} is not in order");
        let mut down = ids(&all(&format!("limit=23&sort=-{sort}")));
        down.reverse();
        assert_eq!(down, ids(&up), "{sort}: descending is the other way round");
    }
    // A page size that ends exactly at the last row, and one row at a time.
    assert_eq!(all("limit=40&sort=title").len(), ROWS);
    assert_eq!(ids(&all("limit=1&sort=code&q=Title+3")).len(), (0..ROWS).filter(|n| n % 7 == 3).count());
    let counted = h.ada.get("/v1/discoveries?limit=5&count=true").expect(200);
    assert_eq!((&counted.body["total"], counted.body["data"].as_array().unwrap().len()), (&json!(ROWS), 5));
    assert!(h.ada.get("/v1/discoveries").expect(200).body.get("total").is_none());
    assert_eq!(h.ada.get("/v1/discoveries").body["data"].as_array().unwrap().len(), 50, "50 where nothing is said");

    // Rows that come while one pages neither repeat nor hide the others.
    let first = h.ada.get("/v1/discoveries?limit=60&sort=created_at").expect(200);
    h.discovery("Late");
    let cursor = first.body["next_cursor"].as_str().unwrap();
    let rest = h.ada.get(&format!("/v1/discoveries?limit=60&sort=created_at&cursor={cursor}")).expect(200);
    let seen: BTreeSet<_> = [&first, &rest].iter().flat_map(|p| ids(p.body["data"].as_array().unwrap())).collect();
    assert_eq!(seen, everything);
    assert!(rest.body["next_cursor"].is_string(), "the late one is on the next page");
}

fn limit_of(query: &str) -> u64 {
    let limit = query.split('&').find_map(|p| p.strip_prefix("limit="));
    limit.map_or(50, |l| l.parse().unwrap())
}

fn fields_trim_and_tags_spare(app: &TestApp) {
    let h = house(app);
    let made = h.discovery("Trimmed");
    let path = format!("/v1/discoveries/{}", made.id());
    let one = h.ada.get(&format!("{path}?fields=id,code,title")).expect(200);
    assert_eq!(one.body, json!({ "id": made.id(), "code": made.body["code"], "title": "Trimmed" }));
    assert_eq!(one.etag.as_deref(), Some("\"1\""));
    let list = h.ada.get("/v1/discoveries?fields=title").expect(200);
    assert_eq!(list.body["data"], json!([{ "title": "Trimmed" }]));
    let unknown = h.ada.get(&format!("{path}?fields=colour,id,smell"));
    assert_eq!(unknown.body["errors"].as_array().unwrap().len(), 2);
    assert_eq!(faults(unknown), table(&[("fields", "unknown_value")]));

    // If-None-Match: what one has need not come again.
    let ask = |tags: &str| h.ada.send("GET", &path, &[("if-none-match", tags)], None);
    for tags in ["\"1\"", "W/\"1\"", "\"7\", \"1\"", "*"] {
        let same = ask(tags).expect(304);
        assert_eq!((same.etag.as_deref(), &same.body), (Some("\"1\""), &json!("")), "{tags}");
    }
    for tags in ["\"2\"", "1", "\"01\"", ""] {
        ask(tags).expect(200);
    }
    h.ada.patch(&path, 1, json!({ "trl": 2 })).expect(200);
    assert_eq!(ask("\"1\"").expect(200).etag.as_deref(), Some("\"2\""));
    ask("\"2\"").expect(304);
    // Nobody learns from a 304 what they may not see.
    let partner = app.partner("Pat Partner", app.sponsor("Northwind"));
    partner.send("GET", &path, &[("if-none-match", "*")], None).refused(404, "not_found");
}

fn a_made_up_name_is_told_in_short(app: &TestApp) {
    let h = house(app);
    let discovery = format!("/v1/discoveries/{}", h.discovery("A").id());
    for (path, name, told) in [
        ("/v1/discoveries".to_owned(), "n".repeat(900_000), format!("/{}…", "n".repeat(60))),
        (format!("{discovery}/transitions"), "n".repeat(900_000), format!("/{}…", "n".repeat(60))),
        ("/v1/discoveries".into(), "~".repeat(61), format!("/{}…", "~0".repeat(60))),
        (format!("{discovery}/transitions"), "/é".repeat(31), format!("/{}…", "~1é".repeat(30))),
        ("/v1/discoveries".into(), "n".repeat(60), format!("/{}", "n".repeat(60))),
    ] {
        let refused = h.ada.versioned("POST", &path, 1, json!({ name: 1 })).refused(422, "invalid");
        let pointers: Vec<_> = refused["errors"].as_array().unwrap().iter().map(|e| e["pointer"].clone()).collect();
        let of_it: Vec<_> = pointers.iter().filter(|p| **p == told).collect();
        assert_eq!(of_it.len(), 1, "{path}: {pointers:?}");
        assert!(refused.to_string().len() < 5000, "{path}");
    }
}

fn a_version_is_named_as_it_is_written(app: &TestApp) {
    let h = house(app);
    let path = format!("/v1/discoveries/{}", h.discovery("A").id());
    let revised = |tags: &str| {
        let headers = [("content-type", "application/merge-patch+json"), ("if-match", tags)];
        h.ada.send("PATCH", &path, &headers, Some(br#"{"trl": 2}"#))
    };
    for tags in ["\"+1\"", "\"01\"", "\" 1\"", "1", "W/\"1\"", "\"1", "\"a,*,b\"", "\"2\", *", ""] {
        revised(tags).refused(412, "version_mismatch");
        let read = h.ada.send("GET", &path, &[("if-none-match", tags)], None);
        assert_eq!(read.status, if tags == "W/\"1\"" { 304 } else { 200 }, "{tags}");
    }
    revised("\"7\", \"1\"").expect(200);
    revised("*").expect(200);
    revised("\"3\"").expect(200);
}

fn a_revision_touches_only_what_may_be_revised(app: &TestApp) {
    let h = house(app);
    let trial = h.trial().id();
    let cases = [
        (
            &h.ada,
            format!("/v1/discoveries/{}", h.discovery("Revised").id()),
            vec![
                "id",
                "code",
                "version",
                "stage",
                "stage_entered_at",
                "owner_id",
                "owner",
                "lab_id",
                "lifecycle",
                "origin_insight_id",
                "created_at",
                "typo",
            ],
            json!({ "title": "New" }),
        ),
        (
            &h.kim,
            format!("/v1/findings/{}", h.finding(&trial).id()),
            vec!["id", "code", "version", "state", "owner_id", "trial_id", "created_at", "typo"],
            json!({ "title": "New" }),
        ),
        (
            &h.kim,
            format!("/v1/trials/{trial}"),
            vec![
                "id",
                "code",
                "version",
                "overall_status",
                "owner_id",
                "clinic_id",
                "source",
                "last_known_status",
                "typo",
            ],
            json!({ "brief_title": "New" }),
        ),
        (
            &h.admin,
            format!("/v1/people/{}", h.ada.id),
            vec!["id", "code", "version", "memberships", "organizations", "password", "permissions", "typo"],
            json!({ "accepting_work": false }),
        ),
        (
            &h.admin,
            format!("/v1/organizations/{}", h.lab),
            vec!["id", "code", "version", "kind", "typo"],
            json!({ "name": "New" }),
        ),
    ];
    for (who, path, immutable, good) in cases {
        let before = who.get(&path).expect(200);
        let mut body = good.clone();
        for name in &immutable {
            body[*name] = json!(Uuid::nil().to_string());
        }
        let expected: Vec<_> = immutable.iter().map(|name| (format!("/{name}"), "unknown_field".to_owned())).collect();
        assert_eq!(faults(who.patch(&path, before.version(), body)), expected.into_iter().collect(), "{path}");
        assert_eq!(who.get(&path).expect(200).body, before.body, "{path}: half a patch is none");
        let after = who.patch(&path, before.version(), good).expect(200);
        assert_eq!(after.version(), before.version() + 1, "{path}");
    }
    // Null clears what may be empty, and is a fault where a value has to be.
    let path = format!("/v1/discoveries/{}", h.discovery("Nulls").id());
    h.ada.patch(&path, 1, json!({ "trl": 3 })).expect(200);
    let nulls = json!({ "title": null, "conditions": null, "tags": null, "modality": null });
    let expected = ["/title", "/conditions", "/tags", "/modality"].map(|place| (place, "wrong_type"));
    assert_eq!(faults(h.ada.patch(&path, 2, nulls)), table(&expected));
    assert_eq!(h.ada.patch(&path, 2, json!({ "trl": null })).expect(200).body["trl"], json!(null));
}
