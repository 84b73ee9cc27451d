//! What the service is made of: the store, the keys, the clock.
use crate::{
    Error, Result,
    auth::{policy::Principal, token::Tokens},
    db::{Conn, Db, columns::Time},
    error::Code,
    id::Key,
    vocabulary::RecordKind,
};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

/// Where use cases take their time from: the system, or a moment that a test or the demo sets.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The system's clock.
    pub const fn system() -> Self {
        Self(None)
    }
    /// A clock that stands still until [`Clock::set`].
    pub fn standing_at(time: Time) -> Self {
        Self(Some(Arc::new(AtomicI64::new(time.utc().timestamp_micros()))))
    }
    /// Now.
    pub fn now(&self) -> Time {
        let standing = self.0.as_ref().and_then(|m| chrono::DateTime::from_timestamp_micros(m.load(Ordering::SeqCst)));
        standing.map_or_else(Time::now, Time::from)
    }
    /// Moves a standing clock; the system's clock is not moved.
    pub fn set(&self, time: Time) {
        if let Some(micros) = &self.0 {
            micros.store(time.utc().timestamp_micros(), Ordering::SeqCst);
        }
    }
}

/// The service.
pub struct App {
    /// The store.
    pub db: Db,
    /// The clock.
    pub clock: Clock,
    /// Signs and verifies access tokens.
    pub tokens: Tokens,
}

/// Whether this person may see a record of some kind.
///
/// # Errors
/// What the database says.
pub fn is_visible(conn: &mut Conn, who: &Principal, kind: RecordKind, key: Key) -> Result<bool> {
    let found = match kind {
        RecordKind::Organization => crate::organization::store::find(conn, who, key).map(drop),
        RecordKind::Person => crate::person::store::find(conn, who, key).map(drop),
        RecordKind::Lifecycle => return Ok(true),
        RecordKind::Discovery => crate::discovery::store::find(conn, who, key).map(drop),
        RecordKind::Trial => crate::trial::store::find(conn, who, key).map(drop),
        RecordKind::Finding => crate::finding::store::find(conn, who, key).map(drop),
        RecordKind::Insight => crate::insight::store::find(conn, who, key).map(drop),
        RecordKind::Pairing => crate::pairing::store::find(conn, who, key).map(drop),
        RecordKind::Transfer => crate::transfer::store::find(conn, who, key).map(drop),
    };
    match found {
        Ok(()) => Ok(true),
        Err(Error::Refused { code: Code::NotFound, .. }) => Ok(false),
        Err(e) => Err(e),
    }
}
