//! The only SQL of what waits for somebody: a fixed number of queries, however much there is. Each asks only for what the
//! person sees now.
use super::{About, Reason, WorkItem, WorkLinks, gate};
use crate::{
    Result,
    auth::{policy::Principal, scope::Access},
    db::{
        Conn, MultiBackend,
        columns::Time,
        schema::{discovery, finding, insight, pairing, transfer, trial},
    },
    discovery::{self as discoveries, Discovery},
    finding::{self as findings, Finding},
    id::{OrganizationId, TrialId},
    insight::{self as insights, DECLINED, WAITING},
    lifecycle::{
        Lifecycle,
        builtin::{self, ACCEPTED},
        store as lifecycles,
    },
    pairing::{self as pairings, ProposingSide},
    recall as recalls, transfer as transfers,
    trial::{self as trials, Trial, duty::WarningCode},
    vocabulary::{PairingKind, RecordKind, Role, TransferState},
};
use diesel::{dsl::not, prelude::*};
use std::{collections::HashMap, sync::Arc};
use uuid::Uuid;

/// The most that is looked at of each sort: what is beyond it shows once something before it is done.
pub const LOOKED_AT: i64 = 500;

/// The state in which a pairing waits for an answer.
const PROPOSED: &str = "proposed";

/// What waits for this person, of any of these reasons (all where none is named), in its order.
///
/// # Errors
/// What the database says.
pub fn waiting(conn: &mut Conn, who: &Principal, reasons: &[Reason]) -> Result<Vec<WorkItem>> {
    let wants = |reason| reasons.is_empty() || reasons.contains(&reason);
    let reads = |kind| who.scope.allows(Some(kind), Access::Read);
    let mut items = Vec::new();
    if wants(Reason::Recall) {
        items.extend(of_recalls(conn, who)?);
    }
    if wants(Reason::Insight) && reads(RecordKind::Insight) {
        items.extend(of_insights(conn, who)?);
    }
    if wants(Reason::Pairing) && reads(RecordKind::Pairing) {
        items.extend(of_pairings(conn, who)?);
    }
    if wants(Reason::Transfer) && reads(RecordKind::Transfer) {
        items.extend(of_transfers(conn, who)?);
    }
    if (wants(Reason::ReportingDuty) || wants(Reason::Discontinued)) && reads(RecordKind::Trial) {
        items.extend(of_trials(conn, who)?.into_iter().filter(|item| wants(item.reason)));
    }
    if wants(Reason::Gate) {
        items.extend(gate::ahead_of(conn, who)?);
    }
    items.sort_by_cached_key(WorkItem::rank);
    Ok(items)
}

pub(super) fn about(kind: RecordKind, id: Uuid, number: i64, title: Option<String>) -> About {
    About { kind, id, code: kind.code(number), title }
}

pub(super) fn item(
    who: &Principal,
    reason: Reason,
    what: Uuid,
    record: About,
    since: Time,
    due_at: Option<Time>,
) -> WorkItem {
    let path = format!("/v1/{}/{}", record.kind.plural(), record.id);
    WorkItem {
        id: format!("{reason}-{what}"),
        reason,
        record,
        message: None,
        moves: Vec::new(),
        since,
        due_at,
        overdue: due_at.is_some_and(|due| due < who.at),
        links: WorkLinks { act: format!("{path}/transitions"), record: path },
    }
}

fn of_recalls(conn: &mut Conn, who: &Principal) -> Result<Vec<WorkItem>> {
    let open = recalls::store::waiting(conn, who, LOOKED_AT)?;
    let names = recalls::store::names(conn, &open)?;
    let waits = |recall: &recalls::Recall| {
        let name = names.get(&recall.record_id)?;
        let record = about(recall.record_kind.into(), recall.record_id.0, name.number, Some(name.title.clone()));
        let mut item = item(who, Reason::Recall, recall.id.0, record, recall.raised_at, None);
        item.message = Some(format!("A finding that it rests on was {}.", recall.cause));
        item.links.act = format!("/v1/recalls/{}/acknowledge", recall.id);
        Some(item)
    };
    Ok(open.iter().filter_map(waits).collect())
}

