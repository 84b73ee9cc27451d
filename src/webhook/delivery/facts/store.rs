//! The only SQL of what a webhook asks about events and records: what was done, who keeps them, and which conditions they
//! are about. A finding is about what its trial is about, a pairing about what its discovery is about, an insight about what
//! the trials of the findings it cites and the discoveries it names are about.
use crate::{
    Result,
    db::{
        Conn,
        schema::{
            citation, discovery, event, finding, insight, insight_discovery, log_leaf, organization, pairing, trial,
        },
    },
    id::{
        AnyId, DiscoveryId, DiscoveryMark, FindingId, FindingMark, Id, InsightId, OrganizationId, PairingId,
        PairingMark, TrialId, TrialMark,
    },
    value::terms_of,
    vocabulary::{Action, RecordKind},
};
use diesel::prelude::*;
use std::{collections::HashMap, ops::Range};
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

/// What is to be known of some records, in a fixed number of queries.
///
/// # Errors
/// What the database says.
pub fn facts(conn: &mut Conn, records: &[(RecordKind, Uuid)]) -> Result<HashMap<Uuid, Facts>> {
    let mut found = HashMap::new();
    let of =
        |kind: RecordKind| -> Vec<Uuid> { records.iter().filter(|(k, _)| *k == kind).map(|(_, id)| *id).collect() };
    discoveries(conn, &of(RecordKind::Discovery), &mut found)?;
    trials(conn, &of(RecordKind::Trial), &mut found)?;
    findings(conn, &of(RecordKind::Finding), &mut found)?;
    insights(conn, &of(RecordKind::Insight), &mut found)?;
    pairings(conn, &of(RecordKind::Pairing), &mut found)?;
    organizations(conn, &of(RecordKind::Organization), &mut found)?;
    Ok(found)
}

type Found = HashMap<Uuid, Facts>;

fn ids<T>(ids: &[Uuid]) -> Vec<Id<T>> {
    ids.iter().map(|id| Id::of(*id)).collect()
}

fn kept<T>(rows: Vec<(Id<T>, OrganizationId, String)>, found: &mut Found) {
    found.extend(rows.into_iter().map(|(id, steward, terms)| (id.0, Facts { steward: Some(steward), terms })));
}

fn discoveries(conn: &mut Conn, asked: &[Uuid], found: &mut Found) -> Result<()> {
    let asked: Vec<DiscoveryId> = ids(asked);
    let rows = discovery::table.filter(discovery::id.eq_any(asked));
    kept::<DiscoveryMark>(rows.select((discovery::id, discovery::lab_id, discovery::terms)).load(conn)?, found);
    Ok(())
}

fn trials(conn: &mut Conn, asked: &[Uuid], found: &mut Found) -> Result<()> {
    let asked: Vec<TrialId> = ids(asked);
    let rows = trial::table.filter(trial::id.eq_any(asked));
    kept::<TrialMark>(rows.select((trial::id, trial::clinic_id, trial::terms)).load(conn)?, found);
    Ok(())
}

fn findings(conn: &mut Conn, asked: &[Uuid], found: &mut Found) -> Result<()> {
    let asked: Vec<FindingId> = ids(asked);
    let rows = finding::table
        .inner_join(trial::table.on(trial::id.eq(finding::trial_id)))
        .filter(finding::id.eq_any(asked))
        .select((finding::id, trial::clinic_id, trial::terms));
    kept::<FindingMark>(rows.load(conn)?, found);
    Ok(())
}

fn pairings(conn: &mut Conn, asked: &[Uuid], found: &mut Found) -> Result<()> {
    let asked: Vec<PairingId> = ids(asked);
    let rows = pairing::table
        .inner_join(discovery::table.on(discovery::id.eq(pairing::discovery_id)))
        .filter(pairing::id.eq_any(asked))
        .select((pairing::id, discovery::lab_id, discovery::terms));
    kept::<PairingMark>(rows.load(conn)?, found);
    Ok(())
}

fn insights(conn: &mut Conn, asked: &[Uuid], found: &mut Found) -> Result<()> {
    let asked: Vec<InsightId> = ids(asked);
    let stewards: Vec<(InsightId, OrganizationId)> = insight::table
        .filter(insight::id.eq_any(asked.clone()))
        .select((insight::id, insight::clinic_id))
        .load(conn)?;
    let of_trials: Vec<(InsightId, String)> = citation::table
        .inner_join(finding::table.on(finding::id.eq(citation::finding_id)))
        .inner_join(trial::table.on(trial::id.eq(finding::trial_id)))
        .filter(citation::insight_id.eq_any(asked.clone()))
        .select((citation::insight_id, trial::terms))
        .load(conn)?;
    let of_discoveries: Vec<(InsightId, String)> = insight_discovery::table
        .inner_join(discovery::table.on(discovery::id.eq(insight_discovery::discovery_id)))
        .filter(insight_discovery::insight_id.eq_any(asked))
        .select((insight_discovery::insight_id, discovery::terms))
        .load(conn)?;
    kept(stewards.into_iter().map(|(id, steward)| (id, steward, String::new())).collect(), found);
    for (id, terms) in of_trials.into_iter().chain(of_discoveries) {
        if let Some(facts) = found.get_mut(&id.0) {
            facts.terms.push_str(&terms);
        }
    }
    Ok(())
}

fn organizations(conn: &mut Conn, asked: &[Uuid], found: &mut Found) -> Result<()> {
    use crate::{db::columns::Doc, value::Condition};
    let asked: Vec<OrganizationId> = ids(asked);
    let rows: Vec<(OrganizationId, Doc<Vec<Condition>>)> = organization::table
        .filter(organization::id.eq_any(asked))
        .select((organization::id, organization::focus))
        .load(conn)?;
    found.extend(rows.into_iter().map(|(id, focus)| (id.0, Facts { steward: Some(id), terms: terms_of(&focus) })));
    Ok(())
}
