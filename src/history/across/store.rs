//! The only SQL of history across records.
use super::{Asked, Part};
use crate::{
    Result,
    auth::policy::Principal,
    db::{
        Conn, MultiBackend, Sees, any_of,
        schema::{discovery, event, finding, insight, pairing, trial},
    },
    history::{
        store::{COLUMNS, Event, Row, entries},
        visible::store::{Sight, visible},
    },
    id::{AnyId, OrganizationId},
};
use diesel::{dsl::max, prelude::*};

/// Events that are read at once.
const BATCH: i64 = 500;
/// Numbers of events that are passed in one query, asked for or not.
const WINDOW: i64 = 20_000;
/// Queries for one part: a reader who may see few events is told how far they have come.
const QUERIES: usize = 10;

/// At most `wanted` of the events that are asked for and may be seen, newest first, from before an event on.
///
/// # Errors
/// What the database says.
pub fn part(conn: &mut Conn, who: &Principal, asked: &Asked, before: Option<i64>, wanted: usize) -> Result<Part> {
    let end = event::table.select(max(event::enqueued)).get_result::<Option<i64>>(conn)?.map_or(0, |last| last + 1);
    // Whatever a cursor says, there is nothing behind the last event to walk through.
    let mut before = before.map_or(end, |number| number.min(end));
    let (mut seen, mut sight) = (Vec::new(), Sight::default());
    for _ in 0..QUERIES {
        let from = before.saturating_sub(WINDOW).max(0);
        let rows = batch(conn, asked, from, before)?;
        before = match rows.last() {
            Some(last) if i64::try_from(rows.len()).is_ok_and(|n| n == BATCH) => last.enqueued,
            _ => from,
        };
        let (visible, of_these) = visible(conn, who, rows)?;
        seen.extend(visible);
        sight.extend(of_these);
        if seen.len() > wanted {
            seen.truncate(wanted);
            before = seen.last().map_or(before, |e| e.enqueued);
            break;
        }
        if before == 0 {
            break;
        }
    }
    Ok(Part { entries: entries(conn, who, seen, &sight)?, next: (before > 0).then_some(before) })
}

fn batch(conn: &mut Conn, asked: &Asked, from: i64, before: i64) -> Result<Vec<Event>> {
    let mut query = event::table
        .into_boxed::<MultiBackend>()
        .filter(event::enqueued.ge(from))
        .filter(event::enqueued.lt(before))
        .order(event::enqueued.desc())
        .limit(BATCH);
    if !asked.kinds.is_empty() {
        query = query.filter(event::record_kind.eq_any(asked.kinds.clone()));
    }
    if !asked.actions.is_empty() {
        query = query.filter(event::action.eq_any(asked.actions.clone()));
    }
    if !asked.people.is_empty() {
        let people = asked.people.iter().map(|id| id.any()).collect::<Vec<_>>();
        query = query.filter(event::actor_id.assume_not_null().eq_any(people));
    }
    if let Some(from) = asked.from {
        query = query.filter(event::at.ge(from));
    }
    if let Some(to) = asked.to {
        query = query.filter(event::at.le(to));
    }
    if let Some(theirs) = of_organizations(&asked.organizations) {
        query = query.filter(theirs);
    }
    query.select(COLUMNS).load::<Row>(conn)?.into_iter().map(Event::of).collect()
}

/// The events of the records of these organizations, and of themselves.
fn of_organizations(asked: &[OrganizationId]) -> Option<Sees<event::table>> {
    if asked.is_empty() {
        return None;
    }
    let these = || asked.to_vec();
    let trials = || trial::table.filter(trial::clinic_id.eq_any(these())).select(trial::id);
    let discoveries = || discovery::table.filter(discovery::lab_id.eq_any(these())).select(discovery::id);
    let findings = finding::table.filter(finding::trial_id.eq_any(trials())).select(finding::id);
    let insights = insight::table
        .filter(insight::clinic_id.eq_any(these()).or(insight::lab_id.eq_any(these())))
        .select(insight::id);
    let sponsored =
        pairing::organization_id.is_not_null().and(pairing::organization_id.assume_not_null().eq_any(these()));
    let pairings = pairing::table.filter(pairing::discovery_id.eq_any(discoveries()).or(sponsored)).select(pairing::id);
    let own: Vec<AnyId> = asked.iter().map(|id| AnyId::of(id.0)).collect();
    let conditions: Vec<Sees<event::table>> = vec![
        Box::new(event::record_id.eq_any(own)),
        Box::new(event::record_id.eq_any(discoveries())),
        Box::new(event::record_id.eq_any(trials())),
        Box::new(event::record_id.eq_any(findings)),
        Box::new(event::record_id.eq_any(insights)),
        Box::new(event::record_id.eq_any(pairings)),
    ];
    any_of(conditions.into_iter())
}
