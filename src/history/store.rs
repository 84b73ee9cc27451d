//! The only SQL of history: the events of a record, newest first, as one person may see them.
use super::{
    ChangedRecord, Entry, ErasedPart, FieldChange, MovedRecord, Named, Outcome, SignatureView, TransitionView, diff,
    names_records, private_fields, tells_access, tells_reason, uuids_in,
    visible::store::{Sight, hidden_records, visible},
    without, without_before,
};
use crate::{
    Error, Result,
    auth::policy::Principal,
    db::{
        Conn, MultiBackend,
        columns::Time,
        schema::{event, event_mention},
    },
    http::page::{After, Page},
    id::{AnyId, DiscoveryId, EventId, InsightId, PersonId},
    ledger::log,
    past::Version,
    person,
    vocabulary::{Action, RecordKind},
};
use diesel::{
    dsl::{exists, not},
    prelude::*,
};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

pub(super) type Row = (
    i64,
    EventId,
    RecordKind,
    AnyId,
    i64,
    Action,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<AnyId>,
    Time,
    Time,
    Option<Vec<u8>>,
);

/// An event as its columns and payload have it.
pub struct Event {
    pub(super) enqueued: i64,
    id: EventId,
    pub(super) kind: RecordKind,
    pub(super) record: Uuid,
    version: i64,
    action: Action,
    name: Option<String>,
    from: Option<String>,
    to: Option<String>,
    actor: Option<PersonId>,
    at: Time,
    effective_at: Time,
    payload: Map<String, Value>,
}

impl Event {
    pub(super) fn of(row: Row) -> Result<Self> {
        let (enqueued, id, kind, record, version, action, name, from, to, actor, at, effective_at, payload) = row;
        let payload = match payload {
            Some(bytes) => {
                serde_json::from_slice(&bytes).map_err(|e| Error::Internal(format!("payload of {id}: {e}")))?
            }
            None => Map::new(),
        };
        let (record, actor) = (record.0, actor.map(|a| PersonId::of(a.0)));
        Ok(Self { enqueued, id, kind, record, version, action, name, from, to, actor, at, effective_at, payload })
    }
    pub(super) fn content(&self) -> Option<&Map<String, Value>> {
        self.payload.get("record").and_then(Value::as_object)
    }
    /// The record, and the version of it that this event made.
    pub(crate) fn into_version(mut self) -> (Uuid, Version) {
        match self.payload.remove("record") {
            Some(Value::Object(content)) => (self.record, Version::Was(content)),
            _ => (self.record, Version::Erased(self.version)),
        }
    }
    /// Of a version that was erased none.
    fn code(&self) -> Option<String> {
        code_in(self.content()?)
    }
    fn text(&self, member: &str) -> Option<String> {
        self.payload.get(member).and_then(Value::as_str).map(str::to_owned)
    }
    fn uuid(&self, member: &str) -> Option<Uuid> {
        self.payload.get(member).and_then(Value::as_str).and_then(|id| Uuid::parse_str(id).ok())
    }
    /// What changed beside the record: how a person gets in.
    fn access(&self) -> Vec<FieldChange> {
        let told = self.payload.get("access").cloned().map(serde_json::from_value);
        told.and_then(Result::ok).unwrap_or_default()
    }
    fn signature(&self) -> Option<SignatureView> {
        signature_in(&self.payload)
    }
}

fn code_in(content: &Map<String, Value>) -> Option<String> {
    content.get("code")?.as_str().map(str::to_owned)
}

