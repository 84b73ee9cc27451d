//! A bounded queue of work in front of threads that each own a connection.
//!
//! Both engines use it: SQLite has one writing thread and a few reading ones, PostgreSQL one thread per connection. The
//! queue is the only place where load can pile up, so it is where load is refused.
use super::Conn;
use crate::{Error, Result};
use async_channel::{Receiver, Sender, TrySendError};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};
use tokio::sync::oneshot;

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
    /// Nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// Runs the closure and remembers what it said; a panic is an error like another. It may be run again.
    fn run(&mut self, conn: &mut Conn) -> Result<()>;
    /// Tells the caller: what the closure said if its changes were kept, else why they were not.
    fn answer(self: Box<Self>, kept: Result<()>);
}

struct Work<F, T> {
    mode: Mode,
    closure: F,
    outcome: Option<T>,
    reply: oneshot::Sender<Result<T>>,
}

impl<F, T> Task for Work<F, T>
where
    F: Fn(&mut Conn) -> Result<T> + Send,
    T: Send,
{
    fn mode(&self) -> Mode {
        self.mode
    }
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
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
    /// A queue for `depth` waiting closures, each admitted within `patience` or refused.
    pub fn new(depth: usize, patience: Duration) -> (Self, Receiver<Box<dyn Task>>) {
        let (queue, work) = async_channel::bounded(depth);
        (Self { queue, patience }, work)
    }

    /// Queues the closure and waits for its answer.
    ///
    /// # Errors
    /// [`Error::Overloaded`] after `patience`, [`Error::Closed`] at shutdown, else what the closure says.
    pub async fn run<F, T>(&self, mode: Mode, closure: F) -> Result<T>
    where
        F: Fn(&mut Conn) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        match self.queue.try_send(Box::new(Work { mode, closure, outcome: None, reply })) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => return Err(Error::Closed),
            Err(TrySendError::Full(task)) => match tokio::time::timeout(self.patience, self.queue.send(task)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(Error::Closed),
                Err(_) => return Err(Error::Overloaded),
            },
        }
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// No more work is taken; what is queued is still done.
    pub fn close(&self) {
        self.queue.close();
    }
}
