//! Whether one gate is met, and how to say so when it is not.
use super::super::{BodyMember, Enrolled, Gate, Move, ReasonKind, Side};
use super::{Actor, Brings, Facts, TrialFact, Unmet};
use crate::vocabulary::{Meaning, Modality, Phase, RecordKind, ReferenceKind, Role, TrialStatus};
use serde_json::Value;
use std::{collections::BTreeSet, fmt::Display};

/// What comes with the question.
#[derive(Clone, Copy)]
pub(super) enum Body<'q> {
    /// The body of a request.
    Sent(&'q Brings),
    /// Nothing yet: what only a body can bring is taken as brought.
    Awaited,
}

/// Everything the gates of a move are asked about.
pub(super) struct Question<'q> {
    pub(super) kind: RecordKind,
    pub(super) facts: &'q Facts,
    pub(super) actor: &'q Actor,
    pub(super) body: Body<'q>,
}

impl Question<'_> {
    /// Every gate in the way of the move.
    pub(super) fn unmet(&self, made: &Move) -> Vec<Unmet> {
        let gates = self.gates(made).filter(|gate| !self.met(gate)).map(|gate| self.explain(gate));
        let onlooker = (!self.takes_part() && !self.fails_authority_gate(made)).then(onlooker);
        let brought = made.brings.iter().filter(|member| !self.brings(**member)).map(|member| missing(*member));
        onlooker.into_iter().chain(gates).chain(brought).collect()
    }

    /// Whether a gate in the way asks who the actor is.
    pub(super) fn lacks_authority(&self, made: &Move) -> bool {
        !self.takes_part() || self.fails_authority_gate(made)
    }

    fn fails_authority_gate(&self, made: &Move) -> bool {
        self.gates(made).any(|gate| gate.is_authority() && !self.met(gate))
    }

    /// The members that a body must bring, in the order of the API.
    pub(super) fn needs(&self, made: &Move) -> Vec<BodyMember> {
        let nothing = Brings::default();
        let bare = Question { body: Body::Sent(&nothing), ..*self };
        let mut needs: BTreeSet<_> = made.brings.iter().copied().collect();
        needs.extend(self.gates(made).filter(|gate| !bare.met(gate)).flat_map(members));
        needs.into_iter().collect()
    }

    /// The gates that are asked of the record's modality.
    fn gates<'m>(&self, made: &'m Move) -> impl Iterator<Item = &'m Gate> {
        let modality = self.facts.modality;
        let asked = move |limits: &[Modality]| limits.is_empty() || modality.is_some_and(|one| limits.contains(&one));
        made.gates.iter().filter(move |spec| asked(&spec.when_modality)).map(|spec| &spec.gate)
    }

    fn met(&self, gate: &Gate) -> bool {
        let Self { facts, actor, .. } = self;
        match gate {
            Gate::Role(roles) => roles.iter().any(|role| actor.roles.contains(role)),
            Gate::Steward => actor.steward && self.takes_part(),
            Gate::Party => actor.party && self.takes_part(),
            Gate::Owner => actor.owner && self.takes_part(),
            Gate::Side(Side::Answers) => actor.answers && self.takes_part(),
            Gate::Side(Side::Proposes) => actor.proposes && self.takes_part(),
            Gate::Lab => actor.lab && self.takes_part(),
            Gate::Reason(kind) => self.brings(reason_member(*kind)),
            Gate::Field { name, at_least } => facts.fields.get(name).is_some_and(|value| holds(value, *at_least)),
            Gate::Evidence(kinds) => kinds.iter().any(|kind| self.has_reference(*kind)),
            Gate::Pairing(kind) => facts.pairings.contains(kind),
            Gate::Trial { phases, statuses } => facts.trials.iter().any(|trial| self.fits(trial, phases, statuses)),
            Gate::Insight => self.brings(BodyMember::InsightId),
            Gate::Signature(meaning) => self.signed(*meaning),
            Gate::Enrolled(Enrolled::Zero) => self.nobody_enrolled(),
            Gate::AnyOf(branches) => branches.iter().any(|branch| self.met(branch)),
        }
    }

    /// Nothing lets an auditor move a record, nor a partner anything but a pairing: not even a move without gates.
    fn takes_part(&self) -> bool {
        self.actor.roles.iter().any(|role| match role {
            Role::Scientist | Role::Clinician | Role::Administrator => true,
            Role::Partner => self.kind == RecordKind::Pairing,
            Role::Auditor => false,
        })
    }

    fn brings(&self, member: BodyMember) -> bool {
        let Body::Sent(brings) = self.body else {
            return true;
        };
        match member {
            BodyMember::Reason => brings.reason,
            BodyMember::StopReason => brings.stop_reason,
            BodyMember::WhyStopped => brings.why_stopped,
            BodyMember::Evidence => !brings.evidence.is_empty(),
            BodyMember::InsightId => brings.insight,
            BodyMember::Signature => brings.signature.is_some(),
            BodyMember::Outcome => brings.outcome,
            BodyMember::LabId => brings.lab_id,
        }
    }

    fn signed(&self, meaning: Meaning) -> bool {
        match self.body {
            Body::Sent(brings) => brings.signature == Some(meaning),
            Body::Awaited => true,
        }
    }

    /// Evidence may already be there, so that a body still to come does not stand for it.
    fn has_reference(&self, kind: ReferenceKind) -> bool {
        let sent = match self.body {
            Body::Sent(brings) => brings.evidence.contains(&kind),
            Body::Awaited => false,
        };
        sent || self.facts.references.contains(&kind)
    }

    fn fits(&self, trial: &TrialFact, phases: &[Phase], statuses: &[TrialStatus]) -> bool {
        let in_phase = |phase: &Phase| phases.contains(phase) || (*phase == Phase::Na && self.has_no_phases());
        statuses.contains(&trial.status) && trial.phases.iter().any(in_phase)
    }

    /// Trials of these modalities have no phases: `NA` stands for each.
    fn has_no_phases(&self) -> bool {
        self.facts.modality.is_some_and(|modality| match modality {
            Modality::Device
            | Modality::Diagnostic
            | Modality::Digital
            | Modality::Behavioral
            | Modality::Procedure => true,
            Modality::SmallMolecule
            | Modality::Biologic
            | Modality::Vaccine
            | Modality::CellTherapy
            | Modality::GeneTherapy
            | Modality::Other => false,
        })
    }

    fn nobody_enrolled(&self) -> bool {
        match self.facts.enrollment.filter(|enrollment| enrollment.actual) {
            Some(enrollment) => enrollment.count == 0,
            None => self.facts.before_recruiting,
        }
    }

    fn explain(&self, gate: &Gate) -> Unmet {
        let kind = self.kind;
        let unmet = |message: String| Unmet { gate: gate.name(), message, ..Unmet::default() };
        match gate {
            Gate::Role(roles) => Unmet { roles: roles.clone(), ..unmet(format!("needs the role {}", either(roles))) },
            Gate::Steward => unmet(format!("needs a member of the organization that stewards the {kind}")),
            Gate::Party => unmet(format!(
                "needs a member of the {kind}'s lab, its accepted clinical lead, or a member of the clinic of a trial \
                 that tests it"
            )),
            Gate::Owner => unmet(format!("needs the owner of the {kind}")),
            Gate::Side(Side::Answers) => unmet("needs the side that answers the proposal".into()),
            Gate::Side(Side::Proposes) => unmet("needs the side that proposed".into()),
            Gate::Lab => unmet("needs a member of the lab that the insight is routed to".into()),
            Gate::Reason(reason) => Unmet { gate: gate.name(), ..missing(reason_member(*reason)) },
            Gate::Field { name, at_least } => {
                let least = at_least.map_or_else(|| "set".into(), |least| format!("at least {least}"));
                let unmet = unmet(format!("needs {name} to be {least}"));
                Unmet { field: Some(name.clone()), at_least: *at_least, ..unmet }
            }
            Gate::Evidence(kinds) => Unmet {
                any_of: kinds.clone(),
                member: Some(BodyMember::Evidence),
                ..unmet(format!("needs a reference of kind {}", either(kinds)))
            },
            Gate::Pairing(wanted) => {
                Unmet { pairing: Some(*wanted), ..unmet(format!("needs an accepted pairing of kind {wanted}")) }
            }
            Gate::Trial { phases, statuses } => Unmet {
                phases: phases.clone(),
                statuses: statuses.clone(),
                ..unmet(format!(
                    "needs a trial that tests it, of phase {}, with status {}",
                    either(phases),
                    either(statuses)
                ))
            },
            Gate::Insight => Unmet { gate: gate.name(), ..missing(BodyMember::InsightId) },
            Gate::Signature(meaning) => Unmet {
                meaning: Some(*meaning),
                member: Some(BodyMember::Signature),
                ..unmet(format!("needs a signature that says {meaning}"))
            },
            Gate::Enrolled(Enrolled::Zero) => unmet("needs an actual enrolment of zero".into()),
            Gate::AnyOf(branches) => {
                let branches: Vec<_> = branches.iter().map(|branch| self.explain(branch)).collect();
                let messages: Vec<_> = branches.iter().map(|branch| branch.message.as_str()).collect();
                Unmet { message: messages.join(", or "), gate: gate.name(), branches, ..Unmet::default() }
            }
        }
    }
}

