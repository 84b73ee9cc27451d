//! A clinical trial, in the field's own words: ClinicalTrials.gov's statuses, phases and types. Pure.
pub mod http;
pub mod store;

use crate::{
    db::columns::{Doc, Time},
    id::{DiscoveryId, OrganizationId, PersonId, TrialId},
    identifier::{NctId, PartialDate},
    person::Tenure,
    value::{Condition, Enrollment, Intervention, Reference, Sponsor, TrialDate, search_text, terms_of},
    vocabulary::{LinkRole, Phase, StopReason, StudyType, TrialSource, TrialStatus, Visibility},
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
#[derive(Debug, Clone, Queryable, Insertable, AsChangeset, Serialize)]
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

impl Trial {
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
