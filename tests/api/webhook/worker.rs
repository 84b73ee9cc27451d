//! The worker that delivers by itself: nobody waits for a slow receiver or a silent one, and at the end nothing is lost.
use super::{NOBODY, Received, Receiver, Scene, deliver, path, scene, states, subscribe};
use crate::{
    ledger::settled,
    support::{Actor, Reply, TestApp, on_both_engines},
};
use benchside::{app::App, webhook::deliver::keep};
use serde_json::json;
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering, mpsc},
    thread::{JoinHandle, sleep},
    time::{Duration, Instant},
};

on_both_engines!(
    a_slow_receiver_holds_up_no_other_and_an_end_loses_nothing,
    a_silent_receiver_is_given_a_rest_that_grows,
    what_cannot_be_noted_is_not_sent_again_at_once,
);

const EVENTS: usize = 10;

/// What a served node does by itself.
fn works(app: Arc<App>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(keep(&app));
    })
}

fn within(patience: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < patience, "{what}");
        sleep(Duration::from_millis(20));
    }
}

fn ids(got: &[Received]) -> BTreeSet<String> {
    got.iter().map(|g| g.headers["webhook-id"].clone()).collect()
}

fn a_slow_receiver_holds_up_no_other_and_an_end_loses_nothing(app: &TestApp) {
    let s = scene(app);
    let Scene { admin, receiver: slow, .. } = &s;
    let quick = Receiver::new();
    let discoveries = || json!({ "kinds": ["discovery"] });
    let (slow_hook, quick_hook) = (subscribe(admin, slow, discoveries()), subscribe(admin, &quick, discoveries()));
    // The slow one answers when the gate opens; a try is over after ten seconds.
    let (opens, gate) = mpsc::channel::<()>();
    slow.decides(move |_| {
        let _ = gate.recv_timeout(Duration::from_secs(120));
        Receiver::with(200)
    });
    let worker = works(app.app.clone().into_inner());
    for n in 0..EVENTS {
        s.logs(&format!("Discovery {n}"), json!({}));
    }
    let all = vec!["delivered".to_owned(); EVENTS];
    within(Duration::from_secs(60), "the quick receiver waits for the slow one", || states(admin, &quick_hook) == all);
    let sent = ids(&quick.take());
    assert_eq!(sent.len(), EVENTS);
    let waiting = states(admin, &slow_hook);
    assert!(!waiting.is_empty() && waiting.iter().all(|state| state == "pending"), "{waiting:?}");

    // The node is to stop: what is on its way is noted, nothing else is begun, and another node goes on at once.
    app.app.stopping.store(true, Ordering::Relaxed);
    app.app.pulse.wake();
    drop(opens);
    within(Duration::from_secs(20), "the worker does not end", || worker.is_finished());
    worker.join().unwrap();
    let before = slow.take();
    assert!(before.len() < EVENTS, "{} were begun", before.len());
    let other = app.another_node();
    settled(&other);
    super::hurry(app);
    deliver(&other);
    assert_eq!(states(admin, &slow_hook), all);
    let after = slow.take();
    let both = ids(&before).union(&ids(&after)).cloned().collect::<BTreeSet<_>>();
    assert_eq!(both, sent, "each came, in the end");
}

/// How often anything of a webhook was tried.
fn tries(who: &Actor, webhook: &Reply) -> i64 {
    let page = who.get(&format!("{}/deliveries?limit=200", path(webhook))).expect(200).body;
    page["data"].as_array().unwrap().iter().map(|d| d["attempts"].as_i64().unwrap()).sum()
}

/// The most tries since then that have a rest of a second between the first and the second, and twice as long each time.
fn most_since(began: Instant) -> i64 {
    i64::from((began.elapsed().as_secs() + 2).ilog2()) + 1
}

fn ends(app: &TestApp, worker: JoinHandle<()>) {
    app.app.stopping.store(true, Ordering::Relaxed);
    app.app.pulse.wake();
    within(Duration::from_secs(20), "the worker does not end", || worker.is_finished());
    worker.join().unwrap();
}

fn a_silent_receiver_is_given_a_rest_that_grows(app: &TestApp) {
    let s = scene(app);
    let new = json!({ "name": "Silent", "url": NOBODY, "kinds": ["discovery"] });
    let silent = s.admin.post("/v1/webhooks", new).expect(201);
    let heard = subscribe(&s.admin, &s.receiver, json!({ "kinds": ["discovery"] }));
    for n in 0..EVENTS {
        s.logs(&format!("Discovery {n}"), json!({}));
    }
    let began = Instant::now();
    let worker = works(app.app.clone().into_inner());
    let patience = Duration::from_secs(60);
    let all = vec!["delivered".to_owned(); EVENTS];
    within(patience, "another receiver waits for the silent one", || states(&s.admin, &heard) == all);
    within(patience, "it is not tried again", || {
        let tried = tries(&s.admin, &silent);
        assert!(tried <= most_since(began), "{tried} tries");
        tried >= 3
    });
    ends(app, worker);
}

fn what_cannot_be_noted_is_not_sent_again_at_once(app: &TestApp) {
    let s = scene(app);
    subscribe(&s.admin, &s.receiver, json!({ "kinds": ["discovery"] }));
    app.refuse("UPDATE", "webhook_delivery", "NEW.state = 'delivered'");
    s.logs("Sent again and again", json!({}));
    let began = Instant::now();
    let worker = works(app.app.clone().into_inner());
    let mut sent = 0;
    within(Duration::from_secs(60), "it is not sent again", || {
        sent += i64::try_from(s.receiver.take().len()).unwrap();
        assert!(sent <= most_since(began), "it was sent {sent} times");
        sent >= 2
    });
    ends(app, worker);
}
