//! What the service is made of: the store, the keys, the clock.
use crate::{
    Result,
    auth::{password::Passwords, policy::Principal, throttle::Throttle, token::Tokens},
    db::{Conn, Db, columns::Time},
    id::Key,
    vocabulary::RecordKind,
};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};
use uuid::Uuid;

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
    /// Hashes and checks passwords off the request threads.
    pub passwords: Passwords,
    /// Slows down guessing.
    pub throttle: Throttle,
}

/// The id of a record that this person may see.
///
/// # Errors
/// 404 for hidden and absent alike.
pub fn visible_id(conn: &mut Conn, who: &Principal, kind: RecordKind, key: Key) -> Result<Uuid> {
    use crate::{discovery, finding, insight, lifecycle, organization, pairing, person, transfer, trial};
    Ok(match kind {
        RecordKind::Organization => organization::store::find(conn, who, key)?.id.0,
        RecordKind::Person => person::store::find(conn, who, key)?.id.0,
        RecordKind::Lifecycle => lifecycle::store::find(conn, who, key)?.id.0,
        RecordKind::Discovery => discovery::store::find(conn, who, key)?.id.0,
        RecordKind::Trial => trial::store::find(conn, who, key)?.id.0,
        RecordKind::Finding => finding::store::find(conn, who, key)?.id.0,
        RecordKind::Insight => insight::store::find(conn, who, key)?.id.0,
        RecordKind::Pairing => pairing::store::find(conn, who, key)?.id.0,
        RecordKind::Transfer => transfer::store::find(conn, who, key)?.id.0,
    })
}

/// Those of the given records of one kind that this person may see.
///
/// # Errors
/// What the database says.
pub fn visible_ids(conn: &mut Conn, who: &Principal, kind: RecordKind, ids: &[Uuid]) -> Result<HashSet<Uuid>> {
    match kind {
        RecordKind::Organization | RecordKind::Person | RecordKind::Lifecycle => Ok(ids.iter().copied().collect()),
        RecordKind::Discovery => crate::discovery::store::visible_ids(conn, who, ids),
        RecordKind::Trial => crate::trial::store::visible_ids(conn, who, ids),
        RecordKind::Finding => crate::finding::store::visible_ids(conn, who, ids),
        RecordKind::Insight => crate::insight::store::visible_ids(conn, who, ids),
        RecordKind::Pairing => crate::pairing::store::visible_ids(conn, who, ids),
        RecordKind::Transfer => crate::transfer::store::visible_ids(conn, who, ids),
    }
}
