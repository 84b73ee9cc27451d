//! The only SQL of organizations.
use super::Organization;
use crate::{
    Error, Result,
    auth::policy::Principal,
    db::{Conn, MultiBackend, Sees, any_of, columns::Time, containing, finders, schema::organization, take_turn},
    http::page::{Page, keyset},
    id::OrganizationId,
    identifier::Ror,
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

/// What a list of organizations may be narrowed by.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these kinds.
    pub kind: Vec<OrganizationKind>,
    /// Directly below any of these.
    pub parent: Vec<OrganizationId>,
    /// Any of these conditions in focus, as folded terms.
    pub condition: Vec<String>,
    /// Any of these ROR ids.
    pub ror: Vec<Ror>,
    /// Changed after.
    pub updated_after: Option<Time>,
    /// Every one of these folded words.
    pub words: Vec<String>,
}

/// One page, and the total where it was asked for.
///
/// # Errors
/// What the database says.
pub fn list(
    conn: &mut Conn,
    who: &Principal,
    filter: &Filter,
    page: &Page,
) -> Result<(Vec<Organization>, Option<i64>)> {
    let matching = || {
        let mut query = organization::table.into_boxed::<MultiBackend>().filter(visible_to(who));
        if !filter.kind.is_empty() {
            query = query.filter(organization::kind.eq_any(filter.kind.clone()));
        }
        if !filter.parent.is_empty() {
            query = query.filter(organization::parent_id.eq_any(filter.parent.clone()));
        }
        let has = |term: &String| Box::new(organization::search.like(containing(term)).escape('\\')) as Sees<_>;
        if let Some(any) = any_of(filter.condition.iter().map(has)) {
            query = query.filter(any);
        }
        if !filter.ror.is_empty() {
            query = query.filter(organization::ror.eq_any(filter.ror.clone()));
        }
        if let Some(after) = filter.updated_after {
            query = query.filter(organization::updated_at.gt(after));
        }
        for word in &filter.words {
            query = query.filter(organization::search.like(containing(word)).escape('\\'));
        }
        query
    };
    let rows = keyset!(matching(), page, organization: OrganizationId, {
        "updated_at" => updated_at: Time, "created_at" => created_at: Time, "name" => name: String,
        "code" => number: i64,
    })
    .load(conn)?;
    let total = if page.count { Some(matching().count().get_result(conn)?) } else { None };
    Ok((rows, total))
}

/// The organization that a code names, for the command line.
///
/// # Errors
/// What the database says.
pub fn by_number(conn: &mut Conn, number: i64) -> Result<Option<Organization>> {
    Ok(organization::table.filter(organization::number.eq(number)).get_result(conn).optional()?)
}

/// The organization with this ROR id.
///
/// # Errors
/// What the database says.
pub fn by_ror(conn: &mut Conn, ror: &Ror) -> Result<Option<OrganizationId>> {
    let named = organization::table.filter(organization::ror.eq(ror.clone())).select(organization::id);
    Ok(named.get_result(conn).optional()?)
}

/// Whether `above` is `id` or stands above it. Whoever goes on to change the tree by the answer has the tree to
/// themselves until the transaction ends.
///
/// # Errors
/// What the database says.
pub fn is_at_or_above(conn: &mut Conn, above: OrganizationId, id: OrganizationId) -> Result<bool> {
    take_turn(conn, "organization_tree")?;
    let (mut next, mut passed) = (Some(id), Vec::new());
    while let Some(id) = next {
        if id == above {
            return Ok(true);
        }
        if passed.contains(&id) {
            break;
        }
        passed.push(id);
        next = organization::table.filter(organization::id.eq(id)).select(organization::parent_id).get_result(conn)?;
    }
    Ok(false)
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
