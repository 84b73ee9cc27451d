//! The only SQL of insights.
use super::{Insight, WAITING, never};
use crate::{
    Result,
    auth::policy::Principal,
    db::{
        Conn, MultiBackend, Sees,
        columns::Time,
        containing, finders,
        schema::{citation, finding, insight, insight_discovery, trial_link},
    },
    discovery::store as discoveries_store,
    finding::store as findings_store,
    http::page::{Page, keyset},
    id::{DiscoveryId, FindingId, InsightId, OrganizationId, PersonId, TrialId},
    ledger::stored,
    past::{Narrows, among},
    vocabulary::{LinkRole, Outcome, RecordKind, Urgency},
};
use diesel::{dsl::case_when, prelude::*, sql_types::Bool};
use serde::Serialize;
use std::collections::HashMap;
use utoipa::ToSchema;

stored!(Insight, insight, RecordKind::Insight);
finders!(Insight, insight, InsightId);

/// [`visible_to`] for those who do not see everything, of one type whoever asks, so that it can stand in a subquery.
macro_rules! seen_by {
    ($who:expr) => {{
        use $crate::db::{
            schema::{citation, finding, insight, trial},
            seen_by_visibility,
        };
        let seen = trial::table.filter(seen_by_visibility!(trial, clinic_id, $who)).select(trial::id);
        let hidden = finding::table.filter(finding::trial_id.ne_all(seen)).select(finding::id);
        let citing_hidden = citation::table.filter(citation::finding_id.eq_any(hidden)).select(citation::insight_id);
        let submitted = || insight::submitted_at.is_not_null();
        let theirs = insight::clinic_id.eq_any($who.organizations.clone()).or(insight::owner_id.eq($who.id));
        submitted()
            .and(insight::lab_id.eq_any($who.organizations.clone()))
            .or(insight::id.ne_all(citing_hidden).and(theirs.or(submitted())))
    }};
}
pub(crate) use seen_by;

/// Once submitted, the lab. Otherwise nobody who does not see the trial of every finding it cites (the finding behind it is
/// signed, so that the trial decides): of these the clinic and the owner at any time, the others once it was submitted.
pub fn visible_to(who: &Principal) -> Sees<insight::table> {
    if who.sees_all() {
        return Box::new(true.into_sql::<Bool>());
    }
    Box::new(seen_by!(who))
}

/// What a list of insights may be narrowed by.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these states.
    pub state: Vec<String>,
    /// Routed to any of these labs.
    pub lab: Vec<OrganizationId>,
    /// From any of these clinics.
    pub clinic: Vec<OrganizationId>,
    /// Any of these owners.
    pub owner: Vec<PersonId>,
    /// Answered by any of these people.
    pub assignee: Vec<PersonId>,
    /// Any of these urgencies.
    pub urgency: Vec<Urgency>,
    /// Any of these outcomes.
    pub outcome: Vec<Outcome>,
    /// Only those whose answer is late, or is not.
    pub overdue: Option<bool>,
    /// Citing any of these findings, as far as the reader sees them.
    pub finding: Vec<FindingId>,
    /// Concerning any of these discoveries, as far as the reader sees them.
    pub discovery: Vec<DiscoveryId>,
    /// Changed after.
    pub updated_after: Option<Time>,
    /// Every one of these folded words.
    pub words: Vec<String>,
}

impl Narrows<Insight> for Filter {
    fn lasting(&self) -> Self {
        Self::default()
    }
    fn admits(&self, was: &Insight) -> bool {
        among(&self.state, &was.state)
            && among(&self.lab, &was.lab_id)
            && among(&self.clinic, &was.clinic_id)
            && among(&self.owner, &was.owner_id)
    }
}

/// [`due_rank`](super::due_rank) in SQL: one expression that never is null, so that a keyset can stand on it.
macro_rules! due_rank {
    () => {
        case_when(
            insight::state.eq_any(WAITING.to_vec()).and(insight::due_at.is_not_null()),
            insight::due_at.assume_not_null(),
        )
        .otherwise(never())
    };
}

