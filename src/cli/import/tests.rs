use super::*;
use crate::{
    db::{Conn, Settings, columns::Doc},
    id::PersonId,
    ledger::{Change, next_number, record_change},
    organization::Organization,
    person::{Expertise, Person},
    trial::{self, Trial},
    vocabulary::{Action, OrganizationKind, Role, TrialSource, TrialStatus, Visibility},
};
use serde_json::json;

/// A database with two clinics, a clinician of each and an administrator, and a folder for files.
struct House {
    db: Db,
    clock: Clock,
    folder: PathBuf,
    clinic: OrganizationId,
    other: OrganizationId,
}

impl House {
    async fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("benchside-import-{}", Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        let db = Db::open(&format!("sqlite://{}", folder.join("test.db").display()), &Settings::default()).unwrap();
        let clock = Clock::standing_at(Time::parse("2026-03-01T09:00:00Z").unwrap());
        let (log, at) = (db.log().to_owned(), clock.now());
        let (clinic, other) = db
            .write(move |conn| {
                let request = Uuid::now_v7();
                let context = Context { log: (&*log).into(), person: None, authn: Authn::System, at, request };
                let clinic = organization(conn, &context, "ALS Clinic", OrganizationKind::Clinic)?;
                let other = organization(conn, &context, "Other Clinic", OrganizationKind::Centre)?;
                organization(conn, &context, "A Lab", OrganizationKind::Lab)?;
                person(conn, &context, "ada@test", Role::Clinician, Some(clinic))?;
                person(conn, &context, "bob@test", Role::Clinician, Some(other))?;
                person(conn, &context, "root@test", Role::Administrator, None)?;
                person(conn, &context, "sam@test", Role::Scientist, Some(clinic))?;
                Ok((clinic, other))
            })
            .await
            .unwrap();
        Self { db, clock, folder, clinic, other }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    async fn run(&self, path: &Path, clinic: &str, importer: &str, dry_run: bool) -> Result<(Summary, String)> {
        let args =
            CtgovArgs { path: path.to_owned(), clinic: clinic.into(), importer: importer.into(), dry_run, json: false };
        let mut out = Vec::new();
        let args = ImportArgs { format: Format::Ctgov(args) };
        let summary = run(&self.db, &self.clock, &args, &mut out).await?;
        Ok((summary, String::from_utf8(out).unwrap()))
    }

    async fn trial(&self, nct_id: &str) -> Option<Trial> {
        let nct_id = nct_id.parse().unwrap();
        self.db.read(move |conn| trial::store::registered_as(conn, &nct_id)).await.unwrap()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.db.close();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn organization(conn: &mut Conn, context: &Context, name: &str, kind: OrganizationKind) -> Result<OrganizationId> {
    let mut row = Organization {
        id: OrganizationId::fresh(),
        number: next_number(conn, RecordKind::Organization)?,
        version: 0,
        name: name.into(),
        kind,
        parent_id: None,
        ror: None,
        focus: Doc::default(),
        lifecycle: None,
        search: String::new(),
        created_at: context.at,
        updated_at: context.at,
        head: Vec::new(),
    };
    record_change(conn, context, &mut row, Change::of(Action::Created))?;
    Ok(row.id)
}

fn person(
    conn: &mut Conn,
    context: &Context,
    email: &str,
    role: Role,
    organization: Option<OrganizationId>,
) -> Result<PersonId> {
    let mut row = Person {
        id: PersonId::fresh(),
        number: next_number(conn, RecordKind::Person)?,
        version: 0,
        name: email.into(),
        email: email.into(),
        email_folded: email.into(),
        orcid: None,
        roles: vec![role].into(),
        organizations: organization.into_iter().collect::<Vec<_>>().into(),
        expertise: Doc(Expertise::default()),
        accepting_work: true,
        disabled_at: None,
        search: String::new(),
        created_at: context.at,
        updated_at: context.at,
        head: Vec::new(),
    };
    record_change(conn, context, &mut row, Change::of(Action::Created))?;
    if let Some(organization) = organization {
        store::join(conn, row.id, organization)?;
    }
    Ok(row.id)
}

fn study(nct_id: &str, status: Value) -> Value {
    let mut module = json!({ "statusVerifiedDate": "2026-01" });
    module.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
    json!({
        "protocolSection": {
            "identificationModule": { "nctId": nct_id, "briefTitle": "A Study", "acronym": "ASTUDY" },
            "statusModule": module,
            "conditionsModule": { "conditions": ["melanoma"] },
            "designModule": {
                "studyType": "INTERVENTIONAL", "phases": ["PHASE1", "PHASE2"],
                "enrollmentInfo": { "count": 12, "type": "ESTIMATED" }
            }
        },
        "derivedSection": { "conditionBrowseModule": { "meshes": [{ "id": "D000008545", "term": "Melanoma" }] } }
    })
}

fn counts(summary: &Summary) -> [usize; 5] {
    let Summary { created, changed, unchanged, skipped, failed, .. } = summary;
    [*created, *changed, *unchanged, *skipped, *failed]
}

#[actix_web::test]
async fn good_records_go_in_and_bad_ones_are_named() {
    let house = House::new().await;
    let one = study("NCT00000001", json!({ "overallStatus": "RECRUITING" }));
    let two = study("NCT00000002", json!({ "overallStatus": "COMPLETED" }));
    let bad = study("NCT00000003", json!({ "overallStatus": "Recruiting" }));
    let bare = json!({ "protocolSection": { "identificationModule": { "nctId": "NCT00000004" } } });
    let folder = house.folder.join("in");
    std::fs::create_dir(&folder).unwrap();
    house.file("in/a.json", &one.to_string());
    house.file("in/b.json", "{ \"protocolSection\": ");
    house.file("in/c.json", &json!({ "studies": [bad, two, bare] }).to_string());
    house.file("in/notes.txt", "not looked at");

    let (tried, _) = house.run(&folder, "O-1", "ada@test", true).await.unwrap();
    assert_eq!(counts(&tried), [2, 0, 0, 0, 3]);
    assert!(house.trial("NCT00000001").await.is_none());

    let (summary, text) = house.run(&folder, "o-1", "ADA@test", false).await.unwrap();
    assert_eq!(counts(&summary), [2, 0, 0, 0, 3]);
    assert!(text.contains("b.json: is not JSON"), "{text}");
    assert!(text.contains("c.json, record 1 (NCT00000003)"), "{text}");
    assert!(text.contains("/protocolSection/statusModule/overallStatus: must be one of"), "{text}");
    assert!(text.contains("/protocolSection/designModule/studyType: is required"), "{text}");
    assert!(text.ends_with("2 created, 0 changed, 0 unchanged, 0 skipped, 3 failed.\n"), "{text}");
    let trial = house.trial("NCT00000002").await.unwrap();
    assert_eq!((trial.overall_status, trial.source), (TrialStatus::Completed, TrialSource::Registry));
    assert_eq!((trial.visibility, trial.clinic_id, trial.version), (Visibility::Public, house.clinic, 1));

    let (again, _) = house.run(&folder, "O-1", "ada@test", false).await.unwrap();
    assert_eq!(counts(&again), [0, 0, 2, 0, 3]);
    assert_eq!(house.trial("NCT00000002").await.unwrap().version, 1);
}

#[actix_web::test]
async fn what_changed_is_a_new_version_and_what_is_absent_stays() {
    let house = House::new().await;
    let first = study("NCT00000001", json!({ "overallStatus": "SUSPENDED", "whyStopped": "no drug" }));
    house.run(&house.file("a.json", &first.to_string()), "O-1", "ada@test", false).await.unwrap();
    let page = json!({ "protocolSection": {
        "identificationModule": { "nctId": "NCT00000001", "briefTitle": "A Study, renamed" },
        "designModule": { "enrollmentInfo": { "count": 12 } }
    } });
    let (summary, _) = house.run(&house.file("b.json", &page.to_string()), "O-1", "ada@test", false).await.unwrap();
    assert_eq!(counts(&summary), [0, 1, 0, 0, 0]);
    assert_eq!(summary.records[0].fields, ["brief_title"]);
    let trial = house.trial("NCT00000001").await.unwrap();
    assert_eq!((trial.version, trial.acronym.as_deref(), trial.phases.len()), (2, Some("ASTUDY"), 2));
    assert_eq!(trial.why_stopped.as_deref(), Some("no drug"));

    for (status, known) in [("RECRUITING", None), ("UNKNOWN", Some(TrialStatus::Recruiting)), ("COMPLETED", None)] {
        let next = study("NCT00000001", json!({ "overallStatus": status }));
        house.run(&house.file("c.json", &next.to_string()), "O-1", "ada@test", false).await.unwrap();
        let trial = house.trial("NCT00000001").await.unwrap();
        assert_eq!((trial.overall_status.as_str(), trial.last_known_status), (status, known));
        assert_eq!(trial.why_stopped, None);
    }
}

#[actix_web::test]
async fn a_trial_of_another_clinic_is_left_alone() {
    let house = House::new().await;
    let file = house.file("a.json", &study("NCT00000001", json!({ "overallStatus": "RECRUITING" })).to_string());
    house.run(&file, "O-1", "ada@test", false).await.unwrap();
    let next = house.file("b.json", &study("NCT00000001", json!({ "overallStatus": "COMPLETED" })).to_string());
    let (summary, text) = house.run(&next, "O-2", "bob@test", false).await.unwrap();
    assert_eq!(counts(&summary), [0, 0, 0, 1, 0]);
    assert!(text.contains("skipped") && !text.contains("T-1"), "{text}");
    let (summary, _) = house.run(&next, "O-2", "root@test", false).await.unwrap();
    assert_eq!(counts(&summary), [0, 1, 0, 0, 0]);
    let trial = house.trial("NCT00000001").await.unwrap();
    assert_ne!(trial.clinic_id, house.other);
}

#[actix_web::test]
async fn only_their_clinicians_and_administrators_import() {
    let house = House::new().await;
    let file = house.file("a.json", "[]");
    for (clinic, importer, refusal) in [
        ("O-1", "bob@test", "clinicians of the clinic"),
        ("O-1", "sam@test", "clinicians of the clinic"),
        ("O-3", "root@test", "neither a clinic nor a centre"),
        ("O-9", "root@test", "no organization O-9"),
        ("clinic", "root@test", "no organization clinic"),
        ("O-1", "eve@test", "no active person"),
        ("O-1", "?", "no active person"),
    ] {
        let refused = house.run(&file, clinic, importer, false).await.unwrap_err().to_string();
        assert!(refused.contains(refusal), "{refused}");
    }
    let missing = house.run(Path::new("/no/such/file"), "O-1", "ada@test", false).await.unwrap_err();
    assert!(missing.to_string().contains("cannot be read"));
    let (summary, _) = house.run(&file, "O-1", "root@test", false).await.unwrap();
    assert_eq!(counts(&summary), [0; 5]);
}

#[test]
fn a_file_has_a_bound() {
    assert_eq!(read_at_most(&b"12345"[..], 5), Ok(b"12345".to_vec()));
    assert!(read_at_most(&b"123456"[..], 5).unwrap_err().contains("larger than 5 bytes"));
}

#[actix_web::test]
async fn the_report_may_be_one_document() {
    let house = House::new().await;
    let path = house.file("a.json", &study("NCT00000001", json!({ "overallStatus": "RECRUITING" })).to_string());
    let args = CtgovArgs { path, clinic: "O-1".into(), importer: "root@test".into(), dry_run: false, json: true };
    let mut out = Vec::new();
    run(&house.db, &house.clock, &ImportArgs { format: Format::Ctgov(args) }, &mut out).await.unwrap();
    let report: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&report["created"], &report["failed"]), (&json!(1), &json!(0)));
    assert_eq!(report["records"][0]["code"], "T-1");
    assert_eq!(report["records"][0]["result"], "created");
}
