//! The only SQL of notifications: a fixed number of queries, however much there is.
use super::Ties;
use crate::{
    Result,
    db::{
        Conn, MultiBackend, Sees, each_backend,
        schema::{discovery, event, finding, insight, log_leaf, notice_mark, pairing, subscription, trial},
    },
    id::{AnyId, OrganizationId, PersonId},
};
use diesel::{dsl::min, prelude::*};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Range,
};
use uuid::Uuid;

/// An event by its position and its number.
pub type Place = (i64, i64);

/// How many of the newest leaves are looked at first.
const FIRST_LOOK: i64 = 4096;
/// How many times as far back each next look goes, as long as there is less than was asked for.
const FURTHER: i64 = 64;

/// What tells the leaves of events, of this number or a later one, that others caused: one for each sort of records that somebody
/// owns or follows now. They are asked for one by one: to the events of each an index leads, to those of all at once none.
fn concerns(who: PersonId, first: i64) -> Vec<Sees<log_leaf::table>> {
    macro_rules! of {
        ($records:expr) => {
            Box::new(
                log_leaf::enqueued.assume_not_null().eq_any(
                    event::table
                        .filter(event::record_id.eq_any($records))
                        .filter(event::enqueued.ge(first))
                        .filter(event::actor_id.is_null().or(event::actor_id.assume_not_null().ne(who)))
                        .select(event::enqueued),
                ),
            )
        };
    }
    let own = || subscription::table.filter(subscription::person_id.eq(who));
    let labs = || own().filter(subscription::lab_id.is_not_null()).select(subscription::lab_id.assume_not_null());
    let pattern = || subscription::pattern.assume_not_null();
    let discoveries_about = discovery::table
        .inner_join(subscription::table.on(discovery::terms.like(pattern()).escape('\\')))
        .filter(subscription::person_id.eq(who));
    let trials_about = trial::table
        .inner_join(subscription::table.on(trial::terms.like(pattern()).escape('\\')))
        .filter(subscription::person_id.eq(who));
    vec![
        of!(discovery::table.filter(discovery::owner_id.eq(who)).select(discovery::id)),
        of!(trial::table.filter(trial::owner_id.eq(who)).select(trial::id)),
        of!(finding::table.filter(finding::owner_id.eq(who)).select(finding::id)),
        of!(insight::table.filter(insight::owner_id.eq(who)).select(insight::id)),
        of!(pairing::table.filter(pairing::owner_id.eq(who)).select(pairing::id)),
        of!(own().filter(subscription::record_id.is_not_null()).select(subscription::record_id.assume_not_null())),
        of!(discovery::table.filter(discovery::lab_id.eq_any(labs())).select(discovery::id)),
        of!(insight::table.filter(insight::lab_id.eq_any(labs())).select(insight::id)),
        of!(discoveries_about.select(discovery::id)),
        of!(trials_about.select(trial::id)),
    ]
}

/// The events within some positions of a generation that are of records which somebody owns or follows now, but not acts of
/// their own; the newest first. What came before a subscription is among them.
///
/// # Errors
/// What the database says.
pub fn concerning(
    conn: &mut Conn,
    who: PersonId,
    generation: i64,
    positions: Range<i64>,
    limit: usize,
) -> Result<Vec<Place>> {
    let mut leaves = FIRST_LOOK;
    loop {
        let start = positions.end.saturating_sub(leaves).max(positions.start);
        let places = concerning_since(conn, who, generation, start..positions.end, limit)?;
        if places.len() >= limit || start == positions.start {
            return Ok(places);
        }
        leaves = leaves.saturating_mul(FURTHER);
    }
}

