//! Routes of lifecycles: those built in and those that administrators added, every version of them.
use super::{
    Lifecycle, Move, State, builtin,
    change::{self, NewLifecycle},
    store::{self, StoredLifecycle},
};
use crate::{
    Error, Result,
    auth::{
        extract::Guard,
        policy::{ManageLifecycles, Read},
    },
    db::columns::Time,
    http::{
        self, Links,
        answer::Answer,
        body::{self, Body},
        openapi::{DataOf, FieldsQuery},
        params,
    },
    id::LifecycleId,
    vocabulary::RecordKind,
};
use actix_web::{HttpRequest, HttpResponse, get, post};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

/// Mounts the routes. History goes before the versions, whose second segment is a number.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(list).service(add).service(list_history).service(list_versions).service(read);
}

crate::history::http::history_route!("Lifecycles", "lifecycle", "/v1/lifecycles/{id}/history", RecordKind::Lifecycle);

/// One version of a lifecycle as it is answered.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LifecycleView {
    /// Its id; null for one that is built in, and so has no history.
    pub id: Option<LifecycleId>,
    /// Its code; null for one that is built in.
    #[schema(max_length = 30, example = "L-1")]
    pub code: Option<String>,
    /// Its name, shared by its versions.
    #[schema(max_length = 40, example = "translational")]
    pub name: String,
    /// Its version: another document, which never changes.
    #[schema(minimum = 1, maximum = 10_000, example = 1)]
    pub version: u32,
    /// The kind of record that moves by it.
    pub kind: RecordKind,
    /// Whether every installation has it.
    pub built_in: bool,
    /// Its states, in order.
    #[schema(max_items = 100)]
    pub states: Vec<State>,
    /// Its moves, with their gates.
    #[schema(max_items = 1000)]
    pub moves: Vec<Move>,
    /// When it was added; null for one that is built in.
    pub created_at: Option<Time>,
    /// Where it is.
    pub links: Links,
}

impl LifecycleView {
    fn built_in(lifecycle: &Lifecycle) -> Self {
        Self {
            id: None,
            code: None,
            name: lifecycle.name().to_owned(),
            version: lifecycle.version(),
            kind: lifecycle.kind(),
            built_in: true,
            states: lifecycle.states().to_vec(),
            moves: lifecycle.moves().to_vec(),
            created_at: None,
            links: Links { own: format!("/v1/lifecycles/{}/{}", lifecycle.name(), lifecycle.version()) },
        }
    }

    fn added(row: &StoredLifecycle) -> Result<Self> {
        let lifecycle = store::parsed(row)?;
        Ok(Self {
            id: Some(row.id),
            code: Some(RecordKind::Lifecycle.code(row.number)),
            built_in: false,
            created_at: Some(row.created_at),
            ..Self::built_in(&lifecycle)
        })
    }
}

/// Those built in, then the added ones.
fn views(rows: &[StoredLifecycle]) -> Result<Vec<LifecycleView>> {
    let built_in = RecordKind::ALL.iter().filter_map(|kind| builtin::builtin(*kind)).map(LifecycleView::built_in);
    built_in.map(Ok).chain(rows.iter().map(LifecycleView::added)).collect()
}

/// Every version of a name; 404 when there is none.
fn named(rows: &[StoredLifecycle], name: &str) -> Result<Vec<LifecycleView>> {
    let mut versions = views(rows)?;
    versions.retain(|version| version.name == name);
    if versions.is_empty() { Err(Error::not_found()) } else { Ok(versions) }
}

/// A lifecycle, by name.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes parameters")]
struct NamePath {
    /// Its name.
    #[param(min_length = 1, max_length = 40, example = "translational")]
    name: String,
}

/// A lifecycle's version.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes parameters")]
struct VersionPath {
    /// Its version.
    #[param(minimum = 1, maximum = 10_000, example = 1)]
    version: u32,
}

fn segment(request: &HttpRequest, name: &str) -> String {
    request.match_info().get(name).unwrap_or_default().replace('\0', "\u{fffd}") // PostgreSQL takes no NUL
}

/// Every version of every lifecycle, those built in first.
#[utoipa::path(tag = "Lifecycles", operation_id = "list_lifecycles",
    responses((status = 200, description = "The lifecycles", body = DataOf<LifecycleView>)))]
#[get("/v1/lifecycles")]
async fn list(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    params::none(&request)?;
    let lifecycles = who.read(|conn, _| views(&store::list(conn)?)).await?;
    Ok(http::data(lifecycles))
}

/// Every version of one lifecycle.
#[utoipa::path(tag = "Lifecycles", operation_id = "list_lifecycle_versions", params(NamePath),
    responses((status = 200, description = "Its versions", body = DataOf<LifecycleView>)))]
#[get("/v1/lifecycles/{name}")]
async fn list_versions(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    params::none(&request)?;
    let name = segment(&request, "name");
    let versions = who.read(move |conn, _| named(&store::versions(conn, &name)?, &name)).await?;
    Ok(http::data(versions))
}

/// One version of one lifecycle.
#[utoipa::path(tag = "Lifecycles", operation_id = "get_lifecycle", params(NamePath, VersionPath, FieldsQuery),
    responses((status = 200, description = "The version", body = LifecycleView)))]
#[get("/v1/lifecycles/{name}/{version}")]
async fn read(who: Guard<Read>, request: HttpRequest) -> Result<HttpResponse> {
    let (name, version) = (segment(&request, "name"), segment(&request, "version"));
    let found = who
        .read(move |conn, _| {
            let mut versions = named(&store::versions(conn, &name)?, &name)?;
            versions.retain(|v| v.version.to_string() == version);
            versions.pop().ok_or_else(Error::not_found)
        })
        .await?;
    http::record(&request, NEVER_CHANGES, &found)
}

/// The record version of a lifecycle's version: there is no second.
const NEVER_CHANGES: i64 = 1;

/// Adds a version of a lifecycle of discoveries.
#[utoipa::path(tag = "Lifecycles", operation_id = "add_lifecycle", request_body = NewLifecycle,
    responses((status = 201, description = "The new version", body = LifecycleView)))]
#[post("/v1/lifecycles")]
async fn add(who: Guard<ManageLifecycles>, request: HttpRequest, body: Body) -> Result<HttpResponse> {
    who.post(&request, body, |conn, _, context, body| {
        let new = body::parse::<NewLifecycle>(body.clone())?;
        let added = LifecycleView::added(&change::add(conn, context, new)?)?;
        let location = Some(added.links.own.clone());
        Ok(Answer { location, ..Answer::made(&added)?.at_version(NEVER_CHANGES) })
    })
    .await
}
