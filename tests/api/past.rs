//! Records, lists and counts as of a past moment: what was answered then is answered again.
use crate::{
    ledger::settled,
    support::{Actor, TestApp, on_both_engines},
};
use benchside::{db::columns::Time, http::as_of::SETTLES, id::OrganizationId};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, time::Duration};

on_both_engines!(
    what_was_answered_is_answered_again,
    a_version_that_was_hidden_stays_hidden,
    a_record_hidden_since_is_hidden_in_its_past,
    what_as_of_refuses,
    pages_of_the_past_hold_each_record_once,
    effective_and_recorded_time_are_kept_apart,
);

struct Cast {
    ada: Actor,
    bea: Actor,
    kim: Actor,
    admin: Actor,
    labs: [OrganizationId; 2],
    clinic: OrganizationId,
}

fn cast(app: &TestApp) -> Cast {
    let labs = [app.lab("Motor Neuron Lab"), app.lab("Vaccine Lab")];
    let clinic = app.clinic("ALS Clinic");
    Cast {
        ada: app.scientist("Ada Okafor", labs[0]),
        bea: app.person("Bea Lind", &[benchside::vocabulary::Role::Scientist], &labs),
        kim: app.clinician("Kim Park", clinic),
        admin: app.administrator("Root Admin"),
        labs,
        clinic,
    }
}

/// The moment now, between everything that has happened and everything that will.
fn moment(app: &TestApp) -> Time {
    settled(app);
    std::thread::sleep(Duration::from_millis(2));
    let now = app.app.clock.now();
    std::thread::sleep(Duration::from_millis(2));
    now
}