/// The codes of those of the events' records that the events themselves do not tell, since they were erased: a code is given
/// once and is no content. In one query; the newest version of a record is never erased.
fn codes_told_elsewhere(conn: &mut Conn, events: &[Event]) -> Result<HashMap<Uuid, String>> {
    let untold: Vec<AnyId> = events.iter().filter(|e| e.content().is_none()).map(|e| AnyId::of(e.record)).collect();
    if untold.is_empty() {
        return Ok(HashMap::new());
    }
    let later = diesel::alias!(event as later);
    let is_newest = not(exists(
        later
            .filter(later.field(event::record_id).eq(event::record_id))
            .filter(later.field(event::record_version).gt(event::record_version)),
    ));
    let rows: Vec<(AnyId, Option<Vec<u8>>)> = event::table
        .filter(event::record_id.eq_any(untold))
        .filter(is_newest)
        .select((event::record_id, event::payload))
        .load(conn)?;
    Ok(rows.into_iter().filter_map(|(id, bytes)| Some((id.0, code_in(&content_of(&bytes?)?)?))).collect())
}

fn signature_in(payload: &Map<String, Value>) -> Option<SignatureView> {
    let signed = payload.get("signature")?.as_object()?;
    Some(SignatureView {
        signer: signed.get("signer")?.as_str()?.to_owned(),
        meaning: signed.get("meaning")?.as_str()?.parse().ok()?,
        signed_at: Time::parse(signed.get("signed_at")?.as_str()?)?,
    })
}

/// The latest signature by which each of the given records was signed, in one query. The caller has checked that the
/// records are visible.
///
/// # Errors
/// What the database says.
pub fn signatures(conn: &mut Conn, ids: impl IntoIterator<Item = Uuid>) -> Result<HashMap<Uuid, SignatureView>> {
    let rows: Vec<(AnyId, Option<Vec<u8>>)> = event::table
        .filter(event::record_id.eq_any(ids.into_iter().map(AnyId::of).collect::<Vec<_>>()))
        .filter(event::action.concat("").eq(Action::Signed.as_str())) // by its index SQLite would read all that was signed
        .order(event::enqueued.asc())
        .select((event::record_id, event::payload))
        .load(conn)?;
    let signed = |bytes: Vec<u8>| signature_in(&serde_json::from_slice(&bytes).ok()?);
    Ok(rows.into_iter().filter_map(|(id, bytes)| Some((id.0, signed(bytes?)?))).collect())
}

pub(super) type Columns = (
    event::enqueued,
    event::id,
    event::record_kind,
    event::record_id,
    event::record_version,
    event::action,
    event::move_name,
    event::from_state,
    event::to_state,
    event::actor_id,
    event::at,
    event::effective_at,
    event::payload,
);
pub(super) const COLUMNS: Columns = (
    event::enqueued,
    event::id,
    event::record_kind,
    event::record_id,
    event::record_version,
    event::action,
    event::move_name,
    event::from_state,
    event::to_state,
    event::actor_id,
    event::at,
    event::effective_at,
    event::payload,
);

/// Events that a page leaves out because their reader may not see them must not end it early: so many more are read.
const READ_AHEAD: i64 = 64;

/// One page of a record's history, newest first. The caller has checked that the record is visible.
///
/// # Errors
/// What the database says.
pub fn history(conn: &mut Conn, who: &Principal, id: Uuid, page: &Page) -> Result<Vec<Entry>> {
    let (events, sight) = visible_events(conn, who, id, page, false)?;
    entries(conn, who, events, &sight)
}

/// The events of these numbers, whoever may see them.
///
/// # Errors
/// What the database says.
pub(crate) fn events(conn: &mut Conn, numbers: &[i64]) -> Result<Vec<Event>> {
    let rows: Vec<Row> = event::table.filter(event::enqueued.eq_any(numbers)).select(COLUMNS).load(conn)?;
    rows.into_iter().map(Event::of).collect()
}

/// Some events in the order of their numbers in `numbers`, as far as the reader may see them.
///
/// # Errors
/// What the database says.
pub fn told(conn: &mut Conn, who: &Principal, numbers: &[i64]) -> Result<Vec<Entry>> {
    let mut events = events(conn, numbers)?;
    let order: HashMap<i64, usize> = numbers.iter().enumerate().map(|(place, number)| (*number, place)).collect();
    events.sort_by_key(|event| order.get(&event.enqueued).copied());
    let (events, sight) = visible(conn, who, events)?;
    entries(conn, who, events, &sight)
}

