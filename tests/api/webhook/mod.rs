//! Webhooks: who is told what, in which order, how it is signed, and what happens when nobody listens.
mod kept;
mod receiver;
mod worker;

use crate::{
    ledger::settled,
    recall,
    support::{Actor, Reply, TestApp, on_both_engines, world},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use benchside::{app::Clock, http::edge::Edge, vocabulary::Role, webhook::deliver};
use receiver::{Received, Receiver};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};

on_both_engines!(
    a_delivery_is_signed_and_says_what_the_feed_says,
    a_receiver_that_fails_for_a_while_gets_everything_in_order,
    a_record_that_is_refused_holds_up_no_other,
    it_is_put_aside_after_a_day_and_can_be_asked_for_again,
    what_is_hidden_since_is_not_delivered,
    a_redirect_is_not_followed_and_inside_is_not_reached,
    what_was_sent_and_not_noted_is_sent_again,
    two_nodes_do_not_double_up,
    a_new_secret_signs_beside_the_old_one,
    a_webhook_asks_for_kinds_actions_conditions_and_stewards,
    a_condition_is_asked_of_what_the_owner_sees,
    a_partners_webhook_sees_what_the_partner_sees,
    a_webhook_is_disabled_enabled_and_ended,
    who_sees_a_webhook,
    what_a_webhook_refuses,
    a_webhook_goes_on_in_a_new_generation,
);

/// Where nobody listens.
const NOBODY: &str = "http://127.0.0.1:1/";

/// HMAC-SHA-256 (RFC 2104), written out: the service's own is not asked.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |byte: u8| block.map(|b| b ^ byte);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

fn is_signed_by(got: &Received, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut message = format!("{}.{}.", got.headers["webhook-id"], got.headers["webhook-timestamp"]).into_bytes();
    message.extend(&got.body);
    let expected = format!("v1,{}", STANDARD.encode(hmac(&key, &message)));
    got.headers["webhook-signature"].split(' ').any(|signature| signature == expected)
}

fn subscribe(admin: &Actor, to: &Receiver, more: Value) -> Reply {
    let mut new = json!({ "name": "Dashboard", "url": to.url });
    new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    admin.post("/v1/webhooks", new).expect(201)
}

fn path(webhook: &Reply) -> String {
    format!("/v1/webhooks/{}", webhook.id())
}

/// Everything that can be delivered is delivered.
fn deliver(app: &TestApp) -> usize {
    settled(app);
    app.wait(deliver::round(&app.app)).unwrap()
}

/// What waits may be tried now.
fn hurry(app: &TestApp) {
    let past = if app.url.starts_with("sqlite") { "'2020-01-01T00:00:00.000000Z'" } else { "'2020-01-01T00:00:00Z'" };
    app.sql(format!("UPDATE webhook_delivery SET next_at = {past}"));
}

fn states(who: &Actor, webhook: &Reply) -> Vec<String> {
    let page = who.get(&format!("{}/deliveries?limit=200&sort=sequence", path(webhook))).expect(200).body;
    page["data"].as_array().unwrap().iter().map(|d| d["state"].as_str().unwrap().to_owned()).collect()
}

struct Scene {
    admin: Actor,
    ada: Actor,
    lab: benchside::id::OrganizationId,
    receiver: Receiver,
}

fn scene(app: &TestApp) -> Scene {
    let lab = app.lab("Motor Neuron Lab");
    let scene = Scene {
        admin: app.administrator("Admin"),
        ada: app.scientist("Ada Okafor", lab),
        lab,
        receiver: Receiver::new(),
    };
    settled(app);
    scene
}

impl Scene {
    fn logs(&self, title: &str, more: Value) -> String {
        let mut new = json!({ "title": title, "modality": "biologic", "lab_id": self.lab });
        new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.ada.post("/v1/discoveries", new).expect(201).id()
    }
    fn revises(&self, discovery: &str, title: &str) {
        let path = format!("/v1/discoveries/{discovery}");
        let version = self.ada.get(&path).expect(200).version();
        self.ada.patch(&path, version, json!({ "title": title })).expect(200);
    }
}

