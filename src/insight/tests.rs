//! The way back as one story, on a database of its own.
use super::{
    Insight,
    change::{self, NewInsight},
    days_to_answer, due_rank, never, store,
};
use crate::{
    Error, Result,
    auth::policy::Principal,
    db::{
        Address, Conn, Purpose,
        columns::{Doc, Time},
        migrate,
    },
    discovery,
    error::Code,
    fault,
    finding::{self, Finding},
    http::etag::IfMatch,
    id::{ChallengeId, DiscoveryId, FindingId, InsightId, Key, OrganizationId, PersonId, TrialId},
    ledger::{Change, Context, Stored, next_number, record_change},
    organization::Organization,
    person::{Expertise, Person, Tenure},
    signature::{self, Subject},
    transition::{Asked, Checked, Movable, attempt},
    trial::Trial,
    vocabulary::{
        Action, Authn, Meaning, OrganizationKind, RecordKind, Role, StudyType, TrialSource, TrialStatus, Urgency,
        Visibility,
    },
};
use diesel::connection::SimpleConnection;
use serde_json::{Value, json};
use uuid::Uuid;

struct World {
    conn: Conn,
    at: Time,
    path: std::path::PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", self.path.display()));
        }
    }
}

fn world() -> World {
    let path = std::env::temp_dir().join(format!("benchside-insight-{}.db", Uuid::now_v7()));
    let address: Address = format!("sqlite://{}", path.display()).parse().unwrap();
    let mut conn = Conn::open(&address, Purpose::Write).unwrap();
    migrate::up(&mut conn).unwrap();
    World { conn, at: Time::parse("2026-03-01T09:00:00Z").unwrap(), path }
}

impl World {
    fn context(&self, person: Option<PersonId>) -> Context {
        Context { log: "test".into(), person, authn: Authn::Password, at: self.at, request: Uuid::nil() }
    }

    fn organization(&mut self, kind: OrganizationKind) -> OrganizationId {
        let mut organization = Organization {
            id: OrganizationId::fresh(),
            number: next_number(&mut self.conn, RecordKind::Organization).unwrap(),
            version: 0,
            name: kind.to_string(),
            kind,
            parent_id: None,
            ror: None,
            focus: Doc(Vec::new()),
            lifecycle: None,
            search: String::new(),
            created_at: self.at,
            updated_at: self.at,
            head: Vec::new(),
        };
        let context = self.context(None);
        record_change(&mut self.conn, &context, &mut organization, Change::of(Action::Created)).unwrap();
        organization.id
    }

    fn person(&mut self, role: Role, organization: OrganizationId) -> Principal {
        let number = next_number(&mut self.conn, RecordKind::Person).unwrap();
        let mut person = Person {
            id: PersonId::fresh(),
            number,
            version: 0,
            name: format!("{role} {number}"),
            email: format!("{number}@example.org"),
            email_folded: format!("{number}@example.org"),
            orcid: None,
            roles: Doc(vec![role]),
            organizations: Doc(vec![organization]),
            expertise: Doc(Expertise::default()),
            accepting_work: true,
            disabled_at: None,
            search: String::new(),
            created_at: self.at,
            updated_at: self.at,
            head: Vec::new(),
        };
        let context = self.context(None);
        record_change(&mut self.conn, &context, &mut person, Change::of(Action::Created)).unwrap();
        let (id, member_of) = (person.id.0.simple(), organization.0.simple());
        self.conn.batch_execute(&format!("INSERT INTO membership VALUES (x'{id}', x'{member_of}')")).unwrap();
        Principal {
            id: person.id,
            name: person.name,
            roles: [role].into(),
            organizations: vec![organization],
            authn: Authn::Password,
            session: None,
            scope: crate::auth::scope::Scope::everything(),
            at: self.at,
        }
    }

    fn trial(&mut self, owner: &Principal, visibility: Visibility) -> Trial {
        let mut trial = Trial {
            id: TrialId::fresh(),
            number: next_number(&mut self.conn, RecordKind::Trial).unwrap(),
            version: 0,
            nct_id: None,
            org_study_id: None,
            acronym: None,
            brief_title: "A trial".into(),
            official_title: None,
            study_type: StudyType::Interventional,
            phases: Doc(Vec::new()),
            overall_status: TrialStatus::Recruiting,
            last_known_status: None,
            status_entered_at: self.at,
            suspended_from: None,
            why_stopped: None,
            stop_reason: None,
            conditions: Doc(Vec::new()),
            interventions: Doc(Vec::new()),
            enrollment: None,
            start_date: None,
            primary_completion_date: None,
            completion_date: None,
            sponsor: None,
            fda_regulated: None,
            verified_on: None,
            clinic_id: owner.organizations[0],
            owner_id: owner.id,
            owners: Doc(vec![Tenure { person_id: owner.id, from: self.at, until: None }]),
            refs: Doc(Vec::new()),
            visibility,
            shared_with: Doc(Vec::new()),
            embargo_until: None,
            source: TrialSource::Local,
            discoveries: Doc(Vec::new()),
            terms: String::new(),
            search: String::new(),
            created_at: self.at,
            updated_at: self.at,
            head: Vec::new(),
        };
        let context = self.context(Some(owner.id));
        record_change(&mut self.conn, &context, &mut trial, Change::of(Action::Created)).unwrap();
        trial
    }

