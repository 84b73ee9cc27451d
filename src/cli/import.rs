//! `benchside import`: records of the outside world become trials.
//!
//! Each record is a transaction of its own, so that a bad one stops no other, and a server may go on beside it.
mod report;

pub use report::{Fate, Place, Record, Summary};

use crate::{
    Error, Result,
    app::Clock,
    auth::policy::Principal,
    db::{Db, columns::Time},
    error::Code,
    id::{Key, OrganizationId},
    identifier::Email,
    interop::{
        ctgov,
        import::{import_study, may_import},
        store,
    },
    ledger::Context,
    organization, person,
    vocabulary::{Authn, RecordKind},
};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// The most bytes one file may have.
pub const FILE_LIMIT: u64 = 256 * 1024 * 1024;

/// What to import.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// In which format.
    #[command(subcommand)]
    pub format: Format,
}

/// The formats there are.
#[derive(Debug, Clone, Subcommand)]
pub enum Format {
    /// Study records of ClinicalTrials.gov, in the JSON of its API v2.
    Ctgov(CtgovArgs),
}

/// Where ClinicalTrials.gov records come from, and for whom.
#[derive(Debug, Clone, Args)]
pub struct CtgovArgs {
    /// A file, a folder (its *.json files) or - for standard input: single studies, arrays of them, or search pages.
    #[arg(value_name = "FILE|DIR|-")]
    pub path: PathBuf,
    /// The clinic or centre that new trials belong to, such as O-3.
    #[arg(long, value_name = "CODE")]
    pub clinic: String,
    /// Who imports: an active clinician of that clinic, or an administrator.
    #[arg(long = "as", value_name = "EMAIL")]
    pub importer: String,
    /// Only say what would change.
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON document in place of text.
    #[arg(long)]
    pub json: bool,
}

/// Imports, writes the report to `out` and answers the summary. Whether the command failed, [`Summary::failed`] says.
///
/// # Errors
/// When nothing could be tried at all: an unknown person or clinic, a path that cannot be read.
pub async fn run(db: &Db, clock: &Clock, args: &ImportArgs, out: &mut impl Write) -> Result<Summary> {
    let Format::Ctgov(args) = &args.format;
    let clinic = clinic_and_leave(db, clock.now(), args).await?;
    let files = files(&args.path)?;
    // It draws on standard error, and only where that is a terminal.
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    let mut summary = Summary::new(args.dry_run);
    for file in &files {
        let read = if file.as_os_str() == "-" { read_bounded(std::io::stdin().lock()) } else { read_file(file) };
        let studies = match read.and_then(|bytes| parse(&bytes)) {
            Ok(studies) => studies,
            Err(reason) => {
                let failed = Record::failed(Place::file(file), reason, Vec::new());
                tell(&bar, out, args, &failed)?;
                summary.add(failed);
                continue;
            }
        };
        bar.set_length(bar.length().unwrap_or(0) + u64::try_from(studies.len()).unwrap_or(0));
        let many = studies.len() > 1;
        for (index, study) in studies.into_iter().enumerate() {
            let place = Place::study(file, many.then_some(index + 1), &study);
            bar.set_message(place.to_string());
            let record = import_one(db, clock, args, clinic, place, &study).await?;
            tell(&bar, out, args, &record)?;
            summary.add(record);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let written = if args.json { summary.write_json(out) } else { summary.write_text(out) };
    written.map_err(unwritable)?;
    Ok(summary)
}

fn tell(bar: &ProgressBar, out: &mut impl Write, args: &CtgovArgs, record: &Record) -> Result<()> {
    if args.json {
        return Ok(());
    }
    bar.suspend(|| record.write_text(out)).map_err(unwritable)
}

fn unwritable(e: std::io::Error) -> Error {
    Error::Internal(format!("the report cannot be written: {e}"))
}

/// The clinic, if the person may import for it.
async fn clinic_and_leave(db: &Db, at: Time, args: &CtgovArgs) -> Result<OrganizationId> {
    let (email, code) = (args.importer.clone(), args.clinic.clone());
    db.read(move |conn| {
        let who = importer(conn, &email, at)?;
        let unknown = || Error::refused(Code::NotFound, format!("There is no organization {code}."));
        let key = Key::parse(RecordKind::Organization, &code).ok_or_else(unknown)?;
        let clinic = organization::store::find(conn, &who, key).map_err(|e| match e.code() {
            Code::NotFound => unknown(),
            _ => e,
        })?;
        may_import(conn, &who, clinic.id).map_err(|e| match e.code() {
            Code::Invalid => Error::refused(Code::Conflict, format!("{code} is neither a clinic nor a centre.")),
            _ => e,
        })?;
        Ok(clinic.id)
    })
    .await
}

fn importer(conn: &mut crate::db::Conn, email: &str, at: Time) -> Result<Principal> {
    let unknown = || Error::refused(Code::NotFound, format!("There is no active person with the address {email}."));
    let address: Email = email.parse().map_err(|_| unknown())?;
    let id = store::active_person(conn, &address.folded())?.ok_or_else(unknown)?;
    person::store::principal(conn, id, Authn::System, at)?.ok_or_else(unknown)
}

/// The files a path names, in the order of their names.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    let unreadable =
        |e: std::io::Error| Error::refused(Code::NotFound, format!("{} cannot be read: {e}.", path.display()));
    if path.as_os_str() == "-" || !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.extension().is_some_and(|e| e.eq_ignore_ascii_case("json")) && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Error::refused(Code::NotFound, format!("{} has no .json files.", path.display())));
    }
    Ok(files)
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    read_bounded(File::open(path).map_err(|e| format!("cannot be read: {e}"))?)
}

