//! A world with every kind of record, in every visibility, some of each hidden from a partner.
use super::{Actor, Reply, TestApp};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub const KINDS: [&str; 5] = ["discoveries", "trials", "findings", "insights", "pairings"];

/// One record of the world, and whether the partner may see it: said here by hand, not asked of the service.
#[derive(Debug, Clone)]
pub struct Record {
    pub kind: &'static str,
    pub id: String,
    pub code: String,
    /// The words that only this record has.
    pub mark: String,
    pub visible: bool,
}

/// Everybody, and everything there is.
pub struct World {
    pub ada: Actor,
    pub bea: Actor,
    pub kim: Actor,
    pub lou: Actor,
    pub pat: Actor,
    pub rival: Actor,
    pub auditor: Actor,
    pub admin: Actor,
    pub labs: [benchside::id::OrganizationId; 2],
    pub clinic: benchside::id::OrganizationId,
    pub sponsor: benchside::id::OrganizationId,
    pub records: Vec<Record>,
    /// Words of versions that were hidden, of records that no longer are, and what else no partner may read.
    pub former: Vec<String>,
}

impl World {
    pub fn put(&mut self, kind: &'static str, mark: &str, visible: bool, reply: &Reply) -> String {
        let code = reply.body["code"].as_str().unwrap().to_owned();
        self.records.push(Record { kind, id: reply.id(), code, mark: mark.into(), visible });
        reply.id()
    }
    pub fn of(&self, kind: &str, visible: bool) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |r| r.kind == kind && r.visible == visible)
    }
    pub fn log(&mut self, mark: &str, visible: bool, more: Value) -> String {
        let mut new = json!({
            "title": format!("About {mark}"), "summary": format!("{mark} at length"), "modality": "biologic",
            "lab_id": self.labs[0], "conditions": [{ "name": "Amyotrophic Lateral Sclerosis", "mesh": "D000690" }],
        });
        new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.ada.post("/v1/discoveries", new).expect(201);
        self.put("discoveries", mark, visible, &made)
    }
    pub fn register(&mut self, mark: &str, visible: bool, visibility: &str) -> String {
        let new = json!({
            "brief_title": format!("Trial of {mark}"), "study_type": "INTERVENTIONAL", "phases": ["PHASE1"],
            "clinic_id": self.clinic, "visibility": visibility,
        });
        let made = self.kim.post("/v1/trials", new).expect(201);
        self.put("trials", mark, visible, &made)
    }
    pub fn record(&mut self, trial: &str, mark: &str, visible: bool, signed: bool) -> String {
        let new = json!({
            "kind": "safety", "title": format!("Seen: {mark}"), "narrative": format!("{mark} at length"),
            "observed_on": "2026-01-02",
        });
        let made = self.kim.post(&format!("/v1/trials/{trial}/findings"), new).expect(201);
        let id = self.put("findings", mark, visible, &made);
        if signed {
            self.kim.signs(&format!("/v1/findings/{id}"), "authorship", json!({ "to": "signed" })).expect(201);
        }
        id
    }
    pub fn raise(
        &mut self,
        findings: &[&str],
        discoveries: &[&str],
        mark: &str,
        visible: bool,
        submitted: bool,
    ) -> String {
        let new = json!({
            "title": format!("Why {mark}?"), "question": "Is it so?", "rationale": format!("{mark} at length"),
            "finding_ids": findings, "discovery_ids": discoveries, "lab_id": self.labs[0],
        });
        let made = self.kim.post("/v1/insights", new).expect(201);
        let id = self.put("insights", mark, visible, &made);
        if submitted {
            self.kim.moves(&format!("/v1/insights/{id}"), json!({ "to": "submitted" })).expect(201);
        }
        id
    }
    pub fn industry(&mut self, discovery: &str, with: &str, mark: &str, visible: bool) -> String {
        let new = json!({
            "discovery_id": discovery, "kind": "industry_partner", "organization_id": with,
            "message": format!("Shall we, about {mark}?"),
        });
        let made = self.ada.post("/v1/pairings", new).expect(201);
        self.put("pairings", mark, visible, &made)
    }
    pub fn resolve(&self, insight: &str, body: Value) -> Reply {
        let path = format!("/v1/insights/{insight}");
        self.ada.moves(&path, json!({ "to": "acknowledged" })).expect(201);
        self.ada.moves(&path, json!({ "to": "investigating" })).expect(201);
        self.ada.moves(&path, body).expect(201)
    }
    pub fn patch(&self, who: &Actor, path: &str, body: Value) -> Reply {
        who.patch(path, who.get(path).expect(200).version(), body).expect(200)
    }
}

