//! Checks the log of a live database: everything [`super::verify`] does, and that events, payloads and the records
//! of today are what the leaves say.
use super::{
    event::{Hash, commitment},
    log::{self, Generation},
    sequencer::origin,
    tree::count,
    verify::{self, FaultKind, Report, Said, Walk},
};
use crate::{
    Error, Result,
    app::{self, Current},
    db::{
        Conn,
        columns::Time,
        migrate,
        schema::{event, event_pending, log_leaf, log_node},
    },
    id::{AnyId, EventId},
    vocabulary::RecordKind,
};
use diesel::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet, VecDeque};
use uuid::Uuid;

/// Leaves that are read at once.
const PAGE: i64 = 500;

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = event)]
struct Row {
    enqueued: i64,
    id: EventId,
    record_kind: String,
    record_id: AnyId,
    record_version: i64,
    action: String,
    move_name: Option<String>,
    from_state: Option<String>,
    to_state: Option<String>,
    actor_id: Option<AnyId>,
    at: Time,
    effective_at: Time,
    leaf: Vec<u8>,
    leaf_hash: Vec<u8>,
    salt: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
}

/// A leaf's place, its own bytes, its event.
type Placed = (i64, Option<i64>, Option<Vec<u8>>, Option<Row>);

/// What was learnt on the way.
#[derive(Default)]
struct Learnt {
    /// Of each record, the hash of its last payload that stands, with the version it is of.
    contents: HashMap<Uuid, (i64, Option<Hash>)>,
    /// Where each record's last leaf stands.
    places: HashMap<Uuid, Option<u64>>,
    /// Versions whose payload is gone, with their place.
    erased: Vec<(Option<u64>, Uuid, i64)>,
    /// Versions that an erasure says it erased.
    erasures: HashSet<(Uuid, i64)>,
    enqueued: HashMap<Uuid, i64>,
}

/// Checks the newest generation and everything beside it. `verifier` is the key that checkpoints must be signed with;
/// `pinned` are checkpoints that were kept elsewhere.
///
/// # Errors
/// What the database says. What is wrong with the log is in the report.
pub fn verify(conn: &mut Conn, verifier: Option<&str>, pinned: &[&str]) -> Result<Report> {
    let name = migrate::log_name(conn)?;
    let newest = log::generations(conn)?.pop();
    let verifier = verifier.or(newest.as_ref().map(|generation| &*generation.verifier));
    let pinned = match verifier {
        Some(verifier) => pinned.iter().map(|note| verify::pinned(note, verifier)).collect::<Result<_>>()?,
        None if pinned.is_empty() => Vec::new(),
        None => return Err(Error::Open("the log has no checkpoint, and no key to believe another by".into())),
    };
    let mut walk = Walk::of(origin(&name, newest.as_ref().map_or(1, |generation| generation.number)), pinned);
    let mut learnt = Learnt::default();
    if let (Some(generation), Some(verifier)) = (&newest, verifier) {
        leaves(conn, generation.number, verifier, &mut walk, &mut learnt)?;
    }
    let waiting = pending(conn, &mut walk, &mut learnt)?;
    unplaced(conn, newest.as_ref(), &mut walk)?;
    let erased = erasures(&mut walk, &learnt);
    records(conn, &mut walk, &learnt);
    walk.report(waiting, erased)
}