/// Waits until a moment may be asked about.
pub fn settles(app: &TestApp, moment: Time) {
    while app.app.clock.now() < moment.plus_seconds(SETTLES) {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// One act of somebody on something; many are refused, which is as well.
fn act(rng: &mut fastrand::Rng, cast: &Cast, made: &mut Vec<String>) {
    let any = |rng: &mut fastrand::Rng, made: &[String], kind: &str| -> Option<String> {
        let of_kind: Vec<_> = made.iter().filter(|path| path.contains(kind)).cloned().collect();
        rng.choice(of_kind)
    };
    let lab = rng.usize(0..2);
    let scientist = if lab == 1 || rng.bool() { &cast.bea } else { &cast.ada };
    let evidence =
        json!([{ "kind": "doi", "value": "10.1038/s41586-020-2649-2" }, { "kind": "irb", "value": "IRB-1" }]);
    let reply = match rng.u32(0..20) {
        0..3 => {
            let visibility = ["confidential", "internal", "public"][rng.usize(0..3)];
            let effective_at = ["2024-05-01T00:00:00Z", "2025-12-31T00:00:00Z"][rng.usize(0..2)];
            scientist.post(
                "/v1/discoveries",
                json!({ "title": format!("D {}", made.len()), "modality": "device", "lab_id": cast.labs[lab],
                        "visibility": visibility, "effective_at": effective_at }),
            )
        }
        3..5 => cast.kim.post(
            "/v1/trials",
            json!({ "brief_title": format!("T {}", made.len()), "study_type": "INTERVENTIONAL", "phases": ["NA"],
                    "clinic_id": cast.clinic, "references": evidence }),
        ),
        5 => match any(rng, made, "/trials/") {
            Some(trial) => {
                let supersedes = any(rng, made, "/findings/").filter(|_| rng.bool());
                let supersedes = supersedes.map(|path| path.rsplit('/').next().unwrap().to_owned());
                cast.kim.post(
                    &format!("{trial}/findings"),
                    json!({ "kind": "efficacy", "title": "F", "narrative": "N", "observed_on": "2026-01-02",
                            "supersedes_id": supersedes }),
                )
            }
            None => return,
        },
        6 => match any(rng, made, "/findings/") {
            Some(finding) => cast.kim.post(
                "/v1/insights",
                json!({ "title": "I", "question": "Q", "rationale": "R", "lab_id": cast.labs[lab],
                        "finding_ids": [finding.rsplit('/').next()] }),
            ),
            None => return,
        },
        7 => match any(rng, made, "/discoveries/") {
            Some(discovery) => scientist.post(
                "/v1/pairings",
                json!({ "discovery_id": discovery.rsplit('/').next(), "kind": "clinical_lead",
                        "clinician_id": cast.kim.id, "message": "Shall we?" }),
            ),
            None => return,
        },
        8 => match any(rng, made, "/discoveries/") {
            Some(path) => {
                let version = cast.admin.get(&path).expect(200).version();
                scientist.patch(&path, version, json!({ "trl": rng.u8(1..=9), "tags": [format!("t{}", made.len())] }))
            }
            None => return,
        },
        9 => match any(rng, made, "/discoveries/") {
            Some(path) => {
                let records = json!([{ "kind": "discovery", "id": path.rsplit('/').next() }]);
                let offer = cast.ada.post(
                    "/v1/ownership-transfers",
                    json!({ "to_person_id": cast.bea.id, "reason": "Leave", "records": records }),
                );
                if offer.status != 201 {
                    return;
                }
                cast.bea.post(&format!("/v1/ownership-transfers/{}/accept", offer.id()), json!({}))
            }
            None => return,
        },
        10 => match any(rng, made, "/discoveries/") {
            Some(path) => {
                let to = ["logged", "validated", "preclinical", "efficacy"][rng.usize(0..4)];
                cast.admin.signs(
                    &path,
                    "correction",
                    json!({ "to": to, "move": "correct", "reason": "Entered wrongly" }),
                )
            }
            None => return,
        },
        11 => match any(rng, made, "/findings/") {
            Some(path) if rng.bool() => cast.kim.signs(&path, "authorship", json!({ "to": "signed" })),
            Some(path) => cast.kim.signs(&path, "retraction", json!({ "to": "retracted", "reason": "Wrong assay" })),
            None => return,
        },
        12..15 => match any(rng, made, "/discoveries/") {
            Some(path) => {
                let to = ["validated", "preclinical", "on_hold"][rng.usize(0..3)];
                let mut body = json!({ "to": to, "evidence": evidence, "effective_at": "2026-02-01T00:00:00Z" });
                if to == "on_hold" {
                    body = json!({ "to": to, "reason": "Reagent" });
                }
                scientist.moves_as(&cast.admin, &path, body)
            }
            None => return,
        },
        15..18 => match any(rng, made, "/trials/") {
            Some(path) => {
                let to = ["RECRUITING", "ACTIVE_NOT_RECRUITING", "COMPLETED"][rng.usize(0..3)];
                cast.kim.moves(&path, json!({ "to": to }))
            }
            None => return,
        },
        _ => match any(rng, made, "/insights/").or_else(|| any(rng, made, "/pairings/")) {
            Some(path) if path.contains("pairings") => cast.kim.moves(&path, json!({ "to": "accepted" })),
            Some(path) if rng.bool() => cast.kim.moves(&path, json!({ "to": "submitted" })),
            Some(path) => cast.bea.moves_as(&cast.admin, &path, json!({ "to": "acknowledged" })),
            None => return,
        },
    };
    assert!(reply.status < 500, "{:#}", reply.body);
    if reply.status == 201
        && let Some(own) = reply.body["links"]["self"].as_str()
    {
        made.push(own.to_owned());
    }
}

impl Actor {
    /// Moves a record at the version that somebody else read, who may see it.
    fn moves_as(&self, reader: &Actor, path: &str, body: Value) -> crate::support::Reply {
        let version = reader.get(path).expect(200).version();
        self.versioned("POST", &format!("{path}/transitions"), version, body)
    }
}

/// Everything that is asked about a moment, by the path it is asked at.
fn questions(cast: &Cast, made: &[String]) -> Vec<String> {
    let period = "from=2020-01-01T00:00:00Z&to=2030-01-01T00:00:00Z";
    let mut paths: Vec<String> = made.iter().map(|path| format!("{path}?")).collect();
    let list = "limit=200&sort=code";
    for filter in [
        "discoveries?".to_owned(),
        "discoveries?stage=logged&stage=on_hold&".into(),
        "discoveries?stage=validated&".into(),
        format!("discoveries?lab_id={}&", cast.labs[0]),
        format!("discoveries?owner_id={}&", cast.bea.id),
        format!("discoveries?owner_id={}&stage=logged&lab_id={}&", cast.ada.id, cast.labs[0]),
        "trials?".into(),
        "trials?overall_status=RECRUITING&".into(),
        format!("trials?clinic_id={}&owner_id={}&", cast.clinic, cast.kim.id),
        "findings?state=signed&".into(),
        "findings?state=draft&state=superseded&".into(),
        "insights?state=submitted&".into(),
        format!("insights?lab_id={}&", cast.labs[1]),
        "pairings?state=proposed&".into(),
    ] {
        paths.push(format!("/v1/{filter}{list}"));
    }
    paths.push(format!("/v1/pipeline/overview?{period}"));
    paths.push(format!("/v1/pipeline/overview?{period}&lab_id={}", cast.labs[1]));
    paths.push(format!("/v1/pipeline/funnel?{period}"));
    paths
}

/// What is the same whenever it is asked: without the moment itself and what a trial's people should look at today.
fn lasting(mut answer: Value) -> Value {
    fn strip(record: &mut Value) {
        if let Some(members) = record.as_object_mut() {
            members.retain(|name, _| !["as_of_size", "erased", "as_of", "warnings"].contains(&&**name));
            members.values_mut().for_each(strip);
        } else if let Some(members) = record.as_array_mut() {
            members.iter_mut().for_each(strip);
        }
    }
    strip(&mut answer);
    answer
}

fn answers(who: &Actor, paths: &[String], as_of: Option<Time>) -> BTreeMap<String, Value> {
    let ask = |path: &String| {
        let asked = as_of.map_or_else(|| path.clone(), |at| format!("{path}&as_of={at}"));
        let reply = who.get(&asked);
        assert!([200, 404].contains(&reply.status), "{asked}: {:#}", reply.body);
        let body = if reply.status == 200 { lasting(reply.body) } else { Value::Null };
        (path.clone(), body)
    };
    paths.iter().map(ask).collect()
}

fn what_was_answered_is_answered_again(app: &TestApp) {
    let cast = cast(app);
    for seed in 1..=3 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut made, mut pictures) = (Vec::new(), Vec::new());
        for round in 0..60 {
            act(&mut rng, &cast, &mut made);
            if round % 12 == 11 {
                let at = moment(app);
                let paths = questions(&cast, &made);
                for who in [&cast.admin, &cast.ada] {
                    pictures.push((who, at, answers(who, &paths, None)));
                }
            }
        }
        let at = moment(app);
        settles(app, pictures.last().unwrap().1);
        for (who, then, picture) in &pictures {
            let paths: Vec<String> = picture.keys().cloned().collect();
            let again = answers(who, &paths, Some(*then));
            for (path, was) in picture {
                assert_eq!(&again[path], was, "seed {seed}, {} as of {then}, asked at {at}: {path}", who.name);
            }
        }
        replayed(&cast.admin, &made, &pictures.iter().map(|(_, then, _)| *then).collect::<Vec<_>>(), seed);
    }
}

