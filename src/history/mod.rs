//! Reading the ledger: what happened to a record, field by field, and its moves; each only as far as the reader may see.
pub mod across;
pub mod http;
pub mod store;
pub mod visible {
    //! What a person may see of events.
    pub mod store;
}

use crate::{
    auth::policy::{Principal, ReadPrivate},
    db::columns::Time,
    id::{EventId, OrganizationId, PersonId, TrialId},
    person::{self, store::PersonName},
    vocabulary::{Action, Meaning, RecordKind, StopReason},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
};
use utoipa::ToSchema;
use uuid::Uuid;

/// Which record an event is about.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RecordRef {
    /// Its kind.
    pub kind: RecordKind,
    /// Its id.
    pub id: Uuid,
}

/// Which record an event changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChangedRecord {
    /// Its kind.
    pub kind: RecordKind,
    /// Its id.
    pub id: Uuid,
    /// Its code; null where no version is left that says it.
    #[schema(max_length = 30, example = "D-17")]
    pub code: Option<String>,
}

/// What of an event was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErasedPart {
    /// What it recorded: nobody can say what it changed.
    Version,
    /// What it changed from: `changes` tells what each field became, and not what it was.
    Before,
}

impl fmt::Display for ErasedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "version",
            Self::Before => "before",
        })
    }
}

/// Which record a transition moved.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MovedRecord {
    /// Its kind.
    pub kind: RecordKind,
    /// Its id.
    pub id: Uuid,
    /// Its code; null where no version is left that says it.
    #[schema(max_length = 30, example = "D-17")]
    pub code: Option<String>,
    /// Its version after the move.
    #[schema(minimum = 1, example = 4)]
    pub version: i64,
}

/// An electronic signature as it is shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SignatureView {
    /// The printed name of the signer.
    #[schema(max_length = 300, example = "Ada Okafor")]
    pub signer: String,
    /// What the signature says.
    pub meaning: Meaning,
    /// When it was given.
    pub signed_at: Time,
}

/// One field that changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "field": "trl", "before": 3, "after": 4 }))]
pub struct FieldChange {
    /// Its name.
    #[schema(max_length = 60, example = "trl")]
    pub field: String,
    /// Before; null where there was nothing, and where that was erased (`erased` says so) or is not the caller's to see.
    pub before: Value,
    /// After; null where there is nothing.
    pub after: Value,
}

/// One event of a record's history.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Entry {
    /// The event.
    pub event_id: EventId,
    /// The record it changed.
    pub record: ChangedRecord,
    /// The record's version after it.
    #[schema(minimum = 1, example = 4)]
    pub version: i64,
    /// What was done.
    pub action: Action,
    /// The move, if it was one.
    #[serde(rename = "move")]
    #[schema(max_length = 60, example = "advance")]
    pub name: Option<String>,
    /// The state before.
    #[schema(max_length = 60, example = "logged")]
    pub from: Option<String>,
    /// The state after.
    #[schema(max_length = 60, example = "validated")]
    pub to: Option<String>,
    /// Who; null for the system.
    pub by: Option<PersonName>,
    /// When it was recorded.
    pub recorded_at: Time,
    /// When it took effect.
    pub effective_at: Time,
    /// Why.
    #[schema(max_length = 2000, example = "Replicated in a second cohort")]
    pub reason: Option<String>,
    /// Field by field.
    #[schema(max_items = 100)]
    pub changes: Vec<FieldChange>,
    /// What of it was erased; null where nothing was.
    pub erased: Option<ErasedPart>,
    /// The electronic signature under it.
    pub signature: Option<SignatureView>,
    /// Where its leaf stands in the log; null for the moment until it has its place.
    #[schema(minimum = 0, example = 41)]
    pub leaf_index: Option<i64>,
    /// Where the log proves it; null until then.
    #[schema(max_length = 100, example = "/v1/ledger/events/41/proof")]
    pub proof: Option<String>,
    #[serde(skip)]
    pub(crate) enqueued: i64,
}

/// A record named by id and code.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Named {
    /// Its id.
    pub id: Uuid,
    /// Its code.
    #[schema(max_length = 30, example = "I-3")]
    pub code: String,
}

/// What else came of a move.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = MoveResult)]
pub struct Outcome {
    /// The discovery that an insight spawned or refined.
    pub discovery: Named,
}

