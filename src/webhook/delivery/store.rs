//! The only SQL of deliveries, and of how far each webhook has come in the log.
use super::{
    Delivery, MOST_PENDING, TRIED_FOR_SECONDS,
    facts::store::{done_between, facts, records},
};
use crate::{
    Error, Result,
    auth::policy::Principal,
    db::{
        Conn, MultiBackend, clock_seconds,
        columns::Time,
        each_backend,
        schema::{webhook, webhook_cursor, webhook_delivery},
    },
    error::Code,
    history,
    id::{AnyId, DeliveryId, WebhookId},
    ledger::log::{self, Stored},
    vocabulary::{DeliveryState, WebhookState},
    webhook::Webhook,
};
use diesel::prelude::*;
use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

/// For how long a node has a webhook to itself, in seconds, unless it renews that.
const CLAIM_SECONDS: i64 = 60;
/// For how long at least a node must have it still when it sends, in seconds: a try takes ten at most, and is noted then.
const SENT_WITHIN_SECONDS: i64 = 20;
/// Events that are looked at at once.
const LOOKED_AT: i64 = 200;
/// Leaves that are gone through at once for what is to be delivered again, wanted or not: what is seldom must not hold up
/// the writer.
const PASSED: i64 = 20_000;
/// So many leaves that a webhook does not ask for are passed without noting it.
const PASSED_AT_ONCE: i64 = 1000;

/// Where a webhook goes on in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// In which generation.
    pub generation: i64,
    /// The position of the first leaf that was not looked at.
    pub position: i64,
}

/// A webhook that a node has to itself for a while. The fence rises with each claim.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// Which webhook.
    pub webhook: WebhookId,
    fence: i64,
}

/// A new webhook hears of what comes after this moment.
///
/// # Errors
/// What the database says.
pub fn begin(conn: &mut Conn, id: WebhookId) -> Result<()> {
    let place = match log::latest(conn)? {
        Some(newest) => {
            Place { generation: newest.generation, position: i64::try_from(newest.size).unwrap_or(i64::MAX) }
        }
        None => Place { generation: 1, position: 0 },
    };
    let row = (
        webhook_cursor::webhook_id.eq(id),
        webhook_cursor::generation.eq(place.generation),
        webhook_cursor::position.eq(place.position),
        webhook_cursor::claimed_until.eq(0),
        webhook_cursor::fence.eq(0),
    );
    diesel::insert_into(webhook_cursor::table).values(row).execute(conn)?;
    Ok(())
}

/// Where all of these go on.
///
/// # Errors
/// What the database says.
pub fn places(conn: &mut Conn, ids: &[WebhookId]) -> Result<HashMap<WebhookId, Place>> {
    let rows: Vec<(WebhookId, i64, i64)> = webhook_cursor::table
        .filter(webhook_cursor::webhook_id.eq_any(ids))
        .select((webhook_cursor::webhook_id, webhook_cursor::generation, webhook_cursor::position))
        .load(conn)?;
    Ok(rows.into_iter().map(|(id, generation, position)| (id, Place { generation, position })).collect())
}

/// The webhooks with a delivery that waits and whose time has come.
///
/// # Errors
/// What the database says.
pub fn with_due(conn: &mut Conn, at: Time) -> Result<HashSet<WebhookId>> {
    let waiting = webhook_delivery::table
        .filter(webhook_delivery::state.eq(DeliveryState::Pending))
        .filter(webhook_delivery::next_at.le(at))
        .select(webhook_delivery::webhook_id)
        .distinct();
    Ok(waiting.load(conn)?.into_iter().collect())
}