/// Those of some events that the reader may see: their numbers and their records.
///
/// # Errors
/// What the database says.
pub fn seen_of(conn: &mut Conn, who: &Principal, numbers: &[i64]) -> Result<Vec<(i64, Uuid)>> {
    let events = events(conn, numbers)?;
    Ok(visible(conn, who, events)?.0.into_iter().map(|event| (event.enqueued, event.record)).collect())
}

pub(super) fn entries(conn: &mut Conn, who: &Principal, events: Vec<Event>, sight: &Sight) -> Result<Vec<Entry>> {
    let before = contents_before(conn, &events)?;
    let mut changes = Vec::with_capacity(events.len());
    let mut gaps = HashMap::new();
    for event in &events {
        let private = private_fields(event.kind, event.record, who);
        let previous = before.get(&(event.record, event.version - 1));
        let content = previous.map(|(_, content)| content);
        if let Some(gap) = gap(event, content.is_some()) {
            gaps.insert(event.enqueued, gap);
        }
        let mut shown = event.content().map(|after| diff(content, after)).unwrap_or_else(Vec::new);
        if previous.is_some_and(|(at, content)| !sight.shows(who, event.kind, event.record, *at, content)) {
            shown = without_before(shown, event.from.as_deref());
        }
        shown.retain(|change| !private.contains(&&*change.field));
        if tells_access(event.record, who) {
            shown.extend(event.access());
        }
        changes.push(shown);
    }
    let changes = redact(conn, who, changes)?;
    let people = person::store::names(conn, events.iter().filter_map(|e| e.actor))?;
    let places = log::places(conn, &events.iter().map(|e| e.enqueued).collect::<Vec<_>>())?;
    let codes = codes_told_elsewhere(conn, &events)?;
    let code = |event: &Event| event.code().or_else(|| codes.get(&event.record).cloned());
    Ok(events
        .into_iter()
        .zip(changes)
        .map(|(event, changes)| Entry {
            event_id: event.id,
            record: ChangedRecord { kind: event.kind, id: event.record, code: code(&event) },
            erased: gaps.get(&event.enqueued).copied(),
            version: event.version,
            action: event.action,
            by: event.actor.and_then(|id| people.get(&id).cloned()),
            recorded_at: event.at,
            effective_at: event.effective_at,
            reason: event.text("reason").filter(|_| tells_reason(event.kind, event.record, who)),
            changes,
            signature: event.signature(),
            leaf_index: places.get(&event.enqueued).copied(),
            proof: places.get(&event.enqueued).map(|index| format!("/v1/ledger/events/{index}/proof")),
            enqueued: event.enqueued,
            name: event.name,
            from: event.from,
            to: event.to,
        })
        .collect())
}

/// What of an event was erased: whatever has a payload has a record in it.
fn gap(event: &Event, has_before: bool) -> Option<ErasedPart> {
    match event.content() {
        None => Some(ErasedPart::Version),
        Some(_) if event.version > 1 && !has_before => Some(ErasedPart::Before),
        Some(_) => None,
    }
}

/// One page of a record's moves, newest first. The caller has checked that the record is visible.
///
/// # Errors
/// What the database says.
pub fn transitions(conn: &mut Conn, who: &Principal, id: Uuid, page: &Page) -> Result<Vec<TransitionView>> {
    let (events, _) = visible_events(conn, who, id, page, true)?;
    views(conn, who, events)
}

/// The move that an event recorded.
///
/// # Errors
/// What the database says.
pub fn transition(conn: &mut Conn, who: &Principal, id: EventId) -> Result<TransitionView> {
    let row: Row = event::table.filter(event::id.eq(id)).select(COLUMNS).get_result(conn)?;
    views(conn, who, vec![Event::of(row)?])?.pop().ok_or_else(Error::not_found)
}

