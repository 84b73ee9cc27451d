//! History across records: by whom, of whose records, in which period, what was done; as pages, and whole as CSV (RFC 4180) or
//! NDJSON. Pure: the queries are in [`store`], the route is in [`http`].
pub mod http;
pub mod store;

use super::{Entry, FieldChange};
use crate::{
    Error, Result,
    db::columns::Time,
    id::{OrganizationId, PersonId},
    vocabulary::{Action, RecordKind},
};
use std::borrow::Cow;

/// Which events; nothing asked for is every one.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Of records of these kinds.
    pub kinds: Vec<RecordKind>,
    /// Of these actions.
    pub actions: Vec<Action>,
    /// By these people.
    pub people: Vec<PersonId>,
    /// Of records of these organizations: their steward now, a lab an insight was routed to, a sponsor that is paired, or the
    /// organization itself.
    pub organizations: Vec<OrganizationId>,
    /// Recorded at this moment or later.
    pub from: Option<Time>,
    /// Recorded at this moment or earlier.
    pub to: Option<Time>,
}

/// A part of what was asked for, and before which event it goes on: there may be more though this is empty.
pub struct Part {
    /// What the reader may see of it.
    pub entries: Vec<Entry>,
    /// The number before which nothing was looked at yet; none at the end.
    pub next: Option<i64>,
}

/// The columns of the CSV.
const COLUMNS: &[&str] = &[
    "leaf_index",
    "event_id",
    "recorded_at",
    "effective_at",
    "kind",
    "code",
    "record_id",
    "version",
    "action",
    "move",
    "from",
    "to",
    "by_id",
    "by",
    "reason",
    "changes",
    "signed_by",
    "meaning",
    "signed_at",
    "erased",
    "proof",
];

/// The head of the CSV.
///
/// # Errors
/// [`Error::Internal`]; in practice none.
pub fn csv_head() -> Result<Vec<u8>> {
    csv_of(|writer| writer.write_record(COLUMNS))
}

/// Events as CSV: a row each, the changes as JSON.
///
/// # Errors
/// [`Error::Internal`]; in practice none.
pub fn csv_rows(entries: &[Entry]) -> Result<Vec<u8>> {
    csv_of(|writer| entries.iter().try_for_each(|entry| writer.write_record(&row(entry)?)))
}

fn csv_of(write: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> csv::Result<()>) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    write(&mut writer).map_err(|e| Error::Internal(e.to_string()))?;
    writer.into_inner().map_err(|e| Error::Internal(e.to_string()))
}

fn row(entry: &Entry) -> csv::Result<Vec<String>> {
    let text = |value: Option<&str>| harmless(value.unwrap_or_default()).into_owned();
    let signature = entry.signature.as_ref();
    Ok(vec![
        entry.leaf_index.map_or_else(String::new, |index| index.to_string()),
        entry.event_id.to_string(),
        entry.recorded_at.to_string(),
        entry.effective_at.to_string(),
        entry.record.kind.to_string(),
        entry.record.code.clone().unwrap_or_default(),
        entry.record.id.to_string(),
        entry.version.to_string(),
        entry.action.to_string(),
        text(entry.name.as_deref()),
        text(entry.from.as_deref()),
        text(entry.to.as_deref()),
        entry.by.as_ref().map_or_else(String::new, |by| by.id.to_string()),
        text(entry.by.as_ref().map(|by| &*by.name)),
        text(entry.reason.as_deref()),
        changes(&entry.changes)?,
        text(signature.map(|s| &*s.signer)),
        signature.map_or_else(String::new, |s| s.meaning.to_string()),
        signature.map_or_else(String::new, |s| s.signed_at.to_string()),
        entry.erased.map_or_else(String::new, |erased| erased.to_string()),
        entry.proof.clone().unwrap_or_default(),
    ])
}

fn changes(changes: &[FieldChange]) -> csv::Result<String> {
    serde_json::to_string(changes).map_err(|e| csv::Error::from(std::io::Error::from(e)))
}

/// A text that spreadsheets would take for a formula gets an apostrophe in front, which they show as text (OWASP, CSV
/// injection).
fn harmless(text: &str) -> Cow<'_, str> {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}

/// Events as NDJSON: one a line, as histories have them.
///
/// # Errors
/// [`Error::Internal`]; in practice none.
pub fn ndjson(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut lines, entry).map_err(|e| Error::Internal(e.to_string()))?;
        lines.push(b'\n');
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_formula() {
        for (text, shown) in [("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("-2", "'-2"), ("a=b", "a=b"), ("", "")] {
            assert_eq!(harmless(text), shown);
        }
    }
}
