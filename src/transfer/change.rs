//! The use cases of ownership transfers: propose (or force), accept, decline, withdraw.
use super::{Covered, OwnedKind, Transfer, owned::Owned, store};
use crate::{
    Error, Result,
    auth::{
        policy::{ForceTransfer, Principal, TransferOwnership},
        scope::Access,
    },
    db::{Conn, take_turn},
    error::Code,
    fault::{Faults, List, Reason},
    id::{AnyId, OrganizationId, PersonId, TransferId},
    ledger::{Change, Context, next_number, record_change},
    organization, person,
    vocabulary::{Action, Authn, OrganizationKind, RecordKind, TransferState},
};
use deserr::Deserr;
use serde_json::json;
use std::collections::HashSet;
use utoipa::ToSchema;
use uuid::Uuid;

/// A record to hand over.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub struct RecordToHandOver {
    /// Its kind.
    pub kind: OwnedKind,
    /// Its id.
    pub id: AnyId,
}

/// A transfer to propose.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({
    "to_person_id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55", "reason": "Takes over the ALS programme",
    "records": [{ "kind": "discovery", "id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e56" }]
}))]
pub struct NewTransfer {
    /// Who is to own the records.
    pub to_person_id: PersonId,
    /// Why.
    pub reason: Reason,
    /// What is handed over: at least one record, each once, all of one owner.
    #[schema(min_items = 1, max_items = 100)]
    pub records: List<RecordToHandOver>,
    /// The steward that discoveries or trials go to, where it is another than now.
    #[deserr(default)]
    pub steward_id: Option<OrganizationId>,
    /// Whether it takes effect at once: for administrators, and owners who have left.
    #[deserr(default)]
    pub force: Option<bool>,
}

/// The answer of an acceptance or a withdrawal: nothing to say.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct Nothing {}

/// Why a transfer is declined.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "reason": "My list is full until spring" }))]
pub struct Declining {
    /// In words.
    #[deserr(default)]
    pub reason: Option<Reason>,
}

/// Proposes to hand records over; forced, hands them over at once.
///
/// # Errors
/// 403 for the records of others, for who may not force, and for a token that may not change them all; 422 for what does not fit; 409 for a record in an open
/// transfer, and for force where the owner is still there.
pub fn propose(conn: &mut Conn, who: &Principal, context: &Context, new: NewTransfer) -> Result<Transfer> {
    let forced = new.force == Some(true);
    let mut faults = Faults::default();
    let covered = covered(&new.records.0, &mut faults);
    refuse_out_of_scope(who, &covered)?;
    let records = find_all(conn, who, &covered, &mut faults)?;
    for standing in records.iter().map(|(_, record)| record.standing(who)) {
        if forced {
            who.must::<ForceTransfer>(&standing)?;
        }
        who.must::<TransferOwnership>(&standing)?;
    }
    let owner = one_owner(&records, &mut faults);
    if owner == Some(new.to_person_id) && new.steward_id.is_none() {
        faults.push("/to_person_id", "invalid", "owns these records already");
    }
    misfits(conn, context, &records, new.to_person_id, new.steward_id, &mut faults)?;
    faults.into_result()?;
    let Some(owner) = owner else { return Err(Error::Internal("a transfer of nothing".into())) };
    let records: Vec<Owned> = records.into_iter().map(|(_, record)| record).collect();
    refuse_open(conn, &covered, &records)?;
    if forced {
        refuse_present(conn, context, owner, &records)?;
    }
    let transfer = Transfer {
        id: TransferId::fresh(),
        number: next_number(conn, RecordKind::Transfer)?,
        version: 0,
        state: if forced { TransferState::Accepted } else { TransferState::Proposed },
        proposed_by_id: who.id,
        from_person_id: owner,
        to_person_id: new.to_person_id,
        steward_id: new.steward_id,
        reason: new.reason.into(),
        records: covered.into(),
        forced,
        answer_reason: None,
        answered_at: forced.then_some(context.at),
        created_at: context.at,
        updated_at: context.at,
        head: Vec::new(),
    };
    record_proposal(conn, context, transfer, records)
}

fn record_proposal(
    conn: &mut Conn,
    context: &Context,
    mut transfer: Transfer,
    records: Vec<Owned>,
) -> Result<Transfer> {
    let to = Some(transfer.state.as_str().to_owned());
    let change = Change { to, ..Change::of(Action::Created) }.because(Some(transfer.reason.clone()));
    record_change(conn, context, &mut transfer, change)?;
    store::index_records(conn, transfer.id, transfer.records.iter().map(|r| r.id))?;
    if transfer.forced {
        hand_over(conn, context, &transfer, records)?;
    }
    Ok(transfer)
}

