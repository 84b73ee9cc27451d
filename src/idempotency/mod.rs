//! Safe repetition: a POST under an `Idempotency-Key` has one effect, however often it is sent
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! The key's row is inserted first, in the transaction that does the work, and holds the answer when that commits: there
//! is no moment at which one is there without the other. A refusal rolls both back and is evaluated again. A repetition
//! gets the kept answer, as long as its caller may still see every record the answer names, and came by a token that is made
//! for what was done.
pub mod store;

use crate::{
    Error, Result,
    app::visible_ids,
    auth::{policy::Principal, scope::Access},
    db::Conn,
    error::Code,
    http::answer::Answer,
    ledger::{Context, event::canonical},
    vocabulary::{Outcome, RecordKind},
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use store::Claim;
use uuid::Uuid;

/// How long an answer is kept, in seconds: 24 hours.
pub const KEPT_SECONDS: i64 = 86_400;
/// The longest key, in characters.
pub const LONGEST_KEY: usize = 255;

/// What a caller calls a request that it may repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeatable {
    /// The caller's key.
    pub key: String,
    /// The method and path it is for.
    pub route: String,
    /// SHA-256 of the body, passwords left out.
    pub digest: [u8; 32],
    /// The kinds of record that it changes beside the one its path says.
    pub kinds: BTreeSet<RecordKind>,
}

impl Repeatable {
    /// A request under a key: 1 to [`LONGEST_KEY`] visible ASCII characters.
    ///
    /// # Errors
    /// 400 for another key.
    pub fn new(key: &str, route: String, body: &Value) -> Result<Self> {
        if key.is_empty() || key.len() > LONGEST_KEY || !key.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
            let detail = format!("An Idempotency-Key has 1 to {LONGEST_KEY} visible ASCII characters.");
            return Err(Error::refused(Code::Malformed, detail));
        }
        let digest = Sha256::digest(canonical(&without_passwords(body))?).into();
        let kinds = kinds_changed(&route, body);
        Ok(Self { key: key.to_owned(), route, digest, kinds })
    }
}

/// What a transfer hands over.
const OWNED: [RecordKind; 5] =
    [RecordKind::Discovery, RecordKind::Trial, RecordKind::Finding, RecordKind::Insight, RecordKind::Pairing];

/// Those of moved and of transferred records, and of what a resolution logs.
fn kinds_changed(route: &str, body: &Value) -> BTreeSet<RecordKind> {
    let items = body.get("items").and_then(Value::as_array).into_iter().flatten();
    let mut kinds = BTreeSet::new();
    for one in items.chain([body]) {
        let order = one.get("transition").unwrap_or(one);
        if order.get("outcome").is_some_and(|outcome| outcome == Outcome::NewDiscovery.as_str()) {
            kinds.insert(RecordKind::Discovery);
        }
        let transferred = one.get("records").and_then(Value::as_array).into_iter().flatten();
        let named = transferred.filter_map(|record| record.get("kind")).chain(one.pointer("/record/kind"));
        kinds.extend(named.filter_map(|kind| kind.as_str()?.parse::<RecordKind>().ok()));
    }
    if route.ends_with("/accept") {
        // Its body does not say which records go over, its answer does.
        kinds.extend(OWNED);
    }
    kinds
}

/// A digest of a password, at rest for a day, would be a cheap way to guess it. They stand in signatures: of one move, or of
/// many.
fn without_passwords(body: &Value) -> Value {
    let mut body = body.clone();
    drop_password(&mut body);
    for item in body.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten() {
        item.get_mut("transition").into_iter().for_each(drop_password);
    }
    body
}

fn drop_password(order: &mut Value) {
    if let Some(signature) = order.get_mut("signature").and_then(Value::as_object_mut) {
        signature.remove("password");
    }
}

/// Does the work once, or answers what it answered before.
///
/// # Errors
/// What the work says; 422 where the key was used with another body, 409 where its first request is still running, 410 where
/// the answer was erased, 404 where the caller may not see any more what the answer names, 403 where their token is not made for
/// what was done.
pub fn once(
    conn: &mut Conn,
    who: &Principal,
    context: &Context,
    request: &Repeatable,
    work: impl FnOnce(&mut Conn) -> Result<Answer>,
) -> Result<Answer> {
    match store::claim(conn, who.id, request, context.at)? {
        Claim::Fresh => {
            let answer = work(conn)?;
            let body: Value = match &answer.body {
                Some(text) => serde_json::from_str(text).map_err(|e| Error::Internal(e.to_string()))?,
                None => Value::Null,
            };
            store::keep(conn, who.id, request, &answer, &named(&answer, &body), body)?;
            Ok(answer)
        }
        Claim::Erased => {
            Err(Error::refused(Code::Erased, "What was asked for under this key was done; the answer was erased."))
        }
        Claim::Kept { digest, .. } if digest != request.digest => {
            Err(Error::refused(Code::IdempotencyKeyReused, "The same key came with another body."))
        }
        Claim::Kept { answer, records, .. } => {
            refuse_hidden(conn, who, &records)?;
            refuse_out_of_scope(who, request, &records)?;
            Ok(Answer { replayed: true, ..answer })
        }
    }
}

