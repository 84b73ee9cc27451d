//! Electronic signatures (supports 21 CFR 11.50, 11.70, 11.200): a single-use challenge binds signer, record, version,
//! meaning and the exact move that is meant; answering it needs the password again, or that the signer was authenticated
//! anew at their identity provider. Pure.
pub mod http;
pub mod store;

use crate::{
    Result,
    auth::{password::Secret, policy::Principal},
    db::columns::Time,
    fault::Faults,
    id::{ChallengeId, PersonId},
    ledger::event::canonical,
    vocabulary::{Meaning, RecordKind},
};
use deserr::Deserr;
use diesel::{Insertable, Queryable};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// How long a challenge may be answered, in seconds.
pub const LIFETIME_SECONDS: i64 = 300;
/// Wrong answers that void a challenge.
pub const ATTEMPTS: i32 = 5;

/// The answer to a challenge, inside the body of a move.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub struct Answer {
    /// The challenge that was issued for exactly this move.
    pub challenge_id: ChallengeId,
    /// The signer's password; left out by who was authenticated at an identity provider for this challenge.
    #[deserr(default)]
    pub password: Option<Secret>,
}

/// A challenge as it is stored.
#[derive(Debug, Clone, Queryable, Insertable)]
#[diesel(table_name = crate::db::schema::signature_challenge, treat_none_as_default_value = false)]
pub struct Challenge {
    /// Its id.
    pub id: ChallengeId,
    /// Who may answer it.
    pub person_id: PersonId,
    /// The kind of the record to sign for.
    pub record_kind: RecordKind,
    /// The record.
    pub record_id: crate::id::AnyId,
    /// Its version before the move.
    pub record_version: i64,
    /// What the signature will say.
    pub meaning: Meaning,
    /// SHA-256 of all that is signed.
    pub digest: Vec<u8>,
    /// The same in words.
    pub statement: String,
    /// When it was issued.
    pub issued_at: Time,
    /// Until when it may be answered.
    pub expires_at: Time,
    /// Answers tried.
    pub attempts: i32,
    /// When it was used.
    pub consumed_at: Option<Time>,
    /// When its signer was authenticated anew for it at an identity provider.
    pub authenticated_at: Option<Time>,
}

/// What is signed: everything a signature must not be moved from.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The challenge.
    pub challenge: ChallengeId,
    /// When it was issued.
    pub issued_at: Time,
    /// The kind of the record.
    pub kind: RecordKind,
    /// The record.
    pub record: uuid::Uuid,
    /// Its version before the move.
    pub version: i64,
    /// What the signature says.
    pub meaning: Meaning,
    /// The body of the move, as sent; `signature` in it is left out.
    pub transition: &'a Value,
}

/// SHA-256 over the RFC 8785 bytes of the subject and its signer.
///
/// # Errors
/// For what JSON cannot hold.
pub fn digest(subject: &Subject<'_>, signer: &Principal) -> Result<[u8; 32]> {
    let mut transition = subject.transition.clone();
    if let Value::Object(members) = &mut transition {
        members.remove("signature");
    }
    let bytes = canonical(&json!({
        "challenge": subject.challenge,
        "issued_at": subject.issued_at,
        "record": { "kind": subject.kind, "id": subject.record, "version": subject.version },
        "meaning": subject.meaning,
        "signer": { "id": signer.id, "name": signer.name },
        "transition": transition,
    }))?;
    Ok(Sha256::digest(bytes).into())
}

/// What the signer reads before signing.
pub fn statement(signer: &str, code: &str, version: i64, meaning: Meaning, transition: &Value) -> String {
    let to = transition.get("to").and_then(Value::as_str).unwrap_or("another state");
    let to: String = to.chars().take(60).collect();
    format!("I, {signer}, sign for {code}, version {version}, to move to {to}. Meaning of this signature: {meaning}.")
}