fn views(conn: &mut Conn, who: &Principal, events: Vec<Event>) -> Result<Vec<TransitionView>> {
    let people = person::store::names(conn, events.iter().filter_map(|e| e.actor))?;
    let insights = events.iter().filter_map(|e| e.uuid("insight_id")).map(InsightId::of);
    let insights = crate::insight::store::names(conn, who, insights.collect::<Vec<_>>())?;
    let discoveries = events.iter().filter_map(|e| e.uuid("discovery_id")).map(DiscoveryId::of);
    let discoveries = crate::discovery::store::names(conn, who, discoveries.collect::<Vec<_>>())?;
    let codes = codes_told_elsewhere(conn, &events)?;
    let code = |event: &Event| event.code().or_else(|| codes.get(&event.record).cloned());
    Ok(events
        .into_iter()
        .map(|event| TransitionView {
            id: event.id,
            record: MovedRecord { kind: event.kind, id: event.record, code: code(&event), version: event.version },
            reason: event.text("reason"),
            stop_reason: event.text("stop_reason").and_then(|code| code.parse().ok()),
            insight: event
                .uuid("insight_id")
                .and_then(|id| insights.get(&InsightId::of(id)))
                .map(|i| Named { id: i.id.0, code: i.code.clone() }),
            signature: event.signature(),
            correction: event.action == Action::Corrected,
            by: event.actor.and_then(|id| people.get(&id).cloned()),
            effective_at: event.effective_at,
            recorded_at: event.at,
            result: event
                .uuid("discovery_id")
                .and_then(|id| discoveries.get(&DiscoveryId::of(id)))
                .map(|d| Outcome { discovery: Named { id: d.id.0, code: d.code.clone() } }),
            enqueued: event.enqueued,
            name: event.name,
            from: event.from,
            to: event.to,
        })
        .collect())
}

/// The events of a record and those of others that mention it, as far as the reader may see them; and what decides it.
fn visible_events(
    conn: &mut Conn,
    who: &Principal,
    id: Uuid,
    page: &Page,
    only_moves: bool,
) -> Result<(Vec<Event>, Sight)> {
    let wanted = usize::try_from(page.limit + 1).unwrap_or(usize::MAX);
    let mut after: Option<i64> = page.after.as_ref().map(After::value_as).transpose()?;
    let mut seen = Vec::new();
    let mut sight = Sight::default();
    loop {
        let batch = page.limit + READ_AHEAD;
        let rows = events_before(conn, id, after, only_moves, batch)?;
        let last = rows.len() < usize::try_from(batch).unwrap_or(usize::MAX);
        after = rows.last().map(|e| e.enqueued).or(after);
        let (visible, of_these) = visible(conn, who, rows)?;
        seen.extend(visible);
        sight.extend(of_these);
        if last || seen.len() >= wanted {
            seen.truncate(wanted);
            return Ok((seen, sight));
        }
    }
}

fn events_before(conn: &mut Conn, id: Uuid, after: Option<i64>, only_moves: bool, limit: i64) -> Result<Vec<Event>> {
    let mentioned =
        event_mention::table.filter(event_mention::record_id.eq(AnyId::of(id))).select(event_mention::event_id);
    let mut query = event::table
        .into_boxed::<MultiBackend>()
        .filter(event::record_id.eq(AnyId::of(id)).or(event::id.eq_any(mentioned)))
        .order(event::enqueued.desc())
        .limit(limit);
    if let Some(after) = after {
        query = query.filter(event::enqueued.lt(after));
    }
    if only_moves {
        query = query.filter(event::record_id.eq(AnyId::of(id))).filter(event::move_name.is_not_null());
    }
    query.select(COLUMNS).load::<Row>(conn)?.into_iter().map(Event::of).collect()
}