/// A record as of each moment is what its history says when it is read up to there.
fn replayed(who: &Actor, made: &[String], moments: &[Time], seed: u64) {
    for path in made {
        let history = who.get(&format!("{path}/history?limit=200")).expect(200).body;
        let own = path.rsplit('/').next().unwrap();
        let mut entries: Vec<&Value> =
            history["data"].as_array().unwrap().iter().filter(|e| e["record"]["id"] == own).collect();
        entries.reverse();
        for then in moments {
            let was = who.get(&format!("{path}?as_of={then}"));
            let mut content = Map::new();
            let mut version = 0;
            let size = was.body["as_of_size"].as_i64().unwrap_or(i64::MAX);
            let known = |e: &&&Value| match was.status {
                200 => e["leaf_index"].as_i64().unwrap() < size,
                _ => e["recorded_at"].as_str().unwrap() <= then.to_string().as_str(),
            };
            for entry in entries.iter().filter(known) {
                version = entry["version"].as_i64().unwrap();
                for change in entry["changes"].as_array().unwrap() {
                    content.insert(change["field"].as_str().unwrap().to_owned(), change["after"].clone());
                }
            }
            assert_eq!(was.status == 200, version > 0, "seed {seed}: {path} as of {then}");
            if version == 0 {
                continue;
            }
            assert_eq!(was.version(), version, "seed {seed}: {path} as of {then}");
            for field in ["title", "stage", "state", "overall_status", "trl", "tags", "stage_entered_at", "visibility"]
            {
                if let (Some(told), Some(replayed)) = (was.body.get(field), content.get(field)) {
                    assert_eq!(told, replayed, "seed {seed}: {field} of {path} as of {then}");
                }
            }
            for (field, neighbour) in [("lab_id", "lab"), ("clinic_id", "clinic"), ("owner_id", "owner")] {
                if let (Some(told), Some(replayed)) = (was.body.get(neighbour), content.get(field)) {
                    assert_eq!(&told["id"], replayed, "seed {seed}: {field} of {path} as of {then}");
                }
            }
        }
    }
}

