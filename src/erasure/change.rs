//! Erasing: versions of any record, or a person.
use super::store::{self, Recorded};
use crate::{
    Error, Result, app,
    db::{Conn, columns::Doc},
    error::Code,
    id::Key,
    idempotency,
    ledger::{Change, Context},
    person::{self, Expertise, Person},
    vocabulary::{Action, RecordKind},
};
use serde_json::json;
use std::collections::BTreeSet;

/// Under which name somebody is shown who was erased.
pub const ERASED_NAME: &str = "Erased person";

/// Erases versions of a record. What the record is today stays: what is to go from that is revised away first.
///
/// # Errors
/// 404 for no such record; 409 for versions that are signed, that are the present one, that are gone already or never were;
/// nothing is erased then.
pub fn erase_versions(
    conn: &mut Conn,
    context: &Context,
    kind: RecordKind,
    key: Key,
    versions: &[i64],
    reason: &str,
) -> Result<usize> {
    let id = app::note(conn, context, kind, key, |conn, id| {
        let known = store::versions(conn, id)?;
        check(&known, versions)?;
        Ok(erasure(&known, versions, reason))
    })?;
    idempotency::store::erase(conn)?;
    store::destroy(conn, id, versions)
}

fn check(known: &[Recorded], versions: &[i64]) -> Result<()> {
    let newest = known.last().map_or(0, |recorded| recorded.version);
    let obstacle = |version: &i64| {
        let why = match known.iter().find(|recorded| recorded.version == *version) {
            None => "was never there",
            Some(_) if *version == newest => "is the record as it stands: revise it first",
            Some(recorded) if !recorded.is_kept => "is erased already",
            Some(recorded) if recorded.signed => "is signed",
            Some(_) => return None,
        };
        Some(format!("version {version} {why}"))
    };
    let obstacles: Vec<String> = versions.iter().filter_map(obstacle).collect();
    if obstacles.is_empty() {
        return Ok(());
    }
    Err(Error::refused(Code::Conflict, format!("Nothing was erased: {}.", obstacles.join("; "))))
}

/// What an erasure is recorded as. The versions stand in its payload, by which a check of the log knows them; with them those
/// that an earlier erasure names which is erased itself.
fn erasure(known: &[Recorded], versions: &[i64], reason: &str) -> Change {
    let gone = known.iter().filter(|recorded| versions.contains(&recorded.version));
    let named: BTreeSet<i64> = gone.flat_map(|recorded| &recorded.erased).chain(versions).copied().collect();
    let mut change = Change::of(Action::Erased).because(Some(reason.to_owned()));
    change.extra.insert("erased".into(), json!(named));
    change
}

/// Erases a person: what is known of them, in every version; how they got in. What they did stays, by their code; and their
/// printed name where they signed.
///
/// # Errors
/// 409 for somebody who was not disabled before, or was erased already.
pub fn erase_person(conn: &mut Conn, context: &Context, mut person: Person, reason: &str) -> Result<usize> {
    let conflict = |detail: &str| Err(Error::refused(Code::Conflict, detail));
    if person.is_active() {
        return conflict("Nothing was erased: disable them first, and hand over what they own.");
    }
    let email = format!("erased+{}@invalid", person.id);
    if person.email == email {
        return conflict("They are erased already.");
    }
    let known = store::versions(conn, person.id.0)?;
    let versions: Vec<i64> = known.iter().filter(|v| v.is_kept && !v.signed).map(|v| v.version).collect();
    person.name = ERASED_NAME.into();
    person.email_folded.clone_from(&email);
    person.email = email;
    person.orcid = None;
    person.organizations = Doc(Vec::new());
    person.expertise = Doc(Expertise::default());
    person.accepting_work = false;
    person.index();
    person::store::index_memberships(conn, person.id, &person.organizations)?;
    crate::ledger::record_change(conn, context, &mut person, erasure(&known, &versions, reason))?;
    idempotency::store::erase(conn)?;
    store::forget_access(conn, person.id)?;
    store::destroy(conn, person.id.0, &versions)
}
