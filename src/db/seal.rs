//! What is done to everything that was written, once for many writes: at the end of each commit on SQLite, by itself every
//! 100 ms on PostgreSQL. This module does not know what it is.
use super::Conn;
use crate::Result;

/// The last thing done in a transaction.
pub trait Seal: Send {
    /// Does it, within the present transaction; whether more is left to do. What it fails in is taken back alone: what was
    /// written stands.
    ///
    /// # Errors
    /// What keeps it from being done; it is tried again with the next commit.
    fn seal(&mut self, conn: &mut Conn) -> Result<bool>;
    /// Whether the transaction was committed.
    fn settle(&mut self, committed: bool);
}

/// A seal, and what was last said of its failure: an operator reads of a new failure once.
pub struct Sealing {
    seal: Box<dyn Seal>,
    failure: Option<String>,
}

impl Sealing {
    /// Nothing has failed yet.
    pub fn by(seal: Box<dyn Seal>) -> Self {
        Self { seal, failure: None }
    }

    /// Does it in a part of the transaction of its own.
    pub fn run(&mut self, conn: &mut Conn, in_part: impl FnOnce(&mut Conn, &mut dyn Seal) -> Result<bool>) -> bool {
        match in_part(conn, &mut *self.seal) {
            Ok(more) => {
                if self.failure.take().is_some() {
                    tracing::info!("the ledger goes on");
                }
                more
            }
            Err(error) => {
                self.settle(false);
                let failure = error.to_string();
                if self.failure.as_ref() != Some(&failure) {
                    tracing::error!(%error, "the ledger was not brought up to date");
                }
                self.failure = Some(failure);
                false
            }
        }
    }

    /// Passes on whether the transaction was committed.
    pub fn settle(&mut self, committed: bool) {
        self.seal.settle(committed);
    }
}
