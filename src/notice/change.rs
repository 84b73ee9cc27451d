//! The use cases of notifications: read them, and say how far they were read.
use super::{Because, COUNTED, Notification, because, store};
use crate::{
    Error, Result,
    auth::policy::Principal,
    db::Conn,
    fault::{Faults, Text},
    history,
    http::page,
    ledger::{
        feed::{Position, log_with},
        log::{self, Stored},
        tree::{count, natural},
    },
    subscription::{self, Subscription},
};
use deserr::Deserr;
use serde::Serialize;
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};
use utoipa::ToSchema;
use uuid::Uuid;

/// So many events more than a page holds are looked at: some may be hidden from their reader.
const READ_AHEAD: usize = 100;

/// How far one has read.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "read_until": "1-41" }))]
pub struct Mark {
    /// The `sequence` of the last event that was read: it and all before it are read, and none after it is.
    pub read_until: Text<1, 40>,
}

/// How far one has read, and what is left.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Marked {
    /// The last event that was read.
    #[schema(max_length = 40, example = "1-41")]
    pub read_until: String,
    /// How many are unread among the newest 200 that are looked at.
    #[schema(minimum = 0, maximum = 200, example = 3)]
    pub unread: usize,
}

/// Some of what happened, the newest first.
pub struct Batch {
    /// What their reader may see.
    pub notifications: Vec<Notification>,
    /// Down to where the log was looked at; none where there is nothing before it.
    pub until: Option<Position>,
    /// How many are unread among the newest that are looked at.
    pub unread: usize,
}

/// What of an event decides whether and why somebody hears of it.
struct Heard<'a> {
    who: &'a Principal,
    follows: Vec<Subscription>,
}

impl<'a> Heard<'a> {
    fn by(conn: &mut Conn, who: &'a Principal) -> Result<Self> {
        Ok(Self { who, follows: subscription::store::of(conn, who.id)? })
    }
    /// Why each of these events (by number and record) is heard of; those that are not are left out.
    fn because(&self, conn: &mut Conn, events: &[(i64, Uuid)]) -> Result<HashMap<i64, Vec<Because>>> {
        let records: HashSet<Uuid> = events.iter().map(|(_, record)| *record).collect();
        let ties = store::ties(conn, &records)?;
        let reasons =
            |(number, record): &(i64, Uuid)| because(self.who.id, &self.follows, *record, *number, ties.get(record));
        let named = events.iter().map(|event| (event.0, reasons(event)));
        Ok(named.filter(|(_, reasons)| !reasons.is_empty()).collect())
    }
}

/// At most `limit` of what happened before a position of the log, or before its end, newest first; nothing twice.
///
/// # Errors
/// 422 for a position that is not in the log, 410 for one of a former generation.
pub fn read(conn: &mut Conn, who: &Principal, shown: &Stored, before: Option<Position>, limit: usize) -> Result<Batch> {
    let log = match before {
        Some(position) => log_with(conn, position, shown)?.ok_or_else(page::invalid_cursor)?,
        None => Cow::Borrowed(shown),
    };
    let (log, before) = (&*log, before.map_or(log.size, |position| position.index));
    let looked_at = limit.saturating_add(READ_AHEAD);
    let places = store::concerning(conn, who.id, log.generation, 0..count(before)?, looked_at)?;
    let numbers: Vec<i64> = places.iter().map(|(_, number)| *number).collect();
    let entries = history::store::told(conn, who, &numbers)?;
    let heard = Heard::by(conn, who)?;
    let events: Vec<_> = entries.iter().map(|e| (e.enqueued, e.record.id)).collect();
    let mut reasons = heard.because(conn, &events)?;
    let read_until = position_of_mark(conn, who, log)?;
    let positions: HashMap<i64, i64> = places.iter().map(|(position, number)| (*number, *position)).collect();
    let mut until = match places.last() {
        Some((position, _)) if places.len() >= looked_at => Some(natural(*position)?),
        _ => None,
    };
    let mut notifications: Vec<Notification> = Vec::new();
    for entry in entries {
        let place = positions.get(&entry.enqueued).copied();
        let Some((because, position)) = reasons.remove(&entry.enqueued).zip(place) else { continue };
        if notifications.len() == limit {
            until = Some(natural(position)?.saturating_add(1));
            break;
        }
        let sequence = Position { generation: log.generation, index: natural(position)? }.to_string();
        notifications.push(Notification { sequence, read: position <= read_until, because, event: entry });
    }
    let unread = unread(conn, &heard, log, read_until)?;
    let until = until.map(|index| Position { generation: log.generation, index });
    Ok(Batch { notifications, until, unread })
}

/// Where the last event that was read stands now; before everything where nothing was read.
fn position_of_mark(conn: &mut Conn, who: &Principal, log: &Stored) -> Result<i64> {
    let Some(number) = store::read_until(conn, who.id)? else { return Ok(-1) };
    Ok(log::positions(conn, log.generation, &[number])?.get(&number).copied().unwrap_or(-1))
}

fn unread(conn: &mut Conn, heard: &Heard<'_>, log: &Stored, read_until: i64) -> Result<usize> {
    let later = read_until.saturating_add(1)..count(log.size)?;
    let places = store::concerning(conn, heard.who.id, log.generation, later, COUNTED)?;
    let numbers: Vec<i64> = places.iter().map(|(_, number)| *number).collect();
    let seen = history::store::seen_of(conn, heard.who, &numbers)?;
    Ok(heard.because(conn, &seen)?.len())
}

/// Notes how far one has read, forwards or back.
///
/// # Errors
/// 422 for what is no position up to the checkpoint, 410 for one of a former generation.
pub fn mark(conn: &mut Conn, who: &Principal, log: &Stored, mark: &Mark) -> Result<Marked> {
    const AT: &str = "/read_until";
    let Ok(position) = mark.read_until.0.parse::<Position>() else {
        return Err(Error::fault(AT, "invalid_format", "must be the `sequence` of an event, such as 1-41"));
    };
    let Some(log) = log_with(conn, position, log)? else {
        return Err(Error::fault(AT, "out_of_range", "must be the `sequence` of an event that was"));
    };
    let number = store::event_until(conn, log.generation, count(position.index)?)?;
    store::mark(conn, who.id, number)?;
    let heard = Heard::by(conn, who)?;
    let unread = unread(conn, &heard, &log, count(position.index)?)?;
    Ok(Marked { read_until: position.to_string(), unread })
}
