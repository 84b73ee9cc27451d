//! The only SQL of records as they were: the last event of each that the log had by then.
use super::{AsOf, Narrows, Recorded, ShownThen, Version};
use crate::{
    Error, Result,
    auth::policy::Principal,
    db::{
        Conn,
        columns::Time,
        schema::{event, log_leaf},
    },
    error::Code,
    history::{self, visible::store::visible},
    http::{
        openapi::ErasedThen,
        page::{After, Listed, Page, SortValue, Then},
    },
    id::AnyId,
    ledger::{log, tree::count},
};
use diesel::{
    dsl::{exists, max},
    prelude::*,
};
use serde_json::{Map, Value};
use std::collections::HashMap;
use uuid::Uuid;

/// Records that are looked at in one query.
const AT_ONCE: usize = 500;
/// Records that are looked at for one page: what matches little is told in several.
const LOOKED_AT: usize = 5000;

/// The log as far as it was signed by this moment.
///
/// # Errors
/// What the database says.
pub fn resolve(conn: &mut Conn, moment: Time) -> Result<AsOf> {
    let signed = log::signed_by(conn, moment)?;
    let (generation, size) = signed.map_or((1, 0), |checkpoint| (checkpoint.generation, checkpoint.size));
    Ok(AsOf { moment, generation, size })
}

/// The versions that these records had then, as far as this person may see them; those that were not there yet are left
/// out. The caller has checked that the records are visible now.
///
/// # Errors
/// What the database says.
pub fn versions(conn: &mut Conn, who: &Principal, as_of: &AsOf, ids: &[Uuid]) -> Result<HashMap<Uuid, Version>> {
    let mut found = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(AT_ONCE) {
        let numbers = newest_then(conn, as_of, chunk)?;
        let events = history::store::events(conn, &numbers)?;
        let (events, _) = visible(conn, who, events)?;
        found.extend(events.into_iter().map(history::store::Event::into_version));
    }
    Ok(found)
}

/// The numbers of the last events that these records had then: numbers rise per record. The records lead to their events and
/// those to their leaves; a join SQLite would begin with every leaf there was.
fn newest_then(conn: &mut Conn, as_of: &AsOf, ids: &[Uuid]) -> Result<Vec<i64>> {
    let stood_then = log_leaf::table
        .filter(log_leaf::enqueued.eq(event::enqueued.nullable()))
        .filter(log_leaf::generation.eq(as_of.generation))
        .filter(log_leaf::position.lt(count(as_of.size)?));
    let newest: Vec<Option<i64>> = event::table
        .filter(event::record_id.eq_any(ids.iter().map(|id| AnyId::of(*id)).collect::<Vec<_>>()))
        .filter(exists(stood_then))
        .group_by(event::record_id)
        .select(max(event::enqueued))
        .load(conn)?;
    Ok(newest.into_iter().flatten().collect())
}

/// A record as its payload has it. What payloads leave out and never changes is taken from the record of today.
fn revived<R: Recorded>(content: Map<String, Value>, present: &R) -> Result<R> {
    let broken = |e: serde_json::Error| Error::Internal(format!("a version of {}: {e}", present.code()));
    let mut was: R = serde_json::from_value(Value::Object(content)).map_err(broken)?;
    was.set_number(present.number());
    Ok(was)
}

/// One record: as it is, or as it was at the moment that is asked about.
///
/// # Errors
/// 404 where it was not there yet, 410 where that version was erased.
pub fn shown<R: Recorded, V: ShownThen>(
    conn: &mut Conn,
    who: &Principal,
    present: R,
    asked: Option<Time>,
    view: impl FnOnce(&mut Conn, &Principal, R) -> Result<V>,
) -> Result<V> {
    let Some(moment) = asked else { return view(conn, who, present) };
    let as_of = resolve(conn, moment)?;
    let was = match versions(conn, who, &as_of, &[present.id()])?.remove(&present.id()) {
        None => return Err(Error::not_found()),
        Some(Version::Erased(version)) => {
            let detail = format!("The content of version {version}, which it had then, was erased.");
            return Err(Error::refused(Code::Erased, detail).with("as_of_size", as_of.size));
        }
        Some(Version::Was(content)) => revived(content, &present)?,
    };
    let mut shown = view(conn, who, was)?;
    shown.was(&as_of);
    Ok(shown)
}

/// How a kind is listed today.
pub type List<R, F> = fn(&mut Conn, &Principal, &F, &Page) -> Result<(Vec<R>, Option<i64>)>;

/// One page of records: as they are, or as they were at the moment that is asked about. The latter walks the records of today
/// by what never changes of them (so its pages are sorted by that) and asks of each which version it had.
///
/// # Errors
/// What the database says.
pub fn list<R: Recorded, F: Narrows<R>, V: ShownThen>(
    conn: &mut Conn,
    who: &Principal,
    asked: Option<Time>,
    filter: &F,
    page: &Page,
    list: List<R, F>,
    views: fn(&mut Conn, &Principal, Vec<R>) -> Result<Vec<V>>,
) -> Result<Listed<V>> {
    let Some(moment) = asked else {
        let (rows, total) = list(conn, who, filter, page)?;
        return Ok(Listed::now(views(conn, who, rows)?, total));
    };
    let as_of = resolve(conn, moment)?;
    let mut found = part(conn, who, &as_of, filter, page, list)?;
    let mut shown = views(conn, who, std::mem::take(&mut found.rows))?;
    shown.iter_mut().for_each(|view| view.was(&as_of));
    Ok(Listed {
        rows: shown,
        total: None,
        then: Some(Then { as_of_size: as_of.size, erased: found.erased, next: found.next }),
    })
}

/// A part of a list, and what could not be looked at.
struct Found<R> {
    rows: Vec<R>,
    erased: Vec<ErasedThen>,
    /// Behind which record it goes on.
    next: Option<After>,
}

/// Those of the records from the page's cursor on that are asked for as they were: as many as the page holds, or as are among
/// [`LOOKED_AT`].
fn part<R: Recorded, F: Narrows<R>>(
    conn: &mut Conn,
    who: &Principal,
    as_of: &AsOf,
    filter: &F,
    page: &Page,
    list: List<R, F>,
) -> Result<Found<R>> {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let mut found = Found { rows: Vec::new(), erased: Vec::new(), next: page.after.clone() };
    for _ in 0..LOOKED_AT / AT_ONCE {
        let (mut present, _) = list(conn, who, &filter.lasting(), &page.part(AT_ONCE as i64, found.next.take()))?;
        let more = present.len() > AT_ONCE;
        present.truncate(AT_ONCE);
        let ids: Vec<Uuid> = present.iter().map(R::id).collect();
        let mut versions = versions(conn, who, as_of, &ids)?;
        for (place, record) in present.iter().enumerate() {
            match versions.remove(&record.id()) {
                None => {}
                Some(Version::Erased(version)) => {
                    found.erased.push(ErasedThen { id: record.id(), code: record.code(), version });
                }
                Some(Version::Was(content)) => {
                    found.rows.extend(Some(revived(content, record)?).filter(|was| filter.admits(was)));
                }
            }
            if found.rows.len() == limit {
                found.next = (more || place + 1 < present.len()).then(|| after(record, &page.sort));
                return Ok(found);
            }
        }
        if !more {
            return Ok(found);
        }
        found.next = present.last().map(|last| after(last, &page.sort));
    }
    Ok(found)
}

fn after<R: Recorded>(record: &R, sort: &str) -> After {
    let value = if sort == "code" { record.number().to_cursor() } else { record.created_at().to_cursor() };
    After { value, id: record.id() }
}
