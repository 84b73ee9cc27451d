//! The only SQL of invitations.
use super::LIFETIME_SECONDS;
use crate::{
    Result,
    auth::session::OpaqueToken,
    db::{
        Conn, MultiBackend,
        columns::Time,
        schema::{invitation, person},
    },
    id::PersonId,
};
use diesel::prelude::*;

/// Issues an invitation in place of any before; answers it and until when it is good.
///
/// # Errors
/// What the database says.
pub fn issue(conn: &mut Conn, who: PersonId, at: Time) -> Result<(OpaqueToken, Time)> {
    void(conn, who)?;
    let (token, expires_at) = (OpaqueToken::fresh(OpaqueToken::INVITATION)?, at.plus_seconds(LIFETIME_SECONDS));
    let row = (
        invitation::hash.eq(token.hash().to_vec()),
        invitation::person_id.eq(who),
        invitation::created_at.eq(at),
        invitation::expires_at.eq(expires_at),
    );
    diesel::insert_into(invitation::table).values(row).execute(conn)?;
    Ok((token, expires_at))
}

/// Takes back somebody's invitation, if there is one.
///
/// # Errors
/// What the database says.
pub fn void(conn: &mut Conn, who: PersonId) -> Result<()> {
    diesel::delete(invitation::table.filter(invitation::person_id.eq(who))).execute(conn)?;
    Ok(())
}

/// Whom an invitation is for, and until when; `None` for one that is unknown or expired, or whose person is disabled.
///
/// # Errors
/// What the database says.
pub fn find(conn: &mut Conn, presented: &OpaqueToken, at: Time) -> Result<Option<(PersonId, Time)>> {
    let live = invitation::table
        .inner_join(person::table.on(person::id.eq(invitation::person_id)))
        .filter(invitation::hash.eq(presented.hash().to_vec()))
        .filter(invitation::expires_at.gt(at))
        .filter(person::disabled_at.is_null())
        .select((invitation::person_id, invitation::expires_at));
    Ok(live.get_result(conn).optional()?)
}

/// Uses an invitation up; false where another request was faster.
///
/// # Errors
/// What the database says.
pub fn use_up(conn: &mut Conn, presented: &OpaqueToken) -> Result<bool> {
    let named = invitation::table.filter(invitation::hash.eq(presented.hash().to_vec()));
    Ok(diesel::delete(named).execute(conn)? > 0)
}

/// Forgets at most so many invitations that expired before a moment; answers how many.
///
/// # Errors
/// What the database says.
pub fn forget(conn: &mut Conn, before: Time, most: i64) -> Result<usize> {
    let over: Vec<PersonId> = invitation::table
        .into_boxed::<MultiBackend>()
        .filter(invitation::expires_at.lt(before))
        .select(invitation::person_id)
        .limit(most)
        .load(conn)?;
    let over = invitation::table.filter(invitation::person_id.eq_any(over)).filter(invitation::expires_at.lt(before));
    Ok(diesel::delete(over).execute(conn)?)
}