/// Takes a webhook for a while, unless another node has it.
///
/// # Errors
/// What the database says.
pub fn claim(conn: &mut Conn, webhook: WebhookId, me: AnyId) -> Result<Option<Claim>> {
    let now = clock_seconds(conn)?;
    type Held = (i64, i64, Option<AnyId>);
    let held: Option<Held> = webhook_cursor::table
        .filter(webhook_cursor::webhook_id.eq(webhook))
        .select((webhook_cursor::fence, webhook_cursor::claimed_until, webhook_cursor::claimed_by))
        .get_result(conn)
        .optional()?;
    let Some((fence, until, by)) = held else { return Ok(None) };
    if until > now && by != Some(me) {
        return Ok(None);
    }
    // Of two nodes that found it free the second finds another fence.
    let row =
        webhook_cursor::table.filter(webhook_cursor::webhook_id.eq(webhook)).filter(webhook_cursor::fence.eq(fence));
    let taken = (
        webhook_cursor::claimed_by.eq(Some(me)),
        webhook_cursor::claimed_until.eq(now + CLAIM_SECONDS),
        webhook_cursor::fence.eq(fence + 1),
    );
    let is_taken = diesel::update(row).set(taken).execute(conn)? == 1;
    Ok(is_taken.then_some(Claim { webhook, fence: fence + 1 }))
}

/// Whether it is had for long enough still that a delivery can be sent and noted.
///
/// # Errors
/// What the database says.
pub fn holds(conn: &mut Conn, claim: Claim) -> Result<bool> {
    let until = clock_seconds(conn)? + SENT_WITHIN_SECONDS;
    let own = webhook_cursor::table
        .filter(webhook_cursor::webhook_id.eq(claim.webhook))
        .filter(webhook_cursor::fence.eq(claim.fence))
        .filter(webhook_cursor::claimed_until.ge(until));
    Ok(own.select(webhook_cursor::fence).get_result::<i64>(conn).optional()?.is_some())
}

/// Goes on having it; false where another node has taken it meanwhile.
///
/// # Errors
/// What the database says.
pub fn renew(conn: &mut Conn, claim: Claim) -> Result<bool> {
    let until = clock_seconds(conn)? + CLAIM_SECONDS;
    hold_until(conn, claim, until)
}

/// Leaves it to others.
///
/// # Errors
/// What the database says.
pub fn release(conn: &mut Conn, claim: Claim) -> Result<()> {
    hold_until(conn, claim, 0).map(drop)
}

fn hold_until(conn: &mut Conn, claim: Claim, until: i64) -> Result<bool> {
    let own = webhook_cursor::table
        .filter(webhook_cursor::webhook_id.eq(claim.webhook))
        .filter(webhook_cursor::fence.eq(claim.fence));
    Ok(diesel::update(own).set(webhook_cursor::claimed_until.eq(until)).execute(conn)? == 1)
}

/// Where the webhook goes on in this generation: behind the last event that it passed, wherever that stands now.
fn place_in(conn: &mut Conn, place: Place, log: &Stored) -> Result<i64> {
    if place.generation >= log.generation {
        return Ok(place.position);
    }
    let Some(passed) = log::last_event_below(conn, place.generation, place.position)? else { return Ok(0) };
    Ok(log::positions(conn, log.generation, &[passed])?.get(&passed).map_or(0, |position| position + 1))
}

/// Those of the webhooks that have something to look at in the log, in a fixed number of queries; what is not for them is
/// passed now and then.
///
/// # Errors
/// What the database says.
pub fn behind(conn: &mut Conn, webhooks: &[Webhook], log: &Stored) -> Result<HashSet<WebhookId>> {
    let places = places(conn, &webhooks.iter().map(|webhook| webhook.id).collect::<Vec<_>>())?;
    let size = size_of(log);
    let (mut behind, mut near) = (HashSet::new(), Vec::new());
    for webhook in webhooks {
        let Some(place) = places.get(&webhook.id) else { continue };
        if place.generation < log.generation
            || place.generation == log.generation && size - place.position > PASSED_AT_ONCE
        {
            behind.insert(webhook.id);
        } else if place.generation == log.generation && place.position < size {
            near.push((webhook, place.position));
        }
    }
    let Some(first) = near.iter().map(|(_, position)| *position).min() else { return Ok(behind) };
    let done = done_between(conn, log.generation, first..size)?;
    for (webhook, from) in near {
        if done.iter().any(|(position, kind, action)| *position >= from && webhook.asks_for(*kind, *action)) {
            behind.insert(webhook.id);
        }
    }
    Ok(behind)
}

