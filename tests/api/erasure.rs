//! Lawful erasure: the log stays whole, and shows the gap.
use crate::{
    ledger::{settled, sound},
    past::settles,
    support::{Actor, TestApp, on_both_engines},
};
use benchside::{db::columns::Time, erasure::change, id::Key, vocabulary::RecordKind};
use serde_json::{Value, json};
use std::time::Duration;

on_both_engines!(
    erased_versions_are_a_gap_in_a_sound_log,
    what_is_signed_is_not_erased,
    a_person_is_erased_from_every_version,
    an_erasure_is_erased_with_what_it_copied,
    a_payload_that_no_erasure_names_is_missed,
    the_payload_of_a_signed_version_is_missed,
);

/// A discovery in three versions, and a moment at which it was in its second.
fn logged(app: &TestApp) -> (Actor, String, Time) {
    let lab = app.lab("Motor Neuron Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let new =
        json!({ "title": "Patient John Doe reacted", "modality": "device", "lab_id": lab, "visibility": "public" });
    let made = ada.post("/v1/discoveries", new).expect(201);
    let path = made.body["links"]["self"].as_str().unwrap().to_owned();
    ada.patch(&path, 1, json!({ "trl": 2 })).expect(200);
    settled(app);
    std::thread::sleep(Duration::from_millis(2));
    let then = app.app.clock.now();
    ada.patch(&path, 2, json!({ "title": "A patient reacted" })).expect(200);
    (ada, path, then)
}

fn erase(app: &TestApp, kind: RecordKind, path: &str, versions: &'static [i64]) -> Result<usize, String> {
    let key = Key::parse(kind, path.rsplit('/').next().unwrap()).unwrap();
    let context = app.system();
    app.wait(
        app.app.db.write(move |conn| change::erase_versions(conn, &context, kind, key, versions, "A name was written")),
    )
    .map_err(|e| format!("{e:?}"))
}

fn history(who: &Actor, path: &str) -> Vec<Value> {
    who.get(&format!("{path}/history")).expect(200).body["data"].as_array().unwrap().clone()
}

fn erased_versions_are_a_gap_in_a_sound_log(app: &TestApp) {
    let (ada, path, then) = logged(app);
    let auditor = app.auditor("Audrey Stone");
    settled(app);
    let index = history(&ada, &path)[2]["leaf_index"].as_i64().unwrap();
    assert_eq!(erase(app, RecordKind::Discovery, &path, &[1, 2]), Ok(2));
    settled(app);
    assert_eq!(sound(app).erased, 2);
    let entries = history(&ada, &path);
    assert_eq!(entries.len(), 4);
    assert_eq!((&entries[0]["action"], &entries[0]["reason"]), (&json!("erased"), &json!("A name was written")));
    assert_eq!((&entries[0]["erased"], &entries[0]["changes"]), (&Value::Null, &json!([])));
    // Version 3 tells what it became, and not what it was; versions 1 and 2 tell nothing but that they were.
    assert_eq!(entries[1]["erased"], "before");
    let title = entries[1]["changes"].as_array().unwrap().iter().find(|c| c["field"] == "title").unwrap().clone();
    assert_eq!(title, json!({ "field": "title", "before": null, "after": "A patient reacted" }));
    for entry in &entries[2..] {
        assert_eq!(entry["record"], entries[0]["record"], "a code is no content");
        assert_eq!(
            (&entry["erased"], &entry["changes"], &entry["by"]["name"]),
            (&json!("version"), &json!([]), &json!("Ada Okafor"))
        );
    }
    for reply in [
        auditor.get("/v1/events?limit=200"),
        auditor.get("/v1/history?limit=200"),
        auditor.get(&format!("{path}/history")),
    ] {
        assert!(!reply.expect(200).text.contains("John Doe"));
    }
    // The proof still holds, with nothing in it to open.
    let proof = auditor.get(&format!("/v1/ledger/events/{index}/proof")).expect(200);
    assert!(!proof.text.contains("John Doe"));
    // As of then, the version is said to be erased.
    settles(app, then);
    ada.get(&format!("{path}?as_of={then}")).refused(410, "erased");
    let list = ada.get(&format!("/v1/discoveries?as_of={then}")).expect(200).body;
    assert_eq!((list["data"].clone(), list["erased"][0]["version"].clone()), (json!([]), json!(2)));
    let overview = ada.get(&format!("/v1/pipeline/overview?as_of={then}")).expect(200).body;
    assert_eq!(overview["erased"], 1);
    // It goes on.
    let version = ada.get(&path).expect(200).version();
    assert_eq!(version, 4);
    ada.patch(&path, version, json!({ "trl": 3 })).expect(200);
    settled(app);
    sound(app);
    for versions in [&[1_i64][..], &[9], &[3, 1]] {
        let versions: &'static [i64] = versions.to_vec().leak();
        let refusal = erase(app, RecordKind::Discovery, &path, versions).unwrap_err();
        assert!(refusal.contains("Conflict"), "{versions:?}: {refusal}");
    }
    assert_eq!(ada.get(&path).expect(200).version(), 5, "what is refused changes nothing");
    let refusal = erase(app, RecordKind::Discovery, &path, &[5]).unwrap_err();
    assert!(refusal.contains("revise it first"), "{refusal}");
    assert_eq!(sound(app).erased, 2);
}

fn signed(app: &TestApp) -> (Actor, String) {
    let kim = app.clinician("Kim Park", app.clinic("ALS Clinic"));
    let clinic = kim.get("/v1/me").expect(200).body["organizations"][0]["id"].clone();
    let trial = json!({ "brief_title": "T", "study_type": "INTERVENTIONAL", "phases": ["NA"], "clinic_id": clinic });
    let trial = kim.post("/v1/trials", trial).expect(201).id();
    let finding = json!({ "kind": "efficacy", "title": "F", "narrative": "N", "observed_on": "2026-01-02" });
    let finding = kim.post(&format!("/v1/trials/{trial}/findings"), finding).expect(201).id();
    let path = format!("/v1/findings/{finding}");
    kim.signs(&path, "authorship", json!({ "to": "signed" })).expect(201);
    kim.signs(&path, "retraction", json!({ "to": "retracted", "reason": "Wrong assay" })).expect(201);
    (kim, path)
}

fn what_is_signed_is_not_erased(app: &TestApp) {
    let (kim, path) = signed(app);
    let refusal = erase(app, RecordKind::Finding, &path, &[1, 2]).unwrap_err();
    assert!(refusal.contains("version 2 is signed"), "{refusal}");
    assert_eq!(erase(app, RecordKind::Finding, &path, &[1]), Ok(1));
    settled(app);
    assert_eq!(sound(app).erased, 1);
    assert_eq!(history(&kim, &path)[1]["signature"]["signer"], "Kim Park");
}

fn a_person_is_erased_from_every_version(app: &TestApp) {
    let (ada, path, _) = logged(app);
    let admin = app.administrator("Root Admin");
    let person = format!("/v1/people/{}", ada.id);
    let erased = |app: &TestApp| {
        let (context, id) = (app.system(), ada.id);
        app.wait(app.app.db.write(move |conn| {
            let person = benchside::person::store::named(conn, Key::Id(id.0))?;
            change::erase_person(conn, &context, person, "Asked for by the person")
        }))
        .map_err(|e| format!("{e:?}"))
    };
    assert!(erased(app).unwrap_err().contains("disable them first"));
    let version = admin.get(&person).expect(200).version();
    admin.versioned("POST", &format!("{person}/disable"), version, json!({ "reason": "Left" })).expect(200);
    assert_eq!(erased(app), Ok(2));
    assert!(erased(app).unwrap_err().contains("erased already"));
    settled(app);
    assert_eq!(sound(app).erased, 2);
    let shown = admin.get(&person).expect(200);
    assert_eq!(shown.body["name"], "Erased person");
    for asked in [
        person.clone(),
        format!("{person}/history"),
        format!("{path}/history"),
        path.clone(),
        "/v1/people".into(),
        "/v1/events?limit=200".into(),
    ] {
        let text = admin.get(&asked).expect(200).text;
        assert!(!text.contains("Okafor") && !text.contains("ada.okafor"), "{asked}: {text}");
    }
    assert_eq!(history(&admin, &path)[0]["by"]["name"], "Erased person");
    assert_eq!(history(&admin, &person)[0]["reason"], "Asked for by the person");
    ada.get("/v1/me").refused(401, "unauthenticated");
    // The address is free again, for whoever has it.
    app.scientist("Ada Okafor", app.lab("Another Lab"));
}

fn an_erasure_is_erased_with_what_it_copied(app: &TestApp) {
    let lab = app.lab("Motor Neuron Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let new = json!({ "title": "Patient John Doe reacted", "modality": "device", "lab_id": lab });
    let keyed = [("content-type", "application/json"), ("idempotency-key", "log-1")];
    let made = ada.send("POST", "/v1/discoveries", &keyed, Some(new.to_string().as_bytes())).expect(201);
    let path = made.body["links"]["self"].as_str().unwrap().to_owned();
    ada.patch(&path, 1, json!({ "trl": 2 })).expect(200);
    assert_eq!(erase(app, RecordKind::Discovery, &path, &[1]), Ok(1));
    ada.patch(&path, 3, json!({ "title": "A patient reacted" })).expect(200);
    assert_eq!(
        erase(app, RecordKind::Discovery, &path, &[2, 3]),
        Ok(2),
        "the record of the erasure holds the title too"
    );
    settled(app);
    assert_eq!(sound(app).erased, 3);
    for asked in [format!("{path}/history"), path.clone()] {
        assert!(!ada.get(&asked).expect(200).text.contains("John Doe"), "{asked}");
    }
    // Nor is it in what is kept for a repetition, and that does nothing twice all the same.
    let before = ada.get("/v1/discoveries?count=true").expect(200).body["total"].clone();
    let again = ada.send("POST", "/v1/discoveries", &keyed, Some(new.to_string().as_bytes())).expect(410);
    assert_eq!(again.body["code"], "erased");
    assert!(!again.text.contains(&made.id()), "{}", again.text);
    assert_eq!(ada.get("/v1/discoveries?count=true").expect(200).body["total"], before);
    let kept = app.read(|conn| {
        use benchside::db::schema::idempotency::dsl;
        use diesel::prelude::*;
        let kept = dsl::idempotency.select((dsl::body.nullable(), dsl::location.nullable()));
        Ok(kept.load::<(Option<String>, Option<String>)>(conn)?)
    });
    assert!(!kept.is_empty() && kept.iter().all(|(body, location)| body.is_none() && location.is_none()), "{kept:?}");
}

fn the_payload_of_a_signed_version_is_missed(app: &TestApp) {
    let (kim, path) = signed(app);
    assert_eq!(erase(app, RecordKind::Finding, &path, &[1]), Ok(1));
    // As somebody with the database might forge it.
    let id = kim.get(&path).expect(200).id();
    app.write(move |conn, context| {
        let mut change = benchside::ledger::Change::of(benchside::vocabulary::Action::Erased);
        change.extra.insert("erased".into(), json!([2]));
        let key = Key::parse(RecordKind::Finding, &id).unwrap();
        benchside::app::note(conn, context, RecordKind::Finding, key, |_, _| Ok(change.clone()))
    });
    settled(app);
    sound(app);
    app.sql("UPDATE event SET salt = NULL, payload = NULL WHERE record_kind = 'finding' AND record_version = 2");
    let report = app.read(|conn| benchside::ledger::verify_database::verify(conn, None, &[]));
    assert_eq!(report.faults.len(), 1, "{:#?}", report.faults);
}

fn a_payload_that_no_erasure_names_is_missed(app: &TestApp) {
    let (_, path, _) = logged(app);
    assert_eq!(erase(app, RecordKind::Discovery, &path, &[1]), Ok(1));
    settled(app);
    sound(app);
    app.sql("UPDATE event SET salt = NULL, payload = NULL WHERE record_kind = 'discovery' AND record_version = 2");
    let report = app.read(|conn| benchside::ledger::verify_database::verify(conn, None, &[]));
    assert_eq!(report.faults.len(), 1, "{:#?}", report.faults);
}
