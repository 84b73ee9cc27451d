//! The only SQL of sessions and their refresh tokens.
use super::{GRACE_SECONDS, IDLE_DAYS, OpaqueToken, Session, random};
use crate::{
    Error, Result,
    auth::policy::Principal,
    db::{
        Conn, MultiBackend,
        columns::Time,
        schema::{refresh_token, session},
    },
    id::{PersonId, SessionId},
    person,
};
use diesel::prelude::*;

/// Begins a session and answers its first refresh token.
///
/// # Errors
/// What the database says.
pub fn open(conn: &mut Conn, new: &Session) -> Result<OpaqueToken> {
    diesel::insert_into(session::table).values(new).execute(conn)?;
    let first = OpaqueToken::fresh(OpaqueToken::REFRESH)?;
    issue(conn, new.id, &first, new.created_at)?;
    Ok(first)
}

fn issue(conn: &mut Conn, id: SessionId, token: &OpaqueToken, at: Time) -> Result<()> {
    let row = (
        refresh_token::hash.eq(token.hash().to_vec()),
        refresh_token::session_id.eq(id),
        refresh_token::issued_at.eq(at),
    );
    diesel::insert_into(refresh_token::table).values(row).execute(conn)?;
    Ok(())
}

/// The person of a live session, with the roles and memberships they have now; `None` where the session has ended or is
/// another's, or the person is disabled.
///
/// # Errors
/// What the database says.
pub fn principal(conn: &mut Conn, who: PersonId, id: SessionId, at: Time) -> Result<Option<Principal>> {
    let own = session::table.filter(session::id.eq(id)).filter(session::person_id.eq(who));
    let Some(session) = own.get_result::<Session>(conn).optional()?.filter(|s| s.is_live(at)) else { return Ok(None) };
    let person = person::store::principal(conn, who, session.authn, at)?;
    Ok(person.map(|person| Principal { session: Some(id), ..person }))
}

/// What came of presenting a refresh token.
#[derive(Debug, Clone)]
pub enum Refreshed {
    /// The session goes on.
    Next {
        /// Whose it is.
        person: PersonId,
        /// Which.
        session: SessionId,
        /// The token for the next time.
        token: OpaqueToken,
    },
    /// It was used before: whoever holds the other copy, the session has ended.
    Replayed(SessionId),
    /// It is none, or its session has ended.
    Refused,
}

/// Trades a refresh token for its successor. A replay ends the session, and that must be kept: it is no error here.
///
/// # Errors
/// What the database says.
pub fn refresh(conn: &mut Conn, presented: &OpaqueToken, at: Time) -> Result<Refreshed> {
    let hash = presented.hash().to_vec();
    let named = refresh_token::table.filter(refresh_token::hash.eq(&hash));
    let found: Option<SessionId> = named.select(refresh_token::session_id).get_result(conn).optional()?;
    let Some(id) = found else { return Ok(Refreshed::Refused) };
    let session: Session = session::table.filter(session::id.eq(id)).get_result(conn)?;
    let person = person::store::principal(conn, session.person_id, session.authn, at)?;
    let Some(person) = person.filter(|_| session.is_live(at)) else { return Ok(Refreshed::Refused) };

    let seed = random()?;
    let unused = refresh_token::table.filter(refresh_token::hash.eq(&hash)).filter(refresh_token::used_at.is_null());
    let use_up = (refresh_token::used_at.eq(at), refresh_token::seed.eq(seed.to_vec()));
    if diesel::update(unused).set(use_up).execute(conn)? > 0 {
        let token = presented.successor(&seed);
        issue(conn, id, &token, at)?;
        let used = (session::last_used_at.eq(at), session::expires_at.eq(Session::expiry(session.created_at, at)));
        diesel::update(session::table.filter(session::id.eq(id))).set(used).execute(conn)?;
        forget_long_used(conn, id, at)?;
        return Ok(Refreshed::Next { person: person.id, session: id, token });
    }
    match retried(conn, presented, &hash, at)? {
        Some(token) => Ok(Refreshed::Next { person: person.id, session: id, token }),
        None => {
            end(conn, person.id, id, at)?;
            Ok(Refreshed::Replayed(id))
        }
    }
}

