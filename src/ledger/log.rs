//! The only SQL of the log in its order: leaves, nodes, checkpoints.
use super::{
    checkpoint::{Head, verifier_key},
    event::{Hash, leaf_hash},
    tree::{self, Nodes, count, natural},
};
use crate::{
    Error, Result,
    db::{
        Conn, MultiBackend,
        columns::Time,
        each_backend,
        schema::{event, event_pending, log_checkpoint, log_generation, log_leaf, log_node},
    },
    vocabulary::{Action, RecordKind},
};
use diesel::prelude::*;
use ed25519_dalek::VerifyingKey;
use std::collections::HashMap;
use tlog_tiles::tlog;

/// Rows of one INSERT; both engines allow some ten times as many arguments.
const ROWS: usize = 1000;

/// A tree under its own origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// 1, 2, 3 …
    pub number: i64,
    /// Its origin.
    pub origin: String,
    /// The verifier key of its checkpoints.
    pub verifier: String,
}

/// A checkpoint as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Of which generation.
    pub generation: i64,
    /// How many leaves it covers.
    pub size: u64,
    /// When it was signed.
    pub at: Time,
    /// The signed note.
    pub note: String,
}

type Row = (i64, i64, Time, String);
type Columns = (log_checkpoint::generation, log_checkpoint::size, log_checkpoint::at, log_checkpoint::note);
const COLUMNS: Columns = (log_checkpoint::generation, log_checkpoint::size, log_checkpoint::at, log_checkpoint::note);

fn stored((generation, size, at, note): Row) -> Result<Stored> {
    Ok(Stored { generation, size: natural(size)?, at, note })
}

/// A leaf on its way into the log.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// The event it is, or
    pub enqueued: Option<i64>,
    /// the bytes it has of its own.
    pub own: Option<Vec<u8>>,
    /// Its hash.
    pub hash: Hash,
}

/// The checkpoint signed last, of the newest generation.
///
/// # Errors
/// What the database says.
pub fn latest(conn: &mut Conn) -> Result<Option<Stored>> {
    let newest = log_checkpoint::table.order((log_checkpoint::generation.desc(), log_checkpoint::size.desc()));
    newest.select(COLUMNS).limit(1).get_result(conn).optional()?.map(stored).transpose()
}

/// The checkpoint signed last of a generation.
///
/// # Errors
/// What the database says.
pub fn last_of(conn: &mut Conn, generation: i64) -> Result<Option<Stored>> {
    let newest =
        log_checkpoint::table.filter(log_checkpoint::generation.eq(generation)).order(log_checkpoint::size.desc());
    newest.select(COLUMNS).limit(1).get_result(conn).optional()?.map(stored).transpose()
}

/// The last checkpoint signed at or before this moment.
///
/// # Errors
/// What the database says.
pub fn signed_by(conn: &mut Conn, moment: Time) -> Result<Option<Stored>> {
    let newest = log_checkpoint::table.filter(log_checkpoint::at.le(moment)).order((
        log_checkpoint::at.desc(),
        log_checkpoint::generation.desc(),
        log_checkpoint::size.desc(),
    ));
    newest.select(COLUMNS).limit(1).get_result(conn).optional()?.map(stored).transpose()
}

/// The checkpoints of a generation in their order, from those covering more than `above` leaves on.
///
/// # Errors
/// What the database says.
pub fn checkpoints_after(conn: &mut Conn, generation: i64, above: i64, limit: i64) -> Result<Vec<Stored>> {
    let rows: Vec<Row> = log_checkpoint::table
        .filter(log_checkpoint::generation.eq(generation))
        .filter(log_checkpoint::size.gt(above))
        .order(log_checkpoint::size)
        .select(COLUMNS)
        .limit(limit)
        .load(conn)?;
    rows.into_iter().map(stored).collect()
}

/// Every generation, oldest first.
///
/// # Errors
/// What the database says.
pub fn generations(conn: &mut Conn) -> Result<Vec<Generation>> {
    let columns = (log_generation::generation, log_generation::origin, log_generation::verifier);
    let rows: Vec<(i64, String, String)> =
        log_generation::table.order(log_generation::generation).select(columns).load(conn)?;
    Ok(rows.into_iter().map(|(number, origin, verifier)| Generation { number, origin, verifier }).collect())
}