fn a_version_that_was_hidden_stays_hidden(app: &TestApp) {
    let cast = cast(app);
    let pat = app.partner("Pat Moss", app.sponsor("Biotech Inc"));
    let made = cast.ada.post(
        "/v1/discoveries",
        json!({ "title": "Secret", "modality": "device", "lab_id": cast.labs[0], "visibility": "confidential" }),
    );
    let path = made.expect(201).body["links"]["self"].as_str().unwrap().to_owned();
    let secret = moment(app);
    cast.ada.patch(&path, 1, json!({ "title": "Open", "visibility": "public" })).expect(200);
    let open = moment(app);
    settles(app, open);
    assert_eq!(pat.get(&path).expect(200).body["title"], "Open");
    assert_eq!(pat.get(&format!("{path}?as_of={open}")).expect(200).body["title"], "Open");
    pat.get(&format!("{path}?as_of={secret}")).refused(404, "not_found");
    assert_eq!(cast.bea.get(&format!("{path}?as_of={secret}")).expect(200).body["title"], "Secret");
    let listed =
        |at: Time| pat.get(&format!("/v1/discoveries?as_of={at}")).expect(200).body["data"].as_array().unwrap().len();
    assert_eq!((listed(secret), listed(open)), (0, 1));
    let live = |at: Time| {
        let overview = pat.get(&format!("/v1/pipeline/overview?as_of={at}")).expect(200).body;
        let rows = overview["stages"].as_array().unwrap().clone();
        rows.iter().find(|row| row["kind"] == "discovery" && row["stage"] == "logged").unwrap()["live"].clone()
    };
    assert_eq!((live(secret), live(open)), (json!(0), json!(1)));
}

fn a_record_hidden_since_is_hidden_in_its_past(app: &TestApp) {
    let cast = cast(app);
    let stranger = app.scientist("Sue Frost", app.lab("Another Lab"));
    let made = cast.ada.post(
        "/v1/discoveries",
        json!({ "title": "Seen once", "modality": "device", "lab_id": cast.labs[0], "visibility": "internal" }),
    );
    let path = made.expect(201).body["links"]["self"].as_str().unwrap().to_owned();
    let then = moment(app);
    settles(app, then);
    stranger.get(&format!("{path}?as_of={then}")).expect(200);
    cast.ada.patch(&path, 1, json!({ "visibility": "confidential" })).expect(200);
    stranger.get(&format!("{path}?as_of={then}")).refused(404, "not_found");
    assert_eq!(stranger.get(&format!("/v1/discoveries?as_of={then}")).expect(200).body["data"], json!([]));
    assert_eq!(cast.ada.get(&format!("{path}?as_of={then}")).expect(200).body["visibility"], "internal");
}

fn what_as_of_refuses(app: &TestApp) {
    let before = moment(app);
    let cast = cast(app);
    let made = cast.ada.post("/v1/discoveries", json!({ "title": "D", "modality": "device", "lab_id": cast.labs[0] }));
    let path = made.expect(201).body["links"]["self"].as_str().unwrap().to_owned();
    let now = moment(app);
    cast.ada.get(&format!("{path}?as_of={now}")).refused(422, "invalid"); // what is signed by then may not be there yet
    settles(app, now);
    for asked in [
        format!("{path}?as_of=2999-01-01T00:00:00Z"),
        format!("{path}?as_of=yesterday"),
        "/v1/discoveries?as_of=2999-01-01T00:00:00Z".into(),
        format!("/v1/discoveries?as_of={now}&q=motor"),
        format!("/v1/discoveries?as_of={now}&sort=title"),
        format!("/v1/discoveries?as_of={now}&count=true"),
        "/v1/pipeline/overview?as_of=2999-01-01T00:00:00Z".into(),
    ] {
        cast.ada.get(&asked).refused(422, "invalid");
    }
    cast.ada.get(&format!("/v1/lifecycles/translational?as_of={now}")).refused(400, "unknown_parameter");
    // Before it was recorded it was not there, and before the first checkpoint nothing was.
    cast.ada.get(&format!("{path}?as_of={before}")).refused(404, "not_found");
    let empty = cast.ada.get("/v1/discoveries?as_of=1990-01-01T00:00:00Z").expect(200).body;
    assert_eq!(empty, json!({ "data": [], "next_cursor": null, "as_of_size": 0, "erased": [] }));
    // The version is named, and so is the size.
    let was = cast.ada.get(&format!("{path}?as_of={now}")).expect(200);
    assert_eq!(was.header("etag"), Some("\"1\""));
    assert_eq!(was.body["as_of_size"], settled(app).size);
    assert_eq!(cast.ada.get(&path).expect(200).body.get("as_of_size"), None);
}