/// Accepts a transfer: every record goes to its receiver, or none does. The caller has checked that it is theirs to accept.
///
/// # Errors
/// 403 for a token that may not change every record; 409 when it was answered, and when it no longer fits: a record has
/// another owner, or the receiver left a steward.
pub fn accept(conn: &mut Conn, who: &Principal, context: &Context, mut transfer: Transfer) -> Result<Transfer> {
    refuse_out_of_scope(who, &transfer.records)?;
    refuse_answered(&transfer)?;
    let mut records = Vec::with_capacity(transfer.records.len());
    for covered in transfer.records.iter() {
        let record = Owned::load(conn, *covered)?;
        if record.owner() != transfer.from_person_id {
            return Err(conflict("A record of this transfer has another owner by now."));
        }
        records.push(record);
    }
    let mut faults = Faults::default();
    let indexed: Vec<_> = records.into_iter().enumerate().collect();
    misfits(conn, context, &indexed, transfer.to_person_id, transfer.steward_id, &mut faults)?;
    if !faults.0.is_empty() {
        return Err(conflict("The receiver or the steward no longer fits every record of this transfer."));
    }
    let records = indexed.into_iter().map(|(_, record)| record).collect();
    hand_over(conn, context, &transfer, records)?;
    answer(conn, context, &mut transfer, TransferState::Accepted, None)?;
    Ok(transfer)
}

/// Declines a transfer. The caller has checked who declines.
///
/// # Errors
/// 409 when it was answered.
pub fn decline(conn: &mut Conn, context: &Context, mut transfer: Transfer, body: Declining) -> Result<Transfer> {
    refuse_answered(&transfer)?;
    answer(conn, context, &mut transfer, TransferState::Declined, body.reason.map(String::from))?;
    Ok(transfer)
}

/// Withdraws a transfer. The caller has checked who withdraws.
///
/// # Errors
/// 409 when it was answered.
pub fn withdraw(conn: &mut Conn, context: &Context, mut transfer: Transfer) -> Result<Transfer> {
    refuse_answered(&transfer)?;
    answer(conn, context, &mut transfer, TransferState::Withdrawn, None)?;
    Ok(transfer)
}

fn answer(
    conn: &mut Conn,
    context: &Context,
    transfer: &mut Transfer,
    state: TransferState,
    reason: Option<String>,
) -> Result<()> {
    let (action, name) = match state {
        TransferState::Accepted => (Action::Transferred, "accept"),
        TransferState::Declined => (Action::Moved, "decline"),
        TransferState::Withdrawn | TransferState::Proposed => (Action::Moved, "withdraw"),
    };
    let change = Change {
        move_name: Some(name.into()),
        from: Some(transfer.state.as_str().into()),
        to: Some(state.as_str().into()),
        ..Change::of(action).because(reason.clone())
    };
    transfer.state = state;
    transfer.answer_reason = reason;
    transfer.answered_at = Some(context.at);
    record_change(conn, context, transfer, change)?;
    Ok(())
}

fn hand_over(conn: &mut Conn, context: &Context, transfer: &Transfer, records: Vec<Owned>) -> Result<()> {
    let covered = ids(&transfer.records);
    let stewards: Vec<_> = records.iter().map(|r| r.steward_after(transfer.steward_id, &covered)).collect();
    for (mut record, steward) in records.into_iter().zip(stewards) {
        record.hand_over(transfer.to_person_id, steward, context.at);
        let mut change = Change::of(Action::Transferred).because(Some(transfer.reason.clone()));
        change.extra.insert("transfer_id".into(), json!(transfer.id));
        record.record(conn, context, change)?;
    }
    Ok(())
}

/// Handing over changes the records.
fn refuse_out_of_scope(who: &Principal, covered: &[Covered]) -> Result<()> {
    covered.iter().try_for_each(|record| who.scope.must_allow(Some(record.kind.into()), Access::Write))
}

/// Every record once, and at least one.
fn covered(records: &[RecordToHandOver], faults: &mut Faults) -> Vec<Covered> {
    if records.is_empty() {
        faults.push("/records", "too_few", "must have at least one member");
    }
    let mut seen = HashSet::new();
    for (index, record) in records.iter().enumerate() {
        if !seen.insert(record.id) {
            faults.push(format!("/records/{index}"), "duplicate", "stands here already");
        }
    }
    records.iter().map(|r| Covered { kind: r.kind, id: r.id.0 }).collect()
}

