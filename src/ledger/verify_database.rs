//! Checks the log of a live database: everything [`verify`](super::verify) does, and that events, payloads and the records
//! of today are what the leaves say.
use super::{
    event::{Hash, commitment},
    log::{self, Generation},
    tree::count,
    verify::{FaultKind, Report, Said, Walk},
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
/// `pinned` a checkpoint that was kept elsewhere.
///
/// # Errors
/// What the database says. What is wrong with the log is in the report.
pub fn verify(conn: &mut Conn, verifier: Option<&str>, pinned: Option<&str>) -> Result<Report> {
    let name = migrate::log_name(conn)?;
    let mut walk = Walk::of(Some(name.clone()));
    let mut learnt = Learnt::default();
    let newest = log::generations(conn)?.pop();
    if let Some(generation) = &newest {
        let verifier = verifier.unwrap_or(&generation.verifier);
        leaves(conn, generation, verifier, pinned, &mut walk, &mut learnt)?;
    }
    let waiting = pending(conn, &mut walk, &mut learnt)?;
    unplaced(conn, newest.as_ref(), &mut walk)?;
    let erased = erasures(&mut walk, &learnt);
    records(conn, &mut walk, &learnt)?;
    walk.report(newest.map_or(name, |generation| generation.origin), waiting, erased)
}

fn leaves(
    conn: &mut Conn,
    generation: &Generation,
    verifier: &str,
    pinned: Option<&str>,
    walk: &mut Walk,
    learnt: &mut Learnt,
) -> Result<()> {
    let mut checkpoints = Checkpoints::of(conn, generation, verifier, pinned)?;
    checkpoints.meet(conn, walk)?;
    loop {
        let from = count(walk.size())?;
        let page = placed(conn, generation.number, from)?;
        if page.is_empty() {
            break;
        }
        let nodes = nodes(conn, generation.number, walk.size(), page.len())?;
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
            if let Some((number, hash)) = made.iter().find(|(number, hash)| nodes.get(number) != Some(hash)) {
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
        .filter(log_node::generation.eq(generation.number))
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

fn placed(conn: &mut Conn, generation: i64, from: i64) -> Result<Vec<Placed>> {
    Ok(log_leaf::table
        .left_join(event::table.on(log_leaf::enqueued.eq(event::enqueued.nullable())))
        .filter(log_leaf::generation.eq(generation))
        .filter(log_leaf::position.ge(from))
        .order(log_leaf::position)
        .select((log_leaf::position, log_leaf::enqueued, log_leaf::own, Option::<Row>::as_select()))
        .limit(PAGE)
        .load(conn)?)
}

/// The stored nodes that the next so many leaves complete.
fn nodes(conn: &mut Conn, generation: i64, size: u64, leaves: usize) -> Result<HashMap<u64, Hash>> {
    use tlog_tiles::tlog::stored_hash_count;
    let (first, end) = (count(stored_hash_count(size))?, count(stored_hash_count(size + leaves as u64))?);
    let rows: Vec<(i64, Vec<u8>)> = log_node::table
        .filter(log_node::generation.eq(generation))
        .filter(log_node::number.ge(first))
        .filter(log_node::number.lt(end))
        .select((log_node::number, log_node::hash))
        .load(conn)?;
    rows.into_iter().map(|(number, hash)| Ok((super::tree::natural(number)?, log::hash_of(&hash)?))).collect()
}

/// The checkpoints on the way, stored and pinned.
struct Checkpoints<'a> {
    generation: i64,
    verifier: &'a str,
    ahead: VecDeque<log::Stored>,
    above: i64,
    pinned: Option<(u64, &'a str)>,
    at: Option<Time>,
}

impl<'a> Checkpoints<'a> {
    fn of(conn: &mut Conn, generation: &Generation, verifier: &'a str, pinned: Option<&'a str>) -> Result<Self> {
        let pinned = pinned.map(|note| {
            let head = super::checkpoint::Head::verify(note, verifier);
            head.map(|head| (head.size, note)).map_err(|e| Error::Open(format!("the pinned checkpoint: {e}")))
        });
        let mut all = Self {
            generation: generation.number,
            verifier,
            ahead: VecDeque::new(),
            above: -1,
            pinned: pinned.transpose()?,
            at: None,
        };
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
            if self.at.replace(stored.at).is_some_and(|before| before > stored.at) {
                let what = format!("the checkpoint of {} leaves is older than the one before it", stored.size);
                walk.fault(Some(stored.size.saturating_sub(1)), FaultKind::CheckpointWrong, what);
            }
            if self.ahead.is_empty() {
                self.fetch(conn)?;
            }
        }
        if let Some((size, note)) = self.pinned
            && size == walk.size()
        {
            walk.checkpoint(note, self.verifier)?;
        }
        Ok(())
    }

    /// Those of more leaves than there are; and leaves that no checkpoint covers.
    fn rest(&self, conn: &mut Conn, walk: &mut Walk) -> Result<()> {
        let beyond = self.ahead.front().map(|next| next.size).into_iter();
        let pinned = self.pinned.map(|(size, _)| size).filter(|size| *size > walk.size());
        if let Some(size) = beyond.chain(pinned).max() {
            walk.beyond(size);
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
fn records(conn: &mut Conn, walk: &mut Walk, learnt: &Learnt) -> Result<()> {
    let mut seen = HashSet::new();
    for kind in RecordKind::ALL {
        let mut after = Uuid::nil();
        loop {
            let page = app::current(conn, *kind, after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for record in page {
                seen.insert(record.id);
                compare(walk, learnt, *kind, &record);
            }
        }
    }
    let mut gone: Vec<_> = learnt.places.iter().filter(|(id, _)| !seen.contains(id)).collect();
    gone.sort();
    for (id, place) in gone {
        walk.fault(*place, FaultKind::RecordChanged, format!("the record {id} is gone"));
    }
    Ok(())
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
