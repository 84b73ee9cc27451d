//! The only SQL of the pipeline: the records somebody may see and the moves they made. A fixed number of queries, however
//! many records there are (and one for each lifecycle that an administrator added).
//!
//! Rows are slim, and events are joined to their records here and not in SQL: what is visible of findings, insights and
//! pairings is a condition that cannot stand in a subquery.
use super::{Story, Then, stay::Moved};
use crate::{
    Error, Result,
    auth::policy::Principal,
    db::{
        Conn, MultiBackend, Sees, any_of,
        columns::Time,
        containing,
        schema::{citation, discovery, event, finding, insight, log_leaf, pairing, trial},
        seen_by_visibility,
    },
    discovery::{Discovery, store::Filter},
    finding::DRAFT,
    history::{self, Ties, TrialsThen, version_is_visible},
    id::{AnyId, DiscoveryId, FindingId, InsightId, OrganizationId, PairingId, PersonId, TrialId},
    insight::WAITING,
    ledger::tree::count,
    lifecycle::{self, Lifecycle, builtin::builtin},
    past::{self, AsOf, Version},
    vocabulary::{Action, RecordKind, TrialStatus},
};
use diesel::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use uuid::Uuid;

/// Records whose past versions are in memory at once.
const AT_ONCE: usize = 500;

/// Which records, and as of when.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Narrows discoveries.
    pub filter: Filter,
    /// A past moment; now without it.
    pub as_of: Option<AsOf>,
}

/// The records that are counted.
pub struct Told {
    /// Each with its moves.
    pub stories: Vec<Story>,
    /// What is to be said of a past moment.
    pub then: Option<Then>,
}

/// What is asked, with the moment looked up in the log.
///
/// # Errors
/// What the database says.
pub fn asked(conn: &mut Conn, filter: Filter, moment: Option<Time>) -> Result<Asked> {
    let as_of = moment.map(|moment| past::store::resolve(conn, moment)).transpose()?;
    Ok(Asked { filter, as_of })
}

/// A record and what ties the asker to it.
struct Seen {
    story: Story,
    ties: Ties,
    /// The trials behind a finding or an insight.
    trials: HashSet<TrialId>,
}

impl Seen {
    fn new(story: Story, ties: Ties) -> Self {
        Self { story, ties, trials: HashSet::new() }
    }
    fn has_tie(&self) -> bool {
        self.ties.steward || self.ties.owner
    }
}

/// The records of these kinds that this person may see, with their moves; of a past moment, as they were then, with the moves
/// that were known. The filter narrows discoveries only.
///
/// # Errors
/// What the database says.
pub fn stories(conn: &mut Conn, who: &Principal, kinds: &[RecordKind], asked: &Asked) -> Result<Told> {
    // What a record was then may be asked for where it is not any more.
    let today = if asked.as_of.is_some() { &Filter::default() } else { &asked.filter };
    let mut seen: HashMap<Uuid, Seen> = HashMap::new();
    for kind in kinds {
        match kind {
            RecordKind::Discovery => discoveries(conn, who, today, &mut seen)?,
            RecordKind::Trial => trials(conn, who, &mut seen)?,
            RecordKind::Finding => findings(conn, who, &mut seen)?,
            RecordKind::Insight => insights(conn, who, &mut seen)?,
            RecordKind::Pairing => pairings(conn, who, &mut seen)?,
            RecordKind::Organization
            | RecordKind::Person
            | RecordKind::Lifecycle
            | RecordKind::Transfer
            | RecordKind::Webhook => {}
        }
    }
    let erased = match &asked.as_of {
        Some(as_of) => set_back(conn, who, as_of, &asked.filter, &mut seen)?,
        None => 0,
    };
    let unseen = versions_not_for_partners(conn, who, kinds, &seen)?;
    let then = trials_then(conn, who, kinds)?;
    add_moves(conn, who, kinds, asked.as_of.as_ref(), &unseen, then.as_ref(), &mut seen)?;
    Ok(Told {
        stories: seen.into_values().map(|s| s.story).collect(),
        then: asked.as_of.map(|as_of| Then { as_of_size: as_of.size, erased }),
    })
}

fn story(kind: RecordKind, lifecycle: &Arc<Lifecycle>, state: String) -> Story {
    Story { kind, lifecycle: lifecycle.clone(), state, overdue: false, moves: Vec::new() }
}