/// An event as it may be shown to one person.
pub struct Shown {
    /// Its id.
    pub id: EventId,
    /// The exact text of its payload and, in hex, the salt of the commitment: where they stand still, and name nothing that
    /// the person may not see.
    pub opened: Option<(String, String)>,
}

/// An event for whoever may see it.
///
/// # Errors
/// What the database says.
pub fn shown(conn: &mut Conn, who: &Principal, enqueued: i64) -> Result<Option<Shown>> {
    let row: Row = event::table.filter(event::enqueued.eq(enqueued)).select(COLUMNS).get_result(conn)?;
    let Some(found) = visible(conn, who, vec![Event::of(row)?])?.0.pop() else { return Ok(None) };
    let mut named = HashSet::new();
    let fields = found.content().into_iter().flatten().chain(&found.payload);
    fields
        .filter(|(name, _)| *name != "record" && names_records(name))
        .for_each(|(_, value)| uuids_in(value, &mut named));
    let private = !private_fields(found.kind, found.record, who).is_empty()
        || !tells_reason(found.kind, found.record, who)
        || (found.payload.contains_key("access") && !tells_access(found.record, who));
    let opened = if private || !hidden_records(conn, who, named.into_iter())?.is_empty() {
        None
    } else {
        let exact = event::table.filter(event::enqueued.eq(enqueued)).select((event::payload, event::salt));
        let (payload, salt): (Option<Vec<u8>>, Option<Vec<u8>>) = exact.get_result(conn)?;
        payload.and_then(|bytes| String::from_utf8(bytes).ok()).zip(salt.map(hex::encode))
    };
    Ok(Some(Shown { id: found.id, opened }))
}

/// The record in a payload.
pub(super) fn content_of(payload: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice::<Map<String, Value>>(payload).ok()?.remove("record") {
        Some(Value::Object(content)) => Some(content),
        _ => None,
    }
}

/// By record and version: when it was recorded, and as what.
type Before = HashMap<(Uuid, i64), (i64, Map<String, Value>)>;

/// The records' contents one version before the given events, and when these were recorded, in one query.
fn contents_before(conn: &mut Conn, events: &[Event]) -> Result<Before> {
    let next = diesel::alias!(event as next);
    let follows = next
        .field(event::record_id)
        .eq(event::record_id)
        .and(next.field(event::record_version).eq(event::record_version + 1));
    let numbers: Vec<i64> = events.iter().map(|e| e.enqueued).collect();
    let rows: Vec<(AnyId, i64, i64, Option<Vec<u8>>)> = event::table
        .inner_join(next.on(follows))
        .filter(next.field(event::enqueued).eq_any(numbers))
        .select((event::record_id, event::record_version, event::enqueued, event::payload))
        .load(conn)?;
    let content = |(id, version, at, bytes): (AnyId, i64, i64, Option<Vec<u8>>)| {
        Some(((id.0, version), (at, content_of(&bytes?)?)))
    };
    let before = rows.into_iter().filter_map(content);
    Ok(before.collect())
}

/// Takes out of every change what names a record that the reader may not see.
fn redact(conn: &mut Conn, who: &Principal, changes: Vec<Vec<FieldChange>>) -> Result<Vec<Vec<FieldChange>>> {
    let mut named = HashSet::new();
    for change in changes.iter().flatten().filter(|change| names_records(&change.field)) {
        uuids_in(&change.before, &mut named);
        uuids_in(&change.after, &mut named);
    }
    let hidden = hidden_records(conn, who, named.into_iter())?;
    if hidden.is_empty() {
        return Ok(changes);
    }
    let shown = |change: FieldChange| {
        if !names_records(&change.field) {
            return Some(change);
        }
        let (before, after) = (without(&change.before, &hidden), without(&change.after, &hidden));
        (before != after).then_some(FieldChange { field: change.field, before, after })
    };
    Ok(changes.into_iter().map(|entry| entry.into_iter().filter_map(shown).collect()).collect())
}
