//! A clinical trial, in the field's own words: ClinicalTrials.gov's statuses, phases and types. Pure.
//!
//! The bodies of its requests are in [`body`], its use cases in [`change`] and [`link`], its moves in [`moves`], what it
//! looks like to a person in [`view`], and the reporting duties of 42 CFR 11 in [`duty`].
pub mod body;
pub mod change;
pub mod duty;
pub mod http;
pub mod link;
pub mod moves;
pub mod store;
pub mod view;

use crate::{
    auth::policy::{Principal, Relation, Standing},
    db::columns::{Doc, Time},
    id::{DiscoveryId, OrganizationId, PersonId, TrialId},
    identifier::{NctId, PartialDate},
    lifecycle::builtin,
    person::Tenure,
    value::{Condition, Enrollment, Intervention, Reference, Sponsor, TrialDate, search_text, terms_of},
    vocabulary::{Certainty, LinkRole, Phase, RecordKind, StopReason, StudyType, TrialSource, TrialStatus, Visibility},
};
use diesel::{AsChangeset, Insertable, Queryable};
use serde::{Deserialize, Serialize};

/// What a trial does for a discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// The discovery.
    pub discovery_id: DiscoveryId,
    /// Tests it, measures it or compares with it.
    pub role: LinkRole,
}

/// A trial as it is stored.
#[derive(Debug, Clone, Queryable, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = crate::db::schema::trial, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct Trial {
    /// Its id.
    pub id: TrialId,
    /// The number of its code.
    #[serde(skip)]
    pub number: i64,
    /// One per change.
    pub version: i64,
    /// Registry number, unique.
    pub nct_id: Option<NctId>,
    /// At most 30 characters.
    pub org_study_id: Option<String>,
    /// At most 14 characters.
    pub acronym: Option<String>,
    /// 1–300 characters.
    pub brief_title: String,
    /// At most 600 characters.
    pub official_title: Option<String>,
    /// Interventional, observational or expanded access.
    pub study_type: StudyType,
    /// Two for a combined phase; none for observational and expanded access studies.
    pub phases: Doc<Vec<Phase>>,
    /// Where it stands.
    pub overall_status: TrialStatus,
    /// The status before the registry set `UNKNOWN`.
    pub last_known_status: Option<TrialStatus>,
    /// Since when the status has been in effect.
    pub status_entered_at: Time,
    /// The status a suspension resumes to.
    pub suspended_from: Option<TrialStatus>,
    /// At most 250 characters.
    pub why_stopped: Option<String>,
    /// The same in a vocabulary.
    pub stop_reason: Option<StopReason>,
    /// At most 100.
    pub conditions: Doc<Vec<Condition>>,
    /// At most 100.
    pub interventions: Doc<Vec<Intervention>>,
    /// How many take part.
    pub enrollment: Option<Doc<Enrollment>>,
    /// When it started or will.
    pub start_date: Option<Doc<TrialDate>>,
    /// When the last measure of the primary outcome was or will be taken.
    pub primary_completion_date: Option<Doc<TrialDate>>,
    /// When it ended or will.
    pub completion_date: Option<Doc<TrialDate>>,
    /// Who is responsible for it.
    pub sponsor: Option<Doc<Sponsor>>,
    /// Whether 42 CFR 11 applies; null where not known.
    pub fda_regulated: Option<bool>,
    /// When the record was last verified.
    pub verified_on: Option<PartialDate>,
    /// Its steward.
    pub clinic_id: OrganizationId,
    /// The principal investigator.
    pub owner_id: PersonId,
    /// Owners past and present.
    pub owners: Doc<Vec<Tenure>>,
    /// At most 100.
    #[serde(rename = "references")]
    pub refs: Doc<Vec<Reference>>,
    /// Who sees it.
    pub visibility: Visibility,
    /// Organizations whose members see it; `share` indexes them.
    pub shared_with: Doc<Vec<OrganizationId>>,
    /// Until when `public` waits.
    pub embargo_until: Option<Time>,
    /// Registered here or imported.
    pub source: TrialSource,
    /// The discoveries it is linked to; `trial_link` indexes them.
    pub discoveries: Doc<Vec<Link>>,
    /// Folded conditions for filters.
    #[serde(skip)]
    pub terms: String,
    /// Folded text for `q`.
    #[serde(skip)]
    pub search: String,
    /// When it was recorded.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Leaf hash of its latest event.
    #[serde(skip)]
    pub head: Vec<u8>,
}

/// What every trial has from its first version on.
#[derive(Debug, Clone)]
pub struct Founding {
    /// 1–300 characters.
    pub brief_title: String,
    /// Interventional, observational or expanded access.
    pub study_type: StudyType,
    /// Its steward.
    pub clinic_id: OrganizationId,
    /// Its principal investigator.
    pub owner_id: PersonId,
    /// Who sees it.
    pub visibility: Visibility,
    /// Registered here or imported.
    pub source: TrialSource,
    /// When it began.
    pub effective_at: Time,
    /// When it is recorded.
    pub recorded_at: Time,
}

impl Trial {
    /// What this person is to it.
    pub fn standing(&self, who: &Principal) -> Standing {
        Standing::to(RecordKind::Trial)
            .being(Relation::Owner, self.owner_id == who.id)
            .being(Relation::Steward, who.belongs_to(self.clinic_id))
    }

