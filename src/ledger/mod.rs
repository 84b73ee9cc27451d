//! Every change is one event, written in the transaction of the change; everything else reads those events.
//!
//! [`record_change`] is the only way to save a record, so there is no change without an event. The tree, checkpoints and
//! proofs come on top of `event_pending`: the [`sequencer`] gives events their place afterwards, and no writer waits for a
//! global head.
pub mod checkpoint;
pub mod event;
pub mod export;
pub mod feed;
pub mod guard;
pub mod http;
pub mod inspect;
mod lease;
pub mod log;
pub mod proof;
pub mod pulse;
pub mod sequencer;
pub mod tree;
pub mod verify;
pub mod verify_database;

use crate::{
    Error, Result,
    db::{
        Conn,
        columns::Time,
        schema::{event as events, event_mention, event_pending},
    },
    id::{AnyId, EventId, PersonId},
    vocabulary::{Action, Authn, RecordKind},
};
use diesel::prelude::*;
use event::{Event, Happening, Signed};
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

/// Who acts, when, in which request: what every event of one request shares.
#[derive(Debug, Clone)]
pub struct Context {
    /// The name of the log.
    pub log: Arc<str>,
    /// The acting person; none when the system acts (the first administrator has nobody above).
    pub person: Option<PersonId>,
    /// How they were authenticated.
    pub authn: Authn,
    /// The moment of recording.
    pub at: Time,
    /// The request's id.
    pub request: Uuid,
}

/// What is said of a change besides the record itself.
#[derive(Debug, Clone)]
pub struct Change {
    /// What was done.
    pub action: Action,
    /// The lifecycle's name of the move.
    pub move_name: Option<String>,
    /// The state before.
    pub from: Option<String>,
    /// The state after.
    pub to: Option<String>,
    /// A code of a vocabulary (a stop reason, an outcome): the only reason that enters the leaf.
    pub reason_code: Option<&'static str>,
    /// The reason in words.
    pub reason: Option<String>,
    /// The electronic signature under it.
    pub signature: Option<Signed>,
    /// When it took effect, if not when it was recorded.
    pub effective_at: Option<Time>,
    /// Further members of the payload (an insight that is cited, a discovery that came of it).
    pub extra: Map<String, Value>,
    /// Other records in whose history this event shows too.
    pub mentions: Vec<AnyId>,
}

impl Change {
    /// A change of which nothing more is said.
    pub fn of(action: Action) -> Self {
        Self {
            action,
            move_name: None,
            from: None,
            to: None,
            reason_code: None,
            reason: None,
            signature: None,
            effective_at: None,
            extra: Map::new(),
            mentions: Vec::new(),
        }
    }
    /// The same with a reason in words.
    pub fn because(mut self, reason: Option<String>) -> Self {
        self.reason = reason;
        self
    }
}

/// A row that is a record: it has a history. `stored!` implements this in each entity's store.
pub trait Stored: Serialize {
    /// Its kind.
    const KIND: RecordKind;
    /// Its id.
    fn id(&self) -> Uuid;
    /// The number of its code.
    fn number(&self) -> i64;
    /// Takes the number of its code, which payloads do not hold.
    fn set_number(&mut self, number: i64);
    /// When it was recorded.
    fn created_at(&self) -> Time;
    /// Its version: one per change; 0 before it is first saved.
    fn version(&self) -> i64;
    /// The leaf hash of its latest event; empty before the first.
    fn head(&self) -> &[u8];
    /// Takes the next version and the time of the change.
    fn advance(&mut self, at: Time);
    /// Takes the leaf hash of the event that records its present content.
    fn set_head(&mut self, head: Vec<u8>);
    /// Inserts the row where `seen` is 0, else updates it if its version is still `seen`; answers the rows changed.
    ///
    /// # Errors
    /// What the database says.
    fn save(&self, conn: &mut Conn, seen: i64) -> Result<usize>;

    /// Its code: `D-17`.
    fn code(&self) -> String {
        Self::KIND.code(self.number())
    }
}

/// The kind of a row type.
pub const fn kind_of<R: Stored>() -> RecordKind {
    R::KIND
}

/// Saves a record's new content under its next version, and the event that says so. If either cannot be written,
/// neither is.
///
/// # Errors
/// [`Error::Overtaken`] when another change came first.
pub fn record_change<R: Stored>(conn: &mut Conn, context: &Context, record: &mut R, change: Change) -> Result<EventId> {
    let seen = record.version();
    record.advance(context.at);
    let happening = Happening {
        log: &context.log,
        kind: R::KIND,
        record_id: record.id(),
        record_version: record.version(),
        code: record.code(),
        person: context.person.map(|p| p.0),
        authn: context.authn,
        request: context.request,
        at: context.at,
        prev: record.head(),
        change: &change,
    };
    let event = Event::new(&happening, record)?;
    record.set_head(event.leaf_hash.to_vec());
    if record.save(conn, seen)? == 0 {
        return Err(Error::Overtaken);
    }
    insert(conn, &event, &happening_columns(context, &change))?;
    for mention in &change.mentions {
        let row = (event_mention::record_id.eq(*mention), event_mention::event_id.eq(event.id));
        diesel::insert_into(event_mention::table).values(row).execute(conn)?;
    }
    Ok(event.id)
}

