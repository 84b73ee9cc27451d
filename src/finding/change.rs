//! The use cases that change a finding: record, revise, move. Each reads as the sentence that describes it.
use super::{DRAFT, Finding, RETRACTED, SIGNED, SUPERSEDED, is_future, store, takes_grade};
use crate::{
    Error, Result,
    auth::policy::{Principal, RecordFinding},
    db::{Conn, columns::Time},
    error::Code,
    fault::{Bounded, Change as Patch, Faults, LongText, Title},
    id::{EventId, FindingId, InsightId, Key, OrganizationId, TrialId},
    identifier::CalendarDate,
    ledger::{Change, Context, Stored, next_number, record_change},
    lifecycle::{Actor, Facts, Lifecycle, builtin},
    person::Tenure,
    recall::{self, RecallCause},
    transition::{Movable, Passed, Situation},
    trial::{self, Trial},
    value::Effect,
    vocabulary::{Action, FindingKind, RecordKind},
};
use deserr::Deserr;
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;

/// A finding to record.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({
    "kind": "efficacy", "title": "Fast progressors respond, slow ones do not",
    "narrative": "The whole difference sits in the 41 participants above the median rate of decline.",
    "observed_on": "2026-03-14", "unexpected": true,
    "effect": { "measure": "Difference in ALSFRS-R decline, points per month", "value": 0.61, "ci_low": 0.22,
        "ci_high": 1.01, "ci_level": 95, "p_value": { "op": "=", "value": 0.002 }, "n": 41 }
}))]
pub struct NewFinding {
    /// What it is about.
    pub kind: FindingKind,
    /// 1–300 characters.
    pub title: Title,
    /// Markdown; aggregate results only, never participant data.
    pub narrative: LongText,
    /// The day it was observed; not in the future.
    pub observed_on: CalendarDate,
    /// Whether nobody had expected it.
    #[deserr(default)]
    #[schema(required = false)]
    pub unexpected: bool,
    /// Its size, with its uncertainty.
    #[deserr(default)]
    pub effect: Option<Effect>,
    /// CTCAE grade; safety only.
    #[deserr(default)]
    pub ctcae_grade: Option<Bounded<1, 5>>,
    /// The signed finding of the same trial whose place it takes when signed.
    #[deserr(default)]
    pub supersedes_id: Option<FindingId>,
}

/// A merge patch of a draft.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "kind": "safety", "ctcae_grade": 2, "effect": null }))]
pub struct FindingPatch {
    /// What it is about.
    #[deserr(default)]
    #[schema(required = false)]
    pub kind: Patch<FindingKind>,
    /// 1–300 characters.
    #[deserr(default)]
    #[schema(required = false)]
    pub title: Patch<Title>,
    /// Markdown; aggregate results only, never participant data.
    #[deserr(default)]
    #[schema(required = false)]
    pub narrative: Patch<LongText>,
    /// The day it was observed; not in the future.
    #[deserr(default)]
    #[schema(required = false)]
    pub observed_on: Patch<CalendarDate>,
    /// Whether nobody had expected it.
    #[deserr(default)]
    #[schema(required = false)]
    pub unexpected: Patch<bool>,
    /// Its size, with its uncertainty.
    #[deserr(default)]
    #[schema(required = false)]
    pub effect: Patch<Option<Effect>>,
    /// CTCAE grade; safety only.
    #[deserr(default)]
    #[schema(required = false)]
    pub ctcae_grade: Patch<Option<Bounded<1, 5>>>,
    /// The signed finding of the same trial whose place it takes when signed.
    #[deserr(default)]
    #[schema(required = false)]
    pub supersedes_id: Patch<Option<FindingId>>,
}

