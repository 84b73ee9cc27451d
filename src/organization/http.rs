//! Routes of organizations: take, ask the use case, answer.
use super::{
    Organization,
    change::{self, NewOrganization, OrganizationPatch},
    store::{self, Filter, OrganizationName},
};
use crate::{
    Result,
    auth::{
        extract::Guard,
        policy::{ManageOrganizations, Principal, Read},
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
        page::{After, PARAMETERS, Page, SortValue},
        params::Params,
    },
    id::OrganizationId,
    identifier::Ror,
    ledger::Context,
    past::{self, AsOf, ShownThen},
    value::{Condition, fold, term_of},
    vocabulary::{OrganizationKind, RecordKind},
};
use actix_web::{HttpRequest, HttpResponse, get, patch, post};
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the routes.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(list).service(create).service(create_many).service(read).service(revise).service(list_history);
}

crate::history::http::history_route!(
    "Organizations",
    "organization",
    "/v1/organizations/{id}/history",
    RecordKind::Organization
);

/// An organization as it is answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OrganizationView {
    /// Its id.
    pub id: OrganizationId,
    /// Its code.
    #[schema(max_length = 30, example = "O-3")]
    pub code: String,
    /// One per change.
    #[schema(minimum = 1, example = 3)]
    pub version: i64,
    /// 1–300 characters.
    #[schema(max_length = 300, example = "Motor Neuron Lab")]
    pub name: String,
    /// What it is.
    pub kind: OrganizationKind,
    /// The organization above it.
    pub parent: Option<OrganizationName>,
    /// ROR id.
    pub ror: Option<Ror>,
    /// The conditions it works on.
    #[schema(max_items = 100)]
    pub focus: Vec<Condition>,
    /// The lifecycle of new discoveries here and below, `name@version`; null for that of the organization above.
    #[schema(max_length = 60, example = "translational@1")]
    pub lifecycle: Option<String>,
    /// When it was created.
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

/// The given organizations as everybody sees them, in a fixed number of queries.
///
/// # Errors
/// What the database says.
pub fn views(conn: &mut Conn, rows: Vec<Organization>) -> Result<Vec<OrganizationView>> {
    let parents = store::Names::load(conn, rows.iter().filter_map(|o| o.parent_id))?;
    let view = |o: Organization| {
        Ok(OrganizationView {
            id: o.id,
            code: RecordKind::Organization.code(o.number),
            version: o.version,
            name: o.name,
            kind: o.kind,
            parent: o.parent_id.map(|id| parents.one(id)).transpose()?,
            ror: o.ror,
            focus: o.focus.0,
            lifecycle: o.lifecycle,
            created_at: o.created_at,
            updated_at: o.updated_at,
            links: Links::of(RecordKind::Organization, o.id.0),
            as_of_size: None,
        })
    };
    rows.into_iter().map(view).collect()
}

impl ShownThen for OrganizationView {
    fn was(&mut self, as_of: &AsOf) {
        self.as_of_size = Some(as_of.size);
    }
}

/// One organization as everybody sees it.
///
/// # Errors
/// What the database says.
pub fn view(conn: &mut Conn, row: Organization) -> Result<OrganizationView> {
    http::only(views(conn, vec![row])?)
}

/// What a list may be narrowed by; each but the last two may be repeated for "any of".
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters")]
struct OrganizationQuery {
    /// Kinds.
    #[param(required = false)]
    kind: Vec<OrganizationKind>,
    /// Directly below any of these organizations.
    #[param(required = false)]
    parent_id: Vec<uuid::Uuid>,
    /// Focus conditions, by MeSH id or name.
    #[param(max_length = 300, required = false, example = "D000690")]
    condition: Vec<String>,
    /// ROR ids.
    #[param(max_length = 300, required = false, example = "02mhbdp94")]
    ror: Vec<String>,
    /// Changed after.
    #[param(required = false)]
    updated_after: Time,
    /// Words that all occur in its name, ROR id or focus.
    #[param(max_length = 300, required = false, example = "motor neuron")]
    q: String,
}