fn size_of(log: &Stored) -> i64 {
    i64::try_from(log.size).unwrap_or(i64::MAX)
}

/// Looks on in the log and notes what the webhook asks for and its owner may see; the caller has claimed it. Answers whether
/// there is more.
///
/// # Errors
/// What the database says.
pub fn look_on(conn: &mut Conn, webhook: &Webhook, owner: &Principal, log: &Stored, at: Time) -> Result<bool> {
    let Some(place) = places(conn, &[webhook.id])?.remove(&webhook.id) else { return Ok(false) };
    let size = size_of(log);
    if place.generation > log.generation || waiting_count(conn, webhook.id)? + LOOKED_AT > MOST_PENDING {
        return Ok(false);
    }
    let from = place_in(conn, place, log)?;
    // A node that has seen less than another sets nothing back.
    if from > size || from == size && place.generation == log.generation {
        return Ok(false);
    }
    let end = size.min(from.saturating_add(PASSED));
    let rows = log::wanted(conn, log.generation, from..end, &webhook.wanted(), LOOKED_AT)?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|n| n == LOOKED_AT);
    let until = rows.last().filter(|_| is_full).map_or(end, |(position, _)| position + 1);
    let numbers: Vec<i64> = rows.iter().map(|(_, number)| *number).collect();
    let new = asked_for(conn, webhook, owner, &numbers, at)?;
    insert(conn, &new)?;
    let place = (webhook_cursor::generation.eq(log.generation), webhook_cursor::position.eq(until));
    diesel::update(webhook_cursor::table.filter(webhook_cursor::webhook_id.eq(webhook.id))).set(place).execute(conn)?;
    Ok(until < size)
}

/// Deliveries of those of the events that the webhook asks for and its owner may see.
fn asked_for(
    conn: &mut Conn,
    webhook: &Webhook,
    owner: &Principal,
    numbers: &[i64],
    at: Time,
) -> Result<Vec<Delivery>> {
    let records = records(conn, numbers)?;
    let about = |number: &i64| records.get(number).map(|(_, id)| *id);
    let facts = if webhook.asks_about_records() {
        facts(conn, owner, &records.values().copied().collect::<Vec<_>>())?
    } else {
        HashMap::new()
    };
    let is_asked_for = |number: &i64| match about(number).and_then(|id| facts.get(&id)) {
        Some(facts) => webhook.is_about(facts.steward, &facts.terms),
        None => !webhook.asks_about_records(),
    };
    let asked: Vec<i64> = numbers.iter().copied().filter(is_asked_for).collect();
    let seen = history::store::seen_of(conn, owner, &asked)?;
    let delivery = |(number, record)| Delivery::pending(webhook.id, number, AnyId::of(record), at);
    Ok(seen.into_iter().map(delivery).collect())
}

/// Notes deliveries, but those that are noted.
fn insert(conn: &mut Conn, new: &[Delivery]) -> Result<()> {
    if !new.is_empty() {
        each_backend!(conn, |c| diesel::insert_into(webhook_delivery::table)
            .values(new)
            .on_conflict_do_nothing()
            .execute(c))?;
    }
    Ok(())
}

fn waiting_count(conn: &mut Conn, webhook: WebhookId) -> Result<i64> {
    Ok(webhook_delivery::table
        .filter(webhook_delivery::webhook_id.eq(webhook))
        .filter(webhook_delivery::state.eq(DeliveryState::Pending))
        .count()
        .get_result(conn)?)
}

/// What waits, in the order of the events.
///
/// # Errors
/// What the database says.
pub fn waiting(conn: &mut Conn, webhook: WebhookId) -> Result<Vec<Delivery>> {
    let waiting = webhook_delivery::table
        .filter(webhook_delivery::webhook_id.eq(webhook))
        .filter(webhook_delivery::state.eq(DeliveryState::Pending));
    Ok(waiting.order(webhook_delivery::enqueued).limit(2 * MOST_PENDING).load(conn)?)
}