fn leaves(conn: &mut Conn, generation: i64, verifier: &str, walk: &mut Walk, learnt: &mut Learnt) -> Result<()> {
    let mut checkpoints = Checkpoints::of(conn, generation, verifier)?;
    checkpoints.meet(conn, walk)?;
    loop {
        let from = count(walk.size())?;
        // One by one where something among many cannot be read, so that it is named.
        let page = match placed(conn, generation, from, PAGE).or_else(|_| placed(conn, generation, from, 1)) {
            Ok(page) if page.is_empty() => break,
            Ok(page) => page,
            Err(error) => {
                let what = format!("the leaf or its event cannot be read: {error}");
                walk.fault(Some(walk.size()), FaultKind::EventChanged, what);
                return Ok(());
            }
        };
        let nodes = nodes(conn, generation, walk.size(), page.len())?;
        for (expected, (position, _, own, row)) in (from..).zip(page) {
            if position != expected {
                walk.fault(
                    Some(walk.size()),
                    FaultKind::LeafMissing,
                    format!("the leaf is missing, the next is {position}"),
                );
                return Ok(());
            }
            let index = walk.size();
            let Some(bytes) = row.as_ref().map(|row| row.leaf.clone()).or(own) else {
                walk.fault(Some(index), FaultKind::LeafMissing, "the event of this leaf is gone");
                return Ok(());
            };
            let (said, made) = walk.leaf(&bytes)?;
            if row.is_none() && said.is_some() {
                walk.fault(Some(index), FaultKind::LeafMissing, "the event of this leaf is gone");
            }
            if let Some((number, hash)) =
                made.iter().find(|(number, hash)| nodes.get(number).is_none_or(|stored| stored[..] != hash[..]))
            {
                let stored = nodes.get(number).map_or("missing".into(), hex::encode);
                let what = format!("node {number} of the tree is {stored}, the leaves make it {}", hex::encode(hash));
                walk.fault(Some(index), FaultKind::TreeChanged, what);
            }
            if let Some(row) = &row {
                event_of(walk, learnt, Some(index), row, said.as_ref());
            }
            checkpoints.meet(conn, walk)?;
        }
    }
    checkpoints.rest(conn, walk)?;
    let stray: i64 = log_node::table
        .filter(log_node::generation.eq(generation))
        .filter(log_node::number.ge(count(tlog_tiles::tlog::stored_hash_count(walk.size()))?))
        .count()
        .get_result(conn)?;
    if stray > 0 {
        walk.fault(
            Some(walk.size()),
            FaultKind::TreeChanged,
            format!("{stray} nodes belong to leaves that are not there"),
        );
    }
    Ok(())
}

fn placed(conn: &mut Conn, generation: i64, from: i64, limit: i64) -> Result<Vec<Placed>> {
    Ok(log_leaf::table
        .left_join(event::table.on(log_leaf::enqueued.eq(event::enqueued.nullable())))
        .filter(log_leaf::generation.eq(generation))
        .filter(log_leaf::position.ge(from))
        .order(log_leaf::position)
        .select((log_leaf::position, log_leaf::enqueued, log_leaf::own, Option::<Row>::as_select()))
        .limit(limit)
        .load(conn)?)
}

/// The stored nodes that the next so many leaves complete.
fn nodes(conn: &mut Conn, generation: i64, size: u64, leaves: usize) -> Result<HashMap<u64, Vec<u8>>> {
    use tlog_tiles::tlog::stored_hash_count;
    let (first, end) = (count(stored_hash_count(size))?, count(stored_hash_count(size + leaves as u64))?);
    let rows: Vec<(i64, Vec<u8>)> = log_node::table
        .filter(log_node::generation.eq(generation))
        .filter(log_node::number.ge(first))
        .filter(log_node::number.lt(end))
        .select((log_node::number, log_node::hash))
        .load(conn)?;
    rows.into_iter().map(|(number, hash)| Ok((super::tree::natural(number)?, hash))).collect()
}

/// The stored checkpoints on the way.
struct Checkpoints<'a> {
    generation: i64,
    verifier: &'a str,
    ahead: VecDeque<log::Stored>,
    above: i64,
}

impl<'a> Checkpoints<'a> {
    fn of(conn: &mut Conn, generation: i64, verifier: &'a str) -> Result<Self> {
        let mut all = Self { generation, verifier, ahead: VecDeque::new(), above: -1 };
        all.fetch(conn)?;
        Ok(all)
    }

    fn fetch(&mut self, conn: &mut Conn) -> Result<()> {
        for stored in log::checkpoints_after(conn, self.generation, self.above, PAGE)? {
            self.above = count(stored.size)?;
            self.ahead.push_back(stored);
        }
        Ok(())
    }

    /// Those of the leaves walked so far.
    fn meet(&mut self, conn: &mut Conn, walk: &mut Walk) -> Result<()> {
        while let Some(stored) = self.ahead.pop_front_if(|next| next.size == walk.size()) {
            walk.checkpoint(&stored.note, self.verifier)?;
            if self.ahead.is_empty() {
                self.fetch(conn)?;
            }
        }
        Ok(())
    }

