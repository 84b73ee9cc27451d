//! The only SQL of insights.
use super::Insight;
use crate::{
    Result,
    auth::policy::Principal,
    db::{
        Conn, MultiBackend, Sees, finders,
        schema::{citation, finding, insight, trial},
        seen_by_visibility,
    },
    id::InsightId,
    ledger::stored,
    vocabulary::RecordKind,
};
use diesel::{prelude::*, sql_types::Bool};
use serde::Serialize;
use std::collections::HashMap;
use utoipa::ToSchema;

stored!(Insight, insight, RecordKind::Insight);
finders!(Insight, insight, InsightId);

/// Drafts: the clinic. Once submitted: the lab too, and whoever sees every finding it cites (none is hidden from them).
pub fn visible_to(who: &Principal) -> Sees<insight::table> {
    if who.sees_all() {
        return Box::new(true.into_sql::<Bool>());
    }
    let seen = trial::table.filter(seen_by_visibility!(trial, clinic_id, who)).select(trial::id);
    let hidden = finding::table.filter(finding::trial_id.ne_all(seen)).select(finding::id);
    let citing_hidden = citation::table.filter(citation::finding_id.eq_any(hidden)).select(citation::insight_id);
    Box::new(
        insight::clinic_id.eq_any(who.organizations.clone()).or(insight::owner_id.eq(who.id)).or(insight::submitted_at
            .is_not_null()
            .and(insight::lab_id.eq_any(who.organizations.clone()).or(insight::id.ne_all(citing_hidden)))),
    )
}

/// An insight as its neighbours name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct InsightName {
    /// Its id.
    pub id: InsightId,
    /// Its code.
    #[schema(max_length = 30, example = "I-3")]
    pub code: String,
    /// Its title.
    #[schema(max_length = 300, example = "Why do fast progressors respond?")]
    pub title: String,
}

/// The names of those of the given insights that this person may see, in one query.
///
/// # Errors
/// What the database says.
pub fn names(
    conn: &mut Conn,
    who: &Principal,
    ids: impl IntoIterator<Item = InsightId>,
) -> Result<HashMap<InsightId, InsightName>> {
    let rows: Vec<(InsightId, i64, String)> = insight::table
        .into_boxed::<MultiBackend>()
        .filter(visible_to(who))
        .filter(insight::id.eq_any(ids))
        .select((insight::id, insight::number, insight::title))
        .load(conn)?;
    let named = |(id, number, title)| (id, InsightName { id, code: RecordKind::Insight.code(number), title });
    Ok(rows.into_iter().map(named).collect())
}
