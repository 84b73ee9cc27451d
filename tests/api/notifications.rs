//! Notifications: what happened to what one owns and follows, each event once, and nothing that is hidden now.
use crate::{
    ledger::settled,
    support::{Actor, TestApp, on_both_engines},
};
use benchside::{
    http::edge::Edge,
    id::OrganizationId,
    ledger::feed::{Position, log_with},
    notice::store,
};
use serde_json::{Value, json};

on_both_engines!(
    random_acts_are_told_once_to_whom_they_concern,
    what_was_hidden_since_is_not_told,
    what_was_read_stays_read_until_it_is_said_otherwise,
    one_follows_what_one_sees_and_follows_it_once,
    a_token_hears_of_the_kinds_it_is_for,
    so_many_are_followed_and_counted_and_no_more,
    what_was_read_stays_read_in_a_new_generation,
    what_is_far_back_in_the_log_is_found,
    a_position_that_another_node_shows_is_known,
);

fn follow(who: &Actor, body: Value) -> String {
    who.post("/v1/me/subscriptions", body).expect(201).id()
}

/// Every notification, newest first, read page by page.
fn notices(app: &TestApp, who: &Actor, limit: usize) -> Vec<Value> {
    settled(app);
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = who.get(&format!("/v1/me/notifications?limit={limit}{cursor}")).expect(200).body;
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= limit);
        found.extend(data.iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { return found };
        cursor = format!("&cursor={next}");
    }
}

fn unread(app: &TestApp, who: &Actor) -> u64 {
    settled(app);
    who.get("/v1/me/notifications?limit=1").expect(200).body["unread"].as_u64().unwrap()
}

fn mark(who: &Actor, read_until: &str) -> crate::support::Reply {
    let body = json!({ "read_until": read_until }).to_string();
    let headers = [("content-type", "application/merge-patch+json")];
    who.send("PATCH", "/v1/me/notifications", &headers, Some(body.as_bytes()))
}

fn discovery(lab: OrganizationId, als: bool) -> Value {
    let conditions = if als { json!([{ "name": "ALS", "mesh": "D000690" }]) } else { json!([]) };
    json!({ "title": "A", "modality": "biologic", "lab_id": lab, "conditions": conditions })
}

/// A discovery as the test knows it.
struct Known {
    id: String,
    owner: usize,
    als: bool,
}

/// What follows what from which leaf on.
#[derive(Default)]
struct Followed {
    lab: Option<u64>,
    condition: Option<u64>,
    record: Option<(String, u64)>,
}

impl Followed {
    fn because(&self, known: &Known, index: u64) -> Vec<&'static str> {
        let since = |from: Option<u64>| from.is_some_and(|from| index >= from);
        let record = self.record.as_ref().filter(|(id, _)| *id == known.id).map(|(_, from)| *from);
        let reasons = [
            ("owner", known.owner == READER),
            ("record", since(record)),
            ("lab", known.owner == OTHER && since(self.lab)),
            ("condition", known.als && since(self.condition)),
        ];
        reasons.into_iter().filter(|(_, holds)| *holds).map(|(name, _)| name).collect()
    }
}

const COLLEAGUE: usize = 0;
const READER: usize = 1;
const OTHER: usize = 2;

