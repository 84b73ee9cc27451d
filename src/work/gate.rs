//! The moves that wait for somebody: of what they own, or lead as the accepted clinical lead. A fixed number of queries.
use super::{
    Reason, WorkItem,
    store::{self, about, item},
};
use crate::{
    Result,
    auth::{policy::Principal, scope::Access},
    db::{Conn, columns::Time},
    discovery, finding,
    lifecycle::{self, Lifecycle, ahead, builtin},
    transition::{Movable, Situation},
    vocabulary::RecordKind,
};
use uuid::Uuid;

/// A record that may move.
struct Waiting<'a> {
    kind: RecordKind,
    id: Uuid,
    number: i64,
    title: String,
    since: Time,
    lifecycle: &'a Lifecycle,
    situation: Situation,
}

impl Waiting<'_> {
    /// What it waits for, if any move that leads on is this person's to make.
    fn told(self, who: &Principal) -> Option<WorkItem> {
        let moves = ahead(self.lifecycle, &self.situation.facts, &self.situation.actor);
        let record = about(self.kind, self.id, self.number, Some(self.title));
        let item = item(who, Reason::Gate, self.id, record, self.since, None);
        (!moves.is_empty()).then_some(WorkItem { moves, ..item })
    }
}

/// What the person may move on.
///
/// # Errors
/// What the database says.
pub fn ahead_of(conn: &mut Conn, who: &Principal) -> Result<Vec<WorkItem>> {
    let reads = |kind| who.scope.allows(Some(kind), Access::Read);
    let mut items = Vec::new();
    if reads(RecordKind::Discovery) {
        items.extend(of_discoveries(conn, who)?);
    }
    if reads(RecordKind::Trial) {
        items.extend(of_trials(conn, who)?);
    }
    if reads(RecordKind::Finding) {
        items.extend(of_findings(conn, who)?);
    }
    if reads(RecordKind::Insight) {
        items.extend(of_insights(conn, who)?);
    }
    Ok(items)
}

fn of_discoveries(conn: &mut Conn, who: &Principal) -> Result<Vec<WorkItem>> {
    let rows = store::discoveries_to_move(conn, who)?;
    let lifecycles = lifecycle::store::several(conn, &rows.iter().map(|d| &*d.lifecycle).collect())?;
    let situations = discovery::change::situations(conn, who, &rows)?;
    let waits = |(d, situation): (discovery::Discovery, Situation)| {
        let lifecycle = lifecycles.get(&d.lifecycle)?;
        let (kind, id, number) = (RecordKind::Discovery, d.id.0, d.number);
        Waiting { kind, id, number, title: d.title, since: d.stage_entered_at, lifecycle, situation }.told(who)
    };
    Ok(rows.into_iter().zip(situations).filter_map(waits).collect())
}

fn of_trials(conn: &mut Conn, who: &Principal) -> Result<Vec<WorkItem>> {
    let mut items = Vec::new();
    for t in store::trials_to_move(conn, who)? {
        let situation = t.situation(conn, who, None)?; // of the trial alone: no query
        let (kind, id, number, lifecycle) = (RecordKind::Trial, t.id.0, t.number, builtin::trial());
        let since = t.status_entered_at;
        items.extend(Waiting { kind, id, number, title: t.brief_title, since, lifecycle, situation }.told(who));
    }
    Ok(items)
}

fn of_findings(conn: &mut Conn, who: &Principal) -> Result<Vec<WorkItem>> {
    let rows = store::findings_to_move(conn, who)?;
    let waits = |(f, clinic): (finding::Finding, _)| {
        let situation = finding::change::situation(&f, who, clinic);
        let (kind, id, number, lifecycle) = (RecordKind::Finding, f.id.0, f.number, builtin::finding());
        Waiting { kind, id, number, title: f.title, since: f.state_entered_at, lifecycle, situation }.told(who)
    };
    Ok(rows.into_iter().filter_map(waits).collect())
}

fn of_insights(conn: &mut Conn, who: &Principal) -> Result<Vec<WorkItem>> {
    let mut items = Vec::new();
    for i in store::insights_to_move(conn, who)? {
        let situation = i.situation(conn, who, None)?; // of the insight alone: no query
        let (kind, id, number, lifecycle) = (RecordKind::Insight, i.id.0, i.number, builtin::insight());
        let since = i.state_entered_at;
        items.extend(Waiting { kind, id, number, title: i.title, since, lifecycle, situation }.told(who));
    }
    Ok(items)
}
