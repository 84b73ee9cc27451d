//! A trial as it is answered: with the names of its neighbours, and only of those that the reader may see.
use super::{
    Link, Trial,
    duty::{self, TrialWarning},
    store::{self, LinkedDiscovery},
};
use crate::{
    Result,
    auth::policy::Principal,
    db::{Conn, columns::Time},
    discovery::store::DiscoveryName,
    http::{self, Links},
    id::{DiscoveryId, OrganizationId, TrialId},
    identifier::{NctId, PartialDate},
    lifecycle::{self, End},
    organization::store::{Names as Organizations, OrganizationName},
    past::{AsOf, ShownThen},
    person::store::{Names as People, OwnerView, PersonName},
    value::{Condition, Enrollment, Intervention, Reference, Sponsor, TrialDate},
    vocabulary::{
        LinkRole, Phase, RecordKind, SponsorClass, StopReason, StudyType, TrialSource, TrialStatus, Visibility,
    },
};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use utoipa::ToSchema;

/// Who answers for a trial.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SponsorView {
    /// What it is called.
    #[schema(max_length = 300, example = "Biogen")]
    pub name: String,
    /// What sort of body it is; null where a registry does not say.
    pub class: Option<SponsorClass>,
    /// The organization it is here, if it is one.
    pub organization: Option<OrganizationName>,
}

/// What a trial does for a discovery.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LinkView {
    /// Tests it, measures it or compares with it.
    pub role: LinkRole,
    /// The discovery.
    pub discovery: DiscoveryName,
}

/// A trial as it is answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TrialView {
    /// Its id.
    pub id: TrialId,
    /// Its code.
    #[schema(max_length = 30, example = "T-4")]
    pub code: String,
    /// One per change.
    #[schema(minimum = 1, example = 3)]
    pub version: i64,
    /// Registry number.
    pub nct_id: Option<NctId>,
    /// The sponsor's own number.
    #[schema(max_length = 30)]
    pub org_study_id: Option<String>,
    /// At most 14 characters.
    #[schema(max_length = 14)]
    pub acronym: Option<String>,
    /// 1–300 characters.
    #[schema(max_length = 300)]
    pub brief_title: String,
    /// At most 600 characters.
    #[schema(max_length = 600)]
    pub official_title: Option<String>,
    /// Interventional, observational or expanded access.
    pub study_type: StudyType,
    /// Two for a combined phase.
    #[schema(max_items = 2)]
    pub phases: Vec<Phase>,
    /// Where it stands.
    pub overall_status: TrialStatus,
    /// The status before the registry lost sight of it.
    pub last_known_status: Option<TrialStatus>,
    /// Since when its status has been in effect.
    pub status_entered_at: Time,
    /// The status a suspension resumes to.
    pub suspended_from: Option<TrialStatus>,
    /// Why it was stopped, as the registry wants it.
    #[schema(max_length = 250)]
    pub why_stopped: Option<String>,
    /// The same in a vocabulary.
    pub stop_reason: Option<StopReason>,
    /// What it is about.
    #[schema(max_items = 100)]
    pub conditions: Vec<Condition>,
    /// What participants are given or done.
    #[schema(max_items = 100)]
    pub interventions: Vec<Intervention>,
    /// How many take part.
    pub enrollment: Option<Enrollment>,
    /// When it starts.
    pub start_date: Option<TrialDate>,
    /// When the last data for the primary outcome are collected.
    pub primary_completion_date: Option<TrialDate>,
    /// When the last participant is seen.
    pub completion_date: Option<TrialDate>,
    /// Who answers for it.
    pub sponsor: Option<SponsorView>,
    /// Whether 42 CFR 11 applies; null where not known.
    pub fda_regulated: Option<bool>,
    /// When the record was last verified.
    pub verified_on: Option<PartialDate>,
    /// Its steward.
    pub clinic: OrganizationName,
    /// Its principal investigator.
    pub owner: PersonName,
    /// Owners past and present.
    #[schema(max_items = 1000)]
    pub owners: Vec<OwnerView>,
    /// What it rests on.
    #[schema(max_items = 100)]
    pub references: Vec<Reference>,
    /// Who sees it.
    pub visibility: Visibility,
    /// Organizations whose members see it.
    #[schema(max_items = 100)]
    pub shared_with: Vec<OrganizationName>,
    /// Until when `public` waits.
    pub embargo_until: Option<Time>,
    /// Registered here or imported.
    pub source: TrialSource,
    /// The discoveries it is linked to, as far as the reader may see them.
    #[schema(max_items = 1000)]
    pub discoveries: Vec<LinkView>,
    /// What its people should look at.
    #[schema(max_items = 1000)]
    pub warnings: Vec<TrialWarning>,
    /// When it was recorded.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// Where it is.
    pub links: Links,
    /// With `as_of`: how many leaves the checkpoint covers that it is as of.
    #[schema(minimum = 0)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of_size: Option<u64>,
}

