//! The closed set of gates: what a move may ask of the actor, the record and the request.
//!
//! Only the types and their names; [`evaluate`](mod@super::evaluate) decides whether one is met.
use crate::vocabulary::{
    Meaning, Modality, PairingKind, Phase, RecordKind, ReferenceKind, Role, TrialStatus, vocabulary,
};
use serde::{Serialize, Serializer, ser::SerializeMap};

vocabulary! {
    /// The side of a pairing that a move belongs to.
    Side { Answers = "answers", Proposes = "proposes" }
}
vocabulary! {
    /// The kind of reason a move asks for: free text, a word of the stop vocabulary, or the registry's own text.
    ReasonKind { Text = "text", Stop = "stop", WhyStopped = "why_stopped" }
}
vocabulary! {
    /// What actual enrolment must be.
    Enrolled { Zero = "zero" }
}

/// A gate of a move, and the modalities it is limited to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateSpec {
    /// What must hold.
    pub gate: Gate,
    /// The modalities of discoveries that it is asked of; empty for all.
    pub when_modality: Vec<Modality>,
}

/// Something that must hold for a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// The actor holds one of these roles.
    Role(Vec<Role>),
    /// The actor belongs to the steward.
    Steward,
    /// The actor belongs to the steward, is the accepted clinical lead, or belongs to the clinic of a testing trial.
    Party,
    /// The actor owns the record.
    Owner,
    /// The actor belongs to this side of the pairing.
    Side(Side),
    /// The actor belongs to the lab the insight is routed to.
    Lab,
    /// The request gives a reason.
    Reason(ReasonKind),
    /// A field of the record is set, or is at least a number.
    Field {
        /// Which field.
        name: String,
        /// The least number it may hold; where absent, being set is enough.
        at_least: Option<i64>,
    },
    /// A reference of one of these kinds is attached, or sent with the move.
    Evidence(Vec<ReferenceKind>),
    /// A pairing of this kind is accepted.
    Pairing(PairingKind),
    /// A trial linked as `tests` is in one of these phases and has one of these statuses.
    Trial {
        /// One of them suffices, so that a combined phase satisfies either.
        phases: Vec<Phase>,
        /// One of them suffices.
        statuses: Vec<TrialStatus>,
    },
    /// An insight on signed findings is cited.
    Insight,
    /// The request is signed with this meaning.
    Signature(Meaning),
    /// Actual enrolment compares so.
    Enrolled(Enrolled),
    /// One of these gates is met.
    AnyOf(Vec<Gate>),
}

impl Gate {
    /// The gates' names in documents and answers.
    pub(super) const NAMES: &[&str] = &[
        "role",
        "steward",
        "party",
        "owner",
        "side",
        "lab",
        "reason",
        "field",
        "evidence",
        "pairing",
        "trial",
        "insight",
        "signature",
        "enrolled",
        "any_of",
    ];

    /// Its name in documents and answers.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Role(_) => "role",
            Self::Steward => "steward",
            Self::Party => "party",
            Self::Owner => "owner",
            Self::Side(_) => "side",
            Self::Lab => "lab",
            Self::Reason(_) => "reason",
            Self::Field { .. } => "field",
            Self::Evidence(_) => "evidence",
            Self::Pairing(_) => "pairing",
            Self::Trial { .. } => "trial",
            Self::Insight => "insight",
            Self::Signature(_) => "signature",
            Self::Enrolled(_) => "enrolled",
            Self::AnyOf(_) => "any_of",
        }
    }

    /// Whether it asks who the actor is: failing it is a matter of permission, not of the record's progress.
    pub fn is_authority(&self) -> bool {
        match self {
            Self::Role(_) | Self::Steward | Self::Party | Self::Owner | Self::Side(_) | Self::Lab => true,
            Self::AnyOf(branches) => branches.iter().all(Self::is_authority),
            Self::Reason(_)
            | Self::Field { .. }
            | Self::Evidence(_)
            | Self::Pairing(_)
            | Self::Trial { .. }
            | Self::Insight
            | Self::Signature(_)
            | Self::Enrolled(_) => false,
        }
    }

    /// Whether records of this kind can ever meet it, as far as the gate itself goes.
    pub(super) fn applies_to(&self, kind: RecordKind) -> bool {
        match self {
            Self::Party | Self::Pairing(_) | Self::Trial { .. } | Self::Insight => kind == RecordKind::Discovery,
            Self::Enrolled(_) | Self::Reason(ReasonKind::WhyStopped) => kind == RecordKind::Trial,
            Self::Reason(ReasonKind::Stop) | Self::Evidence(_) => {
                matches!(kind, RecordKind::Discovery | RecordKind::Trial)
            }
            Self::Side(_) => kind == RecordKind::Pairing,
            Self::Lab => kind == RecordKind::Insight,
            // Each branch answers for itself.
            Self::AnyOf(_)
            | Self::Role(_)
            | Self::Steward
            | Self::Owner
            | Self::Reason(ReasonKind::Text)
            | Self::Field { .. }
            | Self::Signature(_) => true,
        }
    }

    fn serialize_into<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let key = self.name();
        match self {
            Self::Role(roles) => map.serialize_entry(key, roles),
            Self::Steward | Self::Party | Self::Owner | Self::Lab | Self::Insight => map.serialize_entry(key, &true),
            Self::Side(side) => map.serialize_entry(key, side),
            Self::Reason(kind) => map.serialize_entry(key, kind),
            Self::Field { name, at_least } => {
                map.serialize_entry(key, name)?;
                at_least.map_or(Ok(()), |least| map.serialize_entry("at_least", &least))
            }
            Self::Evidence(kinds) => map.serialize_entry(key, kinds),
            Self::Pairing(kind) => map.serialize_entry(key, kind),
            Self::Trial { phases, statuses } => map.serialize_entry(key, &TrialView { phases, statuses }),
            Self::Signature(meaning) => map.serialize_entry(key, meaning),
            Self::Enrolled(compared) => map.serialize_entry(key, compared),
            Self::AnyOf(branches) => map.serialize_entry(key, branches),
        }
    }
}

#[derive(Serialize)]
struct TrialView<'a> {
    phases: &'a [Phase],
    statuses: &'a [TrialStatus],
}

/// In the shape of the document, so that what the API answers can be written back as TOML.
impl Serialize for Gate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.serialize_into(&mut map)?;
        map.end()
    }
}

/// In the shape of the document, as [`Gate`] is.
impl Serialize for GateSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.gate.serialize_into(&mut map)?;
        if !self.when_modality.is_empty() {
            map.serialize_entry("when_modality", &self.when_modality)?;
        }
        map.end()
    }
}
