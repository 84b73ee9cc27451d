use super::*;
use crate::value::Condition;
use serde_json::json;

/// A record with everything that is mapped, and some that is not.
fn whole() -> Value {
    json!({
        "protocolSection": {
            "identificationModule": {
                "nctId": "NCT01234567",
                "orgStudyIdInfo": { "id": "LAB-1 ¹H" },
                "organization": { "fullName": "A Hospital", "class": "OTHER" },
                "briefTitle": "A Study of Something",
                "officialTitle": "A Randomized Study of Something in Somebody",
                "acronym": "SOME"
            },
            "statusModule": {
                "statusVerifiedDate": "2019-11",
                "overallStatus": "UNKNOWN",
                "lastKnownStatus": "RECRUITING",
                "whyStopped": "slow accrual",
                "startDateStruct": { "date": "2018-08-16", "type": "ACTUAL" },
                "primaryCompletionDateStruct": { "date": "2019-12", "type": "ESTIMATED" },
                "completionDateStruct": { "date": "2020-02" }
            },
            "sponsorCollaboratorsModule": {
                "leadSponsor": { "name": "A Hospital", "class": "OTHER_GOV" },
                "collaborators": [{ "name": "Another", "class": "INDUSTRY" }]
            },
            "oversightModule": { "oversightHasDmc": true, "isFdaRegulatedDrug": false, "isFdaRegulatedDevice": true },
            "conditionsModule": { "conditions": ["melanoma", "Skin Cancer"], "keywords": ["mole"] },
            "designModule": {
                "studyType": "INTERVENTIONAL",
                "phases": ["PHASE1", "PHASE2"],
                "enrollmentInfo": { "count": 24, "type": "ACTUAL" }
            },
            "armsInterventionsModule": {
                "interventions": [
                    { "type": "DRUG", "name": "Placebo", "armGroupLabels": ["One"] },
                    { "name": "Exercise" }
                ]
            }
        },
        "derivedSection": {
            "conditionBrowseModule": {
                "meshes": [{ "id": "D000008545", "term": "Melanoma" }, { "id": "D000012878", "term": "Skin Neoplasms" }],
                "ancestors": [{ "id": "D000009369", "term": "Neoplasms" }]
            }
        },
        "hasResults": false
    })
}

/// The whole record with the value at `pointer` replaced.
fn with(pointer: &str, value: Value) -> Value {
    let mut record = whole();
    let (above, name) = pointer.rsplit_once('/').unwrap();
    record.pointer_mut(above).unwrap()[name] = value;
    record
}

fn faults_of(record: &Value) -> Vec<(String, &'static str)> {
    let faults = study(record).unwrap_err();
    faults.into_iter().map(|f| (f.pointer.unwrap_or_default(), f.code)).collect()
}

fn one(pointer: &str, code: &'static str) -> Vec<(String, &'static str)> {
    vec![(pointer.to_owned(), code)]
}

#[test]
fn every_mapped_field_is_kept() {
    let read = study(&whole()).unwrap();
    let date = |date: &str, certainty| Some(TrialDate { date: Some(date.parse().unwrap()), certainty });
    let expected = Study {
        nct_id: "NCT01234567".parse().unwrap(),
        org_study_id: Some("LAB-1 ¹H".to_owned()),
        acronym: Some("SOME".to_owned()),
        brief_title: Some("A Study of Something".to_owned()),
        official_title: Some("A Randomized Study of Something in Somebody".to_owned()),
        study_type: Some(StudyType::Interventional),
        phases: Some(vec![Phase::Phase1, Phase::Phase2]),
        overall_status: Some(TrialStatus::Unknown),
        last_known_status: Some(TrialStatus::Recruiting),
        why_stopped: Some("slow accrual".to_owned()),
        conditions: read.conditions.clone(),
        interventions: Some(vec![
            Intervention { name: "Placebo".to_owned(), kind: Some(InterventionType::Drug) },
            Intervention { name: "Exercise".to_owned(), kind: None },
        ]),
        enrollment: Some(Enrollment { count: 24, certainty: Some(Certainty::Actual) }),
        start_date: date("2018-08-16", Some(Certainty::Actual)),
        primary_completion_date: date("2019-12", Some(Certainty::Estimated)),
        completion_date: date("2020-02", None),
        sponsor: Some(Sponsor {
            name: "A Hospital".to_owned(),
            class: Some(SponsorClass::OtherGov),
            organization_id: None,
        }),
        fda_regulated: Some(true),
        verified_on: Some("2019-11".parse().unwrap()),
    };
    assert_eq!(read, expected);
    let conditions: Vec<Condition> = fault::read(json!([
        { "name": "melanoma", "mesh": "D000008545" },
        { "name": "Skin Cancer" },
        { "name": "Skin Neoplasms", "mesh": "D000012878", "derived": true },
    ]))
    .unwrap();
    assert_eq!(read.conditions.onto(&[]).unwrap(), Some(conditions));
}

