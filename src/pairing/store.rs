//! The only SQL of pairings.
use super::Pairing;
use crate::{
    auth::policy::Principal,
    db::{
        Sees, finders,
        schema::{discovery, pairing},
    },
    id::PairingId,
    ledger::stored,
    vocabulary::RecordKind,
};
use diesel::{prelude::*, sql_types::Bool};

stored!(Pairing, pairing, RecordKind::Pairing);
finders!(Pairing, pairing, PairingId);

/// Its sides, administrators and auditors: competitors do not learn of each other.
pub fn visible_to(who: &Principal) -> Sees<pairing::table> {
    if who.sees_all() {
        return Box::new(true.into_sql::<Bool>());
    }
    let stewarded = discovery::table.filter(discovery::lab_id.eq_any(who.organizations.clone())).select(discovery::id);
    Box::new(
        pairing::discovery_id
            .eq_any(stewarded)
            .or(pairing::proposed_by_id.eq(who.id))
            .or(pairing::clinician_id.is_not_null().and(pairing::clinician_id.assume_not_null().eq(who.id)))
            .or(pairing::organization_id
                .is_not_null()
                .and(pairing::organization_id.assume_not_null().eq_any(who.organizations.clone()))),
    )
}
