//! The only SQL of trials.
use super::{Link, Trial, duty::StatusChange};
use crate::{
    Result,
    auth::policy::Principal,
    db::{
        Conn, MultiBackend, Sees, any_of,
        columns::Time,
        containing, finders,
        schema::{discovery, event, trial, trial_link},
        seen_by_visibility,
    },
    discovery::store::DiscoveryName,
    http::page::{Page, keyset},
    id::{AnyId, DiscoveryId, OrganizationId, PersonId, TrialId},
    identifier::NctId,
    ledger::stored,
    past::{Narrows, among},
    vocabulary::{Phase, RecordKind, StudyType, TrialSource, TrialStatus, Visibility},
};
use diesel::{
    dsl::sql,
    prelude::*,
    sql_types::{Bool, Text},
};
use serde::Serialize;
use std::collections::HashMap;
use utoipa::ToSchema;

stored!(Trial, trial, RecordKind::Trial);
finders!(Trial, trial, TrialId);

/// By its visibility alone.
pub fn visible_to(who: &Principal) -> Sees<trial::table> {
    Box::new(seen_by_visibility!(trial, clinic_id, who))
}

/// What a list of trials may be narrowed by.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these statuses.
    pub overall_status: Vec<TrialStatus>,
    /// Any of these phases; a combined phase is found by either.
    pub phase: Vec<Phase>,
    /// Any of these study types.
    pub study_type: Vec<StudyType>,
    /// Any of these clinics.
    pub clinic: Vec<OrganizationId>,
    /// Any of these owners.
    pub owner: Vec<PersonId>,
    /// Any of these visibilities.
    pub visibility: Vec<Visibility>,
    /// Any of these sources.
    pub source: Vec<TrialSource>,
    /// Any of these conditions, as folded terms.
    pub condition: Vec<String>,
    /// Any of these registry numbers.
    pub nct_id: Vec<NctId>,
    /// Linked to any of these discoveries, where the reader may see it.
    pub discovery: Vec<DiscoveryId>,
    /// Changed after.
    pub updated_after: Option<Time>,
    /// Every one of these folded words.
    pub words: Vec<String>,
}

impl Narrows<Trial> for Filter {
    fn lasting(&self) -> Self {
        Self::default()
    }
    fn admits(&self, was: &Trial) -> bool {
        among(&self.overall_status, &was.overall_status)
            && among(&self.clinic, &was.clinic_id)
            && among(&self.owner, &was.owner_id)
    }
}

/// One page of what this person may see, and the total where it was asked for.
///
/// # Errors
/// What the database says.
pub fn list(conn: &mut Conn, who: &Principal, filter: &Filter, page: &Page) -> Result<(Vec<Trial>, Option<i64>)> {
    let discoveries: Vec<_> = filter.discovery.iter().map(|id| id.0).collect();
    let discoveries = crate::discovery::store::visible_ids(conn, who, &discoveries)?;
    let discoveries: Vec<_> = discoveries.into_iter().map(DiscoveryId::of).collect();
    let matching = || {
        let mut query = trial::table.into_boxed::<MultiBackend>().filter(visible_to(who));
        if !filter.overall_status.is_empty() {
            query = query.filter(trial::overall_status.eq_any(filter.overall_status.clone()));
        }
        if let Some(any) = any_of(filter.phase.iter().map(|phase| in_phase(*phase))) {
            query = query.filter(any);
        }
        if !filter.study_type.is_empty() {
            query = query.filter(trial::study_type.eq_any(filter.study_type.clone()));
        }
        if !filter.clinic.is_empty() {
            query = query.filter(trial::clinic_id.eq_any(filter.clinic.clone()));
        }
        if !filter.owner.is_empty() {
            query = query.filter(trial::owner_id.eq_any(filter.owner.clone()));
        }
        if !filter.visibility.is_empty() {
            query = query.filter(trial::visibility.eq_any(filter.visibility.clone()));
        }
        if !filter.source.is_empty() {
            query = query.filter(trial::source.eq_any(filter.source.clone()));
        }
        if !filter.nct_id.is_empty() {
            query = query.filter(trial::nct_id.eq_any(filter.nct_id.clone()));
        }
        if !filter.discovery.is_empty() {
            let linked = trial_link::table.filter(trial_link::discovery_id.eq_any(discoveries.clone()));
            query = query.filter(trial::id.eq_any(linked.select(trial_link::trial_id)));
        }
        let terms = filter.condition.iter();
        if let Some(any) = any_of(terms.map(|t| Box::new(trial::terms.like(containing(t)).escape('\\')) as Sees<_>)) {
            query = query.filter(any);
        }
        if let Some(after) = filter.updated_after {
            query = query.filter(trial::updated_at.gt(after));
        }
        for word in &filter.words {
            query = query.filter(trial::search.like(containing(word)).escape('\\'));
        }
        query
    };
    let rows = keyset!(matching(), page, trial: TrialId, {
        "updated_at" => updated_at: Time, "created_at" => created_at: Time, "brief_title" => brief_title: String,
        "code" => number: i64,
    })
    .load(conn)?;
    let total = if page.count { Some(matching().count().get_result(conn)?) } else { None };
    Ok((rows, total))
}

