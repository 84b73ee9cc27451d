//! The only SQL of lifecycles that administrators added. A version is immutable once it is there, so what was parsed once
//! is kept.
use super::{Lifecycle, builtin::discovery};
use crate::{
    Error, Result,
    auth::policy::Principal,
    db::{
        Conn, Sees,
        columns::Time,
        finders,
        schema::lifecycle::{self, dsl},
    },
    id::{LifecycleId, OrganizationId},
    ledger::stored,
    vocabulary::RecordKind,
};
use diesel::{AsChangeset, Insertable, Queryable, prelude::*, sql_types::Bool};
use quick_cache::sync::Cache;
use serde::Serialize;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, LazyLock},
};

/// A lifecycle version as it is stored.
#[derive(Debug, Clone, Queryable, Insertable, AsChangeset, Serialize)]
#[diesel(table_name = lifecycle, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct StoredLifecycle {
    /// Its id.
    pub id: LifecycleId,
    /// The number of its code.
    #[serde(skip)]
    pub number: i64,
    /// Always 1: a version of a lifecycle never changes.
    pub version: i64,
    /// The kind of record it is for.
    pub kind: RecordKind,
    /// Its name.
    pub name: String,
    /// The `version` of its document.
    pub edition: i64,
    /// The TOML document.
    pub document: String,
    /// When it was added.
    pub created_at: Time,
    /// The same: it never changes.
    pub updated_at: Time,
    /// Leaf hash of its event.
    #[serde(skip)]
    pub head: Vec<u8>,
}

stored!(StoredLifecycle, lifecycle, RecordKind::Lifecycle);
finders!(StoredLifecycle, lifecycle, LifecycleId);

/// Every signed-in person sees every lifecycle.
pub fn visible_to(_: &Principal) -> Sees<lifecycle::table> {
    Box::new(true.into_sql::<Bool>())
}

/// Lifecycles already parsed, by `name@version`. Bounded, and never stale: a version does not change.
static PARSED: LazyLock<Cache<String, Arc<Lifecycle>>> = LazyLock::new(|| Cache::new(256));

/// The lifecycle a record names, `name@version`.
///
/// # Errors
/// [`Error::Internal`] when there is none: a record never names one that was not there.
pub fn resolve(conn: &mut Conn, reference: &str) -> Result<Arc<Lifecycle>> {
    lookup(conn, reference)?.ok_or_else(|| Error::Internal(format!("no lifecycle {reference}")))
}

/// The lifecycle of discoveries with this reference, if there is one.
///
/// # Errors
/// What the database says.
pub fn lookup(conn: &mut Conn, reference: &str) -> Result<Option<Arc<Lifecycle>>> {
    let built_in = discovery();
    if built_in.reference() == reference {
        return Ok(Some(Arc::new(built_in.clone())));
    }
    // A name in another database of the same process must not answer here: only what this one holds is looked up.
    match stored_version(conn, reference)? {
        Some(row) => parsed(&row).map(Some),
        None => Ok(None),
    }
}

/// The lifecycles that records name, by reference, in one query.
///
/// # Errors
/// What the database says.
pub fn several(conn: &mut Conn, references: &BTreeSet<&str>) -> Result<HashMap<String, Arc<Lifecycle>>> {
    let built_in = discovery();
    let mut found = HashMap::from([(built_in.reference(), Arc::new(built_in.clone()))]);
    let added = references.iter().filter(|reference| !found.contains_key(**reference));
    let names: Vec<&str> = added.filter_map(|reference| Some(reference.split_once('@')?.0)).collect();
    if names.is_empty() {
        return Ok(found);
    }
    let rows: Vec<StoredLifecycle> = dsl::lifecycle.filter(lifecycle::name.eq_any(names)).load(conn)?;
    for row in rows {
        let reference = format!("{}@{}", row.name, row.edition);
        if references.contains(&*reference) {
            found.insert(reference, parsed(&row)?);
        }
    }
    Ok(found)
}

/// The lifecycle that a stored version holds.
///
/// # Errors
/// [`Error::Internal`] when its document has faults, which it had not when it was added.
pub fn parsed(row: &StoredLifecycle) -> Result<Arc<Lifecycle>> {
    let key = format!("{}/{}@{}", row.id, row.name, row.edition);
    if let Some(parsed) = PARSED.get(&key) {
        return Ok(parsed);
    }
    let parsed = Lifecycle::parse(&row.document)
        .map_err(|faults| Error::Internal(format!("lifecycle {key} has {} faults", faults.len())))?;
    let parsed = Arc::new(parsed);
    PARSED.insert(key, parsed.clone());
    Ok(parsed)
}

fn stored_version(conn: &mut Conn, reference: &str) -> Result<Option<StoredLifecycle>> {
    let Some((name, edition)) = reference.split_once('@') else { return Ok(None) };
    let Ok(edition) = edition.parse::<i64>() else { return Ok(None) };
    let version = dsl::lifecycle.filter(lifecycle::name.eq(name)).filter(lifecycle::edition.eq(edition));
    Ok(version.get_result(conn).optional()?)
}

/// The added versions of one name, by version.
///
/// # Errors
/// What the database says.
pub fn versions(conn: &mut Conn, name: &str) -> Result<Vec<StoredLifecycle>> {
    Ok(dsl::lifecycle.filter(lifecycle::name.eq(name)).order(lifecycle::edition.asc()).load(conn)?)
}

/// Every added version, by name and then version.
///
/// # Errors
/// What the database says.
pub fn list(conn: &mut Conn) -> Result<Vec<StoredLifecycle>> {
    Ok(dsl::lifecycle.order((lifecycle::name.asc(), lifecycle::edition.asc())).load(conn)?)
}

/// The lifecycle of new discoveries of a lab: that of the nearest organization, the lab or above it, that names one.
///
/// # Errors
/// What the database says.
pub fn of_new_discoveries(conn: &mut Conn, lab: OrganizationId) -> Result<Arc<Lifecycle>> {
    let mut next = Some(lab);
    // The tree has no cycles (they are refused); the bound keeps a damaged one from holding a connection.
    for _ in 0..64 {
        let Some(id) = next else { break };
        let organization = crate::organization::store::load(conn, id)?;
        if let Some(reference) = organization.lifecycle {
            return resolve(conn, &reference);
        }
        next = organization.parent_id;
    }
    Ok(Arc::new(discovery().clone()))
}