/// Notes what came of a try. What was asked for again meanwhile stays as it is. What waited for a whole day beside one that is
/// put aside is put aside with it, if it is of the same record, or if `alone` it was sent to a receiver that does not answer at
/// all: it would otherwise have a day of its own, and what is behind it another one.
///
/// # Errors
/// What the database says.
pub fn note(conn: &mut Conn, tried: &Delivery, alone: bool) -> Result<()> {
    let row = webhook_delivery::table
        .filter(webhook_delivery::id.eq(tried.id))
        .filter(webhook_delivery::round.eq(tried.round))
        .filter(webhook_delivery::state.eq(DeliveryState::Pending));
    let outcome = (
        webhook_delivery::state.eq(tried.state),
        webhook_delivery::attempts.eq(tried.attempts),
        webhook_delivery::next_at.eq(tried.next_at),
        webhook_delivery::first_tried_at.eq(tried.first_tried_at),
        webhook_delivery::settled_at.eq(tried.settled_at),
        webhook_delivery::last_status.eq(tried.last_status),
        webhook_delivery::last_error.eq(tried.last_error),
    );
    let is_noted = diesel::update(row).set(outcome).execute(conn)? == 1;
    match tried.settled_at.filter(|_| is_noted && tried.state == DeliveryState::Parked) {
        Some(at) => park_beside(conn, tried, alone && tried.is_unanswered(), at),
        None => Ok(()),
    }
}

fn park_beside(conn: &mut Conn, parked: &Delivery, all: bool, at: Time) -> Result<()> {
    let beside = webhook_delivery::webhook_id
        .eq(parked.webhook_id)
        .and(webhook_delivery::state.eq(DeliveryState::Pending))
        .and(webhook_delivery::created_at.lt(at.plus_seconds(-TRIED_FOR_SECONDS)));
    let aside = (webhook_delivery::state.eq(DeliveryState::Parked), webhook_delivery::settled_at.eq(Some(at)));
    if all {
        diesel::update(webhook_delivery::table.filter(beside)).set(aside).execute(conn)?;
    } else {
        let behind = beside.and(webhook_delivery::record_id.eq(parked.record_id));
        diesel::update(webhook_delivery::table.filter(behind)).set(aside).execute(conn)?;
    }
    Ok(())
}

/// Has the events of a range of the log delivered again, those that the webhook asks for and its owner may see: as many as may
/// wait yet. Answers how many, and up to where the range was gone through. What the webhook has not come to is delivered
/// anyway, and in its order only then.
///
/// # Errors
/// 409 where as many wait already as may.
pub fn ask_again(
    conn: &mut Conn,
    webhook: &Webhook,
    owner: &Principal,
    log: &Stored,
    range: Range<i64>,
    at: Time,
) -> Result<(usize, i64)> {
    let room = MOST_PENDING - waiting_count(conn, webhook.id)?;
    if room <= 0 {
        let detail = format!("{MOST_PENDING} deliveries wait already: ask again when some are made.");
        return Err(Error::refused(Code::Conflict, detail));
    }
    let come_to = match places(conn, &[webhook.id])?.remove(&webhook.id) {
        Some(place) => place_in(conn, place, log)?,
        None => 0,
    };
    let passed = range.end.min(range.start.saturating_add(PASSED));
    let rows = log::wanted(conn, log.generation, range.start..passed.min(come_to), &webhook.wanted(), room)?;
    let full = i64::try_from(rows.len()).is_ok_and(|n| n == room);
    let end = if passed < come_to { passed } else { range.end };
    let until = rows.last().filter(|_| full).map_or(end, |(position, _)| position + 1);
    let numbers: Vec<i64> = rows.iter().map(|(_, number)| *number).collect();
    let asked = asked_for(conn, webhook, owner, &numbers, at)?;
    let numbers: Vec<i64> = asked.iter().map(|one| one.enqueued).collect();
    let known = webhook_delivery::table
        .filter(webhook_delivery::webhook_id.eq(webhook.id))
        .filter(webhook_delivery::enqueued.eq_any(numbers));
    let anew = (
        webhook_delivery::state.eq(DeliveryState::Pending),
        webhook_delivery::round.eq(webhook_delivery::round + 1),
        webhook_delivery::attempts.eq(0),
        webhook_delivery::created_at.eq(at),
        webhook_delivery::next_at.eq(at),
        webhook_delivery::first_tried_at.eq(None::<Time>),
        webhook_delivery::settled_at.eq(None::<Time>),
    );
    diesel::update(known).set(anew).execute(conn)?;
    insert(conn, &asked)?;
    Ok((asked.len(), until))
}