/// Those put to the person's labs or to them, until they are answered; their own that were declined.
fn of_insights(conn: &mut Conn, who: &Principal) -> Result<Vec<WorkItem>> {
    let labs = if who.is(Role::Scientist) { who.organizations.clone() } else { Vec::new() };
    let assigned = insight::assignee_id.is_not_null().and(insight::assignee_id.assume_not_null().eq(who.id));
    let to_answer = insight::state.eq_any(WAITING.to_vec()).and(insight::lab_id.eq_any(labs).or(assigned));
    let came_back = insight::state.eq(DECLINED).and(insight::owner_id.eq(who.id));
    let rows: Vec<insights::Insight> = insight::table
        .into_boxed::<MultiBackend>()
        .filter(insights::store::visible_to(who))
        .filter(to_answer.or(came_back))
        .order((insight::due_at.asc(), insight::id.asc()))
        .limit(LOOKED_AT)
        .load(conn)?;
    let waits = |row: insights::Insight| {
        let due_at = row.due_at.filter(|_| WAITING.contains(&&*row.state));
        let record = about(RecordKind::Insight, row.id.0, row.number, Some(row.title));
        let mut item = item(who, Reason::Insight, row.id.0, record, row.state_entered_at, due_at);
        item.message = Some(format!("It is {}.", row.state));
        item
    };
    Ok(rows.into_iter().map(waits).collect())
}

/// Those that wait for an answer of the side that this person speaks for.
fn of_pairings(conn: &mut Conn, who: &Principal) -> Result<Vec<WorkItem>> {
    let of = |role| if who.is(role) { who.organizations.clone() } else { Vec::new() };
    let own_labs = discovery::table.filter(discovery::lab_id.eq_any(of(Role::Scientist))).select(discovery::id);
    let clinician = pairing::clinician_id.is_not_null().and(pairing::clinician_id.assume_not_null().eq(who.id));
    let sponsor = pairing::organization_id
        .is_not_null()
        .and(pairing::organization_id.assume_not_null().eq_any(of(Role::Partner)));
    let asked_by_lab = pairing::proposing_side.eq(ProposingSide::Lab).and(clinician.or(sponsor));
    let asked_of_lab =
        pairing::proposing_side.eq(ProposingSide::Counterpart).and(pairing::discovery_id.eq_any(own_labs));
    let rows: Vec<pairings::Pairing> = pairing::table
        .into_boxed::<MultiBackend>()
        .filter(pairings::store::visible_to(who))
        .filter(pairing::state.eq(PROPOSED))
        .filter(asked_by_lab.or(asked_of_lab))
        .order((pairing::created_at.asc(), pairing::id.asc()))
        .limit(LOOKED_AT)
        .load(conn)?;
    let names = match who.scope.allows(Some(RecordKind::Discovery), Access::Read) {
        true => discoveries::store::names(conn, who, rows.iter().map(|p| p.discovery_id).collect::<Vec<_>>())?,
        false => Default::default(),
    };
    let waits = |row: pairings::Pairing| {
        let title = names.get(&row.discovery_id).map(|d| d.title.clone());
        let record = about(RecordKind::Pairing, row.id.0, row.number, title);
        item(who, Reason::Pairing, row.id.0, record, row.state_entered_at, None)
    };
    Ok(rows.into_iter().map(waits).collect())
}

fn of_transfers(conn: &mut Conn, who: &Principal) -> Result<Vec<WorkItem>> {
    let rows: Vec<transfers::Transfer> = transfer::table
        .filter(transfer::to_person_id.eq(who.id))
        .filter(transfer::state.eq(TransferState::Proposed))
        .order((transfer::created_at.asc(), transfer::id.asc()))
        .limit(LOOKED_AT)
        .load(conn)?;
    let waits = |row: transfers::Transfer| {
        let record = about(RecordKind::Transfer, row.id.0, row.number, None);
        let mut item = item(who, Reason::Transfer, row.id.0, record, row.created_at, None);
        item.links.act = format!("{}/accept", item.links.record);
        item
    };
    Ok(rows.into_iter().map(waits).collect())
}

/// What the person's own trials warn of: live ones, and ended ones that have duties.
fn of_trials(conn: &mut Conn, who: &Principal) -> Result<Vec<WorkItem>> {
    let is_live = trial::overall_status.ne_all(ends_of(builtin::trial()));
    let has_duties = trial::fda_regulated.is_not_null().and(trial::fda_regulated.assume_not_null());
    let rows: Vec<Trial> = trial::table
        .into_boxed::<MultiBackend>()
        .filter(trials::store::visible_to(who))
        .filter(trial::owner_id.eq(who.id))
        .filter(is_live.or(has_duties))
        .order((trial::status_entered_at.desc(), trial::id.asc()))
        .limit(LOOKED_AT)
        .load(conn)?;
    let mut items = Vec::new();
    for (number, view) in
        rows.iter().map(|t| t.number).collect::<Vec<_>>().into_iter().zip(trials::view::views(conn, who, rows)?)
    {
        for (nth, warning) in view.warnings.into_iter().enumerate() {
            let reason = match warning.code {
                WarningCode::DiscoveryDiscontinued => Reason::Discontinued,
                WarningCode::StatusChangeNotRecorded | WarningCode::NotVerified => Reason::ReportingDuty,
            };
            let record = about(RecordKind::Trial, view.id.0, number, Some(view.brief_title.clone()));
            let mut item = item(who, reason, view.id.0, record, view.status_entered_at, None);
            item.id = format!("{}-{nth}", item.id);
            item.message = Some(warning.message);
            if reason == Reason::ReportingDuty {
                item.links.act = item.links.record.clone();
            }
            items.push(item);
        }
    }
    Ok(items)
}

