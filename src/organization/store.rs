//! The only SQL of organizations.
use super::Organization;
use crate::{
    Error, Result,
    auth::policy::Principal,
    db::{Conn, Sees, finders, schema::organization},
    id::OrganizationId,
    ledger::stored,
    vocabulary::{OrganizationKind, RecordKind},
};
use diesel::{prelude::*, sql_types::Bool};
use serde::Serialize;
use std::collections::HashMap;
use utoipa::ToSchema;

stored!(Organization, organization, RecordKind::Organization);
finders!(Organization, organization, OrganizationId);

/// Every signed-in person sees every organization.
pub fn visible_to(_: &Principal) -> Sees<organization::table> {
    Box::new(true.into_sql::<Bool>())
}

/// An organization as its neighbours name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OrganizationName {
    /// Its id.
    pub id: OrganizationId,
    /// Its code.
    #[schema(max_length = 30, example = "O-3")]
    pub code: String,
    /// Its name.
    #[schema(max_length = 300, example = "Motor Neuron Lab")]
    pub name: String,
}

/// The names and kinds of the given organizations, in one query.
///
/// # Errors
/// What the database says.
pub fn names(
    conn: &mut Conn,
    ids: impl IntoIterator<Item = OrganizationId>,
) -> Result<HashMap<OrganizationId, (OrganizationName, OrganizationKind)>> {
    let rows: Vec<(OrganizationId, i64, String, OrganizationKind)> = organization::table
        .filter(organization::id.eq_any(ids))
        .select((organization::id, organization::number, organization::name, organization::kind))
        .load(conn)?;
    let named = |(id, number, name, kind)| {
        (id, (OrganizationName { id, code: RecordKind::Organization.code(number), name }, kind))
    };
    Ok(rows.into_iter().map(named).collect())
}

/// The names of organizations that records point to. A record never points to one that is not there.
pub struct Names(HashMap<OrganizationId, (OrganizationName, OrganizationKind)>);

impl Names {
    /// In one query.
    ///
    /// # Errors
    /// What the database says.
    pub fn load(conn: &mut Conn, ids: impl IntoIterator<Item = OrganizationId>) -> Result<Self> {
        let ids: std::collections::HashSet<_> = ids.into_iter().collect();
        Ok(Self(names(conn, ids)?))
    }
    /// One name.
    ///
    /// # Errors
    /// [`Error::Internal`] when it was not loaded.
    pub fn one(&self, id: OrganizationId) -> Result<OrganizationName> {
        let found = self.0.get(&id).map(|(name, _)| name.clone());
        found.ok_or_else(|| Error::Internal(format!("no organization {id}")))
    }
    /// Several names, in order.
    ///
    /// # Errors
    /// As [`Names::one`].
    pub fn many(&self, ids: &[OrganizationId]) -> Result<Vec<OrganizationName>> {
        ids.iter().map(|id| self.one(*id)).collect()
    }
}
