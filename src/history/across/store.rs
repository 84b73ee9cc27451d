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
use diesel::prelude::*;

/// Events that are read at once.
const BATCH: i64 = 500;
/// Events that are looked at for one part: a reader who may see few of them is told how far they have come.
const LOOKED_AT: usize = 5000;

/// At most `wanted` of the events that are asked for and may be seen: newest first, or oldest first, from behind an event on.
///
/// # Errors
/// What the database says.
pub fn part(
    conn: &mut Conn,
    who: &Principal,
    asked: &Asked,
    newest_first: bool,
    after: Option<i64>,
    wanted: usize,
) -> Result<Part> {
    let (mut after, mut looked_at) = (after, 0);
    let (mut seen, mut sight) = (Vec::new(), Sight::default());
    let next = loop {
        let rows = batch(conn, asked, newest_first, after)?;
        let last = i64::try_from(rows.len()).is_ok_and(|n| n < BATCH);
        looked_at += rows.len();
        after = rows.last().map(|e| e.enqueued).or(after);
        let (visible, of_these) = visible(conn, who, rows)?;
        seen.extend(visible);
        sight.extend(of_these);
        if seen.len() > wanted {
            seen.truncate(wanted);
            break seen.last().map(|e| e.enqueued);
        }
        if last {
            break None;
        }
        if looked_at >= LOOKED_AT {
            break after;
        }
    };
    Ok(Part { entries: entries(conn, who, seen, &sight)?, next })
}

fn batch(conn: &mut Conn, asked: &Asked, newest_first: bool, after: Option<i64>) -> Result<Vec<Event>> {
    let mut query = event::table.into_boxed::<MultiBackend>().limit(BATCH);
    query = if newest_first { query.order(event::enqueued.desc()) } else { query.order(event::enqueued.asc()) };
    if let Some(after) = after {
        query = if newest_first {
            query.filter(event::enqueued.lt(after))
        } else {
            query.filter(event::enqueued.gt(after))
        };
    }
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