/// A move that was made.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TransitionView {
    /// Its event.
    pub id: EventId,
    /// What it moved.
    pub record: MovedRecord,
    /// The lifecycle's name for it.
    #[serde(rename = "move")]
    #[schema(max_length = 60, example = "advance")]
    pub name: Option<String>,
    /// The state before.
    #[schema(max_length = 60, example = "logged")]
    pub from: Option<String>,
    /// The state after.
    #[schema(max_length = 60, example = "validated")]
    pub to: Option<String>,
    /// Why, in words.
    #[schema(max_length = 2000, example = "Replicated in a second cohort")]
    pub reason: Option<String>,
    /// Why it was stopped, in the vocabulary.
    pub stop_reason: Option<StopReason>,
    /// The insight it cites, where the reader may see it.
    pub insight: Option<Named>,
    /// The electronic signature under it.
    pub signature: Option<SignatureView>,
    /// Whether it set the record right rather than moved it on.
    pub correction: bool,
    /// Who; null for the system.
    pub by: Option<PersonName>,
    /// When it took effect.
    pub effective_at: Time,
    /// When it was recorded.
    pub recorded_at: Time,
    /// What else came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Outcome>,
    #[serde(skip)]
    pub(crate) enqueued: i64,
}

/// Fields of the stored record that change with every event and say nothing.
const SILENT: &[&str] = &["id", "code", "version", "created_at", "updated_at"];

/// What changed between two versions of a record, in the order of names.
pub fn diff(before: Option<&Map<String, Value>>, after: &Map<String, Value>) -> Vec<FieldChange> {
    let names: BTreeSet<&String> = after.keys().chain(before.into_iter().flat_map(Map::keys)).collect();
    let value = |record: Option<&Map<String, Value>>, name: &str| record.and_then(|r| r.get(name)).cloned();
    let blank = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    names
        .into_iter()
        .filter(|name| !SILENT.contains(&&***name))
        .map(|name| FieldChange {
            field: name.clone(),
            before: value(before, name).unwrap_or(Value::Null),
            after: value(Some(after), name).unwrap_or(Value::Null),
        })
        .filter(|change| change.before != change.after && !(blank(&change.before) && blank(&change.after)))
        .collect()
}

/// The changes as they are told to somebody who may not see the version before: what a field is now, and not what it
/// was. The state a move left stands in its event anyway.
pub fn without_before(changes: Vec<FieldChange>, from: Option<&str>) -> Vec<FieldChange> {
    let told = |mut change: FieldChange| {
        if from.is_none() || change.before.as_str() != from {
            change.before = Value::Null;
        }
        let blank = change.after.is_null() || change.after.as_array().is_some_and(Vec::is_empty);
        (!(change.before.is_null() && blank)).then_some(change)
    };
    changes.into_iter().filter_map(told).collect()
}

