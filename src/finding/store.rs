//! The only SQL of findings.
use super::{Finding, SIGNED};
use crate::{
    Result,
    auth::policy::Principal,
    db::{
        Conn, MultiBackend, Sees,
        columns::Time,
        containing, finders,
        schema::{citation, finding, insight, trial},
        seen_by_visibility,
    },
    http::page::{Page, keyset},
    id::{FindingId, OrganizationId, PersonId, TrialId},
    ledger::stored,
    past::{Narrows, among},
    vocabulary::{FindingKind, RecordKind},
};
use diesel::{prelude::*, sql_types::Bool};
use serde::Serialize;
use std::collections::HashMap;
use utoipa::ToSchema;

stored!(Finding, finding, RecordKind::Finding);
finders!(Finding, finding, FindingId);

/// Drafts: the trial's clinic. What was ever signed: whoever sees the trial, and the lab of a submitted insight citing it.
/// An owner who left the clinic sees a finding only as long as its trial is theirs to see.
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
    let open = finding::disclosed.eq(true).or(finding::owner_id.eq(who.id));
    Box::new(
        finding::trial_id
            .eq_any(own)
            .or(finding::trial_id.eq_any(seen).and(open))
            .or(finding::disclosed.eq(true).and(finding::id.eq_any(asked))),
    )
}

/// What a list of findings may be narrowed by.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these kinds.
    pub kind: Vec<FindingKind>,
    /// Any of these states.
    pub state: Vec<String>,
    /// Any of these trials.
    pub trial: Vec<TrialId>,
    /// Any of these owners.
    pub owner: Vec<PersonId>,
    /// Only those that were, or were not, unexpected.
    pub unexpected: Option<bool>,
    /// Changed after.
    pub updated_after: Option<Time>,
    /// Every one of these folded words.
    pub words: Vec<String>,
}

impl Narrows<Finding> for Filter {
    fn lasting(&self) -> Self {
        Self { trial: self.trial.clone(), ..Self::default() }
    }
    fn admits(&self, was: &Finding) -> bool {
        among(&self.state, &was.state) && among(&self.owner, &was.owner_id)
    }
}

/// One page of what this person may see, and the total where it was asked for.
///
/// # Errors
/// What the database says.
pub fn list(conn: &mut Conn, who: &Principal, filter: &Filter, page: &Page) -> Result<(Vec<Finding>, Option<i64>)> {
    let matching = || {
        let mut query = finding::table.into_boxed::<MultiBackend>().filter(visible_to(who));
        if !filter.kind.is_empty() {
            query = query.filter(finding::kind.eq_any(filter.kind.clone()));
        }
        if !filter.state.is_empty() {
            query = query.filter(finding::state.eq_any(filter.state.clone()));
        }
        if !filter.trial.is_empty() {
            query = query.filter(finding::trial_id.eq_any(filter.trial.clone()));
        }
        if !filter.owner.is_empty() {
            query = query.filter(finding::owner_id.eq_any(filter.owner.clone()));
        }
        if let Some(unexpected) = filter.unexpected {
            query = query.filter(finding::unexpected.eq(unexpected));
        }
        if let Some(after) = filter.updated_after {
            query = query.filter(finding::updated_at.gt(after));
        }
        for word in &filter.words {
            query = query.filter(finding::search.like(containing(word)).escape('\\'));
        }
        query
    };
    let rows = keyset!(matching(), page, finding: FindingId, {
        "updated_at" => updated_at: Time, "created_at" => created_at: Time, "observed_on" => observed_on: String,
        "title" => title: String, "code" => number: i64,
    })
    .load(conn)?;
    let total = if page.count { Some(matching().count().get_result(conn)?) } else { None };
    Ok((rows, total))
}

/// What an insight must know of a finding before it cites it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citable {
    /// The finding.
    pub id: FindingId,
    /// The trial that showed it.
    pub trial_id: TrialId,
    /// That trial's clinic.
    pub clinic_id: OrganizationId,
    /// Whether it stands signed.
    pub signed: bool,
}

/// Those of the given findings that this person may see.
///
/// # Errors
/// What the database says.
pub fn citable(conn: &mut Conn, who: &Principal, ids: &[FindingId]) -> Result<HashMap<FindingId, Citable>> {
    let rows: Vec<(FindingId, TrialId, String)> = finding::table
        .into_boxed::<MultiBackend>()
        .filter(visible_to(who))
        .filter(finding::id.eq_any(ids.to_vec()))
        .select((finding::id, finding::trial_id, finding::state))
        .load(conn)?;
    let trials: Vec<TrialId> = rows.iter().map(|(_, trial, _)| *trial).collect();
    let clinics: Vec<(TrialId, OrganizationId)> =
        trial::table.filter(trial::id.eq_any(trials)).select((trial::id, trial::clinic_id)).load(conn)?;
    let clinics: HashMap<TrialId, OrganizationId> = clinics.into_iter().collect();
    let citable = |(id, trial_id, state): (FindingId, TrialId, String)| {
        let clinic_id = *clinics.get(&trial_id)?;
        Some((id, Citable { id, trial_id, clinic_id, signed: state == SIGNED }))
    };
    Ok(rows.into_iter().filter_map(citable).collect())
}

/// For each of the given findings the one that took its place when that was signed, where this person may see it.
///
/// # Errors
/// What the database says.
pub fn successors(
    conn: &mut Conn,
    who: &Principal,
    ids: impl IntoIterator<Item = FindingId>,
) -> Result<HashMap<FindingId, FindingId>> {
    let rows: Vec<(Option<FindingId>, FindingId)> = finding::table
        .into_boxed::<MultiBackend>()
        .filter(visible_to(who))
        .filter(finding::disclosed.eq(true))
        .filter(finding::supersedes_id.assume_not_null().eq_any(ids))
        .select((finding::supersedes_id, finding::id))
        .load(conn)?;
    Ok(rows.into_iter().filter_map(|(previous, next)| Some((previous?, next))).collect())
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