fn read_bounded(source: impl Read) -> Result<Vec<u8>, String> {
    read_at_most(source, FILE_LIMIT)
}

fn read_at_most(source: impl Read, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    source.take(limit + 1).read_to_end(&mut bytes).map_err(|e| format!("cannot be read: {e}"))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(format!("is larger than {limit} bytes; split it"));
    }
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Vec<Value>, String> {
    let document = serde_json::from_slice(bytes).map_err(|e| format!("is not JSON: {e}"))?;
    ctgov::studies(document)
}

/// Imports one study. What is wrong with it is in the record; only a database that is gone is an error.
async fn import_one(
    db: &Db,
    clock: &Clock,
    args: &CtgovArgs,
    clinic: OrganizationId,
    place: Place,
    study: &Value,
) -> Result<Record> {
    const ATTEMPTS: usize = 4;
    let study = match ctgov::study(study) {
        Ok(study) => study,
        Err(faults) => return Ok(Record::failed(place, "has faults".into(), faults)),
    };
    let mut attempt = 1;
    loop {
        let (study, email, dry_run, at) = (study.clone(), args.importer.clone(), args.dry_run, clock.now());
        let (log, request) = (db.log().to_owned(), Uuid::now_v7());
        let work = move |conn: &mut crate::db::Conn| {
            let who = importer(conn, &email, at)?;
            let context = Context { log: (&*log).into(), person: Some(who.id), authn: Authn::System, at, request };
            import_study(conn, &who, &context, &study, clinic, dry_run)
        };
        let imported = if dry_run { db.read(work).await } else { db.write(work).await };
        return match imported {
            Ok(outcome) => Ok(Record::of(place, outcome)),
            // A server beside this command was faster: the record is read again and decided anew.
            Err(e) if is_lost_race(&e) && attempt < ATTEMPTS => {
                attempt += 1;
                continue;
            }
            Err(Error::Invalid(faults)) => Ok(Record::failed(place, "has faults".into(), faults.0)),
            Err(Error::Refused { detail, .. }) => Ok(Record::failed(place, detail, Vec::new())),
            Err(e) => Err(e),
        };
    }
}

/// The NCT id was given in the meantime, others were faster time and again, or the queue was full.
fn is_lost_race(e: &Error) -> bool {
    match e {
        Error::Overtaken | Error::Overloaded => true,
        Error::Refused { code, detail, .. } => *code == Code::Conflict && detail == crate::trial::change::TAKEN,
        _ => e.is_unique_violation(),
    }
}

#[cfg(test)]
mod tests;
