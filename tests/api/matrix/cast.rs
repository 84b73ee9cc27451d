//! Who asks, and the world they ask about.
use crate::support::{
    Actor, TestApp,
    world::{Record, World, world},
};
use benchside::{id::OrganizationId, vocabulary::Role};
use serde_json::json;

/// The columns of the matrix.
pub const ACTORS: [&str; 13] = [
    "ada", // scientist of the lab, owner of its discoveries
    "sam", // scientist of the lab
    "bea", // scientist of another lab
    "mel", // clinician who belongs to the lab: of the steward, without the role
    "kim", // clinician of the clinic, owner of its trials, accepted lead of `amberfish` and `zz-led-seal`
    "cal", // clinician of the clinic
    "lou", // clinician of another clinic
    "exo", // scientist who owns `zz-left-ibis` and has left the lab
    "pat", // partner of the sponsor that things are shared and paired with
    "riv", // partner of its rival
    "aud", // auditor
    "adm", // administrator
    "nil", // signed in, without a role
];

/// The world and everybody in the order of [`ACTORS`].
pub struct Stage {
    pub world: World,
    pub actors: Vec<Actor>,
    /// Somebody who is none of them, with a session, a token and a subscription.
    pub other: Other,
}

pub struct Other {
    pub who: Actor,
    session: String,
    token: String,
    subscription: String,
}

impl Stage {
    pub fn actor(&self, name: &str) -> &Actor {
        let index = ACTORS.iter().position(|n| *n == name).unwrap_or_else(|| panic!("nobody is called {name}"));
        &self.actors[index]
    }
    /// The record with this mark; organizations and people are named by what they are.
    pub fn id(&self, mark: &str) -> String {
        match mark {
            "the lab" => self.world.labs[0].to_string(),
            "the clinic" => self.world.clinic.to_string(),
            "the sponsor" => self.world.sponsor.to_string(),
            "another's session" => self.other.session.clone(),
            "another's token" => self.other.token.clone(),
            "another's subscription" => self.other.subscription.clone(),
            recall if recall.starts_with("recall of ") => {
                let record = self.record(recall.trim_start_matches("recall of "));
                let recalls = self.world.admin.get("/v1/recalls?limit=200").expect(200).body;
                let of_it = recalls["data"].as_array().unwrap().iter().find(|r| r["record"]["id"] == record.id[..]);
                of_it.unwrap()["id"].as_str().unwrap().to_owned()
            }
            name if ACTORS.contains(&name) => self.actor(name).id.to_string(),
            mark => self.record(mark).id.clone(),
        }
    }
    pub fn record(&self, mark: &str) -> &Record {
        self.world.records.iter().find(|r| r.mark == mark).unwrap_or_else(|| panic!("there is no record {mark}"))
    }
}

/// The world that tests of visibility share, and what only relations tell apart.
pub fn play(app: &TestApp) -> Stage {
    let mut w = world(app);
    let (lab, clinic) = (w.labs[0], w.clinic);
    let sam = app.scientist("Sam Second", lab);
    let mel = app.person("Mel Between", &[Role::Clinician], &[lab]);
    let cal = app.clinician("Cal Colleague", clinic);
    let exo = app.scientist("Exo Former", lab);
    let nil = app.person("Nil Nobody", &[Role::Scientist], &[]);
    app.write(|conn, _| {
        use benchside::db::Conn;
        use diesel::connection::SimpleConnection;
        let bare = "UPDATE person SET roles = '[]' WHERE email_folded = 'nil.nobody@example.org'";
        match conn {
            Conn::Sqlite(c) => c.batch_execute(bare)?,
            #[cfg(feature = "postgres")]
            Conn::Pg(c) => c.batch_execute(bare)?,
        }
        Ok(())
    });

    // Owned by somebody who has left its steward.
    let left = json!({
        "title": "About zz-left-ibis", "modality": "biologic", "lab_id": lab, "visibility": "confidential",
    });
    let left = exo.post("/v1/discoveries", left).expect(201);
    w.put("discoveries", "zz-left-ibis", false, &left);
    let version = w.admin.get(&format!("/v1/people/{}", exo.id)).expect(200).version();
    w.admin.put(&format!("/v1/people/{}/memberships", exo.id), version, json!({ "data": [] })).expect(200);

    // One that has ended, and one that only an accepted pairing shows to its clinical lead.
    let over = w.log("zz-over-dodo", false, json!({}));
    let ends = json!({ "to": "discontinued", "stop_reason": "negative" });
    w.ada.signs(&format!("/v1/discoveries/{over}"), "discontinuation", ends).expect(201);
    let led = w.log("zz-led-seal", false, json!({ "visibility": "confidential", "shared_with": [clinic] }));
    let lead = json!({
        "discovery_id": led, "kind": "clinical_lead", "clinician_id": w.kim.id, "message": "zz-lead-of-seal",
    });
    let lead = w.ada.post("/v1/pairings", lead).expect(201);
    w.put("pairings", "zz-lead-of-seal", false, &lead);
    w.kim.moves(&format!("/v1/pairings/{}", lead.id()), json!({ "to": "accepted" })).expect(201);
    w.patch(&w.ada, &format!("/v1/discoveries/{led}"), json!({ "shared_with": [] }));

    // A finding that was retracted, the insight that cites it and the discovery that the insight refined.
    let trial = w.records.iter().find(|r| r.mark == "foxglove").unwrap().id.clone();
    let finding = w.record(&trial, "kingcup", true, true);
    let insight = w.raise(&[&finding], &[], "larkspur", true, true);
    w.resolve(&insight, json!({ "to": "resolved", "outcome": "refined_discovery", "discovery_id": led }));
    let retracts = json!({ "to": "retracted", "reason": "The assay was miscalibrated" });
    w.kim.signs(&format!("/v1/findings/{finding}"), "retraction", retracts).expect(201);

    let builtin = include_str!("../../../src/lifecycle/builtin/discovery.toml");
    let document = builtin.replace("name = \"translational\"", "name = \"pathway\"");
    let pathway = w.admin.post("/v1/lifecycles", json!({ "document": document })).expect(201);
    w.put("lifecycles", "pathway", true, &pathway);

    let of_world = [&w.ada, &w.bea, &w.kim, &w.lou, &w.pat, &w.rival, &w.auditor, &w.admin].map(Actor::clone);
    let [ada, bea, kim, lou, pat, riv, aud, adm] = of_world;
    let other = other(app, w.labs[0]);
    Stage { world: w, actors: vec![ada, sam, bea, mel, kim, cal, lou, exo, pat, riv, aud, adm, nil], other }
}

fn other(app: &TestApp, lab: OrganizationId) -> Other {
    let who = app.scientist("Oda Other", lab);
    let token = json!({ "name": "Nightly", "scopes": ["read"], "expires_at": app.app.clock.now().plus_days(1) });
    let token = who.post("/v1/auth/tokens", token).expect(201).id();
    let session = who.get("/v1/auth/sessions").expect(200).body["data"][0]["id"].as_str().unwrap().to_owned();
    let subscription = who.post("/v1/me/subscriptions", json!({ "lab_id": lab })).expect(201).id();
    Other { who, session, token, subscription }
}
