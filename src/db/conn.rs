//! One connection, on either engine.
#![expect(missing_docs, reason = "derive(MultiConnection) makes undocumented items")]
use crate::{Error, Result};
#[cfg(feature = "postgres")]
use diesel::PgConnection;
use diesel::{
    Connection, MultiConnection, QueryResult, SqliteConnection,
    connection::{AnsiTransactionManager, SimpleConnection, TransactionManager},
};

#[derive(MultiConnection)]
pub enum Conn {
    #[cfg(feature = "postgres")]
    Pg(PgConnection),
    Sqlite(SqliteConnection),
}

/// The same expression on the connection of whichever engine, for what the derived backend does not have: inserts of many
/// rows at once.
macro_rules! each_backend {
    ($conn:expr, |$c:ident| $body:expr) => {
        match $conn {
            #[cfg(feature = "postgres")]
            $crate::db::Conn::Pg($c) => $body,
            $crate::db::Conn::Sqlite($c) => $body,
        }
    };
}
pub(crate) use each_backend;

/// Where the data lives. An unknown scheme is refused, so that a typo never makes a new file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A file.
    Sqlite(String),
    /// A libpq URL.
    #[cfg(feature = "postgres")]
    Pg(String),
}

impl std::str::FromStr for Address {
    type Err = Error;
    fn from_str(url: &str) -> Result<Self> {
        match url.split_once("://") {
            Some(("sqlite", path)) if !path.is_empty() && !path.starts_with(':') => Ok(Self::Sqlite(path.into())),
            #[cfg(feature = "postgres")]
            Some(("postgres" | "postgresql", _)) => Ok(Self::Pg(url.into())),
            #[cfg(not(feature = "postgres"))]
            Some(("postgres" | "postgresql", _)) => {
                Err(Error::Open("this build has no PostgreSQL: build it with `--features postgres`".into()))
            }
            // The rest of an address may hold a password: only its scheme is repeated.
            Some((scheme, _)) => Err(Error::Open(format!(
                "unknown database scheme `{scheme}`: expected sqlite://PATH or postgres://USER@HOST/NAME"
            ))),
            None => Err(Error::Open("a database is named by a URL: sqlite://PATH or postgres://USER@HOST/NAME".into())),
        }
    }
}

/// What a SQLite connection may do. PostgreSQL connections do both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Read,
    Write,
}

/// Before 3.51.3 a WAL reset could lose a commit.
pub const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);

const SQLITE_COMMON: &str = "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = ON; \
     PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 268435456;";
const SQLITE_WRITE: &str =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA secure_delete = ON;";
const SQLITE_READ: &str = "PRAGMA query_only = ON; PRAGMA cache_size = -16384;";
/// How long a statement waits on a row another transaction holds, in seconds; also in [`PG_SETUP`].
pub const LOCK_SECONDS: u32 = 5;
#[cfg(feature = "postgres")]
const PG_SETUP: &str = "SET timezone = 'UTC'; SET statement_timeout = '10s'; SET lock_timeout = '5s'; \
     SET idle_in_transaction_session_timeout = '10s'; SET client_min_messages = 'warning';";

/// libpq's own parameters: a server that is gone without a word is found out in seconds, not in the system's quarter of an
/// hour. Seconds, but for `tcp_user_timeout`, which is in milliseconds.
#[cfg(feature = "postgres")]
const PG_DEADLINES: &[(&str, u32)] = &[
    ("connect_timeout", 5),
    ("tcp_user_timeout", 15_000),
    ("keepalives_idle", 10),
    ("keepalives_interval", 5),
    ("keepalives_count", 2),
];

/// The address with the deadlines it does not name itself.
#[cfg(feature = "postgres")]
fn with_deadlines(url: &str) -> String {
    PG_DEADLINES.iter().filter(|(name, _)| !url.contains(&format!("{name}="))).fold(
        url.to_owned(),
        |url, (name, value)| {
            let mark = if url.contains('?') { '&' } else { '?' };
            format!("{url}{mark}{name}={value}")
        },
    )
}

impl Conn {
    /// Opens a connection and sets it up.
    ///
    /// # Errors
    /// [`Error::Open`] with one sentence that repeats no password.
    pub fn open(address: &Address, purpose: Purpose) -> Result<Self> {
        match address {
            #[cfg(feature = "postgres")]
            Address::Pg(url) => {
                let failed = |e: &dyn std::fmt::Display| Error::Open(format!("PostgreSQL: {e}"));
                let mut c = PgConnection::establish(&with_deadlines(url)).map_err(|e| failed(&e))?;
                c.batch_execute(PG_SETUP).map_err(|e| failed(&e))?;
                // A plain role may not set it; `serve` warns then, since deadlocks are known by their English message.
                let _ = c.batch_execute("SET lc_messages = 'C'");
                Ok(Self::Pg(c))
            }
            Address::Sqlite(path) => {
                let failed = |e: &dyn std::fmt::Display| Error::Open(format!("SQLite file {path}: {e}"));
                let mut c = SqliteConnection::establish(path).map_err(|e| failed(&e))?;
                refuse_old_sqlite(&mut c)?;
                let own = if purpose == Purpose::Write { SQLITE_WRITE } else { SQLITE_READ };
                c.batch_execute(SQLITE_COMMON).and_then(|()| c.batch_execute(own)).map_err(|e| failed(&e))?;
                Ok(Self::Sqlite(c))
            }
        }
    }