/// Phases are a JSON list of at most two words, which both engines show as text.
fn in_phase(phase: Phase) -> Sees<trial::table> {
    let pattern = format!("%\"{phase}\"%");
    Box::new(sql::<Bool>("CAST(trial.phases AS TEXT) LIKE ").bind::<Text, _>(pattern))
}

/// The trial with this registry number, whoever asks: numbers are unique, and so may not be given twice.
///
/// # Errors
/// What the database says.
pub fn registered_as(conn: &mut Conn, nct_id: &NctId) -> Result<Option<Trial>> {
    Ok(trial::table.filter(trial::nct_id.eq(nct_id)).get_result(conn).optional()?)
}

/// Brings the index of links in line with a trial's `discoveries`.
///
/// # Errors
/// What the database says.
pub fn index_links(conn: &mut Conn, id: TrialId, links: &[Link]) -> Result<()> {
    diesel::delete(trial_link::table.filter(trial_link::trial_id.eq(id))).execute(conn)?;
    for link in links {
        let row = (
            trial_link::trial_id.eq(id),
            trial_link::discovery_id.eq(link.discovery_id),
            trial_link::role.eq(link.role),
        );
        diesel::insert_into(trial_link::table).values(row).execute(conn)?;
    }
    Ok(())
}

/// A discovery that a trial is linked to, with where it stands.
#[derive(Debug, Clone)]
pub struct LinkedDiscovery {
    /// How it is named.
    pub name: DiscoveryName,
    /// `name@version`.
    pub lifecycle: String,
    /// A state of that lifecycle.
    pub stage: String,
}

/// Those of the given discoveries that this person may see, in one query.
///
/// # Errors
/// What the database says.
pub fn linked(
    conn: &mut Conn,
    who: &Principal,
    ids: impl IntoIterator<Item = DiscoveryId>,
) -> Result<HashMap<DiscoveryId, LinkedDiscovery>> {
    let rows: Vec<(DiscoveryId, i64, String, String, String)> = discovery::table
        .into_boxed::<MultiBackend>()
        .filter(crate::discovery::store::visible_to(who))
        .filter(discovery::id.eq_any(ids))
        .select((discovery::id, discovery::number, discovery::title, discovery::lifecycle, discovery::stage))
        .load(conn)?;
    let named = |(id, number, title, lifecycle, stage)| {
        let name = DiscoveryName { id, code: RecordKind::Discovery.code(number), title };
        (id, LinkedDiscovery { name, lifecycle, stage })
    };
    Ok(rows.into_iter().map(named).collect())
}

/// The last status change of each of these trials that has had one since it was registered, in one query.
///
/// # Errors
/// What the database says.
pub fn last_status_changes(
    conn: &mut Conn,
    ids: impl IntoIterator<Item = TrialId>,
) -> Result<HashMap<TrialId, StatusChange>> {
    let rows: Vec<(AnyId, Time, Time)> = event::table
        .filter(event::record_id.eq_any(ids.into_iter().map(TrialId::any).collect::<Vec<_>>()))
        .filter(event::from_state.is_not_null())
        .order(event::enqueued.asc())
        .select((event::record_id, event::effective_at, event::at))
        .load(conn)?;
    let changed = |(id, effective_at, recorded_at): (AnyId, Time, Time)| {
        (TrialId::of(id.0), StatusChange { effective_at, recorded_at })
    };
    Ok(rows.into_iter().map(changed).collect())
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
