//! The only SQL of erasure.
use crate::{
    Error, Result,
    db::{
        Conn,
        schema::{
            credential, event, identity, invitation, notice_mark, oidc_login, personal_token, refresh_token, session,
            sign_in, signature_challenge, subscription,
        },
    },
    id::{AnyId, PersonId},
    vocabulary::Action,
};
use diesel::prelude::*;
use serde_json::Value;
use uuid::Uuid;

/// A version of a record, as far as erasing it is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The version.
    pub version: i64,
    /// Whether a signature stands under it.
    pub signed: bool,
    /// Whether its payload is still there.
    pub is_kept: bool,
    /// Where it records an erasure: the versions that were erased.
    pub erased: Vec<i64>,
}

/// The versions of a record, the oldest first.
///
/// # Errors
/// What the database says.
pub fn versions(conn: &mut Conn, record: Uuid) -> Result<Vec<Recorded>> {
    type Row = (i64, Action, Vec<u8>, Option<Vec<u8>>);
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).map_err(|e| Error::Internal(e.to_string()));
    let rows: Vec<Row> = event::table
        .filter(event::record_id.eq(AnyId::of(record)))
        .order(event::record_version)
        .select((event::record_version, event::action, event::leaf, event::payload))
        .load(conn)?;
    let recorded = |(version, action, leaf, payload): Row| {
        let payload = payload.as_deref().map(read).transpose()?;
        let erased =
            payload.iter().filter(|_| action == Action::Erased).filter_map(|payload| payload["erased"].as_array());
        Ok(Recorded {
            version,
            signed: !read(&leaf)?["signature"].is_null(),
            is_kept: payload.is_some(),
            erased: erased.flatten().filter_map(Value::as_i64).collect(),
        })
    };
    rows.into_iter().map(recorded).collect()
}

/// Destroys salt and payload of some versions of a record; answers how many.
///
/// # Errors
/// What the database says.
pub fn destroy(conn: &mut Conn, record: Uuid, versions: &[i64]) -> Result<usize> {
    let events = event::table
        .filter(event::record_id.eq(AnyId::of(record)))
        .filter(event::record_version.eq_any(versions.to_vec()));
    let nothing: (Option<Vec<u8>>, Option<Vec<u8>>) = (None, None);
    Ok(diesel::update(events).set((event::salt.eq(nothing.0), event::payload.eq(nothing.1))).execute(conn)?)
}

/// Destroys everything that is kept about how a person got in, and what they followed.
///
/// # Errors
/// What the database says.
pub fn forget_access(conn: &mut Conn, person: PersonId) -> Result<()> {
    let sessions = session::table.filter(session::person_id.eq(person)).select(session::id);
    let challenges =
        signature_challenge::table.filter(signature_challenge::person_id.eq(person)).select(signature_challenge::id);
    diesel::delete(oidc_login::table.filter(oidc_login::challenge_id.assume_not_null().eq_any(challenges)))
        .execute(conn)?;
    diesel::delete(signature_challenge::table.filter(signature_challenge::person_id.eq(person))).execute(conn)?;
    diesel::delete(refresh_token::table.filter(refresh_token::session_id.eq_any(sessions))).execute(conn)?;
    diesel::delete(session::table.filter(session::person_id.eq(person))).execute(conn)?;
    diesel::delete(personal_token::table.filter(personal_token::person_id.eq(person))).execute(conn)?;
    diesel::delete(invitation::table.filter(invitation::person_id.eq(person))).execute(conn)?;
    diesel::delete(identity::table.filter(identity::person_id.eq(person))).execute(conn)?;
    diesel::delete(sign_in::table.filter(sign_in::person_id.eq(person))).execute(conn)?;
    diesel::delete(subscription::table.filter(subscription::person_id.eq(person))).execute(conn)?;
    diesel::delete(notice_mark::table.filter(notice_mark::person_id.eq(person))).execute(conn)?;
    diesel::delete(credential::table.filter(credential::person_id.eq(person))).execute(conn)?;
    Ok(())
}