fn moves_by(kind: RecordKind) -> Result<Arc<Lifecycle>> {
    let lifecycle = builtin(kind).ok_or_else(|| Error::Internal(format!("a {kind} has no lifecycle")))?;
    Ok(Arc::new(lifecycle.clone()))
}

fn ties(who: &Principal, steward: OrganizationId, owner: PersonId) -> Ties {
    Ties { steward: who.belongs_to(steward), owner: who.id == owner, paired: false }
}

fn discoveries(conn: &mut Conn, who: &Principal, filter: &Filter, seen: &mut HashMap<Uuid, Seen>) -> Result<()> {
    let mut query = discovery::table.into_boxed::<MultiBackend>().filter(crate::discovery::store::visible_to(who));
    if !filter.lab.is_empty() {
        query = query.filter(discovery::lab_id.eq_any(filter.lab.clone()));
    }
    if !filter.modality.is_empty() {
        query = query.filter(discovery::modality.eq_any(filter.modality.clone()));
    }
    if !filter.lifecycle.is_empty() {
        query = query.filter(discovery::lifecycle.eq_any(filter.lifecycle.clone()));
    }
    let terms = filter.condition.iter();
    if let Some(any) = any_of(terms.map(|t| Box::new(discovery::terms.like(containing(t)).escape('\\')) as Sees<_>)) {
        query = query.filter(any);
    }
    let rows: Vec<(DiscoveryId, String, String, OrganizationId, PersonId)> = query
        .select((discovery::id, discovery::lifecycle, discovery::stage, discovery::lab_id, discovery::owner_id))
        .load(conn)?;
    let paired = crate::discovery::store::paired_with(conn, who)?;
    let mut lifecycles: HashMap<String, Arc<Lifecycle>> = HashMap::new();
    for (id, reference, stage, lab, owner) in rows {
        let lifecycle = resolved(conn, &mut lifecycles, reference)?;
        let ties = Ties { paired: paired.contains(&id), ..ties(who, lab, owner) };
        seen.insert(id.0, Seen::new(story(RecordKind::Discovery, &lifecycle, stage), ties));
    }
    Ok(())
}

fn trials(conn: &mut Conn, who: &Principal, seen: &mut HashMap<Uuid, Seen>) -> Result<()> {
    let lifecycle = moves_by(RecordKind::Trial)?;
    let rows: Vec<(TrialId, TrialStatus, OrganizationId, PersonId)> = trial::table
        .into_boxed::<MultiBackend>()
        .filter(crate::trial::store::visible_to(who))
        .select((trial::id, trial::overall_status, trial::clinic_id, trial::owner_id))
        .load(conn)?;
    seen.extend(rows.into_iter().map(|(id, status, clinic, owner)| {
        let story = story(RecordKind::Trial, &lifecycle, status.as_str().to_owned());
        (id.0, Seen::new(story, ties(who, clinic, owner)))
    }));
    Ok(())
}

fn findings(conn: &mut Conn, who: &Principal, seen: &mut HashMap<Uuid, Seen>) -> Result<()> {
    let lifecycle = moves_by(RecordKind::Finding)?;
    let own: Vec<TrialId> =
        trial::table.filter(trial::clinic_id.eq_any(who.organizations.clone())).select(trial::id).load(conn)?;
    let own: HashSet<TrialId> = own.into_iter().collect();
    let rows: Vec<(FindingId, String, TrialId, PersonId)> = finding::table
        .into_boxed::<MultiBackend>()
        .filter(crate::finding::store::visible_to(who))
        .select((finding::id, finding::state, finding::trial_id, finding::owner_id))
        .load(conn)?;
    seen.extend(rows.into_iter().map(|(id, state, trial, owner)| {
        let ties = Ties { steward: own.contains(&trial), owner: who.id == owner, paired: false };
        let story = story(RecordKind::Finding, &lifecycle, state);
        (id.0, Seen { trials: HashSet::from([trial]), ..Seen::new(story, ties) })
    }));
    Ok(())
}

