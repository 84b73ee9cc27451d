//! The use case that adds a version of a lifecycle. A version never changes afterwards.
use super::{
    DocumentFault, Lifecycle, builtin,
    store::{self, StoredLifecycle},
};
use crate::{
    Error, Result,
    db::Conn,
    error::Code,
    fault::{Faults, Text},
    id::LifecycleId,
    ledger::{Change, Context, next_number, record_change},
    vocabulary::{Action, RecordKind},
};
use deserr::Deserr;
use utoipa::ToSchema;

/// A lifecycle to add.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "document": "kind = \"discovery\"\nname = \"device\"\nversion = 1\n…" }))]
pub struct NewLifecycle {
    /// The TOML document, at most 262 144 bytes: kind, name, version, states and moves.
    pub document: Text<1, 262_144>,
}

/// Adds a version of a lifecycle of discoveries.
///
/// # Errors
/// 422 with every fault of the document, 409 for a name that is built in and a version that is there.
pub fn add(conn: &mut Conn, context: &Context, new: NewLifecycle) -> Result<StoredLifecycle> {
    let Text(document) = new.document;
    let lifecycle = read(&document)?;
    if is_built_in(lifecycle.name()) {
        return Err(conflict(format!("`{}` is built in: choose another name.", lifecycle.name())));
    }
    let reference = lifecycle.reference();
    if store::lookup(conn, &reference)?.is_some() {
        return Err(is_there(&reference));
    }
    let mut stored = StoredLifecycle {
        id: LifecycleId::fresh(),
        number: next_number(conn, RecordKind::Lifecycle)?,
        version: 0,
        kind: lifecycle.kind(),
        name: lifecycle.name().to_owned(),
        edition: i64::from(lifecycle.version()),
        document,
        created_at: context.at,
        updated_at: context.at,
        head: Vec::new(),
    };
    // Two transactions may both have found the version missing: the table decides.
    let saved = record_change(conn, context, &mut stored, Change::of(Action::Created));
    saved.map_err(|e| if e.is_unique_violation() { is_there(&reference) } else { e })?;
    Ok(stored)
}

/// Reads a document of discoveries, or says everything that is wrong with it.
fn read(document: &str) -> Result<Lifecycle> {
    let mut faults = Vec::new();
    if let Some(kind) = kind_in(document).filter(|kind| *kind != RecordKind::Discovery) {
        let message = format!("must be discovery: how a {kind} moves is built in");
        faults.push(DocumentFault { path: "kind".into(), message });
    }
    match Lifecycle::parse(document) {
        Ok(lifecycle) if faults.is_empty() => Ok(lifecycle),
        Ok(_) => Err(Error::Invalid(as_faults(&faults))),
        Err(more) => {
            faults.extend(more);
            Err(Error::Invalid(as_faults(&faults)))
        }
    }
}

/// The kind a document says it is for, whatever else is wrong with it.
fn kind_in(document: &str) -> Option<RecordKind> {
    let table: toml::Table = document.parse().ok()?;
    let kind = table.get("kind")?.as_str()?.parse().ok()?;
    builtin::builtin(kind).map(|_| kind)
}

fn as_faults(found: &[DocumentFault]) -> Faults {
    let mut faults = Faults::default();
    for fault in found {
        let message: String = fault.to_string().chars().take(1000).collect();
        faults.push("/document", "invalid_document", message);
    }
    faults
}

fn is_built_in(name: &str) -> bool {
    RecordKind::ALL.iter().filter_map(|kind| builtin::builtin(*kind)).any(|lifecycle| lifecycle.name() == name)
}

fn is_there(reference: &str) -> Error {
    conflict(format!("{reference} is there already, and a version never changes: raise its version."))
}

fn conflict(detail: String) -> Error {
    Error::refused(Code::Conflict, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(document: &str) -> Vec<String> {
        match read(document) {
            Err(Error::Invalid(faults)) => faults.0.into_iter().map(|fault| fault.message).collect(),
            Err(other) => vec![other.to_string()],
            Ok(_) => Vec::new(),
        }
    }

    #[test]
    fn the_kind_is_told_beside_the_other_faults() {
        let found = messages("kind = \"trial\"\nname = \"x\"\nversion = 0\nstates = []\n");
        assert!(found.iter().any(|m| m.starts_with("kind: must be discovery")), "{found:?}");
        assert!(found.iter().any(|m| m.starts_with("version: ")), "{found:?}");
        assert_eq!(messages("kind = ").len(), 1);
    }

    #[test]
    fn a_sound_document_of_another_kind_is_refused_for_that_alone() {
        let document = builtin::builtin_document(RecordKind::Finding).unwrap();
        assert_eq!(messages(document), ["kind: must be discovery: how a finding moves is built in"]);
        assert!(messages(builtin::builtin_document(RecordKind::Discovery).unwrap()).is_empty());
    }
}