    /// Those of more leaves than there are; and leaves that no checkpoint covers.
    fn rest(&self, conn: &mut Conn, walk: &mut Walk) -> Result<()> {
        if let Some(next) = self.ahead.front() {
            walk.beyond(next.size);
        }
        if log::checkpoints_after(conn, self.generation, count(walk.size())? - 1, 1)?.is_empty() {
            let what = "no checkpoint covers the last leaves";
            walk.fault(Some(walk.size().saturating_sub(1)), FaultKind::CheckpointWrong, what);
        }
        Ok(())
    }
}

/// That an event's row is what its leaf says.
fn event_of(walk: &mut Walk, learnt: &mut Learnt, index: Option<u64>, row: &Row, said: Option<&Said>) {
    if super::event::leaf_hash(&row.leaf)[..] != row.leaf_hash[..] {
        walk.fault(
            index,
            FaultKind::LeafChanged,
            format!("the leaf of event {} has another hash than was stored with it", row.id),
        );
    }
    let Some(said) = said else { return };
    let record = row.record_id.0;
    let columns = json!({
        "id": row.id,
        "at": row.at,
        "record": { "kind": row.record_kind, "id": record, "version": row.record_version },
        "action": row.action,
        "from": row.from_state,
        "to": row.to_state,
        "effective_at": row.effective_at,
    });
    let Value::Object(columns) = columns else { return };
    for (name, column) in columns {
        if said.0.get(&name) != Some(&column) {
            let leaf = said.0.get(&name).unwrap_or(&Value::Null);
            walk.fault(index, FaultKind::EventChanged, format!("the event's {name} is {column}, its leaf says {leaf}"));
        }
    }
    if said.0.pointer("/actor/person") != Some(&json!(row.actor_id.map(|id| id.0))) {
        walk.fault(index, FaultKind::EventChanged, "the event's actor is not the leaf's");
    }
    if learnt.enqueued.insert(record, row.enqueued).is_some_and(|before| before >= row.enqueued) {
        walk.fault(index, FaultKind::EventChanged, "the event's number does not rise with its record's versions");
    }
    learnt.places.insert(record, index);
    let hash = payload(walk, learnt, index, row, said);
    learnt.contents.insert(record, (row.record_version, hash));
}

/// That the payload is what the leaf commits to. Answers the hash of the record in it.
fn payload(walk: &mut Walk, learnt: &mut Learnt, index: Option<u64>, row: &Row, said: &Said) -> Option<Hash> {
    let (salt, payload) = match (&row.salt, &row.payload) {
        (Some(salt), Some(payload)) => (salt, payload),
        (None, None) => {
            if said.0.get("signature").is_some_and(|signature| !signature.is_null()) {
                walk.fault(index, FaultKind::PayloadMissing, "the payload of a signed version is gone");
            }
            learnt.erased.push((index, row.record_id.0, row.record_version));
            return None;
        }
        _ => {
            walk.fault(index, FaultKind::PayloadMissing, "one of payload and salt is gone");
            return None;
        }
    };
    let commit = <[u8; 32]>::try_from(&salt[..]).ok().map(|salt| hex::encode(commitment(&salt, payload)));
    if commit.as_deref() != said.text("/commit") {
        walk.fault(index, FaultKind::PayloadChanged, "payload and salt are not what the leaf commits to");
        return None;
    }
    let mut content: Map<String, Value> = serde_json::from_slice(payload).ok()?;
    if row.action == "erased" {
        let versions = content.get("erased").and_then(Value::as_array).into_iter().flatten();
        learnt.erasures.extend(versions.filter_map(|version| Some((row.record_id.0, version.as_i64()?))));
    }
    // Older payloads do not name the move.
    if content.get("move").is_some_and(|name| *name != json!(row.move_name)) {
        walk.fault(index, FaultKind::EventChanged, "the event's move is not the payload's");
    }
    content.remove("record").as_ref().and_then(fingerprint)
}

fn fingerprint(record: &Value) -> Option<Hash> {
    super::event::canonical(record).ok().map(|bytes| super::event::leaf_hash(&bytes))
}

/// The events that wait for their place.
fn pending(conn: &mut Conn, walk: &mut Walk, learnt: &mut Learnt) -> Result<u64> {
    let (mut waiting, mut after) = (0, i64::MIN);
    loop {
        let rows: Vec<Row> = event_pending::table
            .inner_join(event::table.on(event::enqueued.eq(event_pending::enqueued)))
            .filter(event_pending::enqueued.gt(after))
            .order(event_pending::enqueued)
            .select(Row::as_select())
            .limit(PAGE)
            .load(conn)?;
        let Some(last) = rows.last() else { return Ok(waiting) };
        after = last.enqueued;
        for row in rows {
            waiting += 1;
            let said = walk.waiting(&row.leaf);
            event_of(walk, learnt, None, &row, said.as_ref());
        }
    }
}

