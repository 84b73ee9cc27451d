//! Routes of discoveries: take, ask the use case, answer.
use super::{
    Discovery,
    change::{self, DiscoveryPatch, NewDiscovery},
    migrate::{self, NewStanding},
    store::{self, Filter},
};
use crate::{
    Result,
    auth::{
        extract::Guard,
        policy::{LogDiscovery, ManageLifecycles, Principal, Read, Revise},
    },
    bulk::{BatchOf, Results},
    db::{Conn, columns::Time},
    http::{
        self, Links,
        answer::Answer,
        as_of::{self, AsOfQuery},
        body::{self, Body},
        etag::IfMatch,
        openapi::{FieldsQuery, IdPath, IfMatchHeader, ListOf, PageQuery},
        page::{After, PARAMETERS_AND_AS_OF, Page, SortValue},
        params::Params,
    },
    id::{DiscoveryId, InsightId},
    insight::{self, store::InsightName},
    ledger::Context,
    organization::{self, store::OrganizationName},
    past::{self, AsOf, ShownThen},
    person::{
        self,
        store::{OwnerView, PersonName},
    },
    value::{Condition, Reference, fold, term_of},
    vocabulary::{Modality, RecordKind, StopReason, Visibility},
};
use actix_web::{HttpRequest, HttpResponse, get, patch, post};
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(list)
        .service(create)
        .service(create_many)
        .service(read)
        .service(revise)
        .service(change_lifecycle)
        .service(list_transitions)
        .service(make_transition)
        .service(available_transitions)
        .service(list_history);
}

crate::transition::http::movable_routes!(
    Discovery,
    "Discoveries",
    "discovery",
    "/v1/discoveries/{id}/transitions",
    "/v1/discoveries/{id}/transitions/available",
    "/v1/discoveries/{id}/history"
);

/// A discovery as it is answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DiscoveryView {
    /// Its id.
    pub id: DiscoveryId,
    /// Its code.
    #[schema(max_length = 30, example = "D-17")]
    pub code: String,
    /// One per change.
    #[schema(minimum = 1, example = 3)]
    pub version: i64,
    /// 1–300 characters.
    #[schema(max_length = 300)]
    pub title: String,
    /// Markdown.
    #[schema(max_length = 20000)]
    pub summary: String,
    /// What it would become.
    pub modality: Modality,
    /// What it is about.
    #[schema(max_items = 100)]
    pub conditions: Vec<Condition>,
    /// `name@version`.
    #[schema(max_length = 60, example = "translational@1")]
    pub lifecycle: String,
    /// A state of that lifecycle.
    #[schema(max_length = 60, example = "preclinical")]
    pub stage: String,
    /// Since when, in effect.
    pub stage_entered_at: Time,
    /// The stage a hold resumes to.
    #[schema(max_length = 60)]
    pub held_from: Option<String>,
    /// Why it was discontinued.
    pub stop_reason: Option<StopReason>,
    /// Technology readiness level.
    #[schema(minimum = 1, maximum = 9)]
    pub trl: Option<i32>,
    /// Its steward.
    pub lab: OrganizationName,
    /// Its owner.
    pub owner: PersonName,
    /// Owners past and present.
    #[schema(max_items = 1000)]
    pub owners: Vec<OwnerView>,
    /// Who sees it.
    pub visibility: Visibility,
    /// Organizations whose members see it.
    #[schema(max_items = 100)]
    pub shared_with: Vec<OrganizationName>,
    /// Until when `public` waits.
    pub embargo_until: Option<Time>,
    /// What it rests on.
    #[schema(max_items = 100)]
    pub references: Vec<Reference>,
    /// Free words.
    #[schema(max_items = 100, max_length = 100)]
    pub tags: Vec<String>,
    /// The insight that spawned it, where the reader may see that.
    pub origin_insight_id: Option<InsightId>,
    /// The same with its name.
    pub origin_insight: Option<InsightName>,
    /// Since when a recall waits here: a finding behind it was retracted or superseded, and nobody has acknowledged that.
    pub recalled_at: Option<Time>,
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

