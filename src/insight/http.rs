//! Routes of insights: take, ask the use case, answer.
use super::{
    Insight,
    change::{self, InsightPatch, NewInsight},
    due_rank,
    store::{self, Filter},
};
use crate::{
    Result,
    auth::{
        extract::Guard,
        policy::{Principal, RaiseInsight, Read, Revise},
    },
    bulk::{BatchOf, Results},
    db::{Conn, columns::Time},
    discovery::{self, store::DiscoveryName},
    finding::{self, store::FindingName},
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
    id::InsightId,
    ledger::Context,
    organization::{self, store::OrganizationName},
    past::{self, AsOf, ShownThen},
    person::{
        self,
        store::{OwnerView, PersonName},
    },
    value::fold,
    vocabulary::{Outcome, RecordKind, Urgency},
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
        .service(list_transitions)
        .service(make_transition)
        .service(available_transitions)
        .service(list_history);
}

crate::transition::http::movable_routes!(
    Insight,
    "Insights",
    "insight",
    "/v1/insights/{id}/transitions",
    "/v1/insights/{id}/transitions/available",
    "/v1/insights/{id}/history"
);

/// An insight as it is answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct InsightView {
    /// Its id.
    pub id: InsightId,
    /// Its code.
    #[schema(max_length = 30, example = "I-3")]
    pub code: String,
    /// One per change.
    #[schema(minimum = 1, example = 2)]
    pub version: i64,
    /// 1–300 characters.
    #[schema(max_length = 300)]
    pub title: String,
    /// What the lab is asked to find out.
    #[schema(max_length = 20000)]
    pub question: String,
    /// Why it matters.
    #[schema(max_length = 20000)]
    pub rationale: String,
    /// The findings it cites, as far as the reader sees them.
    #[schema(max_items = 100)]
    pub findings: Vec<FindingName>,
    /// The discoveries it concerns, as far as the reader sees them.
    #[schema(max_items = 1000)]
    pub discoveries: Vec<DiscoveryName>,
    /// The clinic it comes from: its steward.
    pub clinic: OrganizationName,
    /// The lab that is asked.
    pub lab: OrganizationName,
    /// Who raised it, or took it over.
    pub owner: PersonName,
    /// Owners past and present.
    #[schema(max_items = 1000)]
    pub owners: Vec<OwnerView>,
    /// Who answers for the lab.
    pub assignee: Option<PersonName>,
    /// How soon an answer is asked for.
    pub urgency: Urgency,
    /// A state of the lifecycle.
    #[schema(max_length = 60, example = "submitted")]
    pub state: String,
    /// Since when, in effect.
    pub state_entered_at: Time,
    /// When it was last submitted to a lab, in effect.
    pub submitted_at: Option<Time>,
    /// When an answer is due.
    pub due_at: Option<Time>,
    /// Whether it waits for its lab past that.
    pub overdue: bool,
    /// What came of it.
    pub outcome: Option<Outcome>,
    /// The same in words.
    #[schema(max_length = 2000)]
    pub outcome_note: Option<String>,
    /// The discovery it refined, where the reader may see that.
    pub refined_discovery: Option<DiscoveryName>,
    /// The discoveries it spawned, as far as the reader sees them.
    #[schema(max_items = 100)]
    pub spawned: Vec<DiscoveryName>,
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