/// The records that this person sees, each with its place in the request; what is hidden or absent is a fault.
fn find_all(conn: &mut Conn, who: &Principal, covered: &[Covered], faults: &mut Faults) -> Result<Vec<(usize, Owned)>> {
    let mut found = Vec::with_capacity(covered.len());
    for (index, record) in covered.iter().enumerate() {
        match Owned::find(conn, who, *record)? {
            Some(owned) => found.push((index, owned)),
            None => {
                let message = format!("there is no {} {}", record.kind, record.id);
                faults.push(format!("/records/{index}"), "not_found", message);
            }
        }
    }
    Ok(found)
}

fn one_owner(records: &[(usize, Owned)], faults: &mut Faults) -> Option<PersonId> {
    let owner = records.first().map(|(_, record)| record.owner());
    for (index, _) in records.iter().filter(|(_, record)| Some(record.owner()) != owner) {
        faults.push(format!("/records/{index}"), "another_owner", "all records must have one owner");
    }
    owner
}

/// What does not fit between the records, their receiver and the steward they go to.
fn misfits(
    conn: &mut Conn,
    context: &Context,
    records: &[(usize, Owned)],
    receiver: PersonId,
    steward: Option<OrganizationId>,
    faults: &mut Faults,
) -> Result<()> {
    let covered: HashSet<Uuid> = ids_of(records);
    let kind = match steward {
        Some(id) => organization::store::names(conn, [id])?.get(&id).map(|(_, kind)| *kind),
        None => None,
    };
    match (steward, kind) {
        (Some(id), None) => faults.push("/steward_id", "not_found", format!("there is no organization {id}")),
        (Some(id), Some(kind)) => stewards_that_do_not_fit(records, &covered, id, kind, faults),
        (None, _) => {}
    }
    let Some(receiver) = person::store::principal(conn, receiver, Authn::System, context.at)? else {
        faults.push("/to_person_id", "not_found", "must be an active person");
        return Ok(());
    };
    let belongs = |record: &Owned| receiver.belongs_to(record.steward_after(steward, &covered));
    if !records.iter().all(|(_, record)| belongs(record)) {
        faults.push("/to_person_id", "not_a_member", "must be an active member of the steward of every record");
    }
    Ok(())
}

fn stewards_that_do_not_fit(
    records: &[(usize, Owned)],
    covered: &HashSet<Uuid>,
    steward: OrganizationId,
    kind: OrganizationKind,
    faults: &mut Faults,
) {
    let needed: Vec<_> = records.iter().filter_map(|(_, record)| record.steward_kind()).collect();
    if let Some(needed) = needed.iter().find(|needed| **needed != kind) {
        faults.push("/steward_id", "wrong_kind", format!("must be a {needed} to be the steward of these records"));
    }
    for (index, _) in records.iter().filter(|(_, r)| r.steward_after(Some(steward), covered) != steward) {
        let message =
            "keeps its steward: a finding goes only with its trial, a pairing with its discovery, an insight never";
        faults.push(format!("/records/{index}"), "steward_fixed", message);
    }
}

fn refuse_open(conn: &mut Conn, covered: &[Covered], records: &[Owned]) -> Result<()> {
    take_turn(conn, "transfers")?; // two offers of one record at once: the second sees the first
    let open = store::in_open_transfers(conn, covered.iter().map(|r| r.id))?;
    let taken = covered.iter().zip(records).filter(|(c, _)| open.contains(&c.id));
    let codes: Vec<_> = taken.map(|(_, record)| record.code()).collect();
    if codes.is_empty() {
        return Ok(());
    }
    Err(conflict(&format!("An open transfer covers {} already.", codes.join(", "))))
}

/// Only who has left is passed over: disabled, or no longer where the records are.
fn refuse_present(conn: &mut Conn, context: &Context, owner: PersonId, records: &[Owned]) -> Result<()> {
    let Some(owner) = person::store::principal(conn, owner, Authn::System, context.at)? else { return Ok(()) };
    let kept: Vec<_> = records.iter().filter(|r| r.is_kept_by(&owner)).map(Owned::code).collect();
    if kept.is_empty() {
        return Ok(());
    }
    let detail = format!("The owner has not left: they are still an active member where {} belong.", kept.join(", "));
    Err(conflict(&detail))
}

fn refuse_answered(transfer: &Transfer) -> Result<()> {
    match transfer.state {
        TransferState::Proposed => Ok(()),
        TransferState::Accepted | TransferState::Declined | TransferState::Withdrawn => {
            Err(Error::refused(Code::Immutable, format!("The transfer is {} already.", transfer.state)))
        }
    }
}

fn ids(covered: &[Covered]) -> HashSet<Uuid> {
    covered.iter().map(|r| r.id).collect()
}

fn ids_of(records: &[(usize, Owned)]) -> HashSet<Uuid> {
    records.iter().map(|(_, record)| record.id()).collect()
}

fn conflict(detail: &str) -> Error {
    Error::refused(Code::Conflict, detail)
}