    fn records(&mut self, who: &Principal, trial: &Trial, supersedes: Option<FindingId>) -> Finding {
        let body = json!({ "kind": "safety", "title": "Nausea", "narrative": "", "observed_on": "2026-03-01",
            "ctcae_grade": 2, "supersedes_id": supersedes });
        let context = self.context(Some(who.id));
        let new = fault::read(body).unwrap();
        finding::change::record(&mut self.conn, who, &context, trial, new).unwrap()
    }

    fn moves<M: Movable>(&mut self, who: &Principal, id: Uuid, body: Value) -> Result<M> {
        let context = self.context(Some(who.id));
        let asked = Asked { key: Key::Id(id), if_match: IfMatch::Any, body };
        attempt::<M>(&mut self.conn, who, &context, &asked, Some(Checked { right: true }))?;
        M::find(&mut self.conn, who, Key::Id(id))
    }

    fn signs(&mut self, who: &Principal, id: FindingId, meaning: Meaning, mut body: Value) -> Result<Finding> {
        let version = finding::store::load(&mut self.conn, id)?.version;
        let challenge = ChallengeId::fresh();
        let record = id.0;
        let kind = RecordKind::Finding;
        let subject = Subject { challenge, issued_at: self.at, kind, record, version, meaning, transition: &body };
        signature::store::issue(&mut self.conn, who, &subject, "F-1")?;
        body["signature"] = json!({ "challenge_id": challenge, "password": "correct horse battery" });
        self.moves(who, id.0, body)
    }

    fn raises(&mut self, who: &Principal, finding: FindingId, lab: OrganizationId) -> Result<Insight> {
        let body = json!({ "title": "Why?", "question": "", "rationale": "", "finding_ids": [finding], "lab_id": lab });
        let context = self.context(Some(who.id));
        change::raise(&mut self.conn, who, &context, fault::read::<NewInsight>(body)?)
    }

    fn sees(&mut self, who: &Principal, id: InsightId) -> bool {
        store::find(&mut self.conn, who, Key::Id(id.0)).is_ok()
    }

    fn sees_finding(&mut self, who: &Principal, id: FindingId) -> bool {
        finding::store::find(&mut self.conn, who, Key::Id(id.0)).is_ok()
    }
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.unwrap_err().code()
}

fn faults<T: std::fmt::Debug>(result: Result<T>) -> Vec<(String, &'static str)> {
    let Err(Error::Invalid(faults)) = result else { panic!("{result:?}") };
    let mut rows: Vec<_> = faults.0.into_iter().map(|f| (f.pointer.unwrap_or_default(), f.code)).collect();
    rows.sort();
    rows
}

fn row(pointer: &str, code: &'static str) -> (String, &'static str) {
    (pointer.into(), code)
}

#[test]
fn signing_supersedes_and_only_what_is_signed_still() {
    let mut w = world();
    let clinic = w.organization(OrganizationKind::Clinic);
    let clinician = w.person(Role::Clinician, clinic);
    let trial = w.trial(&clinician, Visibility::Internal);
    let first = w.records(&clinician, &trial, None);
    let context = w.context(Some(clinician.id));
    let early = json!({ "kind": "efficacy", "title": "t", "narrative": "", "observed_on": "2026-03-02",
        "ctcae_grade": 1, "supersedes_id": first.id });
    let early = finding::change::record(&mut w.conn, &clinician, &context, &trial, fault::read(early).unwrap());
    assert_eq!(
        faults(early),
        [
            row("/ctcae_grade", "not_applicable"),
            row("/observed_on", "in_future"),
            row("/supersedes_id", "not_applicable")
        ]
    );
    let sign = || json!({ "to": "signed" });
    let signed = w.signs(&clinician, first.id, Meaning::Authorship, sign()).unwrap();
    assert!(signed.disclosed && signed.state == "signed");
    let (second, third) =
        (w.records(&clinician, &trial, Some(first.id)), w.records(&clinician, &trial, Some(first.id)));
    w.signs(&clinician, second.id, Meaning::Authorship, sign()).unwrap();
    assert_eq!(finding::store::load(&mut w.conn, first.id).unwrap().state, "superseded");
    let successors = finding::store::successors(&mut w.conn, &clinician, [first.id]).unwrap();
    assert_eq!(successors.get(&first.id), Some(&second.id));
    let signatures = crate::history::store::signatures(&mut w.conn, [first.id.0, third.id.0]).unwrap();
    assert_eq!(signatures.keys().collect::<Vec<_>>(), [&first.id.0]);
    assert_eq!(signatures[&first.id.0].meaning, Meaning::Authorship);
    assert_eq!(code(w.signs(&clinician, third.id, Meaning::Authorship, sign())), Code::Conflict);
}

