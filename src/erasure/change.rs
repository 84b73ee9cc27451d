//! Erasing: versions of any record, or a person.
use super::store::{self, Recorded};
use crate::{
    Error, Result, app,
    db::{Conn, columns::Doc},
    error::Code,
    id::Key,
    ledger::{Change, Context},
    person::{self, Expertise, Person},
    vocabulary::{Action, RecordKind},
};
use serde_json::json;

/// Under which name somebody is shown who was erased.
pub const ERASED_NAME: &str = "Erased person";

/// Erases versions of a record. What the record is today stays: what is to go from that is revised away first.
///
/// # Errors
/// 404 for no such record; 409 for versions that are signed, that record an erasure, that are the present one, that are gone
/// already or never were; nothing is erased then.
pub fn erase_versions(
    conn: &mut Conn,
    context: &Context,
    kind: RecordKind,
    key: Key,
    versions: &[i64],
    reason: &str,
) -> Result<usize> {
    let id = app::note(conn, context, kind, key, |conn, id| {
        check(&store::versions(conn, id)?, versions)?;
        Ok(erasure(versions, reason))
    })?;
    store::destroy(conn, id, versions)
}

fn check(known: &[Recorded], versions: &[i64]) -> Result<()> {
    let newest = known.last().map_or(0, |recorded| recorded.version);
    let obstacle = |version: &i64| {
        let why = match known.iter().find(|recorded| recorded.version == *version) {
            None => "was never there",
            Some(_) if *version == newest => "is the record as it stands: revise it first",
            Some(recorded) if !recorded.is_kept => "is erased already",
            Some(recorded) => kept_for_good(recorded)?,
        };
        Some(format!("version {version} {why}"))
    };
    let obstacles: Vec<String> = versions.iter().filter_map(obstacle).collect();
    if obstacles.is_empty() {
        return Ok(());
    }
    Err(Error::refused(Code::Conflict, format!("Nothing was erased: {}.", obstacles.join("; "))))
}

/// Why a version may not be erased, if it may not.
fn kept_for_good(recorded: &Recorded) -> Option<&'static str> {
    if recorded.signed {
        return Some("is signed");
    }
    (recorded.action == Action::Erased).then_some("says what was erased before")
}

/// What an erasure is recorded as: the versions stand in its payload, by which a check of the log knows them.
fn erasure(versions: &[i64], reason: &str) -> Change {
    let mut change = Change::of(Action::Erased).because(Some(reason.to_owned()));
    change.extra.insert("erased".into(), json!(versions));
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
    let versions: Vec<i64> = store::versions(conn, person.id.0)?
        .iter()
        .filter(|recorded| recorded.is_kept && kept_for_good(recorded).is_none())
        .map(|recorded| recorded.version)
        .collect();
    person.name = ERASED_NAME.into();
    person.email_folded.clone_from(&email);
    person.email = email;
    person.orcid = None;
    person.organizations = Doc(Vec::new());
    person.expertise = Doc(Expertise::default());
    person.accepting_work = false;
    person.index();
    person::store::index_memberships(conn, person.id, &person.organizations)?;
    crate::ledger::record_change(conn, context, &mut person, erasure(&versions, reason))?;
    store::forget_access(conn, person.id)?;
    store::destroy(conn, person.id.0, &versions)
}
