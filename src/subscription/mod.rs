//! Subscriptions: what somebody follows besides what they own. Nothing is recorded of them: they are one's own. Pure.
pub mod change;
pub mod http;
pub mod store;

use crate::{
    db::columns::Time,
    id::{AnyId, OrganizationId, PersonId, SubscriptionId},
    value::term_of,
    vocabulary::RecordKind,
};
use diesel::{Insertable, Queryable};

/// How many a person has at most.
pub const MOST: i64 = 500;

/// A subscription as it is stored: to exactly one of a record, a lab and a condition.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = crate::db::schema::subscription, treat_none_as_default_value = false)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Whose.
    pub person_id: PersonId,
    /// What is followed, spelled in one way: a person follows it once.
    pub target: String,
    /// The kind of the record.
    pub record_kind: Option<RecordKind>,
    /// The record.
    pub record_id: Option<AnyId>,
    /// The lab: its discoveries, and the insights put to it.
    pub lab_id: Option<OrganizationId>,
    /// The condition's MeSH descriptor.
    pub mesh: Option<String>,
    /// The condition's name.
    pub name: Option<String>,
    /// What discoveries and trials with the condition are looked for with.
    pub pattern: Option<String>,
    /// The number of the last event there was: what came before is not told.
    pub follows_after: i64,
    /// When it was made.
    pub created_at: Time,
}

impl Subscription {
    /// What discoveries and trials with the condition have among their terms.
    pub fn term(&self) -> Option<String> {
        self.mesh.as_deref().or(self.name.as_deref()).map(term_of)
    }
}