fn pages_of_the_past_hold_each_record_once(app: &TestApp) {
    let cast = cast(app);
    let mut made = Vec::new();
    for n in 0..23 {
        let new = json!({ "title": format!("D {n}"), "modality": "device", "lab_id": cast.labs[0] });
        made.push(cast.ada.post("/v1/discoveries", new).expect(201).id());
    }
    let then = moment(app);
    for id in made.iter().step_by(2) {
        cast.ada.moves(&format!("/v1/discoveries/{id}"), json!({ "to": "on_hold", "reason": "Reagent" })).expect(201);
    }
    let new = json!({ "title": "Later", "modality": "device", "lab_id": cast.labs[0] });
    cast.ada.post("/v1/discoveries", new).expect(201);
    let now = moment(app);
    settles(app, now);
    for (as_of, stage, expected) in
        [(then, "logged", 23), (then, "on_hold", 0), (now, "logged", 12), (now, "on_hold", 12)]
    {
        for sort in ["code", "-code", "created_at", "-created_at"] {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let path = format!("/v1/discoveries?stage={stage}&as_of={as_of}&limit=5&sort={sort}{cursor}");
                let page = cast.ada.get(&path).expect(200).body;
                seen.extend(page["data"].as_array().unwrap().iter().map(|d| d["id"].as_str().unwrap().to_owned()));
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            let mut once = seen.clone();
            once.sort();
            once.dedup();
            assert_eq!((seen.len(), once.len()), (expected, expected), "{stage} by {sort}");
        }
    }
}

fn effective_and_recorded_time_are_kept_apart(app: &TestApp) {
    let cast = cast(app);
    let new = json!({ "title": "Old", "modality": "device", "lab_id": cast.labs[0],
                      "effective_at": "2024-05-01T00:00:00Z" });
    let made = cast.ada.post("/v1/discoveries", new).expect(201);
    let path = made.body["links"]["self"].as_str().unwrap().to_owned();
    let then = moment(app);
    let evidence = json!([{ "kind": "doi", "value": "10.1038/s41586-020-2649-2" }]);
    let back_dated = json!({ "to": "validated", "evidence": evidence, "effective_at": "2025-01-01T00:00:00Z" });
    cast.ada.moves(&path, back_dated).expect(201);
    let now = moment(app);
    settles(app, now);
    // It took effect in 2025, and nobody knew of it then.
    assert_eq!(cast.ada.get(&format!("{path}?as_of={then}")).expect(200).body["stage"], "logged");
    let known = cast.ada.get(&format!("{path}?as_of={now}")).expect(200).body;
    assert_eq!(known["stage"], "validated");
    assert_eq!(known["stage_entered_at"], "2025-01-01T00:00:00.000000Z");
    cast.ada.get(&format!("{path}?as_of=2025-06-01T00:00:00Z")).refused(404, "not_found");
    let entered = |at: Time| {
        let period = "from=2024-12-01T00:00:00Z&to=2025-02-01T00:00:00Z";
        let overview = cast.ada.get(&format!("/v1/pipeline/overview?{period}&as_of={at}")).expect(200).body;
        let rows = overview["stages"].as_array().unwrap().clone();
        rows.iter().find(|row| row["stage"] == "validated").unwrap()["entered"].clone()
    };
    assert_eq!((entered(then), entered(now)), (json!(0), json!(1)));
}
