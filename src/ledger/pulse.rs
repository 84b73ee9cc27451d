//! What a node knows of the log at this moment: the last checkpoint that it may show, for all who wait for one.
//!
//! Ten times a second the node looks at the database. A checkpoint that is new must be signed by the log's key, be that of the
//! stored tree, and contain what the node's [guard](super::guard) holds; it is written there and synced, and only then is it
//! shown.
use super::{
    checkpoint::Head,
    guard::Guard,
    log::{self, Stored},
    sequencer::{generation_of, origin},
};
use crate::{
    Error, Result,
    auth::keys::Keys,
    db::{Address, Db},
};
use ed25519_dalek::VerifyingKey;
use std::{cmp::Ordering, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    task,
};

/// How often the node looks.
const EVERY: Duration = Duration::from_millis(100);

/// A checkpoint that may be shown.
pub type Published = Arc<Stored>;

/// What a node knows of the log.
#[derive(Debug)]
pub struct Pulse {
    guard: Guard,
    key: VerifyingKey,
    published: watch::Sender<Option<Published>>,
    /// Those who listen read one after the other: however many there are, most of the store is left to requests.
    turn: Semaphore,
}

impl Pulse {
    /// Nothing is known yet.
    pub fn new(guard: Guard, keys: &Keys) -> Self {
        let key = keys.log().verifying_key();
        Self { guard, key, published: watch::Sender::new(None), turn: Semaphore::new(1) }
    }

    /// The last checkpoint that may be shown.
    ///
    /// # Errors
    /// [`Error::LogHalted`] as long as there is none.
    pub fn latest(&self) -> Result<Published> {
        self.published.borrow().clone().ok_or_else(|| Error::LogHalted("no checkpoint can be shown yet".into()))
    }

    /// Wakes those who listen, though there is nothing new: the service is to stop.
    pub fn wake(&self) {
        self.published.send_modify(|_| {});
    }

    /// Hears of each new one.
    pub fn listen(&self) -> watch::Receiver<Option<Published>> {
        self.published.subscribe()
    }

    /// Waits until it is one's turn to read for a stream.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turn.acquire().await.ok()
    }

    /// Looks again and again until it is dropped.
    pub async fn keep(&self, db: &Db) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failure = None;
        loop {
            ticks.tick().await;
            let now = match self.look(db).await {
                Ok(()) | Err(Error::Overloaded) => None,
                Err(Error::Closed) => return,
                Err(error) => Some(error.to_string()),
            };
            if let Some(error) = now.as_ref().filter(|_| now != failure) {
                tracing::error!(error, "no newer checkpoint is shown");
            }
            failure = now;
        }
    }

    /// Looks once, and shows the newest checkpoint if it may be shown.
    ///
    /// # Errors
    /// [`Error::LogHalted`] when the log does not contain what this node has seen of it; what store and file system say.
    pub async fn look(&self, db: &Db) -> Result<()> {
        let (newest, pending) = db.read(|conn| Ok((log::latest(conn)?, log::any_pending(conn)?))).await?;
        // Another process wrote to the file: the writer seals that with a commit of its own.
        if pending && matches!(db.address(), Address::Sqlite(_)) {
            db.write(|_| Ok(())).await?;
        }
        let Some(newest) = newest else { return Ok(()) };
        if self.published.borrow().as_deref().is_some_and(|shown| *shown == newest) {
            return Ok(());
        }
        let held = self.held(db.log()).await?;
        let published = Arc::new(newest);
        let (found, key, origin) = (published.clone(), self.key, origin(db.log(), published.generation));
        db.read(move |conn| {
            log::believed(conn, &origin, &found, &key)?;
            let Some((generation, seen)) = &held else { return Ok(()) };
            let follows = match found.generation.cmp(generation) {
                Ordering::Less => false,
                Ordering::Equal => seen.size <= found.size && log::root(conn, *generation, seen.size)? == seen.root,
                Ordering::Greater => true,
            };
            let refusal = || Error::LogHalted("the log does not contain what this node has seen of it".into());
            follows.then_some(()).ok_or_else(refusal)
        })
        .await?;
        let (guard, log, note) = (self.guard.clone(), db.log().to_owned(), published.note.clone());
        let written = task::spawn_blocking(move || guard.write(&log, &note)).await;
        written.map_err(|e| Error::Internal(e.to_string()))??;
        self.published.send_replace(Some(published));
        Ok(())
    }

    /// What this node has seen last: shown, or of an earlier run.
    async fn held(&self, log: &str) -> Result<Option<(i64, Head)>> {
        if let Some(shown) = self.published.borrow().as_deref() {
            let head = Head::read(&shown.note).map_err(|e| Error::Internal(e.to_string()))?;
            return Ok(Some((shown.generation, head)));
        }
        let (guard, name) = (self.guard.clone(), log.to_owned());
        let read = task::spawn_blocking(move || guard.read(&name)).await.map_err(|e| Error::Internal(e.to_string()))?;
        let Some((_, head)) = read? else { return Ok(None) };
        match generation_of(log, &head.origin) {
            Some(generation) => Ok(Some((generation, head))),
            None => Err(Error::LogHalted(format!("the guard is of another log, {}", head.origin))),
        }
    }
}