/// The head that a stored checkpoint signs, if this key signed it and it is that of the stored tree.
///
/// # Errors
/// [`Error::LogHalted`] when it is not; what the database says.
pub fn believed(conn: &mut Conn, origin: &str, stored: &Stored, key: &VerifyingKey) -> Result<Head> {
    let head = Head::verify(&stored.note, &verifier_key(origin, key)).map_err(|e| {
        Error::LogHalted(format!(
            "its last checkpoint is not to be believed: {e}. Was the keys folder lost or replaced?"
        ))
    })?;
    if head.size != stored.size || root(conn, stored.generation, head.size)? != head.root {
        return Err(Error::LogHalted("its tree is not that of its last checkpoint".into()));
    }
    Ok(head)
}

/// Begins a generation.
///
/// # Errors
/// What the database says.
pub fn begin(conn: &mut Conn, generation: &Generation, at: Time) -> Result<()> {
    let row = (
        log_generation::generation.eq(generation.number),
        log_generation::origin.eq(&generation.origin),
        log_generation::verifier.eq(&generation.verifier),
        log_generation::started_at.eq(at),
    );
    diesel::insert_into(log_generation::table).values(row).execute(conn)?;
    Ok(())
}

/// Keeps a checkpoint.
///
/// # Errors
/// What the database says.
pub fn keep(conn: &mut Conn, checkpoint: &Stored) -> Result<()> {
    let row = (
        log_checkpoint::generation.eq(checkpoint.generation),
        log_checkpoint::size.eq(count(checkpoint.size)?),
        log_checkpoint::at.eq(checkpoint.at),
        log_checkpoint::note.eq(&checkpoint.note),
    );
    diesel::insert_into(log_checkpoint::table).values(row).execute(conn)?;
    Ok(())
}

/// Nodes by their numbers, as many as there are.
///
/// # Errors
/// What the database says.
pub fn nodes(conn: &mut Conn, generation: i64, numbers: &[u64]) -> Result<Nodes> {
    let numbers: Vec<i64> = numbers.iter().map(|n| count(*n)).collect::<Result<_>>()?;
    let rows: Vec<(i64, Vec<u8>)> = log_node::table
        .filter(log_node::generation.eq(generation))
        .filter(log_node::number.eq_any(numbers))
        .select((log_node::number, log_node::hash))
        .load(conn)?;
    rows.into_iter().map(|(number, hash)| Ok((natural(number)?, hash_of(&hash)?))).collect()
}

/// A hash from its column.
///
/// # Errors
/// [`Error::Internal`] if it is none.
pub fn hash_of(bytes: &[u8]) -> Result<Hash> {
    bytes.try_into().map_err(|_| Error::Internal(format!("a hash of {} bytes", bytes.len())))
}

/// The root that the stored tree had at this size.
///
/// # Errors
/// What the database says, or when nodes are missing.
pub fn root(conn: &mut Conn, generation: i64, size: u64) -> Result<Hash> {
    tree::root(size, &nodes(conn, generation, &tree::edge(size))?)
}

/// Puts leaves behind the first `size`, with the nodes they complete; answers the new root.
///
/// # Errors
/// What the database says.
pub fn append(conn: &mut Conn, generation: i64, size: u64, leaves: &[Leaf]) -> Result<Hash> {
    let mut known = nodes(conn, generation, &tree::edge(size))?;
    let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf.hash).collect();
    let made = tree::grow(size, &mut known, &hashes)?;
    for (chunk, from) in leaves.chunks(ROWS).zip((count(size)?..).step_by(ROWS)) {
        let rows: Vec<_> = (from..)
            .zip(chunk)
            .map(|(position, leaf)| {
                (
                    log_leaf::generation.eq(generation),
                    log_leaf::position.eq(position),
                    log_leaf::enqueued.eq(leaf.enqueued),
                    log_leaf::own.eq(leaf.own.as_deref()),
                )
            })
            .collect();
        each_backend!(conn, |c| diesel::insert_into(log_leaf::table).values(&rows).execute(c))?;
    }
    for chunk in made.chunks(ROWS) {
        let rows: Vec<_> = chunk
            .iter()
            .map(|(number, hash)| {
                Ok((
                    log_node::generation.eq(generation),
                    log_node::number.eq(count(*number)?),
                    log_node::hash.eq(&hash[..]),
                ))
            })
            .collect::<Result<_>>()?;
        each_backend!(conn, |c| diesel::insert_into(log_node::table).values(&rows).execute(c))?;
    }
    tree::root(size + leaves.len() as u64, &known)
}