/// Every UUID in a value.
pub fn uuids_in(value: &Value, found: &mut HashSet<Uuid>) {
    match value {
        Value::String(text) => found.extend(Uuid::parse_str(text)),
        Value::Array(members) => members.iter().for_each(|m| uuids_in(m, found)),
        Value::Object(members) => members.values().for_each(|m| uuids_in(m, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The value without what is hidden: a hidden id becomes null, a member of a list that names one is left out.
pub fn without(value: &Value, hidden: &HashSet<Uuid>) -> Value {
    let names_hidden = |value: &Value| {
        let mut found = HashSet::new();
        uuids_in(value, &mut found);
        !found.is_disjoint(hidden)
    };
    match value {
        Value::Array(members) => members.iter().filter(|m| !names_hidden(m)).cloned().collect(),
        other if names_hidden(other) => Value::Null,
        other => other.clone(),
    }
}

/// A person's e-mail and roles are for that person and administrators; what people never see of a record is left out too.
pub fn private_fields(kind: RecordKind, id: Uuid, who: &Principal) -> &'static [&'static str] {
    let private = kind == RecordKind::Person && !who.may::<ReadPrivate>(&person::standing(who, PersonId::of(id)));
    if private { &["email", "roles"] } else { &[] }
}

/// How a person gets in is told to that person, administrators and auditors, and to no script of theirs.
pub fn tells_access(id: Uuid, who: &Principal) -> bool {
    who.session.is_some() && (who.id.0 == id || who.sees_all())
}

/// Whether the reason of an event is told: that of what befell a person is not for everybody.
pub fn tells_reason(kind: RecordKind, id: Uuid, who: &Principal) -> bool {
    kind != RecordKind::Person || who.id.0 == id || who.sees_all()
}

/// Fields that people write in: an id in them names nothing.
const WRITTEN: &[&str] = &[
    "acronym",
    "brief_title",
    "conditions",
    "interventions",
    "message",
    "name",
    "narrative",
    "official_title",
    "org_study_id",
    "outcome_note",
    "question",
    "rationale",
    "references",
    "reason",
    "summary",
    "tags",
    "title",
    "why_stopped",
];

/// Whether a field may name other records.
pub fn names_records(field: &str) -> bool {
    !WRITTEN.contains(&field)
}

/// Whether the version that an event recorded may be shown to somebody who sees the record as it is now.
///
/// Drafts stay with the clinic. Partners see an event only if the version it recorded was visible to them too: for findings
/// and insights [`TrialsThen`] says the rest.
pub fn version_is_visible(who: &Principal, kind: RecordKind, record: &Map<String, Value>, ties: Ties) -> bool {
    if who.sees_all() || ties.steward || ties.owner {
        return true;
    }
    match kind {
        RecordKind::Finding => record.get("state").is_some_and(|state| *state != json!(crate::finding::DRAFT)),
        RecordKind::Insight => record.get("submitted_at").is_some_and(|at| !at.is_null()),
        RecordKind::Discovery | RecordKind::Trial if !who.sees_internal() => {
            ties.paired || was_shared(who, record) || was_public(who, record)
        }
        RecordKind::Discovery
        | RecordKind::Trial
        | RecordKind::Organization
        | RecordKind::Person
        | RecordKind::Lifecycle
        | RecordKind::Pairing
        | RecordKind::Transfer
        | RecordKind::Webhook => true,
    }
}

/// When the trials behind findings and insights were open to somebody who does not see what is internal: shared with them, or
/// public. An event of a finding is never more visible than the trial was then, one of an insight than all of its trials.
#[derive(Debug, Clone, Default)]
pub struct TrialsThen(HashMap<TrialId, BTreeMap<i64, bool>>);

impl TrialsThen {
    /// From the trials' versions: which trial, when it was recorded, and as what.
    pub fn of(who: &Principal, versions: impl IntoIterator<Item = (TrialId, i64, Option<Map<String, Value>>)>) -> Self {
        let mut trials: HashMap<TrialId, BTreeMap<i64, bool>> = HashMap::new();
        for (trial, enqueued, record) in versions {
            let open = record.is_some_and(|record| was_shared(who, &record) || was_public(who, &record));
            trials.entry(trial).or_default().insert(enqueued, open);
        }
        Self(trials)
    }
    /// These and those.
    pub fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }
    /// Whether every one of these trials was open when this was recorded.
    pub fn were_open(&self, trials: &HashSet<TrialId>, enqueued: i64) -> bool {
        let open = |trial: &TrialId| self.0.get(trial)?.range(..=enqueued).next_back().map(|(_, open)| *open);
        trials.iter().all(|trial| open(trial) == Some(true))
    }
}

/// What ties the reader to the record, as it is now.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ties {
    /// Belongs to its steward.
    pub steward: bool,
    /// Owns it.
    pub owner: bool,
    /// Has an accepted pairing with it.
    pub paired: bool,
}

fn was_shared(who: &Principal, record: &Map<String, Value>) -> bool {
    let shared = record.get("shared_with").and_then(Value::as_array).into_iter().flatten();
    let ids = shared.filter_map(|id| Uuid::parse_str(id.as_str()?).ok()).map(OrganizationId::of);
    ids.into_iter().any(|id| who.belongs_to(id))
}

fn was_public(who: &Principal, record: &Map<String, Value>) -> bool {
    let embargo = record.get("embargo_until").and_then(Value::as_str).and_then(Time::parse);
    record.get("visibility") == Some(&json!("public")) && embargo.is_none_or(|until| until <= who.at)
}

/// A person's id in a stored record.
pub fn person_at(record: &Map<String, Value>, field: &str) -> Option<PersonId> {
    record.get(field).and_then(Value::as_str).and_then(|id| Uuid::parse_str(id).ok()).map(PersonId::of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_diff_names_what_changed_and_nothing_else() {
        let before = object(json!({ "id": 1, "version": 1, "title": "a", "trl": null, "tags": [] }));
        let after = object(json!({ "id": 1, "version": 2, "title": "a", "trl": 3, "tags": [], "note": null }));
        let changes = diff(Some(&before), &after);
        assert_eq!(changes, [FieldChange { field: "trl".into(), before: Value::Null, after: json!(3) }]);
    }

    #[test]
    fn a_hidden_id_is_nothing_at_all() {
        let hidden = Uuid::from_u128(1);
        let open = Uuid::from_u128(2);
        let set = HashSet::from([hidden]);
        assert_eq!(without(&json!([hidden, open]), &set), json!([open]));
        assert_eq!(without(&json!([{ "discovery_id": hidden, "role": "tests" }]), &set), json!([]));
        assert_eq!(without(&json!(hidden), &set), Value::Null);
        assert_eq!(without(&json!("text"), &set), json!("text"));
    }
}
