//! The gates of every move, typed from the domain document: with everything else met, taking one thing away leaves
//! exactly the gate that asks for it, and taking all away leaves all of them.
use super::scene::{Scene, everything, meaning_of};
use Need::*;
use benchside::{
    lifecycle::{BodyMember, Lifecycle, Refusal, Request, Unmet, available, builtin, evaluate},
    vocabulary::{Meaning, Modality, ReferenceKind, ReferenceKind as Kind, Role, StudyType, TrialStatus},
};

/// One thing a move needs.
#[derive(Debug, Clone, Copy)]
enum Need {
    OneOf(&'static [Role]),
    Steward,
    Party,
    Lab,
    Owner,
    OwnerOrAdministrator,
    Answers,
    Proposes,
    EitherSide,
    Reason,
    StopReason,
    WhyStopped,
    Outcome,
    LabId,
    TrlOfThree,
    Evidence(&'static [ReferenceKind]),
    ClinicalLead,
    Trial,
    TrialOrApproval,
    Insight,
    Signature(Meaning),
    NobodyEnrolled,
}

const SCIENTIST: Need = OneOf(&[Role::Scientist]);
const CLINICIAN: Need = OneOf(&[Role::Clinician]);
const EITHER: Need = OneOf(&[Role::Scientist, Role::Clinician]);
const ADMINISTRATOR: Need = OneOf(&[Role::Administrator]);

/// Where from, by which move, where to, and all that it needs.
type Row = (&'static [&'static str], &'static str, &'static [&'static str], &'static [Need]);

const LIVE: &[&str] =
    &["logged", "validated", "preclinical", "clinic_ready", "first_in_human", "efficacy", "implementation"];
const LIVE_OR_HELD: &[&str] =
    &["logged", "validated", "preclinical", "clinic_ready", "first_in_human", "efficacy", "implementation", "on_hold"];

#[rustfmt::skip]
const DISCOVERY: &[Row] = &[
    (&["logged"], "advance", &["validated"], &[SCIENTIST, Steward, Evidence(&[Kind::Doi, Kind::Pmid, Kind::Dataset, Kind::Url])]),
    (&["validated"], "advance", &["preclinical"], &[SCIENTIST, Steward, TrlOfThree]),
    (&["preclinical"], "hand_off", &["clinic_ready"], &[SCIENTIST, Steward, Evidence(&[Kind::Irb]), Evidence(&[Kind::Ind]), ClinicalLead, Signature(Meaning::Handoff)]),
    (&["clinic_ready"], "advance", &["first_in_human"], &[CLINICIAN, Party, Trial]),
    (&["first_in_human"], "advance", &["efficacy"], &[CLINICIAN, Party, Trial]),
    (&["efficacy"], "advance", &["implementation"], &[CLINICIAN, Party, TrialOrApproval, Signature(Meaning::Approval)]),
    (&["implementation"], "advance", &["public_health"], &[CLINICIAN, Party, Evidence(ReferenceKind::ALL)]),
    (&["clinic_ready", "first_in_human", "efficacy", "implementation"], "return_to_bench", &["validated", "preclinical"], &[EITHER, Party, Reason, Insight]),
    (LIVE, "hold", &["on_hold"], &[EITHER, Party, Reason]),
    (&["on_hold"], "resume", &["preclinical"], &[EITHER, Party, Reason]),
    (LIVE_OR_HELD, "discontinue", &["discontinued"], &[OwnerOrAdministrator, StopReason, Signature(Meaning::Discontinuation)]),
    (&["discontinued", "public_health", "on_hold"], "correct", &["logged", "efficacy"], &[ADMINISTRATOR, Reason, Signature(Meaning::Correction)]),
];

const LIVE_TRIAL: &[&str] = &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING"];
const LIVE_OR_SUSPENDED: &[&str] =
    &["NOT_YET_RECRUITING", "RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING", "SUSPENDED"];

#[rustfmt::skip]
const TRIAL: &[Row] = &[
    (&["NOT_YET_RECRUITING"], "open", &["RECRUITING", "ENROLLING_BY_INVITATION"], &[CLINICIAN, Steward, Evidence(&[Kind::Irb])]),
    (&["ENROLLING_BY_INVITATION"], "widen", &["RECRUITING"], &[CLINICIAN, Steward]),
    (&["RECRUITING", "ENROLLING_BY_INVITATION"], "close_enrollment", &["ACTIVE_NOT_RECRUITING"], &[CLINICIAN, Steward]),
    (&["RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING"], "complete", &["COMPLETED"], &[CLINICIAN, Steward]),
    (LIVE_TRIAL, "suspend", &["SUSPENDED"], &[CLINICIAN, Steward, WhyStopped]),
    (&["SUSPENDED"], "resume", &["RECRUITING"], &[CLINICIAN, Steward, Reason]),
    (LIVE_OR_SUSPENDED, "terminate", &["TERMINATED"], &[CLINICIAN, Steward, WhyStopped, StopReason]),
    (LIVE_OR_SUSPENDED, "withdraw", &["WITHDRAWN"], &[CLINICIAN, Steward, WhyStopped, NobodyEnrolled]),
    (&["TERMINATED", "WITHDRAWN", "UNKNOWN"], "correct", &["RECRUITING"], &[ADMINISTRATOR, Reason, Signature(Meaning::Correction)]),
];

#[rustfmt::skip]
const EXPANDED_ACCESS: &[Row] = &[
    (&["NOT_YET_RECRUITING", "TEMPORARILY_NOT_AVAILABLE"], "offer", &["AVAILABLE"], &[CLINICIAN, Steward]),
    (&["AVAILABLE"], "pause", &["TEMPORARILY_NOT_AVAILABLE"], &[CLINICIAN, Steward]),
    (&["AVAILABLE", "TEMPORARILY_NOT_AVAILABLE"], "end", &["NO_LONGER_AVAILABLE"], &[CLINICIAN, Steward]),
    (&["AVAILABLE", "TEMPORARILY_NOT_AVAILABLE"], "approve", &["APPROVED_FOR_MARKETING"], &[CLINICIAN, Steward]),
    (&["WITHHELD"], "correct", &["AVAILABLE", "NO_LONGER_AVAILABLE"], &[ADMINISTRATOR, Reason, Signature(Meaning::Correction)]),
];

const FINDING: &[Row] = &[
    (&["draft"], "sign", &["signed"], &[Owner, Signature(Meaning::Authorship)]),
    (&["draft"], "withdraw", &["withdrawn"], &[Owner]),
    (&["signed"], "retract", &["retracted"], &[OwnerOrAdministrator, Reason, Signature(Meaning::Retraction)]),
];

const INSIGHT: &[Row] = &[
    (&["draft"], "submit", &["submitted"], &[CLINICIAN, Steward]),
    (&["declined"], "reroute", &["submitted"], &[CLINICIAN, Steward, LabId]),
    (&["draft", "declined"], "withdraw", &["withdrawn"], &[Owner]),
    (&["submitted"], "acknowledge", &["acknowledged"], &[SCIENTIST, Lab]),
    (&["acknowledged"], "investigate", &["investigating"], &[SCIENTIST, Lab]),
    (&["submitted", "acknowledged"], "decline", &["declined"], &[SCIENTIST, Lab, Reason]),
    (&["investigating"], "resolve", &["resolved"], &[SCIENTIST, Lab, Outcome]),
];

const PAIRING: &[Row] = &[
    (&["proposed"], "accept", &["accepted"], &[Answers]),
    (&["proposed"], "decline", &["declined"], &[Answers, Reason]),
    (&["proposed"], "withdraw", &["withdrawn"], &[Proposes]),
    (&["accepted"], "end", &["ended"], &[EitherSide, Reason]),
];

impl Need {
    /// The gate that asks for it.
    fn gate(self) -> &'static str {
        match self {
            OneOf(_) => "role",
            Steward => "steward",
            Party => "party",
            Lab => "lab",
            Owner => "owner",
            OwnerOrAdministrator | EitherSide | TrialOrApproval => "any_of",
            Answers | Proposes => "side",
            Reason | StopReason | WhyStopped => "reason",
            Outcome | LabId => "brings",
            TrlOfThree => "field",
            Evidence(_) => "evidence",
            ClinicalLead => "pairing",
            Trial => "trial",
            Insight => "insight",
            Signature(_) => "signature",
            NobodyEnrolled => "enrolled",
        }
    }

    /// The member of the body that brings it, where one can.
    fn member(self) -> Option<BodyMember> {
        match self {
            Reason => Some(BodyMember::Reason),
            StopReason => Some(BodyMember::StopReason),
            WhyStopped => Some(BodyMember::WhyStopped),
            Outcome => Some(BodyMember::Outcome),
            LabId => Some(BodyMember::LabId),
            Insight => Some(BodyMember::InsightId),
            Signature(_) => Some(BodyMember::Signature),
            Evidence(_) => Some(BodyMember::Evidence),
            OneOf(_) | Steward | Party | Lab | Owner | OwnerOrAdministrator | Answers | Proposes | EitherSide
            | TrlOfThree | ClinicalLead | Trial | TrialOrApproval | NobodyEnrolled => None,
        }
    }

    /// What a signature must say.
    fn meaning(self) -> Option<Meaning> {
        if let Signature(meaning) = self { Some(meaning) } else { None }
    }

    fn is_authority(self) -> bool {
        matches!(
            self,
            OneOf(_) | Steward | Party | Lab | Owner | OwnerOrAdministrator | Answers | Proposes | EitherSide
        )
    }

    /// Whether only the body can bring it, so that it is no obstacle in what is available.
    fn is_of_the_body(self) -> bool {
        self.member().is_some() && !matches!(self, Evidence(_))
    }

    fn take_from(self, scene: &mut Scene) {
        let Scene { facts, actor, brings } = scene;
        match self {
            OneOf(roles) => {
                let others = [Role::Scientist, Role::Clinician, Role::Administrator];
                actor.roles = others.into_iter().filter(|other| !roles.contains(other)).take(1).collect();
            }
            Steward => actor.steward = false,
            Party => actor.party = false,
            Lab => actor.lab = false,
            Owner | OwnerOrAdministrator => actor.owner = false,
            Answers => actor.answers = false,
            Proposes => actor.proposes = false,
            EitherSide => (actor.answers, actor.proposes) = (false, false),
            Reason => brings.reason = false,
            StopReason => brings.stop_reason = false,
            WhyStopped => brings.why_stopped = false,
            Outcome => brings.outcome = false,
            LabId => brings.lab_id = false,
            TrlOfThree => {
                facts.fields.insert("trl".into(), 2.into());
            }
            Evidence(kinds) => facts.references.retain(|kind| !kinds.contains(kind)),
            ClinicalLead => facts.pairings.clear(),
            Trial => facts.trials.iter_mut().for_each(|trial| trial.status = TrialStatus::Suspended),
            TrialOrApproval => {
                facts.trials.clear();
                facts.references.remove(&ReferenceKind::Url);
            }
            Insight => brings.insight = false,
            Signature(_) => brings.signature = Some(Meaning::Review),
            NobodyEnrolled => facts.enrollment = None,
        }
    }
}

fn unmet(lifecycle: &Lifecycle, scene: &Scene, name: &str, to: &str) -> (Vec<Unmet>, bool) {
    let request = Request { to, name: Some(name), brings: scene.brings.clone() };
    match evaluate(lifecycle, &scene.facts, &scene.actor, &request) {
        Ok(_) => (Vec::new(), false),
        Err(Refusal::Unmet { unmet, authority }) => (unmet, authority),
        Err(other) => panic!("{name} to {to}: {other:?}"),
    }
}

fn shape(unmet: &[Unmet]) -> Vec<(&str, Option<BodyMember>)> {
    unmet.iter().map(|one| (one.gate, one.member)).collect()
}

fn check(lifecycle: &Lifecycle, held_from: Option<&str>, study_type: StudyType, rows: &[Row]) {
    for (froms, name, tos, needs) in rows {
        for (from, to) in froms.iter().flat_map(|from| tos.iter().map(move |to| (from, to))) {
            let place = format!("{from} --{name}--> {to}");
            let role = needs.iter().find_map(|need| if let OneOf(roles) = need { roles.first() } else { None });
            let role = role.copied().unwrap_or(Role::Scientist);
            let mut whole = everything(from, held_from, study_type, role);
            whole.brings.signature = needs.iter().find_map(|need| need.meaning());
            assert_eq!(unmet(lifecycle, &whole, name, to), (Vec::new(), false), "{place} with everything");

            let mut bare = whole.clone();
            for need in *needs {
                let mut scene = whole.clone();
                need.take_from(&mut scene);
                need.take_from(&mut bare);
                let (left, authority) = unmet(lifecycle, &scene, name, to);
                assert_eq!(shape(&left), [(need.gate(), need.member())], "{place} without {need:?}");
                assert_eq!(authority, need.is_authority(), "{place} without {need:?}");
                offers(lifecycle, &scene, (name, to), need.is_of_the_body(), &place);
            }
            let expected: Vec<_> = needs.iter().map(|need| (need.gate(), need.member())).collect();
            assert_eq!(shape(&unmet(lifecycle, &bare, name, to).0), expected, "{place} with nothing");
        }
    }
}

/// What only the body can bring does not stand in the way of what is available.
fn offers(lifecycle: &Lifecycle, scene: &Scene, (name, to): (&str, &str), allowed: bool, place: &str) {
    let moves = available(lifecycle, &scene.facts, &scene.actor);
    let offered = moves.iter().find(|one| one.name == name && one.to == to).expect("is listed");
    assert_eq!(offered.allowed, allowed, "{place}: {offered:?}");
}

#[test]
fn discoveries_are_asked_for_what_the_domain_says() {
    check(builtin::discovery(), Some("preclinical"), StudyType::Interventional, DISCOVERY);
}

#[test]
fn trials_are_asked_for_what_the_domain_says() {
    check(builtin::trial(), Some("RECRUITING"), StudyType::Interventional, TRIAL);
    check(builtin::trial(), Some("RECRUITING"), StudyType::Observational, TRIAL);
    check(builtin::trial(), None, StudyType::ExpandedAccess, EXPANDED_ACCESS);
}

#[test]
fn findings_insights_and_pairings_are_asked_for_what_the_domain_says() {
    check(builtin::finding(), None, StudyType::Interventional, FINDING);
    check(builtin::insight(), None, StudyType::Interventional, INSIGHT);
    check(builtin::pairing(), None, StudyType::Interventional, PAIRING);
}

/// Only drugs, biologics, vaccines, cell and gene therapies go to the clinic under an IND.
#[test]
fn an_ind_is_asked_of_the_modalities_that_have_one() {
    let asked = [
        (Modality::SmallMolecule, true),
        (Modality::Biologic, true),
        (Modality::Vaccine, true),
        (Modality::CellTherapy, true),
        (Modality::GeneTherapy, true),
        (Modality::Device, false),
        (Modality::Diagnostic, false),
        (Modality::Digital, false),
        (Modality::Behavioral, false),
        (Modality::Procedure, false),
        (Modality::Other, false),
    ];
    for (modality, asked) in asked {
        let mut scene = everything("preclinical", None, StudyType::Interventional, Role::Scientist);
        scene.brings.signature = Some(Meaning::Handoff);
        scene.facts.modality = Some(modality);
        scene.facts.references.remove(&ReferenceKind::Ind);
        let (left, _) = unmet(builtin::discovery(), &scene, "hand_off", "clinic_ready");
        assert_eq!(left.len(), usize::from(asked), "{modality}: {left:?}");
        scene.brings.evidence.insert(ReferenceKind::Ind);
        assert_eq!(unmet(builtin::discovery(), &scene, "hand_off", "clinic_ready").0, [], "sent with the move");
    }
}

#[test]
fn either_branch_of_an_any_of_will_do() {
    type Take = fn(&mut Scene);
    let without = |take: Take, name, from: &str, to, role| {
        let mut scene = everything(from, None, StudyType::Interventional, role);
        scene.brings.signature = meaning_of(name, from);
        take(&mut scene);
        unmet(builtin::discovery(), &scene, name, to).0
    };
    let no_trial: Take = |scene| scene.facts.trials.clear();
    let no_url: Take = |scene| scene.facts.references.clear();
    assert_eq!(without(no_trial, "advance", "efficacy", "implementation", Role::Clinician), []);
    assert_eq!(without(no_url, "advance", "efficacy", "implementation", Role::Clinician), []);
    let not_owner: Take = |scene| scene.actor.owner = false;
    assert_eq!(without(not_owner, "discontinue", "logged", "discontinued", Role::Administrator), []);
    assert_eq!(without(not_owner, "discontinue", "logged", "discontinued", Role::Scientist).len(), 1);
}