/// Whether events wait for their place.
///
/// # Errors
/// What the database says.
pub fn any_pending(conn: &mut Conn) -> Result<bool> {
    Ok(event_pending::table.select(event_pending::enqueued).limit(1).get_result::<i64>(conn).optional()?.is_some())
}

/// How many events wait for their place.
///
/// # Errors
/// What the database says.
pub fn waiting(conn: &mut Conn) -> Result<i64> {
    Ok(event_pending::table.count().get_result(conn)?)
}

/// The events that wait, in the order in which their records were changed.
///
/// # Errors
/// What the database says.
pub fn pending(conn: &mut Conn, limit: i64) -> Result<Vec<Leaf>> {
    let rows: Vec<(i64, Vec<u8>)> = event_pending::table
        .inner_join(event::table.on(event::enqueued.eq(event_pending::enqueued)))
        .order(event_pending::enqueued)
        .select((event::enqueued, event::leaf_hash))
        .limit(limit)
        .load(conn)?;
    let leaf =
        |(enqueued, hash): (i64, Vec<u8>)| Ok(Leaf { enqueued: Some(enqueued), own: None, hash: hash_of(&hash)? });
    rows.into_iter().map(leaf).collect()
}

/// They have their place.
///
/// # Errors
/// What the database says.
pub fn placed(conn: &mut Conn, leaves: &[Leaf]) -> Result<()> {
    for chunk in leaves.chunks(ROWS) {
        let numbers: Vec<i64> = chunk.iter().filter_map(|leaf| leaf.enqueued).collect();
        let gone = diesel::delete(event_pending::table.filter(event_pending::enqueued.eq_any(&numbers)));
        if gone.execute(conn)? != numbers.len() {
            return Err(Error::Internal("another process gave events their place".into()));
        }
    }
    Ok(())
}

/// The leaves of a generation in their order, from a position on.
///
/// # Errors
/// What the database says, or when one is missing.
pub fn leaves_from(conn: &mut Conn, generation: i64, from: i64, limit: i64) -> Result<Vec<Leaf>> {
    type Bytes = Option<Vec<u8>>;
    let rows: Vec<(i64, Option<i64>, Bytes, Bytes)> = log_leaf::table
        .left_join(event::table.on(log_leaf::enqueued.eq(event::enqueued.nullable())))
        .filter(log_leaf::generation.eq(generation))
        .filter(log_leaf::position.ge(from))
        .order(log_leaf::position)
        .select((log_leaf::position, log_leaf::enqueued, log_leaf::own, event::leaf_hash.nullable()))
        .limit(limit)
        .load(conn)?;
    let leaf = |(expected, (position, enqueued, own, hash)): (i64, (i64, Option<i64>, Bytes, Bytes))| {
        let hash = match (&own, hash) {
            _ if position != expected => None,
            (Some(own), _) => Some(leaf_hash(own)),
            (None, hash) => hash.as_deref().map(hash_of).transpose()?,
        };
        let hash = hash.ok_or_else(|| Error::LogHalted(format!("its leaf {expected} is missing")))?;
        Ok(Leaf { enqueued, own, hash })
    };
    (from..).zip(rows).map(leaf).collect()
}

/// Which events are asked for; nothing asked for is every one.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of records of these kinds.
    pub kinds: Vec<RecordKind>,
    /// Of these actions.
    pub actions: Vec<Action>,
}

/// The positions and numbers of the events that are wanted, from a position on and below another.
///
/// # Errors
/// What the database says.
pub fn wanted(
    conn: &mut Conn,
    generation: i64,
    positions: std::ops::Range<i64>,
    wanted: &Wanted,
    limit: i64,
) -> Result<Vec<(i64, i64)>> {
    let mut query = log_leaf::table
        .inner_join(event::table.on(log_leaf::enqueued.eq(event::enqueued.nullable())))
        .filter(log_leaf::generation.eq(generation))
        .filter(log_leaf::position.ge(positions.start))
        .filter(log_leaf::position.lt(positions.end))
        .into_boxed::<MultiBackend>();
    if !wanted.kinds.is_empty() {
        query = query.filter(event::record_kind.eq_any(&wanted.kinds));
    }
    if !wanted.actions.is_empty() {
        query = query.filter(event::action.eq_any(&wanted.actions));
    }
    Ok(query.order(log_leaf::position).select((log_leaf::position, event::enqueued)).limit(limit).load(conn)?)
}

