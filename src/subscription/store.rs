//! The only SQL of subscriptions.
use super::{MOST, Subscription};
use crate::{
    Result,
    db::{
        Conn,
        schema::{event, subscription},
    },
    id::{PersonId, SubscriptionId},
};
use diesel::prelude::*;

/// What somebody follows, the latest first; at most [`MOST`].
///
/// # Errors
/// What the database says.
pub fn of(conn: &mut Conn, who: PersonId) -> Result<Vec<Subscription>> {
    let own = subscription::table.filter(subscription::person_id.eq(who));
    Ok(own.order((subscription::created_at.desc(), subscription::id.desc())).limit(MOST).load(conn)?)
}

/// The number of the last event there is: what comes later is news.
///
/// # Errors
/// What the database says.
pub fn last_event(conn: &mut Conn) -> Result<i64> {
    let last: Option<i64> = event::table.select(diesel::dsl::max(event::enqueued)).get_result(conn)?;
    Ok(last.unwrap_or_default())
}

/// Keeps a new one.
///
/// # Errors
/// What the database says.
pub fn insert(conn: &mut Conn, new: &Subscription) -> Result<()> {
    diesel::insert_into(subscription::table).values(new).execute(conn)?;
    Ok(())
}

/// Ends one of somebody's own; whether there was such a one.
///
/// # Errors
/// What the database says.
pub fn delete(conn: &mut Conn, who: PersonId, id: SubscriptionId) -> Result<bool> {
    let own = subscription::table.filter(subscription::id.eq(id)).filter(subscription::person_id.eq(who));
    Ok(diesel::delete(own).execute(conn)? > 0)
}