#[test]
fn submission_discloses_and_rerouting_ends_it() {
    let mut w = world();
    let clinic = w.organization(OrganizationKind::Clinic);
    let (lab, other_lab) = (w.organization(OrganizationKind::Lab), w.organization(OrganizationKind::Lab));
    let clinician = w.person(Role::Clinician, clinic);
    let (scientist, rival) = (w.person(Role::Scientist, lab), w.person(Role::Scientist, other_lab));
    let trial = w.trial(&clinician, Visibility::Confidential);
    let finding = w.records(&clinician, &trial, None).id;
    assert_eq!(
        faults(w.raises(&clinician, finding, clinic)),
        [row("/finding_ids/0", "not_signed"), row("/lab_id", "not_found")]
    );
    w.signs(&clinician, finding, Meaning::Authorship, json!({ "to": "signed" })).unwrap();
    let id = w.raises(&clinician, finding, lab).unwrap().id;
    assert!(!w.sees(&scientist, id) && !w.sees_finding(&scientist, finding) && w.sees(&clinician, id));

    let submitted: Insight = w.moves(&clinician, id.0, json!({ "to": "submitted" })).unwrap();
    assert_eq!(submitted.due_at, Some(w.at.plus_days(days_to_answer(Urgency::Routine))));
    assert!(w.sees(&scientist, id) && w.sees_finding(&scientist, finding));
    assert!(!w.sees(&rival, id) && !w.sees_finding(&rival, finding));

    let acknowledge = json!({ "to": "acknowledged", "assignee_id": rival.id });
    assert_eq!(faults(w.moves::<Insight>(&scientist, id.0, acknowledge)), [row("/assignee_id", "not_a_member")]);
    w.moves::<Insight>(&scientist, id.0, json!({ "to": "declined", "reason": "not ours" })).unwrap();
    let reroute = |lab| json!({ "to": "submitted", "lab_id": lab });
    assert_eq!(faults(w.moves::<Insight>(&clinician, id.0, reroute(lab))), [row("/lab_id", "not_applicable")]);
    w.moves::<Insight>(&clinician, id.0, reroute(other_lab)).unwrap();
    assert!(!w.sees(&scientist, id) && !w.sees_finding(&scientist, finding));
    assert!(w.sees(&rival, id) && w.sees_finding(&rival, finding));
}

#[test]
fn resolving_spawns_a_discovery_or_names_every_fault() {
    let mut w = world();
    let clinic = w.organization(OrganizationKind::Clinic);
    let lab = w.organization(OrganizationKind::Lab);
    let (clinician, scientist) = (w.person(Role::Clinician, clinic), w.person(Role::Scientist, lab));
    let trial = w.trial(&clinician, Visibility::Internal);
    let finding = w.records(&clinician, &trial, None).id;
    w.signs(&clinician, finding, Meaning::Authorship, json!({ "to": "signed" })).unwrap();
    let id = w.raises(&clinician, finding, lab).unwrap().id;
    w.moves::<Insight>(&clinician, id.0, json!({ "to": "submitted" })).unwrap();
    let taken: Insight = w.moves(&scientist, id.0, json!({ "to": "acknowledged" })).unwrap();
    assert_eq!(taken.assignee_id, Some(scientist.id));
    w.moves::<Insight>(&scientist, id.0, json!({ "to": "investigating" })).unwrap();

    let refused = w.moves::<Insight>(
        &scientist,
        id.0,
        json!({ "to": "resolved", "outcome": "new_discovery", "discovery_id": DiscoveryId::fresh(), "lab_id": lab,
            "discovery": { "title": "", "modality": "magic" } }),
    );
    assert_eq!(
        faults(refused),
        [
            row("/discovery/modality", "unknown_value"),
            row("/discovery/title", "too_short"),
            row("/discovery_id", "not_applicable"),
            row("/lab_id", "not_applicable"),
        ]
    );
    let refused = json!({ "to": "resolved", "outcome": "refined_discovery", "discovery_id": DiscoveryId::fresh() });
    assert_eq!(faults(w.moves::<Insight>(&scientist, id.0, refused)), [row("/discovery_id", "not_found")]);

    let discovery = json!({ "title": "A fragment of TDP-43", "modality": "biologic" });
    let resolved = json!({ "to": "resolved", "outcome": "new_discovery", "discovery": discovery });
    let resolved: Insight = w.moves(&scientist, id.0, resolved).unwrap();
    let spawned = discovery::store::load(&mut w.conn, resolved.spawned[0]).unwrap();
    assert_eq!((spawned.origin_insight_id, spawned.lab_id), (Some(id), lab));
    assert_eq!(resolved.state(), "resolved");
    assert_eq!(resolved.code(), "I-1");
}

#[test]
fn the_inbox_is_ordered_by_what_waits() {
    let due = Time::parse("2026-03-01T09:00:00Z").unwrap();
    assert_eq!(due_rank("investigating", Some(due)), due);
    for (state, due_at) in [("resolved", Some(due)), ("declined", Some(due)), ("draft", None)] {
        assert_eq!(due_rank(state, due_at), never());
    }
    assert_eq!(never().to_string(), "9999-12-31T23:59:59.000000Z");
}
