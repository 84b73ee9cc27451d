//! The log in its order: places, checkpoints, proofs, the guard; and that whatever was done to it is found.
mod damage;
mod feed;
mod outside;

use crate::support::{Actor, Node, TestApp, on_both_engines};
use benchside::{
    app::Clock,
    auth::keys::Keys,
    db::{Conn, Purpose},
    http::edge::Edge,
    ledger::{
        checkpoint::{Head, Signer},
        event::leaf_hash,
        log::{self, Generation},
        proof::Proof,
        pulse::Published,
        verify::{Continued, FaultKind, Report},
        verify_database,
    },
};
use diesel::connection::SimpleConnection;
use serde_json::json;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

on_both_engines!(
    every_event_has_its_place_under_a_signed_checkpoint,
    an_event_is_proved_to_whoever_may_see_it,
    a_pinned_checkpoint_stays_part_of_the_log,
    auditors_read_the_log_itself,
    a_database_that_was_set_back_goes_on_as_a_new_generation,
    a_log_goes_on_as_a_new_generation_where_that_is_asked_for,
    a_forked_log_is_not_signed,
    what_the_key_did_not_sign_is_neither_shown_nor_kept,
    a_lease_from_a_wrong_clock_is_no_lease,
    two_nodes_give_each_event_one_place,
);

