//! What moves of a trial ask about it, and what they do to it.
use super::{Trial, change::save, is_stopped, store};
use crate::{
    Error, Result,
    auth::policy::Principal,
    db::{Conn, columns::Time},
    fault::{Faults, LIST_LIMIT},
    id::{EventId, InsightId, Key},
    ledger::Context,
    lifecycle::{Actor, EnrollmentFact, Facts, Lifecycle, builtin},
    transition::{Movable, Passed, Situation},
    value::Reference,
    vocabulary::{Certainty, TrialStatus},
};
use serde_json::{Map, Value};
use std::sync::Arc;

impl Movable for Trial {
    const TAKES: &'static [&'static str] = &["evidence", "why_stopped", "stop_reason"];

    fn find(conn: &mut Conn, who: &Principal, key: Key) -> Result<Self> {
        store::find(conn, who, key)
    }
    fn lifecycle(&self, _: &mut Conn) -> Result<Arc<Lifecycle>> {
        Ok(Arc::new(builtin::trial().clone()))
    }
    fn state(&self) -> &str {
        self.overall_status.as_str()
    }
    fn entered_at(&self) -> Time {
        self.status_entered_at
    }
    fn situation(&self, _: &mut Conn, who: &Principal, _: Option<InsightId>) -> Result<Situation> {
        let fields = match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let enrollment = self
            .enrollment
            .as_ref()
            .map(|e| EnrollmentFact { count: e.count, actual: e.certainty == Some(Certainty::Actual) });
        Ok(Situation {
            facts: Facts {
                state: self.state().to_owned(),
                held_from: self.suspended_from.map(|s| s.as_str().to_owned()),
                fields,
                references: self.refs.iter().map(Reference::kind).collect(),
                enrollment,
                before_recruiting: self.is_before_recruiting(),
                study_type: Some(self.study_type),
                ..Facts::default()
            },
            actor: Actor {
                roles: who.roles.clone(),
                steward: who.belongs_to(self.clinic_id),
                owner: self.owner_id == who.id,
                ..Actor::default()
            },
            insight: false,
        })
    }
    fn make(mut self, conn: &mut Conn, _: &Principal, context: &Context, passed: Passed<'_>) -> Result<EventId> {
        let Passed { step, order, effective_at, change } = passed;
        let to = status(&step.to.name)?;
        let evidence = order.evidence.unwrap_or_default();
        self.attach(&evidence.0);
        let mut faults = Faults::default();
        if self.refs.len() > LIST_LIMIT {
            faults.push("/evidence", "too_many", "a record has at most 100 references");
        }
        let said = [("why_stopped", order.why_stopped.is_some()), ("stop_reason", order.stop_reason.is_some())];
        for (member, _) in said.iter().filter(|(_, given)| *given && !is_stopped(to)) {
            faults.push(format!("/{member}"), "not_applicable", format!("a trial that is {to} has not stopped"));
        }
        faults.into_result()?;
        self.overall_status = to;
        self.status_entered_at = effective_at;
        self.suspended_from = step.held_from.as_deref().map(status).transpose()?;
        // A person who says where the trial stands knows better than the registry that lost sight of it.
        self.last_known_status = None;
        if is_stopped(to) {
            self.why_stopped = order.why_stopped.map(String::from).or(self.why_stopped);
            self.stop_reason = order.stop_reason.or(self.stop_reason);
        } else {
            (self.why_stopped, self.stop_reason) = (None, None);
        }
        self.index();
        save(conn, context, &mut self, change)
    }
}

fn status(name: &str) -> Result<TrialStatus> {
    name.parse().map_err(|_| Error::Internal(format!("the lifecycle of trials has a state {name}")))
}
