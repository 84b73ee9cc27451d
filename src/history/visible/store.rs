//! The only SQL of what a person may see of events: of records that they may see now, in versions that were for them too.
use crate::{
    Result,
    auth::{policy::Principal, scope::Access},
    db::{
        Conn,
        schema::{citation, event, finding, trial},
    },
    history::{
        Ties, TrialsThen, person_at,
        store::{Event, content_of},
        version_is_visible,
    },
    id::{AnyId, DiscoveryId, FindingId, InsightId, OrganizationId, TrialId},
    vocabulary::RecordKind,
};
use diesel::prelude::*;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// What ties a reader to each of some records.
type TiesOf = HashMap<Uuid, Ties>;

/// What decides which versions of some records a reader sees.
#[derive(Default)]
pub struct Sight {
    ties: TiesOf,
    /// The trials behind findings and insights.
    trials: HashMap<Uuid, HashSet<TrialId>>,
    then: TrialsThen,
}

impl Sight {
    /// These and those.
    pub fn extend(&mut self, more: Self) {
        self.ties.extend(more.ties);
        self.trials.extend(more.trials);
        self.then.extend(more.then);
    }
    /// Whether a version of a record, recorded under this number, may be shown to somebody who sees the record now.
    pub fn shows(
        &self,
        who: &Principal,
        kind: RecordKind,
        id: Uuid,
        enqueued: i64,
        content: &Map<String, Value>,
    ) -> bool {
        let tie = self.ties.get(&id).copied().unwrap_or_default();
        let behind = self.trials.get(&id).filter(|_| !tie.steward && !tie.owner);
        version_is_visible(who, kind, content, tie) && behind.is_none_or(|trials| self.then.were_open(trials, enqueued))
    }
}

/// Those of the events that the reader may see: of records they may see now, in versions that were for them too, and of kinds
/// that their token is made for. Also what decides it.
///
/// # Errors
/// What the database says.
pub fn visible(conn: &mut Conn, who: &Principal, events: Vec<Event>) -> Result<(Vec<Event>, Sight)> {
    let events: Vec<Event> = events.into_iter().filter(|e| who.scope.allows(Some(e.kind), Access::Read)).collect();
    if who.sees_all() {
        return Ok((events, Sight::default()));
    }
    let hidden = hidden_records(conn, who, events.iter().map(|e| e.record))?;
    let events: Vec<Event> = events.into_iter().filter(|e| !hidden.contains(&e.record)).collect();
    let sight = sight(conn, who, &events)?;
    let nothing = Map::new();
    let shown = |event: &Event| {
        // What was erased is shown to whom it would be whatever it said.
        let content = event.content().unwrap_or(&nothing);
        sight.shows(who, event.kind, event.record, event.enqueued, content)
    };
    let events = events.into_iter().filter(shown).collect();
    Ok((events, sight))
}

fn sight(conn: &mut Conn, who: &Principal, events: &[Event]) -> Result<Sight> {
    let ties = ties_to(conn, who, events)?;
    if who.sees_internal() {
        return Ok(Sight { ties, ..Sight::default() });
    }
    let of_kind =
        |kind: RecordKind| -> HashSet<Uuid> { events.iter().filter(|e| e.kind == kind).map(|e| e.record).collect() };
    let trials = trials_behind(conn, &of_kind(RecordKind::Finding), &of_kind(RecordKind::Insight))?;
    let asked: HashSet<AnyId> = trials.values().flatten().map(|id| AnyId::of(id.0)).collect();
    if asked.is_empty() {
        return Ok(Sight { ties, ..Sight::default() });
    }
    let versions: Vec<(AnyId, i64, Option<Vec<u8>>)> = event::table
        .filter(event::record_id.eq_any(asked))
        .select((event::record_id, event::enqueued, event::payload))
        .load(conn)?;
    Ok(Sight { ties, trials, then: trials_then(who, versions) })
}

/// When trials were open to somebody, by the columns of their events.
pub fn trials_then(who: &Principal, versions: Vec<(AnyId, i64, Option<Vec<u8>>)>) -> TrialsThen {
    let read = |(id, at, bytes): (AnyId, i64, Option<Vec<u8>>)| {
        (TrialId::of(id.0), at, bytes.and_then(|bytes| content_of(&bytes)))
    };
    TrialsThen::of(who, versions.into_iter().map(read))
}

/// The trials of these findings, and of those that these insights cite.
fn trials_behind(
    conn: &mut Conn,
    findings: &HashSet<Uuid>,
    insights: &HashSet<Uuid>,
) -> Result<HashMap<Uuid, HashSet<TrialId>>> {
    let mut trials: HashMap<Uuid, HashSet<TrialId>> = HashMap::new();
    if !findings.is_empty() {
        let of_findings = finding::table
            .filter(finding::id.eq_any(findings.iter().map(|id| FindingId::of(*id)).collect::<Vec<_>>()))
            .select((finding::id, finding::trial_id));
        for (id, trial) in of_findings.load::<(FindingId, TrialId)>(conn)? {
            trials.entry(id.0).or_default().insert(trial);
        }
    }
    if !insights.is_empty() {
        let cited = citation::table
            .inner_join(finding::table.on(finding::id.eq(citation::finding_id)))
            .filter(citation::insight_id.eq_any(insights.iter().map(|id| InsightId::of(*id)).collect::<Vec<_>>()))
            .select((citation::insight_id, finding::trial_id));
        for (id, trial) in cited.load::<(InsightId, TrialId)>(conn)? {
            trials.entry(id.0).or_default().insert(trial);
        }
    }
    Ok(trials)
}

