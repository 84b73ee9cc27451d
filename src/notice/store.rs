//! The only SQL of notifications: a fixed number of queries, however much there is.
use super::Ties;
use crate::{
    Result,
    auth::policy::Principal,
    db::{
        Conn, each_backend,
        schema::{discovery, event, finding, insight, log_leaf, notice_mark, pairing, subscription, trial},
    },
    id::{AnyId, OrganizationId, PersonId},
};
use diesel::prelude::*;
use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};
use uuid::Uuid;

/// An event by its position and its number.
pub type Place = (i64, i64);

/// Whether an event is of a record that somebody owns: of one type, so that it can stand in a subquery.
macro_rules! owned_by {
    ($who:expr) => {{
        let discoveries = discovery::table.filter(discovery::owner_id.eq($who)).select(discovery::id);
        let trials = trial::table.filter(trial::owner_id.eq($who)).select(trial::id);
        let findings = finding::table.filter(finding::owner_id.eq($who)).select(finding::id);
        let insights = insight::table.filter(insight::owner_id.eq($who)).select(insight::id);
        let pairings = pairing::table.filter(pairing::owner_id.eq($who)).select(pairing::id);
        let owned = event::record_id.eq_any(discoveries).or(event::record_id.eq_any(trials));
        let owned = owned.or(event::record_id.eq_any(findings)).or(event::record_id.eq_any(insights));
        owned.or(event::record_id.eq_any(pairings))
    }};
}

/// Whether an event is of what somebody follows, whenever it was: of one type as well.
macro_rules! followed_by {
    ($who:expr) => {{
        let own = || subscription::table.filter(subscription::person_id.eq($who));
        let records =
            own().filter(subscription::record_id.is_not_null()).select(subscription::record_id.assume_not_null());
        let labs = || own().filter(subscription::lab_id.is_not_null()).select(subscription::lab_id.assume_not_null());
        let of_labs = discovery::table.filter(discovery::lab_id.eq_any(labs())).select(discovery::id);
        let put_to_labs = insight::table.filter(insight::lab_id.eq_any(labs())).select(insight::id);
        let pattern = || subscription::pattern.assume_not_null();
        let discoveries = discovery::table
            .inner_join(subscription::table.on(discovery::terms.like(pattern()).escape('\\')))
            .filter(subscription::person_id.eq($who))
            .select(discovery::id);
        let trials = trial::table
            .inner_join(subscription::table.on(trial::terms.like(pattern()).escape('\\')))
            .filter(subscription::person_id.eq($who))
            .select(trial::id);
        let followed = event::record_id.eq_any(records).or(event::record_id.eq_any(of_labs));
        let followed = followed.or(event::record_id.eq_any(put_to_labs));
        followed.or(event::record_id.eq_any(discoveries)).or(event::record_id.eq_any(trials))
    }};
}

/// The events within some positions of a generation that are of records which somebody owns or follows now, but not acts of
/// their own; the newest first. What came before a subscription is among them.
///
/// # Errors
/// What the database says.
pub fn concerning(
    conn: &mut Conn,
    who: &Principal,
    generation: i64,
    positions: Range<i64>,
    limit: i64,
) -> Result<Vec<Place>> {
    let of_others = event::actor_id.is_null().or(event::actor_id.assume_not_null().ne(who.id));
    let events = event::table
        .filter(owned_by!(who.id).or(followed_by!(who.id)))
        .filter(of_others)
        .select(event::enqueued.nullable());
    let places = log_leaf::table
        .filter(log_leaf::generation.eq(generation))
        .filter(log_leaf::position.ge(positions.start))
        .filter(log_leaf::position.lt(positions.end))
        .filter(log_leaf::enqueued.eq_any(events))
        .order(log_leaf::position.desc())
        .select((log_leaf::position, log_leaf::enqueued.assume_not_null()))
        .limit(limit);
    Ok(places.load(conn)?)
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