fn random_acts_are_told_once_to_whom_they_concern(app: &TestApp) {
    let (lab, other) = (app.lab("Motor Neuron Lab"), app.lab("Another Lab"));
    let people =
        [app.scientist("Ada Okafor", lab), app.scientist("Bea Reader", lab), app.scientist("Cleo Other", other)];
    let bea = &people[READER];
    let mut random = fastrand::Rng::with_seed(20260301);
    let (mut known, mut followed): (Vec<Known>, Followed) = (Vec::new(), Followed::default());
    for step in 0..60 {
        let size = settled(app).size;
        match step {
            15 => {
                follow(bea, json!({ "lab_id": other }));
                followed.lab = Some(size);
            }
            25 => {
                follow(bea, json!({ "condition": { "mesh": "D000690" } }));
                follow(bea, json!({ "condition": { "name": "als" } }));
                followed.condition = Some(size);
            }
            35 => {
                let id = known[0].id.clone();
                follow(bea, json!({ "record": { "kind": "discovery", "id": id } }));
                followed.record = Some((id, size));
            }
            _ => {}
        }
        if step < 6 || random.u8(..10) < 3 {
            let (owner, als) = (random.usize(0..3), random.bool());
            let new = discovery(if owner == OTHER { other } else { lab }, als);
            known.push(Known { id: people[owner].post("/v1/discoveries", new).expect(201).id(), owner, als });
            continue;
        }
        let of = &known[random.usize(..known.len())];
        // Colleagues revise each other's; one of the other lab may be hidden from the reader or shown again.
        let who = if of.owner == OTHER { OTHER } else { random.usize(COLLEAGUE..=READER) };
        let patch = match random.u8(..4) {
            0 if of.owner == OTHER => json!({ "visibility": "confidential" }),
            1 if of.owner == OTHER => json!({ "visibility": "internal" }),
            _ => json!({ "summary": format!("At length, {step}") }),
        };
        let path = format!("/v1/discoveries/{}", of.id);
        people[who].patch(&path, people[who].get(&path).expect(200).version(), patch).expect(200);
    }
    settled(app);
    let feed = bea.get("/v1/events?limit=200&kind=discovery").expect(200).body;
    let mut expected: Vec<(String, Value)> = Vec::new();
    for event in feed["data"].as_array().unwrap().iter().rev() {
        let of = known.iter().find(|k| event["data"]["record"]["id"] == *k.id).unwrap();
        let because = followed.because(of, event["data"]["leaf_index"].as_u64().unwrap());
        if event["data"]["by"]["id"] != bea.id.to_string() && !because.is_empty() {
            expected.push((event["sequence"].as_str().unwrap().to_owned(), json!([because, event["data"]])));
        }
    }
    assert!(expected.len() > 15 && expected.iter().any(|(_, told)| told[0].as_array().unwrap().len() > 1));
    for limit in [1, 7, 200] {
        let found: Vec<_> = notices(app, bea, limit)
            .iter()
            .map(|n| (n["sequence"].as_str().unwrap().to_owned(), json!([n["because"], n["event"]])))
            .collect();
        assert_eq!(found, expected, "in pages of {limit}");
    }
    assert_eq!(unread(app, bea), expected.len() as u64);
}

fn what_was_hidden_since_is_not_told(app: &TestApp) {
    let other = app.lab("Another Lab");
    let (bea, cleo) = (app.scientist("Bea Lind", app.lab("Motor Neuron Lab")), app.scientist("Cleo Other", other));
    let id = cleo.post("/v1/discoveries", discovery(other, true)).expect(201).id();
    let path = format!("/v1/discoveries/{id}");
    for body in [
        json!({ "record": { "kind": "discovery", "id": id } }),
        json!({ "lab_id": other }),
        json!({ "condition": { "name": "ALS" } }),
    ] {
        follow(&bea, body);
    }
    cleo.patch(&path, 1, json!({ "trl": 2 })).expect(200);
    let told = notices(app, &bea, 50);
    assert_eq!((told.len(), unread(app, &bea)), (1, 1));
    assert_eq!(told[0]["because"], json!(["record", "lab", "condition"]), "once, for three reasons");
    assert_eq!(told[0]["event"]["changes"][0]["field"], "trl");
    cleo.patch(&path, 2, json!({ "visibility": "confidential" })).expect(200);
    assert_eq!((notices(app, &bea, 50), unread(app, &bea)), (vec![], 0));
    assert_eq!(notices(app, &cleo, 50), Vec::<Value>::new(), "they are acts of her own");
    cleo.patch(&path, 3, json!({ "visibility": "internal" })).expect(200);
    assert!(unread(app, &bea) > 0);
}

/// One whose discovery another has revised four times, that other, the discovery, and what its owner is told of it.
fn revised_four_times(app: &TestApp) -> (Actor, Actor, String, Vec<Value>) {
    let lab = app.lab("Motor Neuron Lab");
    let (ada, bo) = (app.scientist("Ada Okafor", lab), app.scientist("Bo Lindqvist", lab));
    let path = format!("/v1/discoveries/{}", ada.post("/v1/discoveries", discovery(lab, false)).expect(201).id());
    for version in 1..=4 {
        bo.patch(&path, version, json!({ "trl": version })).expect(200);
    }
    let told = notices(app, &ada, 50);
    (ada, bo, path, told)
}

/// A node may be asked for what another has told, before it has looked at the log again.
fn a_position_that_another_node_shows_is_known(app: &TestApp) {
    let lab = app.lab("Motor Neuron Lab");
    let behind = settled(app);
    app.scientist("Ada Okafor", lab).post("/v1/discoveries", discovery(lab, false)).expect(201);
    let newest = settled(app);
    let sizes = |generation: i64, index: u64| {
        let behind = behind.clone();
        app.read(move |conn| {
            let found = log_with(conn, Position { generation, index }, &behind)?;
            Ok(found.map(|log| log.size))
        })
    };
    assert_eq!(sizes(1, behind.size - 1), Some(behind.size));
    assert_eq!(sizes(1, newest.size - 1), Some(newest.size));
    assert_eq!((sizes(1, newest.size), sizes(2, 0)), (None, None));
}