/// Forgets tokens of a session that were used so long ago that nobody who kept one counts on it any more.
///
/// Of a theft one hears when the one who was robbed sends a token that the thief has used; whenever that is, it must be
/// found, or the thief stays in. They may come back as late as their session would have ended for them, idle: until then
/// each used token is kept. Whoever comes later signs in anew anyway.
fn forget_long_used(conn: &mut Conn, id: SessionId, at: Time) -> Result<()> {
    let own = refresh_token::table.filter(refresh_token::session_id.eq(id));
    let long_used = own.filter(refresh_token::used_at.lt(at.plus_days(-IDLE_DAYS)));
    diesel::delete(long_used).execute(conn)?;
    Ok(())
}

/// Whether there is such a refresh token: one that is none needs no turn at writing.
///
/// # Errors
/// What the database says.
pub fn is_known(conn: &mut Conn, presented: &OpaqueToken) -> Result<bool> {
    let named = refresh_token::table.filter(refresh_token::hash.eq(presented.hash().to_vec()));
    Ok(named.count().get_result::<i64>(conn)? > 0)
}

/// The successor of a token that was used a moment ago, unless that has been used itself.
fn retried(conn: &mut Conn, presented: &OpaqueToken, hash: &[u8], at: Time) -> Result<Option<OpaqueToken>> {
    let used: (Option<Time>, Option<Vec<u8>>) = refresh_token::table
        .filter(refresh_token::hash.eq(hash))
        .select((refresh_token::used_at, refresh_token::seed))
        .get_result(conn)?;
    let (Some(used_at), Some(seed)) = used else {
        return Err(Error::Internal("a refresh token is used and has no seed".into()));
    };
    if at > used_at.plus_seconds(GRACE_SECONDS) {
        return Ok(None);
    }
    let successor = presented.successor(&seed);
    let unused = refresh_token::table
        .filter(refresh_token::hash.eq(successor.hash().to_vec()))
        .filter(refresh_token::used_at.is_null());
    Ok((unused.count().get_result::<i64>(conn)? > 0).then_some(successor))
}

/// Ends one of somebody's live sessions; false where there is no such live one.
///
/// # Errors
/// What the database says.
pub fn end(conn: &mut Conn, who: PersonId, id: SessionId, at: Time) -> Result<bool> {
    let own = session::table
        .filter(session::id.eq(id))
        .filter(session::person_id.eq(who))
        .filter(session::ended_at.is_null())
        .filter(session::expires_at.gt(at));
    Ok(diesel::update(own).set(session::ended_at.eq(at)).execute(conn)? > 0)
}

/// Ends all of somebody's sessions but one.
///
/// # Errors
/// What the database says.
pub fn end_others(conn: &mut Conn, who: PersonId, but: Option<SessionId>, at: Time) -> Result<()> {
    let own = session::table.filter(session::person_id.eq(who)).filter(session::ended_at.is_null());
    match but {
        Some(kept) => diesel::update(own.filter(session::id.ne(kept))).set(session::ended_at.eq(at)).execute(conn)?,
        None => diesel::update(own).set(session::ended_at.eq(at)).execute(conn)?,
    };
    Ok(())
}

/// Somebody's live sessions, latest use first; at most 1 000.
///
/// # Errors
/// What the database says.
pub fn list(conn: &mut Conn, who: PersonId, at: Time) -> Result<Vec<Session>> {
    let live = session::table
        .into_boxed::<MultiBackend>()
        .filter(session::person_id.eq(who))
        .filter(session::ended_at.is_null())
        .filter(session::expires_at.gt(at))
        .order((session::last_used_at.desc(), session::id.desc()))
        .limit(1000);
    Ok(live.load(conn)?)
}

/// Forgets sessions that ended or expired before a moment, their tokens first: at most so many rows; answers how many.
///
/// # Errors
/// What the database says.
pub fn forget(conn: &mut Conn, before: Time, most: i64) -> Result<usize> {
    let over: Vec<SessionId> = session::table
        .into_boxed::<MultiBackend>()
        .filter(session::expires_at.lt(before).or(session::ended_at.lt(before)))
        .select(session::id)
        .limit(most)
        .load(conn)?;
    let tokens: Vec<Vec<u8>> = refresh_token::table
        .into_boxed::<MultiBackend>()
        .filter(refresh_token::session_id.eq_any(over.clone()))
        .select(refresh_token::hash)
        .limit(most)
        .load(conn)?;
    // As many as were found, not as were deleted: another node may be at the same ones.
    let more_are_left = i64::try_from(tokens.len()).is_ok_and(|found| found >= most);
    let gone = diesel::delete(refresh_token::table.filter(refresh_token::hash.eq_any(tokens))).execute(conn)?;
    if more_are_left {
        return Ok(gone);
    }
    Ok(gone + diesel::delete(session::table.filter(session::id.eq_any(over))).execute(conn)?)
}
