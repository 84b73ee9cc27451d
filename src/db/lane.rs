//! A bounded queue of work in front of threads that each own a connection.
//!
//! Both engines use it: SQLite has one writing thread and a few reading ones, PostgreSQL one thread per connection. The
//! queue is the only place where load can pile up, so it is where load is refused: whoever is not begun in time is told so,
//! and is then surely never run.
use super::Conn;
use crate::{Error, Result};
use async_channel::{Receiver, Sender};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::oneshot, time::timeout};

/// How a closure wants to be wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One snapshot, nothing written.
    Read,
    /// One transaction.
    Write,
}

/// A closure on its way to a connection and back, its result type erased.
pub trait Task: Send {
    /// How it wants to be wrapped.
    fn mode(&self) -> Mode;
    /// Whether the caller still waits. From then on it waits for as long as the closure takes, so this is asked last, and
    /// a task that is not to be begun is neither run nor answered.
    fn begin(&self) -> bool;
    /// Runs the closure and remembers what it said; a panic is an error like another. It may be run again.
    fn run(&mut self, conn: &mut Conn) -> Result<()>;
    /// Tells the caller: what the closure said if its changes were kept, else why they were not.
    fn answer(self: Box<Self>, kept: Result<()>);
}

struct Work<F, T> {
    mode: Mode,
    closure: F,
    outcome: Option<T>,
    decided: Decided,
    reply: oneshot::Sender<Result<T>>,
}

/// Whether a closure is begun or given up: whoever comes first decides, the worker or the caller.
#[derive(Clone, Default)]
struct Decided(Arc<AtomicBool>);

impl Decided {
    /// Whether it is now up to the one who asks.
    fn by_me(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

impl<F, T> Task for Work<F, T>
where
    F: Fn(&mut Conn) -> Result<T> + Send,
    T: Send,
{
    fn mode(&self) -> Mode {
        self.mode
    }
    fn begin(&self) -> bool {
        self.decided.by_me() && !self.reply.is_closed()
    }
    fn run(&mut self, conn: &mut Conn) -> Result<()> {
        self.outcome = None;
        self.outcome = Some(catch_unwind(AssertUnwindSafe(|| (self.closure)(conn))).unwrap_or(Err(Error::Panicked))?);
        Ok(())
    }
    fn answer(self: Box<Self>, kept: Result<()>) {
        let Self { outcome, reply, .. } = *self;
        let _ = reply.send(kept.and_then(|()| outcome.ok_or(Error::Closed))); // the caller may have gone: its changes stand all the same
    }
}

/// The sending end of the queue.
#[derive(Clone)]
pub struct Lane {
    queue: Sender<Box<dyn Task>>,
    patience: Duration,
}

impl Lane {
    /// A queue for `depth` waiting closures, each begun within `patience` or refused.
    pub fn new(depth: usize, patience: Duration) -> (Self, Receiver<Box<dyn Task>>) {
        let (queue, work) = async_channel::bounded(depth);
        (Self { queue, patience }, work)
    }

    /// Queues the closure and waits for its answer.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when it was not begun within `patience`, [`Error::Closed`] at shutdown, else what the closure
    /// says.
    pub async fn run<F, T>(&self, mode: Mode, closure: F) -> Result<T>
    where
        F: Fn(&mut Conn) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let decided = Decided::default();
        let (reply, answer) = oneshot::channel();
        let work = Box::new(Work { mode, closure, outcome: None, decided: decided.clone(), reply });
        let mut answered = pin!(async {
            self.queue.send(work).await.map_err(|_| Error::Closed)?;
            answer.await.unwrap_or(Err(Error::Closed))
        });
        match timeout(self.patience, &mut answered).await {
            Ok(answer) => answer,
            Err(_) if decided.by_me() => Err(Error::Overloaded),
            Err(_) => answered.await,
        }
    }

    /// No more work is taken; what is queued is still done.
    pub fn close(&self) {
        self.queue.close();
    }
}
