//! An institution, centre, lab, clinic or sponsor. Organizations form a tree; membership of a parent gives no rights below.
pub mod change;
pub mod http;
pub mod store;

use crate::{
    auth::policy::{Principal, Relation, Standing},
    db::columns::{Doc, Time},
    id::OrganizationId,
    identifier::Ror,
    value::{Condition, search_text, terms_of},
    vocabulary::{OrganizationKind, RecordKind},
};
use diesel::{AsChangeset, Insertable, Queryable};
use serde::{Deserialize, Serialize};

/// What this person is to an organization.
pub fn standing(who: &Principal, organization: OrganizationId) -> Standing {
    Standing::to(RecordKind::Organization).being(Relation::Member, who.belongs_to(organization))
}

/// An organization as it is stored.
#[derive(Debug, Clone, Queryable, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = crate::db::schema::organization, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// The number of its code.
    #[serde(skip)]
    pub number: i64,
    /// One per change.
    pub version: i64,
    /// 1–300 characters.
    pub name: String,
    /// What it is.
    pub kind: OrganizationKind,
    /// The organization above it.
    pub parent_id: Option<OrganizationId>,
    /// ROR id.
    pub ror: Option<Ror>,
    /// The conditions it works on.
    pub focus: Doc<Vec<Condition>>,
    /// The lifecycle of new discoveries here and below, `name@version`.
    pub lifecycle: Option<String>,
    /// Folded text for `q`.
    #[serde(skip)]
    pub search: String,
    /// When it was created.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Leaf hash of its latest event.
    #[serde(skip)]
    pub head: Vec<u8>,
}

impl Organization {
    /// Brings the folded column in line with the fields it is made from: a line for the name, one for the ROR id, and the
    /// [terms](terms_of) of the focus. A bar in a name would pass for the bars around a term.
    pub fn index(&mut self) {
        let name = self.name.replace('|', " ");
        let text = search_text([&*name].into_iter().chain(self.ror.as_ref().map(Ror::as_str)));
        self.search = format!("{text}\n{}", terms_of(&self.focus));
    }
}
