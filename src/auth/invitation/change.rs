//! The use cases of invitations: invite, accept. Each is an event of the person.
use super::{Invited, store};
use crate::{
    Error, Result,
    auth::session::{self, OpaqueToken},
    db::{Conn, columns::Time},
    error::Code,
    history::FieldChange,
    ledger::Context,
    person::{self, Person},
    vocabulary::Authn,
};
use serde_json::{Value, json};

/// The field of a person's history that tells of their invitation.
const FIELD: &str = "invitation";

/// Invites a person who was just entered: their first event says enough.
///
/// # Errors
/// What the database says.
pub fn welcome(conn: &mut Conn, context: &Context, person: &Person) -> Result<Invited> {
    let (token, expires_at) = store::issue(conn, person.id, context.at)?;
    Ok(Invited { token: Some(token.expose().to_owned()), expires_at })
}

/// Invites a person anew; an invitation before this one is void. A password they have stays good until the invitation is
/// used.
///
/// # Errors
/// 409 for a disabled person.
pub fn invite(conn: &mut Conn, context: &Context, person: &Person) -> Result<(Person, Invited)> {
    if !person.is_active() {
        return Err(Error::refused(Code::Conflict, "They are disabled: they cannot sign in."));
    }
    let expires_at = context.at.plus_seconds(super::LIFETIME_SECONDS);
    let issued = FieldChange { field: FIELD.into(), before: Value::Null, after: told(expires_at) };
    // The event first: of two who invite at once the second begins anew, and ends the invitation of the first.
    let person = person::change::record_access(conn, context, person.id, &[issued])?;
    Ok((person.clone(), welcome(conn, context, &person)?))
}

/// Sets the password of whoever was invited, and ends the sessions they may have; false where the invitation is none, or
/// not good any more.
///
/// # Errors
/// What the database says.
pub fn accept(conn: &mut Conn, context: &Context, presented: &OpaqueToken, password_hash: &str) -> Result<bool> {
    let Some((who, expires_at)) = store::find(conn, presented, context.at)? else { return Ok(false) };
    if !store::use_up(conn, presented)? {
        return Ok(false);
    }
    person::store::set_password_hash(conn, who, password_hash, context.at)?;
    session::store::end_others(conn, who, None, context.at)?;
    let used = FieldChange { field: FIELD.into(), before: told(expires_at), after: Value::Null };
    let context = Context { person: Some(who), authn: Authn::Token, ..context.clone() };
    person::change::record_access(conn, &context, who, &[used, person::change::new_password(context.at)])?;
    Ok(true)
}

fn told(expires_at: Time) -> Value {
    json!({ "expires_at": expires_at })
}
