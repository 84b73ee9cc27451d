//! What an import says: a line for each record that did not simply go in, and a summary.
use crate::{fault::Fault, interop::import::Outcome};
use serde::Serialize;
use serde_json::Value;
use std::{
    fmt,
    io::{self, Write},
    path::Path,
};

/// Where a record stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file; `-` for standard input.
    pub file: String,
    /// Which record of the file, from 1; null where it is the only one, or the file as a whole is meant.
    pub record: Option<usize>,
    /// Its registry number, as the file has it.
    pub nct_id: Option<String>,
}

impl Place {
    /// A whole file.
    pub fn file(path: &Path) -> Self {
        Self { file: path.display().to_string(), record: None, nct_id: None }
    }
    /// One study of a file.
    pub fn study(path: &Path, record: Option<usize>, study: &Value) -> Self {
        let nct_id = study.pointer("/protocolSection/identificationModule/nctId").and_then(Value::as_str);
        let nct_id = nct_id.map(|id| id.chars().take(40).collect());
        Self { record, nct_id, ..Self::file(path) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(record) = self.record {
            write!(f, ", record {record}")?;
        }
        if let Some(nct_id) = &self.nct_id {
            write!(f, " ({})", nct_id.escape_debug())?;
        }
        Ok(())
    }
}

/// How a record fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// A new trial.
    Created,
    /// A new version of a trial.
    Changed,
    /// As it was.
    Unchanged,
    /// Left alone, for a reason.
    Skipped,
    /// Refused, for a reason.
    Failed,
}

/// What came of one record, or of a file that could not be read.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// How it fared.
    pub result: Fate,
    /// The trial's code, where there is one.
    pub code: Option<String>,
    /// The fields that changed.
    pub fields: Vec<String>,
    /// Why it was left alone or refused.
    pub reason: Option<String>,
    /// What is wrong with it, with pointers into the record.
    pub errors: Vec<Fault>,
}

impl Record {
    /// Of what the use case said.
    pub fn of(place: Place, outcome: Outcome) -> Self {
        let (result, code, fields, reason) = match outcome {
            Outcome::Created(code) => (Fate::Created, code, Vec::new(), None),
            Outcome::Changed(code, fields) => (Fate::Changed, Some(code), fields, None),
            Outcome::Unchanged(code) => (Fate::Unchanged, Some(code), Vec::new(), None),
            Outcome::Skipped(reason) => (Fate::Skipped, None, Vec::new(), Some(reason)),
        };
        Self { place, result, code, fields, reason, errors: Vec::new() }
    }
    /// Of one that was refused.
    pub fn failed(place: Place, reason: String, errors: Vec<Fault>) -> Self {
        Self { place, result: Fate::Failed, code: None, fields: Vec::new(), reason: Some(reason), errors }
    }

    /// A line for what needs a look, and one for each of its faults.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let verb = match self.result {
            Fate::Created | Fate::Changed | Fate::Unchanged => return Ok(()),
            Fate::Skipped => "skipped",
            Fate::Failed => "failed",
        };
        writeln!(out, "{verb}: {}: {}", self.place, self.reason.as_deref().unwrap_or_default())?;
        for fault in &self.errors {
            writeln!(out, "  {}: {}", fault.pointer.as_deref().unwrap_or_default(), fault.message)?;
        }
        Ok(())
    }
}

/// What came of it all.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Whether it was only tried.
    pub dry_run: bool,
    /// New trials.
    pub created: usize,
    /// New versions.
    pub changed: usize,
    /// Trials that were so already.
    pub unchanged: usize,
    /// Records left alone.
    pub skipped: usize,
    /// Files and records refused.
    pub failed: usize,
    /// Each of them.
    pub records: Vec<Record>,
}

impl Summary {
    /// Of nothing yet.
    pub fn new(dry_run: bool) -> Self {
        Self { dry_run, ..Self::default() }
    }
    /// Counts one more.
    pub fn add(&mut self, record: Record) {
        *match record.result {
            Fate::Created => &mut self.created,
            Fate::Changed => &mut self.changed,
            Fate::Unchanged => &mut self.unchanged,
            Fate::Skipped => &mut self.skipped,
            Fate::Failed => &mut self.failed,
        } += 1;
        self.records.push(record);
    }
    /// One sentence.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { created, changed, unchanged, skipped, failed, .. } = self;
        let only = if self.dry_run { "Tried only, nothing was saved: " } else { "" };
        writeln!(
            out,
            "{only}{created} created, {changed} changed, {unchanged} unchanged, {skipped} skipped, {failed} failed."
        )
    }
    /// The whole as one JSON document.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }
}
