//! One at a time, for rules that span several records and that no single row's version can guard.
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
