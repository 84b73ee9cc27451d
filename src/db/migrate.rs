//! Brings the tables up to date; the steps are embedded in the program.
use super::{Conn, schema::log_identity};
use crate::{Error, Result};
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use uuid::Uuid;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
#[cfg(feature = "postgres")]
const PG: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// One step and whether the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name, as its folder has it.
    pub name: String,
    /// Whether it has been applied.
    pub applied: bool,
}

fn failed(e: &dyn std::fmt::Display) -> Error {
    Error::Open(format!("migration failed: {e}"))
}

macro_rules! with_migrations {
    ($conn:expr, |$c:ident, $source:ident| $body:expr) => {
        match $conn {
            #[cfg(feature = "postgres")]
            Conn::Pg($c) => {
                let $source = PG;
                $body
            }
            Conn::Sqlite($c) => {
                let $source = SQLITE;
                $body
            }
        }
    };
}

/// Applies what is missing. Several processes may start at once: each step runs once.
///
/// # Errors
/// [`Error::Open`] when a step fails, or when the database has steps this program does not know.
pub fn up(conn: &mut Conn) -> Result<()> {
    refuse_newer(conn)?;
    exclusively(conn, |conn| {
        with_migrations!(conn, |c, source| c.run_pending_migrations(source).map(drop)).map_err(|e| failed(&e))
    })?;
    name_the_log(conn)
}

/// Takes every step back: all data is gone. Only the demo does this, to its own.
///
/// # Errors
/// [`Error::Open`] when a step fails.
pub fn down(conn: &mut Conn) -> Result<()> {
    with_migrations!(conn, |c, source| c.revert_all_migrations(source).map(drop)).map_err(|e| failed(&e))
}

/// Two processes that start together on PostgreSQL must not both create the tables.
fn exclusively(conn: &mut Conn, f: impl FnOnce(&mut Conn) -> Result<()>) -> Result<()> {
    match conn {
        #[cfg(feature = "postgres")]
        Conn::Pg(_) => {
            use diesel::connection::SimpleConnection;
            const LOCK: i64 = 0x62656e6368; // "bench"
            // A step may take long, and another node may wait for it: the limits of requests are not for this.
            conn.batch_execute("SET lock_timeout = 0; SET statement_timeout = 0")?;
            conn.batch_execute(&format!("SELECT pg_advisory_lock({LOCK})"))?;
            let done = f(conn);
            conn.batch_execute(&format!("SELECT pg_advisory_unlock({LOCK})"))?;
            done
        }
        Conn::Sqlite(_) => f(conn),
    }
}

/// Every step this program knows, in order.
///
/// # Errors
/// [`Error::Open`] when the database cannot say.
pub fn status(conn: &mut Conn) -> Result<Vec<Step>> {
    with_migrations!(conn, |c, source| steps(c, &source))
}

fn steps<DB, C>(conn: &mut C, source: &EmbeddedMigrations) -> Result<Vec<Step>>
where
    DB: diesel::backend::Backend,
    C: MigrationHarness<DB>,
    EmbeddedMigrations: diesel::migration::MigrationSource<DB>,
{
    use diesel::migration::MigrationSource;
    let applied = conn.applied_migrations().map_err(|e| failed(&e))?;
    let mut known = source.migrations().map_err(|e| failed(&e))?;
    known.sort_by_key(|m| m.name().version().as_owned());
    Ok(known
        .iter()
        .map(|m| Step { name: m.name().to_string(), applied: applied.contains(&m.name().version().as_owned()) })
        .collect())
}

fn refuse_newer(conn: &mut Conn) -> Result<()> {
    let unknown = with_migrations!(conn, |c, source| unknown_steps(c, &source))?;
    match unknown.first() {
        None => Ok(()),
        Some(step) => Err(Error::Open(format!(
            "the database is from a newer version of Benchside (step {step}): start that version, or restore a backup"
        ))),
    }
}

fn unknown_steps<DB, C>(conn: &mut C, source: &EmbeddedMigrations) -> Result<Vec<String>>
where
    DB: diesel::backend::Backend,
    C: MigrationHarness<DB>,
    EmbeddedMigrations: diesel::migration::MigrationSource<DB>,
{
    use diesel::migration::MigrationSource;
    let known: Vec<_> =
        source.migrations().map_err(|e| failed(&e))?.iter().map(|m| m.name().version().as_owned()).collect();
    let applied = conn.applied_migrations().map_err(|e| failed(&e))?;
    Ok(applied.into_iter().filter(|v| !known.contains(v)).map(|v| v.to_string()).collect())
}

fn name_the_log(conn: &mut Conn) -> Result<()> {
    if log_identity::table.count().get_result::<i64>(conn)? > 0 {
        return Ok(());
    }
    let name = format!("benchside/{}", Uuid::now_v7());
    let named = diesel::insert_into(log_identity::table)
        .values((log_identity::id.eq(1), log_identity::log.eq(name)))
        .execute(conn)
        .map_err(Error::from);
    match named {
        Err(e) if e.is_unique_violation() => Ok(()), // another process was faster
        named => named.map(drop),
    }
}

/// The name of this log.
///
/// # Errors
/// When the database fails.
pub fn log_name(conn: &mut Conn) -> Result<String> {
    Ok(log_identity::table.select(log_identity::log).get_result(conn)?)
}