    /// Whether the server's messages are in English, by which deadlocks are known: diesel hands out no SQLSTATE.
    #[cfg(feature = "postgres")]
    pub fn speaks_english(&mut self) -> Result<bool> {
        use diesel::{dsl::sql, prelude::*, sql_types::Text};
        let setting: String = diesel::select(sql::<Text>("current_setting('lc_messages')")).get_result(self)?;
        Ok(["", "C", "POSIX"].contains(&&*setting) || setting.starts_with("C.") || setting.starts_with("en"))
    }

    /// Reads as of one moment, for as long as it takes, while others go on writing.
    ///
    /// # Errors
    /// What the closure says, or the database.
    pub fn snapshot<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.transaction(|conn| {
            if conn.engine() == "postgres" {
                conn.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")?;
            }
            f(conn)
        })
    }

    /// Takes what was deleted out of the files: SQLite's is written anew and its write-ahead log emptied; on PostgreSQL dead rows
    /// are freed, for others to be written over. Takes as long as the database is large.
    ///
    /// # Errors
    /// What the database says; others that are in the way; on PostgreSQL a table of events that is not the role's own.
    pub fn scrub(&mut self) -> Result<()> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Pg(c) => {
                use diesel::{dsl::sql, prelude::*, sql_types::Bool};
                // VACUUM only warns of tables that it skips.
                let own =
                    sql::<Bool>("pg_has_role((SELECT relowner FROM pg_class WHERE oid = 'event'::regclass), 'USAGE')");
                if !diesel::select(own).get_result::<bool>(c)? {
                    return Err(Error::Open("this role does not own the tables: have their owner VACUUM them".into()));
                }
                Ok(c.batch_execute("SET statement_timeout = 0").and_then(|()| c.batch_execute("VACUUM"))?)
            }
            Self::Sqlite(c) => {
                #[derive(diesel::QueryableByName)]
                struct Checkpoint {
                    #[diesel(sql_type = diesel::sql_types::Integer)]
                    busy: i32,
                }
                use diesel::RunQueryDsl;
                c.batch_execute("VACUUM")?;
                let done: Checkpoint = diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result(c)?;
                if done.busy == 0 { Ok(()) } else { Err(Error::Open("the write-ahead log is in use".into())) }
            }
        }
    }

    /// `sqlite` or `postgres`.
    pub const fn engine(&self) -> &'static str {
        match self {
            #[cfg(feature = "postgres")]
            Self::Pg(_) => "postgres",
            Self::Sqlite(_) => "sqlite",
        }
    }
}

fn refuse_old_sqlite(conn: &mut SqliteConnection) -> Result<()> {
    use diesel::{dsl::sql, prelude::*, sql_types::Text};
    let version: String = diesel::select(sql::<Text>("sqlite_version()")).get_result(conn)?;
    if is_recent(&version) {
        Ok(())
    } else {
        Err(Error::Open(format!("SQLite {version} is too old: 3.51.3 is needed")))
    }
}

fn is_recent(version: &str) -> bool {
    let mut parts = version.split('.').map(|p| p.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next()) >= OLDEST_SQLITE
}

/// Rolls back what a closure left open inside the one transaction it was given: diesel has no guard that does so when a
/// panic passes through `conn.transaction`. Returns whether nothing was.
pub fn close_nested<C>(conn: &mut C) -> QueryResult<bool>
where
    C: Connection<TransactionManager = AnsiTransactionManager>,
{
    let mut level = true;
    loop {
        match AnsiTransactionManager::transaction_manager_status_mut(conn).transaction_depth()?.map(|d| d.get()) {
            Some(1) => return Ok(level),
            Some(_) => AnsiTransactionManager::rollback_transaction(conn)?,
            None => return Err(diesel::result::Error::NotInTransaction),
        }
        level = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_scheme_is_refused_and_never_a_new_file() {
        for url in ["sqlit://x.db", "mysql://u:secret@h/d", "benchside.db", "sqlite://", "sqlite://:memory:", ""] {
            let refusal = url.parse::<Address>().unwrap_err().to_string();
            assert!(!refusal.contains("secret"), "{refusal}");
        }
        assert_eq!("sqlite://x.db".parse::<Address>().unwrap(), Address::Sqlite("x.db".into()));
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_connection_has_deadlines_that_its_address_may_set() {
        let plain = with_deadlines("postgres://u@h/d");
        assert!(plain.starts_with("postgres://u@h/d?connect_timeout=5&tcp_user_timeout=15000&"), "{plain}");
        let own = with_deadlines("postgres://u@h/d?sslmode=require&connect_timeout=30");
        assert!(own.starts_with("postgres://u@h/d?sslmode=require&connect_timeout=30&tcp_user_timeout"), "{own}");
        assert_eq!(own.matches("connect_timeout").count(), 1);
    }

    #[test]
    fn only_sqlite_without_the_wal_reset_bug_is_recent() {
        for (version, recent) in
            [("3.51.2", false), ("3.51.3", true), ("3.52.0", true), ("4.0.0", true), ("3.9.9", false)]
        {
            assert_eq!(is_recent(version), recent, "{version}");
        }
    }
}