    /// A trial that nothing else is known of yet: version 0, without a number.
    pub fn begin(founding: Founding) -> Self {
        let Founding { brief_title, study_type, clinic_id, owner_id, visibility, source, effective_at, recorded_at } =
            founding;
        Self {
            id: TrialId::fresh(),
            number: 0,
            version: 0,
            nct_id: None,
            org_study_id: None,
            acronym: None,
            brief_title,
            official_title: None,
            study_type,
            phases: Doc::default(),
            overall_status: TrialStatus::NotYetRecruiting,
            last_known_status: None,
            status_entered_at: effective_at,
            suspended_from: None,
            why_stopped: None,
            stop_reason: None,
            conditions: Doc::default(),
            interventions: Doc::default(),
            enrollment: None,
            start_date: None,
            primary_completion_date: None,
            completion_date: None,
            sponsor: None,
            fda_regulated: None,
            verified_on: None,
            clinic_id,
            owner_id,
            owners: vec![Tenure { person_id: owner_id, from: effective_at, until: None }].into(),
            refs: Doc::default(),
            visibility,
            shared_with: Doc::default(),
            embargo_until: None,
            source,
            discoveries: Doc::default(),
            terms: String::new(),
            search: String::new(),
            created_at: recorded_at,
            updated_at: recorded_at,
            head: Vec::new(),
        }
    }

    /// Whether its status is final.
    pub fn has_ended(&self) -> bool {
        builtin::trial().is_final(self.overall_status.as_str())
    }

    /// Whether it has not recruited yet, so that an unknown enrolment can only be none.
    pub fn is_before_recruiting(&self) -> bool {
        let status = match self.overall_status {
            TrialStatus::Suspended => self.suspended_from,
            other => Some(other),
        };
        status == Some(TrialStatus::NotYetRecruiting)
    }

    /// Enrolment becomes actual when primary completion does.
    pub fn settle_enrollment(&mut self) {
        let complete = self.primary_completion_date.as_ref().and_then(|d| d.certainty) == Some(Certainty::Actual);
        if let Some(enrollment) = &mut self.enrollment
            && complete
        {
            enrollment.0.certainty = Some(Certainty::Actual);
        }
    }

    /// Adds references that it does not have yet.
    pub fn attach(&mut self, evidence: &[Reference]) {
        for reference in evidence {
            if !self.refs.iter().any(|r| r.kind() == reference.kind() && r.value() == reference.value()) {
                self.refs.0.push(reference.clone());
            }
        }
    }

    /// Brings the folded columns in line with the fields they are made from.
    pub fn index(&mut self) {
        self.terms = terms_of(&self.conditions);
        let named = [
            Some(&*self.brief_title),
            self.official_title.as_deref(),
            self.acronym.as_deref(),
            self.org_study_id.as_deref(),
            self.nct_id.as_ref().map(NctId::as_str),
        ];
        let conditions = self.conditions.iter().map(|c| c.name.as_str());
        let interventions = self.interventions.iter().map(|i| i.name.as_str());
        self.search = search_text(named.into_iter().flatten().chain(conditions).chain(interventions));
    }
}

/// Whether a status says why the trial stopped, for now or for good.
pub const fn is_stopped(status: TrialStatus) -> bool {
    matches!(status, TrialStatus::Suspended | TrialStatus::Terminated | TrialStatus::Withdrawn)
}

/// Whether only a registry sets a status; the one before is then remembered.
pub const fn is_set_by_registry(status: TrialStatus) -> bool {
    matches!(status, TrialStatus::Withheld | TrialStatus::Unknown)
}

/// What is wrong with the phases of a study of this type: a code and a sentence.
pub fn phases_fault(study_type: StudyType, phases: &[Phase]) -> Option<(&'static str, &'static str)> {
    match (study_type, phases) {
        (StudyType::Observational | StudyType::ExpandedAccess, []) => None,
        (StudyType::Observational | StudyType::ExpandedAccess, _) => {
            Some(("not_applicable", "must be empty for a study that is not interventional"))
        }
        (StudyType::Interventional, []) => Some(("required", "an interventional study has a phase, or NA")),
        (StudyType::Interventional, [_]) => None,
        (StudyType::Interventional, [Phase::Phase1, Phase::Phase2] | [Phase::Phase2, Phase::Phase3]) => None,
        (StudyType::Interventional, _) => {
            Some(("invalid", "must be one phase, or a combined one: PHASE1 and PHASE2, or PHASE2 and PHASE3"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_go_with_the_study_type() {
        use Phase::*;
        use StudyType::*;
        for (study_type, phases, code) in [
            (Interventional, &[Phase1][..], None),
            (Interventional, &[Na], None),
            (Interventional, &[Phase1, Phase2], None),
            (Interventional, &[Phase2, Phase3], None),
            (Interventional, &[], Some("required")),
            (Interventional, &[Na, Phase1], Some("invalid")),
            (Interventional, &[Phase1, Phase1], Some("invalid")),
            (Interventional, &[Phase1, Phase3], Some("invalid")),
            (Interventional, &[Phase1, Phase2, Phase3], Some("invalid")),
            (Observational, &[], None),
            (Observational, &[Na], Some("not_applicable")),
            (ExpandedAccess, &[Phase3], Some("not_applicable")),
        ] {
            assert_eq!(phases_fault(study_type, phases).map(|(code, _)| code), code, "{study_type} {phases:?}");
        }
    }
}
