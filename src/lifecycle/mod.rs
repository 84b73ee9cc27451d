//! How records move: one pure engine for every kind, driven by data.
//!
//! A [`Lifecycle`] is states, moves and gates, read from a TOML document ([`document`]) that is refused with every
//! fault it has. [`evaluate`](fn@evaluate) answers one request with the step to take or with *every* unmet
//! gate; [`available`] is the same question asked about each move.
//!
//! Nothing here reads a record, a clock or a request: facts come in as plain values, and what a step means for other
//! records (a new discovery, a recall) is the business of the slice that asked.
pub mod builtin;
pub mod change;
pub mod document;
pub mod evaluate;
pub mod facts;
pub mod gate;
pub mod http;
pub mod store;

use crate::vocabulary::{RecordKind, StudyType, vocabulary};
pub use document::DocumentFault;
pub use evaluate::{
    Actor, Available, Brings, EnrollmentFact, Facts, Hold, Refusal, Request, Step, TrialFact, Unmet, ahead, available,
    evaluate,
};
pub use gate::{Enrolled, Gate, GateSpec, ReasonKind, Side};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use utoipa::{
    ToSchema,
    openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type},
};

/// The name of the move that sets a record right: it happens only when named, and opens no path of its own.
pub const CORRECT: &str = "correct";

vocabulary! {
    /// How a record ends in a final state.
    End { Success = "success", Stopped = "stopped", Ended = "ended" }
}
vocabulary! {
    /// The members of a move's body that a gate or a move can ask for.
    BodyMember {
        Reason = "reason", StopReason = "stop_reason", WhyStopped = "why_stopped", Evidence = "evidence",
        InsightId = "insight_id", Signature = "signature", Outcome = "outcome", LabId = "lab_id",
    }
}

/// One version of how records of a kind move. Made only by [`Lifecycle::parse`], so that every one there is, is sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lifecycle {
    kind: RecordKind,
    name: String,
    version: u32,
    states: Vec<State>,
    moves: Vec<Move>,
}

/// A place a record can be in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct State {
    /// The value stored with the record.
    #[schema(max_length = 40, example = "clinic_ready")]
    pub name: String,
    /// The name people read.
    #[schema(max_length = 100, example = "Clinic ready")]
    pub label: String,
    /// What it says of a record to be here.
    #[schema(max_length = 2000)]
    pub meaning: String,
    /// Records start here.
    pub initial: bool,
    /// How a record that reaches it has ended; null while it is under way.
    pub end: Option<End>,
    /// A pause: the record remembers the state it left, and resumes only to that.
    pub hold: bool,
    /// Set by a registry, never by a person.
    pub registry: bool,
    /// Other classifications of the state, such as `ncats`, `t` or `trl`.
    #[schema(max_length = 100)]
    pub columns: BTreeMap<String, String>,
}

impl State {
    /// Whether records end here.
    pub const fn is_final(&self) -> bool {
        self.end.is_some()
    }

    /// Whether a paused record may resume here: work goes on in this state, and people put records in it.
    const fn is_resumable(&self) -> bool {
        !self.is_final() && !self.hold && !self.registry
    }
}

/// A way from some states to others. Several moves may share a name, as `advance` does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Move {
    /// What the move is called.
    #[schema(max_length = 40, example = "hand_off")]
    pub name: String,
    /// Where it starts: states, or `any`.
    #[schema(schema_with = names_or_words)]
    pub from: Origin,
    /// Where it leads: states, `held_from` or `any`.
    #[schema(schema_with = names_or_words)]
    pub to: Target,
    /// What must hold for it, all of it.
    #[schema(value_type = Vec<Object>, max_items = 50)]
    pub gates: Vec<GateSpec>,
    /// What the body must bring besides what gates ask for: `outcome` or `lab_id`.
    #[schema(max_items = 2)]
    pub brings: Vec<BodyMember>,
    /// The study types it exists for; empty where it exists for all.
    #[schema(max_items = 3)]
    pub study_types: Vec<StudyType>,
    /// Happens by itself, never on request.
    pub automatic: bool,
}

impl Move {
    /// Whether it is the move that sets a record right.
    pub fn is_correction(&self) -> bool {
        self.name == CORRECT
    }

    fn leaves(&self, state: &str) -> bool {
        match &self.from {
            Origin::Any => true,
            Origin::States(names) => names.iter().any(|name| name == state),
        }
    }

    fn exists_for(&self, study_type: Option<StudyType>) -> bool {
        self.study_types.is_empty() || study_type.is_some_and(|one| self.study_types.contains(&one))
    }
}

/// Where a move starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In these states.
    States(Vec<String>),
    /// Anywhere; only for [`CORRECT`].
    Any,
}

/// Where a move leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To one of these states, as the request says.
    States(Vec<String>),
    /// Back to the state that was left for the hold.
    HeldFrom,
    /// To any other state that a person may set, though not from a final state to a hold; only for [`CORRECT`].
    Any,
}

/// Names of states, or the word that stands for them.
fn names_or_words() -> Schema {
    let word = || ObjectBuilder::new().schema_type(Type::String).max_length(Some(40));
    let names = ArrayBuilder::new().items(word()).max_items(Some(100));
    Schema::OneOf(OneOfBuilder::new().item(names).item(word()).build())
}

impl Origin {
    const ANY: &str = "any";
}

impl Target {
    const ANY: &str = "any";
    const HELD_FROM: &str = "held_from";
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::States(names) => names.serialize(serializer),
            Self::Any => serializer.serialize_str(Self::ANY),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::States(names) => names.serialize(serializer),
            Self::HeldFrom => serializer.serialize_str(Self::HELD_FROM),
            Self::Any => serializer.serialize_str(Self::ANY),
        }
    }
}

impl Lifecycle {
    /// The kind of record it moves.
    pub const fn kind(&self) -> RecordKind {
        self.kind
    }

    /// Its name, shared by its versions.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version, from 1 to 10 000.
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Its states, in the order of the document.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// Its moves, in the order of the document.
    pub fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// How records and requests name it: `name@version`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// The state records start in.
    pub fn initial(&self) -> &State {
        // A parsed lifecycle has exactly one initial state; falling back to the first keeps this total.
        self.states.iter().find(|state| state.initial).unwrap_or(&self.states[0])
    }

    /// The state of that name.
    pub fn state(&self, name: &str) -> Option<&State> {
        self.states.iter().find(|state| state.name == name)
    }

    /// Whether `name` is a state in which records end.
    pub fn is_final(&self, name: &str) -> bool {
        self.state(name).is_some_and(State::is_final)
    }

    /// The place of a state in the document's order, which is how far along a record is.
    pub fn order(&self, name: &str) -> Option<usize> {
        self.states.iter().position(|state| state.name == name)
    }
}