/// The given discoveries as one person sees them: a fixed number of queries, however many there are.
///
/// # Errors
/// What the database says.
pub fn views(conn: &mut Conn, who: &Principal, rows: Vec<Discovery>) -> Result<Vec<DiscoveryView>> {
    let labs = rows.iter().flat_map(|d| d.shared_with.iter().copied().chain([d.lab_id]));
    let organizations = organization::store::Names::load(conn, labs)?;
    let people = person::store::Names::load(conn, rows.iter().flat_map(|d| d.owners.iter().map(|t| t.person_id)))?;
    let insights = insight::store::names(conn, who, rows.iter().filter_map(|d| d.origin_insight_id))?;
    let view = |d: Discovery| {
        let origin = d.origin_insight_id.and_then(|id| insights.get(&id).cloned());
        Ok(DiscoveryView {
            id: d.id,
            code: RecordKind::Discovery.code(d.number),
            version: d.version,
            title: d.title,
            summary: d.summary,
            modality: d.modality,
            conditions: d.conditions.0,
            lifecycle: d.lifecycle,
            stage: d.stage,
            stage_entered_at: d.stage_entered_at,
            held_from: d.held_from,
            stop_reason: d.stop_reason,
            trl: d.trl,
            lab: organizations.one(d.lab_id)?,
            owner: people.one(d.owner_id)?,
            owners: people.owners(&d.owners)?,
            visibility: d.visibility,
            shared_with: organizations.many(&d.shared_with)?,
            embargo_until: d.embargo_until,
            references: d.refs.0,
            tags: d.tags.0,
            origin_insight_id: origin.as_ref().map(|o| o.id),
            origin_insight: origin,
            recalled_at: d.recalled_at,
            created_at: d.created_at,
            updated_at: d.updated_at,
            links: Links::of(RecordKind::Discovery, d.id.0),
            as_of_size: None,
        })
    };
    rows.into_iter().map(view).collect()
}

impl ShownThen for DiscoveryView {
    fn was(&mut self, as_of: &AsOf) {
        self.as_of_size = Some(as_of.size);
    }
}

/// One discovery as one person sees it.
///
/// # Errors
/// What the database says.
pub fn view(conn: &mut Conn, who: &Principal, row: Discovery) -> Result<DiscoveryView> {
    http::only(views(conn, who, vec![row])?)
}

/// What a list may be narrowed by; each may be repeated for "any of".
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct DiscoveryQuery {
    /// Stages.
    #[param(max_length = 60, required = false, example = "logged")]
    stage: Vec<String>,
    /// Modalities.
    #[param(required = false)]
    modality: Vec<Modality>,
    /// Labs.
    #[param(required = false)]
    lab_id: Vec<uuid::Uuid>,
    /// Owners; `me` for the caller.
    #[param(max_length = 36, required = false, example = "me")]
    owner_id: Vec<String>,
    /// Visibilities.
    #[param(required = false)]
    visibility: Vec<Visibility>,
    /// Lifecycles, `name@version`.
    #[param(max_length = 60, required = false, example = "translational@1")]
    lifecycle: Vec<String>,
    /// Conditions, by MeSH id or name.
    #[param(max_length = 300, required = false, example = "D000690")]
    condition: Vec<String>,
    /// Changed after.
    #[param(required = false)]
    updated_after: Time,
    /// Words that all occur in it.
    #[param(max_length = 300, required = false, example = "motor neuron")]
    q: String,
}

/// Discoveries, newest change first.
#[utoipa::path(tag = "Discoveries", operation_id = "list_discoveries", params(PageQuery, DiscoveryQuery, AsOfQuery),
    responses((status = 200, description = "A page of discoveries", body = ListOf<DiscoveryView>)))]
#[get("/v1/discoveries")]
async fn list(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    const FILTERS: &[&str] =
        &["stage", "modality", "lab_id", "owner_id", "visibility", "lifecycle", "condition", "updated_after", "q"];
    const SORTS: &[&str] = &["-updated_at", "created_at", "stage_entered_at", "title", "code"];
    let mut params = Params::read(&request, &[PARAMETERS_AND_AS_OF, FILTERS].concat())?;
    let as_of = as_of::of_list(&mut params, who.at, FILTERS, &["stage", "lab_id", "owner_id"]);
    let page = Page::read(&request, &mut params, as_of.map_or(SORTS, |_| as_of::SORTS));
    let filter = Filter {
        stage: params.names("stage"),
        modality: params.any("modality"),
        lab: params.ids("lab_id"),
        owner: params.people("owner_id", who.id),
        visibility: params.any("visibility"),
        lifecycle: params.names("lifecycle"),
        condition: params.texts("condition").iter().map(|c| term_of(c)).collect(),
        updated_after: params.time("updated_after"),
        words: params.words("q", fold),
    };
    params.finish()?;
    let asked = page.clone();
    let listed =
        who.read(move |conn, who| past::store::list(conn, who, as_of, &filter, &asked, store::list, views)).await?;
    let sort = page.sort.clone();
    page.answer_listed(&request, listed, move |d| After {
        value: match &*sort {
            "created_at" => d.created_at.to_cursor(),
            "stage_entered_at" => d.stage_entered_at.to_cursor(),
            "title" => d.title.to_cursor(),
            "code" => http::page::number_in(&d.code),
            _ => d.updated_at.to_cursor(),
        },
        id: d.id.0,
    })
}