/// The newest leaves are looked at first, then as far back as there is less than was asked for.
fn what_is_far_back_in_the_log_is_found(app: &TestApp) {
    let (ada, _, _, told) = revised_four_times(app);
    let places: Vec<i64> = told.iter().map(|n| n["sequence"].as_str().unwrap()[2..].parse().unwrap()).collect();
    // As in a log in which much happened between the events, and since.
    let (middle, far, end) = (places[1], 100_000, 1_000_000);
    app.sql(format!(
        "INSERT INTO log_generation SELECT 2, origin || '/2', verifier, started_at FROM log_generation;
         INSERT INTO log_leaf (generation, position, enqueued) SELECT 2, CASE WHEN position < {middle} THEN position
         ELSE position + {far} END, enqueued FROM log_leaf WHERE generation = 1 AND enqueued IS NOT NULL"
    ));
    let moved = |place: &i64| if *place >= middle { place + far } else { *place };
    let expected: Vec<i64> = places.iter().map(moved).collect();
    let found = |from: i64, most: usize| {
        let who = ada.id;
        let found = app.read(move |conn| store::concerning(conn, who, 2, from..end, most));
        found.into_iter().map(|(position, _)| position).collect::<Vec<_>>()
    };
    assert_eq!(found(0, 10), expected);
    assert_eq!(found(0, 3), expected[..3]);
    assert_eq!(found(expected[2] + 1, 10), expected[..2]);
    assert!(found(expected[0] + 1, 10).is_empty());
}

fn what_was_read_stays_read_until_it_is_said_otherwise(app: &TestApp) {
    let (ada, bo, path, told) = revised_four_times(app);
    assert_eq!((told.len(), unread(app, &ada)), (4, 4), "what one owns needs no subscription");
    assert!(told.iter().all(|n| n["read"] == false && n["because"] == json!(["owner"])));
    let sequence = told[1]["sequence"].as_str().unwrap();
    let marked = mark(&ada, sequence).expect(200).body;
    assert_eq!(marked, json!({ "read_until": sequence, "unread": 1 }));
    let reads: Vec<_> = notices(app, &ada, 2).iter().map(|n| n["read"].clone()).collect();
    assert_eq!(reads, [false, true, true, true]);
    bo.patch(&path, 5, json!({ "trl": 6 })).expect(200);
    assert_eq!(unread(app, &ada), 2);
    let size = settled(app).size;
    assert_eq!(mark(&ada, &format!("1-{}", size - 1)).expect(200).body["unread"], 0);
    assert_eq!(mark(&ada, "1-0").expect(200).body["unread"], 5, "unread again");
    for (text, code) in
        [("41".to_owned(), "invalid_format"), (format!("1-{size}"), "out_of_range"), ("2-0".to_owned(), "out_of_range")]
    {
        let problem = mark(&ada, &text).refused(422, "invalid");
        assert_eq!(
            (&problem["errors"][0]["pointer"], &problem["errors"][0]["code"]),
            (&json!("/read_until"), &json!(code))
        );
    }
    assert_eq!(unread(app, &bo), 0, "each reads for themself");
    ada.get("/v1/me/notifications?cursor=next").refused(422, "invalid");
    ada.get(&format!("/v1/me/notifications?cursor=1-{size}")).refused(422, "invalid");
}