fn a_delivery_is_signed_and_says_what_the_feed_says(app: &TestApp) {
    let s = scene(app);
    let webhook = subscribe(&s.admin, &s.receiver, json!({ "kinds": ["discovery"] }));
    let secret = webhook.body["secret"].as_str().unwrap().to_owned();
    assert_eq!((webhook.body["code"].as_str(), webhook.body["delivering"].as_bool()), (Some("W-1"), Some(true)));
    let discovery = s.logs("A protein that misfolds", json!({}));
    assert_eq!(deliver(app), 1);
    let got = s.receiver.take();
    assert_eq!(got.len(), 1);
    let got = &got[0];
    assert!(is_signed_by(got, &secret));
    assert!(!is_signed_by(&Received { body: b"{}".to_vec(), ..got.clone() }, &secret));
    let mut event = got.event();
    assert_eq!(got.headers["content-type"], "application/cloudevents+json; charset=UTF-8");
    assert_eq!(event["id"], got.headers["webhook-id"].as_str());
    let note = STANDARD.decode(event["checkpoint"].as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(note).unwrap(), settled(app).note);
    event.as_object_mut().unwrap().remove("checkpoint");
    let feed = s.admin.get("/v1/events?kind=discovery").expect(200).body;
    assert_eq!(event, feed["data"][0], "what is sent is what the feed says");
    assert_eq!(event["subject"], format!("discoveries/{discovery}"));
    let told = s.admin.get(&format!("{}/deliveries", path(&webhook))).expect(200).body;
    let one = &told["data"][0];
    assert_eq!((&one["state"], &one["attempts"], &one["last_status"]), (&json!("delivered"), &json!(1), &json!(204)));
    assert_eq!((&one["event_id"], &one["sequence"]), (&event["id"], &event["sequence"]));
    assert!(s.admin.get(one["proof"].as_str().unwrap()).expect(200).status == 200);
    // Nothing tells the secret again.
    for path in [path(&webhook), "/v1/webhooks".into(), format!("{}/history", path(&webhook))] {
        assert!(!s.admin.get(&path).expect(200).body.to_string().contains("whsec_"), "{path}");
    }
    assert_eq!(deliver(app), 0, "once is enough");
}

fn a_receiver_that_fails_for_a_while_gets_everything_in_order(app: &TestApp) {
    let s = scene(app);
    let webhook = subscribe(&s.admin, &s.receiver, json!({ "kinds": ["discovery"] }));
    s.receiver.answers(503);
    let discoveries: Vec<String> = (0..3).map(|n| s.logs(&format!("Discovery {n}"), json!({}))).collect();
    for round in 0..3 {
        discoveries.iter().for_each(|id| s.revises(id, &format!("Round {round}")));
        deliver(app);
        hurry(app);
    }
    assert!(!s.receiver.take().is_empty() && states(&s.admin, &webhook).iter().all(|state| state == "pending"));
    let one = &s.admin.get(&format!("{}/deliveries", path(&webhook))).expect(200).body["data"][11];
    assert_eq!((&one["last_status"], &one["last_error"]), (&json!(503), &json!("status")));
    s.receiver.answers(200);
    deliver(app);
    let mut versions: HashMap<String, Vec<i64>> = HashMap::new();
    for got in s.receiver.take() {
        versions.entry(got.subject()).or_default().push(got.event()["data"]["version"].as_i64().unwrap());
    }
    assert_eq!(versions.len(), 3);
    assert!(versions.values().all(|seen| *seen == [1, 2, 3, 4]), "each once and in order: {versions:?}");
    assert_eq!(states(&s.admin, &webhook), vec!["delivered"; 12]);
}

fn a_record_that_is_refused_holds_up_no_other(app: &TestApp) {
    let s = scene(app);
    subscribe(&s.admin, &s.receiver, json!({ "kinds": ["discovery"] }));
    let poison = s.logs("Refused", json!({}));
    let subject = format!("discoveries/{poison}");
    s.receiver.decides(move |got| Receiver::with(if got.subject() == subject { 400 } else { 200 }));
    s.revises(&poison, "Still refused");
    let good = s.logs("Taken", json!({}));
    s.revises(&good, "Taken again");
    deliver(app);
    let got: Vec<String> = s.receiver.take().iter().map(Received::subject).collect();
    let (poisoned, taken) = (format!("discoveries/{poison}"), format!("discoveries/{good}"));
    assert_eq!(got.iter().filter(|subject| **subject == taken).count(), 2);
    assert_eq!(got.iter().filter(|subject| **subject == poisoned).count(), 1, "its later event waits");
}

