//! The use cases that register and revise a trial. Each reads as the sentence that describes it.
use super::{
    Founding, Trial,
    body::{NewTrial, TrialPatch},
    phases_fault, store,
};
use crate::{
    Error, Result,
    auth::policy::{Principal, RegisterTrial},
    db::{Conn, columns::Doc, index_shares},
    error::Code,
    fault::{Change as Patch, Faults},
    id::{EventId, OrganizationId},
    identifier::NctId,
    ledger::{Change, Context, next_number, record_change},
    organization, person,
    value::{Sponsor, TrialDate},
    vocabulary::{Action, OrganizationKind, Phase, RecordKind, TrialSource, Visibility},
};
use serde_json::{Map, Value};

/// Registers a trial of one of the caller's clinics.
///
/// # Errors
/// 403 for a clinic of others, 422 for what does not fit, 409 for an NCT id that is taken.
pub fn register(conn: &mut Conn, who: &Principal, context: &Context, new: NewTrial) -> Result<Trial> {
    let owner = new.owner_id.unwrap_or(who.id);
    let mut faults = Faults::default();
    if !is_clinic(conn, new.clinic_id)? {
        faults.push("/clinic_id", "not_found", "must be a clinic or a centre");
    } else {
        who.must::<RegisterTrial>(&organization::standing(who, new.clinic_id))?;
        if !person::store::is_active_member(conn, owner, new.clinic_id)? {
            faults.push("/owner_id", "not_a_member", "must be an active member of the clinic");
        }
    }
    check_organizations(conn, &new.shared_with.0, new.sponsor.as_ref(), &mut faults)?;
    let phases = in_order(new.phases.0);
    if let Some((code, message)) = phases_fault(new.study_type, &phases) {
        faults.push("/phases", code, message);
    }
    let effective_at = new.effective_at.unwrap_or(context.at);
    if effective_at > context.at {
        faults.push("/effective_at", "in_future", "must not be in the future");
    }
    faults.into_result()?;
    refuse_taken(conn, new.nct_id.as_ref())?;

    let mut trial = Trial::begin(Founding {
        brief_title: new.brief_title.into(),
        study_type: new.study_type,
        clinic_id: new.clinic_id,
        owner_id: owner,
        visibility: new.visibility.unwrap_or(Visibility::Internal),
        source: TrialSource::Local,
        effective_at,
        recorded_at: context.at,
    });
    trial.number = next_number(conn, RecordKind::Trial)?;
    trial.nct_id = new.nct_id;
    trial.org_study_id = new.org_study_id.map(Into::into);
    trial.acronym = new.acronym.map(Into::into);
    trial.official_title = new.official_title.map(Into::into);
    trial.phases = phases.into();
    trial.conditions = new.conditions.0.into();
    trial.interventions = new.interventions.0.into();
    trial.enrollment = new.enrollment.map(Into::into);
    trial.start_date = dated(new.start_date);
    trial.primary_completion_date = dated(new.primary_completion_date);
    trial.completion_date = dated(new.completion_date);
    trial.sponsor = new.sponsor.map(Into::into);
    trial.fda_regulated = new.fda_regulated;
    trial.verified_on = new.verified_on;
    trial.refs = new.references.0.into();
    trial.shared_with = new.shared_with.0.into();
    trial.embargo_until = new.embargo_until;
    trial.settle_enrollment();
    trial.index();
    let change = Change {
        to: Some(trial.overall_status.as_str().to_owned()),
        effective_at: Some(effective_at),
        ..Change::of(Action::Created)
    };
    save(conn, context, &mut trial, change)?;
    index_shares(conn, trial.id.0, &trial.shared_with)?;
    Ok(trial)
}

/// Revises a trial. The caller has checked who may, and the version.
///
/// # Errors
/// 422 for what does not fit, 409 when it has ended, has recruited (for its study type), or an NCT id is taken.
pub fn revise(conn: &mut Conn, context: &Context, mut trial: Trial, patch: TrialPatch) -> Result<Trial> {
    let before = trial.clone();
    let mut faults = Faults::default();
    let sponsor = patch.sponsor.value().and_then(Option::as_ref);
    let shared_with = patch.shared_with.value().map(|l| l.0.clone()).unwrap_or_default();
    check_organizations(conn, &shared_with, sponsor, &mut faults)?;
    let asks_phases = patch.phases.value().is_some() || patch.study_type.value().is_some();
    let asks_enrollment = patch.enrollment.value().is_some() || patch.primary_completion_date.value().is_some();
    apply(patch, &mut trial);
    if asks_phases && let Some((code, message)) = phases_fault(trial.study_type, &trial.phases) {
        faults.push("/phases", code, message);
    }
    faults.into_result()?;
    if before.has_ended() {
        return Err(Error::refused(Code::Immutable, "The trial has ended."));
    }
    if trial.study_type != before.study_type && !before.is_before_recruiting() {
        return Err(Error::refused(Code::Immutable, "The study type stands once the trial has begun to recruit."));
    }
    if trial.nct_id != before.nct_id {
        refuse_taken(conn, trial.nct_id.as_ref())?;
    }
    if asks_enrollment {
        trial.settle_enrollment();
    }
    trial.index();
    let action = revised_or_shared(&before, &trial);
    save(conn, context, &mut trial, Change::of(action))?;
    if before.shared_with != trial.shared_with {
        index_shares(conn, trial.id.0, &trial.shared_with)?;
    }
    Ok(trial)
}

