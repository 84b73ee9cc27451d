//! The only SQL of ownership transfers.
use super::Transfer;
use crate::{
    Result,
    auth::policy::Principal,
    db::{
        Conn, MultiBackend, Sees,
        columns::Time,
        finders,
        schema::{transfer, transfer_record},
    },
    http::page::{Page, keyset},
    id::{AnyId, PersonId, TransferId},
    ledger::stored,
    vocabulary::{RecordKind, TransferState},
};
use diesel::{prelude::*, sql_types::Bool};
use std::collections::HashSet;
use uuid::Uuid;

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

/// What a list of transfers may be narrowed by.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these states.
    pub state: Vec<TransferState>,
    /// Any of these receivers.
    pub to: Vec<PersonId>,
    /// Any of these givers.
    pub from: Vec<PersonId>,
}

/// One page of what this person may see, and the total where it was asked for.
///
/// # Errors
/// What the database says.
pub fn list(conn: &mut Conn, who: &Principal, filter: &Filter, page: &Page) -> Result<(Vec<Transfer>, Option<i64>)> {
    let matching = || {
        let mut query = transfer::table.into_boxed::<MultiBackend>().filter(visible_to(who));
        if !filter.state.is_empty() {
            query = query.filter(transfer::state.eq_any(filter.state.clone()));
        }
        if !filter.to.is_empty() {
            query = query.filter(transfer::to_person_id.eq_any(filter.to.clone()));
        }
        if !filter.from.is_empty() {
            query = query.filter(transfer::from_person_id.eq_any(filter.from.clone()));
        }
        query
    };
    let rows = keyset!(matching(), page, transfer: TransferId, {
        "updated_at" => updated_at: Time, "created_at" => created_at: Time, "code" => number: i64,
    })
    .load(conn)?;
    let total = if page.count { Some(matching().count().get_result(conn)?) } else { None };
    Ok((rows, total))
}

/// Indexes the records that a transfer covers.
///
/// # Errors
/// What the database says.
pub fn index_records(conn: &mut Conn, id: TransferId, records: impl IntoIterator<Item = Uuid>) -> Result<()> {
    for record in records {
        let row = (transfer_record::transfer_id.eq(id), transfer_record::record_id.eq(AnyId::of(record)));
        diesel::insert_into(transfer_record::table).values(row).execute(conn)?;
    }
    Ok(())
}

/// Those of the given records that a transfer not yet answered covers.
///
/// # Errors
/// What the database says.
pub fn in_open_transfers(conn: &mut Conn, records: impl IntoIterator<Item = Uuid>) -> Result<HashSet<Uuid>> {
    let ids: Vec<_> = records.into_iter().map(AnyId::of).collect();
    let found: Vec<AnyId> = transfer_record::table
        .inner_join(transfer::table.on(transfer::id.eq(transfer_record::transfer_id)))
        .filter(transfer::state.eq(TransferState::Proposed))
        .filter(transfer_record::record_id.eq_any(ids))
        .select(transfer_record::record_id)
        .load(conn)?;
    Ok(found.into_iter().map(|id| id.0).collect())
}