fn one_follows_what_one_sees_and_follows_it_once(app: &TestApp) {
    let other = app.lab("Another Lab");
    let (bea, cleo) = (app.scientist("Bea Lind", app.lab("Motor Neuron Lab")), app.scientist("Cleo Other", other));
    let hidden = json!({ "title": "B", "modality": "device", "lab_id": other, "visibility": "confidential" });
    let hidden = cleo.post("/v1/discoveries", hidden).expect(201).id();
    let fault = |body: Value| {
        let problem = bea.post("/v1/me/subscriptions", body).refused(422, "invalid");
        problem["errors"].clone()
    };
    let record = |id: &str| json!({ "record": { "kind": "discovery", "id": id } });
    assert_eq!(fault(record(&hidden)), fault(record(&uuid::Uuid::now_v7().to_string())), "hidden is as none");
    assert_eq!(fault(record(&hidden))[0]["pointer"], "/record/id");
    assert_eq!(fault(json!({ "lab_id": app.clinic("A Clinic") }))[0]["pointer"], "/lab_id");
    for body in [
        json!({}),
        json!({ "lab_id": other, "condition": { "name": "ALS" } }),
        json!({ "condition": {} }),
        json!({ "condition": { "name": "ALS", "mesh": "D000690" } }),
    ] {
        assert_eq!(fault(body)[0]["code"], "required");
    }
    let first = follow(&bea, json!({ "condition": { "mesh": "D000690" } }));
    let again = json!({ "condition": { "mesh": "D000000690" } });
    assert_eq!(bea.post("/v1/me/subscriptions", again).expect(200).id(), first, "spelled otherwise it is the same");
    let second = follow(&bea, json!({ "lab_id": other }));
    let listed = |who: &Actor| -> Vec<String> {
        let found = who.get("/v1/me/subscriptions").expect(200).body;
        found["data"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((listed(&bea), listed(&cleo)), (vec![second, first.clone()], vec![]));
    let end = |who: &Actor| who.send("DELETE", &format!("/v1/me/subscriptions/{first}"), &[], None);
    end(&cleo).refused(404, "not_found");
    end(&bea).expect(204);
    end(&bea).refused(404, "not_found");
    assert_eq!(listed(&bea).len(), 1);
}

fn a_token_hears_of_the_kinds_it_is_for(app: &TestApp) {
    let lab = app.lab("Motor Neuron Lab");
    let (ada, bo) = (app.scientist("Ada Okafor", lab), app.scientist("Bo Lindqvist", lab));
    let id = ada.post("/v1/discoveries", discovery(lab, false)).expect(201).id();
    bo.patch(&format!("/v1/discoveries/{id}"), 1, json!({ "trl": 2 })).expect(200);
    let with = |scope: &str| {
        let new = json!({ "name": "Nightly", "scopes": [scope], "expires_at": app.app.clock.now().plus_days(1) });
        let made = ada.post("/v1/auth/tokens", new).expect(201);
        Actor { token: made.body["token"].as_str().unwrap().to_owned(), ..ada.clone() }
    };
    assert_eq!((notices(app, &with("discoveries:read"), 50).len(), unread(app, &with("discoveries:read"))), (1, 1));
    assert_eq!((notices(app, &with("trials:read"), 50).len(), unread(app, &with("trials:read"))), (0, 0));
    mark(&with("discoveries:write"), "1-0").refused(403, "not_permitted");
    mark(&with("read"), "1-0").refused(403, "not_permitted");
    mark(&with("write"), "1-0").expect(200);
    with("discoveries:read").get("/v1/me/subscriptions").refused(403, "not_permitted");
    with("read").get("/v1/me/subscriptions").expect(200);
}

fn so_many_are_followed_and_counted_and_no_more(app: &TestApp) {
    let lab = app.lab("Motor Neuron Lab");
    let (ada, bo) = (app.scientist("Ada Okafor", lab), app.scientist("Bo Lindqvist", lab));
    follow(&ada, json!({ "lab_id": lab }));
    for n in 1..500 {
        follow(&ada, json!({ "condition": { "name": format!("Condition {n}") } }));
    }
    let one_more = json!({ "condition": { "name": "One more" } });
    ada.post("/v1/me/subscriptions", one_more).refused(409, "conflict");
    ada.post("/v1/me/subscriptions", json!({ "lab_id": lab })).expect(200);
    let path = format!("/v1/discoveries/{}", bo.post("/v1/discoveries", discovery(lab, true)).expect(201).id());
    for version in 1..=200 {
        bo.patch(&path, version, json!({ "trl": 1 + version % 9 })).expect(200);
    }
    assert_eq!(unread(app, &ada), 200, "or more");
    let told = notices(app, &ada, 200);
    assert_eq!(told.len(), 201);
    assert_eq!(mark(&ada, told[1]["sequence"].as_str().unwrap()).expect(200).body["unread"], 1);
}

fn what_was_read_stays_read_in_a_new_generation(app: &TestApp) {
    let (ada, _, _, told) = revised_four_times(app);
    mark(&ada, told[2]["sequence"].as_str().unwrap()).expect(200);
    let node = crate::ledger::in_a_new_generation(app, Edge { rate_limit: 0, ..Edge::default() });
    let ada = ada.at(&node);
    ada.get("/v1/me/notifications?cursor=1-1").refused(410, "feed_reset");
    // The last event is not among what was kept; it waits and comes behind it.
    crate::ledger::wait_for(&node, |shown| shown.size == settled_size(&told) + 1);
    let page = ada.get("/v1/me/notifications").expect(200).body;
    let reads: Vec<_> = page["data"].as_array().unwrap().iter().map(|n| n["read"].clone()).collect();
    assert_eq!((reads, &page["unread"]), (vec![json!(false), json!(false), json!(true), json!(true)], &json!(2)));
    let sequence = page["data"][0]["sequence"].as_str().unwrap();
    assert!(sequence.starts_with("2-"), "{sequence}");
    mark(&ada, told[0]["sequence"].as_str().unwrap()).refused(410, "feed_reset");
    assert_eq!(mark(&ada, sequence).expect(200).body["unread"], 0);
}

/// How many leaves the log had when the newest of these was its last.
fn settled_size(told: &[Value]) -> u64 {
    told[0]["sequence"].as_str().unwrap().strip_prefix("1-").unwrap().parse::<u64>().unwrap() + 1
}