/// Some deliveries of a webhook in the order of their events, before or after one.
///
/// # Errors
/// What the database says.
pub fn list(
    conn: &mut Conn,
    webhook: WebhookId,
    states: &[DeliveryState],
    after: Option<i64>,
    descending: bool,
    limit: i64,
) -> Result<Vec<Delivery>> {
    let mut query = webhook_delivery::table
        .into_boxed::<MultiBackend>()
        .filter(webhook_delivery::webhook_id.eq(webhook))
        .limit(limit);
    if !states.is_empty() {
        query = query.filter(webhook_delivery::state.eq_any(states.to_vec()));
    }
    if let Some(after) = after {
        query = if descending {
            query.filter(webhook_delivery::enqueued.lt(after))
        } else {
            query.filter(webhook_delivery::enqueued.gt(after))
        };
    }
    let query = if descending {
        query.order(webhook_delivery::enqueued.desc())
    } else {
        query.order(webhook_delivery::enqueued.asc())
    };
    Ok(query.load(conn)?)
}

/// How many deliveries there are in a state.
///
/// # Errors
/// What the database says.
pub fn count(conn: &mut Conn, state: DeliveryState) -> Result<i64> {
    Ok(webhook_delivery::table.filter(webhook_delivery::state.eq(state)).count().get_result(conn)?)
}

/// Forgets at most so many that were delivered or left out before a moment; answers how many.
///
/// # Errors
/// What the database says.
pub fn forget_settled(conn: &mut Conn, before: Time, most: i64) -> Result<usize> {
    let over = webhook_delivery::table
        .filter(webhook_delivery::state.eq_any([DeliveryState::Delivered, DeliveryState::Skipped]))
        .filter(webhook_delivery::settled_at.lt(before))
        .select(webhook_delivery::id)
        .limit(most);
    let over = over.load(conn)?;
    forget(conn, over)
}

/// Forgets at most so many that wait, or were put aside, since before a moment; answers how many. What waits and was never
/// tried is not forgotten, unless its webhook has ended: nobody has failed to take it.
///
/// # Errors
/// What the database says.
pub fn forget_unsettled(conn: &mut Conn, before: Time, most: i64) -> Result<usize> {
    let ended = webhook::table.filter(webhook::state.eq(WebhookState::Ended)).select(webhook::id);
    let given_up = webhook_delivery::state
        .eq(DeliveryState::Parked)
        .or(webhook_delivery::first_tried_at.is_not_null())
        .or(webhook_delivery::webhook_id.eq_any(ended));
    let over = webhook_delivery::table
        .filter(webhook_delivery::state.eq_any([DeliveryState::Pending, DeliveryState::Parked]))
        .filter(webhook_delivery::created_at.lt(before))
        .filter(given_up)
        .select(webhook_delivery::id)
        .limit(most);
    let over = over.load(conn)?;
    forget(conn, over)
}

fn forget(conn: &mut Conn, over: Vec<DeliveryId>) -> Result<usize> {
    Ok(diesel::delete(webhook_delivery::table.filter(webhook_delivery::id.eq_any(over))).execute(conn)?)
}
