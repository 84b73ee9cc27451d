//! The use cases of personal access tokens: make, revoke. Each is an event of the person.
use super::{LONGEST_DAYS, MOST, PersonalToken, Scopes, store};
use crate::{
    Error, Result,
    auth::session::OpaqueToken,
    db::{Conn, columns::Time, take_turn},
    error::Code,
    fault::{Faults, Text},
    history::FieldChange,
    id::{PersonId, TokenId},
    ledger::Context,
    person,
};
use deserr::Deserr;
use serde_json::Value;
use utoipa::ToSchema;

/// The field of a person's history that tells of their tokens.
const FIELD: &str = "tokens";

/// A token to make.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({
    "name": "Nightly export", "scopes": ["read", "trials:write"], "expires_at": "2026-09-01T00:00:00Z"
}))]
pub struct NewToken {
    /// What it is for, in 1–100 characters.
    pub name: Text<1, 100>,
    /// What it may be used for.
    pub scopes: Scopes,
    /// When it ends: in the future, and at most 366 days ahead.
    pub expires_at: Time,
}

/// Makes a token of one's own. The text is known to nobody afterwards but its owner.
///
/// # Errors
/// 422 for an expiry that does not fit, 409 for one live token too many.
pub fn make(conn: &mut Conn, context: &Context, who: PersonId, new: NewToken) -> Result<(PersonalToken, OpaqueToken)> {
    if new.expires_at <= context.at || new.expires_at > context.at.plus_days(LONGEST_DAYS) {
        let message = format!("must be in the future, and at most {LONGEST_DAYS} days ahead");
        return Err(Error::fault("/expires_at", "out_of_range", message));
    }
    take_turn(conn, "personal_tokens")?; // two at once: the second counts the first
    let live = store::list(conn, who, context.at)?.len();
    if i64::try_from(live).is_ok_and(|live| live >= MOST) {
        let detail = format!("A person has at most {MOST} live tokens: revoke one first.");
        return Err(Error::refused(Code::Conflict, detail));
    }
    let secret = OpaqueToken::fresh(OpaqueToken::PERSONAL)?;
    let token = PersonalToken {
        id: TokenId::fresh(),
        person_id: who,
        name: new.name.into(),
        hash: secret.hash().to_vec(),
        scopes: new.scopes.into(),
        created_at: context.at,
        expires_at: new.expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    store::insert(conn, &token)?;
    let made = FieldChange { field: FIELD.into(), before: Value::Null, after: token.described() };
    person::change::record_access(conn, context, who, &[made])?;
    Ok((token, secret))
}

/// Revokes a token of one's own: from the next request on it is none.
///
/// # Errors
/// 404 where there is no such live one.
pub fn revoke(conn: &mut Conn, context: &Context, who: PersonId, id: TokenId) -> Result<()> {
    let token = store::revoke(conn, who, id, context.at)?.ok_or_else(Error::not_found)?;
    let gone = FieldChange { field: FIELD.into(), before: token.described(), after: Value::Null };
    person::change::record_access(conn, context, who, &[gone])?;
    Ok(())
}
