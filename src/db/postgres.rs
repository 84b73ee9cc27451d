//! PostgreSQL: each thread owns one connection, each closure is its own transaction.
use super::{
    Address, Conn,
    conn::{Purpose, close_nested},
    lane::{Mode, Task},
    left_open,
    seal::Sealing,
};
use crate::{Error, Result};
use async_channel::Receiver;
use diesel::{
    PgConnection,
    connection::{AnsiTransactionManager, TransactionManager},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

/// Attempts at one closure before what stood in its way becomes the caller's.
const ATTEMPTS: u32 = 16;
/// After so many the pauses between them grow no longer.
const DOUBLINGS: u32 = 5;

/// A thread's connection and its queue.
pub struct Worker {
    /// Where to connect again.
    pub address: Address,
    /// The connection.
    pub conn: Conn,
    /// The queue, shared with the other workers.
    pub work: Receiver<Box<dyn Task>>,
}

impl Worker {
    /// Works until the lane is closed and empty.
    pub fn run(mut self) {
        while let Ok(mut task) = self.work.recv_blocking() {
            if !task.begin() {
                continue;
            }
            let fate = self.attempt(&mut *task);
            let lost = fate.as_ref().is_err_and(Error::lost_connection) || self.is_broken();
            task.answer(fate.map_err(told));
            if lost {
                self.reconnect();
            }
        }
    }

    fn attempt(&mut self, task: &mut dyn Task) -> Result<()> {
        let mut attempt = 1;
        loop {
            let fate = match task.mode() {
                Mode::Write => self.in_transaction(task, "BEGIN ISOLATION LEVEL READ COMMITTED"),
                // One snapshot for all queries of a read: a list and the names in it belong together.
                Mode::Read => self.in_transaction(task, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
            };
            match fate {
                Err(e) if e.wants_retry() && attempt < ATTEMPTS => {
                    std::thread::sleep(Duration::from_micros(fastrand::u64(200..1_000) << attempt.min(DOUBLINGS)));
                    attempt += 1;
                }
                fate => return fate,
            }
        }
    }

    fn in_transaction(&mut self, task: &mut dyn Task, begin: &str) -> Result<()> {
        AnsiTransactionManager::begin_transaction_sql(pg(&mut self.conn), begin)?;
        let verdict = task.run(&mut self.conn);
        let conn = pg(&mut self.conn);
        let verdict = if close_nested(conn)? { verdict } else { verdict.and(Err(left_open())) };
        match verdict {
            Ok(()) => AnsiTransactionManager::commit_transaction(conn).map_err(|e| Error::NotCommitted(e.into())),
            Err(e) => {
                // A connection left inside a transaction is found broken, and replaced, by the caller.
                let _ = AnsiTransactionManager::rollback_transaction(conn);
                Err(e)
            }
        }
    }

    fn is_broken(&mut self) -> bool {
        AnsiTransactionManager::is_broken_transaction_manager(pg(&mut self.conn))
    }

    /// Tries for as long as the lane is open: a restart of the server takes seconds, and callers are refused meanwhile.
    fn reconnect(&mut self) {
        let mut pause = Duration::from_millis(10);
        while !self.work.is_closed() {
            match Conn::open(&self.address, Purpose::Write) {
                Ok(conn) => {
                    self.conn = conn;
                    return;
                }
                Err(_) => std::thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }
}

/// What the caller hears: a connection that was lost before the commit took its transaction along, so nothing was done.
fn told(e: Error) -> Error {
    match e {
        // Where transactions stood in each other's way to the last attempt, nothing was done either.
        Error::Database(_) if e.lost_connection() || e.wants_retry() => Error::Overloaded,
        e => e,
    }
}

/// How often what was written is sealed.
const SEAL_EVERY: Duration = Duration::from_millis(100);

/// The thread that seals what the workers of all nodes wrote.
pub struct Sealer {
    /// Where to connect again.
    pub address: Address,
    /// Its connection.
    pub conn: Conn,
    /// What it does.
    pub seal: Sealing,
    /// The lane of writes: it ends once that is closed and empty.
    pub lane: Receiver<Box<dyn Task>>,
}

impl Sealer {
    /// Seals until the lane is closed and empty, and once more.
    pub fn run(mut self) {
        loop {
            let last = self.lane.is_closed() && self.lane.is_empty();
            while self.once() {}
            if last {
                return;
            }
            if AnsiTransactionManager::is_broken_transaction_manager(pg(&mut self.conn))
                && let Ok(conn) = Conn::open(&self.address, Purpose::Write)
            {
                self.conn = conn;
            }
            std::thread::sleep(SEAL_EVERY);
        }
    }

    /// One transaction; whether more is left to do.
    fn once(&mut self) -> bool {
        let begun =
            AnsiTransactionManager::begin_transaction_sql(pg(&mut self.conn), "BEGIN ISOLATION LEVEL READ COMMITTED");
        if begun.is_err() {
            return false;
        }
        let mut failed = false;
        let more = self.seal.run(&mut self.conn, |conn, seal| {
            let sealed = catch_unwind(AssertUnwindSafe(|| seal.seal(conn))).unwrap_or(Err(Error::Panicked));
            let sealed = if close_nested(pg(conn))? { sealed } else { sealed.and_then(|_| Err(left_open())) };
            failed = sealed.is_err();
            sealed
        });
        let conn = pg(&mut self.conn);
        let committed = if failed {
            let _ = AnsiTransactionManager::rollback_transaction(conn);
            false
        } else {
            AnsiTransactionManager::commit_transaction(conn).is_ok()
        };
        self.seal.settle(committed);
        more && committed
    }
}

fn pg(conn: &mut Conn) -> &mut PgConnection {
    match conn {
        Conn::Pg(c) => c,
        Conn::Sqlite(_) => unreachable!("SQLite has a writer thread"),
    }
}
