//! A person: roles, memberships, expertise. Signed-in people see a person's name, organizations, ORCID and expertise;
//! e-mail and roles only that person and administrators.
pub mod http;
pub mod store;

use crate::{
    db::columns::{Doc, Time},
    id::{OrganizationId, PersonId},
    identifier::Orcid,
    value::Condition,
    vocabulary::{Modality, Role},
};
use diesel::{AsChangeset, Insertable, Queryable};
use serde::{Deserialize, Serialize};

/// What a person knows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Expertise {
    /// Conditions, at most 100.
    #[schema(max_items = 100)]
    pub conditions: Vec<Condition>,
    /// Modalities.
    #[schema(max_items = 100)]
    pub modalities: Vec<Modality>,
}

/// A person as they are stored.
#[derive(Debug, Clone, Queryable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = crate::db::schema::person, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Person {
    /// Their id.
    pub id: PersonId,
    /// The number of their code.
    #[serde(skip)]
    pub number: i64,
    /// One per change.
    pub version: i64,
    /// 1–300 characters.
    pub name: String,
    /// As given.
    pub email: String,
    /// In lower case: unique.
    #[serde(skip)]
    pub email_folded: String,
    /// ORCID iD.
    pub orcid: Option<Orcid>,
    /// At least one.
    pub roles: Doc<Vec<Role>>,
    /// The organizations they belong to; `membership` indexes them.
    pub organizations: Doc<Vec<OrganizationId>>,
    /// What they know.
    pub expertise: Doc<Expertise>,
    /// Whether they take new work.
    pub accepting_work: bool,
    /// Since when they may not sign in.
    pub disabled_at: Option<Time>,
    /// Folded text for `q`.
    #[serde(skip)]
    pub search: String,
    /// When they were entered.
    pub created_at: Time,
    /// When they last changed.
    pub updated_at: Time,
    /// Leaf hash of their latest event.
    #[serde(skip)]
    pub head: Vec<u8>,
}

/// One owner's time with a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenure {
    /// Who.
    pub person_id: PersonId,
    /// Since when.
    pub from: Time,
    /// Until when; null for the present owner.
    pub until: Option<Time>,
}

/// Hands a record's ownership on: closes the present tenure and opens the next.
pub fn hand_over(owners: &mut Doc<Vec<Tenure>>, to: PersonId, at: Time) {
    if let Some(present) = owners.0.last_mut() {
        present.until = Some(at);
    }
    owners.0.push(Tenure { person_id: to, from: at, until: None });
}
