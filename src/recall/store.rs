//! The only SQL of recalls.
use super::{FlaggedKind, LedTo, Recall, RecallCause, RecallState};
use crate::{
    Result,
    auth::{policy::Principal, scope::Access},
    db::{
        Conn, MultiBackend, Sees,
        columns::Time,
        schema::{citation, discovery, discovery_return, finding, insight, recall},
    },
    discovery::store as discoveries,
    finding::{RETRACTED, SUPERSEDED},
    http::page::{Page, keyset},
    id::{AnyId, DiscoveryId, FindingId, InsightId, PersonId, RecallId},
    insight::store as insights,
};
use diesel::prelude::*;
use std::collections::HashMap;

/// Who sees the record that it flags, now, with a token that may read its kind.
pub fn visible_to(who: &Principal) -> Sees<recall::table> {
    let readable: Vec<FlaggedKind> =
        FlaggedKind::ALL.iter().copied().filter(|kind| who.scope.allows(Some((*kind).into()), Access::Read)).collect();
    let of_kind = recall::record_kind.eq_any(readable);
    if who.sees_all() {
        return Box::new(of_kind);
    }
    let seen_insights = insight::table.filter(insights::seen_by!(who)).select(insight::id);
    let seen_discoveries = discovery::table.filter(discoveries::seen_by!(who)).select(discovery::id);
    let of_insight = recall::record_kind.eq(FlaggedKind::Insight).and(recall::record_id.eq_any(seen_insights));
    let of_discovery = recall::record_kind.eq(FlaggedKind::Discovery).and(recall::record_id.eq_any(seen_discoveries));
    Box::new(of_kind.and(of_insight.or(of_discovery)))
}

/// The recall of this id, if this person may see it.
///
/// # Errors
/// 404 for hidden and absent alike.
pub fn find(conn: &mut Conn, who: &Principal, id: RecallId) -> Result<Recall> {
    let seen = recall::table.into_boxed::<MultiBackend>().filter(visible_to(who));
    Ok(seen.filter(recall::id.eq(id)).get_result(conn)?)
}

/// What a list of recalls may be narrowed by.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these states.
    pub state: Vec<RecallState>,
    /// Of records of any of these kinds.
    pub kind: Vec<FlaggedKind>,
    /// Of records that any of these people own.
    pub owner: Vec<PersonId>,
    /// For any of these findings, as far as the reader sees them.
    pub finding: Vec<FindingId>,
}

/// One page of what this person may see, and the total where it was asked for.
///
/// # Errors
/// What the database says.
pub fn list(conn: &mut Conn, who: &Principal, filter: &Filter, page: &Page) -> Result<(Vec<Recall>, Option<i64>)> {
    let findings: Vec<_> = filter.finding.iter().map(|id| id.0).collect();
    let findings = crate::finding::store::visible_ids(conn, who, &findings)?;
    let findings: Vec<_> = findings.into_iter().map(FindingId::of).collect();
    let matching = || {
        let mut query = recall::table.into_boxed::<MultiBackend>().filter(visible_to(who));
        match filter.state[..] {
            [] => {}
            _ if RecallState::ALL.iter().all(|state| filter.state.contains(state)) => {}
            [RecallState::Open, ..] => query = query.filter(recall::acknowledged_at.is_null()),
            [RecallState::Acknowledged, ..] => query = query.filter(recall::acknowledged_at.is_not_null()),
        }
        if !filter.kind.is_empty() {
            query = query.filter(recall::record_kind.eq_any(filter.kind.clone()));
        }
        if !filter.owner.is_empty() {
            query = query.filter(owned_by(&filter.owner));
        }
        if !filter.finding.is_empty() {
            query = query.filter(recall::finding_id.eq_any(findings.clone()));
        }
        query
    };
    let rows = keyset!(matching(), page, recall: RecallId, { "raised_at" => raised_at: Time }).load(conn)?;
    let total = if page.count { Some(matching().count().get_result(conn)?) } else { None };
    Ok((rows, total))
}

/// Of records that any of these people own now.
fn owned_by(people: &[PersonId]) -> Sees<recall::table> {
    let own_insights = insight::table.filter(insight::owner_id.eq_any(people.to_vec())).select(insight::id);
    let own_discoveries = discovery::table.filter(discovery::owner_id.eq_any(people.to_vec())).select(discovery::id);
    Box::new(recall::record_id.eq_any(own_insights).or(recall::record_id.eq_any(own_discoveries)))
}

/// The open recalls of records that this person owns and may see, oldest first.
///
/// # Errors
/// What the database says.
pub fn waiting(conn: &mut Conn, who: &Principal, limit: i64) -> Result<Vec<Recall>> {
    let open = recall::table.into_boxed::<MultiBackend>().filter(visible_to(who)).filter(owned_by(&[who.id]));
    let open = open.filter(recall::acknowledged_at.is_null());
    Ok(open.order((recall::raised_at, recall::id)).limit(limit).load(conn)?)
}