/// Organizations, newest change first.
#[utoipa::path(tag = "Organizations", operation_id = "list_organizations", params(PageQuery, OrganizationQuery),
    responses((status = 200, description = "A page of organizations", body = ListOf<OrganizationView>)))]
#[get("/v1/organizations")]
async fn list(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    const FILTERS: &[&str] = &["kind", "parent_id", "condition", "ror", "updated_after", "q"];
    const SORTS: &[&str] = &["-updated_at", "created_at", "name", "code"];
    let mut params = Params::read(&request, &[PARAMETERS, FILTERS].concat())?;
    let page = Page::read(&request, &mut params, SORTS);
    let filter = Filter {
        kind: params.any("kind"),
        parent: params.ids("parent_id"),
        condition: params.texts("condition").iter().map(|c| term_of(c)).collect(),
        ror: params.any("ror"),
        updated_after: params.time("updated_after"),
        words: params.words("q", |text| fold(&text.replace('|', " "))),
    };
    params.finish()?;
    let asked = page.clone();
    let (rows, total) = who
        .read(move |conn, who| {
            let (rows, total) = store::list(conn, who, &filter, &asked)?;
            Ok((views(conn, rows)?, total))
        })
        .await?;
    let sort = page.sort.clone();
    page.answer(&request, rows, total, move |o| After {
        value: match &*sort {
            "created_at" => o.created_at.to_cursor(),
            "name" => o.name.to_cursor(),
            "code" => http::page::number_in(&o.code),
            _ => o.updated_at.to_cursor(),
        },
        id: o.id.0,
    })
}

/// Creates an organization.
#[utoipa::path(tag = "Organizations", operation_id = "create_organization", request_body = NewOrganization,
    responses((status = 201, description = "The new organization", body = OrganizationView)))]
#[post("/v1/organizations")]
async fn create(who: Guard<ManageOrganizations>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    who.post(&request, body, create_one).await
}

fn create_one(conn: &mut Conn, _: &Principal, context: &Context, body: &Value) -> Result<Answer> {
    let new = body::parse::<NewOrganization>(body.clone())?;
    let organization = change::create(conn, context, new)?;
    let made = view(conn, organization)?;
    Answer::created(RecordKind::Organization, made.id.0, made.version, &made)
}

crate::bulk::http::batch_route!(
    "Organizations",
    "create_organizations",
    "/v1/organizations/batch",
    ManageOrganizations,
    NewOrganization,
    OrganizationView,
    create_one
);

/// One organization.
#[utoipa::path(tag = "Organizations", operation_id = "get_organization", params(IdPath, FieldsQuery, AsOfQuery),
    responses((status = 200, description = "The organization", body = OrganizationView)))]
#[get("/v1/organizations/{id}")]
async fn read(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let key = http::key(&request, RecordKind::Organization)?;
    let asked = as_of::asked(&request, who.at)?;
    let found = who
        .read(move |conn, who| {
            let organization = store::find(conn, who, key)?;
            past::store::shown(conn, who, organization, asked, |conn, _, was| view(conn, was))
        })
        .await?;
    http::record_as_of(&request, found.version, &found)
}

/// Revises an organization (RFC 7396 merge patch).
#[utoipa::path(tag = "Organizations", operation_id = "revise_organization", params(IdPath, IfMatchHeader),
    request_body(content = OrganizationPatch, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The organization", body = OrganizationView)))]
#[patch("/v1/organizations/{id}")]
async fn revise(who: Guard<ManageOrganizations>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    http::params::none(&request)?;
    let key = http::key(&request, RecordKind::Organization)?;
    let if_match = IfMatch::of(&request);
    let body = body.merge_patch().await?;
    let revised = who
        .write(move |conn, who, context| {
            let organization = store::find(conn, who, key)?;
            if_match.check(organization.version)?;
            let patch = body::parse::<OrganizationPatch>(body.clone())?;
            let revised = change::revise(conn, context, organization, patch)?;
            view(conn, revised)
        })
        .await?;
    Ok(http::changed(revised.version, &revised))
}
