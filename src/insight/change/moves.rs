//! What the moves of an insight do: routing discloses it to a lab, resolving closes the loop.
use crate::{
    Error, Result,
    auth::{policy::Principal, scope::Access},
    db::{Conn, columns::Time},
    discovery::{self, change::NewDiscovery},
    error::Code,
    fault::{self, Faults},
    finding,
    id::{DiscoveryId, EventId, InsightId, Key, OrganizationId},
    insight::{ACKNOWLEDGED, Insight, RESOLVED, SUBMITTED, days_to_answer, discovery_member, members_taken, store},
    ledger::{Change, Context, record_change},
    lifecycle::{Actor, Facts, Lifecycle, builtin, facts},
    person, recall,
    transition::{Movable, Order, Passed, Situation},
    vocabulary::{Outcome, RecordKind},
};
use serde_json::{Value, json};
use std::sync::Arc;

impl Movable for Insight {
    const TAKES: &'static [&'static str] =
        &["outcome", "outcome_note", "discovery", "discovery_id", "assignee_id", "lab_id"];

    fn find(conn: &mut Conn, who: &Principal, key: Key) -> Result<Self> {
        store::find(conn, who, key)
    }
    fn lifecycle(&self, _: &mut Conn) -> Result<Arc<Lifecycle>> {
        Ok(Arc::new(builtin::insight().clone()))
    }
    fn state(&self) -> &str {
        &self.state
    }
    fn entered_at(&self) -> Time {
        self.state_entered_at
    }
    fn situation(&self, _: &mut Conn, who: &Principal, _: Option<InsightId>) -> Result<Situation> {
        Ok(Situation {
            facts: Facts { state: self.state.clone(), ..Facts::default() },
            actor: Actor {
                roles: who.roles.clone(),
                steward: who.belongs_to(self.clinic_id),
                owner: self.owner_id == who.id,
                lab: who.belongs_to(self.lab_id),
                ..Actor::default()
            },
            insight: false,
        })
    }
    fn faults(&self, conn: &mut Conn, who: &Principal, order: &Order) -> Result<Faults> {
        let taken = members_taken(&self.state, &order.to.0);
        if order.outcome == Some(Outcome::NewDiscovery) {
            who.scope.must_allow(Some(RecordKind::Discovery), Access::Write)?;
        }
        let mut faults = misplaced_members(order, taken);
        if let Some(lab) = order.lab_id.filter(|_| taken.contains(&"lab_id")) {
            super::lab_faults(conn, lab, &mut faults)?;
            if lab == self.lab_id {
                faults.push("/lab_id", "not_applicable", "must be another lab");
            }
        }
        if let Some(assignee) = order.assignee_id.filter(|_| taken.contains(&"assignee_id"))
            && !person::store::is_active_member(conn, assignee, self.lab_id)?
        {
            faults.push("/assignee_id", "not_a_member", "must be an active member of the lab");
        }
        if let Some(outcome) = order.outcome.filter(|_| taken.contains(&"outcome")) {
            resolution_faults(conn, who, self.lab_id, outcome, order, &mut faults)?;
        }
        Ok(faults)
    }
    fn hold(&self, conn: &mut Conn, _: Option<InsightId>) -> Result<()> {
        facts::hold_findings(conn, self.id)
    }
    fn make(mut self, conn: &mut Conn, who: &Principal, context: &Context, passed: Passed<'_>) -> Result<EventId> {
        let Passed { step, order, effective_at, mut change } = passed;
        match &*step.to.name {
            SUBMITTED => self.route(conn, who, &order, effective_at)?,
            ACKNOWLEDGED => self.assignee_id = Some(order.assignee_id.unwrap_or(who.id)),
            RESOLVED => self.resolve(conn, who, context, &order, &mut change)?,
            _ => {}
        }
        self.state = step.to.name.clone();
        self.state_entered_at = effective_at;
        record_change(conn, context, &mut self, change)
    }
}

