//! What is kept of a webhook: its address as it was checked, its place in the log, what waits for it, and how much of all that.
use super::{NOBODY, deliver, hurry, path, scene, states, subscribe};
use crate::{
    ledger::{by_force, settled},
    support::{TestApp, on_both_engines},
};
use benchside::{
    db::schema::webhook_delivery,
    housekeeping::sweep,
    id::WebhookId,
    webhook::{
        MOST_WEBHOOKS,
        delivery::{Delivery, DeliveryError, TRIED_FOR_SECONDS, store},
    },
};
use diesel::prelude::*;
use serde_json::json;

on_both_engines!(
    an_address_is_kept_and_asked_for_as_it_was_checked,
    what_waits_behind_one_that_is_put_aside_goes_with_it,
    what_waits_for_a_receiver_that_is_not_there_goes_together,
    what_was_never_tried_is_not_forgotten,
    what_cannot_be_read_is_put_off,
    a_node_that_has_seen_less_sets_nothing_back,
    what_the_webhook_has_not_come_to_is_not_asked_for_again,
    there_are_so_many_webhooks_and_no_more,
);

const LONG_AGO: &str = "'2020-01-01T00:00:00.000000Z'";

fn an_address_is_kept_and_asked_for_as_it_was_checked(app: &TestApp) {
    let s = scene(app);
    let at = s.receiver.url.strip_prefix("http://").unwrap();
    let new = json!({ "name": "Odd", "url": format!("  http:{at}/a b"), "kinds": ["discovery"] });
    let webhook = s.admin.post("/v1/webhooks", new).expect(201);
    assert_eq!(webhook.body["url"], format!("{}/a%20b", s.receiver.url));
    s.logs("Sent there", json!({}));
    assert_eq!(deliver(app), 1);
    assert_eq!((s.receiver.take().len(), states(&s.admin, &webhook)), (1, vec!["delivered".to_owned()]));
    let revised = s.admin.patch(&path(&webhook), 1, json!({ "url": "https://exämple.org/x" })).expect(200);
    assert_eq!(revised.body["url"], "https://xn--exmple-cua.org/x");
}

fn what_waits_behind_one_that_is_put_aside_goes_with_it(app: &TestApp) {
    let s = scene(app);
    let webhook = subscribe(&s.admin, &s.receiver, json!({ "kinds": ["discovery"] }));
    s.receiver.answers(500);
    let discovery = s.logs("Refused", json!({}));
    (0..3).for_each(|n| s.revises(&discovery, &format!("Refused {n}")));
    assert_eq!(deliver(app), 1, "the others of the record wait");
    // A day later.
    app.sql(format!("UPDATE webhook_delivery SET created_at = {LONG_AGO}, next_at = {LONG_AGO}"));
    app.sql(format!("UPDATE webhook_delivery SET first_tried_at = {LONG_AGO} WHERE attempts > 0"));
    s.revises(&discovery, "Of today");
    assert_eq!(deliver(app), 2);
    assert_eq!(states(&s.admin, &webhook), ["parked", "parked", "parked", "parked", "pending"]);
}

fn what_waits_for_a_receiver_that_is_not_there_goes_together(app: &TestApp) {
    let s = scene(app);
    let new = json!({ "name": "Silent", "url": NOBODY, "kinds": ["discovery"] });
    let webhook = s.admin.post("/v1/webhooks", new).expect(201);
    (0..3).for_each(|n| drop(s.logs(&format!("Unheard {n}"), json!({}))));
    assert_eq!(deliver(app), 1, "one is enough to know");
    // A day later.
    app.sql(format!("UPDATE webhook_delivery SET created_at = {LONG_AGO}, next_at = {LONG_AGO}"));
    app.sql(format!("UPDATE webhook_delivery SET first_tried_at = {LONG_AGO} WHERE attempts > 0"));
    s.logs("Of today", json!({}));
    // One that was sent beside others tells nothing of them.
    let id = WebhookId::of(webhook.id().parse().unwrap());
    app.write(move |conn, context| {
        let one = store::waiting(conn, id)?.pop().unwrap();
        let long_ago = Some(context.at.plus_seconds(-TRIED_FOR_SECONDS));
        let one = Delivery { first_tried_at: long_ago, ..one };
        store::note(conn, &one.failed(None, DeliveryError::Timeout, context.at, 0.0), false)
    });
    assert_eq!(states(&s.admin, &webhook), ["pending", "pending", "parked"]);
    while states(&s.admin, &webhook)[0] != "parked" {
        assert_eq!(deliver(app), 1);
    }
    assert_eq!(states(&s.admin, &webhook), ["parked", "parked", "parked", "pending"]);
}

