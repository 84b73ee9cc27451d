//! The only SQL of ownership transfers.
use super::Transfer;
use crate::{
    auth::policy::Principal,
    db::{Sees, finders, schema::transfer},
    id::TransferId,
    ledger::stored,
    vocabulary::RecordKind,
};
use diesel::{prelude::*, sql_types::Bool};

stored!(Transfer, transfer, RecordKind::Transfer);
finders!(Transfer, transfer, TransferId);

/// Who gives, who receives, who proposed it, administrators and auditors.
pub fn visible_to(who: &Principal) -> Sees<transfer::table> {
    if who.sees_all() {
        return Box::new(true.into_sql::<Bool>());
    }
    Box::new(
        transfer::from_person_id
            .eq(who.id)
            .or(transfer::to_person_id.eq(who.id))
            .or(transfer::proposed_by_id.eq(who.id)),
    )
}
