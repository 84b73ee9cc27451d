//! Whether a record may move: the step to take, or every gate in the way.
//!
//! A pure function of the lifecycle, the record's facts, the actor and the request. It does not check that a
//! signature fits, that a cited insight exists or that a text is short enough: the caller has done that, and says
//! here what the request brings.
mod check;

use super::{BodyMember, End, Lifecycle, Move, State, Target};
use crate::vocabulary::{Meaning, Modality, PairingKind, Phase, ReferenceKind, Role, StudyType, TrialStatus};
use check::{Body, Question};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// What gates may ask about a record, gathered before the engine is asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The state the record is in.
    pub state: String,
    /// The state it left for the hold it is in.
    pub held_from: Option<String>,
    /// A discovery's modality.
    pub modality: Option<Modality>,
    /// The record's own fields, by the names of the API, for `field` gates.
    pub fields: Map<String, Value>,
    /// The kinds of reference attached to it.
    pub references: BTreeSet<ReferenceKind>,
    /// The kinds of pairing accepted for it.
    pub pairings: BTreeSet<PairingKind>,
    /// The trials linked to it as `tests`.
    pub trials: Vec<TrialFact>,
    /// A trial's enrolment.
    pub enrollment: Option<EnrollmentFact>,
    /// Whether a trial has never recruited, so that an unknown enrolment can only be none.
    pub before_recruiting: bool,
    /// A trial's study type.
    pub study_type: Option<StudyType>,
}

/// A trial linked as `tests`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialFact {
    /// Its phases: two for a combined phase, none for an observational study.
    pub phases: Vec<Phase>,
    /// Its overall status.
    pub status: TrialStatus,
}

/// A trial's enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnrollmentFact {
    /// How many participants.
    pub count: i64,
    /// Whether that many did enrol, rather than are expected to.
    pub actual: bool,
}

/// Who asks, in relation to the record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actor {
    /// The roles the actor holds.
    pub roles: BTreeSet<Role>,
    /// Belongs to the record's steward.
    pub steward: bool,
    /// Belongs to the steward, is the accepted clinical lead, or belongs to the clinic of a testing trial.
    pub party: bool,
    /// Owns the record.
    pub owner: bool,
    /// Belongs to the side of a pairing that answers.
    pub answers: bool,
    /// Belongs to the side of a pairing that proposes.
    pub proposes: bool,
    /// Belongs to the lab an insight is routed to.
    pub lab: bool,
}

/// What is asked: where to, by which move, and what comes along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// The state to move to.
    pub to: &'a str,
    /// The move, where named.
    pub name: Option<&'a str>,
    /// What the body brings.
    pub brings: Brings,
}

/// What the body of a move brings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Brings {
    /// A `reason`.
    pub reason: bool,
    /// A `stop_reason`.
    pub stop_reason: bool,
    /// A `why_stopped`.
    pub why_stopped: bool,
    /// References, by kind: they join the record's in the same version.
    pub evidence: BTreeSet<ReferenceKind>,
    /// An `insight_id`, of an insight that stands on signed findings and concerns this discovery.
    pub insight: bool,
    /// A signature that fits, and what it says.
    pub signature: Option<Meaning>,
    /// An `outcome`.
    pub outcome: bool,
    /// A `lab_id`.
    pub lab_id: bool,
}

/// A move that may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<'a> {
    /// The move.
    pub made: &'a Move,
    /// The state it leads to.
    pub to: &'a State,
    /// Whether it sets the record right, and shows as that wherever it shows.
    pub correction: bool,
    /// What it does to a hold.
    pub hold: Hold,
    /// What the record's `held_from` is afterwards.
    pub held_from: Option<String>,
}

/// What a step does to a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The record is on hold neither before nor after, or both before and after.
    Unchanged,
    /// The record goes on hold.
    Placed,
    /// The record resumes what it left: the same stay goes on.
    Resumed,
    /// The record leaves the hold for another state.
    Ended,
}

/// Why a move is not made.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// The lifecycle has no such state.
    UnknownState,
    /// No such move leads there from here.
    NoSuchMove,
    /// These moves lead there, and the request names none.
    Ambiguous(Vec<String>),
    /// Gates are in the way.
    Unmet {
        /// All of them.
        unmet: Vec<Unmet>,
        /// Whether one of them asks who the actor is.
        authority: bool,
    },
}

/// A gate that is not met, with what would meet it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Unmet {
    /// The gate's name in the lifecycle document; `brings` for what a move itself asks of the body; in answers that are
    /// not about a move, what one must be to the record.
    #[schema(max_length = 20, example = "evidence")]
    pub gate: &'static str,
    /// What is missing, for people.
    #[schema(max_length = 2000, example = "needs a reference of kind irb")]
    pub message: String,
    /// Roles of which one is needed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 5)]
    pub roles: Vec<Role>,
    /// Kinds of reference of which one is needed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 10)]
    pub any_of: Vec<ReferenceKind>,
    /// The kind of pairing that must be accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairing: Option<PairingKind>,
    /// Phases of which a trial linked as `tests` must be in one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 6)]
    pub phases: Vec<Phase>,
    /// Statuses of which that trial must have one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 14)]
    pub statuses: Vec<TrialStatus>,
    /// What the signature must say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<Meaning>,
    /// The field that must be set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 40, example = "trl")]
    pub field: Option<String>,
    /// The least the field may hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, example = 3)]
    pub at_least: Option<i64>,
    /// The member of the body that would meet it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<BodyMember>,
    /// Gates of which one must be met.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion, max_items = 20)]
    pub branches: Vec<Unmet>,
}