/// One page of what this person may see, and the total where it was asked for.
///
/// # Errors
/// What the database says.
pub fn list(conn: &mut Conn, who: &Principal, filter: &Filter, page: &Page) -> Result<(Vec<Insight>, Option<i64>)> {
    let findings: Vec<_> = filter.finding.iter().map(|id| id.0).collect();
    let findings = findings_store::visible_ids(conn, who, &findings)?;
    let discoveries: Vec<_> = filter.discovery.iter().map(|id| id.0).collect();
    let discoveries = discoveries_store::visible_ids(conn, who, &discoveries)?;
    let matching = || {
        let mut query = insight::table.into_boxed::<MultiBackend>().filter(visible_to(who));
        if !filter.state.is_empty() {
            query = query.filter(insight::state.eq_any(filter.state.clone()));
        }
        if !filter.lab.is_empty() {
            query = query.filter(insight::lab_id.eq_any(filter.lab.clone()));
        }
        if !filter.clinic.is_empty() {
            query = query.filter(insight::clinic_id.eq_any(filter.clinic.clone()));
        }
        if !filter.owner.is_empty() {
            query = query.filter(insight::owner_id.eq_any(filter.owner.clone()));
        }
        if !filter.assignee.is_empty() {
            query = query.filter(insight::assignee_id.assume_not_null().eq_any(filter.assignee.clone()));
        }
        if !filter.urgency.is_empty() {
            query = query.filter(insight::urgency.eq_any(filter.urgency.clone()));
        }
        if !filter.outcome.is_empty() {
            query = query.filter(insight::outcome.assume_not_null().eq_any(filter.outcome.clone()));
        }
        match filter.overdue {
            Some(true) => query = query.filter(due_rank!().lt(who.at)),
            Some(false) => query = query.filter(due_rank!().ge(who.at)),
            None => {}
        }
        if !filter.finding.is_empty() {
            let cited = findings.iter().map(|id| FindingId::of(*id)).collect::<Vec<_>>();
            let citing = citation::table.filter(citation::finding_id.eq_any(cited)).select(citation::insight_id);
            query = query.filter(insight::id.eq_any(citing));
        }
        if !filter.discovery.is_empty() {
            let named = discoveries.iter().map(|id| DiscoveryId::of(*id)).collect::<Vec<_>>();
            let concerning = insight_discovery::table
                .filter(insight_discovery::discovery_id.eq_any(named))
                .select(insight_discovery::insight_id);
            query = query.filter(insight::id.eq_any(concerning));
        }
        if let Some(after) = filter.updated_after {
            query = query.filter(insight::updated_at.gt(after));
        }
        for word in &filter.words {
            query = query.filter(insight::search.like(containing(word)).escape('\\'));
        }
        query
    };
    let rows = if page.sort == "due_at" {
        let mut query = matching();
        if let Some(after) = &page.after {
            let due: Time = after.value_as()?;
            let id = InsightId::of(after.id);
            query = if page.descending {
                query.filter(due_rank!().lt(due).or(due_rank!().eq(due).and(insight::id.lt(id))))
            } else {
                query.filter(due_rank!().gt(due).or(due_rank!().eq(due).and(insight::id.gt(id))))
            };
        }
        query = if page.descending {
            query.order((due_rank!().desc(), insight::id.desc()))
        } else {
            query.order((due_rank!().asc(), insight::id.asc()))
        };
        query.limit(page.limit + 1).load(conn)?
    } else {
        keyset!(matching(), page, insight: InsightId, {
            "updated_at" => updated_at: Time, "created_at" => created_at: Time,
            "state_entered_at" => state_entered_at: Time, "title" => title: String, "code" => number: i64,
        })
        .load(conn)?
    };
    let total = if page.count { Some(matching().count().get_result(conn)?) } else { None };
    Ok((rows, total))
}

/// The discoveries that the given trials are linked to as `tests`, whoever may see them.
///
/// # Errors
/// What the database says.
pub fn tested_discoveries(conn: &mut Conn, trials: &[TrialId]) -> Result<Vec<DiscoveryId>> {
    Ok(trial_link::table
        .filter(trial_link::trial_id.eq_any(trials.to_vec()))
        .filter(trial_link::role.eq(LinkRole::Tests))
        .select(trial_link::discovery_id)
        .distinct()
        .order(trial_link::discovery_id.asc())
        .load(conn)?)
}

/// The trials behind the findings an insight cites.
///
/// # Errors
/// What the database says.
pub fn cited_trials(conn: &mut Conn, id: InsightId) -> Result<Vec<TrialId>> {
    Ok(citation::table
        .inner_join(finding::table.on(finding::id.eq(citation::finding_id)))
        .filter(citation::insight_id.eq(id))
        .select(finding::trial_id)
        .distinct()
        .load(conn)?)
}

/// Brings the index of citations in line with an insight's findings.
///
/// # Errors
/// What the database says.
pub fn index_citations(conn: &mut Conn, id: InsightId, findings: &[FindingId]) -> Result<()> {
    diesel::delete(citation::table.filter(citation::insight_id.eq(id))).execute(conn)?;
    for finding in findings {
        let row = (citation::insight_id.eq(id), citation::finding_id.eq(*finding));
        diesel::insert_into(citation::table).values(row).execute(conn)?;
    }
    Ok(())
}

/// Brings the index of discoveries in line with those an insight concerns.
///
/// # Errors
/// What the database says.
pub fn index_discoveries(conn: &mut Conn, id: InsightId, discoveries: &[DiscoveryId]) -> Result<()> {
    diesel::delete(insight_discovery::table.filter(insight_discovery::insight_id.eq(id))).execute(conn)?;
    for discovery in discoveries {
        let row = (insight_discovery::insight_id.eq(id), insight_discovery::discovery_id.eq(*discovery));
        diesel::insert_into(insight_discovery::table).values(row).execute(conn)?;
    }
    Ok(())
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