#[test]
fn a_record_may_have_little_more_than_its_number() {
    let bare = json!({ "protocolSection": { "identificationModule": { "nctId": "nct1234567", "acronym": null } } });
    let read = study(&bare).unwrap();
    assert_eq!(read.nct_id.as_str(), "NCT01234567");
    assert_eq!((read.acronym, read.phases, read.fda_regulated, read.interventions), (None, None, None, None));
    assert_eq!((read.start_date, read.enrollment, read.sponsor), (None, None, None));
    assert_eq!(read.conditions.onto(&[]).unwrap(), None);
}

#[test]
fn what_is_not_interventional_has_no_phases() {
    for study_type in ["OBSERVATIONAL", "EXPANDED_ACCESS"] {
        let mut record = with("/protocolSection/designModule/studyType", json!(study_type));
        assert_eq!(faults_of(&record), one(PHASES, "invalid"));
        record["protocolSection"]["designModule"].as_object_mut().unwrap().remove("phases");
        assert_eq!(study(&record).unwrap().phases, Some(vec![]));
    }
    for phases in [json!(["PHASE1", "PHASE1"]), json!(["NA", "PHASE1"]), json!(["PHASE1", "PHASE2", "PHASE3"])] {
        assert_eq!(faults_of(&with(PHASES, phases)), one(PHASES, "invalid"));
    }
}

#[test]
fn fda_regulation_is_either_flag() {
    let place = "/protocolSection/oversightModule";
    for (module, expected) in [
        (json!({ "isFdaRegulatedDrug": true, "isFdaRegulatedDevice": false }), Some(true)),
        (json!({ "isFdaRegulatedDevice": true }), Some(true)),
        (json!({ "isFdaRegulatedDrug": false }), Some(false)),
        (json!({ "isFdaRegulatedDrug": false, "isFdaRegulatedDevice": false }), Some(false)),
        (json!({ "oversightHasDmc": true }), None),
        (json!(null), None),
    ] {
        assert_eq!(study(&with(place, module)).unwrap().fda_regulated, expected);
    }
}

#[test]
fn what_exceeds_a_limit_is_reported_and_not_cut() {
    let id = "/protocolSection/identificationModule";
    for (pointer, limit) in [
        (format!("{id}/orgStudyIdInfo/id"), 30),
        (format!("{id}/acronym"), 14),
        (format!("{id}/briefTitle"), 300),
        (format!("{id}/officialTitle"), 600),
        ("/protocolSection/statusModule/whyStopped".to_owned(), 250),
        ("/protocolSection/sponsorCollaboratorsModule/leadSponsor/name".to_owned(), 300),
        ("/protocolSection/armsInterventionsModule/interventions/1/name".to_owned(), 300),
        ("/protocolSection/conditionsModule/conditions/0".to_owned(), 300),
    ] {
        let mut record = whole();
        *record.pointer_mut(&pointer).unwrap() = json!("é".repeat(limit));
        assert!(study(&record).is_ok(), "{pointer}");
        *record.pointer_mut(&pointer).unwrap() = json!("é".repeat(limit + 1));
        assert_eq!(faults_of(&record), one(&pointer, "too_long"));
    }
}

