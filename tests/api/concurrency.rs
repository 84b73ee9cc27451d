//! Many people at once, over HTTP, on both engines: one wins, the others are told, nothing is lost or done twice.
use crate::support::{
    Actor, PASSWORD, Reply, TestApp,
    crowd::{at_once, sent_by, statuses, tallied, tally},
    on_both_engines,
};
use benchside::id::OrganizationId;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

on_both_engines!(
    of_64_writers_on_one_record_exactly_one_wins_per_version,
    of_64_writers_on_records_of_their_own_none_fails,
    writers_who_read_again_all_succeed_and_none_is_lost,
    writers_who_take_any_version_need_not_read_again,
    of_two_clinical_leads_who_accept_at_once_one_leads,
    a_challenge_answered_16_times_at_once_signs_once,
    wrong_passwords_side_by_side_cannot_outrun_the_limit,
    ownership_passes_once,
);

const WRITERS: usize = 64;

fn discovery(owner: &Actor, lab: OrganizationId) -> (String, String) {
    let new = json!({ "title": "One of many", "modality": "device", "lab_id": lab });
    let id = owner.post("/v1/discoveries", new).expect(201).id();
    (format!("/v1/discoveries/{id}"), id)
}

/// Versions in the history, oldest first.
fn history(reader: &Actor, path: &str) -> Vec<Value> {
    let mut data =
        reader.get(&format!("{path}/history?limit=200")).expect(200).body["data"].as_array().unwrap().clone();
    data.reverse();
    data
}
fn versions(history: &[Value]) -> Vec<i64> {
    history.iter().map(|e| e["version"].as_i64().unwrap()).collect()
}