fn it_is_put_aside_after_a_day_and_can_be_asked_for_again(app: &TestApp) {
    let s = scene(app);
    let webhook = subscribe(&s.admin, &s.receiver, json!({ "kinds": ["discovery"] }));
    let discovery = s.logs("Given up", json!({}));
    s.revises(&discovery, "And then");
    s.receiver.decides(|got| Receiver::with(if got.event()["data"]["version"] == 1 { 500 } else { 200 }));
    deliver(app);
    // A day later.
    let long_ago = "'2020-01-01T00:00:00.000000Z'";
    app.sql(format!(
        "UPDATE webhook_delivery SET first_tried_at = {long_ago}, next_at = {long_ago} WHERE attempts > 0"
    ));
    deliver(app);
    assert_eq!(states(&s.admin, &webhook), ["parked", "delivered"], "later ones go on");
    s.receiver.take();
    s.receiver.answers(200);
    let again = s.admin.post(&format!("{}/redeliver", path(&webhook)), json!({ "from": "1-0" })).expect(202);
    assert_eq!(again.body["count"], 2);
    deliver(app);
    let got = s.receiver.take();
    assert_eq!(got.iter().map(|g| g.event()["data"]["version"].as_i64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(states(&s.admin, &webhook), ["delivered", "delivered"]);
    let redeliver = format!("{}/redeliver", path(&webhook));
    for (body, at) in [
        (json!({ "from": "x-1" }), "/from"),
        (json!({ "from": "1-99999" }), "/from"),
        (json!({ "from": "1-1", "to": "1-0" }), "/to"),
        (json!({}), "/from"),
    ] {
        assert_eq!(s.admin.post(&redeliver, body).refused(422, "invalid")["errors"][0]["pointer"], at);
    }
}

fn what_is_hidden_since_is_not_delivered(app: &TestApp) {
    let s = scene(app);
    let bea = app.scientist("Bea Lind", app.lab("Another Lab"));
    let webhook = subscribe(&s.admin, &s.receiver, json!({ "kinds": ["discovery"], "owner_id": bea.id }));
    s.receiver.answers(500);
    let discovery = s.logs("Open for now", json!({}));
    assert_eq!(deliver(app), 1);
    s.receiver.take();
    let path = format!("/v1/discoveries/{discovery}");
    s.ada.patch(&path, 1, json!({ "visibility": "confidential" })).expect(200);
    s.receiver.answers(200);
    hurry(app);
    deliver(app);
    assert!(s.receiver.take().is_empty());
    assert_eq!(states(&s.admin, &webhook), ["skipped"]);
    assert!(states(&bea, &webhook).is_empty(), "nor does the owner hear of it here");
}

fn a_redirect_is_not_followed_and_inside_is_not_reached(app: &TestApp) {
    let s = scene(app);
    let elsewhere = Receiver::new();
    let webhook = subscribe(&s.admin, &s.receiver, json!({ "kinds": ["discovery"] }));
    let to = elsewhere.url.clone();
    s.receiver.decides(move |_| {
        format!("HTTP/1.1 307 Go\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    });
    s.logs("Sent on", json!({}));
    deliver(app);
    let failed = |error: &str| {
        let page = s.admin.get(&format!("{}/deliveries", path(&webhook))).expect(200).body;
        assert_eq!((&page["data"][0]["state"], &page["data"][0]["last_error"]), (&json!("pending"), &json!(error)));
    };
    failed("redirect");
    assert!(elsewhere.take().is_empty());
    // A node that may not reach the loopback sends nothing there, whatever the webhook says.
    s.receiver.take();
    hurry(app);
    let outside = app.node(Edge { rate_limit: 0, ..Edge::default() }, Clock::system());
    crate::ledger::wait_for(&outside, |_| true);
    app.wait(deliver::round(&outside.app)).unwrap();
    assert!(s.receiver.take().is_empty());
    failed("refused_address");
    // Nor is one made there.
    for (url, code) in [
        (s.receiver.url.clone(), "invalid_format"),
        ("https://127.0.0.1/".into(), "refused_address"),
        ("https://[::ffff:10.0.0.1]/".into(), "refused_address"),
        ("https://169.254.169.254/latest/meta-data".into(), "refused_address"),
        ("https://localhost/".into(), "refused_address"),
        ("https://ada:pw@example.org/".into(), "invalid_format"),
    ] {
        let refused = s.admin.at(&outside).post("/v1/webhooks", json!({ "name": "Inside", "url": url }));
        assert_eq!(refused.refused(422, "invalid")["errors"][0]["code"], code, "{url}");
    }
}

fn what_was_sent_and_not_noted_is_sent_again(app: &TestApp) {
    let s = scene(app);
    let webhook = subscribe(&s.admin, &s.receiver, json!({ "kinds": ["discovery"] }));
    s.logs("Sent twice", json!({}));
    app.refuse("UPDATE", "webhook_delivery", "NEW.state = 'delivered'");
    settled(app);
    assert!(app.wait(deliver::round(&app.app)).is_err());
    assert_eq!((s.receiver.take().len(), states(&s.admin, &webhook)), (1, vec!["pending".to_owned()]));
    let drop =
        if app.url.starts_with("sqlite") { "DROP TRIGGER refused" } else { "DROP TRIGGER refused ON webhook_delivery" };
    app.sql(drop);
    deliver(app);
    assert_eq!((s.receiver.take().len(), states(&s.admin, &webhook)), (1, vec!["delivered".to_owned()]));
}

fn two_nodes_do_not_double_up(app: &TestApp) {
    let s = scene(app);
    subscribe(&s.admin, &s.receiver, json!({ "kinds": ["discovery"] }));
    let other = app.another_node();
    for n in 0..30 {
        s.logs(&format!("Discovery {n}"), json!({}));
    }
    settled(app);
    settled(&other);
    std::thread::scope(|scope| {
        let (one, two) = (app.app.clone().into_inner(), other.app.clone().into_inner());
        for app in [one, two] {
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(deliver::round(&app)).unwrap();
            });
        }
    });
    deliver(app);
    let got: Vec<String> = s.receiver.take().iter().map(|g| g.headers["webhook-id"].clone()).collect();
    assert_eq!((got.len(), got.iter().collect::<BTreeSet<_>>().len()), (30, 30));
}

fn a_new_secret_signs_beside_the_old_one(app: &TestApp) {
    let s = scene(app);
    let webhook = subscribe(&s.admin, &s.receiver, json!({ "kinds": ["discovery"] }));
    let first = webhook.body["secret"].as_str().unwrap().to_owned();
    let secrets = format!("{}/secrets", path(&webhook));
    let headers = [("content-type", "application/json"), ("idempotency-key", "once")];
    let made = s.admin.send("POST", &secrets, &headers, Some(b"{}")).expect(201);
    let second = made.body["secret"].as_str().unwrap().to_owned();
    let replayed = s.admin.send("POST", &secrets, &headers, Some(b"{}")).expect(201);
    assert_eq!((&replayed.body["secret"], replayed.header("idempotent-replayed")), (&Value::Null, Some("true")));
    s.logs("Signed twice", json!({}));
    deliver(app);
    let got = s.receiver.take();
    assert!(is_signed_by(&got[0], &first) && is_signed_by(&got[0], &second));
    // The old one is over a day later.
    app.sql("UPDATE webhook_secret SET expires_at = '2020-01-01T00:00:00.000000Z' WHERE expires_at IS NOT NULL");
    s.logs("Signed once", json!({}));
    deliver(app);
    let got = s.receiver.take();
    assert!(!is_signed_by(&got[0], &first) && is_signed_by(&got[0], &second));
    for _ in 0..4 {
        s.admin.post(&secrets, json!({})).expect(201);
    }
    s.admin.post(&secrets, json!({})).refused(409, "conflict");
}

fn a_webhook_asks_for_kinds_actions_conditions_and_stewards(app: &TestApp) {
    let s = scene(app);
    let other = app.lab("Another Lab");
    settled(app);
    let asked = [
        (json!({ "kinds": ["discovery"], "actions": ["revised"] }), 1),
        (json!({ "conditions": ["D000690"], "kinds": ["discovery"] }), 2),
        (json!({ "conditions": ["amyotrophic lateral sclerosis"] }), 2),
        (json!({ "conditions": ["D000691"] }), 0),
        (json!({ "organization_ids": [s.lab], "kinds": ["discovery"] }), 3),
        (json!({ "organization_ids": [other] }), 0),
    ];
    let receivers: Vec<Receiver> = asked.iter().map(|_| Receiver::new()).collect();
    for ((more, _), receiver) in asked.iter().zip(&receivers) {
        subscribe(&s.admin, receiver, more.clone());
    }
    let als = json!({ "conditions": [{ "name": "Amyotrophic Lateral Sclerosis", "mesh": "D000690" }] });
    let discovery = s.logs("About ALS", als);
    s.revises(&discovery, "About ALS again");
    s.logs("About nothing", json!({}));
    deliver(app);
    for ((more, expected), receiver) in asked.iter().zip(&receivers) {
        assert_eq!(receiver.take().len(), *expected, "{more}");
    }
}

/// What an insight is about is told by trials and discoveries, which not everybody sees who sees the insight.
fn a_condition_is_asked_of_what_the_owner_sees(app: &TestApp) {
    let admin = app.administrator("Ida Stone");
    let w = recall::ward(app);
    let trial = format!("/v1/trials/{}", w.trial);
    let als = json!([{ "name": "Amyotrophic Lateral Sclerosis", "mesh": "D000690" }]);
    let version = w.kim.get(&trial).expect(200).version();
    w.kim.patch(&trial, version, json!({ "conditions": als, "visibility": "confidential" })).expect(200);
    w.ada.get(&trial).refused(404, "not_found");
    settled(app);
    let receivers = [&w.ada, &w.kim].map(|owner| {
        let receiver = Receiver::new();
        let clinic = &w.kim.get("/v1/me").expect(200).body["organizations"][0]["id"];
        for more in [json!({ "organization_ids": [clinic] }), json!({ "conditions": ["D000690"] })] {
            let mut new = json!({ "owner_id": owner.id, "kinds": ["insight"], "actions": ["moved"] });
            new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            subscribe(&admin, &receiver, new);
        }
        receiver
    });
    let of_finding = Receiver::new();
    let clinic = w.kim.get("/v1/me").expect(200).body["organizations"][0]["id"].clone();
    let more =
        json!({ "owner_id": w.ada.id, "kinds": ["finding"], "actions": ["signed"], "organization_ids": [clinic] });
    subscribe(&admin, &of_finding, more);
    w.asks(&w.kim, &[&w.finds(None)]);
    deliver(app);
    let told = receivers.map(|receiver| receiver.take().len());
    assert_eq!(told, [1, 2], "both see the insight, and one of them what it is about");
    assert_eq!(of_finding.take().len(), 1, "who keeps a finding that one sees is no secret");
}

fn a_partners_webhook_sees_what_the_partner_sees(app: &TestApp) {
    let admin = app.administrator("Ida Stone");
    let sponsor = app.sponsor("Their Sponsor");
    let early = app.partner("Uma Early", sponsor);
    let receiver = Receiver::new();
    settled(app);
    let webhook = subscribe(&admin, &receiver, json!({ "owner_id": early.id }));
    let w = world::world(app);
    // The partner of the world takes it over, and is told everything anew.
    let version = admin.get(&path(&webhook)).expect(200).version();
    admin.patch(&path(&webhook), version, json!({ "owner_id": w.pat.id })).expect(200);
    settled(app);
    admin.post(&format!("{}/redeliver", path(&webhook)), json!({ "from": "1-0" })).expect(202);
    deliver(app);
    let got = receiver.take();
    let text: String = got.iter().map(|g| String::from_utf8(g.body.clone()).unwrap()).collect();
    for hidden in w.records.iter().filter(|r| !r.visible) {
        assert!(!text.contains(&hidden.mark) && !text.contains(&hidden.id), "{} was told", hidden.mark);
    }
    assert!(w.former.iter().all(|word| !text.contains(word)));
    assert!(got.iter().any(|g| g.subject().starts_with("discoveries/")));
    let (mut sent, mut seen) = (BTreeSet::new(), BTreeSet::new());
    sent.extend(got.iter().map(|g| g.headers["webhook-id"].clone()));
    let mut after = String::new();
    loop {
        let page = w.pat.get(&format!("/v1/events?limit=200{after}")).expect(200).body;
        seen.extend(page["data"].as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert!(seen.is_subset(&sent), "everything of the feed is told");
}

fn a_webhook_is_disabled_enabled_and_ended(app: &TestApp) {
    let s = scene(app);
    let webhook = subscribe(&s.admin, &s.receiver, json!({ "kinds": ["discovery"] }));
    let off = s.admin.patch(&path(&webhook), 1, json!({ "state": "disabled" })).expect(200);
    assert_eq!((&off.body["state"], &off.body["delivering"]), (&json!("disabled"), &json!(false)));
    s.logs("While it rests", json!({}));
    assert_eq!(deliver(app), 0);
    s.admin.patch(&path(&webhook), 1, json!({ "state": "enabled" })).refused(412, "version_mismatch");
    s.admin.patch(&path(&webhook), 2, json!({ "state": "enabled" })).expect(200);
    assert_eq!(deliver(app), 1, "it goes on where it was");
    let history = s.admin.get(&format!("{}/history", path(&webhook))).expect(200).body;
    let actions: Vec<_> = history["data"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["enabled", "disabled", "created"]);
    // Without an owner who is there nothing is sent.
    let owner = app.person("Olga Owner", &[Role::Auditor], &[]);
    s.admin.patch(&path(&webhook), 3, json!({ "owner_id": owner.id })).expect(200);
    let version = s.admin.get(&format!("/v1/people/{}", owner.id.0)).expect(200).version();
    let leaves = format!("/v1/people/{}/disable", owner.id.0);
    s.admin.versioned("POST", &leaves, version, json!({ "reason": "Left" })).expect(200);
    s.logs("Without an owner", json!({}));
    assert_eq!(deliver(app), 0);
    assert_eq!(s.admin.get(&path(&webhook)).expect(200).body["delivering"], json!(false));
    s.admin.patch(&path(&webhook), 4, json!({ "owner_id": s.admin.id })).expect(200);
    assert_eq!(deliver(app), 1);
    // It ends, and stays.
    for _ in 0..2 {
        s.admin.send("DELETE", &path(&webhook), &[], None).expect(204);
    }
    s.logs("After its end", json!({}));
    assert_eq!(deliver(app), 0);
    let ended = s.admin.get(&path(&webhook)).expect(200);
    assert_eq!(ended.body["state"], "ended");
    s.admin.patch(&path(&webhook), ended.version(), json!({ "name": "Other" })).refused(409, "immutable");
    s.admin.post(&format!("{}/secrets", path(&webhook)), json!({})).refused(409, "immutable");
    s.admin.post(&format!("{}/redeliver", path(&webhook)), json!({ "from": "1-0" })).refused(409, "immutable");
}

fn who_sees_a_webhook(app: &TestApp) {
    let s = scene(app);
    let bea = app.scientist("Bea Lind", app.lab("Another Lab"));
    let auditor = app.auditor("Audrey Stone");
    let webhook = subscribe(&s.admin, &s.receiver, json!({ "owner_id": bea.id }));
    for (who, seen) in [(&bea, 200), (&auditor, 200), (&s.admin, 200), (&s.ada, 404)] {
        for tail in ["", "/deliveries", "/history"] {
            who.get(&format!("{}{tail}", path(&webhook))).expect(seen);
        }
        let count = who.get("/v1/webhooks?count=true").expect(200).body["total"].as_i64();
        assert_eq!(count, Some(i64::from(seen == 200)));
    }
    for (who, status) in [(&bea, 403), (&auditor, 403), (&s.ada, 404)] {
        who.patch(&path(&webhook), 1, json!({ "name": "Mine" })).expect(status);
        who.send("DELETE", &path(&webhook), &[], None).expect(status);
        who.post(&format!("{}/secrets", path(&webhook)), json!({})).expect(status);
        who.post(&format!("{}/redeliver", path(&webhook)), json!({ "from": "1-0" })).expect(status);
    }
    s.ada.post("/v1/webhooks", json!({ "name": "Mine", "url": s.receiver.url })).expect(403);
    // A token that may not read a kind has nobody told of it.
    let soon = benchside::db::columns::Time::now().plus_days(1);
    let new = json!({ "name": "Script", "scopes": ["webhooks:write", "trials:read"], "expires_at": soon });
    let token = s.admin.post("/v1/auth/tokens", new).expect(201).body["token"].as_str().unwrap().to_owned();
    let script = Actor { token, ..s.admin.clone() };
    let hook = |kinds: Value| json!({ "name": "Script's", "url": s.receiver.url, "kinds": kinds });
    script.post("/v1/webhooks", hook(json!([]))).refused(403, "not_permitted");
    script.post("/v1/webhooks", hook(json!(["discovery"]))).refused(403, "not_permitted");
    script.post("/v1/webhooks", hook(json!(["trial"]))).expect(201);
}

fn what_a_webhook_refuses(app: &TestApp) {
    let s = scene(app);
    let nobody = uuid::Uuid::now_v7();
    let bad = json!({
        "name": " ", "url": "gopher://example.org/", "kinds": ["thing"], "actions": ["moved", "eaten"],
        "organization_ids": ["x"], "more": 1,
    });
    let faults = s.admin.post("/v1/webhooks", bad).refused(422, "invalid");
    let at: BTreeSet<_> = faults["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    assert_eq!(at, BTreeSet::from(["/actions/1", "/kinds/0", "/more", "/name", "/organization_ids/0"]));
    let bad = json!({
        "name": "Good", "url": "gopher://example.org/", "kinds": ["trial", "trial"], "organization_ids": [nobody],
        "owner_id": nobody,
    });
    let faults = s.admin.post("/v1/webhooks", bad).refused(422, "invalid");
    let at: BTreeSet<_> = faults["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    assert_eq!(at, BTreeSet::from(["/kinds/1", "/organization_ids/0", "/owner_id", "/url"]));
    assert_eq!(s.admin.get("/v1/webhooks?count=true").expect(200).body["total"], 0);
}

fn a_webhook_goes_on_in_a_new_generation(app: &TestApp) {
    let s = scene(app);
    let webhook = subscribe(&s.admin, &s.receiver, json!({ "kinds": ["discovery"] }));
    s.logs("Before", json!({}));
    assert_eq!(deliver(app), 1);
    s.receiver.take();
    let size = settled(app).size;
    let inside = vec!["127.0.0.0/8".parse().unwrap()];
    let edge = Edge { rate_limit: 0, webhook_allow_private: inside, ..Edge::default() };
    let node = crate::ledger::in_a_new_generation(app, edge);
    let lab = s.lab;
    let new = json!({ "title": "After", "modality": "device", "lab_id": lab });
    s.ada.at(&node).post("/v1/discoveries", new).expect(201);
    let shown = crate::ledger::wait_for(&node, |shown| shown.size > size + 1);
    let _ = shown;
    app.wait(deliver::round(&node.app)).unwrap();
    let got = s.receiver.take();
    let titles: Vec<String> = got.iter().map(|g| g.event()["sequence"].as_str().unwrap().to_owned()).collect();
    assert_eq!(got.len(), 1, "what was delivered is not delivered again: {titles:?}");
    assert!(titles[0].starts_with("2-"));
    let former = json!({ "from": "1-0" });
    s.admin.at(&node).post(&format!("{}/redeliver", path(&webhook)), former).refused(410, "feed_reset");
}
