//! What the command line looks at: the newest checkpoint and the proof of one event, with everything opened.
use super::{
    log::{self, Stored},
    proof::Proof,
    sequencer::origin,
    tree::{count, natural},
};
use crate::{
    Error, Result,
    db::{Conn, migrate, schema::event},
    id::EventId,
};
use diesel::prelude::*;
use serde::Serialize;
use uuid::Uuid;

/// A proof as the API gives it.
#[derive(Debug, Serialize)]
pub struct Opened {
    index: u64,
    event_id: Option<EventId>,
    leaf: String,
    proof: String,
    payload: Option<String>,
    salt: Option<String>,
}

/// The log's origin and its newest checkpoint.
///
/// # Errors
/// [`Error::Open`] when there is none yet.
pub fn newest(conn: &mut Conn) -> Result<(String, Stored)> {
    let none = || Error::Open("the log has no checkpoint yet: `benchside serve` makes it".into());
    let stored = log::latest(conn)?.ok_or_else(none)?;
    Ok((origin(&migrate::log_name(conn)?, stored.generation), stored))
}

/// The proof of the leaf at an index, or of the event of an id.
///
/// # Errors
/// [`Error::Open`] when the log has no such leaf.
pub fn prove(conn: &mut Conn, what: &str) -> Result<Opened> {
    let (_, stored) = newest(conn)?;
    let unknown = || Error::Open(format!("the log has no leaf {what}"));
    let index = match (what.parse::<u64>(), Uuid::parse_str(what)) {
        (Ok(index), _) => index,
        (_, Ok(id)) => {
            let numbers = event::table.filter(event::id.eq(EventId::of(id))).select(event::enqueued);
            let enqueued: i64 = numbers.get_result(conn).optional()?.ok_or_else(unknown)?;
            let places = log::positions(conn, stored.generation, &[enqueued])?;
            natural(places.get(&enqueued).copied().ok_or_else(unknown)?)?
        }
        _ => return Err(unknown()),
    };
    if index >= stored.size {
        return Err(unknown());
    }
    let position = count(index)?;
    let leaf = log::entries(conn, stored.generation, position, 1)?.pop().ok_or_else(unknown)?;
    let path = log::inclusion(conn, stored.generation, stored.size, index)?;
    let proof = Proof { index, path, checkpoint: stored.note }.to_string();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let leaf = text(leaf);
    let Some(enqueued) = log::event_at(conn, stored.generation, position)? else {
        return Ok(Opened { index, event_id: None, leaf, proof, payload: None, salt: None });
    };
    let row = event::table.filter(event::enqueued.eq(enqueued)).select((event::id, event::payload, event::salt));
    let (id, payload, salt): (EventId, Option<Vec<u8>>, Option<Vec<u8>>) = row.get_result(conn)?;
    Ok(Opened { index, event_id: Some(id), leaf, proof, payload: payload.map(text), salt: salt.map(hex::encode) })
}
