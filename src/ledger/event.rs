//! The bytes of an event: a leaf that is never rebuilt from columns, and a payload outside it bound by a commitment.
use super::{Change, Stored};
use crate::{
    Error, Result,
    db::columns::Time,
    id::{EventId, PersonId},
    vocabulary::{Authn, Meaning, RecordKind},
};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The most bytes a leaf may have: its length is a `u16` in entry tiles (C2SP tlog-tiles).
pub const LEAF_LIMIT: usize = 65_535;

/// An electronic signature as it stands under an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signed {
    /// The signer's id.
    pub person_id: PersonId,
    /// The signer's printed name at the moment of signing.
    pub signer: String,
    /// What the signature says.
    pub meaning: Meaning,
    /// When it was given.
    pub signed_at: Time,
    /// SHA-256 of what was signed, in hex.
    pub digest: String,
}

/// What happened, before it has bytes.
pub(super) struct Happening<'a> {
    pub log: &'a str,
    pub kind: RecordKind,
    pub record_id: Uuid,
    pub record_version: i64,
    pub code: String,
    pub person: Option<Uuid>,
    pub authn: Authn,
    pub request: Uuid,
    pub at: Time,
    /// Leaf hash of this record's previous event; empty for its first.
    pub prev: &'a [u8],
    pub change: &'a Change,
}

/// An event ready to be stored.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// The record's kind.
    pub kind: RecordKind,
    /// The record.
    pub record_id: Uuid,
    /// The record's version after the change.
    pub record_version: i64,
    /// RFC 8785 bytes; ids and codes only.
    pub leaf: Vec<u8>,
    /// RFC 6962 leaf hash.
    pub leaf_hash: Hash,
    /// Blinds the commitment.
    pub salt: [u8; 32],
    /// RFC 8785 bytes: the record after the change, the reason in words, the signer's printed name.
    pub payload: Vec<u8>,
}

impl Event {
    /// # Errors
    /// [`Error::Internal`] when the system has no randomness or the leaf would be too long.
    pub(super) fn new(happening: &Happening<'_>, record: &impl Stored) -> Result<Self> {
        let payload = payload(happening, record)?;
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).map_err(|e| Error::Internal(format!("no randomness: {e}")))?;
        let id = EventId::fresh();
        let leaf = leaf(happening, id, &commitment(&salt, &payload))?;
        if leaf.len() > LEAF_LIMIT {
            return Err(Error::Internal(format!("a leaf of {} bytes", leaf.len())));
        }
        Ok(Self {
            id,
            kind: happening.kind,
            record_id: happening.record_id,
            record_version: happening.record_version,
            leaf_hash: leaf_hash(&leaf),
            leaf,
            salt,
            payload,
        })
    }
}

fn payload(happening: &Happening<'_>, record: &impl Stored) -> Result<Vec<u8>> {
    let content = content(record, &happening.code)?;
    let change = happening.change;
    let mut payload = change.extra.clone();
    payload.insert("record".into(), content);
    payload.insert("move".into(), json!(change.move_name));
    payload.insert("reason".into(), json!(change.reason));
    payload.insert("signature".into(), json!(change.signature));
    canonical(&payload)
}

/// A record as payloads have it: its row, and its code.
///
/// # Errors
/// [`Error::Internal`] for what JSON cannot hold.
pub fn content(record: &impl Serialize, code: &str) -> Result<Value> {
    let mut content = serde_json::to_value(record).map_err(|e| Error::Internal(e.to_string()))?;
    if let Value::Object(fields) = &mut content {
        fields.insert("code".into(), json!(code));
    }
    Ok(content)
}

fn leaf(happening: &Happening<'_>, id: EventId, commit: &Hash) -> Result<Vec<u8>> {
    let change = happening.change;
    canonical(&json!({
        "v": 1,
        "log": happening.log,
        "id": id,
        "at": happening.at,
        "record": { "kind": happening.kind, "id": happening.record_id, "version": happening.record_version },
        "action": change.action,
        "from": change.from,
        "to": change.to,
        "actor": { "person": happening.person, "authn": happening.authn },
        "reason": change.reason_code,
        "signature": change.signature.as_ref().map(|s| json!({ "meaning": s.meaning, "digest": s.digest })),
        "effective_at": change.effective_at.unwrap_or(happening.at),
        "request": happening.request,
        "prev": (!happening.prev.is_empty()).then(|| hex::encode(happening.prev)),
        "commit": hex::encode(commit),
    }))
}

/// RFC 8785 bytes.
///
/// # Errors
/// [`Error::Internal`] for what JSON cannot hold.
pub fn canonical(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json_canonicalizer::to_vec(value).map_err(|e| Error::Internal(e.to_string()))
}

/// `SHA-256(0x02 ‖ salt ‖ payload)`: destroying salt and payload later leaves the log provable.
pub fn commitment(salt: &[u8; 32], payload: &[u8]) -> Hash {
    Sha256::new().chain_update([0x02]).chain_update(salt).chain_update(payload).finalize().into()
}

/// `SHA-256(0x00 ‖ leaf)` (RFC 6962).
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    Sha256::new().chain_update([0x00]).chain_update(leaf).finalize().into()
}
