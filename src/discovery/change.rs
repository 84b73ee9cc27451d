//! The use cases that change a discovery: log, revise, move. Each reads as the sentence that describes it.
use super::{Discovery, store};
use crate::{
    Error, Result,
    auth::policy::{LogDiscovery, Principal},
    db::{
        Conn,
        columns::{Doc, Time},
        index_shares,
    },
    fault::{Bounded, Change as Patch, Faults, List, LongText, Text, Title},
    id::{DiscoveryId, EventId, InsightId, Key, OrganizationId, PersonId},
    ledger::{Change, Context, next_number, record_change},
    lifecycle::{
        self, Actor, End, Facts, Gate, Lifecycle,
        facts::{self, Around},
    },
    organization, person,
    person::Tenure,
    transition::{Movable, Order, Passed, Situation, moves_meant},
    value::{Condition, Reference},
    vocabulary::{Action, Modality, OrganizationKind, RecordKind, Visibility},
};
use deserr::Deserr;
use serde_json::{Map, Value};
use std::{collections::HashSet, sync::Arc};
use utoipa::ToSchema;

/// A tag.
pub type Tag = Text<1, 100>;

/// A discovery to log.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({
    "title": "HSP70 induction clears TDP-43 aggregates in motor neurons",
    "summary": "Seen in three iPSC lines.", "modality": "small_molecule",
    "conditions": [{ "name": "Amyotrophic Lateral Sclerosis", "mesh": "D000690" }],
    "lab_id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55", "trl": 2, "tags": ["proteostasis"]
}))]
pub struct NewDiscovery {
    /// 1–300 characters.
    pub title: Title,
    /// Markdown.
    #[deserr(default)]
    #[schema(required = false)]
    pub summary: LongText,
    /// What it would become.
    pub modality: Modality,
    /// What it is about.
    #[deserr(default)]
    #[schema(required = false)]
    pub conditions: List<Condition>,
    /// The lab it belongs to.
    pub lab_id: OrganizationId,
    /// Its owner, an active member of the lab; the caller by default.
    #[deserr(default)]
    pub owner_id: Option<PersonId>,
    /// Technology readiness level.
    #[deserr(default)]
    pub trl: Option<Bounded<1, 9>>,
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
    /// What it rests on.
    #[deserr(default)]
    #[schema(required = false)]
    pub references: List<Reference>,
    /// Free words.
    #[deserr(default)]
    #[schema(required = false)]
    pub tags: List<Tag>,
    /// When it was made, if that was before now.
    #[deserr(default)]
    pub effective_at: Option<Time>,
}

/// A merge patch of a discovery.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "trl": 3, "tags": ["proteostasis", "als"] }))]
pub struct DiscoveryPatch {
    /// 1–300 characters.
    #[deserr(default)]
    #[schema(required = false)]
    pub title: Patch<Title>,
    /// Markdown.
    #[deserr(default)]
    #[schema(required = false)]
    pub summary: Patch<LongText>,
    /// What it would become.
    #[deserr(default)]
    #[schema(required = false)]
    pub modality: Patch<Modality>,
    /// What it is about.
    #[deserr(default)]
    #[schema(required = false)]
    pub conditions: Patch<List<Condition>>,
    /// Technology readiness level.
    #[deserr(default)]
    #[schema(required = false)]
    pub trl: Patch<Option<Bounded<1, 9>>>,
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
    /// What it rests on.
    #[deserr(default)]
    #[schema(required = false)]
    pub references: Patch<List<Reference>>,
    /// Free words.
    #[deserr(default)]
    #[schema(required = false)]
    pub tags: Patch<List<Tag>>,
}

/// Logs a discovery of one of the caller's labs.
///
/// # Errors
/// 403 for a lab of others, 422 for a lab, owner or organization that does not fit.
pub fn log(
    conn: &mut Conn,
    who: &Principal,
    context: &Context,
    new: NewDiscovery,
    origin: Option<InsightId>,
) -> Result<Discovery> {
    let owner = new.owner_id.unwrap_or(who.id);
    let mut faults = Faults::default();
    let kind = organization::store::names(conn, [new.lab_id])?.get(&new.lab_id).map(|(_, kind)| *kind);
    if kind != Some(OrganizationKind::Lab) {
        faults.push("/lab_id", "not_found", "must be a lab");
    } else {
        who.must::<LogDiscovery>(&organization::standing(who, new.lab_id))?;
        if !person::store::is_active_member(conn, owner, new.lab_id)? {
            faults.push("/owner_id", "not_a_member", "must be an active member of the lab");
        }
    }
    unknown_organizations(conn, &new.shared_with.0, &mut faults)?;
    let effective_at = new.effective_at.unwrap_or(context.at);
    if effective_at > context.at {
        faults.push("/effective_at", "in_future", "must not be in the future");
    }
    faults.into_result()?;
    let lifecycle = lifecycle::store::of_new_discoveries(conn, new.lab_id)?;
    let mut discovery = Discovery {
        id: DiscoveryId::fresh(),
        number: next_number(conn, RecordKind::Discovery)?,
        version: 0,
        title: new.title.into(),
        summary: new.summary.into(),
        modality: new.modality,
        conditions: new.conditions.0.into(),
        lifecycle: lifecycle.reference(),
        stage: lifecycle.initial().name.clone(),
        stage_entered_at: effective_at,
        held_from: None,
        stop_reason: None,
        trl: new.trl.map(small),
        lab_id: new.lab_id,
        owner_id: owner,
        owners: vec![Tenure { person_id: owner, from: effective_at, until: None }].into(),
        visibility: new.visibility.unwrap_or(Visibility::Internal),
        shared_with: new.shared_with.0.into(),
        embargo_until: new.embargo_until,
        refs: new.references.0.into(),
        tags: strings(new.tags),
        origin_insight_id: origin,
        recalled_at: None,
        terms: String::new(),
        search: String::new(),
        created_at: context.at,
        updated_at: context.at,
        head: Vec::new(),
    };
    discovery.index();
    let change =
        Change { to: Some(discovery.stage.clone()), effective_at: Some(effective_at), ..Change::of(Action::Created) };
    record_change(conn, context, &mut discovery, change)?;
    index_shares(conn, discovery.id.0, &discovery.shared_with)?;
    Ok(discovery)
}

