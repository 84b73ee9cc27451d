//! The only SQL of trials.
use super::Trial;
use crate::{
    Result,
    auth::policy::Principal,
    db::{Conn, Sees, finders, schema::trial, seen_by_visibility},
    id::TrialId,
    ledger::stored,
    vocabulary::RecordKind,
};
use diesel::prelude::*;
use serde::Serialize;
use std::collections::HashMap;
use utoipa::ToSchema;

stored!(Trial, trial, RecordKind::Trial);
finders!(Trial, trial, TrialId);

/// By its visibility alone.
pub fn visible_to(who: &Principal) -> Sees<trial::table> {
    Box::new(seen_by_visibility!(trial, clinic_id, who))
}

/// A trial as its neighbours name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrialName {
    /// Its id.
    pub id: TrialId,
    /// Its code.
    #[schema(max_length = 30, example = "T-4")]
    pub code: String,
    /// Its brief title.
    #[schema(max_length = 300, example = "Safety of HSP70 inducer BX-12 in ALS")]
    pub title: String,
}

/// The names of the given trials, in one query. `who` sees those that are visible; the lab of a submitted insight sees
/// code and title of the trials behind the findings it cites, so callers choose what they pass.
///
/// # Errors
/// What the database says.
pub fn names(conn: &mut Conn, ids: impl IntoIterator<Item = TrialId>) -> Result<HashMap<TrialId, TrialName>> {
    let rows: Vec<(TrialId, i64, String)> =
        trial::table.filter(trial::id.eq_any(ids)).select((trial::id, trial::number, trial::brief_title)).load(conn)?;
    let named = |(id, number, title)| (id, TrialName { id, code: RecordKind::Trial.code(number), title });
    Ok(rows.into_iter().map(named).collect())
}
