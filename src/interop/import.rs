//! The use case that takes a registry's study over: a new trial, a new version of one, or nothing where nothing is new.
//!
//! What a record says wins; what it does not say stays as it is. Gates are not asked: a registry reports what happened.
use super::{
    ctgov::{Study, date_onto, enrollment_onto, interventions_onto, sponsor_onto},
    store,
};
use crate::{
    Error, Result,
    auth::policy::{ImportStudies, Principal, Revise},
    db::{
        Conn,
        columns::{Doc, Time},
    },
    error::Code,
    fault::Faults,
    id::{OrganizationId, PersonId},
    ledger::{Change, Context, Stored, next_number},
    organization, person,
    trial::{self, Founding, Trial, change, is_set_by_registry, is_stopped},
    value::TrialDate,
    vocabulary::{Action, RecordKind, Role, StudyType, TrialSource, TrialStatus, Visibility},
};
use serde_json::{Map, Value};

/// What came of one study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A trial was registered; its code, unless it was only tried.
    Created(Option<String>),
    /// The trial with this code got a new version: these fields changed.
    Changed(String, Vec<String>),
    /// The trial with this code is as the record has it.
    Unchanged(String),
    /// It was left alone, and why.
    Skipped(String),
}

/// Takes over one study for a clinic, or with `dry_run` only says what that would do.
///
/// # Errors
/// 403 for those who may not import for the clinic, 422 for a record that lacks what a new trial needs or has too much,
/// 409 where no clinician of the clinic could own the trial.
pub fn import_study(
    conn: &mut Conn,
    who: &Principal,
    context: &Context,
    study: &Study,
    clinic_id: OrganizationId,
    dry_run: bool,
) -> Result<Outcome> {
    may_import(conn, who, clinic_id)?;
    match trial::store::registered_as(conn, &study.nct_id)? {
        Some(trial) => revise(conn, who, context, study, trial, dry_run),
        None => create(conn, who, context, study, clinic_id, dry_run),
    }
}

/// Whether this person may import for this clinic.
///
/// # Errors
/// 422 when it is no clinic or centre, 403 unless they are one of its clinicians or an administrator.
pub fn may_import(conn: &mut Conn, who: &Principal, clinic_id: OrganizationId) -> Result<()> {
    if !change::is_clinic(conn, clinic_id)? {
        return Err(Error::fault("/clinic_id", "not_found", "must be a clinic or a centre"));
    }
    who.must::<ImportStudies>(&organization::standing(who, clinic_id))
}

fn is_clinician_of(who: &Principal, clinic_id: OrganizationId) -> bool {
    who.is(Role::Clinician) && who.belongs_to(clinic_id)
}

fn create(
    conn: &mut Conn,
    who: &Principal,
    context: &Context,
    study: &Study,
    clinic_id: OrganizationId,
    dry_run: bool,
) -> Result<Outcome> {
    let (Some(brief_title), Some(study_type), Some(_)) = (&study.brief_title, study.study_type, study.overall_status)
    else {
        return Err(missing(study).into());
    };
    let mut trial = Trial::begin(Founding {
        brief_title: brief_title.clone(),
        study_type,
        clinic_id,
        owner_id: owner(conn, who, clinic_id)?,
        visibility: Visibility::Public,
        source: TrialSource::Registry,
        effective_at: context.at,
        recorded_at: context.at,
    });
    put(study, &mut trial, context.at)?;
    if dry_run {
        return Ok(Outcome::Created(None));
    }
    trial.number = next_number(conn, RecordKind::Trial)?;
    let to = Some(trial.overall_status.as_str().to_owned());
    change::save(conn, context, &mut trial, Change { to, ..Change::of(Action::Imported) })?;
    Ok(Outcome::Created(Some(trial.code())))
}

fn revise(
    conn: &mut Conn,
    who: &Principal,
    context: &Context,
    study: &Study,
    mut trial: Trial,
    dry_run: bool,
) -> Result<Outcome> {
    if !who.may::<Revise>(&trial.standing(who)) {
        return Ok(Outcome::Skipped("the trial belongs to another clinic, and is not yours to revise".into()));
    }
    let before = trial.clone();
    if trial.source != TrialSource::Registry {
        (trial.source, trial.visibility) = (TrialSource::Registry, Visibility::Public);
    }
    put(study, &mut trial, context.at)?;
    let fields = changed_fields(&before, &trial)?;
    if fields.is_empty() {
        return Ok(Outcome::Unchanged(trial.code()));
    }
    if !dry_run {
        let moved = before.overall_status != trial.overall_status;
        let state = |t: &Trial| moved.then(|| t.overall_status.as_str().to_owned());
        let change = Change { from: state(&before), to: state(&trial), ..Change::of(Action::Imported) };
        change::save(conn, context, &mut trial, change)?;
    }
    Ok(Outcome::Changed(trial.code(), fields))
}

