//! The use cases of recalls: raise, acknowledge.
use super::{FlaggedKind, Recall, RecallCause, flagged::Flagged, store};
use crate::{
    Error, Result,
    auth::{
        policy::{AcknowledgeRecall, Principal},
        scope::Access,
    },
    db::Conn,
    error::Code,
    fault::{Faults, Reason},
    finding::Finding,
    id::{AnyId, DiscoveryId, FindingId, RecallId},
    ledger::{Change, Context},
    vocabulary::Action,
};
use deserr::Deserr;
use serde_json::json;
use utoipa::ToSchema;

/// An answer for a recall.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "note": "The question rests on the other finding too; it stands." }))]
pub struct Acknowledgement {
    /// What follows from it, in words.
    #[deserr(default)]
    pub note: Option<Reason>,
}

/// Flags what a finding led to: every insight that cites it and every discovery those caused, wherever they stand. In the
/// transaction that takes the finding away, which holds its row; then insights, then discoveries, each in the order of ids.
///
/// # Errors
/// What the database says.
pub fn raise(conn: &mut Conn, context: &Context, finding: &Finding, cause: RecallCause) -> Result<()> {
    for (kind, id) in store::led_to(conn, finding.id)?.records() {
        flag(conn, context, finding.id, cause, kind, id)?;
    }
    Ok(())
}

/// Flags a discovery that an insight causes after findings that it cites were taken away. The caller holds their rows.
///
/// # Errors
/// What the database says.
pub fn reach(conn: &mut Conn, context: &Context, findings: &[FindingId], discovery: DiscoveryId) -> Result<()> {
    for (finding, cause) in store::taken_away(conn, findings, discovery)? {
        flag(conn, context, finding, cause, FlaggedKind::Discovery, discovery.any())?;
    }
    Ok(())
}

fn flag(
    conn: &mut Conn,
    context: &Context,
    finding: FindingId,
    cause: RecallCause,
    kind: FlaggedKind,
    id: AnyId,
) -> Result<()> {
    let mut record = Flagged::take(conn, kind, id)?;
    record.recalled_at().get_or_insert(context.at);
    record.record(conn, context, change(Action::Recalled, finding, cause))?;
    let recall = Recall {
        id: RecallId::fresh(),
        finding_id: finding,
        cause,
        record_kind: kind,
        record_id: id,
        raised_at: context.at,
        acknowledged_at: None,
        acknowledged_by: None,
        note: None,
    };
    store::insert(conn, &recall)
}

/// Answers for a recall; with its last one the record is no longer recalled.
///
/// # Errors
/// 404, 403, 422, 409 when somebody has answered for it.
pub fn acknowledge(
    conn: &mut Conn,
    who: &Principal,
    context: &Context,
    id: RecallId,
    said: impl FnOnce() -> Result<Acknowledgement>,
) -> Result<Recall> {
    let recall = store::find(conn, who, id)?;
    who.scope.must_allow(Some(recall.record_kind.into()), Access::Write)?;
    let mut record = Flagged::take(conn, recall.record_kind, recall.record_id)?;
    who.must::<AcknowledgeRecall>(&record.standing(who))?;
    let note = said()?.note.map(|note| note.0);
    let Some(closed) = store::close(conn, id, who.id, context.at, note.as_deref())? else {
        return Err(Error::refused(Code::Conflict, "This recall has been acknowledged."));
    };
    if !store::is_recalled(conn, recall.record_id)? {
        *record.recalled_at() = None;
    }
    let change = change(Action::Acknowledged, recall.finding_id, recall.cause).because(note);
    record.record(conn, context, change)?;
    Ok(closed)
}

fn change(action: Action, finding: FindingId, cause: RecallCause) -> Change {
    let mut change = Change::of(action);
    change.extra.insert("finding_id".into(), json!(finding));
    change.extra.insert("cause".into(), json!(cause));
    change
}