/// Builds the world through the service, and checks that each kind has both sides.
pub fn world(app: &TestApp) -> World {
    let labs = [app.lab("Motor Neuron Lab"), app.lab("Another Lab")];
    let (clinic, other_clinic) = (app.clinic("ALS Clinic"), app.clinic("Other Clinic"));
    let (sponsor, rivals) = (app.sponsor("Northwind"), app.sponsor("Rivals Inc"));
    let mut w = World {
        ada: app.scientist("Ada Okafor", labs[0]),
        bea: app.scientist("Bea Other", labs[1]),
        kim: app.clinician("Kim Park", clinic),
        lou: app.clinician("Lou Elsewhere", other_clinic),
        pat: app.partner("Pat Partner", sponsor),
        rival: app.partner("Riva Rival", rivals),
        auditor: app.auditor("Auditor"),
        admin: app.administrator("Admin"),
        labs,
        clinic,
        sponsor,
        records: Vec::new(),
        former: Vec::new(),
    };
    let (north, rivals) = (sponsor.to_string(), rivals.to_string());

    // Discoveries.
    let open = w.log("amberfish", true, json!({ "visibility": "public" }));
    w.log("bluewhale", true, json!({ "visibility": "confidential", "shared_with": [north] }));
    let internal = w.log("zz-internal-crow", false, json!({}));
    let secret = w.log("zz-secret-newt", false, json!({ "visibility": "confidential" }));
    w.log("zz-embargoed-mole", false, json!({ "visibility": "public", "embargo_until": "2099-01-01T00:00:00Z" }));
    let theirs = w.log("zz-rivals-lynx", false, json!({ "visibility": "confidential", "shared_with": [rivals] }));
    w.log("coralreef", true, json!({ "visibility": "public", "embargo_until": "2020-01-01T00:00:00Z" }));

    // One that was confidential under another title, and is public now.
    let turned = w.log(
        "daffodil",
        true,
        json!({
            "title": "zz-former-title", "summary": "zz-former-summary", "visibility": "confidential",
        }),
    );
    let turned = format!("/v1/discoveries/{turned}");
    w.patch(&w.ada, &turned, json!({ "title": "About daffodil", "summary": "", "tags": ["zz-former-tag"] }));
    w.patch(&w.ada, &turned, json!({ "visibility": "public", "tags": [] }));
    w.patch(&w.ada, &turned, json!({ "trl": 2 }));
    w.former.extend(["zz-former-title", "zz-former-summary", "zz-former-tag"].map(str::to_owned));
    w.former.extend([&w.ada, &w.bea, &w.kim, &w.lou, &w.rival, &w.auditor, &w.admin].map(|who| who.email.clone()));

    // Pairings: one that gives sight, one that gave it, one with the competition, one with a clinician.
    let confidential = |shared: &str| json!({ "visibility": "confidential", "shared_with": [shared] });
    let paired = w.log("edelweiss", true, confidential(&north));
    let accepted = w.industry(&paired, &north, "eagle-pairing", true);
    w.pat.moves(&format!("/v1/pairings/{accepted}"), json!({ "to": "accepted" })).expect(201);
    w.patch(&w.ada, &format!("/v1/discoveries/{paired}"), json!({ "shared_with": [] }));
    let ended = w.log("zz-ended-stoat", false, confidential(&north));
    let past = w.industry(&ended, &north, "falcon-pairing", true);
    w.pat.moves(&format!("/v1/pairings/{past}"), json!({ "to": "accepted" })).expect(201);
    w.patch(&w.ada, &format!("/v1/discoveries/{ended}"), json!({ "shared_with": [] }));
    w.ada.moves(&format!("/v1/pairings/{past}"), json!({ "to": "ended", "reason": "It is over" })).expect(201);
    w.industry(&open, &rivals, "zz-rival-on-open", false);
    w.industry(&theirs, &rivals, "zz-rival-on-theirs", false);
    let lead = json!({
        "discovery_id": open, "kind": "clinical_lead", "clinician_id": w.kim.id, "message": "zz-lead-message",
    });
    let lead = w.ada.post("/v1/pairings", lead).expect(201);
    w.put("pairings", "zz-lead-message", false, &lead);
    w.kim.moves(&format!("/v1/pairings/{}", lead.id()), json!({ "to": "accepted" })).expect(201);

    // Trials: the public one tests an open discovery and measures a hidden one.
    let trial = w.register("foxglove", true, "public");
    let hidden_trial = w.register("zz-hidden-trial", false, "internal");
    w.register("zz-confidential-trial", false, "confidential");
    let links = json!({ "data": [
        { "discovery_id": open, "role": "tests" }, { "discovery_id": internal, "role": "measures" },
    ] });
    w.kim.put(&format!("/v1/trials/{trial}/discoveries"), 1, links.clone()).expect(200);
    w.kim.put(&format!("/v1/trials/{hidden_trial}/discoveries"), 1, links).expect(200);

    // Findings: signed and draft on the public trial, signed on the hidden one.
    let finding = w.record(&trial, "gentian", true, true);
    let second = w.record(&trial, "hawthorn", true, true);
    w.record(&trial, "zz-draft-finding", false, false);
    let hidden_finding = w.record(&hidden_trial, "zz-hidden-finding", false, true);

    // Insights: an open one that names a hidden discovery and spawns a hidden one; a draft; those that cite what is hidden.
    let insight = w.raise(&[&finding], &[&open, &internal], "heather", true, true);
    w.raise(&[&finding], &[], "zz-draft-insight", false, false);
    w.raise(&[&finding, &hidden_finding], &[&open], "zz-mixed-insight", false, true);
    let hidden_insight = w.raise(&[&hidden_finding], &[&open], "zz-hidden-insight", false, true);
    let spawns = |mark: &str, visibility: &str, lab: &str| {
        json!({ "to": "resolved", "outcome": "new_discovery", "discovery": {
            "title": format!("About {mark}"), "modality": "biologic", "lab_id": lab, "visibility": visibility,
        } })
    };
    let lab = w.labs[0].to_string();
    for (from, mark, visibility, visible) in
        [(&insight, "zz-spawned-wolf", "internal", false), (&hidden_insight, "iris", "public", true)]
    {
        let resolved = w.resolve(from, spawns(mark, visibility, &lab));
        let made = resolved.body["result"]["discovery"]["id"].as_str().unwrap();
        let made = w.ada.get(&format!("/v1/discoveries/{made}")).expect(200);
        w.put("discoveries", mark, visible, &made);
    }
    // An open insight resolved by refining a hidden discovery.
    let refining = w.raise(&[&second], &[&open], "jasmine", true, true);
    w.resolve(&refining, json!({ "to": "resolved", "outcome": "refined_discovery", "discovery_id": secret }));
    // A draft that would supersede an open finding.
    let next = json!({
        "kind": "safety", "title": "Seen: zz-next-finding", "narrative": "zz-next-finding", "observed_on": "2026-02-03",
        "supersedes_id": second,
    });
    let next = w.kim.post(&format!("/v1/trials/{trial}/findings"), next).expect(201);
    w.put("findings", "zz-next-finding", false, &next);
    // A transfer between others.
    let transfer = json!({
        "to_person_id": w.bea.id, "reason": "zz-transfer-reason", "steward_id": w.labs[1],
        "records": [{ "kind": "discovery", "id": secret }],
    });
    let transfer = w.ada.post("/v1/ownership-transfers", transfer).expect(201);
    w.put("ownership-transfers", "zz-transfer-reason", false, &transfer);

    // A webhook of somebody else's.
    let hook = json!({ "name": "zz-hook-crane", "url": "https://127.0.0.1:1/", "owner_id": w.ada.id });
    let hook = w.admin.post("/v1/webhooks", hook).expect(201);
    w.put("webhooks", "zz-hook-crane", false, &hook);

    for kind in KINDS {
        let (seen, unseen) = (w.of(kind, true).count(), w.of(kind, false).count());
        assert!(seen > 0 && unseen > 0, "the world shows nothing: {kind} has {seen} visible and {unseen} hidden");
    }
    w
}

/// A reply as it can be compared and searched: without what names the request itself.
pub fn told(reply: &Reply) -> String {
    let mut body = reply.body.clone();
    if let Some(members) = body.as_object_mut() {
        members.remove("request_id");
        members.remove("instance");
    }
    let own = ["x-request-id", "date", "content-length", "connection"];
    let headers: BTreeSet<_> = reply.headers.iter().filter(|(name, _)| !own.contains(&&**name)).collect();
    format!("{} {headers:?}\n{body}", reply.status)
}