fn of_64_writers_on_one_record_exactly_one_wins_per_version(app: &TestApp) {
    let lab = app.lab("Lab");
    let people = [app.scientist("Ada Okafor", lab), app.scientist("Bo Lindqvist", lab)];
    let (path, _) = discovery(&people[0], lab);
    let rounds: i64 = 5;
    let mut winners = Vec::new();
    for version in 1..=rounds {
        let summary = |n: usize| format!("writer {n} at version {version}");
        let replies = sent_by(WRITERS, |n| {
            // Some revise, some move: versions are one row for all.
            if n % 8 == 7 && version == 1 {
                let body = json!({ "to": "validated", "reason": summary(n), "evidence": [{ "kind": "url", "value": "https://example.org/x" }] });
                people[n % 2].versioned("POST", &format!("{path}/transitions"), version, body)
            } else {
                people[n % 2].patch(&path, version, json!({ "summary": summary(n) }))
            }
        });
        let won: Vec<_> = (0..WRITERS).filter(|n| replies[*n].status < 300).collect();
        assert_eq!(won.len(), 1, "{:?}", tally(&replies));
        let lost: Vec<_> = replies.iter().filter(|r| r.status >= 300).cloned().collect();
        assert_eq!(tally(&lost), tallied([(412, "version_mismatch", WRITERS - 1)]));
        for reply in &lost {
            // What it is now, so that the loser may read again: this round's winner has made the next version.
            assert_eq!(reply.body["current_version"], version + 1);
        }
        let now = people[0].get(&path).expect(200);
        assert_eq!(now.version(), version + 1);
        if replies[won[0]].status == 200 {
            assert_eq!(now.body["summary"], summary(won[0]), "what stands is what the winner wrote");
        }
        winners.push(people[won[0] % 2].name.clone());
    }
    let history = history(&people[0], &path);
    assert_eq!(versions(&history), (1..=rounds + 1).collect::<Vec<_>>());
    let by: Vec<_> = history[1..].iter().map(|e| e["by"]["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(by, winners);
}

fn writers_who_take_any_version_need_not_read_again(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let (path, _) = discovery(&ada, lab);
    let writers = 16;
    let replies = sent_by(writers, |n| {
        let body = json!({ "summary": format!("writer {n}") }).to_string();
        ada.send("PATCH", &path, &[("if-match", "*"), ("content-type", "application/json")], Some(body.as_bytes()))
    });
    assert_eq!(tally(&replies), tallied([(200, "", writers)]));
    let mut made: Vec<i64> = replies.iter().map(Reply::version).collect();
    made.sort_unstable();
    assert_eq!(made, (2..2 + writers as i64).collect::<Vec<_>>());
}

fn of_64_writers_on_records_of_their_own_none_fails(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let began = Instant::now();
    let paths = at_once(
        (0..WRITERS)
            .map(|n| {
                let ada = ada.clone();
                Box::new(move || {
                    let (path, _) = discovery(&ada, lab);
                    for version in 1..=10 {
                        let revised = ada.patch(&path, version, json!({ "summary": format!("{n}, change {version}") }));
                        assert_eq!(revised.expect(200).version(), version + 1);
                    }
                    path
                }) as Box<dyn FnOnce() -> String + Send>
            })
            .collect(),
    );
    println!("{} changes in {:?}", WRITERS * 11, began.elapsed());
    for (n, path) in paths.iter().enumerate() {
        assert_eq!(ada.get(path).expect(200).body["summary"], format!("{n}, change 10"));
        assert_eq!(versions(&history(&ada, path)), (1..=11).collect::<Vec<_>>());
    }
    // Each got a code of its own.
    let codes: std::collections::BTreeSet<_> = paths.iter().map(|p| ada.get(p).body["code"].to_string()).collect();
    assert_eq!(codes.len(), WRITERS);
}

fn writers_who_read_again_all_succeed_and_none_is_lost(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let (path, _) = discovery(&ada, lab);
    // Sixteen add a tag of their own to what they read, until they succeed.
    let (path, ada) = (&path, &ada);
    at_once(
        (0..16)
            .map(|n| {
                Box::new(move || {
                    let deadline = Instant::now() + Duration::from_secs(30);
                    loop {
                        let read = ada.get(path).expect(200);
                        let mut tags = read.body["tags"].as_array().unwrap().clone();
                        tags.push(json!(format!("tag-{n}")));
                        let reply = ada.patch(path, read.version(), json!({ "tags": tags }));
                        if reply.status == 200 {
                            return;
                        }
                        reply.refused(412, "version_mismatch");
                        assert!(Instant::now() < deadline, "{n} starved");
                    }
                }) as Box<dyn FnOnce() + Send>
            })
            .collect(),
    );
    let mut tags: Vec<_> =
        ada.get(path).body["tags"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().to_owned()).collect();
    tags.sort();
    let mut expected: Vec<_> = (0..16).map(|n| format!("tag-{n}")).collect();
    expected.sort();
    assert_eq!(tags, expected);
    assert_eq!(ada.get(path).version(), 17);
}

fn of_two_clinical_leads_who_accept_at_once_one_leads(app: &TestApp) {
    let (lab, clinic) = (app.lab("Lab"), app.clinic("Clinic"));
    let ada = app.scientist("Ada Okafor", lab);
    let leads = [app.clinician("Kim Park", clinic), app.clinician("Lee Marsh", clinic)];
    for _ in 0..6 {
        let (path, id) = discovery(&ada, lab);
        let pairings: Vec<_> = leads
            .iter()
            .map(|lead| {
                let proposal = json!({ "discovery_id": id, "kind": "clinical_lead", "clinician_id": lead.id, "message": "Would you?" });
                format!("/v1/pairings/{}", ada.post("/v1/pairings", proposal).expect(201).id())
            })
            .collect();
        let replies = sent_by(2, |n| {
            leads[n].versioned("POST", &format!("{}/transitions", pairings[n]), 1, json!({ "to": "accepted" }))
        });
        assert_eq!(tally(&replies), tallied([(201, "", 1), (409, "conflict", 1)]), "{path}");
        let states: Vec<_> = pairings.iter().map(|p| ada.get(p).expect(200).body["state"].clone()).collect();
        let winner = replies.iter().position(|r| r.status == 201).unwrap();
        assert_eq!((&states[winner], &states[1 - winner]), (&json!("accepted"), &json!("proposed")));
        assert_eq!(versions(&history(&ada, &pairings[1 - winner])), [1], "the loser's pairing is untouched");
    }
}

/// A draft finding, by its path.
fn draft(kim: &Actor, clinic: OrganizationId) -> String {
    let new =
        json!({ "brief_title": "A trial", "study_type": "INTERVENTIONAL", "phases": ["PHASE1"], "clinic_id": clinic });
    let trial = kim.post("/v1/trials", new).expect(201).id();
    let new = json!({ "kind": "biomarker", "title": "A finding", "narrative": "Seen.", "observed_on": "2026-10-02" });
    format!("/v1/findings/{}", kim.post(&format!("/v1/trials/{trial}/findings"), new).expect(201).id())
}

fn signed(challenge: &str, password: &str) -> Value {
    json!({ "to": "signed", "signature": { "challenge_id": challenge, "password": password } })
}

fn a_challenge_answered_16_times_at_once_signs_once(app: &TestApp) {
    let clinic = app.clinic("Clinic");
    let kim = app.clinician("Kim Park", clinic);
    for _ in 0..3 {
        let finding = draft(&kim, clinic);
        let (challenge, version) = kim.challenge(&finding, "authorship", &json!({ "to": "signed" }));
        let transitions = format!("{finding}/transitions");
        let replies = sent_by(16, |_| kim.versioned("POST", &transitions, version, signed(&challenge, PASSWORD)));
        let tally = tally(&replies);
        assert_eq!(tally[&(201, String::new())], 1, "{tally:?}");
        for (status, code) in tally.keys() {
            let expected = [(201, ""), (412, "version_mismatch"), (409, "signature_invalid")];
            assert!(expected.contains(&(*status, code)), "{tally:?}");
        }
        let history = history(&kim, &finding);
        assert_eq!(versions(&history), [1, 2]);
        assert_eq!(history[1]["signature"]["meaning"], "authorship");
        // Used up, even for what it was issued for.
        kim.versioned("POST", &transitions, 2, signed(&challenge, PASSWORD)).expect(409);
    }
}

fn wrong_passwords_side_by_side_cannot_outrun_the_limit(app: &TestApp) {
    let clinic = app.clinic("Clinic");
    let kim = app.clinician("Kim Park", clinic);
    for (wrong, still_open) in [(4, true), (5, false), (16, false)] {
        let finding = draft(&kim, clinic);
        let (challenge, version) = kim.challenge(&finding, "authorship", &json!({ "to": "signed" }));
        let transitions = format!("{finding}/transitions");
        let replies = sent_by(wrong, |n| {
            kim.versioned("POST", &transitions, version, signed(&challenge, &format!("wrong password {n}")))
        });
        assert_eq!(tally(&replies), tallied([(409, "signature_invalid", wrong)]));
        let right = kim.versioned("POST", &transitions, version, signed(&challenge, PASSWORD));
        if still_open {
            right.expect(201);
        } else {
            right.refused(409, "signature_invalid");
            assert_eq!(kim.get(&finding).expect(200).version(), version, "nothing was signed");
            kim.signs(&finding, "authorship", json!({ "to": "signed" })).expect(201);
        }
    }
}

fn ownership_passes_once(app: &TestApp) {
    let lab = app.lab("Lab");
    let ada = app.scientist("Ada Okafor", lab);
    let (bo, cy) = (app.scientist("Bo Lindqvist", lab), app.scientist("Cy Duarte", lab));
    let offered = |to: &Actor, ids: &[&str]| {
        let records: Vec<_> = ids.iter().map(|id| json!({ "kind": "discovery", "id": id })).collect();
        ada.post(
            "/v1/ownership-transfers",
            json!({ "to_person_id": to.id, "reason": "Passing it on", "records": records }),
        )
    };
    for _ in 0..6 {
        // Offered to two at once: one offer stands.
        let (path, id) = discovery(&ada, lab);
        let offers = sent_by(2, |n| offered([&bo, &cy][n], &[&id]));
        assert_eq!(tally(&offers), tallied([(201, "", 1), (409, "conflict", 1)]));
        let to = if offers[0].status == 201 { &bo } else { &cy };
        let offer = offers.iter().find(|r| r.status == 201).unwrap().id();
        let transfer = format!("/v1/ownership-transfers/{offer}");

        // Accepted twice at once: once.
        let replies = sent_by(8, |_| to.post(&format!("{transfer}/accept"), json!({})));
        assert_eq!(statuses(&replies), [200, 409, 409, 409, 409, 409, 409, 409]);
        let owners = ada.get(&path).expect(200).body["owners"].as_array().unwrap().len();
        assert_eq!(owners, 2);
        assert_eq!(versions(&history(&ada, &path)), [1, 2]);

        // Accepted and withdrawn at once: one or the other, and the record agrees.
        let (path, id) = discovery(&ada, lab);
        let transfer = format!("/v1/ownership-transfers/{}", offered(&bo, &[&id]).expect(201).id());
        let replies = sent_by(2, |n| match n {
            0 => bo.post(&format!("{transfer}/accept"), json!({})),
            _ => ada.post(&format!("{transfer}/withdraw"), json!({})),
        });
        assert_eq!(statuses(&replies), [200, 409]);
        let (state, owner) = if replies[0].status == 200 { ("accepted", &bo) } else { ("withdrawn", &ada) };
        assert_eq!(ada.get(&transfer).expect(200).body["state"], state);
        assert_eq!(ada.get(&path).expect(200).body["owner"]["id"], json!(owner.id));

        // Two transfers of several records each, accepted at once: both pass, whole.
        let ours: Vec<_> = (0..4).map(|_| discovery(&ada, lab)).collect();
        let first = offered(&bo, &[&ours[0].1, &ours[1].1]).expect(201).id();
        let second = offered(&cy, &[&ours[2].1, &ours[3].1]).expect(201).id();
        let replies = sent_by(2, |n| {
            [&bo, &cy][n].post(&format!("/v1/ownership-transfers/{}/accept", [&first, &second][n]), json!({}))
        });
        assert_eq!(tally(&replies), tallied([(200, "", 2)]));
        for (index, owner) in [&bo, &bo, &cy, &cy].into_iter().enumerate() {
            assert_eq!(ada.get(&ours[index].0).expect(200).body["owner"]["id"], json!(owner.id));
        }

        // A record that is being revised passes all the same, never half.
        let (path, id) = discovery(&ada, lab);
        let (_, other) = discovery(&ada, lab);
        let transfer = format!("/v1/ownership-transfers/{}", offered(&bo, &[&other, &id]).expect(201).id());
        let replies = sent_by(2, |n| match n {
            0 => bo.post(&format!("{transfer}/accept"), json!({})),
            _ => ada.patch(&path, 1, json!({ "summary": "Meanwhile" })),
        });
        assert!(replies[0].status == 200 && [200, 412].contains(&replies[1].status), "{replies:?}");
        for path in [&path, &format!("/v1/discoveries/{other}")] {
            assert_eq!(ada.get(path).expect(200).body["owner"]["id"], json!(bo.id), "all of it");
        }
    }
}

/// On PostgreSQL, where transactions run side by side: nothing that a move rests on changes until it is made.
#[cfg(feature = "postgres")]
#[test]
fn a_move_waits_for_a_change_of_what_it_rests_on() {
    use benchside::vocabulary::Role;
    use diesel::{Connection, PgConnection, connection::SimpleConnection};
    let app = TestApp::postgres();
    let (lab, clinic) = (app.lab("Lab"), app.clinic("Clinic"));
    let ada = app.scientist("Ada Okafor", lab);
    let kim = app.person("Kim Park", &[Role::Clinician], &[lab, clinic]);
    let (path, id) = discovery(&ada, lab);
    let ready = json!({ "to": "clinic_ready", "move": "correct", "reason": "Handed over on paper" });
    app.administrator("Admin").signs(&path, "correction", ready).expect(201);
    let new = json!({ "brief_title": "T", "study_type": "INTERVENTIONAL", "phases": ["PHASE1"], "clinic_id": clinic });
    let trial = format!("/v1/trials/{}", kim.post("/v1/trials", new).expect(201).id());
    let links = json!({ "data": [{ "discovery_id": id, "role": "tests" }] });
    kim.put(&format!("{trial}/discoveries"), 1, links).expect(200);
    let opens = json!({ "to": "RECRUITING", "evidence": [{ "kind": "irb", "value": "IRB-1" }] });
    kim.moves(&trial, opens).expect(201);

    let mut other = PgConnection::establish(&app.url).unwrap();
    other.batch_execute("BEGIN; UPDATE trial SET overall_status = 'SUSPENDED'").unwrap();
    let reply = std::thread::scope(|scope| {
        let moved = scope.spawn(|| kim.moves(&path, json!({ "to": "first_in_human" })));
        std::thread::sleep(Duration::from_millis(500));
        assert!(!moved.is_finished(), "the move does not wait: it may be made on a trial that no longer recruits");
        other.batch_execute("COMMIT").unwrap();
        moved.join().unwrap()
    });
    assert_eq!(reply.refused(409, "gates_unmet")["unmet"][0]["gate"], "trial");
}