/// The given insights as one person sees them: a fixed number of queries, however many there are.
///
/// # Errors
/// What the database says.
pub fn views(conn: &mut Conn, who: &Principal, rows: Vec<Insight>) -> Result<Vec<InsightView>> {
    let organizations = organization::store::Names::load(conn, rows.iter().flat_map(|i| [i.clinic_id, i.lab_id]))?;
    let owners = rows.iter().flat_map(|i| i.owners.iter().map(|t| t.person_id).chain(i.assignee_id));
    let people = person::store::Names::load(conn, owners)?;
    let cited: Vec<_> = rows.iter().flat_map(|i| i.findings.iter().copied()).collect();
    let findings = finding::store::names(conn, who, cited)?;
    let named = |i: &Insight| {
        let lists = i.discoveries.iter().chain(&*i.spawned).copied();
        lists.chain(i.refined_discovery_id).collect::<Vec<_>>()
    };
    let discoveries = discovery::store::names(conn, who, rows.iter().flat_map(named).collect::<Vec<_>>())?;
    let view = |i: Insight| {
        Ok(InsightView {
            id: i.id,
            code: RecordKind::Insight.code(i.number),
            version: i.version,
            findings: i.findings.iter().filter_map(|id| findings.get(id).cloned()).collect(),
            discoveries: i.discoveries.iter().filter_map(|id| discoveries.get(id).cloned()).collect(),
            clinic: organizations.one(i.clinic_id)?,
            lab: organizations.one(i.lab_id)?,
            owner: people.one(i.owner_id)?,
            owners: people.owners(&i.owners)?,
            assignee: i.assignee_id.map(|id| people.one(id)).transpose()?,
            urgency: i.urgency,
            overdue: i.is_overdue(who.at),
            refined_discovery: i.refined_discovery_id.and_then(|id| discoveries.get(&id).cloned()),
            spawned: i.spawned.iter().filter_map(|id| discoveries.get(id).cloned()).collect(),
            recalled_at: i.recalled_at,
            title: i.title,
            question: i.question,
            rationale: i.rationale,
            state: i.state,
            state_entered_at: i.state_entered_at,
            submitted_at: i.submitted_at,
            due_at: i.due_at,
            outcome: i.outcome,
            outcome_note: i.outcome_note,
            created_at: i.created_at,
            updated_at: i.updated_at,
            links: Links::of(RecordKind::Insight, i.id.0),
            as_of_size: None,
        })
    };
    rows.into_iter().map(view).collect()
}

impl ShownThen for InsightView {
    fn was(&mut self, as_of: &AsOf) {
        self.overdue = due_rank(&self.state, self.due_at) < as_of.moment;
        self.as_of_size = Some(as_of.size);
    }
}

/// One insight as one person sees it.
///
/// # Errors
/// What the database says.
pub fn view(conn: &mut Conn, who: &Principal, row: Insight) -> Result<InsightView> {
    http::only(views(conn, who, vec![row])?)
}

/// What a list may be narrowed by; each but `overdue`, `updated_after` and `q` may be repeated for "any of".
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct InsightQuery {
    /// States.
    #[param(max_length = 60, required = false, example = "submitted")]
    state: Vec<String>,
    /// The labs they are routed to.
    #[param(required = false)]
    lab_id: Vec<uuid::Uuid>,
    /// The clinics they come from.
    #[param(required = false)]
    clinic_id: Vec<uuid::Uuid>,
    /// Owners; `me` for the caller.
    #[param(max_length = 36, required = false, example = "me")]
    owner_id: Vec<String>,
    /// Who answers for the lab; `me` for the caller.
    #[param(max_length = 36, required = false, example = "me")]
    assignee_id: Vec<String>,
    /// Urgencies.
    #[param(required = false)]
    urgency: Vec<Urgency>,
    /// Outcomes.
    #[param(required = false)]
    outcome: Vec<Outcome>,
    /// Only those that wait for their lab past the day an answer was due, or only the others.
    #[param(required = false)]
    overdue: bool,
    /// Findings they cite.
    #[param(required = false)]
    finding_id: Vec<uuid::Uuid>,
    /// Discoveries they concern.
    #[param(required = false)]
    discovery_id: Vec<uuid::Uuid>,
    /// Changed after.
    #[param(required = false)]
    updated_after: Time,
    /// Words that all occur in it.
    #[param(max_length = 300, required = false, example = "fast progressors")]
    q: String,
}

/// Insights, the longest overdue first.
///
/// The default order, `sort=due_at`, is the lab's inbox: what waits for an answer, by the day that is due, and after it
/// what waits for none, oldest first.
#[utoipa::path(tag = "Insights", operation_id = "list_insights", params(PageQuery, InsightQuery, AsOfQuery),
    responses((status = 200, description = "A page of insights", body = ListOf<InsightView>)))]