/// The last checkpoint, once it covers everything that has happened.
pub fn settled(app: &TestApp) -> Published {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (latest, waiting) = app.read(|conn| Ok((log::latest(conn)?, log::any_pending(conn)?)));
        if let (Some(latest), false, Ok(shown)) = (latest, waiting, app.app.pulse.latest())
            && *shown == latest
        {
            return shown;
        }
        assert!(Instant::now() < deadline, "the log is not brought up to date");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn generation(app: &TestApp) -> Generation {
    app.read(log::generations).pop().unwrap()
}

fn verified(app: &TestApp) -> Report {
    app.read(|conn| verify_database::verify(conn, None, &[]))
}

#[track_caller]
pub fn sound(app: &TestApp) -> Report {
    let report = verified(app);
    assert!(report.is_clean(), "{:#?}", report.faults);
    report
}

/// Some history of one lab. However fast it is made, each of the first discoveries ends under a checkpoint of its own.
fn some_history(app: &TestApp, discoveries: usize) -> Actor {
    let lab = app.lab("Motor Neuron Lab");
    let ada = app.scientist("Ada Okafor", lab);
    for n in 0..discoveries {
        let new = json!({ "title": format!("Finding {n}"), "modality": "device", "lab_id": lab, "visibility": "confidential" });
        let made = ada.post("/v1/discoveries", new).expect(201);
        let path = format!("/v1/discoveries/{}", made.id());
        ada.patch(&path, 1, json!({ "trl": 4 })).expect(200);
        let evidence = json!([{ "kind": "doi", "value": "10.1038/s41586-020-2649-2" }]);
        ada.moves(&path, json!({ "to": "validated", "evidence": evidence })).expect(201);
        if n < 3 {
            settled(app);
        }
    }
    ada
}

fn every_event_has_its_place_under_a_signed_checkpoint(app: &TestApp) {
    some_history(app, 5);
    let checkpoint = settled(app);
    let head = Head::verify(&checkpoint.note, &generation(app).verifier).unwrap();
    let report = sound(app);
    assert_eq!((head.size, head.root), (checkpoint.size, hex::decode(&report.root).unwrap().try_into().unwrap()));
    // An organization, a person, and three versions of each discovery.
    assert_eq!((report.size, report.waiting), (2 + 15, 0));
    let size = i64::try_from(report.size).unwrap();
    let leaves = app.read(move |conn| log::leaves_from(conn, 1, 0, size + 1));
    assert_eq!(leaves.len() as u64, report.size);
    assert_eq!(leaves.iter().map(|leaf| leaf.enqueued.unwrap()).collect::<BTreeSet<_>>().len(), leaves.len());
}

fn an_event_is_proved_to_whoever_may_see_it(app: &TestApp) {
    let ada = some_history(app, 1);
    let (auditor, stranger) = (app.auditor("Audrey Stone"), app.scientist("Bea Lind", app.lab("Another Lab")));
    let checkpoint = settled(app);
    let verifier = generation(app).verifier;
    let discovery = ada.get("/v1/discoveries").expect(200).body["data"][0]["id"].as_str().unwrap().to_owned();
    let history = ada.get(&format!("/v1/discoveries/{discovery}/history")).expect(200);
    let entries = history.body["data"].as_array().unwrap();
    assert_eq!(entries.len(), 3);
    for entry in entries {
        let path = entry["proof"].as_str().unwrap();
        assert_eq!(path, format!("/v1/ledger/events/{}/proof", entry["leaf_index"]));
        for who in [&ada, &auditor] {
            let proof = who.get(path).expect(200).body;
            assert_eq!(proof["event_id"], entry["event_id"]);
            let leaf = proof["leaf"].as_str().unwrap();
            let parsed: Proof = proof["proof"].as_str().unwrap().parse().unwrap();
            let head = parsed.check(leaf_hash(leaf.as_bytes()), &verifier).unwrap();
            assert_eq!((head.size, json!(parsed.index)), (checkpoint.size, entry["leaf_index"].clone()));
            let salt: [u8; 32] = hex::decode(proof["salt"].as_str().unwrap()).unwrap().try_into().unwrap();
            let payload = proof["payload"].as_str().unwrap();
            let commit = hex::encode(benchside::ledger::event::commitment(&salt, payload.as_bytes()));
            assert!(leaf.contains(&commit) && payload.contains(&discovery));
        }
        stranger.get(path).refused(404, "not_found");
    }
    // Beyond the log, and what is no number as programs write it.
    for none in ["999999", "01", "-1", "1.0", "9223372036854775808", "x"] {
        auditor.get(&format!("/v1/ledger/events/{none}/proof")).refused(404, "not_found");
    }
    // Of a person anybody sees an event, and not what it holds of their address.
    let of_person = ada.get(&format!("/v1/people/{}/history", ada.id.0)).expect(200).body["data"][0]["proof"].clone();
    assert!(ada.get(of_person.as_str().unwrap()).expect(200).body["payload"].is_string());
    let closed = stranger.get(of_person.as_str().unwrap()).expect(200).body;
    assert!(closed["payload"].is_null() && closed["salt"].is_null() && closed["leaf"].is_string());
}

fn a_pinned_checkpoint_stays_part_of_the_log(app: &TestApp) {
    let ada = some_history(app, 2);
    let pinned = Head::verify(&settled(app).note, &generation(app).verifier).unwrap();
    let pinned_note = settled(app).note.clone();
    let lab = ada.get("/v1/me").body["organizations"][0]["id"].clone();
    for n in 0..3 {
        let new = json!({ "title": format!("Later {n}"), "modality": "device", "lab_id": lab });
        ada.post("/v1/discoveries", new).expect(201);
    }
    settled(app);
    let answer = ada.get(&format!("/v1/ledger/consistency?from={}", pinned.size)).expect(200).body;
    let now = Head::verify(answer["checkpoint"].as_str().unwrap(), &generation(app).verifier).unwrap();
    consistent(&answer, &now, &pinned);
    assert_eq!(ada.get("/v1/ledger/checkpoint").expect(200).body.as_str().unwrap(), settled(app).note);
    let report = app.read(move |conn| verify_database::verify(conn, None, &[&pinned_note]));
    assert!(report.is_clean(), "{:#?}", report.faults);
    for (query, code) in
        [("", "required"), ("?from=3&to=2", "out_of_range"), ("?from=-1", "out_of_range"), ("?from=x", "invalid_value")]
    {
        let problem = ada.get(&format!("/v1/ledger/consistency{query}")).refused(422, "invalid");
        assert!(
            problem["errors"].as_array().unwrap().iter().any(|e| e["code"] == code || code == "invalid_value"),
            "{problem:#}"
        );
    }
    assert_eq!(ada.get("/v1/ledger/consistency?from=0").expect(200).body["hashes"], json!([]));
}

/// As an outsider does: from the tiles alone.
fn auditors_read_the_log_itself(app: &TestApp) {
    let ada = some_history(app, 100);
    let auditor = app.auditor("Audrey Stone");
    let checkpoint = settled(app);
    assert!(checkpoint.size > 256);
    let rest = checkpoint.size - 256;
    let bytes = |path: String| raw(&auditor, &path);
    let mut leaves = bytes("/v1/ledger/tile/entries/000".into());
    leaves.extend(bytes(format!("/v1/ledger/tile/entries/001.p/{rest}")));
    let mut hashes = Vec::new();
    let mut left = &leaves[..];
    while let Some((length, after)) = left.split_first_chunk::<2>() {
        let (leaf, after) = after.split_at(u16::from_be_bytes(*length).into());
        hashes.extend(leaf_hash(leaf));
        left = after;
    }
    assert_eq!(hashes.len() as u64, checkpoint.size * 32);
    let mut level_0 = bytes("/v1/ledger/tile/0/000".into());
    level_0.extend(bytes(format!("/v1/ledger/tile/0/001.p/{rest}")));
    assert!(level_0 == hashes);
    assert_eq!(bytes("/v1/ledger/tile/1/000.p/1".into()).len(), 32);
    for beyond in [
        "0/001",
        "0/002.p/1",
        "1/000",
        "2/000.p/1",
        "entries/001",
        "64/000",
        "0/x001/000",
        "0/0",
        "00/000",
        "entries",
        "a/000",
        "0/000.p/0",
        "entries/000.p/0",
        "0/000.p/256",
    ] {
        auditor.get(&format!("/v1/ledger/tile/{beyond}")).refused(404, "not_found");
    }
    ada.get("/v1/ledger/tile/0/000").refused(403, "not_permitted");
}

fn raw(who: &Actor, path: &str) -> Vec<u8> {
    let mut answer = ureq::get(format!("{}{path}", who.base))
        .header("authorization", format!("Bearer {}", who.token))
        .call()
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    answer.body_mut().read_to_vec().unwrap()
}

/// A node on the same database after the one before has ended.
fn next_node(app: &TestApp) -> Node {
    app.app.db.close();
    app.node(Edge { rate_limit: 0, ..Edge::default() }, Clock::system())
}

pub fn wait_for(node: &Node, what: impl Fn(&Published) -> bool) -> Published {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Ok(shown) = node.app.pulse.latest()
            && what(&shown)
        {
            return shown;
        }
        assert!(Instant::now() < deadline, "the log is not brought up to date: {:?}", node.app.pulse.latest());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Does what the triggers of the log refuse.
pub fn by_force(url: &str, statements: &[&str]) {
    let mut conn = Conn::open(&url.parse().unwrap(), Purpose::Write).unwrap();
    damage::unlock(&mut conn);
    for statement in statements {
        conn.batch_execute(statement).unwrap();
    }
    damage::lock(&mut conn);
}

/// Ends the service, and takes the log back to the checkpoint before the last one; the events after it wait for their
/// places again. Answers how many leaves are left, and how many there were.
pub fn set_back(app: &TestApp) -> (u64, u64) {
    let size = settled(app).size;
    let kept = size_before(&checkpoints(app), size);
    app.app.db.close();
    by_force(
        &app.url,
        &[
            &format!("DELETE FROM log_checkpoint WHERE size = {size}"),
            &format!("DELETE FROM log_node WHERE number >= {}", tlog_tiles::tlog::stored_hash_count(kept)),
            &format!("INSERT INTO event_pending SELECT enqueued FROM log_leaf WHERE position >= {kept}"),
            &format!("DELETE FROM log_leaf WHERE position >= {kept}"),
        ],
    );
    (kept, size)
}

fn checkpoints(app: &TestApp) -> Vec<log::Stored> {
    app.read(|conn| log::checkpoints_after(conn, 1, 0, 1000))
}

/// How many leaves the checkpoint before the one of `size` covers.
fn size_before(checkpoints: &[log::Stored], size: u64) -> u64 {
    checkpoints.iter().map(|c| c.size).filter(|earlier| *earlier < size).max().unwrap()
}

/// A node on a log that goes on under another number, in which every event has a new place.
pub fn in_a_new_generation(app: &TestApp, edge: Edge) -> Node {
    set_back(app);
    let node = app.node(edge, Clock::system());
    wait_for(&node, |shown| shown.generation == 2);
    node
}

fn a_database_that_was_set_back_goes_on_as_a_new_generation(app: &TestApp) {
    let ada = some_history(app, 3);
    let before = settled(app);
    let checkpoints = checkpoints(app);
    let kept = size_before(&checkpoints, before.size);
    app.app.db.close();
    // As an older backup has it: the events after that checkpoint never were.
    let last = format!("(SELECT enqueued FROM log_leaf WHERE position >= {kept})");
    by_force(
        &app.url,
        &[
            &format!(
                "CREATE TABLE lost AS SELECT enqueued, record_id, record_version FROM event WHERE enqueued IN {last}"
            ),
            "DELETE FROM log_leaf WHERE enqueued IN (SELECT enqueued FROM lost)",
            "DELETE FROM event_mention WHERE event_id IN (SELECT id FROM event WHERE enqueued IN (SELECT enqueued FROM lost))",
            "DELETE FROM event WHERE enqueued IN (SELECT enqueued FROM lost)",
            "DELETE FROM discovery WHERE id IN (SELECT record_id FROM lost)",
            &format!("DELETE FROM log_node WHERE number >= {}", tlog_tiles::tlog::stored_hash_count(kept)),
            &format!("DELETE FROM log_checkpoint WHERE size > {kept}"),
            "DROP TABLE lost",
        ],
    );
    let node = next_node(app);
    let now = wait_for(&node, |shown| shown.generation == 2);
    let origin = Head::read(&now.note).unwrap().origin;
    assert!(origin.ends_with("/2"), "{origin}");
    assert_eq!(now.size, kept + 1, "what was kept, behind a leaf that says how it went on");
    let mut conn = Conn::open(&app.url.parse().unwrap(), Purpose::Read).unwrap();
    let first = log::entries(&mut conn, 2, 0, 1).unwrap().pop().unwrap();
    let first: serde_json::Value = serde_json::from_slice(&first).unwrap();
    assert_eq!((first["action"].as_str(), first["seen"].as_str()), (Some("continued"), Some(&*before.note)));
    assert!(first["kept"].as_str().unwrap().contains(&format!("\n{kept}\n")));
    let report = verify_database::verify(&mut conn, None, &[]).unwrap();
    assert_eq!(report.continued, [Continued { seen: before.size, kept }], "whoever checks is told what was lost");
    assert_eq!(of_the_log(&report), None);
    // Whoever has pinned a checkpoint of the generation before can still ask after it.
    let pinned = checkpoints.iter().find(|c| c.size > 2 && c.size < kept).unwrap();
    for (note, expected) in [(&pinned.note, None), (&before.note, Some((Some(0), FaultKind::Truncated)))] {
        let report = verify_database::verify(&mut conn, None, &[note]).unwrap();
        assert_eq!(of_the_log(&report), expected, "{note}");
    }
    let ada = ada.at(&node);
    let path = format!("/v1/ledger/consistency?generation=1&from={}", pinned.size);
    let answer = ada.get(&path).expect(200).body;
    let last = checkpoints.iter().find(|c| c.size == kept).unwrap();
    assert_eq!((&answer["to"], &answer["checkpoint"]), (&json!(kept), &json!(last.note)));
    consistent(&answer, &Head::read(&last.note).unwrap(), &Head::read(&pinned.note).unwrap());
    for generation in ["0", "3", "x"] {
        ada.get(&format!("/v1/ledger/consistency?from=1&generation={generation}")).refused(422, "invalid");
    }
}

/// The first fault of the log itself.
fn of_the_log(report: &Report) -> Option<(Option<u64>, FaultKind)> {
    report.faults.iter().map(|f| (f.index, f.kind)).find(|(_, kind)| *kind != FaultKind::RecordChanged)
}

/// Database and guard were restored together from a backup, and somebody has kept a later checkpoint.
fn a_log_goes_on_as_a_new_generation_where_that_is_asked_for(app: &TestApp) {
    let ada = some_history(app, 1);
    let guarded = settled(app);
    let lab = ada.get("/v1/me").expect(200).body["organizations"][0]["id"].clone();
    let new = json!({ "title": "Later", "modality": "device", "lab_id": lab });
    ada.post("/v1/discoveries", new).expect(201);
    let later = settled(app);
    app.app.db.close();
    let file = app.folder.join("seen");
    let ledger = |args: &[&str], note: &str| {
        std::fs::write(&file, note).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_benchside"));
        command.args(["ledger"]).args(args);
        command.env("BENCHSIDE_DATABASE", &app.url).env("BENCHSIDE_KEYS", app.folder.join("keys"));
        let done = command.output().unwrap();
        (done.status.success(), String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap())
    };
    let seen = file.to_str().unwrap();
    for (note, why) in [
        (later.note.replace("benchside/", "elsewhere/"), "it is of elsewhere"),
        (later.note.replacen(&format!("\n{}\n", later.size), "\n999\n", 1), "it is not signed"),
        ("nothing".into(), "not a checkpoint"),
    ] {
        let (ok, said) = ledger(&["continue", "--seen", seen], &note);
        assert!(!ok && said.contains(why), "{said}");
    }
    let (ok, said) = ledger(&["continue", "--seen", seen], &guarded.note);
    assert!(!ok && said.contains("nothing was lost"), "{said}");
    let (ok, said) = ledger(&["continue"], "");
    assert!(!ok && said.contains("--force"), "{said}");
    let keys = Keys::read(&app.folder.join("keys")).unwrap();
    let export = app.folder.join("export");
    let export = ["export", export.to_str().unwrap()];
    for _ in 0..2 {
        let (ok, said) = ledger(&export, "");
        assert!(ok, "again over what is there: {said}");
    }
    let lost = Signer::new(app.app.db.log(), keys.log()).sign(later.size + 5, [9; 32]).unwrap();
    let (ok, said) = ledger(&["continue", "--seen", seen], &lost);
    assert!(ok && said.contains("generation 2"), "{said}");
    let (ok, said) = ledger(&["continue", "--force"], "");
    assert!(ok && said.contains("generation 3"), "and again, from its own guard: {said}");
    let (ok, said) = ledger(&["continue", "--seen", seen], &guarded.note);
    assert!(!ok && said.contains("nothing was lost"), "of a former generation, and kept: {said}");
    let (ok, said) = ledger(&export, "");
    assert!(!ok && said.contains("another log or generation"), "{said}");
    let (ok, said) = ledger(&["verify", "--key", "benchside"], "");
    assert!(!ok && said.contains("is no verifier key") && !said.contains("not sound"), "{said}");
    let (ok, said) = ledger(&["verify", "--json"], "");
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let size = later.size;
    let continued = json!([{ "seen": size + 1, "kept": size + 1 }, { "seen": size + 5, "kept": size }]);
    assert_eq!((ok, &report["size"], &report["continued"]), (true, &json!(size + 2), &continued));
    for note in [&guarded.note, &later.note] {
        let (ok, said) = ledger(&["verify", "--checkpoint", seen], note);
        assert!(ok, "{said}");
    }
    let node = next_node(app);
    let shown = wait_for(&node, |_| true);
    assert_eq!((shown.generation, shown.size), (3, size + 2));
    ada.at(&node).get("/v1/events?after=1-1").refused(410, "feed_reset");
    let page = ada.at(&node).get("/v1/events").expect(200).body;
    assert_eq!(page["data"][0]["sequence"], "3-2", "the first two leaves are of no event");
}

/// That an answer proves a head to begin with an earlier one.
fn consistent(answer: &serde_json::Value, now: &Head, pinned: &Head) {
    use tlog_tiles::tlog::{self, Hash};
    let decode = |hash: &serde_json::Value| {
        let bytes = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, hash.as_str().unwrap()).unwrap();
        Hash(bytes.try_into().unwrap())
    };
    let path: Vec<Hash> = answer["hashes"].as_array().unwrap().iter().map(decode).collect();
    tlog::check_tree(&path, now.size, Hash(now.root), pinned.size, Hash(pinned.root)).unwrap();
}

fn a_forked_log_is_not_signed(app: &TestApp) {
    some_history(app, 3);
    let before = settled(app);
    app.app.db.close();
    // Another history of the same length, as whoever holds the database could write it, were it not for the guard.
    let older = before.size - 1;
    let number = tlog_tiles::tlog::stored_hash_index(0, older);
    let zeros = if app.url.starts_with("sqlite") { "zeroblob(32)" } else { "decode(repeat('00', 32), 'hex')" };
    by_force(&app.url, &[&format!("UPDATE log_node SET hash = {zeros} WHERE number = {number}")]);
    let node = next_node(app);
    std::thread::sleep(Duration::from_millis(600));
    let who = node.app.pulse.latest().unwrap_err();
    assert_eq!(who.code().as_str(), "ledger_halted");
    let mut conn = Conn::open(&app.url.parse().unwrap(), Purpose::Read).unwrap();
    assert_eq!(log::latest(&mut conn).unwrap().unwrap(), *before, "nothing more was signed");
}

/// Whoever may write to the database can put a row there, and no trigger knows a signature.
fn what_the_key_did_not_sign_is_neither_shown_nor_kept(app: &TestApp) {
    some_history(app, 2);
    let shown = settled(app);
    let older = app.read(|conn| log::checkpoints_after(conn, 1, 0, 1)).pop().unwrap();
    let unsigned = shown.note.replacen(&format!("\n{}\n", shown.size), "\n100002\n", 1);
    let guard = app.folder.join("keys").join(format!("{}.guard", generation(app).origin.replace('/', "-")));
    assert_eq!(std::fs::read_to_string(&guard).unwrap(), shown.note);
    for (size, note) in [(100_000, "garbage"), (100_001, &*older.note), (100_002, &*unsigned)] {
        app.sql(format!("INSERT INTO log_checkpoint (generation, size, at, note) VALUES (1, {size}, '2026-01-01T00:00:00.000000Z', '{note}')"));
        std::thread::sleep(Duration::from_millis(400));
        assert_eq!(app.app.pulse.latest().unwrap(), shown, "{note}");
        assert_eq!(std::fs::read_to_string(&guard).unwrap(), shown.note, "{note}");
    }
}

/// A node died while the database's clock was ahead.
fn a_lease_from_a_wrong_clock_is_no_lease(app: &TestApp) {
    let lab = app.lab("Motor Neuron Lab");
    let ada = app.scientist("Ada Okafor", lab);
    settled(app);
    // One process at a time writes to a SQLite file, and there is no lease.
    if !app.url.starts_with("sqlite") {
        app.sql("UPDATE log_lease SET holder = gen_random_uuid(), until = clock_timestamp() + interval '1 hour'");
    }
    let new = json!({ "title": "Later", "modality": "device", "lab_id": lab });
    ada.post("/v1/discoveries", new).expect(201);
    assert_eq!(settled(app).size, 3);
}

fn two_nodes_give_each_event_one_place(app: &TestApp) {
    let other = app.node(Edge { rate_limit: 0, ..Edge::default() }, Clock::system());
    let lab = app.lab("Motor Neuron Lab");
    let ada = app.scientist("Ada Okafor", lab);
    std::thread::scope(|scope| {
        for node in 0..2 {
            let who = if node == 0 { ada.clone() } else { ada.at(&other) };
            for _ in 0..4 {
                let who = who.clone();
                scope.spawn(move || {
                    for n in 0..25 {
                        let new = json!({ "title": format!("T {n}"), "modality": "device", "lab_id": lab });
                        // Two processes take turns at a SQLite file: whoever is not begun in time asks again.
                        let mut reply = who.post("/v1/discoveries", new.clone());
                        while reply.status == 503 {
                            reply = who.post("/v1/discoveries", new.clone());
                        }
                        reply.expect(201);
                    }
                });
            }
        }
    });
    let checkpoint = settled(app);
    wait_for(&other, |shown| **shown == *checkpoint);
    assert_eq!(sound(app).size, 2 + 200);
}