fn what_was_never_tried_is_not_forgotten(app: &TestApp) {
    let s = scene(app);
    let webhook = subscribe(&s.admin, &s.receiver, json!({ "kinds": ["discovery"] }));
    s.receiver.answers(500);
    let discovery = s.logs("Refused", json!({}));
    s.revises(&discovery, "Never tried");
    assert_eq!(deliver(app), 1);
    app.sql(format!("UPDATE webhook_delivery SET created_at = {LONG_AGO}"));
    app.wait(sweep(&app.app));
    assert_eq!(states(&s.admin, &webhook), ["pending"]);
    // Of a webhook that has ended nobody waits for it.
    s.admin.send("DELETE", &path(&webhook), &[], None).expect(204);
    app.wait(sweep(&app.app));
    assert!(states(&s.admin, &webhook).is_empty());
}

fn what_cannot_be_read_is_put_off(app: &TestApp) {
    let s = scene(app);
    subscribe(&s.admin, &s.receiver, json!({ "kinds": ["discovery"] }));
    s.receiver.answers(500);
    s.logs("Unreadable", json!({}));
    assert_eq!(deliver(app), 1);
    let half = if app.url.starts_with("sqlite") { "X'7B'" } else { "'\\x7b'" };
    let newest = "(SELECT max(enqueued) FROM webhook_delivery)";
    by_force(&app.url, &[&format!("UPDATE event SET payload = {half} WHERE enqueued = {newest}")]);
    s.receiver.take();
    hurry(app);
    assert_eq!(deliver(app), 1, "a try, and then a pause");
    assert!(s.receiver.take().is_empty());
    let noted: (i32, Option<String>) = app.read(|conn| {
        let noted = webhook_delivery::table.select((webhook_delivery::attempts, webhook_delivery::last_error));
        Ok(noted.get_result(conn)?)
    });
    assert_eq!(noted, (2, Some("internal".to_owned())));
}

fn a_node_that_has_seen_less_sets_nothing_back(app: &TestApp) {
    let s = scene(app);
    let webhook = subscribe(&s.admin, &s.receiver, json!({ "kinds": ["discovery"] }));
    s.receiver.answers(500);
    s.logs("Put off", json!({}));
    assert_eq!(deliver(app), 1);
    // Another node has seen more of the log, and has come further.
    app.sql("UPDATE webhook_cursor SET position = position + 1000");
    s.logs("Beyond", json!({}));
    hurry(app);
    s.receiver.answers(200);
    assert_eq!(deliver(app), 1, "what waits, and nothing else");
    app.sql("UPDATE webhook_cursor SET position = position - 1000");
    assert_eq!(deliver(app), 1);
    assert_eq!(states(&s.admin, &webhook), ["delivered", "delivered"]);
}

fn what_the_webhook_has_not_come_to_is_not_asked_for_again(app: &TestApp) {
    let s = scene(app);
    let webhook = subscribe(&s.admin, &s.receiver, json!({ "kinds": ["discovery"] }));
    let discovery = s.logs("First", json!({}));
    s.revises(&discovery, "Then");
    let last = format!("1-{}", settled(app).size - 1);
    let redeliver = format!("{}/redeliver", path(&webhook));
    let again = s.admin.post(&redeliver, json!({ "from": "1-0", "to": last })).expect(202);
    assert_eq!((&again.body["count"], &again.body["until"]), (&json!(0), &json!(last)));
    assert_eq!(deliver(app), 2, "it is delivered anyway");
    let again = s.admin.post(&redeliver, json!({ "from": "1-0", "to": last })).expect(202);
    assert_eq!((&again.body["count"], &again.body["until"]), (&json!(2), &json!(last)));
    assert_eq!(deliver(app), 2);
}

fn there_are_so_many_webhooks_and_no_more(app: &TestApp) {
    let s = scene(app);
    let new = json!({ "name": "One of many", "url": s.receiver.url });
    let mut webhook = s.admin.post("/v1/webhooks", new.clone()).expect(201);
    for _ in 1..MOST_WEBHOOKS {
        webhook = s.admin.post("/v1/webhooks", new.clone()).expect(201);
    }
    s.admin.post("/v1/webhooks", new.clone()).refused(409, "conflict");
    s.admin.send("DELETE", &path(&webhook), &[], None).expect(204);
    s.admin.post("/v1/webhooks", new).expect(201);
}
