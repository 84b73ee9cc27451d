//! The worker that delivers by itself: nobody waits for a slow receiver, and at the end nothing is lost.
use super::{Received, Receiver, Scene, deliver, scene, states, subscribe};
use crate::{
    ledger::settled,
    support::{TestApp, on_both_engines},
};
use benchside::{app::App, webhook::deliver::keep};
use serde_json::json;
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering, mpsc},
    thread::{JoinHandle, sleep},
    time::{Duration, Instant},
};

on_both_engines!(a_slow_receiver_holds_up_no_other_and_an_end_loses_nothing);

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
