//! The only SQL of signature challenges.
use super::{ATTEMPTS, Challenge, LIFETIME_SECONDS, Subject, digest, statement};
use crate::{
    Result,
    auth::policy::Principal,
    db::{Conn, MultiBackend, columns::Time, schema::signature_challenge as challenge},
    id::{AnyId, ChallengeId, PersonId},
};
use diesel::prelude::*;

/// Makes and keeps a challenge for this person to sign exactly this.
///
/// # Errors
/// What the database says.
pub fn issue(conn: &mut Conn, who: &Principal, subject: &Subject<'_>, code: &str) -> Result<Challenge> {
    let new = Challenge {
        id: subject.challenge,
        person_id: who.id,
        record_kind: subject.kind,
        record_id: AnyId::of(subject.record),
        record_version: subject.version,
        meaning: subject.meaning,
        digest: digest(subject, who)?.to_vec(),
        statement: statement(&who.name, code, subject.version, subject.meaning, subject.transition),
        issued_at: subject.issued_at,
        expires_at: subject.issued_at.plus_seconds(LIFETIME_SECONDS),
        attempts: 0,
        consumed_at: None,
        authenticated_at: None,
    };
    diesel::insert_into(challenge::table).values(&new).execute(conn)?;
    Ok(new)
}

/// This person's challenge, whatever its state.
///
/// # Errors
/// What the database says.
pub fn find(conn: &mut Conn, id: ChallengeId, who: PersonId) -> Result<Option<Challenge>> {
    let own = challenge::table.filter(challenge::id.eq(id)).filter(challenge::person_id.eq(who));
    Ok(own.get_result(conn).optional()?)
}

/// Counts one answer before it is checked, so that answers sent side by side cannot outrun the limit. False where the
/// challenge is not this person's, used, expired or void.
///
/// # Errors
/// What the database says.
pub fn reserve(conn: &mut Conn, id: ChallengeId, who: &Principal) -> Result<bool> {
    let open = challenge::table
        .filter(challenge::id.eq(id))
        .filter(challenge::person_id.eq(who.id))
        .filter(challenge::attempts.lt(ATTEMPTS))
        .filter(challenge::expires_at.gt(who.at))
        .filter(challenge::consumed_at.is_null());
    let counted = diesel::update(open).set(challenge::attempts.eq(challenge::attempts + 1)).execute(conn)?;
    Ok(counted > 0)
}

/// Takes back the count of a right answer whose move was refused for another reason.
///
/// # Errors
/// What the database says.
pub fn release(conn: &mut Conn, id: ChallengeId) -> Result<()> {
    let counted = challenge::table
        .filter(challenge::id.eq(id))
        .filter(challenge::attempts.gt(0))
        .filter(challenge::consumed_at.is_null());
    diesel::update(counted).set(challenge::attempts.eq(challenge::attempts - 1)).execute(conn)?;
    Ok(())
}

/// Whether somebody's challenge may still be answered.
///
/// # Errors
/// What the database says.
pub fn is_open(conn: &mut Conn, id: ChallengeId, at: Time) -> Result<bool> {
    let open = challenge::table
        .filter(challenge::id.eq(id))
        .filter(challenge::attempts.lt(ATTEMPTS))
        .filter(challenge::expires_at.gt(at))
        .filter(challenge::consumed_at.is_null());
    Ok(open.count().get_result::<i64>(conn)? > 0)
}

/// Notes that an identity provider authenticated this person for their challenge, at `when` in whole seconds; false where
/// the challenge is not theirs or over, or that was before it was issued.
///
/// # Errors
/// What the database says.
pub fn authenticated(conn: &mut Conn, id: ChallengeId, who: &Principal, when: i64) -> Result<bool> {
    let Some(issued) = find(conn, id, who.id)? else { return Ok(false) };
    if when < issued.issued_at.utc().timestamp() || !is_open(conn, id, who.at)? {
        return Ok(false);
    }
    let own = challenge::table.filter(challenge::id.eq(id)).filter(challenge::person_id.eq(who.id));
    Ok(diesel::update(own).set(challenge::authenticated_at.eq(who.at)).execute(conn)? > 0)
}

/// Uses the challenge up; false where another request was faster.
///
/// # Errors
/// What the database says.
pub fn consume(conn: &mut Conn, id: ChallengeId, at: Time) -> Result<bool> {
    let open = challenge::table.filter(challenge::id.eq(id)).filter(challenge::consumed_at.is_null());
    Ok(diesel::update(open).set(challenge::consumed_at.eq(at)).execute(conn)? > 0)
}

/// Forgets at most so many challenges that expired before a moment; answers how many.
///
/// # Errors
/// What the database says.
pub fn forget(conn: &mut Conn, before: Time, most: i64) -> Result<usize> {
    let over: Vec<ChallengeId> = challenge::table
        .into_boxed::<MultiBackend>()
        .filter(challenge::expires_at.lt(before))
        .select(challenge::id)
        .limit(most)
        .load(conn)?;
    Ok(diesel::delete(challenge::table.filter(challenge::id.eq_any(over))).execute(conn)?)
}