/// Records by kind.
pub type Records = BTreeMap<String, BTreeSet<Uuid>>;

/// Every record that an answer is about or names: whatever stands in it with an id and a code.
fn named(answer: &Answer, body: &Value) -> Records {
    let mut records = Records::new();
    for (kind, id) in &answer.about {
        records.entry(kind.to_string()).or_default().insert(*id);
    }
    gather(body, &mut records);
    records
}

fn gather(value: &Value, records: &mut Records) {
    match value {
        Value::Object(members) => {
            let text = |name: &str| members.get(name).and_then(Value::as_str);
            let named = text("id").and_then(|id| Uuid::parse_str(id).ok()).zip(text("code").and_then(kind_of));
            if let Some((id, kind)) = named {
                records.entry(kind.to_string()).or_default().insert(id);
            }
            members.values().for_each(|member| gather(member, records));
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, records)),
        _ => {}
    }
}

fn kind_of(code: &str) -> Option<RecordKind> {
    RecordKind::ALL.iter().copied().find(|kind| crate::id::Key::parse(*kind, code).is_some())
}

fn refuse_hidden(conn: &mut Conn, who: &Principal, records: &Records) -> Result<()> {
    for (kind, ids) in records {
        let kind: RecordKind = kind.parse().map_err(|_| Error::Internal(format!("no kind {kind}")))?;
        let ids: Vec<_> = ids.iter().copied().collect();
        if visible_ids(conn, who, kind, &ids)?.len() < ids.len() {
            return Err(Error::not_found());
        }
    }
    Ok(())
}

/// Another token of the same person may be for less than the one that did the work.
fn refuse_out_of_scope(who: &Principal, request: &Repeatable, records: &Records) -> Result<()> {
    let mut done = request.kinds.iter().filter(|kind| records.contains_key(kind.as_str()));
    done.try_for_each(|kind| who.scope.must_allow(Some(*kind), Access::Write))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_digest_is_of_the_body_and_of_no_password() {
        let of = |body: Value| Repeatable::new("k", "POST /v1/x".into(), &body).unwrap().digest;
        assert_eq!(of(json!({ "a": 1, "b": [2] })), of(json!({ "b": [2], "a": 1 })));
        assert_ne!(of(json!({ "a": 1 })), of(json!({ "a": 2 })));
        let signed =
            |password: &str| of(json!({ "to": "x", "signature": { "challenge_id": "c", "password": password } }));
        assert_eq!(signed("one"), signed("another"));
        let many = |password: &str| {
            let signature = json!({ "challenge_id": "c", "password": password });
            of(json!({ "items": [{ "version": 1, "transition": { "to": "x", "signature": signature } }] }))
        };
        assert_eq!(many("one"), many("another"));
        // Whatever else is called alike is part of the body.
        for name in ["password", "xpassword", "current_password"] {
            assert_ne!(of(json!({ "a": 1, name: "one" })), of(json!({ "a": 1, name: "another" })), "{name}");
        }
        assert_ne!(
            of(json!({ "signature": { "xpassword": "one" } })),
            of(json!({ "signature": { "xpassword": "another" } }))
        );
    }

    #[test]
    fn a_key_is_short_and_visible() {
        for (key, good) in [("a", true), ("8e03978e-40d5", true), ("", false), ("a\u{e9}", false), ("a\tb", false)] {
            assert_eq!(Repeatable::new(key, String::new(), &Value::Null).is_ok(), good, "{key:?}");
        }
        assert!(Repeatable::new(&"k".repeat(255), String::new(), &Value::Null).is_ok());
        assert!(Repeatable::new(&"k".repeat(256), String::new(), &Value::Null).is_err());
    }

    #[test]
    fn an_answer_names_every_record_in_it() {
        let (discovery, lab, person) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
        let body = json!({ "id": discovery, "code": "D-1", "lab": { "id": lab, "code": "O-2", "name": "Lab" },
            "owner": { "id": person, "name": "Ada" }, "list": [{ "id": "no uuid", "code": "T-1" }] });
        let expected = [("discovery", discovery), ("organization", lab)];
        let expected: Records = expected.map(|(kind, id)| (kind.to_owned(), BTreeSet::from([id]))).into();
        assert_eq!(named(&Answer::empty(200), &body), expected);
    }
}