/// The given trials as one person sees them: a fixed number of queries, however many there are.
///
/// # Errors
/// What the database says.
pub fn views(conn: &mut Conn, who: &Principal, rows: Vec<Trial>) -> Result<Vec<TrialView>> {
    let stewards = rows.iter().flat_map(|t| t.shared_with.iter().copied().chain([t.clinic_id]).chain(sponsor_of(t)));
    let organizations = Organizations::load(conn, stewards)?;
    let people = People::load(conn, rows.iter().flat_map(|t| t.owners.iter().map(|o| o.person_id)))?;
    let discoveries = store::linked(conn, who, distinct(rows.iter().flat_map(|t| &t.discoveries.0)))?;
    let discontinued = discontinued(conn, &discoveries)?;
    let regulated = rows.iter().filter(|t| t.fda_regulated == Some(true)).map(|t| t.id).collect::<Vec<_>>();
    let changes = if regulated.is_empty() { HashMap::new() } else { store::last_status_changes(conn, regulated)? };
    let view = |t: Trial| {
        let links = link_views(&t.discoveries, &discoveries);
        let ended = t.discoveries.iter().filter(|l| discontinued.contains(&l.discovery_id));
        let codes: Vec<&str> = ended.filter_map(|l| discoveries.get(&l.discovery_id)).map(|d| &*d.name.code).collect();
        let warnings = duty::warnings(&t, &codes, changes.get(&t.id).copied(), who.at);
        let sponsor = match t.sponsor.map(|s| s.0) {
            Some(Sponsor { name, class, organization_id }) => Some(SponsorView {
                name,
                class,
                organization: organization_id.map(|id| organizations.one(OrganizationId::of(id))).transpose()?,
            }),
            None => None,
        };
        Ok(TrialView {
            id: t.id,
            code: RecordKind::Trial.code(t.number),
            version: t.version,
            nct_id: t.nct_id,
            org_study_id: t.org_study_id,
            acronym: t.acronym,
            brief_title: t.brief_title,
            official_title: t.official_title,
            study_type: t.study_type,
            phases: t.phases.0,
            overall_status: t.overall_status,
            last_known_status: t.last_known_status,
            status_entered_at: t.status_entered_at,
            suspended_from: t.suspended_from,
            why_stopped: t.why_stopped,
            stop_reason: t.stop_reason,
            conditions: t.conditions.0,
            interventions: t.interventions.0,
            enrollment: t.enrollment.map(|e| e.0),
            start_date: t.start_date.map(|d| d.0),
            primary_completion_date: t.primary_completion_date.map(|d| d.0),
            completion_date: t.completion_date.map(|d| d.0),
            sponsor,
            fda_regulated: t.fda_regulated,
            verified_on: t.verified_on,
            clinic: organizations.one(t.clinic_id)?,
            owner: people.one(t.owner_id)?,
            owners: people.owners(&t.owners)?,
            references: t.refs.0,
            visibility: t.visibility,
            shared_with: organizations.many(&t.shared_with)?,
            embargo_until: t.embargo_until,
            source: t.source,
            discoveries: links,
            warnings,
            created_at: t.created_at,
            updated_at: t.updated_at,
            links: Links::of(RecordKind::Trial, t.id.0),
            as_of_size: None,
        })
    };
    rows.into_iter().map(view).collect()
}

impl ShownThen for TrialView {
    fn was(&mut self, as_of: &AsOf) {
        self.warnings.clear();
        self.as_of_size = Some(as_of.size);
    }
}

/// One trial as one person sees it.
///
/// # Errors
/// What the database says.
pub fn view(conn: &mut Conn, who: &Principal, row: Trial) -> Result<TrialView> {
    http::only(views(conn, who, vec![row])?)
}

/// The links of a trial to discoveries that this person may see.
///
/// # Errors
/// What the database says.
pub fn links(conn: &mut Conn, who: &Principal, trial: &Trial) -> Result<Vec<LinkView>> {
    let discoveries = store::linked(conn, who, distinct(trial.discoveries.iter()))?;
    Ok(link_views(&trial.discoveries, &discoveries))
}

fn link_views(links: &[Link], discoveries: &HashMap<DiscoveryId, LinkedDiscovery>) -> Vec<LinkView> {
    let view = |link: &Link| {
        let discovery = discoveries.get(&link.discovery_id)?.name.clone();
        Some(LinkView { role: link.role, discovery })
    };
    links.iter().filter_map(view).collect()
}

fn sponsor_of(trial: &Trial) -> Option<OrganizationId> {
    trial.sponsor.as_ref().and_then(|s| s.organization_id).map(OrganizationId::of)
}

fn distinct<'a>(links: impl Iterator<Item = &'a Link>) -> HashSet<DiscoveryId> {
    links.map(|l| l.discovery_id).collect()
}

/// Those that were stopped for good.
fn discontinued(conn: &mut Conn, discoveries: &HashMap<DiscoveryId, LinkedDiscovery>) -> Result<HashSet<DiscoveryId>> {
    let mut lifecycles = HashMap::new();
    for reference in discoveries.values().map(|d| &d.lifecycle) {
        if !lifecycles.contains_key(reference) {
            lifecycles.insert(reference, lifecycle::store::resolve(conn, reference)?);
        }
    }
    let is_stopped = |d: &LinkedDiscovery| {
        let stage = lifecycles.get(&d.lifecycle).and_then(|lifecycle| lifecycle.state(&d.stage));
        stage.is_some_and(|stage| stage.end == Some(End::Stopped))
    };
    Ok(discoveries.iter().filter(|(_, d)| is_stopped(d)).map(|(id, _)| *id).collect())
}