/// Revises a discovery. The caller has checked who may, and the version.
///
/// # Errors
/// 409 when it has ended, 422 for an organization that does not exist.
pub fn revise(
    conn: &mut Conn,
    context: &Context,
    mut discovery: Discovery,
    patch: DiscoveryPatch,
) -> Result<Discovery> {
    let lifecycle = lifecycle::store::resolve(conn, &discovery.lifecycle)?;
    if let Some(shared_with) = patch.shared_with.value() {
        let mut faults = Faults::default();
        unknown_organizations(conn, &shared_with.0, &mut faults)?;
        faults.into_result()?;
    }
    if lifecycle.is_final(&discovery.stage) {
        return Err(Error::refused(crate::error::Code::Immutable, "The discovery has ended."));
    }
    let before = discovery.clone();
    patch.title.apply(&mut discovery.title);
    patch.summary.apply(&mut discovery.summary);
    patch.modality.apply(&mut discovery.modality);
    if let Patch::To(conditions) = patch.conditions {
        discovery.conditions = conditions.0.into();
    }
    if let Patch::To(trl) = patch.trl {
        discovery.trl = trl.map(small);
    }
    patch.visibility.apply(&mut discovery.visibility);
    if let Patch::To(shared_with) = patch.shared_with {
        discovery.shared_with = shared_with.0.into();
    }
    patch.embargo_until.apply_nullable(&mut discovery.embargo_until);
    if let Patch::To(references) = patch.references {
        discovery.refs = references.0.into();
    }
    if let Patch::To(tags) = patch.tags {
        discovery.tags = strings(tags);
    }
    discovery.index();
    let action = revised_or_shared(&before, &discovery);
    record_change(conn, context, &mut discovery, Change::of(action))?;
    if before.shared_with != discovery.shared_with {
        index_shares(conn, discovery.id.0, &discovery.shared_with)?;
    }
    Ok(discovery)
}

/// A change of who sees it, and of nothing else, is a share.
fn revised_or_shared(before: &Discovery, after: &Discovery) -> Action {
    let content = |d: &Discovery| {
        let mut d = d.clone();
        (d.visibility, d.shared_with, d.embargo_until) =
            (before.visibility, before.shared_with.clone(), before.embargo_until);
        serde_json::to_value(d).unwrap_or(Value::Null)
    };
    let seen = |d: &Discovery| (d.visibility, d.shared_with.clone(), d.embargo_until);
    if content(before) == content(after) && seen(before) != seen(after) { Action::Shared } else { Action::Revised }
}

/// Names every organization of `shared_with` that does not exist or stands there before.
///
/// # Errors
/// What the database says.
pub fn unknown_organizations(conn: &mut Conn, ids: &[OrganizationId], faults: &mut Faults) -> Result<()> {
    let known = organization::store::names(conn, ids.iter().copied())?;
    for (index, id) in ids.iter().enumerate().filter(|(_, id)| !known.contains_key(id)) {
        faults.push(format!("/shared_with/{index}"), "not_found", format!("there is no organization {id}"));
    }
    for (index, _) in ids.iter().enumerate().filter(|(index, id)| ids[..*index].contains(id)) {
        faults.push(format!("/shared_with/{index}"), "repeated", "stands in the list before");
    }
    Ok(())
}

fn small(Bounded(number): Bounded<1, 9>) -> i32 {
    i32::try_from(number).unwrap_or(1)
}

fn strings<const MIN: usize, const MAX: usize>(texts: List<Text<MIN, MAX>>) -> Doc<Vec<String>> {
    texts.0.into_iter().map(String::from).collect::<Vec<_>>().into()
}

