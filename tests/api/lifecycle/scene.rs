//! A record and a person for whom every gate of every built-in document is met, and ways to take one thing away.
use benchside::{
    lifecycle::{Actor, Brings, EnrollmentFact, Facts, TrialFact},
    vocabulary::{Meaning, Modality, PairingKind, Phase, ReferenceKind, Role, StudyType, TrialStatus},
};
use std::collections::BTreeSet;

/// Everything a move is asked about.
#[derive(Debug, Clone)]
pub struct Scene {
    pub facts: Facts,
    pub actor: Actor,
    pub brings: Brings,
}

/// Every relation holds, every reference, pairing and trial is there, the body brings everything; only the role and
/// what the signature says are left to choose.
pub fn everything(state: &str, held_from: Option<&str>, study_type: StudyType, role: Role) -> Scene {
    let trial = |phase| TrialFact { phases: vec![phase], status: TrialStatus::Completed };
    let facts = Facts {
        state: state.into(),
        held_from: held_from.map(Into::into),
        modality: Some(Modality::SmallMolecule),
        fields: serde_json::Map::from_iter([("trl".to_owned(), 9.into())]),
        references: ReferenceKind::ALL.iter().copied().collect(),
        pairings: PairingKind::ALL.iter().copied().collect(),
        trials: [Phase::Phase1, Phase::Phase2, Phase::Phase3].into_iter().map(trial).collect(),
        enrollment: Some(EnrollmentFact { count: 0, actual: true }),
        before_recruiting: false,
        study_type: Some(study_type),
    };
    let roles = BTreeSet::from([role]);
    let actor = Actor { roles, steward: true, party: true, owner: true, answers: true, proposes: true, lab: true };
    let brings = Brings {
        reason: true,
        stop_reason: true,
        why_stopped: true,
        evidence: BTreeSet::new(),
        insight: true,
        signature: None,
        outcome: true,
        lab_id: true,
    };
    Scene { facts, actor, brings }
}

/// What the signature of a move says, typed from the domain document.
pub fn meaning_of(name: &str, from: &str) -> Option<Meaning> {
    match (name, from) {
        ("hand_off", _) => Some(Meaning::Handoff),
        ("advance", "efficacy") => Some(Meaning::Approval),
        ("discontinue", _) => Some(Meaning::Discontinuation),
        ("correct", _) => Some(Meaning::Correction),
        ("sign", _) => Some(Meaning::Authorship),
        ("retract", _) => Some(Meaning::Retraction),
        _ => None,
    }
}
