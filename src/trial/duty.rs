//! What a trial's people should look at: reporting duties of 42 CFR 11.64, and links that no longer make sense. Warnings
//! stand in no one's way. Pure: time is an argument.
use super::Trial;
use crate::{db::columns::Time, identifier::PartialDate, vocabulary::vocabulary};
use chrono::{Months, NaiveDate};
use serde::Serialize;
use utoipa::ToSchema;

vocabulary! {
    /// What a warning is about.
    WarningCode {
        DiscoveryDiscontinued = "discovery_discontinued", StatusChangeNotRecorded = "status_change_not_recorded",
        NotVerified = "not_verified",
    }
}

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrialWarning {
    /// For programs.
    pub code: WarningCode,
    /// For people.
    #[schema(max_length = 2000, example = "The record has not been verified for 12 months (42 CFR 11.64).")]
    pub message: String,
}

/// When the present status took effect, and when that was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusChange {
    /// In effect since.
    pub effective_at: Time,
    /// Known since.
    pub recorded_at: Time,
}

/// A status change is recorded within so many days (42 CFR 11.64(a)(1)(ii)).
const DAYS_TO_RECORD: i64 = 30;
/// A record is verified at least this often (42 CFR 11.64(a)(1)).
const MONTHS_TO_VERIFY: u32 = 12;

/// What to look at now. `discontinued` are the codes of discontinued discoveries it tests, as far as the reader sees them.
pub fn warnings(trial: &Trial, discontinued: &[&str], last: Option<StatusChange>, now: Time) -> Vec<TrialWarning> {
    let mut warnings = Vec::new();
    let is_live = !trial.has_ended();
    for code in discontinued.iter().filter(|_| is_live) {
        let message = format!("It tests {code}, which was discontinued.");
        warnings.push(TrialWarning { code: WarningCode::DiscoveryDiscontinued, message });
    }
    if trial.fda_regulated != Some(true) {
        return warnings;
    }
    if last.is_some_and(|last| last.recorded_at > last.effective_at.plus_days(DAYS_TO_RECORD)) {
        let message = "Its last status change was recorded more than 30 days after it took effect (42 CFR 11.64).";
        warnings.push(TrialWarning { code: WarningCode::StatusChangeNotRecorded, message: message.into() });
    }
    if is_live && months_after(verified(trial), MONTHS_TO_VERIFY) < now.utc().date_naive() {
        let message = "The record has not been verified for 12 months (42 CFR 11.64).";
        warnings.push(TrialWarning { code: WarningCode::NotVerified, message: message.into() });
    }
    warnings
}

/// A record that says nothing was last looked at when it was entered.
fn verified(trial: &Trial) -> NaiveDate {
    trial.verified_on.as_ref().map_or_else(|| trial.created_at.utc().date_naive(), PartialDate::last_day)
}

fn months_after(day: NaiveDate, months: u32) -> NaiveDate {
    day.checked_add_months(Months::new(months)).unwrap_or(NaiveDate::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{OrganizationId, PersonId},
        trial::Founding,
        vocabulary::{StudyType, TrialSource, TrialStatus, Visibility},
    };

    fn at(text: &str) -> Time {
        Time::parse(text).unwrap()
    }

    fn trial() -> Trial {
        let entered = at("2026-01-10T00:00:00Z");
        let mut trial = Trial::begin(Founding {
            brief_title: "A".into(),
            study_type: StudyType::Interventional,
            clinic_id: OrganizationId::fresh(),
            owner_id: PersonId::fresh(),
            visibility: Visibility::Internal,
            source: TrialSource::Local,
            effective_at: entered,
            recorded_at: entered,
        });
        trial.fda_regulated = Some(true);
        trial
    }

    fn codes(trial: &Trial, discontinued: &[&str], last: Option<StatusChange>, now: &str) -> Vec<WarningCode> {
        warnings(trial, discontinued, last, at(now)).into_iter().map(|w| w.code).collect()
    }

    #[test]
    fn a_record_is_verified_every_twelve_months() {
        let mut trial = trial();
        assert_eq!(codes(&trial, &[], None, "2027-01-10T23:00:00Z"), []);
        assert_eq!(codes(&trial, &[], None, "2027-01-11T00:00:00Z"), [WarningCode::NotVerified]);
        trial.verified_on = "2026-02".parse().ok();
        assert_eq!(codes(&trial, &[], None, "2027-02-28T12:00:00Z"), []);
        assert_eq!(codes(&trial, &[], None, "2027-03-01T00:00:00Z"), [WarningCode::NotVerified]);
        trial.overall_status = TrialStatus::Completed;
        assert_eq!(codes(&trial, &[], None, "2030-01-01T00:00:00Z"), []);
        trial.overall_status = TrialStatus::Recruiting;
        trial.fda_regulated = None;
        assert_eq!(codes(&trial, &[], None, "2030-01-01T00:00:00Z"), []);
    }

    #[test]
    fn a_status_change_is_recorded_within_thirty_days() {
        let trial = trial();
        let changed =
            |recorded: &str| Some(StatusChange { effective_at: at("2026-02-01T00:00:00Z"), recorded_at: at(recorded) });
        let now = "2026-06-01T00:00:00Z";
        assert_eq!(codes(&trial, &[], changed("2026-03-03T00:00:00Z"), now), []);
        let late = codes(&trial, &[], changed("2026-03-03T00:00:01Z"), now);
        assert_eq!(late, [WarningCode::StatusChangeNotRecorded]);
    }

    #[test]
    fn a_live_trial_of_a_discontinued_discovery() {
        let mut trial = trial();
        trial.fda_regulated = None;
        assert_eq!(codes(&trial, &["D-7"], None, "2026-06-01T00:00:00Z"), [WarningCode::DiscoveryDiscontinued]);
        trial.overall_status = TrialStatus::Terminated;
        assert_eq!(codes(&trial, &["D-7"], None, "2026-06-01T00:00:00Z"), []);
    }
}