fn insights(conn: &mut Conn, who: &Principal, seen: &mut HashMap<Uuid, Seen>) -> Result<()> {
    let lifecycle = moves_by(RecordKind::Insight)?;
    let rows: Vec<(InsightId, String, Option<Time>, OrganizationId, PersonId)> = insight::table
        .into_boxed::<MultiBackend>()
        .filter(crate::insight::store::visible_to(who))
        .select((insight::id, insight::state, insight::due_at, insight::clinic_id, insight::owner_id))
        .load(conn)?;
    seen.extend(rows.into_iter().map(|(id, state, due_at, clinic, owner)| {
        let overdue = WAITING.contains(&&*state) && due_at.is_some_and(|due| due < who.at);
        let story = Story { overdue, ..story(RecordKind::Insight, &lifecycle, state) };
        (id.0, Seen::new(story, ties(who, clinic, owner)))
    }));
    if is_partner(who) {
        let cited = citation::table
            .inner_join(finding::table.on(finding::id.eq(citation::finding_id)))
            .select((citation::insight_id, finding::trial_id));
        for (id, trial) in cited.load::<(InsightId, TrialId)>(conn)? {
            if let Some(insight) = seen.get_mut(&id.0) {
                insight.trials.insert(trial);
            }
        }
    }
    Ok(())
}

fn pairings(conn: &mut Conn, who: &Principal, seen: &mut HashMap<Uuid, Seen>) -> Result<()> {
    let lifecycle = moves_by(RecordKind::Pairing)?;
    let rows: Vec<(PairingId, String)> = pairing::table
        .into_boxed::<MultiBackend>()
        .filter(crate::pairing::store::visible_to(who))
        .select((pairing::id, pairing::state))
        .load(conn)?;
    seen.extend(
        rows.into_iter()
            .map(|(id, state)| (id.0, Seen::new(story(RecordKind::Pairing, &lifecycle, state), Ties::default()))),
    );
    Ok(())
}

/// Sets records back to what they were, and leaves out those that were not there or are not asked for; answers of how many the
/// version of then was erased.
fn set_back(
    conn: &mut Conn,
    who: &Principal,
    as_of: &AsOf,
    filter: &Filter,
    seen: &mut HashMap<Uuid, Seen>,
) -> Result<u64> {
    let ids: Vec<Uuid> = seen.keys().copied().collect();
    let mut known: HashMap<String, Arc<Lifecycle>> = HashMap::new();
    let mut erased = 0;
    let mut was = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(AT_ONCE) {
        for (id, version) in past::store::versions(conn, who, as_of, chunk)? {
            let Some(mut record) = seen.remove(&id) else { continue };
            let Version::Was(content) = version else {
                erased += 1;
                continue;
            };
            if record.story.kind == RecordKind::Discovery {
                let discovery: Discovery = read(Value::Object(content))?;
                if !filter.counts(&discovery) {
                    continue;
                }
                record.story.lifecycle = resolved(conn, &mut known, discovery.lifecycle)?;
                record.story.state = discovery.stage;
            } else {
                let state = content.get("state").or(content.get("overall_status")).and_then(Value::as_str);
                let state = state.ok_or_else(|| Error::Internal(format!("a version of {id} without a state")))?;
                let due_at = content.get("due_at").and_then(Value::as_str).and_then(Time::parse);
                record.story.overdue = WAITING.contains(&state) && due_at.is_some_and(|due| due < as_of.moment);
                record.story.state = state.to_owned();
            }
            was.insert(id, record);
        }
    }
    *seen = was;
    Ok(erased)
}

fn read<T: DeserializeOwned>(content: Value) -> Result<T> {
    serde_json::from_value(content).map_err(|e| Error::Internal(format!("a version: {e}")))
}

/// The lifecycle that a discovery is on, asked for once.
fn resolved(conn: &mut Conn, known: &mut HashMap<String, Arc<Lifecycle>>, reference: String) -> Result<Arc<Lifecycle>> {
    if let Some(lifecycle) = known.get(&reference) {
        return Ok(lifecycle.clone());
    }
    let found = lifecycle::store::resolve(conn, &reference)?;
    known.insert(reference, found.clone());
    Ok(found)
}