/// Records a finding of a trial of the caller's clinic, as a draft that the caller owns. The trial is one that the
/// caller may see.
///
/// # Errors
/// 403 for a trial of another clinic, 422 for a day to come, a grade of what is not safety, or a finding that cannot be
/// superseded.
pub fn record(conn: &mut Conn, who: &Principal, context: &Context, trial: &Trial, new: NewFinding) -> Result<Finding> {
    who.must::<RecordFinding>(&trial.standing(who))?;
    let mut faults = Faults::default();
    if is_future(&new.observed_on, context.at) {
        faults.push("/observed_on", "in_future", "must not be in the future");
    }
    if new.ctcae_grade.is_some() && !takes_grade(new.kind) {
        faults.push("/ctcae_grade", "not_applicable", "is for safety findings only");
    }
    if let Some(previous) = new.supersedes_id {
        check_superseded(conn, who, trial.id, previous, &mut faults)?;
    }
    faults.into_result()?;
    let mut finding = Finding {
        id: FindingId::fresh(),
        number: next_number(conn, RecordKind::Finding)?,
        version: 0,
        trial_id: trial.id,
        kind: new.kind,
        title: new.title.into(),
        narrative: new.narrative.into(),
        observed_on: new.observed_on,
        unexpected: new.unexpected,
        effect: new.effect.map(Into::into),
        ctcae_grade: new.ctcae_grade.map(small),
        state: builtin::finding().initial().name.clone(),
        state_entered_at: context.at,
        disclosed: false,
        supersedes_id: new.supersedes_id,
        owner_id: who.id,
        owners: vec![Tenure { person_id: who.id, from: context.at, until: None }].into(),
        search: String::new(),
        created_at: context.at,
        updated_at: context.at,
        head: Vec::new(),
    };
    finding.index();
    let change = Change { to: Some(finding.state.clone()), ..Change::of(Action::Created) };
    record_change(conn, context, &mut finding, change)?;
    Ok(finding)
}

/// Revises a draft. The caller has checked who may, and the version.
///
/// # Errors
/// 422 as for [`record`], 409 when it is no draft any more.
pub fn revise(
    conn: &mut Conn,
    who: &Principal,
    context: &Context,
    mut finding: Finding,
    patch: FindingPatch,
) -> Result<Finding> {
    let mut faults = Faults::default();
    if patch.observed_on.value().is_some_and(|day| is_future(day, context.at)) {
        faults.push("/observed_on", "in_future", "must not be in the future");
    }
    if let Some(pointer) = misplaced_grade(&finding, &patch) {
        faults.push(pointer, "not_applicable", "only safety findings have a ctcae_grade");
    }
    if let Patch::To(Some(previous)) = patch.supersedes_id {
        check_superseded(conn, who, finding.trial_id, previous, &mut faults)?;
    }
    faults.into_result()?;
    if finding.state != DRAFT {
        return Err(Error::refused(Code::Immutable, "Only a draft can be revised."));
    }
    patch.kind.apply(&mut finding.kind);
    patch.title.apply(&mut finding.title);
    patch.narrative.apply(&mut finding.narrative);
    patch.observed_on.apply(&mut finding.observed_on);
    patch.unexpected.apply(&mut finding.unexpected);
    patch.effect.apply_nullable(&mut finding.effect);
    if let Patch::To(grade) = patch.ctcae_grade {
        finding.ctcae_grade = grade.map(small);
    }
    patch.supersedes_id.apply_nullable(&mut finding.supersedes_id);
    finding.index();
    record_change(conn, context, &mut finding, Change::of(Action::Revised))?;
    Ok(finding)
}

/// Where the patch would leave a grade on a finding that takes none: at the grade it brings, else at the kind it sets.
fn misplaced_grade(finding: &Finding, patch: &FindingPatch) -> Option<&'static str> {
    let kind = patch.kind.value().copied().unwrap_or(finding.kind);
    let graded = patch.ctcae_grade.value().map_or(finding.ctcae_grade.is_some(), Option::is_some);
    let pointer = if patch.ctcae_grade.value().is_some() { "/ctcae_grade" } else { "/kind" };
    (graded && !takes_grade(kind)).then_some(pointer)
}

