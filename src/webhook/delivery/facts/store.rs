//! The only SQL of what a webhook asks about events and records: what was done, who keeps them, and which conditions they
//! are about. A finding is about what its trial is about, a pairing about what its discovery is about, an insight about what
//! the trials of the findings it cites and the discoveries it names are about.
use crate::{
    Result,
    auth::policy::Principal,
    db::{
        Conn,
        columns::Doc,
        schema::{
            citation, discovery, event, finding, insight, insight_discovery, log_leaf, organization, pairing, trial,
        },
    },
    discovery as discoveries,
    id::{AnyId, DiscoveryId, FindingId, FindingMark, Id, InsightId, OrganizationId, PairingId, PairingMark, TrialId},
    trial as trials,
    value::{Condition, terms_of},
    vocabulary::{Action, RecordKind},
};
use diesel::prelude::*;
use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};
use uuid::Uuid;

/// Of a record: its steward and its [terms](terms_of).
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Who keeps it.
    pub steward: Option<OrganizationId>,
    /// What it is about.
    pub terms: String,
}

/// The records of some events, by the events' numbers.
///
/// # Errors
/// What the database says.
pub fn records(conn: &mut Conn, events: &[i64]) -> Result<HashMap<i64, (RecordKind, Uuid)>> {
    let rows: Vec<(i64, RecordKind, AnyId)> = event::table
        .filter(event::enqueued.eq_any(events))
        .select((event::enqueued, event::record_kind, event::record_id))
        .load(conn)?;
    Ok(rows.into_iter().map(|(number, kind, id)| (number, (kind, id.0))).collect())
}

/// What the events between two positions of the log did: where they stand, to a record of which kind, and what. The caller sees
/// to it that there are not too many.
///
/// # Errors
/// What the database says.
pub fn done_between(conn: &mut Conn, generation: i64, positions: Range<i64>) -> Result<Vec<(i64, RecordKind, Action)>> {
    let done = log_leaf::table
        .inner_join(event::table.on(log_leaf::enqueued.eq(event::enqueued.nullable())))
        .filter(log_leaf::generation.eq(generation))
        .filter(log_leaf::position.ge(positions.start))
        .filter(log_leaf::position.lt(positions.end))
        .select((log_leaf::position, event::record_kind, event::action));
    Ok(done.load(conn)?)
}

/// What is to be known of some records, in a fixed number of queries: what they are about only as far as somebody sees the trials
/// and discoveries that say it, or what is asked for would tell them.
///
/// # Errors
/// What the database says.
pub fn facts(conn: &mut Conn, who: &Principal, records: &[(RecordKind, Uuid)]) -> Result<HashMap<Uuid, Facts>> {
    let of = |kind: RecordKind| records.iter().filter(move |(k, _)| *k == kind).map(|(_, id)| *id);
    let findings: Vec<(FindingId, TrialId)> = finding::table
        .filter(finding::id.eq_any(ids::<FindingMark>(of(RecordKind::Finding))))
        .select((finding::id, finding::trial_id))
        .load(conn)?;
    let pairings: Vec<(PairingId, DiscoveryId)> = pairing::table
        .filter(pairing::id.eq_any(ids::<PairingMark>(of(RecordKind::Pairing))))
        .select((pairing::id, pairing::discovery_id))
        .load(conn)?;
    let insights = Insights::load(conn, ids(of(RecordKind::Insight)))?;
    let tested = findings.iter().map(|(_, trial)| *trial).chain(insights.trials.iter().map(|(_, trial)| *trial));
    let trials = trials_seen(conn, who, ids(of(RecordKind::Trial)).into_iter().chain(tested).collect())?;
    let named = pairings.iter().map(|(_, d)| *d).chain(insights.discoveries.iter().map(|(_, d)| *d));
    let discoveries = discoveries_seen(conn, who, ids(of(RecordKind::Discovery)).into_iter().chain(named).collect())?;

    let mut found = organizations(conn, ids(of(RecordKind::Organization)))?;
    found.extend(findings.iter().filter_map(|(id, trial)| Some((id.0, trials.get(trial)?.clone()))));
    found.extend(pairings.iter().filter_map(|(id, discovery)| Some((id.0, discoveries.get(discovery)?.clone()))));
    found.extend(insights.facts(&trials, &discoveries));
    found.extend(trials.into_iter().map(|(id, facts)| (id.0, facts)));
    found.extend(discoveries.into_iter().map(|(id, facts)| (id.0, facts)));
    Ok(found)
}