/// A move from where the record is, and what stands between it and this actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Available {
    /// The move.
    #[serde(rename = "move")]
    #[schema(max_length = 40, example = "hand_off")]
    pub name: String,
    /// Where it leads.
    #[schema(max_length = 40, example = "clinic_ready")]
    pub to: String,
    /// Whether nothing is unmet: a body with what is in `needs` will do.
    pub allowed: bool,
    /// Every unmet gate, apart from those that only the body can meet.
    #[schema(max_items = 52)]
    pub unmet: Vec<Unmet>,
    /// The members the body must bring.
    #[schema(max_items = 8)]
    pub needs: Vec<BodyMember>,
}

/// Answers a request with the step to take.
///
/// # Errors
/// Why not: for gates in the way, all of them at once.
pub fn evaluate<'a>(
    lifecycle: &'a Lifecycle,
    facts: &Facts,
    actor: &Actor,
    request: &Request<'_>,
) -> Result<Step<'a>, Refusal> {
    let (made, to) = meant(lifecycle, facts, request)?;
    let question = Question { kind: lifecycle.kind, facts, actor, body: Body::Sent(&request.brings) };
    let unmet = question.unmet(made);
    if unmet.is_empty() {
        return Ok(step(lifecycle, facts, made, to));
    }
    Err(Refusal::Unmet { unmet, authority: question.lacks_authority(made) })
}

/// Each move from where the record is, corrections included, with what stands between it and the actor.
pub fn available(lifecycle: &Lifecycle, facts: &Facts, actor: &Actor) -> Vec<Available> {
    let question = Question { kind: lifecycle.kind, facts, actor, body: Body::Awaited };
    ways(lifecycle, facts).map(|(made, to)| offer(&question, made, to)).collect()
}

/// Those of the [`available`] moves that lead on and are this actor's to make, whatever else is still unmet: to a later state
/// that is neither a hold nor an end without success.
pub fn ahead(lifecycle: &Lifecycle, facts: &Facts, actor: &Actor) -> Vec<Available> {
    let question = Question { kind: lifecycle.kind, facts, actor, body: Body::Awaited };
    let here = lifecycle.order(&facts.state);
    let is_later = |to: &State| !to.hold && !to.registry && lifecycle.order(&to.name) > here;
    let leads_on =
        |made: &Move, to: &State| is_later(to) && matches!(to.end, None | Some(End::Success)) && !made.is_correction();
    let own = ways(lifecycle, facts).filter(|(made, to)| leads_on(made, to) && !question.lacks_authority(made));
    own.map(|(made, to)| offer(&question, made, to)).collect()
}

fn offer(question: &Question<'_>, made: &Move, to: &State) -> Available {
    let unmet = question.unmet(made);
    Available {
        name: made.name.clone(),
        to: to.name.clone(),
        allowed: unmet.is_empty(),
        unmet,
        needs: question.needs(made),
    }
}

/// The one move that the request means.
fn meant<'a>(lifecycle: &'a Lifecycle, facts: &Facts, request: &Request<'_>) -> Result<(&'a Move, &'a State), Refusal> {
    if lifecycle.state(request.to).is_none() {
        return Err(Refusal::UnknownState);
    }
    let is_meant = |made: &Move| match request.name {
        Some(name) => made.name == name,
        None => !made.is_correction(),
    };
    let found: Vec<_> = ways(lifecycle, facts).filter(|(made, to)| to.name == request.to && is_meant(made)).collect();
    match found.as_slice() {
        [] => Err(Refusal::NoSuchMove),
        [one] => Ok(*one),
        several => Err(Refusal::Ambiguous(several.iter().map(|(made, _)| made.name.clone()).collect())),
    }
}

/// Every move that exists for the record where it is, with each state it may lead to.
fn ways<'a>(lifecycle: &'a Lifecycle, facts: &Facts) -> impl Iterator<Item = (&'a Move, &'a State)> {
    let from = lifecycle.state(&facts.state);
    from.into_iter().flat_map(move |from| {
        let exists = |made: &&Move| !made.automatic && made.leaves(&from.name) && made.exists_for(facts.study_type);
        let moves = lifecycle.moves.iter().filter(exists);
        moves.flat_map(|made| targets(lifecycle, made, from, facts).into_iter().map(move |to| (made, to)))
    })
}

fn targets<'a>(lifecycle: &'a Lifecycle, made: &Move, from: &State, facts: &Facts) -> Vec<&'a State> {
    let state = |name: &String| lifecycle.state(name);
    match &made.to {
        Target::States(names) => names.iter().filter_map(state).filter(|to| to.name != from.name).collect(),
        Target::HeldFrom => facts.held_from.iter().filter_map(state).filter(|to| to.is_resumable()).collect(),
        Target::Any => {
            let settable = |to: &&State| to.name != from.name && !to.registry && !(to.hold && from.is_final());
            lifecycle.states.iter().filter(settable).collect()
        }
    }
}

fn step<'a>(lifecycle: &Lifecycle, facts: &Facts, made: &'a Move, to: &'a State) -> Step<'a> {
    let from = lifecycle.state(&facts.state);
    let (hold, held_from) = match (from.is_some_and(|from| from.hold), to.hold) {
        (false, false) => (Hold::Unchanged, None),
        // What is over, or was set by a registry, is nothing to resume.
        (false, true) => (Hold::Placed, from.filter(|from| from.is_resumable()).map(|from| from.name.clone())),
        (true, true) => (Hold::Unchanged, facts.held_from.clone()),
        (true, false) if made.to == Target::HeldFrom => (Hold::Resumed, None),
        (true, false) => (Hold::Ended, None),
    };
    Step { made, to, correction: made.is_correction(), hold, held_from }
}

#[cfg(test)]
mod tests;
