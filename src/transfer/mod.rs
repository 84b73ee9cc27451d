//! A transfer of ownership: whole or not at all, when the receiver accepts; forced by an administrator for leavers. Pure.
pub mod change;
pub mod http;
pub mod owned;
pub mod store;
#[cfg(test)]
mod tests;

use crate::{
    auth::policy::{Principal, Relation, Standing},
    db::columns::{Doc, Time},
    id::{OrganizationId, PersonId, TransferId},
    vocabulary::{RecordKind, TransferState, vocabulary},
};
use diesel::{AsChangeset, Insertable, Queryable};
use serde::{Deserialize, Serialize};

vocabulary! {
    /// The kinds of record that a person owns.
    OwnedKind {
        Discovery = "discovery", Trial = "trial", Finding = "finding", Insight = "insight", Pairing = "pairing",
    }
}

impl From<OwnedKind> for RecordKind {
    fn from(kind: OwnedKind) -> Self {
        match kind {
            OwnedKind::Discovery => Self::Discovery,
            OwnedKind::Trial => Self::Trial,
            OwnedKind::Finding => Self::Finding,
            OwnedKind::Insight => Self::Insight,
            OwnedKind::Pairing => Self::Pairing,
        }
    }
}

/// A record that a transfer covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Covered {
    /// Its kind.
    pub kind: OwnedKind,
    /// Its id.
    pub id: uuid::Uuid,
}

/// A transfer as it is stored.
#[derive(Debug, Clone, Queryable, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = crate::db::schema::transfer, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Transfer {
    /// Its id.
    pub id: TransferId,
    /// The number of its code.
    #[serde(skip)]
    pub number: i64,
    /// One per change.
    pub version: i64,
    /// Where it stands.
    pub state: TransferState,
    /// The owner, or an administrator.
    pub proposed_by_id: PersonId,
    /// Who owns the records.
    pub from_person_id: PersonId,
    /// Who is to own them.
    pub to_person_id: PersonId,
    /// The new steward, where it goes beyond the present one.
    pub steward_id: Option<OrganizationId>,
    /// 1–2 000 characters.
    pub reason: String,
    /// 1–100 records.
    pub records: Doc<Vec<Covered>>,
    /// Whether an administrator forced it.
    pub forced: bool,
    /// Why it was declined.
    pub answer_reason: Option<String>,
    /// When it was answered.
    pub answered_at: Option<Time>,
    /// When it was proposed.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Leaf hash of its latest event.
    #[serde(skip)]
    pub head: Vec<u8>,
}

impl Transfer {
    /// What this person is to it.
    pub fn standing(&self, who: &Principal) -> Standing {
        Standing::to(RecordKind::Transfer)
            .being(Relation::Receiver, self.to_person_id == who.id)
            .being(Relation::Proposer, self.proposed_by_id == who.id)
    }
}