/// The proof that a tree contains a leaf (RFC 6962, 2.1.1).
///
/// # Errors
/// What the database says, or when the position is beyond the size.
pub fn inclusion(conn: &mut Conn, generation: i64, size: u64, position: u64) -> Result<Vec<Hash>> {
    let numbers = tree::needed(|asked| tlog::prove_record(size, position, asked))?;
    let nodes = nodes(conn, generation, &numbers)?;
    let proof = tlog::prove_record(size, position, &nodes).map_err(|e| tree::broken(&e))?;
    Ok(proof.into_iter().map(|node| node.0).collect())
}

/// The proof that a tree begins with a smaller one (RFC 6962, 2.1.2); empty for the empty tree and for the tree itself.
///
/// # Errors
/// What the database says, or when the smaller one is larger.
pub fn consistency(conn: &mut Conn, generation: i64, size: u64, older: u64) -> Result<Vec<Hash>> {
    if older == 0 {
        return Ok(Vec::new());
    }
    let numbers = tree::needed(|asked| tlog::prove_tree(size, older, asked))?;
    let nodes = nodes(conn, generation, &numbers)?;
    let proof = tlog::prove_tree(size, older, &nodes).map_err(|e| tree::broken(&e))?;
    Ok(proof.into_iter().map(|node| node.0).collect())
}

/// The leaves of a generation in their order, from a position on: their exact bytes.
///
/// # Errors
/// What the database says.
pub fn entries(conn: &mut Conn, generation: i64, from: i64, limit: i64) -> Result<Vec<Vec<u8>>> {
    type Bytes = Option<Vec<u8>>;
    let rows: Vec<(Bytes, Bytes)> = log_leaf::table
        .left_join(event::table.on(log_leaf::enqueued.eq(event::enqueued.nullable())))
        .filter(log_leaf::generation.eq(generation))
        .filter(log_leaf::position.ge(from))
        .filter(log_leaf::position.lt(from + limit))
        .order(log_leaf::position)
        .select((event::leaf.nullable(), log_leaf::own))
        .load(conn)?;
    let bytes = |(event, own): (Bytes, Bytes)| event.or(own);
    rows.into_iter().map(|row| bytes(row).ok_or_else(|| Error::Internal("a leaf without bytes".into()))).collect()
}

/// The event at a position; none where the leaf is no event.
///
/// # Errors
/// 404 beyond the log.
pub fn event_at(conn: &mut Conn, generation: i64, position: i64) -> Result<Option<i64>> {
    let leaf = log_leaf::table.filter(log_leaf::generation.eq(generation)).filter(log_leaf::position.eq(position));
    Ok(leaf.select(log_leaf::enqueued).get_result(conn)?)
}

/// Where events stand in a generation, those that have a place.
///
/// # Errors
/// What the database says.
pub fn positions(conn: &mut Conn, generation: i64, events: &[i64]) -> Result<HashMap<i64, i64>> {
    let rows: Vec<(Option<i64>, i64)> = log_leaf::table
        .filter(log_leaf::generation.eq(generation))
        .filter(log_leaf::enqueued.eq_any(events.iter().map(|n| Some(*n)).collect::<Vec<_>>()))
        .select((log_leaf::enqueued, log_leaf::position))
        .load(conn)?;
    Ok(rows.into_iter().filter_map(|(event, position)| Some((event?, position))).collect())
}

/// The last event below a position of a generation; none where there is none.
///
/// # Errors
/// What the database says.
pub fn last_event_below(conn: &mut Conn, generation: i64, position: i64) -> Result<Option<i64>> {
    let last: Option<Option<i64>> = log_leaf::table
        .filter(log_leaf::generation.eq(generation))
        .filter(log_leaf::position.lt(position))
        .filter(log_leaf::enqueued.is_not_null())
        .order(log_leaf::position.desc())
        .select(log_leaf::enqueued)
        .first(conn)
        .optional()?;
    Ok(last.flatten())
}

/// Where events stand in the newest generation, those that have a place.
///
/// # Errors
/// What the database says.
pub fn places(conn: &mut Conn, events: &[i64]) -> Result<HashMap<i64, i64>> {
    match newest_generation(conn)? {
        Some(generation) => positions(conn, generation, events),
        None => Ok(HashMap::new()),
    }
}

/// The newest generation's number; none before the log was first brought up to date.
///
/// # Errors
/// What the database says.
pub fn newest_generation(conn: &mut Conn) -> Result<Option<i64>> {
    Ok(log_generation::table.select(diesel::dsl::max(log_generation::generation)).get_result(conn)?)
}