/// What a finding led to, whoever may see it.
///
/// # Errors
/// What the database says.
pub fn led_to(conn: &mut Conn, finding: FindingId) -> Result<LedTo> {
    let citing = citation::table.filter(citation::finding_id.eq(finding)).select(citation::insight_id);
    let insights: Vec<InsightId> = citing.load(conn)?;
    let spawned = discovery::table
        .filter(discovery::origin_insight_id.assume_not_null().eq_any(insights.clone()))
        .select(discovery::id);
    let mut discoveries: Vec<DiscoveryId> = spawned.load(conn)?;
    let refined: Vec<Option<DiscoveryId>> = insight::table
        .filter(insight::id.eq_any(insights.clone()))
        .filter(insight::refined_discovery_id.is_not_null())
        .select(insight::refined_discovery_id)
        .load(conn)?;
    let returned = discovery_return::table
        .filter(discovery_return::insight_id.eq_any(insights.clone()))
        .select(discovery_return::discovery_id);
    discoveries.extend(refined.into_iter().flatten());
    discoveries.extend(returned.load::<DiscoveryId>(conn)?);
    Ok(LedTo { insights: insights.into_iter().collect(), discoveries: discoveries.into_iter().collect() })
}

/// Which of these findings were retracted or superseded and do not flag this discovery yet, in the order of ids.
///
/// # Errors
/// What the database says.
pub fn taken_away(
    conn: &mut Conn,
    findings: &[FindingId],
    discovery: DiscoveryId,
) -> Result<Vec<(FindingId, RecallCause)>> {
    let known = recall::table.filter(recall::record_id.eq(discovery.any())).select(recall::finding_id);
    let gone: Vec<(FindingId, String)> = finding::table
        .filter(finding::id.eq_any(findings.to_vec()))
        .filter(finding::state.eq_any([RETRACTED, SUPERSEDED]))
        .filter(finding::id.ne_all(known))
        .order(finding::id)
        .select((finding::id, finding::state))
        .load(conn)?;
    let cause = |state: &str| if state == RETRACTED { RecallCause::Retracted } else { RecallCause::Superseded };
    Ok(gone.into_iter().map(|(id, state)| (id, cause(&state))).collect())
}

/// Keeps a new recall.
///
/// # Errors
/// What the database says.
pub fn insert(conn: &mut Conn, new: &Recall) -> Result<()> {
    diesel::insert_into(recall::table).values(new).execute(conn)?;
    Ok(())
}

/// Closes a recall that is open; `None` where it is not.
///
/// # Errors
/// What the database says.
pub fn close(conn: &mut Conn, id: RecallId, by: PersonId, at: Time, note: Option<&str>) -> Result<Option<Recall>> {
    let open = recall::table.filter(recall::id.eq(id)).filter(recall::acknowledged_at.is_null());
    let said = (recall::acknowledged_at.eq(at), recall::acknowledged_by.eq(by), recall::note.eq(note));
    Ok(diesel::update(open).set(said).get_result(conn).optional()?)
}

/// Whether a record has an open recall.
///
/// # Errors
/// What the database says.
pub fn is_recalled(conn: &mut Conn, record: AnyId) -> Result<bool> {
    let open = recall::table.filter(recall::record_id.eq(record)).filter(recall::acknowledged_at.is_null());
    Ok(open.count().get_result::<i64>(conn)? > 0)
}

/// A flagged record as a recall names it.
pub struct Name {
    /// The number of its code.
    pub number: i64,
    /// Its title.
    pub title: String,
    /// Who owns it now.
    pub owner: PersonId,
}

/// The names of the flagged records, in two queries. The caller has checked that they are visible.
///
/// # Errors
/// What the database says.
pub fn names(conn: &mut Conn, rows: &[Recall]) -> Result<HashMap<AnyId, Name>> {
    let of_kind =
        |kind| rows.iter().filter(move |r| r.record_kind == kind).map(|r| r.record_id).collect::<Vec<AnyId>>();
    let mut named: Vec<(AnyId, i64, String, PersonId)> = insight::table
        .filter(insight::id.eq_any(of_kind(FlaggedKind::Insight)))
        .select((insight::id, insight::number, insight::title, insight::owner_id))
        .load(conn)?;
    let discoveries: Vec<(AnyId, i64, String, PersonId)> = discovery::table
        .filter(discovery::id.eq_any(of_kind(FlaggedKind::Discovery)))
        .select((discovery::id, discovery::number, discovery::title, discovery::owner_id))
        .load(conn)?;
    named.extend(discoveries);
    Ok(named.into_iter().map(|(id, number, title, owner)| (id, Name { number, title, owner })).collect())
}