#[test]
fn more_conditions_than_a_record_holds_are_reported() {
    let names: Vec<String> = (0..99).map(|n| format!("Condition {n}")).collect();
    assert_eq!(faults_of(&with(CONDITIONS, json!(names))), one(CONDITIONS, "too_many"));
    assert!(study(&with(CONDITIONS, json!(names[..98]))).is_ok());
    let interventions = "/protocolSection/armsInterventionsModule/interventions";
    assert_eq!(
        faults_of(&with(interventions, json!(vec![json!({ "name": "x" }); 101]))),
        one(interventions, "too_many")
    );
}

#[test]
fn every_fault_at_once_with_its_place() {
    let record = json!({
        "protocolSection": {
            "identificationModule": { "nctId": "NCT1234567890", "orgStudyIdInfo": "LAB-1", "briefTitle": 7 },
            "statusModule": {
                "overallStatus": "Recruiting",
                "startDateStruct": { "date": "January 2015", "type": "PLANNED" },
                "completionDateStruct": { "type": "ACTUAL" },
                "statusVerifiedDate": "2015-02-30"
            },
            "sponsorCollaboratorsModule": { "leadSponsor": { "class": "CHARITY" } },
            "oversightModule": { "isFdaRegulatedDrug": "Yes" },
            "conditionsModule": [],
            "designModule": { "studyType": "SURVEY", "phases": ["PHASE5"], "enrollmentInfo": { "count": "many" } },
            "armsInterventionsModule": { "interventions": [{ "type": "PILL" }] }
        },
        "derivedSection": { "conditionBrowseModule": { "meshes": [{ "id": "C000657245", "term": "COVID-19" }] } }
    });
    let mut found = faults_of(&record);
    found.sort();
    let p = |rest: &str| format!("/protocolSection/{rest}");
    assert_eq!(
        found,
        [
            ("/derivedSection/conditionBrowseModule/meshes/0/id".to_owned(), "invalid_format"),
            (p("armsInterventionsModule/interventions/0/name"), "required"),
            (p("armsInterventionsModule/interventions/0/type"), "unknown_value"),
            (p("conditionsModule"), "wrong_type"),
            (p("designModule/enrollmentInfo/count"), "wrong_type"),
            (p("designModule/phases/0"), "unknown_value"),
            (p("designModule/studyType"), "unknown_value"),
            (p("identificationModule/briefTitle"), "wrong_type"),
            (p("identificationModule/nctId"), "invalid_format"),
            (p("identificationModule/orgStudyIdInfo"), "wrong_type"),
            (p("oversightModule/isFdaRegulatedDrug"), "wrong_type"),
            (p("sponsorCollaboratorsModule/leadSponsor/class"), "unknown_value"),
            (p("sponsorCollaboratorsModule/leadSponsor/name"), "required"),
            (p("statusModule/completionDateStruct/date"), "required"),
            (p("statusModule/overallStatus"), "unknown_value"),
            (p("statusModule/startDateStruct/date"), "invalid_format"),
            (p("statusModule/startDateStruct/type"), "unknown_value"),
            (p("statusModule/statusVerifiedDate"), "invalid_format"),
        ]
    );
}

#[test]
fn a_record_that_is_none_is_one_fault() {
    let nct_id = "/protocolSection/identificationModule/nctId";
    assert_eq!(faults_of(&json!({})), one(nct_id, "required"));
    assert_eq!(faults_of(&json!({ "protocolSection": "?" }))[0], ("/protocolSection".to_owned(), "wrong_type"));
    let not_objects = faults_of(&json!("NCT01234567"));
    assert_eq!(not_objects, one("", "wrong_type"));
}

#[test]
fn documents_of_three_shapes() {
    let record = whole();
    assert_eq!(studies(record.clone()), Ok(vec![record.clone()]));
    assert_eq!(studies(json!([record, record])), Ok(vec![record.clone(), record.clone()]));
    assert_eq!(studies(json!({ "studies": [record], "nextPageToken": "x" })), Ok(vec![record]));
    assert_eq!(studies(json!([])), Ok(vec![]));
    for other in [json!({}), json!("x"), json!(null), json!({ "studies": {} }), json!({ "FullStudiesResponse": {} })] {
        assert!(studies(other).is_err());
    }
}