/// The importing clinician; for an administrator, a clinician of the clinic.
fn owner(conn: &mut Conn, who: &Principal, clinic_id: OrganizationId) -> Result<PersonId> {
    if is_clinician_of(who, clinic_id) && person::store::is_active_member(conn, who.id, clinic_id)? {
        return Ok(who.id);
    }
    store::first_clinician(conn, clinic_id)?.ok_or_else(|| {
        Error::refused(Code::Conflict, "The clinic has no active clinician who could own the trials imported for it.")
    })
}

fn missing(study: &Study) -> Faults {
    let mut faults = Faults::default();
    let needed = [
        ("/protocolSection/identificationModule/briefTitle", study.brief_title.is_none()),
        ("/protocolSection/designModule/studyType", study.study_type.is_none()),
        ("/protocolSection/statusModule/overallStatus", study.overall_status.is_none()),
    ];
    for (pointer, _) in needed.iter().filter(|(_, missing)| *missing) {
        faults.push(*pointer, "required", "is required for a trial that is not here yet");
    }
    faults
}

/// Puts what the study says on the trial, and leaves the rest as it is.
fn put(study: &Study, trial: &mut Trial, at: Time) -> Result<()> {
    put_some(&study.org_study_id, &mut trial.org_study_id);
    put_some(&study.acronym, &mut trial.acronym);
    put_some(&study.official_title, &mut trial.official_title);
    put_some(&study.fda_regulated, &mut trial.fda_regulated);
    put_some(&study.verified_on, &mut trial.verified_on);
    trial.nct_id = Some(study.nct_id.clone());
    if let Some(title) = &study.brief_title {
        trial.brief_title.clone_from(title);
    }
    trial.study_type = study.study_type.unwrap_or(trial.study_type);
    if let Some(phases) = &study.phases {
        trial.phases = phases.clone().into();
    }
    if trial.study_type != StudyType::Interventional && !trial.phases.is_empty() {
        let message = "must be empty for a study that is not interventional";
        return Err(Error::fault("/protocolSection/designModule/phases", "invalid", message));
    }
    if let Some(conditions) = study.conditions.onto(&trial.conditions).map_err(|fault| Faults(vec![fault]))? {
        trial.conditions = conditions.into();
    }
    if let Some(interventions) = &study.interventions {
        trial.interventions = interventions_onto(interventions, &trial.interventions).into();
    }
    if let Some(given) = study.enrollment {
        trial.enrollment = Some(enrollment_onto(given, trial.enrollment.as_ref().map(|e| e.0)).into());
    }
    put_date(study.start_date.as_ref(), &mut trial.start_date);
    put_date(study.primary_completion_date.as_ref(), &mut trial.primary_completion_date);
    put_date(study.completion_date.as_ref(), &mut trial.completion_date);
    if let Some(given) = &study.sponsor {
        trial.sponsor = Some(sponsor_onto(given, trial.sponsor.as_ref().map(|s| &s.0)).into());
    }
    put_status(study, trial, at);
    trial.index();
    Ok(())
}

fn put_some<T: Clone>(given: &Option<T>, own: &mut Option<T>) {
    if given.is_some() {
        own.clone_from(given);
    }
}

fn put_date(given: Option<&TrialDate>, own: &mut Option<Doc<TrialDate>>) {
    if let Some(given) = given {
        let current = own.as_ref().map(|d| d.0.clone()).unwrap_or_default();
        *own = Some(date_onto(given, &current).into());
    }
}

/// Where the trial stands, and why it stopped. The status that a registry's own one hides is remembered, from the record or
/// from what the trial had.
fn put_status(study: &Study, trial: &mut Trial, at: Time) {
    let before = trial.overall_status;
    let status = study.overall_status.unwrap_or(before);
    let known = if is_set_by_registry(before) { trial.last_known_status } else { Some(before) };
    trial.last_known_status = if study.overall_status.is_none() {
        study.last_known_status.or(trial.last_known_status)
    } else if !is_set_by_registry(status) || trial.version == 0 {
        study.last_known_status
    } else {
        study.last_known_status.or(known)
    };
    if status != before {
        trial.suspended_from = known.filter(|known| status == TrialStatus::Suspended && is_live(*known));
        trial.overall_status = status;
        if trial.version > 0 {
            trial.status_entered_at = at;
        }
        if !is_stopped(status) && !is_set_by_registry(status) {
            (trial.why_stopped, trial.stop_reason) = (None, None);
        }
    }
    put_some(&study.why_stopped, &mut trial.why_stopped);
}

const fn is_live(status: TrialStatus) -> bool {
    matches!(
        status,
        TrialStatus::NotYetRecruiting
            | TrialStatus::Recruiting
            | TrialStatus::EnrollingByInvitation
            | TrialStatus::ActiveNotRecruiting
    )
}

/// The fields in which two versions differ, by the names of the API.
fn changed_fields(before: &Trial, after: &Trial) -> Result<Vec<String>> {
    let (before, after) = (fields_of(before)?, fields_of(after)?);
    Ok(after.into_iter().filter(|(name, value)| before.get(name) != Some(value)).map(|(name, _)| name).collect())
}

fn fields_of(trial: &Trial) -> Result<Map<String, Value>> {
    match serde_json::to_value(trial) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(Error::Internal("a trial that is no JSON object".into())),
    }
}
