use super::*;
use crate::lifecycle::builtin::{discovery, insight, trial};

fn person(role: Role) -> Actor {
    let roles = BTreeSet::from([role]);
    Actor { roles, steward: true, party: true, owner: true, answers: true, proposes: true, lab: true }
}

fn at(state: &str) -> Facts {
    Facts { state: state.into(), ..Facts::default() }
}

fn to(state: &str) -> Request<'_> {
    Request { to: state, name: None, brings: Brings::default() }
}

fn unmet(result: Result<Step<'_>, Refusal>) -> Vec<&'static str> {
    match result.expect_err("is refused") {
        Refusal::Unmet { unmet, .. } => unmet.iter().map(|one| one.gate).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn hand_off_names_every_gate_in_the_way() {
    let facts = Facts { modality: Some(Modality::Vaccine), ..at("preclinical") };
    let result = evaluate(discovery(), &facts, &person(Role::Scientist), &to("clinic_ready"));
    assert_eq!(unmet(result), ["evidence", "evidence", "pairing", "signature"]);

    let facts = Facts { modality: Some(Modality::Device), ..facts };
    let result = evaluate(discovery(), &facts, &person(Role::Clinician), &to("clinic_ready"));
    assert!(matches!(&result, Err(Refusal::Unmet { authority: true, .. })));
    assert_eq!(unmet(result), ["role", "evidence", "pairing", "signature"]);
}

#[test]
fn available_tells_what_the_body_must_bring() {
    let facts = Facts { modality: Some(Modality::Vaccine), ..at("preclinical") };
    let moves = available(discovery(), &facts, &person(Role::Scientist));
    let hand_off = moves.iter().find(|one| one.name == "hand_off").expect("is listed");
    assert!(!hand_off.allowed);
    assert_eq!(hand_off.unmet.iter().map(|one| one.gate).collect::<Vec<_>>(), ["evidence", "evidence", "pairing"]);
    assert_eq!(hand_off.needs, [BodyMember::Evidence, BodyMember::Signature]);

    let moves = available(insight(), &at("investigating"), &person(Role::Scientist));
    assert_eq!((moves[0].allowed, moves[0].needs.as_slice()), (true, [BodyMember::Outcome].as_slice()));
}

#[test]
fn an_unmet_gate_answers_with_what_would_meet_it_and_no_more() {
    let facts = Facts { modality: Some(Modality::Digital), ..at("preclinical") };
    let Err(Refusal::Unmet { unmet, .. }) =
        evaluate(discovery(), &facts, &person(Role::Scientist), &to("clinic_ready"))
    else {
        panic!("is refused");
    };
    let expected = serde_json::json!([
        { "gate": "evidence", "message": "needs a reference of kind irb", "any_of": ["irb"], "member": "evidence" },
        {
            "gate": "pairing", "message": "needs an accepted pairing of kind clinical_lead",
            "pairing": "clinical_lead",
        },
        {
            "gate": "signature", "message": "needs a signature that says handoff", "meaning": "handoff",
            "member": "signature",
        },
    ]);
    assert_eq!(serde_json::to_value(unmet).expect("is JSON"), expected);
}

#[test]
fn a_hold_remembers_what_it_left_and_resumes_only_to_that() {
    let reasoned = Brings { reason: true, ..Brings::default() };
    let request = |to| Request { to, name: None, brings: reasoned.clone() };
    let scientist = person(Role::Scientist);

    let placed = evaluate(discovery(), &at("validated"), &scientist, &request("on_hold")).expect("holds");
    assert_eq!((placed.hold, placed.held_from.as_deref()), (Hold::Placed, Some("validated")));

    let held = Facts { held_from: placed.held_from, ..at("on_hold") };
    let resumed = evaluate(discovery(), &held, &scientist, &request("validated")).expect("resumes");
    assert_eq!((resumed.hold, resumed.held_from), (Hold::Resumed, None));
    assert_eq!(evaluate(discovery(), &held, &scientist, &request("logged")), Err(Refusal::NoSuchMove));
}

#[test]
fn what_was_over_is_nothing_to_resume() {
    let brings = Brings { reason: true, signature: Some(Meaning::Correction), ..Brings::default() };
    let request = Request { to: "SUSPENDED", name: Some("correct"), brings };
    let facts = Facts { study_type: Some(StudyType::Interventional), ..at("TERMINATED") };
    let step = evaluate(trial(), &facts, &person(Role::Administrator), &request).expect("corrects");
    assert_eq!((step.correction, step.hold, step.held_from), (true, Hold::Placed, None));
}

#[test]
fn unknown_enrolment_is_zero_only_before_recruiting() {
    let brings = Brings { why_stopped: true, ..Brings::default() };
    let request = Request { to: "WITHDRAWN", name: None, brings };
    let withdrawn = |enrollment, before_recruiting| {
        let study_type = Some(StudyType::Interventional);
        let facts = Facts { study_type, enrollment, before_recruiting, ..at("SUSPENDED") };
        evaluate(trial(), &facts, &person(Role::Clinician), &request).is_ok()
    };
    let enrolled = |count, actual| Some(EnrollmentFact { count, actual });
    assert!(withdrawn(None, true) && withdrawn(enrolled(40, false), true) && withdrawn(enrolled(0, true), false));
    assert!(!withdrawn(None, false) && !withdrawn(enrolled(0, false), false) && !withdrawn(enrolled(1, true), true));
}

#[test]
fn phases_count_where_trials_have_them() {
    let enters = |modality, phases: &[Phase], status| {
        let trials = vec![TrialFact { phases: phases.to_vec(), status }];
        let facts = Facts { modality: Some(modality), trials, ..at("first_in_human") };
        evaluate(discovery(), &facts, &person(Role::Clinician), &to("efficacy")).is_ok()
    };
    let combined = [Phase::Phase1, Phase::Phase2];
    assert!(enters(Modality::Vaccine, &combined, TrialStatus::ActiveNotRecruiting));
    assert!(!enters(Modality::Vaccine, &combined, TrialStatus::NotYetRecruiting));
    assert!(!enters(Modality::Vaccine, &[Phase::Phase1], TrialStatus::Completed));
    assert!(enters(Modality::Behavioral, &[Phase::Na], TrialStatus::Recruiting));
    assert!(!enters(Modality::Other, &[Phase::Na], TrialStatus::Recruiting));
    assert!(!enters(Modality::Behavioral, &[], TrialStatus::Recruiting));
}

#[test]
fn two_moves_to_one_state_must_be_told_apart() {
    let text = r#"
        kind = "discovery"
        name = "fork"
        version = 1
        [[states]]
        name = "a"
        label = "A"
        meaning = "Start"
        initial = true
        [[states]]
        name = "b"
        label = "B"
        meaning = "End"
        end = "ended"
        [[moves]]
        name = "left"
        from = "a"
        to = "b"
        [[moves]]
        name = "right"
        from = "a"
        to = "b"
        [[moves]]
        name = "correct"
        from = "any"
        to = "any"
    "#;
    let fork = Lifecycle::parse(text).expect("is sound");
    let anyone = Actor { roles: [Role::Scientist].into(), ..Actor::default() };
    let ask = |name| evaluate(&fork, &at("a"), &anyone, &Request { name, ..to("b") });
    assert_eq!(ask(None), Err(Refusal::Ambiguous(vec!["left".into(), "right".into()])));
    assert_eq!(ask(Some("right")).map(|step| step.made.name.as_str()), Ok("right"));
    assert!(ask(Some("correct")).is_ok_and(|step| step.correction));
    assert_eq!(ask(Some("up")), Err(Refusal::NoSuchMove));
    let onlooker = Actor { roles: [Role::Auditor, Role::Partner].into(), ..Actor::default() };
    let named = Request { name: Some("left"), ..to("b") };
    let refused = evaluate(&fork, &at("a"), &onlooker, &named);
    assert!(matches!(refused, Err(Refusal::Unmet { authority: true, .. })), "a move without gates is nobody's");
    let back = evaluate(&fork, &at("b"), &anyone, &to("a"));
    assert_eq!(back, Err(Refusal::NoSuchMove), "a correction happens only when named");
}

#[test]
fn fields_are_set_or_reach_a_number() {
    let scientist = person(Role::Scientist);
    let with_trl = |trl: Value| {
        let facts = Facts { fields: Map::from_iter([("trl".to_owned(), trl)]), ..at("validated") };
        evaluate(discovery(), &facts, &scientist, &to("preclinical")).is_ok()
    };
    assert!(with_trl(3.into()) && with_trl(9.into()));
    assert!(!with_trl(2.into()) && !with_trl(Value::Null) && !with_trl("3".into()));
}

#[test]
fn the_record_may_be_where_its_lifecycle_knows_nothing() {
    assert_eq!(available(discovery(), &at("elsewhere"), &person(Role::Administrator)), []);
    let result = evaluate(discovery(), &at("elsewhere"), &person(Role::Administrator), &to("logged"));
    assert_eq!(result, Err(Refusal::NoSuchMove));
    let result = evaluate(discovery(), &at("logged"), &person(Role::Administrator), &to("elsewhere"));
    assert_eq!(result, Err(Refusal::UnknownState));
}
