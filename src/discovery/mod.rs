//! A discovery: what a lab found, on its way through the stages of its lifecycle. Pure: no SQL, no clock, no HTTP.
pub mod change;
pub mod http;
pub mod migrate;
pub mod store;

use crate::{
    auth::policy::{Principal, Relation, Standing},
    db::columns::{Doc, Time},
    id::{DiscoveryId, InsightId, OrganizationId, PersonId},
    person::Tenure,
    value::{Condition, Reference, search_text, terms_of},
    vocabulary::{Modality, RecordKind, StopReason, Visibility},
};
use diesel::{AsChangeset, Insertable, Queryable};
use serde::{Deserialize, Serialize};

/// A discovery as it is stored.
#[derive(Debug, Clone, Queryable, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = crate::db::schema::discovery, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Discovery {
    /// Its id.
    pub id: DiscoveryId,
    /// The number of its code.
    #[serde(skip)]
    pub number: i64,
    /// One per change.
    pub version: i64,
    /// 1–300 characters.
    pub title: String,
    /// Markdown, at most 20 000 characters.
    pub summary: String,
    /// What it would become.
    pub modality: Modality,
    /// At most 100.
    pub conditions: Doc<Vec<Condition>>,
    /// `name@version`: kept for good unless an administrator moves it.
    pub lifecycle: String,
    /// A state of that lifecycle.
    pub stage: String,
    /// Since when it has been in effect.
    pub stage_entered_at: Time,
    /// The stage a hold resumes to.
    pub held_from: Option<String>,
    /// Why it was discontinued.
    pub stop_reason: Option<StopReason>,
    /// Technology readiness level, 1–9.
    pub trl: Option<i32>,
    /// Its steward.
    pub lab_id: OrganizationId,
    /// An active member of the lab.
    pub owner_id: PersonId,
    /// Owners past and present.
    pub owners: Doc<Vec<Tenure>>,
    /// Who sees it.
    pub visibility: Visibility,
    /// Organizations whose members see it; `share` indexes them.
    pub shared_with: Doc<Vec<OrganizationId>>,
    /// Until when `public` waits.
    pub embargo_until: Option<Time>,
    /// At most 100.
    #[serde(rename = "references")]
    pub refs: Doc<Vec<Reference>>,
    /// At most 100, each 1–100 characters.
    pub tags: Doc<Vec<String>>,
    /// The insight that spawned it.
    pub origin_insight_id: Option<InsightId>,
    /// Since when a recall waits here, if one does. Left out of what is recorded otherwise, so that what was recorded
    /// before there were recalls says the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recalled_at: Option<Time>,
    /// Folded conditions for filters.
    #[serde(skip)]
    pub terms: String,
    /// Folded text for `q`.
    #[serde(skip)]
    pub search: String,
    /// When it was recorded.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Leaf hash of its latest event.
    #[serde(skip)]
    pub head: Vec<u8>,
}

impl Discovery {
    /// What this person is to it.
    pub fn standing(&self, who: &Principal) -> Standing {
        Standing::to(RecordKind::Discovery)
            .being(Relation::Owner, self.owner_id == who.id)
            .being(Relation::Steward, who.belongs_to(self.lab_id))
    }

    /// Brings the folded columns in line with the fields they are made from.
    pub fn index(&mut self) {
        self.terms = terms_of(&self.conditions);
        let conditions = self.conditions.iter().map(|c| c.name.as_str());
        let tags = self.tags.iter().map(String::as_str);
        self.search = search_text([&*self.title, &*self.summary].into_iter().chain(conditions).chain(tags));
    }

    /// Adds references that it does not have yet.
    pub fn attach(&mut self, evidence: &[Reference]) {
        for reference in evidence {
            if !self.refs.0.iter().any(|r| r.kind() == reference.kind() && r.value() == reference.value()) {
                self.refs.0.push(reference.clone());
            }
        }
    }
}
