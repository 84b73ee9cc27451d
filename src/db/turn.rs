//! How a transaction gets along with others: turns, for rules that span several records and that no single row's version
//! can guard; waits that are cut short; and parts that fail alone.
use super::Conn;
use crate::Result;

/// Waits until no other transaction holds this turn, and holds it until the present one ends. What is read afterwards is
/// what the last holder committed.
///
/// # Errors
/// What the database says.
pub fn take_turn(conn: &mut Conn, name: &'static str) -> Result<()> {
    // Engine-specific: SQLite has one writer, so it is always its turn.
    match conn {
        #[cfg(feature = "postgres")]
        Conn::Pg(c) => {
            use diesel::{RunQueryDsl, sql_query, sql_types::Text};
            sql_query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind::<Text, _>(name).execute(c)?;
            Ok(())
        }
        Conn::Sqlite(_) => {
            let _ = name;
            Ok(())
        }
    }
}

/// Runs a part of a transaction that gives up after a second on a row another transaction holds, where the rest waits
/// longer. A part that may fail is an [`attempt`], or it takes the transaction with it.
///
/// # Errors
/// What the part says; [`Error::timed_out_waiting`](crate::Error::timed_out_waiting) tells.
pub fn impatiently<T>(conn: &mut Conn, part: impl FnOnce(&mut Conn) -> Result<T>) -> Result<T> {
    set_lock_timeout(conn, 1)?;
    let done = part(conn);
    set_lock_timeout(conn, super::conn::LOCK_SECONDS)?;
    done
}

fn set_lock_timeout(conn: &mut Conn, seconds: u32) -> Result<()> {
    // Engine-specific: SQLite has one writer, so there is nobody to wait for.
    match conn {
        #[cfg(feature = "postgres")]
        Conn::Pg(c) => {
            use diesel::connection::SimpleConnection;
            Ok(c.batch_execute(&format!("SET LOCAL lock_timeout = '{seconds}s'"))?)
        }
        Conn::Sqlite(_) => {
            let _ = seconds;
            Ok(())
        }
    }
}

/// Runs a part of a transaction in a savepoint: if it fails, its changes alone are taken back.
///
/// # Errors
/// What the part says.
pub fn attempt<T>(conn: &mut Conn, part: impl FnOnce(&mut Conn) -> Result<T>) -> Result<T> {
    diesel::Connection::transaction(conn, part)
}

/// Waits for the transactions that change the rows a `SELECT … FOR SHARE` with one UUID finds, and keeps the rows as they
/// are until the present transaction ends: for what a rule rests on and another record's version does not guard.
///
/// # Errors
/// What the database says.
pub fn hold_rows(conn: &mut Conn, select_for_share: &'static str, id: uuid::Uuid) -> Result<()> {
    // Engine-specific: SQLite has one writer, so nothing changes meanwhile.
    match conn {
        #[cfg(feature = "postgres")]
        Conn::Pg(c) => {
            use diesel::{RunQueryDsl, sql_query, sql_types::Uuid};
            sql_query(select_for_share).bind::<Uuid, _>(id).execute(c)?;
            Ok(())
        }
        Conn::Sqlite(_) => {
            let _ = (select_for_share, id);
            Ok(())
        }
    }
}

/// As [`hold_rows`], of many rows of one table at once; the statement says in which order.
///
/// # Errors
/// What the database says.
pub fn hold_all_rows(conn: &mut Conn, select_in_order: &str, ids: &[uuid::Uuid]) -> Result<()> {
    // Engine-specific: SQLite has one writer, so nothing changes meanwhile.
    match conn {
        #[cfg(feature = "postgres")]
        Conn::Pg(c) => {
            use diesel::{
                RunQueryDsl, sql_query,
                sql_types::{Array, Uuid},
            };
            sql_query(select_in_order).bind::<Array<Uuid>, _>(ids).execute(c)?;
            Ok(())
        }
        Conn::Sqlite(_) => {
            let _ = (select_in_order, ids);
            Ok(())
        }
    }
}

/// The database's clock, in whole seconds since 1970: what nodes whose own clocks differ agree on.
///
/// # Errors
/// What the database says.
pub fn clock_seconds(conn: &mut Conn) -> Result<i64> {
    use diesel::{RunQueryDsl, dsl::sql, select, sql_types::BigInt};
    // Engine-specific: each has its own name for it.
    let now = match conn {
        #[cfg(feature = "postgres")]
        Conn::Pg(_) => "extract(epoch from clock_timestamp())::bigint",
        Conn::Sqlite(_) => "unixepoch()",
    };
    Ok(select(sql::<BigInt>(now)).get_result(conn)?)
}