/// Events that were slipped in beside the log.
fn unplaced(conn: &mut Conn, generation: Option<&Generation>, walk: &mut Walk) -> Result<()> {
    let number = generation.map_or(0, |generation| generation.number);
    let placed = log_leaf::table
        .filter(log_leaf::generation.eq(number))
        .filter(log_leaf::enqueued.eq(event::enqueued.nullable()));
    let waiting = event_pending::table.filter(event_pending::enqueued.eq(event::enqueued));
    let rows: Vec<(EventId, AnyId, i64)> = event::table
        .filter(diesel::dsl::not(diesel::dsl::exists(placed)))
        .filter(diesel::dsl::not(diesel::dsl::exists(waiting)))
        .order(event::enqueued)
        .select((event::id, event::record_id, event::record_version))
        .limit(PAGE)
        .load(conn)?;
    for (id, record, version) in rows {
        let what = format!("event {id}, version {version} of {}, has no place in the log", record.0);
        walk.fault(Some(walk.size()), FaultKind::EventUnplaced, what);
    }
    Ok(())
}

/// A payload is gone only where an erasure says so.
fn erasures(walk: &mut Walk, learnt: &Learnt) -> u64 {
    for (index, record, version) in &learnt.erased {
        if !learnt.erasures.contains(&(*record, *version)) {
            let what = format!("the payload of version {version} of {record} is gone, and no erasure says why");
            walk.fault(*index, FaultKind::PayloadMissing, what);
        }
    }
    learnt.erased.len() as u64
}

/// That the records of today are what their last events say.
fn records(conn: &mut Conn, walk: &mut Walk, learnt: &Learnt) {
    let mut seen = HashSet::new();
    let mut all = true;
    for kind in RecordKind::ALL {
        all &= of_kind(conn, walk, learnt, *kind, &mut seen);
    }
    // What could not be read is not gone.
    if !all {
        return;
    }
    let mut gone: Vec<_> = walk.heads().keys().filter(|id| !seen.contains(id)).copied().collect();
    gone.sort_unstable();
    for id in gone {
        let place = learnt.places.get(&id).copied().flatten();
        walk.fault(place, FaultKind::RecordChanged, format!("the record {id} is gone"));
    }
}

/// The records of one kind; false if not all of them could be read.
fn of_kind(conn: &mut Conn, walk: &mut Walk, learnt: &Learnt, kind: RecordKind, seen: &mut HashSet<Uuid>) -> bool {
    let mut after = None;
    loop {
        match app::current(conn, kind, after, PAGE).or_else(|_| app::current(conn, kind, after, 1)) {
            Ok(page) if page.is_empty() => return true,
            Ok(page) => {
                after = page.last().map(|last| last.id);
                for record in page {
                    seen.insert(record.id);
                    compare(walk, learnt, kind, &record);
                }
            }
            Err(error) => {
                let behind = after.map_or_else(|| "the first".to_owned(), |id| format!("the next after {id}"));
                let what = format!("of the records of kind {kind}, {behind} cannot be read: {error}");
                walk.fault(None, FaultKind::RecordChanged, what);
                return false;
            }
        }
    }
}

fn compare(walk: &mut Walk, learnt: &Learnt, kind: RecordKind, record: &Current) {
    let place = learnt.places.get(&record.id).copied().flatten();
    let Some((version, hash)) = walk.heads().get(&record.id).copied() else {
        walk.fault(None, FaultKind::RecordChanged, format!("{kind} {} has no event", record.id));
        return;
    };
    if version != record.version || hash[..] != record.head[..] {
        let what =
            format!("{kind} {} is at version {}, its last event is of version {version}", record.id, record.version);
        walk.fault(place, FaultKind::RecordChanged, what);
    } else if let Some((_, Some(content))) = learnt.contents.get(&record.id)
        && fingerprint(&record.content) != Some(*content)
    {
        walk.fault(place, FaultKind::RecordChanged, format!("{kind} {} is not what its last event says", record.id));
    }
}