/// What the event's row repeats outside its leaf, for queries.
struct Columns<'a> {
    action: Action,
    move_name: Option<&'a str>,
    from: Option<&'a str>,
    to: Option<&'a str>,
    actor: Option<AnyId>,
    at: Time,
    effective_at: Time,
}

fn happening_columns<'a>(context: &Context, change: &'a Change) -> Columns<'a> {
    Columns {
        action: change.action,
        move_name: change.move_name.as_deref(),
        from: change.from.as_deref(),
        to: change.to.as_deref(),
        actor: context.person.map(|p| p.any()),
        at: context.at,
        effective_at: change.effective_at.unwrap_or(context.at),
    }
}

fn insert(conn: &mut Conn, event: &Event, columns: &Columns<'_>) -> Result<()> {
    let row = (
        events::id.eq(event.id),
        events::record_kind.eq(event.kind),
        events::record_id.eq(AnyId::of(event.record_id)),
        events::record_version.eq(event.record_version),
        events::action.eq(columns.action),
        events::move_name.eq(columns.move_name),
        events::from_state.eq(columns.from),
        events::to_state.eq(columns.to),
        events::actor_id.eq(columns.actor),
        events::at.eq(columns.at),
        events::effective_at.eq(columns.effective_at),
        events::leaf.eq(&event.leaf),
        events::leaf_hash.eq(&event.leaf_hash[..]),
        events::salt.eq(&event.salt[..]),
        events::payload.eq(&event.payload),
    );
    let enqueued: i64 = diesel::insert_into(events::table).values(row).returning(events::enqueued).get_result(conn)?;
    diesel::insert_into(event_pending::table).values(event_pending::enqueued.eq(enqueued)).execute(conn)?;
    Ok(())
}

/// The next number for a code of this kind. Numbers rise; on PostgreSQL a refused creation leaves a gap, since no
/// creation waits for another's commit.
///
/// # Errors
/// What the database says.
pub fn next_number(conn: &mut Conn, kind: RecordKind) -> Result<i64> {
    use diesel::sql_types::BigInt;
    // Engine-specific: a sequence never blocks, and SQLite, which has none, has one writer.
    match conn {
        #[cfg(feature = "postgres")]
        Conn::Pg(c) => {
            let next = diesel::dsl::sql::<BigInt>(&format!("nextval('{}_number')", kind.as_str()));
            Ok(diesel::select(next).get_result(c)?)
        }
        Conn::Sqlite(c) => {
            #[derive(diesel::QueryableByName)]
            struct Row {
                #[diesel(sql_type = BigInt)]
                last: i64,
            }
            let sql = "UPDATE code_counter SET last = last + 1 WHERE kind = ? RETURNING last";
            let row: Row = diesel::sql_query(sql).bind::<diesel::sql_types::Text, _>(kind.as_str()).get_result(c)?;
            Ok(row.last)
        }
    }
}

/// Implements [`Stored`] for a row struct with the common columns `id number version created_at updated_at head`.
macro_rules! stored {
    ($record:ty, $table:ident, $kind:expr) => {
        impl $crate::ledger::Stored for $record {
            const KIND: $crate::vocabulary::RecordKind = $kind;
            fn id(&self) -> uuid::Uuid {
                self.id.0
            }
            fn number(&self) -> i64 {
                self.number
            }
            fn set_number(&mut self, number: i64) {
                self.number = number;
            }
            fn created_at(&self) -> $crate::db::columns::Time {
                self.created_at
            }
            fn version(&self) -> i64 {
                self.version
            }
            fn head(&self) -> &[u8] {
                &self.head
            }
            fn advance(&mut self, at: $crate::db::columns::Time) {
                self.version += 1;
                self.updated_at = at;
            }
            fn set_head(&mut self, head: Vec<u8>) {
                self.head = head;
            }
            fn save(&self, conn: &mut $crate::db::Conn, seen: i64) -> $crate::Result<usize> {
                use diesel::prelude::*;
                use $crate::db::schema::$table;
                if seen == 0 {
                    return Ok(diesel::insert_into($table::table).values(self).execute(conn)?);
                }
                let row = $table::table.filter($table::id.eq(self.id)).filter($table::version.eq(seen));
                Ok(diesel::update(row).set(self).execute(conn)?)
            }
        }
    };
}
pub(crate) use stored;
