//! The only SQL of identities at providers and of sign-ins under way.
use crate::{
    Result,
    auth::policy::Principal,
    db::{
        Conn, MultiBackend,
        columns::Time,
        schema::{identity, oidc_login, session},
    },
    id::{ChallengeId, PersonId},
    person::store as people,
    vocabulary::Authn,
};
use diesel::{Insertable, Queryable, prelude::*};

/// How long a sign-in at a provider may take, in seconds.
pub const LOGIN_SECONDS: i64 = 600;

/// A sign-in that was begun and has not come back.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = crate::db::schema::oidc_login, treat_none_as_default_value = false)]
pub struct Login {
    /// SHA-256 of the state that the provider hands back.
    pub state_hash: Vec<u8>,
    /// SHA-256 of the cookie of the browser it was begun in.
    pub browser_hash: Vec<u8>,
    /// The configured name of the issuer.
    pub issuer: String,
    /// What the id token must say.
    pub nonce: String,
    /// The PKCE verifier.
    pub verifier: String,
    /// The signature it is for, if it is for one.
    pub challenge_id: Option<ChallengeId>,
    /// When it was begun.
    pub created_at: Time,
    /// Until when it may come back.
    pub expires_at: Time,
}

/// Keeps a sign-in that begins, and forgets those that never came back.
///
/// # Errors
/// What the database says.
pub fn begin(conn: &mut Conn, login: &Login) -> Result<()> {
    diesel::delete(oidc_login::table.filter(oidc_login::expires_at.le(login.created_at))).execute(conn)?;
    diesel::insert_into(oidc_login::table).values(login).execute(conn)?;
    Ok(())
}

/// Forgets at most so many sign-ins at a provider that were begun and not finished before a moment; answers how many.
///
/// # Errors
/// What the database says.
pub fn forget(conn: &mut Conn, before: Time, most: i64) -> Result<usize> {
    let over: Vec<Vec<u8>> = oidc_login::table
        .into_boxed::<MultiBackend>()
        .filter(oidc_login::expires_at.lt(before))
        .select(oidc_login::state_hash)
        .limit(most)
        .load(conn)?;
    Ok(diesel::delete(oidc_login::table.filter(oidc_login::state_hash.eq_any(over))).execute(conn)?)
}

/// Takes a sign-in out, so that it comes back once; `None` where it is unknown, too old, of another issuer or of another
/// browser.
///
/// # Errors
/// What the database says.
pub fn take(conn: &mut Conn, state: &[u8], browser: &[u8], issuer: &str, at: Time) -> Result<Option<Login>> {
    let own = oidc_login::table
        .filter(oidc_login::state_hash.eq(state))
        .filter(oidc_login::browser_hash.eq(browser))
        .filter(oidc_login::issuer.eq(issuer))
        .filter(oidc_login::expires_at.gt(at));
    Ok(diesel::delete(own).get_result(conn).optional()?)
}

/// The person whom an issuer calls so.
///
/// # Errors
/// What the database says.
pub fn person_of(conn: &mut Conn, issuer: &str, subject: &str) -> Result<Option<PersonId>> {
    let known = identity::table.filter(identity::issuer.eq(issuer)).filter(identity::subject.eq(subject));
    Ok(known.select(identity::person_id).get_result(conn).optional()?)
}

/// Remembers whom an issuer calls so.
///
/// # Errors
/// What the database says.
pub fn link(conn: &mut Conn, issuer: &str, subject: &str, person: PersonId, at: Time) -> Result<()> {
    let row = (
        identity::issuer.eq(issuer),
        identity::subject.eq(subject),
        identity::person_id.eq(person),
        identity::created_at.eq(at),
    );
    diesel::insert_into(identity::table).values(row).execute(conn)?;
    Ok(())
}

/// The issuers that know a person, the latest first.
///
/// # Errors
/// What the database says.
pub fn issuers_of(conn: &mut Conn, person: PersonId) -> Result<Vec<String>> {
    let known = identity::table.filter(identity::person_id.eq(person)).order(identity::created_at.desc());
    Ok(known.select(identity::issuer).load(conn)?)
}

/// The configured name of the issuer by which somebody's session began.
///
/// # Errors
/// What the database says.
pub fn issuer_of_session(conn: &mut Conn, who: &Principal) -> Result<Option<String>> {
    let Some(id) = who.session else { return Ok(None) };
    let own = session::table.filter(session::id.eq(id)).select(session::issuer);
    Ok(own.get_result::<Option<String>>(conn).optional()?.flatten())
}

/// Whom an access token is about.
#[derive(Debug, Clone)]
pub enum Bearer {
    /// Somebody whom the issuer has not brought in before.
    Unknown,
    /// A person; none where they are disabled.
    Known(Option<Principal>),
}

/// The person whom an issuer calls so, as the one who asks.
///
/// # Errors
/// What the database says.
pub fn bearer(conn: &mut Conn, issuer: &str, subject: &str, at: Time) -> Result<Bearer> {
    match person_of(conn, issuer, subject)? {
        Some(id) => Ok(Bearer::Known(people::principal(conn, id, Authn::Oidc, at)?)),
        None => Ok(Bearer::Unknown),
    }
}