fn apply(patch: TrialPatch, trial: &mut Trial) {
    patch.nct_id.apply_nullable(&mut trial.nct_id);
    patch.org_study_id.apply_nullable(&mut trial.org_study_id);
    patch.acronym.apply_nullable(&mut trial.acronym);
    patch.brief_title.apply(&mut trial.brief_title);
    patch.official_title.apply_nullable(&mut trial.official_title);
    patch.study_type.apply(&mut trial.study_type);
    if let Patch::To(phases) = patch.phases {
        trial.phases = in_order(phases.0).into();
    }
    if let Patch::To(conditions) = patch.conditions {
        trial.conditions = conditions.0.into();
    }
    if let Patch::To(interventions) = patch.interventions {
        trial.interventions = interventions.0.into();
    }
    patch.enrollment.apply_nullable(&mut trial.enrollment);
    if let Patch::To(date) = patch.start_date {
        trial.start_date = dated(date);
    }
    if let Patch::To(date) = patch.primary_completion_date {
        trial.primary_completion_date = dated(date);
    }
    if let Patch::To(date) = patch.completion_date {
        trial.completion_date = dated(date);
    }
    patch.sponsor.apply_nullable(&mut trial.sponsor);
    patch.fda_regulated.apply_nullable(&mut trial.fda_regulated);
    patch.verified_on.apply_nullable(&mut trial.verified_on);
    if let Patch::To(references) = patch.references {
        trial.refs = references.0.into();
    }
    patch.visibility.apply(&mut trial.visibility);
    if let Patch::To(shared_with) = patch.shared_with {
        trial.shared_with = shared_with.0.into();
    }
    patch.embargo_until.apply_nullable(&mut trial.embargo_until);
}

/// The body of a merge patch with the trial's own objects under those it gives: members left out stay (RFC 7396).
pub fn merged(trial: &Trial, mut body: Value) -> Value {
    const OBJECTS: &[&str] = &["enrollment", "start_date", "primary_completion_date", "completion_date", "sponsor"];
    let (Value::Object(members), Ok(own)) = (&mut body, serde_json::to_value(trial)) else { return body };
    for name in OBJECTS {
        let (Some(Value::Object(given)), Some(Value::Object(kept))) = (members.get_mut(*name), own.get(*name)) else {
            continue;
        };
        let mut whole: Map<String, Value> = kept.clone();
        whole.extend(std::mem::take(given));
        whole.retain(|_, value| !value.is_null());
        *given = whole;
    }
    body
}

/// Saves a trial with its event.
///
/// # Errors
/// 409 when its NCT id was taken in the meantime; what [`record_change`] says.
pub(crate) fn save(conn: &mut Conn, context: &Context, trial: &mut Trial, change: Change) -> Result<EventId> {
    record_change(conn, context, trial, change).map_err(|e| if e.is_unique_violation() { taken() } else { e })
}

fn refuse_taken(conn: &mut Conn, nct_id: Option<&NctId>) -> Result<()> {
    match nct_id {
        Some(nct_id) if store::registered_as(conn, nct_id)?.is_some() => Err(taken()),
        _ => Ok(()),
    }
}

/// What a second claim to a registry number is told.
pub(crate) const TAKEN: &str = "That NCT id is taken.";

fn taken() -> Error {
    Error::refused(Code::Conflict, TAKEN)
}

/// Whether an organization is one that trials belong to.
///
/// # Errors
/// What the database says.
pub fn is_clinic(conn: &mut Conn, id: OrganizationId) -> Result<bool> {
    let kind = organization::store::names(conn, [id])?.get(&id).map(|(_, kind)| *kind);
    Ok(matches!(kind, Some(OrganizationKind::Clinic | OrganizationKind::Centre)))
}

/// Names every organization that does not exist, stands twice, or is no sponsor where it should be one.
fn check_organizations(
    conn: &mut Conn,
    shared_with: &[OrganizationId],
    sponsor: Option<&Sponsor>,
    faults: &mut Faults,
) -> Result<()> {
    let sponsor = sponsor.and_then(|s| s.organization_id).map(OrganizationId::of);
    let known = organization::store::names(conn, shared_with.iter().copied().chain(sponsor).collect::<Vec<_>>())?;
    for (index, id) in shared_with.iter().enumerate() {
        if !known.contains_key(id) {
            faults.push(format!("/shared_with/{index}"), "not_found", format!("there is no organization {id}"));
        } else if shared_with[..index].contains(id) {
            faults.push(format!("/shared_with/{index}"), "duplicate", "stands in the list already");
        }
    }
    if let Some(id) = sponsor
        && known.get(&id).map(|(_, kind)| *kind) != Some(OrganizationKind::Sponsor)
    {
        faults.push("/sponsor/organization_id", "not_found", "must be an organization of kind sponsor");
    }
    Ok(())
}

/// A combined phase in the order of the registry.
fn in_order(mut phases: Vec<Phase>) -> Vec<Phase> {
    phases.sort();
    phases
}

/// No date and an empty one are the same.
fn dated(date: Option<TrialDate>) -> Option<Doc<TrialDate>> {
    date.filter(|d| d.date.is_some()).map(Into::into)
}

/// A change of who sees it, and of nothing else, is a share.
fn revised_or_shared(before: &Trial, after: &Trial) -> Action {
    let content = |t: &Trial| {
        let mut t = t.clone();
        (t.visibility, t.shared_with, t.embargo_until) =
            (before.visibility, before.shared_with.clone(), before.embargo_until);
        serde_json::to_value(t).unwrap_or(Value::Null)
    };
    let seen = |t: &Trial| (t.visibility, t.shared_with.clone(), t.embargo_until);
    if content(before) == content(after) && seen(before) != seen(after) { Action::Shared } else { Action::Revised }
}