impl Insight {
    /// Discloses it to its lab, or to another than before, and sets the day an answer is due.
    fn route(&mut self, conn: &mut Conn, who: &Principal, order: &Order, at: Time) -> Result<()> {
        let found = finding::store::citable(conn, who, &self.findings)?;
        let stands = |id| found.get(id).is_some_and(|f| f.signed && f.clinic_id == self.clinic_id);
        if !self.findings.iter().all(stands) {
            let detail = "Every finding it cites must stand signed, and be of a trial of its clinic.";
            return Err(Error::refused(Code::Conflict, detail));
        }
        if let Some(lab) = order.lab_id {
            self.lab_id = lab;
        }
        self.assignee_id = None;
        self.submitted_at = Some(at);
        self.due_at = Some(at.plus_days(days_to_answer(self.urgency)));
        Ok(())
    }

    /// Takes the answer; a new discovery is logged in the same transaction.
    fn resolve(
        &mut self,
        conn: &mut Conn,
        who: &Principal,
        context: &Context,
        order: &Order,
        change: &mut Change,
    ) -> Result<()> {
        self.outcome = order.outcome;
        self.outcome_note = order.outcome_note.clone().map(String::from);
        let caused = match order.outcome {
            Some(Outcome::NewDiscovery) => {
                let body = order.discovery.as_ref().unwrap_or(&Value::Null);
                let mut new = read_discovery(body, self.lab_id)?;
                new.effective_at = new.effective_at.or(order.effective_at);
                let logged = discovery::change::log(conn, who, context, new, Some(self.id)).map_err(under_discovery)?;
                self.spawned.0.push(logged.id);
                Some(logged.id)
            }
            Some(Outcome::RefinedDiscovery) => {
                self.refined_discovery_id = order.discovery_id;
                order.discovery_id
            }
            Some(Outcome::ConfirmedKnown | Outcome::NotReproducible | Outcome::NoAction) | None => None,
        };
        if let Some(discovery) = caused {
            change.extra.insert("discovery_id".into(), json!(discovery));
            recall::change::reach(conn, context, &self.findings, discovery)?;
        }
        Ok(())
    }
}

/// What was brought for another move than this.
fn misplaced_members(order: &Order, taken: &[&str]) -> Faults {
    let brought = [
        ("outcome", order.outcome.is_some()),
        ("outcome_note", order.outcome_note.is_some()),
        ("discovery", order.discovery.is_some()),
        ("discovery_id", order.discovery_id.is_some()),
        ("assignee_id", order.assignee_id.is_some()),
        ("lab_id", order.lab_id.is_some()),
    ];
    let mut faults = Faults::default();
    for (name, _) in brought.iter().filter(|(name, brought)| *brought && !taken.contains(name)) {
        faults.push(format!("/{name}"), "not_applicable", format!("is not taken by a move to {}", order.to.0));
    }
    faults
}

/// An outcome brings exactly the discovery that it is about.
fn resolution_faults(
    conn: &mut Conn,
    who: &Principal,
    lab: OrganizationId,
    outcome: Outcome,
    order: &Order,
    faults: &mut Faults,
) -> Result<()> {
    let member = discovery_member(outcome);
    for (name, brought) in [("discovery", order.discovery.is_some()), ("discovery_id", order.discovery_id.is_some())] {
        let pointer = format!("/{name}");
        match (member == Some(name), brought) {
            (true, false) => faults.push(pointer, "required", format!("is required for the outcome {outcome}")),
            (false, true) => faults.push(pointer, "not_applicable", format!("is not taken by the outcome {outcome}")),
            (true, true) | (false, false) => {}
        }
    }
    if let Some(body) = order.discovery.as_ref().filter(|_| member == Some("discovery"))
        && let Err(found) = read_discovery(body, lab)
    {
        faults.0.extend(found.0);
    }
    if let Some(id) = order.discovery_id.filter(|_| member == Some("discovery_id")) {
        refined_faults(conn, who, lab, id, faults)?;
    }
    Ok(())
}