fn ids<T>(ids: impl Iterator<Item = Uuid>) -> Vec<Id<T>> {
    ids.map(Id::of).collect()
}

fn discoveries_seen(conn: &mut Conn, who: &Principal, asked: Vec<DiscoveryId>) -> Result<HashMap<DiscoveryId, Facts>> {
    let of_these = discovery::table.filter(discovery::id.eq_any(asked));
    let seen = of_these.clone().filter(discoveries::store::visible_to(who)).select(discovery::id).load(conn)?;
    Ok(told(of_these.select((discovery::id, discovery::lab_id, discovery::terms)).load(conn)?, seen))
}

fn trials_seen(conn: &mut Conn, who: &Principal, asked: Vec<TrialId>) -> Result<HashMap<TrialId, Facts>> {
    let of_these = trial::table.filter(trial::id.eq_any(asked));
    let seen = of_these.clone().filter(trials::store::visible_to(who)).select(trial::id).load(conn)?;
    Ok(told(of_these.select((trial::id, trial::clinic_id, trial::terms)).load(conn)?, seen))
}

/// Who keeps each of them, and of those that are seen what they are about.
fn told<T: std::hash::Hash + Eq>(rows: Vec<(T, OrganizationId, String)>, seen: Vec<T>) -> HashMap<T, Facts> {
    let seen: HashSet<T> = seen.into_iter().collect();
    let fact = |(id, steward, terms)| {
        let terms = if seen.contains(&id) { terms } else { String::new() };
        (id, Facts { steward: Some(steward), terms })
    };
    rows.into_iter().map(fact).collect()
}

/// Insights, the trials whose findings they cite, and the discoveries that they name.
struct Insights {
    stewards: Vec<(InsightId, OrganizationId)>,
    trials: Vec<(InsightId, TrialId)>,
    discoveries: Vec<(InsightId, DiscoveryId)>,
}

impl Insights {
    fn load(conn: &mut Conn, asked: Vec<InsightId>) -> Result<Self> {
        let of_these = insight_discovery::table.filter(insight_discovery::insight_id.eq_any(asked.clone()));
        Ok(Self {
            trials: citation::table
                .inner_join(finding::table.on(finding::id.eq(citation::finding_id)))
                .filter(citation::insight_id.eq_any(asked.clone()))
                .select((citation::insight_id, finding::trial_id))
                .load(conn)?,
            discoveries: of_these
                .select((insight_discovery::insight_id, insight_discovery::discovery_id))
                .load(conn)?,
            stewards: insight::table
                .filter(insight::id.eq_any(asked))
                .select((insight::id, insight::clinic_id))
                .load(conn)?,
        })
    }
    fn facts(
        self,
        trials: &HashMap<TrialId, Facts>,
        discoveries: &HashMap<DiscoveryId, Facts>,
    ) -> HashMap<Uuid, Facts> {
        let kept = |(id, steward): (InsightId, _)| (id.0, Facts { steward: Some(steward), terms: String::new() });
        let mut found: HashMap<Uuid, Facts> = self.stewards.into_iter().map(kept).collect();
        let of_trials = self.trials.iter().filter_map(|(id, trial)| Some((id, trials.get(trial)?)));
        let of_discoveries = self.discoveries.iter().filter_map(|(id, d)| Some((id, discoveries.get(d)?)));
        for (id, about) in of_trials.chain(of_discoveries) {
            if let Some(facts) = found.get_mut(&id.0) {
                facts.terms.push_str(&about.terms);
            }
        }
        found
    }
}

fn organizations(conn: &mut Conn, asked: Vec<OrganizationId>) -> Result<HashMap<Uuid, Facts>> {
    let rows: Vec<(OrganizationId, Doc<Vec<Condition>>)> = organization::table
        .filter(organization::id.eq_any(asked))
        .select((organization::id, organization::focus))
        .load(conn)?;
    let about = |(id, focus): (OrganizationId, Doc<Vec<Condition>>)| {
        (id.0, Facts { steward: Some(id), terms: terms_of(&focus) })
    };
    Ok(rows.into_iter().map(about).collect())
}
