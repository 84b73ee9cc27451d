//! The two doors to the data: [`Db::read`] and [`Db::write`].
//!
//! A closure gets `&mut Conn` and never begins a transaction itself. On SQLite one thread writes, many closures per
//! commit ([`writer`]), and others read in WAL mode; on PostgreSQL each closure is its own transaction ([`postgres`]).
//! No answer leaves before its commit. This module knows no entity.
pub mod columns;
mod conn;
mod finders;
pub mod lane;
pub mod migrate;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod schema;
pub mod seal;
mod turn;
pub mod writer;

pub(crate) use conn::each_backend;
pub use conn::{Address, Conn, MultiBackend, Purpose};
pub use finders::{Sees, any_of, containing, index_shares};
pub(crate) use finders::{finders, seen_by_visibility};
pub use seal::Seal;
pub use turn::{attempt, clock_seconds, hold_all_rows, hold_rows, impatiently, take_turn};

use crate::{Error, Result};
use lane::{Lane, Mode};
use seal::Sealing;
use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

/// How the store uses the machine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Closures that may wait for a connection.
    pub queue: usize,
    /// How long a caller waits for its closure to be begun.
    pub patience: Duration,
    /// SQLite: the most closures in one commit.
    pub batch: usize,
    /// SQLite: reading threads.
    pub readers: usize,
    /// PostgreSQL: connections.
    pub connections: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { queue: 1024, patience: Duration::from_millis(900), batch: 128, readers: 2, connections: 8 }
    }
}

impl Settings {
    /// For a command, which has nobody to refuse and rather waits for a server that writes to the same file.
    pub fn of_a_command() -> Self {
        Self { patience: Duration::from_secs(60), readers: 1, connections: 2, ..Self::default() }
    }
}

/// A handle to the database; clones share it.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    address: Address,
    log: String,
    writes: Lane,
    reads: Lane,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Db {
    /// Opens the database, brings its tables up to date and starts its threads.
    ///
    /// # Errors
    /// [`Error::Open`]: unknown scheme, unreachable server, unreadable file, SQLite too old, or a database that a newer
    /// version of the service has migrated.
    pub fn open(url: &str, settings: &Settings) -> Result<Self> {
        Self::start(url, settings, None)
    }

    /// As [`Db::open`]; `seal` runs with every commit (SQLite) or by itself (PostgreSQL).
    ///
    /// # Errors
    /// As [`Db::open`].
    pub fn open_sealed(url: &str, settings: &Settings, seal: Box<dyn Seal>) -> Result<Self> {
        Self::start(url, settings, Some(seal))
    }

    fn start(url: &str, settings: &Settings, seal: Option<Box<dyn Seal>>) -> Result<Self> {
        let address: Address = url.parse()?;
        let mut first = Conn::open(&address, Purpose::Write)?;
        migrate::up(&mut first)?;
        let log = migrate::log_name(&mut first)?;
        let mut threads = Vec::new();
        let (writes, work) = Lane::new(settings.queue, settings.patience);
        let reads = match &address {
            Address::Sqlite(_) => {
                let (reads, read_work) = Lane::new(settings.queue, settings.patience);
                for _ in 0..settings.readers.max(1) {
                    let (mut conn, work) = (Conn::open(&address, Purpose::Read)?, read_work.clone());
                    let address = address.clone();
                    threads.push(spawn("reader", move || read_loop(&address, &mut conn, &work))?);
                }
                let writer = writer::Writer {
                    address: address.clone(),
                    conn: first,
                    work,
                    batch: settings.batch.max(1),
                    seal: seal.map(Sealing::by),
                };
                threads.push(spawn("writer", move || writer.run())?);
                reads
            }
            #[cfg(feature = "postgres")]
            Address::Pg(_) => {
                if !first.speaks_english()? {
                    tracing::warn!(
                        "deadlocks will not be retried: set lc_messages = 'C' for the database or the role (docs/operations.md)"
                    );
                }
                if let Some(seal) = seal {
                    let sealer = postgres::Sealer {
                        address: address.clone(),
                        conn: first,
                        seal: Sealing::by(seal),
                        lane: work.clone(),
                    };
                    threads.push(spawn("sealer", move || sealer.run())?);
                } else {
                    drop(first);
                }
                for _ in 0..settings.connections.max(1) {
                    let conn = Conn::open(&address, Purpose::Write)?;
                    let worker = postgres::Worker { address: address.clone(), conn, work: work.clone() };
                    threads.push(spawn("postgres", move || worker.run())?);
                }
                writes.clone()
            }
        };
        Ok(Self(Arc::new(Inner { address, log, writes, reads, threads: Mutex::new(threads) })))
    }

    /// Runs a closure that only reads, on one snapshot.
    ///
    /// # Errors
    /// What the closure says, or [`Error::Overloaded`] when it is not begun in time.
    pub async fn read<T, F>(&self, f: F) -> Result<T>
    where
        F: Fn(&mut Conn) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.0.reads.run(Mode::Read, f).await
    }

    /// Runs a closure in a transaction and answers once that is on disk. It may be run more than once.
    ///
    /// # Errors
    /// What the closure says, [`Error::Overloaded`] when it is not begun in time, [`Error::Overtaken`] when it was overtaken
    /// time and again, [`Error::NotCommitted`] when the commit fails.
    pub async fn write<T, F>(&self, f: F) -> Result<T>
    where
        F: Fn(&mut Conn) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.0.writes.run(Mode::Write, f).await
    }

    /// The name of this log, in every leaf: made at the first migration, kept in the database.
    pub fn log(&self) -> &str {
        &self.0.log
    }

    /// Where the data lives.
    pub fn address(&self) -> &Address {
        &self.0.address
    }

    /// Takes no more work, finishes what is queued and waits for the threads.
    pub fn close(&self) {
        self.0.writes.close();
        self.0.reads.close();
        for thread in self.0.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = thread.join();
        }
    }
}

/// One snapshot for all queries of a read: a list and the names in it belong together.
fn read_loop(address: &Address, conn: &mut Conn, work: &async_channel::Receiver<Box<dyn lane::Task>>) {
    use diesel::connection::SimpleConnection;
    while let Ok(mut task) = work.recv_blocking() {
        if !task.begin() {
            continue;
        }
        let fate = conn.batch_execute("BEGIN").map_err(Error::from).and_then(|()| task.run(conn));
        if conn.batch_execute("ROLLBACK").is_err()
            && let Ok(fresh) = Conn::open(address, Purpose::Read)
        {
            *conn = fresh;
        }
        task.answer(fate);
    }
}

/// What a closure gets that begins a transaction and does not end it.
fn left_open() -> Error {
    Error::Internal("a closure left a transaction open".into())
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.into()).spawn(run).map_err(|e| Error::Internal(format!("no thread: {e}")))
}
