//! An institution, centre, lab, clinic or sponsor. Organizations form a tree; membership of a parent gives no rights below.
pub mod http;
pub mod store;

use crate::{
    db::columns::{Doc, Time},
    id::OrganizationId,
    identifier::Ror,
    value::Condition,
    vocabulary::OrganizationKind,
};
use diesel::{AsChangeset, Insertable, Queryable};
use serde::Serialize;

/// An organization as it is stored.
#[derive(Debug, Clone, Queryable, Insertable, AsChangeset, Serialize)]
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
