//! The bodies of requests about trials.
use crate::{
    db::columns::Time,
    fault::{Change as Patch, Faults, List, Text, Title},
    id::{DiscoveryId, OrganizationId, PersonId},
    identifier::{NctId, PartialDate},
    value::{Condition, Enrollment, Intervention, Reference, Sponsor, TrialDate},
    vocabulary::{LinkRole, Phase, StudyType, Visibility},
};
use deserr::Deserr;
use utoipa::ToSchema;

/// A trial to register.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({
    "brief_title": "Safety of HSP70 inducer BX-12 in ALS", "study_type": "INTERVENTIONAL", "phases": ["PHASE1"],
    "conditions": [{ "name": "Amyotrophic Lateral Sclerosis", "mesh": "D000690" }],
    "interventions": [{ "name": "BX-12", "type": "DRUG" }], "enrollment": { "count": 24, "type": "ESTIMATED" },
    "start_date": { "date": "2026-09", "type": "ESTIMATED" },
    "sponsor": { "name": "University Hospital", "class": "OTHER" },
    "clinic_id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55"
}))]
pub struct NewTrial {
    /// Registry number, unique; letter case and missing zeros are put right.
    #[deserr(default)]
    pub nct_id: Option<NctId>,
    /// The sponsor's own number.
    #[deserr(default)]
    pub org_study_id: Option<Text<1, 30>>,
    /// At most 14 characters.
    #[deserr(default)]
    pub acronym: Option<Text<1, 14>>,
    /// 1–300 characters.
    pub brief_title: Title,
    /// At most 600 characters.
    #[deserr(default)]
    pub official_title: Option<Text<1, 600>>,
    /// Interventional, observational or expanded access.
    pub study_type: StudyType,
    /// One, or the two of a combined phase; none unless it is interventional.
    #[deserr(default)]
    #[schema(required = false)]
    pub phases: List<Phase, 2>,
    /// What it is about.
    #[deserr(default)]
    #[schema(required = false)]
    pub conditions: List<Condition>,
    /// What participants are given or done.
    #[deserr(default)]
    #[schema(required = false)]
    pub interventions: List<Intervention>,
    /// How many take part.
    #[deserr(default)]
    pub enrollment: Option<Enrollment>,
    /// When it starts.
    #[deserr(default)]
    pub start_date: Option<TrialDate>,
    /// When the last data for the primary outcome are collected.
    #[deserr(default)]
    pub primary_completion_date: Option<TrialDate>,
    /// When the last participant is seen.
    #[deserr(default)]
    pub completion_date: Option<TrialDate>,
    /// Who answers for it.
    #[deserr(default)]
    pub sponsor: Option<Sponsor>,
    /// Whether 42 CFR 11 applies; null where not known.
    #[deserr(default)]
    pub fda_regulated: Option<bool>,
    /// When the record was last verified.
    #[deserr(default)]
    pub verified_on: Option<PartialDate>,
    /// The clinic or centre it belongs to.
    pub clinic_id: OrganizationId,
    /// Its principal investigator, an active member of the clinic; the caller by default.
    #[deserr(default)]
    pub owner_id: Option<PersonId>,
    /// What it rests on: an `irb` reference opens recruiting.
    #[deserr(default)]
    #[schema(required = false)]
    pub references: List<Reference>,
    /// Who sees it; `internal` by default.
    #[deserr(default)]
    pub visibility: Option<Visibility>,
    /// Organizations whose members see it.
    #[deserr(default)]
    #[schema(required = false)]
    pub shared_with: List<OrganizationId>,
    /// Until when `public` waits.
    #[deserr(default)]
    pub embargo_until: Option<Time>,
    /// When it was registered, if that was before now.
    #[deserr(default)]
    pub effective_at: Option<Time>,
}

/// A merge patch of a trial; objects in it are merged too, so that a date's type can be changed alone.
#[derive(Debug, Clone, Default, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "primary_completion_date": { "date": "2027-02-11", "type": "ACTUAL" } }))]
pub struct TrialPatch {
    /// Registry number, unique; letter case and missing zeros are put right.
    #[deserr(default)]
    #[schema(required = false, value_type = Option<NctId>)]
    pub nct_id: Patch<Option<NctId>>,
    /// The sponsor's own number.
    #[deserr(default)]
    #[schema(required = false)]
    pub org_study_id: Patch<Option<Text<1, 30>>>,
    /// At most 14 characters.
    #[deserr(default)]
    #[schema(required = false)]
    pub acronym: Patch<Option<Text<1, 14>>>,
    /// 1–300 characters.
    #[deserr(default)]
    #[schema(required = false)]
    pub brief_title: Patch<Title>,
    /// At most 600 characters.
    #[deserr(default)]
    #[schema(required = false)]
    pub official_title: Patch<Option<Text<1, 600>>>,
    /// Interventional, observational or expanded access.
    #[deserr(default)]
    #[schema(required = false)]
    pub study_type: Patch<StudyType>,
    /// One, or the two of a combined phase; none unless it is interventional.
    #[deserr(default)]
    #[schema(required = false)]
    pub phases: Patch<List<Phase, 2>>,
    /// What it is about.
    #[deserr(default)]
    #[schema(required = false)]
    pub conditions: Patch<List<Condition>>,
    /// What participants are given or done.
    #[deserr(default)]
    #[schema(required = false)]
    pub interventions: Patch<List<Intervention>>,
    /// How many take part.
    #[deserr(default)]
    #[schema(required = false)]
    pub enrollment: Patch<Option<Enrollment>>,
    /// When it starts.
    #[deserr(default)]
    #[schema(required = false)]
    pub start_date: Patch<Option<TrialDate>>,
    /// When the last data for the primary outcome are collected.
    #[deserr(default)]
    #[schema(required = false)]
    pub primary_completion_date: Patch<Option<TrialDate>>,
    /// When the last participant is seen.
    #[deserr(default)]
    #[schema(required = false)]
    pub completion_date: Patch<Option<TrialDate>>,
    /// Who answers for it.
    #[deserr(default)]
    #[schema(required = false)]
    pub sponsor: Patch<Option<Sponsor>>,
    /// Whether 42 CFR 11 applies; null where not known.
    #[deserr(default)]
    #[schema(required = false)]
    pub fda_regulated: Patch<Option<bool>>,
    /// When the record was last verified.
    #[deserr(default)]
    #[schema(required = false, value_type = Option<PartialDate>)]
    pub verified_on: Patch<Option<PartialDate>>,
    /// What it rests on: an `irb` reference opens recruiting.
    #[deserr(default)]
    #[schema(required = false)]
    pub references: Patch<List<Reference>>,
    /// Who sees it.
    #[deserr(default)]
    #[schema(required = false)]
    pub visibility: Patch<Visibility>,
    /// Organizations whose members see it.
    #[deserr(default)]
    #[schema(required = false)]
    pub shared_with: Patch<List<OrganizationId>>,
    /// Until when `public` waits.
    #[deserr(default)]
    #[schema(required = false)]
    pub embargo_until: Patch<Option<Time>>,
}

/// A discovery to link to.
#[derive(Debug, Clone, Copy, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "discovery_id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55", "role": "tests" }))]
pub struct NewLink {
    /// The discovery.
    pub discovery_id: DiscoveryId,
    /// What the trial does for it.
    pub role: LinkRole,
}

/// The links of a trial, as far as the caller sees them.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "data": [{ "discovery_id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55", "role": "tests" }] }))]
pub struct NewLinks {
    /// Every link, in place of those the caller can see.
    pub data: List<NewLink>,
}
