//! The feed: the log in its order, as far as a reader may see it now. A reader goes on where they left off, by the position
//! of the last event they took: no gap, no repeat.
pub mod http;

use super::{
    log::{self, Stored, Wanted},
    tree::{count, natural},
};
use crate::{
    Error, Result,
    auth::policy::Principal,
    db::{Conn, columns::Time},
    error::Code,
    history::{self, Entry},
    id::EventId,
};
use serde::Serialize;
use std::{borrow::Cow, fmt, str::FromStr};
use utoipa::ToSchema;

/// Events that are looked at for one answer: a reader who may see few of them is told how far they have come.
const LOOKED_AT: i64 = 500;
/// Leaves that are passed for one answer, wanted or not: what is seldom must not take a walk through the whole log.
const PASSED: u64 = 20_000;

/// Where an event stands: `<generation>-<index>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Of which generation.
    pub generation: i64,
    /// The index of its leaf.
    pub index: u64,
}

impl Position {
    /// Whether the checkpoint's log has it.
    pub fn is_in(&self, log: &Stored) -> bool {
        self.generation == log.generation && self.index < log.size
    }
    /// That it is not of a generation before the checkpoint's.
    ///
    /// # Errors
    /// 410: events are numbered anew.
    pub fn refuse_former(&self, log: &Stored) -> Result<()> {
        if self.generation >= log.generation {
            return Ok(());
        }
        let detail = format!("Events are numbered anew since generation {}: begin again.", log.generation);
        Err(Error::refused(Code::FeedReset, detail))
    }
}

/// The log that has a position: as this node shows it, or as another has shown it already and this one has not looked yet.
///
/// # Errors
/// 410 for a position of a former generation; what the database says.
pub fn log_with<'a>(conn: &mut Conn, position: Position, shown: &'a Stored) -> Result<Option<Cow<'a, Stored>>> {
    position.refuse_former(shown)?;
    if position.is_in(shown) {
        return Ok(Some(Cow::Borrowed(shown)));
    }
    Ok(log::latest(conn)?.filter(|newest| position.is_in(newest)).map(Cow::Owned))
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.generation, self.index)
    }
}

impl FromStr for Position {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (generation, index) = text.split_once('-').ok_or(())?;
        let position = Self { generation: generation.parse().map_err(drop)?, index: index.parse().map_err(drop)? };
        let plain = position.to_string() == text && position.generation > 0 && i64::try_from(position.index).is_ok();
        plain.then_some(position).ok_or(())
    }
}

/// An event as CloudEvents 1.0 has it (JSON format), with the extension `sequence`.
#[derive(Debug, Serialize, ToSchema)]
pub struct CloudEvent {
    /// `1.0`.
    #[schema(max_length = 3, example = "1.0")]
    specversion: &'static str,
    /// The event.
    pub id: EventId,
    /// The log.
    #[schema(max_length = 200, example = "benchside/01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55")]
    source: String,
    /// `benchside.<kind>.<action>`.
    #[serde(rename = "type")]
    #[schema(max_length = 100, example = "benchside.discovery.moved")]
    event_type: String,
    /// The record.
    #[schema(max_length = 100, example = "discoveries/01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55")]
    subject: String,
    /// When it was recorded.
    time: Time,
    /// Where it stands in the log: `<generation>-<index>`; what `after` and `Last-Event-ID` take.
    #[schema(max_length = 40, example = "1-41")]
    pub sequence: String,
    /// `application/json`.
    #[schema(max_length = 20, example = "application/json")]
    datacontenttype: &'static str,
    /// What happened, as a record's history has it.
    data: Entry,
}

impl CloudEvent {
    fn of(entry: Entry, position: Position, source: &str) -> Self {
        Self {
            specversion: "1.0",
            id: entry.event_id,
            source: source.to_owned(),
            event_type: format!("benchside.{}.{}", entry.record.kind, entry.action),
            subject: format!("{}/{}", entry.record.kind.plural(), entry.record.id),
            time: entry.recorded_at,
            sequence: position.to_string(),
            datacontenttype: "application/json",
            data: entry,
        }
    }
}

/// Those of some events that a reader may see, as they stand in the checkpoint's log.
///
/// # Errors
/// What the database says.
pub fn told(conn: &mut Conn, who: &Principal, log: &Stored, numbers: &[i64]) -> Result<Vec<CloudEvent>> {
    let origin = super::sequencer::origin(&crate::db::migrate::log_name(conn)?, log.generation);
    let places = log::positions(conn, log.generation, numbers)?;
    let mut events = Vec::new();
    for entry in history::store::told(conn, who, numbers)? {
        let Some(position) = places.get(&entry.enqueued) else { continue };
        let index = natural(*position)?;
        if index < log.size {
            events.push(CloudEvent::of(entry, Position { generation: log.generation, index }, &origin));
        }
    }
    Ok(events)
}

/// What a reader gets at once.
pub struct Batch {
    /// The events that they may see.
    pub events: Vec<CloudEvent>,
    /// Up to where the log was looked at.
    pub until: u64,
}

/// At most `limit` of the events that are wanted and may be seen, from a position of the checkpoint's log on.
///
/// # Errors
/// What the database says.
pub fn read(conn: &mut Conn, who: &Principal, log: &Stored, from: u64, wanted: &Wanted, limit: usize) -> Result<Batch> {
    let origin = super::sequencer::origin(&crate::db::migrate::log_name(conn)?, log.generation);
    // A node that is behind has nothing to tell whoever has come further, and does not set them back.
    let end = log.size.min(from.saturating_add(PASSED)).max(from);
    let rows = log::wanted(conn, log.generation, count(from)?..count(end)?, wanted, LOOKED_AT)?;
    let all = i64::try_from(rows.len()).is_ok_and(|n| n < LOOKED_AT);
    let mut until = match rows.last() {
        Some((position, _)) if !all => natural(*position)? + 1,
        _ => end,
    };
    let numbers: Vec<i64> = rows.iter().map(|(_, number)| *number).collect();
    let mut events = Vec::new();
    for entry in history::store::told(conn, who, &numbers)? {
        let Some(position) = rows.iter().find(|(_, number)| *number == entry.enqueued) else { continue };
        let index = natural(position.0)?;
        if events.len() == limit {
            until = index;
            break;
        }
        events.push(CloudEvent::of(entry, Position { generation: log.generation, index }, &origin));
    }
    Ok(Batch { events, until })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_has_one_spelling() {
        assert_eq!("2-41".parse(), Ok(Position { generation: 2, index: 41 }));
        for other in ["", "2", "2-", "-41", "02-41", "2-041", "2--1", "0-1", "2-9223372036854775808", "2-41 ", "+2-41"]
        {
            assert_eq!(other.parse::<Position>(), Err(()), "{other}");
        }
    }
}