/// Every move of these records. Versions rise with the order in which a record's moves were recorded.
fn add_moves(
    conn: &mut Conn,
    who: &Principal,
    kinds: &[RecordKind],
    as_of: Option<&AsOf>,
    unseen: &HashSet<i64>,
    then: Option<&TrialsThen>,
    seen: &mut HashMap<Uuid, Seen>,
) -> Result<()> {
    let mut query = event::table
        .into_boxed::<MultiBackend>()
        .filter(event::record_kind.eq_any(kinds.to_vec()))
        .filter(event::to_state.is_not_null());
    if let Some(as_of) = as_of {
        let known = log_leaf::table
            .filter(log_leaf::generation.eq(as_of.generation))
            .filter(log_leaf::position.lt(count(as_of.size)?))
            .filter(log_leaf::enqueued.is_not_null());
        query = query.filter(event::enqueued.eq_any(known.select(log_leaf::enqueued.assume_not_null())));
    }
    let rows: Vec<(i64, AnyId, Action, Option<String>, Time)> = query
        .order((event::record_id.asc(), event::record_version.asc()))
        .select((event::enqueued, event::record_id, event::action, event::to_state, event::effective_at))
        .load(conn)?;
    for (enqueued, record, action, to, at) in rows {
        let (Some(seen), Some(to)) = (seen.get_mut(&record.0), to) else { continue };
        let moved = Moved {
            seen: !unseen.contains(&enqueued)
                && !is_others_draft(who, seen, &to)
                && then.is_none_or(|then| seen.has_tie() || then.were_open(&seen.trials, enqueued)),
            correction: action == Action::Corrected,
            to,
            at,
        };
        seen.story.moves.push(moved);
    }
    Ok(())
}

/// Drafts of findings and insights stay with their clinic, also after they were signed or submitted.
fn is_others_draft(who: &Principal, seen: &Seen, to: &str) -> bool {
    let drafted = matches!(seen.story.kind, RecordKind::Finding | RecordKind::Insight);
    drafted && to == DRAFT && !(who.sees_all() || seen.has_tie())
}

/// Whether what is internal is hidden from them.
fn is_partner(who: &Principal) -> bool {
    !who.sees_all() && !who.sees_internal()
}

/// When the trials behind findings and insights were open to the asker, a partner.
fn trials_then(conn: &mut Conn, who: &Principal, kinds: &[RecordKind]) -> Result<Option<TrialsThen>> {
    if !is_partner(who) || !kinds.iter().any(|kind| matches!(kind, RecordKind::Finding | RecordKind::Insight)) {
        return Ok(None);
    }
    let behind = finding::table.filter(finding::disclosed.eq(true)).select(finding::trial_id);
    let versions: Vec<(AnyId, i64, Option<Vec<u8>>)> = event::table
        .filter(event::record_kind.eq(RecordKind::Trial))
        .filter(event::record_id.eq_any(behind))
        .select((event::record_id, event::enqueued, event::payload))
        .load(conn)?;
    Ok(Some(history::visible::store::trials_then(who, versions)))
}

/// The events that recorded a version which the asker, a partner, could not see then: payloads say who could. Everybody
/// else sees every version of the discoveries and trials they see, and is asked no query for it.
fn versions_not_for_partners(
    conn: &mut Conn,
    who: &Principal,
    kinds: &[RecordKind],
    seen: &HashMap<Uuid, Seen>,
) -> Result<HashSet<i64>> {
    if !is_partner(who) {
        return Ok(HashSet::new());
    }
    let mut rows: Vec<(i64, AnyId, Option<Vec<u8>>)> = Vec::new();
    macro_rules! add_versions {
        ($kind:ident, $table:ident, $steward:ident) => {
            if kinds.contains(&RecordKind::$kind) {
                // Those seen by a pairing are seen in every version.
                let records = $table::table.filter(seen_by_visibility!($table, $steward, who)).select($table::id);
                rows.extend(
                    event::table
                        .filter(event::record_kind.eq(RecordKind::$kind))
                        .filter(event::to_state.is_not_null())
                        .filter(event::record_id.eq_any(records))
                        .select((event::enqueued, event::record_id, event::payload))
                        .load::<(i64, AnyId, Option<Vec<u8>>)>(conn)?,
                );
            }
        };
    }
    add_versions!(Discovery, discovery, lab_id);
    add_versions!(Trial, trial, clinic_id);
    let mut unseen = HashSet::new();
    for (enqueued, record, payload) in rows {
        let Some(seen) = seen.get(&record.0) else { continue };
        let Some(payload) = payload else {
            unseen.insert(enqueued);
            continue;
        };
        let payload: Map<String, Value> = serde_json::from_slice(&payload)
            .map_err(|e| Error::Internal(format!("payload of event {enqueued}: {e}")))?;
        let content = payload.get("record").and_then(Value::as_object);
        if content.is_some_and(|content| !version_is_visible(who, seen.story.kind, content, seen.ties)) {
            unseen.insert(enqueued);
        }
    }
    Ok(unseen)
}