/// What gates ask about each of these discoveries: a fixed number of queries, however many there are.
///
/// # Errors
/// What the database says.
pub fn situations(conn: &mut Conn, who: &Principal, discoveries: &[Discovery]) -> Result<Vec<Situation>> {
    let mut around = facts::around(conn, &discoveries.iter().map(|d| d.id).collect::<Vec<_>>())?;
    let is_party = |d: &Discovery| {
        let around = around.get(&d.id);
        let leads = |a: &Around| a.pairings.iter().any(|p| p.clinician == Some(who.id));
        let tests = |a: &Around| a.trials.iter().any(|trial| who.belongs_to(trial.clinic));
        who.belongs_to(d.lab_id) || around.is_some_and(|a| leads(a) || tests(a))
    };
    let of = |is: bool| discoveries.iter().filter(|d| is_party(d) == is).map(|d| d.id).collect::<HashSet<_>>();
    let (parties, others) = (of(true), of(false));
    // Unmet gates must not tell of trials and pairings that stay hidden; nobody but a party passes them anyway.
    facts::keep_visible(conn, who, &mut around, &others)?;
    let of = |d: &Discovery| situation(d, who, parties.contains(&d.id), around.remove(&d.id).unwrap_or_default());
    Ok(discoveries.iter().map(of).collect())
}

fn situation(discovery: &Discovery, who: &Principal, party: bool, around: Around) -> Situation {
    let fields = match serde_json::to_value(discovery) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    Situation {
        facts: Facts {
            state: discovery.stage.clone(),
            held_from: discovery.held_from.clone(),
            modality: Some(discovery.modality),
            fields,
            references: discovery.refs.iter().map(Reference::kind).collect(),
            pairings: around.pairings.iter().map(|p| p.kind).collect(),
            trials: around.trials.into_iter().map(|trial| trial.fact).collect(),
            ..Facts::default()
        },
        actor: Actor {
            roles: who.roles.clone(),
            steward: who.belongs_to(discovery.lab_id),
            party,
            owner: discovery.owner_id == who.id,
            ..Actor::default()
        },
        insight: false,
    }
}

impl Movable for Discovery {
    const TAKES: &'static [&'static str] = &["evidence", "stop_reason", "insight_id"];

    fn find(conn: &mut Conn, who: &Principal, key: Key) -> Result<Self> {
        store::find(conn, who, key)
    }
    fn lifecycle(&self, conn: &mut Conn) -> Result<Arc<Lifecycle>> {
        lifecycle::store::resolve(conn, &self.lifecycle)
    }
    fn state(&self) -> &str {
        &self.stage
    }
    fn entered_at(&self) -> Time {
        self.stage_entered_at
    }
    fn situation(&self, conn: &mut Conn, who: &Principal, insight: Option<InsightId>) -> Result<Situation> {
        let insight = match insight {
            Some(id) => facts::insight_stands(conn, who, id, self.id)?,
            None => false,
        };
        let found = situations(conn, who, std::slice::from_ref(self))?.pop();
        let found = found.ok_or_else(|| Error::Internal("a discovery without a situation".into()))?;
        Ok(Situation { insight, ..found })
    }
    fn faults(&self, conn: &mut Conn, _: &Principal, order: &Order) -> Result<Faults> {
        let lifecycle = self.lifecycle(conn)?;
        let mut faults = Faults::default();
        let stops = lifecycle.state(&order.to.0).is_some_and(|to| to.end == Some(End::Stopped));
        if order.stop_reason.is_some() && !stops {
            faults.push("/stop_reason", "not_applicable", "is taken only by a move that stops the discovery");
        }
        let cites = moves_meant(&lifecycle, &self.stage, &order.to.0, order.name.as_ref().map(|n| &*n.0))
            .any(|made| made.gates.iter().any(|spec| spec.gate == Gate::Insight));
        if order.insight_id.is_some() && !cites {
            faults.push("/insight_id", "not_applicable", "is taken only by a move that cites an insight");
        }
        Ok(faults)
    }
    fn hold(&self, conn: &mut Conn, cited: Option<InsightId>) -> Result<()> {
        facts::hold_of_discovery(conn, self.id)?;
        cited.map_or(Ok(()), |insight| facts::hold_of_insight(conn, insight))
    }
    fn make(mut self, conn: &mut Conn, _: &Principal, context: &Context, passed: Passed<'_>) -> Result<EventId> {
        let Passed { step, order, effective_at, change } = passed;
        let evidence = order.evidence.unwrap_or_default();
        self.attach(&evidence.0);
        if self.refs.len() > crate::fault::LIST_LIMIT {
            return Err(Error::fault("/evidence", "too_many", "a record has at most 100 references"));
        }
        self.stage = step.to.name.clone();
        self.stage_entered_at = effective_at;
        self.held_from = step.held_from;
        self.stop_reason = order.stop_reason;
        self.index();
        let event = record_change(conn, context, &mut self, change)?;
        if let Some(insight) = order.insight_id {
            store::index_return(conn, self.id, insight)?;
        }
        Ok(event)
    }
}