/// The discoveries that the person owns or leads and that have not ended, the latest moved first.
///
/// # Errors
/// What the database says.
pub fn discoveries_to_move(conn: &mut Conn, who: &Principal) -> Result<Vec<Discovery>> {
    let led = || {
        pairing::table
            .filter(pairing::state.eq(ACCEPTED))
            .filter(pairing::kind.eq(PairingKind::ClinicalLead))
            .filter(pairing::clinician_id.assume_not_null().eq(who.id))
            .select(pairing::discovery_id)
    };
    let own = || {
        discovery::table
            .into_boxed::<MultiBackend>()
            .filter(discoveries::store::visible_to(who))
            .filter(discovery::owner_id.eq(who.id).or(discovery::id.eq_any(led())))
    };
    let followed: Vec<String> = own().select(discovery::lifecycle).distinct().load(conn)?;
    let lifecycles = lifecycles::several(conn, &followed.iter().map(String::as_str).collect())?;
    let is_over = |(reference, lifecycle): (&String, &Arc<Lifecycle>)| {
        discovery::lifecycle.eq(reference.clone()).and(discovery::stage.eq_any(ends_of(lifecycle)))
    };
    let live = lifecycles.iter().map(is_over).fold(own(), |live, is_over| live.filter(not(is_over)));
    Ok(live.order((discovery::stage_entered_at.desc(), discovery::id.asc())).limit(LOOKED_AT).load(conn)?)
}

/// The person's own trials that have not ended, the latest moved first.
///
/// # Errors
/// What the database says.
pub fn trials_to_move(conn: &mut Conn, who: &Principal) -> Result<Vec<Trial>> {
    let own = trial::table
        .into_boxed::<MultiBackend>()
        .filter(trials::store::visible_to(who))
        .filter(trial::owner_id.eq(who.id))
        .filter(trial::overall_status.ne_all(ends_of(builtin::trial())));
    Ok(own.order((trial::status_entered_at.desc(), trial::id.asc())).limit(LOOKED_AT).load(conn)?)
}

/// The person's own findings that have not ended, with the clinics of their trials, the latest moved first.
///
/// # Errors
/// What the database says.
pub fn findings_to_move(conn: &mut Conn, who: &Principal) -> Result<Vec<(Finding, OrganizationId)>> {
    let own: Vec<Finding> = finding::table
        .into_boxed::<MultiBackend>()
        .filter(findings::store::visible_to(who))
        .filter(finding::owner_id.eq(who.id))
        .filter(finding::state.eq(findings::DRAFT))
        .order((finding::state_entered_at.desc(), finding::id.asc()))
        .limit(LOOKED_AT)
        .load(conn)?;
    let of: Vec<_> = own.iter().map(|f| f.trial_id).collect();
    let clinics: Vec<(TrialId, OrganizationId)> =
        trial::table.filter(trial::id.eq_any(of)).select((trial::id, trial::clinic_id)).load(conn)?;
    let clinics: HashMap<_, _> = clinics.into_iter().collect();
    Ok(own.into_iter().filter_map(|f| clinics.get(&f.trial_id).map(|clinic| (f, *clinic))).collect())
}

/// The person's own insights that have not ended, the latest moved first.
///
/// # Errors
/// What the database says.
pub fn insights_to_move(conn: &mut Conn, who: &Principal) -> Result<Vec<insights::Insight>> {
    let own = insight::table
        .into_boxed::<MultiBackend>()
        .filter(insights::store::visible_to(who))
        .filter(insight::owner_id.eq(who.id))
        .filter(insight::state.ne_all(ends_of(builtin::insight())));
    Ok(own.order((insight::state_entered_at.desc(), insight::id.asc())).limit(LOOKED_AT).load(conn)?)
}

fn ends_of(lifecycle: &Lifecycle) -> Vec<String> {
    lifecycle.states().iter().filter(|state| state.is_final()).map(|state| state.name.clone()).collect()
}
