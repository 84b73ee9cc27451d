//! What the service is made of: the store, the keys, the clock.
use crate::{
    Result,
    auth::{
        oidc::provider::Providers, password::Passwords, personal::Uses, policy::Principal, throttle::Throttle,
        token::Tokens, watch::Watch,
    },
    db::{Conn, Db, columns::Time},
    http::{edge::Edge, limit::RateLimit},
    id::Key,
    ledger::{self, Change, Context, Stored, pulse::Pulse},
    vocabulary::RecordKind,
    webhook::deliver::Postman,
};
use serde_json::Value;
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
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
    /// What this node knows of the log.
    pub pulse: Pulse,
    /// The clock.
    pub clock: Clock,
    /// Signs and verifies access tokens.
    pub tokens: Tokens,
    /// The folder their keys come from.
    pub keys: Watch,
    /// Hashes and checks passwords off the request threads.
    pub passwords: Passwords,
    /// The identity providers whose word is taken.
    pub providers: Providers,
    /// Slows down guessing.
    pub throttle: Throttle,
    /// Slows down everything else, if anything is to.
    pub rate_limit: Option<RateLimit>,
    /// How it meets its network.
    pub edge: Edge,
    /// Set once it is to stop: no more traffic should be sent.
    pub stopping: AtomicBool,
    /// Notes when personal tokens are used.
    pub uses: Uses,
    /// Sends to webhooks.
    pub postman: Postman,
}

/// A record that a person may see, as far as every kind has it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its id.
    pub id: Uuid,
    /// Its version.
    pub version: i64,
    /// Its code.
    pub code: String,
}

impl Seen {
    fn of(record: &impl Stored) -> Self {
        Self { id: record.id(), version: record.version(), code: record.code() }
    }
}

/// The record that a key names, if this person may see it.
///
/// # Errors
/// 404 for hidden and absent alike.
pub fn seen(conn: &mut Conn, who: &Principal, kind: RecordKind, key: Key) -> Result<Seen> {
    use crate::{discovery, finding, insight, lifecycle, organization, pairing, person, transfer, trial, webhook};
    Ok(match kind {
        RecordKind::Organization => Seen::of(&organization::store::find(conn, who, key)?),
        RecordKind::Person => Seen::of(&person::store::find(conn, who, key)?),
        RecordKind::Lifecycle => Seen::of(&lifecycle::store::find(conn, who, key)?),
        RecordKind::Discovery => Seen::of(&discovery::store::find(conn, who, key)?),
        RecordKind::Trial => Seen::of(&trial::store::find(conn, who, key)?),
        RecordKind::Finding => Seen::of(&finding::store::find(conn, who, key)?),
        RecordKind::Insight => Seen::of(&insight::store::find(conn, who, key)?),
        RecordKind::Pairing => Seen::of(&pairing::store::find(conn, who, key)?),
        RecordKind::Transfer => Seen::of(&transfer::store::find(conn, who, key)?),
        RecordKind::Webhook => Seen::of(&webhook::store::find(conn, who, key)?),
    })
}

/// A record as it stands, whoever asks: for checks of the whole.
#[derive(Debug)]
pub struct Current {
    /// Its id.
    pub id: Uuid,
    /// Its version.
    pub version: i64,
    /// The leaf hash of its latest event.
    pub head: Vec<u8>,
    /// It, as payloads have it.
    pub content: Value,
}

/// The records of one kind in the order of their ids, those after one of them.
///
/// # Errors
/// What the database says.
pub fn current(conn: &mut Conn, kind: RecordKind, after: Option<Uuid>, limit: i64) -> Result<Vec<Current>> {
    use crate::{discovery, finding, insight, lifecycle, organization, pairing, person, transfer, trial, webhook};
    fn all<R: Stored>(page: Vec<R>) -> Result<Vec<Current>> {
        let current = |record: R| {
            let content = ledger::event::content(&record, &record.code())?;
            Ok(Current { id: record.id(), version: record.version(), head: record.head().to_vec(), content })
        };
        page.into_iter().map(current).collect()
    }
    match kind {
        RecordKind::Organization => all(organization::store::page_after(conn, after, limit)?),
        RecordKind::Person => all(person::store::page_after(conn, after, limit)?),
        RecordKind::Lifecycle => all(lifecycle::store::page_after(conn, after, limit)?),
        RecordKind::Discovery => all(discovery::store::page_after(conn, after, limit)?),
        RecordKind::Trial => all(trial::store::page_after(conn, after, limit)?),
        RecordKind::Finding => all(finding::store::page_after(conn, after, limit)?),
        RecordKind::Insight => all(insight::store::page_after(conn, after, limit)?),
        RecordKind::Pairing => all(pairing::store::page_after(conn, after, limit)?),
        RecordKind::Transfer => all(transfer::store::page_after(conn, after, limit)?),
        RecordKind::Webhook => all(webhook::store::page_after(conn, after, limit)?),
    }
}

/// Records a change of whichever record a key names, in which nothing of the record itself changes: an operator's act, before
/// which `check` may refuse.
///
/// # Errors
/// 404, what `check` says, or the store.
pub fn note(
    conn: &mut Conn,
    context: &Context,
    kind: RecordKind,
    key: Key,
    check: impl FnOnce(&mut Conn, Uuid) -> Result<Change>,
) -> Result<Uuid> {
    use crate::{discovery, finding, insight, lifecycle, organization, pairing, person, transfer, trial, webhook};
    fn noted<R: Stored>(
        conn: &mut Conn,
        context: &Context,
        mut record: R,
        check: impl FnOnce(&mut Conn, Uuid) -> Result<Change>,
    ) -> Result<Uuid> {
        let change = check(conn, record.id())?;
        ledger::record_change(conn, context, &mut record, change)?;
        Ok(record.id())
    }
    macro_rules! noted {
        ($entity:ident) => {{
            let record = $entity::store::named(conn, key)?;
            noted(conn, context, record, check)
        }};
    }
    match kind {
        RecordKind::Organization => noted!(organization),
        RecordKind::Person => noted!(person),
        RecordKind::Lifecycle => noted!(lifecycle),
        RecordKind::Discovery => noted!(discovery),
        RecordKind::Trial => noted!(trial),
        RecordKind::Finding => noted!(finding),
        RecordKind::Insight => noted!(insight),
        RecordKind::Pairing => noted!(pairing),
        RecordKind::Transfer => noted!(transfer),
        RecordKind::Webhook => noted!(webhook),
    }
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
        RecordKind::Webhook => crate::webhook::store::visible_ids(conn, who, ids),
    }
}