/// Logs a discovery of one of the caller's labs.
#[utoipa::path(tag = "Discoveries", operation_id = "log_discovery", request_body = NewDiscovery,
    responses((status = 201, description = "The new discovery", body = DiscoveryView)))]
#[post("/v1/discoveries")]
async fn create(who: Guard<LogDiscovery>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    who.post(&request, body, create_one).await
}

fn create_one(conn: &mut Conn, who: &Principal, context: &Context, body: &Value) -> Result<Answer> {
    let new = body::parse::<NewDiscovery>(body.clone())?;
    let discovery = change::log(conn, who, context, new, None)?;
    let made = view(conn, who, discovery)?;
    Answer::created(RecordKind::Discovery, made.id.0, made.version, &made)
}

crate::bulk::http::batch_route!(
    "Discoveries",
    "log_discoveries",
    "/v1/discoveries/batch",
    LogDiscovery,
    NewDiscovery,
    DiscoveryView,
    create_one
);

/// One discovery.
#[utoipa::path(tag = "Discoveries", operation_id = "get_discovery", params(IdPath, FieldsQuery, AsOfQuery),
    responses((status = 200, description = "The discovery", body = DiscoveryView)))]
#[get("/v1/discoveries/{id}")]
async fn read(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let key = http::key(&request, RecordKind::Discovery)?;
    let asked = as_of::asked(&request, who.at)?;
    let found = who
        .read(move |conn, who| {
            let discovery = store::find(conn, who, key)?;
            past::store::shown(conn, who, discovery, asked, view)
        })
        .await?;
    http::record_as_of(&request, found.version, &found)
}

/// Revises a discovery (RFC 7396 merge patch).
#[utoipa::path(tag = "Discoveries", operation_id = "revise_discovery", params(IdPath, IfMatchHeader),
    request_body(content = DiscoveryPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The discovery", body = DiscoveryView)))]
#[patch("/v1/discoveries/{id}")]
async fn revise(who: Guard<Revise>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let key = http::key(&request, RecordKind::Discovery)?;
    let if_match = IfMatch::of(&request);
    let body = body.merge_patch().await?;
    let revised = who
        .write(move |conn, who, context| {
            let discovery = store::find(conn, who, key)?;
            who.must::<Revise>(&discovery.standing(who))?;
            if_match.check(discovery.version)?;
            let patch = body::parse::<DiscoveryPatch>(body.clone())?;
            let revised = change::revise(conn, context, discovery, patch)?;
            view(conn, who, revised)
        })
        .await?;
    Ok(http::changed(revised.version, &revised))
}

/// Moves a discovery to another lifecycle, or another version of its own.
#[utoipa::path(tag = "Discoveries", operation_id = "change_discovery_lifecycle", params(IdPath, IfMatchHeader),
    request_body = NewStanding,
    responses((status = 200, description = "The discovery", body = DiscoveryView)))]
#[post("/v1/discoveries/{id}/lifecycle")]
async fn change_lifecycle(who: Guard<ManageLifecycles>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    let key = http::key(&request, RecordKind::Discovery)?;
    let if_match = IfMatch::of(&request);
    who.post(&request, body, move |conn, who, context, body| {
        let discovery = store::find(conn, who, key)?;
        if_match.check(discovery.version)?;
        let new = body::parse::<NewStanding>(body.clone())?;
        let moved = migrate::migrate(conn, context, discovery, new)?;
        let moved = view(conn, who, moved)?;
        Answer::changed(moved.version, &moved)
    })
    .await
}
