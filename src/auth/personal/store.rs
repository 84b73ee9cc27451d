//! The only SQL of personal access tokens.
use super::{MOST, NOTED_EVERY_SECONDS, PersonalToken};
use crate::{
    Result,
    auth::{
        policy::Principal,
        scope::{Grant, Scope},
        session::OpaqueToken,
    },
    db::{
        Conn, MultiBackend,
        columns::{Doc, Time},
        schema::{person, personal_token},
    },
    id::{OrganizationId, PersonId, TokenId},
    vocabulary::{Authn, Role},
};
use diesel::prelude::*;

/// The token that was presented, as far as a request asks.
#[derive(Debug, Clone, Copy)]
pub struct Presented {
    /// Which.
    pub id: TokenId,
    /// When its use was last noted.
    pub last_used_at: Option<Time>,
}

/// The person of a live token, with the roles and memberships they have now, limited to its scopes; `None` for any other
/// token and for a disabled person.
///
/// # Errors
/// What the database says.
pub fn principal(conn: &mut Conn, token: &OpaqueToken, at: Time) -> Result<Option<(Principal, Presented)>> {
    type Row = (TokenId, Option<Time>, Doc<Vec<Grant>>, PersonId, String, Doc<Vec<Role>>, Doc<Vec<OrganizationId>>);
    let row: Option<Row> = personal_token::table
        .inner_join(person::table.on(person::id.eq(personal_token::person_id)))
        .filter(personal_token::hash.eq(token.hash().to_vec()))
        .filter(personal_token::revoked_at.is_null())
        .filter(personal_token::expires_at.gt(at))
        .filter(person::disabled_at.is_null())
        .select((
            personal_token::id,
            personal_token::last_used_at,
            personal_token::scopes,
            person::id,
            person::name,
            person::roles,
            person::organizations,
        ))
        .get_result(conn)
        .optional()?;
    Ok(row.map(|(token, last_used_at, scopes, id, name, roles, organizations)| {
        let principal = Principal {
            id,
            name,
            roles: roles.0.into_iter().collect(),
            organizations: organizations.0,
            authn: Authn::Token,
            session: None,
            scope: Scope::of(scopes.0),
            at,
        };
        (principal, Presented { id: token, last_used_at })
    }))
}

/// Notes that a token was used, unless that was noted a moment ago.
///
/// # Errors
/// What the database says.
pub fn note_use(conn: &mut Conn, id: TokenId, at: Time) -> Result<()> {
    let before = at.plus_seconds(-NOTED_EVERY_SECONDS);
    let due = personal_token::last_used_at.is_null().or(personal_token::last_used_at.assume_not_null().le(before));
    let own = personal_token::table.filter(personal_token::id.eq(id)).filter(due);
    diesel::update(own).set(personal_token::last_used_at.eq(at)).execute(conn)?;
    Ok(())
}

/// Keeps a new token.
///
/// # Errors
/// What the database says.
pub fn insert(conn: &mut Conn, new: &PersonalToken) -> Result<()> {
    diesel::insert_into(personal_token::table).values(new).execute(conn)?;
    Ok(())
}

/// Somebody's live tokens, newest first; at most [`MOST`].
///
/// # Errors
/// What the database says.
pub fn list(conn: &mut Conn, who: PersonId, at: Time) -> Result<Vec<PersonalToken>> {
    let live = personal_token::table
        .into_boxed::<MultiBackend>()
        .filter(personal_token::person_id.eq(who))
        .filter(personal_token::revoked_at.is_null())
        .filter(personal_token::expires_at.gt(at))
        .order((personal_token::created_at.desc(), personal_token::id.desc()))
        .limit(MOST);
    Ok(live.load(conn)?)
}

/// Revokes one of somebody's live tokens; `None` where there is no such one.
///
/// # Errors
/// What the database says.
pub fn revoke(conn: &mut Conn, who: PersonId, id: TokenId, at: Time) -> Result<Option<PersonalToken>> {
    let own = personal_token::table
        .filter(personal_token::id.eq(id))
        .filter(personal_token::person_id.eq(who))
        .filter(personal_token::revoked_at.is_null())
        .filter(personal_token::expires_at.gt(at));
    Ok(diesel::update(own).set(personal_token::revoked_at.eq(at)).get_result(conn).optional()?)
}

/// Forgets at most so many tokens that were over before a moment; answers how many.
///
/// # Errors
/// What the database says.
pub fn forget(conn: &mut Conn, before: Time, most: i64) -> Result<usize> {
    let over: Vec<TokenId> = personal_token::table
        .into_boxed::<MultiBackend>()
        .filter(personal_token::expires_at.lt(before).or(personal_token::revoked_at.lt(before)))
        .select(personal_token::id)
        .limit(most)
        .load(conn)?;
    Ok(diesel::delete(personal_token::table.filter(personal_token::id.eq_any(over))).execute(conn)?)
}

/// Revokes all of somebody's tokens.
///
/// # Errors
/// What the database says.
pub fn revoke_all(conn: &mut Conn, who: PersonId, at: Time) -> Result<()> {
    let own =
        personal_token::table.filter(personal_token::person_id.eq(who)).filter(personal_token::revoked_at.is_null());
    diesel::update(own).set(personal_token::revoked_at.eq(at)).execute(conn)?;
    Ok(())
}
