//! The only SQL of kept answers.
use super::{KEPT_SECONDS, Records, Repeatable};
use crate::{
    Error, Result,
    db::{
        Conn, MultiBackend, attempt,
        columns::{Doc, Time},
        impatiently,
        schema::idempotency,
    },
    error::Code,
    http::answer::Answer,
    id::PersonId,
};
use diesel::prelude::*;
use serde_json::Value;

/// The status that stands where an answer was erased: no good answer has it.
const ERASED: i32 = 410;

/// What a key was found to be.
#[derive(Debug, Clone)]
pub enum Claim {
    /// New: this transaction holds it until it ends.
    Fresh,
    /// Used, and its work done.
    Kept {
        /// Of the body it came with.
        digest: [u8; 32],
        /// What was answered.
        answer: Answer,
        /// The records the answer names.
        records: Records,
    },
    /// Used, and its work done; what was answered was erased.
    Erased,
}

/// Takes the key, waiting at most a second for another request that holds it.
///
/// # Errors
/// 409 where another request holds it for longer.
pub fn claim(conn: &mut Conn, who: PersonId, request: &Repeatable, at: Time) -> Result<Claim> {
    if let Some(kept) = find(conn, who, request, at)? {
        return Ok(kept);
    }
    let taken = impatiently(conn, |conn| attempt(conn, |conn| insert(conn, who, request, at)));
    match taken {
        Ok(()) => Ok(Claim::Fresh),
        Err(e) if e.is_unique_violation() => find(conn, who, request, at)?.ok_or_else(still_running),
        Err(e) if e.timed_out_waiting() => Err(still_running()),
        Err(e) => Err(e),
    }
}

fn still_running() -> Error {
    Error::refused(Code::InProgress, "The first request under this key is still running.")
}

type Row = (Vec<u8>, Option<i32>, Option<String>, Option<String>, Option<Doc<Records>>, Option<String>);

fn find(conn: &mut Conn, who: PersonId, request: &Repeatable, at: Time) -> Result<Option<Claim>> {
    let row: Option<Row> = idempotency::table
        .find((who, &request.route, &request.key))
        .filter(idempotency::created_at.gt(at.plus_seconds(-KEPT_SECONDS)))
        .select((
            idempotency::digest,
            idempotency::status,
            idempotency::location,
            idempotency::etag,
            idempotency::records,
            idempotency::body,
        ))
        .get_result(conn)
        .optional()?;
    let Some((digest, status, location, etag, records, body)) = row else { return Ok(None) };
    let unreadable = || Error::Internal("a kept answer cannot be read".into());
    let status = status.ok_or_else(unreadable)?;
    if status == ERASED {
        return Ok(Some(Claim::Erased));
    }
    Ok(Some(Claim::Kept {
        digest: digest.try_into().map_err(|_| unreadable())?,
        answer: Answer { location, etag, body, ..Answer::empty(u16::try_from(status).map_err(|_| unreadable())?) },
        records: records.map(|r| r.0).unwrap_or_default(),
    }))
}

/// Destroys what is kept for repetitions, whosever it is, but for the keys: any of it may tell what was erased, and what was
/// done under a key is still not to be done twice.
///
/// # Errors
/// What the database says.
pub fn erase(conn: &mut Conn) -> Result<()> {
    let nothing: Option<String> = None;
    let erased = (
        idempotency::digest.eq(vec![0; 32]),
        idempotency::status.eq(ERASED),
        idempotency::location.eq(nothing.clone()),
        idempotency::etag.eq(nothing.clone()),
        idempotency::records.eq(None::<Doc<Records>>),
        idempotency::body.eq(nothing),
    );
    diesel::update(idempotency::table).set(erased).execute(conn)?;
    Ok(())
}

/// In place of one that is too old to count.
fn insert(conn: &mut Conn, who: PersonId, request: &Repeatable, at: Time) -> Result<()> {
    let expired = idempotency::created_at.le(at.plus_seconds(-KEPT_SECONDS));
    let own = idempotency::table.find((who, &request.route, &request.key));
    diesel::delete(own.filter(expired)).execute(conn)?;
    let row = (
        idempotency::person_id.eq(who),
        idempotency::route.eq(&request.route),
        idempotency::key.eq(&request.key),
        idempotency::digest.eq(request.digest.to_vec()),
        idempotency::created_at.eq(at),
    );
    diesel::insert_into(idempotency::table).values(row).execute(conn)?;
    Ok(())
}

/// Keeps the answer, in the transaction of the work. What may be shown only once is not kept.
///
/// # Errors
/// What the database says.
pub fn keep(
    conn: &mut Conn,
    who: PersonId,
    request: &Repeatable,
    answer: &Answer,
    records: &Records,
    mut body: Value,
) -> Result<()> {
    for pointer in &answer.once {
        if let Some(secret) = body.pointer_mut(pointer) {
            *secret = Value::Null;
        }
    }
    let text = if answer.once.is_empty() { answer.body.clone() } else { Some(body.to_string()) };
    let kept = (
        idempotency::status.eq(i32::from(answer.status)),
        idempotency::location.eq(&answer.location),
        idempotency::etag.eq(&answer.etag),
        idempotency::records.eq(Doc(records.clone())),
        idempotency::body.eq(text),
    );
    diesel::update(idempotency::table.find((who, &request.route, &request.key))).set(kept).execute(conn)?;
    Ok(())
}

/// Forgets at most so many answers that are too old to be repeated, and those of the same moment; answers how many.
///
/// # Errors
/// What the database says.
pub fn forget(conn: &mut Conn, at: Time, most: i64) -> Result<usize> {
    let expired = idempotency::created_at.lt(at.plus_seconds(-KEPT_SECONDS));
    let oldest: Vec<Time> = idempotency::table
        .into_boxed::<MultiBackend>()
        .filter(expired)
        .order(idempotency::created_at.asc())
        .select(idempotency::created_at)
        .limit(most)
        .load(conn)?;
    let Some(last) = oldest.last() else { return Ok(0) };
    Ok(diesel::delete(idempotency::table.filter(idempotency::created_at.le(*last))).execute(conn)?)
}