fn refined_faults(
    conn: &mut Conn,
    who: &Principal,
    lab: OrganizationId,
    id: DiscoveryId,
    faults: &mut Faults,
) -> Result<()> {
    if discovery::store::visible_ids(conn, who, &[id.0])?.is_empty() {
        faults.push("/discovery_id", "not_found", format!("there is no discovery {id}"));
    } else if discovery::store::load(conn, id)?.lab_id != lab {
        faults.push("/discovery_id", "other_lab", "must be a discovery of the lab the insight is routed to");
    }
    Ok(())
}

/// The new discovery of a resolution: of the insight's lab, whether it says so or not.
fn read_discovery(body: &Value, lab: OrganizationId) -> Result<NewDiscovery, Faults> {
    let mut body = body.clone();
    if let Value::Object(members) = &mut body {
        members.entry("lab_id").or_insert_with(|| json!(lab));
    }
    let named = body.get("lab_id").and_then(Value::as_str).and_then(|id| uuid::Uuid::parse_str(id).ok());
    let read = fault::read::<NewDiscovery>(body);
    let mut faults = read.as_ref().err().cloned().unwrap_or_default();
    if named.is_some_and(|id| id != lab.0) {
        faults.push("/lab_id", "other_lab", "must be the lab the insight is routed to");
    }
    match read {
        Ok(new) if faults.0.is_empty() => Ok(new),
        _ => Err(faults.under("/discovery")),
    }
}

fn under_discovery(error: Error) -> Error {
    match error {
        Error::Invalid(faults) => Error::Invalid(faults.under("/discovery")),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn table(faults: &Faults) -> Vec<(&str, &str)> {
        let mut rows: Vec<_> = faults.0.iter().map(|f| (f.pointer.as_deref().unwrap_or_default(), f.code)).collect();
        rows.sort_unstable();
        rows
    }

    #[test]
    fn a_spawned_discovery_belongs_to_the_lab_of_the_insight() {
        let (lab, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut body = json!({ "title": "t", "modality": "biologic" });
        let read = |body: &Value| read_discovery(body, OrganizationId::of(lab));
        assert_eq!(read(&body).unwrap().lab_id.0, lab);
        body["lab_id"] = json!(lab);
        assert_eq!(read(&body).unwrap().lab_id.0, lab);
        body["lab_id"] = json!(other);
        assert_eq!(table(&read(&body).unwrap_err()), [("/discovery/lab_id", "other_lab")]);
    }

    #[test]
    fn every_fault_of_a_spawned_discovery_is_named() {
        let lab = OrganizationId::of(Uuid::from_u128(1));
        let body = json!({ "title": "", "modality": "magic", "lab_id": Uuid::from_u128(2), "stage": "validated" });
        assert_eq!(
            table(&read_discovery(&body, lab).unwrap_err()),
            [
                ("/discovery/lab_id", "other_lab"),
                ("/discovery/modality", "unknown_value"),
                ("/discovery/stage", "unknown_field"),
                ("/discovery/title", "too_short"),
            ]
        );
        assert_eq!(table(&read_discovery(&json!([]), lab).unwrap_err()), [("/discovery", "wrong_type")]);
    }

    #[test]
    fn what_belongs_to_another_move_is_named() {
        let order = |body| fault::read::<Order>(body).unwrap();
        let declined =
            order(json!({ "to": "declined", "reason": "no", "lab_id": Uuid::nil(), "outcome": "no_action" }));
        let faults = misplaced_members(&declined, members_taken("submitted", "declined"));
        assert_eq!(table(&faults), [("/lab_id", "not_applicable"), ("/outcome", "not_applicable")]);
        let rerouted = order(json!({ "to": "submitted", "lab_id": Uuid::nil() }));
        assert!(misplaced_members(&rerouted, members_taken("declined", "submitted")).0.is_empty());
        assert_eq!(misplaced_members(&rerouted, members_taken("draft", "submitted")).0.len(), 1);
    }
}