/// What ties the reader to each of the events' records now, which its newest event tells.
fn ties_to(conn: &mut Conn, who: &Principal, events: &[Event]) -> Result<TiesOf> {
    let ids: HashSet<Uuid> = events.iter().map(|e| e.record).collect();
    let newest = newest(conn, &ids)?;
    let id_in = |content: &Map<String, Value>, field: &str| Uuid::parse_str(content.get(field)?.as_str()?).ok();
    let of_kind = |kind: RecordKind| newest.iter().filter(move |(_, (k, _))| *k == kind);
    let trials: HashSet<TrialId> =
        of_kind(RecordKind::Finding).filter_map(|(_, (_, c))| id_in(c, "trial_id")).map(TrialId::of).collect();
    let clinics: HashMap<TrialId, OrganizationId> = if trials.is_empty() {
        HashMap::new()
    } else {
        let known = trial::table.filter(trial::id.eq_any(trials));
        known.select((trial::id, trial::clinic_id)).load(conn)?.into_iter().collect()
    };
    let paired = match of_kind(RecordKind::Discovery).next() {
        Some(_) => crate::discovery::store::paired_with(conn, who)?,
        None => HashSet::new(),
    };
    let tie = |(id, (kind, content)): (&Uuid, &(RecordKind, Map<String, Value>))| {
        let steward = match kind {
            RecordKind::Discovery => id_in(content, "lab_id").map(OrganizationId::of),
            RecordKind::Trial | RecordKind::Insight => id_in(content, "clinic_id").map(OrganizationId::of),
            RecordKind::Finding => id_in(content, "trial_id").and_then(|id| clinics.get(&TrialId::of(id)).copied()),
            RecordKind::Organization
            | RecordKind::Person
            | RecordKind::Lifecycle
            | RecordKind::Pairing
            | RecordKind::Transfer
            | RecordKind::Webhook => None,
        };
        let owner = person_at(content, "owner_id") == Some(who.id);
        (
            *id,
            Ties {
                steward: steward.is_some_and(|s| who.belongs_to(s)),
                owner,
                paired: paired.contains(&DiscoveryId::of(*id)),
            },
        )
    };
    Ok(newest.iter().map(tie).collect())
}

/// Records by id: their kind and their content.
type Contents = HashMap<Uuid, (RecordKind, Map<String, Value>)>;

/// The records as their newest events have them.
fn newest(conn: &mut Conn, ids: &HashSet<Uuid>) -> Result<Contents> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let later = diesel::alias!(event as later);
    let newer = later
        .filter(later.field(event::record_id).eq(event::record_id))
        .filter(later.field(event::record_version).gt(event::record_version));
    let rows: Vec<(AnyId, RecordKind, Option<Vec<u8>>)> = event::table
        .filter(event::record_id.eq_any(ids.iter().map(|id| AnyId::of(*id)).collect::<Vec<_>>()))
        .filter(diesel::dsl::not(diesel::dsl::exists(newer)))
        .select((event::record_id, event::record_kind, event::payload))
        .load(conn)?;
    Ok(rows.into_iter().filter_map(|(id, kind, bytes)| Some((id.0, (kind, content_of(&bytes?)?)))).collect())
}

/// Those of the given ids that are records which the reader may not see.
///
/// # Errors
/// What the database says.
pub fn hidden_records(conn: &mut Conn, who: &Principal, ids: impl Iterator<Item = Uuid>) -> Result<HashSet<Uuid>> {
    let ids: HashSet<Uuid> = ids.collect();
    if ids.is_empty() || who.sees_all() {
        return Ok(HashSet::new());
    }
    let known: Vec<(RecordKind, AnyId)> = event::table
        .filter(event::record_id.eq_any(ids.into_iter().map(AnyId::of).collect::<Vec<_>>()))
        .filter(event::record_version.eq(1))
        .select((event::record_kind, event::record_id))
        .load(conn)?;
    let mut by_kind: HashMap<RecordKind, Vec<Uuid>> = HashMap::new();
    for (kind, id) in known {
        by_kind.entry(kind).or_default().push(id.0);
    }
    let mut hidden = HashSet::new();
    for (kind, ids) in by_kind {
        let seen = crate::app::visible_ids(conn, who, kind, &ids)?;
        hidden.extend(ids.into_iter().filter(|id| !seen.contains(id)));
    }
    Ok(hidden)
}
