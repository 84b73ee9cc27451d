//! `benchside erase`: what the law asks to be forgotten. The log keeps its proof, and shows the gap.
use super::user::{in_a_sentence, person_by_email, system};
use crate::{
    Error, Result,
    config::Database,
    db::{Conn, Db, Purpose, Settings},
    erasure::change,
    fault::check_text,
    id::Key,
    person,
    vocabulary::RecordKind,
};
use clap::{Args, Subcommand};

/// `benchside erase …`
#[derive(Debug, Subcommand)]
pub enum Erase {
    /// Erase a person who was disabled: what is known of them, in every version, and how they got in
    Person(ErasePerson),
    /// Erase versions of a record; signed ones are kept
    Versions(EraseVersions),
    /// Clear the database's files of what was deleted
    Scrub(Scrub),
}

/// `benchside erase person`
#[derive(Debug, Args)]
pub struct ErasePerson {
    /// Their code, such as U-12, or their e-mail address
    pub person: String,
    /// Why: kept in the history
    #[arg(long)]
    pub reason: String,
    /// Where the data is
    #[command(flatten)]
    pub database: Database,
}

/// `benchside erase versions`
#[derive(Debug, Args)]
pub struct EraseVersions {
    /// The record's code, such as D-17
    pub record: String,
    /// The versions
    #[arg(required = true, value_parser = clap::value_parser!(i64).range(1..))]
    pub versions: Vec<i64>,
    /// Why: kept in the history
    #[arg(long)]
    pub reason: String,
    /// Where the data is
    #[command(flatten)]
    pub database: Database,
}

/// `benchside erase scrub`
#[derive(Debug, Args)]
pub struct Scrub {
    /// Where the data is
    #[command(flatten)]
    pub database: Database,
}

/// Runs the command.
///
/// # Errors
/// One clear sentence; nothing was erased then.
pub async fn run(erase: Erase) -> Result<()> {
    let (address, reason) = match &erase {
        Erase::Person(args) => (args.database.existing()?.to_owned(), args.reason.clone()),
        Erase::Versions(args) => (args.database.existing()?.to_owned(), args.reason.clone()),
        Erase::Scrub(args) => return scrub(args.database.existing()?),
    };
    check_text(&reason, 1, 2000).map_err(|(_, why)| Error::Open(format!("the reason {why}")))?;
    let db = Db::open(&address, &Settings::of_a_command())?;
    let context = system(&db);
    let done = db.write(move |conn| match &erase {
        Erase::Person(args) => {
            let person = person_named(conn, &args.person)?;
            change::erase_person(conn, &context, person, &reason)
        }
        Erase::Versions(args) => {
            let (kind, key) = record_named(&args.record)?;
            change::erase_versions(conn, &context, kind, key, &args.versions, &reason)
        }
        Erase::Scrub(_) => Ok(0),
    });
    let done = done.await;
    db.close();
    let erased = done.map_err(in_a_sentence)?;
    println!("Erased {erased} versions. Backups, and on PostgreSQL archived logs, still hold them.");
    scrub(&address)
}

/// # Errors
/// That it is still in the files, and what to do.
fn scrub(address: &str) -> Result<()> {
    let scrubbed = Conn::open(&address.parse()?, Purpose::Write)?.scrub();
    let left = |e: Error| {
        Error::Open(format!(
            "erased from the records, but the database's files may still hold it ({e}): run `benchside erase scrub`"
        ))
    };
    scrubbed.map_err(left)?;
    println!("The database's files were cleared of what was deleted.");
    Ok(())
}

fn person_named(conn: &mut Conn, named: &str) -> Result<person::Person> {
    match Key::parse(RecordKind::Person, named) {
        Some(key) => person::store::named(conn, key),
        None => person_by_email(conn, named),
    }
}

fn record_named(code: &str) -> Result<(RecordKind, Key)> {
    let unknown = || Error::Open(format!("{code} is no code of a record, such as D-17"));
    let named = |kind: &RecordKind| match Key::parse(*kind, code) {
        Some(key @ Key::Number(_)) => Some((*kind, key)),
        _ => None,
    };
    RecordKind::ALL.iter().find_map(named).ok_or_else(unknown)
}
