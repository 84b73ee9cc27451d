//! The only SQL of pairings.
use super::Pairing;
use crate::{
    Result,
    auth::policy::Principal,
    db::{
        Conn, MultiBackend, Sees,
        columns::Time,
        finders,
        schema::{discovery, pairing},
    },
    http::page::{Page, keyset},
    id::{DiscoveryId, OrganizationId, PairingId, PersonId},
    ledger::stored,
    past::{Narrows, among},
    vocabulary::{PairingKind, RecordKind},
};
use diesel::{prelude::*, sql_types::Bool};
use std::collections::HashMap;

stored!(Pairing, pairing, RecordKind::Pairing);
finders!(Pairing, pairing, PairingId);

/// Its sides, administrators and auditors: competitors do not learn of each other. A side is the members of the
/// discovery's lab, the clinician, the members of the sponsor; who has left a side sees it no longer, having proposed it or
/// not.
pub fn visible_to(who: &Principal) -> Sees<pairing::table> {
    if who.sees_all() {
        return Box::new(true.into_sql::<Bool>());
    }
    let stewarded = discovery::table.filter(discovery::lab_id.eq_any(who.organizations.clone())).select(discovery::id);
    Box::new(
        pairing::discovery_id
            .eq_any(stewarded)
            .or(pairing::clinician_id.is_not_null().and(pairing::clinician_id.assume_not_null().eq(who.id)))
            .or(pairing::organization_id
                .is_not_null()
                .and(pairing::organization_id.assume_not_null().eq_any(who.organizations.clone()))),
    )
}

/// What a list of pairings may be narrowed by.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these states.
    pub state: Vec<String>,
    /// Any of these kinds.
    pub kind: Vec<PairingKind>,
    /// Any of these discoveries, as far as the reader sees them.
    pub discovery: Vec<DiscoveryId>,
    /// Any of these clinicians.
    pub clinician: Vec<PersonId>,
    /// Any of these organizations.
    pub organization: Vec<OrganizationId>,
    /// Any of these owners.
    pub owner: Vec<PersonId>,
    /// Changed after.
    pub updated_after: Option<Time>,
}

impl Narrows<Pairing> for Filter {
    fn lasting(&self) -> Self {
        Self { organization: self.organization.clone(), ..Self::default() }
    }
    fn admits(&self, was: &Pairing) -> bool {
        among(&self.state, &was.state) && among(&self.owner, &was.owner_id)
    }
}

/// One page of what this person may see, and the total where it was asked for.
///
/// # Errors
/// What the database says.
pub fn list(conn: &mut Conn, who: &Principal, filter: &Filter, page: &Page) -> Result<(Vec<Pairing>, Option<i64>)> {
    let discoveries = match filter.discovery.is_empty() {
        true => None,
        false => {
            let asked: Vec<_> = filter.discovery.iter().map(|id| id.0).collect();
            let seen = crate::discovery::store::visible_ids(conn, who, &asked)?;
            Some(seen.into_iter().map(DiscoveryId::of).collect::<Vec<_>>())
        }
    };
    let matching = || {
        let mut query = pairing::table.into_boxed::<MultiBackend>().filter(visible_to(who));
        if !filter.state.is_empty() {
            query = query.filter(pairing::state.eq_any(filter.state.clone()));
        }
        if !filter.kind.is_empty() {
            query = query.filter(pairing::kind.eq_any(filter.kind.clone()));
        }
        if let Some(discoveries) = &discoveries {
            query = query.filter(pairing::discovery_id.eq_any(discoveries.clone()));
        }
        if !filter.clinician.is_empty() {
            query = query.filter(pairing::clinician_id.assume_not_null().eq_any(filter.clinician.clone()));
        }
        if !filter.organization.is_empty() {
            query = query.filter(pairing::organization_id.assume_not_null().eq_any(filter.organization.clone()));
        }
        if !filter.owner.is_empty() {
            query = query.filter(pairing::owner_id.eq_any(filter.owner.clone()));
        }
        if let Some(after) = filter.updated_after {
            query = query.filter(pairing::updated_at.gt(after));
        }
        query
    };
    let rows = keyset!(matching(), page, pairing: PairingId, {
        "updated_at" => updated_at: Time, "created_at" => created_at: Time, "code" => number: i64,
    })
    .load(conn)?;
    let total = if page.count { Some(matching().count().get_result(conn)?) } else { None };
    Ok((rows, total))
}

/// The codes and discoveries of those of the given pairings that this person may see, in one query.
///
/// # Errors
/// What the database says.
pub fn names(
    conn: &mut Conn,
    who: &Principal,
    ids: impl IntoIterator<Item = PairingId>,
) -> Result<HashMap<PairingId, (String, DiscoveryId)>> {
    let rows: Vec<(PairingId, i64, DiscoveryId)> = pairing::table
        .into_boxed::<MultiBackend>()
        .filter(visible_to(who))
        .filter(pairing::id.eq_any(ids))
        .select((pairing::id, pairing::number, pairing::discovery_id))
        .load(conn)?;
    Ok(rows.into_iter().map(|(id, number, of)| (id, (RecordKind::Pairing.code(number), of))).collect())
}