#[get("/v1/insights")]
async fn list(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    const FILTERS: &[&str] = &[
        "state",
        "lab_id",
        "clinic_id",
        "owner_id",
        "assignee_id",
        "urgency",
        "outcome",
        "overdue",
        "finding_id",
        "discovery_id",
        "updated_after",
        "q",
    ];
    const SORTS: &[&str] = &["due_at", "updated_at", "created_at", "state_entered_at", "title", "code"];
    let mut params = Params::read(&request, &[PARAMETERS_AND_AS_OF, FILTERS].concat())?;
    let as_of = as_of::of_list(&mut params, who.at, FILTERS, &["state", "lab_id", "clinic_id", "owner_id"]);
    let page = Page::read(&request, &mut params, as_of.map_or(SORTS, |_| as_of::SORTS));
    let filter = Filter {
        state: params.names("state"),
        lab: params.ids("lab_id"),
        clinic: params.ids("clinic_id"),
        owner: params.people("owner_id", who.id),
        assignee: params.people("assignee_id", who.id),
        urgency: params.any("urgency"),
        outcome: params.any("outcome"),
        overdue: params.flag("overdue"),
        finding: params.ids("finding_id"),
        discovery: params.ids("discovery_id"),
        updated_after: params.time("updated_after"),
        words: params.words("q", fold),
    };
    params.finish()?;
    let asked = page.clone();
    let listed =
        who.read(move |conn, who| past::store::list(conn, who, as_of, &filter, &asked, store::list, views)).await?;
    let sort = page.sort.clone();
    page.answer_listed(&request, listed, move |i| After {
        value: match &*sort {
            "updated_at" => i.updated_at.to_cursor(),
            "created_at" => i.created_at.to_cursor(),
            "state_entered_at" => i.state_entered_at.to_cursor(),
            "title" => i.title.to_cursor(),
            "code" => http::page::number_in(&i.code),
            _ => due_rank(&i.state, i.due_at).to_cursor(),
        },
        id: i.id.0,
    })
}

/// Raises an insight on signed findings of the caller's clinic, as a draft.
#[utoipa::path(tag = "Insights", operation_id = "raise_insight", request_body = NewInsight,
    responses((status = 201, description = "The draft", body = InsightView)))]
#[post("/v1/insights")]
async fn create(who: Guard<RaiseInsight>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    who.post(&request, body, create_one).await
}

fn create_one(conn: &mut Conn, who: &Principal, context: &Context, body: &Value) -> Result<Answer> {
    let new = body::parse::<NewInsight>(body.clone())?;
    let insight = change::raise(conn, who, context, new)?;
    let made = view(conn, who, insight)?;
    Answer::created(RecordKind::Insight, made.id.0, made.version, &made)
}

crate::bulk::http::batch_route!(
    "Insights",
    "raise_insights",
    "/v1/insights/batch",
    RaiseInsight,
    NewInsight,
    InsightView,
    create_one
);

/// One insight.
#[utoipa::path(tag = "Insights", operation_id = "get_insight", params(IdPath, FieldsQuery, AsOfQuery),
    responses((status = 200, description = "The insight", body = InsightView)))]
#[get("/v1/insights/{id}")]
async fn read(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let key = http::key(&request, RecordKind::Insight)?;
    let asked = as_of::asked(&request, who.at)?;
    let found = who
        .read(move |conn, who| {
            let insight = store::find(conn, who, key)?;
            past::store::shown(conn, who, insight, asked, view)
        })
        .await?;
    http::record_as_of(&request, found.version, &found)
}

/// Revises a draft (RFC 7396 merge patch). What was submitted or withdrawn is immutable.
#[utoipa::path(tag = "Insights", operation_id = "revise_insight", params(IdPath, IfMatchHeader),
    request_body(content = InsightPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The insight", body = InsightView)))]
#[patch("/v1/insights/{id}")]
async fn revise(who: Guard<Revise>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let key = http::key(&request, RecordKind::Insight)?;
    let if_match = IfMatch::of(&request);
    let body = body.merge_patch().await?;
    let revised = who
        .write(move |conn, who, context| {
            let insight = store::find(conn, who, key)?;
            who.must::<Revise>(&insight.standing(who))?;
            if_match.check(insight.version)?;
            let patch = body::parse::<InsightPatch>(body.clone())?;
            let revised = change::revise(conn, who, context, insight, patch)?;
            view(conn, who, revised)
        })
        .await?;
    Ok(http::changed(revised.version, &revised))
}