const fn reason_member(kind: ReasonKind) -> BodyMember {
    match kind {
        ReasonKind::Text => BodyMember::Reason,
        ReasonKind::Stop => BodyMember::StopReason,
        ReasonKind::WhyStopped => BodyMember::WhyStopped,
    }
}

/// The members of a body that could meet a gate.
fn members(gate: &Gate) -> Vec<BodyMember> {
    match gate {
        Gate::Reason(kind) => vec![reason_member(*kind)],
        Gate::Evidence(_) => vec![BodyMember::Evidence],
        Gate::Insight => vec![BodyMember::InsightId],
        Gate::Signature(_) => vec![BodyMember::Signature],
        Gate::AnyOf(branches) => branches.iter().flat_map(members).collect(),
        Gate::Role(_)
        | Gate::Steward
        | Gate::Party
        | Gate::Owner
        | Gate::Side(_)
        | Gate::Lab
        | Gate::Field { .. }
        | Gate::Pairing(_)
        | Gate::Trial { .. }
        | Gate::Enrolled(_) => Vec::new(),
    }
}

fn missing(member: BodyMember) -> Unmet {
    let message = match member {
        BodyMember::Reason => "needs a reason",
        BodyMember::StopReason => "needs a stop reason, of the stop vocabulary",
        BodyMember::WhyStopped => "needs why the trial stopped",
        BodyMember::Evidence => "needs a reference",
        BodyMember::InsightId => "needs an insight that stands on signed findings and concerns this discovery",
        BodyMember::Signature => "needs a signature",
        BodyMember::Outcome => "needs an outcome",
        BodyMember::LabId => "needs the lab it goes to",
    };
    Unmet { gate: "brings", message: message.into(), member: Some(member), ..Unmet::default() }
}

/// Whether a field is set, or holds at least the number.
fn holds(value: &Value, at_least: Option<i64>) -> bool {
    match (at_least, value) {
        (_, Value::Null) => false,
        (Some(least), value) => match value.as_i64() {
            Some(whole) => whole >= least,
            None => value.as_f64().is_some_and(|number| number >= least as f64),
        },
        (None, Value::String(text)) => !text.is_empty(),
        (None, Value::Array(members)) => !members.is_empty(),
        (None, Value::Bool(_) | Value::Number(_) | Value::Object(_)) => true,
    }
}

/// `a`, `a or b`, `a, b or c`
fn either<T: Display>(words: &[T]) -> String {
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        let joint = match index {
            0 => "",
            _ if index + 1 == words.len() => " or ",
            _ => ", ",
        };
        text.push_str(joint);
        text.push_str(&word.to_string());
    }
    text
}

/// What stands in the way of those who move nothing, where no gate says so.
fn onlooker() -> Unmet {
    let roles = vec![Role::Scientist, Role::Clinician, Role::Administrator];
    Unmet { gate: "role", message: "needs a role that moves records".into(), roles, ..Unmet::default() }
}