fn check_superseded(
    conn: &mut Conn,
    who: &Principal,
    trial: TrialId,
    previous: FindingId,
    faults: &mut Faults,
) -> Result<()> {
    match store::citable(conn, who, &[previous])?.get(&previous) {
        None => faults.push("/supersedes_id", "not_found", format!("there is no finding {previous}")),
        Some(found) if found.trial_id != trial || !found.signed => {
            faults.push("/supersedes_id", "not_applicable", "must be a signed finding of the same trial");
        }
        Some(_) => {}
    }
    Ok(())
}

fn small(Bounded(number): Bounded<1, 5>) -> i32 {
    i32::try_from(number).unwrap_or(1)
}

/// What gates ask about a finding of a trial of this clinic.
pub fn situation(finding: &Finding, who: &Principal, clinic: OrganizationId) -> Situation {
    Situation {
        facts: Facts { state: finding.state.clone(), ..Facts::default() },
        actor: Actor {
            roles: who.roles.clone(),
            steward: who.belongs_to(clinic),
            owner: finding.owner_id == who.id,
            ..Actor::default()
        },
        insight: false,
    }
}

impl Movable for Finding {
    const TAKES: &'static [&'static str] = &[];

    fn find(conn: &mut Conn, who: &Principal, key: Key) -> Result<Self> {
        store::find(conn, who, key)
    }
    fn lifecycle(&self, _: &mut Conn) -> Result<Arc<Lifecycle>> {
        Ok(Arc::new(builtin::finding().clone()))
    }
    fn state(&self) -> &str {
        &self.state
    }
    fn entered_at(&self) -> Time {
        self.state_entered_at
    }
    fn situation(&self, conn: &mut Conn, who: &Principal, _: Option<InsightId>) -> Result<Situation> {
        Ok(situation(self, who, trial::store::load(conn, self.trial_id)?.clinic_id))
    }
    fn make(mut self, conn: &mut Conn, _: &Principal, context: &Context, passed: Passed<'_>) -> Result<EventId> {
        let Passed { step, effective_at, mut change, .. } = passed;
        self.state = step.to.name.clone();
        self.state_entered_at = effective_at;
        if self.state != SIGNED {
            let event = record_change(conn, context, &mut self, change)?;
            if self.state == RETRACTED {
                recall::change::raise(conn, context, &self, RecallCause::Retracted)?;
            }
            return Ok(event);
        }
        self.disclosed = true;
        change.action = Action::Signed;
        let previous = match self.supersedes_id {
            Some(id) => Some(still_signed(conn, id)?),
            None => None,
        };
        let event = record_change(conn, context, &mut self, change)?;
        if let Some(previous) = previous {
            supersede(conn, context, previous, self.id, effective_at)?;
        }
        Ok(event)
    }
}

fn still_signed(conn: &mut Conn, id: FindingId) -> Result<Finding> {
    let previous = store::load(conn, id)?;
    if previous.state == SIGNED {
        return Ok(previous);
    }
    let code = previous.code();
    Err(Error::refused(Code::Conflict, format!("{code}, which this finding would supersede, is no longer signed.")))
}

/// What happens by itself when the successor is signed.
fn supersede(conn: &mut Conn, context: &Context, mut previous: Finding, by: FindingId, at: Time) -> Result<()> {
    let at = at.max(previous.state_entered_at);
    let mut change = Change {
        move_name: Some("supersede".into()),
        from: Some(previous.state.clone()),
        to: Some(SUPERSEDED.into()),
        effective_at: Some(at),
        ..Change::of(Action::Moved)
    };
    change.extra.insert("superseded_by".into(), json!(by));
    previous.state = SUPERSEDED.into();
    previous.state_entered_at = at;
    record_change(conn, context, &mut previous, change)?;
    recall::change::raise(conn, context, &previous, RecallCause::Superseded)
}