fn concerning_since(
    conn: &mut Conn,
    who: PersonId,
    generation: i64,
    positions: Range<i64>,
    limit: usize,
) -> Result<Vec<Place>> {
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let within = || {
        log_leaf::table
            .filter(log_leaf::generation.eq(generation))
            .filter(log_leaf::position.ge(positions.start))
            .filter(log_leaf::position.lt(positions.end))
    };
    // Positions and numbers grow together, if not leaf by leaf: the least number bounds what is looked at of each record. By an
    // index on it PostgreSQL would look for it from the beginning of the log on; in a sum there is none.
    let first: Option<i64> = match positions.start {
        0 => Some(0), // all of them: nothing is to be looked for
        _ => within().select(min(log_leaf::enqueued + 0)).get_result(conn)?,
    };
    let Some(first) = first else { return Ok(Vec::new()) };
    let mut places = BTreeMap::new();
    for concern in concerns(who, first) {
        let found: Vec<Place> = within()
            .into_boxed::<MultiBackend>()
            .filter(concern)
            .order((log_leaf::position + 0).desc()) // by the bare position SQLite would walk the whole log
            .select((log_leaf::position, log_leaf::enqueued.assume_not_null()))
            .limit(most)
            .load(conn)?;
        places.extend(found);
    }
    Ok(places.into_iter().rev().take(limit).collect())
}

/// What makes each of the given records somebody's business, in a query for each kind that has an owner.
///
/// # Errors
/// What the database says.
pub fn ties(conn: &mut Conn, records: &HashSet<Uuid>) -> Result<HashMap<Uuid, Ties>> {
    type Tied = (AnyId, PersonId, Option<OrganizationId>, String);
    let ids = || records.iter().map(|id| AnyId::of(*id)).collect::<Vec<_>>();
    let mut tied: Vec<Tied> = Vec::new();
    let discoveries: Vec<(AnyId, PersonId, OrganizationId, String)> = discovery::table
        .filter(discovery::id.eq_any(ids()))
        .select((discovery::id, discovery::owner_id, discovery::lab_id, discovery::terms))
        .load(conn)?;
    tied.extend(discoveries.into_iter().map(|(id, owner, lab, terms)| (id, owner, Some(lab), terms)));
    let trials: Vec<(AnyId, PersonId, String)> =
        trial::table.filter(trial::id.eq_any(ids())).select((trial::id, trial::owner_id, trial::terms)).load(conn)?;
    tied.extend(trials.into_iter().map(|(id, owner, terms)| (id, owner, None, terms)));
    let insights: Vec<(AnyId, PersonId, OrganizationId)> = insight::table
        .filter(insight::id.eq_any(ids()))
        .select((insight::id, insight::owner_id, insight::lab_id))
        .load(conn)?;
    tied.extend(insights.into_iter().map(|(id, owner, lab)| (id, owner, Some(lab), String::new())));
    let mut owned: Vec<(AnyId, PersonId)> =
        finding::table.filter(finding::id.eq_any(ids())).select((finding::id, finding::owner_id)).load(conn)?;
    let pairings = pairing::table.filter(pairing::id.eq_any(ids())).select((pairing::id, pairing::owner_id));
    owned.extend(pairings.load::<(AnyId, PersonId)>(conn)?);
    tied.extend(owned.into_iter().map(|(id, owner)| (id, owner, None, String::new())));
    Ok(tied.into_iter().map(|(id, owner, lab, terms)| (id.0, Ties { owner, lab, terms })).collect())
}

/// The number of the last event at a position or before it; 0 where there is none.
///
/// # Errors
/// What the database says.
pub fn event_until(conn: &mut Conn, generation: i64, position: i64) -> Result<i64> {
    let found: Option<i64> = log_leaf::table
        .filter(log_leaf::generation.eq(generation))
        .filter(log_leaf::position.le(position))
        .filter(log_leaf::enqueued.is_not_null())
        .order(log_leaf::position.desc())
        .select(log_leaf::enqueued.assume_not_null())
        .limit(1)
        .get_result(conn)
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Up to which event somebody has read.
///
/// # Errors
/// What the database says.
pub fn read_until(conn: &mut Conn, who: PersonId) -> Result<Option<i64>> {
    let own = notice_mark::table.filter(notice_mark::person_id.eq(who));
    Ok(own.select(notice_mark::read_until).get_result(conn).optional()?)
}

/// Notes up to which event somebody has read.
///
/// # Errors
/// What the database says.
pub fn mark(conn: &mut Conn, who: PersonId, event: i64) -> Result<()> {
    let row = (notice_mark::person_id.eq(who), notice_mark::read_until.eq(event));
    let upsert = || diesel::insert_into(notice_mark::table).values(row);
    let read = notice_mark::read_until.eq(event);
    each_backend!(conn, |c| upsert().on_conflict(notice_mark::person_id).do_update().set(read).execute(c))?;
    Ok(())
}
