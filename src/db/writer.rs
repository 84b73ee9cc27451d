//! The one thread that writes to SQLite: many closures, one commit, one fsync.
//!
//! A batch is `BEGIN IMMEDIATE`, each closure in a savepoint of its own, `COMMIT` with `synchronous = FULL`. A closure
//! that fails or panics is rolled back alone. No caller hears anything before the commit is on disk, and if that fails
//! all of them hear so.
use super::{
    Address, Conn,
    conn::{Purpose, close_nested},
    lane::Task,
    left_open,
    seal::Sealing,
};
use crate::{Error, Result};
use async_channel::Receiver;
use diesel::{
    QueryResult, RunQueryDsl, SqliteConnection,
    connection::{AnsiTransactionManager, TransactionManager},
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sqlite::Sqlite,
};
use std::time::Duration;

/// The writing thread's state.
pub struct Writer {
    /// Where to connect again.
    pub address: Address,
    /// The one writing connection.
    pub conn: Conn,
    /// The queue.
    pub work: Receiver<Box<dyn Task>>,
    /// The most closures in one commit: bounds how long a caller waits for its neighbours.
    pub batch: usize,
    /// What is done at the end of each.
    pub seal: Option<Sealing>,
}

impl Writer {
    /// Works until the lane is closed and empty.
    pub fn run(mut self) {
        // Another process may have written since this file was last sealed.
        self.commit(Vec::new());
        while let Ok(first) = self.work.recv_blocking() {
            let batch = self.gather(first);
            let fates = self.commit(batch);
            for (task, fate) in fates {
                task.answer(fate);
            }
            self.mend();
        }
    }

    fn gather(&self, first: Box<dyn Task>) -> Vec<Box<dyn Task>> {
        let mut batch = vec![first];
        while batch.len() < self.batch
            && let Ok(next) = self.work.try_recv()
        {
            batch.push(next);
        }
        batch
    }

    /// A full disk, or a closure that says ROLLBACK, ends the transaction behind diesel's back; diesel then refuses the
    /// connection for good. The writer opens another: it must outlive everything but the process.
    fn mend(&mut self) {
        while AnsiTransactionManager::is_broken_transaction_manager(sqlite(&mut self.conn)) && !self.work.is_closed() {
            match Conn::open(&self.address, Purpose::Write) {
                Ok(conn) => self.conn = conn,
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Runs the batch and says, per task, whether its changes are on disk.
    fn commit(&mut self, mut batch: Vec<Box<dyn Task>>) -> Vec<(Box<dyn Task>, Result<()>)> {
        let mut verdicts = Vec::with_capacity(batch.len());
        let committed = self.transact(&mut batch, &mut verdicts);
        if let Some(seal) = &mut self.seal {
            seal.settle(committed.is_ok());
        }
        if let Err(e) = committed {
            let failure = match e {
                Error::Database(e) => Error::NotCommitted(e),
                e => e,
            };
            return batch.into_iter().map(|task| (task, Err(failure.clone()))).collect();
        }
        batch.into_iter().zip(verdicts).collect()
    }

    fn transact(&mut self, batch: &mut [Box<dyn Task>], verdicts: &mut Vec<Result<()>>) -> Result<()> {
        AnsiTransactionManager::begin_transaction_sql(sqlite(&mut self.conn), "BEGIN IMMEDIATE")?;
        let worked = batch.iter_mut().try_for_each(|task| {
            // Not before its turn: another process may have held the file, and neighbours may be slow.
            let verdict = if task.begin() {
                in_savepoint(&mut self.conn, |conn| task.run(conn))?
            } else {
                Err(Error::Overloaded)
            };
            verdicts.push(verdict);
            Ok(())
        });
        let worked = worked.and_then(|()| self.sealed());
        let conn = sqlite(&mut self.conn);
        match worked {
            // diesel rolls back by itself when a COMMIT fails.
            Ok(()) => Ok(AnsiTransactionManager::commit_transaction(conn)?),
            Err(e) => {
                // An error of the disk ends the transaction from under us; then there is nothing left to roll back.
                let _ = AnsiTransactionManager::rollback_transaction(conn);
                Err(e)
            }
        }
    }
}

impl Writer {
    /// Seals what the batch wrote.
    fn sealed(&mut self) -> Result<()> {
        let Some(seal) = &mut self.seal else { return Ok(()) };
        let mut beyond_saving = Ok(());
        seal.run(&mut self.conn, |conn, seal| {
            in_savepoint(conn, |conn| seal.seal(conn)).unwrap_or_else(|e| {
                beyond_saving = Err(e.clone());
                Err(e)
            })
        });
        beyond_saving
    }
}

/// Ok(verdict of the work), or Err if the batch itself is beyond saving (its transaction is gone).
///
/// The savepoint is ours and not diesel's: its statements are prepared once, where diesel's manager would have SQLite
/// parse `SAVEPOINT diesel_savepoint_1` anew each time. diesel sees one open transaction (depth 1) throughout, so a
/// closure that nests `conn.transaction` gets diesel's savepoints inside ours.
fn in_savepoint<T>(conn: &mut Conn, work: impl FnOnce(&mut Conn) -> Result<T>) -> Result<Result<T>> {
    Fixed::<SAVEPOINT>.execute(sqlite(conn))?;
    let verdict = work(conn);
    let conn = sqlite(conn);
    let level = close_nested(conn)?; // a panic inside a nested transaction leaves it open
    let verdict = if level { verdict } else { verdict.and_then(|_| Err(left_open())) };
    if verdict.is_err() {
        Fixed::<ROLLBACK_TO>.execute(conn)?;
    }
    Fixed::<RELEASE>.execute(conn)?;
    Ok(verdict)
}

fn sqlite(conn: &mut Conn) -> &mut SqliteConnection {
    match conn {
        Conn::Sqlite(c) => c,
        #[cfg(feature = "postgres")]
        Conn::Pg(_) => unreachable!("only a SQLite database has a writer thread"),
    }
}

const SAVEPOINT: u8 = 0;
const ROLLBACK_TO: u8 = 1;
const RELEASE: u8 = 2;

/// A statement without arguments that diesel prepares once and finds again by its type; `sql_query` would prepare it
/// on every call.
#[derive(QueryId, Clone, Copy)]
struct Fixed<const SQL: u8>;

impl<const SQL: u8> QueryFragment<Sqlite> for Fixed<SQL> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(match SQL {
            SAVEPOINT => "SAVEPOINT task",
            ROLLBACK_TO => "ROLLBACK TO task",
            _ => "RELEASE task",
        });
        Ok(())
    }
}
impl<const SQL: u8> Query for Fixed<SQL> {
    type SqlType = ();
}
impl<const SQL: u8> RunQueryDsl<SqliteConnection> for Fixed<SQL> {}
