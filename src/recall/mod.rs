//! A recall: a record stands on a finding that was retracted or superseded, and somebody has to answer for that. Raised in
//! the transaction that takes the finding away, over until the record's people acknowledge it. No record of its own: what
//! happens to it are events of the record that it flags. Pure.
pub mod change;
pub mod flagged;
pub mod http;
pub mod store;

use crate::{
    db::columns::Time,
    id::{AnyId, DiscoveryId, FindingId, InsightId, PersonId, RecallId},
    vocabulary::{RecordKind, vocabulary},
};
use diesel::{Insertable, Queryable};
use std::collections::BTreeSet;

vocabulary! {
    /// What became of the finding.
    RecallCause { Retracted = "retracted", Superseded = "superseded" }
}
vocabulary! {
    /// Whether somebody has answered for it.
    RecallState { Open = "open", Acknowledged = "acknowledged" }
}
vocabulary! {
    /// The kinds of record that a finding leads to.
    FlaggedKind { Discovery = "discovery", Insight = "insight" }
}

impl From<FlaggedKind> for RecordKind {
    fn from(kind: FlaggedKind) -> Self {
        match kind {
            FlaggedKind::Discovery => Self::Discovery,
            FlaggedKind::Insight => Self::Insight,
        }
    }
}

/// A recall as it is stored.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = crate::db::schema::recall, treat_none_as_default_value = false)]
pub struct Recall {
    /// Its id.
    pub id: RecallId,
    /// The finding that no longer stands.
    pub finding_id: FindingId,
    /// What became of it.
    pub cause: RecallCause,
    /// The kind of the record that it led to.
    pub record_kind: FlaggedKind,
    /// That record.
    pub record_id: AnyId,
    /// Since when.
    pub raised_at: Time,
    /// When somebody answered for it.
    pub acknowledged_at: Option<Time>,
    /// Who.
    pub acknowledged_by: Option<PersonId>,
    /// What they said.
    pub note: Option<String>,
}

impl Recall {
    /// Whether somebody has answered for it.
    pub const fn state(&self) -> RecallState {
        if self.acknowledged_at.is_some() { RecallState::Acknowledged } else { RecallState::Open }
    }
}

/// What a finding led to, each once and in the order of ids: the order in which transactions take these rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedTo {
    /// Every insight that cites it.
    pub insights: BTreeSet<InsightId>,
    /// Every discovery that one of these spawned, refined or sent back to the bench.
    pub discoveries: BTreeSet<DiscoveryId>,
}

impl LedTo {
    /// The records in the order in which they are taken.
    pub fn records(&self) -> impl Iterator<Item = (FlaggedKind, AnyId)> {
        let insights = self.insights.iter().map(|id| (FlaggedKind::Insight, id.any()));
        insights.chain(self.discoveries.iter().map(|id| (FlaggedKind::Discovery, id.any())))
    }
}
