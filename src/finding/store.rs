//! The only SQL of findings.
use super::Finding;
use crate::{
    Result,
    auth::policy::Principal,
    db::{
        Conn, MultiBackend, Sees, finders,
        schema::{citation, finding, insight, trial},
        seen_by_visibility,
    },
    id::FindingId,
    ledger::stored,
    vocabulary::RecordKind,
};
use diesel::{prelude::*, sql_types::Bool};
use serde::Serialize;
use std::collections::HashMap;
use utoipa::ToSchema;

stored!(Finding, finding, RecordKind::Finding);
finders!(Finding, finding, FindingId);

/// Drafts: the trial's clinic. What was ever signed: whoever sees the trial, and the lab of a submitted insight citing it.
pub fn visible_to(who: &Principal) -> Sees<finding::table> {
    if who.sees_all() {
        return Box::new(true.into_sql::<Bool>());
    }
    let own = trial::table.filter(trial::clinic_id.eq_any(who.organizations.clone())).select(trial::id);
    let seen = trial::table.filter(seen_by_visibility!(trial, clinic_id, who)).select(trial::id);
    let asked = citation::table
        .inner_join(insight::table.on(insight::id.eq(citation::insight_id)))
        .filter(insight::submitted_at.is_not_null())
        .filter(insight::lab_id.eq_any(who.organizations.clone()))
        .select(citation::finding_id);
    Box::new(
        finding::trial_id
            .eq_any(own)
            .or(finding::owner_id.eq(who.id))
            .or(finding::disclosed.eq(true).and(finding::trial_id.eq_any(seen)))
            .or(finding::id.eq_any(asked)),
    )
}

/// A finding as its neighbours name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FindingName {
    /// Its id.
    pub id: FindingId,
    /// Its code.
    #[schema(max_length = 30, example = "F-9")]
    pub code: String,
    /// Its title.
    #[schema(max_length = 300, example = "Responders share a fast progression at baseline")]
    pub title: String,
}

/// The names of those of the given findings that this person may see, in one query.
///
/// # Errors
/// What the database says.
pub fn names(
    conn: &mut Conn,
    who: &Principal,
    ids: impl IntoIterator<Item = FindingId>,
) -> Result<HashMap<FindingId, FindingName>> {
    let rows: Vec<(FindingId, i64, String)> = finding::table
        .into_boxed::<MultiBackend>()
        .filter(visible_to(who))
        .filter(finding::id.eq_any(ids))
        .select((finding::id, finding::number, finding::title))
        .load(conn)?;
    let named = |(id, number, title)| (id, FindingName { id, code: RecordKind::Finding.code(number), title });
    Ok(rows.into_iter().map(named).collect())
}
